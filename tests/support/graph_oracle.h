/* graph_oracle.h - the step of any graph in double precision, as plain loops over the equations of the design. It knows
 * a network by its config alone: sources, delays, links as whole matrices. What the solver of graphs is held against.
 *
 * How far single precision may be off is found by trying: `noise` makes every result of an operation wrong by a random
 * part of it, as rounding does, and oracles with noise show how far that carries. */
#ifndef GLE_TESTS_GRAPH_ORACLE_H
#define GLE_TESTS_GRAPH_ORACLE_H

#include "formulas.h"
#include "graph/graph.h"
#include "solver/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Steps back that are kept: more than any delay of a test. */
enum { GRAPH_ORACLE_PAST = 8 };

struct graph_oracle_source {
    long layer;         /* GLE_SOURCE_INPUT: the input */
    size_t delay, n_in; /* of the source's own neurons */
    size_t n_pool;      /* and once pooled */
    const struct gle_link_plan *plan;
    size_t *which;      /* link_matrix() */
    size_t n_weights;
    bool sends, own;    /* errors go back, through weights of their own, */
    enum gle_feedback_way way; /* which move */
    const struct gle_feedback_params *settings; /* of these */
    double *W, *B, *gW; /* numbers of W as in files */
    double *off_W, *off_B; /* what makes them those that steps read: graph_oracle_quantize() */
    double *e_below;    /* (B, n_in), of the last step */
    size_t number;      /* of the projection */
    bool aligns;        /* B does: */
    double *xi;         /* (PAST, B, n_in): noise in the source, of the last step, of the one before, ... */
    double *low, *gB;   /* low-pass rates of the layer (B, n), and what B goes along */
    double *x;          /* (B, n_pool), of this step */
    double *du, *eps;   /* (B, n, n_pool), where the rule is eligible: graph_oracle_trace() */
};

/* Errors that come straight from another layer. */
struct graph_oracle_direct {
    size_t from;
    double *B, *off_B, *sent; /* (n, n of the other), what makes B that which steps read, and B e of the last step */
};

struct graph_oracle_layer {
    struct graph_oracle_direct *directs;
    size_t n_directs;
    size_t n, n_bias, n_sources;
    struct graph_oracle_source *sources;
    const struct act_formula *act;
    struct act_of act_of;
    double gamma;
    double *b, *tau_m, *tau_r, *gb, *gtau_m, *gtau_r;
    double *factors[GLE_MISMATCHES], *noise[GLE_NOISES]; /* (n); Ornstein-Uhlenbeck processes of variance 1 (B, n) */
    double *du_bias, *eps_bias, *du_tau_m, *eps_tau_m, *eps_tau_r; /* (B, n), where the rule is eligible */
    double *u, *v, *dr, *e, *e_inst, *s, *prosp_u; /* (B, n); s = tau_m u_dot */
    double *r;                            /* (PAST, B, n): of the last step, of the one before, ... */
};

struct graph_oracle {
    const struct gle_experiment *exp; /* borrowed */
    struct graph_oracle_layer *layers;
    size_t n_layers, output, n_input, B, B_max;
    double *x; /* (PAST, B, n_input): of this step, of the one before, ... */
    double *memory; /* all numbers above, */
    size_t n_memory;
    const struct loss_formula *loss;
    double noise; /* of a result, at most; 0: exact */
    uint64_t noise_state;
    uint64_t steps; /* since it was built */
};

/* For B_max rows at most, with the parameters of a net; the state is zero. Keeps synapses of the graph's plans, so
 * destroy it before the graph. */
struct graph_oracle *graph_oracle_build(const struct gle_graph *graph, const struct gle_net *net, size_t B_max);
void graph_oracle_destroy(struct graph_oracle *o);
void graph_oracle_set_batch(struct graph_oracle *o, size_t B);
/* Start of a batch: the state of layers with `reset: batch` becomes zero, or that of all, with the input's past. */
void graph_oracle_reset(struct graph_oracle *o, bool all);
/* One step: x (B, n_input), y (B, n of the output), NULL: nothing is asked for; target: the target error drives it.
 * Finds the gradients of the local rules, and moves no parameter. Returns the loss, the mean over rows. */
double graph_oracle_step(struct graph_oracle *o, const double *x, const double *y, bool target);
/* T steps, driven by the target error, and the sweep back of the adjoint equations over them, which puts its gradients
 * in place of those of the local rules. Of graphs without loops and delays. */
void graph_oracle_adjoint(struct graph_oracle *o, const double *x, const double *const *y, size_t T);
/* Has steps read the weights, as they are now, with the bits that the config gives them. Weights that are moved later
 * move what is read as far: so a difference of losses is what straight-through gradients stand for. */
void graph_oracle_quantize(struct graph_oracle *o);
/* A time constant of neuron i as membranes or errors use it, and how that grows with the time constant. */
double graph_oracle_tau(const struct graph_oracle *o, const struct graph_oracle_layer *l, enum gle_mismatch k,
                        size_t i, double *gain);
/* The noise of a neuron of layer i in this step; 0: there is none. And where Ornstein-Uhlenbeck processes begin. */
double graph_oracle_noise(struct graph_oracle *o, size_t i, enum gle_noise k, size_t b, size_t neuron, bool training);
void graph_oracle_start_noise(struct graph_oracle *o);
/* What of its way a low-pass with time constant tau goes in a step. */
double graph_oracle_leak(const struct graph_oracle *o, double tau);
/* Puts all gradients of a layer to zero. */
void graph_oracle_clear_gradients(struct graph_oracle_layer *l);
/* x, off by a random part of it. */
double graph_oracle_rounded(struct graph_oracle *o, double x);

/* What layers will get directly, in the next step, of the errors of others. */
void graph_oracle_send_directly(struct graph_oracle *o);

/* --- rules that are eligible --- */
/* What a step of layer i makes of its eligibilities; nothing of those of other rules. And gradients from those that the
 * step before has made. */
void graph_oracle_trace(struct graph_oracle *o, size_t i);
void graph_oracle_eligible_gradients(struct graph_oracle *o, size_t i);

/* --- weights B that align themselves --- */
/* Makes the noise of a step in all sources of such projections; what of it is added to a neuron of a layer. */
void graph_oracle_stir(struct graph_oracle *o, bool training);
double graph_oracle_stirred(const struct graph_oracle *o, size_t layer, size_t b, size_t neuron);
/* What B into a layer goes along, of its new rates (B, n), and the low-pass ones. */
void graph_oracle_align(struct graph_oracle *o, size_t layer, const double *r_new);

/* The rates that a source gave when what is read in this step left it, of row b. */
const double *graph_oracle_rates(const struct graph_oracle *o, const struct graph_oracle_source *c, size_t b);
/* Pooled values (n_pool) of values (n_in) of one row, with maxima where the rates r (n_in) have theirs; and errors
 * (n_in) of those for pooled neurons (n_pool), where r are
 * the rates that were pooled. */
void graph_oracle_pool(struct graph_oracle *o, const struct graph_oracle_source *c, double *out, const double *values,
                       const double *r);
void graph_oracle_spread(const struct graph_oracle_source *c, double *out, const double *e, const double *r);
/* The values of a parameter of the graph, and its gradient (of B that moves: what it moves along) or NULL; *n: how many
 * they are. */
double *graph_oracle_param(struct graph_oracle *o, const struct gle_parameter *p, double **gradient, size_t *n);
/* Whether a parameter is B of a projection that moves. */
bool graph_oracle_is_moving(const struct graph_oracle *o, const struct gle_parameter *p);
/* Whether it is one that aligns itself: in every learning step, whenever the optimizer steps. */
bool graph_oracle_is_aligning(const struct graph_oracle *o, const struct gle_parameter *p);
/* Where a number of a parameter goes along a gradient, by plain descent at rate lr. */
double graph_oracle_moved(const struct graph_oracle *o, const struct gle_parameter *p, double value, double gradient,
                          double lr);

#endif
