/* Windows on a device: what opens one, and the launches of a sweep. window.c says what they find. */
#include "parts/rule.h"
#include "solver/device_inside.h"

#include <assert.h>

/* --- opening --- */

/* Copies what the last step, `ago` steps before it, left of a state to copy t of a tape. */
static bool copy_state(struct gle_net *net, const struct gle_field *tape, size_t t, const struct gle_field *state,
                       size_t ago)
{
    struct gle_net_device *d = net->device;
    const size_t copy = (net->steps + state->copies - ago) % state->copies;
    const size_t to = tape->place + t * net->B * tape->ld, from = state->place + copy * state->stride;
    struct gle_error err = {0};

    return !gle_device_failed(d, gle_buffer_copy(d->buffers[TAPE], to * sizeof(float), d->buffers[STATE],
                                                 from * sizeof(float), net->B * tape->ld * sizeof(float), &err),
                              &err);
}

void gle_net_device_begin_window(struct gle_net *net)
{
    const struct gle_graph *g = net->graph;
    bool ok = gle_device_hand_over(net) && gle_device_write_parts(net);

    for (size_t ago = 0; ok && ago < g->input_past; ago++)
        ok = copy_state(net, &g->tape_input, g->input_past - 1 - ago, &g->input, ago);
    for (size_t i = 0; ok && i < g->n_populations; i++) {
        const struct gle_population *p = gle_population_of(net, i);
        for (size_t ago = 0; ok && ago < p->past; ago++)
            ok = copy_state(net, &p->tape.r, p->past - 1 - ago, &p->r, ago);
        ok = ok && (!p->swept || copy_state(net, &p->tape.dr, 0, &p->dr, 0)) &&
             (!p->coupled || copy_state(net, &p->tape.v, 0, &p->v, 0));
    }
    net->device->newer[GLE_PART_TAPE] = DEVICE;
}

/* --- the sweep --- */

/* What the kernels read of the steps of the window: whether they had a target; and of the optimizer's step. */
static bool write_window(struct gle_net *net, bool learn)
{
    struct gle_net_device *d = net->device;
    const struct gle_graph *g = net->graph;
    bool ok = true;

    for (size_t t = 0; ok && t < net->taped; t += d->most) { /* as many as there is room for */
        const size_t n = net->taped - t < d->most ? net->taped - t : d->most;
        for (size_t i = 0; i < n; i++)
            d->steps[i] = (struct gle_device_step){
                .steps = net->steps,
                .flags = (learn ? GLE_DEVICE_LEARN : 0u) | gle_device_spending(net) |
                         (net->tape_unasked[t + i] ? GLE_DEVICE_UNASKED : 0u)};
        ok = gle_device_write(d, STEPS, t * sizeof *d->steps, d->steps, n * sizeof *d->steps);
    }
    gle_device_list_updates(net, d->updates, learn);
    return ok && gle_device_write(d, UPDATES, 0, d->updates, g->n_parameters * sizeof *d->updates) &&
           gle_device_zero(d, WILD, 0, g->n_populations * sizeof *d->wild) &&
           gle_device_zero(d, CLIPPED, 0, sizeof *d->clipped);
}

static bool run_round(struct gle_net *net, enum gle_device_launch which, size_t round)
{
    struct gle_net_device *d = net->device;
    const struct gle_device_sweep *sweep = &d->tables.sweep;
    struct gle_error err = {0};

    d->tables.sweep.round = (gle_u32)round;
    return !gle_device_failed(d, gle_device_set_value(d->kernels[which], ARGUMENT_SWEEP, sweep, sizeof *sweep, &err),
                              &err) &&
           gle_device_run(d, which, 0);
}

/* Zero where nothing comes from beyond the window. */
static bool clear(struct gle_net *net)
{
    const struct gle_graph *g = net->graph;
    bool ok = gle_device_zero(net->device, ADJOINTS, 0, g->floats[GLE_ADJOINT] * sizeof(float));

    for (size_t i = 0; ok && i < g->n_populations; i++) {
        const struct gle_population *p = gle_population_of(net, i);
        const struct gle_field *above_bar = &p->tape.above_bar;
        if (p->coupled)
            ok = gle_device_zero(net->device, TAPE,
                                 (above_bar->place + net->taped * net->B * p->ld) * sizeof(float),
                                 net->B * p->ld * sizeof(float));
    }
    return ok;
}

/* Which populations the sweep has found wild. */
static bool read_wild(struct gle_net *net)
{
    struct gle_net_device *d = net->device;
    const size_t n = net->graph->n_populations;

    if (!gle_device_read(d, WILD, 0, d->wild, n * sizeof *d->wild))
        return false;
    for (size_t i = 0; i < n; i++)
        *gle_wild_of(net, i, 0) = d->wild[i] != 0;
    return true;
}

int gle_net_device_end_window(struct gle_net *net, float alpha, size_t rounds, bool learn, struct gle_error *err)
{
    struct gle_net_device *d = net->device;
    struct gle_device_sweep *sweep = &d->tables.sweep;
    bool ok;

    if (!rounds)
        return gle_net_tell(net, err);
    ok = gle_device_settle(net) && gle_device_write_parts(net) && clear(net) && write_window(net, learn);
    sweep->taped = (gle_u32)net->taped;
    sweep->continuous = net->sweep_rule->continuous;
    sweep->alpha = alpha;
    sweep->beta = (float)net->graph->exp->beta;
    for (size_t round = 0; ok && round < rounds; round++)
        ok = run_round(net, GLE_LAUNCH_SEND_LAMBDAS, round) && run_round(net, GLE_LAUNCH_SWEEP, round);
    ok = ok && read_wild(net);
    d->newer[GLE_PART_TAPE] = DEVICE;
    if (!ok)
        return gle_net_tell(net, err);
    if (gle_net_check(net, net->steps - 1, err))
        return -1;
    ok = run_round(net, GLE_LAUNCH_GATHER, 0) &&
         (!net->spends || (gle_device_run_clipped(net, 0) && gle_device_count_clipped(net, 1)));
    d->newer[GLE_PART_GRADIENTS] = DEVICE;
    if (learn)
        d->newer[GLE_PART_PARAMETERS] = d->newer[GLE_PART_MOMENTS] = d->newer[GLE_PART_FOLLOWED] = DEVICE;
    return ok ? 0 : gle_net_tell(net, err);
}
