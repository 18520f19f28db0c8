-- Images in bytea: what they are (src/pg/image.c).

CREATE FUNCTION idla_image_info(
	image bytea,
	OUT format text, OUT width int, OUT height int, OUT channels int, OUT bits int, OUT description text)
RETURNS record
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idla_image_info';

COMMENT ON FUNCTION idla_image_info(bytea) IS
'What an image in PNG, JPEG or DICOM format says of itself: width and height of the upright picture, stored channels (alpha included) and bits of a sample. Its pixels are not read. Bytes that are no such image are an error.';
