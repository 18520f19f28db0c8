SELECT idla_f1(p >= 0.5, label) FROM (VALUES (0.9, true), (0.6, false), (0.3, true), (0.7, true)) AS t (p, label);
