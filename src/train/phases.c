/* Training by duration: one stretch of steps after the other, on a signal or on samples that are played one after
 * another. */
#include "base/clock.h"
#include "base/memory.h"
#include "train/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A phase that is going on. */
struct phase {
    const struct gle_phase *cfg;
    struct gle_phase_score *score;
    double loss;   /* summed over steps and rows */
    double *last;  /* losses of the last steps, a ring of GLE_LAST_STEPS */
    double recent; /* of the steps since progress was told */
    size_t played, right; /* samples */
    float **kept;  /* values of the parameters that the phase puts to others */
};

static size_t param_size(const struct gle_run *run, const struct gle_setting *s)
{
    const struct gle_graph_layer *l = &run->graph->layers[s->layer];

    return s->param == GLE_WEIGHT ? l->n * l->n_in : l->n;
}

/* --- input --- */

/* Samples are played by max_batch streams side by side: stream b plays b, b + max_batch, ... and begins anew at the
 * end of the training set. */
static void choose_samples(struct gle_run *run, uint64_t turn)
{
    const size_t B = run->graph->max_batch, n = run->data->split[GLE_TRAIN].n;

    for (size_t b = 0; b < B; b++)
        run->rows[b] = (uint32_t)((turn % n * B + b) % n);
}

static struct gle_batch samples_played(const struct gle_run *run)
{
    return (struct gle_batch){
        .split = GLE_TRAIN, .rows = run->rows, .B = run->graph->max_batch, .n_steps = run->data->n_steps};
}

/* Input and target of step run->step. */
static void show(struct gle_run *run)
{
    const struct gle_signal *signal = &run->data->signal;
    const size_t B = run->graph->max_batch;
    size_t ld;
    float *input = gle_net_input(run->net, &ld);

    if (signal->play) {
        if (run->step == 0)
            gle_run_begin_batch(run, B);
        signal->play(signal->state, input, ld, run->step);
    } else {
        const struct gle_batch batch = samples_played(run);
        const uint64_t t = run->step % run->data->n_steps;
        if (t == 0) {
            choose_samples(run, run->step / run->data->n_steps);
            gle_run_begin_batch(run, B);
        }
        gle_run_show(run, &batch, (size_t)t);
    }
}

/* --- parameters that a phase sets --- */

static int keep_params(struct gle_run *run, struct phase *phase, struct gle_error *err)
{
    const struct gle_settings *set = &phase->cfg->set;

    phase->kept = gle_calloc(set->n + 1, sizeof *phase->kept);
    for (size_t i = 0; phase->kept && i < set->n; i++) {
        phase->kept[i] = gle_calloc(param_size(run, &set->item[i]), sizeof **phase->kept);
        if (!phase->kept[i])
            return gle_fail(err, GLE_ENOMEM, "no memory for the phase");
        gle_net_get_param(run->net, set->item[i].layer, set->item[i].param, phase->kept[i]);
    }
    return phase->kept ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the phase");
}

static void hold_params(struct gle_run *run, const struct phase *phase, bool hold)
{
    const struct gle_settings *set = &phase->cfg->set;

    for (size_t i = 0; i < set->n; i++) {
        gle_net_hold(run->net, set->item[i].layer, set->item[i].param, hold);
        if (run->diagnosis)
            gle_diagnosis_hold(run->diagnosis, set->item[i].layer, set->item[i].param, hold);
    }
}

static void restore_params(struct gle_run *run, const struct phase *phase)
{
    const struct gle_settings *set = &phase->cfg->set;

    for (size_t i = 0; phase->kept && i < set->n; i++)
        if (phase->kept[i])
            gle_net_set_param(run->net, set->item[i].layer, set->item[i].param, phase->kept[i]);
}

static int open_phase(struct gle_run *run, struct phase *phase, struct gle_error *err)
{
    phase->last = gle_calloc(GLE_LAST_STEPS, sizeof *phase->last);
    if (!phase->last)
        return gle_fail(err, GLE_ENOMEM, "no memory for the phase");
    if (keep_params(run, phase, err) || gle_net_apply(run->net, &phase->cfg->set, &run->rng, err))
        return -1;
    hold_params(run, phase, true);
    gle_net_keep(run->net);
    return 0;
}

static void close_phase(struct gle_run *run, struct phase *phase)
{
    gle_run_drop_window(run);
    hold_params(run, phase, false);
    restore_params(run, phase);
    for (size_t i = 0; phase->kept && i < phase->cfg->set.n; i++)
        gle_free(phase->kept[i]);
    gle_free(phase->kept);
    gle_free(phase->last);
}

/* --- steps --- */

static uint64_t fewer(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* After step t of the phase. */
static void count(struct gle_run *run, struct phase *phase, uint64_t t, double loss)
{
    const size_t B = run->graph->max_batch;
    const uint64_t lately = fewer(t + 1, GLE_PROGRESS_STEPS);

    phase->loss += loss;
    phase->last[t % GLE_LAST_STEPS] = loss;
    phase->recent += loss;
    phase->score->steps = t + 1;
    run->work += (double)B;
    if (run->data->n_steps && run->step % run->data->n_steps == 0) {
        const struct gle_batch batch = samples_played(run);
        phase->right += gle_run_count_right(run, &batch);
        phase->played += B;
    }
    if (run->step % GLE_PROGRESS_STEPS)
        return;
    gle_run_tell(run, phase->recent / ((double)lately * (double)B),
                 phase->played && gle_run_labelled(run) ? (double)phase->right / (double)phase->played : (double)NAN);
    phase->recent = 0.0;
}

/* Whether state is reset where a sample begins. */
static bool resets(const struct gle_run *run)
{
    bool any = run->exp->reset_state;

    for (size_t i = 0; i < run->exp->n_layers; i++)
        any = any || run->exp->layers[i].reset;
    return any && run->data->n_steps;
}

/* Steps after this one until the state is reset. */
static uint64_t steps_to_reset(const struct gle_run *run)
{
    return resets(run) ? run->data->n_steps - 1 - run->step % run->data->n_steps : UINT64_MAX;
}

/* Whether step t of the phase has nothing before it that a window could reach back to. */
static bool begins_anew(const struct gle_run *run, uint64_t t)
{
    return !t || (resets(run) && run->step % run->data->n_steps == 0);
}

/* Windows end with the steps of the run whose number is a multiple of the window's length, as published; the first one
 * of a phase, at the first such step but for that with which it begins. They also end where the state is reset, and go
 * on from there as at the beginning of a phase. One that the end of the phase cuts short is dropped. t: step of the
 * phase. */
static bool window_ends(const struct gle_run *run, uint64_t t)
{
    const uint64_t length = run->exp->window_steps;

    return length && ((!begins_anew(run, t) && run->step % length == 0) || !steps_to_reset(run));
}

/* Whether a window that begins here has its full length. */
static bool on_grid(const struct gle_run *run)
{
    const uint64_t length = run->exp->window_steps;

    return length && run->step % length == 1;
}

/* Whether sweeps go over the steps of a phase. */
static bool has_windows(const struct gle_run *run, bool learn)
{
    return learn || run->exp->record.variables[GLE_RECORD_LAMBDA];
}

static int run_steps(struct gle_run *run, struct phase *phase, struct gle_error *err)
{
    const uint64_t n = phase->cfg->n_steps;
    const bool windows = has_windows(run, phase->cfg->learn);
    struct gle_stride stride = {.B = run->graph->max_batch, .learn = phase->cfg->learn, .nudge = true};

    for (uint64_t t = 0; t < n && !gle_run_stopped(run); t++) {
        double loss;
        if (t && t % GLE_LAST_STEPS == 0)
            gle_net_keep(run->net);
        show(run);
        if (windows)
            gle_run_begin_window(run);
        stride.steps_left = fewer(n - 1 - t, steps_to_reset(run));
        stride.end_window = window_ends(run, t);
        stride.on_grid = on_grid(run);
        if (gle_run_step(run, &stride, &loss, err))
            return -1;
        count(run, phase, t, loss);
    }
    return 0;
}

static void score_phase(const struct gle_run *run, const struct phase *phase, double seconds)
{
    struct gle_phase_score *s = phase->score;
    const double rows = (double)run->graph->max_batch;
    double last = 0.0;

    s->seconds = seconds;
    s->last_steps = s->steps < GLE_LAST_STEPS ? s->steps : GLE_LAST_STEPS;
    for (size_t i = 0; i < s->last_steps; i++)
        last += phase->last[i];
    s->loss = phase->loss / ((double)s->steps * rows);
    s->last_loss = last / ((double)s->last_steps * rows);
    s->accuracy = phase->played && gle_run_labelled(run) ? (double)phase->right / (double)phase->played : (double)NAN;
}

static int run_phase(struct gle_run *run, const struct gle_phase *cfg, struct gle_error *err)
{
    struct gle_metrics *m = run->metrics;
    struct phase phase = {.cfg = cfg, .score = &m->phases[m->n_phases]};
    const double start = gle_clock(), work = run->work;
    int rc = open_phase(run, &phase, err) || run_steps(run, &phase, err) ? -1 : 0;
    const double seconds = gle_clock() - start;

    if (rc && err->code == GLE_EDIVERGED)
        gle_net_recall(run->net);
    if (phase.score->steps) {
        score_phase(run, &phase, seconds);
        m->n_phases++;
    }
    close_phase(run, &phase);
    *(cfg->learn ? &m->train_seconds : &m->eval_seconds) += seconds;
    *(cfg->learn ? &m->train_steps : &m->eval_steps) += phase.score->steps;
    *(cfg->learn ? &m->train_flops : &m->eval_flops) +=
        gle_graph_flops(run->graph, cfg->learn) * (run->work - work);
    if (rc || phase.score->steps < cfg->n_steps)
        return rc;
    return run->observer->stage ? run->observer->stage(run->observer->ctx, m, err) : 0;
}

void gle_run_phases(struct gle_run *run)
{
    const struct gle_experiment *exp = run->exp;

    run->total_work = (double)exp->n_steps * (double)run->graph->max_batch;
    for (size_t i = 0; i < exp->n_phases && !run->rc && !gle_run_stopped(run); i++) {
        run->stage = i + 1;
        run->rc = run_phase(run, &exp->phases[i], run->err);
    }
}

int gle_run_measure_phases(struct gle_meter *meter, struct gle_run *run, bool learn, struct gle_error *err)
{
    struct gle_stride stride = {
        .B = run->graph->max_batch, .learn = learn, .nudge = true, .steps_left = UINT64_MAX};

    run->step = 0;
    for (uint64_t t = 0;; t++) {
        double loss;
        show(run);
        if (has_windows(run, learn))
            gle_run_begin_window(run);
        stride.end_window = window_ends(run, t);
        if (gle_run_step(run, &stride, &loss, err))
            return -1;
        if (gle_meter_step(meter, !run->in_window))
            return 0;
        if (run->step == run->exp->n_steps) { /* from the beginning of the signal */
            gle_run_drop_window(run);
            run->step = 0;
        }
    }
}
