/* way.h - what carries messages between ranks: MPI, or nothing. A process by itself needs none of it. */
#ifndef GLE_COMM_WAY_H
#define GLE_COMM_WAY_H

#include "comm/comm.h"

/* Each as the function in comm.h, of a comm that has a way. start: sets rank, size and way. */
GLE_MUST_CHECK int gle_way_start(struct gle_comm *comm, struct gle_error *err);
void gle_way_end(struct gle_comm *comm, bool together);
/* Puts `size` bytes of every rank side by side: all (comm->size * size). */
GLE_MUST_CHECK int gle_way_gather(struct gle_comm *comm, void *all, const void *mine, size_t size,
                                  struct gle_error *err);
GLE_MUST_CHECK int gle_way_sum(struct gle_comm *comm, float *values, size_t n, struct gle_error *err);
GLE_MUST_CHECK int gle_way_sum_doubles(struct gle_comm *comm, double *values, size_t n, struct gle_error *err);
GLE_MUST_CHECK int gle_way_sum_both(struct gle_comm *comm, double *doubles, size_t n_doubles, float *values, size_t n,
                                    struct gle_error *err);
GLE_MUST_CHECK int gle_way_share(struct gle_comm *comm, void *bytes, size_t n, struct gle_error *err);
GLE_MUST_CHECK int gle_way_send(struct gle_comm *comm, size_t to, int tag, const void *bytes, size_t n,
                                struct gle_error *err);
bool gle_way_receive(struct gle_comm *comm, struct gle_comm_message *message);

#endif
