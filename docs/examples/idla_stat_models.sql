SELECT idla_stat_reset('heart_risk') > 0 AS forgotten;
SELECT count(idla_predict('heart_risk', t)), count(idla_classify('heart_risk', t)) FROM tomorrow t;
SELECT model, version, calls, rows, errors, seconds < 1 AS quick FROM idla_stat_models WHERE model = 'heart_risk'::regclass;
