-- idla_deploy with share and shadow: a candidate beside the version in service.
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA trial;
SET search_path = trial, public;
CREATE TABLE patients AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, (i * 71) % 101 AS noise, (ARRAY['f', 'm'])[1 + i % 2] AS sex, (i * 37) % 50 + (i * 17) % 20 > 34 AS sick FROM generate_series(1, 1000) i;
CREATE VIEW source AS SELECT 1.5::float8 AS constant, id, age, noise, 'x' AS same, sex, sick FROM patients;
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 1, "columns": {"id": "keep"}}');
SELECT version FROM idla_train('m', 'SELECT id, age, sex, sick FROM source', 'sick', architecture => 'mlp', options => '{"epochs": 3, "seed": 2, "columns": {"id": "keep"}}');
SELECT version FROM idla_train('m', 'SELECT age, noise AS other, sick FROM source', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 3}');
CREATE TABLE answer AS
SELECT id, idla_predict('m', p, 1) AS p1, idla_predict('m', p, 2) AS p2, idla_classify('m', p, 1) AS c1, idla_classify('m', p, 2) AS c2, idla_probabilities('m', p, 2) AS j2 FROM source p;
SELECT count(*) FILTER (WHERE p1 = p2) AS same FROM answer;
SELECT version, status FROM idla_versions WHERE model = 'm'::regclass;
SELECT idla_stat_reset() IS NOT NULL AS reset;
CREATE FUNCTION served() RETURNS TABLE (rows bigint, first bigint, second bigint, classes bigint) LANGUAGE sql AS $$
	SELECT count(*), count(*) FILTER (WHERE p = p1), count(*) FILTER (WHERE p = p2),
		count(*) FILTER (WHERE c = CASE WHEN p = p1 THEN c1 ELSE c2 END)
	FROM (SELECT id, idla_predict('m', t) AS p, idla_classify('m', t) AS c FROM source t) s JOIN answer USING (id)
$$;

-- a fifth of the rows, and whose is told by the row: in batches and row by row, in any order
SELECT idla_deploy('m', 2, share => 0.2);
SELECT version, status FROM idla_versions WHERE model = 'm'::regclass;
SELECT rows, first + second AS either, second BETWEEN 150 AND 250 AS a_fifth, classes FROM served();
CREATE TABLE given AS SELECT id, idla_predict('m', t) = p2 AS candidate FROM source t JOIN answer USING (id);
SET idla.batch_predict = off;
SELECT rows, first + second AS either, second = (SELECT count(*) FROM given WHERE candidate) AS same, classes FROM served();
SELECT count(*) FROM given JOIN patients t USING (id) JOIN answer USING (id) WHERE candidate = (idla_predict('m', t) = p2);
RESET idla.batch_predict;
SELECT count(*) FROM (SELECT id, idla_predict('m', t) AS p FROM patients t ORDER BY noise, id DESC) s JOIN answer USING (id) JOIN given USING (id) WHERE candidate = (p = p2);
SELECT count(*) FROM patients t JOIN answer USING (id) JOIN given USING (id) WHERE candidate AND idla_probabilities('m', t) <> j2;
SELECT bool_and(idla_predict('m', t, NULL, 'true') = p2) AS candidates, bool_and(idla_predict('m', t, output => 'false') = 1 - p2) AS other_class
FROM patients t JOIN answer USING (id) JOIN given USING (id) WHERE candidate;
EXPLAIN (COSTS OFF) SELECT idla_predict('m', t) FROM patients t;
-- a larger share keeps them
SELECT idla_deploy('m', 2, share => 0.6);
SELECT count(*) FILTER (WHERE candidate AND p <> p2) AS lost, count(*) FILTER (WHERE p = p2) BETWEEN 500 AND 700 AS more
FROM (SELECT id, idla_predict('m', t) AS p FROM patients t) s JOIN answer USING (id) JOIN given USING (id);
SELECT idla_deploy('m', 2, share => 1);
SELECT second FROM served();
-- sets of classes have the coverage of the version in service, and are its own
SELECT count(*) FROM patients t WHERE idla_label_set('m', t) = idla_label_set('m', t, version => 1);
SET idla.batch_predict = off;
SELECT count(*) FROM patients t WHERE idla_label_set('m', t) = idla_label_set('m', t, version => 1);
RESET idla.batch_predict;
-- a classifier abstains as it is told, whoever answers
SELECT count(*) FILTER (WHERE idla_classify('m', t, abstain => 1) IS NULL) = 1000 AS all, count(*) FILTER (WHERE idla_classify('m', t, abstain => 0) = c2) FROM patients t JOIN answer USING (id);
-- who names a version gets it
SELECT count(*) FROM patients t JOIN answer USING (id) WHERE idla_predict('m', t, 1) = p1;

-- in the shadow it answers nothing, and is compared
SELECT idla_stat_reset('m') > 0 AS reset;
SELECT idla_deploy('m', 2, shadow => true);
SELECT version, status FROM idla_versions WHERE model = 'm'::regclass;
SELECT rows, first, second, classes FROM served();
SELECT version, compared, answered, failed,
	abs(difference - (SELECT avg(p2 - p1) FROM answer)) < 1e-9 AS difference, abs(absolute_difference - (SELECT avg(abs(p2 - p1)) FROM answer)) < 1e-9 AS absolute,
	abs(largest_difference - (SELECT max(abs(p2 - p1)) FROM answer)) < 1e-12 AS largest, disagreed = (SELECT count(*) FROM answer WHERE c1 <> c2) AS disagreed
FROM idla_stat_trials WHERE schema = 'trial';
SET idla.batch_predict = off;
SELECT count(idla_predict('m', t)) FROM patients t;
RESET idla.batch_predict;
SELECT version, compared, answered, failed FROM idla_stat_trials WHERE schema = 'trial';

-- another deploy ends it: of the version in service, or of the candidate as a whole
SELECT idla_deploy('m', 1);
SELECT version, status FROM idla_versions WHERE model = 'm'::regclass;
SELECT first, second FROM served();
SELECT idla_deploy('m', 2, share => 0.5);
SELECT idla_deploy('m', 2);
SELECT version, status FROM idla_versions WHERE model = 'm'::regclass;
SELECT first, second FROM served();
-- and so does a training that deploys, unless it is rolled back
SELECT idla_deploy('m', 1);
SELECT idla_deploy('m', 2, share => 0.5);
BEGIN;
SELECT version, in_service FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 1, "deploy": true}');
SELECT version, status FROM idla_versions WHERE model = 'm'::regclass;
ROLLBACK;
SELECT version, status FROM idla_versions WHERE model = 'm'::regclass;
BEGIN;
SELECT idla_deploy('m', NULL);
SELECT version, status FROM idla_versions WHERE model = 'm'::regclass;
SELECT count(idla_predict('m', t)) FROM patients t;
ROLLBACK;
-- and a file or a copy that is put into service at once
BEGIN;
SELECT idla_import('m', idla_export('m', version => 1), deploy => true);
SELECT version, status FROM idla_versions WHERE model = 'm'::regclass;
SELECT idla_deploy('m', 2, share => 0.5);
SELECT idla_copy('m', 'm', 1, deploy => true);
SELECT version, status FROM idla_versions WHERE model = 'm'::regclass;
SELECT event, version, share, replaces FROM idla_deployments WHERE model = 'm'::regclass ORDER BY number DESC LIMIT 3;
-- a first version is in service without a deployment
SELECT idla_copy('m', 'first', 1, deploy => true);
SELECT version, status FROM idla_versions WHERE model = 'first'::regclass;
SELECT count(*) FROM idla_deployments WHERE model = 'first'::regclass;
ROLLBACK;
SELECT number, event, version, share, replaces, deployed_by = current_user AS mine, deployed_at > now() - interval '1 hour' AS lately FROM idla_deployments WHERE model = 'm'::regclass;

-- a prepared plan sees a trial begin and end
PREPARE asked AS SELECT count(*) FILTER (WHERE p = p1) > 0 AS one, count(*) FILTER (WHERE p = p2) > 0 AS two FROM (SELECT id, idla_predict('m', t) AS p FROM patients t) s JOIN answer USING (id);
EXECUTE asked;
SELECT idla_deploy('m', 2);
EXECUTE asked;
SELECT idla_deploy('m', 1);
EXECUTE asked;

-- a row that the candidate cannot read gets the other answer; one that the version in service cannot read is an error
SELECT version FROM idla_train('arrays', 'SELECT age, ARRAY[noise, 1, id] AS panel, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 2, "seed": 1}');
SELECT version FROM idla_train('arrays', 'SELECT age, ARRAY[noise, 1] AS panel, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 2, "seed": 1}');
SELECT idla_deploy('arrays', 2, share => 1);
SELECT count(idla_predict('arrays', s)) FROM (SELECT age, ARRAY[noise, 1, id] AS panel FROM patients) s;
SELECT compared, answered, failed, difference FROM idla_stat_trials WHERE model = 'arrays'::regclass;
SELECT count(idla_predict('arrays', s)) FROM (SELECT age, ARRAY[noise, 1] AS panel FROM patients) s;
SET idla.on_bad_input = 'null';
SELECT count(idla_predict('arrays', s)) FROM (SELECT age, ARRAY[noise, 1] AS panel FROM patients) s;
RESET idla.on_bad_input;

-- images, signals and texts: copies in batches, none row by row
CREATE TABLE beats AS
SELECT i AS id, (SELECT array_agg(sin(i * 0.7 + j * (0.1 + (i % 2) * 0.2)) ORDER BY j) FROM generate_series(1, 64) j) AS lead, CASE WHEN i % 2 = 0 THEN 'slow and calm' ELSE 'fast' END || ' ' || i AS note, i % 2 = 0 AS calm
FROM generate_series(1, 120) i;
SELECT version FROM idla_train('waves', 'SELECT lead, note, calm FROM beats', 'calm', architecture => 'linear', options => '{"epochs": 2, "seed": 1, "columns": {"note": "text"}}');
SELECT version FROM idla_train('waves', 'SELECT lead, note, calm FROM beats', 'calm', architecture => 'linear', options => '{"epochs": 2, "seed": 2, "columns": {"note": "text"}}');
CREATE TABLE heard AS SELECT id, idla_predict('waves', b, 1) AS p1, idla_predict('waves', b, 2) AS p2 FROM beats b;
SELECT idla_deploy('waves', 2, share => 0.5);
CREATE TABLE chosen AS SELECT id, idla_predict('waves', b) AS p FROM beats b;
SET idla.batch_predict = off;
SELECT count(*), count(*) FILTER (WHERE p IN (p1, p2)) AS either, count(*) FILTER (WHERE p = p2) BETWEEN 40 AND 80 AS half, count(*) FILTER (WHERE p = idla_predict('waves', b)) AS same
FROM beats b JOIN heard USING (id) JOIN chosen USING (id);
RESET idla.batch_predict;
SELECT compared, failed FROM idla_stat_trials WHERE model = 'waves'::regclass;

-- other tasks
SELECT version FROM idla_train('r', 'SELECT age, noise, age + noise AS y, age - noise AS z FROM patients', 'y,z', architecture => 'linear', options => '{"epochs": 3, "seed": 1}');
SELECT version FROM idla_train('r', 'SELECT age, noise, age + noise AS y, age - noise AS z FROM patients', 'y,z', architecture => 'linear', options => '{"epochs": 3, "seed": 2}');
CREATE TABLE values AS SELECT id, idla_predict('r', p, 1, 'z') AS z1, idla_predict('r', p, 2, 'z') AS z2 FROM patients p;
SELECT idla_deploy('r', 2, share => 0.5);
SELECT count(*) FILTER (WHERE z = z1) BETWEEN 400 AND 600 AS half, count(*) FILTER (WHERE z NOT IN (z1, z2)) AS neither FROM (SELECT id, idla_predict('r', p, output => 'z') AS z FROM patients p) s JOIN values USING (id);
SELECT version, compared, answered BETWEEN 400 AND 600 AS half, disagreed FROM idla_stat_trials WHERE model = 'r'::regclass;

-- what cannot be compared
SELECT idla_deploy('m', 3, share => 0.5);
SELECT version FROM idla_train('m', 'SELECT age, noise, sex FROM patients', 'sex', architecture => 'linear', options => '{"epochs": 2, "seed": 1}');
SELECT idla_deploy('m', 4, share => 0.5);
SELECT version FROM idla_train('m', 'SELECT noise, age FROM patients', 'age', architecture => 'linear', options => '{"epochs": 2, "seed": 1}');
SELECT idla_deploy('m', 5, shadow => true);
SELECT version FROM idla_train('m', 'SELECT age, noise, CASE WHEN id % 3 = 0 THEN NULL ELSE sick::text || ''!'' END AS sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 2, "seed": 1}');
SELECT idla_deploy('m', 6, shadow => true);
SELECT version FROM idla_train('deaths', 'SELECT age, id % 40 AS days, id % 3 = 0 AS died FROM patients WHERE id % 40 > 0', 'days, died', task => 'survival', architecture => 'linear', options => '{"epochs": 2, "seed": 1}');
SELECT version FROM idla_train('deaths', 'SELECT age, id % 40 AS days, id % 3 = 0 AS died FROM patients WHERE id % 40 > 0', 'days, died', task => 'survival', architecture => 'linear', options => '{"epochs": 2, "seed": 2}');
SELECT idla_deploy('deaths', 2, shadow => true);
SELECT idla_deploy('m', 1, share => 0.5);
SELECT idla_deploy('m', 9, share => 0.5);
SELECT idla_deploy('m', NULL, share => 0.5);
SELECT idla_deploy('m', 2, share => 0);
SELECT idla_deploy('m', 2, share => 1.5);
SELECT idla_deploy('m', 2, share => 'NaN');
SELECT idla_deploy('m', 2, share => 0.5, shadow => true);
BEGIN;
SELECT idla_deploy('m', NULL);
SELECT idla_deploy('m', 2, share => 0.5);
ROLLBACK;
-- in the table somebody has put another version into service, or written nonsense: no trial, and no harm
SELECT idla_deploy('m', 2, share => 1);
SELECT first, second FROM served();
UPDATE m SET card = '{"event": "trial", "share": 7}' WHERE chunk = (SELECT min(chunk) FROM m);
SELECT first, second FROM served();
UPDATE m SET card = '[1]' WHERE chunk = (SELECT min(chunk) FROM m);
SELECT first, second FROM served();
UPDATE m SET card = NULL WHERE chunk = (SELECT min(chunk) FROM m);
SELECT count(*) FROM idla_deployments WHERE model = 'm'::regclass AND event IS NULL;
-- the candidate was deleted
SELECT idla_deploy('m', 2, share => 1);
BEGIN;
DELETE FROM m WHERE version = 2 AND chunk >= 0;
SELECT first, second FROM served();
ROLLBACK;
DELETE FROM m WHERE chunk < 0;
SELECT version, status FROM idla_versions WHERE model = 'm'::regclass AND version < 3;

-- who may deploy needs no right to add rows, and is recorded by his name
CREATE ROLE trial_deployer;
GRANT USAGE ON SCHEMA trial TO trial_deployer;
GRANT SELECT (version, in_service, card), UPDATE (in_service) ON m TO trial_deployer;
SET ROLE trial_deployer;
SELECT idla_deploy('trial.m', 2, share => 0.5);
SELECT idla_deploy('trial.m', 2);
INSERT INTO trial.m (version, chunk, in_service, card) VALUES (2, -9, false, '{"event": "service"}');
RESET ROLE;
SELECT number, event, version, deployed_by FROM idla_deployments WHERE model = 'm'::regclass;
REVOKE UPDATE (in_service) ON m FROM trial_deployer;
SET ROLE trial_deployer;
SELECT idla_deploy('trial.m', 1, share => 0.5);
RESET ROLE;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER refuse BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT idla_deploy('m', 1);

DROP OWNED BY trial_deployer;
DROP ROLE trial_deployer;
DROP SCHEMA trial CASCADE;
