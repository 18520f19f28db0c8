/*
 * test_robustness.c: accuracy under attack, smallest changes and signs of masked gradients, on planes whose distances are
 * known and whose gradients can be spoilt at will.
 */
#include "models.h"

#include "allowed.h"

#include "idla/learn_robust.h"

#define INPUTS 5
#define ROWS 200

static const float plane[INPUTS] = {1, -2, 0.5f, 0.25f, 3};	/* sum of magnitudes 6.75 */

/* What the oracle says of gradients. */
typedef enum Gradients
{
	HONEST,
	NONE,						/* zero everywhere */
	BACKWARDS,					/* point away from the plane */
	LATE						/* honest, but the attack's steps are too short to arrive */
} Gradients;

typedef struct Plane
{
	Gradients	gradients;
	float		rows[ROWS * INPUTS];
	float		out[ROWS * INPUTS];
	float	   *scratch;
} Plane;

static DevStatus
score_plane(void *context, size_t n, const float *inputs, float *losses, uint8_t *wrong, float *diff)
{
	const Plane *p = context;

	for (size_t row = 0; row < n; row++)
	{
		double		value = 0;

		for (size_t i = 0; i < INPUTS; i++)
			value += (double) plane[i] * (double) inputs[row * INPUTS + i];
		losses[row] = (float) value;
		if (wrong != NULL)
			wrong[row] = value > 0;
		for (size_t i = 0; i < INPUTS && diff != NULL; i++)
			diff[row * INPUTS + i] = p->gradients == NONE ? 0 : p->gradients == BACKWARDS ? -plane[i] : plane[i];
	}
	return DEV_OK;
}

static DevStatus
attack_plane(void *context, const LearnAttack *how, size_t n, const float *epsilons, uint8_t *fooled)
{
	Plane	   *p = context;
	LearnOracle oracle = {.context = p, .n_inputs = INPUTS, .score = score_plane};
	LearnAttack made = *how;

	/* An attack whose steps are too short to arrive. */
	if (p->gradients == LATE)
		made.rate = 0.04;
	return learn_attack(&made, &oracle, NULL, n, p->rows, epsilons, 3, 0, p->out, NULL, fooled, p->scratch);
}

/* Distances of row i from the plane: i / 100 - 0.1, so that the first ten are wrong by themselves. */
static Plane *
make_plane(Gradients gradients)
{
	Plane	   *p = calloc(1, sizeof(Plane));

	p->gradients = gradients;
	p->scratch = malloc(learn_attack_scratch(ROWS, INPUTS) * sizeof(float));
	for (size_t row = 0; row < ROWS; row++)
	{
		double		distance = ((double) row + 0.5) / 100 - 0.1;
		double		spread = 0;

		for (size_t i = 0; i < INPUTS - 1; i++)
		{
			p->rows[row * INPUTS + i] = (float) dev_random_normal(1, i, row);
			spread += (double) plane[i] * (double) p->rows[row * INPUTS + i];
		}
		p->rows[row * INPUTS + INPUTS - 1] = (float) ((-distance * 6.75 - spread) / 3);
	}
	return p;
}

static void
free_plane(Plane *p)
{
	free(p->scratch);
	free(p);
}

static void
test_counts(void)
{
	static const double epsilons[] = {0, 0.2, 0.5, 1, 5};
	static const int expected[] = {190, 170, 140, 90, 0};
	Plane	   *p = make_plane(HONEST);
	LearnAttacker attacker = {.context = p, .attack = attack_plane};
	LearnAttack how = learn_attack_judge(LEARN_NORM_MAX, 0, 4, 1);
	uint64_t	right[5] = {0};
	double		distances[ROWS];
	float		scratch[2 * ROWS];
	uint8_t		fooled[ROWS];
	uint8_t		once[ROWS];

	CHECK_STATUS(NULL, learn_robust_counts(&attacker, &how, ROWS, 5, epsilons, right, NULL, scratch, fooled, once), DEV_OK,
				 "accuracy under attack");
	for (int i = 0; i < 5; i++)
		CHECK((int) right[i] == expected[i], "within %.1f of %d rows %d stand", epsilons[i], ROWS, (int) right[i]);
	learn_robust_counts(&attacker, &how, ROWS, 5, epsilons, right, distances, scratch, fooled, once);
	CHECK(distances[0] == 0 && distances[12] == 0.2 && distances[ROWS - 1] == 5, "each row has the first that fools it");
	CHECK((int) right[1] == 340, "counts are added up over batches");
	p->gradients = BACKWARDS;
	memset(right, 0, sizeof(right));
	learn_robust_counts(&attacker, &how, ROWS, 5, epsilons, right, distances, scratch, fooled, once);
	CHECK(distances[0] == 0 && isinf(distances[ROWS - 1]), "and nobody has a distance");
	/* What a stronger attack has found stays found. */
	distances[ROWS - 1] = 0.5;
	learn_minimal_perturbations(&attacker, &how, ROWS, 1, 3, distances, scratch, fooled);
	CHECK(distances[ROWS - 1] == 0.5 && isinf(distances[ROWS - 2]), "a weaker attack takes nothing back");
	CHECK(right[0] == 190 && right[4] == 190, "an attack that goes astray fools nobody");
	free_plane(p);
}

static void
test_minimal(void)
{
	Plane	   *p = make_plane(HONEST);
	LearnAttacker attacker = {.context = p, .attack = attack_plane};
	LearnAttack how = learn_attack_judge(LEARN_NORM_MAX, 0, 4, 1);
	double		distances[ROWS];
	float		scratch[2 * ROWS];
	uint8_t		fooled[ROWS];
	double		worst = 0;
	double		mean;
	size_t		beyond;
	bool		right = true;

	for (size_t row = 0; row < ROWS; row++)
		distances[row] = INFINITY;
	CHECK_STATUS(NULL, learn_minimal_perturbations(&attacker, &how, ROWS, 1, 14, distances, scratch, fooled), DEV_OK,
				 "smallest changes");
	for (size_t row = 0; row < ROWS; row++)
	{
		double		known = ((double) row + 0.5) / 100 - 0.1;

		if (row < 10)
			right = right && distances[row] == 0;
		else if (known > 1)
			right = right && isinf(distances[row]);
		else
			worst = fmax(worst, fabs(distances[row] - known));
	}
	CHECK(right, "are 0 for wrong rows and infinite beyond the search");
	CHECK(worst < 1.5e-4, "and else the distance: %g", worst);
	mean = learn_mean_perturbation(ROWS, distances, 1, &beyond);
	CHECK(beyond == 90, "%d rows lie beyond", (int) beyond);
	CHECK_NEAR(mean, (100 * 0.5 + 90) / 190, 1e-3, "the mean counts those as the farthest tried");
	CHECK(isnan(learn_mean_perturbation(10, distances, 1, NULL)), "and is undefined for wrong rows alone");
	free_plane(p);
}

static unsigned
probe(Gradients gradients, int steps, double epsilon, LearnMasking *masking)
{
	Plane	   *p = make_plane(gradients);
	LearnAttacker attacker = {.context = p, .attack = attack_plane};
	LearnAttack how = learn_attack_judge(LEARN_NORM_MAX, epsilon, steps, 2);
	float		scratch[ROWS];
	uint8_t		fooled[ROWS];

	memset(masking, 0, sizeof(*masking));
	CHECK_STATUS(NULL, learn_masking_add(&attacker, &how, ROWS, masking, scratch, fooled), DEV_OK, "probes");
	free_plane(p);
	return learn_masking_judge(masking);
}

static void
test_masking(void)
{
	LearnMasking masking;
	unsigned	signs = probe(HONEST, 10, 0.3, &masking);

	CHECK(signs == 0, "honest gradients show no sign of masking");
	CHECK(masking.n == ROWS && masking.fooled[LEARN_PROBE_CLEAN] == 10 && masking.fooled[LEARN_PROBE_ATTACK] == 40 &&
		  masking.fooled[LEARN_PROBE_NOISE] > 10 && masking.fooled[LEARN_PROBE_NOISE] < 40 &&
		  masking.fooled[LEARN_PROBE_FAR] == 130, "and the probes come out in order");
	CHECK(probe(BACKWARDS, 10, 1.2, &masking) & LEARN_MASKED_NOISE, "noise that beats the attack is one");
	CHECK(probe(NONE, 20, 1.2, &masking) & LEARN_MASKED_NOISE, "also where there is no gradient at all");
	CHECK(probe(LATE, 8, 1.2, &masking) & LEARN_MASKED_UNFINISHED, "too few steps are found out");
	memset(&masking, 0, sizeof(masking));
	masking.n = 1000;
	masking.fooled[LEARN_PROBE_ATTACK] = 500;
	masking.fooled[LEARN_PROBE_MORE] = masking.fooled[LEARN_PROBE_FAR] = 510;
	CHECK(learn_masking_judge(&masking) == 0, "differences of chance are none");
	masking.fooled[LEARN_PROBE_ONE_STEP] = 600;
	masking.fooled[LEARN_PROBE_FAR] = 400;
	CHECK(learn_masking_judge(&masking) == (LEARN_MASKED_STEPS | LEARN_MASKED_FAR), "one step and distance are signs");
	for (unsigned sign = 1; sign <= LEARN_MASKED_FAR; sign *= 2)
		CHECK(strlen(learn_masked_words((LearnMasked) sign)) > 20, "sign %u has words", sign);
	CHECK(learn_masked_words((LearnMasked) 1024)[0] == '\0', "an unknown one has none");
}

/* ---- A referee ---- */

#define RULED 32

typedef struct Rule
{
	const float *raw;			/* (RULED, width) */
	size_t		width;
	size_t		asked;
	DevStatus	status;
} Rule;

/* The first two numbers together move up by 0.1 at most, and not at all with the second category. */
static bool
keeps_rule(const Rule *rule, size_t row, const float *changed)
{
	const float *own = rule->raw + row * rule->width;
	double		up = (double) changed[0] - (double) own[0] + (isnan(own[1]) ? 0 : (double) changed[1] - (double) own[1]);

	return up <= (changed[2] == 1 ? 0 : 0.1);
}

static DevStatus
judge_rule(void *context, size_t row, const float *changed, bool *allowed)
{
	Rule	   *rule = context;

	rule->asked++;
	*allowed = keeps_rule(rule, row, changed);
	return rule->status;
}

/* What a rule forbids comes back nowhere, and what it allows is still found. */
static void
test_referee(void)
{
	ModelSpec	spec = {.architecture = LEARN_LINEAR, .task = LEARN_BINARY, .n_columns = 8, .activation = -1, .seed = 3};
	DevSession *session;
	LearnModel *model;
	LearnPredictor *predictor;
	LearnPredictorOracle *judge;
	LearnTableAttacker *attacker;
	LearnRowOracle oracle;
	LearnConstraint constraints[9];
	float		raw[RULED * 9];
	float		changed[RULED * 9];
	float		labels[RULED];
	float		losses[RULED];
	float		most[RULED];
	Rule		rule = {.raw = raw, .width = 9};
	LearnReferee referee = {.context = &rule, .judge = judge_rule};

	CHECK_OR_STOP(dev_session_open(NULL, 7, &session) == DEV_OK, "a session opens");
	CHECK_STATUS(session, make_model(session, &spec, &model), DEV_OK, "a model");
	make_rows(model, RULED, 8, raw);
	for (int c = 0; c < model->n_channels; c++)
	{
		constraints[c] = learn_constraint_free();
		constraints[c].checked = c < 3;
	}
	for (size_t row = 0; row < RULED; row++)
		labels[row] = (float) (row % 2);
	CHECK_STATUS(session, learn_predictor_create(session, model, 32, &predictor), DEV_OK, "a predictor");
	CHECK_STATUS(session, learn_predictor_oracle_create(predictor, 0, &judge), DEV_OK, "its oracle");
	learn_predictor_oracle_set(judge, labels);
	oracle = learn_predictor_oracle(judge);
	CHECK_STATUS(session, learn_table_attacker_create(session, model->channels, model->n_channels, constraints, model->n_numbers,
													  model->n_codes, RULED, &attacker), DEV_OK, "an attacker");
	for (int norm = 0; norm < 2; norm++)
	{
		LearnTableAttack how = {
			.numbers = learn_attack_judge(norm == 0 ? LEARN_NORM_MAX : LEARN_NORM_L2, 0.5, 6, 2), .rounds = 2, .max_changes = 2
		};
		size_t		forbidden = 0;
		size_t		moved = 0;
		bool		kept = true;
		bool		allowed = true;
		bool		less = true;

		CHECK_STATUS(session, learn_table_attack(attacker, &how, &oracle, RULED, raw, NULL, 1, 0, changed, most, NULL), DEV_OK,
					 "an attack without rules");
		for (size_t row = 0; row < RULED; row++)
			forbidden += !keeps_rule(&rule, row, changed + row * 9);
		CHECK(forbidden > 5, "breaks them in %zu rows", forbidden);
		how.referee = &referee;
		rule.asked = 0;
		CHECK_STATUS(session, learn_table_attack(attacker, &how, &oracle, RULED, raw, NULL, 1, 0, changed, losses, NULL), DEV_OK,
					 "an attack with them");
		for (size_t row = 0; row < RULED; row++)
		{
			kept = kept && keeps_rule(&rule, row, changed + row * 9);
			allowed = allowed && row_allowed(model->channels, model->n_channels, constraints, how.numbers.norm, 0.5, 2,
											 raw + row * 9, changed + row * 9);
			less = less && losses[row] <= most[row] + 0.2f;
			moved += changed[row * 9] != raw[row * 9];
		}
		CHECK(kept && allowed, "keeps them and all constraints");
		CHECK(less && moved > RULED / 4, "gets less far, though %zu rows move", moved);
		CHECK(rule.asked > RULED, "and asked %zu times", rule.asked);
	}
	rule.status = DEV_CANCELLED;
	CHECK_STATUS(session, learn_table_attack(attacker, &(LearnTableAttack) {
		.numbers = learn_attack_judge(LEARN_NORM_MAX, 0.5, 6, 2), .rounds = 1, .referee = &referee
	}, &oracle, RULED, raw, NULL, 1, 0, changed, NULL, NULL), DEV_CANCELLED, "a referee who fails ends the attack");
	dev_session_close(session);
}

int
main(void)
{
	test_counts();
	test_minimal();
	test_masking();
	test_referee();
	return check_done();
}
