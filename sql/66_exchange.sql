-- Exchange: models as files, and files as models (src/pg/exchange.c).

CREATE FUNCTION idla_export(model regclass, format text DEFAULT 'safetensors', version int DEFAULT NULL)
RETURNS bytea
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idla_export';

COMMENT ON FUNCTION idla_export(regclass, text, int) IS
'A version of a model as a file: "safetensors", all that it is, or "onnx", a program that other runtimes execute. The version in service by default.';

CREATE FUNCTION idla_import(name text, file bytea, mapping jsonb DEFAULT NULL, deploy boolean DEFAULT false)
RETURNS int
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'idla_import';

COMMENT ON FUNCTION idla_import(text, bytea, jsonb, boolean) IS
'Makes a new model, or the next version of one, of a safetensors file: one that idla_export wrote, or any other with a mapping that says what its tensors are. Returns the version.';

CREATE FUNCTION idla_copy(model regclass, name text, version int DEFAULT NULL, deploy boolean DEFAULT false)
RETURNS int
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'idla_copy';

COMMENT ON FUNCTION idla_copy(regclass, text, int, boolean) IS
'Copies a version of a model (the one in service by default) into a new model, or as the next version into another; returns its number there. The card tells where it came from.';
