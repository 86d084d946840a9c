/* sets.h - what the file of each data set offers to the table in data.c. */
#ifndef GLE_DATA_SETS_H
#define GLE_DATA_SETS_H

#include "data/data.h"
#include "yaml/key.h"

/* Room for the decoded settings of any data set, so that their structs can stay in their files; each asserts that its
 * own fits. */
enum { GLE_DATASET_PARAMS_SIZE = 256 };

/* What a data set's file may define; its row in data.c names what it does. */
#define GLE_DATASET(set) \
    extern const struct gle_key gle_##set##_keys[]; \
    int gle_##set##_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx, \
                         struct gle_error *err); \
    int gle_##set##_check(const void *params, const char **key, const char **why); \
    void gle_##set##_shape(const void *params, size_t *n_channels, size_t *n_targets)

/* The published generator of MNIST-1D; see mnist1d.h. Moving inputs, 1 channel, labels. */
GLE_DATASET(mnist1d);
/* The four points of exclusive or, held: 2 channels, labels 0 and 1. Test set: the four points without noise. */
GLE_DATASET(xor);
/* Exclusive or over a delay: moving inputs, 1 channel, labels 0 (signs alike) and 1; no target before the answer. */
GLE_DATASET(delayed_xor);
/* Tasks that are made, with nothing asked for before the answer; the formula of each is in its file. Adding: 2
 * channels, one target. Copy: a channel for each symbol and one more, several labels a sample. Evidence: 3 channels,
 * labels left 0 and right 1. Mackey-Glass: one channel, and one target that moves. */
GLE_DATASET(adding);
GLE_DATASET(copy);
GLE_DATASET(evidence);
GLE_DATASET(mackey_glass);
/* Yin-Yang (Kriener, Goeltz & Petrovici 2022, arXiv:2102.08211), held: 4 channels, labels yang 0, yin 1, dot 2. */
GLE_DATASET(yinyang);
/* The user's own arrays from an npz file: anything that struct gle_data can hold. (gle_npz_open is base/npz.h's.) */
GLE_DATASET(npz_set);
/* Signals; the formula of each is in its file. */
GLE_DATASET(step);
GLE_DATASET(sines);
GLE_DATASET(ornstein_uhlenbeck);
/* Words as sound files, one folder per word; see corpus.h and features.h. Samples are made when they are wanted. */
GLE_DATASET(speech_commands);
/* Images of unsigned bytes, see images.h and idx_file.h: 1 colour. Made when they are shown, as the next. */
GLE_DATASET(idx);
/* CIFAR-10 (Krizhevsky 2009), the binary version: 3 colours, 32 x 32 pixels, ten classes. */
GLE_DATASET(cifar10);
/* Spikes by time and unit, as those of Cramer et al. 2022 (arXiv:1910.07407), counted in bins; see events_file.h. */
GLE_DATASET(events);

#endif
