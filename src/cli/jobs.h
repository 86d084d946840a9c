/* jobs.h - runs side by side, each in a process of its own, so that one that fails takes nothing along. Runs that share
 * a device are a crew: they are threads of one process. Where there are several ranks (comm.h), each takes runs as it
 * becomes free. */
#ifndef GLE_CLI_JOBS_H
#define GLE_CLI_JOBS_H

#include "cli/progress.h"
#include "comm/comm.h"

#include <signal.h>
#include <stdio.h>

/* Where a run is; it goes through a pipe. The last one is of a run that is over, and has its exit code alone. */
struct gle_job_progress {
    bool over;
    int code;
    double done;  /* fraction of its work */
    double begun; /* the fraction that it began with, where it was resumed */
    bool by_phases;
    struct gle_score score[GLE_SCORES]; /* what is known by now */
};

enum { GLE_JOB_PIPES = 3 }; /* open files that a run takes here: for its output, its errors, and how far it is */

/* Where a run writes: what comes to out and err is shown when it has ended; struct gle_job_progress goes to `progress`,
 * whole. */
struct gle_job_pipes {
    FILE *out, *err;
    int progress;
};

/* What is to be run. Nothing may have started threads before. */
struct gle_jobs {
    size_t n;       /* runs */
    size_t at_once; /* of each rank, at most; at least 1. A crew may be larger when nothing else is running */
    /* Whether run i is left out: it is never begun. NULL: none is. */
    bool (*skip)(void *ctx, size_t i);
    /* How many runs, from i on, are a crew; at least 1. NULL: each is one by itself. */
    size_t (*crew)(void *ctx, size_t i);
    /* In the process of a crew, before its threads begin. Returns how many of its n runs, from i on, can be going on at
     * a time, at least 1. It may write to standard error, with the words of the first of them. NULL: all. */
    size_t (*begin)(void *ctx, size_t i, size_t n, FILE *err);
    /* Run i, in one of so many threads of that process; other runs may follow in the same thread. Returns the exit
     * code. */
    int (*work)(void *ctx, size_t i, const struct gle_job_pipes *pipes);
    /* Makes the only run together with all other ranks, on a rank that is not the first. */
    void (*together)(void *ctx);
    /* A thread of it makes no more runs; and none does. NULL: nobody wants to know. */
    void (*leave)(void *ctx);
    void (*end)(void *ctx);
    /* A name for run i, "seed 3"; size: of buf. */
    void (*name)(void *ctx, size_t i, char *buf, size_t size);
    void *ctx;
    const volatile sig_atomic_t *stop; /* the signal that asks for the end: it is handed on, and no run starts then */
    struct gle_comm *comm; /* its other ranks have got the same runs, and serve (ranks.h); NULL: all are made here */
    uint64_t plan;         /* a hash of what the runs are, by which ranks know that they mean the same */
};

/* How a run ended. */
struct gle_job_end {
    int code;          /* exit code; 128 + n if signal n killed it; -1: never begun */
    char message[512]; /* why it failed: first line of its standard error; "" if it did not */
};

/* Runs all and waits for them. The bar shows them as one. On rank 0, or where there is but one.
 * ends: (n), the caller's. Errors: GLE_ENOMEM (no process, no pipe), GLE_EDEVICE (no message to another rank); runs
 * that had begun are then told to end. */
GLE_MUST_CHECK int gle_jobs_run(const struct gle_jobs *jobs, struct gle_job_end *ends, struct gle_bar *bar,
                                struct gle_error *err);

#endif
