-- the model of idla_interval
SELECT bool_and(idla_interval_json('cholesterol', to_jsonb(t), 0.9) = idla_interval('cholesterol', t, 0.9)) AS as_the_row FROM tomorrow t;
