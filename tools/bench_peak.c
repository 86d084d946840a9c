#include "bench_peak.h"
#include "base/clock.h"
#include "bench_fma.h"

#include <math.h>
#include <omp.h>

double peak_sgemm(const struct peak *peak)
{
    return fmax(peak->sgemm[0], peak->sgemm[1]);
}

static double measure_fma(size_t n_threads)
{
    static fma_function *const functions[] = GLE_ISA_LIST(fma_chains);
    enum { LENGTH = 200000 }; /* about a millisecond */
    fma_function *const f = functions[gle_isa_best()];
    const double start = gle_clock();
    double flops = 0.0;

#pragma omp parallel num_threads((int)n_threads) reduction(+ : flops)
    {
        float unused;
        flops += f(&unused, LENGTH);
    }
    return 1e-9 * flops / (gle_clock() - start);
}

static double measure_sgemm(const struct peaks *peaks, product_function *f, size_t n_threads)
{
    const double work = (double)n_threads * product_flops(&peaks->p[0]), start = gle_clock();

#pragma omp parallel num_threads((int)n_threads)
    time_product(&peaks->p[omp_get_thread_num()], f, 1);
    return 1e-9 * work / (gle_clock() - start);
}

void peaks_measure(struct peaks *peaks, size_t n_threads)
{
    enum { FMAS = 20, PRODUCTS = 3 };
    struct peak *peak = &peaks->of[n_threads];

    for (size_t t = 0; t < n_threads; t++)
        if (!peaks->p[t].A)
            peaks->p[t] = product_create(PEAK_SIZE, PEAK_SIZE, PEAK_SIZE, false);
    for (int i = 0; i < FMAS; i++)
        peak->fma = fmax(peak->fma, measure_fma(n_threads));
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < PRODUCTS && !(peak->sgemm[k] < 0.5 * peak->sgemm[!k] && peak->sgemm[k] > 0.0); i++)
            peak->sgemm[k] = fmax(peak->sgemm[k], measure_sgemm(peaks, product_functions()[k], n_threads));
}

void peaks_clear(struct peaks *peaks)
{
    for (size_t t = 0; t < THREADS_MAX; t++)
        product_clear(&peaks->p[t]);
}
