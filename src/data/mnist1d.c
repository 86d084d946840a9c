#include "data/mnist1d.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/npz_names.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* The published numbers come out bit by bit only if every operation below rounds by itself and in this order: no fused
 * multiply-add (-ffp-contract=off) and numpy's order of summation. */

_Static_assert(sizeof(struct gle_mnist1d) <= GLE_DATASET_PARAMS_SIZE, "settings of mnist1d");

const struct gle_key gle_mnist1d_keys[] = {
    GLE_KEY_COUNT(struct gle_mnist1d, samples, "5000", 1, 1e8, "samples",
                  "number of samples in both sets together, rounded down to the same number for every template"),
    GLE_KEY_REAL(struct gle_mnist1d, train_split, "0.8", 0.0, 1.0, "", "fraction of the samples that are for training"),
    GLE_KEY_COUNT(struct gle_mnist1d, template_length, "12", 2, 1e6, "points",
                  "templates are moved and distorted on a grid of template_length plus the most padding"),
    GLE_KEY_SOME_REALS(struct gle_mnist1d, padding, "[36, 60]", 0.0, 1e6, 2, 2, "points",
                       "fewest and most zeros that are appended to a template"),
    GLE_KEY_REAL(struct gle_mnist1d, scale_coeff, "0.4", 0.0, 1e6, "", "range of the random factor around 1"),
    GLE_KEY_COUNT(struct gle_mnist1d, max_translation, "48", 1, 1e6, "points",
                  "number of possible rotations: by 0 ... max_translation - 1 points of the grid"),
    GLE_KEY_REAL(struct gle_mnist1d, corr_noise_scale, "0.25", 0.0, 1e6, "",
                 "standard deviation of the noise that is smoothed to replace the padding"),
    GLE_KEY_REAL(struct gle_mnist1d, iid_noise_scale, "0.02", 0.0, 1e6, "",
                 "standard deviation of the noise that is added everywhere"),
    GLE_KEY_REAL(struct gle_mnist1d, shear_scale, "0.75", 0.0, 1e6, "", "range of the random slope around 0"),
    GLE_KEY_BOOL(struct gle_mnist1d, shuffle_seq, "false", "whether all samples are shuffled alike along time"),
    GLE_KEY_COUNT(struct gle_mnist1d, length, "40", 1, 1e6, "steps",
                  "length of a sample (published: final_seq_length)"),
    GLE_KEY_COUNT(struct gle_mnist1d, seed, "42", 0, 4294967295.0, "", "seed of the generator"),
    GLE_KEY_PATH(struct gle_mnist1d, template, GLE_ABSENT,
                 "npz file with templates x (templates, points), and their labels y, in place of the ten digits"),
    GLE_KEY_END,
};

enum { DIGITS = 10, DIGIT_POINTS = 12 };
/* The published templates, as drawn there. */
static const double digits[DIGITS][DIGIT_POINTS] = {
    {5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5},
    {5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5},
    {5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5},
    {5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5},
    {5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5},
    {5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5},
    {5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5},
    {5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5},
    {5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5},
    {5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5},
};

/* The outer to the middle weight of scipy.ndimage.gaussian_filter(noise, 2), exp(-k^2 / 8) over its sum for |k| <= 8.
 * In numbers, because the last bits that numpy's vectorised exp() gave the published data are not those of libm. */
enum { RADIUS = 8 };
static const double taps[RADIUS + 1] = {
    6.691628957263553e-05, 0.0004363490205067883, 0.0022159631725965556, 0.00876430436278587,
    0.026995957967298843, 0.06475993660472744, 0.12098748976534904, 0.17603575888479034,
    0.199474647864745,
};

/* Samples between two words on the progress. */
static size_t tell_every(size_t length)
{
    return 1 + GLE_DATA_TELL / length;
}

/* What a generation works on. samples (n, length) are in the order of generation, in `out` in their final order. */
struct work {
    double *templates; /* (n_templates, n_points) */
    int32_t *template_labels;
    size_t n_templates, n_points;
    size_t grid;             /* points that a padded template is stretched to */
    double *padded;          /* (n_points + most padding) */
    double *signal, *spare;  /* (grid) */
    double *samples, *out;
    uint32_t *order; /* (n) and at least (length) */
    int32_t *labels; /* (n), final order */
    const struct gle_data_context *ctx; /* who is told how far it is */
    struct gle_error *err;
};

int gle_mnist1d_check(const void *params, const char **key, const char **why)
{
    const struct gle_mnist1d *p = params;
    const struct gle_reals *pad = &p->padding;

    if (pad->n != 2 || pad->v[0] != floor(pad->v[0]) || pad->v[1] != floor(pad->v[1]) || pad->v[0] > pad->v[1]) {
        *key = "padding";
        *why = "must be two whole numbers, fewest and most";
        return -1;
    }
    if ((size_t)((double)p->samples * p->train_split) == 0) {
        *key = "train_split";
        *why = "leaves no training sample";
        return -1;
    }
    return 0;
}

/* Sum as numpy's pairwise_sum: eight running sums, blocks of 128, halves. */
static double pairwise_sum(const double *v, size_t n)
{
    enum { LANES = 8, BLOCK = 128 };
    double r[LANES], sum = 0.0;
    size_t i;

    if (n < LANES) {
        for (i = 0; i < n; i++)
            sum += v[i];
        return sum;
    }
    if (n > BLOCK) {
        const size_t half = n / 2 - n / 2 % LANES;
        return pairwise_sum(v, half) + pairwise_sum(v + half, n - half);
    }
    memcpy(r, v, sizeof r);
    for (i = LANES; i < n - n % LANES; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            r[k] += v[i + k];
    sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    for (; i < n; i++)
        sum += v[i];
    return sum;
}

/* numpy's mean of contiguous doubles, or, where a centre is given, of the squares of their distances from it: its
 * iterator hands them to pairwise_sum in buffers, added one after the other. Tells w's context. */
static int mean_of(double *mean, const double *v, size_t n, const double *centre, const struct work *w)
{
    enum { BUFFER = 8192 };
    double squares[BUFFER], sum = 0.0;

    for (size_t i = 0; i < n; i += BUFFER) {
        const size_t count = n - i < BUFFER ? n - i : BUFFER;
        if (i % (GLE_DATA_TELL * BUFFER / 1024) == 0 && gle_data_tell(w->ctx, "measuring samples", i, n, w->err))
            return -1;
        for (size_t k = 0; centre && k < count; k++)
            squares[k] = (v[i + k] - *centre) * (v[i + k] - *centre);
        sum += pairwise_sum(centre ? squares : v + i, count);
    }
    *mean = sum / (double)n;
    return 0;
}

/* Mean and population standard deviation. */
static int measure(double *mean, double *std, const double *v, size_t n, const struct work *w)
{
    double variance;

    if (mean_of(mean, v, n, NULL, w) || mean_of(&variance, v, n, mean, w))
        return -1;
    *std = sqrt(variance);
    return 0;
}

/* v <- (v - mean) / std */
static void standardise(double *v, size_t n, double mean, double std)
{
    for (size_t i = 0; i < n; i++)
        v[i] = (v[i] - mean) / std;
}

/* Point i of numpy.linspace(0, 1, n). */
static double unit_point(size_t i, size_t n)
{
    if (n == 1)
        return 0.0;
    return i == n - 1 ? 1.0 : (double)i * (1.0 / (double)(n - 1));
}

/* numpy.interp of y (n >= 2), given on linspace(0, 1, n), at linspace(0, 1, n_out). */
static void interpolate(double *out, size_t n_out, const double *y, size_t n)
{
    size_t j = 0;

    for (size_t i = 0; i < n_out; i++) {
        const double x = unit_point(i, n_out);
        while (j + 1 < n && unit_point(j + 1, n) <= x)
            j++;
        if (j == n - 1) {
            out[i] = y[j];
        } else {
            const double left = unit_point(j, n), slope = (y[j + 1] - y[j]) / (unit_point(j + 1, n) - left);
            out[i] = slope * (x - left) + y[j];
        }
    }
}

/* v at index i, mirrored at both ends (d c b a | a b c d | d c b a). */
static double mirrored(const double *v, size_t n, ptrdiff_t i)
{
    const ptrdiff_t period = 2 * (ptrdiff_t)n;
    const ptrdiff_t k = (i % period + period) % period;
    return v[k < (ptrdiff_t)n ? k : period - 1 - k];
}

/* The order of scipy's correlate1d for a symmetric filter: the centre, then pairs from the outside in. */
static double smoothed(const double *v, size_t n, size_t at)
{
    const ptrdiff_t i = (ptrdiff_t)at;
    double sum = v[at] * taps[RADIUS];

    for (int k = RADIUS; k > 0; k--)
        sum += (mirrored(v, n, i - k) + mirrored(v, n, i + k)) * taps[RADIUS - k];
    return sum;
}

/* One sample (length) from a template (n_points). The draws, in order: padding, scale, rotation, a grid of correlated
 * noise, a grid of independent noise, shear. */
static void make_sample(double *sample, const double *template, struct work *w, struct gle_rng *rng,
                        const struct gle_mnist1d *how)
{
    const double fewest = how->padding.v[0], most = how->padding.v[1];
    const size_t G = w->grid, n = w->n_points + (size_t)fewest + (size_t)(gle_numpy_rand(rng) * (most - fewest + 1.0));
    double factor, slope;
    size_t shift;

    memset(w->padded, 0, n * sizeof *w->padded);
    for (size_t i = 0; i < w->n_points; i++)
        w->padded[i] = template[i] + 1e-8; /* so that no point of the template passes for padding */
    interpolate(w->spare, G, w->padded, n);
    factor = 1.0 + how->scale_coeff * (gle_numpy_rand(rng) - 0.5);
    shift = gle_numpy_interval(rng, (uint32_t)how->max_translation - 1);
    if (shift >= G)
        shift = 0; /* as numpy's slices x[-shift:], x[:-shift] turn out */
    for (size_t i = 0; i < G; i++)
        w->signal[(i + shift) % G] = w->spare[i] * factor;
    for (size_t i = 0; i < G; i++)
        w->spare[i] = how->corr_noise_scale * gle_numpy_randn(rng);
    for (size_t i = 0; i < G; i++)
        if (w->signal[i] == 0.0)
            w->signal[i] = smoothed(w->spare, G, i);
    for (size_t i = 0; i < G; i++)
        w->signal[i] += how->iid_noise_scale * gle_numpy_randn(rng);
    slope = how->shear_scale * (gle_numpy_rand(rng) - 0.5);
    for (size_t i = 0; i < G; i++) /* linspace(-0.5, 0.5, G), whose last point is exact */
        w->signal[i] -= slope * (i == G - 1 ? 0.5 : unit_point(i, G) - 0.5);
    interpolate(sample, (size_t)how->length, w->signal, G);
}

/* The ten digits, each row standardised, starting at 0, a sixth in size. */
static int make_digits(struct work *w, struct gle_error *err)
{
    w->n_templates = DIGITS;
    w->n_points = DIGIT_POINTS;
    w->templates = gle_calloc(DIGITS, sizeof digits[0]);
    w->template_labels = gle_calloc(DIGITS, sizeof *w->template_labels);
    if (!w->templates || !w->template_labels)
        return gle_fail(err, GLE_ENOMEM, "no memory for the templates");
    for (int k = 0; k < DIGITS; k++) {
        double *row = w->templates + k * DIGIT_POINTS, mean, std;
        memcpy(row, digits[k], sizeof digits[k]);
        if (mean_of(&mean, row, DIGIT_POINTS, NULL, w))
            return -1;
        standardise(row, DIGIT_POINTS, mean, 1.0);
        if (measure(&mean, &std, row, DIGIT_POINTS, w))
            return -1;
        standardise(row, DIGIT_POINTS, 0.0, std); /* of what was rounded before */
        for (int i = DIGIT_POINTS - 1; i >= 0; i--)
            row[i] = (row[i] - row[0]) / 6.0;
        w->template_labels[k] = k;
    }
    return 0;
}

static int take_templates(struct work *w, const struct gle_array *x, const char *path, struct gle_error *err)
{
    if (x->n_dims != 2 || !x->shape[0] || x->shape[1] < 2)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "x must have the shape (templates, points)");
    w->n_templates = x->shape[0];
    w->n_points = x->shape[1];
    w->templates = gle_calloc(x->n, sizeof *w->templates);
    w->template_labels = gle_calloc(w->n_templates, sizeof *w->template_labels);
    if (!w->templates || !w->template_labels)
        return gle_fail(err, GLE_ENOMEM, "no memory for the templates");
    for (size_t i = 0; i < x->n; i++) {
        w->templates[i] = gle_array_real(x, i);
        if (!isfinite(w->templates[i]))
            return gle_fail_in(err, GLE_EDATA, path, NULL, "x[%zu, %zu] = %g is not finite", i / w->n_points,
                               i % w->n_points, w->templates[i]);
    }
    for (size_t k = 0; k < w->n_templates; k++)
        w->template_labels[k] = (int32_t)k;
    return 0;
}

static int take_labels(struct work *w, const struct gle_array *y, const char *path, struct gle_error *err)
{
    const int64_t label_max = 1000000; /* more classes than any net has outputs for */

    if (y->n_dims != 1 || y->n != w->n_templates)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "y must hold one label for each of the %zu templates in x",
                           w->n_templates);
    for (size_t k = 0; k < y->n; k++) {
        int64_t label;
        if (gle_array_int(&label, y, k) || label < 0 || label > label_max)
            return gle_fail_in(err, GLE_EDATA, path, NULL, "y[%zu] = %g is no label (0 ... %d)", k,
                               gle_array_real(y, k), (int)label_max);
        w->template_labels[k] = (int32_t)label;
    }
    return 0;
}

static int read_templates(struct work *w, const char *path, struct gle_error *err)
{
    struct gle_array x = {0}, y = {0};
    struct gle_npz *npz;
    int status;

    if (gle_npz_open(&npz, path, err))
        return -1;
    status = gle_npz_read(&x, npz, "x", err) || take_templates(w, &x, path, err);
    if (!status && gle_npz_has(npz, "y"))
        status = gle_npz_read(&y, npz, "y", err) || take_labels(w, &y, path, err);
    gle_array_clear(&x);
    gle_array_clear(&y);
    gle_npz_close(npz);
    return status ? -1 : 0;
}

static int make_room(struct work *w, size_t n, const struct gle_mnist1d *how, struct gle_error *err)
{
    const size_t length = (size_t)how->length;

    w->padded = gle_calloc(w->n_points + (size_t)how->padding.v[1], sizeof(double));
    w->signal = gle_calloc(w->grid, sizeof(double));
    w->spare = gle_calloc(w->grid, sizeof(double));
    w->samples = gle_calloc(n, length * sizeof(double));
    w->out = gle_calloc(n, length * sizeof(double));
    w->order = gle_calloc(n > length ? n : length, sizeof *w->order);
    w->labels = gle_calloc(n, sizeof *w->labels);
    if (!w->padded || !w->signal || !w->spare || !w->samples || !w->out || !w->order || !w->labels)
        return gle_fail(err, GLE_ENOMEM, "no memory for %zu samples of %zu steps", n, length);
    return 0;
}

static void free_work(struct work *w)
{
    gle_free(w->templates);
    gle_free(w->template_labels);
    gle_free(w->padded);
    gle_free(w->signal);
    gle_free(w->spare);
    gle_free(w->samples);
    gle_free(w->out);
    gle_free(w->order);
    gle_free(w->labels);
}

/* Puts the samples into their final order. */
static int shuffle(struct work *w, size_t n, const struct gle_mnist1d *how, struct gle_rng *rng)
{
    const size_t length = (size_t)how->length, per_template = n / w->n_templates, every = tell_every(length);

    for (size_t i = 0; i < n; i++)
        w->order[i] = (uint32_t)i;
    for (size_t i = n, to; i > 1; i = to) {
        to = i > GLE_DATA_TELL ? i - GLE_DATA_TELL : 1;
        if (gle_data_tell(w->ctx, "shuffling samples", n - i, n, w->err))
            return -1;
        gle_numpy_permute(rng, w->order, i, to);
    }
    for (size_t i = 0; i < n; i++) {
        if (i % every == 0 && gle_data_tell(w->ctx, "ordering samples", i, n, w->err))
            return -1;
        memcpy(w->out + i * length, w->samples + w->order[i] * length, length * sizeof(double));
        w->labels[i] = w->template_labels[w->order[i] / per_template];
    }
    return 0;
}

/* Shuffles all samples alike along time. */
static int shuffle_time(struct work *w, size_t n, const struct gle_mnist1d *how, struct gle_rng *rng)
{
    const size_t length = (size_t)how->length, every = tell_every(length);

    gle_numpy_permutation(rng, w->order, length);
    for (size_t i = 0; i < n; i++) {
        if (i % every == 0 && gle_data_tell(w->ctx, "shuffling steps of samples", i, n, w->err))
            return -1;
        memcpy(w->samples, w->out + i * length, length * sizeof(double));
        for (size_t t = 0; t < length; t++)
            w->out[i * length + t] = w->samples[w->order[t]];
    }
    return 0;
}

/* A constant data set has no standard deviation to divide by; huge templates overflow. */
static int standardise_all(struct work *w, size_t n, size_t length)
{
    const size_t every = tell_every(length);
    double mean, std;

    if (measure(&mean, &std, w->out, n * length, w))
        return -1;
    for (size_t i = 0; i < n; i++) {
        double *sample = w->out + i * length;
        if (i % every == 0 && gle_data_tell(w->ctx, "standardising samples", i, n, w->err))
            return -1;
        standardise(sample, length, mean, std);
        for (size_t t = 0; t < length; t++)
            if (!isfinite(sample[t]))
                return gle_fail(w->err, GLE_ERANGE,
                                "the samples cannot be standardised: all alike, or too large");
    }
    return 0;
}

/* Fills w->out and w->labels. */
static int make_samples(struct work *w, size_t n, const struct gle_mnist1d *how)
{
    const size_t length = (size_t)how->length, per_template = n / w->n_templates;
    struct gle_rng rng;

    gle_rng_seed(&rng, how->seed);
    for (size_t i = 0; i < n; i++) {
        if (gle_data_tell(w->ctx, "making samples", i, n, w->err))
            return -1;
        make_sample(w->samples + i * length, w->templates + i / per_template * w->n_points, w, &rng, how);
    }
    if (shuffle(w, n, how, &rng) || (how->shuffle_seq && shuffle_time(w, n, how, &rng)))
        return -1;
    return standardise_all(w, n, length);
}

static size_t count_classes(const struct work *w)
{
    int32_t largest = 0;

    for (size_t k = 0; k < w->n_templates; k++)
        if (w->template_labels[k] > largest)
            largest = w->template_labels[k];
    return (size_t)largest + 1;
}

int gle_mnist1d_generate(double **x, int32_t **labels, size_t *n, size_t *n_classes, const struct gle_mnist1d *how,
                         const struct gle_data_context *ctx, struct gle_error *err)
{
    struct work w = {.ctx = ctx, .err = err};
    int status;

    assert(how->padding.n == 2 && how->length && how->max_translation);
    *x = NULL;
    *labels = NULL;
    status = how->template ? read_templates(&w, how->template, err) : make_digits(&w, err);
    if (!status && how->samples < w.n_templates)
        status = gle_fail(err, GLE_ERANGE, "samples = %zu is less than one for each of the %zu templates",
                          (size_t)how->samples, w.n_templates);
    if (!status) {
        *n = (size_t)how->samples / w.n_templates * w.n_templates;
        *n_classes = count_classes(&w);
        w.grid = (size_t)how->template_length + (size_t)how->padding.v[1];
        status = make_room(&w, *n, how, err);
    }
    if (!status)
        status = make_samples(&w, *n, how);
    if (!status) {
        *x = w.out;
        *labels = w.labels;
        w.out = NULL;
        w.labels = NULL;
    }
    free_work(&w);
    return status;
}

/* Rows `first` ... of the generated samples become a split. */
static int take_split(struct gle_data *data, enum gle_split split, const double *x, const int32_t *labels,
                      size_t first, size_t n, const struct gle_data_context *ctx, struct gle_error *err)
{
    const size_t T = data->n_steps, every = tell_every(T);
    struct gle_samples *s = &data->split[split];

    if (!n)
        return 0;
    if (gle_data_room(data, split, n, err))
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (i % every == 0 && gle_data_tell(ctx, "taking samples", i, n, err))
            return -1;
        for (size_t t = 0; t < T; t++)
            s->x[i * T + t] = (float)x[(first + i) * T + t];
    }
    memcpy(s->labels, labels + first, n * sizeof *labels);
    return 0;
}

void gle_mnist1d_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    const struct gle_mnist1d *how = params;

    *n_channels = 1;
    if (!how->template)
        *n_targets = DIGITS;
}

static bool is_of_templates(const void *ctx, const char *name)
{
    (void)ctx;
    return !strcmp(name, "x") || !strcmp(name, "y");
}

static int note_unused(struct gle_data *data, const char *path, struct gle_error *err)
{
    struct gle_npz *npz;

    if (gle_npz_open(&npz, path, err))
        return -1;
    gle_npz_note_unused(data->note, sizeof data->note, npz, path, is_of_templates, NULL, "x and y are used");
    gle_npz_close(npz);
    return 0;
}

int gle_mnist1d_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                     struct gle_error *err)
{
    const struct gle_mnist1d *how = params;
    double *x;
    int32_t *labels;
    size_t n, n_train;
    int status;

    if (how->template && note_unused(data, how->template, err))
        return -1;
    if (gle_mnist1d_generate(&x, &labels, &n, &data->n_targets, how, ctx, err))
        return -1;
    data->n_steps = (size_t)how->length;
    data->n_channels = 1;
    data->labelled = 1;
    n_train = (size_t)((double)n * how->train_split);
    if (n_train)
        status = take_split(data, GLE_TRAIN, x, labels, 0, n_train, ctx, err) ||
                 take_split(data, GLE_TEST, x, labels, n_train, n - n_train, ctx, err);
    else
        status = gle_fail(err, GLE_ERANGE, "train_split = %g of %zu samples leaves none for training",
                          how->train_split, n);
    gle_free(x);
    gle_free(labels);
    return status ? -1 : 0;
}
