#include "data/made.h"

static int fill(struct gle_data *data, enum gle_split split, uint64_t n, uint64_t seed, gle_made_show *show,
                const void *task, const struct gle_data_context *ctx, struct gle_error *err)
{
    const size_t every = 1 + GLE_DATA_TELL / data->n_steps;
    struct gle_samples *s = &data->split[split];

    if (!n)
        return 0;
    if (gle_data_room(data, split, (size_t)n, err))
        return -1;
    for (size_t i = 0; i < s->n; i++) {
        const uint32_t key[] = {(uint32_t)seed, (uint32_t)split, (uint32_t)i};
        struct gle_rng rng;
        if (i % every == 0 && gle_data_tell(ctx, "making samples", i, s->n, err))
            return -1;
        gle_rng_seed_words(&rng, key, sizeof key / sizeof key[0]);
        show(task, data, s, i, &rng);
    }
    return 0;
}

int gle_made_fill(struct gle_data *data, const struct gle_made *made, gle_made_show *show, const void *task,
                  const struct gle_data_context *ctx, struct gle_error *err)
{
    const size_t steps_max = 1000000000; /* as many as a single duration may have */

    if (data->n_steps > steps_max)
        return gle_fail(err, GLE_ERANGE, "a sample has %zu steps of dt = %g, more than %zu", data->n_steps, ctx->dt,
                        steps_max);
    return fill(data, GLE_TRAIN, made->samples, made->seed, show, task, ctx, err) ||
                   fill(data, GLE_TEST, made->test_samples, made->seed, show, task, ctx, err)
               ? -1
               : 0;
}

void gle_made_put(float *x, size_t n_channels, size_t channel, size_t first, size_t n, float value)
{
    for (size_t t = first; t < first + n; t++)
        x[t * n_channels + channel] = value;
}
