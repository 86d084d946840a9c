#include "solver/loops.h"
#include "base/memory.h"
#include "base/rng.h"
#include "solver/inside.h"
#include "solver/loop_sets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rounds of a set that turn random errors into those that grow most, and as many that are measured then: a round has as
 * many steps as the shortest ways round the set have in common. Of short rounds there are more. */
enum { ROUNDS = 40, STEPS_LEAST = 100 };

/* What errors are like. */
enum pace { LASTING, FAST, PACES };

struct search {
    const struct gle_net *net;
    const struct gle_graph *graph;
    struct gle_loop_sets sets;
    float *factors[PACES];     /* h * phi' of all populations, one behind the other */
    size_t *at;                /* (n_populations): where those of one begin */
    float *errors, *coming;    /* likewise: errors, and those of the next step */
    float *sent, *pooled, *rest; /* room for the errors of a population; rest: rates of zero */
    size_t *level, *queue;     /* (n_populations): steps from the first of its set; a walk */
    /* Of a set: its populations, by classes, of which errors go from each to the next one in a step. Where that leads
     * round again is the period, 1 if errors come back on ways of all lengths. */
    size_t *members, *classes; /* (n_populations); (period + 1): where those of a class begin */
    size_t period;
    bool *reached;
};

bool gle_error_loops_any(const struct gle_graph *graph)
{
    struct gle_loop_sets sets;
    struct gle_error err = {0};
    bool any = gle_loop_sets_find(&sets, graph, &err) != 0; /* gle_error_loops_find() will tell */

    for (size_t i = 0; i < sets.n_edges && !any; i++)
        any = gle_loop_sets_hold(&sets, &sets.edges[i]);
    gle_loop_sets_clear(&sets);
    return any;
}

/* --- what errors gain --- */

static double norm(const float *x, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* Adds what an edge brings of the errors. */
static void send(struct search *s, const struct gle_error_edge *edge)
{
    const struct gle_net *net = s->net;
    const size_t ld = gle_population_of(net, edge->from)->ld, n = gle_population_of(net, edge->to)->n;
    const float *errors = s->errors + s->at[edge->from];
    float *to = s->coming + s->at[edge->to];

    if (edge->projection == GLE_NO_PROJECTION) {
        const struct gle_direct *d = &s->graph->directs[edge->direct];
        const struct gle_link_call call = gle_direct_call_of(net, d, 0);
        d->plan.link->forward(&call, s->sent, gle_population_of(net, edge->to)->ld, errors, ld, 1);
    } else {
        const struct gle_projection *c = &s->graph->projections[edge->projection];
        const struct gle_link_call call = gle_call_of(net, c, true, 0);
        c->plan.link->back(&call, c->plan.pooling ? s->pooled : s->sent, c->ld_pool, errors, ld, 1);
        if (c->plan.pooling)
            c->plan.pooling->back(&c->plan, net->kernels, s->sent, c->ld_in, s->pooled, c->ld_pool, s->rest, 1);
    }
    for (size_t j = 0; j < n; j++)
        to[j] += s->sent[j];
}

/* The errors of `coming`, of the populations that are listed, of length 1 together. Returns their length before. */
static double normalise(struct search *s, const size_t *list, size_t n)
{
    double sum = 0.0, length;

    for (size_t k = 0; k < n; k++) {
        const double one = norm(s->coming + s->at[list[k]], gle_population_of(s->net, list[k])->n);
        sum += one * one;
    }
    length = sqrt(sum);
    for (size_t k = 0; k < n && length > 0.0; k++)
        for (size_t j = 0; j < gle_population_of(s->net, list[k])->n; j++)
            s->coming[s->at[list[k]] + j] = (float)(s->coming[s->at[list[k]] + j] / length);
    return length;
}

static void swap_errors(struct search *s)
{
    float *errors = s->errors;

    s->errors = s->coming;
    s->coming = errors;
}

static void clear(struct search *s, float *errors, size_t population)
{
    memset(errors + s->at[population], 0, gle_population_of(s->net, population)->ld * sizeof *errors);
}

/* Random errors of the populations of the first class, from which those of all others come. */
static void draw_errors(struct search *s)
{
    const size_t *list = s->members, n = s->classes[1];
    struct gle_rng rng;

    gle_rng_seed(&rng, 1);
    for (size_t k = 0; k < n; k++) {
        clear(s, s->coming, list[k]);
        for (size_t j = 0; j < gle_population_of(s->net, list[k])->n; j++)
            s->coming[s->at[list[k]] + j] = gle_torch_rand(&rng) - 0.5f;
    }
    (void)normalise(s, list, n);
    swap_errors(s);
}

/* One step of errors within the set, from the populations of one class to those of the next. Returns what it multiplies
 * their length by. */
static double step(struct search *s, size_t class, enum pace pace)
{
    const size_t next = (class + 1) % s->period, n = s->classes[next + 1] - s->classes[next];
    const size_t *list = s->members + s->classes[next];
    double length;

    for (size_t k = 0; k < n; k++)
        clear(s, s->coming, list[k]);
    for (size_t k = s->classes[class]; k < s->classes[class + 1]; k++)
        for (size_t i = s->sets.starts[s->members[k]]; i < s->sets.starts[s->members[k] + 1]; i++)
            if (gle_loop_sets_hold(&s->sets, &s->sets.edges[i]))
                send(s, &s->sets.edges[i]);
    for (size_t k = 0; k < n; k++)
        for (size_t j = 0; j < gle_population_of(s->net, list[k])->n; j++)
            s->coming[s->at[list[k]] + j] *= s->factors[pace][s->at[list[k]] + j];
    length = normalise(s, list, n);
    swap_errors(s);
    return length;
}

/* The spectral radius of a step. */
static double measure(struct search *s, enum pace pace)
{
    const size_t rounds = (STEPS_LEAST + s->period - 1) / s->period, least = rounds > ROUNDS ? rounds : ROUNDS;
    const size_t n_steps = least * s->period;
    double grown = 0.0;

    draw_errors(s);
    for (size_t t = 0; t < 2 * n_steps; t++) {
        const double length = step(s, t % s->period, pace);
        if (length == 0.0 || !isfinite(length))
            return length == 0.0 ? 0.0 : INFINITY;
        grown += t < n_steps ? 0.0 : log(length);
    }
    return exp(grown / (double)n_steps);
}

static bool looks_ahead(const struct gle_net *net)
{
    return net->rule.error == net->kernels->error_prospective;
}

/* What errors of neuron j that alternate from step to step become by looking ahead. */
static double gain_of_fast(const struct gle_net *net, const struct gle_population *p, size_t j)
{
    const double given_m = (double)gle_param_of(net, p->tau_m)[j], given_r = (double)gle_param_of(net, p->tau_r)[j];
    const double tau_m = gle_net_used_tau(net, p, GLE_MISMATCH_ERROR_TAU_M, j, given_m);
    const double tau_r = gle_net_used_tau(net, p, GLE_MISMATCH_ERROR_TAU_R, j, given_r);
    const double dt = net->graph->exp->dt, leak = -expm1(-dt / tau_r);

    if (net->graph->exp->exponential)
        return fabs(2.0 * tau_m / tau_r - leak) / (2.0 - leak);
    return (2.0 * tau_m - dt) / fmax(2.0 * tau_r - dt, 0.5 * dt);
}

static void find_factors(struct search *s)
{
    const struct gle_net *net = s->net;

    for (size_t i = 0; i < s->graph->n_populations; i++) {
        const struct gle_population *p = gle_population_of(net, i);
        float *slope = s->factors[LASTING] + s->at[i], *fast = s->factors[FAST] + s->at[i];
        for (int u = -1; u <= 1; u++) {
            for (size_t j = 0; j < p->ld; j++)
                s->errors[j] = (float)u;
            p->cfg->act->eval(s->sent, s->pooled, s->errors, net->act_numbers[i], 1, p->n, p->ld);
            for (size_t j = 0; j < p->n; j++)
                slope[j] = fmaxf(slope[j], fabsf(s->pooled[j]));
        }
        for (size_t j = 0; j < p->n; j++)
            fast[j] = looks_ahead(net) ? slope[j] * (float)gain_of_fast(net, p, j) : slope[j];
    }
}

/* --- the search --- */

static size_t common_divisor(size_t a, size_t b)
{
    while (b) {
        const size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Walks from a population along errors, to all that it leads to or, `inner`, to those of its set: marks them as
 * reached, with the fewest steps to each. */
static void walk(struct search *s, size_t from, bool inner)
{
    size_t first = 0, n = 0;

    memset(s->reached, 0, s->graph->n_populations * sizeof *s->reached);
    s->reached[from] = true;
    s->level[from] = 0;
    s->queue[n++] = from;
    while (first < n) {
        const size_t here = s->queue[first++];
        for (size_t i = s->sets.starts[here]; i < s->sets.starts[here + 1]; i++) {
            const struct gle_error_edge *edge = &s->sets.edges[i];
            if (s->reached[edge->to] || (inner && !gle_loop_sets_hold(&s->sets, edge)))
                continue;
            s->reached[edge->to] = true;
            s->level[edge->to] = s->level[here] + 1;
            s->queue[n++] = edge->to;
        }
    }
}

/* What the lengths of all ways round the set of the populations that are listed have in common, from their levels. */
static size_t find_period(const struct search *s, const size_t *list, size_t n)
{
    size_t period = 0;

    for (size_t k = 0; k < n; k++)
        for (size_t i = s->sets.starts[list[k]]; i < s->sets.starts[list[k] + 1]; i++) {
            const struct gle_error_edge *edge = &s->sets.edges[i];
            if (gle_loop_sets_hold(&s->sets, edge)) /* the level of a target is at most one more */
                period = common_divisor(s->level[edge->from] + 1 - s->level[edge->to], period);
        }
    return period;
}

/* Puts the populations of a set that are listed in classes. */
static void find_classes(struct search *s, const size_t *list, size_t n)
{
    s->period = find_period(s, list, n);
    memset(s->classes, 0, (s->period + 1) * sizeof *s->classes);
    for (size_t k = 0; k < n; k++)
        s->classes[s->level[list[k]] % s->period]++;
    for (size_t class = 1; class <= s->period; class++) /* counts become ends, which move back to where they begin */
        s->classes[class] += s->classes[class - 1];
    for (size_t k = n; k-- > 0;)
        s->members[--s->classes[s->level[list[k]] % s->period]] = list[k];
}

/* Where errors go on to within the set; GLE_NO_POPULATION: to more than one. */
static size_t only_way(const struct search *s, size_t from)
{
    size_t to = GLE_NO_POPULATION;

    for (size_t i = s->sets.starts[from]; i < s->sets.starts[from + 1]; i++) {
        const struct gle_error_edge *edge = &s->sets.edges[i];
        if (!gle_loop_sets_hold(&s->sets, edge) || edge->to == to)
            continue;
        if (to != GLE_NO_POPULATION)
            return GLE_NO_POPULATION;
        to = edge->to;
    }
    return to;
}

/* Names, the first one first, with words between them; cut after whole names. */
static void write_names(char *buf, const struct search *s, const size_t *list, size_t n, bool ring)
{
    static const char more[] = ", ...";
    size_t at = 0;

    *buf = '\0';
    for (size_t k = 0; k < n + (ring ? 1 : 0); k++) {
        const char *name = s->graph->populations[list[k % n]].cfg->name;
        const char *between = !k ? "" : ring ? " -> " : k + 1 < n ? ", " : " and ";
        if (at + strlen(between) + strlen(name) + sizeof more > GLE_LOOP_LAYERS) {
            snprintf(buf + at, GLE_LOOP_LAYERS - at, "%s", ring ? " -> ..." : more);
            return;
        }
        at += (size_t)snprintf(buf + at, GLE_LOOP_LAYERS - at, "%s%s", between, name);
    }
}

/* The set of a population, where errors go round in it. list: room for all populations. */
static int measure_set(struct gle_error_loop *loop, struct search *s, size_t first, size_t *list,
                       struct gle_error *err)
{
    const struct gle_graph *g = s->graph;
    size_t n = 0;

    for (size_t i = 0; i < g->n_populations; i++)
        if (s->sets.of[i] == s->sets.of[first])
            list[n++] = i;
    walk(s, first, true);
    find_classes(s, list, n);
    *loop = (struct gle_error_loop){.ring = true, .gain = -1.0};
    for (size_t k = 0; k < n; k++)
        loop->ring = loop->ring && only_way(s, list[k]) != GLE_NO_POPULATION;
    for (enum pace pace = 0; pace < PACES; pace++) {
        const double of_step = measure(s, pace);
        const double gain = loop->ring ? pow(of_step, (double)n) : of_step;
        if (gain <= loop->gain)
            continue;
        loop->gain = gain;
        loop->fast = pace == FAST;
    }
    for (size_t k = 1, at = only_way(s, first); loop->ring && k < n; k++, at = only_way(s, at))
        list[n - k] = at; /* errors go from targets to sources, rates the other way round */
    write_names(loop->layers, s, list, n, loop->ring);
    walk(s, first, false);
    loop->reaches = gle_calloc(g->n_populations, sizeof *loop->reaches);
    if (!loop->reaches)
        return gle_fail(err, GLE_ENOMEM, "no memory for loops of errors");
    memcpy(loop->reaches, s->reached, g->n_populations * sizeof *loop->reaches);
    return 0;
}

static int stronger(const void *a, const void *b)
{
    const struct gle_error_loop *one = a, *other = b;

    return (one->gain < other->gain) - (one->gain > other->gain);
}

static int allocate(struct search *s, struct gle_error_loops *out, struct gle_error *err)
{
    const struct gle_graph *g = s->graph;
    size_t all = GLE_SLACK, most = g->ld_input;
    bool ok;

    if (gle_loop_sets_find(&s->sets, g, err))
        return -1;
    ok = (s->at = gle_calloc(g->n_populations, sizeof *s->at)) != NULL;
    for (size_t i = 0; i < g->n_populations && s->at; i++) {
        s->at[i] = all - GLE_SLACK;
        all += g->populations[i].ld;
        most = g->populations[i].ld > most ? g->populations[i].ld : most;
    }
    for (enum pace pace = 0; pace < PACES; pace++)
        ok = (s->factors[pace] = gle_floats(all)) && ok;
    ok = (s->errors = gle_floats(all)) && ok;
    ok = (s->coming = gle_floats(all)) && ok;
    ok = (s->sent = gle_floats(most + GLE_SLACK)) && ok;
    ok = (s->pooled = gle_floats(most + GLE_SLACK)) && ok;
    ok = (s->rest = gle_floats(most + GLE_SLACK)) && ok;
    ok = (s->level = gle_calloc(g->n_populations, sizeof *s->level)) && ok;
    ok = (s->queue = gle_calloc(g->n_populations, sizeof *s->queue)) && ok;
    ok = (s->members = gle_calloc(g->n_populations, sizeof *s->members)) && ok;
    ok = (s->classes = gle_calloc(g->n_populations + 1, sizeof *s->classes)) && ok;
    ok = (s->reached = gle_calloc(g->n_populations, sizeof *s->reached)) && ok;
    ok = (out->item = gle_calloc(g->n_populations, sizeof *out->item)) && ok;
    return ok ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for loops of errors");
}

static void release(struct search *s)
{
    gle_loop_sets_clear(&s->sets);
    for (enum pace pace = 0; pace < PACES; pace++)
        gle_free(s->factors[pace]);
    gle_free(s->at);
    gle_free(s->errors);
    gle_free(s->coming);
    gle_free(s->sent);
    gle_free(s->pooled);
    gle_free(s->rest);
    gle_free(s->level);
    gle_free(s->queue);
    gle_free(s->members);
    gle_free(s->classes);
    gle_free(s->reached);
}

/* Whether errors go round in the set of a population, which is the first one of it. */
static bool begins_loop(const struct search *s, size_t population)
{
    bool any = false;

    for (size_t i = 0; i < population; i++)
        if (s->sets.of[i] == s->sets.of[population])
            return false;
    for (size_t i = s->sets.starts[population]; i < s->sets.starts[population + 1]; i++)
        any = any || gle_loop_sets_hold(&s->sets, &s->sets.edges[i]);
    return any;
}

int gle_error_loops_find(struct gle_error_loops *out, const struct gle_net *net, struct gle_error *err)
{
    struct search s = {.net = net, .graph = net->graph};
    size_t *list = gle_calloc(net->graph->n_populations, sizeof *list);
    int rc;

    *out = (struct gle_error_loops){0};
    rc = list ? allocate(&s, out, err) : gle_fail(err, GLE_ENOMEM, "no memory for loops of errors");
    if (!rc)
        find_factors(&s);
    for (size_t i = 0; i < s.graph->n_populations && !rc; i++)
        if (begins_loop(&s, i))
            rc = measure_set(&out->item[out->n++], &s, i, list, err);
    gle_free(list);
    release(&s);
    if (!rc)
        qsort(out->item, out->n, sizeof *out->item, stronger);
    return rc;
}

void gle_error_loops_clear(struct gle_error_loops *loops)
{
    for (size_t i = 0; i < loops->n; i++)
        gle_free(loops->item[i].reaches);
    gle_free(loops->item);
    *loops = (struct gle_error_loops){0};
}
