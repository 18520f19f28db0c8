-- with the model of idla_predict_series
SELECT count(*) AS stays, count(DISTINCT cardinality(embedding)) AS lengths
FROM (SELECT stay, idla_embed_series('deterioration', c) AS embedding FROM charted c GROUP BY stay) s;
