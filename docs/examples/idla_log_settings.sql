SELECT model, share, key, set_by = current_user AS mine FROM idla_log_settings;
SELECT idla_log('heart_risk', 0) AS before;
SELECT count(*) FROM idla_log_settings;
