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
 * written) should not heat a processor: naps grow to the longest. */
enum {
    SPINS = 200,   /* pauses of the processor */
    YIELDS = 2000, /* calls of the scheduler that follow */
};
static const long NAP = 50000;          /* ns: the first sleep after those */
static const long LONGEST_NAP = 400000; /* ns */

/* When others keep the processors busy, a thread that is waited for may not be running at all, or on the processor of
 * the one that waits. A piece of work is late when the wait for it is much longer than the work, or when all took as
 * long as they would have one after the other. After LATE_MAX more late than timely ones the calling thread does
 * everything by itself for a while, which changes no result. Then LATE_AGAIN more will do, and each time the while is
 * twice as long, up to a limit, until pieces have been timely for long. */
enum {
    LATE_MAX = 16,  /* pieces, late ones less timely ones */
    LATE_AGAIN = 4, /* pieces more, the next time */
};
static const double LATE_RATIO = 2.0;    /* wait, of the work's time, beyond which a piece is late, */
static const double LATE_SECONDS = 2e-5; /* and so many seconds more */
static const double ALONE_LEAST = 0.01;  /* seconds: the first while alone */
static const double ALONE_MOST = 0.5;    /* seconds: the longest */

/* What is handed out, and what a thread has done of it, each on a cache line of its own, since all others wait for a
 * change of it. */
struct post {
    _Alignas(64) atomic_ulong count; /* pieces handed out so far */
    void (*work)(void *arg, size_t t);
    void *arg;
    bool leaving;
};
struct done {
    _Alignas(64) atomic_ulong count;
    double seconds; /* that the last piece took */
};

struct gle_team {
    size_t n_threads; /* as created: the number of pieces */
    size_t n_open;    /* threads at work; 1 outside of gle_team_open() */
    unsigned late;             /* late pieces, less timely ones */
    double alone_until, alone; /* the clock's time, 0 if not alone; for how long the next time */
    struct post *post;
    struct done *done; /* by each thread */
};

int gle_team_create(struct gle_team **out, size_t n_threads, struct gle_error *err)
{
    struct gle_team *team = gle_calloc(1, sizeof *team);

    *out = NULL;
    if (team) {
        team->n_threads = n_threads;
        team->n_open = 1;
        /* as floats for the alignment */
        team->post = (void *)gle_floats(sizeof *team->post / sizeof(float));
        team->done = (void *)gle_floats(n_threads * sizeof *team->done / sizeof(float));
    }
    if (!team || !team->post || !team->done) {
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
    gle_free(team->post);
    gle_free(team->done);
    gle_free(team);
}

/* Until the count reaches n. */
static void await(const atomic_ulong *count, unsigned long n)
{
    struct timespec nap = {0, NAP};

    for (unsigned long i = 0; atomic_load_explicit(count, memory_order_acquire) < n; i++) {
        if (i < SPINS) {
            RELAX();
        } else if (i < SPINS + YIELDS) {
            sched_yield();
        } else {
            nanosleep(&nap, NULL);
            nap.tv_nsec = 2 * nap.tv_nsec < LONGEST_NAP ? 2 * nap.tv_nsec : LONGEST_NAP;
        }
    }
}

/* The pieces of thread t, when fewer threads came than were asked for. */
static void take_pieces(struct gle_team *team, size_t t)
{
    const double start = gle_clock();

    for (size_t piece = t; piece < team->n_threads; piece += team->n_open)
        team->post->work(team->post->arg, piece);
    team->done[t].seconds = gle_clock() - start;
}

static void serve(struct gle_team *team, size_t t)
{
    for (unsigned long n = atomic_load_explicit(&team->done[t].count, memory_order_relaxed) + 1;; n++) {
        await(&team->post->count, n);
        if (team->post->leaving)
            return;
        take_pieces(team, t);
        atomic_store_explicit(&team->done[t].count, n, memory_order_release);
    }
}

static void post(struct gle_team *team)
{
    atomic_fetch_add_explicit(&team->post->count, 1, memory_order_release);
}

void gle_team_open(struct gle_team *team, void (*body)(void *ctx), void *ctx)
{
    if (team->n_threads == 1) {
        body(ctx);
        return;
    }
    team->post->leaving = false;
    team->late = 0;
    team->alone_until = 0.0;
    team->alone = ALONE_LEAST;
    atomic_store(&team->post->count, 0);
    for (size_t t = 0; t < team->n_threads; t++)
        atomic_store(&team->done[t].count, 0);
#pragma omp parallel num_threads((int)team->n_threads)
    {
#pragma omp single
        team->n_open = (size_t)omp_get_num_threads();
        if (omp_get_thread_num() == 0) {
            body(ctx);
            team->post->leaving = true;
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

/* Of pieces that were handed out at `start`. */
static void judge(struct gle_team *team, double start)
{
    const double now = gle_clock(), work = team->done[0].seconds, wait = now - start - work;
    double all = 0.0;

    for (size_t t = 0; t < team->n_open; t++)
        all += team->done[t].seconds;
    if (now - start < all && wait <= LATE_RATIO * work + LATE_SECONDS) {
        team->late -= team->late > 0;
        team->alone = team->late ? team->alone : ALONE_LEAST;
    } else if (++team->late > LATE_MAX) {
        team->late = LATE_MAX - LATE_AGAIN;
        team->alone_until = now + team->alone;
        team->alone = 2.0 * team->alone < ALONE_MOST ? 2.0 * team->alone : ALONE_MOST;
    }
}

/* All that is shared out, on the calling thread. */
static void do_alone(struct gle_team *team, void (*work)(void *arg, size_t t), void *arg)
{
    for (size_t t = 0; t < team->n_threads; t++)
        work(arg, t);
    if (team->alone_until > 0.0 && gle_clock() > team->alone_until)
        team->alone_until = 0.0;
}

void gle_team_share(struct gle_team *team, void (*work)(void *arg, size_t t), void *arg)
{
    double start;
    unsigned long n;

    if (team->n_open == 1 || team->alone_until > 0.0) {
        do_alone(team, work, arg);
        return;
    }
    team->post->work = work;
    team->post->arg = arg;
    start = gle_clock();
    post(team);
    n = atomic_load_explicit(&team->post->count, memory_order_relaxed);
    take_pieces(team, 0);
    for (size_t t = 1; t < team->n_open; t++)
        await(&team->done[t].count, n);
    judge(team, start);
}
