/* bench_product.h - how fast single matrix products are. Errors end the program. */
#ifndef GLE_TOOLS_BENCH_PRODUCT_H
#define GLE_TOOLS_BENCH_PRODUCT_H

#include "bench.h"

#include <stdbool.h>
#include <stddef.h>

/* The same n numbers, from -0.5 to 0.5, every time. */
void fill_noise(float *x, size_t n);
/* The same in an array of their own, with GLE_SLACK floats more. Owns: gle_free(). */
float *noise(size_t n);

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

typedef void product_function(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb,
                              size_t M, size_t N, size_t K, float alpha);

/* The two that there are: the own kernel, and BLIS. */
product_function *const *product_functions(void);

/* With arrays of noise. transposed: A is held as (K,M), as in e^T r. */
struct product product_create(size_t M, size_t N, size_t K, bool transposed);
void product_clear(struct product *p); /* zeros are fine */
double product_flops(const struct product *p);
/* Seconds for one of `count` products. */
double time_product(const struct product *p, product_function *f, size_t count);

#endif
