-- Options augment and augment_predict, idla_augment_preview.
\set VERBOSITY default
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA augment;
SET search_path = augment, public;
-- a bright square in the upper half of the sick
CREATE TABLE scans AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, i % 2 = 0 AS sick, (ARRAY['low', 'middle', 'high'])[1 + i % 3] AS grade,
	i % 2 + (i % 7) / 10.0 AS size,
	(SELECT array_agg(line ORDER BY y) FROM (
		SELECT y, array_agg((((i * 7 + y * 13 + x * 29 + x * y) % 17) / 40.0 + CASE
			WHEN y BETWEEN 2 AND 6 AND i % 2 = 0 THEN 0.5 ELSE 0 END)::real ORDER BY x) AS line
		FROM generate_series(1, 12) y, generate_series(1, 12) x GROUP BY y) l) AS scan,
	(SELECT array_agg((sin(t / 5.0 + i) * 0.3 + CASE WHEN i % 2 = 0 AND t > 40 THEN 1 ELSE 0 END)::real ORDER BY t) FROM generate_series(1, 80) t) AS ecg,
	decode((ARRAY['89504e470d0a1a0a0000000d494844520000000a000000080800000000e591316a000000174944415478da6310810306913b77eee06722a925c00400ce6e0d49f61b305e0000000049454e44ae426082',
		'89504e470d0a1a0a0000000d494844520000000a000000080800000000e591316a000000154944415478da6310810306229977eedcc1cf040100c32f0d4900bd8bd40000000049454e44ae426082'])[1 + i % 2], 'hex') AS photo
FROM generate_series(1, 160) i;

-- what training would see; variant 0 is the image itself, and the same seed shows the same
SELECT p."row", p.variant, p."column", (idla_image_info(p.image)).format, (idla_image_info(p.image)).width, (idla_image_info(p.image)).height, p."values" IS NULL AS no_values
FROM idla_augment_preview('SELECT photo FROM scans ORDER BY id LIMIT 2', '{"augment": {"rotate": 20, "flip": 0.5}}', 2) p;
SELECT count(*), count(DISTINCT image) > 4 AS different, array_agg(image ORDER BY "row", variant) = (SELECT array_agg(image ORDER BY "row", variant) FROM idla_augment_preview('SELECT photo FROM scans ORDER BY id LIMIT 2', '{"augment": true}', 4)) AS same,
	array_agg(image ORDER BY "row", variant) = (SELECT array_agg(image ORDER BY "row", variant) FROM idla_augment_preview('SELECT photo FROM scans ORDER BY id LIMIT 2', '{"augment": true, "seed": 2}', 4)) AS other_seed
FROM idla_augment_preview('SELECT photo FROM scans ORDER BY id LIMIT 2', '{"augment": true}', 4);
SELECT count(DISTINCT image) FROM idla_augment_preview('SELECT photo FROM scans ORDER BY id LIMIT 1', '{"augment": false}', 4);
-- by default images are changed a little, and never mirrored
SELECT count(DISTINCT image) > 2 AS changed FROM idla_augment_preview('SELECT photo FROM scans ORDER BY id LIMIT 1', '{}', 4);
SELECT "row", variant, "column", image IS NULL AS no_image, array_length("values", 1) AS length, (SELECT max(abs(a - b)) < 1e-6 FROM unnest("values", (SELECT ecg FROM scans WHERE id = 1)) u (a, b)) AS plain
FROM idla_augment_preview('SELECT ecg FROM scans ORDER BY id LIMIT 1', '{"augment": {"jitter": 0.1}, "columns": {"ecg": "signal"}}', 1);
SELECT "row", variant, array_dims("values") FROM idla_augment_preview('SELECT scan FROM scans ORDER BY id LIMIT 1', '{"augment": {"image": {"mixup": 0.4}}, "columns": {"scan": "image"}}', 1);
SELECT count(*) FROM idla_augment_preview('SELECT NULL::bytea AS photo UNION ALL (SELECT photo FROM scans LIMIT 1)', '{"augment": {"cutmix": 1}}', 1);

-- a target is no input, and is needed where rows are mixed within their class
SELECT "row", variant, "column", "values", "text" FROM idla_augment_preview('SELECT age, grade, sick FROM scans ORDER BY id', '{"augment": {"noise": 0.1, "dropout": 0.2, "mixup": 0.4}}', 2, 'sick') WHERE "row" <= 2 ORDER BY 1, 2, 3;
-- columns that nothing happens to are left out beside images
SELECT DISTINCT "column" FROM idla_augment_preview('SELECT scan, age FROM scans', '{"columns": {"scan": "image"}, "augment": {"rotate": 10}}', 1);
SELECT DISTINCT "column" FROM idla_augment_preview('SELECT scan, age FROM scans', '{"columns": {"scan": "image"}, "augment": true}', 1) ORDER BY 1;
SELECT count(DISTINCT "values") FROM idla_augment_preview('SELECT age FROM scans', '{}', 3) WHERE "row" = 1;

-- training: named options, kinds, the usual values, two rows made one
SELECT version, value > 0.9 AS good FROM idla_train('scan_model', 'SELECT scan, sick FROM scans', 'sick', architecture => 'cnn',
	options => '{"columns": {"scan": "image"}, "epochs": 8, "seed": 1, "width": 8, "depth": 1, "folds": 1, "augment": {"image": {"shift": 0.05, "mixup": 0.2}}}');
SELECT version, value > 0.9 AS good FROM idla_train('scan_model', 'SELECT scan, age, sick FROM scans', 'sick', architecture => 'cnn',
	options => '{"columns": {"scan": "image"}, "epochs": 8, "seed": 1, "width": 8, "depth": 1, "folds": 1, "augment": {"cutmix": 0.2, "table": {"noise": 0.1}}, "augment_predict": 4}');
SELECT version FROM idla_train('scan_model', 'SELECT scan, grade FROM scans', 'grade', architecture => 'cnn',
	options => '{"columns": {"scan": "image"}, "epochs": 1, "seed": 1, "width": 4, "depth": 1, "folds": 1, "augment": {"mixup": 0.2, "cutmix": 0.2}}');
SELECT version FROM idla_train('scan_model', 'SELECT scan, size FROM scans', 'size', architecture => 'cnn',
	options => '{"columns": {"scan": "image"}, "epochs": 1, "seed": 1, "width": 4, "depth": 1, "folds": 1, "augment": {"mixup": 0.2}}');
SELECT version FROM idla_train('ecg_model', 'SELECT ecg, age, sick FROM scans', 'sick', architecture => 'fcn',
	options => '{"columns": {"ecg": "signal"}, "epochs": 1, "seed": 1, "width": 4, "depth": 1, "folds": 1, "augment": true}');
SELECT version FROM idla_train('table_model', 'SELECT age, size, grade, sick FROM scans', 'sick', architecture => 'mlp',
	options => '{"epochs": 2, "seed": 1, "folds": 1, "augment": {"table": true, "mixup": 0.4}}');

-- texts
SELECT version FROM idla_train('note_model', $$SELECT 'the patient ' || CASE WHEN sick THEN 'suffers from' ELSE 'is free of' END || ' pain, says note ' || id AS note, sick FROM scans$$, 'sick',
	options => '{"columns": {"note": "text"}, "epochs": 2, "seed": 1, "augment": {"mask": 0.1, "swap": 0.1}}');
SELECT version FROM idla_train('note_model', $$SELECT 'the patient ' || CASE WHEN sick THEN 'suffers from' ELSE 'is free of' END || ' pain, says note ' || id AS note, sick FROM scans$$, 'sick',
	options => '{"columns": {"note": "text"}, "epochs": 2, "seed": 1, "augment": true}');
-- upper and lower case are told apart where the vocabulary is not in lower case
CREATE TABLE notes AS
SELECT id, sick, 'The patient ' || CASE WHEN sick THEN 'suffers from SEVERE' ELSE 'Is free of' END || ' pain, Says the Note OF THE WARD ' || id % 7 AS note FROM scans;
SELECT variant, "text" FROM idla_augment_preview('SELECT note FROM notes ORDER BY id', '{"columns": {"note": {"kind": "text", "lowercase": false}}, "augment": {"case": 0.3, "mask": 0.1, "swap": 0.1}}', 3) WHERE "row" = 1;
SELECT variant, "text" FROM idla_augment_preview('SELECT note FROM notes ORDER BY id', '{"columns": {"note": "text"}, "augment": {"mask": 0.2}}', 2) WHERE "row" = 2;
SELECT version FROM idla_train('note_model', 'SELECT note, sick FROM notes', 'sick', architecture => 'transformer',
	options => '{"columns": {"note": {"kind": "text", "lowercase": false}}, "width": 8, "depth": 1, "epochs": 1, "seed": 1, "augment": {"case": 0.3, "mask": 0.1, "swap": 0.1}, "augment_predict": 3}');
SELECT version, card -> 'augment' AS augment, card -> 'augment_predict' AS views FROM note_model WHERE chunk = 0 ORDER BY version;
-- taggers see characters and shapes of a word
CREATE TABLE sentences AS
SELECT i AS id, ARRAY['The', 'patient', 'has', 'Cystic', 'fibrosis', 'AND', 'TNF1', 'p' || i % 3] AS words, ARRAY['O', 'O', 'O', 'B-D', 'I-D', 'O', 'O', 'O'] AS tags FROM generate_series(1, 40) i;
SELECT variant, "text" FROM idla_augment_preview('SELECT words, tags FROM sentences ORDER BY id', '{"augment": {"case": 0.3, "mask": 0.1}}', 3, 'tags', 'tagging') WHERE "row" = 1;
SELECT version FROM idla_train('tagger', 'SELECT words, tags FROM sentences', 'tags', 'tagging', options => '{"epochs": 1, "seed": 1, "width": 8, "augment": {"case": 0.3, "mask": 0.1}}');

-- series: what is taken away was never observed
CREATE TABLE events AS
SELECT stay, hour, CASE WHEN (stay + hour) % 2 = 0 THEN 80 + stay % 2 * 10 + hour END AS rate, CASE WHEN hour % 3 = 0 THEN 7.2 + stay % 4 * 0.1 + hour * 0.01 END AS ph, stay % 2 = 0 AS died
FROM generate_series(1, 120) stay, generate_series(0, 9) hour;
SELECT variant, "values" FROM idla_augment_preview('SELECT * FROM events', '{"entity": "stay", "time": "hour", "series": {"bins": 6, "use": "bins"}, "augment": {"channel_dropout": 0.2, "value_dropout": 0.3}}', 3, 'died') WHERE "row" = 1;
SELECT p.variant, count(DISTINCT p."values") = 4 AS different, bool_and(p."values"::text LIKE '%NULL%') AS gaps
FROM idla_augment_preview('SELECT stay, hour, rate, ph FROM events', '{"entity": "stay", "time": "hour", "series": {"bins": 6, "use": "bins"}, "augment": true}', 3) p WHERE p."row" <= 4 GROUP BY 1 ORDER BY 1;
SELECT version FROM idla_train('stay_model', 'SELECT * FROM events', 'died', architecture => 'gru',
	options => '{"entity": "stay", "time": "hour", "series": {"bins": 6, "use": "bins"}, "width": 8, "epochs": 2, "seed": 1, "folds": 1, "augment": {"series": true}, "augment_predict": 3}');
SELECT version FROM idla_train('stay_model', 'SELECT * FROM events', 'died',
	options => '{"entity": "stay", "time": "hour", "series": {"bins": 6}, "epochs": 1, "seed": 1, "folds": 1, "augment": {"jitter": 0.1, "table": {"noise": 0.1}}}');
SELECT version, card -> 'augment' AS augment, card -> 'augment_predict' AS views FROM stay_model WHERE chunk = 0 ORDER BY version;

-- views of all of them: one at a time, or many, the same bits; and they are part of the answer
SELECT version FROM idla_train('table_views', 'SELECT age, size, grade, sick FROM scans', 'sick', architecture => 'mlp',
	options => '{"epochs": 1, "seed": 1, "folds": 1, "augment": {"noise": 0.3, "dropout": 0.1}, "augment_predict": 4}');
SELECT version FROM idla_train('ecg_views', 'SELECT ecg, sick FROM scans', 'sick', architecture => 'fcn',
	options => '{"columns": {"ecg": "signal"}, "epochs": 1, "seed": 1, "width": 4, "depth": 1, "folds": 1, "augment": {"jitter": 0.2, "warp": 0.2}, "augment_predict": 4}');
CREATE TABLE views_singly AS SELECT id, (SELECT idla_predict('table_views', s) FROM scans s WHERE s.id = o.id) AS t,
	(SELECT idla_predict('ecg_views', s) FROM scans s WHERE s.id = o.id) AS e, (SELECT idla_predict('note_model', n) FROM notes n WHERE n.id = o.id) AS n FROM scans o WHERE id <= 40;
SELECT bool_and(t = idla_predict('table_views', s)) AS same_table, bool_and(e = idla_predict('ecg_views', s)) AS same_signal FROM scans s JOIN views_singly USING (id);
SELECT bool_and(v.n = idla_predict('note_model', notes)) AS same_text FROM notes JOIN views_singly v USING (id);
CREATE TABLE stays_singly AS SELECT stay, (SELECT idla_predict_series('stay_model', e) FROM events e WHERE e.stay = o.stay) AS p FROM generate_series(1, 10) o (stay);
SELECT bool_and(p = q) AS same_series FROM stays_singly JOIN (SELECT stay, idla_predict_series('stay_model', e) AS q FROM events e GROUP BY stay) x USING (stay);
SELECT version FROM idla_train('table_plain', 'SELECT age, size, grade, sick FROM scans', 'sick', architecture => 'mlp',
	options => '{"epochs": 1, "seed": 1, "folds": 1, "augment": {"noise": 0.3, "dropout": 0.1}}');
SELECT avg((idla_predict('table_views', s) <> idla_predict('table_plain', s))::int) > 0.9 AS other_answers FROM scans s;

-- it is on record, and views are part of the model
SELECT version, card -> 'augment' AS augment, card -> 'augment_predict' AS views FROM scan_model WHERE chunk = 0 ORDER BY version;
SELECT card -> 'augment' AS augment FROM ecg_model WHERE chunk = 0;
SELECT card -> 'augment' AS augment FROM table_model WHERE chunk = 0;
SELECT manifest -> 'views' AS views, manifest -> 'view_ranges' AS ranges, manifest -> 'training' -> 'augment' AS augment FROM scan_model WHERE version = 2 AND chunk = 0;
SELECT idla_deploy('scan_model', 2);
-- one at a time, or many: the same bits
CREATE TABLE singly AS SELECT id, (SELECT idla_predict('scan_model', s) FROM scans s WHERE s.id = o.id) AS p FROM scans o WHERE id <= 20;
SELECT bool_and(p = idla_predict('scan_model', s)) AS same FROM scans s JOIN singly USING (id);
SELECT bool_and(idla_classify('scan_model', s)::boolean = sick) AS right FROM scans s WHERE id <= 40;

-- what cannot be
SELECT idla_train('m', 'SELECT scan, sick FROM scans', 'sick', options => '{"augment": {"rotat": 10}}');
SELECT idla_train('m', 'SELECT scan, sick FROM scans', 'sick', options => '{"augment": {"image": {"jitter": 10}}}');
SELECT idla_train('m', 'SELECT scan, sick FROM scans', 'sick', options => '{"augment": {"rotate": 200}}');
SELECT idla_train('m', 'SELECT scan, sick FROM scans', 'sick', options => '{"augment": "much"}');
SELECT idla_train('m', 'SELECT scan, sick FROM scans', 'sick', options => '{"columns": {"scan": "image"}, "augment": {"jitter": 0.1}}');
SELECT idla_train('m', 'SELECT scan, age, sick FROM scans', 'sick', options => '{"columns": {"scan": "image"}, "augment": {"noise": 0.1}}');
SELECT idla_train('m', 'SELECT scan, ecg, sick FROM scans', 'sick', options => '{"columns": {"scan": "image", "ecg": "signal"}, "augment": {"mixup": 0.1}}');
SELECT idla_train('m', 'SELECT age, size FROM scans', 'size', options => '{"augment": {"mixup": 0.1}}');
SELECT idla_train('m', 'SELECT age, size, sick FROM scans', NULL, 'survival', options => '{"time": "size", "event": "sick", "augment": {"mixup": 0.1}}');
SELECT idla_train('m', 'SELECT age, sick FROM scans', 'sick', options => '{"augment_predict": 4}');
SELECT idla_train('m', 'SELECT age, sick FROM scans', 'sick', options => '{"augment_predict": 400}');
SELECT idla_train('m', 'SELECT note, sick FROM notes', 'sick', options => '{"columns": {"note": "text"}, "augment": {"case": 0.1}}');
SELECT idla_train('m', 'SELECT age, sick FROM scans', 'sick', options => '{"augment": {"series": {"jitter": 0.1}}}');
SELECT idla_train('m', 'SELECT * FROM events', 'died', options => '{"entity": "stay", "time": "hour", "augment": {"value_dropout": 0.95}}');
SELECT idla_train('m', 'SELECT * FROM events', 'died', options => '{"entity": "stay", "time": "hour", "series": {"use": "summary"}, "augment": {"value_dropout": 0.1}}');
SELECT idla_train('m', 'SELECT words, tags FROM sentences', 'tags', 'tagging', options => '{"augment": {"swap": 0.1}}');
SELECT idla_train('m', 'SELECT words, tags FROM sentences', 'tags', 'tagging', options => '{"augment": {"case": 0.1}, "augment_predict": 3}');
SELECT idla_train('m', 'SELECT scan, sick FROM scans', 'sick', options => '{"columns": {"scan": "image"}, "augment": {"noise": 0.1}, "augment_predict": 3}');
SELECT * FROM idla_augment_preview('SELECT age FROM scans', '{"augment": {"rotate": 10}}');
SELECT * FROM idla_augment_preview('SELECT age, sick FROM scans', '{"augment": {"mixup": 0.3}}');
SELECT * FROM idla_augment_preview('SELECT age, size FROM scans', '{"augment": {"mixup": 0.3}}', 1, 'size');
SELECT * FROM idla_augment_preview('SELECT age, sick FROM scans', '{"augment": true}', 1, 'sik');
SELECT * FROM idla_augment_preview('SELECT age, sick FROM scans', '{"augment": true}', 1, 'sick', 'sort');
SELECT * FROM idla_augment_preview('SELECT photo FROM scans', '{"augment": true}', -1);
SELECT * FROM idla_augment_preview(NULL);
SELECT * FROM idla_augment_preview('SELECT age, sick FROM scans', '{"augment": true}', 1, task => 'tagging');
DROP SCHEMA augment CASCADE;
