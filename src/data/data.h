/* data.h - samples and targets, however they come about. A data set is one file here and one row in gle_datasets. */
#ifndef GLE_DATA_DATA_H
#define GLE_DATA_DATA_H

#include "base/error.h"
#include "base/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* GLE_TRAIN_AFTER is no split of the data: so the score of the training set is called that is measured after the epoch
 * (training.evaluate.train), beside the one of GLE_TRAIN. */
enum gle_split {
    GLE_TRAIN,
    GLE_VALIDATION,
    GLE_TEST,
    GLE_SPLITS,
    GLE_TRAIN_AFTER = GLE_SPLITS,
    GLE_SCORES
};
/* "train", "validation", "test", "train_after" */
extern const char *const gle_split_names[GLE_SCORES];

/* What a data set needs to know of the experiment. */
struct gle_data_context {
    double dt;
    uint64_t seed; /* of the run; data sets with a seed key of their own do not read it */
    uint64_t n_steps; /* of the whole run, in training by duration; 0: training by epochs */
    bool has_teacher; /* targets come from a teacher, so that the data need have none */
    size_t n_threads; /* that may read files side by side; 0: one */
    /* Told now and then, many times a second, by the thread that opens the data set, what it is at ("reading files"),
     * and how far. Nonzero: it is to stop, and fails with GLE_ESTOPPED. May be NULL. */
    int (*progress)(void *ctx, const char *what, size_t done, size_t total);
    void *ctx;
};

/* Samples in memory, all of one shape: what most data sets are made of. A sample is a series of frames, n_frames =
 * n_steps / repeat of them.
 * x is (n, n_frames, n_channels) row-major, or, when held, (n, n_channels) with each row held constant for n_steps.
 * Targets: labels (n, answers) with classes 0 ... n_targets-1 if not NULL; else targets (n, n_targets), or
 * (n, n_frames, n_targets) if target_moves; both NULL if n_targets is 0.
 * Of samples that a maker makes, labels are all there is, and their numbers if they have some. */
struct gle_samples {
    size_t n;
    float *x;
    int32_t *labels;
    float *targets;
    uint32_t *lengths;    /* (n): frames of each, at least 1, after which its input is zero; NULL: all of them */
    unsigned char *asked; /* (n, n_frames): whether there is a target, which there is in one frame at least; NULL: in
                             all of them */
    float *weights; /* (n, n_frames): of what is asked for, above 0: its errors and losses are multiplied by it; 1
                       elsewhere. NULL: 1 everywhere. Beside `asked` */
    uint32_t *numbers; /* (n): by which the maker knows them; NULL: by their rows */
    uint32_t *origins; /* (n): of samples that training.validation took, their rows in the training set before; else
                          NULL */
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

#define GLE_NO_DRAW UINT64_MAX

/* Samples that are made when they are wanted, each of its own length, where the inputs of all would not fit into
 * memory: sounds, pictures, spikes. A sample is a series of frames of `upsample` steps each, between which inputs are
 * interpolated, or which are held; a batch lasts as long as its longest sample, and the others are zero from their end
 * on. All functions may be called by several threads at once. */
struct gle_maker {
    void *state;       /* owned by the data set */
    size_t frames_max; /* of any sample */
    size_t upsample;   /* steps of a frame, at least 1 */
    bool holds;        /* a frame stays as it is for all of its steps, in place of going over into the next */
    bool alike;        /* all samples have frames_max of them */
    bool numbered;     /* samples of all splits are numbered through, as gle_data_room() is called for them, and keep
                          their numbers when some are taken for validation */
    /* The number of frames of a sample, 1 ... frames_max. row: its number (gle_data_number()). */
    size_t (*length)(const void *state, enum gle_split split, uint32_t row);
    /* Makes a sample: frames is (length, n_channels) row-major. A training sample is changed at random, in a way that
     * depends on `draw` alone (and on the run's seed): a number that no other training sample of the run has. Under
     * GLE_NO_DRAW it is not changed. desk: as open_desk() gave it, used by one thread at a time. */
    void (*make)(const void *state, void *desk, float *frames, enum gle_split split, uint32_t row, uint64_t draw);
    void *(*open_desk)(const void *state); /* working memory of one thread; NULL: no memory */
    void (*close_desk)(void *desk);        /* NULL is fine */
    void (*close)(void *state);            /* frees state; called for NULL, too */
};

/* An open data set. Read-only after gle_data_open(), but for a signal's position. */
struct gle_data {
    size_t n_steps;    /* of one sample, the longest if a maker makes them; of a signal: 0 */
    size_t n_channels; /* inputs */
    size_t n_targets;  /* classes, or length of a target vector; 0: there are no targets, a teacher has them */
    struct gle_signal signal; /* play NULL: there are samples */
    struct gle_maker maker;   /* make NULL: samples are in memory */
    size_t n_unasked; /* steps that a sample begins with in which no target is there, fewer than n_steps. Of samples
                         that all have n_steps */
    size_t asked_end; /* the step from which on there is none, above n_unasked; 0: none such. Likewise */
    size_t n_answers; /* of a sample with labels: its steps with a target are so many equal parts one after another, and
                         each has a label of its own; 0: there is one */
    size_t horizon;    /* how many steps targets are ahead of inputs; 0: that is not known */
    double origin, unit; /* a target y stands for origin + unit y of the series that it is made from; unit 0: for y */
    size_t repeat;     /* steps of a frame; 0: one. Not of held samples, nor beside a maker */
    bool interpolated; /* between frames, inputs are interpolated as those of a maker are; else each is held */
    int held, target_moves;
    int labelled; /* samples have labels: accuracy and a confusion matrix make sense */
    bool own_validation; /* the data bring a validation set of their own */
    bool balanced; /* training samples are drawn with replacement, all classes equally often */
    const char *const *classes; /* names of the labels (n_targets), owned by the data set; NULL: they have none */
    size_t n_skipped;     /* files left out because they cannot be used */
    char skipped[512];    /* the first of them, and why; "" */
    char note[512];       /* what the user should know of the data, though nothing is wrong with them; "" */
    double bytes;         /* memory that a maker's state takes */
    struct gle_samples split[GLE_SPLITS]; /* n == 0: there is none */
    char sha256[65]; /* of shapes (those from n_unasked to `interpolated` only where one is not 0), x, labels, targets,
                        lengths, asked and weights of all splits, in order, as little-endian bytes, before
                        training.validation takes a part; of a signal: of its sizes and first 1,000 steps; of samples
                        that a maker makes: as the data set says */
};

static inline size_t gle_data_repeat(const struct gle_data *data)
{
    return data->repeat ? data->repeat : 1;
}

/* --- asked.c --- */

/* Whether any sample may have a target at step t, and whether one has. Not of made samples beyond n_steps. */
bool gle_data_asks_at(const struct gle_data *data, size_t t);
bool gle_data_asks(const struct gle_data *data, enum gle_split split, uint32_t row, size_t t);
/* Whether samples differ in that. */
bool gle_data_has_masks(const struct gle_data *data);
/* Steps before `end` at which a sample has a target; and the step after the last of its n_steps that has one. */
size_t gle_data_count_asked(const struct gle_data *data, enum gle_split split, uint32_t row, size_t end);
size_t gle_data_asked_stop(const struct gle_data *data, enum gle_split split, uint32_t row, size_t n_steps);
/* Whether some steps count more than others; what a step counts of which a sample has a target, else 0; and what all
 * such steps before `end` count together. */
bool gle_data_has_weights(const struct gle_data *data);
float gle_data_weight(const struct gle_data *data, enum gle_split split, uint32_t row, size_t t);
double gle_data_sum_weights(const struct gle_data *data, enum gle_split split, uint32_t row, size_t end);
/* The variance of the targets of the first n samples of a split over their steps with a target, by their weights, the
 * mean over outputs: of each output about its own mean. NaN: there are none. */
double gle_data_variance(const struct gle_data *data, enum gle_split split, size_t n);

/* Labels of a sample of a labelled set; and which of them is asked for at step t, as far as there is a target. */
static inline size_t gle_data_answers(const struct gle_data *data)
{
    return data->n_answers ? data->n_answers : 1;
}
size_t gle_data_answer_at(const struct gle_data *data, size_t t);

/* A row of gle_datasets. */
struct gle_dataset {
    struct gle_row row;
    bool signal; /* fills data->signal instead of samples: for training by duration, with a teacher */
    bool made;   /* fills data->maker and labels instead of samples */
    bool alike;  /* beside that: they all last as long, so that they can be played side by side, one after another, in
                    training by duration */
    bool divides; /* divides its samples itself, as the run's seed says (dataset.split): training.validation does not */
    /* Fills *data (zeroed by the caller): sizes, splits. On error what was filled so far is freed by the caller
     * through gle_data_close(). params: the struct that row.keys decode. */
    int (*open)(struct gle_data *data, const void *params, const struct gle_data_context *ctx, struct gle_error *err);
    /* Checks that need more than one key; adds nothing a range can say. May be NULL. Returns -1 with *why set. */
    int (*check)(const void *params, const char **key, const char **why);
    /* The numbers of channels and targets, as far as the settings alone tell; leaves a number alone otherwise. May be
     * NULL. */
    void (*shape)(const void *params, size_t *n_channels, size_t *n_targets);
};
extern const struct gle_dataset gle_datasets[];
extern const struct gle_table gle_dataset_table;

#define GLE_DATA_VALIDATION "training.validation" /* where a config says the fraction */
/* Opens a data set: generates or reads it, takes the fraction `validation` (0 <= f < 1) off the training set when its
 * samples are in memory, or numbered, and it has no validation set of its own (a random choice that depends on
 * ctx->seed alone; the order of both parts stays that of the training set), and hashes it; tells ctx->progress all the
 * while. params have passed set->check, where there is one.
 * Owns:   *out belongs to the caller (gle_data_close).
 * Errors: those about the fraction have the path GLE_DATA_VALIDATION, and no file.
 *         GLE_EDATA (unreadable or wrong file), GLE_ECONFIG (settings that do not go with the file, a
 *         signal with training by epochs or with a validation set), GLE_ERANGE (a split without samples, less than one
 *         step, a signal's time that does not go with dt or with the run), GLE_ESTOPPED, GLE_ENOMEM. On error *out is
 *         NULL. */
GLE_MUST_CHECK int gle_data_open(struct gle_data **out, const struct gle_dataset *set, const void *params,
                                 double validation, const struct gle_data_context *ctx, struct gle_error *err);
void gle_data_close(struct gle_data *data); /* NULL is fine */

/* Samples of one split that run side by side. */
struct gle_batch {
    enum gle_split split;
    const uint32_t *rows; /* (B): their numbers */
    size_t B;
    size_t n_steps;
    const float *frames;  /* made samples: (B, maker.frames_max, n_channels) row-major; else NULL */
    const size_t *n_frames; /* (B) of them */
};

/* By which number the maker knows a row of a split. */
static inline uint32_t gle_data_number(const struct gle_data *data, enum gle_split split, uint32_t row)
{
    const uint32_t *numbers = data->split[split].numbers;
    return numbers ? numbers[row] : row;
}

/* Inputs of a batch at step t < batch->n_steps: x is (B, ld) row-major, ld >= n_channels; columns beyond are left
 * alone. Made samples: frame t / upsample, if the maker holds them; else linear interpolation of the frames at
 * (t + 1/2) / upsample - 1/2, where the first and the last stand for what is beyond them, as
 * torch.nn.functional.interpolate does. Not for a signal. */
void gle_data_input(float *x, size_t ld, const struct gle_data *data, const struct gle_batch *batch, size_t t);
/* Targets likewise, (B, ld), ld >= n_targets: one-hot for labels. They change with t only where
 * gle_data_target_moves().
 * Not for data without targets. */
static inline bool gle_data_target_moves(const struct gle_data *data)
{
    return data->target_moves || data->n_answers > 1 || gle_data_has_masks(data);
}
void gle_data_target(float *y, size_t ld, const struct gle_data *data, const struct gle_batch *batch, size_t t);

/* --- for the data sets --- */
/* Tells ctx->progress, if there is one. Whoever opens a data set calls it at least every tenth of a second.
 * Errors: GLE_ESTOPPED. */
GLE_MUST_CHECK int gle_data_tell(const struct gle_data_context *ctx, const char *what, size_t done, size_t total,
                                 struct gle_error *err);
enum { GLE_DATA_TELL = 1 << 14 }; /* values between two words on the progress */
/* Steps of a batch: those of the longest of B rows. */
size_t gle_data_longest(const struct gle_data *data, enum gle_split split, const uint32_t *rows, size_t B);
/* Room for what is asked of the samples of a split, at first everything; and for their lengths. Once each, after
 * gle_data_room(). Owns: likewise. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_data_make_mask(struct gle_data *data, enum gle_split split, struct gle_error *err);
/* Room for weights, at first 1, beside such a mask. Likewise. */
GLE_MUST_CHECK int gle_data_make_weights(struct gle_data *data, enum gle_split split, struct gle_error *err);
GLE_MUST_CHECK int gle_data_make_lengths(struct gle_data *data, enum gle_split split, struct gle_error *err);
/* Room for n samples of one split, all zero, in the shapes that data says; its sizes and flags are set before, and its
 * maker, if it has one: then there is room for labels alone, and for numbers, which are filled in.
 * Owns:   the arrays belong to data (gle_data_close). Call it once per split; not at all for one that is not there.
 * Errors: GLE_ERANGE (more samples than a 32-bit row number can tell apart), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_data_room(struct gle_data *data, enum gle_split split, size_t n, struct gle_error *err);
/* The number of steps in `duration` (time units), the value of `key`: duration / dt, rounded, which takes away no more
 * than the last digits where the key's `steps` says that it passes in whole ones.
 * Errors: GLE_ERANGE (less than one step, or more than a billion). */
GLE_MUST_CHECK int gle_data_steps(size_t *n_steps, const char *key, double duration, double dt, struct gle_error *err);
/* Makes data a set of points, each held for `present` (time units): sets held, and n_steps as above.
 * Errors: as above. */
GLE_MUST_CHECK int gle_data_hold(struct gle_data *data, double present, double dt, struct gle_error *err);

#endif
