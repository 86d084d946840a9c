/* bench_fma.h - the most multiply-adds that a core does, compiled for each instruction set as kernels are. */
#ifndef GLE_TOOLS_BENCH_FMA_H
#define GLE_TOOLS_BENCH_FMA_H

#include "kernel/isa.h"

#include <stddef.h>

/* Chains of multiply-adds on registers, n in each. Returns the floating-point operations made (a multiply-add is two);
 * *unused: what comes out. */
typedef double fma_function(float *unused, size_t n);
GLE_ISA_DECLARE(fma_function, fma_chains);

#endif
