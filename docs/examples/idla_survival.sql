-- 400 patients after an operation: the old and those who smoke die earlier, and a third is still followed
CREATE TABLE followed AS
SELECT i AS patient, 40 + i * 37 % 45 AS age, i % 3 = 0 AS smoker,
       ceil(-ln((hashint4(i) & 1023) / 1024.0 + 0.0005) * 900 * exp(-(i * 37 % 45) / 30.0 - CASE WHEN i % 3 = 0 THEN 1 ELSE 0 END)) AS days,
       i * 31 % 10 < 7 AS died
FROM generate_series(1, 400) i;

SELECT task, metric, value > 0.6 AS good
FROM idla_train('outlook', 'followed', 'days,died', architecture => 'linear',
                options => '{"columns": {"patient": "ignore"}, "seed": 1}', task => 'survival');

-- who is alive after 90 days, and after a year?
SELECT smoker, avg(idla_survival('outlook', f, 90)) > avg(idla_survival('outlook', f, 365)) AS falls_with_time
FROM followed f GROUP BY smoker ORDER BY smoker;

SELECT avg(idla_survival('outlook', f, 365)) FILTER (WHERE smoker) < avg(idla_survival('outlook', f, 365)) FILTER (WHERE NOT smoker) AS smokers_die_earlier
FROM followed f;
DROP TABLE outlook;
