SELECT idla_brier(p, label) FROM (VALUES (0.9, true), (0.2, false), (0.6, true)) AS t (p, label);
