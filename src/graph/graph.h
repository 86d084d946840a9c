/* graph.h - what is connected to what. Immutable after build; holds shapes and offsets, never activations. */
#ifndef GLE_GRAPH_GRAPH_H
#define GLE_GRAPH_GRAPH_H

#include "config/experiment.h"

/* Variables of a layer. U ... E_BELOW are the state that runs on from step to step; the rest is derived in a step, and
 * kept for each layer only when somebody wants to see it. */
enum gle_var {
    GLE_VAR_U,       /* membrane potential (B, n) */
    GLE_VAR_V,       /* error, low-pass (B, n) */
    GLE_VAR_R,       /* rate (B, n), kept for the last step and the one before */
    GLE_VAR_DR,      /* phi'(prosp_u) (B, n) */
    GLE_VAR_E_BELOW, /* W^T e (B, n_in), kept likewise */
    GLE_VAR_E,       /* prospective error (B, n) */
    GLE_VAR_PROSP_U, /* prospective potential (B, n) */
    GLE_VAR_S,       /* W r_below + b + gamma e - u (B, n) = tau_m u_dot */
    GLE_VAR_E_INST,  /* old phi' times the error from above (B, n): only of a graph that has options.e_inst */
    GLE_VARS,
    GLE_STATE_VARS = GLE_VAR_E, /* the first derived one */
};

/* Time constants of a layer as the kernels want them, (n) each. */
enum gle_coef {
    GLE_COEF_LEAK_U, /* dt / tau_m */
    GLE_COEF_LOOK_U, /* tau_r / tau_m */
    GLE_COEF_LEAK_V, /* dt / tau_r */
    GLE_COEF_LOOK_V, /* tau_m / tau_r */
    GLE_COEF_MEAN,   /* 1 / (B tau_m), for the gradient of tau_m */
    GLE_COEFS
};

enum { GLE_SOURCE_INPUT = -1 };

/* What a window of T steps keeps of a layer, one entry of (B, ld) after the other, so that a sweep back over the window
 * can find exact gradients. Those marked + have T + 1 entries: entry t is what step t read, entry t + 1 what it
 * left. */
enum gle_tape {
    GLE_TAPE_R,       /* + rates */
    GLE_TAPE_DR,      /* + phi'(prosp_u) */
    GLE_TAPE_S,       /* tau_m u_dot, where tau_m learns */
    GLE_TAPE_LAMBDA,  /* the adjoint variable, by the sweep */
    /* Where errors feed back into membranes, here or below: */
    GLE_TAPE_V,         /* + low-pass errors */
    GLE_TAPE_E,         /* errors */
    GLE_TAPE_PROSP_U,   /* prospective potentials */
    GLE_TAPE_E_ABOVE,   /* errors that came from above */
    GLE_TAPE_BELOW_BAR, /* by the sweep: gradient with respect to the errors sent below (B, ld_in) */
    GLE_TAPES
};

/* What the sweep itself needs of a layer: adjoints (gradients with respect to variables), (B, ld) but for the last
 * two. */
enum gle_adjoint {
    GLE_ADJOINT_U,     /* of the membrane potential */
    GLE_ADJOINT_V,     /* of the low-pass error */
    GLE_ADJOINT_DR,    /* of phi' */
    GLE_ADJOINT_R,     /* of the rate, through the layer above, which writes it; two copies */
    GLE_ADJOINT_ABOVE, /* of the error from above, for the layer above; two copies */
    GLE_ADJOINT_E,     /* of the error */
    GLE_ADJOINT_A,     /* of the prospective potential */
    GLE_ADJOINT_WORK,  /* room for one more */
    GLE_ADJOINT_TAU,   /* of tau_m, through the errors (ld) */
    GLE_ADJOINT_GRAD,  /* part of a gradient (n, ld_in), or (ld) */
    GLE_ADJOINTS
};

/* Offsets count floats; every array starts on a 64-byte boundary of its slab and has rows ld (ld_in) floats apart. */
struct gle_graph_layer {
    const struct gle_layer_cfg *cfg;
    long source;           /* the layer it reads: a layer number, or GLE_SOURCE_INPUT */
    size_t n_in, n;        /* inputs, neurons */
    size_t ld_in, ld;      /* padded */
    bool needs_error;      /* steps compute its errors: it or a layer below learns from them, or has them feed back */
    bool sends_error;      /* the layer below needs errors */
    bool swept;            /* a sweep back over a window goes through it: it or a layer below learns, or is nudged */
    bool sweeps_below;     /* the layer below is swept */
    bool nudged;           /* errors feed back into a membrane of it or of a layer below */
    size_t param[GLE_PARAMS]; /* in the slabs of parameters, gradients, moments: W (n, ld_in), b (ld), tau_m (ld) */
    size_t var[GLE_VARS][2];  /* in the state slab, for max_batch rows; [1] differs where two copies are kept.
                                 Derived ones, if not observed, lie in a scratch of each thread, or of the net */
    size_t tape[GLE_TAPES];   /* in the tape slab, for tape_steps steps of train_rows rows; where used */
    size_t adjoint[GLE_ADJOINTS][2];  /* in the slab of adjoints, likewise; [1] differs where two copies are kept */
    size_t wt;                /* W transposed (n_in, ld), in the coefficient slab */
    size_t coef;              /* there too: GLE_COEFS rows of ld */
};

struct gle_graph {
    const struct gle_experiment *exp; /* borrowed */
    struct gle_graph_layer *layers;
    size_t n_layers;
    size_t n_input, ld_input;
    size_t max_batch;  /* rows */
    size_t tape_steps; /* the longest window; 0: none is ever opened */
    size_t train_rows; /* rows of a learning step, and of a window */
    size_t tape_input, tape_target_error; /* in the tape slab: inputs (T, B, ld_input), target errors (T, B, ld) */
    bool observed; /* derived variables are kept for each layer */
    bool e_inst;   /* GLE_VAR_E_INST is found, too */
    bool passive;  /* nothing learns, no errors flow */
    size_t param_floats, state_floats, coef_floats, scratch_floats, tape_floats, adjoint_floats; /* slab sizes */
    size_t n_params;  /* weights and biases, padding not counted */
    size_t n_plastic; /* parameters that learn, plastic tau_m included */
};

/* What a network is built for. */
struct gle_graph_options {
    size_t batch;      /* rows that a step may have; 0: the larger of the experiment's batch sizes */
    size_t train_rows; /* rows that a learning step may have; 0: the experiment's batch size */
    size_t tape_steps; /* the longest window that will be opened; 0: none */
    bool observed;     /* phi', e, prosp_u and s of every layer can be looked at after any step */
    bool errors;       /* errors can be looked at under a windowed rule, too, whose steps may do without */
    bool e_inst;       /* observed: instantaneous errors can be looked at, too */
    bool passive;      /* a teacher: nothing learns, no errors flow */
};

/* Turns a checked experiment into layers in step order, with slab offsets.
 * Owns:   *out belongs to the caller (gle_graph_destroy); it borrows exp, so destroy it before exp.
 * Errors: GLE_ENOMEM. On error *out is NULL. */
GLE_MUST_CHECK int gle_graph_build(struct gle_graph **out, const struct gle_experiment *exp,
                                   const struct gle_graph_options *options, struct gle_error *err);
void gle_graph_destroy(struct gle_graph *graph); /* NULL is fine */

/* Floating-point operations (a multiply-add is two) that the products of one step take, per sample: with learning
 * (its share of a sweep included), or without. */
double gle_graph_flops(const struct gle_graph *graph, bool learn);
/* The same of a step that leaves errors out. */
double gle_graph_forward_flops(const struct gle_graph *graph);
/* Bytes of the slabs, with n_moments arrays of optimizer moments. */
double gle_graph_bytes(const struct gle_graph *graph, size_t n_moments);

#endif
