-- The models of this database that the caller may predict with.

CREATE FUNCTION idla_model_list(
	OUT schema name, OUT model regclass, OUT owner name, OUT versions int, OUT in_service int,
	OUT task text, OUT architecture text, OUT target text, OUT metric text, OUT value float8,
	OUT rows bigint, OUT trained_at timestamptz, OUT size bigint, OUT comment text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'idla_model_list';

COMMENT ON FUNCTION idla_model_list() IS
'Part of the view idla_models: what it lists.';

CREATE FUNCTION idla_version_list(
	OUT schema name, OUT model regclass, OUT version int, OUT in_service boolean, OUT status text,
	OUT task text, OUT architecture text, OUT target text, OUT metric text, OUT value float8,
	OUT rows bigint, OUT trained_at timestamptz, OUT card jsonb)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'idla_version_list';

COMMENT ON FUNCTION idla_version_list() IS
'Part of the view idla_versions: what it lists.';

CREATE VIEW idla_models AS
	SELECT * FROM @extschema@.idla_model_list()
	ORDER BY schema, model::text;

COMMENT ON VIEW idla_models IS
'Models you may predict with; task, metric and the rest are those of the version in service, or of the latest where none is.';

CREATE VIEW idla_versions AS
	SELECT * FROM @extschema@.idla_version_list()
	ORDER BY schema, model::text, version;

COMMENT ON VIEW idla_versions IS
'All versions of the models you may predict with, their cards included; the status is serving, trial, shadow, candidate (never in service) or retired.';

CREATE FUNCTION idla_deployment_list(
	OUT schema name, OUT model regclass, OUT number bigint, OUT event text, OUT version int, OUT share float8, OUT replaces int,
	OUT deployed_by text, OUT deployed_at timestamptz)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'idla_deployment_list';

COMMENT ON FUNCTION idla_deployment_list() IS
'Part of the view idla_deployments: what it lists.';

CREATE VIEW idla_deployments AS
	SELECT * FROM @extschema@.idla_deployment_list()
	ORDER BY schema, model::text, number;

COMMENT ON VIEW idla_deployments IS
'Deployments of the models you may predict with, by idla_deploy or the option deploy of idla_train, idla_import and idla_copy, who did them and when; a first version goes into service without one. Events are service (a version answers all rows), withdrawn (none does), trial (it answers a share of them), shadow (it is asked and does not answer).';

GRANT SELECT ON idla_models, idla_versions, idla_deployments TO PUBLIC;
