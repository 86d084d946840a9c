/* graph.h - what is connected to what, and where its arrays lie. Immutable after build; holds shapes and places, never
 * values. */
#ifndef GLE_GRAPH_GRAPH_H
#define GLE_GRAPH_GRAPH_H

#include "config/experiment.h"
#include "graph/field.h"
#include "graph/groups.h"
#include "parts/feedback.h"
#include "parts/link.h"

/* A parameter: what a config sets or has learn, a file of weights holds, and a gradient is found of. */
struct gle_parameter {
    struct gle_field field;
    enum gle_param kind;
    bool given;         /* the config has it; a bias that is not given is zero for ever, and in no file */
    bool plastic;       /* it learns, unless it is held */
    size_t parts, part; /* it can be cut into so many parts, that many floats of memory from one to the next: its rows,
                           or the numbers of a list */
    const struct gle_bounds *bounds; /* kept after every step of the optimizer; NULL: none */
    size_t shape[4], n_shape;        /* in files: the numbers of the field in the same order */
};

/* What a window of T steps keeps of a population: copy t of a field is for step t, (B, n). Of those marked + copy t is
 * what step t read, and copy t + 1 what it left. */
struct gle_population_tape {
    struct gle_field r;      /* rates, `past` copies more: step t left copy t + past, and reads copy t + past - delay */
    struct gle_field dr;     /* + phi'(prosp_u) */
    struct gle_field s;      /* tau_m u_dot, where a time constant learns */
    struct gle_field lambda; /* the adjoint variable, by the sweep */
    struct gle_field prosp_u_bar; /* by the sweep, where tau_r learns, or tau_m and integration is exponential: gradient
                                     with respect to prosp_u */
    /* Where errors feed back into membranes, here or in what errors go on to: */
    struct gle_field v;         /* + low-pass errors */
    struct gle_field e;         /* errors */
    struct gle_field prosp_u;   /* prospective potentials */
    struct gle_field e_above;   /* errors that came from above */
    struct gle_field above_bar; /* + by the sweep: gradient with respect to e_above; copy T is zero */
};

/* What the sweep itself needs of a population: gradients with respect to variables, (B, n) but for those of
 * parameters. */
struct gle_population_adjoint {
    struct gle_field u;     /* of the membrane potential */
    struct gle_field v;     /* of the low-pass error */
    struct gle_field dr;    /* of phi' */
    struct gle_field r;     /* of the rate, through its readers */
    struct gle_field e;     /* of the error */
    struct gle_field a;     /* of the prospective potential */
    struct gle_field work;  /* room for one more */
    struct gle_field old_v; /* v before a round, where errors lead to tau_r */
    struct gle_field tau_m; /* of tau_m, through the errors (1, n) */
    struct gle_field tau_r; /* likewise, where it learns (1, n) */
    struct gle_field part;  /* of a gradient of tau_m or tau_r and, as its second copy, of the bias (1, n) */
};

/* Noise of a kind, where the layer has it. */
struct gle_population_noise {
    const struct gle_noise_cfg *cfg; /* NULL: there is none */
    struct gle_field scale; /* coefficient (1, n): what a normal number is multiplied by before it is added */
    struct gle_field state; /* state (B, n): an Ornstein-Uhlenbeck process of variance 1; not of white noise */
};

/* Eligibilities of what neurons have by themselves (rules that are eligible; see groups.h): traces, and what the last
 * step made of them beside what the next one makes. Of weights, projections have them. */
struct gle_population_traces {
    struct gle_field bias, bias_eps;   /* of a rate of 1, where the bias learns */
    struct gle_field tau_m, tau_m_eps; /* of what a change of tau_m makes of u, where it learns */
    struct gle_field tau_r_eps;        /* u_dot, where tau_r learns */
};

/* Neurons: what they have, whoever they are connected to. */
struct gle_population {
    const struct gle_layer_cfg *cfg;
    size_t n, ld;        /* neurons; padded */
    size_t first, n_in;  /* the projections through which it reads: first ... first + n_in - 1, in the config's order */
    const size_t *out;   /* those that read it, (n_out), in their own order */
    size_t n_out;
    bool is_output;
    size_t past;      /* its longest delay to a reader, in steps; at least 1 */
    size_t depth;     /* steps of the longest way to the output; of use where there are no loops */
    bool needs_error; /* steps find its errors: something learns from them, or they feed back into membranes, here or
                         further along their way */
    bool swept;       /* a sweep back over a window goes through it: it or what it reads learns, or is coupled */
    bool coupled;      /* errors feed back into a membrane of it, or of one that its errors go on to */
    struct gle_parameter *bias;          /* (1, n), or (1, channels) where they share it */
    struct gle_parameter *tau_m, *tau_r; /* (1, n) each */
    struct gle_parameter *factors[GLE_MISMATCHES]; /* (1, n): what time constants are multiplied by where they are used;
                                                      NULL: by 1 */
    /* Coefficients (1, n), as the kernels want them. */
    struct gle_field leak_u; /* dt / tau_m, or 1 - exp(-dt / tau_m) */
    struct gle_field look_u; /* tau_r / tau_m */
    struct gle_field leak_v; /* dt / tau_r, or 1 - exp(-dt / tau_r) */
    struct gle_field look_v; /* tau_m / tau_r */
    /* The same where integration is exponential, so that leaks are 1 - exp(-dt / tau); else there are none. */
    struct gle_field rate_u;  /* dt / tau_m */
    struct gle_field slope_u; /* (dt / tau_m) exp(-dt / tau_m) = -tau_m times the slope of leak_u over tau_m */
    struct gle_field rate_v;  /* dt / tau_r */
    struct gle_field slope_v; /* (dt / tau_r) exp(-dt / tau_r) */
    struct gle_field mean;   /* 1 / (B tau_m), for the gradients of tau_m and tau_r */
    struct gle_field b;      /* the bias of each neuron, where channels share it */
    /* State (B, n). */
    struct gle_field u;  /* membrane potential */
    struct gle_field v;  /* error, low-pass */
    struct gle_field r;  /* rate; a copy for each step of `past`, and the new one */
    struct gle_field dr; /* phi'(prosp_u) */
    /* Derived (B, n). */
    struct gle_field e;       /* prospective error */
    struct gle_field prosp_u; /* prospective potential */
    struct gle_field s;       /* sum of W r_below + b + gamma e - u = tau_m u_dot */
    struct gle_field e_above; /* the sum of what came from above, where several send it */
    struct gle_field e_inst;  /* old phi' times e_above; where options.e_inst asks for it, or tau_r learns */
    struct gle_population_noise noise[GLE_NOISES];
    struct gle_field draws;   /* derived (B, n): normal numbers, where there is noise */
    struct gle_groups groups; /* where eligibilities of weights are wanted; else there are none */
    struct gle_population_traces traces; /* states (B, n) */
    struct gle_population_tape tape;
    struct gle_population_adjoint adjoint;
};

/* What connects a source with a target: weights. */
struct gle_projection {
    const struct gle_source_cfg *cfg;
    long source;            /* a population, or GLE_SOURCE_INPUT */
    size_t target;          /* a population */
    size_t delay;           /* steps from the one that leaves a rate to the one that reads it; of the input 0 or more */
    size_t n_in, ld_in;     /* width of the source; padded */
    size_t n_pool, ld_pool; /* of its rates as the link reads them: pooled */
    struct gle_link_plan plan;
    bool sends_error;  /* the source needs the errors that it sends back */
    bool couples_below; /* and those go on to a membrane */
    bool sweeps_below; /* the source is swept */
    struct gle_parameter *weight;   /* W (plan.rows, plan.cols) */
    struct gle_parameter *feedback; /* B, like W: errors go back through it; NULL: through W itself, or not at all */
    enum gle_feedback_way feedback_way; /* how B moves */
    struct gle_field aid;          /* coefficient: what the link wants beside W; of a dense one W transposed */
    struct gle_field feedback_aid; /* likewise of B, where a sweep goes through it */
    struct gle_field read;          /* coefficient: W as steps read it, where it is quantized; like W */
    struct gle_field feedback_read; /* likewise of B */
    /* Where B aligns itself: */
    struct gle_field xi;           /* state (B, n_in): noise that is added to the source's s; a copy for each step of
                                      the delay, and the new one */
    struct gle_field low;          /* state: low-pass rates of the target (B, n), */
    struct gle_field hp;           /* and, derived, what its rates had beyond them */
    struct gle_field pooled_xi;    /* derived (B, n_pool): xi as the link read it */
    struct gle_field e_below;      /* state: W^T e (B, n_in), what the source reads; two copies */
    struct gle_field pooled;       /* derived: pooled rates (B, n_pool), */
    struct gle_field pooled_e;     /* and W^T e before it is spread over the source */
    /* Where errors meet eligibilities (groups.h): n_pool numbers, and padding, for each trace or group of the target,
     * side by side in a row. */
    struct gle_field trace;        /* state (B, traces ld_pool): what membranes have kept of the rates that were read */
    struct gle_field eligibility;  /* state (B, groups ld_pool): what the next step's errors meet; two copies */
    struct gle_field tape_pooled;     /* tape, by the sweep: pooled rates that W met (B, n_pool), */
    struct gle_field tape_pooled_bar; /* and, where couples_below, above_bar of the source for its pooled neurons */
    struct gle_field bar;          /* adjoint: lambda sent back to pooled neurons (B, n_pool) */
    struct gle_field part;         /* adjoint: part of a gradient of the weights, like W */
};

/* Errors that a population gets straight from another one: B e. */
struct gle_direct {
    const struct gle_errors_cfg *cfg;
    size_t from, to;              /* populations: whose errors, and who gets them */
    bool sends;                   /* the latter needs them */
    struct gle_link_plan plan;    /* dense */
    struct gle_parameter *weight; /* B (n of to, n of from) */
    struct gle_field read;        /* coefficient: B as steps read it, where weights are quantized */
    struct gle_field aid;         /* coefficient: what the link wants beside B */
    struct gle_field sent;        /* state (B, n of to): what it reads in the next step; two copies */
};

struct gle_graph {
    const struct gle_experiment *exp; /* borrowed */
    struct gle_population *populations; /* in the config's order */
    struct gle_projection *projections; /* likewise, by target */
    struct gle_direct *directs;         /* likewise, by the one that gets errors */
    struct gle_parameter *parameters;   /* of all: population by population weights, bias, tau_m, tau_r, factors; then
                                           those of directs */
    const struct gle_field **fields;    /* all of them, population by population; tapes and adjoints come last */
    size_t *readers;                    /* populations' lists of who reads them */
    size_t n_populations, n_projections, n_directs, n_parameters, n_fields;
    size_t output;     /* the population that targets are held against */
    size_t n_input, ld_input;
    size_t max_batch;  /* rows */
    size_t tape_steps; /* the longest window; 0: none is ever opened */
    size_t train_rows; /* rows of a learning step, and of a window */
    size_t depth;      /* the largest of a population */
    size_t room;       /* floats of scratch memory that a thread needs for links */
    size_t eligible_room; /* and for gradients from eligibilities, where neurons share weights or a bias */
    size_t input_past; /* the longest delay of the input */
    struct gle_field input; /* state (B, n_input): the inputs of the last steps, where one is read late */
    struct gle_field tape_input;  /* tape (B, n_input), input_past copies more: step t reads copy
                                     t + input_past - delay */
    struct gle_field tape_target; /* tape (B, n of the output) */
    struct gle_field tape_weight; /* tape (B, 1): of targets, where they are weighted */
    bool observed; /* derived variables are kept for each population */
    bool e_inst;   /* instantaneous errors are found, too */
    bool sums_squares; /* squares of how far outputs are from targets are summed, not outputs */
    bool weighted; /* targets of samples have weights, which their errors and losses are multiplied by */
    bool passive;  /* nothing learns, no errors flow */
    bool eligible; /* errors meet eligibilities */
    bool ideal;    /* there is no noise, factors of time constants are 1, and weights are read as they are */
    size_t floats[GLE_ROLES]; /* sizes of slabs. Of derived variables, if not observed: of the largest population, which
                                 each thread has, or the net has for each population */
    size_t n_params;  /* weights and biases, padding not counted */
    size_t n_plastic; /* numbers that learn, plastic time constants and weights B that move included */
};

/* What a network is built for. */
struct gle_graph_options {
    size_t batch;      /* rows that a step may have; 0: the larger of the experiment's batch sizes */
    size_t train_rows; /* rows that a learning step may have; 0: the experiment's batch size */
    size_t tape_steps; /* the longest window that will be opened; 0: none */
    bool observed;     /* phi', e, prosp_u and s of every layer can be looked at after any step */
    bool errors;       /* errors can be looked at under a windowed rule, too, whose steps may do without */
    bool e_inst;       /* observed: instantaneous errors can be looked at, too */
    bool sums_squares; /* of a regression: outputs are not summed, but squares of how far they are from targets */
    bool weighted;     /* targets have weights (gle_net_weigh) */
    bool passive;      /* nothing learns, no errors flow */
    bool ideal;        /* a teacher: without noise and mismatch, and with weights that are read as they are */
};

/* Turns a checked experiment into populations and projections in step order, with their fields.
 * Owns:   *out belongs to the caller (gle_graph_destroy); it borrows exp, so destroy it before exp.
 * Errors: GLE_ENOMEM; of links, those of gle_link_plan_make(). On error *out is NULL. */
GLE_MUST_CHECK int gle_graph_build(struct gle_graph **out, const struct gle_experiment *exp,
                                   const struct gle_graph_options *options, struct gle_error *err);
void gle_graph_destroy(struct gle_graph *graph); /* NULL is fine */

/* What W and B of a projection, of which B follows W, keep of themselves in a step of the optimizer. */
static inline float gle_feedback_keep(const struct gle_graph *graph, const struct gle_projection *c)
{
    const struct gle_feedback_params *own = (const struct gle_feedback_params *)c->cfg->feedback_params;

    return c->feedback_way == GLE_FEEDBACK_FOLLOWS ? (float)(1.0 - graph->exp->dt * own->decay) : 1.0f;
}

/* What a parameter of kind GLE_ERRORS_FROM belongs to. */
const struct gle_direct *gle_graph_direct(const struct gle_graph *graph, const struct gle_parameter *p);

/* Numbers of a projection of which B aligns itself, for steps of dt: xi <- keep xi + add z, with normal numbers z; see
 * equations.h for the others. Zeros where it does not. */
struct gle_alignment {
    float keep, add, leak, rate, decay;
};
struct gle_alignment gle_feedback_alignment(const struct gle_graph *graph, const struct gle_projection *c);

/* The number of a parameter of a population that it has, by its kind; of W and B, those of its source number `source`;
 * of GLE_ERRORS_FROM, those of number `source` in its errors_from. */
size_t gle_graph_parameter(const struct gle_graph *graph, size_t population, size_t source, enum gle_param kind);
/* What a time constant of a population is multiplied by where membranes or errors (k) use it; NULL: by nothing. */
const struct gle_parameter *gle_graph_factor(const struct gle_graph *graph, const struct gle_population *population,
                                             enum gle_mismatch k);
/* The number of a variable (a state, or derived) of a population, or of a projection through which it reads, by its
 * name: the first one from field number `from` on; SIZE_MAX: there is none of that name. */
size_t gle_graph_variable(const struct gle_graph *graph, size_t population, const char *name, size_t from);

/* Numbers that a neuron of population reads from all its sources together. */
size_t gle_graph_inputs(const struct gle_graph *graph, size_t population);
/* Its weights, of all sources, and biases. */
size_t gle_graph_layer_parameters(const struct gle_graph *graph, size_t population);

/* Floating-point operations (a multiply-add is two) that the products of one step take, per sample: with learning
 * (its share of a sweep included), or without. */
double gle_graph_flops(const struct gle_graph *graph, bool learn);
/* The same of a step that leaves errors out. */
double gle_graph_forward_flops(const struct gle_graph *graph);
/* Numbers in all parameters that a run leaves behind (`given`), one after the other. */
size_t gle_graph_given(const struct gle_graph *graph);
/* Whether what the optimizer follows is not the gradient of one step, and has a slab of its own. */
static inline bool gle_graph_has_followed(const struct gle_graph *graph)
{
    return graph->exp->update_every > 1 || graph->exp->clip > 0.0;
}
/* How many neurons of the target, one after the other, share a part of the weights: 1, but in convolutions. */
size_t gle_projection_shares(const struct gle_graph *graph, const struct gle_projection *projection);
/* Bytes of eligibilities and their traces; 0: the rule has none. */
double gle_graph_trace_bytes(const struct gle_graph *graph);
/* Bytes of the slabs, with n_moments arrays of optimizer moments. */
double gle_graph_bytes(const struct gle_graph *graph, size_t n_moments);

#endif
