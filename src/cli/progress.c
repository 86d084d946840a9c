#include "cli/progress.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CELLS = 24, BRACKETS = 3, LABEL_LEAST = 8, USUAL_WIDTH = 80, LINE_MAX = 256, ADDED_MAX = 128 };
static const double BAR_SECONDS = 0.1, LINE_SECONDS = 10.0, EPOCH_SECONDS = 60.0;

void gle_format_duration(char *buf, size_t size, double seconds)
{
    const long s = lround(seconds);

    if (seconds < 1e-3)
        snprintf(buf, size, "%.3g us", 1e6 * seconds);
    else if (seconds < 0.1)
        snprintf(buf, size, "%.3g ms", 1e3 * seconds);
    else if (seconds < 1.0)
        snprintf(buf, size, "%.2f s", seconds);
    else if (s < 60)
        snprintf(buf, size, "%.1f s", seconds);
    else if (s < 3600)
        snprintf(buf, size, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(buf, size, "%ld h %02ld min", s / 3600, s / 60 % 60);
}

void gle_bar_start(struct gle_bar *bar, const struct gle_experiment *exp, bool quiet)
{
    *bar = (struct gle_bar){.quiet = quiet, .terminal = isatty(STDERR_FILENO), .start = gle_clock()};
    snprintf(bar->label, sizeof bar->label, "%s%s%s seed %llu", exp->name, exp->variant ? " " : "",
             exp->variant ? exp->variant : "", (unsigned long long)exp->seed);
}

void gle_bar_clear(const struct gle_bar *bar)
{
    if (bar->terminal && !bar->quiet)
        fputs("\r\033[K", stderr);
}

/* With the accuracy, or NRMSE, where there is one. */
static size_t add_score(char *buf, size_t size, size_t at, const char *name, double loss, double accuracy,
                        double nrmse)
{
    int n;

    if (isnan(loss)) /* no step had a target */
        return at;
    if (isnan(accuracy) && !isnan(nrmse))
        n = snprintf(buf + at, size - at, "  %s %.4g (NRMSE %.3g)", name, loss, nrmse);
    else if (isnan(accuracy))
        n = snprintf(buf + at, size - at, "  %s %.4g", name, loss);
    else
        n = snprintf(buf + at, size - at, "  %s %.4f (%.1f %%)", name, loss, 100.0 * accuracy);
    return n > 0 && at + (size_t)n < size ? at + (size_t)n : at;
}

/* The order in which scores of an epoch are shown. */
static const enum gle_split shown_in_order[GLE_SCORES] = {GLE_TRAIN, GLE_TRAIN_AFTER, GLE_VALIDATION, GLE_TEST};

/* Whose score it is. By duration the samples of the training set are played; a signal has none. */
static const char *name_of(const struct gle_progress *p)
{
    return p->by_phases && p->split == GLE_TRAIN && isnan(p->accuracy) ? "loss" : gle_split_names[p->split];
}

/* What is shown of a split. */
struct shown {
    const char *name;
    double loss, accuracy, nrmse;
};

/* brief: accuracy alone, where there are labels; else the loss alone. */
static size_t add_shown(char *buf, size_t size, size_t at, const struct shown *s, size_t n, bool brief)
{
    for (size_t i = 0; i < n; i++) {
        if (brief && !isnan(s[i].accuracy))
            at += (size_t)snprintf(buf + at, size - at, "  %s %.1f %%", s[i].name, 100.0 * s[i].accuracy);
        else
            at = add_score(buf, size, at, s[i].name, s[i].loss, s[i].accuracy,
                           brief ? (double)NAN : s[i].nrmse);
    }
    return at;
}

/* Columns of the terminal: a longer line would wrap, and could not be overwritten. */
static int terminal_width(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col ? USUAL_WIDTH : size.ws_col;
}

/* Whether a line is due after a stage: the first, the last, and one now and then. */
static bool line_due(struct gle_bar *bar, bool first, bool last)
{
    const double t = gle_clock();

    if (bar->quiet || bar->terminal || (!first && !last && t - bar->last < LINE_SECONDS))
        return false;
    bar->last = t;
    return true;
}

static size_t begin_line(char *buf, size_t size, const struct gle_bar *bar, const char *stage, uint64_t i, uint64_t n)
{
    char spent[32];

    gle_format_duration(spent, sizeof spent, bar->last - bar->start);
    return (size_t)snprintf(buf, size, "%s  %s %llu/%llu  %s", bar->label, stage, (unsigned long long)i,
                            (unsigned long long)n, spent);
}

/* A phase, or an epoch, may last for hours, and has no other sign of life where there is no terminal. */
static void tell_life(struct gle_bar *bar, const struct gle_progress *p)
{
    const double t = gle_clock(), seconds = p->by_phases ? LINE_SECONDS : EPOCH_SECONDS;
    char line[256];
    size_t at;

    if (t - bar->start < seconds || t - bar->last < seconds || !line_due(bar, false, false))
        return;
    at = begin_line(line, sizeof line, bar, p->by_phases ? "phase" : "epoch", p->stage, p->stages);
    at += (size_t)snprintf(line + at, sizeof line - at, "  %.*f %%", p->by_phases ? 0 : 2, 100.0 * p->done);
    add_score(line, sizeof line, at, name_of(p), p->loss, p->accuracy, p->nrmse);
    fprintf(stderr, "%s\n", line);
}

/* Writes over the terminal's line: label, bar, percentage, what follows it (shorter than ADDED_MAX), n scores. Where
 * there is little room, scores, bar and label become shorter: the last score stays as long as anything can. */
static void redraw(const struct gle_bar *bar, double done, const char *after, const struct shown *scores, size_t n)
{
    /* how few cells of the bar are worth a form of the scores that takes more room */
    static const int least[] = {10, 4, 0};
    const size_t last = n ? n - 1 : 0;
    const int width = terminal_width() - 1;
    char line[LINE_MAX], tail[ADDED_MAX];
    int cells = 0, full, name = 40; /* characters of the label */
    size_t at;

    for (int form = 0; form < 3; form++) {
        tail[0] = '\0';
        add_shown(tail, sizeof tail, 0, form < 2 ? scores : scores + last, form < 2 ? n : n - last, form > 0);
        cells = width - snprintf(line, sizeof line, "%.*s [] %3.0f %%%s%s", name, bar->label, 100.0 * done, after,
                                 tail);
        if (cells >= least[form])
            break;
    }
    if (cells + BRACKETS < 0) {
        name = (int)strnlen(bar->label, (size_t)name) + cells + BRACKETS;
        name = name > LABEL_LEAST ? name : LABEL_LEAST;
    }
    cells = cells < CELLS ? cells : CELLS;
    full = (int)(done * cells);
    at = (size_t)snprintf(line, sizeof line, "%.*s", name, bar->label);
    if (cells >= least[1]) {
        at += (size_t)snprintf(line + at, sizeof line - at, " [");
        for (int i = 0; i < cells; i++)
            line[at++] = i < full ? '=' : i == full ? '>' : ' ';
        line[at++] = ']';
    }
    snprintf(line + at, sizeof line - at, " %3.0f %%%s%s", 100.0 * done, after, tail);
    fprintf(stderr, "\r%.*s\033[K", width, line);
}

/* Whether the terminal's line is due. */
static bool redraw_due(struct gle_bar *bar)
{
    const double t = gle_clock();

    if (bar->quiet || !bar->terminal || t - bar->last < BAR_SECONDS)
        return false;
    bar->last = t;
    return true;
}

void gle_bar_making(struct gle_bar *bar, const char *what, size_t done, size_t total)
{
    char after[ADDED_MAX];

    if (!bar->terminal && gle_clock() - bar->start > LINE_SECONDS && line_due(bar, false, false))
        fprintf(stderr, "%s  %s  %zu/%zu\n", bar->label, what, done, total);
    if (!redraw_due(bar))
        return;
    snprintf(after, sizeof after, "  %s  %zu/%zu", what, done, total);
    redraw(bar, total ? (double)done / (double)total : 1.0, after, NULL, 0);
}

/* "3 min 20 s", or "..." as long as nobody can tell. made: the fraction of the work that was done in `elapsed`. */
static void format_left(char *buf, size_t size, double elapsed, double done, double made)
{
    if (elapsed > 0.5 && made > 0.0)
        gle_format_duration(buf, size, elapsed * (1.0 - done) / made);
    else
        snprintf(buf, size, "...");
}

void gle_bar_jobs(struct gle_bar *bar, const struct gle_jobs_progress *p)
{
    static const char *const names[GLE_SPLITS] = {"mean train", "mean validation", "mean test"};
    const int held_out = p->score[GLE_TEST].measured ? GLE_TEST : GLE_VALIDATION;
    const bool redraws = redraw_due(bar);
    char after[ADDED_MAX], line[LINE_MAX], left[32];
    struct shown scores[2];
    size_t n = 0, at;

    if (!redraws && (gle_clock() - bar->start < LINE_SECONDS || !line_due(bar, false, false)))
        return;
    for (int s = GLE_TRAIN; s < GLE_SPLITS; s++)
        if (p->score[s].measured && (s == GLE_TRAIN || s == held_out))
            scores[n++] = (struct shown){s == GLE_TRAIN && p->by_phases ? "mean loss" : names[s], p->score[s].loss,
                                         p->score[s].accuracy, p->score[s].nrmse};
    format_left(left, sizeof left, gle_clock() - bar->start, p->done, p->made);
    at = (size_t)snprintf(after, sizeof after, "  %s left  %zu of %zu done, %zu running", left, p->n_done, p->n,
                          p->n_running);
    if (p->n_failed)
        snprintf(after + at, sizeof after - at, ", %zu failed", p->n_failed);
    if (redraws) {
        redraw(bar, p->done, after, scores, n);
        return;
    }
    at = (size_t)snprintf(line, sizeof line, "%.40s  %.0f %%%s", bar->label, 100.0 * p->done, after);
    add_shown(line, sizeof line, at, scores, n, false);
    fprintf(stderr, "%s\n", line);
}

void gle_bar_progress(struct gle_bar *bar, const struct gle_progress *p)
{
    const enum gle_split held_out = bar->newest[GLE_TEST].measured ? GLE_TEST : GLE_VALIDATION;
    const struct gle_score *newest = &bar->newest[held_out];
    struct shown scores[2] = {{name_of(p), p->loss, p->accuracy, p->nrmse}};
    char after[ADDED_MAX], left[32];
    size_t n = 1;

    if (bar->begun_at <= 0.0) {
        bar->begun = p->done;
        bar->begun_at = gle_clock();
    }
    if (!bar->terminal)
        tell_life(bar, p);
    if (!redraw_due(bar))
        return;
    format_left(left, sizeof left, gle_clock() - bar->begun_at, p->done, p->done - bar->begun);
    snprintf(after, sizeof after, "  %s %llu/%llu  %s left", p->by_phases ? "phase" : "epoch",
             (unsigned long long)p->stage, (unsigned long long)p->stages, left);
    if (p->split != held_out && newest->measured)
        scores[n++] = (struct shown){gle_split_names[held_out], newest->loss, newest->accuracy, newest->nrmse};
    redraw(bar, p->done, after, scores, n);
}

static void epoch_over(struct gle_bar *bar, const struct gle_metrics *m, uint64_t epochs)
{
    const struct gle_epoch *e = &m->epochs[m->n_epochs - 1];
    char line[256];
    size_t at;

    memcpy(bar->newest, e->score, sizeof bar->newest);
    if (!line_due(bar, !e->epoch, e->epoch == epochs))
        return;
    at = begin_line(line, sizeof line, bar, "epoch", e->epoch, epochs);
    for (size_t i = 0; i < GLE_SCORES; i++) {
        const enum gle_split s = shown_in_order[i];
        if (e->score[s].measured)
            at = add_score(line, sizeof line, at, gle_split_names[s], e->score[s].loss, e->score[s].accuracy,
                           e->score[s].nrmse);
    }
    fprintf(stderr, "%s\n", line);
}

static void phase_over(struct gle_bar *bar, const struct gle_metrics *m, size_t phases)
{
    const struct gle_phase_score *p = &m->phases[m->n_phases - 1];
    char line[256];

    if (!line_due(bar, m->n_phases == 1, m->n_phases == phases))
        return;
    add_score(line, sizeof line, begin_line(line, sizeof line, bar, "phase", m->n_phases, phases),
              isnan(p->accuracy) ? "loss" : gle_split_names[GLE_TRAIN], p->last_loss, p->accuracy,
              (double)NAN);
    fprintf(stderr, "%s\n", line);
}

void gle_bar_evaluated(struct gle_bar *bar, const struct gle_metrics *m, const struct gle_experiment *exp)
{
    const struct gle_evaluated *e = &m->evaluations[m->n_evaluations - 1];
    char line[256];
    size_t at;

    bar->newest[GLE_TEST] = (struct gle_score){.measured = true, .loss = e->loss, .accuracy = e->accuracy,
                                            .nrmse = e->nrmse};
    if (!line_due(bar, m->n_evaluations == 1, e->step == exp->n_steps))
        return;
    at = begin_line(line, sizeof line, bar, "phase", m->n_phases + (m->n_phases < exp->n_phases), exp->n_phases);
    at += (size_t)snprintf(line + at, sizeof line - at, "  time %g", (double)e->step * exp->dt);
    add_score(line, sizeof line, at, gle_split_names[GLE_TEST], e->loss, e->accuracy, e->nrmse);
    fprintf(stderr, "%s\n", line);
}

void gle_bar_stage(struct gle_bar *bar, const struct gle_metrics *m, const struct gle_experiment *exp)
{
    if (exp->phases)
        phase_over(bar, m, exp->n_phases);
    else
        epoch_over(bar, m, m->last_epoch);
}
