-- idla_train: tasks, versions, what is told of them, and what the same seed promises.
\set VERBOSITY terse
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA train;
SET search_path = train, public;

CREATE TABLE visits AS
SELECT i AS visit, (i * 7919) % 400 AS patient, 20 + (i * 37) % 60 AS age, (ARRAY['f', 'm'])[1 + i % 2] AS sex,
	((i * 53) % 97) * 1.25 AS lab, (i * 31) % 11 AS score, date '2020-01-01' + (i * 13) % 900 AS admitted,
	(i * 37) % 60 + (i * 53) % 97 + (i * 17) % 23 > 85 AS readmitted,
	(ARRAY['home', 'ward', 'icu'])[1 + ((i * 37) % 60) / 20] AS destination,
	((i * 37) % 60) * 0.4 + ((i * 53) % 97) * 0.1 AS stay,
	1 + ((i * 53) % 97) + (i * 17) % 23 AS days, i % 5 <> 0 AS died
FROM generate_series(1, 1200) i;

-- every task, inferred from the target or said
SELECT model, version, task, rows_used, rows_dropped, dropped_why, positive, metric, value > 0.9 AS good, epsilon, in_service, seconds > 0 AS timed, epochs > 0 AS counted
FROM idla_train('binary_model', 'SELECT age, sex, lab, readmitted FROM visits', 'readmitted', architecture => 'linear');
SELECT task, positive, metric, value > 0.9 AS good FROM idla_train('class_model', 'SELECT age, sex, lab, destination FROM visits', 'destination', architecture => 'mlp', options => '{"epochs": 20, "folds": 1}');
SELECT task, metric, value < 1 AS good FROM idla_train('value_model', 'SELECT age, sex, lab, stay FROM visits', 'stay', architecture => 'mlp', options => '{"epochs": 40, "folds": 1}');
SELECT task, metric, value < 5 AS good FROM idla_train('values_model', 'SELECT age, sex, lab, stay, lab * 2 AS twice FROM visits', 'stay, twice', architecture => 'linear');
SELECT task, metric, value > 0.8 AS good FROM idla_train('survival_model', 'SELECT age, sex, lab, days, died FROM visits', 'days,died', 'survival', 'linear');
SELECT task, metric, value > 0.8 AS good FROM idla_train('survival_model', 'SELECT age, sex, lab, days, died FROM visits', NULL, architecture => 'linear', options => '{"time": "days", "event": "died"}');

-- few integers are classes, with a NOTICE of the way out; two numbers are binary, the larger one positive
SET client_min_messages = notice;
SELECT task FROM idla_train('score_model', 'SELECT age, lab, score FROM visits', 'score', architecture => 'linear', options => '{"epochs": 2, "calibrate": false}');
SELECT task FROM idla_train('count_model', 'SELECT age, lab, CASE WHEN visit < 3 THEN 30 ELSE score END AS score FROM visits', 'score', architecture => 'linear', options => '{"epochs": 2}');
SET client_min_messages = error;
SELECT task FROM idla_train('score_model', 'SELECT age, lab, score FROM visits', 'score', 'regression', 'linear', '{"epochs": 2}');
SELECT task, positive FROM idla_train('two_model', 'SELECT age, lab, CASE WHEN readmitted THEN 2 ELSE 1 END AS y FROM visits', 'y', architecture => 'linear', options => '{"epochs": 2}');
SELECT task, positive FROM idla_train('two_model', 'SELECT age, lab, CASE WHEN readmitted THEN 0.5 ELSE -1.5 END AS y FROM visits', 'y', architecture => 'linear', options => '{"epochs": 2}');
SELECT task, positive FROM idla_train('two_model', 'SELECT age, lab, sex FROM visits', 'sex', architecture => 'linear', options => '{"epochs": 2}');
SELECT task, positive FROM idla_train('two_model', 'SELECT age, lab, sex FROM visits', 'sex', architecture => 'linear', options => '{"epochs": 2, "positive": "f"}');
-- the labels sort by their bytes, whatever the database's collation: B before a
SELECT positive FROM idla_train('two_model', 'SELECT age, lab, CASE WHEN readmitted THEN ''B'' ELSE ''a'' END AS y FROM visits', 'y', architecture => 'linear', options => '{"epochs": 2}');
-- the probability is of the positive class, whichever that is
SELECT value > 0.9 AS good FROM idla_train('flipped', 'SELECT age, sex, lab, readmitted FROM visits', 'readmitted', architecture => 'linear', options => '{"positive": false}');
SELECT corr(idla_predict('flipped', v), v.readmitted::int) < -0.5 AS flipped, corr(idla_predict('binary_model', v), v.readmitted::int) > 0.5 AS straight FROM visits v;

-- rows without a target are dropped and counted
SELECT rows_used, rows_dropped, dropped_why FROM idla_train('drop_model', 'SELECT age, lab, CASE WHEN visit % 10 > 0 THEN readmitted END AS y FROM visits', 'y', architecture => 'linear', options => '{"epochs": 2}');

-- versions: the first serves at once, later ones wait unless told otherwise
SELECT version, in_service FROM idla_train('binary_model', 'SELECT age, sex, lab, readmitted FROM visits', 'readmitted', architecture => 'linear', options => '{"epochs": 2}');
SELECT version, in_service FROM idla_train('binary_model', 'SELECT age, sex, lab, readmitted FROM visits', 'readmitted', architecture => 'linear', options => '{"epochs": 2, "deploy": true, "comment": "third"}');
SELECT version, chunk, in_service, card->>'comment' AS comment FROM binary_model ORDER BY version, chunk;

-- the same seed gives the same bits, another seed others; the memory for rows does not matter, nor numeric against float8
CREATE VIEW for_seed AS SELECT age, sex, lab, readmitted FROM visits;
SELECT count(*) FROM (SELECT idla_train('seeds', 'for_seed', 'readmitted', architecture => 'mlp', options => '{"epochs": 3, "seed": 5, "threads": 1}') FROM generate_series(1, 2)) s;
SELECT count(*) FROM (SELECT idla_train('seeds', 'for_seed', 'readmitted', architecture => 'mlp', options => '{"epochs": 3, "seed": 6, "threads": 1}')) s;
SET idla.train_memory = '1MB';
SELECT count(*) FROM (SELECT idla_train('seeds', 'for_seed', 'readmitted', architecture => 'mlp', options => '{"epochs": 3, "seed": 5, "threads": 1}')) s;
RESET idla.train_memory;
SELECT count(*) FROM (SELECT idla_train('seeds', 'SELECT age::float8, sex, lab::float8, readmitted FROM visits', 'readmitted', architecture => 'mlp', options => '{"epochs": 3, "seed": 5, "threads": 1}')) s;
SELECT array_agg(version ORDER BY version) AS alike FROM seeds WHERE chunk = 0 GROUP BY manifest->>'weights_sha256' ORDER BY 1;
SELECT count(DISTINCT manifest->>'rows_hash') AS one FROM seeds WHERE chunk = 0;

-- the card: what may be known to whoever predicts
SELECT jsonb_object_keys(card) FROM binary_model WHERE version = 1 AND chunk = 0 ORDER BY 1;
SELECT card->>'task' AS task, card->>'target' AS target, card->>'positive' AS positive, card->'classes' AS classes, card->'parts' AS parts,
	card->>'privacy' AS privacy, card->>'source' AS source, card->>'judged_on' AS judged_on, card->'inputs' AS inputs FROM binary_model WHERE version = 1 AND chunk = 0;
SELECT r->>'class' AS class, (r->>'support')::int AS support, (r->>'f1')::float8 > 0.8 AS good FROM binary_model, jsonb_array_elements(card->'report') r WHERE version = 1 AND chunk = 0;
SELECT key, (value->>'low')::float8 <= (value->>'value')::float8 AND (value->>'value')::float8 <= (value->>'high')::float8 AS within, value->>'n' AS n
FROM binary_model, jsonb_each(card->'metrics') WHERE version = 1 AND chunk = 0 ORDER BY 1;
-- its figures are those that idla_evaluate finds on the same rows
CREATE VIEW parted_visits AS SELECT age, sex, lab, admitted, readmitted, CASE WHEN visit % 5 = 0 THEN 'test' WHEN visit % 5 = 1 THEN 'validation' ELSE 'train' END AS part FROM visits;
SELECT t.version FROM idla_train('parts_model', 'parted_visits', 'readmitted', architecture => 'tabm', options => '{"epochs": 3, "part": "part"}') t;
SELECT e.metric, e.value = (card->'metrics'->e.metric->>'value')::float8 AS value, e.low = (card->'metrics'->e.metric->>'low')::float8 AS low, e.n
FROM parts_model, idla_evaluate('parts_model', $$SELECT * FROM parted_visits WHERE part = 'test'$$) e WHERE chunk = 0 ORDER BY 1;
SELECT t.version FROM idla_train('parts_value', $$SELECT age, sex, lab, stay, CASE WHEN visit % 5 = 0 THEN 'test' ELSE 'train' END AS part FROM visits$$, 'stay', architecture => 'mlp', options => '{"epochs": 3, "part": "part"}') t;
SELECT e.metric, abs(e.value / (card->'metrics'->e.metric->>'value')::float8 - 1) < 1e-6 AS value, e.n
FROM parts_value, idla_evaluate('parts_value', 'SELECT * FROM visits WHERE visit % 5 = 0') e WHERE chunk = 0 ORDER BY 1;

-- the digest is of the manifest, and the manifest has that of the weights
SELECT card->>'digest' = manifest->>'sha256' AS one, manifest->>'weights_sha256' = encode(sha256(weights), 'hex') AS two FROM binary_model WHERE version = 1 AND chunk = 0;

-- no test part: the figures are of the validation part, and say so; nothing left to judge on: the loss on the folds
SELECT metric FROM idla_train('untested', 'for_seed', 'readmitted', architecture => 'linear', options => '{"epochs": 2, "test": 0, "validation": 0.2}');
SELECT metric, value > 0 AS positive FROM idla_train('untested', 'for_seed', 'readmitted', architecture => 'linear', options => '{"epochs": 2, "test": 0}');

-- the model is a table like any other
\d binary_model
SELECT attstorage FROM pg_attribute WHERE attrelid = 'binary_model'::regclass AND attname = 'weights';
SELECT count(*) AS dependencies FROM pg_depend d, pg_extension e WHERE e.extname = 'idla' AND d.objid = 'binary_model'::regclass AND d.refobjid = e.oid;

-- it can lie in any schema, under any name, and be temporary
CREATE SCHEMA "Other";
SELECT model, version FROM idla_train('"Other"."My model"', 'for_seed', 'readmitted', architecture => 'linear', options => '{"epochs": 2}');
SELECT count(idla_predict('"Other"."My model"', f)) FROM for_seed f;
SELECT version FROM idla_train('pg_temp.passing', 'for_seed', 'readmitted', architecture => 'linear', options => '{"epochs": 2}');
SELECT relpersistence FROM pg_class WHERE relname = 'passing';

-- sources: tables, views, foreign names, and every form of SELECT
CREATE MATERIALIZED VIEW kept AS SELECT * FROM for_seed;
CREATE TABLE parted (age int, lab numeric, readmitted boolean) PARTITION BY LIST (readmitted);
CREATE TABLE parted_yes PARTITION OF parted FOR VALUES IN (true);
CREATE TABLE parted_no PARTITION OF parted FOR VALUES IN (false);
INSERT INTO parted SELECT age, lab, readmitted FROM visits;
SELECT rows_used FROM idla_train('s', 'kept', 'readmitted', architecture => 'linear', options => '{"epochs": 2}');
SELECT rows_used FROM idla_train('s', 'train.parted', 'readmitted', architecture => 'linear', options => '{"epochs": 2}');
SELECT rows_used FROM idla_train('s', 'TABLE kept', 'readmitted', architecture => 'linear', options => '{"epochs": 2}');
SELECT rows_used FROM idla_train('s', E' -- a comment\n/* and another */ (SELECT * FROM kept LIMIT 500)', 'readmitted', architecture => 'linear', options => '{"epochs": 2}');
SELECT rows_used FROM idla_train('s', 'WITH k AS (SELECT * FROM kept) SELECT * FROM k', 'readmitted', architecture => 'linear', options => '{"epochs": 2}');
SELECT rows_used FROM idla_train('s', $$VALUES (1, true), (2, false), (3, true), (4, false), (5, true), (6, false), (7, true), (8, false), (9, true), (10, false)$$, 'column2', architecture => 'linear', options => '{"epochs": 2, "columns": {"column1": "keep"}}');

-- a rolled-back training leaves nothing
BEGIN;
SELECT version FROM idla_train('gone', 'for_seed', 'readmitted', architecture => 'linear', options => '{"epochs": 2}');
ROLLBACK;
SELECT to_regclass('gone');

DROP SCHEMA train, "Other" CASCADE;
