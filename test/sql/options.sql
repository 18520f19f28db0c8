-- Options of idla_train: strict names, types and bounds; each one does what it says.
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA options;
SET search_path = options, public;
CREATE TABLE t AS
SELECT i AS id, i / 4 AS patient, sin(i * 0.7) * 10 AS a, cos(i * 0.3) AS b, (ARRAY['red', 'green', 'blue', 'rare'])[1 + CASE WHEN i = 40 THEN 3 ELSE i % 3 END] AS c,
	date '2021-01-01' + i AS seen, (ARRAY['train', 'train', 'Validation', 'test'])[1 + i % 4] AS part,
	sin(i * 0.7) * 10 + cos(i * 0.3) * 5 + (i % 3) > 2 AS y, (sin(i * 0.7) * 3 + i % 3)::int AS n, i % 20 = 0 AS rare_y
FROM generate_series(1, 400) i;
CREATE VIEW v AS SELECT a, b, c, y FROM t;
-- Trains and gives what the manifest recorded under a path.
CREATE FUNCTION used(options jsonb, VARIADIC path text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	made record;
	found jsonb;
BEGIN
	SELECT * INTO made FROM idla_train('used_model', 'v', 'y', architecture => 'mlp', options => '{"epochs": 2, "folds": 1}'::jsonb || options);
	EXECUTE 'SELECT manifest #> $1 FROM used_model WHERE chunk = 0 AND version = $2' INTO found USING path, made.version;
	RETURN found;
END $$;

-- not an object, unknown, of the wrong type, out of bounds
SELECT idla_train('m', 'v', 'y', options => '[]');
SELECT idla_train('m', 'v', 'y', options => '3');
SELECT idla_train('m', 'v', 'y', options => '{"epoch": 3}');
SELECT idla_train('m', 'v', 'y', options => '{"quux": 3}');
SELECT idla_train('m', 'v', 'y', options => '{"epochs": "3"}');
SELECT idla_train('m', 'v', 'y', options => '{"epochs": 0}');
SELECT idla_train('m', 'v', 'y', options => '{"epochs": 1.5}');
SELECT idla_train('m', 'v', 'y', options => '{"epochs": 1e400}');
SELECT idla_train('m', 'v', 'y', options => '{"rate": "NaN"}');
SELECT idla_train('m', 'v', 'y', options => '{"dropout": 1}');
SELECT idla_train('m', 'v', 'y', options => '{"deploy": 1}');
SELECT idla_train('m', 'v', 'y', options => '{"comment": 1}');
SELECT idla_train('m', 'v', 'y', options => '{"optimizer": "adam"}');
SELECT idla_train('m', 'v', 'y', options => '{"schedule": 3}');
SELECT idla_train('m', 'v', 'y', options => '{"activation": "rely"}');
SELECT idla_train('m', 'v', 'y', options => '{"scaling": "robusto"}');
SELECT idla_train('m', 'v', 'y', options => '{"class_weights": "balance"}');
SELECT idla_train('m', 'v', 'y', options => '{"class_weights": {"true": -1}}');
SELECT idla_train('m', 'v', 'y', options => '{"class_weights": {"maybe": 2}}');
SELECT idla_train('m', 'v', 'y', options => '{"columns": ["a"]}');
SELECT idla_train('m', 'v', 'y', options => '{"columns": {"a": 3}}');
SELECT idla_train('m', 'v', 'y', options => '{"columns": {"a": "ignored"}}');
SELECT idla_train('m', 'v', 'y', options => '{"columns": {"a": {"king": "number"}}}');
SELECT idla_train('m', 'v', 'y', options => '{"columns": {"aa": "ignore"}}');
SELECT idla_train('m', 'v', 'y', options => '{"columns": {"y": "keep"}}');
SELECT idla_train('m', 'v', 'y', options => '{"group_by": 3}');
SELECT idla_train('m', 'v', 'y', options => '{"group_by": []}');
SELECT idla_train('m', 'v', 'y', options => '{"group_by": "patients"}');
SELECT idla_train('m', 'v', 'y', options => '{"order_by": "c"}');
SELECT idla_train('m', 't', 'y', options => '{"part": "id"}');
SELECT idla_train('m', 't', 'y', options => '{"part": "c"}');
SELECT idla_train('m', 't', 'y', options => '{"part": "part", "test": 0.1}');
SELECT idla_train('m', 'v', 'y', options => '{"validation": 0.6, "test": 0.5}');
SELECT idla_train('m', 'v', 'y', options => '{"positive": "maybe"}');
SELECT idla_train('m', 'v', 'c', options => '{"positive": "red"}');
SELECT idla_train('m', 'v', 'a', 'regression', options => '{"positive": "red"}');
SELECT idla_train('m', 'v', 'a', 'regression', options => '{"class_weights": "balanced"}');
SELECT idla_train('m', 'v', 'a', 'regression', options => '{"smoothing": 0.1}');
SELECT idla_train('m', 'v', 'y', options => '{"huber": 1}');
SELECT idla_train('m', 'v', 'y', architecture => 'mlp', options => '{"layers": "dense(8)"}');
SELECT to_regclass('m');

-- null is the default
SELECT used('{"rate": null, "columns": null, "comment": null}', 'training', 'epochs');

-- what was asked is what was used
SELECT used('{"batch": 50, "patience": 7, "optimizer": "sgd", "rate": 0.01, "decay": 0.25, "momentum": 0.5, "schedule": "constant"}', 'training') -
	ARRAY['matrix_rate', 'threads', 'average', 'clip', 'warm_up', 'linear'];
SELECT used('{"optimizer": "muon", "matrix_rate": 0.02, "warm_up": 0.2, "clip": 2, "average": 0.5, "smoothing": 0.1, "linear": false, "seed": 9, "threads": 1, "calibrate": false}', 'training') -
	ARRAY['batch', 'patience', 'rate', 'decay', 'momentum', 'schedule'];
SELECT used('{"patience": 0}', 'training', 'patience');
SELECT used('{"depth": 2, "width": 8, "activation": "gelu", "dropout": 0.25, "linear": false}', 'nets', '0') - ARRAY['cardinality'];
SELECT used('{"embedding": "periodic", "bins": 4, "embedding_width": 5, "linear": false}', 'nets', '0', 'embedding_width');
SELECT jsonb_array_length(used('{"folds": 3, "bags": 2, "linear": true}', 'nets'));
SELECT used('{"linear": true}', 'nets', '1', 'architecture');
SELECT used('{"calibrate": false}', 'temperature'), used('{}', 'temperature') <> '1' AS calibrated;
SELECT used('{"layers": null, "validation": 0.25, "test": 0.25}', 'parts');
SELECT used('{"scaling": "quantile"}', 'channels', '0', 'scaling'), jsonb_array_length(used('{"scaling": "quantile"}', 'channels', '0', 'quantiles')) > 1 AS quantiles;
SELECT used('{"columns": {"b": {"scaling": "standard"}}}', 'channels', '1', 'scaling'), used('{}', 'channels', '1', 'scaling');
SELECT used('{"max_categories": 2}', 'channels', '2', 'categories') <@ '["red", "green", "blue"]' AS known, jsonb_array_length(used('{"max_categories": 2}', 'channels', '2', 'categories')) AS kept;
SELECT used('{"min_count": 1, "validation": 0, "test": 0}', 'channels', '2', 'categories') ? 'rare' AS kept, used('{"min_count": 2, "validation": 0, "test": 0}', 'channels', '2', 'categories') ? 'rare' AS kept_by_two;
SELECT architecture FROM idla_train('m', 'v', 'y', options => '{"layers": "dense(8) relu", "epochs": 2, "folds": 1}');
SELECT architecture FROM idla_train('m', 'v', 'y', architecture => 'dense(8) relu dropout(0.1) dense(4) tanh', options => '{"epochs": 2, "folds": 1}');
SELECT task FROM idla_train('r', 'v', 'a', 'regression', 'mlp', '{"huber": 1.5, "epochs": 2, "folds": 1}');
SELECT (manifest->'training'->>'huber') FROM r WHERE chunk = 0;

-- splits: by group no patient is on two sides, by order the future judges, by part as it says
CREATE FUNCTION parts(options jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	made record;
	found jsonb;
BEGIN
	SELECT * INTO made FROM idla_train('parts_model', 'SELECT id, patient, seen, part, a, b, c, y FROM t', 'y', architecture => 'linear', options => '{"epochs": 2, "columns": {"id": "ignore"}}'::jsonb || options);
	EXECUTE 'SELECT card->''parts'' || jsonb_build_object(''inputs'', (SELECT jsonb_agg(i->''name'') FROM jsonb_array_elements(card->''inputs'') i)) FROM parts_model WHERE chunk = 0 AND version = $1' INTO found USING made.version;
	RETURN found;
END $$;
SELECT parts('{}');
SELECT parts('{"group_by": "patient", "columns": {"id": "ignore", "seen": "ignore", "part": "ignore"}}');
SELECT parts('{"group_by": ["patient", "part"], "columns": {"id": "ignore", "seen": "ignore"}}');
SELECT parts('{"order_by": "seen", "columns": {"id": "ignore", "patient": "ignore", "part": "ignore"}}');
SELECT parts('{"order_by": "seen", "columns": {"id": "ignore", "patient": "ignore", "part": "ignore", "seen": "keep"}}');
SELECT parts('{"part": "part", "columns": {"id": "ignore", "patient": "ignore", "seen": "ignore"}}');
SELECT rows_dropped, dropped_why FROM idla_train('p', $$SELECT a, b, y, NULLIF(part, 'test') AS part FROM t$$, 'y', architecture => 'linear', options => '{"epochs": 2, "part": "part"}');
SELECT rows_dropped, dropped_why FROM idla_train('p', 'SELECT a, b, y, NULLIF(id, 7) AS id FROM t', 'y', architecture => 'linear', options => '{"epochs": 2, "order_by": "id"}');

-- a label that only the patient decides is known again with the patient on both sides, and not without
SELECT value > 0.9 AS recognised FROM idla_train('g', 'SELECT patient, a, b, hashint4(patient) % 2 = 0 AS y FROM t', 'y', architecture => 'linear', options => '{"columns": {"patient": "category"}, "min_count": 1, "folds": 1}');
SELECT value < 0.8 AS unknown FROM idla_train('g', 'SELECT patient, a, b, hashint4(patient) % 2 = 0 AS y FROM t', 'y', architecture => 'linear', options => '{"columns": {"patient": "category"}, "min_count": 1, "folds": 1, "group_by": "patient"}');

-- rare classes: weights raise recall in training and are taken back from the probabilities
SELECT task FROM idla_train('w', 'SELECT a, b, c, rare_y FROM t', 'rare_y', architecture => 'linear', options => '{"epochs": 30, "class_weights": "balanced"}');
SELECT task FROM idla_train('w', 'SELECT a, b, c, rare_y FROM t', 'rare_y', architecture => 'linear', options => '{"epochs": 30, "class_weights": {"true": 10}}');
SELECT version, abs(avg(idla_predict('w', t, version => version)) - 0.05) < 0.05 AS near_the_share FROM w, t WHERE chunk = 0 GROUP BY version ORDER BY 1;

DROP SCHEMA options CASCADE;
