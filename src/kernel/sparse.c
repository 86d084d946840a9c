/* Sparse links. Samples lie side by side, so that each synapse, whose numbers are read once, serves whole vectors of
 * them. */
#include "kernel/kernel.h"
#include "kernel/link_kernels.h"

#include <string.h>

#if defined(__AVX512F__)
enum { VL = 16 };
#elif defined(__AVX2__)
enum { VL = 8 };
#else
enum { VL = 4 };
#endif
enum { NV = 4 }; /* vectors at a time */

typedef float vec __attribute__((vector_size(4 * VL)));
typedef float loose __attribute__((vector_size(4 * VL), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* Calls f(..., nv) for all vectors of `lanes`, up to NV at a time, with nv known to the compiler. */
#define FOR_VECTORS(lanes, at, f, ...) \
    for (size_t at = 0; at < (lanes); at += NV * VL) \
        switch (((lanes)-at + VL - 1) / VL) { \
        case 1: f(__VA_ARGS__, 1); break; \
        case 2: f(__VA_ARGS__, 2); break; \
        case 3: f(__VA_ARGS__, 3); break; \
        default: f(__VA_ARGS__, NV); break; \
        }

INLINE void forward(float *s, const float *x, const float *w, const uint64_t *starts, const uint32_t *columns, size_t n,
                    const int nv)
{
    for (size_t i = 0; i < n; i++) {
        vec sum[NV];
        for (int v = 0; v < nv; v++)
            sum[v] = (vec){0};
        for (uint64_t k = starts[i]; k < starts[i + 1]; k++) {
            const float *from = x + (size_t)columns[k] * GLE_LANES, weight = w[k];
            for (int v = 0; v < nv; v++)
                sum[v] += weight * *(const loose *)(from + v * VL);
        }
        for (int v = 0; v < nv; v++)
            *(loose *)(s + i * GLE_LANES + (size_t)(v * VL)) = sum[v];
    }
}

void GLE_ISA_NAME(gle_sparse_forward)(float *s, const float *x, size_t lanes, const float *w, const uint64_t *starts,
                                      const uint32_t *columns, size_t n)
{
    FOR_VECTORS (lanes, at, forward, s + at, x + at, w, starts, columns, n)
}

INLINE void back(float *x_bar, const float *e, const float *w, const uint64_t *starts, const uint32_t *columns,
                 size_t n, const int nv)
{
    for (size_t i = 0; i < n; i++) {
        vec error[NV];
        for (int v = 0; v < nv; v++)
            error[v] = *(const loose *)(e + i * GLE_LANES + (size_t)(v * VL));
        for (uint64_t k = starts[i]; k < starts[i + 1]; k++) {
            float *to = x_bar + (size_t)columns[k] * GLE_LANES;
            const float weight = w[k];
            for (int v = 0; v < nv; v++)
                *(loose *)(to + v * VL) += weight * error[v];
        }
    }
}

void GLE_ISA_NAME(gle_sparse_back)(float *x_bar, const float *e, size_t lanes, const float *w, const uint64_t *starts,
                                   const uint32_t *columns, size_t n, size_t n_in)
{
    memset(x_bar, 0, n_in * GLE_LANES * sizeof *x_bar);
    FOR_VECTORS (lanes, at, back, x_bar + at, e + at, w, starts, columns, n)
}

INLINE float sum_of(vec x)
{
#if defined(__AVX512F__)
    x += __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    x += __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    x += __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
#elif defined(__AVX2__)
    x += __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3);
    x += __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5);
#else
    x += __builtin_shufflevector(x, x, 2, 3, 0, 1);
#endif
    return x[0] + x[1];
}

INLINE void gradient(float *grad, const float *e, const float *x, const uint64_t *starts, const uint32_t *columns,
                     size_t n, float alpha, size_t first, size_t end, const bool resume, const int nv)
{
    for (size_t i = 0; i < n; i++) {
        const size_t from = starts[i] > first ? starts[i] : first, to = starts[i + 1] < end ? starts[i + 1] : end;
        vec error[NV];
        for (int v = 0; v < nv; v++)
            error[v] = *(const loose *)(e + i * GLE_LANES + (size_t)(v * VL));
        for (size_t k = from; k < to; k++) {
            const float *source = x + (size_t)columns[k] * GLE_LANES;
            vec sum = {0};
            for (int v = 0; v < nv; v++)
                sum += error[v] * *(const loose *)(source + v * VL);
            grad[k - first] = (resume ? grad[k - first] : 0.0f) + alpha * sum_of(sum);
        }
    }
}

void GLE_ISA_NAME(gle_sparse_gradient)(float *grad, const float *e, const float *x, size_t lanes,
                                       const uint64_t *starts, const uint32_t *columns, size_t n, float alpha,
                                       size_t first, size_t count, bool resume)
{
    FOR_VECTORS (lanes, at, gradient, grad, e + at, x + at, starts, columns, n, alpha, first, first + count,
                 resume || at)
}
