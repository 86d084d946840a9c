/* metrics.h - what a run measured. Plain numbers; report turns them into JSON. */
#ifndef GLE_TRAIN_METRICS_H
#define GLE_TRAIN_METRICS_H

#include "data/data.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gle_status { GLE_RUNNING, GLE_COMPLETED, GLE_INTERRUPTED, GLE_DIVERGED };

/* One pass over a split. */
struct gle_score {
    bool measured;
    double loss;     /* mean over steps and samples */
    double accuracy; /* fraction of samples right; NaN when there are no labels */
};

struct gle_epoch {
    uint64_t epoch; /* 0: the untrained network */
    double lr;      /* with which it was trained; the first learning rate for epoch 0 */
    double seconds;
    struct gle_score score[GLE_SPLITS];
};

struct gle_metrics {
    enum gle_status status;
    char message[256]; /* why it ended early; "" if it did not */
    struct gle_epoch *epochs;
    size_t n_epochs;
    size_t best;               /* index of the best epoch, by best_split */
    enum gle_split best_split; /* validation if there is one, else test, else training */
    /* Counts of the last epoch's pass over confusion_split, (n_classes, n_classes), rows: truth. NULL without
     * labels. */
    uint64_t *confusion;
    size_t n_classes;
    enum gle_split confusion_split;
    /* Timing */
    uint64_t train_steps, eval_steps;
    double train_seconds, eval_seconds; /* in steps, data included */
    double train_flops, eval_flops;     /* in products */
};

/* Zeroes everything and makes room. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_metrics_init(struct gle_metrics *m, size_t max_epochs, const struct gle_data *data,
                                    struct gle_error *err);
void gle_metrics_clear(struct gle_metrics *m);
const char *gle_status_name(enum gle_status status);

#endif
