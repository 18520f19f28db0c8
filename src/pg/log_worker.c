/*
 * log_worker.c: the worker that writes a database's log of predictions.
 *
 * One a database, while there is something to write and for a little longer: not so long that DROP DATABASE would give up waiting. What it takes from
 * the queue is written in one transaction, into the partition of its day, which is made when it is missing. It works as the owner of the table, in a
 * security-restricted operation and with a search_path of its own, so that nothing that somebody hung on the table runs with more rights than
 * he has; what that sets for its session ends with the transaction. Any error ends the process; what it had taken waits for the next one.
 */
#include "log.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* The server calls it by name. */
extern PGDLLEXPORT void idla_log_worker(Datum database);

#define TABLE "idla_prediction_log"
#define LOOK 200				/* ms between two looks at the queue */
#define IDLE 2000				/* ms without anything, and the worker ends; DROP DATABASE waits for 5 s */
#define MOST_NAMES 100			/* of a day's partition, of which all but the last are taken */

/* The table's columns, in its order. */
enum
{
	LOG_TIME,
	LOG_MODEL,
	LOG_VERSION,
	LOG_FUNCTION,
	LOG_KEY,
	LOG_OUTPUT,
	LOG_SERVED,
	LOG_ROLE,
	LOG_LOGIN,
	N_LOG_COLUMNS
};

static const Oid column_types[N_LOG_COLUMNS] = {
	TIMESTAMPTZOID, REGCLASSOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, TEXTOID, TEXTOID
};

/* The same as types of arrays, by name. */
#define ARRAYS "$1::timestamptz[], $2::regclass[], $3::int4[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::text[], $9::text[]"

/* The log's table of this database. */
typedef struct LogTable
{
	Oid			oid;
	Oid			schema;
	Oid			owner;
	char	   *name;			/* to put into statements */
} LogTable;

/* Entries of a day as columns. */
typedef struct Columns
{
	int			n;
	int			capacity;
	Datum	   *values[N_LOG_COLUMNS];
	bool	   *nulls[N_LOG_COLUMNS];
} Columns;

/* ---- entries as arrays ---- */

static char *
role_name(Oid role)
{
	char	   *name = GetUserNameFromId(role, true);

	return name != NULL ? name : psprintf("%u", role);
}

static Datum
text_datum(const char *bytes, int length)
{
	return PointerGetDatum(cstring_to_text_with_len(bytes, length));
}

static Datum
number_datum(double number)
{
	char		text[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(number, text);
	return CStringGetTextDatum(text);
}

static int64
day_of(TimestampTz time)
{
	return time >= 0 ? time / USECS_PER_DAY : -((-time + USECS_PER_DAY - 1) / USECS_PER_DAY);
}

static void
put(Columns *columns, int column, Datum value, bool isnull)
{
	columns->values[column][columns->n] = value;
	columns->nulls[column][columns->n] = isnull;
}

static void
put_entry(Columns *columns, const IdlaLogEntry *entry, const char *bytes)
{
	const char *output = bytes + Max(entry->key_length, 0);

	put(columns, LOG_TIME, TimestampTzGetDatum(entry->time), false);
	put(columns, LOG_MODEL, ObjectIdGetDatum(entry->model), false);
	put(columns, LOG_VERSION, Int32GetDatum(entry->version), false);
	put(columns, LOG_FUNCTION, CStringGetTextDatum(idla_log_function(entry->call)), false);
	put(columns, LOG_KEY, entry->key_length < 0 ? (Datum) 0 : text_datum(bytes, entry->key_length), entry->key_length < 0);
	put(columns, LOG_OUTPUT, entry->output_length == -2 ? number_datum(entry->number) :
		entry->output_length < 0 ? (Datum) 0 : text_datum(output, entry->output_length), entry->output_length == -1);
	put(columns, LOG_SERVED, BoolGetDatum(entry->served), false);
	put(columns, LOG_ROLE, CStringGetTextDatum(role_name(entry->role)), false);
	put(columns, LOG_LOGIN, CStringGetTextDatum(role_name(entry->login)), false);
	columns->n++;
}

static void
grow(Columns *columns)
{
	columns->capacity = columns->capacity == 0 ? 256 : 2 * columns->capacity;
	for (int i = 0; i < N_LOG_COLUMNS; i++)
	{
		columns->values[i] = columns->n == 0 ? palloc(sizeof(Datum) * (Size) columns->capacity) :
			repalloc(columns->values[i], sizeof(Datum) * (Size) columns->capacity);
		columns->nulls[i] = columns->n == 0 ? palloc(sizeof(bool) * (Size) columns->capacity) :
			repalloc(columns->nulls[i], sizeof(bool) * (Size) columns->capacity);
	}
}

/* The entries of a day into columns, unless these are NULL; the first day after it that has any, or the day itself. */
static int64
read_blocks(List *blocks, int64 day, Columns *columns)
{
	int64		next = day;
	ListCell   *cell;

	foreach(cell, blocks)
	{
		const IdlaLogBlock *block = lfirst(cell);

		for (Size at = 0; at < block->used;)
		{
			IdlaLogEntry entry;
			int64		its_day;

			memcpy(&entry, block->bytes + at, sizeof(entry));
			its_day = day_of(entry.time);
			if (columns != NULL && its_day == day)
			{
				if (columns->n == columns->capacity)
					grow(columns);
				put_entry(columns, &entry, block->bytes + at + sizeof(entry));
			}
			if (its_day > day && (next == day || its_day < next))
				next = its_day;
			at += idla_log_size(&entry);
		}
	}
	return next;
}

static Datum
array_of(const Columns *columns, int column)
{
	int			n[] = {columns->n};
	int			low[] = {1};
	int16		length;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(column_types[column], &length, &by_value, &align);
	return PointerGetDatum(construct_md_array(columns->values[column], columns->nulls[column], 1, n, low, column_types[column],
											  length, by_value, align));
}

/* ---- the table ---- */

static Oid
oid_of(int column)
{
	bool		isnull;

	return DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull));
}

/* False: there is none. */
static bool
find_table(LogTable *table)
{
	/*
	 * No other table of that name: it would be somebody's own. An extension's owner may add one of his to it, elsewhere or later than the
	 * extension's.
	 */
	if (SPI_execute("SELECT c.oid, c.relnamespace, c.relowner FROM pg_catalog.pg_extension e "
					"JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass "
					"AND d.refobjid OPERATOR(pg_catalog.=) e.oid AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass "
					"AND d.deptype OPERATOR(pg_catalog.=) 'e' "
					"JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) d.objid AND c.relname OPERATOR(pg_catalog.=) '" TABLE "' "
					"AND c.relkind OPERATOR(pg_catalog.=) 'p' WHERE e.extname OPERATOR(pg_catalog.=) 'idla' "
					"ORDER BY c.relnamespace OPERATOR(pg_catalog.=) e.extnamespace DESC, c.oid", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "looking for the log of predictions failed");
	if (SPI_processed != 1)
		return false;
	table->oid = oid_of(1);
	table->schema = oid_of(2);
	table->owner = oid_of(3);
	table->name = pstrdup(quote_qualified_identifier(get_namespace_name(table->schema), TABLE));
	return true;
}

static void
insert(const char *table, const Columns *columns)
{
	Oid			types[N_LOG_COLUMNS];
	Datum		values[N_LOG_COLUMNS];

	for (int i = 0; i < N_LOG_COLUMNS; i++)
	{
		types[i] = get_array_type(column_types[i]);
		values[i] = array_of(columns, i);
	}
	if (SPI_execute_with_args(psprintf("INSERT INTO %s (time, model, version, function, key, output, served, role, login) "
									   "SELECT * FROM unnest(" ARRAYS ")", table),
							  N_LOG_COLUMNS, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "writing the log of predictions failed");
}

/* NULL: done. Otherwise the error: the table has no partition for them, it seems. */
static ErrorData *
try_insert(const char *table, const Columns *columns)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile failure = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		insert(table, columns);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		failure = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
		if (failure->sqlerrcode != ERRCODE_CHECK_VIOLATION)
			ReThrowError(failure);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return failure;
}

static void
execute(const char *statement)
{
	int			result = SPI_execute(statement, false, 0);

	if (result < 0)
		elog(ERROR, "\"%s\" failed: %s", statement, SPI_result_code_string(result));
}

static char *
day_name(int64 day, const char *format)
{
	int			year;
	int			month;
	int			of_month;

	j2date((int) day + POSTGRES_EPOCH_JDATE, &year, &month, &of_month);
	return psprintf(format, year, month, of_month);
}

/* Default privileges of the owner's may give new tables to others; the log is seen through its view and its table alone. */
static void
revoke_all(const char *partition)
{
	uint64		n;
	SPITupleTable *grantees;

	if (SPI_execute(psprintf("SELECT DISTINCT CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0 THEN 'PUBLIC' "
							 "ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END "
							 "FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a "
							 "WHERE c.oid OPERATOR(pg_catalog.=) %s::pg_catalog.regclass AND a.grantee OPERATOR(pg_catalog.<>) c.relowner",
							 quote_literal_cstr(partition)), false, 0) != SPI_OK_SELECT)
		elog(ERROR, "looking for the rights on a partition failed");
	n = SPI_processed;
	grantees = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
		execute(psprintf("REVOKE ALL ON %s FROM %s", partition, SPI_getvalue(grantees->vals[i], grantees->tupdesc, 1)));
}

/* Attached instead of created as a partition: that waits for no reader of the table, and makes none wait. */
static void
create_partition(const LogTable *table, int64 day, TimestampTz from, TimestampTz to)
{
	char	   *base = day_name(day, TABLE "_%04d%02d%02d");
	char	   *name = base;
	char	   *first = pstrdup(timestamptz_to_str(from));
	const char *partition;

	/* A partition that somebody has detached keeps its name. */
	for (int i = 2; i < MOST_NAMES && OidIsValid(get_relname_relid(name, table->schema)); i++)
		name = psprintf("%s_%d", base, i);
	partition = quote_qualified_identifier(get_namespace_name(table->schema), name);
	/* A partition has the identity of its table. */
	execute(psprintf("CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING IDENTITY)", partition, table->name));
	revoke_all(partition);
	execute(psprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')", table->name, partition,
					 first, timestamptz_to_str(to)));
}

/* Has no partition a place for this time? Then from and to, its day, are drawn in to where others begin and end. */
static bool
find_gap(const LogTable *table, TimestampTz time, TimestampTz *from, TimestampTz *to)
{
	Relation	relation = table_open(table->oid, AccessShareLock);
	PartitionKey key = RelationGetPartitionKey(relation);
	PartitionBoundInfo bounds = RelationGetPartitionDesc(relation, false)->boundinfo;
	bool		found = key->strategy == PARTITION_STRATEGY_RANGE && key->partnatts == 1 && key->parttypid[0] == TIMESTAMPTZOID;

	if (found && bounds != NULL)
	{
		int			i = 0;

		while (i < bounds->ndatums && (bounds->kind[i][0] == PARTITION_RANGE_DATUM_MINVALUE ||
									   (bounds->kind[i][0] == PARTITION_RANGE_DATUM_VALUE && DatumGetTimestampTz(bounds->datums[i][0]) <= time)))
			i++;
		found = bounds->indexes[i] < 0 && !partition_bound_has_default(bounds);
		if (i > 0 && bounds->kind[i - 1][0] == PARTITION_RANGE_DATUM_VALUE)
			*from = Max(*from, DatumGetTimestampTz(bounds->datums[i - 1][0]));
		if (i < bounds->ndatums && bounds->kind[i][0] == PARTITION_RANGE_DATUM_VALUE)
			*to = Min(*to, DatumGetTimestampTz(bounds->datums[i][0]));
	}
	table_close(relation, NoLock);
	return found;
}

/* Whatever a day's entries lack; false when it is not partitions. */
static bool
create_partitions(const LogTable *table, int64 day, const Columns *columns)
{
	bool		any = false;

	for (int i = 0; i < columns->n; i++)
	{
		TimestampTz from = day * USECS_PER_DAY;
		TimestampTz to = from + USECS_PER_DAY;

		if (!find_gap(table, DatumGetTimestampTz(columns->values[LOG_TIME][i]), &from, &to))
			continue;
		create_partition(table, day, from, to);
		any = true;
	}
	return any;
}

/* ---- rounds ---- */

static void
write_blocks(List *blocks, const LogTable *table)
{
	int64		day = PG_INT64_MIN;
	int64		next;

	while ((next = read_blocks(blocks, day, NULL)) != day)
	{
		Columns		columns = {0};
		ErrorData  *failure;

		day = next;
		(void) read_blocks(blocks, day, &columns);
		failure = try_insert(table->name, &columns);
		if (failure == NULL)
			continue;
		/* A constraint of somebody's own may be the one that is violated. */
		if (!create_partitions(table, day, &columns))
			ReThrowError(failure);
		insert(table->name, &columns);
	}
}

/* As the table's owner, who may have hung triggers and constraints on it. */
static void
write_as_owner(List *blocks, const LogTable *table)
{
	Oid			self;
	int			security;
	int			level;

	GetUserIdAndSecContext(&self, &security);
	SetUserIdAndSecContext(table->owner, security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	level = idla_pin_search_path();
	/* What is deferred would run at the end of the transaction, as nobody knows whom: the server refuses that here. */
	execute("SET CONSTRAINTS ALL IMMEDIATE");
	write_blocks(blocks, table);
	AtEOXact_GUC(false, level);
	SetUserIdAndSecContext(self, security);
}

/* Writes what waits, or a part of it; false when nothing does. */
static bool
write_round(MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	List	   *blocks = idla_log_take();
	LogTable	table;
	bool		found;

	MemoryContextSwitchTo(caller);
	if (blocks == NIL)
		return false;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "idla: writing the log of predictions");
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	found = find_table(&table);
	if (found)
		write_as_owner(blocks, &table);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	if (found)
		idla_log_done();
	else
	{
		uint64		n = idla_log_give_up();

		ereport(LOG,
				(errmsg("there is no table for the log of predictions any more"),
				 errdetail("The extension was dropped, or the table taken out of it; " UINT64_FORMAT " answers are lost.", n)));
	}
	MemoryContextReset(context);
	return true;
}

static void
set(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

void
idla_log_worker(Datum database)
{
	MemoryContext context;
	TimestampTz busy;

	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	if (!idla_log_attach(DatumGetObjectId(database)))
		proc_exit(0);
	idla_log_wait_for_turn();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	idla_log_connected();
	/* What the database sets for its sessions is not for this one. */
	set("search_path", "pg_catalog, pg_temp");
	set("default_transaction_read_only", "off");
	set("default_transaction_isolation", "read committed");
	set("statement_timeout", "0");
	/* Of PostgreSQL 17 and later. */
	if (GetConfigOption("transaction_timeout", true, false) != NULL)
		set("transaction_timeout", "0");
	set("lock_timeout", "5s");
	set("session_replication_role", "origin");
	set("row_security", "on");
	context = AllocSetContextCreate(TopMemoryContext, "idla log", ALLOCSET_DEFAULT_SIZES);
	busy = GetCurrentTimestamp();
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (ShutdownRequestPending)
		{
			/* Who shuts a server down does not mean to lose what waits. */
			while (write_round(context))
				;
			break;
		}
		if (write_round(context))
			busy = GetCurrentTimestamp();
		else if (TimestampDifferenceExceeds(busy, GetCurrentTimestamp(), IDLE) && idla_log_detach())
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	proc_exit(0);
}
