/*
 * kernels_avx2.c: the kernels for x86-64 with AVX2 and FMA (Intel since 2013, AMD since 2015).
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
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define KERNELS_AVX2
#define KERNELS dev_kernels_avx2
#define KERNELS_NAME "avx2"
#include "kernel_table.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
