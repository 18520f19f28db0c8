-- architecture rocket: signals as shares of convolutions, weights by equations or by steps.
CREATE SCHEMA rocket;
SET search_path = rocket, public;
SET idla.progress = off;
SET idla.threads = 1;

-- The sick have a wave of twice the frequency; where it begins tells nothing.
CREATE TABLE recordings AS
SELECT i AS id, i % 2 = 0 AS sick, (i % 3) AS kind, 50 + i % 31 AS age, CASE WHEN i % 5 = 0 THEN 'f' ELSE 'm' END AS sex,
	(SELECT array_agg((sin((CASE WHEN i % 2 = 0 THEN 0.8 ELSE 0.4 END) * t + i) + (i % 3) * cos(1.5 * t) + 0.1 * sin(i * 7 + t * 3.3))::real ORDER BY t) FROM generate_series(1, 64 + i % 17) t) AS lead
FROM generate_series(1, 160) i;

-- ---- solved ----

-- 'auto' takes it for one signal; nothing is kept to validate on, because every row is left out once
SELECT architecture, rows_used, epochs, metric, value > 0.95 AS good FROM idla_train('solved', 'SELECT lead, sick FROM recordings', 'sick', options => '{"width": 840}');
SELECT card->'parts' AS parts, card->'temperature' AS temperature FROM solved WHERE chunk = 0;
SELECT metric, value > 0.95 AS good FROM idla_evaluate('solved', 'recordings') WHERE metric IN ('auroc', 'accuracy');
-- the leave-one-out answers calibrate: neither timid nor certain
SELECT value < 0.2 AS calibrated FROM idla_evaluate('solved', 'recordings') WHERE metric = 'log_loss';
-- the same seed, the same model
SELECT value > 0.95 AS good FROM idla_train('again', 'SELECT lead, sick FROM recordings', 'sick', options => '{"width": 840}');
SELECT bool_and(idla_predict('solved', r) = idla_predict('again', r)) AS same FROM recordings r;
SELECT (SELECT manifest->>'weights_sha256' FROM solved WHERE chunk = 0) = (SELECT manifest->>'weights_sha256' FROM again WHERE chunk = 0) AS same_weights;
-- classes, a number, and beside columns
SELECT architecture, metric, value > 0.9 AS good FROM idla_train('kinds', 'SELECT lead, kind FROM recordings', 'kind', 'multiclass', 'rocket', '{"width": 840}');
SELECT count(*) FILTER (WHERE idla_classify('kinds', r) = kind::text) > 150 AS right FROM recordings r;
SELECT architecture, metric, value < 3 AS good FROM idla_train('amplitudes', 'SELECT lead, sex, 10 * kind + (sex = ''f'')::int AS amplitude FROM recordings', 'amplitude', 'regression', 'rocket', '{"width": 840}');
SELECT feature FROM idla_importance('kinds', 'recordings') ORDER BY importance DESC LIMIT 1;
-- several leads of equal length, and two signals
SELECT architecture, value > 0.9 AS good FROM idla_train('leads', 'SELECT ARRAY[lead[1:64], lead[1:64]] AS leads, sick FROM recordings', 'sick', architecture => 'rocket', options => '{"width": 840}');
SELECT architecture, value > 0.9 AS good FROM idla_train('two', 'SELECT lead, lead[1:32] AS start, sick FROM recordings', 'sick', architecture => 'rocket', options => '{"width": 168, "columns": {"start": "signal"}}');
-- a missing signal, a short one, a long one
SELECT idla_predict('solved', t) BETWEEN 0 AND 1 AS answered FROM (SELECT NULL::real[] AS lead) t;
SELECT idla_predict('solved', t) BETWEEN 0 AND 1 AS answered FROM (SELECT ARRAY[1]::real[] AS lead) t;
SELECT idla_predict('solved', t) BETWEEN 0 AND 1 AS answered FROM (SELECT array_fill(0.5::real, ARRAY[100000]) AS lead) t;
-- a validation part that is asked for stays out of it
SELECT epochs FROM idla_train('validated', 'SELECT lead, sick FROM recordings', 'sick', options => '{"width": 84, "validation": 0.2}');
SELECT card->'parts' AS parts FROM validated WHERE chunk = 0;

-- ---- by steps, when an option says how, or the loss is another ----

SELECT architecture, epochs, value > 0.9 AS good FROM idla_train('steps', 'SELECT lead, sick FROM recordings', 'sick', architecture => 'rocket', options => '{"width": 840, "epochs": 30, "rate": 0.001, "batch": 16}');
SELECT epochs, value > 0.9 AS good FROM idla_train('weighted', 'SELECT lead, sick FROM recordings', 'sick', architecture => 'rocket', options => '{"width": 840, "class_weights": "balanced", "epochs": 30, "rate": 0.001}');
SELECT metric, value > 0.5 AS good FROM idla_train('hazards', 'SELECT lead, CASE WHEN sick THEN 1 + id % 7 ELSE 20 + id % 7 END AS time, true AS event FROM recordings', NULL, 'survival', 'rocket', '{"width": 840, "time": "time", "event": "event", "epochs": 10}');

-- ---- explained as a whole ----

SELECT feature, abs(prediction - baseline - contribution) < 0.01 AS complete FROM recordings r, idla_explain('solved', r) WHERE id = 1;
SELECT count(*) > 10 AS segments, bool_and(p.contribution IS NOT NULL) AS all_of_them FROM recordings r, idla_explain_parts('solved', r) p WHERE id = 1;

-- ---- what it is not for ----

SELECT idla_train('m', 'SELECT age, sick FROM recordings', 'sick', architecture => 'rocket');
SELECT idla_train('m', 'SELECT ARRAY[lead[1:8], lead[9:16]] AS image, sick FROM recordings', 'sick', architecture => 'rocket', options => '{"columns": {"image": "image"}}');
SELECT idla_train('m', 'SELECT lead, sick FROM recordings', 'sick', architecture => 'rocket', options => '{"augment": {"signal": {"jitter": 0.1}}}');
SELECT idla_train('m', 'SELECT NULL::real[] AS lead, id FROM recordings', 'id', architecture => 'rocket', options => '{"columns": {"lead": "signal"}}');

-- ---- a stored model that somebody has changed ----

CREATE TABLE damaged (LIKE solved INCLUDING ALL);
INSERT INTO damaged SELECT * FROM solved;
UPDATE damaged SET weights = set_byte(weights, octet_length(weights) - 3, 7) WHERE chunk = 0;
\set VERBOSITY terse
SELECT idla_predict('damaged', r) FROM recordings r LIMIT 1;
\set VERBOSITY default

DROP SCHEMA rocket CASCADE;
