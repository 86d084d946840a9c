/* corpus.h - which sound files of a folder in the layout of Google Speech Commands (arXiv:1804.03209) are shown as
 * what: word/speaker_nohash_k.wav (or .flac), and background noise in _background_noise_/. Reads names and lists, not
 * the sounds. */
#ifndef GLE_DATA_CORPUS_H
#define GLE_DATA_CORPUS_H

#include "data/data.h"

struct gle_corpus_settings {
    const char *path;          /* of the folder */
    const char *const *words;  /* to tell apart, in the order of their labels */
    size_t n_words;
    bool unknown;              /* a class of all other words, sampled to 10 % of the words' files, rounded up */
    double silence;            /* entries of a class of silence, as a fraction of all others, rounded down; 0: none */
    bool silence_last;         /* its label is the last one; else unknown comes first, silence second, words follow */
    bool official;             /* by validation_list.txt and testing_list.txt in the folder; else hashed */
    double validation, test;   /* percent of the speakers, if not official */
    uint64_t seed;             /* of the shuffles */
    bool noise;                /* background noise is needed */
    bool skip_bad;             /* what looks like a sound and cannot be used is left out; if not, it is an error */
};

struct gle_corpus_sample {
    const char *file; /* "word/name.wav" in the folder; NULL: silence */
    int32_t label;
};

struct gle_corpus {
    char **classes;    /* (n_classes): "unknown", "silence", words */
    size_t n_classes;
    struct gle_corpus_sample *split[GLE_SPLITS]; /* in the published order */
    size_t n[GLE_SPLITS];
    char **noises;     /* (n_noises): "_background_noise_/name.wav", sorted */
    size_t n_noises;
    size_t n_passed;         /* files that look like sounds, left out because of their name or place */
    struct gle_error passed; /* the first of them, and why */
    struct gle_arena *arena; /* which all texts live in */
};

/* Lists the corpus. Hashed: SHA-1 of the file name up to "_nohash_", as a number mod 2^27, times 100 / (2^27 - 1):
 * below `validation` percent validation, below `validation` + `test` percent test, else training. Official: what the
 * lists name is in their sets, all else is training; lines of words that are not wanted, and of words that have no
 * folder where all others are unknown, do nothing, so that a part of the archive can be used with its lists. Names in
 * sorted order (of bytes) go to wanted words or to unknown ones of their set; then, with Python's random.seed(seed),
 * for validation, test and training in this order the unknown ones are shuffled and the first of them appended; then
 * the samples of each are shuffled; silence comes at the end.
 * Owns:   *out belongs to the caller (gle_corpus_close).
 * Extensions count in any case of letters. Names that begin with '.' are nobody's, folders that begin with '_' or '.'
 * no words. Links are followed. The form of Unicode in which a name is written makes no difference to which folder is a
 * word's, or which file a list names; speakers, and the sorted order, go by the bytes.
 * Errors: GLE_EDATA (a folder that cannot be read, a word without a folder or without files, two folders for a word, no
 *         noise where it is needed; a sound without "_nohash_", in another format, or outside the folders of words,
 *         unless skip_bad says that those are left out; a list that is missing, or that names a file which its word's
 *         folder does not have, or one that the other list names, too), GLE_ERANGE (a set without samples, unless it
 *         gets 0 percent; a class without training samples), GLE_ENOMEM. On error *out is NULL. */
GLE_MUST_CHECK int gle_corpus_open(struct gle_corpus **out, const struct gle_corpus_settings *how,
                                   struct gle_error *err);
void gle_corpus_close(struct gle_corpus *corpus); /* NULL is fine */

#endif
