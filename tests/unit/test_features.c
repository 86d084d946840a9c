#include "base/memory.h"
#include "data/features.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const double pi = 3.14159265358979323846;

static struct gle_features *open_features(const struct gle_feature_settings *how)
{
    struct gle_error err = {0};
    struct gle_features *f;

    if (gle_features_open(&f, how, &err))
        fail_msg("%s", err.text);
    return f;
}

static struct gle_feature_desk *open_desk(const struct gle_features *f)
{
    struct gle_feature_desk *desk = gle_feature_desk_open(f);

    assert_non_null(desk);
    return desk;
}

/* Two tones in noise; free with gle_free(). */
static float *make_wave(size_t n)
{
    float *wave = gle_floats(n);
    uint32_t random = 7;

    assert_non_null(wave);
    for (size_t i = 0; i < n; i++) {
        random = random * 1664525 + 1013904223;
        wave[i] = (float)(0.3 * sin(0.05 * (double)i) + 0.2 * sin(0.9 * (double)i) +
                          0.2 * ((double)(random >> 8) / 0x1p24 - 0.5));
    }
    return wave;
}

/* Features of one sound. */
static float *make_features(const struct gle_feature_settings *how, const float *wave, size_t n, size_t *n_values)
{
    struct gle_features *f = open_features(how);
    struct gle_feature_desk *desk = open_desk(f);
    float *out;

    *n_values = gle_features_frames(f, n) * gle_features_channels(f);
    assert_true(*n_values > 0);
    out = gle_floats(*n_values);
    assert_non_null(out);
    gle_features_make(out, f, desk, wave, n);
    gle_feature_desk_close(desk);
    gle_features_close(f);
    return out;
}

/* --- the same in plain words and double precision --- */

static double mel_of(double f)
{
    return 2595.0 * log10(1.0 + f / 700.0);
}

static double frequency_of(double mel)
{
    return 700.0 * (pow(10.0, mel / 2595.0) - 1.0);
}

static double filter_weight(const struct gle_feature_settings *how, size_t b, size_t k)
{
    const double step = mel_of(how->rate / 2.0) / (double)(how->bins + 1);
    const double left = frequency_of(step * (double)b), peak = frequency_of(step * (double)(b + 1));
    const double right = frequency_of(step * (double)(b + 2)), f = (double)k * how->rate / (double)how->window;

    if (f <= left || f >= right)
        return 0.0;
    return f <= peak ? (f - left) / (peak - left) : (right - f) / (right - peak);
}

static double sample_at(const float *wave, size_t n, long i)
{
    const long last = (long)n - 1;

    return (double)wave[i < 0 ? -i : i > last ? 2 * last - i : i];
}

/* mel (frames, bins), before the logarithm */
static void plain_mel(double *mel, const struct gle_feature_settings *how, const float *wave, size_t n)
{
    const size_t N = (size_t)how->window, bins = (size_t)how->bins, n_frames = 1 + n / (size_t)how->hop;
    double *cosine = gle_calloc(N, sizeof *cosine), *sine = gle_calloc(N, sizeof *sine);
    double *piece = gle_calloc(N, sizeof *piece);

    assert_true(cosine && sine && piece);
    for (size_t i = 0; i < N; i++) {
        cosine[i] = cos(2.0 * pi * (double)i / (double)N);
        sine[i] = sin(2.0 * pi * (double)i / (double)N);
    }
    for (size_t frame = 0; frame < n_frames; frame++) {
        for (size_t i = 0; i < N; i++)
            piece[i] = (1.0 - cosine[i]) / 2.0 * sample_at(wave, n, (long)(frame * how->hop + i) - (long)(N / 2));
        for (size_t k = 0; k <= N / 2; k++) {
            double re = 0.0, im = 0.0;
            for (size_t i = 0; i < N; i++) {
                re += piece[i] * cosine[i * k % N];
                im += piece[i] * sine[i * k % N];
            }
            for (size_t b = 0; b < bins; b++)
                mel[frame * bins + b] += filter_weight(how, b, k) * (re * re + im * im);
        }
    }
    gle_free(cosine);
    gle_free(sine);
    gle_free(piece);
}

static void plain_cosine_transform(double *out, size_t n_out, const double *in, size_t n)
{
    for (size_t k = 0; k < n_out; k++) {
        out[k] = 0.0;
        for (size_t i = 0; i < n; i++)
            out[k] += in[i] * cos(pi * (double)k * (2.0 * (double)i + 1.0) / (2.0 * (double)n));
        out[k] *= k ? sqrt(2.0 / (double)n) : sqrt(1.0 / (double)n);
    }
}

static void plain_standardise(double *x, size_t n)
{
    double mean = 0.0, variance = 0.0;

    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)(n - 1);
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - mean) / sqrt(variance);
}

static void assert_near(const char *what, const float *got, const double *want, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance))
            fail_msg("%s: value %zu of %zu is %.9g, not %.9g", what, i, n, (double)got[i], want[i]);
}

static double largest(const double *x, size_t n)
{
    double most = 0.0;

    for (size_t i = 0; i < n; i++)
        most = fmax(most, x[i]);
    return most;
}

static void check_against_plain_words(const struct gle_feature_settings *how, size_t n)
{
    struct gle_features *f = open_features(how);
    struct gle_feature_desk *desk = open_desk(f);
    const size_t bins = (size_t)how->bins, n_frames = gle_features_frames(f, n), C = gle_features_channels(f);
    float *wave = make_wave(n), *mel = gle_floats(n_frames * bins), *logarithm = gle_floats(n_frames * bins);
    float *out = gle_floats(n_frames * C);
    double *plain = gle_calloc(n_frames * bins, sizeof *plain), *want = gle_calloc(n_frames * C, sizeof *want);

    assert_true(mel && logarithm && out && plain && want);
    assert_int_equal(n_frames, 1 + n / how->hop);
    assert_int_equal(C, how->coefficients ? how->coefficients : how->bins);
    plain_mel(plain, how, wave, n);
    gle_features_stages(NULL, NULL, mel, logarithm, f, desk, wave, n);
    assert_near("mel", mel, plain, n_frames * bins, 1e-6 * largest(plain, n_frames * bins));
    for (size_t i = 0; i < n_frames * bins; i++)
        plain[i] = log2(plain[i] + 1e-9);
    assert_near("log2", logarithm, plain, n_frames * bins, 1e-4);
    for (size_t i = 0; i < n_frames; i++)
        if (how->coefficients)
            plain_cosine_transform(want + i * C, C, plain + i * bins, bins);
        else
            memcpy(want + i * C, plain + i * C, C * sizeof *want);
    plain_standardise(want, n_frames * C);
    gle_features_make(out, f, desk, wave, n);
    assert_near("features", out, want, n_frames * C, 1e-5);
    gle_free(wave);
    gle_free(mel);
    gle_free(logarithm);
    gle_free(out);
    gle_free(plain);
    gle_free(want);
    gle_feature_desk_close(desk);
    gle_features_close(f);
}

static void features_are_those_of_a_plain_fourier_transform(void **state)
{
    static const struct {
        struct gle_feature_settings how;
        size_t n;
    } cases[] = {
        {{.bins = 32, .window = 1024, .hop = 400, .rate = 16000}, 4000},
        {{.bins = 32, .window = 1024, .hop = 400, .rate = 16000}, 513}, /* as short as can be */
        {{.bins = 20, .window = 1000, .hop = 1500, .rate = 22050}, 4500}, /* samples between windows; n a multiple */
        {{.bins = 3, .window = 30, .hop = 7, .rate = 100}, 99},
        {{.bins = 9, .window = 514, .hop = 33, .rate = 8000}, 700}, /* 2 * 257 */
        {{.bins = 2, .window = 6, .hop = 1, .rate = 12.5}, 4},
        {{.bins = 1, .window = 4, .hop = 2, .rate = 16000}, 20},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_against_plain_words(&cases[i].how, cases[i].n);
}

static void cepstra_are_those_of_a_plain_cosine_transform(void **state)
{
    static const uint64_t coefficients[] = {1, 2, 13, 20};

    (void)state;
    for (size_t i = 0; i < COUNT(coefficients); i++) {
        const struct gle_feature_settings how = {
            .bins = 20, .window = 400, .hop = 160, .coefficients = coefficients[i], .rate = 16000};
        check_against_plain_words(&how, 1600);
    }
}

/* --- parts --- */

static void the_window_is_periodic(void **state)
{
    const struct gle_feature_settings how = {.bins = 2, .window = 8, .hop = 4, .rate = 8};
    static const double want[] = {0.0, 0.14644660940672624, 0.5, 0.8535533905932737,
                                  1.0, 0.8535533905932737, 0.5, 0.14644660940672624};
    struct gle_features *f = open_features(&how);
    float window[8];

    (void)state;
    gle_features_stages(window, NULL, NULL, NULL, f, NULL, NULL, 0);
    assert_near("window", window, want, 8, 1e-7);
    gle_features_close(f);
}

static void filters_are_triangles_that_add_up_to_one_between_their_peaks(void **state)
{
    enum { BINS = 32, FREQUENCIES = 513 };
    const struct gle_feature_settings how = {.bins = BINS, .window = 1024, .hop = 400, .rate = 16000};
    const double step = mel_of(8000.0) / (BINS + 1);
    struct gle_features *f = open_features(&how);
    static float filters[FREQUENCIES * BINS];

    (void)state;
    gle_features_stages(NULL, filters, NULL, NULL, f, NULL, NULL, 0);
    for (size_t k = 0; k < FREQUENCIES; k++) {
        const double mel = mel_of((double)k * 15.625);
        double sum = 0.0;
        for (size_t b = 0; b < BINS; b++) {
            const double want = filter_weight(&how, b, k);
            sum += (double)filters[k * BINS + b];
            assert_near("weight", filters + k * BINS + b, &want, 1, 1e-6);
        }
        if (mel >= step && mel <= BINS * step)
            assert_true(fabs(sum - 1.0) < 1e-6);
    }
    gle_features_close(f);
}

static void a_tone_is_seen_in_its_own_bin(void **state)
{
    enum { N = 8000, BINS = 16 };
    const struct gle_feature_settings how = {.bins = BINS, .window = 512, .hop = 500, .rate = 8000};
    float *wave = gle_floats(N);

    (void)state;
    assert_non_null(wave);
    for (size_t b = 0; b < BINS; b++) {
        const double f = frequency_of(mel_of(4000.0) / (BINS + 1) * (double)(b + 1));
        size_t n_values;
        float *out;
        for (size_t i = 0; i < N; i++)
            wave[i] = (float)(0.1 * sin(2.0 * pi * f * (double)i / 8000.0));
        out = make_features(&how, wave, N, &n_values);
        for (size_t i = 0; i < n_values; i++)
            assert_true(out[i] <= out[i / BINS * BINS + b]);
        gle_free(out);
    }
    gle_free(wave);
}

/* --- sounds that are special --- */

static void silence_is_all_zero(void **state)
{
    static const struct gle_feature_settings hows[] = {
        {.bins = 32, .window = 1024, .hop = 400, .rate = 16000},
        {.bins = 32, .window = 1024, .hop = 400, .coefficients = 1, .rate = 16000},
    };
    float *wave = gle_floats(16000);

    (void)state;
    assert_non_null(wave);
    for (size_t k = 0; k < COUNT(hows); k++) {
        size_t n_values;
        float *out = make_features(&hows[k], wave, 16000, &n_values);
        for (size_t i = 0; i < n_values; i++)
            assert_true(out[i] == 0.0f);
        gle_free(out);
    }
    gle_free(wave);
}

static void a_single_value_is_zero(void **state)
{
    const struct gle_feature_settings how = {.bins = 1, .window = 4, .hop = 100, .rate = 16000};
    float *wave = make_wave(10);
    size_t n_values;
    float *out = make_features(&how, wave, 10, &n_values);

    (void)state;
    assert_int_equal(n_values, 1);
    assert_true(out[0] == 0.0f);
    gle_free(wave);
    gle_free(out);
}

/* Loud, faint and almost constant sounds. The published silence, 1e-9 throughout, has logarithms that differ by 3e-5;
 * the largest feature of exact numbers is 5.566 there. */
static void features_have_mean_zero_and_deviation_one(void **state)
{
    static const struct gle_feature_settings hows[] = {
        {.bins = 32, .window = 1024, .hop = 400, .rate = 16000},
        {.bins = 32, .window = 1024, .hop = 400, .coefficients = 20, .rate = 16000},
    };
    static const float scales[] = {1.0f, 1e-9f, 1e6f};
    float *noise = make_wave(16000), *wave = gle_floats(16000);

    (void)state;
    assert_non_null(wave);
    for (size_t k = 0; k < COUNT(hows); k++)
        for (size_t s = 0; s <= COUNT(scales); s++) {
            double sum = 0.0, squares = 0.0, most = 0.0;
            size_t n_values;
            float *out;
            for (size_t i = 0; i < 16000; i++)
                wave[i] = s < COUNT(scales) ? noise[i] * scales[s] : 1e-9f;
            out = make_features(&hows[k], wave, 16000, &n_values);
            for (size_t i = 0; i < n_values; i++) {
                sum += (double)out[i];
                squares += (double)out[i] * (double)out[i];
                most = fmax(most, (double)out[i]);
            }
            assert_true(fabs(sum / (double)n_values) < 1e-6);
            assert_true(fabs(squares / (double)(n_values - 1) - 1.0) < 1e-5);
            if (s == COUNT(scales) && !k)
                assert_true(fabs(most - 5.566) < 5e-4);
            gle_free(out);
        }
    gle_free(noise);
    gle_free(wave);
}

static void a_sound_that_cannot_be_reflected_has_no_frames(void **state)
{
    const struct gle_feature_settings how = {.bins = 32, .window = 1024, .hop = 400, .rate = 16000};
    struct gle_features *f = open_features(&how);

    (void)state;
    assert_int_equal(gle_features_frames(f, 0), 0);
    assert_int_equal(gle_features_frames(f, 512), 0);
    assert_int_equal(gle_features_frames(f, 513), 2);
    assert_int_equal(gle_features_frames(f, 15999), 40);
    assert_int_equal(gle_features_frames(f, 16000), 41);
    gle_features_close(f);
}

/* --- use --- */

static void an_empty_filter_is_refused(void **state)
{
    static const struct {
        struct gle_feature_settings how;
        const char *text;
    } cases[] = {
        {{.bins = 512, .window = 64, .hop = 400, .rate = 16000},
         "mel filter 1 of 512 is narrower than the distance of two frequencies, and so always empty: fewer bins or a "
         "longer window are wanted"},
        {{.bins = 1, .window = 2, .hop = 1, .rate = 16000},
         "mel filter 1 of 1 is narrower than the distance of two frequencies, and so always empty: fewer bins or a "
         "longer window are wanted"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct gle_error err = {0};
        struct gle_features *f;
        assert_int_equal(gle_features_open(&f, &cases[i].how, &err), -1);
        assert_null(f);
        assert_int_equal(err.code, GLE_ERANGE);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void every_thread_makes_the_same_bits(void **state)
{
    enum { SOUNDS = 64, N = 16000 };
    const struct gle_feature_settings how = {.bins = 32, .window = 1024, .hop = 400, .rate = 16000};
    struct gle_features *f = open_features(&how);
    struct gle_feature_desk *desks[4];
    float *wave = make_wave(N), *want = gle_floats(SOUNDS * 41 * 32), *got = gle_floats(SOUNDS * 41 * 32);

    (void)state;
    assert_true(want && got);
    for (size_t k = 0; k < COUNT(desks); k++)
        desks[k] = open_desk(f);
    for (size_t i = 0; i < SOUNDS; i++)
        gle_features_make(want + i * 41 * 32, f, desks[0], wave + i, N - 100 * i);
#pragma omp parallel for num_threads(4) schedule(static, 1)
    for (size_t k = 0; k < COUNT(desks); k++)
        for (size_t i = SOUNDS; i-- > 0;) /* whatever a desk was used for before */
            if (i % COUNT(desks) == k)
                gle_features_make(got + i * 41 * 32, f, desks[k], wave + i, N - 100 * i);
    assert_memory_equal(got, want, SOUNDS * 41 * 32 * sizeof *got);
    for (size_t k = 0; k < COUNT(desks); k++)
        gle_feature_desk_close(desks[k]);
    gle_features_close(f);
    gle_free(wave);
    gle_free(want);
    gle_free(got);
}

static void every_failing_allocation_is_an_error(void **state)
{
    const struct gle_feature_settings how = {.bins = 8, .window = 128, .hop = 40, .coefficients = 4, .rate = 16000};
    struct gle_features *f = NULL;
    struct gle_feature_desk *desk = NULL;
    size_t k;

    (void)state;
    for (k = 0; !f; k++) {
        struct gle_error err = {0};
        int rc;
        gle_memory_fail_after(k);
        rc = gle_features_open(&f, &how, &err);
        gle_memory_fail_after((size_t)-1);
        assert_int_equal(rc, f ? 0 : -1);
        assert_int_equal(err.code, f ? GLE_OK : GLE_ENOMEM);
    }
    assert_true(k > 5);
    for (k = 0; !desk; k++) {
        gle_memory_fail_after(k);
        desk = gle_feature_desk_open(f);
        gle_memory_fail_after((size_t)-1);
    }
    assert_true(k > 5);
    gle_feature_desk_close(desk);
    gle_features_close(f);
    gle_feature_desk_close(NULL);
    gle_features_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_are_those_of_a_plain_fourier_transform),
        cmocka_unit_test(cepstra_are_those_of_a_plain_cosine_transform),
        cmocka_unit_test(the_window_is_periodic),
        cmocka_unit_test(filters_are_triangles_that_add_up_to_one_between_their_peaks),
        cmocka_unit_test(a_tone_is_seen_in_its_own_bin),
        cmocka_unit_test(silence_is_all_zero),
        cmocka_unit_test(a_single_value_is_zero),
        cmocka_unit_test(features_have_mean_zero_and_deviation_one),
        cmocka_unit_test(a_sound_that_cannot_be_reflected_has_no_frames),
        cmocka_unit_test(an_empty_filter_is_refused),
        cmocka_unit_test(every_thread_makes_the_same_bits),
        cmocka_unit_test(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
