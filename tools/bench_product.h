/* bench_product.h - how fast single matrix products are. Errors end the program. */
#ifndef GLE_TOOLS_BENCH_PRODUCT_H
#define GLE_TOOLS_BENCH_PRODUCT_H

#include <stddef.h>

enum { THREADS_MAX = 16, PEAK_SIZE = 1024 };

/* Prints text, and ends the program. */
_Noreturn void stop(const char *text);

/* The same n numbers, from -0.5 to 0.5, every time. */
void fill_noise(float *x, size_t n);

struct layer_size {
    size_t inputs, neurons;
};

/* A product as a layer needs it. */
struct product_row {
    struct layer_size layer;
    size_t batch;
    int which; /* of the three in a learning step: product_name() */
    size_t M, N, K;
    double gflops[2]; /* own kernel, BLIS; on one thread */
};

const char *product_name(const struct product_row *row);

/* All products of layers of these sizes, the best of `repeats` measurements of each. Owns: the result, *n rows, belongs
 * to the caller (gle_free). */
struct product_row *measure_products(size_t *n, const struct layer_size *layers, size_t n_layers, size_t repeats);

/* One product C (M,N) = A (M,K) B (K,N) with its arrays. */
struct product {
    size_t M, N, K, am, ak;
    float *A, *B, *C;
};

/* The most that sgemm reaches, by BLIS (which may not know the processor) or the own kernel, each thread with a product
 * of its own. */
struct peak {
    struct product p[THREADS_MAX];
    double gflops[THREADS_MAX + 1]; /* by number of threads: the best of all measurements; 0: none */
    size_t most;
};

/* For up to as many threads as the most of threads (n). */
void peak_open(struct peak *peak, const size_t *threads, size_t n);
void peak_measure(struct peak *peak, size_t n_threads);
void peak_close(struct peak *peak);

#endif
