#include "base/memory.h"
#include "base/rng.h"
#include "data/sets.h"

struct delayed_xor_params {
    double pulse, pause, answer;
    uint64_t samples, test_samples;
    uint64_t seed;
};
_Static_assert(sizeof(struct delayed_xor_params) <= GLE_DATASET_PARAMS_SIZE, "settings of delayed_xor");

const struct gle_key gle_delayed_xor_keys[] = {
    GLE_KEY_STEPS(struct delayed_xor_params, pulse, "1.0", 1e-9, 1e9,
                  "how long each of the two pulses lasts; its input is -1 or +1"),
    GLE_KEY_STEPS(struct delayed_xor_params, pause, "3.0", 0.0, 1e9,
                  "from the end of the first pulse to the start of the second; the input is 0"),
    GLE_KEY_STEPS(struct delayed_xor_params, answer, "1.0", 1e-9, 1e9,
                  "how long the target is there, from the end of the second pulse on; the input is 0. In the steps "
                  "before, there is none: they have no target error, and count neither in the loss nor in the answer"),
    GLE_KEY_COUNT(struct delayed_xor_params, samples, "4000", 4, 1e8, "samples",
                  "size of the training set, a multiple of 4: the four pairs of signs come equally often"),
    GLE_KEY_COUNT(struct delayed_xor_params, test_samples, "1000", 0, 1e8, "samples",
                  "size of the test set, likewise"),
    GLE_KEY_COUNT(struct delayed_xor_params, seed, "0", 0, 4294967295.0, "", "seed of the order of samples"),
    GLE_KEY_END,
};

enum { PAIRS = 4, CLASSES = 2 };

/* Lengths in steps. */
struct lengths {
    size_t pulse, pause, answer;
};

int gle_delayed_xor_check(const void *params, const char **key, const char **why)
{
    const struct delayed_xor_params *p = params;

    if (p->samples % PAIRS == 0 && p->test_samples % PAIRS == 0)
        return 0;
    *key = p->samples % PAIRS ? "samples" : "test_samples";
    *why = "must be a multiple of 4, so that the four pairs of signs come equally often";
    return -1;
}

/* Sample i shows pair order[i] % 4: whether the first sign is positive, and the second. */
static int show_pairs(struct gle_samples *s, const uint32_t *order, const struct lengths *steps, size_t n_steps,
                      const struct gle_data_context *ctx, struct gle_error *err)
{
    const size_t every = 1 + GLE_DATA_TELL / n_steps, second = steps->pulse + steps->pause;

    for (size_t i = 0; i < s->n; i++) {
        const bool a = order[i] % PAIRS / 2 == 1, b = order[i] % 2 == 1;
        float *x = s->x + i * n_steps;
        if (i % every == 0 && gle_data_tell(ctx, "making samples", i, s->n, err))
            return -1;
        for (size_t t = 0; t < steps->pulse; t++) {
            x[t] = a ? 1.0f : -1.0f;
            x[second + t] = b ? 1.0f : -1.0f;
        }
        s->labels[i] = a != b;
    }
    return 0;
}

static int shuffle(uint32_t *order, size_t n, struct gle_rng *rng, const struct gle_data_context *ctx,
                   struct gle_error *err)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n, to; i > 1; i = to) {
        to = i > GLE_DATA_TELL ? i - GLE_DATA_TELL : 1;
        if (gle_data_tell(ctx, "shuffling samples", n - i, n, err))
            return -1;
        gle_numpy_permute(rng, order, i, to);
    }
    return 0;
}

static int fill(struct gle_data *data, enum gle_split split, size_t n, const struct lengths *steps,
                struct gle_rng *rng, const struct gle_data_context *ctx, struct gle_error *err)
{
    uint32_t *order;
    int rc;

    if (!n)
        return 0;
    if (gle_data_room(data, split, n, err))
        return -1;
    order = gle_calloc(n, sizeof *order);
    if (!order)
        return gle_fail(err, GLE_ENOMEM, "no memory for the order of samples");
    rc = shuffle(order, n, rng, ctx, err) ||
         show_pairs(&data->split[split], order, steps, data->n_steps, ctx, err);
    gle_free(order);
    return rc ? -1 : 0;
}

void gle_delayed_xor_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    (void)params;
    *n_channels = 1;
    *n_targets = CLASSES;
}

int gle_delayed_xor_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                         struct gle_error *err)
{
    const struct delayed_xor_params *p = params;
    struct lengths steps = {0};
    struct gle_rng rng;

    if (gle_data_steps(&steps.pulse, "pulse", p->pulse, ctx->dt, err) ||
        (p->pause > 0.0 && gle_data_steps(&steps.pause, "pause", p->pause, ctx->dt, err)) ||
        gle_data_steps(&steps.answer, "answer", p->answer, ctx->dt, err))
        return -1;
    data->n_channels = 1;
    data->n_targets = CLASSES;
    data->labelled = 1;
    data->n_unasked = 2 * steps.pulse + steps.pause;
    data->n_steps = data->n_unasked + steps.answer;
    gle_rng_seed(&rng, p->seed);
    return fill(data, GLE_TRAIN, (size_t)p->samples, &steps, &rng, ctx, err) ||
                   fill(data, GLE_TEST, (size_t)p->test_samples, &steps, &rng, ctx, err)
               ? -1
               : 0;
}
