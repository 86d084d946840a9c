/* The bytes of each buffer of a network on a device. */
#include "solver/room.h"
#include "base/text.h"
#include "parts/optimizer.h"
#include "solver/device_inside.h"

#include <math.h>
#include <stdint.h>

/* Of inputs and targets that wait to be handed over: of all nets of a convoy; and of each, at least. */
enum { QUEUE_BYTES = 16 << 20, QUEUE_BYTES_EACH = 2 << 20 };

/* What buffers hold, and whether networks of the same shape share it. */
static const struct {
    const char *holds;
    bool shared;
} contents[BUFFERS] = {
    [PARAMETERS] = {"parameters", false},
    [GRADIENTS] = {"gradients", false},
    [MOMENTS_0] = {"the optimizer's moments", false},
    [MOMENTS_1] = {"the optimizer's moments", false},
    [COEFFICIENTS] = {"coefficients", false},
    [STATE] = {"states", false},
    [DERIVED] = {"errors and potentials", false},
    [TAPE] = {"the window's tape", false},
    [INPUTS] = {"inputs", false},
    [TARGETS] = {"targets", false},
    [OUTPUT_SUM] = {"sums of outputs", false},
    [LOSSES] = {"losses", false},
    [WILD] = {"signs of divergence", false},
    [POPULATIONS] = {"populations", true},
    [PROJECTIONS] = {"projections", true},
    [LISTS] = {"lists of synapses", true},
    [TILES] = {"tiles", true},
    [STEPS] = {"steps", false},
    [UPDATES] = {"updates", false},
    [ADJOINTS] = {"adjoint variables", false},
    [SENT_LAMBDAS] = {"adjoint variables sent back", false},
    [FOLLOWED] = {"gradients that the optimizer follows", false},
    [SQUARES] = {"sums of squares", false},
    [CLIPPED] = {"signs of clipping", false},
    [SLOTS] = {"places", false},
    [KEPT] = {"parameters that are kept", false},
};

void gle_device_set_turns(struct gle_device_shape *shape, const struct gle_graph *graph, size_t n)
{
    const size_t one = ((size_t)shape->slab_input + shape->slab_target) * sizeof(float), share = QUEUE_BYTES / n;
    const size_t turns = (share > QUEUE_BYTES_EACH ? share : QUEUE_BYTES_EACH) / one;

    shape->turns = turns < 1 ? 1 : turns > GLE_QUEUE_STEPS ? GLE_QUEUE_STEPS : (gle_u32)turns;
    shape->steps_apart = shape->turns > graph->tape_steps ? shape->turns : (gle_u32)graph->tape_steps;
}

bool gle_device_is_shared(enum buffer buffer)
{
    return contents[buffer].shared;
}

void gle_device_count_bytes(size_t bytes[BUFFERS], const struct gle_device_tables *tables)
{
    const struct gle_device_shape *shape = &tables->shape;
    const struct gle_graph *g = tables->graph;
    const size_t n_moments = ((const struct gle_optimizer *)g->exp->optimizer.row)->n_moments;
    const size_t most = shape->turns, n_params = shape->slab_params;
    const size_t all[BUFFERS] = {
        [PARAMETERS] = n_params * sizeof(float),
        [GRADIENTS] = n_params * sizeof(float),
        [MOMENTS_0] = n_params * sizeof(float),
        [MOMENTS_1] = n_moments > 1 ? n_params * sizeof(float) : 0,
        [COEFFICIENTS] = shape->slab_coefs * sizeof(float),
        [STATE] = shape->slab_state * sizeof(float),
        [DERIVED] = shape->slab_derived * sizeof(float),
        [TAPE] = shape->slab_tape * sizeof(float),
        [INPUTS] = most * shape->slab_input * sizeof(float),
        [TARGETS] = most * shape->slab_target * sizeof(float),
        [OUTPUT_SUM] = shape->slab_sum * sizeof(float),
        [LOSSES] = most * g->max_batch * sizeof(float),
        [WILD] = most * g->n_populations * sizeof(gle_u32),
        [POPULATIONS] = g->n_populations * sizeof *tables->populations,
        [PROJECTIONS] = tables->n_projections * sizeof *tables->projections,
        [LISTS] = tables->n_lists * sizeof *tables->lists,
        [STEPS] = shape->steps_apart * sizeof(struct gle_device_step),
        [UPDATES] = most * g->n_parameters * sizeof(struct gle_device_update),
        [ADJOINTS] = tables->sweep.slab_adjoint * sizeof(float),
        [SENT_LAMBDAS] = tables->sweep.slab_sent * sizeof(float),
        [FOLLOWED] = shape->follows ? n_params * sizeof(float) : 0,
        [SQUARES] = ((size_t)shape->n_squares + 1) * sizeof(float),
        [CLIPPED] = most * sizeof(gle_u32),
        [SLOTS] = LISTS_OF_PLACES * sizeof(gle_u32),
        [KEPT] = n_params * sizeof(float),
    };

    for (int i = 0; i < BUFFERS; i++)
        bytes[i] = !contents[i].holds || i == TILES ? 0 : all[i] ? all[i] : sizeof(float); /* drivers refuse none */
}

static void add(struct gle_net_room *room, enum buffer buffer, double bytes)
{
    double *largest = contents[buffer].shared ? &room->largest_shared : &room->largest;

    *(contents[buffer].shared ? &room->shared : &room->each) += bytes;
    if (bytes <= *largest)
        return;
    *largest = bytes;
    if (!contents[buffer].shared)
        room->largest_is = contents[buffer].holds;
}

int gle_net_measure_room(struct gle_net_room *room, const struct gle_graph *graph, const struct gle_device_info *device,
                         struct gle_error *err)
{
    const struct gle_device_sizes sizes = gle_device_sizes_for(device);
    struct gle_device_tables tables;
    size_t bytes[BUFFERS];
    int rc;

    *room = (struct gle_net_room){.largest_is = "nothing"};
    rc = gle_device_tables_build(&tables, graph, err);
    if (!rc)
        gle_device_set_turns(&tables.shape, graph, 1);
    rc = rc || gle_device_tables_cut(&tables, graph->max_batch, &sizes, err);
    if (!rc) {
        gle_device_count_bytes(bytes, &tables);
        for (enum buffer i = 0; i < BUFFERS; i++)
            add(room, i, (double)bytes[i]);
        for (size_t k = 0; k < gle_device_launches(graph); k++)
            add(room, TILES, (double)(tables.n_tiles[k] * sizeof **tables.tiles));
    }
    gle_device_tables_clear(&tables);
    return rc ? -1 : 0;
}

/* A driver that does not say how much there is sets no limit. */
static double limit_of(double bytes)
{
    return bytes > 0.0 ? bytes : INFINITY;
}

size_t gle_net_room_for(const struct gle_net_room *room, const struct gle_device_info *device, double taken)
{
    const double piece = limit_of(device->max_buffer);
    const double in_memory = (limit_of(device->memory) - taken - room->shared) / room->each;
    const double n = floor(fmin(in_memory, piece / room->largest));

    return n < 1.0 || room->largest_shared > piece ? 0 : n < (double)SIZE_MAX ? (size_t)n : SIZE_MAX;
}

int gle_net_check_room(const struct gle_net_room *room, const struct gle_device_info *device, double taken,
                       struct gle_error *err)
{
    const double all = room->each + room->shared, piece = fmax(room->largest, room->largest_shared);

    if (piece > limit_of(device->max_buffer))
        return gle_fail(err, GLE_EDEVICE, "the network has %s of %s, and the device '%s' gives at most %s in one "
                        "piece", gle_text_bytes(piece).text,
                        room->largest >= room->largest_shared ? room->largest_is : "tables", device->name,
                        gle_text_bytes(device->max_buffer).text);
    if (all <= limit_of(device->memory) - taken)
        return 0;
    return gle_fail(err, GLE_EDEVICE, "the network takes %s of the device '%s', which has %s%s",
                    gle_text_bytes(all).text, device->name, gle_text_bytes(device->memory - taken).text,
                    taken > 0.0 ? " left" : "");
}
