/* sound_pieces.h - what of a sound file is shown to the library that reads it, and what kind of file it is. */
#ifndef GLE_DATA_SOUND_PIECES_H
#define GLE_DATA_SOUND_PIECES_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    GLE_SOUND_PIECES = 5, /* head of a RIFF file, fmt, fact, head of the data, data */
    GLE_SOUND_HEADS = 20, /* bytes of the two heads */
};

/* Pieces of a file, one after the other, as if nothing else were there. */
struct gle_sound_pieces {
    int fd; /* of the file; borrowed */
    struct gle_sound_piece {
        bool made; /* its bytes are in heads; else in the file */
        off_t from, size;
    } piece[GLE_SOUND_PIECES];
    size_t n;
    off_t size; /* of all pieces */
    unsigned char heads[GLE_SOUND_HEADS];
};

/* Finds the pieces of a file of `size` bytes: of a FLAC file all but ID3 tags before it; of a WAV file (RIFF or RIFX)
 * its format, its data and what is needed of the rest, with the true length of the data in the heads. Where the file
 * says a length that is no promise, as programs do that do not know it beforehand (2 GB or more than are there; 0, with
 * data behind it and a length of the whole file that cannot be meant), the data go on to the end of the file, or to the
 * chunks of known names that end it. A chunk of odd length whose padding was forgotten is taken for what it is, where
 * the bytes behind it say so.
 * Errors: GLE_EDATA (empty, another kind of file, which the message names, less in it than it says). */
GLE_MUST_CHECK int gle_sound_pieces_find(struct gle_sound_pieces *pieces, int fd, off_t size, const char *path,
                                         struct gle_error *err);
/* As many bytes of the pieces from offset `at` as there are, up to n. */
size_t gle_sound_pieces_get(const struct gle_sound_pieces *pieces, unsigned char *bytes, size_t n, off_t at);

#endif
