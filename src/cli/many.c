#include "cli/many.h"
#include "base/memory.h"
#include "cli/jobs.h"
#include "report/report.h"

#include <stdio.h>
#include <string.h>

void gle_plan_clear(struct gle_plan *plan)
{
    for (size_t i = 0; i < plan->n_lists; i++)
        gle_experiments_clear(&plan->lists[i]);
    gle_free(plan->lists);
    gle_free(plan->runs);
}

/* The experiments of a file, with one more override, the seed; NULL: none. */
static int load_seed(struct gle_experiments *list, const char *path, const struct gle_options *o, const uint64_t *seed,
                     struct gle_errors *errs)
{
    struct gle_override *overrides = gle_calloc(o->n_overrides + 1, sizeof *overrides);
    char value[32];
    int rc;

    if (!overrides)
        return gle_node_error(errs, GLE_ENOMEM, NULL, NULL, "no memory for the config");
    if (o->n_overrides)
        memcpy(overrides, o->overrides, o->n_overrides * sizeof *overrides);
    snprintf(value, sizeof value, "%llu", seed ? (unsigned long long)*seed : 0);
    overrides[o->n_overrides] = (struct gle_override){.path = "seed", .value = value, .where = "--seeds"};
    rc = gle_experiments_load(list, path, overrides, o->n_overrides + (seed != NULL), o->variants, o->n_variants, errs);
    gle_free(overrides);
    return rc;
}

enum { RUNS_MAX = 10000 }; /* of a command: each has its config in memory */

int gle_plan_load(struct gle_plan *plan, const char *path, struct gle_errors *errs)
{
    const struct gle_options *o = &plan->options;
    const size_t n = o->n_seeds && o->action == GLE_RUN ? o->n_seeds : 1;
    size_t n_variants;

    plan->lists = gle_calloc(n, sizeof *plan->lists);
    if (!plan->lists)
        return gle_node_error(errs, GLE_ENOMEM, NULL, NULL, "no memory for the config");
    while (plan->n_lists < n) {
        if (load_seed(&plan->lists[plan->n_lists], path, o, o->n_seeds ? &o->seeds[plan->n_lists] : NULL, errs))
            return -1;
        plan->n_lists++;
        if (n * plan->lists[0].n > RUNS_MAX)
            return gle_node_error(errs, GLE_EUSAGE, plan->lists[0].item[0]->src, NULL,
                                  "%zu seeds of %zu variants or combinations make more than %d runs", n,
                                  plan->lists[0].n, RUNS_MAX);
    }
    n_variants = plan->lists[0].n;
    plan->runs = gle_calloc(n * n_variants, sizeof *plan->runs);
    if (!plan->runs)
        return gle_node_error(errs, GLE_ENOMEM, NULL, NULL, "no memory for the runs");
    for (size_t v = 0; v < n_variants; v++)
        for (size_t s = 0; s < n; s++)
            plan->runs[plan->n_runs++].exp = plan->lists[s].item[v];
    return 0;
}

static int work(void *ctx, size_t i, int progress)
{
    const struct gle_plan *plan = ctx;

    return plan->run(plan->runs[i].exp, &plan->options, plan->command, progress);
}

static void name_run(void *ctx, size_t i, char *buf, size_t size)
{
    const struct gle_experiment *exp = ((const struct gle_plan *)ctx)->runs[i].exp;

    snprintf(buf, size, "%s%s%s%sseed %llu", exp->variant ? exp->variant : "", exp->variant ? " " : "",
             exp->sweep.label ? exp->sweep.label : "", exp->sweep.label ? " " : "", (unsigned long long)exp->seed);
}

/* A summary for each variant and point of a sweep, beside the folders of its seeds. */
static int summarise(struct gle_plan *plan, struct gle_error *err)
{
    const size_t n = plan->n_lists;

    for (size_t i = 0; i < plan->n_runs; i++)
        if (gle_report_dir(plan->runs[i].dir, sizeof plan->runs[i].dir, plan->options.output, plan->runs[i].exp, err))
            return -1;
    for (size_t i = 0; i < plan->n_runs; i += n) {
        char dir[sizeof plan->runs[i].dir];
        snprintf(dir, sizeof dir, "%s", plan->runs[i].dir);
        *strrchr(dir, '/') = '\0';
        if (gle_summary_write(dir, plan->runs + i, n, err))
            return -1;
        if (!plan->options.quiet)
            printf("%s/summary.json\n", dir);
    }
    return 0;
}

int gle_plan_run(int *code, struct gle_plan *plan, size_t processors, const volatile sig_atomic_t *stop,
                 struct gle_error *err)
{
    const struct gle_options *o = &plan->options;
    const size_t each = o->threads ? o->threads : 1;
    struct gle_jobs jobs = {.n = plan->n_runs, .work = work, .name = name_run, .ctx = plan, .stop = stop};
    struct gle_job_end *ends = gle_calloc(plan->n_runs, sizeof *ends);
    struct gle_bar bar;
    int rc;

    *code = 0;
    if (!ends)
        return gle_fail(err, GLE_ENOMEM, "no memory for the runs");
    jobs.at_once = o->jobs ? o->jobs : processors > each ? processors / each : 1;
    jobs.at_once = jobs.at_once < jobs.n ? jobs.at_once : jobs.n;
    if (!o->threads)
        plan->options.threads = processors > jobs.at_once ? processors / jobs.at_once : 1;
    gle_bar_start(&bar, plan->runs[0].exp, o->quiet);
    snprintf(bar.label, sizeof bar.label, "%.100s", plan->runs[0].exp->name);
    rc = gle_jobs_run(&jobs, ends, &bar, err);
    for (size_t i = 0; i < plan->n_runs; i++) {
        plan->runs[i].code = ends[i].code;
        snprintf(plan->runs[i].message, sizeof plan->runs[i].message, "%s", ends[i].message);
        *code = *code || ends[i].code < 0 ? *code : ends[i].code;
    }
    gle_free(ends);
    return rc || (o->n_seeds && summarise(plan, err)) ? -1 : 0;
}
