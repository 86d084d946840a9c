/* accelerator.h - the device that the runs of a process share, one after the other, or side by side. It is opened for
 * the first that wants it, and so never before a fork: drivers have threads, which a child would be without. */
#ifndef GLE_CLI_ACCELERATOR_H
#define GLE_CLI_ACCELERATOR_H

#include "config/experiment.h"

#include <pthread.h>

struct gle_device;
struct gle_fleet;

struct gle_accelerator {
    bool is_shared;   /* by threads that make runs side by side, */
    size_t n_threads; /* so many when it is opened */
    pthread_mutex_t lock;
    bool failed;               /* the device has, and is good for nothing else */
    struct gle_device *device; /* NULL: none is open */
    struct gle_fleet *fleet;   /* of it */
    enum gle_backend backend;  /* that it was opened for */
    char wanted[256];          /* as gle_device_open() has it; "" for any */
    char why[256];             /* after the last call: why the GPU that `auto` has looked at cannot be used; "": it can,
                                  or there is none */
};

/* For n_threads threads. Closing it ends all that was opened. */
void gle_accelerator_start(struct gle_accelerator *a, size_t n_threads);
void gle_accelerator_close(struct gle_accelerator *a);

/* What `auto` may take beside a GPU that is named. */
struct gle_auto {
    bool looks;         /* any GPU; the caller then finds out whether it is faster */
    bool resumes;       /* what a run has had so far, and nothing else: */
    const char *former; /* the name of its GPU, as gle_provenance_device_name() gives it; "": the processors */
};

/* What the networks of an experiment may run on; NULL: the processors. `opencl` takes what there is. All experiments
 * that threads run side by side want the same, or the processors.
 * Owns:   *out is the accelerator's, until it is closed or dropped, or opened for an experiment that wants another one.
 * Errors: GLE_EDEVICE, placed in the config: there is no device, or none such. GLE_ENOMEM. */
GLE_MUST_CHECK int gle_accelerator_open(struct gle_fleet **out, struct gle_accelerator *a,
                                        const struct gle_experiment *exp, const struct gle_auto *may,
                                        struct gle_error *err);
/* Closes the device, which nobody uses, until it is opened again. */
void gle_accelerator_drop(struct gle_accelerator *a);
/* The device has failed: the next run opens it anew, if no other one is on it. */
void gle_accelerator_fail(struct gle_accelerator *a);
/* This thread makes no steps on it for the time being, so that no other one waits for it; or does so again. */
void gle_accelerator_leave(struct gle_accelerator *a);
void gle_accelerator_enter(struct gle_accelerator *a);

#endif
