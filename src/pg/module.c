/*
 * module.c: what happens when the server loads the library.
 *
 * Loading is light: settings, and while preloading a request for a little shared
 * memory. No thread starts and no BLAS is opened before the first training or
 * prediction of a backend, so that the postmaster may preload idla.
 */
#include "log.h"
#include "progress.h"
#include "serve.h"
#include "shared.h"
#include "statistics.h"

#include <limits.h>

#include "utils/guc.h"
#include "version.h"

IDLA_MODULE_MAGIC("idla", IDLA_VERSION);

extern PGDLLEXPORT void _PG_init(void);

int			idla_threads = 0;
int			idla_train_memory = 1024 * 1024;
int			idla_model_cache = 256 * 1024;
bool		idla_progress_notices = true;
bool		idla_batch_predict = true;
int			idla_batch_rows = 256;
int			idla_on_bad_input = IDLA_BAD_INPUT_ERROR;
int			idla_log_memory = 8192;

static const struct config_enum_entry bad_inputs[] = {
	{"error", IDLA_BAD_INPUT_ERROR, false},
	{"null", IDLA_BAD_INPUT_NULL, false},
	{NULL, 0, false}
};

void
_PG_init(void)
{
	/* Memory that all sessions share can be had at the server's start alone; a library that is loaded later lets the settings for it stand. */
	const GucContext at_start = process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP;

	DefineCustomIntVariable("idla.threads",
							"Sets the number of threads a training may use.",
							"0 takes all processors the server process may run on.",
							&idla_threads, 0, 0, 1024,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("idla.train_memory",
							"Sets the memory in which a training keeps its rows.",
							"What is beyond it goes to a temporary file.",
							&idla_train_memory, 1024 * 1024, 1024, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("idla.model_cache",
							"Sets the memory for models that a session keeps loaded.",
							"Models in use stay, whatever their size.",
							&idla_model_cache, 256 * 1024, 0, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomBoolVariable("idla.progress",
							 "Tells the progress of a training in NOTICEs.",
							 NULL,
							 &idla_progress_notices, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("idla.batch_predict",
							 "Lets plans answer many rows of a query at once.",
							 "Answers are the same without; a plan made before keeps what it has.",
							 &idla_batch_predict, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("idla.batch_rows",
							"Sets how many rows are answered at once.",
							"The first batches of a query are smaller.",
							&idla_batch_rows, 256, 1, 65536,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("idla.on_bad_input",
							 "Sets what a prediction does with a value that cannot be read.",
							 "\"error\" raises it, \"null\" answers NULL.",
							 &idla_on_bad_input, IDLA_BAD_INPUT_ERROR, bad_inputs,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("idla.share_from",
							"Sets how large weights are shared by all sessions.",
							"Smaller models are kept by each session.",
							&idla_share_from, 4 * 1024, 1, MAX_KILOBYTES,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("idla.shared_models",
							"Sets the shared memory for weights of models that all sessions use.",
							"0 has each session keep its own.",
							&idla_shared_models, 128, 0, 1024 * 1024 - 1,
							at_start, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("idla.log_memory",
							"Sets the shared memory in which logged answers wait to be written.",
							"0 keeps no log; what finds no room is not logged, and counted.",
							&idla_log_memory, 8192, 0, MAX_KILOBYTES,
							at_start, GUC_UNIT_KB, NULL, NULL, NULL);
	MarkGUCPrefixReserved("idla");

	idla_batch_scan_start();
	idla_splice_start();
	idla_again_start();

	if (process_shared_preload_libraries_in_progress)
	{
		idla_progress_request_memory();
		idla_statistics_request_memory();
		idla_shared_request_memory();
		idla_log_request_memory();
	}
}
