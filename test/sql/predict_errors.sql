-- Wrong calls of the predict family: each says what is wrong and what would be right.
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA predict_errors;
SET search_path = predict_errors, public;
CREATE TABLE patients AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, (ARRAY['f', 'm'])[1 + i % 2] AS sex, (i * 37) % 50 > 24 AS sick,
	(ARRAY['low', 'middle', 'high'])[1 + ((i * 37) % 50) / 17] AS risk, (i * 37) % 50 * 0.5 AS stay, 1 + i % 90 AS days
FROM generate_series(1, 200) i;
SELECT version FROM idla_train('sick', 'SELECT age, sex, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 3, "seed": 1}');
SELECT version FROM idla_train('risk', 'SELECT age, sex, risk FROM patients', 'risk', architecture => 'linear', options => '{"epochs": 3, "seed": 1}');
SELECT version FROM idla_train('stay', 'SELECT age, sex, stay FROM patients', 'stay', 'regression', 'linear', '{"epochs": 3, "seed": 1}');
SELECT version FROM idla_train('two', 'SELECT age, sex, stay, days FROM patients', 'stay,days', 'regression', 'linear', '{"epochs": 3, "seed": 1}');

-- the row
SELECT idla_predict('sick', p) FROM (SELECT sex, sick FROM patients) p;
SELECT idla_predict('sick', p) FROM (SELECT 1 AS other) p;
SELECT idla_predict('sick', p) FROM (SELECT age::text, sex FROM patients) p;
SELECT idla_predict('sick', ROW(40, 'f'));
SELECT idla_predict('sick', ROW());
SELECT idla_predict('sick', (40, 'f'));
SELECT idla_predict('sick', 40);

-- the model
SELECT idla_predict('nothing', p) FROM patients p;
SELECT idla_predict('patients', p) FROM patients p;
SELECT idla_predict(4294967295::oid::regclass, p) FROM patients p LIMIT 1;
CREATE VIEW view_of_model AS SELECT * FROM sick;
SELECT idla_predict('view_of_model', p) FROM patients p;

-- the version
SELECT idla_predict('sick', p, 7) FROM patients p;
SELECT idla_predict('sick', p, 0) FROM patients p;
SELECT idla_predict('sick', p, -1) FROM patients p;
SELECT idla_deploy('sick', NULL);
SELECT idla_predict('sick', p) FROM patients p;
SELECT count(idla_predict('sick', p, 1)) FROM patients p;
SELECT idla_deploy('sick', 1);

-- the answer
SELECT idla_predict('risk', p) FROM patients p;
SELECT idla_predict('risk', p, output => 'midle') FROM patients p;
SELECT idla_predict('sick', p, output => 'perhaps') FROM patients p;
SELECT idla_predict('two', p) FROM patients p;
SELECT idla_predict('two', p, output => 'staay') FROM patients p;
SELECT idla_classify('stay', p) FROM patients p;
SELECT idla_probabilities('stay', p) FROM patients p;

-- one call site, asked again after a failure that was caught
\set SHOW_CONTEXT never
CREATE FUNCTION ask(model regclass, patient patients) RETURNS float8 LANGUAGE plpgsql STABLE AS 'BEGIN RETURN idla_predict(model, patient); END';
CREATE FUNCTION ask_on() RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
DECLARE r patients; model regclass;
BEGIN
	SELECT * INTO r FROM patients WHERE id = 1;
	RETURN NEXT ask('sick', r) IS NOT NULL;
	FOREACH model IN ARRAY ARRAY[0, 'patients'::regclass, 'sick'::regclass, 0]::regclass[] LOOP
		BEGIN
			RETURN NEXT ask(model, r) IS NOT NULL;
		EXCEPTION WHEN undefined_table OR wrong_object_type THEN
			RETURN NEXT sqlerrm;
		END;
	END LOOP;
	RETURN NEXT ask('sick', r) IS NOT NULL;
	BEGIN
		RETURN NEXT ask(0, r) IS NOT NULL;
	EXCEPTION WHEN undefined_table THEN
		RETURN NEXT sqlerrm;
	END;
	RETURN NEXT ask(0, r) IS NOT NULL;
END $$;
SELECT * FROM ask_on();

DROP SCHEMA predict_errors CASCADE;
