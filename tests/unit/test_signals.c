/* Data sets without samples (tests/parity holds them against the published numbers, tests/contract against what all
 * signals have in common). */
#include "../support/dataset.h"
#include "base/memory.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct gle_data *open_signal(const char *name, const char *yaml, double dt, uint64_t n)
{
    const struct gle_data_context ctx = {.dt = dt, .n_steps = n, .has_teacher = true};

    return open_data(name, yaml, 0.0, &ctx);
}

static void assert_refused(const char *name, const char *yaml, uint64_t n, enum gle_code code, const char *text)
{
    const struct gle_data_context ctx = {.dt = 0.5, .n_steps = n, .has_teacher = true};

    assert_not_opened(name, yaml, 0.0, &ctx, code, text);
}

/* Steps 0 ... n-1 of all sequences and channels: (n, n_sequences, n_channels). Free with gle_free(). */
static float *play_all(const struct gle_data *data, size_t n)
{
    const size_t size = data->signal.n_sequences * data->n_channels;
    float *x = gle_floats(n * size);

    assert_non_null(x);
    for (size_t t = 0; t < n; t++)
        data->signal.play(data->signal.state, x + t * size, data->n_channels, t);
    return x;
}

/* The whole of a signal that was opened for n steps. */
static float *play_new(const char *name, const char *yaml, double dt, size_t n)
{
    struct gle_data *data = open_signal(name, yaml, dt, n);
    float *x = play_all(data, n);

    gle_data_close(data);
    return x;
}

static void assert_equal_floats(const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (got[i] != want[i])
            fail_msg("value %zu is %.9g, not %.9g", i, (double)got[i], (double)want[i]);
}

/* --- step --- */

static void step_is_high_for_a_width_and_then_low(void **state)
{
    /* with a width of one step the shift is 0 */
    static const float narrow[] = {3, -2, 3, -2, 3};
    float *x = play_new("step", "{width: 0.5, low: -2, high: 3}", 0.5, COUNT(narrow));

    (void)state;
    assert_equal_floats(x, narrow, COUNT(narrow));
    gle_free(x);
}

static void step_rounds_its_width(void **state)
{
    /* 0.29/0.01 is 28.999999999999996 */
    float *x = play_new("step", "{width: 0.29, sequences: 5}", 0.01, 29 * 8);

    (void)state;
    for (size_t i = 0; i + 58 < 29 * 8; i++)
        for (size_t b = 0; b < 5; b++) {
            assert_true(x[(i + 29) * 5 + b] == -x[i * 5 + b]);
            assert_true(x[(i + 58) * 5 + b] == x[i * 5 + b]);
        }
    gle_free(x);
}

struct wave {
    double width; /* in steps of 0.01 */
    size_t n;
    double smooth;
    double low, high;
    uint64_t seed, skip;
    bool published;
};
enum { SEQUENCES = 7, N_MAX = 1000 };

/* torch.linspace(0, n, m) in single precision, written in the order in which it is computed: from the nearer end, pairs
 * of vectors of eight elements, then the others. The products are exact in double precision, so that what is rounded is
 * the sum alone, as by a fused multiply-add. */
static void linspace(float *x, size_t n, size_t m)
{
    const float step = m > 1 ? (float)n / (float)(m - 1) : 0.0f;
    size_t i = 0;

    while (i < m) {
        const double from_start = (double)step * (double)i;
        const double from_end = (double)n - (double)step * (double)(m - 1 - i);
        const float element = (float)(i < m / 2 || m == 1 ? from_start : from_end);
        if (i < m / 16 * 16)
            for (int lane = 0; lane < 8; lane++)
                x[i++] = element + step * (float)lane;
        else
            x[i++] = element;
    }
}

/* From each rising edge on, high for a width. */
static void square_wave(bool *is_high, const struct wave *wave)
{
    const size_t n = wave->n, width = (size_t)wave->width, n_edges = n / (2 * width) + 1;
    float edges[N_MAX + 8];

    linspace(edges, n, n_edges);
    for (size_t i = 0; i < n; i++)
        is_high[i] = !wave->published && i % (2 * width) < width;
    for (size_t k = 0; wave->published && k < n_edges; k++)
        for (size_t i = (size_t)edges[k]; i < (size_t)edges[k] + width && i < n; i++)
            is_high[i] = true;
}

/* The plain formula, in double: roll, then filter with the ends mirrored. */
static void oracle(double *x, const struct wave *wave, size_t shift)
{
    const size_t n = wave->n;
    const long radius = (long)(4.0 * wave->smooth + 0.5);
    double rolled[N_MAX], sum = 0.0;
    bool is_high[N_MAX];

    square_wave(is_high, wave);
    for (size_t i = 0; i < n; i++)
        rolled[(i + shift) % n] = is_high[i] ? wave->high : wave->low;
    for (long k = -radius; k <= radius; k++)
        sum += radius ? exp(-0.5 * (double)(k * k) / (wave->smooth * wave->smooth)) : 1.0;
    for (size_t i = 0; i < n; i++) {
        x[i] = 0.0;
        for (long k = -radius; k <= radius; k++) {
            const double weight = radius ? exp(-0.5 * (double)(k * k) / (wave->smooth * wave->smooth)) : 1.0;
            long at = (long)i + k;
            while (at < 0 || at >= (long)n)
                at = at < 0 ? -1 - at : 2 * (long)n - 1 - at;
            x[i] += weight / sum * rolled[at];
        }
    }
}

static void step_is_rolled_and_smoothed_as_by_a_plain_loop(void **state)
{
    static const struct wave waves[] = {
        {20, 200, 0.0, -1, 1, 0, 0, false},    /* a whole number of periods */
        {20, 190, 0.0, -1, 1, 1, 0, false},    /* an edge too many at the wrap */
        {20, 187, 0.1, -1, 1, 2, 0, false},    /* a filter of one weight */
        {20, 200, 2.0, -1, 1, 3, 8, false},    /* edges, wrap and ends apart */
        {20, 213, 2.0, 0.25, 5, 4, 1, false},
        {20, 173, 5.0, -1, 1, 5, 0, false},    /* a filter as long as a period */
        {3, 100, 5.0, -3, 1, 6, 0, false},     /* and longer */
        {1, 50, 2.0, -1, 1, 7, 0, false},
        {20, 21, 0.0, -1, 1, 8, 0, false},     /* hardly an edge */
        {20, 21, 1.0, -1, 1, 9, 0, false},
        {20, 30, 20.0, -1, 1, 10, 0, false},   /* a run shorter than the filter's radius */
        {5, 11, 100.0, -1, 1, 11, 700, false}, /* mirrored many times over */
        {400, 1000, 5.0, -1, 1, 12, 0, false},
        {20, 200, 2.0, -1, 1, 13, 0, true},    /* published: the same wave as an exact one */
        {20, 213, 0.0, -1, 1, 14, 0, true},    /* periods of 42 and 43 steps, low half at the wrap */
        {20, 213, 2.0, 0.25, 5, 15, 1, true},
        {20, 799, 5.0, -1, 1, 16, 0, true},    /* hardly longer than 19 periods of 40: 42.05 steps */
        {3, 997, 0.0, -1, 1, 17, 0, true},     /* so many that most elements are made by vectors */
        {3, 998, 5.0, -3, 1, 18, 0, true},
        {1, 1000, 0.0, -1, 1, 19, 0, true},
        {1, 999, 1.0, -1, 1, 20, 0, true},     /* periods of two steps, and one of three */
        {10, 488, 0.0, -1, 1, 26, 0, true},    /* a vector without its pair is made singly */
        {2, 447, 0.0, -1, 1, 27, 0, true},     /* products are not rounded before they are taken from n */
        {20, 21, 1.0, -1, 1, 21, 0, true},     /* shorter than a period */
        {20, 40, 1.0, -1, 1, 22, 0, true},     /* one period */
        {20, 79, 3.0, -1, 1, 23, 0, true},     /* one of nearly two */
        {5, 11, 100.0, -1, 1, 24, 0, true},
        {400, 1000, 5.0, -1, 1, 25, 0, true},
    };
    double want[N_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(waves); i++) {
        const struct wave *wave = &waves[i];
        char yaml[200];
        struct gle_rng rng;
        float *x;
        snprintf(yaml, sizeof yaml,
                 "{width: %.2f, smooth: %g, low: %g, high: %g, sequences: %d, seed: %llu, skip: %llu, edges: %s}",
                 0.01 * wave->width, wave->smooth, wave->low, wave->high, SEQUENCES, (unsigned long long)wave->seed,
                 (unsigned long long)wave->skip, wave->published ? "published" : "exact");
        x = play_new("step", yaml, 0.01, wave->n);
        gle_rng_seed(&rng, wave->seed);
        gle_rng_skip(&rng, wave->skip);
        for (size_t b = 0; b < SEQUENCES; b++) {
            const uint32_t shift = gle_torch_randint(&rng, 0, (uint32_t)wave->width);
            oracle(want, wave, shift);
            for (size_t t = 0; t < wave->n; t++)
                if (fabs((double)x[t * SEQUENCES + b] - want[t]) > 4e-7 * (wave->high - wave->low))
                    fail_msg("wave %zu, shift %u, step %zu: %.9g, not %.9g", i, shift, t,
                             (double)x[t * SEQUENCES + b], want[t]);
        }
        gle_free(x);
    }
}

/* The published run of 405,000 steps: 1,012 periods of 400.198. Single precision puts eight edges a step further on
 * than the whole part of k n / 1012 is. */
static void published_edges_of_the_long_run_are_where_single_precision_puts_them(void **state)
{
    enum { N = 405000, PERIODS = 1012 };
    static const size_t later[] = {339, 425, 511, 592, 678, 845, 850, 931};
    float *x = play_new("step", "{edges: published, sequences: 1, skip: 8}", 0.01, N);
    float *exact = play_new("step", "{sequences: 1, skip: 8}", 0.01, N);
    struct gle_rng rng;
    size_t shift, k = 0, next = 0;

    (void)state;
    gle_rng_seed(&rng, 0);
    gle_rng_skip(&rng, 8);
    shift = gle_torch_randint(&rng, 0, 200);
    assert_true(shift > 0);
    for (size_t t = 0; t < shift; t++)
        assert_true(x[t] == -1.0f && exact[t] == 1.0f);
    for (size_t t = 1; t < N; t++) {
        if (!(x[t] > x[t - 1]))
            continue;
        if (next < COUNT(later) && later[next] == k) {
            assert_int_equal(t - shift, k * N / PERIODS + 1);
            next++;
        } else {
            assert_int_equal(t - shift, k * N / PERIODS);
        }
        assert_true(t + 200 >= N || (x[t + 199] == 1.0f && x[t + 200] == -1.0f));
        k++;
    }
    assert_int_equal(k, PERIODS);
    assert_int_equal(next, COUNT(later));
    gle_free(x);
    gle_free(exact);
}

/* Where single precision counts in fours and eights. Numbers: the rule as PyTorch computes it, made with numpy. */
static void published_edges_of_longer_runs_are_rounded_as_published(void **state)
{
    static const struct {
        const char *yaml;
        uint64_t n;
        uint32_t width;
        uint64_t edges[6];
    } runs[] = {
        {"{width: 200, edges: published}", 100000001, 200, {400, 2800, 400000, 49999600, 50000000, 99999600}},
        {"{width: 33, edges: published}", 123456789, 33, {66, 528, 66000, 61728364, 61728432, 123456728}},
        {"{width: 200, edges: published}", 838860800, 200, {400, 3200, 400000, 419430016, 419430400, 838860416}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(runs); i++) {
        const uint32_t width = runs[i].width;
        struct gle_data *data = open_signal("step", runs[i].yaml, 1.0, runs[i].n);
        struct gle_rng rng;
        uint32_t shift;
        gle_rng_seed(&rng, 0);
        shift = gle_torch_randint(&rng, 0, width);
        for (size_t k = 0; k < COUNT(runs[i].edges); k++) {
            const uint64_t at = runs[i].edges[k] + shift, steps[4] = {at - 1, at, at + width - 1, at + width};
            for (size_t j = 0; j < 4 && steps[j] < runs[i].n; j++) {
                float x;
                data->signal.play(data->signal.state, &x, 1, steps[j]);
                if (x != (j == 1 || j == 2 ? 1.0f : -1.0f))
                    fail_msg("run %zu, edge %zu: step %zu is %g", i, k, (size_t)steps[j], (double)x);
            }
        }
        gle_data_close(data);
    }
}

/* More steps of the wave are in use at a time than are kept. */
static void wide_waves_are_right_at_any_step(void **state)
{
    enum { N = 500000, WIDTH = 140000, B = 50, APART = 7 };
    struct gle_data *data = open_signal("step", "{width: 140000, sequences: 50}", 1.0, N);
    struct gle_rng rng;
    uint32_t shifts[B];
    float x[B];

    (void)state;
    gle_rng_seed(&rng, 0);
    for (size_t b = 0; b < B; b++)
        shifts[b] = gle_torch_randint(&rng, 0, WIDTH);
    for (size_t t = 0; t < N; t += APART) {
        data->signal.play(data->signal.state, x, 1, t);
        for (size_t b = 0; b < B; b++)
            if (x[b] != ((t + N - shifts[b]) % N % (2 * WIDTH) < WIDTH ? 1.0f : -1.0f))
                fail_msg("shift %u, step %zu: %g", shifts[b], t, (double)x[b]);
    }
    gle_data_close(data);
}

/* A run that goes on from a checkpoint begins anywhere. */
static void steps_may_be_played_in_any_order(void **state)
{
    enum { N = 3000 };
    static const char *const yaml[] = {"{smooth: 5, sequences: 3}", "{smooth: 5, sequences: 3, edges: published}"};

    (void)state;
    for (size_t i = 0; i < COUNT(yaml); i++) {
        struct gle_data *data = open_signal("step", yaml[i], 0.01, N);
        float *x = play_new("step", yaml[i], 0.01, N), at_t[3];
        for (size_t k = 0; k < N; k++) {
            const size_t t = k * 1237 % N; /* each once */
            data->signal.play(data->signal.state, at_t, 1, t);
            assert_equal_floats(at_t, x + 3 * t, 3);
        }
        gle_free(x);
        gle_data_close(data);
    }
}

static void step_without_filter_has_two_values_only(void **state)
{
    enum { N = 500 };
    float *x = play_new("step", "{width: 0.2, low: -1e6, high: 1e-3, sequences: 9}", 0.01, N);

    (void)state;
    for (size_t i = 0; i < 9 * N; i++)
        assert_true(x[i] == -1e6f || x[i] == 1e-3f);
    gle_free(x);
}

static void steps_of_the_paper_are_had_by_passing_over_eight_draws(void **state)
{
    struct gle_data *data = open_signal("step", "{sequences: 3, skip: 8}", 0.01, 1000);
    float *x = play_all(data, 1000);
    struct gle_rng rng;

    (void)state;
    gle_rng_seed(&rng, 0);
    for (int i = 0; i < 8; i++)
        (void)gle_rng_u32(&rng);
    for (size_t b = 0; b < 3; b++) {
        const uint32_t shift = gle_torch_randint(&rng, 0, 200);
        for (size_t t = shift; t < 1000; t++)
            assert_true(x[3 * t + b] == ((t - shift) % 400 < 200 ? 1.0f : -1.0f));
    }
    gle_free(x);
    gle_data_close(data);
}

static void step_does_not_grow_with_the_run(void **state)
{
    const uint64_t n = UINT64_C(4000000000000); /* far more than memory */
    struct gle_data *data = open_signal("step", "{width: 2, smooth: 5}", 0.01, n);
    struct gle_rng rng;
    uint32_t shift;
    float first, last;

    (void)state;
    gle_rng_seed(&rng, 0);
    shift = gle_torch_randint(&rng, 0, 200);
    data->signal.play(data->signal.state, &first, 1, shift + 100);
    data->signal.play(data->signal.state, &last, 1, n - 400 + shift + 100);
    assert_true(first == 1.0f && last == 1.0f);
    data->signal.play(data->signal.state, &last, 1, n - 1);
    assert_true(last == -1.0f);
    gle_data_close(data);
}

static void step_refuses_what_makes_no_sense(void **state)
{
    (void)state;
    assert_refused("step", "{low: 2, high: 1}", 100, GLE_ERANGE, "must be above low");
    assert_refused("step", "{width: 0.2}", 100, GLE_ERANGE,
                   "width = 0.2 is 0 steps of dt = 0.5 (1 to 1e+09 are possible)");
    assert_refused("step", "{width: 1e9}", 100, GLE_ERANGE,
                   "width = 1e+09 is 2e+09 steps of dt = 0.5 (1 to 1e+09 are possible)");
    assert_refused("step", "{width: 2}", 4, GLE_ERANGE,
                   "width = 2 is 4 steps of dt = 0.5, not less than the 4 of the whole run");
    gle_data_close(open_signal("step", "{width: 2}", 0.5, 5));
    assert_refused("step", "{edges: published, width: 1.5}", 12582913, GLE_ERANGE,
                   "published edges are placed in single precision, which is good for 12582912 steps of this width; "
                   "the run has 12582913 (edges: exact has no such limit)");
    gle_data_close(open_signal("step", "{edges: published, width: 1.5}", 0.5, 12582912));
    gle_data_close(open_signal("step", "{edges: exact, width: 1.5}", 0.5, 12582913));
}

/* --- sines --- */

static void sines_are_summed_from_zero_to_the_very_end(void **state)
{
    enum { N = 101 };
    float *x = play_new("sines", "{omega: [0.49, 1.07, 0], amplitude: [2, -0.5, 3], phase: [0, 1, 0.5]}", 0.1, N);

    (void)state;
    for (size_t i = 0; i < N; i++) {
        const double t = (double)i * (N * 0.1) / (N - 1);
        const double want = 2.0 * sin(0.49 * t) - 0.5 * sin(1.07 * t + 1.0) + 3.0 * sin(0.5);
        assert_true(fabs((double)x[i] - want) < 1e-6);
    }
    gle_free(x);
}

static void one_amplitude_and_phase_may_stand_for_all(void **state)
{
    enum { N = 50 };
    float *one = play_new("sines", "{omega: [1, 2, 3], amplitude: 0.5, phase: 0.25}", 0.1, N);
    float *each = play_new("sines", "{omega: [1, 2, 3], amplitude: [0.5, 0.5, 0.5], phase: [0.25, 0.25, 0.25]}", 0.1,
                           N);

    (void)state;
    assert_equal_floats(one, each, N);
    gle_free(one);
    gle_free(each);
}

static void a_phase_makes_cosines(void **state)
{
    enum { N = 50 };
    float *x = play_new("sines", "{omega: 2, phase: 1.5707963267948966}", 0.1, N);

    (void)state;
    for (size_t i = 0; i < N; i++)
        assert_true(fabs((double)x[i] - cos(2.0 * (double)i * N * 0.1 / (N - 1))) < 1e-6);
    gle_free(x);
}

static void all_sequences_carry_the_same_sines(void **state)
{
    enum { N = 50 };
    float *x = play_new("sines", "{omega: [1, 5], sequences: 3}", 0.1, N);

    (void)state;
    for (size_t i = 0; i < N; i++)
        assert_true(x[3 * i] == x[3 * i + 1] && x[3 * i] == x[3 * i + 2]);
    gle_free(x);
}

static void a_single_step_is_at_time_zero(void **state)
{
    float *x = play_new("sines", "{omega: 7, phase: 0.5}", 0.1, 1);

    (void)state;
    assert_true(x[0] == (float)sin(0.5));
    gle_free(x);
}

static void sines_refuse_lists_of_other_lengths(void **state)
{
    const char *why = "must be one number, or one for each omega";

    (void)state;
    assert_refused("sines", "{omega: []}", 100, GLE_ERANGE, "must have at least one frequency");
    assert_refused("sines", "{omega: [1, 2, 3], amplitude: [1, 2]}", 100, GLE_ERANGE, why);
    assert_refused("sines", "{omega: [1, 2, 3], phase: [1]}", 100, GLE_ERANGE, why);
    assert_refused("sines", "{}", 100, GLE_ECONFIG,
                   "needs the key 'omega' (angular frequencies of the summed sines; as published, n steps take the "
                   "time from 0 to n dt, both included)");
}

/* --- ornstein_uhlenbeck --- */

static void processes_follow_their_equation(void **state)
{
    enum { N = 40, B = 2, C = 3 };
    const float dt = 0.01f, tau = 0.3f, mu = 0.7f;
    const float noise = (float)(0.5 * sqrt(2.0 / 0.3) * sqrt(0.01));
    float *x = play_new("ornstein_uhlenbeck",
                        "{tau: 0.3, mu: 0.7, sigma: 0.5, sequences: 2, channels: 3, seed: 9}", 0.01, N);
    struct gle_rng rng;

    (void)state;
    gle_rng_seed(&rng, 9);
    for (size_t i = 0; i < B * C; i++)
        assert_true(x[i] == 0.0f);
    for (size_t t = 1; t < N; t++) {
        float normals[B * C];
        gle_torch_normal(&rng, normals, B * C, 0.0, 1.0);
        for (size_t i = 0; i < B * C; i++) {
            const float old = x[(t - 1) * B * C + i], drift = dt * (-(old - mu) / tau);
            assert_true(fabsf(x[t * B * C + i] - (old + drift + noise * normals[i])) < 1e-7f);
        }
    }
    gle_free(x);
}

static void one_channel_is_the_first_of_two(void **state)
{
    enum { N = 100, B = 3 };
    float *one = play_new("ornstein_uhlenbeck", "{sequences: 3}", 0.01, N);
    float *two = play_new("ornstein_uhlenbeck", "{sequences: 3, channels: 2}", 0.01, N);

    (void)state;
    for (size_t i = 0; i < N * B; i++)
        assert_true(one[i] == two[2 * i]);
    gle_free(one);
    gle_free(two);
}

/* Stationary: mean mu, variance sigma^2 / (1 - dt/(2 tau)), correlation 1 - dt/tau from step to step. */
static void processes_have_their_mean_and_variance(void **state)
{
    enum { START = 200, STEPS = 2000, B = 200 };
    const double mean = 2.0, variance = 0.25 / (1.0 - 0.1 / 2.0), correlation = 1.0 - 0.1;
    float *x = play_new("ornstein_uhlenbeck", "{tau: 1, mu: 2, sigma: 0.5, sequences: 200}", 0.1, START + STEPS);
    double sum = 0.0, squares = 0.0, products = 0.0;

    (void)state;
    for (size_t i = START * B; i < (START + STEPS) * B; i++) {
        const double d = (double)x[i] - mean, before = (double)x[i - B] - mean;
        sum += d;
        squares += d * d;
        products += d * before;
    }
    assert_true(fabs(sum / (STEPS * B)) < 0.015); /* four standard errors, with 21 steps to an independent one */
    assert_true(fabs(squares / (STEPS * B) / variance - 1.0) < 0.03);
    assert_true(fabs(products / squares - correlation) < 0.003);
    gle_free(x);
}

static void processes_without_noise_go_to_their_mean(void **state)
{
    enum { N = 300 };
    float *x = play_new("ornstein_uhlenbeck", "{tau: 0.1, mu: -3, sigma: 0}", 0.01, N);

    (void)state;
    for (size_t t = 0; t < N; t++)
        assert_true(fabs((double)x[t] - -3.0 * (1.0 - pow(0.9, (double)t))) < 1e-5);
    gle_free(x);
}

static void processes_refuse_what_makes_no_sense(void **state)
{
    (void)state;
    assert_refused("ornstein_uhlenbeck", "{tau: 0.4}", 100, GLE_ERANGE, "tau = 0.4 is below dt = 0.5");
    gle_data_close(open_signal("ornstein_uhlenbeck", "{tau: 0.5}", 0.5, 100));
}

/* --- checksum --- */

static void the_checksum_is_that_of_sizes_and_steps(void **state)
{
    /* Python: hashlib.sha256 of struct.pack('<7Q', 0 steps, 1 channel, 0, 0, 0, 0, 2 sequences), then of each step the
     * values as '<f4'; 1,000 steps at most. */
    struct gle_data *five = open_signal("step", "{width: 0.5, sequences: 2}", 0.5, 5);
    struct gle_data *more = open_signal("step", "{width: 0.5, sequences: 2}", 0.5, 1001);

    (void)state;
    assert_string_equal(five->sha256, "6965dbbe7cabb7c9d973f27f1b64f8ce399ca90d0e28fd486b86d9d45cafd407");
    assert_string_equal(more->sha256, "1dba5f2bf4d6bec2dc89e62327d4fcd8fd31b4433bf994274a4e85a67b17a501");
    gle_data_close(five);
    gle_data_close(more);
}

static void the_checksum_changes_with_the_settings(void **state)
{
    static const struct {
        const char *name, *yaml;
    } sets[] = {{"step", "{}"}, {"step", "{width: 3}"}, {"step", "{smooth: 2}"}, {"step", "{sequences: 2}"},
                {"step", "{low: 0}"}, {"step", "{high: 2}"}, {"step", "{seed: 1}"}, {"step", "{skip: 1}"},
                {"step", "{edges: published}"},
                {"sines", "{omega: 1}"}, {"sines", "{omega: 2}"}, {"sines", "{omega: 1, amplitude: 2}"},
                {"sines", "{omega: 1, phase: 1}"}, {"sines", "{omega: 1, sequences: 2}"},
                {"ornstein_uhlenbeck", "{}"}, {"ornstein_uhlenbeck", "{tau: 2}"}, {"ornstein_uhlenbeck", "{mu: 1}"},
                {"ornstein_uhlenbeck", "{sigma: 2}"}, {"ornstein_uhlenbeck", "{seed: 1}"},
                {"ornstein_uhlenbeck", "{channels: 2}"}, {"ornstein_uhlenbeck", "{sequences: 2}"}};
    struct gle_data *data[COUNT(sets)];

    (void)state;
    for (size_t i = 0; i < COUNT(sets); i++)
        data[i] = open_signal(sets[i].name, sets[i].yaml, 0.01, 3000);
    for (size_t i = 0; i < COUNT(sets); i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(data[i]->sha256, data[k]->sha256))
                fail_msg("%s %s is %s %s", sets[i].name, sets[i].yaml, sets[k].name, sets[k].yaml);
    for (size_t i = 0; i < COUNT(sets); i++)
        gle_data_close(data[i]);
}

/* --- memory --- */

static void every_failed_allocation_is_survived(void **state)
{
    static const struct {
        const char *name, *yaml;
    } sets[] = {{"step", "{width: 10, smooth: 3, sequences: 4}"},
                {"step", "{width: 10, smooth: 3, sequences: 4, edges: published}"},
                {"sines", "{omega: [1, 2], sequences: 4}"},
                {"ornstein_uhlenbeck", "{sequences: 4, channels: 3}"}};
    const struct gle_data_context ctx = {.dt = 0.5, .n_steps = 100, .has_teacher = true};

    (void)state;
    for (size_t i = 0; i < COUNT(sets); i++) {
        struct gle_error err = {0};
        struct gle_data *data = NULL;
        struct chosen c;
        size_t k;
        assert_int_equal(choose(&c, sets[i].name, sets[i].yaml, &err), 0);
        for (k = 0; !data; k++) {
            int status;
            err = (struct gle_error){0};
            gle_memory_fail_after(k);
            status = gle_data_open(&data, c.set, c.params, 0.0, &ctx, &err);
            gle_memory_fail_after((size_t)-1);
            assert_int_equal(status, data ? 0 : -1);
            assert_int_equal(err.code, data ? GLE_OK : GLE_ENOMEM);
        }
        assert_true(k > 3);
        gle_data_close(data);
        forget(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_is_high_for_a_width_and_then_low),
        cmocka_unit_test(step_rounds_its_width),
        cmocka_unit_test(step_is_rolled_and_smoothed_as_by_a_plain_loop),
        cmocka_unit_test(published_edges_of_the_long_run_are_where_single_precision_puts_them),
        cmocka_unit_test(published_edges_of_longer_runs_are_rounded_as_published),
        cmocka_unit_test(wide_waves_are_right_at_any_step),
        cmocka_unit_test(steps_may_be_played_in_any_order),
        cmocka_unit_test(step_without_filter_has_two_values_only),
        cmocka_unit_test(steps_of_the_paper_are_had_by_passing_over_eight_draws),
        cmocka_unit_test(step_does_not_grow_with_the_run),
        cmocka_unit_test(step_refuses_what_makes_no_sense),
        cmocka_unit_test(sines_are_summed_from_zero_to_the_very_end),
        cmocka_unit_test(one_amplitude_and_phase_may_stand_for_all),
        cmocka_unit_test(a_phase_makes_cosines),
        cmocka_unit_test(all_sequences_carry_the_same_sines),
        cmocka_unit_test(a_single_step_is_at_time_zero),
        cmocka_unit_test(sines_refuse_lists_of_other_lengths),
        cmocka_unit_test(processes_follow_their_equation),
        cmocka_unit_test(one_channel_is_the_first_of_two),
        cmocka_unit_test(processes_have_their_mean_and_variance),
        cmocka_unit_test(processes_without_noise_go_to_their_mean),
        cmocka_unit_test(processes_refuse_what_makes_no_sense),
        cmocka_unit_test(the_checksum_is_that_of_sizes_and_steps),
        cmocka_unit_test(the_checksum_changes_with_the_settings),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
