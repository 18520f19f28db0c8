-- Metrics as aggregates: values, ties, parallel plans, what is skipped, what is refused.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idla;
RESET client_min_messages;

CREATE TABLE scored AS
SELECT i,
	(i * 7919 % 1009) / 1008.0::float8 AS p,
	(i * 7919 % 11) / 10.0::float8 AS tied,
	i * 104729 % 997 < 200 + (i * 7919 % 1009) / 2 AS label,
	i * 104729 % 997 < 200 + (i * 7919 % 11) * 50 AS tied_label,
	(i * 31337 % 1000) / 10.0::float8 AS actual,
	(i * 31337 % 1000) / 10.0::float8 + (i * 271 % 21 - 10) / 3.0::float8 AS predicted,
	1 + i * 6007 % 50 AS time,
	i % 3 <> 0 AS event,
	(i * 7919 % 101) / 10.0::float8 - (1 + i * 6007 % 50) / 7 AS risk,
	(ARRAY['home', 'ward', 'icu', 'died'])[1 + i * 31 % 4] AS outcome,
	(ARRAY['home', 'ward', 'icu', 'died'])[1 + CASE WHEN i % 5 = 0 THEN i ELSE i * 31 END % 4] AS guess
FROM generate_series(1::bigint, 20000) i;
ANALYZE scored;

-- scikit-learn 1.x and lifelines on the same rows: test/unit/reference/metrics.py sql
CREATE TABLE reference (metric text, value float8);
INSERT INTO reference VALUES
	('auroc', 0.669439833554402), ('auroc tied', 0.684044637367472),
	('auprc', 0.601770857319829), ('auprc tied', 0.6046374888317265),
	('brier', 0.24943452902573068), ('log_loss', 0.7671725620815952),
	('ece', 0.12855406746031744), ('ece 1', 0.04675337301587301),
	('f1', 0.6078523876919851), ('accuracy', 0.9),
	('rmse', 2.0183051195385584), ('mae', 1.7459), ('r2', 0.9951117284450618),
	('concordance', 0.6944946512921777);

CREATE VIEW measured AS
SELECT m.* FROM (
	SELECT idla_auroc(p, label) AS auroc, idla_auroc(tied, tied_label) AS auroc_tied,
		idla_auprc(p, label) AS auprc, idla_auprc(tied, tied_label) AS auprc_tied,
		idla_brier(p, label) AS brier, idla_log_loss(p, label) AS log_loss,
		idla_ece(p, label) AS ece, idla_ece(p, label, 1) AS ece_1,
		idla_f1(p >= 0.5, label) AS f1, idla_accuracy(guess, outcome) AS accuracy,
		idla_rmse(predicted, actual) AS rmse, idla_mae(predicted, actual) AS mae, idla_r2(predicted, actual) AS r2,
		idla_concordance(risk, time, event) AS concordance
	FROM scored) a,
	LATERAL (VALUES ('auroc', auroc), ('auroc tied', auroc_tied), ('auprc', auprc), ('auprc tied', auprc_tied),
		('brier', brier), ('log_loss', log_loss), ('ece', ece), ('ece 1', ece_1), ('f1', f1), ('accuracy', accuracy),
		('rmse', rmse), ('mae', mae), ('r2', r2), ('concordance', concordance)) m (metric, value);

SET max_parallel_workers_per_gather = 0;
CREATE TABLE serial AS SELECT * FROM measured;
SELECT metric, round(r.value::numeric, 6) AS reference, abs(s.value - r.value) < 1e-9 AS agrees
FROM reference r LEFT JOIN serial s USING (metric) ORDER BY metric;

-- The same with the rows shared among workers.
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT idla_auroc(p, label), idla_r2(predicted, actual) FROM scored;
CREATE TABLE parallel AS SELECT * FROM measured;
SELECT count(*) AS metrics, bool_and(abs(p.value - r.value) < 1e-9) AS agree FROM reference r LEFT JOIN parallel p USING (metric);
SELECT metric, s.value = p.value AS same_bits FROM serial s JOIN parallel p USING (metric)
WHERE metric ~ '^(au|f1|acc|conc)' ORDER BY metric;
-- Small states travel between processes with short headers.
SELECT i % 3 AS part, abs(idla_mae(predicted, actual) - avg(abs(predicted - actual))) < 1e-12 AS mae,
	abs(idla_accuracy(guess, outcome) - avg((guess = outcome)::int)) < 1e-12 AS accuracy
FROM scored GROUP BY 1 ORDER BY 1;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- By their definitions, in many groups, with ties.
WITH groups AS (
	SELECT i % 37 AS part, count(*), idla_auroc(tied, tied_label) AS auroc, idla_concordance(round(risk), time, event) AS concordance
	FROM scored WHERE i <= 2000 GROUP BY 1
), pairs AS (
	SELECT a.i % 37 AS part,
		sum(CASE WHEN a.tied > b.tied THEN 1 WHEN a.tied = b.tied THEN 0.5 ELSE 0 END) FILTER (WHERE a.tied_label AND NOT b.tied_label)
			/ count(*) FILTER (WHERE a.tied_label AND NOT b.tied_label) AS auroc,
		sum(CASE WHEN round(a.risk) > round(b.risk) THEN 1 WHEN round(a.risk) = round(b.risk) THEN 0.5 ELSE 0 END)
			FILTER (WHERE a.event AND (a.time < b.time OR a.time = b.time AND NOT b.event))
			/ count(*) FILTER (WHERE a.event AND (a.time < b.time OR a.time = b.time AND NOT b.event)) AS concordance
	FROM scored a JOIN scored b ON a.i % 37 = b.i % 37 AND a.i <> b.i
	WHERE a.i <= 2000 AND b.i <= 2000 GROUP BY 1
)
SELECT count(*) AS groups, max(abs(g.auroc - p.auroc)) < 1e-12 AS auroc, max(abs(g.concordance - p.concordance)) < 1e-12 AS concordance
FROM groups g JOIN pairs p USING (part);

-- A window that grows, and one that moves.
SELECT i, round(idla_auroc(p, label) OVER (ORDER BY i)::numeric, 6) AS so_far,
	round(idla_auroc(p, label) OVER (ORDER BY i ROWS BETWEEN 5 PRECEDING AND CURRENT ROW)::numeric, 6) AS of_six
FROM scored WHERE i > 300 AND i <= 316 ORDER BY i;
SELECT round(idla_auroc(p, label)::numeric, 6) AS all_sixteen, round(idla_auroc(p, label) FILTER (WHERE i > 310)::numeric, 6) AS last_six
FROM scored WHERE i > 300 AND i <= 316;

-- NULLs are skipped; without rows, or undefined, the answer is NULL.
SELECT idla_auroc(s, l), idla_auprc(s, l), idla_f1(s > 0.5, l), idla_accuracy(s > 0.5, l), idla_brier(s, l),
	round(idla_log_loss(s, l)::numeric, 6) AS idla_log_loss, idla_ece(s, l), idla_ece(s, l, 2)
FROM (VALUES (0.25::float8, false), (NULL, true), (0.75, NULL), (NULL, NULL), (0.75, true)) v (s, l);
SELECT idla_auroc(p, label), idla_auprc(p, label), idla_f1(label, label), idla_accuracy(label, label), idla_brier(p, label),
	idla_log_loss(p, label), idla_ece(p, label), idla_rmse(p, p), idla_mae(p, p), idla_r2(p, p), idla_concordance(risk, time, event)
FROM scored WHERE false;
SELECT idla_auroc(p, NULL), idla_rmse(NULL, p), idla_concordance(risk, time, NULL) FROM scored;
SELECT idla_auroc(p, true) AS no_negative, idla_auroc(p, false) AS no_positive, idla_auprc(p, true) AS all_positive,
	idla_auprc(p, false) AS no_positive, idla_f1(false, false) AS nothing_found, idla_concordance(risk, time, false) AS no_event
FROM scored WHERE i <= 10;
SELECT idla_r2(p, actual) AS one_row FROM scored WHERE i = 1;
SELECT idla_r2(v, 4) AS flat, idla_r2(4, 4) AS flat_exact FROM generate_series(3, 5) v;
SELECT idla_auroc(s, l) AS infinite_scores_rank FROM (VALUES ('-Infinity'::float8, false), (0, false), ('Infinity', true)) v (s, l);
SELECT round(idla_log_loss(p, l)::numeric, 6) AS certain_and_wrong FROM (VALUES (0, true), (1, false)) v (p, l);

-- Labels of any type that knows equality.
CREATE TYPE grade AS ENUM ('low', 'high');
CREATE DOMAIN code AS int CHECK (value > 0);
SELECT idla_accuracy(a::text, b::varchar) AS text, idla_accuracy(a::grade, b::grade) AS enum, idla_accuracy(a = 'low', b = 'low') AS boolean,
	idla_accuracy(length(a)::bigint, length(b)::smallint) AS integers, idla_accuracy(length(a)::code, length(b)::code) AS domain,
	idla_accuracy(a, 'low') AS literal, idla_accuracy(ROW(a, 1), ROW(b, 1)) AS record
FROM (VALUES ('low', 'low'), ('low', 'high'), ('high', 'high'), ('high', 'low'), ('high', 'high')) v (a, b);
SELECT idla_accuracy(json '1', json '1');
SELECT idla_accuracy(1, 'one');
SELECT idla_accuracy('a' COLLATE "C", 'a' COLLATE "POSIX");

-- What cannot be meant is refused.
SELECT idla_auroc('NaN', true);
SELECT idla_auprc('NaN', true);
SELECT idla_brier(1.5, true);
SELECT idla_brier(-0.125, true);
SELECT idla_log_loss('NaN', true);
SELECT idla_log_loss('Infinity', true);
SELECT idla_ece(2, true);
SELECT idla_ece(p, label, 0) FROM scored;
SELECT idla_ece(p, label, NULL) FROM scored;
SELECT idla_ece(p, label, 10001) FROM scored;
SELECT idla_ece(p, label, (1 + i % 2)::int) FROM scored;
SELECT idla_rmse('NaN', 1);
SELECT idla_mae(1, '-Infinity');
SELECT idla_r2('NaN', 1);
SELECT idla_concordance('NaN', 1, true);
SELECT idla_concordance(1, 'NaN', true);
SELECT idla_rmse(v, -v) FROM (VALUES (1e300::float8), (2e300)) a (v);
SELECT idla_r2(-v, v) FROM (VALUES (1e300::float8), (2e300)) a (v);
SELECT idla_auroc(1, 1);

-- States are made by the aggregates alone.
SELECT idla_auroc_add(NULL, 1, true);
SELECT idla_metric_combine(NULL, NULL);
SELECT idla_metric_value(NULL);
SELECT idla_metric_value('');
SELECT idla_metric_value('\x00');
SELECT idla_metric_value(decode(repeat('ff', 100), 'hex'));
CREATE AGGREGATE raw_auroc(float8, boolean) (SFUNC = idla_auroc_add, STYPE = bytea, COMBINEFUNC = idla_metric_combine);
CREATE AGGREGATE raw_ece(float8, boolean, int) (SFUNC = idla_ece_add, STYPE = bytea);
CREATE AGGREGATE bad_start(float8, boolean) (SFUNC = idla_auroc_add, STYPE = bytea, INITCOND = '\xdeadbeefdeadbeefdeadbeef');
CREATE AGGREGATE combined(bytea) (SFUNC = idla_metric_combine, STYPE = bytea, FINALFUNC = idla_metric_value);
SELECT bad_start(p, label) FROM scored;
CREATE TABLE states AS SELECT raw_auroc(p, label) AS auroc, raw_ece(p, label, 3) AS ece3, raw_ece(p, label, 4) AS ece4 FROM scored WHERE i <= 40;
SELECT round(idla_metric_value(auroc)::numeric, 6) AS auroc, round(idla_metric_value(ece3)::numeric, 6) AS ece3 FROM states;
SELECT (SELECT round(idla_auroc(p, label)::numeric, 6) FROM scored WHERE i <= 40) AS auroc,
	(SELECT round(idla_ece(p, label, 3)::numeric, 6) FROM scored WHERE i <= 40) AS ece3;
-- cut at every length, and with every byte of the head changed: an error or a number, never worse
CREATE FUNCTION value_or_error(state bytea) RETURNS text LANGUAGE plpgsql AS
$$BEGIN RETURN CASE WHEN idla_metric_value(state) IS NULL THEN 'null' ELSE 'number' END; EXCEPTION WHEN invalid_binary_representation THEN RETURN 'refused'; END$$;
SELECT value_or_error(substr(auroc, 1, n)) AS outcome, count(*) > 0 AS some FROM states, generate_series(0, length(auroc)) n GROUP BY 1 ORDER BY 1;
SELECT value_or_error(set_byte(auroc, n, 129)) AS outcome, count(*) FROM states, generate_series(0, 11) n GROUP BY 1 ORDER BY 1;
SELECT combined(s) FROM states, LATERAL (VALUES (auroc), (ece3)) v (s);
SELECT combined(s) FROM states, LATERAL (VALUES (ece3), (ece4)) v (s);
SELECT combined(s) FROM (VALUES ('\x0102'::bytea)) v (s);
SELECT combined(auroc) IS NOT NULL AND combined(NULL) IS NULL AS combined FROM states;

-- Cancelled while it sorts: the rows are there, two million need a second.
CREATE AGGREGATE raw_concordance(float8, float8, boolean) (SFUNC = idla_concordance_add, STYPE = bytea);
CREATE TABLE many (state bytea);
ALTER TABLE many ALTER state SET STORAGE EXTERNAL;
INSERT INTO many SELECT raw_concordance(i * 7919 % 1000003, i * 104729 % 1000003, i % 2 = 0) FROM generate_series(1::bigint, 2000000) i;
SET statement_timeout = '100ms';
SELECT idla_metric_value(state) FROM many;
RESET statement_timeout;
SELECT round(idla_metric_value(state)::numeric, 2) AS unhurried FROM many;

DROP VIEW measured;
DROP TABLE scored, reference, serial, parallel, states, many;
DROP AGGREGATE raw_auroc(float8, boolean), raw_ece(float8, boolean, int), bad_start(float8, boolean), combined(bytea),
	raw_concordance(float8, float8, boolean);
DROP FUNCTION value_or_error(bytea);
DROP TYPE grade;
DROP DOMAIN code;
