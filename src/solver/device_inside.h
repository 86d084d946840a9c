/* device_inside.h - a net on a device, for device.c and device_window.c. */
#ifndef GLE_SOLVER_DEVICE_INSIDE_H
#define GLE_SOLVER_DEVICE_INSIDE_H

#include "backend/device.h"
#include "solver/device_tables.h"
#include "solver/inside.h"

/* In the order of the kernels' arguments, up to the numbers. */
enum buffer {
    PARAMETERS, GRADIENTS, MOMENTS_0, MOMENTS_1, COEFFICIENTS, STATE, DERIVED, TAPE, /* as the net has them */
    INPUTS, TARGETS, OUTPUT_SUM, LOSSES, WILD,                                       /* of the steps that wait */
    POPULATIONS, PROJECTIONS, LISTS, TILES, STEPS, UPDATES, FOLLOWED, SQUARES,
    CLIPPED,
    STEP_BUFFERS,
    ADJOINTS = STEP_BUFFERS + 2, SENT_LAMBDAS, /* what sweeps have beside */
    BUFFERS
};
enum { ARGUMENT_SHAPE = STEP_BUFFERS, ARGUMENT_STEP, ARGUMENT_SWEEP = BUFFERS };

enum newer { SAME, HOST, DEVICE };

struct gle_net_device {
    struct gle_device *device; /* borrowed */
    struct gle_device_kernel *kernels[GLE_DEVICE_LAUNCHES];
    size_t n_kernels; /* those of sweeps come last, if there are any */
    struct gle_device_sizes sizes;
    struct gle_device_tables tables;
    struct gle_buffer *buffers[BUFFERS], *tiles[GLE_DEVICE_LAUNCHES];
    enum newer newer[GLE_PARTS_OF_NET];
    struct gle_error err; /* that was not told yet */

    /* Steps that wait to be handed over (n of most). */
    size_t n, most;
    uint64_t first;       /* number of the first of them, since the net's start */
    float *inputs, *targets;
    struct gle_device_step *steps;
    struct gle_device_update *updates;
    float *losses;        /* (most, max_batch), as they come back */
    gle_u32 *wild;        /* (most, n_populations) */
    gle_u32 *clipped;     /* (most), likewise */
    size_t handed;        /* steps whose losses have not come back */
    double *known;        /* (2 most): losses that came back (n_known), and were not told */
    size_t n_known;
    size_t losses_B;      /* rows of theirs */
};

/* Hands over the steps that wait, and takes what came back of those before them. Returns whether all is well. */
bool gle_device_hand_over(struct gle_net *net);
/* The same, and takes what comes back of them. */
bool gle_device_settle(struct gle_net *net);
/* Brings to the device all parts of a net that are newer on the host. */
bool gle_device_write_parts(struct gle_net *net);
/* Keeps the first error of a device; returns whether there is one. */
bool gle_device_failed(struct gle_net_device *d, int rc, const struct gle_error *err);
/* Move bytes, whose errors are kept; return whether all is well. */
bool gle_device_write(struct gle_net_device *d, enum buffer buffer, size_t offset, const void *from, size_t bytes);
bool gle_device_read(struct gle_net_device *d, enum buffer buffer, size_t offset, void *to, size_t bytes);
bool gle_device_zero(struct gle_net_device *d, enum buffer buffer, size_t offset, size_t bytes);
/* The source for any network; NULL: no memory. Owns: the caller (gle_free). */
char *gle_device_write_source(void);
/* The launches of the optimizer's step number q, where what it follows is clipped. */
bool gle_device_run_clipped(struct gle_net *net, size_t q);
/* Counts those of n steps whose gradient was clipped, once they are over. */
bool gle_device_count_clipped(struct gle_net *net, size_t n);
/* Launches a kernel for step number q of those that were handed over. */
bool gle_device_run(struct gle_net_device *d, enum gle_device_launch which, size_t q);

/* Flags of a step, or sweep, that learns: whether the optimizer steps, and whether gradients wait for it already. */
gle_u32 gle_device_spending(const struct gle_net *net);
/* What parameters have of the optimizer's step, (n_parameters); counts it for those that are held, with `learn`. */
void gle_device_list_updates(struct gle_net *net, struct gle_device_update *updates, bool learn);

#endif
