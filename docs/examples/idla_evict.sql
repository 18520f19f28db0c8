SELECT idla_evict() > 0 AS some_went;
SELECT count(*) FROM idla_cache;
