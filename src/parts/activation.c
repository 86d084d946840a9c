/* Compiled once per instruction set. A new activation is its expressions in kernel/equations.h and one row here, with
 * a table of keys and a function if it has settings. Its loops are made by the macros that follow. */
#include "parts/activation.h"
#include "yaml/key.h"

#define GLE_ACTIVATION_LOOP(name)                                                                               \
    static void eval_##name(float *restrict r, float *restrict dr, const float *restrict u, const float *c,     \
                            size_t B, size_t n, size_t ld)                                                      \
    {                                                                                                           \
        const struct gle_act_numbers p = {c[0], c[1], c[2], c[3]};                                              \
        (void)n;                                                                                                \
        _Pragma("omp simd") for (size_t i = 0; i < B * ld; i++)                                                 \
        {                                                                                                       \
            const float y = gle_##name##_y(u[i], p), rate = gle_##name(u[i], y, p);                             \
            r[i] = rate;                                                                                        \
            dr[i] = gle_##name##_slope(u[i], y, rate, p);                                                       \
        }                                                                                                       \
    }
#define GLE_CURVATURE_LOOP(name)                                                                     \
    static void curvature_##name(float *restrict ddr, const float *restrict u, const float *c, size_t n) \
    {                                                                                            \
        const struct gle_act_numbers p = {c[0], c[1], c[2], c[3]};                               \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++)                                       \
        {                                                                                        \
            const float y = gle_##name##_y(u[i], p), r = gle_##name(u[i], y, p);                 \
            ddr[i] = gle_##name##_curvature(u[i], y, r, gle_##name##_slope(u[i], y, r, p), p);   \
        }                                                                                        \
    }
#include "kernel/equations.h"

/* Not the equation of one neuron, since it sums over the layer.
 * The slope is 1: the Jacobian of log-softmax belongs to the error of the loss nll, as in cross entropy. */
static void eval_log_softmax(float *restrict r, float *restrict dr, const float *restrict u, const float *c, size_t B,
                             size_t n, size_t ld)
{
    (void)c;
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

/* --- settings --- */

struct leaky_relu_params {
    double slope;
};

static const struct gle_key leaky_relu_keys[] = {
    GLE_KEY_REAL(struct leaky_relu_params, slope, "0.01", 0.0, 1.0, "", "slope below 0"),
    GLE_KEY_END,
};

static void numbers_of_leaky_relu(float c[GLE_ACT_NUMBERS], const void *params)
{
    c[0] = (float)((const struct leaky_relu_params *)params)->slope;
}

struct hard_sigmoid_params {
    double low, high;
};

static const struct gle_key hard_sigmoid_keys[] = {
    GLE_KEY_REAL(struct hard_sigmoid_params, low, "-3", -1e3, 1e3, "", "u up to which r is 0"),
    GLE_KEY_REAL(struct hard_sigmoid_params, high, "3", -1e3, 1e3, "", "u from which on r is 1"),
    GLE_KEY_END,
};

static void numbers_of_hard_sigmoid(float c[GLE_ACT_NUMBERS], const void *params)
{
    const struct hard_sigmoid_params *p = params;

    c[0] = (float)p->low;
    c[1] = (float)p->high;
    c[2] = (float)(1.0 / (p->high - p->low));
    c[3] = (float)(-p->low / (p->high - p->low));
}

static int check_hard_sigmoid(const void *params, const char **key, const char **why)
{
    const struct hard_sigmoid_params *p = params;

    *key = "high";
    *why = "must be above low, by 0.001 at least";
    return p->high - p->low >= 1e-3 * (1.0 - 1e-9) ? 0 : -1;
}

struct elu_params {
    double alpha;
};

static const struct gle_key elu_keys[] = {
    GLE_KEY_REAL(struct elu_params, alpha, "1", 0.0, 1e3, "", "-alpha is the rate far below 0"),
    GLE_KEY_END,
};

static void numbers_of_elu(float c[GLE_ACT_NUMBERS], const void *params)
{
    c[0] = (float)((const struct elu_params *)params)->alpha;
}

const struct gle_act GLE_ISA_NAME(gle_acts)[] = {
    {{.name = "linear", .help = "r = u"}, .eval = eval_linear, .straight = true},
    {{.name = "relu", .help = "r = max(0, u)"}, .eval = eval_relu, .straight = true},
    {{.name = "leaky_relu", .help = "r = u where u > 0, else slope u", .keys = leaky_relu_keys,
      .params_size = sizeof(struct leaky_relu_params)},
     .eval = eval_leaky_relu,
     .numbers = numbers_of_leaky_relu,
     .straight = true},
    {{.name = "sigmoid", .help = "r = 1 / (1 + exp(-u))"}, .eval = eval_sigmoid, .curvature = curvature_sigmoid},
    {{.name = "hard_sigmoid",
      .help = "r = (u - low) / (high - low), clipped to [0, 1]; low 0 and high 1 clip u itself",
      .keys = hard_sigmoid_keys, .params_size = sizeof(struct hard_sigmoid_params)},
     .eval = eval_hard_sigmoid,
     .numbers = numbers_of_hard_sigmoid,
     .check = check_hard_sigmoid,
     .straight = true},
    {{.name = "tanh", .help = "r = tanh(u)"}, .eval = eval_tanh, .curvature = curvature_tanh},
    {{.name = "hard_tanh", .help = "r = u, clipped to [-1, 1]"}, .eval = eval_hard_tanh, .straight = true},
    {{.name = "softplus", .help = "r = log(1 + exp(u))"}, .eval = eval_softplus, .curvature = curvature_softplus},
    {{.name = "elu", .help = "r = u where u > 0, else alpha (exp(u) - 1)", .keys = elu_keys,
      .params_size = sizeof(struct elu_params)},
     .eval = eval_elu,
     .curvature = curvature_elu,
     .numbers = numbers_of_elu},
    {{.name = "softsign", .help = "r = u / (1 + |u|)"}, .eval = eval_softsign, .curvature = curvature_softsign},
    {{.name = "log_softmax", .help = "r = u - log(sum(exp(u))) over the layer; for the last layer under the loss nll"},
     .eval = eval_log_softmax,
     .straight = true,
     .log_probabilities = true},
    {.row = {.name = NULL}},
};
