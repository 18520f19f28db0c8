/*
 * kernel_table.h: the bodies put together; the last include of each kernels_*.c,
 * which defines KERNELS and KERNELS_NAME, and KERNELS_AVX2 or KERNELS_AVX512 for what it targets.
 */
#include "kernel_vector.h"
#include "kernel_multiply.h"
#include "kernel_math.h"
#include "kernel_loops.h"
#include "kernel_random.h"
#include "kernel_winograd.h"
#include "kernel_window.h"
#include "kernel_normalize.h"
#include "kernel_recurrent.h"
#include "kernel_layer_norm.h"
#include "kernel_attention.h"

const Kernels KERNELS = {
	.name = KERNELS_NAME,
	.small = SMALL,
	.multiply = multiply,
	.pack = pack,
	.multiply_packed = multiply_packed,
	.lstm_cell = lstm_cell,
	.gru_cell = gru_cell,
	.lstm_cell_grad = lstm_cell_grad,
	.gru_cell_grad = gru_cell_grad,
	.copy = copy,
	.map = map,
	.map_grad = map_grad,
	.zip = zip,
	.reduce_rows = reduce_rows,
	.reduce_cols = reduce_cols,
	.softmax = softmax,
	.random_mask = random_mask,
	.adam = adam,
	.multiply_small = multiply_small,
	.winograd_source = winograd_source,
	.winograd_output = winograd_output,
	.winograd_output_back = winograd_output_back,
	.winograd_weights = winograd_weights,
	.winograd_weights_back = winograd_weights_back,
	.lower = lower,
	.raise_rows = raise_rows,
	.depthwise = depthwise,
	.depthwise_src = depthwise_src,
	.depthwise_weights = depthwise_weights,
	.pool = pool,
	.pool_grad = pool_grad,
	.pool_all = pool_all,
	.pool_all_grad = pool_all_grad,
	.moments = moments,
	.affine = affine,
	.affine_sums = affine_sums,
	.affine_grad = affine_grad,
	.add_relu = add_relu,
	.layer_norm = layer_norm,
	.layer_norm_grad = layer_norm_grad,
	.attend = attend,
	.attend_grad = attend_grad
};
