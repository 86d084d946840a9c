/* The test set during training by duration. */
#include "../support/folder.h"
#include "../support/by_layer.h"
#include "../support/trial.h"
#include "train/evaluation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { YAML_BYTES = 4096, MOST = 64, ROWS = 2, TEST_ROWS = 3 };

static const char *const xor7 = "{type: xor, present: 0.7, repeat: 3, noise: 0.3}"; /* four test samples of 7 steps */

/* Keys of learning beside the loss, of training, and further sections. */
static const char *config(const char *learning, const char *training, const char *sections)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\ndataset: %s\n"
                           "network: {input: 2, layers: [{name: a, neurons: {tau_m: [1.0, 0.5, 2.0, 0.8], "
                           "tau_r: [0.4, 0.5, 0.1, 0.9]}, activation: tanh}, "
                           "{name: b, neurons: {tau_m: [1.0, 0.6], tau_r: [0.5, 1.0]}}]}\n"
                           "learning: {loss: mse, plastic: [weight, bias, tau_m]%s}\n"
                           "training: {batch_size: %d, test_batch_size: %d, %s}\n%s\n",
                           xor7, learning, ROWS, TEST_ROWS, training, sections);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

/* --- when --- */

static void assert_times(const char *every, const uint64_t *steps, size_t n)
{
    char training[128];
    struct trial t;

    snprintf(training, sizeof training, "phases: [{duration: 2}, {duration: 1.5}], evaluate: {every: %s}", every);
    t = trial_of(config("", training, ""), 1);
    assert_int_equal(gle_evaluation_count(t.b.exp), n);
    assert_int_equal(t.m.n_evaluations, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(t.m.evaluations[i].step, steps[i]);
    assert_int_equal(t.m.eval_steps, n * 2 * 7); /* two batches */
    assert_int_equal(t.m.train_steps, 35);
    assert_true(t.m.eval_flops == (double)(n * 4 * 7) * 2.0 * (2.0 * 4.0 + 4.0 * 2.0)); /* without errors */
    assert_ptr_equal(gle_metrics_final_test(&t.m, t.b.exp), &t.m.evaluations[n - 1]);
    trial_close(&t);
}

static void evaluations_come_first_every_so_much_time_and_last(void **state)
{
    (void)state;
    assert_times("1.0", (const uint64_t[]){0, 10, 20, 30, 35}, 5);
    assert_times("0.7", (const uint64_t[]){0, 7, 14, 21, 28, 35}, 6);
    assert_times("3.5", (const uint64_t[]){0, 35}, 2);
    assert_times("3.4", (const uint64_t[]){0, 34, 35}, 3);
    assert_times("100", (const uint64_t[]){0, 35}, 2);
}

static void there_are_none_unless_they_are_asked_for(void **state)
{
    struct trial t = trial_of(config("", "phases: [{duration: 2}]", ""), 1);

    (void)state;
    assert_int_equal(t.m.n_evaluations, 0);
    assert_int_equal(gle_evaluation_count(t.b.exp), 0);
    assert_null(gle_metrics_final_test(&t.m, t.b.exp));
    assert_null(t.m.confusion);
    assert_int_equal(t.m.eval_steps, 0);
    trial_close(&t);
}

/* --- what --- */

/* A net of the test's own, into which the run's is copied when it has been evaluated. */
struct check {
    const struct trial *t;
    struct gle_graph *graph;
    struct gle_net *net;
    size_t n;
    uint64_t confusion[2 * 2];
};

static double loss_of(const float *output, const float *target, size_t n)
{
    double loss = 0.0;

    for (size_t k = 0; k < n; k++)
        loss += pow((double)target[k] - (double)output[k], 2.0) / 2.0;
    return loss;
}

/* Shows the test set again. */
static struct gle_evaluated evaluate_again(struct check *c)
{
    const struct gle_data *data = c->t->data;
    const size_t n = data->split[GLE_TEST].n;
    struct gle_evaluated out = {0};
    size_t right = 0;

    memset(c->confusion, 0, sizeof c->confusion);

    for (size_t first = 0; first < n; first += TEST_ROWS) {
        uint32_t rows[TEST_ROWS];
        const struct gle_batch batch = {.split = GLE_TEST,
                                        .rows = rows,
                                        .B = n - first < TEST_ROWS ? n - first : TEST_ROWS,
                                        .n_steps = data->n_steps};
        float sum[2 * TEST_ROWS], output[2 * TEST_ROWS], target[2 * TEST_ROWS];
        for (size_t b = 0; b < batch.B; b++)
            rows[b] = (uint32_t)(first + b);
        gle_net_set_batch(c->net, batch.B);
        gle_net_begin_batch(c->net, c->t->b.exp->reset_state);
        for (size_t t = 0; t < batch.n_steps; t++) {
            struct gle_error err = {0};
            double unused;
            size_t ld, ld_target;
            float *x = gle_net_input(c->net, &ld), *y = gle_net_target(c->net, &ld_target);
            gle_data_input(x, ld, data, &batch, t);
            gle_data_target(y, ld_target, data, &batch, t);
            for (size_t b = 0; b < batch.B; b++)
                memcpy(target + 2 * b, y + b * ld_target, 2 * sizeof *target);
            layer_get_var(c->net, 1, VAR_R, output);
            out.loss += loss_of(output, target, 2 * batch.B) / (double)(n * batch.n_steps);
            assert_int_equal(gle_net_step(c->net, &(struct gle_step){0}, &unused, &err), 0);
        }
        gle_net_get_output_sum(c->net, sum);
        for (size_t b = 0; b < batch.B; b++) {
            const size_t truth = (size_t)data->split[GLE_TEST].labels[first + b], answer = sum[2 * b + 1] > sum[2 * b];
            right += truth == answer;
            c->confusion[2 * truth + answer]++;
        }
    }
    out.accuracy = (double)right / (double)n;
    return out;
}

static void on_evaluated(void *ctx, const struct gle_metrics *m)
{
    struct check *c = ctx;
    const struct gle_evaluated *got = &m->evaluations[m->n_evaluations - 1];
    struct gle_evaluated want;

    assert_int_equal(m->n_evaluations, ++c->n);
    gle_net_copy(c->net, c->t->b.net);
    want = evaluate_again(c);
    if (fabs(got->loss - want.loss) > 1e-7 * want.loss || got->accuracy != want.accuracy)
        fail_msg("step %zu: %.12g, %.12g, not %.12g, %.12g", (size_t)got->step, got->loss, got->accuracy, want.loss,
                 want.accuracy);
    assert_true(gle_metrics_has_matrix(m));
    assert_int_equal(m->confusion_split, GLE_TEST);
    assert_memory_equal(m->confusion, c->confusion, sizeof c->confusion);
}

static void check_scores(const char *learning, const char *training)
{
    const struct gle_graph_options options = {.batch = TEST_ROWS, .train_rows = ROWS};
    struct trial t = trial_open(config(learning, training, ""), 2);
    struct check c = {.t = &t};
    const struct gle_observer observer = {.ctx = &c, .evaluated = on_evaluated};
    struct gle_error err = {0};

    assert_int_equal(gle_graph_build(&c.graph, t.b.exp, &options, &err), 0);
    assert_int_equal(gle_net_build(&c.net, c.graph, 1, &err), 0);
    to_device(c.net);
    trial_run(&t, &observer, NULL);
    assert_int_equal(t.rc, 0);
    assert_in_range(c.n, 8, MOST);
    assert_true(t.m.evaluations[0].loss != t.m.evaluations[c.n - 1].loss);
    gle_net_destroy(c.net);
    gle_graph_destroy(c.graph);
    trial_close(&t);
}

static void scores_are_those_of_the_network_of_the_moment(void **state)
{
    static const char *const rules[] = {"", ", gamma: 0.2", ", rule: bp, gamma: 0.2", ", rule: bptt, window: 0.4",
                                        ", rule: adjoint, window: 0.4"};
    static const char *const trainings[] = {
        "phases: [{duration: 2.5}, {duration: 1, learn: false}], evaluate: {every: 0.4}",
        "state: reset, phases: [{duration: 2.5}, {duration: 1}], evaluate: {every: 0.5}"};

    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        for (size_t k = 0; k < 2; k++)
            check_scores(rules[i], trainings[k]);
}

/* The first one is that of the untrained network, which training by epochs knows as epoch 0. */
static void the_untrained_network_has_the_score_of_epoch_0(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char yaml[YAML_BYTES];
        const char *const reset = i ? "state: reset, " : "", *const teacher = i ? "teacher: {a: {weight: 0.3}}" : "";
        char by_epochs[128], by_phases[128];
        struct trial t, u;
        snprintf(by_epochs, sizeof by_epochs, "%sepochs: 0", reset);
        snprintf(by_phases, sizeof by_phases, "%sphases: [{duration: 1}], evaluate: {every: 1}", reset);
        snprintf(yaml, sizeof yaml, "%s", config("", by_epochs, teacher));
        t = trial_of(yaml, 1);
        u = trial_of(config("", by_phases, teacher), 1);
        assert_true(t.m.epochs[0].score[GLE_TEST].loss == u.m.evaluations[0].loss);
        assert_true(u.m.evaluations[0].loss > 0.0);
        assert_memory_equal(&t.m.epochs[0].score[GLE_TEST].accuracy, &u.m.evaluations[0].accuracy, sizeof(double));
        assert_int_equal(isnan(u.m.evaluations[0].accuracy), i == 1); /* a teacher has no labels */
        trial_close(&t);
        trial_close(&u);
    }
}

static void between_phases_parameters_are_the_networks_own(void **state)
{
    struct trial t = trial_of(config("", "state: reset, phases: [{duration: 1, learn: false, set: {b.bias: 3}}, "
                                         "{duration: 1, learn: false, set: {a.weight: 2}}], evaluate: {every: 0.5}",
                                     ""), 1);
    const struct gle_evaluated *e = t.m.evaluations;

    (void)state;
    assert_int_equal(t.m.n_evaluations, 5);
    assert_true(e[0].loss == e[2].loss && e[0].loss == e[4].loss);
    assert_true(e[1].loss > 2.0 * e[0].loss && e[3].loss != e[0].loss);
    trial_close(&t);
}

/* --- at no cost to training --- */

static void training_goes_on_as_if_nothing_had_happened(void **state)
{
    static const char *const rules[] = {"", ", gamma: 0.2", ", rule: bptt, window: 0.4, gamma: 0.1",
                                        ", rule: adjoint, window: 0.4"};
    static const char *const states[] = {"", "state: reset, "};

    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        for (size_t k = 0; k < 2; k++) {
            char training[256], yaml[YAML_BYTES];
            struct trial with, without;
            snprintf(training, sizeof training, "%sphases: [{duration: 2.1}, {duration: 1.2, set: {b.bias: 0.5}}, "
                                                "{duration: 1.8}]", states[k]);
            snprintf(yaml, sizeof yaml, "%s", config(rules[i], training, "diagnose: {window: 0.4, every: 10}"));
            without = trial_of(yaml, 1);
            strcat(training, ", evaluate: {every: 0.2}");
            with = trial_of(config(rules[i], training, "diagnose: {window: 0.4, every: 10}"), 2);
            assert_true(same_params(&with.b, &without.b));
            assert_int_equal(with.m.n_phases, 3);
            for (size_t p = 0; p < 3; p++) {
                assert_true(with.m.phases[p].loss == without.m.phases[p].loss);
                assert_memory_equal(&with.m.phases[p].accuracy, &without.m.phases[p].accuracy, sizeof(double));
            }
            assert_int_equal(with.m.n_diagnostics, without.m.n_diagnostics);
            assert_true(k || with.m.n_diagnostics > 0);
            for (size_t d = 0; d < with.m.n_diagnostics; d++)
                assert_true(with.m.diagnostics[d].of[0].dot == without.m.diagnostics[d].of[0].dot);
            trial_close(&with);
            trial_close(&without);
        }
}

static void threads_change_no_score(void **state)
{
    static const char yaml[] = "glesim: 1\nname: wide\ndt: 0.1\nseed: 1\n"
                               "dataset: {type: yinyang, present: 1.0, train: 200, test: 100}\n"
                               "network: {input: 4, layers: [{name: a, repeat: 3, neurons: {count: 300, tau_m: 0.8, "
                               "tau_r: 0.3}, activation: tanh}, {name: c, neurons: {count: 3, tau_m: 0.5, tau_r: "
                               "0.4}}]}\n"
                               "learning: {loss: cross_entropy}\n"
                               "training: {batch_size: 50, test_batch_size: 80, phases: [{duration: 2}], evaluate: "
                               "{every: 1}}\n";
    struct trial one = trial_of(yaml, 1);

    (void)state;
    for (size_t threads = 2; threads <= 4; threads++) {
        struct trial more = trial_of(yaml, threads);
        assert_true(gle_net_threads(more.b.net) > 1);
        assert_int_equal(more.m.n_evaluations, 3);
        for (size_t i = 0; i < 3; i++)
            assert_true(more.m.evaluations[i].loss == one.m.evaluations[i].loss &&
                        more.m.evaluations[i].accuracy == one.m.evaluations[i].accuracy);
        assert_true(same_params(&more.b, &one.b));
        trial_close(&more);
    }
    trial_close(&one);
}

/* How far the run was when it told of progress last. */
static void on_progress(void *ctx, const struct gle_progress *p)
{
    double *done = ctx;

    assert_true(p->done >= *done && p->done <= 1.0);
    *done = p->done;
}

static void evaluations_are_a_part_of_the_work(void **state)
{
    double done = 0.0;
    const struct gle_observer observer = {.ctx = &done, .progress = on_progress};
    struct trial t = trial_open(config("", "phases: [{duration: 4.8}], evaluate: {every: 0.5}", ""), 1);

    (void)state;
    trial_run(&t, &observer, NULL);
    assert_true(done > 0.97); /* the last batch of the last evaluation tells of its first step */
    trial_close(&t);
}

/* --- what may go wrong --- */

static void a_network_that_explodes_under_evaluation_says_so(void **state)
{
    static const char yaml[] = "glesim: 1\nname: wild\ndt: 0.1\ndataset: {type: xor, present: 0.7}\n"
                               "network: {input: 2, layers: [{name: a, neurons: {count: 2, tau_m: 1, tau_r: 1}, "
                               "weight: 1e30}, {name: b, neurons: {count: 2, tau_m: 1, tau_r: 1}, weight: 1e30}]}\n"
                               "learning: {loss: mse}\n"
                               "training: {phases: [{duration: 1, set: {a.weight: 0.1, b.weight: 0.1}}], evaluate: "
                               "{every: 1}}\n";
    struct trial t = trial_open(yaml, 1);

    (void)state;
    trial_run(&t, NULL, NULL);
    assert_int_equal(t.rc, -1);
    assert_int_equal(t.err.code, GLE_EDIVERGED);
    assert_int_equal(t.m.status, GLE_DIVERGED);
    assert_non_null(strstr(t.m.message, "in layer 'b' at step 1 (counted on through the evaluation at time 0), in "
                                        "phase 1"));
    assert_int_equal(t.m.n_evaluations, 0);
    trial_close(&t);
}

static void data_without_a_test_set_are_refused(void **state)
{
    static const char yaml[] = "glesim: 1\nname: tiny\ndt: 0.1\ndataset: {type: yinyang, test: 0}\n"
                               "network: {input: 4, layers: [{name: b, neurons: {count: 3, tau_m: 1, tau_r: 1}}]}\n"
                               "learning: {loss: mse}\ntraining: {phases: [{duration: 1}], evaluate: {every: 1}}\n";
    struct built b = built_load(yaml);
    const struct gle_data_context context = {.dt = 0.1, .n_steps = b.exp->n_steps};
    struct gle_error err = {0};
    struct gle_data *data;

    (void)state;
    assert_int_equal(gle_data_open(&data, (const struct gle_dataset *)b.exp->dataset.row, b.exp->dataset.params, 0.0,
                                   &context, &err), 0);
    assert_int_equal(gle_train_check(b.exp, data, &err), -1);
    assert_int_equal(err.code, GLE_ESHAPE);
    assert_string_equal(err.path, "training.evaluate");
    assert_string_equal(err.text, "the data set has no test set");
    gle_data_close(data);
    built_clear(&b);
}

static void any_allocation_may_fail(void **state)
{
    char path[PATH_SIZE];
    size_t k = 0;

    snprintf(path, sizeof path, "%s", folder_path(*state, "run.yaml"));
    folder_put(*state, "run.yaml", config("", "phases: [{duration: 1}], evaluate: {every: 0.5}",
                                          "teacher: {a: {weight: 0.3}}"));
    while (!trial_with(path, k, NULL) && k < 5000)
        k++;
    assert_in_range(k, 30, 4999);
}

#define IN_FOLDER(name) cmocka_unit_test_prestate_setup_teardown(name, folder_setup, folder_teardown, folder)

int main(void)
{
    static char folder[FOLDER_SIZE];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluations_come_first_every_so_much_time_and_last),
        cmocka_unit_test(there_are_none_unless_they_are_asked_for),
        cmocka_unit_test(scores_are_those_of_the_network_of_the_moment),
        cmocka_unit_test(the_untrained_network_has_the_score_of_epoch_0),
        cmocka_unit_test(between_phases_parameters_are_the_networks_own),
        cmocka_unit_test(training_goes_on_as_if_nothing_had_happened),
        cmocka_unit_test(threads_change_no_score),
        cmocka_unit_test(evaluations_are_a_part_of_the_work),
        cmocka_unit_test(a_network_that_explodes_under_evaluation_says_so),
        cmocka_unit_test(data_without_a_test_set_are_refused),
        IN_FOLDER(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
