/* The step: what a population computes from the old state of its neighbours, and how it learns. */
#include "solver/inside.h"

#include <assert.h>
#include <string.h>

static void clamp(float *p, size_t n, const struct gle_bounds *bounds)
{
    const float low = (float)bounds->low, high = (float)bounds->high;

    for (size_t i = 0; i < n; i++)
        p[i] = p[i] < low ? low : p[i] > high ? high : p[i];
}

/* The optimizer's step for a parameter that learns: the one that it takes with all, or, if it had been held, one of a
 * number of its own. */
static struct gle_optimizer_step own_step(const struct gle_net *net, const struct gle_parameter *p)
{
    const uint64_t missed = net->missed[p - net->graph->parameters];

    return missed ? net->optimizer->prepare(net->graph->exp->optimizer.params, net->step->lr, net->updates - missed)
                  : net->optimizer_step;
}

/* The optimizer's step for some of its neurons: rows of a matrix, or places of a row. */
static void update(struct gle_net *net, const struct gle_parameter *p, size_t first, size_t n)
{
    const size_t each = p->kind == GLE_WEIGHT ? p->field.ld : 1, at = first * each;
    const struct gle_optimizer_step step = own_step(net, p);
    float *values = gle_param_of(net, p) + at, *moments[GLE_MOMENTS_MAX];

    for (size_t m = 0; m < net->optimizer->n_moments; m++)
        moments[m] = net->moments[m] + p->field.place + at;
    net->optimizer->update(values, gle_grad_of(net, p) + at, moments, n * each, &step);
    if (p->bounds->low > -1e308 || p->bounds->high < 1e308)
        clamp(values, n * each, p->bounds);
    gle_net_follow(net, p, first, n);
}

static void update_others(struct gle_net *net, const struct gle_population *p, struct gle_range neurons)
{
    if (gle_learns(net, p->bias))
        update(net, p->bias, neurons.first, neurons.n);
    if (gle_learns(net, p->tau_m))
        update(net, p->tau_m, neurons.first, neurons.n);
}

/* Once for a population: by whoever has its first neuron. Leaves alone what others read, who have it learn. */
static void count_missed(struct gle_net *net, size_t i, struct gle_range neurons)
{
    for (int kind = 0; kind < GLE_PARAM_KINDS && !neurons.first; kind++) {
        const size_t p = gle_graph_parameter(net->graph, i, (enum gle_param)kind);
        net->missed[p] += net->graph->parameters[p].plastic && !net->learns[p];
    }
}

void gle_net_descend(struct gle_net *net, size_t i, struct gle_range neurons, size_t t)
{
    const struct gle_population *p = gle_population_of(net, i);
    const struct gle_parameter *weight = gle_source_of(net, p)->weight;

    count_missed(net, i, neurons);
    if (gle_learns(net, weight))
        update(net, weight, neurons.first, neurons.n);
    update_others(net, p, neurons);
    gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
}

/* --- what populations read --- */

static const float *below_of(const struct gle_net *net, const struct gle_projection *c)
{
    const struct gle_population *below = gle_below_of(net, c);

    return below ? gle_old_of(net, &below->r) : net->input;
}

static const float *above_of(const struct gle_net *net, const struct gle_population *p)
{
    return p->out == GLE_NO_PROJECTION ? net->top_error
                                       : gle_old_of(net, &net->graph->projections[p->out].e_below);
}

/* --- learning --- */

/* Weights whose gradient is found, spent and transposed at a time: with what the optimizer keeps of them, they stay in
 * the second cache from one to the next. */
enum { LEARN_FLOATS = 98304 };

/* The optimizer's step for neurons of a population along the gradients that follow from its errors, of all rows. */
static void learn(struct gle_net *net, size_t i, struct gle_range neurons, size_t t)
{
    const struct gle_population *p = gle_population_of(net, i);
    const struct gle_projection *c = gle_source_of(net, p);
    const struct gle_kernels *k = net->kernels;
    const float mean = -1.0f / (float)net->B;
    const size_t place = gle_place_of(net, i, t);
    const float *r_below = below_of(net, c), *e = gle_derived_of(net, &p->e, place);
    const float *s = gle_derived_of(net, &p->s, place);
    const size_t rows = c->ld_in < LEARN_FLOATS / GLE_PAD ? LEARN_FLOATS / c->ld_in / GLE_PAD * GLE_PAD : GLE_PAD;
    const size_t at = neurons.first, end = at + neurons.n, width = gle_padded(neurons.n);

    count_missed(net, i, neurons);
    for (size_t first = at; gle_learns(net, c->weight) && first < end; first += rows) {
        const size_t n = end - first < rows ? end - first : rows;
        gle_product(k, gle_grad_of(net, c->weight) + first * c->ld_in, c->ld_in, e + first, 1, p->ld, r_below,
                    c->ld_in, n, c->n_in, net->B, mean);
        gle_net_lap(net, t, GLE_LAP_PRODUCTS);
        update(net, c->weight, first, n);
        gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
    }
    if (gle_learns(net, p->bias))
        k->sum_rows(gle_grad_of(net, p->bias) + at, e + at, mean, net->B, width, p->ld);
    if (gle_learns(net, p->tau_m))
        k->sum_products(gle_grad_of(net, p->tau_m) + at, e + at, s + at, gle_field_of(net, &p->mean, 0) + at, net->B,
                        width, p->ld);
    gle_net_lap(net, t, GLE_LAP_ELEMENTWISE);
    update_others(net, p, neurons);
    gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
}

/* --- the step of a population --- */

/* Rows whose losses are summed together: a sum must not depend on how the rows are shared. */
static size_t loss_rows(const struct gle_net *net)
{
    return net->split.shared ? 1 : net->B;
}

/* The error that drives the output, from its own old rates; also the loss, and the summed output. Without a target
 * there is none of these. */
static void find_top_error(struct gle_net *net, struct gle_range rows)
{
    const struct gle_population *l = gle_top_of(net);
    const float *output = gle_old_of(net, &l->r);
    const float beta = net->step->learn || net->step->nudge ? (float)net->graph->exp->beta : 0.0f;
    const size_t together = loss_rows(net), first = rows.first * l->ld;

    if (net->step->unasked) {
        memset(net->top_error + first, 0, rows.n * l->ld * sizeof *net->top_error);
        memset(net->row_loss + rows.first, 0, rows.n * sizeof *net->row_loss);
        return;
    }
    for (size_t b = rows.first; b < rows.first + rows.n; b += together)
        net->row_loss[b] = net->loss->eval(net->top_error + b * l->ld, output + b * l->ld, net->target + b * l->ld,
                                           beta, net->graph->exp->loss_params, together, l->n, l->ld);
    net->kernels->add(net->output_sum + first, output + first, rows.n * l->ld);
}

/* Rows that go through a population together: few enough, by the floats of one variable, that the dozen arrays which
 * they read and write stay in the second cache; enough for fetching ahead in each of them; whole groups of those that
 * products take together. Wide ones, whose weights are what fills caches, take all at once. */
enum { BLOCK_FLOATS = 8192, BLOCK_WIDTH = 128, BLOCK_ROWS = 8 };

static size_t block_of(const struct gle_population *p, const struct gle_projection *c, size_t rows)
{
    const size_t width = p->ld > c->ld_in ? p->ld : c->ld_in;

    return width <= BLOCK_WIDTH ? BLOCK_FLOATS / width / BLOCK_ROWS * BLOCK_ROWS : rows;
}

/* Whether derived variables are looked at once the rows are through. If not, one block of rows may lie in the place of
 * the one before. */
static bool keeps_derived(const struct gle_net *net)
{
    return net->step->learn || net->taping || net->graph->observed;
}

/* One step of one population, for some rows. Reads the old r of its source and the old e_below of its reader, which
 * their own steps, maybe on another thread, leave alone; writes nothing that another one reads in this step. */
static void step_population(struct gle_net *net, size_t i, struct gle_range rows, size_t thread)
{
    const struct gle_graph *g = net->graph;
    const struct gle_population *p = gle_population_of(net, i);
    const struct gle_projection *c = gle_source_of(net, p);
    const struct gle_kernels *k = net->kernels;
    const size_t ld = p->ld, ld_in = c->ld_in, end = rows.first + rows.n, block = block_of(p, c, rows.n);
    const float *e_above = above_of(net, p), *r_below = below_of(net, c);
    const float *look_u = gle_field_of(net, &p->look_u, 0), *leak_u = gle_field_of(net, &p->leak_u, 0);
    const float *look_v = gle_field_of(net, &p->look_v, 0), *leak_v = gle_field_of(net, &p->leak_v, 0);
    const float *weight = gle_param_of(net, c->weight), *weight_t = gle_field_of(net, &c->weight_t, 0);
    const float *bias = gle_param_of(net, p->bias);
    const bool keeps = keeps_derived(net), has_error = p->needs_error && !net->step->forward_only;
    const size_t kept = keeps ? rows.first * ld : 0, place = keeps ? gle_place_of(net, i, thread) : thread;
    float *s = gle_derived_of(net, &p->s, place) + kept, *e = gle_derived_of(net, &p->e, place) + kept;
    float *prosp_u = gle_derived_of(net, &p->prosp_u, place) + kept;
    float *u = gle_old_of(net, &p->u), *v = gle_old_of(net, &p->v), *dr = gle_old_of(net, &p->dr);
    float *r = gle_new_of(net, &p->r), *e_below = gle_new_of(net, &c->e_below);
    int wild = 0;

    if (p->out == GLE_NO_PROJECTION)
        find_top_error(net, rows);
    if (!has_error)
        memset(e, 0, (keeps || rows.n < block ? rows.n : block) * ld * sizeof *e);
    for (size_t b = rows.first; b < end; b += block) {
        const size_t B = end - b < block ? end - b : block, at = b * ld, at_in = b * ld_in;

        if (has_error && g->e_inst) /* the product that the kernel takes of the same numbers */
            k->multiply(gle_derived_of(net, &p->e_inst, 0) + at, dr + at, e_above + at, B * ld);
        if (has_error)
            wild |= net->rule.error(e, v + at, e_above + at, dr + at, look_v, leak_v, B, ld);
        gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
        gle_product(k, s, ld, r_below + at_in, ld_in, 1, weight_t, ld, B, p->n, c->n_in, 1.0f);
        gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
        wild |= k->membrane(prosp_u, u + at, s, e, bias, (float)p->cfg->gamma, look_u, leak_u, B, ld);
        net->act[i]->eval(r + at, has_error || keeps ? dr + at : s, prosp_u, B, p->n, ld);
        gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
        if (has_error && c->sends_error)
            gle_product(k, e_below + at_in, ld_in, e, ld, 1, weight, ld_in, B, c->n_in, p->n, 1.0f);
        gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
        if (keeps) {
            s += B * ld;
            e += B * ld;
            prosp_u += B * ld;
        }
    }
    *gle_wild_of(net, i, thread) = wild;
    if (net->taping)
        gle_net_tape(net, i, rows, thread, e_above);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (net->step->learn && !net->split.shared && !wild)
        learn(net, i, (struct gle_range){.n = p->n}, thread);
}

/* --- sharing --- */

static void work_between(struct gle_net *net, size_t t, gle_net_work *work, const struct gle_cut *cuts, bool learning)
{
    gle_net_lap(net, t, GLE_LAP_NONE);
    for (size_t i = cuts[t].layer; i < net->graph->n_populations && i <= cuts[t + 1].layer; i++) {
        const size_t n = learning ? gle_population_of(net, i)->n : net->B;
        const size_t together = learning ? GLE_NEURONS_TOGETHER : GLE_ROWS_TOGETHER;
        const size_t first = gle_cut_at(&cuts[t], i, n, together), end = gle_cut_at(&cuts[t + 1], i, n, together);
        if (first < end)
            work(net, i, (struct gle_range){.first = first, .n = end - first}, t);
    }
}

void gle_net_steps_of(struct gle_net *net, size_t t, gle_net_work *work)
{
    work_between(net, t, work, net->split.steps, false);
}

void gle_net_learning_of(struct gle_net *net, size_t t, gle_net_work *work)
{
    work_between(net, t, work, net->split.learning, true);
}

static void step_all(void *net, size_t t)
{
    gle_net_steps_of(net, t, step_population);
}

static void learn_unless_wild(struct gle_net *net, size_t i, struct gle_range neurons, size_t t)
{
    if (!gle_net_is_wild(net, i))
        learn(net, i, neurons, t);
}

static void learn_all(void *net, size_t t)
{
    gle_net_learning_of(net, t, learn_unless_wild);
}

void gle_net_parallel(struct gle_net *net, void (*body)(void *ctx), void *ctx)
{
    gle_team_open(net->team, body, ctx);
}

bool gle_net_is_wild(const struct gle_net *net, size_t i)
{
    int wild = 0;

    for (size_t t = 0; t < net->split.n_threads; t++)
        wild |= *gle_wild_of(net, i, t);
    return wild;
}

int gle_net_check(const struct gle_net *net, struct gle_error *err)
{
    for (size_t i = 0; i < net->graph->n_populations; i++)
        if (gle_net_is_wild(net, i))
            return gle_fail(err, GLE_EDIVERGED, "NaN or Inf in layer '%s' at step %llu",
                            gle_population_of(net, i)->cfg->name, (unsigned long long)net->steps - 1);
    return 0;
}

int gle_net_step(struct gle_net *net, const struct gle_step *step, double *loss, struct gle_error *err)
{
    assert(!step->forward_only || (!step->learn && !step->nudge && !net->taping));
    net->step = step;
    if (net->taping)
        net->tape_unasked[net->taped] = step->unasked;
    if (step->learn)
        net->optimizer_step =
            net->optimizer->prepare(net->graph->exp->optimizer.params, step->lr, ++net->updates);
    gle_net_share(net, step_all);
    if (step->learn && net->split.shared)
        gle_net_share(net, learn_all);
    net->steps++;
    net->errorless = step->forward_only;
    net->taped += net->taping;
    *loss = 0.0;
    for (size_t b = 0; b < net->B; b += loss_rows(net))
        *loss += net->row_loss[b];
    return gle_net_check(net, err);
}
