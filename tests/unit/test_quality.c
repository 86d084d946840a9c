/* What is known of outputs beside their loss: how far they are from target values, and labels among the five
 * largest. */
#include "../support/witness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { YAML_BYTES = 4096, T = 6, UNASKED = 2 };

/* Sequences of six steps, two of which ask for nothing. */
static const char *config(const char *loss, const char *training)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.5\nseed: 5\n"
                           "dataset: {type: mackey_glass, train: 60, test: 21, length: 3, washout: 1, discard: 50}\n"
                           "network: {input: 1, layers: [{name: a, neurons: {count: 5, tau_m: 1.0, tau_r: 0.6}, "
                           "activation: tanh}, {name: b, neurons: {count: 1, tau_m: 0.5, tau_r: 0.5}}]}\n"
                           "learning: {rule: gle, loss: %s, optimizer: {type: adam, lr: 0.01}}\n"
                           "training: {%s}\nrecord: {every: 1}\n",
                           loss, training);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

/* Sums over steps that ask, and rows. */
struct sums {
    double n, y, y2, error;
};

static void count_step(struct sums *s, const struct sight *seen, size_t t)
{
    if (t < UNASKED)
        return;
    for (size_t b = 0; b < seen->moment.B; b++) {
        const double y = (double)seen->target[b], d = y - (double)seen->output[b];
        s->n += 1.0;
        s->y += y;
        s->y2 += y * y;
        s->error += d * d;
    }
}

static double variance(const struct sums *s)
{
    return s->y2 / s->n - s->y / s->n * (s->y / s->n);
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-5 * fabs(want)))
        fail_msg("%.10g, not %.10g", got, want);
}

static const char *const losses[] = {"mse", "{type: huber, delta: 0.3}", "log_cosh"};
enum { LOSSES = sizeof losses / sizeof *losses };

static void epochs_tell_how_far_outputs_are_from_targets(void **state)
{
    (void)state;
    for (size_t k = 0; k < LOSSES; k++) {
        struct witness w;
        struct trial t;
        struct sums sums[3][GLE_SPLITS] = {0};
        witness_run(&w, &t, config(losses[k], "epochs: 2, batch_size: 8, test_batch_size: 5"), 1 + k % 2);
        for (size_t s = 0; s < w.n_steps; s++)
            count_step(&sums[w.steps[s].moment.stage][w.steps[s].moment.split], &w.steps[s], s % T);
        for (size_t e = 0; e < 3; e++)
            for (int split = e ? GLE_TRAIN : GLE_TEST; split < GLE_SPLITS; split += GLE_TEST) {
                const struct sums *want = &sums[e][split];
                assert_int_equal((int)want->n, (split == GLE_TRAIN ? 20 : 7) * (T - UNASKED));
                assert_near(t.m.variance[split], variance(want));
                assert_near(t.m.epochs[e].score[split].nrmse, sqrt(want->error / want->n / variance(want)));
                assert_true(isnan(t.m.epochs[e].score[split].accuracy) && isnan(t.m.epochs[e].score[split].top5));
            }
        witness_clear(&w);
        trial_close(&t);
    }
}

/* Phases end within sequences; the variance is that of the whole training set. */
static void phases_and_evaluations_do_as_well(void **state)
{
    (void)state;
    for (size_t k = 0; k < LOSSES; k++) {
        struct witness w;
        struct trial t, by_epochs;
        struct sums sums[4] = {0};
        witness_run(&w, &t,
                    config(losses[k], "batch_size: 6, test_batch_size: 7, state: reset, evaluate: {every: 3}, "
                                      "phases: [{duration: 4}, {duration: 8.5}, {duration: 1}]"), 1);
        by_epochs = trial_of(config(losses[k], "epochs: 0, batch_size: 6, test_batch_size: 7, state: reset"), 1);
        for (size_t s = 0; s < w.n_steps; s++)
            count_step(&sums[w.steps[s].moment.stage], &w.steps[s], s % T);
        for (size_t i = 0; i < 3; i++)
            assert_near(t.m.phases[i].nrmse,
                        sqrt(sums[i + 1].error / sums[i + 1].n / t.m.variance[GLE_TRAIN]));
        assert_near(t.m.evaluations[0].nrmse, by_epochs.m.epochs[0].score[GLE_TEST].nrmse);
        witness_clear(&w);
        trial_close(&by_epochs);
        trial_close(&t);
    }
}

/* Sequences, or a signal, beside a teacher, who asks for something at every step. */
static const char *taught(const char *loss, bool signal, const char *training)
{
    static const char layers[] = "network: {input: 1, layers: [{name: a, neurons: {count: 5, tau_m: 1.0, tau_r: 0.6}, "
                                 "activation: tanh}, {name: b, neurons: {count: 2, tau_m: 0.5, tau_r: 0.5}}]}\n"
                                 "teacher: {a: {tau_m: 0.7}, b: {bias: [0.5, -3.0]}}\n";
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: taught\ndt: 0.5\nseed: 5\ndataset: %s\n%s"
                           "learning: {rule: gle, loss: %s, optimizer: {type: adam, lr: 0.01}}\n"
                           "training: {%s}\nrecord: {every: 1}\n",
                           signal ? "{type: sines, omega: [1.0, 0.3], sequences: 3}"
                                  : "{type: mackey_glass, train: 60, test: 21, length: 3, washout: 1, discard: 50}",
                           layers, loss, training);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

/* Of each of two outputs. */
static void count_taught(struct sums s[2], const struct sight *seen)
{
    for (size_t i = 0; i < 2 * seen->moment.B; i++) {
        const double y = (double)seen->target[i], d = y - (double)seen->output[i];
        s[i % 2].n += 1.0;
        s[i % 2].y += y;
        s[i % 2].y2 += y * y;
        s[i % 2].error += d * d;
    }
}

static double nrmse_of(const struct sums s[2])
{
    return sqrt((s[0].error + s[1].error) / s[0].n / (variance(&s[0]) + variance(&s[1])));
}

static void beside_a_teacher_it_is_by_what_the_teacher_asked_for(void **state)
{
    (void)state;
    for (size_t k = 0; k < LOSSES; k++) {
        struct witness w;
        struct trial t, by_phases;
        struct sums passes[3][GLE_SPLITS][2] = {0};
        witness_run(&w, &t, taught(losses[k], false, "epochs: 2, batch_size: 8, test_batch_size: 5, state: reset"),
                    1 + k % 2);
        for (size_t s = 0; s < w.n_steps; s++)
            count_taught(passes[w.steps[s].moment.stage][w.steps[s].moment.split], &w.steps[s]);
        for (size_t e = 0; e < 3; e++)
            for (int split = e ? GLE_TRAIN : GLE_TEST; split < GLE_SPLITS; split += GLE_TEST)
                assert_near(t.m.epochs[e].score[split].nrmse, nrmse_of(passes[e][split]));
        by_phases = trial_of(taught(losses[k], false, "batch_size: 6, test_batch_size: 5, state: reset, "
                                                      "evaluate: {every: 3}, phases: [{duration: 4}]"), 1);
        assert_near(by_phases.m.evaluations[0].nrmse, t.m.epochs[0].score[GLE_TEST].nrmse);
        trial_close(&by_phases);
        witness_clear(&w);
        trial_close(&t);
    }
}

/* A signal is longer than single precision sums squares for. */
static void beside_a_teacher_phases_have_it_as_well(void **state)
{
    (void)state;
    for (size_t k = 0; k < LOSSES; k++) {
        struct witness w;
        struct trial t;
        struct sums phases[4][2] = {0};
        witness_run(&w, &t, taught(losses[k], true, "phases: [{duration: 40, learn: false}, {duration: 33.5}, "
                                                    "{duration: 1}]"), 1);
        for (size_t s = 0; s < w.n_steps; s++)
            count_taught(phases[w.steps[s].moment.stage], &w.steps[s]);
        for (size_t i = 0; i < 3; i++)
            assert_near(t.m.phases[i].nrmse, nrmse_of(phases[i + 1]));
        witness_clear(&w);
        trial_close(&t);
    }
}

/* More steps than squared errors are summed in single precision for. */
static void long_sequences_lose_no_digits(void **state)
{
    char yaml[YAML_BYTES];
    struct trial t[2];

    (void)state;
    for (size_t k = 0; k < 2; k++) { /* |d| <= delta everywhere: the loss is half the squared error */
        snprintf(yaml, sizeof yaml,
                 "glesim: 1\nname: long\ndt: 0.5\nseed: 5\n"
                 "dataset: {type: mackey_glass, train: 400, test: 0, length: 400}\n"
                 "network: {input: 1, layers: [{name: b, neurons: {count: 1, tau_m: 0.5, tau_r: 0.5}}]}\n"
                 "learning: {loss: %s, optimizer: {type: sgd, lr: 1e-3}}\ntraining: {epochs: 1}\n",
                 k ? "{type: huber, delta: 1e6}" : "mse");
        t[k] = trial_of(yaml, 1);
    }
    assert_near(t[1].m.epochs[1].score[GLE_TRAIN].nrmse, t[0].m.epochs[1].score[GLE_TRAIN].nrmse);
    assert_near(2.0 * t[1].m.epochs[1].score[GLE_TRAIN].loss, t[0].m.epochs[1].score[GLE_TRAIN].loss);
    trial_close(&t[0]);
    trial_close(&t[1]);
}

/* --- classes --- */

enum { SYMBOLS = 12, LONG = 4 };

static const char *copying(size_t symbols, const char *training)
{
    static char yaml[YAML_BYTES];

    snprintf(yaml, sizeof yaml,
             "glesim: 1\nname: many\ndt: 0.5\nseed: 5\n"
             "dataset: {type: copy, symbols: %zu, length: 2, item: 0.5, delay: 0, samples: 30, test_samples: 20}\n"
             "network: {input: %zu, layers: [{name: b, neurons: {count: %zu, tau_m: 0.5, tau_r: 0.5}}]}\n"
             "learning: {loss: cross_entropy}\ntraining: {%s}\nrecord: {every: 1}\n",
             symbols, symbols + 1, symbols, training);
    return yaml;
}

/* Whether the label of row b is among the five largest outputs of a step. */
static bool among_five(const struct sight *s, size_t b)
{
    const float *r = s->output + b * SYMBOLS, *y = s->target + b * SYMBOLS;
    size_t larger = 0, label = 0;

    while (y[label] != 1.0f)
        label++;
    for (size_t k = 0; k < SYMBOLS; k++)
        larger += r[k] > r[label];
    return larger < 5;
}

/* Answers of one step each. */
static void of_many_classes_the_label_may_be_among_five(void **state)
{
    struct witness w;
    struct trial t, few;
    double five[3][GLE_SPLITS] = {0}, all[3][GLE_SPLITS] = {0};

    (void)state;
    witness_run(&w, &t, copying(SYMBOLS, "epochs: 2, batch_size: 7"), 1);
    for (size_t s = 0; s < w.n_steps; s++)
        for (size_t b = 0; s % LONG >= 2 && b < w.steps[s].moment.B; b++) {
            five[w.steps[s].moment.stage][w.steps[s].moment.split] += among_five(&w.steps[s], b);
            all[w.steps[s].moment.stage][w.steps[s].moment.split] += 1.0;
        }
    assert_true(gle_metrics_has_top5(&t.m));
    for (size_t e = 1; e < 3; e++)
        for (int split = GLE_TRAIN; split < GLE_SPLITS; split += GLE_TEST) {
            assert_true(t.m.epochs[e].score[split].top5 == five[e][split] / all[e][split]);
            assert_true(t.m.epochs[e].score[split].top5 > t.m.epochs[e].score[split].accuracy);
            assert_true(isnan(t.m.epochs[e].score[split].nrmse));
        }
    few = trial_of(copying(10, "epochs: 1"), 1);
    assert_false(gle_metrics_has_top5(&few.m));
    assert_true(isnan(few.m.epochs[1].score[GLE_TEST].top5));
    trial_close(&few);
    witness_clear(&w);
    trial_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_tell_how_far_outputs_are_from_targets),
        cmocka_unit_test(phases_and_evaluations_do_as_well),
        cmocka_unit_test(beside_a_teacher_it_is_by_what_the_teacher_asked_for),
        cmocka_unit_test(beside_a_teacher_phases_have_it_as_well),
        cmocka_unit_test(long_sequences_lose_no_digits),
        cmocka_unit_test(of_many_classes_the_label_may_be_among_five),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
