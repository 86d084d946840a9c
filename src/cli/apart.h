/* apart.h - work in a process of its own, which leaves no threads behind. */
#ifndef GLE_CLI_APART_H
#define GLE_CLI_APART_H

#include "base/error.h"

#include <signal.h>

/* Calls work(ctx) in a process of its own, with the same input and outputs, and waits for it; a signal that comes to
 * *stop in the meantime is handed on. *code: what work returned; 128 + n if signal n killed it. This process may not
 * have started threads. Errors: GLE_ENOMEM (no process). */
GLE_MUST_CHECK int gle_apart(int *code, int (*work)(void *ctx), void *ctx, const volatile sig_atomic_t *stop,
                             struct gle_error *err);

#endif
