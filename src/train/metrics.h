/* metrics.h - what a run measured. Plain numbers; report turns them into JSON. */
#ifndef GLE_TRAIN_METRICS_H
#define GLE_TRAIN_METRICS_H

#include "config/experiment.h"
#include "data/data.h"
#include "train/predictions.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gle_status { GLE_RUNNING, GLE_COMPLETED, GLE_INTERRUPTED, GLE_DIVERGED };

/* The output as the input (training.evaluate.closed_loop), against the input all along: over the same steps, samples
 * and outputs. smape: 200 mean of |y - r| / (|y| + |r|), in percent, of y and r as they were before a series was
 * normalised; nrmse: sqrt(mean of (y - r)^2 / variance of y). NaN: the network diverged, or it was not measured. */
struct gle_closed {
    double smape, nrmse, open_smape, open_nrmse;
};
extern const struct gle_closed gle_closed_unknown; /* not measured */

/* The first test samples of the last such loop: targets, outputs of the open loop, and of the closed one, (3, n,
 * n_steps, n_outputs); zero from the step on at which a network had diverged. */
struct gle_traces {
    float *values; /* NULL: there are none */
    size_t n, n_steps, n_outputs;
};
enum { GLE_TRACES_MAX = 16 }; /* samples */

/* One pass over a split. */
struct gle_score {
    bool measured;
    double loss;     /* mean over steps with a target, and samples */
    double accuracy; /* fraction of answers right; NaN when there are no labels */
    double top5;     /* fraction of answers whose label is among the five largest outputs; NaN when there are no labels,
                        or ten classes or fewer */
    double nrmse;    /* of a regression: see gle_metrics_nrmse(); else NaN */
    struct gle_closed closed; /* of the test set, if that is asked for */
};

/* Under learning.clip: how often it acted. */
struct gle_clipping {
    uint64_t steps, clipped; /* of the optimizer; those of them whose gradient was too long */
};

struct gle_epoch {
    uint64_t epoch; /* 0: the untrained network */
    double lr;      /* with which it was trained; the first learning rate for epoch 0 */
    double seconds;
    struct gle_score score[GLE_SCORES];
    struct gle_clipping clipping; /* in its training */
};

/* A phase of training by duration. */
struct gle_phase_score {
    uint64_t steps;    /* taken */
    double seconds;
    double loss;       /* mean over steps and sequences */
    double last_loss;  /* the same over the last steps */
    uint64_t last_steps; /* GLE_LAST_STEPS, or all if there are fewer */
    double accuracy;   /* fraction of the answers right; NaN without labels, or when none was given */
    double top5, nrmse; /* as of a pass; over steps of the phase */
    struct gle_clipping clipping;
};
enum { GLE_LAST_STEPS = 10000 };

/* An evaluation of the test set during training by duration. */
struct gle_evaluated {
    uint64_t step; /* before which it was made */
    double loss;     /* mean over steps with a target, and samples */
    double accuracy; /* fraction of answers right; NaN without labels */
    double top5, nrmse; /* as of a pass */
    struct gle_closed closed; /* likewise */
};

/* What a rule's update and an exact gradient have to do with each other: sums over the entries of one parameter. The
 * cosine is dot / sqrt(update * gradient), the ratio of norms sqrt(update / gradient). Weights B and W are compared
 * likewise, which gives the cosine of the angle between them. */
struct gle_comparison {
    double dot, update, gradient;
};

/* One comparison of the rule's updates, summed over a window, with an exact gradient of the same window. */
struct gle_diagnostic {
    uint64_t step; /* at which the window began */
    struct gle_comparison *of; /* of each parameter of the graph; zeros where it does not learn. Of weights B through
                                  which errors go back: with W in place of the gradient, at the first step */
};

struct gle_metrics {
    enum gle_status status;
    char message[512]; /* why it ended early; "" if it did not */
    struct gle_epoch *epochs; /* of training by epochs: those that are over */
    size_t n_epochs, epochs_room;
    uint64_t last_epoch; /* the run's: that of the config, until early stopping makes it the one that is going on */
    struct gle_phase_score *phases; /* of training by duration: those that are over, or were broken off */
    size_t n_phases;
    struct gle_evaluated *evaluations; /* likewise */
    size_t n_evaluations;
    struct gle_diagnostic *diagnostics;
    size_t n_diagnostics;
    size_t best;               /* index of the best epoch, */
    const struct gle_metric_row *best_by; /* by this (training.best), or if NULL by accuracy, or loss, over */
    enum gle_split best_split; /* this score: that of best_by, else validation if there is one, else test, else training
                                  after the epoch, else while it went on */
    float *best_weights;       /* parameters of the best epoch so far, one after the other; NULL: they are not kept */
    /* Counts of the last epoch's pass over confusion_split, or of the last evaluation during phases, (n_classes,
     * n_classes), rows: truth. NULL without labels, and in training by duration that is not evaluated. */
    uint64_t *confusion;
    size_t n_classes;
    bool valued; /* of a regression, on target values of its own or of a teacher: scores have an NRMSE */
    double variance[GLE_SCORES]; /* of target values of its own; else NaN */
    enum gle_split confusion_split; /* test if that epoch tested, or by an evaluation, else best_split */
    struct gle_traces traces; /* of the closed loop */
    struct gle_predictions predictions[GLE_SPLITS]; /* of the last evaluation of each set that is in the scores */
    struct gle_clipping clipping; /* in all */
    /* Timing */
    uint64_t train_steps, eval_steps;
    double train_seconds, eval_seconds; /* in steps, data included */
    double waited_seconds;              /* of these, for samples that were still being made */
    double train_flops, eval_flops;     /* in products */
};

/* Whether the test set is evaluated after every epoch, epoch 0 included, or after the last one alone. */
bool gle_metrics_test_always(const struct gle_experiment *exp, const struct gle_data *data);

/* Samples of the training set that are measured after each epoch (training.evaluate.train). 0: it is not. */
size_t gle_metrics_train_after(const struct gle_experiment *exp, const struct gle_data *data);
/* Samples that a score is of, where it is measured. */
size_t gle_metrics_samples(const struct gle_experiment *exp, const struct gle_data *data, enum gle_split split);

/* Zeroes everything and makes room for the phases of exp. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_metrics_init(struct gle_metrics *m, const struct gle_experiment *exp,
                                    const struct gle_data *data, struct gle_error *err);
/* Makes room for n epochs in all. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_metrics_make_room(struct gle_metrics *m, size_t n, struct gle_error *err);
/* Appends an epoch that is over, and sees whether it is the best so far. Memory grows with the epochs that come, not
 * with those that are planned. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_metrics_add_epoch(struct gle_metrics *m, const struct gle_epoch *epoch, struct gle_error *err);
/* Which of the first n >= 1 epochs is the best: by best_by, or else higher accuracy is better, or lower loss where
 * there are no labels; and the earlier one of equals. */
size_t gle_metrics_best(const struct gle_metrics *m, size_t n);
/* What a metric says of an epoch; NaN where it was not measured. */
double gle_metrics_value(const struct gle_epoch *epoch, const struct gle_metric_row *metric);
/* The name of best_by, which is not NULL. */
const char *gle_metrics_best_by(const struct gle_metrics *m);
/* Appends a diagnostic with all comparisons zero, in (*out)->of. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_metrics_diagnose(struct gle_diagnostic **out, struct gle_metrics *m, uint64_t step,
                                        size_t n_parameters, struct gle_error *err);
/* Room for traces, all zero, in place of those that there are. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_metrics_make_traces(struct gle_metrics *m, size_t n_tests, size_t n_steps, size_t n_outputs,
                                           struct gle_error *err);
void gle_metrics_drop_traces(struct gle_metrics *m);
/* Appends an evaluation. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_metrics_evaluate(struct gle_metrics *m, const struct gle_evaluated *evaluated,
                                        struct gle_error *err);
/* Whether five classes are few enough of all. */
bool gle_metrics_has_top5(const struct gle_metrics *m);
/* The normalised root of a mean squared error, over steps with a target, samples and outputs: sqrt(mse / variance of
 * the targets of the split). R^2 is 1 - nrmse^2. NaN: the split has no target values of its own. */
double gle_metrics_nrmse(const struct gle_metrics *m, enum gle_split split, double mse);
/* That which came after the last step of the run; NULL: there is none, or not yet. */
const struct gle_evaluated *gle_metrics_final_test(const struct gle_metrics *m, const struct gle_experiment *exp);
/* Whether there is a confusion matrix: one that some pass or evaluation has been counted in. */
bool gle_metrics_has_matrix(const struct gle_metrics *m);
/* Whether early stopping has ended the run, after last_epoch. */
bool gle_metrics_stopped_early(const struct gle_metrics *m, const struct gle_experiment *exp);
/* The name of the metric that early stopping watches, where there is one. */
const char *gle_metrics_stopped_by(const struct gle_experiment *exp);
/* Of a run that has ended so: the last epoch whose metric was an improvement; 0: there was none. */
uint64_t gle_metrics_improved_last(const struct gle_metrics *m, const struct gle_experiment *exp);
/* Whether all epochs or phases are over. */
bool gle_metrics_complete(const struct gle_metrics *m, const struct gle_experiment *exp);
void gle_metrics_clear(struct gle_metrics *m);
const char *gle_status_name(enum gle_status status);

#endif
