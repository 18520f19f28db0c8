SELECT bool_and(idla_label_set_json('heart_risk', to_jsonb(t), 0.95) = idla_label_set('heart_risk', t, 0.95)) AS as_the_row FROM tomorrow t;
