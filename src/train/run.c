#include "train/run.h"
#include "base/clock.h"
#include "base/memory.h"
#include "parts/loss.h"
#include "parts/optimizer.h"
#include "parts/rule.h"
#include "solver/rows.h"

#include <assert.h>
#include <math.h>

bool gle_run_labelled(const struct gle_run *run)
{
    return run->data->labelled && !run->exp->has_teacher;
}

bool gle_run_asks_at(const struct gle_run *run, size_t t)
{
    return run->exp->has_teacher || gle_data_asks_at(run->data, t);
}

double gle_run_asked_before(const struct gle_run *run, enum gle_split split, uint32_t row, size_t end)
{
    return run->exp->has_teacher ? (double)end : gle_data_sum_weights(run->data, split, row, end);
}

/* --- states --- */

static uint64_t last_stage(const struct gle_run *run)
{
    return run->exp->phases ? run->exp->n_phases : run->metrics->last_epoch;
}

/* Whether what run.h says of a state is true. */
static bool holds(const struct gle_run *run, enum gle_run_state state)
{
    const struct gle_pass_state *pass = &run->pass;
    const struct gle_pass_id *next = &run->reading.planned[0].of;
    const struct gle_metrics *m = run->metrics;
    const bool by_phases = run->exp->phases != NULL;

    switch (state) {
    case GLE_RUN_BETWEEN:
        return !run->at.window.open && !pass->done && !pass->t && !pass->steps && !run->phase.t && !run->phase.kept;
    case GLE_RUN_WITHIN:
        if (by_phases)
            return run->phase.kept && run->at.stage <= last_stage(run);
        return run->reading.n_planned && next->epoch == run->at.stage && next->split == run->at.split;
    case GLE_RUN_OVER:
        if (by_phases)
            return run->at.step == run->exp->n_steps && m->n_evaluations == gle_evaluation_count(run->exp);
        return m->n_epochs == m->last_epoch + 1 && !run->reading.n_planned;
    default:
        return true;
    }
}

#define TO(state) (1u << GLE_RUN_##state)

void gle_run_enter(struct gle_run *run, enum gle_run_state next)
{
    static const unsigned from[] = {
        [GLE_RUN_STARTING] = TO(BETWEEN) | TO(WITHIN) | TO(FAILED),
        [GLE_RUN_BETWEEN] = TO(WITHIN) | TO(OVER) | TO(STOPPED) | TO(FAILED) | TO(ASIDE),
        [GLE_RUN_WITHIN] = TO(BETWEEN) | TO(STOPPED) | TO(FAILED),
        [GLE_RUN_OVER] = 0,
        [GLE_RUN_STOPPED] = 0,
        [GLE_RUN_FAILED] = 0,
        [GLE_RUN_ASIDE] = 0,
    };
    const bool leads_there = from[run->state] & (1u << next), is_true = holds(run, next);

    assert(leads_there);
    assert(is_true);
    (void)leads_there; /* without assertions */
    (void)is_true;
    run->state = next;
}

void gle_run_settle(struct gle_run *run)
{
    const bool over = run->at.stage > last_stage(run) &&
                      run->metrics->n_evaluations == gle_evaluation_count(run->exp);

    gle_run_enter(run, run->rc ? GLE_RUN_FAILED : over ? GLE_RUN_OVER : GLE_RUN_STOPPED);
}

/* --- start and end --- */

static int start_teacher(struct gle_run *run, struct gle_error *err)
{
    const struct gle_graph_options options = {
        .batch = run->graph->max_batch, .train_rows = run->graph->max_batch, .passive = true, .ideal = true};

    if (gle_graph_build(&run->teacher_graph, run->exp, &options, err) ||
        gle_net_build(&run->teacher, run->teacher_graph, 1, err))
        return -1;
    gle_net_copy(run->teacher, run->net);
    return gle_net_apply(run->teacher, &run->exp->teacher, &run->rng, err);
}

/* Values that phases put parameters to may come from files: what is wrong with those is found before the first step. */
static int try_phases(struct gle_run *run, struct gle_error *err)
{
    struct gle_rng rng = run->rng;
    int rc = 0;

    for (size_t i = 0; i < run->exp->n_phases && !rc; i++)
        rc = gle_net_apply(run->net, &run->exp->phases[i].set, &rng, err);
    gle_net_recall(run->net);
    return rc;
}

int gle_run_open_feed(struct gle_run *run, struct gle_error *err)
{
    enum { MAKERS_MAX = 4 }; /* many times what a network keeps up with */
    const size_t threads = gle_net_threads(run->net);

    gle_feed_close(run->reading.feed);
    if (gle_feed_open(&run->reading.feed, run->data, run->graph->max_batch,
                      threads < MAKERS_MAX ? threads : MAKERS_MAX, err))
        return -1;
    gle_run_share_feed(run);
    return 0;
}

static int make_room(struct gle_run *run, struct gle_error *err)
{
    const size_t n_classes = run->metrics->n_classes, n_top = gle_experiment_top(run->exp)->n;
    size_t most = run->graph->max_batch;
    bool ok;

    for (int s = 0; s < GLE_SPLITS; s++)
        most = run->data->split[s].n > most ? run->data->split[s].n : most;
    ok = (run->output_sum = gle_calloc(run->graph->max_batch * n_top, sizeof *run->output_sum)) != NULL;
    if (run->exp->phases) {
        ok = (run->reading.rows = gle_calloc(run->graph->max_batch, sizeof *run->reading.rows)) && ok;
        ok = (run->phase.last = gle_calloc(GLE_LAST_STEPS, sizeof *run->phase.last)) && ok;
    }
    for (size_t i = 0; i < GLE_FEED_PASSES && !run->exp->phases; i++)
        ok = (run->reading.planned[i].rows = gle_calloc(most, sizeof *run->reading.planned->rows)) && ok;
    if (run->metrics->confusion)
        ok = (run->scores.confusion = gle_calloc(n_classes * n_classes, sizeof *run->scores.confusion)) && ok;
    if (run->exp->best)
        ok = (run->metrics->best_weights = gle_calloc(gle_graph_given(run->graph), sizeof(float))) && ok;
    return ok ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the order of samples");
}

/* All that a run needs, whether it begins or goes on. */
static int make_parts(struct gle_run *run, struct gle_error *err)
{
    if (make_room(run, err) || gle_predictions_open(run, err) || gle_spread_make(&run->spread, run, err) ||
        gle_run_meet(run, err))
        return -1;
    gle_rng_seed(&run->rng, run->exp->seed);
    if (gle_net_init(run->net, &run->rng, err))
        return -1;
    gle_net_keep(run->net);
    if (run->exp->phases && try_phases(run, err))
        return -1;
    if (run->exp->has_teacher && start_teacher(run, err))
        return -1;
    if (run->exp->phases ? gle_shown_open(&run->reading.shown, run->data, run->graph->max_batch, err)
                         : gle_run_open_feed(run, err))
        return -1;
    if (run->exp->diagnose.every && gle_diagnosis_open(&run->diagnosis, run->graph, err))
        return -1;
    return gle_evaluation_wanted(run->exp) ? gle_evaluation_open(&run->evaluation, run, err) : 0;
}

/* Puts the run to its beginning. */
static void begin(struct gle_run *run)
{
    const struct gle_optimizer *optimizer = (const struct gle_optimizer *)run->exp->optimizer.row;

    gle_order_start(&run->order, run->exp->seed);
    run->patience = gle_patience_start;
    run->schedule = gle_schedule_start(run->exp->schedule.params, optimizer->lr(run->exp->optimizer.params));
    run->spent.total_work = run->exp->phases ? gle_run_total_by_phases(run) : gle_run_total_by_epochs(run);
    if (run->exp->phases)
        run->at.stage = 1;
    else
        gle_run_begin_epoch(run, 0);
}

int gle_run_start(struct gle_run *run, struct gle_error *err)
{
    int rc = make_parts(run, err);

    if (!rc)
        begin(run);
    if (!rc && run->observer->resume)
        rc = run->observer->resume(run->observer->ctx, run, err); /* gle_run_archive() enters the state */
    else if (!rc)
        gle_run_enter(run, GLE_RUN_BETWEEN);
    if (!rc)
        gle_net_divide(run->net);
    if (rc)
        gle_run_enter(run, GLE_RUN_FAILED);
    return rc;
}

void gle_run_finish(struct gle_run *run)
{
    gle_diagnosis_close(run->diagnosis);
    gle_evaluation_close(run->evaluation);
    gle_free(run->spread.samples);
    gle_free(run->ranks.said);
    gle_feed_close(run->reading.feed);
    gle_net_destroy(run->teacher);
    gle_graph_destroy(run->teacher_graph);
    gle_run_free_kept(run);
    gle_free(run->phase.last);
    gle_free(run->reading.rows);
    gle_shown_close(&run->reading.shown);
    for (size_t i = 0; i < GLE_FEED_PASSES; i++)
        gle_free(run->reading.planned[i].rows);
    gle_free(run->output_sum);
    gle_free(run->scores.confusion);
    gle_predictions_free(run);
}

/* --- between steps --- */

void gle_run_count_time(struct gle_run *run)
{
    struct gle_metrics *m = run->metrics;
    const double now = gle_clock(), spent = now - run->spent.clock;
    const bool by_phases = run->exp->phases != NULL;
    const bool learn = by_phases ? run->exp->phases[run->at.stage - 1].learn : run->at.split == GLE_TRAIN;

    *(by_phases ? &run->phase.seconds : &run->scores.epoch.seconds) += spent;
    *(learn ? &m->train_seconds : &m->eval_seconds) += spent;
    run->spent.clock = now;
}

struct gle_clipping gle_run_count_clipping(struct gle_run *run)
{
    const struct gle_clipping before = run->metrics->clipping;
    struct gle_clipping now = {0, 0};

    if (run->exp->clip > 0.0) /* else there is nothing to tell, and nothing is saved */
        now = (struct gle_clipping){gle_net_get_place(run->net).updates, gle_net_get_clipped(run->net)};
    run->metrics->clipping = now;
    return (struct gle_clipping){now.steps - before.steps, now.clipped - before.clipped};
}

int gle_run_pause(struct gle_run *run, enum gle_pause when, struct gle_error *err)
{
    if (run->ranks.said && when == GLE_PAUSE_STAGE && gle_net_get_place(run->net).gathered)
        return 0;
    if (run->ranks.said && (gle_run_collect(run, err) || (when != GLE_PAUSE_STOP && gle_run_agree(run, err))))
        return -1;
    assert(when == GLE_PAUSE_STEP ? run->state == GLE_RUN_WITHIN || run->state == GLE_RUN_ASIDE
           : when == GLE_PAUSE_STAGE ? run->state == GLE_RUN_BETWEEN
                                     : run->state == GLE_RUN_BETWEEN || run->state == GLE_RUN_WITHIN);
    return run->observer->pause ? run->observer->pause(run->observer->ctx, run, when, err) : 0;
}

/* --- samples --- */

void gle_run_tell(const struct gle_run *run, double loss, double accuracy)
{
    const double nrmse = run->exp->loss->squared ? gle_metrics_nrmse(run->metrics, run->at.split, loss) : (double)NAN;
    const struct gle_progress p = {
        .by_phases = run->exp->phases != NULL,
        .stage = run->at.stage,
        .stages = last_stage(run),
        .split = run->at.split,
        .done = run->spent.work / run->spent.total_work,
        .loss = loss,
        .accuracy = accuracy,
        .nrmse = nrmse,
    };

    if (run->observer->progress)
        run->observer->progress(run->observer->ctx, &p);
}

void gle_run_begin_batch(struct gle_run *run, size_t B)
{
    gle_net_set_batch(run->net, B);
    gle_net_begin_batch(run->net, run->exp->reset_state);
    if (!run->teacher)
        return;
    gle_net_set_batch(run->teacher, B);
    gle_net_begin_batch(run->teacher, run->exp->reset_state);
}

/* What the targets of the step count. */
static void weigh(struct gle_run *run, const struct gle_batch *batch, size_t t)
{
    run->at.asked = 0.0;
    for (size_t b = 0; b < batch->B; b++) {
        const float weight = gle_data_weight(run->data, batch->split, batch->rows[b], t);
        gle_net_weigh(run->net, b, weight);
        run->at.asked += (double)weight;
    }
}

/* The rows of a batch that the net has. */
static struct gle_batch rows_here(const struct gle_run *run, const struct gle_batch *batch)
{
    const struct gle_net_rows own = gle_net_own_rows(run->net, batch->B);
    struct gle_batch here = *batch;

    here.rows += own.first;
    here.B = own.n;
    if (here.frames) {
        here.frames += own.first * run->data->maker.frames_max * run->data->n_channels;
        here.n_frames += own.first;
    }
    return here;
}

void gle_run_show(struct gle_run *run, const struct gle_batch *batch, size_t t)
{
    const struct gle_data *data = run->data;
    const struct gle_batch own = rows_here(run, batch);
    size_t ld_input, ld_target;
    float *input = gle_net_input(run->net, &ld_input), *target = gle_net_target(run->net, &ld_target);

    if (t == 0 || !data->held)
        gle_data_input(input, ld_input, data, &own, t);
    if (!run->teacher && (t == 0 || gle_data_target_moves(data)))
        gle_data_target(target, ld_target, data, &own, t);
    gle_run_begin_sums(run, batch, t);
    run->at.unasked = !gle_run_asks_at(run, t);
    run->at.asked = run->at.unasked ? 0.0 : (double)batch->B;
    for (size_t b = 0; !run->at.unasked && !run->teacher && data->split[batch->split].asked && b < batch->B; b++)
        if (!gle_data_asks(data, batch->split, batch->rows[b], t)) {
            gle_net_unask(run->net, b);
            run->at.asked -= 1.0;
        }
    if (gle_net_graph(run->net)->weighted)
        weigh(run, batch, t);
}

bool gle_run_without_errors(const struct gle_experiment *exp, bool last)
{
    bool feedback = false;

    for (size_t i = 0; i < exp->n_layers; i++)
        feedback = feedback || exp->layers[i].gamma > 0.0;
    return exp->reset_state || (last && !feedback);
}

/* --- windows --- */

void gle_run_begin_window(struct gle_run *run)
{
    if (!run->exp->rule->windowed || run->at.window.open)
        return;
    gle_net_begin_window(run->net);
    run->at.window.open = true;
    run->at.window.first = run->at.step;
}

void gle_run_drop_window(struct gle_run *run)
{
    gle_net_drop_window(run->net);
    run->at.window.open = false;
}

/* After the step run->at.step. */
static int end_window(struct gle_run *run, bool learn, struct gle_error *err)
{
    if (gle_net_end_window(run->net, run->exp->rule, learn, run->schedule.lr, err))
        return -1;
    if (run->diagnosis && learn)
        gle_diagnosis_add(run->diagnosis, run->net);
    return 0;
}

/* --- the step --- */

/* Whether the step run->at.step is to be recorded. */
static bool is_recorded(const struct gle_run *run)
{
    const struct gle_record *record = &run->exp->record;

    return record->every && run->at.step >= record->offset && (run->at.step - record->offset) % record->every == 0;
}

/* learned: the optimizer has made a step. */
static int tell_moment(const struct gle_run *run, const struct gle_stride *stride, bool learned, double loss,
                       struct gle_error *err)
{
    const struct gle_moment moment = {
        .net = run->net,
        .step = run->at.step,
        .stage = run->at.stage,
        .split = run->at.split,
        .B = stride->B,
        .loss = run->at.asked > 0.0 ? loss / run->at.asked : (double)NAN,
        .unasked = run->at.unasked,
        .in_window = run->at.window.open,
        .learned = learned,
    };

    return run->observer->moment(run->observer->ctx, &moment, err);
}

static int tell_window(const struct gle_run *run, const struct gle_stride *stride, struct gle_error *err)
{
    const struct gle_closed_window closed = {.net = run->net,
                                             .first_step = run->at.window.first,
                                             .n_steps = run->at.step - run->at.window.first + 1,
                                             .B = stride->B};

    return run->observer->window(run->observer->ctx, &closed, err);
}

/* The target of the step, from the teacher's output. */
static void aim(struct gle_run *run, size_t B)
{
    size_t ld;
    const float *target = gle_net_target(run->net, &ld);

    gle_net_aim(run->net, run->teacher);
    if (run->spread.samples)
        gle_spread_add(&run->spread, target, ld, B);
}

static int step_teacher(struct gle_run *run, struct gle_error *err)
{
    struct gle_error own = {0};
    double unused;

    gle_net_copy_read(run->teacher, run->net);
    if (!gle_net_step(run->teacher, &(struct gle_step){0}, &unused, &own))
        return 0;
    return gle_fail(err, own.code, "in the teacher: %s", own.text);
}

static void count_loss(struct gle_phase_state *phase, double loss)
{
    phase->loss += loss;
    phase->recent += loss;
    phase->last[phase->known++ % GLE_LAST_STEPS] = loss;
}

/* Counts losses in the phase, step by step. That of the step that is being made waits until it is over. */
static void count_in_phase(struct gle_phase_state *phase, const double *losses, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (phase->known < phase->t)
            count_loss(phase, losses[i]);
        else {
            phase->newest = losses[i];
            phase->has_newest = true;
        }
}

void gle_run_count_step(struct gle_run *run)
{
    struct gle_phase_state *phase = &run->phase;

    phase->t++;
    if (phase->has_newest)
        count_loss(phase, phase->newest);
    phase->has_newest = false;
}

/* Adds losses to *sum, one by one, or counts them in the pass or the phase; *last is the last of them, if there is one.
 */
static void add_losses(struct gle_run *run, double *sum, double *last, const double *losses, size_t n)
{
    double *to = sum ? sum : &run->pass.loss;

    if (!sum && run->exp->phases)
        count_in_phase(&run->phase, losses, n);
    else
        for (size_t i = 0; i < n; i++)
            *to += losses[i];
    if (n)
        *last = losses[n - 1];
}

/* Losses that are told with an error: that of the step that diverged is the last, and counts for nothing. */
static size_t before_the_error(size_t n, const struct gle_error *err)
{
    return n && err->code == GLE_EDIVERGED ? n - 1 : n;
}

/* *loss: of this step, if at_once. */
static int step_nets(struct gle_run *run, const struct gle_stride *stride, bool at_once, double *sum, double *loss,
                     struct gle_error *err)
{
    double losses[GLE_LOSSES];
    size_t n = 0;
    const bool windowed = run->exp->rule->windowed;
    const struct gle_step step = {.learn = stride->learn && !windowed,
                                  .nudge = stride->learn || stride->nudge,
                                  .forward_only = stride->forward_only,
                                  .unasked = run->at.unasked,
                                  .lr = run->schedule.lr};

    if (gle_net_queue(run->net, &step, losses, &n, err)) {
        add_losses(run, sum, loss, losses, before_the_error(n, err));
        return -1;
    }
    add_losses(run, sum, loss, losses, n);
    if (at_once && gle_net_tells_late(run->net)) {
        const int rc = gle_net_collect(run->net, losses, &n, err);
        add_losses(run, sum, loss, losses, rc ? before_the_error(n, err) : n);
        if (rc)
            return -1;
    }
    if (run->diagnosis && step.learn)
        gle_diagnosis_add(run->diagnosis, run->net);
    return run->teacher ? step_teacher(run, err) : 0;
}

int gle_run_collect(struct gle_run *run, struct gle_error *err)
{
    double losses[GLE_LOSSES], last;
    size_t n;
    const int rc = gle_net_collect(run->net, losses, &n, err);

    add_losses(run, NULL, &last, losses, rc ? before_the_error(n, err) : n);
    return rc;
}

/* Whether the step is one of a comparison with exact gradients, which begins and ends with networks that are sound. */
static bool compares(const struct gle_run *run, const struct gle_stride *stride)
{
    return run->diagnosis && stride->learn && gle_diagnosis_compares(run->diagnosis);
}

int gle_run_step(struct gle_run *run, const struct gle_stride *stride, double *sum, struct gle_error *err)
{
    const bool tells = is_recorded(run) && run->observer->moment;
    const uint64_t updates = gle_net_get_place(run->net).updates;
    bool closes, learned;
    double loss = (double)NAN;

    assert(run->state == GLE_RUN_WITHIN || run->state == GLE_RUN_ASIDE);
    if (run->teacher)
        aim(run, stride->B);
    if (run->diagnosis && stride->learn)
        gle_diagnosis_before(run->diagnosis, run->net, run->at.step, stride->steps_left,
                             stride->on_grid && run->at.window.open && run->at.window.first == run->at.step);
    if (step_nets(run, stride, stride->at_once || tells || compares(run, stride), sum, &loss, err))
        return -1;
    if (stride->end_window && run->at.window.first == run->at.step) /* no loss of it has a gradient */
        gle_run_drop_window(run);
    closes = run->at.window.open && stride->end_window;
    if (closes && end_window(run, stride->learn, err))
        return -1;
    learned = gle_net_get_place(run->net).updates > updates;
    if (tells && tell_moment(run, stride, learned, loss, err))
        return -1;
    if (closes && run->observer->window && tell_window(run, stride, err))
        return -1;
    if (closes)
        run->at.window.open = false;
    if (run->diagnosis && stride->learn && gle_diagnosis_after(run->diagnosis, run->at.unasked, run->metrics, err))
        return -1;
    run->at.step++;
    return 0;
}
