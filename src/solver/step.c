/* The step: what a layer computes from the old state of its neighbours, and how it learns. */
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
static struct gle_optimizer_step own_step(const struct gle_net *net, size_t i, enum gle_param param)
{
    const uint64_t missed = net->missed[i][param];

    return missed ? net->optimizer->prepare(net->graph->exp->optimizer.params, net->step->lr, net->updates - missed)
                  : net->optimizer_step;
}

/* Floats first ... first + n - 1 of a parameter. */
static void update(struct gle_net *net, size_t i, enum gle_param param, size_t first, size_t n)
{
    const struct gle_bounds *bounds = &net->graph->exp->bounds[param];
    const struct gle_optimizer_step step = own_step(net, i, param);
    const size_t at = gle_layer_of(net, i)->param[param] + first;
    float *moments[GLE_MOMENTS_MAX];

    for (size_t m = 0; m < net->optimizer->n_moments; m++)
        moments[m] = net->moments[m] + at;
    net->optimizer->update(net->params + at, net->grads + at, moments, n, &step);
    if (bounds->low > -1e308 || bounds->high < 1e308)
        clamp(net->params + at, n, bounds);
}

/* Rows first ... first + n - 1 of W. */
static void update_weight(struct gle_net *net, size_t i, size_t first, size_t n)
{
    const struct gle_graph_layer *l = gle_layer_of(net, i);

    update(net, i, GLE_WEIGHT, first * l->ld_in, n * l->ld_in);
    gle_net_follow_weight(net, l, first, n);
}

static void update_others(struct gle_net *net, size_t i, struct gle_range neurons)
{
    if (net->plastic[i][GLE_BIAS])
        update(net, i, GLE_BIAS, neurons.first, neurons.n);
    if (net->plastic[i][GLE_TAU_M]) {
        update(net, i, GLE_TAU_M, neurons.first, neurons.n);
        gle_net_follow_tau_m(net, gle_layer_of(net, i), neurons.first, neurons.n);
    }
}

/* Once for a layer: by whoever has its first neuron. Leaves alone what others read, who have it learn. */
static void count_missed(struct gle_net *net, size_t i, struct gle_range neurons)
{
    for (int p = 0; p < GLE_PARAMS && !neurons.first; p++)
        if (gle_layer_of(net, i)->cfg->plastic[p] && !net->plastic[i][p])
            net->missed[i][p]++;
}

void gle_net_descend(struct gle_net *net, size_t i, struct gle_range neurons, size_t t)
{
    count_missed(net, i, neurons);
    if (net->plastic[i][GLE_WEIGHT])
        update_weight(net, i, neurons.first, neurons.n);
    update_others(net, i, neurons);
    gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
}

/* --- what layers read --- */

static const float *below_of(const struct gle_net *net, const struct gle_graph_layer *l)
{
    return l->source == GLE_SOURCE_INPUT ? net->input
                                         : gle_var_of(net, gle_layer_of(net, (size_t)l->source), GLE_VAR_R, net->now);
}

static const float *above_of(const struct gle_net *net, size_t i)
{
    return i + 1 == net->graph->n_layers ? net->top_error
                                         : gle_var_of(net, gle_layer_of(net, i + 1), GLE_VAR_E_BELOW, net->now);
}

/* --- learning --- */

/* Weights whose gradient is found, spent and transposed at a time: with what the optimizer keeps of them, they stay in
 * the second cache from one to the next. */
enum { LEARN_FLOATS = 98304 };

/* The optimizer's step for neurons of a layer along the gradients that follow from its errors, of all rows. */
static void learn(struct gle_net *net, size_t i, struct gle_range neurons, size_t t)
{
    const struct gle_graph_layer *l = gle_layer_of(net, i);
    const struct gle_kernels *k = net->kernels;
    const float mean = -1.0f / (float)net->B;
    const size_t place = gle_place_of(net, i, t);
    const float *r_below = below_of(net, l), *e = gle_derived_of(net, l, GLE_VAR_E, place);
    const float *s = gle_derived_of(net, l, GLE_VAR_S, place);
    const bool *plastic = net->plastic[i];
    const size_t rows = l->ld_in < LEARN_FLOATS / GLE_PAD ? LEARN_FLOATS / l->ld_in / GLE_PAD * GLE_PAD : GLE_PAD;
    const size_t at = neurons.first, end = at + neurons.n, width = gle_padded(neurons.n);

    count_missed(net, i, neurons);
    for (size_t first = at; plastic[GLE_WEIGHT] && first < end; first += rows) {
        const size_t n = end - first < rows ? end - first : rows;
        gle_product(k, net->grads + l->param[GLE_WEIGHT] + first * l->ld_in, l->ld_in, e + first, 1, l->ld, r_below,
                    l->ld_in, n, l->n_in, net->B, mean);
        gle_net_lap(net, t, GLE_LAP_PRODUCTS);
        update_weight(net, i, first, n);
        gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
    }
    if (plastic[GLE_BIAS])
        k->sum_rows(net->grads + l->param[GLE_BIAS] + at, e + at, mean, net->B, width, l->ld);
    if (plastic[GLE_TAU_M])
        k->sum_products(net->grads + l->param[GLE_TAU_M] + at, e + at, s + at, gle_coef_of(net, l, GLE_COEF_MEAN) + at,
                        net->B, width, l->ld);
    gle_net_lap(net, t, GLE_LAP_ELEMENTWISE);
    update_others(net, i, neurons);
    gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
}

/* --- the step of a layer --- */

/* Rows whose losses are summed together: a sum must not depend on how the rows are shared. */
static size_t loss_rows(const struct gle_net *net)
{
    return net->split.shared ? 1 : net->B;
}

/* The error that drives the last layer, from its own old rates; also the loss, and the summed output. */
static void find_top_error(struct gle_net *net, struct gle_range rows)
{
    const struct gle_graph_layer *l = gle_top_of(net);
    const float *output = gle_var_of(net, l, GLE_VAR_R, net->now);
    const float beta = net->step->learn || net->step->nudge ? (float)net->graph->exp->beta : 0.0f;
    const size_t together = loss_rows(net), first = rows.first * l->ld;

    for (size_t b = rows.first; b < rows.first + rows.n; b += together)
        net->row_loss[b] = net->loss->eval(net->top_error + b * l->ld, output + b * l->ld, net->target + b * l->ld,
                                           beta, together, l->n, l->ld);
    net->kernels->add(net->output_sum + first, output + first, rows.n * l->ld);
}

/* Rows that go through a layer together: few enough, by the floats of one variable, that the dozen arrays which they
 * read and write stay in the second cache; enough for fetching ahead in each of them; whole groups of those that
 * products take together. Wide layers, whose weights are what fills caches, take all at once. */
enum { BLOCK_FLOATS = 8192, BLOCK_WIDTH = 128, BLOCK_ROWS = 8 };

static size_t block_of(const struct gle_graph_layer *l, size_t rows)
{
    const size_t width = l->ld > l->ld_in ? l->ld : l->ld_in;

    return width <= BLOCK_WIDTH ? BLOCK_FLOATS / width / BLOCK_ROWS * BLOCK_ROWS : rows;
}

/* Whether derived variables are looked at once the rows are through. If not, one block of rows may lie in the place of
 * the one before. */
static bool keeps_derived(const struct gle_net *net)
{
    return net->step->learn || net->taping || net->graph->observed;
}

/* One step of one layer, for some rows. Reads the old r of the layer below and the old e_below of the layer above,
 * which their own steps, maybe on another thread, leave alone; writes nothing that another layer reads in this step. */
static void step_layer(struct gle_net *net, size_t i, struct gle_range rows, size_t thread)
{
    const struct gle_graph *g = net->graph;
    const struct gle_graph_layer *l = &g->layers[i];
    const struct gle_kernels *k = net->kernels;
    const int next = !net->now;
    const size_t ld = l->ld, ld_in = l->ld_in, end = rows.first + rows.n, block = block_of(l, rows.n);
    const float *e_above = above_of(net, i), *r_below = below_of(net, l);
    const bool keeps = keeps_derived(net), has_error = l->needs_error && !net->step->forward_only;
    const size_t kept = keeps ? rows.first * ld : 0, place = keeps ? gle_place_of(net, i, thread) : thread;
    float *s = gle_derived_of(net, l, GLE_VAR_S, place) + kept, *e = gle_derived_of(net, l, GLE_VAR_E, place) + kept;
    float *prosp_u = gle_derived_of(net, l, GLE_VAR_PROSP_U, place) + kept;
    float *u = gle_var_of(net, l, GLE_VAR_U, 0), *v = gle_var_of(net, l, GLE_VAR_V, 0);
    float *dr = gle_var_of(net, l, GLE_VAR_DR, 0);
    float *r = gle_var_of(net, l, GLE_VAR_R, next), *e_below = gle_var_of(net, l, GLE_VAR_E_BELOW, next);
    int wild = 0;

    if (i + 1 == g->n_layers)
        find_top_error(net, rows);
    if (!has_error)
        memset(e, 0, (keeps || rows.n < block ? rows.n : block) * ld * sizeof *e);
    for (size_t b = rows.first; b < end; b += block) {
        const size_t B = end - b < block ? end - b : block, at = b * ld, at_in = b * ld_in;

        if (has_error && g->e_inst) /* the product that the kernel takes of the same numbers */
            k->multiply(gle_var_of(net, l, GLE_VAR_E_INST, 0) + at, dr + at, e_above + at, B * ld);
        if (has_error)
            wild |= net->rule.error(e, v + at, e_above + at, dr + at, gle_coef_of(net, l, GLE_COEF_LOOK_V),
                                    gle_coef_of(net, l, GLE_COEF_LEAK_V), B, ld);
        gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
        gle_product(k, s, ld, r_below + at_in, ld_in, 1, net->coefs + l->wt, ld, B, l->n, l->n_in, 1.0f);
        gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
        wild |= k->membrane(prosp_u, u + at, s, e, net->params + l->param[GLE_BIAS], (float)l->cfg->gamma,
                            gle_coef_of(net, l, GLE_COEF_LOOK_U), gle_coef_of(net, l, GLE_COEF_LEAK_U), B, ld);
        net->act[i]->eval(r + at, has_error || keeps ? dr + at : s, prosp_u, B, l->n, ld);
        gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
        if (has_error && l->sends_error)
            gle_product(k, e_below + at_in, ld_in, e, ld, 1, net->params + l->param[GLE_WEIGHT], ld_in, B, l->n_in,
                        l->n, 1.0f);
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
        learn(net, i, (struct gle_range){.n = l->n}, thread);
}

/* --- sharing --- */

static void work_between(struct gle_net *net, size_t t, gle_net_work *work, const struct gle_cut *cuts, bool learning)
{
    gle_net_lap(net, t, GLE_LAP_NONE);
    for (size_t i = cuts[t].layer; i < net->graph->n_layers && i <= cuts[t + 1].layer; i++) {
        const size_t n = learning ? gle_layer_of(net, i)->n : net->B;
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

static void step_layers(void *net, size_t t)
{
    gle_net_steps_of(net, t, step_layer);
}

static void learn_unless_wild(struct gle_net *net, size_t i, struct gle_range neurons, size_t t)
{
    if (!gle_net_is_wild(net, i))
        learn(net, i, neurons, t);
}

static void learn_layers(void *net, size_t t)
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
    for (size_t i = 0; i < net->graph->n_layers; i++)
        if (gle_net_is_wild(net, i))
            return gle_fail(err, GLE_EDIVERGED, "NaN or Inf in layer '%s' at step %llu",
                            net->graph->layers[i].cfg->name, (unsigned long long)net->steps - 1);
    return 0;
}

int gle_net_step(struct gle_net *net, const struct gle_step *step, double *loss, struct gle_error *err)
{
    assert(!step->forward_only || (!step->learn && !step->nudge && !net->taping));
    net->step = step;
    if (step->learn)
        net->optimizer_step =
            net->optimizer->prepare(net->graph->exp->optimizer.params, step->lr, ++net->updates);
    gle_net_share(net, step_layers);
    if (step->learn && net->split.shared)
        gle_net_share(net, learn_layers);
    net->now = !net->now;
    net->steps++;
    net->errorless = step->forward_only;
    net->taped += net->taping;
    *loss = 0.0;
    for (size_t b = 0; b < net->B; b += loss_rows(net))
        *loss += net->row_loss[b];
    return gle_net_check(net, err);
}
