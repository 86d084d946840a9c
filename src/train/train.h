/* train.h - training by epochs or by duration, and evaluation. Tells observers what happens; writes nothing itself. */
#ifndef GLE_TRAIN_TRAIN_H
#define GLE_TRAIN_TRAIN_H

#include "data/data.h"
#include "graph/graph.h"
#include "solver/net.h"
#include "train/metrics.h"
#include "train/observer.h"

#include <signal.h>

struct gle_fleet;

/* Rows of a learning step: sequences or samples that run side by side. */
size_t gle_train_rows(const struct gle_experiment *exp, const struct gle_data *data);
/* What the graph of a net must be built for to be trained on data. */
struct gle_graph_options gle_train_options(const struct gle_experiment *exp, const struct gle_data *data);

/* Whether data and network fit together. Errors: GLE_ESHAPE, placed in the config. */
GLE_MUST_CHECK int gle_train_check(const struct gle_experiment *exp, const struct gle_data *data,
                                   struct gle_error *err);

/* Whether batches, the last ones of their passes included, have a row for each of so many ranks. Errors: GLE_ERANGE,
 * likewise. */
GLE_MUST_CHECK int gle_train_check_ranks(const struct gle_experiment *exp, const struct gle_data *data, size_t ranks,
                                         struct gle_error *err);

/* Initialises the network from the experiment's seed, and a teacher, if there is one, as a copy of it with its own
 * values. By epochs: evaluates it untrained, then trains and evaluates for all epochs. By duration: goes through the
 * phases. Stops at the next step once *stop (may be NULL) is nonzero, with metrics->status interrupted and 0 returned.
 * When the network diverges, the parameters become finite ones of before: those at the start of the training batch in
 * which it did, or of the last one if it did under evaluation; by duration, those of at most 10,000 steps before.
 * metrics->status says so, and the error is returned.
 * metrics: initialised by gle_metrics_init(). graph: built with gle_train_options(). data must have passed
 * gle_train_check(). fleet: where the networks run, borrowed; NULL: the processors.
 * Errors: GLE_EDIVERGED, GLE_EDATA, GLE_ENOMEM, the observer's. */
GLE_MUST_CHECK int gle_train(struct gle_metrics *metrics, struct gle_net *net, const struct gle_graph *graph,
                             const struct gle_data *data, struct gle_fleet *fleet,
                             const struct gle_observer *observer, const volatile sig_atomic_t *stop,
                             struct gle_error *err);

#endif
