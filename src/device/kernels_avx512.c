/*
 * kernels_avx512.c: the kernels for x86-64 with AVX-512 (F, BW, DQ, VL).
 *
 * The target is set here and not by a compiler flag, so that any makefile builds
 * this file; headers come first, so that their functions keep the common target.
 */
#include <math.h>
#include <string.h>

#include "kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")
#endif

#define KERNELS_AVX512
#define KERNELS dev_kernels_avx512
#define KERNELS_NAME "avx512"
#include "kernel_table.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
