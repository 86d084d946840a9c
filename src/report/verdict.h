/* verdict.h - whether what a config claims holds, by the reports of the runs that it is of. */
#ifndef GLE_REPORT_VERDICT_H
#define GLE_REPORT_VERDICT_H

#include "report/summary.h"

struct gle_verdict {
    bool holds;
    bool known;      /* there is something that was found: */
    double found;    /* a number, or the mean of several; or */
    char sha256[65]; /* that of weights.npz */
    char why[200];   /* why there is none; "" */
};

/* Of one claim. runs: (claim->n_seeds) those of its seeds, in their order; each is over, and its report is read. */
void gle_verdict_find(struct gle_verdict *out, const struct gle_claim *claim,
                      const struct gle_seed_run *const *runs);

#endif
