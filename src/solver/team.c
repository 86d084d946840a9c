#include "solver/team.h"
#include "base/clock.h"
#include "base/memory.h"

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#if defined(__x86_64__) || defined(__i386__)
#define RELAX() __builtin_ia32_pause()
#else
#define RELAX() ((void)0)
#endif

/* How long to wait in which way: some 10 us of spinning cover the unevenness of a step; long pauses (a report being
 * written) should not heat a processor. */
enum { SPINS = 500, YIELDS = 2000 };
static const struct timespec NAP = {0, 50000};

/* When others keep the processors busy, a thread that is waited for may not be running at all. A piece of work is late
 * when the wait for it is much longer than the work; after LATE_MAX more late than timely ones the calling thread does
 * everything by itself for a while, which changes no result. */
enum { LATE_MAX = 16, ALONE = 4096 };
static const double LATE_RATIO = 2.0, LATE_SECONDS = 2e-5;

/* A count on a cache line of its own. */
struct count {
    _Alignas(64) atomic_ulong value;
};

struct gle_team {
    size_t n_threads; /* as created: the number of pieces */
    size_t n_open;    /* threads at work; 1 outside of gle_team_open() */
    void (*work)(void *arg, size_t t);
    void *arg;
    bool leaving;
    unsigned late, alone; /* late pieces, less timely ones; pieces still to be done alone */
    struct count *posted; /* pieces handed out so far */
    struct count *done;   /* by each thread */
};

int gle_team_create(struct gle_team **out, size_t n_threads, struct gle_error *err)
{
    struct gle_team *team = gle_calloc(1, sizeof *team);

    *out = NULL;
    if (team) {
        team->n_threads = n_threads;
        team->n_open = 1;
        /* as floats for the alignment */
        team->posted = (void *)gle_floats(sizeof(struct count) / sizeof(float));
        team->done = (void *)gle_floats(n_threads * sizeof(struct count) / sizeof(float));
    }
    if (!team || !team->posted || !team->done) {
        gle_team_destroy(team);
        return gle_fail(err, GLE_ENOMEM, "no memory for %zu threads", n_threads);
    }
    *out = team;
    return 0;
}

void gle_team_destroy(struct gle_team *team)
{
    if (!team)
        return;
    gle_free(team->posted);
    gle_free(team->done);
    gle_free(team);
}

/* Until the count reaches n. */
static void await(const struct count *count, unsigned long n)
{
    for (unsigned long i = 0; atomic_load_explicit(&count->value, memory_order_acquire) < n; i++) {
        if (i < SPINS)
            RELAX();
        else if (i < SPINS + YIELDS)
            sched_yield();
        else
            nanosleep(&NAP, NULL);
    }
}

/* The pieces of thread t, when fewer threads came than were asked for. */
static void take_pieces(const struct gle_team *team, size_t t)
{
    for (; t < team->n_threads; t += team->n_open)
        team->work(team->arg, t);
}

static void serve(struct gle_team *team, size_t t)
{
    for (unsigned long n = atomic_load_explicit(&team->done[t].value, memory_order_relaxed) + 1;; n++) {
        await(team->posted, n);
        if (team->leaving)
            return;
        take_pieces(team, t);
        atomic_store_explicit(&team->done[t].value, n, memory_order_release);
    }
}

static void post(struct gle_team *team)
{
    atomic_fetch_add_explicit(&team->posted->value, 1, memory_order_release);
}

void gle_team_open(struct gle_team *team, void (*body)(void *ctx), void *ctx)
{
    if (team->n_threads == 1) {
        body(ctx);
        return;
    }
    team->leaving = false;
    team->late = team->alone = 0;
    atomic_store(&team->posted->value, 0);
    for (size_t t = 0; t < team->n_threads; t++)
        atomic_store(&team->done[t].value, 0);
#pragma omp parallel num_threads((int)team->n_threads)
    {
#pragma omp single
        team->n_open = (size_t)omp_get_num_threads();
        if (omp_get_thread_num() == 0) {
            body(ctx);
            team->leaving = true;
            post(team);
        } else {
            serve(team, (size_t)omp_get_thread_num());
        }
    }
    team->n_open = 1;
}

size_t gle_team_size(const struct gle_team *team)
{
    return team->n_open;
}

static void judge(struct gle_team *team, double work, double wait)
{
    if (wait <= LATE_RATIO * work + LATE_SECONDS) {
        team->late -= team->late > 0;
    } else if (++team->late > LATE_MAX) {
        team->late = LATE_MAX / 2;
        team->alone = ALONE;
    }
}

void gle_team_share(struct gle_team *team, void (*work)(void *arg, size_t t), void *arg)
{
    double start, middle;
    unsigned long n;

    if (team->n_open == 1 || team->alone) {
        team->alone -= team->alone > 0;
        for (size_t t = 0; t < team->n_threads; t++)
            work(arg, t);
        return;
    }
    team->work = work;
    team->arg = arg;
    start = gle_clock();
    post(team);
    n = atomic_load_explicit(&team->posted->value, memory_order_relaxed);
    take_pieces(team, 0);
    middle = gle_clock();
    for (size_t t = 1; t < team->n_open; t++)
        await(&team->done[t], n);
    judge(team, middle - start, gle_clock() - middle);
}
