/* The kernels against plain loops in double precision, for every instruction set of this processor. */
#include "base/memory.h"
#include "kernel/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

enum { SIZES = 43, MOST = 90, GUARD = 32 };

static const size_t widths[] = {8, 16, 56, 96}; /* rows of whole vectors for some instruction sets only */
enum { WIDTHS = sizeof widths / sizeof *widths, ROWS = 5 };

static int n_isas(void)
{
    return (int)gle_isa_best() + 1;
}

static size_t size_at(size_t i)
{
    static const size_t large[] = {53, 64, 90};
    return i < 40 ? i + 1 : large[i - 40];
}

/* Numbers in (-1, 1) that repeat for a seed. */
static void randomise(float *x, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

static float *random_floats(size_t n, uint32_t seed)
{
    float *x = gle_floats(n);

    randomise(x, n, seed);
    return x;
}

static void set(float *x, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        x[i] = value;
}

/* --- product --- */

/* C (M,N): columns N ... padded(N) zero, what lies beyond untouched. */
static void check_product(const char *what, const float *C, size_t ldc, const double *want, size_t M, size_t N,
                          size_t K, double alpha)
{
    const double tolerance = 1e-7 * (double)(K + 4) * fabs(alpha);

    for (size_t m = 0; m < M; m++)
        for (size_t j = 0; j < ldc; j++) {
            const double got = (double)C[m * ldc + j], right = j < N ? alpha * want[m * N + j] : 0.0;
            if (j < gle_padded(N) ? !(fabs(got - right) <= (j < N ? tolerance : 0.0)) : !isnan(got))
                fail_msg("%s, M = %zu, N = %zu, K = %zu: C[%zu][%zu] is %.9g, not %.9g", what, M, N, K, m, j, got,
                         j < gle_padded(N) ? right : (double)NAN);
        }
    for (size_t i = M * ldc; i < M * ldc + GUARD; i++)
        if (!isnan(C[i]))
            fail_msg("%s, M = %zu, N = %zu, K = %zu: writes beyond the last row", what, M, N, K);
}

static void products_of_all_shapes_match_the_double_loop(void **state)
{
    enum { LDA = 97, LDB = 104 };
    float *A = random_floats(MOST * LDA, 1), *B = random_floats(MOST * LDB + GLE_SLACK, 2);
    float *C = gle_floats(MOST * LDB + GUARD);
    double *want = calloc(MOST * MOST, sizeof *want);

    (void)state;
    for (size_t n = 0; n < SIZES; n++)
        for (size_t transposed = 0; transposed < 2; transposed++) {
            const size_t N = size_at(n), am = transposed ? 1 : LDA, ak = transposed ? LDA : 1;
            const size_t ldb = n % 2 ? gle_padded(N) : LDB;
            size_t done = 0;
            memset(want, 0, MOST * MOST * sizeof *want);
            for (size_t k = 0; k < SIZES; k++) {
                const size_t K = size_at(k), ldc = k % 3 ? gle_padded(N) : gle_padded(N) + 8;
                const float alpha = k % 2 ? 1.0f : -0.37f;
                for (; done < K; done++)
                    for (size_t i = 0; i < MOST; i++)
                        for (size_t j = 0; j < N; j++)
                            want[i * N + j] += (double)A[i * am + done * ak] * (double)B[done * ldb + j];
                for (size_t m = 0; m < SIZES; m++)
                    for (int isa = 0; isa < n_isas(); isa++) {
                        const size_t M = size_at(m);
                        set(C, M * ldc + GUARD, NAN);
                        gle_kernels((enum gle_isa)isa)->product(C, ldc, A, am, ak, B, ldb, M, N, K, alpha);
                        check_product(gle_isa_name((enum gle_isa)isa), C, ldc, want, M, N, K, (double)alpha);
                    }
            }
        }
    gle_free(A);
    gle_free(B);
    gle_free(C);
    free(want);
}

static void what_lies_in_the_padding_of_b_never_reaches_c(void **state)
{
    enum { M = 9, K = 11 };

    (void)state;
    for (size_t N = 1; N <= 64; N++)
        for (int isa = 0; isa < n_isas(); isa++) {
            const size_t ld = gle_padded(N);
            float *A = random_floats(M * K, 3), *B = random_floats(K * ld + GLE_SLACK, 4);
            float *C = gle_floats(M * ld + GUARD);
            double want[M * 64] = {0};
            for (size_t i = 0; i < K * ld + GLE_SLACK; i++)
                if (i >= K * ld || i % ld >= N)
                    B[i] = i % 2 ? NAN : INFINITY;
            for (size_t k = 0; k < K; k++)
                for (size_t i = 0; i < M; i++)
                    for (size_t j = 0; j < N; j++)
                        want[i * N + j] += (double)A[i * K + k] * (double)B[k * ld + j];
            set(C, M * ld + GUARD, NAN);
            gle_kernels((enum gle_isa)isa)->product(C, ld, A, K, 1, B, ld, M, N, K, 1.0f);
            check_product(gle_isa_name((enum gle_isa)isa), C, ld, want, M, N, K, 1.0);
            gle_free(A);
            gle_free(B);
            gle_free(C);
        }
}

static void a_row_does_not_depend_on_which_other_rows_are_computed(void **state)
{
    static const size_t columns[] = {1, 7, 8, 24, 25, 47, 48, 53, 64, 90}, depths[] = {1, 2, 53, 90};
    enum { LD = 96 };
    float *A = random_floats(MOST * LD, 5), *B = random_floats(MOST * LD + GLE_SLACK, 6);
    float *whole = gle_floats(MOST * LD), *parts = gle_floats(MOST * LD);

    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
                const struct gle_kernels *k = gle_kernels((enum gle_isa)isa);
                k->product(whole, LD, A, LD, 1, B, LD, MOST, columns[c], depths[d], 0.3f);
                for (size_t m = 1; m < MOST; m++) {
                    set(parts, MOST * LD, NAN);
                    k->product(parts, LD, A, LD, 1, B, LD, m, columns[c], depths[d], 0.3f);
                    k->product(parts + m * LD, LD, A + m * LD, LD, 1, B, LD, MOST - m, columns[c], depths[d], 0.3f);
                    for (size_t i = 0; i < MOST; i++)
                        assert_memory_equal(whole + i * LD, parts + i * LD, columns[c] * sizeof(float));
                }
            }
    gle_free(A);
    gle_free(B);
    gle_free(whole);
    gle_free(parts);
}

/* Products with a B large enough for copies of its panels, in one piece or several; single rows copy nothing. */
static void deep_products_match_the_double_loop_and_single_rows_bit_for_bit(void **state)
{
    static const size_t columns[] = {48, 97, 200}, depths[] = {384, 385, 768, 771}, rows[] = {15, 16, 31, 32, 39, 45};
    enum { LDA = 800, LDB = 704 };
    float *A = random_floats(LDA * LDA, 21), *B = random_floats(LDA * LDB + GLE_SLACK, 22);
    float *C = gle_floats(MOST * LDB + GUARD), *row = gle_floats(LDB);
    double *want = calloc(MOST * LDB, sizeof *want);

    (void)state;
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
            for (size_t transposed = 0; transposed < 2; transposed++) {
                const size_t N = columns[c], K = depths[d], am = transposed ? 1 : LDA, ak = transposed ? LDA : 1;
                const size_t ld = gle_padded(N);
                memset(want, 0, MOST * LDB * sizeof *want);
                for (size_t k = 0; k < K; k++)
                    for (size_t i = 0; i < MOST; i++)
                        for (size_t j = 0; j < N; j++)
                            want[i * N + j] += (double)A[i * am + k * ak] * (double)B[k * LDB + j];
                for (int isa = 0; isa < n_isas(); isa++)
                    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
                        const struct gle_kernels *k = gle_kernels((enum gle_isa)isa);
                        set(C, rows[r] * ld + GUARD, NAN);
                        k->product(C, ld, A, am, ak, B, LDB, rows[r], N, K, -0.25f);
                        check_product(gle_isa_name((enum gle_isa)isa), C, ld, want, rows[r], N, K, -0.25);
                        for (size_t i = 0; i < rows[r]; i++) {
                            k->product(row, ld, A + i * am, am, ak, B, LDB, 1, N, K, -0.25f);
                            assert_memory_equal(row, C + i * ld, N * sizeof(float));
                        }
                    }
            }
    gle_free(A);
    gle_free(B);
    gle_free(C);
    gle_free(row);
    free(want);
}

static void wide_products_match_the_double_loop_whoever_computes_them(void **state)
{
    static const size_t columns[] = {383, 1016, 1023, 1024, 1025, 1030, 1100}, depths[] = {1, 63, 64, 65, 90};
    static const size_t rows[] = {1, 3, 8, 33, 90};
    enum { LDA = 131, LDB = 1104 };
    float *A = random_floats(LDA * LDA, 7), *B = random_floats(LDA * LDB + GLE_SLACK, 8);
    float *C = gle_floats(MOST * LDB + GUARD);
    double *want = calloc(MOST * LDB, sizeof *want);

    (void)state;
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
            for (size_t transposed = 0; transposed < 2; transposed++) {
                const size_t N = columns[c], K = depths[d], am = transposed ? 1 : LDA, ak = transposed ? LDA : 1;
                const size_t ld = gle_padded(N);
                memset(want, 0, MOST * LDB * sizeof *want);
                for (size_t k = 0; k < K; k++)
                    for (size_t i = 0; i < MOST; i++)
                        for (size_t j = 0; j < N; j++)
                            want[i * N + j] += (double)A[i * am + k * ak] * (double)B[k * ld + j];
                for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
                    for (int isa = 0; isa < n_isas(); isa++) {
                        set(C, rows[r] * ld + GUARD, NAN);
                        gle_product(gle_kernels((enum gle_isa)isa), C, ld, A, am, ak, B, ld, rows[r], N, K, -0.25f);
                        check_product("gle_product", C, ld, want, rows[r], N, K, -0.25);
                    }
            }
    gle_free(A);
    gle_free(B);
    gle_free(C);
    free(want);
}

static void transpose_moves_every_element(void **state)
{
    enum { LD = 104 };
    float *in = random_floats(MOST * LD, 9), *out = gle_floats(MOST * LD + GUARD);

    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (size_t r = 0; r < SIZES; r++)
            for (size_t c = 0; c < SIZES; c++) {
                const size_t rows = size_at(r), cols = size_at(c);
                const size_t ldo = gle_padded(rows), ldi = c % 2 ? LD : gle_padded(cols);
                set(out, MOST * LD + GUARD, NAN);
                gle_kernels((enum gle_isa)isa)->transpose(out, ldo, in, ldi, rows, cols);
                for (size_t i = 0; i < cols * ldo + GUARD; i++)
                    if (i / ldo < cols && i % ldo < rows)
                        assert_true(out[i] == in[i % ldo * ldi + i / ldo]);
                    else
                        assert_true(isnan(out[i]));
            }
    gle_free(in);
    gle_free(out);
}

/* --- sums --- */

static void sums_over_rows_match_the_double_loop(void **state)
{
    static const size_t batches[] = {1, 2, 3, 31, 32, 100};

    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (size_t w = 0; w < WIDTHS; w++)
            for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
                const struct gle_kernels *k = gle_kernels((enum gle_isa)isa);
                const size_t ld = widths[w], B = batches[b];
                float *e = random_floats(B * ld, 10), *d = random_floats(B * ld, 11), *alpha = random_floats(ld, 12);
                float *rows = gle_floats(ld), *products = gle_floats(ld), *total = random_floats(B * ld, 13);
                set(rows, ld, NAN);
                set(products, ld, NAN);
                k->sum_rows(rows, e, -0.5f, B, ld, ld);
                k->sum_products(products, e, d, alpha, B, ld, ld);
                k->add(total, e, B * ld);
                for (size_t i = 0; i < ld; i++) {
                    double sum = 0.0, product = 0.0;
                    for (size_t r = 0; r < B; r++) {
                        sum += (double)e[r * ld + i];
                        product += (double)e[r * ld + i] * (double)d[r * ld + i];
                    }
                    assert_true(fabs((double)rows[i] + 0.5 * sum) < 1e-7 * (double)(B + 4));
                    assert_true(fabs((double)products[i] - (double)alpha[i] * product) < 1e-7 * (double)(B + 4));
                }
                gle_free(rows);
                gle_free(products);
                rows = random_floats(B * ld, 13);
                for (size_t i = 0; i < B * ld; i++)
                    assert_true(total[i] == rows[i] + e[i]);
                gle_free(rows);
                gle_free(total);
                gle_free(e);
                gle_free(d);
                gle_free(alpha);
            }
}

/* --- the step of a neuron --- */

/* What the elementwise kernels read and write. */
struct neurons {
    float *e, *v, *above, *dr, *prosp_u, *u, *s, *b, *look, *leak;
    size_t ld;
};

static struct neurons neurons_new(size_t ld)
{
    const size_t n = ROWS * ld;

    return (struct neurons){.e = random_floats(n, 20),
                            .v = random_floats(n, 21),
                            .above = random_floats(n, 22),
                            .dr = random_floats(n, 23),
                            .prosp_u = random_floats(n, 24),
                            .u = random_floats(n, 25),
                            .s = random_floats(n, 26),
                            .b = random_floats(ld, 27),
                            .look = random_floats(ld, 28),
                            .leak = random_floats(ld, 29),
                            .ld = ld};
}

static void neurons_free(struct neurons *x)
{
    float *all[] = {x->e, x->v, x->above, x->dr, x->prosp_u, x->u, x->s, x->b, x->look, x->leak};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        gle_free(all[i]);
}

static void near(const char *what, float got, double want)
{
    if (!(fabs((double)got - want) < 1e-6))
        fail_msg("%s is %.9g, not %.9g", what, (double)got, want);
}

static void errors_and_membranes_match_the_double_loop(void **state)
{
    const float gamma = 0.3f;

    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (size_t w = 0; w < WIDTHS; w++) {
            const struct gle_kernels *k = gle_kernels((enum gle_isa)isa);
            const size_t ld = widths[w];
            struct neurons x = neurons_new(ld), old = neurons_new(ld);
            assert_int_equal(k->error_prospective(x.e, x.v, x.above, x.dr, x.look, x.leak, ROWS, ld), 0);
            assert_int_equal(k->membrane(x.prosp_u, x.u, x.s, x.e, x.b, gamma, x.look, x.leak, ROWS, ld), 0);
            for (size_t i = 0; i < ROWS * ld; i++) {
                const size_t j = i % ld;
                const double d = (double)old.dr[i] * (double)old.above[i] - (double)old.v[i];
                const double du =
                    (double)old.s[i] + (double)old.b[j] + (double)gamma * (double)x.e[i] - (double)old.u[i];
                near("e", x.e[i], (double)old.v[i] + (double)old.look[j] * d);
                near("v", x.v[i], (double)old.v[i] + (double)old.leak[j] * d);
                near("tau_m u_dot", x.s[i], du);
                near("prosp_u", x.prosp_u[i], (double)old.u[i] + (double)old.look[j] * du);
                near("u", x.u[i], (double)old.u[i] + (double)old.leak[j] * du);
            }
            assert_int_equal(k->error_instantaneous(x.e, x.v, x.above, x.dr, x.look, x.leak, ROWS, ld), 0);
            for (size_t i = 0; i < ROWS * ld; i++) {
                near("e", x.e[i], (double)old.dr[i] * (double)old.above[i]);
                assert_true(x.e[i] == x.v[i]);
            }
            neurons_free(&x);
            neurons_free(&old);
        }
}

enum which { PROSPECTIVE, INSTANTANEOUS, MEMBRANE };

/* Runs one kernel on neurons at rest but for `value` in input `field` at `at`; its verdict. */
static int verdict(const struct gle_kernels *k, enum which which, size_t ld, size_t field, size_t at, float value)
{
    struct neurons x = neurons_new(ld);
    float *const errors[] = {x.above, x.v}, *const membranes[] = {x.s, x.u, x.e};
    int wild;

    set(x.v, ROWS * ld, 0.0f);
    set(x.above, ROWS * ld, 0.0f);
    set(x.dr, ROWS * ld, 1.0f);
    set(x.e, ROWS * ld, 0.0f);
    set(x.u, ROWS * ld, 0.0f);
    set(x.s, ROWS * ld, 0.0f);
    set(x.b, ld, 0.0f);
    set(x.look, ld, 0.5f);
    set(x.leak, ld, 0.5f);
    *(which == MEMBRANE ? &membranes[field][at] : &errors[field][at]) = value;
    if (which == PROSPECTIVE)
        wild = k->error_prospective(x.e, x.v, x.above, x.dr, x.look, x.leak, ROWS, ld);
    else if (which == INSTANTANEOUS)
        wild = k->error_instantaneous(x.e, x.v, x.above, x.dr, x.look, x.leak, ROWS, ld);
    else
        wild = k->membrane(x.prosp_u, x.u, x.s, x.e, x.b, 1.0f, x.look, x.leak, ROWS, ld);
    neurons_free(&x);
    return wild;
}

static void nan_and_infinity_are_noticed_wherever_they_are_and_nothing_else_is(void **state)
{
    static const float wild[] = {NAN, INFINITY, -INFINITY}, tame[] = {1e38f, -1e38f, 3.4e38f, 1e-45f, -0.0f};
    static const size_t fields[] = {[PROSPECTIVE] = 2, [INSTANTANEOUS] = 1, [MEMBRANE] = 3};

    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (size_t w = 0; w < WIDTHS; w++)
            for (int which = PROSPECTIVE; which <= MEMBRANE; which++)
                for (size_t f = 0; f < fields[which]; f++)
                    for (size_t at = 0; at < ROWS * widths[w]; at++) {
                        const struct gle_kernels *k = gle_kernels((enum gle_isa)isa);
                        for (size_t i = 0; i < sizeof wild / sizeof *wild; i++)
                            if (!verdict(k, (enum which)which, widths[w], f, at, wild[i]))
                                fail_msg("%s kernel %d misses %g in input %zu at %zu", gle_isa_name((enum gle_isa)isa),
                                         which, (double)wild[i], f, at);
                        for (size_t i = 0; i < sizeof tame / sizeof *tame; i++)
                            if (verdict(k, (enum which)which, widths[w], f, at, tame[i]))
                                fail_msg("%s kernel %d takes %g in input %zu at %zu for NaN or Inf",
                                         gle_isa_name((enum gle_isa)isa), which, (double)tame[i], f, at);
                    }
}

/* --- steps back --- */

/* Any number of rows, 1 ... 37 of them, of 8 ... 120 floats. */
static void random_shape(size_t round, size_t *B, size_t *ld)
{
    *B = 1 + round * 7919 % 37;
    *ld = GLE_PAD * (1 + round * 104729 % 15);
}

enum { SHAPES = 40 };

static void check_steps_back(const struct gle_kernels *k, size_t B, size_t ld)
{
    const size_t n = B * ld;
    float *bar = random_floats(n, 40), *old = random_floats(n, 40), *in = random_floats(n, 41);
    float *above = random_floats(n, 42), *dr = random_floats(n, 43), *v = random_floats(n, 44);
    float *x = gle_floats(n), *y = gle_floats(n), *lag = gle_floats(n);
    float *look = random_floats(ld, 45), *leak = random_floats(ld, 46);
    float *all[] = {bar, old, in, above, dr, v, x, y, lag, look, leak};

    assert_int_equal(k->membrane_back(x, bar, in, look, leak, B, ld), 0);
    for (size_t i = 0; i < n; i++) {
        const double lambda = (double)look[i % ld] * (double)in[i] + (double)leak[i % ld] * (double)old[i];
        near("lambda", x[i], lambda);
        near("u_bar", bar[i], (double)old[i] + (double)in[i] - lambda);
    }
    memcpy(bar, old, n * sizeof *old);
    k->error_prospective_back(x, y, bar, lag, in, above, dr, v, look, leak, B, ld);
    for (size_t i = 0; i < n; i++) {
        const double d = (double)look[i % ld] * (double)in[i] + (double)leak[i % ld] * (double)old[i];
        near("v_bar", bar[i], (double)old[i] + (double)in[i] - d);
        near("above_bar", x[i], (double)dr[i] * d);
        near("dr_bar", y[i], (double)above[i] * d);
        near("lag", lag[i], (double)dr[i] * (double)above[i] - (double)v[i]);
    }
    memcpy(bar, old, n * sizeof *old);
    set(lag, n, NAN);
    set(v, n, NAN);
    k->error_instantaneous_back(x, y, bar, lag, in, above, dr, v, look, leak, B, ld);
    assert_memory_equal(bar, old, n * sizeof *old);
    for (size_t i = 0; i < n; i++) {
        near("above_bar", x[i], (double)dr[i] * (double)in[i]);
        near("dr_bar", y[i], (double)above[i] * (double)in[i]);
        assert_true(lag[i] == 0.0f);
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        gle_free(all[i]);
}

static void for_random_shapes(void (*check)(const struct gle_kernels *k, size_t B, size_t ld))
{
    for (int isa = 0; isa < n_isas(); isa++)
        for (size_t round = 0; round < SHAPES; round++) {
            size_t B, ld;
            random_shape(round, &B, &ld);
            check(gle_kernels((enum gle_isa)isa), B, ld);
        }
}

static void steps_back_match_the_double_loop(void **state)
{
    (void)state;
    for_random_shapes(check_steps_back);
}

static void products_of_elements_match_the_double_loop_for_any_length(void **state)
{
    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (size_t n = 0; n < 150; n++) {
            const struct gle_kernels *k = gle_kernels((enum gle_isa)isa);
            float *x = random_floats(n, 50), *y = random_floats(n, 51), *sum = random_floats(n + GUARD, 52);
            float *out = gle_floats(n + GUARD), *old = random_floats(n + GUARD, 52);
            set(out, n + GUARD, NAN);
            k->multiply(out, x, y, n);
            k->multiply_add(sum, x, y, n);
            for (size_t i = 0; i < n; i++) {
                near("x * y", out[i], (double)x[i] * (double)y[i]);
                near("sum + x * y", sum[i], (double)old[i] + (double)x[i] * (double)y[i]);
            }
            for (size_t i = n; i < n + GUARD; i++)
                assert_true(isnan(out[i]) && sum[i] == old[i]);
            gle_free(x);
            gle_free(y);
            gle_free(sum);
            gle_free(out);
            gle_free(old);
        }
}

static int verdict_back(const struct gle_kernels *k, size_t ld, size_t field, size_t at, float value)
{
    float *x[] = {gle_floats(ROWS * ld), gle_floats(ROWS * ld), gle_floats(ROWS * ld)};
    float *look = gle_floats(ld), *leak = gle_floats(ld);
    int wild;

    set(look, ld, 0.5f);
    set(leak, ld, 0.5f);
    x[field][at] = value;
    wild = k->membrane_back(x[2], x[0], x[1], look, leak, ROWS, ld);
    for (size_t i = 0; i < 3; i++)
        gle_free(x[i]);
    gle_free(look);
    gle_free(leak);
    return wild;
}

static void the_step_back_notices_nan_and_infinity_and_nothing_else(void **state)
{
    static const float wild[] = {NAN, INFINITY, -INFINITY}, tame[] = {1e38f, -1e38f, 3.4e38f, 1e-45f, -0.0f};

    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (size_t w = 0; w < WIDTHS; w++)
            for (size_t f = 0; f < 2; f++)
                for (size_t at = 0; at < ROWS * widths[w]; at++) {
                    const struct gle_kernels *k = gle_kernels((enum gle_isa)isa);
                    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++)
                        assert_true(verdict_back(k, widths[w], f, at, wild[i]));
                    for (size_t i = 0; i < sizeof tame / sizeof *tame; i++)
                        assert_false(verdict_back(k, widths[w], f, at, tame[i]));
                }
}

static double dot(const float *x, const float *y, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

/* <J x, y> and <x, J^T y> are the same number, whatever x and y: a step and its step back are transposes. */
static void assert_transposed(double forth, double back, size_t B, size_t ld)
{
    if (!(fabs(forth - back) < 1e-7 * (double)(B * ld + 8)))
        fail_msg("%zu rows of %zu: %.9g forth, %.9g back", B, ld, forth, back);
}

/* The membrane is linear in (s, u), with neither bias nor feedback. */
static void transpose_membrane(const struct gle_kernels *k, size_t B, size_t ld)
{
    const size_t n = B * ld;
    float *s = random_floats(n, 60), *u = random_floats(n, 61), *s_next = random_floats(n, 60);
    float *u_next = random_floats(n, 61), *prosp_u = gle_floats(n), *zero = gle_floats(n);
    float *a = random_floats(n, 62), *y = random_floats(n, 63), *u_bar = random_floats(n, 63);
    float *lambda = gle_floats(n), *look = random_floats(ld, 64), *leak = random_floats(ld, 65);
    float *all[] = {s, u, s_next, u_next, prosp_u, zero, a, y, u_bar, lambda, look, leak};

    assert_int_equal(k->membrane(prosp_u, u_next, s_next, zero, zero, 0.0f, look, leak, B, ld), 0);
    assert_int_equal(k->membrane_back(lambda, u_bar, a, look, leak, B, ld), 0);
    assert_transposed(dot(prosp_u, a, n) + dot(u_next, y, n), dot(s, lambda, n) + dot(u, u_bar, n), B, ld);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        gle_free(all[i]);
}

/* The error is linear in (e_above, v) for a given phi', and in (phi', v) for given errors from above. */
static void transpose_error(const struct gle_kernels *k, size_t B, size_t ld)
{
    const size_t n = B * ld;
    float *e_above = random_floats(n, 70), *dr = random_floats(n, 71), *v = random_floats(n, 72);
    float *v_next = random_floats(n, 72), *e = gle_floats(n), *e_bar = random_floats(n, 73);
    float *y = random_floats(n, 74), *v_bar = random_floats(n, 74), *above_bar = gle_floats(n);
    float *dr_bar = gle_floats(n), *lag = gle_floats(n), *look = random_floats(ld, 75), *leak = random_floats(ld, 76);
    float *all[] = {e_above, dr, v, v_next, e, e_bar, y, v_bar, above_bar, dr_bar, lag, look, leak};
    double forth;

    assert_int_equal(k->error_prospective(e, v_next, e_above, dr, look, leak, B, ld), 0);
    k->error_prospective_back(above_bar, dr_bar, v_bar, lag, e_bar, e_above, dr, v, look, leak, B, ld);
    forth = dot(e, e_bar, n) + dot(v_next, y, n);
    assert_transposed(forth, dot(e_above, above_bar, n) + dot(v, v_bar, n), B, ld);
    assert_transposed(forth, dot(dr, dr_bar, n) + dot(v, v_bar, n), B, ld);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        gle_free(all[i]);
}

static void the_step_back_of_the_membrane_is_its_transpose(void **state)
{
    (void)state;
    for_random_shapes(transpose_membrane);
}

static void the_step_back_of_the_error_is_its_transpose(void **state)
{
    (void)state;
    for_random_shapes(transpose_error);
}

static void every_instruction_set_gives_the_same_numbers_to_rounding(void **state)
{
    enum { M = 31, N = 53, K = 53, LD = 56 };
    float *A = random_floats(M * LD, 30), *B = random_floats(K * LD + GLE_SLACK, 31);
    float *C = gle_floats(M * LD), *base = gle_floats(M * LD);

    (void)state;
    gle_kernels(GLE_ISA_BASE)->product(base, LD, A, LD, 1, B, LD, M, N, K, 1.0f);
    for (int isa = 1; isa < n_isas(); isa++) {
        gle_kernels((enum gle_isa)isa)->product(C, LD, A, LD, 1, B, LD, M, N, K, 1.0f);
        for (size_t i = 0; i < M * LD; i++)
            if (i % LD < N)
                assert_true(fabsf(C[i] - base[i]) < 1e-5f);
    }
    gle_free(A);
    gle_free(B);
    gle_free(C);
    gle_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_all_shapes_match_the_double_loop),
        cmocka_unit_test(what_lies_in_the_padding_of_b_never_reaches_c),
        cmocka_unit_test(a_row_does_not_depend_on_which_other_rows_are_computed),
        cmocka_unit_test(deep_products_match_the_double_loop_and_single_rows_bit_for_bit),
        cmocka_unit_test(wide_products_match_the_double_loop_whoever_computes_them),
        cmocka_unit_test(transpose_moves_every_element),
        cmocka_unit_test(sums_over_rows_match_the_double_loop),
        cmocka_unit_test(errors_and_membranes_match_the_double_loop),
        cmocka_unit_test(nan_and_infinity_are_noticed_wherever_they_are_and_nothing_else_is),
        cmocka_unit_test(steps_back_match_the_double_loop),
        cmocka_unit_test(products_of_elements_match_the_double_loop_for_any_length),
        cmocka_unit_test(the_step_back_notices_nan_and_infinity_and_nothing_else),
        cmocka_unit_test(the_step_back_of_the_membrane_is_its_transpose),
        cmocka_unit_test(the_step_back_of_the_error_is_its_transpose),
        cmocka_unit_test(every_instruction_set_gives_the_same_numbers_to_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
