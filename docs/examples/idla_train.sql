SELECT model, version, task, metric, value > 0.8 AS good
FROM idla_train('heart_risk', 'today', 'disease',
                options => '{"columns": {"patient": "ignore"}, "seed": 7}');
