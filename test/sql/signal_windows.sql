-- long signals seen a window at a time: learned, answered for by the mean over the windows, judged, explained; and options that make no sense.
CREATE SCHEMA signal_windows;
SET search_path = signal_windows, public;
SET idla.progress = off;
SET idla.threads = 1;

-- The sick have a wave of twice the frequency; recordings are of 20 to 259 samples.
CREATE TABLE recordings AS
SELECT i AS id, i % 2 = 0 AS sick, 50 + i % 31 AS age, (i % 3)::text AS kind, i % 2 * 10 + 5.0 AS level,
	(SELECT array_agg((sin((CASE WHEN i % 2 = 0 THEN 0.8 ELSE 0.4 END) * t + i) + 0.1 * sin(i * 7 + t * 3.3))::real ORDER BY t) FROM generate_series(1, 20 + i * 37 % 240) t) AS lead
FROM generate_series(1, 160) i;

-- ---- learned and answered for ----

SELECT architecture, rows_used, value > 0.95 AS good
FROM idla_train('one', 'SELECT lead, age, sick FROM recordings', 'sick', 'binary', 'fcn', '{"epochs": 8, "width": 8, "batch": 16, "rate": 0.02, "columns": {"lead": {"window": 64, "stride": 32}}}');
SELECT manifest->'fields'->0->'dims' AS dims, manifest->'fields'->0->'stride' AS stride FROM one WHERE chunk = 0;
SELECT input FROM one, jsonb_array_elements(card->'inputs') input WHERE chunk = 0 AND input ? 'window';
SELECT bool_and((idla_predict('one', r) > 0.5) = sick) AS right FROM recordings r;
SELECT bool_and(idla_classify('one', r) = sick::text) AS right FROM recordings r;
SELECT metric, value > 0.95 AS good FROM idla_evaluate('one', 'recordings') WHERE metric IN ('auroc', 'accuracy') ORDER BY 1;
SELECT feature FROM idla_importance('one', 'SELECT lead, age, sick FROM recordings') ORDER BY importance DESC LIMIT 1;
-- the whole counts, wherever it is long
SELECT abs(idla_predict('one', r) - idla_predict('one', t)) > 0.01 AS differs
FROM recordings r, (SELECT age, lead[1:100] || array_fill(0::real, ARRAY[cardinality(lead) - 100]) AS lead FROM recordings WHERE id = 6) t WHERE r.id = 6;

-- the answer is the mean of the answers for the windows: at 0, 24, 48 ..., and the last 32 samples
CREATE FUNCTION starts(n int) RETURNS SETOF int LANGUAGE sql AS $$
	SELECT s FROM generate_series(0, greatest(n - 32, 0), 24) s UNION SELECT greatest(n - 32, 0)
$$;
SELECT architecture FROM idla_train('plain', 'SELECT lead, age, sick FROM recordings', 'sick', 'binary', 'gru', '{"epochs": 2, "width": 8, "calibrate": false, "columns": {"lead": {"window": 32, "stride": 24}}}');
SELECT count(*) AS n, bool_and(abs(idla_predict('plain', r) - mean) < 1e-6) AS same
FROM recordings r, LATERAL (SELECT avg(idla_predict('plain', w)) AS mean FROM (SELECT r.lead[s + 1:s + 32] AS lead, r.age FROM starts(cardinality(r.lead)) s) w) m;
SELECT architecture FROM idla_train('kinds', 'SELECT lead, kind FROM recordings', 'kind', 'multiclass', 'transformer', '{"epochs": 1, "width": 8, "depth": 1, "calibrate": false, "columns": {"lead": {"window": 32, "stride": 24}}}');
SELECT count(*) AS n, bool_and(abs((idla_probabilities('kinds', r)->>'1')::float8 - mean) < 1e-6) AS same
FROM recordings r, LATERAL (SELECT avg((idla_probabilities('kinds', w)->>'1')::float8) AS mean FROM (SELECT r.lead[s + 1:s + 32] AS lead FROM starts(cardinality(r.lead)) s) w) m;
SELECT architecture FROM idla_train('levels', 'SELECT lead, level FROM recordings', 'level', 'regression', 'lstm', '{"epochs": 1, "width": 8, "columns": {"lead": {"window": 32, "stride": 24}}}');
SELECT count(*) AS n, bool_and(abs(idla_predict('levels', r) - mean) < 1e-5) AS same
FROM recordings r, LATERAL (SELECT avg(idla_predict('levels', w)) AS mean FROM (SELECT r.lead[s + 1:s + 32] AS lead FROM starts(cardinality(r.lead)) s) w) m;
-- rocket averages the logits of its linear model, which is its answer for the mean of the windows' features
SELECT architecture, value > 0.95 AS good FROM idla_train('features', 'SELECT lead, age, sick FROM recordings', 'sick', 'binary', 'rocket', '{"width": 168, "columns": {"lead": {"window": 32, "stride": 24}}}');
SELECT count(*) AS n, bool_and(abs(ln(p / (1 - p)) - mean) < 1e-4) AS same
FROM (SELECT *, idla_predict('features', r) AS p FROM recordings r) r,
	LATERAL (SELECT avg(ln(q / (1 - q))) AS mean FROM (SELECT idla_predict('features', w) AS q FROM (SELECT r.lead[s + 1:s + 32] AS lead, r.age FROM starts(cardinality(r.lead)) s) w) q) m;
-- rocket by steps, and where a survival is asked for
SELECT architecture, value > 0.95 AS good FROM idla_train('stepped', 'SELECT lead, age, sick FROM recordings', 'sick', 'binary', 'rocket', '{"width": 168, "epochs": 20, "columns": {"lead": {"window": 32}}}');
SELECT rows_used FROM idla_train('lived', 'SELECT lead, age, level + id % 5 AS days, sick FROM recordings', NULL, 'survival', 'fcn', '{"time": "days", "event": "sick", "epochs": 1, "width": 4, "columns": {"lead": {"window": 32}}}');
SELECT count(*) FROM recordings r WHERE idla_predict('lived', r) > 0;
-- views are of each window
SELECT rows_used FROM idla_train('viewed', 'SELECT lead, age, sick FROM recordings', 'sick', 'binary', 'fcn', '{"epochs": 1, "width": 4, "calibrate": false, "augment": {"jitter": 0.5, "crop": 0.2}, "augment_predict": 4, "columns": {"lead": {"window": 32, "stride": 24}}}');
SELECT count(*) AS n, bool_and(abs(idla_predict('viewed', r) - mean) < 1e-6) AS same, bool_and(idla_predict('viewed', r) = (SELECT idla_predict('viewed', q) FROM recordings q WHERE q.id = r.id)) AS alone
FROM recordings r, LATERAL (SELECT avg(idla_predict('viewed', w)) AS mean FROM (SELECT r.lead[s + 1:s + 32] AS lead, r.age FROM starts(cardinality(r.lead)) s) w) m;
-- a row alone, and the same among others
SELECT bool_and(idla_predict('one', r) = (SELECT idla_predict('one', q) FROM recordings q WHERE q.id = r.id)) AS same FROM recordings r WHERE id < 20;
-- a second time the same
SELECT rows_used FROM idla_train('again', 'SELECT lead, age, sick FROM recordings', 'sick', 'binary', 'fcn', '{"epochs": 8, "width": 8, "batch": 16, "rate": 0.02, "columns": {"lead": {"window": 64, "stride": 32}}}');
SELECT bool_and(idla_predict('one', r) = idla_predict('again', r)) AS same FROM recordings r;
-- short, missing, broken
SELECT idla_predict('one', t) BETWEEN 0 AND 1 AS answered FROM (SELECT ARRAY[1]::real[] AS lead, 50 AS age) t;
SELECT idla_predict('one', t) BETWEEN 0 AND 1 AS answered FROM (SELECT NULL::real[] AS lead, 50 AS age) t;
SELECT idla_predict('one', t) FROM (SELECT '{}'::real[] AS lead, 50 AS age) t;

-- ---- other shapes, several signals, other columns ----

SELECT rows_used FROM idla_train('leads', 'SELECT ARRAY[lead, lead] AS leads, sick FROM recordings', 'sick', architecture => 'fcn', options => '{"epochs": 1, "width": 4, "columns": {"leads": {"window": 50, "rate": 100, "to_rate": 50, "normalize": "signal"}}}');
SELECT manifest->'fields'->0->'dims' AS dims, manifest->'fields'->0->'stride' AS stride FROM leads WHERE chunk = 0;
SELECT count(*) FROM (SELECT id, ARRAY[lead, lead] AS leads FROM recordings) r WHERE idla_predict('leads', r) BETWEEN 0 AND 1;
SELECT rows_used FROM idla_train('both', $$SELECT lead, lead[1:cardinality(lead) / 2] AS slow, 'rate ' || age || ' of ' || kind AS note, age, sick FROM recordings$$, 'sick', architecture => 'fcn', options => '{"epochs": 1, "width": 4, "columns": {"lead": {"window": 40}, "slow": {"window": 20, "stride": 10}, "note": "text"}}');
SELECT count(*) FROM (SELECT id, lead, lead[1:cardinality(lead) / 2] AS slow, 'rate ' || age || ' of ' || kind AS note, age FROM recordings) r WHERE idla_predict('both', r) BETWEEN 0 AND 1;
SELECT variant, "column", array_length("values", 1) AS samples FROM idla_augment_preview('SELECT lead FROM recordings WHERE id = 6', '{"augment": {"jitter": 0.1}, "columns": {"lead": {"window": 40}}}') LIMIT 2;

-- ---- explained: all of the signal, in its own samples ----

SELECT count(*) > 0 AS some, bool_and(abs(prediction - baseline - sum) <= error + 1e-9 AND error < 0.01) AS complete
FROM recordings r, LATERAL (SELECT max(prediction) AS prediction, max(baseline) AS baseline, sum(contribution) AS sum, max(completeness_error) AS error FROM idla_explain('one', r)) e WHERE r.id < 8;
SELECT part, first, last, value IS NOT NULL AS valued, contribution <> 0 AS counts FROM recordings r, idla_explain_parts('one', r, segments => 6) WHERE r.id = 6 ORDER BY first;
SELECT abs(p.sum - e.contribution) < 0.02 AS same
FROM recordings r, LATERAL (SELECT sum(contribution) AS sum FROM idla_explain_parts('one', r, segments => 6) WHERE rank IS NOT NULL) p, LATERAL (SELECT contribution FROM idla_explain('one', r) WHERE feature = 'lead') e WHERE r.id = 6;
SELECT abs(a.sum - b.sum) < 0.05 AS close FROM recordings r,
	LATERAL (SELECT sum(contribution) AS sum FROM idla_explain_parts('one', r, segments => 6) WHERE rank IS NOT NULL) a, LATERAL (SELECT sum(contribution) AS sum FROM idla_explain_parts('one', r, method => 'shapley', segments => 6) WHERE rank IS NOT NULL) b WHERE r.id = 6;
SELECT part, channel, first, last FROM (SELECT ARRAY[lead, lead] AS leads FROM recordings WHERE id = 6) r, idla_explain_parts('leads', r, segments => 3) ORDER BY first, channel;
SELECT part, first, last, contribution <> 0 AS counts, completeness_error < 1e-6 AS complete FROM recordings r, idla_explain_parts('features', r, segments => 5) WHERE r.id = 6 ORDER BY first;

-- ---- what makes no sense ----

SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"window": 0}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"window": -5}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"window": 65537}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"window": 2.5}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"window": "long"}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"window": 20, "stride": 0}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"window": 20, "stride": 21}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"stride": 20}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"window": 20, "length": 40}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"window": 20, "part": "end"}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"age": {"window": 20}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"kind": "array", "window": 20}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"windows": 20}}}');
SELECT idla_train('m', 'SELECT lead, sick FROM recordings', 'sick', options => '{"adversarial": "pgd", "columns": {"lead": {"window": 20}}}');
SELECT * FROM idla_robustness('one', 'recordings', ARRAY[0.1]);
SELECT idla_attack('one', r, 0.1) FROM recordings r LIMIT 1;
-- more windows than a network could look at
SELECT idla_train('m', 'SELECT array_fill(id::real, ARRAY[20000]) AS lead, sick FROM recordings', 'sick', architecture => 'fcn', options => '{"columns": {"lead": {"window": 10, "stride": 1}}}');
SELECT rows_used, rows_dropped, dropped_why FROM idla_train('skipped', 'SELECT CASE WHEN id = 7 THEN array_fill(id::real, ARRAY[20000]) ELSE lead END AS lead, sick FROM recordings', 'sick', architecture => 'fcn', options => '{"epochs": 1, "width": 2, "on_bad_input": "skip", "columns": {"lead": {"window": 10, "stride": 1}}}');
SELECT idla_predict('skipped', t) FROM (SELECT array_fill(1::real, ARRAY[20000]) AS lead) t;
-- what was stored may be anything
CREATE FUNCTION forged(change jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	copy jsonb;
	answer float8;
	detail text;
BEGIN
	DROP TABLE IF EXISTS forgery;
	CREATE TABLE forgery (LIKE one INCLUDING ALL);
	INSERT INTO forgery SELECT * FROM one;
	SELECT jsonb_set(manifest - 'sha256', '{fields,0}', manifest->'fields'->0 || change) INTO copy FROM one WHERE chunk = 0;
	copy := copy || jsonb_build_object('sha256', encode(sha256(convert_to(copy::text, 'UTF8')), 'hex'));
	UPDATE forgery SET manifest = copy WHERE chunk = 0;
	SELECT idla_predict('forgery', r) INTO answer FROM recordings r WHERE id = 6;
	RETURN answer IS NOT NULL;
EXCEPTION WHEN data_corrupted THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RAISE NOTICE '%', detail;
	RETURN NULL;
END $$;
SET client_min_messages = warning;
SELECT forged('{}') AS unchanged;
SET client_min_messages = notice;
SELECT forged('{"stride": 65}');
SELECT forged('{"stride": 0}');
SELECT forged('{"stride": -3}');
SELECT forged('{"stride": 1e9}');
SELECT forged('{"stride": "x"}');
SELECT forged('{"keep": 3}');
SELECT forged('{"kind": 0}');

SELECT to_regclass('m') IS NULL AS none;
SET client_min_messages = warning;
DROP SCHEMA signal_windows CASCADE;
