/*
 * service.c: who answers for a model, as a snapshot sees it.
 *
 * A statement asks more than once: before it runs, whether its plan passes the columns that are needed, and when its first rows are
 * answered. What was found is remembered while the snapshot is the same.
 */
#include "log.h"

#include "utils/rel.h"

#define MOST_FOUND 4

/* Compared as bytes. */
typedef struct Question
{
	IdlaSnapshotIdentity seen;
	Oid			relid;
	Oid			file;			/* the table may be rewritten, */
	AttrNumber	columns[6];		/* and its columns renamed, without the snapshot's doing */
	int			wanted;
} Question;

typedef struct Found
{
	Question	question;
	IdlaService service;
} Found;

static Found found[MOST_FOUND];
static int	next_found = 0;

static void
read_log(IdlaService *service, const IdlaDeployment *log)
{
	const char *key;

	service->log_share = idla_log_share(log, &key);
	/* What is longer names no column. */
	if (key != NULL && strlen(key) < sizeof(service->log_key))
		strcpy(service->log_key, key);
}

static void
look(const IdlaTable *table, Snapshot snapshot, int wanted, bool soft, IdlaService *service)
{
	IdlaDeployment latest;
	IdlaDeployment log;

	memset(service, 0, sizeof(*service));
	service->version = wanted;
	if (wanted < 0)
	{
		service->version = idla_table_in_service(table, snapshot, &latest, &log, soft);
		if (service->version < 0)
			return;
		service->share = idla_deployment_share(&latest);
		/* A version that was deleted meanwhile is on trial no more. */
		if (service->share >= 0 && idla_table_has(table, snapshot, latest.version))
			service->candidate = latest.version;
		else
			service->share = 0;
	}
	else
		idla_table_log(table, snapshot, &log);
	read_log(service, &log);
	service->identity = idla_table_identity(table, snapshot, service->version);
}

static Question
ask(const IdlaTable *table, Snapshot snapshot, int version)
{
	const AttrNumber columns[] = {table->version, table->chunk, table->in_service, table->card, table->manifest, table->weights};
	Question	question;

	memset(&question, 0, sizeof(question));
	question.seen = idla_snapshot_identify(snapshot);
	question.relid = RelationGetRelid(table->relation);
	question.file = idla_compat_file_number(table->relation);
	memcpy(question.columns, columns, sizeof(columns));
	question.wanted = version;
	return question;
}

bool
idla_service_find(const IdlaTable *table, Snapshot snapshot, int version, bool soft, IdlaService *service)
{
	Question	question = ask(table, snapshot, version);

	for (int i = 0; i < MOST_FOUND; i++)
		if (memcmp(&found[i].question, &question, sizeof(question)) == 0)
		{
			*service = found[i].service;
			return true;
		}
	look(table, snapshot, version, soft, service);
	if (service->version < 0)
		return false;
	found[next_found].question = question;
	found[next_found].service = *service;
	next_found = (next_found + 1) % MOST_FOUND;
	return true;
}
