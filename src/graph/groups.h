/* groups.h - which neurons of a layer have the same eligibility for what they read (rules that are `eligible`). What a
 * membrane has kept of a rate x is a trace of it,
 *     xbar <- xbar + leak (x - xbar),
 * and what a change of a weight would have changed in the prospective potential is, with the old xbar,
 *     eps = xbar + look (x - xbar),      leak = dt / tau_m or 1 - exp(-dt / tau_m), look = tau_r / tau_m.
 * So neurons with equal tau_m share the trace of a source, and those with equal tau_r, too, its eligibility. */
#ifndef GLE_GRAPH_GROUPS_H
#define GLE_GRAPH_GROUPS_H

#include "config/experiment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Neurons with equal tau_m and tau_r. */
struct gle_group {
    size_t leader; /* the first of them, whose coefficients are those of all */
    size_t trace;  /* number of the trace that their eligibility is made of */
    bool last;     /* of the groups that share it, in their order: once it has been here, the trace may go on */
};

struct gle_groups {
    uint32_t *of;           /* (neurons): the group of each. Groups are numbered as their first neurons are */
    struct gle_group *item; /* (n) */
    size_t n, n_traces;
};

/* The groups of a layer. Where a time constant may become another one than the config says, because it learns, is off
 * by mismatch, is set in a phase or comes from a file of initial values, equal ones need not stay equal: then each
 * neuron is a group, and, if that is so of tau_m, has traces of its own. Nobody else moves time constants of a net that
 * learns.
 * Owns:   the lists belong to the caller: gle_groups_clear(), also after an error.
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_groups_find(struct gle_groups *out, const struct gle_experiment *exp, size_t layer,
                                   struct gle_error *err);
void gle_groups_clear(struct gle_groups *groups); /* zeroed is fine */

/* Why each neuron of the layer has traces of its own, in words ("tau_m learns"); NULL: it need not. */
const char *gle_groups_why(const struct gle_experiment *exp, size_t layer);

#endif
