/*
 * load.c: models in memory.
 *
 * A backend keeps the models it has predicted with, found again by the rows that the
 * query's snapshot sees, never by a version number that a rollback can reuse: the
 * very same row versions, or else rows with the same manifest and card by SHA-256 whose
 * weights still have their digest. So there is nothing to invalidate, and changed weights are
 * noticed. What is over idla.model_cache goes, least recently used first; a
 * model in use by a running query is pinned by that query's memory context and stays.
 * Large weights are those of all sessions (shared.h), held while the model is pinned; where they went meanwhile, the model is loaded anew.
 */
#include "log.h"
#include "shared.h"

#include "lib/ilist.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Rows a predictor answers at once; its buffers are part of what a loaded model costs. */
#define PREDICT_BATCH 256
#define FIELD_BATCH 16			/* images and sequences have large activations, and much work each */

typedef struct CachedModel
{
	dlist_node	node;			/* in cached_models, most recently used first */
	Oid			relid;			/* rows whose digests were checked last */
	uint64		identity;
	int			version;
	char		manifest_hash[65];
	char		card_hash[65];
	IdlaModel  *model;
	LearnPredictor *predictor;
	IdlaShare	share;			/* whose weights the model uses; held while it is pinned */
	Size		bytes;			/* of the session's own */
	int			n_pins;
	TimestampTz loaded_at;
	uint64		n_uses;			/* statements that asked for it */
} CachedModel;

/* Lets go of one cached model when the owner's context is reset. */
typedef struct Pin
{
	MemoryContextCallback callback;
	CachedModel *cached;		/* NULL before there is one */
} Pin;

/* What is being asked for. */
typedef struct Wanted
{
	const IdlaTable *table;
	Snapshot	snapshot;
	IdlaPlace	place;
	const IdlaVersion *found;
	bool		eager;			/* to have it shared */
	char		manifest_hash[65];
	char		card_hash[65];
} Wanted;

static MemoryContext cache_context = NULL;	/* parent of all loaded models */
static dlist_head cached_models = DLIST_STATIC_INIT(cached_models);
static Size cached_bytes = 0;

static void
drop(CachedModel *cached)
{
	dlist_delete(&cached->node);
	cached_bytes -= cached->bytes;
	/* The entry itself lives in the context of its work. */
	idla_work_close(cached->model->work);
}

/* Drops the least recently used models that nobody needs until the rest fits. */
static void
shrink_cache(void)
{
	Size		limit = (Size) idla_model_cache * 1024;
	dlist_node *node;

	if (cached_bytes <= limit)
		return;
	node = cached_models.head.prev;
	while (cached_bytes > limit && node != &cached_models.head)
	{
		CachedModel *cached = dlist_container(CachedModel, node, node);

		node = node->prev;
		if (cached->n_pins == 0)
			drop(cached);
	}
}

void
idla_cache_walk(void (*take) (void *context, const IdlaCached *cached), void *context)
{
	dlist_iter	iter;

	dlist_foreach(iter, &cached_models)
	{
		const CachedModel *cached = dlist_container(CachedModel, node, iter.cur);
		IdlaCached	shown = {
			.relid = cached->relid,.version = cached->version,.digest = cached->model->digest,.bytes = cached->bytes,
			.in_use = cached->n_pins > 0,.loaded_at = cached->loaded_at,.n_uses = cached->n_uses
		};

		take(context, &shown);
	}
}

int
idla_cache_evict(Oid relid)
{
	dlist_mutable_iter iter;
	int			n = 0;

	dlist_foreach_modify(iter, &cached_models)
	{
		CachedModel *cached = dlist_container(CachedModel, node, iter.cur);

		if (cached->n_pins == 0 && (!OidIsValid(relid) || cached->relid == relid))
		{
			drop(cached);
			n++;
		}
	}
	return n;
}

/* A model grows when it is first asked to explain. */
static void
weigh(CachedModel *cached)
{
	Size		bytes = MemoryContextMemAllocated(cached->model->work->context, true);

	cached_bytes = cached_bytes - cached->bytes + bytes;
	cached->bytes = bytes;
}

static void
unpin(void *arg)
{
	Pin		   *pin = arg;

	if (pin->cached == NULL)
		return;
	if (--pin->cached->n_pins == 0)
		idla_shared_release(&pin->cached->share);
	weigh(pin->cached);
	shrink_cache();
}

/* False when its weights are gone, and it with them. */
static bool
take(Pin *pin, CachedModel *cached)
{
	if (cached->n_pins == 0 && !idla_shared_hold(&cached->share))
	{
		drop(cached);
		return false;
	}
	cached->n_pins++;
	pin->cached = cached;
	return true;
}

static Pin *
create_pin(MemoryContext owner)
{
	Pin		   *pin = MemoryContextAllocZero(owner, sizeof(Pin));

	pin->callback.func = unpin;
	pin->callback.arg = pin;
	MemoryContextRegisterResetCallback(owner, &pin->callback);
	return pin;
}

static CachedModel *
find_by_rows(Oid relid, uint64 identity)
{
	dlist_iter	iter;

	dlist_foreach(iter, &cached_models)
	{
		CachedModel *cached = dlist_container(CachedModel, node, iter.cur);

		if (identity != 0 && cached->identity == identity && cached->relid == relid)
			return cached;
	}
	return NULL;
}

static CachedModel *
find_by_digest(const char *manifest_hash, const char *card_hash)
{
	dlist_iter	iter;

	dlist_foreach(iter, &cached_models)
	{
		CachedModel *cached = dlist_container(CachedModel, node, iter.cur);

		if (strcmp(cached->manifest_hash, manifest_hash) == 0 && strcmp(cached->card_hash, card_hash) == 0)
			return cached;
	}
	return NULL;
}

/* Copies a jsonb into the model's own memory. */
static Jsonb *
keep_jsonb(IdlaWork *work, const Jsonb *json)
{
	Jsonb	   *copy;

	if (json == NULL)
		return NULL;
	copy = MemoryContextAllocHuge(work->context, VARSIZE(json));
	memcpy(copy, json, VARSIZE(json));
	return copy;
}

static void
refuse_weights(const char *digest)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the model's manifest or weights are damaged"),
			 errdetail("The weights are not what was written: their SHA-256 is %s.", digest)));
}

/* A model is in memory, and other rows claim to be it: their weights must be those. */
static void
check_weights(const Wanted *wanted, const char *expected)
{
	Size		size;
	char	   *weights = idla_table_weights(wanted->table, wanted->snapshot, wanted->place.version, &size);
	char		digest[65];

	idla_sha256(weights, size, digest);
	pfree(weights);
	if (strcmp(digest, expected) != 0)
		refuse_weights(digest);
}

/* Fills the model, its weights being the session's own or shared. */
static void
read_model(IdlaModel *model, IdlaShare *share, const Wanted *wanted)
{
	Size		size = idla_table_weights_size(wanted->table, wanted->snapshot, wanted->place.version);
	IdlaSharing sharing;
	char	   *weights;

	/* In memory rounded weights take as much room as others. */
	size *= sizeof(float) / learn_precision_bytes(idla_manifest_precision(model->manifest));
	sharing = idla_shared_find(share, wanted->manifest_hash, &wanted->place, size, wanted->eager);

	if (sharing == IDLA_SHARING_UNPROVED)
	{
		check_weights(wanted, share->digest);
		idla_shared_prove(share, &wanted->place);
	}
	if (share->held)
	{
		idla_manifest_borrow(model, model->manifest, share);
		return;
	}
	weights = idla_table_weights(wanted->table, wanted->snapshot, wanted->place.version, &size);
	idla_manifest_read(model, model->manifest, weights, size);
	pfree(weights);
	if (sharing == IDLA_SHARING_CLAIMED)
		idla_shared_fill(share, model, &wanted->place, wanted->eager);
}

/* Builds the model and its predictor inside work; an ERROR leaves work, and what was taken of shared weights, to the caller. */
static void
build(CachedModel *cached, IdlaWork *work, const Wanted *wanted)
{
	IdlaModel  *model = MemoryContextAllocZero(work->context, sizeof(IdlaModel));

	model->work = work;
	model->card = keep_jsonb(work, wanted->found->card);
	model->manifest = keep_jsonb(work, wanted->found->manifest);
	read_model(model, &cached->share, wanted);

	cached->model = model;
	idla_check(work, learn_predictor_create(work->session, &model->learn,
											model->learn.n_fields > 0 ? FIELD_BATCH : PREDICT_BATCH, &cached->predictor));
	strlcpy(cached->manifest_hash, wanted->manifest_hash, sizeof(cached->manifest_hash));
	strlcpy(cached->card_hash, wanted->card_hash, sizeof(cached->card_hash));
}

/* Reads one version into a context of its own and enters it into the cache, whole or not at all. Its share is held. */
static CachedModel *
load(const Wanted *wanted)
{
	const char *name = psprintf("%s version %d", RelationGetRelationName(wanted->table->relation), wanted->place.version);
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(caller, "idla loading", ALLOCSET_DEFAULT_SIZES);
	IdlaWork   *work;
	CachedModel *cached;

	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(CacheMemoryContext, "idla models", ALLOCSET_SMALL_SIZES);

	work = idla_work_open(scratch, name, 0, 0);
	cached = MemoryContextAllocZero(work->context, sizeof(CachedModel));
	MemoryContextSwitchTo(scratch);
	PG_TRY();
	{
		build(cached, work, wanted);
	}
	PG_CATCH();
	{
		/* The error's own text lives in ErrorContext; the half-built model goes now and not with the query. */
		MemoryContextSwitchTo(caller);
		idla_shared_release(&cached->share);
		MemoryContextDelete(scratch);
		PG_RE_THROW();
	}
	PG_END_TRY();

	MemoryContextSetParent(work->context, cache_context);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	weigh(cached);
	cached->loaded_at = GetCurrentTimestamp();
	dlist_push_head(&cached_models, &cached->node);
	return cached;
}

void
idla_version_missing(const IdlaTable *table, Snapshot snapshot, int version)
{
	const char *model = RelationGetRelationName(table->relation);
	int			n;
	IdlaVersion *versions = idla_table_versions(table, snapshot, false, &n);
	const char **names = palloc((n + 1) * sizeof(char *));

	for (int i = 0; i < n; i++)
		names[i] = psprintf("%d", versions[i].version);
	names[n] = NULL;
	if (version >= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no version %d", model, version),
				 n == 0 ? errdetail("It has no versions.") :
				 n == 1 ? errdetail("Its only version is %s.", names[0]) :
				 errdetail("Its versions are %s.", idla_list(names))));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("model \"%s\" has no version in service", model),
			 n == 0 ? errdetail("It has no versions.") :
			 n == 1 ? errdetail("Its only version is %s.", names[0]) :
			 errdetail("Its versions are %s.", idla_list(names)),
			 n == 0 ? errhint("Train one with idla_train.") :
			 errhint("Put one into service with SELECT idla_deploy('%s', %s), or name the version to use.",
					 model, names[n - 1])));
}

void
idla_require_model(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (!idla_is_model(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a model", name),
				 errhint("Models are made by idla_train; the view idla_models lists those you may use.")));
}

/* Reads what there is to know of a version but its weights. */
static void
read_found(Wanted *wanted, IdlaVersion *found)
{
	if (!idla_table_version(wanted->table, wanted->snapshot, wanted->place.version, found))
		idla_version_missing(wanted->table, wanted->snapshot, wanted->place.version);
	if (found->manifest == NULL || found->card == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("version %d of model \"%s\" has no %s", wanted->place.version, RelationGetRelationName(wanted->table->relation),
						found->manifest == NULL ? "manifest" : "card")));
	idla_sha256(VARDATA_ANY(found->manifest), VARSIZE_ANY_EXHDR(found->manifest), wanted->manifest_hash);
	idla_sha256(VARDATA_ANY(found->card), VARSIZE_ANY_EXHDR(found->card), wanted->card_hash);
	wanted->found = found;
}

/* Whether to read it again in order to share what this session keeps for itself. */
static bool
is_better_shared(const CachedModel *cached, const Wanted *wanted)
{
	return wanted->eager && cached->n_pins == 0 && cached->share.number == 0 && idla_shared_wants(idla_floats_size(cached->model));
}

static void
load_context_callback(void *argument)
{
	const Wanted *wanted = argument;

	errcontext("loading version %d of model \"%s\"", wanted->place.version, RelationGetRelationName(wanted->table->relation));
}

/* The version's model, pinned: from memory when the rows are known or their digests are, else from the rows. */
static CachedModel *
obtain(Pin *pin, const IdlaTable *table, Snapshot snapshot, const IdlaService *service, bool eager)
{
	Oid			relid = RelationGetRelid(table->relation);
	Wanted		wanted = {
		.table = table,.snapshot = snapshot,.eager = eager,
		.place = {.database = MyDatabaseId,.relid = relid,.version = service->version,.identity = service->identity}
	};
	CachedModel *cached = find_by_rows(relid, wanted.place.identity);
	ErrorContextCallback callback = {.previous = error_context_stack,.callback = load_context_callback,.arg = &wanted};
	IdlaVersion found;

	if (cached != NULL && is_better_shared(cached, &wanted))
		drop(cached);
	else if (cached != NULL && take(pin, cached))
		return cached;
	read_found(&wanted, &found);
	error_context_stack = &callback;
	cached = find_by_digest(wanted.manifest_hash, wanted.card_hash);
	if (cached != NULL && is_better_shared(cached, &wanted))
	{
		drop(cached);
		cached = NULL;
	}
	if (cached != NULL && take(pin, cached))
	{
		if (!idla_shared_proved(&cached->share, &wanted.place))
		{
			check_weights(&wanted, cached->model->digest);
			idla_shared_prove(&cached->share, &wanted.place);
		}
	}
	else
	{
		cached = load(&wanted);
		take(pin, cached);
	}
	error_context_stack = callback.previous;
	cached->relid = relid;
	cached->version = service->version;
	cached->identity = wanted.place.identity;
	return cached;
}

static IdlaLoaded *
load_pinned(Oid relid, int version, Snapshot snapshot, MemoryContext owner, bool eager)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch;
	IdlaTable	table;
	CachedModel *cached;
	IdlaLoaded *loaded;
	Pin		   *pin = create_pin(owner);
	IdlaService service;

	/* The lock comes first, so that what is checked is what is read. */
	LockRelationOid(relid, AccessShareLock);
	if (!idla_is_marked(relid))
		idla_require_model(relid);
	idla_model_require(relid, IDLA_RIGHT_PREDICT);

	scratch = AllocSetContextCreate(caller, "idla lookup", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(scratch);
	idla_table_open(&table, relid, NoLock, false);
	if (!idla_service_find(&table, snapshot, version, false, &service))
		idla_version_missing(&table, snapshot, -1);
	loaded = MemoryContextAllocZero(owner, sizeof(IdlaLoaded));
	cached = obtain(pin, &table, snapshot, &service, eager);
	dlist_move_head(&cached_models, &cached->node);
	idla_table_close(&table);
	MemoryContextSwitchTo(caller);

	loaded->model = cached->model;
	loaded->predictor = cached->predictor;
	loaded->shared = cached->share.held ? cached->share.size : 0;
	loaded->n_users = cached->n_pins;
	loaded->version = service.version;
	loaded->relid = relid;
	loaded->candidate = service.candidate;
	loaded->share = service.share;
	loaded->log_share = service.log_share;
	if (service.log_key[0] != '\0')
		loaded->log_key = MemoryContextStrdup(owner, service.log_key);
	cached->n_uses++;
	MemoryContextDelete(scratch);
	shrink_cache();
	return loaded;
}

IdlaLoaded *
idla_load(Oid relid, int version, Snapshot snapshot, MemoryContext owner)
{
	return load_pinned(relid, version, snapshot, owner, false);
}

IdlaLoaded *
idla_load_shared(Oid relid, int version, Snapshot snapshot, MemoryContext owner)
{
	return load_pinned(relid, version, snapshot, owner, true);
}
