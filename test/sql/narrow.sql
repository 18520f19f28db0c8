-- Plans pass a model only the columns that it needs, and are made again where another version needs more.
SET client_min_messages = warning;
CREATE SCHEMA narrow;
SET search_path = narrow, public;
SET idla.progress = off;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET plan_cache_mode = force_generic_plan;

CREATE TABLE rows (id int PRIMARY KEY, junk text, a float8, b float8, gone int, c float8, d float8, t text, y float8);
ALTER TABLE rows DROP COLUMN gone;
INSERT INTO rows SELECT i, repeat('junk', 10), i % 7, i % 11, i % 13, i % 17, 't' || i % 3, i % 7 + i % 11 FROM generate_series(1, 400) i;
ANALYZE rows;
SELECT version FROM idla_train('m', 'SELECT a, b, y FROM rows', 'y', 'regression', 'linear', '{"epochs": 2, "seed": 1}');
SELECT version FROM idla_train('m', 'SELECT b, c, d, y FROM rows', 'y', 'regression', 'linear', '{"epochs": 2, "seed": 2}');
CREATE TABLE answers AS SELECT id, idla_predict('m', r, version => 1) AS v1, idla_predict('m', r, version => 2) AS v2 FROM rows r;

-- The columns that the calls of a plan pass.
CREATE FUNCTION passed(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
		plan := plan || line || E'\n';
	END LOOP;
	RETURN (SELECT string_agg(DISTINCT m[1], ' and ') FROM regexp_matches(plan, '_columns\([^{]*(\{[^}]*\})', 'g') m);
END $$;
-- What a query gives, and what it gives with all columns, row by row; and what it passes.
CREATE FUNCTION compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	columns text;
	different bigint;
	total bigint;
BEGIN
	SET LOCAL idla.batch_predict = on;
	columns := coalesce(passed(query), 'whole rows');
	EXECUTE 'CREATE TEMP TABLE narrowed AS ' || query;
	SET LOCAL idla.batch_predict = off;
	IF passed(query) = columns THEN
		columns := columns || ', all';
	END IF;
	EXECUTE 'CREATE TEMP TABLE whole AS ' || query;
	SELECT count(*) INTO different FROM (
		(SELECT ROW(narrowed.*)::text FROM narrowed EXCEPT ALL SELECT ROW(whole.*)::text FROM whole) UNION ALL
		(SELECT ROW(whole.*)::text FROM whole EXCEPT ALL SELECT ROW(narrowed.*)::text FROM narrowed)) x;
	SELECT count(*) INTO total FROM narrowed;
	DROP TABLE narrowed, whole;
	RETURN format('%s: %s', columns, CASE WHEN total > 0 AND different = 0 THEN 'the same' ELSE format('%s of %s rows differ', different, total) END);
END $$;

-- tables, views, subqueries, joins, partitions
SELECT compare($$SELECT id, idla_predict('m', r) FROM rows r$$);
SELECT compare($$SELECT id, idla_predict('m', r, version => 2) AS v2, idla_predict('m', r) AS serving FROM rows r$$);
CREATE VIEW seen AS SELECT id, a * 1 AS a, b, c, d, upper(t) AS t, 1 / (id - id + 1) AS one FROM rows;
SELECT compare($$SELECT id, idla_predict('m', s) FROM seen s$$);
CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM rows WHERE id > 10;
SELECT compare($$SELECT id, idla_predict('m', g) FROM guarded g WHERE idla_predict('m', g) > 0$$);
SELECT compare($$SELECT g.t, idla_predict('m', g) FROM (SELECT t, avg(a) AS a, avg(b) AS b, count(*) AS n, max(junk) AS junk FROM rows GROUP BY t) g$$);
SELECT compare($$SELECT x.id, idla_predict('m', x) FROM (SELECT r.*, s.junk AS other FROM rows r JOIN rows s USING (id) ORDER BY r.c OFFSET 3) x$$);
SELECT compare($$WITH x AS MATERIALIZED (SELECT * FROM rows) SELECT id, idla_predict('m', x) FROM x$$);
SELECT compare($$SELECT id, idla_predict('m', x) FROM (SELECT * FROM rows UNION ALL SELECT * FROM rows) x$$);
SELECT compare($$SELECT sum(idla_predict('m', r)), max(idla_predict('m', r)) OVER () FROM rows r GROUP BY r.id, r.a, r.b$$);
SELECT compare($$SELECT r.id, idla_predict('m', r) FROM rows r JOIN rows s ON s.a = r.b AND s.id < 20 ORDER BY s.junk, 1, 2$$);
CREATE TABLE parts (LIKE rows) PARTITION BY LIST (t);
CREATE TABLE part_0 (y float8, b float8, extra int, a float8, c float8, t text, d float8, junk text, id int NOT NULL);
ALTER TABLE part_0 DROP COLUMN extra;
ALTER TABLE parts ATTACH PARTITION part_0 FOR VALUES IN ('t0');
CREATE TABLE part_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT id, junk, a, b, c, d, t, y FROM rows;
SELECT compare($$SELECT id, idla_predict('m', p) FROM parts p$$);
-- a row that may be missing as a whole is passed as such
SELECT compare($$SELECT s.id, r.a, idla_predict('m', r) FROM rows s LEFT JOIN (SELECT * FROM rows WHERE id < 50) r USING (id)$$);
SELECT count(idla_predict('m', r)) AS rows FROM rows s LEFT JOIN (SELECT * FROM rows WHERE id < 50) r USING (id);
-- whole rows inside rows, and functions in SQL that become what they say
CREATE TYPE holder AS (a float8, b float8, r rows);
SELECT compare($$SELECT r.id, idla_predict('m', ROW(r.a, r.b, r)::holder) FROM rows r$$);
CREATE FUNCTION risk(r rows) RETURNS float8 LANGUAGE sql STABLE RETURN idla_predict('m', r);
SELECT compare($$SELECT id, risk(r) FROM rows r$$);
-- what would be noticed stays
CREATE SEQUENCE counter;
CREATE TYPE counted AS (a float8, n bigint, b float8);
SELECT passed($$SELECT idla_predict('m', ROW(r.a, nextval('counter'), r.b)::counted) FROM rows r$$);
SELECT count(*) FROM (SELECT idla_predict('m', ROW(r.a, nextval('counter'), r.b)::counted) FROM rows r OFFSET 0) x;
SELECT last_value FROM counter;

-- in data-modifying statements
WITH changed AS (UPDATE rows SET t = t WHERE id <= 40 RETURNING id, idla_predict('m', rows) AS q) SELECT count(*) AS changed, count(*) FILTER (WHERE q = v1) AS as_v1 FROM changed JOIN answers USING (id);
UPDATE rows r SET y = idla_predict('m', r) WHERE id <= 40;
SELECT count(*) FROM rows JOIN answers USING (id) WHERE y = v1;

UPDATE rows SET y = a + b WHERE id <= 40;
INSERT INTO rows AS old SELECT * FROM rows WHERE id <= 30 ON CONFLICT (id) DO UPDATE SET y = idla_predict('m', EXCLUDED);
MERGE INTO rows r USING (SELECT * FROM rows OFFSET 0) s ON s.id = r.id WHEN MATCHED AND r.id BETWEEN 31 AND 40 AND idla_predict('m', s) = idla_predict('m', r) THEN UPDATE SET y = idla_predict('m', s);
SELECT count(*) FROM rows JOIN answers USING (id) WHERE y = v1;

-- a needed column that is missing: the row has all that it had
SELECT idla_predict('m', x) FROM (SELECT id, a, c, junk FROM rows) x LIMIT 1;
SET idla.batch_predict = off;
SELECT idla_predict('m', x) FROM (SELECT id, a, c, junk FROM rows) x LIMIT 1;
RESET idla.batch_predict;

-- kept plans
PREPARE kept AS SELECT count(*) FILTER (WHERE q = v1) AS v1, count(*) FILTER (WHERE q = v2) AS v2 FROM answers JOIN (SELECT id, idla_predict('m', r) AS q FROM rows r) x USING (id);
EXECUTE kept;
SELECT passed('EXECUTE kept');
SELECT idla_deploy('m', 2);
EXECUTE kept;
SELECT passed('EXECUTE kept');
SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = 'kept';
-- a version that is tried beside the one in service is asked as well; it needs nothing that the other does not
SELECT version FROM idla_train('m', 'SELECT c, y FROM rows', 'y', 'regression', 'linear', '{"epochs": 2, "seed": 3}');
SELECT idla_deploy('m', 3, share => 0.5);
SELECT passed('EXECUTE kept');
SELECT count(*) FILTER (WHERE q = v2) BETWEEN 1 AND 399 AS some_of_version_2 FROM answers JOIN (SELECT id, idla_predict('m', r) AS q FROM rows r) x USING (id);
SELECT idla_deploy('m', 1);
EXECUTE kept;
-- somebody writes into the model's table: no plan is told, and the statement is planned again for what it sees
BEGIN;
UPDATE m SET in_service = false WHERE in_service;
UPDATE m SET in_service = true WHERE version = 2 AND chunk = 0;
EXECUTE kept;
SELECT passed('EXECUTE kept');
ROLLBACK;
EXECUTE kept;
EXECUTE kept;
-- the same of a statement that is planned before its snapshot sees the change
CREATE FUNCTION deploys(version int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM idla_deploy('narrow.m', version); RETURN 0; END $$;
SELECT count(*) FILTER (WHERE q = v1) AS v1, count(*) FILTER (WHERE q = v2) AS v2 FROM answers JOIN (SELECT id, idla_predict('m', r) AS q, deploys(2) AS d FROM rows r OFFSET 0) x USING (id) WHERE d = 0;
SELECT passed('EXECUTE kept');
SELECT count(*) FILTER (WHERE q = v1) AS v1, count(*) FILTER (WHERE q = v2) AS v2, min(d) FROM answers JOIN (SELECT id, idla_predict('m', r) AS q, deploys(1) AS d FROM rows r OFFSET 0) x USING (id);
-- cursors, and statements of functions, keep what they began with
BEGIN;
DECLARE c CURSOR FOR SELECT id, idla_predict('m', r) AS q FROM rows r ORDER BY id;
FETCH 0 FROM c;
SELECT idla_deploy('m', 2);
CREATE TEMP TABLE fetched (id int, q float8);
DO $$ DECLARE c refcursor := 'c'; row record; BEGIN FOR i IN 1..400 LOOP FETCH c INTO row; INSERT INTO fetched VALUES (row.id, row.q); END LOOP; END $$;
SELECT count(*) FILTER (WHERE q = v1) AS v1, count(*) FILTER (WHERE q = v2) AS v2 FROM answers JOIN fetched USING (id);
EXECUTE kept;
ROLLBACK;
-- as deploys that are rolled back to a savepoint do
BEGIN;
SAVEPOINT before;
SELECT idla_deploy('m', 2);
EXECUTE kept;
ROLLBACK TO before;
EXECUTE kept;
COMMIT;
-- of functions too, whose cursors go back
CREATE FUNCTION back_and_forth() RETURNS TABLE (id int, of_version int) LANGUAGE plpgsql AS $$
DECLARE
	c SCROLL CURSOR FOR SELECT r.id, idla_predict('m', r) AS q FROM rows r ORDER BY r.id;
	got record;
BEGIN
	OPEN c;
	FETCH ABSOLUTE 300 FROM c INTO got;
	RETURN QUERY SELECT a.id, CASE got.q WHEN v1 THEN 1 WHEN v2 THEN 2 END FROM answers a WHERE a.id = got.id;
	FETCH ABSOLUTE 2 FROM c INTO got;
	RETURN QUERY SELECT a.id, CASE got.q WHEN v1 THEN 1 WHEN v2 THEN 2 END FROM answers a WHERE a.id = got.id;
	CLOSE c;
END $$;
SELECT * FROM back_and_forth();
BEGIN;
UPDATE m SET in_service = false WHERE in_service;
UPDATE m SET in_service = true WHERE version = 2 AND chunk = 0;
SELECT * FROM back_and_forth();
ROLLBACK;
SELECT * FROM back_and_forth();
-- a long statement, during which another version begins to answer, has each of its own planned for both from then on
CREATE FUNCTION by_hand(wanted int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE m SET in_service = false WHERE in_service; UPDATE m SET in_service = true WHERE version = wanted AND chunk = 0; END $$;
CREATE FUNCTION planned() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'planned'; RETURN 1; END $$;
DO $$
DECLARE
	n int;
BEGIN
	FOR i IN 1..6 LOOP
		IF i = 3 THEN
			PERFORM by_hand(2);
		END IF;
		SELECT count(*) FILTER (WHERE x.q = CASE WHEN i < 3 THEN v1 ELSE v2 END) INTO n FROM (SELECT id, idla_predict('m', r) AS q FROM rows r WHERE planned() = 1) x JOIN answers USING (id);
		RAISE WARNING 'run %: %', i, n;
	END LOOP;
END $$;
SELECT idla_deploy('m', 1);
-- a function in SQL keeps the plan that it began with: what is planned for each call goes with the call
CREATE FUNCTION asked(i int) RETURNS float8 LANGUAGE sql VOLATILE AS $$ SELECT idla_predict('m', r) FROM rows r WHERE id = i $$;
CREATE FUNCTION switched(i int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN IF i = 2 THEN PERFORM by_hand(2); END IF; RETURN i; END $$;
CREATE FUNCTION memory() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT sum(total_bytes) FROM pg_backend_memory_contexts $$;
BEGIN;
SELECT count(*) FILTER (WHERE q = v1) AS v1, count(*) FILTER (WHERE q = v2) AS v2, max(bytes) - min(bytes) < 4000000 AS let_go
FROM (SELECT id, asked(switched(id)) AS q, CASE WHEN id IN (3, 400) THEN memory() END AS bytes FROM rows ORDER BY id OFFSET 0) x JOIN answers USING (id);
ROLLBACK;
-- nor is what others keep made anew with each of its calls
CREATE SEQUENCE plans;
CREATE FUNCTION counted() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM nextval('plans'); RETURN 1; END $$;
CREATE FUNCTION also_asked(i int) RETURNS float8 LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN (SELECT idla_predict('m', r) FROM rows r WHERE id = i AND counted() = 1); END $$;
BEGIN;
SELECT count(*) FILTER (WHERE q = v1 AND p = v1) AS v1, count(*) FILTER (WHERE q = v2 AND p = v2) AS v2
FROM (SELECT id, asked(switched(id)) AS q, also_asked(id) AS p FROM rows WHERE id <= 6 ORDER BY id OFFSET 0) x JOIN answers USING (id);
SELECT last_value BETWEEN 2 AND 3 AS seldom FROM plans;
ROLLBACK;
-- and in workers
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
PREPARE parallel AS SELECT count(*) FILTER (WHERE q = v1) AS v1, count(*) FILTER (WHERE q = v2) AS v2 FROM (SELECT id, idla_predict('m', r) AS q FROM rows r) x JOIN answers USING (id);
EXECUTE parallel;
BEGIN;
UPDATE m SET in_service = false WHERE in_service;
UPDATE m SET in_service = true WHERE version = 2 AND chunk = 0;
EXECUTE parallel;
ROLLBACK;
EXECUTE parallel;
SET max_parallel_workers_per_gather = 0;
-- and calls that are answered row by row
PREPARE coalesced AS SELECT count(*) FILTER (WHERE q = v1) AS v1, count(*) FILTER (WHERE q = v2) AS v2 FROM answers JOIN (SELECT id, coalesce(NULLIF(id, id), idla_predict('m', r)) AS q FROM rows r) x USING (id);
EXECUTE coalesced;
BEGIN;
UPDATE m SET in_service = false WHERE in_service;
UPDATE m SET in_service = true WHERE version = 2 AND chunk = 0;
SELECT passed('EXECUTE coalesced');
EXECUTE coalesced;
ROLLBACK;
EXECUTE coalesced;

-- where the model is not known in time, all columns are passed: a parameter, no right to read it, no version in service
PREPARE parameter(regclass) AS SELECT idla_predict($1, r) FROM rows r;
SELECT passed('EXECUTE parameter(''m'')');
SELECT idla_deploy('m', NULL);
SELECT passed('EXECUTE kept');
EXECUTE kept;
SELECT idla_deploy('m', 1);
SELECT passed('EXECUTE kept');
CREATE ROLE narrow_reader;
GRANT USAGE ON SCHEMA narrow TO narrow_reader;
GRANT SELECT ON rows TO narrow_reader;
SET ROLE narrow_reader;
SELECT passed('SELECT idla_predict(''m'', r) FROM rows r');
SELECT idla_predict('m', r) FROM rows r LIMIT 1;
RESET ROLE;
DROP OWNED BY narrow_reader;
DROP ROLE narrow_reader;

-- what is planned again is asked for the caller's rights, and shows the rows that he may see
CREATE ROLE narrow_some;
CREATE ROLE narrow_no_rows;
CREATE ROLE narrow_no_model;
GRANT USAGE ON SCHEMA narrow TO narrow_some, narrow_no_rows, narrow_no_model;
GRANT SELECT ON answers TO narrow_some, narrow_no_rows, narrow_no_model;
GRANT SELECT ON rows TO narrow_some, narrow_no_model;
GRANT SELECT ON m TO narrow_some, narrow_no_rows;
PREPARE seen_rows AS SELECT count(*) FILTER (WHERE q = v1) AS v1, count(*) FILTER (WHERE q = v2) AS v2 FROM answers JOIN (SELECT id, idla_predict('m', r) AS q FROM rows r) x USING (id);
EXECUTE seen_rows;
BEGIN;
SELECT by_hand(2);
SAVEPOINT before;
SET LOCAL ROLE narrow_no_rows;
EXECUTE seen_rows;
ROLLBACK TO before;
SET LOCAL ROLE narrow_no_model;
EXECUTE seen_rows;
ROLLBACK;
BEGIN;
ALTER TABLE rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY first_ten ON rows TO narrow_some USING (id <= 10);
SET LOCAL ROLE narrow_some;
EXECUTE seen_rows;
RESET ROLE;
SELECT by_hand(2);
SET LOCAL ROLE narrow_some;
EXECUTE seen_rows;
RESET ROLE;
EXECUTE seen_rows;
ROLLBACK;
EXECUTE seen_rows;
DROP OWNED BY narrow_some, narrow_no_rows, narrow_no_model;
DROP ROLE narrow_some, narrow_no_rows, narrow_no_model;

-- what else reads the row: subgroups, references of dates
CREATE TABLE stays AS SELECT i AS id, ('2026-01-01'::date + i % 50) AS admitted, ('2026-01-01'::date + i % 50 + i % 9) AS released, i % 5 AS x, CASE WHEN i % 2 = 0 THEN 'f' ELSE 'm' END AS sex,
	repeat('y', 30) AS note, i % 9 + i % 5 AS y FROM generate_series(1, 600) i;
SELECT version FROM idla_train('stay', 'SELECT admitted, released, x, sex, y FROM stays', 'y', 'regression', 'linear',
	'{"epochs": 2, "seed": 1, "columns": {"released": {"reference": "admitted"}, "sex": "ignore", "admitted": "ignore"}, "conformal": {"by": "sex"}}');
SELECT passed($$SELECT idla_interval('stay', s), idla_predict('stay', s) FROM stays s$$);
SELECT compare($$SELECT id, idla_interval('stay', s), idla_predict('stay', s) FROM stays s$$);

-- the log's key
SELECT idla_log('m', 1, 'id');
SELECT passed('EXECUTE kept');
SELECT idla_log('m', 1, 'nowhere');
SELECT passed('EXECUTE kept');
SELECT idla_log('m', 0);
SELECT passed('EXECUTE kept');

-- nobody vouches for a manifest: columns that claim more channels than there are cost nothing while a plan is made
UPDATE stay SET manifest = manifest || jsonb_build_object('channels', array_fill(0, ARRAY[131072]), 'columns',
	(SELECT jsonb_agg(jsonb_build_object('name', 'x' || i, 'kind', 8, 'length', 131072)) FROM generate_series(1, 200000) i)) WHERE chunk = 0;
SET statement_timeout = '10s';
\set VERBOSITY terse
SELECT idla_predict('stay', s) FROM stays s;
\set VERBOSITY default
RESET statement_timeout;

-- more columns than a function has arguments
DO $$ BEGIN EXECUTE 'CREATE TABLE wide AS SELECT r.*' || (SELECT string_agg(format(', id + %s AS w%s', i, i), '') FROM generate_series(1, 300) i) || ' FROM rows r'; END $$;
SELECT compare($$SELECT id, idla_predict('m', w) FROM wide w$$);
SELECT compare($$SELECT v.id, idla_predict('m', v) FROM (SELECT * FROM wide OFFSET 0) v$$);

DROP SCHEMA narrow CASCADE;
