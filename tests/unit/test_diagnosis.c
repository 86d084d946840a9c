/* Comparisons of a rule's updates with exact gradients, within runs. */
#include "../support/witness.h"
#include "../support/by_layer.h"
#include "base/memory.h"
#include "parts/rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { YAML_BYTES = 4096 };

static const char *const noise = "{type: ornstein_uhlenbeck, tau: 1.0, sequences: 3, channels: 2}";
static const char *const xor7 = "{type: xor, present: 0.7, repeat: 7, noise: 0.3}"; /* samples of seven steps */
static const char *const teacher = "teacher: {a: {weight: 0.7, tau_m: 1.5}, b: {bias: [0.3, -0.2]}}\n";

static const char *config(const char *dataset, const char *learning, const char *training, const char *diagnose,
                          const char *sections)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\ndataset: %s\n"
                           "network: {input: 2, layers: [{name: a, neurons: {tau_m: [1.0, 0.5, 2.0, 0.8], "
                           "tau_r: [0.4, 0.5, 0.1, 0.9]}, activation: tanh}, "
                           "{name: b, neurons: {tau_m: [1.0, 0.6], tau_r: [0.5, 1.0]}}]}\n"
                           "learning: {loss: mse, plastic: [weight, bias, tau_m, tau_r]%s}\n"
                           "training: {%s}\nrecord: {every: 1}\n%s%s\n%s\n",
                           dataset, learning, training, *diagnose ? "diagnose: " : "", diagnose, sections);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

static const struct gle_comparison *comparison(const struct gle_diagnostic *d, size_t layer, int param)
{
    return &d->of[layer * LAYER_PARAMS + (size_t)param];
}

static double cosine(const struct gle_comparison *c)
{
    return c->dot / sqrt(c->update * c->gradient);
}

static double ratio(const struct gle_comparison *c)
{
    return sqrt(c->update / c->gradient);
}

static void assert_exact(const struct trial *t)
{
    for (size_t d = 0; d < t->m.n_diagnostics; d++)
        for (size_t i = 0; i < t->b.graph->n_populations; i++)
            for (int p = 0; p < GLE_PARAMS; p++) {
                const struct gle_comparison *c = comparison(&t->m.diagnostics[d], i, p);
                if (!(fabs(cosine(c) - 1.0) < 1e-5 && fabs(ratio(c) - 1.0) < 1e-5))
                    fail_msg("step %zu, layer %zu, %s: cosine %.9g, ratio %.9g", (size_t)t->m.diagnostics[d].step, i,
                             gle_params[p].name, cosine(c), ratio(c));
            }
}

static void assert_steps(const struct trial *t, const uint64_t *steps, size_t n)
{
    assert_int_equal(t->m.n_diagnostics, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(t->m.diagnostics[i].step, steps[i]);
}

/* The updates of a window are the exact gradient of that window, as long as no parameter moves. */
static void a_windowed_rule_is_its_own_gradient(void **state)
{
    static const struct {
        const char *dataset, *learning, *training, *diagnose, *sections;
        size_t n;
    } runs[] = {
        {noise, ", rule: bptt, window: 0.5, gamma: 0.2", "phases: [{duration: 2.3}, {duration: 1.7}]",
         "{window: 0.5, every: 5}", teacher, 5},
        {noise, ", rule: adjoint, window: 0.5", "phases: [{duration: 2.3}, {duration: 1.7}]",
         "{window: 0.5, every: 5, gradient: adjoint}", teacher, 5},
        {xor7, ", rule: bptt, window: 0.5, gamma: 0.2", "batch_size: 3, phases: [{duration: 2.3}]",
         "{window: 0.5, every: 10}", "", 2},
        {xor7, ", rule: bptt, window: 0.3", "batch_size: 3, state: reset, phases: [{duration: 2.8}]",
         "{window: 0.3, every: 3}", "", 5},
        {xor7, ", rule: bptt, window: 0.3", "epochs: 1, batch_size: 8", "{window: 0.3, every: 3}", "", 8},
        {xor7, ", rule: adjoint, window: 0.7", "epochs: 1, batch_size: 8, state: reset",
         "{window: 0.7, every: 7, gradient: adjoint}", teacher, 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        char learning[160];
        struct trial t;
        snprintf(learning, sizeof learning, "%s, optimizer: {type: sgd, lr: 0}", runs[i].learning);
        t = trial_of(config(runs[i].dataset, learning, runs[i].training, runs[i].diagnose, runs[i].sections), 1);
        if (t.m.n_diagnostics != runs[i].n)
            fail_msg("run %zu: %zu comparisons, not %zu", i, t.m.n_diagnostics, runs[i].n);
        assert_exact(&t);
        trial_close(&t);
    }
}

/* By eprop from zero on, the layer whose errors come from the loss itself; not the one below, whose errors have come
 * through a membrane that remembers. */
static void eprop_is_exact_in_the_output(void **state)
{
    struct trial t = trial_of(config(noise, ", rule: eprop, optimizer: {type: sgd, lr: 0}", "phases: [{duration: 1.5}]",
                                     "{window: 1.5, every: 15}", teacher), 1);
    double below = 0.0;

    (void)state;
    assert_int_equal(t.m.n_diagnostics, 1);
    for (int p = 0; p < GLE_PARAMS; p++) {
        const struct gle_comparison *c = comparison(&t.m.diagnostics[0], 1, p);
        if (!(fabs(cosine(c) - 1.0) < 1e-6 && fabs(ratio(c) - 1.0) < 1e-6)) /* two outputs, beta 1 */
            fail_msg("%s: cosine %.9g, ratio %.9g", gle_params[p].name, cosine(c), ratio(c));
        below = fmax(below, 1.0 - cosine(comparison(&t.m.diagnostics[0], 0, p)));
    }
    assert_true(below > 1e-3);
    trial_close(&t);
}

/* Several windows in a comparison: their gradients add up, short of the errors cut off between them. */
static void windows_within_a_comparison_add_up(void **state)
{
    struct trial t = trial_of(config(noise, ", rule: bptt, window: 2, optimizer: {type: sgd, lr: 0}",
                                     "phases: [{duration: 13}]", "{window: 4, every: 40}", teacher), 1);
    static const uint64_t steps[] = {21, 61};

    (void)state;
    assert_steps(&t, steps, 2);
    for (size_t d = 0; d < 2; d++)
        for (size_t i = 0; i < 2; i++)
            for (int p = 0; p < GLE_TAU_M; p++) {
                assert_true(cosine(comparison(&t.m.diagnostics[d], i, p)) > 0.8);
                assert_true(fabs(ratio(comparison(&t.m.diagnostics[d], i, p)) - 1.0) < 0.5);
            }
    trial_close(&t);
}

/* Neurons with tau_r = tau_m answer at once; so do their errors. On a slow input GLE then is gradient descent. */
static void gle_with_instantaneous_neurons_follows_the_gradient(void **state)
{
    static const char yaml[] =
        "glesim: 1\nname: slow\ndt: 0.01\nseed: 3\n"
        "dataset: {type: sines, omega: [0.3, 0.45], sequences: 2}\n"
        "network: {input: 1, layers: [{name: a, repeat: 2, neurons: {count: 6, tau_m: 0.5, tau_r: 0.5}, "
        "activation: tanh}, {name: b, neurons: {count: 2, tau_m: 0.5, tau_r: 0.5}}]}\n"
        "teacher: {b: {weight: 0.4, bias: [0.5, -0.5]}}\n"
        "learning: {loss: mse, optimizer: {type: sgd, lr: 0}}\n"
        "training: {phases: [{duration: 12}]}\ndiagnose: {window: 2, every: 300}\n";
    struct trial t = trial_of(yaml, 1);

    (void)state;
    assert_int_equal(t.m.n_diagnostics, 4);
    for (size_t d = 1; d < 4; d++)
        for (size_t i = 0; i < 3; i++)
            for (int p = 0; p < GLE_TAU_M; p++) {
                const struct gle_comparison *c = comparison(&t.m.diagnostics[d], i, p);
                if (!(cosine(c) > 0.999 && fabs(ratio(c) - 1.0) < 0.05))
                    fail_msg("step %zu, layer %zu, %s: cosine %.9g, ratio %.9g", (size_t)t.m.diagnostics[d].step, i,
                             gle_params[p].name, cosine(c), ratio(c));
            }
    trial_close(&t);
}

static void comparisons_begin_with_every_nth_learning_step_that_leaves_room(void **state)
{
    static const char *const two = "phases: [{duration: 1.2}, {duration: 0.5, learn: false}, {duration: 2}]";
    static const struct {
        const char *dataset, *learning, *training, *diagnose;
        uint64_t steps[8];
        size_t n;
    } runs[] = {
        {noise, "", two, "{window: 0.4, every: 7}", {0, 7, 19, 26, 33}, 5},
        {noise, ", rule: bp", two, "{window: 0.6, every: 8}", {0, 17, 25}, 3},
        {noise, ", rule: bptt, window: 0.5", "phases: [{duration: 4}]", "{window: 1, every: 12}", {6, 21}, 2},
        {noise, "", "phases: [{duration: 1}]", "{window: 1.1, every: 11}", {0}, 0},
        {noise, "", "phases: [{duration: 1}]", "{window: 1, every: 10}", {0}, 1},
        /* A batch of test samples first; batches of seven steps; the last place in a batch is 7 - 3 */
        {xor7, "", "epochs: 1, batch_size: 4", "{window: 0.3, every: 10}", {7, 17, 28, 38, 49}, 5},
        {xor7, ", rule: bptt, window: 0.3", "epochs: 1, batch_size: 10", "{window: 0.6, every: 6}", {7, 14, 21}, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        struct trial t = trial_of(config(runs[i].dataset, runs[i].learning, runs[i].training, runs[i].diagnose,
                                         runs[i].dataset == noise ? teacher : ""), 1);
        assert_steps(&t, runs[i].steps, runs[i].n);
        for (size_t d = 0; d < t.m.n_diagnostics; d++)
            for (size_t k = 0; k < 2 * LAYER_PARAMS; k++)
                assert_true(t.m.diagnostics[d].of[k].update > 0.0 && t.m.diagnostics[d].of[k].gradient > 0.0);
        trial_close(&t);
    }
}

/* Sums of the gradients that the rule followed, taken by a witness. */
static void the_update_is_the_sum_of_the_gradients_that_the_rule_followed(void **state)
{
    struct witness w;
    struct trial t;

    (void)state;
    witness_run(&w, &t, config(noise, ", gamma: 0.1", "phases: [{duration: 3}]", "{window: 0.6, every: 7}", teacher),
                1);
    assert_int_equal(t.m.n_diagnostics, 4);
    for (size_t d = 0; d < 4; d++) {
        size_t at = 0;
        for (size_t i = 0; i < 2; i++)
            for (int p = 0; p < GLE_PARAMS; p++) {
                const size_t n = layer_param_size(t.b.graph, i, (enum gle_param)p);
                double squares = 0.0;
                for (size_t k = 0; k < n; k++) {
                    double sum = 0.0;
                    for (size_t s = 7 * d; s < 7 * d + 6; s++)
                        sum += (double)w.steps[s].gradients[at + k];
                    squares += sum * sum;
                }
                assert_true(fabs(comparison(&t.m.diagnostics[d], i, p)->update - squares) < 1e-9 * squares);
                at += n;
            }
    }
    witness_clear(&w);
    trial_close(&t);
}

static void what_a_phase_holds_is_not_compared(void **state)
{
    struct trial t = trial_of(config(noise, "", "phases: [{duration: 1}, {duration: 1, set: {a.weight: 0.3, "
                                                "b.bias: 0}}, {duration: 1}]", "{window: 1, every: 10}", teacher), 1);

    (void)state;
    assert_int_equal(t.m.n_diagnostics, 3);
    for (size_t d = 0; d < 3; d++)
        for (size_t i = 0; i < 2; i++)
            for (int p = 0; p < GLE_PARAMS; p++) {
                const struct gle_comparison *c = comparison(&t.m.diagnostics[d], i, p);
                const bool held = d == 1 && ((i == 0 && p == GLE_WEIGHT) || (i == 1 && p == GLE_BIAS));
                assert_int_equal(c->update > 0.0, !held);
                assert_int_equal(c->gradient > 0.0, !held);
                assert_int_equal(c->dot != 0.0, !held);
            }
    trial_close(&t);
}

static void a_diagnosis_changes_no_bit_of_the_run(void **state)
{
    static const struct {
        const char *dataset, *learning, *training, *diagnose, *sections;
    } runs[] = {
        {noise, ", gamma: 0.1", "phases: [{duration: 2}, {duration: 1, set: {a.weight: 0.3}}]",
         "{window: 0.4, every: 5}", teacher},
        {noise, ", rule: bptt, window: 0.4", "phases: [{duration: 2}, {duration: 1, learn: false}, {duration: 1}]",
         "{window: 0.4, every: 4}", teacher},
        {xor7, ", rule: adjoint, window: 0.3", "epochs: 2, batch_size: 5", "{window: 0.3, every: 3}", ""},
        {xor7, "", "batch_size: 5, state: reset, phases: [{duration: 3}]", "{window: 0.3, every: 3}", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        struct witness with, without;
        struct trial t, u;
        witness_run(&with, &t, config(runs[i].dataset, runs[i].learning, runs[i].training, runs[i].diagnose,
                                      runs[i].sections), 2);
        witness_run(&without, &u, config(runs[i].dataset, runs[i].learning, runs[i].training, "", runs[i].sections), 2);
        assert_true(t.m.n_diagnostics > 2 && !u.m.n_diagnostics);
        assert_true(same_params(&t.b, &u.b));
        assert_int_equal(with.n_steps, without.n_steps);
        for (size_t s = 0; s < with.n_steps; s++)
            assert_true(with.steps[s].moment.loss == without.steps[s].moment.loss);
        witness_clear(&with);
        witness_clear(&without);
        trial_close(&t);
        trial_close(&u);
    }
}

static void a_run_may_stop_within_a_comparison(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 16; at++) {
        struct gle_observer observer;
        struct witness w;
        struct trial t = trial_open(config(noise, ", rule: bptt, window: 0.4", "phases: [{duration: 2}]",
                                           "{window: 0.4, every: 4}", teacher), 1);
        w = witness_new(&t);
        w.stop_after = at;
        observer = witness_observer(&w);
        trial_run(&t, &observer, &w.stop);
        assert_int_equal(t.rc, 0);
        assert_int_equal(t.m.status, GLE_INTERRUPTED);
        assert_int_equal(t.m.n_diagnostics, at < 8 ? 0 : at / 4 - 1); /* the first window ends with step 4 */
        witness_clear(&w);
        trial_close(&t);
    }
}

static void any_allocation_of_a_comparison_may_fail(void **state)
{
    static const char *const ways[] = {"", ", rule: bptt, window: 0.2"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char path[] = "/tmp/glesim_diagnosis_XXXXXX";
        size_t k = 0;
        temporary_file(path, config(xor7, ways[i], "epochs: 1, batch_size: 9", "{window: 0.2, every: 2}", teacher));
        while (!trial_with(path, k, NULL) && k < 5000)
            k++;
        unlink(path);
        assert_in_range(k, 60, 4999);
    }
}

/* Back through thirty layers that amplify, single precision overflows; the run itself does not. */
static void an_exact_gradient_beyond_all_numbers_ends_no_run(void **state)
{
    static const char yaml[] =
        "glesim: 1\nname: steep\ndt: 0.1\nseed: 1\ndataset: {type: sines, omega: 1.0, amplitude: 0}\n"
        "network: {input: 1, layers: [{name: a, repeat: 30, weight: {value: 20}, bias: none, "
        "neurons: {count: 1, tau_m: 0.1, tau_r: 1.0}, activation: tanh}, "
        "{name: b, neurons: {count: 1, tau_m: 1, tau_r: 1}}]}\n"
        "teacher: {b: {bias: 3}}\n"
        "learning: {loss: mse, plastic: [bias, weight], optimizer: {type: sgd, lr: 0}}\n"
        "training: {phases: [{duration: 30}]}\ndiagnose: {window: 10, every: 150}\n";
    struct trial t = trial_open(yaml, 1);

    (void)state;
    trial_run(&t, NULL, NULL);
    assert_int_equal(t.rc, 0);
    assert_int_equal(t.m.status, GLE_COMPLETED);
    assert_int_equal(t.m.n_diagnostics, 2);
    for (size_t d = 0; d < 2; d++)
        assert_true(isnan(cosine(comparison(&t.m.diagnostics[d], 0, GLE_WEIGHT))));
    trial_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_windowed_rule_is_its_own_gradient),
        cmocka_unit_test(eprop_is_exact_in_the_output),
        cmocka_unit_test(windows_within_a_comparison_add_up),
        cmocka_unit_test(gle_with_instantaneous_neurons_follows_the_gradient),
        cmocka_unit_test(comparisons_begin_with_every_nth_learning_step_that_leaves_room),
        cmocka_unit_test(the_update_is_the_sum_of_the_gradients_that_the_rule_followed),
        cmocka_unit_test(what_a_phase_holds_is_not_compared),
        cmocka_unit_test(a_diagnosis_changes_no_bit_of_the_run),
        cmocka_unit_test(a_run_may_stop_within_a_comparison),
        cmocka_unit_test(any_allocation_of_a_comparison_may_fail),
        cmocka_unit_test(an_exact_gradient_beyond_all_numbers_ends_no_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
