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

/* Reads a file of any number of channels (their mean is taken), any sample format and rate (bandlimited interpolation
 * where it differs from `rate`, 1/s). A 16-bit file of one channel at `rate` comes through bit by bit; anything else is
 * rounded to 16 bits, and cut off at full scale. Safe to call from several threads.
 * Owns:   sound->x belongs to the caller (gle_free).
 * Errors: GLE_EDATA (no file, not a sound file, cut short, without samples, longer than `longest` (seconds), values
 *         that are not finite; nothing is allocated by what a header claims beyond `longest`), GLE_ENOMEM. On error
 *         *sound is empty. */
GLE_MUST_CHECK int gle_sound_read(struct gle_sound *sound, const char *path, uint32_t rate, double longest,
                                  struct gle_error *err);

#endif
