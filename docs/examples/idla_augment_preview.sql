-- what a network would be shown of one image in three epochs; as PNG, so that any client can show it
SELECT "row", variant, "column", (idla_image_info(image)).description
FROM idla_augment_preview('SELECT image FROM scans', '{"augment": {"rotate": 10, "shift": 0.1}}', 3);

-- columns in their own unit, empty where a value was dropped; the target is no input
SELECT variant, "column", "values", text
FROM idla_augment_preview('SELECT age, sex, cholesterol, disease FROM today ORDER BY patient', '{"augment": {"noise": 0.1, "dropout": 0.2}}', 1, 'disease')
WHERE "row" = 1;

-- a note, some words of which are unread or written otherwise
SELECT variant, text
FROM idla_augment_preview($$SELECT CASE patient % 2 WHEN 1 THEN 'Seen at Home, no Chest Pain.' ELSE 'SEEN AT HOME, no CHEST PAIN, ecg normal' END AS note FROM today ORDER BY patient$$,
                          '{"columns": {"note": {"kind": "text", "lowercase": false}}, "augment": {"mask": 0.1, "case": 0.3}}', 2)
WHERE "row" = 1;
