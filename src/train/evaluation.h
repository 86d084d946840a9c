/* evaluation.h - the test set during training by duration, and the training set after epochs: shown to a copy of the
 * network, which leaves no trace in the one that learns. */
#ifndef GLE_TRAIN_EVALUATION_H
#define GLE_TRAIN_EVALUATION_H

#include "config/experiment.h"
#include "data/data.h"

struct gle_closed;
struct gle_evaluation;
struct gle_graph;
struct gle_graph_options;
struct gle_run;

/* How many evaluations a run has (training.evaluate), and the step before which evaluation k = 0, 1, ... comes: the
 * first comes before step 0, the last after the last step. 0: none. */
uint64_t gle_evaluation_count(const struct gle_experiment *exp);
uint64_t gle_evaluation_step(const struct gle_experiment *exp, uint64_t k);

/* Whether a run makes any, or closed loops. */
bool gle_evaluation_wanted(const struct gle_experiment *exp);
/* Steps that an evaluation of GLE_TEST or GLE_TRAIN_AFTER makes, if the run makes any. */
uint64_t gle_evaluation_steps_each(const struct gle_run *run, enum gle_split split);

/* What the graph of the copy of a network is built for. */
struct gle_graph_options gle_evaluation_options(const struct gle_graph *graph, const struct gle_data *data);

/* Makes the copies of the run's net and teacher, which are there already.
 * Owns:   *out belongs to the caller (gle_evaluation_close); borrows run, whose net lends its threads.
 * Errors: GLE_ENOMEM. On error *out is NULL. */
GLE_MUST_CHECK int gle_evaluation_open(struct gle_evaluation **out, struct gle_run *run, struct gle_error *err);
void gle_evaluation_close(struct gle_evaluation *e); /* NULL is fine */

/* Rows of a batch of GLE_TEST or GLE_TRAIN_AFTER, and the numbers of samples, in order. A run ASIDE of the copies,
 * which become what the run's networks are; own_values: see gle_evaluation_make(). It has to be over before the next
 * one is asked for. */
size_t gle_evaluation_rows(const struct gle_experiment *exp, const struct gle_data *data, enum gle_split split);
const uint32_t *gle_evaluation_samples(const struct gle_evaluation *e);
struct gle_run gle_evaluation_copy(struct gle_evaluation *e, const struct gle_run *run, enum gle_split split,
                                   bool own_values);

/* --- closed.c --- */

/* How many steps targets are ahead of inputs (training.evaluate.closed_loop.horizon, else the data set's, else 1). */
size_t gle_closed_horizon(const struct gle_experiment *exp, const struct gle_data *data);
/* Shows the test set to copies of the network, twice: with its inputs all along, and with its own output in their place
 * from closed.after on, that of `horizon` steps before. What is found in the last closed.n_steps goes to *found: NaN if
 * the copy diverged, and whatever there was if the run was stopped meanwhile.
 * Errors: GLE_ENOMEM, GLE_EDEVICE. */
GLE_MUST_CHECK int gle_closed_measure(struct gle_evaluation *e, const struct gle_run *run, bool own_values,
                                      struct gle_closed *found, struct gle_error *err);

/* Whether the next evaluation comes before the step that the run would make next. */
bool gle_evaluation_due(const struct gle_run *run);
/* Makes it. Shows all samples of the test set in order, in batches of training.test_batch_size. training.state: carry
 * begins with the state that the network has, and takes it from batch to batch, as tests between epochs do; reset
 * begins every batch from zero. own_values: parameters that the open phase has put to others are what they will be
 * after it. The score and the confusion matrix go to run->metrics, unless the run was stopped meanwhile: then nothing
 * has happened.
 * Errors: GLE_EDIVERGED, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_evaluation_make(struct gle_evaluation *e, struct gle_run *run, bool own_values,
                                       struct gle_error *err);
/* Between two passes: shows the part of the training set that training.evaluate.train names, as it is, in order,
 * likewise. The score goes to that of the epoch that is going on, the matrix to run->scores.confusion, if it is of this
 * set. Errors: likewise. */
GLE_MUST_CHECK int gle_evaluation_after_training(struct gle_evaluation *e, struct gle_run *run, struct gle_error *err);

#endif
