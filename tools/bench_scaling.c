#include "bench_scaling.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

const char *const scaling_axes[] = {"width", "depth", "batch"};

enum { SIZES_MAX = 7 };

/* The last one of a list is 0. Where an axis is not the one that changes, it has its usual size. */
static const size_t usual[SCALING_AXES] = {128, 4, 100};
static const size_t sizes[SCALING_AXES][SIZES_MAX + 1] = {
    {16, 32, 64, 128, 256, 512, 1024}, {1, 2, 4, 8, 16}, {1, 4, 16, 64, 100, 250, 1000}};

void scaling_load(struct gle_experiments *list, const char *path, const size_t size[SCALING_AXES])
{
    static const char *const keys[SCALING_AXES] = {"network.layers[0].neurons.count", "network.layers[0].repeat",
                                                   "training.batch_size"};
    struct gle_override overrides[SCALING_AXES];
    char values[SCALING_AXES][32];
    struct gle_errors errs = {0};

    for (int k = 0; k < SCALING_AXES; k++) {
        snprintf(values[k], sizeof values[k], "%zu", size[k]);
        overrides[k] = (struct gle_override){.path = keys[k], .value = values[k], .where = keys[k]};
    }
    if (gle_experiments_load(list, path, overrides, SCALING_AXES, NULL, 0, &errs))
        stop_on(&errs.item[0]);
}

static void measure(struct scaling_row *row, struct peaks *peaks, struct gle_device *device,
                    const struct settings *set)
{
    struct gle_experiments list;
    struct trial trial;
    char text[64];

    snprintf(text, sizeof text, "scaling: %s %zu", scaling_axes[row->axis], row->size[row->axis]);
    say(text);
    scaling_load(&list, SCALING_FILE, row->size);
    if (device)
        trial_open_on(&trial, list.item[0], device, 1, true);
    else
        trial_open(&trial, list.item[0], set->scaling_threads, set->n_scaling_threads, true);
    trial_run(&trial, peaks, set);
    trial_close(&trial);
    row->n_rows = trial.n_rows;
    memcpy(row->rows, trial.rows, sizeof row->rows);
    gle_experiments_clear(&list);
}

struct scaling_row *measure_scaling(size_t *n, struct peaks *peaks, struct gle_device *device,
                                    const struct settings *set)
{
    struct scaling_row *rows = gle_calloc(SCALING_AXES * SIZES_MAX, sizeof *rows);

    *n = 0;
    if (!rows)
        stop("no memory");
    for (int axis = 0; axis < SCALING_AXES; axis++)
        for (const size_t *size = sizes[axis]; *size; size++) {
            struct scaling_row *row = &rows[(*n)++];
            row->axis = (enum scaling_axis)axis;
            memcpy(row->size, usual, sizeof usual);
            row->size[axis] = *size;
            measure(row, peaks, device, set);
        }
    return rows;
}
