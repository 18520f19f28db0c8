-- idla_evaluate and idla_classification_report: the metrics of a model on rows of one's choice.
SET client_min_messages = notice;
SET idla.progress = off;
CREATE SCHEMA evaluate;
SET search_path = evaluate, public;
CREATE TABLE patients AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, (ARRAY['f', 'm'])[1 + i % 2] AS sex,
	CASE WHEN i > 500 THEN NULL ELSE (i * 37) % 50 + (i * 17) % 20 > 34 END AS sick,
	(ARRAY['low', 'middle', 'high'])[1 + ((i * 37) % 50 + (i * 13) % 7) / 19] AS risk,
	((i * 37) % 50) * 0.5 + (i * 17) % 20 AS stay, 1 + (i * 29) % 100 AS days, i % 4 <> 0 AS died
FROM generate_series(1, 520) i;

SET client_min_messages = error;
SELECT version FROM idla_train('sick', 'SELECT age, sex, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 10, "seed": 1}');
SELECT version FROM idla_train('risk', 'SELECT age, sex, risk FROM patients', 'risk', architecture => 'linear', options => '{"epochs": 10, "seed": 1}');
SELECT version FROM idla_train('stay', 'SELECT age, sex, stay FROM patients', 'stay', 'regression', 'linear', '{"epochs": 10, "seed": 1}');
SELECT version FROM idla_train('two', 'SELECT age, sex, stay, days FROM patients', 'stay,days', 'regression', 'linear', '{"epochs": 10, "seed": 1}');
SELECT version FROM idla_train('died', 'SELECT age, sex, days, died FROM patients', 'days,died', 'survival', 'linear', '{"epochs": 10, "seed": 1}');
SET client_min_messages = notice;

-- one row a metric, inside its interval; rows without a target are left out
SELECT metric, low <= value AND value <= high AS inside, n FROM idla_evaluate('sick', 'patients');
SELECT metric, low <= value AND value <= high AS inside, n FROM idla_evaluate('risk', 'patients');
SELECT metric, low <= value AND value <= high AS inside, n FROM idla_evaluate('stay', 'patients');
SELECT metric, low <= value AND value <= high AS inside, n FROM idla_evaluate('two', 'patients');
SELECT metric, low <= value AND value <= high AS inside, n FROM idla_evaluate('died', 'patients');

-- the aggregates say the same
CREATE TABLE scored AS SELECT sick, idla_predict('sick', p) AS p FROM patients p WHERE sick IS NOT NULL;
SELECT e.metric, abs(e.value - a.value) < 1e-9 AS same FROM idla_evaluate('sick', 'SELECT * FROM patients WHERE sick IS NOT NULL') e
JOIN (SELECT 'auroc' AS metric, idla_auroc(p, sick) AS value FROM scored
	UNION ALL SELECT 'auprc', idla_auprc(p, sick) FROM scored
	UNION ALL SELECT 'log_loss', idla_log_loss(p, sick) FROM scored
	UNION ALL SELECT 'brier', idla_brier(p, sick) FROM scored
	UNION ALL SELECT 'ece', idla_ece(p, sick) FROM scored
	UNION ALL SELECT 'accuracy', idla_accuracy(p >= 0.5, sick) FROM scored
	UNION ALL SELECT 'f1', idla_f1(p >= 0.5, sick) FROM scored) a USING (metric) ORDER BY 1;
-- a threshold of one's own: classes are named at it, and what counts named classes is measured at it, in the card too
SET client_min_messages = error;
SELECT version FROM idla_train('eager', 'SELECT age, sex, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 10, "seed": 1, "threshold": 0.2}');
SET client_min_messages = notice;
SELECT card -> 'threshold' AS threshold FROM eager WHERE chunk = 0;
SELECT bool_and((idla_classify('eager', p) = 'true') = (idla_predict('eager', p) >= 0.2)) AS at_it, count(*) FILTER (WHERE idla_predict('eager', p) BETWEEN 0.2 AND 0.5) > 20 AS many_between FROM patients p;
SELECT abs(value - (SELECT idla_f1(idla_predict('eager', p) >= 0.2, sick) FROM patients p WHERE sick IS NOT NULL)) < 1e-9 AS same FROM idla_evaluate('eager', 'patients') WHERE metric = 'f1';
SELECT bool_or(e.value <> s.value) AS others, bool_and(e.value = s.value) FILTER (WHERE metric IN ('auroc', 'auprc', 'brier')) AS same
FROM (SELECT key AS metric, value FROM eager, jsonb_each(card -> 'metrics') WHERE chunk = 0) e JOIN (SELECT key AS metric, value FROM sick, jsonb_each(card -> 'metrics') WHERE chunk = 0) s USING (metric);
SELECT version FROM idla_train('x', 'SELECT age, sex, sick FROM patients', 'sick', options => '{"threshold": 1}');
SELECT version FROM idla_train('x', 'SELECT age, sex, sick FROM patients', 'sick', options => '{"threshold": 1.5}');
SELECT version FROM idla_train('x', 'SELECT age, sex, risk FROM patients', 'risk', options => '{"threshold": 0.3}');
SELECT abs(value - (SELECT idla_rmse(idla_predict('stay', p), stay) FROM patients p)) < 1e-9 AS same FROM idla_evaluate('stay', 'patients') WHERE metric = 'rmse';
SELECT abs(value - (SELECT idla_concordance(idla_predict('died', p), days, died) FROM patients p)) < 1e-9 AS same FROM idla_evaluate('died', 'patients');
SELECT abs(value - (SELECT idla_accuracy(idla_classify('risk', p), risk) FROM patients p)) < 1e-9 AS same FROM idla_evaluate('risk', 'patients') WHERE metric = 'accuracy';

-- the report: every class, then the averages; counts agree with SQL
SELECT class, support, "precision" BETWEEN 0 AND 1 AND recall BETWEEN 0 AND 1 AND f1 BETWEEN 0 AND 1 AS bounded FROM idla_classification_report('risk', 'patients');
SELECT r.class, r.support = c.n AS support, abs(r.recall - c.hits / c.n::float8) < 1e-12 AS recall
FROM idla_classification_report('risk', 'patients') r
JOIN (SELECT risk AS class, count(*) AS n, count(*) FILTER (WHERE idla_classify('risk', p) = risk) AS hits FROM patients p GROUP BY 1) c USING (class);
SELECT class, support FROM idla_classification_report('sick', 'patients');

-- the labels of a source may come as another type
SELECT count(*) FROM idla_evaluate('sick', 'SELECT age, sex, sick::text AS sick FROM patients');

-- wrong calls
SELECT * FROM idla_evaluate('sick', 'SELECT age, sex FROM patients');
SELECT * FROM idla_evaluate('sick', 'SELECT age, sick FROM patients');
SELECT * FROM idla_evaluate('sick', 'SELECT age, sex, sick FROM patients WHERE false');
SELECT * FROM idla_evaluate('sick', 'SELECT age, sex, sick FROM patients WHERE sick IS NULL');
SELECT * FROM idla_evaluate('risk', 'SELECT age, sex, ''extreme'' AS risk FROM patients');
SELECT * FROM idla_evaluate('stay', 'SELECT age, sex, ''NaN''::float8 AS stay FROM patients');
SELECT * FROM idla_evaluate('stay', 'SELECT age, sex, risk AS stay FROM patients');
SELECT * FROM idla_evaluate('died', 'SELECT age, sex, days, 2 AS died FROM patients');
SELECT * FROM idla_evaluate('sick', 'nowhere');
SELECT * FROM idla_evaluate('sick', 'DELETE FROM patients');
SELECT * FROM idla_evaluate('sick', NULL);
SELECT * FROM idla_evaluate(NULL, 'patients');
SELECT * FROM idla_evaluate('patients', 'patients');
SELECT * FROM idla_evaluate('sick', 'patients', 9);
SELECT * FROM idla_classification_report('stay', 'patients');

-- one class only: what cannot be computed is NULL
SELECT metric, value IS NULL AS undefined FROM idla_evaluate('sick', 'SELECT age, sex, true AS sick FROM patients') WHERE metric IN ('auroc', 'accuracy');

-- more rows than idla.train_memory holds
SET idla.train_memory = '1MB';
SELECT * FROM idla_evaluate('sick', 'SELECT age, sex, sick FROM patients, generate_series(1, 300)');
RESET idla.train_memory;

SET client_min_messages = error;
DROP SCHEMA evaluate CASCADE;
