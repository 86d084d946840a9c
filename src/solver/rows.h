/* rows.h - a net whose batch is spread over ranks (comm.h): each rank has a net with the same parameters, and steps
 * rows of its own; all make the same step of the optimizer, along gradients that are added in the order of ranks. */
#ifndef GLE_SOLVER_ROWS_H
#define GLE_SOLVER_ROWS_H

#include "solver/net.h"

struct gle_comm;

/* Makes room for that; it begins with gle_net_divide(). The net is on no device, and has no B that aligns itself.
 * Owns:   nothing: comm outlives the net. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_net_spread(struct gle_net *net, struct gle_comm *comm, struct gle_error *err);
/* The ranks over which it is spread; NULL: it is not. */
struct gle_comm *gle_net_comm(const struct gle_net *net);

/* Of the whole batch that the net has, keeps the rows of this rank. From then on all ranks make the same calls, with
 * the same numbers of rows, and of a row: those of the whole batch, which has at least a row for each rank. But input
 * and target are those of the rows that gle_net_own_rows() tells. Losses are of all rows, and come late; a net diverges
 * on all ranks if it does on one. A net that is not spread stays as it is. */
void gle_net_divide(struct gle_net *net);
/* The whole batch on every rank again, for gle_net_archive(); between two steps, when no window is open, all losses are
 * collected, and no gradient waits for the optimizer. Errors: GLE_EDEVICE. */
GLE_MUST_CHECK int gle_net_unite(struct gle_net *net, struct gle_error *err);

/* Whether steps tell their losses late: gle_net_collect() waits for them. */
bool gle_net_tells_late(const struct gle_net *net);

/* Rows of a batch of B that are this rank's, n from `first` on: all, if the net is not spread. */
struct gle_net_rows {
    size_t first, n;
};
struct gle_net_rows gle_net_own_rows(const struct gle_net *net, size_t B);

#endif
