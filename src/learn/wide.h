/*
 * wide.h: loops that use what the processor has; private to src/learn.
 */
#ifndef IDLA_LEARN_WIDE_H
#define IDLA_LEARN_WIDE_H

/*
 * Loops over many numbers come in three widths, chosen when the library is loaded. Every operation is an IEEE one by itself, so the
 * bits are the same: it is -ffp-contract=off in engine.mk that keeps the wider ones from fusing a product with a sum. The sanitizers'
 * start comes too late for such a choice.
 */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__SANITIZE_ADDRESS__)
#define WIDE_LOOPS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE_LOOPS
#endif

#endif							/* IDLA_LEARN_WIDE_H */
