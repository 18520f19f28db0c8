-- Teachers and students: what is learned of another model's answers, whose answers count, and what is refused.
SET client_min_messages = warning;
CREATE SCHEMA distil;
SET search_path = distil, public;
SET idla.progress = off;

-- Numbers that look random and are the same everywhere.
CREATE FUNCTION uniform(i int, stream int) RETURNS float8 LANGUAGE sql IMMUTABLE
RETURN (('x' || substr(md5(i || ' ' || stream), 1, 8))::bit(32)::bigint + 0.5) / 4294967296;

-- "secret" decides much, and the student will not see it; of labs one row has a value too few.
CREATE TABLE people AS
SELECT i AS id, i % 60 AS doctor, uniform(i, 1) AS a, uniform(i, 2) AS b, uniform(i, 3) AS secret, ARRAY[uniform(i, 4), uniform(i, 5), uniform(i, 6)] AS labs,
	CASE WHEN uniform(i, 7) < 0.5 THEN 'seen for pain in the chest' ELSE 'comes for a letter to the insurance' END || ', number ' || i AS note,
	uniform(i, 8) < uniform(i, 1) AS sick, uniform(i, 9) < uniform(i, 2) AS tired,
	CASE WHEN uniform(i, 10) < uniform(i, 1) / 2 THEN 9 WHEN uniform(i, 10) < uniform(i, 1) THEN 10 ELSE 11 END AS ward,
	10 * uniform(i, 1) + uniform(i, 11) AS days, 5 * uniform(i, 2) - uniform(i, 12) AS cost
FROM generate_series(1, 600) i;
CREATE VIEW source AS SELECT a, b, secret, sick FROM people;

-- two classes
SELECT model FROM idla_train('teacher', 'source', 'sick', architecture => 'mlp', options => '{"epochs": 20}');
SELECT model FROM idla_train('alone', 'source', 'sick', architecture => 'mlp', options => '{"epochs": 5, "folds": 1, "columns": {"secret": "ignore"}}');
SELECT model, version, task FROM idla_train('student', 'source', 'sick', architecture => 'mlp', options => '{"epochs": 5, "folds": 1, "columns": {"secret": "ignore"}, "teacher": "teacher", "distil_weight": 0}');
SELECT (SELECT string_agg(weights, '' ORDER BY chunk) FROM alone WHERE version = 1) = (SELECT string_agg(weights, '' ORDER BY chunk) FROM student WHERE version = 1) AS same_bits;
SELECT version FROM idla_train('student', 'source', 'sick', architecture => 'mlp', options => '{"epochs": 40, "folds": 1, "teacher": "teacher", "distil_weight": 1, "deploy": true}');
SELECT version FROM idla_train('student', 'source', 'sick', architecture => 'mlp', options => '{"epochs": 5, "folds": 1, "teacher": "distil.teacher"}');
-- one that learned nothing but the teacher's answers says nearly the same
SELECT corr(idla_predict('student', s), idla_predict('teacher', s)) > 0.9 AS agrees FROM source s;
-- what is told of the teacher, in the card and in the manifest
SELECT version, card -> 'teacher' ->> 'model' AS model, card -> 'teacher' ->> 'version' AS number, (card -> 'teacher' ->> 'weight')::numeric AS weight, card -> 'teacher' ->> 'same_test' AS same_test,
	card -> 'teacher' ->> 'unanswered' AS unanswered, card -> 'teacher' ->> 'digest' = (SELECT manifest ->> 'sha256' FROM teacher WHERE chunk = 0) AS known_by_digest,
	card -> 'teacher' -> 'metrics' -> 'auroc' -> 'n' AS n, manifest -> 'teacher' = (card -> 'teacher') - 'metrics' AS in_the_manifest
FROM student WHERE chunk = 0 ORDER BY version;
SELECT (t.card -> 'metrics' -> 'auroc' ->> 'value')::numeric(6, 4) = (s.card -> 'teacher' -> 'metrics' -> 'auroc' ->> 'value')::numeric(6, 4) AS the_teachers_own_metric
FROM teacher t, student s WHERE t.chunk = 0 AND s.chunk = 0 AND s.version = 2;
-- a copy and a file take it with them
SELECT idla_copy('student', 'copied') AS version;
SELECT idla_import('imported', idla_export('student')) AS version;
SELECT c.card -> 'teacher' = s.card -> 'teacher' AS copied, i.card -> 'teacher' = s.card -> 'teacher' AS imported FROM copied c, imported i, student s
WHERE c.chunk = 0 AND i.chunk = 0 AND s.chunk = 0 AND s.version = 2;

-- the other class is positive: its probability is taught
SELECT positive FROM idla_train('healthy', 'source', 'sick', architecture => 'mlp', options => '{"epochs": 40, "folds": 1, "positive": false, "teacher": "teacher", "distil_weight": 1}');
SELECT corr(idla_predict('healthy', s), idla_predict('teacher', s)) < -0.9 AS agrees FROM source s;
SELECT card -> 'teacher' ->> 'same_test' AS same_test FROM healthy WHERE chunk = 0;

-- three classes, whose order is that of numbers for the teacher and that of words for the student
SELECT model FROM idla_train('ward', 'SELECT a, b, ward FROM people', 'ward', architecture => 'linear', options => '{"epochs": 20}');
SELECT model FROM idla_train('ward_small', 'SELECT a, b, ward::text AS ward FROM people', 'ward', architecture => 'linear', options => '{"epochs": 40, "folds": 1, "teacher": "ward", "distil_weight": 1}');
SELECT t.card ->> 'classes' AS teacher, s.card ->> 'classes' AS student FROM ward t, ward_small s WHERE t.chunk = 0 AND s.chunk = 0;
SELECT class, corr((idla_probabilities('ward', p) ->> class)::float8, (idla_probabilities('ward_small', p) ->> class)::float8) > 0.9 AS agrees
FROM (SELECT a, b FROM people) p, unnest(ARRAY['9', '10', '11']) class GROUP BY class ORDER BY class;

-- values, of two targets in another order
SELECT model FROM idla_train('stay', 'SELECT a, b, days, cost FROM people', 'days,cost', architecture => 'linear', options => '{"epochs": 40}');
SELECT model FROM idla_train('stay_small', 'SELECT a, b, days, cost FROM people', 'cost,days', architecture => 'linear', options => '{"epochs": 40, "folds": 1, "teacher": "stay", "distil_weight": 1}');
SELECT target, corr(idla_predict('stay', p, output => target), idla_predict('stay_small', p, output => target)) > 0.9 AS agrees,
	abs(avg(idla_predict('stay', p, output => target) - idla_predict('stay_small', p, output => target))) < 0.3 AS in_its_unit
FROM (SELECT a, b FROM people) p, unnest(ARRAY['days', 'cost']) target GROUP BY target ORDER BY target;
SELECT model FROM idla_train('days_small', 'SELECT a, b, days FROM people', 'days', architecture => 'linear', options => '{"epochs": 5, "folds": 1}');
SELECT card -> 'teacher' ->> 'same_test' AS same_test FROM stay_small WHERE chunk = 0;

-- labels, likewise
SELECT model FROM idla_train('labels', 'SELECT a, b, sick, tired FROM people', 'sick,tired', architecture => 'linear', options => '{"epochs": 40}');
SELECT model FROM idla_train('labels_small', 'SELECT a, b, sick, tired FROM people', 'tired,sick', architecture => 'linear', options => '{"epochs": 40, "folds": 1, "teacher": "labels", "distil_weight": 1}');
SELECT label, corr(idla_predict('labels', p, output => label), idla_predict('labels_small', p, output => label)) > 0.9 AS agrees
FROM (SELECT a, b FROM people) p, unnest(ARRAY['sick', 'tired']) label GROUP BY label ORDER BY label;
SELECT card -> 'teacher' ->> 'same_test' AS same_test FROM labels_small WHERE chunk = 0;

-- a teacher that reads, and a student of columns alone
SELECT model FROM idla_train('reader', 'SELECT a, b, note, sick FROM people', 'sick', options => '{"epochs": 2, "folds": 1, "columns": {"note": "text"}}');
SELECT model FROM idla_train('deaf', 'SELECT a, b, note, sick FROM people', 'sick', architecture => 'linear', options => '{"epochs": 5, "folds": 1, "columns": {"note": "ignore"}, "teacher": "reader"}');
SELECT DISTINCT version FROM idla_distil('reader', 'deaf', 'SELECT a, b, note, sick FROM people', options => '{"epochs": 5, "columns": {"note": "ignore"}}');
SELECT jsonb_path_query_array(card -> 'inputs', '$[*].name') AS inputs, card -> 'teacher' ->> 'unanswered' AS unanswered FROM deaf WHERE chunk = 0 ORDER BY version;

-- where rows go to a file, the answers beside them stay in memory, up to half of what there is
CREATE VIEW many AS SELECT s.* FROM source s, generate_series(1, 100);
SET idla.train_memory = '1MB';
SELECT version, rows_used FROM idla_train('alone', 'many', 'sick', architecture => 'linear', options => '{"epochs": 1, "folds": 1, "teacher": "student"}');
SELECT version FROM idla_train('alone', 'SELECT m.* FROM many m, generate_series(1, 3)', 'sick', architecture => 'linear', options => '{"epochs": 1, "folds": 1, "teacher": "student"}');
RESET idla.train_memory;
SELECT version FROM idla_train('alone', 'many', 'sick', architecture => 'linear', options => '{"epochs": 1, "folds": 1, "teacher": "student"}');
SELECT count(DISTINCT weights) AS one FROM alone WHERE version > 1 AND weights IS NOT NULL;

-- rows that the teacher cannot take: an error, or rows that teach their target alone
SELECT model FROM idla_train('lab', 'SELECT a, labs, sick FROM people', 'sick', architecture => 'linear', options => '{"epochs": 5}');
CREATE VIEW short AS SELECT a, b, CASE WHEN id IN (3, 300) THEN labs[1:2] ELSE labs END AS labs, sick FROM people;
SELECT model FROM idla_train('unlabbed', 'short', 'sick', architecture => 'linear', options => '{"epochs": 5, "folds": 1, "columns": {"labs": "ignore"}, "teacher": "lab"}');
SET client_min_messages = notice;
SELECT rows_used, rows_dropped FROM idla_train('unlabbed', 'short', 'sick', architecture => 'linear', options => '{"epochs": 5, "folds": 1, "columns": {"labs": "ignore"}, "teacher": "lab", "on_bad_input": "skip"}');
SELECT card -> 'teacher' ->> 'unanswered' AS unanswered FROM unlabbed WHERE chunk = 0;

-- who has learned from the rows that judge is told of
SELECT model FROM idla_train('seed2', 'source', 'sick', architecture => 'linear', options => '{"epochs": 5, "folds": 1, "seed": 2, "teacher": "teacher"}');
SELECT model FROM idla_train('fewer', 'SELECT * FROM source WHERE a < 0.9', 'sick', architecture => 'linear', options => '{"epochs": 5, "folds": 1, "teacher": "teacher"}');
SELECT card -> 'teacher' ->> 'same_test' AS same_test FROM seed2 WHERE chunk = 0;
SELECT model FROM idla_train('untested', 'source', 'sick', architecture => 'linear', options => '{"epochs": 5, "folds": 1, "test": 0, "teacher": "teacher"}');
-- groups are dealt to two parts or to three, and the test part is the teacher's all the same
SELECT model FROM idla_train('grouped', 'SELECT doctor, a, b, sick FROM people', 'sick', architecture => 'linear', options => '{"epochs": 5, "group_by": "doctor"}');
SELECT model FROM idla_train('grouped_small', 'SELECT doctor, a, b, sick FROM people', 'sick', architecture => 'linear', options => '{"epochs": 5, "group_by": "doctor", "folds": 1, "teacher": "grouped"}');
SELECT card -> 'teacher' ->> 'same_test' AS same_test, (card -> 'parts' ->> 'validation')::int > 0 AS validated FROM grouped_small WHERE chunk = 0;
-- as large as the student asks for; and the test part is that of its own students too
SELECT model FROM idla_train('half', 'SELECT doctor, a, b, sick FROM people', 'sick', architecture => 'linear', options => '{"epochs": 5, "group_by": "doctor", "validation": 0.4, "teacher": "grouped_small"}');
SELECT model FROM idla_train('grandchild', 'SELECT doctor, a, b, sick FROM people', 'sick', architecture => 'linear', options => '{"epochs": 5, "group_by": "doctor", "teacher": "half"}');
SELECT card -> 'parts' AS parts, card -> 'teacher' ->> 'same_test' AS same_test, manifest -> 'split' ->> 'validation' AS validation, manifest -> 'split' ->> 'dealt_validation' AS dealt
FROM (SELECT 1 AS n, card, manifest FROM half WHERE chunk = 0 UNION ALL SELECT 2, card, manifest FROM grandchild WHERE chunk = 0) x ORDER BY n;
SELECT model FROM idla_train('ordered', 'SELECT id, a, b, sick FROM people', 'sick', architecture => 'linear', options => '{"epochs": 5, "order_by": "id"}');
SELECT model FROM idla_train('ordered_small', 'SELECT id, a, b, sick FROM people', 'sick', architecture => 'linear', options => '{"epochs": 5, "order_by": "id", "teacher": "ordered"}');

SET client_min_messages = warning;

-- the short form
SELECT metric, teacher IS NOT NULL AS teacher, low <= student AND student <= high AS student, n FROM idla_distil('teacher', 'short_form', 'source', options => '{"epochs": 5}');
SELECT card ->> 'architecture' AS architecture, card -> 'options' AS options, card ->> 'target' AS target FROM short_form WHERE chunk = 0;
SELECT DISTINCT version FROM idla_distil('teacher', 'short_form', 'source', 'linear', '{"epochs": 5, "distil_weight": 0.5, "seed": 1}');
SELECT version, card ->> 'architecture' AS architecture, card -> 'teacher' ->> 'weight' AS weight FROM short_form WHERE chunk = 0 ORDER BY version;
SELECT count(*) FROM idla_distil('grouped', 'grouped_short', 'SELECT doctor, a, b, sick FROM people', options => '{"epochs": 5}');
SELECT card -> 'options' ->> 'group_by' AS group_by, card -> 'teacher' ->> 'same_test' AS same_test FROM grouped_short WHERE chunk = 0;
SELECT metric, n FROM idla_distil('stay', 'stay_short', 'SELECT a, b, days, cost FROM people', options => '{"epochs": 5}');
SELECT metric, n FROM idla_distil('ward', 'ward_short', 'SELECT a, b, ward FROM people', options => '{"epochs": 5}');
-- of a model by itself, as a candidate
SELECT DISTINCT version FROM idla_distil('teacher', 'teacher', 'source', options => '{"epochs": 5}');
SELECT version, in_service FROM idla_versions WHERE model = 'teacher'::regclass ORDER BY version;
-- without rows to judge by there is nothing to tell
SELECT * FROM idla_distil('teacher', 'unjudged', 'source', options => '{"epochs": 5, "test": 0, "validation": 0}');
SELECT * FROM idla_distil(NULL, 'x', 'source');
SELECT * FROM idla_distil('teacher', NULL, 'source');
SELECT * FROM idla_distil('teacher', 'x', NULL);
SELECT * FROM idla_distil('people', 'x', 'source');
SELECT * FROM idla_distil('teacher', 'x', 'source', options => '{"teachr": "y"}');
SELECT * FROM idla_distil('teacher', 'x', 'source', options => '3');
SELECT * FROM idla_distil('teacher', 'x', 'source', options => '{"teacher": "student"}');

-- each names classes by its own threshold, which the student takes over as it is now, for the same class
UPDATE teacher SET card = card || '{"threshold": 0.25}' WHERE version = 1 AND chunk = 0;
SELECT count(*) FROM idla_distil('teacher', 'careful', 'source', options => '{"epochs": 5}');
SELECT count(*) FROM idla_distil('teacher', 'careful', 'source', options => '{"epochs": 5, "positive": false}');
SELECT version, card ->> 'threshold' AS threshold, card ->> 'positive' AS positive FROM careful WHERE chunk = 0 ORDER BY version;
SELECT version FROM idla_train('careful', 'source', 'sick', architecture => 'linear', options => '{"epochs": 5, "folds": 1, "teacher": "teacher", "distil_weight": 0}');
SELECT (s.card -> 'teacher' -> 'metrics' -> 'f1' ->> 'value')::float8 <> (t.card -> 'metrics' -> 'f1' ->> 'value')::float8 AS judged_anew, s.card ->> 'threshold' AS its_own
FROM careful s, teacher t WHERE s.version = 3 AND s.chunk = 0 AND t.version = 1 AND t.chunk = 0;
UPDATE teacher SET card = card - 'threshold' WHERE version = 1 AND chunk = 0;

-- a card is untrusted: what is no object tells nothing, and options are read as anybody's
UPDATE copied SET card = '[1]' WHERE chunk = 0;
SELECT count(*) FROM idla_distil('copied', 'of_copied', 'source', options => '{"epochs": 5}');
UPDATE copied SET card = '{"options": 3}' WHERE chunk = 0;
SELECT count(*) FROM idla_distil('copied', 'of_copied', 'source', options => '{"epochs": 5}');
UPDATE copied SET card = '{"options": {"seed": "one"}}' WHERE chunk = 0;
SELECT count(*) FROM idla_distil('copied', 'of_copied', 'source', options => '{"epochs": 5}');
-- what is wrong with a card is said before a row is read
UPDATE copied SET card = '{"threshold": 7}' WHERE chunk = 0;
SELECT model FROM idla_train('x', 'SELECT a, b, 1 / (a - a) AS secret, sick FROM people', 'sick', architecture => 'linear', options => '{"epochs": 5, "teacher": "copied"}');
-- a function of the source drops the teacher while it is asked: no lock of the same session keeps it
CREATE FUNCTION drops(i int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF i = 300 THEN DROP TABLE imported; END IF; RETURN true; END $$;
SELECT model FROM idla_train('orphan', 'SELECT a, b, secret, sick FROM people WHERE drops(id)', 'sick', architecture => 'linear', options => '{"epochs": 5, "folds": 1, "seed": 2, "teacher": "imported"}');
SELECT card -> 'teacher' ->> 'model' AS model, to_regclass('imported') IS NULL AS gone FROM orphan WHERE chunk = 0;
BEGIN READ ONLY;
SELECT count(*) FROM idla_distil('teacher', 'x', 'source');
ROLLBACK;

-- what is refused
\set student 'SELECT model FROM idla_train(''x'', ''source'', ''sick'', architecture => ''linear'', options => '
:student '{"teacher": "nobody"}');
:student '{"teacher": "people"}');
:student '{"teacher": 1}');
:student '{"distil_weight": 0.5}');
:student '{"distil_weight": 1.5, "teacher": "teacher"}');
:student '{"teacher": "teacher", "class_weights": "balanced"}');
:student '{"teacher": "teacher", "augment": {"mixup": 0.5}}');
:student '{"teacher": "ward"}');
SELECT model FROM idla_train('x', 'SELECT a, b, secret, ward AS sick FROM people', 'sick', options => '{"teacher": "teacher"}');
SELECT model FROM idla_train('x', 'SELECT a, b, secret, 3 * a AS sick FROM people', 'sick', options => '{"teacher": "teacher"}');
SELECT model FROM idla_train('x', 'SELECT a, b, secret, id % 3 AS sick FROM people', 'sick', task => 'regression', options => '{"teacher": "teacher"}');
SELECT model FROM idla_train('x', 'SELECT a, b, secret, tired FROM people', 'tired', options => '{"teacher": "teacher"}');
SELECT model FROM idla_train('x', 'SELECT a, b, days FROM people', 'days', options => '{"teacher": "stay"}');
SELECT model FROM idla_train('x', 'SELECT a, b, sick FROM people', 'sick', options => '{"teacher": "teacher"}');
SELECT model FROM idla_train('x', 'SELECT a, b, ward FROM people WHERE ward > 9', 'ward', task => 'multiclass', options => '{"teacher": "ward"}');
SELECT model FROM idla_train('x', 'SELECT a, b, secret, CASE WHEN sick THEN ''yes'' ELSE ''no'' END AS sick FROM people', 'sick', options => '{"teacher": "teacher"}');
SELECT model FROM idla_train('x', 'SELECT a, days, sick FROM people', NULL, options => '{"time": "days", "event": "sick", "teacher": "teacher"}');
SELECT model FROM idla_train('x', 'SELECT doctor, id, a, b, secret, doctor % 2 = 0 AS sick FROM people', 'sick', options => '{"entity": "doctor", "time": "id", "teacher": "teacher"}');
SELECT model FROM idla_train('tags', 'SELECT ARRAY[''pain'', ''x'' || id] AS words, ARRAY[''B-A'', ''O''] AS tags FROM people', 'tags', options => '{"epochs": 1, "teacher": "teacher"}');
SELECT model FROM idla_train('risk', 'SELECT a, days, sick FROM people', NULL, architecture => 'linear', options => '{"time": "days", "event": "sick", "epochs": 2}');
:student '{"teacher": "risk"}');
SELECT * FROM idla_distil('risk', 'x', 'SELECT a, days, sick FROM people');
SELECT model FROM idla_train('series', 'SELECT doctor, id, a, doctor % 2 = 0 AS sick FROM people', 'sick', architecture => 'linear', options => '{"entity": "doctor", "time": "id", "series": {"use": "summary"}, "epochs": 2}');
:student '{"teacher": "series"}');
UPDATE risk SET in_service = false;
UPDATE teacher SET in_service = false;
:student '{"teacher": "teacher"}');
UPDATE teacher SET in_service = true WHERE version = 1 AND chunk = 0;

-- the right to predict is asked for, and no more
CREATE ROLE idla_student;
GRANT USAGE, CREATE ON SCHEMA distil TO idla_student;
GRANT SELECT ON source TO idla_student;
SET ROLE idla_student;
SELECT model FROM idla_train('own', 'source', 'sick', architecture => 'linear', options => '{"epochs": 5, "folds": 1, "teacher": "teacher"}');
SELECT count(*) FROM idla_distil('teacher', 'own', 'source', options => '{"epochs": 5}');
RESET ROLE;
GRANT SELECT (version, in_service, card) ON teacher TO idla_student;
SET ROLE idla_student;
SELECT model FROM idla_train('own', 'source', 'sick', architecture => 'linear', options => '{"epochs": 5, "folds": 1, "teacher": "teacher"}');
SELECT count(*) FROM idla_distil('teacher', 'own', 'source', options => '{"epochs": 5}');
SELECT DISTINCT version FROM idla_distil('teacher', 'teacher', 'source', options => '{"epochs": 5}');
RESET ROLE;

-- what failed left nothing behind
SELECT to_regclass('x') IS NULL AS nothing;
-- a teacher that goes leaves its students as they are
DROP TABLE teacher;
SELECT count(idla_predict('student', s)) FROM source s;
DROP SCHEMA distil CASCADE;
DROP ROLE idla_student;
