/* together.h - what ranks that make one run together have to agree on, so that none waits for one that has failed. */
#ifndef GLE_CLI_TOGETHER_H
#define GLE_CLI_TOGETHER_H

#include "comm/comm.h"

#include <stdbool.h>

/* Each rank says how something has gone, by rc and *err; where it has failed on any, it has failed on all, as the
 * first of them says. comm NULL: there is one rank, and nothing changes. Errors: those, and GLE_EDEVICE. */
GLE_MUST_CHECK int gle_together(struct gle_comm *comm, int rc, struct gle_error *err);
/* All ranks take over what rank 0 has found. Errors: GLE_EDEVICE. */
GLE_MUST_CHECK int gle_together_follow(struct gle_comm *comm, bool *found, struct gle_error *err);

#endif
