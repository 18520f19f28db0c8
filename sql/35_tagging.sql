-- Tagging: the entities of a text (src/pg/tagging.c).

CREATE FUNCTION idla_tag(model regclass, input text, version int DEFAULT NULL)
RETURNS TABLE (start int, "end" int, text text, label text, score float8)
LANGUAGE c STABLE PARALLEL SAFE COST 10000 ROWS 10
AS 'MODULE_PATHNAME', 'idla_tag';

COMMENT ON FUNCTION idla_tag(regclass, text, int) IS
'The entities that a tagging model finds in a text: characters from start to end (from 0, the end not included), their text, their label and how sure the model is of its least certain token.';

CREATE FUNCTION idla_tag(model regclass, tokens text[], version int DEFAULT NULL)
RETURNS TABLE (start int, "end" int, text text, label text, score float8)
LANGUAGE c STABLE PARALLEL SAFE COST 10000 ROWS 10
AS 'MODULE_PATHNAME', 'idla_tag';

COMMENT ON FUNCTION idla_tag(regclass, text[], int) IS
'The same for a sentence that is cut into tokens: start and end count tokens, from 0.';
