/* bench_link.h - how fast links are, call by call. Errors end the program. */
#ifndef GLE_TOOLS_BENCH_LINK_H
#define GLE_TOOLS_BENCH_LINK_H

#include "bench.h"

#include <stddef.h>

enum link_call { LINK_FORWARD, LINK_BACK, LINK_GRADIENT, LINK_POOL, LINK_POOL_BACK, LINK_CALLS };
extern const char *const link_calls[LINK_CALLS]; /* their names */

/* A link between a source and a target, and a batch, on one thread. */
struct link_row {
    const char *settings;            /* as a config has them after `connect:` */
    size_t channels, dims, size[2];  /* of the source */
    size_t neurons;                  /* of the target; of a convolution: channels */
    size_t batch;
    double flops;                    /* of each of the first three calls */
    double seconds[LINK_CALLS];      /* NaN: there is no such call */
};

/* Links such as layers have, the best of `repeats` measurements of each call, which take turns. Owns: the result, *n
 * rows, belongs to the caller (gle_free). */
struct link_row *measure_links(size_t *n, size_t repeats);

#endif
