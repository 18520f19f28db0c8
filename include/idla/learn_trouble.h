/*
 * learn_trouble.h: what went wrong, for functions that worker threads call.
 *
 * A worker has no session to record a failure in; it gets one of these from its caller,
 * who hands it on with dev_fail, dev_detail and dev_hint. Written only on failure.
 */
#ifndef IDLA_LEARN_TROUBLE_H
#define IDLA_LEARN_TROUBLE_H

#include "idla/session.h"

typedef struct LearnTrouble
{
	DevStatus	status;
	char		message[200];
	char		detail[200];
	char		hint[200];
} LearnTrouble;

#endif							/* IDLA_LEARN_TROUBLE_H */
