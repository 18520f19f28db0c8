SELECT rank, importance > 0 AS matters, metric FROM idla_importance('heart_risk', 'tomorrow', repeats => 3)
ORDER BY rank LIMIT 3;
