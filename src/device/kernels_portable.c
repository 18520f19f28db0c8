/*
 * kernels_portable.c: the kernels in plain C, for every processor, and the
 * choice among the variants.
 */
#include <math.h>
#include <string.h>

#include "kernels.h"

#define KERNELS dev_kernels_portable
#define KERNELS_NAME "portable"
#include "kernel_table.h"

const Kernels *
dev_kernels(int i)
{
	const Kernels *supported[3];
	int			n = 0;

#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
		__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
		supported[n++] = &dev_kernels_avx512;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		supported[n++] = &dev_kernels_avx2;
#endif
	supported[n++] = &dev_kernels_portable;
	return i >= 0 && i < n ? supported[i] : NULL;
}
