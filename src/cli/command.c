#include "cli/command.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cli/apart.h"
#include "cli/forecast.h"
#include "cli/initial.h"
#include "cli/limits.h"
#include "cli/loops.h"
#include "cli/many.h"
#include "cli/notes.h"
#include "cli/obstacles.h"
#include "cli/picture.h"
#include "cli/progress.h"
#include "cli/rows.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/trouble.h"
#include "yaml/node.h"

#include <stdio.h>
#include <string.h>

static size_t count_seeds(const struct gle_plan *plan)
{
    return plan->options.n_seeds ? plan->options.n_seeds : 1;
}

/* Seconds of all runs of a dry run, each point measured for a moment; beyond that time the others are taken to be like
 * those. seconds: (points x seeds); n_measured: of the points. */
static int estimate_all(double *seconds, size_t *n_measured, const struct gle_plan *plan,
                        const struct gle_session_how *how, struct gle_error *err)
{
    static const double EACH = 0.05, AT_MOST = 10.0; /* seconds */
    const size_t n_seeds = count_seeds(plan);
    const double start = gle_clock();
    double all = 0.0, one = 0.0;
    size_t i = 0;

    for (; i < plan->n_runs && !*plan->stop && (!i || gle_clock() - start < AT_MOST); i++) {
        if (gle_session_estimate(&one, plan->runs[i].exp, how, EACH, err))
            return -1;
        all += one;
        for (size_t k = 0; k < n_seeds; k++)
            seconds[i * n_seeds + k] = one;
    }
    for (size_t k = i * n_seeds; k < plan->n_runs * n_seeds; k++)
        seconds[k] = i ? all / (double)i : 0.0;
    *n_measured = i;
    return 0;
}

/* What all runs of a dry run take; they are added to the forecast. over_ranks: that says the rest. */
static int show_all(const struct gle_plan *plan, const struct gle_session_how *how, struct gle_share share,
                    struct gle_forecast *forecast, bool over_ranks)
{
    const size_t n = plan->n_runs * count_seeds(plan);
    double *seconds = gle_forecast_add(forecast, n), all = 0.0;
    struct gle_error err = {0};
    char text[32], together[32];
    size_t i;

    if (!seconds)
        gle_fail(&err, GLE_ENOMEM, "no memory for the times of %zu runs", n);
    if (err.code || estimate_all(seconds, &i, plan, how, &err))
        return gle_show_error(stderr, &err);
    if (*plan->stop)
        return 0;
    forecast->on_device = forecast->on_device || gle_plan_on_device(plan);
    for (size_t k = 0; k < n; k++)
        all += seconds[k];
    if (n == 1)
        return 0;
    gle_format_duration(text, sizeof text, all);
    printf("  all %zu runs%*s %s one after the other", n, n < 10 ? 7 : n < 100 ? 6 : 5, "", text);
    gle_format_duration(together, sizeof together, all / (double)share.at_once);
    if (gle_plan_on_device(plan))
        printf("; less side by side on the device");
    else if (!over_ranks)
        printf(", %s with %zu at a time", together, share.at_once);
    if (i < plan->n_runs)
        printf(", by %zu of %zu combinations", i, plan->n_runs);
    putchar('\n');
    return 0;
}

/* forecast: of a dry run, gets its runs, which other ranks might make. */
static int run_one_by_one(const struct gle_plan *plan, size_t processors, const struct gle_comm *comm,
                          struct gle_forecast *forecast)
{
    const struct gle_options *o = &plan->options;
    const bool sweeps = plan->runs[0].exp->sweep.label != NULL, dry = o->action == GLE_DRY_RUN;
    const bool over_ranks = dry && comm->size > 1, many = dry && (o->n_seeds || o->jobs || sweeps || over_ranks);
    const size_t n_runs = plan->n_runs * count_seeds(plan);
    const struct gle_share share = over_ranks ? gle_plan_share_of_rank(o, comm, processors)
                                              : gle_plan_share(plan, n_runs, processors);
    struct gle_accelerator accelerator;
    struct gle_session_how how = {.options = o,
                                  .command = plan->command,
                                  .threads = many ? share.threads : o->threads ? o->threads : processors,
                                  .out = stdout,
                                  .err = stderr,
                                  .progress = -1,
                                  .stop = plan->stop,
                                  .accelerator = &accelerator,
                                  .races = !many};
    int code = 0;

    forecast->share = share;
    gle_accelerator_start(&accelerator, 1);
    /* the first point of a sweep tells what all will take */
    for (size_t i = 0; i < plan->n_runs && !*plan->stop && (!i || !sweeps); i++) {
        struct gle_error err = {0};
        how.inputs = gle_origins_of(&plan->origins, i);
        if (gle_session_run(plan->runs[i].exp, &how, &err)) {
            const int one = gle_show_error(stderr, &err);
            code = code ? code : one;
        }
    }
    if (dry && sweeps)
        printf("  sweep             %zu combinations, of which this is the first, %s\n", plan->n_runs,
               plan->runs[0].exp->sweep.label);
    if (many && !code && (n_runs > 1 || over_ranks))
        code = show_all(plan, &how, share, forecast, over_ranks);
    gle_accelerator_close(&accelerator);
    return code;
}

static bool goes_side_by_side(const struct gle_plan *plan)
{
    const struct gle_options *o = &plan->options;

    return o->action == GLE_RUN && (o->n_seeds || o->jobs || plan->runs[0].exp->sweep.label);
}

static int run_side_by_side(struct gle_plan *plans, size_t n, size_t processors, struct gle_comm *comm)
{
    struct gle_error err = {0};
    int code;

    return gle_plans_run(&code, plans, n, processors, comm, &err) ? gle_show_error(stderr, &err) : code;
}

/* Where the runs of a plan go, and whether anything is in the way. */
static int make_way(struct gle_plan *plan, size_t *processors, struct gle_error *err)
{
    const struct gle_options *o = &plan->options;

    if (gle_limits_processors(processors, err) || gle_plan_place(plan, err) ||
        (o->action == GLE_RUN && gle_plan_check(plan, *processors, err)))
        return -1;
    if (!o->quiet) {
        gle_notes_print_settings(&plan->lists[0]);
        gle_trouble_warn(&plan->lists[0]);
    }
    return 0;
}

/* A plan whose runs are made one after the other. */
struct series {
    const struct gle_plan *plan;
    size_t processors;
    const struct gle_comm *comm;
    struct gle_forecast *forecast;
};

static int run_series(void *ctx)
{
    const struct series *series = ctx;

    return run_one_by_one(series->plan, series->processors, series->comm, series->forecast);
}

/* Runs, or a dry run, of a plan that is loaded. is_last: nothing follows that would have to start a process of its own,
 * which it cannot after threads have been started here. */
static int run_plan(struct gle_plan *plan, bool is_last, const struct gle_comm *comm, struct gle_forecast *forecast)
{
    struct gle_comm alone = gle_comm_alone();
    struct gle_error err = {0};
    struct series series = {.plan = plan, .comm = comm, .forecast = forecast};
    int code;

    if (make_way(plan, &series.processors, &err))
        return gle_show_error(stderr, &err);
    if (goes_side_by_side(plan))
        return run_side_by_side(plan, 1, series.processors, &alone);
    if (is_last || plan->options.action != GLE_RUN)
        return run_series(&series);
    return gle_apart(&code, run_series, &series, plan->stop, &err) ? gle_show_error(stderr, &err) : code;
}

/* What each variant's network is like, by the first point of a sweep: a picture, or warnings. */
static int look_at_networks(const struct gle_plan *plan)
{
    const struct gle_options *o = &plan->options;
    const struct gle_experiment *before = NULL;

    for (size_t i = 0; i < plan->n_runs && !*plan->stop; i++) {
        const struct gle_experiment *exp = plan->runs[i].exp;
        struct gle_error err = {0};
        if (before && (!exp->variant || !strcmp(before->variant, exp->variant)))
            continue;
        before = exp;
        if (o->graph ? gle_picture_write(exp, &err) : !o->quiet && gle_loops_warn(exp, &err))
            return gle_show_error(stderr, &err);
        if (o->action == GLE_CHECK && !o->quiet)
            gle_initial_note_bounds(stderr, exp);
    }
    return 0;
}

/* For programs: what is not there is empty. */
static int show_runs(struct gle_plan *plan)
{
    struct gle_error err = {0};

    if (gle_plan_place(plan, &err))
        return gle_show_error(stderr, &err);
    for (size_t i = 0; i < plan->n_runs; i++) {
        const struct gle_experiment *exp = plan->runs[i].exp;
        printf("%s\t%s\t%s\t%llu\n", plan->runs[i].dir, exp->variant ? exp->variant : "",
               exp->sweep.label ? exp->sweep.label : "", (unsigned long long)exp->seed);
    }
    return 0;
}

static int run_config(const char *path, const struct gle_options *o, const char *command,
                      const volatile sig_atomic_t *stop, bool is_last, const struct gle_comm *comm,
                      struct gle_forecast *forecast)
{
    struct gle_plan plan = {.options = *o, .command = command, .stop = stop};
    struct gle_errors errs = {0};
    int code = 0;

    if (gle_plan_load(&plan, path, &errs)) {
        gle_plan_clear(&plan);
        return gle_show_errors(&errs);
    }
    if (o->action == GLE_CHECK || o->action == GLE_DRY_RUN)
        code = look_at_networks(&plan);
    if (!code && o->action == GLE_CHECK && !o->quiet) {
        gle_notes_print_settings(&plan.lists[0]); /* seeds make no difference to them */
        gle_trouble_warn(&plan.lists[0]);         /* and factors alone to these, which are drawn */
        printf("%s: ok\n", path);
    }
    else if (o->action == GLE_SHOW_RUNS)
        code = show_runs(&plan);
    else if (!code && o->action != GLE_CHECK && !o->graph)
        code = run_plan(&plan, is_last, comm, forecast);
    gle_plan_clear(&plan);
    return code;
}

/* --- over ranks --- */

/* All plans of a command; those that cannot be loaded are left out, with errors shown, unless somebody else does.
 * Owns: *plans (*n), drop_plans(). *problem: the first error; "". Returns its exit code. */
static int load_plans(struct gle_plan **plans, size_t *n, char *problem, size_t size, const struct gle_options *o,
                      const char *command, const volatile sig_atomic_t *stop, bool shows)
{
    int code = 0;

    *n = 0;
    *plans = gle_calloc(o->n_configs + 1, sizeof **plans);
    if (!*plans)
        return gle_code_exit(GLE_ENOMEM);
    for (size_t i = 0; i < o->n_configs && !*stop; i++) {
        struct gle_plan *plan = &(*plans)[*n];
        struct gle_errors errs = {0};
        struct gle_error err = {0};
        *plan = (struct gle_plan){.options = *o, .command = command, .stop = stop};
        if (!gle_plan_load(plan, o->configs[i], &errs) && !gle_plan_place(plan, &err)) {
            (*n)++;
            continue;
        }
        if (err.code)
            gle_errors_add(&errs, &err);
        gle_plan_clear(plan);
        if (!code && errs.n)
            gle_error_format(problem, size, &errs.item[0]);
        code = code ? code : errs.n ? gle_code_exit(errs.item[0].code) : gle_code_exit(GLE_ENOMEM);
        if (shows)
            gle_show_errors(&errs);
    }
    return code;
}

static void drop_plans(struct gle_plan *plans, size_t n)
{
    for (size_t i = 0; i < n && plans; i++)
        gle_plan_clear(&plans[i]);
    gle_free(plans);
}

static void note_idle(const struct gle_plan *plans, size_t n, const struct gle_comm *comm)
{
    size_t n_runs = 0;

    for (size_t i = 0; i < n; i++)
        n_runs += plans[i].code ? 0 : plans[i].n_runs;
    if (n_runs && n_runs < comm->size && !plans->options.quiet)
        fprintf(stderr, "glesim: %zu run%s for %zu ranks: %zu of these %s nothing to do\n", n_runs,
                n_runs > 1 ? "s" : "", comm->size, comm->size - n_runs, comm->size - n_runs > 1 ? "have" : "has");
}

/* One run, of whose batches each rank has some rows. */
static int run_together(struct gle_plan *plans, size_t n, struct gle_comm *comm)
{
    struct gle_error err = {0};
    size_t processors;
    int code;

    if (gle_rows_check_plans(plans, n, &err) || make_way(plans, &processors, &err) ||
        gle_plan_run_together(&code, plans, processors, comm, &err))
        return gle_show_error(stderr, &err);
    return code;
}

/* The runs of all configs are one list, so that no rank waits for the end of a config. */
static int run_over_ranks(const struct gle_options *o, const char *command, struct gle_comm *comm,
                          const volatile sig_atomic_t *stop)
{
    char problem[512] = "";
    struct gle_plan *plans;
    size_t n, processors = 1;
    int code = load_plans(&plans, &n, problem, sizeof problem, o, command, stop, true), one;
    bool any = false;

    if (gle_rows_wanted(plans, n)) {
        one = run_together(plans, n, comm);
        drop_plans(plans, n);
        return code ? code : one;
    }
    for (size_t i = 0; i < n; i++) {
        struct gle_error err = {0};
        plans[i].code = make_way(&plans[i], &processors, &err) ? gle_show_error(stderr, &err) : 0;
        code = code ? code : plans[i].code;
        any = any || !plans[i].code;
    }
    if (any && !*stop) {
        note_idle(plans, n, comm);
        one = run_side_by_side(plans, n, processors, comm);
        code = code ? code : one;
    }
    drop_plans(plans, n);
    return code;
}

/* A dry run that says what ranks cost and bring. */
static bool is_forecast(const struct gle_options *o)
{
    return o->action == GLE_DRY_RUN && !o->graph;
}

/* Where all ranks make one run together, they are all needed to foretell what it takes; *done: they were. */
static int foretell_together(bool *done, const struct gle_options *o, const char *command, struct gle_comm *comm,
                             const volatile sig_atomic_t *stop)
{
    char problem[512] = "";
    struct gle_plan *plans;
    size_t n;
    int code = load_plans(&plans, &n, problem, sizeof problem, o, command, stop, false);

    *done = gle_rows_wanted(plans, n);
    if (*done) {
        code = look_at_networks(&plans[0]);
        code = code ? code : run_together(plans, n, comm);
    }
    drop_plans(plans, n);
    return code;
}

int gle_command_serve(const struct gle_options *o, const char *command, struct gle_comm *comm, const char *problem,
                      const volatile sig_atomic_t *stop)
{
    char unread[512] = "";
    struct gle_error err = {0};
    struct gle_plan *plans = NULL;
    size_t n = 0, processors = 1;
    int rc;

    if (!problem[0] && (o->action == GLE_RUN || is_forecast(o)))
        (void)load_plans(&plans, &n, unread, sizeof unread, o, command, stop, false);
    if (gle_limits_processors(&processors, &err))
        problem = err.text;
    rc = gle_plans_serve(plans, n, processors, comm, problem[0] ? problem : n ? "" : unread, stop, &err);
    drop_plans(plans, n);
    return rc ? gle_show_error(stderr, &err) : 0;
}

int gle_command_run(const struct gle_options *o, const char *command, struct gle_comm *comm,
                    const volatile sig_atomic_t *stop)
{
    struct gle_forecast forecast = {0};
    struct gle_error err = {0};
    bool done = false;
    int code = 0;

    if (comm->size > 1 && o->action == GLE_RUN)
        return run_over_ranks(o, command, comm, stop);
    if (comm->size > 1 && is_forecast(o))
        code = foretell_together(&done, o, command, comm, stop);
    if (done)
        return code;
    code = 0; /* what is wrong with a config is told below */
    for (size_t i = 0; i < o->n_configs && !*stop; i++) {
        const int one = run_config(o->configs[i], o, command, stop, i + 1 == o->n_configs, comm, &forecast);
        code = code ? code : one;
    }
    if (forecast.n && comm->size > 1 && !*stop && gle_forecast_show(&forecast, comm->size, &err))
        code = gle_show_error(stderr, &err);
    gle_forecast_clear(&forecast);
    return code;
}
