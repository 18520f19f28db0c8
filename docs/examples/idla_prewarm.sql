-- in a pool's start-up query, say
SELECT idla_prewarm('heart_risk') > 0 AS is_loaded;
