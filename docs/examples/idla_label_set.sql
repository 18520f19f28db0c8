SELECT round(avg((disease::text = ANY(idla_label_set('heart_risk', t, 0.9)))::int), 1) AS inside FROM tomorrow t;
