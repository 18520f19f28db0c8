-- one perceptron that answers as the model does, and what both are worth on the same test rows
SELECT version, metric, round(teacher::numeric, 1) AS teacher, round(student::numeric, 1) AS student, n
FROM idla_distil('heart_risk', 'heart_small', 'today') WHERE metric IN ('auroc', 'brier');
SELECT card ->> 'architecture' AS architecture, card -> 'teacher' ->> 'model' AS teacher, card -> 'teacher' ->> 'same_test' AS same_test FROM heart_small WHERE chunk = 0;
DROP TABLE heart_small;
