-- idla_deploy: one version in service, or none; plans notice.
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA deploy;
SET search_path = deploy, public;
CREATE TABLE patients AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, (i * 71) % 101 AS noise, (i * 37) % 50 + (i * 17) % 20 > 34 AS sick FROM generate_series(1, 300) i;
CREATE VIEW source AS SELECT age, noise, sick FROM patients;

-- the first version goes into service, later ones are candidates
SELECT version, in_service FROM idla_versions WHERE schema = 'deploy';
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 1}');
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 2}');
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'mlp', options => '{"epochs": 3, "seed": 3}');
SELECT version, in_service FROM idla_versions WHERE model = 'm'::regclass;

CREATE TABLE answer AS SELECT id, idla_predict('m', p, 1) AS v1, idla_predict('m', p, 2) AS v2, idla_predict('m', p, 3) AS v3 FROM patients p;
SELECT count(*) FILTER (WHERE v1 <> v2) > 0 AS differ, count(*) FILTER (WHERE v2 <> v3) > 0 AS differ FROM answer;
PREPARE in_service AS
SELECT count(*) FILTER (WHERE q = v1) = 300 AS v1, count(*) FILTER (WHERE q = v2) = 300 AS v2, count(*) FILTER (WHERE q = v3) = 300 AS v3
FROM (SELECT id, idla_predict('m', p) AS q FROM patients p) s JOIN answer USING (id);
EXECUTE in_service;

-- the version replaced is returned; the next statement answers with the new one
SELECT idla_deploy('m', 3);
EXECUTE in_service;
SELECT version, in_service FROM idla_versions WHERE model = 'm'::regclass;
SELECT idla_deploy('m', 3);
EXECUTE in_service;

-- in the middle of a statement the version does not change
SELECT idla_deploy('m', 2), count(*) FILTER (WHERE idla_predict('m', p) = v3) FROM patients p JOIN answer USING (id);
EXECUTE in_service;

-- a rollback, also to a savepoint, undoes it
BEGIN;
SELECT idla_deploy('m', 1);
EXECUTE in_service;
SAVEPOINT s;
SELECT idla_deploy('m', 3);
EXECUTE in_service;
ROLLBACK TO s;
EXECUTE in_service;
ROLLBACK;
EXECUTE in_service;
CREATE FUNCTION deploy_and_fail(OUT before float8, OUT inside float8, OUT after float8) LANGUAGE plpgsql AS $$
DECLARE r patients; v float8; i int;
BEGIN
	SELECT * INTO r FROM patients WHERE id = 1;
	FOR i IN 1..3 LOOP
		BEGIN
			IF i = 2 THEN PERFORM idla_deploy('m', 3); END IF;
			v := idla_predict('m', r);
			IF i = 1 THEN before := v; ELSIF i = 2 THEN inside := v; ELSE after := v; END IF;
			IF i = 2 THEN RAISE EXCEPTION 'no'; END IF;
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END LOOP;
END $$;
SELECT before = v2, inside = v3, after = v2 FROM deploy_and_fail(), answer WHERE id = 1;

-- a version number that a rollback gave back does not bring back the old weights
BEGIN;
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 4}');
CREATE TEMP TABLE rolled_back AS SELECT 1;
SELECT sum(idla_predict('m', p, 4)) AS rolled_back FROM patients p \gset
ROLLBACK;
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 5}');
SELECT sum(idla_predict('m', p, 4)) <> :rolled_back AS other FROM patients p;

-- none in service
SELECT idla_deploy('m', NULL);
EXECUTE in_service;
SELECT in_service FROM idla_models WHERE model = 'm'::regclass;
SELECT idla_deploy('m', NULL);
SELECT idla_deploy('m', 2);
EXECUTE in_service;

-- wrong calls
SELECT idla_deploy('m', 9);
SELECT idla_deploy('m', 0);
SELECT idla_deploy('patients', 1);
SELECT idla_deploy(NULL, 1);
BEGIN READ ONLY;
SELECT idla_deploy('m', 1);
ROLLBACK;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER refuse BEFORE UPDATE ON m FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT idla_deploy('m', 1);
DROP TRIGGER refuse ON m;
CREATE TRIGGER refuse BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT idla_copy('m', 'm', 1);
DROP TRIGGER refuse ON m;
CREATE RULE refuse AS ON UPDATE TO m DO INSTEAD NOTHING;
SELECT idla_deploy('m', 1);
SELECT idla_copy('m', 'm', 1, deploy => true);
DROP RULE refuse ON m;
CREATE RULE refuse AS ON INSERT TO m DO INSTEAD UPDATE m SET in_service = in_service WHERE version = 1;
SELECT idla_deploy('m', 1, share => 0.5);
SELECT idla_copy('m', 'm', 1);
DROP RULE refuse ON m;
EXECUTE in_service;

-- a view that predicts holds its model
CREATE VIEW risk AS SELECT id, idla_predict('m', p) AS risk FROM patients p;
DROP TABLE m;
ALTER TABLE m RENAME TO renamed;
SELECT count(*) FROM risk JOIN answer USING (id) WHERE risk = v2;
DROP VIEW risk;
DEALLOCATE in_service;
DROP TABLE renamed;
DROP SCHEMA deploy CASCADE;
