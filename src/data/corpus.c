#include "data/corpus_inside.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/unicode.h"

#include <math.h>
#include <sha1.h>
#include <stdlib.h>
#include <string.h>

static const char *const list_names[GLE_SPLITS] = {
    [GLE_VALIDATION] = "validation_list.txt", [GLE_TEST] = "testing_list.txt"};
/* The order in which the published code goes through the sets, and so in which they draw from its random stream. */
static const enum gle_split published_order[GLE_SPLITS] = {GLE_VALIDATION, GLE_TEST, GLE_TRAIN};

enum { UNKNOWN_PERCENT = 10, LIST_BYTES_MAX = 1 << 28 };

/* --- which set --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct gle_corpus_file *)a)->name, ((const struct gle_corpus_file *)b)->name);
}

static int by_form(const void *a, const void *b)
{
    return strcmp(((const struct gle_corpus_form *)a)->composed, ((const struct gle_corpus_form *)b)->composed);
}

/* which_set() of the data set's README: SHA-1 of what comes before "_nohash_", its last 27 bits as a percentage. */
static enum gle_split hashed_split(const char *name, double validation, double test)
{
    const uint32_t most = (UINT32_C(1) << 27) - 1;
    const char *base = strrchr(name, '/') + 1;
    uint8_t digest[SHA1_DIGEST_LENGTH];
    uint32_t low = 0;
    double percent;
    SHA1_CTX sha;

    SHA1Init(&sha);
    SHA1Update(&sha, (const uint8_t *)base, (size_t)(strstr(base, "_nohash_") - base));
    SHA1Final(digest, &sha);
    for (size_t i = SHA1_DIGEST_LENGTH - 4; i < SHA1_DIGEST_LENGTH; i++)
        low = low << 8 | digest[i];
    percent = (low & most) * (100.0 / most);
    return percent < validation ? GLE_VALIDATION : percent < validation + test ? GLE_TEST : GLE_TRAIN;
}

static int wrong_line(const char *path, size_t line, struct gle_error *err)
{
    gle_error_place(err, path, line, 1, "");
    return -1;
}

/* Puts files in the order of their composed names, for find_listed(). */
static int order_by_form(struct gle_corpus_listing *l, struct gle_error *err)
{
    l->by_form = gle_calloc(l->n_files, sizeof *l->by_form);
    if (!l->by_form)
        return gle_corpus_no_memory(err);
    for (size_t i = 0; i < l->n_files; i++) {
        l->by_form[i] = (struct gle_corpus_form){gle_unicode_composed(l->corpus->arena, l->files[i].name),
                                                 &l->files[i]};
        if (!l->by_form[i].composed)
            return gle_corpus_no_memory(err);
    }
    qsort(l->by_form, l->n_files, sizeof *l->by_form, by_form);
    return 0;
}

/* The file of a line of an official list; NULL: there is none. A corpus that went through another file system may have
 * its names in another form of Unicode than its lists. */
static int find_listed(struct gle_corpus_file **out, const struct gle_corpus_listing *l, const char *text,
                       struct gle_error *err)
{
    const struct gle_corpus_file wanted = {.name = text};
    const struct gle_corpus_form alike = {.composed = gle_unicode_composed(l->corpus->arena, text)};
    const struct gle_corpus_form *found;

    if (!alike.composed)
        return gle_corpus_no_memory(err);
    *out = bsearch(&wanted, l->files, l->n_files, sizeof *l->files, by_name);
    if (*out)
        return 0;
    found = bsearch(&alike, l->by_form, l->n_files, sizeof *l->by_form, by_form);
    *out = found ? found->file : NULL;
    return 0;
}

/* A line of an official list. Words whose folders are not there or not looked into may stand in it, too. */
static int list_line(struct gle_corpus_listing *l, char *text, enum gle_split split, const char *path, size_t line,
                     struct gle_error *err)
{
    struct gle_corpus_file *file = NULL;
    const char *composed;
    char *slash;

    if (!*text)
        return 0;
    if (find_listed(&file, l, text, err))
        return -1;
    if (file && file->listed && file->split != split) {
        gle_fail(err, GLE_EDATA, "'%s' is in %s, too", text, list_names[file->split]);
        return wrong_line(path, line, err);
    }
    if (file) {
        file->split = split;
        file->listed = true;
        return 0;
    }
    slash = strchr(text, '/');
    if (!slash || !gle_corpus_may_be_word(text) || *text == '/' || *text == ' ' || *text == '\t') {
        gle_fail(err, GLE_EDATA, "'%s' is not WORD/NAME.wav", text);
        return wrong_line(path, line, err);
    }
    *slash = '\0';
    composed = gle_unicode_composed(l->corpus->arena, text);
    if (!composed)
        return gle_corpus_no_memory(err);
    if (gle_corpus_word(l, composed) == l->how->n_words &&
        (!l->how->unknown || !gle_corpus_has_folder(l, composed)))
        return 0;
    *slash = '/';
    gle_fail(err, GLE_EDATA, "there is no sound file '%s' in %s", text, l->how->path);
    return wrong_line(path, line, err);
}

/* The text without the mark that some editors put before it. */
static char *after_mark(char *text)
{
    static const char mark_utf8[] = "\xEF\xBB\xBF";
    return text + (strncmp(text, mark_utf8, 3) ? 0 : 3);
}

static int read_list(struct gle_corpus_listing *l, enum gle_split split, struct gle_error *err)
{
    const char *path = gle_corpus_join(l->corpus->arena, l->how->path, list_names[split]);
    unsigned char *bytes;
    size_t size, line = 0;
    int rc = 0;

    if (!path)
        return gle_corpus_no_memory(err);
    if (gle_file_read(&bytes, &size, path, LIST_BYTES_MAX, false, GLE_EDATA, err))
        return -1;
    if (strlen((char *)bytes) != size)
        rc = gle_fail_in(err, GLE_EDATA, path, NULL, "not a list of names: it has bytes that are zero");
    for (char *text = after_mark((char *)bytes), *next; !rc && text; text = next) {
        next = strchr(text, '\n');
        if (next)
            *next++ = '\0';
        text[strcspn(text, "\r")] = '\0';
        rc = list_line(l, text, split, path, ++line, err);
    }
    gle_free(bytes);
    return rc;
}

static int divide(struct gle_corpus_listing *l, struct gle_error *err)
{
    const struct gle_corpus_settings *how = l->how;

    for (size_t i = 0; i < l->n_files; i++) {
        struct gle_corpus_file *file = &l->files[i];
        file->split = how->official ? GLE_TRAIN : hashed_split(file->name, how->validation, how->test);
    }
    if (!how->official)
        return 0;
    return order_by_form(l, err) || read_list(l, GLE_VALIDATION, err) || read_list(l, GLE_TEST, err) ? -1 : 0;
}

/* --- samples --- */

/* Numbers of files by set, wanted and unknown apart, in the order of their names. */
static int gather(struct gle_corpus_listing *l, struct gle_error *err)
{
    for (enum gle_split s = 0; s < GLE_SPLITS; s++) {
        l->rows[s] = gle_calloc(l->n_files, sizeof *l->rows[s]);
        l->unknown[s] = gle_calloc(l->n_files, sizeof *l->unknown[s]);
        if (!l->rows[s] || !l->unknown[s])
            return gle_corpus_no_memory(err);
    }
    for (uint32_t i = 0; i < l->n_files; i++) {
        const enum gle_split s = l->files[i].split;
        if (l->files[i].word < l->how->n_words)
            l->rows[s][l->n_rows[s]++] = i;
        else
            l->unknown[s][l->n_unknown[s]++] = i;
    }
    return 0;
}

/* prepare_data_index() of the published code. */
static void shuffle(struct gle_corpus_listing *l)
{
    struct gle_rng rng;

    gle_python_seed(&rng, l->how->seed);
    for (int k = 0; k < GLE_SPLITS; k++) {
        const enum gle_split s = published_order[k];
        size_t n = (l->n_rows[s] * UNKNOWN_PERCENT + 99) / 100;
        gle_python_shuffle(&rng, l->unknown[s], l->n_unknown[s]);
        if (n > l->n_unknown[s])
            n = l->n_unknown[s];
        memcpy(l->rows[s] + l->n_rows[s], l->unknown[s], n * sizeof *l->rows[s]);
        l->n_rows[s] += n;
    }
    for (int k = 0; k < GLE_SPLITS; k++)
        gle_python_shuffle(&rng, l->rows[published_order[k]], l->n_rows[published_order[k]]);
}

/* Labels: unknown, silence, words; or unknown, words, silence. */
static size_t silence_label(const struct gle_corpus_settings *how)
{
    return (how->silence_last ? how->n_words : 0) + how->unknown;
}

static size_t word_label(const struct gle_corpus_settings *how, size_t word)
{
    const bool after_silence = how->silence > 0.0 && !how->silence_last;
    return word == how->n_words ? 0 : word + how->unknown + after_silence;
}

static int fill_split(struct gle_corpus_listing *l, enum gle_split s, struct gle_error *err)
{
    struct gle_corpus *corpus = l->corpus;
    const size_t n = l->n_rows[s], n_silence = (size_t)floor(l->how->silence * (double)n);
    struct gle_corpus_sample *samples = gle_arena_alloc(corpus->arena, n + n_silence, sizeof *samples);

    if (!samples)
        return gle_corpus_no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const struct gle_corpus_file *file = &l->files[l->rows[s][i]];
        samples[i] = (struct gle_corpus_sample){file->name, (int32_t)word_label(l->how, file->word)};
    }
    for (size_t i = n; i < n + n_silence; i++)
        samples[i] = (struct gle_corpus_sample){NULL, (int32_t)silence_label(l->how)};
    corpus->split[s] = samples;
    corpus->n[s] = n + n_silence;
    return 0;
}

static int name_classes(struct gle_corpus *corpus, const struct gle_corpus_settings *how, struct gle_error *err)
{
    const bool silence = how->silence > 0.0;

    corpus->n_classes = how->n_words + how->unknown + silence;
    corpus->classes = gle_arena_alloc(corpus->arena, corpus->n_classes, sizeof *corpus->classes);
    if (!corpus->classes)
        return gle_corpus_no_memory(err);
    for (size_t w = 0; w < how->n_words; w++)
        corpus->classes[word_label(how, w)] = gle_arena_text(corpus->arena, how->words[w], strlen(how->words[w]));
    if (how->unknown)
        corpus->classes[0] = gle_arena_text(corpus->arena, "unknown", strlen("unknown"));
    if (silence)
        corpus->classes[silence_label(how)] = gle_arena_text(corpus->arena, "silence", strlen("silence"));
    for (size_t c = 0; c < corpus->n_classes; c++)
        if (!corpus->classes[c])
            return gle_corpus_no_memory(err);
    return 0;
}

static bool wants(const struct gle_corpus_settings *how, enum gle_split split)
{
    return how->official || split == GLE_TRAIN || (split == GLE_TEST ? how->test : how->validation) > 0.0;
}

/* Every set that is wanted has samples, and the training set some of every class. */
static int check_samples(const struct gle_corpus_listing *l, struct gle_error *err)
{
    const struct gle_corpus *corpus = l->corpus;
    const struct gle_corpus_settings *how = l->how;

    for (enum gle_split s = 0; s < GLE_SPLITS; s++)
        if (!corpus->n[s] && wants(how, s))
            return gle_fail(err, GLE_ERANGE, "%s leaves no samples for the %s set, of %zu files in %s",
                            how->official ? "the official split" : "the split by speakers", gle_split_names[s],
                            l->n_files, how->path);
    for (size_t c = 0; c < corpus->n_classes; c++) {
        size_t i = 0;
        while (i < corpus->n[GLE_TRAIN] && corpus->split[GLE_TRAIN][i].label != (int32_t)c)
            i++;
        if (i < corpus->n[GLE_TRAIN])
            continue;
        if (how->silence > 0.0 && c == silence_label(how))
            return gle_fail(err, GLE_ERANGE, "no sample of 'silence': a fraction of %g of %zu training samples is less "
                            "than one", how->silence, corpus->n[GLE_TRAIN]);
        return gle_fail(err, GLE_ERANGE, "no sample of '%s' in the training set, of %zu files in %s",
                        corpus->classes[c], l->n_files, how->path);
    }
    return 0;
}

static int list_all(struct gle_corpus_listing *l, struct gle_error *err)
{
    if (gle_corpus_list_files(l, err) || divide(l, err) || gather(l, err) || name_classes(l->corpus, l->how, err))
        return -1;
    shuffle(l);
    for (enum gle_split s = 0; s < GLE_SPLITS; s++)
        if (fill_split(l, s, err))
            return -1;
    return check_samples(l, err);
}

int gle_corpus_open(struct gle_corpus **out, const struct gle_corpus_settings *how, struct gle_error *err)
{
    struct gle_corpus_listing l = {.how = how, .corpus = gle_calloc(1, sizeof *l.corpus)};
    int rc;

    *out = NULL;
    if (!l.corpus || !(l.corpus->arena = gle_arena_create()))
        rc = gle_corpus_no_memory(err);
    else
        rc = list_all(&l, err);
    gle_free(l.words);
    gle_free(l.folders);
    gle_free(l.files);
    gle_free(l.by_form);
    for (enum gle_split s = 0; s < GLE_SPLITS; s++) {
        gle_free(l.rows[s]);
        gle_free(l.unknown[s]);
    }
    if (rc) {
        gle_corpus_close(l.corpus);
        return -1;
    }
    *out = l.corpus;
    return 0;
}

void gle_corpus_close(struct gle_corpus *corpus)
{
    if (!corpus)
        return;
    gle_arena_destroy(corpus->arena);
    gle_free(corpus);
}
