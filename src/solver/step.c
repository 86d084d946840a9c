/* The step: what a layer computes from the old state of its neighbours, and how it learns. */
#include "solver/inside.h"

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

static void update_others(struct gle_net *net, size_t i)
{
    const struct gle_graph_layer *l = gle_layer_of(net, i);

    if (net->plastic[i][GLE_BIAS])
        update(net, i, GLE_BIAS, 0, l->n);
    if (net->plastic[i][GLE_TAU_M]) {
        update(net, i, GLE_TAU_M, 0, l->n);
        gle_net_follow_tau_m(net, l);
    }
}

static void count_missed(struct gle_net *net, size_t i)
{
    for (int p = 0; p < GLE_PARAMS; p++)
        net->missed[i][p] += gle_layer_of(net, i)->cfg->plastic[p] && !net->plastic[i][p];
}

void gle_net_descend(struct gle_net *net, size_t i, size_t t)
{
    count_missed(net, i);
    if (net->plastic[i][GLE_WEIGHT])
        update_weight(net, i, 0, gle_layer_of(net, i)->n);
    update_others(net, i);
    gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
}

/* Weights whose gradient is found, spent and transposed at a time: with what the optimizer keeps of them, they stay in
 * the second cache from one to the next. */
enum { LEARN_FLOATS = 98304 };

/* The optimizer's step for a layer, by thread t, along the gradients that follow from its errors e. */
static void learn(struct gle_net *net, size_t i, size_t t, const float *r_below, const float *e, const float *s)
{
    const struct gle_graph_layer *l = gle_layer_of(net, i);
    const struct gle_kernels *k = net->kernels;
    const float mean = -1.0f / (float)net->B;
    const bool *plastic = net->plastic[i];
    const size_t rows = l->ld_in < LEARN_FLOATS / GLE_PAD ? LEARN_FLOATS / l->ld_in / GLE_PAD * GLE_PAD : GLE_PAD;

    count_missed(net, i);
    for (size_t first = 0; plastic[GLE_WEIGHT] && first < l->n; first += rows) {
        const size_t n = l->n - first < rows ? l->n - first : rows;
        gle_product(k, net->grads + l->param[GLE_WEIGHT] + first * l->ld_in, l->ld_in, e + first, 1, l->ld, r_below,
                    l->ld_in, n, l->n_in, net->B, mean);
        gle_net_lap(net, t, GLE_LAP_PRODUCTS);
        update_weight(net, i, first, n);
        gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
    }
    if (plastic[GLE_BIAS])
        k->sum_rows(net->grads + l->param[GLE_BIAS], e, mean, net->B, l->ld);
    if (plastic[GLE_TAU_M])
        k->sum_products(net->grads + l->param[GLE_TAU_M], e, s, gle_coef_of(net, l, GLE_COEF_MEAN), net->B, l->ld);
    gle_net_lap(net, t, GLE_LAP_ELEMENTWISE);
    update_others(net, i);
    gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
}

/* The error that drives the last layer, from its own old rates; also the loss, and the summed output. */
static const float *top_error(struct gle_net *net)
{
    const struct gle_graph_layer *l = gle_top_of(net);
    const float *output = gle_var_of(net, l, GLE_VAR_R, net->now);
    const float beta = net->step->learn || net->step->nudge ? (float)net->graph->exp->beta : 0.0f;

    net->step_loss = net->loss->eval(net->top_error, output, net->target, beta, net->B, l->n, l->ld);
    net->kernels->add(net->output_sum, output, net->B * l->ld);
    return net->top_error;
}

/* Rows that go through a layer together: few enough, by the floats of one variable, that what they read and write stays
 * in a near cache, while wide layers, whose weights are what fills it, take all at once. */
enum { BLOCK_FLOATS = 2048, BLOCK_WIDTH = 128 };

/* One step of one layer. Reads the old r of the layer below and the old e_below of the layer above, which their own
 * steps, maybe on another thread, leave alone; writes nothing that another layer reads in this step. */
static void step_layer(struct gle_net *net, size_t i, size_t thread)
{
    const struct gle_graph *g = net->graph;
    const struct gle_graph_layer *l = &g->layers[i];
    const struct gle_kernels *k = net->kernels;
    const int old = net->now, next = !old;
    const size_t ld = l->ld, ld_in = l->ld_in;
    const size_t width = ld > ld_in ? ld : ld_in, block = width <= BLOCK_WIDTH ? BLOCK_FLOATS / width : net->B;
    const float *e_above =
        i + 1 == g->n_layers ? top_error(net) : gle_var_of(net, &g->layers[i + 1], GLE_VAR_E_BELOW, old);
    const float *r_below =
        l->source == GLE_SOURCE_INPUT ? net->input : gle_var_of(net, &g->layers[l->source], GLE_VAR_R, old);
    float *s = gle_derived_of(net, l, GLE_VAR_S, thread), *e = gle_derived_of(net, l, GLE_VAR_E, thread);
    float *prosp_u = gle_derived_of(net, l, GLE_VAR_PROSP_U, thread);
    float *u = gle_var_of(net, l, GLE_VAR_U, 0), *v = gle_var_of(net, l, GLE_VAR_V, 0);
    float *dr = gle_var_of(net, l, GLE_VAR_DR, 0);
    float *r = gle_var_of(net, l, GLE_VAR_R, next), *e_below = gle_var_of(net, l, GLE_VAR_E_BELOW, next);
    int wild = 0;

    if (!l->needs_error)
        memset(e, 0, net->B * ld * sizeof *e);
    for (size_t b = 0; b < net->B; b += block) {
        const size_t B = net->B - b < block ? net->B - b : block, at = b * ld, at_in = b * ld_in;

        if (l->needs_error)
            wild |= net->rule.error(e + at, v + at, e_above + at, dr + at, gle_coef_of(net, l, GLE_COEF_LOOK_V),
                               gle_coef_of(net, l, GLE_COEF_LEAK_V), B, ld);
        gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
        gle_product(k, s + at, ld, r_below + at_in, ld_in, 1, net->coefs + l->wt, ld, B, l->n, l->n_in, 1.0f);
        gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
        wild |= k->membrane(prosp_u + at, u + at, s + at, e + at, net->params + l->param[GLE_BIAS],
                            (float)l->cfg->gamma, gle_coef_of(net, l, GLE_COEF_LOOK_U),
                            gle_coef_of(net, l, GLE_COEF_LEAK_U), B, ld);
        net->act[i]->eval(r + at, dr + at, prosp_u + at, B, l->n, ld);
        gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
        if (l->sends_error)
            gle_product(k, e_below + at_in, ld_in, e + at, ld, 1, net->params + l->param[GLE_WEIGHT], ld_in, B,
                        l->n_in, l->n, 1.0f);
        gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
    }
    net->wild[i] = wild;
    if (net->taping)
        gle_net_tape(net, i, thread, e_above);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (net->step->learn && !wild)
        learn(net, i, thread, r_below, e, s);
}

/* The layers of one thread. */
static void step_layers(void *arg, size_t t)
{
    struct gle_net *net = arg;

    gle_net_lap(net, t, GLE_LAP_NONE);
    for (size_t i = net->first_layer[t]; i < net->first_layer[t + 1]; i++)
        step_layer(net, i, t);
}

void gle_net_parallel(struct gle_net *net, void (*body)(void *ctx), void *ctx)
{
    gle_team_open(net->team, body, ctx);
}

int gle_net_check(const struct gle_net *net, struct gle_error *err)
{
    for (size_t i = 0; i < net->graph->n_layers; i++)
        if (net->wild[i])
            return gle_fail(err, GLE_EDIVERGED, "NaN or Inf in layer '%s' at step %llu",
                            net->graph->layers[i].cfg->name, (unsigned long long)net->steps - 1);
    return 0;
}

int gle_net_step(struct gle_net *net, const struct gle_step *step, double *loss, struct gle_error *err)
{
    net->step = step;
    if (step->learn)
        net->optimizer_step =
            net->optimizer->prepare(net->graph->exp->optimizer.params, step->lr, ++net->updates);
    gle_net_share(net, step_layers);
    net->now = !net->now;
    net->steps++;
    net->taped += net->taping;
    *loss = net->step_loss;
    return gle_net_check(net, err);
}
