-- what speaks for the risk of stay 4: channels as a whole, and channels in single hours before the decision
SELECT p.feature, p.starts IS NULL AS as_a_whole, count(*) AS parts, sum(p.contribution) > 0 AS raises
FROM (SELECT idla_explain_series('deterioration', c) AS parts FROM charted c WHERE stay = 4) s, unnest(s.parts) p
WHERE p.feature = 'resp' GROUP BY 1, 2 ORDER BY 2;

DROP TABLE deterioration, charted;
