/* summary.h - what the runs of several seeds, or of a sweep, come to, from the metrics.json of each. */
#ifndef GLE_REPORT_SUMMARY_H
#define GLE_REPORT_SUMMARY_H

#include "report/inputs.h"

/* One of the runs that a command names. */
struct gle_seed_run {
    const struct gle_experiment *exp;
    char dir[4096];   /* of the run */
    int code;         /* exit code; -1: it was not begun */
    char message[512]; /* why it failed; "" */
};

/* What became of a summary. */
struct gle_summary {
    bool written;      /* if not, the one that was there stays: no run came to a report, or */
    bool was_richer;   /* it has runs that the new one would not have, since these are of another config or other data
                          than what the command has come to; not where runs were replaced (`replaces`) */
    size_t n_more;     /* runs that it is of beyond those named */
    size_t n_left_out; /* runs, or points, that lie there and are of another config or other data */
};

/* Writes `dir`/summary.json, whole or not at all: of the runs named, and of those of other seeds that lie in dir, too,
 * if they ran with the same config (as gle_folder_same_config()) and data. Of all that are completed, everything that
 * metrics.json has under epochs or phases, final, best, parameters and timing becomes one, as tally.h says; and under
 * "diagnostics" the layers of all comparisons of all of them. Reports are read one by one.
 * Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_summary_write(struct gle_summary *out, const char *dir, const struct gle_seed_run *runs,
                                     size_t n, bool replaces, struct gle_error *err);
/* The runs of a point of a sweep. */
struct gle_summary_point {
    const struct gle_seed_run *runs; /* (n), n > 0 */
    size_t n;
};
/* The same of the points of a sweep: a list "points" that
 * has the values of the keys, as the runs had them, how the runs ended, final, best and diagnostics of each. Points of
 * a summary that was there, and whose folders still are, stay in the list; or, of a config that differs in more than
 * swept keys, or of data that have changed, in a list "others". */
GLE_MUST_CHECK int gle_summary_write_sweep(struct gle_summary *out, const char *dir,
                                           const struct gle_summary_point *named, size_t n, bool replaces,
                                           struct gle_error *err);

/* What the summary in dir is of, as far as its runs are still there: none that are completed; such as exp would make
 * (but for the seed); some of another config, or of other data or files. */
enum gle_summary_of {
    GLE_SUMMARY_OF_NONE,
    GLE_SUMMARY_OF_SAME,
    GLE_SUMMARY_OF_OTHER_CONFIG,
    GLE_SUMMARY_OF_OTHER_DATA,
};
/* inputs: what exp would be made from; NULL: nobody knows, and data are not compared. *seed: of one of the others. */
enum gle_summary_of gle_summary_find(uint64_t *seed, const char *dir, const struct gle_experiment *exp,
                                     const struct gle_inputs *inputs);

#endif
