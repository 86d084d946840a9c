/* rows.h - one run that all ranks make together: the rows of its batches are spread over them (compute.ranks). */
#ifndef GLE_CLI_ROWS_H
#define GLE_CLI_ROWS_H

#include "cli/many.h"

/* Whether one of n plans asks for that. */
bool gle_rows_wanted(const struct gle_plan *plans, size_t n);
/* Whether the plans are one run. Errors: GLE_EUSAGE, placed in the config that asks. */
GLE_MUST_CHECK int gle_rows_check_plans(const struct gle_plan *plans, size_t n, struct gle_error *err);
/* Makes the run; all ranks call it. The first one shows what comes of it. Returns the exit code. A rank that fails
 * where it cannot tell the others ends the program, and mpirun ends theirs. */
int gle_rows_run(const struct gle_plan *plan, struct gle_comm *comm);

#endif
