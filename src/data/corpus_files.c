/* The folders and files of a corpus: what is in them, and what is passed over. */
#include "base/memory.h"
#include "base/text.h"
#include "base/unicode.h"
#include "data/corpus_inside.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const char noise_folder[] = "_background_noise_", mark[] = "_nohash_";

struct strings {
    char **v;
    size_t n, n_room;
};

int gle_corpus_no_memory(struct gle_error *err)
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
        return gle_corpus_no_memory(err);
    s->v = v;
    s->v[s->n++] = text;
    return 0;
}

static int add_file(struct gle_corpus_listing *l, const char *name, size_t word, struct gle_error *err)
{
    struct gle_corpus_file *v = grown(l->files, l->n_files, &l->n_files_room, sizeof *v);

    if (!v)
        return gle_corpus_no_memory(err);
    l->files = v;
    l->files[l->n_files++] = (struct gle_corpus_file){.name = name, .word = word};
    return 0;
}

char *gle_corpus_join(struct gle_arena *arena, const char *folder, const char *name)
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
    return strcmp(((const struct gle_corpus_file *)a)->name, ((const struct gle_corpus_file *)b)->name);
}

static int by_composed(const void *a, const void *b)
{
    return strcmp(((const struct gle_corpus_name *)a)->composed, ((const struct gle_corpus_name *)b)->composed);
}

/* --- names --- */

static bool ends_with(const char *name, const char *const *ends, size_t n)
{
    const size_t len = strlen(name);

    for (size_t i = 0; i < n; i++) {
        const size_t end = strlen(ends[i]);
        if (len > end && !strcasecmp(name + len - end, ends[i]))
            return true;
    }
    return false;
}

/* What is read, in any case of letters. */
static bool is_sound(const char *name)
{
    static const char *const ends[] = {".wav", ".flac"};
    return ends_with(name, ends, sizeof ends / sizeof ends[0]);
}

/* What somebody who listens takes for a sound. */
static bool looks_like_sound(const char *name)
{
    static const char *const others[] = {".wave", ".w64", ".rf64", ".bwf", ".mp3", ".mp2", ".mpga", ".ogg", ".oga",
                                         ".opus", ".m4a", ".m4b", ".mp4", ".aac", ".aif", ".aiff", ".aifc", ".au",
                                         ".snd", ".caf", ".wma", ".amr", ".3gp", ".webm", ".mka", ".wv", ".ape",
                                         ".sph", ".voc"};
    return is_sound(name) || ends_with(name, others, sizeof others / sizeof others[0]);
}

/* What file systems and their browsers hide (.DS_Store, the ._NAME of macOS) is nobody's sound. */
static bool is_shown(const char *name)
{
    return *name != '.';
}

static bool is_shown_sound(const char *name)
{
    return is_shown(name) && looks_like_sound(name);
}

bool gle_corpus_may_be_word(const char *name)
{
    return *name != '.' && *name != '_';
}

size_t gle_corpus_word(const struct gle_corpus_listing *l, const char *composed)
{
    size_t w = 0;

    while (w < l->how->n_words && strcmp(l->words[w].composed, composed))
        w++;
    return w;
}

bool gle_corpus_has_folder(const struct gle_corpus_listing *l, const char *composed)
{
    const struct gle_corpus_name wanted = {.composed = composed};
    return l->n_folders && bsearch(&wanted, l->folders, l->n_folders, sizeof *l->folders, by_composed);
}

/* --- folders --- */

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

/* Something that looks like a sound and cannot be used as one: an error, or left out and counted. */
static int pass_over(struct gle_corpus_listing *l, const char *path, const char *why, struct gle_error *err)
{
    if (!l->how->skip_bad)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "%s; skip_bad: true leaves such files out", why);
    if (!l->corpus->n_passed++)
        gle_fail_in(&l->corpus->passed, GLE_EDATA, path, NULL, "%s", why);
    return 0;
}

/* Whether a folder has sounds that nobody looks for, because they are one level too deep. */
static int holds_sounds(bool *holds, const char *path, struct gle_arena *arena, struct gle_error *err)
{
    struct strings names = {0};
    const int rc = list_folder(&names, path, is_shown_sound, arena, err);

    *holds = names.n > 0;
    gle_free(names.v);
    return rc;
}

static int add_folder(struct gle_corpus_listing *l, const char *name, struct gle_error *err)
{
    struct gle_corpus_name *folder = &l->folders[l->n_folders];

    *folder = (struct gle_corpus_name){name, gle_unicode_composed(l->corpus->arena, name)};
    if (!folder->composed)
        return gle_corpus_no_memory(err);
    l->n_folders++;
    return 0;
}

/* What is no folder (the lists, a licence) is passed over, unless it looks like a sound. */
static int sort_out_folders(struct gle_corpus_listing *l, const struct strings *names, struct gle_error *err)
{
    l->folders = gle_calloc(names->n, sizeof *l->folders);
    if (!l->folders)
        return gle_corpus_no_memory(err);
    for (size_t i = 0; i < names->n; i++) {
        const char *path = gle_corpus_join(l->corpus->arena, l->how->path, names->v[i]);
        if (!path)
            return gle_corpus_no_memory(err);
        if (is_folder(path) ? add_folder(l, names->v[i], err)
                            : looks_like_sound(names->v[i]) &&
                                  pass_over(l, path, "lies beside the folders of words, not in one", err))
            return -1;
    }
    qsort(l->folders, l->n_folders, sizeof *l->folders, by_composed);
    return 0;
}

static int list_folders(struct gle_corpus_listing *l, struct gle_error *err)
{
    struct strings names = {0};
    int rc;

    if (access(l->how->path, F_OK) && errno == ENOENT)
        return gle_fail_in(err, GLE_EDATA, l->how->path, NULL,
                           "there is no such folder; datasets/README.md says how to get or make a corpus");
    rc = list_folder(&names, l->how->path, gle_corpus_may_be_word, l->corpus->arena, err) ||
         sort_out_folders(l, &names, err);
    gle_free(names.v);
    return rc;
}

/* Of two folders of one word nobody could say which is meant. */
static int check_folders(const struct gle_corpus_listing *l, struct gle_error *err)
{
    for (size_t i = 1; i < l->n_folders; i++) {
        const char *composed = l->folders[i].composed;
        if (!strcmp(l->folders[i - 1].composed, composed) &&
            (l->how->unknown || gle_corpus_word(l, composed) < l->how->n_words))
            return gle_fail(err, GLE_EDATA, "there are two folders '%s' in %s, whose names differ in their form of "
                            "Unicode alone: put their files together", composed, l->how->path);
    }
    return 0;
}

static int check_words(struct gle_corpus_listing *l, struct gle_error *err)
{
    l->words = gle_calloc(l->how->n_words, sizeof *l->words);
    if (!l->words)
        return gle_corpus_no_memory(err);
    for (size_t w = 0; w < l->how->n_words; w++) {
        struct gle_suggestion near = {.word = l->how->words[w]};
        l->words[w] = (struct gle_corpus_name){near.word, gle_unicode_composed(l->corpus->arena, near.word)};
        if (!l->words[w].composed)
            return gle_corpus_no_memory(err);
        if (gle_corpus_has_folder(l, l->words[w].composed))
            continue;
        for (size_t i = 0; i < l->n_folders; i++)
            gle_suggest(&near, l->folders[i].name);
        if (near.best)
            return gle_fail(err, GLE_EDATA, "there is no folder '%s' in %s (did you mean '%s'?)", near.word,
                            l->how->path, near.best);
        return gle_fail(err, GLE_EDATA, "there is no folder '%s' in %s", near.word, l->how->path);
    }
    return check_folders(l, err);
}

/* --- files --- */

/* What is in the folder of a word: a sample, or something else. path: of the corpus's folder and the word. */
static int list_entry(struct gle_corpus_listing *l, const char *path, const char *name, size_t word,
                      struct gle_error *err)
{
    const char *whole = gle_corpus_join(l->corpus->arena, path, name);
    bool sounds = false;

    if (!whole)
        return gle_corpus_no_memory(err);
    if (is_sound(name) && strstr(name, mark))
        return is_folder(whole) ? pass_over(l, whole, "is a folder", err)
                                : add_file(l, whole + strlen(l->how->path) + 1, word, err);
    if (is_sound(name))
        return pass_over(l, whole, "has no '_nohash_' in its name, as in SPEAKER_nohash_NUMBER.wav", err);
    if (looks_like_sound(name))
        return pass_over(l, whole, "is called neither .wav nor .flac", err);
    if (!is_folder(whole))
        return 0;
    if (holds_sounds(&sounds, whole, l->corpus->arena, err))
        return -1;
    return sounds ? pass_over(l, whole, "is a folder of sounds within the folder of a word", err) : 0;
}

static int list_word(struct gle_corpus_listing *l, const char *folder, size_t word, struct gle_error *err)
{
    const char *path = gle_corpus_join(l->corpus->arena, l->how->path, folder);
    const size_t before = l->n_files;
    struct strings names = {0};
    int rc;

    if (!path)
        return gle_corpus_no_memory(err);
    rc = list_folder(&names, path, is_shown, l->corpus->arena, err);
    for (size_t i = 0; !rc && i < names.n; i++)
        rc = list_entry(l, path, names.v[i], word, err);
    gle_free(names.v);
    if (!rc && word < l->how->n_words && l->n_files == before)
        return gle_fail_in(err, GLE_EDATA, path, NULL,
                           "no sound files in this folder (SPEAKER_nohash_NUMBER.wav or .flac are wanted)");
    return rc;
}

static int list_files(struct gle_corpus_listing *l, struct gle_error *err)
{
    for (size_t i = 0; i < l->n_folders; i++) {
        const size_t word = gle_corpus_word(l, l->folders[i].composed);
        if ((word < l->how->n_words || l->how->unknown) && list_word(l, l->folders[i].name, word, err))
            return -1;
    }
    if (l->n_files > UINT32_MAX)
        return gle_fail(err, GLE_ERANGE, "%zu sound files are more than %lu", l->n_files, (unsigned long)UINT32_MAX);
    qsort(l->files, l->n_files, sizeof *l->files, by_name);
    return 0;
}

static int add_noises(struct gle_corpus_listing *l, const char *path, const struct strings *names,
                      struct gle_error *err)
{
    struct gle_corpus *corpus = l->corpus;

    corpus->noises = gle_arena_alloc(corpus->arena, names->n, sizeof *corpus->noises);
    if (!corpus->noises)
        return gle_corpus_no_memory(err);
    for (size_t i = 0; i < names->n; i++) {
        char *name = gle_corpus_join(corpus->arena, noise_folder, names->v[i]);
        char *whole = gle_corpus_join(corpus->arena, path, names->v[i]);
        if (!name || !whole)
            return gle_corpus_no_memory(err);
        if (is_sound(name))
            corpus->noises[corpus->n_noises++] = name;
        else if (pass_over(l, whole, "is called neither .wav nor .flac", err))
            return -1;
    }
    return corpus->n_noises
               ? 0
               : gle_fail_in(err, GLE_EDATA, path, NULL, "no recordings of noise (.wav or .flac) in this folder");
}

static int list_noises(struct gle_corpus_listing *l, struct gle_error *err)
{
    const char *path = gle_corpus_join(l->corpus->arena, l->how->path, noise_folder);
    struct strings names = {0};
    int rc;

    if (!path)
        return gle_corpus_no_memory(err);
    rc = list_folder(&names, path, is_shown_sound, l->corpus->arena, err) || add_noises(l, path, &names, err);
    gle_free(names.v);
    return rc ? -1 : 0;
}

int gle_corpus_list_files(struct gle_corpus_listing *l, struct gle_error *err)
{
    return list_folders(l, err) || check_words(l, err) || list_files(l, err) ||
                   (l->how->noise && list_noises(l, err))
               ? -1
               : 0;
}
