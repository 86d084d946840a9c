/* accelerator.h - the device that the runs of a process share, one after the other. It is opened for the first that
 * wants it, and so never before a fork: drivers have threads, which a child would be without. */
#ifndef GLE_CLI_ACCELERATOR_H
#define GLE_CLI_ACCELERATOR_H

#include "config/experiment.h"

struct gle_device;

/* Zero-initialise. */
struct gle_accelerator {
    bool chosen;               /* the rest holds, of the experiment that it was opened for last */
    struct gle_device *device; /* NULL: the processors */
    enum gle_backend backend;
    char wanted[256];          /* compute.device; "" for none */
};

/* The device that an experiment runs on; NULL: the processors. `opencl` takes what there is, `auto` a GPU that is
 * named, and else the processors.
 * Owns:   *out is the accelerator's, until it is closed, or opened for an experiment that wants another one.
 * Errors: GLE_EDEVICE, placed in the config: there is no device, or none such. GLE_ENOMEM. */
GLE_MUST_CHECK int gle_accelerator_open(struct gle_device **out, struct gle_accelerator *a,
                                        const struct gle_experiment *exp, struct gle_error *err);
void gle_accelerator_close(struct gle_accelerator *a);

#endif
