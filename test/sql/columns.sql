-- Columns of a source: every type that is understood, what is refused, and how an option changes it.
SET client_min_messages = error;
SET idla.progress = off;
\set VERBOSITY default
CREATE SCHEMA columns;
SET search_path = columns, public;
SET timezone = 'Europe/Berlin';
SET datestyle = 'German';

CREATE DOMAIN positive AS numeric CHECK (value > 0);
CREATE DOMAIN code AS varchar(10);
CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
CREATE TABLE everything AS
SELECT (i % 7)::int2 AS small, i % 50 AS middle, ((i * 37) % 91)::int8 AS large, ((i * 53) % 97)::float4 / 4 AS single, sin(i) AS double,
	((i * 31) % 89)::numeric / 8 AS exact, ((i * 29) % 83 + 1)::positive AS domained,
	i % 3 = 0 AS truth, 'c' || i % 4 AS word, ('v' || i % 4)::varchar(5) AS various, ('x' || i % 3)::char(8) AS padded, (i % 2)::text::"char" AS letter,
	('n' || i % 3)::name AS name_, ('d' || i % 5)::code AS coded, (enum_range(NULL::colour))[1 + i % 3] AS colour,
	date '2020-01-01' + (i * 7) % 700 AS day, timestamp '2020-01-01' + (i * 61 % 997) * interval '1 hour' AS moment,
	timestamptz '2020-01-01 00:00+00' + (i * 67 % 991) * interval '7 hour' AS instant, time '00:00' + (i * 11 % 1440) * interval '1 minute' AS hour,
	(i % 100) * interval '1 day 3 hours' AS span, ARRAY[i % 11, i % 13, i % 17]::float8[] AS triple, ARRAY[i % 5, 2.5]::numeric[] AS pair,
	CASE WHEN i % 4 = 0 THEN NULL ELSE i % 10 END AS holes, NULL::float8 AS nothing, 5 AS constant,
	date '1950-01-01' + (i * 101) % 20000 AS born,
	sin(i) + (i % 7) * 0.2 + CASE i % 4 WHEN 0 THEN 1 ELSE 0 END > 0.9 AS y
FROM generate_series(1, 600) i;
INSERT INTO everything (y) SELECT i % 2 = 0 FROM generate_series(1, 20) i;

SELECT task, rows_used, metric, value > 0.8 AS good FROM idla_train('all_types', 'everything', 'y', architecture => 'linear');
SELECT i->>'name' AS name, i->>'type' AS type, i->>'kind' AS kind, i->>'use' AS use FROM all_types, jsonb_array_elements(card->'inputs') i WHERE chunk = 0;

-- no session setting changes an answer; nor does the order of columns, nor what else is there
CREATE TABLE before AS SELECT y, idla_predict('all_types', e) AS p, row_number() OVER () AS n FROM everything e;
SET timezone = 'Asia/Tokyo';
SET datestyle = 'ISO';
SET intervalstyle = 'iso_8601';
SET extra_float_digits = -10;
SELECT count(*) AS differ FROM (SELECT idla_predict('all_types', e) AS p, row_number() OVER () AS n FROM everything e) a JOIN before b USING (n) WHERE a.p IS DISTINCT FROM b.p;
RESET extra_float_digits;
SELECT bool_and(p > 0 AND p < 1) AS answers FROM (SELECT idla_predict('all_types', e) AS p FROM everything e WHERE small IS NULL) s;

-- values that are no numbers are missing ones
SELECT idla_predict('all_types', a) = idla_predict('all_types', b) AS same FROM
	(SELECT (e).* FROM (SELECT jsonb_populate_record(e, '{"double": "NaN", "exact": "NaN", "single": "Infinity", "day": "infinity", "moment": "-infinity"}') AS e FROM everything e WHERE middle = 1 LIMIT 1) s) a,
	(SELECT (e).* FROM (SELECT jsonb_populate_record(e, '{"double": null, "exact": null, "single": null, "day": null, "moment": null}') AS e FROM everything e WHERE middle = 1 LIMIT 1) s) b;

-- numbers as categories, whatever their scale; the distance to another date; kept although constant-looking
SELECT version FROM idla_train('changed', 'SELECT small, exact, day, moment, born, truth, y FROM everything', 'y', architecture => 'linear',
	options => '{"epochs": 3, "columns": {"small": "category", "exact": {"kind": "category"}, "day": {"reference": "born"}, "moment": {"reference": "born"}, "born": "ignore", "truth": "category"}}');
SELECT i->>'name' AS name, i->>'kind' AS kind, i->>'use' AS use, i->>'reference' AS reference FROM changed, jsonb_array_elements(card->'inputs') i WHERE chunk = 0;
SELECT count(*) FILTER (WHERE c LIKE '%.') AS dots, count(*) FILTER (WHERE c LIKE '%.%0') AS zeros, count(*) > 5 AS some FROM changed, jsonb_array_elements_text(manifest->'channels'->1->'categories') c WHERE chunk = 0;
SELECT count(DISTINCT idla_predict('changed', c)) FROM (VALUES (1::int2, 1.5::numeric, date '2020-05-05', timestamp '2020-05-05', date '1960-01-01', true), (1::int2, 1.500, date '2020-05-05', timestamp '2020-05-05', date '1960-01-01', true)) c (small, exact, day, moment, born, truth);
-- the reference is needed to predict, and only its distance counts
SELECT idla_predict('changed', c) FROM (SELECT small, exact, day, moment, truth FROM everything LIMIT 1) c;
SELECT count(DISTINCT idla_predict('changed', c)) FROM (VALUES (1::int2, 1.5::numeric, date '2020-05-05', timestamp '2020-05-05', date '1960-01-01', true), (1::int2, 1.5, date '2020-05-06', timestamp '2020-05-06', date '1960-01-02', true)) c (small, exact, day, moment, born, truth);

-- uuid and the like only when asked for
SELECT idla_train('word', 'SELECT md5((double > 0)::text)::uuid AS u, double, y FROM everything', 'y');
SELECT value > 0.5 AS good FROM idla_train('word', 'SELECT md5((double > 0)::text)::uuid AS u, y FROM everything', 'y', architecture => 'linear', options => '{"columns": {"u": "category"}}');

-- what cannot be an input, and the way out
SELECT idla_train('m', $$SELECT single, y, '{}'::json AS j FROM everything$$, 'y');
SELECT idla_train('m', $$SELECT single, y, '{}'::jsonb AS j FROM everything$$, 'y');
SELECT idla_train('m', $$SELECT single, y, '\x00'::bytea AS j FROM everything$$, 'y');
SELECT idla_train('m', 'SELECT single, y, 1::money AS j FROM everything', 'y');
SELECT idla_train('m', 'SELECT single, y, point(1, 2) AS j FROM everything', 'y');
SELECT idla_train('m', 'SELECT single, y, current_time AS j FROM everything', 'y');
SELECT idla_train('m', 'SELECT single, y, ARRAY[word] AS j FROM everything', 'y');
SELECT idla_train('m', 'SELECT single, y, ROW(1, 2) AS j FROM everything', 'y');
SELECT idla_train('m', 'SELECT single, y, int4range(1, 2) AS j FROM everything', 'y');
SELECT idla_train('m', 'SELECT single, y, repeat(md5(double::text), 20) AS j FROM everything', 'y');
SELECT architecture FROM idla_train('prose', $$SELECT single, y, 'patient ' || double || ' is well and went home' AS j FROM everything$$, 'y', options => '{"epochs": 1, "width": 8}');
SELECT rows_used FROM idla_train('m', $$SELECT single, y, 'patient ' || double || ' is well and went home' AS j, '{}'::json AS k FROM everything$$, 'y', architecture => 'linear', options => '{"epochs": 2, "columns": {"j": "ignore", "k": "ignore"}}');
SELECT idla_train('m', 'everything', 'y', options => '{"columns": {"double": "category"}}');
SELECT idla_train('m', 'everything', 'y', options => '{"columns": {"word": "number"}}');
SELECT idla_train('m', 'everything', 'y', options => '{"columns": {"word": {"reference": "day"}}}');
SELECT idla_train('m', 'everything', 'y', options => '{"columns": {"day": {"reference": "dawn"}}}');
SELECT idla_train('m', 'everything', 'y', options => '{"columns": {"day": {"reference": "word"}}}');
SELECT idla_train('m', 'everything', 'y', options => '{"columns": {"word": {"length": 3}}}');

-- arrays: one length in all rows, NULLs and NULL elements allowed, also first
SELECT idla_train('m', 'SELECT y, CASE WHEN small = 3 THEN ARRAY[1.5] ELSE triple END AS j FROM everything', 'y');
SELECT idla_train('m', $$SELECT y, single, '{}'::float8[] AS j FROM everything$$, 'y');
SELECT idla_train('m', 'SELECT y, triple FROM everything', 'y', options => '{"columns": {"triple": {"length": 4}}}');
SELECT rows_used FROM idla_train('m', 'SELECT NULL::float8[] AS j, true AS y FROM generate_series(1, 5) UNION ALL SELECT ARRAY[single, NULL, double], y FROM everything WHERE y IS NOT NULL', 'y', architecture => 'linear', options => '{"epochs": 2}');

-- 1,600 columns
SELECT format('CREATE TABLE wide AS SELECT %s, i %% 2 = 0 AS y FROM generate_series(1, 150) i', string_agg(format('(i * %s %% 101)::int2 AS c%s', c, c), ', ')) FROM generate_series(1, 1599) c \gexec
SELECT rows_used FROM idla_train('wide_model', 'wide', 'y', architecture => 'linear', options => '{"epochs": 1, "folds": 1}');
SELECT count(idla_predict('wide_model', w)) FROM wide w;

-- 100,000 distinct categories: known ones up to the limit, the others are one
CREATE TABLE many AS SELECT 'code ' || (i * 7919) % 100000 AS code, i % 10 AS k, i % 2 = 0 AS y FROM generate_series(1, 150000) i;
SELECT rows_used FROM idla_train('many_model', 'many', 'y', architecture => 'linear', options => '{"epochs": 1, "min_count": 1, "max_categories": 500000}');
SELECT rows_used FROM idla_train('many_model', 'many', 'y', architecture => 'linear', options => '{"epochs": 1, "columns": {"code": "category"}, "min_count": 2}');
SELECT version, jsonb_array_length(manifest->'channels'->0->'categories') BETWEEN 50001 AND 100000 AS all_known, manifest->'channels'->0->'has_other' AS other FROM many_model WHERE chunk = 0 ORDER BY 1;
SELECT count(idla_predict('many_model', m)) FROM many m;

-- a column with one value, or none, is left out with a NOTICE; so is one with a value of its own in every row
SET client_min_messages = notice;
SELECT rows_used FROM idla_train('m', 'SELECT y, single, double, constant, nothing, row_number() OVER () AS id FROM everything', 'y', architecture => 'linear', options => '{"epochs": 2}');
-- what was left out is not asked for again, nor explained or weighed
SELECT version AS newest FROM idla_versions WHERE model = 'm'::regclass ORDER BY version DESC LIMIT 1 \gset
SELECT count(idla_predict('m', x, :newest)), count(*) FROM (SELECT single, double, constant FROM everything) x;
SELECT feature FROM everything e, idla_explain('m', e, top => NULL, version => :newest) WHERE e.middle = 1 AND e.small = 1 GROUP BY 1 ORDER BY 1;
SELECT feature FROM idla_importance('m', 'everything', 1, :newest) ORDER BY 1;
-- what looks like a patient's identifier is named, and what gives the target away
SELECT rows_used FROM idla_train('m', 'SELECT y, single, middle AS patient_id FROM everything', 'y', architecture => 'linear', options => '{"epochs": 2}');
SELECT rows_used FROM idla_train('m', 'SELECT y, single, middle AS patient_id, y::int + double * 0.001 AS outcome FROM everything', 'y', architecture => 'linear', options => '{"epochs": 2, "group_by": "patient_id"}');

SET client_min_messages = warning;
DROP SCHEMA columns CASCADE;
