-- vital signs of 200 stays, one row a measurement; those who deteriorate breathe faster and faster
CREATE TABLE charted AS
SELECT stay, 40 + stay % 40 AS age, name, hour + (stay * hour % 60) / 60.0 AS hour,
       CASE name WHEN 'resp' THEN 14 + CASE WHEN stay % 2 = 0 THEN hour * 0.6 ELSE 0 END + (stay * hour * 7) % 9
                 ELSE 80 + (stay * hour * 31) % 25 END AS value,
       24 AS decision, stay % 2 = 0 AS deteriorates
FROM generate_series(1, 200) stay, generate_series(0, 30) hour, (VALUES ('resp'), ('pulse')) names (name)
WHERE (stay + hour * 3) % 4 <> 0;

SELECT architecture, value > 0.9 AS good
FROM idla_train('deterioration', 'charted', 'deteriorates',
                options => '{"entity": "stay", "time": "hour", "label_at": "decision",
                             "series": {"name": "name", "value": "value", "bins": 24}, "epochs": 10, "folds": 1, "seed": 1}');

-- one answer a stay, from its rows in any order; what was charted after the decision is not looked at
SELECT stay, idla_predict_series('deterioration', c) > 0.5 AS at_risk, bool_or(deteriorates) AS deteriorates
FROM charted c WHERE stay <= 4 GROUP BY stay ORDER BY stay;
