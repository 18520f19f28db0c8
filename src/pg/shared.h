/*
 * shared.h: weights that all sessions use together.
 */
#ifndef IDLA_SHARED_H
#define IDLA_SHARED_H

#include "idla.h"

#include "lib/ilist.h"

/* Rows that were seen to have an entry's weights: a version in a model's table, as idla_table_identity tells it apart. */
typedef struct IdlaPlace
{
	Oid			database;
	Oid			relid;
	int32		version;
	uint64		identity;		/* 0: these rows cannot be told apart from others, and are never known */
} IdlaPlace;

/* A session's share of an entry. Zeroed: of none. Must be let go of before its memory is. */
typedef struct IdlaShare
{
	dlist_node	node;			/* while something is held */
	int			number;			/* of the entry, from 1 */
	uint32		generation;		/* of the entry; another one has other weights */
	bool		held;			/* the entry stays as it is */
	bool		claimed;		/* this session fills it */
	const char *block;			/* what idla_floats_move left there; good while held */
	Size		size;
	char		digest[65];		/* of the weights, as IdlaModel has it */
} IdlaShare;

typedef enum IdlaSharing
{
	IDLA_SHARING_NOT,			/* no area, too small a model, no room, or whoever fills it takes too long: keep your own */
	IDLA_SHARING_KNOWN,			/* held, and these very rows have its weights */
	IDLA_SHARING_UNPROVED,		/* held; these rows have its manifest, and whether they have its weights is to be seen */
	IDLA_SHARING_CLAIMED		/* nobody has it: read it and call idla_shared_fill */
} IdlaSharing;

/* Called by _PG_init while the library is preloaded. */
extern void idla_shared_request_memory(void);

/*
 * Looks for the weights that belong to a manifest, given as its SHA-256; waits for another session that is reading them, not for ever. size:
 * about how many bytes they take in memory. The caller has read manifest and place from the rows himself, and may. eager: whatever nobody uses makes room,
 * even if somebody did a moment ago.
 */
extern IdlaSharing idla_shared_find(IdlaShare *share, const char *manifest_hash, const IdlaPlace *place, Size size, bool eager);
/* Would weights of that size be shared, if there is room? */
extern bool idla_shared_wants(Size size);
/* Rows at that place have these weights too: their bytes have been compared by digest. */
extern void idla_shared_prove(const IdlaShare *share, const IdlaPlace *place);
/* Has that been said before? False is always safe. */
extern bool idla_shared_proved(const IdlaShare *share, const IdlaPlace *place);
/* Moves a model's weights, read and checked, to what was claimed, where others find them from now on; or leaves all as it is when it does not fit. */
extern void idla_shared_fill(IdlaShare *share, IdlaModel *model, const IdlaPlace *place, bool eager);
/* Holds it again; false: its weights went meanwhile. True for a share of none, and for one that is held. */
extern bool idla_shared_hold(IdlaShare *share);
/* Lets go of what is held, or claimed; of nothing, too. */
extern void idla_shared_release(IdlaShare *share);
/* kB that the area has, 0 without one */
extern Size idla_shared_room(void);

/* An entry, for those who may see it. */
typedef struct IdlaSharedShown
{
	Oid			relid;			/* InvalidOid: the caller may see that there is something, and not of what */
	int			version;
	const char *digest;
	Size		bytes;
	int			sessions;		/* that have it in use */
	TimestampTz filled_at;
	uint64		n_uses;
} IdlaSharedShown;

extern void idla_shared_walk(void (*take) (void *context, const IdlaSharedShown *shown), void *context);
/* Lets those go that nobody uses and whose model, InvalidOid: any one, belongs to the caller; returns how many. */
extern int	idla_shared_evict(Oid relid);

/* ---- floats.c: a model's weights as one block ---- */

extern Size idla_floats_size(const IdlaModel *model);
/* Copies them to block, 64 bytes aligned and that large, and has the model use these instead of its own. */
extern void idla_floats_move(IdlaModel *model, char *block);
/*
 * Has a model whose networks are described use a block that one with the same manifest left. What does not fit is an ERROR. Nobody
 * writes there.
 */
extern void idla_floats_borrow(IdlaModel *model, const char *block, Size size);

/* ---- manifest_read.c: what it needs to know of such a block ---- */

/* How a manifest that nobody has checked says that its weights are stored; LEARN_FLOAT32 where it says nothing that is known. */
extern LearnPrecision idla_manifest_precision(Jsonb *manifest);
/* The same as idla_manifest_read, with weights from a block. */
extern void idla_manifest_borrow(IdlaModel *model, Jsonb *manifest, const IdlaShare *share);

/* ---- module.c: settings ---- */

extern int	idla_shared_models;	/* idla.shared_models, MB */
extern int	idla_share_from;	/* idla.share_from, kB */

#endif							/* IDLA_SHARED_H */
