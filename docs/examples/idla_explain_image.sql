-- a picture of where the model of the last example looks, for a page or a report; to see it:
-- psql -At -c "SELECT encode(idla_explain_image('spot_model', s), 'base64') FROM spots s WHERE id = 1" | base64 -d > spot.png
SELECT substr(idla_explain_image('spot_model', s), 1, 8) AS begins_as_png FROM spots s WHERE id = 1;

-- what each pixel adds, red for and blue against
SELECT length(idla_explain_image('spot_model', s, method => 'integrated_gradients')) > 500 AS drawn FROM spots s WHERE id = 1;

DROP TABLE spot_model, spots;
