/* device.h - a net whose steps run on an accelerator, for the files of this folder alone.
 *
 * The arrays of the net stay on the host as they are, and have twins on the device. A part of them is newer on one side
 * or the same on both:
 *
 *             step                     see
 *   same ------------> device is newer -----> same
 *     |                                        ^
 *     | touch, replace, clear                  | the next steps are handed over
 *     +--------------> host is newer ----------+
 *
 * Steps are put down, with what they read, and handed over together: when there are many, or when somebody asks for
 * what they leave. An error of the device stays with the net, until it is told by the next function that can. */
#ifndef GLE_SOLVER_DEVICE_H
#define GLE_SOLVER_DEVICE_H

#include "solver/net.h"

/* Parts of a net that move between host and device as a whole. */
enum gle_part_of_net {
    GLE_PART_PARAMETERS, /* with what follows from them */
    GLE_PART_GRADIENTS,
    GLE_PART_FOLLOWED, /* where the optimizer follows others */
    GLE_PART_MOMENTS,
    GLE_PART_STATE,
    GLE_PART_DERIVED,
    GLE_PART_TAPE,
    GLE_PART_OUTPUT_SUM,
    GLE_PARTS_OF_NET
};

struct gle_net_device;

/* The same for a net without a device, where they do nothing. */
/* Before a part is read on the host. */
void gle_net_see(const struct gle_net *net, enum gle_part_of_net part);
/* Before it is changed there: what is not overwritten must be right. */
void gle_net_touch(struct gle_net *net, enum gle_part_of_net part);
/* Before it is overwritten there as a whole. */
void gle_net_replace(struct gle_net *net, enum gle_part_of_net part);
/* Before all of it becomes zero there. */
void gle_net_clear(struct gle_net *net, enum gle_part_of_net part);
/* Brings rows of the batch of one copy of a field, a state or derived, to the host. */
void gle_net_see_field(const struct gle_net *net, const struct gle_field *f);
/* Keeps a copy of the parameters on the device, if they are newer there; returns whether it did. Brings it to
 * net->kept, if that is where the last one was kept. */
bool gle_net_device_keep(struct gle_net *net);
void gle_net_device_see_kept(struct gle_net *net);
/* Waits until all steps are over that were put down. */
void gle_net_settle(const struct gle_net *net);

/* Puts a step down; hands over those before it where there are many. Errors: as gle_net_queue(). */
GLE_MUST_CHECK int gle_net_device_queue(struct gle_net *net, const struct gle_step *step, double *losses, size_t *n,
                                        struct gle_error *err);
/* Forgets that the net diverged, if it did: it becomes another one. */
void gle_net_device_recover(struct gle_net *net);
GLE_MUST_CHECK int gle_net_device_collect(struct gle_net *net, double *losses, size_t *n, struct gle_error *err);
/* What gle_net_begin_window() and gle_net_end_window() do there. alpha: of gradients. Errors: of the device;
 * GLE_EDIVERGED. */
void gle_net_device_begin_window(struct gle_net *net);
GLE_MUST_CHECK int gle_net_device_end_window(struct gle_net *net, float alpha, size_t rounds, bool learn,
                                             struct gle_error *err);
void gle_net_device_destroy(struct gle_net *net);

#endif
