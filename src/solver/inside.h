/* inside.h - what a net is made of, for the files of this folder alone. */
#ifndef GLE_SOLVER_INSIDE_H
#define GLE_SOLVER_INSIDE_H

#include "kernel/kernel.h"
#include "parts/activation.h"
#include "parts/loss.h"
#include "parts/optimizer.h"
#include "parts/rule.h"
#include "solver/device.h"
#include "solver/net.h"
#include "solver/split.h"
#include "solver/team.h"

/* What a thread may be busy with: its share of a step is cut into laps. */
enum gle_lap { GLE_LAP_NONE, GLE_LAP_PRODUCTS, GLE_LAP_ELEMENTWISE, GLE_LAP_OPTIMIZER, GLE_LAPS };

/* The laps of one thread, on a cache line of its own. */
struct gle_laps {
    _Alignas(64) double last; /* the clock's time */
    double seconds[GLE_LAPS];
};

struct gle_net {
    const struct gle_graph *graph;
    const struct gle_kernels *kernels;
    struct gle_rule_kernels rule;
    const struct gle_act **act; /* per population */
    float (*act_numbers)[GLE_ACT_NUMBERS]; /* likewise, of their settings */
    const struct gle_loss *loss;
    const struct gle_optimizer *optimizer;

    float *slabs[GLE_ROLES]; /* of derived variables, if the graph is not observed: one for each place */
    float *grads, *kept;     /* like the slab of parameters */
    float *rooms;            /* per thread: scratch memory of links */
    float *eligible_rooms;   /* per thread: of gradients from eligibilities; none where the graph wants none */
    float *followed;         /* like grads: what the optimizer follows where that is not the gradient of one step; or
                                NULL */
    double *squares;          /* sums of squares of it, of groups of parts; NULL: its norm is not wanted */
    size_t *squares_at;       /* (n_parameters + 1): where those of a parameter begin */
    float share;              /* of it that is left where it was clipped; else 1 */
    float *moments[GLE_MOMENTS_MAX];
    float *input, *target, *top_error, *output_sum;
    float *weights; /* (max_batch): of targets, behind them; 1 where they are not weighted */
    bool *learns;     /* per parameter: it learns now */
    bool *held;       /* per parameter: it is kept from moving */
    uint64_t *missed; /* per parameter: optimizer steps that passed while it was held, though plastic */

    struct gle_split split;
    size_t B;
    uint64_t steps;     /* since init */
    bool errorless;     /* the last step left errors out */
    uint64_t updates;   /* optimizer steps since init */
    uint64_t gathered;  /* learning steps since the last of them, whose gradients wait in `followed` */
    uint64_t clipped;   /* of the optimizer's, those whose gradient was too long */
    bool spends;        /* the optimizer steps at the end of the step, or of the sweep, that is being made */
    struct gle_team *team;
    bool borrows; /* the team, of another net */
    int *wild;        /* per thread and population: NaN or Inf in this step, or in this sweep */
    double *row_loss; /* of the output before the step, of each row, or, if none is shared, of all in the first */
    const struct gle_step *step; /* the one being taken */
    struct gle_optimizer_step optimizer_step[2]; /* of parameters that were never held: [1] of weights */

    bool taping;         /* a window is open */
    size_t taped;        /* steps in it; after the window was closed, those that it had */
    bool *tape_unasked;  /* (tape_steps): of these, those without a target */
    size_t round;        /* of the sweep that is going on */
    const struct gle_rule *sweep_rule; /* what the sweep follows */

    struct gle_net_device *device; /* that steps run on; NULL: none */

    struct gle_net_spread *spread; /* over ranks (rows.c); NULL: it is not */
    bool divided;                  /* it has the rows of this rank alone, */
    size_t whole, first_row;       /* of a batch of so many, from this one on; if not divided, first_row is 0 */
    bool waits;                    /* gradients that are found are those of this rank: nothing is spent yet */
    bool summed;                   /* those that are spent are of all ranks, and of all steps that were gathered */

    bool profiling;
    struct gle_laps *laps;                 /* per thread */
    double shared_seconds, thread_seconds; /* of what threads did side by side; the same, times their number */
};

/* Values in single precision may be so much below the shortest time constant, which is known in double precision. */
#define GLE_TAU_TOLERANCE 1e-6

static inline const struct gle_population *gle_population_of(const struct gle_net *net, size_t i)
{
    return &net->graph->populations[i];
}

/* The output. */
static inline const struct gle_population *gle_top_of(const struct gle_net *net)
{
    return gle_population_of(net, net->graph->output);
}

/* Projection j of those through which a population reads, 0 ... n_in - 1; or of those that read it, 0 ... n_out - 1. */
static inline const struct gle_projection *gle_in_of(const struct gle_net *net, const struct gle_population *p,
                                                     size_t j)
{
    return &net->graph->projections[p->first + j];
}

static inline const struct gle_projection *gle_out_of(const struct gle_net *net, const struct gle_population *p,
                                                      size_t j)
{
    return &net->graph->projections[p->out[j]];
}

/* The population that a projection reads; NULL: the input. */
static inline const struct gle_population *gle_below_of(const struct gle_net *net, const struct gle_projection *c)
{
    return c->source == GLE_SOURCE_INPUT ? NULL : gle_population_of(net, (size_t)c->source);
}

/* Copy `copy` of a field; not of a tape, nor of a derived variable. */
static inline float *gle_field_of(const struct gle_net *net, const struct gle_field *f, size_t copy)
{
    return net->slabs[f->role] + f->place + copy * f->stride;
}

/* What a step left of a state, `ago` steps before the last one, below copies: the oldest lies where the next step puts
 * its own. Then what the last step left, and that place. */
static inline float *gle_past_of(const struct gle_net *net, const struct gle_field *f, size_t ago)
{
    return gle_field_of(net, f, (net->steps + f->copies - ago) % f->copies);
}

static inline float *gle_old_of(const struct gle_net *net, const struct gle_field *f)
{
    return gle_past_of(net, f, 0);
}

/* Rows of the whole batch, whose mean gradients are. */
static inline size_t gle_whole_of(const struct gle_net *net)
{
    return net->divided ? net->whole : net->B;
}

/* How many copies of a field later steps depend on: none, but of states. */
static inline size_t gle_past_copies(const struct gle_field *f)
{
    return f->role != GLE_STATE ? 0 : f->copies > 1 ? f->copies - 1 : f->copies;
}

static inline float *gle_new_of(const struct gle_net *net, const struct gle_field *f)
{
    return gle_field_of(net, f, (net->steps + 1) % f->copies);
}

/* Threads' rooms lie on different lines of cache. */
static inline size_t gle_room_apart(const struct gle_graph *graph)
{
    return (graph->room + GLE_SLACK + 15) / 16 * 16;
}

static inline size_t gle_eligible_room_apart(const struct gle_graph *graph)
{
    return (graph->eligible_room + GLE_SLACK + 15) / 16 * 16;
}

/* Whether a parameter learns now. */
static inline bool gle_learns(const struct gle_net *net, const struct gle_parameter *p)
{
    return net->learns[p - net->graph->parameters];
}

/* Whether weights B of a projection move now. */
static inline bool gle_feedback_moves(const struct gle_net *net, const struct gle_projection *c)
{
    return c->feedback_way != GLE_FEEDBACK_STAYS && !net->held[c->feedback - net->graph->parameters];
}
/* Along with W. */
static inline bool gle_feedback_follows(const struct gle_net *net, const struct gle_projection *c)
{
    return c->feedback_way == GLE_FEEDBACK_FOLLOWS && gle_feedback_moves(net, c);
}

static inline float *gle_param_of(const struct gle_net *net, const struct gle_parameter *p)
{
    return gle_field_of(net, &p->field, 0);
}

/* What steps read of weights, W or B of a projection. */
static inline float *gle_read_of(const struct gle_net *net, const struct gle_projection *c,
                                 const struct gle_parameter *weight)
{
    const struct gle_field *read = weight == c->weight ? &c->read : &c->feedback_read;

    return read->copies ? gle_field_of(net, read, 0) : gle_param_of(net, weight);
}

/* What a link is called with on thread t: to go through W, or, with feedback, through the weights B of its own. */
static inline struct gle_link_call gle_call_of(const struct gle_net *net, const struct gle_projection *c, bool feedback,
                                               size_t t)
{
    const struct gle_parameter *weight = feedback && c->feedback ? c->feedback : c->weight;
    const struct gle_field *aid = weight == c->weight ? &c->aid : &c->feedback_aid;

    return (struct gle_link_call){.plan = &c->plan,
                                  .kernels = net->kernels,
                                  .weight = gle_read_of(net, c, weight),
                                  .aid = aid->copies ? gle_field_of(net, aid, 0) : NULL,
                                  .room = net->rooms + t * gle_room_apart(net->graph)};
}

/* The same of errors that come directly. */
static inline struct gle_link_call gle_direct_call_of(const struct gle_net *net, const struct gle_direct *d, size_t t)
{
    return (struct gle_link_call){.plan = &d->plan,
                                  .kernels = net->kernels,
                                  .weight = d->read.copies ? gle_field_of(net, &d->read, 0)
                                                           : gle_param_of(net, d->weight),
                                  .aid = d->aid.copies ? gle_field_of(net, &d->aid, 0) : NULL,
                                  .room = net->rooms + t * gle_room_apart(net->graph)};
}

static inline float *gle_grad_of(const struct gle_net *net, const struct gle_parameter *p)
{
    return net->grads + p->field.place;
}

/* What the optimizer follows. */
static inline float *gle_followed_of(const struct gle_net *net, const struct gle_parameter *p)
{
    return (net->followed ? net->followed : net->grads) + p->field.place;
}

/* Where derived variables of population i are kept for learning, of which thread t computes some or all; places below
 * n_threads are the threads' own. */
static inline size_t gle_place_of(const struct gle_net *net, size_t i, size_t t)
{
    return net->split.shared ? net->split.n_threads + i : t;
}

static inline float *gle_derived_of(const struct gle_net *net, const struct gle_field *f, size_t place)
{
    return net->slabs[GLE_DERIVED] + (net->graph->observed ? 0 : place * net->graph->floats[GLE_DERIVED]) + f->place;
}

/* What threads have found wild lies on different lines of cache. */
static inline size_t gle_wild_apart(const struct gle_graph *graph)
{
    return (graph->n_populations + 15) / 16 * 16;
}

static inline int *gle_wild_of(const struct gle_net *net, size_t i, size_t t)
{
    return &net->wild[t * gle_wild_apart(net->graph) + i];
}

/* dt / tau, and the derivative of a leak over tau times -tau: that is the leak itself, unless integration is
 * exponential. */
static inline float *gle_rate_of(const struct gle_net *net, const struct gle_field *rate, const struct gle_field *leak)
{
    return gle_field_of(net, rate->copies ? rate : leak, 0);
}

/* Copy t of a tape. */
static inline float *gle_tape_of(const struct gle_net *net, const struct gle_field *f, size_t t)
{
    return net->slabs[GLE_TAPE] + f->place + t * net->B * f->ld;
}

/* The work of thread t since its last lap was of this kind; GLE_LAP_NONE: none of the net's, where a share begins. */
void gle_net_count_lap(struct gle_net *net, size_t t, enum gle_lap kind);
static inline void gle_net_lap(struct gle_net *net, size_t t, enum gle_lap kind)
{
    if (net->profiling)
        gle_net_count_lap(net, t, kind);
}

/* As gle_team_share(), of work on the net. */
void gle_net_share(struct gle_net *net, void (*work)(void *net, size_t t));

/* Rows `rows` (n_rows) of an array with rows ld apart, n columns of them, dense. */
void gle_copy_chosen(float *to, const float *from, size_t ld, size_t n, const size_t *rows, size_t n_rows);

/* What follows from a parameter that was changed in n parts from `first` on: what its link wants beside it, the biases
 * of neurons that share them, or the coefficients that are made of time constants. */
void gle_net_follow(struct gle_net *net, const struct gle_parameter *p, size_t first, size_t n);
/* The same of time constants. */
void gle_net_follow_taus(struct gle_net *net, const struct gle_population *p, size_t first, size_t n);
/* The same of all parameters. */
void gle_net_follow_all(struct gle_net *net);

/* What lies between the cuts of thread t: work(net, population, range, t) for each population. */
struct gle_range {
    size_t first, n;
};
typedef void gle_net_work(struct gle_net *net, size_t i, struct gle_range range, size_t t);
/* Ranges of rows of the batch, or of neurons. */
void gle_net_steps_of(struct gle_net *net, size_t t, gle_net_work *work);
void gle_net_learning_of(struct gle_net *net, size_t t, gle_net_work *work);
/* The parts of a parameter that are for thread t, where it learns. */
struct gle_range gle_net_part_of(const struct gle_net *net, const struct gle_parameter *p, size_t t);

/* The optimizer's step for a parameter that learns: the one that it takes with all, or, if it had been held, one of a
 * number of its own. */
struct gle_optimizer_step gle_net_own_step(const struct gle_net *net, const struct gle_parameter *p);
/* Counts a step of the optimizer, and finds what all have of it. */
void gle_net_prepare_step(struct gle_net *net, double lr);

/* --- follow.c: what the optimizer follows where that is not the gradient of one step --- */

/* Makes room for it, where the experiment asks for that; freed with the net, also after an error. Whether there was
 * memory. */
bool gle_net_make_followed(struct gle_net *net);
void gle_net_free_followed(struct gle_net *net);
/* Adds the gradient that was found of n parts of a parameter. */
void gle_net_gather(struct gle_net *net, const struct gle_parameter *p, size_t first, size_t n);
/* Once all is gathered: sets net->share. Then leaves so much of n parts of a parameter. */
void gle_net_find_share(struct gle_net *net);
void gle_net_clip(struct gle_net *net, const struct gle_parameter *p, size_t first, size_t n);

/* --- rows.c: of a net that is spread over ranks --- */

void gle_net_free_spread(struct gle_net *net);
/* All rows (whole, n) from those of this rank (B, ld); an error is told by the next step. */
void gle_net_gather_late(const struct gle_net *net, float *values, const float *rows, size_t ld, size_t n);
/* After a step of this rank's rows, whose loss is *losses. Ranks meet if the optimizer makes a step now, or if they
 * have not met for many steps. *losses (*n, at most GLE_LOSSES): of all rows, in the steps of which they are known by
 * now.
 * Errors: GLE_EDIVERGED, on all ranks, where anything was wild since they met last; GLE_EDEVICE. */
GLE_MUST_CHECK int gle_net_end_own_step(struct gle_net *net, double *losses, size_t *n, struct gle_error *err);
/* As gle_net_collect(); and after a sweep that has found gradients, or wild numbers. */
GLE_MUST_CHECK int gle_net_collect_own(struct gle_net *net, double *losses, size_t *n, struct gle_error *err);
GLE_MUST_CHECK int gle_net_end_own_window(struct gle_net *net, struct gle_error *err);

/* --- spend.c --- */

/* Keeps n numbers of a parameter within bounds. */
void gle_net_bound(float *p, size_t n, const struct gle_bounds *bounds);

/* What becomes of the gradient that has been found: of n parts of W, and of B which moves along with it; and of bias
 * and time constants, of the parts that are for thread t. */
void gle_net_spend_weights(struct gle_net *net, const struct gle_projection *c, size_t first, size_t n);
void gle_net_spend_others(struct gle_net *net, const struct gle_population *p, size_t t);
/* Counts the optimizer's step for parameters of a population that are held: of those whose first part thread t has. */
void gle_net_count_missed(struct gle_net *net, const struct gle_population *p, size_t t);
/* The optimizer's steps for all parameters, once it is known how much of the gradient is left. */
void gle_net_follow_clipped(struct gle_net *net);
/* The optimizer's step along the gradients that were found, for the parts of population i that are for thread t. */
void gle_net_descend(struct gle_net *net, size_t i, size_t t);

/* grad = alpha times the sum of e, over rows and over the neurons that share a bias; for the part of thread t. */
void gle_net_sum_biases(struct gle_net *net, const struct gle_population *p, float *grad, const float *e, size_t rows,
                        float alpha, size_t t);

/* --- eligible.c: rules that are eligible --- */

/* What a step makes of n rows, from `first` on: of the rates x that a projection reads, as its link does (the first of
 * these rows), and of a population's s = tau_m u_dot (likewise). Nothing where there are no traces. */
void gle_net_trace_inputs(struct gle_net *net, const struct gle_projection *c, const float *x, size_t first, size_t n);
void gle_net_trace_neurons(struct gle_net *net, const struct gle_population *p, const float *s, size_t first, size_t n);
/* Gradients from the errors e of all rows: of n parts of W, on thread t; of biases, the parts that are for thread t; of
 * the time constants of some neurons, where they learn, as if they had no factors. */
void gle_net_find_weights(struct gle_net *net, const struct gle_projection *c, const float *e, size_t first, size_t n,
                          size_t t);
void gle_net_find_biases(struct gle_net *net, const struct gle_population *p, const float *e, size_t t);
void gle_net_find_taus(struct gle_net *net, const struct gle_population *p, const float *e, struct gle_range neurons);

/* Keeps on the tape what population i, whose step has just been made on thread t, read and left in some rows. */
void gle_net_tape(struct gle_net *net, size_t i, struct gle_range rows, size_t t);
/* The errors that reach population p from above in the step that is being made, for n rows from `first` on: what its
 * readers sent back in the step before, in the config's order, then the target error of the output. Where several do,
 * their sum is made in `sum` (n rows). NULL: none reach it. */
const float *gle_net_errors_above(struct gle_net *net, const struct gle_population *p, float *sum, size_t first,
                                  size_t n);

/* The target errors e of n rows of outputs r, times beta, and their loss, summed, each times the weight of its row;
 * none of rows that nothing is asked of, whose targets are GLE_UNASKED. e, r, target: the first of the rows. weights:
 * theirs, `apart` floats from one to the next; of a net whose targets are weighted. */
double gle_net_find_target_errors(const struct gle_net *net, float *e, const float *r, const float *target,
                                  const float *weights, size_t apart, float beta,
                                  size_t n);

/* --- hardware.c --- */

/* What a time constant of neuron i that the net has as `tau` is there: if it has a factor, no less than the shortest
 * one. */
double gle_net_used_tau(const struct gle_net *net, const struct gle_population *p, enum gle_mismatch k, size_t i,
                        double tau);
/* How that grows with tau: by the factor, or not at all where it is the shortest. */
float gle_net_tau_gain(const struct gle_net *net, const struct gle_population *p, enum gle_mismatch k, size_t i,
                       float tau);
/* The factors of a population's neurons (n), as the seed has them. */
void gle_net_draw_factors(const struct gle_net *net, const struct gle_population *p, enum gle_mismatch k,
                          float *values);

/* The coefficients of noise, which stay, and where Ornstein-Uhlenbeck processes start: as far from 0 as they ever
 * are. */
void gle_net_scale_noise(struct gle_net *net);
void gle_net_start_noise(struct gle_net *net);
/* x <- keep x + add z, of an Ornstein-Uhlenbeck process x of variance 1 and normal numbers z. */
struct gle_noise_step {
    float keep, add;
};
struct gle_noise_step gle_net_noise_step(const struct gle_net *net, const struct gle_population *p, enum gle_noise k);
/* Adds the noise of a kind, if there is any in this step, to n rows of a population from `first` on; to, draws: the
 * first of these rows. */
void gle_net_add_noise(struct gle_net *net, const struct gle_population *p, enum gle_noise k, float *to, float *draws,
                       size_t first, size_t n);

/* --- feedback.c --- */

/* What those will read in the next step that get the errors of a population directly: of n rows from `first` on, whose
 * errors e points to, by thread t. */
void gle_net_send_directly(struct gle_net *net, const struct gle_population *p, const float *e, size_t first, size_t n,
                           size_t t);
/* Where weights B align themselves: */

/* Makes the noise of this step that is added to n rows of a population, from `first` on, for those that read it; s: the
 * first of these rows, to which it is added; draws: room for as many. */
void gle_net_stir(struct gle_net *net, const struct gle_population *p, float *s, float *draws, size_t first, size_t n);
/* hp of n new rows of the target of a projection, from `first` on; hp: the first of them. */
void gle_net_pass_high(struct gle_net *net, const struct gle_projection *c, float *hp, size_t first, size_t n);
/* The noise in the rates that the target reads in this step, (B, n_in). */
const float *gle_net_stirred(const struct gle_net *net, const struct gle_projection *c);
/* The step of the part of B that is for thread t, from all rows of hp, and of that noise as the link read it. */
void gle_net_align(struct gle_net *net, const struct gle_projection *c, const float *hp, const float *xi, size_t t);

/* The error of a step or sweep in which one has gone wild, or 0; step: its number. */
int gle_net_check(const struct gle_net *net, uint64_t step, struct gle_error *err);

#endif
