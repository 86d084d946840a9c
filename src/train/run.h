/* run.h - a run in progress: what training by epochs and by duration have in common. For the files of this folder. */
#ifndef GLE_TRAIN_RUN_H
#define GLE_TRAIN_RUN_H

#include "data/feed.h"
#include "parts/schedule.h"
#include "train/diagnosis.h"
#include "train/meter.h"
#include "train/order.h"
#include "train/train.h"

enum { GLE_PROGRESS_STEPS = 16 }; /* between two calls of the progress hook */

struct gle_run {
    const struct gle_experiment *exp;
    const struct gle_graph *graph;
    struct gle_net *net;
    const struct gle_data *data;
    struct gle_metrics *metrics;
    const struct gle_observer *observer;
    const volatile sig_atomic_t *stop;
    struct gle_graph *teacher_graph;
    struct gle_net *teacher; /* NULL: none */
    struct gle_diagnosis *diagnosis; /* NULL: none */
    struct gle_rng rng; /* of initial values */
    struct gle_order order;
    struct gle_schedule_state schedule;
    struct gle_feed *feed; /* NULL: training by duration */
    uint32_t *rows;      /* order of a pass, or the samples being played */
    float *output_sum;   /* (max_batch, n_targets) */
    uint64_t *confusion; /* of the pass so far, as metrics->confusion, */
    enum gle_split confusion_split; /* if it is over this split */
    uint64_t stage;      /* epoch or phase */
    enum gle_split split;
    struct { /* the pass that was planned last */
        uint64_t epoch;
        enum gle_split split;
    } ahead;
    uint64_t step;       /* of the run */
    bool in_window;
    uint64_t window_first;   /* the step with which the open window began */
    double work, total_work; /* samples times steps */
    struct gle_error *err;
    int rc;
};

/* Makes room, the teacher and the diagnosis, and initialises the networks. What was made is freed by
 * gle_run_finish(), also after an error. Errors: GLE_EDATA, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_run_start(struct gle_run *run, struct gle_error *err);
void gle_run_finish(struct gle_run *run);

/* A new feed in place of the one that there is: without any pass. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_run_open_feed(struct gle_run *run, struct gle_error *err);

bool gle_run_stopped(const struct gle_run *run);
/* Whether right and wrong answers can be told apart. */
bool gle_run_labelled(const struct gle_run *run);
void gle_run_tell(const struct gle_run *run, double loss, double accuracy);

/* A batch, or a sample of a stream, begins, with B rows. */
void gle_run_begin_batch(struct gle_run *run, size_t B);
/* Puts step t of a batch into the net's input, and into its target, if the target does not come from a teacher. */
void gle_run_show(struct gle_run *run, const struct gle_batch *batch, size_t t);
/* Right answers among the samples of the batch, all of whose steps were shown since gle_run_begin_batch(); they are
 * also counted in run->confusion when it is the matrix of their split. */
size_t gle_run_count_right(struct gle_run *run, const struct gle_batch *batch);

/* A step of a run. */
struct gle_stride {
    size_t B;
    bool learn;          /* parameters move: with this step, or with the window under a windowed rule */
    bool nudge;          /* if not: the target error drives the network all the same */
    bool forward_only;   /* neither: errors are left out */
    uint64_t steps_left; /* how many like this one follow for sure, without a reset of the state */
    bool end_window;     /* the open window, if there is one, ends with it; if it began with it, it is dropped */
    bool on_grid;        /* a window that begins with it ends after learning.window, as those that follow do */
};
/* One step of net, teacher and diagnosis on what the net's input holds, and what observers want to know of it. *loss:
 * summed over the rows. Errors: GLE_EDIVERGED, GLE_ENOMEM, the observer's. */
GLE_MUST_CHECK int gle_run_step(struct gle_run *run, const struct gle_stride *stride, double *loss,
                                struct gle_error *err);
/* Opens a window of a windowed rule, if none is open; or forgets it. */
void gle_run_begin_window(struct gle_run *run);
void gle_run_drop_window(struct gle_run *run);

/* Training by epochs, by phases; results in run->rc, metrics. */
void gle_run_epochs(struct gle_run *run);
void gle_run_phases(struct gle_run *run);
/* Makes learning steps, or others, until all is measured; none if there are no such steps. Errors: as gle_train(). */
GLE_MUST_CHECK int gle_run_measure_epochs(struct gle_meter *meter, struct gle_run *run, bool learn,
                                          struct gle_error *err);
GLE_MUST_CHECK int gle_run_measure_phases(struct gle_meter *meter, struct gle_run *run, bool learn,
                                          struct gle_error *err);

#endif
