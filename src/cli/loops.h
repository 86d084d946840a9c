/* loops.h - words about errors that can grow round a loop of the network. */
#ifndef GLE_CLI_LOOPS_H
#define GLE_CLI_LOOPS_H

#include "config/experiment.h"
#include "solver/net.h"

/* Warns on standard error, with the place in the file, of loops round which errors can grow, as measured on the initial
 * parameters (solver/loops.h). Says nothing where those cannot be had, as from a file that is not there: the run will.
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_loops_warn(const struct gle_experiment *exp, struct gle_error *err);

/* For a run that diverged: "; errors go round ...", of the strongest loop whose errors come to a layer of `net` that
 * has gone wild; "" if there is none, or no memory to find it. */
void gle_loops_explain(char *buf, size_t size, const struct gle_net *net);

#endif
