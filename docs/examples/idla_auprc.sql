SELECT idla_auprc(score, label) FROM (VALUES (0.1, false), (0.4, false), (0.35, true), (0.8, true)) AS t (score, label);
