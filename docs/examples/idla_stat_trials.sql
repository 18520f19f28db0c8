SELECT count(idla_predict('heart_risk', t)) FROM tomorrow t;
SELECT model, version, compared, answered, absolute_difference BETWEEN 0 AND 1 AS apart, disagreed < compared AS agreed, failed FROM idla_stat_trials;
-- what is seen is seen: the version in service alone again
SELECT idla_deploy('heart_risk', 1) AS beside;
