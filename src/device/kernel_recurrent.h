/*
 * kernel_recurrent.h: what one position of one sequence does between two products of a recurrence.
 *
 * Gates are summed, squashed and put together in one loop, since each alone would be a walk through
 * memory; forward keeps the squashed gates, from which all derivatives are made.
 */

static void
lstm_cell(size_t n, const float *bias, const float *product, float *gates, const float *before,
		  float *cell, float *dst, float *state)
{
	EACH(n)
	{
		float		in = math_sigmoid(gates[i] + bias[i] + product[i]);
		float		forget = math_sigmoid(gates[n + i] + bias[n + i] + product[n + i]);
		float		candidate = math_tanh(gates[2 * n + i] + bias[2 * n + i] + product[2 * n + i]);
		float		out = math_sigmoid(gates[3 * n + i] + bias[3 * n + i] + product[3 * n + i]);
		float		c = forget * before[i] + in * candidate;
		float		h = out * math_tanh(c);

		gates[i] = in;
		gates[n + i] = forget;
		gates[2 * n + i] = candidate;
		gates[3 * n + i] = out;
		cell[i] = c;
		dst[i] = h;
		state[i] = h;
	}
}

static void
lstm_cell_grad(size_t n, const float *gates, const float *before, const float *cell, const float *diff_dst,
			   const float *carry, float *carry_cell, float *diff_gates, float *product, float *diff_bias)
{
	EACH(n)
	{
		float		in = gates[i];
		float		forget = gates[n + i];
		float		candidate = gates[2 * n + i];
		float		out = gates[3 * n + i];
		float		squashed = math_tanh(cell[i]);
		float		diff = diff_dst[i] + carry[i];
		float		diff_cell = carry_cell[i] + diff * (out * (1.0f - squashed * squashed));
		float		diff_in = diff_cell * candidate * (in * (1.0f - in));
		float		diff_forget = diff_cell * before[i] * (forget * (1.0f - forget));
		float		diff_candidate = diff_cell * in * (1.0f - candidate * candidate);
		float		diff_out = diff * squashed * (out * (1.0f - out));

		carry_cell[i] = diff_cell * forget;
		diff_gates[i] = product[i] = diff_in;
		diff_gates[n + i] = product[n + i] = diff_forget;
		diff_gates[2 * n + i] = product[2 * n + i] = diff_candidate;
		diff_gates[3 * n + i] = product[3 * n + i] = diff_out;
		diff_bias[i] += diff_in;
		diff_bias[n + i] += diff_forget;
		diff_bias[2 * n + i] += diff_candidate;
		diff_bias[3 * n + i] += diff_out;
	}
}

static void
gru_cell(size_t n, const float *bias, const float *bias_hidden, const float *product, float *gates,
		 const float *before, float *dst, float *state)
{
	EACH(n)
	{
		float		reset = math_sigmoid(gates[i] + bias[i] + product[i]);
		float		update = math_sigmoid(gates[n + i] + bias[n + i] + product[n + i]);
		float		memory = product[2 * n + i] + bias_hidden[i];
		float		candidate = math_tanh(gates[2 * n + i] + bias[2 * n + i] + reset * memory);
		float		h = candidate + update * (before[i] - candidate);

		gates[i] = reset;
		gates[n + i] = update;
		gates[2 * n + i] = candidate;
		gates[3 * n + i] = memory;
		dst[i] = h;
		state[i] = h;
	}
}

static void
gru_cell_grad(size_t n, const float *gates, const float *before, const float *diff_dst, float *carry,
			  float *diff_gates, float *product, float *diff_bias)
{
	EACH(n)
	{
		float		reset = gates[i];
		float		update = gates[n + i];
		float		candidate = gates[2 * n + i];
		float		diff = diff_dst[i] + carry[i];
		float		diff_update = diff * (before[i] - candidate) * (update * (1.0f - update));
		float		diff_candidate = diff * (1.0f - update) * (1.0f - candidate * candidate);
		float		diff_memory = diff_candidate * reset;
		float		diff_reset = diff_candidate * gates[3 * n + i] * (reset * (1.0f - reset));

		carry[i] = diff * update;
		diff_gates[i] = product[i] = diff_reset;
		diff_gates[n + i] = product[n + i] = diff_update;
		diff_gates[2 * n + i] = diff_candidate;
		diff_gates[3 * n + i] = product[2 * n + i] = diff_memory;
		diff_bias[i] += diff_reset;
		diff_bias[n + i] += diff_update;
		diff_bias[2 * n + i] += diff_candidate;
		diff_bias[3 * n + i] += diff_memory;
	}
}
