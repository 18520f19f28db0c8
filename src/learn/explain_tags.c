/*
 * explain_tags.c: why a tagger finds an entity.
 *
 * The score is the log odds of the entity: that all its tokens have its tags, against that one of them has another. It is the
 * chain's, so that what a word does to its neighbours' tags counts as well. The way to the row begins where no
 * token has any feature and the text is as long; a token's words, characters, shape and affixes walk it together and are one part.
 *
 * Sequences are summed in two classes, those that agree with the entity and those that differ. Before the entity there is one class
 * alone, behind it both go on alike; within it a sequence that agrees stays on the entity's tags or leaves them for good.
 */
#include "explain.h"

#include <math.h>
#include <string.h>

/* Logarithms of sums over sequences, (length, n_tags) each. */
typedef struct Sums
{
	size_t		n_tags;
	double	   *agree;			/* up to a token, of those that agree so far */
	double	   *differ;			/* and of those that do not any more */
	double	   *rest;			/* behind a token, of any */
	double	   *rest_agree;		/* of those that agree with what is left of the entity */
	double	   *rest_differ;	/* of those that differ from what is left */
} Sums;

size_t
learn_entity_work(size_t length, size_t n_tags)
{
	return 5 * length * n_tags;
}

static Sums
lay_out(const LearnEntity *entity)
{
	size_t		n = entity->length * entity->chain->n_tags;
	Sums		sums = {.n_tags = entity->chain->n_tags, .agree = entity->work};

	sums.differ = sums.agree + n;
	sums.rest = sums.differ + n;
	sums.rest_agree = sums.rest + n;
	sums.rest_differ = sums.rest_agree + n;
	return sums;
}

static bool
is_inside(const LearnEntity *entity, size_t t)
{
	return t >= entity->start && t < entity->end;
}

/* Whether token t may have a tag in sequences that agree. */
static bool
agrees(const LearnEntity *entity, size_t t, size_t tag)
{
	return !is_inside(entity, t) || tag == (size_t) entity->tags[t - entity->start];
}

/* log(exp(a) + exp(b)) */
static double
log_add(double a, double b)
{
	double		most = a > b ? a : b;

	return most == -INFINITY ? most : most + log1p(exp((a > b ? b : a) - most));
}

/* Over all tags before: src (n_tags) and the step from each to `tag`. */
static double
step_to(const LearnChain *chain, const double *src, size_t tag)
{
	double		most = -INFINITY;
	double		sum = 0;

	for (size_t i = 0; i < chain->n_tags; i++)
		most = fmax(most, src[i] + (double) chain->transitions[i * chain->n_tags + tag]);
	for (size_t i = 0; i < chain->n_tags && most > -INFINITY; i++)
		sum += exp(src[i] + (double) chain->transitions[i * chain->n_tags + tag] - most);
	return most == -INFINITY ? most : most + log(sum);
}

static void
sum_forward(const LearnEntity *entity, const double *emissions, const Sums *sums)
{
	const LearnChain *chain = entity->chain;
	size_t		n = sums->n_tags;

	for (size_t t = 0; t < entity->length; t++)
		for (size_t j = 0; j < n; j++)
		{
			double		from_agree = t == 0 ? (double) chain->start[j] : step_to(chain, sums->agree + (t - 1) * n, j);
			double		from_differ = t == 0 ? -INFINITY : step_to(chain, sums->differ + (t - 1) * n, j);
			bool		agree = agrees(entity, t, j);

			sums->agree[t * n + j] = agree ? emissions[t * n + j] + from_agree : -INFINITY;
			sums->differ[t * n + j] = emissions[t * n + j] + (agree ? from_differ : log_add(from_differ, from_agree));
		}
}

static void
sum_backward(const LearnEntity *entity, const double *emissions, const Sums *sums)
{
	const LearnChain *chain = entity->chain;
	size_t		n = sums->n_tags;

	for (size_t t = entity->length; t-- > 0;)
		for (size_t i = 0; i < n; i++)
		{
			double		rest = t + 1 == entity->length ? (double) chain->end[i] : -INFINITY;
			double		agree = rest;
			double		differ = -INFINITY;

			for (size_t j = 0; j < n && t + 1 < entity->length; j++)
			{
				size_t		next = (t + 1) * n + j;
				double		step = (double) chain->transitions[i * n + j] + emissions[next];

				rest = log_add(rest, step + sums->rest[next]);
				if (agrees(entity, t + 1, j))
				{
					agree = log_add(agree, step + sums->rest_agree[next]);
					differ = log_add(differ, step + sums->rest_differ[next]);
				}
				else
					differ = log_add(differ, step + sums->rest[next]);
			}
			sums->rest[t * n + i] = rest;
			sums->rest_agree[t * n + i] = agree;
			sums->rest_differ[t * n + i] = differ;
		}
}

double
learn_entity_odds(const LearnEntity *entity, const double *emissions, double *diff)
{
	const LearnChain *chain = entity->chain;
	Sums		sums = lay_out(entity);
	double		agree = -INFINITY;
	double		differ = -INFINITY;

	sum_forward(entity, emissions, &sums);
	sum_backward(entity, emissions, &sums);
	for (size_t j = 0; j < chain->n_tags; j++)
	{
		size_t		last = (entity->length - 1) * chain->n_tags + j;

		agree = log_add(agree, sums.agree[last] + (double) chain->end[j]);
		differ = log_add(differ, sums.differ[last] + (double) chain->end[j]);
	}
	/* What each class has of a tag at a token. */
	for (size_t i = 0; i < entity->length * chain->n_tags; i++)
		diff[i] = exp(sums.agree[i] + sums.rest_agree[i] - agree) -
			exp(log_add(sums.agree[i] + sums.rest_differ[i], sums.differ[i] + sums.rest[i]) - differ);
	return agree - differ;
}

/* ---- The explanation ---- */

static DevStatus
check_entity(const LearnPredictor *predictor, LearnBytes text, const LearnSpan *span)
{
	DevSession *session = predictor->session;
	const LearnModel *model = predictor->model;
	size_t		length;

	if (model->task != LEARN_TAGGING)
		return dev_fail(session, DEV_INVALID, "the model does not tag");
	length = learn_text_length(&model->fields[0], text);
	length = length < model->fields[0].dims[0] ? length : model->fields[0].dims[0];
	if (span->start >= span->end || span->end > length)
		return dev_fail(session, DEV_INVALID, "tokens %u to %u are no entity of a text of %zu", span->start, span->end, length);
	if (span->label < 0 || span->label >= learn_labels_size(model->labels))
		return dev_fail(session, DEV_INVALID, "the model has no label number %d", (int) span->label);
	return DEV_OK;
}

/* An entity's tags in IOBES. */
static void
write_tags(const LearnSpan *span, int32_t *tags)
{
	uint32_t	n = span->end - span->start;

	for (uint32_t i = 0; i < n; i++)
		tags[i] = learn_tag_code(LEARN_IOBES, span->label, n == 1 ? LEARN_TAG_S : i == 0 ? LEARN_TAG_B : i == n - 1 ? LEARN_TAG_E : LEARN_TAG_I);
}

DevStatus
learn_explain_entity(LearnPredictor *predictor, LearnBytes text, const LearnSpan *span, const LearnExplain *wish,
					 double *contributions, double *score, double *baseline, double *error)
{
	DevSession *session = predictor->session;
	LearnExplain how = *wish;
	LearnEntity entity = {.chain = &predictor->chain, .start = span->start, .end = span->end};
	LearnExplainer *explainer;
	float		nothing[1] = {0};
	int32_t    *tags;
	DevStatus	status = check_entity(predictor, text, span);

	if (status != DEV_OK)
		return status;
	how.output = how.field = 0;
	how.by_parts = true;
	how.segment_of = NULL;
	status = learn_explain_open(predictor, nothing, &text, &how, &explainer);
	if (status != DEV_OK)
		return status;
	entity.length = (size_t) predictor->fields.lengths[0][0];
	tags = dev_alloc(session, span->end - span->start, sizeof(int32_t));
	entity.work = dev_alloc(session, learn_entity_work(entity.length, predictor->n_outputs), sizeof(double));
	status = tags == NULL || entity.work == NULL ? DEV_NO_MEMORY : DEV_OK;
	if (status == DEV_OK)
	{
		write_tags(span, tags);
		entity.tags = tags;
		explainer->entity = &entity;
		status = learn_explain_opened(explainer, &how, contributions, score, baseline, error);
		explainer->entity = NULL;
	}
	dev_release(session, tags);
	dev_release(session, entity.work);
	return status;
}
