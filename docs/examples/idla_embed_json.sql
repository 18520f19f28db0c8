SELECT bool_and(idla_embed_json('heart_risk', to_jsonb(t)) = idla_embed('heart_risk', t)) AS as_the_row FROM tomorrow t;
