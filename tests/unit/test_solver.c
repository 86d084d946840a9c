/* The solver against the plain double-precision loops of the oracle, on random networks. */
#include "../support/build.h"
#include "../support/by_layer.h"
#include "../support/oracle.h"
#include "../support/random_net.h"
#include "base/archive.h"
#include "base/memory.h"
#include "base/npz.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NETS = 200, STEPS = 25 };

static void assert_near(const char *what, size_t net, size_t step, size_t layer, const float *got, const double *want,
                        const double *spread, size_t n)
{
    for (size_t i = 0; i < n; i++)
        /* the smallest numbers of single precision are so far apart, and an error may look ahead by some of that */
        if (!(fabs((double)got[i] - want[i]) <= ORACLE_SPREADS * spread[i] + 16.0 * (double)FLT_TRUE_MIN))
            fail_msg("net %zu step %zu layer %zu: %s[%zu] is %.9g, the oracle says %.9g, with a spread of %.2g", net,
                     step, layer, what, i, (double)got[i], want[i], spread[i]);
}

static void compare(const struct built *b, const struct oracle *o, size_t net, size_t step)
{
    for (size_t i = 0; i < o->n_layers; i++) {
        const struct oracle_layer *l = &o->layers[i];
        const struct gle_population *g = &b->graph->populations[i];
        float *values = calloc(l->n * l->n_in + o->B * (l->n + l->n_in), sizeof *values);
        struct {
            const char *name;
            enum layer_var var;
            const double *want, *spread;
            size_t n;
            bool seen;
        } vars[] = {
            {"u", VAR_U, l->u, l->spread.u, l->n, true},
            {"r", VAR_R, l->r, l->spread.r, l->n, true},
            {"phi'", VAR_DR, l->dr, l->spread.dr, l->n, true},
            {"prosp_u", VAR_PROSP_U, l->prosp_u, l->spread.prosp_u, l->n, true},
            {"v", VAR_V, l->v, l->spread.v, l->n, g->needs_error},
            {"e", VAR_E, l->e, l->spread.e, l->n, g->needs_error},
            {"e_inst", VAR_E_INST, l->e_inst, l->spread.e_inst, l->n, g->needs_error},
            {"e_below", VAR_E_BELOW, l->e_below, l->spread.e_below, l->n_in, layer_sends_error(b->graph, i)},
        };
        for (size_t k = 0; k < sizeof vars / sizeof *vars; k++) {
            if (!vars[k].seen)
                continue;
            layer_get_var(b->net, i, vars[k].var, values);
            assert_near(vars[k].name, net, step, i, values, vars[k].want, vars[k].spread, o->B * vars[k].n);
        }
        layer_get_param(b->net, i, GLE_WEIGHT, values);
        assert_near("W", net, step, i, values, l->W, l->spread.W, l->n * l->n_in);
        layer_get_param(b->net, i, GLE_BIAS, values);
        assert_near("b", net, step, i, values, l->b, l->spread.b, l->n);
        layer_get_param(b->net, i, GLE_TAU_M, values);
        assert_near("tau_m", net, step, i, values, l->tau_m, l->spread.tau_m, l->n);
        layer_get_param(b->net, i, GLE_TAU_R, values);
        for (size_t k = 0; (!g->cfg->plastic[GLE_TAU_R] || !o->t) && k < l->n; k++) /* it has not moved */
            assert_true(values[k] >= (float)l->tau_r[k] && values[k] <= (float)l->tau_r[k]);
        if (g->cfg->plastic[GLE_TAU_R] && o->t)
            assert_near("tau_r", net, step, i, values, l->tau_r, l->spread.tau_r, l->n);
        free(values);
    }
}

/* One step of both, on the same random input and target. */
static void step_both(struct built *b, struct oracle *o, struct gle_rng *rng, bool learn, size_t net, size_t step)
{
    const size_t n_in = b->graph->n_input, n_out = b->exp->layers[b->exp->n_layers - 1].n;
    const struct gle_step s = {.learn = learn, .unasked = o->unasked, .lr = 1e-3};
    struct gle_error err = {0};
    double *x = calloc(o->B * n_in, sizeof *x), *y = calloc(o->B * n_out, sizeof *y), loss, want;
    size_t ld_x, ld_y;
    float *input = gle_net_input(b->net, &ld_x), *target = gle_net_target(b->net, &ld_y);

    for (size_t i = 0; i < o->B * n_in; i++) {
        input[i / n_in * ld_x + i % n_in] = (float)draw(rng, -1.0, 1.0);
        x[i] = (double)input[i / n_in * ld_x + i % n_in];
    }
    for (size_t r = 0; r < o->B; r++) {
        random_target(y + r * n_out, n_out, b->exp, rng);
        for (size_t k = 0; k < n_out; k++)
            target[r * ld_y + k] = (float)y[r * n_out + k];
    }
    want = oracle_step(o, x, y, learn);
    if (gle_net_step(b->net, &s, &loss, &err))
        fail_msg("%s", err.text);
    if (fabs(loss - want) > ORACLE_SPREADS * o->loss_spread)
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

    seed_net(&rng, 1000 + net);
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

/* Of steps that learn, or do not; now and then, or for long. Beside the oracle's variables, the output is summed over
 * the others alone. */
static void steps_without_a_target_follow_the_oracle(void **state)
{
    enum { FEW = 40 };
    size_t steps = 0;

    (void)state;
    for (size_t net = 0; net < FEW; net++) {
        char *yaml = calloc(RANDOM_YAML_BYTES, 1);
        struct gle_rng rng;
        struct built b;
        struct oracle *o;
        size_t B, n;
        float *sum, *want;
        seed_net(&rng, 3000 + net);
        random_net(yaml, NULL, &B, &rng);
        b = build_text(yaml, 1 + net % 3);
        n = B * b.exp->layers[b.exp->n_layers - 1].n;
        sum = calloc(n, sizeof *sum), want = calloc(n, sizeof *want);
        gle_net_set_batch(b.net, B);
        gle_net_begin_batch(b.net, false);
        o = oracle_build(b.graph, b.net, B, ORACLE_SGD, 1e-3, 0.9);
        for (size_t t = 0; t < STEPS && !o->fragile; t++, steps++) {
            float *before = calloc(n, sizeof *before);
            o->unasked = net % 2 ? t % 3 != 1 : t >= 8 && t < 20;
            layer_get_var(b.net, o->n_layers - 1, VAR_R, before);
            step_both(&b, o, &rng, t % 5 != 4, net, t);
            for (size_t i = 0; i < n; i++)
                want[i] += o->unasked ? 0.0f : before[i];
            free(before);
        }
        gle_net_get_output_sum(b.net, sum);
        for (size_t i = 0; i < n; i++)
            assert_true(sum[i] == want[i]);
        oracle_destroy(o);
        built_clear(&b);
        free(sum);
        free(want);
        free(yaml);
    }
    assert_true(steps > FEW * STEPS / 2);
}

static void they_do_so(void **state)
{
    use_isa(*state);
    for (size_t net = NETS; net < NETS + 10; net++)
        run_random_net(net, 1);
    use_isa(NULL);
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

/* One layer that learns fast towards targets which it cannot reach, with these bounds. */
static struct built bounded_net(const char *bounds)
{
    char yaml[1024];

    snprintf(yaml, sizeof yaml,
             "glesim: 1\nname: bounded\ndt: 0.1\nseed: 3\ndataset: {type: npz, file: none.npz}\n"
             "network: {input: 6, layers: [{name: a, neurons: {count: 8, tau_m: 1.0, tau_r: 0.5}}]}\n"
             "learning: {loss: mse, plastic: [weight, bias, tau_m, tau_r], bounds: {%s}, "
             "optimizer: {type: sgd, lr: 5.0e-2}}\n"
             "training: {epochs: 1, batch_size: 4}\n", bounds);
    return build_text(yaml, 1);
}

/* The lowest and highest value that each parameter takes in 100 steps. */
static void learn_fast(struct built *b, float low[GLE_PARAMS], float high[GLE_PARAMS])
{
    const struct gle_step learn = {.learn = true, .lr = 5e-2};
    struct gle_error err = {0};
    struct gle_rng rng;
    size_t ld_x, ld_y;
    float *input = gle_net_input(b->net, &ld_x), *target = gle_net_target(b->net, &ld_y);
    double loss;

    gle_rng_seed(&rng, 5);
    gle_net_set_batch(b->net, 4);
    for (int p = 0; p < GLE_PARAMS; p++)
        low[p] = INFINITY, high[p] = -INFINITY;
    for (size_t step = 0; step < 100; step++) {
        for (size_t r = 0; r < 4; r++) {
            for (size_t k = 0; k < 6; k++)
                input[r * ld_x + k] = (float)draw(&rng, -1.0, 1.0);
            for (size_t k = 0; k < 8; k++)
                target[r * ld_y + k] = k % 2 ? 9.0f : -9.0f;
        }
        assert_int_equal(gle_net_step(b->net, &learn, &loss, &err), 0);
        for (int p = 0; p < GLE_PARAMS; p++) {
            const size_t n = p == GLE_WEIGHT ? 48 : 8;
            float values[48];
            layer_get_param(b->net, 0, (enum gle_param)p, values);
            for (size_t i = 0; step && i < n; i++) { /* the first step learns nothing yet */
                low[p] = fminf(low[p], values[i]);
                high[p] = fmaxf(high[p], values[i]);
            }
        }
    }
}

static void bounds_hold_on_both_sides(void **state)
{
    static const float wanted_low[GLE_PARAMS] = {[GLE_WEIGHT] = -0.25f, [GLE_BIAS] = -0.5f, [GLE_TAU_M] = 0.9f,
                                                 [GLE_TAU_R] = 0.45f};
    static const float wanted_high[GLE_PARAMS] = {[GLE_WEIGHT] = 0.3f, [GLE_BIAS] = 0.7f, [GLE_TAU_M] = 1.05f,
                                                  [GLE_TAU_R] = 0.52f};
    float low[GLE_PARAMS], high[GLE_PARAMS];
    struct built free_net = bounded_net(""), b = bounded_net("weight: [-0.25, 0.3], bias: [-0.5, 0.7], "
                                                             "tau_m: [0.9, 1.05], tau_r: [0.45, 0.52]");

    (void)state;
    learn_fast(&free_net, low, high);
    for (int p = 0; p < GLE_PARAMS; p++)
        assert_true(low[p] < wanted_low[p] && high[p] > wanted_high[p]);
    learn_fast(&b, low, high);
    for (int p = 0; p < GLE_PARAMS; p++)
        assert_true(low[p] == wanted_low[p] && high[p] == wanted_high[p]);
    built_clear(&free_net);
    built_clear(&b);
}

static void write_tau(const char *path, const char *name, float tau)
{
    struct gle_npz_writer *npz = gle_npz_create();
    const size_t matrix[] = {1, 1}, list[] = {1};
    const float one = 1.0f;
    struct gle_error err = {0};

    if (gle_npz_add(npz, "a.weight", GLE_NPY_F32, &one, 2, matrix, &err) ||
        gle_npz_add(npz, "a.bias", GLE_NPY_F32, &one, 1, list, &err) ||
        gle_npz_add(npz, name, GLE_NPY_F32, &tau, 1, list, &err) || gle_npz_write(npz, path, &err))
        fail_msg("%s", err.text);
    gle_npz_destroy(npz);
}

/* Of a network, of a teacher. Single precision makes 0.01 a little less than dt, and it is taken all the same. */
static void check_tau_of_file(const char *param, enum gle_param kind)
{
    static const struct {
        float tau;
        bool good;
    } cases[] = {{0.01f, true}, {0.02f, true}, {0.0099999f, false}, {0.005f, false}, {-1.0f, false}};
    char path[] = "/tmp/glesim_tau_XXXXXX", yaml[1024], name[16];
    struct gle_error err;
    struct gle_rng rng;
    struct built b;

    assert_true((double)0.01f < 0.01);
    temporary_file(path, "");
    snprintf(name, sizeof name, "a.%s", param);
    write_tau(path, name, 0.01f);
    snprintf(yaml, sizeof yaml,
             "glesim: 1\nname: file\ndt: 0.01\ndataset: {type: npz, file: none.npz}\n"
             "network: {input: 1, init: {file: %s}, layers: [{name: a, neurons: {count: 1, tau_m: 1.0, tau_r: 0.5}}]}\n"
             "teacher: {a: {%s: {file: %s}}}\n"
             "learning: {loss: mse, plastic: [weight, %s]}\ntraining: {epochs: 1}\n", path, param, path, param);
    b = build_text(yaml, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int want = cases[i].good ? 0 : -1;
        char text[64];
        float tau;
        write_tau(path, name, cases[i].tau);
        snprintf(text, sizeof text, "[0] = %g is below dt = 0.01", (double)cases[i].tau);
        for (size_t k = 0; k < 2; k++) {
            err = (struct gle_error){0};
            gle_rng_seed(&rng, 0);
            assert_int_equal(k ? gle_net_apply(b.net, &b.exp->teacher, &rng, &err) : gle_net_init(b.net, &rng, &err),
                             want);
            if (cases[i].good) {
                layer_get_param(b.net, 0, kind, &tau);
                assert_true(tau == cases[i].tau);
            } else {
                assert_int_equal(err.code, GLE_EDATA);
                assert_non_null(strstr(err.text, text));
            }
        }
    }
    unlink(path);
    built_clear(&b);
}

static void a_time_constant_from_a_file_may_be_dt_but_for_rounding(void **state)
{
    (void)state;
    check_tau_of_file("tau_m", GLE_TAU_M);
    check_tau_of_file("tau_r", GLE_TAU_R);
}

/* An archive, with a right checksum, of a net in which a time constant is below dt. */
static void a_net_with_a_time_constant_below_dt_is_not_restored(void **state)
{
    static const enum gle_param kinds[] = {GLE_TAU_M, GLE_TAU_R};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char path[] = "/tmp/glesim_taus_XXXXXX", text[96];
        const float short_time = 0.15f, times[4] = {0.5f, 0.5f, 0.5f, short_time};
        struct built b = build_text("glesim: 1\nname: taus\ndt: 0.2\ndataset: {type: npz, file: none.npz}\n"
                                    "network: {input: 1, layers: [{name: a, neurons: {count: 4, tau_m: 1, tau_r: "
                                    "1}}]}\nlearning: {loss: mse}\ntraining: {epochs: 1}\n", 1);
        struct gle_error err = {0};
        struct gle_archive *a;
        temporary_file(path, "");
        layer_set_param(b.net, 0, kinds[i], times);
        assert_int_equal(gle_archive_create(&a, &err) || gle_net_archive(b.net, a, &err) ||
                             gle_archive_write(a, path, &err), 0);
        gle_archive_destroy(a);
        assert_int_equal(gle_archive_open(&a, path, &err), 0);
        assert_int_equal(gle_net_archive(b.net, a, &err), -1);
        snprintf(text, sizeof text, "%s of neuron 3 in layer 'a' is 0.15, below dt = 0.2", gle_param_name(kinds[i]));
        assert_int_equal(err.code, GLE_EDATA);
        assert_non_null(strstr(err.text, text));
        gle_archive_destroy(a);
        unlink(path);
        built_clear(&b);
    }
}

/* A linear neuron at rest, whose input jumps to 1, gives tau_r / tau_m: of 0.3 and 0.7 a float of its own, which is not
 * that of the float next to 0.3. Once tau_r is another number, that counts; and the config's again, when it is back. */
static void coefficients_have_all_digits_of_the_config(void **state)
{
    static const float times[] = {0.3f, 0.45f, 0.3f};
    static const char yaml[] = "glesim: 1\nname: digits\ndt: 0.1\ndataset: {type: npz, file: none.npz}\n"
                                "network: {input: 1, layers: [{name: a, neurons: {count: 1, tau_m: 0.7, tau_r: 0.3}, "
                                "weight: 1, bias: none}]}\nlearning: {loss: mse}\ntraining: {epochs: 1}\n";
    const double tau_m = (double)0.7f;
    const float wanted[] = {(float)(0.3 / tau_m), (float)((double)0.45f / tau_m), (float)(0.3 / tau_m)};
    const struct gle_step step = {.forward_only = true};
    struct gle_error err = {0};
    struct built b;

    (void)state;
    b = build_text(yaml, 1);
    assert_true(wanted[0] != (float)((double)0.3f / tau_m));
    gle_net_set_batch(b.net, 1);
    for (size_t i = 0; i < 3; i++) {
        size_t ld;
        double loss;
        float r;
        if (i)
            layer_set_param(b.net, 0, GLE_TAU_R, &times[i]);
        gle_net_begin_batch(b.net, true);
        *gle_net_input(b.net, &ld) = 1.0f;
        assert_int_equal(gle_net_step(b.net, &step, &loss, &err), 0);
        layer_get_var(b.net, 0, VAR_R, &r);
        assert_true(r >= wanted[i] && r <= wanted[i]);
    }
    built_clear(&b);
}

/* A neuron whose input stays decays as its equation says, whatever dt is: of the time constants one is below that. */
static void exponential_steps_are_exact_for_inputs_that_stay(void **state)
{
    static const char yaml[] = "glesim: 1\nname: decay\ndt: 0.1\ndataset: {type: npz, file: none.npz}\n"
                                "network: {input: 1, integration: exponential, layers: [{name: a, neurons: {tau_m: "
                                "[0.04, 0.1, 0.3, 5.0], tau_r: 0.2}, weight: 1, bias: none}]}\n"
                                "learning: {loss: mse}\ntraining: {epochs: 1, batch_size: 1}\n";
    static const double times[] = {0.04, 0.1, 0.3, 5.0};
    const struct gle_step step = {.forward_only = true};
    struct built b = build_text(yaml, 1);
    struct gle_error err = {0};
    size_t ld;
    double loss;
    float u[4], r[4];

    (void)state;
    gle_net_set_batch(b.net, 1);
    for (int t = 1; t <= 20; t++) {
        *gle_net_input(b.net, &ld) = 1.0f;
        assert_int_equal(gle_net_step(b.net, &step, &loss, &err), 0);
        layer_get_var(b.net, 0, VAR_U, u);
        layer_get_var(b.net, 0, VAR_R, r);
        for (size_t i = 0; i < 4; i++) {
            const double left = exp(-0.1 * (t - 1) / times[i]); /* of the way, before the step */
            assert_true(fabs((double)u[i] - (1.0 - exp(-0.1 * t / times[i]))) < 1e-6);
            assert_true(fabs((double)r[i] - (1.0 - left + 0.2 / times[i] * left)) < 5e-6);
        }
    }
    built_clear(&b);
}

static void a_profile_accounts_for_the_time_of_all_threads(void **state)
{
    const struct gle_step learn = {.learn = true, .lr = 1e-3};
    struct gle_profile p, later;
    struct gle_error err = {0};
    struct built b;
    double loss;

    (void)state;
    skip_on_device("it has no threads whose time is told");
    b = build_text(wide_net, 2);
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
    static const enum layer_var of_errors[] = {VAR_V, VAR_E, VAR_E_INST}, others[] = {
        VAR_U, VAR_R, VAR_DR, VAR_PROSP_U, VAR_S};
    const struct gle_step steps[] = {{.learn = true, .lr = 1e-3}, {.forward_only = true}, {.nudge = true}};
    struct built b = build_text(yaml, 1);
    struct gle_error err = {0};
    double loss;

    (void)state;
    for (size_t s = 0; s < 3; s++) {
        assert_int_equal(gle_net_step(b.net, &steps[s], &loss, &err), 0);
        for (size_t i = 0; i < 3; i++) {
            for (size_t k = 0; k < sizeof of_errors / sizeof *of_errors; k++)
                assert_int_equal(layer_has_var(b.net, i, of_errors[k]), i > 0 && !steps[s].forward_only);
            for (size_t k = 0; k < sizeof others / sizeof *others; k++)
                assert_true(layer_has_var(b.net, i, others[k]));
            assert_int_equal(layer_has_var(b.net, i, VAR_E_BELOW), i == 2 && !steps[s].forward_only);
        }
    }
    assert_true(layer_learns(b.net, 1, GLE_WEIGHT) && !layer_learns(b.net, 0, GLE_WEIGHT));
    layer_hold(b.net, 1, GLE_WEIGHT, true);
    assert_true(!layer_learns(b.net, 1, GLE_WEIGHT) && layer_learns(b.net, 1, GLE_BIAS));
    built_clear(&b);
}

static void a_net_is_whole_or_there_is_none(void **state)
{
    struct built b = build_text(wide_net, 2);
    struct gle_error err;
    struct gle_net *net;
    size_t k = 0;
    int rc;

    (void)state;
    do {
        err = (struct gle_error){0};
        gle_memory_fail_after(k++);
        rc = gle_net_build(&net, b.graph, 2, &err);
        gle_memory_fail_after((size_t)-1);
        assert_int_equal(rc, net ? 0 : -1);
        assert_int_equal(err.code, net ? 0 : GLE_ENOMEM);
    } while (rc);
    assert_true(k > 20);
    gle_net_destroy(net);
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
    if (test_fleet()) /* which cuts its work anew for each number of rows */
        gle_net_set_batch(b.net, B);
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
        cmocka_unit_test(steps_without_a_target_follow_the_oracle),
        ISA_TESTS(they_do_so),
        cmocka_unit_test(large_nets_follow_the_oracle_on_any_threads),
        cmocka_unit_test(bounds_hold_on_both_sides),
        cmocka_unit_test(a_time_constant_from_a_file_may_be_dt_but_for_rounding),
        cmocka_unit_test(a_net_with_a_time_constant_below_dt_is_not_restored),
        cmocka_unit_test(coefficients_have_all_digits_of_the_config),
        cmocka_unit_test(exponential_steps_are_exact_for_inputs_that_stay),
        cmocka_unit_test(a_profile_accounts_for_the_time_of_all_threads),
        cmocka_unit_test(a_step_says_which_variables_it_has_found),
        cmocka_unit_test(a_net_is_whole_or_there_is_none),
        cmocka_unit_test(a_step_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
