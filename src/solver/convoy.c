/* Convoys: which nets go together, and what they have on the device. */
#include "base/memory.h"
#include "solver/device_inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A GPU wants many small ones, with a number of each for each of its items; a processor few large ones
 * that stay in its first caches, with vectors as wide as its registers. GLESIM_TILES=gpu or cpu has a device take those
 * of the other: so that what GPUs run is tested on processors, too. */
struct gle_device_sizes gle_device_sizes_for(const struct gle_device_info *info)
{
    const char *wanted = getenv("GLESIM_TILES");

    if (wanted ? !strcmp(wanted, "gpu") : info->is_gpu)
        return (struct gle_device_sizes){.items = 64, .tile_rows = 32, .tile_cols = 32, .tile_depth = 16,
                                         .micro_rows = 4, .micro_vectors = 1, .vector = 4};
    return (struct gle_device_sizes){.items = 1, .tile_rows = 128, .tile_cols = 32, .tile_depth = 64,
                                     .micro_rows = 8, .micro_vectors = 2, .vector = 16};
}

/* --- which nets go together --- */

size_t gle_device_launches(const struct gle_graph *graph)
{
    return graph->tape_steps ? GLE_DEVICE_LAUNCHES : GLE_LAUNCH_SEND_LAMBDAS;
}

/* A convoy without nets, as this one wants it. Owns: *out belongs to the caller, also after an error. */
static int build(struct gle_convoy **out, struct gle_fleet *fleet, const struct gle_net *net, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;
    struct gle_convoy *c = gle_calloc(1, sizeof *c);
    struct gle_device_shape *shape;

    *out = c;
    if (!c)
        return gle_fail(err, GLE_ENOMEM, "no memory for a network on a device");
    c->fleet = fleet;
    c->sizes = gle_device_sizes_for(gle_device_info(fleet->device));
    c->n_kernels = gle_device_launches(g);
    if (gle_device_tables_build(&c->tables, g, err))
        return -1;
    shape = &c->tables.shape;
    shape->loss_parameter = net->loss->parameter ? (float)net->loss->parameter(g->exp->loss_params) : 0.0f;
    shape->prospective = net->rule.error == net->kernels->error_prospective;
    gle_device_set_turns(shape, g, fleet->n_opened_for);
    return gle_device_tables_cut(&c->tables, net->B, &c->sizes, err); /* the shape has numbers of tiles */
}

/* Any net of a convoy, which has at least one. */
static const struct gle_net *any_of(const struct gle_convoy *c)
{
    size_t i = 0;

    while (!c->nets[i])
        i++;
    return c->nets[i];
}

/* Whether the same of two nets learns, if nothing is held, and their tapes are as long. */
static bool learn_alike(const struct gle_net *a, const struct gle_net *b)
{
    if (a->loss != b->loss || a->graph->tape_steps != b->graph->tape_steps)
        return false;
    for (size_t i = 0; i < a->graph->n_parameters; i++)
        if (a->graph->parameters[i].plastic != b->graph->parameters[i].plastic)
            return false;
    return true;
}

/* Whether two networks are the same to a device. */
static bool are_same(const struct gle_device_tables *a, const struct gle_device_tables *b)
{
    struct gle_device_shape shape = b->shape;

    shape.B = a->shape.B; /* may change */
    if (memcmp(&a->shape, &shape, sizeof shape) || a->n_lists != b->n_lists)
        return false;
    return !memcmp(a->populations, b->populations, shape.n_populations * sizeof *a->populations) &&
           a->n_projections == b->n_projections &&
           !memcmp(a->projections, b->projections, a->n_projections * sizeof *a->projections) &&
           !memcmp(a->lists, b->lists, a->n_lists * sizeof *a->lists) &&
           a->sweep.slab_adjoint == b->sweep.slab_adjoint && a->sweep.slab_sent == b->sweep.slab_sent;
}

/* A place of a convoy; its n for a new one, which it can have as long as it has no room; SIZE_MAX: none. */
static size_t free_place(const struct gle_convoy *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (!c->nets[i])
            return i;
    return c->has_room ? SIZE_MAX : c->n;
}

/* A convoy that takes the net; NULL: there is none. */
static struct gle_convoy *find(struct gle_fleet *fleet, const struct gle_convoy *wanted, const struct gle_net *net)
{
    for (struct gle_convoy *c = fleet->convoys; c; c = c->next)
        if (free_place(c) != SIZE_MAX && are_same(&c->tables, &wanted->tables) && learn_alike(any_of(c), net))
            return c;
    return NULL;
}

/* What a net that has gone has left, and that no other one overwrites. */
static int clear_place(struct gle_convoy *c, size_t slot, struct gle_error *err)
{
    const size_t derived = c->tables.shape.slab_derived * sizeof(float);
    const size_t adjoint = c->tables.sweep.slab_adjoint * sizeof(float);
    const size_t sent = c->tables.sweep.slab_sent * sizeof(float);

    return gle_buffer_zero(c->buffers[DERIVED], slot * derived, derived, err) ||
                   gle_buffer_zero(c->buffers[ADJOINTS], slot * adjoint, adjoint, err) ||
                   gle_buffer_zero(c->buffers[SENT_LAMBDAS], slot * sent, sent, err)
               ? -1
               : 0;
}

/* Errors: GLE_ENOMEM, GLE_EDEVICE; the net has no place then. */
static int take_place(struct gle_convoy *c, struct gle_net *net, struct gle_error *err)
{
    const size_t slot = free_place(c);

    if (c->has_room && clear_place(c, slot, err))
        return -1;
    if (slot == c->n) {
        struct gle_net **more = gle_resize(c->nets, c->n + 1, sizeof(struct gle_net *));
        if (!more)
            return gle_fail(err, GLE_ENOMEM, "no memory for networks on a device");
        c->nets = more;
        c->n++;
    }
    c->nets[slot] = net;
    net->device->slot = slot;
    net->device->convoy = c;
    return 0;
}

static void remove_convoy(struct gle_convoy *c)
{
    struct gle_convoy **at = &c->fleet->convoys;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    gle_convoy_destroy(c);
}

/* With the fleet's lock. */
static int join(struct gle_fleet *fleet, struct gle_convoy **wanted, struct gle_net *net, struct gle_error *err)
{
    struct gle_convoy *c = find(fleet, *wanted, net);

    if (c)
        return take_place(c, net, err);
    c = *wanted;
    if (gle_convoy_compile(c, net, err) || take_place(c, net, err))
        return -1;
    if (fleet->n_threads == 1 && gle_convoy_make_room(c, err)) /* nobody else will come */
        return -1;
    *wanted = NULL;
    c->next = fleet->convoys;
    fleet->convoys = c;
    return 0;
}

int gle_convoy_join(struct gle_fleet *fleet, struct gle_net *net, struct gle_error *err)
{
    struct gle_convoy *wanted;
    int rc = build(&wanted, fleet, net, err);

    gle_fleet_lock(fleet);
    rc = rc ? rc : join(fleet, &wanted, net, err);
    gle_convoy_destroy(wanted);
    gle_fleet_unlock(fleet);
    return rc;
}

void gle_convoy_leave(struct gle_net *net)
{
    struct gle_fleet *fleet = gle_fleet_of(net);
    struct gle_convoy *c = net->device->convoy;
    bool any = false;

    gle_fleet_lock(fleet);
    c->nets[net->device->slot] = NULL;
    for (size_t i = 0; i < c->n; i++)
        any = any || c->nets[i];
    if (!any)
        remove_convoy(c);
    gle_fleet_unlock(fleet);
}

void gle_convoy_destroy(struct gle_convoy *c)
{
    if (!c)
        return;
    for (int i = 0; i < BUFFERS; i++)
        gle_buffer_destroy(c->buffers[i]);
    for (int k = 0; k < GLE_DEVICE_LAUNCHES; k++) {
        gle_buffer_destroy(c->tiles[k]);
        gle_device_kernel_destroy(c->kernels[k]);
    }
    gle_device_tables_clear(&c->tables);
    gle_free(c->nets);
    gle_free(c->inputs);
    gle_free(c->targets);
    gle_free(c->steps);
    gle_free(c->updates);
    gle_free(c->losses);
    gle_free(c->wild);
    gle_free(c->clipped);
    gle_free(c->sums);
    gle_free(c->slots);
    gle_free((void *)c->served);
    gle_free(c);
}

/* --- what they have on the device --- */

static int allocate(struct gle_convoy *c, struct gle_error *err)
{
    const struct gle_device_shape *shape = &c->tables.shape;
    const size_t n = c->n, turns = n * shape->turns;

    c->inputs = gle_floats(turns * shape->slab_input);
    c->targets = gle_floats(turns * shape->slab_target);
    c->steps = gle_calloc(n * shape->steps_apart, sizeof *c->steps);
    c->updates = gle_calloc(turns * shape->n_parameters, sizeof *c->updates);
    c->losses = gle_calloc(turns * shape->max_batch, sizeof *c->losses);
    c->wild = gle_calloc(turns * shape->n_populations, sizeof *c->wild);
    c->clipped = gle_calloc(turns, sizeof *c->clipped);
    c->sums = gle_floats(n * shape->slab_sum);
    c->slots = gle_calloc(LISTS_OF_PLACES * n, sizeof *c->slots);
    c->served = gle_calloc(2 * n, sizeof(struct gle_net *));
    if (!c->inputs || !c->targets || !c->steps || !c->updates || !c->losses || !c->wild || !c->clipped || !c->sums ||
        !c->slots || !c->served)
        return gle_fail(err, GLE_ENOMEM, "no memory for steps on a device");
    return 0;
}

static int create_buffers(struct gle_convoy *c, struct gle_error *err)
{
    const struct gle_device_tables *t = &c->tables;
    size_t bytes[BUFFERS];
    int rc = 0;

    gle_device_count_bytes(bytes, t);
    for (unsigned i = 0; i < BUFFERS && !rc; i++)
        if (bytes[i])
            rc = gle_buffer_create(&c->buffers[i], c->fleet->device, (gle_device_is_shared(i) ? 1 : c->n) * bytes[i],
                                   err);
    rc = rc || gle_buffer_write(c->buffers[POPULATIONS], 0, t->populations, bytes[POPULATIONS], err) ||
         gle_buffer_write(c->buffers[PROJECTIONS], 0, t->projections, bytes[PROJECTIONS], err) ||
         gle_buffer_write(c->buffers[LISTS], 0, t->lists, t->n_lists * sizeof *t->lists, err);
    for (size_t k = 0; k < c->n_kernels; k++)
        for (unsigned i = 0; i < (k < GLE_LAUNCH_SEND_LAMBDAS ? STEP_BUFFERS : SWEEP_BUFFERS) && !rc; i++)
            if (c->buffers[i] && c->kernels[k])
                rc = gle_device_set_buffer(c->kernels[k], i, c->buffers[i], err);
    return rc ? -1 : 0;
}

/* Room for as many tiles as there can be, so that none is wanted later. Clipping goes over those of learning. */
static int create_tiles(struct gle_convoy *c, struct gle_error *err)
{
    if (gle_device_tables_cut(&c->tables, c->tables.shape.max_batch, &c->sizes, err))
        return -1;
    for (size_t k = 0; k < c->n_kernels; k++) {
        const bool clips = gle_device_clips((enum gle_device_launch)k);
        if (!clips && gle_buffer_create(&c->tiles[k], c->fleet->device,
                                        c->tables.n_tiles[k] * sizeof **c->tables.tiles, err))
            return -1;
        if (c->kernels[k] &&
            gle_device_set_buffer(c->kernels[k], TILES, c->tiles[clips ? (size_t)GLE_LAUNCH_LEARN : k], err))
            return -1;
    }
    return 0;
}

int gle_convoy_make_room(struct gle_convoy *c, struct gle_error *err)
{
    assert(!c->has_room);
    c->tables.graph = any_of(c)->graph; /* that of the first may be gone */
    if (allocate(c, err) || create_buffers(c, err) || create_tiles(c, err))
        return -1;
    c->has_room = true;
    return 0;
}

int gle_convoy_cut(struct gle_convoy *c, const struct gle_net *net, struct gle_error *err)
{
    if (c->tiles_are_there && c->tables.shape.B == net->B)
        return 0;
    c->tiles_are_there = false;
    c->tables.graph = net->graph; /* that of another one may be gone */
    if (gle_device_tables_cut(&c->tables, net->B, &c->sizes, err))
        return -1;
    for (size_t k = 0; k < c->n_kernels; k++)
        if ((c->tiles[k] && gle_buffer_write(c->tiles[k], 0, c->tables.tiles[k],
                                             c->tables.n_tiles[k] * sizeof **c->tables.tiles, err)) ||
            (c->kernels[k] &&
             gle_device_set_value(c->kernels[k], ARGUMENT_SHAPE, &c->tables.shape, sizeof c->tables.shape, err)))
            return -1;
    c->tiles_are_there = true;
    return 0;
}
