/*
 * test_calibrate.c: what is fitted to the answers of trained networks: the temperature of their logits, Cox's likelihood and
 * Breslow's baseline hazard.
 */
#include "check.h"

#include "learn/trainer.h"

static double
normal(uint64_t stream, size_t i)
{
	return dev_random_normal(42, stream, i);
}

static void
check_temperature(void)
{
	enum
	{
		ROWS = 20000
	};
	static float outputs[3 * ROWS];
	static float targets[ROWS];
	const double none[3] = {0, 0, 0};
	const double offset[3] = {-0.7, 0, 0};

	/* logits twice as large as they should be, shifted by what the offset takes back */
	for (size_t row = 0; row < ROWS; row++)
	{
		double		z = 1.5 * normal(700, row);

		targets[row] = dev_random_uniform(45, 701, row) < 1 / (1 + exp(-z)) ? 1 : 0;
		outputs[row] = (float) (2 * z);
	}
	CHECK_NEAR(learn_temperature(ROWS, 1, outputs, targets, none), 2, 0.06, "overconfident logits have temperature 2");
	for (size_t row = 0; row < ROWS; row++)
		outputs[row] = (float) (outputs[row] / 4 + 0.35);
	CHECK_NEAR(learn_temperature(ROWS, 1, outputs, targets, offset), 0.5, 0.02, "timid ones 0.5, the offset known");
	CHECK_NEAR(learn_row_loss(1, outputs, 1, offset, 1), log1p(exp(-((double) outputs[0] - 0.7))), 1e-12, "log loss from a logit");

	for (size_t row = 0; row < ROWS; row++)
	{
		double		z[3];
		double		u = dev_random_uniform(46, 702, row);
		double		sum = 0;
		double		below = 0;
		size_t		class = 0;

		for (size_t i = 0; i < 3; i++)
		{
			z[i] = normal(703 + i, row);
			outputs[row * 3 + i] = (float) (3 * z[i]);
			sum += exp(z[i]);
		}
		while (class < 2 && (below += exp(z[class]) / sum) < u)
			class++;
		targets[row] = (float) class;
	}
	CHECK_NEAR(learn_temperature(ROWS, 3, outputs, targets, none), 3, 0.1, "three classes: 3");
	/* told apart without error: the temperature does not run away */
	for (size_t row = 0; row < ROWS; row++)
	{
		targets[row] = (float) (row % 2);
		outputs[row] = row % 2 ? 5 : -5;
	}
	CHECK(learn_temperature(50, 1, outputs, targets, none) > 0.2, "perfect answers keep a finite confidence");
}

static void
check_hazard(DevSession *session)
{
	/* Times 1, 2, 2, 3, 4; events at 1, 2, 2 (tied), censored 3, event 4. Scores with exp 1, 2, 1, 4, 2. */
	const float targets[] = {2, 1, 4, 1, 1, 1, 3, 0, 2, 1};
	const float scores[] = {logf(2), logf(2), 0, logf(4), 0};
	const double at_1 = 1.0 / 10;
	const double at_2 = 2.0 / 9;
	const double at_4 = 1.0 / 2;
	LearnModel	model = {0};
	double		loss;

	CHECK_STATUS(session, learn_cox_loss(session, 5, scores, targets, &loss), DEV_OK, "Cox's likelihood");
	CHECK_NEAR(loss, (log(10) + log(9) - log(2) + log(9) + 0) / 4, 1e-6, "is that of Breslow's ties");
	CHECK_STATUS(session, learn_breslow(session, 5, scores, targets, &model), DEV_OK, "Breslow's hazard");
	CHECK(model.n_hazard == 3 && model.hazard_time[0] == 1 && model.hazard_time[1] == 2 && model.hazard_time[2] == 4,
		  "steps at the event times");
	CHECK_NEAR(model.hazard[0], at_1, 1e-7, "by events over those at risk, first");
	CHECK_NEAR(model.hazard[1], at_1 + at_2, 1e-7, "tied");
	CHECK_NEAR(model.hazard[2], at_1 + at_2 + at_4, 1e-7, "and last");
	CHECK(learn_cox_loss(session, 1, scores, targets + 6, &loss) == DEV_OK && isnan(loss), "no event, no likelihood");
}

int
main(void)
{
	DevSession *session;

	CHECK_OR_STOP(dev_session_open(NULL, 1, &session) == DEV_OK, "a session opens");
	check_temperature();
	check_hazard(session);
	dev_session_close(session);
	return check_done();
}
