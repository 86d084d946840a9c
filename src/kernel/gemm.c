#include "kernel/kernel.h"

#include <blis.h>
#include <stdio.h>

GLE_ISA_DECLARE(const struct gle_kernels, gle_kernels);

const struct gle_kernels *gle_kernels(enum gle_isa isa)
{
#ifdef GLE_ISA_X86
    if (isa == GLE_ISA_AVX512)
        return &gle_kernels_avx512;
    if (isa == GLE_ISA_AVX2)
        return &gle_kernels_avx2;
#endif
    (void)isa;
    return &gle_kernels_base;
}

void gle_blas_name(char *name, size_t size)
{
    bli_init();
    snprintf(name, size, "BLIS %s (%s)", bli_info_get_version_str(), bli_arch_string(bli_arch_query_id()));
}

/* From this width of B on, BLIS is for processors without our kernels for AVX. Beside those, and told which processor
 * it runs on, it is slower or as fast for the shapes of tools/bench, but for e^T r of power-of-two widths under AVX2 (a
 * third faster); where it does not know the processor (0.9.0 on a Zen 5), it is six times slower. */
enum { BLIS_COLUMNS = 1024, BLIS_DEPTH = 64 };

/* BLIS chooses its ways by the shape of a product. */
bool gle_product_rows_apart(const struct gle_kernels *kernels, size_t N)
{
    return kernels != &gle_kernels_base || N < BLIS_COLUMNS;
}

void gle_product(const struct gle_kernels *kernels, float *C, size_t ldc, const float *A, size_t am, size_t ak,
                 const float *B, size_t ldb, size_t M, size_t N, size_t K, float alpha)
{
    if (gle_product_rows_apart(kernels, N) || K < BLIS_DEPTH) {
        kernels->product(C, ldc, A, am, ak, B, ldb, M, N, K, alpha);
        return;
    }
    /* BLIS takes its operands without const, and does not write to A and B. */
    bli_sgemm(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, (dim_t)M, (dim_t)N, (dim_t)K, &alpha, (float *)A,
              (inc_t)am, (inc_t)ak, (float *)B, (inc_t)ldb, 1, &(float){0.0f}, C, (inc_t)ldc, 1);
    for (size_t m = 0; m < M; m++)
        for (size_t n = N; n < gle_padded(N); n++)
            C[m * ldc + n] = 0.0f;
}
