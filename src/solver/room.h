/* room.h - how much memory of a device networks take there, before any of it is taken. */
#ifndef GLE_SOLVER_ROOM_H
#define GLE_SOLVER_ROOM_H

#include "graph/graph.h"

struct gle_device_info;

struct gle_net_room {
    double each;    /* bytes of one network: all of its arrays, and the steps that wait to be handed over */
    double shared;  /* bytes of what networks of the same shape share: the tables of the graph */
    double largest; /* bytes of the largest piece of `each`: what is to lie in one buffer for each network */
    const char *largest_is; /* what that holds, in words */
    double largest_shared; /* bytes of the largest piece of `shared` */
};

/* What one network of this graph takes on a device: exactly the buffers that gle_net_move() would create.
 * Errors: GLE_EDEVICE: devices have no version of something in it; GLE_ENOMEM. */
GLE_MUST_CHECK int gle_net_measure_room(struct gle_net_room *room, const struct gle_graph *graph,
                                        const struct gle_device_info *device, struct gle_error *err);
/* How many networks the device has room for side by side, in buffers that each hold one array of all of them, where
 * `taken` bytes of its memory are in use. 0: not even one. */
size_t gle_net_room_for(const struct gle_net_room *room, const struct gle_device_info *device, double taken);
/* Whether there is room for one. Errors: GLE_EDEVICE says in numbers what there is too little of. */
GLE_MUST_CHECK int gle_net_check_room(const struct gle_net_room *room, const struct gle_device_info *device,
                                      double taken, struct gle_error *err);

#endif
