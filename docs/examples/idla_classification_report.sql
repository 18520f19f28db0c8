SELECT class, round("precision"::numeric, 2) AS "precision", round(recall::numeric, 2) AS recall,
       round(f1::numeric, 2) AS f1, support
FROM idla_classification_report('heart_risk', 'tomorrow');
