SELECT idla_import('heart_risk_again', idla_export('heart_risk')) AS version;
SELECT count(*) AS rows, count(*) FILTER (WHERE idla_predict('heart_risk', h) = idla_predict('heart_risk_again', h)) AS same FROM heart h;
-- a line that somebody else has fitted: risk = logistic(0.8 (age - 54) / 9.4 - 0.1); two tensors of 4 bytes each
SELECT idla_import('line', '\x80000000000000007b226665772e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c315d2c22646174615f6f666673657473223a5b302c345d7d2c226665772e62696173223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b342c385d7d7d202020cdcc4c3fcdccccbd',
  '{"task": "binary", "target": "disease", "classes": ["false", "true"], "architecture": "linear",
    "columns": [{"name": "age", "scaling": "standard", "center": 54, "scale": 0.10638}],
    "tensors": {"head.weights": "few.weight", "head.bias": "few.bias"}}') AS version;
SELECT round(idla_predict('line', h)::numeric, 4) AS risk FROM (SELECT 63 AS age) h;
DROP TABLE heart_risk_again, line;
