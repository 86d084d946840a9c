/* accelerator.h - the device that the runs of a process share, one after the other, or side by side. It is opened for
 * the first that wants it, and so never before a fork: drivers have threads, which a child would be without. */
#ifndef GLE_CLI_ACCELERATOR_H
#define GLE_CLI_ACCELERATOR_H

#include "config/experiment.h"

#include <pthread.h>

struct gle_device;
struct gle_fleet;

struct gle_accelerator {
    size_t n_threads; /* that make runs on it side by side */
    pthread_mutex_t lock;
    bool chosen;               /* the rest holds, of the experiment that it was opened for last */
    bool failed;               /* the device has, and is good for nothing else */
    struct gle_device *device; /* NULL: the processors */
    struct gle_fleet *fleet;
    enum gle_backend backend;
    char wanted[256];          /* compute.device; "" for none */
};

/* For n_threads threads. Closing it ends all that was opened. */
void gle_accelerator_start(struct gle_accelerator *a, size_t n_threads);
void gle_accelerator_close(struct gle_accelerator *a);

/* What the networks of an experiment run on; NULL: the processors. `opencl` takes what there is, `auto` a GPU that is
 * named, and else the processors. All experiments that run side by side want the same.
 * Owns:   *out is the accelerator's, until it is closed, or opened for an experiment that wants another one.
 * Errors: GLE_EDEVICE, placed in the config: there is no device, or none such. GLE_ENOMEM. */
GLE_MUST_CHECK int gle_accelerator_open(struct gle_fleet **out, struct gle_accelerator *a,
                                        const struct gle_experiment *exp, struct gle_error *err);
/* The device has failed: the next run opens it anew, if no other one is on it. */
void gle_accelerator_fail(struct gle_accelerator *a);
/* One of the threads has made its last run. */
void gle_accelerator_leave(struct gle_accelerator *a);

#endif
