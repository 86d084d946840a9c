#include "backend/guard.h"

#include <stddef.h>

/* What a thread does to itself cannot wait. */
static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};

void gle_guard_enter(struct gle_guard *guard)
{
    sigset_t others;

    sigfillset(&others);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&others, own[i]);
    pthread_sigmask(SIG_BLOCK, &others, &guard->mask);
    for (int i = 1; i <= GLE_GUARDED; i++)
        sigaction(i, NULL, &guard->handlers[i]);
}

void gle_guard_leave(const struct gle_guard *guard)
{
    for (int i = 1; i <= GLE_GUARDED; i++)
        if (i != SIGKILL && i != SIGSTOP) /* whose handlers are the system's */
            sigaction(i, &guard->handlers[i], NULL);
    pthread_sigmask(SIG_SETMASK, &guard->mask, NULL);
}
