/* Compiled once per instruction set. A new activation is two functions and one row here; one function, if it is made of
 * straight pieces. */
#include "parts/activation.h"
#include "kernel/math.h"

static void eval_linear(float *restrict r, float *restrict dr, const float *restrict u, size_t B, size_t n, size_t ld)
{
    (void)n;
#pragma omp simd
    for (size_t i = 0; i < B * ld; i++) {
        r[i] = u[i];
        dr[i] = 1.0f;
    }
}

static void eval_relu(float *restrict r, float *restrict dr, const float *restrict u, size_t B, size_t n, size_t ld)
{
    (void)n;
#pragma omp simd
    for (size_t i = 0; i < B * ld; i++) {
        r[i] = u[i] < 0.0f ? 0.0f : u[i]; /* NaN passes through */
        dr[i] = u[i] > 0.0f ? 1.0f : 0.0f;
    }
}

static void eval_sigmoid(float *restrict r, float *restrict dr, const float *restrict u, size_t B, size_t n, size_t ld)
{
    (void)n;
#pragma omp simd
    for (size_t i = 0; i < B * ld; i++) {
        const float y = gle_sigmoidf(u[i]);
        r[i] = y;
        dr[i] = y * (1.0f - y);
    }
}

static void curve_sigmoid(float *restrict ddr, const float *restrict u, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const float y = gle_sigmoidf(u[i]);
        ddr[i] = y * (1.0f - y) * (1.0f - 2.0f * y);
    }
}

static void eval_hard_sigmoid(float *restrict r, float *restrict dr, const float *restrict u, size_t B, size_t n,
                              size_t ld)
{
    (void)n;
#pragma omp simd
    for (size_t i = 0; i < B * ld; i++) {
        const float y = u[i] * (1.0f / 6.0f) + 0.5f;
        r[i] = y < 0.0f ? 0.0f : y > 1.0f ? 1.0f : y;
        dr[i] = u[i] > -3.0f && u[i] < 3.0f ? 1.0f / 6.0f : 0.0f;
    }
}

static void eval_tanh(float *restrict r, float *restrict dr, const float *restrict u, size_t B, size_t n, size_t ld)
{
    (void)n;
#pragma omp simd
    for (size_t i = 0; i < B * ld; i++) {
        const float y = gle_tanhf(u[i]);
        r[i] = y;
        dr[i] = 1.0f - y * y;
    }
}

static void curve_tanh(float *restrict ddr, const float *restrict u, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const float y = gle_tanhf(u[i]);
        ddr[i] = -2.0f * y * (1.0f - y * y);
    }
}

static void eval_hard_tanh(float *restrict r, float *restrict dr, const float *restrict u, size_t B, size_t n,
                           size_t ld)
{
    (void)n;
#pragma omp simd
    for (size_t i = 0; i < B * ld; i++) {
        r[i] = u[i] < -1.0f ? -1.0f : u[i] > 1.0f ? 1.0f : u[i];
        dr[i] = u[i] > -1.0f && u[i] < 1.0f ? 1.0f : 0.0f;
    }
}

static void eval_softplus(float *restrict r, float *restrict dr, const float *restrict u, size_t B, size_t n, size_t ld)
{
    (void)n;
#pragma omp simd
    for (size_t i = 0; i < B * ld; i++) {
        float slope;
        r[i] = gle_softplusf(u[i], &slope);
        dr[i] = slope;
    }
}

static void curve_softplus(float *restrict ddr, const float *restrict u, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const float y = gle_sigmoidf(u[i]);
        ddr[i] = y * (1.0f - y);
    }
}

/* Clevert et al. 2016, arXiv:1511.07289, with alpha = 1, as torch.nn.ELU. Continuous up to the slope at 0. */
static void eval_elu(float *restrict r, float *restrict dr, const float *restrict u, size_t B, size_t n, size_t ld)
{
    (void)n;
#pragma omp simd
    for (size_t i = 0; i < B * ld; i++) {
        const float below = u[i] < 0.0f ? u[i] : 0.0f;
        r[i] = u[i] < 0.0f ? gle_expm1f(below) : u[i]; /* NaN passes through */
        dr[i] = gle_expf(below);
    }
}

static void curve_elu(float *restrict ddr, const float *restrict u, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        ddr[i] = u[i] < 0.0f ? gle_expf(u[i]) : 0.0f;
}

/* As torch.nn.Softsign. r is a quotient, not u y: y is no normal number where u is among the largest. */
static void eval_softsign(float *restrict r, float *restrict dr, const float *restrict u, size_t B, size_t n, size_t ld)
{
    (void)n;
#pragma omp simd
    for (size_t i = 0; i < B * ld; i++) {
        const float d = 1.0f + (u[i] < 0.0f ? -u[i] : u[i]), y = 1.0f / d;
        r[i] = u[i] / d;
        dr[i] = y * y;
    }
}

static void curve_softsign(float *restrict ddr, const float *restrict u, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const float y = 1.0f / (1.0f + (u[i] < 0.0f ? -u[i] : u[i]));
        ddr[i] = (u[i] < 0.0f ? 2.0f : -2.0f) * y * y * y;
    }
}

/* The slope is 1: the Jacobian of log-softmax belongs to the error of the loss nll, as in cross entropy. */
static void eval_log_softmax(float *restrict r, float *restrict dr, const float *restrict u, size_t B, size_t n,
                             size_t ld)
{
    for (size_t b = 0; b < B; b++) {
        const float *row = u + b * ld;
        float max = row[0], sum = 0.0f, log_sum;
        for (size_t i = 1; i < n; i++)
            max = row[i] > max ? row[i] : max;
        for (size_t i = 0; i < n; i++)
            sum += gle_expf(row[i] - max);
        log_sum = __builtin_logf(sum);
        for (size_t i = 0; i < ld; i++) {
            r[b * ld + i] = (row[i] - max) - log_sum; /* in this order, large u lose nothing */
            dr[b * ld + i] = 1.0f;
        }
    }
}

const struct gle_act GLE_ISA_NAME(gle_acts)[] = {
    {{.name = "linear", .help = "r = u"}, .eval = eval_linear, .straight = true},
    {{.name = "relu", .help = "r = max(0, u)"}, .eval = eval_relu, .straight = true},
    {{.name = "sigmoid", .help = "r = 1 / (1 + exp(-u))"}, .eval = eval_sigmoid, .curve = curve_sigmoid},
    {{.name = "hard_sigmoid", .help = "r = u / 6 + 1/2, clipped to [0, 1]"},
     .eval = eval_hard_sigmoid,
     .straight = true},
    {{.name = "tanh", .help = "r = tanh(u)"}, .eval = eval_tanh, .curve = curve_tanh},
    {{.name = "hard_tanh", .help = "r = u, clipped to [-1, 1]"}, .eval = eval_hard_tanh, .straight = true},
    {{.name = "softplus", .help = "r = log(1 + exp(u))"}, .eval = eval_softplus, .curve = curve_softplus},
    {{.name = "elu", .help = "r = u where u > 0, else exp(u) - 1"}, .eval = eval_elu, .curve = curve_elu},
    {{.name = "softsign", .help = "r = u / (1 + |u|)"}, .eval = eval_softsign, .curve = curve_softsign},
    {{.name = "log_softmax", .help = "r = u - log(sum(exp(u))) over the layer; for the last layer under the loss nll"},
     .eval = eval_log_softmax,
     .straight = true,
     .log_probabilities = true},
    {.row = {.name = NULL}},
};
