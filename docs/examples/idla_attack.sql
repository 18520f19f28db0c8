-- how little has to be different for another answer
SELECT (t).cholesterol, (a).cholesterol AS attacked, (t).max_heart_rate, (a).max_heart_rate AS attacked,
	round(idla_predict('heart_risk', t)::numeric, 2) AS risk, round(idla_predict('heart_risk', a)::numeric, 2) AS attacked
FROM (SELECT t, idla_attack('heart_risk', t, 0.5, '{"columns": {"age": {"immutable": true}}}') AS a
	FROM tomorrow t ORDER BY patient LIMIT 3) s;
