/* product.h - the small matrix product, for kernel.c's table only. See struct gle_kernels. */
#ifndef GLE_KERNEL_PRODUCT_H
#define GLE_KERNEL_PRODUCT_H

#include "kernel/isa.h"

void GLE_ISA_NAME(gle_product)(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb,
                               size_t M, size_t N, size_t K, float alpha);

#endif
