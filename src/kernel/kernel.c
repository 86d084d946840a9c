#include "kernel/kernel.h"
#include "kernel/link_kernels.h"
#include "kernel/product.h"

#include <stdint.h>

/* GLE_PAD floats: what rows are made of. Written out as vectors, because a check for NaN and Inf along the way keeps
 * compilers from making good vector code of short rows. */
typedef float vec __attribute__((vector_size(4 * GLE_PAD), may_alias));
typedef int32_t mask __attribute__((vector_size(4 * GLE_PAD)));

/* Macros, where a function of vectors would be warned of: below AVX it has no fixed calling convention. */
#define LOAD(p) (*(const vec *)(p))
#define AT(p) ((vec *)(p))
#define STORE(p, x) (*AT(p) = (x))
/* All bits set where x is NaN or infinite. */
#define WILD(x) ((x) - (x) != (vec){0})

/* The equations of GLE_PAD neurons at once. They never leave this file, so that any calling convention does. */
#pragma GCC diagnostic ignored "-Wpsabi"
#define GLE_REAL vec
#include "kernel/equations.h"

/* The 8 floats of x and y at these places, those of y counted from 8. */
#define PICK(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)

/* GLE_PAD rows and columns, in vectors: pairs of rows are zipped, then pairs of pairs, then halves swapped. */
static void transpose_block(float *restrict out, size_t ldo, const float *restrict in, size_t ldi)
{
    vec zip[8], quad[8];

    for (size_t i = 0; i < 8; i += 2) {
        const vec x = LOAD(in + i * ldi), y = LOAD(in + (i + 1) * ldi);
        zip[i] = PICK(x, y, 0, 8, 1, 9, 4, 12, 5, 13);
        zip[i + 1] = PICK(x, y, 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (size_t i = 0; i < 8; i += 4)
        for (size_t j = 0; j < 2; j++) {
            quad[i + 2 * j] = PICK(zip[i + j], zip[i + 2 + j], 0, 1, 8, 9, 4, 5, 12, 13);
            quad[i + 2 * j + 1] = PICK(zip[i + j], zip[i + 2 + j], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (size_t j = 0; j < 4; j++) {
        STORE(out + j * ldo, PICK(quad[j], quad[j + 4], 0, 1, 2, 3, 8, 9, 10, 11));
        STORE(out + (j + 4) * ldo, PICK(quad[j], quad[j + 4], 4, 5, 6, 7, 12, 13, 14, 15));
    }
}

static void transpose(float *out, size_t ldo, const float *in, size_t ldi, size_t rows, size_t cols)
{
    const size_t whole_rows = rows / GLE_PAD * GLE_PAD, whole_cols = cols / GLE_PAD * GLE_PAD;

    for (size_t j = 0; j < whole_cols; j += GLE_PAD)
        for (size_t i = 0; i < whole_rows; i += GLE_PAD)
            transpose_block(out + j * ldo + i, ldo, in + i * ldi + j, ldi);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = i < whole_rows ? whole_cols : 0; j < cols; j++)
            out[j * ldo + i] = in[i * ldi + j];
}

/* --- loops over neurons --- */

static inline int any(const mask *m)
{
    int32_t all = 0;

    for (int i = 0; i < GLE_PAD; i++)
        all |= (*m)[i];
    return all != 0;
}

static int error_prospective(float *restrict e, float *restrict v, const float *restrict e_above,
                             const float *restrict dr, const float *restrict look, const float *restrict leak, size_t B,
                             size_t ld)
{
    mask wild = {0};

    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < ld; i += GLE_PAD) {
            const size_t at = b * ld + i;
            gle_error_prospective(AT(e + at), AT(v + at), LOAD(e_above + at), LOAD(dr + at), LOAD(look + i),
                                  LOAD(leak + i));
            wild |= WILD(LOAD(e + at));
        }
    return any(&wild);
}

static int error_instantaneous(float *restrict e, float *restrict v, const float *restrict e_above,
                               const float *restrict dr, const float *restrict look, const float *restrict leak,
                               size_t B, size_t ld)
{
    mask wild = {0};

    (void)look;
    (void)leak;
    for (size_t at = 0; at < B * ld; at += GLE_PAD) {
        gle_error_instantaneous(AT(e + at), AT(v + at), LOAD(e_above + at), LOAD(dr + at));
        wild |= WILD(LOAD(e + at));
    }
    return any(&wild);
}

static void error_prospective_back(float *restrict above_bar, float *restrict dr_bar, float *restrict v_bar,
                                   float *restrict lag, const float *restrict e_bar, const float *restrict e_above,
                                   const float *restrict dr, const float *restrict v, const float *restrict look,
                                   const float *restrict leak, size_t B, size_t ld)
{
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < ld; i += GLE_PAD) {
            const size_t at = b * ld + i;
            gle_error_prospective_back(AT(above_bar + at), AT(dr_bar + at), AT(v_bar + at), AT(lag + at),
                                       LOAD(e_bar + at), LOAD(e_above + at), LOAD(dr + at), LOAD(v + at),
                                       LOAD(look + i), LOAD(leak + i));
        }
}

static void error_instantaneous_back(float *restrict above_bar, float *restrict dr_bar, float *restrict v_bar,
                                     float *restrict lag, const float *restrict e_bar, const float *restrict e_above,
                                     const float *restrict dr, const float *restrict v, const float *restrict look,
                                     const float *restrict leak, size_t B, size_t ld)
{
    (void)v_bar;
    (void)v;
    (void)look;
    (void)leak;
    for (size_t at = 0; at < B * ld; at += GLE_PAD)
        gle_error_instantaneous_back(AT(above_bar + at), AT(dr_bar + at), AT(lag + at), LOAD(e_bar + at),
                                     LOAD(e_above + at), LOAD(dr + at));
}

static int membrane(float *restrict prosp_u, float *restrict u, float *restrict s, const float *restrict e,
                    const float *restrict b, float gamma, const float *restrict look, const float *restrict leak,
                    size_t B, size_t ld)
{
    mask wild = {0};

    for (size_t k = 0; k < B; k++)
        for (size_t i = 0; i < ld; i += GLE_PAD) {
            const size_t at = k * ld + i;
            gle_membrane(AT(prosp_u + at), AT(u + at), AT(s + at), LOAD(e + at), LOAD(b + i), gamma, LOAD(look + i),
                         LOAD(leak + i));
            wild |= WILD(LOAD(u + at));
        }
    return any(&wild);
}

static int membrane_back(float *restrict lambda, float *restrict u_bar, const float *restrict a,
                         const float *restrict look, const float *restrict leak, size_t B, size_t ld)
{
    mask wild = {0};

    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < ld; i += GLE_PAD) {
            const size_t at = b * ld + i;
            gle_membrane_back(AT(lambda + at), AT(u_bar + at), LOAD(look + i), LOAD(leak + i), LOAD(a + at));
            wild |= WILD(LOAD(lambda + at));
        }
    return any(&wild);
}

/* --- eligibilities --- */

static void trace(float *restrict eps, size_t ld_eps, float *restrict xbar, size_t ld_xbar, const float *restrict x,
                  size_t ld_x, float look, float leak, size_t B, size_t n)
{
    const vec looks = (vec){0} + look, leaks = (vec){0} + leak;
    const size_t whole = n / GLE_PAD * GLE_PAD;
    mask left = {0}; /* of the last vector, what is not padding */

    for (size_t i = whole; i < n; i++)
        left[i - whole] = -1;
    for (size_t b = 0; b < B; b++) {
        float *to = eps + b * ld_eps, *of = xbar + b * ld_xbar;
        const float *from = x + b * ld_x;
        for (size_t i = 0; i < whole; i += GLE_PAD)
            gle_trace(AT(to + i), AT(of + i), LOAD(from + i), looks, leaks);
        if (whole < n)
            gle_trace(AT(to + whole), AT(of + whole), (vec)((mask)LOAD(from + whole) & left), looks, leaks);
    }
}

static void trace_ones(float *restrict eps, float *restrict xbar, const float *restrict look,
                       const float *restrict leak, size_t B, size_t ld)
{
    const vec ones = (vec){0} + 1.0f;

    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < ld; i += GLE_PAD)
            gle_trace(AT(eps + b * ld + i), AT(xbar + b * ld + i), ones, LOAD(look + i), LOAD(leak + i));
}

static void trace_tau_m(float *restrict eps, float *restrict q, const float *restrict s, float per_dt,
                        const float *restrict look, const float *restrict leak, const float *restrict rate,
                        const float *restrict slope, size_t B, size_t ld)
{
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < ld; i += GLE_PAD) {
            const size_t at = b * ld + i;
            gle_trace_tau_m(AT(eps + at), AT(q + at), LOAD(s + at), per_dt, LOAD(look + i), LOAD(leak + i),
                            LOAD(rate + i), LOAD(slope + i));
        }
}

static void trace_tau_r(float *restrict eps, const float *restrict s, float per_dt, const float *restrict rate,
                        size_t B, size_t ld)
{
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < ld; i += GLE_PAD)
            gle_trace_tau_r(AT(eps + b * ld + i), LOAD(s + b * ld + i), per_dt, LOAD(rate + i));
}

/* --- sums and products of elements --- */

static void multiply(float *restrict out, const float *restrict x, const float *restrict y, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] * y[i];
}

static void multiply_add(float *restrict out, const float *restrict x, const float *restrict y, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        out[i] += x[i] * y[i];
}

static void sum_rows(float *restrict out, const float *restrict e, float alpha, size_t B, size_t n, size_t ld)
{
    for (size_t i = 0; i < n; i++)
        out[i] = 0.0f;
    for (size_t b = 0; b < B; b++)
#pragma omp simd simdlen(GLE_PAD)
        for (size_t i = 0; i < n; i++)
            out[i] += e[b * ld + i];
    for (size_t i = 0; i < n; i++)
        out[i] *= alpha;
}

static void sum_products(float *restrict out, const float *restrict e, const float *restrict d,
                         const float *restrict alpha, size_t B, size_t n, size_t ld)
{
    for (size_t i = 0; i < n; i += GLE_PAD) {
        vec sum = {0};
        for (size_t b = 0; b < B; b++)
            sum += LOAD(e + b * ld + i) * LOAD(d + b * ld + i);
        STORE(out + i, sum * LOAD(alpha + i));
    }
}

static void add(float *restrict out, const float *restrict in, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        out[i] += in[i];
}

static void scale(float *x, float alpha, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] *= alpha;
}

static void sum_products_of(float *restrict out, const float *restrict x, size_t ldx, const float *restrict y,
                            size_t ldy, float alpha, size_t B, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = 0.0f;
    for (size_t b = 0; b < B; b++)
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            out[i] += x[b * ldx + i] * y[b * ldy + i];
    for (size_t i = 0; i < n; i++)
        out[i] *= alpha;
}

static void sum(float *restrict out, const float *restrict x, const float *restrict y, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] + y[i];
}

static void run_noise(float *restrict x, const float *restrict z, float keep, float add, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = gle_ou_step(x[i], z[i], keep, add);
}

static void add_noise(float *restrict out, const float *restrict x, const float *restrict scale, size_t B, size_t ld)
{
    for (size_t b = 0; b < B; b++)
#pragma omp simd simdlen(GLE_PAD)
        for (size_t i = 0; i < ld; i++)
            out[b * ld + i] += scale[i] * x[b * ld + i];
}

static void quantize(float *restrict out, const float *restrict in, size_t n, float range, float levels)
{
    const float up = levels / range, down = range / levels;

#pragma omp simd
    for (size_t i = 0; i < n; i++)
        out[i] = gle_quantize(in[i], up, down, levels);
}

static float total(const float *x, size_t n)
{
    float all = 0.0f;

#pragma omp simd reduction(+ : all)
    for (size_t i = 0; i < n; i++)
        all += x[i];
    return all;
}

/* In eight sums side by side, so that this is vector code whose order is known. */
static double squares(const float *x, size_t n)
{
    double sums[GLE_PAD] = {0.0}, all = 0.0;
    size_t i = 0;

    for (; i + GLE_PAD <= n; i += GLE_PAD)
#pragma omp simd
        for (size_t k = 0; k < GLE_PAD; k++)
            sums[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < n; i++)
        all += (double)x[i] * (double)x[i];
    for (size_t k = 0; k < GLE_PAD; k++)
        all += sums[k];
    return all;
}

extern const struct gle_kernels GLE_ISA_NAME(gle_kernels);
const struct gle_kernels GLE_ISA_NAME(gle_kernels) = {
    .product = GLE_ISA_NAME(gle_product),
    .transpose = transpose,
    .error_prospective = error_prospective,
    .error_instantaneous = error_instantaneous,
    .error_prospective_back = error_prospective_back,
    .error_instantaneous_back = error_instantaneous_back,
    .membrane = membrane,
    .membrane_back = membrane_back,
    .trace = trace,
    .trace_ones = trace_ones,
    .trace_tau_m = trace_tau_m,
    .trace_tau_r = trace_tau_r,
    .multiply = multiply,
    .multiply_add = multiply_add,
    .sum_rows = sum_rows,
    .sum_products = sum_products,
    .add = add,
    .scale = scale,
    .sum = sum,
    .total = total,
    .squares = squares,
    .conv_forward = GLE_ISA_NAME(gle_conv_forward),
    .conv_back = GLE_ISA_NAME(gle_conv_back),
    .conv_gradient = GLE_ISA_NAME(gle_conv_gradient),
    .pool_mean = GLE_ISA_NAME(gle_pool_mean),
    .pool_max = GLE_ISA_NAME(gle_pool_max),
    .pool_mean_back = GLE_ISA_NAME(gle_pool_mean_back),
    .pool_max_back = GLE_ISA_NAME(gle_pool_max_back),
    .sparse_forward = GLE_ISA_NAME(gle_sparse_forward),
    .sparse_back = GLE_ISA_NAME(gle_sparse_back),
    .sparse_gradient = GLE_ISA_NAME(gle_sparse_gradient),
    .sum_products_of = sum_products_of,
    .normals = GLE_ISA_NAME(gle_normals),
    .run_noise = run_noise,
    .add_noise = add_noise,
    .quantize = quantize,
};
