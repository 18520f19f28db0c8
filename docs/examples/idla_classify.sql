SELECT round(avg((idla_classify('heart_risk', t) = disease::text)::int), 1) AS right_share FROM tomorrow t;

-- only where it is rather sure
SELECT avg((idla_classify('heart_risk', t, abstain => 0.8) = disease::text)::int) > 0.85 AS mostly_right,
       count(idla_classify('heart_risk', t, abstain => 0.8)) < count(*) AS some_are_left FROM tomorrow t;
