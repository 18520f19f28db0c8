/*
 * rows.c: a table, view or SELECT read once, row by row.
 *
 * The statement runs as the caller, with his rights, his row security and his
 * search_path, through a read-only cursor. Rows go from the executor's slot straight to whoever
 * takes them: nothing is copied. The plan is serial and starts at the first page, so that
 * the same table gives the same rows in the same order, and the same seed the same model.
 */
#include "idla.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "parser/scansup.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#define ROWS_A_RESET 64

struct IdlaRows
{
	Portal		portal;
};

typedef struct Receiver
{
	DestReceiver callbacks;		/* first */
	void		(*take) (void *context, const Datum *values, const bool *isnull);
	void	   *context;
	MemoryContext row_context;
	uint64		n_rows;
} Receiver;

/* ---- what is it? ---- */

static const char *
skip_blanks_and_comments(const char *text)
{
	for (;;)
	{
		if (*text == '(' || scanner_isspace(*text))
			text++;
		else if (text[0] == '-' && text[1] == '-')
			text += strcspn(text, "\r\n");
		else if (text[0] == '/' && text[1] == '*')
		{
			const char *end = strstr(text + 2, "*/");

			if (end == NULL)
				return text;
			text = end + 2;
		}
		else
			return text;
	}
}

/*
 * A table's name is one word. The first four are reserved or need parentheses, so that no name begins with them
 * alone; the others are here to be told that they are no SELECT rather than no name.
 */
static bool
is_query(const char *text)
{
	static const char *const words[] = {"select", "with", "values", "table", "insert", "update", "delete", "merge",
	"copy", "execute", "explain", "show"};

	text = skip_blanks_and_comments(text);
	for (int i = 0; i < (int) lengthof(words); i++)
	{
		size_t		n = strlen(words[i]);
		unsigned char next;

		if (pg_strncasecmp(text, words[i], n) != 0)
			continue;
		next = (unsigned char) text[n];
		if (next == '(' || next == '*' || next == '\'' || next == '"' || next == '/' || next == '-' ||
			scanner_isspace((char) next))
			return true;
	}
	return false;
}

/* A syntax error is in the source, not where the same position is in the statement that called. */
static void
point_into_source(void *arg)
{
	int			position = geterrposition();

	if (position <= 0)
		return;
	errposition(0);
	internalerrposition(position);
	internalerrquery((const char *) arg);
}

static List *
parse(const char *text)
{
	ErrorContextCallback callback;
	List	   *statements;

	callback.callback = point_into_source;
	callback.arg = unconstify(char *, text);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	statements = raw_parser(text, RAW_PARSE_DEFAULT);
	error_context_stack = callback.previous;
	return statements;
}

/* The one statement of the text, without what ends it. */
static char *
check_query(const char *text)
{
	List	   *statements = parse(text);
	RawStmt    *raw = list_length(statements) == 1 ? linitial_node(RawStmt, statements) : NULL;
	Node	   *statement = raw != NULL ? raw->stmt : NULL;
	bool		reads = statement != NULL && IsA(statement, SelectStmt) && ((SelectStmt *) statement)->intoClause == NULL;

	if (reads && ((SelectStmt *) statement)->withClause != NULL)
	{
		ListCell   *cell;

		foreach(cell, ((SelectStmt *) statement)->withClause->ctes)
			reads &= IsA(((CommonTableExpr *) lfirst(cell))->ctequery, SelectStmt);
	}
	if (reads)
		return raw->stmt_len > 0 ? pnstrdup(text + raw->stmt_location, raw->stmt_len) : pstrdup(text + raw->stmt_location);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the source is not a single SELECT that only reads"),
			 errhint("A source is the name of a table or view, or one SELECT, WITH, VALUES or TABLE query.")));
}

Oid
idla_rows_relation(const char *source)
{
	if (is_query(source))
		return InvalidOid;
	return RangeVarGetRelid(makeRangeVarFromNameList(idla_compat_name_list(source)), NoLock, false);
}

static char *
query_of_name(const char *name)
{
	Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(idla_compat_name_list(name)), NoLock, false);
	char		kind = get_rel_relkind(relid);

	if (kind != RELKIND_RELATION && kind != RELKIND_VIEW && kind != RELKIND_MATVIEW &&
		kind != RELKIND_FOREIGN_TABLE && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table or view", name)));
	return psprintf("SELECT * FROM %s", idla_qualified_name(relid));
}

/* ---- opening ---- */

static void
check_names(TupleDesc desc)
{
	for (int i = 0; i < desc->natts; i++)
		for (int j = 0; j < i; j++)
			if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), NameStr(TupleDescAttr(desc, j)->attname)) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("the source returns column \"%s\" more than once", NameStr(TupleDescAttr(desc, i)->attname)),
						 errhint("Columns are known by name; give them different ones with AS.")));
}

static IdlaRows *
open_query(const char *query)
{
	MemoryContext caller = CurrentMemoryContext;
	IdlaRows *rows = palloc0(sizeof(IdlaRows));
	SPIPlanPtr	plan;
	int			level;

	level = NewGUCNestLevel();
	/* Compiling a plan cannot be interrupted, and takes longer than a cancel may. */
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare_cursor(query, 0, NULL, CURSOR_OPT_NO_SCROLL);
	if (plan == NULL)
		elog(ERROR, "preparing the source failed: %s", SPI_result_code_string(SPI_result));
	rows->portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	if (rows->portal->tupDesc == NULL)
		elog(ERROR, "the source returns no rows by its nature");
	check_names(rows->portal->tupDesc);
	AtEOXact_GUC(false, level);
	MemoryContextSwitchTo(caller);
	return rows;
}

char *
idla_rows_query(const char *text)
{
	return is_query(text) ? check_query(text) : query_of_name(text);
}

IdlaRows *
idla_rows_open(const char *text)
{
	if (!is_query(text))
		return open_query(query_of_name(text));
	check_query(text);
	return open_query(text);
}

/* A comment may end the text: hence the line break. */
static char *
as_table(const char *text)
{
	return psprintf("(%s\n) AS idla_source", is_query(text) ? check_query(text) : query_of_name(text));
}

IdlaRows *
idla_rows_open_ordered(const char *text, const char *column)
{
	return open_query(psprintf("SELECT * FROM %s ORDER BY %s", as_table(text), quote_identifier(column)));
}

char **
idla_rows_words(const char *text, const char *column, const char *value, int *n)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *query = psprintf("SELECT DISTINCT %s::pg_catalog.text COLLATE \"C\" FROM %s WHERE %s IS NOT NULL AND %s IS NOT NULL ORDER BY 1",
								 quote_identifier(column), as_table(text), quote_identifier(column), quote_identifier(value));
	char	  **words;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "reading the names of the source failed");
	*n = (int) Min(SPI_processed, (uint64) PG_INT32_MAX);
	words = MemoryContextAlloc(caller, sizeof(char *) * (Size) Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		char	   *word = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		words[i] = MemoryContextStrdup(caller, word);
	}
	SPI_finish();
	MemoryContextSwitchTo(caller);
	return words;
}

TupleDesc
idla_rows_desc(IdlaRows *rows)
{
	return rows->portal->tupDesc;
}

void
idla_rows_close(IdlaRows *rows)
{
	MemoryContext caller = CurrentMemoryContext;

	SPI_cursor_close(rows->portal);
	SPI_finish();
	MemoryContextSwitchTo(caller);
	pfree(rows);
}

/* ---- reading ---- */

static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	Receiver   *receiver = (Receiver *) self;
	MemoryContext executor = MemoryContextSwitchTo(receiver->row_context);

	slot_getallattrs(slot);
	receiver->take(receiver->context, slot->tts_values, slot->tts_isnull);
	if (++receiver->n_rows % ROWS_A_RESET == 0)
		MemoryContextReset(receiver->row_context);
	MemoryContextSwitchTo(executor);
	return true;
}

static void
start_receiving(DestReceiver *self, int operation, TupleDesc desc)
{
	(void) self;
	(void) operation;
	(void) desc;
}

static void
stop_receiving(DestReceiver *self)
{
	(void) self;
}

uint64
idla_rows_read(IdlaRows *rows, void (*take) (void *context, const Datum *values, const bool *isnull), void *context)
{
	return idla_rows_read_some(rows, FETCH_ALL, take, context);
}

uint64
idla_rows_read_some(IdlaRows *rows, long most, void (*take) (void *context, const Datum *values, const bool *isnull),
					void *context)
{
	int			level = NewGUCNestLevel();
	Receiver	receiver;

	memset(&receiver, 0, sizeof(receiver));
	receiver.callbacks.receiveSlot = receive;
	receiver.callbacks.rStartup = start_receiving;
	receiver.callbacks.rShutdown = stop_receiving;
	receiver.callbacks.rDestroy = stop_receiving;
	receiver.callbacks.mydest = DestNone;
	receiver.take = take;
	receiver.context = context;
	receiver.row_context = AllocSetContextCreate(CurrentMemoryContext, "idla row", ALLOCSET_DEFAULT_SIZES);

	(void) set_config_option("synchronize_seqscans", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	PortalRunFetch(rows->portal, FETCH_FORWARD, most, &receiver.callbacks);
	AtEOXact_GUC(false, level);
	MemoryContextDelete(receiver.row_context);
	return receiver.n_rows;
}
