#include "formulas.h"
#include "build.h"
#include "yaml/key.h"

#include <math.h>
#include <string.h>

double setting_of(const struct gle_row *row, const void *params, const char *key)
{
    for (const struct gle_key *k = row->keys; k && k->name; k++)
        if (!strcmp(k->name, key) && k->kind == GLE_KEY_KIND_REAL)
            return *(const double *)(const void *)((const char *)params + k->offset);
    fail_msg("%s has no number '%s'", row->name, key);
    return NAN;
}

/* --- activations --- */

static double act_setting(const struct act_of *of, const char *key)
{
    return setting_of(of->row, of->params, key);
}

#define ACT(name) static double name(double u, double *slope, const struct act_of *of)

ACT(linear)
{
    (void)of;
    return *slope = 1.0, u;
}

ACT(relu)
{
    (void)of;
    return *slope = u > 0.0, fmax(u, 0.0);
}

ACT(leaky_relu)
{
    const double below = act_setting(of, "slope");
    return *slope = u > 0.0 ? 1.0 : below, u > 0.0 ? u : below * u;
}

ACT(sigmoid)
{
    const double r = 1.0 / (1.0 + exp(-u));
    (void)of;
    return *slope = r * (1.0 - r), r;
}

ACT(hard_sigmoid)
{
    const double low = act_setting(of, "low"), high = act_setting(of, "high");
    return *slope = u > low && u < high ? 1.0 / (high - low) : 0.0, fmin(1.0, fmax(0.0, (u - low) / (high - low)));
}

ACT(tanh_of)
{
    (void)of;
    return *slope = 1.0 - tanh(u) * tanh(u), tanh(u);
}

ACT(hard_tanh)
{
    (void)of;
    return *slope = fabs(u) < 1.0, fmin(1.0, fmax(-1.0, u));
}

ACT(softplus)
{
    (void)of;
    return *slope = 1.0 / (1.0 + exp(-u)), log1p(exp(-fabs(u))) + fmax(u, 0.0);
}

ACT(elu)
{
    const double alpha = act_setting(of, "alpha");
    return *slope = u > 0.0 ? 1.0 : alpha * exp(u), u > 0.0 ? u : alpha * expm1(u);
}

ACT(softsign)
{
    (void)of;
    return *slope = pow(1.0 + fabs(u), -2.0), u / (1.0 + fabs(u));
}

static double to_zero(double u, const struct act_of *of)
{
    (void)of;
    return fabs(u);
}

static double to_one(double u, const struct act_of *of)
{
    (void)of;
    return fabs(fabs(u) - 1.0);
}

static double to_ends(double u, const struct act_of *of)
{
    return fmin(fabs(u - act_setting(of, "low")), fabs(u - act_setting(of, "high")));
}

static double to_kink_of_elu(double u, const struct act_of *of)
{
    return fabs(act_setting(of, "alpha") - 1.0) > 0.0 ? fabs(u) : (double)INFINITY;
}

static const struct act_formula acts[] = {
    {.name = "linear", .phi = linear},
    {.name = "relu", .phi = relu, .to_kink = to_zero},
    {.name = "leaky_relu", .phi = leaky_relu, .to_kink = to_zero},
    {.name = "sigmoid", .phi = sigmoid},
    {.name = "hard_sigmoid", .phi = hard_sigmoid, .to_kink = to_ends},
    {.name = "tanh", .phi = tanh_of, .off = 4e-7, .slope_off = 8e-7},
    {.name = "hard_tanh", .phi = hard_tanh, .to_kink = to_one},
    {.name = "softplus", .phi = softplus},
    {.name = "elu", .phi = elu, .to_kink = to_kink_of_elu, .to_bend = to_zero},
    {.name = "softsign", .phi = softsign, .to_bend = to_zero},
    {.name = "log_softmax"},
};

const struct act_formula *find_act_formula(const char *name)
{
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (!strcmp(acts[i].name, name))
            return &acts[i];
    fail_msg("tests/support/formulas.c has no formula of the activation %s", name);
    return NULL;
}

/* --- losses --- */

static double mse(double *e, const double *r, const double *y, size_t n, const struct gle_row *row, const void *params)
{
    double loss = 0.0;

    (void)row;
    (void)params;
    for (size_t i = 0; i < n; i++) {
        e[i] = y[i] - r[i];
        loss += e[i] * e[i] / (double)n;
    }
    return loss;
}

static double huber(double *e, const double *r, const double *y, size_t n, const struct gle_row *row,
                    const void *params)
{
    const double delta = setting_of(row, params, "delta");
    double loss = 0.0;

    for (size_t i = 0; i < n; i++) {
        const double d = fabs(y[i] - r[i]);
        e[i] = fmin(d, delta) * copysign(1.0, y[i] - r[i]);
        loss += (d <= delta ? 0.5 * d * d : delta * (d - 0.5 * delta)) / (double)n;
    }
    return loss;
}

static double log_cosh(double *e, const double *r, const double *y, size_t n, const struct gle_row *row,
                       const void *params)
{
    double loss = 0.0;

    (void)row;
    (void)params;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs(y[i] - r[i]);
        e[i] = tanh(y[i] - r[i]);
        loss += (d < 1.0 ? 0.5 * log1p(sinh(d) * sinh(d)) : d + log1p(exp(-2.0 * d)) - log(2.0)) / (double)n;
    }
    return loss;
}

static double cross_entropy(double *e, const double *r, const double *y, size_t n, const struct gle_row *row,
                            const void *params)
{
    double loss = 0.0, sum = 0.0, max = r[0];

    (void)row;
    (void)params;
    for (size_t i = 1; i < n; i++)
        max = fmax(max, r[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp(r[i] - max);
    for (size_t i = 0; i < n; i++) {
        e[i] = y[i] - exp(r[i] - max) / sum;
        loss += y[i] * (log(sum) + max - r[i]);
    }
    return loss;
}

static double nll(double *e, const double *r, const double *y, size_t n, const struct gle_row *row, const void *params)
{
    double loss = 0.0;

    (void)row;
    (void)params;
    for (size_t i = 0; i < n; i++) {
        e[i] = y[i] - exp(r[i]);
        loss -= y[i] * r[i];
    }
    return loss;
}

static const struct loss_formula losses[] = {
    {"mse", mse, NULL, false},
    {"huber", huber, "delta", false},
    {"log_cosh", log_cosh, NULL, false},
    {"cross_entropy", cross_entropy, NULL, true},
    {"nll", nll, NULL, false},
};

const struct loss_formula *find_loss_formula(const char *name)
{
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++)
        if (!strcmp(losses[i].name, name))
            return &losses[i];
    fail_msg("tests/support/formulas.c has no formula of the loss %s", name);
    return NULL;
}
