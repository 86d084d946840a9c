#include "data/corpus.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char noise_folder[] = "_background_noise_";
static const char *const list_names[GLE_SPLITS] = {
    [GLE_VALIDATION] = "validation_list.txt", [GLE_TEST] = "testing_list.txt"};
/* The order in which the published code goes through the sets, and so in which they draw from its random stream. */
static const enum gle_split published_order[GLE_SPLITS] = {GLE_VALIDATION, GLE_TEST, GLE_TRAIN};

enum { UNKNOWN_PERCENT = 10, LIST_BYTES_MAX = 1 << 28 };

struct file {
    const char *name; /* "word/name.wav" */
    size_t word;      /* its number; n_words: unknown */
    enum gle_split split;
    bool listed;      /* in an official list */
};
struct files {
    struct file *v;
    size_t n, n_room;
};
struct strings {
    char **v;
    size_t n, n_room;
};

/* What a listing works on. */
struct listing {
    const struct gle_corpus_settings *how;
    struct gle_corpus *corpus;
    struct strings folders; /* of words, also of those that are not wanted; sorted */
    struct files files;     /* sorted */
    uint32_t *rows[GLE_SPLITS]; /* numbers of files: of wanted words, to which unknown ones come */
    uint32_t *unknown[GLE_SPLITS];
    size_t n_rows[GLE_SPLITS], n_unknown[GLE_SPLITS];
};

static int no_memory(struct gle_error *err)
{
    return gle_fail(err, GLE_ENOMEM, "no memory for the list of sound files");
}

/* Room for one more of `size` bytes; NULL: no memory, and *v is as before. */
static void *grown(void *v, size_t n, size_t *n_room, size_t size)
{
    if (n < *n_room)
        return v;
    v = gle_resize(v, *n_room ? 2 * *n_room : 64, size);
    if (v)
        *n_room = *n_room ? 2 * *n_room : 64;
    return v;
}

static int add_string(struct strings *s, char *text, struct gle_error *err)
{
    char **v = text ? grown(s->v, s->n, &s->n_room, sizeof *v) : NULL;

    if (!v)
        return no_memory(err);
    s->v = v;
    s->v[s->n++] = text;
    return 0;
}

static int add_file(struct files *files, const struct file *file, struct gle_error *err)
{
    struct file *v = file->name ? grown(files->v, files->n, &files->n_room, sizeof *v) : NULL;

    if (!v)
        return no_memory(err);
    files->v = v;
    files->v[files->n++] = *file;
    return 0;
}

/* "folder/name"; NULL: no memory */
static char *joined(struct gle_arena *arena, const char *folder, const char *name)
{
    const size_t size = strlen(folder) + strlen(name) + sizeof "/";
    char *path = gle_arena_alloc(arena, size, 1);

    if (path)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* --- folders --- */

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n > m && !strcmp(name + n - m, end);
}

static bool is_sound(const char *name)
{
    return *name != '.' && (ends_with(name, ".wav") || ends_with(name, ".flac"));
}

/* Whether what a name stands for is (behind links) a folder. All else counts as a file, so that whoever reads it can
 * say that it is none: nothing that is called like a sound is passed over in silence. */
static bool is_folder(const char *path)
{
    struct stat info;
    return !stat(path, &info) && S_ISDIR(info.st_mode);
}

static int cannot_read(const char *path, struct gle_error *err)
{
    return gle_fail_in(err, GLE_EDATA, path, NULL, "cannot be read: %s", strerror(errno));
}

/* All names in a folder that `wanted` wants, sorted. names->v is the caller's, its texts the arena's. */
static int list_folder(struct strings *names, const char *path, bool (*wanted)(const char *name),
                       struct gle_arena *arena, struct gle_error *err)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    int rc = 0;

    if (!dir)
        return cannot_read(path, err);
    while (!rc && (errno = 0, entry = readdir(dir)) != NULL)
        if (wanted(entry->d_name))
            rc = add_string(names, gle_arena_text(arena, entry->d_name, strlen(entry->d_name)), err);
    if (!rc && errno)
        rc = cannot_read(path, err);
    closedir(dir);
    if (names->n)
        qsort(names->v, names->n, sizeof *names->v, by_text);
    return rc;
}

static bool may_be_word(const char *name)
{
    return *name != '.' && *name != '_';
}

static bool is_sample(const char *name)
{
    return is_sound(name) && strstr(name, "_nohash_");
}

/* What is no folder (the lists, a licence) is passed over. */
static int list_folders(struct listing *l, struct gle_error *err)
{
    struct strings *folders = &l->folders;
    size_t n = 0;

    if (access(l->how->path, F_OK) && errno == ENOENT)
        return gle_fail_in(err, GLE_EDATA, l->how->path, NULL,
                           "there is no such folder; datasets/README.md says how to get or make a corpus");
    if (list_folder(folders, l->how->path, may_be_word, l->corpus->arena, err))
        return -1;
    for (size_t i = 0; i < folders->n; i++) {
        const char *path = joined(l->corpus->arena, l->how->path, folders->v[i]);
        if (!path)
            return no_memory(err);
        if (is_folder(path))
            folders->v[n++] = folders->v[i];
    }
    folders->n = n;
    return 0;
}

static bool has_folder(const struct listing *l, const char *name)
{
    return l->folders.n && bsearch(&name, l->folders.v, l->folders.n, sizeof *l->folders.v, by_text);
}

static int check_words(const struct listing *l, struct gle_error *err)
{
    for (size_t w = 0; w < l->how->n_words; w++) {
        struct gle_suggestion near = {.word = l->how->words[w]};
        if (has_folder(l, near.word))
            continue;
        for (size_t i = 0; i < l->folders.n; i++)
            gle_suggest(&near, l->folders.v[i]);
        if (near.best)
            return gle_fail(err, GLE_EDATA, "there is no folder '%s' in %s (did you mean '%s'?)", near.word,
                            l->how->path, near.best);
        return gle_fail(err, GLE_EDATA, "there is no folder '%s' in %s", near.word, l->how->path);
    }
    return 0;
}

/* --- files --- */

static size_t word_number(const struct gle_corpus_settings *how, const char *name)
{
    size_t w = 0;

    while (w < how->n_words && strcmp(how->words[w], name))
        w++;
    return w;
}

static int list_word(struct listing *l, const char *folder, size_t word, struct gle_error *err)
{
    struct gle_arena *arena = l->corpus->arena;
    const char *path = joined(arena, l->how->path, folder);
    const size_t before = l->files.n;
    struct strings names = {0};
    int rc;

    if (!path)
        return no_memory(err);
    rc = list_folder(&names, path, is_sample, arena, err);
    for (size_t i = 0; !rc && i < names.n; i++) {
        const char *whole = joined(arena, path, names.v[i]);
        if (!whole)
            rc = no_memory(err);
        else if (!is_folder(whole))
            rc = add_file(&l->files, &(struct file){.name = whole + strlen(l->how->path) + 1, .word = word}, err);
    }
    gle_free(names.v);
    if (!rc && word < l->how->n_words && l->files.n == before)
        return gle_fail_in(err, GLE_EDATA, path, NULL,
                           "no sound files in this folder (SPEAKER_nohash_NUMBER.wav or .flac are wanted)");
    return rc;
}

static int list_files(struct listing *l, struct gle_error *err)
{
    for (size_t i = 0; i < l->folders.n; i++) {
        const size_t word = word_number(l->how, l->folders.v[i]);
        if ((word < l->how->n_words || l->how->unknown) && list_word(l, l->folders.v[i], word, err))
            return -1;
    }
    if (l->files.n > UINT32_MAX)
        return gle_fail(err, GLE_ERANGE, "%zu sound files are more than %lu", l->files.n, (unsigned long)UINT32_MAX);
    qsort(l->files.v, l->files.n, sizeof *l->files.v, by_name);
    return 0;
}

static int list_noises(struct listing *l, struct gle_error *err)
{
    struct gle_corpus *corpus = l->corpus;
    const char *path = joined(corpus->arena, l->how->path, noise_folder);
    struct strings names = {0};
    int rc;

    if (!path)
        return no_memory(err);
    rc = list_folder(&names, path, is_sound, corpus->arena, err);
    if (!rc && !names.n)
        rc = gle_fail_in(err, GLE_EDATA, path, NULL, "no recordings of noise (.wav or .flac) in this folder");
    if (!rc && !(corpus->noises = gle_arena_alloc(corpus->arena, names.n, sizeof *corpus->noises)))
        rc = no_memory(err);
    for (size_t i = 0; !rc && i < names.n; i++) {
        corpus->noises[i] = joined(corpus->arena, noise_folder, names.v[i]);
        if (!corpus->noises[i])
            rc = no_memory(err);
    }
    corpus->n_noises = rc ? 0 : names.n;
    gle_free(names.v);
    return rc;
}

/* --- which set --- */

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

/* A line of an official list. Words whose folders are not there or not looked into may stand in it, too. */
static int list_line(struct listing *l, char *text, enum gle_split split, const char *path, size_t line,
                     struct gle_error *err)
{
    const struct file wanted = {.name = text};
    struct file *file;
    size_t word;
    char *slash;

    if (!*text)
        return 0;
    file = bsearch(&wanted, l->files.v, l->files.n, sizeof *l->files.v, by_name);
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
    if (!slash || !may_be_word(text) || *text == '/' || *text == ' ' || *text == '\t') {
        gle_fail(err, GLE_EDATA, "'%s' is not WORD/NAME.wav", text);
        return wrong_line(path, line, err);
    }
    *slash = '\0';
    word = word_number(l->how, text);
    if (word == l->how->n_words && (!l->how->unknown || !has_folder(l, text)))
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

static int read_list(struct listing *l, enum gle_split split, struct gle_error *err)
{
    const char *path = joined(l->corpus->arena, l->how->path, list_names[split]);
    unsigned char *bytes;
    size_t size, line = 0;
    int rc = 0;

    if (!path)
        return no_memory(err);
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

static int divide(struct listing *l, struct gle_error *err)
{
    const struct gle_corpus_settings *how = l->how;

    for (size_t i = 0; i < l->files.n; i++) {
        struct file *file = &l->files.v[i];
        file->split = how->official ? GLE_TRAIN : hashed_split(file->name, how->validation, how->test);
    }
    return how->official && (read_list(l, GLE_VALIDATION, err) || read_list(l, GLE_TEST, err)) ? -1 : 0;
}

/* --- samples --- */

/* Numbers of files by set, wanted and unknown apart, in the order of their names. */
static int gather(struct listing *l, struct gle_error *err)
{
    for (enum gle_split s = 0; s < GLE_SPLITS; s++) {
        l->rows[s] = gle_calloc(l->files.n, sizeof *l->rows[s]);
        l->unknown[s] = gle_calloc(l->files.n, sizeof *l->unknown[s]);
        if (!l->rows[s] || !l->unknown[s])
            return no_memory(err);
    }
    for (uint32_t i = 0; i < l->files.n; i++) {
        const enum gle_split s = l->files.v[i].split;
        if (l->files.v[i].word < l->how->n_words)
            l->rows[s][l->n_rows[s]++] = i;
        else
            l->unknown[s][l->n_unknown[s]++] = i;
    }
    return 0;
}

/* prepare_data_index() of the published code. */
static void shuffle(struct listing *l)
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

static int fill_split(struct listing *l, enum gle_split s, struct gle_error *err)
{
    struct gle_corpus *corpus = l->corpus;
    const size_t n = l->n_rows[s], n_silence = (size_t)floor(l->how->silence * (double)n);
    struct gle_corpus_sample *samples = gle_arena_alloc(corpus->arena, n + n_silence, sizeof *samples);

    if (!samples)
        return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const struct file *file = &l->files.v[l->rows[s][i]];
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
        return no_memory(err);
    for (size_t w = 0; w < how->n_words; w++)
        corpus->classes[word_label(how, w)] = gle_arena_text(corpus->arena, how->words[w], strlen(how->words[w]));
    if (how->unknown)
        corpus->classes[0] = gle_arena_text(corpus->arena, "unknown", strlen("unknown"));
    if (silence)
        corpus->classes[silence_label(how)] = gle_arena_text(corpus->arena, "silence", strlen("silence"));
    for (size_t c = 0; c < corpus->n_classes; c++)
        if (!corpus->classes[c])
            return no_memory(err);
    return 0;
}

static bool wants(const struct gle_corpus_settings *how, enum gle_split split)
{
    return how->official || split == GLE_TRAIN || (split == GLE_TEST ? how->test : how->validation) > 0.0;
}

/* Every set that is wanted has samples, and the training set some of every class. */
static int check_samples(const struct listing *l, struct gle_error *err)
{
    const struct gle_corpus *corpus = l->corpus;
    const struct gle_corpus_settings *how = l->how;

    for (enum gle_split s = 0; s < GLE_SPLITS; s++)
        if (!corpus->n[s] && wants(how, s))
            return gle_fail(err, GLE_ERANGE, "%s leaves no samples for the %s set, of %zu files in %s",
                            how->official ? "the official split" : "the split by speakers", gle_split_names[s],
                            l->files.n, how->path);
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
                        corpus->classes[c], l->files.n, how->path);
    }
    return 0;
}

static int list_all(struct listing *l, struct gle_error *err)
{
    if (list_folders(l, err) || check_words(l, err) || list_files(l, err) || (l->how->noise && list_noises(l, err)) ||
        divide(l, err) || gather(l, err) || name_classes(l->corpus, l->how, err))
        return -1;
    shuffle(l);
    for (enum gle_split s = 0; s < GLE_SPLITS; s++)
        if (fill_split(l, s, err))
            return -1;
    return check_samples(l, err);
}

int gle_corpus_open(struct gle_corpus **out, const struct gle_corpus_settings *how, struct gle_error *err)
{
    struct listing l = {.how = how, .corpus = gle_calloc(1, sizeof *l.corpus)};
    int rc;

    *out = NULL;
    if (!l.corpus || !(l.corpus->arena = gle_arena_create()))
        rc = no_memory(err);
    else
        rc = list_all(&l, err);
    gle_free(l.folders.v);
    gle_free(l.files.v);
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
