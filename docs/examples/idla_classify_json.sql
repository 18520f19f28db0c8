SELECT bool_and(idla_classify_json('heart_risk', to_jsonb(t)) = idla_classify('heart_risk', t)) AS as_the_row FROM tomorrow t;
