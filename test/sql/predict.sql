-- idla_predict, idla_classify, idla_probabilities: every way to pass a row, every task.
\set VERBOSITY terse
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA predict;
SET search_path = predict, public;

CREATE TABLE patients AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, (ARRAY['f', 'm'])[1 + i % 2] AS sex,
	CASE WHEN i % 11 = 0 THEN NULL ELSE (90 + (i * 53) % 80)::numeric(5, 1) END AS pressure,
	i % 3 = 0 AS smoker, date '2020-01-01' + (i * 11) % 900 AS admitted,
	(i * 37) % 50 + CASE WHEN i % 3 = 0 THEN 15 ELSE 0 END + (i * 17) % 20 > 38 AS sick,
	(ARRAY['low', 'middle', 'high'])[1 + ((i * 37) % 50) / 17] AS risk,
	((i * 37) % 50) * 0.5 + (i * 17) % 20 AS stay,
	1 + (i * 29) % 100 AS days, i % 4 <> 0 AS died
FROM generate_series(1, 400) i;
ALTER TABLE patients ADD PRIMARY KEY (id);

CREATE VIEW train_sick AS SELECT age, sex, pressure, smoker, admitted, sick FROM patients;
CREATE VIEW train_risk AS SELECT age, sex, pressure, smoker, risk FROM patients;
CREATE VIEW train_stay AS SELECT age, sex, pressure, smoker, stay FROM patients;
CREATE VIEW train_two AS SELECT age, sex, pressure, smoker, stay, days FROM patients;
CREATE VIEW train_died AS SELECT age, sex, pressure, smoker, days, died FROM patients;

SELECT version, task, rows_used FROM idla_train('sick', 'train_sick', 'sick', architecture => 'mlp', options => '{"epochs": 20, "seed": 1, "threads": 1}');
SELECT version, task FROM idla_train('risk', 'train_risk', 'risk', architecture => 'linear', options => '{"epochs": 10, "seed": 1, "threads": 1}');
SELECT version, task FROM idla_train('stay', 'train_stay', 'stay', 'regression', 'linear', '{"epochs": 10, "seed": 1, "threads": 1}');
SELECT version, task FROM idla_train('two', 'train_two', 'stay,days', 'regression', 'linear', '{"epochs": 10, "seed": 1, "threads": 1}');
SELECT version, task FROM idla_train('died', 'train_died', 'days,died', 'survival', 'linear', '{"epochs": 10, "seed": 1, "threads": 1}');

-- a row of a table; all the answers are probabilities, and they differ
CREATE TABLE answer AS SELECT id, idla_predict('sick', p) AS prob FROM patients p;
SELECT count(*), min(prob) >= 0 AND max(prob) <= 1 AS probabilities, count(DISTINCT prob) > 100 AS differ FROM answer;

-- other ways to the same row give the same bits
CREATE VIEW seen AS SELECT p.*, idla_predict('sick', p) AS prob FROM patients p;
SELECT count(*) FROM seen JOIN answer USING (id) WHERE seen.prob = answer.prob;
SELECT count(*) FROM answer a JOIN (SELECT s.id, idla_predict('sick', s) AS prob FROM (SELECT * FROM patients OFFSET 0) s) b USING (id) WHERE a.prob = b.prob;
SELECT count(*) FROM answer a JOIN (SELECT id, idla_predict('sick', s) AS prob FROM (SELECT sick, admitted, smoker, id, pressure, sex, age FROM patients) s) b USING (id) WHERE a.prob = b.prob;
SELECT count(*) FROM answer a JOIN (SELECT id, idla_predict('sick', ROW(p.*)::patients) AS prob FROM patients p) b USING (id) WHERE a.prob = b.prob;
SELECT count(*) FROM answer a, LATERAL (SELECT idla_predict('sick', p) AS prob FROM patients p WHERE p.id = a.id) b WHERE a.prob = b.prob;
WITH c AS MATERIALIZED (SELECT * FROM patients) SELECT count(*) FROM answer a JOIN c USING (id) WHERE a.prob = idla_predict('sick', c);
SELECT count(*) FROM answer a JOIN patients p USING (id) WHERE a.prob = idla_predict(model => 'sick', input => p, version => 1);
SELECT count(*) FROM answer a JOIN patients p USING (id) WHERE a.prob = idla_predict('predict.sick'::regclass, p);
CREATE TYPE person AS (smoker boolean, sex varchar, admitted date, age int, pressure numeric);
SELECT count(*) FROM answer a JOIN patients p USING (id) WHERE a.prob = idla_predict('sick', (p.smoker, p.sex, p.admitted, p.age, p.pressure)::person);

-- no row, no model: no answer; NULL in a column is a missing value
SELECT idla_predict('sick', NULL::patients), idla_predict(NULL, p), idla_classify('sick', NULL::patients), idla_probabilities(NULL, p) FROM patients p WHERE id = 1;
SELECT count(idla_predict('sick', p)) FROM (SELECT NULL::int AS age, NULL::text AS sex, NULL::numeric AS pressure, NULL::boolean AS smoker, NULL::date AS admitted) p;
SELECT count(idla_predict('sick', p)) FROM (SELECT 'NaN'::numeric AS pressure, 50 AS age, 'x' AS sex, true AS smoker, 'infinity'::date AS admitted) p;
SELECT count(*), count(idla_predict('sick', q)) FROM (SELECT 1 AS one) o LEFT JOIN patients q ON q.id = 0;

-- where the planner sees the columns they are passed one by one, to the same bits; a row that may be NULL as a whole stays a row
EXPLAIN (VERBOSE, COSTS OFF) SELECT idla_predict('sick', q) FROM (SELECT age, sex, pressure, smoker, admitted FROM patients) q;
EXPLAIN (VERBOSE, COSTS OFF) SELECT idla_predict('sick', t) FROM train_sick t;
CREATE TABLE rowwise AS SELECT id, idla_predict('sick', s) AS prob FROM (SELECT * FROM patients OFFSET 0) s;
SELECT count(*) FROM answer a JOIN rowwise r USING (id) WHERE a.prob = r.prob;
SELECT count(*), count(idla_predict('sick', t)) FROM patients p LEFT JOIN patients t ON t.id = p.id + 300;
SELECT count(*), count(idla_predict('sick', t)) FROM patients p FULL JOIN patients t ON t.id = p.id + 300;
CREATE TABLE parts (LIKE patients) PARTITION BY LIST (sex);
CREATE TABLE parts_f PARTITION OF parts FOR VALUES IN ('f');
CREATE TABLE parts_m (note int, LIKE patients);
ALTER TABLE parts_m DROP COLUMN note;
ALTER TABLE parts ATTACH PARTITION parts_m FOR VALUES IN ('m');
INSERT INTO parts SELECT * FROM patients;
SELECT count(*) FROM answer a JOIN parts p USING (id) WHERE a.prob = idla_predict('sick', p);
UPDATE parts SET stay = idla_predict('sick', parts) WHERE id <= 10 RETURNING abs(stay - idla_predict('sick', parts)) < 1e-12 AS same, abs(stay - (SELECT prob FROM answer a WHERE a.id = parts.id)) < 1e-12 AS right;
INSERT INTO parts_f SELECT * FROM patients WHERE id = 2 RETURNING idla_predict('sick', parts_f) = (SELECT prob FROM answer WHERE answer.id = 2) AS right;
SELECT count(*) FROM answer a WHERE prob = (SELECT idla_predict('sick', p) FROM patients p WHERE p.id = a.id);
SELECT count(*) FROM answer a JOIN (SELECT p.id, idla_predict('sick', j) AS prob FROM patients p JOIN (patients JOIN (SELECT id AS other FROM answer) o ON o.other = id) j ON j.id = p.id) b USING (id) WHERE a.prob = b.prob;
SELECT idla_predict_columns('sick', NULL, NULL, '{age}', 40, 50);
SELECT idla_predict_columns('sick', NULL, NULL, '{age,NULL}', 40, 50);
SELECT idla_predict_columns('sick', NULL, NULL, NULL, 40);
SELECT idla_predict_columns('sick', NULL, NULL, '{age}', VARIADIC ARRAY[40]);
SELECT idla_predict_columns('sick', NULL, NULL, '{age}', 40);
SELECT idla_predict_columns('sick', NULL, NULL, '{{age}}', 40);

-- more columns than a function can have arguments: the row is passed as a row
DO $$ BEGIN
	EXECUTE (SELECT 'CREATE TABLE wide AS SELECT i AS id, i % 7 < 3 AS y, ' || string_agg(format('(i * %s) %% 101 AS c%s', n, n), ', ') || ' FROM generate_series(1, 60) i' FROM generate_series(1, 120) n);
END $$;
SELECT version FROM idla_train('wide_model', 'SELECT * FROM wide', 'y', architecture => 'linear', options => '{"epochs": 1, "seed": 1, "columns": {"id": "ignore"}}');
SELECT count(idla_predict('wide_model', w)) FROM wide w;

-- classes
SELECT count(*) FROM patients p WHERE idla_classify('sick', p) = CASE WHEN idla_predict('sick', p) >= 0.5 THEN 'true' ELSE 'false' END;
SELECT DISTINCT idla_classify('sick', p) FROM patients p ORDER BY 1;
SELECT bool_and((b->>'true')::float8 = idla_predict('sick', p)) AS exact, bool_and(abs((b->>'true')::float8 + (b->>'false')::float8 - 1) < 1e-12) AS sums
FROM patients p, LATERAL idla_probabilities('sick', p) b;
SELECT bool_and(idla_predict('sick', p, output => 'true') + idla_predict('sick', p, output => 'false') = 1) FROM patients p;
SELECT bool_and(abs(s - 1) < 1e-9), min(n), max(n) FROM patients p, LATERAL (SELECT sum(value::float8) AS s, count(*) AS n FROM jsonb_each_text(idla_probabilities('risk', p))) x;
SELECT count(*) FROM patients p WHERE idla_classify('risk', p) = (SELECT key FROM jsonb_each_text(idla_probabilities('risk', p)) ORDER BY value::float8 DESC LIMIT 1);
SELECT bool_and(idla_predict('risk', p, output => 'low') = (idla_probabilities('risk', p)->>'low')::float8) FROM patients p;

-- values, in the target's unit; several targets; hazard ratios
SELECT corr(idla_predict('stay', p), stay) > 0.5 AS follows, avg(idla_predict('stay', p)) BETWEEN 10 AND 35 AS unit FROM patients p;
SELECT corr(idla_predict('two', p, output => 'stay'), stay) > 0.2 AS follows, count(idla_predict('two', p, output => 'days')) FROM patients p;
SELECT min(idla_predict('died', p)) > 0 AS positive, count(DISTINCT idla_predict('died', p)) > 50 AS differ FROM patients p;

-- cursors, prepared statements, PL/pgSQL
BEGIN;
DECLARE c CURSOR FOR SELECT id, idla_predict('sick', p) FROM patients p ORDER BY id;
MOVE 100 IN c;
CREATE TEMP TABLE written_meanwhile AS SELECT 1;
FETCH 1 FROM c \gset f_
COMMIT;
SELECT :f_idla_predict = prob AS same FROM answer WHERE id = :f_id;
PREPARE one(int) AS SELECT idla_predict('sick', p) = a.prob FROM patients p JOIN answer a USING (id) WHERE id = $1;
EXECUTE one(1);
EXECUTE one(2);
CREATE FUNCTION every_one() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE r patients; n bigint := 0; q float8;
BEGIN
	FOR r IN SELECT * FROM patients LOOP
		q := idla_predict('sick', r);
		IF q = (SELECT prob FROM answer WHERE id = r.id) THEN n := n + 1; END IF;
	END LOOP;
	RETURN n;
END $$;
SELECT every_one();

-- the record's type may change within a session
ALTER TABLE patients ADD note text DEFAULT 'x';
SELECT count(*) FROM answer a JOIN patients p USING (id) WHERE a.prob = idla_predict('sick', p);
ALTER TABLE patients DROP COLUMN risk CASCADE;
SELECT count(*) FROM answer a JOIN patients p USING (id) WHERE a.prob = idla_predict('sick', p);
DROP VIEW IF EXISTS seen, train_sick, train_stay, train_two, train_died;
ALTER TABLE patients ALTER smoker TYPE boolean USING smoker, ALTER age TYPE bigint;
SELECT count(*) FROM answer a JOIN (SELECT id, idla_predict('sick', p) AS prob FROM patients p) b USING (id) WHERE a.prob = b.prob;
ALTER TABLE patients RENAME age TO years;
SELECT idla_predict('sick', p) FROM patients p LIMIT 1;
SELECT every_one();
ALTER TABLE patients RENAME years TO age;
SELECT every_one();

-- survival: who is alive when
SELECT bool_and(idla_survival('died', p, 0) = 1) AS alive, bool_and(idla_survival('died', p, 90) < idla_survival('died', p, 10)) AS falls,
	bool_and(idla_survival('died', p, 'infinity') = idla_survival('died', p, 101)) AS stays, bool_and(idla_survival('died', p, 50) BETWEEN 0 AND 1) AS shares,
	abs(avg(idla_survival('died', p, 50)) - 0.6) < 0.15 AS as_often_as_not FROM patients p;
-- who is at greater risk is less likely to live
SELECT corr(idla_predict('died', p), idla_survival('died', p, 30, version => 1)) < -0.9 AS opposite FROM patients p;
SELECT idla_survival('died', p, NULL) IS NULL AND idla_survival('died', NULL::patients, 3) IS NULL AS nothing FROM patients p LIMIT 1;
-- it is asked row by row, in batches none
EXPLAIN (COSTS OFF) SELECT idla_survival('died', p, 5) FROM patients p;
SELECT idla_survival('sick', p, 10) FROM patients p LIMIT 1;
SELECT idla_survival('died', p, -1) FROM patients p LIMIT 1;
SELECT idla_survival('died', p, 'nan') FROM patients p LIMIT 1;

-- parallel workers read the model themselves
CREATE TABLE many AS SELECT p.* FROM patients p, generate_series(1, 50);
ANALYZE many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT avg(idla_predict('sick', m)) FROM many m;
SELECT abs(avg(idla_predict('sick', m)) - (SELECT avg(prob) FROM answer)) < 1e-12 AS same, count(*) FROM many m;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- a loaded model shows in the memory of the backend, and leaves when there is no room
SELECT count(*) FROM pg_backend_memory_contexts WHERE ident LIKE 'sick version%';
SET idla.model_cache = 0;
SELECT count(*) FROM answer a JOIN patients p USING (id) WHERE a.prob = idla_predict('sick', p) AND idla_predict('stay', p) IS NOT NULL;
SELECT count(*) FROM pg_backend_memory_contexts WHERE ident LIKE '% version %' AND name = 'idla';
RESET idla.model_cache;

DROP SCHEMA predict CASCADE;
