/* bench_beside.h - what a step costs when every processor trains a network of its own, as under --seeds. */
#ifndef GLE_TOOLS_BENCH_BESIDE_H
#define GLE_TOOLS_BENCH_BESIDE_H

#include "bench_trial.h"

struct beside_row {
    const struct gle_experiment *exp; /* borrowed */
    bool random;                      /* numbers in place of the data set */
    size_t copies;
    struct speed *learn; /* (copies): each on one thread */
};

/* Measures `copies` processes side by side. To be called while this process has no threads yet.
 * Owns: row->learn belongs to the caller (gle_free). */
void beside_measure(struct beside_row *row, const struct gle_experiment *exp, size_t copies,
                    const struct settings *set);

/* Seconds for a step of one network, counting that `copies` of them go on at once. */
double beside_per_step(const struct beside_row *row);
/* GFLOP/s of the products of all copies. */
double beside_gflops(const struct beside_row *row);

#endif
