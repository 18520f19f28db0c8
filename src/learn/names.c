/*
 * names.c: the words of the user's language, and what they stand for.
 *
 * Every table is indexed by its enum, but for activations, of which only some
 * elementwise functions make sense between layers: they have a table of
 * DevMaps beside that of names.
 */
#include "names.h"

#include "idla/learn_tags.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LONGEST_WORD 32			/* longer ones are near to nothing */

const char *const learn_task_names[] = {
	[LEARN_BINARY] = "binary",
	[LEARN_MULTICLASS] = "multiclass",
	[LEARN_REGRESSION] = "regression",
	[LEARN_SURVIVAL] = "survival",
	[LEARN_MULTILABEL] = "multilabel",
	[LEARN_TAGGING] = "tagging",
	NULL
};

const char *const learn_architecture_names[] = {
	[LEARN_AUTO] = "auto",
	[LEARN_LINEAR] = "linear",
	[LEARN_MLP] = "mlp",
	[LEARN_RESNET] = "resnet",
	[LEARN_TABM] = "tabm",
	[LEARN_NAM] = "nam",
	[LEARN_CNN] = "cnn",
	[LEARN_RESNET20] = "resnet20",
	[LEARN_FCN] = "fcn",
	[LEARN_LSTM] = "lstm",
	[LEARN_GRU] = "gru",
	[LEARN_ROCKET] = "rocket",
	[LEARN_TRANSFORMER] = "transformer",
	[LEARN_BAG] = "bag",
	[LEARN_BILSTM_CRF] = "bilstm_crf",
	[LEARN_LAYERS] = "layers",
	NULL
};

const char *const learn_scaling_names[] = {
	[LEARN_ROBUST] = "robust",
	[LEARN_STANDARD] = "standard",
	[LEARN_QUANTILE] = "quantile",
	[LEARN_UNSCALED] = "none",
	NULL
};

const char *const learn_embedding_names[] = {
	[LEARN_EMBEDDING_AUTO] = "auto",
	[LEARN_EMBEDDING_NONE] = "none",
	[LEARN_EMBEDDING_PIECEWISE] = "piecewise",
	[LEARN_EMBEDDING_PERIODIC] = "periodic",
	NULL
};

const char *const learn_position_names[] = {
	[LEARN_POSITIONS_AUTO] = "auto",
	[LEARN_POSITIONS_SINUSOID] = "sinusoid",
	[LEARN_POSITIONS_LEARNED] = "learned",
	[LEARN_POSITIONS_TIME] = "time",
	[LEARN_POSITIONS_NONE] = "none",
	NULL
};

const char *const learn_activation_names[] = {
	"relu", "gelu", "silu", "mish", "selu", "tanh", "sigmoid", NULL
};

static const DevMap activation_maps[] = {
	DEV_MAP_RELU, DEV_MAP_GELU, DEV_MAP_SILU, DEV_MAP_MISH, DEV_MAP_SELU, DEV_MAP_TANH, DEV_MAP_SIGMOID
};

int
learn_name_find(const char *const *names, const char *name)
{
	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

int
learn_activation_map(int index)
{
	int			n = (int) (sizeof(activation_maps) / sizeof(activation_maps[0]));

	return index >= 0 && index < n ? (int) activation_maps[index] : -1;
}

const char *
learn_activation_name(int map)
{
	for (int i = 0; learn_activation_names[i] != NULL; i++)
		if (learn_activation_map(i) == map)
			return learn_activation_names[i];
	return NULL;
}

/* Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours cost one each. */
static int
edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	int			rows[3][LONGEST_WORD + 1];
	int		   *before = rows[0];
	int		   *last = rows[1];
	int		   *now = rows[2];

	for (size_t j = 0; j <= n_b; j++)
		last[j] = (int) j;
	for (size_t i = 1; i <= n_a; i++)
	{
		int		   *spare = before;

		now[0] = (int) i;
		for (size_t j = 1; j <= n_b; j++)
		{
			int			same = tolower((unsigned char) a[i - 1]) == tolower((unsigned char) b[j - 1]);
			int			best = last[j - 1] + !same;

			best = last[j] + 1 < best ? last[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[n_b];
}

const char *
learn_name_nearest(const char *const *names, const char *word, size_t size)
{
	const char *nearest = NULL;
	int			shortest = (int) (size + 1) / 2 + 1;

	if (size == 0 || size > LONGEST_WORD)
		return NULL;
	for (int i = 0; names[i] != NULL; i++)
	{
		size_t		length = strlen(names[i]);
		int			distance;

		if (length > LONGEST_WORD)
			continue;
		distance = edit_distance(word, size, names[i], length);
		if (distance < shortest)
		{
			shortest = distance;
			nearest = names[i];
		}
	}
	return nearest;
}

char *
learn_name_list(const char *const *names, char *text, size_t size)
{
	size_t		used = 0;

	text[0] = '\0';
	for (int i = 0; names[i] != NULL && used < size; i++)
	{
		const char *before = i == 0 ? "" : names[i + 1] == NULL ? " or " : ", ";
		int			written = snprintf(text + used, size - used, "%s%s", before, names[i]);

		if (written < 0)
			break;
		used += (size_t) written;
	}
	return text;
}

size_t
learn_model_outputs(const LearnModel *model)
{
	switch (model->task)
	{
		case LEARN_MULTICLASS:
			return (size_t) model->n_classes;
		case LEARN_REGRESSION:
		case LEARN_MULTILABEL:
			return (size_t) model->n_targets;
		case LEARN_TAGGING:
			return model->labels == NULL ? 0 : (size_t) learn_tag_codes(LEARN_IOBES, learn_labels_size(model->labels));
		case LEARN_BINARY:
		case LEARN_SURVIVAL:
			break;
	}
	return 1;
}
