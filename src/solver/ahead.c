#include "solver/ahead.h"
#include "base/memory.h"
#include "solver/inside.h"
#include "solver/loop_sets.h"

#include <math.h>

/* The ratio of a layer; 0: nothing learns from its errors, or they do not look far. */
static double ratio_of(const struct gle_net *net, const struct gle_population *p)
{
    const float *tau_m = gle_param_of(net, p->tau_m), *tau_r = gle_param_of(net, p->tau_r);
    double squares = 0.0, ratio;

    if (!p->needs_error)
        return 0.0;
    for (size_t j = 0; j < p->n; j++) {
        const double m = gle_net_used_tau(net, p, GLE_MISMATCH_ERROR_TAU_M, j, (double)tau_m[j]);
        const double r = gle_net_used_tau(net, p, GLE_MISMATCH_ERROR_TAU_R, j, (double)tau_r[j]);
        squares += m / r * (m / r);
    }
    ratio = sqrt(squares / (double)p->n);
    return ratio > GLE_AHEAD_FAR ? ratio : 0.0;
}

/* Sets of layers that errors come back to (loop_sets.h), each with the best series that ends in it. */
struct way {
    double gain; /* the product of ratios; 0: no error of the output comes there */
    size_t from; /* the set before it; GLE_NO_POPULATION: none whose errors look far */
};

/* Errors begin at the output, and go on to sets of lower numbers. A set first has what comes into it. */
static void find_ways(struct way *ways, const double *ratios, const struct gle_loop_sets *sets, size_t n, size_t output)
{
    for (size_t set = 0; set < n; set++)
        ways[set] = (struct way){.gain = set == sets->of[output] ? 1.0 : 0.0, .from = GLE_NO_POPULATION};
    for (size_t set = n; set-- > 0;) {
        for (size_t i = 0; i < n; i++)
            if (sets->of[i] == set && ratios[i] > 0.0)
                ways[set].gain *= ratios[i];
        for (size_t k = 0; k < sets->n_edges; k++) {
            struct way *to = &ways[sets->of[sets->edges[k].to]];
            if (sets->of[sets->edges[k].from] == set && to != &ways[set] && ways[set].gain > to->gain)
                *to = (struct way){.gain = ways[set].gain, .from = set};
        }
    }
}

/* The layers of the sets on the way to the one with the largest gain, which are found from behind. */
static void follow(struct gle_ahead_series *out, const struct way *ways, const double *ratios, const size_t *of,
                   size_t n)
{
    size_t last = 0, at = 0;

    for (size_t set = 0; set < n; set++)
        last = ways[set].gain > ways[last].gain ? set : last;
    out->gain = ways[last].gain;
    for (size_t set = last; set != GLE_NO_POPULATION; set = ways[set].from)
        for (size_t i = 0; i < n; i++) /* the first of a loop is the furthest from the output */
            if (of[i] == set && ratios[i] > 0.0)
                out->item[at++] = (struct gle_ahead_layer){.population = i, .ratio = ratios[i]};
    out->n = at;
    for (size_t i = 0; i < at / 2; i++) {
        const struct gle_ahead_layer swapped = out->item[i];
        out->item[i] = out->item[at - 1 - i];
        out->item[at - 1 - i] = swapped;
    }
}

int gle_ahead_find(struct gle_ahead_series *out, const struct gle_net *net, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;
    struct gle_loop_sets sets = {0};
    double *ratios = gle_calloc(g->n_populations, sizeof *ratios);
    struct way *ways = gle_calloc(g->n_populations, sizeof *ways);
    int rc = 0;

    *out = (struct gle_ahead_series){.item = gle_calloc(g->n_populations, sizeof *out->item)};
    if (!ratios || !ways || !out->item)
        rc = gle_fail(err, GLE_ENOMEM, "no memory for layers that look ahead");
    if (!rc && g->exp->rule->looks_ahead)
        rc = gle_loop_sets_find(&sets, g, err);
    for (size_t i = 0; i < g->n_populations && !rc; i++)
        ratios[i] = g->exp->rule->looks_ahead ? ratio_of(net, &g->populations[i]) : 0.0;
    if (!rc && sets.of) {
        find_ways(ways, ratios, &sets, g->n_populations, g->exp->output);
        follow(out, ways, ratios, sets.of, g->n_populations);
    }
    gle_loop_sets_clear(&sets);
    gle_free(ways);
    gle_free(ratios);
    return rc;
}

void gle_ahead_clear(struct gle_ahead_series *series)
{
    gle_free(series->item);
    *series = (struct gle_ahead_series){0};
}
