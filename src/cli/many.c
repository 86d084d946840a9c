#include "cli/many.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/jobs.h"
#include "cli/limits.h"
#include "cli/ranks.h"
#include "cli/rows.h"
#include "cli/session.h"
#include "cli/show.h"
#include "report/points.h"
#include "report/report.h"
#include "yaml/node.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void gle_plan_clear(struct gle_plan *plan)
{
    for (size_t i = 0; i < plan->n_lists; i++)
        gle_experiments_clear(&plan->lists[i]);
    gle_free(plan->lists);
    gle_free(plan->runs);
    gle_origins_clear(&plan->origins);
}

static bool is_wanted(const struct gle_options *o, const struct gle_experiment *exp)
{
    for (size_t i = 0; i < o->n_points; i++)
        if (exp->sweep.label && !strcmp(o->points[i], exp->sweep.label))
            return true;
    return !o->n_points;
}

/* Each point that --point names must be one of those of some variant. */
static int check_points(const struct gle_options *o, const struct gle_experiments *list, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < o->n_points; i++) {
        struct gle_suggestion near = {.word = o->points[i]};
        size_t n = 0;
        bool any = false;
        for (size_t v = 0; v < list->n; v++) {
            const char *label = list->item[v]->sweep.label; /* a variant may have none */
            any = any || label;
            n += label && !strcmp(o->points[i], label);
            if (label)
                gle_suggest(&near, label);
        }
        if (!n)
            rc = gle_node_error(errs, GLE_EUSAGE, list->item[0]->src, NULL,
                                !any        ? "--point %.100s: the file has no sweep"
                                : near.best ? "--point %.100s: no such combination (did you mean '%s'?)"
                                            : "--point %.100s: no such combination; --runs shows them",
                                o->points[i], near.best);
    }
    return rc;
}

enum { RUNS_MAX = 10000 }; /* of a command: each has its config in memory */

int gle_plan_build(struct gle_plan *plan, const struct gle_doc *file, struct gle_errors *errs)
{
    const struct gle_options *o = &plan->options;
    const bool of_all = o->action == GLE_RUN || o->action == GLE_SHOW_RUNS;
    const size_t n = o->n_seeds && of_all ? o->n_seeds : 1;
    size_t n_variants;

    plan->lists = gle_calloc(n, sizeof *plan->lists);
    if (!plan->lists)
        return gle_node_error(errs, GLE_ENOMEM, NULL, NULL, "no memory for the config");
    while (plan->n_lists < n) {
        if (gle_experiments_build(&plan->lists[plan->n_lists], file, o->overrides, o->n_overrides, o->variants,
                                  o->n_variants, o->n_seeds ? &o->seeds[plan->n_lists] : NULL, errs))
            return -1;
        plan->n_lists++;
        if (n * plan->lists[0].n > RUNS_MAX)
            return gle_node_error(errs, GLE_EUSAGE, plan->lists[0].item[0]->src, NULL,
                                  "%zu seeds of %zu variants or combinations make more than %d runs", n,
                                  plan->lists[0].n, RUNS_MAX);
    }
    n_variants = plan->lists[0].n;
    if (check_points(o, &plan->lists[0], errs))
        return -1;
    plan->runs = gle_calloc(n * n_variants, sizeof *plan->runs);
    if (!plan->runs)
        return gle_node_error(errs, GLE_ENOMEM, NULL, NULL, "no memory for the runs");
    for (size_t v = 0; v < n_variants; v++)
        for (size_t s = 0; s < n && is_wanted(o, plan->lists[0].item[v]); s++)
            plan->runs[plan->n_runs++].exp = plan->lists[s].item[v];
    return 0;
}

int gle_plan_load(struct gle_plan *plan, const char *path, struct gle_errors *errs)
{
    struct gle_doc *file; /* read once, so that all runs are of one text, and it may come through a pipe */
    int rc;

    if (gle_doc_load(&file, path, errs))
        return -1;
    rc = gle_plan_build(plan, file, errs);
    gle_doc_destroy(file);
    return rc;
}

int gle_plan_place(struct gle_plan *plan, struct gle_error *err)
{
    for (size_t i = 0; i < plan->n_runs; i++)
        if (gle_report_dir(plan->runs[i].dir, sizeof plan->runs[i].dir, plan->options.output, plan->runs[i].exp, err))
            return -1;
    return 0;
}

/* Whether a run goes to a device; `auto` may choose one. */
static bool wants_device(const struct gle_experiment *exp)
{
    return exp->backend == GLE_BACKEND_OPENCL || (exp->backend == GLE_BACKEND_AUTO && exp->device);
}

bool gle_plan_on_device(const struct gle_plan *plan)
{
    for (size_t i = 0; i < plan->n_runs; i++)
        if (!wants_device(plan->runs[i].exp))
            return false;
    return true;
}

static bool want_same_device(const struct gle_experiment *a, const struct gle_experiment *b)
{
    return a->backend == b->backend && !strcmp(a->device ? a->device : "", b->device ? b->device : "");
}

/* All runs of a command, as one list. */
struct pool {
    struct gle_plan *plans; /* (n) */
    size_t n;
    struct gle_plan *begun; /* in a process of a crew: the plan that it is of */
    struct gle_comm *comm; /* of ranks that make its one run together */
};

/* The plan of run *i of all; *i becomes its place there. */
static struct gle_plan *plan_of(const struct pool *pool, size_t *i)
{
    struct gle_plan *plan = pool->plans;

    for (; *i >= plan->n_runs; plan++)
        *i -= plan->n_runs;
    return plan;
}

static bool skip(void *ctx, size_t i)
{
    return plan_of(ctx, &i)->code != 0;
}

/* Runs on one device step side by side. */
static size_t crew(void *ctx, size_t i)
{
    const struct gle_plan *plan = plan_of(ctx, &i);
    size_t n = 1;

    while (wants_device(plan->runs[i].exp) && n < plan->crew && i + n < plan->n_runs &&
           want_same_device(plan->runs[i].exp, plan->runs[i + n].exp))
        n++;
    return n;
}

/* Threads of a run. The steps of a network on a device are not theirs. */
static size_t threads_of(const struct gle_plan *plan, size_t i)
{
    return wants_device(plan->runs[i].exp) && plan->crew > 1 ? 1 : plan->options.threads;
}

/* How many of a crew's runs the device has room for. What stands in the way of that, the runs will say. */
static size_t count_fitting(struct gle_plan *plan, size_t i, size_t n)
{
    struct gle_options silent = plan->options;
    const struct gle_session_how how = {
        .options = &silent, .threads = 1, .progress = -1, .stop = plan->stop, .accelerator = &plan->accelerator};
    const struct gle_experiment **exps = gle_calloc(n, sizeof(struct gle_experiment *));
    struct gle_error unsaid = {0};
    size_t fit = n, n_exps = 0;

    silent.quiet = true;
    for (size_t k = 0; k < n && exps; k++)
        if (!k || (i + k) % plan->n_lists == 0) /* its seeds take as much */
            exps[n_exps++] = plan->runs[i + k].exp;
    if (exps && gle_session_fit(&fit, exps, n_exps, &how, &unsaid))
        fit = n;
    gle_free((void *)exps);
    return fit < n ? fit : n;
}

static size_t begin(void *ctx, size_t i, size_t n, FILE *err)
{
    struct pool *pool = ctx;
    struct gle_plan *plan = plan_of(pool, &i);
    size_t fit = n;

    pool->begun = plan;
    gle_accelerator_start(&plan->accelerator, n);
    if (n > 1)
        fit = count_fitting(plan, i, n);
    if (fit < n && !plan->options.quiet)
        fprintf(err, "glesim: %zu run%s at a time in place of %zu: the device has no memory for more\n", fit,
                fit > 1 ? "s" : "", n);
    for (size_t k = fit; k < n; k++)
        gle_accelerator_leave(&plan->accelerator);
    return fit;
}

static void leave(void *ctx)
{
    gle_accelerator_leave(&((struct pool *)ctx)->begun->accelerator);
}

static void end(void *ctx)
{
    gle_accelerator_close(&((struct pool *)ctx)->begun->accelerator);
}

static int work(void *ctx, size_t i, const struct gle_job_pipes *pipes)
{
    struct gle_plan *plan = plan_of(ctx, &i);
    const struct gle_session_how how = {.options = &plan->options,
                                        .command = plan->command,
                                        .threads = threads_of(plan, i),
                                        .inputs = gle_origins_of(&plan->origins, i),
                                        .out = pipes->out,
                                        .err = pipes->err,
                                        .progress = pipes->progress,
                                        .again = i % plan->n_lists > 0,
                                        .stop = plan->stop,
                                        .accelerator = &plan->accelerator};
    struct gle_error err = {0};

    return gle_session_run(plan->runs[i].exp, &how, &err) ? gle_show_error(pipes->err, &err) : 0;
}

static void name_run(void *ctx, size_t i, char *buf, size_t size)
{
    const struct pool *pool = ctx;
    const struct gle_experiment *exp = plan_of(pool, &i)->runs[i].exp;

    snprintf(buf, size, "%s%s%s%s%s%sseed %llu", pool->n > 1 ? exp->name : "", pool->n > 1 ? " " : "",
             exp->variant ? exp->variant : "", exp->variant ? " " : "",
             exp->sweep.label ? exp->sweep.label : "", exp->sweep.label ? " " : "", (unsigned long long)exp->seed);
}

enum { DIR_SIZE = sizeof((struct gle_seed_run *)0)->dir };

/* The folder `levels` above that of a run. */
static void folder_above(char dir[DIR_SIZE], const struct gle_seed_run *run, int levels)
{
    snprintf(dir, DIR_SIZE, "%s", run->dir);
    while (levels--)
        *strrchr(dir, '/') = '\0';
}

void gle_plan_tell_summary(const char *dir, const struct gle_summary *came)
{
    printf("%s/summary.json", dir);
    if (came->was_richer)
        printf(": left as it is, since it has runs of another config or other data than these; --force replaces it");
    else if (!came->written)
        printf(": left as it is, since no run came to a report");
    if (came->written && came->n_more)
        printf(": with %zu more run%s of the same config that %s there", came->n_more, came->n_more > 1 ? "s" : "",
               came->n_more > 1 ? "are" : "is");
    if (came->written && came->n_left_out)
        printf("%s %zu of another config or other data left out", came->n_more ? ";" : ":", came->n_left_out);
    putchar('\n');
}

void gle_plan_tell_sweep(const char *dir, const struct gle_summary *came)
{
    gle_plan_tell_summary(dir, came);
    if (came->written)
        gle_points_print(stdout, dir);
}

/* A summary for each variant and point of a sweep, beside the folders of its seeds. */
static int summarise_seeds(struct gle_plan *plan, struct gle_error *err)
{
    const size_t n = plan->n_lists;
    struct gle_summary came;
    char dir[DIR_SIZE];

    for (size_t i = 0; i < plan->n_runs; i += n) {
        folder_above(dir, &plan->runs[i], 1);
        if (gle_summary_write(&came, dir, plan->runs + i, n, plan->options.force, err))
            return -1;
        if (!plan->options.quiet)
            gle_plan_tell_summary(dir, &came);
    }
    return 0;
}

/* A summary of the sweep of each variant, beside the folders of its points. */
static int summarise_sweeps(struct gle_plan *plan, struct gle_error *err)
{
    struct gle_summary_point *points = gle_calloc(plan->n_runs, sizeof *points);
    struct gle_summary came;
    char dir[DIR_SIZE];
    int rc = points ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the summary");

    for (size_t i = 0, next; i < plan->n_runs && !rc; i = next) {
        const char *variant = plan->runs[i].exp->variant;
        size_t n = 0;
        for (next = i; next < plan->n_runs; next++)
            if (variant && strcmp(plan->runs[next].exp->variant, variant))
                break;
        for (size_t k = i; k < next; k += plan->n_lists)
            points[n++] = (struct gle_summary_point){.runs = plan->runs + k, .n = plan->n_lists};
        folder_above(dir, &plan->runs[i], 2);
        rc = gle_summary_write_sweep(&came, dir, points, n, plan->options.force, err);
        if (!rc && !plan->options.quiet)
            gle_plan_tell_sweep(dir, &came);
    }
    gle_free(points);
    return rc;
}

static int summarise(struct gle_plan *plan, struct gle_error *err)
{
    if (plan->options.n_seeds && summarise_seeds(plan, err))
        return -1;
    return plan->runs[0].exp->sweep.label ? summarise_sweeps(plan, err) : 0;
}

struct gle_share gle_plan_share(const struct gle_plan *plan, size_t n_runs, size_t processors)
{
    const struct gle_options *o = &plan->options;
    const size_t each = o->threads ? o->threads : 1;
    struct gle_share share = {.at_once = o->jobs ? o->jobs : processors > each ? processors / each : 1};

    share.at_once = share.at_once < n_runs ? share.at_once : n_runs;
    share.threads = o->threads ? o->threads : processors > share.at_once ? processors / share.at_once : 1;
    return share;
}

/* No more at once than the system lets them be: *n runs, of so many threads, with so many files. */
static int fit_in(size_t *n, size_t threads, size_t files, bool quiet, struct gle_error *err)
{
    enum { MAKERS = 4 }; /* threads that may make samples, beside those of the network */
    const size_t makers = threads < MAKERS ? threads : MAKERS, wanted = *n;
    const char *what;

    *n = gle_limits_runs(&what, wanted, threads + makers, files);
    if (!*n)
        return gle_fail(err, GLE_ENOMEM, "too few %s are allowed for a run in a process of its own", what);
    if (*n < wanted && !quiet)
        fprintf(stderr, "glesim: %zu run%s at a time in place of %zu: more %s are not allowed\n", *n, *n > 1 ? "s" : "",
                wanted, what);
    return 0;
}

/* How large crews may be. Ranks share out what there is for devices. */
static int size_crews(struct gle_plan *plan, size_t n_ranks, struct gle_error *err)
{
    enum {
        MOST = 256,
        FILES = 2 * GLE_JOB_PIPES + 4, /* both ends of its pipes, until it is there; and what it opens itself */
    };
    size_t n = 0;

    for (size_t i = 0; i < plan->n_runs; i++)
        n += wants_device(plan->runs[i].exp);
    n = (n + n_ranks - 1) / n_ranks;
    plan->crew = plan->options.jobs ? plan->options.jobs : MOST;
    plan->crew = plan->crew < n ? plan->crew : n;
    return plan->crew > 1 ? fit_in(&plan->crew, 1, FILES, plan->options.quiet, err) : 0;
}

struct gle_share gle_plan_share_of_rank(const struct gle_options *o, const struct gle_comm *comm, size_t processors)
{
    const long there = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t each = there > 0 ? (size_t)there / comm->n_here : 1;
    struct gle_share share = {.at_once = o->jobs ? o->jobs : 1, .threads = o->threads};

    processors = processors < each ? processors : each;
    if (!share.threads)
        share.threads = processors > share.at_once ? processors / share.at_once : 1;
    return share;
}

/* A hash of what the runs are and where they go. */
static uint64_t hash_plans(const struct pool *pool)
{
    enum { PRIME = 31 };
    uint64_t hash = pool->n;

    for (size_t p = 0; p < pool->n; p++)
        for (size_t i = 0; i < pool->plans[p].n_runs; i++) {
            const struct gle_seed_run *run = &pool->plans[p].runs[i];
            hash = hash * PRIME + gle_node_hash(run->exp->src);
            for (const char *c = run->dir; *c; c++)
                hash = hash * PRIME + (unsigned char)*c;
        }
    return hash;
}

/* The one run of all plans. */
static void together(void *ctx)
{
    const struct pool *pool = ctx;

    (void)gle_rows_run(pool->plans, pool->comm);
}

/* Fits the runs into what the system allows, and describes them as jobs. */
static int prepare(struct gle_jobs *jobs, struct pool *pool, size_t processors, struct gle_comm *comm,
                   struct gle_error *err)
{
    struct gle_share share = {.at_once = 1, .threads = 1};

    *jobs = (struct gle_jobs){.skip = skip, .crew = crew, .begin = begin, .work = work, .leave = leave, .end = end,
                              .name = name_run, .together = together, .ctx = pool,
                              .comm = comm->size > 1 ? comm : NULL};
    for (size_t p = 0; p < pool->n; p++)
        jobs->n += pool->plans[p].n_runs;
    if (!jobs->n)
        return 0;
    jobs->stop = pool->plans->stop;
    share = comm->size > 1 ? gle_plan_share_of_rank(&pool->plans->options, comm, processors)
                           : gle_plan_share(pool->plans, jobs->n, processors);
    if (fit_in(&share.at_once, share.threads, GLE_JOB_PIPES, pool->plans->options.quiet, err))
        return -1;
    for (size_t p = 0; p < pool->n; p++) {
        pool->plans[p].options.threads = share.threads;
        if (size_crews(&pool->plans[p], comm->size, err))
            return -1;
    }
    pool->comm = comm;
    jobs->at_once = share.at_once;
    jobs->plan = comm->size > 1 ? hash_plans(pool) : 0;
    return 0;
}

/* Puts the ends of runs into their plans. Returns the exit code of the first that failed. */
static int take_ends(const struct pool *pool, const struct gle_job_end *ends)
{
    int code = 0;

    for (size_t p = 0; p < pool->n; p++)
        for (size_t i = 0; i < pool->plans[p].n_runs; i++, ends++) {
            struct gle_seed_run *run = &pool->plans[p].runs[i];
            run->code = ends->code;
            snprintf(run->message, sizeof run->message, "%s", ends->message);
            code = code || ends->code < 0 ? code : ends->code;
        }
    return code;
}

int gle_plans_run(int *code, struct gle_plan *plans, size_t n, size_t processors, struct gle_comm *comm,
                  struct gle_error *err)
{
    struct pool pool = {.plans = plans, .n = n};
    struct gle_job_end *ends;
    struct gle_jobs jobs;
    struct gle_bar bar;
    int rc;

    *code = 0;
    if (prepare(&jobs, &pool, processors, comm, err))
        return -1;
    ends = gle_calloc(jobs.n, sizeof *ends);
    if (!ends)
        return gle_fail(err, GLE_ENOMEM, "no memory for the runs");
    gle_bar_start(&bar, plans->runs[0].exp, plans->options.quiet);
    if (n > 1)
        snprintf(bar.label, sizeof bar.label, "%zu configs", n);
    else
        snprintf(bar.label, sizeof bar.label, "%.100s", plans->runs[0].exp->name);
    rc = gle_jobs_run(&jobs, ends, &bar, err);
    *code = take_ends(&pool, ends);
    gle_free(ends);
    for (size_t p = 0; p < n && !rc; p++)
        rc = plans[p].code ? 0 : summarise(&plans[p], err);
    return rc ? -1 : 0;
}

int gle_plan_run_together(int *code, struct gle_plan *plan, size_t processors, struct gle_comm *comm,
                          struct gle_error *err)
{
    struct pool pool = {.plans = plan, .n = 1};
    struct gle_ranks *ranks;
    struct gle_jobs jobs;
    int rc;

    *code = 0;
    if (prepare(&jobs, &pool, processors, comm, err))
        return -1;
    ranks = gle_ranks_create(&jobs);
    rc = ranks ? gle_ranks_join(ranks, err) : gle_fail(err, GLE_ENOMEM, "no memory for %zu ranks", comm->size);
    if (!rc)
        *code = gle_rows_run(plan, comm);
    gle_ranks_destroy(ranks);
    return rc;
}

int gle_plans_serve(struct gle_plan *plans, size_t n, size_t processors, struct gle_comm *comm, const char *problem,
                    const volatile sig_atomic_t *stop, struct gle_error *err)
{
    struct pool pool = {.plans = plans, .n = n};
    struct gle_error hindrance = {0};
    struct gle_jobs jobs;

    if (prepare(&jobs, &pool, processors, comm, &hindrance))
        problem = hindrance.text;
    jobs.stop = stop;
    return gle_ranks_serve(comm, &jobs, problem, err);
}
