-- idla_drift: rows of later against those that a model was trained on.
SET client_min_messages = warning;
SET idla.progress = off;
CREATE SCHEMA drift;
SET search_path = drift, public;
CREATE TABLE visits AS
SELECT i AS id, 20 + (i * 37) % 60 AS age, CASE WHEN i % 10 > 0 THEN (i * 71) % 101 / 10.0 END AS crp,
	(ARRAY['medical', 'surgical', 'icu'])[1 + i % 3] AS ward, timestamp '2025-01-01' + i * interval '5 hours' AS admitted, 'x' AS constant,
	(i * 37) % 60 + (i * 17) % 20 > 40 AS sick FROM generate_series(1, 600) i;
CREATE VIEW source AS SELECT age, crp, ward, admitted, constant, sick FROM visits;
SELECT version FROM idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 5, "seed": 1}');

-- the very rows: nothing has moved, and a column that was left out is not spoken of
SELECT item, kind, n, round(psi::numeric, 1) AS psi, round(ks::numeric, 1) AS ks, p_value > 0.5 AS chance, round(missing_then::numeric, 1) AS then, round(missing_now::numeric, 1) AS now, unseen, verdict
FROM idla_drift('m', 'source') WHERE kind NOT IN ('answer', 'calibration');

-- what has moved is found: a number, what is missing, a ward of which nobody had heard, the year
SELECT item, kind, n, round(psi::numeric, 1) AS psi, round(ks::numeric, 2) AS ks, p_value < 0.001 AS chance, round(missing_then::numeric, 1) AS then, round(missing_now::numeric, 1) AS now, round(unseen::numeric, 2) AS unseen, verdict
FROM idla_drift('m', $$SELECT age + 20 AS age, CASE WHEN id % 2 = 0 THEN crp END AS crp, CASE WHEN id % 4 = 0 THEN 'hospice' ELSE ward END AS ward, admitted + interval '3 years' AS admitted FROM visits$$)
WHERE kind <> 'answer';
SELECT ks = round(ks::numeric, 12) AS exact, ks FROM idla_drift('m', 'SELECT 200 AS age, crp, ward, admitted FROM visits') WHERE item = 'age';

-- few rows say little
SELECT item, psi > 0.25 AS large, verdict FROM idla_drift('m', 'SELECT * FROM visits WHERE id IN (3, 7, 11)') WHERE item = 'age';

-- answers: there in either case; calibration only with the target
SELECT kind, item, n, predicted IS NOT NULL AS predicted, ece IS NOT NULL AS ece FROM idla_drift('m', 'SELECT age, crp, ward, admitted FROM visits') WHERE item = 'sick';
SELECT kind, item, n, abs(predicted - observed) < 0.1 AS near, round(observed::numeric, 2) AS observed FROM idla_drift('m', 'SELECT * FROM visits') WHERE kind = 'calibration';
SELECT kind, n, round(observed::numeric, 2) AS observed, verdict FROM idla_drift('m', 'SELECT age, crp, ward, admitted, false AS sick FROM visits') WHERE kind = 'calibration';
SELECT kind, n, verdict FROM idla_drift('m', 'SELECT age, crp, ward, admitted, CASE WHEN id <= 40 THEN sick END AS sick FROM visits') WHERE kind = 'calibration';
SELECT kind, n, verdict FROM idla_drift('m', 'SELECT age, crp, ward, admitted, NULL::boolean AS sick FROM visits') WHERE kind = 'calibration';
SELECT verdict FROM idla_drift('m', 'SELECT 79 AS age, crp, ward, admitted FROM visits') WHERE kind = 'answer';

-- the reference is the version's own
SELECT version FROM idla_train('m', 'SELECT age + 20 AS age, crp, ward, admitted, sick FROM visits', 'sick', architecture => 'linear', options => '{"epochs": 5, "seed": 1}');
SELECT v AS version, verdict FROM generate_series(1, 2) v, idla_drift('m', 'SELECT age + 20 AS age, crp, ward, admitted FROM visits', v) WHERE item = 'age' ORDER BY v;

-- other tasks
SELECT version FROM idla_train('wards', 'SELECT age, crp, ward FROM visits', 'ward', architecture => 'linear', options => '{"epochs": 3, "seed": 1}');
SELECT item, kind, n, ks IS NULL AS no_ks, unseen, predicted BETWEEN 0 AND 1 AS predicted, observed BETWEEN 0 AND 1 AS observed
FROM idla_drift('wards', 'SELECT age, crp, ward FROM visits') WHERE item = 'ward';
SELECT item, kind, n FROM idla_drift('wards', 'SELECT age, crp, CASE WHEN id <= 30 THEN ''hospice'' ELSE ward END AS ward FROM visits') WHERE item = 'ward';
SELECT version FROM idla_train('levels', 'SELECT age, ward, crp, age * 2 + crp AS score FROM visits', 'crp, score', architecture => 'linear', options => '{"epochs": 200, "seed": 1}');
SELECT item, kind, n, ece IS NULL AS no_ece, verdict FROM idla_drift('levels', 'SELECT age, ward, crp, age * 2 + crp + 30 AS score FROM visits') WHERE kind IN ('answer', 'calibration') AND item = 'score';
SELECT version FROM idla_train('deaths', 'SELECT age, ward, 1 + (id * 13) % 40 AS days, id % 3 = 0 AS died FROM visits', 'days, died', task => 'survival', architecture => 'linear', options => '{"epochs": 3, "seed": 1}');
SELECT item, kind, n, abs(predicted - observed) < 0.06 AS near FROM idla_drift('deaths', 'SELECT age, ward, 1 + (id * 13) % 40 AS days, id % 3 = 0 AS died FROM visits') WHERE kind IN ('answer', 'calibration');
SELECT kind, n, observed, verdict FROM idla_drift('deaths', 'SELECT age, ward, 1 + (id * 13) % 40 AS days, true AS died FROM visits') WHERE kind = 'calibration';
SELECT version FROM idla_train('flags', 'SELECT age, ward, age > 50 AS old, id % 4 = 0 AS quarter FROM visits', 'old, quarter', task => 'multilabel', architecture => 'linear', options => '{"epochs": 3, "seed": 1}');
SELECT item, kind, n, ece BETWEEN 0 AND 1 AS ece FROM idla_drift('flags', 'SELECT age, ward, age > 50 AS old, CASE WHEN id % 2 = 0 THEN id % 4 = 0 END AS quarter FROM visits') WHERE kind IN ('answer', 'calibration');

-- an array is one column, its place that moved most; nothing kept apart is nothing to compare answers with
SELECT version FROM idla_train('panels', 'SELECT ARRAY[age, crp, id % 5] AS panel, sick FROM visits', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 1, "test": 0, "folds": 2}');
SELECT item, kind, verdict FROM idla_drift('panels', 'SELECT ARRAY[age, crp, id % 5 + 1] AS panel, sick FROM visits') WHERE kind <> 'calibration';

-- series: the source's long rows are gathered first
CREATE TABLE events AS
SELECT v AS stay, t * interval '1 hour' + timestamp '2026-01-01' AS taken, (v * 7 + t * 3) % 11 + CASE WHEN v % 2 = 0 THEN 3 ELSE 0 END AS pulse, v % 2 = 0 AS bad
FROM generate_series(1, 120) v, generate_series(1, 6) t;
SELECT version FROM idla_train('stays', 'events', 'bad', architecture => 'linear', options => '{"entity": "stay", "time": "taken", "series": {"use": "summary"}, "epochs": 3, "seed": 1}');
SELECT kind, item, n FROM idla_drift('stays', 'events') WHERE kind = 'calibration';
SELECT item, n, verdict FROM idla_drift('stays', 'SELECT stay, taken, pulse + 40 AS pulse FROM events') WHERE kind NOT IN ('answer', 'calibration');

-- a taker of a sample: whoever may not read the manifest could find out the training rows' distribution
CREATE ROLE drift_reader;
GRANT USAGE ON SCHEMA drift TO drift_reader;
GRANT SELECT ON visits TO drift_reader;
GRANT SELECT (version, in_service, card) ON m TO drift_reader;
SET ROLE drift_reader;
SELECT count(*) FROM idla_drift('m', 'SELECT * FROM visits');
RESET ROLE;
GRANT SELECT ON m TO drift_reader;
SET ROLE drift_reader;
SELECT count(*) FROM idla_drift('m', 'SELECT * FROM visits');
RESET ROLE;

-- the manifest is untrusted: profiles with a digest that fits, and what they say does not
CREATE FUNCTION attack(path text[], value jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE changed jsonb; outcome text;
BEGIN
	SELECT jsonb_set(manifest, path, value) - 'sha256' INTO changed FROM m WHERE version = 1 AND chunk = 0;
	CREATE TABLE victim (LIKE m INCLUDING ALL);
	INSERT INTO victim SELECT version, chunk, in_service, card,
		CASE WHEN chunk = 0 THEN changed || jsonb_build_object('sha256', encode(sha256(convert_to(changed::text, 'UTF8')), 'hex')) END, weights FROM m WHERE version = 1;
	BEGIN
		EXECUTE 'SELECT count(*) FROM idla_drift(''victim'', ''SELECT * FROM visits'', 1)' INTO outcome;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS outcome = PG_EXCEPTION_DETAIL;
		outcome := sqlstate || ' ' || outcome;
	END;
	DROP TABLE victim;
	RETURN outcome;
END $$;
SELECT attack('{profile,channels,0,missing}', '0');
SELECT attack('{profile}', 'null');
SELECT attack('{profile}', '{}');
SELECT attack('{profile}', '7');
SELECT attack('{profile,channels}', '[]');
SELECT attack('{profile,channels,0}', '{}');
SELECT attack('{profile,channels,0,counts}', '"1 2"');
SELECT attack('{profile,channels,0,counts}', '7');
SELECT attack('{profile,channels,0,counts}', '""');
SELECT attack('{profile,channels,0,counts}', '"1  2"');
SELECT attack('{profile,channels,0,counts}', '"nan"');
SELECT attack('{profile,channels,0,edges}', '"two"');
SELECT attack('{profile,channels,0,edges}', to_jsonb((SELECT string_agg(i::text, ' ') FROM generate_series(1, 65) i)));
SELECT attack('{profile,channels,0}', '{"counts": "1 2", "edges": "2 1", "missing": 0}');
SELECT attack('{profile,channels,0}', '{"counts": "1 -2", "edges": "1 2", "missing": 0}');
SELECT attack('{profile,channels,0}', '{"counts": "0 0", "edges": "1 2", "missing": 0}');
SELECT attack('{profile,channels,0}', jsonb_build_object('counts', '100' || repeat(' 0', 63), 'edges', (SELECT string_agg(i::text, ' ' ORDER BY i) FROM generate_series(-20, 43) i), 'missing', 0));
SELECT attack('{profile,channels,0}', jsonb_build_object('counts', '100' || repeat(' 1e-300', 63), 'edges', (SELECT string_agg(i::text, ' ' ORDER BY i) FROM generate_series(-20, 43) i), 'missing', 0));
SELECT attack('{profile,channels,0}', jsonb_build_object('counts', '1e300' || repeat(' 1', 63), 'edges', (SELECT string_agg(i::text, ' ' ORDER BY i) FROM generate_series(-20, 43) i), 'missing', 0));
SELECT attack('{profile,channels,0}', '{"counts": "1 2", "edges": "1 2", "missing": -1}');
SELECT attack('{profile,channels,0}', '{"counts": "1 2", "edges": "1 1e300", "missing": 0}');
SELECT attack('{profile,channels,2}', '{"counts": "1 2", "missing": 0}');
SELECT attack('{profile,channels,2}', '{"counts": "1 -2", "missing": 0}');
SELECT attack('{profile,channels,2}', '{"counts": "0 0", "missing": 0}');
SELECT attack('{profile,answers}', '[{}, {}]');
SELECT attack('{profile,answers}', '[]');

-- wrong calls
SELECT * FROM idla_drift(NULL, 'visits');
SELECT * FROM idla_drift('m', NULL);
SELECT * FROM idla_drift('visits', 'visits');
SELECT * FROM idla_drift('m', 'SELECT * FROM visits', 7);
SELECT * FROM idla_drift('m', 'SELECT * FROM visits WHERE false');
SELECT * FROM idla_drift('m', 'SELECT age, crp FROM visits');

DROP OWNED BY drift_reader;
DROP ROLE drift_reader;
DROP SCHEMA drift CASCADE;
