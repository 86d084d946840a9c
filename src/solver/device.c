/* Steps on an accelerator: twins of the net's arrays, and the three launches of a step. */
#include "solver/device.h"
#include "backend/device.h"
#include "base/memory.h"
#include "solver/device_tables.h"
#include "solver/inside.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* The source of all kernels; made by the build. */
extern const char gle_device_source[];

enum {
    QUEUE_BYTES = 16 << 20, /* of inputs and targets that wait to be handed over */
};

/* In the order of the kernels' arguments, up to the numbers. */
enum buffer {
    PARAMETERS, GRADIENTS, MOMENTS_0, MOMENTS_1, COEFFICIENTS, STATE, DERIVED, TAPE, /* as the net has them */
    INPUTS, TARGETS, OUTPUT_SUM, LOSSES, WILD,                                       /* of the steps that wait */
    POPULATIONS, PROJECTIONS, LISTS, TILES, STEPS, UPDATES,
    BUFFERS
};
enum { ARGUMENT_SHAPE = BUFFERS, ARGUMENT_STEP };

enum newer { SAME, HOST, DEVICE };

struct gle_net_device {
    struct gle_device *device; /* borrowed */
    struct gle_device_kernel *kernels[GLE_DEVICE_LAUNCHES];
    struct gle_device_sizes sizes;
    struct gle_device_tables tables;
    struct gle_buffer *buffers[BUFFERS], *tiles[GLE_DEVICE_LAUNCHES];
    enum newer newer[GLE_PARTS_OF_NET];
    struct gle_error err; /* that was not told yet */

    /* Steps that wait to be handed over (n of most). */
    size_t n, most;
    uint64_t first;       /* number of the first of them, since the net's start */
    float *inputs, *targets;
    struct gle_device_step *steps;
    struct gle_device_update *updates;
    float *losses;        /* (most, max_batch), as they come back */
    gle_u32 *wild;        /* (most, n_populations) */
    size_t handed;        /* steps whose losses have not come back */
    double *known;        /* (2 most): losses that came back (n_known), and were not told */
    size_t n_known;
    size_t losses_B;      /* rows of theirs */
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

/* Keeps the first error. */
static bool failed(struct gle_net_device *d, int rc, const struct gle_error *err)
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

static bool hand_over(struct gle_net *net);

/* Brings a part to the host; const, since nothing that a caller can tell changes. */
static void fetch(struct gle_net *net, enum gle_part_of_net part)
{
    struct gle_net_device *d = net->device;
    struct gle_error err = {0};
    struct twin twins[2];
    size_t n;

    hand_over(net);
    if (d->newer[part] != DEVICE || d->err.code != GLE_OK)
        return;
    n = twins_of(net, part, twins);
    for (size_t i = 0; i < n; i++)
        if (failed(d, gle_buffer_read(d->buffers[twins[i].buffer], 0, twins[i].host, twins[i].n * sizeof(float), &err),
                   &err))
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
    hand_over(net);
    net->device->newer[part] = HOST;
}

void gle_net_see_field(const struct gle_net *net, const struct gle_field *f)
{
    const enum gle_part_of_net part = f->role == GLE_STATE ? GLE_PART_STATE : GLE_PART_DERIVED;
    struct gle_net_device *d = net->device;
    struct gle_error err = {0};

    if (!d || !f->copies)
        return;
    hand_over((struct gle_net *)net);
    if (d->newer[part] != DEVICE || d->err.code != GLE_OK)
        return;
    for (size_t copy = 0; copy < f->copies; copy++)
        (void)failed(d, gle_buffer_read(d->buffers[f->role == GLE_STATE ? STATE : DERIVED],
                                        (f->place + copy * f->stride) * sizeof(float),
                                        net->slabs[f->role] + f->place + copy * f->stride,
                                        net->B * f->ld * sizeof(float), &err),
                     &err);
}

/* --- handing over --- */

static bool write_part(struct gle_net *net, enum gle_part_of_net part)
{
    struct gle_net_device *d = net->device;
    struct gle_error err = {0};
    struct twin twins[2];
    const size_t n = twins_of(net, part, twins);

    if (d->newer[part] != HOST)
        return true;
    for (size_t i = 0; i < n; i++)
        if (failed(d, gle_buffer_write(d->buffers[twins[i].buffer], 0, twins[i].host, twins[i].n * sizeof(float), &err),
                   &err))
            return false;
    d->newer[part] = SAME;
    return true;
}

/* What came back of the steps that were handed over last. */
static void take_losses(struct gle_net *net)
{
    struct gle_net_device *d = net->device;
    const size_t n_pop = net->graph->n_populations, max_batch = net->graph->max_batch;
    struct gle_error err = {0};

    if (!d->handed || d->err.code != GLE_OK)
        return;
    if (failed(d, gle_buffer_read(d->buffers[LOSSES], 0, d->losses, d->handed * max_batch * sizeof *d->losses, &err),
               &err) ||
        failed(d, gle_buffer_read(d->buffers[WILD], 0, d->wild, d->handed * n_pop * sizeof *d->wild, &err), &err))
        return;
    for (size_t q = 0; q < d->handed; q++) {
        double loss = 0.0;
        for (size_t b = 0; b < d->losses_B; b++)
            loss += (double)d->losses[q * max_batch + b];
        d->known[d->n_known++] = loss;
        for (size_t i = 0; i < n_pop; i++)
            *gle_wild_of(net, i, 0) = d->wild[q * n_pop + i] != 0;
        if (gle_net_check(net, d->first + q, &err)) {
            (void)failed(d, -1, &err);
            break;
        }
    }
    d->handed = 0;
}

static bool launch(struct gle_net_device *d, enum gle_device_launch which, size_t q)
{
    const size_t groups[2] = {d->tables.n_tiles[which], 1};
    const gle_u32 at = (gle_u32)q;
    struct gle_error err = {0};

    if (!groups[0])
        return true;
    return !failed(d, gle_device_set_value(d->kernels[which], ARGUMENT_STEP, &at, sizeof at, &err), &err) &&
           !failed(d, gle_device_launch(d->kernels[which], groups, d->sizes.items, &err), &err);
}

static bool write(struct gle_net_device *d, enum buffer buffer, const void *from, size_t bytes)
{
    struct gle_error err = {0};

    return !failed(d, gle_buffer_write(d->buffers[buffer], 0, from, bytes, &err), &err);
}

/* Hands over the steps that wait. Returns whether all is well. */
static bool hand_over(struct gle_net *net)
{
    struct gle_net_device *d = net->device;
    const struct gle_device_shape *shape = &d->tables.shape;
    const size_t n = d->n;
    bool ok = true;
    struct gle_error err = {0};

    d->n = 0;
    if (!n || d->err.code != GLE_OK)
        return d->err.code == GLE_OK;
    take_losses(net); /* their room is needed */
    for (int part = 0; part < GLE_PARTS_OF_NET; part++)
        ok = ok && write_part(net, part);
    ok = ok && write(d, INPUTS, d->inputs, n * shape->slab_input * sizeof(float)) &&
         write(d, TARGETS, d->targets, n * shape->slab_target * sizeof(float)) &&
         write(d, STEPS, d->steps, n * sizeof *d->steps) &&
         write(d, UPDATES, d->updates, n * shape->n_parameters * sizeof *d->updates) &&
         !failed(d, gle_buffer_zero(d->buffers[WILD], 0, n * shape->n_populations * sizeof *d->wild, &err), &err);
    for (size_t q = 0; q < n && ok; q++)
        ok = launch(d, GLE_LAUNCH_STEP, q) && launch(d, GLE_LAUNCH_SEND, q) &&
             (!(d->steps[q].flags & GLE_DEVICE_LEARN) || launch(d, GLE_LAUNCH_LEARN, q));
    if (!ok || failed(d, gle_device_flush(d->device, &err), &err))
        return false;
    d->handed = n;
    d->losses_B = net->B;
    d->first = net->steps - n;
    for (size_t q = 0; q < n; q++) {
        d->newer[GLE_PART_STATE] = d->newer[GLE_PART_DERIVED] = d->newer[GLE_PART_OUTPUT_SUM] = DEVICE;
        if (d->steps[q].flags & GLE_DEVICE_TAPING)
            d->newer[GLE_PART_TAPE] = DEVICE;
        if (d->steps[q].flags & GLE_DEVICE_LEARN)
            d->newer[GLE_PART_PARAMETERS] = d->newer[GLE_PART_GRADIENTS] = d->newer[GLE_PART_MOMENTS] = DEVICE;
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

int gle_net_device_queue(struct gle_net *net, const struct gle_step *step, double *losses, size_t *n,
                         struct gle_error *err)
{
    struct gle_net_device *d = net->device;
    const struct gle_device_shape *shape = &d->tables.shape;
    const struct gle_graph *g = net->graph;
    const size_t B = net->B;
    size_t q;

    if (d->n == d->most)
        hand_over(net);
    tell_losses(d, losses, n);
    if (gle_net_tell(net, err))
        return -1;
    q = d->n;
    memcpy(d->inputs + q * shape->slab_input, net->input, B * g->ld_input * sizeof(float));
    memcpy(d->targets + q * shape->slab_target, net->target, B * gle_top_of(net)->ld * sizeof(float));
    d->steps[q] = (struct gle_device_step){
        .steps = net->steps,
        .flags = (step->learn ? GLE_DEVICE_LEARN : 0u) | (step->forward_only ? 0u : GLE_DEVICE_ERRORS) |
                 (step->unasked ? GLE_DEVICE_UNASKED : 0u) | (net->taping ? GLE_DEVICE_TAPING : 0u),
        .taped = (gle_u32)net->taped,
        .beta = step->learn || step->nudge ? (float)g->exp->beta : 0.0f,
    };
    for (size_t i = 0; step->learn && i < g->n_parameters; i++) {
        const struct gle_parameter *p = &g->parameters[i];
        struct gle_device_update *update = &d->updates[q * g->n_parameters + i];
        update->learns = gle_learns(net, p);
        if (update->learns)
            memcpy(update->c, gle_net_own_step(net, p).c, sizeof update->c);
        else if (p->plastic)
            net->missed[i]++;
    }
    d->n++;
    return 0;
}

int gle_net_device_collect(struct gle_net *net, double *losses, size_t *n, struct gle_error *err)
{
    hand_over(net);
    take_losses(net);
    tell_losses(net->device, losses, n);
    return gle_net_tell(net, err);
}

/* --- the net moves --- */

/* Sizes of tiles. A GPU wants many small ones, with a number of each for each of its items; a processor few large ones
 * that stay in its first caches, with vectors as wide as its registers. */
static struct gle_device_sizes sizes_for(const struct gle_device_info *info)
{
    if (info->is_gpu)
        return (struct gle_device_sizes){.items = 64, .tile_rows = 32, .tile_cols = 32, .tile_depth = 16,
                                         .micro_rows = 4, .micro_vectors = 1, .vector = 4};
    return (struct gle_device_sizes){.items = 1, .tile_rows = 128, .tile_cols = 32, .tile_depth = 64,
                                     .micro_rows = 8, .micro_vectors = 2, .vector = 16};
}

/* The rows of a table as cases of a switch. */
static void write_activations(char *buf, size_t size)
{
    const struct gle_act *act;
    size_t n = 0;

    for (size_t i = 0; (act = (const struct gle_act *)gle_table_at(&gle_act_table, i)) && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, "case %zu: GLE_ACTIVATE(%s) break; ", i,
                              act->log_probabilities ? "linear" : act->row.name);
}

static int compile(struct gle_net *net, struct gle_error *err)
{
    static const char *const names[GLE_DEVICE_LAUNCHES] = {"step_populations", "send_errors", "learn"};
    struct gle_net_device *d = net->device;
    const struct gle_device_sizes *s = &d->sizes;
    const struct gle_experiment *exp = net->graph->exp;
    char activations[2048], options[1024];
    char *source;
    int rc;

    write_activations(activations, sizeof activations);
    snprintf(options, sizeof options,
             "-cl-std=CL1.2 %s-DITEMS=%zu -DTILE_ROWS=%zu -DTILE_COLS=%zu -DTILE_DEPTH=%zu -DMICRO_ROWS=%zu "
             "-DMICRO_VECTORS=%zu -DVECTOR=%zu -DLOSS=%s -DLOSS_PARAMETER=%.9ef -DOPTIMIZER=%s -DRULE_IS_PROSPECTIVE=%d",
             gle_device_info(d->device)->divides_exactly ? "-cl-fp32-correctly-rounded-divide-sqrt " : "", s->items,
             s->tile_rows, s->tile_cols, s->tile_depth, s->micro_rows, s->micro_vectors, s->vector,
             net->loss->row.name, net->loss->parameter ? net->loss->parameter(exp->loss_params) : 0.0,
             net->optimizer->row.name, net->rule.error == net->kernels->error_prospective);
    source = gle_calloc(1, strlen(gle_device_source) + sizeof activations + 32);
    if (!source)
        return gle_fail(err, GLE_ENOMEM, "no memory for the source of kernels");
    sprintf(source, "#define ACTIVATIONS %s\n%s", activations, gle_device_source);
    rc = gle_device_compile(d->device, source, options, err);
    gle_free(source);
    for (int i = 0; i < GLE_DEVICE_LAUNCHES && !rc; i++)
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
        [STEPS] = most * sizeof *d->steps,
        [UPDATES] = most * g->n_parameters * sizeof *d->updates,
    };
    int rc = 0;

    for (int i = 0; i < BUFFERS && !rc; i++)
        if (i != TILES)
            rc = gle_buffer_create(&d->buffers[i], d->device, bytes[i] ? bytes[i] : sizeof(float), err);
    rc = rc || gle_buffer_write(d->buffers[POPULATIONS], 0, d->tables.populations, bytes[POPULATIONS], err) ||
         gle_buffer_write(d->buffers[PROJECTIONS], 0, d->tables.projections, bytes[PROJECTIONS], err) ||
         (bytes[LISTS] && gle_buffer_write(d->buffers[LISTS], 0, d->tables.lists, bytes[LISTS], err));
    for (int k = 0; k < GLE_DEVICE_LAUNCHES; k++)
        for (unsigned i = 0; i < BUFFERS && !rc; i++)
            if (i != TILES)
                rc = gle_device_set_buffer(d->kernels[k], i, d->buffers[i], err);
    return rc ? -1 : 0;
}

/* Tiles for the rows that there are now. */
static int cut(struct gle_net *net, struct gle_error *err)
{
    struct gle_net_device *d = net->device;

    if (gle_device_tables_cut(&d->tables, net->B, &d->sizes, err))
        return -1;
    for (int k = 0; k < GLE_DEVICE_LAUNCHES; k++) {
        const size_t bytes = d->tables.n_tiles[k] * sizeof **d->tables.tiles;
        gle_buffer_destroy(d->tiles[k]);
        d->tiles[k] = NULL;
        if (bytes &&
            (gle_buffer_create(&d->tiles[k], d->device, bytes, err) ||
             gle_buffer_write(d->tiles[k], 0, d->tables.tiles[k], bytes, err) ||
             gle_device_set_buffer(d->kernels[k], TILES, d->tiles[k], err)))
            return -1;
        if (gle_device_set_value(d->kernels[k], ARGUMENT_SHAPE, &d->tables.shape, sizeof d->tables.shape, err))
            return -1;
    }
    return 0;
}

void gle_net_resize(struct gle_net *net)
{
    struct gle_error err = {0};

    if (net->device && net->device->err.code == GLE_OK)
        (void)failed(net->device, cut(net, &err), &err);
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
    d->known = gle_calloc(2 * d->most, sizeof *d->known);
    if (!d->known || !d->inputs || !d->targets || !d->steps || !d->updates || !d->losses || !d->wild)
        return gle_fail(err, GLE_ENOMEM, "no memory for steps on a device");
    return 0;
}

bool gle_net_is_on_device(const struct gle_net *net)
{
    return net->device != NULL;
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
    if (gle_device_tables_build(&d->tables, net->graph, err) || allocate(d, net->graph, err) || compile(net, err) ||
        create_buffers(net, err) || cut(net, err)) {
        gle_net_device_destroy(net);
        return -1;
    }
    for (int part = 0; part < GLE_PARTS_OF_NET; part++)
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
    gle_free(d->known);
    gle_free(d);
    net->device = NULL;
}
