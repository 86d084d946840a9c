/* bench_scaling.h - how the cost of a step grows with width, depth and batch, for the family of tools/scaling.yaml. */
#ifndef GLE_TOOLS_BENCH_SCALING_H
#define GLE_TOOLS_BENCH_SCALING_H

#include "bench_trial.h"

enum scaling_axis { SCALING_WIDTH, SCALING_DEPTH, SCALING_BATCH, SCALING_AXES };

extern const char *const scaling_axes[];

struct scaling_row {
    enum scaling_axis axis; /* the one that changes */
    size_t size[SCALING_AXES];
    size_t n_rows;
    struct trial_row rows[COUNTS_MAX];
};

#define SCALING_FILE GLE_SOURCE_DIR "/tools/scaling.yaml"

/* The network of that file, wherever it lies, in this size. Owns: gle_experiments_clear(). */
void scaling_load(struct gle_experiments *list, const char *path, const size_t size[SCALING_AXES]);
/* device NULL: on the processors. Owns: the result, *n rows, belongs to the caller (gle_free). */
struct scaling_row *measure_scaling(size_t *n, struct peaks *peaks, struct gle_device *device,
                                    const struct settings *set);

#endif
