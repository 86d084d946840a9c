/* schedule.h - what a config can write after `schedule:`: how the learning rate changes from epoch to epoch. */
#ifndef GLE_PARTS_SCHEDULE_H
#define GLE_PARTS_SCHEDULE_H

#include "base/table.h"

#include <stdint.h>

/* What a schedule remembers. Starts as {.lr = base, .base = base, .best = INFINITY}. */
struct gle_schedule_state {
    double lr, base;
    double best;     /* lowest metric so far */
    uint64_t bad;    /* epochs since then */
};

/* Losses that a schedule can watch. */
enum gle_metric { GLE_METRIC_TRAIN_LOSS, GLE_METRIC_VALIDATION_LOSS, GLE_METRIC_TEST_LOSS };
struct gle_metric_row {
    struct gle_row row;
    enum gle_metric metric;
};
extern const struct gle_table gle_metric_table;

/* A row. */
struct gle_schedule {
    struct gle_row row;
    /* Called once after each epoch (1, 2, ...) with the watched loss; sets state->lr for the next one. */
    void (*next)(struct gle_schedule_state *state, const void *params, uint64_t epoch, double loss);
    /* The watched loss, or NULL if it watches none. */
    const struct gle_metric_row *(*metric)(const void *params);
};
extern const struct gle_schedule gle_schedules[];
extern const struct gle_table gle_schedule_table;

#endif
