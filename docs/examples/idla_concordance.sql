-- a higher risk should come with a shorter time; the third patient was still alive at the end of follow-up
SELECT idla_concordance(risk, days, died) FROM (VALUES (2.1, 30, true), (0.3, 400, true), (0.1, 500, false), (0.7, 90, true)) AS t (risk, days, died);
