/* predictions.h - what a network answers to each sample of the sets that are evaluated (training.evaluate.predictions),
 * kept until the report is written. */
#ifndef GLE_TRAIN_PREDICTIONS_H
#define GLE_TRAIN_PREDICTIONS_H

#include "config/experiment.h"
#include "data/data.h"

struct gle_run;

/* The most that predictions.npz may have, in bytes. Twice as much memory goes to it. */
enum { GLE_PREDICTIONS_MAX = 1 << 28 };

/* What is kept of each sample: with labels, the sum that each of its answers is told from, (parts, outputs); else, at
 * each step from `first` on that may have a target, the output and the target, (2, parts, outputs). */
struct gle_predictions_shape {
    bool labelled;
    size_t first; /* steps */
    size_t parts; /* answers, or steps */
    size_t outputs;
};
struct gle_predictions_shape gle_predictions_shape(const struct gle_experiment *exp, const struct gle_data *data);

/* Whether they are kept of a set; and about how many bytes predictions.npz has, twice as many as which
 * are kept in memory; 0 if none are. */
bool gle_predictions_wanted(const struct gle_experiment *exp, const struct gle_data *data, enum gle_split split);
double gle_predictions_bytes(const struct gle_experiment *exp, const struct gle_data *data);

/* Those of one set: samples in the order of the set, of each what the shape says, floats side by side. Outputs and
 * targets are NaN where nothing is asked of a sample. */
struct gle_predictions {
    float *values; /* NULL: they are not kept of this set */
    size_t n;      /* values in all */
    bool there;    /* an evaluation has been kept */
};

/* --- for the files of this folder --- */

/* Room in run->metrics for those of the last evaluations, and in run->scores for those of the pass that is going on.
 * Owns: gle_metrics_clear(), gle_predictions_free(). Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_predictions_open(struct gle_run *run, struct gle_error *err);
void gle_predictions_free(struct gle_run *run);
/* Whether outputs of steps are kept of a pass over a split: what a step has read is looked at after it. */
bool gle_predictions_look(const struct gle_run *run, enum gle_split split);
/* After step t of a batch: keeps what it has read, if that is asked for. */
void gle_predictions_keep_step(struct gle_run *run, const struct gle_batch *batch, size_t t);
/* Of sample b of a batch: keeps the sum that its answer number `answer`, from 0 on, is told from. */
void gle_predictions_keep_sum(struct gle_run *run, const struct gle_batch *batch, size_t b, size_t answer,
                              const float *sum);
/* The pass over a split is over, and counts. */
void gle_predictions_take(struct gle_run *run, enum gle_split split);

#endif
