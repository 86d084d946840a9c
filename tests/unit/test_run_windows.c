/* Windowed rules within runs: where windows begin and end, what they do to parameters, threads. */
#include "../support/by_layer.h"
#include "../support/witness.h"
#include "base/rng.h"
#include "parts/optimizer.h"
#include "parts/rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { YAML_BYTES = 4096, MOST = 128 };

static const char *const noise = "{type: ornstein_uhlenbeck, tau: 1.0, sequences: 3, channels: 2}";
static const char *const xor7 = "{type: xor, present: 0.7, repeat: 3, noise: 0.3}"; /* samples of seven steps */
static const char *const layers = "{name: a, neurons: {tau_m: [1.0, 0.5, 2.0, 0.8], tau_r: [0.4, 0.5, 0.1, 0.9]}, "
                                  "activation: tanh}, {name: b, neurons: {tau_m: [1.0, 0.6], tau_r: [0.5, 1.0]}}";
static const char *const teacher = "teacher: {a: {weight: 0.7, tau_m: 1.5}, b: {bias: [0.3, -0.2]}}\n";

static const char *config(const char *dataset, const char *learning, const char *training, const char *sections)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\ndataset: %s\n"
                           "network: {input: 2, layers: [%s]}\n"
                           "learning: {loss: mse, plastic: [weight, bias, tau_m], %s}\n"
                           "training: {%s}\nrecord: {every: 1}\n%s\n",
                           dataset, layers, learning, training, sections);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

/* Steps of the run, both included. */
struct range {
    uint64_t first, last;
};

/* The windows of training by duration, as the published code has them: they end with the multiples of their length, the
 * first one of a phase not with the step that it begins with. */
static size_t windows_of_phases(struct range *out, const struct gle_experiment *exp)
{
    const uint64_t length = exp->window_steps;
    uint64_t start = 0;
    size_t n = 0;

    for (size_t p = 0; p < exp->n_phases; p++) {
        const uint64_t end = start + exp->phases[p].n_steps;
        uint64_t first = start;
        for (uint64_t last = (start / length + 1) * length; exp->phases[p].learn && last < end; last += length) {
            assert_in_range(n, 0, MOST - 1);
            out[n++] = (struct range){first, last};
            first = last + 1;
        }
        start = end;
    }
    return n;
}

/* Of samples of T steps that all begin anew, by epochs: of those from step `start`, n_batches of them. */
static size_t windows_of_batches(struct range *out, uint64_t start, size_t n_batches, uint64_t T, uint64_t length)
{
    size_t n = 0;

    for (uint64_t begin = start; begin < start + n_batches * T; begin += T)
        for (uint64_t t = 0; t + 1 < T; t += length) { /* a last step alone is none: it has no gradient */
            const uint64_t end = t + length < T ? t + length : T;
            assert_in_range(n, 0, MOST - 1);
            out[n++] = (struct range){begin + t, begin + end - 1};
        }
    return n;
}

static void assert_windows(const struct witness *w, const struct range *want, size_t n)
{
    assert_int_equal(w->n_windows, n);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(w->windows[i].net, w->trial->b.net);
        assert_int_equal(w->windows[i].first_step, want[i].first);
        assert_int_equal(w->windows[i].n_steps, want[i].last - want[i].first + 1);
    }
}

/* After each step the parameters are those of the step before, but where a window ended with it. */
static void assert_moves(const struct witness *w, const struct range *windows, size_t n)
{
    size_t size, next = 0;

    free(all_params(&w->trial->b, &size));
    for (size_t s = 0; s < w->n_steps; s++) {
        const bool ends = next < n && windows[next].last == s;
        next += ends;
        if (s)
            assert_int_equal(memcmp(w->steps[s].params, w->steps[s - 1].params, size * sizeof(float)) != 0, ends);
    }
    assert_int_equal(next, n);
}

/* The run made once more by hand: the same steps, windows and parameters. */
static void assert_by_hand(const struct witness *w, const struct range *windows, size_t n)
{
    const struct trial *t = w->trial;
    const struct gle_experiment *exp = t->b.exp;
    const struct gle_step step = {.nudge = true}, test = {0};
    const double lr = ((const struct gle_optimizer *)exp->optimizer.row)->lr(exp->optimizer.params);
    struct gle_error err = {0};
    struct gle_rng rng;
    struct built hand = {.exp = exp, .graph = t->b.graph, .net = net_again(t, &rng)};
    size_t next = 0;

    for (size_t s = 0; s < w->n_steps; s++) {
        const struct gle_moment *m = &w->steps[s].moment;
        const bool shown = t->data->n_steps && s % t->data->n_steps == 0;
        double loss;
        gle_net_set_batch(hand.net, m->B);
        if (shown)
            gle_net_begin_batch(hand.net, exp->reset_state);
        show_again(hand.net, t, &w->steps[s]);
        if (next < n && windows[next].first == s)
            gle_net_begin_window(hand.net);
        assert_int_equal(gle_net_step(hand.net, m->split == GLE_TRAIN ? &step : &test, &loss, &err), 0);
        assert_true(loss / (double)m->B == m->loss);
        if (next < n && windows[next].last == s)
            assert_int_equal(gle_net_end_window(hand.net, exp->rule, true, lr, &err), 0);
        next += next < n && windows[next].last == s;
    }
    assert_true(same_params(&hand, &t->b));
    gle_net_destroy(hand.net);
}

static const char *const rules[] = {"bptt", "adjoint"};

static void windows_of_a_phase_end_with_multiples_of_their_length(void **state)
{
    static const char *const lengths[] = {"0.5", "0.3", "0.2", "1.2", "0.7"};
    static const char *const training = "phases: [{duration: 1.3}, {duration: 1.7}, {duration: 1.4}, "
                                        "{duration: 0.7, learn: false}, {duration: 1.5}, {duration: 1.6}]";

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        char learning[128];
        struct range windows[MOST];
        struct witness w;
        struct trial t;
        size_t n;
        snprintf(learning, sizeof learning, "rule: %s, window: %s, gamma: %g", rules[i % 2], lengths[i / 2],
                 i % 2 ? 0.0 : 0.2);
        witness_run(&w, &t, config(noise, learning, training, teacher), 1);
        n = windows_of_phases(windows, t.b.exp);
        assert_windows(&w, windows, n);
        assert_moves(&w, windows, n);
        assert_by_hand(&w, windows, n);
        for (size_t s = 0; s < w.n_steps; s++) {
            const uint64_t stage = w.steps[s].moment.stage;
            assert_int_equal(w.steps[s].moment.in_window, t.b.exp->phases[stage - 1].learn);
        }
        witness_clear(&w);
        trial_close(&t);
    }
}

static void windows_run_on_over_samples_that_run_on(void **state)
{
    struct range windows[MOST];
    struct witness w;
    struct trial t;
    size_t n;

    (void)state;
    witness_run(&w, &t, config(xor7, "rule: bptt, window: 0.5", "batch_size: 3, phases: [{duration: 4}]", ""), 1);
    n = windows_of_phases(windows, t.b.exp);
    assert_int_equal(n, 7);
    assert_windows(&w, windows, n);
    assert_moves(&w, windows, n);
    assert_by_hand(&w, windows, n);
    witness_clear(&w);
    trial_close(&t);
}

/* Errors do not cross a reset, so that a window which did would give another gradient than that of its steps. No window
 * has just the one step after it, whose loss nothing can change. */
static void windows_end_where_the_state_is_reset(void **state)
{
    /* Step 13, between a multiple of the length and a reset, would be a window by itself. */
    static const struct range want[] = {{0, 3},   {4, 6},   {7, 9},   {10, 12}, {14, 15},
                                        {16, 18}, {19, 20}, {21, 24}, {25, 27}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char learning[96];
        struct witness w;
        struct trial t;
        snprintf(learning, sizeof learning, "rule: %s, window: 0.3", rules[i]);
        witness_run(&w, &t, config(xor7, learning, "batch_size: 3, state: reset, phases: [{duration: 2.8}]", ""), 1);
        assert_windows(&w, want, sizeof want / sizeof *want);
        assert_by_hand(&w, want, sizeof want / sizeof *want);
        witness_clear(&w);
        trial_close(&t);
    }
}

static void windows_of_an_epoch_end_within_each_batch_and_at_its_end(void **state)
{
    static const char *const lengths[] = {"0.3", "0.2", "0.7", "0.6", "2.0"};
    static const char *const states[] = {"", ", state: reset"};

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        char learning[96], training[96];
        struct range windows[MOST];
        struct witness w;
        struct trial t;
        size_t n;
        snprintf(learning, sizeof learning, "rule: %s, window: %s, gamma: %g", rules[i % 2], lengths[i / 2],
                 i % 2 ? 0.0 : 0.2);
        snprintf(training, sizeof training, "epochs: 2, batch_size: 5%s", states[i / 2 % 2]);
        witness_run(&w, &t, config(xor7, learning, training, ""), 1);
        /* Three batches after one of test samples, and again */
        n = windows_of_batches(windows, 7, 3, 7, t.b.exp->window_steps);
        n += windows_of_batches(windows + n, 7 + 3 * 7 + 7, 3, 7, t.b.exp->window_steps);
        assert_int_equal(w.n_steps, 7 * (3 + 2 * 3));
        assert_windows(&w, windows, n);
        assert_moves(&w, windows, n);
        assert_by_hand(&w, windows, n);
        for (size_t s = 0, next = 0; s < w.n_steps; s++) {
            next += next < n && windows[next].last < s;
            assert_int_equal(w.steps[s].moment.in_window, next < n && windows[next].first <= s);
        }
        witness_clear(&w);
        trial_close(&t);
    }
}

static void a_run_stopped_within_a_window_drops_it(void **state)
{
    static const char *const trainings[] = {"phases: [{duration: 3}]", "epochs: 1, batch_size: 4"};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (uint64_t at = 20; at < 26; at++) {
            struct gle_observer observer;
            struct witness w;
            struct trial t = trial_open(config(xor7, "rule: bptt, window: 0.5", trainings[i], ""), 1);
            size_t n;
            float *params;
            w = witness_new(&t);
            w.stop_after = at;
            observer = witness_observer(&w);
            trial_run(&t, &observer, &w.stop);
            assert_int_equal(t.rc, 0);
            assert_int_equal(t.m.status, GLE_INTERRUPTED);
            assert_int_equal(w.n_steps, at + 1);
            params = all_params(&t.b, &n);
            assert_memory_equal(params, w.steps[at].params, n * sizeof *params);
            free(params);
            witness_clear(&w);
            trial_close(&t);
        }
}

static const char *wide(const char *rule)
{
    static char yaml[YAML_BYTES];

    snprintf(yaml, sizeof yaml,
             "glesim: 1\nname: wide\ndt: 0.1\nseed: 5\n"
             "dataset: {type: ornstein_uhlenbeck, tau: 1.0, sequences: 64, channels: 5}\n"
             "network: {input: 5, layers: [{name: w, repeat: 5, neurons: {count: 100, tau_m: 1.0, tau_r: 0.6}, "
             "activation: tanh}, {name: b, neurons: {count: 3, tau_m: 1.0, tau_r: 0.8}}]}\n"
             "learning: {loss: mse, plastic: [weight, bias, tau_m]%s}\n"
             "training: {phases: [{duration: 1.2}, {duration: 0.4, learn: false}, "
             "{duration: 0.9, set: {w_2.weight: identity}}]}\n"
             "teacher: {w_1: {tau_m: 0.5}, b: {weight: linear}}\nrecord: {every: 1}\n"
             "diagnose: {window: 0.4, every: 6}\n", rule);
    return yaml;
}

static void any_number_of_threads_gives_the_same_bits_by_duration(void **state)
{
    static const char *const ways[] = {", gamma: 0.05", ", gamma: 0.05, rule: bptt, window: 0.4",
                                       ", rule: adjoint, window: 0.2"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct trial one = trial_of(wide(ways[i]), 1);
        for (size_t threads = 2; threads <= 4; threads++) {
            struct trial t = trial_of(wide(ways[i]), threads);
            assert_int_equal(gle_net_threads(t.b.net), threads);
            assert_true(same_params(&one.b, &t.b));
            for (size_t p = 0; p < 3; p++)
                assert_true(t.m.phases[p].loss == one.m.phases[p].loss);
            assert_in_range(one.m.n_diagnostics, 1, 5);
            assert_int_equal(t.m.n_diagnostics, one.m.n_diagnostics);
            for (size_t d = 0; d < t.m.n_diagnostics; d++)
                assert_memory_equal(t.m.diagnostics[d].of, one.m.diagnostics[d].of,
                                    6 * LAYER_PARAMS * sizeof *t.m.diagnostics[d].of);
            trial_close(&t);
        }
        trial_close(&one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_of_a_phase_end_with_multiples_of_their_length),
        cmocka_unit_test(windows_run_on_over_samples_that_run_on),
        cmocka_unit_test(windows_end_where_the_state_is_reset),
        cmocka_unit_test(windows_of_an_epoch_end_within_each_batch_and_at_its_end),
        cmocka_unit_test(a_run_stopped_within_a_window_drops_it),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits_by_duration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
