/* Small networks of the paper's code, state by state: every variable, gradient and parameter after every step. */
#include "../support/build.h"
#include "../support/by_layer.h"
#include "base/rng.h"
#include "reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    enum layer_var var;
    const char *name;
} vars[] = {
    {VAR_U, "u"},              {VAR_V, "v"},             {VAR_R, "r"},       {VAR_DR, "r_prime"},
    {VAR_E_BELOW, "e_bottom"}, {VAR_PROSP_U, "prosp_u"}, {VAR_E, "prosp_v"},
    {VAR_E_INST, "inst_e"},
};
enum { N_KEPT = 5, N_VARS = 8 }; /* what a step leaves to the next comes first */
static const struct {
    enum gle_param param;
    const char *name;
} params[] = {{GLE_WEIGHT, "W"}, {GLE_BIAS, "b"}, {GLE_TAU_M, "tau_m"}};

static const char layers_3543[] =
    "dt: 0.2\n"
    "dataset: {type: npz, file: none.npz}\n"
    "network:\n"
    "  input: 3\n"
    "  layers:\n"
    "    - name: L0\n"
    "      neurons: {tau_m: [0.6, 0.6, 1.2, 1.2, 1.2], tau_r: [0.2, 0.2, 0.2, 1.2, 1.2]}\n"
    "    - name: L1\n"
    "      neurons: {tau_m: [0.6, 1.2, 1.2, 1.2], tau_r: [0.2, 0.2, 1.2, 1.2]}\n"
    "      activation: tanh\n"
    "    - name: L2\n"
    "      neurons: {tau_m: [1.2, 1.2, 1.2], tau_r: 1.2}\n"
    "learning:\n"
    "  rule: gle\n"
    "  loss: cross_entropy\n"
    "  beta: 1.0\n"
    "  optimizer: {type: adam, lr: 1e-3}\n"
    "training: {epochs: 0, batch_size: 4, test_batch_size: 10}\n";

static struct built build_3543(void)
{
    char yaml[4096];

    snprintf(yaml, sizeof yaml, "glesim: 1\nname: tiny\n%s", layers_3543);
    return build_text(yaml, 1);
}

/* Initial parameters of the reference. */
static void take_init(struct built *b, const struct reference *ref)
{
    for (size_t i = 0; i < b->graph->n_populations; i++)
        for (size_t p = 0; p < 3; p++) {
            const struct gle_population *l = &b->graph->populations[i];
            const size_t cols = params[p].param == GLE_WEIGHT ? layer_inputs(b->graph, i) : 1;
            float values[64];
            char name[64];

            if (params[p].param == GLE_BIAS && !l->cfg->bias.row)
                continue;
            snprintf(name, sizeof name, "L%zu_%s_init", i, params[p].name);
            if (cols == 1)
                for (size_t k = 0; k < l->n; k++)
                    values[k] = (float)gle_array_real(reference_array(ref, name), k);
            else
                reference_copy_rows(ref, name, 0, values, l->n, cols, cols);
            layer_set_param(b->net, i, params[p].param, values);
        }
}

/* The first n_vars variables of all layers against slice `slice` of arrays whose names begin with prefix. */
static void check_vars(const struct built *b, const struct reference *ref, const char *prefix, size_t slice, size_t B,
                       size_t n_vars)
{
    for (size_t i = 0; i < b->graph->n_populations; i++)
        for (size_t k = 0; k < n_vars; k++) {
            const struct gle_population *l = &b->graph->populations[i];
            const size_t n = vars[k].var == VAR_E_BELOW ? layer_inputs(b->graph, i) : l->n;
            float values[256];
            char name[64];

            if (!layer_has_var(b->net, i, vars[k].var))
                continue; /* sent below by the lowest layer: never used, not computed; or after no step at all */
            snprintf(name, sizeof name, "%sL%zu_%s", prefix, i, vars[k].name);
            layer_get_var(b->net, i, vars[k].var, values);
            reference_assert_rows(ref, name, slice, values, B, n, n);
        }
}

/* Gradients and parameters after the step. */
static void check_params(const struct built *b, const struct reference *ref, const char *prefix, size_t slice)
{
    for (size_t i = 0; i < b->graph->n_populations; i++)
        for (size_t p = 0; p < 3; p++) {
            const struct gle_population *l = &b->graph->populations[i];
            const size_t rows = params[p].param == GLE_WEIGHT ? l->n : 1;
            const size_t cols = params[p].param == GLE_WEIGHT ? layer_inputs(b->graph, i) : l->n;
            float values[256];
            char name[64];

            if (!l->cfg->plastic[params[p].param])
                continue;
            snprintf(name, sizeof name, "%sL%zu_%s_grad", prefix, i, params[p].name);
            layer_get_gradient(b->net, i, params[p].param, values);
            reference_assert_rows(ref, name, slice, values, rows, cols, cols);
            snprintf(name, sizeof name, "%sL%zu_%s", prefix, i, params[p].name);
            layer_get_param(b->net, i, params[p].param, values);
            reference_assert_rows(ref, name, slice, values, rows, cols, cols);
        }
}

/* The output that a step reads is the old rate: also what the reference calls the output of that step. */
static void check_output(const struct built *b, const struct reference *ref, const char *prefix, size_t slice, size_t B)
{
    const size_t top = b->graph->n_populations - 1, n = b->graph->populations[top].n;
    float values[256];
    char name[64];

    snprintf(name, sizeof name, "%soutput", prefix);
    layer_get_var(b->net, top, VAR_R, values);
    reference_assert_rows(ref, name, slice, values, B, n, n);
}

static void put_labels(struct built *b, const struct reference *ref, const char *name, size_t first, size_t B)
{
    const size_t n = b->exp->layers[b->exp->n_layers - 1].n;
    size_t ld;
    float *target = gle_net_target(b->net, &ld);

    for (size_t k = 0; k < B; k++)
        for (size_t j = 0; j < n; j++)
            target[k * ld + j] = (size_t)reference_int(ref, name, first + k) == j ? 1.0f : 0.0f;
}

static void take_step(struct built *b, const struct reference *ref, const char *prefix, size_t slice, size_t B,
                      bool learn, double lr)
{
    const struct gle_step step = {.learn = learn, .lr = lr};
    struct gle_error err = {0};
    char name[64];
    float mean;
    double loss;

    check_output(b, ref, prefix, slice, B);
    if (gle_net_step(b->net, &step, &loss, &err))
        fail_msg("%s", err.text);
    snprintf(name, sizeof name, "%sloss", prefix);
    mean = (float)(loss / (double)B);
    if (fabs((double)mean - gle_array_real(reference_array(ref, name), slice)) > reference_tolerance(ref, name))
        fail_msg("%s[%zu]: %.9g", name, slice, (double)mean);
    check_vars(b, ref, prefix, slice, B, N_VARS);
    if (learn)
        check_params(b, ref, prefix, slice);
}

static void cross_entropy_with_adam(void **state)
{
    const struct reference *ref = reference_get("tiny_ce", "tiny_ce");
    struct built b = build_3543();
    size_t ld;
    float *input = gle_net_input(b.net, &ld);

    (void)state;
    take_init(&b, ref);
    gle_net_set_batch(b.net, 4);
    for (size_t t = 0; t < 90; t++) {
        put_labels(&b, ref, "labels", t / 30 * 4, 4);
        reference_copy_rows(ref, "x", t, input, 4, 3, ld);
        take_step(&b, ref, "", t, 4, true, 1e-3);
    }
    built_clear(&b);
}

static void the_state_follows_the_batch_size(void **state)
{
    static const struct {
        size_t B;
        bool learn;
    } phases[] = {{4, true}, {10, false}, {4, true}, {3, false}};
    const struct reference *ref = reference_get("tiny_batchswitch", "tiny_batchswitch");
    struct built b = build_3543();
    size_t ld;
    float *input = gle_net_input(b.net, &ld);

    (void)state;
    take_init(&b, ref);
    for (size_t p = 0; p < 4; p++) {
        char prefix[32], labels[32], x[32];
        snprintf(prefix, sizeof prefix, "P%zu_", p);
        snprintf(labels, sizeof labels, "P%zu_labels", p);
        snprintf(x, sizeof x, "P%zu_x", p);
        gle_net_set_batch(b.net, phases[p].B);
        if (p) {
            char adjusted[32];
            snprintf(adjusted, sizeof adjusted, "P%zu_after_adjust_", p);
            check_vars(&b, ref, adjusted, 0, phases[p].B, N_KEPT);
        }
        put_labels(&b, ref, labels, 0, phases[p].B);
        for (size_t t = 0; t < 10; t++) {
            reference_copy_rows(ref, x, t, input, phases[p].B, 3, ld);
            take_step(&b, ref, prefix, t, phases[p].B, phases[p].learn, 1e-3);
        }
    }
    built_clear(&b);
}

static void learned_time_constants_with_momentum(void **state)
{
    static const char yaml[] = "glesim: 1\nname: tiny\ndt: 0.01\n"
                               "dataset: {type: npz, file: none.npz}\n"
                               "network:\n"
                               "  input: 1\n"
                               "  layers:\n"
                               "    - name: L0\n"
                               "      neurons: {tau_m: [1.0, 0.3, 0.1001], tau_r: [0.1, 0.1, 0.2]}\n"
                               "      activation: softplus\n"
                               "      bias: none\n"
                               "    - name: L1\n"
                               "      neurons: {tau_m: [0.5, 0.1005], tau_r: 0.1}\n"
                               "      activation: softplus\n"
                               "      bias: none\n"
                               "    - name: L2\n"
                               "      neurons: {tau_m: [0.2], tau_r: 0.1}\n"
                               "      activation: softplus\n"
                               "      bias: none\n"
                               "learning:\n"
                               "  rule: gle\n"
                               "  loss: mse\n"
                               "  beta: 0.01\n"
                               "  gamma: 0.5\n"
                               "  plastic: [weight, tau_m]\n"
                               "  bounds: {tau_m: [0.1, .inf]}\n"
                               "  optimizer: {type: sgd, lr: 0.05, momentum: 0.9}\n"
                               "training: {epochs: 0, batch_size: 2}\n";
    const struct reference *ref = reference_get("tiny_mse_tau", "tiny_mse_tau");
    struct built b = build_text(yaml, 1);
    size_t ld, ld_target;
    float *input = gle_net_input(b.net, &ld), *target = gle_net_target(b.net, &ld_target);

    (void)state;
    take_init(&b, ref);
    gle_net_set_batch(b.net, 2);
    for (size_t t = 0; t < 60; t++) {
        reference_copy_rows(ref, "x", t, input, 2, 1, ld);
        reference_copy_rows(ref, "target", t, target, 2, 1, ld_target);
        take_step(&b, ref, "", t, 2, true, 0.05);
    }
    built_clear(&b);
}

/* A parameter after a window's step, or its gradient. */
static void check_window_param(const struct built *b, const struct reference *ref, const char *prefix, size_t layer,
                               bool tau, size_t window)
{
    const bool gradient = !strncmp(prefix, "grad", 4);
    const enum gle_param param = tau ? GLE_TAU_M : GLE_WEIGHT;
    char name[64];
    float value;

    snprintf(name, sizeof name, "%s_%s_%zu", prefix, tau ? "tau_m" : "w", layer);
    if (gradient)
        layer_get_gradient(b->net, layer, param, &value);
    else
        layer_get_param(b->net, layer, param, &value);
    reference_assert_rows(ref, name, window, &value, 1, 1, 1);
}

static const char lagline_yaml[] = "glesim: 1\nname: tiny\ndt: 0.01\n"
                                   "dataset: {type: npz, file: none.npz}\n"
                                   "network:\n"
                                   "  input: 1\n"
                                   "  layers:\n"
                                   "    - {name: L0, neurons: {count: 1, tau_m: 0.30742282, tau_r: 0.1}, "
                                   "activation: softplus, bias: none}\n"
                                   "    - {name: L1, neurons: {count: 1, tau_m: 0.6340787, tau_r: 0.1}, "
                                   "activation: softplus, bias: none}\n"
                                   "teacher:\n"
                                   "  L0: {weight: 1.0, tau_m: 1.0}\n"
                                   "  L1: {weight: 2.0, tau_m: 2.0}\n"
                                   "learning:\n"
                                   "  rule: bptt\n"
                                   "  window: 0.2\n"
                                   "  loss: mse\n"
                                   "  beta: 0.01\n"
                                   "  gamma: 1.0\n"
                                   "  plastic: [weight, tau_m]\n"
                                   "  bounds: {tau_m: [0.1, .inf]}\n"
                                   "  optimizer: {type: adam, lr: 2.0e-3}\n"
                                   "training: {epochs: 0, batch_size: 3}\n";

static void put_lagline_input(float *input, size_t ld, const struct reference *steps, size_t t)
{
    for (size_t k = 0; k < 3; k++)
        input[k * ld] = (float)gle_array_real(reference_array(steps, "x"), k * 141 + t);
}

/* The target of a step is the output that the teacher has at that step. */
static void a_teacher_gives_the_targets(void **state)
{
    static const struct gle_graph_options passive = {.passive = true};
    const struct reference *steps = reference_get("tiny_bptt", "tiny_bptt_steps");
    struct built b = build_text(lagline_yaml, 1);
    struct gle_graph *graph;
    struct gle_net *teacher = NULL;
    struct gle_error err = {0};
    struct gle_rng rng;
    size_t ld, ld_target;
    float *target = gle_net_target(b.net, &ld_target);
    float *input;

    (void)state;
    gle_rng_seed(&rng, 0);
    if (gle_graph_build(&graph, b.exp, &passive, &err) || gle_net_build(&teacher, graph, 1, &err))
        fail_msg("%s", err.text);
    to_device(teacher);
    if (gle_net_init(teacher, &rng, &err) || gle_net_apply(teacher, &b.exp->teacher, &rng, &err))
        fail_msg("%s", err.text);
    gle_net_set_batch(teacher, 3);
    gle_net_set_batch(b.net, 3);
    input = gle_net_input(teacher, &ld);
    for (size_t t = 0; t <= 140; t++) {
        double loss;
        gle_net_aim(b.net, teacher);
        reference_assert_rows(steps, "target", t, target, 3, 1, ld_target);
        put_lagline_input(input, ld, steps, t);
        if (gle_net_step(teacher, &(struct gle_step){0}, &loss, &err))
            fail_msg("%s", err.text);
        for (size_t i = 0; i < 2; i++) {
            float values[3];
            char name[64];
            snprintf(name, sizeof name, "teacher_L%zu_u", i);
            layer_get_var(teacher, i, VAR_U, values);
            reference_assert_rows(steps, name, t, values, 3, 1, 1);
            snprintf(name, sizeof name, "teacher_L%zu_r", i);
            layer_get_var(teacher, i, VAR_R, values);
            reference_assert_rows(steps, name, t, values, 3, 1, 1);
        }
    }
    gle_net_destroy(teacher);
    gle_graph_destroy(graph);
    built_clear(&b);
}

/* Windows of exact gradients, through the nudging of the membranes as autograd goes: the first one is a step longer
 * than the others. */
static void backpropagation_through_time(void **state)
{
    const struct reference *steps = reference_get("tiny_bptt", "tiny_bptt_steps");
    const struct reference *windows = reference_get("tiny_bptt", "tiny_bptt_windows");
    const struct gle_step nudge = {.nudge = true};
    struct built b = build_text(lagline_yaml, 1);
    struct gle_error err = {0};
    size_t ld, ld_target, window = 0;
    float *input = gle_net_input(b.net, &ld), *target = gle_net_target(b.net, &ld_target);
    double loss_sum = 0.0;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char name[64];
        float value;
        snprintf(name, sizeof name, "init_w_%zu", i);
        value = (float)gle_array_real(reference_array(windows, name), 0);
        layer_set_param(b.net, i, GLE_WEIGHT, &value);
        snprintf(name, sizeof name, "init_tau_m_%zu", i);
        value = (float)gle_array_real(reference_array(windows, name), 0);
        layer_set_param(b.net, i, GLE_TAU_M, &value);
    }
    gle_net_set_batch(b.net, 3);
    for (size_t t = 0; t <= 140; t++) {
        double loss;
        put_lagline_input(input, ld, steps, t);
        reference_copy_rows(steps, "target", t, target, 3, 1, ld_target);
        check_output(&b, steps, "", t, 3);
        if (t == 40)
            gle_net_begin_window(b.net);
        if (gle_net_step(b.net, &nudge, &loss, &err))
            fail_msg("%s", err.text);
        loss_sum = t == 40 ? loss / 3.0 : loss_sum + loss / 3.0;
        check_vars(&b, steps, "", t, 3, N_VARS);
        if (t <= 40 || t % 20)
            continue;
        if (gle_net_end_window(b.net, b.exp->rule, true, 2e-3, &err))
            fail_msg("%s", err.text);
        assert_int_equal(reference_int(windows, "update_step", window), t);
        reference_assert_rows(windows, "loss_sum", window, &(float){(float)loss_sum}, 1, 1, 1);
        for (size_t i = 0; i < 2; i++)
            for (int tau = 0; tau < 2; tau++) {
                check_window_param(&b, windows, "grad", i, tau, window);
                check_window_param(&b, windows, "after", i, tau, window);
            }
        gle_net_begin_window(b.net);
        loss_sum = 0.0;
        window++;
    }
    assert_int_equal(window, 5);
    built_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy_with_adam),
        cmocka_unit_test(the_state_follows_the_batch_size),
        cmocka_unit_test(learned_time_constants_with_momentum),
        cmocka_unit_test(a_teacher_gives_the_targets),
        cmocka_unit_test(backpropagation_through_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
