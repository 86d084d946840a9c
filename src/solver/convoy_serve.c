/* What nets of a convoy wait for, done for many of them in the same launches. By the thread that serves a fleet. */
#include "solver/device_inside.h"

#include <string.h>

/* Nets that are served together, in the order of their places. */
struct crowd {
    struct gle_net **nets;
    size_t n;
};

/* Whether something has failed, which each of them is told. */
static bool failed(const struct crowd *crowd, int rc, const struct gle_error *err)
{
    for (size_t i = 0; rc && i < crowd->n; i++)
        (void)gle_device_failed(crowd->nets[i]->device, rc, err);
    return rc != 0;
}

static struct gle_net_device *device_of(const struct crowd *crowd, size_t i)
{
    return crowd->nets[i]->device;
}

/* The places from the first of a crowd to its last. What those between them have is read or written, too, which changes
 * nothing: it is theirs on both sides. */
static struct gle_byte_rows rows_of(const struct crowd *crowd, size_t bytes, size_t apart)
{
    const size_t first = device_of(crowd, 0)->slot, last = device_of(crowd, crowd->n - 1)->slot;

    return (struct gle_byte_rows){.first = first, .n = last - first + 1, .bytes = bytes, .apart = apart};
}

/* How many of a crowd, from i on, have places one after the other. */
static size_t side_by_side(const struct crowd *crowd, size_t i)
{
    size_t n = 1;

    while (i + n < crowd->n && device_of(crowd, i + n)->slot == device_of(crowd, i)->slot + n)
        n++;
    return n;
}

/* Zeroes what they have in a buffer, of so many bytes each. */
static int zero(const struct gle_convoy *c, const struct crowd *crowd, enum buffer buffer, size_t bytes,
                struct gle_error *err)
{
    int rc = 0;

    for (size_t i = 0, n; i < crowd->n && !rc; i += n) {
        n = side_by_side(crowd, i);
        rc = gle_buffer_zero(c->buffers[buffer], device_of(crowd, i)->slot * bytes, n * bytes, err);
    }
    return rc;
}

/* Rows of a buffer with a stretch for each place, of which each has `used` pieces of so many bytes, of `room`. */
static int write_rows(const struct gle_convoy *c, const struct crowd *crowd, enum buffer buffer, const void *from,
                      size_t bytes, size_t used, size_t room, struct gle_error *err)
{
    const struct gle_byte_rows rows = rows_of(crowd, used * bytes, room * bytes);

    return gle_buffer_write_rows(c->buffers[buffer], &rows, from, err);
}

/* The same, of as many pieces as there are turns. */
static int read_rows(const struct gle_convoy *c, const struct crowd *crowd, enum buffer buffer, void *to, size_t bytes,
                     size_t used, struct gle_error *err)
{
    const struct gle_byte_rows rows = rows_of(crowd, used * bytes, c->tables.shape.turns * bytes);

    return gle_buffer_read_rows(c->buffers[buffer], &rows, to, err);
}

/* Whether what the optimizer follows is clipped. */
static bool clips(const struct gle_convoy *c)
{
    return c->tables.shape.clip > 0.0f;
}

/* --- the twins --- */

static int write_part(const struct gle_convoy *c, const struct crowd *crowd, enum gle_part_of_net part,
                      struct gle_error *err)
{
    struct gle_twin twins[2];

    for (size_t i = 0, n; i < crowd->n; i += n) {
        const size_t n_twins = gle_device_twins(crowd->nets[i], part, twins), slot = device_of(crowd, i)->slot;
        const enum newer newer = device_of(crowd, i)->newer[part];
        n = 1;
        while (newer == ZERO && n < side_by_side(crowd, i) && device_of(crowd, i + n)->newer[part] == ZERO)
            n++;
        for (size_t k = 0; k < n_twins; k++) {
            struct gle_buffer *buffer = c->buffers[twins[k].buffer];
            const size_t bytes = twins[k].n * sizeof(float);
            if ((newer == HOST && gle_buffer_write(buffer, slot * bytes, twins[k].host, bytes, err)) ||
                (newer == ZERO && gle_buffer_zero(buffer, slot * bytes, n * bytes, err)))
                return -1;
        }
        for (size_t k = 0; k < n && newer != DEVICE; k++)
            device_of(crowd, i + k)->newer[part] = SAME;
    }
    return 0;
}

static int write_parts(const struct gle_convoy *c, const struct crowd *crowd, struct gle_error *err)
{
    int rc = 0;

    for (enum gle_part_of_net part = 0; part < GLE_PARTS_OF_NET; part++)
        rc = rc || write_part(c, crowd, part, err) ? -1 : 0;
    return rc;
}

int gle_convoy_write_parts(struct gle_net *net, struct gle_error *err)
{
    return write_parts(net->device->convoy, &(struct crowd){.nets = &net, .n = 1}, err);
}

/* --- what comes back --- */

/* Takes over losses that have come back, and looks whether the net has gone wild. */
static void take_losses(struct gle_net *net)
{
    struct gle_net_device *d = net->device;
    const struct gle_convoy *c = d->convoy;
    const size_t n_pop = net->graph->n_populations, max_batch = net->graph->max_batch;
    const size_t first = d->slot * c->tables.shape.turns;
    struct gle_error err = {0};

    for (size_t q = 0; q < d->handed; q++) {
        double loss = 0.0;
        for (size_t b = 0; b < d->losses_B; b++)
            loss += (double)c->losses[(first + q) * max_batch + b];
        d->known[d->n_known++] = loss;
        for (size_t i = 0; i < n_pop; i++)
            *gle_wild_of(net, i, 0) = c->wild[(first + q) * n_pop + i] != 0;
        net->clipped += c->clipped[first + q];
        if (gle_net_check(net, d->first + q, &err)) {
            (void)gle_device_failed(d, -1, &err);
            net->steps = d->first + q + 1; /* those after it count for nothing */
            break;
        }
    }
    d->handed = 0;
}

/* Of the steps that were handed over last. */
static void fetch_losses(struct gle_convoy *c, const struct crowd *crowd)
{
    const struct gle_device_shape *shape = &c->tables.shape;
    const size_t losses = shape->max_batch * sizeof *c->losses, wild = shape->n_populations * sizeof *c->wild;
    struct gle_error err = {0};
    size_t most = 0;
    int rc;

    for (size_t i = 0; i < crowd->n; i++)
        most = device_of(crowd, i)->handed > most ? device_of(crowd, i)->handed : most;
    if (!most)
        return;
    rc = read_rows(c, crowd, LOSSES, c->losses, losses, most, &err) ||
         read_rows(c, crowd, WILD, c->wild, wild, most, &err) ||
         (clips(c) && read_rows(c, crowd, CLIPPED, c->clipped, sizeof *c->clipped, most, &err));
    if (failed(crowd, rc, &err))
        return;
    for (size_t i = 0; i < crowd->n; i++)
        take_losses(crowd->nets[i]);
}

/* Summed outputs are what nets want next: for many of them, they come together. */
static void fetch_sums(struct gle_convoy *c, const struct crowd *crowd)
{
    const size_t n = c->tables.shape.slab_sum;
    const struct gle_byte_rows rows = rows_of(crowd, n * sizeof(float), n * sizeof(float));
    struct gle_error err = {0};

    if (failed(crowd, gle_buffer_read_rows(c->buffers[OUTPUT_SUM], &rows, c->sums, &err), &err))
        return;
    for (size_t i = 0; i < crowd->n; i++) {
        struct gle_net_device *d = device_of(crowd, i);
        if (d->newer[GLE_PART_OUTPUT_SUM] != DEVICE)
            continue;
        memcpy(crowd->nets[i]->output_sum, c->sums + d->slot * n, n * sizeof(float));
        d->newer[GLE_PART_OUTPUT_SUM] = SAME;
    }
}

/* --- launches --- */

/* The groups of a launch, of one net: of clipping, one a tile of learning; for the norm, one. */
static size_t groups_of(const struct gle_convoy *c, enum gle_device_launch which)
{
    const size_t n = c->tables.n_tiles[gle_device_clips(which) ? GLE_LAUNCH_LEARN : which];

    return which == GLE_LAUNCH_NORM ? n > 0 : n;
}

/* Launches a kernel for step q of the nets in a list, *n of them. */
static int launch(const struct gle_convoy *c, enum gle_device_launch which, enum list list, size_t n, size_t q,
                  struct gle_error *err)
{
    const size_t groups[2] = {groups_of(c, which), n};
    const gle_u32 at_step = (gle_u32)q, at_slots = (gle_u32)((size_t)list * c->n);

    if (!groups[0] || !groups[1])
        return 0;
    return gle_device_set_value(c->kernels[which], ARGUMENT_STEP, &at_step, sizeof at_step, err) ||
                   gle_device_set_value(c->kernels[which], ARGUMENT_SLOTS, &at_slots, sizeof at_slots, err) ||
                   gle_device_launch(c->kernels[which], groups, c->sizes.items, err)
               ? -1
               : 0;
}

/* Whether a net makes step q, and does in it what the list is of; of a sweep, step 0 has the flags. */
static bool is_in(const struct gle_net *net, enum list list, size_t q)
{
    static const gle_u32 of_list[LISTS_OF_PLACES] = {[LEARNING] = GLE_DEVICE_LEARN, [SPENDING] = GLE_DEVICE_SPEND};
    const struct gle_net_device *d = net->device;
    const struct gle_convoy *c = d->convoy;

    return (q < d->n || d->request == GATHER) &&
           (list == STEPPING || c->steps[d->slot * c->tables.shape.steps_apart + q].flags & of_list[list]);
}

/* Puts the places of those who are in it (of the crowd, at step q) into a list, which goes to the device where it is
 * not there already. */
static int list_places(struct gle_convoy *c, const struct crowd *crowd, enum list list, size_t q, size_t *n,
                       struct gle_error *err)
{
    gle_u32 *slots = c->slots + (size_t)list * c->n;
    bool is_there = true;

    *n = 0;
    for (size_t i = 0; i < crowd->n; i++) {
        const gle_u32 slot = (gle_u32)device_of(crowd, i)->slot;
        if (!is_in(crowd->nets[i], list, q))
            continue;
        is_there = is_there && slots[*n] == slot && *n < c->listed[list];
        slots[(*n)++] = slot;
    }
    if (is_there)
        return 0;
    c->listed[list] = 0;
    if (gle_buffer_write(c->buffers[SLOTS], (size_t)list * c->n * sizeof *slots, slots, *n * sizeof *slots, err))
        return -1;
    c->listed[list] = *n;
    return 0;
}

/* The optimizer's steps of those that make one, where what it follows is clipped. */
static int launch_clipping(struct gle_convoy *c, const struct crowd *crowd, size_t q, struct gle_error *err)
{
    size_t n;

    if (!clips(c))
        return 0;
    return list_places(c, crowd, SPENDING, q, &n, err) || launch(c, GLE_LAUNCH_SQUARE, SPENDING, n, q, err) ||
                   launch(c, GLE_LAUNCH_NORM, SPENDING, n, q, err) || launch(c, GLE_LAUNCH_FOLLOW, SPENDING, n, q, err)
               ? -1
               : 0;
}

static int launch_step(struct gle_convoy *c, const struct crowd *crowd, size_t q, struct gle_error *err)
{
    size_t n_stepping, n_learning;

    return list_places(c, crowd, STEPPING, q, &n_stepping, err) ||
                   list_places(c, crowd, LEARNING, q, &n_learning, err) ||
                   launch(c, GLE_LAUNCH_STEP, STEPPING, n_stepping, q, err) ||
                   launch(c, GLE_LAUNCH_SEND, STEPPING, n_stepping, q, err) ||
                   launch(c, GLE_LAUNCH_LEARN, LEARNING, n_learning, q, err) || launch_clipping(c, crowd, q, err)
               ? -1
               : 0;
}

/* --- steps --- */

/* What the steps of a crowd read, most of all of them. */
struct extent {
    size_t steps, inputs, targets;
};

static struct extent extent_of(const struct crowd *crowd)
{
    struct extent e = {0};

    for (size_t i = 0; i < crowd->n; i++) {
        const struct gle_net_device *d = device_of(crowd, i);
        e.steps = d->n > e.steps ? d->n : e.steps;
        e.inputs = d->n_inputs > e.inputs ? d->n_inputs : e.inputs;
        e.targets = d->n_targets > e.targets ? d->n_targets : e.targets;
    }
    return e;
}

static int write_steps(const struct gle_convoy *c, const struct crowd *crowd, const struct extent *e,
                       struct gle_error *err)
{
    const struct gle_device_shape *s = &c->tables.shape;
    const size_t turns = s->turns, input = s->slab_input * sizeof(float), target = s->slab_target * sizeof(float);

    return write_rows(c, crowd, INPUTS, c->inputs, input, e->inputs, turns, err) ||
                   write_rows(c, crowd, TARGETS, c->targets, target, e->targets, turns, err) ||
                   write_rows(c, crowd, STEPS, c->steps, sizeof *c->steps, e->steps, s->steps_apart, err) ||
                   write_rows(c, crowd, UPDATES, c->updates, s->n_parameters * sizeof *c->updates, e->steps, turns,
                              err) ||
                   zero(c, crowd, WILD, turns * s->n_populations * sizeof *c->wild, err) ||
                   (clips(c) && zero(c, crowd, CLIPPED, turns * sizeof *c->clipped, err))
               ? -1
               : 0;
}

/* The steps of a net are on their way. */
static void hand_over(struct gle_net *net)
{
    struct gle_net_device *d = net->device;
    const struct gle_device_step *steps = d->convoy->steps + d->slot * d->convoy->tables.shape.steps_apart;

    d->newer[GLE_PART_STATE] = d->newer[GLE_PART_DERIVED] = d->newer[GLE_PART_OUTPUT_SUM] = DEVICE;
    for (size_t q = 0; q < d->n; q++) {
        if (steps[q].flags & GLE_DEVICE_TAPING)
            d->newer[GLE_PART_TAPE] = DEVICE;
        if (steps[q].flags & GLE_DEVICE_LEARN) /* which moves weights B that align themselves */
            d->newer[GLE_PART_PARAMETERS] = d->newer[GLE_PART_GRADIENTS] = d->newer[GLE_PART_FOLLOWED] = DEVICE;
        if (steps[q].flags & GLE_DEVICE_SPEND)
            d->newer[GLE_PART_MOMENTS] = DEVICE;
    }
    d->handed = d->n;
    d->losses_B = net->B;
    d->first = net->steps - d->n;
    d->n = d->n_inputs = d->n_targets = 0;
}

static void make_steps(struct gle_convoy *c, const struct crowd *crowd)
{
    const struct extent extent = extent_of(crowd);
    struct gle_error err = {0};
    int rc = gle_convoy_cut(c, crowd->nets[0], &err) || write_parts(c, crowd, &err) ||
             write_steps(c, crowd, &extent, &err);

    for (size_t q = 0; q < extent.steps && !rc; q++)
        rc = launch_step(c, crowd, q, &err);
    rc = rc || gle_device_flush(c->fleet->device, &err);
    if (failed(crowd, rc, &err))
        return;
    for (size_t i = 0; i < crowd->n; i++)
        hand_over(crowd->nets[i]);
}

/* Those of a crowd with steps that wait, if nothing has failed. */
static struct crowd waiting_of(const struct gle_convoy *c, const struct crowd *crowd)
{
    struct crowd waiting = {.nets = c->served + c->n};

    for (size_t i = 0; i < crowd->n; i++)
        if (device_of(crowd, i)->n && device_of(crowd, i)->err.code == GLE_OK)
            waiting.nets[waiting.n++] = crowd->nets[i];
    return waiting;
}

/* Those who want results now, if nothing has failed. */
static struct crowd wanting_of(const struct gle_convoy *c, const struct crowd *crowd)
{
    struct crowd wanting = {.nets = c->served + c->n};

    for (size_t i = 0; i < crowd->n; i++)
        if (device_of(crowd, i)->request == RESULTS && device_of(crowd, i)->err.code == GLE_OK)
            wanting.nets[wanting.n++] = crowd->nets[i];
    return wanting;
}

static void serve_steps(struct gle_convoy *c, const struct crowd *crowd)
{
    struct crowd some;

    fetch_losses(c, crowd); /* of steps before, whose room is needed */
    some = waiting_of(c, crowd);
    if (some.n)
        make_steps(c, &some);
    some = wanting_of(c, crowd);
    if (some.n)
        fetch_losses(c, &some);
    if (some.n > 1)
        fetch_sums(c, &some);
}

/* --- sweeps --- */

/* Zero where nothing comes from beyond the window. */
static int clear(struct gle_convoy *c, const struct crowd *crowd, struct gle_error *err)
{
    int rc = zero(c, crowd, ADJOINTS, c->tables.sweep.slab_adjoint * sizeof(float), err);

    for (size_t k = 0; k < crowd->n; k++) {
        const struct gle_net *net = crowd->nets[k];
        const size_t slot = net->device->slot * c->tables.shape.slab_tape;
        for (size_t i = 0; i < net->graph->n_populations && !rc; i++) {
            const struct gle_population *p = gle_population_of(net, i);
            const size_t n = net->B * p->ld, at = slot + p->tape.above_bar.place + net->taped * n;
            if (p->coupled)
                rc = gle_buffer_zero(c->buffers[TAPE], at * sizeof(float), n * sizeof(float), err);
        }
    }
    return rc;
}

static int run_round(struct gle_convoy *c, const struct crowd *crowd, enum gle_device_launch which, size_t round,
                     struct gle_error *err)
{
    struct gle_device_sweep sweep = device_of(crowd, 0)->sweep;

    sweep.round = (gle_u32)round;
    return gle_device_set_value(c->kernels[which], ARGUMENT_SWEEP, &sweep, sizeof sweep, err) ||
                   launch(c, which, STEPPING, crowd->n, 0, err)
               ? -1
               : 0;
}

/* Which populations the sweep has found wild. */
static int fetch_wild(struct gle_convoy *c, const struct crowd *crowd, struct gle_error *err)
{
    const struct gle_device_shape *shape = &c->tables.shape;
    const size_t n_pop = shape->n_populations;

    if (read_rows(c, crowd, WILD, c->wild, n_pop * sizeof *c->wild, 1, err))
        return -1;
    for (size_t k = 0; k < crowd->n; k++)
        for (size_t i = 0; i < n_pop; i++)
            *gle_wild_of(crowd->nets[k], i, 0) = c->wild[device_of(crowd, k)->slot * shape->turns * n_pop + i] != 0;
    return 0;
}

static int list_all(struct gle_convoy *c, const struct crowd *crowd, struct gle_error *err)
{
    for (size_t i = 0; i < crowd->n; i++)
        c->slots[i] = (gle_u32)device_of(crowd, i)->slot;
    c->listed[STEPPING] = crowd->n;
    return gle_buffer_write(c->buffers[SLOTS], 0, c->slots, crowd->n * sizeof *c->slots, err);
}

static void serve_sweeps(struct gle_convoy *c, const struct crowd *crowd)
{
    const struct gle_device_shape *s = &c->tables.shape;
    const size_t rounds = device_of(crowd, 0)->rounds, taped = device_of(crowd, 0)->sweep.taped;
    struct gle_error err = {0};
    int rc = gle_convoy_cut(c, crowd->nets[0], &err) || write_parts(c, crowd, &err) || clear(c, crowd, &err) ||
             write_rows(c, crowd, STEPS, c->steps, sizeof *c->steps, taped, s->steps_apart, &err) ||
             write_rows(c, crowd, UPDATES, c->updates, s->n_parameters * sizeof *c->updates, 1, s->turns, &err) ||
             zero(c, crowd, WILD, s->turns * s->n_populations * sizeof *c->wild, &err) ||
             (clips(c) && zero(c, crowd, CLIPPED, s->turns * sizeof *c->clipped, &err)) || list_all(c, crowd, &err);

    for (size_t round = 0; round < rounds && !rc; round++)
        rc = run_round(c, crowd, GLE_LAUNCH_SEND_LAMBDAS, round, &err) ||
             run_round(c, crowd, GLE_LAUNCH_SWEEP, round, &err);
    rc = rc || fetch_wild(c, crowd, &err);
    (void)failed(crowd, rc, &err);
}

static void serve_gradients(struct gle_convoy *c, const struct crowd *crowd)
{
    struct gle_error err = {0};
    const int rc = gle_convoy_cut(c, crowd->nets[0], &err) || list_all(c, crowd, &err) ||
                   run_round(c, crowd, GLE_LAUNCH_GATHER, 0, &err) || launch_clipping(c, crowd, 0, &err) ||
                   (clips(c) && read_rows(c, crowd, CLIPPED, c->clipped, sizeof *c->clipped, 1, &err));

    if (failed(crowd, rc, &err) || !clips(c))
        return;
    for (size_t i = 0; i < crowd->n; i++)
        crowd->nets[i]->clipped += c->clipped[device_of(crowd, i)->slot * c->tables.shape.turns];
}

/* --- all of it --- */

/* Whether two nets go together. */
static bool together(const struct gle_net *a, const struct gle_net *b)
{
    const struct gle_net_device *x = a->device, *y = b->device;
    const bool sweep = x->request == SWEEP || x->request == GATHER;

    if (a->B != b->B)
        return false;
    if (sweep)
        return x->request == y->request && x->rounds == y->rounds && !memcmp(&x->sweep, &y->sweep, sizeof x->sweep);
    return y->request == STEPS_MADE || y->request == RESULTS;
}

/* The first that waits, and those that go with it. */
static struct crowd choose(const struct gle_convoy *c)
{
    struct crowd crowd = {.nets = c->served};

    for (size_t i = 0; i < c->n; i++)
        if (c->nets[i] && c->nets[i]->device->request != NOTHING &&
            (!crowd.n || together(crowd.nets[0], c->nets[i])))
            crowd.nets[crowd.n++] = c->nets[i];
    return crowd;
}

/* Room for those who have joined by now, which is what the first of them wait for. */
static void serve_room(struct gle_convoy *c)
{
    struct gle_error err = {0};
    const int rc = gle_convoy_make_room(c, &err);

    for (size_t i = 0; i < c->n; i++)
        if (c->nets[i]) {
            (void)gle_device_failed(c->nets[i]->device, rc, &err);
            c->nets[i]->device->request = NOTHING;
        }
}

void gle_convoy_serve(struct gle_convoy *c)
{
    struct crowd crowd;

    if (!c->has_room) {
        serve_room(c);
        return;
    }
    while ((crowd = choose(c)).n) {
        const enum request request = device_of(&crowd, 0)->request;
        if (request == SWEEP)
            serve_sweeps(c, &crowd);
        else if (request == GATHER)
            serve_gradients(c, &crowd);
        else
            serve_steps(c, &crowd);
        for (size_t i = 0; i < crowd.n; i++)
            device_of(&crowd, i)->request = NOTHING;
    }
}
