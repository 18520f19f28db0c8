SELECT idla_predict('heart_risk', t) > 0.5 AS likely FROM tomorrow t LIMIT 1;
SELECT model, version, in_use, statements > 0 AS was_asked, scope FROM idla_cache WHERE model = 'heart_risk'::regclass;
