/* accelerator.h - the device that the runs of a process share, one after the other. It is opened for the first that
 * wants it, and so never before a fork: drivers have threads, which a child would be without. */
#ifndef GLE_CLI_ACCELERATOR_H
#define GLE_CLI_ACCELERATOR_H

#include "config/experiment.h"

struct gle_device;

/* Zero-initialise. */
struct gle_accelerator {
    struct gle_device *device; /* NULL: none is open */
    enum gle_backend backend;  /* that it was opened for */
    char wanted[256];          /* as gle_device_open() has it; "" for any */
    char why[256];             /* after the last call: why the GPU that `auto` has looked at cannot be used; "": it can,
                                  or there is none */
};

/* What `auto` may take beside a GPU that is named. */
struct gle_auto {
    bool looks;         /* any GPU; the caller then finds out whether it is faster */
    bool resumes;       /* what a run has had so far, and nothing else: */
    const char *former; /* the name of its GPU, as gle_provenance_device_name() gives it; "": the processors */
};

/* The device that an experiment may run on; NULL: the processors. `opencl` takes what there is.
 * Owns:   *out is the accelerator's, until it is closed, or opened for an experiment that wants another one.
 * Errors: GLE_EDEVICE, placed in the config: there is no device, or none such. GLE_ENOMEM. */
GLE_MUST_CHECK int gle_accelerator_open(struct gle_device **out, struct gle_accelerator *a,
                                        const struct gle_experiment *exp, const struct gle_auto *may,
                                        struct gle_error *err);
void gle_accelerator_close(struct gle_accelerator *a);

#endif
