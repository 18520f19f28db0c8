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
-- large weights are shared: what a session keeps beside them is small, and an evicted session finds them again
SET idla.share_from = '64kB';
SELECT version FROM idla_train('large', 'SELECT a, b, y FROM rows', 'y', architecture => 'dense(512) relu dense(512) relu', options => '{"epochs": 1, "folds": 1}');
SELECT idla_evict() >= 0 AS emptied;
SELECT idla_prewarm('large') > 1050000 AS loaded;
SELECT version, scope, digest = (manifest ->> 'weights_sha256') AS same, in_use, sessions FROM idla_cache JOIN large USING (version)
WHERE model = 'large'::regclass ORDER BY scope;
SELECT bytes BETWEEN 1050000 AND 1100000 AS weights FROM idla_cache WHERE model = 'large'::regclass AND scope = 'shared';
CREATE TABLE beside AS SELECT bytes FROM idla_cache WHERE model = 'large'::regclass AND scope = 'session';
CREATE TABLE answers AS SELECT id, idla_predict('large', r) AS shared FROM rows r;
SET idla.share_from = '1GB';
SELECT version FROM idla_train('small', 'SELECT a, b, y FROM rows', 'y', architecture => 'linear', options => '{"epochs": 1, "folds": 1}');
SELECT idla_prewarm('small') > 0 AS loaded;
SELECT scope FROM idla_cache WHERE model = 'small'::regclass;
RESET idla.share_from;
BEGIN;
DECLARE c CURSOR FOR SELECT id, idla_predict('large', r) IS NULL FROM rows r;
FETCH 1 FROM c;
SELECT scope, in_use, sessions FROM idla_cache WHERE model = 'large'::regclass ORDER BY scope;
SELECT idla_evict('large');
COMMIT;
SELECT idla_evict('large'), idla_evict('large');
SELECT count(*) FROM idla_cache WHERE model = 'large'::regclass;
-- kept by the session, the same bits
SET idla.share_from = '1GB';
SELECT count(*) FROM answers JOIN rows r USING (id) WHERE shared = idla_predict('large', r);
SELECT scope, c.bytes - b.bytes BETWEEN 1050000 AND 1100000 AS weights_too FROM idla_cache c, beside b WHERE model = 'large'::regclass;
SELECT idla_evict('large');
RESET idla.share_from;
SET idla.share_from = '64kB';
-- what a running query has for itself is not shared under it
SET idla.share_from = '1GB';
SELECT idla_prewarm('large') > 0 AS loaded;
BEGIN;
DECLARE c CURSOR FOR SELECT id, idla_predict('large', r) IS NULL FROM rows r;
FETCH 1 FROM c;
SET LOCAL idla.share_from = '64kB';
SELECT idla_prewarm('large') > 0 AS loaded;
SELECT scope, in_use FROM idla_cache WHERE model = 'large'::regclass;
COMMIT;
SELECT idla_evict('large');
SET idla.share_from = '64kB';
-- rounded weights are large by what they take in memory
SELECT idla_deploy('large', 1, weights => 'int8', source => 'rows');
SET idla.share_from = '768kB';
SELECT sum(length(weights)) < 300000 AS small FROM large WHERE version = 2;
SELECT idla_prewarm('large', 2) > 1050000 AS loaded;
SELECT scope, CASE scope WHEN 'shared' THEN bytes BETWEEN 1050000 AND 1100000 END AS weights FROM idla_cache WHERE model = 'large'::regclass ORDER BY scope;
SELECT idla_deploy('large', 1);
DELETE FROM large WHERE version = 2;
SELECT idla_evict() > 0 AS emptied;
SET idla.share_from = '64kB';
-- found again behind other rows: those of a deployment, and those of a copy
SELECT idla_prewarm('large') > 0 AS loaded;
SELECT idla_deploy('large', NULL), idla_deploy('large', 1);
SELECT count(*) FROM answers JOIN rows r USING (id) WHERE shared = idla_predict('large', r);
SELECT idla_copy('large', 'twin');
SELECT count(*) FROM answers JOIN rows r USING (id) WHERE shared = idla_predict('twin', r);
CREATE TABLE byhand (LIKE large INCLUDING ALL);
INSERT INTO byhand SELECT * FROM large WHERE chunk >= 0;
SELECT count(*) FROM answers JOIN rows r USING (id) WHERE shared = idla_predict('byhand', r);
SELECT scope, count(DISTINCT digest) FROM idla_cache WHERE version = 1 AND scope = 'shared' GROUP BY scope;
-- columns that change places change what the same rows say
ALTER TABLE byhand ADD COLUMN others bytea DEFAULT 'x';
SELECT count(idla_predict('byhand', r)) FROM rows r WHERE id < 3;
ALTER TABLE byhand RENAME weights TO were;
ALTER TABLE byhand RENAME others TO weights;
\set VERBOSITY terse
SELECT count(idla_predict('byhand', r)) FROM rows r;
\set VERBOSITY default
ALTER TABLE byhand RENAME weights TO others;
ALTER TABLE byhand RENAME were TO weights;
SELECT count(idla_predict('byhand', r)) FROM rows r WHERE id < 3;
-- the manifest alone is not the key: rows with other weights, or none, are refused whoever has the true ones in memory
UPDATE byhand SET weights = set_byte(weights, length(weights) - 1, 255 - get_byte(weights, length(weights) - 1)) WHERE weights IS NOT NULL;
\set VERBOSITY terse
SELECT count(idla_predict('byhand', r)) FROM rows r;
SELECT idla_evict() > 0 AS emptied;
SELECT idla_prewarm('large') > 0 AS loaded;
SELECT count(idla_predict('byhand', r)) FROM rows r;
DELETE FROM byhand WHERE manifest IS NULL;
UPDATE byhand SET weights = NULL;
SELECT count(idla_predict('byhand', r)) FROM rows r;
\set VERBOSITY default
SELECT scope, in_use, sessions FROM idla_cache WHERE model = 'large'::regclass ORDER BY scope;
-- whatever reads a model leaves shared weights as they are
SELECT count(*) > 0 AS explained FROM rows r, idla_explain('large', r) WHERE id < 5;
SELECT count(*) > 0 AS ranked FROM idla_importance('large', 'SELECT * FROM rows WHERE id < 50');
SELECT count(idla_attack('large', r, 0.5)) AS attacked FROM rows r WHERE id < 5;
SELECT count(*) > 0 AS judged FROM idla_evaluate('large', 'rows');
SELECT length(idla_export('large')) > 1050000 AS exported;
SELECT count(*) FROM answers JOIN rows r USING (id) WHERE shared = idla_predict('large', r);
-- what an aborted training had there is nobody's
BEGIN;
SELECT version FROM idla_train('large', 'SELECT a, b, y FROM rows', 'y', architecture => 'dense(512) relu dense(511) relu', options => '{"epochs": 1, "folds": 1, "deploy": true}');
SELECT count(*) < 300 AS others FROM answers JOIN rows r USING (id) WHERE shared = idla_predict('large', r);
SELECT version, scope FROM idla_cache WHERE model = 'large'::regclass AND version > 1 ORDER BY scope;
ROLLBACK;
SELECT count(*) FROM answers JOIN rows r USING (id) WHERE shared = idla_predict('large', r);
-- an error in a subtransaction lets go
DO $$
BEGIN
	PERFORM sum(idla_predict('large', r)) FROM (SELECT a + 0 / (id - 200) AS a, b FROM rows) r;
EXCEPTION WHEN division_by_zero THEN
	RAISE WARNING 'sessions: %', (SELECT sessions FROM idla_cache WHERE model = 'large'::regclass AND version = 1 AND scope = 'shared');
END $$;
-- models of every kind: several networks with bins, features of signals, a tagger's chain, weights of convolutions
CREATE TABLE kinds AS SELECT id, a, b, y, ARRAY(SELECT sin(id * 0.3 + k * CASE WHEN y THEN 0.4 ELSE 0.9 END)::float4 FROM generate_series(1, 64) k) AS trace,
	ARRAY['Case', id::text, CASE WHEN y THEN 'asthma' ELSE 'leave' END] AS tokens, ARRAY['O', 'O', CASE WHEN y THEN 'B-Disease' ELSE 'O' END] AS tags FROM rows;
SET client_min_messages = error;
SELECT version FROM idla_train('tables', 'SELECT a, b, y FROM kinds', 'y', architecture => 'tabm', options => '{"epochs": 2, "folds": 2}');
SELECT version FROM idla_train('signals', 'SELECT trace, a, y FROM kinds', 'y', architecture => 'rocket', options => '{"epochs": 2, "folds": 1, "width": 840, "columns": {"trace": {"kind": "signal"}}}');
SELECT version FROM idla_train('waves', 'SELECT trace, a, y FROM kinds', 'y', architecture => 'fcn', options => '{"epochs": 1, "folds": 1, "columns": {"trace": {"kind": "signal"}}}');
SELECT version FROM idla_train('words', 'SELECT tokens, tags FROM kinds', 'tags', options => '{"epochs": 6, "width": 24, "rate": 0.01}');
SET client_min_messages = warning;
CREATE FUNCTION said() RETURNS TABLE (model text, said text) LANGUAGE sql AS $$
SELECT 'tables', md5(string_agg(idla_predict('tables', k)::text, ' ' ORDER BY id)) FROM kinds k
UNION ALL SELECT 'signals', md5(string_agg(idla_predict('signals', k)::text, ' ' ORDER BY id)) FROM kinds k
UNION ALL SELECT 'waves', md5(string_agg(idla_predict('waves', k)::text, ' ' ORDER BY id)) FROM kinds k
UNION ALL SELECT 'words', md5(string_agg(concat(t.start, t.label, t.score), ' ' ORDER BY id, t.start)) FROM kinds k, idla_tag('words', k.tokens) t
$$;
SET idla.share_from = '1GB';
CREATE TABLE own AS SELECT * FROM said();
SELECT idla_evict() >= 4 AS emptied;
SET idla.share_from = '1kB';
CREATE TABLE filled AS SELECT * FROM said();
SELECT model, scope FROM idla_cache WHERE scope = 'shared' ORDER BY model::text;
-- the filling session forgets its own part, and borrows what it left
\set VERBOSITY terse
SET idla.model_cache = 0;
SELECT idla_prewarm('one') > 0 AS loaded;
\set VERBOSITY default
SELECT scope, count(*) FROM idla_cache WHERE scope = 'session' GROUP BY scope;
CREATE TABLE borrowed AS SELECT * FROM said();
RESET idla.model_cache;
SELECT model, own.said = filled.said AS filled_alike, own.said = borrowed.said AS borrowed_alike FROM own JOIN filled USING (model) JOIN borrowed USING (model) ORDER BY model;
SET idla.share_from = '64kB';
SELECT idla_prewarm('one', 7);
SELECT idla_prewarm('rows');
SELECT idla_evict('rows');
SELECT idla_prewarm(NULL);
CREATE ROLE cache_stranger;
GRANT USAGE ON SCHEMA cache TO cache_stranger;
SET ROLE cache_stranger;
SELECT idla_prewarm('one');
SELECT count(*) FROM idla_cache;
SELECT idla_evict();
SELECT idla_prewarm('large');
RESET ROLE;
GRANT SELECT (version, in_service, card) ON large TO cache_stranger;
SET ROLE cache_stranger;
SELECT idla_prewarm('large') > 0 AS loaded;
SELECT scope, version FROM idla_cache ORDER BY scope, version;
-- but of the session, they are not his
SELECT idla_evict('large'), idla_evict();
SET idla.share_from = '64kB';
RESET ROLE;
SELECT count(*) > 0 AS still FROM idla_cache WHERE scope = 'shared';
DROP OWNED BY cache_stranger;
DROP ROLE cache_stranger;
DROP SCHEMA cache CASCADE;
