-- with the model of idla_predict_series
SELECT idla_classify_series('deterioration', c) AS class, count(DISTINCT stay) AS rows FROM charted c WHERE stay = 4;
