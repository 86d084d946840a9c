/* Training by epochs: passes over the training set, and evaluation after each. */
#include "base/clock.h"
#include "train/run.h"

#include <math.h>
#include <string.h>

/* A pass over a split. */
struct pass {
    bool learn;
    size_t done;   /* samples */
    uint64_t steps;
    double loss;   /* summed over steps and samples */
    size_t right;  /* samples */
};

/* --- one batch --- */

static double accuracy_so_far(const struct gle_run *run, const struct pass *pass)
{
    return pass->done && gle_run_labelled(run) ? (double)pass->right / (double)pass->done : (double)NAN;
}

static int run_batch(struct gle_run *run, struct pass *pass, const uint32_t *rows, size_t B, struct gle_error *err)
{
    const size_t T = run->data->n_steps;
    const struct gle_batch batch = {.split = run->split, .rows = rows, .B = B, .n_steps = T};
    const uint64_t window = run->exp->window_steps;
    struct gle_stride stride = {.B = B, .learn = pass->learn, .on_grid = true};

    gle_run_begin_batch(run, B);
    gle_order_first_step(&run->order, B, run->data->n_channels);
    if (pass->learn)
        gle_net_keep(run->net);
    for (size_t t = 0; t < T; t++) {
        double loss;

        gle_run_show(run, &batch, t);
        if (pass->learn)
            gle_run_begin_window(run);
        stride.steps_left = T - 1 - t;
        stride.end_window = run->in_window && ((t + 1) % window == 0 || t + 1 == T);
        if (gle_run_step(run, &stride, &loss, err))
            return -1;
        pass->loss += loss;
        pass->steps++;
        run->work += (double)B;
        if (t % GLE_PROGRESS_STEPS == 0)
            gle_run_tell(run, pass->loss / ((double)pass->done * (double)T + (double)B * (double)(t + 1)),
                         accuracy_so_far(run, pass));
        if (gle_run_stopped(run)) {
            gle_run_drop_window(run);
            return 0;
        }
    }
    pass->right += gle_run_count_right(run, &batch);
    pass->done += B;
    return 0;
}

/* --- one pass --- */

static int run_pass(struct gle_run *run, enum gle_split split, bool learn, struct gle_score *score,
                    struct gle_error *err)
{
    const size_t n = run->data->split[split].n;
    const size_t batch = learn ? run->exp->batch_size : run->exp->test_batch_size;
    struct gle_metrics *m = run->metrics;
    struct pass pass = {.learn = learn};
    const double start = gle_clock(), work = run->work;
    int rc = 0;

    run->split = split;
    if (learn) {
        gle_order_shuffle(&run->order, run->rows, n);
    } else {
        gle_order_evaluate(&run->order);
        for (size_t i = 0; i < n; i++)
            run->rows[i] = (uint32_t)i;
    }
    if (split == m->confusion_split && run->confusion)
        memset(run->confusion, 0, m->n_classes * m->n_classes * sizeof *run->confusion);
    for (size_t at = 0; at < n && !rc && !gle_run_stopped(run); at += batch)
        rc = run_batch(run, &pass, run->rows + at, n - at < batch ? n - at : batch, err);
    *(learn ? &m->train_seconds : &m->eval_seconds) += gle_clock() - start;
    *(learn ? &m->train_steps : &m->eval_steps) += pass.steps;
    *(learn ? &m->train_flops : &m->eval_flops) += gle_graph_flops(run->graph, learn) * (run->work - work);
    if (rc || gle_run_stopped(run))
        return rc;
    score->measured = true;
    score->loss = pass.loss / ((double)n * (double)run->data->n_steps);
    score->accuracy = gle_run_labelled(run) ? (double)pass.right / (double)n : (double)NAN;
    return 0;
}

/* --- epochs --- */

static double watched_loss(const struct gle_run *run, const struct gle_epoch *e)
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

static int run_epoch(struct gle_run *run, struct gle_error *err)
{
    struct gle_metrics *m = run->metrics;
    struct gle_epoch e = {.epoch = run->stage, .lr = run->schedule.lr};
    const struct gle_schedule *schedule = (const struct gle_schedule *)run->exp->schedule.row;
    const double start = gle_clock();

    if (run->stage && run_pass(run, GLE_TRAIN, true, &e.score[GLE_TRAIN], err))
        return -1;
    for (int s = GLE_VALIDATION; s <= GLE_TEST && !gle_run_stopped(run); s++)
        if (run->data->split[s].n && run_pass(run, (enum gle_split)s, false, &e.score[s], err))
            return -1;
    if (gle_run_stopped(run))
        return 0;
    if (run->stage)
        schedule->next(&run->schedule, run->exp->schedule.params, run->stage, watched_loss(run, &e));
    e.seconds = gle_clock() - start;
    m->epochs[m->n_epochs++] = e;
    if (m->confusion)
        memcpy(m->confusion, run->confusion, m->n_classes * m->n_classes * sizeof *m->confusion);
    if (is_better(&e.score[m->best_split], &m->epochs[m->best].score[m->best_split]))
        m->best = m->n_epochs - 1;
    return run->observer->stage ? run->observer->stage(run->observer->ctx, m, err) : 0;
}

static double total_work(const struct gle_run *run)
{
    const struct gle_data *d = run->data;
    const double evaluated = (double)(d->split[GLE_VALIDATION].n + d->split[GLE_TEST].n);
    const double epochs = (double)run->exp->epochs;

    return fmax(1.0, (double)d->n_steps * (epochs * (double)d->split[GLE_TRAIN].n + (epochs + 1.0) * evaluated));
}

void gle_run_epochs(struct gle_run *run)
{
    run->total_work = total_work(run);
    for (run->stage = 0; run->stage <= run->exp->epochs && !run->rc && !gle_run_stopped(run); run->stage++)
        run->rc = run_epoch(run, run->err);
    if (run->rc && run->err->code == GLE_EDIVERGED)
        gle_net_recall(run->net);
}

int gle_run_measure_epochs(double *per_step, struct gle_run *run, bool learn, double seconds, struct gle_error *err)
{
    const enum gle_split split = learn || !run->data->split[GLE_TEST].n ? GLE_TRAIN : GLE_TEST;
    const size_t batch = learn ? run->exp->batch_size : run->exp->test_batch_size, n = run->data->split[split].n;
    struct pass pass = {.learn = learn};
    const double begin = gle_clock();
    size_t batches = 0;

    run->split = split;
    run->total_work = 1.0;
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
