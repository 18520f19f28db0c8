/*
 * catalog.c: the model's table.
 *
 * A model is an ordinary table marked by the name of a CHECK constraint, so
 * that ownership, grants, dumps and drops are PostgreSQL's own affair. Writing a version happens
 * under a lock that admits readers but no second writer, with a snapshot taken
 * after the lock: two trainings of one name both succeed, one after the other.
 */
#include "catalog.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#define MARK "idla_model"		/* the constraint that says "this table is a model" */
#define CREATE_ATTEMPTS 10

static const char *const predict_columns[] = {"version", "in_service", "card", NULL};
static const char *const copy_columns[] = {"version", "in_service", "card", "manifest", "weights", NULL};

static RangeVar *
name_to_range(const char *name)
{
	return makeRangeVarFromNameList(idla_compat_name_list(name));
}

const char *
idla_model_name(Oid relid)
{
	const char *name = get_rel_name(relid);

	return name != NULL ? name : "?";
}

const char *
idla_qualified_name(Oid relid)
{
	const char *schema = get_namespace_name(get_rel_namespace(relid));
	const char *name = get_rel_name(relid);

	if (schema == NULL || name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid),
				 errdetail("It was dropped meanwhile.")));
	return quote_qualified_identifier(schema, name);
}

bool
idla_is_model(Oid relid)
{
	return get_rel_relkind(relid) == RELKIND_RELATION &&
		OidIsValid(get_relation_constraint_oid(relid, MARK, true));
}

bool
idla_is_marked(Oid relid)
{
	Relation	relation = try_relation_open(relid, NoLock);
	const TupleConstr *constraints = relation == NULL ? NULL : RelationGetDescr(relation)->constr;
	bool		marked = false;

	for (int i = 0; constraints != NULL && i < constraints->num_check && !marked; i++)
		marked = strcmp(constraints->check[i].ccname, MARK) == 0;
	if (relation == NULL)
		return false;
	marked = marked && relation->rd_rel->relkind == RELKIND_RELATION;
	relation_close(relation, NoLock);
	return marked;
}

static void
check_is_model(Oid relid, const char *name)
{
	if (idla_is_model(relid))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("\"%s\" is not a model", name),
			 errdetail("A relation of that name exists, and it has no constraint \"%s\".", MARK),
			 errhint("Choose another name for the model, or put it into another schema.")));
}

Oid
idla_model_lookup(const char *name)
{
	Oid			relid = RangeVarGetRelid(name_to_range(name), NoLock, true);

	if (OidIsValid(relid))
		check_is_model(relid, name);
	return relid;
}

/* ---- rights ---- */

static bool
may(Oid relid, const char *const *columns, AclMode mode)
{
	if (pg_class_aclcheck(relid, GetUserId(), mode) == ACLCHECK_OK)
		return true;
	for (; *columns != NULL; columns++)
	{
		AttrNumber	attnum = get_attnum(relid, *columns);

		if (attnum == InvalidAttrNumber || pg_attribute_aclcheck(relid, attnum, GetUserId(), mode) != ACLCHECK_OK)
			return false;
	}
	return true;
}

static void
refuse(Oid relid, const char *deed, const char *grant)
{
	const char *role = GetUserNameFromId(GetUserId(), false);

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to %s model \"%s\"", deed, get_rel_name(relid)),
			 errhint("Its owner may run: GRANT %s ON %s TO %s;",
					 grant, idla_qualified_name(relid), quote_identifier(role))));
}

void
idla_model_require(Oid relid, IdlaRight right)
{
	static const char *const in_service[] = {"in_service", NULL};

	if (right == IDLA_RIGHT_PREDICT && !may(relid, predict_columns, ACL_SELECT))
		refuse(relid, "predict with", "SELECT (version, in_service, card)");
	if (right == IDLA_RIGHT_COPY && !may(relid, copy_columns, ACL_SELECT))
		refuse(relid, "read the weights of", "SELECT");
	if (right == IDLA_RIGHT_TRAIN && pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) != ACLCHECK_OK)
		refuse(relid, "train", "INSERT");
	if (right == IDLA_RIGHT_DEPLOY && !may(relid, in_service, ACL_UPDATE))
		refuse(relid, "deploy versions of", "SELECT (version, in_service, card), UPDATE (in_service)");
	if (right == IDLA_RIGHT_DEPLOY && !may(relid, predict_columns, ACL_SELECT))
		refuse(relid, "deploy versions of", "SELECT (version, in_service, card), UPDATE (in_service)");

	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row security applies to you on model \"%s\"", get_rel_name(relid)),
				 errdetail("A model's rows belong together; idla neither bypasses row security nor reads a part of them."),
				 errhint("Use GRANT on the model instead of row security.")));
}

Oid
idla_model_prepare(const char *name, bool deploy, const char *command)
{
	Oid			relid;

	PreventCommandIfReadOnly(command);
	PreventCommandIfParallelMode(command);
	relid = idla_model_lookup(name);
	if (OidIsValid(relid))
	{
		idla_model_require(relid, IDLA_RIGHT_TRAIN);
		if (deploy)
			idla_model_require(relid, IDLA_RIGHT_DEPLOY);
	}
	else
		/* Raises what CREATE TABLE would raise, before hours of training instead of after. */
		RangeVarGetAndCheckCreationNamespace(name_to_range(name), NoLock, NULL);
	return relid;
}

/* ---- creating ---- */

static void
execute(const char *query)
{
	int			result = SPI_execute(query, false, 0);

	if (result < 0)
		elog(ERROR, "\"%s\" failed: %s", query, SPI_result_code_string(result));
}

int
idla_pin_search_path(void)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

static void
create_table(RangeVar *range)
{
	const char *schema = get_namespace_name(RangeVarGetCreationNamespace(range));
	char	   *name = pstrdup(quote_qualified_identifier(schema, range->relname));
	int			level = idla_pin_search_path();

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	execute(psprintf("CREATE TABLE %s (version int4 NOT NULL, chunk int4 NOT NULL, in_service bool NOT NULL, "
					 "card jsonb, manifest jsonb, weights bytea, PRIMARY KEY (version, chunk), "
					 "CONSTRAINT " MARK " CHECK ((chunk = 0) = (manifest IS NOT NULL)))", name));
	execute(psprintf("ALTER TABLE %s ALTER COLUMN weights SET STORAGE EXTERNAL", name));
	execute(psprintf("CREATE UNIQUE INDEX ON %s (in_service) WHERE in_service AND chunk = 0", name));
	SPI_finish();
	AtEOXact_GUC(false, level);
}

/*
 * Creates the table in a subtransaction. False when somebody else made a
 * relation of that name meanwhile: CREATE TABLE waits for his transaction and then fails.
 */
static bool
try_create(RangeVar *range)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool created = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		create_table(range);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *failure;

		MemoryContextSwitchTo(caller);
		failure = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
		if (failure->sqlerrcode != ERRCODE_DUPLICATE_TABLE &&
			failure->sqlerrcode != ERRCODE_DUPLICATE_OBJECT &&
			failure->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			ReThrowError(failure);
		FreeErrorData(failure);
		created = false;
	}
	PG_END_TRY();
	return created;
}

/* Before the lock is waited for: only who may train may make others wait. */
static void
check_before_lock(const RangeVar *range, Oid relid, Oid old_relid, void *arg)
{
	(void) old_relid;
	(void) arg;
	if (!OidIsValid(relid))
		return;
	check_is_model(relid, range->relname);
	idla_model_require(relid, IDLA_RIGHT_TRAIN);
}

static Oid
lock_or_create(const char *name)
{
	RangeVar   *range = name_to_range(name);

	for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++)
	{
		Oid			relid = RangeVarGetRelidExtended(range, ShareRowExclusiveLock, RVR_MISSING_OK, check_before_lock, NULL);

		if (OidIsValid(relid))
			return relid;
		(void) try_create(range);
		CommandCounterIncrement();
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("model \"%s\" was created and dropped by others %d times meanwhile", name, CREATE_ATTEMPTS)));
}

/* ---- writing ---- */

/* A number is not given again while there is a trace of the version that had it: a trial would be taken for the new one's. */
static int
next_version(Oid relid, Snapshot snapshot, bool *first, int *in_service)
{
	IdlaTable	table;
	IdlaVersion *versions;
	IdlaDeployment *deployments;
	int			n;
	int			n_deployments;
	int			last;

	idla_table_open(&table, relid, NoLock, false);
	versions = idla_table_versions(&table, snapshot, false, &n);
	deployments = idla_table_deployments(&table, snapshot, &n_deployments);
	last = n > 0 ? versions[n - 1].version : 0;
	for (int i = 0; i < n_deployments; i++)
		last = Max(last, deployments[i].version);
	*in_service = 0;
	for (int i = 0; i < n; i++)
		if (versions[i].in_service)
			*in_service = versions[i].version;
	*first = n == 0;
	idla_table_close(&table);
	if (last == PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model \"%s\" has no version number left", get_rel_name(relid))));
	return last + 1;
}

/* With the latest snapshot, so that a repeatable-read transaction retires what others deployed since it began. */
static void
retire(const char *table, Snapshot snapshot)
{
	SPIPlanPtr	plan = SPI_prepare(psprintf("UPDATE %s SET in_service = false WHERE in_service", table), 0, NULL);
	int			result = plan == NULL ? SPI_result :
		SPI_execute_snapshot(plan, NULL, NULL, snapshot, InvalidSnapshot, false, true, 0);

	if (result < 0)
		elog(ERROR, "retiring the version in service failed: %s", SPI_result_code_string(result));
	if (result != SPI_OK_UPDATE)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("the version in service was not retired"),
				 errdetail("A rule on the model's table made something else of the update.")));
}

static void
insert_rows(const char *table, int version, bool in_service, Jsonb *card, Jsonb *manifest,
			const char *weights, Size size)
{
	Oid			types[] = {INT4OID, INT4OID, BOOLOID, JSONBOID, JSONBOID, BYTEAOID};
	SPIPlanPtr	plan = SPI_prepare(psprintf("INSERT INTO %s (version, chunk, in_service, card, manifest, weights) "
											"VALUES ($1, $2, $3, $4, $5, $6)", table), 6, types);
	struct varlena *bytes = palloc(IDLA_CHUNK_SIZE + VARHDRSZ);
	Size		written = 0;
	int			chunk = 0;

	if (plan == NULL)
		elog(ERROR, "preparing to write a version failed: %s", SPI_result_code_string(SPI_result));
	do
	{
		Size		part = Min(size - written, (Size) IDLA_CHUNK_SIZE);
		Datum		values[6];
		char		nulls[7] = "      ";
		int			result;

		CHECK_FOR_INTERRUPTS();
		memcpy(VARDATA(bytes), weights + written, part);
		SET_VARSIZE(bytes, part + VARHDRSZ);
		values[0] = Int32GetDatum(version);
		values[1] = Int32GetDatum(chunk);
		values[2] = BoolGetDatum(in_service && chunk == 0);
		values[3] = JsonbPGetDatum(card);
		values[4] = JsonbPGetDatum(manifest);
		values[5] = PointerGetDatum(bytes);
		if (chunk > 0)
			nulls[3] = nulls[4] = 'n';
		result = SPI_execute_plan(plan, values, nulls, false, 0);
		if (result < 0)
			elog(ERROR, "writing a version failed: %s", SPI_result_code_string(result));
		if (result != SPI_OK_INSERT || SPI_processed != 1)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
					 errmsg("version %d was not written", version),
					 errdetail("A trigger or rule on the model's table suppressed a row of it.")));
		written += part;
		chunk++;
	} while (written < size);
	pfree(bytes);
}

int
idla_version_write(const char *name, Jsonb *card, Jsonb *manifest, const char *weights, Size size,
				   bool deploy, Oid *relid, bool *in_service)
{
	Snapshot	snapshot;
	const char *table;
	bool		first;
	int			version;
	int			replaced;
	int			level;

	*relid = lock_or_create(name);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	version = next_version(*relid, snapshot, &first, &replaced);
	*in_service = first || deploy;
	table = idla_qualified_name(*relid);

	level = idla_pin_search_path();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (deploy && !first)
	{
		idla_model_require(*relid, IDLA_RIGHT_DEPLOY);
		retire(table, snapshot);
	}
	insert_rows(table, version, *in_service, card, manifest, weights, size);
	SPI_finish();
	AtEOXact_GUC(false, level);
	if (deploy && !first)
		idla_deployment_write(*relid, snapshot, version, "service", 0, replaced);
	/* Plans that are kept pass what the versions before needed. */
	if (*in_service)
		CacheInvalidateRelcacheByRelid(*relid);
	UnregisterSnapshot(snapshot);
	CommandCounterIncrement();
	return version;
}
