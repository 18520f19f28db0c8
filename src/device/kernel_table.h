/*
 * kernel_table.h: the bodies put together; the last include of each kernels_*.c,
 * which defines KERNELS and KERNELS_NAME, and KERNELS_AVX2 or KERNELS_AVX512 for what it targets.
 */
#include "kernel_vector.h"
#include "kernel_multiply.h"
#include "kernel_math.h"
#include "kernel_loops.h"
#include "kernel_random.h"
#include "kernel_normalize.h"
#include "kernel_attention.h"

const Kernels KERNELS = {
	.name = KERNELS_NAME,
	.small = SMALL,
	.multiply = multiply,
	.copy = copy,
	.map = map,
	.map_grad = map_grad,
	.zip = zip,
	.reduce_rows = reduce_rows,
	.reduce_cols = reduce_cols,
	.softmax = softmax,
	.random_mask = random_mask,
	.adam = adam,
	.layer_norm = layer_norm,
	.layer_norm_grad = layer_norm_grad,
	.attend = attend,
	.attend_grad = attend_grad
};
