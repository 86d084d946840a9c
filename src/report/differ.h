/* differ.h - what two runs of one config differ in, by the files that they have left. */
#ifndef GLE_REPORT_DIFFER_H
#define GLE_REPORT_DIFFER_H

#include "report/report.h"

enum { GLE_DIFFER_LINE = 600, GLE_DIFFER_MOST = 24 };
struct gle_differ_lines {
    char line[GLE_DIFFER_MOST][GLE_DIFFER_LINE]; /* (n): the first ones */
    size_t n;
};

struct gle_differ {
    struct gle_differ_lines in;   /* "weights.npz: hidden.weight by up to 0.1"; none: every number is the same */
    struct gle_differ_lines told; /* what may be why, or what could not be compared */
    bool had_weights; /* those of the former run are there, or their checksum is */
};

/* Whether the run in a folder has come to its end, so that it can be compared. Errors: GLE_EDATA: it has not. */
GLE_MUST_CHECK int gle_differ_check(const char *dir, struct gle_error *err);

/* Compares the run in the folder `before`, whose config.yaml makes exp, with the one in `after`, which has made it
 * again: metrics.json but for times, and all arrays. Errors: GLE_EDATA (no report), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_differ_find(struct gle_differ *out, const char *before, const char *after,
                                   const struct gle_experiment *exp, struct gle_error *err);

#endif
