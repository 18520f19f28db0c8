-- images as inputs: files in bytea and arrays of two and three dimensions, their sizes, and what is wrong with some.
CREATE SCHEMA images;
SET search_path = images, public;
SET idla.progress = off;
SET idla.threads = 1;
SET client_min_messages = notice;

-- PNG as small as it gets: one stored block of deflate. Pixels are in the order of the file, samples of 8 or 16 bits.
CREATE TABLE crc_table AS
WITH RECURSIVE step(i, k, c) AS (
	SELECT i, 0, i::bigint FROM generate_series(0, 255) i
	UNION ALL SELECT i, k + 1, CASE WHEN c & 1 = 1 THEN 3988292384 # (c >> 1) ELSE c >> 1 END FROM step WHERE k < 8)
SELECT array_agg(c ORDER BY i) AS c FROM step WHERE k = 8;
CREATE FUNCTION png_chunk(kind text, data bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE whole bytea := convert_to(kind, 'UTF8') || data; crc bigint := 4294967295; t bigint[] := (SELECT c FROM crc_table);
BEGIN
	FOR i IN 0 .. length(whole) - 1 LOOP
		crc := t[1 + ((crc # get_byte(whole, i)) & 255)] # (crc >> 8);
	END LOOP;
	RETURN int4send(length(data)) || whole || decode(lpad(to_hex(crc # 4294967295), 8, '0'), 'hex');
END $$;
CREATE FUNCTION png(height int, width int, depth int, bits int, samples int[]) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE raw bytea := ''; a bigint := 1; b bigint := 0; n int := 0;
BEGIN
	FOR y IN 1 .. height LOOP
		raw := raw || '\x00';
		FOR i IN 1 .. width * depth LOOP
			n := n + 1;
			raw := raw || CASE WHEN bits = 16 THEN int2send((CASE WHEN samples[n] > 32767 THEN samples[n] - 65536 ELSE samples[n] END)::int2)
				ELSE substr(int2send(samples[n]::int2), 2) END;
		END LOOP;
	END LOOP;
	FOR i IN 0 .. length(raw) - 1 LOOP
		a := (a + get_byte(raw, i)) % 65521;
		b := (b + a) % 65521;
	END LOOP;
	RETURN '\x89504e470d0a1a0a'
		|| png_chunk('IHDR', int4send(width) || int4send(height) || decode(lpad(to_hex(bits), 2, '0') || CASE depth WHEN 1 THEN '00' ELSE '02' END || '000000', 'hex'))
		|| png_chunk('IDAT', '\x780101' || set_byte(set_byte('\x0000', 0, length(raw) & 255), 1, length(raw) >> 8)
			|| set_byte(set_byte('\x0000', 0, 255 - (length(raw) & 255)), 1, 255 - (length(raw) >> 8)) || raw || decode(lpad(to_hex(b << 16 | a), 8, '0'), 'hex'))
		|| png_chunk('IEND', '');
END $$;

-- A bright patch above or below, on noise; the age tells nothing.
CREATE TABLE scans AS
SELECT i AS id, i % 2 = 0 AS sick, 40 + i % 37 AS age,
	(SELECT array_agg(((x * 7 + y * 13 + i * 29) % 64) + CASE WHEN (y < 4) = (i % 2 = 0) THEN 120 ELSE 0 END ORDER BY y, x) FROM generate_series(0, 7) y, generate_series(0, 7) x) AS pixels
FROM generate_series(1, 160) i;
ALTER TABLE scans ADD image bytea;
UPDATE scans SET image = png(8, 8, 1, 8, pixels);
SELECT DISTINCT format, width, height, channels, bits FROM scans, idla_image_info(image);

-- ---- files ----

SELECT version, task, architecture, rows_used, metric, value > 0.95 AS good
FROM idla_train('scan', 'SELECT image, age, sick FROM scans', 'sick', 'binary', 'cnn', '{"epochs": 6, "width": 4, "depth": 2, "batch": 16, "rate": 0.02}');
SELECT card->'architecture' FROM scan WHERE chunk = 0;
SELECT sick, count(*), bool_and((idla_predict('scan', s) > 0.5) = sick) AS right FROM scans s GROUP BY sick ORDER BY sick;
SELECT bool_and(idla_classify('scan', s) = sick::text) AS right FROM scans s;
SELECT metric, value > 0.95 AS good FROM idla_evaluate('scan', 'scans') WHERE metric = 'auroc';
SELECT feature FROM idla_importance('scan', 'SELECT image, age, sick FROM scans') ORDER BY importance DESC LIMIT 1;
-- what is kept of an image column
SELECT jsonb_object_keys(manifest->'fields'->0) AS key FROM scan WHERE chunk = 0 ORDER BY 1;
SELECT manifest->'fields'->0->'dims' AS dims, round((manifest->'fields'->0->'center'->>0)::numeric, 2) AS center FROM scan WHERE chunk = 0;
-- a view, names in another order, a prepared statement, a cursor, plpgsql
CREATE VIEW risks AS SELECT id, idla_predict('scan', s) AS risk FROM scans s;
SELECT bool_and(r.risk = idla_predict('scan', t)) AS same FROM risks r JOIN (SELECT age, id AS number, image AS image FROM scans) t ON t.number = r.id;
SELECT count(*) FROM (SELECT image AS picture, age FROM scans) t, LATERAL (SELECT t.picture AS image, t.age) u WHERE idla_predict('scan', u) > 0.5;
PREPARE ask(bytea) AS SELECT idla_predict('scan', t) > 0.5 AS sick FROM (SELECT $1 AS image, 50 AS age) t;
SELECT (SELECT image FROM scans WHERE id = 2) AS sick, (SELECT image FROM scans WHERE id = 3) AS well \gset
EXECUTE ask(:'sick');
EXECUTE ask(:'well');
SELECT idla_predict('scan', t) BETWEEN 0 AND 1 AS answered FROM (SELECT NULL::bytea AS image, 50 AS age) t;
EXECUTE ask('\x00');
EXECUTE ask(:'well');
BEGIN;
DECLARE c CURSOR FOR SELECT id, idla_predict('scan', s) > 0.5 AS sick FROM scans s ORDER BY id;
FETCH 3 FROM c;
MOVE 100 FROM c;
FETCH 1 FROM c;
COMMIT;
DO $$
DECLARE r record; n int := 0;
BEGIN
	FOR r IN SELECT * FROM scans LOOP
		n := n + (idla_predict('scan', r) > 0.5)::int;
	END LOOP;
	RAISE NOTICE '% are sick', n;
END $$;
-- the answer does not depend on how the bytes are stored
CREATE TABLE stored (id int, age int, image bytea);
ALTER TABLE stored ALTER image SET STORAGE EXTERNAL;
INSERT INTO stored SELECT id, age, image || decode(repeat('00', 9000), 'hex') FROM scans;
SELECT bool_and(idla_predict('scan', t) = risk) AS same FROM stored t JOIN risks USING (id);
ALTER TABLE stored ALTER image SET STORAGE EXTENDED;
UPDATE stored SET image = image || '\x00';
SELECT bool_and(idla_predict('scan', t) = risk) AS same FROM stored t JOIN risks USING (id);
-- and is that of the row asked alone
SELECT bool_and(idla_predict('scan', s) = (SELECT idla_predict('scan', t) FROM scans t WHERE t.id = s.id)) AS same FROM scans s WHERE id < 20;
-- a dump's other end: the manifest's text makes the same model
CREATE TABLE copy (LIKE scan INCLUDING ALL);
INSERT INTO copy SELECT version, chunk, in_service, card::text::jsonb, manifest::text::jsonb, weights FROM scan;
SELECT bool_and(idla_predict('copy', s) = idla_predict('scan', s)) AS same FROM scans s;

-- predicting: other sizes, other types, bytes that are none
SELECT idla_predict('scan', t) FROM (SELECT png(4, 8, 1, 8, pixels) AS image, age FROM scans LIMIT 1) t;
SELECT idla_predict('scan', t) FROM (SELECT png(8, 8, 3, 8, pixels || pixels || pixels) AS image, age FROM scans LIMIT 1) t;
SELECT idla_predict('scan', t) FROM (SELECT substr(image, 1, 60) AS image, age FROM scans LIMIT 1) t;
SELECT idla_predict('scan', t) FROM (SELECT set_byte(image, 60, 7) AS image, age FROM scans LIMIT 1) t;
SELECT idla_predict('scan', t) FROM (SELECT ''::bytea AS image, age FROM scans LIMIT 1) t;
SELECT idla_predict('scan', t) FROM (SELECT 'GIF89a'::bytea AS image, age FROM scans LIMIT 1) t;
SELECT idla_predict('scan', t) FROM (SELECT pixels AS image, age FROM scans LIMIT 1) t;
SELECT idla_predict('scan', t) FROM (SELECT encode(image, 'hex') AS image, age FROM scans LIMIT 1) t;
SELECT idla_predict('scan', t) FROM (SELECT age FROM scans LIMIT 1) t;
-- sixteen bits stay sixteen where an image is shown
SELECT DISTINCT (idla_image_info(p.image)).bits FROM idla_augment_preview('SELECT png(8, 8, 1, 16, (SELECT array_agg(p * 257 ORDER BY n) FROM unnest(pixels) WITH ORDINALITY a(p, n))) AS image FROM scans WHERE id <= 2', '{}', 2) p;
-- sixteen bits are read too: the pixels are shares of white
SELECT abs(idla_predict('scan', t) - idla_predict('scan', u)) < 0.01 AS close
FROM (SELECT png(8, 8, 1, 16, (SELECT array_agg(p * 257 ORDER BY n) FROM unnest(pixels) WITH ORDINALITY a(p, n))) AS image, age FROM scans WHERE id = 2) t, (SELECT image, age FROM scans WHERE id = 2) u;

-- ---- sizes ----

CREATE TABLE mixed AS
SELECT sick, CASE WHEN id % 4 = 0 THEN png(4, 4, 1, 8, pixels[1:16]) WHEN id % 4 = 1 THEN png(8, 4, 1, 8, pixels[1:32]) ELSE image END AS image FROM scans WHERE id <= 60;
SELECT idla_train('m', 'mixed', 'sick', 'binary', 'cnn', '{"epochs": 1, "width": 2, "depth": 1}');
SELECT rows_used FROM idla_train('resized', 'mixed', 'sick', 'binary', 'cnn', '{"epochs": 1, "width": 2, "depth": 1, "columns": {"image": {"height": 6, "width": 5}}}');
SELECT manifest->'fields'->0->'dims' AS dims FROM resized WHERE chunk = 0;
SELECT rows_used FROM idla_train('padded', 'mixed', 'sick', 'binary', 'cnn', '{"epochs": 1, "width": 2, "depth": 1, "columns": {"image": {"height": 6, "width": 6, "fitting": "pad"}}}');
SELECT rows_used FROM idla_train('cropped', 'mixed', 'sick', 'binary', 'cnn', '{"epochs": 1, "width": 2, "depth": 1, "columns": {"image": {"crop": 4}}}');
SELECT rows_used FROM idla_train('fitted', 'mixed', 'sick', 'binary', 'cnn', '{"epochs": 1, "width": 2, "depth": 1, "columns": {"image": {"fitting": "crop"}}}');
SELECT idla_train('m', 'mixed', 'sick', 'binary', 'cnn', '{"columns": {"image": {"crop": 5}}}');
-- grey among colour
CREATE TABLE coloured AS SELECT sick, CASE WHEN id % 3 = 0 THEN image ELSE png(8, 8, 3, 8, pixels || pixels || pixels) END AS image FROM scans WHERE id <= 60 ORDER BY id % 3 = 0;
SELECT idla_train('m', 'coloured', 'sick', 'binary', 'cnn', '{"epochs": 1, "width": 2, "depth": 1}');
SELECT rows_used FROM idla_train('grey', 'coloured', 'sick', 'binary', 'cnn', '{"epochs": 1, "width": 2, "depth": 1, "columns": {"image": {"depth": 1}}}');
SELECT rows_used FROM idla_train('colour', 'coloured', 'sick', 'binary', 'resnet20', '{"epochs": 1, "width": 2, "depth": 1, "columns": {"image": {"depth": 3}}}');
-- options that make no sense
SELECT idla_train('m', 'mixed', 'sick', options => '{"columns": {"image": {"depth": 2}}}');
SELECT idla_train('m', 'mixed', 'sick', options => '{"columns": {"image": {"height": 0}}}');
SELECT idla_train('m', 'mixed', 'sick', options => '{"columns": {"image": {"height": 65536, "width": 65536}}}');
SELECT idla_train('m', 'mixed', 'sick', options => '{"columns": {"image": {"height": [8]}}}');
SELECT idla_train('m', 'mixed', 'sick', options => '{"columns": {"image": {"fitting": "squeeze"}}}');
SELECT idla_train('m', 'mixed', 'sick', options => '{"columns": {"image": {"rate": 100}}}');
SELECT idla_train('m', 'mixed', 'sick', options => '{"columns": {"image": {"length": 100}}}');
SELECT idla_train('m', 'mixed', 'sick', options => '{"columns": {"image": {"scaling": "robust"}}}');
SELECT idla_train('m', 'mixed', 'sick', options => '{"columns": {"image": {"reference": "sick"}}}');
SELECT idla_train('m', 'mixed', 'sick', options => '{"columns": {"image": "category"}}');
SELECT idla_train('m', 'SELECT id AS number, sick FROM scans', 'sick', options => '{"columns": {"number": {"height": 8}}}');
SELECT idla_train('m', 'SELECT id AS number, sick FROM scans', 'sick', options => '{"columns": {"number": "image"}}');
SELECT idla_train('m', 'SELECT image, sick FROM scans', 'sick', architecture => 'nam');
SELECT idla_train('m', 'SELECT age, sick FROM scans', 'sick', architecture => 'cnn');

-- ---- what is wrong with some ----

CREATE TABLE flawed AS SELECT id, sick, age,
	CASE WHEN id % 20 = 1 THEN NULL WHEN id % 20 = 2 THEN substr(image, 1, 70) WHEN id % 20 = 3 THEN set_byte(image, 64, 9) WHEN id % 20 = 4 THEN 'no image'::bytea ELSE image END AS image FROM scans;
SELECT idla_train('m', 'SELECT image, age, sick FROM flawed ORDER BY id', 'sick', 'binary', 'cnn', '{"epochs": 1, "width": 2, "depth": 1}');
SELECT rows_used, rows_dropped FROM idla_train('skipping', 'SELECT image, age, sick FROM flawed ORDER BY id', 'sick', 'binary', 'cnn', '{"epochs": 1, "width": 2, "depth": 1, "on_bad_input": "skip"}');
SELECT metric, n FROM idla_evaluate('skipping', 'flawed') WHERE metric = 'auroc';
SELECT idla_predict('skipping', f) FROM flawed f WHERE id = 4;
SELECT idla_predict('skipping', f) BETWEEN 0 AND 1 AS answered FROM flawed f WHERE id = 1;
-- a row of a missing image and nothing else teaches nothing
SELECT rows_used, rows_dropped FROM idla_train('alone', 'SELECT image, sick FROM flawed ORDER BY id', 'sick', 'binary', 'cnn', '{"epochs": 1, "width": 2, "depth": 1, "on_bad_input": "skip"}');
SELECT idla_train('m', 'SELECT NULL::bytea AS image, sick FROM scans', 'sick');
SELECT idla_train('m', 'SELECT ''no image''::bytea AS image, sick FROM scans', 'sick');
SELECT rows_used FROM idla_train('never', 'SELECT NULL::bytea AS image, age, sick FROM scans', 'sick', 'binary', 'cnn', '{"columns": {"image": {"height": 8, "width": 8}}, "epochs": 1, "width": 2, "depth": 1}');
-- a size that is only declared costs nothing
CREATE TABLE declared AS SELECT sick, '\x89504e470d0a1a0a'::bytea || png_chunk('IHDR', int4send(50000) || int4send(50000) || '\x0802000000') || png_chunk('IDAT', '\x7801') AS image FROM scans;
SELECT idla_train('m', 'declared', 'sick');
SELECT idla_train('m', 'declared', 'sick', options => '{"columns": {"image": {"height": 8, "width": 8}}}');
SELECT idla_train('m', 'scans', 'sick', options => '{"on_bad_input": "ignore"}');
-- the columns of a mistaken model were not left behind
SELECT to_regclass('m') IS NULL AS none;

-- ---- arrays ----

CREATE TABLE grids AS
SELECT id, sick, (SELECT array_agg(r ORDER BY y) FROM (SELECT y, array_agg(pixels[y * 8 + x + 1]::real ORDER BY x) AS r FROM generate_series(0, 7) y, generate_series(0, 7) x GROUP BY y) q) AS grid FROM scans;
SELECT value > 0.9 AS good FROM idla_train('grid', 'SELECT grid, sick FROM grids', 'sick', 'binary', 'cnn', '{"epochs": 6, "width": 4, "depth": 2, "batch": 16, "rate": 0.02, "columns": {"grid": "image"}}');
SELECT manifest->'fields'->0->'dims' AS dims, manifest->'fields'->0->'kind' AS kind FROM grid WHERE chunk = 0;
-- a size says as well as the kind that it is an image; other element types and other lower bounds are the same values
SELECT rows_used FROM idla_train('sized', 'SELECT grid, sick FROM grids', 'sick', 'binary', 'cnn', '{"epochs": 1, "width": 2, "depth": 1, "columns": {"grid": {"height": 4, "width": 6}}}');
SELECT manifest->'fields'->0->'dims' AS dims FROM sized WHERE chunk = 0;
CREATE DOMAIN measured AS numeric(10, 3);
SELECT bool_and(idla_predict('grid', g) = idla_predict('grid', h)) AS same
FROM grids g JOIN (SELECT id, grid::measured[] AS grid FROM grids) h USING (id);
SELECT bool_and(idla_predict('grid', g) = idla_predict('grid', h)) AS same
FROM grids g JOIN (SELECT id, ('[0:7][-3:4]=' || grid::text)::float8[] AS grid FROM grids) h USING (id);
SELECT idla_predict('grid', t) FROM (SELECT '{}'::real[] AS grid) t;
SELECT idla_predict('grid', t) BETWEEN 0 AND 1 AS answered FROM (SELECT NULL::real[] AS grid) t;
SELECT idla_predict('grid', t) FROM (SELECT ARRAY[1, 2, 3]::real[] AS grid) t;
SELECT idla_predict('grid', t) FROM (SELECT ARRAY[[1, 2], [3, 4]]::real[] AS grid) t;
SELECT idla_predict('grid', t) FROM (SELECT ARRAY[[[[1]]]]::real[] AS grid) t;
SELECT idla_predict('grid', t) FROM (SELECT array_fill('NaN'::numeric, ARRAY[8, 8]) AS grid) t;
SELECT idla_predict('grid', t) FROM (SELECT array_fill(NULL::real, ARRAY[8, 8]) AS grid) t;
SELECT idla_predict('grid', t) FROM (SELECT array_fill(1e300::float8, ARRAY[8, 8]) AS grid) t;
SELECT idla_predict('grid', t) FROM (SELECT '\x00'::bytea AS grid) t;
-- three dimensions are an image by themselves, of any number of channels
CREATE TABLE cubes AS SELECT id, sick, array_fill((id % 2)::real, ARRAY[4, 5, 6]) AS cube FROM scans;
INSERT INTO cubes VALUES (0, true, NULL), (-1, false, NULL);
SELECT rows_used, rows_dropped FROM idla_train('cube', 'SELECT cube, sick FROM cubes', 'sick', 'binary', 'resnet20', '{"epochs": 1, "width": 2, "depth": 1}');
SELECT manifest->'fields'->0->'dims' AS dims FROM cube WHERE chunk = 0;
SELECT idla_train('m', 'SELECT cube, sick FROM cubes', 'sick', 'binary', 'cnn', '{"epochs": 1, "columns": {"cube": {"depth": 3}}}');
SELECT idla_train('m', 'SELECT ARRAY[id, 2] AS grid, sick FROM scans', 'sick', options => '{"columns": {"grid": "image"}}');
SELECT idla_train('m', $$SELECT '{}'::real[] AS grid, sick FROM scans$$, 'sick', options => '{"columns": {"grid": "image"}}');
SELECT idla_train('m', $$SELECT NULL::real[] AS grid, sick FROM scans$$, 'sick', options => '{"columns": {"grid": "image"}}');

-- a type that changes between two calls
CREATE TABLE changing AS SELECT image, age, sick FROM scans WHERE id <= 3;
PREPARE again AS SELECT idla_predict('scan', c) BETWEEN 0 AND 1 AS answered FROM changing c LIMIT 1;
EXECUTE again;
ALTER TABLE changing ALTER image TYPE text USING encode(image, 'hex');
EXECUTE again;
ALTER TABLE changing DROP image;
EXECUTE again;
ALTER TABLE changing ADD image bytea;
EXECUTE again;

-- ---- images beside tables' architectures, and layer texts ----

SELECT rows_used FROM idla_train('joined', 'SELECT image, age, sick FROM scans', 'sick', 'binary', 'tabm', '{"epochs": 1, "width": 8, "members": 2, "folds": 1}');
SELECT rows_used FROM idla_train('text', 'SELECT image, age, sick FROM scans', 'sick', 'binary', 'conv(4) batch_norm relu max_pool(2) conv(8, 3, 2) group_norm(2) relu global_mean join dense(8) relu', '{"epochs": 1, "folds": 1}');
SELECT card->'architecture' FROM text WHERE chunk = 0;
SELECT count(*) FROM scans s WHERE idla_predict('text', s) BETWEEN 0 AND 1;
SELECT idla_train('m', 'SELECT image, age, sick FROM scans', 'sick', 'binary', 'conv(4) relu');
SELECT idla_train('m', 'SELECT image, age, sick FROM scans', 'sick', 'binary', 'conv(4) join dense(4)');
SELECT idla_train('m', 'SELECT image, age, sick FROM scans', 'sick', 'binary', 'conv(4) global_mean join join');
SELECT idla_train('m', 'SELECT image, age, sick FROM scans', 'sick', 'binary', 'lstm(8) last');
SELECT idla_train('m', 'SELECT image, age, sick FROM scans', 'sick', 'binary', 'max_pool(9) global_mean');
SELECT idla_train('m', 'SELECT image, age, sick FROM scans', 'sick', 'binary', 'conv(4, 17) global_mean');
SELECT idla_train('m', 'SELECT image, age, sick FROM scans', 'sick', 'binary', 'conv(9) group_norm(2) global_mean');
SELECT idla_train('m', 'SELECT image, age, sick FROM scans', 'sick', 'binary', 'flatten dense(4) conv(4)');
SELECT idla_train('m', 'SELECT age, sick FROM scans', 'sick', 'binary', 'conv(4) global_mean');
SELECT idla_train('m', 'SELECT image, grid, s.sick FROM scans s JOIN grids USING (id)', 'sick', 'binary', 'conv(4) global_mean', '{"columns": {"grid": "image"}}');

SET client_min_messages = warning;
DROP SCHEMA images CASCADE;
