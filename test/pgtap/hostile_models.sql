-- A manifest whose author knows the digests: every value in it replaced, one at a time, by others of every kind. Whatever
-- happens is an answer or an error of the statement; the server and the session go on.
\set QUIET on
SET client_min_messages = error;
SET idla.progress = off;
SELECT plan(6);

CREATE TABLE patients AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, (ARRAY['f', 'm', 'x'])[1 + i % 3] AS sex, CASE WHEN i % 7 = 0 THEN NULL ELSE ((i * 53) % 80)::numeric END AS pressure,
	date '2020-01-01' + (i * 11) % 900 AS admitted, ARRAY[i % 7, i % 11]::float4[] AS series,
	(i * 37) % 50 + (i * 17) % 20 > 38 AS sick, (ARRAY['low', 'middle', 'high'])[1 + ((i * 37) % 50) / 17] AS risk,
	((i * 37) % 50) * 0.5 AS stay, 1 + (i * 29) % 100 AS days, i % 4 <> 0 AS died
FROM generate_series(1, 200) i;

\i test/pgtap/include/hostile.sql
\set replacements '[null, true, -1, 0, 3, 1.5, 1e300, 2147483648, "x", "tabm", "linear", [], {}, [[0]]]'
\set left_out '{sha256,record}'
\set question 'SELECT idla_predict(''victim'', p), count(e.contribution) FROM patients p, idla_explain(''victim'', p) e WHERE p.id = 1 GROUP BY 1'

DO $$ BEGIN
	PERFORM idla_train('tabm', 'SELECT age, sex, pressure, admitted, series, sick FROM patients', 'sick', architecture => 'tabm', options => '{"epochs": 1, "members": 2, "width": 8, "folds": 1, "bags": 1, "seed": 1}');
	PERFORM idla_train('nam', 'SELECT age, sex, pressure, stay FROM patients', 'stay', 'regression', 'nam', '{"epochs": 1, "folds": 1, "bags": 1, "seed": 1}');
	PERFORM idla_train('survival', 'SELECT age, sex, days, died FROM patients', 'days,died', 'survival', 'mlp', '{"epochs": 1, "width": 8, "folds": 1, "bags": 1, "seed": 1, "scaling": "quantile"}');
END $$;

CREATE TABLE outcome AS
SELECT 'tabm' AS model, a.* FROM attack('tabm', :'question', :'replacements', :'left_out') a UNION ALL SELECT 'nam', a.* FROM attack('nam', :'question', :'replacements', :'left_out') a UNION ALL SELECT 'survival', a.* FROM attack('survival', :'question', :'replacements', :'left_out') a;
SELECT cmp_ok((SELECT sum(n) FROM outcome), '>', 3000::numeric, 'thousands of changed manifests');
SELECT cmp_ok((SELECT sum(n) FROM outcome WHERE state = 'XX001'), '>', 2000::numeric, 'most are refused as damaged');
SELECT is((SELECT string_agg(DISTINCT state, ' ') FROM outcome WHERE state NOT IN ('', 'XX001', '0A000', '42703', '42804', '22000', '22003', '2202E', '42809', '22023')), NULL,
	'all others are answers, or errors of data, types and names');
SELECT is((SELECT count(*) FROM outcome WHERE state LIKE 'XX%' AND state <> 'XX001'), 0::bigint, 'none is an internal error');
SET idla.model_cache = '1MB';
SELECT is((SELECT count(idla_predict('tabm', p)) FROM patients p), 200::bigint, 'the true models answer as ever');
SELECT cmp_ok((SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name LIKE 'idla%'), '<', 8000000::numeric, 'and neither what was refused nor what was loaded stays in memory');
SELECT * FROM finish();
