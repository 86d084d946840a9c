/* merge.h - summaries of runs that are there, from whichever machine. */
#ifndef GLE_CLI_MERGE_H
#define GLE_CLI_MERGE_H

#include "cli/options.h"

/* Writes the summaries of what lies in each of the folders that options->configs names, and says on standard output how
 * many runs each is of and what is missing: runs that have not come to their end; seeds that other folders have, or
 * that lie between those of a folder, if it has more than half of them; and combinations of a sweep. Nothing is run.
 * Errors go to standard error. Returns the exit code of the first folder that failed. */
int gle_merge(const struct gle_options *options);

#endif
