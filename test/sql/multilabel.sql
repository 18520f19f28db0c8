-- several booleans at once: any number of labels may hold.
CREATE SCHEMA multilabel;
SET search_path = multilabel, public;
SET idla.progress = off;
SET idla.threads = 1;

-- Each label follows from what is measured, but for some noise.
CREATE TABLE visits AS
SELECT i AS id, (i * 7919 % 1009) / 1009.0 AS a, (i * 104729 % 997) / 997.0 AS b, (i * 31 % 17)::float8 AS c, (i * 271 % 101) / 200.0 AS noise
FROM generate_series(1, 600) i;
CREATE VIEW source AS SELECT a, b, c, a + noise > 0.75 AS fever, b - noise > 0.3 AS cough, a + b + noise > 1.2 AS rash FROM visits;

-- booleans make it so; a row without one of its labels is left out
SELECT task, rows_used, rows_dropped, dropped_why, metric, value > 0.7 AS good
FROM idla_train('symptoms', 'SELECT a, b, c, fever, cough, CASE WHEN c > 0 THEN rash END AS rash FROM source', 'fever, cough, rash', architecture => 'mlp', options => '{"epochs": 30, "width": 16, "folds": 1}');
SELECT card->'task' AS task, card->'target' AS target FROM symptoms WHERE chunk = 0;
SELECT metric, n, value > 0.7 AS good FROM idla_evaluate('symptoms', 'source') WHERE metric LIKE 'auroc%' ORDER BY metric;
SELECT metric FROM idla_evaluate('symptoms', 'source') ORDER BY metric;

-- one answer each
SELECT avg(((idla_predict('symptoms', s, output => 'fever') > 0.5) = fever)::int) > 0.7 AS fever, avg(((idla_predict('symptoms', s, output => 'cough') > 0.5) = cough)::int) > 0.7 AS cough,
	avg(((idla_predict('symptoms', s, output => 'rash') > 0.5) = rash)::int) > 0.7 AS rash FROM source s;
SELECT DISTINCT l.label FROM source s, jsonb_object_keys(idla_probabilities('symptoms', s)) l(label) ORDER BY 1;
SELECT bool_and(abs((idla_probabilities('symptoms', s)->>'rash')::float8 - idla_predict('symptoms', s, output => 'rash')) < 1e-9) AS same FROM source s;
SELECT idla_classify('symptoms', s) FROM (SELECT 0.95 AS a, 0.98 AS b, 1.0::float8 AS c) s;
SELECT idla_predict('symptoms', s) FROM source s LIMIT 1;
SELECT idla_predict('symptoms', s, output => 'itch') FROM source s LIMIT 1;
SELECT feature FROM (SELECT * FROM source LIMIT 1) s, idla_explain('symptoms', s, output => 'cough') WHERE rank = 1;
SELECT count(*) > 0 AS some FROM idla_importance('symptoms', 'source');
SELECT count(*) FROM idla_classification_report('symptoms', 'source');
SELECT task FROM idla_models WHERE model = 'symptoms'::regclass;

-- numbers are labels when the task says so, and then only 0 and 1
SELECT task FROM idla_train('numbered', 'SELECT a, b, fever::int AS fever, cough::int AS cough FROM source', 'fever,cough', 'multilabel', 'linear', '{"epochs": 2}');
SELECT task FROM idla_train('measured', 'SELECT a, b, fever::int AS fever, cough::int AS cough FROM source', 'fever,cough', architecture => 'linear', options => '{"epochs": 2}');
SELECT idla_train('m', 'SELECT a, b, 2 * fever::int AS fever, cough::int AS cough FROM source', 'fever,cough', 'multilabel', 'linear', '{"epochs": 2}');
SELECT idla_train('m', 'source', 'fever', 'multilabel');
SELECT idla_train('m', 'source', 'fever,cough', 'binary');
SELECT idla_train('m', $$SELECT a, b, fever, 'x' AS cough FROM source$$, 'fever,cough', 'multilabel');
SELECT idla_train('m', 'source', 'fever,fever');
SELECT idla_train('m', 'source', 'fever,cough', options => '{"class_weights": "balanced"}');
SELECT idla_train('m', 'source', 'fever,cough', options => '{"positive": true}');
SELECT idla_train('m', 'SELECT a, b, NULL::boolean AS fever, cough FROM source', 'fever,cough');
-- a label that never holds, or always
SELECT task FROM idla_train('never', 'SELECT a, b, false AS fever, cough FROM source', 'fever,cough', architecture => 'linear', options => '{"epochs": 2}');
-- an AUROC of rows without the label is none
SELECT metric, value IS NULL AS undefined FROM idla_evaluate('numbered', 'SELECT a, b, 0 AS fever, cough::int AS cough FROM source') WHERE metric LIKE 'auroc%' ORDER BY metric;
-- judged rows have all labels, of 0 and 1
SELECT DISTINCT n FROM idla_evaluate('symptoms', 'SELECT a, b, c, fever, cough, CASE WHEN c > 8 THEN rash END AS rash FROM source');
SELECT idla_evaluate('numbered', 'SELECT a, b, 2 AS fever, 1 AS cough FROM source');
-- a column that tells a label is told
SELECT task FROM idla_train('leaking', 'SELECT a, b, c, (cough::int + c * 0.001) AS code, fever, cough FROM source', 'fever,cough', architecture => 'linear', options => '{"epochs": 2}');
SELECT to_regclass('m') IS NULL AS none;
SET client_min_messages = warning;
DROP SCHEMA multilabel CASCADE;
