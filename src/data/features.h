/* features.h - what a network is shown of a sound: a logarithmic mel spectrogram, or cepstral coefficients, frame by
 * frame.
 *   frames: windows of `window` samples, `hop` apart, the first centred on sample 0, reflected at both ends (without
 *           repeating the end), times the periodic Hann window; n_frames = 1 + n / hop (rounded down)
 *   power:  |FFT|^2 of each, bins k = 0 ... window/2 at frequency k rate / window
 *   mel:    `bins` triangles of peak 1 between bins + 2 points that are evenly spaced on the HTK scale,
 *           m(f) = 2595 log10(1 + f / 700), from 0 to rate / 2
 *   log2(mel + 1e-9)
 *   mfcc only: orthonormal DCT-II over the mel bins of each frame, of which the first `coefficients` are kept
 *   minus the mean over all values of the sample, over their unbiased standard deviation; all zero where that is 0.
 * Source: the published features of Ellenberger et al. (arXiv:2403.16933, Speech Commands), whose mel part is
 * torchaudio's MelSpectrogram; DCT as in torchaudio's MFCC. The FFT and what is stored between the frames are in single
 * precision (the latter as differences from the first value, so that a sound that is almost constant keeps its digits),
 * all else in double. The same sound gives the same bits at any desk. */
#ifndef GLE_DATA_FEATURES_H
#define GLE_DATA_FEATURES_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct gle_feature_settings {
    uint64_t bins;          /* 1 ... INT_MAX */
    uint64_t window, hop;   /* samples; window even, 2 ... INT_MAX; hop at least 1 */
    uint64_t coefficients;  /* 0: mel; else mfcc, at most bins */
    double rate;            /* 1/s */
};

struct gle_features; /* window, filters, transform: read-only once it is open */
struct gle_feature_desk; /* working memory of one thread */

/* Owns: *out belongs to the caller (gle_features_close).
 * Errors: GLE_ERANGE (a mel filter that no frequency falls into, being narrower than the distance of two: names its
 *         number, from 1, and says that fewer bins or a longer window are wanted), GLE_ENOMEM. On error *out is
 *         NULL. */
GLE_MUST_CHECK int gle_features_open(struct gle_features **out, const struct gle_feature_settings *how,
                                     struct gle_error *err);
void gle_features_close(struct gle_features *f); /* NULL is fine */
size_t gle_features_channels(const struct gle_features *f); /* bins, or coefficients */
/* Frames of a sound of n samples; 0: it is too short to be reflected (n <= window / 2). */
size_t gle_features_frames(const struct gle_features *f, size_t n);

/* Owns: the caller (gle_feature_desk_close). NULL: no memory. */
struct gle_feature_desk *gle_feature_desk_open(const struct gle_features *f);
void gle_feature_desk_close(struct gle_feature_desk *desk); /* NULL is fine */

/* Features of a sound: wave (n), full scale 1; out (frames, channels) row-major. n > window / 2. */
void gle_features_make(float *out, const struct gle_features *f, struct gle_feature_desk *desk, const float *wave,
                       size_t n);

/* The stages, for tests: the window (window); filter weights (window/2 + 1, bins); and for a sound the mel spectrogram
 * before the logarithm, and its logarithm, both (frames, bins). Any may be NULL; without the last two, desk and wave
 * are not used. */
void gle_features_stages(float *window, float *filters, float *mel, float *log2_mel, const struct gle_features *f,
                         struct gle_feature_desk *desk, const float *wave, size_t n);

#endif
