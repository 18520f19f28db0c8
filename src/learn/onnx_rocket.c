/*
 * onnx_rocket.c: MiniRocket's features in ONNX.
 *
 * A feature is the share of outputs above a bias, and biases are outputs of other signals: the sums are written in the order of rocket_transform.c,
 * in single precision, so that every comparison ends as it does there. All kernels of a dilation are computed at once, of all leads that they have.
 */
#include "onnx.h"

#include <float.h>

#include "rocket.h"

#define KERNELS LEARN_ROCKET_KERNELS
#define SOFT 3.0f				/* as in field_rocket.c */

typedef struct Stage
{
	LearnOnnxWriter *writer;
	NnOnnx	   *onnx;
	const LearnRocket *rocket;
	size_t		length;
	NnOnnxValue negative;		/* (rows, leads, length) */
	NnOnnxValue triple;
	NnOnnxValue n;				/* (rows, 1) */
	const float *biases;		/* of the next dilation */
} Stage;

/* Zeros before and behind, as far as a dilation reaches. */
static NnOnnxValue
padded(const Stage *stage, NnOnnxValue src, size_t dilation)
{
	int64_t		reach = (int64_t) (ROCKET_REACH * dilation);
	const int64_t pads[] = {0, 0, reach, 0, 0, reach};

	return nn_onnx_apply2(stage->onnx, "Pad", src, nn_onnx_list(stage->onnx, 6, pads));
}

/* What tap number `tap` reads of that: (rows, leads, length). */
static NnOnnxValue
shifted(const Stage *stage, NnOnnxValue src, size_t dilation, size_t tap)
{
	const int64_t first = (int64_t) (tap * dilation);
	const int64_t last = first + (int64_t) stage->length;
	const int64_t axis = 2;
	const NnOnnxValue slice[] = {src, nn_onnx_list(stage->onnx, 1, &first), nn_onnx_list(stage->onnx, 1, &last),
		nn_onnx_list(stage->onnx, 1, &axis)};

	return nn_onnx_apply(stage->onnx, "Slice", slice, 4);
}

/* The sum of all taps, the middle one first: (rows, leads, length). */
static NnOnnxValue
all_taps(const Stage *stage, size_t dilation)
{
	static const size_t order[ROCKET_TAPS] = {4, 0, 1, 2, 3, 5, 6, 7, 8};
	NnOnnxValue src = padded(stage, stage->negative, dilation);
	NnOnnxValue sum = NN_NONE;

	for (size_t i = 0; i < ROCKET_TAPS; i++)
	{
		NnOnnxValue tap = shifted(stage, src, dilation, order[i]);

		sum = i == 0 ? tap : nn_onnx_apply2(stage->onnx, "Add", sum, tap);
	}
	return sum;
}

/* Tripled samples under each tap, tap by tap and all leads of each: (rows, taps * leads, length). */
static NnOnnxValue
tripled_taps(const Stage *stage, size_t dilation)
{
	NnOnnxValue src = padded(stage, stage->triple, dilation);
	NnOnnxValue taps[ROCKET_TAPS];

	for (size_t tap = 0; tap < ROCKET_TAPS; tap++)
		taps[tap] = shifted(stage, src, dilation, tap);
	return learn_onnx_beside(stage->writer, taps, ROCKET_TAPS);
}

/* For each lead that a kernel of dilation d has, kernel by kernel: its line of all taps' sums, or (which: 0 to 2) of what the kernel's tap reads. */
static NnOnnxValue
pick_pairs(const Stage *stage, size_t d, int which, NnOnnxValue src)
{
	const LearnRocket *rocket = stage->rocket;
	const int32_t *first = &rocket->first_lead[d * KERNELS];
	size_t		n = (size_t) (first[KERNELS] - first[0]);
	int64_t    *lines = dev_alloc(stage->writer->session, n, sizeof(int64_t));
	NnOnnxValue picked;

	if (lines == NULL)
		return nn_onnx_fail(stage->onnx, DEV_NO_MEMORY, "no memory for %zu leads", n);
	for (size_t kernel = 0; kernel < KERNELS; kernel++)
		for (int32_t i = first[kernel]; i < first[kernel + 1]; i++)
			lines[i - first[0]] = rocket->lead_list[i] + (which < 0 ? 0 : (int64_t) learn_rocket_taps[kernel][which] * (int64_t) rocket->leads);
	picked = learn_onnx_gather(stage->onnx, src, 1, nn_onnx_list(stage->onnx, n, lines));
	dev_release(stage->writer->session, lines);
	return picked;
}

/*
 * Those lines (rows, lines, length), summed over each kernel's own leads, one after another: (rows, kernels, length). Where a kernel has no more leads
 * it gets zeros, which stand behind all.
 */
static NnOnnxValue
sum_leads(const Stage *stage, size_t d, NnOnnxValue lines)
{
	NnOnnx	   *onnx = stage->onnx;
	const int32_t *first = &stage->rocket->first_lead[d * KERNELS];
	static const int64_t behind[] = {0, 0, 0, 0, 1, 0};
	int32_t		most = 0;
	NnOnnxValue sum = NN_NONE;

	lines = nn_onnx_apply2(onnx, "Pad", lines, nn_onnx_list(onnx, 6, behind));
	for (size_t kernel = 0; kernel < KERNELS; kernel++)
		most = first[kernel + 1] - first[kernel] > most ? first[kernel + 1] - first[kernel] : most;
	for (int32_t i = 0; i < most; i++)
	{
		int64_t		places[KERNELS];
		NnOnnxValue next;

		for (size_t kernel = 0; kernel < KERNELS; kernel++)
			places[kernel] = (first[kernel] + i < first[kernel + 1] ? first[kernel] + i : first[KERNELS]) - first[0];
		next = learn_onnx_gather(onnx, lines, 1, nn_onnx_list(onnx, KERNELS, places));
		sum = i == 0 ? next : nn_onnx_apply2(onnx, "Add", sum, next);
	}
	return sum;
}

/* By kernel, 1 where outputs that zeros have a part in are left out: (kernels, 1). */
static NnOnnxValue
inner_kernels(const Stage *stage, size_t d)
{
	const size_t dims[] = {KERNELS, 1};
	int64_t		inner[KERNELS];

	for (size_t kernel = 0; kernel < KERNELS; kernel++)
		inner[kernel] = !stage->rocket->unequal && (d + kernel) % 2 == 1;
	return nn_onnx_integers(stage->onnx, 2, dims, inner);
}

/* Shares of the outputs (rows, kernels, length) above the kernels' biases of dilation d: (rows, kernels * count), a kernel's own together. */
static NnOnnxValue
shares_above(Stage *stage, size_t d, NnOnnxValue outputs)
{
	NnOnnx	   *onnx = stage->onnx;
	const int64_t count = stage->rocket->counts[d];
	const int64_t reach = ROCKET_REACH * (int64_t) stage->rocket->dilations[d];
	const int64_t flat[] = {-1, KERNELS * count};
	const size_t dims[] = {KERNELS, 1};
	NnOnnxValue *parts = dev_alloc(stage->writer->session, (size_t) count, sizeof(NnOnnxValue));
	NnOnnxValue n = learn_onnx_along(onnx, "Unsqueeze", stage->n, 2);
	NnOnnxValue time = learn_onnx_numbered(stage->writer, stage->length);
	NnOnnxValue edge;
	NnOnnxValue counted;
	NnOnnxValue all;

	if (parts == NULL)
		return nn_onnx_fail(onnx, DEV_NO_MEMORY, "no memory for %d features", (int) count);
	/* What is left out on either side, (rows, kernels, 1). */
	edge = nn_onnx_cast(onnx, nn_onnx_apply2(onnx, "Greater", n, nn_onnx_integer(onnx, 2 * reach)), NN_ONNX_INT64);
	edge = nn_onnx_apply2(onnx, "Mul", nn_onnx_apply2(onnx, "Mul", edge, inner_kernels(stage, d)), nn_onnx_integer(onnx, reach));
	counted = nn_onnx_apply2(onnx, "And", nn_onnx_apply2(onnx, "LessOrEqual", edge, time),
							 nn_onnx_apply2(onnx, "Less", time, nn_onnx_apply2(onnx, "Sub", n, edge)));
	/* What does not count is above no bias. */
	outputs = nn_onnx_apply3(onnx, "Where", counted, outputs, nn_onnx_float(onnx, -FLT_MAX));
	all = nn_onnx_apply2(onnx, "Sub", n, nn_onnx_apply2(onnx, "Add", edge, edge));
	all = nn_onnx_cast(onnx, nn_onnx_apply2(onnx, "Max", all, nn_onnx_integer(onnx, 1)), NN_ONNX_FLOAT);
	for (int64_t i = 0; i < count; i++)
	{
		float		biases[KERNELS];

		for (size_t kernel = 0; kernel < KERNELS; kernel++)
			biases[kernel] = stage->biases[(int64_t) kernel * count + i];
		parts[i] = nn_onnx_apply2(onnx, "Greater", outputs, nn_onnx_floats(onnx, 2, dims, biases));
		parts[i] = nn_onnx_cast(onnx, parts[i], NN_ONNX_FLOAT);
		parts[i] = nn_onnx_apply2(onnx, "Div", learn_onnx_along(onnx, "ReduceSum", parts[i], 2), all);
	}
	stage->biases += KERNELS * count;
	nn_onnx_set_integer(onnx, "axis", 2);
	all = nn_onnx_apply(onnx, "Concat", parts, (int) count);
	dev_release(stage->writer->session, parts);
	return nn_onnx_apply2(onnx, "Reshape", all, nn_onnx_list(onnx, 2, flat));
}

static NnOnnxValue
write_dilation(Stage *stage, size_t d)
{
	size_t		dilation = (size_t) stage->rocket->dilations[d];
	NnOnnxValue tripled = tripled_taps(stage, dilation);
	NnOnnxValue sum = pick_pairs(stage, d, -1, all_taps(stage, dilation));

	for (int which = 0; which < 3; which++)
		sum = nn_onnx_apply2(stage->onnx, "Add", sum, pick_pairs(stage, d, which, tripled));
	return shares_above(stage, d, sum_leads(stage, d, sum));
}

/* learn_field_load_rocket: features centred and scaled, softly clipped; nothing of a missing signal. */
static NnOnnxValue
scale_features(const Stage *stage, const LearnField *field, NnOnnxValue features)
{
	NnOnnx	   *onnx = stage->onnx;
	NnOnnxValue x = nn_onnx_apply2(onnx, "Sub", features, nn_onnx_floats(onnx, 1, &field->rocket->n_features, field->feature_center));
	NnOnnxValue part;

	x = nn_onnx_apply2(onnx, "Mul", x, nn_onnx_floats(onnx, 1, &field->rocket->n_features, field->feature_scale));
	part = nn_onnx_apply2(onnx, "Mul", nn_onnx_apply2(onnx, "Mul", x, x), nn_onnx_float(onnx, 1 / (SOFT * SOFT)));
	part = nn_onnx_apply1(onnx, "Sqrt", nn_onnx_apply2(onnx, "Add", part, nn_onnx_float(onnx, 1)));
	return nn_onnx_apply3(onnx, "Where", nn_onnx_apply2(onnx, "Greater", stage->n, nn_onnx_integer(onnx, 0)), nn_onnx_apply2(onnx, "Div", x, part),
						  nn_onnx_float(onnx, 0));
}

NnOnnxValue
learn_onnx_rocket(LearnOnnxWriter *writer, const LearnField *field, NnOnnxValue samples, NnOnnxValue n)
{
	static const int64_t order[] = {0, 2, 1};
	const LearnRocket *rocket = field->rocket;
	NnOnnx	   *onnx = writer->onnx;
	Stage		stage = {.writer = writer,.onnx = onnx,.rocket = rocket,.length = field->dims[0],.n = n,.biases = rocket->biases};
	NnOnnxValue parts[LEARN_ROCKET_DILATIONS];

	nn_onnx_set_integers(onnx, "perm", 3, order);
	samples = nn_onnx_apply1(onnx, "Transpose", samples);
	stage.negative = nn_onnx_apply1(onnx, "Neg", samples);
	stage.triple = nn_onnx_apply2(onnx, "Add", nn_onnx_apply2(onnx, "Add", samples, samples), samples);
	for (size_t d = 0; d < rocket->n_dilations; d++)
		parts[d] = nn_onnx_status(onnx) == DEV_OK && dev_poll(writer->session) != DEV_OK ?
			nn_onnx_fail(onnx, DEV_CANCELLED, "cancelled while writing ONNX") : write_dilation(&stage, d);
	return scale_features(&stage, field, learn_onnx_beside(writer, parts, (int) rocket->n_dilations));
}
