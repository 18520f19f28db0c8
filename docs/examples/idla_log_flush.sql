SELECT idla_log('heart_risk', key => 'patient') AS before;
SELECT idla_classify('heart_risk', t) FROM tomorrow t WHERE patient = 8;
SELECT idla_log_flush();
SELECT output FROM idla_predictions WHERE function = 'idla_classify' AND key = '8';
