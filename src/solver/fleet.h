/* fleet.h - nets on a device, those of many threads side by side.
 *
 * Every thread makes the steps of its own nets, as if they were alone. Those that nets of the same shape have waiting
 * run in the same launches, which is what fills a GPU with small networks: a thread that hands steps over, or wants to
 * know what they left, waits until all threads of the fleet do so, or have left; the last one serves all of them.
 *
 *                gle_net_queue(), when there are many; gle_net_collect(), gle_net_get_...(), when steps wait
 *     at work ---------------------------------------------------------------------------------------------> waiting
 *        | ^                                                                                                    |
 *        | +----------------- the last of all threads has come, and has served all that wait <------------------+
 *        |
 *        +--- gle_fleet_leave() ---> gone, until gle_fleet_enter()
 *
 * 1. Which nets are served together changes no bit of any of them.
 * 2. A thread that waits for something else than the fleet must not be waited for by a thread of it: no locks are held
 *    over the calls above.
 * 3. What a net has beside its arrays is changed by its own thread, or, while that waits, by the one that serves. The
 *    device is used by the thread that holds the fleet's lock. */
#ifndef GLE_SOLVER_FLEET_H
#define GLE_SOLVER_FLEET_H

#include "base/error.h"

#include <stddef.h>

struct gle_device;
struct gle_fleet;

/* A fleet for n_threads >= 1 threads, each of which will make steps, or leave. One of them may do all by itself where
 * n_threads is 1.
 * Owns:   *out belongs to the caller (gle_fleet_close), once its nets are gone; borrows device.
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_fleet_open(struct gle_fleet **out, struct gle_device *device, size_t n_threads,
                                  struct gle_error *err);
void gle_fleet_close(struct gle_fleet *fleet); /* NULL is fine */
struct gle_device *gle_fleet_device(const struct gle_fleet *fleet);

/* A thread of it makes no steps from here on, so that nobody waits for it; another one, or the same, comes in its
 * place. */
void gle_fleet_leave(struct gle_fleet *fleet);
void gle_fleet_enter(struct gle_fleet *fleet);

#endif
