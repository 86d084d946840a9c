/* Register-blocked product. Tiles of some rows of C by 1 to 8 half vectors stay in registers while k runs; B is read along
 * its rows, one element of A is broadcast at a time, so that A may have any strides: s = r W^T, e W and e^T r are all this.
 *
 * The columns under a tile are a panel. Rows of C are padded to GLE_PAD floats, half a vector of AVX-512: 53 columns are
 * seven halves, which one panel computes, with no lane more. Wherever the borders of tiles lie, each element of C is summed
 * over k in the same order, and has the same bits.
 *
 * A panel is read again for every tile, and its rows lie far apart. Where B is small it stays in a near cache. Where it is
 * large, the first tile of a panel leaves a dense copy of up to DEPTH rows for the others, which meanwhile have the next
 * panel fetched; C carries the sums from one piece of K to the next, unscaled, so that their order stays the same. */
#include "kernel/product.h"
#include "kernel/kernel.h"

#include <stdbool.h>
#include <stdint.h>

/* MR rows by NV vectors are a whole panel's tile. WIDEST: half vectors of the widest panel there is room for. */
#if defined(__AVX512F__)
enum { VL = 16, MR = 8, WIDEST = 8 };
#elif defined(__AVX2__)
enum { VL = 8, MR = 4, WIDEST = 6 };
#else
enum { VL = 4, MR = 4, WIDEST = 6 };
#endif
enum {
    NV = 3,
    WHOLE = 2 * NV, /* half vectors of a whole panel */
    HALF = VL / 2,
    MOST_ROWS = 8,
    MOST_VECTORS = 4,
    PANEL = NV * VL,
    DEPTH = 384, /* such a copy streams well from the second cache, and as many columns of A fit there, too */
    /* From here on copies pay: measured with tools/bench on an AVX-512 core with a second cache of 1 MiB. */
    DEEP_ROWS = (1 + NV) * MR,
    DEEP_FLOATS = 1 << 18, /* in B */
};

typedef float vec __attribute__((vector_size(4 * VL)));
typedef float loose __attribute__((vector_size(4 * VL), aligned(4), may_alias));
typedef float half __attribute__((vector_size(4 * HALF)));
typedef int32_t lanes __attribute__((vector_size(4 * VL)));
typedef int32_t half_lanes __attribute__((vector_size(4 * HALF)));
typedef float loose_half __attribute__((vector_size(4 * HALF), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* The sums of a tile: nv vectors of each row, and then perhaps half of one. */
struct sums {
    vec v[MOST_ROWS][MOST_VECTORS];
    half h[MOST_ROWS];
};

/* The rows of a tile of so many half vectors: enough sums to hide how long each takes, and no more than registers. */
INLINE int rows_of(const int halves)
{
    if (VL == 16)
        return halves > WHOLE ? 6 : 8;
    return halves > 4 ? 4 : halves > 2 ? 6 : 8;
}

/* Of fewer rows than a tile has, those of the next small one: no row is left alone, whose sums would wait for each other. */
static size_t last_rows(size_t left)
{
    return left == 5 ? 3 : left < 4 ? left : 4;
}

/* acc += A B, for mr rows. With `copy`, what is read of B goes there, dense; with `ahead`, K lines of cache from there on,
 * `step` floats apart, are fetched on the way. */
INLINE void run(struct sums *acc, const float *A, size_t am, size_t ak, const float *B, size_t ldb, size_t K,
                float *copy, const float *ahead, size_t step, const int mr, const int halves)
{
    const int nv = halves / 2;
    const bool odd = halves % 2;

    for (size_t k = 0; k < K; k++) {
        vec b[MOST_VECTORS];
        half rest = {0};
        if (ahead)
            __builtin_prefetch(ahead + k * step, 0, 2);
        for (int j = 0; j < nv; j++) {
            b[j] = *(const loose *)(B + k * ldb + (size_t)(j * VL));
            if (copy)
                *(vec *)(copy + k * PANEL + (size_t)(j * VL)) = b[j];
        }
        if (odd)
            rest = *(const loose_half *)(B + k * ldb + (size_t)(nv * VL));
        for (int i = 0; i < mr; i++) {
            const float a = A[(size_t)i * am + k * ak];
            for (int j = 0; j < nv; j++)
                acc->v[i][j] += a * b[j];
            if (odd)
                acc->h[i] += a * rest;
        }
    }
}

/* Ones in the lanes of a panel's last vector, or half of one, that belong to its first n columns; at least one does. */
INLINE lanes kept(size_t n, const int halves)
{
    const int last = halves % 2 ? halves * HALF - HALF : halves * HALF - VL; /* its first column */
    lanes lane;

    for (int i = 0; i < VL; i++)
        lane[i] = last + i;
    return lane < (int32_t)(n < (size_t)(halves * HALF) ? n : (size_t)(halves * HALF));
}

INLINE half_lanes lower(lanes x)
{
    half_lanes y;

    for (int i = 0; i < HALF; i++)
        y[i] = x[i];
    return y;
}

/* mr rows by so many half vectors of C, the last of which has zeros where `keep` has. */
INLINE void tile(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb, size_t K,
                 float alpha, lanes keep, const int mr, const int halves)
{
    const int nv = halves / 2;
    struct sums acc;

    for (int i = 0; i < mr; i++) {
        for (int j = 0; j < nv; j++)
            acc.v[i][j] = (vec){0};
        acc.h[i] = (half){0};
    }
    run(&acc, A, am, ak, B, ldb, K, NULL, NULL, 0, mr, halves);
    for (int i = 0; i < mr; i++) {
        float *row = C + (size_t)i * ldc;
        for (int j = 0; j < nv; j++) {
            const vec x = alpha * acc.v[i][j];
            *(loose *)(row + (size_t)(j * VL)) = 2 * j + 2 == halves ? (vec)((lanes)x & keep) : x;
        }
        if (halves % 2)
            *(loose_half *)(row + (size_t)(nv * VL)) = (half)((half_lanes)(alpha * acc.h[i]) & lower(keep));
    }
}

/* All rows of a panel of so many half vectors. */
INLINE void panel(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb, size_t M,
                  size_t K, float alpha, size_t n, const int halves)
{
    const size_t rows = (size_t)rows_of(halves);
    const lanes keep = kept(n, halves);
    size_t m = 0, done;

    for (; m + rows <= M; m += rows)
        tile(C + m * ldc, ldc, A + m * am, am, ak, B, ldb, K, alpha, keep, rows_of(halves), halves);
    for (; m < M; m += done) {
        float *c = C + m * ldc;
        const float *a = A + m * am;
        switch (done = last_rows(M - m)) {
        case 4:
            tile(c, ldc, a, am, ak, B, ldb, K, alpha, keep, 4, halves);
            break;
        case 3:
            tile(c, ldc, a, am, ak, B, ldb, K, alpha, keep, 3, halves);
            break;
        case 2:
            tile(c, ldc, a, am, ak, B, ldb, K, alpha, keep, 2, halves);
            break;
        default:
            tile(c, ldc, a, am, ak, B, ldb, K, alpha, keep, 1, halves);
            break;
        }
    }
}

/* Half vectors of the next panel where `left` are left. Two equal panels are better than a wide one and a narrow one. */
static size_t next_panel(size_t left)
{
    if (left <= WIDEST)
        return left;
    if (left >= 2 * WHOLE)
        return WHOLE;
    return VL == 16 ? (left + 1) / 2 : (left / 2 + 1) / 2 * 2; /* whole vectors only, but for AVX-512 */
}

/* mr rows of a whole panel: C = alpha * (A B + C, if that holds the sums so far). */
INLINE void deep_tile(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb, size_t K,
                      bool resume, float alpha, float *copy, const float *ahead, size_t step, const int mr)
{
    struct sums acc;

    for (int i = 0; i < mr; i++)
        for (int j = 0; j < NV; j++)
            acc.v[i][j] = resume ? (vec)*(const loose *)(C + (size_t)i * ldc + (size_t)(j * VL)) : (vec){0};
    run(&acc, A, am, ak, B, ldb, K, copy, ahead, step, mr, WHOLE);
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < NV; j++)
            *(loose *)(C + (size_t)i * ldc + (size_t)(j * VL)) = alpha * acc.v[i][j];
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
    while (n < width) { /* no panel of padding alone: N is more than n */
        const size_t halves = next_panel((width - n) / HALF);
        float *c = C + n;
        const float *b = B + n;
        switch (halves) {
#if defined(__AVX512F__)
        case 8:
            panel(c, ldc, A, am, ak, b, ldb, M, K, alpha, N - n, 8);
            break;
        case 7:
            panel(c, ldc, A, am, ak, b, ldb, M, K, alpha, N - n, 7);
            break;
        case 5:
            panel(c, ldc, A, am, ak, b, ldb, M, K, alpha, N - n, 5);
            break;
        case 3:
            panel(c, ldc, A, am, ak, b, ldb, M, K, alpha, N - n, 3);
            break;
        case 1:
            panel(c, ldc, A, am, ak, b, ldb, M, K, alpha, N - n, 1);
            break;
#endif
        case 6:
            panel(c, ldc, A, am, ak, b, ldb, M, K, alpha, N - n, 6);
            break;
        case 4:
            panel(c, ldc, A, am, ak, b, ldb, M, K, alpha, N - n, 4);
            break;
        default:
            panel(c, ldc, A, am, ak, b, ldb, M, K, alpha, N - n, 2);
            break;
        }
        n += halves * HALF;
    }
}
