-- the patient who resembles one most: is the outcome the same? (neighbours of one patient: docs/serving.md)
CREATE TABLE embedded AS SELECT patient, disease, idla_embed('heart_risk', t) AS embedding FROM tomorrow t;

SELECT count(*) > 100 AS patients, avg((disease = nearest)::int) > 0.65 AS mostly_the_same
FROM (SELECT disease, (SELECT other.disease FROM embedded other WHERE other.patient <> one.patient
                       ORDER BY (SELECT sum((x - y) ^ 2) FROM unnest(one.embedding, other.embedding) AS pairs (x, y)) LIMIT 1) AS nearest
      FROM embedded one) n;
