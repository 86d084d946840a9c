/* Windows: what their steps leave on the tape, and the sweep back that makes gradients of it.
 *
 * The sweep is a chain of rounds. In a round each population goes one step back in time, from the adjoints (gradients
 * of the loss with respect to a variable, named _bar) that its neighbours left in the round before; so work can be
 * shared among threads as in a step. All adjoints are scaled by -batch / gle_loss.scale, which makes that of the output
 * the target error, and lambda = -batch / scale * dL/d(tau_m u_dot) comparable to errors e.
 *   bptt: all populations are at the same step, since each step had read the old state of its neighbours.
 *   adjoint: each population is one step later than the one above, and so reads what that has found for the same
 *   step. */
#include "solver/inside.h"

#include <assert.h>
#include <string.h>

void gle_net_begin_window(struct gle_net *net)
{
    assert(net->graph->tape_steps && net->B <= net->graph->train_rows);
    net->taping = true;
    net->taped = 0;
    for (size_t i = 0; i < net->graph->n_populations; i++) {
        const struct gle_population *p = gle_population_of(net, i);
        const size_t bytes = net->B * p->ld * sizeof(float);
        memcpy(gle_tape_of(net, &p->tape.r, 0), gle_old_of(net, &p->r), bytes);
        if (p->swept)
            memcpy(gle_tape_of(net, &p->tape.dr, 0), gle_old_of(net, &p->dr), bytes);
        if (p->nudged)
            memcpy(gle_tape_of(net, &p->tape.v, 0), gle_old_of(net, &p->v), bytes);
    }
}

void gle_net_drop_window(struct gle_net *net)
{
    net->taping = false;
}

void gle_net_tape(struct gle_net *net, size_t i, struct gle_range rows, size_t thread, const float *e_above)
{
    const struct gle_graph *g = net->graph;
    const struct gle_population *p = gle_population_of(net, i);
    const struct gle_population_tape *tape = &p->tape;
    const size_t t = net->taped, at = rows.first * p->ld, bytes = rows.n * p->ld * sizeof(float);
    const size_t at_input = rows.first * g->ld_input, place = gle_place_of(net, i, thread);

    assert(t < g->tape_steps);
    memcpy(gle_tape_of(net, &tape->r, t + 1) + at, gle_new_of(net, &p->r) + at, bytes);
    if (i == 0)
        memcpy(gle_tape_of(net, &g->tape_input, t) + at_input, net->input + at_input,
               rows.n * g->ld_input * sizeof(float));
    if (p->out == GLE_NO_PROJECTION)
        memcpy(gle_tape_of(net, &g->tape_target, t) + at, net->target + at, bytes);
    if (p->swept)
        memcpy(gle_tape_of(net, &tape->dr, t + 1) + at, gle_old_of(net, &p->dr) + at, bytes);
    if (p->tau_m->plastic)
        memcpy(gle_tape_of(net, &tape->s, t) + at, gle_derived_of(net, &p->s, place) + at, bytes);
    if (!p->nudged)
        return;
    memcpy(gle_tape_of(net, &tape->v, t + 1) + at, gle_old_of(net, &p->v) + at, bytes);
    memcpy(gle_tape_of(net, &tape->e, t) + at, gle_derived_of(net, &p->e, place) + at, bytes);
    memcpy(gle_tape_of(net, &tape->prosp_u, t) + at, gle_derived_of(net, &p->prosp_u, place) + at, bytes);
    memcpy(gle_tape_of(net, &tape->e_above, t) + at, e_above + at, bytes);
}

/* --- the sweep --- */

/* Whether the feedback of errors counts for a population. */
static bool feeds_back(const struct gle_net *net, const struct gle_population *p)
{
    return p->nudged && !net->how->continuous;
}

/* The adjoint of the rates that population i left at step t, from the first of the rows on: of the output, the target
 * error that the step after it had from them, if it had a target. */
static const float *rate_bar(struct gle_net *net, size_t i, struct gle_range rows, size_t t, int old)
{
    const struct gle_experiment *exp = net->graph->exp;
    const struct gle_population *p = gle_population_of(net, i);
    const size_t at = rows.first * p->ld;
    float *bar = gle_field_of(net, &p->adjoint.r, (size_t)old) + at;
    const float *r, *y;

    if (p->out != GLE_NO_PROJECTION)
        return bar;
    if (t + 1 == net->taped || net->tape_unasked[t + 1]) {
        memset(bar, 0, rows.n * p->ld * sizeof *bar);
        return bar;
    }
    r = gle_tape_of(net, &p->tape.r, t + 1) + at;
    y = gle_tape_of(net, &net->graph->tape_target, t + 1) + at;
    (void)net->loss->eval(bar, r, y, 1.0f, exp->loss_params, rows.n, p->n, p->ld);
    if (feeds_back(net, p))
        net->loss->curve(bar, r, y, gle_field_of(net, &p->adjoint.above, (size_t)old) + at, (float)exp->beta,
                         exp->loss_params, rows.n, p->n, p->ld);
    return bar;
}

/* Back through the errors of population i at step t, which fed into its own membrane and were sent below. */
static void errors_back(struct gle_net *net, size_t i, struct gle_range rows, size_t thread, size_t t, int old)
{
    const struct gle_population *p = gle_population_of(net, i);
    const struct gle_projection *c = gle_source_of(net, p);
    const struct gle_population *below = gle_below_of(net, c);
    const struct gle_kernels *k = net->kernels;
    const size_t at = rows.first * p->ld, n = rows.n * p->ld, at_in = rows.first * c->ld_in;
    const float *lambda = gle_tape_of(net, &p->tape.lambda, t) + at;
    const float gamma = (float)p->cfg->gamma;
    float *e_bar = gle_field_of(net, &p->adjoint.e, 0) + at, *lag = gle_field_of(net, &p->adjoint.work, 0) + at;

    if (below && below->nudged) {
        float *below_bar = gle_tape_of(net, &c->below_bar, t) + at_in;
        memcpy(below_bar, gle_field_of(net, &below->adjoint.above, (size_t)old) + at_in,
               rows.n * c->ld_in * sizeof *below_bar);
        gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
        gle_product(k, e_bar, p->ld, below_bar, c->ld_in, 1, gle_field_of(net, &c->weight_t, 0), p->ld, rows.n, p->n,
                    c->n_in, 1.0f);
        gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
    } else {
        memset(e_bar, 0, n * sizeof *e_bar);
    }
    for (size_t j = 0; j < n; j++)
        e_bar[j] += gamma * lambda[j];
    net->rule.error_back(gle_field_of(net, &p->adjoint.above, (size_t)!old) + at,
                         gle_field_of(net, &p->adjoint.dr, 0) + at, gle_field_of(net, &p->adjoint.v, 0) + at, lag,
                         e_bar,
                         gle_tape_of(net, &p->tape.e_above, t) + at, gle_tape_of(net, &p->tape.dr, t) + at,
                         gle_tape_of(net, &p->tape.v, t) + at, gle_field_of(net, &p->look_v, 0),
                         gle_field_of(net, &p->leak_v, 0), rows.n, p->ld);
}

/* Whether tau_m of population i has a gradient through its errors. */
static bool errors_reach_tau_m(const struct gle_net *net, size_t i)
{
    const struct gle_population *p = gle_population_of(net, i);

    return feeds_back(net, p) && gle_learns(net, p->tau_m);
}

/* The step of the window at which population i is in this round; none if it is not before net->taped. */
static size_t step_of_round(const struct gle_net *net, size_t i)
{
    const size_t later = net->how->continuous ? net->graph->n_populations - 1 - i : 0;

    return net->taped - 1 - net->sweep + later; /* SIZE_MAX and below, once it is through */
}

/* That gradient, of some neurons, summed over rows: after errors_back(). */
static void add_tau_bar(struct gle_net *net, size_t i, struct gle_range neurons, size_t thread)
{
    const struct gle_population *p = gle_population_of(net, i);
    const size_t at = neurons.first, n = gle_padded(neurons.n);
    float *sum = gle_field_of(net, &p->adjoint.part, 0) + at;

    if (!errors_reach_tau_m(net, i) || step_of_round(net, i) >= net->taped)
        return;
    net->kernels->sum_products(sum, gle_field_of(net, &p->adjoint.e, 0) + at,
                               gle_field_of(net, &p->adjoint.work, 0) + at, gle_field_of(net, &p->leak_v, 0) + at,
                               net->B, n, p->ld); /* lag / tau_r, times dt */
    net->kernels->add(gle_field_of(net, &p->adjoint.tau_m, 0) + at, sum, n);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
}

/* Population i in a round. */
static void sweep_population(struct gle_net *net, size_t i, struct gle_range rows, size_t thread)
{
    const struct gle_population *p = gle_population_of(net, i);
    const struct gle_projection *c = gle_source_of(net, p);
    const struct gle_kernels *k = net->kernels;
    const size_t at = rows.first * p->ld, n = rows.n * p->ld, t = step_of_round(net, i);
    const int old = net->sweep % 2 == 0;
    float *a = gle_field_of(net, &p->adjoint.a, 0) + at, *lambda;

    if (!p->swept || t >= net->taped)
        return;
    lambda = gle_tape_of(net, &p->tape.lambda, t) + at;
    k->multiply(a, rate_bar(net, i, rows, t, old), gle_tape_of(net, &p->tape.dr, t + 1) + at, n);
    if (feeds_back(net, p) && net->act[i]->curve) {
        float *ddr = gle_field_of(net, &p->adjoint.work, 0) + at;
        net->act[i]->curve(ddr, gle_tape_of(net, &p->tape.prosp_u, t) + at, n);
        k->multiply_add(a, ddr, gle_field_of(net, &p->adjoint.dr, 0) + at, n);
    }
    *gle_wild_of(net, i, thread) |=
        k->membrane_back(lambda, gle_field_of(net, &p->adjoint.u, 0) + at, a, gle_field_of(net, &p->look_u, 0),
                         gle_field_of(net, &p->leak_u, 0), rows.n, p->ld);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (c->sweeps_below)
        gle_product(k, gle_field_of(net, &gle_below_of(net, c)->adjoint.r, (size_t)!old) + rows.first * c->ld_in,
                    c->ld_in, lambda, p->ld, 1, gle_param_of(net, c->weight), c->ld_in, rows.n, c->n_in, p->n, 1.0f);
    gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
    if (feeds_back(net, p))
        errors_back(net, i, rows, thread, t, old);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (!net->split.shared)
        add_tau_bar(net, i, (struct gle_range){.n = p->n}, thread);
}

/* --- gradients --- */

/* Rows that are summed in one go: more, and single precision would lose digits. */
enum { SUM_ROWS = 4096 };

/* grads += alpha * x^T y over all rows of the window, for some neurons; x (rows, ld), y (rows, ld_in). */
static void add_products(struct gle_net *net, const struct gle_projection *c, struct gle_range neurons, const float *x,
                         const float *y, float alpha)
{
    const size_t at = neurons.first * c->ld_in, rows = net->taped * net->B;
    const size_t ld = gle_population_of(net, c->target)->ld;
    float *grad = gle_grad_of(net, c->weight) + at, *part = gle_field_of(net, &c->part, 0) + at;

    for (size_t b = 0; b < rows; b += SUM_ROWS) {
        gle_product(net->kernels, part, c->ld_in, x + b * ld + neurons.first, 1, ld, y + b * c->ld_in, c->ld_in,
                    neurons.n, c->n_in, rows - b < SUM_ROWS ? rows - b : SUM_ROWS, alpha);
        net->kernels->add(grad, part, neurons.n * c->ld_in);
    }
}

static void gather_weight(struct gle_net *net, const struct gle_projection *c, struct gle_range neurons, float alpha)
{
    const struct gle_population *p = gle_population_of(net, c->target), *below = gle_below_of(net, c);
    const float *lambda = gle_tape_of(net, &p->tape.lambda, 0);
    const float *r_below = below ? gle_tape_of(net, &below->tape.r, net->how->continuous ? 1 : 0)
                                 : gle_tape_of(net, &net->graph->tape_input, 0);

    memset(gle_grad_of(net, c->weight) + neurons.first * c->ld_in, 0, neurons.n * c->ld_in * sizeof(float));
    add_products(net, c, neurons, lambda, r_below, -alpha);
    if (below && below->nudged && feeds_back(net, p))
        add_products(net, c, neurons, gle_tape_of(net, &p->tape.e, 0), gle_tape_of(net, &c->below_bar, 0), -alpha);
}

/* Of biases, and of time constants. */
static void gather_rows(struct gle_net *net, size_t i, struct gle_range neurons, float alpha)
{
    const struct gle_population *p = gle_population_of(net, i);
    const struct gle_kernels *k = net->kernels;
    const size_t at = neurons.first, width = gle_padded(neurons.n), rows = net->taped * net->B;
    const float *lambda = gle_tape_of(net, &p->tape.lambda, 0) + at;
    float *bias = gle_grad_of(net, p->bias) + at, *tau = gle_grad_of(net, p->tau_m) + at;
    float *part = gle_field_of(net, &p->adjoint.part, 0) + at;
    const float *tau_bar = gle_field_of(net, &p->adjoint.tau_m, 0) + at;
    const float dt = (float)net->graph->exp->dt;

    memset(bias, 0, width * sizeof *bias);
    memset(tau, 0, width * sizeof *tau);
    for (size_t b = 0; b < rows; b += SUM_ROWS) {
        const size_t n = rows - b < SUM_ROWS ? rows - b : SUM_ROWS;
        if (gle_learns(net, p->bias)) {
            k->sum_rows(part, lambda + b * p->ld, -alpha, n, width, p->ld);
            k->add(bias, part, width);
        }
        if (gle_learns(net, p->tau_m)) {
            k->sum_products(part, lambda + b * p->ld, gle_tape_of(net, &p->tape.s, 0) + at + b * p->ld,
                            gle_field_of(net, &p->leak_u, 0) + at, n, width, p->ld); /* S / tau_m, times dt */
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
    const struct gle_population *p = gle_population_of(net, i);
    const struct gle_projection *c = gle_source_of(net, p);
    const double of_row = net->loss->scale(gle_top_of(net)->n) / (double)net->B;
    const float alpha = (float)(net->how->continuous ? of_row * g->exp->dt : of_row);

    if (!p->swept || !net->taped)
        return;
    if (gle_learns(net, c->weight))
        gather_weight(net, c, neurons, alpha);
    gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
    if (gle_learns(net, p->bias) || gle_learns(net, p->tau_m))
        gather_rows(net, i, neurons, alpha);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (net->step)
        gle_net_descend(net, i, neurons, thread);
}

/* --- the share of a thread --- */

static void sweep_all(void *net, size_t thread)
{
    gle_net_steps_of(net, thread, sweep_population);
}

static void add_tau_bars(void *net, size_t thread)
{
    gle_net_learning_of(net, thread, add_tau_bar);
}

static void gather_all(void *net, size_t thread)
{
    gle_net_learning_of(net, thread, gather);
}

/* Whether rounds must wait for all rows of a population before their sum is made. */
static bool waits_for_tau_m(const struct gle_net *net)
{
    bool any = false;

    for (size_t i = 0; i < net->graph->n_populations; i++)
        any = any || errors_reach_tau_m(net, i);
    return any && net->split.shared;
}

int gle_net_end_window(struct gle_net *net, const struct gle_rule *how, bool learn, double lr, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;
    const struct gle_step step = {.learn = true, .lr = lr};
    const size_t rounds = net->taped ? net->taped + (how->continuous ? g->n_populations - 1 : 0) : 0;

    assert(net->taping && how->windowed);
    net->taping = false;
    net->how = how;
    memset(net->slabs[GLE_ADJOINT], 0, g->floats[GLE_ADJOINT] * sizeof(float));
    memset(net->wild, 0, net->split.n_threads * gle_wild_apart(g) * sizeof *net->wild);
    for (net->sweep = 0; net->sweep < rounds; net->sweep++) {
        gle_net_share(net, sweep_all);
        if (waits_for_tau_m(net))
            gle_net_share(net, add_tau_bars);
    }
    if (gle_net_check(net, err))
        return -1;
    net->step = learn ? &step : NULL;
    if (learn)
        net->optimizer_step = net->optimizer->prepare(g->exp->optimizer.params, lr, ++net->updates);
    gle_net_share(net, gather_all);
    return 0;
}

void gle_net_get_lambda(const struct gle_net *net, size_t layer, size_t t, const size_t *rows, size_t n_rows,
                        float *values)
{
    const struct gle_population *p = gle_population_of(net, layer);

    assert(t < net->taped);
    if (p->swept)
        gle_copy_chosen(values, gle_tape_of(net, &p->tape.lambda, t), p->ld, p->n, rows, n_rows);
    else
        memset(values, 0, n_rows * p->n * sizeof *values);
}
