-- idla_models and idla_versions: what the caller may predict with, whatever state the rest is in.
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA views;
SET search_path = views, public;
CREATE TABLE patients AS SELECT i AS id, 30 + (i * 37) % 50 AS age, (i * 37) % 50 + (i * 17) % 20 > 34 AS sick, (i * 37) % 50 * 0.5 AS stay FROM generate_series(1, 200) i;
CREATE ROLE idla_views_owner;
CREATE ROLE idla_views_reader;
CREATE ROLE idla_views_other;
GRANT ALL ON SCHEMA views TO idla_views_owner;
GRANT USAGE ON SCHEMA views TO idla_views_reader, idla_views_other;
GRANT SELECT ON patients TO idla_views_owner;

SET ROLE idla_views_owner;
SELECT version FROM idla_train('views.sick', 'SELECT age, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 1}');
SELECT version FROM idla_train('views.sick', 'SELECT age, sick FROM patients', 'sick', architecture => 'mlp', options => '{"epochs": 3, "seed": 1}');
SELECT version FROM idla_train('views.stay', 'SELECT age, stay FROM patients', 'stay', 'regression', 'linear', '{"epochs": 3, "seed": 1}');
COMMENT ON TABLE sick IS 'who is sick, cardiology';
GRANT SELECT (version, in_service, card) ON sick TO idla_views_reader;
GRANT SELECT (version, card) ON stay TO idla_views_reader;

SELECT schema, model, owner, versions, in_service, task, split_part(architecture, ':', 1) AS architecture, target, metric, value IS NOT NULL AS value, rows, now() - trained_at < '1 hour' AND trained_at <= clock_timestamp() AS trained, size > 10000 AS size, comment FROM idla_models WHERE schema = 'views';
SELECT schema, model, version, in_service, task, split_part(architecture, ':', 1) AS architecture, target, metric, value IS NOT NULL AS value, rows, now() - trained_at < '1 hour' AS trained, jsonb_typeof(card) FROM idla_versions WHERE schema = 'views';

-- details are those of the version in service
SELECT idla_deploy('sick', 2);
SELECT model, in_service, split_part(architecture, ':', 1) AS architecture FROM idla_models WHERE schema = 'views';
SELECT idla_deploy('sick', NULL);
SELECT model, in_service, split_part(architecture, ':', 1) AS architecture FROM idla_models WHERE schema = 'views';
SELECT idla_deploy('sick', 1);

-- half a grant is none; no grant, no row
SET ROLE idla_views_reader;
SELECT model, versions, in_service FROM idla_models WHERE schema = 'views';
SELECT model, version, in_service FROM idla_versions WHERE schema = 'views';
SET ROLE idla_views_other;
SELECT count(*) FROM idla_models WHERE schema = 'views';
SELECT count(*) FROM idla_versions WHERE schema = 'views';
RESET ROLE;

-- row security that applies to the caller hides the model
ALTER TABLE sick ENABLE ROW LEVEL SECURITY;
SET ROLE idla_views_reader;
SELECT count(*) FROM idla_models WHERE schema = 'views';
RESET ROLE;
ALTER TABLE sick DISABLE ROW LEVEL SECURITY;

-- tables that only look like models, or are broken, do not spoil the list
CREATE TABLE other (a int, CONSTRAINT idla_model CHECK (a > 0));
CREATE TABLE odd (version text, chunk int, in_service boolean, card jsonb, manifest jsonb, weights bytea, CONSTRAINT idla_model CHECK ((chunk = 0) = (manifest IS NOT NULL)));
CREATE TABLE empty (version int, chunk int, in_service boolean, card jsonb, manifest jsonb, weights bytea, CONSTRAINT idla_model CHECK ((chunk = 0) = (manifest IS NOT NULL)));
CREATE TABLE wild (LIKE empty INCLUDING CONSTRAINTS);
INSERT INTO wild VALUES (1, 0, true, '"text"', '{}', ''), (2, 0, NULL, NULL, '{}', ''), (3, 0, false, '[1]', '{}', NULL),
	(4, 0, false, '{"task": 1, "value": "x", "rows": -1, "trained_at": "yesterday", "metric": null}', '{}', ''),
	(5, 0, false, '{"value": 1e400, "rows": 1e300, "trained_at": "9999999-99-99T99:99:99Z", "architecture": {}}', '{}', ''),
	(NULL, 0, false, '{}', '{}', ''), (1, 0, true, '{"task": "binary"}', '{}', '');
CREATE DOMAIN positive AS int CONSTRAINT idla_model CHECK (value > 0);
SELECT model, versions, in_service, task, value IS NOT NULL AS value, rows, trained_at IS NOT NULL AS trained FROM idla_models WHERE schema = 'views' ORDER BY model::text;
SELECT model, version, in_service, task, value, rows, trained_at FROM idla_versions WHERE model = 'wild'::regclass;

-- a model is found under its new name, in its new schema
CREATE SCHEMA views_two;
ALTER TABLE stay SET SCHEMA views_two;
ALTER TABLE views_two.stay RENAME TO length_of_stay;
SELECT schema, model, versions FROM idla_models WHERE schema = 'views_two';
DROP TABLE views_two.length_of_stay;
SELECT count(*) FROM idla_models WHERE schema = 'views_two';

DROP SCHEMA views_two CASCADE;
DROP SCHEMA views CASCADE;
DROP ROLE idla_views_owner, idla_views_reader, idla_views_other;
