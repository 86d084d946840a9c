/* The training set, or its first samples, measured after each epoch: against a test set of the same samples, and
 * against runs that do not measure it. */
#include "../support/dataset.h"
#include "../support/folder.h"
#include "../support/stored.h"
#include "../support/tiny.h"
#include "../support/trial.h"
#include "train/measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { YAML_BYTES = 4096 };

/* What surrounds a data set: sizes of the network; learning beside the optimizer; training beside the epochs. */
struct around {
    size_t n_inputs, n_outputs;
    const char *learning, *training, *of_output, *sections;
};

static const char *config(const char *dataset, const struct around *a)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\ndataset: %s\n"
                           "network: {input: %zu, layers: [{name: a, neurons: {tau_m: [1.0, 0.5, 2.0, 0.8], "
                           "tau_r: [0.4, 0.5, 0.1, 0.9]}, activation: tanh}, "
                           "{name: b, neurons: {count: %zu, tau_m: 0.6, tau_r: 0.5}%s}]}\n"
                           "learning: {%s, optimizer: {type: adam, lr: 0.01}}\ntraining: {%s}\n%s",
                           dataset, a->n_inputs, a->n_outputs, a->of_output ? a->of_output : "", a->learning,
                           a->training, a->sections ? a->sections : "");

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool same_score(const struct gle_score *a, const struct gle_score *b)
{
    return a->measured == b->measured &&
           (!a->measured || (a->loss == b->loss && same_number(a->accuracy, b->accuracy) &&
                             same_number(a->top5, b->top5) && same_number(a->nrmse, b->nrmse)));
}

/* --- what is told --- */

/* The test set has the samples that are measured; nothing is shown between the training and its own pass. */
static void assert_as_of_the_test_set(const char *yaml)
{
    struct trial t = trial_of(yaml, 2);
    size_t moved = 0;

    assert_true(t.m.n_epochs > 2);
    for (size_t i = 0; i < t.m.n_epochs; i++) {
        const struct gle_score *score = t.m.epochs[i].score;
        if (!score[GLE_TRAIN_AFTER].measured || !same_score(&score[GLE_TRAIN_AFTER], &score[GLE_TEST]))
            fail_msg("epoch %zu: %.17g, %g, %g, %g, where the test set has %.17g, %g, %g, %g:\n%s", i,
                     score[GLE_TRAIN_AFTER].loss, score[GLE_TRAIN_AFTER].accuracy, score[GLE_TRAIN_AFTER].top5,
                     score[GLE_TRAIN_AFTER].nrmse, score[GLE_TEST].loss, score[GLE_TEST].accuracy,
                     score[GLE_TEST].top5, score[GLE_TEST].nrmse, yaml);
        moved += i && score[GLE_TRAIN_AFTER].loss != score[GLE_TRAIN].loss;
    }
    assert_int_equal(moved, t.m.n_epochs - 1);
    trial_close(&t);
}

static void the_score_is_that_of_a_test_set_of_the_same_samples(void **state)
{
    static const char *const sets[][2] = {
        {"{type: yinyang, train: 17, test: 17, seed: 7, test_seed: 7, present: 0.7}", "train: all"},
        {"{type: yinyang, train: 23, test: 8, seed: 7, test_seed: 7, present: 0.7}",
         "train: {type: first, samples: 8}"},
        {"{type: yinyang, train: 23, test: 1, seed: 7, test_seed: 7, present: 0.7}",
         "train: {type: first, samples: 1}"},
    };
    static const char *const learnings[] = {
        "loss: cross_entropy", "loss: mse, rule: bp", "loss: cross_entropy, rule: bptt, window: 0.4",
        "loss: mse, gamma: 0.3", "loss: cross_entropy, update: {every: 5}, clip: 0.1", "loss: mse, rule: eprop"};
    static const char *const trainings[] = {"", "state: reset, ", "decide: last, ",
                                            "state: reset, decide: {type: window, length: 0.3}, "};

    (void)state;
    for (size_t k = 0; k < 6; k++) {
        char training[256];
        const struct around around = {4, 3, learnings[k], training, k == 3 ? "" : ", noise: {rate: 0.1}", ""};
        snprintf(training, sizeof training, "epochs: 3, batch_size: 5, test_batch_size: %d, %sevaluate: {%s}",
                 k % 2 ? 4 : 20, trainings[k % 4], sets[k % 3][1]);
        assert_as_of_the_test_set(config(sets[k % 3][0], &around));
    }
}

/* Of a regression: the variance is that of the samples that are measured. */
static void sequences_count_as_in_a_test_set(void **state)
{
    static const double targets[] = {0.1, 2.0, -1.0, 0.4, 0.3, 0.9, 5.0, -7.0}, lengths[] = {5, 3, 4, 5};
    static const double labels[] = {0, 11, 3, 7};
    static const double mask[] = {1, 0, 1, 0, 1, 0.5, 0, 1, 0, 0, 0, 1, 0.1, 1, 0, 1, 1, 1, 1, 1};
    const struct stored valued[] = {
        {"x", 3, {4, 5, 1}, NULL},      {"targets", 2, {4, 2}, targets},      {"lengths", 1, {4}, lengths},
        {"mask", 2, {4, 5}, mask},      {"x_test", 3, {3, 5, 1}, NULL},       {"targets_test", 2, {3, 2}, targets},
        {"mask_test", 2, {3, 5}, mask}, {"lengths_test", 1, {3}, lengths}, {0}};
    const struct stored labelled[] = {{"x", 3, {4, 5, 1}, NULL},
                                      {"y", 1, {4}, labels},
                                      {"x_test", 3, {3, 5, 1}, NULL},
                                      {"y_test", 1, {3}, labels},
                                      {0}};
    static const struct around arounds[] = {
        {1, 2, "loss: mse", "epochs: 3, batch_size: 2, evaluate: {train: {type: first, samples: 3}}", "", ""},
        {1, 2, "loss: {type: huber, delta: 0.3}",
         "epochs: 3, batch_size: 2, state: reset, evaluate: {train: {type: first, samples: 3}}", "", ""},
        {1, 12, "loss: cross_entropy", "epochs: 3, batch_size: 3, evaluate: {train: {type: first, samples: 3}}", "",
         ""},
    };
    char dataset[PATH_SIZE], path[PATH_SIZE];

    snprintf(path, sizeof path, "%.400s", folder_path(*state, "data.npz"));
    snprintf(dataset, sizeof dataset, "{type: npz, file: %.400s, hold: 2}", path);
    store_at(path, valued);
    assert_as_of_the_test_set(config(dataset, &arounds[0]));
    assert_as_of_the_test_set(config(dataset, &arounds[1]));
    store_at(path, labelled);
    assert_as_of_the_test_set(config(dataset, &arounds[2]));
}

/* Beside a teacher, of what it asks for. */
static void beside_a_teacher_it_is_likewise(void **state)
{
    static const struct around around = {4, 3, "loss: mse", "epochs: 3, batch_size: 5, state: reset, evaluate: "
                                         "{train: all}", "", "teacher: {a: {weight: 0.3}}\n"};

    (void)state;
    assert_as_of_the_test_set(config("{type: yinyang, train: 17, test: 17, seed: 7, test_seed: 7, present: 0.7}",
                                     &around));
}

/* --- at no cost to training --- */

static const struct gle_score *find_score(const struct trial *t, size_t epoch, enum gle_split split)
{
    return &t->m.epochs[epoch].score[split];
}

static void assert_alike(const char *yaml_with, const char *yaml_without)
{
    struct trial with = trial_of(yaml_with, 2), without = trial_of(yaml_without, 1);
    const size_t n = gle_metrics_train_after(with.b.exp, with.data), B = (size_t)with.b.exp->test_batch_size;
    uint64_t aside = with.m.eval_steps - without.m.eval_steps;

    if (!same_params(&with.b, &without.b))
        fail_msg("other parameters:\n%s", yaml_with);
    assert_int_equal(with.m.n_epochs, without.m.n_epochs);
    assert_int_equal(with.m.train_steps, without.m.train_steps);
    for (size_t i = 0; i < with.m.n_epochs; i++) {
        for (int s = 0; s < GLE_SPLITS; s++)
            if (!same_score(find_score(&with, i, (enum gle_split)s), find_score(&without, i, (enum gle_split)s)))
                fail_msg("another score of the %s set:\n%s", gle_split_names[s], yaml_with);
        assert_true(find_score(&with, i, GLE_TRAIN_AFTER)->measured);
        assert_false(find_score(&without, i, GLE_TRAIN_AFTER)->measured);
    }
    assert_true(with.m.eval_flops > without.m.eval_flops);
    assert_true(aside > 0 && aside % with.m.n_epochs == 0 &&
                aside / with.m.n_epochs <= (n + B - 1) / B * with.data->n_steps);
    if (!with.data->maker.make && !gle_data_has_masks(with.data))
        assert_int_equal(aside / with.m.n_epochs, (n + B - 1) / B * with.data->n_steps);
    assert_int_equal(with.m.n_diagnostics, without.m.n_diagnostics);
    for (size_t d = 0; d < with.m.n_diagnostics; d++)
        assert_true(with.m.diagnostics[d].of[0].dot == without.m.diagnostics[d].of[0].dot);
    if (with.m.confusion && without.m.confusion && with.m.confusion_split == without.m.confusion_split)
        assert_memory_equal(with.m.confusion, without.m.confusion,
                            with.m.n_classes * with.m.n_classes * sizeof *with.m.confusion);
    trial_close(&with);
    trial_close(&without);
}

static void check_alike(const char *dataset, struct around around)
{
    char training[512], yaml[YAML_BYTES];

    snprintf(training, sizeof training, "%s, evaluate: {train: all}", around.training);
    snprintf(yaml, sizeof yaml, "%s", config(dataset, &around));
    around.training = training;
    assert_alike(config(dataset, &around), yaml);
}

static void training_goes_on_as_if_nothing_had_happened(void **state)
{
    static const char *const noise =
        ", noise: {input: {std: 0.1, tau: 0.5}, membrane: {std: 0.1, tau: 0.3}, rate: 0.05}, "
        "mismatch: {tau_m: 0.2, error_tau_r: 0.3}, quantize: {weight: {bits: 4, range: 0.7}}";
    static const struct around arounds[] = {
        {4, 3, "loss: cross_entropy", "epochs: 3, batch_size: 5, validation: 0.3, test: epochs", "", ""},
        {4, 3, "loss: cross_entropy, gamma: 0.2", "epochs: 3, batch_size: 5, test_batch_size: 30", "", ""},
        {4, 3, "loss: mse, rule: bp", "epochs: 3, batch_size: 5, state: reset", ", noise: {rate: 0.1}", ""},
        {4, 3, "loss: cross_entropy, rule: bptt, window: 0.4, plastic: [weight, bias, tau_m, tau_r]",
         "epochs: 3, batch_size: 4", "", "diagnose: {window: 0.4, every: 4}\n"},
        {4, 3, "loss: mse, rule: adjoint, window: 0.3", "epochs: 2, batch_size: 4", "", ""},
        {4, 3, "loss: mse, rule: eprop", "epochs: 2, batch_size: 4", "", ""},
        {4, 3, "loss: cross_entropy, update: {every: 5}, clip: 0.05", "epochs: 3, batch_size: 5, test: end", "", ""},
        {4, 3, "loss: mse, plastic: [weight, bias, tau_m]", "epochs: 2, batch_size: 5", "",
         "teacher: {a: {weight: 0.3}}\nrecord: {every: 3}\n"},
        {4, 3, "loss: cross_entropy, schedule: {type: plateau, metric: train_loss, patience: 0, threshold: 0.5}",
         "epochs: 3, batch_size: 5", "NOISE", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof arounds / sizeof *arounds; i++) {
        struct around around = arounds[i];
        if (!strcmp(around.of_output, "NOISE"))
            around.of_output = noise;
        check_alike("{type: yinyang, train: 22, test: 9, present: 0.7}", around);
    }
}

/* The sizes that a data set's own settings, or its tiny files, make. */
static void check_set(const struct gle_dataset *set, const char *settings)
{
    const struct gle_data_context context = {.dt = 0.1, .seed = 5};
    struct gle_data *data = open_data(set->row.name, settings, 0.0, &context);
    struct around around = {.training = "epochs: 2, batch_size: 3, test_batch_size: 4, test: epochs"};
    char dataset[YAML_BYTES];

    around.n_inputs = data->n_channels;
    around.n_outputs = data->n_targets;
    around.learning = data->labelled ? "loss: cross_entropy" : "loss: mse";
    gle_data_close(data);
    snprintf(dataset, sizeof dataset, "{type: %s, %s", set->row.name, settings + 1);
    check_alike(dataset, around);
}

static void whatever_the_data_set_is(void **state)
{
    static const char *const made[][2] = {
        {"xor", "{present: 0.5, repeat: 2, noise: 0.2}"},
        {"yinyang", "{train: 12, test: 5, present: 0.5}"},
        {"delayed_xor", "{pulse: 0.2, pause: 0.3, answer: 0.2, samples: 8, test_samples: 4}"},
        {"adding", "{numbers: 4, item: 0.2, answer: 0.2, samples: 8, test_samples: 4}"},
        {"copy", "{symbols: 12, length: 2, item: 0.2, delay: 0.2, samples: 6, test_samples: 4}"},
        {"evidence", "{cues: 3, samples: 6, test_samples: 4}"},
        {"mackey_glass", "{train: 24, test: 12, length: 4, washout: 1, discard: 10}"},
    };
    size_t n = 0;

    for (const struct gle_dataset *set = gle_datasets; set->row.name; set++) {
        const struct tiny *tiny = tiny_find(set->row.name);
        const char *settings = NULL;
        for (size_t i = 0; i < sizeof made / sizeof *made; i++)
            if (!strcmp(made[i][0], set->row.name))
                settings = made[i][1];
        if (set->signal || !strcmp(set->row.name, "mnist1d")) /* the tests of the command have it, and its samples */
            continue;
        n++;
        if (!settings && !tiny)
            fail_msg("%s: neither settings here nor tiny files", set->row.name);
        if (tiny && !tiny->make)
            continue;
        if (tiny)
            tiny->make(*state);
        check_set(set, tiny ? folder_text(*state, tiny->settings) : settings);
    }
    assert_in_range(n, 10, 99);
}

/* Random changes of training samples, and noise that is there in training alone, are not. */
static void samples_are_shown_as_they_are(void **state)
{
    static const struct around around = {96, 10, "loss: cross_entropy", "epochs: 0, evaluate: {train: all}", "", ""};
    static const struct around noisy = {96, 10, "loss: cross_entropy", "epochs: 0, evaluate: {train: all}",
                                        ", noise: {rate: {std: 0.5, when: train}}", ""};
    char plain[PATH_SIZE], changed[PATH_SIZE];
    struct trial t, u, v;

    tiny_find("cifar10")->make(*state);
    snprintf(plain, sizeof plain, "%s", folder_text(*state, "{type: cifar10, path: FOLDER, as: rows, present: 0.1}"));
    snprintf(changed, sizeof changed, "%s",
             folder_text(*state, "{type: cifar10, path: FOLDER, as: rows, present: 0.1, augment: {flip: true, shift: "
                                 "9}}"));
    t = trial_of(config(plain, &around), 1);
    u = trial_of(config(changed, &around), 1);
    v = trial_of(config(plain, &noisy), 1);
    assert_true(same_score(find_score(&t, 0, GLE_TRAIN_AFTER), find_score(&u, 0, GLE_TRAIN_AFTER)));
    assert_true(same_score(find_score(&t, 0, GLE_TRAIN_AFTER), find_score(&v, 0, GLE_TRAIN_AFTER)));
    assert_true(find_score(&t, 0, GLE_TRAIN_AFTER)->measured);
    trial_close(&t);
    trial_close(&u);
    trial_close(&v);
}

/* --- what else follows from it --- */

struct told {
    double done;
    size_t n; /* words on it */
};

static void on_progress(void *ctx, const struct gle_progress *p)
{
    struct told *told = ctx;

    assert_true(p->done >= told->done && p->done <= 1.0);
    told->done = p->done;
    told->n += p->split == GLE_TRAIN_AFTER;
}

static void it_is_a_part_of_the_work(void **state)
{
    static const char *const training = "epochs: 3, batch_size: 5, evaluate: {train: all}";
    const struct around around = {4, 3, "loss: cross_entropy", training, "", ""};
    struct told told = {0};
    const struct gle_observer observer = {.ctx = &told, .progress = on_progress};
    struct trial t = trial_open(config("{type: yinyang, train: 60, test: 0, present: 0.7}", &around), 1);
    const struct gle_step_counts counts = gle_train_count_steps(t.b.exp, t.data);

    (void)state;
    trial_run(&t, &observer, NULL);
    assert_int_equal(told.n, 4 * 12); /* batches */
    assert_true(told.done > 0.96); /* the last batch tells of its first step */
    assert_true(counts.eval == 12.0 * 7.0 && counts.aside == counts.eval && counts.further_eval == counts.eval);
    assert_true(counts.eval * 4.0 == (double)t.m.eval_steps);
    assert_true(gle_train_steps(t.b.exp, t.data) == (double)t.m.train_steps); /* those that may be recorded */
    trial_close(&t);
}

/* Where nothing else is evaluated, the best epoch and the confusion matrix are of it. */
static void it_stands_for_a_set_that_is_not_there(void **state)
{
    static const char *const trainings[] = {
        "epochs: 4, batch_size: 5, evaluate: {train: {type: first, samples: 40}}",
        "epochs: 4, batch_size: 5, best: train_after_accuracy, evaluate: {train: {type: first, samples: 40}}"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct around around = {4, 3, "loss: cross_entropy", trainings[i], "", ""};
        struct trial t = trial_of(config("{type: yinyang, train: 60, test: 0, present: 0.7}", &around), 1);
        size_t best = 0;
        uint64_t right = 0, all = 0;
        assert_int_equal(t.m.best_split, GLE_TRAIN_AFTER);
        for (size_t e = 1; e < t.m.n_epochs; e++)
            if (t.m.epochs[e].score[GLE_TRAIN_AFTER].accuracy > t.m.epochs[best].score[GLE_TRAIN_AFTER].accuracy)
                best = e;
        assert_int_equal(t.m.best, best);
        assert_true(gle_metrics_has_matrix(&t.m));
        assert_int_equal(t.m.confusion_split, GLE_TRAIN_AFTER);
        for (size_t k = 0; k < 9; k++) {
            all += t.m.confusion[k];
            right += k % 4 ? 0 : t.m.confusion[k];
        }
        assert_int_equal(all, 40);
        assert_true((double)right / 40.0 == t.m.epochs[4].score[GLE_TRAIN_AFTER].accuracy);
        trial_close(&t);
    }
}

static void a_network_that_explodes_says_so(void **state)
{
    static const char yaml[] = "glesim: 1\nname: wild\ndt: 0.1\ndataset: {type: xor, present: 0.7}\n"
                               "network: {input: 2, layers: [{name: a, neurons: {count: 2, tau_m: 1, tau_r: 1}, "
                               "weight: 1e30}, {name: b, neurons: {count: 2, tau_m: 1, tau_r: 1}, weight: 1e30}]}\n"
                               "learning: {loss: mse}\ntraining: {epochs: 1, evaluate: {train: all}}\n";
    struct trial t = trial_open(yaml, 1);

    (void)state;
    trial_run(&t, NULL, NULL);
    assert_int_equal(t.err.code, GLE_EDIVERGED);
    assert_int_equal(t.m.status, GLE_DIVERGED);
    assert_non_null(strstr(t.m.message, "in layer 'b' at step 1 (counted on through the training set after the epoch), "
                                        "in epoch 0"));
    assert_int_equal(t.m.n_epochs, 0);
    trial_close(&t);
}

static void any_allocation_may_fail(void **state)
{
    static const struct around around = {4, 3, "loss: cross_entropy",
                                         "epochs: 1, batch_size: 5, evaluate: {train: all}", "", ""};
    char path[PATH_SIZE];
    size_t k = 0;

    snprintf(path, sizeof path, "%s", folder_path(*state, "run.yaml"));
    folder_put(*state, "run.yaml", config("{type: yinyang, train: 12, test: 4, present: 0.5}", &around));
    while (!trial_with(path, k, NULL) && k < 5000)
        k++;
    assert_in_range(k, 30, 4999);
}

#define IN_FOLDER(name) cmocka_unit_test_prestate_setup_teardown(name, folder_setup, folder_teardown, folder)

int main(void)
{
    static char folder[FOLDER_SIZE];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_score_is_that_of_a_test_set_of_the_same_samples),
        IN_FOLDER(sequences_count_as_in_a_test_set),
        cmocka_unit_test(beside_a_teacher_it_is_likewise),
        cmocka_unit_test(training_goes_on_as_if_nothing_had_happened),
        IN_FOLDER(whatever_the_data_set_is),
        IN_FOLDER(samples_are_shown_as_they_are),
        cmocka_unit_test(it_is_a_part_of_the_work),
        cmocka_unit_test(it_stands_for_a_set_that_is_not_there),
        cmocka_unit_test(a_network_that_explodes_says_so),
        IN_FOLDER(any_allocation_may_fail),
    };
    /* The processors make samples and count scores. Programs of devices for so many networks take minutes. */
    const struct CMUnitTest on_a_device[] = {
        cmocka_unit_test(the_score_is_that_of_a_test_set_of_the_same_samples),
        cmocka_unit_test(training_goes_on_as_if_nothing_had_happened),
    };

    return getenv("GLE_TEST_DEVICE") ? cmocka_run_group_tests(on_a_device, NULL, NULL)
                                     : cmocka_run_group_tests(tests, NULL, NULL);
}
