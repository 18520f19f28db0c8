-- Texts: notes are recognised, learned, explained; what they are refused for; vocabularies of the user's own.
CREATE SCHEMA text;
SET search_path = text, public;
SET idla.progress = off;
\set VERBOSITY default

CREATE TABLE notes AS
SELECT i AS id, CASE WHEN i % 5 = 0 THEN 'test' ELSE 'train' END AS part, i % 3 = 0 AS bleeds, 40 + i % 37 AS age,
	format('Seen on day %s. The patient, a %s, %s %s since %s days.', i % 11,
		(ARRAY['teacher', 'farmer', 'nurse', 'cook', 'driver'])[1 + i % 5],
		CASE WHEN i % 3 = 0 THEN (ARRAY['reports haemorrhage', 'bled again', 'has epistaxis'])[1 + i / 3 % 3]
		ELSE (ARRAY['feels well', 'has no complaints', 'came for a certificate'])[1 + i / 3 % 3] END,
		(ARRAY['at home', 'at work', 'abroad'])[1 + i % 3 * 5 % 3], i % 17) AS note
FROM generate_series(1, 400) i;

-- a column of long, different texts is free text
SELECT metric, value > 0.95 AS good, architecture FROM idla_train('bleeding', 'SELECT part, bleeds, note FROM notes', 'bleeds',
	options => '{"part": "part", "epochs": 8}');
SELECT idla_classify('bleeding', n) AS answer, count(*) > 50 AS many FROM notes n GROUP BY 1 ORDER BY 1;
SELECT count(DISTINCT idla_predict('bleeding', n)) > 50 AS different FROM notes n;
-- one by one, all at once, through a view: the same bits
SELECT bool_and(a = b) AS same FROM (SELECT idla_predict('bleeding', n) AS a,
	(SELECT idla_predict('bleeding', m) FROM (SELECT n.note) m) AS b FROM notes n) x;
-- NULL and empty notes have an answer, the same
SELECT idla_predict('bleeding', a) = idla_predict('bleeding', b) AS same FROM (SELECT NULL::text AS note) a, (SELECT E' \n\t'::text AS note) b;
-- exotic text
SELECT idla_predict('bleeding', n) BETWEEN 0 AND 1 AS answered
FROM (VALUES ('naïve Ⅷ ﬁ 👩‍⚕️ 東京 שלום'::text), (repeat('haemorrhage ', 20000)), (repeat('x', 100000))) n(note);
-- strings of every type are texts, those among them that are stored in another way
CREATE TYPE answer AS ENUM ('severe bleeding');
SELECT idla_predict('bleeding', a) = idla_predict('bleeding', t) AS enums, idla_predict('bleeding', b) = idla_predict('bleeding', t) AS names, idla_predict('bleeding', c) = idla_predict('bleeding', t) AS padded
FROM (SELECT 'severe bleeding'::text AS note) t, (SELECT 'severe bleeding'::answer AS note) a, (SELECT 'severe bleeding'::name AS note) b, (SELECT 'severe bleeding'::char(20) AS note) c;
SELECT rows_used FROM idla_train('of_names', 'SELECT bleeds, left(note, 40)::name AS note FROM notes', 'bleeds', options => '{"columns": {"note": "text"}, "epochs": 1}');
SELECT rows_used FROM idla_train('of_enums', $$SELECT bleeds, 'severe bleeding'::answer AS note, age FROM notes$$, 'bleeds', options => '{"columns": {"note": "text"}, "epochs": 1}');
SELECT idla_predict('of_names', a) = idla_predict('of_names', b) AS same FROM (SELECT 'severe bleeding'::name AS note) a, (SELECT 'severe bleeding'::answer AS note) b;

-- which words speak for it; contributions add up
SELECT part, first, last FROM idla_explain_parts('bleeding', (SELECT m FROM (SELECT 'The patient reports haemorrhage.'::text AS note) m), top => 1)
WHERE rank = 1;
SELECT abs(sum(p.contribution) - max(e.prediction - e.baseline)) < 0.01 AS adds_up
FROM notes n, idla_explain_parts('bleeding', n) p, idla_explain('bleeding', n, top => 1) e WHERE n.id = 3;
SELECT idla_explain_parts('bleeding', n, segments => 3) FROM notes n WHERE id = 1;
SELECT idla_explain_parts('bleeding', n) FROM (SELECT NULL::text AS note) n;

-- beside other columns, and with every architecture that reads texts
SELECT a.name, t.metric, t.value > 0.8 AS good FROM (VALUES ('cnn'), ('gru'), ('transformer')) a(name),
	idla_train('bleeding_' || a.name, 'SELECT part, bleeds, age, note FROM notes', 'bleeds', 'binary', a.name,
	'{"part": "part", "epochs": 8, "width": 16, "rate": 0.01, "batch": 16}') t ORDER BY 1;
SELECT metric, value > 0.8 AS good FROM idla_train('layers', 'SELECT part, bleeds, note FROM notes', 'bleeds',
	architecture => 'conv(16) relu global_max', options => '{"part": "part", "epochs": 8, "rate": 0.01, "columns": {"note": "text"}}');
SELECT value > 0 AS found FROM idla_evaluate('bleeding_cnn', 'notes') WHERE metric = 'auroc';
SELECT feature FROM idla_importance('bleeding_cnn', 'notes', 2) WHERE rank = 1;

-- options of a column
SELECT metric, value > 0.8 AS good FROM idla_train('own', 'SELECT part, bleeds, note FROM notes', 'bleeds', options =>
	'{"part": "part", "epochs": 6, "columns": {"note": {"kind": "text", "length": 24, "pieces": 200, "lowercase": false, "truncate": "middle"}}}');
SELECT metric, value > 0.8 AS good FROM idla_train('given', 'SELECT part, bleeds, note FROM notes', 'bleeds', options => jsonb_build_object(
	'part', 'part', 'epochs', 6, 'columns', jsonb_build_object('note', jsonb_build_object('kind', 'text', 'vocabulary',
	E'[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhaemorrhage\nbled\nepi\n##sta\n##xis\nfeels\nno\ncame\nhas\n'))));
SELECT idla_train('bad', 'SELECT bleeds, note FROM notes', 'bleeds', options => '{"columns": {"note": {"kind": "text", "vocabulary": "a\na"}}}');
SELECT idla_train('bad', 'SELECT bleeds, note FROM notes', 'bleeds', options => '{"columns": {"note": {"kind": "text", "pieces": 2}}}');
SELECT idla_train('bad', 'SELECT bleeds, age, note FROM notes', 'bleeds', options => '{"columns": {"age": {"lowercase": false}}}');
SELECT idla_train('bad', 'SELECT bleeds, note FROM notes', 'bleeds', options => '{"columns": {"note": {"kind": "text", "length": 9000}}}');
SELECT idla_train('bad', 'SELECT bleeds, note FROM notes', 'bleeds', architecture => 'bilstm_crf');
-- as categories they are identifiers
SELECT idla_train('bad', 'SELECT bleeds, note FROM notes', 'bleeds', options => '{"columns": {"note": "category"}}');
-- notes without words teach nothing and are counted
SELECT rows_used, rows_dropped, dropped_why FROM idla_train('empty', $$SELECT bleeds, CASE WHEN id % 10 = 0 THEN '  ' ELSE note END AS note
	FROM notes$$, 'bleeds', options => '{"epochs": 1, "columns": {"note": "text"}}');
SELECT idla_train('nothing', $$SELECT bleeds, ''::text AS note FROM notes$$, 'bleeds', options => '{"columns": {"note": "text"}}');
-- tokens are read as the text they make
SELECT metric, value > 0.8 AS good FROM idla_train('arrays', $$SELECT part, bleeds, string_to_array(note, ' ') AS words FROM notes$$, 'bleeds',
	options => '{"part": "part", "epochs": 8}');

-- a model survives a round trip through its table, and damage is noticed
UPDATE bleeding SET manifest = jsonb_set(manifest, '{fields,0,pieces,7}', '"[UNK]"') WHERE chunk = 0;
\set VERBOSITY terse
SELECT idla_predict('bleeding', n) FROM notes n LIMIT 1;
DROP SCHEMA text CASCADE;
