/* Windows: what their steps leave on the tape, and the sweep back that makes gradients of it.
 *
 * The sweep is a chain of rounds. In a round each population goes one step back in time, from the adjoints (gradients
 * of the loss with respect to a variable, named _bar) that other populations, or itself, left on the tape in rounds
 * before; so work can be shared among threads as in a step. All adjoints are scaled by -batch / gle_loss.scale, which
 * makes that of the output the target error, and lambda = -batch / scale * dL/d(tau_m u_dot) comparable to errors e.
 *   bptt: all populations are at the same step. The rate that a step left was read by step t + delay of its readers,
 *   whose lambda is on the tape, since a delay is one step at least.
 *   adjoint: a population is later than those above by the length of its longest way to the output, and so reads what
 *   they have found for the same step.
 *
 * Invariants, with T = net->taped and, of a population, `past` as in the graph:
 *   1. While a window is open, copies 0 ... T + past - 1 of tape.r, and 0 ... T of dr and v, are those of the net;
 *      after T = 0 steps these are what the net had when the window opened.
 *   2. Batch, parameters and the list of what learns are the same in all steps of a window.
 *   3. In round k of the sweep population p is at step t(p) = T - 1 - k (adjoint: + p->depth), and is passed over
 *      unless 0 <= t(p) < T. Then lambda and above_bar of all its later steps are whole.
 *   4. A round writes of a population nothing but its own adjoints, and its rows of lambda, prosp_u_bar, above_bar and
 *      of its projections' tapes at step t(p). */
#include "kernel/equations.h"
#include "solver/inside.h"

#include <assert.h>
#include <string.h>

void gle_net_begin_window(struct gle_net *net)
{
    const struct gle_graph *g = net->graph;

    assert(g->tape_steps && net->B <= g->train_rows);
    net->taping = true;
    net->taped = 0;
    if (net->device) {
        gle_net_device_begin_window(net);
        return;
    }
    for (size_t ago = 0; ago < g->input_past; ago++)
        memcpy(gle_tape_of(net, &g->tape_input, g->input_past - 1 - ago), gle_past_of(net, &g->input, ago),
               net->B * g->ld_input * sizeof(float));
    for (size_t i = 0; i < g->n_populations; i++) {
        const struct gle_population *p = gle_population_of(net, i);
        const size_t bytes = net->B * p->ld * sizeof(float);
        for (size_t ago = 0; ago < p->past; ago++)
            memcpy(gle_tape_of(net, &p->tape.r, p->past - 1 - ago), gle_past_of(net, &p->r, ago), bytes);
        if (p->swept)
            memcpy(gle_tape_of(net, &p->tape.dr, 0), gle_old_of(net, &p->dr), bytes);
        if (p->coupled)
            memcpy(gle_tape_of(net, &p->tape.v, 0), gle_old_of(net, &p->v), bytes);
    }
}

void gle_net_drop_window(struct gle_net *net)
{
    net->taping = false;
}

/* What a step left of errors that feed back. */
static void tape_errors(struct gle_net *net, const struct gle_population *p, struct gle_range rows, size_t place)
{
    const size_t t = net->taped, at = rows.first * p->ld, bytes = rows.n * p->ld * sizeof(float);
    float *kept = gle_tape_of(net, &p->tape.e_above, t) + at;
    const float *e_above = gle_net_errors_above(net, p, kept, rows.first, rows.n);

    memcpy(gle_tape_of(net, &p->tape.v, t + 1) + at, gle_old_of(net, &p->v) + at, bytes);
    memcpy(gle_tape_of(net, &p->tape.e, t) + at, gle_derived_of(net, &p->e, place) + at, bytes);
    memcpy(gle_tape_of(net, &p->tape.prosp_u, t) + at, gle_derived_of(net, &p->prosp_u, place) + at, bytes);
    if (!e_above)
        memset(kept, 0, bytes);
    else if (e_above != kept)
        memcpy(kept, e_above, bytes);
}

void gle_net_tape(struct gle_net *net, size_t i, struct gle_range rows, size_t thread)
{
    const struct gle_graph *g = net->graph;
    const struct gle_population *p = gle_population_of(net, i);
    const struct gle_population_tape *tape = &p->tape;
    const size_t t = net->taped, at = rows.first * p->ld, bytes = rows.n * p->ld * sizeof(float);
    const size_t at_input = rows.first * g->ld_input, place = gle_place_of(net, i, thread);

    assert(t < g->tape_steps);
    memcpy(gle_tape_of(net, &tape->r, t + p->past) + at, gle_new_of(net, &p->r) + at, bytes);
    if (i == 0)
        memcpy(gle_tape_of(net, &g->tape_input, t + g->input_past) + at_input, net->input + at_input,
               rows.n * g->ld_input * sizeof(float));
    if (p->is_output)
        memcpy(gle_tape_of(net, &g->tape_target, t) + at, net->target + at, bytes);
    for (size_t b = rows.first; p->is_output && g->weighted && b < rows.first + rows.n; b++)
        gle_tape_of(net, &g->tape_weight, t)[b * g->tape_weight.ld] = net->weights[b];
    if (p->swept)
        memcpy(gle_tape_of(net, &tape->dr, t + 1) + at, gle_old_of(net, &p->dr) + at, bytes);
    if (tape->s.copies)
        memcpy(gle_tape_of(net, &tape->s, t) + at, gle_derived_of(net, &p->s, place) + at, bytes);
    if (p->coupled)
        tape_errors(net, p, rows, place);
}

/* --- the sweep --- */

/* Whether the feedback of errors counts for a population. */
static bool feeds_back(const struct gle_net *net, const struct gle_population *p)
{
    return p->coupled && !net->sweep_rule->continuous;
}

/* What step t of a projection's window read: rates of its source, or the input; from there on those of later steps.
 * Continuous equations have no delay. */
static const float *taped_rates(const struct gle_net *net, const struct gle_projection *c, size_t t)
{
    const struct gle_graph *g = net->graph;
    const struct gle_population *below = gle_below_of(net, c);

    if (!below)
        return gle_tape_of(net, &g->tape_input, t + g->input_past - c->delay);
    return gle_tape_of(net, &below->tape.r, t + below->past - (net->sweep_rule->continuous ? 0 : c->delay));
}

/* bar += or, for the first, = what a reader's lambda of the step that read the rates which population p left at step t
 * is for them. work: room for one more. */
static void add_reader(struct gle_net *net, const struct gle_population *p, const struct gle_projection *c,
                       struct gle_range rows, size_t thread, size_t t, float *bar, float *work, bool first)
{
    const struct gle_population *reader = gle_population_of(net, c->target);
    const struct gle_link_call call = gle_call_of(net, c, false, thread);
    const float *lambda = gle_tape_of(net, &reader->tape.lambda, net->sweep_rule->continuous ? t : t + c->delay) +
                          rows.first * reader->ld;
    float *to = first ? bar : work;

    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (c->plan.pooling) {
        float *pooled = gle_field_of(net, &c->bar, 0) + rows.first * c->ld_pool;
        c->plan.link->back(&call, pooled, c->ld_pool, lambda, reader->ld, rows.n);
        c->plan.pooling->back(&c->plan, net->kernels, to, p->ld, pooled, c->ld_pool,
                              gle_tape_of(net, &p->tape.r, t + p->past) + rows.first * p->ld, rows.n);
    } else {
        c->plan.link->back(&call, to, p->ld, lambda, reader->ld, rows.n);
    }
    gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
    if (!first)
        net->kernels->add(bar, work, rows.n * p->ld);
}

/* The adjoint of the rates that population i left at step t: of the output, the target error that the step after it
 * had from them, if it had a target; and what the readers' lambda make of it. */
static const float *rate_bar(struct gle_net *net, size_t i, struct gle_range rows, size_t thread, size_t t)
{
    const struct gle_experiment *exp = net->graph->exp;
    const struct gle_population *p = gle_population_of(net, i);
    const size_t at = rows.first * p->ld;
    float *bar = gle_field_of(net, &p->adjoint.r, 0) + at, *work = gle_field_of(net, &p->adjoint.work, 0) + at;
    bool first = true;

    if (p->is_output && t + 1 < net->taped && !net->tape_unasked[t + 1]) {
        const float *r = gle_tape_of(net, &p->tape.r, t + p->past) + at;
        const float *y = gle_tape_of(net, &net->graph->tape_target, t + 1) + at;
        const size_t apart = net->graph->tape_weight.ld;
        const float *weights = net->graph->weighted
                                   ? gle_tape_of(net, &net->graph->tape_weight, t + 1) + rows.first * apart
                                   : NULL;
        (void)gle_net_find_target_errors(net, bar, r, y, weights, apart, 1.0f, rows.n);
        for (size_t b = 0; feeds_back(net, p) && b < rows.n; b++) /* each row is found by itself in any case */
            if (gle_is_asked(y[b * p->ld]))
                net->loss->curvature(bar + b * p->ld, r + b * p->ld, y + b * p->ld,
                                     gle_tape_of(net, &p->tape.above_bar, t + 1) + at + b * p->ld,
                                     (float)exp->beta * (weights ? weights[b * apart] : 1.0f), exp->loss_params, 1,
                                     p->n, p->ld);
        first = false;
    }
    for (size_t j = 0; j < p->n_out; j++) {
        const struct gle_projection *c = gle_out_of(net, p, j);
        if (!net->sweep_rule->continuous && t + c->delay >= net->taped)
            continue;
        add_reader(net, p, c, rows, thread, t, bar, work, first);
        first = false;
    }
    if (first)
        memset(bar, 0, rows.n * p->ld * sizeof *bar);
    return bar;
}

/* e_bar += or, for the first, = what the sources of a projection make of the errors that were sent to them at step t:
 * they read them in the step after. */
static void add_source(struct gle_net *net, const struct gle_projection *c, struct gle_range rows, size_t thread,
                       size_t t, float *e_bar, float *work, bool first)
{
    const struct gle_population *p = gle_population_of(net, c->target), *below = gle_below_of(net, c);
    const struct gle_link_call call = gle_call_of(net, c, true, thread);
    const float *below_bar = gle_tape_of(net, &below->tape.above_bar, t + 1) + rows.first * c->ld_in;

    if (c->plan.pooling) {
        float *pooled = gle_tape_of(net, &c->tape_pooled_bar, t) + rows.first * c->ld_pool;
        c->plan.pooling->forward(&c->plan, net->kernels, pooled, c->ld_pool, below_bar,
                                 taped_rates(net, c, t) + rows.first * c->ld_in, c->ld_in, rows.n);
        below_bar = pooled;
    }
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    c->plan.link->forward(&call, first ? e_bar : work, p->ld, below_bar, c->ld_pool, rows.n);
    gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
    if (!first)
        net->kernels->add(e_bar, work, rows.n * p->ld);
}

/* Back through the errors of population i at step t, which fed into its own membrane and were sent to its sources. */
static void errors_back(struct gle_net *net, size_t i, struct gle_range rows, size_t thread, size_t t)
{
    const struct gle_population *p = gle_population_of(net, i);
    const size_t at = rows.first * p->ld, n = rows.n * p->ld;
    const float *lambda = gle_tape_of(net, &p->tape.lambda, t) + at;
    const float gamma = (float)p->cfg->gamma;
    float *e_bar = gle_field_of(net, &p->adjoint.e, 0) + at, *work = gle_field_of(net, &p->adjoint.work, 0) + at;
    bool first = true;

    for (size_t j = 0; j < p->n_in; j++) {
        const struct gle_projection *c = gle_in_of(net, p, j);
        if (!c->couples_below)
            continue;
        add_source(net, c, rows, thread, t, e_bar, work, first);
        first = false;
    }
    if (first)
        memset(e_bar, 0, n * sizeof *e_bar);
    for (size_t j = 0; j < n; j++)
        e_bar[j] += gamma * lambda[j];
    if (p->adjoint.old_v.copies)
        memcpy(gle_field_of(net, &p->adjoint.old_v, 0) + at, gle_field_of(net, &p->adjoint.v, 0) + at,
               n * sizeof *e_bar);
    net->rule.error_back(gle_tape_of(net, &p->tape.above_bar, t) + at, gle_field_of(net, &p->adjoint.dr, 0) + at,
                         gle_field_of(net, &p->adjoint.v, 0) + at, work, e_bar,
                         gle_tape_of(net, &p->tape.e_above, t) + at, gle_tape_of(net, &p->tape.dr, t) + at,
                         gle_tape_of(net, &p->tape.v, t) + at, gle_field_of(net, &p->look_v, 0),
                         gle_field_of(net, &p->leak_v, 0), rows.n, p->ld);
}

/* Whether a time constant of a population learns and has a gradient through its errors. */
static bool errors_reach(const struct gle_net *net, const struct gle_population *p, const struct gle_parameter *tau)
{
    return feeds_back(net, p) && gle_learns(net, tau);
}

static bool errors_reach_taus(const struct gle_net *net, const struct gle_population *p)
{
    return errors_reach(net, p, p->tau_m) || errors_reach(net, p, p->tau_r);
}

/* The step of the window at which population i is in this round; none if it is not before net->taped. */
static size_t step_of_round(const struct gle_net *net, size_t i)
{
    const size_t later = net->sweep_rule->continuous ? gle_population_of(net, i)->depth : 0;

    return net->taped - 1 - net->round + later; /* SIZE_MAX and below, once it is through */
}

/* Those gradients, of some neurons, summed over rows, times dt: after errors_back(). With v_dot = lag / tau_r they are
 * e_bar v_dot of tau_m and, but for the sign, (look_v e_bar + slope_v v_bar) v_dot of tau_r, which e and v read v_dot
 * by. */
static void add_tau_bar(struct gle_net *net, size_t i, struct gle_range neurons, size_t thread)
{
    const struct gle_population *p = gle_population_of(net, i);
    const struct gle_population_adjoint *bar = &p->adjoint;
    const struct gle_kernels *k = net->kernels;
    const size_t at = neurons.first, n = gle_padded(neurons.n);
    const float *lag = gle_field_of(net, &bar->work, 0) + at, *rate = gle_rate_of(net, &p->rate_v, &p->leak_v) + at;
    float *sum = gle_field_of(net, &bar->part, 0) + at;

    if (!errors_reach_taus(net, p) || step_of_round(net, i) >= net->taped)
        return;
    k->sum_products(sum, gle_field_of(net, &bar->e, 0) + at, lag, rate, net->B, n, p->ld);
    if (gle_learns(net, p->tau_m))
        k->add(gle_field_of(net, &bar->tau_m, 0) + at, sum, n);
    if (gle_learns(net, p->tau_r)) {
        float *tau_r = gle_field_of(net, &bar->tau_r, 0) + at;
        k->multiply_add(tau_r, sum, gle_field_of(net, &p->look_v, 0) + at, n);
        k->sum_products(sum, gle_field_of(net, &bar->old_v, 0) + at, lag, rate, net->B, n, p->ld);
        k->multiply_add(tau_r, sum, gle_rate_of(net, &p->slope_v, &p->leak_v) + at, n);
    }
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
}

/* Pooled rates that step t met, for the gradient of the weights. */
static void tape_pooled(struct gle_net *net, const struct gle_population *p, struct gle_range rows, size_t t)
{
    for (size_t j = 0; j < p->n_in; j++) {
        const struct gle_projection *c = gle_in_of(net, p, j);
        const float *r;
        if (!c->tape_pooled.copies)
            continue;
        r = taped_rates(net, c, t) + rows.first * c->ld_in;
        c->plan.pooling->forward(&c->plan, net->kernels,
                                 gle_tape_of(net, &c->tape_pooled, t) + rows.first * c->ld_pool, c->ld_pool, r, r,
                                 c->ld_in, rows.n);
    }
}

/* Population i in a round. */
static void sweep_population(struct gle_net *net, size_t i, struct gle_range rows, size_t thread)
{
    const struct gle_population *p = gle_population_of(net, i);
    const struct gle_kernels *k = net->kernels;
    const size_t at = rows.first * p->ld, n = rows.n * p->ld, t = step_of_round(net, i);
    float *a;

    if (!p->swept || t >= net->taped)
        return;
    a = (p->tape.prosp_u_bar.copies ? gle_tape_of(net, &p->tape.prosp_u_bar, t) : gle_field_of(net, &p->adjoint.a, 0)) +
        at;
    k->multiply(a, rate_bar(net, i, rows, thread, t), gle_tape_of(net, &p->tape.dr, t + 1) + at, n);
    if (feeds_back(net, p) && net->act[i]->curvature) {
        float *ddr = gle_field_of(net, &p->adjoint.work, 0) + at;
        net->act[i]->curvature(ddr, gle_tape_of(net, &p->tape.prosp_u, t) + at, net->act_numbers[i], n);
        k->multiply_add(a, ddr, gle_field_of(net, &p->adjoint.dr, 0) + at, n);
    }
    *gle_wild_of(net, i, thread) |=
        k->membrane_back(gle_tape_of(net, &p->tape.lambda, t) + at, gle_field_of(net, &p->adjoint.u, 0) + at, a,
                         gle_field_of(net, &p->look_u, 0), gle_field_of(net, &p->leak_u, 0), rows.n, p->ld);
    tape_pooled(net, p, rows, t);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (feeds_back(net, p))
        errors_back(net, i, rows, thread, t);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (!net->split.shared)
        add_tau_bar(net, i, (struct gle_range){.n = p->n}, thread);
}

/* --- gradients --- */

/* Rows that are summed in one go: more, and single precision would lose digits. */
enum { SUM_ROWS = 4096 };

/* The weights' gradient += alpha times the link's, of all rows of the window, for some parts of the weights; e
 * (rows, ld), x (rows, ld_pool). */
static void add_gradient(struct gle_net *net, const struct gle_projection *c, struct gle_range part, const float *e,
                         const float *x, float alpha, size_t thread)
{
    const size_t rows = net->taped * net->B, ld = gle_population_of(net, c->target)->ld;
    const size_t each = c->weight->part, at = part.first * each;
    const struct gle_link_call call = gle_call_of(net, c, false, thread);
    float *more = gle_field_of(net, &c->part, 0);

    for (size_t b = 0; b < rows; b += SUM_ROWS) {
        c->plan.link->gradient(&call, more + at, e + b * ld, ld, x + b * c->ld_pool, c->ld_pool,
                               rows - b < SUM_ROWS ? rows - b : SUM_ROWS, alpha, part.first, part.n);
        net->kernels->add(gle_grad_of(net, c->weight) + at, more + at, part.n * each);
    }
}

static void gather_weight(struct gle_net *net, const struct gle_projection *c, float alpha, size_t thread)
{
    const struct gle_population *p = gle_population_of(net, c->target), *below = gle_below_of(net, c);
    const struct gle_range part = gle_net_part_of(net, c->weight, thread);
    const size_t each = c->weight->part;
    const float *x = c->plan.pooling ? gle_tape_of(net, &c->tape_pooled, 0) : taped_rates(net, c, 0);

    if (!part.n)
        return;
    memset(gle_grad_of(net, c->weight) + part.first * each, 0, part.n * each * sizeof(float));
    add_gradient(net, c, part, gle_tape_of(net, &p->tape.lambda, 0), x, -alpha, thread);
    if (c->couples_below && !c->feedback && feeds_back(net, p))
        add_gradient(net, c, part, gle_tape_of(net, &p->tape.e, 0),
                     c->plan.pooling ? gle_tape_of(net, &c->tape_pooled_bar, 0)
                                  : gle_tape_of(net, &below->tape.above_bar, 1),
                     -alpha, thread);
}

static void gather_bias(struct gle_net *net, const struct gle_population *p, float alpha, size_t thread)
{
    const struct gle_range part = gle_net_part_of(net, p->bias, thread);
    const size_t rows = net->taped * net->B;
    float *bias = gle_grad_of(net, p->bias), *more = gle_field_of(net, &p->adjoint.part, 1);
    const float *lambda = gle_tape_of(net, &p->tape.lambda, 0);

    memset(bias + part.first, 0, gle_padded(part.n) * sizeof *bias);
    for (size_t b = 0; b < rows; b += SUM_ROWS) {
        gle_net_sum_biases(net, p, more, lambda + b * p->ld, rows - b < SUM_ROWS ? rows - b : SUM_ROWS, -alpha,
                           thread);
        net->kernels->add(bias + part.first, more + part.first, gle_padded(part.n));
    }
}

/* tau += scale / dt times the sum over the window of bar u_dot, or, with `share`, so much of it for each neuron. */
static void add_bar(struct gle_net *net, const struct gle_population *p, float *tau, struct gle_range neurons,
                    const struct gle_field *bar, float scale, const float *share)
{
    const size_t at = neurons.first, width = gle_padded(neurons.n), rows = net->taped * net->B;
    float *part = gle_field_of(net, &p->adjoint.part, 0) + at;
    const float dt = (float)net->graph->exp->dt;

    for (size_t b = 0; b < rows; b += SUM_ROWS) {
        net->kernels->sum_products(part, gle_tape_of(net, bar, 0) + at + b * p->ld,
                                   gle_tape_of(net, &p->tape.s, 0) + at + b * p->ld,
                                   gle_rate_of(net, &p->rate_u, &p->leak_u) + at,
                                   rows - b < SUM_ROWS ? rows - b : SUM_ROWS, width, p->ld); /* S / tau_m, times dt */
        if (share)
            net->kernels->multiply(part, part, share, width);
        for (size_t j = 0; j < neurons.n; j++)
            tau[j] += part[j] * (scale / dt);
    }
}

/* Where integration is exponential, tau_m is read by prosp_u through look_u and by u through leak_u, whose slopes over
 * tau_m are -look_u / tau_m and -slope_u / tau_m: what u_dot is multiplied by is look_u a + slope_u u_bar. With
 * lambda = look_u a + leak_u u_bar that is k lambda + (1 - k) look_u a, where k = slope_u / leak_u, from 1 (as by
 * Euler's steps) for dt far below tau_m to 0. */
static void add_exponential(struct gle_net *net, const struct gle_population *p, float *tau, struct gle_range neurons,
                            float scale)
{
    const float *slope = gle_field_of(net, &p->slope_u, 0) + neurons.first;
    const float *leak = gle_field_of(net, &p->leak_u, 0) + neurons.first;
    const float *look = gle_field_of(net, &p->look_u, 0) + neurons.first;
    float *share = gle_field_of(net, &p->adjoint.part, 1) + neurons.first;

    memset(share, 0, gle_padded(neurons.n) * sizeof *share);
    for (size_t j = 0; j < neurons.n; j++)
        share[j] = slope[j] / leak[j];
    add_bar(net, p, tau, neurons, &p->tape.lambda, scale, share);
    for (size_t j = 0; j < neurons.n; j++)
        share[j] = (1.0f - slope[j] / leak[j]) * look[j];
    add_bar(net, p, tau, neurons, &p->tape.prosp_u_bar, scale, share);
}

/* The gradient of a time constant: that through prosp_u and u, less what errors add, tau_bar. */
static void gather_tau(struct gle_net *net, const struct gle_parameter *param, struct gle_range neurons,
                       const struct gle_field *bar, const struct gle_field *tau_bar, float scale)
{
    const struct gle_population *p = gle_population_of(net, param->field.population);
    const size_t at = neurons.first;
    float *tau = gle_grad_of(net, param) + at;
    const float dt = (float)net->graph->exp->dt;
    const enum gle_mismatch k = param->kind == GLE_TAU_M ? GLE_MISMATCH_TAU_M : GLE_MISMATCH_TAU_R;
    const enum gle_mismatch of_errors =
        param->kind == GLE_TAU_M ? GLE_MISMATCH_ERROR_TAU_M : GLE_MISMATCH_ERROR_TAU_R;

    memset(tau, 0, gle_padded(neurons.n) * sizeof *tau);
    if (param->kind == GLE_TAU_M && net->graph->exp->exponential)
        add_exponential(net, p, tau, neurons, scale);
    else
        add_bar(net, p, tau, neurons, bar, scale, NULL);
    if (gle_graph_factor(net->graph, p, k))
        for (size_t j = 0; j < neurons.n; j++)
            tau[j] *= gle_net_tau_gain(net, p, k, at + j, gle_param_of(net, param)[at + j]);
    if (errors_reach(net, p, param))
        for (size_t j = 0; j < neurons.n; j++)
            tau[j] -= gle_net_tau_gain(net, p, of_errors, at + j, gle_param_of(net, param)[at + j]) *
                      gle_field_of(net, tau_bar, 0)[at + j] * (scale / dt);
}

/* The factor of gradients that undoes the scale of adjoints. */
static float scale_of(const struct gle_net *net)
{
    const double of_row = net->loss->scale(gle_top_of(net)->n) / (double)gle_whole_of(net);

    return (float)(net->sweep_rule->continuous ? of_row * net->graph->exp->dt : of_row);
}

static void gather(struct gle_net *net, size_t i, struct gle_range neurons, size_t thread)
{
    const struct gle_population *p = gle_population_of(net, i);
    const float alpha = scale_of(net);

    if (!p->swept || !net->taped)
        return;
    for (size_t j = 0; j < p->n_in; j++)
        if (gle_learns(net, gle_in_of(net, p, j)->weight))
            gather_weight(net, gle_in_of(net, p, j), alpha, thread);
    gle_net_lap(net, thread, GLE_LAP_PRODUCTS);
    if (gle_learns(net, p->bias))
        gather_bias(net, p, alpha, thread);
    if (gle_learns(net, p->tau_m))
        gather_tau(net, p->tau_m, neurons, &p->tape.lambda, &p->adjoint.tau_m, alpha);
    if (gle_learns(net, p->tau_r))
        gather_tau(net, p->tau_r, neurons, &p->tape.prosp_u_bar, &p->adjoint.tau_r, -alpha);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (net->step)
        gle_net_descend(net, i, thread);
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
static bool waits_for_taus(const struct gle_net *net)
{
    bool any = false;

    for (size_t i = 0; i < net->graph->n_populations; i++)
        any = any || errors_reach_taus(net, gle_population_of(net, i));
    return any && net->split.shared;
}

int gle_net_end_window(struct gle_net *net, const struct gle_rule *rule, bool learn, double lr, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;
    const struct gle_step step = {.learn = true, .lr = lr};
    const size_t rounds = net->taped ? net->taped + (rule->continuous ? g->depth : 0) : 0;

    assert(net->taping && rule->windowed);
    net->taping = false;
    net->sweep_rule = rule;
    net->step = learn ? &step : NULL;
    net->spends = learn;
    if (learn) {
        gle_net_drop_gathered(net);
        gle_net_prepare_step(net, lr);
    }
    if (net->device)
        return gle_net_device_end_window(net, scale_of(net), rounds, learn, err);
    memset(net->slabs[GLE_ADJOINT], 0, g->floats[GLE_ADJOINT] * sizeof(float));
    for (size_t i = 0; i < g->n_populations; i++) { /* nothing comes from beyond the window */
        const struct gle_population *p = gle_population_of(net, i);
        if (p->coupled)
            memset(gle_tape_of(net, &p->tape.above_bar, net->taped), 0, net->B * p->ld * sizeof(float));
    }
    memset(net->wild, 0, net->split.n_threads * gle_wild_apart(g) * sizeof *net->wild);
    for (net->round = 0; net->round < rounds; net->round++) {
        gle_net_share(net, sweep_all);
        if (waits_for_taus(net))
            gle_net_share(net, add_tau_bars);
    }
    if (!net->divided && gle_net_check(net, net->steps - 1, err))
        return -1;
    net->waits = net->divided && learn;
    gle_net_share(net, gather_all);
    if (net->divided)
        return gle_net_end_own_window(net, err);
    if (net->spends && net->squares)
        gle_net_follow_clipped(net);
    return 0;
}

void gle_net_get_lambda(const struct gle_net *net, size_t layer, size_t t, const size_t *rows, size_t n_rows,
                        float *values)
{
    const struct gle_population *p = gle_population_of(net, layer);

    assert(t < net->taped);
    gle_net_see(net, GLE_PART_TAPE);
    if (p->swept)
        gle_copy_chosen(values, gle_tape_of(net, &p->tape.lambda, t), p->ld, p->n, rows, n_rows);
    else
        memset(values, 0, n_rows * p->n * sizeof *values);
}
