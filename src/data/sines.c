/* A sum of sines, as published (gle-code, lagnet.py generate_input, "sine & cosine"), for a run of n steps:
 *   x(t_i) = sum over k of amplitude_k sin(omega_k t_i + phase_k);   t_i = i T / (n-1), i = 0 ... n-1, T = n dt
 * The published t = linspace(0, T, n) has both ends, so that its step is T/(n-1) and not dt. */
#include "base/memory.h"
#include "data/sets.h"

#include <math.h>

struct sines_params {
    struct gle_reals omega, amplitude, phase;
    uint64_t sequences;
};
_Static_assert(sizeof(struct sines_params) <= GLE_DATASET_PARAMS_SIZE, "settings of sines");

const struct gle_key gle_sines_keys[] = {
    GLE_KEY_REALS(struct sines_params, omega, NULL, 0.0, 1e6, "1/time",
                  "angular frequencies of the summed sines; as published, n steps take the time from 0 to n dt, both "
                  "included"),
    GLE_KEY_REALS(struct sines_params, amplitude, "1.0", -1e6, 1e6, "", "amplitude of all sines, or of each"),
    GLE_KEY_REALS(struct sines_params, phase, "0.0", -1e6, 1e6, "rad",
                  "phase of all sines, or of each; 1.5707963 makes cosines"),
    GLE_KEY_COUNT(struct sines_params, sequences, "1", 1, 1e6, "",
                  "sequences, run side by side as one batch; all carry the same signal"),
    GLE_KEY_END,
};

struct tone {
    double omega, amplitude, phase;
};

struct chord {
    size_t n_sequences;
    double step; /* from t_i to the next */
    size_t n_tones;
    struct tone tones[];
};

int gle_sines_check(const void *params, const char **key, const char **why)
{
    const struct sines_params *p = params;

    if (!p->omega.n) {
        *key = "omega";
        *why = "must have at least one frequency";
        return -1;
    }
    *why = "must be one number, or one for each omega";
    *key = "amplitude";
    if (p->amplitude.is_list ? p->amplitude.n != p->omega.n : p->amplitude.n != 1)
        return -1;
    *key = "phase";
    return (p->phase.is_list ? p->phase.n != p->omega.n : p->phase.n != 1) ? -1 : 0;
}

void gle_sines_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    (void)params;
    (void)n_targets;
    *n_channels = 1;
}

static void play(void *state, float *x, size_t ld, uint64_t t)
{
    const struct chord *c = state;
    double sum = 0.0;

    for (size_t k = 0; k < c->n_tones; k++) {
        const struct tone *tone = &c->tones[k];
        sum += tone->amplitude * sin(tone->omega * ((double)t * c->step) + tone->phase);
    }
    for (size_t b = 0; b < c->n_sequences; b++)
        x[b * ld] = (float)sum;
}

static double one_or_each(const struct gle_reals *reals, size_t k)
{
    return reals->v[reals->is_list ? k : 0];
}

int gle_sines_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx, struct gle_error *err)
{
    const struct sines_params *p = params;
    const double n = (double)ctx->n_steps;
    struct chord *c = gle_calloc(1, sizeof *c + p->omega.n * sizeof c->tones[0]);

    data->n_channels = 1;
    data->signal = (struct gle_signal){
        .n_sequences = (size_t)p->sequences, .state = c, .play = play, .close = gle_free};
    if (!c)
        return gle_fail(err, GLE_ENOMEM, "no memory for the signal");
    c->n_sequences = (size_t)p->sequences;
    c->step = ctx->n_steps > 1 ? n * ctx->dt / (n - 1.0) : 0.0;
    c->n_tones = p->omega.n;
    for (size_t k = 0; k < c->n_tones; k++)
        c->tones[k] = (struct tone){p->omega.v[k], one_or_each(&p->amplitude, k), one_or_each(&p->phase, k)};
    return 0;
}
