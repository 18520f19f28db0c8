-- odd_calls.sql: for OddCalls.pm, models of every kind, the tables they learn from, and objects that are no models.
SET client_min_messages = error;
SET idla.progress = off;
SET idla.threads = 1;
CREATE EXTENSION IF NOT EXISTS idla;
CREATE TYPE grade AS ENUM ('low', 'middle', 'high');
CREATE DOMAIN positive_int AS int CHECK (value >= 0);
CREATE TABLE patients AS
SELECT i AS id, (30 + (i * 37) % 50)::positive_int AS age, (ARRAY['f', 'm', 'x'])[1 + i % 3] AS sex, CASE WHEN i % 7 = 0 THEN NULL ELSE ((i * 53) % 80)::numeric END AS pressure,
	date '2020-01-01' + (i * 11) % 900 AS admitted, timestamptz '2020-01-01' + i * interval '7 hours' AS seen, make_interval(hours => i % 90) AS stayed, ARRAY[i % 7, i % 11]::float4[] AS values,
	(ARRAY['low', 'middle', 'high'])[1 + i % 3]::grade AS grade, i % 4 = 0 AS tired, (i * 37) % 50 + (i * 17) % 20 > 38 AS sick, (ARRAY['low', 'middle', 'high'])[1 + ((i * 37) % 50) / 17] AS risk,
	((i * 37) % 50) * 0.5 AS stay, 1 + (i * 29) % 100 AS days, i % 4 <> 0 AS died
FROM generate_series(1, 200) i;
ALTER TABLE patients ADD CHECK (age < 200), ADD CHECK (stay >= 0), ADD PRIMARY KEY (id);
CREATE TABLE pictures AS
SELECT i AS id, (i % 50)::float8 AS age, i % 3 = 0 AS sick,
	(SELECT array_agg(ARRAY[x, (x * i) % 9, i % 3, x, i % 7, x, 1, 0]) FROM generate_series(1, 8) x)::float4[] AS scan,
	CASE WHEN i <> 2 THEN (SELECT array_agg(sin(t * (1 + i % 3))::float4) FROM generate_series(1, 64 + i % 9) t) END AS wave
FROM generate_series(1, 80) i;
CREATE TABLE notes AS
SELECT i AS id, 'Case ' || i || ' had ' || (ARRAY['nephritis', 'carditis', 'asthma', 'nothing'])[1 + i % 4] || ' and took ' || (ARRAY['aspirin', 'heparin', 'leave'])[1 + i / 4 % 3] || '.' AS note,
	ARRAY['Case', i::text, 'had', (ARRAY['nephritis', 'carditis', 'asthma', 'nothing'])[1 + i % 4], '.'] AS tokens,
	ARRAY['O', 'O', 'O', (ARRAY['B-Disease', 'B-Disease', 'B-Disease', 'O'])[1 + i % 4], 'O'] AS tags, i % 4 < 3 AS ill
FROM generate_series(1, 120) i;
CREATE TABLE events AS
SELECT p AS patient, 20 + (p * 37) % 60 AS age, h + ((p * h) % 60) / 60.0 AS hour, CASE WHEN (h * 7 + p) % 3 <> 0 THEN 70 + h + ((p * h * 31) % 17) END AS hr,
	CASE WHEN (h + p) % 5 = 0 THEN 7.4 + ((p * h * 17) % 13) / 100.0 END AS ph, 24 AS decision, (p * 7919) % 101 > 50 AS died
FROM generate_series(1, 60) p, generate_series(0, 8) h;
CREATE TABLE pairs AS SELECT patient, hour, 'hr' AS what, hr AS value, died FROM events UNION ALL SELECT patient, hour, 'ph', ph, died FROM events;

SELECT count(version) FROM (
	SELECT * FROM idla_train('m_mlp', 'SELECT age, sex, pressure, admitted, seen, stayed, grade, values, sick FROM patients', 'sick', architecture => 'mlp', options => '{"epochs": 2, "width": 8, "depth": 1, "folds": 1, "linear": true}') UNION ALL
	SELECT * FROM idla_train('m_tabm', 'SELECT age, sex, pressure, tired, risk FROM patients', 'risk', architecture => 'tabm', options => '{"epochs": 1, "members": 2, "width": 8, "folds": 2, "conformal": {"by": "sex", "score": "aps"}}') UNION ALL
	SELECT * FROM idla_train('m_nam', 'SELECT age, sex, pressure, stay FROM patients', 'stay', 'regression', 'nam', '{"epochs": 1, "folds": 1, "conformal": {"score": "scaled"}}') UNION ALL
	SELECT * FROM idla_train('m_two', 'SELECT age, sex, values, stay, days FROM patients', 'stay,days', 'regression', 'resnet', '{"epochs": 1, "folds": 1, "width": 8, "depth": 1, "scaling": "quantile"}') UNION ALL
	SELECT * FROM idla_train('m_labels', 'SELECT age, sex, pressure, sick, tired FROM patients', 'sick,tired', 'multilabel', 'mlp', '{"epochs": 1, "folds": 1, "width": 8, "embedding": "piecewise"}') UNION ALL
	SELECT * FROM idla_train('m_survival', 'SELECT age, sex, days, died FROM patients', 'days,died', 'survival', 'mlp', '{"epochs": 1, "width": 8, "folds": 1, "embedding": "periodic"}') UNION ALL
	SELECT * FROM idla_train('m_robust', 'SELECT age, sex, pressure, stay, sick FROM patients', 'sick', architecture => 'mlp', options => '{"epochs": 1, "width": 8, "folds": 1, "adversarial": {"method": "pgd", "steps": 2}}') UNION ALL
	SELECT * FROM idla_train('m_scan', 'SELECT scan, age, sick FROM pictures', 'sick', architecture => 'cnn', options => '{"epochs": 1, "depth": 1, "width": 2, "augment": {"flip": 0.5}, "augment_predict": 2, "columns": {"scan": {"kind": "image"}}}') UNION ALL
	SELECT * FROM idla_train('m_xray', 'SELECT image, pneumonia FROM xrays', 'pneumonia', architecture => 'cnn', options => '{"epochs": 1, "depth": 1, "width": 2, "columns": {"image": {"height": 16, "width": 16}}}') UNION ALL
	SELECT * FROM idla_train('m_wave', 'SELECT wave, age, sick FROM pictures', 'sick', architecture => 'fcn', options => '{"epochs": 1, "depth": 1, "width": 4, "columns": {"wave": {"rate": 10, "to_rate": 5}}}') UNION ALL
	SELECT * FROM idla_train('m_window', 'SELECT wave, sick FROM pictures', 'sick', architecture => 'gru', options => '{"epochs": 1, "depth": 1, "width": 4, "columns": {"wave": {"window": 16, "stride": 8}}}') UNION ALL
	SELECT * FROM idla_train('m_rocket', 'SELECT wave, sick FROM pictures', 'sick', architecture => 'rocket', options => '{"width": 84}') UNION ALL
	SELECT * FROM idla_train('m_note', 'SELECT note, ill FROM notes', 'ill', architecture => 'bag', options => '{"epochs": 1, "width": 8, "columns": {"note": {"kind": "text", "pieces": 60, "lowercase": false}}}') UNION ALL
	SELECT * FROM idla_train('m_transformer', 'SELECT note, id, ill FROM notes', 'ill', architecture => 'transformer', options => '{"epochs": 1, "width": 8, "depth": 1, "columns": {"note": {"kind": "text", "pieces": 60, "length": 16}}}') UNION ALL
	SELECT * FROM idla_train('m_tagger', 'SELECT tokens, tags FROM notes', 'tags', options => '{"epochs": 1, "width": 8}') UNION ALL
	SELECT * FROM idla_train('m_series', 'events', 'died', options => '{"entity": "patient", "time": "hour", "label_at": "decision", "series": {"bins": 6}, "epochs": 1, "folds": 1, "width": 4, "members": 2}') UNION ALL
	SELECT * FROM idla_train('m_pairs', 'pairs', 'died', options => '{"entity": "patient", "time": "hour", "series": {"name": "what", "value": "value", "bins": 4, "use": "bins"}, "epochs": 1, "width": 4}') UNION ALL
	SELECT * FROM idla_train('m_words', 'SELECT wave, age, sick FROM pictures', 'sick', architecture => 'conv(2) relu max_pool(2) gru(2) last join dense(3)', options => '{"epochs": 1}') UNION ALL
	SELECT * FROM idla_train('m_trial', 'SELECT age, sex, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 1, "abstain": 0.6}') UNION ALL
	SELECT * FROM idla_train('m_trial', 'SELECT age, sex, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 1}') UNION ALL
	SELECT * FROM idla_train('m_logged', 'SELECT age, sex, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 1}')) t;
SELECT idla_deploy('m_trial', 2, share => 0.5), idla_log('m_logged', 1, 'id'), idla_deploy('m_nam', 1, weights => 'int8', source => 'patients');
SELECT count(idla_predict('m_logged', p)) FROM patients p;
SELECT idla_log_flush();

-- what is no model, or hardly one
CREATE VIEW o_view AS SELECT * FROM m_mlp;
CREATE MATERIALIZED VIEW o_stored AS SELECT * FROM m_mlp;
CREATE SEQUENCE o_sequence;
CREATE TABLE o_parts (version int, chunk int, in_service bool, card jsonb, manifest jsonb, weights bytea, CONSTRAINT idla_model CHECK ((chunk = 0) = (manifest IS NOT NULL))) PARTITION BY LIST (version);
CREATE TABLE o_part PARTITION OF o_parts FOR VALUES IN (1);
INSERT INTO o_parts SELECT * FROM m_mlp;
CREATE TABLE o_parent (LIKE m_mlp INCLUDING ALL);
INSERT INTO o_parent SELECT * FROM m_mlp;
CREATE TABLE o_child () INHERITS (o_parent);
INSERT INTO o_child SELECT * FROM m_mlp;
CREATE TABLE o_empty (LIKE m_mlp INCLUDING ALL);
CREATE TABLE o_torn (LIKE m_mlp INCLUDING ALL);
INSERT INTO o_torn SELECT version, chunk, in_service, card, manifest, substr(weights, 1, 100) FROM m_mlp;
CREATE TABLE o_hollow (LIKE m_mlp INCLUDING ALL);
ALTER TABLE o_hollow DROP COLUMN weights;
CREATE UNLOGGED TABLE o_unlogged (LIKE m_mlp INCLUDING ALL);
INSERT INTO o_unlogged SELECT * FROM m_mlp;
CREATE TABLE o_secret (LIKE m_mlp INCLUDING ALL);
INSERT INTO o_secret SELECT * FROM m_mlp;
ALTER TABLE o_secret ENABLE ROW LEVEL SECURITY;
CREATE TABLE o_none ();
CREATE TYPE o_type AS (age int, sex text, pressure numeric);
CREATE DOMAIN o_patient AS patients;
CREATE TABLE o_dropped AS SELECT 1 AS gone, * FROM patients;
ALTER TABLE o_dropped DROP COLUMN gone, DROP COLUMN sex, ADD COLUMN sex text DEFAULT 'f';
CREATE TABLE o_nested AS SELECT p AS sick, ROW(1, 'f', 2)::o_type AS age, p.sex, ARRAY[p] AS pressure FROM patients p;
CREATE SCHEMA "Odd.Name";
CREATE TABLE "Odd.Name"."m ""quoted"" é" (LIKE m_mlp INCLUDING ALL);
INSERT INTO "Odd.Name"."m ""quoted"" é" SELECT * FROM m_mlp;
-- somebody's operators, functions and tables before the system's
CREATE SCHEMA hostile;
DO $do$
DECLARE t text; o text;
BEGIN
	FOREACH t IN ARRAY ARRAY['int', 'bigint', 'text', 'name', 'oid', 'regclass', 'bool', '"char"', 'float8', 'jsonb', 'bytea'] LOOP
		EXECUTE format('CREATE FUNCTION hostile.wrong(%1$s, %1$s) RETURNS bool LANGUAGE plpgsql AS $$BEGIN RAISE ''a hostile operator was called''; END$$', t);
		FOREACH o IN ARRAY ARRAY['=', '<>', '<', '>', '+', '||'] LOOP
			EXECUTE format('CREATE OPERATOR hostile.%2$s (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = hostile.wrong)', t, o);
		END LOOP;
	END LOOP;
	FOREACH t IN ARRAY ARRAY['sha256(bytea)', 'lower(text)', 'has_table_privilege(oid, text)', 'has_table_privilege(regclass, text)', 'to_jsonb(anyelement)', 'format(text, text)'] LOOP
		EXECUTE format('CREATE FUNCTION hostile.%s RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE ''a hostile function was called''; END$$', t);
	END LOOP;
END $do$;
CREATE TABLE hostile.pg_class (oid int);
CREATE TABLE hostile.patients AS SELECT 1 AS id, 'old' AS age;
CREATE ROLE odd_nobody;
CREATE ROLE odd_owner;
GRANT CREATE, USAGE ON SCHEMA public TO odd_owner;
ALTER TABLE m_two OWNER TO odd_owner;
GRANT SELECT ON patients TO odd_owner;
GRANT SELECT ON patients, m_tabm TO odd_nobody;

-- A manifest with its digests made anew, as whoever knows how they are computed would write it.
CREATE FUNCTION sealed(manifest jsonb, weights bytea) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT m.j || jsonb_build_object('sha256', encode(sha256(convert_to(m.j::text, 'UTF8')), 'hex'))
	FROM (SELECT CASE WHEN jsonb_typeof(manifest) = 'object' THEN jsonb_set(manifest, '{weights_sha256}', to_jsonb(encode(sha256(coalesce(weights, '')), 'hex')), false) - 'sha256' ELSE '{}' END AS j) m
$$;
-- Runs statements one after another in subtransactions and tells how each ended.
CREATE FUNCTION run_each(statements text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE statement text;
BEGIN
	FOREACH statement IN ARRAY statements LOOP
		BEGIN
			EXECUTE statement;
			RETURN NEXT 'done';
		EXCEPTION WHEN OTHERS OR query_canceled THEN
			RETURN NEXT sqlstate || ': ' || left(sqlerrm, 300) || ' <- ' || left(statement, 2000);
		END;
	END LOOP;
END $$;
CREATE TABLE o_fired (i int);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE current_setting('odd.statement'); RETURN new; END $$;
CREATE TRIGGER fire BEFORE INSERT ON o_fired FOR EACH ROW EXECUTE FUNCTION fire();
-- What a query may do between its rows: the models that it asks are let go, loaded beside others, changed, dropped and brought back.
CREATE FUNCTION nasty(what int, model regclass) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		CASE what
			WHEN 0 THEN PERFORM idla_evict();
			WHEN 1 THEN PERFORM set_config('idla.model_cache', '64kB', true), idla_prewarm(m) FROM unnest('{m_mlp,m_scan,m_note,m_tabm}'::regclass[]) m;
			WHEN 2 THEN EXECUTE format('UPDATE %s SET card = card || ''{"threshold": 0.25}'' WHERE chunk = 0', model);
			WHEN 3 THEN EXECUTE format('DROP TABLE %s', model);
			WHEN 4 THEN PERFORM idla_deploy(model, NULL);
			WHEN 5 THEN EXECUTE format('UPDATE %s SET weights = NULL', model); RAISE 'undone';
			WHEN 6 THEN PERFORM idla_evict(model), idla_predict(model, p) FROM patients p LIMIT 1;
			WHEN 7 THEN EXECUTE format('TRUNCATE %s', model);
			WHEN 8 THEN PERFORM idla_copy(model, 'odd_nasty'), idla_predict('odd_nasty', p) FROM patients p LIMIT 1; RAISE 'undone';
			ELSE PERFORM set_config('idla.batch_rows', '1', true), set_config('idla.batch_predict', 'off', true), set_config('search_path', '', true);
		END CASE;
	EXCEPTION WHEN OTHERS THEN
		RETURN 1;
	END;
	RETURN 0;
END $$;
CREATE FUNCTION quietly_nasty(what int, model regclass) RETURNS int LANGUAGE sql STABLE AS 'SELECT public.nasty(what, model)';
-- Bytes of which one has another bit, none are left after a place, or some are twice.
CREATE FUNCTION flipped(b bytea, at float8, n int) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN length(b) > 0 THEN set_byte(b, (at * (length(b) - 1))::int, get_byte(b, (at * (length(b) - 1))::int) # (1 << n)) ELSE b END $$;
CREATE FUNCTION cut(b bytea, at float8) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT substr(b, 1, (at * length(b))::int) $$;
CREATE TABLE files (name text PRIMARY KEY, file bytea);
INSERT INTO files SELECT 'png', image FROM xrays WHERE xray = 1 UNION ALL SELECT m || '.safetensors', idla_export(m::regclass) FROM unnest(ARRAY['m_mlp', 'm_tabm', 'm_scan', 'm_tagger', 'm_series', 'm_two', 'm_nam']) m
	UNION ALL SELECT 'onnx', idla_export('m_mlp', 'onnx');
ANALYZE;
