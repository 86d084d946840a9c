/* Epochs of training and evaluation, on networks that take milliseconds. */
#include "../support/trial.h"
#include "../support/by_layer.h"
#include "base/memory.h"
#include "config/decode.h"
#include "parts/activation.h"
#include "train/measure.h"
#include "train/order.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { YAML_BYTES = 4096 };

/* A config with these layers, further learning keys and training keys, for a data set or, if NULL, one made by hand. */
static const char *config(const char *dataset, size_t input, const char *layers, const char *learning,
                          const char *training)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\ndataset: %s\n"
                           "network: {input: %zu, layers: [%s]}\nlearning: {loss: cross_entropy%s}\ntraining: {%s}\n",
                           dataset ? dataset : "{type: npz, file: none.npz}", input, layers, learning, training);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

static const char *const two_layers = "{name: hidden, neurons: {count: 5, tau_m: 1.0, tau_r: 0.4}, activation: tanh}, "
                                      "{name: top, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}";

/* --- order --- */

static void samples_come_in_the_order_of_the_published_run(void **state)
{
    /* Epoch 1 of the published MNIST-1D run of seed 12: 4000 samples, after one evaluation of 1000. */
    static const uint32_t want[] = {1561, 2501, 3611, 1831, 2337, 3393, 1847, 248,  1192, 3962,
                                    3867, 3028, 558,  2553, 2248, 2529, 3631, 2829, 1103, 460};
    enum { TRAIN = 4000, TEST = 1000 };
    uint32_t *rows = calloc(TRAIN, sizeof *rows);
    unsigned char *seen = calloc(TRAIN, 1);
    struct gle_order order;

    (void)state;
    gle_order_start(&order, 12);
    gle_order_evaluate(&order);
    gle_order_first_step(&order, TEST, 1);
    gle_order_shuffle(&order, rows, TRAIN);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_int_equal(rows[i], want[i]);
    for (size_t i = 0; i < TRAIN; i++) {
        assert_in_range(rows[i], 0, TRAIN - 1);
        assert_false(seen[rows[i]]++);
    }
    gle_order_first_step(&order, TEST, 1); /* only the first counts */
    gle_order_evaluate(&order);
    gle_order_shuffle(&order, rows, TRAIN);
    assert_int_not_equal(rows[0], want[0]);
    free(rows);
    free(seen);
}

/* --- state --- */

/* With a learning rate of zero, what differs between two evaluations is the state they start from. */
static void balanced_draws_show_all_classes_equally_often(void **state)
{
    enum { N = 6000, CLASSES = 3 };
    static const size_t sizes[CLASSES] = {5000, 900, 100};
    uint32_t *rows = calloc(N, sizeof *rows), *again = calloc(N, sizeof *again);
    int32_t *labels = calloc(N, sizeof *labels);
    size_t shown[CLASSES] = {0}, different = 0;
    unsigned char *seen = calloc(N, 1);
    struct gle_error err = {0};
    struct gle_order order;

    (void)state;
    for (size_t i = 0, c = 0; i < N; i++) {
        c += i == 5000 || i == 5900;
        labels[i] = (int32_t)c;
    }
    gle_order_start(&order, 3);
    assert_int_equal(gle_order_balance(&order, rows, N, labels, CLASSES, &err), 0);
    assert_int_equal(gle_order_balance(&order, again, N, labels, CLASSES, &err), 0);
    for (size_t i = 0; i < N; i++) {
        assert_in_range(rows[i], 0, N - 1);
        shown[labels[rows[i]]]++;
        different += !seen[rows[i]]++;
    }
    for (size_t c = 0; c < CLASSES; c++) /* binomial: 2000 +- 37 */
        assert_in_range(shown[c], 1800, 2200);
    assert_true(different < sizes[0]); /* with replacement */
    assert_memory_not_equal(rows, again, N * sizeof *rows);
    gle_order_start(&order, 3);
    assert_int_equal(gle_order_balance(&order, again, N, labels, CLASSES, &err), 0);
    assert_memory_equal(rows, again, N * sizeof *rows);
    free(rows);
    free(again);
    free(labels);
    free(seen);
}

static void state_is_carried_over_unless_it_is_reset(void **state)
{
    static const char *const xor_short = "{type: xor, present: 0.5, repeat: 2}";
    static const char *const still = ", optimizer: {type: sgd, lr: 0}";
    struct trial carry = trial_of(config(xor_short, 2, two_layers, still, "epochs: 2, batch_size: 3"), 1);
    struct trial reset = trial_of(config(xor_short, 2, two_layers, still, "epochs: 2, batch_size: 3, state: reset"), 1);

    (void)state;
    assert_true(reset.m.epochs[1].score[GLE_TEST].loss == reset.m.epochs[0].score[GLE_TEST].loss);
    assert_true(reset.m.epochs[2].score[GLE_TEST].loss == reset.m.epochs[0].score[GLE_TEST].loss);
    assert_true(carry.m.epochs[1].score[GLE_TEST].loss != carry.m.epochs[0].score[GLE_TEST].loss);
    trial_close(&carry);
    trial_close(&reset);
}

static float largest(const struct built *b, size_t layer, enum layer_var v, size_t n)
{
    float values[256] = {0}, most = 0.0f;

    assert_true(n <= sizeof values / sizeof *values);
    layer_get_var(b->net, layer, v, values);
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(values[i]));
    return most;
}

static void a_layer_with_reset_batch_forgets_alone(void **state)
{
    const char *layers = "{name: a, neurons: {count: 4, tau_m: 1, tau_r: 0.5}, activation: tanh}, "
                         "{name: b, neurons: {count: 3, tau_m: 1, tau_r: 0.5}, activation: tanh, reset: batch}, "
                         "{name: c, neurons: {count: 2, tau_m: 1, tau_r: 0.5}}";
    struct trial t = trial_open(config("{type: xor}", 2, layers, "", "epochs: 1, batch_size: 4"), 1);
    static const size_t n[] = {4, 3, 2};
    size_t ld_x, ld_y;
    float *x = gle_net_input(t.b.net, &ld_x), *y = gle_net_target(t.b.net, &ld_y);
    double loss;

    (void)state;
    gle_net_set_batch(t.b.net, 4);
    for (size_t i = 0; i < 4; i++)
        x[i * ld_x] = y[i * ld_y] = 1.0f;
    for (size_t step = 0; step < 8; step++)
        assert_int_equal(gle_net_step(t.b.net, &(struct gle_step){.learn = true, .lr = 1e-3}, &loss, &t.err), 0);
    for (size_t i = 0; i < 3; i++)
        for (int v = 0; v < STATE_VARS; v++)
            assert_true(v == VAR_E_BELOW || largest(&t.b, i, (enum layer_var)v, 4 * n[i]) > 0.0f);
    gle_net_begin_batch(t.b.net, false);
    for (size_t i = 0; i < 3; i++)
        for (int v = 0; v < STATE_VARS; v++)
            if (v != VAR_E_BELOW)
                assert_int_equal(largest(&t.b, i, (enum layer_var)v, 4 * n[i]) > 0.0f, i != 1);
    assert_true(largest(&t.b, 1, VAR_E_BELOW, 4 * n[0]) == 0.0f);
    assert_true(largest(&t.b, 2, VAR_E_BELOW, 4 * n[1]) > 0.0f);
    gle_net_begin_batch(t.b.net, true);
    for (size_t i = 0; i < 3; i++)
        for (int v = 0; v < STATE_VARS; v++) {
            const size_t width = v != VAR_E_BELOW ? n[i] : i ? n[i - 1] : 2;
            assert_true(largest(&t.b, i, (enum layer_var)v, 4 * width) == 0.0f);
        }
    trial_close(&t);
}

static void evaluation_leaves_the_parameters_untouched(void **state)
{
    const char *yaml = config("{type: yinyang, train: 10, test: 30, validation: 20}", 4,
                              "{name: top, neurons: {count: 3, tau_m: 1, tau_r: 1}}",
                              ", plastic: [weight, bias, tau_m], gamma: 0.5", "epochs: 0, batch_size: 7");
    struct trial untouched = trial_open(yaml, 1), evaluated = trial_of(yaml, 1);

    (void)state;
    assert_true(same_params(&untouched.b, &evaluated.b));
    assert_int_equal(evaluated.m.train_steps, 0);
    assert_int_equal(evaluated.m.eval_steps, 20 * (3 + 5));
    assert_true(evaluated.m.epochs[0].score[GLE_VALIDATION].measured && evaluated.m.epochs[0].score[GLE_TEST].measured);
    assert_false(evaluated.m.epochs[0].score[GLE_TRAIN].measured);
    trial_close(&untouched);
    trial_close(&evaluated);
}

/* --- what is measured --- */

static void check_confusion(const struct trial *t)
{
    const struct gle_score *s = &t->m.epochs[t->m.n_epochs - 1].score[t->m.confusion_split];
    const struct gle_samples *samples = &t->data->split[t->m.confusion_split];
    const size_t K = t->m.n_classes;
    uint64_t right = 0, all = 0;

    for (size_t k = 0; k < K; k++) {
        uint64_t of_class = 0, labels = 0;
        for (size_t j = 0; j < K; j++)
            of_class += t->m.confusion[k * K + j];
        for (size_t i = 0; i < samples->n; i++)
            labels += samples->labels[i] == (int32_t)k;
        assert_int_equal(of_class, labels);
        right += t->m.confusion[k * K + k];
        all += of_class;
    }
    assert_int_equal(all, samples->n);
    assert_true(s->measured && s->accuracy == (double)right / (double)all);
}

static void the_confusion_matrix_agrees_with_the_accuracy(void **state)
{
    static const char *const splits[] = {"test: 50", "test: 0, validation: 30", "test: 0"};
    static const enum gle_split want[] = {GLE_TEST, GLE_VALIDATION, GLE_TRAIN};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char set[128];
        struct trial t;
        snprintf(set, sizeof set, "{type: yinyang, train: 60, %s}", splits[i]);
        t = trial_of(config(set, 4, "{name: top, neurons: {count: 3, tau_m: 1, tau_r: 1}}", "",
                            "epochs: 2, batch_size: 16"), 1);
        assert_int_equal(t.m.confusion_split, want[i]);
        check_confusion(&t);
        trial_close(&t);
    }
}

static void the_test_set_is_seen_after_every_epoch_or_at_the_end(void **state)
{
    static const struct {
        const char *set, *learning, *training;
        bool always;
    } cases[] = {
        {"test: 20", "", "", true},
        {"test: 20, validation: 10", "", "", false},
        {"test: 20, validation: 10", "", ", test: epochs", true},
        {"test: 20, validation: 10", ", schedule: {type: plateau, metric: test_loss}", "", true},
        {"test: 20, validation: 10", ", schedule: {type: plateau, metric: validation_loss}", "", false},
        {"test: 20, validation: 10", "", ", stop: {metric: test_loss, patience: 9}", true},
        {"test: 20, validation: 10", "", ", stop: {metric: train_loss, patience: 9}", false},
        {"test: 20", "", ", test: end", false},
        {"test: 20", "", ", validation: 0.5", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char set[128], training[128];
        struct trial t;
        snprintf(set, sizeof set, "{type: yinyang, train: 40, %s}", cases[i].set);
        snprintf(training, sizeof training, "epochs: 3, batch_size: 16%s", cases[i].training);
        t = trial_of(config(set, 4, "{name: top, neurons: {count: 3, tau_m: 1, tau_r: 1}}", cases[i].learning,
                            training), 1);
        assert_int_equal(t.m.n_epochs, 4);
        for (size_t e = 0; e < 4; e++)
            assert_int_equal(t.m.epochs[e].score[GLE_TEST].measured, cases[i].always || e == 3);
        assert_int_equal(t.m.confusion_split, GLE_TEST);
        check_confusion(&t);
        trial_close(&t);
    }
}

static void the_best_epoch_is_the_first_of_the_highest_accuracy(void **state)
{
    struct trial t = trial_of(config("{type: yinyang, train: 60, test: 40}", 4,
                                     "{name: top, neurons: {count: 3, tau_m: 1, tau_r: 1}}", "",
                                     "epochs: 5, batch_size: 16"), 1);
    size_t best = 0;

    (void)state;
    for (size_t i = 0; i < t.m.n_epochs; i++)
        if (t.m.epochs[i].score[GLE_TEST].accuracy > t.m.epochs[best].score[GLE_TEST].accuracy)
            best = i;
    assert_int_equal(t.m.best, best);
    assert_int_equal(t.m.train_steps, 5 * 4 * 20);
    assert_int_equal(t.m.eval_steps, 6 * 3 * 20);
    trial_close(&t);
}

/* With the state reset and no learning, the loss is a mean over samples, however they are put into batches. */
static void a_last_smaller_batch_counts_as_its_samples_do(void **state)
{
    static const int batches[] = {10, 4, 3, 1};
    double loss[4], test[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char training[96];
        struct trial t;
        snprintf(training, sizeof training, "epochs: 1, batch_size: %d, test_batch_size: %d, state: reset", batches[i],
                 batches[3 - i]);
        t = trial_of(config("{type: yinyang, train: 10, test: 10}", 4,
                            "{name: top, neurons: {count: 3, tau_m: 1, tau_r: 1}}", ", optimizer: {type: sgd, lr: 0}",
                            training), 1);
        loss[i] = t.m.epochs[1].score[GLE_TRAIN].loss;
        test[i] = t.m.epochs[1].score[GLE_TEST].loss;
        assert_int_equal(t.m.train_steps, (size_t)(20 * ((10 + batches[i] - 1) / batches[i])));
        trial_close(&t);
        assert_true(fabs(loss[i] - loss[0]) < 1e-6 && fabs(test[i] - test[0]) < 1e-6);
    }
}

static void assert_same_scores(const struct gle_metrics *a, const struct gle_metrics *b)
{
    assert_int_equal(a->n_epochs, b->n_epochs);
    for (size_t e = 0; e < a->n_epochs; e++)
        for (int s = 0; s < GLE_SPLITS; s++) {
            const struct gle_score *x = &a->epochs[e].score[s], *y = &b->epochs[e].score[s];
            assert_int_equal(x->measured, y->measured);
            assert_true(x->loss == y->loss);
            assert_true(x->accuracy == y->accuracy || (isnan(x->accuracy) && isnan(y->accuracy)));
        }
}

/* Enough layers for the threads, and too few. */
static void any_number_of_threads_gives_the_same_bits(void **state)
{
    static const size_t wishes[] = {1, 2, 3, 4, 8};
    static const char *const layers[] = {
        "{name: wide, repeat: 9, neurons: {count: 120, tau_m: 1.0, tau_r: 0.6}, activation: tanh}, "
        "{name: top, neurons: {count: 3, tau_m: 1.0, tau_r: 1.0}}",
        "{name: wide, repeat: 2, neurons: {count: 230, tau_m: 1.0, tau_r: 0.6}, activation: tanh}, "
        "{name: top, neurons: {count: 3, tau_m: 1.0, tau_r: 1.0}}",
    };
    static const char *const rules[] = {"", ", rule: bptt, window: 0.5"};

    (void)state;
    for (size_t k = 0; k < 4; k++) {
        char learning[128];
        const char *yaml;
        struct trial one;
        snprintf(learning, sizeof learning, ", plastic: [weight, bias, tau_m], gamma: 0.1%s", rules[k / 2]);
        yaml = config("{type: yinyang, train: 150, test: 20, present: 0.5}", 4, layers[k % 2], learning,
                      "epochs: 1, batch_size: 64");
        one = trial_of(yaml, 1);
        for (size_t i = 1; i < sizeof wishes / sizeof *wishes; i++) {
            struct trial t = trial_of(yaml, wishes[i]);
            assert_in_range(gle_net_threads(t.b.net), 2, wishes[i]);
            assert_true(same_params(&one.b, &t.b));
            assert_same_scores(&one.m, &t.m);
            trial_close(&t);
        }
        trial_close(&one);
    }
}

/* Passes that leave errors out, against the same where somebody wants to record v. */
static void evaluation_without_errors_tells_the_same(void **state)
{
    static const struct {
        const char *learning, *training;
        bool any; /* passes that go without */
    } cases[] = {
        {"", "epochs: 2", true},
        {"", "epochs: 0", true},
        {"", "epochs: 2, state: reset", true},
        {", gamma: 0.2", "epochs: 2", false},
        {", gamma: 0.2", "epochs: 0", false},
        {", gamma: 0.2", "epochs: 2, state: reset", true},
        {", rule: bptt, window: 0.5", "epochs: 2, state: reset", true},
    };
    const char *layers = "{name: a, neurons: {count: 9, tau_m: 1, tau_r: 0.4}, activation: tanh}, "
                         "{name: b, neurons: {count: 7, tau_m: 1, tau_r: 0.4}, activation: tanh}, "
                         "{name: top, neurons: {count: 3, tau_m: 1, tau_r: 1}}";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const char *const record[] = {"", "}\nrecord: {every: 100, variables: [v]"};
        struct trial t[2];
        for (size_t k = 0; k < 2; k++) {
            char training[160];
            snprintf(training, sizeof training, "%s, batch_size: 16%s", cases[i].training, record[k]);
            t[k] = trial_of(config("{type: yinyang, train: 50, test: 30, validation: 12, present: 0.7}", 4, layers,
                                   cases[i].learning, training), 1);
        }
        assert_true(same_params(&t[0].b, &t[1].b));
        assert_same_scores(&t[0].m, &t[1].m);
        assert_memory_equal(t[0].m.confusion, t[1].m.confusion, 9 * sizeof *t[0].m.confusion);
        assert_true((t[0].m.eval_flops < t[1].m.eval_flops) == cases[i].any);
        trial_close(&t[0]);
        trial_close(&t[1]);
    }
}

/* --- early ends --- */

/* Counts calls of the hook of progress, or of pauses (steps 0, 16, 32, ... of each batch), and stops at one of them. */
struct stopper {
    uint64_t calls, stop_at;
    size_t epochs;
    volatile sig_atomic_t stop;
};

static void on_progress(void *ctx, const struct gle_progress *p)
{
    struct stopper *s = ctx;

    assert_true(p->done >= 0.0 && p->done <= 1.0);
    if (++s->calls == s->stop_at)
        s->stop = 1;
}

static int on_pause(void *ctx, struct gle_run *run, enum gle_pause when, struct gle_error *err)
{
    struct stopper *s = ctx;

    (void)run;
    (void)err;
    if (when == GLE_PAUSE_STEP && ++s->calls == s->stop_at)
        s->stop = 1;
    return 0;
}

static int on_epoch(void *ctx, const struct gle_metrics *m, struct gle_error *err)
{
    struct stopper *s = ctx;

    (void)err;
    assert_int_equal(m->n_epochs, ++s->epochs);
    return 0;
}

static void the_stop_flag_ends_a_run_at_the_next_step(void **state)
{
    /* Evaluation of 4 samples is one batch of 20 steps: two calls. The fourth is step 16 of training. */
    struct stopper stop = {.stop_at = 4};
    const struct gle_observer observer = {.ctx = &stop, .stage = on_epoch, .pause = on_pause};
    struct trial t = trial_open(config("{type: xor}", 2, two_layers, "", "epochs: 2, batch_size: 4"), 1);
    size_t n;
    float *before = all_params(&t.b, &n), *after;

    (void)state;
    trial_run(&t, &observer, &stop.stop);
    assert_int_equal(t.rc, 0);
    assert_int_equal(t.m.status, GLE_INTERRUPTED);
    assert_int_equal(t.m.n_epochs, 1);
    assert_int_equal(stop.epochs, 1);
    assert_int_equal(stop.calls, 4);
    assert_int_equal(t.m.eval_steps, 20);
    assert_int_equal(t.m.train_steps, 17);
    assert_true(t.m.train_flops == gle_graph_flops(t.b.graph, true) * 4.0 * 17.0);
    assert_non_null(strstr(t.m.message, "epoch 1"));
    after = all_params(&t.b, &n);
    assert_memory_not_equal(before, after, n * sizeof *before);
    free(before);
    free(after);
    trial_close(&t);
}

static void a_run_stopped_while_testing_keeps_the_confusion_matrix_of_its_last_epoch(void **state)
{
    /* One call a batch. Evaluation has 5 batches, training 2: epoch 0 makes 5 calls, the test of epoch 1 starts with
     * call 8, and the tenth is in its third batch. */
    struct stopper stop = {.stop_at = 10};
    const struct gle_observer observer = {.ctx = &stop, .stage = on_epoch, .progress = on_progress};
    struct trial t = trial_open(config("{type: yinyang, train: 20, test: 50, present: 0.5}", 4,
                                       "{name: top, neurons: {count: 3, tau_m: 1, tau_r: 1}}", "",
                                       "epochs: 3, batch_size: 10"), 1);

    (void)state;
    trial_run(&t, &observer, &stop.stop);
    assert_int_equal(t.m.status, GLE_INTERRUPTED);
    assert_int_equal(t.m.n_epochs, 1);
    check_confusion(&t);
    trial_close(&t);
}

static int refuse_epoch(void *ctx, const struct gle_metrics *m, struct gle_error *err)
{
    (void)ctx;
    return m->n_epochs == 2 ? gle_fail(err, GLE_EWRITE, "the disk is full") : 0;
}

static void an_observer_that_fails_ends_the_run_with_its_error(void **state)
{
    const struct gle_observer observer = {.stage = refuse_epoch};
    struct trial t = trial_open(config("{type: xor}", 2, two_layers, "", "epochs: 5"), 1);

    (void)state;
    trial_run(&t, &observer, NULL);
    assert_int_equal(t.rc, -1);
    assert_int_equal(t.err.code, GLE_EWRITE);
    assert_string_equal(t.err.text, "the disk is full");
    assert_int_equal(t.m.n_epochs, 2);
    trial_close(&t);
}

static void spoil(struct trial *t, size_t bad, float value)
{
    t->data->split[GLE_TRAIN].x[bad * t->data->n_channels] = value;
}

/* Twelve samples of 17 steps, so that runs pause at the first and the last step of each batch; on a device, where
 * divergence is found at the end of a batch, also of that one. */
static void divergence_restores_the_parameters_of_the_batch_start_and_names_the_layer(void **state)
{
    const char *yaml = config("{type: xor, present: 1.7, repeat: 3, noise: 0.1}", 2, two_layers, "",
                              "epochs: 3, batch_size: 2, state: reset");

    (void)state;
    for (size_t bad = 0; bad < 12; bad++) {
        struct stopper counter = {0}, stop = {0};
        const struct gle_observer count = {.ctx = &counter, .pause = on_pause};
        const struct gle_observer halt = {.ctx = &stop, .pause = on_pause};
        struct trial diverged = trial_open(yaml, 1), stopped = trial_open(yaml, 1);

        spoil(&diverged, bad, INFINITY);
        trial_run(&diverged, &count, NULL);
        assert_int_equal(diverged.rc, -1);
        assert_int_equal(diverged.err.code, GLE_EDIVERGED);
        assert_int_equal(diverged.m.status, GLE_DIVERGED);
        assert_non_null(strstr(diverged.m.message, "layer 'hidden'"));
        assert_non_null(strstr(diverged.m.message, "epoch 1"));
        assert_string_equal(diverged.m.message, diverged.err.text);
        assert_int_equal(diverged.m.n_epochs, 1);
        /* The run without that sample, stopped in the last step of the batch before */
        assert_int_equal(counter.calls % 2, 0);
        stop.stop_at = counter.calls - (test_fleet() ? 2 : 0);
        trial_run(&stopped, &halt, &stop.stop);
        assert_int_equal(stopped.m.status, GLE_INTERRUPTED);
        assert_true(same_params(&diverged.b, &stopped.b));
        trial_close(&diverged);
        trial_close(&stopped);
    }
}

static void a_learning_rate_beyond_reason_diverges_with_finite_parameters(void **state)
{
    static const double rates[] = {1e6, 1e3};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        char learning[96];
        struct trial t;
        size_t n;
        float *values;
        snprintf(learning, sizeof learning, ", gamma: 1.0, optimizer: {type: sgd, lr: %g, momentum: 0.99}", rates[k]);
        t = trial_open(config("{type: xor, low: -1e6, high: 1e6}", 2,
                              "{name: a, neurons: {count: 6, tau_m: 0.1, tau_r: 1.0}}, "
                              "{name: top, neurons: {count: 2, tau_m: 0.1, tau_r: 1.0}}", learning,
                              "epochs: 20, batch_size: 4"), 1);
        trial_run(&t, NULL, NULL);
        assert_int_equal(t.err.code, GLE_EDIVERGED);
        assert_int_equal(t.m.status, GLE_DIVERGED);
        for (size_t e = 0; e < t.m.n_epochs; e++)
            assert_true(isfinite(t.m.epochs[e].score[GLE_TEST].loss));
        values = all_params(&t.b, &n);
        for (size_t i = 0; i < n; i++)
            assert_true(isfinite(values[i]));
        free(values);
        trial_close(&t);
    }
}

static void data_and_network_that_do_not_fit_are_refused(void **state)
{
    struct trial t = trial_open(config("{type: xor}", 2, two_layers, "", "epochs: 1"), 1);
    struct gle_error err = {0};

    (void)state;
    t.data->n_channels++;
    assert_int_equal(gle_train_check(t.b.exp, t.data, &err), -1);
    assert_int_equal(err.code, GLE_ESHAPE);
    t.data->n_channels--;
    t.data->n_targets++;
    err = (struct gle_error){0};
    assert_int_equal(gle_train_check(t.b.exp, t.data, &err), -1);
    t.data->n_targets--;
    t.data->labelled = 0;
    err = (struct gle_error){0};
    assert_int_equal(gle_train_check(t.b.exp, t.data, &err), -1);
    t.data->labelled = 1;
    err = (struct gle_error){0};
    assert_int_equal(gle_train_check(t.b.exp, t.data, &err), 0);
    trial_close(&t);
}

/* --- memory --- */

/* A whole run in which no more than k allocations succeed; 0, or the code of the error. */
static int run_with(const char *path, size_t k)
{
    struct gle_experiments list;
    struct gle_errors errs = {0};
    struct gle_error err = {0};
    struct gle_data *data = NULL;
    struct gle_graph *graph = NULL;
    struct gle_net *net = NULL;
    struct gle_metrics m = {0};
    int rc;

    gle_memory_fail_after(k);
    if (gle_experiments_load(&list, path, NULL, 0, NULL, 0, &errs)) {
        gle_memory_fail_after((size_t)-1);
        assert_null(list.item);
        for (size_t i = 0; i < errs.n; i++)
            if (errs.item[i].code != GLE_ENOMEM)
                fail_msg("allocation %zu: code %d, %s", k, (int)errs.item[i].code, errs.item[i].text);
        if (!errs.n)
            fail_msg("allocation %zu: no error is recorded", k);
        return GLE_ENOMEM;
    }
    assert_int_equal(list.n, 2);
    {
        const struct gle_experiment *exp = list.item[0];
        const struct gle_data_context context = {.dt = exp->dt, .seed = exp->seed};
        rc = gle_data_open(&data, (const struct gle_dataset *)exp->dataset.row, exp->dataset.params, exp->validation,
                           &context, &err);
        rc = rc ? rc : gle_train_check(exp, data, &err);
        rc = rc ? rc : gle_graph_build(&graph, exp, &(struct gle_graph_options){0}, &err);
        rc = rc ? rc : gle_net_build(&net, graph, 2, &err);
        rc = rc ? rc : gle_metrics_init(&m, exp, data, &err);
        rc = rc ? rc : gle_train(&m, net, graph, data, NULL, NULL, NULL, &err);
    }
    gle_memory_fail_after((size_t)-1);
    gle_metrics_clear(&m);
    gle_net_destroy(net);
    gle_graph_destroy(graph);
    gle_data_close(data);
    gle_experiments_clear(&list);
    if (!rc)
        return 0;
    if (err.code != GLE_ENOMEM)
        fail_msg("allocation %zu: code %d, %s", k, (int)err.code, err.text);
    return GLE_ENOMEM;
}

static void any_allocation_may_fail_and_the_error_says_so(void **state)
{
    const char *yaml = config("{type: xor, present: 0.2, repeat: 3}", 2,
                              "{name: a, repeat: 2, weight: {value: 0.1}, bias: none, neurons: "
                              "[{tau_m: [1.0, 0.5], tau_r: 0.4}, {count: 2, tau_m: 1, tau_r: 1}]}, "
                              "{name: top, neurons: {count: 2, tau_m: 1, tau_r: 1}}",
                              ", optimizer: {type: adam}, schedule: {type: plateau, metric: train_loss}",
                              "epochs: 1, batch_size: 5, validation: 0.25");
    char text[2 * YAML_BYTES], path[] = "/tmp/glesim_train_XXXXXX";
    const int fd = mkstemp(path);
    size_t k = 0;

    (void)state;
    assert_true(fd >= 0);
    snprintf(text, sizeof text, "%svariants: {slow: {seed: 1}, fast: {learning.optimizer.lr: 0.1}}\n", yaml);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    while (run_with(path, k) && k < 5000)
        k++;
    unlink(path);
    assert_in_range(k, 30, 4999);
}

/* --- estimates --- */

/* Where a step that learns, or one that does not, takes a second and the other no time, the seconds of a run are its
 * steps. */
static void an_estimate_counts_the_steps_that_a_run_makes(void **state)
{
    static const char *const trainings[] = {
        "epochs: 3, batch_size: 5",
        "epochs: 4, batch_size: 7, test_batch_size: 3, validation: 0.4, test: epochs",
        "epochs: 2, batch_size: 100, test_batch_size: 5, validation: 0.3, test: end",
        "epochs: 0, batch_size: 5",
        "phases: [{duration: 1.3}, {duration: 0.4, learn: false}, {duration: 2}]",
    };
    const struct gle_costs learning = {.learn.mean = 1.0}, evaluating = {.eval.mean = 1.0};

    (void)state;
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        struct trial t = trial_of(config("{type: xor, present: 0.7, repeat: 5}", 2, two_layers, "", trainings[i]), 1);
        double total;
        gle_train_estimate(&total, &learning, t.b.exp, t.data);
        assert_true(total == (double)t.m.train_steps);
        gle_train_estimate(&total, &evaluating, t.b.exp, t.data);
        assert_true(total == (double)t.m.eval_steps);
        trial_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_in_the_order_of_the_published_run),
        cmocka_unit_test(balanced_draws_show_all_classes_equally_often),
        cmocka_unit_test(state_is_carried_over_unless_it_is_reset),
        cmocka_unit_test(a_layer_with_reset_batch_forgets_alone),
        cmocka_unit_test(evaluation_leaves_the_parameters_untouched),
        cmocka_unit_test(the_confusion_matrix_agrees_with_the_accuracy),
        cmocka_unit_test(the_test_set_is_seen_after_every_epoch_or_at_the_end),
        cmocka_unit_test(the_best_epoch_is_the_first_of_the_highest_accuracy),
        cmocka_unit_test(a_last_smaller_batch_counts_as_its_samples_do),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(evaluation_without_errors_tells_the_same),
        cmocka_unit_test(the_stop_flag_ends_a_run_at_the_next_step),
        cmocka_unit_test(a_run_stopped_while_testing_keeps_the_confusion_matrix_of_its_last_epoch),
        cmocka_unit_test(an_observer_that_fails_ends_the_run_with_its_error),
        cmocka_unit_test(divergence_restores_the_parameters_of_the_batch_start_and_names_the_layer),
        cmocka_unit_test(a_learning_rate_beyond_reason_diverges_with_finite_parameters),
        cmocka_unit_test(data_and_network_that_do_not_fit_are_refused),
        cmocka_unit_test(any_allocation_may_fail_and_the_error_says_so),
        cmocka_unit_test(an_estimate_counts_the_steps_that_a_run_makes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
