/* Nets on a device: twins of their arrays, and steps that wait. What a net asks of the device it does by itself where
 * nobody else need be there; steps and sweeps it waits for with the others of its fleet (fleet.h). */
#include "base/memory.h"
#include "solver/device_inside.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* --- the twins --- */

size_t gle_device_twins(const struct gle_net *net, enum gle_part_of_net part, struct gle_twin twins[2])
{
    const struct gle_graph *g = net->graph;
    const size_t n_params = g->floats[GLE_PARAMETER];

    switch (part) {
    case GLE_PART_PARAMETERS:
        twins[0] = (struct gle_twin){PARAMETERS, net->slabs[GLE_PARAMETER], n_params};
        twins[1] = (struct gle_twin){COEFFICIENTS, net->slabs[GLE_COEFFICIENT], g->floats[GLE_COEFFICIENT]};
        return 2;
    case GLE_PART_GRADIENTS:
        twins[0] = (struct gle_twin){GRADIENTS, net->grads, n_params};
        return 1;
    case GLE_PART_FOLLOWED:
        twins[0] = (struct gle_twin){FOLLOWED, net->followed, n_params};
        return net->followed ? 1 : 0;
    case GLE_PART_MOMENTS:
        for (size_t m = 0; m < net->optimizer->n_moments; m++)
            twins[m] = (struct gle_twin){m ? MOMENTS_1 : MOMENTS_0, net->moments[m], n_params};
        return net->optimizer->n_moments;
    case GLE_PART_STATE:
        twins[0] = (struct gle_twin){STATE, net->slabs[GLE_STATE], g->floats[GLE_STATE]};
        return 1;
    case GLE_PART_DERIVED: /* of a net that is not observed nobody looks at them */
        twins[0] = (struct gle_twin){DERIVED, net->slabs[GLE_DERIVED], g->floats[GLE_DERIVED]};
        return g->observed ? 1 : 0;
    case GLE_PART_TAPE:
        twins[0] = (struct gle_twin){TAPE, net->slabs[GLE_TAPE], g->floats[GLE_TAPE]};
        return 1;
    case GLE_PART_OUTPUT_SUM:
        twins[0] = (struct gle_twin){OUTPUT_SUM, net->output_sum, g->max_batch * gle_top_of(net)->ld};
        return 1;
    case GLE_PARTS_OF_NET:
        break;
    }
    return 0;
}

bool gle_device_failed(struct gle_net_device *d, int rc, const struct gle_error *err)
{
    if (rc && d->err.code == GLE_OK)
        d->err = *err;
    return d->err.code != GLE_OK;
}

int gle_net_tell(const struct gle_net *net, struct gle_error *err)
{
    const struct gle_net_device *d = net->device;

    if (!d || d->err.code == GLE_OK)
        return 0;
    return gle_fail(err, d->err.code, "%s", d->err.text);
}

/* Hands over the steps that wait. Returns whether all is well. */
static bool hand_over(struct gle_net *net)
{
    return net->device->n ? gle_fleet_meet(net, STEPS_MADE) : net->device->err.code == GLE_OK;
}

/* The same, and takes what comes back of them. */
static bool settle(struct gle_net *net)
{
    return net->device->n || net->device->handed ? gle_fleet_meet(net, RESULTS) : net->device->err.code == GLE_OK;
}

void gle_net_settle(const struct gle_net *net)
{
    if (net->device)
        (void)settle((struct gle_net *)net);
}

/* Reads n floats of an array of the net from its twin, from `at` on. Returns whether all is well. */
static bool read_twin(struct gle_net *net, const struct gle_twin *twin, size_t at, size_t n)
{
    struct gle_net_device *d = net->device;
    struct gle_error err = {0};
    int rc;

    gle_fleet_lock(d->convoy->fleet);
    rc = gle_buffer_read(d->convoy->buffers[twin->buffer], (d->slot * twin->n + at) * sizeof(float), twin->host + at,
                         n * sizeof(float), &err);
    gle_fleet_unlock(d->convoy->fleet);
    return !gle_device_failed(d, rc, &err);
}

/* Brings a part to the host; const, since nothing that a caller can tell changes. */
static void fetch(struct gle_net *net, enum gle_part_of_net part)
{
    struct gle_net_device *d = net->device;
    struct gle_twin twins[2];
    size_t n;

    if (!hand_over(net) || d->newer[part] != DEVICE)
        return;
    n = gle_device_twins(net, part, twins);
    for (size_t i = 0; i < n; i++)
        if (!read_twin(net, &twins[i], 0, twins[i].n))
            return;
    d->newer[part] = SAME;
    if (part == GLE_PART_PARAMETERS)
        gle_net_follow_all(net);
}

void gle_net_see(const struct gle_net *net, enum gle_part_of_net part)
{
    if (net->device)
        fetch((struct gle_net *)net, part);
}

void gle_net_touch(struct gle_net *net, enum gle_part_of_net part)
{
    gle_net_see(net, part);
    if (net->device)
        net->device->newer[part] = HOST;
}

void gle_net_replace(struct gle_net *net, enum gle_part_of_net part)
{
    if (!net->device)
        return;
    (void)hand_over(net);
    net->device->newer[part] = HOST;
}

void gle_net_clear(struct gle_net *net, enum gle_part_of_net part)
{
    if (!net->device)
        return;
    (void)hand_over(net);
    net->device->newer[part] = ZERO;
}

void gle_net_see_field(const struct gle_net *net, const struct gle_field *f)
{
    const enum gle_part_of_net part = f->role == GLE_STATE ? GLE_PART_STATE : GLE_PART_DERIVED;
    struct gle_net *own = (struct gle_net *)net;
    struct gle_twin twins[2];
    bool ok = true;

    if (!net->device || !f->copies || !hand_over(own) || net->device->newer[part] != DEVICE)
        return;
    (void)gle_device_twins(net, part, twins);
    for (size_t copy = 0; ok && copy < f->copies; copy++)
        ok = read_twin(own, &twins[0], f->place + copy * f->stride, net->B * f->ld);
}

/* --- parameters that are kept --- */

/* Copies the parameters to those that are kept. */
static int copy_kept(const struct gle_net_device *d, size_t bytes, struct gle_error *err)
{
    const struct gle_convoy *c = d->convoy;
    int rc;

    gle_fleet_lock(c->fleet);
    rc = gle_buffer_copy(c->buffers[KEPT], d->slot * bytes, c->buffers[PARAMETERS], d->slot * bytes, bytes, err);
    gle_fleet_unlock(c->fleet);
    return rc;
}

bool gle_net_device_keep(struct gle_net *net)
{
    struct gle_net_device *d = net->device;
    struct gle_error err = {0};

    if (!d)
        return false;
    d->keeps = hand_over(net) && d->newer[GLE_PART_PARAMETERS] == DEVICE;
    if (d->keeps)
        (void)gle_device_failed(d, copy_kept(d, net->graph->floats[GLE_PARAMETER] * sizeof(float), &err), &err);
    return d->keeps;
}

void gle_net_device_see_kept(struct gle_net *net)
{
    struct gle_net_device *d = net->device;
    const size_t bytes = net->graph->floats[GLE_PARAMETER] * sizeof(float);
    struct gle_error err = {0};
    int rc;

    if (!d || !d->keeps)
        return;
    gle_fleet_lock(d->convoy->fleet);
    rc = gle_buffer_read(d->convoy->buffers[KEPT], d->slot * bytes, net->kept, bytes, &err);
    gle_fleet_unlock(d->convoy->fleet);
    (void)gle_device_failed(d, rc, &err);
    d->keeps = false;
}

/* --- steps that wait --- */

/* Tells the losses that are known. */
static void tell_losses(struct gle_net_device *d, double *losses, size_t *n)
{
    memcpy(losses, d->known, d->n_known * sizeof *losses);
    *n = d->n_known;
    d->n_known = 0;
}

gle_u32 gle_device_spending(const struct gle_net *net)
{
    return (net->spends ? GLE_DEVICE_SPEND : 0u) | (net->gathered ? 0u : GLE_DEVICE_FIRST);
}

/* Whether a parameter is weights B that move. */
static bool moves(const struct gle_net *net, const struct gle_parameter *p)
{
    return p->kind == GLE_FEEDBACK && gle_feedback_moves(net, &net->graph->projections[p->field.projection]);
}

void gle_device_list_updates(struct gle_net *net, struct gle_device_update *updates, bool learn)
{
    for (size_t i = 0; i < net->graph->n_parameters; i++) {
        const struct gle_parameter *p = &net->graph->parameters[i];
        updates[i].learns = gle_learns(net, p) || moves(net, p);
        if (learn && updates[i].learns)
            memcpy(updates[i].c, gle_net_own_step(net, p).c, sizeof updates[i].c);
        else if (net->spends && p->plastic)
            net->missed[i]++;
    }
}

/* Puts n floats down behind others of the net in `all`, `apart` floats each, where they are not those that came last.
 * Returns their number there. */
static gle_u32 put_down(float *all, size_t apart, size_t *n_there, const float *values, size_t n)
{
    float *last = all + (*n_there ? *n_there - 1 : 0) * apart;

    if (!*n_there || memcmp(last, values, n * sizeof *values)) {
        memcpy(all + *n_there * apart, values, n * sizeof *values);
        ++*n_there;
    }
    return (gle_u32)(*n_there - 1);
}

static void queue(struct gle_net *net, const struct gle_step *step)
{
    struct gle_net_device *d = net->device;
    const struct gle_convoy *c = d->convoy;
    const struct gle_device_shape *shape = &c->tables.shape;
    const struct gle_graph *g = net->graph;
    const size_t first = d->slot * shape->turns, q = d->n;
    const gle_u32 input = put_down(c->inputs + first * shape->slab_input, shape->slab_input, &d->n_inputs, net->input,
                                   net->B * g->ld_input);
    const gle_u32 target = put_down(c->targets + first * shape->slab_target, shape->slab_target, &d->n_targets,
                                    net->target,
                                    g->weighted ? shape->slab_target : net->B * gle_top_of(net)->ld);

    c->steps[d->slot * shape->steps_apart + q] = (struct gle_device_step){
        .steps = net->steps,
        .seed = g->exp->seed,
        .flags = (step->learn ? GLE_DEVICE_LEARN : 0u) | gle_device_spending(net) |
                 (step->forward_only ? 0u : GLE_DEVICE_ERRORS) |
                 (step->unasked ? GLE_DEVICE_UNASKED : 0u) | (net->taping ? GLE_DEVICE_TAPING : 0u) |
                 (step->learn || step->nudge ? GLE_DEVICE_TRAINING : 0u),
        .taped = (gle_u32)net->taped,
        .input = input,
        .target = target,
        .beta = step->learn || step->nudge ? (float)g->exp->beta : 0.0f,
    };
    if (step->learn)
        gle_device_list_updates(net, c->updates + (first + q) * g->n_parameters, true);
    d->n++;
}

/* The buffers are there. */
static bool has_room(struct gle_net *net)
{
    return net->device->convoy->has_room || gle_fleet_meet(net, ROOM);
}

int gle_net_device_queue(struct gle_net *net, const struct gle_step *step, double *losses, size_t *n,
                         struct gle_error *err)
{
    struct gle_net_device *d = net->device;

    if (has_room(net) && d->n == d->convoy->tables.shape.turns)
        (void)hand_over(net);
    tell_losses(d, losses, n);
    if (gle_net_tell(net, err))
        return -1;
    queue(net, step);
    return 0;
}

int gle_net_device_collect(struct gle_net *net, double *losses, size_t *n, struct gle_error *err)
{
    struct gle_net_device *d = net->device;
    struct gle_error own = {0};

    if (settle(net)) {
        gle_fleet_lock(d->convoy->fleet);
        (void)gle_device_failed(d, gle_device_finish(d->convoy->fleet->device, &own), &own);
        gle_fleet_unlock(d->convoy->fleet);
    }
    tell_losses(d, losses, n);
    return gle_net_tell(net, err);
}

void gle_net_device_recover(struct gle_net *net)
{
    struct gle_net_device *d = net->device;

    if (!d || d->err.code != GLE_EDIVERGED)
        return;
    d->err = (struct gle_error){0};
    d->n_known = 0;
}

/* --- the net moves --- */

bool gle_net_is_on_device(const struct gle_net *net)
{
    return net->device != NULL;
}

struct gle_net_traffic gle_net_get_traffic(const struct gle_net *net)
{
    struct gle_device_traffic t = {0};

    if (!net->device)
        return (struct gle_net_traffic){0};
    gle_fleet_lock(gle_fleet_of(net));
    t = gle_device_get_traffic(gle_fleet_of(net)->device);
    gle_fleet_unlock(gle_fleet_of(net));
    return (struct gle_net_traffic){t.launches, t.bytes_in, t.bytes_out};
}

int gle_net_move(struct gle_net *net, struct gle_fleet *fleet, struct gle_error *err)
{
    struct gle_net_device *d = gle_calloc(1, sizeof *d);

    assert(!net->device);
    if (!d || !(d->known = gle_calloc(2 * (size_t)GLE_QUEUE_STEPS, sizeof *d->known))) {
        gle_free(d);
        return gle_fail(err, GLE_ENOMEM, "no memory for a network on a device");
    }
    net->device = d;
    if (gle_convoy_join(fleet, net, err)) {
        gle_free(d->known);
        gle_free(d);
        net->device = NULL;
        return -1;
    }
    for (enum gle_part_of_net part = 0; part < GLE_PARTS_OF_NET; part++)
        d->newer[part] = HOST;
    return 0;
}

void gle_net_device_destroy(struct gle_net *net)
{
    struct gle_net_device *d = net->device;

    if (!d)
        return;
    gle_convoy_leave(net);
    gle_free(d->known);
    gle_free(d);
    net->device = NULL;
}

/* --- windows --- */

/* Copies what the last step, `ago` steps before it, left of a state to copy t of a tape. */
static int copy_state(struct gle_net *net, const struct gle_field *tape, size_t t, const struct gle_field *state,
                      size_t ago, struct gle_error *err)
{
    const struct gle_convoy *c = net->device->convoy;
    const size_t slot = net->device->slot, copy = (net->steps + state->copies - ago) % state->copies;
    const size_t to = slot * c->tables.shape.slab_tape + tape->place + t * net->B * tape->ld;
    const size_t from = slot * c->tables.shape.slab_state + state->place + copy * state->stride;

    return gle_buffer_copy(c->buffers[TAPE], to * sizeof(float), c->buffers[STATE], from * sizeof(float),
                           net->B * tape->ld * sizeof(float), err);
}

/* What the first steps of the window read of those before it. */
static int copy_states(struct gle_net *net, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;
    int rc = gle_convoy_write_parts(net, err);

    for (size_t ago = 0; ago < g->input_past && !rc; ago++)
        rc = copy_state(net, &g->tape_input, g->input_past - 1 - ago, &g->input, ago, err);
    for (size_t i = 0; i < g->n_populations && !rc; i++) {
        const struct gle_population *p = gle_population_of(net, i);
        for (size_t ago = 0; ago < p->past && !rc; ago++)
            rc = copy_state(net, &p->tape.r, p->past - 1 - ago, &p->r, ago, err);
        rc = rc || (p->swept && copy_state(net, &p->tape.dr, 0, &p->dr, 0, err)) ||
             (p->coupled && copy_state(net, &p->tape.v, 0, &p->v, 0, err));
    }
    return rc;
}

void gle_net_device_begin_window(struct gle_net *net)
{
    struct gle_net_device *d = net->device;
    struct gle_error err = {0};

    if (has_room(net) && hand_over(net)) {
        gle_fleet_lock(d->convoy->fleet);
        (void)gle_device_failed(d, copy_states(net, &err), &err);
        gle_fleet_unlock(d->convoy->fleet);
    }
    d->newer[GLE_PART_TAPE] = DEVICE;
}

/* What the kernels read of the steps of the window: whether they had a target; and of the optimizer's step. */
static void put_window_down(struct gle_net *net, bool learn)
{
    const struct gle_net_device *d = net->device;
    const struct gle_convoy *c = d->convoy;
    const struct gle_device_shape *shape = &c->tables.shape;
    struct gle_device_step *steps = c->steps + d->slot * shape->steps_apart;

    for (size_t t = 0; t < net->taped; t++)
        steps[t] = (struct gle_device_step){
            .steps = net->steps,
            .flags = (learn ? GLE_DEVICE_LEARN : 0u) | gle_device_spending(net) |
                     (net->tape_unasked[t] ? GLE_DEVICE_UNASKED : 0u)};
    gle_device_list_updates(net, c->updates + d->slot * shape->turns * shape->n_parameters, learn);
}

int gle_net_device_end_window(struct gle_net *net, float alpha, size_t rounds, bool learn, struct gle_error *err)
{
    struct gle_net_device *d = net->device;

    if (!rounds || !settle(net))
        return gle_net_tell(net, err);
    put_window_down(net, learn);
    d->rounds = rounds;
    d->sweep = d->convoy->tables.sweep;
    d->sweep.taped = (gle_u32)net->taped;
    d->sweep.continuous = net->sweep_rule->continuous;
    d->sweep.alpha = alpha;
    d->sweep.beta = (float)net->graph->exp->beta;
    (void)gle_fleet_meet(net, SWEEP);
    d->newer[GLE_PART_TAPE] = DEVICE;
    if (gle_net_tell(net, err) || gle_net_check(net, net->steps - 1, err))
        return -1;
    (void)gle_fleet_meet(net, GATHER);
    d->newer[GLE_PART_GRADIENTS] = DEVICE;
    if (learn)
        d->newer[GLE_PART_PARAMETERS] = d->newer[GLE_PART_MOMENTS] = d->newer[GLE_PART_FOLLOWED] = DEVICE;
    return gle_net_tell(net, err);
}
