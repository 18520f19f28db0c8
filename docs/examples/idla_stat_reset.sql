-- of one model; without an argument of all models of the database
SELECT idla_stat_reset('heart_risk');
