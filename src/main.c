/* glesim: from a YAML description to a trained network and a JSON report. Wiring, errors and exit codes. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/initial.h"
#include "cli/limits.h"
#include "cli/loops.h"
#include "cli/many.h"
#include "cli/notes.h"
#include "cli/obstacles.h"
#include "cli/options.h"
#include "cli/picture.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/signals.h"
#include "cli/trouble.h"
#include "schema/schema.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All of them, in the order of the file; the exit code is that of the first. */
static int print_errors(struct gle_errors *errs)
{
    gle_errors_sort(errs);
    for (size_t i = 0; i < errs->n; i++)
        gle_show_error(stderr, &errs->item[i]);
    if (errs->dropped)
        fprintf(stderr, "glesim: and %zu more error%s\n", errs->dropped, errs->dropped > 1 ? "s" : "");
    return errs->n ? gle_code_exit(errs->item[0].code) : 5;
}

static bool threads_started; /* after which no process may be forked that starts threads of its own */

/* What all runs of a dry run take, each point measured for a moment; beyond that time the others are taken to be like
 * those. */
static int show_all(const struct gle_plan *plan, const struct gle_session_how *how, struct gle_share share)
{
    static const double EACH = 0.05, AT_MOST = 10.0; /* seconds */
    const size_t n_seeds = plan->options.n_seeds ? plan->options.n_seeds : 1, n = plan->n_runs * n_seeds;
    const double start = gle_clock();
    double all = 0.0, one;
    char text[32], together[32];
    size_t i = 0;

    for (; i < plan->n_runs && !*plan->stop && (!i || gle_clock() - start < AT_MOST); i++) {
        struct gle_error err = {0};
        if (gle_session_estimate(&one, plan->runs[i].exp, how, EACH, &err))
            return gle_show_error(stderr, &err);
        all += one;
    }
    if (*plan->stop)
        return 0;
    all *= (double)n / (double)i;
    gle_format_duration(text, sizeof text, all);
    printf("  all %zu runs%*s %s one after the other", n, n < 10 ? 7 : n < 100 ? 6 : 5, "", text);
    gle_format_duration(together, sizeof together, all / (double)share.at_once);
    if (gle_plan_on_device(plan))
        printf("; less side by side on the device");
    else
        printf(", %s with %zu at a time", together, share.at_once);
    if (i < plan->n_runs)
        printf(", by %zu of %zu combinations", i, plan->n_runs);
    putchar('\n');
    return 0;
}

static int run_one_by_one(const struct gle_plan *plan, size_t processors)
{
    const struct gle_options *o = &plan->options;
    const bool sweeps = plan->runs[0].exp->sweep.label != NULL, dry = o->action == GLE_DRY_RUN;
    const bool many = dry && (o->n_seeds || o->jobs || sweeps);
    const size_t n_seeds = o->n_seeds ? o->n_seeds : 1;
    const struct gle_share share = gle_plan_share(plan, plan->n_runs * n_seeds, processors);
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

    gle_accelerator_start(&accelerator, 1);
    threads_started = true;
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
    code = many && !code && plan->n_runs * n_seeds > 1 ? show_all(plan, &how, share) : code;
    gle_accelerator_close(&accelerator);
    return code;
}

static int run_side_by_side(struct gle_plan *plan, size_t processors)
{
    struct gle_error err = {0};
    int code;

    if (threads_started)
        gle_fail(&err, GLE_EUSAGE, "%s: runs side by side must come first on the command line, or alone",
                 plan->runs[0].exp->name);
    else if (!gle_plan_run(&code, plan, processors, &err))
        return code;
    return gle_show_error(stderr, &err);
}

/* Runs, or a dry run, of a plan that is loaded. */
static int run_plan(struct gle_plan *plan)
{
    const struct gle_options *o = &plan->options;
    struct gle_error err = {0};
    size_t processors;

    if (gle_limits_processors(&processors, &err) || gle_plan_place(plan, &err) ||
        (o->action == GLE_RUN && gle_plan_check(plan, threads_started ? 1 : processors, &err)))
        return gle_show_error(stderr, &err);
    if (!o->quiet) {
        gle_notes_print_settings(&plan->lists[0]);
        gle_trouble_warn(&plan->lists[0]);
    }
    if (o->action == GLE_RUN && (o->n_seeds || o->jobs || plan->runs[0].exp->sweep.label))
        return run_side_by_side(plan, processors);
    return run_one_by_one(plan, processors);
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

static int run_config(const char *path, const struct gle_options *o, const char *command,
                      const volatile sig_atomic_t *stop)
{
    struct gle_plan plan = {.options = *o, .command = command, .stop = stop};
    struct gle_errors errs = {0};
    int code = 0;

    if (gle_plan_load(&plan, path, &errs)) {
        gle_plan_clear(&plan);
        return print_errors(&errs);
    }
    if (o->action != GLE_RUN)
        code = look_at_networks(&plan);
    if (!code && o->action == GLE_CHECK && !o->quiet) {
        gle_notes_print_settings(&plan.lists[0]); /* seeds make no difference to them */
        gle_trouble_warn(&plan.lists[0]);         /* and factors alone to these, which are drawn */
        printf("%s: ok\n", path);
    }
    else if (!code && o->action != GLE_CHECK && !o->graph)
        code = run_plan(&plan);
    gle_plan_clear(&plan);
    return code;
}

/* argv as one line that a shell takes, for the report; NULL: no memory. */
static char *join(int argc, char **argv)
{
    size_t n = 1, at = 0;
    char *text;

    for (int i = 0; i < argc; i++)
        n += GLE_SHELL_ROOM(strlen(argv[i]));
    text = gle_calloc(n, 1);
    for (int i = 0; text && i < argc; i++) {
        if (i)
            text[at++] = ' ';
        at += gle_text_shell(text + at, argv[i]);
    }
    return text;
}

static int show_schema(void)
{
    char *text = gle_schema_json();

    if (!text)
        return gle_show_error(stderr, &(struct gle_error){.code = GLE_ENOMEM, .text = "no memory for the schema"});
    fputs(text, stdout);
    gle_free(text);
    return 0;
}

/* A file must not get the number of a standard stream that was closed, or text would end up in it. Open for reading,
 * they still refuse to be written to. */
static void occupy_standard_streams(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* Whether what is written to standard output goes nowhere, since its reader, as `head -1`, has gone. */
static bool reader_left(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

    return poll(&out, 1, 0) > 0 && out.revents & (POLLERR | POLLHUP);
}

/* Work is not spoilt by a reader that did not wait for its end; an output that was lost in another way is an error. */
static int close_output(const struct gle_options *o, int code)
{
    if (!fflush(stdout) && !ferror(stdout))
        return code;
    if (!reader_left())
        return code ? code : gle_show_error(stderr, &(struct gle_error){.code = GLE_EWRITE,
                                                                .text = "standard output cannot be written"});
    if (o->action == GLE_RUN && !o->quiet)
        fputs("glesim: nobody read standard output to its end; the runs have gone on without\n", stderr);
    return code;
}

static bool runs_under_way;

/* The library of OpenMP ends the program by exit(1) when it cannot make a thread. */
static void on_exit_within(void)
{
    if (!runs_under_way)
        return;
    fputs("glesim: no more threads are to be had; fewer may do: --threads N\n", stderr);
    _exit(gle_code_exit(GLE_ENOMEM));
}

int main(int argc, char **argv)
{
    struct gle_options o = {.action = GLE_RUN};
    struct gle_error err = {0};
    char *command = join(argc, argv);
    const volatile sig_atomic_t *stop;
    int code = 0;

    occupy_standard_streams();
    stop = gle_signals_catch();
    if (!command)
        gle_fail(&err, GLE_ENOMEM, "no memory for the command line");
    if (!command || gle_options_parse(&o, argc, argv, &err)) {
        gle_options_clear(&o);
        gle_free(command);
        return gle_show_error(stderr, &err);
    }
    if (o.action == GLE_HELP)
        gle_options_help(stdout);
    else if (o.action == GLE_SHOW_VERSION)
        gle_show_version();
    else if (o.action == GLE_LIST)
        gle_show_list();
    else if (o.action == GLE_SHOW_SCHEMA)
        code = show_schema();
    atexit(on_exit_within);
    runs_under_way = true;
    for (size_t i = 0; o.action <= GLE_DRY_RUN && i < o.n_configs && !*stop; i++) {
        const int one = run_config(o.configs[i], &o, command, stop);
        code = code ? code : one;
    }
    runs_under_way = false;
    code = close_output(&o, code);
    if (*stop && o.action == GLE_RUN && !o.quiet)
        fputs("glesim: stopped; the same command with --resume goes on\n", stderr);
    gle_options_clear(&o);
    gle_free(command);
    return *stop ? 128 + (int)*stop : code;
}
