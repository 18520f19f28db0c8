-- sentences that say what was prescribed
CREATE TABLE orders AS
SELECT ARRAY['Patient', i::text, 'takes', drug, CASE WHEN i % 2 = 0 THEN 'daily' ELSE 'weekly' END, '.'] AS tokens,
       ARRAY['O', 'O', 'O', 'B-Drug', 'O', 'O'] AS tags
FROM generate_series(1, 300) i, LATERAL (SELECT (ARRAY['aspirin', 'heparin', 'digoxin', 'warfarin'])[1 + i % 4]) d(drug);

SELECT task, metric, value > 0.95 AS good
FROM idla_train('order_model', 'orders', 'tags', options => '{"epochs": 6, "width": 24, "rate": 0.01, "seed": 1}');

-- the word that speaks loudest for each entity
SELECT entity, label, start, "end", word, contribution > 0 AS speaks_for
FROM idla_explain_tags('order_model', 'Patient 7 takes heparin weekly. Patient 8 takes digoxin daily.') WHERE rank = 1;

-- all words add up to the log odds of the entity
SELECT entity, abs(sum(contribution) - min(prediction - baseline)) < 0.05 AS adds_up
FROM idla_explain_tags('order_model', 'Patient 7 takes heparin weekly.') GROUP BY entity;
