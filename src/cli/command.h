/* command.h - the configs of a command, one after the other, or, over several ranks, all at once. */
#ifndef GLE_CLI_COMMAND_H
#define GLE_CLI_COMMAND_H

#include "cli/options.h"
#include "comm/comm.h"

#include <signal.h>

/* Loads the configs and does with each what options->action says, which is one of those up to GLE_DRY_RUN; errors go to
 * standard error. Returns the exit code of the first that failed. comm: of several ranks this is the first, if any. */
int gle_command_run(const struct gle_options *options, const char *command, struct gle_comm *comm,
                    const volatile sig_atomic_t *stop);
/* What a rank that is not the first does meanwhile; what is wrong with the command or its configs is left to the first.
 * problem: why this rank can make no runs; "": none. Parts from the others. */
int gle_command_serve(const struct gle_options *options, const char *command, struct gle_comm *comm,
                      const char *problem, const volatile sig_atomic_t *stop);

#endif
