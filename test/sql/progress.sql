-- Progress: NOTICEs that can be switched off, pg_stat_activity, and the view idla_progress.
SET client_min_messages = notice;
CREATE SCHEMA progress;
SET search_path = progress, public;
CREATE TABLE t AS SELECT i % 17 AS a, sin(i) AS b, sin(i) + i % 7 > 3 AS y FROM generate_series(1, 300) i;

SELECT version FROM idla_train('m', 't', 'y', architecture => 'linear', options => '{"epochs": 2}');
SET idla.progress = off;
SELECT version FROM idla_train('m', 't', 'y', architecture => 'linear', options => '{"epochs": 2}');

-- nothing under way
SELECT count(*) FROM idla_progress;

-- a source that looks at its own training while it is read
CREATE TABLE seen (model text, phase text, role name, database name, pid int, started timestamptz, activity text);
CREATE FUNCTION look(n int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF n = 1 THEN
		INSERT INTO seen SELECT p.model, p.phase, p.role, p.database, p.pid, p.started, (SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()) FROM idla_progress p;
	END IF;
	RETURN n % 17;
END $$;
SELECT version FROM idla_train('progress.m', 'SELECT look(i) AS a, sin(i) AS b, sin(i) + i % 7 > 3 AS y FROM generate_series(1, 300) i', 'y', architecture => 'linear', options => '{"epochs": 2}');
SELECT model, phase, role = current_user AS mine, database = current_database() AS here, pid = pg_backend_pid() AS me, started <= now() + interval '1 minute' AS began, activity FROM seen;
SELECT query NOT LIKE '/* idla_train:%' AS restored FROM pg_stat_activity WHERE pid = pg_backend_pid();

-- an error frees the slot and restores the query
SELECT version FROM idla_train('m', 'SELECT 1 / (150 - i) AS a, sin(i) + i % 7 > 3 AS y FROM generate_series(1, 300) i', 'y');
SELECT count(*) FROM idla_progress;
BEGIN;
SAVEPOINT s;
SET LOCAL statement_timeout = 200;
SELECT version FROM idla_train('m', 'SELECT i % 17 AS a, sin(i) AS b, sin(i) + i % 7 > 3 AS y FROM generate_series(1, 20000) i', 'y', architecture => 'mlp', options => '{"epochs": 100000, "patience": 0}');
ROLLBACK TO s;
SELECT count(*) FROM idla_progress;
SELECT count(*) AS contexts FROM pg_backend_memory_contexts WHERE name LIKE 'idla train%';
COMMIT;

-- settings
SHOW idla.threads;
SHOW idla.train_memory;
SHOW idla.progress;
SET idla.threads = -1;
SET idla.nosuch = 1;

SET client_min_messages = warning;
DROP SCHEMA progress CASCADE;
