/* observer.h - what a run tells those who watch it. */
#ifndef GLE_TRAIN_OBSERVER_H
#define GLE_TRAIN_OBSERVER_H

#include "data/data.h"
#include "solver/net.h"
#include "train/metrics.h"

/* Where a run is. */
struct gle_progress {
    bool by_phases;         /* stages are phases 1 ... stages, else epochs 0 ... stages */
    uint64_t stage, stages;
    enum gle_split split;   /* being passed over, or GLE_TRAIN_AFTER */
    double done;            /* fraction of the whole run's work */
    double loss, accuracy;  /* of this pass, or lately; loss NaN where no step had a target, accuracy NaN before the
                               first batch is through, and without labels */
    double nrmse;           /* likewise of a regression; NaN where it is none, or the loss does not tell it */
};

/* A step that has just been made. Variables and parameters of the net are those that it left, with the window that
 * ended with it, if one did; gle_net_get_read() tells what it read. */
struct gle_moment {
    const struct gle_net *net;
    uint64_t step;        /* 0, 1, ... of the run, evaluation included */
    uint64_t stage;       /* epoch 0, 1, ... or phase 1, 2, ... */
    enum gle_split split; /* whose samples were shown */
    size_t B;             /* rows */
    double loss;          /* of the output that the step read, mean over rows; NaN if unasked */
    bool unasked;         /* the step had no target: what gle_net_get_read() tells as its target counted for nothing */
    bool in_window;       /* it belongs to an open window, whose end will tell lambda */
    bool learned;         /* the optimizer made a step, along what gle_net_get_followed() tells: with this step, or with
                             the window that ended with it */
};

/* A window that has just been closed; gle_net_get_lambda() tells lambda of its steps. */
struct gle_closed_window {
    const struct gle_net *net;
    uint64_t first_step, n_steps; /* of the run */
    size_t B;                     /* rows */
};

/* Where a run can be saved. */
enum gle_pause {
    GLE_PAUSE_STEP,  /* now and then, many times a second */
    GLE_PAUSE_STAGE, /* after an epoch or phase, unless it was the last one */
    GLE_PAUSE_STOP,  /* when a signal ends the run early */
};

struct gle_archive;
struct gle_run;
/* For the hooks `pause` and `resume`: saves where the run is, with all that the steps to come and the final metrics
 * depend on; or restores it. Errors: as base/archive.h; GLE_EDATA also where entries contradict each other. */
GLE_MUST_CHECK int gle_run_archive(struct gle_run *run, struct gle_archive *a, struct gle_error *err);

/* Steps of the run so far. */
uint64_t gle_run_steps(const struct gle_run *run);

/* Hooks; each may be NULL. A failure ends the run. */
struct gle_observer {
    void *ctx;
    /* After each epoch or phase, with metrics up to it. */
    int (*stage)(void *ctx, const struct gle_metrics *metrics, struct gle_error *err);
    /* After each evaluation in training by duration, with metrics up to it. */
    void (*evaluated)(void *ctx, const struct gle_metrics *metrics);
    /* Now and then, many times a second. */
    void (*progress)(void *ctx, const struct gle_progress *progress);
    /* After step record.offset of the run, and every record.every steps from there. Not within evaluations of
     * training by duration, which are no part of the run's time. */
    int (*moment)(void *ctx, const struct gle_moment *moment, struct gle_error *err);
    /* After each window of a windowed rule. */
    int (*window)(void *ctx, const struct gle_closed_window *window, struct gle_error *err);
    /* The run may be saved now. */
    int (*pause)(void *ctx, struct gle_run *run, enum gle_pause when, struct gle_error *err);
    /* Once, before the first step: the run goes on from where another one was saved, which is to be restored here.
     * NULL: it starts from the beginning. */
    int (*resume)(void *ctx, struct gle_run *run, struct gle_error *err);
};

#endif
