SELECT round(avg((idla_classify('heart_risk', t) = disease::text)::int), 1) AS right_share FROM tomorrow t;
