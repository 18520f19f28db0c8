/*
 * served.c: the model that a running query answers with.
 *
 * It is looked up again when the snapshot, the transaction, the subtransaction or the user is another, so that a
 * deploy is seen by the next statement and no earlier, and a privilege is checked once a query.
 */
#include "serve.h"
#include "series.h"

#include "access/xact.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Mixed first, so that other numbers do not have the same sum by chance. */
static uint64
sum_up(const TransactionId *transactions, uint32 n)
{
	uint64		sum = 0;

	for (uint32 i = 0; i < n; i++)
		sum += (((uint64) transactions[i] * transactions[i]) * UINT64CONST(0x9e3779b97f4a7c15)) >> 16;
	return sum;
}

IdlaSnapshotIdentity
idla_snapshot_identify(Snapshot snapshot)
{
	IdlaSnapshotIdentity identity;

	/* Compared as bytes. */
	memset(&identity, 0, sizeof(identity));
	identity.running = sum_up(snapshot->xip, snapshot->xcnt);
	identity.xmin = snapshot->xmin;
	identity.xmax = snapshot->xmax;
	identity.xcnt = snapshot->xcnt;
	identity.subxcnt = snapshot->subxcnt;
	identity.curcid = snapshot->curcid;
	identity.transaction = idla_compat_lxid();
	identity.subtransaction = GetCurrentSubTransactionId();
	identity.user = GetUserId();
	return identity;
}

/* Some models have no answer for one row by itself. */
static void
require_rows(const IdlaLoaded *loaded)
{
	const IdlaSeries *series = loaded->model->columns.series;

	if (loaded->model->learn.task == LEARN_TAGGING)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" tags texts: it has no answer for a row", idla_model_name(loaded->relid)),
				 errhint("Use idla_tag, and idla_explain_tags for its reasons.")));
	if (series != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" answers for all rows of one \"%s\" together", idla_model_name(loaded->relid), series->entity),
				 errhint("Aggregate them: SELECT %s, idla_predict_series('%s', e) FROM ... e GROUP BY %s.",
						 quote_identifier(series->entity), idla_model_name(loaded->relid), quote_identifier(series->entity))));
}

bool
idla_served_find(IdlaServed *served, Oid relid, int version)
{
	Snapshot	snapshot = ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot();
	IdlaSnapshotIdentity identity = idla_snapshot_identify(snapshot);

	if (likely(served->loaded != NULL && served->relid == relid && served->version == version &&
			   memcmp(&served->identity, &identity, sizeof(identity)) == 0))
		return false;

	/* Nothing of the last model may be taken for the new one's if loading fails. */
	served->loaded = NULL;
	served->trial = NULL;
	MemoryContextReset(served->context);
	served->loaded = idla_load(relid, version, snapshot, served->context);
	served->identity = identity;
	served->relid = relid;
	served->version = version;
	require_rows(served->loaded);
	served->trial = idla_trial_find(served->loaded, snapshot, served->context);
	return true;
}
