SELECT model FROM idla_train('cholesterol', 'SELECT age, sex, resting_bp, max_heart_rate, cholesterol FROM today', 'cholesterol', options => '{"seed": 1}');

-- how often the truth is inside, for patients whom the model has not seen
SELECT avg((cholesterol::numeric <@ idla_interval('cholesterol', t, 0.9))::int) BETWEEN 0.85 AND 0.99 AS as_promised FROM tomorrow t;

-- it ends on both sides, and is wider when it shall hold more often
SELECT bool_and(isfinite AND narrow <@ wide) AS nested
FROM (SELECT idla_interval('cholesterol', t, 0.5) AS narrow, idla_interval('cholesterol', t, 0.95) AS wide FROM tomorrow t) i,
     LATERAL (SELECT NOT lower_inf(wide) AND NOT upper_inf(wide) AS isfinite) f;
