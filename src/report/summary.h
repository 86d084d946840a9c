/* summary.h - what the runs of several seeds, or of a sweep, come to, from the metrics.json of each. */
#ifndef GLE_REPORT_SUMMARY_H
#define GLE_REPORT_SUMMARY_H

#include "config/experiment.h"

/* One of the runs. */
struct gle_seed_run {
    const struct gle_experiment *exp;
    char dir[4096];   /* of the run */
    int code;         /* exit code; -1: it was not begun */
    char message[512]; /* why it failed; "" */
};

/* Writes `dir`/summary.json, whole or not at all. Of the runs that are completed, everything that metrics.json has
 * under epochs or phases, final, best, parameters and timing becomes one: a number {mean, std, min, max, n}, std being
 * that of the population (over n), as the published ones are; a whole number or a word that is the same in all stays
 * what it is.
 * Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_summary_write(const char *dir, const struct gle_seed_run *runs, size_t n, struct gle_error *err);
/* The same of the points of a sweep, n seeds each, one after the other in `runs` (n_points * n): a list "points" that
 * has the values of the keys, how the runs ended, final and best of each. */
GLE_MUST_CHECK int gle_summary_write_sweep(const char *dir, const struct gle_seed_run *runs, size_t n_points, size_t n,
                                           struct gle_error *err);

#endif
