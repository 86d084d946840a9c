/* Clipping on a device: follow.c says what it finds, kernel/device_clip.cl how. */
#include "solver/device_inside.h"

bool gle_device_run_clipped(struct gle_net *net, size_t q)
{
    struct gle_net_device *d = net->device;

    return !net->squares || (gle_device_run(d, GLE_LAUNCH_SQUARE, q) && gle_device_run(d, GLE_LAUNCH_NORM, q) &&
                             gle_device_run(d, GLE_LAUNCH_FOLLOW, q));
}

bool gle_device_count_clipped(struct gle_net *net, size_t n)
{
    struct gle_net_device *d = net->device;

    if (!net->squares)
        return true;
    if (!gle_device_read(d, CLIPPED, 0, d->clipped, n * sizeof *d->clipped))
        return false;
    for (size_t q = 0; q < n; q++)
        net->clipped += d->clipped[q];
    return true;
}
