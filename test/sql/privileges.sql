-- Who may do what with a model: one part for each line of the table of privileges.
\set VERBOSITY default
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA privileges;
SET search_path = privileges, public;
CREATE TABLE patients AS SELECT i AS id, 30 + (i * 37) % 50 AS age, (i * 37) % 50 + (i * 17) % 20 > 34 AS sick FROM generate_series(1, 200) i;
CREATE VIEW source AS SELECT age, sick FROM patients;
CREATE ROLE idla_owner;
CREATE ROLE idla_nobody;
CREATE ROLE idla_bi;
CREATE ROLE idla_copier;
CREATE ROLE idla_trainer;
CREATE ROLE idla_deployer;
GRANT CREATE, USAGE ON SCHEMA privileges TO idla_owner;
GRANT USAGE ON SCHEMA privileges TO idla_nobody, idla_bi, idla_copier, idla_trainer, idla_deployer;
GRANT SELECT ON patients, source TO idla_owner, idla_nobody, idla_bi, idla_copier, idla_trainer, idla_deployer;

SET ROLE idla_owner;
SELECT model, version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 1}');
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 2}');
SELECT relowner::regrole, relkind FROM pg_class WHERE oid = 'm'::regclass;
GRANT SELECT (version, in_service, card) ON m TO idla_bi, idla_deployer, idla_trainer;
GRANT SELECT ON m TO idla_copier;
GRANT INSERT ON m TO idla_trainer;
GRANT UPDATE (in_service) ON m TO idla_deployer;

-- nothing granted: nothing allowed
SET ROLE idla_nobody;
SELECT count(idla_predict('m', p)) FROM patients p;
SELECT idla_classify('m', p) FROM patients p LIMIT 1;
SELECT idla_probabilities('m', p) FROM patients p LIMIT 1;
SELECT count(*) FROM patients p, idla_explain('m', p) WHERE id = 1;
SELECT count(*) FROM idla_evaluate('m', 'source');
SELECT count(*) FROM idla_classification_report('m', 'source');
SELECT count(*) FROM idla_importance('m', 'source');
SELECT idla_deploy('m', 2);
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3}');
SELECT version FROM idla_train('own', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3}');
SELECT count(*) FROM idla_models WHERE schema = 'privileges';
SELECT count(*) FROM m;

-- SELECT (version, in_service, card): predict, explain, judge, read metrics; not read the weights
SET ROLE idla_bi;
SELECT count(idla_predict('m', p)), count(idla_classify('m', p)), count(idla_probabilities('m', p)) FROM patients p;
SELECT count(*) > 0 FROM patients p, idla_explain('m', p) WHERE id = 1;
SELECT count(*) > 0 FROM idla_evaluate('m', 'source');
SELECT count(*) > 0 FROM idla_importance('m', 'source', 1);
SELECT count(card) FROM idla_versions WHERE model = 'm'::regclass;
SELECT manifest FROM m;
SELECT weights FROM m;
SELECT idla_deploy('m', 2);
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3}');
DROP TABLE m;

-- judging reads the source with the caller's rights, explaining and predicting none at all
RESET ROLE;
REVOKE SELECT ON patients, source FROM idla_bi;
SET ROLE idla_bi;
SELECT count(*) FROM idla_evaluate('m', 'source');
SELECT count(*) FROM idla_evaluate('m', 'SELECT * FROM patients');
SELECT idla_predict('m', p) IS NOT NULL FROM (SELECT 50 AS age) p;
RESET ROLE;
GRANT SELECT ON patients, source TO idla_bi;

-- a view runs its functions as the caller: the role needs the model's grant beside the view's
SET ROLE idla_owner;
CREATE VIEW risk AS SELECT id, idla_predict('m', p) AS risk FROM patients p;
GRANT SELECT ON risk TO idla_bi, idla_nobody;
SET ROLE idla_bi;
SELECT count(risk) FROM risk;
SET ROLE idla_nobody;
SELECT count(risk) FROM risk;

-- a function that the owner lets run with his rights lends them
SET ROLE idla_owner;
CREATE FUNCTION risk_of(patient int) RETURNS float8 LANGUAGE sql STABLE SECURITY DEFINER SET search_path = privileges, public
AS 'SELECT idla_predict(''m'', p) FROM patients p WHERE id = patient';
SET ROLE idla_nobody;
SELECT risk_of(1) IS NOT NULL;

-- SELECT on all columns: the weights too
SET ROLE idla_copier;
SELECT count(weights) > 0 FROM m;
SELECT count(idla_predict('m', p)) FROM patients p;
SELECT idla_deploy('m', 2);

-- INSERT: train a new version, which stays a candidate
SET ROLE idla_trainer;
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 3}');
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3, "deploy": true}');
SELECT idla_deploy('m', 3);
SELECT version, in_service FROM idla_versions WHERE model = 'm'::regclass;
UPDATE m SET card = '{}';
DELETE FROM m;

-- UPDATE (in_service): deploy and roll back
SET ROLE idla_deployer;
SELECT idla_deploy('m', 3);
SELECT idla_deploy('m', 1);
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3}');
UPDATE m SET card = '{}';

-- a privilege taken back is gone with the next statement, in the same session
SELECT count(idla_predict('m', p)) FROM patients p;
RESET ROLE;
REVOKE SELECT (version, in_service, card) ON m FROM idla_deployer;
SET ROLE idla_deployer;
SELECT count(idla_predict('m', p)) FROM patients p;
SELECT idla_deploy('m', 2);

-- and another role within one function call is asked for his own
RESET ROLE;
CREATE FUNCTION as_two_roles() RETURNS text LANGUAGE plpgsql AS $$
DECLARE r patients; i int;
BEGIN
	SELECT * INTO r FROM patients WHERE id = 1;
	FOR i IN 1..2 LOOP
		PERFORM set_config('role', CASE i WHEN 1 THEN 'idla_bi' ELSE 'idla_nobody' END, true);
		IF idla_predict('m', r) IS NULL THEN RETURN 'no answer'; END IF;
	END LOOP;
	RETURN 'both';
END $$;
SELECT as_two_roles();

-- the right to call idla_predict itself is asked for, also where the planner replaces the call
REVOKE EXECUTE ON FUNCTION idla_predict(regclass, record, int, text) FROM PUBLIC;
SET ROLE idla_bi;
SELECT count(idla_predict('m', p)) FROM patients p;
RESET ROLE;
GRANT EXECUTE ON FUNCTION idla_predict(regclass, record, int, text) TO PUBLIC;
SET ROLE idla_bi;
PREPARE asked AS SELECT count(idla_predict('m', p)) FROM patients p;
EXECUTE asked;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION idla_predict(regclass, record, int, text) FROM PUBLIC;
SET ROLE idla_bi;
EXECUTE asked;
RESET ROLE;
GRANT EXECUTE ON FUNCTION idla_predict(regclass, record, int, text) TO PUBLIC;

-- row security on the model: refused, not bypassed and not half read
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
SET ROLE idla_bi;
SELECT count(idla_predict('m', p)) FROM patients p;
SET ROLE idla_owner;
SELECT count(idla_predict('m', p)) FROM patients p;
RESET ROLE;
ALTER TABLE m FORCE ROW LEVEL SECURITY;
SET ROLE idla_owner;
SELECT count(idla_predict('m', p)) FROM patients p;
RESET ROLE;
ALTER TABLE m DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;

-- row security on the source: respected
ALTER TABLE patients ENABLE ROW LEVEL SECURITY;
CREATE POLICY half ON patients FOR SELECT TO idla_bi USING (id <= 100);
SET ROLE idla_bi;
SELECT DISTINCT n FROM idla_evaluate('m', 'SELECT * FROM patients');
RESET ROLE;
ALTER TABLE patients DISABLE ROW LEVEL SECURITY;

-- ownership: everything, and it moves as any table's does
ALTER TABLE m OWNER TO idla_trainer;
GRANT CREATE ON SCHEMA privileges TO idla_trainer;
SET ROLE idla_trainer;
SELECT idla_deploy('m', 2);
ALTER TABLE m RENAME TO n;
SELECT count(*) FROM idla_models WHERE model = 'n'::regclass AND owner = 'idla_trainer';
RESET ROLE;

DROP SCHEMA privileges CASCADE;
DROP ROLE idla_owner, idla_nobody, idla_bi, idla_copier, idla_trainer, idla_deployer;
