/* The closed loop: the network's output takes the place of its input, which it was made to foretell. */
#include "base/memory.h"
#include "train/evaluation.h"
#include "train/run.h"

#include <math.h>
#include <string.h>

/* What is held against each other in one loop, summed over steps with a target, samples and outputs. */
struct sums {
    double n, error, smape;       /* of |y - r| / (|y| + |r|) */
    double y, y2;                 /* of targets, less the first of them */
    double shift;
    bool diverged;
};

struct loop {
    struct gle_run *copy;
    size_t after, n_steps, horizon; /* steps */
    size_t K;
    bool closed;
    const struct gle_traces *traces;
    size_t *rows;          /* (most rows): 0, 1, 2, ... */
    float *outputs;        /* (horizon, most rows, K): the last ones; that of step t at t mod horizon */
    float *output, *target; /* (most rows, K) */
};

/* sMAPE, which depends on where 0 is, is that of the series itself. */
static void add(struct sums *s, const struct gle_data *data, double y, double r)
{
    const double far = fabs(y - r), unit = data->unit != 0.0 ? data->unit : 1.0;
    const double size = fabs(data->origin + unit * y) + fabs(data->origin + unit * r);

    if (s->n == 0.0)
        s->shift = y;
    s->n += 1.0;
    s->error += far * far;
    s->smape += size > 0.0 ? unit * far / size : 0.0;
    s->y += y - s->shift;
    s->y2 += (y - s->shift) * (y - s->shift);
}

/* In percent, 0 to 200. */
static double smape(const struct sums *s)
{
    return s->diverged ? (double)NAN : 200.0 * s->smape / s->n;
}

static double nrmse(const struct sums *s)
{
    const double variance = s->y2 / s->n - s->y / s->n * (s->y / s->n);

    return s->diverged ? (double)NAN : sqrt(s->error / s->n / variance);
}

/* The output of so many steps before, in place of the input. */
static void close_loop(const struct loop *l, const struct gle_batch *batch, size_t t)
{
    const float *output = l->outputs + t % l->horizon * batch->B * l->K;
    size_t ld;
    float *input = gle_net_input(l->copy->net, &ld);

    for (size_t b = 0; b < batch->B; b++)
        memcpy(input + b * ld, output + b * l->K, l->K * sizeof *input);
}

/* Part 0: targets; 1 and 2: outputs of the open loop and of the closed one. */
static void keep(const struct loop *l, const struct gle_batch *batch, size_t t, size_t part, const float *values)
{
    const struct gle_traces *to = l->traces;

    for (size_t b = 0; b < batch->B && batch->rows[b] < to->n; b++)
        memcpy(to->values + ((part * to->n + batch->rows[b]) * to->n_steps + (t - l->after)) * l->K, values + b * l->K,
               l->K * sizeof *values);
}

static void compare(const struct loop *l, const struct gle_batch *batch, size_t t, struct sums *s)
{
    gle_data_target(l->target, l->K, l->copy->data, batch, t);
    keep(l, batch, t, 0, l->target);
    keep(l, batch, t, l->closed ? 2 : 1, l->output);
    for (size_t b = 0; b < batch->B; b++)
        for (size_t k = 0; gle_data_asks(l->copy->data, batch->split, batch->rows[b], t) && k < l->K; k++)
            add(s, l->copy->data, (double)l->target[b * l->K + k], (double)l->output[b * l->K + k]);
}

static int show_batch(const struct loop *l, const struct gle_batch *batch, struct sums *s, struct gle_error *err)
{
    struct gle_run *copy = l->copy;
    const struct gle_stride stride = {
        .B = batch->B, .forward_only = gle_run_without_errors(copy->exp, true), .at_once = true};
    double unused = 0.0;

    gle_run_begin_batch(copy, batch->B);
    for (size_t t = 0; t < l->after + l->n_steps && !gle_run_stopped(copy); t++) {
        size_t ld;
        float *input = gle_net_input(copy->net, &ld);
        gle_data_input(input, ld, copy->data, batch, t);
        if (l->closed && t >= l->after && t >= l->horizon)
            close_loop(l, batch, t);
        copy->at.unasked = true; /* outputs are held against targets here */
        if (gle_run_step(copy, &stride, &unused, err))
            return -1;
        gle_net_get_read(copy->net, GLE_READ_OUTPUT, l->rows, batch->B, l->output);
        memcpy(l->outputs + t % l->horizon * batch->B * l->K, l->output, batch->B * l->K * sizeof *l->output);
        if (t >= l->after)
            compare(l, batch, t, s);
    }
    return 0;
}

/* A network that its own output drives out of all bounds says nothing of the run. */
static int show_all(const struct loop *l, const struct gle_evaluation *e, struct sums *s, struct gle_error *err)
{
    const size_t n = l->copy->data->split[GLE_TEST].n, B = gle_evaluation_rows(l->copy->exp, l->copy->data, GLE_TEST);
    const uint32_t *rows = gle_evaluation_samples(e);
    struct gle_error own = {0};

    for (size_t done = 0; done < n && !s->diverged && !gle_run_stopped(l->copy); done += B) {
        const struct gle_batch batch = {.split = GLE_TEST,
                                        .rows = rows + done,
                                        .B = n - done < B ? n - done : B,
                                        .n_steps = l->copy->data->n_steps};
        if (!show_batch(l, &batch, s, &own))
            continue;
        if (own.code != GLE_EDIVERGED)
            return gle_fail(err, own.code, "%s (in the closed loop)", own.text);
        s->diverged = true;
    }
    return s->diverged ? 0 : gle_net_tell(l->copy->net, err);
}

static int make_room(struct loop *l, size_t B, struct gle_error *err)
{
    l->rows = gle_calloc(B, sizeof *l->rows);
    l->outputs = gle_calloc(l->horizon * B, l->K * sizeof *l->outputs);
    l->output = gle_calloc(B, l->K * sizeof *l->output);
    l->target = gle_calloc(B, l->K * sizeof *l->target);
    for (size_t b = 0; l->rows && b < B; b++)
        l->rows[b] = b;
    return l->rows && l->outputs && l->output && l->target
               ? 0
               : gle_fail(err, GLE_ENOMEM, "no memory for the closed loop");
}

static void free_room(struct loop *l)
{
    gle_free(l->rows);
    gle_free(l->outputs);
    gle_free(l->output);
    gle_free(l->target);
}

size_t gle_closed_horizon(const struct gle_experiment *exp, const struct gle_data *data)
{
    return exp->closed.horizon ? (size_t)exp->closed.horizon : data->horizon ? data->horizon : 1;
}

int gle_closed_measure(struct gle_evaluation *e, const struct gle_run *run, bool own_values, struct gle_closed *found,
                       struct gle_error *err)
{
    struct loop l = {.after = (size_t)run->exp->closed.after,
                     .n_steps = (size_t)run->exp->closed.n_steps,
                     .horizon = gle_closed_horizon(run->exp, run->data),
                     .K = run->data->n_targets,
                     .traces = &run->metrics->traces};
    struct sums sums[2] = {{.n = 0.0}, {.n = 0.0}};
    int rc = make_room(&l, gle_evaluation_rows(run->exp, run->data, GLE_TEST), err) ||
             gle_metrics_make_traces(run->metrics, run->data->split[GLE_TEST].n, l.n_steps, l.K, err);

    for (int closed = 0; closed < 2 && !rc && !gle_run_stopped(run); closed++) {
        struct gle_run copy = gle_evaluation_copy(e, run, GLE_TEST, own_values);
        l.copy = &copy;
        l.closed = closed;
        rc = show_all(&l, e, &sums[closed], err);
    }
    if (gle_run_stopped(run)) /* half of them are worth nothing */
        gle_metrics_drop_traces(run->metrics);
    free_room(&l);
    *found = (struct gle_closed){.smape = smape(&sums[1]),
                                 .nrmse = nrmse(&sums[1]),
                                 .open_smape = smape(&sums[0]),
                                 .open_nrmse = nrmse(&sums[0])};
    return rc ? -1 : 0;
}
