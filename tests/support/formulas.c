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

static double linear(double u, double *slope)
{
    return *slope = 1.0, u;
}

static double relu(double u, double *slope)
{
    return *slope = u > 0.0, fmax(u, 0.0);
}

static double sigmoid(double u, double *slope)
{
    const double r = 1.0 / (1.0 + exp(-u));
    return *slope = r * (1.0 - r), r;
}

static double hard_sigmoid(double u, double *slope)
{
    return *slope = fabs(u) < 3.0 ? 1.0 / 6.0 : 0.0, fmin(1.0, fmax(0.0, u / 6.0 + 0.5));
}

static double tanh_of(double u, double *slope)
{
    return *slope = 1.0 - tanh(u) * tanh(u), tanh(u);
}

static double hard_tanh(double u, double *slope)
{
    return *slope = fabs(u) < 1.0, fmin(1.0, fmax(-1.0, u));
}

static double softplus(double u, double *slope)
{
    return *slope = 1.0 / (1.0 + exp(-u)), log1p(exp(-fabs(u))) + fmax(u, 0.0);
}

static double elu(double u, double *slope)
{
    return *slope = u > 0.0 ? 1.0 : exp(u), u > 0.0 ? u : expm1(u);
}

static double softsign(double u, double *slope)
{
    return *slope = pow(1.0 + fabs(u), -2.0), u / (1.0 + fabs(u));
}

static const struct act_formula acts[] = {
    {"linear", linear, -1.0, -1.0},
    {"relu", relu, 0.0, -1.0},
    {"sigmoid", sigmoid, -1.0, -1.0},
    {"hard_sigmoid", hard_sigmoid, 3.0, -1.0},
    {"tanh", tanh_of, -1.0, -1.0},
    {"hard_tanh", hard_tanh, 1.0, -1.0},
    {"softplus", softplus, -1.0, -1.0},
    {"elu", elu, -1.0, 0.0},
    {"softsign", softsign, -1.0, 0.0},
    {"log_softmax", NULL, -1.0, -1.0},
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
