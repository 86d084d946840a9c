/* What a run has measured, as named arrays, and back. */
#include "base/archive.h"
#include "base/memory.h"
#include "train/run.h"

#include <float.h>
#include <math.h>
#include <string.h>

int gle_run_archive_split(struct gle_archive *a, const char *name, enum gle_split *split, enum gle_split last,
                          struct gle_error *err)
{
    size_t number = (size_t)*split;

    if (gle_archive_count(a, name, &number, 0, (size_t)last, err))
        return -1;
    *split = (enum gle_split)number;
    return 0;
}

/* Columns of their own, where there is something to count. c: in the first of n structs of that size. */
static int visit_clipping(const struct gle_run *run, struct gle_archive *a, struct gle_clipping *c, size_t n,
                          size_t size, struct gle_error *err)
{
    for (size_t i = 0; gle_archive_restores(a) && i < n; i++)
        memset((char *)c + i * size, 0, sizeof *c);
    if (!(run->exp->clip > 0.0))
        return 0;
    return gle_archive_spread(a, "clip_steps", GLE_NPY_U64, &c->steps, n, size, err) ||
                   gle_archive_spread(a, "clipped", GLE_NPY_U64, &c->clipped, n, size, err)
               ? -1
               : 0;
}

int gle_run_archive_late(struct gle_archive *a, const char *name, double *x, size_t n, size_t size, double high,
                      struct gle_error *err)
{
    struct gle_error missing = {0};
    size_t there;

    if (gle_archive_restores(a) && gle_archive_length(&there, a, name, &missing)) {
        for (size_t i = 0; i < n; i++)
            *(double *)(void *)((char *)x + i * size) = (double)NAN;
        return 0;
    }
    if (gle_archive_spread(a, name, GLE_NPY_F64, x, n, size, err))
        return -1;
    for (size_t i = 0; gle_archive_restores(a) && i < n; i++) {
        const double value = *(const double *)(const void *)((const char *)x + i * size);
        if (value < 0.0 || value > high)
            return gle_archive_fail(a, name, err, "value %zu is %g, where 0 to %g are possible", i, value, high);
    }
    return 0;
}

/* What a score of a split has beside loss and accuracy. NRMSE follows from the loss where that is the squared error,
 * and targets are not a teacher's. */
static int visit_others(const struct gle_run *run, struct gle_archive *a, double *top5, double *nrmse,
                        const double *loss, enum gle_split split, size_t n, size_t size, struct gle_error *err)
{
    for (size_t i = 0; gle_archive_restores(a) && i < n; i++) {
        const double l = *(const double *)(const void *)((const char *)loss + i * size);
        *(double *)(void *)((char *)top5 + i * size) = (double)NAN;
        *(double *)(void *)((char *)nrmse + i * size) = gle_metrics_nrmse(run->metrics, split, l);
    }
    if (gle_metrics_has_top5(run->metrics) && gle_run_archive_late(a, "top5", top5, n, size, 1.0, err))
        return -1;
    if (!run->graph->sums_squares && !run->spread.samples)
        return 0;
    return gle_run_archive_late(a, "nrmse", nrmse, n, size, INFINITY, err);
}

static int visit_closed(const struct gle_run *run, struct gle_archive *a, struct gle_closed *c, enum gle_split split,
                        size_t n, size_t size, struct gle_error *err)
{
    for (size_t i = 0; gle_archive_restores(a) && i < n; i++)
        *(struct gle_closed *)(void *)((char *)c + i * size) = gle_closed_unknown;
    if (!run->exp->closed.n_steps || split != GLE_TEST)
        return 0;
    return gle_run_archive_late(a, "closed_smape", &c->smape, n, size, INFINITY, err) ||
                   gle_run_archive_late(a, "closed_nrmse", &c->nrmse, n, size, INFINITY, err) ||
                   gle_run_archive_late(a, "open_smape", &c->open_smape, n, size, INFINITY, err) ||
                   gle_run_archive_late(a, "open_nrmse", &c->open_nrmse, n, size, INFINITY, err)
               ? -1
               : 0;
}

/* In all: what the stages that are over have. */
static void sum_clipping(struct gle_metrics *m)
{
    m->clipping = (struct gle_clipping){0};
    for (size_t i = 0; i < m->n_epochs; i++) {
        m->clipping.steps += m->epochs[i].clipping.steps;
        m->clipping.clipped += m->epochs[i].clipping.clipped;
    }
    for (size_t i = 0; i < m->n_phases; i++) {
        m->clipping.steps += m->phases[i].clipping.steps;
        m->clipping.clipped += m->phases[i].clipping.clipped;
    }
}

/* Epochs, as columns. */
int gle_run_archive_epochs(const struct gle_run *run, struct gle_archive *a, struct gle_epoch *e, size_t n,
                        struct gle_error *err)
{
    const size_t size = sizeof *e;

    if (gle_archive_spread(a, "epoch", GLE_NPY_U64, &e->epoch, n, size, err) ||
        gle_archive_spread(a, "lr", GLE_NPY_F64, &e->lr, n, size, err) ||
        gle_archive_spread(a, "seconds", GLE_NPY_F64, &e->seconds, n, size, err))
        return -1;
    for (size_t i = 0; gle_archive_restores(a) && i < n; i++)
        e[i].score[GLE_TRAIN_AFTER] = (struct gle_score){.closed = gle_closed_unknown};
    for (int s = 0; s < (run->exp->train_after.row ? GLE_SCORES : GLE_SPLITS); s++) {
        struct gle_score *score = &e->score[s];
        int rc;
        gle_archive_enter(a, gle_split_names[s]);
        rc = gle_archive_spread(a, "measured", GLE_NPY_BOOL, &score->measured, n, size, err) ||
             gle_archive_spread(a, "loss", GLE_NPY_F64, &score->loss, n, size, err) ||
             gle_archive_spread(a, "accuracy", GLE_NPY_F64, &score->accuracy, n, size, err) ||
             visit_others(run, a, &score->top5, &score->nrmse, &score->loss, (enum gle_split)s, n, size, err) ||
             visit_closed(run, a, &score->closed, (enum gle_split)s, n, size, err);
        gle_archive_leave(a);
        if (rc)
            return -1;
    }
    return 0;
}

static int visit_phases(const struct gle_run *run, struct gle_archive *a, struct gle_phase_score *p, size_t n,
                        struct gle_error *err)
{
    const size_t size = sizeof *p;

    return gle_archive_spread(a, "steps", GLE_NPY_U64, &p->steps, n, size, err) ||
                   gle_archive_spread(a, "seconds", GLE_NPY_F64, &p->seconds, n, size, err) ||
                   gle_archive_spread(a, "loss", GLE_NPY_F64, &p->loss, n, size, err) ||
                   gle_archive_spread(a, "last_loss", GLE_NPY_F64, &p->last_loss, n, size, err) ||
                   gle_archive_spread(a, "last_steps", GLE_NPY_U64, &p->last_steps, n, size, err) ||
                   gle_archive_spread(a, "accuracy", GLE_NPY_F64, &p->accuracy, n, size, err) ||
                   visit_others(run, a, &p->top5, &p->nrmse, &p->loss, GLE_TRAIN, n, size, err)
               ? -1
               : 0;
}

enum { NUMBERS = sizeof(struct gle_comparison) / sizeof(double) };

/* values: room for all of them, side by side. */
static int visit_comparisons(struct gle_metrics *m, struct gle_archive *a, double *values, size_t each,
                             struct gle_error *err)
{
    const size_t bytes = each * NUMBERS * sizeof *values;

    for (size_t i = 0; i < m->n_diagnostics; i++)
        memcpy(values + i * each * NUMBERS, m->diagnostics[i].of, bytes);
    if (gle_archive_f64(a, "comparisons", values, m->n_diagnostics * each * NUMBERS, err))
        return -1;
    for (size_t i = 0; i < m->n_diagnostics; i++)
        memcpy(m->diagnostics[i].of, values + i * each * NUMBERS, bytes);
    return 0;
}

static int visit_diagnostics(struct gle_metrics *m, size_t each, struct gle_archive *a, struct gle_error *err)
{
    size_t n = m->n_diagnostics;
    double *values;
    int rc;

    if (gle_archive_restores(a) && gle_archive_length(&n, a, "step", err))
        return -1;
    for (size_t i = m->n_diagnostics; i < n; i++) {
        struct gle_diagnostic *unused;
        if (gle_metrics_diagnose(&unused, m, 0, each, err))
            return -1;
    }
    values = gle_calloc(n * each * NUMBERS, sizeof *values);
    if (!values)
        return gle_fail(err, GLE_ENOMEM, "no memory for the diagnostics");
    rc = gle_archive_spread(a, "step", GLE_NPY_U64, n ? &m->diagnostics->step : NULL, n, sizeof *m->diagnostics, err) ||
                 visit_comparisons(m, a, values, each, err)
             ? -1
             : 0;
    gle_free(values);
    return rc;
}

/* Evaluations have their places in a run. */
static int check_evaluations(const struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    const struct gle_metrics *m = run->metrics;

    for (size_t i = 0; i < m->n_evaluations; i++)
        if (m->evaluations[i].step != gle_evaluation_step(run->exp, i) || m->evaluations[i].step > run->at.step)
            return gle_archive_fail(a, "step", err, "evaluation %zu is not one of this run", i);
    return 0;
}

static int visit_evaluations(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    struct gle_metrics *m = run->metrics;
    size_t n = m->n_evaluations;
    struct gle_evaluated none = {0}, *e;

    if (gle_archive_restores(a) && gle_archive_length(&n, a, "step", err))
        return -1;
    if (n > gle_evaluation_count(run->exp))
        return gle_archive_fail(a, "step", err, "%zu evaluations, where the run has fewer", n);
    while (m->n_evaluations < n)
        if (gle_metrics_evaluate(m, &none, err))
            return -1;
    e = m->evaluations ? m->evaluations : &none;
    if (gle_archive_spread(a, "step", GLE_NPY_U64, &e->step, n, sizeof *e, err) ||
        gle_archive_spread(a, "loss", GLE_NPY_F64, &e->loss, n, sizeof *e, err) ||
        gle_archive_spread(a, "accuracy", GLE_NPY_F64, &e->accuracy, n, sizeof *e, err) ||
        visit_others(run, a, &e->top5, &e->nrmse, &e->loss, GLE_TEST, n, sizeof *e, err) ||
        visit_closed(run, a, &e->closed, GLE_TEST, n, sizeof *e, err))
        return -1;
    return check_evaluations(run, a, err);
}

/* A sum of what is never negative. */
static int visit_sum(struct gle_archive *a, const char *name, double *x, struct gle_error *err)
{
    return gle_archive_real(a, name, x, 0.0, DBL_MAX, err);
}

static int visit_sums(struct gle_metrics *m, struct gle_archive *a, struct gle_error *err)
{
    return gle_archive_u64(a, "train_steps", &m->train_steps, 1, err) ||
                   gle_archive_u64(a, "eval_steps", &m->eval_steps, 1, err) ||
                   visit_sum(a, "train_seconds", &m->train_seconds, err) ||
                   visit_sum(a, "eval_seconds", &m->eval_seconds, err) ||
                   visit_sum(a, "waited_seconds", &m->waited_seconds, err) ||
                   visit_sum(a, "train_flops", &m->train_flops, err) ||
                   visit_sum(a, "eval_flops", &m->eval_flops, err)
               ? -1
               : 0;
}

/* Room for no more epochs than the file has. */
static int make_room(struct gle_metrics *m, const struct gle_archive *a, struct gle_error *err)
{
    size_t n;

    if (gle_archive_length(&n, a, "epoch", err))
        return -1;
    if (n != m->n_epochs)
        return gle_archive_fail(a, "epoch", err, "%zu values, where %zu are wanted", n, m->n_epochs);
    return gle_metrics_make_room(m, n, err);
}

/* Traces of the closed loop, once there are some. */
static int visit_traces(const struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    struct gle_traces *t = &run->metrics->traces;
    bool there = t->values != NULL;

    if (!run->exp->closed.n_steps)
        return 0;
    if (gle_archive_bools(a, "has_traces", &there, 1, err))
        return -1;
    if (!there)
        return 0;
    if (gle_archive_restores(a) &&
        gle_metrics_make_traces(run->metrics, run->data->split[GLE_TEST].n, (size_t)run->exp->closed.n_steps,
                                run->data->n_targets, err))
        return -1;
    return gle_archive_f32(a, "traces", t->values, 3 * t->n * t->n_steps * t->n_outputs, err);
}

/* Those of the last evaluations; by epochs, also those of the pass that is going on. Targets may be NaN. */
static int visit_predictions(const struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    int rc = 0;

    gle_archive_enter(a, "predictions");
    for (int s = 0; s < GLE_SPLITS && !rc; s++) {
        struct gle_predictions *p = &run->metrics->predictions[s];
        float *pass = run->exp->phases ? NULL : run->scores.predictions[s];
        if (!p->values)
            continue;
        gle_archive_enter(a, gle_split_names[s]);
        rc = gle_archive_bools(a, "there", &p->there, 1, err) ||
             (p->there && gle_archive_spread(a, "values", GLE_NPY_F32, p->values, p->n, sizeof *p->values, err)) ||
             (pass && gle_archive_spread(a, "pass", GLE_NPY_F32, pass, p->n, sizeof *pass, err));
        gle_archive_leave(a);
    }
    gle_archive_leave(a);
    return rc ? -1 : 0;
}

/* Checkpoints of training by duration did not have it always; the next evaluation, which is still to come in a run that
 * is not over, makes it. */
static int visit_matrix(const struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    struct gle_metrics *m = run->metrics;
    struct gle_error missing = {0};
    size_t n;

    if (!m->confusion ||
        (run->exp->phases && gle_archive_restores(a) && gle_archive_length(&n, a, "confusion", &missing)))
        return 0;
    return gle_archive_u64(a, "confusion", m->confusion, m->n_classes * m->n_classes, err);
}

/* What has been measured so far. */
int gle_run_archive_metrics(struct gle_run *run, struct gle_archive *a, struct gle_error *err)
{
    const struct gle_experiment *exp = run->exp;
    struct gle_metrics *m = run->metrics;
    struct gle_epoch none;
    int rc;

    if (gle_archive_count(a, "n_epochs", &m->n_epochs, 0, exp->phases ? 0 : exp->epochs, err) ||
        gle_archive_count(a, "n_phases", &m->n_phases, 0, exp->phases ? exp->n_phases : 0, err) ||
        gle_archive_count(a, "best", &m->best, 0, m->n_epochs ? m->n_epochs - 1 : 0, err) ||
        gle_run_archive_split(a, "confusion_split", &m->confusion_split, GLE_TRAIN_AFTER, err) ||
        visit_sums(m, a, err) ||
        visit_matrix(run, a, err) || visit_traces(run, a, err) || visit_predictions(run, a, err) ||
        (m->best_weights && gle_archive_f32(a, "best_weights", m->best_weights, gle_graph_given(run->graph), err)))
        return -1;
    gle_archive_enter(a, "epochs");
    rc = (gle_archive_restores(a) && make_room(m, a, err)) ||
         gle_run_archive_epochs(run, a, m->n_epochs ? m->epochs : &none, m->n_epochs, err) ||
         (!exp->phases && visit_clipping(run, a, m->n_epochs ? &m->epochs->clipping : &none.clipping, m->n_epochs,
                                         sizeof none, err));
    gle_archive_leave(a);
    gle_archive_enter(a, "phases");
    rc = rc || visit_phases(run, a, m->phases, m->n_phases, err) ||
         (exp->phases && visit_clipping(run, a, &m->phases->clipping, m->n_phases, sizeof *m->phases, err));
    gle_archive_leave(a);
    if (!rc && gle_archive_restores(a))
        sum_clipping(m);
    gle_archive_enter(a, "evaluations");
    rc = rc || (exp->evaluate_steps && visit_evaluations(run, a, err));
    gle_archive_leave(a);
    gle_archive_enter(a, "diagnostics");
    rc = rc || visit_diagnostics(m, run->graph->n_parameters, a, err);
    gle_archive_leave(a);
    return rc ? -1 : 0;
}
