/*
 * explain_shapley.c: Shapley values of the user's columns against the baseline.
 *
 * The players are the columns in which the row differs from the baseline; an absent one
 * has its part of the features replaced by the baseline's. Few players are
 * enumerated, which is exact; of many, random orders are walked, each also backwards
 * (antithetic: what one order overstates the other understates). Either way
 * the contributions add up to the score's difference by construction.
 */
#include "explain.h"

#include <math.h>
#include <string.h>

#define DEFAULT_EXACT 12
#define MOST_EXACT 20			/* a million scores */
#define BUDGET 8192				/* scores that the default number of orders costs, about */
#define FEWEST_ORDERS 16
#define MOST_ORDERS 256
#define NOT_PLAYING (-1)

typedef struct Game
{
	LearnExplainer *explainer;
	int			n_players;
	int		   *player_of;		/* (n_groups): number of the player or NOT_PLAYING */
	int		   *columns;		/* (n_players) */
	double	   *scores;

	/* The points under way */
	uint32_t	first_mask;		/* enumeration: point p has the players of mask first_mask + p */
	int		   *position;		/* orders: (n_players) place of each in this order */
} Game;

/* ---- Enumeration ---- */

static void
fill_mask(void *context, size_t point, const LearnPath *path, float *features)
{
	const Game *game = context;
	uint32_t	mask = game->first_mask + (uint32_t) point;

	for (size_t i = 0; i < path->n_values; i++)
	{
		int			player = game->player_of[path->group_of[i]];

		features[i] = player != NOT_PLAYING && (mask >> player & 1) ? path->row[i] : path->baseline[i];
	}
}

/* weight[size] = size! (n - size - 1)! / n!: share of the orders in which a given set of that size comes before. */
static void
set_weights(int n, double *weights)
{
	weights[0] = 1.0 / n;
	for (int size = 1; size < n; size++)
		weights[size] = weights[size - 1] * size / (n - size);
}

static DevStatus
enumerate(Game *game, double *contributions, double *score, double *baseline)
{
	uint32_t	n_sets = (uint32_t) 1 << game->n_players;
	double		weights[MOST_EXACT];
	DevStatus	status;

	game->first_mask = 0;
	status = learn_explain_points(game->explainer, n_sets, fill_mask, game, game->scores, NULL);
	if (status != DEV_OK)
		return status;
	*baseline = game->scores[0];
	*score = game->scores[n_sets - 1];
	set_weights(game->n_players, weights);
	for (int player = 0; player < game->n_players; player++)
	{
		double		sum = 0;

		for (uint32_t set = 0; set < n_sets; set++)
			if (!(set >> player & 1))
				sum += weights[__builtin_popcount(set)] *
					(game->scores[set | (uint32_t) 1 << player] - game->scores[set]);
		contributions[game->columns[player]] = sum;
	}
	return DEV_OK;
}

/* ---- Orders ---- */

/* The points of a pair of orders: after 1 .. n - 1 players from the front, then the same from the back. */
static void
fill_order(void *context, size_t point, const LearnPath *path, float *features)
{
	const Game *game = context;
	int			steps = game->n_players - 1;
	bool		backwards = point >= (size_t) steps;
	int			present = (int) (backwards ? point - (size_t) steps : point) + 1;

	for (size_t i = 0; i < path->n_values; i++)
	{
		int			player = game->player_of[path->group_of[i]];
		bool		in = player != NOT_PLAYING &&
			(backwards ? game->position[player] >= game->n_players - present : game->position[player] < present);

		features[i] = in ? path->row[i] : path->baseline[i];
	}
}

/* The two ends: nobody, everybody. */
static void
fill_end(void *context, size_t point, const LearnPath *path, float *features)
{
	(void) context;
	memcpy(features, point == 0 ? path->baseline : path->row, path->n_values * sizeof(float));
}

/* order (n_players) shuffled by Fisher and Yates; position is its inverse. */
static void
draw_order(Game *game, uint64_t seed, uint64_t number, int *order)
{
	int			n = game->n_players;

	for (int i = 0; i < n; i++)
		order[i] = i;
	for (int i = n - 1; i > 0; i--)
	{
		int			j = (int) dev_random_below(seed, DEV_STREAM_SHAPLEY, number * (uint64_t) n + (uint64_t) i,
											   (uint64_t) i + 1);
		int			swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
	for (int i = 0; i < n; i++)
		game->position[order[i]] = i;
}

static int
n_pairs(const Game *game, const LearnExplain *how)
{
	int			orders = how->permutations;

	if (orders <= 0)
	{
		orders = BUDGET / game->n_players;
		orders = orders < FEWEST_ORDERS ? FEWEST_ORDERS : orders > MOST_ORDERS ? MOST_ORDERS : orders;
	}
	return orders / 2 + orders % 2;
}

/* Adds what each player of a walk gained; scores (n - 1) are those between the two ends. */
static void
add_gains(const Game *game, const int *order, bool backwards, const double *scores, const double ends[2],
		  double share, double *contributions)
{
	int			n = game->n_players;
	double		before = ends[0];

	for (int step = 0; step < n; step++)
	{
		double		after = step == n - 1 ? ends[1] : scores[step];

		contributions[game->columns[order[backwards ? n - 1 - step : step]]] += share * (after - before);
		before = after;
	}
}

static DevStatus
walk_orders(Game *game, const LearnExplain *how, double *contributions, double *score, double *baseline)
{
	int			pairs = n_pairs(game, how);
	size_t		steps = (size_t) game->n_players - 1;
	int		   *order = dev_alloc(game->explainer->session, (size_t) game->n_players, sizeof(int));
	double		ends[2];
	DevStatus	status = DEV_NO_MEMORY;

	if (order != NULL)
		status = learn_explain_points(game->explainer, 2, fill_end, NULL, ends, NULL);
	for (int pair = 0; pair < pairs && status == DEV_OK; pair++)
	{
		draw_order(game, how->seed, (uint64_t) pair, order);
		status = learn_explain_points(game->explainer, 2 * steps, fill_order, game, game->scores, NULL);
		if (status != DEV_OK)
			break;
		add_gains(game, order, false, game->scores, ends, 0.5 / pairs, contributions);
		add_gains(game, order, true, game->scores + steps, ends, 0.5 / pairs, contributions);
	}
	if (status == DEV_OK)
	{
		*baseline = ends[0];
		*score = ends[1];
	}
	dev_release(game->explainer->session, order);
	return status;
}

/* ---- Entry ---- */

static void
number_players(Game *game)
{
	const LearnExplainer *explainer = game->explainer;

	for (size_t column = 0; column < explainer->n_groups; column++)
	{
		game->player_of[column] = NOT_PLAYING;
		if (explainer->moves[column])
		{
			game->columns[game->n_players] = (int) column;
			game->player_of[column] = game->n_players++;
		}
	}
}

DevStatus
learn_explain_shapley(LearnExplainer *explainer, const LearnExplain *how, double *contributions,
					  double *score, double *baseline)
{
	DevSession *session = explainer->session;
	Game		game = {.explainer = explainer};
	int			most = how->exact <= 0 ? DEFAULT_EXACT : how->exact < MOST_EXACT ? how->exact : MOST_EXACT;
	DevStatus	status = DEV_NO_MEMORY;
	bool		exact = false;

	game.player_of = dev_alloc(session, explainer->n_groups + 1, sizeof(int));
	game.columns = dev_alloc(session, explainer->n_groups + 1, sizeof(int));
	game.position = dev_alloc(session, explainer->n_groups + 1, sizeof(int));
	if (game.player_of != NULL && game.columns != NULL && game.position != NULL)
	{
		number_players(&game);
		exact = game.n_players <= most;
		game.scores = dev_alloc(session, exact ? (size_t) 1 << game.n_players : 2 * (size_t) game.n_players,
								sizeof(double));
	}
	if (game.scores != NULL)
		status = exact ? enumerate(&game, contributions, score, baseline)
			: walk_orders(&game, how, contributions, score, baseline);
	dev_release(session, game.scores);
	dev_release(session, game.position);
	dev_release(session, game.columns);
	dev_release(session, game.player_of);
	return status;
}
