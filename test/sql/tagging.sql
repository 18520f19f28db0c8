-- Tagging: three ways to bring tags, what is found, how it is judged, and what does not fit.
CREATE SCHEMA tagging;
SET search_path = tagging, public;
SET idla.progress = off;
\set VERBOSITY default

CREATE TABLE sentences AS
SELECT i AS id, CASE WHEN i % 5 = 0 THEN 'test' ELSE 'train' END AS part,
	ARRAY['Case', i::text, 'had', d.word, 'and', 'took', m.word, '.'] AS tokens,
	ARRAY['O', 'O', 'O', d.tag, 'O', 'O', m.tag, 'O'] AS tags
FROM generate_series(1, 400) i,
	LATERAL (SELECT (ARRAY['nephritis', 'carditis', 'asthma', 'nothing'])[1 + i % 4], (ARRAY['B-Disease', 'B-Disease', 'B-Disease', 'O'])[1 + i % 4]) d(word, tag),
	LATERAL (SELECT (ARRAY['aspirin', 'heparin', 'leave'])[1 + i / 4 % 3], (ARRAY['B-Drug', 'B-Drug', 'O'])[1 + i / 4 % 3]) m(word, tag);

-- tokens and tags
SELECT task, metric, value > 0.95 AS good FROM idla_train('tagger', 'SELECT part, tokens, tags FROM sentences', 'tags',
	options => '{"part": "part", "epochs": 6, "width": 24, "rate": 0.01}');
SELECT start, "end", text, label, score BETWEEN 0.3 AND 1 AS sure FROM idla_tag('tagger', 'Case 12 had asthma and took heparin. Éva had carditis.');
SELECT start, "end", text, label FROM idla_tag('tagger', ARRAY['Case', '7', 'had', 'nephritis', '.']);
SELECT count(*) FROM idla_tag('tagger', NULL::text);
SELECT count(*) FROM idla_tag('tagger', '');
-- a long text is read in parts, wherever its sentences end
SELECT count(*) >= 900 AS found FROM idla_tag('tagger', repeat('Case 1 had asthma and took leave. ', 1000));
SELECT count(*) >= 0 AS answered FROM idla_tag('tagger', repeat('asthma ', 5000));
SELECT bool_and(substr(s.t, start + 1, "end" - start) = text) AS in_place
FROM (SELECT E'日本 👩‍⚕️ had asthma.\n\nÉé had carditis and took aspirin.' AS t) s, idla_tag('tagger', s.t);

SELECT metric, value > 0.95 AS good, low <= value AND value <= high AS inside, n FROM idla_evaluate('tagger', $$SELECT tokens, tags FROM sentences WHERE part = 'test'$$);
SELECT class, f1 > 0.95 AS good, support FROM idla_classification_report('tagger', $$SELECT tokens, tags FROM sentences WHERE part = 'test'$$);
SELECT class, support FROM idla_classification_report('tagger', $$SELECT tokens, tags FROM sentences WHERE part = 'test'$$, level => 'token');
SELECT class, support FROM idla_classification_report('tagger', $$SELECT tokens, tags FROM sentences WHERE part = 'test'$$, level => 'tagged');
SELECT class, support FROM idla_classification_report('tagger', $$SELECT tokens, tags FROM sentences WHERE part = 'test'$$, level => 'strict');
SELECT idla_classification_report('tagger', 'SELECT tokens, tags FROM sentences', level => 'words');

-- spans of a text
CREATE TABLE texts AS
SELECT id, part, array_to_string(tokens, ' ') AS note, (SELECT coalesce(jsonb_agg(jsonb_build_object('start', s.at, 'end', s.at + length(s.token), 'label', substr(s.tag, 3))), '[]')
	FROM (SELECT tokens[k] AS token, tags[k] AS tag, (SELECT coalesce(sum(length(tokens[j]) + 1), 0) FROM generate_series(1, k - 1) j) AS at
		FROM generate_series(1, 8) k) s WHERE s.tag <> 'O') AS spans
FROM sentences;
SELECT task, metric, value > 0.95 AS good FROM idla_train('spanner', 'SELECT part, note, spans FROM texts', 'spans',
	options => '{"part": "part", "epochs": 6, "width": 24, "rate": 0.01}');
SELECT metric, value > 0.95 AS good FROM idla_evaluate('spanner', 'texts') WHERE metric = 'f1';

-- one token a row
CREATE TABLE tokens AS SELECT id AS sentence, part, k AS position, tokens[k] AS token, tags[k] AS tag FROM sentences, generate_series(1, 8) k ORDER BY random();
SELECT task, metric, value > 0.95 AS good FROM idla_train('conll', 'tokens', 'tag', 'tagging',
	options => '{"part": "part", "entity": "sentence", "order_by": "position", "epochs": 6, "width": 24, "rate": 0.01}');
SELECT metric, value > 0.95 AS good FROM idla_evaluate('conll', 'tokens') WHERE metric = 'f1';
-- the same sentences in arrays are judged alike
SELECT a.value = b.value AS same FROM idla_evaluate('conll', 'tokens') a, idla_evaluate('conll', 'SELECT tokens AS token, tags AS tag FROM sentences') b
WHERE a.metric = 'f1' AND b.metric = 'f1';
SELECT idla_train('bad', 'tokens', 'tag', 'tagging', options => '{"entity": "sentence"}');
SELECT idla_train('bad', 'tokens', 'tag', 'tagging');

-- tags out of order are read, and told
SELECT rows_used FROM idla_train('crossed', $$SELECT tokens, CASE WHEN id = 7 THEN array_replace(tags, 'B-Drug', 'I-Drug') ELSE tags END AS tags FROM sentences$$, 'tags',
	options => '{"epochs": 1, "width": 8}');

-- what does not fit
CREATE TABLE crooked AS SELECT * FROM sentences;
UPDATE crooked SET tags = tags[1:7] WHERE id = 3;
SELECT idla_train('bad', 'SELECT tokens, tags FROM crooked', 'tags', options => '{"epochs": 1}');
SELECT rows_used, rows_dropped, dropped_why FROM idla_train('skips', 'SELECT tokens, tags FROM crooked', 'tags',
	options => '{"epochs": 1, "width": 8, "on_bad_input": "skip"}');
UPDATE crooked SET tags = array_replace(tags, 'B-Drug', 'Drug') WHERE id = 3;
UPDATE crooked SET tags = tags || ARRAY['O'] WHERE id = 3;
SELECT idla_train('bad', 'SELECT tokens, tags FROM crooked', 'tags', options => '{"epochs": 1}');
SELECT idla_train('bad', $$SELECT tokens, array_replace(tags, 'O', NULL) AS tags FROM sentences$$, 'tags');
SELECT idla_train('bad', $$SELECT tokens, array_fill('O'::text, ARRAY[8]) AS tags FROM sentences$$, 'tags');
SELECT idla_train('bad', $$SELECT note, '[{"start": 1, "end": 3, "label": "x"}]'::jsonb AS spans FROM texts$$, 'spans');
SELECT idla_train('bad', $$SELECT note, '[{"start": 10, "label": "x"}]'::jsonb AS spans FROM texts$$, 'spans');
SELECT idla_train('bad', $$SELECT note, '[{"start": 10, "end": 999, "label": "x"}]'::jsonb AS spans FROM texts$$, 'spans');
SELECT idla_train('bad', 'SELECT id, tags FROM sentences', 'tags');
SELECT idla_train('bad', 'SELECT tokens, tokens AS more, tags FROM sentences', 'tags');
SELECT idla_train('bad', 'SELECT tokens, tags FROM sentences', 'tags', architecture => 'tabm');
SELECT idla_train('bad', 'SELECT tokens, id FROM sentences', 'id', 'tagging');
SELECT idla_evaluate('tagger', $$SELECT tokens, array_replace(tags, 'B-Drug', 'B-Food') AS tags FROM sentences$$);
SELECT idla_evaluate('tagger', 'SELECT tokens FROM sentences');
SELECT idla_predict('tagger', s) FROM sentences s LIMIT 1;
SELECT idla_importance('tagger', 'sentences');
SELECT idla_tag('tagger', ARRAY['a', NULL]);
SELECT idla_tag('tagger', ARRAY['a', '']);
-- why: the words that speak for each entity, and that they add up
SELECT entity_start, entity_end, entity, label, rank, start, "end", word, contribution > 1 AS speaks FROM idla_explain_tags('tagger', 'Case 12 had asthma and took heparin. Éva had carditis.', top => 1);
SELECT entity_start, count(*) AS rows, abs(sum(contribution) - min(prediction - baseline)) < 0.01 AS adds_up, bool_and(completeness_error < 0.01) AS complete,
	min(prediction) > 0 AS likely, min(prediction) = max(prediction) AS one FROM idla_explain_tags('tagger', 'Case 12 had asthma and took heparin. Éva had carditis.', top => NULL) GROUP BY 1 ORDER BY 1;
SELECT entity_start, entity_end, entity, rank, start, "end", word FROM idla_explain_tags('tagger', ARRAY['Case', '7', 'had', 'nephritis', '.'], top => 1);
SELECT a.word = b.word AS same_word, abs(a.prediction - b.prediction) < 1e-6 AS same_prediction, b.completeness_error < 1e-6 AS complete
FROM idla_explain_tags('tagger', 'Case 7 had nephritis.') a, idla_explain_tags('tagger', 'Case 7 had nephritis.', 'shapley') b WHERE a.rank = 1 AND b.rank = 1;
-- the window alone that holds the entity
SELECT a.rank, abs(a.contribution - b.contribution) < 0.01 AS same FROM idla_explain_tags('tagger', 'Case 7 had nephritis.') a,
	idla_explain_tags('tagger', 'Éva had nothing. Case 7 had nephritis. Case 8 had nothing.') b WHERE a.word = b.word AND a.start = b.start - 17 AND a.rank <= 2 ORDER BY 1;
SELECT count(*) FROM idla_explain_tags('tagger', NULL::text);
SELECT count(*) FROM idla_explain_tags('tagger', 'Nothing here.');
SELECT idla_explain_tags('tagger', 'Case 7 had nephritis.', 'grad_cam');
SELECT idla_explain_tags('tagger', 'Case 7 had nephritis.', top => 0);
SELECT idla_explain('tagger', s) FROM sentences s LIMIT 1;
-- only taggers tag
SELECT metric FROM idla_train('plain', 'SELECT id, id % 2 = 0 AS even, id % 7 AS seven FROM sentences', 'even', options => '{"epochs": 1}');
SELECT idla_tag('plain', 'a text');
SELECT idla_explain_tags('plain', 'a text');
SELECT idla_classification_report('plain', 'SELECT id, id % 2 = 0 AS even, id % 7 AS seven FROM sentences', level => 'entity');
\set VERBOSITY terse
DROP SCHEMA tagging CASCADE;
