/* device_inside.h - nets on a device, for the files that keep them there. */
#ifndef GLE_SOLVER_DEVICE_INSIDE_H
#define GLE_SOLVER_DEVICE_INSIDE_H

#include "backend/device.h"
#include "solver/device_tables.h"
#include "solver/fleet.h"
#include "solver/inside.h"

#include <pthread.h>

/* In the order of the kernels' arguments, up to the numbers. Each has a stretch for every place of a convoy, but for
 * those of the graph. */
enum buffer {
    PARAMETERS, GRADIENTS, MOMENTS_0, MOMENTS_1, COEFFICIENTS, STATE, DERIVED, TAPE, /* as the net has them */
    INPUTS, TARGETS, OUTPUT_SUM, LOSSES, WILD,                                       /* of the steps that wait */
    POPULATIONS, PROJECTIONS, LISTS, TILES,                                          /* of the graph */
    STEPS, UPDATES,
    FOLLOWED, SQUARES, CLIPPED, /* what the optimizer follows (follow.c); CLIPPED of the steps that wait */
    SLOTS,                      /* lists of places: of the nets that make a step */
    STEP_BUFFERS,
    ADJOINTS = STEP_BUFFERS + 3, SENT_LAMBDAS, /* what sweeps have beside */
    SWEEP_BUFFERS,
    KEPT = SWEEP_BUFFERS + 1, /* parameters; no argument */
    BUFFERS
};
enum { ARGUMENT_SHAPE = STEP_BUFFERS, ARGUMENT_STEP, ARGUMENT_SLOTS, ARGUMENT_SWEEP = SWEEP_BUFFERS };

enum newer {
    SAME,
    HOST,
    ZERO, /* the host has zeros, and it is newer */
    DEVICE
};

/* What a thread waits for. */
enum request {
    NOTHING,
    ROOM,    /* the convoy is allocated */
    STEPS_MADE, /* the steps are handed over; */
    RESULTS, /* and what comes back of them has come */
    SWEEP,   /* back over a window */
    GATHER   /* the gradients that it leads to, and the optimizer's step */
};

struct gle_net_device {
    struct gle_convoy *convoy;
    size_t slot; /* its place there */
    enum newer newer[GLE_PARTS_OF_NET];
    bool keeps; /* the device has the parameters that were kept last */
    struct gle_error err; /* that was not told yet */
    enum request request;

    /* Steps that wait to be handed over (n, at most convoy's shape.turns), and what they read. */
    size_t n, n_inputs, n_targets;
    size_t handed;   /* steps whose losses have not come back, */
    uint64_t first;  /* the number of the first of these since the net's start, */
    size_t losses_B; /* and their rows */
    double *known;   /* (2 GLE_QUEUE_STEPS): losses that came back (n_known), and were not told */
    size_t n_known;

    struct gle_device_sweep sweep; /* that it waits for; over so many rounds */
    size_t rounds;
};

/* Lists of places lie side by side on the device: of nets that make a step, of those that learn in it, and of those
 * whose optimizer steps. */
enum list { STEPPING, LEARNING, SPENDING, LISTS_OF_PLACES };

/* Nets whose graphs are the same to a device, and whose arrays lie there one behind the other. */
struct gle_convoy {
    struct gle_fleet *fleet;
    struct gle_convoy *next;
    struct gle_net **nets; /* (n): who has which place; NULL: free */
    size_t n;
    bool has_room; /* the buffers are there; n stays as it is */
    struct gle_device_kernel *kernels[GLE_DEVICE_LAUNCHES];
    size_t n_kernels; /* those of sweeps come last, if there are any */
    struct gle_device_sizes sizes;
    struct gle_device_tables tables; /* cut for tables.shape.B rows */
    bool tiles_are_there;            /* for as many rows */
    struct gle_buffer *buffers[BUFFERS], *tiles[GLE_DEVICE_LAUNCHES];

    /* What goes to the device with steps, and comes back. Turns and steps_apart: of the shape. */
    float *inputs, *targets; /* (n, turns, slab_input), (n, turns, slab_target) */
    struct gle_device_step *steps;     /* (n, steps_apart) */
    struct gle_device_update *updates; /* (n, turns, n_parameters) */
    float *losses;                     /* (n, turns, max_batch) */
    gle_u32 *wild;                     /* (n, turns, n_populations) */
    gle_u32 *clipped;                  /* (n, turns) */
    float *sums;                       /* (n, slab_sum) */
    gle_u32 *slots;         /* (LISTS_OF_PLACES, n): lists of places, */
    size_t listed[LISTS_OF_PLACES]; /* whose first ones are on the device */
    struct gle_net **served; /* (2 n): room for those who serve */
};

struct gle_fleet {
    struct gle_device *device;
    size_t n_opened_for; /* threads; never changed */
    pthread_mutex_t lock;
    pthread_cond_t over; /* a round is */
    size_t n_threads, n_waiting;
    uint64_t round;
    struct gle_convoy *convoys;
};

static inline struct gle_fleet *gle_fleet_of(const struct gle_net *net)
{
    return net->device->convoy->fleet;
}

/* Has the device to itself, between the two. */
void gle_fleet_lock(struct gle_fleet *fleet);
void gle_fleet_unlock(struct gle_fleet *fleet);

/* Waits until what the net wants has been served. Returns whether all is well with the net. */
bool gle_fleet_meet(struct gle_net *net, enum request what);

/* Puts a net into a convoy. Errors: as gle_net_move(). */
GLE_MUST_CHECK int gle_convoy_join(struct gle_fleet *fleet, struct gle_net *net, struct gle_error *err);
void gle_convoy_leave(struct gle_net *net);
void gle_convoy_destroy(struct gle_convoy *convoy);
/* Compiles the kernels for it, or takes them out of the cache. Errors: GLE_EDEVICE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_convoy_compile(struct gle_convoy *convoy, const struct gle_net *net, struct gle_error *err);
/* The buffers, for as many nets as have joined. Errors: likewise. */
GLE_MUST_CHECK int gle_convoy_make_room(struct gle_convoy *convoy, struct gle_error *err);
/* Tiles for as many rows as a net of it has. Errors: likewise. */
GLE_MUST_CHECK int gle_convoy_cut(struct gle_convoy *convoy, const struct gle_net *net, struct gle_error *err);
/* Does all that nets of it wait for. */
void gle_convoy_serve(struct gle_convoy *convoy);
/* Brings all parts of a net that are newer on the host to the device. Errors: GLE_EDEVICE. */
GLE_MUST_CHECK int gle_convoy_write_parts(struct gle_net *net, struct gle_error *err);

/* An array of the net, and where its twin is. */
struct gle_twin {
    enum buffer buffer;
    float *host;
    size_t n;
};
/* Those of a part; returns their number. */
size_t gle_device_twins(const struct gle_net *net, enum gle_part_of_net part, struct gle_twin twins[2]);

/* Keeps the first error of a net's device; returns whether there is one. */
bool gle_device_failed(struct gle_net_device *d, int rc, const struct gle_error *err);

/* Tiles that suit a device; launches that a net of this graph has, in their order: those of clipping are counted, and
 * only made where gradients are clipped. */
struct gle_device_sizes gle_device_sizes_for(const struct gle_device_info *info);
size_t gle_device_launches(const struct gle_graph *graph);
static inline bool gle_device_clips(enum gle_device_launch launch)
{
    return launch >= GLE_LAUNCH_SQUARE && launch <= GLE_LAUNCH_FOLLOW;
}
static inline bool gle_device_has_launch(const struct gle_device_tables *tables, enum gle_device_launch launch)
{
    return tables->shape.clip > 0.0f || !gle_device_clips(launch);
}
/* Sets how many steps may wait, of each of n networks. */
void gle_device_set_turns(struct gle_device_shape *shape, const struct gle_graph *graph, size_t n);
/* The bytes of the buffers of one network, or of what networks share; 0 where an argument is none, or is made elsewhere
 * (TILES). */
void gle_device_count_bytes(size_t bytes[BUFFERS], const struct gle_device_tables *tables);
bool gle_device_is_shared(enum buffer buffer);

/* Flags of a step, or sweep, that learns: whether the optimizer steps, and whether gradients wait for it already. */
gle_u32 gle_device_spending(const struct gle_net *net);
/* What parameters have of the optimizer's step, (n_parameters); counts it for those that are held, with `learn`. */
void gle_device_list_updates(struct gle_net *net, struct gle_device_update *updates, bool learn);

#endif
