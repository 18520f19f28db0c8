/*
 * adversarial.h: what the attack on tables needs of its constraints; private to src/learn.
 */
#ifndef IDLA_LEARN_ADVERSARIAL_PRIVATE_H
#define IDLA_LEARN_ADVERSARIAL_PRIVATE_H

#include "idla/learn_adversarial.h"

/*
 * The allowed value nearest to wanted within reach (raw units) of clean; clean itself when there is none. towards:
 * nowhere farther from clean than wanted is.
 */
extern float learn_legal_value(const LearnConstraint *constraint, double reach, float clean, double wanted, bool towards);
/* Derivative of a number channel's scaled value by its raw value. */
extern double learn_scale_slope(const LearnChannel *channel, float raw);

#endif							/* IDLA_LEARN_ADVERSARIAL_PRIVATE_H */
