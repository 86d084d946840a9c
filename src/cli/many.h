/* many.h - all runs that a config makes: of its variants, of the combinations of its sweep, of several seeds. */
#ifndef GLE_CLI_MANY_H
#define GLE_CLI_MANY_H

#include "cli/accelerator.h"
#include "cli/options.h"
#include "cli/origins.h"
#include "comm/comm.h"
#include "report/summary.h"

#include <signal.h>
#include <stdbool.h>

struct gle_doc;

/* The first three are the caller's, set before gle_plan_load(). */
struct gle_plan {
    struct gle_options options; /* of each run */
    const char *command;
    const volatile sig_atomic_t *stop; /* as struct gle_jobs */
    struct gle_experiments *lists; /* (n_lists): of each seed, all variants */
    size_t n_lists;
    struct gle_seed_run *runs; /* (n_runs): of a variant one after the other, seed by seed */
    size_t n_runs;
    size_t crew;                        /* runs on one device, of one process (jobs.h), at most */
    struct gle_accelerator accelerator; /* theirs, in that process */
    struct gle_origins origins; /* of runs that are there, by gle_plan_check(); of the others nobody has looked */
    int code; /* not 0: none of its runs is made, since something is in the way, by this exit code */
};

/* Loads the config for every seed; for the first alone if nothing is to be run.
 * Owns:   lists and runs belong to the plan (gle_plan_clear, also after an error).
 * Errors: as gle_experiments_load(), GLE_EUSAGE (too many runs). */
GLE_MUST_CHECK int gle_plan_load(struct gle_plan *plan, const char *path, struct gle_errors *errs);
/* The same of a config that was read. */
GLE_MUST_CHECK int gle_plan_build(struct gle_plan *plan, const struct gle_doc *file, struct gle_errors *errs);
void gle_plan_clear(struct gle_plan *plan);

/* Puts the runs' directories into plan->runs. Errors: GLE_EWRITE (too long). */
GLE_MUST_CHECK int gle_plan_place(struct gle_plan *plan, struct gle_error *err);

/* How many runs go on at a time, and threads of each: options.jobs and options.threads, or what goes well with so many
 * processors. */
struct gle_share {
    size_t at_once, threads;
};
struct gle_share gle_plan_share(const struct gle_plan *plan, size_t n_runs, size_t processors);

/* The same for each of several ranks (options of any plan): those of one machine share its processors. */
struct gle_share gle_plan_share_of_rank(const struct gle_options *options, const struct gle_comm *comm,
                                        size_t processors);

/* Whether all runs go to a device, where those of one process step side by side. */
bool gle_plan_on_device(const struct gle_plan *plan);

/* Makes all runs of n plans side by side, as gle_plan_share() says, fewer at a time where the system allows no more,
 * which is told; and summaries: of the seeds of each variant and combination, and of the sweep of each variant. *code:
 * the exit code of the first that failed. The runs have their directories; where a plan has a code, they are left out.
 * comm: with several ranks, of which this is the first, each makes as many at a time as options.jobs says, or one.
 * Errors: GLE_ENOMEM (also: not even one process is allowed), GLE_EDEVICE (see gle_jobs_run()), GLE_EWRITE (a
 * summary). */
GLE_MUST_CHECK int gle_plans_run(int *code, struct gle_plan *plans, size_t n, size_t processors, struct gle_comm *comm,
                                 struct gle_error *err);

/* The same on a rank that is not the first: makes those runs that it is given, of the same plans. problem: why it takes
 * none; "": it does. stop: as in the plans. Parts from the other ranks. Errors: as gle_ranks_serve(). */
GLE_MUST_CHECK int gle_plans_serve(struct gle_plan *plans, size_t n, size_t processors, struct gle_comm *comm,
                                   const char *problem, const volatile sig_atomic_t *stop, struct gle_error *err);

/* Makes the one run of a plan on all ranks together (compute.ranks: rows), of which this is the first; *code: its exit
 * code. Errors: as gle_ranks_join(), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_plan_run_together(int *code, struct gle_plan *plan, size_t processors, struct gle_comm *comm,
                                         struct gle_error *err);

/* Says on standard output what became of the summary in dir. */
void gle_plan_tell_summary(const char *dir, const struct gle_summary *came);
/* The same of a sweep, and the table of what its points came to. */
void gle_plan_tell_sweep(const char *dir, const struct gle_summary *came);

#endif
