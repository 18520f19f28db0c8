SELECT patient, idla_predict('heart_risk', t) BETWEEN 0 AND 1 AS is_a_probability, disease
FROM tomorrow t ORDER BY patient LIMIT 3;

-- in a view, for any tool that reads tables
CREATE VIEW risk AS
SELECT patient, centre, idla_predict('heart_risk', t) AS risk, disease FROM tomorrow t;

SELECT disease, round(avg(risk)::numeric, 1) AS mean_risk FROM risk GROUP BY disease ORDER BY disease;
