/* progress.h - what a run shows while it goes on: a bar on a terminal, a line now and then elsewhere. */
#ifndef GLE_CLI_PROGRESS_H
#define GLE_CLI_PROGRESS_H

#include "train/train.h"

#include <stdbool.h>

struct gle_bar {
    bool quiet, terminal;
    char label[128]; /* "mnist1d_e2e seed 12" */
    double start, last; /* seconds */
    double begun;       /* the fraction of the work that was done when work began, */
    double begun_at;    /* at this time; 0: it has not */
    struct gle_score newest[GLE_SCORES];
};

/* Looks whether standard error is a terminal. */
void gle_bar_start(struct gle_bar *bar, const struct gle_experiment *exp, bool quiet);
/* While the data set's files are read, or its samples made: `what`. */
void gle_bar_making(struct gle_bar *bar, const char *what, size_t done, size_t total);
/* For struct gle_observer's hooks. */
void gle_bar_progress(struct gle_bar *bar, const struct gle_progress *p);
void gle_bar_stage(struct gle_bar *bar, const struct gle_metrics *m, const struct gle_experiment *exp);
void gle_bar_evaluated(struct gle_bar *bar, const struct gle_metrics *m, const struct gle_experiment *exp);
/* Many runs side by side. */
struct gle_jobs_progress {
    size_t n, n_done, n_failed, n_running; /* runs; those that failed are done, too */
    double done, made; /* fraction of all work; and what of it this command has done, by which time is counted */
    bool by_phases;
    struct gle_score score[GLE_SCORES]; /* what those running have now, on average; accuracy NaN: no labels */
};
void gle_bar_jobs(struct gle_bar *bar, const struct gle_jobs_progress *p);
/* Removes the bar, so that a line can be written. */
void gle_bar_clear(const struct gle_bar *bar);
/* "1 h 02 min", "3 min 20 s", "12.3 s", "4.5 ms", "108 us" */
void gle_format_duration(char *buf, size_t size, double seconds);

#endif
