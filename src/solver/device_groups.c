/* Groups of neurons with the same eligibilities (graph/groups.h), as kernels on a device read them. */
#include "solver/device_tables.h"

enum { GROUP_NUMBERS = 3 };

/* Rows of W whose neurons are found by number; 0: it is a list. */
static size_t rows_of(const struct gle_projection *c)
{
    return c->weight->part > 1 ? c->plan.rows : 0;
}

size_t gle_device_count_groups(const struct gle_graph *g, const struct gle_projection *c)
{
    const struct gle_population *p = &g->populations[c->target];

    return c->eligibility.copies ? GROUP_NUMBERS * p->groups.n + p->n + 2 * rows_of(c) : 0;
}

size_t gle_device_list_groups(struct gle_device_tables *t, size_t i, size_t at)
{
    const struct gle_projection *c = &t->graph->projections[i];
    const struct gle_population *p = &t->graph->populations[c->target];
    struct gle_device_projection *to = &t->projections[i];
    const size_t rows = rows_of(c), each = gle_projection_shares(t->graph, c);

    if (!c->eligibility.copies)
        return at;
    to->groups = (gle_u32)at;
    to->group_of = (gle_u32)(at += GROUP_NUMBERS * p->groups.n);
    to->spans = (gle_u32)(at += p->n);
    for (size_t k = 0; k < p->groups.n; k++) {
        gle_u32 *group = &t->lists[to->groups + GROUP_NUMBERS * k];
        group[0] = (gle_u32)p->groups.item[k].leader;
        group[1] = (gle_u32)p->groups.item[k].trace;
        group[2] = p->groups.item[k].last;
    }
    for (size_t k = 0; k < p->n; k++)
        t->lists[to->group_of + k] = p->groups.of[k];
    for (size_t k = 0; rows && k < p->n; k++) {
        gle_u32 *span = &t->lists[to->spans + 2 * (k / each)];
        const gle_u32 group = p->groups.of[k];
        span[0] = k % each == 0 || group < span[0] ? group : span[0];
        span[1] = k % each == 0 || group > span[1] ? group : span[1];
    }
    return at + 2 * rows;
}
