-- patients' series: long rows gathered by entity, in training and in aggregates, and nothing from the future.
CREATE SCHEMA series;
SET search_path = series, public;
SET idla.progress = off;
SET idla.threads = 1;
SET client_min_messages = notice;

CREATE TABLE patients AS
SELECT p AS patient, 20 + (p * 37) % 60 AS age, CASE WHEN p % 2 = 0 THEN 'f' ELSE 'm' END AS sex, (p * 7919) % 101 / 100.0 AS risk, (p * 7919) % 101 > 50 AS died
FROM generate_series(1, 240) p;
-- The hearts of those who will die beat faster and faster; their blood turns sour. Observed now and then, up to 30 hours, decided at 24.
CREATE TABLE events AS
SELECT patient, age, sex, h + ((patient * h) % 60) / 60.0 AS hour,
	CASE WHEN (h * 7 + patient) % 3 <> 0 THEN 70 + 30 * risk * h / 24.0 + ((patient * h * 31) % 17) END AS hr,
	CASE WHEN (h + patient) % 5 = 0 THEN 7.4 - 0.2 * risk + ((patient * h * 17) % 13) / 100.0 END AS ph,
	24 AS decision, died
FROM patients, generate_series(0, 30) h;

-- ---- wide rows: bins and statistics together ----

SELECT architecture, rows_used, metric, value > 0.9 AS good
FROM idla_train('icu', 'events', 'died', options => '{"entity": "patient", "time": "hour", "label_at": "decision", "series": {"bins": 24}, "epochs": 15, "folds": 1}');
SELECT i->>'name' AS name, i->>'kind' AS kind, i->>'use' AS use FROM icu, jsonb_array_elements(card->'inputs') i WHERE chunk = 0;
SELECT card->'gathered' AS gathered FROM icu WHERE chunk = 0;
SELECT (manifest->'series') - 'channels' AS series, jsonb_path_query_array(manifest, '$.series.channels[*].name') AS channels FROM icu WHERE chunk = 0;

SELECT patient, round(idla_predict_series('icu', e)::numeric, 1) AS p, idla_classify_series('icu', e) AS class, bool_and(died) AS died FROM events e WHERE patient < 4 GROUP BY patient ORDER BY 1;
SELECT abs(1 - sum(p.value::float8)) < 1e-9 AS one FROM (SELECT idla_probabilities_series('icu', e) AS all FROM events e WHERE patient = 3) x, jsonb_each_text(x.all) p;
SELECT abs(idla_predict_series('icu', e) + idla_predict_series('icu', e, 'false') - 1) < 1e-9 AS one, idla_predict_series('icu', e) = idla_predict_series('icu', e, 'true', 1) AS same FROM events e WHERE patient = 3;
SELECT metric, value > 0.9 AS good FROM idla_evaluate('icu', 'events') WHERE metric = 'auroc';
SELECT class, support FROM idla_classification_report('icu', 'SELECT * FROM events ORDER BY hr; -- as they come') WHERE class IN ('true', 'false');
SELECT count(*) AS columns, sum(importance) > 0.1 AS matter FROM idla_importance('icu', 'events', 2);

-- no statistic is left to learn from: the series has no network of columns beside it
SET client_min_messages = warning;
SELECT architecture FROM idla_train('unseen', $$SELECT patient, 0 AS hour, 'hr' AS name, 'infinity'::numeric AS value, died FROM events$$, 'died',
	options => '{"entity": "patient", "time": "hour", "series": {"name": "name", "value": "value", "bins": 3}, "epochs": 1, "folds": 1, "width": 4}');
SELECT count(*) AS answers FROM (SELECT idla_predict_series('unseen', e) FROM (SELECT patient, 0 AS hour, 'hr' AS name, 'infinity'::numeric AS value FROM events) e GROUP BY patient) a;
SET client_min_messages = notice;

-- an aggregate's rows need not say whose they are
SELECT idla_predict_series('icu', e) FROM (SELECT age, sex, hour, hr, ph, decision FROM events WHERE patient < 3) e;

-- the order of rows, and who reads them, changes no bit
CREATE VIEW answers AS SELECT patient, idla_predict_series('icu', e) AS p FROM events e GROUP BY patient;
CREATE TABLE first AS SELECT * FROM answers;
SELECT bool_and(first.p = other.p) AS same FROM first JOIN (SELECT patient, idla_predict_series('icu', e) AS p FROM (SELECT * FROM events ORDER BY hr, hour DESC) e GROUP BY patient) other USING (patient);
SET enable_hashagg = off;
SELECT bool_and(first.p = answers.p) AS same FROM first JOIN answers USING (patient);
RESET enable_hashagg;
-- nor does it who gathers them: workers send parts of an entity, which are put together
CREATE TABLE scattered AS SELECT * FROM events ORDER BY hour, hr;
ANALYZE scattered;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT patient, idla_predict_series('icu', e) FROM scattered e GROUP BY patient;
SELECT bool_and(first.p = other.p) AS same, count(*) FROM first JOIN (SELECT patient, idla_predict_series('icu', e) AS p FROM scattered e GROUP BY patient) other USING (patient);
SELECT bool_and(first.p = other.p) AS same, count(*) FROM first JOIN (SELECT patient, idla_predict_series('icu', e, 'false', 1) AS n, idla_predict_series('icu', e, 'true') AS p
	FROM (SELECT patient, age, sex, hour, hr, ph, decision FROM scattered OFFSET 0) e GROUP BY patient) other USING (patient) WHERE abs(n + other.p - 1) < 1e-9;
SELECT bool_and(idla_classify_series IN ('true', 'false')) AS classes, bool_and(jsonb_typeof(idla_probabilities_series) = 'object') AS objects, min(cardinality(idla_explain_series)) > 10 AS explained
FROM (SELECT idla_classify_series('icu', e), idla_probabilities_series('icu', e), idla_explain_series('icu', e) FROM scattered e WHERE patient < 20 GROUP BY patient) a;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- partitions do the same in one process: every entity has a part in each
CREATE TABLE parted (early boolean, LIKE events) PARTITION BY LIST (early);
CREATE TABLE parted_early PARTITION OF parted FOR VALUES IN (true);
CREATE TABLE parted_late PARTITION OF parted FOR VALUES IN (false);
INSERT INTO parted SELECT hour < 12, e.* FROM events e;
ANALYZE parted;
SET enable_partitionwise_aggregate = on;
SET max_parallel_workers_per_gather = 0;
EXPLAIN (COSTS OFF) SELECT patient, idla_predict_series('icu', p) FROM parted p GROUP BY patient;
SELECT bool_and(first.p = other.p) AS same, count(*) FROM first JOIN (SELECT patient, idla_predict_series('icu', e) AS p FROM parted e GROUP BY patient) other USING (patient);
-- parts that are not of one entity, or say different things of it
SELECT idla_predict_series('icu', e) FROM parted e WHERE patient = 3 OR (patient = 4 AND NOT early);
UPDATE parted SET sex = 'x' WHERE patient = 5 AND early;
SELECT idla_predict_series('icu', e) FROM parted e WHERE patient = 5 GROUP BY patient;
UPDATE parted SET decision = 25 WHERE patient = 6 AND early;
SELECT idla_predict_series('icu', e) FROM parted e WHERE patient = 6 GROUP BY patient;
RESET enable_partitionwise_aggregate;
RESET max_parallel_workers_per_gather;

-- ---- nothing from the future ----

-- whatever happens after the decision, whole weights and answers stay as they are
CREATE TABLE changed AS
SELECT patient, CASE WHEN hour > 24 THEN age + 1000 ELSE age END AS age, CASE WHEN hour > 24 THEN 'x' ELSE sex END AS sex, hour,
	CASE WHEN hour > 24 THEN -1e6 ELSE hr END AS hr, CASE WHEN hour > 24 THEN 14 * (patient % 2) ELSE ph END AS ph, decision, died
FROM events;
SELECT value > 0.9 AS good
FROM idla_train('blind', 'changed', 'died', options => '{"entity": "patient", "time": "hour", "label_at": "decision", "series": {"bins": 24, "static": ["age"]}, "epochs": 15, "folds": 1}');
SELECT (SELECT manifest->>'weights_sha256' FROM icu WHERE chunk = 0) = (SELECT manifest->>'weights_sha256' FROM blind WHERE chunk = 0) AS same_weights;
SELECT bool_and(first.p = other.p) AS same FROM first JOIN (SELECT patient, idla_predict_series('icu', c) AS p FROM changed c GROUP BY patient) other USING (patient);
-- what happens before it does matter
SELECT count(*) FILTER (WHERE first.p <> other.p) > 200 AS different FROM first JOIN (SELECT patient, idla_predict_series('icu', c) AS p FROM (SELECT patient, age, sex, hour, hr + 20 * (hour < 24)::int AS hr, ph, decision FROM events) c GROUP BY patient) other USING (patient);
-- and events themselves may be missing then
SELECT bool_and(first.p = other.p) AS same FROM first JOIN (SELECT patient, idla_predict_series('icu', e) AS p FROM events e WHERE hour <= 24 GROUP BY patient) other USING (patient);

-- ---- why ----

SELECT count(*) > 10 AS several, count(DISTINCT feature) AS features, bool_and(starts >= -24 AND starts < 0) AS before FROM (SELECT (unnest(idla_explain_series('icu', e))).* FROM events e WHERE patient = 5) p;
-- contributions add up: both classes' are each other's negatives
SELECT abs(a.total + b.total) < 1e-6 AS opposite FROM (SELECT sum(contribution) AS total FROM (SELECT (unnest(idla_explain_series('icu', e))).* FROM events e WHERE patient = 5) p) a,
	(SELECT sum(contribution) AS total FROM (SELECT (unnest(idla_explain_series('icu', e, 'false'))).* FROM events e WHERE patient = 5) p) b;

-- ---- (name, value) pairs, other times and uses ----

CREATE TABLE pairs AS
SELECT patient, age, sex, timestamp '2026-01-01' + patient * interval '1 day' + hour * interval '1 hour' AS charted, timestamp '2026-01-01' + patient * interval '1 day' + interval '24 hours' AS decided, 'hr' AS item, hr AS v, died FROM events
UNION ALL SELECT patient, age, sex, timestamp '2026-01-01' + patient * interval '1 day' + hour * interval '1 hour', timestamp '2026-01-01' + patient * interval '1 day' + interval '24 hours', 'ph', ph, died FROM events;
SELECT value > 0.9 AS good
FROM idla_train('paired', 'pairs', 'died', options => '{"entity": "patient", "time": "charted", "label_at": "decided", "series": {"name": "item", "value": "v", "bins": 24, "width": "1 hour", "static": ["age"]}, "epochs": 15, "folds": 1}');
SELECT abs(avg(p.p - w.p)) < 0.02 AS close FROM (SELECT patient, idla_predict_series('paired', e) AS p FROM pairs e GROUP BY patient) p JOIN first w USING (patient);
-- a name that training has not seen means nothing
SELECT bool_and(a.p = b.p) AS same FROM (SELECT patient, idla_predict_series('paired', e) AS p FROM pairs e GROUP BY patient) a
	JOIN (SELECT patient, idla_predict_series('paired', e) AS p FROM (SELECT * FROM pairs UNION ALL SELECT patient, age, sex, charted, decided, 'new', 7, died FROM pairs) e GROUP BY patient) b USING (patient);
SELECT architecture, value > 0.9 AS good
FROM idla_train('summed', 'pairs', 'died', options => '{"entity": "patient", "time": "charted", "series": {"name": "item", "value": "v", "use": "summary"}, "folds": 1}');
SELECT architecture, value > 0.9 AS good
FROM idla_train('binned', 'pairs', 'died', architecture => 'fcn', options => '{"entity": "patient", "time": "charted", "series": {"name": "item", "value": "v", "use": "bins", "bins": 12, "width": 7200, "average": false}, "epochs": 30, "width": 16, "rate": 0.01}');
SELECT count(*) AS answered FROM (SELECT idla_predict_series('summed', e) AS a, idla_predict_series('binned', e) AS b FROM pairs e GROUP BY patient) x WHERE a BETWEEN 0 AND 1 AND b BETWEEN 0 AND 1;
-- numbers and survival, whose time is its own
SELECT metric, value < 0.25 AS good
FROM idla_train('risks', 'SELECT e.*, risk FROM events e JOIN patients USING (patient)', 'risk', 'regression', options => '{"entity": "patient", "time": "hour", "label_at": "decision", "columns": {"died": "ignore"}, "series": {"use": "summary"}, "folds": 1}');
SELECT metric, value > 0.6 AS good
FROM idla_train('deaths', 'SELECT e.*, 1 + 99 * (1 - risk) AS days, true AS event FROM events e JOIN patients USING (patient)', NULL, 'survival', options => '{"entity": "patient", "time": "days", "event": "event", "label_at": "decision", "columns": {"died": "ignore"}, "series": {"time": "hour", "bins": 24}, "epochs": 5, "folds": 1}');
SELECT count(*) FROM (SELECT idla_predict_series('deaths', e) AS hazard FROM events e GROUP BY patient) x WHERE hazard > 0;
SELECT value > 0.9 AS good FROM idla_train('grouped', 'SELECT e.*, patient / 4 AS ward, now() AS admitted FROM events e', 'died', options => '{"entity": "patient", "time": "hour", "group_by": "ward", "columns": {"admitted": "ignore"}, "series": {"use": "summary"}, "folds": 1}');

-- ---- what is missing or bad ----

-- an entity without any event is an entity; one without rows has no answer
SELECT idla_predict_series('icu', e) BETWEEN 0 AND 1 AS answered FROM (SELECT 1 AS patient, 50 AS age, 'f' AS sex, 5 AS hour, NULL::numeric AS hr, NULL::numeric AS ph, 24 AS decision) e;
SELECT idla_predict_series('icu', e) IS NULL AS nothing FROM events e WHERE false;
SELECT idla_predict_series('icu', e) IS NULL AS nothing FROM (SELECT 1 AS patient, 50 AS age, 'f' AS sex, 5 AS hour, 80 AS hr, 7.4 AS ph, NULL::int AS decision) e;
-- entity or label NULL: left out and counted
SELECT rows_used FROM idla_train('m', 'SELECT NULLIF(patient, 7) AS patient, age, sex, hour, hr, ph, CASE WHEN patient <> 9 THEN decision END AS decision, died FROM events', 'died',
	options => '{"entity": "patient", "time": "hour", "label_at": "decision", "series": {"use": "summary"}, "folds": 1, "epochs": 1}');
SELECT idla_train('m', 'SELECT patient, NULLIF(hour, 0) AS hour, hr, died FROM events', 'died', options => '{"entity": "patient", "time": "hour"}');
SELECT idla_train('m', 'SELECT patient, CASE WHEN hour = 0 THEN ''Infinity''::float8 ELSE hour END AS hour, hr, died FROM events', 'died', options => '{"entity": "patient", "time": "hour"}');
SELECT rows_used FROM idla_train('m', 'SELECT patient, NULLIF(hour, 0) AS hour, hr, died FROM events', 'died',
	options => '{"entity": "patient", "time": "hour", "on_bad_input": "skip", "series": {"use": "summary"}, "folds": 1, "epochs": 1}');
SELECT idla_train('m', 'SELECT patient, hour, hr, died <> (patient = 5 AND hour > 20) AS died FROM events', 'died', options => '{"entity": "patient", "time": "hour"}');
SELECT idla_train('m', 'SELECT patient, hour, hr, died, CASE WHEN hour > 3 THEN ''a'' ELSE ''b'' END AS ward FROM events', 'died', options => '{"entity": "patient", "time": "hour"}');
SELECT idla_train('m', 'SELECT patient, hour, hr, died, hour + 1 AS decision FROM events', 'died', options => '{"entity": "patient", "time": "hour", "label_at": "decision"}');
SELECT idla_train('m', 'SELECT patient, age, hour, died FROM events', 'died', options => '{"entity": "patient", "time": "hour"}');
SELECT idla_train('m', 'pairs', 'died', options => '{"entity": "patient", "time": "charted", "series": {"name": "item", "value": "sex"}}');
SELECT idla_train('m', 'SELECT *, 1 AS hr FROM pairs', 'died', options => '{"entity": "patient", "time": "charted", "series": {"name": "item", "value": "v"}}');
SELECT idla_train('m', 'events', 'died', options => '{"entity": "pateint", "time": "hour"}');
SELECT idla_train('m', 'events', 'died', options => '{"entity": "patient", "time": "hour", "columns": {"hrr": "ignore"}}');
SELECT idla_train('m', 'events', 'died', options => '{"entity": "patient"}');
SELECT idla_train('m', 'events', 'died', options => '{"label_at": "decision"}');
SELECT idla_train('m', 'events', 'died', options => '{"entity": "patient", "time": "sex"}');
SELECT idla_train('m', 'events', 'died', options => '{"entity": "patient", "time": "hour", "series": {"width": "1 hour"}}');
SELECT idla_train('m', 'events', 'died', options => '{"entity": "patient", "time": "hour", "series": {"width": "soon"}}');
SELECT idla_train('m', 'events', 'died', options => '{"entity": "patient", "time": "hour", "series": {"wide": 3}}');
SELECT idla_train('m', 'events', 'died', options => '{"entity": "patient", "time": "hour", "series": {"name": "sex"}}');
SELECT idla_train('m', 'pairs', 'died', options => '{"entity": "patient", "time": "charted", "label_at": "age", "series": {"name": "item", "value": "v"}}');
SELECT idla_train('m', 'events', 'died', options => '{"entity": "patient", "time": "hour", "series": {"bins": 5000, "static": []}}');

-- one row is no case, and rows of several no group
SELECT idla_predict('icu', e) FROM events e LIMIT 1;
SELECT idla_classify('icu', e) FROM events e LIMIT 1;
SELECT * FROM events e, idla_explain('icu', e) LIMIT 1;
SELECT idla_predict_series('icu', e) FROM events e;
SELECT idla_predict_series('icu', e) FROM (SELECT patient, age, sex, hour, hr, decision FROM events WHERE patient = 1) e;
SELECT idla_predict_series('icu', e) FROM (SELECT patient, age, sex, timestamp '2026-01-01' AS hour, hr, ph, decision FROM events WHERE patient = 1) e;
SELECT idla_predict_series('icu', e, 'maybe') FROM events e WHERE patient = 1;
SELECT idla_predict_series('icu', e, NULL, 7) FROM events e WHERE patient = 1;
SELECT idla_classify_series('risks', e) FROM events e WHERE patient = 1;
CREATE TABLE plain AS SELECT patient, age, risk, died FROM patients;
SELECT value > 0.9 AS good FROM idla_train('rows', 'plain', 'died', options => '{"folds": 1}');
SELECT idla_predict_series('rows', p) FROM plain p WHERE patient = 1;
SELECT idla_evaluate('icu', 'SELECT patient, age, sex, hour, hr, ph, decision FROM events');
SELECT idla_evaluate('icu', 'SELECT age, sex, hour, hr, ph, decision, died FROM events');

-- ---- what somebody may have written ----

CREATE FUNCTION forged(change jsonb) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	copy jsonb;
	answer float8;
	detail text;
BEGIN
	DROP TABLE IF EXISTS forgery;
	CREATE TABLE forgery (LIKE icu INCLUDING ALL);
	INSERT INTO forgery SELECT * FROM icu;
	SELECT (manifest - 'sha256') || jsonb_build_object('series', manifest->'series' || change) INTO copy FROM icu WHERE chunk = 0;
	copy := copy || jsonb_build_object('sha256', encode(sha256(convert_to(copy::text, 'UTF8')), 'hex'));
	UPDATE forgery SET manifest = copy WHERE chunk = 0;
	SELECT idla_predict_series('forgery', e) INTO answer FROM events e WHERE patient = 1;
	RETURN answer;
EXCEPTION WHEN data_corrupted THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RAISE NOTICE '%', detail;
	RETURN NULL;
END $$;
SET client_min_messages = warning;
SELECT forged('{}') IS NOT NULL AS unchanged;
SET client_min_messages = notice;
SELECT forged('{"bins": 25}');
SELECT forged('{"bins": 0}');
SELECT forged('{"width": -1}');
SELECT forged('{"use": "all"}');
SELECT forged('{"use": "bins"}');
SELECT forged('{"clock": 9}');
SELECT forged('{"field": "hr"}');
SELECT forged('{"channels": [{"name": "hr", "n": 1}]}');
SELECT forged('{"channels": [{"name": "hr", "n": 1}, {"name": "bp", "n": 1}]}');
SELECT forged('{"name": "hr"}');

DROP SCHEMA series CASCADE;
