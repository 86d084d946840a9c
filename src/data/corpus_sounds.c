#include "data/corpus_sounds.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const double noise_longest = 600.0; /* seconds; the published recordings last 60 to 95 */

static int no_memory(struct gle_error *err)
{
    return gle_fail(err, GLE_ENOMEM, "no memory for the sounds");
}

enum { DIGEST_SIZE = 65 };

/* The first file of the list that something is wrong with, whichever thread met one first. */
struct first_wrong {
    size_t number; /* SIZE_MAX: none */
    struct gle_error err;
};

/* All files, read by several threads, each of which takes the next one of the list. */
struct reading {
    const struct gle_corpus_sounds_settings *how;
    const struct gle_corpus *corpus;
    const struct gle_data_context *ctx;
    struct gle_corpus_sounds *s;
    const char **files; /* (s->n); NULL: silence */
    size_t n_files;     /* without silence */
    size_t n_samples;   /* the others are noises */
    char (*digests)[DIGEST_SIZE]; /* (s->n): SHA-256 of the 16-bit samples as little-endian bytes */
    atomic_size_t next, n_read;
    atomic_bool over; /* no more files are to be taken */
    bool stopped;
    struct gle_error stop;
    struct first_wrong failure, skipped;
    size_t n_skipped;
};

static int digest(char hex[DIGEST_SIZE], const struct gle_sound *sound, struct gle_error *err)
{
    enum { BLOCK = 4096 };
    unsigned char bytes[2 * BLOCK];
    struct gle_sha256 *sha = gle_sha256_start();

    if (!sha)
        return no_memory(err);
    for (size_t start = 0; start < sound->n; start += BLOCK) {
        const size_t n = sound->n - start < BLOCK ? sound->n - start : BLOCK;
        for (size_t i = 0; i < n; i++) {
            const uint16_t value = (uint16_t)sound->x[start + i];
            bytes[2 * i] = (unsigned char)(value & 0xff);
            bytes[2 * i + 1] = (unsigned char)(value >> 8);
        }
        gle_sha256_add(sha, bytes, 2 * n);
    }
    gle_sha256_end(sha, hex);
    return 0;
}

static int read_file(struct reading *r, size_t number, struct gle_error *err)
{
    const bool noise = number >= r->n_samples;
    struct gle_sound *sound = &r->s->all[number];
    char path[4096];

    if ((size_t)snprintf(path, sizeof path, "%s/%s", r->how->path, r->files[number]) >= sizeof path)
        return gle_fail(err, GLE_EDATA, "the path of '%s' is too long", r->files[number]);
    if (gle_sound_read(sound, path, r->how->rate, noise ? noise_longest : r->how->longest, err))
        return -1;
    if (!noise && sound->n <= r->how->half_window)
        gle_fail_in(err, GLE_EDATA, path, NULL, "%zu sample%s at %lu per second: too short, more than %zu, half a "
                    "window, are wanted",
                    sound->n, sound->n == 1 ? "" : "s", (unsigned long)r->how->rate, r->how->half_window);
    if (err->code || digest(r->digests[number], sound, err)) {
        gle_free(sound->x);
        *sound = (struct gle_sound){0};
        return -1;
    }
    return 0;
}

static void keep_first(struct first_wrong *first, size_t number, const struct gle_error *err)
{
    if (number < first->number)
        *first = (struct first_wrong){number, *err};
}

/* By the thread that opens the data set. */
static void tell(struct reading *r)
{
    if (!r->stopped && gle_data_tell(r->ctx, "reading files", atomic_load(&r->n_read), r->n_files, &r->stop)) {
        r->stopped = true;
        atomic_store(&r->over, true);
    }
}

/* Files are taken in the order of the list, so that all before one that failed have been taken, and are finished. */
static void read_next_files(struct reading *r)
{
    size_t number;

    while (!atomic_load(&r->over) && (number = atomic_fetch_add(&r->next, 1)) < r->s->n) {
        struct gle_error err = {0};
        if (!r->files[number]) {
            r->s->all[number].n = r->how->rate;
            continue;
        }
        if (read_file(r, number, &err)) {
            const bool skip = err.code == GLE_EDATA && r->how->skip_bad;
#pragma omp critical(gle_speech_wrong)
            {
                keep_first(skip ? &r->skipped : &r->failure, number, &err);
                r->n_skipped += skip;
            }
            if (!skip)
                atomic_store(&r->over, true);
        }
        atomic_fetch_add(&r->n_read, 1);
#pragma omp master
        tell(r);
    }
}

static int read_files(struct reading *r, struct gle_error *err)
{
    const size_t wanted = r->ctx->n_threads ? r->ctx->n_threads : 1;
    const int n_threads = (int)(wanted < r->s->n ? wanted : r->s->n);

    r->failure.number = r->skipped.number = SIZE_MAX;
    tell(r);
#pragma omp parallel num_threads(n_threads)
    read_next_files(r);
    if (r->failure.number < SIZE_MAX) {
        *err = r->failure.err;
        return -1;
    }
    tell(r);
    if (r->stopped)
        *err = r->stop;
    return r->stopped ? -1 : 0;
}

/* Names of all files in the order of their sounds. */
static int list_files(struct reading *r, struct gle_error *err)
{
    const struct gle_corpus *corpus = r->corpus;
    struct gle_corpus_sounds *s = r->s;
    size_t n = 0;

    for (int k = 0; k < GLE_SPLITS; k++)
        r->n_samples += corpus->n[k];
    s->n = r->n_samples + corpus->n_noises;
    s->all = gle_calloc(s->n, sizeof *s->all);
    if (!s->all) {
        s->n = 0;
        return no_memory(err);
    }
    r->files = gle_calloc(s->n, sizeof *r->files);
    r->digests = gle_calloc(s->n, sizeof *r->digests);
    if (!r->files || !r->digests)
        return no_memory(err);
    for (int k = 0; k < GLE_SPLITS; k++)
        for (size_t i = 0; i < corpus->n[k]; i++)
            r->files[n++] = corpus->split[k][i].file;
    for (size_t i = 0; i < corpus->n_noises; i++)
        r->files[n++] = corpus->noises[i];
    for (size_t i = 0; i < n; i++)
        r->n_files += r->files[i] != NULL;
    return 0;
}

/* --- samples --- */

/* Of n sounds; also how many of them come from files. */
static size_t count_good(size_t *n_files, const struct gle_sound *sounds, size_t n)
{
    size_t n_good = 0;

    *n_files = 0;
    for (size_t i = 0; i < n; i++) {
        n_good += sounds[i].n > 0;
        *n_files += sounds[i].x != NULL;
    }
    return n_good;
}

/* Moves those of n sounds that could be read down to *to, with their digests, and fills their labels (NULL: none). */
static void move_down(struct reading *r, size_t from, size_t n, size_t *to, const struct gle_corpus_sample *samples,
                      int32_t *labels)
{
    for (size_t i = 0; i < n; i++) {
        const struct gle_sound sound = r->s->all[from + i];
        if (!sound.n)
            continue;
        r->s->all[from + i] = (struct gle_sound){0};
        r->s->all[*to] = sound;
        memmove(r->digests[*to], r->digests[from + i], DIGEST_SIZE);
        if (labels)
            *labels++ = samples[i].label;
        ++*to;
    }
}

static int take_sounds(struct gle_data *data, struct reading *r, struct gle_error *err)
{
    struct gle_corpus_sounds *s = r->s;
    const struct gle_corpus *corpus = r->corpus;
    size_t from = 0, to = 0;

    for (int k = 0; k < GLE_SPLITS; k++) {
        size_t n_files;
        const size_t n = corpus->n[k], n_good = count_good(&n_files, s->all + from, n);
        if (n && !n_files) /* silence alone is no set */
            return gle_fail(err, GLE_EDATA, "no file of the %s set can be used; left out first: %.300s",
                            gle_split_names[k], data->skipped);
        if (n && gle_data_room(data, (enum gle_split)k, n_good, err))
            return -1;
        s->split[k] = s->all + to;
        move_down(r, from, n, &to, corpus->split[k], data->split[k].labels);
        from += n;
    }
    s->noises = s->all + to;
    move_down(r, from, corpus->n_noises, &to, NULL, NULL);
    s->n_noises = to - (size_t)(s->noises - s->all);
    if (corpus->n_noises && !s->n_noises)
        return gle_fail(err, GLE_EDATA, "no recording of noise can be used; left out first: %.300s", data->skipped);
    return 0;
}

/* Files may have been left out. */
static int check_classes(const struct gle_data *data, struct gle_error *err)
{
    const struct gle_samples *train = &data->split[GLE_TRAIN];

    for (size_t c = 0; c < data->n_targets; c++) {
        size_t i = 0;
        while (i < train->n && (size_t)train->labels[i] != c)
            i++;
        if (i == train->n)
            return gle_fail(err, GLE_EDATA, "no file of '%.60s' in the training set can be used; left out first: "
                            "%.300s", data->classes[c], data->skipped);
    }
    return 0;
}

static void measure(struct gle_data *data, struct gle_corpus_sounds *s)
{
    const size_t n_samples = (size_t)(s->noises - s->all);

    for (size_t i = 0; i < n_samples + s->n_noises; i++) {
        const struct gle_sound *sound = &s->all[i];
        data->bytes += (double)sizeof *sound + (sound->x ? (double)sound->n * sizeof *sound->x : 0.0);
        if (i < n_samples && sound->n > s->longest)
            s->longest = sound->n;
    }
}

/* SHA-256 of a text: the number and the names of the classes; of each set its number of samples, and for each sample
 * its label and the SHA-256 of its 16-bit samples as little-endian bytes, or "-" for silence; the number of noises and
 * the SHA-256 of each. A line each. */
static int hash_all(struct gle_data *data, const struct reading *r, struct gle_error *err)
{
    const struct gle_corpus_sounds *s = r->s;
    const struct gle_corpus *corpus = r->corpus;
    struct gle_sha256 *sha = gle_sha256_start();
    char line[DIGEST_SIZE + 32];
    size_t at = 0;

    if (!sha)
        return no_memory(err);
#define ADD(...) gle_sha256_add(sha, line, (size_t)snprintf(line, sizeof line, __VA_ARGS__))
    ADD("%zu\n", corpus->n_classes);
    for (size_t c = 0; c < corpus->n_classes; c++) {
        gle_sha256_add(sha, corpus->classes[c], strlen(corpus->classes[c]));
        ADD("\n");
    }
    for (int k = 0; k < GLE_SPLITS; k++) {
        ADD("%zu\n", data->split[k].n);
        for (size_t i = 0; i < data->split[k].n; i++, at++)
            ADD("%d %s\n", (int)data->split[k].labels[i], s->all[at].x ? r->digests[at] : "-");
    }
    ADD("%zu\n", s->n_noises);
    for (size_t i = 0; i < s->n_noises; i++, at++)
        ADD("%s\n", r->digests[at]);
#undef ADD
    gle_sha256_end(sha, data->sha256);
    return 0;
}

static int read_all(struct gle_data *data, struct reading *r, struct gle_error *err)
{
    if (list_files(r, err) || read_files(r, err))
        return -1;
    data->n_skipped = r->corpus->n_passed + r->n_skipped;
    if (data->n_skipped)
        gle_error_format(data->skipped, sizeof data->skipped,
                         r->corpus->n_passed ? &r->corpus->passed : &r->skipped.err);
    if (take_sounds(data, r, err) || check_classes(data, err))
        return -1;
    measure(data, r->s);
    return hash_all(data, r, err);
}

int gle_corpus_sounds_read(struct gle_corpus_sounds *sounds, struct gle_data *data, const struct gle_corpus *corpus,
                           const struct gle_corpus_sounds_settings *how, const struct gle_data_context *ctx,
                           struct gle_error *err)
{
    struct reading r = {.how = how, .corpus = corpus, .ctx = ctx, .s = sounds};
    int rc;

    *sounds = (struct gle_corpus_sounds){0};
    rc = read_all(data, &r, err);
    gle_free(r.files);
    gle_free(r.digests);
    if (rc)
        gle_corpus_sounds_free(sounds);
    return rc;
}

void gle_corpus_sounds_free(struct gle_corpus_sounds *sounds)
{
    for (size_t i = 0; i < sounds->n; i++)
        gle_free(sounds->all[i].x);
    gle_free(sounds->all);
    *sounds = (struct gle_corpus_sounds){0};
}
