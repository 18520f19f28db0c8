/*
 * floats.c: a model's weights as one block, which other sessions can use where it lies.
 *
 * A block begins with the sizes of its arrays and goes on with the arrays, each on a line of the cache. They stand in the
 * order in which a model has them: what was fitted to each field, and of each network edges, weights and baseline. Whoever borrows
 * a block has the manifest that its arrays belong to, and sizes are compared all the same.
 */
#include "shared.h"
#include "manifest.h"

#define LINE 64
#define COPIED_AT_ONCE (8 * 1024 * 1024)

/* A walk along the arrays of a block. */
typedef struct Walk
{
	char	   *block;
	Size		limit;			/* bytes that there are */
	int			n;				/* arrays there will be */
	int			number;			/* of the next one */
	Size		at;				/* where it begins */
} Walk;

static int
n_arrays(const LearnModel *learn)
{
	return learn->n_fields + 3 * learn->n_nets;
}

static Walk
walk_begin(const LearnModel *learn, char *block, Size limit)
{
	Walk		walk = {.block = block,.limit = limit,.n = n_arrays(learn)};

	walk.at = TYPEALIGN(LINE, (Size) walk.n * sizeof(uint64));
	return walk;
}

/* The place of the next array. */
static float *
walk_on(Walk *walk, size_t n)
{
	char	   *place = walk->block == NULL ? NULL : walk->block + walk->at;

	walk->at = TYPEALIGN(LINE, walk->at + n * sizeof(float));
	walk->number++;
	return (float *) (void *) place;
}

static size_t
n_edges(const LearnNetwork *network)
{
	return network->n_numbers * ((size_t) network->bins + 1);
}

/* ---- writing ---- */

Size
idla_floats_size(const IdlaModel *model)
{
	const LearnModel *learn = &model->learn;
	Walk		walk = walk_begin(learn, NULL, 0);

	for (int i = 0; i < learn->n_fields; i++)
		walk_on(&walk, learn_field_state_size(&learn->fields[i]));
	for (int i = 0; i < learn->n_nets; i++)
	{
		walk_on(&walk, idla_has_edges(&learn->nets[i].network) ? n_edges(&learn->nets[i].network) : 0);
		walk_on(&walk, learn->nets[i].n_weights);
		walk_on(&walk, learn->nets[i].n_features);
	}
	return walk.at;
}

static float *
reserve(Walk *walk, size_t n)
{
	((uint64 *) (void *) walk->block)[walk->number] = n;
	return walk_on(walk, n);
}

/* One of the model's own arrays goes; what it had is returned at its new place. */
static float *
move(IdlaModel *model, Walk *walk, float *own, size_t n)
{
	float	   *place = reserve(walk, n);
	Size		bytes = n * sizeof(float);

	for (Size done = 0; done < bytes; done += COPIED_AT_ONCE)
	{
		CHECK_FOR_INTERRUPTS();
		memcpy((char *) place + done, (const char *) own + done, Min(bytes - done, (Size) COPIED_AT_ONCE));
	}
	dev_release(model->work->session, own);
	return place;
}

void
idla_floats_move(IdlaModel *model, char *block)
{
	LearnModel *learn = &model->learn;
	Walk		walk = walk_begin(learn, block, 0);

	for (int i = 0; i < learn->n_fields; i++)
	{
		size_t		n = learn_field_state_size(&learn->fields[i]);
		float	   *place = reserve(&walk, n);

		/* Small, and in another form in the model, which keeps its own. */
		if (n > 0)
			learn_field_state_store(&learn->fields[i], place);
	}
	for (int i = 0; i < learn->n_nets; i++)
	{
		LearnNet   *net = &learn->nets[i];

		if (idla_has_edges(&net->network))
			net->network.bin_edges = move(model, &walk, net->network.bin_edges, n_edges(&net->network));
		else
			reserve(&walk, 0);
		net->weights = move(model, &walk, net->weights, net->n_weights);
		net->baseline = move(model, &walk, net->baseline, net->n_features);
	}
}

/* ---- reading ---- */

static void
refuse_block(void)
{
	/* It is not the model that is damaged, but what this server holds of it. */
	elog(ERROR, "shared weights do not fit the model's manifest");
}

static float *
borrow(Walk *walk, size_t *n)
{
	*n = ((const uint64 *) (const void *) walk->block)[walk->number];
	if (walk->at > walk->limit || *n > (walk->limit - walk->at) / sizeof(float))
		refuse_block();
	return walk_on(walk, *n);
}

void
idla_floats_borrow(IdlaModel *model, const char *block, Size size)
{
	LearnModel *learn = &model->learn;
	Walk		walk = walk_begin(learn, unconstify(char *, block), size);
	size_t		n;

	if (walk.at > size)
		refuse_block();
	for (int i = 0; i < learn->n_fields; i++)
	{
		const float *state = borrow(&walk, &n);

		if (n > 0)
			idla_check(model->work, learn_field_state_load(model->work->session, &learn->fields[i], state, n));
	}
	for (int i = 0; i < learn->n_nets; i++)
	{
		LearnNet   *net = &learn->nets[i];

		net->network.bin_edges = borrow(&walk, &n);
		if (n == 0)
			net->network.bin_edges = NULL;
		if (idla_has_edges(&net->network) ? n != n_edges(&net->network) : n > 0)
			refuse_block();
		/* Whether a network has so many weights and features the predictor sees, which builds it. */
		net->weights = borrow(&walk, &net->n_weights);
		net->baseline = borrow(&walk, &net->n_features);
	}
}
