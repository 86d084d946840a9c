#include "train/train.h"
#include "base/clock.h"
#include "base/memory.h"
#include "parts/loss.h"
#include "parts/optimizer.h"
#include "parts/schedule.h"
#include "train/order.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PROGRESS_STEPS = 16 };

/* A run in progress. */
struct run {
    const struct gle_experiment *exp;
    const struct gle_graph *graph;
    struct gle_net *net;
    const struct gle_data *data;
    struct gle_metrics *metrics;
    const struct gle_observer *observer;
    const volatile sig_atomic_t *stop;
    struct gle_order order;
    struct gle_schedule_state schedule;
    uint32_t *rows;    /* order of the pass */
    float *output_sum; /* (max_batch, n_targets) */
    uint64_t *confusion; /* of the pass so far, as metrics->confusion */
    uint64_t epoch;
    double work, total_work; /* samples times steps */
    struct gle_error *err;
    int rc;
};

/* A pass over a split. */
struct pass {
    enum gle_split split;
    bool learn;
    size_t done;   /* samples */
    uint64_t steps;
    double loss;   /* summed over steps and samples */
    size_t right;  /* samples */
};

static bool stopped(const struct run *run)
{
    return run->stop && *run->stop;
}

int gle_train_check(const struct gle_experiment *exp, const struct gle_data *data, struct gle_error *err)
{
    const struct gle_layer_cfg *top = &exp->layers[exp->n_layers - 1];
    const struct gle_schedule *schedule = (const struct gle_schedule *)exp->schedule.row;
    const struct gle_metric_row *metric = schedule->metric(exp->schedule.params);

    if (data->n_channels != exp->n_input)
        return gle_node_fail(err, GLE_ESHAPE, exp->network_src, "input", "%zu, where the data set has %zu channel%s",
                             exp->n_input, data->n_channels, data->n_channels > 1 ? "s" : "");
    if (data->n_targets != top->n)
        return gle_node_fail(err, GLE_ESHAPE, top->src, "neurons",
                             "%zu in the last layer, where the data set has %zu target%s", top->n, data->n_targets,
                             data->n_targets > 1 ? "s" : "");
    if (exp->loss->classes && !data->labelled)
        return gle_node_fail(err, GLE_ESHAPE, gle_node_get(exp->src, "learning"), "loss",
                             "%s wants labels, and the data set has target values", exp->loss->row.name);
    if (!data->split[GLE_TRAIN].n && exp->epochs)
        return gle_node_fail(err, GLE_ESHAPE, exp->dataset.src, NULL, "the training set is empty");
    if (metric && ((metric->metric == GLE_METRIC_VALIDATION_LOSS && !data->split[GLE_VALIDATION].n) ||
                   (metric->metric == GLE_METRIC_TEST_LOSS && !data->split[GLE_TEST].n)))
        return gle_node_fail(err, GLE_ESHAPE, exp->schedule.src, "metric",
                             "%s cannot be watched: there is no such set (training.validation makes one)",
                             metric->row.name);
    return 0;
}

/* --- one batch --- */

/* Counts right predictions (argmax of the summed output) and the confusion matrix. */
static void count_right(struct run *run, struct pass *pass, const uint32_t *rows, size_t B)
{
    const int32_t *labels = run->data->split[pass->split].labels;
    const size_t K = run->data->n_targets;
    uint64_t *confusion = pass->split == run->metrics->confusion_split ? run->confusion : NULL;

    if (!run->data->labelled)
        return;
    gle_net_get_output_sum(run->net, run->output_sum);
    for (size_t b = 0; b < B; b++) {
        const float *sum = run->output_sum + b * K;
        const size_t label = (size_t)labels[rows[b]];
        size_t best = 0;
        for (size_t k = 1; k < K; k++)
            if (sum[k] > sum[best])
                best = k;
        pass->right += best == label;
        if (confusion)
            confusion[label * K + best]++;
    }
}

static void tell_progress(const struct run *run, const struct pass *pass, double loss)
{
    const struct gle_progress p = {
        .epoch = run->epoch,
        .epochs = run->exp->epochs,
        .split = pass->split,
        .done = run->work / run->total_work,
        .loss = loss,
        .accuracy = pass->done && run->data->labelled ? (double)pass->right / (double)pass->done : (double)NAN,
    };

    if (run->observer->progress)
        run->observer->progress(run->observer->ctx, &p);
}

static int run_batch(struct run *run, struct pass *pass, const uint32_t *rows, size_t B, struct gle_error *err)
{
    const struct gle_data *data = run->data;
    const struct gle_step step = {.learn = pass->learn, .lr = run->schedule.lr};
    size_t ld_input, ld_target;
    float *input = gle_net_input(run->net, &ld_input), *target = gle_net_target(run->net, &ld_target);

    gle_net_set_batch(run->net, B);
    gle_net_begin_batch(run->net, run->exp->reset_state);
    gle_order_first_step(&run->order, B, data->n_channels);
    if (pass->learn)
        gle_net_keep(run->net);
    for (size_t t = 0; t < data->n_steps; t++) {
        double loss;

        if (t == 0 || !data->held)
            gle_data_input(input, ld_input, data, pass->split, rows, B, t);
        if (t == 0 || data->target_moves)
            gle_data_target(target, ld_target, data, pass->split, rows, B, t);
        if (gle_net_step(run->net, &step, &loss, err))
            return -1;
        pass->loss += loss;
        pass->steps++;
        run->work += (double)B;
        if (t % PROGRESS_STEPS == 0)
            tell_progress(run, pass,
                          pass->loss / ((double)pass->done * (double)data->n_steps + (double)B * (double)(t + 1)));
        if (stopped(run))
            return 0;
    }
    count_right(run, pass, rows, B);
    pass->done += B;
    return 0;
}

/* --- one pass --- */

static int run_pass(struct run *run, enum gle_split split, bool learn, struct gle_score *score, struct gle_error *err)
{
    const size_t n = run->data->split[split].n;
    const size_t batch = learn ? run->exp->batch_size : run->exp->test_batch_size;
    struct gle_metrics *m = run->metrics;
    struct pass pass = {.split = split, .learn = learn};
    const double start = gle_clock(), work = run->work;
    int rc = 0;

    if (learn) {
        gle_order_shuffle(&run->order, run->rows, n);
    } else {
        gle_order_evaluate(&run->order);
        for (size_t i = 0; i < n; i++)
            run->rows[i] = (uint32_t)i;
    }
    if (split == m->confusion_split && run->confusion)
        memset(run->confusion, 0, m->n_classes * m->n_classes * sizeof *run->confusion);
    for (size_t at = 0; at < n && !rc && !stopped(run); at += batch)
        rc = run_batch(run, &pass, run->rows + at, n - at < batch ? n - at : batch, err);
    *(learn ? &m->train_seconds : &m->eval_seconds) += gle_clock() - start;
    *(learn ? &m->train_steps : &m->eval_steps) += pass.steps;
    *(learn ? &m->train_flops : &m->eval_flops) += gle_graph_flops(run->graph, learn) * (run->work - work);
    if (rc || stopped(run))
        return rc;
    score->measured = true;
    score->loss = pass.loss / ((double)n * (double)run->data->n_steps);
    score->accuracy = run->data->labelled ? (double)pass.right / (double)n : (double)NAN;
    return 0;
}

/* --- epochs --- */

static double watched_loss(const struct run *run, const struct gle_epoch *e)
{
    const struct gle_schedule *schedule = (const struct gle_schedule *)run->exp->schedule.row;
    const struct gle_metric_row *metric = schedule->metric(run->exp->schedule.params);

    if (!metric)
        return 0.0;
    return e->score[metric->metric == GLE_METRIC_TRAIN_LOSS        ? GLE_TRAIN
                    : metric->metric == GLE_METRIC_VALIDATION_LOSS ? GLE_VALIDATION
                                                                   : GLE_TEST]
        .loss;
}

/* Higher accuracy is better, or lower loss where there are no labels. */
static bool is_better(const struct gle_score *a, const struct gle_score *b)
{
    if (!a->measured || !b->measured)
        return a->measured;
    return isnan(a->accuracy) ? a->loss < b->loss : a->accuracy > b->accuracy;
}

static int run_epoch(struct run *run, struct gle_error *err)
{
    struct gle_metrics *m = run->metrics;
    struct gle_epoch e = {.epoch = run->epoch, .lr = run->schedule.lr};
    const struct gle_schedule *schedule = (const struct gle_schedule *)run->exp->schedule.row;
    const double start = gle_clock();

    if (run->epoch && run_pass(run, GLE_TRAIN, true, &e.score[GLE_TRAIN], err))
        return -1;
    for (int s = GLE_VALIDATION; s <= GLE_TEST && !stopped(run); s++)
        if (run->data->split[s].n && run_pass(run, (enum gle_split)s, false, &e.score[s], err))
            return -1;
    if (stopped(run))
        return 0;
    if (run->epoch)
        schedule->next(&run->schedule, run->exp->schedule.params, run->epoch, watched_loss(run, &e));
    e.seconds = gle_clock() - start;
    m->epochs[m->n_epochs++] = e;
    if (m->confusion)
        memcpy(m->confusion, run->confusion, m->n_classes * m->n_classes * sizeof *m->confusion);
    if (is_better(&e.score[m->best_split], &m->epochs[m->best].score[m->best_split]))
        m->best = m->n_epochs - 1;
    return run->observer->epoch ? run->observer->epoch(run->observer->ctx, m, err) : 0;
}

static double total_work(const struct run *run)
{
    const struct gle_data *d = run->data;
    const double evaluated = (double)(d->split[GLE_VALIDATION].n + d->split[GLE_TEST].n);
    const double epochs = (double)run->exp->epochs;

    return fmax(1.0, (double)d->n_steps * (epochs * (double)d->split[GLE_TRAIN].n + (epochs + 1.0) * evaluated));
}

static int start(struct run *run, struct gle_error *err)
{
    const struct gle_optimizer *optimizer = (const struct gle_optimizer *)run->exp->optimizer.row;
    struct gle_rng rng;
    size_t most = 1;

    for (int s = 0; s < GLE_SPLITS; s++)
        most = run->data->split[s].n > most ? run->data->split[s].n : most;
    run->rows = gle_calloc(most, sizeof *run->rows);
    run->output_sum = gle_calloc(run->graph->max_batch * run->data->n_targets, sizeof *run->output_sum);
    if (run->metrics->confusion)
        run->confusion = gle_calloc(run->metrics->n_classes * run->metrics->n_classes, sizeof *run->confusion);
    if (!run->rows || !run->output_sum || (run->metrics->confusion && !run->confusion))
        return gle_fail(err, GLE_ENOMEM, "no memory for the order of samples");
    gle_rng_seed(&rng, run->exp->seed);
    if (gle_net_init(run->net, &rng, err))
        return -1;
    gle_net_keep(run->net);
    gle_order_start(&run->order, run->exp->seed);
    run->schedule.base = run->schedule.lr = optimizer->lr(run->exp->optimizer.params);
    run->schedule.best = INFINITY;
    run->total_work = total_work(run);
    return 0;
}

static void finish(struct run *run)
{
    gle_free(run->rows);
    gle_free(run->output_sum);
    gle_free(run->confusion);
}

static const struct gle_observer nobody = {0};

/* The epochs, with the net's threads at work. */
static void run_epochs(void *ctx)
{
    struct run *run = ctx;

    for (run->epoch = 0; run->epoch <= run->exp->epochs && !run->rc && !stopped(run); run->epoch++)
        run->rc = run_epoch(run, run->err);
}

int gle_train(struct gle_metrics *metrics, struct gle_net *net, const struct gle_graph *graph,
              const struct gle_data *data, const struct gle_observer *observer, const volatile sig_atomic_t *stop,
              struct gle_error *err)
{
    struct run run = {.exp = graph->exp,
                      .graph = graph,
                      .net = net,
                      .data = data,
                      .metrics = metrics,
                      .observer = observer ? observer : &nobody,
                      .stop = stop,
                      .err = err};

    run.rc = start(&run, err);
    gle_net_parallel(net, run_epochs, &run);
    finish(&run);
    if (run.rc && err->code == GLE_EDIVERGED) {
        gle_net_recall(net);
        metrics->status = GLE_DIVERGED;
        snprintf(metrics->message, sizeof metrics->message, "%.200s, in epoch %llu", err->text,
                 (unsigned long long)run.epoch - 1);
        *err = (struct gle_error){0};
        return gle_fail(err, GLE_EDIVERGED, "%s", metrics->message);
    }
    if (run.rc)
        return -1;
    metrics->status = metrics->n_epochs <= run.exp->epochs ? GLE_INTERRUPTED : GLE_COMPLETED;
    if (metrics->status == GLE_INTERRUPTED)
        snprintf(metrics->message, sizeof metrics->message, "stopped by a signal in epoch %zu", metrics->n_epochs);
    return 0;
}

/* --- estimates --- */

static int measure(double *per_step, struct run *run, bool learn, double seconds, struct gle_error *err)
{
    const enum gle_split split = learn || !run->data->split[GLE_TEST].n ? GLE_TRAIN : GLE_TEST;
    const size_t batch = learn ? run->exp->batch_size : run->exp->test_batch_size, n = run->data->split[split].n;
    struct pass pass = {.split = split, .learn = learn};
    const double begin = gle_clock();
    size_t batches = 0;

    for (size_t i = 0; i < n; i++)
        run->rows[i] = (uint32_t)i;
    while (n && (!batches || gle_clock() - begin < seconds)) {
        if (run_batch(run, &pass, run->rows, n < batch ? n : batch, err))
            return -1;
        batches++;
    }
    *per_step = batches ? (gle_clock() - begin) / ((double)batches * (double)run->data->n_steps) : 0.0;
    return 0;
}

struct measurement {
    struct run *run;
    double train_step, eval_step, seconds;
};

static void measure_both(void *ctx)
{
    struct measurement *m = ctx;
    struct run *run = m->run;

    run->rc = measure(&m->train_step, run, true, m->seconds, run->err);
    if (!run->rc)
        run->rc = measure(&m->eval_step, run, false, m->seconds, run->err);
}

int gle_train_measure(double *train_step, double *eval_step, struct gle_net *net, const struct gle_graph *graph,
                      const struct gle_data *data, double seconds, struct gle_error *err)
{
    struct gle_metrics metrics = {0};
    struct run run = {.exp = graph->exp,
                      .graph = graph,
                      .net = net,
                      .data = data,
                      .metrics = &metrics,
                      .observer = &nobody,
                      .err = err};
    struct measurement m = {.run = &run, .seconds = seconds};

    run.rc = start(&run, err);
    if (!run.rc)
        gle_net_parallel(net, measure_both, &m);
    finish(&run);
    *train_step = m.train_step;
    *eval_step = m.eval_step;
    return run.rc;
}
