-- a second training is a candidate until it is deployed
SELECT version FROM idla_train('heart_risk', 'today', 'disease', architecture => 'linear',
                               options => '{"columns": {"patient": "ignore"}}');
SELECT version, in_service FROM heart_risk WHERE chunk = 0 ORDER BY version;
SELECT idla_deploy('heart_risk', 2) AS replaces;
SELECT idla_deploy('heart_risk', 1) AS replaces;
-- in a quarter of the room: a new version with rounded weights; what that costs is measured on rows of your choice, and kept in its card
SET client_min_messages = warning;
SELECT idla_deploy('heart_risk', 1, weights => 'int8', source => 'tomorrow') AS replaces;
SELECT version, card #>> '{rounding,of_version}' AS of_version, abs((card #>> '{rounding,metrics,auroc,after}')::float8 - (card #>> '{rounding,metrics,auroc,before}')::float8) < 0.01 AS as_good
FROM heart_risk WHERE card ->> 'weights' = 'int8';
RESET client_min_messages;
SELECT idla_deploy('heart_risk', 1) AS replaces;
-- it may answer a tenth of the rows first, or be asked and not heard
SELECT idla_deploy('heart_risk', 2, share => 0.1) AS beside;
SELECT idla_deploy('heart_risk', 2, shadow => true) AS beside;
