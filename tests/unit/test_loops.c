/* Loops that errors go round: which there are, and what they gain; and layers in series that look far ahead. */
#include "solver/ahead.h"
#include "solver/loops.h"
#include "../support/build.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { YAML_BYTES = 4096 };

/* tau_m 1 and tau_r 0.3 at dt 0.1: errors that alternate gain 1.9 / 0.5. */
#define FAST 3.8
#define NEURONS(n) "neurons: {count: " #n ", tau_m: 1.0, tau_r: 0.3}"

/* How errors go on in a step, of what is built from here on. */
static const char *integration = "euler";

static struct built build_layers(const char *rule, const char *layers)
{
    char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: loops\ndt: 0.1\nseed: 3\ndataset: {type: xor}\n"
                           "network: {input: 2, output: out, integration: %s, layers: [%s]}\n"
                           "learning: {loss: mse, optimizer: {type: sgd, lr: 0.1}, rule: %s}\n"
                           "training: {epochs: 1, batch_size: 4}\n", integration, layers, rule);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return build_text(yaml, 1);
}

static struct gle_error_loops find(const struct built *b)
{
    struct gle_error_loops loops;
    struct gle_error err = {0};

    if (gle_error_loops_find(&loops, b->net, &err))
        fail_msg("%s", err.text);
    assert_int_equal(loops.n > 0, gle_error_loops_any(b->graph));
    return loops;
}

struct loop_case {
    const char *rule, *layers, *round; /* round: which layers; NULL: there is no loop */
    double gain;
    bool fast;
};

#define OUT(from) "{name: out, " NEURONS(2) ", from: [" from "]}"
/* A layer that reads itself, and one that both read each other with. */
#define TOGETHER(own, other)                                                                                    \
    "{name: a, " NEURONS(2) ", bias: none, from: [input, {layer: a, connect: one_to_one, weight: " own "}, "    \
    "{layer: out, connect: one_to_one, weight: " other "}]}, "                                                  \
    "{name: out, " NEURONS(2) ", bias: none, from: [{layer: a, connect: one_to_one, weight: " other "}]}"
static const struct loop_case cases[] = {
    {"gle", "{name: a, " NEURONS(3) "}, " OUT("a"), NULL, 0.0, false},
    /* alone, with itself */
    {"gle", OUT("input, {layer: out, connect: one_to_one, weight: -0.5}"), "out -> out", 0.5 * FAST, true},
    {"bp", OUT("input, {layer: out, connect: one_to_one, weight: -0.5}"), "out -> out", 0.5, false},
    /* W^T of a rotation, and of a matrix that grows a direction and shrinks the other */
    {"bp", OUT("input, {layer: out, weight: [[0.6, 0.8], [-0.8, 0.6]]}"), "out -> out", 1.0, false},
    {"bp", OUT("input, {layer: out, weight: [[0.5, 1.0], [2.0, -0.5]]}"), "out -> out", 1.5, false},
    /* a nilpotent one: errors die, although each of its numbers is large */
    {"bp", OUT("input, {layer: out, weight: [[0.0, 9.0], [0.0, 0.0]]}"), "out -> out", 0.0, false},
    /* errors do not come back */
    {"gle", OUT("input, {layer: out, feedback: none}"), NULL, 0.0, false},
    /* through weights of their own */
    {"bp", OUT("input, {layer: out, weight: 0.1, feedback: {type: fixed, weight: 1.0}}"), "out -> out", 2.0, false},
    /* two layers: 0.3 * 2 * 0.4 * 3, of all ones; the delay is that of rates */
    {"bp", "{name: a, " NEURONS(3) ", from: [input, {layer: out, weight: 0.4, delay: 0.7}]}, "
           OUT("{layer: a, weight: 0.3}"), "a -> out -> a", 0.3 * 2 * 0.4 * 3, false},
    {"gle", "{name: a, " NEURONS(3) ", from: [input, {layer: out, weight: 0.4, delay: 0.7}]}, "
            OUT("{layer: a, weight: 0.3}"), "a -> out -> a", 0.3 * 2 * 0.4 * 3 * FAST * FAST, true},
    /* slow neurons damp what alternates: the slow end counts */
    {"gle", "{name: out, neurons: {count: 2, tau_m: 0.3, tau_r: 1.0}, from: [input, {layer: out, connect: one_to_one, "
            "weight: 0.9}]}", "out -> out", 0.9, false},
    /* phi' of the logistic function is at most 1/4 */
    {"bp", "{name: a, " NEURONS(2) ", activation: sigmoid, from: [input, {layer: a, connect: one_to_one, "
           "weight: 2.0}]}, " OUT("a"), "a -> a", 0.5, false},
    /* two that share a layer, of 0.8 and 0.25, grow together: 0.4 + sqrt(0.4^2 + 0.5^2) */
    {"bp", TOGETHER("0.8", "0.5"), "a and out", 1.0403124, false},
    {"gle", TOGETHER("0.8", "0.5"), "a and out", 1.0403124 * FAST, true},
    /* three that have a step in common or two: rates go a -> b -> out -> a and b -> a; x^3 = 0.5 x + 0.5 */
    {"bp", "{name: a, " NEURONS(2) ", from: [input, {layer: b, connect: one_to_one, weight: 0.5}, "
           "{layer: out, connect: one_to_one, weight: 0.5}]}, "
           "{name: b, " NEURONS(2) ", from: [{layer: a, connect: one_to_one, weight: 1.0}]}, "
           OUT("{layer: b, connect: one_to_one, weight: 1.0}"), "a, b and out", 1.0, false},
    /* a ring of three */
    {"bp", "{name: a, " NEURONS(2) ", from: [input, {layer: out, connect: one_to_one, weight: 0.5}]}, "
           "{name: b, " NEURONS(2) ", from: [{layer: a, connect: one_to_one, weight: 2.0}]}, "
           OUT("{layer: b, connect: one_to_one, weight: 3.0}"), "a -> b -> out -> a", 3.0, false},
    /* errors that come directly, of a layer that is read: 3 * 0.5, with no way through the weights of the other */
    {"bp", "{name: a, " NEURONS(2) ", from: [input, {layer: out, connect: one_to_one, weight: 0.5}], "
           "errors_from: [{layer: out, weight: [[3.0, 0.0], [0.0, 3.0]]}]}, " OUT("{layer: a, feedback: none}"),
     "a -> out -> a", 1.5, false},
};

static void test_gains(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct loop_case *c = &cases[i];
        struct built b = build_layers(c->rule, c->layers);
        struct gle_error_loops loops = find(&b);
        if (!c->round)
            assert_int_equal(loops.n, 0);
        else {
            assert_int_equal(loops.n, 1);
            assert_string_equal(loops.item[0].layers, c->round);
            if (!(fabs(loops.item[0].gain - c->gain) <= 1e-4 * (c->gain + 1e-3)) || loops.item[0].fast != c->fast)
                fail_msg("%s: %g, not %g", c->layers, loops.item[0].gain, c->gain);
        }
        gle_error_loops_clear(&loops);
        built_clear(&b);
    }
}

/* Two sets of layers: the stronger one comes first, and each says where its errors come to. */
static void test_sets_are_apart(void **state)
{
    struct built b = build_layers("bp", "{name: a, " NEURONS(2) ", from: [input, {layer: a, connect: one_to_one, "
                                        "weight: 0.2}]}, {name: b, " NEURONS(2) ", from: [a, {layer: b, "
                                        "connect: one_to_one, weight: 0.7}]}, " OUT("b"));
    struct gle_error_loops loops = find(&b);

    (void)state;
    assert_int_equal(loops.n, 2);
    assert_string_equal(loops.item[0].layers, "b -> b");
    assert_string_equal(loops.item[1].layers, "a -> a");
    assert_true(loops.item[0].reaches[0] && loops.item[0].reaches[1] && !loops.item[0].reaches[2]);
    assert_true(loops.item[1].reaches[0] && !loops.item[1].reaches[1] && !loops.item[1].reaches[2]);
    gle_error_loops_clear(&loops);
    built_clear(&b);
}

/* The largest error of the first layer after so many steps of a network that is nudged and does not learn. */
static double error_of(size_t steps, const char *rule, const char *layers)
{
    const struct gle_step step = {.nudge = true};
    struct built b = build_layers(rule, layers);
    float e[2 * 4] = {0};
    double loss, most = 0.0;
    struct gle_error err = {0};

    for (size_t t = 0; t < steps; t++) {
        size_t ld;
        float *target = gle_net_target(b.net, &ld);
        target[0] = t == 1 ? 1.0f : 0.0f; /* a kick, once phi' is there; after it only the loop is left of it */
        if (gle_net_step(b.net, &step, &loss, &err))
            fail_msg("%s", err.text);
    }
    gle_net_get_var(b.net, gle_graph_variable(b.graph, 0, "v", 0), e);
    for (size_t i = 0; i < 2; i++)
        most = fmax(most, fabs((double)e[i]));
    built_clear(&b);
    return most;
}

/* Of one that reads itself. */
static double error_after(size_t steps, double weight)
{
    char layer[512];

    snprintf(layer, sizeof layer, "{name: out, " NEURONS(2) ", bias: none, from: [input, {layer: out, "
             "connect: one_to_one, weight: %.9g}]}", weight);
    return error_of(steps, "gle", layer);
}

/* Errors that go round two loops, each of a gain below 1, grow where that of both together is above 1, and there only.
 */
static void test_loops_grow_together(void **state)
{
    (void)state;
    assert_true(error_of(400, "bp", TOGETHER("0.8", "0.5")) > 10.0 * error_of(100, "bp", TOGETHER("0.8", "0.5")));
    assert_true(error_of(400, "bp", TOGETHER("0.8", "0.4")) < 0.1 * error_of(100, "bp", TOGETHER("0.8", "0.4")));
}

/* Errors that alternate come back with their own sign where the weight is negative: then they grow from a gain of 1 on,
 * and not below. The output stays zero, so that the target error is no more than the kick. */
static void test_errors_grow_from_a_gain_of_1_on(void **state)
{
    (void)state;
    assert_true(error_after(400, -1.05 / FAST) > 10.0 * error_after(100, -1.05 / FAST));
    assert_true(error_after(400, -0.95 / FAST) < 0.1 * error_after(100, -0.95 / FAST));
}

/* The same of exponential steps: the gain that is told is that from which on they grow. */
static void test_errors_of_exponential_steps_grow_likewise(void **state)
{
    const double leak = 1.0 - exp(-0.1 / 0.3), fast = (2.0 / 0.3 - leak) / (2.0 - leak);
    struct gle_error_loops loops;
    struct built b;

    (void)state;
    integration = "exponential";
    b = build_layers("gle", OUT("input, {layer: out, connect: one_to_one, weight: -0.5}"));
    loops = find(&b);
    assert_true(fabs(fast - FAST) > 0.05 && fabs(loops.item[0].gain - 0.5 * fast) < 1e-4);
    gle_error_loops_clear(&loops);
    built_clear(&b);
    assert_true(error_after(400, -1.05 / fast) > 10.0 * error_after(100, -1.05 / fast));
    assert_true(error_after(400, -0.95 / fast) < 0.1 * error_after(100, -0.95 / fast));
    integration = "euler";
}

/* Layers of 2 neurons, with a ratio tau_m / tau_r of 30, of 40 and 10, or of 20. */
#define FAR(name) "{name: " name ", neurons: {count: 2, tau_m: 3.0, tau_r: 0.1}"
#define WIDE(name) "{name: " name ", neurons: {count: 2, tau_m: [4.0, 1.0], tau_r: 0.1}"
#define NEAR(name) "{name: " name ", neurons: {count: 2, tau_m: 2.0, tau_r: 0.1}"
static const double wide = 29.154759474226502; /* sqrt((40^2 + 10^2) / 2) */

struct series_case {
    const char *rule, *layers, *names; /* the layers of the series, first the one nearest the output */
    double gain;
};

static const struct series_case series_cases[] = {
    {"gle", FAR("a") "}, " WIDE("out") "}", "out a ", 30.0 * 29.154759474226502},
    {"bp", FAR("a") "}, " FAR("out") "}", "", 0.0},
    {"eprop", FAR("a") "}, " FAR("out") "}", "", 0.0},
    {"gle", NEAR("a") "}, " NEAR("out") "}", "", 1.0},
    {"gle", FAR("a") "}, " NEAR("b") "}, " FAR("out") "}", "out a ", 900.0},
    /* errors of a layer that nothing learns from are not found */
    {"gle", FAR("a") ", plastic: []}, " FAR("out") "}", "out ", 30.0},
    /* no errors come back, or they do directly */
    {"gle", FAR("a") "}, " FAR("out") ", from: [{layer: a, feedback: none}]}", "out ", 30.0},
    {"gle", FAR("a") ", errors_from: [out]}, " FAR("out") ", from: [{layer: a, feedback: none}]}", "out a ", 900.0},
    /* side by side; the wide one and the near one are the worse way, or a third layer makes it the better one */
    {"gle", FAR("a") ", from: [input]}, " WIDE("b") ", from: [input]}, " FAR("out") ", from: [a, b]}", "out a ", 900.0},
    {"gle", FAR("a") ", from: [input]}, " WIDE("b") ", from: [input]}, " WIDE("c") ", from: [b]}, "
            FAR("out") ", from: [a, c]}", "out c b ", 30.0 * 29.154759474226502 * 29.154759474226502},
    /* round a loop each counts once, and so does a layer that reads itself */
    {"gle", FAR("a") ", from: [input, out]}, " FAR("out") ", from: [a, out]}", "out a ", 900.0},
    /* the order of the config is not that of errors */
    {"gle", FAR("out") ", from: [b]}, " FAR("b") ", from: [input]}", "out b ", 900.0},
};

static void test_series_that_look_far_ahead(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof series_cases / sizeof *series_cases; i++) {
        const struct series_case *c = &series_cases[i];
        struct built b = build_layers(c->rule, c->layers);
        struct gle_ahead_series series;
        struct gle_error err = {0};
        char names[64] = "";
        if (gle_ahead_find(&series, b.net, &err))
            fail_msg("%s", err.text);
        for (size_t k = 0; k < series.n; k++) {
            const char *name = b.exp->layers[series.item[k].population].name;
            snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", name);
            assert_true(fabs(series.item[k].ratio - 30.0) < 1e-4 || fabs(series.item[k].ratio - wide) < 1e-4);
        }
        if (strcmp(names, c->names) || !(fabs(series.gain - c->gain) <= 1e-5 * c->gain))
            fail_msg("%s: %s%g, not %s%g", c->layers, names, series.gain, c->names, c->gain);
        gle_ahead_clear(&series);
        built_clear(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gains),
        cmocka_unit_test(test_sets_are_apart),
        cmocka_unit_test(test_loops_grow_together),
        cmocka_unit_test(test_errors_grow_from_a_gain_of_1_on),
        cmocka_unit_test(test_errors_of_exponential_steps_grow_likewise),
        cmocka_unit_test(test_series_that_look_far_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
