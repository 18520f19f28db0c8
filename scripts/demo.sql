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
\echo '120 patients are set aside. They stand for those who come through the door tomorrow.'
\echo
CREATE TABLE tomorrow AS SELECT * FROM heart WHERE hashint4(patient) % 23 IN (1, 7, 13);
CREATE VIEW today AS SELECT * FROM heart h WHERE NOT EXISTS (SELECT FROM tomorrow t WHERE t.patient = h.patient);

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
SELECT * FROM idla_evaluate('heart_risk', 'tomorrow');
SELECT * FROM idla_classification_report('heart_risk', 'tomorrow');

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
\echo 'they add up to the difference between this patient and the average one.'
\echo
