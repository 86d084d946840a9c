/* What the optimizer follows where that is not the gradient of one step: under learning.update, the mean of those of
 * some steps; under learning.clip, no more of that than has the norm. Sums over steps run in their order. The norm's
 * run over parts of parameters in groups, and over groups in the order of the graph, so that it does not matter how
 * threads share them: cuts lie between groups. */
#include "base/memory.h"
#include "solver/inside.h"

#include <math.h>
#include <string.h>

static const double CLIP_LEAST = 1e-6; /* what torch adds to a norm before it divides by it */
enum { GROUP = GLE_PAD }; /* parts of a parameter; learning is cut between multiples of that */

static bool make_squares(struct gle_net *net)
{
    const struct gle_graph *g = net->graph;

    net->squares_at = gle_calloc(g->n_parameters + 1, sizeof *net->squares_at);
    if (!net->squares_at)
        return false;
    for (size_t i = 0; i < g->n_parameters; i++)
        net->squares_at[i + 1] = net->squares_at[i] + (g->parameters[i].parts + GROUP - 1) / GROUP;
    net->squares = gle_calloc(net->squares_at[g->n_parameters], sizeof *net->squares);
    return net->squares != NULL;
}

bool gle_net_make_followed(struct gle_net *net)
{
    const struct gle_experiment *exp = net->graph->exp;

    net->share = 1.0f;
    if (!gle_graph_has_followed(net->graph))
        return true;
    net->followed = gle_floats(net->graph->floats[GLE_PARAMETER]);
    return net->followed && (!(exp->clip > 0.0) || make_squares(net));
}

void gle_net_free_followed(struct gle_net *net)
{
    gle_free(net->followed);
    gle_free(net->squares);
    gle_free(net->squares_at);
}

/* Numbers of the parts of a parameter: rows, or parts of one each. */
static size_t numbers_of(const struct gle_parameter *p)
{
    return p->part > 1 ? p->field.cols : 1;
}

static void sum_squares(struct gle_net *net, const struct gle_parameter *p, size_t first, size_t n)
{
    double *sums = net->squares + net->squares_at[p - net->graph->parameters];
    const float *values = gle_followed_of(net, p);

    for (size_t group = first / GROUP; group * GROUP < first + n; group++) {
        const size_t left = p->parts - group * GROUP, parts = left < GROUP ? left : GROUP;
        sums[group] = 0.0;
        for (size_t i = 0; i < parts; i++)
            sums[group] += net->kernels->squares(values + (group * GROUP + i) * p->part, numbers_of(p));
    }
}

void gle_net_gather(struct gle_net *net, const struct gle_parameter *p, size_t first, size_t n)
{
    const uint64_t every = net->graph->exp->update_every;
    const size_t at = first * p->part, floats = n * p->part;
    float *to = gle_followed_of(net, p) + at;
    const float *found = gle_grad_of(net, p) + at;

    if (net->gathered && !net->summed)
        net->kernels->add(to, found, floats);
    else
        memcpy(to, found, floats * sizeof *to);
    if (net->spends && net->gathered)
        net->kernels->scale(to, 1.0f / (float)every, floats);
    if (net->spends && net->squares)
        sum_squares(net, p, first, n);
}

/* As torch.nn.utils.clip_grad_norm_. */
void gle_net_find_share(struct gle_net *net)
{
    double sum = 0.0, share;

    for (size_t i = 0; i < net->graph->n_parameters; i++)
        for (size_t k = net->squares_at[i]; net->learns[i] && k < net->squares_at[i + 1]; k++)
            sum += net->squares[k];
    share = net->graph->exp->clip / (sqrt(sum) + CLIP_LEAST);
    net->clipped += share < 1.0;
    net->share = share < 1.0 ? (float)share : 1.0f;
}

void gle_net_clip(struct gle_net *net, const struct gle_parameter *p, size_t first, size_t n)
{
    if (net->share < 1.0f)
        net->kernels->scale(gle_followed_of(net, p) + first * p->part, net->share, n * p->part);
}
