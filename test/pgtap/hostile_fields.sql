-- The same of models with an image, a signal and several labels: every value of their manifests replaced by others of every kind, whose author
-- knows the digests. Whatever happens is an answer or an error of the statement.
\set QUIET on
SET client_min_messages = error;
SET idla.progress = off;
SELECT plan(5);

-- The second patient has neither image nor signal.
CREATE TABLE patients AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, i % 3 = 0 AS sick, i % 4 = 0 AS tired,
	CASE WHEN i <> 2 THEN (SELECT array_agg(ARRAY[ARRAY[x, i % 3], ARRAY[i % 5, x]]) FROM generate_series(1, 5) x)::float4[] END AS scan,
	CASE WHEN i <> 2 THEN (SELECT array_agg(sin(t * (1 + i % 3))::float4) FROM generate_series(1, 64 + i % 9) t) END AS wave
FROM generate_series(1, 120) i;

\i test/pgtap/include/hostile.sql
\set replacements '[null, true, -1, 0, 3, 1.5, 1e300, 2147483648, "x", "tabm", "linear", [], {}, [[0]]]'
\set left_out '{sha256,record}'
\set question 'SELECT idla_predict(''victim'', p), idla_predict(''victim'', q) FROM patients p, patients q WHERE p.id = 1 AND q.id = 2'

DO $$ BEGIN
	PERFORM idla_train('picture', 'SELECT scan, age, sick FROM patients', 'sick', architecture => 'cnn', options => '{"epochs": 1, "depth": 1, "width": 2, "seed": 1, "augment": {"flip": 0.5, "rotate": 5, "table": {"noise": 0.1}}, "augment_predict": 2}');
	PERFORM idla_train('wave', 'SELECT wave, sick, tired FROM patients', 'sick,tired', architecture => 'gru', options => '{"epochs": 1, "width": 2, "seed": 1, "columns": {"wave": {"rate": 10, "to_rate": 5, "normalize": "signal"}}, "augment": {"jitter": 0.1}, "augment_predict": 2}');
	PERFORM idla_train('text', 'SELECT wave, age, sick FROM patients', 'sick', architecture => 'conv(2) relu max_pool(2) gru(2) last join dense(3)', options => '{"epochs": 1, "seed": 1}');
END $$;

CREATE TABLE outcome AS
SELECT 'picture' AS model, a.* FROM attack('picture', :'question', :'replacements', :'left_out') a UNION ALL SELECT 'wave', a.* FROM attack('wave', :'question', :'replacements', :'left_out') a UNION ALL SELECT 'text', a.* FROM attack('text', :'question', :'replacements', :'left_out') a;
SELECT cmp_ok((SELECT sum(n) FROM outcome), '>', 2000::numeric, 'thousands of changed manifests');
SELECT cmp_ok((SELECT sum(n) FROM outcome WHERE state = 'XX001'), '>', 1000::numeric, 'most are refused as damaged');
SELECT is((SELECT string_agg(DISTINCT state, ' ') FROM outcome WHERE state NOT IN ('', 'XX001', '0A000', '42703', '42804', '22000', '22003', '2202E', '42809', '22023')), NULL,
	'all others are answers, or errors of data, types and names');
SELECT is((SELECT count(*) FROM outcome WHERE state LIKE 'XX%' AND state <> 'XX001'), 0::bigint, 'none is an internal error');
SELECT is((SELECT count(idla_predict('picture', p)) FROM patients p), 120::bigint, 'the true models answer as ever');
SELECT * FROM finish();
