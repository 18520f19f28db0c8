/*
 * cpu_codes.c: sequences of codes: which of them count, and which say the same.
 */
#include "cpu_special.h"

void
dev_cpu_limit_codes(DevQueue *queue, size_t batch, size_t length, const int32_t *codes, const int32_t *lengths,
					size_t n_table, int32_t *dst)
{
	(void) queue;
	for (size_t b = 0; b < batch; b++)
		for (size_t i = 0; i < length; i++)
		{
			int32_t		code = codes[b * length + i];
			bool		inside = lengths == NULL || (lengths[b] > 0 && i < (size_t) lengths[b]);

			dst[b * length + i] = inside && code >= 0 && (size_t) code < n_table ? code : -1;
		}
}

void
dev_cpu_first_equal(DevQueue *queue, size_t n, const int32_t *codes, int32_t *dst)
{
	(void) queue;
	for (size_t i = 0; i < n; i++)
	{
		size_t		j = 0;

		while (codes[j] != codes[i])
			j++;
		dst[i] = codes[i] < 0 ? -1 : (int32_t) j;
	}
}
