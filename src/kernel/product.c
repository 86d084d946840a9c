/* Register-blocked product for the layer widths of this field (1 to some hundred), where a general gemm spends its time
 * on packing and dispatch. Tiles of MR rows by 3 vectors of C stay in registers while k runs; B is read along its rows,
 * one element of A is broadcast at a time, so that A may have any strides: s = r W^T, e W and e^T r are all this. */
#include "kernel/product.h"
#include "kernel/kernel.h"

#include <stdint.h>

#if defined(__AVX512F__)
enum { VL = 16, MR = 8 };
#elif defined(__AVX2__)
enum { VL = 8, MR = 4 };
#else
enum { VL = 4, MR = 4 };
#endif
enum { NV = 3 };

typedef float vec __attribute__((vector_size(4 * VL)));
typedef int32_t mask __attribute__((vector_size(4 * VL)));
typedef float loose __attribute__((vector_size(4 * VL), aligned(4), may_alias));
typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* Stores the first `room` (VL, or 8 if VL is 16) lanes of x, with lanes from n on set to zero. */
INLINE void store(float *c, vec x, size_t n, size_t room)
{
    if (n < VL) {
        mask lane;
        for (int i = 0; i < VL; i++)
            lane[i] = i;
        x = (vec)((mask)x & (lane < (int32_t)n));
    }
    if (room >= VL) {
        *(loose *)c = x;
    } else {
        union {
            vec whole;
            eight half;
        } both = {.whole = x};
        *(eight *)c = both.half;
    }
}

/* mr rows by nv vectors of C, of which n columns count and `room` floats may be written in each row. */
INLINE void tile(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb, size_t K,
                 float alpha, size_t n, size_t room, const int mr, const int nv)
{
    vec acc[MR][NV];

    for (int i = 0; i < mr; i++)
        for (int j = 0; j < nv; j++)
            acc[i][j] = (vec){0};
    for (size_t k = 0; k < K; k++) {
        vec b[NV];
        for (int j = 0; j < nv; j++)
            b[j] = *(const loose *)(B + k * ldb + (size_t)(j * VL));
        for (int i = 0; i < mr; i++) {
            const float a = A[(size_t)i * am + k * ak];
            for (int j = 0; j < nv; j++)
                acc[i][j] += a * b[j];
        }
    }
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < nv; j++) {
            const size_t at = (size_t)(j * VL);
            store(C + (size_t)i * ldc + at, alpha * acc[i][j], n > at ? n - at : 0, room - at);
        }
}

/* All rows of a panel of nv vectors. */
INLINE void panel(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb, size_t M,
                  size_t K, float alpha, size_t n, size_t room, const int nv)
{
    size_t m = 0;

    for (; m + MR <= M; m += MR)
        tile(C + m * ldc, ldc, A + m * am, am, ak, B, ldb, K, alpha, n, room, MR, nv);
    for (; m + MR / 2 <= M; m += MR / 2)
        tile(C + m * ldc, ldc, A + m * am, am, ak, B, ldb, K, alpha, n, room, MR / 2, nv);
    for (; m < M; m++)
        tile(C + m * ldc, ldc, A + m * am, am, ak, B, ldb, K, alpha, n, room, 1, nv);
}

void GLE_ISA_NAME(gle_product)(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb,
                               size_t M, size_t N, size_t K, float alpha)
{
    const size_t width = gle_padded(N);
    size_t n = 0;

    for (; n + NV * VL <= N; n += NV * VL) /* whole panels: nothing to mask */
        panel(C + n, ldc, A, am, ak, B + n, ldb, M, K, alpha, NV * VL, NV * VL, NV);
    while (n < width) {
        const size_t room = width - n, left = N > n ? N - n : 0;
        const size_t vectors = (room + VL - 1) / VL;
        if (vectors >= 3)
            panel(C + n, ldc, A, am, ak, B + n, ldb, M, K, alpha, left, room, 3);
        else if (vectors == 2)
            panel(C + n, ldc, A, am, ak, B + n, ldb, M, K, alpha, left, room, 2);
        else
            panel(C + n, ldc, A, am, ak, B + n, ldb, M, K, alpha, left, room, 1);
        n += (vectors < 3 ? vectors : 3) * VL;
    }
}
