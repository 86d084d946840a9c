/* limits.h - what the system lets this process have: threads, processes, open files. Found before they are needed. */
#ifndef GLE_CLI_LIMITS_H
#define GLE_CLI_LIMITS_H

#include "base/error.h"

#include <stddef.h>

/* How many of n threads can run at once, this one among them: makes them, and ends them again. At least 1. */
size_t gle_limits_threads(size_t n);

/* How many of at_once runs can go on side by side, each a process with so many threads, read through n_pipes pipes, by
 * what is allowed of open files (a limit that may be raised is raised) and of processes. 0: not even one. Where it is
 * fewer than at_once, *what says what there are too few of. This process may not have started threads. */
size_t gle_limits_runs(const char **what, size_t at_once, size_t threads, size_t n_pipes);

/* Processors that this process may use: those that it is bound to, and no more than OMP_NUM_THREADS or a Slurm job's
 * share say. Errors: GLE_EUSAGE (OMP_NUM_THREADS is beyond GLE_THREADS_MAX). */
enum { GLE_THREADS_MAX = 4096 };
GLE_MUST_CHECK int gle_limits_processors(size_t *n, struct gle_error *err);

#endif
