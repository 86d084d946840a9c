/* device_tables.h - what kernels on a device are told of a network: its graph as numbers, and what a step is to do.
 * Read by C and by OpenCL C alike, so it has 32-bit and 64-bit members of the same layout in both: pointers are numbers
 * of floats from the start of a slab, in the order of enum gle_role. */
#ifndef GLE_KERNEL_DEVICE_TABLES_H
#define GLE_KERNEL_DEVICE_TABLES_H

#ifdef __OPENCL_C_VERSION__
typedef uint gle_u32;
typedef ulong gle_u64;
#else
#include <stdint.h>
typedef uint32_t gle_u32;
typedef uint64_t gle_u64;
#endif

#define GLE_NOWHERE 0xffffffffu

/* A field (graph/field.h). Of a tape, stride is the width of a row, to be multiplied by the rows of the batch. */
struct gle_device_field {
    gle_u32 place;  /* of the first copy; GLE_NOWHERE: the network has no such array */
    gle_u32 stride; /* from a copy to the next */
    gle_u32 copies;
};

struct gle_device_parameter {
    struct gle_device_field field;
    gle_u32 rows, cols, ld;
    gle_u32 number;   /* in the graph */
    float low, high;  /* bounds */
};

/* Noise of a kind; scale nowhere: there is none. */
struct gle_device_noise {
    struct gle_device_field scale, state; /* state nowhere: white */
    gle_u32 when;    /* GLE_DEVICE_IN_TRAINING, GLE_DEVICE_IN_TESTS */
    gle_u32 field;   /* of draws */
    float keep, add; /* of a step */
};

struct gle_device_population {
    gle_u32 n, ld;
    gle_u32 first_in, n_in, first_out, n_out; /* out: a stretch of the list of readers; */
    gle_u32 n_back;   /* with what gives it errors directly, which comes behind them */
    gle_u32 is_output, needs_error;
    gle_u32 act;      /* number of the row */
    gle_u32 normalised; /* over the layer, once all are known */
    float act_numbers[4]; /* of its settings */
    gle_u32 channels, grid; /* neurons of a channel, one after the other; grid 1: each neuron is one */
    gle_u32 gridded;  /* tiles are of (channels; rows and places), else of (rows; neurons) */
    gle_u32 past, depth, swept, coupled;
    float gamma;
    struct gle_device_parameter bias, tau_m, tau_r;
    struct gle_device_field factors[4];       /* of tau_m, tau_r, and of those that errors use; nowhere: 1 */
    struct gle_device_noise noise[3];         /* in the order of enum gle_noise */
    struct gle_device_field draws;            /* where it has any */
    float quantize_up, quantize_down, levels; /* of the weights that it reads */
    struct gle_device_field leak_u, look_u, leak_v, look_v, mean, b;
    struct gle_device_field rate_u, slope_u, rate_v, slope_v; /* the leaks, unless integration is exponential */
    struct gle_device_field u, v, r, dr;
    struct gle_device_field e, prosp_u, s, e_above, e_inst;
    struct gle_device_field bias_trace, bias_eps, tau_m_trace, tau_m_eps, tau_r_eps; /* nowhere: not of this rule */
    struct gle_device_field tape_r, tape_dr, tape_s, tape_lambda, tape_v, tape_e, tape_prosp_u, tape_e_above;
    struct gle_device_field tape_above_bar, tape_prosp_u_bar;
    struct gle_device_field adjoint_u, adjoint_v, adjoint_dr, adjoint_e, adjoint_a;
    struct gle_device_field adjoint_to_tau_m, adjoint_to_tau_r;
};

enum gle_device_link { GLE_DEVICE_DENSE, GLE_DEVICE_CONV, GLE_DEVICE_SPARSE, GLE_DEVICE_ONE_TO_ONE };
enum gle_device_pool { GLE_DEVICE_UNPOOLED, GLE_DEVICE_POOL_MEAN, GLE_DEVICE_POOL_MAX };

struct gle_device_projection {
    gle_u32 source;  /* a population; GLE_NOWHERE: the input */
    gle_u32 target;
    gle_u32 delay;
    gle_u32 n_in, ld_in, n_pool;
    gle_u32 link, pooling;
    gle_u32 sends_error, couples_below;
    gle_u32 direct;  /* errors of `target` that come to `source` directly, B e, and nothing goes the other way */
    gle_u32 own_feedback, feedback_follows; /* B, like W: errors go back through it; it moves along with W */
    float feedback_keep;                    /* then: what both keep of themselves in a step of the optimizer */
    gle_u32 feedback_number;                /* the parameter B, of which an update says whether it moves now */
    gle_u32 sent; /* where lambda sent to its source lies, (rows, n_in), by the sweep */
    gle_u32 aligns;      /* B aligns itself: as struct gle_alignment has it, */
    float xi_keep, xi_add, low_leak, align_rate, align_decay;
    gle_u32 draws;       /* by draws of this field */
    struct gle_device_field xi, low, hp;
    struct gle_device_parameter weight, feedback;
    struct gle_device_field read, feedback_read; /* coefficients: what steps read of them; nowhere: themselves */
    struct gle_device_field e_below;
    /* Eligibilities of so many groups, made of so many traces; no groups: there are none. In the list of numbers: the
     * groups, each with its leader, trace and `last`; the group of each neuron; and, of matrices, the lowest and the
     * highest group of each row. */
    gle_u32 n_groups, n_traces, ld_pool, groups, group_of, spans;
    struct gle_device_field trace, eligibility;
    /* Grids, as kernel/conv.h has them. pooled: the source's as the link reads it. */
    gle_u32 channels, pooled[2], out_channels, out[2], kernel_size[2], step[2], padding[2];
    gle_u32 size[2], window[2];
    /* Synapses, in the list of numbers: starts (n + 1), columns and rows; by source starts (n_pool + 1), synapses and
     * their neurons of the target. */
    gle_u32 starts, columns, rows, back_starts, back_synapses, back_rows;
};

/* A piece of work of one group. */
enum gle_device_task {
    GLE_TASK_STEP,      /* a tile of a population */
    GLE_TASK_TRACE,     /* a tile of the rates that a projection reads: eligibilities */
    GLE_TASK_ROWS,      /* rows of the batch: losses, sums of outputs, inputs to keep */
    GLE_TASK_BACK,      /* a tile of the errors that a projection sends back */
    GLE_TASK_NORMALISE, /* rows of an output that are normalised over the layer */
    GLE_TASK_WEIGHT,    /* a tile of a projection's weights */
    GLE_TASK_BIAS,      /* a stretch of the biases of a population */
    GLE_TASK_TAU,       /* a stretch of its time constants */
    GLE_TASK_ALIGN,     /* a tile of a projection's weights B, which align themselves */
};

struct gle_device_tile {
    gle_u32 task, which, first, across; /* which: population or projection; its first row and column */
};

/* Of the network as a whole. */
struct gle_device_shape {
    gle_u32 n_populations, output, n_parameters;
    gle_u32 n_input, ld_input, n_top, ld_top;
    gle_u32 B, max_batch;
    gle_u32 input_past, observed;
    gle_u32 sums_squares; /* outputs are not summed, but squares of how far they are from targets */
    gle_u32 weighted;     /* targets have weights, of all rows of the batch behind them */
    struct gle_device_field input, tape_input, tape_target, tape_weight;
    gle_u32 ld_weight;    /* from one row to the next of those that are kept */
    gle_u32 slab_params, slab_coefs, slab_state, slab_derived, slab_tape; /* floats of one network's */
    gle_u32 slab_input, slab_target;  /* of one step's input and target of one network, with weights */
    gle_u32 slab_sum;                 /* of its summed outputs */
    gle_u32 turns;                    /* steps that there is room for, of one network */
    gle_u32 steps_apart;              /* from what one network does in its first step, to the next network's */
    float dt, tau_least;  /* the shortest time constant */
    float loss_parameter; /* the number among the settings of the loss */
    gle_u32 prospective;  /* errors look ahead */
    gle_u32 exponential;  /* integration */
    gle_u32 optimizer;    /* number of the row */
    gle_u32 follows;      /* it follows what is gathered of gradients, not those of one step */
    float share;          /* of the gradient of one step in their mean */
    float clip;           /* the largest norm of it; 0: any */
    gle_u32 n_squares;    /* sums of squares, of the items of all tiles that learn */
};

/* Places in the lists of noise and of factors of a population. */
enum { GLE_DEVICE_NOISE_INPUT, GLE_DEVICE_NOISE_MEMBRANE, GLE_DEVICE_NOISE_RATE };
enum { GLE_DEVICE_TAU_M, GLE_DEVICE_TAU_R, GLE_DEVICE_ERROR_TAU_M, GLE_DEVICE_ERROR_TAU_R };
enum { GLE_DEVICE_IN_TRAINING = 1, GLE_DEVICE_IN_TESTS = 2 };

struct gle_device_update {
    float c[8];      /* as struct gle_optimizer_step */
    gle_u32 learns;
};

enum {
    GLE_DEVICE_LEARN = 1,
    GLE_DEVICE_ERRORS = 2,  /* errors are computed */
    GLE_DEVICE_UNASKED = 4,
    GLE_DEVICE_TAPING = 8,
    GLE_DEVICE_TRAINING = 16, /* of a network in training, whether it learns or not */
    GLE_DEVICE_SPEND = 32,    /* the optimizer steps */
    GLE_DEVICE_FIRST = 64,    /* no gradients of steps before it wait for that */
};

/* What a network does in a step. */
struct gle_device_step {
    gle_u64 steps;   /* before it, since the start */
    gle_u64 seed;    /* of draws */
    gle_u32 flags, taped;
    gle_u32 input, target; /* which of those that the network was given */
    float beta, unused;
};

/* A round of a sweep back over a window. */
struct gle_device_sweep {
    gle_u32 taped, round, continuous;
    gle_u32 slab_adjoint, slab_sent; /* floats of one network's */
    float alpha;                     /* of gradients */
    float beta;
};

#endif
