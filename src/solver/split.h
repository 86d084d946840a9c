/* split.h - who does what: the work of a step, laid out layer after layer, is cut into one piece for each thread. */
#ifndef GLE_SOLVER_SPLIT_H
#define GLE_SOLVER_SPLIT_H

#include "graph/graph.h"
#include "kernel/kernel.h"

/* A place where the work is cut: in front of a layer, or within it. */
struct gle_cut {
    size_t layer;
    double part; /* of the layer, that lies in front of the cut */
};

/* Either whole layers to each thread: then a layer learns as soon as it has made its step, without waiting for others.
 * Or layers are shared: then threads first make the steps of all layers, a layer cut by the rows of the batch; and
 * afterwards all layers learn, cut by their neurons (the rows of W). */
struct gle_split {
    size_t n_threads;
    bool shared;
    struct gle_cut *steps, *learning; /* n_threads + 1 each: thread t does what lies between cuts t and t + 1; the same
                                         cuts if not shared */
};

/* For at most n_threads threads: no more than the work is worth; the way that should take less time. Layers whose
 * products would come out otherwise when cut are not shared.
 * Owns: gle_split_clear(). Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_split_make(struct gle_split *split, const struct gle_graph *graph,
                                  const struct gle_kernels *kernels, size_t n_threads, struct gle_error *err);
void gle_split_clear(struct gle_split *split); /* zeroed is fine */

/* Cuts through a layer are made between groups of so many rows of the batch, which products take together, or of so
 * many neurons, which share a line of cache. */
enum { GLE_ROWS_TOGETHER = 4, GLE_NEURONS_TOGETHER = 16 };

/* How many of the n rows or neurons of a layer lie in front of a cut. */
static inline size_t gle_cut_at(const struct gle_cut *cut, size_t layer, size_t n, size_t together)
{
    size_t at;

    if (cut->layer != layer)
        return cut->layer < layer ? 0 : n;
    at = (size_t)(cut->part * (double)n / (double)together + 0.5) * together;
    return at < n ? at : n;
}

#endif
