/* ranks.h - runs on other ranks: rank 0 hands them out, the others make them and tell what comes of them. */
#ifndef GLE_CLI_RANKS_H
#define GLE_CLI_RANKS_H

#include "cli/crews.h"
#include "comm/comm.h"

/* --- rank 0 --- */

struct gle_ranks;

/* What it hears, beside what comes from runs. */
struct gle_ranks_events {
    const struct gle_crews_events *runs;
    void (*refused)(void *ctx, size_t rank, const char *why); /* the rank takes no runs */
    void (*lost)(void *ctx, size_t rank); /* nothing comes from it any more; it is told once */
    void (*stopped)(void *ctx, int number); /* a rank has got this signal, which asks for the end */
    void *ctx;
};

/* Owns: the caller; it borrows jobs, whose comm has several ranks. NULL: no memory. */
struct gle_ranks *gle_ranks_create(const struct gle_jobs *jobs);
void gle_ranks_destroy(struct gle_ranks *ranks); /* NULL is fine */
/* Whether a rank, not 0, has said that it takes runs, and is not lost. */
bool gle_ranks_ready(const struct gle_ranks *ranks, size_t rank);
/* Has n runs, from `first` on, made there. Errors: GLE_ENOMEM, GLE_EDEVICE. */
GLE_MUST_CHECK int gle_ranks_start(struct gle_ranks *ranks, size_t rank, size_t first, size_t n, struct gle_error *err);
/* Waits until all ranks have said that they take runs, and has each make the only run together with this one
 * (jobs->together), which makes its part next. Errors: GLE_EUSAGE (one takes none), GLE_EDEVICE (one is lost),
 * GLE_ESTOPPED (a signal came before). */
GLE_MUST_CHECK int gle_ranks_join(struct gle_ranks *ranks, struct gle_error *err);
/* Takes in what has come; does not wait. To be called every second at least. */
void gle_ranks_listen(struct gle_ranks *ranks, const struct gle_ranks_events *events);
/* Hands a signal to the runs of all. */
void gle_ranks_signal(struct gle_ranks *ranks, int number);

/* Lets the other ranks go, and parts from them: nothing more will be handed out. It waits until all are ready to go,
 * but not for one that is lost, as is one that gives no answer for a minute. */
void gle_ranks_dismiss(struct gle_comm *comm);

/* --- the others --- */

/* Makes the runs that rank 0 hands out, until it lets go of this one, or is lost itself; then those that are going on
 * come to their end. problem: why this rank takes none; "": it does. Parts from the other ranks.
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_ranks_serve(struct gle_comm *comm, const struct gle_jobs *jobs, const char *problem,
                                   struct gle_error *err);

#endif
