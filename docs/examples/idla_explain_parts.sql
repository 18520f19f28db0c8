-- images of 12 x 12 pixels, half of them with a bright spot in the middle
CREATE TABLE spots AS
SELECT i AS id, i % 2 = 1 AS spot, (
         SELECT array_agg(line ORDER BY y) FROM (
           SELECT y, array_agg(((i * 7 + y * 13 + x * 29 + x * y) % 17 / 40.0 +
                                CASE WHEN i % 2 = 1 AND y BETWEEN 6 AND 7 AND x BETWEEN 6 AND 7 THEN 1 ELSE 0 END)::real ORDER BY x) AS line
           FROM generate_series(1, 12) y, generate_series(1, 12) x GROUP BY y) lines) AS image
FROM generate_series(1, 300) i;

SELECT version, value > 0.9 AS good
FROM idla_train('spot_model', 'SELECT image, spot FROM spots', 'spot', architecture => 'cnn',
                options => '{"columns": {"image": {"kind": "image"}}, "width": 8, "depth": 1, "epochs": 15, "folds": 1, "calibrate": false, "seed": 1}');

-- which ninth of an image it is about; the last row is everything else
SELECT rank, part, first, last FROM spots s, idla_explain_parts('spot_model', s, segments => 3, top => 1) WHERE id = 1;

-- all of them add up to the prediction, as the columns of idla_explain do
SELECT count(*) AS parts, abs(sum(p.contribution) - (SELECT prediction - baseline FROM idla_explain('spot_model', s))) < 0.1 AS adds_up
FROM spots s, idla_explain_parts('spot_model', s) p WHERE id = 1 GROUP BY s;
