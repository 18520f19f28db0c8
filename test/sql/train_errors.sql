-- Wrong calls of idla_train: each has an error that names what is wrong, and leaves nothing behind.
SET client_min_messages = error;
SET idla.progress = off;
\set SHOW_CONTEXT never
CREATE SCHEMA train_errors;
SET search_path = train_errors, public;
CREATE TABLE e AS SELECT i AS a, sin(i) AS b, i % 2 = 0 AS y, 'x' || i % 3 AS c FROM generate_series(1, 200) i;

-- arguments
SELECT idla_train(NULL, 'e', 'y');
SELECT idla_train('m', NULL, 'y');
SELECT idla_train('m', 'e', NULL);
SELECT idla_train('', 'e', 'y');
SELECT idla_train('m', 'e', 'y', 'binari');
SELECT idla_train('m', 'e', 'y', 'clustering');
SELECT idla_train('m', 'e', 'y', architecture => 'tabn');
SELECT idla_train('m', 'e', 'y', architecture => 'layers');
SELECT idla_train('m', 'e', 'y', architecture => 'dense(16) rel');

-- sources
SELECT idla_train('m', 'nosuch', 'y');
SELECT idla_train('m', 'nosuch.e', 'y');
SELECT idla_train('m', 'SELECT * FROM', 'y');
SELECT idla_train('m', 'SELECT a / 0 AS z, y FROM e', 'y');
SELECT idla_train('m', 'DELETE FROM e RETURNING *', 'y');
SELECT idla_train('m', 'SELECT 1; SELECT 2', 'y');
SELECT idla_train('m', 'WITH x AS (DELETE FROM e RETURNING *) SELECT * FROM x', 'y');
SELECT idla_train('m', 'SELECT * INTO other FROM e', 'y');
SELECT idla_train('m', 'SELECT *, a AS a FROM e', 'y');
SELECT idla_train('m', 'SELECT $1::int AS p, y FROM e', 'y');
CREATE INDEX e_index ON e (a);
SELECT idla_train('m', 'e_index', 'y');
CREATE TABLE dropped AS SELECT * FROM e;
DROP TABLE dropped;
SELECT idla_train('m', 'dropped', 'y');
ALTER TABLE e RENAME TO renamed;
SELECT idla_train('m', 'e', 'y');
ALTER TABLE renamed RENAME TO e;
SELECT count(*) FROM e;

-- rows
SELECT idla_train('m', 'SELECT * FROM e WHERE false', 'y');
SELECT idla_train('m', 'SELECT * FROM e LIMIT 2', 'y');
SELECT idla_train('m', 'SELECT a, b, NULL::boolean AS y FROM e', 'y');
SELECT idla_train('m', 'SELECT y FROM e', 'y');
SELECT idla_train('m', 'SELECT y, 1 AS one FROM e', 'y');

-- targets
SELECT idla_train('m', 'e', 'yy');
SELECT idla_train('m', 'e', 'nothing like it');
SELECT idla_train('m', 'e', '');
SELECT idla_train('m', 'e', 'a,a');
SELECT idla_train('m', 'SELECT * FROM e WHERE y', 'y');
SELECT idla_train('m', 'SELECT a, b, 1 AS y FROM e', 'y');
SELECT idla_train('m', 'SELECT a, 1.5 AS y FROM e', 'y', 'regression');
SELECT idla_train('m', $$SELECT b, CASE WHEN a < 4 THEN 'NaN' ELSE b END AS y FROM e$$, 'y');
SELECT idla_train('m', $$SELECT b, CASE WHEN a < 6 THEN '-infinity' ELSE b END AS y FROM e$$, 'y');
SELECT idla_train('m', $$SELECT b, CASE WHEN a < 3 THEN 1e300 ELSE b END AS y FROM e$$, 'y');
SELECT idla_train('m', $$SELECT b, CASE WHEN a < 3 THEN 'NaN'::numeric ELSE a END AS y FROM e$$, 'y');
SELECT idla_train('m', 'e', 'c', 'binary');
SELECT idla_train('m', 'e', 'c', 'regression');
SELECT idla_train('m', 'e', 'a,c');
SELECT idla_train('m', 'e', 'a,b', 'binary');
SELECT idla_train('m', 'SELECT a, b, now() AS t FROM e', 't');
SELECT idla_train('m', 'SELECT b, a::text || md5(a::text) AS c FROM e', 'c');
SELECT idla_train('m', 'SELECT a AS b, i::text AS c FROM e, generate_series(1, 1001) i', 'c');
SELECT idla_train('m', 'e', 'a', 'survival');
SELECT idla_train('m', 'e', 'b,y', 'survival');
SELECT idla_train('m', 'e', 'a,b', 'survival');
SELECT idla_train('m', 'SELECT *, false AS event FROM e', 'a,event', 'survival');
SELECT idla_train('m', 'e', NULL, options => '{"time": "a"}');

-- names of models
SELECT idla_train('e', 'e', 'y');
SELECT idla_train('nosuch.m', 'e', 'y');
SELECT idla_train('a.b.c.d', 'e', 'y');
SELECT idla_train('m m', 'e', 'y');

-- a read-only transaction; no right to create, to train, to read
BEGIN READ ONLY;
SELECT idla_train('m', 'e', 'y');
ROLLBACK;
SELECT version FROM idla_train('m', 'e', 'y', architecture => 'linear', options => '{"epochs": 1}');
CREATE ROLE idla_stranger;
GRANT USAGE ON SCHEMA train_errors TO idla_stranger;
SET ROLE idla_stranger;
SELECT idla_train('mine', 'SELECT 1 AS x, true AS y', 'y');
SELECT idla_train('m', 'SELECT 1 AS x, true AS y', 'y');
SELECT idla_train('pg_temp.mine', 'e', 'y');
RESET ROLE;
GRANT INSERT ON m TO idla_stranger;
GRANT SELECT ON e TO idla_stranger;
SET ROLE idla_stranger;
SELECT idla_train('m', 'e', 'y', options => '{"deploy": true}');
SELECT version, in_service FROM idla_train('m', 'e', 'y', architecture => 'linear', options => '{"epochs": 1}');
RESET ROLE;
GRANT SELECT (version, in_service, card), UPDATE (in_service) ON m TO idla_stranger;
SET ROLE idla_stranger;
SELECT version, in_service FROM idla_train('m', 'e', 'y', architecture => 'linear', options => '{"epochs": 1, "deploy": true}');
RESET ROLE;

-- row security of the source applies; that of a model is refused
ALTER TABLE e ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON e FOR SELECT TO idla_stranger USING (a <= 50);
SET ROLE idla_stranger;
SELECT rows_used FROM idla_train('m', 'e', 'y', architecture => 'linear', options => '{"epochs": 1}');
RESET ROLE;
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
SET ROLE idla_stranger;
SELECT idla_train('m', 'e', 'y');
RESET ROLE;

-- nothing was left behind but the versions that were trained
SELECT count(*) FROM m WHERE chunk >= 0;
SELECT count(*) FROM pg_class WHERE relnamespace = 'train_errors'::regnamespace AND relkind = 'r';
SELECT count(*) AS contexts FROM pg_backend_memory_contexts WHERE name LIKE 'idla train%';
DROP SCHEMA train_errors CASCADE;
DROP ROLE idla_stranger;
