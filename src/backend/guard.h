/* guard.h - drivers of OpenCL within a process that has handlers of signals. Some, PoCL among them, put handlers of
 * their own in the place of others, which then would not come to know that a run is to end; and have threads. */
#ifndef GLE_BACKEND_GUARD_H
#define GLE_BACKEND_GUARD_H

#include <signal.h>

enum { GLE_GUARDED = 31 }; /* the standard signals are 1 to 31 */

struct gle_guard {
    struct sigaction handlers[GLE_GUARDED + 1];
    sigset_t mask;
};
/* Around calls that open a driver or compile: from the one to the other signals wait, so that threads which the driver
 * starts take none; then handlers are what they were. */
void gle_guard_enter(struct gle_guard *guard);
void gle_guard_leave(const struct gle_guard *guard);

#endif
