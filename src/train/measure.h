/* measure.h - what steps cost and how many of them a run has: for estimates, and for tools/bench. */
#ifndef GLE_TRAIN_MEASURE_H
#define GLE_TRAIN_MEASURE_H

#include "data/data.h"
#include "graph/graph.h"
#include "solver/net.h"
#include "solver/room.h"

struct gle_device_info;
struct gle_fleet;

/* Seconds that a step takes, all that belongs to it included: showing the input, sweeps over windows, the teacher. All
 * zero: there are no such steps. */
struct gle_step_cost {
    double least, median; /* of short stretches of steps, one after the other */
    double mean;          /* over all of them: what whole runs take. With the beginnings of batches, and with whatever
                             else the machine was at */
    struct gle_profile profile; /* of a step in the fastest of other stretches, which reading the clock makes slower; */
    double profiled;            /* what a step took in that one. Zero: not measured */
    struct gle_net_traffic traffic; /* of a step on a device, the mean over all of them; the beginnings and ends of
                                       batches included */
};

struct gle_costs {
    struct gle_step_cost learn, eval; /* steps that learn, and steps that do not */
};

/* Measures on real samples, or the real signal, in batches as training has them: `seconds` seconds of learning steps,
 * then of evaluating ones, after some more of each that do not count; and each again for profile_seconds, if that is
 * not 0 and the net is not on a device, where nothing is profiled. Steps on a device count once they are over.
 * Waiting for samples does not count either. The network is initialised before and should be discarded after.
 * fleet: as for gle_train().
 * Errors: as gle_train(). */
GLE_MUST_CHECK int gle_train_measure(struct gle_costs *costs, struct gle_net *net, const struct gle_graph *graph,
                                     const struct gle_data *data, struct gle_fleet *fleet, double seconds,
                                     double profile_seconds, struct gle_error *err);

/* What the networks of a run take of a device together: the one that learns, and the copy that evaluations are made
 * with, if there are any. Teachers and exact gradients to compare with stay on the processors.
 * Errors: as gle_net_measure_room(). */
GLE_MUST_CHECK int gle_train_measure_room(struct gle_net_room *room, const struct gle_graph *graph,
                                          const struct gle_data *data, const struct gle_device_info *device,
                                          struct gle_error *err);

/* The samples that evaluating steps are measured on, in training by epochs; and how many rows those steps have. */
enum gle_split gle_train_eval_split(const struct gle_data *data);
size_t gle_train_eval_rows(const struct gle_graph *graph, const struct gle_data *data);

/* How many steps training has: in every epoch, and beyond those of epochs; or in all phases together. */
struct gle_step_counts {
    double learn, eval;  /* of an epoch, or of all phases */
    double aside;        /* of these, those of a copy of the network: the training set after an epoch */
    double further_eval; /* by epochs: of the untrained network, and of a test that only the end has */
};
struct gle_step_counts gle_train_count_steps(const struct gle_experiment *exp, const struct gle_data *data);

/* Of a whole run, as records count them: what a copy of the network is shown is no part of it. Made samples: at
 * most. */
double gle_train_steps(const struct gle_experiment *exp, const struct gle_data *data);
/* Seconds that all evaluations of training by duration take; 0 if there are none. */
double gle_train_estimate_evaluations(const struct gle_costs *costs, const struct gle_experiment *exp,
                                      const struct gle_data *data);
/* Seconds for an epoch, or for all phases; and for the whole run. */
double gle_train_estimate(double *total, const struct gle_costs *costs, const struct gle_experiment *exp,
                          const struct gle_data *data);

#endif
