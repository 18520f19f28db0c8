-- Models leave as files and come back, are copied, and live the life of tables.
\set VERBOSITY default
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA exchange;
SET search_path = exchange, public;
CREATE TABLE patients AS SELECT i AS id, 30 + (i * 37) % 50 AS age, (ARRAY['f', 'm', 'other'])[1 + i % 3] AS sex, CASE WHEN i % 7 > 0 THEN (i * 31) % 90 END AS lab, (i * 37) % 50 + (i * 17) % 20 > 34 AS sick FROM generate_series(1, 300) i;
SELECT version FROM idla_train('m', 'SELECT age, sex, lab, sick FROM patients', 'sick', architecture => 'mlp', options => '{"epochs": 3, "seed": 1, "folds": 2}');
SELECT version FROM idla_train('m', 'SELECT age, sex, lab, sick FROM patients', 'sick', architecture => 'tabm', options => '{"epochs": 3, "seed": 2}');
CREATE FUNCTION same(a regclass, b regclass, va int DEFAULT NULL, vb int DEFAULT NULL) RETURNS boolean LANGUAGE sql
AS 'SELECT bool_and(idla_predict(a, p, va) = idla_predict(b, p, vb)) AND count(*) = 300 FROM patients p';

SET client_min_messages = notice;

-- ---- out and in again ----
SELECT idla_import('m2', idla_export('m')), idla_import('m2', idla_export('m', version => 2)), idla_import('m2', idla_export('m', 'safetensors', 2), deploy => true);
SELECT version, in_service, same('m', 'm2', least(version, 2), version) FROM m2 WHERE chunk = 0 ORDER BY version;
SELECT a.manifest = b.manifest, a.weights = b.weights, a.card = b.card - 'origin' FROM m a JOIN m2 b USING (version, chunk);
SELECT card -> 'origin' ->> 'by', card -> 'origin' ->> 'role' = current_user, length(card -> 'origin' ->> 'file_sha256'), card -> 'origin' ? 'at' FROM m2 WHERE version = 1;
-- twice exported is once exported, but for where it came from
SELECT idla_import('m3', idla_export('m2'));
SELECT card #>> '{origin,by}', card #>> '{origin,before,by}', card #> '{origin,before,before}' FROM m3;

-- an image is the whole model: manifest and card are among its metadata
WITH file AS (SELECT idla_export('m') AS f), header AS (SELECT convert_from(substr(f, 9, get_byte(f, 0) + 256 * get_byte(f, 1) + 65536 * get_byte(f, 2)), 'UTF8')::jsonb AS h FROM file)
SELECT h -> '__metadata__' ->> 'format', (h -> '__metadata__' ->> 'idla.manifest')::jsonb = manifest, (h -> '__metadata__' ->> 'idla.card')::jsonb = card, h ? 'net0/head.weights' FROM header, m WHERE version = 1;

-- ---- damaged files ----
CREATE FUNCTION attack(file bytea, mapping jsonb DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	PERFORM idla_import('victim', file, mapping);
	RETURN 'imported';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN sqlstate || ' ' || sqlerrm || ': ' || regexp_replace(regexp_replace(detail, '[0-9a-f]{64}', '...'), '[0-9]{3,}', 'N', 'g');
END $$;
-- eight bytes of length, a header and n bytes of data
CREATE FUNCTION image(header text, n int DEFAULT 0) RETURNS bytea LANGUAGE sql
AS $$ SELECT decode(string_agg(lpad(to_hex((octet_length(header)::bigint >> (8 * i)) & 255), 2, '0'), '' ORDER BY i), 'hex') || convert_to(header, 'UTF8') || decode(repeat('00', n), 'hex') FROM generate_series(0, 7) i $$;
CREATE TABLE file AS SELECT idla_export('m') AS f;
SELECT attack(f || '\x00'), attack(substr(f, 1, length(f) - 1)), attack(''), attack('\x00'), attack(substr(f, 1, 1000)) FROM file \gx
-- a name that is cut is cut between its characters
SELECT regexp_replace(attack(image('{"a' || repeat('é', 150) || '": {"dtype": "F32", "shape": [1, 4], "data_offsets": [0, 10]}}', 10)), 'é+', 'é') AS cut;
SELECT attack(set_byte(f, 7, 1)), attack(set_byte(f, 8, 1)), attack(set_byte(f, length(f) - 1, 127)), attack(set_byte(f, length(f) - 5, get_byte(f, length(f) - 5) # 1)) FROM file \gx
-- another manifest, one that is none, none at all
SELECT attack(set_byte(f, position('temperature'::bytea IN f), 84)) FROM file;
SELECT attack(image('{}'));
SELECT attack(image('{"__metadata__": {"idla.manifest": "{}"}}'));
SELECT attack(image('{"__metadata__": {"idla.manifest": "{", "idla.card": "{}"}}'));
SELECT attack(image('{"__metadata__": {"idla.manifest": "{}", "idla.card": "[]"}}'));
SELECT attack(image('{"__metadata__": {"idla.manifest": "{}", "idla.card": "{}"}}'));
SELECT attack(image('{"__metadata__": {"idla.manifest": "{\"format\": 1, \"sha256\": \"\"}", "idla.card": "{}"}}'));
-- the form of the image itself
SELECT attack(image(h, n)) FROM (VALUES (1, '', 0), (2, '[]', 0), (3, '{"a": 1}', 0), (4, '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}', 4),
	(5, '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}', 8),
	(6, '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}', 8),
	(7, '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}}', 12),
	(8, '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', 8),
	(9, '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', 4),
	(10, '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}}', 4),
	(11, '{"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}}', 4),
	(12, '{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}', 4),
	(13, '{"a": {"dtype": "F32", "shape": [9223372036854775807, 9223372036854775807], "data_offsets": [0, 4]}}', 4),
	(14, '{"a": {"dtype": "F32", "dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', 4),
	(15, '{"a": {"dtype": "F32", "data_offsets": [0, 4]}}', 4),
	(16, '{"a\u0000": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', 4),
	(17, '{"__metadata__": {"a": "1", "a": "2"}}', 0), (18, '{"__metadata__": {}, "__metadata__": {}}', 0), (19, '{"__metadata__": {"a": 1}}', 0),
	(20, '{} x', 0), (21, '{"a": {"dtype": "F32", "shape": [1, 1, 1, 1, 1, 1, 1, 1, 1], "data_offsets": [0, 4]}}', 4)) v (k, h, n) ORDER BY k;
SELECT to_regclass('victim');

-- ---- generic files ----
CREATE FUNCTION floats(VARIADIC real[]) RETURNS bytea LANGUAGE sql
AS $$ SELECT string_agg(substr(b, 4, 1) || substr(b, 3, 1) || substr(b, 2, 1) || substr(b, 1, 1), '' ORDER BY i) FROM unnest($1) WITH ORDINALITY u (x, i), float4send(x) b $$;
CREATE FUNCTION tensors(header text, VARIADIC real[]) RETURNS bytea LANGUAGE sql AS $$ SELECT image(header) || floats(VARIADIC $2) $$;
-- logit = 0.5 age' - 2 lab' + 1 (lab is NULL) + 3 (sex = f) - 1 (sex = m) + 0.25; (outputs, inputs), as PyTorch keeps it
CREATE TABLE linear AS SELECT tensors('{"fc.weight": {"dtype": "F32", "shape": [1, 5], "data_offsets": [0, 20]}, "fc.bias": {"dtype": "F32", "shape": [1], "data_offsets": [20, 24]}, "steps": {"dtype": "F32", "shape": [], "data_offsets": [24, 28]}}',
	0.5, -2, 1, 3, -1, 0.25, 7) AS file, '{"task": "binary", "target": "sick", "classes": ["no", "yes"], "architecture": "linear", "columns": [
	{"name": "age", "scaling": "standard", "center": 50, "scale": 0.1}, {"name": "lab", "scaling": "robust", "center": 40, "scale": 0.05, "fill": 30, "indicator": true},
	{"name": "sex", "categories": ["f", "m"]}], "tensors": {"head.weights": "fc.weight", "head.bias": "fc.bias"}, "temperature": 2, "offset": 0.125}'::jsonb AS mapping;
SELECT idla_import('line', file, mapping) FROM linear;
SELECT count(*) FROM patients p, LATERAL (SELECT (coalesce(lab, 30) - 40) * 0.05::float8 AS x) q
WHERE abs(idla_predict('line', p) - 1 / (1 + exp(-((0.05 * (age - 50) - 2 * x / sqrt(1 + x * x / 9) + (lab IS NULL)::int + CASE sex WHEN 'f' THEN 3 WHEN 'm' THEN -1 ELSE 0 END + 0.25) / 2 + 0.125)))) < 1e-6;
SELECT idla_classify('line', p), idla_probabilities('line', p) ->> 'yes' IS NOT NULL FROM patients p WHERE id = 3;
SELECT card - 'digest' - 'engine' #- '{origin,at}' #- '{origin,role}' #- '{origin,file_sha256}' AS card FROM line;
SELECT manifest -> 'mapping' = mapping FROM line, linear;
SELECT count(*) FROM patients p, idla_explain('line', p) WHERE id = 3;
SELECT task, architecture, target FROM idla_models WHERE model = 'line'::regclass;
-- what a mapping must say
CREATE FUNCTION wrong(change jsonb, path text[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$ SELECT attack(file, CASE WHEN path = '{}' THEN mapping || change ELSE jsonb_set(mapping, path, change) END) FROM linear $$;
SELECT attack(file, '[]'), attack(file, '{}'), attack(file) FROM linear;
SELECT wrong('{"tasks": 1}'), wrong('{"task": "tagging"}'), wrong('{"classes": ["no"]}'), wrong('{"classes": ["no", "no"]}'), wrong('{"positive": "maybe"}') \gx
SELECT wrong('{"architecture": "liner"}'), wrong('{"architecture": "cnn"}'), wrong('{"architecture": "mlp"}'), wrong('{"layers": "dense(4) rellu"}') \gx
SELECT wrong('{"temperature": 0}'), wrong('{"offset": [1, 2]}'), wrong('{"columns": []}'), wrong('{"columns": [{"name": "age"}, {"name": "age"}]}') \gx
SELECT wrong('{"name": "age", "kind": "image"}', '{columns,0}'), wrong('{"name": "age", "categories": ["a"], "center": 1}', '{columns,0}'), wrong('{"name": "age", "length": 3}', '{columns,0}'), wrong('{"name": "age", "kind": "array", "length": 3}', '{columns,0}') \gx
SELECT wrong('{"head.weights": "fc.weight"}', '{tensors}'), wrong('"fc.weights"', '{tensors,head.weights}'), wrong('"fc.bias"', '{tensors,head.weights}'), wrong('{"tensor": "fc.weight", "transpose": false}', '{tensors,head.weights}'), wrong('"fc.weight"', '{tensors,head.weight}'), wrong('{"layout": "idla"}') \gx
SELECT wrong('"fc.weight"', '{tensors,head.bias}'), wrong('{"tensor": "fc.weight", "turn": false}', '{tensors,head.weights}'), wrong('7', '{tensors,head.weights}') \gx
SELECT attack(tensors('{"fc.weight": {"dtype": "I32", "shape": [1, 5], "data_offsets": [0, 20]}, "fc.bias": {"dtype": "F32", "shape": [1], "data_offsets": [20, 24]}}', 1, 2, 3, 4, 5, 6), mapping) FROM linear;
SELECT attack(tensors('{"fc.weight": {"dtype": "F32", "shape": [1, 5], "data_offsets": [0, 20]}, "fc.bias": {"dtype": "F32", "shape": [1], "data_offsets": [20, 24]}}', 1, 'inf', 3, 4, 5, 6), mapping) FROM linear;
-- several values, a layer text, matrices as idla keeps them, halves
SELECT idla_import('two', image('{"w": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}, "b": {"dtype": "BF16", "shape": [2], "data_offsets": [8, 12]}}') || '\x003c00400042004480bf0040',
	'{"task": "regression", "target": "low,high", "layout": "idla", "architecture": "linear", "columns": [{"name": "pair", "kind": "array", "length": 2}], "tensors": {"head.weights": "w", "head.bias": "b"}, "target_mean": [10, 20], "target_scale": [1, 2]}');
SELECT idla_predict('two', r, output => 'low'), idla_predict('two', r, output => 'high') FROM (SELECT ARRAY[1, 10]::float8[] AS pair) r;

-- a matrix may be turned, a list of numbers may not
SELECT idla_import('turned', tensors('{"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [16, 24]}}', 1, 3, 2, 4, 10, 20),
	'{"task": "regression", "target": "low,high", "layout": "idla", "architecture": "linear", "columns": [{"name": "pair", "kind": "array", "length": 2}], "tensors": {"head.weights": {"tensor": "w", "transpose": true}, "head.bias": "b"}}');
SELECT idla_predict('turned', r, output => 'low'), idla_predict('turned', r, output => 'high') FROM (SELECT ARRAY[1, 10]::float8[] AS pair) r;
SELECT wrong('{"tensor": "fc.bias", "transpose": true}', '{tensors,head.bias}'), wrong('{"tensor": "fc.bias", "transpose": false}', '{tensors,head.bias}') \gx
-- a network that is told in two numbers takes no memory before the file has as many
SELECT attack(file, mapping || jsonb_build_object('architecture', 'mlp', 'depth', 64, 'width', 16384, 'tensors', (SELECT mapping -> 'tensors' || jsonb_object_agg(name, 'fc.bias')
	FROM (SELECT format('block%s.linear.%s', i, part) AS name FROM generate_series(0, 63) i, unnest(ARRAY['weights', 'bias']) part) n))) FROM linear;

-- ---- ONNX: its answers are compared by test/bench/check_onnx.py ----
SELECT substr(idla_export('m', 'onnx'), 1, 2), position('LabelEncoder' IN encode(idla_export('m', 'onnx'), 'escape')) > 0, length(idla_export('two', 'onnx')) > 300;
-- signals, series, texts and tokens, what belongs to them under names of its own
CREATE FUNCTION told(file bytea, names text[]) RETURNS text[] LANGUAGE sql AS $$SELECT array_agg(name) FROM unnest(names) name WHERE position(convert_to(name, 'UTF8') IN file) > 0$$;
SET client_min_messages = error;
SELECT version FROM idla_train('scans', 'SELECT ARRAY[sin(i), cos(i), i % 3, i % 2, 1, i % 5, i % 7, 0]::float8[] AS wave, i % 2 = 0 AS y FROM generate_series(1, 60) i', 'y', architecture => 'fcn', options => '{"epochs": 1, "columns": {"wave": "signal"}}');
SELECT version FROM idla_train('slow', 'SELECT ARRAY[sin(i), cos(i), i % 3, i % 2, 1, i % 5, i % 7, 0]::float8[] AS wave, i % 2 = 0 AS y FROM generate_series(1, 60) i', 'y', architecture => 'fcn', options => '{"epochs": 1, "columns": {"wave": {"rate": 1e6, "to_rate": 1, "length": 2}}}');
SELECT version FROM idla_train('viewed', 'SELECT ARRAY[sin(i), cos(i), i % 3, i % 2, 1, i % 5, i % 7, 0]::float8[] AS wave, i % 2 = 0 AS y FROM generate_series(1, 60) i', 'y', architecture => 'fcn', options => '{"epochs": 1, "augment": {"jitter": 0.1}, "augment_predict": 3, "columns": {"wave": "signal"}}');
SELECT version FROM idla_train('stays', 'SELECT p AS patient, h AS hour, 80 + (p % 2) * 20 + (h * p) % 7 AS hr, p % 2 = 0 AS died FROM generate_series(1, 60) p, generate_series(1, 8) h', 'died', options => '{"entity": "patient", "time": "hour", "series": {"use": "both", "bins": 6}, "epochs": 1, "folds": 1, "width": 8}');
SELECT version FROM idla_train('notes', $$SELECT 'day ' || i || (ARRAY[' feels well', ' has pain'])[1 + i % 2] AS note, i % 2 = 0 AS y FROM generate_series(1, 60) i$$, 'y', options => '{"epochs": 1, "columns": {"note": "text"}}');
SELECT version FROM idla_train('tagger', $$SELECT ARRAY['day', i::text, (ARRAY['aspirin', 'rest'])[1 + i % 2]] AS tokens, ARRAY['O', 'O', (ARRAY['B-Drug', 'O'])[1 + i % 2]] AS tags FROM generate_series(1, 60) i$$, 'tags', options => '{"epochs": 1, "width": 4}');
SET client_min_messages = notice;
SELECT told(idla_export('scans', 'onnx'), '{wave,wave.length,wave.samples,wave.mask,embedding}') AS signal;
SELECT told(idla_export('stays', 'onnx'), '{hr,hr.deviation,series,series.before,series.age,series.length}') AS series;
SELECT told(idla_export('notes', 'onnx'), '{note.mask,note.tokens,note.vocabulary,##,note.tokenizer,embedding}') AS text;
SELECT told(idla_export('tagger', 'onnx'), '{tokens.words,tokens.shapes,tokens.affixes,tokens.characters,aspirin,B-Drug,certainty,embedding}') AS tokens;
-- what cannot be said
SELECT idla_export('slow', 'onnx');
SELECT idla_export('viewed', 'onnx');
SELECT idla_import('scans2', idla_export('scans'));
SELECT idla_export('m', 'onyx');
SELECT idla_export('m', NULL);
SELECT idla_export('m', version => 9);
SELECT idla_export('patients');
SELECT idla_import('patients', idla_export('m'));
SELECT idla_import('m4', NULL);

-- ---- copying ----
SELECT idla_copy('m', 'copy'), idla_copy('m', 'copy', 2), idla_copy('m', 'm', 1);
SELECT version, in_service, same('m', 'copy', version, version), card -> 'origin' ->> 'by', card -> 'origin' ->> 'model', card -> 'origin' ->> 'version' FROM copy WHERE chunk = 0 ORDER BY version;
SELECT idla_copy('m', 'copy', 9);
SELECT idla_copy('m', 'nowhere.copy');
SELECT idla_copy('m', NULL);
SELECT idla_copy('m', 'patients');
SELECT idla_copy('m', 'copy', 1, deploy => true);
SELECT in_service FROM idla_models WHERE model = 'copy'::regclass;
UPDATE copy SET weights = set_byte(weights, length(weights) - 1, 1) WHERE version = 1;
\set VERBOSITY terse
SELECT idla_copy('copy', 'copy2', 1);
\set VERBOSITY default
SELECT to_regclass('copy2');
BEGIN;
SELECT idla_copy('m', 'gone');
ROLLBACK;
SELECT to_regclass('gone');
BEGIN TRANSACTION READ ONLY;
SELECT length(idla_export('m')) > 1000;
SELECT idla_copy('m', 'gone');
ROLLBACK;
BEGIN TRANSACTION READ ONLY;
SELECT idla_import('gone', idla_export('m'));
ROLLBACK;

-- ---- who may ----
CREATE ROLE idla_guest;
GRANT USAGE, CREATE ON SCHEMA exchange TO idla_guest;
GRANT SELECT (version, in_service, card) ON m TO idla_guest;
SET ROLE idla_guest;
SELECT idla_export('m');
SELECT idla_copy('m', 'taken');
RESET ROLE;
GRANT SELECT ON m TO idla_guest;
SET ROLE idla_guest;
SELECT idla_copy('m', 'taken'), idla_import('taken', idla_export('m', version => 2)), length(idla_export('m', 'onnx')) > 1000;
SELECT relowner::regrole FROM pg_class WHERE oid = 'taken'::regclass;
SELECT idla_copy('m', 'copy');
SELECT idla_import('copy', idla_export('m'));
RESET ROLE;
GRANT INSERT ON copy TO idla_guest;
SET ROLE idla_guest;
SELECT idla_copy('m', 'copy');
SELECT idla_copy('m', 'copy', deploy => true);
RESET ROLE;
DROP OWNED BY idla_guest;
DROP ROLE idla_guest;

-- ---- what is done to tables is done to models ----
SET client_min_messages = error;
CREATE VIEW risk AS SELECT id, idla_predict('m2', p) AS risk FROM patients p;
CREATE TABLE before AS SELECT * FROM risk;
ALTER TABLE m2 RENAME TO renamed;
SELECT count(*) FROM risk JOIN before USING (id, risk);
CREATE SCHEMA ward;
ALTER TABLE renamed SET SCHEMA ward;
SELECT count(*) FROM risk JOIN before USING (id, risk);
SELECT pg_get_viewdef('risk'::regclass) LIKE '%ward.renamed%';
SELECT idla_deploy('ward.renamed', 1), idla_copy('ward.renamed', 'ward.renamed'), version FROM idla_train('ward.renamed', 'SELECT age, sex, lab, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 2}');
CREATE ROLE idla_heir;
GRANT CREATE, USAGE ON SCHEMA ward TO idla_heir;
ALTER TABLE ward.renamed OWNER TO idla_heir;
COMMENT ON TABLE ward.renamed IS 'who is sick';
SELECT schema, model, owner, versions, in_service, comment FROM idla_models WHERE schema = 'ward';
SET ROLE idla_heir;
SELECT idla_deploy('ward.renamed', 2), idla_copy('ward.renamed', 'ward.heirs');
RESET ROLE;
DROP TABLE ward.renamed;
DROP VIEW risk;
DROP TABLE ward.renamed;
SELECT idla_predict('ward.renamed', p) FROM patients p LIMIT 1;
SELECT count(*) FROM idla_models WHERE schema = 'ward';
ALTER TABLE m ADD COLUMN note text;
SET allow_in_place_tablespaces = true;
CREATE TABLESPACE idla_elsewhere LOCATION '';
ALTER TABLE m SET TABLESPACE idla_elsewhere;
SELECT same('m', 'copy', 2, 2);
VACUUM FULL m;
CLUSTER m USING m_pkey;
SELECT same('m', 'copy', 2, 2);
DROP SCHEMA exchange, ward CASCADE;
DROP TABLESPACE idla_elsewhere;
DROP ROLE idla_heir;
