/* data.h - samples and targets, however they come about. A data set is one file here and one row in gle_datasets. */
#ifndef GLE_DATA_DATA_H
#define GLE_DATA_DATA_H

#include "base/error.h"
#include "base/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gle_split { GLE_TRAIN, GLE_VALIDATION, GLE_TEST, GLE_SPLITS };
/* "train", "validation", "test" */
extern const char *const gle_split_names[GLE_SPLITS];

/* What a data set needs to know of the experiment. */
struct gle_data_context {
    double dt;
    uint64_t seed; /* of the run; data sets with a seed key of their own do not read it */
    uint64_t n_steps; /* of the whole run, in training by duration; 0: training by epochs */
    bool has_teacher; /* targets come from a teacher, so that the data need have none */
};

/* Samples in memory, all of one shape: what the data sets of this version are made of.
 * x is (n, n_steps, n_channels) row-major, or, when held, (n, n_channels) with each row held constant for n_steps.
 * Targets: labels (n) with classes 0 ... n_targets-1 if not NULL; else targets (n, n_targets), or
 * (n, n_steps, n_targets) if target_moves; both NULL if n_targets is 0. */
struct gle_samples {
    size_t n;
    float *x;
    int32_t *labels;
    float *targets;
};

/* A signal without end, for training by duration: what data sets are made of that have no samples. */
struct gle_signal {
    size_t n_sequences; /* side by side, as one batch */
    void *state;        /* owned by the data set */
    /* Inputs of all sequences at step t: x is (n_sequences, ld) row-major, ld >= n_channels; columns beyond are left
     * alone. Called with t = 0, 1, 2, ... in order; t = 0 begins anew. */
    void (*play)(void *state, float *x, size_t ld, uint64_t t);
    void (*close)(void *state); /* frees state; called for NULL, too */
};

/* An open data set. Read-only after gle_data_open(), but for a signal's position. */
struct gle_data {
    size_t n_steps;    /* of one sample; of a signal: 0 */
    size_t n_channels; /* inputs */
    size_t n_targets;  /* classes, or length of a target vector; 0: there are no targets, a teacher has them */
    struct gle_signal signal; /* play NULL: there are samples */
    int held, target_moves;
    int labelled; /* samples have labels: accuracy and a confusion matrix make sense */
    struct gle_samples split[GLE_SPLITS]; /* n == 0: there is none */
    char sha256[65]; /* of shapes, x, labels and targets of all splits, in order, as little-endian bytes, before
                        training.validation takes a part; of a signal: of its sizes and first 1,000 steps */
};

/* A row of gle_datasets. */
struct gle_dataset {
    struct gle_row row;
    bool signal; /* fills data->signal instead of samples: for training by duration, with a teacher */
    /* Fills *data (zeroed by the caller): sizes, splits. On error what was filled so far is freed by the caller
     * through gle_data_close(). NULL when row.pending. params: the struct that row.keys decode. */
    int (*open)(struct gle_data *data, const void *params, const struct gle_data_context *ctx, struct gle_error *err);
    /* Checks that need more than one key; adds nothing a range can say. May be NULL. Returns -1 with *why set. */
    int (*check)(const void *params, const char **key, const char **why);
    /* The numbers of channels and targets, as far as the settings alone tell; leaves a number alone otherwise. May be
     * NULL. */
    void (*shape)(const void *params, size_t *n_channels, size_t *n_targets);
};
extern const struct gle_dataset gle_datasets[];
extern const struct gle_table gle_dataset_table;

/* Opens a data set: generates or reads it, takes the fraction `validation` (0 <= f < 1) off the training set when it
 * has no validation set of its own (a random choice that depends on ctx->seed alone; the order of both parts stays that
 * of the training set), and hashes it. params have passed set->check, where there is one.
 * Owns:   *out belongs to the caller (gle_data_close).
 * Errors: GLE_EPENDING, GLE_EDATA (unreadable or wrong file), GLE_ECONFIG (settings that do not go with the file, a
 *         signal with training by epochs or with a validation set), GLE_ERANGE (a split without samples, less than one
 *         step, a signal's time that does not go with dt or with the run), GLE_ENOMEM. On error *out is NULL. */
GLE_MUST_CHECK int gle_data_open(struct gle_data **out, const struct gle_dataset *set, const void *params,
                                 double validation, const struct gle_data_context *ctx, struct gle_error *err);
void gle_data_close(struct gle_data *data); /* NULL is fine */

/* Inputs of the samples `rows` (B) of a split at step t: x is (B, ld) row-major, ld >= n_channels; columns beyond are
 * left alone. Not for a signal. */
void gle_data_input(float *x, size_t ld, const struct gle_data *data, enum gle_split split, const uint32_t *rows,
                    size_t B, size_t t);
/* Targets likewise, (B, ld), ld >= n_targets: one-hot for labels. They change with t only if data->target_moves.
 * Not for data without targets. */
void gle_data_target(float *y, size_t ld, const struct gle_data *data, enum gle_split split, const uint32_t *rows,
                     size_t B, size_t t);

/* --- for the data sets --- */
/* Room for n samples of one split, all zero, in the shapes that data says; its sizes and flags are set before.
 * Owns:   the arrays belong to data (gle_data_close). Call it once per split; not at all for one that is not there.
 * Errors: GLE_ERANGE (more samples than a 32-bit row number can tell apart), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_data_room(struct gle_data *data, enum gle_split split, size_t n, struct gle_error *err);
/* The number of steps in `duration` (time units), the value of `key`: duration / dt, rounded.
 * Errors: GLE_ERANGE (less than one step, or more than a billion). */
GLE_MUST_CHECK int gle_data_steps(size_t *n_steps, const char *key, double duration, double dt, struct gle_error *err);
/* Makes data a set of points, each held for `present` (time units): sets held, and n_steps as above.
 * Errors: as above. */
GLE_MUST_CHECK int gle_data_hold(struct gle_data *data, double present, double dt, struct gle_error *err);

#endif
