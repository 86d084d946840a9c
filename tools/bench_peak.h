/* bench_peak.h - the most that this machine's cores do: multiply-adds on registers, and products. Errors end the
 * program. */
#ifndef GLE_TOOLS_BENCH_PEAK_H
#define GLE_TOOLS_BENCH_PEAK_H

#include "bench_product.h"

enum { PEAK_SIZE = 1024 };

/* GFLOP/s of so many threads side by side, the best of all measurements; 0: none. */
struct peak {
    double fma;
    double sgemm[2]; /* PEAK_SIZE^3, each thread a product of its own: own kernel; BLIS, which may not know the
                        processor */
};

struct peaks {
    struct product p[THREADS_MAX];
    struct peak of[THREADS_MAX + 1]; /* by the number of threads */
};

/* Of the faster one. */
double peak_sgemm(const struct peak *peak);
/* Measures (again) with so many threads, some tenths of a second. */
void peaks_measure(struct peaks *peaks, size_t n_threads);
void peaks_clear(struct peaks *peaks);

#endif
