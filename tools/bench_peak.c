#include "bench_peak.h"
#include "base/clock.h"
#include "base/memory.h"
#include "bench_fma.h"

#include <math.h>
#include <omp.h>

double peak_sgemm(const struct peak *peak)
{
    return fmax(peak->sgemm[0], peak->sgemm[1]);
}

/* Work of a thread; returns its floating-point operations. */
typedef double work_function(const void *ctx, size_t thread);

/* Pieces of work of which a thread does one after the other: piece i lasts from clock[i] to clock[i + 1]. */
enum { PIECES_MAX = 200 };
struct pieces {
    double clock[PIECES_MAX + 1], flops; /* of each */
    size_t n;
};

static void work_through(struct pieces *p, work_function *work, const void *ctx, size_t thread)
{
    p->clock[0] = gle_clock();
    for (size_t i = 0; i < p->n; i++) {
        p->flops = work(ctx, thread);
        p->clock[i + 1] = gle_clock();
    }
}

/* Pieces, and parts of such, that were done before a time. */
static double done_before(const struct pieces *p, double time)
{
    size_t i = 0;

    while (i < p->n && p->clock[i + 1] < time)
        i++;
    return i == p->n          ? (double)i
           : time < p->clock[i] ? 0.0
                                : (double)i + (time - p->clock[i]) / (p->clock[i + 1] - p->clock[i]);
}

/* The most that all threads together did while the first one did `window` pieces: where other programs are running,
 * the best moment in which none of the threads was kept from its work. */
static double best_gflops(size_t n_threads, size_t n, size_t window, work_function *work, const void *ctx)
{
    struct pieces *all = gle_calloc(n_threads, sizeof *all);
    double best = 0.0;

    if (!all)
        stop("no memory");
#pragma omp parallel num_threads((int)n_threads)
    {
        struct pieces *own = &all[omp_get_thread_num()];
        own->n = n;
#pragma omp barrier
        work_through(own, work, ctx, (size_t)omp_get_thread_num());
    }
    for (size_t i = 0; i + window <= n; i++) {
        const double from = all[0].clock[i], to = all[0].clock[i + window];
        double flops = 0.0;
        for (size_t t = 0; t < n_threads; t++)
            flops += all[t].flops * (done_before(&all[t], to) - done_before(&all[t], from));
        best = fmax(best, 1e-9 * flops / (to - from));
    }
    gle_free(all);
    return best;
}

static double work_fma(const void *ctx, size_t thread)
{
    static fma_function *const functions[] = GLE_ISA_LIST(fma_chains);
    enum { LENGTH = 200000 }; /* some tenths of a millisecond */
    float unused;

    (void)ctx;
    (void)thread;
    return functions[gle_isa_best()](&unused, LENGTH);
}

struct sgemm {
    const struct product *p; /* of each thread */
    product_function *f;
};

static double work_sgemm(const void *ctx, size_t thread)
{
    const struct sgemm *s = ctx;

    time_product(&s->p[thread], s->f, 1);
    return product_flops(&s->p[thread]);
}

/* Unless it is known to be far from the other one. */
static void measure_sgemm(struct peak *peak, int k, const struct product *p, size_t n_threads)
{
    enum { TIMES = 4 };
    const struct sgemm s = {.p = p, .f = product_functions()[k]};

    if (peak->sgemm[k] > 0.0 && peak->sgemm[k] < 0.5 * peak->sgemm[!k])
        return;
    peak->sgemm[k] = fmax(peak->sgemm[k], best_gflops(n_threads, TIMES, 1, work_sgemm, &s));
}

void peaks_measure(struct peaks *peaks, size_t n_threads)
{
    enum { WINDOW = 2 };
    struct peak *peak = &peaks->of[n_threads];

    for (size_t t = 0; t < n_threads; t++)
        if (!peaks->p[t].A)
            peaks->p[t] = product_create(PEAK_SIZE, PEAK_SIZE, PEAK_SIZE, false);
    peak->fma = fmax(peak->fma, best_gflops(n_threads, PIECES_MAX, WINDOW, work_fma, NULL));
    for (int k = 0; k < 2; k++)
        measure_sgemm(peak, k, peaks->p, n_threads);
}

void peaks_clear(struct peaks *peaks)
{
    for (size_t t = 0; t < THREADS_MAX; t++)
        product_clear(&peaks->p[t]);
}
