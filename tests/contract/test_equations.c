/* The loops of kernels, activations and optimizers compute what the equations of src/kernel/equations.h say for single
 * floats, for every row of their tables and every instruction set of this processor. That the equations are right is
 * shown elsewhere: of kernels by the unit test of that name, of rows by the contract tests of activations and parts. */
#include "../support/settings.h"
#include "base/memory.h"
#include "kernel/kernel.h"
#include "parts/activation.h"
#include "parts/optimizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

/* Every activation of equations.h enters itself into `scalars` before main() begins. */
struct scalar {
    const char *name;
    void (*eval)(float *r, float *dr, float u, const float *c);
    float (*curvature)(float u, const float *c);
};
enum { SCALARS_MAX = 100 };
static struct scalar scalars[SCALARS_MAX];

static struct scalar *scalar_of(const char *name)
{
    for (size_t i = 0; i < SCALARS_MAX; i++)
        if (!scalars[i].name || !strcmp(scalars[i].name, name))
            return &scalars[i];
    return NULL;
}

#define NUMBERS(c) ((struct gle_act_numbers){(c)[0], (c)[1], (c)[2], (c)[3]})
#define GLE_ACTIVATION_LOOP(id)                                             \
    static void eval_##id(float *r, float *dr, float u, const float *c)     \
    {                                                                       \
        const float y = gle_##id##_y(u, NUMBERS(c));                        \
        *r = gle_##id(u, y, NUMBERS(c));                                    \
        *dr = gle_##id##_slope(u, y, *r, NUMBERS(c));                       \
    }                                                                       \
    __attribute__((constructor)) static void enter_##id(void)               \
    {                                                                       \
        *scalar_of(#id) = (struct scalar){#id, eval_##id, NULL};            \
    }
#define GLE_CURVATURE_LOOP(id)                                              \
    static float curve_of_##id(float u, const float *c)                     \
    {                                                                       \
        float r, dr;                                                        \
        eval_##id(&r, &dr, u, c);                                           \
        return gle_##id##_curvature(u, gle_##id##_y(u, NUMBERS(c)), r, dr, NUMBERS(c)); \
    }                                                                       \
    __attribute__((constructor)) static void enter_curve_of_##id(void)      \
    {                                                                       \
        scalar_of(#id)->curvature = curve_of_##id;                          \
    }
#include "kernel/equations.h"

/* A loop may round once where the equation rounds twice, so it may be off by a few units in the last place of the
 * largest number on the way, which is `size`. */
static void same(const char *what, const char *of, int isa, size_t i, float got, float want, float size)
{
    if (!(fabsf(got - want) <= 1e-6f * size))
        fail_msg("%s of %s (%s) at %zu: the loop gives %.9g, the equation %.9g", what, of,
                 gle_isa_name((enum gle_isa)isa), i, (double)got, (double)want);
}

/* --- kernels --- */

enum { ROWS = 3, ARRAYS = 8, LD_MAX = 40 };

/* Arrays (ROWS,ld) and rows of numbers in (-1, 1), no two alike: an array taken for another is noticed. */
struct numbers {
    float array[ARRAYS][ROWS * LD_MAX], bias[LD_MAX], look[LD_MAX], leak[LD_MAX];
};

static struct numbers numbers_new(void)
{
    struct numbers x;
    float *at = (float *)&x;
    uint32_t seed = 7;

    for (size_t i = 0; i < sizeof x / sizeof *at; i++) {
        seed = seed * 1664525u + 1013904223u;
        at[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
    return x;
}

/* One kernel: its loop, and its equation for place `at` of the arrays, which is place i of a row. */
struct kernel {
    const char *name;
    void (*loop)(const struct gle_kernels *k, struct numbers *x, size_t ld);
    void (*equation)(struct numbers *x, size_t at, size_t i);
};

#define A(n) x->array[n]
static const float GAMMA = 0.3f;

static void loop_membrane(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    assert_int_equal(k->membrane(A(0), A(1), A(2), A(3), x->bias, GAMMA, x->look, x->leak, ROWS, ld), 0);
}

static void one_membrane(struct numbers *x, size_t at, size_t i)
{
    gle_membrane(&A(0)[at], &A(1)[at], &A(2)[at], A(3)[at], x->bias[i], GAMMA, x->look[i], x->leak[i]);
}

static void loop_membrane_back(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    assert_int_equal(k->membrane_back(A(0), A(1), A(2), x->look, x->leak, ROWS, ld), 0);
}

static void one_membrane_back(struct numbers *x, size_t at, size_t i)
{
    gle_membrane_back(&A(0)[at], &A(1)[at], x->look[i], x->leak[i], A(2)[at]);
}

static void loop_trace(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    k->trace(A(0), ld, A(1), ld, A(2), ld, 0.7f, 0.2f, ROWS, ld);
}

static void one_trace(struct numbers *x, size_t at, size_t i)
{
    (void)i;
    gle_trace(&A(0)[at], &A(1)[at], A(2)[at], 0.7f, 0.2f);
}

static void loop_trace_ones(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    k->trace_ones(A(0), A(1), x->look, x->leak, ROWS, ld);
}

static void one_trace_ones(struct numbers *x, size_t at, size_t i)
{
    gle_trace(&A(0)[at], &A(1)[at], 1.0f, x->look[i], x->leak[i]);
}

/* A row of the fifth array stands for rates, and one of the sixth for slopes. */
static void loop_trace_tau_m(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    k->trace_tau_m(A(0), A(1), A(2), 4.0f, x->look, x->leak, A(4), A(5), ROWS, ld);
}

static void one_trace_tau_m(struct numbers *x, size_t at, size_t i)
{
    gle_trace_tau_m(&A(0)[at], &A(1)[at], A(2)[at], 4.0f, x->look[i], x->leak[i], A(4)[i], A(5)[i]);
}

static void loop_trace_tau_r(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    k->trace_tau_r(A(0), A(2), 4.0f, A(4), ROWS, ld);
}

static void one_trace_tau_r(struct numbers *x, size_t at, size_t i)
{
    gle_trace_tau_r(&A(0)[at], A(2)[at], 4.0f, A(4)[i]);
}

static void loop_prospective(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    assert_int_equal(k->error_prospective(A(0), A(1), A(2), A(3), x->look, x->leak, ROWS, ld), 0);
}

static void one_prospective(struct numbers *x, size_t at, size_t i)
{
    gle_error_prospective(&A(0)[at], &A(1)[at], A(2)[at], A(3)[at], x->look[i], x->leak[i]);
}

static void loop_instantaneous(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    assert_int_equal(k->error_instantaneous(A(0), A(1), A(2), A(3), x->look, x->leak, ROWS, ld), 0);
}

static void one_instantaneous(struct numbers *x, size_t at, size_t i)
{
    (void)i;
    gle_error_instantaneous(&A(0)[at], &A(1)[at], A(2)[at], A(3)[at]);
}

static void loop_prospective_back(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    k->error_prospective_back(A(0), A(1), A(2), A(3), A(4), A(5), A(6), A(7), x->look, x->leak, ROWS, ld);
}

static void one_prospective_back(struct numbers *x, size_t at, size_t i)
{
    gle_error_prospective_back(&A(0)[at], &A(1)[at], &A(2)[at], &A(3)[at], A(4)[at], A(5)[at], A(6)[at], A(7)[at],
                               x->look[i], x->leak[i]);
}

static void loop_instantaneous_back(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    k->error_instantaneous_back(A(0), A(1), A(2), A(3), A(4), A(5), A(6), A(7), x->look, x->leak, ROWS, ld);
}

static void one_instantaneous_back(struct numbers *x, size_t at, size_t i)
{
    (void)i;
    gle_error_instantaneous_back(&A(0)[at], &A(1)[at], &A(3)[at], A(4)[at], A(5)[at], A(6)[at]);
}

static void loop_run_noise(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    k->run_noise(A(0), A(1), 0.7f, 0.4f, ROWS * ld);
}

static void one_run_noise(struct numbers *x, size_t at, size_t i)
{
    (void)i;
    A(0)[at] = gle_ou_step(A(0)[at], A(1)[at], 0.7f, 0.4f);
}

static void loop_add_noise(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    k->add_noise(A(0), A(1), x->look, ROWS, ld);
}

static void one_add_noise(struct numbers *x, size_t at, size_t i)
{
    A(0)[at] += x->look[i] * A(1)[at];
}

static void loop_quantize(const struct gle_kernels *k, struct numbers *x, size_t ld)
{
    k->quantize(A(0), A(1), ROWS * ld, 0.6f, 7.0f);
}

static void one_quantize(struct numbers *x, size_t at, size_t i)
{
    (void)i;
    A(0)[at] = gle_quantize(A(1)[at], 7.0f / 0.6f, 0.6f / 7.0f, 7.0f);
}

static const struct kernel kernels[] = {
    {"membrane", loop_membrane, one_membrane},
    {"membrane_back", loop_membrane_back, one_membrane_back},
    {"trace", loop_trace, one_trace},
    {"trace_ones", loop_trace_ones, one_trace_ones},
    {"trace_tau_m", loop_trace_tau_m, one_trace_tau_m},
    {"trace_tau_r", loop_trace_tau_r, one_trace_tau_r},
    {"error_prospective", loop_prospective, one_prospective},
    {"error_instantaneous", loop_instantaneous, one_instantaneous},
    {"error_prospective_back", loop_prospective_back, one_prospective_back},
    {"error_instantaneous_back", loop_instantaneous_back, one_instantaneous_back},
    {"run_noise", loop_run_noise, one_run_noise},
    {"add_noise", loop_add_noise, one_add_noise},
    {"quantize", loop_quantize, one_quantize},
};

static void loops_of_kernels_compute_their_equations(void **state)
{
    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
            for (size_t ld = GLE_PAD; ld <= LD_MAX; ld += GLE_PAD) {
                _Alignas(64) struct numbers loop = numbers_new(), one = numbers_new();
                kernels[k].loop(gle_kernels((enum gle_isa)isa), &loop, ld);
                for (size_t at = 0; at < ROWS * ld; at++)
                    kernels[k].equation(&one, at, at % ld);
                for (size_t a = 0; a < ARRAYS; a++)
                    for (size_t at = 0; at < ROWS * LD_MAX; at++)
                        same("an array", kernels[k].name, isa, at, loop.array[a][at], one.array[a][at], 4.0f);
            }
}

/* Whatever lies there, padding of traces is that of a rate of zero. */
static void padding_goes_into_no_trace(void **state)
{
    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (size_t n = GLE_PAD + 1; n < 2 * GLE_PAD; n++) {
            _Alignas(64) float eps[2 * GLE_PAD], xbar[2 * GLE_PAD], x[2 * GLE_PAD];
            for (size_t i = 0; i < 2 * GLE_PAD; i++) {
                xbar[i] = 1.0f;
                x[i] = i < n ? 3.0f : NAN;
            }
            gle_kernels((enum gle_isa)isa)->trace(eps, 2 * GLE_PAD, xbar, 2 * GLE_PAD, x, 2 * GLE_PAD, 0.5f, 0.25f, 1,
                                                  n);
            for (size_t i = 0; i < 2 * GLE_PAD; i++) {
                same("an eligibility", "trace", isa, i, eps[i], i < n ? 2.0f : 0.5f, 1.0f);
                same("a trace", "trace", isa, i, xbar[i], i < n ? 1.5f : 0.75f, 1.0f);
            }
        }
}

/* From 0 to far beyond where nothing is left; without a library's function, whose bits another one may not have. */
static void leaks_are_those_of_libm(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        const float x = i < 10000 ? 1e-3f * (float)i : powf(10.0f, -8.0f + 1e-3f * (float)(i - 10000));
        const double faded = -expm1(-(double)x), fading = exp(-(double)x);
        if (!(fabs((double)gle_faded(x) - faded) <= 2e-7 * faded))
            fail_msg("1 - exp(-%.9g) is %.9g, libm says %.9g", (double)x, (double)gle_faded(x), faded);
        if (!(fabs((double)gle_fading(x) - fading) <= 2e-7 * fading) && x < 60.0f)
            fail_msg("exp(-%.9g) is %.9g, libm says %.9g", (double)x, (double)gle_fading(x), fading);
    }
    assert_true(gle_faded(0.0f) >= 0.0f && gle_faded(0.0f) <= 0.0f && isnan(gle_faded(NAN)));
}

/* --- activations --- */

enum { N = 331 }; /* no whole number of vectors */

static void loops_of_activations_compute_their_equations(void **state)
{
    const float c[GLE_ACT_NUMBERS] = {0.3f, 1.7f, 0.6f, 0.2f}; /* of any settings */
    float u[N], r[N], dr[N], ddr[N];

    (void)state;
    for (size_t i = 0; i < N; i++)
        u[i] = i < 300 ? -9.0f + 0.06f * (float)i
                       : (i % 2 ? 1.0f : -1.0f) * powf(10.0f, 38.0f - 2.0f * (float)(i - 300));
    for (int isa = 0; isa < n_isas(); isa++)
        for (const struct gle_act *row = gle_act_table.rows; row->row.name; row++) {
            const struct gle_act *act = gle_act_for(row, (enum gle_isa)isa);
            const struct scalar *s = scalar_of(row->row.name);
            if (row->log_probabilities) /* no equation of one neuron */
                continue;
            if (!s->name || !s->curvature != !act->curvature)
                fail_msg("%s has no equation in kernel/equations.h, or no curvature in one of the two", row->row.name);
            act->eval(r, dr, u, c, 1, N, N);
            if (act->curvature)
                act->curvature(ddr, u, c, N);
            for (size_t i = 0; i < N; i++) {
                float rate, slope;
                s->eval(&rate, &slope, u[i], c);
                same("rate", row->row.name, isa, i, r[i], rate, fmaxf(1.0f, fabsf(rate)));
                same("slope", row->row.name, isa, i, dr[i], slope, 1.0f);
                if (act->curvature)
                    same("curve", row->row.name, isa, i, ddr[i], s->curvature(u[i], c), 1.0f);
            }
        }
}

static void every_activation_of_the_equations_has_a_row(void **state)
{
    (void)state;
    assert_null(scalars[SCALARS_MAX - 1].name);
    for (const struct scalar *s = scalars; s->name; s++)
        if (!gle_table_find(&gle_act_table, s->name))
            fail_msg("%s stands in kernel/equations.h, and in no row of parts/activation.c", s->name);
}

/* --- optimizers --- */

static void one_adam(float *p, float g, float *m, const float *c)
{
    m[0] = gle_adam_mean(m[0], g, c[0], c[1]);
    m[1] = gle_adam_square(m[1], g, c[2], c[3]);
    *p = gle_adam(*p, m[0], m[1], c[4], c[5], c[6]);
}

static void one_adamw(float *p, float g, float *m, const float *c)
{
    *p = gle_decay(*p, c[7]);
    one_adam(p, g, m, c);
}

static void one_sgd(float *p, float g, float *m, const float *c)
{
    m[0] = gle_sgd_sum(m[0], g, c[0]);
    *p = gle_sgd(*p, m[0], c[1]);
}

/* One step of one parameter; m: its moments; c: what prepare() gives. An optimizer has a line here. */
static const struct {
    const char *name, *yaml;
    void (*step)(float *p, float g, float *m, const float *c);
} descents[] = {
    {"adam", "{lr: 0.02, beta1: 0.7, beta2: 0.9, eps: 1e-3}", one_adam},
    {"adamw", "{lr: 0.02, beta1: 0.7, beta2: 0.9, eps: 1e-3, weight_decay: 0.5}", one_adamw},
    {"sgd", "{lr: 0.1, momentum: 0.6}", one_sgd},
};

static size_t descent_of(const char *name)
{
    for (size_t i = 0; i < sizeof descents / sizeof *descents; i++)
        if (!strcmp(descents[i].name, name))
            return i;
    fail_msg("tests/contract/test_equations.c has no line for the optimizer %s", name);
    return 0;
}

static void loops_of_optimizers_compute_their_equations(void **state)
{
    enum { STEPS = 5 };

    (void)state;
    for (int way = 0; way < 2 * n_isas(); way++)
        for (const struct gle_optimizer *row = gle_optimizer_table.rows; row->row.name; row++) {
            const int isa = way / 2;
            const bool weights = way % 2;
            const struct gle_optimizer *o = gle_optimizer_for(row, (enum gle_isa)isa);
            const size_t d = descent_of(row->row.name);
            struct settings s = settings_of(&row->row, descents[d].yaml);
            float p[N] = {0}, one[N] = {0}, g[N], m[GLE_MOMENTS_MAX][N] = {{0}}, moments[N][GLE_MOMENTS_MAX] = {{0}};
            float *const all[] = {m[0], m[1]};
            for (uint64_t t = 1; t <= STEPS; t++) {
                const struct gle_optimizer_step step = o->prepare(s.part.params, o->lr(s.part.params), t, weights);
                for (size_t i = 0; i < N; i++)
                    g[i] = sinf(0.1f * (float)(i * t));
                o->update(p, g, all, N, &step);
                for (size_t i = 0; i < N; i++)
                    descents[d].step(&one[i], g[i], moments[i], step.c);
            }
            for (size_t i = 0; i < N; i++) {
                same("a parameter", row->row.name, isa, i, p[i], one[i], 1.0f);
                for (size_t k = 0; k < o->n_moments; k++)
                    same("a moment", row->row.name, isa, i, m[k][i], moments[i][k], STEPS);
            }
            gle_doc_destroy(s.doc);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_of_kernels_compute_their_equations),
        cmocka_unit_test(padding_goes_into_no_trace),
        cmocka_unit_test(leaks_are_those_of_libm),
        cmocka_unit_test(loops_of_activations_compute_their_equations),
        cmocka_unit_test(every_activation_of_the_equations_has_a_row),
        cmocka_unit_test(loops_of_optimizers_compute_their_equations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
