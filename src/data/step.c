/* Square wave, as published (gle-code, data/datasets.py, "step function"), for sequence b of a run of n steps:
 *   raw[i] = high for w steps from each rising edge on, else low;   w = width/dt, a whole number (published: cut off)
 *   rising edge k is at step 2wk (edges: exact), or at element k of torch.linspace(0, n, n // (2w) + 1), cut off to a
 *   whole step (edges: published), which makes the period n / (n // 2w) steps on the average;
 *   x[i]   = raw[(i - shift) mod n];           shift = torch.randint(0, w), drawn for one sequence after the other
 *   then smoothed over time as scipy.ndimage.gaussian_filter1d(x, smooth): weights to 4 standard deviations, beyond the
 *   ends of the run mirrored, the sample at the end repeated.
 * So an exact wave has an edge too many where it was wrapped round, at i = shift, unless n is a multiple of 2w. A
 * published one ends with a low half, which is what it begins with once it is late. */
#include "base/memory.h"
#include "base/rng.h"
#include "data/sets.h"

#include <assert.h>
#include <math.h>

enum { EXACT, PUBLISHED };
static const struct gle_row edge_rows[] = {
    [EXACT] = {.name = "exact", .help = "a rising edge every 2 width"},
    [PUBLISHED] = {.name = "published",
                   .help = "rising edges where the published code has them: of n steps and w of a half period, at "
                           "int(linspace(0, n, n // (2 w) + 1)) in single precision; n up to 4194304 w"},
    {.name = NULL},
};
static const struct gle_table edge_table = {"edges", edge_rows, sizeof *edge_rows};
static const uint64_t published_widths_max = 1 << 22; /* of a run; beyond, rounding moves edges by half a width */

struct step_params {
    double width;
    const struct gle_row *edges;
    double smooth;
    uint64_t sequences;
    double low, high;
    uint64_t seed, skip;
};
_Static_assert(sizeof(struct step_params) <= GLE_DATASET_PARAMS_SIZE, "settings of step");

const struct gle_key gle_step_keys[] = {
    GLE_KEY_STEPS(struct step_params, width, "2.0", 1e-9, 1e9,
                 "half a period: how long the wave stays high, then low"),
    GLE_KEY_NAME(struct step_params, edges, "exact", &edge_table, "where the rising edges are"),
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

/* The smoothed wave without shift at step `at` (exact edges: of the period), far from ends; at < 0: none yet. */
struct smooth_step {
    int64_t at;
    float x;
};
enum { KEPT_MAX = 1 << 16 }; /* of them; with halves of more steps than this, edges are rare under the filter */

/* Memory grows with the radius of the filter and, up to a limit, with the width, not with n. */
struct wave {
    double low, high;
    int64_t n, width; /* of the run, of half a period; steps */
    int64_t n_periods; /* of the run, if edges are the published ones; 0: exact ones */
    int64_t radius;   /* of the filter */
    double *below;    /* (2 radius + 2): the sum of the filter's first 0, 1, ... weights */
    struct smooth_step *kept; /* (n_kept): what several sequences show, one after the other; at in [at mod n_kept] */
    int64_t n_kept;   /* a power of 2 */
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

/* --- edges --- */

/* Element i of torch.linspace(0, n, n_periods + 1), which counts from the nearer end, as single elements are made. */
static float linspace_element(const struct wave *w, int64_t i)
{
    const float n = (float)w->n, step = n / (float)w->n_periods;

    return i < (w->n_periods + 1) / 2 ? step * (float)i : fmaf(-step, (float)(w->n_periods - i), n);
}

/* Where period k begins, k = 0 ... n_periods. As in PyTorch 1.13 with AVX2, elements are made by vectors of eight, in
 * pairs, each from its first one, and singly where no pair is left. */
static int64_t published_edge(const struct wave *w, int64_t k)
{
    const int64_t in_pairs = (w->n_periods + 1) / 16 * 16, lane = k < in_pairs ? k % 8 : 0;
    const float ahead = (float)lane * ((float)w->n / (float)w->n_periods);

    return (int64_t)(linspace_element(w, k - lane) + ahead);
}

static int64_t edge(const struct wave *w, int64_t k)
{
    return w->n_periods ? published_edge(w, k) : 2 * w->width * k;
}

/* How long the wave without shift has been what it is at step i of the run, and for how long it is sure to stay that,
 * step i included both times. */
static bool is_high(int64_t *since, int64_t *left, const struct wave *w, int64_t i)
{
    int64_t k = w->n_periods ? (int64_t)((double)i / (double)w->n * (double)w->n_periods) : i / (2 * w->width);
    int64_t begin, end;
    bool high;

    if (k)
        k--; /* rounding moves edges, by less than half a width */
    while (edge(w, k + 1) <= i)
        k++;
    begin = edge(w, k);
    end = edge(w, k + 1);
    high = i < begin + w->width;
    if (high)
        end = begin + w->width;
    else
        begin += w->width;
    *since = i - begin + 1;
    *left = end - i;
    return high;
}

/* --- shift and filter --- */

/* What a sequence is at step i before smoothing, and for how many steps from i on it is sure to stay; i may be beyond
 * the ends of the run. */
static double level(int64_t *stay, const struct wave *w, int64_t shift, int64_t i)
{
    const int64_t turn = i % (2 * w->n), at = turn < 0 ? turn + 2 * w->n : turn;
    const bool back = at >= w->n; /* in the mirror: steps run backwards */
    const int64_t step = back ? 2 * w->n - 1 - at : at;
    const bool wrapped = step < shift;
    const int64_t to_end = back ? step - (wrapped ? 0 : shift) + 1 : (wrapped ? shift : w->n) - step;
    int64_t since, left, to_edge;
    const bool high = is_high(&since, &left, w, step - shift + (wrapped ? w->n : 0));

    to_edge = back ? since : left;
    *stay = to_edge < to_end ? to_edge : to_end;
    return high ? w->high : w->low;
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

/* The smoothed wave without shift at a step of the run that the filter does not reach the ends from. */
static float smoothed_far(const struct wave *w, int64_t i)
{
    const int64_t at = w->n_periods ? i : i % (2 * w->width);
    struct smooth_step *kept = &w->kept[at & (w->n_kept - 1)];

    if (kept->at != at)
        *kept = (struct smooth_step){.at = at, .x = smoothed(w, 0, i)};
    return kept->x;
}

static void play(void *state, float *x, size_t ld, uint64_t t)
{
    const struct wave *w = state;
    const int64_t at = (int64_t)t;
    const bool near_end = at < w->radius || at + w->radius >= w->n;

    assert(at < w->n);
    for (size_t b = 0; b < w->n_sequences; b++) {
        const int64_t shift = w->shifts[b];
        const bool near_wrap = at + w->radius >= shift && at < shift + w->radius;
        x[b * ld] = near_end || near_wrap ? smoothed(w, shift, at)
                                          : smoothed_far(w, at - shift + (at < shift ? w->n : 0));
    }
}

static void close_wave(void *state)
{
    struct wave *w = state;

    if (!w)
        return;
    gle_free(w->below);
    gle_free(w->kept);
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

static int make_kept(struct wave *w)
{
    w->n_kept = 1;
    while (w->n_kept < 2 * w->width && w->n_kept < KEPT_MAX)
        w->n_kept *= 2;
    w->kept = gle_calloc((size_t)w->n_kept, sizeof *w->kept);
    if (!w->kept)
        return -1;
    for (int64_t i = 0; i < w->n_kept; i++)
        w->kept[i].at = -1;
    return 0;
}

static void draw_shifts(struct wave *w, const struct step_params *p)
{
    struct gle_rng rng;

    gle_rng_seed(&rng, p->seed);
    gle_rng_skip(&rng, p->skip);
    for (size_t b = 0; b < w->n_sequences; b++)
        w->shifts[b] = gle_torch_randint(&rng, 0, (uint32_t)w->width);
}

/* At least one, since a run begins with an edge. */
static int64_t whole_periods(int64_t n, int64_t width)
{
    return n < 2 * width ? 1 : n / (2 * width);
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
    if (p->edges == &edge_rows[PUBLISHED] && ctx->n_steps > published_widths_max * width)
        return gle_fail(err, GLE_ERANGE,
                        "published edges are placed in single precision, which is good for %llu steps of this width; "
                        "the run has %llu (edges: exact has no such limit)",
                        (unsigned long long)published_widths_max * width, (unsigned long long)ctx->n_steps);
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
        .n_periods = p->edges == &edge_rows[EXACT] ? 0 : whole_periods((int64_t)ctx->n_steps, (int64_t)width),
        .radius = (int64_t)(4.0 * p->smooth + 0.5),
        .n_sequences = (size_t)p->sequences,
    };
    w->below = gle_calloc(2 * (size_t)w->radius + 2, sizeof *w->below);
    w->shifts = gle_calloc(w->n_sequences, sizeof *w->shifts);
    if (!w->below || !w->shifts || make_kept(w))
        return gle_fail(err, GLE_ENOMEM, "no memory for the signal");
    fill_below(w->below, w->radius, p->smooth);
    draw_shifts(w, p);
    return 0;
}
