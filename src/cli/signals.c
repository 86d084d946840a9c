#include "cli/signals.h"

#include <stddef.h>

enum action {
    END,          /* the run ends after the step that it is in, with a checkpoint; a second one ends the program */
    END_REPEATED, /* likewise, but more of them follow by themselves, and mean nothing */
    IGNORE,       /* the write fails instead */
    DEFAULT,      /* whatever a parent process has made of it */
    REMEMBER,     /* see gle_signals_remember_stops() */
};
static const struct {
    int number;
    enum action action;
} table[] = {
    {SIGINT, END},
    {SIGTERM, END},
    {SIGHUP, END},  /* the terminal is closed */
    {SIGUSR1, END}, /* Slurm's --signal, before the time of a job is up, */
    {SIGUSR2, END}, /* and other systems' */
    {SIGXCPU, END_REPEATED}, /* the limit of processor time; again every second */
    {SIGPIPE, IGNORE}, /* the reader of an output has gone: no reason to stop working */
    {SIGXFSZ, IGNORE}, /* the limit of a file's size */
    {SIGCHLD, DEFAULT}, /* ignored, the exit codes of runs would be lost */
    {SIGTSTP, REMEMBER},
    {SIGCONT, REMEMBER},
};
enum { N_SIGNALS = sizeof table / sizeof *table };

static volatile sig_atomic_t stop_signal;
static volatile sig_atomic_t seen[N_SIGNALS][2]; /* from elsewhere, from the parent */
static volatile sig_atomic_t parent_pid;         /* 0: nobody hands signals on */

static size_t row_of(int number)
{
    size_t i = 0;

    while (table[i].number != number)
        i++;
    return i;
}

static void on_end(int number, siginfo_t *info, void *context)
{
    const size_t i = row_of(number), from = parent_pid && info->si_pid == parent_pid;

    (void)context;
    stop_signal = number;
    if (seen[i][from] && table[i].action == END) {
        signal(number, SIG_DFL);
        raise(number); /* comes when this function is over */
    }
    seen[i][from] = 1;
}

static void on_stop(int number)
{
    seen[row_of(number)][0] = 1;
}

static bool is_ignored(int number)
{
    struct sigaction now;

    return !sigaction(number, NULL, &now) && now.sa_handler == SIG_IGN;
}

const volatile sig_atomic_t *gle_signals_catch(void)
{
    for (size_t i = 0; i < N_SIGNALS; i++) {
        const enum action what = table[i].action;
        const bool ends = what == END || what == END_REPEATED;
        struct sigaction action = {.sa_flags = ends ? SA_SIGINFO : 0};

        sigemptyset(&action.sa_mask);
        if (ends)
            action.sa_sigaction = on_end;
        else
            action.sa_handler = what == IGNORE ? SIG_IGN : SIG_DFL;
        if (what != REMEMBER && !(table[i].number == SIGHUP && is_ignored(SIGHUP)))
            sigaction(table[i].number, &action, NULL);
    }
    return &stop_signal;
}

void gle_signals_from(pid_t parent)
{
    parent_pid = (sig_atomic_t)parent;
}

void gle_signals_remember_stops(bool on)
{
    struct sigaction action = {.sa_handler = on ? on_stop : SIG_DFL};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < N_SIGNALS; i++)
        if (table[i].action == REMEMBER && !is_ignored(table[i].number))
            sigaction(table[i].number, &action, NULL);
}

bool gle_signals_came(int number)
{
    const size_t i = row_of(number);
    const bool came = seen[i][0];

    seen[i][0] = 0;
    return came;
}

void gle_signals_stop_here(void)
{
    gle_signals_remember_stops(false);
    raise(SIGTSTP);
    gle_signals_remember_stops(true);
}
