-- Rows of a model are untrusted: what does not match its digest, shape or form is refused, and nothing crashes.
\set VERBOSITY terse
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA tampering;
SET search_path = tampering, public;
CREATE TABLE patients AS SELECT i AS id, 30 + (i * 37) % 50 AS age, (ARRAY['f', 'm'])[1 + i % 2] AS sex, (i * 37) % 50 + (i * 17) % 20 > 34 AS sick FROM generate_series(1, 200) i;
SELECT version FROM idla_train('m', 'SELECT age, sex, sick FROM patients', 'sick', architecture => 'mlp', options => '{"epochs": 3, "seed": 1}');
CREATE TABLE kept AS SELECT * FROM m;
CREATE TABLE answer AS SELECT id, idla_predict('m', p) AS prob FROM patients p;

-- what a copy of the rows predicts before and after each attack
CREATE FUNCTION attack(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE outcome text; same bigint;
BEGIN
	CREATE TABLE victim (LIKE m INCLUDING ALL);
	INSERT INTO victim SELECT * FROM kept;
	EXECUTE sql;
	BEGIN
		EXECUTE 'SELECT count(*) FILTER (WHERE idla_predict(''victim'', p) = a.prob) FROM patients p JOIN answer a USING (id)' INTO same;
		outcome := same || ' answers as before';
	EXCEPTION WHEN OTHERS THEN
		outcome := sqlstate || ' ' || regexp_replace(sqlerrm, '[0-9a-f]{64}', '...');
	END;
	DROP TABLE victim;
	RETURN outcome;
END $$;

SELECT attack('SELECT 1');
-- a session that has the true weights in memory notices changed rows as well
SELECT attack('UPDATE victim SET weights = set_byte(weights, length(weights) - 1, get_byte(weights, length(weights) - 1) # 1)');
SELECT attack('UPDATE victim SET weights = ''''');
UPDATE m SET weights = set_byte(weights, 1000, get_byte(weights, 1000) # 4);
SELECT idla_predict('m', p) FROM patients p LIMIT 1;
UPDATE m SET weights = set_byte(weights, 1000, get_byte(weights, 1000) # 4);
SELECT count(*) FROM patients p JOIN answer a USING (id) WHERE a.prob = idla_predict('m', p);

-- and so does one that has not
\c -
\set VERBOSITY terse
SET client_min_messages = error;
SET search_path = tampering, public;
SELECT attack('UPDATE victim SET weights = set_byte(weights, length(weights) - 1, get_byte(weights, length(weights) - 1) # 1)');
SELECT attack('UPDATE victim SET weights = set_byte(weights, 0, get_byte(weights, 0) # 255)');
SELECT attack('UPDATE victim SET weights = substr(weights, 1, length(weights) - 4)');
SELECT attack('UPDATE victim SET weights = weights || ''\x00000000''');
SELECT attack('UPDATE victim SET weights = ''''');
SELECT attack('UPDATE victim SET weights = NULL');
SELECT attack('INSERT INTO victim VALUES (1, 1, false, NULL, NULL, ''\x00'')');
SELECT attack('INSERT INTO victim VALUES (1, 2, false, NULL, NULL, ''\x00'')');
SELECT attack('INSERT INTO victim VALUES (1, -1, false, NULL, NULL, ''\x00'')');
SELECT attack('INSERT INTO victim VALUES (1, 2147483647, false, NULL, NULL, ''\x00'')');
SELECT attack('ALTER TABLE victim DROP CONSTRAINT victim_pkey; INSERT INTO victim SELECT version, chunk, false, card, manifest, weights FROM victim');
SELECT attack('DROP INDEX victim_in_service_idx; INSERT INTO victim SELECT 2, chunk, in_service, card, manifest, weights FROM victim');
SELECT attack('ALTER TABLE victim DROP CONSTRAINT idla_model');
SELECT attack('ALTER TABLE victim DROP COLUMN weights');
SELECT attack('ALTER TABLE victim ALTER weights TYPE text USING encode(weights, ''hex'')');
SELECT attack('ALTER TABLE victim ALTER in_service DROP NOT NULL; UPDATE victim SET in_service = NULL');
SELECT attack('UPDATE victim SET card = NULL');
SELECT attack('UPDATE victim SET card = ''{}''');
SELECT attack('UPDATE victim SET card = ''{"threshold": 7}''');
SELECT attack('UPDATE victim SET manifest = ''{}''');
SELECT attack('UPDATE victim SET manifest = ''[]''');
SELECT attack('UPDATE victim SET manifest = ''"m"''');
SELECT attack('UPDATE victim SET manifest = jsonb_set(manifest, ''{format}'', ''1000'')');
SELECT attack('UPDATE victim SET manifest = jsonb_set(manifest, ''{format}'', ''0'')');
SELECT attack('UPDATE victim SET manifest = jsonb_set(manifest, ''{temperature}'', ''2.5'')');
SELECT attack('UPDATE victim SET manifest = jsonb_set(manifest, ''{weights_sha256}'', to_jsonb(encode(sha256(''x''), ''hex'')))');

-- classify reads the threshold of the card
UPDATE m SET card = jsonb_set(card, '{threshold}', '0.9');
SELECT count(*) FROM patients p WHERE idla_classify('m', p) = CASE WHEN idla_predict('m', p) >= 0.9 THEN 'true' ELSE 'false' END;
UPDATE m SET card = jsonb_set(card, '{threshold}', '7');
SELECT idla_classify('m', p) FROM patients p LIMIT 1;
UPDATE m SET card = card - 'threshold';

-- the whole model still answers; only the two copies that loaded (with other cards) are in memory
SELECT count(*) FROM patients p JOIN answer a USING (id) WHERE a.prob = idla_predict('m', p);
SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'idla' AND ident LIKE 'victim%';
SELECT count(*) FROM pg_backend_memory_contexts WHERE name IN ('idla loading', 'idla lookup', 'idla manifest');

-- what is said of it ends between two characters, however long it is
CREATE FUNCTION detail_of(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	EXECUTE sql;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;
CREATE TABLE victim (LIKE m INCLUDING ALL);
INSERT INTO victim SELECT version, chunk, in_service, card, j || jsonb_build_object('sha256', encode(sha256(convert_to(j::text, 'UTF8')), 'hex')), weights
FROM kept, LATERAL (SELECT manifest - 'sha256' || jsonb_build_object('task', 'a' || repeat('é', 200)) AS j) j;
SELECT regexp_replace(detail_of($$SELECT idla_predict('victim', p) FROM patients p$$), 'é+', 'é') AS cut, regexp_replace(detail_of($$SELECT idla_predict('victim', p) FROM patients p$$), '[^é]+', '', 'g') <> repeat('é', 200) AS shorter;

DROP SCHEMA tampering CASCADE;
