/* Every row of the table of losses, for every instruction set of this processor. */
#include "../support/build.h"
#include "../support/formulas.h"
#include "../support/settings.h"
#include "../support/slopes.h"
#include "config/build.h"
#include "parts/activation.h"
#include "parts/loss.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOSS_LD = 24 };
static const float none[GLE_ACT_NUMBERS]; /* settings of an activation */

/* A loss, with its settings, and what stands below one that wants log-probabilities. */
struct subject {
    const struct gle_loss *loss;
    const void *params;
    const struct gle_act *below;
    const char *isa;
};

static const struct gle_act *log_probabilities(enum gle_isa isa)
{
    for (const struct gle_act *a = gle_act_table.rows; a->row.name; a++)
        if (a->log_probabilities)
            return gle_act_for(a, isa);
    fail_msg("no activation gives log-probabilities");
    return NULL;
}

/* All instruction sets, all losses, with their defaults and with other settings. */
static void with_every_loss(void (*check)(const struct subject *s))
{
    for (int isa = 0; isa < n_isas(); isa++)
        for (const struct gle_loss *l = gle_loss_table.rows; l->row.name; l++)
            for (int others = 0; others <= (l->row.keys != NULL); others++) {
                char yaml[256];
                struct settings s;
                write_other_settings(yaml, sizeof yaml, l->row.keys);
                s = settings_of(&l->row, others ? yaml : NULL);
                check(&(struct subject){gle_loss_for(l, (enum gle_isa)isa), s.part.params,
                                        log_probabilities((enum gle_isa)isa), gle_isa_name((enum gle_isa)isa)});
                gle_doc_destroy(s.doc);
            }
}

/* The loss of one row, and its target error, as functions of what the target error belongs to: r, or u below
 * log-probabilities. out (n) is 0 before; J x afterwards, if there is a curvature. */
static double loss_at(const struct subject *s, float *e, const float *u, const float *y, const float *x, float *out,
                      size_t n)
{
    float r[LOSS_LD], dr[LOSS_LD];
    double loss;

    memcpy(r, u, sizeof r);
    if (s->loss->log_probabilities)
        s->below->eval(r, dr, u, none, 1, n, LOSS_LD);
    loss = s->loss->eval(e, r, y, 1.0f, s->params, 1, n, LOSS_LD);
    if (out && s->loss->curvature)
        s->loss->curvature(out, r, y, x, 1.0f, s->params, 1, n, LOSS_LD);
    return loss;
}

enum { PATH = 4 * 64 };

/* Along a path u0 + t x, t from -2 to 2: the loss falls by scale times e x, and e grows by J x. */
static void check_path(const struct subject *s, size_t n, const float *u0, const float *y, const float *x)
{
    static float loss[PATH], fall[PATH], e[LOSS_LD][PATH], Jx[LOSS_LD][PATH];
    size_t moving = 0;

    for (size_t i = 0; i < n; i++)
        moving += x[i] != 0.0f;

    for (size_t t = 0; t < PATH; t++) {
        float u[LOSS_LD] = {0}, error[LOSS_LD] = {0}, out[LOSS_LD] = {0};
        double along = 0.0;
        for (size_t i = 0; i < n; i++)
            u[i] = u0[i] + ((float)t * 0x1p-6f - 2.0f) * x[i];
        loss[t] = (float)(loss_at(s, error, u, y, x, out, n) / s->loss->scale(n));
        for (size_t i = 0; i < n; i++) {
            along -= (double)error[i] * (double)x[i];
            e[i][t] = error[i];
            Jx[i][t] = out[i];
        }
        fall[t] = (float)along;
    }
    check_slope(&(struct sampled){loss, fall, PATH, 0x1p-6, INFINITY, 2 * moving}, "target error", s->loss->row.name,
                s->isa);
    for (size_t i = 0; s->loss->curvature && i < n; i++)
        check_slope(&(struct sampled){e[i], Jx[i], PATH, 0x1p-6, 0x1p-3, 2 * moving}, "slope of the target error",
                    s->loss->row.name, s->isa);
}

/* Along each output, and along all of them at once. Numbers are such that floats have them exactly. */
static void check_slopes(const struct subject *s)
{
    for (size_t n = 1; n <= 20; n++)
        for (size_t along = 0; along <= n; along++) {
            float u[LOSS_LD] = {0}, y[LOSS_LD] = {0}, x[LOSS_LD] = {0};
            for (size_t i = 0; i < n; i++) {
                u[i] = 0x1p-9f * roundf(768.0f * cosf((float)(3 * i + n)));
                y[i] = s->loss->classes ? (float)(i == n / 2) : 0x1p-9f * roundf(512.0f * sinf((float)(i + n)));
                x[i] = along < n ? (float)(i == along) : 0.25f * roundf(4.0f * sinf((float)(2 * i + 1)));
            }
            check_path(s, n, u, y, x);
        }
}

static void every_loss_matches_its_error_and_that_its_slope(void **state)
{
    (void)state;
    with_every_loss(check_slopes);
}

static void check_curve_adds(const struct subject *s)
{
    enum { B = 3, N = 5 };
    float r[B * LOSS_LD], y[B * LOSS_LD] = {0}, x[B * LOSS_LD], out[2][B * LOSS_LD] = {{0}};

    if (!s->loss->curvature)
        return;
    for (size_t i = 0; i < B * LOSS_LD; i++) {
        r[i] = -0.1f - 0.07f * (float)(i % 11);
        x[i] = sinf((float)i);
        out[1][i] = 0.25f;
    }
    for (size_t b = 0; b < B; b++) {
        y[b * LOSS_LD + b] = 1.0f;
        s->loss->curvature(out[0] + b * LOSS_LD, r + b * LOSS_LD, y + b * LOSS_LD, x + b * LOSS_LD, 1.0f, s->params, 1,
                           N, LOSS_LD);
    }
    s->loss->curvature(out[1], r, y, x, 3.0f, s->params, B, N, LOSS_LD);
    for (size_t i = 0; i < B * LOSS_LD; i++)
        if (fabsf(out[1][i] - 0.25f - (i % LOSS_LD < N ? 3.0f * out[0][i] : 0.0f)) > 1e-6f)
            fail_msg("%s: %g was added, not 3 times %g", s->loss->row.name, (double)out[1][i] - 0.25,
                     (double)out[0][i]);
}

static void every_slope_of_an_error_is_added_times_beta(void **state)
{
    (void)state;
    with_every_loss(check_curve_adds);
}

/* Outputs that are far from their targets, near, and the same. */
static void check_loss_formula(const struct subject *s)
{
    static const float distances[] = {0.0f, 1e-12f, 1e-6f, 1e-4f, 1e-2f, 0.1f,  0.37f,
                                      0.9f, 1.2f,   1.3f,  3.0f,  20.0f, 300.0f};
    const struct loss_formula *formula = find_loss_formula(s->loss->row.name);

    for (size_t n = 1; n <= 20; n++)
        for (size_t k = 0; k < sizeof distances / sizeof *distances; k++) {
            float r[LOSS_LD] = {0}, y[LOSS_LD] = {0}, e[LOSS_LD];
            double r_is[LOSS_LD], y_is[LOSS_LD], want_e[LOSS_LD], got, want;
            for (size_t i = 0; i < n; i++) {
                y[i] = s->loss->classes ? (float)(i == n / 2) : k < 4 ? 0.0f : sinf((float)(i + n));
                r[i] = s->loss->log_probabilities ? -distances[k] : y[i] - (i % 2 ? 1.0f : -1.0f) * distances[k];
                r_is[i] = (double)r[i];
                y_is[i] = (double)y[i];
            }
            want = formula->eval(want_e, r_is, y_is, n, &s->loss->row, s->params);
            got = s->loss->eval(e, r, y, 1.0f, s->params, 1, n, LOSS_LD);
            if (!(fabs(got - want) <= 2e-6 * (s->loss->classes ? fmax(1.0, want) : want)))
                fail_msg("%s (%s) at %g, n = %zu: %.9g, not %.9g", s->loss->row.name, s->isa, (double)distances[k], n,
                         got, want);
            for (size_t i = 0; i < n; i++)
                if (!(fabs((double)e[i] - want_e[i]) <= 1e-6 * fmax(fabs(want_e[i]), s->loss->classes)))
                    fail_msg("%s (%s) at %g, n = %zu: target error %.9g, not %.9g", s->loss->row.name, s->isa,
                             (double)distances[k], n, (double)e[i], want_e[i]);
        }
}

static void losses_match_their_libm_formulas(void **state)
{
    (void)state;
    with_every_loss(check_loss_formula);
}

static void check_beta(const struct subject *s)
{
    enum { B = 3, N = 5 };
    static const float betas[] = {0.0f, 0.25f, 3.0f};
    float r[B * LOSS_LD], y[B * LOSS_LD] = {0}, e[2][B * LOSS_LD];
    double one;

    for (size_t i = 0; i < B * LOSS_LD; i++) {
        r[i] = -0.1f - 0.07f * (float)(i % 11);
        e[0][i] = e[1][i] = 77.0f;
    }
    for (size_t b = 0; b < B; b++)
        y[b * LOSS_LD + b] = 1.0f;
    one = s->loss->eval(e[0], r, y, 1.0f, s->params, B, N, LOSS_LD);
    for (size_t k = 0; k < sizeof betas / sizeof *betas; k++) {
        assert_true(s->loss->eval(e[1], r, y, betas[k], s->params, B, N, LOSS_LD) == one);
        for (size_t i = 0; i < B * LOSS_LD; i++)
            if (i % LOSS_LD < N)
                assert_true(fabsf(e[1][i] - betas[k] * e[0][i]) <= 1e-6f * fabsf(e[0][i]));
            else
                assert_true(e[1][i] == 77.0f); /* padding is left alone */
    }
}

static void beta_scales_every_error_and_no_loss(void **state)
{
    (void)state;
    with_every_loss(check_beta);
}

static void check_sum(const struct subject *s)
{
    enum { B = 7, N = 10 };
    float r[B * LOSS_LD], y[B * LOSS_LD] = {0}, e[2][B * LOSS_LD] = {{0}};
    double sum = 0.0, all;

    for (size_t i = 0; i < B * LOSS_LD; i++)
        r[i] = -0.3f - sinf((float)i) * 0.2f;
    for (size_t b = 0; b < B; b++)
        y[b * LOSS_LD + b] = 1.0f;
    all = s->loss->eval(e[0], r, y, 1.0f, s->params, B, N, LOSS_LD);
    for (size_t b = 0; b < B; b++)
        sum += s->loss->eval(e[1] + b * LOSS_LD, r + b * LOSS_LD, y + b * LOSS_LD, 1.0f, s->params, 1, N, LOSS_LD);
    assert_true(all == sum);
    assert_memory_equal(e[0], e[1], sizeof e[0]);
}

static void the_loss_of_a_batch_is_the_sum_over_its_rows(void **state)
{
    (void)state;
    with_every_loss(check_sum);
}

static void check_extremes(const struct subject *s)
{
    static const float sizes[] = {80.0f, 1e4f, 1e15f};

    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (size_t label = 0; label < 2; label++) {
            const double a = (double)sizes[k], wrong = label ? 1.0 : 0.0;
            float u[LOSS_LD] = {sizes[k], -sizes[k]}, y[LOSS_LD] = {0}, e[LOSS_LD];
            double got, want, want_e[2] = {-wrong, wrong};
            y[label] = 1.0f;
            got = loss_at(s, e, u, y, NULL, NULL, 2);
            want = s->loss->classes
                       ? wrong * 2.0 * a
                       : find_loss_formula(s->loss->row.name)
                             ->eval(want_e, (double[]){a, -a}, (double[]){(double)y[0], (double)y[1]}, 2, &s->loss->row,
                                    s->params);
            for (size_t i = 0; i < 2; i++)
                if (!(fabs((double)e[i] - want_e[i]) <= 1e-6 * fmax(1.0, fabs(want_e[i]))))
                    fail_msg("%s of +-%g, label %zu: error %.9g, not %.9g", s->loss->row.name, a, label, (double)e[i],
                             want_e[i]);
            if (!(fabs(got - want) <= 1e-6 * fmax(1.0, want)))
                fail_msg("%s of +-%g, label %zu: %.9g, not %.9g", s->loss->row.name, a, label, got, want);
        }
}

static void losses_of_extreme_outputs_are_finite_and_right(void **state)
{
    (void)state;
    with_every_loss(check_extremes);
}

static void check_nan(const struct subject *s)
{
    float r[LOSS_LD] = {NAN}, y[LOSS_LD] = {0}, e[LOSS_LD] = {0};

    if (!isnan(s->loss->eval(e, r, y, 1.0f, s->params, 1, 1, LOSS_LD)) && !s->loss->classes)
        fail_msg("the %s of NaN is a number", s->loss->row.name);
    if (!isnan(e[0]))
        fail_msg("the target error of %s is %g where the output is NaN", s->loss->row.name, (double)e[0]);
}

static void every_loss_passes_nan_on(void **state)
{
    (void)state;
    with_every_loss(check_nan);
}

/* --- in a config --- */

/* What the resolved config says of a loss: its name, as before any loss had settings, or a map with all of them. */
static void a_loss_without_settings_stays_a_name(void **state)
{
    static const char *const losses[][2] = {
        {"mse", "mse"}, {"log_cosh", "log_cosh"}, {"huber", NULL}, {"{type: huber, delta: 1.0}", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        const struct gle_node *loss;
        struct built b;
        char yaml[512];
        snprintf(yaml, sizeof yaml,
                 "glesim: 1\nname: resolved\ndt: 0.1\ndataset: {type: npz, file: none.npz}\n"
                 "network: {input: 2, layers: [{name: a, neurons: {count: 2, tau_m: 1.0, tau_r: 0.5}}]}\n"
                 "learning: {loss: %s}\ntraining: {epochs: 1, batch_size: 4}\n",
                 losses[i][0]);
        b = built_load(yaml);
        loss = gle_node_get(gle_node_get(b.exp->src, "learning"), "loss");
        if (losses[i][1]) {
            assert_int_equal(loss->kind, GLE_NODE_SCALAR);
            assert_string_equal(loss->text, losses[i][1]);
            assert_null(b.exp->loss_params);
        } else {
            assert_string_equal(gle_node_get(loss, "type")->text, "huber");
            assert_string_equal(gle_node_get(loss, "delta")->text, "1.0");
            assert_true(setting_of(&b.exp->loss->row, b.exp->loss_params, "delta") == 1.0);
        }
        built_clear(&b);
    }
}

/* --- parts without second derivatives --- */

/* One layer after the other feeds back, its own gamma or all layers'; expects these errors, one a line. */
static void check_refused(const char *learning, const char *gamma, bool loss_lacks, const char *act_lacks,
                          const char *want)
{
    char yaml[1024], got[2048] = "";
    struct gle_act acts[3];
    struct gle_loss loss;
    struct gle_errors errs = {0};
    struct gle_experiment changed;
    struct gle_layer_cfg layers[3];
    struct built b;

    snprintf(yaml, sizeof yaml,
             "glesim: 1\nname: lacking\ndt: 0.1\ndataset: {type: npz, file: none.npz}\n"
             "network:\n  input: 2\n  layers:\n"
             "    - {name: a, neurons: {count: 4, tau_m: 1.0, tau_r: 0.5}, activation: tanh}\n"
             "    - {name: b, neurons: {count: 4, tau_m: 1.0, tau_r: 0.5}, activation: relu%s}\n"
             "    - {name: c, neurons: {count: 2, tau_m: 1.0, tau_r: 0.5}, activation: softplus}\n"
             "%s\ntraining: {epochs: 1, batch_size: 4}\n",
             gamma, learning);
    b = built_load(yaml);
    changed = *b.exp;
    changed.layers = layers;
    for (size_t i = 0; i < 3; i++) {
        layers[i] = b.exp->layers[i];
        acts[i] = *layers[i].act;
        if (act_lacks && !strcmp(acts[i].row.name, act_lacks))
            acts[i].curvature = NULL;
        layers[i].act = &acts[i];
    }
    loss = *b.exp->loss;
    if (loss_lacks)
        loss.curvature = NULL;
    changed.loss = &loss;
    assert_int_equal(gle_curvatures_check(&changed, &errs), *want ? -1 : 0);
    for (size_t i = 0; i < errs.n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%zu:%zu: %s: %s\n", (size_t)errs.item[i].line,
                 (size_t)errs.item[i].column, errs.item[i].path, errs.item[i].text);
    assert_string_equal(got, want);
    built_clear(&b);
}

static void what_lacks_a_second_derivative_is_refused_where_one_is_needed(void **state)
{
    static const char bptt[] = "learning: {loss: huber, rule: bptt, window: 1.0, gamma: 0.1}";
    static const char still[] = "learning: {loss: huber, rule: bptt, window: 1.0}";
    static const char gle[] = "learning: {loss: huber, rule: gle, gamma: 0.1}";
    static const char adjoint[] = "learning: {loss: huber, rule: adjoint, window: 1.0}";
    static const char beside[] = "diagnose: {gradient: adjoint, window: 1.0, every: 10}\n"
                                 "learning: {loss: huber, gamma: 0.1}"; /* has no feedback of errors */
    static const char diagnosed[] = "diagnose: {window: 1.0, every: 10}\nlearning: {loss: huber, gamma: 0.1}";

    (void)state;
    check_refused(bptt, "", false, NULL, "");
    check_refused(bptt, "", false, "relu", ""); /* it is straight */
    check_refused(gle, "", true, "tanh", "");
    check_refused(still, "", true, "tanh", "");
    check_refused(adjoint, "", true, "tanh", "");
    check_refused(beside, "", true, "tanh", "");
    check_refused(bptt, "", true, NULL,
                  "11:57: learning.gamma: the loss huber has no second derivative (curvature), which the exact "
                  "gradients of bptt need where errors feed back into membranes: gamma must be 0\n");
    check_refused(diagnosed, "", true, NULL,
                  "12:32: learning.gamma: the loss huber has no second derivative (curvature), which the exact "
                  "gradients of bptt need where errors feed back into membranes: gamma must be 0\n");
    check_refused(still, ", gamma: 0.2", true, "softplus",
                  "9:87: network.layers[1].gamma: the loss huber has no second derivative (curvature), which the exact "
                  "gradients of bptt need where errors feed back into membranes: gamma must be 0\n"
                  "9:87: network.layers[1].gamma: the activation softplus of layer c has no second derivative "
                  "(curvature), which the exact gradients of bptt need where errors feed back into membranes: gamma "
                  "must be 0\n");
    check_refused(still, ", gamma: 0.2", false, "tanh", ""); /* below what feeds back */
    check_refused(bptt, ", gamma: 0", false, "tanh",
                  "11:57: learning.gamma: the activation tanh of layer a has no second derivative (curvature), which "
                  "the exact gradients of bptt need where errors feed back into membranes: gamma must be 0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_loss_matches_its_error_and_that_its_slope),
        cmocka_unit_test(every_slope_of_an_error_is_added_times_beta),
        cmocka_unit_test(losses_match_their_libm_formulas),
        cmocka_unit_test(beta_scales_every_error_and_no_loss),
        cmocka_unit_test(the_loss_of_a_batch_is_the_sum_over_its_rows),
        cmocka_unit_test(losses_of_extreme_outputs_are_finite_and_right),
        cmocka_unit_test(every_loss_passes_nan_on),
        cmocka_unit_test(a_loss_without_settings_stays_a_name),
        cmocka_unit_test(what_lacks_a_second_derivative_is_refused_where_one_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
