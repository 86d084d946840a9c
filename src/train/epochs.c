/* Training by epochs: passes over the training set, and evaluation after each. */
#include "base/clock.h"
#include "solver/rows.h"
#include "train/measure.h"
#include "train/run.h"

#include <math.h>
#include <string.h>

static bool learns(const struct gle_run *run)
{
    return run->at.split == GLE_TRAIN;
}

/* --- one batch --- */

/* Of the answers that have been given, those before step t of the batch included. */
static double accuracy_so_far(const struct gle_run *run, const struct gle_batch *batch, size_t t)
{
    const struct gle_pass_state *pass = &run->pass;
    const double answers = (double)pass->done * (double)gle_data_answers(run->data) +
                           (double)batch->B * (double)gle_run_answered(run, batch, t);

    return answers > 0.0 && gle_run_labelled(run) ? (double)pass->right.first / answers : (double)NAN;
}

/* Mean over the steps with a target, and samples, of the pass so far. */
static double loss_so_far(const struct gle_run *run)
{
    return run->pass.loss / run->pass.asked;
}

/* The step that comes next in the batch. */
static int run_step(struct gle_run *run, const struct gle_batch *batch, bool forward_only, struct gle_error *err)
{
    struct gle_pass_state *pass = &run->pass;
    const size_t t = pass->t, T = batch->n_steps;
    struct gle_stride stride = {.B = batch->B,
                                .learn = learns(run),
                                .forward_only = forward_only,
                                .steps_left = T - 1 - t,
                                .on_grid = true,
                                .at_once = gle_predictions_look(run, batch->split)};

    gle_run_show(run, batch, t);
    if (stride.learn)
        gle_run_begin_window(run);
    stride.end_window = run->at.window.open && ((t + 1) % run->exp->window_steps == 0 || t + 1 == T);
    if (gle_run_step(run, &stride, NULL, err))
        return -1;
    gle_predictions_keep_step(run, batch, t);
    if (t + 1 < T)
        gle_run_count_right(run, &pass->right, batch, t);
    if (gle_run_squares_due(run, t, T))
        pass->squares += gle_run_take_squares(run);
    pass->t++;
    pass->steps++;
    pass->shown += (double)batch->B;
    pass->asked += run->at.asked;
    run->spent.work += (double)batch->B;
    if (t % GLE_PROGRESS_STEPS == 0 && !gle_net_tells_late(run->net)) /* else losses come late: after the batch */
        gle_run_tell(run, loss_so_far(run), accuracy_so_far(run, batch, t + 1 < T ? t + 1 : t));
    return gle_run_may_pause(run, t % GLE_PROGRESS_STEPS == 0) ? gle_run_pause(run, GLE_PAUSE_STEP, err) : 0;
}

static int end_batch(struct gle_run *run, const struct gle_batch *batch, struct gle_error *err)
{
    struct gle_pass_state *pass = &run->pass;

    if (gle_run_collect(run, err))
        return -1;
    gle_run_count_right(run, &pass->right, batch, pass->t - 1);
    if (gle_net_tells_late(run->net))
        gle_run_tell(run, loss_so_far(run), accuracy_so_far(run, batch, pass->t));

    /* with the steps that its samples might have had */
    run->spent.work += (double)batch->B * (double)(run->data->n_steps - batch->n_steps);
    pass->done += batch->B;
    pass->t = 0;
    return 0;
}

static void begin_batch(struct gle_run *run, const struct gle_batch *batch)
{
    gle_run_begin_batch(run, batch->B);
    if (learns(run))
        gle_net_keep(run->net);
}

/* From the step on at which it is. */
static int run_batch(struct gle_run *run, const struct gle_batch *batch, bool forward_only, struct gle_error *err)
{
    if (!run->pass.t)
        begin_batch(run, batch);
    while (run->pass.t < batch->n_steps) {
        if (gle_run_stopped(run))
            return 0;
        if (run_step(run, batch, forward_only, err))
            return -1;
    }
    return end_batch(run, batch, err);
}

/* --- the order of passes --- */

bool gle_run_has_pass(const struct gle_run *run, uint64_t epoch, enum gle_split split)
{
    if (!run->data->split[split].n)
        return false;
    if (split == GLE_TRAIN)
        return epoch > 0;
    return split != GLE_TEST || epoch == run->metrics->last_epoch || gle_metrics_test_always(run->exp, run->data);
}

/* Puts the numbers of the samples of a split into rows, in the order in which they come. */
static int order_rows(struct gle_run *run, enum gle_split split, uint32_t *rows, struct gle_error *err)
{
    const struct gle_samples *samples = &run->data->split[split];

    if (split == GLE_TRAIN && run->data->balanced)
        return gle_order_balance(&run->order, rows, samples->n, samples->labels, run->data->n_targets, err);
    if (split == GLE_TRAIN) {
        gle_order_shuffle(&run->order, rows, samples->n);
        return 0;
    }
    gle_order_evaluate(&run->order);
    for (size_t i = 0; i < samples->n; i++)
        rows[i] = (uint32_t)i;
    return 0;
}

size_t gle_run_batch_size(const struct gle_run *run, enum gle_split split)
{
    const size_t n = run->data->split[split].n;
    const size_t limit = (size_t)(split == GLE_TRAIN ? run->exp->batch_size : run->exp->test_batch_size);

    return n < limit ? n : limit;
}

static struct gle_pass pass_over(const struct gle_run *run, enum gle_split split, const uint32_t *rows)
{
    return (struct gle_pass){.split = split,
                             .rows = rows,
                             .n = run->data->split[split].n,
                             .batch_size = gle_run_batch_size(run, split)};
}

/* Hands a planned pass to the feed, without the samples of its first batches, which are over. */
static int queue_pass(struct gle_run *run, const struct gle_planned *planned, size_t over, struct gle_error *err)
{
    struct gle_pass pass = pass_over(run, planned->of.split, planned->rows + over);

    if (pass.split == GLE_TRAIN)
        pass.first_draw = (planned->of.epoch - 1) * pass.n + over;
    pass.n -= over;
    return gle_feed_add(run->reading.feed, &pass, err);
}

bool gle_run_next_pass(const struct gle_run *run, struct gle_pass_id *at)
{
    do {
        at->epoch += at->split == GLE_TEST;
        at->split = (enum gle_split)((at->split + 1) % GLE_SPLITS);
        if (at->epoch > run->metrics->last_epoch)
            return false;
    } while (!gle_run_has_pass(run, at->epoch, at->split));
    return true;
}

/* Finds the next pass of the run, if there is one, and tells the feed, so that its samples can be made in time. */
static int plan_pass(struct gle_run *run, struct gle_error *err)
{
    struct gle_planned *planned = &run->reading.planned[run->reading.n_planned];
    struct gle_pass_id next = run->reading.ahead;

    if (!gle_run_next_pass(run, &next))
        return 0;
    run->reading.ahead = next;
    if (order_rows(run, run->reading.ahead.split, planned->rows, err))
        return -1;
    planned->of = run->reading.ahead;
    run->reading.n_planned++;
    return queue_pass(run, planned, 0, err);
}

/* The feed's passes, where the run begins or goes on. */
static int start_feed(struct gle_run *run, struct gle_error *err)
{
    if (!run->observer->resume)
        return plan_pass(run, err);
    for (size_t i = 0; i < run->reading.n_planned; i++)
        if (queue_pass(run, &run->reading.planned[i], i ? 0 : run->pass.done, err))
            return -1;
    return 0;
}

/* The first of the planned passes is over. */
static void pass_is_over(struct gle_run *run)
{
    const struct gle_planned over = run->reading.planned[0];

    run->reading.planned[0] = run->reading.planned[1];
    run->reading.planned[1] = over;
    run->reading.n_planned--;
}

/* --- one pass --- */

/* Whether errors can be left out of the pass. Nothing learns any more from the state that the last ones leave. */
static bool without_errors(const struct gle_run *run)
{
    bool recorded = false;

    for (int v = 0; v < GLE_RECORD_VARS; v++)
        recorded = recorded || (run->exp->record.variables[v] && gle_variables[v].of_errors);
    return !learns(run) && !recorded && gle_run_without_errors(run->exp, run->at.stage == run->metrics->last_epoch);
}

static int run_batches(struct gle_run *run, size_t n, struct gle_error *err)
{
    const bool forward_only = without_errors(run);

    while (run->pass.done < n && !gle_run_stopped(run)) {
        const struct gle_batch *batch = gle_feed_next(run->reading.feed, &run->metrics->waited_seconds);

        if (!run->pass.done && run->reading.n_planned < GLE_FEED_PASSES) {
            gle_order_first_step(&run->order, batch->B, run->data->n_channels);
            if (plan_pass(run, err))
                return -1;
        }
        if (run_batch(run, batch, forward_only, err))
            return -1;
    }
    return 0;
}

static void begin_pass(struct gle_run *run)
{
    const size_t n_classes = run->metrics->n_classes;

    if (run->at.split == run->scores.confusion_split && run->scores.confusion)
        memset(run->scores.confusion, 0, n_classes * n_classes * sizeof *run->scores.confusion);
    gle_spread_clear(&run->spread);
    gle_run_enter(run, GLE_RUN_WITHIN);
}

/* Counts the steps of the pass, whether it is over or was broken off. */
static void close_pass(struct gle_run *run)
{
    struct gle_metrics *m = run->metrics;
    const bool learn = learns(run);

    *(learn ? &m->train_steps : &m->eval_steps) += run->pass.steps;
    *(learn ? &m->train_flops : &m->eval_flops) += run->pass.shown * (without_errors(run)
                                                                          ? gle_graph_forward_flops(run->graph)
                                                                          : gle_graph_flops(run->graph, learn));
    run->pass = (struct gle_pass_state){0};
}

/* The epoch that is going on has become the last one: what was planned behind it is dropped, and a pass over the test
 * set may be due that was not planned. */
static int plan_the_end(struct gle_run *run, struct gle_error *err)
{
    const struct gle_pass_id at = {.epoch = run->at.stage, .split = run->at.split};

    run->spent.total_work = gle_run_total_by_epochs(run);
    run->scores.confusion_split = gle_run_confusion_split(run, run->at.stage);
    run->reading.n_planned = 0;
    run->reading.ahead = at;
    return gle_run_open_feed(run, err) || plan_pass(run, err) ? -1 : 0;
}

/* The pass that is the first of those planned, from where it is. *over: it was not broken off. */
static int run_pass(struct gle_run *run, bool *over, struct gle_error *err)
{
    const size_t n = run->data->split[run->at.split].n;
    const double answers = (double)n * (double)gle_data_answers(run->data);
    struct gle_score *score = &run->scores.epoch.score[run->at.split];
    int rc;

    if (run->state == GLE_RUN_BETWEEN)
        begin_pass(run);
    run->spent.clock = gle_clock();
    rc = run_batches(run, n, err);
    gle_run_count_time(run);
    *over = !rc && run->pass.done == n;
    if (!*over)
        return rc;
    score->measured = true;
    score->loss = loss_so_far(run);
    score->accuracy = gle_run_labelled(run) ? (double)run->pass.right.first / answers : (double)NAN;
    score->top5 = gle_run_top5(run, run->pass.right.five, answers);
    score->nrmse = gle_run_nrmse(run, run->at.split, score->loss, run->pass.squares, run->pass.asked);
    close_pass(run);
    pass_is_over(run);
    gle_run_enter(run, GLE_RUN_BETWEEN);
    return gle_run_stops_early(run, run->at.split) ? plan_the_end(run, err) : 0;
}

/* --- epochs --- */

/* Keeps the parameters of the epoch that has just been added, if it is the best one. */
static int keep_best(struct gle_run *run, struct gle_error *err)
{
    const struct gle_graph *g = run->graph;
    const struct gle_metrics *m = run->metrics;
    float *to = m->best_weights;

    if (!to || m->best + 1 != m->n_epochs)
        return 0;
    for (size_t i = 0; i < g->n_parameters; i++)
        if (g->parameters[i].given) {
            gle_net_get_param(run->net, i, to);
            to += gle_field_size(&g->parameters[i].field);
        }
    return gle_net_tell(run->net, err);
}

enum gle_split gle_run_confusion_split(const struct gle_run *run, uint64_t epoch)
{
    return gle_run_has_pass(run, epoch, GLE_TEST) ? GLE_TEST : run->metrics->best_split;
}

void gle_run_begin_epoch(struct gle_run *run, uint64_t epoch)
{
    run->at.stage = epoch;
    run->at.split = GLE_TRAIN;
    run->scores.epoch = (struct gle_epoch){.epoch = epoch, .lr = run->schedule.lr};
    for (int s = 0; s < GLE_SCORES; s++)
        run->scores.epoch.score[s].closed = gle_closed_unknown;
    run->scores.confusion_split = gle_run_confusion_split(run, epoch);
}

/* Goes on to the next one. */
static int end_epoch(struct gle_run *run, struct gle_error *err)
{
    const struct gle_schedule *schedule = (const struct gle_schedule *)run->exp->schedule.row;
    const struct gle_metric_row *watched = gle_experiment_watches(run->exp);
    struct gle_metrics *m = run->metrics;

    run->scores.epoch.clipping = gle_run_count_clipping(run);
    if (run->at.stage)
        gle_schedule_next(schedule, &run->schedule, run->exp->schedule.params, run->at.stage,
                          watched ? gle_metrics_value(&run->scores.epoch, watched) : 0.0);
    if (gle_metrics_add_epoch(m, &run->scores.epoch, err) || keep_best(run, err))
        return -1;
    for (int s = 0; s < GLE_SPLITS; s++)
        if (run->scores.epoch.score[s].measured)
            gle_predictions_take(run, (enum gle_split)s);
    m->confusion_split = run->scores.confusion_split;
    if (m->confusion)
        memcpy(m->confusion, run->scores.confusion, m->n_classes * m->n_classes * sizeof *m->confusion);
    gle_run_begin_epoch(run, run->at.stage + 1);
    return run->observer->stage ? run->observer->stage(run->observer->ctx, m, err) : 0;
}

/* Between two epochs. Rows that the next batch does not take over need not be saved. */
static int pause_after_epoch(struct gle_run *run, struct gle_error *err)
{
    const struct gle_pass next = pass_over(run, run->reading.planned[0].of.split, NULL);
    const size_t B = next.n < next.batch_size ? next.n : next.batch_size;

    run->spent.clock = gle_clock();
    if (run->reading.n_planned)
        gle_net_set_batch(run->net, B);
    if (run->reading.n_planned && run->teacher)
        gle_net_set_batch(run->teacher, B);
    return gle_run_pause(run, GLE_PAUSE_STAGE, err);
}

/* Before the test set is shown: if the run is stopped meanwhile, it is measured once more later. */
static int measure_closed_loop(struct gle_run *run, struct gle_error *err)
{
    struct gle_closed *found = &run->scores.epoch.score[GLE_TEST].closed;

    if (!run->exp->closed.n_steps || run->at.split != GLE_TEST || run->state != GLE_RUN_BETWEEN)
        return 0;
    return gle_closed_measure(run->evaluation, run, false, found, err);
}

/* The training set once more, behind its pass. *over: it was measured, if it is to be; else it will be later. */
static int measure_training_set(struct gle_run *run, bool *over, struct gle_error *err)
{
    const struct gle_score *score = &run->scores.epoch.score[GLE_TRAIN_AFTER];

    *over = run->at.split != GLE_TRAIN || !run->exp->train_after.row;
    if (*over)
        return 0;
    if (gle_evaluation_after_training(run->evaluation, run, err))
        return -1;
    *over = score->measured;
    return *over && gle_run_stops_early(run, GLE_TRAIN_AFTER) ? plan_the_end(run, err) : 0;
}

/* From where it is. */
static int run_epoch(struct gle_run *run, struct gle_error *err)
{
    for (int split = (int)run->at.split; split < GLE_SPLITS; split++) {
        bool over = true;
        run->at.split = (enum gle_split)split;
        if (gle_run_has_pass(run, run->at.stage, run->at.split) && !run->scores.epoch.score[split].measured) {
            if (measure_closed_loop(run, err))
                return -1;
            over = !run->exp->closed.n_steps || !gle_run_stopped(run);
            if (over && run_pass(run, &over, err))
                return -1;
        }
        if (over && measure_training_set(run, &over, err))
            return -1;
        if (!over)
            return 0;
    }
    if (end_epoch(run, err))
        return -1;
    return run->at.stage <= run->metrics->last_epoch && !gle_run_stopped(run) ? pause_after_epoch(run, err) : 0;
}

double gle_run_total_by_epochs(const struct gle_run *run)
{
    double samples = (double)gle_metrics_train_after(run->exp, run->data) * ((double)run->metrics->last_epoch + 1.0);

    for (int split = 0; split < GLE_SPLITS; split++) {
        const double n = (double)run->data->split[split].n, E = (double)run->metrics->last_epoch;
        samples += n * (split == GLE_TRAIN ? E : gle_run_has_pass(run, 0, (enum gle_split)split) ? E + 1.0 : 1.0);
    }
    return fmax(1.0, samples * (double)run->data->n_steps);
}

void gle_run_epochs(struct gle_run *run)
{
    const uint64_t *last = &run->metrics->last_epoch;

    run->spent.clock = gle_clock();
    run->rc = start_feed(run, run->err);
    while (run->at.stage <= *last && !run->rc && !gle_run_stopped(run))
        run->rc = run_epoch(run, run->err);
    if (run->at.stage <= *last && !run->rc)
        run->rc = gle_run_pause(run, GLE_PAUSE_STOP, run->err);
    if (run->state == GLE_RUN_WITHIN)
        close_pass(run);
    (void)gle_run_count_clipping(run); /* of an epoch that was broken off */
    if (run->rc && run->err->code == GLE_EDIVERGED)
        gle_net_recall(run->net);
    gle_run_settle(run);
}

/* --- measuring --- */

/* *measured becomes true when all is measured; the batch is then broken off. */
static int measure_batch(bool *measured, struct gle_meter *meter, struct gle_run *run, const struct gle_batch *batch,
                         bool forward_only, struct gle_error *err)
{
    const bool queued = gle_net_is_on_device(run->net); /* until the batch ends, which waits for all of its steps */
    bool over = false;

    begin_batch(run, batch);
    while (!over && !*measured) {
        if (run_step(run, batch, forward_only, err))
            return -1;
        over = run->pass.t == batch->n_steps;
        if (over && end_batch(run, batch, err))
            return -1;
        *measured = gle_meter_step(meter, (over || !queued) && !run->at.window.open);
    }
    if (*measured)
        gle_run_drop_window(run);
    return 0;
}

int gle_run_measure_epochs(struct gle_meter *meter, struct gle_run *run, bool learn, struct gle_error *err)
{
    const enum gle_split split = learn ? GLE_TRAIN : gle_train_eval_split(run->data);
    uint32_t *rows = run->reading.planned[0].rows;
    struct gle_pass order = pass_over(run, split, rows);
    bool forward_only, measured = false;

    if (!order.n)
        return 0;
    if (!learn)
        order.batch_size = gle_train_eval_rows(run->graph, run->data);
    order.n -= order.n > order.batch_size ? order.n % order.batch_size : 0; /* whole batches */
    run->at.split = learn ? GLE_TRAIN : GLE_TEST; /* whatever is shown */
    run->pass = (struct gle_pass_state){0};
    forward_only = without_errors(run);
    run->spent.total_work = 1.0;
    for (size_t i = 0; i < order.n; i++)
        rows[i] = (uint32_t)i;
    if (gle_run_open_feed(run, err))
        return -1;
    while (!measured) {
        if (run->pass.done % order.n == 0 && gle_feed_add(run->reading.feed, &order, err))
            return -1;
        if (measure_batch(&measured, meter, run, gle_feed_next(run->reading.feed, &meter->waited), forward_only, err))
            return -1;
    }
    return 0;
}
