/* What a network answers to each sample: against what a run shows step by step, and what is told of it. */
#include "../support/folder.h"
#include "../support/symbols.h"
#include "../support/witness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { YAML_BYTES = 4096 };

/* --- labels --- */

/* What follows from what was kept, held against the report's counts. */
static void agrees_with_the_matrix(const struct trial *t, double accuracy)
{
    const float *values = t->m.predictions[GLE_TEST].values;
    const int32_t *labels = t->data->split[GLE_TEST].labels;
    uint64_t confusion[SYMBOLS * SYMBOLS] = {0};
    size_t right = 0;

    for (size_t i = 0; i < TESTS * ANSWERS; i++) {
        const float *sum = values + i * SYMBOLS;
        size_t best = 0;
        for (size_t k = 1; k < SYMBOLS; k++)
            best = sum[k] > sum[best] ? k : best;
        confusion[(size_t)labels[i] * SYMBOLS + best]++;
        right += best == (size_t)labels[i];
    }
    assert_memory_equal(confusion, t->m.confusion, sizeof confusion);
    assert_true(accuracy == (double)right / (TESTS * ANSWERS));
}

static void sums_are_those_that_answers_are_told_from(void **state)
{
    static const struct {
        const char *text;
        size_t steps;
    } decides[] = {{"", 2}, {", decide: last", 1}};
    enum { ROWS = 5 };

    (void)state;
    for (size_t k = 0; k < sizeof decides / sizeof *decides; k++) {
        char training[200];
        struct witness w;
        struct trial t;
        size_t first = 0, step = 0; /* of the batch */
        snprintf(training, sizeof training, "epochs: 2, batch_size: 8, test_batch_size: %d, "
                 "evaluate: {predictions: true}%s", ROWS, decides[k].text);
        witness_run(&w, &t, symbols(training), 1 + k);
        assert_true(t.m.predictions[GLE_TEST].there && !t.m.predictions[GLE_TRAIN].values);
        for (size_t s = 0; s < w.n_steps; s++) {
            const struct gle_moment *moment = &w.steps[s].moment;
            const size_t answer = step < UNASKED ? 0 : (step - UNASKED) / LENGTH;
            if (moment->split != GLE_TEST || moment->stage != 2)
                continue;
            for (size_t b = 0; step >= UNASKED && (step - UNASKED) % LENGTH == 1 && b < moment->B; b++)
                for (size_t i = 0; i < SYMBOLS; i++) {
                    const float got = t.m.predictions[GLE_TEST].values[((first + b) * ANSWERS + answer) * SYMBOLS + i];
                    float sum = 0.0f;
                    for (size_t ago = 0; ago < decides[k].steps; ago++)
                        sum += w.steps[s - ago].output[b * SYMBOLS + i];
                    if (!(fabsf(got - sum) <= 1e-5f))
                        fail_msg("sample %zu, answer %zu: %g, not %g", first + b, answer, (double)got, (double)sum);
                }
            step = (step + 1) % T;
            first += step ? 0 : moment->B;
        }
        assert_int_equal(first, TESTS);
        agrees_with_the_matrix(&t, t.m.epochs[2].score[GLE_TEST].accuracy);
        witness_clear(&w);
        trial_close(&t);
    }
}

static void evaluations_by_duration_keep_the_last(void **state)
{
    struct trial t = trial_of(symbols("batch_size: 8, test_batch_size: 5, evaluate: {every: 2, predictions: true}, "
                                      "phases: [{duration: 5}]"), 1);
    const double accuracy = t.m.evaluations[t.m.n_evaluations - 1].accuracy;

    (void)state;
    assert_true(t.m.predictions[GLE_TEST].there);
    assert_true(accuracy != t.m.evaluations[0].accuracy);
    agrees_with_the_matrix(&t, accuracy);
    trial_close(&t);
}

/* Samples have their places, whoever they are shown with, where no state goes from one to the next. Of an untrained
 * network: the published order of training samples depends on the size of the first batch that is tested. */
static void batches_and_threads_change_nothing(void **state)
{
    static const char *const sizes[] = {"12", "1", "5"};
    struct trial t[3];

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        char training[128];
        snprintf(training, sizeof training, "epochs: 0, batch_size: 8, state: reset, test_batch_size: %s, "
                 "evaluate: {predictions: true}", sizes[k]);
        t[k] = trial_of(symbols(training), 1 + k);
        for (size_t i = 0; i < t[k].m.predictions[GLE_TEST].n; i++)
            if (!(fabsf(t[k].m.predictions[GLE_TEST].values[i] - t[0].m.predictions[GLE_TEST].values[i]) <= 1e-5f))
                fail_msg("batches of %s: value %zu", sizes[k], i);
    }
    for (size_t k = 0; k < 3; k++)
        trial_close(&t[k]);
}

/* --- target values --- */

enum { SERIES = 7, SERIES_STEPS = 6, WASHOUT = 2, SERIES_ROWS = 5 };

static const char *series(const char *teacher)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.5\nseed: 5\n"
                           "dataset: {type: mackey_glass, train: 60, test: 21, length: 3, washout: 1, discard: 50}\n"
                           "network: {input: 1, layers: [{name: a, neurons: {count: 5, tau_m: 1.0, tau_r: 0.6}, "
                           "activation: tanh}, {name: b, neurons: {count: 1, tau_m: 0.5, tau_r: 0.5}}]}\n%s"
                           "learning: {rule: gle, loss: mse, optimizer: {type: adam, lr: 0.01}}\n"
                           "training: {epochs: 2, batch_size: 8, test_batch_size: %d, evaluate: {predictions: true}}\n"
                           "record: {every: 1}\n",
                           teacher, SERIES_ROWS);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

static void outputs_and_targets_are_those_of_steps_that_ask(void **state)
{
    static const char *const teachers[] = {"", "teacher: {a: {tau_m: 0.7}}\n"};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        const size_t skipped = k ? 0 : WASHOUT, n_steps = SERIES_STEPS - skipped; /* a teacher asks at every step */
        struct witness w;
        struct trial t;
        size_t first = 0, step = 0, n = 0;
        double error = 0.0;
        witness_run(&w, &t, series(teachers[k]), 1 + k);
        assert_int_equal(t.m.predictions[GLE_TEST].n, 2 * SERIES * n_steps);
        for (size_t s = 0; s < w.n_steps; s++) {
            const struct sight *seen = &w.steps[s];
            if (seen->moment.split != GLE_TEST || seen->moment.stage != 2)
                continue;
            for (size_t b = 0; step >= skipped && b < seen->moment.B; b++, n++) {
                const float *got = t.m.predictions[GLE_TEST].values + 2 * (first + b) * n_steps + step - skipped;
                assert_true(got[0] == seen->output[b] && got[n_steps] == seen->target[b]);
                error += pow((double)got[0] - (double)got[n_steps], 2.0);
            }
            step = (step + 1) % SERIES_STEPS;
            first += step ? 0 : seen->moment.B;
        }
        assert_int_equal(n, SERIES * n_steps);
        error /= (double)n;
        if (!(fabs(error - t.m.epochs[2].score[GLE_TEST].loss) <= 1e-5 * error))
            fail_msg("a loss of %g, not %g", t.m.epochs[2].score[GLE_TEST].loss, error);
        witness_clear(&w);
        trial_close(&t);
    }
}

/* --- memory --- */

static void memory_that_gives_out_is_told(void **state)
{
    const char *folder = *state;
    char path[PATH_SIZE];
    size_t k = 0;

    folder_put(folder, "series.yaml", series(""));
    snprintf(path, sizeof path, "%s", folder_path(folder, "series.yaml"));
    while (!trial_with(path, k, NULL) && k < 5000)
        k += 3;
    assert_in_range(k, 30, 4999);
}

int main(void)
{
    static char folder[FOLDER_SIZE];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_that_answers_are_told_from),
        cmocka_unit_test(evaluations_by_duration_keep_the_last),
        cmocka_unit_test(batches_and_threads_change_nothing),
        cmocka_unit_test(outputs_and_targets_are_those_of_steps_that_ask),
        cmocka_unit_test_prestate_setup_teardown(memory_that_gives_out_is_told, folder_setup, folder_teardown,
                                                 folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
