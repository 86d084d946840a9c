/* Whether what a checkpoint restores can be a state of this run: numbers that depend on each other, or on the config.
 * What a single number may be is seen where it is read. */
#include "base/archive.h"
#include "train/run.h"

#include <math.h>
#include <stdio.h>

/* --- words --- */

static int wants(const struct gle_archive *a, const char *name, uint64_t found, uint64_t wanted, struct gle_error *err)
{
    if (found == wanted)
        return 0;
    return gle_archive_fail(a, name, err, "%llu, where %llu is wanted", (unsigned long long)found,
                            (unsigned long long)wanted);
}

static int wants_split(const struct gle_archive *a, const char *name, enum gle_split found, enum gle_split wanted,
                       struct gle_error *err)
{
    if (found == wanted)
        return 0;
    return gle_archive_fail(a, name, err, "%s, where %s is wanted", gle_split_names[found], gle_split_names[wanted]);
}

/* Entry i of an array; it is NaN where `known` is false. */
static int check_fraction(const struct gle_archive *a, const char *name, size_t i, double x, bool known,
                          struct gle_error *err)
{
    if (known ? x >= 0.0 && x <= 1.0 : isnan(x))
        return 0;
    return gle_archive_fail(a, name, err, "value %zu is %g, which is no %s", i, x,
                            known ? "fraction" : "NaN, where there is none");
}

static int check_seconds(const struct gle_archive *a, const char *name, size_t i, double x, struct gle_error *err)
{
    if (x >= 0.0 && isfinite(x))
        return 0;
    return gle_archive_fail(a, name, err, "value %zu is %g, which is no time", i, x);
}

static int check_loss(const struct gle_archive *a, const char *name, size_t i, double x, struct gle_error *err)
{
    return isnan(x) ? gle_archive_fail(a, name, err, "value %zu is NaN", i) : 0;
}

/* --- epochs --- */

/* The score of a split, entry i of its columns. */
static int check_score(const struct gle_run *run, const struct gle_archive *a, const char *columns, size_t i,
                       const struct gle_score *s, enum gle_split split, bool wanted, struct gle_error *err)
{
    char name[96];

    snprintf(name, sizeof name, "%s.%s.measured", columns, gle_split_names[split]);
    if (s->measured != wanted)
        return gle_archive_fail(a, name, err, "value %zu is %s, where %s is wanted", i, s->measured ? "true" : "false",
                                wanted ? "true" : "false");
    snprintf(name, sizeof name, "%s.%s.loss", columns, gle_split_names[split]);
    if (check_loss(a, name, i, s->loss, err))
        return -1;
    snprintf(name, sizeof name, "%s.%s.accuracy", columns, gle_split_names[split]);
    return check_fraction(a, name, i, s->accuracy, !s->measured || gle_run_labelled(run), err);
}

static int check_learning_rate(const struct gle_archive *a, const char *name, size_t i, double lr,
                               struct gle_error *err)
{
    static const double HIGHEST = 1e6; /* that a config can ask for */

    if (lr >= 0.0 && lr <= HIGHEST)
        return 0;
    return gle_archive_fail(a, name, err, "value %zu is %g, which is no learning rate", i, lr);
}

static int check_epochs(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    const struct gle_metrics *m = run->metrics;

    for (size_t i = 0; i < m->n_epochs; i++) {
        const struct gle_epoch *e = &m->epochs[i];
        if (e->epoch != i)
            return gle_archive_fail(a, "epochs.epoch", err, "value %zu is %llu", i, (unsigned long long)e->epoch);
        if (check_learning_rate(a, "epochs.lr", i, e->lr, err) ||
            check_seconds(a, "epochs.seconds", i, e->seconds, err))
            return -1;
        for (int s = 0; s < GLE_SPLITS; s++)
            if (check_score(run, a, "epochs", i, &e->score[s], (enum gle_split)s,
                            gle_run_has_pass(run, i, (enum gle_split)s), err))
                return -1;
        if (run->exp->train_after.row &&
            check_score(run, a, "epochs", i, &e->score[GLE_TRAIN_AFTER], GLE_TRAIN_AFTER, true, err))
            return -1;
    }
    return wants(a, "best", m->best, m->n_epochs ? gle_metrics_best(m, m->n_epochs) : 0, err);
}

/* Whether the run was stopped while the training set was measured after its pass. */
static bool stopped_after_training(const struct gle_run *run)
{
    const struct gle_score *score = run->scores.epoch.score;

    return run->exp->train_after.row && run->at.split == GLE_TRAIN && score[GLE_TRAIN].measured &&
           !score[GLE_TRAIN_AFTER].measured;
}

/* The epoch that is going on, or comes next: the splits before the present one are over. */
static int check_epoch(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    const struct gle_epoch *e = &run->scores.epoch;

    if (wants(a, "epoch.epoch", e->epoch, run->at.stage, err) || check_seconds(a, "epoch.seconds", 0, e->seconds, err))
        return -1;
    if (!(e->lr == run->schedule.lr)) /* NaN is no learning rate */
        return gle_archive_fail(a, "epoch.lr", err, "%g, where the schedule has %g", e->lr, run->schedule.lr);
    for (int s = 0; s < GLE_SPLITS; s++) {
        const enum gle_split split = (enum gle_split)s;
        const bool over = split < run->at.split || (split == run->at.split && stopped_after_training(run));
        if (check_score(run, a, "epoch", 0, &e->score[s], split, over && gle_run_has_pass(run, run->at.stage, split),
                        err))
            return -1;
    }
    return run->exp->train_after.row ? check_score(run, a, "epoch", 0, &e->score[GLE_TRAIN_AFTER], GLE_TRAIN_AFTER,
                                                   run->at.split > GLE_TRAIN, err)
                                     : 0;
}

/* --- the pass that is going on, and those that are planned --- */

/* Rows and steps of the batch that begins with sample `done` of the pass that is going on. */
static size_t batch_rows(const struct gle_run *run, size_t done)
{
    const size_t left = run->data->split[run->at.split].n - done, size = gle_run_batch_size(run, run->at.split);

    return left < size ? left : size;
}

static size_t batch_steps(const struct gle_run *run, size_t done)
{
    return gle_data_longest(run->data, run->at.split, run->reading.planned[0].rows + done, batch_rows(run, done));
}

/* Answers that were given in the pass that is going on. */
static size_t answered(const struct gle_run *run)
{
    const struct gle_pass_state *p = &run->pass;
    const struct gle_batch batch = {.n_steps = batch_steps(run, p->done)};

    return p->done * gle_data_answers(run->data) +
           (p->t ? batch_rows(run, p->done) * gle_run_answered(run, &batch, p->t) : 0);
}

/* A pass of which steps were made is planned: its samples are known. */
static int check_pass(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    const struct gle_pass_state *p = &run->pass;
    const size_t n = run->data->split[run->at.split].n, size = gle_run_batch_size(run, run->at.split);
    uint64_t steps = p->t;
    double shown;

    if (!p->steps && !p->done && !p->t)
        return p->right.first || p->shown != 0.0
                   ? gle_archive_fail(a, "pass.steps", err, "0, where samples were shown")
                   : 0;
    if (!gle_run_has_pass(run, run->at.stage, run->at.split))
        return gle_archive_fail(a, "pass.steps", err, "%llu, where there is no such pass",
                                (unsigned long long)p->steps);
    if (p->done >= n || p->done % size)
        return gle_archive_fail(a, "pass.done", err, "%zu, where batches of %zu samples make up %zu", p->done, size, n);
    if (p->t > batch_steps(run, p->done))
        return gle_archive_fail(a, "pass.t", err, "%zu of %zu steps", p->t, batch_steps(run, p->done));
    if (p->right.first > answered(run))
        return gle_archive_fail(a, "pass.right", err, "%zu of %zu answers", p->right.first, answered(run));
    shown = (double)p->t * (double)batch_rows(run, p->done);
    for (size_t done = 0; done < p->done; done += size) {
        steps += batch_steps(run, done);
        shown += (double)batch_steps(run, done) * (double)size;
    }
    if (p->shown != shown)
        return gle_archive_fail(a, "pass.shown", err, "%g, where %g is wanted", p->shown, shown);
    return wants(a, "pass.steps", p->steps, steps, err);
}

static int check_pass_id(const struct gle_archive *a, const char *epoch_name, const char *split_name,
                         struct gle_pass_id found, struct gle_pass_id wanted, struct gle_error *err)
{
    return wants(a, epoch_name, found.epoch, wanted.epoch, err) ||
                   wants_split(a, split_name, found.split, wanted.split, err)
               ? -1
               : 0;
}

/* The pass that is going on, or comes next, is planned, and the one after it, too, once a step has been made. */
static int check_plans(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    static const char *const names[GLE_FEED_PASSES][2] = {{"now.epoch", "now.split"}, {"next.epoch", "next.split"}};
    const struct gle_reading *reading = &run->reading;
    const bool over = stopped_after_training(run);
    struct gle_pass_id at = {.epoch = run->at.stage, .split = run->at.split}, last = {.epoch = over ? at.epoch : 0};
    bool there = (!over && gle_run_has_pass(run, at.epoch, at.split)) || gle_run_next_pass(run, &at);
    size_t possible = 0, needed;

    for (; there && possible < GLE_FEED_PASSES; possible++) {
        if (possible < reading->n_planned) {
            if (check_pass_id(a, names[possible][0], names[possible][1], reading->planned[possible].of, at, err))
                return -1;
            last = at;
        }
        there = gle_run_next_pass(run, &at);
    }
    needed = run->pass.steps || possible < 1 ? possible : 1;
    if (reading->n_planned < needed || reading->n_planned > possible)
        return gle_archive_fail(a, "n_planned", err, "%zu passes, where %zu to %zu are possible", reading->n_planned,
                                needed, possible);
    return check_pass_id(a, "ahead_epoch", "ahead_split", reading->ahead, last, err);
}

/* Counts of `low` to `high` samples in all. */
static int check_counts(const struct gle_archive *a, const char *name, const uint64_t *counts, size_t n_classes,
                        uint64_t low, uint64_t high, struct gle_error *err)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n_classes * n_classes; i++) {
        if (counts[i] > high)
            return gle_archive_fail(a, name, err, "value %zu is %llu, of %llu samples", i,
                                    (unsigned long long)counts[i], (unsigned long long)high);
        sum += counts[i];
    }
    if (sum < low || sum > high)
        return gle_archive_fail(a, name, err, "%llu samples, where there were %llu", (unsigned long long)sum,
                                (unsigned long long)high);
    return 0;
}

/* Matrices of the last epoch, and of the pass that is going on or was the last one over its split. */
static int check_confusion(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    const struct gle_metrics *m = run->metrics;
    const enum gle_split split = run->scores.confusion_split, before = m->confusion_split;
    const size_t answers = gle_data_answers(run->data);
    const uint64_t n = gle_metrics_samples(run->exp, run->data, split) * answers;
    const uint64_t old = gle_metrics_samples(run->exp, run->data, before) * answers;
    const bool measured = m->n_epochs && m->epochs[m->n_epochs - 1].score[before].measured;
    const bool over = run->scores.epoch.score[split].measured, going_on = run->pass.steps && run->at.split == split;
    const uint64_t low = over ? n : going_on ? answered(run) : 0, high = over ? n : going_on ? low : old;

    if (wants_split(a, "confusion_split", before,
                    m->n_epochs ? gle_run_confusion_split(run, m->n_epochs - 1) : m->best_split, err) ||
        wants_split(a, "pass_confusion_split", split, gle_run_confusion_split(run, run->at.stage), err))
        return -1;
    if (!run->scores.confusion)
        return 0;
    return check_counts(a, "confusion", m->confusion, m->n_classes, measured ? old : 0, measured ? old : 0, err) ||
                   check_counts(a, "pass_confusion", run->scores.confusion, m->n_classes, low, high, err)
               ? -1
               : 0;
}

/* Where early stopping has made an epoch the last one, none comes behind it. */
static int check_last(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    const uint64_t last = run->metrics->last_epoch;

    if (run->at.stage > last)
        return gle_archive_fail(a, "stage", err, "%llu, where training stops early after epoch %llu",
                                (unsigned long long)run->at.stage, (unsigned long long)last);
    if (run->spent.work > run->spent.total_work)
        return gle_archive_fail(a, "work", err, "%g, where a run to epoch %llu has %g", run->spent.work,
                                (unsigned long long)last, run->spent.total_work);
    return 0;
}

static int check_by_epochs(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    return wants(a, "n_epochs", run->metrics->n_epochs, run->at.stage, err) || check_last(run, a, err) ||
                   check_epochs(run, a, err) || check_epoch(run, a, err) || check_plans(run, a, err) ||
                   check_pass(run, a, err) || check_confusion(run, a, err)
               ? -1
               : 0;
}

/* --- phases --- */

/* A mean over steps of a phase, from step `from` of the run to step `to`: NaN if none of them had a target. */
static int check_mean(const struct gle_run *run, const struct gle_archive *a, const char *name, size_t i, double x,
                      uint64_t from, uint64_t to, struct gle_error *err)
{
    if (gle_run_count_asked(run, from, to) > 0.0)
        return check_loss(a, name, i, x, err);
    return isnan(x) ? 0 : gle_archive_fail(a, name, err, "value %zu is %g, where no step had a target", i, x);
}

/* Of phase i, which began with step `begun` of the run. */
static int check_phase_score(const struct gle_run *run, const struct gle_archive *a, size_t i, uint64_t begun,
                             struct gle_error *err)
{
    const struct gle_phase_score *p = &run->metrics->phases[i];
    const uint64_t steps = run->exp->phases[i].n_steps, end = begun + steps;
    const uint64_t last = steps < GLE_LAST_STEPS ? steps : GLE_LAST_STEPS;

    if (p->steps != steps)
        return gle_archive_fail(a, "phases.steps", err, "value %zu is %llu, where %llu is wanted", i,
                                (unsigned long long)p->steps, (unsigned long long)steps);
    if (p->last_steps != last)
        return gle_archive_fail(a, "phases.last_steps", err, "value %zu is %llu, where %llu is wanted", i,
                                (unsigned long long)p->last_steps, (unsigned long long)last);
    return check_seconds(a, "phases.seconds", i, p->seconds, err) ||
                   check_mean(run, a, "phases.loss", i, p->loss, begun, end, err) ||
                   check_mean(run, a, "phases.last_loss", i, p->last_loss, end - last, end, err) ||
                   check_fraction(a, "phases.accuracy", i, p->accuracy,
                                  gle_run_labelled(run) && !isnan(p->accuracy), err)
               ? -1
               : 0;
}

/* Samples that have been played from step `from` to step `to` of the run. */
static uint64_t played(const struct gle_run *run, uint64_t from, uint64_t to)
{
    const uint64_t T = run->data->n_steps;

    return T ? (to / T - from / T) * run->graph->max_batch : 0;
}

/* The matrix of the last evaluation, if it is there. */
static int check_evaluated(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    const struct gle_metrics *m = run->metrics;
    const bool there = gle_metrics_has_matrix(m);
    const uint64_t n = there ? run->data->split[GLE_TEST].n * gle_data_answers(run->data) : 0;

    if (wants_split(a, "confusion_split", m->confusion_split, there ? GLE_TEST : m->best_split, err))
        return -1;
    return m->confusion ? check_counts(a, "confusion", m->confusion, m->n_classes, n, n, err) : 0;
}

static int check_by_phases(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    const struct gle_experiment *exp = run->exp;
    const struct gle_phase_state *phase = &run->phase;
    uint64_t begun = 0, answers;

    if (wants(a, "n_phases", run->metrics->n_phases, run->at.stage - 1, err))
        return -1;
    for (size_t i = 0; i + 1 < run->at.stage; i++) {
        if (check_phase_score(run, a, i, begun, err))
            return -1;
        begun += exp->phases[i].n_steps;
    }
    if (wants(a, "step", run->at.step, begun + phase->t, err) ||
        (phase->kept && wants(a, "phase.played", phase->played, played(run, begun, run->at.step), err)))
        return -1;
    answers = phase->kept ? gle_run_count_answers(run, begun, run->at.step) : 0;
    if (phase->right.first > answers)
        return gle_archive_fail(a, "phase.right", err, "%zu of %llu answers", phase->right.first,
                                (unsigned long long)answers);
    return check_evaluated(run, a, err);
}

/* --- all of it --- */

static bool learns(const struct gle_run *run)
{
    return run->exp->phases ? run->exp->phases[run->at.stage - 1].learn : run->at.split == GLE_TRAIN;
}

/* Steps of the pass, or phase, that is going on: they are counted in the metrics once it is over. */
static uint64_t steps_of_stage(const struct gle_run *run)
{
    return run->exp->phases ? run->phase.t : run->pass.steps;
}

/* Learning steps so far. */
static uint64_t learned(const struct gle_run *run)
{
    return run->metrics->train_steps + (learns(run) ? steps_of_stage(run) : 0);
}

/* Steps of evaluations on a copy of the network, which stand beside those of the run. */
static uint64_t evaluated(const struct gle_run *run)
{
    const uint64_t n_after = run->metrics->n_epochs + run->scores.epoch.score[GLE_TRAIN_AFTER].measured;

    if (run->exp->phases)
        return run->metrics->n_evaluations * gle_evaluation_steps_each(run, GLE_TEST);
    return run->exp->train_after.row ? n_after * gle_evaluation_steps_each(run, GLE_TRAIN_AFTER) : 0;
}

static int check_sums(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    const struct gle_metrics *m = run->metrics;
    const uint64_t step = run->at.step, now = steps_of_stage(run), aside = evaluated(run);
    const double shown = (double)m->n_evaluations * (double)run->data->n_steps * (double)run->data->split[GLE_TEST].n;

    if (m->train_steps > step || m->eval_steps < aside || m->eval_steps - aside > step || now > step ||
        m->train_steps + (m->eval_steps - aside) + now != step)
        return gle_archive_fail(a, "step", err, "%llu, where %llu learning and %llu other ones are over, and %llu of "
                                                "those of now",
                                (unsigned long long)step, (unsigned long long)m->train_steps,
                                (unsigned long long)(m->eval_steps - aside), (unsigned long long)now);
    if (run->exp->phases && run->spent.work != (double)step * (double)run->graph->max_batch + shown)
        return gle_archive_fail(a, "work", err, "%g, where %llu steps are over", run->spent.work,
                                (unsigned long long)step);
    for (size_t i = 0; i < m->n_diagnostics; i++)
        if (m->diagnostics[i].step >= step || (i && m->diagnostics[i].step <= m->diagnostics[i - 1].step))
            return gle_archive_fail(a, "diagnostics.step", err, "value %zu is %llu, out of order", i,
                                    (unsigned long long)m->diagnostics[i].step);
    if (run->schedule.bad > run->at.stage)
        return gle_archive_fail(a, "bad_epochs", err, "%llu of %llu epochs", (unsigned long long)run->schedule.bad,
                                (unsigned long long)run->at.stage);
    return check_learning_rate(a, "lr", 0, run->schedule.lr, err);
}

/* Whether the window that is open, and began with step `taped` ago, ends before the tape does: by phases. */
static bool fits_tape(const struct gle_run *run, uint64_t taped)
{
    const uint64_t n = run->exp->phases[run->at.stage - 1].n_steps;
    uint64_t step = run->at.step;

    if (taped > run->phase.t)
        return false;
    for (uint64_t t = run->phase.t; t < n; t++) {
        if (++taped > run->graph->tape_steps)
            return false;
        if (gle_run_window_ends(run, step++, t))
            break;
    }
    return true;
}

static int check_window(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    const bool by_phases = run->exp->phases != NULL;
    const uint64_t length = run->exp->window_steps, step = run->at.step, first = run->at.window.first;
    bool possible = length > 0;

    if (first > step || (run->at.window.open && first == step))
        return gle_archive_fail(a, "window_first", err, "%llu, where step %llu comes next", (unsigned long long)first,
                                (unsigned long long)step);
    if (!run->at.window.open)
        return 0;
    if (possible && by_phases)
        possible = run->phase.kept && gle_run_has_windows(run);
    else if (possible)
        possible = learns(run) && run->pass.t % length && run->pass.t < batch_steps(run, run->pass.done);
    if (!possible)
        return gle_archive_fail(a, "in_window", err, "true, where no window can be open");
    if (!by_phases)
        return wants(a, "window_first", first, step - run->pass.t % length, err);
    return fits_tape(run, step - first) ? 0
                                        : gle_archive_fail(a, "window_first", err, "%llu, which is too long ago",
                                                           (unsigned long long)first);
}

int gle_run_check_place(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    if (run->exp->phases ? check_by_phases(run, a, err) : check_by_epochs(run, a, err))
        return -1;
    return check_sums(run, a, err) || check_window(run, a, err) ? -1 : 0;
}

/* --- networks --- */

/* Whether the steps of an open window, the last ones of the run, have targets where the data have. */
static int check_targets(const struct gle_run *run, const struct gle_archive *a, const char *name,
                         struct gle_net_place net, struct gle_error *err)
{
    const size_t T = run->data->n_steps;

    for (size_t i = 0; net.taping && i < net.taped; i++) {
        const uint64_t ago = net.taped - i;
        const uint64_t t = run->exp->phases ? T ? (run->at.step - ago) % T : 0 : run->pass.t - ago;
        const bool wanted = !gle_run_asks_at(run, (size_t)t);
        if (net.unasked[i] != wanted)
            return gle_archive_fail(a, name, err, "value %zu is %s, where %s is wanted", i, wanted ? "false" : "true",
                                    wanted ? "true" : "false");
    }
    return 0;
}

/* Optimizer steps of a rule without windows, one for every `every` learning steps: *gathered are left. A phase begins
 * anew to count; epochs do not. */
static uint64_t updates_in(const struct gle_run *run, uint64_t *gathered)
{
    const uint64_t every = run->exp->update_every, steps = run->exp->phases ? run->phase.t : learned(run);
    const bool now = !run->exp->phases || learns(run);
    uint64_t updates = now ? steps / every : 0;

    for (size_t i = 0; run->exp->phases && i + 1 < run->at.stage; i++)
        updates += run->exp->phases[i].learn ? run->exp->phases[i].n_steps / every : 0;
    *gathered = now ? steps % every : 0;
    return updates;
}

/* What stages have clipped, against what the net has in all. */
static int check_clipping(const struct gle_run *run, const struct gle_archive *a, struct gle_net_place net,
                          struct gle_error *err)
{
    const struct gle_metrics *m = run->metrics;
    const char *const name = run->exp->phases ? "phases.clipped" : "epochs.clipped";
    const uint64_t clipped = gle_net_get_clipped(run->net);

    if (!(run->exp->clip > 0.0))
        return 0;
    for (size_t i = 0; i < (run->exp->phases ? m->n_phases : m->n_epochs); i++) {
        const struct gle_clipping *c = run->exp->phases ? &m->phases[i].clipping : &m->epochs[i].clipping;
        if (c->clipped > c->steps || c->steps > net.updates)
            return gle_archive_fail(a, name, err, "value %zu is %llu of %llu optimizer steps", i,
                                    (unsigned long long)c->clipped, (unsigned long long)c->steps);
    }
    if (m->clipping.steps > net.updates || m->clipping.clipped > clipped ||
        clipped - m->clipping.clipped > net.updates - m->clipping.steps)
        return gle_archive_fail(a, name, err, "%llu of %llu optimizer steps, where the network has %llu of %llu",
                                (unsigned long long)m->clipping.clipped, (unsigned long long)m->clipping.steps,
                                (unsigned long long)clipped, (unsigned long long)net.updates);
    return 0;
}

static int check_updates(const struct gle_run *run, const struct gle_archive *a, struct gle_net_place net,
                         struct gle_error *err)
{
    uint64_t gathered, updates;

    if (run->exp->window_steps)
        return 0;
    updates = updates_in(run, &gathered);
    return wants(a, "net.updates", net.updates, updates, err) || wants(a, "net.gathered", net.gathered, gathered, err)
               ? -1
               : 0;
}

static int check_net(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    const struct gle_net_place net = gle_net_get_place(run->net);
    const uint64_t steps = learned(run);

    if (wants(a, "net.steps", net.steps, run->at.step, err) ||
        (run->exp->phases && wants(a, "net.batch", net.B, run->graph->max_batch, err)) ||
        (!run->exp->phases && run->pass.t && wants(a, "net.batch", net.B, batch_rows(run, run->pass.done), err)) ||
        check_updates(run, a, net, err) || check_clipping(run, a, net, err))
        return -1;
    if (net.updates > steps)
        return gle_archive_fail(a, "net.updates", err, "%llu in %llu learning steps", (unsigned long long)net.updates,
                                (unsigned long long)steps);
    if (net.taping != run->at.window.open)
        return gle_archive_fail(a, "net.taping", err, "%s, where a window is %s", net.taping ? "true" : "false",
                                run->at.window.open ? "open" : "not open");
    if (net.taping && wants(a, "net.taped", net.taped, run->at.step - run->at.window.first, err))
        return -1;
    return check_targets(run, a, "net.tape_unasked", net, err);
}

/* A net that goes along with the run's. */
static int check_companion(const struct gle_run *run, const struct gle_archive *a, const struct gle_net *other,
                           struct gle_error *err)
{
    const struct gle_net_place net = gle_net_get_place(run->net), place = gle_net_get_place(other);

    return wants(a, "teacher.steps", place.steps, run->at.step, err) ||
                   wants(a, "teacher.batch", place.B, net.B, err) ||
                   wants(a, "teacher.updates", place.updates, 0, err)
               ? -1
               : 0;
}

int gle_run_check_nets(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err)
{
    if (check_net(run, a, err) || (run->teacher && check_companion(run, a, run->teacher, err)))
        return -1;
    if (!run->diagnosis)
        return 0;
    return gle_diagnosis_check(run->diagnosis, a, run->at.step, learned(run), gle_net_get_place(run->net).B, err) ||
                   check_targets(run, a, "diagnosis.shadow.tape_unasked", gle_diagnosis_get_place(run->diagnosis), err)
               ? -1
               : 0;
}
