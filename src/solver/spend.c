/* What becomes of gradients that have been found: they are gathered (follow.c), and the optimizer steps along them, at
 * once or, where they are clipped, once their norm is known. */
#include "kernel/equations.h"
#include "solver/inside.h"

#include <string.h>

void gle_net_bound(float *p, size_t n, const struct gle_bounds *bounds)
{
    const float low = (float)bounds->low, high = (float)bounds->high;

    for (size_t i = 0; i < n && (bounds->low > -1e308 || bounds->high < 1e308); i++)
        p[i] = p[i] < low ? low : p[i] > high ? high : p[i];
}

struct gle_optimizer_step gle_net_own_step(const struct gle_net *net, const struct gle_parameter *p)
{
    const uint64_t missed = net->missed[p - net->graph->parameters];
    const bool weights = p->kind == GLE_WEIGHT;

    return missed ? net->optimizer->prepare(net->graph->exp->optimizer.params, net->step->lr, net->updates - missed,
                                            weights)
                  : net->optimizer_step[weights];
}

void gle_net_prepare_step(struct gle_net *net, double lr)
{
    net->updates++;
    for (int weights = 0; weights < 2; weights++)
        net->optimizer_step[weights] =
            net->optimizer->prepare(net->graph->exp->optimizer.params, lr, net->updates, weights);
}

/* The optimizer's step for n of its parts, as one of the parameter `as`. */
static void update_as(struct gle_net *net, const struct gle_parameter *p, const struct gle_parameter *as, size_t first,
                      size_t n)
{
    const size_t each = p->part, at = first * each;
    const struct gle_optimizer_step step = gle_net_own_step(net, as);
    float *values = gle_param_of(net, p) + at, *moments[GLE_MOMENTS_MAX];

    for (size_t m = 0; m < net->optimizer->n_moments; m++)
        moments[m] = net->moments[m] + p->field.place + at;
    net->optimizer->update(values, gle_followed_of(net, p) + at, moments, n * each, &step);
    gle_net_bound(values, n * each, p->bounds);
    gle_net_follow(net, p, first, n);
}

static void update(struct gle_net *net, const struct gle_parameter *p, size_t first, size_t n)
{
    update_as(net, p, p, first, n);
}

static void shrink(struct gle_net *net, const struct gle_parameter *p, float keep, size_t first, size_t n)
{
    float *values = gle_param_of(net, p) + first * p->part;

    for (size_t i = 0; i < n * p->part; i++)
        values[i] = gle_shrink(values[i], keep);
}

/* B that moves along with W has its gradient, and follows what W does. */
static void show_feedback(struct gle_net *net, const struct gle_projection *c, size_t first, size_t n)
{
    const size_t at = first * c->weight->part, bytes = n * c->weight->part * sizeof(float);

    memcpy(gle_grad_of(net, c->feedback) + at, gle_grad_of(net, c->weight) + at, bytes);
    if (net->followed)
        memcpy(gle_followed_of(net, c->feedback) + at, gle_followed_of(net, c->weight) + at, bytes);
}

/* The step of W for n parts. B makes the same one, with the same moments, since it has followed the same; so that its
 * distance from W shrinks as both do. */
static void update_weights(struct gle_net *net, const struct gle_projection *c, size_t first, size_t n)
{
    const float keep = gle_feedback_keep(net->graph, c);

    if (c->feedback_way != GLE_FEEDBACK_FOLLOWS) {
        update(net, c->weight, first, n);
        return;
    }
    shrink(net, c->weight, keep, first, n);
    update(net, c->weight, first, n);
    if (!gle_feedback_moves(net, c))
        return;
    shrink(net, c->feedback, keep, first, n);
    update_as(net, c->feedback, c->weight, first, n);
}

/* What becomes of the gradient of n parts that has been found. */
static void spend(struct gle_net *net, const struct gle_parameter *p, size_t first, size_t n)
{
    if (net->followed)
        gle_net_gather(net, p, first, n);
    if (net->spends && !net->squares)
        update(net, p, first, n);
}

void gle_net_spend_weights(struct gle_net *net, const struct gle_projection *c, size_t first, size_t n)
{
    if (net->waits)
        return;
    if (net->followed)
        gle_net_gather(net, c->weight, first, n);
    if (gle_feedback_follows(net, c))
        show_feedback(net, c, first, n);
    if (net->spends && !net->squares)
        update_weights(net, c, first, n);
}

static void follow_weights(struct gle_net *net, const struct gle_projection *c, size_t t)
{
    const struct gle_range part = gle_net_part_of(net, c->weight, t);

    if (!gle_learns(net, c->weight) || !part.n)
        return;
    gle_net_clip(net, c->weight, part.first, part.n);
    if (gle_feedback_follows(net, c))
        show_feedback(net, c, part.first, part.n);
    update_weights(net, c, part.first, part.n);
}

static void follow_part(struct gle_net *net, const struct gle_parameter *p, size_t t)
{
    struct gle_range part;

    if (!gle_learns(net, p))
        return;
    part = gle_net_part_of(net, p, t);
    if (!part.n)
        return;
    gle_net_clip(net, p, part.first, part.n);
    update(net, p, part.first, part.n);
}

static void follow(struct gle_net *net, size_t i, struct gle_range neurons, size_t t)
{
    const struct gle_population *p = gle_population_of(net, i);

    (void)neurons;
    for (size_t j = 0; j < p->n_in; j++)
        follow_weights(net, gle_in_of(net, p, j), t);
    follow_part(net, p->bias, t);
    follow_part(net, p->tau_m, t);
    follow_part(net, p->tau_r, t);
    gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
}

static void follow_all(void *net, size_t t)
{
    gle_net_learning_of(net, t, follow);
}

void gle_net_follow_clipped(struct gle_net *net)
{
    gle_net_find_share(net);
    gle_net_share(net, follow_all);
}

static void spend_part(struct gle_net *net, const struct gle_parameter *p, size_t t)
{
    struct gle_range part;

    if (!gle_learns(net, p))
        return;
    part = gle_net_part_of(net, p, t);
    if (part.n)
        spend(net, p, part.first, part.n);
}

void gle_net_spend_others(struct gle_net *net, const struct gle_population *p, size_t t)
{
    if (net->waits)
        return;
    spend_part(net, p->bias, t);
    spend_part(net, p->tau_m, t);
    spend_part(net, p->tau_r, t);
}

/* Of one parameter: by whoever has its first part. */
static void count_missed(struct gle_net *net, const struct gle_parameter *p, size_t t)
{
    struct gle_range part;

    if (!net->spends || !p->plastic || gle_learns(net, p))
        return;
    part = gle_net_part_of(net, p, t);
    if (part.n && !part.first)
        net->missed[p - net->graph->parameters]++;
}

void gle_net_count_missed(struct gle_net *net, const struct gle_population *p, size_t t)
{
    if (net->waits)
        return;
    for (size_t j = 0; j < p->n_in; j++)
        count_missed(net, gle_in_of(net, p, j)->weight, t);
    count_missed(net, p->bias, t);
    count_missed(net, p->tau_m, t);
    count_missed(net, p->tau_r, t);
}

void gle_net_descend(struct gle_net *net, size_t i, size_t t)
{
    const struct gle_population *p = gle_population_of(net, i);

    gle_net_count_missed(net, p, t);
    for (size_t j = 0; j < p->n_in; j++) {
        const struct gle_projection *c = gle_in_of(net, p, j);
        const struct gle_range part = gle_net_part_of(net, c->weight, t);
        if (gle_learns(net, c->weight) && part.n)
            gle_net_spend_weights(net, c, part.first, part.n);
    }
    gle_net_spend_others(net, p, t);
    gle_net_lap(net, t, GLE_LAP_OPTIMIZER);
}
