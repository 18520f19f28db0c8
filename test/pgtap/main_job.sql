-- main_job.sql: the main job as its user sees it: train on patients, predict, judge, explain, serve through a view, share.
\set QUIET on
SET client_min_messages = warning;
BEGIN;
SELECT plan(40);
\i test/data/heart.sql
CREATE TABLE tomorrow AS SELECT * FROM heart WHERE patient % 8 = 0;
CREATE TABLE today AS SELECT * FROM heart WHERE patient % 8 <> 0;

-- Training
CREATE TABLE trained AS
SELECT * FROM idla_train('heart_risk', 'today', 'disease', options => '{"columns": {"patient": "ignore"}, "seed": 3}');
SELECT is(count(*), 1::bigint, 'training answers with one row') FROM trained;
SELECT is(model::text, 'heart_risk', 'it names the model') FROM trained;
SELECT is(version, 1, 'the first training makes version 1') FROM trained;
SELECT is(task::text, 'binary', 'a boolean target is a binary classification') FROM trained;
SELECT cmp_ok(value, '>', 0.8::float8, 'its own held-out metric is good') FROM trained;
SELECT has_table('heart_risk'::name, 'the model is a table');
SELECT results_eq('SELECT in_service FROM heart_risk WHERE chunk = 0', 'VALUES (true)', 'the first version is in service');

-- Predicting
SELECT is(count(*), 115::bigint, 'every row gets a prediction')
FROM tomorrow t WHERE idla_predict('heart_risk', t) BETWEEN 0 AND 1;
SELECT cmp_ok(idla_auroc(idla_predict('heart_risk', t), disease), '>', 0.8::float8, 'predictions rank patients never seen')
FROM tomorrow t;
SELECT is(count(*), 0::bigint, 'the class is the side of one half on which the probability lies')
FROM tomorrow t
WHERE (idla_predict('heart_risk', t) > 0.5) IS DISTINCT FROM (idla_classify('heart_risk', t) = 'true')
  AND idla_predict('heart_risk', t) <> 0.5;
SELECT is(count(*), 0::bigint, 'probabilities sum to one and hold the prediction')
FROM (SELECT idla_predict('heart_risk', t) AS p, idla_probabilities('heart_risk', t) AS all_p FROM tomorrow t) AS x
WHERE abs((all_p ->> 'true')::float8 + (all_p ->> 'false')::float8 - 1) > 1e-9 OR abs((all_p ->> 'true')::float8 - p) > 1e-9;
SELECT is((SELECT idla_predict('heart_risk', t) FROM tomorrow t WHERE patient = 8),
          (SELECT idla_predict('heart_risk', r) FROM (SELECT disease, thallium_scan, vessels, st_slope, st_depression, exercise_angina,
                  max_heart_rate, resting_ecg, high_fasting_sugar, cholesterol, resting_bp, chest_pain, sex, age, centre, patient
           FROM tomorrow WHERE patient = 8) AS r),
          'inputs are matched by name, whatever their order');
SELECT lives_ok($$ SELECT idla_predict('heart_risk', t) FROM tomorrow t WHERE thallium_scan IS NULL LIMIT 1 $$, 'missing values are no obstacle');
SELECT throws_like($$ SELECT idla_predict('heart_risk', r) FROM (SELECT age, sex FROM tomorrow) r $$, '%column%',
                   'a missing input column is an error that speaks of columns');
SELECT throws_ok($$ SELECT idla_predict('today', t) FROM tomorrow t $$, NULL, NULL, 'a table that is no model is refused');

-- Judging
CREATE TABLE judged AS SELECT * FROM idla_evaluate('heart_risk', 'tomorrow');
SELECT cmp_ok(value, '>', 0.8::float8, 'evaluation on the rows set aside') FROM judged WHERE metric = 'auroc';
SELECT is(value, (SELECT idla_auroc(idla_predict('heart_risk', t), disease) FROM tomorrow t), 'it agrees with the aggregate')
FROM judged WHERE metric = 'auroc';
SELECT is(count(*), 0::bigint, 'intervals hold their values') FROM judged WHERE low > value OR high < value;
SELECT is(sum(support) FILTER (WHERE class IN ('true', 'false')), 115::numeric, 'the report counts every row once')
FROM idla_classification_report('heart_risk', 'tomorrow');
SELECT is(count(*), 3::bigint, 'and has the three averages')
FROM idla_classification_report('heart_risk', 'tomorrow') WHERE class ~ '(micro|macro|weighted)';

-- Explaining
CREATE TABLE explained AS
SELECT t.patient, e.* FROM (SELECT * FROM tomorrow ORDER BY patient LIMIT 5) t, idla_explain('heart_risk', t, top => 100) e;
SELECT is(count(DISTINCT feature), 14::bigint, 'contributions are of the user''s own columns') FROM explained;
SELECT cmp_ok(max(error), '<', 1e-3::float8, 'integrated gradients add up to the prediction')
FROM (SELECT abs(max(prediction) - max(baseline) - sum(contribution)) AS error FROM explained GROUP BY patient) x;
SELECT cmp_ok(max(abs(completeness_error)), '<', 1e-3::float8, 'and say so themselves') FROM explained;
SELECT cmp_ok(max(abs(1 / (1 + exp(-e.prediction)) - e.probability)), '<', 1e-6::float8, 'the prediction explained is the logit of the probability')
FROM explained e;
SELECT cmp_ok(max(error), '<', 1e-6::float8, 'Shapley values add up to the prediction')
FROM (SELECT abs(max(prediction) - max(baseline) - sum(contribution)) AS error
      FROM (SELECT * FROM tomorrow ORDER BY patient LIMIT 2) t, idla_explain('heart_risk', t, 'shapley', top => 100) GROUP BY patient) x;
SELECT is(count(*), 5::bigint, 'five columns are shown by default') FROM tomorrow t, idla_explain('heart_risk', t) WHERE patient = 8;
SELECT cmp_ok(max(importance), '>', 0::float8, 'some column matters') FROM idla_importance('heart_risk', 'tomorrow', 2);

-- A view in service
CREATE VIEW risk AS SELECT patient, centre, idla_predict('heart_risk', t) AS risk FROM tomorrow t;
SELECT throws_ok('DROP TABLE heart_risk', '2BP01', NULL, 'a model that a view predicts with is not dropped');
ALTER TABLE heart_risk RENAME TO coronary_risk;
SELECT is(count(risk), 115::bigint, 'the view follows a renamed model') FROM risk;
ALTER TABLE coronary_risk RENAME TO heart_risk;

-- Sharing
CREATE ROLE idla_test_bi;
GRANT SELECT ON tomorrow, today, risk TO idla_test_bi;
SET ROLE idla_test_bi;
SELECT throws_ok('SELECT count(idla_predict(''heart_risk'', t)) FROM tomorrow t', '42501', NULL, 'no grant, no prediction');
RESET ROLE;
GRANT SELECT (version, in_service, card) ON heart_risk TO idla_test_bi;
SET ROLE idla_test_bi;
SELECT lives_ok('SELECT count(idla_predict(''heart_risk'', t)) FROM tomorrow t', 'three columns are enough to predict');
SELECT lives_ok('SELECT count(risk) FROM risk', 'also through a view');
SELECT lives_ok('SELECT e.* FROM tomorrow t, idla_explain(''heart_risk'', t) e LIMIT 1', 'and to explain');
SELECT throws_ok('SELECT weights FROM heart_risk', '42501', NULL, 'the weights stay closed');
SELECT throws_ok('DROP TABLE heart_risk', '42501', NULL, 'only an owner drops a model');
SELECT throws_ok($$ SELECT * FROM idla_train('heart_risk', 'today', 'disease') $$, '42501', NULL, 'a new version needs INSERT');
SELECT throws_ok($$ SELECT idla_deploy('heart_risk', NULL) $$, '42501', NULL, 'deploying needs UPDATE');
RESET ROLE;

-- Versions
CREATE TABLE before AS SELECT patient, idla_predict('heart_risk', t) AS p FROM tomorrow t;
SELECT is(version, 2, 'the next training makes version 2')
FROM idla_train('heart_risk', 'today', 'disease', architecture => 'linear', options => '{"columns": {"patient": "ignore"}}');
SELECT is(count(*), 0::bigint, 'which is a candidate: predictions stay')
FROM tomorrow t JOIN before USING (patient) WHERE idla_predict('heart_risk', t) IS DISTINCT FROM p;
SELECT idla_deploy('heart_risk', 2) \g /dev/null
SELECT cmp_ok(count(*), '>', 100::bigint, 'until it is deployed')
FROM tomorrow t JOIN before USING (patient) WHERE idla_predict('heart_risk', t) <> p;

SELECT * FROM finish();
ROLLBACK;
