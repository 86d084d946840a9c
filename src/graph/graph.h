/* graph.h - what is connected to what, and where its arrays lie. Immutable after build; holds shapes and places, never
 * values. */
#ifndef GLE_GRAPH_GRAPH_H
#define GLE_GRAPH_GRAPH_H

#include "config/experiment.h"
#include "graph/field.h"

enum { GLE_SOURCE_INPUT = -1 };

/* A parameter: what a config sets or has learn, a file of weights holds, and a gradient is found of. */
struct gle_parameter {
    struct gle_field field;
    enum gle_param kind;
    bool given;         /* the config has it; a bias that is not given is zero for ever, and in no file */
    bool plastic;       /* it learns, unless it is held */
    const struct gle_bounds *bounds; /* kept after every step of the optimizer; NULL: none */
};

/* What a window of T steps keeps of a population: copy t of a field is for step t, (B, n). Of those marked + copy t is
 * what step t read, and copy t + 1 what it left. */
struct gle_population_tape {
    struct gle_field r;      /* + rates */
    struct gle_field dr;     /* + phi'(prosp_u) */
    struct gle_field s;      /* tau_m u_dot, where tau_m learns */
    struct gle_field lambda; /* the adjoint variable, by the sweep */
    /* Where errors feed back into membranes, here or below: */
    struct gle_field v;       /* + low-pass errors */
    struct gle_field e;       /* errors */
    struct gle_field prosp_u; /* prospective potentials */
    struct gle_field e_above; /* errors that came from above */
};

/* What the sweep itself needs of a population: gradients with respect to variables, (B, n) but for the last. */
struct gle_population_adjoint {
    struct gle_field u;     /* of the membrane potential */
    struct gle_field v;     /* of the low-pass error */
    struct gle_field dr;    /* of phi' */
    struct gle_field r;     /* of the rate, through its readers, which write it; two copies */
    struct gle_field above; /* of the error from above, for those who sent it; two copies */
    struct gle_field e;     /* of the error */
    struct gle_field a;     /* of the prospective potential */
    struct gle_field work;  /* room for one more */
    struct gle_field tau_m; /* of tau_m, through the errors (1, n) */
    struct gle_field part;  /* of a gradient of bias or tau_m (1, n) */
};

/* Neurons: what they have, whoever they are connected to. */
struct gle_population {
    const struct gle_layer_cfg *cfg;
    size_t n, ld;     /* neurons; padded */
    size_t in;        /* the projection through which it reads */
    long out;         /* the one that reads it; GLE_NO_PROJECTION: none, it is the output */
    bool needs_error; /* steps find its errors: it or a population below learns from them, or has them feed back */
    bool swept;       /* a sweep back over a window goes through it: it or one below learns, or is nudged */
    bool nudged;      /* errors feed back into a membrane of it or of one below */
    struct gle_parameter *bias, *tau_m, *tau_r; /* (1, n) each */
    /* Coefficients (1, n), as the kernels want time constants. */
    struct gle_field leak_u; /* dt / tau_m */
    struct gle_field look_u; /* tau_r / tau_m */
    struct gle_field leak_v; /* dt / tau_r */
    struct gle_field look_v; /* tau_m / tau_r */
    struct gle_field mean;   /* 1 / (B tau_m), for the gradient of tau_m */
    /* State (B, n). */
    struct gle_field u;  /* membrane potential */
    struct gle_field v;  /* error, low-pass */
    struct gle_field r;  /* rate; two copies */
    struct gle_field dr; /* phi'(prosp_u) */
    /* Derived (B, n). */
    struct gle_field e;       /* prospective error */
    struct gle_field prosp_u; /* prospective potential */
    struct gle_field s;       /* W r_below + b + gamma e - u = tau_m u_dot */
    struct gle_field e_inst;  /* old phi' times the error from above; of a graph that has options.e_inst */
    struct gle_population_tape tape;
    struct gle_population_adjoint adjoint;
};

enum { GLE_NO_PROJECTION = -1 };

/* What connects a source with a target: weights. */
struct gle_projection {
    long source;        /* a population, or GLE_SOURCE_INPUT */
    size_t target;      /* a population */
    size_t n_in, ld_in; /* width of the source; padded */
    bool sends_error;   /* the source needs errors */
    bool sweeps_below;  /* the source is swept */
    struct gle_parameter *weight; /* W (n, n_in) */
    struct gle_field weight_t;    /* coefficient: W transposed (n_in, n) */
    struct gle_field e_below;     /* state: W^T e (B, n_in), what the source reads; two copies */
    struct gle_field below_bar;   /* tape, by the sweep: gradient with respect to e_below (B, n_in), where nudged */
    struct gle_field part;        /* adjoint: part of a gradient of the weights (n, n_in) */
};

struct gle_graph {
    const struct gle_experiment *exp; /* borrowed */
    struct gle_population *populations; /* in step order */
    struct gle_projection *projections; /* likewise, by target */
    struct gle_parameter *parameters;   /* of all: population by population weight, bias, tau_m, tau_r */
    const struct gle_field **fields;    /* all of them, population by population; tapes and adjoints come last */
    size_t n_populations, n_projections, n_parameters, n_fields;
    size_t n_input, ld_input;
    size_t max_batch;  /* rows */
    size_t tape_steps; /* the longest window; 0: none is ever opened */
    size_t train_rows; /* rows of a learning step, and of a window */
    struct gle_field tape_input, tape_target; /* tapes (B, n_input), (B, n of the last population) */
    bool observed; /* derived variables are kept for each population */
    bool e_inst;   /* instantaneous errors are found, too */
    bool passive;  /* nothing learns, no errors flow */
    size_t floats[GLE_ROLES]; /* sizes of slabs. Of derived variables, if not observed: of the largest population, which
                                 each thread has, or the net has for each population */
    size_t n_params;  /* weights and biases, padding not counted */
    size_t n_plastic; /* numbers that learn, plastic tau_m included */
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

/* Turns a checked experiment into populations and projections in step order, with their fields.
 * Owns:   *out belongs to the caller (gle_graph_destroy); it borrows exp, so destroy it before exp.
 * Errors: GLE_ENOMEM. On error *out is NULL. */
GLE_MUST_CHECK int gle_graph_build(struct gle_graph **out, const struct gle_experiment *exp,
                                   const struct gle_graph_options *options, struct gle_error *err);
void gle_graph_destroy(struct gle_graph *graph); /* NULL is fine */

/* The number of a parameter of a population, by its kind. */
size_t gle_graph_parameter(const struct gle_graph *graph, size_t population, enum gle_param kind);
/* The number of a variable (a state, or derived) of a population, or of what it reads through, by its name; SIZE_MAX:
 * there is none of that name. */
size_t gle_graph_variable(const struct gle_graph *graph, size_t population, const char *name);

/* Floating-point operations (a multiply-add is two) that the products of one step take, per sample: with learning
 * (its share of a sweep included), or without. */
double gle_graph_flops(const struct gle_graph *graph, bool learn);
/* The same of a step that leaves errors out. */
double gle_graph_forward_flops(const struct gle_graph *graph);
/* Bytes of the slabs, with n_moments arrays of optimizer moments. */
double gle_graph_bytes(const struct gle_graph *graph, size_t n_moments);

#endif
