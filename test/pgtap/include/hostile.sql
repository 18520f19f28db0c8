-- What the hostile_*.sql scripts share: a manifest whose author knows the digests, every value in it replaced, one at a time.

-- Every path to a value in a document, at most three elements of an array; nothing below the keys that are left out.
CREATE FUNCTION paths(document jsonb, left_out text[]) RETURNS SETOF text[] LANGUAGE sql AS $$
	WITH RECURSIVE walk (path, value) AS (
		SELECT '{}'::text[], document
		UNION ALL
		SELECT w.path || c.key, c.value FROM walk w, LATERAL (
			SELECT key, value FROM jsonb_each(CASE jsonb_typeof(w.value) WHEN 'object' THEN w.value ELSE '{}' END)
			UNION ALL
			SELECT (n - 1)::text, value FROM jsonb_array_elements(CASE jsonb_typeof(w.value) WHEN 'array' THEN w.value ELSE '[]' END) WITH ORDINALITY e (value, n) WHERE n <= 3
		) c)
	SELECT path FROM walk WHERE path <> '{}' AND NOT path[1] = ANY (left_out)
$$;

-- Outcomes of a question to the table "victim", the model with each change, by SQLSTATE; '' is an answer. values: what is put in each place.
CREATE FUNCTION attack(model text, question text, "values" jsonb, left_out text[]) RETURNS TABLE (state text, n bigint) LANGUAGE plpgsql AS $$
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
	FOR path IN SELECT paths(original, left_out) LOOP
		FOR value IN SELECT * FROM jsonb_array_elements("values") LOOP
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
