-- A model is a table like any other: what a DBA does to tables, rightly or not, has the effect that it has on tables, and an error that says what is wrong.
SET client_min_messages = warning;
CREATE SCHEMA catalog;
SET search_path = catalog, public;
SET idla.progress = off;
CREATE TABLE patients AS SELECT i AS id, 30 + (i * 37) % 50 AS age, (i * 37) % 50 + (i * 17) % 20 > 34 AS sick FROM generate_series(1, 200) i;
SELECT version FROM idla_train('m', 'SELECT age, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 2, "seed": 1, "folds": 1}');
SELECT version FROM idla_train('m', 'SELECT age, sick FROM patients', 'sick', architecture => 'mlp', options => '{"epochs": 2, "seed": 1, "folds": 1}');
CREATE VIEW risk AS SELECT id, idla_predict('m', p) AS risk, idla_predict('m', p, version => 1) AS risk_1, idla_predict('m', p, version => 2) AS risk_2 FROM patients p;
-- Which version answers.
CREATE FUNCTION answers() RETURNS text LANGUAGE sql AS $$
	SELECT format('%s rows, %s by version 1, %s by version 2', count(risk), count(*) FILTER (WHERE risk = risk_1), count(*) FILTER (WHERE risk = risk_2)) FROM risk;
$$;
SELECT answers();
\d m
SELECT substring(pg_get_viewdef('risk') FROM 'idla_predict[^)]*\) AS risk_1') AS shown;

-- maintenance
REINDEX TABLE m;
REINDEX TABLE CONCURRENTLY m;
VACUUM FULL m;
CLUSTER m USING m_pkey;
VACUUM (ANALYZE, FREEZE) m;
ALTER TABLE m SET (autovacuum_enabled = off, fillfactor = 50);
ALTER TABLE m SET UNLOGGED;
ALTER TABLE m SET LOGGED;
ALTER TABLE m REPLICA IDENTITY FULL;
ALTER TABLE m ALTER weights SET STORAGE EXTENDED;
ALTER TABLE m ALTER weights SET COMPRESSION pglz;
VACUUM FULL m;
SELECT answers();

-- what others depend on is not dropped; a model under a lock answers whoever has it, and is as it was after a rollback
DROP TABLE m;
BEGIN;
LOCK TABLE m IN ACCESS EXCLUSIVE MODE;
SELECT answers();
SELECT idla_deploy('m', 2);
SELECT answers();
SAVEPOINT before;
TRUNCATE m;
SELECT answers();
ROLLBACK TO before;
SELECT answers();
ROLLBACK;
SELECT answers();

-- other columns, and the same ones elsewhere
ALTER TABLE m ADD note text DEFAULT 'x';
ALTER TABLE m ADD COLUMN twice int GENERATED ALWAYS AS (version * 2) STORED;
SELECT version FROM idla_train('m', 'SELECT age, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 1, "folds": 1}');
SELECT idla_deploy('m', 2);
SELECT answers();
SELECT DISTINCT version, note, twice FROM m WHERE chunk = 0 ORDER BY 1;
SELECT idla_copy('m', 'copied', 2), length(idla_export('m')) > 0 AS exported;
ALTER TABLE m ADD needed text NOT NULL DEFAULT 'q';
ALTER TABLE m ALTER needed DROP DEFAULT;
\set VERBOSITY terse
SELECT idla_deploy('m', 1);
\set VERBOSITY default
SELECT answers();
ALTER TABLE m DROP needed, DROP note, DROP twice;
ALTER TABLE m RENAME card TO cards;
SELECT answers();
SELECT model, versions, in_service FROM idla_models WHERE schema = 'catalog' ORDER BY model::text;
ALTER TABLE m RENAME cards TO card;
ALTER TABLE m ALTER version TYPE bigint;
SELECT answers();
ALTER TABLE m ALTER version TYPE int;
ALTER TABLE m ALTER weights TYPE text USING encode(weights, 'hex');
SELECT answers();
ALTER TABLE m ALTER weights TYPE bytea USING decode(weights, 'hex');
SELECT answers();

-- keys and the mark
ALTER TABLE m DROP CONSTRAINT m_pkey;
SELECT answers();
ALTER TABLE m ADD PRIMARY KEY (chunk, version);
SELECT answers();
DROP INDEX m_in_service_idx;
UPDATE m SET in_service = true WHERE chunk = 0;
SELECT answers();
UPDATE m SET in_service = version = 1 WHERE chunk = 0;
CREATE UNIQUE INDEX ON m (in_service) WHERE in_service AND chunk = 0;
ALTER TABLE m DROP CONSTRAINT idla_model;
SELECT answers();
ALTER TABLE m ADD CONSTRAINT idla_model CHECK ((chunk = 0) = (manifest IS NOT NULL));
SELECT answers();

-- rows; an error tells which version of which model is damaged
DELETE FROM m WHERE version = 3;
SELECT idla_predict('m', p, version => 3) FROM patients p LIMIT 1;
UPDATE m SET in_service = false;
SELECT idla_predict('m', p) FROM patients p LIMIT 1;
UPDATE m SET version = 5 WHERE version = 2;
SELECT idla_deploy('m', 5);
SELECT count(*) FROM patients p WHERE idla_predict('m', p) = idla_predict('copied', p);
UPDATE m SET weights = '\x00' WHERE version = 5 AND chunk = 0;
SELECT idla_predict('m', p) FROM patients p LIMIT 1;
SELECT idla_predict('m', p, version => 1) IS NOT NULL AS answered FROM patients p LIMIT 1;
SELECT idla_deploy('m', 1);

-- the number of a version that is gone is not given again while something is known of it, such as its trial
SELECT idla_copy('m', 'tried', 1), idla_copy('copied', 'tried');
SELECT idla_deploy('tried', 2, share => 0.5);
DELETE FROM tried WHERE version = 2 AND chunk >= 0;
SELECT idla_copy('copied', 'tried');
SELECT version, status FROM idla_versions WHERE model = 'tried'::regclass;

-- copies, children and partitions of tables, and what is no model
CREATE TABLE likewise (LIKE m INCLUDING ALL);
SELECT idla_predict('likewise', p) FROM patients p LIMIT 1;
INSERT INTO likewise SELECT * FROM m WHERE version = 1 AND chunk >= 0;
SELECT count(*) FROM patients p WHERE idla_predict('likewise', p) = idla_predict('m', p);
CREATE TABLE child () INHERITS (m);
SELECT count(*) FROM patients p WHERE idla_predict('likewise', p) = idla_predict('m', p);
SELECT model, versions FROM idla_models WHERE schema = 'catalog' ORDER BY model::text;
DROP TABLE child;
CREATE TABLE only_rows AS TABLE m;
SELECT idla_predict('only_rows', p) FROM patients p LIMIT 1;
SELECT idla_predict('risk', p) FROM patients p LIMIT 1;
SELECT idla_predict('patients', p) FROM patients p LIMIT 1;

-- what a DBA hangs on tables sees models as well: event triggers, triggers, prepared transactions
CREATE TABLE seen (n serial, what text);
CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql SET search_path = catalog AS $$
BEGIN
	IF tg_event = 'sql_drop' THEN
		INSERT INTO seen (what) SELECT 'drop ' || object_identity FROM pg_event_trigger_dropped_objects() WHERE object_type = 'table';
	ELSE
		INSERT INTO seen (what) SELECT command_tag || ' ' || object_identity FROM pg_event_trigger_ddl_commands();
	END IF;
END $$;
CREATE EVENT TRIGGER see ON ddl_command_end EXECUTE FUNCTION see();
CREATE EVENT TRIGGER see_drop ON sql_drop EXECUTE FUNCTION see();
SELECT idla_copy('m', 'made', 1);
DROP TABLE made;
DROP EVENT TRIGGER see;
DROP EVENT TRIGGER see_drop;
SELECT what FROM seen ORDER BY n;
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no tables today'; END $$;
CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION refuse();
\set VERBOSITY terse
SELECT idla_copy('m', 'made', 1);
\set VERBOSITY default
DROP EVENT TRIGGER refuse;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING '% of version %, chunk %', lower(TG_OP), NEW.version, NEW.chunk; RETURN NULL; END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON likewise FOR EACH ROW EXECUTE FUNCTION tell();
SELECT idla_deploy('likewise', NULL);

DROP SCHEMA catalog CASCADE;
