/*
 * error.c: the one place where failures of the engine become ereport.
 *
 * Below the wall a failure is a status with message, detail and hint in the
 * session. It is raised here, after the engine has unwound, with the SQLSTATE
 * that a client can act on. The small helpers for HINTs live here too.
 */
#include "idla.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

static int
sqlstate_of(DevStatus status)
{
	switch (status)
	{
		case DEV_NO_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case DEV_INVALID:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case DEV_BAD_DATA:
			return ERRCODE_DATA_EXCEPTION;
		case DEV_CORRUPT:
			return ERRCODE_DATA_CORRUPTED;
		case DEV_NOT_FINITE:
			return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
		case DEV_UNAVAILABLE:
			return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		case DEV_CANCELLED:
			return ERRCODE_QUERY_CANCELED;
		case DEV_OK:
		case DEV_HOST:
			break;
	}
	return ERRCODE_INTERNAL_ERROR;
}

char *
idla_whole_characters(const char *text)
{
	char	   *whole = pstrdup(text);
	int			size = (int) strlen(whole);
	int			length;

	for (int at = 0; at < size; at += length)
	{
		length = pg_encoding_verifymbchar(GetDatabaseEncoding(), whole + at, size - at);
		if (length > 0)
			continue;
		whole[at] = '?';
		length = 1;
	}
	return whole;
}

void
idla_raise(IdlaWork *work)
{
	DevStatus	status = dev_status(work->session);
	const char *message;
	const char *detail;
	const char *hint;

	if (work->caught != NULL)
	{
		ErrorData  *caught = work->caught;

		work->caught = NULL;
		ReThrowError(caught);
	}

	/* The cancel callback leaves the interrupt pending, so that a FATAL never runs with engine threads alive. */
	if (status == DEV_CANCELLED)
		CHECK_FOR_INTERRUPTS();

	message = idla_whole_characters(dev_message_text(work->session));
	detail = idla_whole_characters(dev_detail_text(work->session));
	hint = idla_whole_characters(dev_hint_text(work->session));
	ereport(ERROR,
			(errcode(sqlstate_of(status)),
			 errmsg_internal("%s", message[0] != '\0' ? message : "the engine failed without a reason"),
			 detail[0] != '\0' ? errdetail_internal("%s", detail) : 0,
			 hint[0] != '\0' ? errhint("%s", hint) :
			 status == DEV_NO_MEMORY ? errhint("Make the network or the batch smaller, or raise idla.train_memory.") : 0));
	pg_unreachable();
}

void
idla_raise_trouble(const LearnTrouble *trouble)
{
	ereport(ERROR,
			(errcode(sqlstate_of(trouble->status)),
			 errmsg_internal("%s", idla_whole_characters(trouble->message)),
			 trouble->detail[0] != '\0' ? errdetail_internal("%s", idla_whole_characters(trouble->detail)) : 0,
			 trouble->hint[0] != '\0' ? errhint("%s", idla_whole_characters(trouble->hint)) : 0));
	pg_unreachable();
}

void
idla_report_notes(LearnNotes *notes)
{
	for (int i = 0; i < notes->n; i++)
	{
		const LearnNote *note = &notes->notes[i];

		ereport(note->warning ? WARNING : NOTICE,
				(errmsg_internal("%s", idla_whole_characters(note->message)),
				 note->detail != NULL ? errdetail_internal("%s", idla_whole_characters(note->detail)) : 0,
				 note->hint != NULL ? errhint("%s", idla_whole_characters(note->hint)) : 0));
	}
	notes->n = 0;
}

/* Levenshtein's distance of two short names, letter case ignored; a large number when either is too long to matter. */
static int
distance(const char *a, const char *b)
{
	size_t		n_a = strlen(a);
	size_t		n_b = strlen(b);
	int			row[NAMEDATALEN + 1];

	if (n_a > NAMEDATALEN || n_b > NAMEDATALEN)
		return NAMEDATALEN;
	for (size_t j = 0; j <= n_b; j++)
		row[j] = (int) j;
	for (size_t i = 1; i <= n_a; i++)
	{
		int			diagonal = row[0];

		row[0] = (int) i;
		for (size_t j = 1; j <= n_b; j++)
		{
			bool		same = pg_tolower((unsigned char) a[i - 1]) == pg_tolower((unsigned char) b[j - 1]);
			int			change = diagonal + (same ? 0 : 1);

			diagonal = row[j];
			row[j] = Min(change, Min(row[j] + 1, row[j - 1] + 1));
		}
	}
	return row[n_b];
}

const char *
idla_nearest(const char *name, const char *const *names)
{
	const char *nearest = NULL;
	int			best = Max(2, (int) strlen(name) / 3) + 1;

	for (; *names != NULL; names++)
	{
		int			edits = distance(name, *names);

		/* A name of nothing but other letters is no correction, however short. */
		if (edits < best && edits < (int) strlen(*names))
		{
			best = edits;
			nearest = *names;
		}
	}
	return nearest;
}

char *
idla_list(const char *const *names)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; names[i] != NULL; i++)
	{
		if (i > 0)
			appendStringInfoString(&list, names[i + 1] == NULL ? " and " : ", ");
		appendStringInfoString(&list, names[i]);
	}
	return list.data;
}
