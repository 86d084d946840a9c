/* A run between two steps as named arrays, and back. */
#include "base/archive.h"
#include "train/run.h"

#include <assert.h>
#include <float.h>
#include <math.h>

/* --- random streams --- */

static int visit_rng(struct gle_archive *a, const char *name, struct gle_rng *rng, struct gle_error *err)
{
    const size_t n = sizeof rng->state / sizeof *rng->state;
    size_t next = rng->next;
    int rc;

    gle_archive_enter(a, name);
    rc = gle_archive_u32(a, "state", rng->state, n, err) || gle_archive_count(a, "next", &next, 0, n, err) ||
         gle_archive_bools(a, "has_normal", &rng->has_normal, 1, err) ||
         gle_archive_f64(a, "normal", &rng->normal, 1, err);
    gle_archive_leave(a);
    rng->next = (uint32_t)next;
    return rc ? -1 : 0;
}

static int visit_streams(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    return visit_rng(a, "rng", &run->rng, err) || visit_rng(a, "order", &run->order.rng, err) ||
                   gle_archive_bools(a, "forwarded", &run->order.forwarded, 1, err)
               ? -1
               : 0;
}

/* A sum of what is never negative. */
static int visit_sum(struct gle_archive *a, const char *name, double *x, struct gle_error *err)
{
    return gle_archive_real(a, name, x, 0.0, DBL_MAX, err);
}

/* A sum of losses, which may be too large for a double. */
static int visit_loss(struct gle_archive *a, const char *name, double *x, struct gle_error *err)
{
    return gle_archive_real(a, name, x, -INFINITY, INFINITY, err);
}

/* What a teacher asked for, which checkpoints did not always have. */
static int visit_spread(const struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    const struct gle_spread *s = &run->spread;
    struct gle_error missing = {0};
    size_t there;

    if (!s->samples)
        return 0;
    if (gle_archive_restores(a) && gle_archive_length(&there, a, "teacher_spread", &missing)) {
        *s->samples = (double)NAN;
        return 0;
    }
    return gle_archive_spread(a, "teacher_spread", GLE_NPY_F64, s->samples, 1 + 3 * s->n_outputs, sizeof *s->samples,
                              err);
}

/* Answers so far, squared errors, and what was asked for. */
static int visit_right(const struct gle_run *run, struct gle_archive *a, struct gle_right *right, size_t most,
                       double *squares, struct gle_error *err)
{
    if (gle_archive_count(a, "right", &right->first, 0, most, err) ||
        (gle_metrics_has_top5(run->metrics) &&
         gle_run_archive_late(a, "top5", &right->five, 1, sizeof right->five, (double)most, err)))
        return -1;
    if (run->graph->sums_squares && gle_run_archive_late(a, "squares", squares, 1, sizeof *squares, INFINITY, err))
        return -1;
    return visit_spread(run, a, err);
}

/* --- by epochs --- */

/* What was asked in the batches of the pass that are over, and in the one that is going on. */
static double count_asked(const struct gle_run *run)
{
    const struct gle_pass_state *pass = &run->pass;
    const uint32_t *rows = run->reading.planned[0].rows;
    const size_t left = run->data->split[run->at.split].n - pass->done;
    const size_t B = left < gle_run_batch_size(run, run->at.split) ? left : gle_run_batch_size(run, run->at.split);
    double asked = 0.0;

    if (run->data->maker.make) /* at every step */
        return pass->shown;
    for (size_t i = 0; i < pass->done + (pass->t ? B : 0); i++)
        asked += gle_run_asked_before(run, run->at.split, rows[i], i < pass->done ? run->data->n_steps : pass->t);
    return asked;
}

static int visit_pass(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    struct gle_pass_state *pass = &run->pass;
    const size_t n = run->data->split[run->at.split].n;

    return gle_archive_count(a, "done", &pass->done, 0, n, err) ||
                   gle_archive_count(a, "t", &pass->t, 0, run->data->n_steps, err) ||
                   gle_archive_u64(a, "steps", &pass->steps, 1, err) ||
                   visit_sum(a, "shown", &pass->shown, err) || visit_loss(a, "loss", &pass->loss, err) ||
                   visit_right(run, a, &pass->right, n * gle_data_answers(run->data), &pass->squares, err) ||
                   (run->graph->weighted && visit_sum(a, "asked", &pass->asked, err))
               ? -1
               : 0;
}

static int visit_planned(struct gle_run *run, struct gle_planned *planned, struct gle_archive *a,
                         struct gle_error *err)
{
    size_t n;

    if (gle_archive_u64(a, "epoch", &planned->of.epoch, 1, err) ||
        gle_run_archive_split(a, "split", &planned->of.split, GLE_TEST, err))
        return -1;
    n = run->data->split[planned->of.split].n;
    if (gle_archive_u32(a, "rows", planned->rows, n, err))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (planned->rows[i] >= n)
            return gle_archive_fail(a, "rows", err, "there is no sample %u", (unsigned)planned->rows[i]);
    return 0;
}

static int visit_plans(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    static const char *const names[GLE_FEED_PASSES] = {"now", "next"};
    struct gle_reading *reading = &run->reading;
    int rc = gle_archive_count(a, "n_planned", &reading->n_planned, 0, GLE_FEED_PASSES, err) ||
             gle_archive_u64(a, "ahead_epoch", &reading->ahead.epoch, 1, err) ||
             gle_run_archive_split(a, "ahead_split", &reading->ahead.split, GLE_TEST, err);

    for (size_t i = 0; i < reading->n_planned && !rc; i++) {
        gle_archive_enter(a, names[i]);
        rc = visit_planned(run, &reading->planned[i], a, err);
        gle_archive_leave(a);
    }
    return rc ? -1 : 0;
}

static int visit_by_epochs(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    const size_t n_classes = run->metrics->n_classes;
    struct gle_scores *scores = &run->scores;
    int rc;

    if (gle_run_archive_split(a, "split", &run->at.split, GLE_TEST, err) || visit_plans(run, a, err) ||
        gle_run_archive_split(a, "pass_confusion_split", &scores->confusion_split, GLE_TRAIN_AFTER, err) ||
        (scores->confusion && gle_archive_u64(a, "pass_confusion", scores->confusion, n_classes * n_classes, err)))
        return -1;
    gle_archive_enter(a, "epoch");
    rc = gle_run_archive_epochs(run, a, &scores->epoch, 1, err);
    gle_archive_leave(a);
    gle_archive_enter(a, "pass");
    rc = rc || visit_pass(run, a, err);
    gle_archive_leave(a);
    return rc ? -1 : 0;
}

/* --- by phases --- */

static int visit_kept(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    const struct gle_settings *set = &run->exp->phases[run->at.stage - 1].set;

    if (gle_archive_restores(a) && gle_run_make_kept(run, err))
        return -1;
    for (size_t i = 0; i < set->n; i++) {
        const struct gle_parameter *p = &run->graph->parameters[gle_run_param(run, &set->item[i])];
        const size_t n = gle_field_size(&p->field);
        int rc;
        gle_archive_enter(a, p->field.owner);
        rc = gle_archive_f32(a, p->field.name, run->phase.kept[i], n, err);
        for (size_t k = 0; !rc && gle_archive_restores(a) && gle_param_is_tau(p->kind) && k < n; k++)
            if (!(run->phase.kept[i][k] > 0.0f))
                rc = gle_archive_fail(a, p->field.name, err, "value %zu is %g, which is no time", k,
                                      (double)run->phase.kept[i][k]);
        gle_archive_leave(a);
        if (rc)
            return -1;
    }
    if (gle_archive_restores(a))
        gle_run_hold_params(run, true);
    return 0;
}

static int visit_phase(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    struct gle_phase_state *phase = &run->phase;
    bool open = phase->kept != NULL;
    size_t t = (size_t)phase->t;
    int rc;

    if (gle_archive_bools(a, "open", &open, 1, err))
        return -1;
    if (!open)
        return 0;
    if (gle_archive_count(a, "t", &t, 0, run->exp->phases[run->at.stage - 1].n_steps, err) ||
        visit_sum(a, "seconds", &phase->seconds, err) || visit_loss(a, "loss", &phase->loss, err) ||
        visit_loss(a, "recent", &phase->recent, err) ||
        gle_archive_count(a, "played", &phase->played, 0, SIZE_MAX, err) ||
        visit_right(run, a, &phase->right, SIZE_MAX, &phase->squares, err) ||
        gle_archive_spread(a, "last", GLE_NPY_F64, phase->last, GLE_LAST_STEPS, sizeof *phase->last, err))
        return -1;
    for (size_t i = 0; gle_archive_restores(a) && i < GLE_LAST_STEPS; i++)
        if (isnan(phase->last[i]))
            return gle_archive_fail(a, "last", err, "value %zu is NaN", i);
    phase->t = t;
    if (gle_archive_restores(a)) {
        const uint64_t since = run->at.step % gle_run_progress_steps(run);
        phase->known = t; /* what is saved was collected before */
        phase->told = t - (since < t ? since : t);
    }
    gle_archive_enter(a, "kept");
    rc = visit_kept(run, a, err);
    gle_archive_leave(a);
    return rc;
}

static int visit_samples(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    const size_t n = run->data->split[GLE_TRAIN].n;

    if (gle_archive_u32(a, "rows", run->reading.rows, run->graph->max_batch, err))
        return -1;
    for (size_t b = 0; b < run->graph->max_batch; b++)
        if (run->reading.rows[b] >= n)
            return gle_archive_fail(a, "rows", err, "there is no sample %u", (unsigned)run->reading.rows[b]);
    return 0;
}

static int visit_by_phases(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    int rc;

    if (!run->data->signal.play && visit_samples(run, a, err))
        return -1;
    gle_archive_enter(a, "phase");
    rc = visit_phase(run, a, err);
    gle_archive_leave(a);
    return rc;
}

/* --- all of it --- */

/* A signal's position is that of the steps played, which are played again, into an input that is overwritten after. */
static void replay(struct gle_run *run)
{
    const struct gle_signal *signal = &run->data->signal;
    size_t ld;
    float *input = gle_net_input(run->net, &ld);

    for (uint64_t t = 0; signal->play && t < run->at.step; t++)
        signal->play(signal->state, input, ld, t);
}

static int visit_position(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    struct gle_schedule_state *s = &run->schedule;
    struct gle_place *at = &run->at;
    const bool by_phases = run->exp->phases != NULL;
    const double most_work = by_phases ? DBL_MAX : run->spent.total_work; /* by phases, see check.c */
    size_t stage = (size_t)at->stage;

    if (gle_archive_count(a, "stage", &stage, by_phases, by_phases ? run->exp->n_phases : run->exp->epochs, err) ||
        gle_archive_u64(a, "step", &at->step, 1, err) ||
        gle_archive_real(a, "work", &run->spent.work, 0.0, most_work, err) ||
        gle_archive_bools(a, "in_window", &at->window.open, 1, err) ||
        gle_archive_u64(a, "window_first", &at->window.first, 1, err) || gle_archive_f64(a, "lr", &s->lr, 1, err) ||
        visit_loss(a, "best_watched", &s->best, err) || gle_archive_u64(a, "bad_epochs", &s->bad, 1, err))
        return -1;
    at->stage = stage;
    return 0;
}

static int visit_nets(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    int rc;

    gle_archive_enter(a, "net");
    rc = gle_net_archive(run->net, a, err);
    gle_archive_leave(a);
    gle_archive_enter(a, "teacher");
    rc = rc || (run->teacher && gle_net_archive(run->teacher, a, err));
    gle_archive_leave(a);
    gle_archive_enter(a, "diagnosis");
    rc = rc || (run->diagnosis && gle_diagnosis_archive(run->diagnosis, a, err));
    gle_archive_leave(a);
    return rc ? -1 : 0;
}

/* Whether the run that was restored is on a leg. A pass without a step is still to begin. */
static bool is_within(const struct gle_run *run)
{
    return run->exp->phases ? run->phase.kept != NULL : run->pass.steps || run->pass.done;
}

static int visit_all(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    if (visit_position(run, a, err) || visit_streams(run, a, err) ||
        (run->exp->phases ? visit_by_phases(run, a, err) : visit_by_epochs(run, a, err)) ||
        gle_run_archive_metrics(run, a, err))
        return -1;
    if (gle_archive_restores(a))
        gle_run_recount_patience(run);
    if (gle_archive_restores(a) && gle_run_check_place(run, a, err))
        return -1;
    if (gle_archive_restores(a) && !run->exp->phases && run->reading.n_planned && !run->graph->weighted)
        run->pass.asked = count_asked(run);
    if (gle_archive_restores(a))
        replay(run);
    if (visit_nets(run, a, err))
        return -1;
    if (!gle_archive_restores(a))
        return 0;
    if (gle_run_check_nets(run, a, err))
        return -1;
    gle_run_enter(run, is_within(run) ? GLE_RUN_WITHIN : GLE_RUN_BETWEEN);
    return 0;
}

uint64_t gle_run_steps(const struct gle_run *run)
{
    return run->at.step;
}

int gle_run_archive(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    int rc;

    assert(gle_archive_restores(a) ? run->state == GLE_RUN_STARTING
                                   : run->state == GLE_RUN_BETWEEN || run->state == GLE_RUN_WITHIN);
    if (!gle_archive_restores(a)) {
        gle_run_count_time(run);
        if (gle_run_collect(run, err))
            return -1;
    }
    gle_archive_enter(a, "run");
    rc = visit_all(run, a, err);
    gle_archive_leave(a);
    return rc;
}
