-- Layer texts and the parts of networks that options ask for: positions, padding, mirror images, attention, tags without a CRF.
CREATE SCHEMA layers;
SET search_path = layers, public;
SET idla.progress = off;

-- Two bumps, in one order or the other: what Transformers know of a signal without positions does not tell them apart.
CREATE TABLE bumps AS
SELECT i AS id, CASE WHEN i % 4 < 1 THEN 'test' ELSE 'train' END AS part, i % 3 = 0 AS late,
	(SELECT array_agg(CASE WHEN s BETWEEN at AND at + 4 THEN 1.0 WHEN s BETWEEN 43 - at AND 47 - at THEN -1.0 ELSE 0.0 END
		+ (((i * 31 + s * 17) % 13) - 6) / 60.0 ORDER BY s)
	 FROM generate_series(1, 70) s, LATERAL (SELECT CASE WHEN i % 3 = 0 THEN 28 ELSE 12 END AS at) p)::float4[] AS wave
FROM generate_series(1, 300) i;
SELECT p AS positions, t.value > 0.9 AS told
FROM (VALUES ('sinusoid'), ('learned'), ('time'), ('none')) a(p),
	LATERAL idla_train('bump_' || p, 'SELECT part, late, wave FROM bumps', 'late', architecture => 'transformer',
		options => jsonb_build_object('part', 'part', 'positions', p, 'epochs', 12, 'width', 16, 'depth', 1, 'rate', 0.01)) t;
SELECT model, card->>'architecture' AS architecture FROM idla_versions WHERE model::text LIKE '%bump_%' ORDER BY 1;
SELECT count(*) FILTER (WHERE (idla_predict('bump_time', b) > 0.5) <> late) < 15 AS few_wrong FROM bumps b;
SELECT count(*) FILTER (WHERE (idla_predict('bump_learned', b) > 0.5) <> late) < 15 AS few_wrong FROM bumps b;

-- layer texts with positions, attention and padding
SELECT t.architecture, t.value > 0.9 AS told, n
FROM (VALUES (1, 'dense(16) sinusoid attention(2) global_mean'), (2, 'dense(16) time_positions attention(2) layer_norm global_max'),
		(3, 'pad(3) conv(8, 5) relu max_pool(4) flatten'), (4, 'dense(16) learned_positions relu attention(4) flatten')) a(n, text),
	LATERAL idla_train('worded_' || n, 'SELECT part, late, wave FROM bumps', 'late', architecture => text,
		options => '{"part": "part", "epochs": 12, "rate": 0.01}') t ORDER BY n;

-- images: on which side there is more is told by each place beside its mirror image
CREATE TABLE sides AS
SELECT i AS id, CASE WHEN i % 5 = 0 THEN 'test' ELSE 'train' END AS part, i % 2 = 0 AS lopsided,
	(SELECT array_agg(line ORDER BY y) FROM generate_series(1, 8) y,
		LATERAL (SELECT array_agg(CASE WHEN abs(x - 4.5) = 2.5 AND y = 1 + i % 8 AND (i % 2 = 1 OR (x < 4) = (i % 3 = 0)) THEN 1.0 ELSE 0.0 END ORDER BY x) AS line
			FROM generate_series(1, 8) x) l)::float4[] AS picture
FROM generate_series(1, 400) i;
SELECT t.value > 0.9 AS told FROM idla_train('lopsided', 'SELECT part, lopsided, picture FROM sides', 'lopsided',
	options => '{"part": "part", "layers": "mirror conv(8, 1) relu conv(8, 1) relu global_max", "epochs": 30, "rate": 0.02, "augment": false,
		"columns": {"picture": {"kind": "image"}}}') t;
SELECT count(*) FILTER (WHERE (idla_predict('lopsided', s) > 0.5) <> lopsided) < 20 AS few_wrong FROM sides s;

-- every place of a text has its own weights, however short the texts that are read
CREATE TABLE notes AS
SELECT i AS id, CASE WHEN i % 5 = 0 THEN 'test' ELSE 'train' END AS part, i % 2 = 0 AS ill,
	CASE WHEN i % 2 = 0 THEN 'nephritis' ELSE 'nothing' END || repeat(' was found', 1 + i % 40) || ' in case ' || i AS note
FROM generate_series(1, 300) i;
SELECT t.value > 0.9 AS told FROM idla_train('flat', 'SELECT part, ill, note FROM notes', 'ill',
	options => '{"part": "part", "layers": "conv(8) relu flatten", "epochs": 10, "rate": 0.01, "columns": {"note": "text"}}') t;
SELECT count(*) FILTER (WHERE (idla_predict('flat', n) > 0.5) <> ill) < 15 AS few_wrong FROM notes n;

-- a series: how long ago anything was observed
CREATE TABLE visits AS
SELECT p AS patient, CASE WHEN p % 5 = 0 THEN 'test' ELSE 'train' END AS part, p % 2 = 0 AS seldom, v * CASE WHEN p % 2 = 0 THEN 5 ELSE 1 END AS day,
	10 + (p * 7 + v * 3) % 5 AS pressure
FROM generate_series(1, 200) p, generate_series(1, 6) v;
SELECT t.value > 0.9 AS told FROM idla_train('visiting', 'visits', 'seldom', architecture => 'transformer',
	options => '{"part": "part", "entity": "patient", "time": "day", "positions": "time", "epochs": 10, "width": 16, "depth": 1, "rate": 0.01,
		"series": {"bins": 30, "use": "bins"}}') t;
SELECT bool_and((predicted > 0.5) = (patient % 2 = 0)) AS right
FROM (SELECT patient, idla_predict_series('visiting', v) AS predicted FROM visits v WHERE patient <= 20 GROUP BY patient) p;

-- tags: every token by itself, or a text that says whether there is a CRF
CREATE TABLE sentences AS
SELECT i AS id, CASE WHEN i % 5 = 0 THEN 'test' ELSE 'train' END AS part, ARRAY['Case', i::text, 'had', d.word, 'today', '.'] AS tokens,
	ARRAY['O', 'O', 'O', d.tag, 'O', 'O'] AS tags
FROM generate_series(1, 300) i,
	LATERAL (SELECT (ARRAY['nephritis', 'carditis', 'asthma', 'nothing'])[1 + i % 4], (ARRAY['B-Disease', 'B-Disease', 'B-Disease', 'O'])[1 + i % 4]) d(word, tag);
SELECT a.n, t.architecture, t.value > 0.95 AS good
FROM (VALUES (1, 'bilstm_crf', '{"crf": false, "width": 24}'), (2, 'transformer', '{"crf": false, "positions": "learned", "width": 32}'),
		(3, 'bigru(24) dropout(0.2) crf', '{}'), (4, 'bigru(24) dropout(0.2)', '{}')) a(n, text, more),
	LATERAL idla_train('tags_' || n, 'SELECT part, tokens, tags FROM sentences', 'tags', architecture => text,
		options => '{"part": "part", "epochs": 10, "rate": 0.01}' || more::jsonb) t ORDER BY n;
SELECT model, card->>'architecture' AS architecture FROM idla_versions WHERE model::text LIKE '%tags_%' ORDER BY 1;
SELECT n, start, "end", text, label, score BETWEEN 0.3 AND 1 AS sure
FROM generate_series(1, 4) n, LATERAL idla_tag(('tags_' || n)::regclass, 'Case 12 had asthma today.') ORDER BY n;

-- what cannot be
SELECT idla_train('bad', 'SELECT late, wave FROM bumps', 'late', architecture => 'gru', options => '{"positions": "learned"}');
SELECT idla_train('bad', 'SELECT late, wave FROM bumps', 'late', options => '{"positions": "time"}');
SELECT idla_train('bad', 'SELECT late, wave FROM bumps', 'late', architecture => 'transformer', options => '{"positions": "learnt"}');
SELECT idla_train('bad', 'SELECT late, wave FROM bumps', 'late', architecture => 'transformer', options => '{"positions": "time", "width": 15}');
SELECT idla_train('bad', 'SELECT late, wave FROM bumps', 'late', architecture => 'transformer', options => '{"crf": false}');
SELECT idla_train('bad', 'SELECT tokens, tags FROM sentences', 'tags', options => '{"crf": "no"}');
SELECT idla_train('bad', 'SELECT tokens, tags FROM sentences', 'tags', architecture => 'gru(8) crf', options => '{"crf": false}');
SELECT idla_train('bad', 'SELECT tokens, tags FROM sentences', 'tags', architecture => 'gru(8) last');
SELECT idla_train('bad', 'SELECT late, wave FROM bumps', 'late', architecture => 'gru(8) crf');
SELECT idla_train('bad', 'SELECT late, wave FROM bumps', 'late', architecture => 'pad(65) flatten');
SELECT idla_train('bad', 'SELECT late, wave FROM bumps', 'late', architecture => 'dense(8) max_pool(2) learned_positions last');
SELECT idla_train('bad', 'SELECT late, wave FROM bumps', 'late', options => '{"layers": "mirror flatten"}');

\set VERBOSITY terse
DROP SCHEMA layers CASCADE;
