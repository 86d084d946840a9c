/* crews.h - processes of this machine that make runs, and what comes from them through pipes. */
#ifndef GLE_CLI_CREWS_H
#define GLE_CLI_CREWS_H

#include "cli/jobs.h"

struct gle_crews;

/* How a run ended, whatever it may have said about that. */
struct gle_run_end {
    int code;   /* exit code; 128 + n if signal n killed it */
    int killed; /* by this signal; 0: it was not */
    int number; /* errno: why nobody can tell how it ended; 0: it is known */
};

/* What comes from runs. */
struct gle_crews_events {
    void (*text)(void *ctx, size_t job, bool is_error, const char *bytes, size_t n);
    void (*progress)(void *ctx, size_t job, const struct gle_job_progress *progress);
    void (*end)(void *ctx, size_t job, const struct gle_run_end *end); /* the last of a run */
    void *ctx;
};

/* For as many runs at a time. Owns: the caller; it borrows jobs. NULL: no memory. */
struct gle_crews *gle_crews_create(const struct gle_jobs *jobs, size_t most);
void gle_crews_destroy(struct gle_crews *crews); /* NULL is fine */

/* Starts a process with n runs, from `first` on. Returns 0, or errno, if the system does not give another one. */
GLE_MUST_CHECK int gle_crews_start(struct gle_crews *crews, size_t first, size_t n);
/* Runs that have not ended. */
size_t gle_crews_running(const struct gle_crews *crews);
/* Waits so many milliseconds for whatever comes first, and tells. */
void gle_crews_listen(struct gle_crews *crews, const struct gle_crews_events *events, int ms);
/* Hands a signal to all of them. */
void gle_crews_signal(const struct gle_crews *crews, int number);
/* Whether a Ctrl-Z has come: it is handed to all of them, and gle_crews_rest() stops this process, too, until its end,
 * which is handed on likewise. */
bool gle_crews_must_rest(const struct gle_crews *crews);
void gle_crews_rest(const struct gle_crews *crews);

#endif
