/* run.h - a run in progress: what training by epochs and by duration have in common. For the files of this folder. */
#ifndef GLE_TRAIN_RUN_H
#define GLE_TRAIN_RUN_H

#include "data/feed.h"
#include "data/shown.h"
#include "parts/schedule.h"
#include "train/diagnosis.h"
#include "train/evaluation.h"
#include "train/meter.h"
#include "train/order.h"
#include "train/train.h"

/* The states of a run, and the calls that lead from one to the next. A leg of a run is a pass over a split, by epochs,
 * or a phase.
 *
 *                 gle_run_start()            begin_pass(), open_phase()
 *     STARTING --------------------> BETWEEN ---------------------------> WITHIN
 *                                       ^                                   |
 *                                       +------ run_pass(), run_phase() ----+
 *
 *     STARTING           --- gle_run_archive(), that restores ------> BETWEEN or WITHIN, where the run was saved
 *     BETWEEN            --- gle_run_settle(), no leg is left ------> OVER
 *     BETWEEN or WITHIN  --- gle_run_settle(), a signal came -------> STOPPED
 *     BETWEEN or WITHIN  --- gle_run_settle(), something failed ----> FAILED
 *     STARTING           --- gle_run_start(), that fails -----------> FAILED, also where the run was restored by then
 *     BETWEEN            --- gle_train_measure() -------------------> ASIDE
 *
 * 1. The run can be saved in BETWEEN and in WITHIN, and in no other state. What is saved in BETWEEN goes on in BETWEEN,
 *    what is saved in WITHIN in WITHIN; but a pass of which no step was made goes on in BETWEEN.
 * 2. In BETWEEN, no window is open, `pass` and the counts of `phase` are zero, and no parameter is put to a phase's
 *    value. `at` says which leg comes next; at.stage is the one after the last if the run is about to be over. Where
 *    at.split has its score already, the training set is about to be measured after its pass.
 * 3. In WITHIN by epochs, the pass that is going on is that of at.stage and at.split, and the first of those planned.
 * 4. In WITHIN by phases, the phase is at.stage, its parameters have its values and are held against learning, and
 *    phase.kept has those that they had before.
 * 5. A window that is open in WITHIN began with at.window.first, and the net has taped each step since then. One that
 *    is open when a run ends is never closed.
 * 6. Steps of a leg are counted in `metrics` when it leaves WITHIN, and not before.
 * 7. In OVER, metrics have all stages, and all evaluations.
 * 8. In STOPPED, the run was saved, if an observer saves. The leg that was broken off is counted after that.
 * 9. In ASIDE, steps are made that are none of a run's: for their time, or by the copy that an evaluation makes of a
 *    run. Nothing is saved. */
enum gle_run_state {
    GLE_RUN_STARTING,
    GLE_RUN_BETWEEN,
    GLE_RUN_WITHIN,
    GLE_RUN_OVER,
    GLE_RUN_STOPPED,
    GLE_RUN_FAILED,
    GLE_RUN_ASIDE,
};

enum { GLE_PROGRESS_STEPS = 16 }; /* between two calls of the progress hook */

/* Answers that are right, and those whose label is among the five largest outputs; NaN: that is not known, of runs that
 * were begun by a program that did not count it. */
struct gle_right {
    size_t first;
    double five;
};

/* A pass over a split that is going on, and where it is. */
struct gle_pass_state {
    size_t done;    /* samples of the batches that are over */
    size_t t;       /* steps made of the batch after them */
    uint64_t steps;
    double shown;   /* steps, each as often as there were samples in it */
    double loss;    /* summed over steps with a target, and samples */
    struct gle_right right;
    double squares; /* errors, where the net sums them */
    double asked;   /* steps with a target, each as often as there were samples of which it was asked, times their
                       weights. Saved where these are not 1; else it follows from the samples */
};

/* What a teacher's output was like in the pass or phase that is going on, or in an evaluation: sums over steps and
 * samples, of each output from its first value on, which keeps digits. */
struct gle_spread {
    size_t n_outputs;
    double *samples; /* how many there were, NaN: that is not known; */
    double *first, *sum, *squares; /* (n_outputs) each, behind it */
};

/* Which pass of a run. */
struct gle_pass_id {
    uint64_t epoch;
    enum gle_split split;
};

/* A pass whose order of samples is known. */
struct gle_planned {
    struct gle_pass_id of;
    uint32_t *rows; /* room for any split */
};

/* A phase that is going on. */
struct gle_phase_state {
    uint64_t t;    /* steps made, */
    uint64_t known; /* and those of them whose losses are known; a net on a device tells them later. What follows is of
                       these, */
    double newest;  /* but this, the loss of the step that is being made, */
    bool has_newest; /* if it is known */
    double loss;   /* summed over steps with a target, and rows */
    double recent; /* of the steps since progress was told, */
    uint64_t told; /* which were so many before that */
    double seconds;
    size_t played; /* samples */
    struct gle_right right;
    double squares; /* as in a pass */
    double *last;  /* losses of the last steps, a ring of GLE_LAST_STEPS */
    float **kept;  /* values of the parameters that the phase puts to others; NULL: no phase is going on */
};

/* Where a run is. All of it is saved, but for `unasked` and `asked`. */
struct gle_place {
    uint64_t stage; /* epoch or phase */
    enum gle_split split;
    uint64_t step;  /* of the run: the one that comes next, or is being made */
    bool unasked;   /* the step that is being shown has no target */
    double asked;   /* the rows in it that have one, times their weights; a teacher asks all of them */
    struct {
        bool open;
        uint64_t first; /* the step with which it began, also once it is closed */
    } window;       /* of a windowed rule */
};

/* Which samples are read, and which come next. */
struct gle_reading {
    /* By epochs */
    struct gle_feed *feed;
    struct gle_planned planned[GLE_FEED_PASSES]; /* the pass that is going on, or comes next, and the one after it */
    size_t n_planned;
    struct gle_pass_id ahead; /* the pass that was planned last */
    /* By phases */
    uint32_t *rows; /* samples being played (max_batch), */
    struct gle_shown shown; /* and their frames, where they are made */
};

/* What is known of the stage that is going on. */
struct gle_scores {
    struct gle_epoch epoch; /* by epochs */
    uint64_t *confusion;    /* of the pass so far, or of an evaluation during phases, as metrics->confusion, */
    enum gle_split confusion_split; /* if it is over this split */
    float *predictions[GLE_SPLITS]; /* of the pass so far, as metrics->predictions; NULL: they are not kept */
};

/* Of early stopping. It follows from the epochs that are measured, and is not saved beside them. */
struct gle_patience {
    double best;  /* the last value that was an improvement; infinite: none yet */
    uint64_t bad; /* epochs since then */
};
extern const struct gle_patience gle_patience_start;

/* What a run has taken so far. */
struct gle_spent {
    double clock;            /* until when time was counted */
    double work, total_work; /* samples times steps */
};

struct gle_run {
    /* Given, and never others; what net and metrics hold is what the run changes. */
    const struct gle_experiment *exp;
    const struct gle_graph *graph;
    const struct gle_data *data;
    struct gle_fleet *fleet; /* where the networks run; NULL: the processors */
    const struct gle_observer *observer;
    const volatile sig_atomic_t *stop;
    struct gle_net *net;
    struct gle_metrics *metrics;

    /* Made by gle_run_start(). */
    struct gle_graph *teacher_graph;
    struct gle_net *teacher;           /* NULL: none */
    struct gle_diagnosis *diagnosis;   /* NULL: none */
    struct gle_evaluation *evaluation; /* NULL: none */
    float *output_sum;                 /* (max_batch, n_targets) */
    struct gle_spread spread;          /* samples NULL: it is not wanted */

    /* Changed by the run. */
    enum gle_run_state state;
    struct gle_place at;
    struct gle_reading reading;
    struct gle_scores scores;
    struct gle_pass_state pass;   /* by epochs */
    struct gle_phase_state phase; /* by phases */
    struct gle_spent spent;
    struct gle_schedule_state schedule;
    struct gle_patience patience; /* by epochs */
    struct gle_rng rng; /* of initial values */
    struct {
        double *said; /* (ranks): signals; NULL: the rows are not spread over ranks */
        uint64_t step; /* before which they were told last */
        bool stops;    /* all ranks know that one of them is asked for the end */
    } ranks;
    struct gle_order order;

    /* How it ended. */
    struct gle_error *err;
    int rc;
};

/* Enters a state: the call must lead there, and what the state says must be true. */
void gle_run_enter(struct gle_run *run, enum gle_run_state next);
/* Enters the state in which the run ends, by its place and run->rc. */
void gle_run_settle(struct gle_run *run);

/* Makes room, the teacher and the diagnosis, and initialises the networks; puts the run to its beginning, or restores
 * it by the observer's hook. What was made is freed by gle_run_finish(), also after an error.
 * Errors: GLE_EDATA, GLE_ENOMEM, the observer's. */
GLE_MUST_CHECK int gle_run_start(struct gle_run *run, struct gle_error *err);
void gle_run_finish(struct gle_run *run);

/* A new feed in place of the one that there is: without any pass. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_run_open_feed(struct gle_run *run, struct gle_error *err);

/* Where rows are spread over ranks, all of them are stopped by the same pause. */
bool gle_run_stopped(const struct gle_run *run);
/* Whether there may be a pause after a step: where rows are spread, some steps after the last one, once no window is
 * open and no gradient waits for the optimizer; else if it is usual. */
bool gle_run_may_pause(const struct gle_run *run, bool is_usual);
/* Where rows are spread: room for what ranks say; has the feed make the samples of this one; tells all ranks whether
 * one is asked for the end. Errors: GLE_ENOMEM; GLE_EDEVICE. */
GLE_MUST_CHECK int gle_run_meet(struct gle_run *run, struct gle_error *err);
void gle_run_share_feed(struct gle_run *run);
GLE_MUST_CHECK int gle_run_agree(struct gle_run *run, struct gle_error *err);
/* Tells an observer that the run is between two steps and can be saved. Errors: the observer's. */
GLE_MUST_CHECK int gle_run_pause(struct gle_run *run, enum gle_pause when, struct gle_error *err);
/* What was clipped since it was counted last: in all that is counted in the metrics then. */
struct gle_clipping gle_run_count_clipping(struct gle_run *run);
/* Adds the time since run->spent.clock to that of the stage and of its kind of steps. */
void gle_run_count_time(struct gle_run *run);
/* Room for the values that a phase takes the place of. Owns: run->phase.kept, until gle_run_free_kept(). Errors:
 * GLE_ENOMEM. */
GLE_MUST_CHECK int gle_run_make_kept(struct gle_run *run, struct gle_error *err);
void gle_run_free_kept(struct gle_run *run);
/* The number of the parameter that is set. */
size_t gle_run_param(const struct gle_run *run, const struct gle_setting *s);
/* Whether right and wrong answers can be told apart. */
bool gle_run_labelled(const struct gle_run *run);
/* Whether step t of samples may have a target: a teacher has one at every step. Steps before `end` in which a sample
 * has one, each times its weight. */
bool gle_run_asks_at(const struct gle_run *run, size_t t);
double gle_run_asked_before(const struct gle_run *run, enum gle_split split, uint32_t row, size_t end);
void gle_run_tell(const struct gle_run *run, double loss, double accuracy);

/* A batch, or a sample of a stream, begins, with B rows. */
void gle_run_begin_batch(struct gle_run *run, size_t B);
/* Puts step t of a batch into the net's input, and into its target, if the target does not come from a teacher; sees
 * whether there is a target at this step. */
void gle_run_show(struct gle_run *run, const struct gle_batch *batch, size_t t);
/* Whether errors can be left out of a pass that learns nothing, because nothing that comes of them is ever seen: where
 * state begins at zero and no target drives it, all of them are zero; and those of a pass from whose state nothing
 * learns (last), which change nothing but each other, unless they feed back into membranes. */
bool gle_run_without_errors(const struct gle_experiment *exp, bool last);
/* Answers that each sample of a batch has given before step t, which may be the one after its last. */
size_t gle_run_answered(const struct gle_run *run, const struct gle_batch *batch, size_t t);
/* Before step t of a batch: outputs are summed anew if an answer, or the part of it that decides, begins with it. */
void gle_run_begin_sums(struct gle_run *run, const struct gle_batch *batch, size_t t);
/* After step t of a batch, all of whose steps up to it were shown since gle_run_begin_batch(): adds the right ones
 * among the answers that end with it, one of each sample if there are any; they are also counted in
 * run->scores.confusion when it is the matrix of their split. */
void gle_run_count_right(struct gle_run *run, struct gle_right *right, const struct gle_batch *batch, size_t t);
/* The fraction of answers whose label was among the five largest outputs; NaN where that says nothing. */
double gle_run_top5(const struct gle_run *run, double five, double answers);
/* Squared errors, where the net sums them: whether they are to be taken after step t of n_steps, before single
 * precision is too coarse for their sum; and takes them, summed over rows and outputs. 0: it does not. */
bool gle_run_squares_due(const struct gle_run *run, size_t t, size_t n_steps);
double gle_run_take_squares(struct gle_run *run);
/* Room for a spread, without any samples yet, where a score asks for it. Owns: spread->samples, gle_free().
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_spread_make(struct gle_spread *spread, const struct gle_run *run, struct gle_error *err);
void gle_spread_clear(struct gle_spread *spread); /* no samples */
/* The target of a step, of B samples, each ld floats behind the one before. */
void gle_spread_add(struct gle_spread *spread, const float *target, size_t ld, size_t B);
/* The normalised root of the mean squared error, from the mean loss if that tells, else from squared errors over
 * `asked` rows and steps: by the variance of the split's targets or, beside a teacher, of those that there were. */
double gle_run_nrmse(const struct gle_run *run, enum gle_split split, double loss, double squares, double asked);

/* A step of a run. */
struct gle_stride {
    size_t B;
    bool learn;          /* parameters move: with this step, or with the window under a windowed rule */
    bool nudge;          /* if not: the target error drives the network all the same */
    bool forward_only;   /* neither: errors are left out */
    uint64_t steps_left; /* how many like this one follow for sure, without a reset of the state */
    bool end_window;     /* the open window, if there is one, ends with it; if it began with it, it is dropped */
    bool on_grid;        /* a window that begins with it ends after learning.window, as those that follow do */
    bool at_once;        /* its loss is wanted before the next one */
};
/* One step of net, teacher and diagnosis on what the net's input holds, and what observers want to know of it. Adds to
 * *sum the losses that have become known, summed over the rows, 0 without a target: that of this step, and of those
 * before it; sum NULL: they are counted in the pass or the phase. A net on a device tells them later, unless at_once;
 * also that a step diverged: all losses before it are counted by then.
 * Errors: GLE_EDIVERGED, GLE_ENOMEM, GLE_EDEVICE, the observer's. */
GLE_MUST_CHECK int gle_run_step(struct gle_run *run, const struct gle_stride *stride, double *sum,
                                struct gle_error *err);
/* Steps between two words on how it goes, during phases. */
uint64_t gle_run_progress_steps(const struct gle_run *run);
/* After the step of a phase that gle_run_step() has made: counts it, and its loss if it is known. */
void gle_run_count_step(struct gle_run *run);
/* Waits for the losses that are not known yet, and counts them in the pass or the phase. Errors: likewise. */
GLE_MUST_CHECK int gle_run_collect(struct gle_run *run, struct gle_error *err);
/* Opens a window of a windowed rule, if none is open; or forgets it. */
void gle_run_begin_window(struct gle_run *run);
void gle_run_drop_window(struct gle_run *run);

/* By epochs: whether an epoch has a pass over a split; the pass that follows one (false: it is the run's last); the
 * split whose confusion matrix an epoch has; samples that run side by side. */
bool gle_run_has_pass(const struct gle_run *run, uint64_t epoch, enum gle_split split);
bool gle_run_next_pass(const struct gle_run *run, struct gle_pass_id *at);
enum gle_split gle_run_confusion_split(const struct gle_run *run, uint64_t epoch);
size_t gle_run_batch_size(const struct gle_run *run, enum gle_split split);
/* Puts the run to the beginning of an epoch. */
void gle_run_begin_epoch(struct gle_run *run, uint64_t epoch);
/* Early stopping, after a pass or a measurement that is over, and has its score: if that is the one that is watched,
 * counts the epoch, and makes it the run's last one if none shall follow. Returns whether it has. */
bool gle_run_stops_early(struct gle_run *run, enum gle_split scored);
/* Restoring: counts the epochs that are measured anew, which may make one of them the last. */
void gle_run_recount_patience(struct gle_run *run);
/* All samples of the run times their steps. */
double gle_run_total_by_epochs(const struct gle_run *run);
double gle_run_total_by_phases(const struct gle_run *run);

/* By phases: keeps the parameters that the phase puts to its values from learning, or lets them learn again. */
void gle_run_hold_params(struct gle_run *run, bool hold);
/* Whether windows are opened in the phase that is going on; whether the one that is open ends with step `step` of the
 * run, which is step t of the phase. */
bool gle_run_has_windows(const struct gle_run *run);
bool gle_run_window_ends(const struct gle_run *run, uint64_t step, uint64_t t);
/* Answers that are given by samples that are played, from step `from` of the run on and before step `to`. */
uint64_t gle_run_count_answers(const struct gle_run *run, uint64_t from, uint64_t to);
/* Steps from step `from` of the run on, and before step `to`, that have a target, each as often as there are rows of
 * which it is asked, times their weights. */
double gle_run_count_asked(const struct gle_run *run, uint64_t from, uint64_t to);

/* --- archive_metrics.c: parts of gle_run_archive(), whose errors they have --- */

/* All that has been measured; n epochs, as columns; which split, of those up to `last`. */
GLE_MUST_CHECK int gle_run_archive_metrics(struct gle_run *run, struct gle_archive *a, struct gle_error *err);
GLE_MUST_CHECK int gle_run_archive_epochs(const struct gle_run *run, struct gle_archive *a, struct gle_epoch *e,
                                          size_t n, struct gle_error *err);
GLE_MUST_CHECK int gle_run_archive_split(struct gle_archive *a, const char *name, enum gle_split *split,
                                         enum gle_split last, struct gle_error *err);
/* A column of numbers 0 ... high, or NaN where that is not known: checkpoints did not always have it. x: in the first
 * of n structs of that size. */
GLE_MUST_CHECK int gle_run_archive_late(struct gle_archive *a, const char *name, double *x, size_t n, size_t size,
                                        double high, struct gle_error *err);

/* Restoring, once all but the networks is there: whether it goes together, and with the config. Then, whether the
 * networks go with it. Errors: GLE_EDATA names the entry. */
GLE_MUST_CHECK int gle_run_check_place(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err);
GLE_MUST_CHECK int gle_run_check_nets(const struct gle_run *run, const struct gle_archive *a, struct gle_error *err);

/* Training by epochs, by phases, from where the run is; results in run->rc, metrics. */
void gle_run_epochs(struct gle_run *run);
void gle_run_phases(struct gle_run *run);
/* Makes learning steps, or others, until all is measured; none if there are no such steps. Errors: as gle_train(). */
GLE_MUST_CHECK int gle_run_measure_epochs(struct gle_meter *meter, struct gle_run *run, bool learn,
                                          struct gle_error *err);
GLE_MUST_CHECK int gle_run_measure_phases(struct gle_meter *meter, struct gle_run *run, bool learn,
                                          struct gle_error *err);

#endif
