/* The step: what a population computes from the old state of its neighbours, and how it learns. */
#include "kernel/equations.h"
#include "solver/inside.h"

#include <assert.h>
#include <string.h>

/* --- what populations read --- */

/* The rates that a projection reads in this step, or the input. */
static const float *rates_of(const struct gle_net *net, const struct gle_projection *c)
{
    const struct gle_population *below = gle_below_of(net, c);

    if (below)
        return gle_past_of(net, &below->r, c->delay - 1);
    return c->delay ? gle_past_of(net, &net->graph->input, c->delay - 1) : net->input;
}

/* Those that its link reads in learning: pooled ones are kept from the step. */
static const float *pooled_rates_of(const struct gle_net *net, const struct gle_projection *c, size_t t)
{
    return c->plan.pooling ? gle_derived_of(net, &c->pooled, gle_place_of(net, c->target, t)) : rates_of(net, c);
}

/* Of all that may reach a population from above, number j: from its readers, directly, and from the target. NULL: that
 * does not. */
static const float *error_above(const struct gle_net *net, const struct gle_population *p, size_t j)
{
    const struct gle_graph *g = net->graph;

    if (j < p->n_out)
        return gle_out_of(net, p, j)->sends_error ? gle_old_of(net, &gle_out_of(net, p, j)->e_below) : NULL;
    if (j < p->n_out + g->n_directs) {
        const struct gle_direct *d = &g->directs[j - p->n_out];
        return &g->populations[d->to] == p && d->sends ? gle_old_of(net, &d->sent) : NULL;
    }
    return p->is_output ? net->top_error : NULL;
}

const float *gle_net_errors_above(struct gle_net *net, const struct gle_population *p, float *sum, size_t first,
                                  size_t n)
{
    const size_t at = first * p->ld, floats = n * p->ld;
    const float *only = NULL;
    size_t count = 0;

    for (size_t j = 0; j <= p->n_out + net->graph->n_directs; j++) {
        const float *more = error_above(net, p, j);
        if (!more)
            continue;
        more += at;
        if (count == 0)
            only = more;
        else if (count == 1)
            net->kernels->sum(sum, only, more, floats);
        else
            net->kernels->add(sum, more, floats);
        count++;
    }
    return count > 1 ? sum : only;
}

/* --- learning --- */

/* Weights whose gradient is found, spent and transposed at a time: with what the optimizer keeps of them, they stay in
 * the second cache from one to the next. */
enum { LEARN_FLOATS = 98304 };

static void learn_weights(struct gle_net *net, const struct gle_projection *c, const float *e, size_t t)
{
    const size_t ld = gle_population_of(net, c->target)->ld, wide = c->weight->part;
    const size_t most = wide < LEARN_FLOATS / GLE_PAD ? LEARN_FLOATS / wide / GLE_PAD * GLE_PAD : GLE_PAD;
    const struct gle_range part = gle_net_part_of(net, c->weight, t);
    const struct gle_link_call call = gle_call_of(net, c, false, t);
    const float *x = pooled_rates_of(net, c, t);

    for (size_t first = part.first; first < part.first + part.n; first += most) {
        const size_t left = part.first + part.n - first, n = left < most ? left : most;
        if (c->eligibility.copies)
            gle_net_find_weights(net, c, e, first, n, t);
        else
            c->plan.link->gradient(&call, gle_grad_of(net, c->weight) + first * wide, e, ld, x, c->ld_pool, net->B,
                                   -1.0f / (float)gle_whole_of(net), first, n);
        gle_net_lap(net, t, GLE_LAP_PRODUCTS);
        gle_net_spend_weights(net, c, first, n);
        gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
    }
}

void gle_net_sum_biases(struct gle_net *net, const struct gle_population *p, float *grad, const float *e, size_t rows,
                        float alpha, size_t t)
{
    const struct gle_range part = gle_net_part_of(net, p->bias, t);
    const size_t each = p->n / p->bias->field.cols;

    if (each == 1) {
        net->kernels->sum_rows(grad + part.first, e + part.first, alpha, rows, gle_padded(part.n), p->ld);
        return;
    }
    for (size_t i = part.first; i < part.first + part.n; i++) {
        float sum = 0.0f;
        for (size_t b = 0; b < rows; b++)
            sum += net->kernels->total(e + b * p->ld + i * each, each);
        grad[i] = alpha * sum;
    }
}

/* The gradient of a time constant that is multiplied by a factor where it is used. */
static void gain_by_factors(struct gle_net *net, const struct gle_population *p, const struct gle_parameter *tau,
                            enum gle_mismatch k, struct gle_range neurons)
{
    float *grad = gle_grad_of(net, tau);

    if (!gle_graph_factor(net->graph, p, k))
        return;
    for (size_t i = neurons.first; i < neurons.first + neurons.n; i++)
        grad[i] *= gle_net_tau_gain(net, p, k, i, gle_param_of(net, tau)[i]);
}

/* dtau_r = - mean e_inst * u_dot: it leads to rates, whose error is the instantaneous one. */
static void find_tau_r(struct gle_net *net, const struct gle_population *p, struct gle_range neurons, size_t place)
{
    const size_t at = neurons.first;
    float *grad = gle_grad_of(net, p->tau_r) + at;

    net->kernels->sum_products(grad, gle_derived_of(net, &p->e_inst, place) + at,
                               gle_derived_of(net, &p->s, place) + at, gle_field_of(net, &p->mean, 0) + at, net->B,
                               gle_padded(neurons.n), p->ld);
    for (size_t i = 0; i < neurons.n; i++)
        grad[i] = -grad[i];
}

/* dtau_m = mean e * u_dot. */
static void find_tau_m(struct gle_net *net, const struct gle_population *p, struct gle_range neurons, size_t place)
{
    const size_t at = neurons.first;

    net->kernels->sum_products(gle_grad_of(net, p->tau_m) + at, gle_derived_of(net, &p->e, place) + at,
                               gle_derived_of(net, &p->s, place) + at, gle_field_of(net, &p->mean, 0) + at, net->B,
                               gle_padded(neurons.n), p->ld);
}

static void find_taus(struct gle_net *net, const struct gle_population *p, struct gle_range neurons, size_t place)
{
    const bool of_m = gle_learns(net, p->tau_m), of_r = gle_learns(net, p->tau_r);

    if (net->graph->eligible) {
        gle_net_find_taus(net, p, gle_derived_of(net, &p->e, place), neurons);
    } else {
        if (of_m)
            find_tau_m(net, p, neurons, place);
        if (of_r)
            find_tau_r(net, p, neurons, place);
    }
    if (of_m)
        gain_by_factors(net, p, p->tau_m, GLE_MISMATCH_TAU_M, neurons);
    if (of_r)
        gain_by_factors(net, p, p->tau_r, GLE_MISMATCH_TAU_R, neurons);
}

/* The optimizer's step for the parts of a population that are for thread t, along the gradients that follow from its
 * errors, of all rows. */
static void learn(struct gle_net *net, size_t i, struct gle_range neurons, size_t t)
{
    const struct gle_population *p = gle_population_of(net, i);
    const size_t place = gle_place_of(net, i, t);
    const float *e = gle_derived_of(net, &p->e, place);

    gle_net_count_missed(net, p, t);
    for (size_t j = 0; j < p->n_in; j++) {
        const struct gle_projection *c = gle_in_of(net, p, j);
        if (gle_learns(net, c->weight))
            learn_weights(net, c, e, t);
        if (c->feedback_way == GLE_FEEDBACK_ALIGNS)
            gle_net_align(net, c, gle_derived_of(net, &c->hp, place),
                          c->pooled_xi.copies ? gle_derived_of(net, &c->pooled_xi, place) : gle_net_stirred(net, c),
                          t);
    }
    if (gle_learns(net, p->bias) && p->traces.bias.copies)
        gle_net_find_biases(net, p, e, t);
    else if (gle_learns(net, p->bias))
        gle_net_sum_biases(net, p, gle_grad_of(net, p->bias), e, net->B, -1.0f / (float)gle_whole_of(net), t);
    find_taus(net, p, neurons, place);
    gle_net_lap(net, t, GLE_LAP_ELEMENTWISE);
    gle_net_spend_others(net, p, t);
    gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
}

/* --- the step of a population --- */

/* Rows whose losses are summed together: a sum must not depend on how the rows are shared. */
static size_t loss_rows(const struct gle_net *net)
{
    return net->split.shared ? 1 : net->B;
}

/* Puts the number of a row of the whole batch to that which it has here; false: another rank has it. */
static bool has_row(const struct gle_net *net, size_t *row)
{
    *row -= net->first_row; /* or far beyond all */
    return *row < net->B;
}

void gle_net_unask(struct gle_net *net, size_t row)
{
    const struct gle_population *top = gle_top_of(net);

    if (!has_row(net, &row))
        return;
    for (size_t i = 0; i < top->n; i++)
        net->target[row * top->ld + i] = GLE_UNASKED;
}

void gle_net_weigh(struct gle_net *net, size_t row, float weight)
{
    assert(net->graph->weighted && row < gle_whole_of(net));
    if (has_row(net, &row))
        net->weights[row] = weight;
}

/* Whether something is asked of all rows of targets. */
static bool asks_all(const float *target, size_t rows, size_t ld)
{
    for (size_t b = 0; b < rows; b++)
        if (!gle_is_asked(target[b * ld]))
            return false;
    return true;
}

double gle_net_find_target_errors(const struct gle_net *net, float *e, const float *r, const float *target,
                                  const float *weights, size_t apart, float beta, size_t rows)
{
    const bool weighted = net->graph->weighted;
    const struct gle_population *l = gle_top_of(net);
    const void *params = net->graph->exp->loss_params;
    double loss = 0.0;

    if (!weighted && asks_all(target, rows, l->ld))
        return net->loss->eval(e, r, target, beta, params, rows, l->n, l->ld);
    for (size_t b = 0, at = 0; b < rows; b++, at += l->ld)
        if (gle_is_asked(target[at])) {
            const float w = weighted ? weights[b * apart] : 1.0f;
            loss += (double)w * net->loss->eval(e + at, r + at, target + at, beta * w, params, 1, l->n, l->ld);
        } else {
            memset(e + at, 0, l->n * sizeof *e);
        }
    return loss;
}

/* Adds to the summed output of rows that something is asked of, or to that of squares. */
static void sum_outputs(struct gle_net *net, const float *output, size_t first, size_t n_rows)
{
    const struct gle_population *l = gle_top_of(net);
    const bool squares = net->graph->sums_squares;
    const float *target = net->target + first * l->ld;
    float *sum = net->output_sum + first * l->ld;

    if (!squares && !net->graph->weighted && asks_all(target, n_rows, l->ld)) {
        net->kernels->add(sum, output + first * l->ld, n_rows * l->ld);
        return;
    }
    for (size_t b = 0; b < n_rows; b++)
        for (size_t i = 0; i < l->n && gle_is_asked(target[b * l->ld]); i++) {
            const float y = target[b * l->ld + i], r = output[(first + b) * l->ld + i];
            sum[b * l->ld + i] += net->weights[first + b] * (squares ? (y - r) * (y - r) : r);
        }
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
        net->row_loss[b] = gle_net_find_target_errors(net, net->top_error + b * l->ld, output + b * l->ld,
                                                      net->target + b * l->ld, net->weights + b, 1, beta, together);
    sum_outputs(net, output, rows.first, rows.n);
}

/* Rows that go through a population together: few enough, by the floats of one variable, that the dozen arrays which
 * they read and write stay in the second cache; enough for fetching ahead in each of them; whole groups of those that
 * products take together. Wide ones, whose weights are what fills caches, take all at once. */
enum {
    BLOCK_FLOATS = 8192, /* of one variable */
    BLOCK_WIDTH = 128,   /* floats of a row: those of wider populations go all at once */
    BLOCK_ROWS = 8,      /* of a group; and of a block, where a population lies on a grid */
};

static size_t block_of(const struct gle_net *net, const struct gle_population *p, size_t rows)
{
    size_t width = p->ld;
    bool dense = true;

    for (size_t j = 0; j < p->n_in; j++) {
        const struct gle_projection *c = gle_in_of(net, p, j);
        width = c->ld_in > width ? c->ld_in : width;
        dense = dense && !c->plan.link->grids;
    }
    if (!dense)
        return BLOCK_ROWS;
    return width <= BLOCK_WIDTH ? BLOCK_FLOATS / width / BLOCK_ROWS * BLOCK_ROWS : rows;
}

/* Whether derived variables are looked at once the rows are through. If not, one block of rows may lie in the place of
 * the one before. */
static bool keeps_derived(const struct gle_net *net)
{
    return net->step->learn || net->taping || net->graph->observed;
}

/* Some rows of a population on their way through a step. */
struct rows {
    const struct gle_population *p;
    size_t thread, place;
    size_t first, n; /* of the batch */
    size_t derived;  /* the first one's row in the arrays of derived variables */
};

static float *derived_rows(const struct gle_net *net, const struct rows *rows, const struct gle_field *f)
{
    return gle_derived_of(net, f, rows->place) + rows->derived * f->ld;
}

/* s = the sum of what projections bring, in the config's order. */
static void sum_inputs(struct gle_net *net, const struct rows *rows, float *s, float *more)
{
    const struct gle_population *p = rows->p;

    for (size_t j = 0; j < p->n_in; j++) {
        const struct gle_projection *c = gle_in_of(net, p, j);
        const struct gle_link_call call = gle_call_of(net, c, false, rows->thread);
        const float *x = rates_of(net, c) + rows->first * c->ld_in;
        if (c->plan.pooling) {
            float *pooled = derived_rows(net, rows, &c->pooled);
            c->plan.pooling->forward(&c->plan, net->kernels, pooled, c->ld_pool, x, x, c->ld_in, rows->n);
            if (c->pooled_xi.copies)
                c->plan.pooling->forward(&c->plan, net->kernels, derived_rows(net, rows, &c->pooled_xi), c->ld_pool,
                                         gle_net_stirred(net, c) + rows->first * c->ld_in, x, c->ld_in, rows->n);
            x = pooled;
        }
        gle_net_trace_inputs(net, c, x, rows->first, rows->n);
        c->plan.link->forward(&call, j ? more : s, p->ld, x, c->ld_pool, rows->n);
        if (j)
            net->kernels->add(s, more, rows->n * p->ld);
    }
}

/* What the sources will read in the next step. */
static void send_errors(struct gle_net *net, const struct rows *rows, const float *e)
{
    const struct gle_population *p = rows->p;

    for (size_t j = 0; j < p->n_in; j++) {
        const struct gle_projection *c = gle_in_of(net, p, j);
        const struct gle_link_call call = gle_call_of(net, c, true, rows->thread);
        float *below, *pooled;
        if (!c->sends_error)
            continue;
        below = gle_new_of(net, &c->e_below) + rows->first * c->ld_in;
        if (!c->plan.pooling) {
            c->plan.link->back(&call, below, c->ld_in, e, p->ld, rows->n);
            continue;
        }
        pooled = derived_rows(net, rows, &c->pooled_e);
        c->plan.link->back(&call, pooled, c->ld_pool, e, p->ld, rows->n);
        c->plan.pooling->back(&c->plan, net->kernels, below, c->ld_in, pooled, c->ld_pool,
                              rates_of(net, c) + rows->first * c->ld_in, rows->n);
    }
}

/* Returns whether something is NaN or Inf. */
static int step_rows(struct gle_net *net, size_t i, const struct rows *rows, bool has_error)
{
    const struct gle_population *p = rows->p;
    const struct gle_kernels *k = net->kernels;
    const size_t ld = p->ld, at = rows->first * ld, B = rows->n;
    float *s = derived_rows(net, rows, &p->s), *e = derived_rows(net, rows, &p->e);
    float *prosp_u = derived_rows(net, rows, &p->prosp_u), *dr = gle_old_of(net, &p->dr) + at;
    const bool noisy = p->draws.copies > 0;
    float *draws = noisy ? derived_rows(net, rows, &p->draws) : NULL;
    int wild = 0;

    if (has_error) {
        float *sum = p->e_above.copies ? derived_rows(net, rows, &p->e_above) : NULL;
        float *e_inst = p->e_inst.copies ? derived_rows(net, rows, &p->e_inst) : NULL;
        const float *e_above = gle_net_errors_above(net, p, sum, rows->first, B);
        if (!e_above) { /* nothing reaches it */
            memset(e, 0, B * ld * sizeof *e);
            if (e_inst)
                memset(e_inst, 0, B * ld * sizeof *e_inst);
        } else {
            if (e_inst) /* the product that the kernel takes of the same numbers */
                k->multiply(e_inst, dr, e_above, B * ld);
            wild |= net->rule.error(e, gle_old_of(net, &p->v) + at, e_above, dr, gle_field_of(net, &p->look_v, 0),
                                    gle_field_of(net, &p->leak_v, 0), B, ld);
        }
    }
    gle_net_lap(net, rows->thread, GLE_LAP_ELEMENTWISE);
    sum_inputs(net, rows, s, prosp_u);
    gle_net_lap(net, rows->thread, GLE_LAP_PRODUCTS);
    if (noisy) {
        gle_net_add_noise(net, p, GLE_NOISE_INPUT, s, draws, rows->first, B);
        gle_net_stir(net, p, s, draws, rows->first, B);
    }
    wild |= k->membrane(prosp_u, gle_old_of(net, &p->u) + at, s, e,
                        p->b.copies ? gle_field_of(net, &p->b, 0) : gle_param_of(net, p->bias), (float)p->cfg->gamma,
                        gle_field_of(net, &p->look_u, 0), gle_field_of(net, &p->leak_u, 0), B, ld);
    gle_net_trace_neurons(net, p, s, rows->first, B);
    if (noisy)
        gle_net_add_noise(net, p, GLE_NOISE_MEMBRANE, gle_old_of(net, &p->u) + at, draws, rows->first, B);
    net->act[i]->eval(gle_new_of(net, &p->r) + at, has_error || keeps_derived(net) ? dr : s, prosp_u,
                      net->act_numbers[i], B, p->n, ld);
    if (noisy)
        gle_net_add_noise(net, p, GLE_NOISE_RATE, gle_new_of(net, &p->r) + at, draws, rows->first, B);
    for (size_t j = 0; j < p->n_in; j++)
        if (gle_in_of(net, p, j)->feedback_way == GLE_FEEDBACK_ALIGNS)
            gle_net_pass_high(net, gle_in_of(net, p, j), derived_rows(net, rows, &gle_in_of(net, p, j)->hp),
                              rows->first, B);
    gle_net_lap(net, rows->thread, GLE_LAP_ELEMENTWISE);
    if (has_error) {
        send_errors(net, rows, e);
        gle_net_send_directly(net, p, e, rows->first, rows->n, rows->thread);
    }
    gle_net_lap(net, rows->thread, GLE_LAP_PRODUCTS);
    return wild;
}

/* One step of one population, for some rows. Reads old rates of its sources and the old e_below of its readers, which
 * their own steps, maybe on another thread, leave alone; writes nothing that another one reads in this step. */
static void step_population(struct gle_net *net, size_t i, struct gle_range range, size_t thread)
{
    const struct gle_population *p = gle_population_of(net, i);
    const size_t end = range.first + range.n, block = block_of(net, p, range.n);
    const bool keeps = keeps_derived(net), has_error = p->needs_error && !net->step->forward_only;
    struct rows rows = {.p = p, .thread = thread, .place = keeps ? gle_place_of(net, i, thread) : thread};
    int wild = 0;

    if (p->is_output)
        find_top_error(net, range);
    if (!has_error) {
        const size_t n = keeps || range.n < block ? range.n : block;
        rows.derived = keeps ? range.first : 0;
        memset(derived_rows(net, &rows, &p->e), 0, n * p->ld * sizeof(float));
    }
    for (rows.first = range.first; rows.first < end; rows.first += block) {
        rows.n = end - rows.first < block ? end - rows.first : block;
        rows.derived = keeps ? rows.first : 0;
        wild |= step_rows(net, i, &rows, has_error);
    }
    *gle_wild_of(net, i, thread) = wild;
    if (net->taping)
        gle_net_tape(net, i, range, thread);
    gle_net_lap(net, thread, GLE_LAP_ELEMENTWISE);
    if (net->step->learn && !net->split.shared && !wild)
        learn(net, i, (struct gle_range){.n = p->n}, thread);
}

/* --- sharing --- */

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

int gle_net_check(const struct gle_net *net, uint64_t step, struct gle_error *err)
{
    for (size_t i = 0; i < net->graph->n_populations; i++)
        if (gle_net_is_wild(net, i))
            return gle_fail(err, GLE_EDIVERGED, "NaN or Inf in layer '%s' at step %llu",
                            gle_population_of(net, i)->cfg->name, (unsigned long long)step);
    return 0;
}

/* A step on this machine's processors. */
static int step_here(struct gle_net *net, double *losses, size_t *n, struct gle_error *err)
{
    if (net->graph->input_past)
        memcpy(gle_new_of(net, &net->graph->input), net->input,
               net->B * net->graph->ld_input * sizeof *net->input);
    net->waits = net->divided && net->step->learn;
    gle_net_share(net, step_all);
    if (net->step->learn && net->split.shared)
        gle_net_share(net, learn_all);
    net->steps++;
    *losses = 0.0;
    for (size_t b = 0; b < net->B; b += loss_rows(net))
        *losses += net->row_loss[b];
    if (net->divided)
        return gle_net_end_own_step(net, losses, n, err);
    *n = 1;
    if (gle_net_check(net, net->steps - 1, err))
        return -1;
    if (net->spends && net->squares)
        gle_net_follow_clipped(net);
    return 0;
}

int gle_net_queue(struct gle_net *net, const struct gle_step *step, double *losses, size_t *n, struct gle_error *err)
{
    int rc;

    assert(!step->forward_only || (!step->learn && !step->nudge && !net->taping));
    net->step = step;
    if (net->taping)
        net->tape_unasked[net->taped] = step->unasked;
    net->spends = step->learn && net->gathered + 1 == net->graph->exp->update_every;
    if (net->spends)
        gle_net_prepare_step(net, step->lr);
    net->errorless = step->forward_only;
    if (net->device) {
        rc = gle_net_device_queue(net, step, losses, n, err);
        net->steps++;
    } else {
        rc = step_here(net, losses, n, err);
    }
    net->taped += net->taping;
    net->gathered = net->spends ? 0 : net->gathered + step->learn;
    return rc;
}

int gle_net_collect(struct gle_net *net, double *losses, size_t *n, struct gle_error *err)
{
    *n = 0;
    if (net->divided)
        return gle_net_collect_own(net, losses, n, err);
    return net->device ? gle_net_device_collect(net, losses, n, err) : 0;
}

int gle_net_step(struct gle_net *net, const struct gle_step *step, double *loss, struct gle_error *err)
{
    double losses[GLE_LOSSES];
    size_t n;

    *loss = 0.0;
    if (!net->device)
        return gle_net_queue(net, step, loss, &n, err);
    if (gle_net_queue(net, step, losses, &n, err) || gle_net_collect(net, losses, &n, err))
        return -1;
    *loss = losses[n - 1];
    return 0;
}
