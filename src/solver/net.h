/* net.h - the network in motion: parameters, gradients, state. The only mutable thing. Arrays never leave it; train and
 * report ask for copies, so that a net may as well live on another device. */
#ifndef GLE_SOLVER_NET_H
#define GLE_SOLVER_NET_H

#include "graph/graph.h"

struct gle_archive;
struct gle_fleet;
struct gle_rng;
struct gle_rule;
struct gle_net;

/* Allocates everything that steps need, for n_threads >= 1 threads at most. Their number changes no bit of what is
 * computed.
 * Owns:   *out belongs to the caller (gle_net_destroy); borrows graph.
 * Errors: GLE_ENOMEM. On error *out is NULL. */
GLE_MUST_CHECK int gle_net_build(struct gle_net **out, const struct gle_graph *graph, size_t n_threads,
                                 struct gle_error *err);
void gle_net_destroy(struct gle_net *net); /* NULL is fine */

/* Has the steps and sweeps of the net run on a fleet's device (fleet.h) from now on; once. What is asked of the net
 * later is brought to the host. An error of the device that one of the functions below meets, and cannot tell, is told
 * by gle_net_tell(), the next step, gle_net_collect(), and gle_net_archive(), by each that is called.
 * Owns:   nothing: the fleet, of whose threads this is one, outlives the net.
 * Errors: GLE_EDEVICE, GLE_ENOMEM; the net is then as it was. In a fleet of several threads also those of its memory on
 *         the device, by the next step. */
GLE_MUST_CHECK int gle_net_move(struct gle_net *net, struct gle_fleet *fleet, struct gle_error *err);
bool gle_net_is_on_device(const struct gle_net *net);
/* What the net's device was given to do since it was opened, by this net and others: launches, and bytes that went to
 * it and came back. All zero: there is none. */
struct gle_net_traffic {
    double launches, bytes_in, bytes_out;
};
struct gle_net_traffic gle_net_get_traffic(const struct gle_net *net);
/* Whether all values that were asked for are right: the error of the device that made them wrong, or 0. */
GLE_MUST_CHECK int gle_net_tell(const struct gle_net *net, struct gle_error *err);

const struct gle_graph *gle_net_graph(const struct gle_net *net);

/* The number of threads that steps use: no more than the work is worth. */
size_t gle_net_threads(const struct gle_net *net);

/* Has the net work with the threads of another one of the same layers, which outlives it and makes no step meanwhile;
 * on one thread, where their number does not suit it. */
void gle_net_borrow_threads(struct gle_net *net, const struct gle_net *from);

/* Sets all parameters to their initial values, drawing from rng layer by layer, weight then bias; the state becomes
 * zero.
 * Errors: GLE_EDATA (an init file: unreadable, wrong shapes, a time constant below dt), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_net_init(struct gle_net *net, struct gle_rng *rng, struct gle_error *err);

/* Number of samples from the next step on, 1 ... graph->max_batch. When it grows, old rows are repeated in order; when
 * it shrinks, the first rows are kept. */
void gle_net_set_batch(struct gle_net *net, size_t B);
/* Start of a batch: the summed output becomes zero, and the state of layers with `reset: batch`, or of all. */
void gle_net_begin_batch(struct gle_net *net, bool reset_all);

/* The summed output of n rows, from `first` on, becomes zero again. Of all rows it costs next to nothing. */
void gle_net_clear_output_sum(struct gle_net *net, size_t first, size_t n);

/* Calls body(ctx) on this thread, with the net's other threads ready to take their share of the steps in it. Without
 * it, steps run on one thread, to the same results. */
void gle_net_parallel(struct gle_net *net, void (*body)(void *ctx), void *ctx);

/* Where the caller puts what the next step reads: input (B, n_input) and target (B, n of the last layer), rows *ld
 * apart. Both stay as they are until overwritten. */
float *gle_net_input(struct gle_net *net, size_t *ld);
float *gle_net_target(struct gle_net *net, size_t *ld);

/* Makes the target of a row none, until another one is put there: nothing is asked of it in the next step. It has no
 * target error and no loss then, and its output is not added to the sum. */
void gle_net_unask(struct gle_net *net, size_t row);

/* Multiplies the target error and the loss of a row, and what it adds to the sum of outputs or squares, from the next
 * step on. For a graph whose targets are weighted; at first all weights are 1. */
void gle_net_weigh(struct gle_net *net, size_t row, float weight);

struct gle_step {
    bool learn; /* driven by the target error, gradients are found, and the optimizer steps, or, under learning.update,
                   steps once there are enough */
    bool nudge; /* not learn: the target error drives the network all the same. Neither: it is zero, and the state
                   evolves on */
    bool forward_only; /* neither: errors are not computed and count as zero; v, phi' and e_below stay as they are. For
                          steps after which nobody reads those, and whose errors could change nothing else */
    bool unasked; /* no target is there at this step: its target error and its loss are zero, and its output is not
                     added to the sum. With learn, the optimizer makes its step as after any other */
    double lr;  /* learning rate, if learn */
};
/* One time step dt of all layers, as the design's "The step". *loss: of the output before the step, summed over
 * samples. Allocates nothing.
 * Errors: GLE_EDIVERGED names the layer and the step, counted from 0 since gle_net_init(). */
GLE_MUST_CHECK int gle_net_step(struct gle_net *net, const struct gle_step *step, double *loss, struct gle_error *err);

/* The same where the loss is not wanted at once. A net on a device puts steps down and hands over many of them
 * together; nobody waits for them. Of steps whose losses have become known meanwhile, losses[] gets these (*n, at most
 * GLE_LOSSES), in order. gle_net_collect() waits for all that are left, and for the sweep of a window that was closed.
 * Errors: as gle_net_step(), of this step or of ones before it; of a device: GLE_EDEVICE, GLE_ENOMEM. */
enum { GLE_QUEUE_STEPS = 256, GLE_LOSSES = 2 * GLE_QUEUE_STEPS };
GLE_MUST_CHECK int gle_net_queue(struct gle_net *net, const struct gle_step *step, double *losses, size_t *n,
                                 struct gle_error *err);
GLE_MUST_CHECK int gle_net_collect(struct gle_net *net, double *losses, size_t *n, struct gle_error *err);

/* Whether a layer has gone wild: the last step, or the sweep over the last window, found NaN or Inf in it. */
bool gle_net_is_wild(const struct gle_net *net, size_t layer);

/* Where the time of steps and sweeps went. */
struct gle_profile {
    double seconds; /* of all of them, by the clock of the calling thread */
    /* Summed over threads: */
    double products, elementwise, optimizer; /* optimizer: with the transposition of weights */
    double waiting; /* the rest: threads that had nothing to do while a step or a sweep was going on */
};
/* Off at first, when it costs nothing. Switching it on, or off, begins anew with zeros. */
void gle_net_set_profile(struct gle_net *net, bool on);
void gle_net_get_profile(const struct gle_net *net, struct gle_profile *profile);

/* Opens a window: the steps from here on, graph->tape_steps of them at most, are kept for the sweep. The batch must not
 * change in it, nor a parameter. */
void gle_net_begin_window(struct gle_net *net);
/* Forgets the open window, if there is one. */
void gle_net_drop_window(struct gle_net *net);
/* Closes it: sweeps back over its steps and so finds the gradient of the loss, the mean over rows, summed over them, as
 * `rule` (a windowed one) finds it; with `learn`, the optimizer makes one step along it, and along nothing that was
 * gathered before, with learning rate lr. Errors beyond the window are cut off: the loss of its first step has no
 * gradient, since the output of a step is the rate of the one before. Allocates nothing.
 *   bptt: back through the steps as they were made, the feedback of errors into membranes included.
 *   adjoint: Euler's steps of tau_m d lambda/dt = lambda - (1 - tau_r d/dt)[phi' W_above^T lambda_above], back from
 *   lambda = 0 at the end of the window, where layers act on each other without delay; lambda of the last layer follows
 *   the target error. Gradient: that of the loss integrated over the window (time units). No feedback of errors.
 * Source: arXiv:2403.16933, the adjoint equations that GLE approximates.
 * Errors: GLE_EDIVERGED. */
GLE_MUST_CHECK int gle_net_end_window(struct gle_net *net, const struct gle_rule *rule, bool learn, double lr,
                                      struct gle_error *err);
/* lambda of layer at step t of the window that was closed last, (n_rows, n), as gle_net_get_rows(): on the scale of the
 * target error, as errors e are with beta = 1, positive where a larger potential lowers the loss. Zero for layers that
 * no sweep goes through. */
void gle_net_get_lambda(const struct gle_net *net, size_t layer, size_t t, const size_t *rows, size_t n_rows,
                        float *values);

/* Below, parameters and fields go by their numbers in the graph. Those are the same in all graphs of an experiment, but
 * for tapes and adjoints. Values are copied, without padding. */
/* The output summed over the steps since gle_net_begin_batch() or gle_net_clear_output_sum(), without those unasked:
 * (B, n of the last layer). Of a graph that sums squares: in place of the output, the square of target less output. */
void gle_net_get_output_sum(const struct gle_net *net, float *sum);
/* A parameter, in the shape of its field. */
void gle_net_get_param(const struct gle_net *net, size_t param, float *values);
void gle_net_set_param(struct gle_net *net, size_t param, const float *values);
/* Neurons of a layer that have the shortest tau_m there is (exp->tau_least), by what they have learned or by their
 * factor of mismatch: with Euler's steps, their potential keeps nothing of the step before. */
size_t gle_net_count_shortest(const struct gle_net *net, size_t layer);
/* The gradient that the last learning step followed, or that the last window found, likewise; zero if the parameter is
 * not plastic or is held. Of B that follows W, that of W; of B that aligns itself, what the last learning step moved it
 * along, the mean of hp xi^T. */
void gle_net_get_gradient(const struct gle_net *net, size_t param, float *values);
/* What the optimizer's last step followed, likewise: the mean of gradients of several steps under learning.update,
 * clipped under learning.clip.
 * Between two of its steps, what it will follow, half made. Of B that follows W, that of W; of B that aligns itself,
 * which the optimizer does not move, its gradient. */
void gle_net_get_followed(const struct gle_net *net, size_t param, float *values);
/* How many of the optimizer's steps since gle_net_init() had a gradient that was clipped (learning.clip). */
uint64_t gle_net_get_clipped(const struct gle_net *net);
/* Forgets gradients that wait for the optimizer's next step. */
void gle_net_drop_gathered(struct gle_net *net);
/* Whether a parameter learns now: it is plastic, and not held. */
bool gle_net_learns(const struct gle_net *net, size_t param);
/* Whether the last step has found a variable: errors are found only where something learns from them, here
 * or below, or they feed back into membranes; those sent below, only where a layer below wants them. */
bool gle_net_has_var(const struct gle_net *net, size_t field);
/* A variable (a state, or derived: of an observed graph) after the last step: (B, cols of the field). Zero if the
 * network has no such array. */
void gle_net_get_var(const struct gle_net *net, size_t field, float *values);
/* The same of a variable that the network has, for chosen rows, below B: (n_rows, cols). */
void gle_net_get_rows(const struct gle_net *net, size_t field, const size_t *rows, size_t n_rows,
                      float *values);
/* What the last step read, for chosen rows: the input (n_rows, n_input); the target, NaN where gle_net_unask() made it
 * none, and the output that was held against it, (n_rows, n of the last layer). */
enum gle_read { GLE_READ_INPUT, GLE_READ_TARGET, GLE_READ_OUTPUT };
void gle_net_get_read(const struct gle_net *net, enum gle_read what, const size_t *rows, size_t n_rows, float *values);

/* Puts parameters to values, drawing from rng where they are drawn at random.
 * Errors: GLE_EDATA (a file), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_net_apply(struct gle_net *net, const struct gle_settings *settings, struct gle_rng *rng,
                                 struct gle_error *err);
/* Whether a parameter, if plastic, or weights B that move, is kept from that for the time being. The optimizer does not
 * see that time: it goes on with the moments, and the count of steps, that the parameter had. */
void gle_net_hold(struct gle_net *net, size_t param, bool hold);

/* Between nets of the same layers and the same number of rows. The target becomes the output of the teacher that its
 * next step reads. */
void gle_net_aim(struct gle_net *net, const struct gle_net *teacher);
/* Takes over input and target. */
void gle_net_copy_read(struct gle_net *net, const struct gle_net *from);
/* Takes over parameters, state and the number of rows; also after net has diverged. */
void gle_net_copy(struct gle_net *net, const struct gle_net *from);

/* Keeps a copy of all parameters inside the net; gle_net_recall() puts them back. */
void gle_net_keep(struct gle_net *net);
void gle_net_recall(struct gle_net *net);

/* Where a net is, for those who put it back. */
struct gle_net_place {
    size_t B;
    uint64_t steps, updates; /* since gle_net_init(): steps, and those of the optimizer */
    uint64_t gathered;       /* learning steps since the last one of the optimizer, which its next one follows, too */
    bool taping;             /* a window is open, */
    size_t taped;            /* of so many steps, */
    const bool *unasked;     /* of which these had no target (taped); the net's */
};
struct gle_net_place gle_net_get_place(const struct gle_net *net);

/* Saves, between two steps, all that the steps after them depend on, an open window included; or restores it into a net
 * of the same graph, built for any number of threads.
 * Errors: as base/archive.h. After one, the net is good for nothing but gle_net_init() or gle_net_destroy(). */
GLE_MUST_CHECK int gle_net_archive(struct gle_net *net, struct gle_archive *a, struct gle_error *err);

#endif
