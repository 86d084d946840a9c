/* show.h - what the command prints about a config or about itself. On standard output, but for errors. */
#ifndef GLE_CLI_SHOW_H
#define GLE_CLI_SHOW_H

#include "data/data.h"
#include "graph/graph.h"
#include "train/measure.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct gle_device_info;
struct gle_net_room;

/* An error, on `to`. Returns the exit code that belongs to it. */
int gle_show_error(FILE *to, const struct gle_error *err);
/* All errors of a file, in its order, on standard error. Returns the exit code of the first. */
int gle_show_errors(struct gle_errors *errs);
/* Every key of a config, and every row of every table, with their helps; and the devices of this machine. */
void gle_show_list(void);
/* Version, compiler, libraries, processor. */
void gle_show_version(void);
/* Where a run would go. */
struct gle_plan_place {
    const struct gle_device_info *device, *considered; /* device NULL: the processors; considered: that `room` is of */
    const struct gle_net_room *room; /* what the networks take there; NULL: no device comes into question */
    size_t threads;
};
/* The table of layers, data and costs of a dry run. costs: as measured at its place; NULL: not known, because the
 * network diverged at step `wild` of the measurement, so that no time is shown. record: bytes of a record of
 * recording.npz, 0 for none. */
void gle_show_plan(const struct gle_graph *graph, const struct gle_data *data, const struct gle_plan_place *place,
                   const struct gle_costs *costs, uint64_t wild, double record);

#endif
