/* Ornstein-Uhlenbeck processes, as published (gle-code, lagnet.py generate_input, "Ornstein-Uhlenbeck"):
 *   x[0] = 0;   x[i+1] = x[i] + dt (-(x[i] - mu)/tau) + sigma sqrt(2/tau) sqrt(dt) normal
 * In single precision and in this order, with the normals that torch.randn(sequences, max(channels, 2)) draws for each
 * step: the published code draws two channels also where it uses one. */
#include "base/memory.h"
#include "base/rng.h"
#include "data/sets.h"

#include <math.h>

struct ornstein_uhlenbeck_params {
    double tau, mu, sigma;
    uint64_t sequences, channels;
    uint64_t seed;
};
_Static_assert(sizeof(struct ornstein_uhlenbeck_params) <= GLE_DATASET_PARAMS_SIZE, "settings of ornstein_uhlenbeck");

const struct gle_key gle_ornstein_uhlenbeck_keys[] = {
    GLE_KEY_REAL(struct ornstein_uhlenbeck_params, tau, "1.0", 1e-9, 1e9, "time",
                 "correlation time: how fast the process returns to its mean"),
    GLE_KEY_REAL(struct ornstein_uhlenbeck_params, mu, "0.0", -1e6, 1e6, "", "mean; all processes start at 0"),
    GLE_KEY_REAL(struct ornstein_uhlenbeck_params, sigma, "1.0", 0.0, 1e6, "",
                 "strength of the noise: standard deviation of the process in the long run, for dt far below tau"),
    GLE_KEY_COUNT(struct ornstein_uhlenbeck_params, sequences, "1", 1, 1e6, "",
                  "sequences, run side by side as one batch; their noise is independent"),
    GLE_KEY_COUNT(struct ornstein_uhlenbeck_params, channels, "1", 1, 1e6, "", "independent processes in a sequence"),
    GLE_KEY_COUNT_WITH(struct ornstein_uhlenbeck_params, seed, "0", 0, 4294967295.0, "", "seed of the noise", "sigma"),
    GLE_KEY_END,
};

enum { DRAWN_MIN = 2 };

struct processes {
    size_t n_sequences, n_channels;
    size_t n_drawn; /* of a sequence: n_channels, but at least DRAWN_MIN */
    float dt, mu, tau, noise;
    uint64_t seed;
    struct gle_rng rng;
    float *x, *normals; /* (n_sequences, n_drawn) */
};

void gle_ornstein_uhlenbeck_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    const struct ornstein_uhlenbeck_params *p = params;

    (void)n_targets;
    *n_channels = (size_t)p->channels;
}

static void start(struct processes *s)
{
    gle_rng_seed(&s->rng, s->seed);
    for (size_t i = 0; i < s->n_sequences * s->n_drawn; i++)
        s->x[i] = 0.0f;
}

static void step(struct processes *s)
{
    const size_t n = s->n_sequences * s->n_drawn;

    gle_torch_normal(&s->rng, s->normals, n, 0.0, 1.0);
    for (size_t i = 0; i < n; i++)
        s->x[i] = s->x[i] + s->dt * (-(s->x[i] - s->mu) / s->tau) + s->noise * s->normals[i];
}

static void play(void *state, float *x, size_t ld, uint64_t t)
{
    struct processes *s = state;

    if (t)
        step(s);
    else
        start(s);
    for (size_t b = 0; b < s->n_sequences; b++)
        for (size_t c = 0; c < s->n_channels; c++)
            x[b * ld + c] = s->x[b * s->n_drawn + c];
}

static void close_processes(void *state)
{
    struct processes *s = state;

    if (!s)
        return;
    gle_free(s->x);
    gle_free(s->normals);
    gle_free(s);
}

int gle_ornstein_uhlenbeck_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                                struct gle_error *err)
{
    const struct ornstein_uhlenbeck_params *p = params;
    struct processes *s;

    if (p->tau < ctx->dt)
        return gle_fail(err, GLE_ERANGE, "tau = %g is below dt = %g", p->tau, ctx->dt);
    s = gle_calloc(1, sizeof *s);
    data->n_channels = (size_t)p->channels;
    data->signal = (struct gle_signal){
        .n_sequences = (size_t)p->sequences, .state = s, .play = play, .close = close_processes};
    if (!s)
        return gle_fail(err, GLE_ENOMEM, "no memory for the signal");
    *s = (struct processes){
        .n_sequences = (size_t)p->sequences,
        .n_channels = (size_t)p->channels,
        .n_drawn = p->channels > DRAWN_MIN ? (size_t)p->channels : DRAWN_MIN,
        .dt = (float)ctx->dt,
        .mu = (float)p->mu,
        .tau = (float)p->tau,
        .noise = (float)(p->sigma * sqrt(2.0 / p->tau) * sqrt(ctx->dt)),
        .seed = p->seed,
    };
    s->x = gle_calloc(s->n_sequences, s->n_drawn * sizeof *s->x);
    s->normals = gle_calloc(s->n_sequences, s->n_drawn * sizeof *s->normals);
    if (!s->x || !s->normals)
        return gle_fail(err, GLE_ENOMEM, "no memory for the signal");
    return 0;
}
