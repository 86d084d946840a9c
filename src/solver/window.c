/* Windows: what their steps leave on the tape, and the sweep back that makes gradients of it.
 *
 * The sweep is a chain of rounds. In a round each layer goes one step back in time, from the adjoints (gradients of the
 * loss with respect to a variable, named _bar) that its neighbours left in the round before; so work can be shared
 * among threads as in a step. All adjoints are scaled by -batch / gle_loss.scale, which makes that of the output the
 * target error, and lambda = -batch / scale * dL/d(tau_m u_dot) comparable to errors e.
 *   bptt: all layers are at the same step, since each step had read the old state of its neighbours.
 *   adjoint: each layer is one step later than the one above, and so reads what that has found for the same step. */
#include "solver/inside.h"

#include <assert.h>
#include <string.h>

void gle_net_begin_window(struct gle_net *net)
{
    assert(net->graph->tape_steps && net->B <= net->graph->train_rows);
    net->taping = true;
    net->taped = 0;
    for (size_t i = 0; i < net->graph->n_layers; i++) {
        const struct gle_graph_layer *l = gle_layer_of(net, i);
        const size_t bytes = net->B * l->ld * sizeof(float);
        memcpy(gle_tape_of(net, l, GLE_TAPE_R, 0), gle_var_of(net, l, GLE_VAR_R, net->now), bytes);
        if (l->swept)
            memcpy(gle_tape_of(net, l, GLE_TAPE_DR, 0), gle_var_of(net, l, GLE_VAR_DR, 0), bytes);
        if (l->nudged)
            memcpy(gle_tape_of(net, l, GLE_TAPE_V, 0), gle_var_of(net, l, GLE_VAR_V, 0), bytes);
    }
}

void gle_net_drop_window(struct gle_net *net)
{
    net->taping = false;
}

static float *tape_input(const struct gle_net *net, size_t t)
{
    return net->tape + net->graph->tape_input + t * net->B * net->graph->ld_input;
}

static float *tape_target(const struct gle_net *net, size_t t)
{
    return net->tape + net->graph->tape_target + t * net->B * gle_top_of(net)->ld;
}

void gle_net_tape(struct gle_net *net, size_t i, struct gle_range rows, size_t thread, const float *e_above)
{
    const struct gle_graph *g = net->graph;
    const struct gle_graph_layer *l = gle_layer_of(net, i);
    const size_t t = net->taped, at = rows.first * l->ld, bytes = rows.n * l->ld * sizeof(float);
    const size_t at_input = rows.first * g->ld_input, place = gle_place_of(net, i, thread);

    assert(t < g->tape_steps);
    memcpy(gle_tape_of(net, l, GLE_TAPE_R, t + 1) + at, gle_var_of(net, l, GLE_VAR_R, !net->now) + at, bytes);
    if (i == 0)
        memcpy(tape_input(net, t) + at_input, net->input + at_input, rows.n * g->ld_input * sizeof(float));
    if (i + 1 == g->n_layers)
        memcpy(tape_target(net, t) + at, net->target + at, bytes);
    if (l->swept)
        memcpy(gle_tape_of(net, l, GLE_TAPE_DR, t + 1) + at, gle_var_of(net, l, GLE_VAR_DR, 0) + at, bytes);
    if (l->cfg->plastic[GLE_TAU_M])
        memcpy(gle_tape_of(net, l, GLE_TAPE_S, t) + at, gle_derived_of(net, l, GLE_VAR_S, place) + at, bytes);
    if (!l->nudged)
        return;
    memcpy(gle_tape_of(net, l, GLE_TAPE_V, t + 1) + at, gle_var_of(net, l, GLE_VAR_V, 0) + at, bytes);
    memcpy(gle_tape_of(net, l, GLE_TAPE_E, t) + at, gle_derived_of(net, l, GLE_VAR_E, place) + at, bytes);
    memcpy(gle_tape_of(net, l, GLE_TAPE_PROSP_U, t) + at, gle_derived_of(net, l, GLE_VAR_PROSP_U, place) + at, bytes);
    memcpy(gle_tape_of(net, l, GLE_TAPE_E_ABOVE, t) + at, e_above + at, bytes);
}

/* --- the sweep --- */

static float *adjoint_of(const struct gle_net *net, const struct gle_graph_layer *l, enum gle_adjoint which, int copy)
{
    return net->adjoints + l->adjoint[which][copy];
}

/* Whether the feedback of errors counts for a layer. */
static bool feeds_back(const struct gle_net *net, const struct gle_graph_layer *l)
{
    return l->nudged && !net->how->continuous;
}

/* The adjoint of the rates that layer i left at step t, from the first of the rows on: of the last layer, the target
 * error that the step after it had from them. */
static const float *rate_bar(struct gle_net *net, size_t i, struct gle_range rows, size_t t, int old)
{
    const struct gle_experiment *exp = net->graph->exp;
    const struct gle_graph_layer *l = gle_layer_of(net, i);
    const size_t at = rows.first * l->ld;
    float *bar = adjoint_of(net, l, GLE_ADJOINT_R, old) + at;
    const float *r, *y;

    if (i + 1 < net->graph->n_layers)
        return bar;
    if (t + 1 == net->taped) {
        memset(bar, 0, rows.n * l->ld * sizeof *bar);
        return bar;
    }
    r = gle_tape_of(net, l, GLE_TAPE_R, t + 1) + at;
    y = tape_target(net, t + 1) + at;
    (void)net->loss->eval(bar, r, y, 1.0f, exp->loss_params, rows.n, l->n, l->ld);
    if (feeds_back(net, l))
        net->loss->curve(bar, r, y, adjoint_of(net, l, GLE_ADJOINT_ABOVE, old) + at, (float)exp->beta,
                         exp->loss_params, rows.n, l->n, l->ld);
    return bar;
}

/* Back through the errors of layer i at step t, which fed into its own membrane and were sent below. */
static void errors_back(struct gle_net *net, size_t i, struct gle_range rows, size_t thread, size_t t, int old)
{
    const struct gle_graph_layer *l = gle_layer_of(net, i), *below = i ? gle_layer_of(net, i - 1) : NULL;
    const struct gle_kernels *k = net->kernels;
    const size_t at = rows.first * l->ld, n = rows.n * l->ld, at_in = rows.first * l->ld_in;
    const float *lambda = gle_tape_of(net, l, GLE_TAPE_LAMBDA, t) + at;
    const float gamma = (float)l->cfg->gamma;
    float *e_bar = adjoint_of(net, l, GLE_ADJOINT_E, 0) + at, *lag = adjoint_of(net, l, GLE_ADJOINT_WORK, 0) + at;

    if (below && below->nudged) {
        float *below_bar = gle_tape_of(net, l, GLE_TAPE_BELOW_BAR, t) + at_in;
        memcpy(below_bar, adjoint_of(net, below, GLE_ADJOINT_ABOVE, old) + at_in,
               rows.n * l->ld_in * sizeof *below_bar);
        gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
        gle_product(k, e_bar, l->ld, below_bar, l->ld_in, 1, net->coefs + l->wt, l->ld, rows.n, l->n, l->n_in, 1.0f);
        gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
    } else {
        memset(e_bar, 0, n * sizeof *e_bar);
    }
    for (size_t j = 0; j < n; j++)
        e_bar[j] += gamma * lambda[j];
    net->rule.error_back(adjoint_of(net, l, GLE_ADJOINT_ABOVE, !old) + at, adjoint_of(net, l, GLE_ADJOINT_DR, 0) + at,
                         adjoint_of(net, l, GLE_ADJOINT_V, 0) + at, lag, e_bar,
                         gle_tape_of(net, l, GLE_TAPE_E_ABOVE, t) + at, gle_tape_of(net, l, GLE_TAPE_DR, t) + at,
                         gle_tape_of(net, l, GLE_TAPE_V, t) + at, gle_coef_of(net, l, GLE_COEF_LOOK_V),
                         gle_coef_of(net, l, GLE_COEF_LEAK_V), rows.n, l->ld);
}

/* Whether tau_m of layer i has a gradient through its errors. */
static bool errors_reach_tau_m(const struct gle_net *net, size_t i)
{
    return feeds_back(net, gle_layer_of(net, i)) && net->plastic[i][GLE_TAU_M];
}

/* The step of the window at which layer i is in this round; none if it is not before net->taped. */
static size_t step_of_round(const struct gle_net *net, size_t i)
{
    const size_t later = net->how->continuous ? net->graph->n_layers - 1 - i : 0;

    return net->taped - 1 - net->sweep + later; /* SIZE_MAX and below, once it is through */
}

/* That gradient, of some neurons, summed over rows: after errors_back(). */
static void add_tau_bar(struct gle_net *net, size_t i, struct gle_range neurons, size_t thread)
{
    const struct gle_graph_layer *l = gle_layer_of(net, i);
    const size_t at = neurons.first, n = gle_padded(neurons.n);
    float *sum = adjoint_of(net, l, GLE_ADJOINT_GRAD, 0) + at;

    if (!errors_reach_tau_m(net, i) || step_of_round(net, i) >= net->taped)
        return;
    net->kernels->sum_products(sum, adjoint_of(net, l, GLE_ADJOINT_E, 0) + at,
                               adjoint_of(net, l, GLE_ADJOINT_WORK, 0) + at, gle_coef_of(net, l, GLE_COEF_LEAK_V) + at,
                               net->B, n, l->ld); /* lag / tau_r, times dt */
    net->kernels->add(adjoint_of(net, l, GLE_ADJOINT_TAU, 0) + at, sum, n);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
}

/* Layer i in a round. */
static void sweep_layer(struct gle_net *net, size_t i, struct gle_range rows, size_t thread)
{
    const struct gle_graph_layer *l = gle_layer_of(net, i);
    const struct gle_kernels *k = net->kernels;
    const size_t at = rows.first * l->ld, n = rows.n * l->ld, t = step_of_round(net, i);
    const int old = net->sweep % 2 == 0;
    float *a = adjoint_of(net, l, GLE_ADJOINT_A, 0) + at, *lambda;

    if (!l->swept || t >= net->taped)
        return;
    lambda = gle_tape_of(net, l, GLE_TAPE_LAMBDA, t) + at;
    k->multiply(a, rate_bar(net, i, rows, t, old), gle_tape_of(net, l, GLE_TAPE_DR, t + 1) + at, n);
    if (feeds_back(net, l) && net->act[i]->curve) {
        float *ddr = adjoint_of(net, l, GLE_ADJOINT_WORK, 0) + at;
        net->act[i]->curve(ddr, gle_tape_of(net, l, GLE_TAPE_PROSP_U, t) + at, n);
        k->multiply_add(a, ddr, adjoint_of(net, l, GLE_ADJOINT_DR, 0) + at, n);
    }
    *gle_wild_of(net, i, thread) |=
        k->membrane_back(lambda, adjoint_of(net, l, GLE_ADJOINT_U, 0) + at, a, gle_coef_of(net, l, GLE_COEF_LOOK_U),
                         gle_coef_of(net, l, GLE_COEF_LEAK_U), rows.n, l->ld);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (l->sweeps_below)
        gle_product(k, adjoint_of(net, gle_layer_of(net, i - 1), GLE_ADJOINT_R, !old) + rows.first * l->ld_in,
                    l->ld_in, lambda, l->ld, 1, net->params + l->param[GLE_WEIGHT], l->ld_in, rows.n, l->n_in, l->n,
                    1.0f);
    gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
    if (feeds_back(net, l))
        errors_back(net, i, rows, thread, t, old);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (!net->split.shared)
        add_tau_bar(net, i, (struct gle_range){.n = l->n}, thread);
}

/* --- gradients --- */

/* Rows that are summed in one go: more, and single precision would lose digits. */
enum { SUM_ROWS = 4096 };

/* grads += alpha * x^T y over all rows of the window, for some neurons; x (rows, ld), y (rows, ld_in). */
static void add_products(struct gle_net *net, const struct gle_graph_layer *l, struct gle_range neurons, const float *x,
                         const float *y, float alpha)
{
    const size_t at = neurons.first * l->ld_in, rows = net->taped * net->B;
    float *grad = net->grads + l->param[GLE_WEIGHT] + at, *part = adjoint_of(net, l, GLE_ADJOINT_GRAD, 0) + at;

    for (size_t b = 0; b < rows; b += SUM_ROWS) {
        gle_product(net->kernels, part, l->ld_in, x + b * l->ld + neurons.first, 1, l->ld, y + b * l->ld_in, l->ld_in,
                    neurons.n, l->n_in, rows - b < SUM_ROWS ? rows - b : SUM_ROWS, alpha);
        net->kernels->add(grad, part, neurons.n * l->ld_in);
    }
}

static void gather_weight(struct gle_net *net, size_t i, struct gle_range neurons, float alpha)
{
    const struct gle_graph_layer *l = gle_layer_of(net, i), *below = i ? gle_layer_of(net, i - 1) : NULL;
    const float *lambda = gle_tape_of(net, l, GLE_TAPE_LAMBDA, 0);
    const float *r_below = below ? gle_tape_of(net, below, GLE_TAPE_R, net->how->continuous ? 1 : 0)
                                 : tape_input(net, 0);

    memset(net->grads + l->param[GLE_WEIGHT] + neurons.first * l->ld_in, 0, neurons.n * l->ld_in * sizeof(float));
    add_products(net, l, neurons, lambda, r_below, -alpha);
    if (below && below->nudged && feeds_back(net, l))
        add_products(net, l, neurons, gle_tape_of(net, l, GLE_TAPE_E, 0), gle_tape_of(net, l, GLE_TAPE_BELOW_BAR, 0),
                     -alpha);
}

/* Of biases, and of time constants. */
static void gather_rows(struct gle_net *net, size_t i, struct gle_range neurons, float alpha)
{
    const struct gle_graph_layer *l = gle_layer_of(net, i);
    const struct gle_kernels *k = net->kernels;
    const size_t at = neurons.first, width = gle_padded(neurons.n), rows = net->taped * net->B;
    const float *lambda = gle_tape_of(net, l, GLE_TAPE_LAMBDA, 0) + at;
    float *bias = net->grads + l->param[GLE_BIAS] + at, *tau = net->grads + l->param[GLE_TAU_M] + at;
    float *part = adjoint_of(net, l, GLE_ADJOINT_GRAD, 0) + at * l->ld_in;
    const float *tau_bar = adjoint_of(net, l, GLE_ADJOINT_TAU, 0) + at;
    const float dt = (float)net->graph->exp->dt;

    memset(bias, 0, width * sizeof *bias);
    memset(tau, 0, width * sizeof *tau);
    for (size_t b = 0; b < rows; b += SUM_ROWS) {
        const size_t n = rows - b < SUM_ROWS ? rows - b : SUM_ROWS;
        if (net->plastic[i][GLE_BIAS]) {
            k->sum_rows(part, lambda + b * l->ld, -alpha, n, width, l->ld);
            k->add(bias, part, width);
        }
        if (net->plastic[i][GLE_TAU_M]) {
            k->sum_products(part, lambda + b * l->ld, gle_tape_of(net, l, GLE_TAPE_S, 0) + at + b * l->ld,
                            gle_coef_of(net, l, GLE_COEF_LEAK_U) + at, n, width, l->ld); /* S / tau_m, times dt */
            for (size_t j = 0; j < neurons.n; j++)
                tau[j] += part[j] * (alpha / dt);
        }
    }
    if (errors_reach_tau_m(net, i))
        for (size_t j = 0; j < neurons.n; j++)
            tau[j] -= tau_bar[j] * (alpha / dt);
}

static void gather(struct gle_net *net, size_t i, struct gle_range neurons, size_t thread)
{
    const struct gle_graph *g = net->graph;
    const double of_row = net->loss->scale(gle_top_of(net)->n) / (double)net->B;
    const float alpha = (float)(net->how->continuous ? of_row * g->exp->dt : of_row);

    if (!gle_layer_of(net, i)->swept || !net->taped)
        return;
    if (net->plastic[i][GLE_WEIGHT])
        gather_weight(net, i, neurons, alpha);
    gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
    if (net->plastic[i][GLE_BIAS] || net->plastic[i][GLE_TAU_M])
        gather_rows(net, i, neurons, alpha);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (net->step)
        gle_net_descend(net, i, neurons, thread);
}

/* --- the share of a thread --- */

static void sweep_layers(void *net, size_t thread)
{
    gle_net_steps_of(net, thread, sweep_layer);
}

static void add_tau_bars(void *net, size_t thread)
{
    gle_net_learning_of(net, thread, add_tau_bar);
}

static void gather_layers(void *net, size_t thread)
{
    gle_net_learning_of(net, thread, gather);
}

/* Whether rounds must wait for all rows of a layer before their sum is made. */
static bool waits_for_tau_m(const struct gle_net *net)
{
    bool any = false;

    for (size_t i = 0; i < net->graph->n_layers; i++)
        any = any || errors_reach_tau_m(net, i);
    return any && net->split.shared;
}

int gle_net_end_window(struct gle_net *net, const struct gle_rule *how, bool learn, double lr, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;
    const struct gle_step step = {.learn = true, .lr = lr};
    const size_t rounds = net->taped ? net->taped + (how->continuous ? g->n_layers - 1 : 0) : 0;

    assert(net->taping && how->windowed);
    net->taping = false;
    net->how = how;
    memset(net->adjoints, 0, g->adjoint_floats * sizeof *net->adjoints);
    memset(net->wild, 0, net->split.n_threads * gle_wild_apart(g) * sizeof *net->wild);
    for (net->sweep = 0; net->sweep < rounds; net->sweep++) {
        gle_net_share(net, sweep_layers);
        if (waits_for_tau_m(net))
            gle_net_share(net, add_tau_bars);
    }
    if (gle_net_check(net, err))
        return -1;
    net->step = learn ? &step : NULL;
    if (learn)
        net->optimizer_step = net->optimizer->prepare(g->exp->optimizer.params, lr, ++net->updates);
    gle_net_share(net, gather_layers);
    return 0;
}

void gle_net_get_lambda(const struct gle_net *net, size_t layer, size_t t, const size_t *rows, size_t n_rows,
                        float *values)
{
    const struct gle_graph_layer *l = gle_layer_of(net, layer);

    assert(t < net->taped);
    if (l->swept)
        gle_copy_chosen(values, gle_tape_of(net, l, GLE_TAPE_LAMBDA, t), l->ld, l->n, rows, n_rows);
    else
        memset(values, 0, n_rows * l->n * sizeof *values);
}
