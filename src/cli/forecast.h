/* forecast.h - what a dry run says of several ranks: what becomes of one run that they make together, and how runs side
 * by side spread over them. */
#ifndef GLE_CLI_FORECAST_H
#define GLE_CLI_FORECAST_H

#include "cli/many.h"
#include "data/data.h"
#include "graph/graph.h"

/* Measures, on all ranks at a time, learning steps of the batch and of parts of it, and sums over the ranks; the first
 * rank shows what steps of more ranks take, by that and the model of wire.h. All ranks call it. threads: of each.
 * Errors: as gle_train_measure(), on all ranks what the first of them has met; GLE_ENOMEM; GLE_EDEVICE. */
GLE_MUST_CHECK int gle_forecast_rows(struct gle_comm *comm, const struct gle_graph *graph, const struct gle_data *data,
                                     size_t threads, struct gle_error *err);

/* Seconds of runs, in the order in which they are handed out. */
struct gle_forecast {
    double *seconds; /* (n) */
    size_t n;
    struct gle_share share; /* of each rank */
    bool on_device;         /* some runs go to a device */
};
/* Adds n runs; returns their seconds, to be set. NULL: no memory. */
double *gle_forecast_add(struct gle_forecast *forecast, size_t n);
/* How they spread over the ranks, and how long that takes. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_forecast_show(const struct gle_forecast *forecast, size_t ranks, struct gle_error *err);
void gle_forecast_clear(struct gle_forecast *forecast);

#endif
