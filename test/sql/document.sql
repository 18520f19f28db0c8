-- Rows that come as documents: the answers of the same row, and errors that say what is wrong with a document.
SET idla.progress = off;
CREATE SCHEMA document;
SET search_path = document, public;
CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
CREATE DOMAIN dose AS numeric(6, 2) CHECK (VALUE >= 0);
CREATE TABLE patients AS
SELECT i AS id, CASE WHEN i % 9 = 0 THEN NULL ELSE 30 + (i * 37) % 50 END AS age, (ARRAY['f', 'm', 'Zürich "x"'])[1 + i % 3] AS sex, (ARRAY['red', 'green', 'blue']::colour[])[1 + i % 3] AS colour,
	(i * 53 % 80 / 7.0)::dose AS dose, i % 4 = 0 AS smokes, date '2020-01-01' + i % 90 AS born, timestamp '2021-03-01 10:00' + i % 50 * interval '1 hour' AS seen, ARRAY[i % 5, NULL, i % 7]::float8[] AS labs, 1 + i % 3 AS ward,
	(i * 37) % 50 + (i * 17) % 20 > 34 AS sick, (i * 37) % 50 * 0.5 + (i * 17) % 20 AS stay, (ARRAY['low', 'middle', 'high'])[1 + ((i * 37) % 50 + (i * 13) % 7) / 19] AS risk
FROM generate_series(1, 300) i;
SET client_min_messages = error;
SELECT version FROM idla_train('sick', 'SELECT age, sex, colour, dose, smokes, born, seen, labs, ward, sick FROM patients', 'sick', architecture => 'mlp', options => '{"epochs": 3, "seed": 1, "folds": 1, "columns": {"ward": "category", "born": {"reference": "seen"}}}');
SELECT version FROM idla_train('risk', 'SELECT age, sex, dose, risk FROM patients', 'risk', architecture => 'linear', options => '{"epochs": 5, "seed": 1}');
SELECT version FROM idla_train('stay', 'SELECT age, sex, dose, stay FROM patients', 'stay', 'regression', 'linear', '{"epochs": 5, "seed": 1}');
RESET client_min_messages;

-- every function, every kind of column: the same bits
SELECT count(*), bool_and(idla_predict_json('sick', to_jsonb(p)) = idla_predict('sick', p)) AS predict, bool_and(idla_classify_json('risk', to_jsonb(p)) = idla_classify('risk', p)) AS classify,
	bool_and(idla_probabilities_json('risk', to_jsonb(p)) = idla_probabilities('risk', p)) AS probabilities, bool_and(idla_predict_json('risk', to_jsonb(p), output => 'low') = idla_predict('risk', p, output => 'low')) AS output,
	bool_and(idla_interval_json('stay', to_jsonb(p), 0.8) = idla_interval('stay', p, 0.8)) AS interval, bool_and(idla_label_set_json('risk', to_jsonb(p), 0.95, 1) = idla_label_set('risk', p, 0.95, 1)) AS label_set,
	bool_and(idla_embed_json('sick', to_jsonb(p)) = idla_embed('sick', p)) AS embed, bool_or(idla_classify_json('risk', to_jsonb(p), abstain => 1) IS NOT NULL) AS abstains FROM patients p;
-- subgroups that are told apart by a column which is no input: whoever asks for an interval has its key
SET client_min_messages = error;
SELECT version FROM idla_train('by_group', 'SELECT age, smokes, stay * CASE WHEN smokes THEN 5 ELSE 1 END AS stay FROM patients, generate_series(1, 3)', 'stay', 'regression', 'linear', '{"epochs": 5, "seed": 1, "columns": {"smokes": "ignore"}, "conformal": {"by": "smokes"}}');
RESET client_min_messages;
SELECT bool_and(idla_interval_json('by_group', to_jsonb(p)) = idla_interval('by_group', p)) AS same, count(DISTINCT round(upper(idla_interval('by_group', p)) - lower(idla_interval('by_group', p)))) AS widths FROM patients p;
SELECT idla_predict_json('by_group', '{"age": 50}') IS NOT NULL AS answered;
SELECT idla_interval_json('by_group', '{"age": 50}');
-- a day that is counted from one of another zone, which is not read itself
SET TimeZone = 'America/New_York';
SET client_min_messages = error;
SELECT version FROM idla_train('zoned', 'SELECT age, born, seen AT TIME ZONE ''UTC'' AS seen, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 5, "seed": 1, "folds": 1, "columns": {"seen": "ignore", "born": {"reference": "seen"}}}');
RESET client_min_messages;
SELECT bool_and(idla_predict_json('zoned', to_jsonb(p)) = idla_predict('zoned', p)) AS same FROM (SELECT age, born, seen AT TIME ZONE 'UTC' AS seen FROM patients) p;
RESET TimeZone;
-- written by hand: numbers as texts, keys that nobody reads, null for what is not known
SELECT idla_predict_json('stay', '{"age": "50", "sex": "f", "dose": 3.5, "name": {"first": ["x"]}}') = idla_predict('stay', p) AS same FROM (SELECT 50 AS age, 'f' AS sex, 3.5::numeric AS dose) p;
SELECT idla_predict_json('stay', '{"age": null, "sex": null, "dose": null}') = idla_predict('stay', p) AS same FROM (SELECT NULL::int AS age, NULL::text AS sex, NULL::numeric AS dose) p;
-- no document, no model
SELECT idla_predict_json('stay', NULL) IS NULL AS a, idla_predict_json(NULL, '{}') IS NULL AS b;
-- what is wrong with it
SELECT idla_predict_json('stay', '{"age": 50, "Sex": "f"}');
SELECT idla_predict_json('stay', '[1, 2]');
SELECT idla_predict_json('stay', '3');
SELECT idla_predict_json('stay', '{"age": "fifty", "sex": "f", "dose": 1}');
SELECT idla_predict_json('stay', '{"sex": "f", "dose": {"mg": 1}, "age": 50}');
SELECT idla_predict_json('sick', to_jsonb(p) || '{"labs": [1, 2]}') FROM patients p LIMIT 1;
SELECT idla_predict_json('sick', to_jsonb(p) || '{"labs": 7}') FROM patients p LIMIT 1;
SET idla.on_bad_input = 'null';
SELECT idla_predict_json('sick', to_jsonb(p) || '{"labs": [1, 2]}') IS NULL AS unreadable FROM patients p LIMIT 1;
RESET idla.on_bad_input;
SELECT idla_predict_json('risk', '{"age": 50, "sex": "f", "dose": 1}');
SELECT idla_predict_json('stay', '{"age": 50, "sex": "f", "dose": 1}', 7);
-- one call asks several models and versions, and sees the one that was deployed meanwhile
SELECT m, idla_predict_json(m::regclass, to_jsonb(p)) = CASE m WHEN 'sick' THEN idla_predict('sick', p) ELSE idla_predict('stay', p) END AS same FROM (VALUES ('sick'), ('stay'), ('sick')) v (m), (SELECT * FROM patients WHERE id = 1) p;
CREATE FUNCTION as_document(p patients) RETURNS float8 LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN idla_predict_json('stay', to_jsonb(p)); END $$;
SELECT as_document(p) = idla_predict('stay', p, version => 1) AS first FROM patients p WHERE id = 1;
SET client_min_messages = error;
SELECT version FROM idla_train('stay', 'SELECT age, smokes, stay FROM patients', 'stay', 'regression', 'linear', '{"epochs": 5, "seed": 1, "deploy": true}');
RESET client_min_messages;
SELECT as_document(p) = idla_predict('stay', p, version => 2) AS second, idla_predict_json('stay', '{"age": 50, "smokes": true}') IS NOT NULL AS other_keys FROM patients p WHERE id = 1;
-- rights are those of predicting
CREATE ROLE idla_document_reader;
GRANT USAGE ON SCHEMA document TO idla_document_reader;
SET ROLE idla_document_reader;
SELECT idla_predict_json('stay', '{"age": 50, "smokes": true}');
RESET ROLE;
GRANT SELECT (version, in_service, card) ON stay TO idla_document_reader;
SET ROLE idla_document_reader;
SELECT idla_predict_json('stay', '{"age": 50, "smokes": true}') IS NOT NULL AS answered;
RESET ROLE;
-- in workers
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
ALTER TABLE patients SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT sum(idla_predict_json('sick', to_jsonb(p))) FROM patients p;
SELECT sum(idla_predict_json('sick', to_jsonb(p)))::numeric(12, 6) = (SELECT sum(idla_predict('sick', p))::numeric(12, 6) FROM patients p) AS same FROM patients p;
SET client_min_messages = error;
DROP SCHEMA document CASCADE;
DROP ROLE idla_document_reader;
