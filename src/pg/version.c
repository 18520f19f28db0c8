/*
 * version.c: reading the rows of a model's table.
 *
 * Rows are read by direct scan with the caller's snapshot and idla's own
 * rights, once the caller's have been checked: nobody's code runs on the way, whatever
 * the table's owner hung on it. A table is untrusted: its columns are found by name and
 * checked for their types, its rows may be missing, doubled or out of order.
 */
#include "idla.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* One chunk of weights, before they are put together. */
typedef struct Chunk
{
	int32		number;
	bytea	   *bytes;
} Chunk;

static AttrNumber
find_column(TupleDesc desc, const char *name, Oid type)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), name) == 0)
			return attribute->atttypid == type ? attribute->attnum : InvalidAttrNumber;
	}
	return InvalidAttrNumber;
}

/* The primary key, when it is the btree on (version, chunk) that a model has. */
static Oid
find_index(const IdlaTable *table)
{
	Oid			found;
	Relation	index;
	bool		fits;

	list_free(RelationGetIndexList(table->relation));
	found = table->relation->rd_pkindex;
	if (!OidIsValid(found))
		return InvalidOid;
	index = index_open(found, AccessShareLock);
	fits = index->rd_rel->relam == BTREE_AM_OID &&
		index->rd_index->indisvalid &&
		index->rd_index->indnkeyatts == 2 &&
		index->rd_index->indkey.values[0] == table->version &&
		index->rd_index->indkey.values[1] == table->chunk;
	index_close(index, AccessShareLock);
	return fits ? found : InvalidOid;
}

bool
idla_table_open(IdlaTable *table, Oid relid, LOCKMODE mode, bool soft)
{
	TupleDesc	desc;

	table->relation = soft ? try_relation_open(relid, mode) : relation_open(relid, mode);
	if (table->relation == NULL)
		return false;

	desc = RelationGetDescr(table->relation);
	table->version = find_column(desc, "version", INT4OID);
	table->chunk = find_column(desc, "chunk", INT4OID);
	table->in_service = find_column(desc, "in_service", BOOLOID);
	table->card = find_column(desc, "card", JSONBOID);
	table->manifest = find_column(desc, "manifest", JSONBOID);
	table->weights = find_column(desc, "weights", BYTEAOID);
	if (table->relation->rd_rel->relkind != RELKIND_RELATION ||
		table->version == InvalidAttrNumber || table->chunk == InvalidAttrNumber ||
		table->in_service == InvalidAttrNumber || table->card == InvalidAttrNumber ||
		table->manifest == InvalidAttrNumber || table->weights == InvalidAttrNumber)
	{
		if (!soft)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("table \"%s\" does not have the columns of a model",
							RelationGetRelationName(table->relation)),
					 errdetail("A model is a table (version int, chunk int, in_service boolean, card jsonb, "
							   "manifest jsonb, weights bytea).")));
		relation_close(table->relation, NoLock);
		return false;
	}
	return true;
}

void
idla_table_close(IdlaTable *table)
{
	/* The lock stays until the transaction ends, as after any query on a table. */
	relation_close(table->relation, NoLock);
	table->relation = NULL;
}

/* Starts a scan of one version's rows, or of all when version < 0. */
static SysScanDesc
scan_begin(const IdlaTable *table, Snapshot snapshot, int version)
{
	ScanKeyData key;
	Oid			index;

	if (version < 0)
		return systable_beginscan(table->relation, InvalidOid, false, snapshot, 0, NULL);
	ScanKeyInit(&key, table->version, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(version));
	/* Looked for here: most statements know the version's rows and never come so far. */
	index = find_index(table);
	return systable_beginscan(table->relation, index, OidIsValid(index), snapshot, 1, &key);
}

static Datum
column_of(const IdlaTable *table, HeapTuple tuple, AttrNumber column, bool *isnull)
{
	return heap_getattr(tuple, column, RelationGetDescr(table->relation), isnull);
}

/* A column's jsonb detoasted into the current context, NULL for NULL. */
static Jsonb *
jsonb_of(const IdlaTable *table, HeapTuple tuple, AttrNumber column)
{
	bool		isnull;
	Datum		value = column_of(table, tuple, column, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(value);
}

/* The small columns of a first row; false for the other rows, which only hold weights. */
static bool
read_head(const IdlaTable *table, HeapTuple tuple, IdlaVersion *version)
{
	bool		isnull;
	Datum		value;

	value = column_of(table, tuple, table->chunk, &isnull);
	if (isnull || DatumGetInt32(value) != 0)
		return false;
	value = column_of(table, tuple, table->version, &isnull);
	if (isnull)
		return false;
	version->version = DatumGetInt32(value);
	value = column_of(table, tuple, table->in_service, &isnull);
	version->in_service = !isnull && DatumGetBool(value);
	version->card = NULL;
	version->manifest = NULL;
	return true;
}

static int
compare_versions(const void *a, const void *b)
{
	int			left = ((const IdlaVersion *) a)->version;
	int			right = ((const IdlaVersion *) b)->version;

	return left < right ? -1 : left > right;
}

IdlaVersion *
idla_table_versions(const IdlaTable *table, Snapshot snapshot, bool cards, int *n)
{
	int			capacity = 8;
	IdlaVersion *versions = palloc(capacity * sizeof(IdlaVersion));
	SysScanDesc scan = scan_begin(table, snapshot, -1);
	HeapTuple	tuple;

	*n = 0;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		if (*n == capacity)
		{
			capacity *= 2;
			versions = repalloc(versions, capacity * sizeof(IdlaVersion));
		}
		if (!read_head(table, tuple, &versions[*n]))
			continue;
		if (cards)
			versions[*n].card = jsonb_of(table, tuple, table->card);
		(*n)++;
	}
	systable_endscan(scan);
	qsort(versions, *n, sizeof(IdlaVersion), compare_versions);
	return versions;
}

static void
refuse_doubles(const IdlaTable *table, int version)
{
	/* The keys of a model's table forbid this; its owner may have dropped them. */
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 version < 0 ?
			 errmsg("model \"%s\" has several versions in service", RelationGetRelationName(table->relation)) :
			 errmsg("model \"%s\" holds version %d more than once", RelationGetRelationName(table->relation), version)));
}

/*
 * What a deployment left: a row with a number below 0; without a card that says something it counts all the same. Those of version 0 are not about a
 * version: idla_log left them.
 */
static bool
read_event(const IdlaTable *table, HeapTuple tuple, bool of_log, IdlaDeployment *event)
{
	bool		isnull;
	Datum		value;

	value = column_of(table, tuple, table->chunk, &isnull);
	if (isnull || DatumGetInt32(value) >= 0)
		return false;
	event->number = -(int64) DatumGetInt32(value);
	value = column_of(table, tuple, table->version, &isnull);
	if (isnull)
		return false;
	event->version = DatumGetInt32(value);
	if ((event->version == 0) != of_log)
		return false;
	event->card = jsonb_of(table, tuple, table->card);
	return true;
}

static int
compare_deployments(const void *a, const void *b)
{
	int64		left = ((const IdlaDeployment *) a)->number;
	int64		right = ((const IdlaDeployment *) b)->number;

	return left < right ? -1 : left > right;
}

IdlaDeployment *
idla_table_deployments(const IdlaTable *table, Snapshot snapshot, int *n)
{
	int			capacity = 8;
	IdlaDeployment  *events = palloc(capacity * sizeof(IdlaDeployment));
	SysScanDesc scan = scan_begin(table, snapshot, -1);
	HeapTuple	tuple;

	*n = 0;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		if (*n == capacity)
		{
			capacity *= 2;
			events = repalloc(events, capacity * sizeof(IdlaDeployment));
		}
		*n += read_event(table, tuple, false, &events[*n]);
	}
	systable_endscan(scan);
	qsort(events, *n, sizeof(IdlaDeployment), compare_deployments);
	return events;
}

int
idla_table_in_service(const IdlaTable *table, Snapshot snapshot, IdlaDeployment *latest, IdlaDeployment *log, bool soft)
{
	SysScanDesc scan = scan_begin(table, snapshot, -1);
	HeapTuple	tuple;
	IdlaVersion head;
	int			found = -1;

	if (latest != NULL)
		memset(latest, 0, sizeof(*latest));
	if (log != NULL)
		memset(log, 0, sizeof(*log));
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		IdlaDeployment	event;

		CHECK_FOR_INTERRUPTS();
		if (latest != NULL && read_event(table, tuple, false, &event) && event.number > latest->number)
			*latest = event;
		if (log != NULL && read_event(table, tuple, true, &event) && event.number > log->number)
			*log = event;
		if (!read_head(table, tuple, &head) || !head.in_service)
			continue;
		if (found >= 0 && !soft)
			refuse_doubles(table, -1);
		found = found == -1 ? head.version : -2;
	}
	systable_endscan(scan);
	return found;
}

void
idla_table_log(const IdlaTable *table, Snapshot snapshot, IdlaDeployment *log)
{
	SysScanDesc scan = scan_begin(table, snapshot, 0);
	HeapTuple	tuple;

	memset(log, 0, sizeof(*log));
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		IdlaDeployment event;

		CHECK_FOR_INTERRUPTS();
		if (read_event(table, tuple, true, &event) && event.number > log->number)
			*log = event;
	}
	systable_endscan(scan);
}

bool
idla_table_version(const IdlaTable *table, Snapshot snapshot, int version, IdlaVersion *found)
{
	SysScanDesc scan = scan_begin(table, snapshot, version);
	HeapTuple	tuple;
	IdlaVersion head;
	int			n_found = 0;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		if (!read_head(table, tuple, &head))
			continue;
		if (++n_found > 1)
			refuse_doubles(table, version);
		*found = head;
		found->card = jsonb_of(table, tuple, table->card);
		found->manifest = jsonb_of(table, tuple, table->manifest);
	}
	systable_endscan(scan);
	return n_found == 1;
}

Jsonb *
idla_table_manifest(const IdlaTable *table, Snapshot snapshot, int version)
{
	SysScanDesc scan = scan_begin(table, snapshot, version);
	Jsonb	   *manifest = NULL;
	HeapTuple	tuple;
	IdlaVersion head;

	while (manifest == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
		if (read_head(table, tuple, &head))
			manifest = jsonb_of(table, tuple, table->manifest);
	systable_endscan(scan);
	return manifest;
}

bool
idla_table_has(const IdlaTable *table, Snapshot snapshot, int version)
{
	SysScanDesc scan = scan_begin(table, snapshot, version);
	bool		has = false;
	HeapTuple	tuple;

	/* What was done with a version that is gone stands below chunk 0. */
	while (!has && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		chunk = column_of(table, tuple, table->chunk, &isnull);

		CHECK_FOR_INTERRUPTS();
		has = !isnull && DatumGetInt32(chunk) == 0;
	}
	systable_endscan(scan);
	return has;
}

uint64
idla_table_identity(const IdlaTable *table, Snapshot snapshot, int version)
{
	uint64		identity = 0;
	SysScanDesc scan;
	HeapTuple	tuple;

	/* Only the heap's tuples carry what tells them apart. */
	if (table->relation->rd_tableam != GetHeapamTableAmRoutine())
		return 0;
	scan = scan_begin(table, snapshot, version);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		struct
		{
			uint64		before;
			Oid			file;
			TransactionId xmin;
			CommandId	command;
			BlockNumber block;
			uint32		offset;
			AttrNumber	columns[3]; /* which are read: names may change places without a row's doing */
		}			row;

		CHECK_FOR_INTERRUPTS();
		memset(&row, 0, sizeof(row));
		row.before = identity;
		row.file = idla_compat_file_number(table->relation);
		row.xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
		row.command = HeapTupleHeaderGetRawCommandId(tuple->t_data);
		row.block = ItemPointerGetBlockNumber(&tuple->t_self);
		row.offset = ItemPointerGetOffsetNumber(&tuple->t_self);
		row.columns[0] = table->card;
		row.columns[1] = table->manifest;
		row.columns[2] = table->weights;
		identity = hash_bytes_extended((const unsigned char *) &row, sizeof(row), 0);
	}
	systable_endscan(scan);
	return identity;
}

static int
compare_chunks(const void *a, const void *b)
{
	int32		left = ((const Chunk *) a)->number;
	int32		right = ((const Chunk *) b)->number;

	return left < right ? -1 : left > right;
}

/* The version's chunks that hold bytes, in order. */
static Chunk *
read_chunks(const IdlaTable *table, Snapshot snapshot, int version, int *n_chunks)
{
	int			capacity = 8;
	Chunk	   *chunks = palloc(capacity * sizeof(Chunk));
	int			n = 0;
	SysScanDesc scan = scan_begin(table, snapshot, version);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		number;
		Datum		bytes;

		CHECK_FOR_INTERRUPTS();
		number = column_of(table, tuple, table->chunk, &isnull);
		if (isnull)
			continue;
		bytes = column_of(table, tuple, table->weights, &isnull);
		if (isnull)
			continue;
		if (n == capacity)
		{
			capacity *= 2;
			chunks = repalloc(chunks, capacity * sizeof(Chunk));
		}
		chunks[n].number = DatumGetInt32(number);
		chunks[n].bytes = DatumGetByteaPCopy(bytes);
		n++;
	}
	systable_endscan(scan);
	qsort(chunks, n, sizeof(Chunk), compare_chunks);
	*n_chunks = n;
	return chunks;
}

Size
idla_table_weights_size(const IdlaTable *table, Snapshot snapshot, int version)
{
	SysScanDesc scan = scan_begin(table, snapshot, version);
	Size		total = 0;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		bytes = column_of(table, tuple, table->weights, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (!isnull)
			total += toast_raw_datum_size(bytes) - VARHDRSZ;
	}
	systable_endscan(scan);
	return total;
}

char *
idla_table_weights(const IdlaTable *table, Snapshot snapshot, int version, Size *size)
{
	int			n;
	Chunk	   *chunks = read_chunks(table, snapshot, version, &n);
	Size		total = 0;
	char	   *weights;

	for (int i = 0; i < n; i++)
	{
		/* The first chunk with bytes may be number 0 or 1; from there none may be missing or doubled. */
		if (chunks[i].number < 0 || chunks[0].number > 1 || chunks[i].number - chunks[0].number != i)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("weights of model \"%s\" version %d are damaged",
							RelationGetRelationName(table->relation), version),
					 errdetail("Chunk %d is missing or doubled.", chunks[0].number > 1 ? 1 : chunks[0].number + i)));
		total += VARSIZE_ANY_EXHDR(chunks[i].bytes);
	}
	if (!AllocHugeSizeIsValid(total + 1))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("weights of model \"%s\" version %d are too large",
						RelationGetRelationName(table->relation), version)));

	weights = MemoryContextAllocHuge(CurrentMemoryContext, total + 1);
	total = 0;
	for (int i = 0; i < n; i++)
	{
		Size		n_bytes = VARSIZE_ANY_EXHDR(chunks[i].bytes);

		memcpy(weights + total, VARDATA_ANY(chunks[i].bytes), n_bytes);
		total += n_bytes;
		pfree(chunks[i].bytes);
	}
	pfree(chunks);
	*size = total;
	return weights;
}
