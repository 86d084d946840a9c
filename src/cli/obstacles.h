/* obstacles.h - what stands in the way of the runs of a command. Found before the first of them starts, so that a
 * command that is refused has changed nothing. */
#ifndef GLE_CLI_OBSTACLES_H
#define GLE_CLI_OBSTACLES_H

#include "cli/many.h"

/* Of several runs that are placed (gle_plan_place()): whether each can begin, go on, or be kept as it is; and whether
 * summaries that lie there are of the same config. One run by itself finds out on its own.
 * Errors: GLE_EWRITE, or, under --resume, GLE_EDATA: one message for all that are in the way. GLE_ENOMEM. */
GLE_MUST_CHECK int gle_plan_check(const struct gle_plan *plan, struct gle_error *err);

#endif
