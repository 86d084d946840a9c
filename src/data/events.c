#include "base/file.h"
#include "base/memory.h"
#include "data/events_file.h"
#include "data/sets.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct events_params {
    const char *train, *validation, *test;
    uint64_t units, units_per_channel;
    double second, bin, duration, scale;
    uint64_t classes;
};
_Static_assert(sizeof(struct events_params) <= GLE_DATASET_PARAMS_SIZE, "settings of events");

enum { FRAMES_MAX = 65536, CHANNELS_MAX = 65536, CLASSES_MAX = 1000000 };

const struct gle_key gle_events_keys[] = {
    GLE_KEY_PATH(struct events_params, train, NULL,
                 "file of the training samples, in HDF5: labels, spikes/times (seconds) and spikes/units; "
                 "datasets/fetch_events fetches some"),
    GLE_KEY_PATH(struct events_params, validation, GLE_ABSENT,
                 "file of the validation samples; default: training.validation may take some"),
    GLE_KEY_PATH(struct events_params, test, GLE_ABSENT, "file of the test samples; default: there is no test set"),
    GLE_KEY_COUNT(struct events_params, units, "700", 1, CHANNELS_MAX, "", "number of units, which count from 0"),
    GLE_KEY_COUNT(struct events_params, units_per_channel, "1", 1, CHANNELS_MAX, "",
                  "number of neighbouring units that are added to one input; the last may have fewer"),
    GLE_KEY_REAL(struct events_params, second, NULL, 1e-9, 1e12, "time",
                 "a second of the files in the time units of this one: 1000 where they are milliseconds"),
    GLE_KEY_STEPS(struct events_params, bin, NULL, 1e-9, 1e9,
                  "length of a bin: inputs are the number of spikes in it, for as long as it lasts"),
    GLE_KEY_STEPS(struct events_params, duration, GLE_ABSENT, 1e-9, 1e9,
                  "how long every sample lasts, a whole number of bins: later spikes are left out; default: until the "
                  "bin of its last spike"),
    GLE_KEY_REAL(struct events_params, scale, "1", -1e6, 1e6, "", "input for one spike in a bin"),
    GLE_KEY_COUNT(struct events_params, classes, "0", 0, CLASSES_MAX, "", "number of classes; 0: largest label + 1"),
    GLE_KEY_END,
};

/* --- settings --- */

static size_t n_channels(const struct events_params *p)
{
    return (size_t)((p->units + p->units_per_channel - 1) / p->units_per_channel);
}

/* Bins of every sample; 0: each has its own number. */
static double n_bins(const struct events_params *p)
{
    return round(p->duration / p->bin);
}

int gle_events_check(const void *params, const char **key, const char **why)
{
    const struct events_params *p = params;

    *key = "duration";
    *why = "must be a whole number of bins";
    if (fabs(p->duration / p->bin - n_bins(p)) > 1e-6 || (p->duration > 0.0 && n_bins(p) < 1.0))
        return -1;
    *why = "is more than 65536 bins";
    return n_bins(p) > FRAMES_MAX ? -1 : 0;
}

void gle_events_shape(const void *params, size_t *channels, size_t *n_targets)
{
    const struct events_params *p = params;

    *channels = n_channels(p);
    if (p->classes)
        *n_targets = (size_t)p->classes;
}

/* --- samples --- */

/* A spike, by its bin and its channel. Many millions of them are kept. */
struct spike {
    uint16_t frame, channel;
};
struct sample {
    struct spike *spikes;
    uint32_t n, frames;
    int32_t label;
};
struct events {
    struct set {
        struct sample *samples;
        size_t n;
    } set[GLE_SPLITS];
    size_t channels;
    float scale;
};

/* Samples are numbered through the sets. */
static const struct sample *sample_at(const struct events *s, size_t number)
{
    size_t k = 0;

    while (number >= s->set[k].n)
        number -= s->set[k++].n;
    return &s->set[k].samples[number];
}

static size_t length(const void *state, enum gle_split split, uint32_t row)
{
    (void)split;
    return sample_at(state, row)->frames;
}

static void make(const void *state, void *desk, float *frames, enum gle_split split, uint32_t row, uint64_t draw)
{
    const struct events *s = state;
    const struct sample *sample = sample_at(s, row);

    (void)desk;
    (void)split;
    (void)draw;
    memset(frames, 0, sample->frames * s->channels * sizeof *frames);
    for (size_t i = 0; i < sample->n; i++)
        frames[sample->spikes[i].frame * s->channels + sample->spikes[i].channel] += s->scale;
}

/* Nothing is needed on it; but NULL would mean that there is no memory. */
static void *open_desk(const void *state)
{
    (void)state;
    return gle_calloc(1, 1);
}

static void close_events(void *state)
{
    struct events *s = state;

    if (!s)
        return;
    for (size_t k = 0; k < GLE_SPLITS; k++) {
        for (size_t i = 0; i < s->set[k].n; i++)
            gle_free(s->set[k].samples[i].spikes);
        gle_free(s->set[k].samples);
    }
    gle_free(s);
}

/* --- reading --- */

struct reading {
    const char *path;
    const struct events_params *p;
    struct set *set;
    uint64_t *n_spikes, *n_late;
};

static int begin(void *ctx, uint64_t n, struct gle_error *err)
{
    const struct reading *r = ctx;

    r->set->samples = n <= UINT32_MAX ? gle_calloc((size_t)n, sizeof *r->set->samples) : NULL;
    if (!r->set->samples)
        return gle_fail_in(err, GLE_ENOMEM, r->path, NULL, "no memory for %llu samples", (unsigned long long)n);
    r->set->n = (size_t)n;
    return 0;
}

/* The bin of spike k of sample i. */
static int find_bin(double *bin, const struct reading *r, uint64_t i, size_t k, double time, struct gle_error *err)
{
    *bin = floor(time * r->p->second / r->p->bin);
    if (!(time >= 0.0))
        return gle_fail_in(err, GLE_EDATA, r->path, NULL, "spikes/times[%llu][%zu] is %g, where times are not negative",
                           (unsigned long long)i, k, time);
    if (!(r->p->duration > 0.0) && *bin >= FRAMES_MAX)
        return gle_fail_in(err, GLE_EDATA, r->path, NULL, "spikes/times[%llu][%zu] is %g s, %.0f bins after the "
                           "beginning, where %d are possible", (unsigned long long)i, k, time, *bin, FRAMES_MAX);
    return 0;
}

static int take(void *ctx, uint64_t i, int64_t label, const double *times, const int32_t *units, size_t n,
                struct gle_error *err)
{
    const struct reading *r = ctx;
    const struct events_params *p = r->p;
    const double bins = n_bins(p);
    const int64_t n_classes = p->classes ? (int64_t)p->classes : CLASSES_MAX;
    struct sample *sample = &r->set->samples[i];

    if (label < 0 || label >= n_classes)
        return gle_fail_in(err, GLE_EDATA, r->path, NULL, "labels[%llu] is %lld, where labels are 0 ... %lld",
                           (unsigned long long)i, (long long)label, (long long)n_classes - 1);
    sample->label = (int32_t)label;
    sample->frames = bins > 0.0 ? (uint32_t)bins : 1;
    sample->spikes = n && n <= UINT32_MAX ? gle_calloc(n, sizeof *sample->spikes) : NULL;
    if (n && !sample->spikes)
        return gle_fail_in(err, GLE_ENOMEM, r->path, NULL, "no memory for the %zu spikes of sample %llu", n,
                           (unsigned long long)i);
    for (size_t k = 0; k < n; k++) {
        double bin;
        if (find_bin(&bin, r, i, k, times[k], err))
            return -1;
        if (units[k] < 0 || (uint64_t)units[k] >= p->units)
            return gle_fail_in(err, GLE_EDATA, r->path, NULL, "spikes/units[%llu][%zu] is %ld, where units are 0 ... "
                               "%llu", (unsigned long long)i, k, (long)units[k], (unsigned long long)p->units - 1);
        if (bins > 0.0 && bin >= bins) {
            ++*r->n_late;
            continue;
        }
        sample->spikes[sample->n++] = (struct spike){
            (uint16_t)bin, (uint16_t)((uint64_t)units[k] / p->units_per_channel)};
        if ((uint32_t)bin >= sample->frames)
            sample->frames = (uint32_t)bin + 1;
    }
    *r->n_spikes += n;
    return 0;
}

/* --- the data set --- */

static int take_labels(struct gle_data *data, const struct events *s, size_t n_classes, struct gle_error *err)
{
    data->n_targets = n_classes;
    for (int k = 0; k < GLE_SPLITS; k++) {
        const struct set *set = &s->set[k];
        if (!set->n)
            continue;
        if (gle_data_room(data, (enum gle_split)k, set->n, err))
            return -1;
        data->bytes += (double)set->n * (double)sizeof *set->samples;
        for (size_t i = 0; i < set->n; i++) {
            const struct sample *sample = &set->samples[i];
            data->split[k].labels[i] = sample->label;
            if ((size_t)sample->label >= data->n_targets)
                data->n_targets = (size_t)sample->label + 1;
            if (sample->frames > data->maker.frames_max)
                data->maker.frames_max = sample->frames;
            data->bytes += (double)sample->n * (double)sizeof *sample->spikes;
        }
    }
    return 0;
}

static int size_steps(struct gle_data *data, const struct events_params *p, const struct gle_data_context *ctx,
                      struct gle_error *err)
{
    const size_t steps_max = 1000000000;

    if (gle_data_steps(&data->maker.upsample, "bin", p->bin, ctx->dt, err))
        return -1;
    if (data->maker.upsample > steps_max / data->maker.frames_max)
        return gle_fail(err, GLE_ERANGE, "bin = %g is %zu steps of each of %zu bins (%zu are possible in all)", p->bin,
                        data->maker.upsample, data->maker.frames_max, steps_max);
    data->n_steps = data->maker.frames_max * data->maker.upsample;
    return 0;
}

static void hash_sample(struct gle_sha256 *sha, const struct sample *sample)
{
    enum { PIECE = 1024 };
    unsigned char bytes[4 * PIECE];
    char line[80];

    gle_sha256_add(sha, line, (size_t)snprintf(line, sizeof line, "%ld %lu %lu\n", (long)sample->label,
                                               (unsigned long)sample->frames, (unsigned long)sample->n));
    for (size_t at = 0; at < sample->n; at += PIECE) {
        const size_t n = sample->n - at < PIECE ? sample->n - at : PIECE;
        for (size_t i = 0; i < n; i++) {
            const struct spike *spike = &sample->spikes[at + i];
            bytes[4 * i] = (unsigned char)(spike->frame & 0xff);
            bytes[4 * i + 1] = (unsigned char)(spike->frame >> 8);
            bytes[4 * i + 2] = (unsigned char)(spike->channel & 0xff);
            bytes[4 * i + 3] = (unsigned char)(spike->channel >> 8);
        }
        gle_sha256_add(sha, bytes, 4 * n);
    }
}

/* SHA-256 of the number of channels and, of each set, its number of samples, and of each sample its label, its numbers
 * of bins and of spikes, a line each, and the bin and the channel of each spike as two bytes each, low byte first. */
static int hash_all(struct gle_data *data, const struct events *s, const struct gle_data_context *ctx,
                    struct gle_error *err)
{
    struct gle_sha256 *sha = gle_sha256_start();
    char line[32];
    int rc = 0;

    if (!sha)
        return gle_fail(err, GLE_ENOMEM, "no memory for the checksum of the data");
    gle_sha256_add(sha, line, (size_t)snprintf(line, sizeof line, "%zu\n", s->channels));
    for (size_t k = 0; k < GLE_SPLITS && !rc; k++) {
        gle_sha256_add(sha, line, (size_t)snprintf(line, sizeof line, "%zu\n", s->set[k].n));
        for (size_t i = 0; i < s->set[k].n && !rc; i++) {
            if (i % 64 == 0)
                rc = gle_data_tell(ctx, "making the checksum", i, s->set[k].n, err);
            hash_sample(sha, &s->set[k].samples[i]);
        }
    }
    gle_sha256_end(sha, data->sha256);
    return rc;
}

int gle_events_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                    struct gle_error *err)
{
    const struct events_params *p = params;
    const char *const paths[GLE_SPLITS] = {p->train, p->validation, p->test};
    struct events *s = gle_calloc(1, sizeof *s);
    uint64_t n_spikes = 0, n_late = 0;

    if (!s)
        return gle_fail(err, GLE_ENOMEM, "no memory for the data set");
    data->maker = (struct gle_maker){.state = s, .holds = true, .numbered = true, .length = length, .make = make,
                                     .open_desk = open_desk, .close_desk = gle_free, .close = close_events};
    data->labelled = 1;
    data->maker.alike = p->duration > 0.0;
    s->channels = data->n_channels = n_channels(p);
    s->scale = (float)p->scale;
    for (size_t k = 0; k < GLE_SPLITS; k++) {
        struct reading r = {.path = paths[k], .p = p, .set = &s->set[k], .n_spikes = &n_spikes, .n_late = &n_late};
        const struct gle_events_taker taker = {.ctx = &r, .begin = begin, .take = take};
        if (paths[k] && gle_events_read(paths[k], &taker, ctx, err))
            return -1;
    }
    if (n_late)
        snprintf(data->note, sizeof data->note, "%llu of %llu spikes come later than duration = %g, and are left out",
                 (unsigned long long)n_late, (unsigned long long)n_spikes, p->duration);
    return take_labels(data, s, (size_t)p->classes, err) || size_steps(data, p, ctx, err) ||
                   hash_all(data, s, ctx, err)
               ? -1
               : 0;
}
