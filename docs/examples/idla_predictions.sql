-- who was told what of this patient?
SELECT version, function, served, time > now() - interval '1 hour' AS lately FROM idla_predictions WHERE model = 'heart_risk'::regclass AND key = '8' ORDER BY time;
