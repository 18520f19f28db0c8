-- Intervals, sets of classes and abstaining: what is promised is kept, overall and by subgroup; what cannot be is refused.
SET client_min_messages = warning;
CREATE SCHEMA conformal;
SET search_path = conformal, public;
SET idla.progress = off;

-- Numbers that look random and are the same everywhere.
CREATE FUNCTION uniform(i int, stream int) RETURNS float8 LANGUAGE sql IMMUTABLE
RETURN (('x' || substr(md5(i || ' ' || stream), 1, 8))::bit(32)::bigint + 0.5) / 4294967296;
CREATE FUNCTION normal(i int, stream int) RETURNS float8 LANGUAGE sql IMMUTABLE
RETURN sqrt(-2 * ln(uniform(i, stream))) * cos(2 * pi() * uniform(i, stream + 100));

-- Women's costs are three times as unsure; of visitors there are too few.
CREATE TABLE people AS
SELECT i, uniform(i, 1) AS age, uniform(i, 2) AS dose, CASE WHEN i % 400 = 0 THEN 'visitor' WHEN i % 3 = 0 THEN 'f' ELSE 'm' END AS sex,
	5 * uniform(i, 1) + 2 * uniform(i, 2) + CASE WHEN i % 3 = 0 THEN 3 ELSE 1 END * normal(i, 3) AS cost,
	(1 + 10 * uniform(i, 1)) * (1 + normal(i, 4) / 4) AS days,
	CASE WHEN 4 * uniform(i, 1) + normal(i, 5) < 1 THEN 'mild' WHEN 4 * uniform(i, 1) + normal(i, 5) < 2.5 THEN 'severe' ELSE 'worst' END AS grade,
	uniform(i, 6) < 1 / (1 + exp(4 - 8 * uniform(i, 1))) AS sick
FROM generate_series(1, 16000) i;
CREATE VIEW learned AS SELECT age, dose, sex, cost FROM people WHERE i <= 8000;
CREATE VIEW later AS SELECT * FROM people WHERE i > 8000;

-- Whether a share of n rows is within two standard errors of the coverage, when the threshold came from n_calibrated rows.
CREATE FUNCTION within(share numeric, n bigint, n_calibrated float8, coverage float8 DEFAULT 0.9) RETURNS text LANGUAGE sql
RETURN CASE WHEN abs(share - coverage) < 2 * sqrt(coverage * (1 - coverage) * (1 / n::float8 + 1 / n_calibrated)) THEN 'within two standard errors' ELSE format('%s of %s', share, n) END;

-- regression
SELECT model FROM idla_train('cost', 'learned', 'cost', architecture => 'linear', options => '{"epochs": 3}');
SELECT card->'conformal'->>'score' AS score, card->'conformal'->>'rows_from' AS rows_from, card->'conformal'->>'rows' AS rows FROM cost WHERE chunk = 0;
SELECT coverage, within(avg((cost::numeric <@ idla_interval('cost', p, coverage))::int), count(*), 1200, coverage) FROM later p, unnest(ARRAY[0.5, 0.8, 0.9, 0.99]) coverage GROUP BY coverage ORDER BY coverage;
SELECT c->>'nominal' AS nominal, within((c->>'measured')::numeric, (c->>'n')::bigint, 1200, (c->>'nominal')::float8) AS on_test_part, (c->>'mean_width')::float8 > 0 AS wide FROM cost, jsonb_array_elements(card->'conformal'->'coverage') c WHERE chunk = 0;
SELECT bool_and(idla_predict('cost', p)::numeric <@ idla_interval('cost', p, 0.1)) AS around_the_answer, bool_and(idla_interval('cost', p, 0.5) <@ idla_interval('cost', p, 0.9)) AS nested,
	bool_and(lower_inc(idla_interval('cost', p))) AS closed, bool_or(upper_inf(idla_interval('cost', p, 0.99))) AS endless FROM later p WHERE i < 8100;
SELECT idla_interval('cost', p, 0.9999) FROM later p LIMIT 1;
SELECT idla_interval('cost', NULL::people), idla_interval('cost', p, NULL) FROM later p LIMIT 1;
-- without subgroups the average is kept, and women pay for it
SELECT sex, round(avg((cost::numeric <@ idla_interval('cost', p))::int), 1) AS covered FROM later p WHERE sex <> 'visitor' GROUP BY sex ORDER BY sex;

-- by subgroup, which need not be an input
SET client_min_messages = notice;
SELECT model FROM idla_train('cost', 'learned', 'cost', architecture => 'linear', options => '{"epochs": 3, "columns": {"sex": "ignore"}, "conformal": {"by": "sex"}, "deploy": true}');
SET client_min_messages = warning;
SELECT (card->'conformal'->'groups'->>'f')::int BETWEEN 300 AND 500 AS f, card->'conformal'->'groups' ? 'visitor' AS visitor FROM cost WHERE version = 2 AND chunk = 0;
SELECT sex, within(avg((cost::numeric <@ idla_interval('cost', p))::int), count(*), CASE sex WHEN 'f' THEN 400 ELSE 800 END), round(avg(upper(idla_interval('cost', p)) - lower(idla_interval('cost', p))), 0) AS width FROM later p WHERE sex <> 'visitor' GROUP BY sex ORDER BY sex;
SELECT count(DISTINCT round(upper(idla_interval('cost', p)) - lower(idla_interval('cost', p)), 6)) AS widths FROM (SELECT age, dose, s AS sex FROM later, unnest(ARRAY['visitor', 'new', NULL]) s LIMIT 30) p;
SELECT c->>'group' AS "group", within((c->>'measured')::numeric, (c->>'n')::bigint, CASE c->>'group' WHEN 'f' THEN 400 ELSE 800 END) AS on_test_part FROM cost, jsonb_array_elements(card->'conformal'->'coverage') c WHERE chunk = 0 AND version = 2 AND c ? 'group' ORDER BY 1;
SELECT idla_interval('cost', ROW(p.age, p.dose)) FROM later p LIMIT 1;
SELECT idla_interval('cost', p) FROM (SELECT age, dose FROM later) p LIMIT 1;
SELECT idla_interval('cost', p) FROM (SELECT age, dose, 1.5 AS sex FROM later) p LIMIT 1;
SELECT idla_interval('cost', p) = idla_interval('cost', q) AS same, idla_interval('cost', p, version => 1) = idla_interval('cost', p) AS other FROM (SELECT * FROM later LIMIT 1) p, LATERAL (SELECT p.age, p.dose, p.sex::char(10) AS sex) q;

-- as wide as answers of that size are unsure
SELECT model FROM idla_train('days', 'SELECT age, dose, days FROM people WHERE i <= 8000', 'days', architecture => 'linear', options => '{"epochs": 20, "seed": 2, "conformal": {"score": "scaled"}}');
SELECT within(avg((days::numeric <@ idla_interval('days', p))::int), count(*), 600) FROM later p;
SELECT round(avg((days::numeric <@ i)::int) FILTER (WHERE age <= 0.5), 1) AS young, round(avg((days::numeric <@ i)::int) FILTER (WHERE age > 0.5), 1) AS old,
	avg(upper(i) - lower(i)) FILTER (WHERE age > 0.5) > 1.5 * avg(upper(i) - lower(i)) FILTER (WHERE age <= 0.5) AS wider FROM (SELECT age, days, idla_interval('days', p) AS i FROM later p) x;

-- several targets
SELECT model FROM idla_train('both', 'SELECT age, dose, cost, days FROM people WHERE i <= 8000', 'cost,days', architecture => 'linear', options => '{"epochs": 3, "seed": 4}');
SELECT within(avg((cost::numeric <@ idla_interval('both', p, output => 'cost'))::int), count(*), 1200) AS cost, within(avg((days::numeric <@ idla_interval('both', p, output => 'days'))::int), count(*), 1200) AS days FROM later p;
SELECT idla_interval('both', p) FROM later p LIMIT 1;
SELECT idla_interval('both', p, output => 'day') FROM later p LIMIT 1;

-- classes
SELECT model FROM idla_train('grade', 'SELECT age, dose, sex, grade FROM people WHERE i <= 8000', 'grade', architecture => 'linear', options => '{"epochs": 6, "conformal": {"by": "sex"}, "columns": {"sex": "ignore"}}');
SELECT model FROM idla_train('grade', 'SELECT age, dose, sex, grade FROM people WHERE i <= 8000', 'grade', architecture => 'linear', options => '{"epochs": 6, "conformal": {"score": "aps", "by": "sex"}}');
SELECT version, coverage, within(avg((grade = ANY(idla_label_set('grade', p, coverage, version)))::int), count(*), 1200, coverage), round(avg(cardinality(idla_label_set('grade', p, coverage, version))), 0) AS size
FROM later p, unnest(ARRAY[0.8, 0.9, 0.95]) coverage, generate_series(1, 2) version GROUP BY version, coverage ORDER BY version, coverage;
SELECT version, sex, within(avg((grade = ANY(idla_label_set('grade', p, version => version)))::int), count(*), CASE sex WHEN 'f' THEN 400 ELSE 800 END) FROM later p, generate_series(1, 2) version WHERE sex <> 'visitor' GROUP BY version, sex ORDER BY version, sex;
SELECT card->'conformal'->>'score' AS score, (card->'conformal'->'coverage'->1->>'mean_classes')::float8 BETWEEN 1 AND 2 AS small FROM grade WHERE chunk = 0 ORDER BY version;
SELECT bool_and(idla_label_set('grade', p, 0.5) <@ idla_label_set('grade', p, 0.95)) AS nested, bool_and(idla_label_set('grade', p, 0.9999) = '{mild,severe,worst}') AS all_of_them FROM later p WHERE i < 8200;
SELECT model FROM idla_train('sick', 'SELECT age, dose, sick FROM people WHERE i <= 8000', 'sick', architecture => 'linear', options => '{"epochs": 6}');
SELECT within(avg((sick::text = ANY(idla_label_set('sick', p)))::int), count(*), 1200), round(avg(cardinality(idla_label_set('sick', p))), 1) AS size FROM later p;

-- few rows, in folds: heart
\i test/data/heart.sql
SELECT model, metric FROM idla_train('heart_risk', 'heart', 'disease', architecture => 'mlp', options => '{"columns": {"patient": "ignore"}, "seed": 1, "epochs": 30, "conformal": {"by": "sex"}}');
SELECT c->>'group' AS "group", c->>'nominal' AS nominal, within((c->>'measured')::numeric, (c->>'n')::bigint, 400, (c->>'nominal')::float8) AS on_test_part FROM heart_risk, jsonb_array_elements(card->'conformal'->'coverage') c WHERE chunk = 0 ORDER BY 1 NULLS FIRST, 2;
SELECT card->'conformal'->>'rows_from' AS rows_from, card->'conformal'->>'rows' AS rows FROM heart_risk WHERE chunk = 0;

-- the test part, when the user gives it for that
SELECT model FROM idla_train('cost', 'learned', 'cost', architecture => 'linear', options => '{"epochs": 3, "validation": 0, "test": 0.2, "conformal": {"on": "test"}}');
SELECT card->'conformal'->>'rows_from' AS rows_from, card->'conformal' ? 'coverage' AS measured FROM cost WHERE version = 3 AND chunk = 0;
SELECT within(avg((cost::numeric <@ idla_interval('cost', p, version => 3))::int), count(*), 1600) FROM later p;

-- a classifier that abstains: row by row, by columns and in batches alike
SELECT model FROM idla_train('careful', 'SELECT age, dose, sick FROM people WHERE i <= 8000', 'sick', architecture => 'linear', options => '{"epochs": 6, "abstain": 0.8}');
SELECT card->'abstain' AS abstain, (card->>'abstained')::float8 BETWEEN 0.3 AND 0.6 AS some, (card->>'accuracy_answered')::float8 > 0.85 AS better FROM careful WHERE chunk = 0;
SELECT bool_and((idla_classify('careful', p) IS NULL) = (greatest(idla_predict('careful', p), 1 - idla_predict('careful', p)) < 0.8)) AS as_said, count(idla_classify('careful', p)) BETWEEN 3000 AND 6000 AS some FROM later p;
SELECT count(*) AS different FROM (SELECT idla_classify('careful', p) AS a, idla_classify('careful', (SELECT q FROM (SELECT p.age, p.dose) q)) AS b FROM later p WHERE i < 8500) x WHERE a IS DISTINCT FROM b;
SELECT bool_and((idla_classify('careful', p, abstain => 0.95) IS NULL) = (greatest(idla_predict('careful', p), 1 - idla_predict('careful', p)) < 0.95)) AS as_asked, count(*) FILTER (WHERE idla_classify('careful', p, abstain => 0) IS NULL) AS never FROM later p;
SELECT idla_classify('careful', p, abstain => -1) FROM later p LIMIT 1;
UPDATE careful SET card = card || '{"abstain": 1.5}';
SELECT idla_classify('careful', p) FROM later p LIMIT 1;
UPDATE careful SET card = card - 'abstain';
SELECT count(*) FROM later p WHERE idla_classify('careful', p) IS NULL;

-- in batches, by columns and row by row: the same
CREATE FUNCTION compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; nodes int := 0; different bigint;
BEGIN
	SET LOCAL idla.batch_predict = on;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		nodes := nodes + (line LIKE '%IDLA Batch Predict%')::int;
	END LOOP;
	EXECUTE 'CREATE TEMP TABLE batched AS ' || query;
	SET LOCAL idla.batch_predict = off;
	EXECUTE 'CREATE TEMP TABLE single AS ' || query;
	SELECT count(*) INTO different FROM batched b FULL JOIN single s USING (i) WHERE b.a IS DISTINCT FROM s.a;
	DROP TABLE batched, single;
	RETURN format('%s batch nodes: %s rows differ', nodes, different);
END $$;
SET idla.batch_rows = 100;
SELECT compare($$SELECT i, idla_interval('cost', p, version => 2) AS a FROM people p WHERE i % 10 = 0$$);
SELECT compare($$SELECT i, ROW(idla_interval('cost', p, 0.8, 2), idla_predict('cost', p, 2), idla_interval('both', p, output => 'days'))::text AS a FROM people p WHERE i % 10 = 0$$);
SELECT compare($$SELECT i, idla_interval('cost', q, version => 2) AS a FROM (SELECT i, age + 0.1 AS age, dose, lower(sex) AS sex FROM people) q WHERE i % 10 = 0$$);
SELECT compare($$SELECT i, idla_label_set('grade', p, 0.95) AS a FROM people p WHERE i % 10 = 0$$);
SELECT compare($$SELECT i, idla_label_set('grade', p, NULL) AS a FROM people p WHERE i % 100 = 0$$);
SELECT compare($$SELECT i, ROW(idla_classify('careful', p, abstain => 0.9), idla_classify('sick', p), idla_classify('careful', p))::text AS a FROM people p WHERE i % 10 = 0$$);
SELECT compare($$SELECT i, idla_interval('cost', r, version => 2) AS a FROM people p, LATERAL (SELECT p.age, p.dose, p.sex OFFSET 0) r WHERE i % 100 = 0$$);
SELECT format('CREATE TABLE wide AS SELECT p.*, %s FROM people p WHERE i %% 10 = 0', string_agg('0 AS c' || n, ', ')) FROM generate_series(1, 120) n
\gexec
SELECT compare($$SELECT i, idla_interval('cost', w, version => 2) AS a FROM wide w$$);
SELECT compare($$SELECT i, ROW(idla_classify('careful', w, abstain => 0.9), idla_label_set('grade', w, 0.8, 1))::text AS a FROM wide w$$);
PREPARE asked(float8) AS SELECT count(*) FROM people p WHERE i > 8000 AND cost::numeric <@ idla_interval('cost', p, $1, 2);
SET plan_cache_mode = force_generic_plan;
EXECUTE asked(0.9999);
EXECUTE asked(1.5);
RESET plan_cache_mode;
SELECT idla_interval('cost', q, version => 2) FROM (SELECT age, dose, i FROM people OFFSET 0) q LIMIT 1;
SELECT idla_interval_columns('cost', 2, 0.9, NULL, '{age,dose,sex}', age, dose, sex) = idla_interval('cost', p, 0.9, 2) AS same, idla_label_set_columns('grade', NULL, 0.9, '{age,dose,sex}', age, dose, sex) = idla_label_set('grade', p) AS sets FROM people p LIMIT 1;

-- images
CREATE TABLE shots AS SELECT i, ARRAY(SELECT ARRAY(SELECT (uniform(i, 10) + uniform(i * 100 + x * 10 + y, 11))::real FROM generate_series(1, 8) y) FROM generate_series(1, 8) x)::real[] AS shot, 3 * uniform(i, 10) + 0.2 * normal(i, 12) AS size FROM generate_series(1, 600) i;
SELECT model FROM idla_train('shot', 'SELECT shot, size FROM shots WHERE i <= 400', 'size', architecture => 'cnn', options => '{"epochs": 2, "depth": 1, "width": 2, "validation": 0.4, "columns": {"shot": "image"}}');
SELECT within(avg((size::numeric <@ idla_interval('shot', s))::int), count(*), 160) FROM shots s WHERE i > 400;

-- what is refused
SELECT idla_interval('grade', p) FROM later p LIMIT 1;
SELECT idla_label_set('cost', p) FROM later p LIMIT 1;
SELECT idla_label_set('grade', p, 1) FROM later p LIMIT 1;
SELECT idla_interval('cost', p, 'NaN') FROM later p LIMIT 1;
SELECT idla_interval('cost', p, version => 9) FROM later p LIMIT 1;
SELECT model FROM idla_train('nothing', 'learned', 'cost', architecture => 'linear', options => '{"epochs": 1, "conformal": false}');
SELECT idla_interval('nothing', p) FROM later p LIMIT 1;
SELECT model FROM idla_train('nothing', 'learned', 'cost', architecture => 'linear', options => '{"epochs": 1, "validation": 0, "conformal": true}');
SELECT model FROM idla_train('nothing', 'SELECT age, dose, sick, sick AS tired FROM people WHERE i < 500', 'sick,tired', task => 'multilabel', architecture => 'linear', options => '{"epochs": 1, "folds": 1}');
SELECT idla_label_set('nothing', p, version => 3) FROM later p LIMIT 1;
SELECT model FROM idla_train('x', 'SELECT age, dose, sick, sick AS tired FROM people WHERE i < 500', 'sick,tired', task => 'multilabel', architecture => 'linear', options => '{"epochs": 1, "conformal": true}');
SELECT model FROM idla_train('x', 'SELECT age, i AS patient, days AS t, cost AS dose, sick FROM people WHERE i < 500', 'sick', options => '{"entity": "patient", "time": "t", "conformal": true}');
SELECT model FROM idla_train('x', 'learned', 'cost', options => '{"conformal": {"by": "cost"}}');
SELECT model FROM idla_train('x', 'learned', 'cost', options => '{"conformal": {"by": "seks"}}');
SELECT model FROM idla_train('x', 'learned', 'cost', options => '{"conformal": {"by": "age"}}');
SELECT model FROM idla_train('x', 'SELECT age, i, cost FROM people', 'cost', options => '{"conformal": {"by": "i"}}');
SELECT model FROM idla_train('x', 'SELECT age, repeat(sex, 300) AS sex, cost FROM people', 'cost', options => '{"conformal": {"by": "sex"}}');
SELECT model FROM idla_train('x', 'learned', 'cost', options => '{"conformal": {"score": "aps"}}');
SELECT model FROM idla_train('x', 'learned', 'cost', options => '{"conformal": {"score": "best"}}');
SELECT model FROM idla_train('x', 'learned', 'cost', options => '{"conformal": {"buy": "sex"}}');
SELECT model FROM idla_train('x', 'learned', 'cost', options => '{"conformal": 7}');
SELECT model FROM idla_train('x', 'learned', 'cost', options => '{"test": 0, "conformal": {"on": "test"}}');
SELECT model FROM idla_train('x', 'learned', 'cost', options => '{"abstain": 0.9}');
SELECT model FROM idla_train('x', 'learned', 'cost', options => '{"abstain": 2}');

-- what anyone may have written into a version
CREATE FUNCTION written(source regclass, number int, change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE changed jsonb; hash text; answer text;
BEGIN
	CREATE TABLE victim (LIKE cost INCLUDING ALL);
	EXECUTE format('INSERT INTO victim SELECT 1, chunk, true, card, manifest, weights FROM %s WHERE version = %s', source, number);
	EXECUTE 'SELECT ' || change || ' FROM victim WHERE chunk = 0' INTO changed;
	hash := encode(sha256(convert_to((changed - 'sha256')::text, 'UTF8')), 'hex');
	UPDATE victim SET manifest = changed || jsonb_build_object('sha256', hash), card = card || jsonb_build_object('digest', hash) WHERE chunk = 0;
	BEGIN
		EXECUTE format('SELECT %s(''victim'', p) IS NOT NULL FROM later p LIMIT 1', CASE WHEN source = 'grade'::regclass THEN 'idla_label_set' ELSE 'idla_interval' END) INTO answer;
	EXCEPTION WHEN data_corrupted THEN
		GET STACKED DIAGNOSTICS answer = PG_EXCEPTION_DETAIL;
	WHEN OTHERS THEN
		answer := sqlerrm;
	END;
	DROP TABLE victim;
	RETURN answer;
END $$;
SELECT written('cost', 2, 'manifest');
SELECT written('cost', 2, $$manifest - 'conformal'$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal}', '7')$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,score}', '"lac"')$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,score}', '"scaled"')$$);
SELECT written('cost', 2, $$manifest #- '{conformal,by}'$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,groups}', '["f"]')$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,groups}', (SELECT jsonb_agg(i) FROM generate_series(1, 101) i))$$);
SELECT written('cost', 2, $$manifest #- '{conformal,tables,1}'$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,tables,1,rows}', '0')$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,tables,1,rows}', '3')$$) ~ '^3 rows have [0-9]+ conformal scores\.$';
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,tables,1,rows}', '9007199254740992')$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,tables,1,scores}', '[]')$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,tables,1,scores}', (SELECT jsonb_agg(i) FROM generate_series(1, 1025) i))$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,tables,1,scores}', '[1, 3, 2]')$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,tables,1,scores}', '[-1]')$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,tables,1,scores}', '[1e300]')$$);
SELECT written('cost', 2, $$jsonb_set(manifest, '{conformal,tables,1,scores}', '["1"]')$$);
SELECT written('days', 1, 'manifest');
SELECT written('days', 1, $$manifest #- '{conformal,spreads}'$$);
SELECT written('days', 1, $$jsonb_set(manifest, '{conformal,spreads,0,spread}', '[1]')$$);
SELECT written('days', 1, $$jsonb_set(manifest, '{conformal,spreads,0}', '{"at": [1, 1], "spread": [1, 1]}')$$);
SELECT written('days', 1, $$jsonb_set(manifest, '{conformal,spreads,0}', '{"at": [1], "spread": [0]}')$$);
SELECT written('grade', 1, 'manifest');
SELECT written('grade', 1, $$jsonb_set(manifest, '{conformal,score}', '"aps"')$$);
SELECT written('grade', 1, $$jsonb_set(manifest, '{conformal,score}', '"residual"')$$);
DROP SCHEMA conformal CASCADE;
