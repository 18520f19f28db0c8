-- idla_attack and idla_robustness: whatever an attack makes of a row is a row of its table, of the same types and shapes.
\set VERBOSITY default
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA attack;
SET search_path = attack, public;

-- CHECKs that only the server understands: two columns, arithmetic that may fail, a function, a domain of digits
CREATE FUNCTION is_even(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1 % 2 = 0; END $$;
CREATE DOMAIN tenths AS float8 CHECK (VALUE * 10 = round((VALUE * 10)::numeric)::float8);
CREATE TABLE patients (
	id int PRIMARY KEY, low float8, high float8, pulse int, dose tenths, part numeric(4, 1), ward text, bed int, code int, sick boolean,
	CONSTRAINT ordered CHECK (low < high), CONSTRAINT ratio CHECK (10 / (high - low) < 60), CONSTRAINT even CHECK (is_even(pulse)),
	CONSTRAINT ward_of_part CHECK (ward <> 'icu' OR part > 3 OR part IS NULL), UNIQUE (ward, bed, id));
CREATE UNIQUE INDEX ON patients (code, id) WHERE code > 1000000;
INSERT INTO patients SELECT i, i % 5 + i % 2, i % 5 + 1.5 + i % 3 + i % 2, 60 + 2 * ((i * 7) % 20) + 6 * (i % 2), (i % 7) / 10.0 + (i % 2) / 5.0, 3.5 + i % 4, (ARRAY['icu', 'a', 'b'])[1 + i % 3], i % 11, i % 13, i % 2 = 0
FROM generate_series(1, 240) i;
SELECT version, value > 0.9 AS good FROM idla_train('m', 'patients', 'sick', architecture => 'mlp', options => '{"seed": 1, "folds": 1, "epochs": 20, "linear": false, "columns": {"bed": "ignore"}}');
CREATE TABLE attacked (LIKE patients INCLUDING ALL);
INSERT INTO attacked SELECT a.* FROM patients p, idla_attack('m', p, 1, '{"steps": 10, "restarts": 2, "max_changes": 2}') a;
SELECT count(*), avg((a.low <> p.low)::int) > 0.5 AS low, avg((a.high <> p.high)::int) > 0.5 AS high, avg((a.pulse <> p.pulse)::int) > 0.5 AS pulse, avg((a.dose <> p.dose)::int) > 0.5 AS dose,
	avg((a.part <> p.part)::int) > 0.5 AS part, bool_and(a.code = p.code AND a.bed = p.bed AND a.ward = p.ward) AS keys_stay FROM attacked a JOIN patients p USING (id);
SELECT avg((idla_classify('m', p)::boolean = sick)::int) - avg((idla_classify('m', a)::boolean = a.sick)::int) > 0.3 AS fooled FROM attacked a JOIN patients p USING (id, sick);
-- a rule that leaves less leaves more rows right, and the same rows without their table know no rule
CREATE TABLE tight (LIKE patients INCLUDING ALL, CHECK (abs(low - id % 5 - id % 2) < 0.01 AND abs(high - low - 1.5 - id % 3) < 0.01 AND pulse / 2 = 30 + (id * 7) % 20 + 3 * (id % 2)));
INSERT INTO tight SELECT * FROM patients;
SELECT t.value > f.value + 0.1 AS tighter, f.value > q.value AS query_knows_none
FROM idla_robustness('m', 'tight', '{0.5}', '{"steps": 10, "restarts": 1, "certify": 0}') t, idla_robustness('m', 'patients', '{0.5}', '{"steps": 10, "restarts": 1, "certify": 0}') f,
	idla_robustness('m', 'SELECT * FROM patients', '{0.5}', '{"steps": 10, "restarts": 1, "certify": 0}') q
WHERE t.measure = 'robust accuracy' AND f.measure = t.measure AND q.measure = t.measure;

-- who evaluates: the owner of the table, for those alone who have his rights
CREATE ROLE idla_author;
CREATE ROLE idla_reader;
GRANT USAGE, CREATE ON SCHEMA attack TO idla_author;
GRANT USAGE ON SCHEMA attack TO idla_reader;
GRANT SELECT ON m, patients TO idla_author, idla_reader;
SET ROLE idla_author;
CREATE FUNCTION as_author(float8) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1 < 100 AND current_user = 'idla_author'; END $$;
CREATE TABLE lent (id int, low float8, high float8, pulse int, dose float8, part numeric(4, 1), ward text, code int, sick boolean, CONSTRAINT authored CHECK (as_author(low)),
	CONSTRAINT luck CHECK (high > random() - 5), CONSTRAINT plain CHECK (pulse + part > 10), CONSTRAINT whole CHECK (lent IS NOT NULL));
INSERT INTO lent SELECT id, low, high, pulse, dose, part, ward, code, sick FROM patients;
GRANT SELECT ON lent TO idla_reader;
RESET ROLE;
SET client_min_messages = notice;
SELECT avg(((idla_attack('m', l, 1, '{"steps": 10, "restarts": 1}')).low <> low)::int) > 0.5 AS low_moves, avg(((idla_attack('m', l, 1, '{"steps": 10, "restarts": 1}')).high <> high)::int) AS high_moves FROM lent l WHERE id <= 30;
SET ROLE idla_reader;
SELECT avg((a.low <> l.low)::int) AS low_moves, avg((a.pulse <> l.pulse)::int) > 0.5 AS pulse_moves FROM lent l, idla_attack('m', l, 1, '{"steps": 10, "restarts": 1}') a WHERE l.id <= 30;
RESET ROLE;
-- what a rule's function sets is forgotten, and its constants are folded for those alone who may run it
SET ROLE idla_author;
CREATE FUNCTION leaves(float8) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM set_config('search_path', 'nowhere', false), set_config('work_mem', '77MB', false); RETURN true; END $$;
CREATE FUNCTION folded(int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'folded as %', current_user; PERFORM set_config('work_mem', '78MB', false); RETURN -1000; END $$;
CREATE TABLE quiet (LIKE lent, CONSTRAINT leaves CHECK (leaves(high)), CONSTRAINT above CHECK (low > folded(1)));
GRANT SELECT ON quiet TO idla_reader;
INSERT INTO quiet SELECT * FROM lent WHERE id < 4;
RESET ROLE;
SET search_path = attack, public;
RESET work_mem;
SELECT bool_and(idla_attack('m', q, 1, '{"steps": 4, "restarts": 1}') IS NOT NULL) AS attacked FROM quiet q;
SHOW search_path;
SELECT current_setting('work_mem') IN ('77MB', '78MB') AS changed;
SET ROLE idla_reader;
SELECT bool_and((idla_attack('m', q, 1, '{"steps": 4, "restarts": 1}')).low = low) AS low_stays FROM quiet q;
RESET ROLE;
-- a row that breaks a rule already stays
ALTER TABLE lent ADD CONSTRAINT late CHECK (dose + part < 0) NOT VALID;
SELECT bool_and(idla_attack('m', l, 1, '{"steps": 4, "restarts": 1, "columns": {"high": {"immutable": true}}}') = l) AS same FROM lent l WHERE id = 1;
ALTER TABLE lent DROP CONSTRAINT late, DROP CONSTRAINT luck;
-- what takes long can be cancelled
CREATE FUNCTION slow(float8) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN true; END $$;
ALTER TABLE lent ADD CONSTRAINT slow CHECK (slow(low)) NOT VALID;
SET statement_timeout = '300ms';
SELECT count(*) FROM idla_robustness('m', 'lent', '{0.5}');
RESET statement_timeout;
SET client_min_messages = error;
-- rows of no table: their domains are known
SELECT bool_and(split_part(a, ',', 3)::int <> pulse) AS moved, bool_and(split_part(a, ',', 4)::float8 = dose) AS kept FROM (SELECT pulse, dose, idla_attack('m', q, 1, '{"steps": 4, "restarts": 1}')::text AS a FROM (SELECT low, high, pulse, dose, part, ward, code FROM patients WHERE id < 9) q) x;
-- the row's own class is found as training named it, char(n) without its blanks, numbers without zeros; an attack leads away from it
SELECT version FROM idla_train('worded', 'SELECT x, (CASE WHEN y THEN ''a'' ELSE ''b'' END)::char(4) AS grade FROM (SELECT i % 2 = 0 AS y, i % 2 + (i % 7) / 50.0 AS x FROM generate_series(1, 100) i) t', 'grade', architecture => 'linear', options => '{"seed": 1, "folds": 1, "epochs": 300, "patience": 300}');
SELECT version FROM idla_train('numbered', 'SELECT x, CASE WHEN y THEN 0.5 ELSE 1.25 END::numeric(4, 2) AS grade FROM (SELECT i % 2 = 0 AS y, i % 2 + (i % 7) / 50.0 AS x FROM generate_series(1, 100) i) t', 'grade', 'multiclass', architecture => 'linear', options => '{"seed": 1, "folds": 1, "epochs": 300, "patience": 300}');
CREATE TABLE worded_rows AS SELECT * FROM (VALUES (0.1::float8, 'a'::char(4)), (0.1, 'b')) q (x, grade);
CREATE TABLE numbered_rows AS SELECT * FROM (VALUES (0.1::float8, 0.5::numeric(4, 2)), (0.1, 1.25)) q (x, grade);
SELECT grade, (idla_attack('worded', q, 0.2, '{"steps": 10}')).x > x AS rises FROM worded_rows q;
SELECT grade, (idla_attack('numbered', q, 0.2, '{"steps": 10}')).x > x AS rises FROM numbered_rows q;

-- partitions stay what they are
CREATE TABLE parts (LIKE patients) PARTITION BY RANGE (low);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
INSERT INTO parts SELECT * FROM patients WHERE id < 20;
SELECT bool_and((idla_attack('m', p, 1, '{"steps": 4, "restarts": 1}')).low = low) AS parent, (SELECT bool_and((idla_attack('m', q, 1, '{"steps": 4, "restarts": 1}')).low = low) FROM parts_1 q) AS child FROM parts p;

-- lists of numbers, and ranges of what the model takes for categories, are asked of the server; where it is not asked, such a column stays
CREATE DOMAIN rank AS int CHECK (VALUE IN (3, 6, 7));
CREATE TABLE ranks AS SELECT i AS id, (ARRAY[3, 6, 7, 9])[1 + i % 4] AS code, (ARRAY[3, 6, 7, 9])[1 + i % 4] AS kind, (i * 7) % 13 / 13.0::float8 AS x, i % 2 = 0 AS y FROM generate_series(1, 200) i;
SELECT version, value > 0.9 AS good FROM idla_train('ranked', 'ranks', 'y', architecture => 'mlp', options => '{"seed": 1, "folds": 1, "epochs": 20, "linear": false, "columns": {"kind": "category", "id": "ignore"}}');
DELETE FROM ranks WHERE code = 9;
CREATE TABLE listed (LIKE ranks, CHECK (code IN (3, 6, 7)));
CREATE TABLE ranged (LIKE ranks, CHECK (kind < 9));
INSERT INTO listed SELECT * FROM ranks;
INSERT INTO ranged SELECT * FROM ranks;
SELECT avg((a <> l)::int) > 0.9 AS moved, bool_and(a.code IN (3, 6, 7)) AS listed FROM listed l, idla_attack('ranked', l, 1.5, '{"steps": 10, "restarts": 2, "columns": {"kind": {"immutable": true}}}') a;
SELECT avg((a <> r)::int) > 0.9 AS moved, bool_and(a.kind < 9) AS ranged FROM ranged r, idla_attack('ranked', r, 1.5, '{"steps": 10, "restarts": 2, "max_changes": 1, "columns": {"code": {"immutable": true}}}') a;
SELECT bool_and(split_part(a, ',', 1) = '(' || code) AS kept, bool_or(rtrim(split_part(a, ',', 3), ')')::float8 <> x) AS moved FROM (SELECT code, x, idla_attack('ranked', q, 1, '{"steps": 4, "restarts": 1}')::text AS a FROM (SELECT code::rank AS code, kind, x FROM ranks WHERE id < 20) q) z;

-- arrays: element by element, and as signals of all kinds
CREATE TABLE waves AS SELECT i AS id, (i * 7) % 13 AS age, i % 2 = 0 AS ill, ARRAY[(i * 7) % 10, i % 2 * 4 + i % 3, NULL]::int[] AS counts,
	(SELECT array_agg((100 * sin(t * (1 + i % 2) / 4.0) + (i * t) % 7)::int ORDER BY t) FROM generate_series(1, 30 + i % 5) t) AS wave,
	(SELECT array_agg(CASE WHEN t <> 5 THEN sin(t * (1 + i % 2) / 4.0) + ((i * t) % 7) / 20.0 END::float4 ORDER BY t) FROM generate_series(1, 30) t) AS gaps,
	(SELECT ARRAY[array_agg(sin(t * (1 + i % 2) / 4.0)::float8 ORDER BY t), array_agg((cos(t) + (i * t) % 5)::float8 ORDER BY t)] FROM generate_series(0, 29) t) AS leads
FROM generate_series(1, 100) i;
SELECT version, value > 0.9 AS good FROM idla_train('counted', 'SELECT counts, age, ill FROM waves', 'ill', architecture => 'mlp', options => '{"seed": 1, "folds": 1, "epochs": 40, "linear": false}');
SELECT bool_or(a.counts <> w.counts) AS moved, bool_and(array_dims(a.counts) = array_dims(w.counts) AND a.counts[3] IS NULL) AS shape, bool_and(abs(a.counts[2] - w.counts[2]) <= 6) AS near FROM waves w, idla_attack('counted', w, 1) a;
SELECT version, value > 0.9 AS good FROM idla_train('waved', 'SELECT wave, gaps, leads, ill FROM waves', 'ill', architecture => 'fcn', options => '{"seed": 1, "folds": 1, "epochs": 20, "width": 4, "columns": {"wave": "signal", "gaps": {"kind": "signal", "normalize": "signal"}, "leads": {"kind": "signal", "rate": 10, "to_rate": 8}}}');
CREATE TABLE changed AS SELECT a.* FROM waves w, idla_attack('waved', w, 0.3, '{"steps": 10}') a;
SELECT bool_and(c.wave <> w.wave) AS wave, bool_and(c.gaps <> w.gaps) AS gaps, bool_and(c.leads <> w.leads) AS leads, bool_and(array_dims(c.wave) = array_dims(w.wave) AND array_dims(c.leads) = array_dims(w.leads) AND c.gaps[5] IS NULL AND array_position(c.gaps, NULL, 6) IS NULL) AS shapes,
	avg(abs(idla_predict('waved', c) - w.ill::int)) > avg(abs(idla_predict('waved', w) - w.ill::int)) + 0.1 AS worse FROM changed c JOIN waves w USING (id);
SELECT max(abs(x.a - x.b)) <= 0.31 * 75 AS near, bool_or(x.a <> x.b) AS moved FROM changed c JOIN waves w USING (id), unnest(c.wave, w.wave) x (a, b);
SELECT bool_and(a.wave = w.wave) AS same, bool_and(a.gaps <> w.gaps) AS others FROM waves w, idla_attack('waved', w, 0.3, '{"steps": 4, "columns": {"wave": {"immutable": true}}}') a WHERE w.id < 9;
-- a rule about an array holds for what comes back, and what it leaves is less
ALTER TABLE waves ADD CONSTRAINT calm CHECK (wave[1] BETWEEN 0 AND 100 AND wave[2] >= wave[1] - 20 AND gaps[5] IS NULL);
DELETE FROM changed;
ALTER TABLE changed ADD CONSTRAINT calm CHECK (wave[1] BETWEEN 0 AND 100 AND wave[2] >= wave[1] - 20 AND gaps[5] IS NULL);
INSERT INTO changed SELECT a.* FROM waves w, idla_attack('waved', w, 0.3, '{"steps": 10}') a;
SELECT count(*), bool_or(c.wave <> w.wave) AS moved FROM changed c JOIN waves w USING (id);
SELECT c.value > f.value + 0.2 AS rules_help FROM idla_robustness('waved', 'waves', '{0.6}', '{"rows": 40, "steps": 6, "restarts": 1, "certify": 0}') c, idla_robustness('waved', 'SELECT * FROM waves', '{0.6}', '{"rows": 40, "steps": 6, "restarts": 1, "certify": 0}') f
WHERE c.measure = 'robust accuracy' AND f.measure = c.measure;

-- a value that its type does not take is not one, and ends no statement
CREATE TABLE full_scale AS SELECT i AS id, i % 2 = 0 AS ill, (SELECT array_agg(9.99 * (CASE WHEN i % 2 = 0 THEN 1 ELSE -1 END) - (i * t) % 3 / 100.0 * (CASE WHEN i % 2 = 0 THEN 1 ELSE -1 END) ORDER BY t)::numeric(3, 2)[] FROM generate_series(1, 20) t) AS wave FROM generate_series(1, 60) i;
ALTER TABLE full_scale ADD CONSTRAINT asked CHECK (cardinality(wave) = 20);
SELECT version FROM idla_train('scaled', 'SELECT wave, ill FROM full_scale', 'ill', architecture => 'fcn', options => '{"seed": 1, "folds": 1, "epochs": 4, "width": 4, "columns": {"wave": "signal"}}');
SELECT count(*), bool_and(cardinality(a.wave) = 20) AS whole FROM full_scale f, idla_attack('scaled', f, 0.5, '{"steps": 4, "restarts": 1}') a WHERE f.id < 9;
SELECT measure, epsilon, n FROM idla_robustness('scaled', 'full_scale', '{0.5}', '{"rows": 8, "steps": 4, "restarts": 1, "certify": 0}') WHERE measure = 'robust accuracy';

-- images: files of eight and sixteen bits as PNG in their own steps, arrays as they are
CREATE TABLE photos AS SELECT i AS id, i % 2 = 0 AS bright, decode((ARRAY['89504e470d0a1a0a0000000d494844520000000a000000080800000000e591316a000000174944415478da6310810306913b77eee06722a925c00400ce6e0d49f61b305e0000000049454e44ae426082',
	'89504e470d0a1a0a0000000d494844520000000a000000080800000000e591316a000000154944415478da6310810306229977eedcc1cf040100c32f0d4900bd8bd40000000049454e44ae426082'])[1 + i % 2], 'hex') AS photo,
	ARRAY[[i % 2 * 4, 3, i % 5], [7, i % 7, 1 + i % 2 * 5], [2, i % 3, 3]]::int2[] AS scan
FROM generate_series(1, 60) i;
SELECT version FROM idla_train('photo_model', 'SELECT photo, scan, bright FROM photos', 'bright', architecture => 'cnn', options => '{"seed": 1, "folds": 1, "epochs": 4, "depth": 1, "width": 4}');
CREATE TABLE moved AS SELECT a.* FROM photos p, idla_attack('photo_model', p, 0.5, '{"steps": 10}') a;
SELECT bool_and(i.format = 'PNG' AND i.width = 10 AND i.height = 8 AND i.bits = 8) AS format, bool_and(m.photo <> p.photo) AS moved, bool_or(m.scan <> p.scan) AS scan_moved, bool_and(array_dims(m.scan) = '[1:3][1:3]') AS shape FROM moved m JOIN photos p USING (id), idla_image_info(m.photo) i;
SELECT bool_and(a.photo = p.photo) AS same FROM photos p, idla_attack('photo_model', p, 0.5, '{"columns": {"photo": {"immutable": true}}}') a WHERE p.id < 5;
ALTER TABLE photos ADD CONSTRAINT small CHECK (length(photo) < 85);
SELECT bool_and(length(a.photo) < 85) AS small FROM photos p, idla_attack('photo_model', p, 0.5, '{"steps": 4}') a WHERE p.id < 9;

-- certificates: of images, signals and series, and no more than words where there is nothing to certify
SELECT measure, epsilon, n, detail FROM idla_robustness('photo_model', 'photos', '{0.1}', '{"rows": 8, "steps": 2, "restarts": 1, "certify": 4, "samples": 50}') WHERE measure = 'certified accuracy';
SELECT measure, epsilon, n, value = 1 AS sure, detail LIKE '%standard deviations of arrays, signals and series%' AS units FROM idla_robustness('waved', 'waves', '{0.01}', '{"rows": 8, "steps": 2, "restarts": 1, "certify": 4, "samples": 50, "sigma": 0.05}') WHERE measure = 'certified accuracy';
CREATE TABLE icu AS SELECT p AS patient, h AS hour, 80 + (p % 2) * 20 + (h * p) % 7 AS hr, p % 2 = 0 AS died FROM generate_series(1, 60) p, generate_series(1, 8) h;
SELECT version FROM idla_train('series_model', 'icu', 'died', architecture => 'gru', options => '{"entity": "patient", "time": "hour", "series": {"bins": 8, "use": "bins"}, "epochs": 6, "folds": 1, "seed": 1}');
SELECT measure, epsilon, n, value, detail FROM idla_robustness('series_model', 'icu', '{0.1}', '{"rows": 8, "steps": 2, "restarts": 1, "certify": 4, "samples": 50, "sigma": 0.1}') WHERE measure NOT LIKE 'mean%' AND detail IS NOT NULL;
CREATE TABLE notes AS SELECT CASE WHEN i % 2 = 0 THEN 'fever and cough ' ELSE 'is well today ' END || i AS note, i % 2 = 0 AS ill FROM generate_series(1, 60) i;
SELECT version FROM idla_train('note_model', 'notes', 'ill', options => '{"epochs": 4, "folds": 1, "seed": 1, "columns": {"note": "text"}}');
SELECT measure, value IS NULL AS unknown, detail FROM idla_robustness('note_model', 'notes', '{0.1}', '{"rows": 8}') WHERE detail IS NOT NULL AND measure NOT LIKE 'mean%';
DROP SCHEMA attack CASCADE;
DROP ROLE idla_author, idla_reader;
