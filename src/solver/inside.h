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
    const struct gle_act **act; /* per population */
    const struct gle_loss *loss;
    const struct gle_optimizer *optimizer;

    float *slabs[GLE_ROLES]; /* of derived variables, if the graph is not observed: one for each place */
    float *grads, *kept;     /* like the slab of parameters */
    float *moments[GLE_MOMENTS_MAX];
    float *input, *target, *top_error, *output_sum;
    bool *learns;     /* per parameter: it learns now */
    uint64_t *missed; /* per parameter: optimizer steps that passed while it was held, though plastic */

    struct gle_split split;
    size_t B;
    uint64_t steps;     /* since init */
    bool errorless;     /* the last step left errors out */
    uint64_t updates;   /* optimizer steps since init */
    struct gle_team *team;
    bool borrows; /* the team, of another net */
    int *wild;        /* per thread and population: NaN or Inf in this step, or in this sweep */
    double *row_loss; /* of the output before the step, of each row, or, if none is shared, of all in the first */
    const struct gle_step *step; /* the one being taken */
    struct gle_optimizer_step optimizer_step; /* of parameters that were never held */

    bool taping;         /* a window is open */
    size_t taped;        /* steps in it; after the window was closed, those that it had */
    bool *tape_unasked;  /* (tape_steps): of these, those without a target */
    size_t sweep;        /* how far the sweep is */
    const struct gle_rule *how; /* what the sweep follows */

    bool profiling;
    struct gle_laps *laps;                 /* per thread */
    double shared_seconds, thread_seconds; /* of what threads did side by side; the same, times their number */
};

/* Values in single precision may be so much below the dt that a config has in double precision. */
#define GLE_TAU_TOLERANCE 1e-6

static inline const struct gle_population *gle_population_of(const struct gle_net *net, size_t i)
{
    return &net->graph->populations[i];
}

static inline const struct gle_population *gle_top_of(const struct gle_net *net)
{
    return gle_population_of(net, net->graph->n_populations - 1);
}

/* The projection through which a population reads. */
static inline const struct gle_projection *gle_source_of(const struct gle_net *net, const struct gle_population *p)
{
    return &net->graph->projections[p->in];
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

/* What the last step left of a state, and where the next one puts its own. */
static inline float *gle_old_of(const struct gle_net *net, const struct gle_field *f)
{
    return gle_field_of(net, f, net->steps % f->copies);
}

static inline float *gle_new_of(const struct gle_net *net, const struct gle_field *f)
{
    return gle_field_of(net, f, (net->steps + 1) % f->copies);
}

/* Whether a parameter learns now. */
static inline bool gle_learns(const struct gle_net *net, const struct gle_parameter *p)
{
    return net->learns[p - net->graph->parameters];
}

static inline float *gle_param_of(const struct gle_net *net, const struct gle_parameter *p)
{
    return gle_field_of(net, &p->field, 0);
}

static inline float *gle_grad_of(const struct gle_net *net, const struct gle_parameter *p)
{
    return net->grads + p->field.place;
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

/* What follows from a parameter that was changed, for n neurons from `first` on: W transposed, or the coefficients that
 * are made of time constants. */
void gle_net_follow(struct gle_net *net, const struct gle_parameter *p, size_t first, size_t n);
/* The same of all parameters. */
void gle_net_follow_all(struct gle_net *net);

/* What lies between the cuts of thread t: work(net, population, range, t) for each population. Rows of the batch, or
 * neurons. */
struct gle_range {
    size_t first, n;
};
typedef void gle_net_work(struct gle_net *net, size_t i, struct gle_range range, size_t t);
void gle_net_steps_of(struct gle_net *net, size_t t, gle_net_work *work);
void gle_net_learning_of(struct gle_net *net, size_t t, gle_net_work *work);

/* The optimizer's step along net->grads, for neurons of population i, by thread t. */
void gle_net_descend(struct gle_net *net, size_t i, struct gle_range neurons, size_t t);

/* Keeps on the tape what population i, whose step has just been made on thread t, read and left in some rows; e_above:
 * the errors that it had from above, of all rows. */
void gle_net_tape(struct gle_net *net, size_t i, struct gle_range rows, size_t t, const float *e_above);

/* Whether a population has gone wild, on any thread. */
bool gle_net_is_wild(const struct gle_net *net, size_t i);
/* The error of a step or sweep in which one has gone wild, or 0. */
int gle_net_check(const struct gle_net *net, struct gle_error *err);

#endif
