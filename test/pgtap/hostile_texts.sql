-- The same of models of texts and taggers: every value of their manifests replaced by others of every kind, whose author knows the digests.
\set QUIET on
SET client_min_messages = error;
SET idla.progress = off;
SELECT plan(4);

CREATE TABLE notes AS
SELECT i AS id, i % 3 = 0 AS sick, 20 + i % 60 AS age, CASE WHEN i <> 2 THEN format('patient %s %s', i, CASE WHEN i % 3 = 0 THEN 'has fever' ELSE 'is well' END) END AS note,
	ARRAY['patient', i::text, CASE WHEN i % 3 = 0 THEN 'fever' ELSE 'well' END] AS tokens, ARRAY['O', 'O', CASE WHEN i % 3 = 0 THEN 'B-Sign' ELSE 'O' END] AS tags
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
	SELECT path FROM walk WHERE path <> '{}' AND path[1] NOT IN ('sha256', 'training', 'options', 'split', 'parts')
$$;

-- Outcomes of asking with each change, by SQLSTATE; {} is an answer.
CREATE FUNCTION attack(model text, question text) RETURNS TABLE (state text, n bigint) LANGUAGE plpgsql AS $$
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
		FOR value IN SELECT * FROM jsonb_array_elements('[null, true, -1, 0, 3, 1e300, 2147483648, "x", "##x", "tagging", "bag", "transformer", [], {}, ["[UNK]"]]') LOOP
			changed := jsonb_set(original, path, value) - 'sha256';
			UPDATE victim SET manifest = changed || jsonb_build_object('sha256', encode(sha256(convert_to(changed::text, 'UTF8')), 'hex')) WHERE chunk = 0;
			BEGIN
				EXECUTE question;
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
	PERFORM idla_train('note', 'SELECT note, age, sick FROM notes', 'sick', options => '{"epochs": 1, "width": 4, "seed": 1, "columns": {"note": {"kind": "text", "pieces": 60}}, "augment": {"mask": 0.1, "swap": 0.1, "noise": 0.1}, "augment_predict": 2}');
	PERFORM idla_train('tagger', 'SELECT tokens, tags FROM notes', 'tags', options => '{"epochs": 1, "width": 4, "seed": 1}');
END $$;

CREATE TABLE outcome AS
SELECT a.* FROM attack('note', 'SELECT idla_predict(''victim'', p), idla_predict(''victim'', q) FROM notes p, notes q WHERE p.id = 1 AND q.id = 2') a
UNION ALL SELECT a.* FROM attack('tagger', 'SELECT t.* FROM idla_tag(''victim'', ''patient 7 has fever. patient 8 is well.'') t') a;
SELECT cmp_ok((SELECT sum(n) FROM outcome), '>', 1500::numeric, 'many changed manifests');
SELECT cmp_ok((SELECT sum(n) FROM outcome WHERE state = 'XX001'), '>', 700::numeric, 'most are refused as damaged');
SELECT is((SELECT string_agg(DISTINCT state, ' ') FROM outcome WHERE state NOT IN ('', 'XX001', '0A000', '42703', '42804', '22000', '22003', '42809', '22023')), NULL,
	'all others are answers, or errors of data, types and names');
SELECT is((SELECT count(idla_predict('note', n)) FROM notes n), 120::bigint, 'the true model answers as ever');
SELECT * FROM finish();
