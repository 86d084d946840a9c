/* The solver against the plain double-precision loops of the oracle, on random networks. */
#include "../support/build.h"
#include "../support/oracle.h"
#include "../support/random_net.h"
#include "base/memory.h"
#include "kernel/isa.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NETS = 200, STEPS = 25 };

/* The largest magnitude, but at least 0.05: below that, differences of sums are rounding noise. */
static double scale_of(const double *values, size_t n)
{
    double scale = 5e-2;

    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs(values[i]));
    return scale;
}

static void assert_near(const char *what, size_t net, size_t step, size_t layer, const float *got, const double *want,
                        size_t n, double scale)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= 5e-5 * scale))
            fail_msg("net %zu step %zu layer %zu: %s[%zu] is %.9g, the oracle says %.9g", net, step, layer, what, i,
                     (double)got[i], want[i]);
}

static void compare(const struct built *b, const struct oracle *o, size_t net, size_t step)
{
    for (size_t i = 0; i < o->n_layers; i++) {
        const struct oracle_layer *l = &o->layers[i];
        const struct gle_graph_layer *g = &b->graph->layers[i];
        float *values = calloc(l->n * l->n_in + o->B * (l->n + l->n_in), sizeof *values);
        struct {
            const char *name;
            enum gle_var var;
            const double *want;
            size_t n;
            bool seen;
        } vars[] = {
            {"u", GLE_VAR_U, l->u, l->n, true},
            {"r", GLE_VAR_R, l->r, l->n, true},
            {"phi'", GLE_VAR_DR, l->dr, l->n, true},
            {"prosp_u", GLE_VAR_PROSP_U, l->prosp_u, l->n, true},
            {"v", GLE_VAR_V, l->v, l->n, g->needs_error},
            {"e", GLE_VAR_E, l->e, l->n, g->needs_error},
            {"e_inst", GLE_VAR_E_INST, l->e_inst, l->n, g->needs_error},
            {"e_below", GLE_VAR_E_BELOW, l->e_below, l->n_in, g->sends_error},
        };
        for (size_t k = 0; k < sizeof vars / sizeof *vars; k++) {
            if (!vars[k].seen)
                continue;
            gle_net_get_var(b->net, i, vars[k].var, values);
            assert_near(vars[k].name, net, step, i, values, vars[k].want, o->B * vars[k].n,
                        scale_of(vars[k].var == GLE_VAR_DR ? l->prosp_u : vars[k].want, o->B * vars[k].n));
        }
        gle_net_get_param(b->net, i, GLE_WEIGHT, values);
        assert_near("W", net, step, i, values, l->W, l->n * l->n_in, scale_of(l->W, l->n * l->n_in));
        gle_net_get_param(b->net, i, GLE_BIAS, values);
        assert_near("b", net, step, i, values, l->b, l->n, scale_of(l->b, l->n));
        gle_net_get_param(b->net, i, GLE_TAU_M, values);
        assert_near("tau_m", net, step, i, values, l->tau_m, l->n, scale_of(l->tau_m, l->n));
        free(values);
    }
}

/* One step of both, on the same random input and target. */
static void step_both(struct built *b, struct oracle *o, struct gle_rng *rng, bool learn, size_t net, size_t step)
{
    const size_t n_in = b->graph->n_input, n_out = b->exp->layers[b->exp->n_layers - 1].n;
    const struct gle_step s = {.learn = learn, .lr = 1e-3};
    struct gle_error err = {0};
    double *x = calloc(o->B * n_in, sizeof *x), *y = calloc(o->B * n_out, sizeof *y), loss, want;
    size_t ld_x, ld_y;
    float *input = gle_net_input(b->net, &ld_x), *target = gle_net_target(b->net, &ld_y);

    for (size_t i = 0; i < o->B * n_in; i++) {
        input[i / n_in * ld_x + i % n_in] = (float)draw(rng, -1.0, 1.0);
        x[i] = (double)input[i / n_in * ld_x + i % n_in];
    }
    for (size_t r = 0; r < o->B; r++) {
        const size_t label = pick(rng, n_out);
        for (size_t k = 0; k < n_out; k++)
            y[r * n_out + k] = (double)(target[r * ld_y + k] = k == label ? 1.0f : 0.0f);
    }
    want = oracle_step(o, x, y, learn);
    if (gle_net_step(b->net, &s, &loss, &err))
        fail_msg("%s", err.text);
    if (fabs(loss - want) > 2e-5 * fmax(1.0, fabs(want)))
        fail_msg("net %zu step %zu: loss %.9g, the oracle says %.9g", net, step, loss, want);
    if (!o->fragile)
        compare(b, o, net, step);
    free(x);
    free(y);
}

/* Returns the number of steps compared: fewer than asked for where rounding would decide. */
static size_t run_steps(struct built *b, struct oracle *o, struct gle_rng *rng, bool learn, size_t net, size_t steps)
{
    size_t step = 0;

    while (step < steps && !o->fragile)
        step_both(b, o, rng, learn, net, step++);
    return step;
}

static size_t run_random_net(size_t net, size_t threads)
{
    char *yaml = calloc(RANDOM_YAML_BYTES, 1);
    struct gle_rng rng;
    struct built b;
    struct oracle *o;
    size_t B, steps;

    gle_rng_seed(&rng, 1000 + net);
    random_net(yaml, NULL, &B, &rng);
    b = build_text(yaml, threads);
    gle_net_set_batch(b.net, B);
    o = oracle_build(b.graph, b.net, B, ORACLE_SGD, 1e-3, 0.9);
    steps = run_steps(&b, o, &rng, true, net, STEPS);
    gle_net_set_batch(b.net, 2 * B + 1); /* evaluation with repeated rows, then training with fewer */
    oracle_set_batch(o, 2 * B + 1);
    steps += run_steps(&b, o, &rng, false, net, STEPS / 5);
    gle_net_set_batch(b.net, (B + 1) / 2);
    oracle_set_batch(o, (B + 1) / 2);
    steps += run_steps(&b, o, &rng, true, net, STEPS / 5);
    oracle_destroy(o);
    built_clear(&b);
    free(yaml);
    return steps;
}

static void random_nets_follow_the_oracle(void **state)
{
    size_t steps = 0;

    (void)state;
    for (size_t net = 0; net < NETS; net++)
        steps += run_random_net(net, 1);
    assert_true(steps > NETS * STEPS); /* of NETS * STEPS * 7 / 5 */
}

static void they_do_so_with_every_instruction_set(void **state)
{
    (void)state;
    for (int isa = 0; isa < GLE_ISA_COUNT; isa++) {
        setenv("GLESIM_ISA", gle_isa_name((enum gle_isa)isa), 1);
        for (size_t net = NETS; net < NETS + 10; net++)
            run_random_net(net, 1);
    }
    unsetenv("GLESIM_ISA");
}

/* Products that copy panels, and weights that learn block by block of rows, the last one smaller. */
static const char wide_net[] = "glesim: 1\nname: large\ndt: 0.2\nseed: 1\ndataset: {type: npz, file: none.npz}\n"
                              "network:\n  input: 20\n  layers:\n"
                              "    - {name: a, neurons: {count: 701, tau_m: 1.0, tau_r: 0.4}, activation: tanh}\n"
                              "    - {name: b, neurons: {count: 531, tau_m: 0.6, tau_r: 0.2}, activation: tanh}\n"
                              "    - {name: c, neurons: {count: 5, tau_m: 1.0, tau_r: 1.0}, activation: linear}\n"
                              "learning: {loss: cross_entropy, optimizer: {type: sgd, lr: 1e-3, momentum: 0.9}}\n"
                              "training: {epochs: 1, batch_size: 37}\n";

static void large_nets_follow_the_oracle_on_any_threads(void **state)
{
    enum { STEPS_EACH = 4 };

    (void)state;
    for (size_t threads = 1; threads <= 3; threads++) {
        struct built b = build_text(wide_net, threads);
        struct gle_rng rng;
        struct oracle *o;
        gle_rng_seed(&rng, 7);
        gle_net_set_batch(b.net, 37);
        o = oracle_build(b.graph, b.net, 37, ORACLE_SGD, 1e-3, 0.9);
        assert_int_equal(run_steps(&b, o, &rng, true, threads, STEPS_EACH), STEPS_EACH);
        oracle_destroy(o);
        built_clear(&b);
    }
}

static void a_profile_accounts_for_the_time_of_all_threads(void **state)
{
    const struct gle_step learn = {.learn = true, .lr = 1e-3};
    struct gle_profile p, later;
    struct gle_error err = {0};
    struct built b = build_text(wide_net, 2);
    double loss;

    (void)state;
    assert_int_equal(gle_net_step(b.net, &learn, &loss, &err), 0);
    gle_net_get_profile(b.net, &p);
    assert_true(p.seconds == 0.0 && p.products == 0.0 && p.elementwise == 0.0 && p.optimizer == 0.0);
    gle_net_set_profile(b.net, true);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(gle_net_step(b.net, &learn, &loss, &err), 0);
    gle_net_get_profile(b.net, &p);
    assert_true(p.products > 0.0 && p.elementwise > 0.0 && p.optimizer > 0.0);
    assert_true(p.waiting >= 0.0 && p.products + p.elementwise + p.optimizer <= p.seconds); /* on one thread */
    gle_net_set_profile(b.net, false);
    assert_int_equal(gle_net_step(b.net, &learn, &loss, &err), 0);
    gle_net_get_profile(b.net, &later);
    assert_true(later.seconds == 0.0);
    built_clear(&b);
}

static void a_step_says_which_variables_it_has_found(void **state)
{
    static const char yaml[] = "glesim: 1\nname: chain\ndt: 0.2\ndataset: {type: npz, file: none.npz}\n"
                               "network: {input: 2, layers: [{name: a, plastic: [], neurons: {count: 3, tau_m: 1, "
                               "tau_r: 1}}, {name: b, neurons: {count: 3, tau_m: 1, tau_r: 1}}, {name: c, neurons: "
                               "{count: 2, tau_m: 1, tau_r: 1}}]}\n"
                               "learning: {loss: mse}\ntraining: {epochs: 1, batch_size: 2}\n";
    static const enum gle_var of_errors[] = {GLE_VAR_V, GLE_VAR_E, GLE_VAR_E_INST}, others[] = {
        GLE_VAR_U, GLE_VAR_R, GLE_VAR_DR, GLE_VAR_PROSP_U, GLE_VAR_S};
    const struct gle_step steps[] = {{.learn = true, .lr = 1e-3}, {.forward_only = true}, {.nudge = true}};
    struct built b = build_text(yaml, 1);
    struct gle_error err = {0};
    double loss;

    (void)state;
    for (size_t s = 0; s < 3; s++) {
        assert_int_equal(gle_net_step(b.net, &steps[s], &loss, &err), 0);
        for (size_t i = 0; i < 3; i++) {
            for (size_t k = 0; k < sizeof of_errors / sizeof *of_errors; k++)
                assert_int_equal(gle_net_has_var(b.net, i, of_errors[k]), i > 0 && !steps[s].forward_only);
            for (size_t k = 0; k < sizeof others / sizeof *others; k++)
                assert_true(gle_net_has_var(b.net, i, others[k]));
            assert_int_equal(gle_net_has_var(b.net, i, GLE_VAR_E_BELOW), i == 2 && !steps[s].forward_only);
        }
    }
    assert_true(gle_net_learns(b.net, 1, GLE_WEIGHT) && !gle_net_learns(b.net, 0, GLE_WEIGHT));
    gle_net_hold(b.net, 1, GLE_WEIGHT, true);
    assert_true(!gle_net_learns(b.net, 1, GLE_WEIGHT) && gle_net_learns(b.net, 1, GLE_BIAS));
    built_clear(&b);
}

static void a_step_allocates_nothing(void **state)
{
    const struct gle_step learn = {.learn = true, .lr = 1e-3}, evaluate = {.learn = false};
    char *yaml = calloc(RANDOM_YAML_BYTES, 1);
    struct gle_error err = {0};
    struct gle_rng rng;
    struct built b;
    double loss;
    size_t B;
    int rc = 0;

    (void)state;
    gle_rng_seed(&rng, 1);
    random_net(yaml, NULL, &B, &rng);
    b = build_text(yaml, 2);
    gle_memory_fail_after(0);
    gle_net_set_batch(b.net, B);
    gle_net_begin_batch(b.net, true);
    for (size_t i = 0; i < 10; i++)
        rc |= gle_net_step(b.net, i % 2 ? &learn : &evaluate, &loss, &err);
    gle_memory_fail_after((size_t)-1);
    assert_int_equal(rc, 0);
    built_clear(&b);
    free(yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_nets_follow_the_oracle),
        cmocka_unit_test(they_do_so_with_every_instruction_set),
        cmocka_unit_test(large_nets_follow_the_oracle_on_any_threads),
        cmocka_unit_test(a_profile_accounts_for_the_time_of_all_threads),
        cmocka_unit_test(a_step_says_which_variables_it_has_found),
        cmocka_unit_test(a_step_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
