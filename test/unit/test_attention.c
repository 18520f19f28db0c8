/*
 * test_attention.c: attention and its neighbours against finite differences, and over tiles.
 */
#include "cases_attention.h"
#include "gradients.h"

int
main(void)
{
	check_all(attention_cases, N_CASES(attention_cases));
	return check_done();
}
