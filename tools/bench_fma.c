#include "bench_fma.h"

/* As many chains as cover the latency of a multiply-add (4 cycles, two begun in each), and fit 16 registers. */
enum { CHAINS = 12 };

#ifdef __AVX512F__
enum { LANES = 16 };
#elif defined __AVX__
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
typedef float vector __attribute__((vector_size(4 * LANES)));

double GLE_ISA_NAME(fma_chains)(float *unused, size_t n)
{
    static volatile float factor = 0.5f, term = 0.25f; /* which the compiler must not know */
    const vector a = factor - (vector){0}, b = term - (vector){0};
    vector c[CHAINS], sum = {0};

    for (int k = 0; k < CHAINS; k++)
        c[k] = (float)k - (vector){0};
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < CHAINS; k++)
            c[k] = c[k] * a + b;
    for (int k = 0; k < CHAINS; k++)
        sum += c[k];
    *unused = 0.0f;
    for (int i = 0; i < LANES; i++)
        *unused += sum[i];
    return 2.0 * LANES * CHAINS * (double)n;
}
