/* glesim: from a YAML description to a trained network and a JSON report. Wiring, errors and exit codes. */
#include "base/memory.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/merge.h"
#include "cli/options.h"
#include "cli/ranks.h"
#include "cli/show.h"
#include "cli/signals.h"
#include "cli/verify.h"
#include "comm/comm.h"
#include "schema/schema.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Meets the other ranks, if this process was started as one of several. *starter: see gle_comm_is_expected(). */
static int meet_others(struct gle_comm *comm, char starter[GLE_COMM_STARTER], const char *command,
                       struct gle_error *err)
{
    size_t size;

    *comm = gle_comm_alone();
    if (gle_comm_is_expected(&size, starter) && gle_comm_start(comm, command, err))
        return -1;
    if (comm->size > 1) /* a signal may come from the program that started the ranks, and by way of another rank, too */
        gle_signals_from(getpid());
    return 0;
}

static void note_starter(const char *starter, const struct gle_options *o)
{
    if (starter[0] && o->action == GLE_RUN && !o->quiet)
        fprintf(stderr, "glesim: mpirun has started %s as one of several ranks, and this is not one: it works alone\n",
                starter);
}

/* What the first rank does, or the only one. */
static int act(const struct gle_options *o, const char *command, struct gle_comm *comm,
               const volatile sig_atomic_t *stop)
{
    int code = 0;

    if (o->action == GLE_HELP)
        gle_options_help(stdout);
    else if (o->action == GLE_SHOW_VERSION)
        gle_show_version();
    else if (o->action == GLE_LIST)
        gle_show_list();
    else if (o->action == GLE_SHOW_SCHEMA)
        code = show_schema();
    atexit(on_exit_within);
    runs_under_way = true;
    if (o->action == GLE_SUMMARISE)
        code = gle_merge(o);
    else if (o->action == GLE_VERIFY)
        code = gle_verify(o, command, stop);
    else if (o->action <= GLE_SHOW_RUNS)
        code = gle_command_run(o, command, comm, stop);
    runs_under_way = false;
    gle_ranks_dismiss(comm);
    code = close_output(o, code);
    if (*stop && o->action == GLE_RUN && !o->quiet)
        fputs("glesim: stopped; the same command with --resume goes on\n", stderr);
    return *stop ? 128 + (int)*stop : code;
}

int main(int argc, char **argv)
{
    struct gle_options o = {.action = GLE_RUN};
    struct gle_error err = {0};
    char *command = join(argc, argv), starter[GLE_COMM_STARTER] = "";
    struct gle_comm comm = gle_comm_alone();
    const volatile sig_atomic_t *stop;
    int code;

    occupy_standard_streams();
    stop = gle_signals_catch();
    if (!command)
        gle_fail(&err, GLE_ENOMEM, "no memory for the command line");
    else if (!meet_others(&comm, starter, command, &err) && !gle_options_parse(&o, argc, argv, &err))
        note_starter(starter, &o);
    if (comm.rank) {
        code = gle_command_serve(&o, command, &comm, err.text, stop);
    } else if (err.code) {
        gle_ranks_dismiss(&comm);
        code = gle_show_error(stderr, &err);
    } else {
        code = act(&o, command, &comm, stop);
    }
    gle_options_clear(&o);
    gle_free(command);
    return code;
}
