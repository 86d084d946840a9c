/* Rules whose errors meet eligibilities: what a step makes of these, and the gradients that follow from those which the
 * step before has left. Neurons of a group (graph/groups.h) that lie side by side are one call of the link, whose rates
 * are the eligibilities of the group. */
#include "solver/inside.h"

#include <string.h>

/* --- traces --- */

void gle_net_trace_inputs(struct gle_net *net, const struct gle_projection *c, const float *x, size_t first, size_t n)
{
    const struct gle_population *p = gle_population_of(net, c->target);
    const float *look = gle_field_of(net, &p->look_u, 0), *leak = gle_field_of(net, &p->leak_u, 0);
    float *eps, *xbar;

    if (!c->trace.copies)
        return;
    eps = gle_new_of(net, &c->eligibility) + first * c->eligibility.ld;
    xbar = gle_old_of(net, &c->trace) + first * c->trace.ld;
    for (size_t k = 0; k < p->groups.n; k++) {
        const struct gle_group *g = &p->groups.item[k];
        net->kernels->trace(eps + k * c->ld_pool, c->eligibility.ld, xbar + g->trace * c->ld_pool, c->trace.ld, x,
                            c->ld_pool, look[g->leader], g->last ? leak[g->leader] : 0.0f, n, c->n_pool);
    }
}

void gle_net_trace_neurons(struct gle_net *net, const struct gle_population *p, const float *s, size_t first, size_t n)
{
    const struct gle_population_traces *t = &p->traces;
    const float *look = gle_field_of(net, &p->look_u, 0), *leak = gle_field_of(net, &p->leak_u, 0);
    const float *rate = gle_rate_of(net, &p->rate_u, &p->leak_u), *slope = gle_rate_of(net, &p->slope_u, &p->leak_u);
    const float per_dt = (float)(1.0 / net->graph->exp->dt);
    const size_t at = first * p->ld;

    if (t->bias.copies)
        net->kernels->trace_ones(gle_new_of(net, &t->bias_eps) + at, gle_old_of(net, &t->bias) + at, look, leak, n,
                                 p->ld);
    if (t->tau_m.copies)
        net->kernels->trace_tau_m(gle_new_of(net, &t->tau_m_eps) + at, gle_old_of(net, &t->tau_m) + at, s, per_dt,
                                  look, leak, rate, slope, n, p->ld);
    if (t->tau_r_eps.copies)
        net->kernels->trace_tau_r(gle_new_of(net, &t->tau_r_eps) + at, s, per_dt, rate, n, p->ld);
}

/* --- gradients of weights --- */

/* Scratch memory of thread t. */
static float *eligible_room_of(const struct gle_net *net, size_t t)
{
    return net->eligible_rooms + t * gle_eligible_room_apart(net->graph);
}

/* Neurons side by side, and the parts of W that they read through. */
struct run {
    size_t first, end; /* neurons */
    size_t group;
};

/* The part of W that the weights of neuron i begin with, where `each` neurons share them. */
static size_t part_at(const struct gle_link_plan *plan, size_t i, size_t each)
{
    return plan->starts ? (size_t)plan->starts[i] : i / each;
}

static bool is_of_one_group(const struct gle_groups *groups, size_t first, size_t n)
{
    for (size_t i = first + 1; i < first + n; i++)
        if (groups->of[i] != groups->of[first])
            return false;
    return true;
}

/* From neuron `first` on all that are of its group; or, if those which share its weights are not all of it, these. */
static struct run run_from(const struct gle_population *p, size_t first, size_t each)
{
    const uint32_t *of = p->groups.of;
    struct run run = {.first = first, .end = first + each, .group = of[first]};

    if (!is_of_one_group(&p->groups, first, each)) {
        run.group = SIZE_MAX;
        return run;
    }
    while (run.end < p->n && of[run.end] == run.group && is_of_one_group(&p->groups, run.end, each))
        run.end += each;
    return run;
}

/* What goes to the link for all groups. */
struct target {
    const struct gle_link_call *call;
    const struct gle_projection *c;
    const float *e, *eps; /* errors, and eligibilities of all groups */
    size_t ld;
    float *grad; /* where parts of W begin */
};

/* grad: of the first part. */
static void find_parts(struct gle_net *net, const struct target *to, float *grad, const float *e, size_t group,
                       size_t first, size_t n)
{
    const struct gle_projection *c = to->c;

    c->plan.link->gradient(to->call, grad, e, to->ld, to->eps + group * c->ld_pool, c->eligibility.ld, net->B,
                           -1.0f / (float)gle_whole_of(net), first, n);
}

/* The gradient of a part that neurons of several groups share: the sum of what each group leads to, whose errors are
 * taken with those of the others as zeros. */
static void find_shared_part(struct gle_net *net, const struct target *to, struct run run, size_t part, size_t t)
{
    const struct gle_projection *c = to->c;
    const struct gle_population *p = gle_population_of(net, c->target);
    const uint32_t *of = p->groups.of;
    const size_t wide = c->weight->part;
    float *grad = eligible_room_of(net, t), *masked = grad + wide;

    memset(to->grad + part * wide, 0, wide * sizeof(float));
    for (size_t i = run.first; i < run.end; i++) {
        size_t before = run.first;
        while (of[before] != of[i])
            before++;
        if (before < i) /* the group has had its turn */
            continue;
        for (size_t b = 0; b < net->B; b++)
            for (size_t k = run.first; k < run.end; k++)
                masked[b * p->ld + k] = of[k] == of[i] ? to->e[b * p->ld + k] : 0.0f;
        find_parts(net, to, grad, masked, of[i], part, 1);
        net->kernels->add(to->grad + part * wide, grad, wide);
    }
}

void gle_net_find_weights(struct gle_net *net, const struct gle_projection *c, const float *e, size_t first, size_t n,
                          size_t t)
{
    const struct gle_population *p = gle_population_of(net, c->target);
    const struct gle_link_call call = gle_call_of(net, c, false, t);
    const struct target to = {.call = &call, .c = c, .e = e, .eps = gle_old_of(net, &c->eligibility), .ld = p->ld,
                              .grad = gle_grad_of(net, c->weight)};
    const size_t each = gle_projection_shares(net->graph, c), end = first + n;
    struct run run;

    for (size_t i = 0; i < p->n && part_at(&c->plan, i, each) < end; i = run.end) {
        size_t from, until;
        run = run_from(p, i, each);
        from = part_at(&c->plan, i, each);
        until = part_at(&c->plan, run.end, each);
        from = from > first ? from : first;
        until = until < end ? until : end;
        if (from >= until)
            continue;
        if (run.group == SIZE_MAX)
            find_shared_part(net, &to, run, from, t);
        else
            find_parts(net, &to, to.grad + from * c->weight->part, e, run.group, from, until - from);
    }
}

/* --- gradients of what neurons have by themselves --- */

/* grad = - the mean of e eps, for some neurons. */
static void find_neurons(struct gle_net *net, const struct gle_population *p, float *grad, const float *e,
                         const struct gle_field *eps, struct gle_range neurons)
{
    const size_t at = neurons.first;

    net->kernels->sum_products_of(grad + at, e + at, p->ld, gle_old_of(net, eps) + at, p->ld,
                                  -1.0f / (float)gle_whole_of(net), net->B, neurons.n);
}

void gle_net_find_biases(struct gle_net *net, const struct gle_population *p, const float *e, size_t t)
{
    const struct gle_range part = gle_net_part_of(net, p->bias, t);
    const size_t each = p->n / p->bias->field.cols;
    float *grad = gle_grad_of(net, p->bias), *sums;

    if (each == 1) {
        find_neurons(net, p, grad, e, &p->traces.bias_eps, part);
        return;
    }
    sums = eligible_room_of(net, t);
    net->kernels->sum_products_of(sums, e + part.first * each, p->ld,
                                  gle_old_of(net, &p->traces.bias_eps) + part.first * each, p->ld,
                                  -1.0f / (float)gle_whole_of(net), net->B, part.n * each);
    for (size_t i = part.first; i < part.first + part.n; i++)
        grad[i] = net->kernels->total(sums + (i - part.first) * each, each);
}

void gle_net_find_taus(struct gle_net *net, const struct gle_population *p, const float *e, struct gle_range neurons)
{
    if (gle_learns(net, p->tau_m))
        find_neurons(net, p, gle_grad_of(net, p->tau_m), e, &p->traces.tau_m_eps, neurons);
    if (gle_learns(net, p->tau_r))
        find_neurons(net, p, gle_grad_of(net, p->tau_r), e, &p->traces.tau_r_eps, neurons);
}
