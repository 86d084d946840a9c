#include "cli/progress.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CELLS = 24, CELLS_NARROW = 10, WIDE = 120, USUAL_WIDTH = 80 };
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

static size_t add_score(char *buf, size_t size, size_t at, const char *name, double loss, double accuracy)
{
    int n;

    if (isnan(accuracy))
        n = snprintf(buf + at, size - at, "  %s %.4g", name, loss);
    else
        n = snprintf(buf + at, size - at, "  %s %.4f (%.1f %%)", name, loss, 100.0 * accuracy);
    return n > 0 && at + (size_t)n < size ? at + (size_t)n : at;
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

/* What a loss that is told of belongs to. */
static const char *shown_of(const struct gle_progress *p)
{
    return p->by_phases && p->split == GLE_TRAIN ? "loss" : gle_split_names[p->split];
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
    add_score(line, sizeof line, at, shown_of(p), p->loss, p->accuracy);
    fprintf(stderr, "%s\n", line);
}

/* Begins the line of a terminal: label, bar, percentage. */
static size_t draw_bar(char *line, size_t size, const struct gle_bar *bar, int width, double done)
{
    const int cells = width < WIDE ? CELLS_NARROW : CELLS, full = (int)(done * cells);
    size_t at = (size_t)snprintf(line, size, "%.40s [", bar->label);

    for (int i = 0; i < cells; i++)
        line[at++] = i < full ? '=' : i == full ? '>' : ' ';
    return at + (size_t)snprintf(line + at, size - at, "] %3.0f %%", 100.0 * done);
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

void gle_bar_reading(struct gle_bar *bar, size_t done, size_t total)
{
    char line[256];
    int width;
    size_t at;

    if (!bar->terminal && gle_clock() - bar->start > LINE_SECONDS && line_due(bar, false, false))
        fprintf(stderr, "%s  reading files  %zu/%zu\n", bar->label, done, total);
    if (!redraw_due(bar))
        return;
    width = terminal_width();
    at = draw_bar(line, sizeof line, bar, width, (double)done / (double)total);
    snprintf(line + at, sizeof line - at, "  reading file %zu of %zu", done, total);
    fprintf(stderr, "\r%.*s\033[K", width - 1, line);
}

/* "3 min 20 s", or "..." as long as nobody can tell. */
static void format_left(char *buf, size_t size, double elapsed, double done)
{
    if (elapsed > 0.5 && done > 0.0)
        gle_format_duration(buf, size, elapsed * (1.0 - done) / done);
    else
        snprintf(buf, size, "...");
}

void gle_bar_jobs(struct gle_bar *bar, const struct gle_jobs_progress *p)
{
    const bool redraw = redraw_due(bar);
    char line[256], left[32];
    int width;
    size_t at;

    if (!redraw && (gle_clock() - bar->start < LINE_SECONDS || !line_due(bar, false, false)))
        return;
    format_left(left, sizeof left, gle_clock() - bar->start, p->done);
    width = terminal_width();
    at = redraw ? draw_bar(line, sizeof line, bar, width, p->done)
                : (size_t)snprintf(line, sizeof line, "%.40s  %.0f %%", bar->label, 100.0 * p->done);
    at += (size_t)snprintf(line + at, sizeof line - at, "  %s left  %zu of %zu done, %zu running", left, p->n_done,
                           p->n, p->n_running);
    if (p->n_failed)
        at += (size_t)snprintf(line + at, sizeof line - at, ", %zu failed", p->n_failed);
    if (isfinite(p->loss))
        add_score(line, sizeof line, at, "mean", p->loss, p->accuracy);
    if (redraw)
        fprintf(stderr, "\r%.*s\033[K", width - 1, line);
    else
        fprintf(stderr, "%s\n", line);
}

void gle_bar_progress(struct gle_bar *bar, const struct gle_progress *p)
{
    const enum gle_split held_out = bar->newest[GLE_TEST].measured ? GLE_TEST : GLE_VALIDATION;
    const double elapsed = gle_clock() - bar->start;
    char line[256], eta[32];
    int width;
    size_t at;

    if (!bar->terminal)
        tell_life(bar, p);
    if (!redraw_due(bar))
        return;
    width = terminal_width();
    format_left(eta, sizeof eta, elapsed, p->done);
    at = draw_bar(line, sizeof line, bar, width, p->done);
    at += (size_t)snprintf(line + at, sizeof line - at, "  %s %llu/%llu  %s left", p->by_phases ? "phase" : "epoch",
                           (unsigned long long)p->stage, (unsigned long long)p->stages, eta);
    at = add_score(line, sizeof line, at, shown_of(p), p->loss, p->accuracy);
    if (p->split != held_out && bar->newest[held_out].measured)
        add_score(line, sizeof line, at, gle_split_names[held_out], bar->newest[held_out].loss,
                  bar->newest[held_out].accuracy);
    fprintf(stderr, "\r%.*s\033[K", width - 1, line);
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
    for (int s = 0; s < GLE_SPLITS; s++)
        if (e->score[s].measured)
            at = add_score(line, sizeof line, at, gle_split_names[s], e->score[s].loss, e->score[s].accuracy);
    fprintf(stderr, "%s\n", line);
}

static void phase_over(struct gle_bar *bar, const struct gle_metrics *m, size_t phases)
{
    const struct gle_phase_score *p = &m->phases[m->n_phases - 1];
    char line[256];

    if (!line_due(bar, m->n_phases == 1, m->n_phases == phases))
        return;
    add_score(line, sizeof line, begin_line(line, sizeof line, bar, "phase", m->n_phases, phases), "loss",
              p->last_loss, p->accuracy);
    fprintf(stderr, "%s\n", line);
}

void gle_bar_evaluated(struct gle_bar *bar, const struct gle_metrics *m, const struct gle_experiment *exp)
{
    const struct gle_evaluated *e = &m->evaluations[m->n_evaluations - 1];
    char line[256];
    size_t at;

    bar->newest[GLE_TEST] = (struct gle_score){.measured = true, .loss = e->loss, .accuracy = e->accuracy};
    if (!line_due(bar, m->n_evaluations == 1, e->step == exp->n_steps))
        return;
    at = begin_line(line, sizeof line, bar, "phase", m->n_phases + (m->n_phases < exp->n_phases), exp->n_phases);
    at += (size_t)snprintf(line + at, sizeof line - at, "  time %g", (double)e->step * exp->dt);
    add_score(line, sizeof line, at, gle_split_names[GLE_TEST], e->loss, e->accuracy);
    fprintf(stderr, "%s\n", line);
}

void gle_bar_stage(struct gle_bar *bar, const struct gle_metrics *m, const struct gle_experiment *exp)
{
    if (exp->phases)
        phase_over(bar, m, exp->n_phases);
    else
        epoch_over(bar, m, exp->epochs);
}
