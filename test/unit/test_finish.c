/*
 * test_finish.c: products that add the bias which alone reads them, and do its relu, give the bits of the three one after another.
 *
 * The same graph twice: once with a second reader of every node between, so that each does its own work.
 */
#include "check.h"

#include "idla/nn.h"
#include "nn/operator.h"

#define ROWS 4
#define GROUPS 3
#define IN 5
#define HIDDEN 7
#define OUT 33
#define N_FOUND (ROWS * GROUPS * OUT)

static NnParameter
parameter(NnGraph *graph, const char *name, NnShape shape)
{
	return nn_parameter(graph, name, &shape, shape.rank < 3 && shape.dims[0] != IN ? NN_ROLE_VECTOR : NN_ROLE_MATRIX, NN_INIT_NORMAL, 0.5f, NULL);
}

/* (GROUPS, IN) -> linear -> bias -> relu -> grouped linear -> bias -> relu; the first bias one for each column, or for each place as well. */
static NnNode
build(NnGraph *graph, bool plain, bool places, NnNode *nodes)
{
	NnShape		shape = nn_shape(2, GROUPS, IN, 0, 0);
	NnNode		x = nn_input(graph, "x", &shape);

	nodes[0] = nn_linear(graph, x, parameter(graph, "w1", nn_shape(2, IN, HIDDEN, 0, 0)));
	nodes[1] = nn_bias(graph, nodes[0], parameter(graph, "b1", places ? nn_shape(2, GROUPS, HIDDEN, 0, 0) : nn_shape(1, HIDDEN, 0, 0, 0)));
	nodes[2] = nn_activation(graph, nodes[1], DEV_MAP_RELU);
	nodes[3] = nn_grouped_linear(graph, nodes[2], parameter(graph, "w2", nn_shape(3, GROUPS, HIDDEN, OUT, 0)));
	nodes[4] = nn_bias(graph, nodes[3], parameter(graph, "b2", nn_shape(2, GROUPS, OUT, 0, 0)));
	nodes[5] = nn_activation(graph, nodes[4], DEV_MAP_RELU);
	for (int i = 0; i < 5 && plain; i++)
		nn_activation(graph, nodes[i], DEV_MAP_COPY);
	return x;
}

static void
find(bool plain, bool places, NnMode mode, float *found, int *n_finished)
{
	DevSession *session = NULL;
	DevDevice  *device = NULL;
	NnGraph    *graph = NULL;
	NnRun	   *run = NULL;
	NnNode		nodes[6];
	NnNode		x;
	float	   *weights;
	float		rows[ROWS * GROUPS * IN];

	CHECK_OR_STOP(dev_session_open(NULL, 3, &session) == DEV_OK && dev_cpu_open(session, NULL, &device) == DEV_OK &&
				  nn_graph_create(session, &graph) == DEV_OK, "a graph is created");
	x = build(graph, plain, places, nodes);
	CHECK_STATUS(session, nn_graph_compile(graph), DEV_OK, "the graph compiles");
	weights = dev_alloc(session, nn_graph_weights(graph), sizeof(float));
	CHECK_OR_STOP(weights != NULL && nn_run_create(graph, device, ROWS, NN_RUN_WHOLE, &run) == DEV_OK, "a run is created");
	nn_graph_initialize(graph, 3, weights);
	nn_run_bind(run, weights, NULL);
	*n_finished = 0;
	for (int i = 0; i < 6; i++)
		*n_finished += graph->nodes[nodes[i]]->finished;
	for (size_t i = 0; i < ROWS * GROUPS * IN; i++)
		rows[i] = (float) (2 * dev_random_uniform(17, 4, i) - 1);
	nn_run_set(run, x, ROWS, rows);
	nn_run_forward(run, nodes[5], mode, 1, 2, 0);
	CHECK_STATUS(session, nn_run_synchronize(run), DEV_OK, "the pass ends well");
	memcpy(found, nn_run_value(run, nodes[5]), N_FOUND * sizeof(float));
	dev_session_close(session);
}

static void
check(bool places, NnMode mode)
{
	float		found[2][N_FOUND];
	int			n_finished[2];
	int			n_zeros = 0;

	for (int plain = 0; plain < 2; plain++)
		find(plain == 1, places, mode, found[plain], &n_finished[plain]);
	CHECK(memcmp(found[0], found[1], sizeof(found[0])) == 0, "the bits of the three apart (%d, %d)", places, mode);
	CHECK(n_finished[0] == 2 - places && n_finished[1] == 0,
		  "only where a product has one column for each value of the bias, and no other reader (%d, %d)", n_finished[0], n_finished[1]);
	for (int i = 0; i < N_FOUND; i++)
		n_zeros += found[0][i] == 0;
	CHECK(n_zeros > 20 && n_zeros < N_FOUND - 20, "of random numbers some are cut (%d of %d)", n_zeros, N_FOUND);
}

int
main(void)
{
	for (int places = 0; places < 2; places++)
	{
		check(places == 1, NN_INFER);
		check(places == 1, NN_TRAIN);
	}
	return check_done();
}
