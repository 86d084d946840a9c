#include "solver/loops.h"
#include "base/memory.h"
#include "base/rng.h"
#include "solver/inside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Projections that loops are looked for through: what comes after them is looked at only on the way of others. */
enum { LOOKED_AT_MAX = 4096 };
/* Loops of a set that are measured. */
enum { MEASURED_MAX = 4 };
/* Passes round a loop: those that turn a random error into one that grows most, and those that are measured then. */
enum { FIRST_PASSES = 40, PASSES = 40 };

/* What errors are like. */
enum pace { LASTING, FAST, PACES };

/* Errors go from the target of a projection to its source. */
struct search {
    const struct gle_net *net;
    const struct gle_graph *graph;
    float *factors[PACES]; /* h * phi' of all populations, one behind the other */
    size_t *factors_at;    /* (n_populations): where those of one begin */
    float *error, *sent, *pooled, *rest; /* room for the errors of a population; rest: rates of zero */
    double *grown[PACES];  /* (n_projections): how one random error grows on its way through each */
    size_t *queue, *came;  /* (n_populations): a walk, and the projection that each was come to by */
    size_t *set;           /* (n_populations): one of its set, of which all have the same first one */
    size_t *way, n_way;    /* a loop: projections in the order in which errors go through them */
    double *strength;      /* (n_projections): of the loop through it; below 0: there is none, or it was measured */
};

static bool sends(const struct gle_projection *c)
{
    return c->sends_error && c->source != GLE_SOURCE_INPUT;
}

/* --- ways --- */

/* Walks from a population along errors, in the fewest projections. came: that each was come to by; GLE_NO_PROJECTION:
 * not at all, or it is the first. Stops early at `to`. */
static bool walk(const struct gle_graph *g, size_t from, size_t to, size_t *queue, size_t *came)
{
    size_t first = 0, n = 0;

    for (size_t i = 0; i < g->n_populations; i++)
        came[i] = GLE_NO_PROJECTION;
    queue[n++] = from;
    while (first < n) {
        const struct gle_population *p = &g->populations[queue[first++]];
        for (size_t j = p->first; j < p->first + p->n_in; j++) {
            const struct gle_projection *c = &g->projections[j];
            const size_t next = (size_t)c->source;
            if (!sends(c) || next == from || came[next] != GLE_NO_PROJECTION)
                continue;
            came[next] = j;
            queue[n++] = next;
            if (next == to)
                return true;
        }
    }
    return from == to;
}

bool gle_error_loops_any(const struct gle_graph *graph)
{
    size_t *queue = gle_calloc(graph->n_populations, sizeof *queue);
    size_t *came = gle_calloc(graph->n_populations, sizeof *came);
    bool any = !queue || !came; /* gle_error_loops_find() will tell */

    for (size_t i = 0; i < graph->n_projections && !any; i++) {
        const struct gle_projection *c = &graph->projections[i];
        any = sends(c) && walk(graph, (size_t)c->source, c->target, queue, came);
    }
    gle_free(queue);
    gle_free(came);
    return any;
}

/* The shortest loop through projection i; false: there is none. */
static bool find_way(struct search *s, size_t i)
{
    const struct gle_projection *c = &s->graph->projections[i];
    size_t at = c->target, n = 0;

    if (!walk(s->graph, (size_t)c->source, c->target, s->queue, s->came))
        return false;
    while (at != (size_t)c->source) {
        s->way[n++] = s->came[at];
        at = s->graph->projections[s->came[at]].target;
    }
    s->way[n++] = i;
    for (size_t j = 0; j < n / 2; j++) {
        const size_t other = s->way[j];
        s->way[j] = s->way[n - 1 - j];
        s->way[n - 1 - j] = other;
    }
    s->n_way = n;
    return true;
}

static size_t set_of(const struct search *s, size_t population)
{
    while (s->set[population] != population)
        population = s->set[population];
    return population;
}

static void unite(struct search *s)
{
    const size_t first = set_of(s, s->graph->projections[s->way[0]].target);

    for (size_t j = 1; j < s->n_way; j++)
        s->set[set_of(s, s->graph->projections[s->way[j]].target)] = first;
}

/* --- what errors gain --- */

static double norm(const float *x, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* s->error, of the target, becomes that of the source, of length 1. Returns its length before. */
static double send(struct search *s, size_t i, enum pace pace)
{
    const struct gle_net *net = s->net;
    const struct gle_projection *c = &s->graph->projections[i];
    const struct gle_population *target = gle_population_of(net, c->target);
    const struct gle_link_call call = gle_call_of(net, c, true, 0);
    const float *factors = s->factors[pace] + s->factors_at[c->source];
    float *sent = s->sent;
    double length;

    c->plan.link->back(&call, c->plan.pooling ? s->pooled : sent, c->ld_pool, s->error, target->ld, 1);
    if (c->plan.pooling)
        c->plan.pooling->back(&c->plan, net->kernels, sent, c->ld_in, s->pooled, c->ld_pool, s->rest, 1);
    for (size_t j = 0; j < c->n_in; j++)
        sent[j] *= factors[j];
    length = norm(sent, c->n_in);
    for (size_t j = 0; length > 0.0 && j < c->n_in; j++)
        sent[j] = (float)(sent[j] / length);
    s->sent = s->error;
    s->error = sent;
    return length;
}

static void draw_error(struct search *s, size_t population, struct gle_rng *rng)
{
    const struct gle_population *p = &s->graph->populations[population];
    double length;

    memset(s->error, 0, p->ld * sizeof *s->error);
    for (size_t j = 0; j < p->n; j++)
        s->error[j] = gle_torch_rand(rng) - 0.5f;
    length = norm(s->error, p->n);
    for (size_t j = 0; length > 0.0 && j < p->n; j++)
        s->error[j] = (float)(s->error[j] / length);
}

/* Of the loop s->way. */
static double measure(struct search *s, enum pace pace)
{
    struct gle_rng rng;
    double grown = 0.0;

    gle_rng_seed(&rng, 1);
    draw_error(s, s->graph->projections[s->way[0]].target, &rng);
    for (size_t pass = 0; pass < FIRST_PASSES + PASSES; pass++)
        for (size_t j = 0; j < s->n_way; j++) {
            const double length = send(s, s->way[j], pace);
            if (length == 0.0 || !isfinite(length))
                return length == 0.0 ? 0.0 : INFINITY;
            grown += pass < FIRST_PASSES ? 0.0 : log(length);
        }
    return exp(grown / PASSES);
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
    size_t at = 0;

    for (size_t i = 0; i < s->graph->n_populations; i++) {
        const struct gle_population *p = gle_population_of(net, i);
        float *slope = s->factors[LASTING] + at, *fast = s->factors[FAST] + at;
        for (int u = -1; u <= 1; u++) {
            for (size_t j = 0; j < p->ld; j++)
                s->error[j] = (float)u;
            p->cfg->act->eval(s->sent, s->pooled, s->error, net->act_numbers[i], 1, p->n, p->ld);
            for (size_t j = 0; j < p->n; j++)
                slope[j] = fmaxf(slope[j], fabsf(s->pooled[j]));
        }
        for (size_t j = 0; j < p->n; j++)
            fast[j] = looks_ahead(net) ? slope[j] * (float)gain_of_fast(net, p, j) : slope[j];
        s->factors_at[i] = at;
        at += p->ld;
    }
}

static void try_projections(struct search *s)
{
    struct gle_rng rng;

    gle_rng_seed(&rng, 1);
    for (size_t i = 0; i < s->graph->n_projections; i++)
        for (enum pace pace = 0; sends(&s->graph->projections[i]) && pace < PACES; pace++) {
            draw_error(s, s->graph->projections[i].target, &rng);
            s->grown[pace][i] = send(s, i, pace);
        }
}

/* --- the search --- */

static void find_strengths(struct search *s)
{
    size_t looked_at = 0;

    for (size_t i = 0; i < s->graph->n_populations; i++)
        s->set[i] = i;
    for (size_t i = 0; i < s->graph->n_projections; i++) {
        double strength[PACES] = {1.0, 1.0};
        s->strength[i] = -1.0;
        if (!sends(&s->graph->projections[i]) || looked_at++ >= LOOKED_AT_MAX || !find_way(s, i))
            continue;
        unite(s);
        for (size_t j = 0; j < s->n_way; j++)
            for (enum pace pace = 0; pace < PACES; pace++)
                strength[pace] *= s->grown[pace][s->way[j]];
        s->strength[i] = fmax(strength[LASTING], strength[FAST]);
    }
}

static void write_way(char *buf, const struct search *s)
{
    const struct gle_graph *g = s->graph;
    size_t n = (size_t)snprintf(buf, GLE_LOOP_WAY, "%s", g->populations[g->projections[s->way[0]].target].cfg->name);

    /* errors go from targets to sources, rates the other way round */
    for (size_t j = s->n_way; j-- > 0 && n < GLE_LOOP_WAY;)
        n += (size_t)snprintf(buf + n, GLE_LOOP_WAY - n, " -> %s",
                              g->populations[g->projections[s->way[j]].target].cfg->name);
}

/* The strongest loop of a set. */
static int measure_set(struct gle_error_loop *loop, struct search *s, size_t set, struct gle_error *err)
{
    const struct gle_graph *g = s->graph;
    size_t start = 0;

    loop->gain = -1.0;
    for (size_t k = 0; k < MEASURED_MAX; k++) {
        size_t best = GLE_NO_PROJECTION;
        for (size_t i = 0; i < g->n_projections; i++)
            if (s->strength[i] >= 0.0 && set_of(s, g->projections[i].target) == set &&
                (best == GLE_NO_PROJECTION || s->strength[i] > s->strength[best]))
                best = i;
        if (best == GLE_NO_PROJECTION || !find_way(s, best))
            break;
        for (enum pace pace = 0; pace < PACES; pace++) {
            const double gain = measure(s, pace);
            if (gain <= loop->gain)
                continue;
            loop->gain = gain;
            loop->fast = pace == FAST;
            start = g->projections[best].target;
            write_way(loop->way, s);
        }
        for (size_t j = 0; j < s->n_way; j++)
            s->strength[s->way[j]] = -1.0;
    }
    loop->reaches = gle_calloc(g->n_populations, sizeof *loop->reaches);
    if (!loop->reaches)
        return gle_fail(err, GLE_ENOMEM, "no memory for loops of errors");
    walk(g, start, GLE_NO_POPULATION, s->queue, s->came);
    for (size_t i = 0; i < g->n_populations; i++)
        loop->reaches[i] = i == start || s->came[i] != GLE_NO_PROJECTION;
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
    bool ok = true;

    for (size_t i = 0; i < g->n_populations; i++) {
        all += g->populations[i].ld;
        most = g->populations[i].ld > most ? g->populations[i].ld : most;
    }
    for (enum pace pace = 0; pace < PACES; pace++) {
        ok = (s->factors[pace] = gle_floats(all)) && ok;
        ok = (s->grown[pace] = gle_calloc(g->n_projections, sizeof *s->grown[pace])) && ok;
    }
    ok = (s->error = gle_floats(most + GLE_SLACK)) && ok;
    ok = (s->sent = gle_floats(most + GLE_SLACK)) && ok;
    ok = (s->pooled = gle_floats(most + GLE_SLACK)) && ok;
    ok = (s->rest = gle_floats(most + GLE_SLACK)) && ok;
    ok = (s->factors_at = gle_calloc(g->n_populations, sizeof *s->factors_at)) && ok;
    ok = (s->queue = gle_calloc(g->n_populations, sizeof *s->queue)) && ok;
    ok = (s->came = gle_calloc(g->n_populations, sizeof *s->came)) && ok;
    ok = (s->set = gle_calloc(g->n_populations, sizeof *s->set)) && ok;
    ok = (s->way = gle_calloc(g->n_populations, sizeof *s->way)) && ok;
    ok = (s->strength = gle_calloc(g->n_projections, sizeof *s->strength)) && ok;
    ok = (out->item = gle_calloc(g->n_populations, sizeof *out->item)) && ok;
    return ok ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for loops of errors");
}

static void release(struct search *s)
{
    for (enum pace pace = 0; pace < PACES; pace++) {
        gle_free(s->factors[pace]);
        gle_free(s->grown[pace]);
    }
    gle_free(s->error);
    gle_free(s->sent);
    gle_free(s->pooled);
    gle_free(s->rest);
    gle_free(s->factors_at);
    gle_free(s->queue);
    gle_free(s->came);
    gle_free(s->set);
    gle_free(s->way);
    gle_free(s->strength);
}

int gle_error_loops_find(struct gle_error_loops *out, const struct gle_net *net, struct gle_error *err)
{
    struct search s = {.net = net, .graph = net->graph};
    int rc;

    *out = (struct gle_error_loops){0};
    rc = allocate(&s, out, err);
    if (!rc) {
        find_factors(&s);
        try_projections(&s);
        find_strengths(&s);
    }
    for (size_t i = 0; i < s.graph->n_projections && !rc; i++)
        if (s.strength[i] >= 0.0) {
            const size_t set = set_of(&s, s.graph->projections[i].target);
            rc = measure_set(&out->item[out->n++], &s, set, err);
            for (size_t j = i; j < s.graph->n_projections; j++) /* the set is through */
                if (set_of(&s, s.graph->projections[j].target) == set)
                    s.strength[j] = -1.0;
        }
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
