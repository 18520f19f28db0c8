-- sentences that say what was prescribed
CREATE TABLE prescriptions AS
SELECT ARRAY['Patient', i::text, 'takes', drug, CASE WHEN i % 2 = 0 THEN 'daily' ELSE 'weekly' END, '.'] AS tokens,
       ARRAY['O', 'O', 'O', 'B-Drug', 'O', 'O'] AS tags
FROM generate_series(1, 300) i, LATERAL (SELECT (ARRAY['aspirin', 'heparin', 'digoxin', 'warfarin'])[1 + i % 4]) d(drug);

SELECT task, metric, value > 0.95 AS good
FROM idla_train('drugs', 'prescriptions', 'tags', options => '{"epochs": 6, "width": 24, "rate": 0.01}');

-- the entities of a text: characters from start to end, the end not included
SELECT start, "end", text, label FROM idla_tag('drugs', 'Patient 7 takes heparin weekly. Patient 8 takes digoxin daily.');

-- and of tokens
SELECT start, "end", text, label FROM idla_tag('drugs', ARRAY['She', 'takes', 'aspirin', '.']);

SELECT class, f1 > 0.95 AS good, support FROM idla_classification_report('drugs', 'prescriptions', level => 'strict');
