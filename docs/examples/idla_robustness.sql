-- values in units of each column's interquartile range; what nobody could report wrongly is immutable
SELECT measure, epsilon, round(value::numeric, 2) AS value, n
FROM idla_robustness('heart_risk', 'tomorrow', '{0.25, 0.5}', '{"rows": 100, "columns": {"age": {"immutable": true}}}')
WHERE measure LIKE '%accuracy';
