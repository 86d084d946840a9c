/* verify.h - whether what a config claims of its runs (expect) holds, and whether runs can be made again. */
#ifndef GLE_CLI_VERIFY_H
#define GLE_CLI_VERIFY_H

#include "cli/options.h"

#include <signal.h>

/* Of each file that options->configs names: takes the runs that are claimed and there, makes the others, side by side,
 * and says on standard output of each claim whether it holds. Of each folder: makes the runs in it again (again.h).
 * Errors go to standard error. Returns the exit code of the first that failed: 7, where a claim does not hold, or a run
 * comes to something else. This process may not have started threads. */
int gle_verify(const struct gle_options *options, const char *command, const volatile sig_atomic_t *stop);

#endif
