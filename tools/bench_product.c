#include "bench_product.h"
#include "base/clock.h"
#include "base/memory.h"
#include "kernel/kernel.h"

#include <blis.h>
#include <math.h>

/* The call that gle_product() makes for large shapes, whatever its threshold. */
static void product_blis(float *C, size_t ldc, const float *A, size_t am, size_t ak, const float *B, size_t ldb,
                         size_t M, size_t N, size_t K, float alpha)
{
    bli_sgemm(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, (dim_t)M, (dim_t)N, (dim_t)K, &alpha, (float *)A, (inc_t)am,
              (inc_t)ak, (float *)B, (inc_t)ldb, 1, &(float){0.0f}, C, (inc_t)ldc, 1);
}

product_function *const *product_functions(void)
{
    static product_function *functions[2];

    functions[0] = gle_kernels(gle_isa_best())->product;
    functions[1] = product_blis;
    return functions;
}

void fill_noise(float *x, size_t n)
{
    unsigned int state = 1;

    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u; /* Numerical Recipes' generator: any numbers will do */
        x[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
}

float *noise(size_t n)
{
    float *x = gle_floats(n + GLE_SLACK);

    if (!x)
        stop("no memory");
    fill_noise(x, n);
    return x;
}

struct product product_create(size_t M, size_t N, size_t K, bool transposed)
{
    struct product p = {.M = M, .N = N, .K = K};

    p.am = transposed ? 1 : gle_padded(K);
    p.ak = transposed ? gle_padded(M) : 1;
    p.A = noise(transposed ? K * gle_padded(M) : M * gle_padded(K));
    p.B = noise(K * gle_padded(N));
    p.C = noise(M * gle_padded(N));
    return p;
}

void product_clear(struct product *p)
{
    gle_free(p->A);
    gle_free(p->B);
    gle_free(p->C);
}

double product_flops(const struct product *p)
{
    return 2.0 * (double)p->M * (double)p->N * (double)p->K;
}

double time_product(const struct product *p, product_function *f, size_t count)
{
    const double start = gle_clock();

    for (size_t i = 0; i < count; i++)
        f(p->C, gle_padded(p->N), p->A, p->am, p->ak, p->B, gle_padded(p->N), p->M, p->N, p->K, 1.0f);
    return (gle_clock() - start) / (double)count;
}

enum { PRODUCTS = 3 };

const char *product_name(const struct product_row *row)
{
    static const char *const names[PRODUCTS] = {"s = r W^T", "e W", "e^T r"};

    return names[row->which];
}

static struct product product_of(const struct product_row *row)
{
    const size_t B = row->batch, n = row->layer.neurons, m = row->layer.inputs;

    if (row->which == 0)
        return product_create(B, n, m, false);
    return row->which == 1 ? product_create(B, m, n, false) : product_create(n, m, B, true);
}

static void measure_product(struct product_row *row, size_t repeats)
{
    static const double AT_LEAST = 2e-3; /* seconds, some thousand times what reading the clock takes */
    product_function *const *f = product_functions();
    struct product p = product_of(row);
    double best[2] = {INFINITY, INFINITY};
    size_t count[2];

    for (int k = 0; k < 2; k++) {
        time_product(&p, f[k], 1);
        count[k] = 1 + (size_t)(AT_LEAST / time_product(&p, f[k], 1));
    }
    for (size_t i = 0; i < repeats; i++)
        for (int k = 0; k < 2; k++)
            best[k] = fmin(best[k], time_product(&p, f[k], count[k]));
    row->M = p.M;
    row->N = p.N;
    row->K = p.K;
    for (int k = 0; k < 2; k++)
        row->gflops[k] = 1e-9 * product_flops(&p) / best[k];
    product_clear(&p);
}

struct product_row *measure_products(size_t *n, const struct layer_size *layers, size_t n_layers, size_t repeats)
{
    static const size_t batches[] = {100, 256};
    struct product_row *rows = gle_calloc(n_layers * 2 * PRODUCTS, sizeof *rows);

    *n = 0;
    if (!rows)
        stop("no memory");
    for (size_t l = 0; l < n_layers; l++)
        for (size_t b = 0; b < 2; b++)
            for (int which = 0; which < PRODUCTS; which++) {
                struct product_row *row = &rows[(*n)++];
                *row = (struct product_row){.layer = layers[l], .batch = batches[b], .which = which};
                measure_product(row, repeats);
            }
    return rows;
}
