/* comm.h - the processes that work on one command: each has a rank, from 0 on. A process is one by itself, unless
 * mpirun or srun has started it beside others. */
#ifndef GLE_COMM_COMM_H
#define GLE_COMM_COMM_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a process is, and how it is told apart. */
struct gle_comm_peer {
    char host[64];
    int64_t pid;
};

struct gle_comm {
    size_t rank, size;
    size_t n_here;               /* ranks on this machine, this one among them */
    struct gle_comm_peer *peers; /* (size); NULL of a process by itself */
    bool *seen;                  /* (size): whether it is on this machine, where its end can be seen */
    bool *given_up;              /* (size): see gle_comm_give_up() */
    void *way;                   /* what messages go by; NULL of a process by itself */
};

/* What the environment says of this process: whether it was started as one of several, *size. In a process that one of
 * these has started, or that had no chance to look, it is not: their variables are handed down. *starter: if it was
 * not, but the environment looks so, the name of the program that started it; "" otherwise. */
enum { GLE_COMM_STARTER = 32 };
bool gle_comm_is_expected(size_t *size, char starter[GLE_COMM_STARTER]);

/* Meets the others, all of whom have to call this; what: the command line. Those that were started with different
 * ones have nothing to do with each other, and are each a process by itself.
 * Owns: the caller, gle_comm_end(). Errors: GLE_EUSAGE (a build without MPI), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_comm_start(struct gle_comm *comm, const char *what, struct gle_error *err);
/* What ranks are reached by, for --version: "MPI 3.1", or "no MPI". */
const char *gle_comm_library(void);
/* A process by itself. */
struct gle_comm gle_comm_alone(void);
/* Parts from the others. together: all of them do, and this waits for them; if not, some are lost, and nobody waits. */
void gle_comm_end(struct gle_comm *comm, bool together);

/* Whether a rank is known to have come to its end before it parted: one on this machine that is there no more. */
bool gle_comm_is_lost(const struct gle_comm *comm, size_t rank);
/* From now on it is taken to be lost: nothing has come from it for too long. */
void gle_comm_give_up(struct gle_comm *comm, size_t rank);

/* --- what all ranks call together, each with as many values --- */

/* Adds the values (n) of all ranks, in the order of ranks, in double precision; all have the same sums then, bit for
 * bit. Errors: GLE_EDEVICE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_comm_sum(struct gle_comm *comm, float *values, size_t n, struct gle_error *err);
GLE_MUST_CHECK int gle_comm_sum_doubles(struct gle_comm *comm, double *values, size_t n, struct gle_error *err);
/* The same of both at once, which waits for the others but once where there are few values. */
GLE_MUST_CHECK int gle_comm_sum_both(struct gle_comm *comm, double *doubles, size_t n_doubles, float *values, size_t n,
                                     struct gle_error *err);
/* The least seconds that this has taken in some of as many as go into a tenth of a second, as rank 0 has it: one after
 * the other, so that nobody waits but for the sum. values (n) become anything.
 * Errors: as those. */
GLE_MUST_CHECK int gle_comm_measure(double *seconds, struct gle_comm *comm, size_t n_doubles, float *values, size_t n,
                                    struct gle_error *err);
/* All have the bytes (n) of rank 0 then. Errors: GLE_EDEVICE. */
GLE_MUST_CHECK int gle_comm_share(struct gle_comm *comm, void *bytes, size_t n, struct gle_error *err);

/* --- messages: they come in the order in which a rank has sent them --- */

/* Sends bytes (n), which are copied, and does not wait. Errors: GLE_EDEVICE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_comm_send(struct gle_comm *comm, size_t to, int tag, const void *bytes, size_t n,
                                 struct gle_error *err);

/* A message that has come. bytes (n): borrowed until the next one is asked for. */
struct gle_comm_message {
    size_t from, n;
    int tag;
    const void *bytes;
};
/* Whether there is one; it does not wait. What cannot be received counts as not come. */
bool gle_comm_receive(struct gle_comm *comm, struct gle_comm_message *message);

#endif
