/*
 * training_defaults.c: what a training does when the user does not say.
 *
 * The figures depend on the number of training rows and the architecture alone. Few
 * rows: small batches, many epochs, and several networks on different folds, because there
 * the choice of rows held out matters more than any setting. Many rows: one
 * network and few epochs.
 */
#include "trainer.h"

#include "idla/learn_ridge.h"

#include <math.h>
#include <string.h>

#define FEW 5000				/* rows below which networks are trained on folds and blended */
#define LEAST_FOLDED 100		/* rows below which a fold says nothing */

static bool
has_kind(const LearnNetwork *network, LearnFieldKind kind)
{
	for (int i = 0; i < network->n_fields; i++)
		if (network->fields[i].kind == kind)
			return true;
	return false;
}

/* Patients' events: a small recurrent network that learns in a thousand steps and overfits in two. */
static bool
is_of_series(const LearnNetwork *network)
{
	for (int i = 0; i < network->n_fields; i++)
		if (network->fields[i].kind != LEARN_SERIES)
			return false;
	return network->n_fields > 0;
}

static int
default_epochs(const LearnNetwork *network, size_t n)
{
	if (network->task == LEARN_TAGGING)
		return n < 2000 ? 40 : n < 20000 ? 16 : 8;
	if (has_kind(network, LEARN_TEXT))
		return n < 1000 ? 60 : n < 20000 ? 20 : 8;
	if (is_of_series(network))
		return n < 1000 ? 60 : n < 5000 ? 20 : n < 50000 ? 12 : 6;
	/* Of augmented images 12 epochs are enough for some thousand X-rays and 22 for ten thousand cells of eight kinds. */
	if (has_kind(network, LEARN_IMAGE))
		return n < 1000 ? 200 : n < 20000 ? 25 : 15;
	if (network->n_fields > 0)
		return n < 1000 ? 200 : n < 20000 ? 40 : 15;
	/* Up to a thousand rows what counts is the number of passes; then it is the number of steps. */
	if (n < FEW)
		return n <= 1000 ? 100 : 100000 / (int) n > 30 ? 100000 / (int) n : 30;
	return n < 20000 ? 30 : n < 50000 ? 15 : n < 200000 ? 8 : 5;
}

static int
default_batch(const LearnNetwork *network, size_t n)
{
	if (network->task == LEARN_SURVIVAL)
		return n < 2000 ? 256 : 512;
	if (has_kind(network, LEARN_TEXT))
		return n < 20000 ? 16 : 64;
	if (network->n_fields > 0)
		return n < 1000 ? 16 : n < 5000 ? 64 : 128;
	return n < 1000 ? 64 : n < 5000 ? 128 : n < 200000 ? 256 : 1024;
}

static int
default_patience(const LearnNetwork *network, size_t n)
{
	if (has_kind(network, LEARN_TEXT))
		return n < 2000 ? 12 : 5;
	if (network->n_fields > 0)
		return n < 1000 ? 40 : 12;
	return n < FEW ? 16 : n < 50000 ? 8 : n < 200000 ? 4 : 3;
}

static double
default_rate(const LearnNetwork *network, int optimizer)
{
	if (optimizer == NN_SGD)
		return 0.05;
	switch (network->architecture)
	{
		case LEARN_LINEAR:
			return 1e-2;
		case LEARN_NAM:
		case LEARN_BAG:
			return 5e-3;
		case LEARN_RESNET:
		case LEARN_TRANSFORMER:
			return 1e-3;
		case LEARN_ROCKET:
			/* Thousands of weights move an output together: how far is their number times the rate. */
			return fmin(1e-2, 10.0 / fmax(1, network->width));
		default:
			return 2e-3;
	}
}

static int
default_folds(const LearnNetwork *network, size_t n)
{
	return network->n_fields > 0 && !is_of_series(network) ? 1 : n >= LEAST_FOLDED && n < FEW ? 5 : 1;
}

static void
resolve_optimizer(const LearnNetwork *network, LearnTraining *training)
{
	NnOptimizerSpec spec;

	if (training->optimizer < 0)
		training->optimizer = NN_ADAMW;
	nn_optimizer_defaults((NnOptimizerKind) training->optimizer, &spec);
	if (training->rate <= 0)
		training->rate = default_rate(network, training->optimizer);
	if (training->matrix_rate <= 0)
		training->matrix_rate = (double) spec.matrix_rate;
	if (training->decay < 0)
		training->decay = network->architecture == LEARN_LINEAR || network->architecture == LEARN_ROCKET ? 1e-2 : 1e-3;
	if (training->momentum < 0)
		training->momentum = (double) spec.beta1;
	if (training->schedule < 0)
		training->schedule = is_of_series(network) ? NN_ONE_CYCLE : NN_COSINE;
	if (training->warm_up < 0)
		training->warm_up = 0.05;
	if (training->clip < 0)
		training->clip = network->architecture == LEARN_TABM || network->task == LEARN_TAGGING || is_of_series(network) ? 1.0 : 0.0;
	if (training->average < 0)
		training->average = 0.99;
}

/* Options that say how steps are taken, or what a squared error cannot do, are wishes for steps. */
bool
learn_training_solves(const LearnNetwork *network, size_t n_train, const LearnTraining *training)
{
	bool		steps = training->epochs > 0 || training->batch > 0 || training->rate > 0 || training->patience != 0 ||
		training->optimizer >= 0 || training->schedule >= 0 || training->decay >= 0 || training->average >= 0 ||
		training->clip >= 0 || training->warm_up >= 0;
	bool		other = training->folds > 1 || training->bags > 1 || training->linear > 0 || training->balanced ||
		training->class_weights != NULL || training->smoothing > 0 || training->huber > 0 || training->augmented > 0 ||
		training->adversary.method != LEARN_NO_ADVERSARY;

	return learn_network_pick(network, n_train) == LEARN_ROCKET && network->task != LEARN_SURVIVAL &&
		network->task != LEARN_MULTILABEL && n_train <= LEARN_RIDGE_MOST && !steps && !other;
}

/* Images are moved, turned and lit a little, which changes no diagnosis; mirrored ones are for the user to allow. */
static void
resolve_augment(const LearnNetwork *network, LearnTraining *training)
{
	static const struct
	{
		const char *name;
		float		value;
	}			usual[] = {{"rotate", 10}, {"shift", 0.08f}, {"scale", 0.1f}, {"brightness", 0.15f}, {"contrast", 0.2f}};

	memset(&training->augment, 0, sizeof(training->augment));
	training->augmented = has_kind(network, LEARN_IMAGE);
	for (size_t i = 0; training->augmented && i < sizeof(usual) / sizeof(usual[0]); i++)
		training->augment.values[learn_augment_position(learn_augment_find(LEARN_AUGMENT_IMAGE, usual[i].name))] = usual[i].value;
}

void
learn_training_resolve(const LearnNetwork *network, size_t n_train, LearnTraining *training)
{
	if (learn_training_solves(network, n_train, training))
	{
		training->epochs = training->folds = 1;
		training->linear = 0;
	}
	resolve_optimizer(network, training);
	if (training->epochs <= 0)
		training->epochs = default_epochs(network, n_train);
	if (training->batch <= 0)
		training->batch = default_batch(network, n_train);
	if (training->patience == 0)
		training->patience = default_patience(network, n_train);
	if (training->folds <= 0)
		training->folds = default_folds(network, n_train);
	if (training->word_dropout < 0)
		training->word_dropout = network->task == LEARN_TAGGING ? 0.25 : has_kind(network, LEARN_TEXT) ? 0.1 : 0.0;
	if (training->bags <= 0)
		training->bags = 1;
	if (training->linear < 0)
		training->linear = network->architecture != LEARN_LINEAR && network->architecture != LEARN_NAM
			&& network->architecture != LEARN_LAYERS && network->n_fields == 0 && n_train < FEW;
	if (network->architecture == LEARN_LINEAR)
		training->linear = 0;
	if (training->threads < 1)
		training->threads = 1;
	if (training->augmented < 0)
		resolve_augment(network, training);
}

NnOptimizerSpec
learn_optimizer_spec(const LearnTraining *training)
{
	NnOptimizerSpec spec;

	nn_optimizer_defaults((NnOptimizerKind) training->optimizer, &spec);
	spec.rate = (float) training->rate;
	spec.matrix_rate = (float) training->matrix_rate;
	spec.decay = (float) training->decay;
	spec.beta1 = training->optimizer == NN_ADAMW ? spec.beta1 : (float) training->momentum;
	return spec;
}

LearnTraining
learn_member_training(const LearnTraining *training, LearnArchitecture architecture, LearnTask task, size_t n_train)
{
	LearnNetwork network = {.architecture = architecture, .task = task};
	LearnTraining member = *training;

	/* It has its own pace, whatever the user said of the network's. */
	member.epochs = 0;
	member.batch = architecture == LEARN_LINEAR ? member.batch : 0;
	member.patience = 0;
	member.optimizer = -1;
	member.rate = 0;
	member.decay = -1;
	member.momentum = -1;
	member.schedule = -1;
	member.warm_up = -1;
	member.clip = -1;
	member.average = -1;
	member.word_dropout = 0;
	learn_training_resolve(&network, n_train, &member);
	return member;
}
