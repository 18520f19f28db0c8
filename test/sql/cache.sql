-- The models that a session has in memory.
SET client_min_messages = warning;
CREATE SCHEMA cache;
SET search_path = cache, public;
SET idla.progress = off;

CREATE TABLE rows AS SELECT i AS id, sin(i) AS a, cos(i * 0.7) AS b, sin(i) + cos(i * 0.7) > 0.3 AS y FROM generate_series(1, 300) i;
SELECT version FROM idla_train('one', 'SELECT a, b, y FROM rows', 'y', architecture => 'linear', options => '{"epochs": 1, "folds": 1}');
SELECT version FROM idla_train('two', 'SELECT a, b, y FROM rows', 'y', architecture => 'mlp', options => '{"epochs": 1, "folds": 1}');
SELECT idla_evict() >= 0 AS emptied;
SELECT * FROM idla_cache;
SELECT idla_prewarm('one') > 1000 AS loaded;
SELECT model, version, length(digest), bytes > 1000 AS has_bytes, in_use, loaded_at <= clock_timestamp() AS before, statements FROM idla_cache;
SELECT count(idla_predict('two', r)) FROM rows r;
SELECT count(idla_predict('one', r)) FROM rows r;
SELECT model, statements FROM idla_cache;
-- what a running query uses stays
BEGIN;
DECLARE c CURSOR FOR SELECT id, idla_predict('one', r) IS NULL FROM rows r;
FETCH 1 FROM c;
SELECT model, in_use FROM idla_cache;
SELECT idla_evict('one');
SELECT idla_evict();
FETCH 1 FROM c;
COMMIT;
SELECT idla_evict('one'), idla_evict('one');
-- no more than is allowed is kept
\set VERBOSITY terse
SET idla.model_cache = 0;
SELECT idla_prewarm('two') > 1000 AS loaded;
SELECT * FROM idla_cache;
RESET idla.model_cache;
\set VERBOSITY default
SELECT idla_prewarm('one', 7);
SELECT idla_prewarm('rows');
SELECT idla_evict('rows');
SELECT idla_prewarm(NULL);
CREATE ROLE cache_stranger;
GRANT USAGE ON SCHEMA cache TO cache_stranger;
SET ROLE cache_stranger;
SELECT idla_prewarm('one');
SELECT count(*) FROM idla_cache;
RESET ROLE;
DROP OWNED BY cache_stranger;
DROP ROLE cache_stranger;
DROP SCHEMA cache CASCADE;
