#include "witness.h"
#include "by_layer.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

static size_t n_out(const struct trial *t)
{
    return t->b.graph->populations[t->b.graph->n_populations - 1].n;
}

static float *all_gradients(const struct built *b)
{
    size_t n, at = 0;
    float *values = all_params(b, &n);

    for (size_t i = 0; i < b->graph->n_populations; i++)
        for (int p = 0; p < GLE_PARAMS; p++) {
            layer_get_gradient(b->net, i, (enum gle_param)p, values + at);
            at += layer_param_size(b->graph, i, (enum gle_param)p);
        }
    return values;
}

static float *what_was_read(const struct gle_moment *m, enum gle_read what, size_t width)
{
    float *values = calloc(m->B * width, sizeof *values);
    size_t *rows = calloc(m->B, sizeof *rows);

    for (size_t b = 0; b < m->B; b++)
        rows[b] = b;
    gle_net_get_read(m->net, what, rows, m->B, values);
    free(rows);
    return values;
}

static int on_moment(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    struct witness *w = ctx;
    const struct trial *t = w->trial;
    size_t n;

    (void)err;
    assert_ptr_equal(m->net, t->b.net);
    w->steps = realloc(w->steps, (w->n_steps + 1) * sizeof *w->steps);
    w->steps[w->n_steps++] = (struct sight){.moment = *m,
                                            .input = what_was_read(m, GLE_READ_INPUT, t->b.graph->n_input),
                                            .target = what_was_read(m, GLE_READ_TARGET, n_out(t)),
                                            .output = what_was_read(m, GLE_READ_OUTPUT, n_out(t)),
                                            .params = all_params(&t->b, &n),
                                            .gradients = all_gradients(&t->b)};
    if (m->step >= w->stop_after)
        w->stop = 1;
    return 0;
}

static int on_window(void *ctx, const struct gle_closed_window *closed, struct gle_error *err)
{
    struct witness *w = ctx;

    (void)err;
    w->windows = realloc(w->windows, (w->n_windows + 1) * sizeof *w->windows);
    w->windows[w->n_windows++] = *closed;
    return 0;
}

static int on_stage(void *ctx, const struct gle_metrics *m, struct gle_error *err)
{
    struct witness *w = ctx;
    size_t n;

    (void)err;
    assert_ptr_equal(m, &w->trial->m);
    w->stages = realloc(w->stages, (w->n_stages + 1) * sizeof *w->stages);
    w->stages[w->n_stages++] = all_params(&w->trial->b, &n);
    return 0;
}

struct witness witness_new(const struct trial *t)
{
    return (struct witness){.trial = t, .stop_after = UINT64_MAX};
}

struct gle_observer witness_observer(struct witness *w)
{
    return (struct gle_observer){.ctx = w, .stage = on_stage, .moment = on_moment, .window = on_window};
}

void witness_clear(struct witness *w)
{
    for (size_t i = 0; i < w->n_steps; i++) {
        free(w->steps[i].input);
        free(w->steps[i].target);
        free(w->steps[i].output);
        free(w->steps[i].params);
        free(w->steps[i].gradients);
    }
    for (size_t i = 0; i < w->n_stages; i++)
        free(w->stages[i]);
    free(w->steps);
    free(w->windows);
    free(w->stages);
}

void witness_run(struct witness *w, struct trial *t, const char *yaml, size_t threads)
{
    struct gle_observer observer;

    *t = trial_open(yaml, threads);
    *w = witness_new(t);
    observer = witness_observer(w);
    trial_run(t, &observer, &w->stop);
    if (t->rc)
        fail_msg("%s", t->err.text);
    assert_int_equal(t->m.status, GLE_COMPLETED);
}

struct gle_net *net_again(const struct trial *t, struct gle_rng *rng)
{
    struct gle_error err = {0};
    struct gle_net *net;

    gle_rng_seed(rng, t->b.exp->seed);
    if (gle_net_build(&net, t->b.graph, 1, &err))
        fail_msg("%s", err.text);
    to_device(net);
    if (gle_net_init(net, rng, &err))
        fail_msg("%s", err.text);
    return net;
}

void show_again(struct gle_net *net, const struct trial *t, const struct sight *s)
{
    size_t ld;
    float *input = gle_net_input(net, &ld), *target;

    put_rows(input, ld, s->input, s->moment.B, t->b.graph->n_input);
    target = gle_net_target(net, &ld);
    put_rows(target, ld, s->target, s->moment.B, n_out(t));
}
