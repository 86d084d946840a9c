/* device_tables.h - a graph as the numbers that kernels on a device read (kernel/device_tables.h). */
#ifndef GLE_SOLVER_DEVICE_TABLES_H
#define GLE_SOLVER_DEVICE_TABLES_H

#include "graph/graph.h"
#include "kernel/device_tables.h"

/* The launches of a step; of a round of a sweep, and of the gradients that it leads to. */
enum gle_device_launch {
    GLE_LAUNCH_STEP,
    GLE_LAUNCH_SEND,
    GLE_LAUNCH_LEARN,
    GLE_LAUNCH_SQUARE, /* these three where what the optimizer follows is clipped, over the tiles of learning */
    GLE_LAUNCH_NORM,
    GLE_LAUNCH_FOLLOW,
    GLE_LAUNCH_SEND_LAMBDAS,
    GLE_LAUNCH_SWEEP,
    GLE_LAUNCH_GATHER,
    GLE_DEVICE_LAUNCHES
};

/* Of the tiles that a group of work items makes. */
struct gle_device_sizes {
    size_t items, tile_rows, tile_cols, tile_depth, micro_rows, micro_vectors, vector;
};

struct gle_device_tables {
    const struct gle_graph *graph;              /* borrowed */
    struct gle_device_population *populations;  /* (n_populations) */
    struct gle_device_projection *projections;  /* (n_projections) */
    size_t n_projections;
    gle_u32 *lists; /* (n_lists): readers of populations, synapses of sparse links, groups of neurons */
    size_t n_lists;
    struct gle_device_tile *tiles[GLE_DEVICE_LAUNCHES]; /* (n_tiles) each: what the groups of a launch do */
    size_t n_tiles[GLE_DEVICE_LAUNCHES], room[GLE_DEVICE_LAUNCHES];
    struct gle_device_shape shape;
    struct gle_device_sweep sweep; /* all but the round */
};

/* All but the tiles.
 * Owns:   gle_device_tables_clear(), also after an error; borrows graph.
 * Errors: GLE_EDEVICE: something that devices have no version of; GLE_ENOMEM. */
GLE_MUST_CHECK int gle_device_tables_build(struct gle_device_tables *tables, const struct gle_graph *graph,
                                           struct gle_error *err);
void gle_device_tables_clear(struct gle_device_tables *tables); /* zeroed is fine */

/* --- device_groups.c --- */
/* Numbers in the lists that are of the groups of a projection's neurons; and puts those of projection i there, from
 * number `at` on. Returns the number behind them. */
size_t gle_device_count_groups(const struct gle_graph *graph, const struct gle_projection *c);
size_t gle_device_list_groups(struct gle_device_tables *tables, size_t i, size_t at);

/* Cuts the work of a step of B rows into tiles. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_device_tables_cut(struct gle_device_tables *tables, size_t B,
                                         const struct gle_device_sizes *sizes, struct gle_error *err);

#endif
