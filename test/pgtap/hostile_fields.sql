-- The same of models with an image, a signal and several labels: every value of their manifests replaced by others of every kind, whose author
-- knows the digests. Whatever happens is an answer or an error of the statement.
\set QUIET on
SET client_min_messages = error;
SET idla.progress = off;
SELECT plan(5);

-- The second patient has neither image nor signal.
CREATE TABLE patients AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, i % 3 = 0 AS sick, i % 4 = 0 AS tired,
	CASE WHEN i <> 2 THEN (SELECT array_agg(ARRAY[ARRAY[x, i % 3], ARRAY[i % 5, x]]) FROM generate_series(1, 5) x)::float4[] END AS scan,
	CASE WHEN i <> 2 THEN (SELECT array_agg(sin(t * (1 + i % 3))::float4) FROM generate_series(1, 64 + i % 9) t) END AS wave
FROM generate_series(1, 120) i;

-- Every path to a value in a document, at most three elements of an array.
CREATE FUNCTION paths(document jsonb) RETURNS SETOF text[] LANGUAGE sql AS $$
	WITH RECURSIVE walk (path, value) AS (
		SELECT '{}'::text[], document
		UNION ALL
		SELECT w.path || c.key, c.value FROM walk w, LATERAL (
			SELECT key, value FROM jsonb_each(CASE jsonb_typeof(w.value) WHEN 'object' THEN w.value ELSE '{}' END)
			UNION ALL
			SELECT (n - 1)::text, value FROM jsonb_array_elements(CASE jsonb_typeof(w.value) WHEN 'array' THEN w.value ELSE '[]' END) WITH ORDINALITY e (value, n) WHERE n <= 3
		) c)
	SELECT path FROM walk WHERE path <> '{}' AND path[1] NOT IN ('sha256', 'record')
$$;

-- Outcomes of predicting and explaining with each change, by SQLSTATE; {} is an answer.
CREATE FUNCTION attack(model text) RETURNS TABLE (state text, n bigint) LANGUAGE plpgsql AS $$
DECLARE
	original jsonb;
	changed jsonb;
	path text[];
	value jsonb;
	outcomes text[] := '{}';
BEGIN
	EXECUTE format('SELECT manifest FROM %I WHERE chunk = 0', model) INTO original;
	EXECUTE format('CREATE TABLE victim AS SELECT * FROM %I', model);
	ALTER TABLE victim ADD CONSTRAINT idla_model CHECK ((chunk = 0) = (manifest IS NOT NULL));
	FOR path IN SELECT paths(original) LOOP
		FOR value IN SELECT * FROM jsonb_array_elements('[null, true, -1, 0, 3, 1.5, 1e300, 2147483648, "x", "tabm", "linear", [], {}, [[0]]]') LOOP
			changed := jsonb_set(original, path, value) - 'sha256';
			UPDATE victim SET manifest = changed || jsonb_build_object('sha256', encode(sha256(convert_to(changed::text, 'UTF8')), 'hex')) WHERE chunk = 0;
			BEGIN
				PERFORM idla_predict('victim', p), idla_predict('victim', q) FROM patients p, patients q WHERE p.id = 1 AND q.id = 2;
				outcomes := outcomes || ''::text;
			EXCEPTION WHEN OTHERS THEN
				outcomes := outcomes || sqlstate::text;
			END;
		END LOOP;
	END LOOP;
	DROP TABLE victim;
	RETURN QUERY SELECT s, count(*) FROM unnest(outcomes) s GROUP BY 1;
END $$;

DO $$ BEGIN
	PERFORM idla_train('picture', 'SELECT scan, age, sick FROM patients', 'sick', architecture => 'cnn', options => '{"epochs": 1, "depth": 1, "width": 2, "seed": 1, "augment": {"flip": 0.5, "rotate": 5, "table": {"noise": 0.1}}, "augment_predict": 2}');
	PERFORM idla_train('wave', 'SELECT wave, sick, tired FROM patients', 'sick,tired', architecture => 'gru', options => '{"epochs": 1, "width": 2, "seed": 1, "columns": {"wave": {"rate": 10, "to_rate": 5, "normalize": "signal"}}, "augment": {"jitter": 0.1}, "augment_predict": 2}');
	PERFORM idla_train('text', 'SELECT wave, age, sick FROM patients', 'sick', architecture => 'conv(2) relu max_pool(2) gru(2) last join dense(3)', options => '{"epochs": 1, "seed": 1}');
END $$;

CREATE TABLE outcome AS
SELECT 'picture' AS model, a.* FROM attack('picture') a UNION ALL SELECT 'wave', a.* FROM attack('wave') a UNION ALL SELECT 'text', a.* FROM attack('text') a;
SELECT cmp_ok((SELECT sum(n) FROM outcome), '>', 2000::numeric, 'thousands of changed manifests');
SELECT cmp_ok((SELECT sum(n) FROM outcome WHERE state = 'XX001'), '>', 1000::numeric, 'most are refused as damaged');
SELECT is((SELECT string_agg(DISTINCT state, ' ') FROM outcome WHERE state NOT IN ('', 'XX001', '0A000', '42703', '42804', '22000', '22003', '2202E', '42809', '22023')), NULL,
	'all others are answers, or errors of data, types and names');
SELECT is((SELECT count(*) FROM outcome WHERE state LIKE 'XX%' AND state <> 'XX001'), 0::bigint, 'none is an internal error');
SELECT is((SELECT count(idla_predict('picture', p)) FROM patients p), 120::bigint, 'the true models answer as ever');
SELECT * FROM finish();
