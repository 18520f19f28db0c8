-- Predictions in batches: wherever a query calls the predict family, the answers are those of the row path, bit for bit.
SET client_min_messages = warning;
CREATE SCHEMA batches;
SET search_path = batches, public;
SET idla.progress = off;
SET max_parallel_workers_per_gather = 0;
SET jit = off;

CREATE TABLE patients (id int PRIMARY KEY, age float8, sex text, pressure numeric, labs real[], ward int, sick boolean, grade text);
INSERT INTO patients
SELECT i, 20 + i * 37 % 60, CASE WHEN i % 3 = 0 THEN 'f' ELSE 'm' END, CASE WHEN i % 7 > 0 THEN 90 + i * 13 % 80 END,
	ARRAY[i % 5, i * 7 % 11, i % 2], i % 9, (20 + i * 37 % 60) + (i * 13 % 80) > 95, (ARRAY['mild', 'severe', 'none'])[1 + i * 37 % 60 / 21]
FROM generate_series(1, 1200) i;
ANALYZE patients;
SELECT model, rows_used > 0 AS trained FROM idla_train('sick', 'SELECT age, sex, pressure, labs, sick FROM patients', 'sick', architecture => 'mlp', options => '{"epochs": 3, "folds": 1}');
SELECT model, rows_used > 0 AS trained FROM idla_train('grade', 'SELECT age, sex, pressure, grade FROM patients', 'grade', architecture => 'linear', options => '{"epochs": 3, "folds": 1}');

-- What a query gives with batches and without, and whether its plan has any.
CREATE FUNCTION compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	nodes int := 0;
	different bigint;
	total bigint;
BEGIN
	SET LOCAL idla.batch_predict = on;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		nodes := nodes + (line LIKE '%IDLA Batch Predict%')::int;
	END LOOP;
	EXECUTE 'CREATE TEMP TABLE batched AS ' || query;
	SET LOCAL idla.batch_predict = off;
	EXECUTE 'CREATE TEMP TABLE single AS ' || query;
	SELECT count(*) INTO different FROM (
		(SELECT ROW(batched.*)::text FROM batched EXCEPT ALL SELECT ROW(single.*)::text FROM single) UNION ALL
		(SELECT ROW(single.*)::text FROM single EXCEPT ALL SELECT ROW(batched.*)::text FROM batched)) x;
	SELECT count(*) INTO total FROM batched;
	DROP TABLE batched, single;
	RETURN format('%s batch nodes: %s', nodes, CASE WHEN total > 0 AND different = 0 THEN 'the same' ELSE format('%s of %s rows differ', different, total) END);
END $$;

CREATE FUNCTION analyzed(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || query LOOP
		-- PostgreSQL 18 has fractions of rows
		RETURN NEXT regexp_replace(line, 'rows=(\d+)\.00', 'rows=\1');
	END LOOP;
END $$;
CREATE FUNCTION explained_lines(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END $$;

-- target list, condition, order, group, aggregate
SELECT compare($$SELECT id, idla_predict('sick', p) FROM patients p$$);
SELECT compare($$SELECT id, idla_predict('sick', p) AS a, idla_classify('sick', p) AS b, idla_probabilities('sick', p) AS c, idla_classify('grade', p) AS d, idla_probabilities('grade', p) AS e, idla_predict('grade', p, output => 'mild') AS f FROM patients p$$);
SELECT compare($$SELECT id FROM patients p WHERE idla_predict('sick', p) > 0.5 AND ward < 5$$);
SELECT compare($$SELECT id, row_number() OVER (ORDER BY idla_predict('sick', p), id) FROM patients p$$);
SELECT compare($$SELECT id FROM patients p ORDER BY idla_predict('sick', p) DESC, id LIMIT 10$$);
SELECT compare($$SELECT idla_classify('grade', p), count(*) FROM patients p GROUP BY 1$$);
SELECT compare($$SELECT ward, avg(idla_predict('sick', p)), max(age), count(*) FILTER (WHERE idla_predict('sick', p) > 0.5) FROM patients p GROUP BY ward$$);
SELECT compare($$SELECT ward FROM patients p GROUP BY ward HAVING avg(idla_predict('sick', p)) > 0.4$$);
SELECT compare($$SELECT ward, sex, sum(idla_predict('sick', p)) FROM patients p GROUP BY GROUPING SETS ((ward), (sex), ())$$);
SELECT compare($$SELECT ward, sex, grade, grouping(ward, sex), avg(idla_predict('sick', p)), count(*) FROM patients p GROUP BY ROLLUP (ward, sex), CUBE (grade, ward)$$);
SET enable_hashagg = off;
SELECT compare($$SELECT ward, sex, grade, max(idla_predict('sick', p)), min(age) FROM patients p GROUP BY GROUPING SETS ((ward, sex), (grade), (sex, grade), ())$$);
RESET enable_hashagg;
SET enable_sort = off;
SELECT compare($$SELECT ward, sex, grade, max(idla_predict('sick', p)), min(age) FROM patients p GROUP BY GROUPING SETS ((ward, sex), (grade), (sex, grade))$$);
RESET enable_sort;
SET work_mem = '64kB';
SELECT compare($$SELECT id, sex, max(idla_predict('sick', p)), min(pressure), max(grade) AS worst FROM patients p GROUP BY GROUPING SETS ((id), (sex), (id, sex), (age, id))$$);
RESET work_mem;
SELECT compare($$SELECT ward, avg(idla_predict('sick', p)) OVER (PARTITION BY ward) FROM patients p$$);
SELECT compare($$SELECT DISTINCT round(idla_predict('sick', p)::numeric, 2) FROM patients p$$);
-- rows that are made by the query
SELECT compare($$SELECT ward, idla_predict('grade', g, output => 'none') FROM (SELECT ward, avg(age) AS age, 'f'::text AS sex, avg(pressure) AS pressure FROM patients GROUP BY ward) g$$);
SELECT compare($$SELECT idla_predict('grade', s, output => 'none') FROM (SELECT age + 1 AS age, upper(sex) AS sex, pressure FROM patients) s$$);
SELECT compare($$SELECT idla_predict('grade', s, output => 'none') FROM (SELECT age, sex, pressure FROM patients ORDER BY id LIMIT 50) s$$);
SELECT compare($$WITH w AS MATERIALIZED (SELECT age, sex, pressure FROM patients WHERE ward = 3) SELECT age, idla_classify('grade', w) FROM w$$);
-- joins
CREATE TABLE wards (ward int PRIMARY KEY, floor int);
INSERT INTO wards SELECT i, i / 3 FROM generate_series(0, 7) i;
ANALYZE wards;
SELECT compare($$SELECT floor, sum(idla_predict('sick', p)) FROM patients p JOIN wards USING (ward) GROUP BY floor$$);
SELECT compare($$SELECT p.id, idla_predict('sick', p) FROM patients p LEFT JOIN wards w USING (ward) WHERE w.floor IS NULL$$);
SELECT compare($$SELECT w.ward, idla_predict('sick', p) FROM wards w LEFT JOIN patients p ON p.id = w.ward * 1000$$);
SELECT compare($$SELECT w.ward, x.risk FROM wards w, LATERAL (SELECT idla_predict('sick', p) AS risk FROM patients p WHERE p.ward = w.ward ORDER BY p.id LIMIT 3) x$$);
SELECT compare($$SELECT w.ward, (SELECT max(idla_predict('sick', p)) FROM patients p WHERE p.ward = w.ward) FROM wards w$$);
SELECT compare($$SELECT ward FROM wards w WHERE EXISTS (SELECT FROM patients p WHERE p.ward = w.ward AND idla_predict('sick', p) > 0.6)$$);
SET enable_hashjoin = off; SET enable_nestloop = off;
SELECT compare($$SELECT a.id, b.risk FROM patients a JOIN (SELECT id, idla_predict('sick', p) AS risk FROM patients p) b ON a.id = b.id$$);
RESET enable_hashjoin; RESET enable_nestloop;
-- sets
SELECT compare($$SELECT id, idla_predict('sick', p) FROM patients p WHERE ward = 1 UNION ALL SELECT -id, idla_predict('sick', p) FROM patients p WHERE ward = 2$$);
-- views on views, materialised ones
CREATE VIEW risk AS SELECT p.*, idla_predict('sick', p) AS risk FROM patients p;
CREATE VIEW risky AS SELECT id, ward, risk FROM risk WHERE risk > 0.5;
SELECT compare('SELECT * FROM risky WHERE ward = 4');
SELECT compare('SELECT ward, avg(risk) FROM risky GROUP BY ward');
SELECT compare('SELECT id FROM risk ORDER BY id LIMIT 5');
CREATE MATERIALIZED VIEW stored AS SELECT * FROM risk;
SELECT count(*) FROM stored JOIN risk USING (id) WHERE stored.risk = risk.risk;
-- partitions
CREATE TABLE visits (LIKE patients) PARTITION BY RANGE (ward);
CREATE TABLE visits_low PARTITION OF visits FOR VALUES FROM (0) TO (4);
CREATE TABLE visits_high (extra int, LIKE patients);
ALTER TABLE visits_high DROP COLUMN extra;
ALTER TABLE visits ATTACH PARTITION visits_high FOR VALUES FROM (4) TO (100);
INSERT INTO visits SELECT * FROM patients;
ANALYZE visits;
SELECT compare($$SELECT id, idla_predict('sick', v) FROM visits v$$);
SELECT compare($$SELECT avg(idla_predict('sick', v)) FROM visits v WHERE ward > 2$$);
-- a foreign table
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
\set patients_file `echo "$IDLA_SCRATCH/batches.csv"`
COPY (SELECT id, age, sex, pressure FROM patients) TO :'patients_file' (FORMAT csv);
CREATE FOREIGN TABLE far (id int, age float8, sex text, pressure numeric) SERVER files OPTIONS (filename :'patients_file', format 'csv');
SELECT compare($$SELECT id, idla_predict('grade', f, output => 'mild') FROM far f$$);
DROP EXTENSION file_fdw CASCADE;
-- workers
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT compare($$SELECT id, idla_predict('sick', p) FROM patients p$$);
SELECT compare($$SELECT ward, max(idla_predict('sick', p)) FROM patients p GROUP BY ward$$);
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
SET max_parallel_workers_per_gather = 0;

-- more columns than a function has arguments
SELECT 'CREATE TABLE wide AS SELECT p.*, ' || string_agg('0 AS x' || i, ', ') || ' FROM patients p' FROM generate_series(1, 120) i \gexec
SELECT compare($$SELECT id, x120, idla_predict('sick', w), idla_classify('grade', w) FROM wide w$$);
SELECT compare($$SELECT ward, avg(idla_predict('sick', w)), count(*) FILTER (WHERE idla_classify('sick', w) = 'true') FROM wide w GROUP BY ward$$);
SET idla.batch_predict = off;
SELECT count(idla_predict('sick', w)) FROM wide w;
RESET idla.batch_predict;

-- where an answer might not be wanted, and where reading ahead would be noticed, rows come one by one
SELECT compare($$SELECT CASE WHEN ward > 3 THEN idla_predict('sick', p) END FROM patients p$$);
SELECT compare($$SELECT CASE WHEN idla_predict('sick', p) > 0.8 THEN 'high' WHEN idla_predict('sick', p) > 0.4 THEN 'some' ELSE 'low' END FROM patients p$$);
SELECT compare($$SELECT coalesce(pressure::float8, idla_predict('sick', p)) FROM patients p$$);
SELECT compare($$SELECT id FROM patients p WHERE ward = 1 OR idla_predict('sick', p) > 0.5$$);
CREATE SEQUENCE counted;
SELECT compare($$SELECT idla_predict('sick', p) FROM (SELECT *, nextval('counted') FROM patients OFFSET 0) p$$);
SELECT id, idla_predict('sick', p) > 0.5 AS sick, nextval('counted') - currval('counted') AS none FROM patients p ORDER BY id LIMIT 2;
ALTER SEQUENCE counted RESTART;
SELECT idla_predict('sick', p) IS NULL, nextval('counted') FROM patients p LIMIT 3;
SELECT nextval('counted');
ALTER SEQUENCE counted RESTART;
WITH w AS (SELECT nextval('counted') AS n, p.* FROM patients p) SELECT n, idla_predict('sick', w) IS NULL AS none FROM w LIMIT 1;
SELECT id, idla_predict('sick', p) IS NULL AS none FROM patients p WHERE (SELECT nextval('counted') + p.id - p.id) > 0 LIMIT 1;
SELECT nextval('counted');
-- one prediction within another's row
SELECT compare($$SELECT idla_predict('grade', q, output => 'mild') FROM (SELECT 100 * idla_predict('sick', p) AS age, sex, pressure FROM patients p) q$$);
SELECT compare($$SELECT id, idla_predict('sick', p) + (SELECT count(*) FROM wards w WHERE w.ward < p.ward) FROM patients p$$);

-- conditions keep their order: nothing is asked about rows that an earlier one leaves out, and what a view hides stays hidden
CREATE TABLE some_odd AS SELECT id, age, sex, pressure, CASE WHEN id = 20 THEN ARRAY[1.0::real] ELSE labs END AS labs FROM patients WHERE id <= 100;
SELECT compare($$SELECT idla_predict('sick', o) FROM some_odd o WHERE (idla_predict('grade', o, output => 'mild') >= 0) <> (id = 20)$$);
SELECT compare($$SELECT id FROM some_odd o WHERE (idla_predict('grade', o, output => 'mild') >= 0) <> (id = 20) AND idla_predict('sick', o) * 2 + 1 > 0 AND length(idla_classify('sick', o)) * 2 + 1 > 0$$);
SELECT compare($$SELECT id, idla_predict('grade', o, output => 'none') AS n FROM some_odd o WHERE (idla_predict('grade', o, output => 'mild') >= 0) <> (id = 20) AND idla_predict('sick', o) * 2 + 1 < 4$$);
SELECT compare($$SELECT count(*) FROM wards w WHERE EXISTS (SELECT FROM patients p WHERE p.ward = w.ward AND idla_predict('sick', p) > 2)$$);
CREATE FUNCTION looks_at(id int) RETURNS boolean LANGUAGE plpgsql STABLE COST 0.0001 AS $$
BEGIN
	RAISE INFO 'sees patient %', id;
	RETURN true;
END $$;
CREATE VIEW hidden WITH (security_barrier) AS SELECT * FROM patients p WHERE idla_classify('sick', p) = 'nobody';
EXPLAIN (COSTS OFF) SELECT count(*) FROM hidden WHERE looks_at(id);
SELECT count(*) FROM hidden WHERE looks_at(id);

-- so does what row security hides
CREATE ROLE batches_hidden;
GRANT USAGE ON SCHEMA batches TO batches_hidden;
GRANT SELECT ON patients TO batches_hidden;
GRANT SELECT (version, in_service, card) ON sick TO batches_hidden;
ALTER TABLE patients ENABLE ROW LEVEL SECURITY;
CREATE POLICY nobody ON patients TO batches_hidden USING (idla_predict('sick', patients) > 2);
SET ROLE batches_hidden;
SELECT count(*) FROM patients WHERE looks_at(id);
SELECT idla_predict('sick', p) FROM patients p WHERE looks_at(id);
RESET ROLE;
ALTER TABLE patients DISABLE ROW LEVEL SECURITY;
DROP POLICY nobody ON patients;
DROP OWNED BY batches_hidden;
DROP ROLE batches_hidden;

-- a window that stops early, and a limit that a sort is to know of
CREATE VIEW numbered AS SELECT *, 1::bigint AS one FROM patients;
SELECT compare($$SELECT id, r, one FROM (SELECT id, idla_classify('grade', p) AS r, row_number() OVER (ORDER BY id) AS rn, one FROM numbered p) s WHERE rn <= 3 AND r <> ''$$);
SELECT compare($$SELECT id, a FROM (SELECT id, avg(idla_predict('sick', p)) OVER (ORDER BY id) AS a, rank() OVER (ORDER BY id) AS rn FROM patients p) s WHERE rn <= 5$$);
SELECT compare($$SELECT id, idla_predict('sick', p) FROM patients p ORDER BY pressure, id LIMIT 5 OFFSET 2$$);
SELECT count(*) FROM analyzed($$SELECT id, idla_predict('sick', p) FROM patients p ORDER BY pressure, id LIMIT 5$$) line WHERE line LIKE '%top-N heapsort%' OR line LIKE '%Predicted Rows: 5';

-- nothing that only a running plan can know is asked for an EXPLAIN
CREATE TABLE wishes AS SELECT 1 AS id, 'mild' AS class, 'grade'::regclass AS model;
CREATE INDEX ON wishes (id);
EXPLAIN (COSTS OFF) SELECT (SELECT max(idla_predict('grade', p, output => w.class)) FROM patients p) FROM wishes w;
SET enable_seqscan = off;
SELECT count(*) > 3 AS explained FROM explained_lines($$SELECT idla_classify((SELECT model FROM wishes WHERE id = 1), p) FROM patients p$$);
RESET enable_seqscan;
SELECT count(*) > 3 AS explained FROM explained_lines($$SELECT (SELECT count(idla_classify(w.model, p)) FROM patients p) FROM wishes w$$);
SELECT compare($$SELECT (SELECT max(idla_predict(w.model, p, output => w.class)) FROM patients p) AS most FROM wishes w$$);

-- prepared, with the model as a parameter and a generic plan; NULL for a model
SET plan_cache_mode = force_generic_plan;
PREPARE risks(regclass, int) AS SELECT sum(idla_predict($1, p)) FROM patients p WHERE ward = $2;
CREATE TABLE sums AS SELECT ward, sum(idla_predict('sick', p)) AS s FROM patients p GROUP BY ward;
CREATE FUNCTION prepared(w int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE s float8;
BEGIN
	EXECUTE format('EXECUTE risks(%L, %s)', 'sick', w) INTO s;
	RETURN s;
END $$;
SELECT bool_and(abs(prepared(ward) - s) < 1e-9) FROM sums;
EXPLAIN (COSTS OFF) EXECUTE risks('sick', 1);
EXECUTE risks(NULL, 1);
RESET plan_cache_mode;
-- a loop in PL/pgSQL
DO $$
DECLARE
	r record;
	n int := 0;
BEGIN
	FOR r IN SELECT id, idla_predict('sick', p) AS risk FROM patients p ORDER BY id LOOP
		EXIT WHEN n = 20;
		n := n + (r.risk = (SELECT risk FROM stored s WHERE s.id = r.id))::int;
	END LOOP;
	RAISE INFO 'the first % are the same', n;
END $$;

-- cursors: forward, and both ways where that was asked for
BEGIN;
DECLARE forth CURSOR FOR SELECT id, round(idla_predict('sick', p)::numeric, 1) IS NOT NULL FROM patients p ORDER BY id;
FETCH 2 FROM forth;
DECLARE back SCROLL CURSOR FOR SELECT id FROM patients p WHERE idla_predict('sick', p) >= 0 AND id < 40;
FETCH 3 FROM back;
FETCH BACKWARD 2 FROM back;
FETCH LAST FROM back;
FETCH ABSOLUTE 2 FROM back;
EXPLAIN (COSTS OFF) DECLARE x SCROLL CURSOR FOR SELECT id FROM patients p WHERE idla_predict('sick', p) >= 0;
COMMIT;

-- rows that are locked, changed and returned
BEGIN;
SELECT id FROM patients p WHERE idla_predict('sick', p) >= 0 AND id < 3 FOR UPDATE;
CREATE TABLE scores (id int, risk float8);
INSERT INTO scores SELECT id, idla_predict('sick', p) FROM patients p;
SELECT count(*) FROM scores JOIN stored USING (id) WHERE scores.risk = stored.risk;
ALTER TABLE patients ADD risk float8;
UPDATE patients p SET risk = idla_predict('sick', p);
SELECT count(*) FROM patients p JOIN stored s USING (id) WHERE p.risk = s.risk;
UPDATE patients p SET age = 50 WHERE id = 1 RETURNING id, idla_predict('sick', p) = risk AS as_before;
DELETE FROM patients p WHERE idla_predict('sick', p) >= 0 AND id > 1190 RETURNING id;
ROLLBACK;

-- a row without an answer is an error when its turn comes, and not before; its place and column are named
CREATE TABLE odd AS SELECT id, age, sex, pressure, CASE WHEN id = 20 THEN ARRAY[1.0::real] ELSE labs END AS labs FROM patients ORDER BY id LIMIT 100;
SELECT count(*) FROM (SELECT idla_predict('sick', o) FROM odd o LIMIT 19) x;
SELECT count(*) FROM (SELECT idla_predict('sick', o) FROM odd o LIMIT 20) x;
SELECT sum(idla_predict('sick', o)) FROM odd o;
SET idla.on_bad_input = 'null';
SELECT count(*), count(idla_predict('sick', o)) FROM odd o;
SELECT id FROM odd o WHERE idla_predict('sick', o) IS NULL;
SET idla.batch_predict = off;
SELECT count(*), count(idla_predict('sick', o)), count(idla_classify('sick', o)), count(idla_probabilities('sick', o)) FROM odd o;
RESET idla.batch_predict;
RESET idla.on_bad_input;

-- what EXPLAIN says; calls about the same columns share a pass
SELECT analyzed($$SELECT idla_predict('sick', p), idla_classify('sick', p), idla_classify('grade', p) FROM patients p WHERE idla_predict('sick', p) > -1$$);
SELECT analyzed($$SELECT idla_predict('sick', p) FROM patients p LIMIT 1$$);
SET idla.batch_rows = 10;
SELECT analyzed($$SELECT sum(idla_predict('sick', p)) FROM patients p$$);
RESET idla.batch_rows;
CREATE FUNCTION explained(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	document json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json, COSTS OFF) ' || query INTO document;
	RETURN QUERY SELECT json_array_elements(document -> 0 -> 'Plan' -> 'Models') ->> 'Model';
END $$;
SELECT explained($$SELECT idla_predict('sick', p), idla_classify('grade', p) FROM patients p$$);
-- a model that the query itself drops has no name when all is told
SELECT idla_copy('grade', 'gone');
CREATE FUNCTION drops(i int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF i = 1200 THEN DROP TABLE gone; END IF; RETURN true; END $$;
DO $$
DECLARE
	document json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT json, COSTS OFF) SELECT idla_classify(''gone'', p), drops(id) FROM patients p' INTO document;
	RAISE WARNING 'model "%"', document -> 0 -> 'Plan' -> 'Models' -> 0 ->> 'Model';
END $$;
SET idla.batch_predict = off;
EXPLAIN (COSTS OFF) SELECT idla_predict('sick', p) FROM patients p;
RESET idla.batch_predict;

-- columns picked twice, in another order and by reference, by nodes above that keep rows, sort and join them again
SELECT compare($$SELECT grade, idla_predict('sick', p), id, grade AS again, idla_predict('sick', p) AS more, labs FROM patients p$$);
SELECT compare($$WITH w AS MATERIALIZED (SELECT grade, labs, idla_predict('sick', p) AS risk, id FROM patients p) SELECT a.risk, b.labs, a.grade FROM w a JOIN w b ON a.id = b.id + 1$$);
SELECT compare($$SELECT id, lag(grade) OVER w AS before, lag(idla_predict('sick', p)) OVER w AS risk, first_value(labs) OVER w AS first FROM patients p WINDOW w AS (PARTITION BY ward ORDER BY id)$$);
SELECT compare($$SELECT FROM patients p WHERE idla_predict('sick', p) > 0.5$$);
-- ten numbers of a kind beside each other, some missing or not finite, in rows of some kilobytes of which little is read, on pages that have
-- holes and rows moved within them, read from the start, from the middle and by an index
CREATE TABLE broad (id int, a float8, b float8, c float8, d float8, e float8, f float8, g float8, h float8, i float8, j float8, filler text, late int);
INSERT INTO broad SELECT i, CASE WHEN i % 11 > 0 THEN i % 13 END, i % 17, CASE i % 97 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN 1e300 ELSE i % 97 END, i % 3, i % 5, i % 7, i % 19, i % 23, i % 29,
	CASE WHEN i % 31 > 0 THEN i % 37 END, repeat(chr(65 + i % 26), i * 7 % 1900), i FROM generate_series(1, 3000) i;
DELETE FROM broad WHERE id % 6 = 1;
UPDATE broad SET b = b + 1, filler = filler || 'x' WHERE id % 10 = 4;
UPDATE broad SET late = -late WHERE id % 8 = 3;
CREATE INDEX ON broad (id);
CREATE INDEX ON broad (late);
ANALYZE broad;
SET client_min_messages = error;
SELECT model, rows_used > 0 AS trained FROM idla_train('ten', 'SELECT a, b, c, d, e, f, g, h, i, j, b + h + i > 32 AS y FROM broad', 'y', architecture => 'dense(40) relu dense(9) relu', options => '{"epochs": 2, "folds": 1}');
SET client_min_messages = warning;
SELECT compare($$SELECT id, idla_predict('ten', w) FROM broad w$$);
SELECT compare($$SELECT late, length(filler), idla_predict('ten', w), filler FROM broad w$$);
SELECT compare($$SELECT sum(idla_predict('ten', w)::numeric) FROM broad w WHERE d <> 1$$);
SELECT compare($$SELECT id, idla_predict('ten', w) FROM broad w WHERE ctid >= '(100,1)' AND ctid < '(140,1)'$$);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT compare($$SELECT id, idla_predict('ten', w) FROM broad w WHERE late BETWEEN -2000 AND 100$$);
SET enable_bitmapscan = on;
SET enable_indexscan = off;
SELECT compare($$SELECT id, idla_predict('ten', w) FROM broad w WHERE id BETWEEN 100 AND 2000$$);
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET enable_indexscan;
SET idla.batch_rows = 3;
SELECT compare($$SELECT id, idla_predict('ten', w), filler FROM broad w WHERE id < 100$$);
RESET idla.batch_rows;

-- the right to use the model is asked for as ever, and a version deployed is seen by the next statement
CREATE ROLE batches_reader;
GRANT USAGE ON SCHEMA batches TO batches_reader;
GRANT SELECT ON patients TO batches_reader;
SET ROLE batches_reader;
SELECT sum(idla_predict('sick', p)) FROM patients p;
RESET ROLE;
GRANT SELECT (version, in_service, card) ON sick TO batches_reader;
SET ROLE batches_reader;
SELECT count(idla_predict('sick', p)) FROM patients p;
RESET ROLE;
SELECT version FROM idla_train('sick', 'SELECT age, sex, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 1, "folds": 1, "deploy": true}');
EXPLAIN (COSTS OFF) SELECT idla_predict('sick', p) FROM patients p;
SELECT compare($$SELECT id, idla_predict('sick', p) AS a, idla_predict('sick', p, version => 1) AS b FROM patients p$$);
SELECT sum(idla_predict('sick', p, version => 9)) FROM patients p;
SELECT idla_predict('grade', p) FROM patients p LIMIT 1;

DROP OWNED BY batches_reader;
DROP ROLE batches_reader;
DROP SCHEMA batches CASCADE;
