-- Deploying: which version of a model answers (src/pg/deploy.c).

CREATE FUNCTION idla_deploy(model regclass, version int, share float8 DEFAULT NULL, shadow boolean DEFAULT false,
	weights text DEFAULT NULL, source text DEFAULT NULL)
RETURNS int
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'idla_deploy';

COMMENT ON FUNCTION idla_deploy(regclass, int, float8, boolean, text, text) IS
'Puts a version of a model into service, or none when version is NULL; returns the version that was in service before. With share it only answers so large a share of the rows, with shadow none, beside the version in service, until the next deployment, by idla_deploy or the option deploy of idla_train, idla_import or idla_copy. With weights bfloat16 or int8 it deploys a new version with the weights of the old one rounded, after measuring on the rows of source what that costs.';
