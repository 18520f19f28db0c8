-- idla_stat_models and idla_stat_reset: what is asked of a model is counted when the query ends, however it ends.
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA statistics;
SET search_path = statistics, public;
CREATE TABLE t AS SELECT i AS id, i % 17 AS a, sin(i) AS b, ARRAY[i % 3, 1, 2] AS c, sin(i) + i % 7 > 3 AS y FROM generate_series(1, 300) i;
SELECT version FROM idla_train('m', 'SELECT a, b, c, y FROM t', 'y', architecture => 'linear', options => '{"epochs": 2, "seed": 1}');
SELECT version FROM idla_train('m', 'SELECT a, b, c, y FROM t', 'y', architecture => 'linear', options => '{"epochs": 2, "seed": 2}');
CREATE VIEW counts AS SELECT model, version, calls, rows, errors FROM idla_stat_models WHERE schema = 'statistics';
-- judging and training are nobody's questions
SELECT * FROM counts;

-- rows in batches, once a query and version; one pass for several calls
SELECT count(idla_predict('m', t)), count(idla_classify('m', t)) FROM t;
SELECT * FROM counts;
SELECT count(idla_predict('m', t, 2)), count(idla_predict('m', t)) FROM t;
SELECT * FROM counts;
SELECT seconds > 0 AS timed, seconds < 60 AS short, since <= last_call AS before, last_call <= clock_timestamp() AS past FROM idla_stat_models WHERE schema = 'statistics';

-- only what a LIMIT wanted and was read ahead; EXPLAIN asks nothing
SELECT idla_predict('m', t) BETWEEN 0 AND 1 AS answered FROM t LIMIT 1;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE idla_predict('m', t) > 2;
SELECT * FROM counts;
SELECT idla_stat_reset('m');
SELECT * FROM counts;

-- row by row
SET idla.batch_predict = off;
SELECT count(idla_predict('m', t)), count(idla_classify('m', t)) FROM t;
SELECT * FROM counts;
RESET idla.batch_predict;
DO $$
DECLARE r t; n int := 0;
BEGIN
	FOR r IN SELECT * FROM t LIMIT 5 LOOP
		IF idla_predict('m', r) > -1 THEN n := n + 1; END IF;
	END LOOP;
END $$;
SELECT rows FROM counts;
SELECT idla_stat_reset('m');

-- errors of the model's input are the model's; others are not, and the rows before them count
SELECT sum(idla_predict('m', s)) FROM (SELECT a, b, CASE WHEN id = 250 THEN ARRAY[1] ELSE c END AS c FROM t ORDER BY id) s;
SELECT calls, rows BETWEEN 200 AND 249 AS rows, errors FROM counts;
SELECT sum(idla_predict('m', t)) / (count(*) - 300) FROM t;
SELECT calls, rows BETWEEN 500 AND 549 AS rows, errors FROM counts;
SET idla.batch_predict = off;
SELECT sum(idla_predict('m', s)) FROM (SELECT a, b, CASE WHEN id = 250 THEN ARRAY[1] ELSE c END AS c FROM t ORDER BY id) s;
SELECT calls, rows BETWEEN 749 AND 798 AS rows, errors FROM counts;
RESET idla.batch_predict;
DO $$
BEGIN
	PERFORM sum(idla_predict('m', s)) FROM (SELECT a, b, ARRAY[1] AS c FROM t) s;
EXCEPTION WHEN OTHERS THEN NULL;
END $$;
SELECT calls, errors FROM counts;
SET idla.on_bad_input = 'null';
SELECT count(idla_predict('m', s)) FROM (SELECT a, b, CASE WHEN id = 250 THEN ARRAY[1] ELSE c END AS c FROM t ORDER BY id) s;
RESET idla.on_bad_input;
SELECT calls, errors FROM counts;
-- a transaction that is rolled back has asked all the same
BEGIN;
SELECT count(idla_predict('m', t)) FROM t;
ROLLBACK;
SELECT calls FROM counts;
SELECT idla_stat_reset('m');

-- workers and their leader are one call
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT count(idla_predict('m', t)) FROM t;
SELECT * FROM counts;
SET parallel_leader_participation = off;
SELECT count(idla_predict('m', t)) FROM t;
SELECT * FROM counts;
RESET parallel_leader_participation;
SET max_parallel_workers_per_gather = 0;

-- groups of long rows, and taggers
CREATE TABLE events AS SELECT v AS stay, t * interval '1 hour' + timestamp '2026-01-01' AS taken, (v * 7 + t * 3) % 11 + sin(v) AS pulse, v % 2 = 0 AS bad
FROM generate_series(1, 120) v, generate_series(1, 6) t;
SELECT version FROM idla_train('stays', 'events', 'bad', architecture => 'linear', options => '{"entity": "stay", "time": "taken", "series": {"use": "summary"}, "epochs": 3, "seed": 1}');
SELECT count(risk) FROM (SELECT stay, idla_predict_series('stays', e) AS risk FROM events e GROUP BY stay) s;
SELECT * FROM counts WHERE model = 'stays'::regclass;

-- who may predict sees it, and a reader of all statistics; forgetting is not for everybody
CREATE ROLE statistics_reader;
GRANT USAGE ON SCHEMA statistics TO statistics_reader;
GRANT SELECT ON counts TO statistics_reader;
SET ROLE statistics_reader;
SELECT count(*) FROM counts;
SELECT count(*) FROM idla_stat_models WHERE schema = 'statistics';
SELECT idla_stat_reset('m');
RESET ROLE;
GRANT SELECT (version, in_service, card) ON m TO statistics_reader;
SET ROLE statistics_reader;
SELECT count(*) FROM idla_stat_models WHERE schema = 'statistics';
RESET ROLE;
GRANT pg_read_all_stats TO statistics_reader;
SET ROLE statistics_reader;
SELECT count(*) FROM idla_stat_models WHERE schema = 'statistics';
RESET ROLE;

-- a dropped model is not shown; wrong calls
DROP TABLE stays;
SELECT count(*) FROM idla_stat_models WHERE schema = 'statistics';
SELECT idla_stat_reset('t');
SELECT idla_stat_reset() >= 1 AS all;
SELECT count(*) FROM idla_stat_models;
DROP OWNED BY statistics_reader;
DROP ROLE statistics_reader;
DROP SCHEMA statistics CASCADE;
