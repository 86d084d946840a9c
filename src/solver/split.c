#include "solver/split.h"
#include "base/memory.h"

#include <string.h>

/* What takes as long as so many floating-point operations of a product, as measured on two cores that were otherwise
 * idle, with steps of 16 to 80 us. */
static const double STEP = 70.0;        /* elementwise work in a step, for a neuron and row */
static const double NOISE = 110.0;      /* a kind of noise, likewise */
static const double TRACE = 12.0;       /* an eligibility of a group of neurons, for a number that is read, and row */
static const double LEARN = 10.0;       /* elementwise work in learning, for a neuron and row */
static const double WEIGHT = 30.0;      /* the optimizer's step for a weight */
static const double WAIT = 5e5;         /* waiting for all threads */
static const double LEAST = 1e6;        /* what makes a thread worth waiting for: some ten microseconds; */
static const double LEAST_SHARED = 2e6; /* where layers are shared, a step waits twice */

/* By how much work grows where layers are shared: products are smaller, and rates, errors and weights wander between
 * the caches of processors. Measured likewise. */
static const double SHARING = 1.05;

/* A thread takes no part of a layer that is smaller than this part of its work. */
static const double SLIVER = 0.05;

/* What a layer costs in a step, and what more if the step is a learning one, as floating-point operations: products,
 * and the above. */
static double step_cost(const struct gle_graph *graph, const struct gle_population *p, size_t rows)
{
    double flops = (double)p->n * STEP;

    for (size_t k = 0; k < GLE_NOISES; k++)
        flops += p->noise[k].cfg ? (double)p->n * NOISE : 0.0;
    for (size_t i = p->first; i < p->first + p->n_in; i++) {
        const struct gle_projection *c = &graph->projections[i];
        flops += (1.0 + c->sends_error) * c->plan.link->flops(&c->plan);
        if (c->eligibility.copies)
            flops += (double)(p->groups.n * c->n_pool) * TRACE;
    }
    return (double)rows * flops;
}

static double learning_cost(const struct gle_graph *graph, const struct gle_population *p, size_t rows)
{
    double cost = (double)rows * LEARN * (double)p->n;

    for (size_t i = p->first; i < p->first + p->n_in; i++) {
        const struct gle_projection *c = &graph->projections[i];
        if (c->weight->plastic)
            cost += (double)rows * c->plan.link->flops(&c->plan) +
                    (c->feedback_way == GLE_FEEDBACK_FOLLOWS ? 2.0 : 1.0) * WEIGHT *
                        (double)gle_field_size(&c->weight->field);
        if (c->feedback_way == GLE_FEEDBACK_ALIGNS)
            cost += (double)rows * c->plan.link->flops(&c->plan) + WEIGHT * (double)gle_field_size(&c->weight->field);
    }
    return cost;
}

static double sum(const double *costs, size_t n)
{
    double total = 0.0;

    for (size_t i = 0; i < n; i++)
        total += costs[i];
    return total;
}

/* --- whole layers --- */

/* How many threads are needed when none may have more than `most` work; makes the cuts if there are enough. */
static size_t cut_between(struct gle_cut *cuts, const double *costs, size_t n, double most)
{
    size_t threads = 1;
    double load = 0.0;

    for (size_t i = 0; i < n; i++) {
        if (i && load + costs[i] > most) {
            if (cuts)
                cuts[threads] = (struct gle_cut){.layer = i};
            threads++;
            load = 0.0;
        }
        load += costs[i];
    }
    if (cuts)
        cuts[threads] = (struct gle_cut){.layer = n};
    return threads;
}

/* The least that the busiest thread may have to do (by bisection). */
static double least_load(const double *costs, size_t n, size_t threads)
{
    double low = 0.0, high = sum(costs, n);

    for (size_t i = 0; i < n; i++)
        low = costs[i] > low ? costs[i] : low;
    if (cut_between(NULL, costs, n, low) <= threads)
        return low;
    for (int i = 0; i < 50; i++) {
        const double middle = 0.5 * (low + high);
        if (cut_between(NULL, costs, n, middle) > threads)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* --- shared layers --- */

/* The same work to every thread. */
static void cut_evenly(struct gle_cut *cuts, const double *costs, size_t n, size_t threads)
{
    const double load = sum(costs, n) / (double)threads;
    double begin = 0.0; /* of layer i */
    size_t i = 0;

    cuts[0] = (struct gle_cut){.layer = 0};
    for (size_t t = 1; t < threads; t++) {
        const double at = load * (double)t;
        while (i < n && begin + costs[i] < at + SLIVER * load)
            begin += costs[i++];
        cuts[t] = (struct gle_cut){.layer = i};
        if (i < n && at > begin + SLIVER * load)
            cuts[t].part = (at - begin) / costs[i];
    }
    cuts[threads] = (struct gle_cut){.layer = n};
}

static bool may_share(const struct gle_graph *graph, const struct gle_kernels *kernels)
{
    for (size_t i = 0; i < graph->n_projections; i++) {
        const struct gle_link_plan *plan = &graph->projections[i].plan;
        if (plan->link->rows_apart && !plan->link->rows_apart(plan, kernels))
            return false;
    }
    for (size_t i = 0; i < graph->n_directs; i++) {
        const struct gle_link_plan *plan = &graph->directs[i].plan;
        if (plan->link->rows_apart && !plan->link->rows_apart(plan, kernels))
            return false;
    }
    return true;
}

/* --- the split --- */

static size_t fewer(size_t threads, double worth)
{
    return worth < 1.0 ? 1 : (double)threads < worth ? threads : (size_t)worth;
}

static int allocate(struct gle_split *split, size_t n_threads, struct gle_error *err)
{
    *split = (struct gle_split){.steps = gle_calloc(n_threads + 1, sizeof *split->steps),
                                .learning = gle_calloc(n_threads + 1, sizeof *split->learning)};
    if (split->steps && split->learning)
        return 0;
    gle_split_clear(split);
    return gle_fail(err, GLE_ENOMEM, "no memory for the work of %zu threads", n_threads);
}

int gle_split_make(struct gle_split *split, const struct gle_graph *graph, const struct gle_kernels *kernels,
                   size_t n_threads, struct gle_error *err)
{
    const size_t n = graph->n_populations, rows = graph->train_rows;
    double *steps = gle_calloc(3 * n, sizeof *steps), *learning, *both, work, load;
    size_t threads;

    *split = (struct gle_split){0};
    if (!steps)
        return gle_fail(err, GLE_ENOMEM, "no memory for the work of threads");
    learning = steps + n;
    both = learning + n;
    for (size_t i = 0; i < n; i++) {
        const struct gle_population *p = &graph->populations[i];
        steps[i] = step_cost(graph, p, rows);
        learning[i] = learning_cost(graph, p, rows);
        both[i] = steps[i] + learning[i];
    }
    work = sum(both, n);
    load = least_load(both, n, fewer(n_threads, work / LEAST));
    threads = fewer(n_threads, work / LEAST_SHARED);
    if (allocate(split, n < n_threads ? n_threads : n, err)) {
        gle_free(steps);
        return -1;
    }
    split->shared = SHARING * work / (double)threads + WAIT < load && may_share(graph, kernels);
    if (split->shared) {
        split->n_threads = threads;
        cut_evenly(split->steps, steps, n, threads);
        cut_evenly(split->learning, learning, n, threads);
    } else {
        split->n_threads = cut_between(split->steps, both, n, load);
        memcpy(split->learning, split->steps, (split->n_threads + 1) * sizeof *split->steps);
    }
    gle_free(steps);
    return 0;
}

void gle_split_clear(struct gle_split *split)
{
    gle_free(split->steps);
    gle_free(split->learning);
    *split = (struct gle_split){0};
}
