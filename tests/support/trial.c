#include "trial.h"
#include "by_layer.h"
#include "base/memory.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

static struct gle_data_context context_of(const struct gle_experiment *exp)
{
    return (struct gle_data_context){
        .dt = exp->dt, .seed = exp->seed, .n_steps = exp->n_steps, .has_teacher = exp->has_teacher};
}

static int open_all(struct trial *t, const struct gle_experiment *exp, size_t threads)
{
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    const struct gle_data_context context = context_of(exp);
    struct gle_graph_options options;

    if (gle_data_open(&t->data, set, exp->dataset.params, exp->validation, &context, &t->err) ||
        gle_train_check(exp, t->data, &t->err))
        return -1;
    options = gle_train_options(exp, t->data);
    return gle_graph_build(&t->b.graph, exp, &options, &t->err) ||
                   gle_net_build(&t->b.net, t->b.graph, threads, &t->err) ||
                   (test_fleet() && gle_net_move(t->b.net, test_fleet(), &t->err)) ||
                   gle_metrics_init(&t->m, exp, t->data, &t->err)
               ? -1
               : 0;
}

struct trial trial_open(const char *yaml, size_t threads)
{
    struct trial t = {.b = built_load(yaml)};
    struct gle_rng rng;

    gle_rng_seed(&rng, t.b.exp->seed);
    if (open_all(&t, t.b.exp, threads) || gle_net_init(t.b.net, &rng, &t.err))
        fail_msg("%s", t.err.text);
    return t;
}

void trial_run(struct trial *t, const struct gle_observer *observer, const volatile sig_atomic_t *stop)
{
    t->rc = gle_train(&t->m, t->b.net, t->b.graph, t->data, test_fleet(), observer, stop, &t->err);
}

void trial_close(struct trial *t)
{
    gle_metrics_clear(&t->m);
    gle_data_close(t->data);
    built_clear(&t->b);
}

struct trial trial_of(const char *yaml, size_t threads)
{
    struct trial t = trial_open(yaml, threads);

    trial_run(&t, NULL, NULL);
    if (t.rc)
        fail_msg("%s", t.err.text);
    assert_int_equal(t.m.status, GLE_COMPLETED);
    assert_int_equal(t.m.n_epochs, t.b.exp->phases ? 0 : t.b.exp->epochs + 1);
    assert_int_equal(t.m.n_phases, t.b.exp->n_phases);
    return t;
}

float *all_params(const struct built *b, size_t *n)
{
    float *values;
    size_t at = 0;

    *n = 0;
    for (size_t i = 0; i < b->graph->n_populations; i++)
        for (int p = 0; p < GLE_PARAMS; p++)
            *n += layer_param_size(b->graph, i, (enum gle_param)p);
    values = calloc(*n, sizeof *values);
    for (size_t i = 0; i < b->graph->n_populations; i++)
        for (int p = 0; p < GLE_PARAMS; p++) {
            layer_get_param(b->net, i, (enum gle_param)p, values + at);
            at += layer_param_size(b->graph, i, (enum gle_param)p);
        }
    assert_int_equal(at, *n);
    return values;
}

bool same_params(const struct built *a, const struct built *b)
{
    size_t n, m;
    float *x = all_params(a, &n), *y = all_params(b, &m);
    const bool same = n == m && !memcmp(x, y, n * sizeof *x);

    free(x);
    free(y);
    return same;
}

bool trial_with(const char *path, size_t k, const struct gle_observer *observer)
{
    struct gle_errors errs = {0};
    struct trial t = {0};

    (void)test_fleet();
    gle_memory_fail_after(k);
    if (gle_experiments_load(&t.b.list, path, NULL, 0, NULL, 0, &errs))
        t.rc = -1;
    else if (open_all(&t, t.b.list.item[0], 2))
        t.rc = -1;
    else
        trial_run(&t, observer, NULL);
    gle_memory_fail_after((size_t)-1);
    if (errs.n)
        t.err = errs.item[0];
    if (t.rc && t.err.code != GLE_ENOMEM)
        fail_msg("allocation %zu: code %d, %s", k, (int)t.err.code, t.err.text);
    trial_close(&t);
    return !t.rc;
}
