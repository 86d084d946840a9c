/* team.h - threads that wait for small pieces of work, many thousand times a second. OpenMP starts them; between pieces
 * they spin for some microseconds and then yield, so that a busy machine is shared fairly (OpenMP's own waiting would
 * hold a processor that another program needs, and slow both down many times over). */
#ifndef GLE_SOLVER_TEAM_H
#define GLE_SOLVER_TEAM_H

#include "base/error.h"

#include <stddef.h>

struct gle_team;

/* Owns: *out belongs to the caller (gle_team_destroy). n_threads >= 1. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_team_create(struct gle_team **out, size_t n_threads, struct gle_error *err);
void gle_team_destroy(struct gle_team *team); /* NULL is fine */

/* Starts the threads, calls body(ctx) on the calling one, and lets the others go when it returns. */
void gle_team_open(struct gle_team *team, void (*body)(void *ctx), void *ctx);

/* Threads that share work now: 1 outside of gle_team_open(). */
size_t gle_team_size(const struct gle_team *team);

/* Calls work(arg, t) once for each t < n_threads, side by side inside gle_team_open(), one after the other outside of
 * it; returns when all are done. What was written before is seen by the work, and what the work wrote is seen after. */
void gle_team_share(struct gle_team *team, void (*work)(void *arg, size_t t), void *arg);

#endif
