/* What recording.npz says of real runs, against the oracle, which is shown what the recording says was read. */
#include "../support/folder.h"
#include "../support/oracle.h"
#include "../support/witness.h"
#include "base/npz.h"
#include "base/rng.h"
#include "report/recording.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 3, B = 4, YAML_BYTES = 4096 };

static const char *const names[LAYERS] = {"a", "b", "c"};
static const size_t neurons_of[LAYERS] = {4, 3, 2}, inputs_of[LAYERS] = {2, 4, 3};

static char folder[FOLDER_SIZE];

/* --- a run and its recording --- */

static int on_moment(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    return gle_recorder_moment(ctx, m, err);
}

static int on_window(void *ctx, const struct gle_closed_window *w, struct gle_error *err)
{
    return gle_recorder_window(ctx, w, err);
}

struct recorded {
    struct trial t;
    struct gle_npz *npz;
    size_t n; /* records, one for each step */
};

static struct recorded run_and_record(const char *yaml)
{
    struct gle_recorder *recorder;
    struct gle_observer observer = {.moment = on_moment, .window = on_window};
    struct recorded r = {.n = 0};
    struct gle_error err = {0};
    struct gle_array time;
    char path[PATH_SIZE];

    r.t = trial_open(yaml, 2);
    snprintf(path, sizeof path, "%s", folder_path(folder, "recording.npz"));
    if (gle_recorder_open(&recorder, path, folder_path(folder, "recording.part"), r.t.b.graph, &err))
        fail_msg("%s", err.text);
    observer.ctx = recorder;
    trial_run(&r.t, &observer, NULL);
    if (r.t.rc)
        fail_msg("%s", r.t.err.text);
    if (gle_recorder_close(recorder, &err) || gle_npz_open(&r.npz, path, &err) ||
        gle_npz_read(&time, r.npz, "time", &err))
        fail_msg("%s", err.text);
    r.n = time.shape[0];
    gle_array_clear(&time);
    return r;
}

static struct recorded run_three_layers(const char *learning, const char *lambda, const char *training)
{
    static char yaml[YAML_BYTES];

    snprintf(yaml, sizeof yaml,
             "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\n"
             "dataset: {type: ornstein_uhlenbeck, tau: 1.0, sequences: 4, channels: 2}\n"
             "network: {input: 2, layers: [{name: a, neurons: {tau_m: [1.0, 0.5, 2.0, 0.8], tau_r: [0.4, 0.5, 0.1, "
             "0.9]}, activation: tanh}, {name: b, neurons: {count: 3, tau_m: 0.7, tau_r: 0.5}, activation: softplus}, "
             "{name: c, neurons: {tau_m: [1.0, 0.6], tau_r: [0.5, 1.0]}}]}\n"
             "learning: {loss: mse, plastic: [weight, bias, tau_m, tau_r], optimizer: {type: sgd, lr: 0.02, "
             "momentum: 0.9}, "
             "%s}\ntraining: {phases: [%s]}\nteacher: {a: {weight: 0.7, tau_m: 1.5}, b: {bias: [0.3, -0.2, 0.1]}}\n"
             "record: {variables: [u, v, r, e, prosp_u, r_prime, e_inst, e_below%s], parameters: [weight, bias, "
             "tau_m, tau_r], gradients: [weight, bias, tau_m, tau_r]}\n", learning, training, lambda);
    return run_and_record(yaml);
}

static void recorded_clear(struct recorded *r)
{
    gle_npz_close(r->npz);
    trial_close(&r->t);
}

/* All records of an array, as doubles. Owns: free(). */
static double *series(const struct recorded *r, size_t layer, const char *name, size_t each)
{
    struct gle_error err = {0};
    struct gle_array a;
    double *out = calloc(r->n * each, sizeof *out);
    char full[64];

    snprintf(full, sizeof full, "%s%s%s", layer < LAYERS ? names[layer] : "", layer < LAYERS ? "." : "", name);
    if (gle_npz_read(&a, r->npz, full, &err))
        fail_msg("%s", err.text);
    assert_int_equal(a.n, r->n * each);
    for (size_t i = 0; i < r->n * each; i++)
        out[i] = gle_array_real(&a, i);
    gle_array_clear(&a);
    return out;
}

static void assert_near(const char *what, size_t step, size_t layer, const double *got, const double *want, size_t n,
                        double tolerance)
{
    double scale = 1e-2; /* below that, differences of sums are rounding noise */

    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs(want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * scale))
            fail_msg("step %zu layer %s: %s[%zu] is %.9g, the oracle says %.9g", step, names[layer], what, i, got[i],
                     want[i]);
}

/* One recorded array of a layer beside what the oracle has at each step. */
struct beside {
    const char *name;
    size_t each;
    double *got;
};

enum { WEIGHT, BIAS, TAU_M, TAU_R, R_PRIME, E_INST, E, V, U, E_BELOW, G_WEIGHT, G_BIAS, G_TAU_M, G_TAU_R, ARRAYS };

static void load_layer(struct beside all[ARRAYS], const struct recorded *r, size_t i)
{
    const size_t n = neurons_of[i], m = inputs_of[i];
    const struct beside wanted[ARRAYS] = {
        [WEIGHT] = {"weight", n * m, NULL},       [BIAS] = {"bias", n, NULL},
        [TAU_M] = {"tau_m", n, NULL},             [TAU_R] = {"tau_r", n, NULL},
        [R_PRIME] = {"r_prime", B * n, NULL},     [G_TAU_R] = {"grad_tau_r", n, NULL},
        [E_INST] = {"e_inst", B * n, NULL},       [E] = {"e", B * n, NULL},
        [V] = {"v", B * n, NULL},                 [U] = {"u", B * n, NULL},
        [E_BELOW] = {"e_below", B * m, NULL},     [G_WEIGHT] = {"grad_weight", n * m, NULL},
        [G_BIAS] = {"grad_bias", n, NULL},        [G_TAU_M] = {"grad_tau_m", n, NULL},
    };

    for (size_t k = 0; k < ARRAYS; k++) {
        all[k] = wanted[k];
        all[k].got = series(r, i, wanted[k].name, wanted[k].each);
    }
}

static void free_layer(struct beside all[ARRAYS])
{
    for (size_t k = 0; k < ARRAYS; k++)
        free(all[k].got);
}

static struct oracle *oracle_of(const struct recorded *r)
{
    struct gle_rng rng;
    struct gle_net *net = net_again(&r->t, &rng);
    struct oracle *o = oracle_build(r->t.b.graph, net, B, ORACLE_SGD, 0.02, 0.9);

    gle_net_destroy(net);
    return o;
}

/* What step t left of variables, and used of errors. */
static void check_variables(const struct oracle *o, struct beside all[LAYERS][ARRAYS], size_t t)
{
    for (size_t i = 0; i < LAYERS; i++) {
        const struct oracle_layer *l = &o->layers[i];
        const double *want[ARRAYS] = {[R_PRIME] = l->dr, [E_INST] = l->e_inst, [E] = l->e, [V] = l->v, [U] = l->u,
                                      [E_BELOW] = i ? l->e_below : NULL};
        for (size_t k = 0; k < ARRAYS; k++) {
            const struct beside *b = &all[i][k];
            if (want[k])
                assert_near(b->name, t, i, b->got + t * b->each, want[k], b->each, 5e-5);
        }
        for (size_t j = 0; !i && j < all[i][E_BELOW].each; j++) /* nobody is there to take it */
            assert_true(isnan(all[i][E_BELOW].got[t * all[i][E_BELOW].each + j]));
    }
}

static void check_gradients(const struct oracle *o, struct beside all[LAYERS][ARRAYS], size_t t)
{
    for (size_t i = 0; i < LAYERS; i++) {
        const struct oracle_layer *l = &o->layers[i];
        const double *want[] = {l->gW, l->gb, l->gtau_m, l->gtau_r};
        for (size_t p = 0; p < GLE_PARAMS; p++) {
            const struct beside *b = &all[i][G_WEIGHT + p];
            assert_near(b->name, t, i, b->got + t * b->each, want[p], b->each, 5e-5);
        }
    }
}

static bool told(struct beside all[LAYERS][ARRAYS], size_t t)
{
    size_t n = 0, known = 0;

    for (size_t i = 0; i < LAYERS; i++)
        for (size_t p = 0; p < GLE_PARAMS; p++) {
            const struct beside *b = &all[i][G_WEIGHT + p];
            for (size_t k = 0; k < b->each; k++, n++)
                known += isnan(b->got[t * b->each + k]) ? 0 : 1;
        }
    assert_true(known == 0 || known == n);
    return known > 0;
}

/* --- rules that learn with every step --- */

static void check_steps(const char *learning)
{
    struct recorded r = run_three_layers(learning, "", "{duration: 3}, {duration: 1, learn: false}");
    struct beside all[LAYERS][ARRAYS];
    struct oracle *o = oracle_of(&r);
    double *x = series(&r, LAYERS, "input", B * 2), *y = series(&r, LAYERS, "target", B * 2);

    assert_int_equal(r.n, 40);
    o->nudge = true;
    for (size_t i = 0; i < LAYERS; i++)
        load_layer(all[i], &r, i);
    for (size_t t = 0; t < r.n; t++) {
        oracle_step(o, x + t * B * 2, y + t * B * 2, t < 30);
        assert_false(o->fragile);
        check_variables(o, all, t);
        assert_int_equal(told(all, t), t < 30);
        if (t < 30)
            check_gradients(o, all, t);
    }
    for (size_t i = 0; i < LAYERS; i++)
        free_layer(all[i]);
    free(x);
    free(y);
    oracle_destroy(o);
    recorded_clear(&r);
}

static void prospective_errors_and_their_gradients_are_those_of_the_oracle(void **state)
{
    (void)state;
    check_steps("rule: gle, beta: 0.5");
    check_steps("rule: gle, gamma: 0.05");
}

static void instantaneous_errors_and_their_gradients_are_those_of_the_oracle(void **state)
{
    (void)state;
    check_steps("rule: bp");
    check_steps("rule: bp, gamma: 0.05");
}

/* --- windows --- */

static double *values_of(struct oracle_layer *l, size_t p)
{
    return p == 0 ? l->W : p == 1 ? l->b : p == 2 ? l->tau_m : l->tau_r;
}

/* The gradient told at step t against central differences over the window, with whose first step the oracle waits. */
static void check_bptt(struct oracle *o, struct beside all[LAYERS][ARRAYS], const double *x, const double *y,
                       size_t first, size_t t)
{
    const double h = 1e-5;

    for (size_t i = 0; i < LAYERS; i++)
        for (size_t p = 0; p < GLE_PARAMS; p++) {
            const struct beside *b = &all[i][G_WEIGHT + p];
            double *values = values_of(&o->layers[i], p), want[16];
            for (size_t k = 0; k < b->each; k++) {
                const double at = values[k];
                double high;
                values[k] = at + h;
                high = oracle_window(o, x + first * B * 2, y + first * B * 2, t - first + 1);
                values[k] = at - h;
                want[k] = (high - oracle_window(o, x + first * B * 2, y + first * B * 2, t - first + 1)) / (2.0 * h);
                values[k] = at;
            }
            assert_near(b->name, t, i, b->got + t * b->each, want, b->each, 2e-4);
        }
}

/* The adjoint equations in plain loops over the records of a window. */
static void check_adjoint(struct oracle *o, struct beside all[LAYERS][ARRAYS], const struct recorded *r, size_t first,
                          size_t t)
{
    const double dt = 0.1, of_row = 2.0 / 2.0 / (double)B;
    double *target = series(r, LAYERS, "target", B * 2), *output = series(r, LAYERS, "output", B * 2);
    double *x = series(r, LAYERS, "input", B * 2);
    double *lambda[LAYERS], *prosp_u_bar[LAYERS], *rates[LAYERS];

    for (size_t i = LAYERS; i-- > 0;) {
        struct oracle_layer *l = &o->layers[i];
        const size_t n = neurons_of[i];
        double u_bar[B * 4] = {0.0}, *got = series(r, i, "lambda", B * n);
        lambda[i] = calloc(r->n * B * n, sizeof(double));
        prosp_u_bar[i] = calloc(r->n * B * n, sizeof(double));
        rates[i] = series(r, i, "r", B * n);
        for (size_t s = t + 1; s-- > first;)
            for (size_t k = 0; k < B * n; k++) {
                const size_t row = k / n, j = k % n, at = s * B * n + k;
                double above = 0.0, a;
                if (i + 1 == LAYERS)
                    above = s == t ? 0.0 : target[at + B * n] - output[at + B * n];
                for (size_t m = 0; i + 1 < LAYERS && m < neurons_of[i + 1]; m++)
                    above += o->layers[i + 1].W[m * n + j] * lambda[i + 1][(s * B + row) * neurons_of[i + 1] + m];
                a = prosp_u_bar[i][at] = all[i][R_PRIME].got[at] * above;
                lambda[i][at] = l->tau_r[j] / l->tau_m[j] * a + dt / l->tau_m[j] * u_bar[k];
                u_bar[k] += a - lambda[i][at];
            }
        assert_near("lambda", t, i, got + first * B * n, lambda[i] + first * B * n, (t + 1 - first) * B * n, 5e-5);
        free(got);
    }
    for (size_t i = 0; i < LAYERS; i++) {
        const size_t n = neurons_of[i], m = inputs_of[i];
        double gW[16] = {0.0}, gb[4] = {0.0}, gtau_m[4] = {0.0}, gtau_r[4] = {0.0};
        const double *want[] = {gW, gb, gtau_m, gtau_r};
        for (size_t s = first; s <= t; s++)
            for (size_t k = 0; k < B * n; k++) {
                const size_t row = k / n, j = k % n, at = s * B * n + k;
                const double of = -of_row * dt * lambda[i][at], *u = all[i][U].got;
                const double u_dot = (u[at] - (s ? u[at - B * n] : 0.0)) / dt;
                for (size_t c = 0; c < m; c++)
                    gW[j * m + c] += of * (i ? rates[i - 1][(s * B + row) * m + c] : x[(s * B + row) * m + c]);
                gb[j] += of;
                gtau_m[j] -= of * u_dot;
                gtau_r[j] -= of_row * dt * prosp_u_bar[i][at] * u_dot;
            }
        for (size_t p = 0; p < GLE_PARAMS; p++) {
            const struct beside *b = &all[i][G_WEIGHT + p];
            assert_near(b->name, t, i, b->got + t * b->each, want[p], b->each, 2e-4);
        }
    }
    for (size_t i = 0; i < LAYERS; i++) {
        free(lambda[i]);
        free(prosp_u_bar[i]);
        free(rates[i]);
    }
    free(target);
    free(output);
    free(x);
}

static void follow_params(struct oracle *o, struct beside all[LAYERS][ARRAYS], size_t t)
{
    for (size_t i = 0; i < LAYERS; i++)
        for (size_t p = 0; p < GLE_PARAMS; p++) {
            const struct beside *b = &all[i][WEIGHT + p];
            memcpy(values_of(&o->layers[i], p), b->got + t * b->each, b->each * sizeof(double));
        }
}

/* Windows of 0.5: the first one ends with step 5 and has a step more than the others; what the phase leaves over is
 * dropped, and in the second phase nothing learns. */
static void check_windows(const char *learning, bool continuous)
{
    struct recorded r = run_three_layers(learning, ", lambda", "{duration: 2.3}, {duration: 1, learn: false}");
    struct beside all[LAYERS][ARRAYS];
    struct oracle *o = oracle_of(&r);
    double *x = series(&r, LAYERS, "input", B * 2), *y = series(&r, LAYERS, "target", B * 2);
    size_t windows = 0;

    o->nudge = true;
    for (size_t i = 0; i < LAYERS; i++)
        load_layer(all[i], &r, i);
    for (size_t first = 0, t; first < r.n; first = t) {
        size_t end = first;
        while (end < r.n && !told(all, end))
            end++;
        windows += end < r.n;
        assert_int_equal(end, end < r.n ? windows * 5 : r.n);
        if (end < r.n && continuous)
            check_adjoint(o, all, &r, first, end);
        else if (end < r.n)
            check_bptt(o, all, x, y, first, end);
        for (t = first; t < r.n && t <= end; t++) {
            oracle_step(o, x + t * B * 2, y + t * B * 2, false);
            check_variables(o, all, t);
        }
        follow_params(o, all, t - 1);
    }
    assert_int_equal(windows, 4);
    assert_false(o->fragile);
    for (size_t i = 0; i < LAYERS; i++)
        free_layer(all[i]);
    free(x);
    free(y);
    oracle_destroy(o);
    recorded_clear(&r);
}

static void gradients_of_windows_are_those_of_the_oracle(void **state)
{
    (void)state;
    check_windows("rule: bptt, window: 0.5", false);
    check_windows("rule: bptt, window: 0.5, gamma: 0.05", false);
}

static void gradients_of_the_adjoint_equations_are_those_of_plain_loops(void **state)
{
    (void)state;
    check_windows("rule: adjoint, window: 0.5", true);
}

/* --- what is known --- */

static bool all_known(const struct gle_npz *npz, const char *name, size_t from, size_t to)
{
    struct gle_error err = {0};
    struct gle_array a;
    size_t each, known = 0;

    if (gle_npz_read(&a, npz, name, &err))
        fail_msg("%s", err.text);
    each = a.n / a.shape[0];
    for (size_t k = from * each; k < to * each; k++)
        known += isnan(gle_array_real(&a, k)) ? 0 : 1;
    gle_array_clear(&a);
    if (known && known < (to - from) * each)
        fail_msg("%s: %zu of %zu are known", name, known, (to - from) * each);
    return known > 0;
}

/* Records of a run whose lowest layer does not learn: which of them are known. */
static void errors_that_nothing_learns_from_are_nan(void **state)
{
    static const char yaml[] =
        "glesim: 1\nname: tiny\ndt: 0.1\ndataset: {type: ornstein_uhlenbeck, sequences: 4, channels: 2}\n"
        "network: {input: 2, layers: [{name: a, plastic: [], neurons: {count: 4, tau_m: 1, tau_r: 0.5}}, "
        "{name: bare, bias: none, plastic: [weight], neurons: {count: 3, tau_m: 1, tau_r: 0.5}}, "
        "{name: b, neurons: {count: 2, tau_m: 1, tau_r: 0.5}}]}\nlearning: {loss: mse, rule: %s}\n"
        "training: {phases: [{duration: 1}, {duration: 1, learn: false}, {duration: 1, set: {b.weight: 0.3}}]}\n"
        "teacher: {a: {weight: 0.5}}\n"
        "record: {variables: [u, v, r_prime, e, e_inst, e_below], gradients: [weight, bias]}\n";
    static const struct {
        const char *name;
        bool known[3]; /* in each phase */
    } wanted[] = {
        {"a.u", {true, true, true}},
        {"a.r_prime", {true, true, true}},
        {"a.v", {false, false, false}},
        {"a.e", {false, false, false}},
        {"a.e_inst", {false, false, false}},
        {"a.e_below", {false, false, false}},
        {"a.grad_weight", {false, false, false}},
        {"bare.v", {true, true, true}},
        {"bare.e", {true, true, true}},
        {"bare.e_inst", {true, true, true}},
        {"bare.e_below", {false, false, false}}, /* nobody wants them */
        {"bare.grad_weight", {true, false, true}},
        {"b.e_below", {true, true, true}},
        {"b.grad_weight", {true, false, false}},
        {"b.grad_bias", {true, false, true}},
    };
    static const char *const rules[] = {"gle", "bp", "gle, gamma: 0.1"};

    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char text[YAML_BYTES];
        struct recorded r;
        snprintf(text, sizeof text, yaml, rules[i]);
        r = run_and_record(text);
        assert_false(gle_npz_has(r.npz, "bare.grad_bias"));
        for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
            for (size_t p = 0; p < 3; p++) {
                const char *name = wanted[k].name;
                /* errors that feed back into membranes are computed everywhere; nobody is below the first layer */
                const bool fed_back = i == 2 && strcmp(name, "a.e_below") && !strstr(name, "grad");
                if (all_known(r.npz, name, p * 10, p * 10 + 10) != (wanted[k].known[p] || fed_back))
                    fail_msg("%s in phase %zu under %s", name, p + 1, rules[i]);
            }
        recorded_clear(&r);
    }
}

/* By epochs the data set says how many steps there are: 16 samples by 4, twice, and three times four of the test set,
 * of 7 steps each. */
static void an_offset_behind_the_run_is_refused(void **state)
{
    static const char yaml[] = "glesim: 1\nname: tiny\ndt: 0.1\ndataset: {type: xor, present: 0.7, repeat: 4}\n"
                               "network: {input: 2, layers: [{name: a, neurons: {count: 2, tau_m: 1, tau_r: 1}}]}\n"
                               "learning: {loss: mse}\ntraining: {epochs: 2, batch_size: 4}\nrecord: {offset: %zu}\n";

    (void)state;
    for (size_t offset = 75; offset < 79; offset++) {
        char text[YAML_BYTES];
        struct gle_error err = {0};
        struct built b;
        struct gle_data *data;
        snprintf(text, sizeof text, yaml, offset);
        b = built_load(text);
        assert_int_equal(gle_data_open(&data, (const struct gle_dataset *)b.exp->dataset.row, b.exp->dataset.params,
                                       0.0, &(struct gle_data_context){.dt = 0.1}, &err), 0);
        assert_int_equal(gle_train_check(b.exp, data, &err), offset < 77 ? 0 : -1);
        assert_string_equal(err.path, offset < 77 ? "" : "record.offset");
        assert_string_equal(err.text,
                            offset < 77 ? "" : "nothing would be recorded: the run has the steps 0 to 76");
        gle_data_close(data);
        built_clear(&b);
    }
}

/* Four samples of the test set, in batches that are larger than those of training, or not. */
static void a_test_is_recorded_whole_although_training_has_fewer_rows(void **state)
{
    static const char yaml[] = "glesim: 1\nname: tiny\ndt: 0.1\ndataset: {type: xor, present: 0.7, repeat: 3}\n"
                               "network: {input: 2, layers: [{name: a, neurons: {count: 2, tau_m: 1, tau_r: 1}}]}\n"
                               "learning: {loss: mse}\ntraining: {epochs: 1, batch_size: %zu, test_batch_size: %zu}\n"
                               "record: {variables: [r]}\n";
    static const size_t train[] = {2, 2, 3}, test[] = {3, 100, 2}, most[] = {3, 4, 3};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char text[YAML_BYTES];
        struct recorded r;
        double *rates, *split;
        snprintf(text, sizeof text, yaml, train[i], test[i]);
        r = run_and_record(text);
        rates = series(&r, 0, "r", most[i] * 2);
        split = series(&r, LAYERS, "split", 1);
        for (size_t s = 0; s < r.n; s++) {
            const size_t limit = split[s] > 0.0 ? test[i] : train[i];
            for (size_t row = 0; row < most[i]; row++)
                if (row >= limit || row < 1) /* the last batch of a pass may be smaller, but has a row */
                    assert_int_equal(isnan(rates[(s * most[i] + row) * 2]) != 0, row >= limit);
        }
        for (size_t row = 0; row < most[i]; row++) /* of the first record, which is one of the test */
            assert_int_equal(isnan(rates[row * 2]) != 0, row >= test[i]);
        free(rates);
        free(split);
        recorded_clear(&r);
    }
}

#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, folder_setup, folder_teardown, folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(prospective_errors_and_their_gradients_are_those_of_the_oracle),
        TEST(instantaneous_errors_and_their_gradients_are_those_of_the_oracle),
        TEST(gradients_of_windows_are_those_of_the_oracle),
        TEST(gradients_of_the_adjoint_equations_are_those_of_plain_loops),
        TEST(errors_that_nothing_learns_from_are_nan),
        TEST(an_offset_behind_the_run_is_refused),
        TEST(a_test_is_recorded_whole_although_training_has_fewer_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
