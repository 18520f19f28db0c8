-- all 14 columns that are inputs, so that the contributions add up to the prediction
SELECT count(*) AS columns, max(abs(completeness_error)) < 0.001 AS adds_up,
       abs(max(prediction) - max(baseline) - sum(contribution)) < 0.001 AS by_hand
FROM tomorrow t, idla_explain('heart_risk', t, top => 100) WHERE patient = 8;

-- the three that matter most for a patient, by Shapley values
SELECT rank, contribution > 0 AS raises FROM tomorrow t, idla_explain('heart_risk', t, 'shapley', top => 3)
WHERE patient = 16 ORDER BY rank;
