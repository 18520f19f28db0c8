/*
 * learn_trouble.h: a failure on a thread that has no session.
 *
 * What decodes or prepares one example runs on worker threads, where no session may be touched: it
 * writes the failure here, and the main thread records it with dev_fail, dev_detail and dev_hint.
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
