/*
 * explain_image.c: idla_explain_image: a picture of where a model looked.
 *
 * The image is drawn as the network saw it, after cropping and resizing, small ones pixel by pixel larger so that
 * nothing is shown that was not there. Heat lies over it: the map of Grad-CAM, which is coarse and therefore drawn
 * smoothly, or what each pixel adds by integrated gradients, red for and blue against.
 */
#include "explain.h"

#include <math.h>
#include <stdlib.h>

#include "utils/builtins.h"

#define LEAST_SIDE 224			/* of the picture */
#define LARGE_PICTURE ((size_t) 1 << 22)	/* pixels that enlarging does not go beyond */
#define MOST_SEGMENTS 64		/* patches a side for integrated gradients */
#define FULL_HEAT 0.99			/* quantile of contributions that is shown in full: single pixels shall not pale all others */

PG_FUNCTION_INFO_V1(idla_explain_image);

static const char *const method_names[] = {"grad_cam", "integrated_gradients", NULL};

/* The image and its heat, both (height, width), as they will be drawn. */
typedef struct Picture
{
	size_t		height;
	size_t		width;
	int			depth;			/* 1 or 3 */
	float	   *pixels;			/* in [0, 1] */
	size_t		heat_height;
	size_t		heat_width;
	float	   *heat;			/* in [-1, 1] */
} Picture;

static float *
take_floats(size_t n)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * Max(n, 1));
}

/* ---- the image ---- */

/* Numbers of any range to [0, 1]: an array says nothing of black and white. */
static void
stretch(size_t n, float *values)
{
	float		least = INFINITY;
	float		most = -INFINITY;

	for (size_t i = 0; i < n; i++)
	{
		least = fminf(least, values[i]);
		most = fmaxf(most, values[i]);
	}
	for (size_t i = 0; i < n; i++)
		values[i] = most > least ? (values[i] - least) / (most - least) : 0.5f;
}

/* Channels that are no colours become one: their mean. */
static void
flatten(size_t n, size_t depth, float *values)
{
	for (size_t i = 0; i < n; i++)
	{
		double		sum = 0;

		for (size_t d = 0; d < depth; d++)
			sum += (double) values[i * depth + d];
		values[i] = (float) (sum / (double) depth);
	}
}

static float *
see_pixels(const LearnField *field, LearnBytes stored, int *depth)
{
	size_t		n = field->dims[0] * field->dims[1];
	float	   *values = take_floats(n * field->dims[2]);
	size_t		start;

	(void) learn_field_values(field, stored, values, &start);
	*depth = (int) field->dims[2];
	if (*depth != 1 && *depth != 3)
	{
		flatten(n, field->dims[2], values);
		*depth = 1;
	}
	if (field->sample == LEARN_SAMPLE_F32)
		stretch(n * (size_t) *depth, values);
	return values;
}

/* Each place times so many, downwards and sideways. */
static float *
repeat_places(const float *src, size_t height, size_t width, size_t depth, size_t times)
{
	float	   *dst = take_floats(height * width * times * times * depth);
	size_t		row = width * times * depth;

	for (size_t y = 0; y < height * times; y++)
		for (size_t x = 0; x < width * times; x++)
			memcpy(dst + y * row + x * depth, src + ((y / times) * width + x / times) * depth, depth * sizeof(float));
	return dst;
}

static size_t
enlargement(size_t height, size_t width)
{
	size_t		side = Min(height, width);
	size_t		times = (LEAST_SIDE + side - 1) / side;

	while (times > 1 && height * width * times * times > LARGE_PICTURE)
		times--;
	return times;
}

/* ---- heat ---- */

static int
compare_floats(const void *a, const void *b)
{
	float		left = *(const float *) a;
	float		right = *(const float *) b;

	return left < right ? -1 : left > right;
}

/* So that the given quantile of its sizes becomes 1; all zeros stay zeros. */
static void
normalise(size_t n, float *heat, double quantile)
{
	float	   *sizes = take_floats(n);
	float		full;

	for (size_t i = 0; i < n; i++)
		sizes[i] = fabsf(heat[i]);
	qsort(sizes, n, sizeof(float), compare_floats);
	full = sizes[(size_t) (quantile * (double) (n - 1))];
	if (full == 0)
		full = sizes[n - 1];
	pfree(sizes);
	for (size_t i = 0; i < n && full > 0; i++)
		heat[i] = fminf(fmaxf(heat[i] / full, -1.0f), 1.0f);
}

static void
heat_by_cam(const IdlaQuestion *question, int number, const LearnField *field, Picture *picture)
{
	const IdlaSite *site = question->site;
	size_t		n = field->dims[0] * field->dims[1];

	picture->heat = take_floats(n);
	picture->heat_height = field->dims[0];
	picture->heat_width = field->dims[1];
	idla_check(site->model->work, learn_explain_cam(site->loaded->predictor, site->raw, site->fields, number, question->how.output,
													question->sign < 0, picture->heat));
	normalise(n, picture->heat, 1);
}

/* One number a pixel, or a patch where pixels are too many to walk. */
static void
heat_by_gradients(IdlaQuestion *question, int number, const LearnField *field, size_t times, Picture *picture)
{
	const IdlaSite *site = question->site;
	int			n_rows = (int) Min(field->dims[0], MOST_SEGMENTS);
	int			n_columns = (int) Min(field->dims[1], MOST_SEGMENTS);
	int			n = n_rows * n_columns;
	size_t		n_pixels = field->dims[0] * field->dims[1];
	int		   *segment_of = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * n_pixels);
	double	   *contributions = palloc0(((Size) n + 1) * sizeof(double));
	float	   *heat = take_floats(n_pixels);
	float	   *patches = take_floats(n);
	double		score;
	double		baseline;
	double		error;

	idla_image_segments(field, n_rows, n_columns, segment_of);
	question->how.by_parts = true;
	question->how.field = number;
	question->how.segment_of = segment_of;
	question->how.n_segments = n;
	idla_check(site->model->work, learn_explain(site->loaded->predictor, site->raw, site->fields, &question->how,
												contributions, &score, &baseline, &error));
	for (int i = 0; i < n; i++)
		patches[i] = (float) (question->sign * contributions[i]);
	normalise(n, patches, FULL_HEAT);
	for (size_t i = 0; i < n_pixels; i++)
		heat[i] = patches[segment_of[i]];
	picture->heat_height = field->dims[0] * times;
	picture->heat_width = field->dims[1] * times;
	picture->heat = repeat_places(heat, field->dims[0], field->dims[1], 1, times);
}

/* ---- the picture ---- */

static void
raise_trouble(const LearnTrouble *trouble)
{
	ereport(ERROR,
			(errcode(trouble->status == DEV_NO_MEMORY ? ERRCODE_OUT_OF_MEMORY : ERRCODE_DATA_EXCEPTION),
			 errmsg("the picture cannot be drawn: %s", trouble->message)));
}

static bytea *
draw(const Picture *picture, double strength)
{
	float	   *rgb = take_floats(picture->height * picture->width * 3);
	LearnTrouble trouble;

	if (!learn_heat_overlay(picture->pixels, picture->height, picture->width, picture->depth, picture->heat, picture->heat_height,
							picture->heat_width, (float) strength, rgb, &trouble))
		raise_trouble(&trouble);
	return idla_png(rgb, picture->height, picture->width, 3, false);
}

/* Whether the heat is Grad-CAM's. */
static bool
is_cam(const char *name)
{
	const char *nearest;

	for (int i = 0; method_names[i] != NULL; i++)
		if (strcmp(name, method_names[i]) == 0)
			return i == 0;
	nearest = idla_nearest(name, method_names);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown explanation method \"%s\"", name),
			 nearest != NULL ? errhint("Perhaps you meant \"%s\". Methods are %s.", nearest, idla_list(method_names)) :
			 errhint("Methods are %s.", idla_list(method_names))));
	return false;
}

Datum
idla_explain_image(PG_FUNCTION_ARGS)
{
	IdlaQuestion question;
	Picture		picture = {0};
	const LearnField *field;
	bool		cam = PG_ARGISNULL(3) || is_cam(text_to_cstring(PG_GETARG_TEXT_PP(3)));
	double		strength = PG_ARGISNULL(5) ? 0.6 : PG_GETARG_FLOAT8(5);
	float	   *seen;
	size_t		times;
	int			number;

	if (!(strength >= 0 && strength <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("strength is %g: it must be between 0 and 1", strength)));
	if (!idla_question_ask(fcinfo, 4, 6, &question))
		PG_RETURN_NULL();
	number = idla_explain_field(fcinfo, 2, question.site, true);
	field = &question.site->model->learn.fields[number];
	times = enlargement(field->dims[0], field->dims[1]);
	if (cam)
		heat_by_cam(&question, number, field, &picture);
	else
		heat_by_gradients(&question, number, field, times, &picture);
	seen = see_pixels(field, question.site->fields[number], &picture.depth);
	picture.pixels = repeat_places(seen, field->dims[0], field->dims[1], (size_t) picture.depth, times);
	picture.height = field->dims[0] * times;
	picture.width = field->dims[1] * times;
	PG_RETURN_BYTEA_P(draw(&picture, strength));
}
