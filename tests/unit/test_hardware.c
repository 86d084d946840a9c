/* Noise, mismatch and quantized weights: how large they are, and that they are what the config and the seed say. What
 * they do to the equations of any network is for test_graphs. */
#include "../support/build.h"
#include "../support/normals.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernel/equations.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 50, NEURONS = 40, NUMBERS = ROWS * NEURONS, TEXT = 4096 };

/* A layer of its own, whose input is zero: all that moves in it is noise. */
static struct built silent_layer(const char *dt, const char *taus, const char *noise)
{
    char yaml[TEXT];

    snprintf(yaml, sizeof yaml,
             "glesim: 1\nname: silent\nseed: 11\ndt: %s\ndataset: {type: npz, file: none.npz}\nnetwork:\n  input: 1\n"
             "  layers:\n    - {name: a, neurons: {count: %d, %s}, bias: none, noise: {%s}}\n"
             "learning: {rule: gle, loss: mse}\ntraining: {epochs: 0, batch_size: %d}\n",
             dt, NEURONS, taus, noise, ROWS);
    return build_text(yaml, 1);
}

static void run(struct built *b, size_t steps)
{
    struct gle_error err = {0};
    double loss;

    for (size_t t = 0; t < steps; t++)
        if (gle_net_step(b->net, &(struct gle_step){.nudge = true, .unasked = true}, &loss, &err))
            fail_msg("%s", err.text);
}

static void get(float *values, const struct built *b, const char *variable)
{
    gle_net_get_var(b->net, gle_graph_variable(b->graph, 0, variable, 0), values);
}

static void assert_near(const char *what, double got, double want, double deviation)
{
    if (!(fabs(got - want) < 5.0 * deviation))
        fail_msg("%s: %g instead of %g +- %g", what, got, want, deviation);
}

/* Mean, variance, and the correlation of what lies `lag` steps apart, over `times` moments so far apart that they know
 * nothing of each other; each within five standard deviations of what it has to be. kept: what a step leaves of a
 * deviation. */
static void assert_process(struct built *b, const char *variable, double std, double correlation, size_t lag,
                           size_t apart, const char *what)
{
    enum { TIMES = 12 };
    const double n = (double)NUMBERS * TIMES;
    float *now = gle_floats(NUMBERS), *later = gle_floats(NUMBERS);
    double sum = 0.0, squares = 0.0, products = 0.0;

    assert_true(now && later);
    for (size_t k = 0; k < TIMES; k++) {
        run(b, apart);
        get(now, b, variable);
        run(b, lag);
        get(later, b, variable);
        for (size_t i = 0; i < NUMBERS; i++) {
            sum += (double)now[i];
            squares += (double)now[i] * (double)now[i];
            products += (double)now[i] * (double)later[i];
        }
    }
    assert_near(what, sum / n / std, 0.0, 1.0 / sqrt(n));
    assert_near(what, squares / n / (std * std), 1.0, sqrt(2.0 / n));
    assert_near(what, products / n / (std * std), correlation, sqrt((1.0 + correlation * correlation) / n));
    gle_free(now);
    gle_free(later);
}

/* Whatever dt is: the standard deviation of u is that of the config. Correlations of a membrane alone fall as (1 - dt /
 * tau_m)^lag; driven by a process that keeps rho of itself, with k = 1 - dt / tau_m, as (p k^lag + q rho^lag), where
 * q = (1 - k^2) rho / ((rho - k) (1 + k rho)) and p = 1 - q. */
static void membranes_fluctuate_as_the_config_says(void **state)
{
    static const char *const dts[] = {"0.1", "0.02"};
    const double tau = 0.4;

    (void)state;
    for (size_t d = 0; d < 2; d++) {
        const double dt = atof(dts[d]), k = 1.0 - dt / 1.0, rho = 1.0 - dt / tau;
        const double q = (1.0 - k * k) * rho / ((rho - k) * (1.0 + k * rho));
        const size_t lag = (size_t)(0.5 / dt), apart = (size_t)(8.0 / dt);
        struct built b = silent_layer(dts[d], "tau_m: 1.0, tau_r: 0.5", "membrane: 0.3");
        assert_process(&b, "u", 0.3, pow(k, (double)lag), lag, apart, "white noise of a membrane");
        built_clear(&b);
        b = silent_layer(dts[d], "tau_m: 1.0, tau_r: 0.5", "membrane: {std: 0.3, tau: 0.4}");
        assert_process(&b, "u", 0.3, (1.0 - q) * pow(k, (double)lag) + q * pow(rho, (double)lag), lag, apart,
                       "Ornstein-Uhlenbeck noise of a membrane");
        built_clear(&b);
    }
}

/* A neuron that is instantaneous shows its input, and so the noise in it. */
static void inputs_and_rates_fluctuate_as_the_config_says(void **state)
{
    static const char *const kinds[] = {"input", "rate"};
    char noise[64];

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct built b;
        snprintf(noise, sizeof noise, "%s: 0.2", kinds[k]);
        b = silent_layer("0.1", "tau_m: 1.0, tau_r: 1.0", noise);
        assert_process(&b, "r", 0.2, 0.0, 1, 3, kinds[k]);
        built_clear(&b);
        snprintf(noise, sizeof noise, "%s: {std: 0.2, tau: 0.5}", kinds[k]);
        b = silent_layer("0.1", "tau_m: 1.0, tau_r: 1.0", noise);
        assert_process(&b, "r", 0.2, pow(0.8, 3.0), 3, 40, kinds[k]);
        built_clear(&b);
    }
}

/* As large as ever in the very first step, and after a reset, which is none of theirs. */
static void processes_begin_where_they_may_be_any_time(void **state)
{
    struct built b = silent_layer("0.1", "tau_m: 1.0, tau_r: 1.0", "rate: {std: 0.2, tau: 50.0}");
    float first[NUMBERS], second[NUMBERS];
    double squares = 0.0, products = 0.0;

    (void)state;
    run(&b, 1);
    get(first, &b, "r");
    gle_net_begin_batch(b.net, true);
    run(&b, 1);
    get(second, &b, "r");
    for (size_t i = 0; i < NUMBERS; i++) {
        squares += (double)first[i] * (double)first[i] / NUMBERS;
        products += (double)first[i] * (double)second[i] / NUMBERS;
    }
    assert_near("variance", squares / 0.04, 1.0, sqrt(2.0 / NUMBERS));
    assert_true(products / squares > 0.95);
    built_clear(&b);
}

static bool anything(const float *values)
{
    bool any = false;

    for (size_t i = 0; i < NUMBERS; i++)
        any = any || values[i] < 0.0f || values[i] > 0.0f;
    return any;
}

static void noise_is_there_when_it_should_be(void **state)
{
    static const char *const whens[] = {"always", "train", "test"};

    (void)state;
    for (size_t k = 0; k < 3; k++)
        for (int training = 0; training < 2; training++) {
            struct gle_error err = {0};
            struct built b;
            float r[NUMBERS];
            double loss;
            char noise[64];
            snprintf(noise, sizeof noise, "rate: {std: 0.2, tau: 0.5, when: %s}", whens[k]);
            b = silent_layer("0.1", "tau_m: 1.0, tau_r: 1.0", noise);
            assert_int_equal(gle_net_step(b.net, &(struct gle_step){.nudge = training}, &loss, &err), 0);
            get(r, &b, "r");
            assert_int_equal(anything(r), k == 0 || (training ? k == 1 : k == 2));
            built_clear(&b);
        }
}

/* --- mismatch --- */

static const char mismatched[] =
    "glesim: 1\nname: mismatched\nseed: 12345678901\ndt: 0.1\ndataset: {type: npz, file: none.npz}\nnetwork:\n"
    "  input: 3\n%s"
    "  layers:\n    - {name: a, neurons: {count: 7, tau_m: 0.12, tau_r: 1.0}}\n"
    "    - {name: b, neurons: {count: 3000, tau_m: 1.0, tau_r: 1.0}}\n"
    "learning: {rule: gle, loss: mse}\ntraining: {epochs: 0, batch_size: 1}\n";

/* Bit by bit: a parameter of one net and one of another, of the same size, or their gradients. */
static void assert_same(const struct built *one, size_t i, const struct built *other, size_t j,
                        void (*read)(const struct gle_net *net, size_t param, float *values))
{
    const size_t n = gle_field_size(&one->graph->parameters[i].field);
    float *x = gle_floats(2 * n);

    assert_int_equal(gle_field_size(&other->graph->parameters[j].field), n);
    read(one->net, i, x);
    read(other->net, j, x + n);
    assert_memory_equal(x, x + n, n * sizeof *x);
    gle_free(x);
}

static void factors_are_drawn_by_the_seed_and_weights_stay_as_they_are(void **state)
{
    static const double std[] = {0.1, 0.2, 0.3, 0.4};
    char yaml[TEXT];
    struct built b, plain;

    (void)state;
    snprintf(yaml, sizeof yaml, mismatched, "");
    plain = build_text(yaml, 1);
    snprintf(yaml, sizeof yaml, mismatched,
             "  mismatch: {tau_m: 0.1, tau_r: 0.2, error_tau_m: 0.3, error_tau_r: 0.4}\n");
    b = build_text(yaml, 1);
    assert_int_equal(b.graph->n_parameters, plain.graph->n_parameters + 8);
    for (size_t i = 0; i < 2; i++) {
        const struct gle_population *p = &b.graph->populations[i];
        for (uint32_t k = 0; k < 4; k++) {
            float values[3000];
            double sum = 0.0, squares = 0.0;
            gle_net_get_param(b.net, (size_t)(p->factors[k] - b.graph->parameters), values);
            for (uint32_t j = 0; j < p->n; j++) {
                const double z = library_normal(12345678901, 0, (uint32_t)(8 * i) + 3 + k, 0, j);
                assert_true(fabs((double)values[j] - (1.0 + std[k] * z)) < 1e-6);
                sum += (double)values[j] - 1.0;
                squares += ((double)values[j] - 1.0) * ((double)values[j] - 1.0);
            }
            assert_near("mean of factors", sum / (double)p->n, 0.0, std[k] / sqrt((double)p->n));
            assert_near("variance of factors", squares / (double)p->n / (std[k] * std[k]), 1.0,
                        sqrt(2.0 / (double)p->n));
        }
        assert_same(&b, gle_graph_parameter(b.graph, i, 0, GLE_WEIGHT), &plain,
                    gle_graph_parameter(plain.graph, i, 0, GLE_WEIGHT), gle_net_get_param);
    }
    built_clear(&b);
    built_clear(&plain);
}

/* --- quantized weights --- */

static void numbers_are_rounded_to_the_nearest(void **state)
{
    static const struct {
        float w, wanted; /* of 3 bits up to 1.5: steps of 0.5 */
    } cases[] = {{0.0f, 0.0f},   {0.24f, 0.0f},  {0.26f, 0.5f},  {-0.26f, -0.5f}, {0.25f, 0.0f},   {0.75f, 1.0f},
                 {1.24f, 1.0f},  {1.26f, 1.5f},  {1.5f, 1.5f},   {9.0f, 1.5f},    {-1e30f, -1.5f}, {-1.25f, -1.0f}};

    use_isa(*state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float out = 7.0f;
        gle_kernels(gle_isa_best())->quantize(&out, &cases[i].w, 1, 1.5f, 3.0f);
        assert_true(out >= cases[i].wanted && out <= cases[i].wanted);
        assert_true(isnan(gle_quantize(NAN, 2.0f, 0.5f, 3.0f)));
    }
    use_isa(NULL);
}

static const char quantized[] =
    "glesim: 1\nname: quantized\nseed: 3\ndt: 0.1\ndataset: {type: npz, file: none.npz}\nnetwork:\n  input: 6\n%s"
    "  layers:\n    - {name: a, neurons: {count: 9, tau_m: 1.0, tau_r: 0.6}, activation: tanh}\n"
    "    - {name: b, neurons: {count: 5, tau_m: 1.0, tau_r: 0.6}, from: [{layer: a, feedback: fixed}, "
    "{layer: input, connect: {type: sparse, probability: 0.5}}]}\n"
    "    - {name: c, neurons: {count: 2, tau_m: 1.0, tau_r: 0.6}}\n"
    "learning: {rule: %s, loss: mse%s, optimizer: {type: sgd, lr: 0.1}}\ntraining: {epochs: 0, batch_size: 4}\n";

static void fill(struct built *b, double phase)
{
    size_t ld_x, ld_y;
    float *x = gle_net_input(b->net, &ld_x), *y = gle_net_target(b->net, &ld_y);

    for (size_t r = 0; r < 4; r++) {
        for (size_t i = 0; i < 6; i++)
            x[r * ld_x + i] = (float)sin(phase + (double)(3 * r + i));
        for (size_t i = 0; i < 2; i++)
            y[r * ld_y + i] = (float)cos(phase + (double)(r + i));
    }
}

/* Gradients are straight-through: those of a network that has the quantized weights; they move the whole ones. */
static void gradients_of_quantized_weights_go_straight_through(void **state)
{
    static const char *const rules[][2] = {{"gle", ""}, {"bptt", ", window: 0.6, gamma: 0.1"}};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        const struct gle_step step = {.learn = k == 0, .nudge = true, .lr = 0.0};
        struct gle_error err = {0};
        char yaml[TEXT];
        struct built b, plain;
        double loss[2];
        snprintf(yaml, sizeof yaml, quantized, "  quantize: {weight: {bits: 3, range: 0.4}}\n", rules[k][0],
                 rules[k][1]);
        b = build_text(yaml, 1);
        snprintf(yaml, sizeof yaml, quantized, "", rules[k][0], rules[k][1]);
        plain = build_text(yaml, 1);
        for (size_t i = 0; i < b.graph->n_parameters; i++) {
            const struct gle_parameter *p = &b.graph->parameters[i];
            const size_t n = gle_field_size(&p->field);
            float *w = gle_floats(n);
            gle_net_get_param(b.net, i, w);
            for (size_t j = 0; (p->kind == GLE_WEIGHT || p->kind == GLE_FEEDBACK) && j < n; j++)
                w[j] = gle_quantize(w[j], 3.0f / 0.4f, 0.4f / 3.0f, 3.0f);
            gle_net_set_param(plain.net, i, w);
            gle_free(w);
        }
        if (k) {
            gle_net_begin_window(b.net);
            gle_net_begin_window(plain.net);
        }
        for (size_t t = 0; t < 6; t++) {
            fill(&b, (double)t);
            fill(&plain, (double)t);
            assert_int_equal(gle_net_step(b.net, &step, &loss[0], &err), 0);
            assert_int_equal(gle_net_step(plain.net, &step, &loss[1], &err), 0);
            assert_true(loss[0] >= loss[1] && loss[0] <= loss[1]);
        }
        if (k && (gle_net_end_window(b.net, b.exp->rule, false, 0.0, &err) ||
                  gle_net_end_window(plain.net, plain.exp->rule, false, 0.0, &err)))
            fail_msg("%s", err.text);
        for (size_t i = 0; i < b.graph->n_parameters; i++)
            assert_same(&b, i, &plain, i, gle_net_get_gradient);
        built_clear(&b);
        built_clear(&plain);
    }
}

/* --- teachers --- */

/* A graph that is ideal has none of it, with the factors of another net in its parameters. */
static void a_teacher_is_ideal(void **state)
{
    static const char hardware[] = "  noise: {input: 0.5, membrane: 0.5, rate: {std: 0.5, tau: 1.0}}\n"
                                   "  mismatch: {tau_m: 0.5, tau_r: 0.5}\n"
                                   "  quantize: {weight: {bits: 2, range: 0.1}}\n";
    const struct gle_graph_options options = {.ideal = true, .observed = true};
    struct gle_error err = {0};
    char yaml[TEXT];
    struct built b, plain;
    struct gle_graph *graph;
    struct gle_net *teacher = NULL;
    double loss;
    float r[2][8], *x;
    size_t ld;

    (void)state;
    snprintf(yaml, sizeof yaml, quantized, hardware, "gle", "");
    b = build_text(yaml, 1);
    snprintf(yaml, sizeof yaml, quantized, "", "gle", "");
    plain = build_text(yaml, 1);
    if (gle_graph_build(&graph, b.exp, &options, &err) || gle_net_build(&teacher, graph, 1, &err))
        fail_msg("%s", err.text);
    gle_net_copy(teacher, b.net);
    for (size_t t = 0; t < 5; t++) {
        fill(&plain, (double)t);
        x = gle_net_input(teacher, &ld);
        memcpy(x, gle_net_input(plain.net, &ld), 4 * ld * sizeof *x);
        assert_int_equal(gle_net_step(teacher, &(struct gle_step){0}, &loss, &err), 0);
        assert_int_equal(gle_net_step(plain.net, &(struct gle_step){0}, &loss, &err), 0);
    }
    gle_net_get_var(teacher, gle_graph_variable(graph, 2, "r", 0), r[0]);
    gle_net_get_var(plain.net, gle_graph_variable(plain.graph, 2, "r", 0), r[1]);
    assert_memory_equal(r[0], r[1], sizeof r[0]);
    gle_net_destroy(teacher);
    gle_graph_destroy(graph);
    built_clear(&b);
    built_clear(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(membranes_fluctuate_as_the_config_says),
        cmocka_unit_test(inputs_and_rates_fluctuate_as_the_config_says),
        cmocka_unit_test(processes_begin_where_they_may_be_any_time),
        cmocka_unit_test(noise_is_there_when_it_should_be),
        cmocka_unit_test(factors_are_drawn_by_the_seed_and_weights_stay_as_they_are),
        ISA_TESTS(numbers_are_rounded_to_the_nearest),
        cmocka_unit_test(gradients_of_quantized_weights_go_straight_through),
        cmocka_unit_test(a_teacher_is_ideal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
