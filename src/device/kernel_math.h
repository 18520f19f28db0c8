/*
 * kernel_math.h: functions of one float, without branches so that loops over them vectorise.
 *
 * Each is a fixed sequence of correctly rounded operations, fused multiply-adds being
 * written out: the result depends on the argument alone, not on the place in an
 * array nor on the instruction set. Errors are a few units in the last place. The
 * coefficients are minimax fits over the stated ranges. NaN gives NaN.
 */
static ALWAYS_INLINE float
float_of(uint32_t bits)
{
	union
	{
		uint32_t	bits;
		float		value;
	}			u = {bits};

	return u.value;
}

static ALWAYS_INLINE uint32_t
bits_of(float value)
{
	union
	{
		float		value;
		uint32_t	bits;
	}			u = {value};

	return u.bits;
}

/* Adding this rounds to an integer, which is then found in the low bits. */
#define ROUNDER 0x1.8p23f
#define LOG2_E 0x1.715476p+0f
#define LN2_HIGH 0x1.62e400p-1f	/* few bits: products with small integers are exact */
#define LN2_LOW 0x1.7f7d1cp-20f

/* (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2 */
static ALWAYS_INLINE float
exp_tail(float r)
{
	float		p = 0x1.a1a2b0p-13f;

	p = __builtin_fmaf(p, r, 0x1.6d98d8p-10f);
	p = __builtin_fmaf(p, r, 0x1.11108ep-7f);
	p = __builtin_fmaf(p, r, 0x1.55547ep-5f);
	p = __builtin_fmaf(p, r, 0x1.555556p-3f);
	return __builtin_fmaf(p, r, 0.5f);
}

static ALWAYS_INLINE float
math_exp(float x)
{
	float		bounded = x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x;
	float		shifted = __builtin_fmaf(bounded, LOG2_E, ROUNDER);
	float		whole = shifted - ROUNDER;
	int32_t		power = (int32_t) bits_of(shifted) - (int32_t) bits_of(ROUNDER);
	int32_t		half = power >> 1;
	float		r = __builtin_fmaf(whole, -LN2_LOW, __builtin_fmaf(whole, -LN2_HIGH, bounded));
	float		e = __builtin_fmaf(r * r, exp_tail(r), r) + 1.0f;

	/* In two steps, so that subnormal results and the last power below infinity come out right. */
	e *= float_of((uint32_t) (half + 127) << 23);
	return e * float_of((uint32_t) (power - half + 127) << 23);
}

/* e^x - 1 for x <= 0 */
static ALWAYS_INLINE float
math_expm1_negative(float x)
{
	float		bounded = x < -30.0f ? -30.0f : x > 0.0f ? 0.0f : x;
	float		shifted = __builtin_fmaf(bounded, LOG2_E, ROUNDER);
	float		whole = shifted - ROUNDER;
	uint32_t	power = bits_of(shifted) - bits_of(ROUNDER);
	float		r = __builtin_fmaf(whole, -LN2_LOW, __builtin_fmaf(whole, -LN2_HIGH, bounded));
	float		scale = float_of((power + 127u) << 23);

	return __builtin_fmaf(scale, __builtin_fmaf(r * r, exp_tail(r), r), scale - 1.0f);
}

static ALWAYS_INLINE float
math_log(float x)
{
	bool		subnormal = x < 0x1p-126f;
	uint32_t	bits = bits_of(subnormal ? x * 0x1p23f : x);
	int32_t		power = (int32_t) (bits - 0x3f3504f3u) >> 23;	/* of the factor in [sqrt(1/2), sqrt(2)) */
	float		f = float_of(bits - ((uint32_t) power << 23)) - 1.0f;
	float		e = (float) power - (subnormal ? 23.0f : 0.0f);
	float		square = f * f;
	float		p = 0x1.1b3206p-4f;
	float		y;

	p = __builtin_fmaf(p, f, -0x1.e2e182p-4f);
	p = __builtin_fmaf(p, f, 0x1.e653d8p-4f);
	p = __builtin_fmaf(p, f, -0x1.fb44c8p-4f);
	p = __builtin_fmaf(p, f, 0x1.2332a2p-3f);
	p = __builtin_fmaf(p, f, -0x1.5562d6p-3f);
	p = __builtin_fmaf(p, f, 0x1.99a546p-3f);
	p = __builtin_fmaf(p, f, -0x1.ffffeep-3f);
	p = __builtin_fmaf(p, f, 0x1.555546p-2f);
	y = __builtin_fmaf(f * square, p, e * LN2_LOW);
	y = __builtin_fmaf(-0.5f, square, y) + f;
	y = __builtin_fmaf(e, LN2_HIGH, y);
	return x > 0.0f ? (x < INFINITY ? y : x) : (x == 0.0f ? -INFINITY : NAN);
}

static ALWAYS_INLINE float
math_sigmoid(float x)
{
	return 1.0f / (1.0f + math_exp(-x));
}

static ALWAYS_INLINE float
math_tanh(float x)
{
	float		size = __builtin_fabsf(x);
	float		large = 1.0f - 2.0f / (math_exp(size + size) + 1.0f);
	float		square = x * x;
	float		p = 0x1.0e9c0ap-9f;

	p = __builtin_fmaf(p, square, -0x1.092784p-7f);
	p = __builtin_fmaf(p, square, 0x1.62fb0cp-6f);
	p = __builtin_fmaf(p, square, -0x1.b9e18ap-5f);
	p = __builtin_fmaf(p, square, 0x1.111026p-3f);
	p = __builtin_fmaf(p, square, -0x1.555552p-2f);
	return size < 0.65f ? __builtin_fmaf(x * square, p, x) : __builtin_copysignf(large, x);
}

/* log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), with what 1 + t loses of a small t put back */
static ALWAYS_INLINE float
math_softplus(float x)
{
	float		t = math_exp(-__builtin_fabsf(x));
	float		u = 1.0f + t;

	return (x < 0.0f ? 0.0f : x) + (math_log(u) + (t - (u - 1.0f)) / u);
}

/*
 * Phi(-|x|), the normal distribution's tail, and its density: phi(a) * t * R(t), t = 1 / (a + 3), where R is
 * fitted to Mills' ratio over [0, 14]. The square is kept in two parts, or its rounding would be magnified.
 */
static ALWAYS_INLINE float
math_normal_tail(float x, float *density)
{
	float		size = __builtin_fabsf(x);
	float		a = size < 20.0f ? size : 20.0f;
	float		square = a * a;
	float		rest = __builtin_fmaf(a, a, -square);
	float		t = 1.0f / (a + 3.0f);
	float		p = -0x1.18daecp+10f;
	float		e = math_exp(-0.5f * square);

	p = __builtin_fmaf(p, t, 0x1.0a77d8p+11f);
	p = __builtin_fmaf(p, t, -0x1.73da8ep+10f);
	p = __builtin_fmaf(p, t, 0x1.9031f8p+8f);
	p = __builtin_fmaf(p, t, -0x1.043948p+5f);
	p = __builtin_fmaf(p, t, 0x1.859888p+4f);
	p = __builtin_fmaf(p, t, 0x1.e6ec1ap+2f);
	p = __builtin_fmaf(p, t, 0x1.81b79ap+1f);
	p = __builtin_fmaf(p, t, 0x1.ffe67ap-1f);
	*density = 0x1.988454p-2f * __builtin_fmaf(-0.5f * rest, e, e);
	return *density * (t * p);
}

static ALWAYS_INLINE float
math_normal_cdf(float x, float *density)
{
	float		tail = math_normal_tail(x, density);

	return x < 0.0f ? tail : 1.0f - tail;
}

static ALWAYS_INLINE float
math_gelu(float x)
{
	float		density;

	return x * math_normal_cdf(x, &density);
}

static ALWAYS_INLINE float
math_gelu_slope(float x)
{
	float		density;
	float		cdf = math_normal_cdf(x, &density);

	return __builtin_fmaf(x, density, cdf);
}

static ALWAYS_INLINE float
math_silu(float x)
{
	return x * math_sigmoid(x);
}

static ALWAYS_INLINE float
math_silu_slope(float x)
{
	float		s = math_sigmoid(x);

	return s * __builtin_fmaf(x, 1.0f - s, 1.0f);
}

/* tanh(log(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2) */
static ALWAYS_INLINE float
mish_gate(float x)
{
	float		w = math_exp(x > 30.0f ? 30.0f : x);
	float		n = w * (w + 2.0f);

	return n / (n + 2.0f);
}

static ALWAYS_INLINE float
math_mish_slope(float x)
{
	float		gate = mish_gate(x);

	return __builtin_fmaf(x * (1.0f - gate * gate), math_sigmoid(x), gate);
}

#define SELU_SCALE 1.0507009873554805f
#define SELU_SCALE_ALPHA 1.7580993408473766f

static ALWAYS_INLINE float
math_selu(float x)
{
	return x > 0.0f ? SELU_SCALE * x : x == x ? SELU_SCALE_ALPHA * math_expm1_negative(x) : x;
}

/*
 * sin(x + quarter * pi / 2). The angle is reduced in double precision by pi/2 in two parts, exact enough for every
 * angle up to 2^40; beyond, where neighbouring floats are many turns apart, the angle is taken as 0.
 */
static ALWAYS_INLINE float
math_sine(float x, uint32_t quarter)
{
	double		wide = __builtin_fabsf(x) < 0x1p40f ? (double) x : 0.0;
	double		shifted = __builtin_fma(wide, 0x1.45f306dc9c883p-1, 0x1.8p52);
	double		turns = shifted - 0x1.8p52;
	float		r = (float) __builtin_fma(turns, -0x1.1a62633145c07p-54, __builtin_fma(turns, -0x1.921fb54442d18p+0, wide));
	union
	{
		double		value;
		uint64_t	bits;
	}			u = {shifted};
	uint32_t	quadrant = (uint32_t) u.bits + quarter;
	float		square = r * r;
	float		sine = 0x1.6cd204p-19f;
	float		cosine = -0x1.242618p-22f;
	float		y;

	sine = __builtin_fmaf(sine, square, -0x1.a00f84p-13f);
	sine = __builtin_fmaf(sine, square, 0x1.111108p-7f);
	sine = __builtin_fmaf(sine, square, -0x1.555556p-3f);
	sine = __builtin_fmaf(r * square, sine, r);
	cosine = __builtin_fmaf(cosine, square, 0x1.a0110ap-16f);
	cosine = __builtin_fmaf(cosine, square, -0x1.6c16b8p-10f);
	cosine = __builtin_fmaf(cosine, square, 0x1.555556p-5f);
	cosine = __builtin_fmaf(square * square, cosine, __builtin_fmaf(square, -0.5f, 1.0f));
	y = (quadrant & 1) != 0 ? cosine : sine;
	y = float_of(bits_of(y) ^ ((quadrant & 2) << 30));
	return __builtin_fabsf(x) < INFINITY ? y : NAN;
}
