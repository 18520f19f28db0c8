-- with the model of idla_predict_series
SELECT p.key AS class, p.value::float8 > 0.5 AS likely
FROM (SELECT idla_probabilities_series('deterioration', c) AS all_of_them FROM charted c WHERE stay = 4) s, jsonb_each_text(s.all_of_them) p
ORDER BY class;
