/* Early stopping: a run ends where a count over the epochs of a run that goes on says, and as one ends that is asked
 * for so many epochs. */
#include "../support/trial.h"
#include "parts/schedule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { YAML_BYTES = 2048, EPOCHS = 14 };

static const char *config(const char *set, unsigned epochs, const char *training)
{
    static char yaml[YAML_BYTES];
    const bool regression = strstr(set, "mackey_glass");
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.5\nseed: 5\ndataset: {%s}\n"
                           "network: {input: %d, layers: [{name: a, neurons: {count: 5, tau_m: 1.0, tau_r: 0.6}, "
                           "activation: tanh}, {name: b, neurons: {count: %d, tau_m: 0.5, tau_r: 0.5}}]}\n"
                           "learning: {loss: %s, optimizer: {type: adam, lr: 0.05}}\n"
                           "training: {epochs: %u, batch_size: 8%s}\n",
                           set, regression ? 1 : 4, regression ? 1 : 3, regression ? "mse" : "cross_entropy", epochs,
                           training);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

/* The epoch that ends the run, by the definition: the last improvement is the one that was made against all before. */
static uint64_t last_by_definition(const struct gle_metrics *m, const struct gle_metric_row *metric, uint64_t patience,
                                   double min_delta)
{
    const double sign = metric->quality == GLE_QUALITY_ACCURACY ? -1.0 : 1.0; /* what shall fall */
    size_t reference = 1;

    for (size_t i = 2; i < m->n_epochs; i++) {
        const double now = sign * gle_metrics_value(&m->epochs[i], metric);
        if (now < sign * gle_metrics_value(&m->epochs[reference], metric) - min_delta)
            reference = i;
        else if (i - reference == patience)
            return i;
    }
    return m->n_epochs - 1;
}

static const char *const yinyang = "type: yinyang, train: 40, test: 20", *const divided = "type: yinyang, train: 40, "
                                                                                         "test: 20, validation: 16";
static const char *const untested = "type: yinyang, train: 40, test: 0";
static const char *const series = "type: mackey_glass, train: 60, test: 21, length: 3, washout: 1, discard: 50";

static const struct row {
    const char *set, *metric, *more; /* of training */
    unsigned patience;
    double min_delta;
    bool early;
} rows[] = {
    {divided, "validation_loss", "", 1, 0.0, true},
    {divided, "validation_loss", "", 2, 0.05, true},
    {divided, "validation_loss", ", test: epochs", 1, 0.0, true},
    {divided, "validation_accuracy", ", state: reset", 3, 0.0, true},
    {divided, "validation_accuracy", "", 2, 0.5, true},
    {divided, "train_loss", "", 1, 0.1, true},
    {divided, "train_accuracy", ", test: end", 1, 0.02, true},
    {divided, "test_loss", "", 1, 0.05, true},
    {yinyang, "test_accuracy", "", 2, 0.0, true},
    {yinyang, "train_loss", ", test: end", 1, 0.1, true},
    {untested, "train_loss", "", 1, 0.1, true},
    {series, "test_nrmse", "", 1, 0.1, true},
    {series, "train_nrmse", ", test: end", 1, 0.1, true},
    {divided, "train_after_loss", ", evaluate: {train: all}", 1, 0.05, true},
    {yinyang, "train_after_accuracy", ", test: end, evaluate: {train: {type: first, samples: 10}}", 2, 0.1, true},
    {untested, "train_after_loss", ", evaluate: {train: all}", 1, 0.05, true},
    {series, "train_after_nrmse", ", evaluate: {train: all}", 1, 0.1, true},
    {yinyang, "train_loss", "", EPOCHS - 1, 1e9, false}, /* the last epoch by the config makes the count full */
    {yinyang, "train_loss", "", EPOCHS + 5, 0.0, false},
};

/* What the hooks see. */
struct told {
    double done;     /* last */
    uint64_t stages; /* likewise */
    size_t epochs;   /* that ended */
};

static void on_progress(void *ctx, const struct gle_progress *p)
{
    struct told *told = ctx;

    assert_true(p->done >= 0.0 && p->done <= 1.0);
    assert_true(p->stage <= p->stages);
    told->done = p->done;
    told->stages = p->stages;
}

static int on_epoch(void *ctx, const struct gle_metrics *m, struct gle_error *err)
{
    (void)err;
    assert_int_equal(m->n_epochs, ++((struct told *)ctx)->epochs);
    return 0;
}

static struct trial run(const char *yaml, struct told *told, size_t threads)
{
    const struct gle_observer observer = {.ctx = told, .progress = on_progress, .stage = on_epoch};
    struct trial t = trial_open(yaml, threads);

    *told = (struct told){0};
    trial_run(&t, &observer, NULL);
    assert_int_equal(t.rc, 0);
    assert_int_equal(t.m.status, GLE_COMPLETED);
    assert_int_equal(told->epochs, t.m.n_epochs);
    return t;
}

static void assert_same_epochs(const struct gle_metrics *a, const struct gle_metrics *b)
{
    assert_int_equal(a->n_epochs, b->n_epochs);
    for (size_t i = 0; i < a->n_epochs; i++)
        for (int s = 0; s < GLE_SCORES; s++) {
            const struct gle_score *x = &a->epochs[i].score[s], *y = &b->epochs[i].score[s];
            assert_int_equal(x->measured, y->measured);
            assert_true(!x->measured || (x->loss == y->loss && (isnan(x->accuracy) || x->accuracy == y->accuracy)));
        }
    assert_int_equal(a->confusion_split, b->confusion_split);
    if (a->confusion)
        assert_memory_equal(a->confusion, b->confusion, a->n_classes * a->n_classes * sizeof *a->confusion);
    assert_int_equal(a->train_steps, b->train_steps);
    assert_int_equal(a->eval_steps, b->eval_steps);
    assert_true(a->best == b->best);
}

static void check_row(const struct row *row)
{
    char training[256];
    const struct gle_metric_row *metric = (const struct gle_metric_row *)gle_table_find(&gle_metric_table, row->metric);
    struct told told, wanted;
    struct trial all, stopped, less;
    bool goes_on; /* to other sets, after the decision */
    uint64_t last;

    /* the same passes as of the run that stops */
    snprintf(training, sizeof training, "%s, best: %s", row->more, row->metric);
    all = run(config(row->set, EPOCHS, training), &told, 1);
    last = last_by_definition(&all.m, metric, row->patience, row->min_delta);
    trial_close(&all);
    if (row->early != (last < EPOCHS) || last < 2)
        fail_msg("%s, patience %u: the run ends with epoch %llu", row->metric, row->patience, (unsigned long long)last);
    less = run(config(row->set, (unsigned)last, training), &wanted, 1);
    snprintf(training, sizeof training, "%s, best: %s, stop: {metric: %s, patience: %u, min_delta: %g}", row->more,
             row->metric, row->metric, row->patience, row->min_delta);
    stopped = run(config(row->set, EPOCHS, training), &told, 2);
    if (stopped.m.n_epochs != last + 1)
        fail_msg("%s, patience %u: ended with epoch %zu, where %llu is wanted", row->metric, row->patience,
                 stopped.m.n_epochs - 1, (unsigned long long)last);
    goes_on = metric->set == GLE_METRIC_TRAIN || metric->set == GLE_METRIC_TRAIN_AFTER
                  ? stopped.data->split[GLE_VALIDATION].n + stopped.data->split[GLE_TEST].n
                                              : metric->set == GLE_METRIC_VALIDATION;
    assert_int_equal(told.stages, goes_on ? last : EPOCHS);
    assert_true(!goes_on || told.done == wanted.done);
    assert_int_equal(gle_metrics_stopped_early(&stopped.m, stopped.b.exp), row->early);
    assert_true(gle_metrics_complete(&stopped.m, stopped.b.exp));
    if (row->early)
        assert_int_equal(gle_metrics_improved_last(&stopped.m, stopped.b.exp), last - row->patience);
    assert_int_equal(stopped.m.message[0] != '\0', row->early);
    assert_int_equal(stopped.m.epochs[last].score[GLE_TEST].measured, stopped.data->split[GLE_TEST].n > 0);
    assert_true(same_params(&less.b, &stopped.b));
    assert_same_epochs(&less.m, &stopped.m);
    trial_close(&less);
    trial_close(&stopped);
}

static void a_run_ends_where_the_definition_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
}

static void what_ended_the_run_is_told(void **state)
{
    static const struct {
        const char *stop, *message;
    } cases[] = {
        {"metric: train_loss, patience: 1, min_delta: 1e3",
         "stopped early after epoch 2: train_loss has not fallen by more than 1000 for 1 epoch"},
        {"metric: test_accuracy, patience: 3, min_delta: 1",
         "stopped early after epoch 4: test_accuracy has not risen by more than 1 for 3 epochs"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char training[128];
        struct told told;
        struct trial t;
        snprintf(training, sizeof training, ", stop: {%s}", cases[i].stop);
        t = run(config(yinyang, EPOCHS, training), &told, 1);
        assert_string_equal(t.m.message, cases[i].message);
        trial_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_ends_where_the_definition_says),
        cmocka_unit_test(what_ended_the_run_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
