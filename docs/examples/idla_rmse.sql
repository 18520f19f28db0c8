SELECT idla_rmse(said, was) FROM (VALUES (2.5, 3.0), (0.0, -0.5), (2.0, 2.0), (8.0, 7.0)) AS t (said, was);
