/* Register-blocked product. Tiles of MR rows by 3 vectors of C stay in registers while k runs; B is read along its
 * rows, one element of A is broadcast at a time, so that A may have any strides: s = r W^T, e W and e^T r are all this.
 *
 * A panel of B, the columns under such a tile, is read again for every tile, and its rows lie far apart. Where B is
 * small it stays in a near cache. Where it is large, the first tile of a panel leaves a dense copy of up to DEPTH rows
 * for the others, which meanwhile have the next panel fetched; C carries the sums from one piece of K to the next,
 * unscaled, so that their order, and their bits, stay the same. */
#include "kernel/product.h"
#include "kernel/kernel.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(__AVX512F__)
enum { VL = 16, MR = 8 };
#elif defined(__AVX2__)
enum { VL = 8, MR = 4 };
#else
enum { VL = 4, MR = 4 };
#endif
enum {
    NV = 3,
    PANEL = NV * VL,
    DEPTH = 384, /* such a copy streams well from the second cache, and as many columns of A fit there, too */
    /* From here on copies pay: measured with tools/bench on an AVX-512 core with a second cache of 1 MiB. */
    DEEP_ROWS = (1 + NV) * MR,
    DEEP_FLOATS = 1 << 18, /* in B */
};

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

/* acc += A B, for mr rows by nv vectors. With `copy`, what is read of B goes there, dense; with `ahead`, K lines of
 * cache from there on, `step` floats apart, are fetched on the way. */
INLINE void run(vec acc[MR][NV], const float *A, size_t am, size_t ak, const float *B, size_t ldb, size_t K,
                float *copy, const float *ahead, size_t step, const int mr, const int nv)
{
    for (size_t k = 0; k < K; k++) {
        vec b[NV];
        if (ahead)
            __builtin_prefetch(ahead + k * step, 0, 2);
        for (int j = 0; j < nv; j++) {
            b[j] = *(const loose *)(B + k * ldb + (size_t)(j * VL));
            if (copy)
                *(vec *)(copy + k * PANEL + (size_t)(j * VL)) = b[j];
        }
        for (int i = 0; i < mr; i++) {
            const float a = A[(size_t)i * am + k * ak];
            for (int j = 0; j < nv; j++)
                acc[i][j] += a * b[j];
        }
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
    run(acc, A, am, ak, B, ldb, K, NULL, NULL, 0, mr, nv);
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

/* mr rows of a whole panel: C = alpha * (A B + C, if that holds the sums so far). */
INLINE void deep_tile(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb, size_t K,
                      bool resume, float alpha, float *copy, const float *ahead, size_t step, const int mr)
{
    vec acc[MR][NV];

    for (int i = 0; i < mr; i++)
        for (int j = 0; j < NV; j++)
            acc[i][j] = resume ? (vec)*(const loose *)(C + (size_t)i * ldc + (size_t)(j * VL)) : (vec){0};
    run(acc, A, am, ak, B, ldb, K, copy, ahead, step, mr, NV);
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < NV; j++)
            *(loose *)(C + (size_t)i * ldc + (size_t)(j * VL)) = alpha * acc[i][j];
}

/* All rows of a whole panel, DEEP_ROWS or more; K <= DEPTH. `next`: the panel that comes after it. */
static void deep_panel(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb,
                       const float *next, size_t M, size_t K, bool resume, float alpha)
{
    _Alignas(64) float copy[DEPTH * PANEL];
    size_t m = MR;

    deep_tile(C, ldc, A, am, ak, B, ldb, K, resume, alpha, copy, NULL, 0, MR);
    for (size_t j = 0; j < NV; j++, m += MR)
        deep_tile(C + m * ldc, ldc, A + m * am, am, ak, copy, PANEL, K, resume, alpha, NULL, next + j * VL, ldb, MR);
    for (; m + MR <= M; m += MR)
        deep_tile(C + m * ldc, ldc, A + m * am, am, ak, copy, PANEL, K, resume, alpha, NULL, NULL, 0, MR);
    for (; m + MR / 2 <= M; m += MR / 2)
        deep_tile(C + m * ldc, ldc, A + m * am, am, ak, copy, PANEL, K, resume, alpha, NULL, NULL, 0, MR / 2);
    for (; m < M; m++)
        deep_tile(C + m * ldc, ldc, A + m * am, am, ak, copy, PANEL, K, resume, alpha, NULL, NULL, 0, 1);
}

/* The whole panels, N / PANEL of them; M >= DEEP_ROWS. */
static void deep_panels(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb,
                        size_t M, size_t N, size_t K, float alpha)
{
    const size_t pieces = (K + DEPTH - 1) / DEPTH, most = (K + pieces - 1) / pieces;

    for (size_t k = 0; k < K; k += most) {
        const size_t depth = K - k < most ? K - k : most;
        const float *row = B + k * ldb;
        for (size_t n = 0; n + PANEL <= N; n += PANEL)
            deep_panel(C + n, ldc, A + k * ak, am, ak, row + n, ldb, row + (n + 2 * PANEL <= N ? n + PANEL : n), M,
                       depth, k > 0, k + depth == K ? alpha : 1.0f);
    }
}

void GLE_ISA_NAME(gle_product)(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb,
                               size_t M, size_t N, size_t K, float alpha)
{
    const size_t width = gle_padded(N);
    size_t n = 0;

    if (M >= DEEP_ROWS && K * ldb >= DEEP_FLOATS) {
        deep_panels(C, ldc, A, am, ak, B, ldb, M, N, K, alpha);
        n = N / PANEL * PANEL;
    }
    for (; n + PANEL <= N; n += PANEL) /* whole panels: nothing to mask */
        panel(C + n, ldc, A, am, ak, B + n, ldb, M, K, alpha, PANEL, PANEL, NV);
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
