#include "base/rng.h"
#include "data/sets.h"

struct xor_params {
    double low, high;
    double present;
    uint64_t repeat;
    double noise;
    uint64_t seed;
};
_Static_assert(sizeof(struct xor_params) <= GLE_DATASET_PARAMS_SIZE, "settings of xor");

const struct gle_key gle_xor_keys[] = {
    GLE_KEY_REAL(struct xor_params, low, "0.0", -1e6, 1e6, "", "input that stands for false"),
    GLE_KEY_REAL(struct xor_params, high, "1.0", -1e6, 1e6, "", "input that stands for true"),
    GLE_KEY_STEPS(struct xor_params, present, "2.0", 1e-9, 1e9, "how long a point is held"),
    GLE_KEY_COUNT(struct xor_params, repeat, "25", 1, 1e6, "", "copies of the four points in the training set"),
    GLE_KEY_REAL(struct xor_params, noise, "0.0", 0.0, 1e6, "",
                 "standard deviation of Gaussian noise on the training inputs"),
    GLE_KEY_COUNT_WITH(struct xor_params, seed, "0", 0, 4294967295.0, "", "seed of the noise", "noise"),
    GLE_KEY_END,
};

enum { POINTS = 4, CHANNELS = 2, CLASSES = 2 };

int gle_xor_check(const void *params, const char **key, const char **why)
{
    const struct xor_params *p = params;

    if (p->low < p->high)
        return 0;
    *key = "high";
    *why = "must be above low";
    return -1;
}

static void fill(struct gle_samples *s, const struct xor_params *p)
{
    for (size_t i = 0; i < s->n; i++) {
        const int a = i % POINTS / 2 == 1, b = i % 2 == 1;
        s->x[i * CHANNELS] = (float)(a ? p->high : p->low);
        s->x[i * CHANNELS + 1] = (float)(b ? p->high : p->low);
        s->labels[i] = a != b;
    }
}

static int add_noise(struct gle_samples *s, const struct xor_params *p, const struct gle_data_context *ctx,
                     struct gle_error *err)
{
    const size_t n = s->n * CHANNELS;
    struct gle_rng rng;

    gle_rng_seed(&rng, p->seed);
    for (size_t i = 0; i < n; i++) {
        if (i % GLE_DATA_TELL == 0 && gle_data_tell(ctx, "making noise", i, n, err))
            return -1;
        s->x[i] += (float)(p->noise * gle_numpy_randn(&rng));
    }
    return 0;
}

void gle_xor_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    (void)params;
    *n_channels = CHANNELS;
    *n_targets = CLASSES;
}

int gle_xor_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx, struct gle_error *err)
{
    const struct xor_params *p = params;

    data->n_channels = CHANNELS;
    data->n_targets = CLASSES;
    data->labelled = 1;
    if (gle_data_hold(data, p->present, ctx->dt, err) ||
        gle_data_room(data, GLE_TRAIN, POINTS * (size_t)p->repeat, err) || gle_data_room(data, GLE_TEST, POINTS, err))
        return -1;
    fill(&data->split[GLE_TRAIN], p);
    fill(&data->split[GLE_TEST], p);
    return p->noise > 0.0 ? add_noise(&data->split[GLE_TRAIN], p, ctx, err) : 0;
}
