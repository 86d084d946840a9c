/* schedule.h - what a config can write after `schedule:`: how the learning rate changes from epoch to epoch. */
#ifndef GLE_PARTS_SCHEDULE_H
#define GLE_PARTS_SCHEDULE_H

#include "base/table.h"

#include <stdint.h>

/* What a schedule remembers. Starts by gle_schedule_start(). */
struct gle_schedule_state {
    double lr, base;
    double best;     /* value so far: the lowest, or highest of what shall rise; infinite: none yet */
    uint64_t bad;    /* epochs since then */
};

/* What an epoch can be judged by: how good outputs are over one of the three sets of samples; of the training set while
 * the epoch went on, or after it. In the order of enum gle_split. */
enum gle_metric_set { GLE_METRIC_TRAIN, GLE_METRIC_VALIDATION, GLE_METRIC_TEST, GLE_METRIC_TRAIN_AFTER };
enum gle_quality { GLE_QUALITY_LOSS, GLE_QUALITY_ACCURACY, GLE_QUALITY_NRMSE };
struct gle_metric_row {
    struct gle_row row;
    enum gle_metric_set set;
    enum gle_quality quality; /* accuracy shall rise, the others fall */
};
extern const struct gle_table gle_metric_table;

/* What the settings of every row begin with. */
struct gle_schedule_params {
    uint64_t warmup; /* epochs in front of the schedule, in which the learning rate rises: in epoch k of W it is
                        k / (W + 1) of that with which the schedule begins */
};

/* A row. */
struct gle_schedule {
    struct gle_row row;
    /* Called once after each epoch (1, 2, ...) but those of the warm-up, with the watched metric; sets state->lr for
     * the next one. */
    void (*next)(struct gle_schedule_state *state, const void *params, uint64_t epoch, double value);
    /* The watched metric, or NULL if it watches none. */
    const struct gle_metric_row *(*metric)(const void *params);
};
/* With the learning rate that the optimizer has; and after each epoch, 1, 2, ..., with the watched metric. params: of a
 * row; they begin with struct gle_schedule_params. state->lr is that of the epoch that comes next. */
struct gle_schedule_state gle_schedule_start(const void *params, double lr);
void gle_schedule_next(const struct gle_schedule *schedule, struct gle_schedule_state *state, const void *params,
                       uint64_t epoch, double value);

extern const struct gle_schedule gle_schedules[];
extern const struct gle_table gle_schedule_table;

#endif
