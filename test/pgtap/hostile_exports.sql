-- The same of models that are exported to ONNX: whatever their manifests say, whose author knows the digests, there is a file or an error of the statement.
\set QUIET on
SET client_min_messages = error;
SET idla.progress = off;
SELECT plan(5);

CREATE TABLE patients AS
SELECT i AS id, i % 3 = 0 AS sick, (SELECT array_agg(sin(t * (1 + i % 3))::float4) FROM generate_series(1, 12 + i % 9) t) AS wave,
	format('patient %s %s', i, CASE WHEN i % 3 = 0 THEN 'has fever' ELSE 'is well' END) AS note,
	ARRAY['patient', i::text, CASE WHEN i % 3 = 0 THEN 'fever' ELSE 'well' END] AS tokens, ARRAY['O', 'O', CASE WHEN i % 3 = 0 THEN 'B-Sign' ELSE 'O' END] AS tags
FROM generate_series(1, 120) i;

\i test/pgtap/include/hostile.sql
\set replacements '[null, true, -1, 0, 3, 1e-300, 1e300, 2147483648, "x", "transformer", [], {}]'
\set left_out '{sha256,training,options,split,parts,record,conformal}'
\set question 'SELECT length(idla_export(''victim'', ''onnx''))'

DO $$ BEGIN
	PERFORM idla_train('wave', 'SELECT wave, sick FROM patients', 'sick', architecture => 'gru', options => '{"epochs": 1, "width": 2, "seed": 1, "columns": {"wave": {"kind": "signal", "rate": 10, "to_rate": 5, "normalize": "signal", "window": 8, "stride": 4}}}');
	PERFORM idla_train('stay', 'SELECT id, t AS hour, wave[t] AS hr, sick FROM patients, generate_series(1, 8) t', 'sick', architecture => 'fcn', options => '{"entity": "id", "time": "hour", "series": {"use": "bins", "bins": 6}, "epochs": 1, "width": 2, "depth": 1, "seed": 1}');
	PERFORM idla_train('note', 'SELECT note, sick FROM patients', 'sick', options => '{"epochs": 1, "width": 4, "seed": 1, "columns": {"note": {"kind": "text", "pieces": 60}}}');
	PERFORM idla_train('tagger', 'SELECT tokens, tags FROM patients', 'tags', options => '{"epochs": 1, "width": 4, "seed": 1}');
END $$;

CREATE TABLE outcome AS
SELECT model, a.* FROM unnest('{wave,stay,note,tagger}'::text[]) model, attack(model, :'question', :'replacements', :'left_out') a;
SELECT cmp_ok((SELECT sum(n) FROM outcome), '>', 1500::numeric, 'many changed manifests');
SELECT is((SELECT count(DISTINCT model) FROM outcome WHERE state = ''), 4::bigint, 'of each kind of model some are exported all the same');
SELECT is((SELECT count(DISTINCT model) FROM outcome WHERE state = 'XX001'), 4::bigint, 'others are refused as damaged');
SELECT is((SELECT string_agg(DISTINCT state, ' ') FROM outcome WHERE state NOT IN ('', 'XX001', '0A000', '42703', '42804', '22000', '22003', '42809', '22023')), NULL,
	'all others are errors of data, types and names');
SELECT is((SELECT length(idla_export('wave', 'onnx')) > 10000), true, 'the true model is exported as ever');
SELECT * FROM finish();
