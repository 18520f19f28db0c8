/*
 * test_sequences.c: the operators on sequences against finite differences, and what they promise beyond values: padding
 * without influence, the same bits on every instruction set, extreme scores, tags found as by trying all, quick cancels.
 */
#include "cases_sequence.h"
#include "gradients.h"

int
main(void)
{
	check_all(sequence_cases, N_CASES(sequence_cases));
	return check_done();
}
