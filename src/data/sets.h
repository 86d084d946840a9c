/* sets.h - what the file of each data set offers to the table in data.c. */
#ifndef GLE_DATA_SETS_H
#define GLE_DATA_SETS_H

#include "data/data.h"
#include "yaml/key.h"

/* Room for the decoded settings of any data set, so that their structs can stay in their files; each asserts that its
 * own fits. */
enum { GLE_DATASET_PARAMS_SIZE = 256 };

/* A key that says when samples have a target; S has a member `member` of type gle_reals. */
#define GLE_KEY_TARGET_WINDOW(S, member) \
    {.name = "target_window", .kind = GLE_KEY_KIND_REALS, .offset = offsetof(S, member), .low = 0.0, .high = 1e9, \
     .fallback = GLE_ABSENT, .unit = "time", .least = 2, .most = 2, \
     .help = "[from, to] in the time of a sample: only then is something asked for; default: all the time"}
/* asked.c: whether it can be one, as a check of settings; and puts it into data, whose n_steps, the same for all
 * samples, are known. Errors: GLE_ECONFIG, GLE_ERANGE. */
int gle_data_check_window(const struct gle_reals *window, const char **key, const char **why);
GLE_MUST_CHECK int gle_data_ask_in(struct gle_data *data, const struct gle_reals *window,
                                   const struct gle_data_context *ctx, struct gle_error *err);

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
