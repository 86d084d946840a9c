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

/* Offsets count floats; every array starts on a 64-byte boundary of its slab and has rows ld (ld_in) floats apart. */
struct gle_graph_layer {
    const struct gle_layer_cfg *cfg;
    long source;           /* the layer it reads: a layer number, or GLE_SOURCE_INPUT */
    size_t n_in, n;        /* inputs, neurons */
    size_t ld_in, ld;      /* padded */
    bool needs_error;      /* it or a layer below learns, or errors feed back into a membrane */
    bool sends_error;      /* the layer below needs errors */
    size_t param[GLE_PARAMS]; /* in the slabs of parameters, gradients, moments: W (n, ld_in), b (ld), tau_m (ld) */
    size_t var[GLE_VARS][2];  /* in the state slab, for max_batch rows; [1] differs where two copies are kept.
                                 Derived ones, if not observed, lie in a scratch of each thread */
    size_t wt;                /* W transposed (n_in, ld), in the coefficient slab */
    size_t coef;              /* there too: GLE_COEFS rows of ld */
};

struct gle_graph {
    const struct gle_experiment *exp; /* borrowed */
    struct gle_graph_layer *layers;
    size_t n_layers;
    size_t n_input, ld_input;
    size_t max_batch;
    bool observed; /* derived variables are kept for each layer */
    size_t param_floats, state_floats, coef_floats, scratch_floats; /* slab sizes */
    size_t n_params;  /* weights and biases, padding not counted */
    size_t n_plastic; /* parameters that learn, plastic tau_m included */
};

/* Turns a checked experiment into layers in step order, with slab offsets. observed: e, prosp_u and s of every layer
 * can be looked at after a step.
 * Owns:   *out belongs to the caller (gle_graph_destroy); it borrows exp, so destroy it before exp.
 * Errors: GLE_ENOMEM. On error *out is NULL. */
GLE_MUST_CHECK int gle_graph_build(struct gle_graph **out, const struct gle_experiment *exp, bool observed,
                                   struct gle_error *err);
void gle_graph_destroy(struct gle_graph *graph); /* NULL is fine */

/* Floating-point operations (a multiply-add is two) that the products of one step take, per sample: with learning or
 * without. */
double gle_graph_flops(const struct gle_graph *graph, bool learn);
/* Bytes of the slabs, with n_moments arrays of optimizer moments. */
double gle_graph_bytes(const struct gle_graph *graph, size_t n_moments);

#endif
