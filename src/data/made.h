/* made.h - what tasks that are made of draws have in common. */
#ifndef GLE_DATA_MADE_H
#define GLE_DATA_MADE_H

#include "base/rng.h"
#include "data/data.h"

#include <stddef.h>

/* How many samples, and their seed: the member `made` of a task's settings, and the keys that fill it in. */
struct gle_made {
    uint64_t samples, test_samples, seed;
};
#define GLE_MADE_KEY(S, field, fallback_, low_, high_, unit_, help_) \
    {.name = #field, .kind = GLE_KEY_KIND_COUNT, .offset = offsetof(S, made.field), .low = low_, .high = high_, \
     .fallback = fallback_, .unit = unit_, .help = help_}
#define GLE_MADE_KEYS(S)                                                                           \
    GLE_MADE_KEY(S, samples, "4000", 1, 1e8, "samples", "size of the training set"),               \
        GLE_MADE_KEY(S, test_samples, "1000", 0, 1e8, "samples", "size of the test set"),          \
        GLE_MADE_KEY(S, seed, "0", 0, 4294967295.0, "", "seed of all draws")

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
