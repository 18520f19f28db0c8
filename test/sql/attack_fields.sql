-- Attacks on what has no gradient or is seen in several places: texts, signals under rocket, series; thresholds and several labels.
\set VERBOSITY default
SET client_min_messages = error;
SET idla.progress = off;
CREATE SCHEMA attack_fields;
SET search_path = attack_fields, public;

-- texts: words are misspelled inside, at most as many as is said, and whatever else is in the row moves beside them
CREATE TABLE notes (id int, note varchar(60), age int, ill boolean);
INSERT INTO notes SELECT i, (ARRAY['The patient has fever', 'patient complains of fever and weakness', 'Fever since yesterday', 'is well today, no complaints', 'routine control without findings', 'Feels well, without pain'])[1 + i % 6] || ' ' || i, 30 + i % 50, i % 6 < 3
FROM generate_series(1, 300) i;
SELECT version, value > 0.9 AS good FROM idla_train('note_model', 'notes', 'ill', options => '{"epochs": 20, "seed": 1, "columns": {"note": "text"}}');
CREATE TABLE misspelled AS SELECT a.* FROM notes n, idla_attack('note_model', n, 0.1, '{"max_words": 2, "columns": {"age": {"immutable": true}}}') a WHERE n.id <= 60;
SELECT count(*), bool_and(m.note <> n.note) AS changed, bool_and(m.age = n.age) AS age_stays,
	avg(abs(idla_predict('note_model', m) - n.ill::int)) > avg(abs(idla_predict('note_model', n) - n.ill::int)) + 0.01 AS worse FROM misspelled m JOIN notes n USING (id);
SELECT bool_and(changed <= 2) AS two_words, bool_and(letters) AS by_a_letter, bool_and(ends) AS ends_stay FROM (
	SELECT id, count(*) FILTER (WHERE x.a <> x.b) AS changed, bool_and(abs(length(x.a) - length(x.b)) <= 1) AS letters, bool_and(left(x.a, 1) = left(x.b, 1) AND right(x.a, 1) = right(x.b, 1)) AS ends
	FROM misspelled m JOIN notes n USING (id), unnest(string_to_array(m.note, ' '), string_to_array(n.note, ' ')) x (a, b) GROUP BY id) s;
SELECT bool_and(a.note = n.note) AS stays FROM notes n, idla_attack('note_model', n, 0.1) a WHERE n.id <= 6;
SELECT bool_and(a.note = n.note) AS stays FROM notes n, idla_attack('note_model', n, 0, '{"max_words": 2}') a WHERE n.id <= 6;
SELECT bool_and(a.note = n.note) AS stays FROM notes n, idla_attack('note_model', n, 0.1, '{"max_words": 2, "columns": {"note": {"immutable": true}}}') a WHERE n.id <= 6;
SELECT measure, epsilon, value BETWEEN 0 AND 1 AS share, n, detail FROM idla_robustness('note_model', 'notes', '{0.1}', '{"rows": 40, "max_words": 2, "certify": 0}') WHERE measure LIKE '%accuracy';
SELECT free.value <= kept.value AS no_better FROM idla_robustness('note_model', 'SELECT note, age, ill FROM notes', '{0.1}', '{"rows": 40, "max_words": 3, "certify": 0}') free, idla_robustness('note_model', 'notes', '{0.1}', '{"rows": 40, "certify": 0}') kept
WHERE free.measure = 'robust accuracy' AND kept.measure = free.measure;
-- what the column or its table does not take is not what a text becomes
ALTER TABLE notes ALTER note TYPE varchar(43), ADD CHECK (note !~* 'fveer|feevr|feveer|feevr');
SELECT count(*), bool_and(length(a.note) <= 43) AS short, bool_or(a.note <> n.note) AS changed FROM notes n, idla_attack('note_model', n, 0.1, '{"max_words": 2}') a WHERE length(n.note) = 43 AND n.id < 150;
DELETE FROM misspelled;
ALTER TABLE misspelled ADD CHECK (note !~* 'fveer|feevr|feveer|feevr');
INSERT INTO misspelled SELECT a.* FROM notes n, idla_attack('note_model', n, 0.1, '{"max_words": 2}') a WHERE n.id <= 60;
SELECT count(*) FROM misspelled;
SELECT measure, n FROM idla_robustness('note_model', 'notes', '{0.1}', '{"rows": 20, "max_words": 2, "certify": 0}') WHERE measure = 'robust accuracy';
-- missing, empty, without words that could be misspelled, and of other letters
CREATE TABLE odd AS SELECT * FROM (VALUES (NULL::text, 5), ('', 5), ('a 12 b, 1999 C3PO', 5), (repeat('Fever ', 200000), 5)) n (note, age);
SELECT a.note IS NOT DISTINCT FROM o.note AS stays FROM odd o, idla_attack('note_model', o, 0.1, '{"max_words": 2}') a;
TRUNCATE odd;
INSERT INTO odd VALUES ('Fièvre élevée, Müdigkeit 发烧发烧发烧', 5);
SELECT length(a.note) BETWEEN 27 AND 34 AS there FROM odd o, idla_attack('note_model', o, 0.1, '{"max_words": 3}') a;
SELECT measure, n FROM idla_robustness('note_model', 'SELECT string_to_array(note, '' '') AS note, age, ill FROM notes', '{0.1}', '{"rows": 8, "max_words": 2, "certify": 0}') WHERE measure = 'robust accuracy';
SELECT * FROM idla_robustness('note_model', 'notes', '{0.1}', '{"max_words": -1}');

-- training moves what the network makes of pieces: the model is less sure of them
SELECT version, value > 0.9 AS good FROM idla_train('hard_notes', 'SELECT note, ill FROM notes', 'ill', options => '{"epochs": 20, "seed": 1, "columns": {"note": "text"}, "adversarial": {"epsilon": 1, "share": 1, "steps": 4}}');
SELECT version, value > 0.9 AS good FROM idla_train('plain_notes', 'SELECT note, ill FROM notes', 'ill', options => '{"epochs": 20, "seed": 1, "columns": {"note": "text"}}');
SELECT avg(abs(idla_predict('hard_notes', n) - 0.5)) < avg(abs(idla_predict('plain_notes', n) - 0.5)) AS less_sure FROM notes n;
SELECT version FROM idla_train('m', 'SELECT note, age, ill FROM notes', 'ill', architecture => 'transformer', options => '{"epochs": 1, "depth": 1, "width": 16, "columns": {"note": "text"}, "adversarial": {"method": "trades", "norm": "l2"}}');
SELECT version FROM idla_train('m', 'SELECT note, ill FROM notes', 'ill', options => '{"columns": {"note": {"kind": "text", "immutable": true}}, "adversarial": "pgd"}');

-- signals under rocket: found by search, written back in their own steps
CREATE TABLE waves AS SELECT i AS id, i % 2 = 0 AS ill, 20 + (i * 7) % 60 AS age, (SELECT array_agg((50 * sin(t * (1 + i % 2) / 4.0) + (i * t) % 11)::int2 ORDER BY t) FROM generate_series(1, 40 + i % 5) t) AS wave FROM generate_series(1, 160) i;
SELECT version, value > 0.9 AS good FROM idla_train('rocket_model', 'SELECT wave, age, ill FROM waves', 'ill', architecture => 'rocket', options => '{"seed": 1, "width": 300, "columns": {"wave": "signal"}}');
CREATE TABLE searched AS SELECT a.* FROM waves w, idla_attack('rocket_model', w, 0.8) a WHERE w.id <= 20;
SELECT count(*), bool_and(s.wave <> w.wave) AS moved, bool_and(cardinality(s.wave) = cardinality(w.wave)) AS shape, avg(abs(idla_predict('rocket_model', s) - w.ill::int)) > avg(abs(idla_predict('rocket_model', w) - w.ill::int)) + 0.1 AS worse FROM searched s JOIN waves w USING (id);
SELECT max(abs(x.a - x.b)) <= 0.81 * 40 AS near FROM searched s JOIN waves w USING (id), unnest(s.wave, w.wave) x (a, b);
SELECT b.value < a.value - 0.2 AS fooled, a.detail FROM idla_robustness('rocket_model', 'waves', '{1}', '{"rows": 20, "certify": 0}') a, idla_robustness('rocket_model', 'waves', '{1}', '{"rows": 20, "certify": 0}') b WHERE a.measure = 'clean accuracy' AND b.measure = 'robust accuracy';
SELECT measure, n FROM idla_robustness('rocket_model', 'waves', '{1}', '{"rows": 4, "steps": 4, "certify": 0, "norm": "l2"}') WHERE measure = 'robust accuracy';
SELECT version FROM idla_train('m', 'SELECT wave, age, ill FROM waves', 'ill', architecture => 'rocket', options => '{"columns": {"wave": "signal"}, "adversarial": "pgd"}');

-- series: bins move, statistics stay, and training against the attack is training
CREATE TABLE icu AS SELECT p AS patient, h AS hour, 80 + (p % 2) * 8 + (h * p) % 7 AS hr, CASE WHEN (h + p) % 3 = 0 THEN 30 + (p % 2) * 20 + (h * 7 * p) % 5 END AS resp, p % 2 = 0 AS died FROM generate_series(1, 160) p, generate_series(1, 8) h;
SELECT version, value > 0.9 AS good FROM idla_train('plain_series', 'icu', 'died', architecture => 'gru', options => '{"entity": "patient", "time": "hour", "series": {"bins": 8, "use": "bins"}, "epochs": 8, "width": 16, "folds": 1, "seed": 1}');
SELECT version, value > 0.9 AS good FROM idla_train('hard_series', 'icu', 'died', architecture => 'gru', options => '{"entity": "patient", "time": "hour", "series": {"bins": 8, "use": "bins"}, "epochs": 8, "width": 16, "folds": 1, "seed": 1, "adversarial": {"epsilon": 0.5, "steps": 4, "share": 1}}');
SELECT version FROM idla_train('trades_series', 'icu', 'died', architecture => 'gru', options => '{"entity": "patient", "time": "hour", "series": {"bins": 8, "use": "both"}, "epochs": 2, "width": 8, "folds": 1, "seed": 1, "adversarial": {"method": "trades", "norm": "l2"}}');
SELECT card -> 'adversarial' ->> 'epsilon' AS epsilon FROM trades_series WHERE chunk = 0;
SELECT a.value > 0.9 AS clean, b.value < 0.3 AS fooled FROM idla_robustness('plain_series', 'icu', '{1.5}', '{"rows": 40, "steps": 10, "restarts": 1, "certify": 0}') a, idla_robustness('plain_series', 'icu', '{1.5}', '{"rows": 40, "steps": 10, "restarts": 1, "certify": 0}') b WHERE a.measure = 'clean accuracy' AND b.measure = 'robust accuracy';
SELECT detail FROM idla_robustness('trades_series', 'icu', '{0.2}', '{"rows": 8, "steps": 4, "restarts": 1, "certify": 0}') WHERE measure = 'robust accuracy';
SELECT version FROM idla_train('m', 'icu', 'died', options => '{"entity": "patient", "time": "hour", "series": {"bins": 8, "use": "summary"}, "adversarial": "pgd"}');
SELECT idla_attack('plain_series', i, 0.3) FROM icu i LIMIT 1;

-- right is what the threshold of the model names, and of several labels all of them
CREATE TABLE few AS SELECT i AS id, (i % 10 + (i * 7 % 100) / 10.0)::float8 AS x, i % 3 AS y, i % 10 > 6 AS rare, i % 2 = 0 AS even FROM generate_series(1, 300) i;
SELECT version FROM idla_train('strict', 'SELECT x, y, rare FROM few', 'rare', architecture => 'linear', options => '{"seed": 1, "threshold": 0.9}');
SELECT abs(r.value - e.accuracy) < 1e-6 AS as_classified, r.detail FROM idla_robustness('strict', 'few', '{0.5}', '{"rows": 300, "steps": 2, "restarts": 1, "certify": 0}') r, (SELECT avg((idla_classify('strict', f)::boolean = rare)::int)::float8 AS accuracy FROM few f) e WHERE measure = 'clean accuracy';
SELECT version FROM idla_train('labelled', 'SELECT x, y, rare, even FROM few', 'rare,even', architecture => 'mlp', options => '{"seed": 1, "epochs": 10}');
SELECT abs(r.value - e.accuracy) < 1e-6 AS all_right, r.detail FROM idla_robustness('labelled', 'few', '{0.5}', '{"rows": 300, "steps": 2, "restarts": 1, "certify": 0}') r,
	(SELECT avg((((p ->> 'rare')::float8 >= 0.5) = rare AND ((p ->> 'even')::float8 >= 0.5) = even)::int)::float8 AS accuracy FROM few f, idla_probabilities('labelled', f) p) e WHERE measure = 'clean accuracy';
SELECT bool_or(a.x <> f.x) AS moved FROM few f, idla_attack('labelled', f, 0.5) a WHERE f.id <= 5;
DROP SCHEMA attack_fields CASCADE;
