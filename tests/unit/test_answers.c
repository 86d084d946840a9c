/* Answers to what has labels, within runs: over which steps outputs are summed, how many there are, how many right. */
#include "../support/symbols.h"
#include "../support/witness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_MAX = 16 };

struct sums {
    size_t right, given;
    size_t confusion[SYMBOLS][SYMBOLS];
};

/* Adds the answers that end with step t of a sample; decides: how many of the last steps of an answer count. */
static void count_step(struct sums *sums, const struct sight *seen, size_t t, size_t decides)
{
    const size_t B = seen->moment.B;

    if (t < UNASKED || (t - UNASKED + 1) % LENGTH)
        return;
    for (size_t b = 0; b < B; b++) {
        double sum[SYMBOLS] = {0};
        size_t best = 0, label = 0;
        for (size_t ago = 0; ago < decides; ago++)
            for (size_t k = 0; k < SYMBOLS; k++)
                sum[k] += (double)(seen - ago)->output[b * SYMBOLS + k];
        for (size_t k = 1; k < SYMBOLS; k++) {
            best = sum[k] > sum[best] ? k : best;
            label = seen->target[b * SYMBOLS + k] == 1.0f ? k : label;
        }
        sums->right += best == label;
        sums->given++;
        sums->confusion[label][best]++;
    }
}

static const struct {
    const char *text;
    size_t steps;
} decides[] = {{"", 2}, {", decide: sum", 2}, {", decide: last", 1}, {", decide: {type: window, length: 0.1}", 1},
               {", decide: {type: window, length: 5}", 2}};
enum { DECIDES = sizeof decides / sizeof *decides };

static double fraction(const struct sums *s)
{
    return (double)s->right / (double)s->given;
}

static void epochs_count_every_answer(void **state)
{
    size_t all[DECIDES] = {0};

    (void)state;
    for (size_t k = 0; k < DECIDES; k++) {
        char training[200];
        struct witness w;
        struct trial t;
        struct sums sums[3][GLE_SPLITS] = {0};
        snprintf(training, sizeof training, "epochs: 2, batch_size: 8, test_batch_size: 5%s", decides[k].text);
        witness_run(&w, &t, symbols(training), 1 + k % 2);
        for (size_t s = 0; s < w.n_steps; s++)
            count_step(&sums[w.steps[s].moment.stage][w.steps[s].moment.split], &w.steps[s], s % T, decides[k].steps);
        for (size_t e = 0; e < 3; e++) {
            const struct gle_score *score = t.m.epochs[e].score;
            assert_int_equal(sums[e][GLE_TEST].given, 12 * ANSWERS);
            assert_true(score[GLE_TEST].accuracy == fraction(&sums[e][GLE_TEST]));
            assert_true(!e || score[GLE_TRAIN].accuracy == fraction(&sums[e][GLE_TRAIN]));
            all[k] = 1000 * all[k] + sums[e][GLE_TRAIN].right + 100000 * sums[e][GLE_TEST].right;
        }
        for (size_t i = 0; i < SYMBOLS * SYMBOLS; i++)
            assert_int_equal(t.m.confusion[i], (&sums[2][GLE_TEST].confusion[0][0])[i]);
        witness_clear(&w);
        trial_close(&t);
    }
    assert_true(all[0] == all[1] && all[2] == all[3] && all[0] == all[4]);
    assert_true(all[0] != all[2]); /* else nothing is shown */
}

/* Phases begin and end within samples, and within answers; what is asked for when no answer ends is no accuracy. */
static void phases_count_every_answer(void **state)
{
    (void)state;
    for (size_t k = 0; k < DECIDES; k++) {
        char training[250];
        struct witness w;
        struct trial t;
        struct sums sums[5] = {0};
        snprintf(training, sizeof training,
                 "batch_size: 6, test_batch_size: 12, state: reset, evaluate: {every: 1.4}, "
                 "phases: [{duration: 0.8}, {duration: 0.3}, {duration: 2.2}, {duration: 1.1}]%s", decides[k].text);
        witness_run(&w, &t, symbols(training), 1);
        for (size_t s = 0; s < w.n_steps; s++)
            count_step(&sums[w.steps[s].moment.stage], &w.steps[s], s % T, decides[k].steps);
        assert_true(sums[2].given == 6 && sums[3].given == 6 * 5);
        for (size_t i = 0; i < 4; i++)
            assert_true(sums[i + 1].given ? t.m.phases[i].accuracy == fraction(&sums[i + 1])
                                          : isnan(t.m.phases[i].accuracy));
        witness_clear(&w);
        trial_close(&t);
    }
}

/* Untrained, state at zero: what an evaluation finds, epoch 0 finds as well. */
static void evaluations_count_as_epochs_do(void **state)
{
    (void)state;
    for (size_t k = 0; k < DECIDES; k++) {
        char training[200];
        struct trial by_epochs, by_phases;
        snprintf(training, sizeof training, "epochs: 0, batch_size: 6, test_batch_size: 12, state: reset%s",
                 decides[k].text);
        by_epochs = trial_of(symbols(training), 1);
        snprintf(training, sizeof training, "batch_size: 6, test_batch_size: 12, state: reset, evaluate: {every: 1.4}, "
                                            "phases: [{duration: 1.4}]%s", decides[k].text);
        by_phases = trial_of(symbols(training), 1);
        assert_true(by_phases.m.evaluations[0].accuracy == by_epochs.m.epochs[0].score[GLE_TEST].accuracy);
        trial_close(&by_epochs);
        trial_close(&by_phases);
    }
}

struct listener {
    double accuracy[32];
    size_t n;
};

static void on_progress(void *ctx, const struct gle_progress *p)
{
    struct listener *l = ctx;

    if (p->split == GLE_TRAIN && l->n < 32)
        l->accuracy[l->n++] = p->accuracy;
}

/* Samples of 17 steps: progress is told at their first and last ones. What a batch answers counts once it is over. */
static void progress_tells_of_answers_that_are_known(void **state)
{
    struct listener l = {.n = 0};
    const struct gle_observer observer = {.ctx = &l, .progress = on_progress};
    struct trial t;

    (void)state;
    if (test_fleet()) /* there it is told after batches */
        return;
    t = trial_open("glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\n"
                   "dataset: {type: xor, present: 1.7, repeat: 3, noise: 0.3}\n"
                   "network: {input: 2, layers: [{name: b, neurons: {count: 2, tau_m: 0.3, tau_r: 0.3}}]}\n"
                   "learning: {loss: cross_entropy}\ntraining: {epochs: 1, batch_size: 4}\n", 1);
    trial_run(&t, &observer, NULL);
    assert_int_equal(t.rc, 0);
    assert_int_equal(l.n, 6);
    assert_true(isnan(l.accuracy[0]) && isnan(l.accuracy[1]));
    assert_true(l.accuracy[2] >= 0.0 && l.accuracy[2] <= 1.0);
    assert_true(l.accuracy[2] == l.accuracy[3] && l.accuracy[4] == l.accuracy[5]);
    trial_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_count_every_answer),
        cmocka_unit_test(phases_count_every_answer),
        cmocka_unit_test(evaluations_count_as_epochs_do),
        cmocka_unit_test(progress_tells_of_answers_that_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
