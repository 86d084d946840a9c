/* again.h - runs that are there, made again from their own configs. */
#ifndef GLE_CLI_AGAIN_H
#define GLE_CLI_AGAIN_H

#include "cli/options.h"

#include <signal.h>

/* Makes the run in a folder, or those that lie below it, again, one by one, in a temporary folder that is removed
 * afterwards, and says on standard output whether they give the same bits, or what they differ in. Errors go to
 * standard error. Returns the exit code of the first that failed; 7: one differs. This process may not have started
 * threads. */
int gle_again(const struct gle_options *options, const char *dir, const char *command,
              const volatile sig_atomic_t *stop);

#endif
