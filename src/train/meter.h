/* meter.h - times steps in short stretches, while a loop makes them. For the files of this folder. */
#ifndef GLE_TRAIN_METER_H
#define GLE_TRAIN_METER_H

#include "train/measure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GLE_STRETCHES = 128 };

struct gle_meter {
    double seconds;  /* to be measured */
    struct gle_net *net; /* to be profiled; NULL: none */
    struct gle_profile profile; /* of a step in the fastest stretch */
    double least;
    double waited;   /* for samples: gle_feed_next() adds to it */
    double begin;    /* of the stretch: the clock less what had been waited until then */
    uint64_t steps;  /* of the stretch */
    uint64_t made;   /* steps so far, those that do not count included */
    uint64_t pause;  /* steps between two looks at the clock, */
    uint64_t unseen; /* and those since the last one */
    bool warm;       /* the first stretch, which does not count, is over */
    double per_step[GLE_STRETCHES];
    size_t n;
    double all_seconds; /* of the stretches that count */
    uint64_t all_steps;
};

/* Begins to measure for so many seconds. net: it is profiled, too, until gle_meter_cost(); NULL: it is not. */
void gle_meter_start(struct gle_meter *meter, double seconds, struct gle_net *net);
/* After each step. may_end: a stretch may end here. Whether all is measured. */
bool gle_meter_step(struct gle_meter *meter, bool may_end);
/* What was found: of a profiled net, the profile alone. Sorts the stretches. */
struct gle_step_cost gle_meter_cost(struct gle_meter *meter);

#endif
