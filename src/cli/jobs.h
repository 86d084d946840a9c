/* jobs.h - runs side by side, each in a process of its own, so that one that fails takes nothing along. */
#ifndef GLE_CLI_JOBS_H
#define GLE_CLI_JOBS_H

#include "cli/progress.h"

#include <signal.h>

/* Where a run is; it goes through a pipe. */
struct gle_job_progress {
    double done;  /* fraction of its work */
    double begun; /* the fraction that it began with, where it was resumed */
    bool by_phases;
    struct gle_score score[GLE_SPLITS]; /* what is known of the splits by now */
};

enum { GLE_JOB_PIPES = 3 }; /* open files that a run takes here: for its output, its errors, and how far it is */

/* What is to be run. Nothing may have started threads before. */
struct gle_jobs {
    size_t n;       /* runs */
    size_t at_once; /* of them, at most; at least 1 */
    /* Run i, in a process of its own: what it writes to standard output and error is shown when it has ended. It may
     * write struct gle_job_progress to `progress`, whole. Returns the exit code. */
    int (*work)(void *ctx, size_t i, int progress);
    /* A name for run i, "seed 3"; size: of buf. */
    void (*name)(void *ctx, size_t i, char *buf, size_t size);
    void *ctx;
    const volatile sig_atomic_t *stop; /* the signal that asks for the end: it is handed on, and no run starts then */
};

/* How a run ended. */
struct gle_job_end {
    int code;          /* exit code; 128 + n if signal n killed it; -1: never begun */
    char message[512]; /* why it failed: first line of its standard error; "" if it did not */
};

/* Runs all and waits for them. The bar shows them as one.
 * ends: (n), the caller's. Errors: GLE_ENOMEM (no process, no pipe); runs that had begun are then told to end. */
GLE_MUST_CHECK int gle_jobs_run(const struct gle_jobs *jobs, struct gle_job_end *ends, struct gle_bar *bar,
                                struct gle_error *err);

#endif
