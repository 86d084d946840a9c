/* Compiled once per instruction set. A new activation is its expressions in kernel/equations.h and one row here. Its
 * loops are made by the macros that follow. */
#include "parts/activation.h"

#define GLE_ACTIVATION_LOOP(name)                                                                               \
    static void eval_##name(float *restrict r, float *restrict dr, const float *restrict u, size_t B, size_t n, \
                            size_t ld)                                                                          \
    {                                                                                                           \
        (void)n;                                                                                                \
        _Pragma("omp simd") for (size_t i = 0; i < B * ld; i++)                                                 \
        {                                                                                                       \
            const float y = gle_##name##_y(u[i]), rate = gle_##name(u[i], y);                                \
            r[i] = rate;                                                                                        \
            dr[i] = gle_##name##_slope(u[i], y, rate);                                                          \
        }                                                                                                       \
    }
#define GLE_CURVATURE_LOOP(name)                                                                     \
    static void curvature_##name(float *restrict ddr, const float *restrict u, size_t n)             \
    {                                                                                            \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++)                                       \
        {                                                                                        \
            const float y = gle_##name##_y(u[i]), r = gle_##name(u[i], y);                    \
            ddr[i] = gle_##name##_curvature(u[i], y, r, gle_##name##_slope(u[i], y, r));             \
        }                                                                                        \
    }
#include "kernel/equations.h"

/* Not the equation of one neuron, since it sums over the layer.
 * The slope is 1: the Jacobian of log-softmax belongs to the error of the loss nll, as in cross entropy. */
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
    {{.name = "sigmoid", .help = "r = 1 / (1 + exp(-u))"}, .eval = eval_sigmoid, .curvature = curvature_sigmoid},
    {{.name = "hard_sigmoid", .help = "r = u / 6 + 1/2, clipped to [0, 1]"},
     .eval = eval_hard_sigmoid,
     .straight = true},
    {{.name = "tanh", .help = "r = tanh(u)"}, .eval = eval_tanh, .curvature = curvature_tanh},
    {{.name = "hard_tanh", .help = "r = u, clipped to [-1, 1]"}, .eval = eval_hard_tanh, .straight = true},
    {{.name = "softplus", .help = "r = log(1 + exp(u))"}, .eval = eval_softplus, .curvature = curvature_softplus},
    {{.name = "elu", .help = "r = u where u > 0, else exp(u) - 1"}, .eval = eval_elu, .curvature = curvature_elu},
    {{.name = "softsign", .help = "r = u / (1 + |u|)"}, .eval = eval_softsign, .curvature = curvature_softsign},
    {{.name = "log_softmax", .help = "r = u - log(sum(exp(u))) over the layer; for the last layer under the loss nll"},
     .eval = eval_log_softmax,
     .straight = true,
     .log_probabilities = true},
    {.row = {.name = NULL}},
};
