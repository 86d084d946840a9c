/* Steps on an accelerator: twins of the net's arrays, and the three launches of a step. */
#include "base/memory.h"
#include "solver/device_inside.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUEUE_BYTES = 16 << 20, /* of inputs and targets that wait to be handed over */
};

/* --- the twins --- */

/* An array of the net and its twin. */
struct twin {
    enum buffer buffer;
    float *host;
    size_t n;
};

/* Those of a part; returns their number. */
static size_t twins_of(const struct gle_net *net, enum gle_part_of_net part, struct twin twins[2])
{
    const struct gle_graph *g = net->graph;
    const size_t n_params = g->floats[GLE_PARAMETER];

    switch (part) {
    case GLE_PART_PARAMETERS:
        twins[0] = (struct twin){PARAMETERS, net->slabs[GLE_PARAMETER], n_params};
        twins[1] = (struct twin){COEFFICIENTS, net->slabs[GLE_COEFFICIENT], g->floats[GLE_COEFFICIENT]};
        return 2;
    case GLE_PART_GRADIENTS:
        twins[0] = (struct twin){GRADIENTS, net->grads, n_params};
        return 1;
    case GLE_PART_FOLLOWED:
        twins[0] = (struct twin){FOLLOWED, net->followed, n_params};
        return net->followed ? 1 : 0;
    case GLE_PART_MOMENTS:
        for (size_t m = 0; m < net->optimizer->n_moments; m++)
            twins[m] = (struct twin){m ? MOMENTS_1 : MOMENTS_0, net->moments[m], n_params};
        return net->optimizer->n_moments;
    case GLE_PART_STATE:
        twins[0] = (struct twin){STATE, net->slabs[GLE_STATE], g->floats[GLE_STATE]};
        return 1;
    case GLE_PART_DERIVED: /* of a net that is not observed nobody looks at them */
        twins[0] = (struct twin){DERIVED, net->slabs[GLE_DERIVED], g->floats[GLE_DERIVED]};
        return g->observed ? 1 : 0;
    case GLE_PART_TAPE:
        twins[0] = (struct twin){TAPE, net->slabs[GLE_TAPE], g->floats[GLE_TAPE]};
        return 1;
    case GLE_PART_OUTPUT_SUM:
        twins[0] = (struct twin){OUTPUT_SUM, net->output_sum, g->max_batch * gle_top_of(net)->ld};
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

bool gle_device_write(struct gle_net_device *d, enum buffer buffer, size_t offset, const void *from, size_t bytes)
{
    struct gle_error err = {0};

    return !gle_device_failed(d, gle_buffer_write(d->buffers[buffer], offset, from, bytes, &err), &err);
}

bool gle_device_read(struct gle_net_device *d, enum buffer buffer, size_t offset, void *to, size_t bytes)
{
    struct gle_error err = {0};

    return !gle_device_failed(d, gle_buffer_read(d->buffers[buffer], offset, to, bytes, &err), &err);
}

bool gle_device_zero(struct gle_net_device *d, enum buffer buffer, size_t offset, size_t bytes)
{
    struct gle_error err = {0};

    return !gle_device_failed(d, gle_buffer_zero(d->buffers[buffer], offset, bytes, &err), &err);
}

int gle_net_tell(const struct gle_net *net, struct gle_error *err)
{
    const struct gle_net_device *d = net->device;

    if (!d || d->err.code == GLE_OK)
        return 0;
    return gle_fail(err, d->err.code, "%s", d->err.text);
}

/* Brings a part to the host; const, since nothing that a caller can tell changes. */
static void fetch(struct gle_net *net, enum gle_part_of_net part)
{
    struct gle_net_device *d = net->device;
    struct twin twins[2];
    size_t n;

    gle_device_hand_over(net);
    if (d->newer[part] != DEVICE || d->err.code != GLE_OK)
        return;
    n = twins_of(net, part, twins);
    for (size_t i = 0; i < n; i++)
        if (!gle_device_read(d, twins[i].buffer, 0, twins[i].host, twins[i].n * sizeof(float)))
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
    gle_device_hand_over(net);
    net->device->newer[part] = HOST;
}

void gle_net_see_field(const struct gle_net *net, const struct gle_field *f)
{
    const enum gle_part_of_net part = f->role == GLE_STATE ? GLE_PART_STATE : GLE_PART_DERIVED;
    struct gle_net_device *d = net->device;
    bool ok = true;

    if (!d || !f->copies)
        return;
    gle_device_hand_over((struct gle_net *)net);
    if (d->newer[part] != DEVICE || d->err.code != GLE_OK)
        return;
    for (size_t copy = 0; ok && copy < f->copies; copy++) {
        const size_t at = f->place + copy * f->stride;
        ok = gle_device_read(d, f->role == GLE_STATE ? STATE : DERIVED, at * sizeof(float), net->slabs[f->role] + at,
                             net->B * f->ld * sizeof(float));
    }
}

/* --- handing over --- */

static bool write_part(struct gle_net *net, enum gle_part_of_net part)
{
    struct gle_net_device *d = net->device;
    struct twin twins[2];
    const size_t n = twins_of(net, part, twins);

    if (d->newer[part] != HOST)
        return true;
    for (size_t i = 0; i < n; i++)
        if (!gle_device_write(d, twins[i].buffer, 0, twins[i].host, twins[i].n * sizeof(float)))
            return false;
    d->newer[part] = SAME;
    return true;
}

bool gle_device_write_parts(struct gle_net *net)
{
    bool ok = true;

    for (enum gle_part_of_net part = 0; part < GLE_PARTS_OF_NET; part++)
        ok = ok && write_part(net, part);
    return ok;
}

/* What came back of the steps that were handed over last. */
static void take_losses(struct gle_net *net)
{
    struct gle_net_device *d = net->device;
    const size_t n_pop = net->graph->n_populations, max_batch = net->graph->max_batch;
    struct gle_error err = {0};

    if (!d->handed || d->err.code != GLE_OK)
        return;
    if (!gle_device_read(d, LOSSES, 0, d->losses, d->handed * max_batch * sizeof *d->losses) ||
        !gle_device_read(d, WILD, 0, d->wild, d->handed * n_pop * sizeof *d->wild))
        return;
    for (size_t q = 0; q < d->handed; q++) {
        double loss = 0.0;
        for (size_t b = 0; b < d->losses_B; b++)
            loss += (double)d->losses[q * max_batch + b];
        d->known[d->n_known++] = loss;
        for (size_t i = 0; i < n_pop; i++)
            *gle_wild_of(net, i, 0) = d->wild[q * n_pop + i] != 0;
        if (gle_net_check(net, d->first + q, &err)) {
            (void)gle_device_failed(d, -1, &err);
            net->steps = d->first + q + 1; /* those after it count for nothing */
            break;
        }
    }
    (void)gle_device_count_clipped(net, d->handed);
    d->handed = 0;
}

static size_t groups_of(const struct gle_net_device *d, enum gle_device_launch which)
{
    if (which == GLE_LAUNCH_NORM)
        return d->tables.n_tiles[GLE_LAUNCH_LEARN] > 0;
    return d->tables.n_tiles[which == GLE_LAUNCH_SQUARE || which == GLE_LAUNCH_FOLLOW ? GLE_LAUNCH_LEARN : which];
}

bool gle_device_run(struct gle_net_device *d, enum gle_device_launch which, size_t q)
{
    const size_t groups[2] = {groups_of(d, which), 1};
    const gle_u32 at = (gle_u32)q;
    struct gle_error err = {0};

    if (!groups[0])
        return true;
    return !gle_device_failed(d, gle_device_set_value(d->kernels[which], ARGUMENT_STEP, &at, sizeof at, &err), &err) &&
           !gle_device_failed(d, gle_device_launch(d->kernels[which], groups, d->sizes.items, &err), &err);
}

bool gle_device_hand_over(struct gle_net *net)
{
    struct gle_net_device *d = net->device;
    const struct gle_device_shape *shape = &d->tables.shape;
    const size_t n = d->n;
    struct gle_error err = {0};
    bool ok;

    d->n = 0;
    if (!n || d->err.code != GLE_OK)
        return d->err.code == GLE_OK;
    take_losses(net); /* their room is needed */
    ok = gle_device_write_parts(net) &&
         gle_device_write(d, INPUTS, 0, d->inputs, n * shape->slab_input * sizeof(float)) &&
         gle_device_write(d, TARGETS, 0, d->targets, n * shape->slab_target * sizeof(float)) &&
         gle_device_write(d, STEPS, 0, d->steps, n * sizeof *d->steps) &&
         gle_device_write(d, UPDATES, 0, d->updates, n * shape->n_parameters * sizeof *d->updates) &&
         gle_device_zero(d, WILD, 0, n * shape->n_populations * sizeof *d->wild) &&
         gle_device_zero(d, CLIPPED, 0, n * sizeof *d->clipped);
    for (size_t q = 0; q < n && ok; q++)
        ok = gle_device_run(d, GLE_LAUNCH_STEP, q) && gle_device_run(d, GLE_LAUNCH_SEND, q) &&
             (!(d->steps[q].flags & GLE_DEVICE_LEARN) || gle_device_run(d, GLE_LAUNCH_LEARN, q)) &&
             (!(d->steps[q].flags & GLE_DEVICE_SPEND) || gle_device_run_clipped(net, q));
    if (!ok || gle_device_failed(d, gle_device_flush(d->device, &err), &err))
        return false;
    d->handed = n;
    d->losses_B = net->B;
    d->first = net->steps - n;
    for (size_t q = 0; q < n; q++) {
        d->newer[GLE_PART_STATE] = d->newer[GLE_PART_DERIVED] = d->newer[GLE_PART_OUTPUT_SUM] = DEVICE;
        if (d->steps[q].flags & GLE_DEVICE_TAPING)
            d->newer[GLE_PART_TAPE] = DEVICE;
        if (d->steps[q].flags & GLE_DEVICE_LEARN)
            d->newer[GLE_PART_GRADIENTS] = d->newer[GLE_PART_FOLLOWED] = DEVICE;
        if (d->steps[q].flags & GLE_DEVICE_SPEND)
            d->newer[GLE_PART_PARAMETERS] = d->newer[GLE_PART_MOMENTS] = DEVICE;
    }
    return true;
}

/* Tells the losses that are known. */
static void tell_losses(struct gle_net_device *d, double *losses, size_t *n)
{
    memcpy(losses, d->known, d->n_known * sizeof *losses);
    *n = d->n_known;
    d->n_known = 0;
}

void gle_net_settle(const struct gle_net *net)
{
    if (net->device)
        (void)gle_device_settle((struct gle_net *)net);
}

bool gle_device_settle(struct gle_net *net)
{
    gle_device_hand_over(net);
    take_losses(net);
    return net->device->err.code == GLE_OK;
}

gle_u32 gle_device_spending(const struct gle_net *net)
{
    return (net->spends ? GLE_DEVICE_SPEND : 0u) | (net->gathered ? 0u : GLE_DEVICE_FIRST);
}

void gle_device_list_updates(struct gle_net *net, struct gle_device_update *updates, bool learn)
{
    for (size_t i = 0; i < net->graph->n_parameters; i++) {
        const struct gle_parameter *p = &net->graph->parameters[i];
        updates[i].learns = gle_learns(net, p);
        if (learn && updates[i].learns)
            memcpy(updates[i].c, gle_net_own_step(net, p).c, sizeof updates[i].c);
        else if (net->spends && p->plastic)
            net->missed[i]++;
    }
}

int gle_net_device_queue(struct gle_net *net, const struct gle_step *step, double *losses, size_t *n,
                         struct gle_error *err)
{
    struct gle_net_device *d = net->device;
    const struct gle_device_shape *shape = &d->tables.shape;
    const struct gle_graph *g = net->graph;
    const size_t B = net->B;
    size_t q;

    if (d->n == d->most)
        gle_device_hand_over(net);
    tell_losses(d, losses, n);
    if (gle_net_tell(net, err))
        return -1;
    q = d->n;
    memcpy(d->inputs + q * shape->slab_input, net->input, B * g->ld_input * sizeof(float));
    memcpy(d->targets + q * shape->slab_target, net->target, B * gle_top_of(net)->ld * sizeof(float));
    d->steps[q] = (struct gle_device_step){
        .steps = net->steps,
        .flags = (step->learn ? GLE_DEVICE_LEARN : 0u) | gle_device_spending(net) |
                 (step->forward_only ? 0u : GLE_DEVICE_ERRORS) |
                 (step->unasked ? GLE_DEVICE_UNASKED : 0u) | (net->taping ? GLE_DEVICE_TAPING : 0u),
        .taped = (gle_u32)net->taped,
        .beta = step->learn || step->nudge ? (float)g->exp->beta : 0.0f,
    };
    if (step->learn)
        gle_device_list_updates(net, d->updates + q * g->n_parameters, true);
    d->n++;
    return 0;
}

int gle_net_device_collect(struct gle_net *net, double *losses, size_t *n, struct gle_error *err)
{
    struct gle_net_device *d = net->device;
    struct gle_error own = {0};

    if (gle_device_settle(net))
        (void)gle_device_failed(d, gle_device_finish(d->device, &own), &own);
    tell_losses(d, losses, n);
    return gle_net_tell(net, err);
}

/* --- the net moves --- */

/* A GPU wants many small ones, with a number of each for each of its items; a processor few large ones
 * that stay in its first caches, with vectors as wide as its registers. GLESIM_TILES=gpu or cpu has a device take those
 * of the other: so that what GPUs run is tested on processors, too. */
static struct gle_device_sizes sizes_for(const struct gle_device_info *info)
{
    const char *wanted = getenv("GLESIM_TILES");

    if (wanted ? !strcmp(wanted, "gpu") : info->is_gpu)
        return (struct gle_device_sizes){.items = 64, .tile_rows = 32, .tile_cols = 32, .tile_depth = 16,
                                         .micro_rows = 4, .micro_vectors = 1, .vector = 4};
    return (struct gle_device_sizes){.items = 1, .tile_rows = 128, .tile_cols = 32, .tile_depth = 64,
                                     .micro_rows = 8, .micro_vectors = 2, .vector = 16};
}

/* Whether a network has steps of this kind. */
static bool is_launched(const struct gle_net *net, size_t launch)
{
    return net->squares || launch < GLE_LAUNCH_SQUARE || launch > GLE_LAUNCH_FOLLOW;
}

static int compile(struct gle_net *net, struct gle_error *err)
{
    static const char *const names[GLE_DEVICE_LAUNCHES] = {
        [GLE_LAUNCH_STEP] = "step_populations",
        [GLE_LAUNCH_SEND] = "send_errors",
        [GLE_LAUNCH_LEARN] = "learn",
        [GLE_LAUNCH_SQUARE] = "sum_squares",
        [GLE_LAUNCH_NORM] = "find_norm",
        [GLE_LAUNCH_FOLLOW] = "follow_clipped",
        [GLE_LAUNCH_SEND_LAMBDAS] = "send_lambdas",
        [GLE_LAUNCH_SWEEP] = "sweep_populations",
        [GLE_LAUNCH_GATHER] = "gather",
    };
    struct gle_net_device *d = net->device;
    const struct gle_device_sizes *s = &d->sizes;
    const bool exact = gle_device_info(d->device)->divides_exactly;
    char options[512], *source = gle_device_write_source();
    int rc;

    if (!source)
        return gle_fail(err, GLE_ENOMEM, "no memory for the source of kernels");
    snprintf(options, sizeof options,
             "-cl-std=CL1.2 %s%s%s-DITEMS=%zu -DTILE_ROWS=%zu -DTILE_COLS=%zu -DTILE_DEPTH=%zu -DMICRO_ROWS=%zu "
             "-DMICRO_VECTORS=%zu -DVECTOR=%zu -DLOSS=%s",
             exact ? "-cl-fp32-correctly-rounded-divide-sqrt " : "",
             d->n_kernels > GLE_LAUNCH_SEND_LAMBDAS ? "-DSWEEPS " : "", net->squares ? "-DCLIPS " : "",
             s->items, s->tile_rows, s->tile_cols,
             s->tile_depth, s->micro_rows, s->micro_vectors, s->vector, net->loss->row.name);
    rc = gle_device_compile(d->device, source, options, err);
    gle_free(source);
    for (size_t i = 0; i < d->n_kernels && !rc; i++)
        if (is_launched(net, i))
            rc = gle_device_kernel(&d->kernels[i], d->device, names[i], err);
    return rc;
}

static int create_buffers(struct gle_net *net, struct gle_error *err)
{
    struct gle_net_device *d = net->device;
    const struct gle_graph *g = net->graph;
    const struct gle_device_shape *shape = &d->tables.shape;
    const size_t n_params = shape->slab_params, most = d->most;
    const size_t bytes[BUFFERS] = {
        [PARAMETERS] = n_params * sizeof(float),
        [GRADIENTS] = n_params * sizeof(float),
        [FOLLOWED] = net->followed ? n_params * sizeof(float) : 0,
        [SQUARES] = net->squares ? (shape->n_squares + 1) * sizeof(float) : 0,
        [CLIPPED] = most * sizeof *d->clipped,
        [MOMENTS_0] = n_params * sizeof(float),
        [MOMENTS_1] = net->optimizer->n_moments > 1 ? n_params * sizeof(float) : 0,
        [COEFFICIENTS] = shape->slab_coefs * sizeof(float),
        [STATE] = shape->slab_state * sizeof(float),
        [DERIVED] = shape->slab_derived * sizeof(float),
        [TAPE] = shape->slab_tape * sizeof(float),
        [INPUTS] = most * shape->slab_input * sizeof(float),
        [TARGETS] = most * shape->slab_target * sizeof(float),
        [OUTPUT_SUM] = shape->slab_target * sizeof(float),
        [LOSSES] = most * g->max_batch * sizeof(float),
        [WILD] = most * g->n_populations * sizeof(gle_u32),
        [POPULATIONS] = g->n_populations * sizeof *d->tables.populations,
        [PROJECTIONS] = g->n_projections * sizeof *d->tables.projections,
        [LISTS] = d->tables.n_lists * sizeof *d->tables.lists,
        [STEPS] = (most > g->tape_steps ? most : g->tape_steps) * sizeof *d->steps,
        [UPDATES] = most * g->n_parameters * sizeof *d->updates,
        [ADJOINTS] = d->tables.sweep.slab_adjoint * sizeof(float),
        [SENT_LAMBDAS] = d->tables.sweep.slab_sent * sizeof(float),
    };
    int rc = 0;

    for (int i = 0; i < BUFFERS && !rc; i++)
        if (i != TILES && i != ARGUMENT_SHAPE && i != ARGUMENT_STEP)
            rc = gle_buffer_create(&d->buffers[i], d->device, bytes[i] ? bytes[i] : sizeof(float), err);
    rc = rc || gle_buffer_write(d->buffers[POPULATIONS], 0, d->tables.populations, bytes[POPULATIONS], err) ||
         gle_buffer_write(d->buffers[PROJECTIONS], 0, d->tables.projections, bytes[PROJECTIONS], err) ||
         (bytes[LISTS] && gle_buffer_write(d->buffers[LISTS], 0, d->tables.lists, bytes[LISTS], err));
    for (size_t k = 0; k < d->n_kernels; k++)
        for (unsigned i = 0; i < (k < GLE_LAUNCH_SEND_LAMBDAS ? STEP_BUFFERS : BUFFERS) && !rc; i++)
            if (d->buffers[i] && d->kernels[k])
                rc = gle_device_set_buffer(d->kernels[k], i, d->buffers[i], err);
    return rc ? -1 : 0;
}

/* Tiles for the rows that there are now. */
static int cut(struct gle_net *net, struct gle_error *err)
{
    struct gle_net_device *d = net->device;

    if (gle_device_tables_cut(&d->tables, net->B, &d->sizes, err))
        return -1;
    for (size_t k = 0; k < d->n_kernels; k++)
        if (is_launched(net, k) && gle_device_set_value(d->kernels[k], ARGUMENT_SHAPE, &d->tables.shape,
                                                        sizeof d->tables.shape, err))
            return -1;
    for (size_t k = 0; k < d->n_kernels; k++) {
        const size_t bytes = d->tables.n_tiles[k] * sizeof **d->tables.tiles;
        gle_buffer_destroy(d->tiles[k]);
        d->tiles[k] = NULL;
        if (bytes &&
            (gle_buffer_create(&d->tiles[k], d->device, bytes, err) ||
             gle_buffer_write(d->tiles[k], 0, d->tables.tiles[k], bytes, err) ||
             gle_device_set_buffer(d->kernels[k], TILES, d->tiles[k], err)))
            return -1;
    }
    for (size_t k = GLE_LAUNCH_SQUARE; net->squares && d->tiles[GLE_LAUNCH_LEARN] && k <= GLE_LAUNCH_FOLLOW; k++)
        if (gle_device_set_buffer(d->kernels[k], TILES, d->tiles[GLE_LAUNCH_LEARN], err))
            return -1;
    return 0;
}

void gle_net_resize(struct gle_net *net)
{
    struct gle_error err = {0};

    if (net->device && net->device->err.code == GLE_OK)
        (void)gle_device_failed(net->device, cut(net, &err), &err);
}

static int allocate(struct gle_net_device *d, const struct gle_graph *g, struct gle_error *err)
{
    const struct gle_device_shape *shape = &d->tables.shape;
    const size_t one = ((size_t)shape->slab_input + shape->slab_target) * sizeof(float);

    d->most = QUEUE_BYTES / one < 1 ? 1 : QUEUE_BYTES / one > GLE_QUEUE_STEPS ? GLE_QUEUE_STEPS : QUEUE_BYTES / one;
    d->inputs = gle_floats(d->most * shape->slab_input);
    d->targets = gle_floats(d->most * shape->slab_target);
    d->steps = gle_calloc(d->most, sizeof *d->steps);
    d->updates = gle_calloc(d->most * g->n_parameters, sizeof *d->updates);
    d->losses = gle_calloc(d->most * g->max_batch, sizeof *d->losses);
    d->wild = gle_calloc(d->most * g->n_populations, sizeof *d->wild);
    d->clipped = gle_calloc(d->most, sizeof *d->clipped);
    d->known = gle_calloc(2 * d->most, sizeof *d->known);
    if (!d->known || !d->inputs || !d->targets || !d->steps || !d->updates || !d->losses || !d->wild || !d->clipped)
        return gle_fail(err, GLE_ENOMEM, "no memory for steps on a device");
    return 0;
}

bool gle_net_is_on_device(const struct gle_net *net)
{
    return net->device != NULL;
}

struct gle_net_traffic gle_net_get_traffic(const struct gle_net *net)
{
    struct gle_device_traffic t = {0};

    if (net->device)
        t = gle_device_get_traffic(net->device->device);
    return (struct gle_net_traffic){t.launches, t.bytes_in, t.bytes_out};
}

static int build_tables(struct gle_net *net, struct gle_error *err)
{
    struct gle_net_device *d = net->device;
    struct gle_device_shape *shape = &d->tables.shape;
    const struct gle_experiment *exp = net->graph->exp;

    if (gle_device_tables_build(&d->tables, net->graph, err) ||
        gle_device_tables_cut(&d->tables, net->B, &d->sizes, err))
        return -1;
    shape->n_squares = (gle_u32)(d->tables.n_tiles[GLE_LAUNCH_LEARN] * d->sizes.items);
    shape->loss_parameter = net->loss->parameter ? (float)net->loss->parameter(exp->loss_params) : 0.0f;
    shape->follows = net->followed != NULL;
    shape->share = 1.0f / (float)exp->update_every;
    shape->clip = (float)exp->clip;
    shape->prospective = net->rule.error == net->kernels->error_prospective;
    return 0;
}

int gle_net_move(struct gle_net *net, struct gle_device *device, struct gle_error *err)
{
    struct gle_net_device *d = gle_calloc(1, sizeof *d);

    assert(!net->device);
    if (!d)
        return gle_fail(err, GLE_ENOMEM, "no memory for a network on a device");
    net->device = d;
    d->device = device;
    d->sizes = sizes_for(gle_device_info(device));
    d->n_kernels = net->graph->tape_steps ? GLE_DEVICE_LAUNCHES : GLE_LAUNCH_SEND_LAMBDAS;
    if (build_tables(net, err) || allocate(d, net->graph, err) || compile(net, err) ||
        create_buffers(net, err) || cut(net, err)) {
        gle_net_device_destroy(net);
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
    for (int i = 0; i < BUFFERS; i++)
        gle_buffer_destroy(d->buffers[i]);
    for (int k = 0; k < GLE_DEVICE_LAUNCHES; k++) {
        gle_buffer_destroy(d->tiles[k]);
        gle_device_kernel_destroy(d->kernels[k]);
    }
    gle_device_tables_clear(&d->tables);
    gle_free(d->inputs);
    gle_free(d->targets);
    gle_free(d->steps);
    gle_free(d->updates);
    gle_free(d->losses);
    gle_free(d->wild);
    gle_free(d->clipped);
    gle_free(d->known);
    gle_free(d);
    net->device = NULL;
}
