/* loops.h - loops that errors go round, and what they gain there. */
#ifndef GLE_SOLVER_LOOPS_H
#define GLE_SOLVER_LOOPS_H

#include "solver/net.h"

enum { GLE_LOOP_WAY = 200 };

/* A loop of projections that send errors back.
 *
 * gain: what one pass round it multiplies errors by at the most, after many passes: the spectral radius of the product,
 * over its projections, of diag(h * phi') and W^T (or B^T), at the net's present parameters. phi' is the largest slope
 * of the source's activation at potentials of -1, 0 and 1. h is what the source makes of errors of one frequency. For
 * rule gle there are two ends: 1 for errors that last, and (2 tau_m - dt) / (2 tau_r - dt) for those that change their
 * sign with each step, which is tau_m / tau_r where dt is short; the gain is that of the end which gains more. For
 * other rules h is 1. Above 1, errors can grow without bound; whether they do depends on their signs, and on slopes
 * elsewhere. Loops that meet can grow together where none does alone. */
struct gle_error_loop {
    char way[GLE_LOOP_WAY]; /* layers in the direction of rates, "hidden -> readout -> hidden", cut to size */
    double gain;
    bool fast;     /* of errors that change with each step */
    bool *reaches; /* (n_populations): those that errors from the loop come to, itself included */
};
struct gle_error_loops {
    struct gle_error_loop *item; /* the strongest first */
    size_t n;
};

/* Finds a strong loop in each set of layers from which errors come back to each other. Of such a set it looks at the
 * shortest loop through each projection, sets them in order by what one random error gains, and measures the first few,
 * of which it takes the strongest. Parameters are those of now: the initial ones after gle_net_init().
 * Owns:   *out belongs to the caller (gle_error_loops_clear(), also after an error).
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_error_loops_find(struct gle_error_loops *out, const struct gle_net *net, struct gle_error *err);
void gle_error_loops_clear(struct gle_error_loops *loops); /* zeroed is fine */

/* Whether errors go round any loop at all, without a net. */
bool gle_error_loops_any(const struct gle_graph *graph);

#endif
