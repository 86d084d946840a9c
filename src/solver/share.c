/* Which rows, neurons and parts of parameters a thread takes on. */
#include "solver/inside.h"

/* What of n rows, neurons or parts of population i lies between the cuts of thread t. */
static struct gle_range between(const struct gle_cut *cuts, size_t i, size_t n, size_t together, size_t t)
{
    const size_t first = gle_cut_at(&cuts[t], i, n, together), end = gle_cut_at(&cuts[t + 1], i, n, together);

    return (struct gle_range){.first = first, .n = end - first};
}

struct gle_range gle_net_part_of(const struct gle_net *net, const struct gle_parameter *p, size_t t)
{
    /* rows of weights that channels share are few, and long */
    const bool shared = p->part > 1 && p->parts < gle_population_of(net, p->field.population)->n;

    return between(net->split.learning, p->field.population, p->parts, shared ? GLE_PAD : GLE_NEURONS_TOGETHER,
                   t);
}

/* A population of which a cut leaves a thread no neuron may yet have parts of a longer parameter for it. */
static void work_between(struct gle_net *net, size_t t, gle_net_work *work, const struct gle_cut *cuts, bool learning)
{
    gle_net_lap(net, t, GLE_LAP_NONE);
    for (size_t i = cuts[t].layer; i < net->graph->n_populations && i <= cuts[t + 1].layer; i++) {
        const size_t n = learning ? gle_population_of(net, i)->n : net->B;
        const size_t together = learning ? GLE_NEURONS_TOGETHER : GLE_ROWS_TOGETHER;
        const struct gle_range range = between(cuts, i, n, together, t);
        if (range.n || learning)
            work(net, i, range, t);
    }
}

void gle_net_steps_of(struct gle_net *net, size_t t, gle_net_work *work)
{
    work_between(net, t, work, net->split.steps, false);
}

void gle_net_learning_of(struct gle_net *net, size_t t, gle_net_work *work)
{
    work_between(net, t, work, net->split.learning, true);
}
