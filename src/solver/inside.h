/* inside.h - what a net is made of, for the files of this folder alone. */
#ifndef GLE_SOLVER_INSIDE_H
#define GLE_SOLVER_INSIDE_H

#include "kernel/kernel.h"
#include "parts/activation.h"
#include "parts/loss.h"
#include "parts/optimizer.h"
#include "parts/rule.h"
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
    const struct gle_act **act; /* per layer */
    const struct gle_loss *loss;
    const struct gle_optimizer *optimizer;

    float *params, *grads, *kept;
    float *moments[GLE_MOMENTS_MAX];
    float *state, *coefs, *scratch;
    float *input, *target, *top_error, *output_sum;
    float *tape, *adjoints;         /* of windows */
    bool (*plastic)[GLE_PARAMS];    /* per layer: what learns now */
    uint64_t (*missed)[GLE_PARAMS]; /* per layer: optimizer steps that passed while a plastic parameter was held */

    struct gle_split split;
    size_t B;
    int now;            /* which of two copies is that of the last step */
    uint64_t steps;     /* since init */
    bool errorless;     /* the last step left errors out */
    uint64_t updates;   /* optimizer steps since init */
    struct gle_team *team;
    bool borrows; /* the team, of another net */
    int *wild;        /* per thread and layer: NaN or Inf in this step, or in this sweep */
    double *row_loss; /* of the output before the step, of each row, or, if no layer is shared, of all in the first */
    const struct gle_step *step; /* the one being taken */
    struct gle_optimizer_step optimizer_step; /* of parameters that were never held */

    bool taping;         /* a window is open */
    size_t taped;        /* steps in it; after the window was closed, those that it had */
    size_t sweep;        /* how far the sweep is */
    const struct gle_rule *how; /* what the sweep follows */

    bool profiling;
    struct gle_laps *laps;                 /* per thread */
    double shared_seconds, thread_seconds; /* of what threads did side by side; the same, times their number */
};

static inline const struct gle_graph_layer *gle_layer_of(const struct gle_net *net, size_t i)
{
    return &net->graph->layers[i];
}

static inline const struct gle_graph_layer *gle_top_of(const struct gle_net *net)
{
    return gle_layer_of(net, net->graph->n_layers - 1);
}

static inline float *gle_coef_of(const struct gle_net *net, const struct gle_graph_layer *l, enum gle_coef which)
{
    return net->coefs + l->coef + (size_t)which * l->ld;
}

static inline float *gle_var_of(const struct gle_net *net, const struct gle_graph_layer *l, enum gle_var v, int copy)
{
    return net->state + l->var[v][copy];
}

/* Where derived variables of layer i are kept for learning, of which thread t computes some or all; places below
 * n_threads are the threads' own. */
static inline size_t gle_place_of(const struct gle_net *net, size_t i, size_t t)
{
    return net->split.shared ? net->split.n_threads + i : t;
}

static inline float *gle_derived_of(const struct gle_net *net, const struct gle_graph_layer *l, enum gle_var v,
                                    size_t place)
{
    return net->graph->observed ? gle_var_of(net, l, v, 0)
                                : net->scratch + place * net->graph->scratch_floats + l->var[v][0];
}

/* What threads have found wild lies on different lines of cache. */
static inline size_t gle_wild_apart(const struct gle_graph *graph)
{
    return (graph->n_layers + 15) / 16 * 16;
}

static inline int *gle_wild_of(const struct gle_net *net, size_t i, size_t t)
{
    return &net->wild[t * gle_wild_apart(net->graph) + i];
}

/* Entry t of a tape. */
static inline float *gle_tape_of(const struct gle_net *net, const struct gle_graph_layer *l, enum gle_tape tape,
                                 size_t t)
{
    return net->tape + l->tape[tape] + t * net->B * (tape == GLE_TAPE_BELOW_BAR ? l->ld_in : l->ld);
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

/* What follows from parameters that were changed: W transposed, n rows of it from `first` on; the coefficients made of
 * tau_m, likewise. */
void gle_net_follow_weight(struct gle_net *net, const struct gle_graph_layer *l, size_t first, size_t n);
void gle_net_follow_tau_m(struct gle_net *net, const struct gle_graph_layer *l, size_t first, size_t n);

/* What lies between the cuts of thread t: work(net, layer, range, t) for each layer. Rows of the batch, or neurons. */
struct gle_range {
    size_t first, n;
};
typedef void gle_net_work(struct gle_net *net, size_t i, struct gle_range range, size_t t);
void gle_net_steps_of(struct gle_net *net, size_t t, gle_net_work *work);
void gle_net_learning_of(struct gle_net *net, size_t t, gle_net_work *work);

/* The optimizer's step along net->grads, for neurons of layer i, by thread t. */
void gle_net_descend(struct gle_net *net, size_t i, struct gle_range neurons, size_t t);

/* Keeps on the tape what layer i, whose step has just been made on thread t, read and left in some rows; e_above: the
 * errors that it had from above, of all rows. */
void gle_net_tape(struct gle_net *net, size_t i, struct gle_range rows, size_t t, const float *e_above);

/* Whether a layer has gone wild, on any thread. */
bool gle_net_is_wild(const struct gle_net *net, size_t i);
/* The error of a step or sweep in which a layer has gone wild, or 0. */
int gle_net_check(const struct gle_net *net, struct gle_error *err);

#endif
