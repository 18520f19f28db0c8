-- idla_explain, idla_explain_parts, idla_explain_image and idla_importance with images and signals.
\set VERBOSITY default
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA explain_fields;
SET search_path = explain_fields, public;
-- sick: a bright square in the upper left of a scan, in the lower right otherwise; a step in the middle of the second lead of an ECG
CREATE TABLE scans AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, i % 2 = 0 AS sick, (ARRAY['low', 'middle', 'high'])[1 + i % 3] AS grade,
	(SELECT array_agg(line ORDER BY y) FROM (
		SELECT y, array_agg((((i * 7 + y * 13 + x * 29 + x * y) % 17) / 40.0 + CASE
			WHEN i % 2 = 0 AND y BETWEEN 2 AND 6 AND x BETWEEN 2 AND 6 OR i % 2 = 1 AND y BETWEEN 9 AND 13 AND x BETWEEN 9 AND 13 THEN 0.5 ELSE 0 END)::real ORDER BY x) AS line
		FROM generate_series(1, 14) y, generate_series(1, 14) x GROUP BY y) l) AS scan,
	(SELECT array_agg((sin(t / 5.0 + i) * 0.3)::real ORDER BY t) || NULL::real FROM generate_series(1, 79 + i % 9) t) AS one,
	ARRAY[(SELECT array_agg((sin(t / 5.0 + i) * 0.3)::real ORDER BY t) FROM generate_series(1, 80) t),
		(SELECT array_agg((cos(t / 7.0 + i) * 0.3 + CASE WHEN i % 2 = 0 AND t BETWEEN 41 AND 60 THEN 1 ELSE 0 END)::real ORDER BY t) FROM generate_series(1, 80) t)] AS ecg,
	decode((ARRAY['89504e470d0a1a0a0000000d494844520000000a000000080800000000e591316a000000174944415478da6310810306913b77eee06722a925c00400ce6e0d49f61b305e0000000049454e44ae426082',
		'89504e470d0a1a0a0000000d494844520000000a000000080800000000e591316a000000154944415478da6310810306229977eedcc1cf040100c32f0d4900bd8bd40000000049454e44ae426082',
		'89504e470d0a1a0a0000000d494844520000000a000000080800000000e591316a000000174944415478da63d08003068d3b77eee06722a925c00400b53112d5d1c8228b0000000049454e44ae426082',
		'89504e470d0a1a0a0000000d494844520000000a000000080800000000e591316a000000154944415478da63d0800306229977eedcc1cf040100c4aa12d5dd37e6550000000049454e44ae426082'])[1 + (i + i / 2 * 2) % 4], 'hex') AS photo
FROM generate_series(1, 240) i;
CREATE VIEW one AS SELECT * FROM scans WHERE id = 8;
SELECT version, value > 0.95 AS good FROM idla_train('scan_model', 'SELECT age, scan, sick FROM scans', 'sick', architecture => 'cnn',
	options => '{"columns": {"scan": {"kind": "image"}}, "epochs": 4, "seed": 1, "width": 8, "depth": 2, "folds": 1}');
SELECT version FROM idla_train('photo_model', 'SELECT photo, grade FROM scans', 'grade', architecture => 'cnn',
	options => '{"epochs": 1, "seed": 1, "width": 4, "depth": 1, "folds": 2, "columns": {"photo": {"height": 6, "width": 6}}}');
SELECT version, value > 0.95 AS good FROM idla_train('ecg_model', 'SELECT age, ecg, sick FROM scans', 'sick', architecture => 'fcn',
	options => '{"epochs": 8, "seed": 1, "width": 8, "depth": 2, "folds": 1, "columns": {"ecg": {"kind": "signal", "rate": 40, "to_rate": 20}}}');
SELECT version FROM idla_train('gru_model', 'SELECT one, sick FROM scans', 'sick', architecture => 'gru', options => '{"epochs": 1, "seed": 1, "width": 8, "depth": 1, "folds": 1, "columns": {"one": {"length": 80}}}');
SELECT version FROM idla_train('both_model', 'SELECT photo, one, age, sick FROM scans', 'sick', architecture => 'cnn', options => '{"epochs": 1, "seed": 1, "width": 4, "depth": 1, "folds": 1}');
SELECT version FROM idla_train('table_model', 'SELECT age, grade, sick FROM scans', 'sick', architecture => 'linear', options => '{"epochs": 2, "seed": 1}');

-- by columns: few words for a value, and sums that agree
SELECT feature, value, abs(baseline + sum(contribution) OVER () - prediction) < 0.05 AS adds_up, completeness_error < 0.05 AS says_so FROM one s, idla_explain('scan_model', s) ORDER BY feature;
SELECT feature, value FROM one s, idla_explain('both_model', s) ORDER BY feature;
SELECT feature, value FROM one s, idla_explain('ecg_model', s) ORDER BY feature;
SELECT feature, value FROM (SELECT age, NULL::real[] AS ecg FROM one) s, idla_explain('ecg_model', s) ORDER BY feature;
SELECT feature, contribution = 0 AS nothing FROM (SELECT age, NULL::real[] AS ecg FROM one) s, idla_explain('ecg_model', s) ORDER BY feature;
SELECT rank, feature, abs(contribution) > 0.1 AS large FROM one s, idla_explain('scan_model', s, 'shapley') WHERE rank = 1;

-- parts of an image: a grid of patches, and the rest in the last row
SELECT part, first, last, channel, value FROM one s, idla_explain_parts('scan_model', s, segments => 3) ORDER BY first;
SELECT count(*), max(rank), bool_and(completeness_error < 0.05) AS complete, bool_and(first <= last) AS places FROM one s, idla_explain_parts('scan_model', s);
SELECT count(*), max(rank) FROM one s, idla_explain_parts('scan_model', s, segments => 64);
SELECT m.method, abs(sum(p.contribution) - (SELECT max(prediction) - max(baseline) FROM one s, idla_explain('scan_model', s))) < 0.05 AS adds_up,
	abs(sum(p.contribution) FILTER (WHERE rank IS NULL) - (SELECT contribution FROM one s, idla_explain('scan_model', s, m.method, 9) WHERE feature = 'age')) < 0.05 AS rest
FROM (VALUES ('integrated_gradients'), ('shapley')) m (method), one s, idla_explain_parts('scan_model', s, method => m.method, segments => 3) p GROUP BY 1 ORDER BY 1;
-- the square is what it is about
SELECT sum(contribution) FILTER (WHERE part ~ '^rows [1-8] to [2-8], columns [1-8] to [2-8]$') > 4 * sum(abs(contribution)) FILTER (WHERE part ~ '^rows (9|1\d) .*columns (9|1\d) ') AS square
FROM one s, idla_explain_parts('scan_model', s, 'scan', segments => 7);
-- what is not listed is in the rest, and the other class is the mirror image
SELECT count(*), abs(sum(contribution) - (SELECT sum(contribution) FROM one s, idla_explain_parts('scan_model', s))) < 1e-9 AS same, array_agg(rank) AS ranks FROM one s, idla_explain_parts('scan_model', s, top => 2);
SELECT bool_and(abs(a.contribution + b.contribution) < 1e-12) AS mirror FROM one s, idla_explain_parts('scan_model', s, output => 'true') a, idla_explain_parts('scan_model', s, output => 'false') b WHERE a.rank = b.rank;
-- as the network sees it: six by six
SELECT part, first, last, value FROM one s, idla_explain_parts('photo_model', s, output => 'low', segments => 2) ORDER BY first;
SELECT count(*) FROM one s, idla_explain_parts('photo_model', s);

-- parts of a signal: stretches of time by lead, in seconds where the rate is known
SELECT part, first, last, channel, value FROM one s, idla_explain_parts('ecg_model', s, segments => 4) ORDER BY first, channel;
SELECT channel, part FROM one s, idla_explain_parts('ecg_model', s, segments => 4, top => 1) WHERE rank = 1;
SELECT count(*), max(rank) FROM one s, idla_explain_parts('ecg_model', s);
SELECT part, first, last, channel, value IS NOT NULL AS value FROM one s, idla_explain_parts('gru_model', s, segments => 4) ORDER BY first;
-- the end of a longer one: the middle is kept
SELECT min(first), max(last) FROM (SELECT array_agg(0.1::real) AS one FROM generate_series(1, 100)) s, idla_explain_parts('gru_model', s);
SELECT bool_and(value = 'mean 0.1') AS mean FROM (SELECT array_agg(0.1::real) AS one FROM generate_series(1, 20)) s, idla_explain_parts('gru_model', s, segments => 2) WHERE rank IS NOT NULL;

-- features of whole signals: Shapley values by putting the mean in place of a stretch
SELECT version FROM idla_train('rocket_model', 'SELECT age, ecg, sick FROM scans', 'sick', architecture => 'rocket', options => '{"seed": 1, "width": 840, "columns": {"ecg": {"kind": "signal"}}}');
SELECT channel, part FROM one s, idla_explain_parts('rocket_model', s, segments => 4, top => 1) WHERE rank = 1;
SELECT count(*), abs(sum(p.contribution) - (SELECT max(prediction) - max(baseline) FROM one s, idla_explain('rocket_model', s))) < 1e-3 AS adds_up FROM one s, idla_explain_parts('rocket_model', s, method => 'shapley') p;
SELECT * FROM one s, idla_explain_parts('rocket_model', s, method => 'integrated_gradients');
SELECT feature, value, abs(contribution) > 0.1 AS matters FROM one s, idla_explain('rocket_model', s) WHERE rank = 1;

-- a picture: a PNG of at least 224 pixels a side
CREATE FUNCTION png_size(png bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT encode(substr(png, 2, 3), 'escape') || ' ' || ('x' || encode(substr(png, 17, 4), 'hex'))::bit(32)::int || ' x ' || ('x' || encode(substr(png, 21, 4), 'hex'))::bit(32)::int $$;
SELECT png_size(idla_explain_image('scan_model', s)), png_size(idla_explain_image('photo_model', s)), png_size(idla_explain_image('both_model', s)), png_size(idla_explain_image('both_model', s, 'photo', 'integrated_gradients')) FROM one s;
SELECT count(DISTINCT p) AS pictures FROM one s, LATERAL (VALUES (idla_explain_image('scan_model', s)), (idla_explain_image('scan_model', s, method => 'integrated_gradients')), (idla_explain_image('scan_model', s, output => 'false')),
	(idla_explain_image('scan_model', s, strength => 0.2))) v (p);
SELECT count(DISTINCT p) AS pictures FROM one s, LATERAL (VALUES (idla_explain_image('scan_model', s, strength => 0)), (idla_explain_image('scan_model', s, strength => 0, method => 'integrated_gradients')), (idla_explain_image('scan_model', s, strength => 0, output => 'false'))) v (p);
SELECT idla_explain_image('scan_model', s) = idla_explain_image('scan_model', s, 'scan', 'grad_cam', 'true', 0.6, 1) AS defaults FROM one s;

-- shuffled among the rows
SELECT rank, feature, importance > 0.2 AS matters, metric FROM idla_importance('scan_model', 'scans', 2) ORDER BY rank;
SELECT rank, feature, importance > 0.2 AS matters FROM idla_importance('ecg_model', 'scans', 1) WHERE rank = 1;
SELECT count(*) FROM idla_importance('both_model', 'scans', 1);

-- nothing to explain
SELECT count(*) FROM idla_explain_parts('scan_model', NULL::scans);
SELECT idla_explain_image('scan_model', NULL::scans) IS NULL, idla_explain_image(NULL, s) IS NULL FROM one s;
SELECT * FROM (SELECT age, NULL::real[] AS scan FROM one) s, idla_explain_parts('scan_model', s);
SELECT idla_explain_image('scan_model', s) FROM (SELECT age, NULL::real[] AS scan FROM one) s;

-- wrong calls
SELECT * FROM one s, idla_explain_parts('table_model', s);
SELECT idla_explain_image('table_model', s) FROM one s;
SELECT idla_explain_image('ecg_model', s) FROM one s;
SELECT idla_explain_image('both_model', s, 'one') FROM one s;
SELECT * FROM one s, idla_explain_parts('both_model', s);
SELECT * FROM one s, idla_explain_parts('both_model', s, 'phot');
SELECT * FROM one s, idla_explain_parts('both_model', s, 'age');
SELECT * FROM one s, idla_explain_parts('scan_model', s, method => 'grad_cam');
SELECT * FROM one s, idla_explain_parts('scan_model', s, segments => 0);
SELECT * FROM one s, idla_explain_parts('scan_model', s, segments => 65);
SELECT * FROM one s, idla_explain_parts('ecg_model', s, segments => 2049);
SELECT * FROM one s, idla_explain_parts('scan_model', s, top => 0);
SELECT * FROM one s, idla_explain_parts('photo_model', s, output => 'lo');
SELECT * FROM one s, idla_explain_parts('scan_model', s, version => 9);
SELECT idla_explain_image('scan_model', s, method => 'gradcam') FROM one s;
SELECT idla_explain_image('scan_model', s, method => 'shapley') FROM one s;
SELECT idla_explain_image('scan_model', s, strength => 1.5) FROM one s;
SELECT idla_explain_image('scan_model', s, strength => 'NaN') FROM one s;
SELECT idla_explain_image('photo_model', s) FROM (SELECT '\x89504e47'::bytea AS photo) s;

-- a text of layers has a map as well, as long as there is a convolution
SELECT version FROM idla_train('flat_model', 'SELECT photo, sick FROM scans', 'sick', options => '{"epochs": 1, "seed": 1, "folds": 1, "layers": "conv(4) relu flatten"}');
SELECT png_size(idla_explain_image('flat_model', s)) FROM one s;
SELECT version FROM idla_train('flat_model', 'SELECT photo, sick FROM scans', 'sick', options => '{"epochs": 1, "seed": 1, "folds": 1, "layers": "conv(4) relu max_pool(2) global_max"}');
SELECT png_size(idla_explain_image('flat_model', s, version => 2)) FROM one s;
SELECT version FROM idla_train('flat_model', 'SELECT photo, sick FROM scans', 'sick', options => '{"epochs": 1, "seed": 1, "folds": 1, "layers": "max_pool(2) flatten"}');
SELECT idla_explain_image('flat_model', s, version => 3) FROM one s;
SELECT png_size(idla_explain_image('flat_model', s, method => 'integrated_gradients', version => 3)) FROM one s;

-- who may predict may explain, and nobody else
CREATE ROLE idla_explain_reader;
GRANT USAGE ON SCHEMA explain_fields TO idla_explain_reader;
GRANT SELECT ON scans, one TO idla_explain_reader;
SET ROLE idla_explain_reader;
SELECT count(*) FROM one s, idla_explain_parts('scan_model', s);
SELECT idla_explain_image('scan_model', s) FROM one s;
RESET ROLE;
GRANT SELECT (version, in_service, card) ON scan_model TO idla_explain_reader;
SET ROLE idla_explain_reader;
SELECT count(*) FROM one s, idla_explain_parts('scan_model', s);
SELECT png_size(idla_explain_image('scan_model', s)) FROM one s;
RESET ROLE;

DROP SCHEMA explain_fields CASCADE;
DROP ROLE idla_explain_reader;
