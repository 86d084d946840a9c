#include "data/data.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/sets.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const char *const gle_split_names[GLE_SCORES] = {"train", "validation", "test", "train_after"};

#define ROW(word, text, set_keys) \
    .row = {.name = word, .help = text, .keys = set_keys, .params_size = GLE_DATASET_PARAMS_SIZE}

const struct gle_dataset gle_datasets[] = {
    {ROW("mnist1d", "MNIST-1D: ten digits as noisy one-dimensional signals, generated as published (arXiv:2011.14439)",
         gle_mnist1d_keys),
     .open = gle_mnist1d_open,
     .check = gle_mnist1d_check,
     .shape = gle_mnist1d_shape},
    {ROW("yinyang", "Yin-Yang: points in the plane, three classes, generated as published (arXiv:2102.08211)",
         gle_yinyang_keys),
     .open = gle_yinyang_open,
     .check = gle_yinyang_check,
     .shape = gle_yinyang_shape},
    {ROW("xor", "exclusive or: four points in the plane, two classes", gle_xor_keys),
     .open = gle_xor_open,
     .check = gle_xor_check,
     .shape = gle_xor_shape},
    {ROW("delayed_xor",
         "two pulses of either sign, a pause between them, and the exclusive or of their signs asked for after the "
         "second",
         gle_delayed_xor_keys),
     .open = gle_delayed_xor_open,
     .check = gle_delayed_xor_check,
     .shape = gle_delayed_xor_shape},
    {ROW("adding",
         "numbers x_0 one after another, two of which are marked by x_1 = 1; at the end their sum, or mean, is asked "
         "for",
         gle_adding_keys),
     .open = gle_adding_open,
     .shape = gle_adding_shape},
    {ROW("copy",
         "symbols one after another, asked for in the same order after a delay: x_s = 1 while symbol s is shown, and "
         "the last input is 1 when the recall begins",
         gle_copy_keys),
     .open = gle_copy_open,
     .shape = gle_copy_shape},
    {ROW("evidence",
         "cues left (x_0 = 1) or right (x_1 = 1) at random, a pause, then the side is asked for (x_2 = 1) that had "
         "more of them (arXiv:1901.09049)",
         gle_evidence_keys),
     .open = gle_evidence_open,
     .check = gle_evidence_check,
     .shape = gle_evidence_shape},
    {ROW("mackey_glass",
         "the chaotic series dx/dt = beta x(t - tau) / (1 + x(t - tau)^power) - gamma x, to be foretold `horizon` "
         "ahead",
         gle_mackey_glass_keys),
     .open = gle_mackey_glass_open,
     .check = gle_mackey_glass_check,
     .shape = gle_mackey_glass_shape},
    {ROW("npz",
         "your own arrays from an .npz file: x (samples, steps, channels) or (samples, channels), with labels y "
         "(samples) or targets (samples, outputs) or (samples, steps, outputs), or neither beside a teacher; lengths "
         "(samples) where samples end earlier, and mask (samples, steps), the weight of each step, 0 where nothing is "
         "asked for, as it is not where targets are NaN; likewise x_test, y_test, x_validation",
         gle_npz_set_keys),
     .open = gle_npz_set_open,
     .check = gle_npz_set_check},
    {ROW("step",
         "signal: square wave, high and low for width each, late by a random time in each sequence, then smoothed",
         gle_step_keys),
     .signal = true,
     .open = gle_step_open,
     .check = gle_step_check,
     .shape = gle_step_shape},
    {ROW("sines", "signal: sum of sines, x = sum over k of amplitude_k sin(omega_k t + phase_k)", gle_sines_keys),
     .signal = true,
     .open = gle_sines_open,
     .check = gle_sines_check,
     .shape = gle_sines_shape},
    {ROW("ornstein_uhlenbeck",
         "signal: Ornstein-Uhlenbeck processes, dx = (mu - x) / tau dt + sigma sqrt(2 / tau) dW",
         gle_ornstein_uhlenbeck_keys),
     .signal = true,
     .open = gle_ornstein_uhlenbeck_open,
     .shape = gle_ornstein_uhlenbeck_shape},
    {ROW("speech_commands",
         "Google Speech Commands (arXiv:1804.03209), or sounds of your own in folders like those, as spectrograms",
         gle_speech_commands_keys),
     .made = true,
     .divides = true,
     .open = gle_speech_commands_open,
     .check = gle_speech_commands_check,
     .shape = gle_speech_commands_shape},
    {ROW("idx", "images in files of MNIST's format, gzipped or not: MNIST, Fashion-MNIST, and others like them",
         gle_idx_keys),
     .made = true,
     .alike = true,
     .open = gle_idx_open,
     .check = gle_idx_check,
     .shape = gle_idx_shape},
    {ROW("cifar10",
         "CIFAR-10: photographs of 32 x 32 pixels in three colours, ten classes; the binary version's folder",
         gle_cifar10_keys),
     .made = true,
     .alike = true,
     .open = gle_cifar10_open,
     .check = gle_cifar10_check,
     .shape = gle_cifar10_shape},
    {ROW("events",
         "spikes of sounds in HDF5 files, as Spiking Heidelberg Digits and Spiking Speech Commands have them "
         "(arXiv:1910.07407), counted in bins of time and units",
         gle_events_keys),
     .made = true,
     .open = gle_events_open,
     .check = gle_events_check,
     .shape = gle_events_shape},
    {.row = {.name = NULL}},
};
const struct gle_table gle_dataset_table = {"data set", gle_datasets, sizeof gle_datasets[0]};

/* Of a sample in memory. */
static size_t frames(const struct gle_data *data)
{
    return data->n_steps / gle_data_repeat(data);
}

/* Floats of one sample's input and target, as far as they are in memory: not the input of made samples, nor the target
 * of a set with labels or without targets. */
static size_t input_size(const struct gle_data *data)
{
    if (data->maker.make)
        return 0;
    return data->held ? data->n_channels : frames(data) * data->n_channels;
}

static size_t target_size(const struct gle_data *data)
{
    if (data->labelled)
        return 0;
    return data->target_moves ? frames(data) * data->n_targets : data->n_targets;
}

/* Labels of one sample. */
static size_t label_size(const struct gle_data *data)
{
    return data->labelled ? gle_data_answers(data) : 0;
}

size_t gle_data_answer_at(const struct gle_data *data, size_t t)
{
    const size_t asked = t < data->n_unasked ? 0 : t - data->n_unasked;

    return asked / ((data->n_steps - data->n_unasked) / gle_data_answers(data));
}

int gle_data_room(struct gle_data *data, enum gle_split split, size_t n, struct gle_error *err)
{
    struct gle_samples *s = &data->split[split];
    const size_t targets = target_size(data), larger = targets > input_size(data) ? targets : input_size(data);
    size_t first = 0; /* number */

    assert(n && !s->x && (larger || data->labelled));
    for (int i = 0; i < GLE_SPLITS; i++)
        first += data->split[i].n;
    if (n > UINT32_MAX || n > UINT32_MAX - first)
        return gle_fail(err, GLE_ERANGE, "%zu samples are more than %lu", n, (unsigned long)UINT32_MAX);
    if (larger && n > SIZE_MAX / sizeof(float) / 2 / larger)
        return gle_fail(err, GLE_ENOMEM, "no memory for %zu samples", n);
    s->n = n;
    /* gle_calloc(): pages of large arrays are zeroed as they are filled, so that a signal need not wait for all */
    s->x = input_size(data) ? gle_calloc(n * input_size(data), sizeof *s->x) : NULL;
    if (data->labelled)
        s->labels = gle_calloc(n, label_size(data) * sizeof *s->labels);
    else if (targets)
        s->targets = gle_calloc(n * targets, sizeof *s->targets);
    if (data->maker.numbered)
        s->numbers = gle_calloc(n, sizeof *s->numbers);
    for (size_t i = 0; s->numbers && i < n; i++)
        s->numbers[i] = (uint32_t)(first + i);
    if ((input_size(data) && !s->x) || (data->labelled && !s->labels) || (targets && !s->targets) ||
        (data->maker.numbered && !s->numbers))
        return gle_fail(err, GLE_ENOMEM, "no memory for %zu samples", n);
    return 0;
}

int gle_data_make_mask(struct gle_data *data, enum gle_split split, struct gle_error *err)
{
    struct gle_samples *s = &data->split[split];
    const size_t each = frames(data);

    s->asked = s->n <= SIZE_MAX / each ? gle_calloc(s->n * each, 1) : NULL;
    if (!s->asked)
        return gle_fail(err, GLE_ENOMEM, "no memory for what is asked of %zu samples", s->n);
    memset(s->asked, 1, s->n * each);
    return 0;
}

int gle_data_make_weights(struct gle_data *data, enum gle_split split, struct gle_error *err)
{
    struct gle_samples *s = &data->split[split];
    const size_t n = s->n * frames(data);

    s->weights = gle_calloc(n, sizeof *s->weights);
    if (!s->weights)
        return gle_fail(err, GLE_ENOMEM, "no memory for the weights of %zu samples", s->n);
    for (size_t i = 0; i < n; i++)
        s->weights[i] = 1.0f;
    return 0;
}

int gle_data_make_lengths(struct gle_data *data, enum gle_split split, struct gle_error *err)
{
    struct gle_samples *s = &data->split[split];

    s->lengths = gle_calloc(s->n, sizeof *s->lengths);
    return s->lengths ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the lengths of %zu samples", s->n);
}

size_t gle_data_longest(const struct gle_data *data, enum gle_split split, const uint32_t *rows, size_t B)
{
    const uint32_t *lengths = data->split[split].lengths;
    const struct gle_maker *maker = &data->maker;
    size_t longest = 0;

    if (!lengths && !maker->make)
        return data->n_steps;
    for (size_t b = 0; b < B; b++) {
        const size_t n = maker->make ? maker->length(maker->state, split, gle_data_number(data, split, rows[b]))
                                     : lengths[rows[b]];
        longest = n > longest ? n : longest;
    }
    return longest * (maker->make ? maker->upsample : gle_data_repeat(data));
}

int gle_data_steps(size_t *n_steps, const char *key, double duration, double dt, struct gle_error *err)
{
    const double steps_max = 1e9; /* far beyond any use, far below what a size_t or a double counts */
    const double steps = round(duration / dt);

    if (!(steps >= 1.0 && steps <= steps_max))
        return gle_fail(err, GLE_ERANGE, "%s = %g is %g steps of dt = %g (1 to %g are possible)", key, duration, steps,
                        dt, steps_max);
    *n_steps = (size_t)steps;
    return 0;
}

int gle_data_hold(struct gle_data *data, double present, double dt, struct gle_error *err)
{
    data->held = 1;
    return gle_data_steps(&data->n_steps, "present", present, dt, err);
}

int gle_data_tell(const struct gle_data_context *ctx, const char *what, size_t done, size_t total,
                  struct gle_error *err)
{
    if (!ctx->progress || !ctx->progress(ctx->ctx, what, done, total))
        return 0;
    return gle_fail(err, GLE_ESTOPPED, "stopped while %s", what);
}

static void free_samples(struct gle_samples *s)
{
    gle_free(s->x);
    gle_free(s->labels);
    gle_free(s->targets);
    gle_free(s->lengths);
    gle_free(s->asked);
    gle_free(s->weights);
    gle_free(s->numbers);
    gle_free(s->origins);
    *s = (struct gle_samples){0};
}

static void copy_sample(struct gle_samples *to, size_t i, const struct gle_samples *from, size_t j,
                        const struct gle_data *data)
{
    const size_t inputs = input_size(data), targets = target_size(data), labels = label_size(data);

    if (inputs)
        memcpy(to->x + i * inputs, from->x + j * inputs, inputs * sizeof(float));
    if (from->numbers)
        to->numbers[i] = from->numbers[j];
    if (from->labels)
        memcpy(to->labels + i * labels, from->labels + j * labels, labels * sizeof *to->labels);
    if (from->targets)
        memcpy(to->targets + i * targets, from->targets + j * targets, targets * sizeof(float));
    if (from->lengths)
        to->lengths[i] = from->lengths[j];
    if (from->asked)
        memcpy(to->asked + i * frames(data), from->asked + j * frames(data), frames(data));
    if (from->weights)
        memcpy(to->weights + i * frames(data), from->weights + j * frames(data), frames(data) * sizeof(float));
}

/* Marks the samples that the first n_chosen of a random order take. */
static int choose(unsigned char *chosen, size_t n, size_t n_chosen, const struct gle_data_context *ctx,
                  struct gle_error *err)
{
    uint32_t *order = gle_calloc(n, sizeof *order);
    struct gle_rng rng;
    int rc = order ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the validation set");

    gle_rng_seed(&rng, ctx->seed);
    for (size_t i = 0; order && i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = 0; i < n_chosen && !rc; i++) { /* which no later draw changes */
        if (i % GLE_DATA_TELL == 0)
            rc = gle_data_tell(ctx, "choosing validation samples", i, n_chosen, err);
        gle_torch_permute(&rng, order, n, i, i + 1);
        chosen[order[i]] = 1;
    }
    gle_free(order);
    return rc;
}

/* Takes the training set, as it was, apart. */
static int divide(struct gle_data *data, const struct gle_samples *all, const unsigned char *chosen, size_t n_chosen,
                  const struct gle_data_context *ctx, struct gle_error *err)
{
    const size_t every = 1 + GLE_DATA_TELL / (1 + input_size(data));
    size_t to[GLE_SPLITS] = {0};

    for (int part = GLE_TRAIN; part <= GLE_VALIDATION; part++) {
        const enum gle_split split = (enum gle_split)part;
        if (gle_data_room(data, split, split == GLE_TRAIN ? all->n - n_chosen : n_chosen, err) ||
            (all->lengths && gle_data_make_lengths(data, split, err)) ||
            (all->asked && gle_data_make_mask(data, split, err)) ||
            (all->weights && gle_data_make_weights(data, split, err)))
            return -1;
    }
    if (!(data->split[GLE_VALIDATION].origins = gle_calloc(n_chosen, sizeof(uint32_t))))
        return gle_fail(err, GLE_ENOMEM, "no memory for the validation set");
    for (size_t i = 0; i < all->n; i++) {
        const enum gle_split part = chosen[i] ? GLE_VALIDATION : GLE_TRAIN;
        if (i % every == 0 && gle_data_tell(ctx, "taking samples for validation", i, all->n, err))
            return -1;
        if (part == GLE_VALIDATION)
            data->split[part].origins[to[part]] = (uint32_t)i;
        copy_sample(&data->split[part], to[part]++, all, i, data);
    }
    return 0;
}

/* What is wrong is the fraction, wherever it came from. */
static int fraction_fail(struct gle_error *err)
{
    gle_error_place(err, NULL, 0, 0, GLE_DATA_VALIDATION);
    return -1;
}

static int split_validation(struct gle_data *data, double fraction, const struct gle_data_context *ctx,
                            struct gle_error *err)
{
    struct gle_samples all = data->split[GLE_TRAIN];
    const size_t n_chosen = (size_t)round(fraction * (double)all.n);
    unsigned char *chosen;
    int status;

    if (!n_chosen || n_chosen == all.n) {
        gle_fail(err, GLE_ERANGE, "a fraction of %g of %zu training samples leaves none for %s", fraction, all.n,
                 n_chosen ? "training" : "validation");
        return fraction_fail(err);
    }
    chosen = gle_calloc(all.n, 1);
    if (!chosen)
        return gle_fail(err, GLE_ENOMEM, "no memory for the validation set");
    data->split[GLE_TRAIN] = (struct gle_samples){0};
    status = choose(chosen, all.n, n_chosen, ctx, err) || divide(data, &all, chosen, n_chosen, ctx, err);
    gle_free(chosen);
    free_samples(&all);
    return status ? -1 : 0;
}

/* --- the checksum --- */

struct hashing {
    struct gle_sha256 *sha;
    size_t done, total; /* values */
    const struct gle_data_context *ctx;
    struct gle_error *err;
};

/* Adds 32-bit values as little-endian bytes, whatever this machine's order. */
static int hash_words(struct hashing *h, const void *values, size_t n)
{
    enum { WORDS = 1024 };
    unsigned char bytes[4 * WORDS];

    for (size_t start = 0; start < n; start += WORDS) {
        const size_t count = n - start < WORDS ? n - start : WORDS;
        for (size_t i = 0; i < count; i++) {
            uint32_t word;
            memcpy(&word, (const unsigned char *)values + 4 * (start + i), sizeof word);
            for (size_t k = 0; k < 4; k++)
                bytes[4 * i + k] = (unsigned char)(word >> 8 * k);
        }
        gle_sha256_add(h->sha, bytes, 4 * count);
        h->done += count;
        if (start % GLE_DATA_TELL == 0 && gle_data_tell(h->ctx, "making the checksum", h->done, h->total, h->err))
            return -1;
    }
    return 0;
}

/* Adds a size as eight bytes, low word first. */
static void hash_size(struct hashing *h, size_t size)
{
    unsigned char bytes[8];

    for (size_t k = 0; k < sizeof bytes; k++)
        bytes[k] = (unsigned char)((uint64_t)size >> 8 * k);
    gle_sha256_add(h->sha, bytes, sizeof bytes);
}

static int hash_samples(struct hashing *h, const struct gle_data *data)
{
    for (int i = 0; i < GLE_SPLITS; i++) {
        const struct gle_samples *s = &data->split[i];
        h->total += s->n * (input_size(data) + label_size(data) + target_size(data));
    }
    for (int i = 0; i < GLE_SPLITS; i++) {
        const struct gle_samples *s = &data->split[i];
        hash_size(h, s->n);
        if (hash_words(h, s->x, s->n * input_size(data)) ||
            (s->labels && hash_words(h, s->labels, s->n * label_size(data))) ||
            hash_words(h, s->targets, s->n * target_size(data)) ||
            (s->lengths && hash_words(h, s->lengths, s->n)))
            return -1;
        if (s->asked)
            gle_sha256_add(h->sha, s->asked, s->n * frames(data));
        if (s->weights && hash_words(h, s->weights, s->n * frames(data)))
            return -1;
    }
    return 0;
}

static int hash_signal(struct hashing *h, const struct gle_data *data)
{
    enum { STEPS_MAX = 1000 };
    const struct gle_signal *signal = &data->signal;
    const size_t n = signal->n_sequences * data->n_channels;
    const uint64_t n_steps = h->ctx->n_steps < STEPS_MAX ? h->ctx->n_steps : STEPS_MAX;
    float *x = gle_calloc(n, sizeof *x);
    int rc = x ? 0 : gle_fail(h->err, GLE_ENOMEM, "no memory for the checksum of the data");

    h->total = n * (size_t)n_steps;
    hash_size(h, signal->n_sequences);
    for (uint64_t t = 0; t < n_steps && !rc; t++) {
        signal->play(signal->state, x, data->n_channels, t);
        rc = hash_words(h, x, n);
    }
    gle_free(x);
    return rc;
}

static int hash_data(struct gle_data *data, const struct gle_data_context *ctx, struct gle_error *err)
{
    struct hashing h = {.sha = gle_sha256_start(), .ctx = ctx, .err = err};
    int status;

    if (!h.sha)
        return gle_fail(err, GLE_ENOMEM, "no memory for the checksum of the data");
    hash_size(&h, data->n_steps);
    hash_size(&h, data->n_channels);
    hash_size(&h, data->n_targets);
    hash_size(&h, data->held != 0);
    hash_size(&h, data->target_moves != 0);
    hash_size(&h, data->labelled != 0);
    if (data->n_unasked)
        hash_size(&h, data->n_unasked);
    if (data->n_answers)
        hash_size(&h, data->n_answers);
    if (data->asked_end || data->repeat) {
        hash_size(&h, data->asked_end);
        hash_size(&h, data->repeat);
        hash_size(&h, data->interpolated);
    }
    status = data->signal.play ? hash_signal(&h, data) : hash_samples(&h, data);
    gle_sha256_end(h.sha, data->sha256);
    return status;
}

/* --- opening --- */

static int check_signal(const struct gle_dataset *set, double validation, const struct gle_data_context *ctx,
                        struct gle_error *err)
{
    if (!ctx->n_steps)
        return gle_fail(err, GLE_ECONFIG,
                        "'%s' is a signal without end: training.phases (training by duration) is wanted, not epochs",
                        set->row.name);
    if (!(validation > 0.0))
        return 0;
    gle_fail(err, GLE_ECONFIG, "'%s' is a signal without samples, so training.validation does not apply",
             set->row.name);
    return fraction_fail(err);
}

int gle_data_open(struct gle_data **out, const struct gle_dataset *set, const void *params, double validation,
                  const struct gle_data_context *ctx, struct gle_error *err)
{
    struct gle_data *data;
    int status;

    *out = NULL;
    if (set->signal && check_signal(set, validation, ctx, err))
        return -1;
    data = gle_calloc(1, sizeof *data);
    if (!data)
        return gle_fail(err, GLE_ENOMEM, "no memory for the data set");
    status = set->open(data, params, ctx, err) || (!set->made && hash_data(data, ctx, err));
    data->own_validation = data->split[GLE_VALIDATION].n > 0;
    if (!status && validation > 0.0 && (!set->made || data->maker.numbered) && !data->own_validation)
        status = split_validation(data, validation, ctx, err);
    if (status) {
        gle_data_close(data);
        return -1;
    }
    *out = data;
    return 0;
}

void gle_data_close(struct gle_data *data)
{
    if (!data)
        return;
    for (int i = 0; i < GLE_SPLITS; i++)
        free_samples(&data->split[i]);
    if (data->signal.close)
        data->signal.close(data->signal.state);
    if (data->maker.close)
        data->maker.close(data->maker.state);
    gle_free(data);
}

/* The input at step t of a series of n frames (n, C), interpolated between them: zero after its end. */
static void interpolate(float *x, const float *series, size_t n, size_t C, size_t repeat, size_t t)
{
    const float at = fmaxf(0.0f, ((float)t + 0.5f) / (float)repeat - 0.5f);
    const size_t i = (size_t)at < n ? (size_t)at : n - 1; /* at is rounded, of millions of frames to n */
    const size_t j = i + 1 < n ? i + 1 : i;
    const float part = at - (float)i;

    if (t >= n * repeat) {
        memset(x, 0, C * sizeof *x);
        return;
    }
    for (size_t c = 0; c < C; c++)
        x[c] = (1.0f - part) * series[i * C + c] + part * series[j * C + c];
}

/* Row b of a batch of made samples at step t. */
static void take_frame(float *x, const struct gle_data *data, const struct gle_batch *batch, size_t b, size_t t)
{
    const struct gle_maker *maker = &data->maker;
    const size_t C = data->n_channels, n = batch->n_frames[b];
    const float *series = batch->frames + b * maker->frames_max * C;

    if (!maker->holds || t >= n * maker->upsample)
        interpolate(x, series, n, C, maker->upsample, t);
    else
        memcpy(x, series + t / maker->upsample * C, C * sizeof *x);
}

void gle_data_input(float *x, size_t ld, const struct gle_data *data, const struct gle_batch *batch, size_t t)
{
    const struct gle_samples *s = &data->split[batch->split];
    const size_t C = data->n_channels, repeat = gle_data_repeat(data), first = data->held ? 0 : t / repeat * C;

    assert(!data->signal.play && t < batch->n_steps && ld >= C);
    for (size_t b = 0; b < batch->B; b++) {
        const uint32_t row = batch->rows[b];
        assert(row < s->n);
        if (batch->frames)
            take_frame(x + b * ld, data, batch, b, t);
        else if (data->interpolated)
            interpolate(x + b * ld, s->x + row * input_size(data), s->lengths ? s->lengths[row] : frames(data), C,
                        repeat, t);
        else
            for (size_t c = 0; c < C; c++)
                x[b * ld + c] = s->x[row * input_size(data) + first + c];
    }
}

void gle_data_target(float *y, size_t ld, const struct gle_data *data, const struct gle_batch *batch, size_t t)
{
    const struct gle_samples *s = &data->split[batch->split];
    const size_t K = data->n_targets, first = data->target_moves ? t / gle_data_repeat(data) * K : 0;
    const size_t answers = gle_data_answers(data), answer = answers > 1 ? gle_data_answer_at(data, t) : 0;
    const uint32_t *rows = batch->rows;

    assert(K && t < batch->n_steps && ld >= K);
    for (size_t b = 0; b < batch->B; b++) {
        assert(rows[b] < s->n);
        for (size_t k = 0; k < K; k++)
            y[b * ld + k] = s->labels ? (float)((size_t)s->labels[rows[b] * answers + answer] == k)
                                      : s->targets[rows[b] * target_size(data) + first + k];
    }
}
