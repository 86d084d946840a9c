/* Eligibilities on a device (rules that are eligible; see src/graph/groups.h): what a step makes of the rates that it
 * read, which the errors of the next one meet. */

/* How the groups of a projection's target lie in the lists: three numbers each. */
enum { GROUP_LEADER, GROUP_TRACE, GROUP_LAST, GROUP_NUMBERS };

/* A tile, from (first, across) on, of the rates x (B, neurons of the source): pooled, they go into the traces of all
 * groups. look, leak: of the target's neurons. */
CALLED void trace_tile(projection *c, __global const uint *lists, uint item, __global float *eps,
                       __global float *xbar, __global const float *x, __global const float *look,
                       __global const float *leak, uint first, uint across, uint B)
{
    const uint rows = B - first < TILE_ROWS ? B - first : TILE_ROWS;
    const uint cols = c->n_pool - across < TILE_COLS ? c->n_pool - across : TILE_COLS;

    EACH_ELEMENT(row, col, rows, cols)
    {
        const uint sample = first + row, k = across + col;
        const float rate = pooled_at(c, x + sample * c->ld_in, x + sample * c->ld_in, k);
        __global float *own = eps + (size_t)sample * c->n_groups * c->ld_pool + k;
        __global float *traces = xbar + (size_t)sample * c->n_traces * c->ld_pool + k;
        for (uint g = 0; g < c->n_groups; g++) {
            __global const uint *group = lists + c->groups + GROUP_NUMBERS * g;
            const uint leader = group[GROUP_LEADER];
            gle_trace(&own[g * c->ld_pool], &traces[group[GROUP_TRACE] * c->ld_pool], rate, look[leader],
                      group[GROUP_LAST] ? leak[leader] : 0.0f);
        }
    }
}

/* The same of a run of neurons: of a rate of 1, and of their time constants. */
CALLED void trace_ones(uint n, __global float *RESTRICT eps, __global float *RESTRICT xbar,
                       __global const float *RESTRICT look, __global const float *RESTRICT leak)
{
    for (uint k = 0; k < n; k++)
        gle_trace(&eps[k], &xbar[k], 1.0f, look[k], leak[k]);
}

CALLED void trace_tau_m(uint n, __global float *RESTRICT eps, __global float *RESTRICT q,
                        __global const float *RESTRICT s, float per_dt, __global const float *RESTRICT look,
                        __global const float *RESTRICT leak, __global const float *RESTRICT rate,
                        __global const float *RESTRICT slope)
{
    for (uint k = 0; k < n; k++)
        gle_trace_tau_m(&eps[k], &q[k], s[k], per_dt, look[k], leak[k], rate[k], slope[k]);
}

CALLED void trace_tau_r(uint n, __global float *RESTRICT eps, __global const float *RESTRICT s, float per_dt,
                        __global const float *RESTRICT rate)
{
    for (uint k = 0; k < n; k++)
        gle_trace_tau_r(&eps[k], s[k], per_dt, rate[k]);
}

/* The lowest and the highest group of the neurons that read through parts first ... first + n - 1 of W. */
CALLED void span_of(projection *c, __global const uint *lists, uint first, uint n, uint *low, uint *high)
{
    __global const uint *spans = lists + c->spans + 2 * first;

    *low = spans[0];
    *high = spans[1];
    for (uint i = 1; i < n; i++) {
        *low = spans[2 * i] < *low ? spans[2 * i] : *low;
        *high = spans[2 * i + 1] > *high ? spans[2 * i + 1] : *high;
    }
}

/* Has the operands of a gradient, errors a and rates b, be those of rows of W whose neurons are of the groups low ...
 * high, with eps (rows, groups) in place of rates: of one group as they are; of several one after the other along the
 * depth, each with the errors of the others as zeros. Returns the depth; `depth`: that without groups. */
CALLED uint take_groups(projection *c, __global const uint *lists, __global const float *eps, uint low, uint high,
                        uint depth, struct operand *a, struct operand *b)
{
    const bool of_grid = c->link == GLE_DEVICE_CONV;

    b->p = eps + low * c->ld_pool;
    b->by = 0; /* pooled already */
    b->kind = of_grid ? PATCHES_ACROSS : PLAIN;
    b->k = c->n_groups * c->ld_pool;
    if (low == high)
        return depth;
    a->kind = of_grid ? ERRORS_ALONG_OF_GROUPS : ERRORS_OF_GROUPS;
    b->kind = of_grid ? PATCHES_OF_GROUPS : RATES_OF_GROUPS;
    a->groups = lists + c->group_of;
    a->low = low;
    a->depth = b->depth = depth;
    b->apart = c->ld_pool;
    return (high - low + 1) * depth;
}
