#include "device_parity.h"
#include "base/memory.h"
#include "base/rng.h"
#include "bench_trial.h"
#include "parts/optimizer.h"

#include <math.h>

const struct parity parity_limit = {.losses = 1e-4, .states = 1e-2, .parameters = 1e-4};

bool parity_holds(const struct parity *p)
{
    return p->losses <= parity_limit.losses && p->states <= parity_limit.states &&
           p->parameters <= parity_limit.parameters; /* NaN does not */
}

/* Starts as training does, with all rows of a batch. */
static void start(struct trial *t)
{
    struct gle_net *net = t->rows[0].nets[0];
    struct gle_error err = {0};
    struct gle_rng rng;

    gle_rng_seed(&rng, t->exp->seed);
    if (gle_net_init(net, &rng, &err))
        stop_on(&err);
    gle_net_set_batch(net, t->graph->train_rows);
    gle_net_begin_batch(net, true);
}

/* Numbers that differ from step to step, and a class for each row. */
static void show(struct trial *t, const float *numbers, size_t step)
{
    struct gle_net *net = t->rows[0].nets[0];
    const size_t n_input = t->exp->n_input, n_top = t->data->n_targets;
    size_t ld_input, ld_target;
    float *input = gle_net_input(net, &ld_input), *target = gle_net_target(net, &ld_target);

    for (size_t b = 0; b < t->graph->train_rows; b++) {
        for (size_t i = 0; i < n_input; i++)
            input[b * ld_input + i] = numbers[b * n_input + i + step];
        for (size_t i = 0; i < n_top; i++)
            target[b * ld_target + i] = i == b % n_top ? 1.0f : 0.0f;
    }
}

/* Makes the steps; losses[PARITY_STEPS]. */
static void run(struct trial *t, double *losses)
{
    const struct gle_optimizer *optimizer = (const struct gle_optimizer *)t->exp->optimizer.row;
    const struct gle_step step = {.learn = true, .lr = optimizer->lr(t->exp->optimizer.params)};
    float *numbers = noise(t->graph->train_rows * t->exp->n_input + PARITY_STEPS);
    double some[GLE_LOSSES];
    struct gle_error err = {0};
    size_t known = 0, n;

    start(t);
    for (size_t i = 0; i <= PARITY_STEPS; i++) { /* the last round only waits */
        if (i < PARITY_STEPS)
            show(t, numbers, i);
        if (i < PARITY_STEPS ? gle_net_queue(t->rows[0].nets[0], &step, some, &n, &err)
                             : gle_net_collect(t->rows[0].nets[0], some, &n, &err))
            stop_on(&err);
        for (size_t k = 0; k < n; k++)
            losses[known++] = some[k];
    }
    gle_free(numbers);
}

/* The largest difference of n numbers, as a part of the largest number; NaN if there is one. */
static double deviation(const float *a, const float *b, size_t n)
{
    double largest = 0.0, apart = 0.0;

    for (size_t i = 0; i < n; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i]))
            return (double)NAN;
        largest = fmax(largest, fabs((double)a[i]));
        apart = fmax(apart, fabs((double)a[i] - (double)b[i]));
    }
    return apart > 0.0 ? apart / largest : 0.0;
}

/* The larger one; NaN stays. */
static double worse(double a, double b)
{
    return isnan(a) || isnan(b) ? (double)NAN : fmax(a, b);
}

static void get(const struct trial *t, size_t field, float *values)
{
    gle_net_get_var(t->rows[0].nets[0], field, values);
}

static void compare_states(struct parity *p, const struct trial *a, const struct trial *b)
{
    const struct gle_graph *g = a->graph;

    for (size_t i = 0; i < g->n_fields; i++) {
        const struct gle_field *f = g->fields[i];
        const size_t n = g->train_rows * f->cols;
        float *x, *y;
        if (f->role != GLE_STATE || !f->copies || !f->of_batch || !gle_net_has_var(a->rows[0].nets[0], i))
            continue;
        x = noise(n);
        y = noise(n);
        get(a, i, x);
        get(b, i, y);
        p->states = worse(p->states, deviation(x, y, n));
        gle_free(x);
        gle_free(y);
    }
}

static void compare_parameters(struct parity *p, const struct trial *a, const struct trial *b)
{
    const struct gle_graph *g = a->graph;

    for (size_t i = 0; i < g->n_parameters; i++) {
        const size_t n = gle_field_size(&g->parameters[i].field);
        float *x, *y;
        if (!g->parameters[i].field.copies)
            continue;
        x = noise(n);
        y = noise(n);
        gle_net_get_param(a->rows[0].nets[0], i, x);
        gle_net_get_param(b->rows[0].nets[0], i, y);
        p->parameters = worse(p->parameters, deviation(x, y, n));
        gle_free(x);
        gle_free(y);
    }
}

struct parity parity_measure(const struct gle_experiment *exp, struct gle_device *device)
{
    double losses[2][PARITY_STEPS];
    struct parity p = {0};
    struct gle_error err = {0};
    struct trial here, there;

    trial_open(&here, exp, &(size_t){1}, 1, true);
    trial_open_on(&there, exp, device, 1, true);
    run(&here, losses[0]);
    run(&there, losses[1]);
    for (size_t i = 0; i < PARITY_STEPS; i++)
        p.losses = worse(p.losses, fabs(losses[1][i] - losses[0][i]) / fmax(fabs(losses[0][i]), 1e-30));
    compare_states(&p, &here, &there);
    compare_parameters(&p, &here, &there);
    if (gle_net_tell(there.rows[0].nets[0], &err))
        stop_on(&err);
    trial_close(&here);
    trial_close(&there);
    return p;
}
