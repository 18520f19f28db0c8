/*
 * test_losses.c: every loss against finite differences, and where formulas written down naively would overflow,
 * divide by zero or compare nothing: extreme logits, no event, one row, unknown codes.
 */
#include "gradients.h"

typedef struct Place
{
	DevSession *session;
	DevDevice  *device;
	NnGraph    *graph;
	NnRun	   *run;
	NnNode		values;
	NnNode		target;
	NnNode		loss;
} Place;

static void
place_open(Place *place, NnShape values, size_t n_target, bool codes)
{
	NnShape		target = nn_shape(1, n_target, 0, 0, 0);

	memset(place, 0, sizeof(*place));
	CHECK_OR_STOP(dev_session_open(NULL, 3, &place->session) == DEV_OK &&
				  dev_cpu_open(place->session, NULL, &place->device) == DEV_OK &&
				  nn_graph_create(place->session, &place->graph) == DEV_OK, "a graph is created");
	place->values = nn_input(place->graph, "values", &values);
	place->target = codes ? nn_codes(place->graph, "target", n_target) : nn_input(place->graph, "target", &target);
}

static void
place_run(Place *place, size_t batch, const float *values, const float *target, const int32_t *codes)
{
	static float no_weights[16];

	if (place->run == NULL)
	{
		CHECK_STATUS(place->session, nn_graph_compile(place->graph), DEV_OK, "the graph compiles");
		CHECK_OR_STOP(nn_run_create(place->graph, place->device, batch, NN_RUN_WHOLE, &place->run) == DEV_OK, "a run is created");
		nn_run_bind(place->run, no_weights, no_weights);
	}
	nn_run_set(place->run, place->values, batch, values);
	if (codes != NULL)
		nn_run_set_codes(place->run, place->target, batch, codes);
	else
		nn_run_set(place->run, place->target, batch, target);
	/* at inference every node has a gradient, without a trained parameter below it */
	nn_run_forward(place->run, place->loss, NN_INFER, 0, 0, 0);
	nn_run_backward(place->run, place->loss, 1, NULL);
}

static double
loss_of(const Place *place, size_t row)
{
	return nn_run_value(place->run, place->loss)[row];
}

static double
diff_of(const Place *place, size_t i)
{
	return nn_run_gradient(place->run, place->values)[i];
}

/* ---- Extreme values ---- */

static void
check_binary(void)
{
	static const float z[] = {80, 80, -80, -80, 1e4f, 1e4f, -1e4f, -1e4f, 0, 1e30f};
	static const float target[] = {1, 0, 1, 0, 1, 0, 1, 0, 1, 0};
	static const double expected[] = {1.8048513878454153e-35, 80, 80, 1.8048513878454153e-35, 0, 1e4, 1e4, 0,
	0.69314718055994531, 1e30};
	static const double slope[] = {0, 1, -1, 0, 0, 1, -1, 0, -0.5, 1};
	Place		place;

	place_open(&place, nn_shape(1, 1, 0, 0, 0), 1, false);
	place.loss = nn_binary_cross_entropy(place.graph, place.values, place.target, 1, 0);
	place_run(&place, 10, z, target, NULL);
	for (size_t i = 0; i < 10; i++)
	{
		double		relative = expected[i] > 0 ? loss_of(&place, i) / expected[i] : 1 + loss_of(&place, i);

		CHECK_NEAR(relative, 1, 1e-5, "binary_cross_entropy: logit %g, target %g", z[i], target[i]);
		CHECK_NEAR(diff_of(&place, i), slope[i], 1e-6, "binary_cross_entropy: its slope");
	}
	dev_session_close(place.session);
}

/* Only a target above one half is weighted, and smoothing moves targets towards one half. */
static void
check_binary_options(void)
{
	static const float z[] = {0, 0, 0, 0};
	static const float target[] = {0, 0.5f, 0.50001f, 1};
	static const double weight[] = {1, 1, 3, 3};
	static const double slope[] = {0.4, 0, 3 * -0.000008, 3 * -0.4};
	Place		place;

	place_open(&place, nn_shape(1, 1, 0, 0, 0), 1, false);
	place.loss = nn_binary_cross_entropy(place.graph, place.values, place.target, 3, 0.2f);
	place_run(&place, 4, z, target, NULL);
	for (size_t i = 0; i < 4; i++)
	{
		CHECK_NEAR(loss_of(&place, i), weight[i] * log(2), 1e-6, "binary_cross_entropy: weight of target %g", target[i]);
		CHECK_NEAR(diff_of(&place, i), slope[i], 1e-6, "binary_cross_entropy: slope at smoothed target %g", target[i]);
	}
	dev_session_close(place.session);
}

static void
check_classes(void)
{
	static const float z[] = {80, -80, 0, 80, -80, 0, 1e4f, -1e4f, 0, 1e4f, -1e4f, 0, 1, 1, 1, 5, 6, 7};
	static const int32_t codes[] = {0, 1, 0, 1, 2, 3};
	static const double expected[] = {0, 160, 0, 2e4, 1.0986122886681098, 0};
	bool		finite = true;
	Place		place;

	place_open(&place, nn_shape(1, 3, 0, 0, 0), 1, true);
	place.loss = nn_cross_entropy(place.graph, place.values, place.target, NULL, 0);
	place_run(&place, 6, z, NULL, codes);
	for (size_t i = 0; i < 6; i++)
		CHECK_NEAR(loss_of(&place, i), expected[i], 1e-6, "cross_entropy: loss of row %zu", i);
	for (size_t i = 0; i < 18; i++)
		finite = finite && isfinite(diff_of(&place, i));
	CHECK(finite, "cross_entropy: gradients at extreme logits are finite");
	CHECK(diff_of(&place, 15) == 0 && diff_of(&place, 16) == 0 && diff_of(&place, 17) == 0,
		  "cross_entropy: a code that is no class teaches nothing");
	dev_session_close(place.session);
}

static void
check_regression(void)
{
	static const float values[] = {1e4f, -1e4f, 1e-3f, 2};
	static const float target[] = {0, 0, 0, 2};
	Place		place;

	place_open(&place, nn_shape(1, 1, 0, 0, 0), 1, false);
	place.loss = nn_huber(place.graph, place.values, place.target, 0.5f);
	place_run(&place, 4, values, target, NULL);
	CHECK_NEAR(loss_of(&place, 0), 0.5 * (1e4 - 0.25), 1e-6, "huber: a far value costs its distance");
	CHECK_NEAR(diff_of(&place, 1), -0.5, 1e-6, "huber: and pulls no more than delta");
	CHECK_NEAR(loss_of(&place, 2) * 1e6, 0.5, 1e-5, "huber: a near value costs its square");
	CHECK(loss_of(&place, 3) == 0 && diff_of(&place, 3) == 0, "huber: a hit costs nothing");
	dev_session_close(place.session);

	place_open(&place, nn_shape(2, 2, 1, 0, 0), 1, false);
	place.loss = nn_squared_error(place.graph, place.values, place.target);
	place_run(&place, 2, values, target, NULL);
	CHECK_NEAR(loss_of(&place, 0), 1e8, 1e-6, "squared_error: members at +-10000");
	CHECK_NEAR(diff_of(&place, 0), 1e4, 1e-6, "squared_error: their slope");
	dev_session_close(place.session);
}

/* ---- Cox ---- */

static void
cox_open(Place *place, size_t members)
{
	place_open(place, members == 1 ? nn_shape(1, 1, 0, 0, 0) : nn_shape(2, members, 1, 0, 0), 2, false);
	place->loss = nn_cox(place->graph, place->values, place->target);
}

static void
check_cox_edges(void)
{
	static const float h[] = {80, -80, 1e4f, -1e4f};
	static const float nobody[] = {1, 0, 2, 0, 3, 0, 4, 0};
	static const float everybody[] = {4, 1, 3, 1, 2, 1, 1, 1};
	static const double expected[] = {0, 160, 0, 2e4};
	bool		zero = true;
	bool		finite = true;
	Place		place;

	cox_open(&place, 1);
	place_run(&place, 4, h, nobody, NULL);
	for (size_t i = 0; i < 4; i++)
		zero = zero && loss_of(&place, i) == 0 && diff_of(&place, i) == 0;
	CHECK(zero, "cox: without an event there is neither loss nor gradient");
	place_run(&place, 4, h, everybody, NULL);
	for (size_t i = 0; i < 4; i++)
	{
		CHECK_NEAR(loss_of(&place, i), expected[i], 1e-6, "cox: loss of row %zu at extreme log hazards", i);
		finite = finite && isfinite(diff_of(&place, i));
	}
	CHECK(finite, "cox: gradients at extreme log hazards are finite");
	place_run(&place, 1, h, everybody, NULL);
	CHECK(loss_of(&place, 0) == 0 && diff_of(&place, 0) == 0, "cox: a row alone at risk has nothing to learn");
	dev_session_close(place.session);
}

/* Times that are not numbers must do no harm: the glue refuses them, stored bytes may still hold them. */
static void
check_cox_bad_times(void)
{
	static const float h[] = {0, 1, 2, 3, 4, 5};
	const float target[] = {NAN, 1, 1, 1, INFINITY, 1, NAN, 0, -INFINITY, 1, 1, 1};
	Place		place;

	cox_open(&place, 1);
	place_run(&place, 6, h, target, NULL);
	CHECK(isfinite(loss_of(&place, 1)), "cox: times that are not numbers are walked over");
	dev_session_close(place.session);
}

/* The order of the rows does not matter, and the gradient of a sum of losses sums to zero over the rows. */
static void
check_cox_order(void)
{
	enum
	{
		N = 200, MEMBERS = 3
	};
	float		h[N * MEMBERS];
	float		target[N * 2];
	float		turned_h[N * MEMBERS];
	float		turned[N * 2];
	float		loss[N];
	double		sum = 0;
	double		worst = 0;
	Place		place;

	for (size_t i = 0; i < N; i++)
	{
		for (size_t m = 0; m < MEMBERS; m++)
			h[i * MEMBERS + m] = (float) dev_random_normal(1, 2, i * MEMBERS + m);
		target[2 * i] = (float) dev_random_below(1, 3, i, 20);	/* many ties */
		target[2 * i + 1] = (float) dev_random_below(1, 4, i, 2);
	}
	for (size_t i = 0; i < N; i++)
	{
		size_t		from = i * 77 % N;

		memcpy(turned_h + i * MEMBERS, h + from * MEMBERS, MEMBERS * sizeof(float));
		memcpy(turned + i * 2, target + from * 2, 2 * sizeof(float));
	}
	cox_open(&place, MEMBERS);
	place_run(&place, N, h, target, NULL);
	memcpy(loss, nn_run_value(place.run, place.loss), sizeof(loss));
	for (size_t i = 0; i < N * MEMBERS; i++)
		sum += diff_of(&place, i);
	CHECK_NEAR(sum, 0, 1e-5, "cox: only differences of log hazards count");
	place_run(&place, N, turned_h, turned, NULL);
	for (size_t i = 0; i < N; i++)
		worst = fmax(worst, fabs(loss_of(&place, i) - loss[i * 77 % N]));
	CHECK_NEAR(worst, 0, 1e-6, "cox: the order of the rows does not matter");
	dev_session_close(place.session);
}

/* ---- Wrong requests ---- */

typedef NnNode (*Wrong) (NnGraph *graph, NnNode pair, NnNode triple, NnNode codes, NnNode cube);

static NnNode
wrong_class_weight(NnGraph *graph, NnNode pair, NnNode triple, NnNode codes, NnNode cube)
{
	static const float weights[] = {1, -1};

	(void) triple;
	(void) cube;
	return nn_cross_entropy(graph, pair, codes, weights, 0);
}

static NnNode
wrong_smoothing(NnGraph *graph, NnNode pair, NnNode triple, NnNode codes, NnNode cube)
{
	(void) triple;
	(void) cube;
	return nn_cross_entropy(graph, pair, codes, NULL, 1);
}

static NnNode
wrong_target_kind(NnGraph *graph, NnNode pair, NnNode triple, NnNode codes, NnNode cube)
{
	(void) codes;
	(void) cube;
	return nn_cross_entropy(graph, pair, triple, NULL, 0);
}

static NnNode
wrong_target_size(NnGraph *graph, NnNode pair, NnNode triple, NnNode codes, NnNode cube)
{
	(void) codes;
	(void) cube;
	return nn_squared_error(graph, pair, triple);
}

static NnNode
wrong_rank(NnGraph *graph, NnNode pair, NnNode triple, NnNode codes, NnNode cube)
{
	(void) triple;
	(void) codes;
	return nn_squared_error(graph, cube, pair);
}

static NnNode
wrong_weight(NnGraph *graph, NnNode pair, NnNode triple, NnNode codes, NnNode cube)
{
	(void) triple;
	(void) codes;
	(void) cube;
	return nn_binary_cross_entropy(graph, pair, pair, NAN, 0);
}

static NnNode
wrong_delta(NnGraph *graph, NnNode pair, NnNode triple, NnNode codes, NnNode cube)
{
	(void) triple;
	(void) codes;
	(void) cube;
	return nn_huber(graph, pair, pair, 0);
}

static NnNode
wrong_hazards(NnGraph *graph, NnNode pair, NnNode triple, NnNode codes, NnNode cube)
{
	(void) triple;
	(void) codes;
	(void) cube;
	return nn_cox(graph, pair, pair);
}

static void
check_wrong(void)
{
	static const struct
	{
		const char *name;
		Wrong		build;
	}			wrongs[] = {
		{"cross_entropy with a negative weight", wrong_class_weight},
		{"cross_entropy with smoothing 1", wrong_smoothing},
		{"cross_entropy with numbers as target", wrong_target_kind},
		{"squared_error with a target of another size", wrong_target_size},
		{"squared_error of rank 3", wrong_rank},
		{"binary_cross_entropy with a weight that is no number", wrong_weight},
		{"huber with delta 0", wrong_delta},
		{"cox of two hazards", wrong_hazards}
	};

	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
	{
		NnShape		two = nn_shape(1, 2, 0, 0, 0);
		NnShape		three = nn_shape(1, 3, 0, 0, 0);
		NnShape		rank3 = nn_shape(3, 2, 2, 2, 0);
		DevSession *session;
		NnGraph    *graph;

		CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK && nn_graph_create(session, &graph) == DEV_OK,
					  "a graph is created");
		CHECK(wrongs[i].build(graph, nn_input(graph, "pair", &two), nn_input(graph, "triple", &three),
							  nn_codes(graph, "codes", 1), nn_input(graph, "cube", &rank3)) == NN_NONE,
			  "%s is refused", wrongs[i].name);
		CHECK_STATUS(session, nn_graph_compile(graph), DEV_INVALID, "%s: %s", wrongs[i].name, dev_message_text(session));
		dev_session_close(session);
	}
}

int
main(void)
{
	check_all(loss_cases, N_CASES(loss_cases));
	check_binary();
	check_binary_options();
	check_classes();
	check_regression();
	check_cox_edges();
	check_cox_bad_times();
	check_cox_order();
	check_wrong();
	return check_done();
}
