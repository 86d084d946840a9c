/* Windows: gradients of the sweep back against central differences of the oracle, in double precision. */
#include "../support/build.h"
#include "../support/by_layer.h"
#include "../support/oracle.h"
#include "../support/random_net.h"
#include "base/memory.h"
#include "parts/rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NETS = 60, WARM = 7, STEPS = 12, ENTRIES = 6 };

static const struct gle_rule *rule(const char *name)
{
    return (const struct gle_rule *)gle_table_find(&gle_rule_table, name);
}

/* T steps of input (T, B, n_in) and target (T, B, n_out). */
struct stretch {
    size_t T, B, n_in, n_out;
    double *x, *y;
    const bool *unasked; /* (T): steps without a target; NULL: none */
};

static struct stretch random_stretch(const struct built *b, size_t T, size_t B, struct gle_rng *rng)
{
    struct stretch s = {T, B, b->graph->n_input, b->exp->layers[b->exp->n_layers - 1].n, NULL, NULL,
                        NULL};

    s.x = calloc(T * B * s.n_in, sizeof *s.x);
    s.y = calloc(T * B * s.n_out, sizeof *s.y);
    for (size_t i = 0; i < T * B * s.n_in; i++)
        s.x[i] = (double)(float)draw(rng, -1.0, 1.0);
    for (size_t i = 0; i < T * B; i++)
        random_target(s.y + i * s.n_out, s.n_out, b->exp, rng);
    return s;
}

static void stretch_free(struct stretch *s)
{
    free(s->x);
    free(s->y);
}

static void feed(struct gle_net *net, const struct stretch *s, size_t t)
{
    size_t ld_x, ld_y;
    float *x = gle_net_input(net, &ld_x), *y = gle_net_target(net, &ld_y);

    for (size_t b = 0; b < s->B; b++) {
        for (size_t k = 0; k < s->n_in; k++)
            x[b * ld_x + k] = (float)s->x[(t * s->B + b) * s->n_in + k];
        for (size_t k = 0; k < s->n_out; k++)
            y[b * ld_y + k] = (float)s->y[(t * s->B + b) * s->n_out + k];
    }
}

static void run_net(struct gle_net *net, const struct stretch *s, size_t from, size_t to)
{
    struct gle_step step = {.nudge = true};
    struct gle_error err = {0};
    double loss;

    for (size_t t = from; t < to; t++) {
        step.unasked = s->unasked && s->unasked[t];
        feed(net, s, t);
        if (gle_net_step(net, &step, &loss, &err))
            fail_msg("%s", err.text);
    }
}

/* Gradients may be off by so much as errors and rates may: the sweep goes back through the same gains that steps go
 * through, and sums over the window. */
static const double ROUGHNESS = 4.0;

/* Gradients of all plastic parameters of a layer at once would take long; ENTRIES of each do. */
static void check_param(const struct built *b, struct oracle *o, size_t net, size_t layer, enum gle_param p,
                        const struct stretch *s, struct gle_rng *rng)
{
    const double h = 1e-6;
    struct oracle_layer *l = &o->layers[layer];
    const size_t n = p == GLE_WEIGHT ? l->n * l->n_in : l->n;
    double *values = p == GLE_WEIGHT ? l->W : p == GLE_BIAS ? l->b : p == GLE_TAU_M ? l->tau_m : l->tau_r, scale = 1e-3;
    const double at_all = oracle_window(o, s->x, s->y, s->T);
    float *got = calloc(n, sizeof *got);

    layer_get_gradient(b->net, layer, p, got);
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs((double)got[i]));
    for (size_t k = 0; k < ENTRIES && k < n; k++) {
        const size_t i = n <= ENTRIES ? k : pick(rng, n);
        const double at = values[i];
        double high, low, want, kinks;

        values[i] = at + h;
        high = oracle_window(o, s->x, s->y, s->T);
        values[i] = at - h;
        low = oracle_window(o, s->x, s->y, s->T);
        values[i] = at;
        want = (high - low) / (2.0 * h);
        kinks = fabs(high - 2.0 * at_all + low) / (2.0 * h); /* what a kink within h makes of `want` */
        if (!o->fragile && !o->bent && !(fabs((double)got[i] - want) <= ROUGHNESS * o->rough * scale + kinks))
            fail_msg("net %zu layer %zu %s[%zu]: gradient %.9g, differences say %.9g (largest %.3g, rough %.2g)", net,
                     layer, gle_params[p].name, i, (double)got[i], want, scale, o->rough);
    }
    free(got);
}

/* unasked: of the window's steps, or NULL. Returns whether the net could be compared. */
static bool check_random_net(size_t net, const char *rule_name, size_t threads, const bool *unasked)
{
    char *yaml = calloc(RANDOM_YAML_BYTES, 1);
    struct gle_error err = {0};
    struct stretch warm, s;
    struct gle_rng rng;
    struct built b;
    struct oracle *o;
    bool compared;
    size_t B;

    seed_net(&rng, 5000 + net);
    random_net(yaml, rule_name, &B, &rng);
    B = B > 5 ? 5 : B;
    b = build_windows(yaml, STEPS, threads);
    gle_net_set_batch(b.net, B);
    o = oracle_build(b.graph, b.net, B, ORACLE_SGD, 0.0, 0.0);
    o->nudge = true;
    warm = random_stretch(&b, WARM, B, &rng);
    s = random_stretch(&b, STEPS, B, &rng);
    s.unasked = o->window_unasked = unasked;
    run_net(b.net, &warm, 0, WARM);
    for (size_t t = 0; t < WARM; t++)
        oracle_step(o, warm.x + t * B * warm.n_in, warm.y + t * B * warm.n_out, false);
    gle_net_begin_window(b.net);
    run_net(b.net, &s, 0, STEPS);
    if (gle_net_end_window(b.net, rule("bptt"), false, 0.0, &err))
        fail_msg("%s", err.text);
    oracle_window(o, s.x, s.y, STEPS);
    for (size_t i = 0; i < b.graph->n_populations && !o->fragile && !o->bent; i++)
        for (int p = 0; p < GLE_PARAMS; p++)
            if (b.graph->populations[i].cfg->plastic[p])
                check_param(&b, o, net, i, (enum gle_param)p, &s, &rng);
    compared = !o->fragile && !o->bent;
    stretch_free(&warm);
    stretch_free(&s);
    oracle_destroy(o);
    built_clear(&b);
    free(yaml);
    return compared;
}

static void bptt_is_the_exact_gradient_with_instantaneous_errors(void **state)
{
    size_t compared = 0;

    (void)state;
    for (size_t net = 0; net < NETS; net++)
        compared += check_random_net(net, "bp", 1 + net % 2, NULL);
    assert_true(compared > NETS / 2);
}

static void and_with_prospective_errors(void **state)
{
    size_t compared = 0;

    (void)state;
    for (size_t net = NETS; net < 2 * NETS; net++)
        compared += check_random_net(net, "gle", 1 + net % 2, NULL);
    assert_true(compared > NETS / 2);
}

/* At the start of the window, in the middle, at its end, or all but one. */
static void and_where_steps_have_no_target(void **state)
{
    static const bool unasked[][STEPS] = {
        {1, 1, 1, 1, 1, 1, 1}, {0, 0, 1, 0, 1, 1, 0, 1}, {[8] = 1, 1, 1, 1}, {1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1}};
    size_t compared = 0;

    (void)state;
    for (size_t net = 3 * NETS; net < 4 * NETS; net++)
        compared += check_random_net(net, net % 2 ? "gle" : "bp", 1 + net % 2, unasked[net / 2 % 4]);
    assert_true(compared > NETS / 2);
}

static void sweeps_are_exact(void **state)
{
    use_isa(*state);
    for (size_t net = 0; net < 8; net++)
        check_random_net(2 * NETS + net, net % 2 ? "gle" : "bp", 1, NULL);
    use_isa(NULL);
}

/* --- adjoint --- */

/* Three layers with memory; the same times, inputs and targets whatever dt is. */
static struct built smooth_net(double dt, size_t steps)
{
    char yaml[2048];

    snprintf(yaml, sizeof yaml,
             "glesim: 1\nname: smooth\nseed: 3\ndt: %.9g\ndataset: {type: npz, file: none.npz}\n"
             "network:\n  input: 2\n  layers:\n"
             "    - {name: a, neurons: {tau_m: [1.0, 0.6, 1.5, 0.8], tau_r: [0.3, 0.6, 0.2, 1.4]}, activation: tanh}\n"
             "    - {name: b, neurons: {tau_m: [0.7, 1.2, 0.9], tau_r: [0.2, 1.2, 0.5]}, activation: softplus}\n"
             "    - {name: c, neurons: {tau_m: [0.5, 1.0], tau_r: [0.4, 0.2]}}\n"
             "learning: {loss: mse, plastic: [weight, bias, tau_m, tau_r]}\n"
             "training: {epochs: 0, batch_size: 3}\n",
             dt);
    return build_windows(yaml, steps, 1);
}

static struct stretch smooth_stretch(const struct built *b, double dt, size_t T)
{
    struct stretch s = {T, 3, 2, 2, NULL, NULL, NULL};

    (void)b;
    s.x = calloc(T * s.B * s.n_in, sizeof *s.x);
    s.y = calloc(T * s.B * s.n_out, sizeof *s.y);
    for (size_t t = 0; t < T; t++)
        for (size_t k = 0; k < s.B * 2; k++) {
            s.x[t * s.B * 2 + k] = sin(0.9 * (double)t * dt + (double)k);
            s.y[t * s.B * 2 + k] = cos(0.7 * (double)t * dt + 2.0 * (double)k);
        }
    return s;
}

/* All gradients of one sweep over the same stretch of time, divided by what makes them independent of dt. Before time
 * `asked` there is no target. */
static size_t smooth_gradient(double *out, const char *how, double dt, double asked)
{
    const size_t warm = (size_t)lround(4.0 / dt), T = (size_t)lround(3.0 / dt);
    struct built b = smooth_net(dt, T);
    struct stretch s = smooth_stretch(&b, dt, warm + T);
    struct gle_error err = {0};
    bool *unasked = calloc(warm + T, sizeof *unasked);
    size_t at = 0;

    for (size_t t = 0; (double)t * dt < asked - 0.5 * dt; t++)
        unasked[t] = true;
    s.unasked = unasked;
    gle_net_set_batch(b.net, s.B);
    run_net(b.net, &s, 0, warm);
    gle_net_begin_window(b.net);
    run_net(b.net, &s, warm, warm + T);
    if (gle_net_end_window(b.net, rule(how), false, 0.0, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < b.graph->n_populations; i++)
        for (int p = 0; p < GLE_PARAMS; p++) {
            const size_t n = layer_param_size(b.graph, i, (enum gle_param)p);
            float values[64];
            layer_get_gradient(b.net, i, (enum gle_param)p, values);
            for (size_t k = 0; k < n; k++)
                out[at++] = (double)values[k] * (rule(how)->continuous ? 1.0 : dt);
        }
    free(unasked);
    stretch_free(&s);
    built_clear(&b);
    return at;
}

static double distance(const double *a, const double *b, size_t n)
{
    double d = 0.0, size = 0.0;

    for (size_t i = 0; i < n; i++) {
        d += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return sqrt(d / size);
}

/* Both are first-order in dt, so that their difference halves with it. */
static void converge(double asked)
{
    double adjoint[64], bptt[64], last = 0.0;

    for (double dt = 0.08; dt > 0.0024; dt /= 2.0) {
        const size_t n = smooth_gradient(adjoint, "adjoint", dt, asked);
        double d;
        assert_int_equal(smooth_gradient(bptt, "bptt", dt, asked), n);
        d = distance(adjoint, bptt, n);
        print_message("dt = %.4g: relative difference of adjoint and bptt %.3g\n", dt, d);
        if (last > 0.0)
            assert_true(d < 0.62 * last);
        last = d;
    }
    assert_true(last < 0.02);
}

static void the_adjoint_gradient_converges_to_that_of_bptt(void **state)
{
    (void)state;
    converge(0.0);
}

static void and_where_the_target_comes_late(void **state)
{
    (void)state;
    converge(5.44); /* of a window from 4 to 7 */
}

/* --- the window as a part of a run --- */

static float *all_gradients(const struct built *b, size_t *n)
{
    float *values = calloc(1 << 16, sizeof *values);

    *n = 0;
    for (size_t i = 0; i < b->graph->n_populations; i++)
        for (int p = 0; p < GLE_PARAMS; p++) {
            layer_get_gradient(b->net, i, (enum gle_param)p, values + *n);
            *n += layer_param_size(b->graph, i, (enum gle_param)p);
        }
    return values;
}

static void threads_change_no_bit_of_a_sweep(void **state)
{
    static const char yaml[] = "glesim: 1\nname: wide\ndt: 0.1\ndataset: {type: npz, file: none.npz}\n"
                               "network:\n  input: 5\n  layers:\n"
                               "    - {name: a, repeat: 4, neurons: {count: 90, tau_m: 0.8, tau_r: 0.3}, "
                               "activation: tanh}\n"
                               "    - {name: c, neurons: {count: 6, tau_m: 0.5, tau_r: 0.4}}\n"
                               "learning: {loss: mse, gamma: 0.05, plastic: [weight, bias, tau_m, tau_r]}\n"
                               "training: {epochs: 0, batch_size: 64}\n";
    static const char *const ways[] = {"bptt", "adjoint"};

    (void)state;
    for (size_t w = 0; w < 2; w++) {
        float *one = NULL;
        for (size_t threads = 1; threads <= 4; threads++) {
            struct built b = build_windows(yaml, STEPS, threads);
            struct gle_error err = {0};
            struct gle_rng rng;
            struct stretch s;
            float *got;
            size_t n;

            gle_rng_seed(&rng, 8);
            gle_net_set_batch(b.net, 64);
            s = random_stretch(&b, STEPS, 64, &rng);
            gle_net_begin_window(b.net);
            run_net(b.net, &s, 0, STEPS);
            assert_int_equal(gle_net_end_window(b.net, rule(ways[w]), false, 0.0, &err), 0);
            got = all_gradients(&b, &n);
            if (one)
                assert_memory_equal(one, got, n * sizeof *got);
            stretch_free(&s);
            built_clear(&b);
            free(threads == 1 ? NULL : got);
            one = threads == 1 ? got : one;
        }
        free(one);
    }
}

/* The gradients of a window of these rows, over and over until there are B. */
static float *gradients_of(const char *yaml, const char *way, const struct stretch *few, size_t B, size_t *n)
{
    struct stretch s = {few->T, B, few->n_in, few->n_out, calloc(few->T * B * few->n_in, sizeof *s.x),
                        calloc(few->T * B * few->n_out, sizeof *s.y), NULL};
    struct built b = build_windows(yaml, few->T, 1);
    struct gle_error err = {0};
    float *got;

    for (size_t i = 0; i < few->T * B; i++) {
        const size_t from = i / B * few->B + i % B % few->B;
        memcpy(s.x + i * s.n_in, few->x + from * s.n_in, s.n_in * sizeof *s.x);
        memcpy(s.y + i * s.n_out, few->y + from * s.n_out, s.n_out * sizeof *s.y);
    }
    gle_net_set_batch(b.net, B);
    gle_net_begin_window(b.net);
    run_net(b.net, &s, 0, s.T);
    assert_int_equal(gle_net_end_window(b.net, rule(way), false, 0.0, &err), 0);
    got = all_gradients(&b, n);
    stretch_free(&s);
    built_clear(&b);
    return got;
}

/* Sums over 7,200 rows, which are made in parts, against those over 600, which are not. */
static void rows_that_come_several_times_change_no_gradient(void **state)
{
    enum { FEW = 50, MANY = 600 };
    static const char yaml[] = "glesim: 1\nname: rows\ndt: 0.1\ndataset: {type: npz, file: none.npz}\n"
                               "network:\n  input: 3\n  layers:\n"
                               "    - {name: a, neurons: {count: 7, tau_m: 0.8, tau_r: 0.3}, activation: tanh}\n"
                               "    - {name: b, neurons: {count: 2, tau_m: 0.5, tau_r: 0.4}}\n"
                               "learning: {loss: cross_entropy, plastic: [weight, bias, tau_m, tau_r]}\n"
                               "training: {epochs: 0, batch_size: 600}\n";
    static const char *const ways[] = {"bptt", "adjoint"};
    struct built b = build_windows(yaml, STEPS, 1);
    struct stretch s;
    struct gle_rng rng;

    (void)state;
    gle_rng_seed(&rng, 9);
    s = random_stretch(&b, STEPS, FEW, &rng);
    for (size_t w = 0; w < 2; w++) {
        size_t n;
        float *few = gradients_of(yaml, ways[w], &s, FEW, &n), *many = gradients_of(yaml, ways[w], &s, MANY, &n);
        float largest = 0.0f;
        for (size_t i = 0; i < n; i++)
            largest = fmaxf(largest, fabsf(few[i]));
        assert_true(largest > 0.0f);
        for (size_t i = 0; i < n; i++)
            if (!(fabsf(many[i] - few[i]) <= 2e-5f * largest))
                fail_msg("%s, entry %zu: %.9g of %d rows, %.9g of %d", ways[w], i, (double)few[i], FEW,
                         (double)many[i], MANY);
        free(few);
        free(many);
    }
    stretch_free(&s);
    built_clear(&b);
}

static void a_window_allocates_nothing_and_may_be_short_or_empty(void **state)
{
    char *yaml = calloc(RANDOM_YAML_BYTES, 1);
    struct gle_error err = {0};
    struct gle_rng rng;
    struct stretch s;
    struct built b;
    size_t B;
    int rc = 0;

    (void)state;
    gle_rng_seed(&rng, 4);
    random_net(yaml, "bp", &B, &rng);
    b = build_windows(yaml, STEPS, 2);
    gle_net_set_batch(b.net, B);
    s = random_stretch(&b, STEPS, B, &rng);
    gle_memory_fail_after(0);
    for (size_t steps = 0; steps <= STEPS; steps += 4) {
        gle_net_begin_window(b.net);
        run_net(b.net, &s, 0, steps);
        rc |= gle_net_end_window(b.net, rule(steps % 8 ? "bptt" : "adjoint"), true, 1e-3, &err);
    }
    gle_memory_fail_after((size_t)-1);
    assert_int_equal(rc, 0);
    stretch_free(&s);
    built_clear(&b);
    free(yaml);
}

static void a_parameter_that_is_held_stays(void **state)
{
    struct built b = smooth_net(0.1, STEPS);
    struct stretch s = smooth_stretch(&b, 0.1, STEPS);
    struct gle_error err = {0};
    float before[64], after[64];

    (void)state;
    gle_net_set_batch(b.net, 3);
    layer_hold(b.net, 1, GLE_WEIGHT, true);
    for (int round = 0; round < 2; round++) {
        layer_get_param(b.net, 1, GLE_WEIGHT, before);
        gle_net_begin_window(b.net);
        run_net(b.net, &s, 0, STEPS);
        assert_int_equal(gle_net_end_window(b.net, rule("bptt"), true, 1e-2, &err), 0);
        layer_get_param(b.net, 1, GLE_WEIGHT, after);
        assert_int_equal(!memcmp(before, after, 12 * sizeof *after), round == 0);
        layer_hold(b.net, 1, GLE_WEIGHT, false);
    }
    stretch_free(&s);
    built_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bptt_is_the_exact_gradient_with_instantaneous_errors),
        cmocka_unit_test(and_with_prospective_errors),
        cmocka_unit_test(and_where_steps_have_no_target),
        ISA_TESTS(sweeps_are_exact),
        cmocka_unit_test(the_adjoint_gradient_converges_to_that_of_bptt),
        cmocka_unit_test(and_where_the_target_comes_late),
        cmocka_unit_test(threads_change_no_bit_of_a_sweep),
        cmocka_unit_test(rows_that_come_several_times_change_no_gradient),
        cmocka_unit_test(a_window_allocates_nothing_and_may_be_short_or_empty),
        cmocka_unit_test(a_parameter_that_is_held_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
