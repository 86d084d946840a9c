/* What the optimizer follows where that is not the gradient of one step: under learning.update, the mean of those of
 * some steps. Sums run over steps in their order, each number for itself, so that it does not matter how threads share
 * them. */
#include "solver/inside.h"

#include <string.h>

void gle_net_gather(struct gle_net *net, const struct gle_parameter *p, size_t first, size_t n)
{
    const uint64_t every = net->graph->exp->update_every;
    const size_t at = first * p->part, floats = n * p->part;
    float *to = gle_followed_of(net, p) + at;
    const float *found = gle_grad_of(net, p) + at;

    if (net->gathered)
        net->kernels->add(to, found, floats);
    else
        memcpy(to, found, floats * sizeof *to);
    if (net->spends && net->gathered)
        net->kernels->scale(to, 1.0f / (float)every, floats);
}
