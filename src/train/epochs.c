/* Training by epochs: passes over the training set, and evaluation after each. */
#include "base/clock.h"
#include "train/run.h"

#include <math.h>
#include <string.h>

/* A pass over a split. */
struct pass {
    bool learn;
    bool forward_only;
    struct gle_meter *meter; /* that breaks it off; NULL: none */
    bool measured; /* it has */
    size_t done;   /* samples */
    uint64_t steps;
    double shown;  /* steps, each as often as there were samples in it */
    double loss;   /* summed over steps and samples */
    size_t right;  /* samples */
};

/* --- one batch --- */

static double accuracy_so_far(const struct gle_run *run, const struct pass *pass)
{
    return pass->done && gle_run_labelled(run) ? (double)pass->right / (double)pass->done : (double)NAN;
}

static bool broken_off(const struct gle_run *run, struct pass *pass)
{
    pass->measured = pass->meter && gle_meter_step(pass->meter, !run->in_window);
    return gle_run_stopped(run) || pass->measured;
}

static int run_batch(struct gle_run *run, struct pass *pass, const struct gle_batch *batch, struct gle_error *err)
{
    const size_t T = batch->n_steps;
    const uint64_t window = run->exp->window_steps;
    struct gle_stride stride = {
        .B = batch->B, .learn = pass->learn, .forward_only = pass->forward_only, .on_grid = true};

    gle_run_begin_batch(run, batch->B);
    if (pass->learn)
        gle_net_keep(run->net);
    for (size_t t = 0; t < T; t++) {
        double loss;

        gle_run_show(run, batch, t);
        if (pass->learn)
            gle_run_begin_window(run);
        stride.steps_left = T - 1 - t;
        stride.end_window = run->in_window && ((t + 1) % window == 0 || t + 1 == T);
        if (gle_run_step(run, &stride, &loss, err))
            return -1;
        pass->loss += loss;
        pass->steps++;
        pass->shown += (double)batch->B;
        run->work += (double)batch->B;
        if (t % GLE_PROGRESS_STEPS == 0)
            gle_run_tell(run, pass->loss / pass->shown, accuracy_so_far(run, pass));
        if (broken_off(run, pass)) {
            gle_run_drop_window(run);
            return 0;
        }
    }
    run->work += (double)batch->B * (double)(run->data->n_steps - T); /* which its samples might have had */
    pass->right += gle_run_count_right(run, batch);
    pass->done += batch->B;
    return 0;
}

/* --- the order of passes --- */

/* Whether an epoch has a pass over a split. */
static bool has_pass(const struct gle_run *run, uint64_t epoch, enum gle_split split)
{
    if (!run->data->split[split].n)
        return false;
    if (split == GLE_TRAIN)
        return epoch > 0;
    return split != GLE_TEST || epoch == run->exp->epochs || gle_metrics_test_always(run->exp, run->data);
}

/* Puts the numbers of the samples into run->rows, in the order in which they come. */
static int order_rows(struct gle_run *run, enum gle_split split, struct gle_error *err)
{
    const struct gle_samples *samples = &run->data->split[split];

    if (split == GLE_TRAIN && run->data->balanced)
        return gle_order_balance(&run->order, run->rows, samples->n, samples->labels, run->data->n_targets, err);
    if (split == GLE_TRAIN) {
        gle_order_shuffle(&run->order, run->rows, samples->n);
        return 0;
    }
    gle_order_evaluate(&run->order);
    for (size_t i = 0; i < samples->n; i++)
        run->rows[i] = (uint32_t)i;
    return 0;
}

static struct gle_pass pass_over(const struct gle_run *run, enum gle_split split)
{
    const bool learn = split == GLE_TRAIN;

    return (struct gle_pass){.split = split,
                             .rows = run->rows,
                             .n = run->data->split[split].n,
                             .batch_size = learn ? run->exp->batch_size : run->exp->test_batch_size};
}

/* Tells the feed of the next pass of the run, if there is one, so that its samples can be made in time. */
static int plan_pass(struct gle_run *run, struct gle_error *err)
{
    struct gle_pass pass;

    do {
        run->ahead.epoch += run->ahead.split == GLE_TEST;
        run->ahead.split = (enum gle_split)((run->ahead.split + 1) % GLE_SPLITS);
        if (run->ahead.epoch > run->exp->epochs)
            return 0;
    } while (!has_pass(run, run->ahead.epoch, run->ahead.split));
    if (order_rows(run, run->ahead.split, err))
        return -1;
    pass = pass_over(run, run->ahead.split);
    if (pass.split == GLE_TRAIN)
        pass.first_draw = (run->ahead.epoch - 1) * pass.n;
    return gle_feed_add(run->feed, &pass, err);
}

/* --- one pass --- */

/* Whether errors can be left out of a pass, because nothing that comes of them is ever seen: where state begins at zero
 * and no target drives it, all of them are zero; and those of the last passes, which nothing learns from any more, have
 * no effect unless they feed back into membranes. */
static bool without_errors(const struct gle_run *run, enum gle_split split)
{
    const bool *recorded = run->exp->record.variables;
    bool feedback = false;

    if (split == GLE_TRAIN || recorded[GLE_RECORD_V] || recorded[GLE_RECORD_E] || recorded[GLE_RECORD_LAMBDA])
        return false;
    for (size_t i = 0; i < run->exp->n_layers; i++)
        feedback = feedback || run->exp->layers[i].gamma > 0.0;
    return run->exp->reset_state || (run->stage == run->exp->epochs && !feedback);
}

static int run_batches(struct gle_run *run, struct pass *pass, size_t n, struct gle_error *err)
{
    while (pass->done < n && !gle_run_stopped(run)) {
        const struct gle_batch *batch = gle_feed_next(run->feed, &run->metrics->waited_seconds);

        if (!pass->done) {
            gle_order_first_step(&run->order, batch->B, run->data->n_channels);
            if (plan_pass(run, err))
                return -1;
        }
        if (run_batch(run, pass, batch, err))
            return -1;
    }
    return 0;
}

/* The pass that was planned first of those that are not over. */
static int run_pass(struct gle_run *run, enum gle_split split, struct gle_score *score, struct gle_error *err)
{
    const size_t n = run->data->split[split].n;
    const bool learn = split == GLE_TRAIN;
    struct gle_metrics *m = run->metrics;
    struct pass pass = {.learn = learn, .forward_only = without_errors(run, split)};
    const double start = gle_clock();
    int rc;

    run->split = split;
    if (split == run->confusion_split && run->confusion)
        memset(run->confusion, 0, m->n_classes * m->n_classes * sizeof *run->confusion);
    rc = run_batches(run, &pass, n, err);
    *(learn ? &m->train_seconds : &m->eval_seconds) += gle_clock() - start;
    *(learn ? &m->train_steps : &m->eval_steps) += pass.steps;
    *(learn ? &m->train_flops : &m->eval_flops) +=
        pass.shown * (pass.forward_only ? gle_graph_forward_flops(run->graph) : gle_graph_flops(run->graph, learn));
    if (rc || gle_run_stopped(run))
        return rc;
    score->measured = true;
    score->loss = pass.loss / pass.shown;
    score->accuracy = gle_run_labelled(run) ? (double)pass.right / (double)n : (double)NAN;
    return 0;
}

/* --- epochs --- */

static double watched_loss(const struct gle_run *run, const struct gle_epoch *e)
{
    const struct gle_metric_row *metric = gle_experiment_watches(run->exp);

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

static int run_epoch(struct gle_run *run, struct gle_error *err)
{
    struct gle_metrics *m = run->metrics;
    struct gle_epoch e = {.epoch = run->stage, .lr = run->schedule.lr};
    const struct gle_schedule *schedule = (const struct gle_schedule *)run->exp->schedule.row;
    const double start = gle_clock();

    run->confusion_split = has_pass(run, run->stage, GLE_TEST) ? GLE_TEST : m->best_split;
    for (int split = 0; split < GLE_SPLITS && !gle_run_stopped(run); split++)
        if (has_pass(run, run->stage, (enum gle_split)split) &&
            run_pass(run, (enum gle_split)split, &e.score[split], err))
            return -1;
    if (gle_run_stopped(run))
        return 0;
    if (run->stage)
        schedule->next(&run->schedule, run->exp->schedule.params, run->stage, watched_loss(run, &e));
    e.seconds = gle_clock() - start;
    m->epochs[m->n_epochs++] = e;
    m->confusion_split = run->confusion_split;
    if (m->confusion)
        memcpy(m->confusion, run->confusion, m->n_classes * m->n_classes * sizeof *m->confusion);
    if (is_better(&e.score[m->best_split], &m->epochs[m->best].score[m->best_split]))
        m->best = m->n_epochs - 1;
    return run->observer->stage ? run->observer->stage(run->observer->ctx, m, err) : 0;
}

static double total_work(const struct gle_run *run)
{
    double samples = 0.0;

    for (int split = 0; split < GLE_SPLITS; split++) {
        const double n = (double)run->data->split[split].n, E = (double)run->exp->epochs;
        samples += n * (split == GLE_TRAIN ? E : has_pass(run, 0, (enum gle_split)split) ? E + 1.0 : 1.0);
    }
    return fmax(1.0, samples * (double)run->data->n_steps);
}

void gle_run_epochs(struct gle_run *run)
{
    run->total_work = total_work(run);
    run->rc = plan_pass(run, run->err);
    for (run->stage = 0; run->stage <= run->exp->epochs && !run->rc && !gle_run_stopped(run); run->stage++)
        run->rc = run_epoch(run, run->err);
    if (run->rc && run->err->code == GLE_EDIVERGED)
        gle_net_recall(run->net);
}

int gle_run_measure_epochs(struct gle_meter *meter, struct gle_run *run, bool learn, struct gle_error *err)
{
    const enum gle_split split = learn ? GLE_TRAIN : gle_train_eval_split(run->data);
    struct gle_pass order = pass_over(run, split);
    struct pass pass = {.learn = learn, .meter = meter};

    if (!order.n)
        return 0;
    order.n -= order.n > order.batch_size ? order.n % order.batch_size : 0; /* whole batches */
    run->split = split;
    pass.forward_only = !learn && without_errors(run, split);
    run->total_work = 1.0;
    for (size_t i = 0; i < order.n; i++)
        run->rows[i] = (uint32_t)i;
    if (gle_run_open_feed(run, err))
        return -1;
    while (!pass.measured) {
        if (pass.done % order.n == 0 && gle_feed_add(run->feed, &order, err))
            return -1;
        if (run_batch(run, &pass, gle_feed_next(run->feed, &meter->waited), err))
            return -1;
    }
    return 0;
}
