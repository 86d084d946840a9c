#include "kernel/kernel.h"
#include "kernel/product.h"

#include <float.h>

enum { BLOCK = 8 };

static void transpose(float *out, size_t ldo, const float *in, size_t ldi, size_t rows, size_t cols)
{
    for (size_t i0 = 0; i0 < rows; i0 += BLOCK) {
        const size_t ni = rows - i0 < BLOCK ? rows - i0 : BLOCK;
        for (size_t j = 0; j < cols; j++)
            for (size_t i = 0; i < ni; i++)
                out[j * ldo + i0 + i] = in[(i0 + i) * ldi + j];
    }
}

/* True for NaN and infinities; must stay true under any optimisation flags used here. */
static inline int is_wild(float x)
{
    return !(x >= -FLT_MAX && x <= FLT_MAX);
}

static int error_prospective(float *restrict e, float *restrict v, const float *restrict e_above,
                             const float *restrict dr, const float *restrict look, const float *restrict leak, size_t B,
                             size_t ld)
{
    int wild = 0;

    for (size_t b = 0; b < B; b++) {
        const size_t row = b * ld;
#pragma omp simd reduction(| : wild)
        for (size_t i = 0; i < ld; i++) {
            const float d = dr[row + i] * e_above[row + i] - v[row + i]; /* tau_r * v_dot */
            const float x = v[row + i] + look[i] * d;
            v[row + i] += leak[i] * d;
            e[row + i] = x;
            wild |= is_wild(x);
        }
    }
    return wild;
}

static int error_instantaneous(float *restrict e, float *restrict v, const float *restrict e_above,
                               const float *restrict dr, const float *restrict look, const float *restrict leak,
                               size_t B, size_t ld)
{
    int wild = 0;

    (void)look;
    (void)leak;
#pragma omp simd reduction(| : wild)
    for (size_t i = 0; i < B * ld; i++) {
        const float x = dr[i] * e_above[i];
        v[i] = e[i] = x;
        wild |= is_wild(x);
    }
    return wild;
}

static int membrane(float *restrict prosp_u, float *restrict u, float *restrict s, const float *restrict e,
                    const float *restrict b, float gamma, const float *restrict look, const float *restrict leak,
                    size_t B, size_t ld)
{
    int wild = 0;

    for (size_t k = 0; k < B; k++) {
        const size_t row = k * ld;
#pragma omp simd reduction(| : wild)
        for (size_t i = 0; i < ld; i++) {
            const float d = s[row + i] + b[i] + gamma * e[row + i] - u[row + i];
            const float x = u[row + i] + leak[i] * d;
            s[row + i] = d;
            prosp_u[row + i] = u[row + i] + look[i] * d;
            u[row + i] = x;
            wild |= is_wild(x);
        }
    }
    return wild;
}

static void sum_rows(float *restrict out, const float *restrict e, float alpha, size_t B, size_t ld)
{
    for (size_t i = 0; i < ld; i++)
        out[i] = 0.0f;
    for (size_t b = 0; b < B; b++)
#pragma omp simd
        for (size_t i = 0; i < ld; i++)
            out[i] += e[b * ld + i];
    for (size_t i = 0; i < ld; i++)
        out[i] *= alpha;
}

static void sum_products(float *restrict out, const float *restrict e, const float *restrict d,
                         const float *restrict alpha, size_t B, size_t ld)
{
    for (size_t i = 0; i < ld; i++)
        out[i] = 0.0f;
    for (size_t b = 0; b < B; b++)
#pragma omp simd
        for (size_t i = 0; i < ld; i++)
            out[i] += e[b * ld + i] * d[b * ld + i];
    for (size_t i = 0; i < ld; i++)
        out[i] *= alpha[i];
}

static void add(float *restrict out, const float *restrict in, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        out[i] += in[i];
}

extern const struct gle_kernels GLE_ISA_NAME(gle_kernels);
const struct gle_kernels GLE_ISA_NAME(gle_kernels) = {
    .product = GLE_ISA_NAME(gle_product),
    .transpose = transpose,
    .error_prospective = error_prospective,
    .error_instantaneous = error_instantaneous,
    .membrane = membrane,
    .sum_rows = sum_rows,
    .sum_products = sum_products,
    .add = add,
};
