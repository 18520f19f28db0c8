SELECT idla_log('heart_risk', key => 'patient') AS before;
SELECT patient, round(idla_predict('heart_risk', t)::numeric, 1) AS risk FROM tomorrow t WHERE patient IN (8, 16) ORDER BY patient;
SELECT idla_log_flush();
SELECT model, version, function, key, round(output::numeric, 1) AS output, role = current_user AS mine FROM idla_predictions ORDER BY key::int;
-- a hundredth of the rows; then none
SELECT idla_log('heart_risk', 0.01, 'patient') AS before;
SELECT idla_log('heart_risk', 0) AS before;
