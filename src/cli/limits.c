#include "cli/limits.h"
#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <omp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- threads --- */

/* Threads that wait until all are there. */
struct crowd {
    pthread_mutex_t lock;
    pthread_t *threads;
    size_t n;
};

static void *stand(void *crowd)
{
    pthread_mutex_t *lock = &((struct crowd *)crowd)->lock;

    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

/* Makes n threads at most, which are all there at once; small: with the least stack. Returns how many there were. */
static size_t gather(size_t n, bool small)
{
    struct crowd crowd = {.threads = gle_calloc(n, sizeof *crowd.threads)};
    pthread_attr_t attributes;

    if (!crowd.threads || pthread_attr_init(&attributes)) {
        gle_free(crowd.threads);
        return 0;
    }
    if (small)
        pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN);
    pthread_mutex_init(&crowd.lock, NULL);
    pthread_mutex_lock(&crowd.lock);
    while (crowd.n < n && !pthread_create(&crowd.threads[crowd.n], &attributes, stand, &crowd))
        crowd.n++;
    pthread_mutex_unlock(&crowd.lock);
    for (size_t i = 0; i < crowd.n; i++)
        pthread_join(crowd.threads[i], NULL);
    pthread_attr_destroy(&attributes);
    pthread_mutex_destroy(&crowd.lock);
    gle_free(crowd.threads);
    return crowd.n;
}

size_t gle_limits_threads(size_t n)
{
    return n > 1 ? 1 + gather(n - 1, false) : 1;
}

/* --- processes and open files --- */

/* How many of n processes or threads can be there at once, beside this one. To the system they are the same. They are
 * made in a process of its own, so that this one stays without threads. */
static size_t count_tasks(size_t n)
{
    size_t found = 0;
    int pipe_of[2], status;
    pid_t pid;

    if (pipe(pipe_of))
        return 0;
    pid = fork();
    if (!pid) {
        found = 1 + gather(n > 1 ? n - 1 : 0, true);
        _exit(write(pipe_of[1], &found, sizeof found) == (ssize_t)sizeof found ? 0 : 1);
    }
    close(pipe_of[1]);
    if (pid > 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
        if (read(pipe_of[0], &found, sizeof found) != (ssize_t)sizeof found)
            found = 1;
    }
    close(pipe_of[0]);
    return found < n ? found : n;
}

/* Descriptors that can still be opened, of which `wanted` would do. */
static size_t count_descriptors(size_t wanted)
{
    enum { OPEN_MAX_SEEN = 1 << 16 }; /* beyond these nobody will have opened any */
    struct rlimit limit;
    size_t n_open = 0, last;

    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    last = limit.rlim_cur < OPEN_MAX_SEEN ? (size_t)limit.rlim_cur : OPEN_MAX_SEEN;
    for (size_t fd = 0; fd < last; fd++)
        n_open += fcntl((int)fd, F_GETFD) >= 0;
    if (limit.rlim_cur < n_open + wanted && limit.rlim_cur < limit.rlim_max) {
        const rlim_t raised = n_open + wanted;
        limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || raised < limit.rlim_max ? raised : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit))
            getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur > n_open ? (size_t)limit.rlim_cur - n_open : 0;
}

size_t gle_limits_runs(const char **what, size_t at_once, size_t threads, size_t n_pipes)
{
    /* pipes of a run that is being started, and what a run opens itself: its files, while it writes them */
    enum { SPARE = 16 };
    const size_t wanted = at_once * n_pipes + n_pipes + SPARE, descriptors = count_descriptors(wanted);
    size_t n = at_once, tasks;

    *what = "open files";
    if (descriptors < wanted)
        n = descriptors < wanted - at_once * n_pipes ? 0 : (descriptors - n_pipes - SPARE) / n_pipes;
    if (!n)
        return 0;
    tasks = count_tasks(n * threads) / threads;
    if (tasks < n)
        *what = "processes";
    return tasks < n ? tasks : n;
}

int gle_limits_processors(size_t *n, struct gle_error *err)
{
    const char *wanted = getenv("OMP_NUM_THREADS"), *share = getenv("SLURM_CPUS_PER_TASK");
    char first[32] = "";
    uint64_t number;

    if (wanted && strcspn(wanted, ",") < sizeof first) /* one number for each level of nested loops; ours have one */
        memcpy(first, wanted, strcspn(wanted, ","));
    if (!gle_text_count(&number, first) && number > GLE_THREADS_MAX)
        return gle_fail(err, GLE_EUSAGE, "OMP_NUM_THREADS=%s: a number from 1 to %d is wanted", first, GLE_THREADS_MAX);
    *n = (size_t)omp_get_max_threads();
    if (share && !gle_text_count(&number, share) && number && number < *n)
        *n = (size_t)number;
    return 0;
}
