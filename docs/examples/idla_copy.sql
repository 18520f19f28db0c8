-- the version in service, to be kept under another name
SELECT idla_copy('heart_risk', 'heart_risk_2026') AS version;
SELECT card -> 'origin' ->> 'model' AS model, card -> 'origin' ->> 'version' AS version FROM heart_risk_2026;
DROP TABLE heart_risk_2026;
