/* loop_sets.h - which populations errors come back to: ways that they go in a step, and sets of populations from each
 * of which they come to all others of the set. For loops.c. */
#ifndef GLE_SOLVER_LOOP_SETS_H
#define GLE_SOLVER_LOOP_SETS_H

#include "graph/graph.h"

/* One way that errors go in a step: from the target of a projection to its source, or directly. */
struct gle_error_edge {
    size_t from, to;   /* populations */
    size_t projection; /* GLE_NO_PROJECTION: */
    size_t direct;
};

struct gle_loop_sets {
    struct gle_error_edge *edges; /* by the population that they come from */
    size_t n_edges, *starts;      /* (n_populations + 1): where those of one begin */
    size_t *of;                   /* (n_populations): the number of its set; errors go on to lower ones alone */
};

/* Owns:   *sets belongs to the caller (gle_loop_sets_clear(), also after an error).
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_loop_sets_find(struct gle_loop_sets *sets, const struct gle_graph *graph, struct gle_error *err);
void gle_loop_sets_clear(struct gle_loop_sets *sets); /* zeroed is fine */

/* Whether an edge stays within a set: then errors go round in it. */
static inline bool gle_loop_sets_hold(const struct gle_loop_sets *sets, const struct gle_error_edge *edge)
{
    return sets->of[edge->from] == sets->of[edge->to];
}

#endif
