SELECT metric, round(value::numeric, 2) AS value, low <= value AND value <= high AS within, n
FROM idla_evaluate('heart_risk', 'tomorrow');
