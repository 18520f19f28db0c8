-- what a network would be shown of one image in three epochs; as PNG, so that any client can show it
SELECT "row", variant, "column", (idla_image_info(image)).description
FROM idla_augment_preview('SELECT image FROM scans', '{"augment": {"rotate": 10, "shift": 0.1}}', 3);
