#include "solver/loop_sets.h"
#include "base/memory.h"

/* --- edges --- */

static struct gle_error_edge edge_of_projection(const struct gle_graph *g, size_t i)
{
    const struct gle_projection *c = &g->projections[i];

    return (struct gle_error_edge){.from = c->target, .to = (size_t)c->source, .projection = i};
}

static struct gle_error_edge edge_of_direct(const struct gle_graph *g, size_t i)
{
    const struct gle_direct *d = &g->directs[i];

    return (struct gle_error_edge){.from = d->from, .to = d->to, .projection = GLE_NO_PROJECTION, .direct = i};
}

static bool sends(const struct gle_projection *c)
{
    return c->sends_error && c->source != GLE_SOURCE_INPUT;
}

/* Puts an edge behind the others of its population; without `edges`, counts it. */
static void add_edge(struct gle_loop_sets *e, struct gle_error_edge edge)
{
    if (e->edges)
        e->edges[e->starts[edge.from]] = edge;
    e->starts[edge.from]++;
}

static void add_edges(struct gle_loop_sets *e, const struct gle_graph *g)
{
    for (size_t i = 0; i < g->n_projections; i++)
        if (sends(&g->projections[i]))
            add_edge(e, edge_of_projection(g, i));
    for (size_t i = 0; i < g->n_directs; i++)
        if (g->directs[i].sends)
            add_edge(e, edge_of_direct(g, i));
}

/* Lists them. Returns false without memory. */
static bool list_edges(struct gle_loop_sets *e, const struct gle_graph *g)
{
    e->starts = gle_calloc(g->n_populations + 1, sizeof *e->starts);
    if (!e->starts)
        return false;
    add_edges(e, g);
    for (size_t i = 0; i < g->n_populations; i++) { /* counts become places */
        const size_t n = e->starts[i];
        e->starts[i] = e->n_edges;
        e->n_edges += n;
    }
    e->edges = gle_calloc(e->n_edges + 1, sizeof *e->edges);
    if (!e->edges)
        return false;
    add_edges(e, g);
    for (size_t i = g->n_populations; i > 0; i--) /* which have moved on by one */
        e->starts[i] = e->starts[i - 1];
    e->starts[0] = 0;
    return true;
}

/* --- sets: Tarjan 1972, without recursion --- */

struct walk {
    size_t *number; /* (n_populations): by the order in which they were come to, from 1 */
    size_t *low;    /* the lowest of those that a walk from it came back to */
    size_t *open;   /* a stack: those whose set is not closed yet */
    size_t *way;    /* a stack: the walk, */
    size_t *next;   /* and for each the edge that it goes on with */
    size_t n_open, n_numbers, n_sets;
};

static void come_to(struct walk *s, struct gle_loop_sets *e, size_t population, size_t depth)
{
    s->number[population] = s->low[population] = ++s->n_numbers;
    s->open[s->n_open++] = population;
    s->way[depth] = population;
    s->next[depth] = e->starts[population];
}

/* All that were come to since the first of a set are in it. */
static void close_set(struct walk *s, struct gle_loop_sets *e, size_t first)
{
    size_t population;

    do {
        population = s->open[--s->n_open];
        e->of[population] = s->n_sets;
    } while (population != first);
    s->n_sets++;
}

static void lower(size_t *low, size_t value)
{
    *low = value < *low ? value : *low;
}

static void walk_from(struct walk *s, struct gle_loop_sets *e, size_t first)
{
    size_t depth = 0;

    come_to(s, e, first, depth);
    for (;;) {
        const size_t here = s->way[depth];
        if (s->next[depth] < e->starts[here + 1]) {
            const size_t to = e->edges[s->next[depth]++].to;
            if (!s->number[to])
                come_to(s, e, to, ++depth);
            else if (e->of[to] == GLE_NO_POPULATION)
                lower(&s->low[here], s->number[to]);
            continue;
        }
        if (s->low[here] == s->number[here])
            close_set(s, e, here);
        if (!depth)
            return;
        lower(&s->low[s->way[--depth]], s->low[here]);
    }
}

/* Returns false without memory. */
static bool find_sets(struct gle_loop_sets *e, size_t n_populations)
{
    struct walk s = {0};
    size_t **const arrays[] = {&s.number, &s.low, &s.open, &s.way, &s.next};
    bool ok = (e->of = gle_calloc(n_populations, sizeof *e->of)) != NULL;

    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++)
        ok = (*arrays[k] = gle_calloc(n_populations, sizeof **arrays[k])) && ok;
    for (size_t i = 0; i < n_populations && ok; i++)
        e->of[i] = GLE_NO_POPULATION;
    for (size_t i = 0; i < n_populations && ok; i++)
        if (!s.number[i])
            walk_from(&s, e, i);
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++)
        gle_free(*arrays[k]);
    return ok;
}

int gle_loop_sets_find(struct gle_loop_sets *sets, const struct gle_graph *graph, struct gle_error *err)
{
    *sets = (struct gle_loop_sets){0};
    return list_edges(sets, graph) && find_sets(sets, graph->n_populations)
               ? 0
               : gle_fail(err, GLE_ENOMEM, "no memory for loops of errors");
}

void gle_loop_sets_clear(struct gle_loop_sets *sets)
{
    gle_free(sets->edges);
    gle_free(sets->starts);
    gle_free(sets->of);
    *sets = (struct gle_loop_sets){0};
}
