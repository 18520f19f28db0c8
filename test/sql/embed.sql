-- idla_embed: what networks know of a row before their last layers decide; all kinds of models, the same bits row by row and in batches.
CREATE SCHEMA embed;
SET search_path = embed, public;
SET idla.progress = off;
SET idla.threads = 1;
SET client_min_messages = error;
\set VERBOSITY default

CREATE TABLE people AS
SELECT i AS id, sin(i) AS a, CASE WHEN i % 9 > 0 THEN cos(i * 0.7)::real END AS b, i % 17 AS c, (ARRAY['x', 'y', 'z'])[1 + i % 3] AS d,
	'town ' || i % 70 AS town, (ARRAY['low', 'mid', 'top'])[1 + i % 17 / 6] AS grade, sin(i) + cos(i * 0.7) > 0.3 AS ill, i % 17 > 8 AS old, 10 * sin(i) + i % 17 AS cost,
	1 + (i * 7) % 40 AS days, i % 4 > 0 AS died
FROM generate_series(1, 400) i;
CREATE VIEW asked AS SELECT id, a, b, c, d, town FROM people WHERE id <= 300;
CREATE FUNCTION distance(one real[], other real[]) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT sqrt(sum((x::float8 - y) ^ 2)) FROM unnest(one, other) AS u (x, y));

-- The rows of a source with an id, in batches and then one by one: how many numbers an embedding has, whether the card says so, whether all bits are the same.
CREATE FUNCTION look(model regclass, source text) RETURNS TABLE (rows bigint, numbers int, as_the_card_says boolean, same boolean, different boolean, finite boolean)
LANGUAGE plpgsql AS $$
DECLARE
	said int;
BEGIN
	EXECUTE format('SELECT (card ->> ''embedding'')::int FROM %s WHERE chunk = 0 ORDER BY version DESC LIMIT 1', model) INTO said;
	SET LOCAL idla.batch_predict = on;
	EXECUTE format('CREATE TEMP TABLE batched AS SELECT r.id, idla_embed(%L, r) AS e FROM %s r', model, source);
	SET LOCAL idla.batch_predict = off;
	RETURN QUERY EXECUTE format('SELECT count(*), min(cardinality(e)), bool_and(cardinality(e) = %s), bool_and(array_send(e) = array_send(idla_embed(%L, r))), count(DISTINCT e) > 5,
		bool_and((SELECT bool_and(abs(x) < 1e6) FROM unnest(e) x)) FROM %s r JOIN batched USING (id)', coalesce(said, -1), model, source);
	DROP TABLE batched;
	SET LOCAL idla.batch_predict = on;
END $$;

-- ---- tables: every architecture and task ----

CREATE TABLE trained AS
SELECT n, t.model, t.architecture FROM (VALUES
	(1, 'linear', 'ill', '{}'), (2, 'mlp', 'grade', '{"depth": 2, "width": 12}'), (3, 'resnet', 'cost', '{"depth": 1, "width": 10}'),
	(4, 'tabm', 'ill', '{"depth": 1, "width": 8, "members": 4}'), (5, 'nam', 'ill', '{"depth": 1, "width": 8}'),
	(6, 'dense(9) tanh dense(5) relu dropout(0.1)', 'ill,old', '{}'), (7, 'mlp', 'days', '{"depth": 1, "width": 7, "time": "days", "event": "died"}')) v (n, architecture, target, options),
	LATERAL idla_train('table_' || n, format('SELECT a, b, c, d, town, %s%s FROM people', target, CASE WHEN n = 7 THEN ', died' ELSE '' END), target,
		task => CASE WHEN n = 7 THEN 'survival' END, architecture => v.architecture,
		options => v.options::jsonb || '{"epochs": 2, "folds": 1, "seed": 1, "linear": false, "columns": {"town": "category"}}') t;
SELECT t.architecture, l.* FROM trained t, LATERAL look(t.model::regclass, 'asked') l ORDER BY t.n;
-- folds one after another; the linear models beside them all see the same, which is there once
SELECT architecture FROM idla_train('blend', 'SELECT a, b, c, d, ill FROM people', 'ill', architecture => 'tabm', options => '{"epochs": 2, "folds": 3, "linear": true, "depth": 1, "width": 8, "members": 4, "seed": 1}');
SELECT architecture FROM idla_train('beside', 'SELECT a, b, c, d, ill FROM people', 'ill', architecture => 'linear', options => '{"epochs": 2, "folds": 3, "seed": 1}');
SELECT b.numbers = 3 * 8 + l.numbers AS so_many, b.as_the_card_says, b.same, l.same FROM look('blend', 'asked') b, look('beside', 'asked') l;
SELECT count(*) FROM (SELECT idla_embed('blend', r) AS e, idla_embed('beside', r) AS l FROM asked r) x WHERE e[9:8 + cardinality(l)] = l;
-- what a nam adds up are the columns' shares of the answer: with the constant they are its log odds
SELECT architecture FROM idla_train('additive', 'SELECT a, b, c, d, ill FROM people', 'ill', architecture => 'nam', options => '{"epochs": 2, "folds": 1, "calibrate": false, "seed": 1}');
SELECT max(rest) - min(rest) < 1e-5 AS constant, max(share) - min(share) > 0.1 AS shares_vary
FROM (SELECT ln(p / (1 - p)) - share AS rest, share FROM (SELECT idla_predict('additive', r) AS p, (SELECT sum(x) FROM unnest(idla_embed('additive', r)) x) AS share FROM asked r) x) y;

-- ---- one pass for all calls of the family about a row ----

EXPLAIN (COSTS OFF) SELECT idla_predict('blend', r), idla_embed('blend', r), idla_classify('blend', r), idla_embed('blend', r, 1) FROM people r;
EXPLAIN (COSTS OFF) SELECT id FROM asked r ORDER BY cardinality(idla_embed('blend', r)), id LIMIT 3;
CREATE TABLE together AS SELECT id, idla_predict('blend', r) AS p, idla_embed('blend', r) AS e, idla_label_set('blend', r) AS s, idla_embed('blend', r, version => 1) AS v FROM people r;
SELECT bool_and(p = idla_predict('blend', r)) AS p, bool_and(e = idla_embed('blend', r)) AS e, bool_and(s = idla_label_set('blend', r)) AS s, bool_and(e = v) AS v FROM together JOIN people r USING (id);
SET idla.batch_rows = 3;
SELECT bool_and(e = idla_embed('blend', r)) AS same, bool_and(p = idla_predict('blend', r)) AS p FROM together JOIN people r USING (id);
RESET idla.batch_rows;
PREPARE one(text, int) AS SELECT e = idla_embed($1::regclass, r, $2) AS same FROM together JOIN people r USING (id) WHERE id = 5;
EXECUTE one('blend', NULL);
EXECUTE one('blend', 1);
EXECUTE one(NULL, NULL);
EXECUTE one('blend', 2);
EXECUTE one('blend', 0);
-- workers of a parallel plan
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT count(*) FROM people r WHERE cardinality(idla_embed('blend', r)) > 3 AND a > 0;
SELECT count(*) FROM people r WHERE cardinality(idla_embed('blend', r)) > 3;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- neighbours of the same class are more than those that chance gives, who are about half
SELECT avg((SELECT avg((o.ill = r.ill)::int) FROM (SELECT p.ill FROM together u JOIN people p USING (id) WHERE u.id <> t.id ORDER BY distance(u.e, t.e) LIMIT 3) o)) > 0.7 AS alike FROM together t JOIN people r USING (id) WHERE id <= 40;

-- ---- rows without an answer ----

SELECT idla_embed('blend', NULL::people) IS NULL AS no_row, idla_embed(NULL, r) IS NULL AS no_model, idla_embed('blend', r, NULL) IS NOT NULL AS in_service FROM people r LIMIT 1;
SELECT cardinality(idla_embed('blend', x)) > 0 AS a_row_of_nulls FROM (SELECT NULL::float8 AS a, NULL::real AS b, NULL::int AS c, NULL::text AS d) x;
SELECT idla_embed('blend', x) FROM (SELECT 1.0 AS a) x;
SELECT idla_embed('blend', 3);
SELECT idla_embed('people', r) FROM people r;
SELECT idla_embed_columns('blend', NULL, ARRAY['a', 'b', 'c', 'd'], 1::float8, 2::real, 3, 'x'::text) IS NOT NULL AS columns;

-- ---- images, signals, texts ----

CREATE TABLE recordings AS
SELECT i AS id, i % 2 = 0 AS sick, 50 + i % 31 AS age, (i % 3) AS kind,
	(SELECT array_agg((sin((CASE WHEN i % 2 = 0 THEN 0.8 ELSE 0.4 END) * t + i) + 0.1 * sin(i * 7 + t * 3.3))::real ORDER BY t) FROM generate_series(1, 20 + i * 37 % 100) t) AS lead,
	(SELECT array_agg(r ORDER BY y) FROM (SELECT y, array_agg((sin(i + x * y) + (i % 2))::real ORDER BY x) AS r FROM generate_series(1, 8) y, generate_series(1, 8) x GROUP BY y) q) AS picture,
	format('Seen on day %s, a %s who %s.', i, (ARRAY['teacher', 'farmer', 'nurse', 'cook', 'driver'])[1 + i % 5], CASE WHEN i % 2 = 0 THEN 'bled again' ELSE 'feels well' END) AS note
FROM generate_series(1, 120) i;
CREATE TABLE fields AS
SELECT n, t.model, t.architecture FROM (VALUES
	(1, 'picture, age', 'cnn', '{"width": 4, "depth": 2, "columns": {"picture": "image"}}'),
	(2, 'picture', 'conv(4) relu flatten dense(6) tanh', '{"columns": {"picture": "image"}}'),
	(3, 'picture', 'cnn', '{"width": 4, "depth": 1, "columns": {"picture": "image"}, "augment": {"noise": 0.1, "shift": 0.1}, "augment_predict": 3}'),
	(4, 'lead, age', 'fcn', '{"width": 4, "columns": {"lead": {"length": 64}}}'),
	(5, 'lead', 'gru', '{"width": 6, "columns": {"lead": {"window": 32, "stride": 24}}}'),
	(6, 'lead', 'rocket', '{"width": 168, "columns": {"lead": {"window": 32, "stride": 24}}}'),
	(7, 'lead', 'transformer', '{"width": 8, "depth": 1, "columns": {"lead": {"length": 32}}}'),
	(8, 'note, age', 'bag', '{"width": 8, "columns": {"note": "text"}}'),
	(9, 'note', 'lstm', '{"width": 6, "columns": {"note": "text"}}'),
	(10, 'picture, lead, note, age', 'tabm', '{"width": 6, "depth": 1, "members": 3, "columns": {"picture": "image", "lead": {"length": 32}, "note": "text"}}')) v (n, columns, architecture, options),
	LATERAL idla_train('field_' || n, format('SELECT %s, sick FROM recordings', columns), 'sick', architecture => v.architecture, options => v.options::jsonb || '{"epochs": 1, "folds": 1, "seed": 1}') t;
SELECT f.architecture, l.* FROM fields f, LATERAL look(f.model::regclass, 'recordings') l ORDER BY f.n;
-- of a recording in windows it is the mean over them: at 0, 24, 48 ..., and the last 32 samples
CREATE FUNCTION starts(n int) RETURNS SETOF int LANGUAGE sql AS $$
	SELECT s FROM generate_series(0, greatest(n - 32, 0), 24) s UNION SELECT greatest(n - 32, 0)
$$;
SELECT count(*), max(abs(x - mean)) < 1e-5 AS the_mean FROM recordings r, unnest(idla_embed('field_5', r)) WITH ORDINALITY u (x, i),
	LATERAL (SELECT avg((idla_embed('field_5', w))[u.i]) AS mean FROM (SELECT r.lead[s + 1:s + 32] AS lead FROM starts(cardinality(r.lead)) s) w) m WHERE r.id < 30;
-- a picture that is none: an error at its row's turn, or no embedding
CREATE VIEW damaged AS SELECT id, age, CASE WHEN id <> 40 THEN picture ELSE picture[1:1] || '{{1,2,3,4,5,6,7,8}}'::real[] END AS picture FROM recordings;
SELECT count(idla_embed('field_1', d)) FROM damaged d;
SELECT count(*) FROM (SELECT idla_embed('field_1', d) FROM damaged d LIMIT 39) x;
SET idla.on_bad_input = 'null';
SELECT count(idla_embed('field_1', d)), count(*) FILTER (WHERE idla_embed('field_1', d) IS NULL AND id = 40) AS the_bad_one FROM damaged d;
SET idla.batch_predict = off;
SELECT count(idla_embed('field_1', d)), count(*) FILTER (WHERE idla_embed('field_1', d) IS NULL AND id = 40) AS the_bad_one FROM damaged d;
RESET idla.batch_predict;
RESET idla.on_bad_input;
-- what is too large to compare rows by
CREATE TABLE large AS SELECT i % 2 = 0 AS sick, (SELECT array_agg(line) FROM (SELECT array_agg((sin(i * x) + (i % 2))::real) AS line FROM generate_series(1, 129) y, generate_series(1, 128) x GROUP BY y) q) AS picture FROM generate_series(1, 12) i;
SELECT architecture FROM idla_train('large_1', 'large', 'sick', architecture => 'conv(64, 1) flatten', options => '{"epochs": 1, "folds": 1, "seed": 1, "columns": {"picture": "image"}}');
SELECT card ? 'embedding' AS said, count(idla_predict('large_1', l)) FROM large_1, large l WHERE chunk = 0 GROUP BY 1;
SELECT idla_embed('large_1', l) FROM large l;
-- tags are of tokens
SELECT model FROM idla_train('tagger', 'SELECT ARRAY[''saw'', ''Ann'', ''today'']::text[] AS tokens, ARRAY[''O'', ''B-P'', ''O'']::text[] AS tags FROM generate_series(1, 30)', 'tags', 'tagging', options => '{"epochs": 1, "width": 4}');
SELECT idla_embed('tagger', x) FROM (SELECT 'Ann' AS tokens) x;
SELECT card ? 'embedding' AS said FROM tagger WHERE chunk = 0;

-- ---- entities ----

CREATE TABLE events AS
SELECT p AS patient, 20 + (p * 37) % 60 AS age, h + ((p * h) % 60) / 60.0 AS hour, 70 + 30 * ((p * 7919) % 101) / 100.0 * h / 24.0 + ((p * h * 31) % 17) AS hr, 24 AS decision, (p * 7919) % 101 > 50 AS died
FROM generate_series(1, 120) p, generate_series(0, 26) h;
ANALYZE events;
SELECT version FROM idla_train('icu', 'events', 'died', options => '{"entity": "patient", "time": "hour", "label_at": "decision", "series": {"bins": 12}, "epochs": 1, "folds": 1, "width": 5, "seed": 1}');
SELECT version FROM idla_train('icu', 'events', 'died', options => '{"entity": "patient", "time": "hour", "label_at": "decision", "series": {"bins": 12}, "epochs": 1, "folds": 1, "width": 6, "seed": 2}');
CREATE TABLE stays AS SELECT patient, idla_embed_series('icu', e) AS e, idla_embed_series('icu', e, 1) AS first, idla_embed_series('icu', e, 2) AS second, idla_predict_series('icu', e) AS p FROM events e GROUP BY patient;
SELECT count(*), bool_and(e = first) AS in_service, min(cardinality(e)) = (SELECT (card ->> 'embedding')::int FROM icu WHERE version = 1 AND chunk = 0) AS as_the_card_says,
	min(cardinality(second)) = (SELECT (card ->> 'embedding')::int FROM icu WHERE version = 2 AND chunk = 0) AS of_the_other, count(DISTINCT e) > 5 AS different FROM stays;
SELECT bool_and(stays.e = x.e AND stays.p = x.p) AS same FROM stays JOIN (SELECT patient, idla_embed_series('icu', e) AS e, idla_predict_series('icu', e) AS p FROM (SELECT * FROM events ORDER BY hr) e GROUP BY patient) x USING (patient);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT bool_and(stays.e = x.e) AS same FROM stays JOIN (SELECT patient, idla_embed_series('icu', e, NULL) AS e FROM events e GROUP BY patient) x USING (patient);
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SELECT idla_embed_series('icu', e) IS NULL AS no_rows FROM events e WHERE patient < 0;
SELECT idla_embed_series('icu', e, 3) FROM events e WHERE patient = 1;
SELECT idla_embed_series('icu', e, -3) FROM events e WHERE patient = 1;
SELECT idla_embed('icu', e) FROM events e;
SELECT idla_embed_series('blend', p) FROM people p;

-- ---- versions, trials, rights ----

SELECT version, in_service FROM idla_train('blend', 'SELECT a, b, c, d, ill FROM people', 'ill', architecture => 'mlp', options => '{"epochs": 1, "folds": 1, "linear": false, "width": 9, "depth": 1, "seed": 3}');
SELECT cardinality(idla_embed('blend', r, 2)) FROM people r LIMIT 1;
-- a candidate on trial answers, but those who compare embeddings get those of one version
SELECT idla_deploy('blend', 2, share => 1);
SELECT bool_and(idla_predict('blend', r) = idla_predict('blend', r, 2)) AS candidate, bool_and(idla_embed('blend', r) = idla_embed('blend', r, 1)) AS in_service FROM people r;
SET idla.batch_predict = off;
SELECT bool_and(idla_predict('blend', r) = idla_predict('blend', r, 2)) AS candidate, bool_and(idla_embed('blend', r) = idla_embed('blend', r, 1)) AS in_service FROM people r;
RESET idla.batch_predict;
SELECT idla_deploy('blend', 2);
SELECT bool_and(idla_embed('blend', r) = idla_embed('blend', r, 2)) AS now FROM people r;
-- a copy knows the same
SELECT idla_copy('blend', 'copied') AS version;
SELECT bool_and(idla_embed('blend', r) = idla_embed('copied', r)) AS same, (SELECT card ->> 'embedding' FROM copied WHERE chunk = 0) AS said FROM people r;
-- of a model by hand, risk = logistic(0.8 x - 0.1), the number that its head multiplies: x = 0.10638 (age - 54)
SELECT idla_import('line', '\x80000000000000007b226665772e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c315d2c22646174615f6f666673657473223a5b302c345d7d2c226665772e62696173223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b342c385d7d7d202020cdcc4c3fcdccccbd',
	'{"task": "binary", "target": "disease", "classes": ["false", "true"], "architecture": "linear", "columns": [{"name": "age", "scaling": "standard", "center": 54, "scale": 0.10638}],
	"tensors": {"head.weights": "few.weight", "head.bias": "few.bias"}}') AS version;
SELECT card ->> 'embedding' AS said, (SELECT array_agg(round(x::numeric, 4)) FROM unnest(idla_embed('line', h)) x) AS embedding, round(ln(p / (1 - p))::numeric, 4) AS log_odds
FROM line, (SELECT 63 AS age) h, LATERAL (SELECT idla_predict('line', h) AS p) a WHERE chunk = 0;
-- whoever may predict
CREATE ROLE idla_embed_reader;
GRANT USAGE ON SCHEMA embed TO idla_embed_reader;
GRANT SELECT ON people TO idla_embed_reader;
SET ROLE idla_embed_reader;
SELECT idla_embed('blend', r) FROM people r;
SELECT idla_embed_series('icu', e) FROM (SELECT 1 AS patient, 30 AS age, 2.0 AS hour, 70.0 AS hr, 24 AS decision) e;
RESET ROLE;
GRANT SELECT (version, in_service, card) ON blend TO idla_embed_reader;
SET ROLE idla_embed_reader;
SELECT cardinality(idla_embed('blend', r)) FROM people r LIMIT 1;
RESET ROLE;
SELECT provolatile, proparallel, count(*) FROM pg_proc WHERE proname IN ('idla_embed', 'idla_embed_columns', 'idla_series_embed') GROUP BY 1, 2;

SET client_min_messages = warning;
DROP OWNED BY idla_embed_reader;
DROP ROLE idla_embed_reader;
DROP SCHEMA embed CASCADE;
