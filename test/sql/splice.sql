-- Plans of every kind: wherever the batch node goes, or does not, the rows are those of the row path, bit for bit.
SET client_min_messages = warning;
CREATE SCHEMA splice;
SET search_path = splice, public;
SET idla.progress = off;
SET max_parallel_workers_per_gather = 0;
SET jit = off;

CREATE TABLE patients (id int PRIMARY KEY, age float8, sex text, pressure numeric, labs real[], ward int, sick boolean, grade text);
INSERT INTO patients
SELECT i, 20 + i * 37 % 60, CASE WHEN i % 3 = 0 THEN 'f' ELSE 'm' END, CASE WHEN i % 7 > 0 THEN 90 + i * 13 % 80 END,
	ARRAY[i % 5, i * 7 % 11, i % 2], i % 9, (20 + i * 37 % 60) + (i * 13 % 80) > 95, (ARRAY['mild', 'severe', 'none'])[1 + i * 37 % 60 / 21]
FROM generate_series(1, 600) i;
CREATE TABLE wards AS SELECT i AS ward, i / 3 AS floor FROM generate_series(0, 7) i;
ANALYZE patients, wards;
SELECT model FROM idla_train('sick', 'SELECT age, sex, pressure, labs, sick FROM patients', 'sick', architecture => 'mlp', options => '{"epochs": 3, "folds": 1}');
SELECT model FROM idla_train('grade', 'SELECT age, sex, pressure, grade FROM patients', 'grade', architecture => 'linear', options => '{"epochs": 3, "folds": 1}');

-- What a query gives with batches and without, and whether its plan has any.
CREATE FUNCTION compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	nodes int := 0;
	different bigint;
	total bigint;
BEGIN
	SET LOCAL idla.batch_predict = on;
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
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
	RETURN format('%s: %s', CASE WHEN nodes > 0 THEN 'in batches' ELSE 'row by row' END,
		CASE WHEN total > 0 AND different = 0 THEN 'the same' ELSE format('%s of %s rows differ', different, total) END);
END $$;

-- recursion
SELECT compare($$WITH RECURSIVE r AS (SELECT p.*, 1 AS n FROM patients p WHERE id <= 90 UNION ALL SELECT id, age + 1, sex, pressure, labs, ward, sick, grade, n + 1 FROM r WHERE n < 4 AND idla_predict('sick', r) > 0.3)
	SELECT id, n, idla_predict('sick', r) FROM r$$);
SELECT compare($$WITH RECURSIVE r(id, age, sex, pressure, risk, n) AS (SELECT id, age, sex, pressure, idla_predict('grade', p, output => 'mild'), 1 FROM patients p WHERE id <= 50
	UNION ALL SELECT q.id, q.age, q.sex, q.pressure, idla_predict('grade', q, output => 'mild'), n + 1 FROM (SELECT id, age + 1 AS age, sex, pressure, n FROM r) q WHERE n < 5) SELECT * FROM r$$);
SELECT compare($$WITH RECURSIVE r(id, risk, n) AS (SELECT id, idla_predict('sick', p), 1 FROM patients p WHERE id <= 5 UNION ALL SELECT p.id, idla_predict('sick', p), n + 1 FROM r JOIN patients p ON p.id = r.id + 7 WHERE n < 20)
	SELECT * FROM r$$);
-- functions that return sets, in the target list, below and beside a call, and as its input
SELECT compare($$SELECT id, idla_predict('sick', p), generate_series(1, ward) FROM patients p$$);
SELECT compare($$SELECT id, generate_series(1, (10 * idla_predict('sick', p))::int) FROM patients p$$);
SELECT compare($$SELECT idla_predict('grade', q, output => 'mild') FROM (SELECT unnest(labs)::float8 AS age, sex, pressure FROM patients) q$$);
SELECT compare($$SELECT id, k, idla_predict('grade', q, output => 'mild') FROM patients p, LATERAL (SELECT p.age + k AS age, p.sex, p.pressure, k FROM generate_series(1, 3) k) q$$);
SELECT compare($$SELECT id, risk FROM patients p, idla_predict('sick', p) AS risk$$);
SELECT compare($$SELECT idla_predict('grade', v, output => 'mild') FROM (VALUES (1, 50.0::float8, 'f', 120::numeric), (2, 30, 'm', 100)) v(id, age, sex, pressure)$$);
-- rows that functions in FROM return: of a named type, with its names and not those of the query; records, with those of the query; NULL as a row
CREATE FUNCTION of_ward(w int) RETURNS SETOF patients LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN QUERY SELECT * FROM patients WHERE ward = w; END $$;
CREATE FUNCTION parts_of(w int, OUT age float8, OUT sex text, OUT pressure numeric) RETURNS SETOF record LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN QUERY SELECT p.age, p.sex, p.pressure FROM patients p WHERE ward = w; END $$;
CREATE FUNCTION noisy(w int) RETURNS SETOF patients LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT * FROM patients WHERE ward = w; END $$;
CREATE DOMAIN somebody AS patients CHECK ((VALUE).id > 0);
CREATE FUNCTION somebodies(w int) RETURNS SETOF somebody LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN QUERY SELECT * FROM patients WHERE ward = w; END $$;
SELECT compare($$SELECT g.id, idla_classify('grade', g) FROM of_ward(3) g$$);
SELECT compare($$SELECT w.floor, g.id, idla_classify('grade', g) FROM wards w, of_ward(w.ward) g$$);
SELECT compare($$SELECT w.floor, g.id, idla_classify('grade', g) FROM wards w LEFT JOIN of_ward(w.ward + 2) g ON true$$);
SELECT compare($$SELECT idla_classify('grade', g) FROM of_ward(3) AS g(age, id, pressure, sex)$$);
SELECT compare($$SELECT idla_classify('grade', g), n FROM of_ward(3) WITH ORDINALITY AS g(i, age, sex, pressure, a, b, c, d, n)$$);
SELECT compare($$SELECT idla_classify('grade', g) FROM parts_of(4) g$$);
SELECT compare($$SELECT idla_classify('grade', g) FROM somebodies(4) g$$);
SELECT compare($$SELECT idla_classify('grade', g) FROM noisy(4) g$$);
SELECT compare($$SELECT idla_classify('grade', g) FROM ROWS FROM (of_ward(3), generate_series(1, 200)) AS g$$);
SELECT compare($$SELECT idla_classify('grade', g) FROM ROWS FROM (unnest(ARRAY[50, 60]::float8[]), unnest(ARRAY['f', 'm']), unnest(ARRAY[100, NULL]::numeric[])) AS g(age, sex, pressure)$$);
SELECT compare($$SELECT u.id, u IS NULL AS missing, idla_classify('grade', u) FROM unnest(ARRAY[NULL::patients, (SELECT p FROM patients p WHERE id = 3), NULL]) u$$);
SELECT compare($$SELECT idla_classify('grade', j) FROM jsonb_populate_recordset(NULL::patients, (SELECT jsonb_agg(p) FROM patients p)) j$$);
SELECT compare($$SELECT idla_classify('grade', j) FROM jsonb_to_recordset((SELECT jsonb_agg(p) FROM patients p)) AS j(age float8, sex text, pressure numeric)$$);
SELECT compare($$SELECT p.id, x.n, idla_classify('grade', x) FROM patients p, xmltable('/p' PASSING xmlelement(name p, xmlattributes(p.age, p.sex, p.pressure)) COLUMNS n FOR ORDINALITY, age float8 PATH '@age', sex text PATH '@sex', pressure numeric PATH '@pressure') x WHERE p.id < 50$$);
ALTER TABLE patients ADD passing int;
ALTER TABLE patients DROP passing;
SELECT compare($$SELECT g.grade, idla_classify('grade', g) FROM of_ward(3) g$$);
-- loops that start the node over, with parameters of the row outside
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
SELECT compare($$SELECT a.id, b.risk FROM patients a JOIN (SELECT id, ward, idla_predict('sick', p) AS risk FROM patients p) b ON a.id = b.id$$);
SELECT compare($$SELECT a.id, b.risk FROM patients a LEFT JOIN LATERAL (SELECT idla_predict('sick', p) AS risk FROM patients p WHERE p.id = a.id * 2 LIMIT 1) b ON true$$);
SELECT compare($$SELECT a.id, b.other FROM (SELECT id, idla_predict('sick', p) AS risk FROM patients p OFFSET 0) a JOIN LATERAL (SELECT id AS other FROM patients q WHERE q.id = (a.risk * 100)::int OFFSET 0) b ON true$$);
SELECT compare($$SELECT a.id, b.risk FROM patients a JOIN LATERAL (SELECT idla_predict('sick', p) AS risk FROM patients p WHERE p.id = a.ward OFFSET 0) b ON true$$);
RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_material;
SELECT compare($$SELECT id, (SELECT sum(idla_predict('sick', q)) FROM patients q WHERE q.ward = p.ward AND q.id BETWEEN p.id - 3 AND p.id + 3) FROM patients p$$);
SELECT compare($$SELECT id FROM patients p WHERE round(idla_predict('sick', p)::numeric, 2) IN (SELECT round(idla_predict('sick', q)::numeric, 2) FROM patients q WHERE ward = 2)$$);
-- a parameter in the columns that are asked about: nothing above keeps what it had for another one
SELECT compare($$SELECT w.ward, y.* FROM wards w, LATERAL (SELECT sex, sum(idla_predict('grade', x, output => 'mild')) AS s, count(*) FROM (SELECT age + w.ward AS age, sex, pressure FROM patients WHERE id < 100) x GROUP BY sex) y$$);
SET enable_hashagg = off;
SELECT compare($$SELECT w.ward, y.* FROM wards w, LATERAL (SELECT sex, sum(idla_predict('grade', x, output => 'mild')) AS s, count(*) FROM (SELECT age + w.ward AS age, sex, pressure FROM patients WHERE id < 100) x GROUP BY sex) y$$);
RESET enable_hashagg;
SELECT compare($$SELECT w.ward, y.* FROM wards w, LATERAL (SELECT id, idla_predict('grade', x, output => 'mild') AS s FROM (SELECT id, age + w.ward AS age, sex, pressure FROM patients WHERE id < 100) x ORDER BY s, id LIMIT 3) y$$);
SELECT compare($$SELECT w.ward, y.* FROM wards w, LATERAL (SELECT id, max(idla_predict('grade', x, output => 'mild')) OVER (PARTITION BY sex) AS s FROM (SELECT id, age + w.ward AS age, sex, pressure FROM patients WHERE id < 100) x) y$$);
SELECT compare($$SELECT w.ward, y.* FROM wards w, LATERAL (WITH c AS MATERIALIZED (SELECT id, idla_predict('grade', x, output => 'mild') AS s FROM (SELECT id, age + w.ward AS age, sex, pressure FROM patients WHERE id < 50) x)
	SELECT a.id, a.s + b.s AS s FROM c a JOIN c b USING (id)) y$$);
SELECT compare($$SELECT id FROM patients WHERE id NOT IN (SELECT id FROM patients p WHERE idla_predict('sick', p) > 0.4)$$);
SET enable_hashjoin = off; SET enable_nestloop = off;
SELECT compare($$SELECT a.id, a.r, b.r AS other FROM (SELECT id, ward, idla_predict('sick', p) AS r FROM patients p) a JOIN (SELECT ward, id, idla_predict('sick', p) AS r FROM patients p WHERE id < 90) b ON a.ward = b.ward$$);
SELECT compare($$SELECT a.id, b.id AS other FROM (SELECT id, round(idla_predict('sick', p)::numeric, 2) AS r FROM patients p WHERE id < 200) a JOIN (SELECT id, round(idla_predict('sick', p)::numeric, 2) AS r FROM patients p WHERE id > 400) b ON a.r = b.r$$);
RESET enable_hashjoin; RESET enable_nestloop;
-- aggregates that sort, windows with frames, sets, ties
SELECT compare($$SELECT ward, string_agg(id::text, ',' ORDER BY idla_predict('sick', p), id), percentile_cont(0.5) WITHIN GROUP (ORDER BY idla_predict('sick', p)), array_agg(DISTINCT idla_classify('grade', p)) FROM patients p GROUP BY ward$$);
SELECT compare($$SELECT rank(0.5) WITHIN GROUP (ORDER BY idla_predict('sick', p)) FROM patients p$$);
SELECT compare($$SELECT DISTINCT ON (ward) ward, id FROM patients p ORDER BY ward, idla_predict('sick', p) DESC, id$$);
SELECT compare($$SELECT id, lag(idla_predict('sick', p), 2) OVER w, ntile(4) OVER (ORDER BY idla_predict('sick', p), id), first_value(idla_classify('grade', p)) OVER w,
	sum(idla_predict('sick', p)) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING) FROM patients p WINDOW w AS (PARTITION BY ward ORDER BY id)$$);
SELECT compare($$SELECT round(idla_predict('sick', p)::numeric, 1) FROM patients p EXCEPT SELECT round(idla_predict('sick', p)::numeric, 1) FROM patients p WHERE ward = 3 AND id < 20$$);
SELECT compare($$SELECT round(idla_predict('sick', p)::numeric, 1) AS r FROM patients p ORDER BY 1 FETCH FIRST 3 ROWS WITH TIES$$);
SELECT compare($$(SELECT id, idla_predict('sick', p) AS r FROM patients p ORDER BY id) UNION ALL (SELECT id, idla_predict('sick', p) FROM patients p ORDER BY id) ORDER BY id$$);
SELECT compare($$SELECT id, idla_predict('sick', p) FROM patients p ORDER BY id LIMIT (SELECT count(*) / 2 FROM wards) OFFSET 3$$);
-- scans of all kinds; system columns and whole rows beside the answer
SELECT compare($$SELECT id, idla_predict('sick', p) FROM patients p TABLESAMPLE system (100) REPEATABLE (1)$$);
SELECT compare($$SELECT ctid::text AS place, tableoid::regclass::text AS of, p::text AS whole, idla_predict('sick', p) FROM patients p$$);
SELECT compare($$SELECT id, idla_predict('sick', p) FROM patients p WHERE ctid > '(0,3)' AND ctid < '(3,1)' OR ctid = '(0,1)'$$);
-- a call within expressions of all kinds
SELECT compare($$SELECT ARRAY[idla_predict('sick', p), idla_predict('grade', p, output => 'mild')] AS a, ROW(idla_classify('sick', p), 1)::text AS b, nullif(idla_classify('grade', p), 'mild') AS c, greatest(idla_predict('sick', p), 0.4) AS d,
	CASE idla_classify('grade', p) WHEN 'mild' THEN 1 WHEN 'none' THEN 2 ELSE 3 END AS e FROM patients p$$);
SELECT compare($$SELECT id FROM patients p WHERE (idla_predict('sick', p), id) > (0.4, 100) AND idla_classify('grade', p) = ANY (ARRAY['mild', 'none']) AND idla_classify('sick', p) IS DISTINCT FROM 'x'$$);
SELECT compare($$SELECT ward, jsonb_agg(x ORDER BY id) FROM (SELECT id, ward, idla_predict('sick', p) AS risk FROM patients p) x GROUP BY ward$$);
-- what a call is told differs from row to row: one by one
SELECT compare($$SELECT idla_predict('grade', p, output => p.grade) FROM patients p$$);
SELECT compare($$SELECT idla_classify((ARRAY['sick', 'grade'])[1 + ward % 2]::regclass, p) FROM patients p$$);
SELECT compare($$SELECT idla_predict('sick', p, version => CASE WHEN ward >= 0 THEN 1 END) FROM patients p$$);
-- a view on the far side of an outer join has its answers in batches, since its rows are there where it asks; a table's row may be missing
CREATE VIEW risks AS SELECT p.*, idla_predict('sick', p) AS risk FROM patients p;
CREATE VIEW risks_of_floors AS SELECT p.id, p.ward, w.floor, idla_predict('sick', p) AS risk FROM patients p JOIN wards w USING (ward);
CREATE VIEW risks_of_wards AS SELECT w.ward, p.id, idla_predict('sick', p) AS risk FROM wards w LEFT JOIN patients p ON p.id = w.ward * 99;
CREATE VIEW thirds AS SELECT ward * 3 AS ward FROM wards;
SELECT compare($$SELECT t.ward, r.id, r.sex, r.risk FROM thirds t LEFT JOIN risks r ON r.ward = t.ward AND r.id < 50$$);
SELECT compare($$SELECT t.ward, r.id, r.risk FROM risks r RIGHT JOIN thirds t ON r.ward = t.ward AND r.id < 50$$);
SELECT compare($$SELECT a.id, b.id AS other, a.risk, b.risk AS other_risk FROM (SELECT * FROM risks WHERE ward < 4) a FULL JOIN (SELECT * FROM risks WHERE ward > 2) b USING (id)$$);
SELECT compare($$SELECT t.ward FROM thirds t LEFT JOIN risks r ON r.ward = t.ward WHERE r.risk IS NULL$$);
SELECT compare($$SELECT t.ward, count(r.risk), max(coalesce(r.risk, -1)) AS most FROM thirds t LEFT JOIN risks r ON r.ward = t.ward GROUP BY t.ward$$);
SELECT compare($$SELECT t.ward, r.id, r.risk, r.floor FROM thirds t LEFT JOIN risks_of_floors r ON r.ward = t.ward AND r.id < 50$$);
SELECT compare($$SELECT t.ward, r.risk FROM thirds t LEFT JOIN LATERAL (SELECT idla_predict('sick', p) AS risk FROM patients p WHERE p.id = t.ward * 10) r ON true$$);
SELECT compare($$SELECT t.ward, r.id, r.risk, idla_classify('grade', p) FROM thirds t LEFT JOIN risks r ON r.ward = t.ward AND r.id < 50 LEFT JOIN patients p ON p.id = r.id + 580$$);
SELECT compare($$SELECT a.ward, b.risk FROM wards a LEFT JOIN (SELECT w.ward, r.risk FROM wards w LEFT JOIN risks r ON r.ward = w.ward + 4 AND r.id < 300) b ON b.ward = a.ward - 1$$);
SELECT compare($$SELECT t.ward, p.id, idla_predict('sick', p) FROM thirds t LEFT JOIN patients p ON p.ward = t.ward AND p.id < 50$$);
SELECT compare($$SELECT * FROM risks_of_wards$$);
SELECT compare($$SELECT t.ward, r.id, r.risk FROM thirds t LEFT JOIN risks_of_wards r ON r.ward = t.ward$$);
SELECT compare($$SELECT t.ward, risk FROM (SELECT ward * 150 AS ward FROM wards) t LEFT JOIN patients p ON p.id = t.ward, LATERAL idla_predict('sick', p) AS risk$$);
SELECT compare($$SELECT t.ward, (SELECT idla_predict('sick', p)) AS risk FROM (SELECT ward * 150 AS ward FROM wards) t LEFT JOIN patients p ON p.id = t.ward$$);
-- both sides may be missing
SELECT compare($$SELECT p.id AS a, q.id AS b, idla_predict('sick', p) AS c, idla_predict('sick', q) AS d FROM (SELECT * FROM patients WHERE ward < 5) p FULL JOIN (SELECT * FROM patients WHERE ward > 3) q USING (id)$$);

-- columns of other types, and wide ones beside the answer
CREATE DOMAIN years AS float8 CHECK (VALUE > 0);
CREATE DOMAIN panel AS real[];
CREATE TYPE sexes AS ENUM ('f', 'm');
CREATE TABLE typed (id int, age years, sex sexes, pressure float4, labs panel, junk int[], place wards, note text);
INSERT INTO typed SELECT id, age, sex::sexes, pressure, labs, ARRAY[id], (SELECT w FROM wards w WHERE w.ward = 1), repeat(md5(id::text), 300) FROM patients;
SELECT compare($$SELECT id, place, junk, note, idla_predict('sick', t) FROM typed t$$);
SELECT compare($$SELECT a.id, a.place, b.note, idla_predict('sick', a) FROM typed a JOIN typed b USING (id) WHERE idla_predict('sick', b) > 0.2$$);
SELECT count(*) FROM typed t JOIN patients p USING (id) WHERE idla_predict('sick', t) = idla_predict('sick', p);
-- children with other columns in another order, one dropped, one that the stored rows do not have yet
CREATE TABLE parent (id int, age float8, sex text, pressure numeric, labs real[]);
CREATE TABLE child (extra int, labs real[], sex text, id int, age float8, pressure numeric) INHERITS (parent);
CREATE TABLE cut (gone int) INHERITS (parent);
ALTER TABLE cut DROP COLUMN gone;
INSERT INTO parent SELECT id, age, sex, pressure, labs FROM patients WHERE ward < 2;
INSERT INTO child (id, age, sex, pressure, labs, extra) SELECT id, age, sex, pressure, labs, 3 FROM patients WHERE ward BETWEEN 2 AND 5;
INSERT INTO cut (id, age, sex, pressure, labs) SELECT id, age, sex, pressure, labs FROM patients WHERE ward > 5;
ALTER TABLE parent ADD late text DEFAULT 'q';
SELECT compare($$SELECT id, late, tableoid::regclass::text AS of, idla_predict('sick', p) FROM parent p$$);
SELECT compare($$SELECT late, max(idla_predict('sick', p)) FROM parent p GROUP BY late$$);
SELECT count(*) FROM parent a JOIN patients p USING (id) WHERE idla_predict('sick', a) = idla_predict('sick', p);

-- workers, and compiled expressions
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0;
SELECT compare($$SELECT p.id, w.floor, idla_predict('sick', p) FROM patients p JOIN wards w USING (ward)$$);
SELECT compare($$SELECT id FROM patients p WHERE idla_predict('sick', p) > (SELECT avg(idla_predict('sick', q)) FROM patients q)$$);
SELECT compare($$SELECT id, (SELECT count(idla_predict('sick', q)) FROM patients q WHERE q.id < p.ward) FROM patients p$$);
SELECT compare($$SELECT id, idla_predict('sick', p) AS r FROM patients p ORDER BY r, id$$);
SELECT compare($$SELECT w.ward, x.m FROM wards w LEFT JOIN LATERAL (SELECT max(idla_predict('sick', p)) AS m FROM patients p WHERE p.id > w.ward) x ON true$$);
SET parallel_leader_participation = off;
SELECT compare($$SELECT id, idla_predict('sick', p) FROM patients p$$);
CREATE FUNCTION analyzed(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || query LOOP
		-- PostgreSQL 18 has fractions of rows, and says how often it looked into an index
		CONTINUE WHEN line LIKE '%Index Searches%';
		RETURN NEXT regexp_replace(line, 'rows=(\d+)\.00', 'rows=\1');
	END LOOP;
END $$;
SELECT ltrim(line) FROM analyzed($$SELECT id, idla_predict('sick', p) FROM patients p$$) line WHERE line ~ 'Model|Version|Predicted';
-- a limit that has enough ends the leader before its workers, whose rows count all the same
SELECT bool_or(line ~ 'Gather') AS workers, bool_or(line ~ 'Version: 1') AS known, max(substring(line FROM 'Predicted Rows: (\d+)')::int) >= 3 AS counted
FROM analyzed($$SELECT * FROM (SELECT p.id, idla_predict('sick', p) FROM patients p, generate_series(1, 200) OFFSET 0) x WHERE id > 0 LIMIT 3$$) line;
RESET parallel_leader_participation;
SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0;
SELECT compare($$SELECT id, idla_predict('sick', p) + age FROM patients p WHERE idla_predict('grade', p, output => 'mild') > 0.1$$);
SET max_parallel_workers_per_gather = 0;
SELECT compare($$SELECT ward, sex, max(idla_predict('sick', p)), count(*) FROM patients p WHERE idla_predict('grade', p, output => 'mild') > 0.1 GROUP BY ROLLUP (ward, sex)$$);
RESET jit_above_cost; RESET jit_inline_above_cost; RESET jit_optimize_above_cost; SET jit = off;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET min_parallel_index_scan_size;

-- foreign tables of servers that are asked at once: the node asks them one after another
CREATE EXTENSION postgres_fdw;
DO $$
BEGIN
	EXECUTE format('CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L, async_capable ''true'')',
		split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER here;
CREATE TABLE near_low AS SELECT * FROM patients WHERE ward < 4;
CREATE TABLE near_high AS SELECT * FROM patients WHERE ward >= 4;
CREATE TABLE far (LIKE patients) PARTITION BY RANGE (ward);
CREATE FOREIGN TABLE far_low PARTITION OF far FOR VALUES FROM (0) TO (4) SERVER here OPTIONS (schema_name 'splice', table_name 'near_low');
CREATE FOREIGN TABLE far_high PARTITION OF far FOR VALUES FROM (4) TO (100) SERVER here OPTIONS (schema_name 'splice', table_name 'near_high');
SELECT compare($$SELECT id, idla_predict('sick', f) FROM far f$$);
SELECT compare($$SELECT id FROM far f WHERE idla_predict('sick', f) > 0.5$$);
SELECT compare($$SELECT id, idla_predict('sick', f) FROM far_low f UNION ALL SELECT id, idla_predict('sick', f) FROM far_high f$$);
SELECT compare($$SELECT a.id, idla_predict('sick', a) FROM far_low a JOIN far_low b USING (id)$$);
SELECT compare($$SELECT a.id, idla_predict('sick', a) FROM far a JOIN far b USING (id)$$);
SET enable_partitionwise_aggregate = on;
SELECT compare($$SELECT ward, avg(idla_predict('sick', f)) FROM far f GROUP BY ward$$);
RESET enable_partitionwise_aggregate;
-- an aggregate above all of them leaves them as they are
SELECT count(*) FILTER (WHERE line LIKE '%Async Foreign Scan%') AS async, count(*) FILTER (WHERE line LIKE '%IDLA Batch Predict%') AS nodes
FROM analyzed($$SELECT avg(idla_predict('sick', f)) FROM far f$$) line;
SELECT count(*) FILTER (WHERE line LIKE '%Async Foreign Scan%') AS async, count(*) FILTER (WHERE line LIKE '%IDLA Batch Predict%') AS nodes
FROM analyzed($$SELECT id, idla_predict('sick', f) FROM far f$$) line;
DROP EXTENSION postgres_fdw CASCADE;

-- a model in a temporary table, which no worker can read
CREATE TEMP TABLE passing (LIKE grade INCLUDING ALL);
INSERT INTO passing SELECT * FROM grade;
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off;
SELECT compare($$SELECT id, idla_classify('passing', p), idla_classify_json('passing', to_jsonb(p)) AS again FROM patients p$$);
SELECT compare($$SELECT ward, max(risk) FROM (SELECT ward, idla_predict('passing', p, output => 'mild') AS risk FROM patients p) x GROUP BY ward$$);
DO $$
DECLARE
	model regclass := 'passing';
	n int;
BEGIN
	SELECT count(*) INTO n FROM patients p WHERE idla_classify(model, p) = idla_classify('grade', p);
	RAISE WARNING '% rows', n;
END $$;
-- others still go to workers
SELECT count(*) FROM analyzed($$SELECT count(idla_classify('grade', p)) FROM patients p$$) line WHERE line LIKE '%Workers Launched: %';
RESET max_parallel_workers_per_gather; RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET parallel_leader_participation;
SET max_parallel_workers_per_gather = 0;
-- a regclass of nothing is no model
SELECT '0'::regclass AS none, 999999999::regclass AS nothing;
SELECT idla_predict(999999999, p) FROM patients p;
DROP TABLE passing;

-- two columns of one name: neither is meant, wherever they stand; unless the model reads neither
SELECT idla_classify('grade', x) FROM (SELECT p.*, q.age FROM patients p JOIN patients q USING (id)) x;
SELECT idla_classify('grade', x) FROM (SELECT age, age, sex, pressure FROM patients OFFSET 0) x;
SELECT count(idla_classify('grade', x)) FROM (SELECT p.*, q.ward FROM patients p JOIN patients q USING (id)) x;
SET idla.batch_predict = off;
SELECT idla_classify('grade', x) FROM (SELECT p.*, q.age FROM patients p JOIN patients q USING (id)) x;
RESET idla.batch_predict;

-- whose turn it was, also where rows come one by one
CREATE TABLE odd AS SELECT id, age, sex, pressure, CASE WHEN id = 20 THEN ARRAY[1.0::real] ELSE labs END AS labs FROM patients ORDER BY id LIMIT 100;
SELECT sum(idla_predict('sick', o)) FROM odd o;
SELECT sum(CASE WHEN id > 15 THEN idla_predict('sick', o) END) FROM odd o;
SET idla.batch_predict = off;
SELECT sum(idla_predict('sick', o)) FROM odd o;
RESET idla.batch_predict;

-- kept plans, while the tables of the query change
CREATE TABLE moving AS SELECT * FROM patients;
SET plan_cache_mode = force_generic_plan;
PREPARE kept AS SELECT count(*) FROM moving m JOIN patients p USING (id) WHERE idla_predict('sick', m) = idla_predict('sick', p);
EXECUTE kept;
ALTER TABLE moving ADD extra int;
EXECUTE kept;
ALTER TABLE moving DROP extra;
EXECUTE kept;
ALTER TABLE moving ALTER pressure TYPE float8;
EXECUTE kept;
ALTER TABLE moving RENAME age TO years;
EXECUTE kept;
ALTER TABLE moving RENAME years TO age;
EXECUTE kept;
RESET plan_cache_mode;

-- cursors that outlive their transaction
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT id, idla_predict('sick', p) IS NOT NULL AS answered FROM patients p ORDER BY id;
DECLARE ways SCROLL CURSOR WITH HOLD FOR SELECT p.id, idla_predict('sick', p) IS NOT NULL AS answered FROM patients p JOIN wards USING (ward) ORDER BY p.id;
FETCH 2 FROM held;
FETCH ABSOLUTE 300 FROM ways;
COMMIT;
FETCH 1 FROM held;
FETCH ABSOLUTE 2 FROM ways;
FETCH PRIOR FROM ways;
CLOSE ALL;

-- MERGE; rows that a statement changed and returned; rules and rows of triggers
CREATE TABLE target (id int PRIMARY KEY, age float8, sex text, pressure numeric, risk float8, class text);
INSERT INTO target SELECT id, age, sex, pressure FROM patients WHERE id % 2 = 0;
MERGE INTO target t USING (SELECT p.*, idla_predict('grade', p, output => 'mild') AS risk, idla_classify('grade', p) AS class FROM patients p) s ON t.id = s.id
WHEN MATCHED AND t.id % 3 = 0 AND idla_predict('grade', s, output => 'mild') >= 0 THEN UPDATE SET risk = s.risk, class = idla_classify('grade', s)
WHEN MATCHED AND idla_predict('grade', t, output => 'mild') >= 0 THEN DELETE
WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.age, s.sex, s.pressure, idla_predict('grade', s, output => 'mild'), s.class);
SELECT count(*), count(*) FILTER (WHERE risk = idla_predict('grade', t, output => 'mild')) AS risks, count(*) FILTER (WHERE class = idla_classify('grade', t)) AS classes FROM target t;
UPDATE target t SET risk = idla_predict('grade', p, output => 'none') FROM patients p WHERE p.id = t.id AND idla_predict('sick', p) > -1;
SELECT count(*) FROM target t WHERE risk = idla_predict('grade', t, output => 'none');
WITH d AS (DELETE FROM target t USING patients p WHERE p.id = t.id AND idla_predict('sick', p) >= 0 AND t.id < 100 RETURNING t.*, idla_classify('grade', t) AS again) SELECT count(*), count(*) FILTER (WHERE class = again) FROM d;
WITH i AS (INSERT INTO target SELECT id + 10000, age, sex, pressure, idla_predict('grade', p, output => 'mild') FROM patients p RETURNING *) SELECT count(*) FROM i WHERE risk = idla_predict('grade', i, output => 'mild');
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.risk := idla_predict('grade', NEW, output => 'mild'); RETURN NEW; END $$;
CREATE TRIGGER fill BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION fill();
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	n int;
	line text;
BEGIN
	SELECT count(*) INTO n FROM fresh f WHERE risk = idla_predict('grade', f, output => 'mild');
	FOR line IN EXPLAIN (COSTS OFF) SELECT idla_predict('grade', f, output => 'mild') FROM fresh f LOOP
		CONTINUE WHEN line NOT LIKE '%IDLA Batch Predict%';
		RAISE WARNING '% rows, in batches', n;
	END LOOP;
	RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON target REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION tell();
INSERT INTO target (id, age, sex, pressure) SELECT id + 20000, age, sex, pressure FROM patients WHERE id <= 20;
ALTER TABLE target DROP age, ADD age int;
INSERT INTO target (id, age, sex, pressure) SELECT id + 30000, age, sex, pressure FROM patients WHERE id <= 30;
ALTER TABLE target ADD CONSTRAINT possible CHECK (idla_predict('grade', target, output => 'mild') BETWEEN 0 AND 1);
CREATE VIEW targets AS SELECT id, age, idla_predict('grade', t, output => 'mild') AS risk FROM target t;
UPDATE targets SET age = 44 WHERE id = 20003 AND risk >= 0 RETURNING id, age;
UPDATE targets SET risk = 1;

-- the times that EXPLAIN tells
CREATE FUNCTION timed(query text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
	document json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO document;
	RETURN document -> 0 -> 'Plan';
END $$;
SELECT plan ->> 'Predicted Rows' AS rows, (plan ->> 'Batches')::int > 1 AS batches, (plan ->> 'Load Time')::float8 > 0 AS load, (plan ->> 'Compute Time')::float8 > 0 AS compute,
	(plan ->> 'Compute Time')::float8 + (plan ->> 'Load Time')::float8 <= (plan ->> 'Actual Total Time')::float8 AS within
FROM timed($$SELECT id, idla_predict('sick', p) FROM patients p$$) plan;

-- where no row comes, no model is asked, so that none need be there; whoever tells of plans that were run does not ask either
SELECT idla_copy('grade', 'nothing');
SELECT idla_deploy('nothing', NULL);
SELECT idla_classify('nothing', p) FROM patients p WHERE id < 0;
SELECT idla_classify('nothing', p) FROM patients p LIMIT 0;
SELECT count(idla_classify('nothing', p)) FROM patients p WHERE false;
SELECT count(idla_classify('nothing', p)) FROM patients p;
SELECT * FROM analyzed($$SELECT idla_classify('nothing', p) FROM patients p WHERE id < 0$$);
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_nested_statements = on;
SELECT count(c) FROM wards w LEFT JOIN LATERAL (SELECT idla_classify('nothing', p) AS c FROM patients p WHERE p.id = w.ward OFFSET 0) x ON true WHERE w.floor < 0;
SELECT count(idla_classify('grade', p)) FROM patients p;
SET auto_explain.log_min_duration = -1;

DROP SCHEMA splice CASCADE;
