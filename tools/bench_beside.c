#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "bench_beside.h"
#include "base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the processes share. */
struct shared {
    pthread_barrier_t start;
    bool random;
    struct speed learn[];
};

static size_t shared_size(size_t copies)
{
    return sizeof(struct shared) + copies * sizeof(struct speed);
}

static struct shared *share(size_t copies)
{
    struct shared *s = mmap(NULL, shared_size(copies), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t attr;

    if (s == MAP_FAILED || pthread_barrierattr_init(&attr) ||
        pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) ||
        pthread_barrier_init(&s->start, &attr, (unsigned)copies))
        stop("no memory");
    pthread_barrierattr_destroy(&attr);
    return s;
}

_Noreturn static void measure_copy(struct shared *s, size_t i, const struct gle_experiment *exp,
                                   const struct settings *set)
{
    struct trial t;

    trial_open(&t, exp, &(size_t){1}, 1, set->random_data);
    for (size_t r = 0; r < set->rounds; r++) {
        pthread_barrier_wait(&s->start);
        trial_measure(&t, 0, set->seconds);
    }
    s->learn[i] = t.rows[0].learn;
    s->random = t.random;
    trial_close(&t);
    _exit(0);
}

/* Those left would wait for the missing one. */
_Noreturn static void give_up(const pid_t *pids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kill(pids[i], SIGKILL);
    stop("a process side by side with others failed");
}

void beside_measure(struct beside_row *row, const struct gle_experiment *exp, size_t copies,
                    const struct settings *set)
{
    struct shared *s = share(copies);
    pid_t pids[THREADS_MAX];

    *row = (struct beside_row){.exp = exp, .copies = copies, .learn = gle_calloc(copies, sizeof *row->learn)};
    if (!row->learn)
        stop("no memory");
    for (size_t i = 0; i < copies; i++) {
        pids[i] = fork();
        if (!pids[i])
            measure_copy(s, i, exp, set);
        if (pids[i] < 0)
            give_up(pids, i);
    }
    for (size_t i = 0; i < copies; i++) {
        int status;
        if (wait(&status) < 0 || status)
            give_up(pids, copies);
    }
    row->random = s->random;
    memcpy(row->learn, s->learn, copies * sizeof *row->learn);
    pthread_barrier_destroy(&s->start);
    munmap(s, shared_size(copies));
}

static double steps_per_second(const struct beside_row *row)
{
    double sum = 0.0;

    for (size_t i = 0; i < row->copies; i++)
        sum += 1.0 / row->learn[i].least;
    return sum;
}

double beside_per_step(const struct beside_row *row)
{
    return 1.0 / steps_per_second(row);
}

double beside_gflops(const struct beside_row *row)
{
    return 1e-3 * row->learn[0].mflop * steps_per_second(row);
}
