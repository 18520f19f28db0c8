/*
 * sentences.c: one token a row, as CoNLL's files have it, made sentences.
 *
 * The server joins the rows, under the caller's rights, before anything of ours sees them.
 */
#include "tokens.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

static void
put_array(StringInfo out, const char *column, const char *order)
{
	appendStringInfo(out, "pg_catalog.array_agg(s.%s::pg_catalog.text ORDER BY s.%s) AS %s", quote_identifier(column),
					 quote_identifier(order), quote_identifier(column));
}

char *
idla_sentences_query(const char *source, const char *token, const char *tag, const char *entity, const char *order,
					 const List *kept)
{
	List	   *done = list_make2(unconstify(char *, token), unconstify(char *, tag));
	StringInfoData out;
	ListCell   *cell;

	initStringInfo(&out);
	appendStringInfoString(&out, "SELECT ");
	put_array(&out, token, order);
	appendStringInfoString(&out, ", ");
	put_array(&out, tag, order);
	foreach(cell, kept)
	{
		const char *name = quote_identifier(lfirst(cell));
		bool		again = false;
		ListCell   *other;

		foreach(other, done)
			again |= strcmp(lfirst(other), lfirst(cell)) == 0;
		if (again)
			continue;
		done = lappend(done, lfirst(cell));
		appendStringInfo(&out, ", (pg_catalog.array_agg(s.%s ORDER BY s.%s))[1] AS %s", name, quote_identifier(order), name);
	}
	appendStringInfo(&out, " FROM (\n%s\n) AS s GROUP BY s.%s ORDER BY s.%s", idla_rows_query(source), quote_identifier(entity),
					 quote_identifier(entity));
	return out.data;
}
