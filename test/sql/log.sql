-- idla_log, idla_log_flush, idla_predictions and idla_log_settings: what a model answered, to whom.
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA log;
SET search_path = log, public;
CREATE TYPE code AS ENUM ('x', 'y');
CREATE DOMAIN number AS int;
CREATE TABLE t AS SELECT i::number AS id, 'p' || i AS name, i % 17 AS a, sin(i) AS b, ARRAY[i % 3, 1, 2] AS c, (ARRAY['x', 'y'])[1 + i % 2]::code AS e, sin(i) + i % 7 > 3 AS y
FROM generate_series(1, 400) i;
SELECT version FROM idla_train('m', 'SELECT a, b, c, y FROM t', 'y', architecture => 'linear', options => '{"epochs": 2, "seed": 1}');
SELECT version FROM idla_train('m', 'SELECT a, b, c, y FROM t', 'y', architecture => 'linear', options => '{"epochs": 2, "seed": 2}');
CREATE VIEW logged AS SELECT version, function, served, count(*), count(key) AS keys, count(DISTINCT key) AS different, count(output) AS outputs
FROM idla_predictions WHERE model = 'm'::regclass GROUP BY version, function, served ORDER BY 1, 2, 3;
CREATE FUNCTION forget() RETURNS void LANGUAGE sql AS $$ SELECT idla_log_flush(); DELETE FROM idla_prediction_log WHERE model = 'm'::regclass; SELECT $$;

-- nothing is logged before it is asked for
SELECT count(idla_predict('m', t)) FROM t;
SELECT idla_log_flush();
SELECT * FROM logged;
SELECT * FROM idla_log_settings;

-- all rows, each answer once, with what the query got
SELECT idla_log('m', key => 'id');
SELECT schema, model, share, key, set_by = current_user AS mine, set_at > now() - interval '1 minute' AS lately FROM idla_log_settings;
SELECT count(idla_predict('m', t)), count(idla_classify('m', t)) FROM t;
SELECT idla_log_flush();
SELECT * FROM logged;
SELECT count(*) FROM idla_predictions p JOIN t ON p.key = t.id::text WHERE function = 'idla_predict' AND output::float8 = idla_predict('m', t, 1);
SELECT bool_and(time BETWEEN now() - interval '1 minute' AND clock_timestamp()) AS times, bool_and(role = current_user AND login = session_user) AS roles
FROM idla_predictions WHERE model = 'm'::regclass;
SELECT forget();
-- row by row the same
SET idla.batch_predict = off;
SELECT count(idla_predict('m', t)), count(idla_classify('m', t)), count(idla_probabilities('m', t)), count(idla_label_set('m', t)), count(idla_predict('m', t, 2)) FROM t WHERE id <= 20;
SELECT count(idla_predict('m', r)) FROM t, LATERAL (SELECT a, b, c) r WHERE id <= 10;
RESET idla.batch_predict;
SELECT idla_log_flush();
SELECT * FROM logged;
SELECT count(*) FROM idla_predictions p JOIN t ON p.key = t.id::text
WHERE output = CASE function WHEN 'idla_predict' THEN idla_predict('m', t, version)::text WHEN 'idla_classify' THEN idla_classify('m', t, version) WHEN 'idla_probabilities' THEN idla_probabilities('m', t, version)::text
	ELSE idla_label_set('m', t, version => version)::text END;
SELECT forget();

-- only what is answered: rows that LIMIT did not want were computed, and nobody saw them
SELECT idla_predict('m', t) IS NOT NULL AS answered FROM t LIMIT 3;
SELECT count(*) FROM t WHERE id <= 50 AND idla_predict('m', t) > 2;
EXPLAIN (COSTS OFF) SELECT idla_predict('m', t) FROM t;
SELECT count(idla_predict('m', NULL::t)) FROM t;
SET idla.on_bad_input = 'null';
SELECT count(idla_predict('m', s)) FROM (SELECT id, a, b, CASE WHEN id % 2 = 0 THEN ARRAY[1] ELSE c END AS c FROM t WHERE id <= 10) s;
RESET idla.on_bad_input;
SELECT count(idla_classify('m', t, abstain => 1)) FROM t WHERE id <= 5;
SELECT idla_log_flush();
SELECT * FROM logged;
SELECT forget();
-- documents are rows: the key is looked for in them, and may be missing
SELECT count(idla_predict_json('m', to_jsonb(t))), count(idla_predict_json('m', to_jsonb(t) - 'id')) FROM t WHERE id <= 5;
SELECT idla_log_flush();
SELECT * FROM logged;
SELECT count(*) FROM idla_predictions p JOIN t ON p.key = t.id::text WHERE output::float8 = idla_predict('m', t, 1);
SELECT forget();
-- also when the query fails, or is rolled back
SELECT sum(1 / (id - 300) + idla_predict('m', t)) FROM t;
BEGIN;
SELECT count(idla_classify('m', t)) FROM t WHERE id <= 7;
ROLLBACK;
DO $$
BEGIN
	PERFORM idla_probabilities('m', t) FROM t WHERE id <= 4;
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN NULL;
END $$;
SELECT idla_log_flush();
SELECT function, count BETWEEN CASE function WHEN 'idla_predict' THEN 200 ELSE 4 END AND CASE function WHEN 'idla_predict' THEN 300 ELSE 7 END AS fits FROM logged;
SELECT forget();
-- also in the middle of one
BEGIN;
DECLARE c CURSOR FOR SELECT idla_predict('m', t) FROM t;
MOVE 5 FROM c;
SELECT idla_log_flush();
SELECT count FROM logged;
COMMIT;
SELECT forget();

-- a share of the rows, and the same ones in every plan
SELECT idla_log('m', 0.25, 'id');
SELECT count(idla_predict('m', t)) FROM t;
SELECT idla_log_flush();
CREATE TABLE sample AS SELECT key FROM idla_predictions WHERE model = 'm'::regclass;
SELECT count(*) BETWEEN 60 AND 140 AS a_quarter FROM sample;
SELECT forget();
SET idla.batch_predict = off;
SELECT count(idla_predict('m', t)) FROM (SELECT * FROM t ORDER BY id DESC OFFSET 0) t;
RESET idla.batch_predict;
SELECT idla_log_flush();
SELECT (SELECT count(*) FROM sample) = count(*) AND bool_and(key IN (SELECT key FROM sample)) AS same FROM idla_predictions WHERE model = 'm'::regclass;
SELECT forget();
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT count(idla_predict('m', t)) FROM t;
SET idla.batch_predict = off;
SELECT count(idla_classify('m', t)) FROM t;
RESET idla.batch_predict;
SET max_parallel_workers_per_gather = 0;
SELECT idla_log_flush();
SELECT function, (SELECT count(*) FROM sample) = count(*) AND bool_and(key IN (SELECT key FROM sample)) AS same FROM idla_predictions WHERE model = 'm'::regclass GROUP BY function ORDER BY 1;
SELECT forget();
SELECT idla_log('m', 0.5, 'id');
SELECT count(idla_predict('m', t)) FROM t;
SELECT idla_log_flush();
SELECT count(*) FILTER (WHERE key IN (SELECT key FROM sample)) = (SELECT count(*) FROM sample) AS kept, count(*) BETWEEN 140 AND 260 AS half FROM idla_predictions WHERE model = 'm'::regclass;
SELECT forget();

-- keys of other types, and none; long ones are cut, between characters
SELECT idla_log('m', key => 'name');
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 2;
SELECT idla_log('m', key => 'e');
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 2;
SELECT idla_log('m', key => 'c');
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 2;
SELECT idla_log('m', key => 'nowhere');
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 2;
SELECT idla_log('m');
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 2;
SELECT idla_log('m', key => 'name');
SELECT count(idla_predict('m', s)) FROM (SELECT 'é' || repeat('ß', 300) AS name, a, b, c FROM t WHERE id = 1) s;
SELECT count(idla_predict('m', s)) FROM (SELECT NULL::text AS name, a, b, c FROM t WHERE id = 1) s;
SELECT idla_log_flush();
SELECT left(key, 10), octet_length(key), count(*) FROM idla_predictions WHERE model = 'm'::regclass GROUP BY key ORDER BY octet_length(key), 1;
SELECT forget();

-- a node does not keep long ones whole
CREATE TABLE tall AS SELECT repeat('k', 1000000) AS name, a, b, c FROM t WHERE id <= 300;
BEGIN;
DECLARE c CURSOR FOR SELECT idla_predict('m', l) FROM tall l;
MOVE 150 FROM c;
SELECT sum(total_bytes) < 60e6 AS small FROM pg_backend_memory_contexts;
COMMIT;
DROP TABLE tall;
SELECT idla_log_flush();
SELECT count(*) FROM idla_predictions WHERE model = 'm'::regclass AND key = repeat('k', 256);
SELECT forget();

-- a row has one key, and is taken or not, whatever a session's settings
CREATE VIEW moments AS SELECT timestamptz '2026-03-01 00:00:00+00' + id * interval '1 hour' AS at, id / 7.0::float8 AS number, a, b, c FROM t;
SELECT idla_log('m', 0.3, 'at');
SET timezone = 'UTC';
SELECT count(idla_predict('m', v)) FROM moments v;
SET timezone = 'Asia/Tokyo';
SET datestyle = 'SQL, DMY';
SELECT count(idla_predict('m', v)) FROM moments v;
RESET datestyle;
SELECT idla_log('m', 0.3, 'number');
SET extra_float_digits = -5;
SELECT count(idla_classify('m', v)) FROM moments v;
RESET extra_float_digits;
SELECT count(idla_classify('m', v)) FROM moments v;
RESET timezone;
SELECT idla_log_flush();
SELECT function, count(*) > 100 AS many, count(*) = 2 * count(DISTINCT key) AS twice FROM idla_predictions WHERE model = 'm'::regclass GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM idla_predictions p WHERE model = 'm'::regclass AND NOT EXISTS (SELECT FROM moments v WHERE p.key::timestamptz = v.at) AND function = 'idla_predict';
SELECT forget();

-- while a candidate is on trial, what the other version says as well
SELECT idla_log('m', key => 'id');
SELECT idla_deploy('m', 2, shadow => true);
SELECT count(idla_predict('m', t)), count(idla_label_set('m', t)) FROM t WHERE id <= 30;
SET idla.batch_predict = off;
SELECT count(idla_classify('m', t)) FROM t WHERE id <= 30;
RESET idla.batch_predict;
SELECT idla_log_flush();
SELECT * FROM logged;
SELECT forget();
SELECT idla_deploy('m', 2, share => 0.5);
SELECT count(idla_predict('m', t)) FROM t;
SET idla.batch_predict = off;
SELECT count(idla_predict('m', t)) FROM t;
RESET idla.batch_predict;
SELECT idla_log_flush();
SELECT served, count(*), count(*) FILTER (WHERE version = 2) BETWEEN 300 AND 500 AS both_halves FROM idla_predictions WHERE model = 'm'::regclass GROUP BY served ORDER BY 1;
SELECT count(*) FROM idla_predictions p JOIN t ON p.key = t.id::text WHERE model = 'm'::regclass AND output = idla_predict('m', t, version)::text;
SELECT idla_deploy('m', 1);
SELECT status FROM idla_versions WHERE model = 'm'::regclass;
-- the log is no deployment
SELECT count(*) FROM idla_deployments WHERE model = 'm'::regclass;
SELECT forget();

-- the setting is the transaction's, and the model's
BEGIN;
SELECT idla_log('m', 0);
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 3;
SELECT count(*) FROM idla_log_settings;
ROLLBACK;
SELECT idla_log_flush();
SELECT sum(count) FROM logged;
PREPARE q AS SELECT count(idla_predict('m', t)) FROM t WHERE id <= 3;
EXECUTE q;
SELECT idla_log('m', NULL);
EXECUTE q;
SELECT idla_log('m');
EXECUTE q;
SELECT idla_log_flush();
SELECT sum(count), sum(keys) FROM logged;
SELECT forget();

-- long rows, and survival
CREATE TABLE events AS SELECT v AS stay, t * interval '1 hour' + timestamp '2026-01-01' AS taken, (v * 7 + t * 3) % 11 + sin(v) AS pulse, v % 2 = 0 AS bad
FROM generate_series(1, 120) v, generate_series(1, 6) t;
SELECT version FROM idla_train('stays', 'events', 'bad', architecture => 'linear', options => '{"entity": "stay", "time": "taken", "series": {"use": "summary"}, "epochs": 3, "seed": 1}');
SELECT idla_log('stays', key => 'stay');
SELECT count(risk), count(class), count(p) FROM (SELECT stay, idla_predict_series('stays', e) AS risk, idla_classify_series('stays', e) AS class, idla_probabilities_series('stays', e) AS p FROM events e WHERE stay <= 10 GROUP BY stay) s;
SET max_parallel_workers_per_gather = 2;
SELECT count(risk) FROM (SELECT idla_predict_series('stays', e) AS risk FROM events e WHERE stay = 11) s;
SET max_parallel_workers_per_gather = 0;
SELECT idla_log_flush();
SELECT function, count(*), count(DISTINCT key), bool_and(key::int BETWEEN 1 AND 11) AS stays, bool_and(output IS NOT NULL) AS answered FROM idla_predictions WHERE model = 'stays'::regclass GROUP BY 1 ORDER BY 1;
SELECT idla_log('stays', 0.3, key => 'stay') AS before;
SELECT count(risk) FROM (SELECT idla_predict_series('stays', e) AS risk FROM events e GROUP BY stay) s;
SELECT idla_log_flush();
SELECT count(*) BETWEEN 11 + 15 AND 11 + 60 AS some FROM idla_predictions WHERE model = 'stays'::regclass AND function = 'idla_predict_series';
SELECT version FROM idla_train('lives', 'SELECT a, b, 1 + id % 50 AS time, y FROM t', NULL, task => 'survival', architecture => 'linear', options => '{"time": "time", "event": "y", "epochs": 2, "seed": 1}');
SELECT idla_log('lives', key => 'id');
SELECT count(idla_survival('lives', t, 10)) FROM t WHERE id <= 6;
SELECT idla_log_flush();
SELECT function, count(*), count(DISTINCT key), bool_and(output::float8 BETWEEN 0 AND 1) AS shares FROM idla_predictions WHERE model = 'lives'::regclass GROUP BY 1 ORDER BY 1;

-- whoever may read the model as a whole sees what it answered; nobody else does, not even what he was told himself
SELECT idla_log('m');
CREATE ROLE log_asker;
CREATE ROLE log_reader;
GRANT USAGE ON SCHEMA log TO log_asker, log_reader;
GRANT SELECT ON t TO log_asker;
GRANT SELECT (version, in_service, card) ON m TO log_asker;
GRANT SELECT ON m TO log_reader;
CREATE FUNCTION told(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
SET ROLE log_asker;
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 9;
SELECT idla_log_flush();
SELECT count(*) FROM idla_predictions;
SET client_min_messages = notice;
SELECT count(*) FROM idla_predictions WHERE told(output);
SET client_min_messages = error;
SELECT count(*) FROM idla_prediction_log;
SELECT idla_log('m', 0);
SELECT model, share FROM idla_log_settings;
SET ROLE log_reader;
SELECT count(*), bool_and(role = 'log_asker' AND login <> 'log_asker') AS asker FROM idla_predictions;
RESET ROLE;
GRANT UPDATE (in_service) ON m TO log_asker;
SET ROLE log_asker;
SELECT idla_log('m', 0);
RESET ROLE;
SELECT idla_log('m');
SELECT card ->> 'by' AS by FROM m WHERE version = 0 ORDER BY chunk LIMIT 1;
DROP OWNED BY log_asker, log_reader;
DROP ROLE log_asker, log_reader;

-- wrong calls
SELECT idla_log('t');
SELECT idla_log(NULL);
SELECT idla_log('m', 1.5);
SELECT idla_log('m', 'NaN');
SELECT idla_log('m', -0.1);
SELECT idla_log('m', 0, 'id');
SELECT idla_log('m', 1, '');
SELECT idla_log('m', 1, repeat('x', 64));
BEGIN READ ONLY;
SELECT idla_log('m');
ROLLBACK;

-- a card that somebody changed asks for nothing
UPDATE m SET card = '{"event": "log", "share": 7}' WHERE version = 0;
SELECT count(*) FROM idla_log_settings WHERE model = 'm'::regclass;
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 3;
-- a model that is gone has told nobody anything
DROP TABLE lives;
SELECT count(*) FROM idla_predictions WHERE function = 'idla_survival';
SELECT count(*) FROM idla_prediction_log WHERE function = 'idla_survival';

-- a day's partition may be dropped at any time, and one that is detached keeps its name
SELECT idla_log('m');
SELECT forget();
CREATE FUNCTION each_day(command text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	day regclass;
	n bigint := 0;
BEGIN
	FOR day IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'idla_prediction_log'::regclass LOOP
		EXECUTE format(command, day);
		n := n + 1;
	END LOOP;
	RETURN n;
END $$;
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 3;
SELECT idla_log_flush();
SELECT each_day('DROP TABLE %s') > 0 AS dropped;
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 4;
SELECT idla_log_flush();
SELECT sum(count) FROM logged;
SELECT each_day('ALTER TABLE idla_prediction_log DETACH PARTITION %s') > 0 AS detached;
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 5;
SELECT idla_log_flush();
SELECT sum(count) FROM logged;
SELECT each_day('SELECT 1 FROM %s') > 0 AS another;
DO $$ DECLARE day regclass; BEGIN
	FOR day IN SELECT oid FROM pg_class WHERE relname ~ '^idla_prediction_log_\d+$' AND NOT relispartition LOOP EXECUTE format('DROP TABLE %s', day); END LOOP;
END $$;
-- what new tables are given to others by default, a day is not
CREATE ROLE "log Reader";
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "log Reader", PUBLIC;
SELECT each_day('DROP TABLE %s') > 0 AS dropped;
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 6;
SELECT idla_log_flush();
SELECT sum(count) FROM logged;
SELECT bool_or(has_table_privilege('log Reader', inhrelid, 'SELECT')) AS may_read FROM pg_inherits WHERE inhparent = 'idla_prediction_log'::regclass;
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM "log Reader", PUBLIC;
DROP ROLE "log Reader";
-- partitions of somebody's own are used
SELECT forget();
SELECT each_day('DROP TABLE %s') > 0 AS dropped;
CREATE TABLE century PARTITION OF idla_prediction_log FOR VALUES FROM ('2000-01-01') TO ('2100-01-01');
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 6;
SELECT idla_log_flush();
SELECT count(*) FROM century;
DROP TABLE century;
-- a partition that ends today is none for the rest of the day
DO $$ BEGIN EXECUTE format('CREATE TABLE earlier PARTITION OF idla_prediction_log FOR VALUES FROM (%L) TO (%L)', now() - interval '10 days', now()); END $$;
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 6;
SELECT idla_log_flush();
SELECT sum(count) FROM logged;
SELECT count(*) FROM earlier;
SELECT forget();
SELECT each_day('DROP TABLE %s') > 0 AS dropped;
-- what somebody hangs on the table runs with his rights, at once, and what it sets is forgotten
CREATE TABLE seen (path text, read_only text);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log.seen VALUES (current_setting('search_path'), current_setting('default_transaction_read_only'));
	PERFORM set_config('search_path', 'log', false), set_config('default_transaction_read_only', 'on', false);
	RETURN NULL;
END $$;
ALTER TABLE idla_prediction_log ADD COLUMN serial bigint GENERATED ALWAYS AS IDENTITY;
CREATE CONSTRAINT TRIGGER look AFTER INSERT ON idla_prediction_log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look();
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 1;
SELECT idla_log_flush();
SELECT count(idla_predict('m', t)) FROM t WHERE id <= 1;
SELECT idla_log_flush();
SELECT sum(count) FROM logged;
SELECT count(DISTINCT serial) FROM idla_prediction_log;
SELECT * FROM seen;
DROP TRIGGER look ON idla_prediction_log;
ALTER TABLE idla_prediction_log DROP COLUMN serial;
SELECT forget();
DROP SCHEMA log CASCADE;
SELECT count(*) FROM idla_prediction_log;
