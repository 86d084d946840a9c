/* Compiled once per instruction set. A new optimizer is its equations in kernel/equations.h, and three functions and
 * one row here. */
#include "parts/optimizer.h"
#include "kernel/equations.h"
#include "yaml/key.h"

#include <math.h>

struct adam_params {
    double lr, beta1, beta2, eps;
};

/* Keys of settings that begin with struct adam_params. */
#define ADAM_KEYS                                                                                                    \
    GLE_KEY_REAL(struct adam_params, lr, "1e-3", 0.0, 1e6, "1/step", "learning rate"),                               \
    GLE_KEY_REAL(struct adam_params, beta1, "0.9", 0.0, 0.999999, "", "decay of the mean gradient"),                 \
    GLE_KEY_REAL(struct adam_params, beta2, "0.999", 0.0, 0.99999999, "", "decay of the mean squared gradient"),     \
    GLE_KEY_REAL(struct adam_params, eps, "1e-8", 0.0, 1.0, "", "added to the root of the mean squared gradient")

static const struct gle_key adam_keys[] = {
    ADAM_KEYS,
    GLE_KEY_END,
};

static double lr_adam(const void *params)
{
    return ((const struct adam_params *)params)->lr;
}

static struct gle_optimizer_step prepare_adam(const void *params, double lr, uint64_t t, bool weights)
{
    const struct adam_params *a = params;
    const double step = lr / (1.0 - pow(a->beta1, (double)t)), root = sqrt(1.0 - pow(a->beta2, (double)t));

    (void)weights;
    return (struct gle_optimizer_step){{(float)a->beta1, (float)(1.0 - a->beta1), (float)a->beta2,
                                        (float)(1.0 - a->beta2), (float)(1.0 / root), (float)a->eps, (float)step}};
}

static void update_adam(float *restrict p, const float *restrict g, float *const *moments, size_t n,
                        const struct gle_optimizer_step *s)
{
    const float b1 = s->c[0], d1 = s->c[1], b2 = s->c[2], d2 = s->c[3], scale = s->c[4], eps = s->c[5], step = s->c[6];
    float *restrict m = moments[0], *restrict v = moments[1];

    /* Both moments are read before one is written: clang would else fuse another product, and round otherwise. */
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const float mean = gle_adam_mean(m[i], g[i], b1, d1), square = gle_adam_square(v[i], g[i], b2, d2);
        m[i] = mean;
        v[i] = square;
        p[i] = gle_adam(p[i], mean, square, scale, eps, step);
    }
}

/* Loshchilov & Hutter, arXiv:1711.05101: weights decay beside Adam's step, not through its moments. */
struct adamw_params {
    struct adam_params adam;
    double weight_decay;
};

static const struct gle_key adamw_keys[] = {
    ADAM_KEYS,
    GLE_KEY_REAL(struct adamw_params, weight_decay, "1e-2", 0.0, 1e6, "",
                 "what weights lose of themselves in front of a step, times the learning rate that the schedule has; "
                 "biases and time constants lose nothing"),
    GLE_KEY_END,
};

/* The number after Adam's: what is lost in the step. */
static struct gle_optimizer_step prepare_adamw(const void *params, double lr, uint64_t t, bool weights)
{
    const struct adamw_params *a = params;
    struct gle_optimizer_step step = prepare_adam(&a->adam, lr, t, weights);

    step.c[7] = weights ? (float)(lr * a->weight_decay) : 0.0f;
    return step;
}

static void update_adamw(float *restrict p, const float *restrict g, float *const *moments, size_t n,
                         const struct gle_optimizer_step *s)
{
    const float decay = s->c[7];

    if (decay > 0.0f) {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            p[i] = gle_decay(p[i], decay);
    }
    update_adam(p, g, moments, n, s);
}

struct sgd_params {
    double lr, momentum;
};

static const struct gle_key sgd_keys[] = {
    GLE_KEY_REAL(struct sgd_params, lr, "1e-2", 0.0, 1e6, "1/step", "learning rate"),
    GLE_KEY_REAL(struct sgd_params, momentum, "0", 0.0, 0.999999, "",
                 "decay of the summed gradients; 0: plain descent"),
    GLE_KEY_END,
};

static double lr_sgd(const void *params)
{
    return ((const struct sgd_params *)params)->lr;
}

static struct gle_optimizer_step prepare_sgd(const void *params, double lr, uint64_t t, bool weights)
{
    (void)t;
    (void)weights;
    return (struct gle_optimizer_step){{(float)((const struct sgd_params *)params)->momentum, (float)lr}};
}

static void update_sgd(float *restrict p, const float *restrict g, float *const *moments, size_t n,
                       const struct gle_optimizer_step *s)
{
    const float momentum = s->c[0], lr = s->c[1];
    float *restrict m = moments[0];

#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        m[i] = gle_sgd_sum(m[i], g[i], momentum);
        p[i] = gle_sgd(p[i], m[i], lr);
    }
}

const struct gle_optimizer GLE_ISA_NAME(gle_optimizers)[] = {
    {{.name = "adam", .help = "Adam (Kingma & Ba 2015), as torch.optim.Adam", .keys = adam_keys,
      .params_size = sizeof(struct adam_params)},
     .n_moments = 2,
     .squares = {false, true},
     .lr = lr_adam,
     .prepare = prepare_adam,
     .update = update_adam},
    {{.name = "sgd", .help = "gradient descent with momentum, as torch.optim.SGD", .keys = sgd_keys,
      .params_size = sizeof(struct sgd_params)},
     .n_moments = 1,
     .lr = lr_sgd,
     .prepare = prepare_sgd,
     .update = update_sgd},
    {{.name = "adamw", .help = "Adam with weights that decay, as torch.optim.AdamW with a group for the weights",
      .keys = adamw_keys, .params_size = sizeof(struct adamw_params)},
     .n_moments = 2,
     .squares = {false, true},
     .lr = lr_adam,
     .prepare = prepare_adamw,
     .update = update_adamw},
    {.row = {.name = NULL}},
};
