/* loops.h - loops that errors go round, and what they gain there. */
#ifndef GLE_SOLVER_LOOPS_H
#define GLE_SOLVER_LOOPS_H

#include "solver/net.h"

enum { GLE_LOOP_LAYERS = 200 };

/* Layers from each of which errors come to all others, by projections that send errors back and by errors_from.
 *
 * gain: the spectral radius of what errors go through, at the net's present parameters: what they are multiplied by at
 * the most, after many passes. On the way from one layer to the next that is W^T (or B^T, or B of errors_from), and
 * then diag(h * phi') of the layer that they come to. phi' is the largest slope of its activation at potentials of -1,
 * 0 and 1. h is what it makes of errors of one frequency. For rule gle there are two ends: 1 for errors that last, and
 * (2 tau_m - dt) / (2 tau_r - dt) for those that change their sign with each step, which is tau_m / tau_r where dt is
 * short; the gain is that of the end which gains more. For other rules h is 1. Above 1, errors can grow without bound;
 * whether they do depends on their signs, and on slopes elsewhere. Where the layers form one ring, the gain is that of
 * a pass round it; where several loops share layers, so that errors may grow in all of them together though in none
 * alone, it is that of a step, in which errors go from each layer to the next ones. */
struct gle_error_loop {
    char layers[GLE_LOOP_LAYERS]; /* of a ring as rates go, against errors: "hidden -> readout -> hidden"; else "a, b
                                     and c"; cut where there are many */
    bool ring;
    double gain;
    bool fast;     /* of errors that change with each step */
    bool *reaches; /* (n_populations): those that errors from the loop come to, its own included */
};
struct gle_error_loops {
    struct gle_error_loop *item; /* the strongest first */
    size_t n;
};

/* Finds all sets of layers from which errors come back to each other. Parameters are those of now: the initial ones
 * after gle_net_init().
 * Owns:   *out belongs to the caller (gle_error_loops_clear(), also after an error).
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_error_loops_find(struct gle_error_loops *out, const struct gle_net *net, struct gle_error *err);
void gle_error_loops_clear(struct gle_error_loops *loops); /* zeroed is fine */

/* Whether errors go round any loop at all, without a net. */
bool gle_error_loops_any(const struct gle_graph *graph);

#endif
