#include "cli/apart.h"
#include "cli/signals.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

static _Noreturn void be_apart(int (*work)(void *ctx), void *ctx, pid_t parent)
{
    int code;

    gle_signals_from(parent);
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGXCPU); /* as in crews.c */
#endif
    if (getppid() != parent)
        _exit(5);
    code = work(ctx);
    if (fflush(stdout) && !code)
        code = 3;
    (void)fflush(stderr);
    _exit(code);
}

/* A signal may come between a look at it and a wait for the process, so the waits are short ones. */
static int wait_for(int *status, pid_t pid, const volatile sig_atomic_t *stop)
{
    static const struct timespec NAP = {0, 10 * 1000000L};
    bool told = false;
    pid_t ended;

    while (!(ended = waitpid(pid, status, WNOHANG)) || (ended < 0 && errno == EINTR)) {
        if (*stop && !told)
            kill(pid, (int)*stop);
        told = *stop != 0;
        nanosleep(&NAP, NULL);
    }
    return ended < 0 ? -1 : 0;
}

int gle_apart(int *code, int (*work)(void *ctx), void *ctx, const volatile sig_atomic_t *stop, struct gle_error *err)
{
    const pid_t parent = getpid();
    int status;
    pid_t pid;

    fflush(stdout);
    fflush(stderr);
    pid = fork();
    if (pid < 0)
        return gle_fail(err, GLE_ENOMEM, "no process for a config: %s", strerror(errno));
    if (!pid)
        be_apart(work, ctx, parent);
    if (wait_for(&status, pid, stop))
        return gle_fail(err, GLE_ENOMEM, "nobody can tell how a config ended: %s", strerror(errno));
    *code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (WIFSIGNALED(status))
        fprintf(stderr, "glesim: killed by signal %d\n", WTERMSIG(status));
    return 0;
}
