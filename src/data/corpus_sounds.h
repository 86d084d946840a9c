/* corpus_sounds.h - all sounds of a corpus, read by several threads. Which thread reads what changes nothing. */
#ifndef GLE_DATA_CORPUS_SOUNDS_H
#define GLE_DATA_CORPUS_SOUNDS_H

#include "data/corpus.h"
#include "data/sound.h"

struct gle_corpus_sounds_settings {
    const char *path;   /* of the corpus */
    uint32_t rate;      /* 1/s, of the samples that are wanted */
    double longest;     /* seconds, of a word; noises may last ten minutes */
    size_t half_window; /* samples; a word must have more */
    bool skip_bad;      /* whether files that cannot be used are left out; if not, they are errors */
};

/* In the order of their samples, the sets one after the other, then noises. x NULL: silence, which lasts a second. */
struct gle_corpus_sounds {
    struct gle_sound *all;
    size_t n;
    const struct gle_sound *split[GLE_SPLITS], *noises; /* in all */
    size_t n_noises;
    size_t longest; /* samples of any word or silence */
};

/* Reads all files of a corpus, telling ctx->progress, and fills data->split with their labels; also data->n_skipped,
 * skipped, bytes and sha256. data's flags, n_targets, classes and maker are set before.
 * Owns:   *sounds belongs to the caller (gle_corpus_sounds_free); it borrows nothing.
 * Errors: GLE_EDATA (of the first file in the list that cannot be used, whatever the number of threads; with skip_bad,
 *         if no file of a set or of the noises is left, or none of a class for training), GLE_ERANGE (too many
 *         samples), GLE_ESTOPPED, GLE_ENOMEM. On error *sounds is empty. */
GLE_MUST_CHECK int gle_corpus_sounds_read(struct gle_corpus_sounds *sounds, struct gle_data *data,
                                          const struct gle_corpus *corpus,
                                          const struct gle_corpus_sounds_settings *how,
                                          const struct gle_data_context *ctx, struct gle_error *err);
void gle_corpus_sounds_free(struct gle_corpus_sounds *sounds); /* empty is fine */

#endif
