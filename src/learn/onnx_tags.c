/*
 * onnx_tags.c: from a tagger's emissions to tags in ONNX, as nn_crf_decode does it.
 *
 * Scan walks along the tokens, all rows at once; what comes behind a row's last token changes nothing. Logarithms in double precision, which needs no
 * scaling on the way.
 */
#include "onnx.h"

#include <stdio.h>


typedef struct Chain
{
	LearnOnnxWriter *writer;
	NnOnnx	   *onnx;
	NnOnnxValue emissions;		/* (rows, length, tags), double */
	NnOnnxValue numbers;		/* (length) */
	NnOnnxValue n;				/* (rows, 1): how many tokens there are */
	NnOnnxValue transitions;	/* (tags, tags): from, to */
	NnOnnxValue start;			/* (tags) */
	NnOnnxValue end;
	NnOnnxValue nothing;		/* (rows, tags), zeros */
	NnOnnxValue tags;			/* (tags): their numbers */
} Chain;

/*
 * Over tokens, one after another: src is the state before, then sequences (rows, length, width) and last the tokens' numbers; made is the state after all,
 * and what each step gave, (rows, length) or (rows, length, width). backward: from the last token on.
 */
static void
scan(const Chain *chain, const NnOnnxValue *src, int n_src, bool backward, NnOnnxValue *made)
{
	static const int64_t axes[] = {1, 1};
	int			n = n_src - 1;
	int64_t		src_axes[2] = {1, 1};
	const int64_t directions[] = {backward, backward};

	src_axes[n - 1] = 0;
	nn_onnx_set_integer(chain->onnx, "num_scan_inputs", n);
	nn_onnx_set_integers(chain->onnx, "scan_input_axes", (size_t) n, src_axes);
	nn_onnx_set_integers(chain->onnx, "scan_input_directions", (size_t) n, directions);
	nn_onnx_set_integers(chain->onnx, "scan_output_axes", 1, axes);
	nn_onnx_set_integers(chain->onnx, "scan_output_directions", 1, directions);
	nn_onnx_apply_several(chain->onnx, "Scan", src, n_src, made, 2);
}

/* Whether a token is one of the row's: (rows, 1). */
static NnOnnxValue
counted(const Chain *chain, NnOnnxValue number)
{
	return nn_onnx_apply2(chain->onnx, "Less", number, chain->n);
}

/* from (rows, tags) by all tags that may follow: (rows, from, to) */
static NnOnnxValue
followed(const Chain *chain, NnOnnxValue from)
{
	return nn_onnx_apply2(chain->onnx, "Add", learn_onnx_along(chain->onnx, "Unsqueeze", from, 2), chain->transitions);
}

/* At the first token the chain starts. */
static NnOnnxValue
or_start(const Chain *chain, NnOnnxValue number, NnOnnxValue otherwise)
{
	return nn_onnx_apply3(chain->onnx, "Where", nn_onnx_apply2(chain->onnx, "Equal", number, nn_onnx_integer(chain->onnx, 0)), chain->start, otherwise);
}

/* Weights of all paths to each tag of each token: by their best, with the tag before it, or by their sum. */
static void
walk_forward(const Chain *chain, bool best, NnOnnxValue *made)
{
	NnOnnx	   *onnx = chain->onnx;
	const NnOnnxValue src[] = {chain->nothing, chain->emissions, chain->numbers};
	NnOnnxValue before;
	NnOnnxValue emission;
	NnOnnxValue number;
	NnOnnxValue paths;
	NnOnnxValue after;
	NnOnnxValue from;

	nn_onnx_body_begin(onnx);
	before = nn_onnx_body_input(onnx, NN_ONNX_DOUBLE);
	emission = nn_onnx_body_input(onnx, NN_ONNX_DOUBLE);
	number = nn_onnx_body_input(onnx, NN_ONNX_INT64);
	paths = followed(chain, before);
	after = or_start(chain, number, learn_onnx_reduce(onnx, best ? "ReduceMax" : "ReduceLogSumExp", paths, 1, false));
	after = nn_onnx_apply2(onnx, "Add", after, emission);
	after = nn_onnx_apply3(onnx, "Where", counted(chain, number), after, before);
	nn_onnx_body_output(onnx, after, NN_ONNX_DOUBLE);
	if (best)
	{
		nn_onnx_set_integer(onnx, "axis", 1);
		nn_onnx_set_integer(onnx, "keepdims", 0);
		from = nn_onnx_apply1(onnx, "ArgMax", paths);
		from = nn_onnx_apply3(onnx, "Where", counted(chain, number), from, chain->tags);
		nn_onnx_body_output(onnx, from, NN_ONNX_INT64);
	}
	else
		nn_onnx_body_output(onnx, after, NN_ONNX_DOUBLE);
	nn_onnx_body_end(onnx);
	scan(chain, src, 3, false, made);
}

/* The weight of all that may follow each tag of each token: (rows, length, tags). */
static NnOnnxValue
walk_backward(const Chain *chain)
{
	NnOnnx	   *onnx = chain->onnx;
	const NnOnnxValue src[] = {nn_onnx_apply2(onnx, "Add", chain->nothing, chain->end), chain->emissions, chain->numbers};
	NnOnnxValue behind;
	NnOnnxValue emission;
	NnOnnxValue number;
	NnOnnxValue before;
	NnOnnxValue made[2];

	nn_onnx_body_begin(onnx);
	behind = nn_onnx_body_input(onnx, NN_ONNX_DOUBLE);
	emission = nn_onnx_body_input(onnx, NN_ONNX_DOUBLE);
	number = nn_onnx_body_input(onnx, NN_ONNX_INT64);
	before = learn_onnx_along(onnx, "Unsqueeze", nn_onnx_apply2(onnx, "Add", behind, emission), 1);
	before = learn_onnx_reduce(onnx, "ReduceLogSumExp", nn_onnx_apply2(onnx, "Add", before, chain->transitions), 2, false);
	nn_onnx_body_output(onnx, nn_onnx_apply3(onnx, "Where", counted(chain, number), before, behind), NN_ONNX_DOUBLE);
	nn_onnx_body_output(onnx, behind, NN_ONNX_DOUBLE);
	nn_onnx_body_end(onnx);
	scan(chain, src, 3, true, made);
	return made[1];
}

/* The tags of the best path, from its last one on: (rows, length). from: the tag before each tag of each token. */
static NnOnnxValue
trace_back(const Chain *chain, NnOnnxValue best, NnOnnxValue from)
{
	NnOnnx	   *onnx = chain->onnx;
	NnOnnxValue tag;
	NnOnnxValue before;
	NnOnnxValue src[3] = {NN_NONE, from, chain->numbers};
	NnOnnxValue made[2];

	best = nn_onnx_apply2(onnx, "Add", best, chain->end);
	nn_onnx_set_integer(onnx, "axis", 1);
	nn_onnx_set_integer(onnx, "keepdims", 1);
	src[0] = nn_onnx_apply1(onnx, "ArgMax", best);
	nn_onnx_body_begin(onnx);
	tag = nn_onnx_body_input(onnx, NN_ONNX_INT64);
	before = nn_onnx_body_input(onnx, NN_ONNX_INT64);
	(void) nn_onnx_body_input(onnx, NN_ONNX_INT64);
	nn_onnx_body_output(onnx, learn_onnx_pick(onnx, before, tag), NN_ONNX_INT64);
	nn_onnx_body_output(onnx, learn_onnx_along(onnx, "Squeeze", tag, 1), NN_ONNX_INT64);
	nn_onnx_body_end(onnx);
	scan(chain, src, 3, true, made);
	return made[1];
}

/* How probable each tag of each token is, (rows, length, tags), by all paths through it. */
static NnOnnxValue
posteriors(const Chain *chain)
{
	NnOnnx	   *onnx = chain->onnx;
	NnOnnxValue forward[2];
	NnOnnxValue all;
	NnOnnxValue through;

	walk_forward(chain, false, forward);
	all = learn_onnx_reduce(onnx, "ReduceLogSumExp", nn_onnx_apply2(onnx, "Add", forward[0], chain->end), 1, true);
	through = nn_onnx_apply2(onnx, "Add", forward[1], walk_backward(chain));
	return nn_onnx_apply1(onnx, "Exp", nn_onnx_apply2(onnx, "Sub", through, learn_onnx_along(onnx, "Unsqueeze", all, 1)));
}

static NnOnnxValue
doubles(const Chain *chain, int rank, size_t n_tags, const float *values)
{
	const size_t dims[] = {n_tags, n_tags};

	return nn_onnx_cast(chain->onnx, nn_onnx_floats(chain->onnx, rank, dims, values), NN_ONNX_DOUBLE);
}

static void
write_notes(const Chain *chain)
{
	const LearnLabels *labels = chain->writer->model->labels;
	int32_t		n = learn_tag_codes(LEARN_IOBES, learn_labels_size(labels));
	char		key[32];
	char		text[LEARN_MAX_LABEL_BYTES + 3];

	for (int32_t code = 0; code < n; code++)
	{
		snprintf(key, sizeof(key), "tag.%d", (int) code);
		nn_onnx_note(chain->onnx, key, learn_tag_text(labels, LEARN_IOBES, code, text, sizeof(text)));
	}
}

void
learn_onnx_tags(LearnOnnxWriter *writer, const LearnChain *decoded, NnOnnxValue emissions, NnOnnxValue shares)
{
	static const int64_t last = 2;
	NnOnnx	   *onnx = writer->onnx;
	size_t		n_tags = decoded->n_tags;
	size_t		length = writer->model->fields[0].dims[0];
	Chain		chain = {.writer = writer,.onnx = onnx,.n = writer->lengths[0]};
	char		name[LEARN_ONNX_NAME];
	NnOnnxValue best[2];
	NnOnnxValue tags;
	NnOnnxValue certain;
	NnOnnxValue there;

	chain.emissions = nn_onnx_cast(onnx, emissions, NN_ONNX_DOUBLE);
	chain.numbers = learn_onnx_numbered(writer, length);
	chain.transitions = doubles(&chain, 2, n_tags, decoded->transitions);
	chain.start = doubles(&chain, 1, n_tags, decoded->start);
	chain.end = doubles(&chain, 1, n_tags, decoded->end);
	chain.tags = learn_onnx_numbered(writer, n_tags);
	chain.nothing = nn_onnx_apply2(onnx, "Mul", nn_onnx_cast(onnx, chain.n, NN_ONNX_DOUBLE), nn_onnx_double(onnx, 0));
	chain.nothing = nn_onnx_apply2(onnx, "Add", chain.nothing, nn_onnx_apply2(onnx, "Mul", chain.start, nn_onnx_double(onnx, 0)));
	walk_forward(&chain, true, best);
	tags = trace_back(&chain, best[0], best[1]);
	certain = shares != NN_NONE ? nn_onnx_cast(onnx, shares, NN_ONNX_DOUBLE) : posteriors(&chain);
	there = learn_onnx_along(onnx, "Unsqueeze", tags, last);
	nn_onnx_set_integer(onnx, "axis", last);
	certain = nn_onnx_apply2(onnx, "GatherElements", certain, there);
	certain = nn_onnx_apply2(onnx, "Min", learn_onnx_along(onnx, "Squeeze", certain, last), nn_onnx_double(onnx, 1));
	there = nn_onnx_apply2(onnx, "Less", chain.numbers, chain.n);
	tags = nn_onnx_apply3(onnx, "Where", there, tags, nn_onnx_integer(onnx, LEARN_NO_TAG));
	certain = nn_onnx_apply3(onnx, "Where", there, certain, nn_onnx_double(onnx, 0));
	nn_onnx_output(onnx, tags, learn_onnx_name(writer, "tags", "", name), NN_ONNX_INT64, length,
				   "of the tokens, in the order of the metadata; -1 behind them");
	nn_onnx_output(onnx, certain, learn_onnx_name(writer, "certainty", "", name), NN_ONNX_DOUBLE, length, "how probable each of those tags is");
	write_notes(&chain);
}
