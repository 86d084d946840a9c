/* ahead.h - layers one behind the other whose errors look far ahead, as they are under rule gle. */
#ifndef GLE_SOLVER_AHEAD_H
#define GLE_SOLVER_AHEAD_H

#include "solver/net.h"

/* Layers whose errors look ahead by more than this are told of. With 15 in each of three layers networks of the
 * paper learn; from 20 on, in four, updates were found 50 times as long as the gradient (results/README.md). */
#define GLE_AHEAD_FAR 20.05

struct gle_ahead_layer {
    size_t population;
    double ratio; /* tau_m / tau_r as its errors use them, with mismatch: the root mean square of its neurons */
};

/* Those that errors go through one after the other, first the one nearest the output. gain: the product of ratios, by
 * which the length of an error is multiplied, W^T and phi' left aside, in the step in which it jumps. */
struct gle_ahead_series {
    struct gle_ahead_layer *item;
    size_t n;
    double gain;
};

/* Finds the series with the largest gain, from the output on, of layers whose errors something learns from; layers
 * among which errors go round follow one another, each once. n is 0 where no layer looks so far, or errors of the rule
 * do not look ahead. Parameters are those of now.
 * Owns:   *out belongs to the caller (gle_ahead_clear(), also after an error).
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_ahead_find(struct gle_ahead_series *out, const struct gle_net *net, struct gle_error *err);
void gle_ahead_clear(struct gle_ahead_series *series); /* zeroed is fine */

#endif
