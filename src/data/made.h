/* made.h - what tasks that are made of draws have in common. */
#ifndef GLE_DATA_MADE_H
#define GLE_DATA_MADE_H

#include "base/rng.h"
#include "data/data.h"

/* How many samples, and their seed. */
struct gle_made {
    uint64_t train, test, seed;
};

/* Fills sample i of s: its inputs, which are zero, and its target or labels. */
typedef void gle_made_show(const void *task, const struct gle_data *data, struct gle_samples *s, size_t i,
                           struct gle_rng *rng);

/* Makes room for the training and the test set of data, whose sizes are set, and calls show(task, ...) for each sample.
 * Each has a stream of random numbers of its own, told by the seed, the split and its number: what is drawn for it
 * depends neither on the number of samples nor on how long anything lasts.
 * Errors: GLE_ERANGE (more steps than a sample may have), GLE_ESTOPPED, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_made_fill(struct gle_data *data, const struct gle_made *made, gle_made_show *show,
                                 const void *task, const struct gle_data_context *ctx, struct gle_error *err);

/* Puts `value` into one channel of steps first ... first + n - 1 of a sample's inputs (n_steps, n_channels). */
void gle_made_put(float *x, size_t n_channels, size_t channel, size_t first, size_t n, float value);

#endif
