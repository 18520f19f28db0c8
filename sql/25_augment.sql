-- Augmentation: what training would see of a row (src/pg/augment.c).

CREATE FUNCTION idla_augment_preview(source text, options jsonb DEFAULT '{"augment": true}', n int DEFAULT 8,
	target text DEFAULT NULL, task text DEFAULT NULL)
RETURNS TABLE ("row" bigint, variant int, "column" text, image bytea, "values" float4[], "text" text)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100000 ROWS 64
AS 'MODULE_PATHNAME', 'idla_augment_preview';

COMMENT ON FUNCTION idla_augment_preview(text, jsonb, int, text, text) IS
'The first rows of a source as training would see them in n epochs, with the options of idla_train: images as PNG, signals and series as arrays, texts as their tokens spell them, columns that options change as values; variant 0 is the value as it is.';
