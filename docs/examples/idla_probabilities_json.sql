SELECT bool_and(idla_probabilities_json('heart_risk', to_jsonb(t)) = idla_probabilities('heart_risk', t)) AS as_the_row FROM tomorrow t;
