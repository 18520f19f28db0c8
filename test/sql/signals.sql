-- signals as inputs: arrays of numbers in time, of one lead and several, their lengths, rates and parts, and what is wrong with some.
CREATE SCHEMA signals;
SET search_path = signals, public;
SET idla.progress = off;
SET idla.threads = 1;

-- The sick have a wave of twice the frequency; where it begins tells nothing.
CREATE TABLE recordings AS
SELECT i AS id, i % 2 = 0 AS sick, 50 + i % 31 AS age,
	(SELECT array_agg((sin((CASE WHEN i % 2 = 0 THEN 0.8 ELSE 0.4 END) * t + i) + 0.1 * sin(i * 7 + t * 3.3))::real ORDER BY t) FROM generate_series(1, 64 + i % 17) t) AS lead
FROM generate_series(1, 160) i;

-- ---- one lead, of unequal lengths ----

SELECT architecture, rows_used, metric, value > 0.95 AS good
FROM idla_train('one', 'SELECT lead, age, sick FROM recordings', 'sick', 'binary', 'fcn', '{"epochs": 8, "width": 8, "batch": 16, "rate": 0.02}');
SELECT manifest->'fields'->0->'dims' AS dims, manifest->'fields'->0->'kind' AS kind FROM one WHERE chunk = 0;
SELECT bool_and((idla_predict('one', r) > 0.5) = sick) AS right FROM recordings r;
SELECT metric, value > 0.95 AS good FROM idla_evaluate('one', 'recordings') WHERE metric = 'auroc';
SELECT feature FROM idla_importance('one', 'SELECT lead, age, sick FROM recordings') ORDER BY importance DESC LIMIT 1;
-- 'auto' takes it too, and recurrences
SELECT architecture, value > 0.8 AS good FROM idla_train('own', 'SELECT lead, sick FROM recordings', 'sick', options => '{"width": 168}');
SELECT idla_train('m', 'SELECT lead, sick FROM recordings', 'sick', options => '{"width": 4}');
SELECT architecture FROM idla_train('gru', 'SELECT lead, sick FROM recordings', 'sick', architecture => 'gru', options => '{"epochs": 1, "width": 4}');
SELECT architecture FROM idla_train('lstm', 'SELECT lead, sick FROM recordings', 'sick', architecture => 'lstm', options => '{"epochs": 1, "width": 4, "depth": 2}');
SELECT count(*) FROM recordings r WHERE idla_predict('own', r) BETWEEN 0 AND 1 AND idla_predict('gru', r) BETWEEN 0 AND 1 AND idla_predict('lstm', r) BETWEEN 0 AND 1;
-- padding counts nothing: a signal is itself whatever the longest one was
SELECT bool_and(idla_predict('gru', r) = (SELECT idla_predict('gru', q) FROM recordings q WHERE q.id = r.id)) AS same FROM recordings r WHERE id < 20;
-- element types, domains, lower bounds
CREATE DOMAIN millivolt AS float8;
SELECT bool_and(idla_predict('one', r) = idla_predict('one', t)) AS same
FROM recordings r JOIN (SELECT id, age, ('[5:' || 4 + cardinality(lead) || ']=' || lead::text)::millivolt[] AS lead FROM recordings) t USING (id);
SELECT bool_and(abs(idla_predict('one', r) - idla_predict('one', t)) < 0.01) AS close
FROM recordings r JOIN (SELECT id, age, lead::numeric[] AS lead FROM recordings) t USING (id);
-- gaps are bridged; a NULL signal is missing
SELECT abs(idla_predict('one', r) - idla_predict('one', t)) < 0.3 AS close
FROM recordings r, (SELECT age, lead[1:10] || NULL::real || lead[12:] AS lead FROM recordings WHERE id = 6) t WHERE r.id = 6;
SELECT idla_predict('one', t) BETWEEN 0 AND 1 AS answered FROM (SELECT NULL::real[] AS lead, 50 AS age) t;
SELECT idla_predict('one', t) BETWEEN 0 AND 1 AS answered FROM (SELECT ARRAY[1]::real[] AS lead, 50 AS age) t;
SELECT idla_predict('one', t) BETWEEN 0 AND 1 AS answered FROM (SELECT array_fill(0.5::real, ARRAY[100000]) AS lead, 50 AS age) t;
SELECT idla_predict('one', t) FROM (SELECT '{}'::real[] AS lead, 50 AS age) t;
SELECT idla_predict('one', t) FROM (SELECT '{NULL,NaN,NULL}'::real[] AS lead, 50 AS age) t;
SELECT idla_predict('one', t) FROM (SELECT '{{1,2},{3,4}}'::real[] AS lead, 50 AS age) t;
SELECT idla_predict('one', t) FROM (SELECT '{{{1,2},{3,4}}}'::real[] AS lead, 50 AS age) t;
SELECT idla_predict('one', t) FROM (SELECT 'x' AS lead, 50 AS age) t;
SELECT idla_predict('one', t) FROM (SELECT 7 AS lead, 50 AS age) t;
-- infinities and what is beyond the range of real are gaps
SELECT idla_predict('one', t) BETWEEN 0 AND 1 AS answered FROM (SELECT '{1,Infinity,1e300,2}'::float8[] AS lead, 50 AS age) t;

-- ---- several leads, as (leads, samples) ----

CREATE TABLE ecgs AS SELECT id, sick, ARRAY[lead[1:64], lead[1:64]] AS leads FROM recordings;
SELECT value > 0.9 AS good FROM idla_train('two', 'SELECT leads, sick FROM ecgs', 'sick', 'binary', 'fcn', '{"epochs": 8, "width": 8, "batch": 16, "rate": 0.02}');
SELECT manifest->'fields'->0->'dims' AS dims FROM two WHERE chunk = 0;
-- a lead without a value, another number of leads
SELECT idla_predict('two', t) BETWEEN 0 AND 1 AS answered FROM (SELECT ARRAY[lead[1:64], array_fill(NULL::real, ARRAY[64])] AS leads FROM recordings WHERE id = 2) t;
SELECT idla_predict('two', t) FROM (SELECT ARRAY[lead[1:64], lead[1:64], lead[1:64]] AS leads FROM recordings WHERE id = 2) t;
SELECT idla_predict('two', t) FROM (SELECT lead AS leads FROM recordings WHERE id = 2) t;
-- samples first is a mistake that cannot be told from many leads of few samples, but for their number
SELECT idla_train('m', 'SELECT array_fill(id::real, ARRAY[2000, 2]) AS leads, sick FROM recordings', 'sick', options => '{"epochs": 1}');

-- ---- what tells an array from a signal ----

SELECT rows_used FROM idla_train('short', 'SELECT lead[1:63] AS lead, sick FROM recordings', 'sick', architecture => 'linear', options => '{"epochs": 1}');
SELECT jsonb_array_length(manifest->'channels') AS channels, manifest ? 'fields' AS fields FROM short WHERE chunk = 0;
SELECT rows_used FROM idla_train('flat', 'SELECT lead[1:64] AS lead, sick FROM recordings', 'sick', architecture => 'linear', options => '{"epochs": 1, "columns": {"lead": "array"}}');
SELECT jsonb_array_length(manifest->'channels') AS channels, manifest ? 'fields' AS fields FROM flat WHERE chunk = 0;
SELECT rows_used FROM idla_train('scaled', 'SELECT lead[1:64] AS lead, sick FROM recordings', 'sick', architecture => 'linear', options => '{"epochs": 1, "columns": {"lead": {"scaling": "quantile"}}}');
SELECT jsonb_array_length(manifest->'channels') AS channels, manifest ? 'fields' AS fields FROM scaled WHERE chunk = 0;
SELECT rows_used FROM idla_train('said', 'SELECT lead[1:20] AS lead, sick FROM recordings', 'sick', architecture => 'fcn', options => '{"epochs": 1, "width": 2, "columns": {"lead": "signal"}}');
SELECT manifest->'fields'->0->'dims' AS dims FROM said WHERE chunk = 0;
SELECT rows_used FROM idla_train('normal', 'SELECT lead[1:20] AS lead, sick FROM recordings', 'sick', architecture => 'fcn', options => '{"epochs": 1, "width": 2, "columns": {"lead": {"normalize": "signal"}}}');
SELECT manifest->'fields'->0->'dims' AS dims FROM normal WHERE chunk = 0;
-- empty arrays and NULL settle nothing
SELECT rows_used, rows_dropped FROM idla_train('late', $$SELECT CASE WHEN id < 10 THEN '{}' WHEN id < 20 THEN NULL ELSE leads END AS leads, id % 7 AS other, sick FROM ecgs ORDER BY id$$, 'sick', architecture => 'fcn', options => '{"epochs": 1, "width": 2, "on_bad_input": "skip"}');
SELECT manifest->'fields'->0->'dims' AS dims FROM late WHERE chunk = 0;
SELECT idla_train('m', $$SELECT '{}'::real[] AS lead, sick FROM recordings$$, 'sick');
SELECT idla_train('m', $$SELECT '{}'::real[] AS lead, sick FROM recordings$$, 'sick', options => '{"columns": {"lead": "signal"}}');
SELECT idla_train('m', 'SELECT NULL::real[] AS lead, sick FROM recordings', 'sick', options => '{"columns": {"lead": "signal"}}');
SELECT idla_train('m', 'SELECT array_fill(NULL::real, ARRAY[100]) AS lead, sick FROM recordings', 'sick', options => '{"epochs": 1}');

-- ---- rates, lengths, parts, normalising ----

SELECT rows_used FROM idla_train('slow', 'SELECT lead, sick FROM recordings', 'sick', architecture => 'fcn', options => '{"epochs": 1, "width": 2, "columns": {"lead": {"rate": 100, "to_rate": 50}}}');
SELECT manifest->'fields'->0->'dims' AS dims FROM slow WHERE chunk = 0;
SELECT count(*) FROM recordings r WHERE idla_predict('slow', r) BETWEEN 0 AND 1;
SELECT rows_used FROM idla_train('end_part', 'SELECT lead, sick FROM recordings', 'sick', architecture => 'gru', options => '{"epochs": 1, "width": 2, "columns": {"lead": {"length": 32, "part": "end"}}}');
-- only the end is seen of it
SELECT bool_and(idla_predict('end_part', r) = idla_predict('end_part', t)) AS same
FROM recordings r JOIN (SELECT id, lead[cardinality(lead) - 31:] AS lead FROM recordings) t USING (id);
SELECT rows_used FROM idla_train('by_signal', 'SELECT lead, sick FROM recordings', 'sick', architecture => 'gru', options => '{"epochs": 1, "width": 2, "columns": {"lead": {"normalize": "signal"}}}');
-- a signal's own scale and level do not matter then
SELECT bool_and(abs(idla_predict('by_signal', r) - idla_predict('by_signal', t)) < 0.0001) AS same
FROM recordings r JOIN (SELECT id, (SELECT array_agg(x * 8 + 100 ORDER BY n) FROM unnest(lead) WITH ORDINALITY u(x, n)) AS lead FROM recordings) t USING (id);
SELECT rows_used FROM idla_train('together', 'SELECT leads, sick FROM ecgs', 'sick', architecture => 'fcn', options => '{"epochs": 1, "width": 2, "columns": {"leads": {"normalize": "together", "part": "start", "length": 50}}}');
SELECT rows_used FROM idla_train('unscaled', 'SELECT leads, sick FROM ecgs', 'sick', architecture => 'fcn', options => '{"epochs": 1, "width": 2, "columns": {"leads": {"normalize": "none"}}}');
SELECT manifest->'fields'->0->'center' AS center, manifest->'fields'->0->'scale' AS scale FROM unscaled WHERE chunk = 0;
-- options that make no sense
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"rate": 100}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"to_rate": 100}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"rate": 0, "to_rate": 1}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"rate": 1e-6, "to_rate": 1e9}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"rate": 1e-6, "to_rate": 1e9, "length": 100}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"length": 65537}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"part": "middle"}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"normalize": "none", "scaling": "robust"}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"kind": "array", "rate": 1, "to_rate": 2}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"lead": {"kind": "array", "height": 8}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"age": {"part": "end"}}}');
SELECT idla_train('m', 'recordings', 'sick', options => '{"columns": {"age": "signal"}}');
SELECT idla_train('m', 'SELECT array_fill(id::real, ARRAY[70000]) AS lead, sick FROM recordings', 'sick');
SELECT rows_used FROM idla_train('long', 'SELECT array_fill(id::real, ARRAY[70000]) AS lead, sick FROM recordings WHERE id <= 20', 'sick', architecture => 'fcn', options => '{"epochs": 1, "width": 2, "columns": {"lead": {"length": 100}}}');

-- ---- layer texts over time ----

SELECT rows_used FROM idla_train('layers', 'SELECT lead, age, sick FROM recordings', 'sick', 'binary', 'conv(8, 5) batch_norm relu max_pool(2) bigru(4) last join dense(8) relu', '{"epochs": 1}');
SELECT rows_used FROM idla_train('layers', 'SELECT lead, age, sick FROM recordings', 'sick', 'binary', 'lstm(4) bilstm(4) dropout(0.1) gru(3) global_max', '{"epochs": 1}');
SELECT rows_used FROM idla_train('layers', 'SELECT lead, age, sick FROM recordings', 'sick', 'binary', 'dense(8) relu', '{"epochs": 1}');
SELECT count(*) FROM recordings r, generate_series(1, 3) v WHERE idla_predict('layers', r, version => v) BETWEEN 0 AND 1;
SELECT idla_train('m', 'SELECT lead, sick FROM recordings', 'sick', 'binary', 'gru(4)');
SELECT idla_train('m', 'SELECT lead, sick FROM recordings', 'sick', 'binary', 'gru(0) last');
SELECT idla_train('m', 'SELECT lead, sick FROM recordings', 'sick', 'binary', 'grru(4) last');
SELECT idla_train('m', 'SELECT lead, sick FROM recordings', 'sick', 'binary', 'conv(4, 3, 2, 1) last');
SELECT idla_train('m', 'SELECT lead, sick FROM recordings', 'sick', 'binary', 'conv() last');
SELECT idla_train('m', 'SELECT lead, sick FROM recordings', 'sick', 'binary', 'last(3)');
SELECT idla_train('m', 'SELECT lead, sick FROM recordings', 'sick', 'binary', 'last gru(4)');

SELECT to_regclass('m') IS NULL AS none;
SET client_min_messages = warning;
DROP SCHEMA signals CASCADE;
