SELECT key AS class, value::float8 BETWEEN 0 AND 1 AS is_a_probability
FROM tomorrow t, jsonb_each(idla_probabilities('heart_risk', t))
WHERE patient = 8 ORDER BY key;
