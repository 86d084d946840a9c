/* Training by duration: one stretch of steps after the other, on a signal or on samples that are played one after
 * another. */
#include "base/clock.h"
#include "base/memory.h"
#include "parts/rule.h"
#include "solver/rows.h"
#include "train/run.h"

#include <math.h>

/* The phase that is going on, or comes next. */
static const struct gle_phase *phase_of(const struct gle_run *run)
{
    return &run->exp->phases[run->at.stage - 1];
}

size_t gle_run_param(const struct gle_run *run, const struct gle_setting *s)
{
    return gle_graph_parameter(run->graph, s->layer, s->source, s->param);
}

/* --- input --- */

/* Samples are played by max_batch streams side by side: stream b plays b, b + max_batch, ... and begins anew at the
 * end of the training set. */
static void choose_samples(struct gle_run *run, uint64_t turn)
{
    const size_t B = run->graph->max_batch, n = run->data->split[GLE_TRAIN].n;

    for (size_t b = 0; b < B; b++)
        run->reading.rows[b] = (uint32_t)((turn % n * B + b) % n);
}

static struct gle_batch samples_played(const struct gle_run *run)
{
    return (struct gle_batch){
        .split = GLE_TRAIN, .rows = run->reading.rows, .B = run->graph->max_batch, .n_steps = run->data->n_steps};
}

/* Input and target of step run->at.step. */
static void show(struct gle_run *run)
{
    const struct gle_signal *signal = &run->data->signal;
    const size_t B = run->graph->max_batch;
    size_t ld;
    float *input = gle_net_input(run->net, &ld);

    if (signal->play) {
        if (run->at.step == 0)
            gle_run_begin_batch(run, B);
        signal->play(signal->state, input, ld, run->at.step);
        run->at.asked = (double)B;
    } else {
        struct gle_batch batch = samples_played(run);
        const uint64_t t = run->at.step % run->data->n_steps, turn = run->at.step / run->data->n_steps;
        if (t == 0) {
            choose_samples(run, turn);
            gle_run_begin_batch(run, B);
        }
        gle_shown_fill(&run->reading.shown, &batch, turn * B);
        gle_run_show(run, &batch, (size_t)t);
    }
}

/* --- parameters that a phase sets --- */

int gle_run_make_kept(struct gle_run *run, struct gle_error *err)
{
    const struct gle_settings *set = &phase_of(run)->set;
    float **kept = gle_calloc(set->n + 1, sizeof *kept); /* NULL after the last */

    run->phase.kept = kept;
    for (size_t i = 0; kept && i < set->n; i++) {
        const struct gle_field *f = &run->graph->parameters[gle_run_param(run, &set->item[i])].field;
        kept[i] = gle_calloc(gle_field_size(f), sizeof **kept);
        if (!kept[i])
            return gle_fail(err, GLE_ENOMEM, "no memory for the phase");
    }
    return kept ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the phase");
}

void gle_run_free_kept(struct gle_run *run)
{
    for (size_t i = 0; run->phase.kept && run->phase.kept[i]; i++)
        gle_free(run->phase.kept[i]);
    gle_free(run->phase.kept);
    run->phase.kept = NULL;
}

void gle_run_hold_params(struct gle_run *run, bool hold)
{
    const struct gle_settings *set = &phase_of(run)->set;

    for (size_t i = 0; i < set->n; i++) {
        gle_net_hold(run->net, gle_run_param(run, &set->item[i]), hold);
        if (run->diagnosis)
            gle_diagnosis_hold(run->diagnosis, gle_run_param(run, &set->item[i]), hold);
    }
}

static int open_phase(struct gle_run *run, struct gle_error *err)
{
    const struct gle_settings *set = &phase_of(run)->set;

    if (gle_run_make_kept(run, err))
        return -1;
    for (size_t i = 0; i < set->n; i++)
        gle_net_get_param(run->net, gle_run_param(run, &set->item[i]), run->phase.kept[i]);
    gle_spread_clear(&run->spread);
    gle_run_enter(run, GLE_RUN_WITHIN);
    if (gle_net_apply(run->net, set, &run->rng, err))
        return -1;
    gle_run_hold_params(run, true);
    gle_net_keep(run->net);
    return 0;
}

/* Parameters are again what they were before it. */
static void close_phase(struct gle_run *run)
{
    const struct gle_settings *set = &phase_of(run)->set;

    gle_run_drop_window(run);
    gle_net_drop_gathered(run->net);
    gle_run_hold_params(run, false);
    for (size_t i = 0; i < set->n; i++)
        gle_net_set_param(run->net, gle_run_param(run, &set->item[i]), run->phase.kept[i]);
    gle_run_free_kept(run);
    run->phase = (struct gle_phase_state){.last = run->phase.last};
}

/* --- steps --- */

static uint64_t fewer(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Losses of a net on a device are waited for no more often than it hands steps over. */
uint64_t gle_run_progress_steps(const struct gle_run *run)
{
    return gle_net_tells_late(run->net) ? GLE_QUEUE_STEPS : GLE_PROGRESS_STEPS;
}

/* Answers that all streams have given before step `step` of the run. */
static uint64_t answers_before(const struct gle_run *run, uint64_t step)
{
    const uint64_t T = run->data->n_steps;
    const struct gle_batch batch = samples_played(run);

    return (step / T * gle_data_answers(run->data) + gle_run_answered(run, &batch, (size_t)(step % T))) * batch.B;
}

uint64_t gle_run_count_answers(const struct gle_run *run, uint64_t from, uint64_t to)
{
    return run->data->n_steps ? answers_before(run, to) - answers_before(run, from) : 0;
}

/* Of the answers that were given in the phase so far. */
static double accuracy_so_far(const struct gle_run *run)
{
    const uint64_t answers = gle_run_count_answers(run, run->at.step - run->phase.t, run->at.step);

    return answers && gle_run_labelled(run) ? (double)run->phase.right.first / (double)answers : (double)NAN;
}

/* Tells the losses of the steps since the last time. */
static int tell(struct gle_run *run, struct gle_error *err)
{
    struct gle_phase_state *phase = &run->phase;
    const uint64_t step = run->at.step;

    if (gle_run_collect(run, err))
        return -1;
    gle_run_tell(run, phase->recent / gle_run_count_asked(run, step - (phase->t - phase->told), step),
                 accuracy_so_far(run));
    phase->recent = 0.0;
    phase->told = phase->t;
    return 0;
}

/* After a step of the phase. */
static int count(struct gle_run *run, struct gle_error *err)
{
    struct gle_phase_state *phase = &run->phase;
    const size_t B = run->graph->max_batch, T = run->data->n_steps;
    const uint64_t step = run->at.step;

    gle_run_count_step(run);
    run->spent.work += (double)B;
    if (T) {
        const struct gle_batch batch = samples_played(run);
        const size_t t = (size_t)((step - 1) % T);
        const bool over = t + 1 == T;
        if (over && gle_run_labelled(run) && gle_run_collect(run, err)) /* the output is waited for in any case */
            return -1;
        gle_run_count_right(run, &phase->right, &batch, t);
        phase->played += over ? B : 0;
    }
    if (gle_run_squares_due(run, (size_t)(T ? (step - 1) % T : step - 1), T) || phase->t == phase_of(run)->n_steps)
        phase->squares += gle_run_take_squares(run);
    if (step % gle_run_progress_steps(run) == 0 && tell(run, err))
        return -1;
    return gle_run_may_pause(run, step % GLE_PROGRESS_STEPS == 0) ? gle_run_pause(run, GLE_PAUSE_STEP, err) : 0;
}

/* Of steps that were made after one that diverged on a device, nothing stays: the losses before it are all that count.
 */
static void take_back(struct gle_run *run)
{
    struct gle_error told = {0};
    uint64_t late;

    (void)!gle_run_collect(run, &told); /* nothing new */
    run->phase.has_newest = false;
    late = run->phase.t - run->phase.known;
    run->phase.t -= late;
    run->at.step -= late;
    run->spent.work -= (double)late * (double)run->graph->max_batch;
}

/* Steps before step `end` of samples in which they have a target, summed over those that are played in a turn. */
static double asked_in_turn(const struct gle_run *run, uint64_t turn, size_t end)
{
    const size_t B = run->graph->max_batch, n = run->data->split[GLE_TRAIN].n;
    double sum = 0.0;

    if (!gle_data_has_masks(run->data)) /* all alike */
        return (double)B * gle_run_asked_before(run, GLE_TRAIN, 0, end);
    for (size_t b = 0; b < B; b++)
        sum += gle_run_asked_before(run, GLE_TRAIN, (uint32_t)((turn % n * B + b) % n), end);
    return sum;
}

/* Steps of the samples that are played before step `step` of the run that have a target, counting from step 0 of
 * turn `first` on. */
static double asked_before(const struct gle_run *run, uint64_t first, uint64_t step)
{
    const uint64_t T = run->data->n_steps, turns = step / T - first;
    double sum = 0.0;

    if (!gle_data_has_masks(run->data))
        sum = (double)turns * asked_in_turn(run, 0, T);
    else
        for (uint64_t turn = first; turn < first + turns; turn++)
            sum += asked_in_turn(run, turn, T);
    return sum + asked_in_turn(run, step / T, (size_t)(step % T));
}

double gle_run_count_asked(const struct gle_run *run, uint64_t from, uint64_t to)
{
    const uint64_t T = run->data->n_steps, first = T ? from / T : 0;

    if (!T) /* a signal, with a teacher */
        return (double)(to - from) * (double)run->graph->max_batch;
    return asked_before(run, first, to) - asked_before(run, first, from);
}

/* Whether state is reset where a sample begins. */
static bool resets(const struct gle_run *run)
{
    bool any = run->exp->reset_state;

    for (size_t i = 0; i < run->exp->n_layers; i++)
        any = any || run->exp->layers[i].reset;
    return any && run->data->n_steps;
}

/* Steps after one until the state is reset. */
static uint64_t steps_to_reset(const struct gle_run *run, uint64_t step)
{
    return resets(run) ? run->data->n_steps - 1 - step % run->data->n_steps : UINT64_MAX;
}

/* Whether a step, t of the phase, has nothing before it that a window could reach back to. */
static bool begins_anew(const struct gle_run *run, uint64_t step, uint64_t t)
{
    return !t || (resets(run) && step % run->data->n_steps == 0);
}

/* Windows end with the steps of the run whose number is a multiple of the window's length, as published; the first one
 * of a phase, at the first such step but for that with which it begins. They also end where the state is reset, and go
 * on from there as at the beginning of a phase. One that the end of the phase cuts short is dropped. */
bool gle_run_window_ends(const struct gle_run *run, uint64_t step, uint64_t t)
{
    const uint64_t length = run->exp->window_steps;

    return length && ((!begins_anew(run, step, t) && step % length == 0) || !steps_to_reset(run, step));
}

/* Whether a window that begins here has its full length. */
static bool on_grid(const struct gle_run *run)
{
    const uint64_t length = run->exp->window_steps;

    return length && run->at.step % length == 1;
}

/* Whether sweeps go over the steps of a phase. */
static bool has_windows(const struct gle_run *run, bool learn)
{
    return learn || run->exp->record.variables[GLE_RECORD_LAMBDA];
}

/* Evaluates the test set, if it is time to. Where a phase begins or ends, it is one of the network with all parameters
 * of its own. */
static int evaluate_if_due(struct gle_run *run, struct gle_error *err)
{
    const size_t n = run->metrics->n_evaluations;
    const bool between = !run->phase.t || run->phase.t == phase_of(run)->n_steps;

    if (!run->evaluation || !gle_evaluation_due(run))
        return 0;
    if (gle_run_collect(run, err)) /* what is copied is sound */
        return -1;
    if (gle_evaluation_make(run->evaluation, run, between, err))
        return -1;
    if (run->metrics->n_evaluations > n && run->observer->evaluated)
        run->observer->evaluated(run->observer->ctx, run->metrics);
    return 0;
}

bool gle_run_has_windows(const struct gle_run *run)
{
    return run->exp->rule->windowed && has_windows(run, phase_of(run)->learn);
}

/* From where the phase is. */
static int run_steps(struct gle_run *run, struct gle_error *err)
{
    const struct gle_phase *cfg = phase_of(run);
    const bool windows = has_windows(run, cfg->learn);
    struct gle_stride stride = {
        .B = run->graph->max_batch, .learn = cfg->learn, .nudge = true};

    while (run->phase.t < cfg->n_steps && !gle_run_stopped(run)) {
        const uint64_t t = run->phase.t;
        if (evaluate_if_due(run, err))
            return -1;
        if (gle_run_stopped(run))
            break;
        if (t && t % GLE_LAST_STEPS == 0) {
            if (gle_run_collect(run, err)) /* what is kept is sound */
                return -1;
            gle_net_keep(run->net);
        }
        show(run);
        if (windows)
            gle_run_begin_window(run);
        stride.steps_left = fewer(cfg->n_steps - 1 - t, steps_to_reset(run, run->at.step));
        stride.end_window = gle_run_window_ends(run, run->at.step, t);
        stride.on_grid = on_grid(run);
        if (gle_run_step(run, &stride, NULL, err) || count(run, err))
            return -1;
    }
    if (gle_run_collect(run, err))
        return -1;
    return run->phase.t == cfg->n_steps && !gle_run_stopped(run) ? evaluate_if_due(run, err) : 0;
}

/* Whether an evaluation is left to be made at the end of the phase, because the run was stopped. */
static bool is_over(const struct gle_run *run)
{
    return run->phase.t == phase_of(run)->n_steps && !(run->evaluation && gle_evaluation_due(run));
}

static void score_phase(struct gle_run *run, struct gle_phase_score *s)
{
    const struct gle_phase_state *phase = &run->phase;
    const uint64_t end = run->at.step;
    const double asked = gle_run_count_asked(run, end - phase->t, end);
    const double answers = (double)gle_run_count_answers(run, end - phase->t, end);
    double last = 0.0;

    s->steps = phase->t;
    s->seconds = phase->seconds;
    s->last_steps = s->steps < GLE_LAST_STEPS ? s->steps : GLE_LAST_STEPS;
    for (size_t i = 0; i < s->last_steps; i++)
        last += phase->last[i];
    s->loss = phase->loss / asked;
    s->last_loss = last / gle_run_count_asked(run, end - s->last_steps, end);
    s->clipping = gle_run_count_clipping(run);
    s->accuracy = accuracy_so_far(run);
    s->top5 = gle_run_top5(run, phase->right.five, answers);
    s->nrmse = gle_run_nrmse(run, GLE_TRAIN, s->loss, phase->squares, asked);
}

/* Whether it is over or was broken off. */
static void end_phase(struct gle_run *run)
{
    struct gle_metrics *m = run->metrics;
    const bool learn = phase_of(run)->learn;
    const uint64_t steps = run->phase.t;

    if (!run->rc) /* of a phase that was broken off */
        run->phase.squares += gle_run_take_squares(run);
    if (steps)
        score_phase(run, &m->phases[m->n_phases++]);
    *(learn ? &m->train_steps : &m->eval_steps) += steps;
    *(learn ? &m->train_flops : &m->eval_flops) +=
        gle_graph_flops(run->graph, learn) * ((double)steps * (double)run->graph->max_batch);
    close_phase(run);
}

/* The phase that is going on or comes next, from where it is; goes on to the one after it. */
static int run_phase(struct gle_run *run, struct gle_error *err)
{
    int rc;

    run->spent.clock = gle_clock();
    rc = (run->state == GLE_RUN_BETWEEN && open_phase(run, err)) || run_steps(run, err) ? -1 : 0;
    gle_run_count_time(run);
    if (rc)
        take_back(run);
    if (rc && err->code == GLE_EDIVERGED)
        gle_net_recall(run->net);
    if (rc || !is_over(run))
        return rc;
    end_phase(run);
    run->at.stage++;
    gle_run_enter(run, GLE_RUN_BETWEEN);
    if (run->observer->stage && run->observer->stage(run->observer->ctx, run->metrics, err))
        return -1;
    run->spent.clock = gle_clock();
    return run->at.stage <= run->exp->n_phases && !gle_run_stopped(run) ? gle_run_pause(run, GLE_PAUSE_STAGE, err) : 0;
}

double gle_run_total_by_phases(const struct gle_run *run)
{
    const double steps = (double)run->exp->n_steps * (double)run->graph->max_batch;

    return steps + (double)gle_evaluation_count(run->exp) * (double)run->data->n_steps *
                       (double)run->data->split[GLE_TEST].n;
}

void gle_run_phases(struct gle_run *run)
{
    const struct gle_experiment *exp = run->exp;

    run->spent.clock = gle_clock();
    while (run->at.stage <= exp->n_phases && !run->rc && !gle_run_stopped(run))
        run->rc = run_phase(run, run->err);
    if (run->at.stage <= exp->n_phases && !run->rc)
        run->rc = gle_run_pause(run, GLE_PAUSE_STOP, run->err);
    if (run->state == GLE_RUN_WITHIN)
        end_phase(run);
    gle_run_settle(run);
}

int gle_run_measure_phases(struct gle_meter *meter, struct gle_run *run, bool learn, struct gle_error *err)
{
    struct gle_stride stride = {
        .B = run->graph->max_batch, .learn = learn, .nudge = true, .steps_left = UINT64_MAX};

    const bool queued = gle_net_is_on_device(run->net);

    run->at.step = 0;
    for (uint64_t t = 0, since = 0;; t++) {
        double loss = 0.0;
        bool may_end;
        show(run);
        if (has_windows(run, learn))
            gle_run_begin_window(run);
        stride.end_window = gle_run_window_ends(run, run->at.step, t);
        if (gle_run_step(run, &stride, &loss, err))
            return -1;
        since++;
        may_end = !run->at.window.open && (!queued || since >= GLE_QUEUE_STEPS);
        if (may_end && queued) { /* steps count once they are over */
            since = 0;
            if (gle_run_collect(run, err))
                return -1;
        }
        if (gle_meter_step(meter, may_end))
            return 0;
        if (run->at.step == run->exp->n_steps) { /* from the beginning of the signal */
            gle_run_drop_window(run);
            run->at.step = 0;
        }
    }
}
