-- demo.sql: what scripts/demo shows. Read by psql in the root of the tree; every statement is shown before its result.
\set QUIET on
\set ECHO none
\pset null '-'
SET client_min_messages = warning;
CREATE EXTENSION idla;
\i test/data/heart.sql
RESET client_min_messages;
\set ECHO queries

\echo
\echo '=== 1. The table =============================================================='
\echo
\echo 'Patients of four hospitals, referred because a heart disease was suspected. "disease" is'
\echo 'what angiography, the invasive test, found. Can it be said beforehand?'
\echo
SELECT centre, count(*) AS patients, round(avg(age)) AS mean_age, round(avg(disease::int), 2) AS diseased
FROM heart GROUP BY centre ORDER BY centre;
SELECT patient, age, sex, chest_pain, cholesterol, max_heart_rate, exercise_angina, thallium_scan, disease
FROM heart ORDER BY patient LIMIT 4;

\echo
\echo 'Every eighth patient, 115 in all, is set aside. They stand for those who come through the door tomorrow.'
\echo
CREATE TABLE tomorrow AS SELECT * FROM heart WHERE patient % 8 = 0;
CREATE TABLE today AS SELECT * FROM heart WHERE patient % 8 <> 0;

\echo
\echo '=== 2. Training ==============================================================='
\echo
\echo 'One statement. Missing values, categories, scaling, the split, early stopping and calibration are'
\echo 'its affair; "patient" is a number of no meaning, so it is ignored.'
\echo
SELECT * FROM idla_train('heart_risk', 'today', 'disease', options => '{"columns": {"patient": "ignore"}}') \gx

\echo
\echo '=== 3. How good is it? On patients it has never seen ==========================='
\echo
SELECT metric, round(value::numeric, 3) AS value, round(low::numeric, 3) AS low, round(high::numeric, 3) AS high, n
FROM idla_evaluate('heart_risk', 'tomorrow');
SELECT class, round("precision"::numeric, 3) AS "precision", round(recall::numeric, 3) AS recall, round(f1::numeric, 3) AS f1, support
FROM idla_classification_report('heart_risk', 'tomorrow');

\echo
\echo '=== 4. In service ============================================================='
\echo
\echo 'A prediction is an ordinary expression, so a view brings it to any BI tool.'
\echo
CREATE VIEW risk AS
SELECT t.patient, t.centre, t.age, t.sex, idla_predict('heart_risk', t) AS risk, t.disease FROM tomorrow t;
SELECT patient, centre, age, sex, round(risk::numeric, 3) AS risk, disease AS found_later FROM risk ORDER BY risk DESC LIMIT 5;
SELECT width_bucket(risk, 0, 1, 4) AS quarter_of_risk, count(*) AS patients, round(avg(risk)::numeric, 2) AS mean_risk,
       round(avg(disease::int), 2) AS diseased
FROM risk GROUP BY 1 ORDER BY 1;

\echo
\echo '=== 5. Why? ==================================================================='
\echo
\echo 'The patient with the highest risk and the one with the lowest. Contributions are on the logit scale:'
\echo 'together they make the difference between this patient and the average one.'
\echo
\set ECHO none
SELECT patient AS highest FROM risk ORDER BY risk DESC LIMIT 1 \gset
SELECT patient AS lowest FROM risk ORDER BY risk LIMIT 1 \gset
\set ECHO queries
SELECT rank, feature, value, round(contribution::numeric, 2) AS contribution, round(probability::numeric, 3) AS probability
FROM tomorrow t, idla_explain('heart_risk', t) WHERE patient = :highest ORDER BY rank;
SELECT rank, feature, value, round(contribution::numeric, 2) AS contribution, round(probability::numeric, 3) AS probability
FROM tomorrow t, idla_explain('heart_risk', t) WHERE patient = :lowest ORDER BY rank;
\echo 'And over all patients: how much worse do the answers get when a column is shuffled?'
\echo
SELECT rank, feature, round(importance::numeric, 3) AS importance, metric FROM idla_importance('heart_risk', 'tomorrow') ORDER BY rank LIMIT 5;

\echo
\echo '=== 6. Who may do what ========================================================'
\echo
\echo 'A model is a table, so privileges are those of tables. A role for BI may predict and explain, not read'
\echo 'the weights, and not train or deploy:'
\echo
CREATE ROLE bi;
GRANT SELECT ON risk, tomorrow, today TO bi;
GRANT SELECT (version, in_service, card) ON heart_risk TO bi;
SET ROLE bi;
SELECT count(risk) AS predictions FROM risk;
SELECT weights FROM heart_risk;
SELECT version FROM idla_train('heart_risk', 'today', 'disease');
RESET ROLE;
\echo
\echo 'And a model in service cannot be dropped by mistake, not even by its owner:'
\echo
DROP TABLE heart_risk;

\echo
\echo '=== 7. The next version ======================================================='
\echo
\echo 'Training again makes a candidate; the views go on with version 1 until somebody deploys it. This one is'
\echo 'additive (one small net for each column), so its explanation is the model itself.'
\echo
SELECT version, architecture, metric, round(value::numeric, 3) AS value
FROM idla_train('heart_risk', 'today', 'disease', architecture => 'nam', options => '{"columns": {"patient": "ignore"}}');
SELECT version, in_service, architecture, metric, round(value::numeric, 3) AS value, rows FROM idla_versions;
SELECT round(idla_auroc(idla_predict('heart_risk', t, 1), disease)::numeric, 3) AS version_1,
       round(idla_auroc(idla_predict('heart_risk', t, 2), disease)::numeric, 3) AS version_2 FROM tomorrow t;

\echo
\echo '=== 8. How fast? =============================================================='
\echo
\echo 'The patients of tomorrow, again and again: 10,000 predictions in one query, each the mean of ten networks.'
\echo
CREATE TABLE many AS SELECT t.* FROM tomorrow t, generate_series(1, 100) LIMIT 10000;
\timing on
SELECT count(*) AS predictions, round(avg(idla_predict('heart_risk', m))::numeric, 3) AS mean_risk FROM many m;
\timing off

\echo
\echo '=== 9. Images ================================================================='
\echo
\echo 'The same statements. Chest X-rays of children, 28 x 28 pixels: who has pneumonia?'
\echo
\set ECHO none
SET client_min_messages = warning;
\i test/data/xrays.sql
\i test/data/beats.sql
\i test/data/notes.sql
RESET client_min_messages;
\set ECHO queries
SELECT count(*), format, width, height, channels, bits FROM xrays, idla_image_info(image) GROUP BY 2, 3, 4, 5, 6;
SELECT architecture, seconds < 60 AS quick
FROM idla_train('pneumonia', $$SELECT image, pneumonia FROM xrays WHERE part = 'train'$$, 'pneumonia', architecture => 'cnn',
                options => '{"width": 16, "epochs": 12}');
SELECT metric, round(value::numeric, 3) AS value, round(low::numeric, 3) AS low, round(high::numeric, 3) AS high, n
FROM idla_evaluate('pneumonia', $$SELECT * FROM xrays WHERE part = 'test'$$) WHERE metric IN ('auroc', 'accuracy');
\echo 'What makes it say so? A PNG in which the places that speak for it are red, and the same as numbers:'
\echo
SELECT length(idla_explain_image('pneumonia', x)) AS bytes, round(idla_predict('pneumonia', x)::numeric, 3) AS risk FROM xrays x WHERE xray = 321;
SELECT rank, e.part, round(contribution::numeric, 2) AS contribution
FROM xrays x, idla_explain_parts('pneumonia', x, segments => 4, top => 3) e WHERE xray = 321 ORDER BY rank;

\echo
\echo '=== 10. Signals ==============================================================='
\echo
\echo 'Heart beats, two leads in an array, beside the seconds before and after: which are ventricular?'
\echo
SELECT architecture, seconds < 60 AS quick
FROM idla_train('ventricular', $$SELECT ecg, before, after, ventricular FROM beats WHERE part = 'train'$$, 'ventricular',
                architecture => 'rocket');
SELECT metric, round(value::numeric, 3) AS value, round(low::numeric, 3) AS low, round(high::numeric, 3) AS high, n
FROM idla_evaluate('ventricular', $$SELECT * FROM beats WHERE part = 'test'$$) WHERE metric IN ('auroc', 'accuracy');

\echo
\echo '=== 11. Notes ================================================================='
\echo
\echo 'Sentences of abstracts in which names of diseases are marked, word by word.'
\echo
SELECT array_to_string(tokens[:9], ' ') AS tokens, array_to_string(tags[:9], ' ') AS tags FROM notes ORDER BY sentence LIMIT 2;
SELECT architecture, seconds < 60 AS quick
FROM idla_train('diseases', $$SELECT tokens, tags FROM notes WHERE part = 'train'$$, 'tags', options => '{"test": 0, "epochs": 12}');
SELECT class, round("precision"::numeric, 3) AS "precision", round(recall::numeric, 3) AS recall, round(f1::numeric, 3) AS f1, support
FROM idla_classification_report('diseases', $$SELECT * FROM notes WHERE part = 'test'$$);
SELECT * FROM idla_tag('diseases', 'Mutations of BRCA1 cause hereditary breast cancer and ovarian cancer.');
