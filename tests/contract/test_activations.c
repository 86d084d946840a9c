/* Every row of the table of activations, for every instruction set of this processor. */
#include "../support/build.h"
#include "../support/formulas.h"
#include "../support/settings.h"
#include "../support/slopes.h"
#include "base/memory.h"
#include "parts/activation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { POINTS = 4800, ACT_N = 13, ACT_LD = 16 };

/* A row for an instruction set, with settings. */
struct subject {
    const struct gle_act *act;
    struct act_of of;
    const struct act_formula *formula;
    float c[GLE_ACT_NUMBERS];
    char name[160]; /* with settings that are no defaults */
    const char *isa;
};

/* Calls it with all instruction sets and rows, with their defaults and with other settings. */
static void with_every_activation(void (*check)(const struct subject *s))
{
    for (int isa = 0; isa < n_isas(); isa++)
        for (const struct gle_act *a = gle_act_table.rows; a->row.name; a++)
            for (int others = 0; others <= (a->row.keys != NULL); others++) {
                char yaml[128] = "";
                struct settings settings;
                struct subject s = {.act = gle_act_for(a, (enum gle_isa)isa),
                                    .formula = find_act_formula(a->row.name),
                                    .isa = gle_isa_name((enum gle_isa)isa)};
                if (others)
                    write_other_settings(yaml, sizeof yaml, a->row.keys);
                settings = settings_of(&a->row, others ? yaml : NULL);
                s.of = (struct act_of){&a->row, settings.part.params};
                gle_act_find_numbers(s.c, a, settings.part.params);
                snprintf(s.name, sizeof s.name, "%s%s", a->row.name, yaml);
                check(&s);
                gle_doc_destroy(settings.doc);
            }
}

/* phi and its slope of m values, as rows of ACT_N with padding. */
static void eval_list(const struct subject *s, float *r, float *dr, const float *u, size_t m)
{
    const size_t B = (m + ACT_N - 1) / ACT_N;
    float *in = gle_floats(B * ACT_LD), *out = gle_floats(B * ACT_LD), *slope = gle_floats(B * ACT_LD);

    for (size_t i = 0; i < m; i++)
        in[i / ACT_N * ACT_LD + i % ACT_N] = u[i];
    s->act->eval(out, slope, in, s->c, B, ACT_N, ACT_LD);
    for (size_t i = 0; i < m; i++) {
        r[i] = out[i / ACT_N * ACT_LD + i % ACT_N];
        dr[i] = slope[i / ACT_N * ACT_LD + i % ACT_N];
    }
    gle_free(in);
    gle_free(out);
    gle_free(slope);
}

enum { GRID = 24 * 128 };

/* From -12 on in steps that floats can say; kinks at whole numbers lie between two points. */
static void fill_grid(float *u)
{
    for (size_t i = 0; i < GRID; i++)
        u[i] = -12.0f + ((float)i + 0.375f) * 0x1p-7f;
}

static void check_rate(const struct subject *s)
{
    static float u[GRID], r[GRID], dr[GRID];

    if (s->act->log_probabilities)
        return;
    fill_grid(u);
    eval_list(s, r, dr, u, GRID);
    check_slope(&(struct sampled){r, dr, GRID, 0x1p-7, INFINITY, 4}, "slope", s->name, s->isa);
}

static void every_activation_matches_its_slope(void **state)
{
    (void)state;
    with_every_activation(check_rate);
}

/* The slope of a row made of straight pieces changes only where it jumps. */
static void check_straight(const struct subject *s, const float *dr)
{
    size_t jumps = 0;

    for (size_t i = 0; i + 1 < GRID; i++)
        jumps += dr[i] != dr[i + 1];
    if (jumps > 4)
        fail_msg("%s is not made of straight pieces", s->name);
}

/* The slope of the slope, likewise; that jumps by more than it grows where there is a kink. */
static void check_curve(const struct subject *s)
{
    static float u[GRID], r[GRID], dr[GRID], ddr[GRID];

    if (s->act->log_probabilities)
        return;
    fill_grid(u);
    eval_list(s, r, dr, u, GRID);
    if (s->act->straight)
        check_straight(s, dr);
    if (!s->act->curvature)
        return;
    s->act->curvature(ddr, u, s->c, GRID);
    check_slope(&(struct sampled){dr, ddr, GRID, 0x1p-7, 0x1p-4, 4}, "slope of the slope", s->name, s->isa);
}

static void every_slope_matches_its_own(void **state)
{
    (void)state;
    with_every_activation(check_curve);
}

static void check_large_curve(const struct subject *s)
{
    float u[160], ddr[160];

    if (!s->act->curvature)
        return;
    for (size_t i = 0; i < 160; i++)
        u[i] = (i % 2 ? 1.0f : -1.0f) * powf(10.0f, 38.5f - (float)(i / 2));
    s->act->curvature(ddr, u, s->c, 160);
    for (size_t i = 0; i < 160; i++)
        if (!isfinite(ddr[i]))
            fail_msg("the slope of the slope of %s at %g is %g", s->name, (double)u[i], (double)ddr[i]);
}

static void curvatures_of_any_potential_are_finite(void **state)
{
    (void)state;
    with_every_activation(check_large_curve);
}

static void check_formula(const struct subject *s)
{
    static float u[20 * POINTS], r[20 * POINTS], dr[20 * POINTS];
    const struct act_formula *formula = s->formula;
    const size_t m = sizeof u / sizeof *u;

    if (!formula->phi)
        return;
    for (size_t i = 0; i < m; i++) /* fine around 0, wider, then up to 3e38 */
        u[i] = i < m / 2   ? -12.0f + 48.0f / (float)m * (float)i
               : i < m - 78 ? -120.0f + 480.0f / (float)m * (float)(i - m / 2)
                            : (i % 2 ? 1.0f : -1.0f) * powf(10.0f, (float)(m - i) / 2.0f - 0.5f);
    eval_list(s, r, dr, u, m);
    for (size_t i = 0; i < m; i++) {
        double slope = 0.0, want = formula->phi((double)u[i], &slope, &s->of);
        const bool near = fabs((double)r[i] - want) <= formula->off + 0x1p-24 &&
                          fabs((double)dr[i] - slope) <= formula->slope_off + 0x1p-24;
        if (formula->off > 0.0 && !near)
            fail_msg("%s (%s) of %.9g is %.9g, slope %.9g, further from %.9g and %.9g than formulas.c says", s->name,
                     s->isa, (double)u[i], (double)r[i], (double)dr[i], want, slope);
        if (!(fabs((double)r[i] - want) < 5e-7 * fmax(1.0, fabs(want))))
            fail_msg("%s (%s) of %.9g is %.9g, libm says %.9g", s->name, s->isa, (double)u[i], (double)r[i], want);
        if (!(fabs((double)dr[i] - slope) < 1e-6) &&
            !(formula->to_kink && formula->to_kink((double)u[i], &s->of) <= 1e-6))
            fail_msg("slope of %s (%s) at %.9g is %.9g, libm says %.9g", s->name, s->isa, (double)u[i], (double)dr[i],
                     slope);
        if (!strcmp(s->name, "tanh") && !(fabsf(r[i]) <= 1.0f && dr[i] >= 0.0f))
            fail_msg("tanh (%s) of %.9g is %.9g, beyond 1", s->isa, (double)u[i], (double)r[i]);
    }
}

static void activations_match_their_libm_formulas(void **state)
{
    (void)state;
    with_every_activation(check_formula);
}

/* Where an activation goes through 0, its rates keep their digits however small they are. */
static void check_small_rates(const struct subject *s)
{
    float u[70], r[70], dr[70];
    double slope;

    if (!s->formula->phi || s->formula->phi(0.0, &slope, &s->of) != 0.0)
        return;
    for (size_t i = 0; i < 70; i++)
        u[i] = (i % 2 ? 0.7f : -0.7f) * powf(10.0f, -0.5f * (float)(i / 2));
    eval_list(s, r, dr, u, 70);
    for (size_t i = 0; i < 70; i++) {
        const double want = s->formula->phi((double)u[i], &slope, &s->of);
        if (!(fabs((double)r[i] - want) <= 1e-6 * fabs(want)))
            fail_msg("%s of %.9g is %.9g, libm says %.9g", s->name, (double)u[i], (double)r[i], want);
    }
}

static void small_rates_keep_their_digits(void **state)
{
    (void)state;
    with_every_activation(check_small_rates);
}

/* Every float near the end of tanh. */
static void check_end_of_tanh(const struct subject *s)
{
    enum { N = 1 << 16 };
    static float u[N], r[N], dr[N];

    for (float at = 7.0f; !strcmp(s->name, "tanh") && at < 9.5f;) {
        for (size_t i = 0; i < N; i++, at = nextafterf(at, 10.0f))
            u[i] = i % 2 ? at : -at;
        eval_list(s, r, dr, u, N);
        for (size_t i = 0; i < N; i++)
            if (!(fabsf(r[i]) <= 1.0f))
                fail_msg("tanh of %.9g is %.9g", (double)u[i], (double)r[i]);
    }
}

static void tanh_stays_within_one_at_every_float_near_its_end(void **state)
{
    (void)state;
    with_every_activation(check_end_of_tanh);
}

static void check_nan(const struct subject *s)
{
    for (size_t at = 0; at < ACT_N; at++) {
        float u[ACT_LD], r[ACT_LD], dr[ACT_LD];
        for (size_t i = 0; i < ACT_LD; i++)
            u[i] = i == at ? NAN : 0.5f;
        s->act->eval(r, dr, u, s->c, 1, ACT_N, ACT_LD);
        if (!isnan(r[at]))
            fail_msg("%s (%s) of NaN is %g", s->name, s->isa, (double)r[at]);
    }
}

static void every_activation_passes_nan_on(void **state)
{
    (void)state;
    with_every_activation(check_nan);
}

/* Real columns with quiet padding and with NaN, Inf or huge numbers there. */
static void check_padding(const struct subject *s)
{
    static const float wild[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f};
    enum { B = 3, LD = 24 };

    for (size_t n = 1; n < LD; n++)
        for (size_t w = 0; w < sizeof wild / sizeof *wild; w++) {
            float u[B * LD] = {0}, r[2][B * LD], dr[2][B * LD];
            for (size_t i = 0; i < B * LD; i++)
                u[i] = i % LD < n ? 0.3f * (float)(i % 17) - 2.0f : 0.0f;
            s->act->eval(r[0], dr[0], u, s->c, B, n, LD);
            for (size_t i = 0; i < B * LD; i++)
                if (i % LD >= n)
                    u[i] = wild[w];
            s->act->eval(r[1], dr[1], u, s->c, B, n, LD);
            for (size_t b = 0; b < B; b++) {
                assert_memory_equal(r[0] + b * LD, r[1] + b * LD, n * sizeof(float));
                assert_memory_equal(dr[0] + b * LD, dr[1] + b * LD, n * sizeof(float));
            }
        }
}

static void padding_never_disturbs_real_columns(void **state)
{
    (void)state;
    with_every_activation(check_padding);
}

/* The rows that had no settings once give the bits that they gave then, and 0 and 1 clip the potential. */
static void a_hard_sigmoid_is_pytorchs_or_that_of_the_paper(void **state)
{
    const struct gle_act *row = (const struct gle_act *)gle_table_find(&gle_act_table, "hard_sigmoid");
    static const char *const settings[] = {"{}", "{low: 0, high: 1}"};

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct settings s = settings_of(&row->row, settings[k]);
        const struct gle_act *act = gle_act_for(row, GLE_ISA_BASE);
        float c[GLE_ACT_NUMBERS], u[ACT_LD], r[ACT_LD], dr[ACT_LD];
        gle_act_find_numbers(c, row, s.part.params);
        for (int i = -4000; i < 4000; i += ACT_LD) {
            for (int j = 0; j < ACT_LD; j++)
                u[j] = 1e-3f * (float)(i + j);
            act->eval(r, dr, u, c, 1, ACT_LD, ACT_LD);
            for (int j = 0; j < ACT_LD; j++) {
                const float ramp = k ? u[j] : u[j] * (1.0f / 6.0f) + 0.5f;
                const float want = ramp < 0.0f ? 0.0f : ramp > 1.0f ? 1.0f : ramp;
                const bool within = k ? u[j] > 0.0f && u[j] < 1.0f : u[j] > -3.0f && u[j] < 3.0f;
                assert_true(r[j] >= want && r[j] <= want);
                assert_true(dr[j] == (!within ? 0.0f : k ? 1.0f : 1.0f / 6.0f));
            }
        }
        gle_doc_destroy(s.doc);
    }
}

static void log_probabilities_sum_to_one_with_slope_one(void **state)
{
    static const float none[GLE_ACT_NUMBERS];
    static const float spreads[] = {0.0f, 1.0f, 30.0f, 1e4f, 1e30f};
    enum { B = 4, LD = 40 };

    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (const struct gle_act *a = gle_act_table.rows; a->row.name; a++)
            for (size_t n = 1; a->log_probabilities && n <= LD; n++)
                for (size_t s = 0; s < sizeof spreads / sizeof *spreads; s++) {
                    float u[B * LD], r[B * LD], dr[B * LD];
                    for (size_t i = 0; i < B * LD; i++)
                        u[i] = spreads[s] * sinf((float)(i * i));
                    gle_act_for(a, (enum gle_isa)isa)->eval(r, dr, u, none, B, n, LD);
                    for (size_t b = 0; b < B; b++) {
                        double sum = 0.0;
                        for (size_t i = b * LD; i < b * LD + n; i++) {
                            sum += exp((double)r[i]);
                            assert_true(isfinite(r[i]) && r[i] <= 1e-6f && dr[i] == 1.0f);
                        }
                        assert_true(fabs(sum - 1.0) < 1e-5);
                    }
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_activation_matches_its_slope),
        cmocka_unit_test(every_slope_matches_its_own),
        cmocka_unit_test(curvatures_of_any_potential_are_finite),
        cmocka_unit_test(activations_match_their_libm_formulas),
        cmocka_unit_test(small_rates_keep_their_digits),
        cmocka_unit_test(tanh_stays_within_one_at_every_float_near_its_end),
        cmocka_unit_test(every_activation_passes_nan_on),
        cmocka_unit_test(padding_never_disturbs_real_columns),
        cmocka_unit_test(a_hard_sigmoid_is_pytorchs_or_that_of_the_paper),
        cmocka_unit_test(log_probabilities_sum_to_one_with_slope_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
