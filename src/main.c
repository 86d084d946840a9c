/* glesim: from a YAML description to a trained network and a JSON report. Wiring, errors and exit codes. */
#include "base/memory.h"
#include "base/text.h"
#include "cli/many.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/show.h"
#include "report/schema.h"

#include <fcntl.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal;

/* The first signal ends the run after the step that it is in, with a checkpoint; a second one ends the program. */
static void on_signal(int number)
{
    stop_signal = number;
    signal(number, SIG_DFL);
}

/* All of them, in the order of the file; the exit code is that of the first. */
static int print_errors(struct gle_errors *errs)
{
    gle_errors_sort(errs);
    for (size_t i = 0; i < errs->n; i++)
        gle_show_error(&errs->item[i]);
    if (errs->dropped)
        fprintf(stderr, "glesim: and %zu more error%s\n", errs->dropped, errs->dropped > 1 ? "s" : "");
    return errs->n ? gle_code_exit(errs->item[0].code) : 5;
}

/* Processors that this process may use: those it is bound to, and no more than OMP_NUM_THREADS or a Slurm job's share
 * say. */
static size_t count_processors(void)
{
    const char *share = getenv("SLURM_CPUS_PER_TASK");
    const size_t n = (size_t)omp_get_max_threads();
    uint64_t slurm;

    return share && !gle_text_count(&slurm, share) && slurm && slurm < n ? (size_t)slurm : n;
}

static bool threads_started; /* after which no process may be forked that starts threads of its own */

static int run_one_by_one(const struct gle_plan *plan)
{
    const struct gle_options *o = &plan->options;
    const struct gle_session_how how = {.options = o,
                                        .command = plan->command,
                                        .threads = o->threads ? o->threads : count_processors(),
                                        .progress = -1,
                                        .stop = plan->stop};
    int code = 0;

    threads_started = true;
    /* the first point of a sweep tells what all will take */
    for (size_t i = 0; i < plan->n_runs && !stop_signal && (!i || !plan->runs[i].exp->sweep.label); i++) {
        struct gle_error err = {0};
        if (gle_session_run(plan->runs[i].exp, &how, &err)) {
            const int one = gle_show_error(&err);
            code = code ? code : one;
        }
    }
    if (o->action == GLE_DRY_RUN && plan->runs[0].exp->sweep.label)
        printf("  sweep             %zu runs, of which this is the first, %s\n", plan->n_runs,
               plan->runs[0].exp->sweep.label);
    return code;
}

static int run_side_by_side(struct gle_plan *plan)
{
    struct gle_error err = {0};
    int code;

    if (threads_started)
        gle_fail(&err, GLE_EUSAGE, "%s: runs side by side must come first on the command line, or alone",
                 plan->runs[0].exp->name);
    else if (!gle_plan_run(&code, plan, count_processors(), &err))
        return code;
    return gle_show_error(&err);
}

static int run_config(const char *path, const struct gle_options *o, const char *command)
{
    struct gle_plan plan = {.options = *o, .command = command, .stop = &stop_signal};
    struct gle_errors errs = {0};
    int code = 0;

    if (gle_plan_load(&plan, path, &errs)) {
        gle_plan_clear(&plan);
        return print_errors(&errs);
    }
    for (size_t i = 0; o->action != GLE_CHECK && i < plan.lists[0].n; i++) /* before the first run begins */
        code |= gle_experiment_pending(plan.lists[0].item[i], &errs);
    if (code)
        code = print_errors(&errs);
    else if (o->action == GLE_CHECK && !o->quiet)
        printf("%s: ok\n", path);
    else if (o->action == GLE_RUN && (o->n_seeds || o->jobs || plan.runs[0].exp->sweep.label))
        code = run_side_by_side(&plan);
    else if (o->action != GLE_CHECK)
        code = run_one_by_one(&plan);
    gle_plan_clear(&plan);
    return code;
}

/* argv as one text, for the report; NULL: no memory. */
static char *join(int argc, char **argv)
{
    size_t n = 1;
    char *text;

    for (int i = 0; i < argc; i++)
        n += strlen(argv[i]) + 1;
    text = gle_calloc(n, 1);
    for (int i = 0; text && i < argc; i++) {
        strcat(text, i ? " " : "");
        strcat(text, argv[i]);
    }
    return text;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL); /* Slurm's --signal, before a job's time is up */
}

static int show_schema(void)
{
    char *text = gle_schema_json();

    if (!text)
        return gle_show_error(&(struct gle_error){.code = GLE_ENOMEM, .text = "no memory for the schema"});
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

int main(int argc, char **argv)
{
    struct gle_options o = {.action = GLE_RUN};
    struct gle_error err = {0};
    char *command = join(argc, argv);
    int code = 0;

    occupy_standard_streams();
    if (!command)
        gle_fail(&err, GLE_ENOMEM, "no memory for the command line");
    if (!command || gle_options_parse(&o, argc, argv, &err)) {
        gle_options_clear(&o);
        gle_free(command);
        return gle_show_error(&err);
    }
    if (o.action == GLE_HELP)
        gle_options_help(stdout);
    else if (o.action == GLE_SHOW_VERSION)
        gle_show_version();
    else if (o.action == GLE_LIST)
        gle_show_list();
    else if (o.action == GLE_SHOW_SCHEMA)
        code = show_schema();
    catch_signals();
    for (size_t i = 0; o.action <= GLE_DRY_RUN && i < o.n_configs && !stop_signal; i++) {
        const int one = run_config(o.configs[i], &o, command);
        code = code ? code : one;
    }
    gle_options_clear(&o);
    gle_free(command);
    if ((fflush(stdout) || ferror(stdout)) && !code)
        code = gle_show_error(&(struct gle_error){.code = GLE_EWRITE, .text = "standard output cannot be written"});
    return stop_signal ? 128 + (int)stop_signal : code;
}
