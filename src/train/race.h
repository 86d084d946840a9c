/* race.h - which backend makes the learning steps of a network faster, by a few of them on each. */
#ifndef GLE_TRAIN_RACE_H
#define GLE_TRAIN_RACE_H

#include "solver/net.h"

/* Microseconds of a learning step: the least of a few stretches, each of some hundredths of a second, or of a thousand
 * steps. */
struct gle_race {
    double processors, device;
};

/* Makes learning steps with copies of the network, for a few tenths of a second in all: on at most so many threads,
 * and on the fleet's device, each after some that do not count. What they read is drawn at random, they learn at rate
 * 0, and none of it is left. Steps on a device count once they are over, and what a recording waits for is waited for.
 * Teachers and comparisons with exact gradients, which are on the processors in any case, are left out. graph: that of
 * the run's net. Errors: of either: GLE_EDEVICE, GLE_ENOMEM, GLE_EDIVERGED, GLE_EDATA (a file of initial values). */
GLE_MUST_CHECK int gle_train_race(struct gle_race *race, const struct gle_graph *graph, struct gle_fleet *fleet,
                                  size_t threads, struct gle_error *err);

#endif
