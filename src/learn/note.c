/*
 * note.c: what the user must be told, kept until the host can tell it.
 *
 * The engine prints nothing: notes are a list in the session's memory that the host turns into
 * NOTICE and WARNING when it is safe to do so.
 */
#include "dataset.h"

#include <stdio.h>
#include <string.h>

#define FIRST_CAPACITY 8

static DevStatus
make_room(DevSession *session, LearnNotes *notes)
{
	LearnNote  *grown;
	int			capacity;

	if (notes->n < notes->capacity)
		return DEV_OK;
	capacity = notes->capacity > 0 ? notes->capacity * 2 : FIRST_CAPACITY;
	grown = dev_alloc(session, (size_t) capacity, sizeof(LearnNote));
	if (grown == NULL)
		return DEV_NO_MEMORY;
	if (notes->n > 0)
		memcpy(grown, notes->notes, (size_t) notes->n * sizeof(LearnNote));
	dev_release(session, notes->notes);
	notes->notes = grown;
	notes->capacity = capacity;
	return DEV_OK;
}

static char *
format_text(DevSession *session, const char *format, va_list args)
{
	va_list		again;
	char	   *text = NULL;
	int			size;

	va_copy(again, args);
	size = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (size >= 0)
		text = dev_alloc(session, (size_t) size + 1, 1);
	if (text != NULL)
		vsnprintf(text, (size_t) size + 1, format, args);
	return text;
}

DevStatus
learn_note(DevSession *session, LearnNotes *notes, bool warning,
		   const char *detail, const char *hint, const char *format,...)
{
	LearnNote	note = {0};
	va_list		args;

	if (notes == NULL)
		return DEV_OK;
	note.warning = warning;
	va_start(args, format);
	note.message = format_text(session, format, args);
	va_end(args);
	if (detail != NULL)
		note.detail = dev_strdup(session, detail);
	if (hint != NULL)
		note.hint = dev_strdup(session, hint);
	if (note.message == NULL || (detail != NULL && note.detail == NULL) || (hint != NULL && note.hint == NULL) ||
		make_room(session, notes) != DEV_OK)
	{
		dev_release(session, note.message);
		dev_release(session, note.detail);
		dev_release(session, note.hint);
		return DEV_NO_MEMORY;
	}
	notes->notes[notes->n++] = note;
	return DEV_OK;
}

void
learn_name_text_add(LearnNameText *list, const char *name)
{
	const size_t reserve = 32;	/* for " and 4294967295 more" */
	size_t		used = strlen(list->text);
	size_t		wanted = strlen(name) + 4;

	/* Once one name did not fit, later ones are only counted: the list stays in the order of the columns. */
	if (list->shown == list->n && used + wanted + reserve < sizeof(list->text))
	{
		snprintf(list->text + used, sizeof(list->text) - used, "%s\"%s\"", list->n > 0 ? ", " : "", name);
		list->shown++;
	}
	list->n++;
}

const char *
learn_name_text(LearnNameText *list)
{
	size_t		used = strlen(list->text);

	if (list->shown < list->n)
		snprintf(list->text + used, sizeof(list->text) - used, "%s%d%s", list->shown > 0 ? " and " : "",
				 list->n - list->shown, list->shown > 0 ? " more" : " columns");
	list->shown = list->n;
	return list->text;
}
