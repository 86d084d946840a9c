/* Rule eprop: in a network of one layer its gradients, summed over steps from zero on, are the exact one of the loss
 * over these steps; which neurons share traces; and that what does not fit is refused. */
#include "../support/build.h"
#include "../support/random_net.h"
#include "base/memory.h"
#include "graph/groups.h"
#include "parts/loss.h"
#include "parts/rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, STEPS = 30, YAML_BYTES = 2048 };

static const double EXACT = 1e-6; /* of the largest number of a gradient */

/* A network of one layer: keys of the network, of the layer, and what learns. */
struct one_layer {
    const char *network, *layer, *plastic, *loss;
};

#define EVERYTHING "weight, bias, tau_m, tau_r"
#define WEIGHTS "weight, bias"
#define KINDS                                                                                                         \
    "neurons: [{count: 2, tau_m: 1.0, tau_r: 0.3}, {count: 1, tau_m: 0.4, tau_r: 0.4}, {tau_m: [1.0, 0.1], tau_r: "    \
    "[0.6, 0.1]}, {count: 2, tau_m: 1.0, tau_r: 0.3}]"
#define NOISE "noise: {input: 0.2, membrane: {std: 0.1, tau: 0.4}}"
static const struct one_layer layers[] = {
    {"input: 3", KINDS, WEIGHTS, "cross_entropy"},
    {"input: 3", KINDS, EVERYTHING, "cross_entropy"},
    {"input: 3", KINDS ", activation: tanh", "weight, bias, tau_r", "mse"},
    {"input: 3, integration: exponential", "neurons: {tau_m: [0.04, 0.5, 0.5], tau_r: [0.1, 0.02, 1.0]}", EVERYTHING,
     "cross_entropy"},
    {"input: 3, integration: exponential", KINDS, WEIGHTS, "mse"},
    {"input: 3", KINDS ", activation: tanh, from: [input, {layer: input, name: late, delay: 0.7}, "
                       "{layer: input, name: some, connect: {type: sparse, probability: 0.5}}]", WEIGHTS, "mse"},
    {"input: 3, " NOISE, KINDS ", activation: softplus", EVERYTHING, "cross_entropy"},
    {"input: 3, mismatch: {tau_m: 0.3, tau_r: 0.3}", KINDS ", activation: tanh", EVERYTHING, "cross_entropy"},
    {"input: 7", KINDS ", from: [{layer: input, connect: one_to_one, delay: 0.2}]", WEIGHTS, "cross_entropy"},
    {"input: {channels: 2, size: [5, 4]}", "neurons: {channels: 2, tau_m: 1.0, tau_r: 0.2}, "
     "from: [{layer: input, connect: {type: conv, kernel: 3, pool: {type: max, size: [1, 1]}}}]", WEIGHTS, "mse"},
    /* channels whose neurons are of one kind, of several, and that have traces of their own */
    {"input: {channels: 2, size: 7}", "neurons: {channels: 3, tau_m: [1.0, 1.0, 1.0, 0.5, 1.0, 0.5, 1.0, 1.0, 1.0], "
     "tau_r: [0.2, 0.2, 0.2, 0.2, 0.5, 0.5, 0.2, 0.2, 0.2]}, "
     "from: [{layer: input, connect: {type: conv, kernel: 3, stride: 2}}]", WEIGHTS, "cross_entropy"},
    {"input: {channels: 2, size: 8}", "neurons: {channels: 3, tau_m: 1.0, tau_r: 0.2}, from: [{layer: input, "
     "connect: {type: conv, kernel: 2, pool: {type: mean, size: 2}}}]", EVERYTHING, "cross_entropy"},
};

static const char *write_layer(const struct one_layer *layer)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: one\ndt: 0.1\nseed: 3\ndataset: {type: npz, file: none.npz}\n"
                           "network: {%s, layers: [{name: only, %s}]}\n"
                           "learning: {rule: eprop, loss: %s, plastic: [%s], optimizer: {type: sgd, lr: 0.1}}\n"
                           "training: {epochs: 0, batch_size: %d}\n",
                           layer->network, layer->layer, layer->loss, layer->plastic, ROWS);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

static void show(struct built *b, struct gle_rng *rng)
{
    const size_t n = gle_experiment_top(b->exp)->n;
    size_t ld_x, ld_y;
    float *x = gle_net_input(b->net, &ld_x), *y = gle_net_target(b->net, &ld_y);
    double target[64];

    assert_true(n <= 64);
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t k = 0; k < b->exp->n_input; k++)
            x[r * ld_x + k] = (float)draw(rng, -1.0, 1.0);
        random_target(target, n, b->exp, rng);
        for (size_t k = 0; k < n; k++)
            y[r * ld_y + k] = (float)target[k];
    }
}

/* What all parameters' gradients are found in, one behind the other: values (n). */
static size_t add_gradients(double *sums, const struct built *b)
{
    float values[1024];
    size_t at = 0;

    for (size_t i = 0; i < b->graph->n_parameters; i++) {
        const struct gle_parameter *p = &b->graph->parameters[i];
        const size_t n = gle_field_size(&p->field);
        if (!p->plastic)
            continue;
        assert_true(n <= sizeof values / sizeof *values);
        gle_net_get_gradient(b->net, i, values);
        for (size_t k = 0; k < n; k++)
            sums[at + k] += (double)values[k];
        at += n;
    }
    return at;
}

/* Errors are those of the loss, but of mse, of which they are half, times the outputs over which it is a mean. */
static double scale_of(const struct built *b)
{
    return strcmp(b->exp->loss->row.name, "mse") ? 1.0 : 2.0 / (double)gle_experiment_top(b->exp)->n;
}

static void check_layer(size_t number)
{
    struct built b = build_windows(write_layer(&layers[number]), STEPS, 1);
    const struct gle_rule *bptt = (const struct gle_rule *)gle_table_find(&gle_rule_table, "bptt");
    static double local[4096], exact[4096];
    const double scale = scale_of(&b);
    struct gle_error err = {0};
    struct gle_rng rng;
    size_t at = 0;
    double loss;

    memset(local, 0, sizeof local);
    memset(exact, 0, sizeof exact);
    gle_rng_seed(&rng, (uint32_t)number);
    gle_net_begin_window(b.net);
    for (size_t t = 0; t < STEPS; t++) {
        show(&b, &rng);
        if (gle_net_step(b.net, &(struct gle_step){.learn = true, .lr = 0.0}, &loss, &err))
            fail_msg("%s", err.text);
        assert_true(add_gradients(local, &b) <= sizeof local / sizeof *local);
    }
    if (gle_net_end_window(b.net, bptt, false, 0.0, &err))
        fail_msg("%s", err.text);
    (void)add_gradients(exact, &b);
    for (size_t i = 0; i < b.graph->n_parameters; i++) {
        const struct gle_parameter *p = &b.graph->parameters[i];
        const size_t n = gle_field_size(&p->field);
        double most = 0.0;
        if (!p->plastic)
            continue;
        for (size_t k = at; k < at + n; k++)
            most = fmax(most, fabs(exact[k]));
        assert_true(most > 1e-3);
        for (size_t k = at; k < at + n; k++)
            if (!(fabs(scale * local[k] - exact[k]) <= EXACT * most))
                fail_msg("layer %zu, %s, number %zu: %.9g, where %.9g is exact and %.3g the largest", number,
                         p->field.name, k - at, scale * local[k], exact[k], most);
        at += n;
    }
    built_clear(&b);
}

static void gradients_of_one_layer_are_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        check_layer(i);
}

/* --- who shares traces --- */

static void neurons_with_equal_time_constants_share_traces(void **state)
{
    static const struct {
        struct one_layer layer;
        size_t groups, traces;
        const char *of; /* the group of each neuron, a digit each */
        bool each;
    } cases[] = {
        {{"input: 1", KINDS, WEIGHTS, "mse"}, 4, 3, "0012300", false},
        {{"input: 1", KINDS, "weight, bias, tau_r", "mse"}, 7, 3, "0123456", true},
        {{"input: 1", KINDS, "weight, tau_m", "mse"}, 7, 7, "0123456", true},
        {{"input: 1, mismatch: {tau_r: 0.1}", KINDS, WEIGHTS, "mse"}, 7, 3, "0123456", true},
        {{"input: 1, mismatch: {error_tau_m: 0.1}", KINDS, WEIGHTS, "mse"}, 4, 3, "0012300", false},
        {{"input: 1, init: {file: none.npz}", KINDS, WEIGHTS, "mse"}, 7, 7, "0123456", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct built b = built_load(write_layer(&cases[i].layer));
        struct gle_groups groups;
        struct gle_error err = {0};
        assert_int_equal(gle_groups_find(&groups, b.exp, 0, &err), 0);
        if (groups.n != cases[i].groups || groups.n_traces != cases[i].traces)
            fail_msg("case %zu: %zu groups, %zu traces", i, groups.n, groups.n_traces);
        for (size_t k = 0; k < b.exp->layers[0].n; k++)
            assert_int_equal(groups.of[k], (size_t)(cases[i].of[k] - '0'));
        assert_int_equal(gle_groups_why(b.exp, 0) != NULL, cases[i].each);
        gle_groups_clear(&groups);
        built_clear(&b);
    }
}

static size_t count_traces(const struct built *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->graph->n_fields; i++)
        n += b->graph->fields[i]->copies > 0 &&
             (strstr(b->graph->fields[i]->name, "trace") || strstr(b->graph->fields[i]->name, "eligibility"));
    return n;
}

static struct built build_as(const char *learning, bool passive)
{
    char yaml[YAML_BYTES];
    struct gle_graph_options options = {.passive = passive};
    struct gle_error err = {0};
    struct built b;

    snprintf(yaml, sizeof yaml,
             "glesim: 1\nname: one\ndt: 0.1\ndataset: {type: npz, file: none.npz}\n"
             "network: {input: 2, layers: [{name: only, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}]}\n"
             "learning: {loss: mse, %s}\ntraining: {epochs: 0}\n", learning);
    b = built_load(yaml);
    if (gle_graph_build(&b.graph, b.exp, &options, &err))
        fail_msg("%s", err.text);
    return b;
}

/* Of what learns by this rule there are a trace and an eligibility; else there are none. */
static void there_are_traces_only_where_they_are_wanted(void **state)
{
    static const struct {
        const char *learning;
        bool passive;
        size_t n;
        double bytes; /* of a sample: of ld_pool or ld, 8 numbers each */
    } cases[] = {
        {"rule: bp", false, 0, 0.0},
        {"rule: eprop", true, 0, 0.0},
        {"rule: eprop, plastic: [weight]", false, 2, 96.0},
        {"rule: eprop, plastic: [bias]", false, 2, 96.0},
        {"rule: eprop, plastic: [tau_r]", false, 1, 64.0},
        {"rule: eprop, plastic: [weight, bias, tau_m, tau_r]", false, 7, 192.0 + 96.0 + 96.0 + 64.0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct built b = build_as(cases[i].learning, cases[i].passive);
        const double wanted = cases[i].bytes * (double)b.graph->max_batch;
        if (count_traces(&b) != cases[i].n || fabs(gle_graph_trace_bytes(b.graph) - wanted) > 0.5)
            fail_msg("%s: %zu fields, %.0f bytes", cases[i].learning, count_traces(&b),
                     gle_graph_trace_bytes(b.graph));
        built_clear(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_one_layer_are_exact),
        cmocka_unit_test(neurons_with_equal_time_constants_share_traces),
        cmocka_unit_test(there_are_traces_only_where_they_are_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
