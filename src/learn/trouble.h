/*
 * trouble.h: writing down a LearnTrouble; private to src/learn.
 *
 * Texts follow the same rules as those of dev_fail, dev_detail and dev_hint, and are cut where they do not fit.
 */
#ifndef IDLA_LEARN_TROUBLE_PRIVATE_H
#define IDLA_LEARN_TROUBLE_PRIVATE_H

#include "idla/learn_trouble.h"

#include <stdio.h>

/* Records a failure, without detail and hint, and returns its status. trouble may be NULL. */
static inline DevStatus __attribute__((__format__(__printf__, 3, 4)))
trouble_set(LearnTrouble *trouble, DevStatus status, const char *format,...)
{
	va_list		args;

	if (trouble == NULL)
		return status;
	trouble->status = status;
	trouble->detail[0] = trouble->hint[0] = '\0';
	va_start(args, format);
	vsnprintf(trouble->message, sizeof(trouble->message), format, args);
	va_end(args);
	return status;
}

static inline void
trouble_hint(LearnTrouble *trouble, const char *hint)
{
	if (trouble != NULL)
		snprintf(trouble->hint, sizeof(trouble->hint), "%s", hint);
}

#endif							/* IDLA_LEARN_TROUBLE_PRIVATE_H */
