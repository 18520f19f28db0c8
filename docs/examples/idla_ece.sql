SELECT idla_ece(p, label) AS ten_bins, idla_ece(p, label, 2) AS two_bins
FROM (VALUES (0.95, true), (0.92, true), (0.25, false), (0.22, true)) AS t (p, label);
