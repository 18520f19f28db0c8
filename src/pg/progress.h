/*
 * progress.h: what training and start-up share about progress.
 */
#ifndef IDLA_PROGRESS_H
#define IDLA_PROGRESS_H

#include "idla.h"

/* Called by _PG_init while the library is preloaded. */
extern void idla_progress_request_memory(void);
/* The line that opens a training, said at once. */
extern void idla_progress_announce(const char *format,...) pg_attribute_printf(1, 2);
/* A phase that the engine does not report: "reading", "judging", "writing". */
extern void idla_progress_phase(const char *phase);

#endif							/* IDLA_PROGRESS_H */
