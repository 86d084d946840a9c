/* train.h - epochs of training and evaluation. Tells observers what happens; writes nothing itself. */
#ifndef GLE_TRAIN_TRAIN_H
#define GLE_TRAIN_TRAIN_H

#include "data/data.h"
#include "graph/graph.h"
#include "solver/net.h"
#include "train/metrics.h"

#include <signal.h>

/* Where a run is. */
struct gle_progress {
    uint64_t epoch, epochs;
    enum gle_split split;   /* being passed over */
    double done;            /* fraction of the whole run's work */
    double loss, accuracy;  /* of this pass so far; accuracy NaN before the first batch is through, and without
                               labels */
};

/* Hooks; each may be NULL. */
struct gle_observer {
    void *ctx;
    /* After each epoch, with metrics up to it. A failure ends the run. */
    int (*epoch)(void *ctx, const struct gle_metrics *metrics, struct gle_error *err);
    /* Now and then, many times a second. */
    void (*progress)(void *ctx, const struct gle_progress *progress);
};

/* Whether data and network fit together. Errors: GLE_ESHAPE, placed in the config. */
GLE_MUST_CHECK int gle_train_check(const struct gle_experiment *exp, const struct gle_data *data,
                                   struct gle_error *err);

/* Initialises the network from the experiment's seed, evaluates it untrained, then trains and evaluates for all epochs.
 * Stops at the next step once *stop (may be NULL) is nonzero, with metrics->status interrupted and 0 returned. When the
 * network diverges, the parameters are those at the start of the training batch in which it did, or of the last one if
 * it did under evaluation; metrics->status says so, and the error is returned.
 * metrics: initialised by gle_metrics_init() for exp->epochs. data must have passed gle_train_check().
 * Errors: GLE_EDIVERGED, GLE_EDATA, GLE_ENOMEM, the observer's. */
GLE_MUST_CHECK int gle_train(struct gle_metrics *metrics, struct gle_net *net, const struct gle_graph *graph,
                             const struct gle_data *data, const struct gle_observer *observer,
                             const volatile sig_atomic_t *stop, struct gle_error *err);

/* Seconds that a learning step and an evaluating step take, measured on `seconds` seconds of each on real samples; for
 * estimates. The network is initialised before and should be discarded after. Errors: as gle_train(). */
GLE_MUST_CHECK int gle_train_measure(double *train_step, double *eval_step, struct gle_net *net,
                                     const struct gle_graph *graph, const struct gle_data *data, double seconds,
                                     struct gle_error *err);

#endif
