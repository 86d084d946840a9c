/* initial.h - the network of an experiment as it is before the first step. */
#ifndef GLE_CLI_INITIAL_H
#define GLE_CLI_INITIAL_H

#include "config/experiment.h"
#include "solver/net.h"

#include <stdio.h>

struct gle_initial {
    struct gle_graph *graph;
    struct gle_net *net; /* NULL: nobody wanted it */
};

/* Builds it, for batches of one sample. wanted: whether the net is, from its graph; NULL: it is.
 * Owns:   *out belongs to the caller (gle_initial_clear(), also after an error).
 * Errors: those of gle_graph_build(), gle_net_build() and gle_net_init(). */
GLE_MUST_CHECK int gle_initial_build(struct gle_initial *out, const struct gle_experiment *exp,
                                     bool (*wanted)(const struct gle_graph *graph), struct gle_error *err);
void gle_initial_clear(struct gle_initial *initial);

/* Writes a line to `to`, with the place in the file, for each parameter of which initial values lie outside of what was
 * written in learning.bounds. Says nothing where they cannot be had, as from a file that is not there: the run will. */
void gle_initial_note_bounds(FILE *to, const struct gle_experiment *exp);

#endif
