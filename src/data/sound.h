/* sound.h - sound files (WAV, FLAC), as 16-bit samples of one channel at the rate that is wanted. */
#ifndef GLE_DATA_SOUND_H
#define GLE_DATA_SOUND_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct gle_sound {
    int16_t *x; /* full scale: 32768 */
    size_t n;
};

/* Reads a WAV (RIFF, extensible too) or FLAC file of any number of channels (their mean is taken), any sample format
 * and rate: where it differs from `rate` (1/s), bandlimited interpolation makes n of it, the file's number of samples
 * times the ratio of the rates, rounded. A 16-bit file of one channel at `rate` comes through bit by bit; anything else
 * is rounded to 16 bits; a few samples just above full scale are cut off there. A header may leave the length open
 * (FLAC: 0 samples; WAV: see sound_pieces.h); then all that is there is the sound. Safe to call from several threads.
 * Owns:   sound->x belongs to the caller (gle_free).
 * Errors: GLE_EDATA (no file or no regular one, not a sound file, less in it than its header says, without samples,
 *         longer than `longest` (seconds), a rate more than 256 times higher or lower than `rate`, values that are not
 *         finite, or on another scale: one of more than 1.5 times full scale, or more than 1 % above it; memory grows
 *         with what is read, not with what a header claims, and ends at `longest`), GLE_ENOMEM.
 *         On error *sound is empty. */
GLE_MUST_CHECK int gle_sound_read(struct gle_sound *sound, const char *path, uint32_t rate, double longest,
                                  struct gle_error *err);

#endif
