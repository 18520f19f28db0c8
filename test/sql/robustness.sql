-- Option adversarial, idla_robustness, idla_attack.
\set VERBOSITY default
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA robustness;
SET search_path = robustness, public;
CREATE DOMAIN share AS numeric(3, 2) CHECK (VALUE BETWEEN 0 AND 1);
CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
-- height tells the class but for every seventh row, weight tells it exactly but by little
CREATE TABLE patients (
	id int PRIMARY KEY, height int CHECK (height >= 100 AND height <= 220), weight numeric(5, 1) CHECK (weight > 0),
	part share, sex text CHECK (sex IN ('f', 'm')), tint colour, smoker boolean,
	low float8, high float8, doubled float8 GENERATED ALWAYS AS (low * 2) STORED, sick boolean,
	CONSTRAINT ordered CHECK (low < high));
INSERT INTO patients (id, height, weight, part, sex, tint, smoker, low, high, sick)
SELECT i, 160 + CASE WHEN (i % 2 = 0) = (i % 7 <> 0) THEN 20 ELSE -20 END + (i * 13) % 9, 70 + CASE WHEN i % 2 = 0 THEN 1 ELSE -1 END + ((i * 29) % 11 - 5) / 10.0,
	((i * 17) % 100) / 100.0, (ARRAY['f', 'm'])[1 + (i / 3) % 2], (ARRAY['red', 'green', 'blue'])[1 + (i / 5) % 3]::colour, (i / 4) % 2 = 0,
	(i * 31) % 10, (i * 31) % 10 + 1 + i % 4, i % 2 = 0
FROM generate_series(1, 400) i;
SELECT version, value > 0.9 AS good FROM idla_train('plain', 'patients', 'sick', architecture => 'mlp',
	options => '{"seed": 1, "folds": 1, "epochs": 30, "linear": false, "columns": {"height": {"immutable": true}}}');
SELECT version, value > 0.7 AS good FROM idla_train('hard', 'patients', 'sick', architecture => 'mlp',
	options => '{"seed": 1, "folds": 1, "epochs": 30, "linear": false, "columns": {"height": {"immutable": true}}, "adversarial": {"epsilon": 1, "steps": 5, "share": 1}}');
SELECT version FROM idla_train('trades', 'SELECT height, weight, sick FROM patients', 'sick', architecture => 'mlp',
	options => '{"seed": 1, "folds": 1, "epochs": 2, "adversarial": {"method": "trades", "norm": "l2", "epsilon": 0.5, "steps": 3, "beta": 3}}');
SELECT version FROM idla_train('weights', 'SELECT height, sex, weight FROM patients', 'weight', architecture => 'mlp',
	options => '{"seed": 1, "folds": 1, "epochs": 2, "adversarial": "fgsm"}');
SELECT card -> 'adversarial' AS adversarial FROM hard WHERE chunk = 0 UNION ALL SELECT card -> 'adversarial' FROM trades WHERE chunk = 0
UNION ALL SELECT card -> 'adversarial' FROM weights WHERE chunk = 0 UNION ALL SELECT card -> 'adversarial' FROM plain WHERE chunk = 0;

-- measured
CREATE TABLE measured AS
SELECT 'plain' AS model, r.* FROM idla_robustness('plain', 'patients', '{0.5, 1}', '{"rows": 100, "steps": 10, "restarts": 1, "certify": 10, "samples": 100}') r
UNION ALL SELECT 'hard', r.* FROM idla_robustness('hard', 'patients', '{0.5, 1}', '{"rows": 100, "steps": 10, "restarts": 1, "certify": 10, "samples": 100}') r;
SELECT model, measure, epsilon, n, low <= value AND value <= high AS within, detail IS NOT NULL AS says_more FROM measured ORDER BY model DESC, measure, epsilon;
-- a radius is at most what 100 noisy copies that all agree prove, and no less than the shares at each epsilon say
SELECT r.model, r.n, r.value BETWEEN 0.5 * (SELECT sum(value) FROM measured a WHERE a.model = r.model AND a.measure = 'certified accuracy' AND epsilon > 0) - 1e-9 AND 0.5 * 1.5 AS bounded, r.detail LIKE '%confidence of 0.999.' AS says FROM measured r WHERE r.measure = 'mean certified radius' ORDER BY 1;
SELECT p.value - h.value > 0.2 AS worth_it FROM measured h, measured p WHERE p.model = 'hard' AND h.model = 'plain' AND p.measure = 'robust accuracy' AND h.measure = p.measure AND p.epsilon = 1 AND h.epsilon = 1;
SELECT bool_and(a.value >= b.value) AS falls FROM measured a JOIN measured b USING (model, measure) WHERE a.epsilon < b.epsilon AND measure IN ('robust accuracy', 'certified accuracy');
SELECT measure, epsilon, value BETWEEN 0 AND 1 AS share FROM idla_robustness('weights', 'SELECT * FROM patients LIMIT 40', '{0.5}', '{"steps": 5, "restarts": 1, "norm": "l2", "tolerance": 1}') WHERE measure LIKE '%accuracy';

-- a row comes back as the row it is; constraints hold, keys, immutables and what is generated stay
CREATE TABLE attacked (LIKE patients INCLUDING ALL);
INSERT INTO attacked (id, height, weight, part, sex, tint, smoker, low, high, sick)
SELECT (a).id, (a).height, (a).weight, (a).part, (a).sex, (a).tint, (a).smoker, (a).low, (a).high, (a).sick
FROM (SELECT idla_attack('plain', p, 1, '{"max_changes": 2, "steps": 10}') AS a FROM patients p WHERE id <= 60) s;
SELECT count(*), bool_and(a.height = p.height AND a.low = p.low AND a.doubled = p.doubled AND a.sick = p.sick) AS kept, bool_or(a.high <> p.high) AS high_moved,
	bool_or(a.weight <> p.weight) AS moved, bool_and(abs(a.weight - p.weight) <= (SELECT percentile_cont(0.75) WITHIN GROUP (ORDER BY weight) - percentile_cont(0.25) WITHIN GROUP (ORDER BY weight) FROM patients) * 1.1) AS near
FROM attacked a JOIN patients p USING (id);
SELECT avg((idla_classify('plain', p)::boolean = sick)::int) - avg((idla_classify('plain', a)::boolean = a.sick)::int) > 0.3 AS fooled FROM attacked a JOIN patients p USING (id, sick);
-- epsilon 0 changes nothing; what the user forbids neither
SELECT bool_and(idla_attack('plain', p, 0) = p) AS same FROM patients p WHERE id <= 5;
SELECT bool_and((idla_attack('plain', p, 1, '{"columns": {"weight": {"immutable": true}}}')).weight = weight) AS same FROM patients p WHERE id <= 5;
SELECT bool_and((idla_attack('plain', p, 1, '{"columns": {"weight": {"low": 70, "high": 70.5, "step": 0.5}}}')).weight IN (weight, 70, 70.5)) AS within FROM patients p WHERE id <= 20;
SELECT idla_attack('plain', NULL::patients, 1) IS NULL AS nothing;
SELECT pg_typeof(idla_attack('weights', p, 0.5)) FROM patients p WHERE id = 3;

-- images: pixels move by epsilon at most, and come back as PNG
CREATE TABLE photos AS SELECT i AS id, i % 2 = 0 AS bright, i % 5 AS ward, decode((ARRAY['89504e470d0a1a0a0000000d494844520000000a000000080800000000e591316a000000174944415478da6310810306913b77eee06722a925c00400ce6e0d49f61b305e0000000049454e44ae426082',
	'89504e470d0a1a0a0000000d494844520000000a000000080800000000e591316a000000154944415478da6310810306229977eedcc1cf040100c32f0d4900bd8bd40000000049454e44ae426082'])[1 + i % 2], 'hex') AS photo
FROM generate_series(1, 60) i;
SELECT version FROM idla_train('photo_model', 'SELECT photo, ward, bright FROM photos', 'bright', architecture => 'cnn',
	options => '{"seed": 1, "folds": 1, "epochs": 4, "depth": 1, "width": 4, "adversarial": {"epsilon": 0.05, "steps": 2}}');
SELECT measure, epsilon, value BETWEEN 0 AND 1 AS share, n FROM idla_robustness('photo_model', 'photos', '{0.02}', '{"steps": 4, "restarts": 1, "columns": {"ward": {"immutable": true}}}') WHERE measure LIKE '%accuracy';
SELECT i.format, i.width, i.height, (a).ward = ward AS kept, (a).photo <> photo AS moved
FROM (SELECT p.*, idla_attack('photo_model', p, 0.05, '{"columns": {"ward": {"immutable": true}}}') AS a FROM photos p WHERE id = 1) s, idla_image_info((a).photo) i;

-- a type that a column had in training, and that is gone since, as in a database that imported the model
CREATE DOMAIN whole AS int;
CREATE TABLE counted AS SELECT ARRAY[i % 7, i % 5]::whole[] AS counts, i % 7 > 3 AS sick FROM generate_series(1, 100) i;
SELECT rows_used FROM idla_train('counts', 'counted', 'sick', architecture => 'mlp', options => '{"epochs": 1, "width": 4, "folds": 1}');
ALTER DOMAIN whole RENAME TO natural_number;
SELECT count(*) > 5 AS measured FROM idla_robustness('counts', 'SELECT counts::int[] AS counts, sick FROM counted');
CREATE TABLE counted_since AS SELECT counts::int[] AS counts FROM counted LIMIT 1;
SELECT cardinality((idla_attack('counts', c, 0.5)).counts) FROM counted_since c;

-- what cannot be
SELECT idla_train('m', 'patients', 'sick', options => '{"adversarial": "pdg"}');
SELECT idla_train('m', 'patients', 'sick', options => '{"adversarial": {"epsilon": -1}}');
SELECT idla_train('m', 'patients', 'sick', options => '{"adversarial": {"eps": 1}}');
SELECT idla_train('m', 'SELECT sex, tint, sick FROM patients', 'sick', options => '{"adversarial": "pgd"}');
SELECT idla_train('m', 'SELECT height, weight, sick FROM patients', NULL, 'survival', options => '{"time": "weight", "event": "sick", "adversarial": "pgd"}');
SELECT * FROM idla_robustness('plain', 'patients', '{}');
SELECT * FROM idla_robustness('plain', 'patients', '{-1}');
SELECT * FROM idla_robustness('plain', 'patients', '{1}', '{"step": 5}');
SELECT * FROM idla_robustness('plain', 'patients', '{1}', '{"columns": {"weihgt": "keep"}}');
SELECT * FROM idla_robustness('plain', 'patients', '{1}', '{"columns": {"weight": {"low": 5, "high": 4}}}');
SELECT * FROM idla_robustness('plain', 'patients', '{1}', '{"columns": {"sex": {"low": 5}}}');
SELECT * FROM idla_robustness('plain', 'patients', NULL);
SELECT idla_attack('plain', p, -1) FROM patients p LIMIT 1;
SELECT idla_attack('plain', 5, 1);
DROP SCHEMA robustness CASCADE;
