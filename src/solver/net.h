/* net.h - the network in motion: parameters, gradients, state. The only mutable thing. Arrays never leave it; train and
 * report ask for copies, so that a net may as well live on another device. */
#ifndef GLE_SOLVER_NET_H
#define GLE_SOLVER_NET_H

#include "graph/graph.h"

struct gle_rng;
struct gle_net;

/* Allocates everything that steps need. n_threads >= 1; layers are split among threads, so more of them than layers are
 * not used.
 * Owns:   *out belongs to the caller (gle_net_destroy); borrows graph.
 * Errors: GLE_ENOMEM. On error *out is NULL. */
GLE_MUST_CHECK int gle_net_build(struct gle_net **out, const struct gle_graph *graph, size_t n_threads,
                                 struct gle_error *err);
void gle_net_destroy(struct gle_net *net); /* NULL is fine */

/* The number of threads that steps use: no more than there are layers, or than the work is worth. */
size_t gle_net_threads(const struct gle_net *net);

/* Sets all parameters to their initial values, drawing from rng layer by layer, weight then bias; the state becomes
 * zero.
 * Errors: GLE_EDATA (an init file: unreadable, wrong shapes, a tau_m below dt), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_net_init(struct gle_net *net, struct gle_rng *rng, struct gle_error *err);

/* Number of samples from the next step on, 1 ... graph->max_batch. When it grows, old rows are repeated in order; when
 * it shrinks, the first rows are kept. */
void gle_net_set_batch(struct gle_net *net, size_t B);
/* Start of a batch: the summed output becomes zero, and the state of layers with `reset: batch`, or of all. */
void gle_net_begin_batch(struct gle_net *net, bool reset_all);

/* Calls body(ctx) on this thread, with the net's other threads ready to take their share of the steps in it. Without
 * it, steps run on one thread, to the same results. */
void gle_net_parallel(struct gle_net *net, void (*body)(void *ctx), void *ctx);

/* Where the caller puts what the next step reads: input (B, n_input) and target (B, n of the last layer), rows *ld
 * apart. Both stay as they are until overwritten. */
float *gle_net_input(struct gle_net *net, size_t *ld);
float *gle_net_target(struct gle_net *net, size_t *ld);

struct gle_step {
    bool learn; /* false: the target error is zero and no parameter moves; the state evolves all the same */
    double lr;  /* learning rate, if learn */
};
/* One time step dt of all layers, as the design's "The step". *loss: of the output before the step, summed over
 * samples. Allocates nothing.
 * Errors: GLE_EDIVERGED names the layer and the step, counted from gle_net_init(). */
GLE_MUST_CHECK int gle_net_step(struct gle_net *net, const struct gle_step *step, double *loss, struct gle_error *err);

/* Copies, dense. The output summed over the steps since gle_net_begin_batch(): (B, n of the last layer). */
void gle_net_get_output_sum(const struct gle_net *net, float *sum);
/* A parameter: W (n, n_in), b (n), tau_m (n). */
void gle_net_get_param(const struct gle_net *net, size_t layer, enum gle_param param, float *values);
void gle_net_set_param(struct gle_net *net, size_t layer, enum gle_param param, const float *values);
/* The gradient that the last learning step followed, likewise; zero if the parameter is not plastic. */
void gle_net_get_gradient(const struct gle_net *net, size_t layer, enum gle_param param, float *values);
/* A variable after the last step: (B, n), or (B, n_in) for GLE_VAR_E_BELOW. Derived ones only of an observed graph. */
void gle_net_get_var(const struct gle_net *net, size_t layer, enum gle_var var, float *values);

/* Keeps a copy of all parameters inside the net; gle_net_recall() puts them back. */
void gle_net_keep(struct gle_net *net);
void gle_net_recall(struct gle_net *net);

#endif
