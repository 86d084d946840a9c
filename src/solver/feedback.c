/* Errors that reach a population otherwise than through W: straight from another one; and weights B that align
 * themselves with W by noise in the source (pal): a source's input is stirred, and B learns how the target's rates,
 * less what they do slowly, go with that. */
#include "kernel/draw.h"
#include "kernel/equations.h"
#include "solver/inside.h"

#include <string.h>

void gle_net_send_directly(struct gle_net *net, const struct gle_population *p, const float *e, size_t first, size_t n,
                           size_t t)
{
    for (size_t i = 0; i < net->graph->n_directs; i++) {
        const struct gle_direct *d = &net->graph->directs[i];
        const struct gle_link_call call = gle_direct_call_of(net, d, t);
        const size_t ld = d->sent.ld;
        if (d->sends && gle_population_of(net, d->from) == p)
            d->plan.link->forward(&call, gle_new_of(net, &d->sent) + first * ld, ld, e, p->ld, n);
    }
}

/* --- alignment --- */

/* Noise by projection, not by population: each has settings of its own. */
static struct gle_draw draw_of(const struct gle_net *net, const struct gle_projection *c)
{
    return (struct gle_draw){
        .seed = net->graph->exp->seed,
        .step = net->steps,
        .field = gle_draw_field((uint32_t)(c - net->graph->projections), GLE_DRAW_FEEDBACK)};
}

void gle_net_stir(struct gle_net *net, const struct gle_population *p, float *s, float *draws, size_t first, size_t n)
{
    const bool training = net->step->learn || net->step->nudge;

    for (size_t j = 0; j < p->n_out; j++) {
        const struct gle_projection *c = gle_out_of(net, p, j);
        const struct gle_draw draw = draw_of(net, c);
        const struct gle_alignment a = gle_feedback_alignment(net->graph, c);
        const float *old;
        float *xi;
        if (c->feedback_way != GLE_FEEDBACK_ALIGNS)
            continue;
        old = gle_old_of(net, &c->xi) + first * p->ld;
        xi = gle_new_of(net, &c->xi) + first * p->ld;
        if (!training) {
            memset(xi, 0, n * p->ld * sizeof *xi);
            continue;
        }
        net->kernels->normals(draws, p->ld, &draw, first, n);
        for (size_t b = 0; b < n; b++)
            for (size_t i = b * p->ld; i < b * p->ld + p->n; i++) {
                xi[i] = gle_ou_step(old[i], draws[i], a.keep, a.add);
                s[i] += xi[i];
            }
    }
}

void gle_net_pass_high(struct gle_net *net, const struct gle_projection *c, float *hp, size_t first, size_t n)
{
    const struct gle_population *p = gle_population_of(net, c->target);
    const float leak = gle_feedback_alignment(net->graph, c).leak;
    const float *r = gle_new_of(net, &p->r) + first * p->ld;
    float *low = gle_field_of(net, &c->low, 0) + first * p->ld;

    for (size_t i = 0; i < n * p->ld; i++) {
        hp[i] = r[i] - low[i];
        low[i] = gle_low_pass(low[i], hp[i], leak);
    }
}

const float *gle_net_stirred(const struct gle_net *net, const struct gle_projection *c)
{
    return gle_past_of(net, &c->xi, c->delay - 1);
}

void gle_net_align(struct gle_net *net, const struct gle_projection *c, const float *hp, const float *xi, size_t t)
{
    const struct gle_population *p = gle_population_of(net, c->target);
    const struct gle_range part = gle_net_part_of(net, c->feedback, t);
    const struct gle_link_call call = gle_call_of(net, c, true, t);
    const struct gle_alignment a = gle_feedback_alignment(net->graph, c);
    const size_t at = part.first * c->feedback->part;
    float *grad = gle_grad_of(net, c->feedback) + at, *b = gle_param_of(net, c->feedback) + at;

    if (!part.n || !gle_feedback_moves(net, c))
        return;
    c->plan.link->gradient(&call, grad, hp, p->ld, xi, c->ld_pool, net->B, 1.0f / (float)net->B, part.first, part.n);
    for (size_t i = 0; i < part.n * c->feedback->part; i++)
        b[i] = gle_align(b[i], grad[i], a.rate, a.decay);
    gle_net_bound(b, part.n * c->feedback->part, c->feedback->bounds);
    gle_net_follow(net, c->feedback, part.first, part.n);
}
