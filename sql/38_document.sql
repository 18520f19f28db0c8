-- Rows that come as documents: the functions of a row under a name of their own, because a call with an unknown literal could mean both (src/pg/document.c).

CREATE FUNCTION idla_predict_json(model regclass, document jsonb, version int DEFAULT NULL, output text DEFAULT NULL)
RETURNS float8
LANGUAGE c STABLE PARALLEL SAFE COST 200
AS 'MODULE_PATHNAME', 'idla_predict_json';

COMMENT ON FUNCTION idla_predict_json(regclass, jsonb, int, text) IS
'The answer of a row that is one jsonb document: a key for each column that the model reads, null for what is not known; other keys are ignored.';

CREATE FUNCTION idla_classify_json(model regclass, document jsonb, version int DEFAULT NULL, abstain float8 DEFAULT NULL)
RETURNS text
LANGUAGE c STABLE PARALLEL SAFE COST 200
AS 'MODULE_PATHNAME', 'idla_classify_json';

COMMENT ON FUNCTION idla_classify_json(regclass, jsonb, int, float8) IS
'The class of a row that is one jsonb document: a key for each column that the model reads, null for what is not known; other keys are ignored.';

CREATE FUNCTION idla_probabilities_json(model regclass, document jsonb, version int DEFAULT NULL)
RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE COST 200
AS 'MODULE_PATHNAME', 'idla_probabilities_json';

COMMENT ON FUNCTION idla_probabilities_json(regclass, jsonb, int) IS
'The probabilities of all classes of a row that is one jsonb document: a key for each column that the model reads, null for what is not known; other keys are ignored.';

CREATE FUNCTION idla_interval_json(model regclass, document jsonb, coverage float8 DEFAULT 0.9, version int DEFAULT NULL, output text DEFAULT NULL)
RETURNS numrange
LANGUAGE c STABLE PARALLEL SAFE COST 200
AS 'MODULE_PATHNAME', 'idla_interval_json';

COMMENT ON FUNCTION idla_interval_json(regclass, jsonb, float8, int, text) IS
'The interval, as idla_interval gives it, of a row that is one jsonb document: a key for each column that the model reads, null for what is not known; other keys are ignored.';

CREATE FUNCTION idla_label_set_json(model regclass, document jsonb, coverage float8 DEFAULT 0.9, version int DEFAULT NULL)
RETURNS text[]
LANGUAGE c STABLE PARALLEL SAFE COST 200
AS 'MODULE_PATHNAME', 'idla_label_set_json';

COMMENT ON FUNCTION idla_label_set_json(regclass, jsonb, float8, int) IS
'The set of classes, as idla_label_set gives it, of a row that is one jsonb document: a key for each column that the model reads, null for what is not known; other keys are ignored.';

CREATE FUNCTION idla_embed_json(model regclass, document jsonb, version int DEFAULT NULL)
RETURNS real[]
LANGUAGE c STABLE PARALLEL SAFE COST 200
AS 'MODULE_PATHNAME', 'idla_embed_json';

COMMENT ON FUNCTION idla_embed_json(regclass, jsonb, int) IS
'The embedding, as idla_embed gives it, of a row that is one jsonb document: a key for each column that the model reads, null for what is not known; other keys are ignored.';
