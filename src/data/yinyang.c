#include "base/rng.h"
#include "data/sets.h"

#include <math.h>

struct yinyang_params {
    uint64_t train, test, validation;
    double r_small, r_big;
    double present;
    uint64_t seed, validation_seed, test_seed;
};
_Static_assert(sizeof(struct yinyang_params) <= GLE_DATASET_PARAMS_SIZE, "settings of yinyang");

const struct gle_key gle_yinyang_keys[] = {
    GLE_KEY_COUNT(struct yinyang_params, train, "5000", 1, 1e8, "samples", "size of the training set"),
    GLE_KEY_COUNT(struct yinyang_params, test, "1000", 0, 1e8, "samples", "size of the test set"),
    GLE_KEY_COUNT(struct yinyang_params, validation, "0", 0, 1e8, "samples", "size of the validation set"),
    GLE_KEY_REAL(struct yinyang_params, r_small, "0.1", 1e-6, 1e3, "", "radius of the two dots"),
    GLE_KEY_REAL(struct yinyang_params, r_big, "0.5", 1e-3, 1e3, "", "radius of the whole figure"),
    GLE_KEY_STEPS(struct yinyang_params, present, "2.0", 1e-9, 1e9, "how long a point is held"),
    GLE_KEY_COUNT(struct yinyang_params, seed, "42", 0, 4294967295.0, "", "seed of the training set"),
    GLE_KEY_COUNT_WITH(struct yinyang_params, validation_seed, "41", 0, 4294967295.0, "", "seed of the validation set",
                       "validation"),
    GLE_KEY_COUNT_WITH(struct yinyang_params, test_seed, "40", 0, 4294967295.0, "", "seed of the test set", "test"),
    GLE_KEY_END,
};

enum { YANG, YIN, DOT, CLASSES }; /* the published numbers */
enum { CHANNELS = 4, TELL = 256 }; /* samples between two words on the progress: small dots take many draws */

/* Samples are drawn until one has the wanted class, so none may be too rare to be found. */
int gle_yinyang_check(const void *params, const char **key, const char **why)
{
    const struct yinyang_params *p = params;

    if (p->r_small >= 0.01 * p->r_big && p->r_small <= 0.5 * p->r_big)
        return 0;
    *key = "r_small";
    *why = "must be between a hundredth and a half of r_big";
    return -1;
}

static double distance(double x, double y, double to_x, double to_y)
{
    return sqrt((x - to_x) * (x - to_x) + (y - to_y) * (y - to_y));
}

static int class_of(double x, double y, const struct yinyang_params *p)
{
    const double right = distance(x, y, 1.5 * p->r_big, p->r_big), left = distance(x, y, 0.5 * p->r_big, p->r_big);

    if (right < p->r_small || left < p->r_small)
        return DOT;
    if (right <= p->r_small || (left > p->r_small && left <= 0.5 * p->r_big) ||
        (y > p->r_big && right > 0.5 * p->r_big))
        return YIN;
    return YANG;
}

/* The draws of the published data set, from numpy's RandomState(seed): a class, then points until one is of it. */
static int fill(struct gle_samples *s, const struct yinyang_params *p, uint64_t seed,
                const struct gle_data_context *ctx, struct gle_error *err)
{
    struct gle_rng rng;

    gle_rng_seed(&rng, seed);
    for (size_t i = 0; i < s->n; i++) {
        const int goal = (int)gle_numpy_interval(&rng, CLASSES - 1);
        double x, y;
        if (i % TELL == 0 && gle_data_tell(ctx, "making samples", i, s->n, err))
            return -1;
        do {
            x = gle_numpy_rand(&rng) * 2.0 * p->r_big;
            y = gle_numpy_rand(&rng) * 2.0 * p->r_big;
        } while (distance(x, y, p->r_big, p->r_big) > p->r_big || class_of(x, y, p) != goal);
        s->x[i * CHANNELS] = (float)x;
        s->x[i * CHANNELS + 1] = (float)y;
        s->x[i * CHANNELS + 2] = (float)(1.0 - x);
        s->x[i * CHANNELS + 3] = (float)(1.0 - y);
        s->labels[i] = goal;
    }
    return 0;
}

void gle_yinyang_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    (void)params;
    *n_channels = CHANNELS;
    *n_targets = CLASSES;
}

int gle_yinyang_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                     struct gle_error *err)
{
    const struct yinyang_params *p = params;
    const uint64_t n[GLE_SPLITS] = {[GLE_TRAIN] = p->train, [GLE_VALIDATION] = p->validation, [GLE_TEST] = p->test};
    const uint64_t seeds[GLE_SPLITS] = {
        [GLE_TRAIN] = p->seed, [GLE_VALIDATION] = p->validation_seed, [GLE_TEST] = p->test_seed};

    data->n_channels = CHANNELS;
    data->n_targets = CLASSES;
    data->labelled = 1;
    if (gle_data_hold(data, p->present, ctx->dt, err))
        return -1;
    for (int i = 0; i < GLE_SPLITS; i++) {
        if (n[i] && (gle_data_room(data, (enum gle_split)i, (size_t)n[i], err) ||
                     fill(&data->split[i], p, seeds[i], ctx, err)))
            return -1;
    }
    return 0;
}
