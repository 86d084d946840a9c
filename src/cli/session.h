/* session.h - one run of the command: from an experiment to its report. */
#ifndef GLE_CLI_SESSION_H
#define GLE_CLI_SESSION_H

#include "cli/accelerator.h"
#include "cli/options.h"
#include "report/inputs.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

struct gle_comm;

/* Pointers are borrowed. */
struct gle_session_how {
    const struct gle_options *options; /* its action: GLE_RUN, or GLE_DRY_RUN, which shows what a run would take */
    const char *command;               /* for the report */
    size_t threads;                    /* at most */
    const struct gle_inputs *inputs; /* what the run would be made from, where that is known already; or NULL */
    FILE *out, *err; /* where it writes what it has to say */
    int progress; /* where a run among many writes struct gle_job_progress (jobs.h); -1: the bar shows it */
    const volatile sig_atomic_t *stop; /* the signal that asks for the end; NULL: none will */
    struct gle_accelerator *accelerator; /* what it may run on */
    bool again; /* a run of another seed goes before it, which says what is so whatever the seed */
    struct gle_comm *comm; /* the ranks that make it together (compute.ranks); NULL: this process does. One that fails
                              where it cannot say so to the others parts from them */
    bool races; /* no other run goes on beside it, so that the backend `auto` can measure which one is faster */
};

/* Whether a run that is there already, by the same config and over, is kept as it is: one among many, or one to be
 * resumed. If not, it is in the way. */
bool gle_session_keeps(const struct gle_options *options, const struct gle_experiment *exp);

/* Makes the run and says on standard output what came of it. A run that is there already is not made again where it is
 * kept. It may start threads.
 * Errors: GLE_EDATA, GLE_EWRITE, GLE_ENOMEM, GLE_EDEVICE, GLE_EDIVERGED (with a report), those of the config that only
 *         the data show. */
GLE_MUST_CHECK int gle_session_run(const struct gle_experiment *exp, const struct gle_session_how *how,
                                   struct gle_error *err);

/* The checksum of the data set of an experiment, which is opened for it. It may start threads. Errors: as
 * gle_data_open(), with the place of the section. */
GLE_MUST_CHECK int gle_session_hash_data(char sha256[65], const struct gle_experiment *exp,
                                         const struct gle_session_how *how, struct gle_error *err);

/* How many runs of n experiments have room side by side on the device of the first: by the one that takes most, on the
 * data set of the first. At least 1; SIZE_MAX: no limit is known. It may start threads.
 * Errors: as gle_session_run(). */
GLE_MUST_CHECK int gle_session_fit(size_t *n_fit, const struct gle_experiment *const *exps, size_t n,
                                   const struct gle_session_how *how, struct gle_error *err);

/* Seconds that a run is estimated to take, from steps measured for so many seconds. Errors: as gle_session_run(). */
GLE_MUST_CHECK int gle_session_estimate(double *estimate, const struct gle_experiment *exp,
                                        const struct gle_session_how *how, double seconds, struct gle_error *err);

#endif
