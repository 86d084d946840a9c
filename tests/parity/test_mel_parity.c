/* Features of a sound against those of the paper's code, from the window to what the network is shown. */
#include "base/memory.h"
#include "data/data.h"
#include "data/features.h"
#include "reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* mel/manifest.json */
enum { WINDOW = 1024, HOP = 400, BINS = 32, FREQUENCIES = WINDOW / 2 + 1, UPSAMPLE = 20 };
enum { BINS_BETWEEN = 4 }; /* whose inputs between the frames the reference has */
static const struct gle_feature_settings how = {.bins = BINS, .window = WINDOW, .hop = HOP, .rate = 16000.0};

/* A reference signal, and everything that is made of it. */
struct work {
    const struct reference *ref;
    struct gle_features *features;
    struct gle_feature_desk *desk;
    size_t n, n_frames;
    float *wave;
    float *frames; /* (n_frames, BINS) */
};

static struct work start(void)
{
    struct gle_error err = {0};
    struct work w = {.ref = reference_get("mel", "mel")};

    w.n = reference_array(w.ref, "short_wave")->n;
    w.wave = gle_floats(w.n);
    assert_non_null(w.wave);
    reference_copy_rows(w.ref, "short_wave", 0, w.wave, 1, w.n, w.n);
    assert_int_equal(gle_features_open(&w.features, &how, &err), 0);
    w.desk = gle_feature_desk_open(w.features);
    w.n_frames = gle_features_frames(w.features, w.n);
    w.frames = gle_floats(w.n_frames * BINS);
    assert_true(w.desk && w.frames);
    return w;
}

static void end(struct work *w)
{
    gle_free(w->wave);
    gle_free(w->frames);
    gle_feature_desk_close(w->desk);
    gle_features_close(w->features);
}

/* rows (n, BINS) against an array of their first bins, (n_bins, n) */
static void assert_turned(const struct work *w, const char *name, const float *rows, size_t n, size_t n_bins)
{
    float *turned = gle_floats(n * n_bins);

    assert_non_null(turned);
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < n_bins; b++)
            turned[b * n + i] = rows[i * BINS + b];
    reference_assert_close(w->ref, name, turned, n * n_bins);
    gle_free(turned);
}

/* Window and filters have no tolerance of their own. The manifest says how far the published ones, computed in single
 * precision, are from exact numbers: 2e-7 and 4.3e-6. */
static void window_and_filters_are_the_published_ones(void **state)
{
    struct work w = start();
    float *window = gle_floats(WINDOW), *filters = gle_floats(FREQUENCIES * BINS);

    (void)state;
    assert_true(window && filters);
    gle_features_stages(window, filters, NULL, NULL, w.features, w.desk, NULL, 0);
    reference_assert_within(w.ref, "window", window, WINDOW, 8 * 0x1p-24);
    reference_assert_within(w.ref, "mel_filterbank", filters, FREQUENCIES * BINS, 1e-5);
    gle_free(window);
    gle_free(filters);
    end(&w);
}

static void mel_spectra_are_the_published_ones(void **state)
{
    struct work w = start();
    float *logarithm = gle_floats(w.n_frames * BINS);

    (void)state;
    assert_non_null(logarithm);
    gle_features_stages(NULL, NULL, w.frames, logarithm, w.features, w.desk, w.wave, w.n);
    assert_turned(&w, "short_mel", w.frames, w.n_frames, BINS);
    assert_turned(&w, "short_log2", logarithm, w.n_frames, BINS);
    gle_free(logarithm);
    end(&w);
}

static void features_are_the_published_ones(void **state)
{
    struct work w = start();

    (void)state;
    gle_features_make(w.frames, w.features, w.desk, w.wave, w.n);
    assert_turned(&w, "short_norm", w.frames, w.n_frames, BINS);
    end(&w);
}

static void inputs_between_the_frames_are_the_published_ones(void **state)
{
    struct work w = start();
    const size_t n_steps = w.n_frames * UPSAMPLE;
    const uint32_t row = 0;
    const struct gle_data data = {
        .n_steps = n_steps,
        .n_channels = BINS,
        .maker = {.frames_max = w.n_frames, .upsample = UPSAMPLE},
        .split[GLE_TRAIN] = {.n = 1},
    };
    const struct gle_batch batch = {.rows = &row, .B = 1, .n_steps = n_steps, .frames = w.frames,
                                    .n_frames = &w.n_frames};
    float *x = gle_floats(n_steps * BINS);

    (void)state;
    assert_non_null(x);
    gle_features_make(w.frames, w.features, w.desk, w.wave, w.n);
    for (size_t t = 0; t < n_steps; t++)
        gle_data_input(x + t * BINS, BINS, &data, &batch, t);
    assert_turned(&w, "short_interp", x, n_steps, BINS_BETWEEN);
    gle_free(x);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_and_filters_are_the_published_ones),
        cmocka_unit_test(mel_spectra_are_the_published_ones),
        cmocka_unit_test(features_are_the_published_ones),
        cmocka_unit_test(inputs_between_the_frames_are_the_published_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
