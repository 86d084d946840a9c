/* corpus_inside.h - what the files that list a corpus share; for them alone. */
#ifndef GLE_DATA_CORPUS_INSIDE_H
#define GLE_DATA_CORPUS_INSIDE_H

#include "data/corpus.h"

struct gle_corpus_file {
    const char *name; /* "word/name.wav", in the bytes of the folder */
    size_t word;      /* its number; n_words: unknown */
    enum gle_split split;
    bool listed;      /* in an official list */
};

/* A file under its name in composed form. */
struct gle_corpus_form {
    const char *composed;
    struct gle_corpus_file *file;
};

/* A folder, or a wanted word. */
struct gle_corpus_name {
    const char *name, *composed; /* in its own bytes; in the form by which names are compared */
};

/* What a listing works on. */
struct gle_corpus_listing {
    const struct gle_corpus_settings *how;
    struct gle_corpus *corpus;
    struct gle_corpus_name *words;   /* (how->n_words) */
    struct gle_corpus_name *folders; /* of words, also of those that are not wanted; sorted by composed */
    size_t n_folders;
    struct gle_corpus_file *files; /* sorted by name */
    size_t n_files, n_files_room;
    struct gle_corpus_form *by_form; /* (n_files) */
    uint32_t *rows[GLE_SPLITS]; /* numbers of files: of wanted words, to which unknown ones come */
    uint32_t *unknown[GLE_SPLITS];
    size_t n_rows[GLE_SPLITS], n_unknown[GLE_SPLITS];
};

int gle_corpus_no_memory(struct gle_error *err); /* fails; returns -1 */

/* "folder/name", the arena's; NULL: no memory */
char *gle_corpus_join(struct gle_arena *arena, const char *folder, const char *name);
/* The number of a wanted word; n_words: none of this name. */
size_t gle_corpus_word(const struct gle_corpus_listing *l, const char *composed);
bool gle_corpus_has_folder(const struct gle_corpus_listing *l, const char *composed);
/* Whether a name can be that of a word. */
bool gle_corpus_may_be_word(const char *name);

/* Fills words, folders and files, and the corpus's noises, n_passed and passed.
 * Owns:   the lists are the listing's, the texts the arena's of the corpus.
 * Errors: GLE_EDATA, GLE_ERANGE, GLE_ENOMEM, see gle_corpus_open(). */
GLE_MUST_CHECK int gle_corpus_list_files(struct gle_corpus_listing *l, struct gle_error *err);

#endif
