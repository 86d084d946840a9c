#include "data/features.h"

#include "base/memory.h"

#include <assert.h>
#include <kiss_fftr.h>
#include <limits.h>
#include <math.h>

static const double pi = 3.14159265358979323846;
static const double floor_power = 1e-9; /* as published; keeps the logarithm finite */

/* A triangle of the filter bank: its weights for the frequencies first ... first + n - 1, the others being zero. */
struct filter {
    size_t first, n;
    const double *weights; /* in gle_features */
};

struct gle_features {
    struct gle_feature_settings how;
    size_t n_frequencies;
    double *window;         /* (window) */
    struct filter *filters; /* (bins) */
    double *weights;        /* of all filters, one after the other */
    double *cosines;        /* (coefficients, bins); NULL: mel */
};

struct gle_feature_desk {
    void *plan; /* kiss_fftr_cfg; it has working memory of its own */
    kiss_fft_scalar *piece;  /* (window) */
    kiss_fft_cpx *spectrum;  /* (n_frequencies) */
    double *power;           /* (n_frequencies) */
    double *mel;             /* (bins) */
};

/* Weight of frequency k in the triangle that rises from edges[0] to 1 at edges[1] and falls to edges[2]. */
static double triangle(const double *edges, double frequency)
{
    const double up = (frequency - edges[0]) / (edges[1] - edges[0]);
    const double down = (edges[2] - frequency) / (edges[2] - edges[1]);

    return fmax(0.0, fmin(up, down));
}

/* bins + 2 frequencies, evenly spaced on the HTK scale from 0 to half the rate. */
static void place_edges(double *edges, size_t bins, double rate)
{
    const double top = 2595.0 * log10(1.0 + rate / 2.0 / 700.0);

    for (size_t i = 0; i <= bins; i++)
        edges[i] = 700.0 * (pow(10.0, top * (double)i / (double)(bins + 1) / 2595.0) - 1.0);
    edges[bins + 1] = rate / 2.0;
}

/* Every frequency is inside of two triangles at most, so that there is room for the weights of all. */
static int make_filters(struct gle_features *f, const double *edges, struct gle_error *err)
{
    const size_t bins = (size_t)f->how.bins;
    size_t used = 0;

    for (size_t b = 0; b < bins; b++) {
        struct filter *filter = &f->filters[b];
        filter->weights = f->weights + used;
        for (size_t k = 0; k < f->n_frequencies; k++) {
            const double w = triangle(edges + b, (double)k * f->how.rate / (double)f->how.window);
            if (w <= 0.0)
                continue;
            if (!filter->n)
                filter->first = k;
            filter->n++;
            f->weights[used++] = w;
        }
        if (!filter->n)
            return gle_fail(err, GLE_ERANGE,
                            "mel filter %zu of %zu is narrower than the distance of two frequencies, and so always "
                            "empty: fewer bins or a longer window are wanted",
                            b + 1, bins);
    }
    return 0;
}

static void make_window(double *window, size_t n)
{
    for (size_t i = 0; i < n; i++)
        window[i] = 0.5 - 0.5 * cos(2.0 * pi * (double)i / (double)n);
}

/* Orthonormal DCT-II. */
static void make_cosines(double *cosines, size_t n_coefficients, size_t bins)
{
    for (size_t k = 0; k < n_coefficients; k++)
        for (size_t b = 0; b < bins; b++)
            cosines[k * bins + b] =
                sqrt((k ? 2.0 : 1.0) / (double)bins) * cos(pi * (double)k * ((double)b + 0.5) / (double)bins);
}

static int fill(struct gle_features *f, struct gle_error *err)
{
    const size_t bins = (size_t)f->how.bins, n_coefficients = (size_t)f->how.coefficients;
    double *edges = gle_calloc(bins + 2, sizeof *edges);
    int rc;

    f->window = gle_calloc((size_t)f->how.window, sizeof *f->window);
    f->filters = gle_calloc(bins, sizeof *f->filters);
    f->weights = gle_calloc(2 * f->n_frequencies, sizeof *f->weights);
    if (n_coefficients)
        f->cosines = gle_calloc(n_coefficients, bins * sizeof *f->cosines);
    if (!edges || !f->window || !f->filters || !f->weights || (n_coefficients && !f->cosines)) {
        gle_free(edges);
        return gle_fail(err, GLE_ENOMEM, "no memory for %zu mel filters", bins);
    }
    make_window(f->window, (size_t)f->how.window);
    place_edges(edges, bins, f->how.rate);
    rc = make_filters(f, edges, err);
    gle_free(edges);
    if (n_coefficients)
        make_cosines(f->cosines, n_coefficients, bins);
    return rc;
}

int gle_features_open(struct gle_features **out, const struct gle_feature_settings *how, struct gle_error *err)
{
    struct gle_features *f = gle_calloc(1, sizeof *f);

    assert(how->bins && how->bins <= INT_MAX && how->coefficients <= how->bins && how->rate > 0.0);
    assert(how->window >= 2 && how->window % 2 == 0 && how->window <= INT_MAX && how->hop);
    *out = NULL;
    if (!f)
        return gle_fail(err, GLE_ENOMEM, "no memory for the features");
    f->how = *how;
    f->n_frequencies = (size_t)how->window / 2 + 1;
    if (fill(f, err)) {
        gle_features_close(f);
        return -1;
    }
    *out = f;
    return 0;
}

void gle_features_close(struct gle_features *f)
{
    if (!f)
        return;
    gle_free(f->window);
    gle_free(f->filters);
    gle_free(f->weights);
    gle_free(f->cosines);
    gle_free(f);
}

size_t gle_features_channels(const struct gle_features *f)
{
    return (size_t)(f->cosines ? f->how.coefficients : f->how.bins);
}

size_t gle_features_frames(const struct gle_features *f, size_t n)
{
    return n <= f->how.window / 2 ? 0 : 1 + n / (size_t)f->how.hop;
}

struct gle_feature_desk *gle_feature_desk_open(const struct gle_features *f)
{
    struct gle_feature_desk *desk = gle_calloc(1, sizeof *desk);
    size_t plan_size = 0;

    if (!desk)
        return NULL;
    kiss_fftr_alloc((int)f->how.window, 0, NULL, &plan_size);
    desk->plan = gle_calloc(1, plan_size);
    desk->piece = gle_calloc((size_t)f->how.window, sizeof *desk->piece);
    desk->spectrum = gle_calloc(f->n_frequencies, sizeof *desk->spectrum);
    desk->power = gle_calloc(f->n_frequencies, sizeof *desk->power);
    desk->mel = gle_calloc((size_t)f->how.bins, sizeof *desk->mel);
    if (!desk->plan || !desk->piece || !desk->spectrum || !desk->power || !desk->mel ||
        !kiss_fftr_alloc((int)f->how.window, 0, desk->plan, &plan_size)) {
        gle_feature_desk_close(desk);
        return NULL;
    }
    return desk;
}

void gle_feature_desk_close(struct gle_feature_desk *desk)
{
    if (!desk)
        return;
    gle_free(desk->plan);
    gle_free(desk->piece);
    gle_free(desk->spectrum);
    gle_free(desk->power);
    gle_free(desk->mel);
    gle_free(desk);
}

/* wave at index i, which may lie outside by less than n: reflected without repeating the end (c b | a b c | b a). */
static float reflected(const float *wave, size_t n, ptrdiff_t i)
{
    const ptrdiff_t last = (ptrdiff_t)n - 1;

    if (i < 0)
        i = -i;
    return wave[i <= last ? i : 2 * last - i];
}

/* The windowed samples around the centre of a frame. */
static void cut_out(float *piece, const struct gle_features *f, const float *wave, size_t n, size_t frame)
{
    const size_t N = (size_t)f->how.window, centre = frame * (size_t)f->how.hop;

    if (centre >= N / 2 && centre + N / 2 <= n) {
        const float *from = wave + (centre - N / 2);
        for (size_t i = 0; i < N; i++)
            piece[i] = (float)(f->window[i] * (double)from[i]);
        return;
    }
    for (size_t i = 0; i < N; i++) {
        const ptrdiff_t at = (ptrdiff_t)centre - (ptrdiff_t)(N / 2) + (ptrdiff_t)i;
        piece[i] = (float)(f->window[i] * (double)reflected(wave, n, at));
    }
}

/* Fills desk->mel with the spectrum of a frame. */
static void make_mel(const struct gle_features *f, struct gle_feature_desk *desk, const float *wave, size_t n,
                     size_t frame)
{
    cut_out(desk->piece, f, wave, n, frame);
    kiss_fftr(desk->plan, desk->piece, desk->spectrum);
    for (size_t k = 0; k < f->n_frequencies; k++) {
        const double re = (double)desk->spectrum[k].r, im = (double)desk->spectrum[k].i;
        desk->power[k] = re * re + im * im;
    }
    for (size_t b = 0; b < f->how.bins; b++) {
        const struct filter *filter = &f->filters[b];
        const double *power = desk->power + filter->first;
        double sum = 0.0;
        for (size_t i = 0; i < filter->n; i++)
            sum += filter->weights[i] * power[i];
        desk->mel[b] = sum;
    }
}

static void take_logarithm(double *mel, size_t bins)
{
    for (size_t b = 0; b < bins; b++)
        mel[b] = log2(mel[b] + floor_power);
}

/* Feature c of a frame, from the logarithms of its mel spectrum. */
static double feature(const struct gle_features *f, const double *log2_mel, size_t c)
{
    const size_t bins = (size_t)f->how.bins;
    double sum = 0.0;

    if (!f->cosines)
        return log2_mel[c];
    for (size_t b = 0; b < bins; b++)
        sum += f->cosines[c * bins + b] * log2_mel[b];
    return sum;
}

/* Minus the mean, over the unbiased standard deviation. */
static void standardise(float *x, size_t n)
{
    double sum = 0.0, squares = 0.0, mean, scale;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    scale = squares > 0.0 ? sqrt((double)(n - 1) / squares) : 0.0;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(((double)x[i] - mean) * scale);
}

void gle_features_make(float *out, const struct gle_features *f, struct gle_feature_desk *desk, const float *wave,
                       size_t n)
{
    const size_t n_frames = gle_features_frames(f, n), n_channels = gle_features_channels(f);
    double origin = 0.0;

    assert(n_frames);
    for (size_t i = 0; i < n_frames; i++) {
        make_mel(f, desk, wave, n, i);
        take_logarithm(desk->mel, (size_t)f->how.bins);
        if (!i)
            origin = feature(f, desk->mel, 0);
        /* The mean goes anyway. Differences are stored so that those of a nearly constant sound are not rounded off. */
        for (size_t c = 0; c < n_channels; c++)
            out[i * n_channels + c] = (float)(feature(f, desk->mel, c) - origin);
    }
    standardise(out, n_frames * n_channels);
}

/* filters (n_frequencies, bins) */
static void show_filters(float *filters, const struct gle_features *f)
{
    const size_t bins = (size_t)f->how.bins;

    for (size_t i = 0; i < f->n_frequencies * bins; i++)
        filters[i] = 0.0f;
    for (size_t b = 0; b < bins; b++)
        for (size_t i = 0; i < f->filters[b].n; i++)
            filters[(f->filters[b].first + i) * bins + b] = (float)f->filters[b].weights[i];
}

void gle_features_stages(float *window, float *filters, float *mel, float *log2_mel, const struct gle_features *f,
                         struct gle_feature_desk *desk, const float *wave, size_t n)
{
    const size_t bins = (size_t)f->how.bins;

    for (size_t i = 0; window && i < f->how.window; i++)
        window[i] = (float)f->window[i];
    if (filters)
        show_filters(filters, f);
    if (!mel && !log2_mel)
        return;
    for (size_t i = 0; i < gle_features_frames(f, n); i++) {
        make_mel(f, desk, wave, n, i);
        for (size_t b = 0; mel && b < bins; b++)
            mel[i * bins + b] = (float)desk->mel[b];
        take_logarithm(desk->mel, bins);
        for (size_t b = 0; log2_mel && b < bins; b++)
            log2_mel[i * bins + b] = (float)desk->mel[b];
    }
}
