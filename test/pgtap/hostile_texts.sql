-- The same of models of texts and taggers: every value of their manifests replaced by others of every kind, whose author knows the digests.
\set QUIET on
SET client_min_messages = error;
SET idla.progress = off;
SELECT plan(4);

CREATE TABLE notes AS
SELECT i AS id, i % 3 = 0 AS sick, 20 + i % 60 AS age, CASE WHEN i <> 2 THEN format('patient %s %s', i, CASE WHEN i % 3 = 0 THEN 'has fever' ELSE 'is well' END) END AS note,
	ARRAY['patient', i::text, CASE WHEN i % 3 = 0 THEN 'fever' ELSE 'well' END] AS tokens, ARRAY['O', 'O', CASE WHEN i % 3 = 0 THEN 'B-Sign' ELSE 'O' END] AS tags
FROM generate_series(1, 120) i;

\i test/pgtap/include/hostile.sql
\set replacements '[null, true, -1, 0, 3, 1e300, 2147483648, "x", "##x", "tagging", "bag", "transformer", [], {}, ["[UNK]"]]'
\set left_out '{sha256,training,options,split,parts}'

DO $$ BEGIN
	PERFORM idla_train('note', 'SELECT note, age, sick FROM notes', 'sick', options => '{"epochs": 1, "width": 4, "seed": 1, "columns": {"note": {"kind": "text", "pieces": 60}}, "augment": {"mask": 0.1, "swap": 0.1, "noise": 0.1}, "augment_predict": 2}');
	PERFORM idla_train('tagger', 'SELECT tokens, tags FROM notes', 'tags', options => '{"epochs": 1, "width": 4, "seed": 1}');
END $$;

CREATE TABLE outcome AS
SELECT a.* FROM attack('note', 'SELECT idla_predict(''victim'', p), idla_predict(''victim'', q) FROM notes p, notes q WHERE p.id = 1 AND q.id = 2', :'replacements', :'left_out') a
UNION ALL SELECT a.* FROM attack('tagger', 'SELECT t.* FROM idla_tag(''victim'', ''patient 7 has fever. patient 8 is well.'') t', :'replacements', :'left_out') a;
SELECT cmp_ok((SELECT sum(n) FROM outcome), '>', 1500::numeric, 'many changed manifests');
SELECT cmp_ok((SELECT sum(n) FROM outcome WHERE state = 'XX001'), '>', 700::numeric, 'most are refused as damaged');
SELECT is((SELECT string_agg(DISTINCT state, ' ') FROM outcome WHERE state NOT IN ('', 'XX001', '0A000', '42703', '42804', '22000', '22003', '42809', '22023')), NULL,
	'all others are answers, or errors of data, types and names');
SELECT is((SELECT count(idla_predict('note', n)) FROM notes n), 120::bigint, 'the true model answers as ever');
SELECT * FROM finish();
