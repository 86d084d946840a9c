/* obstacles.h - what stands in the way of the runs of a command. Found before the first of them starts, so that a
 * command that is refused has changed nothing. */
#ifndef GLE_CLI_OBSTACLES_H
#define GLE_CLI_OBSTACLES_H

#include "cli/many.h"

/* Of several runs that are placed (gle_plan_place()): whether each can begin, go on, or be kept as it is, which it
 * cannot where it was made by another config, from other data or from other files of initial values; and whether
 * summaries that lie there are of the same. One run by itself finds out on its own. Fills plan->origins, for which data
 * sets are opened in processes of their own, on so many processors; 1 if this process has started threads.
 * Errors: GLE_EWRITE, or, under --resume, GLE_EDATA: one message for all that are in the way. Those of
 *         gle_origins_find(). */
GLE_MUST_CHECK int gle_plan_check(struct gle_plan *plan, size_t processors, struct gle_error *err);

#endif
