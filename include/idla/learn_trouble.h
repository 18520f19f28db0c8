/*
 * learn_trouble.h: why a reader of untrusted bytes gave up.
 *
 * Readers of images, signals and text run on worker threads too, which have no
 * session to record a failure in: they fill a LearnTrouble of the caller's. The texts follow the rules of dev_fail,
 * dev_detail and dev_hint, are ASCII whatever the bytes were, and are cut where they do not fit.
 */
#ifndef IDLA_LEARN_TROUBLE_H
#define IDLA_LEARN_TROUBLE_H

#include "idla/session.h"

typedef struct LearnTrouble
{
	DevStatus	status;			/* DEV_OK: none */
	char		message[200];
	char		detail[200];	/* "" when there is none */
	char		hint[200];
} LearnTrouble;

#endif							/* IDLA_LEARN_TROUBLE_H */
