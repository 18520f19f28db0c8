-- idla_explain and idla_importance: contributions that add up, in the user's own columns.
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA explain;
SET search_path = explain, public;
CREATE TABLE patients AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, (ARRAY['f', 'm', 'x'])[1 + i % 3] AS sex,
	CASE WHEN i % 7 = 0 THEN NULL ELSE (90 + (i * 53) % 80)::numeric(5, 1) END AS pressure,
	i % 5 = 0 AS smoker, date '2020-01-01' + (i * 11) % 900 AS admitted, (i * 71) % 101 AS noise,
	(i * 37) % 50 + CASE WHEN i % 5 = 0 THEN 15 ELSE 0 END + (i * 17) % 20 > 38 AS sick,
	(ARRAY['low', 'middle', 'high'])[1 + ((i * 37) % 50) / 17] AS risk,
	((i * 37) % 50) * 0.5 + (i * 17) % 20 AS stay, 1 + (i * 29) % 100 AS days, i % 4 <> 0 AS died
FROM generate_series(1, 400) i;
CREATE VIEW inputs AS SELECT age, sex, pressure, smoker, admitted, noise FROM patients;
CREATE VIEW train_sick AS SELECT age, sex, pressure, smoker, admitted, noise, sick FROM patients;
SELECT version FROM idla_train('net', 'train_sick', 'sick', architecture => 'mlp', options => '{"epochs": 20, "seed": 1}');
SELECT version FROM idla_train('ensemble', 'train_sick', 'sick', architecture => 'tabm', options => '{"epochs": 5, "seed": 1, "members": 4, "width": 16}');
SELECT version FROM idla_train('additive', 'train_sick', 'sick', architecture => 'nam', options => '{"epochs": 5, "seed": 1}');
SELECT version FROM idla_train('risk', 'SELECT age, sex, pressure, risk FROM patients', 'risk', architecture => 'linear', options => '{"epochs": 10, "seed": 1}');
SELECT version FROM idla_train('stay', 'SELECT age, sex, pressure, stay FROM patients', 'stay', 'regression', 'mlp', '{"epochs": 10, "seed": 1}');
SELECT version FROM idla_train('died', 'SELECT age, sex, pressure, days, died FROM patients', 'days,died', 'survival', 'linear', '{"epochs": 10, "seed": 1}');
SELECT version FROM idla_train('two', 'SELECT age, sex, stay, days FROM patients', 'stay,days', 'regression', 'linear', '{"epochs": 5, "seed": 1}');

-- prediction on the logit scale in every row, largest contribution first, five columns by default
SELECT count(*), array_agg(rank ORDER BY rank) AS ranks, count(DISTINCT prediction) AS predictions, count(DISTINCT feature) AS features,
	bool_and(abs(probability - 1 / (1 + exp(-prediction))) < 1e-9) AS logit, bool_and(completeness_error < 1e-3) AS complete
FROM (SELECT * FROM patients WHERE id = 3) p, idla_explain('net', p);
SELECT bool_and(e.probability = idla_predict('net', p)) FROM patients p, idla_explain('net', p) e WHERE p.id <= 20;
SELECT feature, value FROM (SELECT * FROM patients WHERE id = 7) p, idla_explain('net', p, top => NULL) ORDER BY feature;

-- contributions add up, by both methods, for every task and architecture; a regression's error is in units of its target's spread
SELECT m.model, m.method, count(*) AS rows, bool_and(s.n <= 6) AS columns,
	max(s.gap) < m.bound * CASE m.method WHEN 'shapley' THEN 1e-6 ELSE 1e-3 END AS adds_up, max(s.error) < m.bound * CASE m.method WHEN 'shapley' THEN 1e-6 ELSE 1e-3 END AS says_so
FROM (SELECT v.*, CASE v.model WHEN 'stay' THEN (SELECT stddev(stay)::float8 FROM patients) ELSE 1 END AS bound FROM (VALUES ('net', 'integrated_gradients'), ('net', 'shapley'), ('ensemble', 'integrated_gradients'), ('ensemble', 'shapley'),
	('additive', 'integrated_gradients'), ('additive', 'shapley'), ('risk', 'integrated_gradients'), ('risk', 'shapley'),
	('stay', 'integrated_gradients'), ('stay', 'shapley'), ('died', 'integrated_gradients'), ('died', 'shapley')) v (model, method)) m,
	LATERAL (SELECT p.id, count(*) AS n, abs(min(e.baseline) + sum(e.contribution) - min(e.prediction)) AS gap, max(e.completeness_error) AS error
		FROM patients p, idla_explain(m.model::regclass, p, m.method, top => NULL) e WHERE p.id <= 5 GROUP BY p.id) s
GROUP BY 1, 2, m.bound ORDER BY 1, 2;

-- on an additive model the two methods agree
SELECT max(abs(a.contribution - b.contribution)) < 1e-2 AS agree
FROM patients p, idla_explain('additive', p, top => NULL) a, idla_explain('additive', p, 'shapley', NULL) b
WHERE p.id <= 5 AND a.feature = b.feature;

-- the other class of a binary model is the mirror image; a class of many is named or the likeliest
SELECT bool_and(abs(a.contribution + b.contribution) < 1e-12 AND abs(a.prediction + b.prediction) < 1e-12 AND abs(a.probability + b.probability - 1) < 1e-12) AS mirror
FROM patients p, idla_explain('net', p, output => 'true') a, idla_explain('net', p, output => 'false') b WHERE p.id = 5 AND a.rank = b.rank;
SELECT bool_and(abs(e.probability - (idla_probabilities('risk', p)->>idla_classify('risk', p))::float8) < 1e-9) FROM patients p, idla_explain('risk', p) e WHERE p.id <= 10;
SELECT bool_and(abs(e.probability - (idla_probabilities('risk', p)->>'low')::float8) < 1e-9) FROM patients p, idla_explain('risk', p, output => 'low') e WHERE p.id <= 10;
SELECT bool_and(e.prediction = idla_predict('stay', p)) AS unit, bool_and(probability IS NULL) AS no_probability FROM patients p, idla_explain('stay', p) e WHERE p.id <= 10;
SELECT count(*) > 0 FROM patients p, idla_explain('two', p, output => 'days') e WHERE p.id = 1;

-- nothing to explain
SELECT count(*) FROM idla_explain('net', NULL::patients);
SELECT count(*) FROM patients p, idla_explain(NULL, p) WHERE id = 1;

-- wrong calls
SELECT * FROM patients p, idla_explain('net', p, 'shaply') WHERE id = 1;
SELECT * FROM patients p, idla_explain('net', p, 'gradient boosting') WHERE id = 1;
SELECT * FROM patients p, idla_explain('net', p, top => 0) WHERE id = 1;
SELECT * FROM patients p, idla_explain('risk', p, output => 'lo') WHERE id = 1;
SELECT * FROM patients p, idla_explain('two', p) WHERE id = 1;
SELECT * FROM patients p, idla_explain('net', p, version => 3) WHERE id = 1;
SELECT * FROM (SELECT age, sex FROM patients) p, idla_explain('net', p) LIMIT 1;
SELECT * FROM patients p, idla_explain('patients', p) WHERE id = 1;

-- importance: what the target was made of comes first, noise has none to speak of
SELECT rank, feature, metric FROM idla_importance('net', 'train_sick') WHERE rank = 1;
SELECT count(*), bool_and(deviation >= 0) AS deviations, max(importance) FILTER (WHERE feature = 'noise') < max(importance) FILTER (WHERE feature = 'age') AS noise_below FROM idla_importance('net', 'train_sick', 3);
SELECT DISTINCT metric FROM idla_importance('risk', 'patients');
SELECT feature, metric, importance > 0 AS positive FROM idla_importance('stay', 'patients') WHERE rank = 1;
SELECT DISTINCT metric FROM idla_importance('died', 'patients', repeats => 1);
SELECT count(*) FROM idla_importance('two', 'patients', repeats => 1);
SELECT * FROM idla_importance('net', 'train_sick', 0);
SELECT * FROM idla_importance('net', 'inputs');

DROP SCHEMA explain CASCADE;
