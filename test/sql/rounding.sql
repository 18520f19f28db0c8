-- idla_deploy with weights: versions in bfloat16 and int8, what they cost, and what is refused.
\set VERBOSITY default
SET client_min_messages = error;
SET idla.progress = off;
SET idla.threads = 1;
CREATE SCHEMA rounding;
SET search_path = rounding, public;
CREATE TABLE patients AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, (ARRAY['f', 'm', 'other'])[1 + i % 3] AS sex, 'ward ' || i % 12 AS ward, CASE WHEN i % 7 > 0 THEN (i * 31) % 90 END AS lab,
	(i * 37) % 50 + (i * 17) % 20 > 34 AS sick, (ARRAY['mild', 'severe', 'none'])[1 + ((i * 37) % 50) / 17] AS grade, 100 + (i * 37) % 50 + (i * 17) % 20 AS pressure,
	1 + (i * 13) % 40 AS days, i % 3 = 0 AS died, i % 2 = 0 AS cough
FROM generate_series(1, 300) i;

-- What a model's versions 1 and `rounded` answer is near; bytes, and what the card says.
CREATE FUNCTION check_version(m regclass, source text, weights text, within float8, times float8, OUT made text, OUT near boolean, OUT smaller boolean, OUT recorded boolean, OUT same_file boolean)
LANGUAGE plpgsql AS $$
DECLARE made_version int; before int; after int;
BEGIN
	PERFORM idla_deploy(m, 1, weights => weights, source => source);
	SELECT max(version) INTO made_version FROM idla_versions v WHERE v.model = m;
	EXECUTE format('SELECT card ->> ''weights'', (card #>> ''{rounding,largest_difference}'')::float8 < %L, card -> ''rounding'' = manifest -> ''rounding'' AND card ->> ''digest'' = manifest ->> ''sha256''
		AND (card #>> ''{rounding,of_version}'') = ''1'' AND card #>> ''{rounding,source}'' = %L AND card #>> ''{origin,by}'' = ''idla_deploy'' AND manifest ->> ''weights'' = %L AND manifest ->> ''format'' = ''2'' AND in_service
		FROM %s WHERE version = %s AND chunk = 0', within, source, weights, m, made_version) INTO made, near, recorded;
	EXECUTE format('SELECT sum(length(weights)) FILTER (WHERE version = 1), sum(length(weights)) FILTER (WHERE version = %s) FROM %s', made_version, m) INTO before, after;
	smaller := before > after * times;
	-- a file of it is the same model again
	PERFORM idla_import('again', idla_export(m));
	EXECUTE format('SELECT a.weights = b.weights AND a.manifest = b.manifest FROM %s a, again b WHERE a.version = %s AND a.chunk = 0', m, made_version) INTO same_file;
	DROP TABLE again;
END $$;

-- ---- tables ----
SELECT version FROM idla_train('linear', 'SELECT age, sex, ward, lab, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 1}');
SELECT version FROM idla_train('mlp', 'SELECT age, sex, ward, lab, grade FROM patients', 'grade', architecture => 'mlp', options => '{"epochs": 3, "seed": 1, "folds": 2}');
SELECT version FROM idla_train('resnet', 'SELECT age, sex, lab, pressure FROM patients', 'pressure', architecture => 'resnet', options => '{"epochs": 3, "seed": 1}');
SELECT version FROM idla_train('tabm', 'SELECT age, sex, ward, lab, sick FROM patients', 'sick', architecture => 'tabm', options => '{"epochs": 3, "seed": 1, "members": 8, "embedding": "piecewise"}');
SELECT version FROM idla_train('periodic', 'SELECT age, lab, pressure, days FROM patients', 'pressure, days', architecture => 'mlp', options => '{"epochs": 3, "seed": 1, "embedding": "periodic"}');
SELECT version FROM idla_train('nam', 'SELECT age, sex, lab, sick, cough FROM patients', 'sick, cough', architecture => 'nam', options => '{"epochs": 3, "seed": 1}');
SELECT version FROM idla_train('died', 'SELECT age, lab, days, died FROM patients', 'days,died', 'survival', 'mlp', '{"epochs": 3, "seed": 1}');
SELECT * FROM check_version('linear', 'patients', 'bfloat16', 0.01, 1);
SELECT * FROM check_version('linear', 'patients', 'int8', 0.03, 0.8);
SELECT * FROM check_version('mlp', 'patients', 'bfloat16', 0.02, 1.7);
SELECT * FROM check_version('mlp', 'patients', 'int8', 0.05, 2.5);
SELECT * FROM check_version('resnet', 'patients', 'bfloat16', 1, 1.7);
SELECT * FROM check_version('resnet', 'patients', 'int8', 2, 2.5);
SELECT * FROM check_version('tabm', 'patients', 'bfloat16', 0.02, 1.5);
SELECT * FROM check_version('tabm', 'patients', 'int8', 0.05, 2);
SELECT * FROM check_version('periodic', 'patients', 'bfloat16', 1, 1.5);
SELECT * FROM check_version('periodic', 'patients', 'int8', 2, 2);
SELECT * FROM check_version('nam', 'patients', 'bfloat16', 0.02, 1.2);
SELECT * FROM check_version('nam', 'patients', 'int8', 0.05, 1.5);
SELECT * FROM check_version('died', 'patients', 'bfloat16', 0.05, 1.5);
SELECT * FROM check_version('died', 'patients', 'int8', 0.2, 2);
-- a matrix, the scale of each of its columns, and what stays as it was
WITH file AS (SELECT idla_export('mlp') AS f), header AS (SELECT convert_from(substr(f, 9, get_byte(f, 0) + 256 * get_byte(f, 1) + 65536 * get_byte(f, 2)), 'UTF8')::jsonb AS h FROM file)
SELECT key, value -> 'dtype' AS dtype, value -> 'shape' AS shape, (value #>> '{data_offsets,0}')::int % 4 = 0 OR value ->> 'dtype' = 'I8' AS aligned
FROM header, jsonb_each(h) WHERE key LIKE 'net0/block0.linear.%' OR key LIKE 'net0/head.%' OR key = 'net0/baseline' ORDER BY key COLLATE "C";

-- batches, single rows and sessions give the same bits, those of the rounded weights; other programs get them too
CREATE TABLE answer AS SELECT id, idla_predict('tabm', p, 1) AS v1, idla_predict('tabm', p, 2) AS v2, idla_predict('tabm', p, 3) AS v3 FROM patients p;
SELECT count(*) FILTER (WHERE v1 <> v2) > 200 AS others, count(*) FILTER (WHERE v2 <> v3) > 200 AS others FROM answer;
SELECT count(*) FROM patients p JOIN answer USING (id) WHERE idla_predict('tabm', p) = v3;
SET idla.batch_predict = off;
SELECT count(*) FROM patients p JOIN answer USING (id) WHERE idla_predict('tabm', p) = v3 AND idla_predict('tabm', p, 2) = v2;
RESET idla.batch_predict;
SELECT idla_evict() > 0 AS evicted;
SELECT count(*) FROM patients p JOIN answer USING (id) WHERE idla_predict('tabm', p) = v3;
SELECT length(idla_export('mlp', 'onnx')) > 1000 AS onnx;
SELECT count(*) > 0 AS explained FROM patients p, idla_explain('tabm', p) WHERE id = 1;
SELECT count(*) AS items, max(psi) < 0.1 AS stable FROM idla_drift('tabm', 'patients') WHERE kind <> 'calibration';
-- what is told and kept is what idla_evaluate says of the two
SELECT count(*) AS metrics, bool_and(abs(e.value - (r.value ->> 'before')::float8) < 1e-12) AS before, bool_and(abs(f.value - (r.value ->> 'after')::float8) < 1e-12) AS after
FROM tabm, jsonb_each(card #> '{rounding,metrics}') r, idla_evaluate('tabm', 'patients', 1) e, idla_evaluate('tabm', 'patients', 3) f
WHERE version = 3 AND chunk = 0 AND e.metric = r.key AND f.metric = r.key;
SELECT abs((card #>> '{rounding,largest_difference}')::float8 - (SELECT max(abs(v3 - v1)) FROM answer)) < 1e-12 AS largest, abs((card #>> '{rounding,mean_difference}')::float8 - (SELECT avg(abs(v3 - v1)) FROM answer)) < 1e-12 AS mean,
	(card #>> '{rounding,reclassified}')::int = (SELECT count(*) FROM patients p WHERE idla_classify('tabm', p, 3) <> idla_classify('tabm', p, 1)) AS reclassified, card #>> '{rounding,rows}' AS rows
FROM tabm WHERE version = 3 AND chunk = 0;
-- so is how often intervals and sets hold
SELECT abs((card #>> '{rounding,metrics,coverage_90,after}')::float8 - (SELECT avg((sick::text = ANY (idla_label_set('tabm', p, 0.9, 3)))::int) FROM patients p)) < 1e-9 AS after,
	abs((card #>> '{rounding,metrics,coverage_90,before}')::float8 - (SELECT avg((sick::text = ANY (idla_label_set('tabm', p, 0.9, 1)))::int) FROM patients p)) < 1e-9 AS before
FROM tabm WHERE version = 3 AND chunk = 0;
SELECT version FROM idla_train('by_sex', 'SELECT age, lab, sex, pressure FROM patients', 'pressure', architecture => 'linear', options => '{"epochs": 3, "seed": 1, "folds": 3, "conformal": {"by": "sex"}}');
SELECT * FROM check_version('by_sex', 'SELECT * FROM patients WHERE id > 100', 'int8', 1, 0.8);
SELECT abs((card #>> '{rounding,metrics,coverage_90,after}')::float8 - (SELECT avg((pressure::numeric <@ idla_interval('by_sex', p, 0.9, version => 2))::int) FROM patients p WHERE id > 100)) < 1e-9 AS after
FROM by_sex WHERE version = 2 AND chunk = 0;
-- a copy, and a dump's road: the rows themselves
SELECT idla_copy('mlp', 'copied', 3);
CREATE TABLE restored (LIKE mlp INCLUDING ALL);
INSERT INTO restored SELECT * FROM mlp;
SELECT count(*) FROM patients p WHERE idla_classify('mlp', p) = idla_classify('copied', p) AND idla_probabilities('restored', p) = idla_probabilities('copied', p);

-- ---- images, signals, series, texts ----
CREATE TABLE scans AS
SELECT i AS id, i % 2 = 0 AS sick, (SELECT array_agg(line ORDER BY y) FROM (SELECT y, array_agg(((x + y * (i % 2) + i) % 5)::real ORDER BY x) AS line FROM generate_series(1, 12) x, generate_series(1, 12) y GROUP BY y) s) AS scan,
	(SELECT array_agg((sin((CASE WHEN i % 2 = 0 THEN 0.8 ELSE 0.4 END) * t + i))::real ORDER BY t) FROM generate_series(1, 40 + i % 7) t) AS lead,
	CASE WHEN i % 2 = 0 THEN 'fever and cough ' ELSE 'is well today ' END || (ARRAY['at home', 'in ward', 'alone'])[1 + i % 3] AS note
FROM generate_series(1, 80) i;
SELECT version FROM idla_train('cnn', 'SELECT scan, sick FROM scans', 'sick', architecture => 'cnn', options => '{"columns": {"scan": "image"}, "epochs": 2, "width": 8, "seed": 1}');
SELECT version FROM idla_train('gru', 'SELECT lead, sick FROM scans', 'sick', architecture => 'gru', options => '{"columns": {"lead": "signal"}, "epochs": 2, "width": 16, "seed": 1}');
SELECT version FROM idla_train('fcn', 'SELECT lead, sick FROM scans', 'sick', architecture => 'fcn', options => '{"columns": {"lead": "signal"}, "epochs": 2, "width": 8, "seed": 1}');
SELECT version FROM idla_train('rocket', 'SELECT lead, sick FROM scans', 'sick', architecture => 'rocket', options => '{"columns": {"lead": "signal"}, "width": 840, "seed": 1}');
SELECT version FROM idla_train('transformer', 'SELECT note, sick FROM scans', 'sick', architecture => 'transformer', options => '{"columns": {"note": "text"}, "epochs": 2, "width": 16, "seed": 1}');
SELECT version FROM idla_train('bag', 'SELECT note, sick FROM scans', 'sick', architecture => 'bag', options => '{"columns": {"note": "text"}, "epochs": 2, "width": 16, "seed": 1}');
SELECT version FROM idla_train('layers', 'SELECT scan, sick FROM scans', 'sick', options => '{"columns": {"scan": "image"}, "layers": "conv(8,3) relu max_pool(2) flatten dense(16) relu", "epochs": 2, "seed": 1}');
SELECT m, made, near, smaller, recorded, same_file FROM unnest(ARRAY['cnn', 'gru', 'fcn', 'rocket', 'transformer', 'bag', 'layers']) WITH ORDINALITY a (m, k), unnest(ARRAY['bfloat16', 'int8']) WITH ORDINALITY w (weights, l), check_version(m::regclass, 'scans', weights, 0.1, 1.1) ORDER BY k, l;
SET idla.batch_predict = off;
CREATE TABLE singly AS SELECT id, idla_predict('cnn', s) AS cnn, idla_predict('gru', s) AS gru, idla_predict('transformer', s) AS transformer FROM scans s;
RESET idla.batch_predict;
SELECT count(*) FROM scans s JOIN singly o USING (id) WHERE idla_predict('cnn', s) = cnn AND idla_predict('gru', s) = gru AND idla_predict('transformer', s) = transformer;
CREATE TABLE events AS SELECT p AS patient, h + (p % 7) / 10.0 AS hour, 70 + 20 * (p % 2) * h / 12.0 + (p * h) % 5 AS hr, p % 2 = 1 AS died FROM generate_series(1, 80) p, generate_series(0, 12) h;
SELECT version FROM idla_train('icu', 'events', 'died', options => '{"entity": "patient", "time": "hour", "series": {"bins": 12}, "epochs": 2, "folds": 1, "width": 16, "seed": 1}');
SELECT * FROM check_version('icu', 'events', 'int8', 0.1, 1.5);
-- taggers are judged by their sentences
CREATE TABLE sentences AS
SELECT i AS id, ARRAY['Case', i::text, 'had', d.word, 'and', 'left', '.'] AS tokens, ARRAY['O', 'O', 'O', d.tag, 'O', 'O', 'O'] AS tags
FROM generate_series(1, 120) i, LATERAL (SELECT (ARRAY['nephritis', 'carditis', 'nothing'])[1 + i % 3], (ARRAY['B-Disease', 'B-Disease', 'O'])[1 + i % 3]) d (word, tag);
SELECT version FROM idla_train('tagger', 'SELECT tokens, tags FROM sentences', 'tags', options => '{"epochs": 3, "width": 16, "rate": 0.01, "seed": 1}');
SELECT made, near, smaller, recorded, same_file FROM check_version('tagger', 'sentences', 'int8', 0, 2);
SELECT card #>> '{rounding,rows}' AS sentences, (SELECT count(*) > 3 FROM jsonb_object_keys(card #> '{rounding,metrics}')) AS metrics, card -> 'rounding' ? 'mean_difference' AS difference FROM tagger WHERE version = 2 AND chunk = 0;

-- ---- trials, notices, warnings ----
SELECT idla_deploy('linear', 1);
SELECT idla_deploy('linear', 1, share => 0.3, weights => 'int8', source => 'patients');
SELECT version, status FROM idla_versions WHERE model = 'linear'::regclass;
SELECT idla_deploy('linear', 1, shadow => true, weights => 'bfloat16', source => 'patients');
SELECT version, status FROM idla_versions WHERE model = 'linear'::regclass;
SET client_min_messages = notice;
\set VERBOSITY terse
SELECT idla_deploy('by_sex', 1, weights => 'bfloat16', source => 'SELECT * FROM patients UNION ALL SELECT * FROM patients WHERE id = 1');
\set VERBOSITY default
SET client_min_messages = error;
-- one weight, of a column that never varies, hides three that matter: the new version is deployed, with a warning
CREATE FUNCTION image(header text, VARIADIC real[]) RETURNS bytea LANGUAGE sql
AS $$ SELECT decode(lpad(to_hex(octet_length(header) % 256), 2, '0') || lpad(to_hex(octet_length(header) / 256), 2, '0') || '000000000000', 'hex') || convert_to(header, 'UTF8') || string_agg(substr(b, 4, 1) || substr(b, 3, 1) || substr(b, 2, 1) || substr(b, 1, 1), '' ORDER BY i) FROM unnest($2) WITH ORDINALITY u (x, i), float4send(x) b $$;
SELECT idla_import('hidden', image('{"w": {"dtype": "F32", "shape": [1, 4], "data_offsets": [0, 16]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [16, 20]}}', 1000000, 1, 2, -1, 0),
	'{"task": "regression", "target": "y", "architecture": "linear", "columns": [{"name": "never"}, {"name": "age"}, {"name": "days"}, {"name": "id"}], "tensors": {"head.weights": "w", "head.bias": "b"}}');
SET client_min_messages = warning;
SELECT idla_deploy('hidden', 1, weights => 'int8', source => 'SELECT 0 AS never, age, days, id, age + 2 * days - id AS y FROM patients');
SET client_min_messages = error;
SELECT version, idla_predict('hidden', r, version) FROM (SELECT 0 AS never, 50 AS age, 7 AS days, 3 AS id) r, generate_series(1, 2) version;
SELECT idla_deploy('hidden', 1, weights => 'bfloat16', source => 'SELECT 0 AS never, age, days, id, age + 2 * days - id AS y FROM patients');
SELECT idla_predict('hidden', r) FROM (SELECT 0 AS never, 50 AS age, 7 AS days, 3 AS id) r;
-- float32 is what version 1 has, and nothing is made
SELECT idla_deploy('linear', 1, weights => 'float32');
SELECT count(*) FROM idla_versions WHERE model = 'linear'::regclass;

-- a source may change what it is asked for: a model that it drops is missed, and nothing worse
CREATE FUNCTION drops(model text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DROP TABLE IF EXISTS ' || model; RETURN 1; END $$;
CREATE FUNCTION renames() RETURNS int LANGUAGE plpgsql AS $$ BEGIN ALTER TABLE IF EXISTS doomed RENAME TO renamed; RETURN 1; END $$;
SELECT idla_copy('linear', 'doomed', 1);
\set VERBOSITY sqlstate
SELECT idla_deploy('doomed', 1, weights => 'int8', source => 'SELECT p.*, drops(''doomed'') FROM patients p');
\set VERBOSITY default
SELECT idla_deploy('doomed', 1, weights => 'int8', source => 'SELECT p.*, renames() FROM patients p');
SELECT version, status FROM idla_versions WHERE model = 'renamed'::regclass;

-- ---- what is refused ----
SELECT idla_deploy('linear', 1, weights => 'int8');
SELECT idla_deploy('linear', 1, source => 'patients');
SELECT idla_deploy('linear', 1, weights => 'float32', source => 'patients');
SELECT idla_deploy('linear', 1, weights => 'int4', source => 'patients');
SELECT idla_deploy('linear', 1, weights => 'fp16', source => 'patients');
SELECT idla_deploy('linear', NULL, weights => 'int8', source => 'patients');
SELECT idla_deploy('linear', 99, weights => 'int8', source => 'patients');
SELECT idla_deploy('linear', 2, weights => 'int8', source => 'patients');
SELECT idla_deploy('linear', 3, weights => 'float32');
SELECT idla_deploy('copied', 1, weights => 'bfloat16', source => 'patients');
SELECT idla_deploy('linear', 1, weights => 'int8', source => 'SELECT age, sex, ward, lab FROM patients');
SELECT idla_deploy('linear', 1, weights => 'int8', source => 'SELECT * FROM patients WHERE false');
SELECT idla_deploy('linear', 1, weights => 'int8', source => 'SELECT 1 / (id - 5) AS x, * FROM patients');
CREATE FUNCTION drops(i int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF i = 300 THEN DROP TABLE linear; END IF; RETURN true; END $$;
SELECT idla_deploy('linear', 1, weights => 'int8', source => 'SELECT * FROM patients WHERE drops(id)');
SELECT idla_deploy('linear', 1, weights => 'int8', source => $$SELECT age, sex, ward, lab, 'perhaps' AS sick FROM patients$$);
SELECT idla_deploy('died', 1, share => 0.5, weights => 'int8', source => 'patients');
SELECT count(*) FROM idla_versions WHERE model = 'linear'::regclass;
BEGIN READ ONLY;
SELECT idla_deploy('linear', 1, weights => 'int8', source => 'patients');
ROLLBACK;
-- rolled back, it was never there
BEGIN;
SAVEPOINT s;
SELECT idla_deploy('linear', 1, weights => 'int8', source => 'patients');
SELECT count(*) FROM patients p WHERE idla_predict('linear', p) <> idla_predict('linear', p, 1);
ROLLBACK TO s;
SELECT count(*) FROM patients p WHERE idla_predict('linear', p) <> idla_predict('linear', p, 1);
COMMIT;

-- rights: to deploy, to read the weights, to train, and to read the source
CREATE ROLE idla_rounder;
GRANT USAGE ON SCHEMA rounding TO idla_rounder;
SET ROLE idla_rounder;
SELECT idla_deploy('linear', 1, weights => 'int8', source => 'patients');
RESET ROLE;
GRANT SELECT (version, in_service, card), UPDATE (in_service) ON linear TO idla_rounder;
SET ROLE idla_rounder;
SELECT idla_deploy('linear', 1, weights => 'int8', source => 'patients');
RESET ROLE;
GRANT SELECT ON linear TO idla_rounder;
SET ROLE idla_rounder;
SELECT idla_deploy('linear', 1, weights => 'int8', source => 'patients');
RESET ROLE;
GRANT INSERT ON linear TO idla_rounder;
SET ROLE idla_rounder;
SELECT idla_deploy('linear', 1, weights => 'int8', source => 'patients');
RESET ROLE;
GRANT SELECT ON patients TO idla_rounder;
SET ROLE idla_rounder;
SELECT idla_deploy('linear', 1, weights => 'int8', source => 'patients') = 1 AS deployed;
SELECT card #>> '{origin,role}' AS made_by FROM linear WHERE in_service AND chunk = 0;
RESET ROLE;

-- ---- rows that nobody wrote so ----
-- The digests are those of the changed bytes: what is refused is refused for what it says.
CREATE FUNCTION attack(change text, manifest_change text DEFAULT 'manifest') RETURNS text LANGUAGE plpgsql AS $$
DECLARE trouble text;
BEGIN
	CREATE TABLE victim (LIKE mlp INCLUDING ALL);
	INSERT INTO victim SELECT * FROM copied;
	EXECUTE 'UPDATE victim SET weights = ' || change || ', manifest = ' || manifest_change;
	UPDATE victim SET manifest = manifest || jsonb_build_object('weights_sha256', encode(sha256(weights), 'hex'));
	UPDATE victim SET manifest = manifest || jsonb_build_object('sha256', encode(sha256(convert_to((manifest - 'sha256')::text, 'UTF8')), 'hex'));
	BEGIN
		PERFORM idla_classify('victim', p) FROM patients p;
		trouble := 'answers';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS trouble = PG_EXCEPTION_DETAIL;
		trouble := sqlstate || ' ' || sqlerrm || ': ' || trouble;
	END;
	DROP TABLE victim;
	RETURN regexp_replace(trouble, '[0-9]{3,}', 'N', 'g');
END $$;
-- where a tensor begins among the bytes
CREATE FUNCTION at(tensor text) RETURNS int LANGUAGE sql AS $$
	SELECT 8 + n + (convert_from(substr(weights, 9, n), 'UTF8')::jsonb #>> ARRAY[tensor, 'data_offsets', '0'])::int FROM (SELECT weights, get_byte(weights, 0) + 256 * get_byte(weights, 1) + 65536 * get_byte(weights, 2) AS n FROM copied WHERE version = 1 AND chunk = 0) w $$;
CREATE FUNCTION put(bytes bytea, place int, what bytea) RETURNS bytea LANGUAGE sql AS 'SELECT overlay(bytes PLACING what FROM place + 1)';
SELECT attack('weights');
SELECT attack(format('put(weights, %s, %L)', at('net0/head.weights.scale'), '\x0000c07f'::bytea));
SELECT attack(format('put(weights, %s, %L)', at('net0/head.weights.scale'), '\x0000807f'::bytea));
SELECT attack(format('put(weights, %s, %L)', at('net0/head.weights.scale'), '\x000000bf'::bytea));
SELECT attack(format('put(weights, %s, %L)', at('net0/head.weights.scale'), '\x00000000'::bytea));
SELECT attack(format('put(weights, %s, %L)', at('net0/head.weights.scale'), '\xcdcccc3d'::bytea));
SELECT attack(format('put(weights, %s, %L)', at('net0/head.weights.scale'), '\x0000007f'::bytea));
SELECT attack(format('put(weights, %s, %L)', at('net0/head.weights'), '\x80'::bytea));
SELECT attack(format('put(weights, %s, %L)', at('net0/head.weights'), decode(repeat('00', 1000), 'hex'))) LIKE 'XX001%channel 0 has only zeros%' AS refused
FROM copied WHERE length(weights) - at('net0/head.weights') > 1000;
-- the tensors of one precision under the name of another, scales that are none
SELECT attack('weights', 'manifest || ''{"weights": "bfloat16"}''');
SELECT attack('weights', 'manifest - ''weights''');
SELECT attack('weights', 'manifest || ''{"weights": "int4"}''');
SELECT attack('weights', 'manifest || ''{"weights": 8}''');
SELECT attack('weights', 'manifest || ''{"format": 3}''');
SELECT attack($$put(weights, position('net0/head.weights.scale'::bytea IN weights) - 1, 'net0/head.weights.scalf')$$);
SELECT attack($$put(weights, position('"shape":[1,'::bytea IN weights) - 1, '"shape":[01')$$);
DROP SCHEMA rounding CASCADE;
DROP ROLE idla_rounder;
