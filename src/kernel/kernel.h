/* kernel.h - the loops that a step is made of: pure functions of float arrays, no structs, no memory, no errors.
 *
 * Arrays of a layer are (B, n) row-major with rows ld floats apart: n rounded up to GLE_PAD, so that every row starts
 * on a vector boundary. Columns n ... ld-1 are padding: what they hold is never read into the columns before them. */
#ifndef GLE_KERNEL_KERNEL_H
#define GLE_KERNEL_KERNEL_H

#include "kernel/conv.h"
#include "kernel/isa.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GLE_PAD = 8,    /* floats */
    GLE_SLACK = 16, /* floats that must be readable beyond the last row of an array given to product() */
    GLE_LANES = 64, /* samples that go through a sparse link together */
};

/* n rounded up to whole vectors */
static inline size_t gle_padded(size_t n)
{
    return (n + GLE_PAD - 1) / GLE_PAD * GLE_PAD;
}

/* What a field of random numbers is drawn with: see draw.h. */
struct gle_draw {
    uint64_t seed, step; /* step below 2^40 */
    uint32_t field;      /* gle_draw_field() */
};

struct gle_kernels {
    /* C = alpha * A B, each element summed over k in order, whatever the shapes.
     * Shapes: C (M,N) with rows ldc apart, a multiple of GLE_PAD; A (M,K) with any strides am, ak; B (K,N) with rows
     *         ldb apart, for gle_product() a multiple of GLE_PAD, of which GLE_SLACK floats beyond the last are read.
     *         The padding of C is set to zero. No aliasing. */
    void (*product)(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb, size_t M,
                    size_t N, size_t K, float alpha);

    /* out (cols, rows; stride ldo) = in (rows, cols; stride ldi), transposed. Strides: multiples of GLE_PAD. */
    void (*transpose)(float *out, size_t ldo, const float *in, size_t ldi, size_t rows, size_t cols);

    /* Retrospective and prospective errors of rule gle, from the OLD v:
     *   e_inst = dr * e_above;  v_dot = (e_inst - v) / tau_r;  e = v + tau_m * v_dot;  v <- v + dt * v_dot
     * Shapes: e, v, e_above, dr (B,ld); look = tau_m / tau_r, leak = dt / tau_r (ld).
     * Returns nonzero if an e is NaN or infinite.
     * Source: arXiv:2403.16933, error dynamics of the GLE equations, discretised by Euler. */
    int (*error_prospective)(float *e, float *v, const float *e_above, const float *dr, const float *look,
                             const float *leak, size_t B, size_t ld);

    /* Instantaneous errors of rule bp: v = e = dr * e_above. Shapes and result as above; look and leak are not read. */
    int (*error_instantaneous)(float *e, float *v, const float *e_above, const float *dr, const float *look,
                               const float *leak, size_t B, size_t ld);

    /* Transposes of the two above, for exact gradients through the feedback of errors into membranes. Given e_bar, the
     * gradient of something with respect to e, and v_bar, that with respect to the new v:
     *   d = look * e_bar + leak * v_bar;  v_bar <- v_bar + e_bar - d   (prospective; instantaneous: d = e_bar)
     *   above_bar = dr * d;  dr_bar = e_above * d;  lag = dr * e_above - v ( = tau_r * v_dot )
     * Shapes: all (B,ld); look, leak (ld); e_above, dr, v as the step had read them. The instantaneous one reads
     *         neither v_bar, v, look nor leak, and sets lag to zero. */
    void (*error_prospective_back)(float *above_bar, float *dr_bar, float *v_bar, float *lag, const float *e_bar,
                                   const float *e_above, const float *dr, const float *v, const float *look,
                                   const float *leak, size_t B, size_t ld);
    void (*error_instantaneous_back)(float *above_bar, float *dr_bar, float *v_bar, float *lag, const float *e_bar,
                                     const float *e_above, const float *dr, const float *v, const float *look,
                                     const float *leak, size_t B, size_t ld);

    /* Euler step of the membrane, and its prospective copy, both from the OLD u:
     *   s <- s + b + gamma * e - u  ( = tau_m * u_dot );  prosp_u = u + tau_r * u_dot;  u <- u + dt * u_dot
     * Shapes: prosp_u, u, s, e (B,ld); b, look = tau_r / tau_m, leak = dt / tau_m (ld). Needs tau_m >= dt > 0.
     * Returns nonzero if a u is NaN or infinite.
     * Source: arXiv:2403.16933, membrane dynamics of the GLE equations, discretised by Euler. */
    int (*membrane)(float *prosp_u, float *u, float *s, const float *e, const float *b, float gamma, const float *look,
                    const float *leak, size_t B, size_t ld);

    /* Eligibilities, and the traces they are made of, both from the OLD trace:
     *   eps = xbar + look * (x - xbar);  xbar <- xbar + leak * (x - xbar)
     * trace: of n sources, for neurons of one tau_m and tau_r; leak 0: the trace stays, for another tau_r. Rows of
     * eps, xbar and x are ld_eps, ld_xbar and ld_x apart; in padding, x counts as zero.
     * trace_ones: of a rate of 1; eps, xbar (B,ld); look, leak (ld).
     * trace_tau_m, trace_tau_r: of the time constants themselves, as equations.h says; s = tau_m * u_dot (B,ld); look,
     * leak, rate = dt / tau_m, slope (ld). */
    void (*trace)(float *eps, size_t ld_eps, float *xbar, size_t ld_xbar, const float *x, size_t ld_x, float look,
                  float leak, size_t B, size_t n);
    void (*trace_ones)(float *eps, float *xbar, const float *look, const float *leak, size_t B, size_t ld);
    void (*trace_tau_m)(float *eps, float *q, const float *s, float per_dt, const float *look, const float *leak,
                        const float *rate, const float *slope, size_t B, size_t ld);
    void (*trace_tau_r)(float *eps, const float *s, float per_dt, const float *rate, size_t B, size_t ld);

    /* Step back of the membrane, the transpose of the above. With a, the gradient of something with respect to prosp_u,
     * and u_bar, that with respect to the new u:
     *   lambda = look * a + leak * u_bar;  u_bar <- u_bar + a - lambda
     * Eliminating u_bar, lambda is a low-passed backwards in time with tau_m that looks ahead, also backwards, with
     * tau_r: Euler's discretisation of tau_m d lambda/dt = lambda - (1 - tau_r d/dt) a.
     * Shapes: lambda, u_bar, a (B,ld); look, leak (ld). Returns nonzero if a lambda is NaN or infinite.
     * Source: the adjoint equations of the GLE dynamics, arXiv:2403.16933. */
    int (*membrane_back)(float *lambda, float *u_bar, const float *a, const float *look, const float *leak, size_t B,
                         size_t ld);
    /* out = x * y, or out += x * y; n floats. */
    void (*multiply)(float *out, const float *x, const float *y, size_t n);
    void (*multiply_add)(float *out, const float *x, const float *y, size_t n);

    /* out (n) = alpha * sum over rows of e (B,n; stride ld): the bias gradient with alpha = -1/B. n, here and below: a
     * multiple of GLE_PAD. */
    void (*sum_rows)(float *out, const float *e, float alpha, size_t B, size_t n, size_t ld);
    /* out (n) = alpha[i] * sum over rows of e * d (B,n; stride ld): the tau_m gradient mean(e * u_dot) with
     * d = tau_m * u_dot and alpha = 1 / (B tau_m). */
    void (*sum_products)(float *out, const float *e, const float *d, const float *alpha, size_t B, size_t n,
                         size_t ld);
    /* out += in, n floats. */
    void (*add)(float *out, const float *in, size_t n);
    /* x <- alpha * x, n floats. */
    void (*scale)(float *x, float alpha, size_t n);
    /* out = x + y, n floats. */
    void (*sum)(float *out, const float *x, const float *y, size_t n);
    /* The sum of the squares of n floats. */
    double (*squares)(const float *x, size_t n);
    /* The sum of n floats. */
    float (*total)(const float *x, size_t n);

    /* --- links. W (out_channels, channels * kernel[0] * kernel[1]), rows ld_w apart; x, s, e one sample a row, ldx and
     * ld apart (multiples of GLE_PAD; GLE_SLACK floats readable beyond the last). What lies in padding is not read into
     * anything, and that of what is written becomes zero. room: gle_conv_room() floats. Each element comes out with the
     * same bits whatever the number of rows. --- */
    /* s = W x, as conv.h says. */
    void (*conv_forward)(float *s, size_t ld, const float *x, size_t ldx, size_t n_rows, const float *w, size_t ld_w,
                         const struct gle_conv *conv, float *room);
    /* x_bar = W^T e. */
    void (*conv_back)(float *x_bar, size_t ldx, const float *e, size_t ld, size_t n_rows, const float *w, size_t ld_w,
                      const struct gle_conv *conv, float *room);
    /* Rows first ... first + n - 1 of the gradient: alpha * the sum over samples and places of e * x. grad: the first
     * of these rows, ld_w apart. Rows of W come out with the same bits whatever their number. */
    void (*conv_gradient)(float *grad, size_t ld_w, const float *e, size_t ld, const float *x, size_t ldx,
                          size_t n_rows, float alpha, const struct gle_conv *conv, size_t first, size_t n, float *room);

    /* Pooling: out (n_rows, pooled) = the mean of each window of `values`, or that one of it where `by` is largest (the
     * first of these, if equal). */
    void (*pool_mean)(float *out, size_t ld_out, const float *values, size_t ld, size_t n_rows,
                      const struct gle_pool *pool);
    void (*pool_max)(float *out, size_t ld_out, const float *values, const float *by, size_t ld, size_t n_rows,
                     const struct gle_pool *pool);
    /* Their transposes: out (n_rows, source) = e (n_rows, pooled) in equal parts, or at the maximum; zero elsewhere. */
    void (*pool_mean_back)(float *out, size_t ld, const float *e, size_t ld_e, size_t n_rows,
                           const struct gle_pool *pool);
    void (*pool_max_back)(float *out, size_t ld, const float *e, size_t ld_e, const float *by, size_t n_rows,
                          const struct gle_pool *pool);

    /* Sparse W, a list of synapses: those into neuron i are starts[i] ... starts[i + 1] - 1, from neuron columns[k]
     * with weight w[k]. Here samples are the columns: s, e (n, GLE_LANES), x and x_bar (n_in, GLE_LANES), of which
     * `lanes`, a multiple of 16, count. Sums run over synapses in order.
     *   forward:  s = W x.
     *   back:     x_bar = W^T e.
     *   gradient: grad[k - first] = (resume ? what it was : 0) + alpha * the sum over lanes of e * x, for synapses
     *             first ... first + count - 1. */
    void (*sparse_forward)(float *s, const float *x, size_t lanes, const float *w, const uint64_t *starts,
                           const uint32_t *columns, size_t n);
    void (*sparse_back)(float *x_bar, const float *e, size_t lanes, const float *w, const uint64_t *starts,
                        const uint32_t *columns, size_t n, size_t n_in);
    void (*sparse_gradient)(float *grad, const float *e, const float *x, size_t lanes, const uint64_t *starts,
                            const uint32_t *columns, size_t n, float alpha, size_t first, size_t count, bool resume);
    /* out (n) = alpha * the sum over rows of x * y (B,n; strides ldx, ldy). n: any; nothing else is written. */
    void (*sum_products_of)(float *out, const float *x, size_t ldx, const float *y, size_t ldy, float alpha, size_t B,
                            size_t n);
    /* out (B,ld) = normal numbers of mean 0 and variance 1, those of rows first ... first + B - 1 of the batch; of
     * padding, too. A number has the same bits however rows are shared. */
    void (*normals)(float *out, size_t ld, const struct gle_draw *draw, size_t first, size_t B);
    /* x <- keep * x + add * z (n), the step of an Ornstein-Uhlenbeck process. */
    void (*run_noise)(float *x, const float *z, float keep, float add, size_t n);
    /* out += scale * x. Shapes: out, x (B,ld); scale (ld). */
    void (*add_noise)(float *out, const float *x, const float *scale, size_t B, size_t ld);
    /* out (n) = the nearest to `in` (n) of the 2 levels + 1 numbers from -range to range. */
    void (*quantize)(float *out, const float *in, size_t n, float range, float levels);
};

/* The kernels for an instruction set. */
const struct gle_kernels *gle_kernels(enum gle_isa isa);

/* Name and version of the BLAS library behind gle_product(). */
void gle_blas_name(char *name, size_t size);

/* C = alpha * A B as kernels->product, by that kernel or by BLIS, whichever should be faster. */
void gle_product(const struct gle_kernels *kernels, float *C, size_t ldc, const float *A, size_t am, size_t ak,
                 const float *B, size_t ldb, size_t M, size_t N, size_t K, float alpha);
/* Whether rows of a C of width N come out the same, bit for bit, when it is computed a few rows at a time. */
bool gle_product_rows_apart(const struct gle_kernels *kernels, size_t N);

#endif
