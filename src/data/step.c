/* Square wave, as published (gle-code, data/datasets.py, "step function"), for sequence b of a run of n steps:
 *   raw[i] = high if i mod 2w < w, else low;   w = width/dt, rounded (published: cut off)
 *   x[i]   = raw[(i - shift) mod n];           shift = torch.randint(0, w), drawn for one sequence after the other
 *   then smoothed over time as scipy.ndimage.gaussian_filter1d(x, smooth): weights to 4 standard deviations, beyond the
 *   ends of the run mirrored, the sample at the end repeated.
 * So a wave has an edge too many where it was wrapped round, at i = shift, unless n is a multiple of 2w. */
#include "base/memory.h"
#include "base/rng.h"
#include "data/sets.h"

#include <assert.h>
#include <math.h>

struct step_params {
    double width;
    double smooth;
    uint64_t sequences;
    double low, high;
    uint64_t seed, skip;
};
_Static_assert(sizeof(struct step_params) <= GLE_DATASET_PARAMS_SIZE, "settings of step");

const struct gle_key gle_step_keys[] = {
    GLE_KEY_STEPS(struct step_params, width, "2.0", 1e-9, 1e9,
                 "half a period: how long the wave stays high, then low"),
    GLE_KEY_REAL(struct step_params, smooth, "0.0", 0.0, 1e6, "steps",
                 "standard deviation of a Gaussian filter over time; 0: none"),
    GLE_KEY_COUNT(struct step_params, sequences, "1", 1, 1e6, "", "sequences, run side by side as one batch"),
    GLE_KEY_REAL(struct step_params, low, "-1.0", -1e6, 1e6, "", "lower value of the wave"),
    GLE_KEY_REAL(struct step_params, high, "1.0", -1e6, 1e6, "", "upper value of the wave"),
    GLE_KEY_COUNT(struct step_params, seed, "0", 0, 4294967295.0, "",
                  "seed of the shifts: each sequence is late by a random time below width"),
    GLE_KEY_COUNT(struct step_params, skip, "0", 0, 1e9, "",
                  "random numbers drawn and passed over before the shifts: the published LagLine had drawn 8"),
    GLE_KEY_END,
};

/* Memory grows with the width and with the radius of the filter, not with n. */
struct wave {
    double low, high;
    int64_t n, width; /* of the run, of half a period; steps */
    int64_t radius;   /* of the filter */
    double *below;    /* (2 radius + 2): the sum of the filter's first 0, 1, ... weights */
    float *period;    /* (2 width): the smoothed wave without shift, far from ends and wrap */
    uint32_t *shifts; /* (n_sequences) */
    size_t n_sequences;
};

int gle_step_check(const void *params, const char **key, const char **why)
{
    const struct step_params *p = params;

    if (p->low < p->high)
        return 0;
    *key = "high";
    *why = "must be above low";
    return -1;
}

void gle_step_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    (void)params;
    (void)n_targets;
    *n_channels = 1;
}

/* What a sequence is at step i before smoothing, and for how many steps from i on it is sure to stay; i may be beyond
 * the ends of the run. */
static double level(int64_t *stay, const struct wave *w, int64_t shift, int64_t i)
{
    const int64_t turn = i % (2 * w->n), at = turn < 0 ? turn + 2 * w->n : turn;
    const bool back = at >= w->n; /* in the mirror: steps run backwards */
    const int64_t step = back ? 2 * w->n - 1 - at : at;
    const bool wrapped = step < shift;
    const int64_t phase = (step - shift + (wrapped ? w->n : 0)) % (2 * w->width), since = phase % w->width;
    const int64_t to_edge = back ? since + 1 : w->width - since;
    const int64_t to_end = back ? step - (wrapped ? 0 : shift) + 1 : (wrapped ? shift : w->n) - step;

    *stay = to_edge < to_end ? to_edge : to_end;
    return phase < w->width ? w->high : w->low;
}

/* The smoothed sequence at step t, run by run of equal values under the filter. */
static float smoothed(const struct wave *w, int64_t shift, int64_t t)
{
    const int64_t n_weights = 2 * w->radius + 1;
    double sum = 0.0;

    for (int64_t k = 0, next; k < n_weights; k = next) {
        int64_t stay;
        const double value = level(&stay, w, shift, t - w->radius + k);
        next = stay < n_weights - k ? k + stay : n_weights;
        sum += value * (w->below[next] - w->below[k]);
    }
    return (float)sum;
}

static void play(void *state, float *x, size_t ld, uint64_t t)
{
    const struct wave *w = state;
    const int64_t at = (int64_t)t, period = 2 * w->width, phase = at % period, wrapped = (at + w->n) % period;
    const bool near_end = at < w->radius || at + w->radius >= w->n;

    assert(at < w->n);
    for (size_t b = 0; b < w->n_sequences; b++) {
        const int64_t shift = w->shifts[b];
        if (near_end || (at + w->radius >= shift && at < shift + w->radius)) {
            x[b * ld] = smoothed(w, shift, at);
        } else {
            const int64_t own = (at < shift ? wrapped : phase) - shift;
            x[b * ld] = w->period[own < 0 ? own + period : own];
        }
    }
}

static void close_wave(void *state)
{
    struct wave *w = state;

    if (!w)
        return;
    gle_free(w->below);
    gle_free(w->period);
    gle_free(w->shifts);
    gle_free(w);
}

static void fill_below(double *below, int64_t radius, double sigma)
{
    const int64_t n_weights = 2 * radius + 1;

    for (int64_t k = 0; k < n_weights; k++) {
        const double distance = (double)(k - radius);
        below[k + 1] = below[k] + (k == radius ? 1.0 : exp(-0.5 / (sigma * sigma) * distance * distance));
    }
    for (int64_t k = 0; k <= n_weights; k++)
        below[k] /= below[n_weights];
}

/* From a run of whole periods, so long that the filter does not reach its ends from the one in the middle. */
static void fill_period(struct wave *w)
{
    const int64_t period = 2 * w->width, margin = (w->radius / period + 1) * period;
    struct wave whole = *w;

    whole.n = margin + period + margin;
    for (int64_t i = 0; i < period; i++)
        w->period[i] = smoothed(&whole, 0, margin + i);
}

static void draw_shifts(struct wave *w, const struct step_params *p)
{
    struct gle_rng rng;

    gle_rng_seed(&rng, p->seed);
    gle_rng_skip(&rng, p->skip);
    for (size_t b = 0; b < w->n_sequences; b++)
        w->shifts[b] = gle_torch_randint(&rng, 0, (uint32_t)w->width);
}

int gle_step_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx, struct gle_error *err)
{
    const struct step_params *p = params;
    struct wave *w;
    size_t width;

    if (gle_data_steps(&width, "width", p->width, ctx->dt, err))
        return -1;
    if (width >= ctx->n_steps)
        return gle_fail(err, GLE_ERANGE, "width = %g is %zu steps of dt = %g, not less than the %llu of the whole run",
                        p->width, width, ctx->dt, (unsigned long long)ctx->n_steps);
    w = gle_calloc(1, sizeof *w);
    data->n_channels = 1;
    data->signal = (struct gle_signal){
        .n_sequences = (size_t)p->sequences, .state = w, .play = play, .close = close_wave};
    if (!w)
        return gle_fail(err, GLE_ENOMEM, "no memory for the signal");
    *w = (struct wave){
        .low = p->low,
        .high = p->high,
        .n = (int64_t)ctx->n_steps,
        .width = (int64_t)width,
        .radius = (int64_t)(4.0 * p->smooth + 0.5),
        .n_sequences = (size_t)p->sequences,
    };
    w->below = gle_calloc(2 * (size_t)w->radius + 2, sizeof *w->below);
    w->period = gle_calloc(2 * width, sizeof *w->period);
    w->shifts = gle_calloc(w->n_sequences, sizeof *w->shifts);
    if (!w->below || !w->period || !w->shifts)
        return gle_fail(err, GLE_ENOMEM, "no memory for the signal");
    fill_below(w->below, w->radius, p->smooth);
    fill_period(w);
    draw_shifts(w, p);
    return 0;
}
