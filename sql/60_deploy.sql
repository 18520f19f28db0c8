-- Deploying: which version of a model answers (src/pg/deploy.c).

CREATE FUNCTION idla_deploy(model regclass, version int)
RETURNS int
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'idla_deploy';

COMMENT ON FUNCTION idla_deploy(regclass, int) IS
'Puts a version of a model into service, or none when version is NULL; returns the version it replaces.';
