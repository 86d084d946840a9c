/* Steps without a target, within runs: what is counted, and what learns. */
#include "../support/witness.h"
#include "base/rng.h"
#include "parts/optimizer.h"
#include "parts/rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Samples of nine steps: two pulses of two, a pause of three, an answer of two. */
enum { YAML_BYTES = 4096, T = 9, UNASKED = 7, SECOND = 5, ROWS_MAX = 16 };

static const char *config_with(const char *answer, const char *learning, const char *training, const char *sections)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\n"
                           "dataset: {type: delayed_xor, pulse: 0.2, pause: 0.3, answer: %s, samples: 20, "
                           "test_samples: 12}\n"
                           "network: {input: 1, layers: [{name: a, neurons: {tau_m: [1.0, 0.5, 2.0, 0.8], "
                           "tau_r: [0.4, 0.5, 0.1, 0.9]}, activation: tanh}, "
                           "{name: b, neurons: {tau_m: [1.0, 0.6], tau_r: [0.5, 1.0]}}]}\n"
                           "learning: {loss: %s, plastic: [weight, bias, tau_m], %s}\n"
                           "training: {%s}\nrecord: {every: 1}\n%s\n",
                           answer, strstr(sections, "teacher") ? "mse" : "cross_entropy", learning, training, sections);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

static const char *config(const char *learning, const char *training, const char *sections)
{
    return config_with("0.2", learning, training, sections);
}

/* Sums over steps of a run. */
struct sums {
    double loss, asked; /* asked: steps with a target, each as often as it had rows */
    size_t right, done; /* samples */
};

static double mean(const struct sums *s)
{
    return s->loss / s->asked;
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-12 * fabs(want)))
        fail_msg("%.17g, not %.17g", got, want);
}

/* Adds what step s of the run, step t of its samples, counts for; sum: the outputs so far, summed where a target is
 * there (ROWS_MAX, 2). */
static void count_step(struct sums *sums, float *sum, const struct sight *seen, size_t t)
{
    const struct sight *first = seen - t, *second = first + SECOND;
    const size_t B = seen->moment.B;

    assert_int_equal(seen->moment.unasked, t < UNASKED);
    assert_int_equal(isnan(seen->moment.loss) != 0, t < UNASKED);
    if (t == 0)
        memset(sum, 0, 2 * ROWS_MAX * sizeof *sum);
    if (t < UNASKED)
        return;
    sums->loss += seen->moment.loss * (double)B;
    sums->asked += (double)B;
    for (size_t i = 0; i < 2 * B; i++)
        sum[i] += seen->output[i];
    if (t + 1 < T)
        return;
    for (size_t b = 0; b < B; b++)
        sums->right += (sum[2 * b + 1] > sum[2 * b]) == (first->input[b] != second->input[b]);
    sums->done += B;
}

/* The run made once more by hand, with nonsense for the targets that are not there. window: its length in steps; 0:
 * none. */
static void assert_by_hand(const struct witness *w, size_t window)
{
    const struct trial *t = w->trial;
    const struct gle_experiment *exp = t->b.exp;
    const double lr = ((const struct gle_optimizer *)exp->optimizer.row)->lr(exp->optimizer.params);
    struct gle_error err = {0};
    struct gle_rng rng;
    struct built hand = {.exp = exp, .graph = t->b.graph, .net = net_again(t, &rng)};

    for (size_t s = 0; s < w->n_steps; s++) {
        const struct gle_moment *m = &w->steps[s].moment;
        const size_t at = s % T;
        const bool learn = m->split == GLE_TRAIN, taped = learn && window;
        const struct gle_step step = {
            .learn = learn && !window, .nudge = learn, .unasked = at < UNASKED, .lr = lr};
        size_t ld;
        float *target;
        double loss;
        gle_net_set_batch(hand.net, m->B);
        if (at == 0)
            gle_net_begin_batch(hand.net, exp->reset_state);
        show_again(hand.net, t, &w->steps[s]);
        target = gle_net_target(hand.net, &ld);
        for (size_t i = 0; step.unasked && i < m->B * ld; i++)
            target[i] = 5.0f;
        if (taped && at % window == 0)
            gle_net_begin_window(hand.net);
        assert_int_equal(gle_net_step(hand.net, &step, &loss, &err), 0);
        assert_true(step.unasked ? loss == 0.0 : loss / (double)m->B == m->loss);
        if (taped && ((at + 1) % window == 0 || at + 1 == T))
            assert_int_equal(gle_net_end_window(hand.net, exp->rule, true, lr, &err), 0);
    }
    assert_true(same_params(&hand, &t->b));
    gle_net_destroy(hand.net);
}

static const struct {
    const char *learning;
    size_t window;
} rules[] = {{"rule: gle, gamma: 0.1", 0}, {"rule: bp", 0}, {"rule: bptt, window: 0.9", 9},
             {"rule: bptt, window: 0.3, gamma: 0.1", 3}, {"rule: adjoint, window: 0.9", 9}};
enum { RULES = sizeof rules / sizeof *rules };

static void epochs_count_and_learn_from_steps_with_a_target(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2 * RULES; k++) {
        struct witness w;
        struct trial t;
        struct sums sums[4][GLE_SPLITS] = {0};
        float sum[2 * ROWS_MAX];
        witness_run(&w, &t,
                    config(rules[k / 2].learning, k % 2 ? "epochs: 3, batch_size: 8, test_batch_size: 12, state: reset"
                                                        : "epochs: 3, batch_size: 8, test_batch_size: 12",
                           ""),
                    1 + k % 3);
        for (size_t s = 0; s < w.n_steps; s++) {
            const struct gle_moment *m = &w.steps[s].moment;
            count_step(&sums[m->stage][m->split], sum, &w.steps[s], s % T);
        }
        for (size_t e = 0; e < 4; e++)
            for (int split = e ? GLE_TRAIN : GLE_TEST; split < GLE_SPLITS; split += GLE_TEST) {
                const struct gle_score *score = &t.m.epochs[e].score[split];
                const struct sums *want = &sums[e][split];
                assert_int_equal(want->done, split == GLE_TRAIN ? 20 : 12);
                assert_near(score->loss, mean(want));
                assert_true(score->accuracy == (double)want->right / (double)want->done);
            }
        assert_by_hand(&w, rules[k / 2].window);
        witness_clear(&w);
        trial_close(&t);
    }
}

/* Parameters stay while nothing was ever asked for, then move after every step: where there is no target, by the
 * errors that are under way, and by what Adam remembers. */
static void the_optimizer_steps_after_every_step(void **state)
{
    struct witness w;
    struct trial t;
    size_t size;

    (void)state;
    witness_run(&w, &t, config("rule: gle", "epochs: 1, batch_size: 10, test: end", ""), 1);
    free(all_params(&t.b, &size));
    for (size_t s = 1; s < 2 * T; s++)
        assert_int_equal(memcmp(w.steps[s].params, w.steps[s - 1].params, size * sizeof(float)) != 0, s >= UNASKED);
    assert_int_equal(gle_net_get_place(t.b.net).updates, 2 * T);
    witness_clear(&w);
    trial_close(&t);
}

static void phases_count_steps_with_a_target(void **state)
{
    static const char *const training =
        "batch_size: 6, test_batch_size: 12, evaluate: {every: 1.3}, "
        "phases: [{duration: 0.6}, {duration: 2.0}, {duration: 1.2, learn: false}, {duration: 0.3}]";

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct witness w;
        struct trial t;
        struct sums sums[5] = {0};
        float sum[2 * ROWS_MAX];
        witness_run(&w, &t, config(k ? "rule: bptt, window: 0.2" : "rule: gle", training, ""), 1);
        for (size_t s = 0; s < w.n_steps; s++)
            count_step(&sums[w.steps[s].moment.stage], sum, &w.steps[s], s % T);
        for (size_t i = 0; i < 4; i++) {
            const struct gle_phase_score *got = &t.m.phases[i];
            const struct sums *want = &sums[i + 1];
            assert_int_equal(want->asked > 0.0, i == 1 || i == 2);
            if (want->asked > 0.0) {
                assert_near(got->loss, mean(want));
                assert_near(got->last_loss, mean(want));
            } else {
                assert_true(isnan(got->loss) && isnan(got->last_loss));
            }
            if (want->done)
                assert_true(got->accuracy == (double)want->right / (double)want->done);
            else
                assert_true(isnan(got->accuracy));
        }
        assert_int_equal(t.m.n_evaluations, 5);
        witness_clear(&w);
        trial_close(&t);
    }
}

/* Untrained, state at zero: what an evaluation finds, epoch 0 finds as well. */
static void evaluations_count_as_epochs_do(void **state)
{
    struct trial by_epochs, by_phases;

    (void)state;
    by_epochs = trial_of(config("rule: gle", "epochs: 1, batch_size: 6, test_batch_size: 12, state: reset", ""), 1);
    by_phases = trial_of(config("rule: gle", "batch_size: 6, test_batch_size: 12, state: reset, "
                                             "evaluate: {every: 0.9}, phases: [{duration: 0.9}]", ""), 1);
    assert_near(by_phases.m.evaluations[0].loss, by_epochs.m.epochs[0].score[GLE_TEST].loss);
    assert_true(by_phases.m.evaluations[0].accuracy == by_epochs.m.epochs[0].score[GLE_TEST].accuracy);
    trial_close(&by_epochs);
    trial_close(&by_phases);
}

/* More steps than GLE_LAST_STEPS: the mean of the last ones. */
static void the_last_steps_of_a_long_phase(void **state)
{
    struct witness w;
    struct trial t;
    struct sums last = {0}, all = {0};
    float sum[2 * ROWS_MAX];

    (void)state;
    witness_run(&w, &t, config("rule: gle", "batch_size: 2, phases: [{duration: 0.4}, {duration: 1050}]", ""), 1);
    for (size_t s = 0; s < w.n_steps; s++) {
        count_step(&all, sum, &w.steps[s], s % T);
        if (s + GLE_LAST_STEPS >= w.n_steps && !w.steps[s].moment.unasked)
            last.loss += 2.0 * w.steps[s].moment.loss, last.asked += 2.0;
    }
    assert_near(t.m.phases[1].loss, mean(&all));
    assert_near(t.m.phases[1].last_loss, mean(&last));
    assert_true(fabs(mean(&last) - mean(&all)) > 1e-9);
    witness_clear(&w);
    trial_close(&t);
}

/* What progress tells, against the steps that were seen since the pass began, or, by phases, since it told last. */
struct listener {
    struct sums sums;
    uint64_t stage;
    enum gle_split split;
    size_t told, unknown;
};

static int on_moment(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    struct listener *l = ctx;

    (void)err;
    if (l->stage != m->stage || l->split != m->split)
        l->sums = (struct sums){0};
    l->stage = m->stage;
    l->split = m->split;
    if (m->unasked)
        return 0;
    l->sums.loss += m->loss * (double)m->B;
    l->sums.asked += (double)m->B;
    return 0;
}

static void on_progress(void *ctx, const struct gle_progress *p)
{
    struct listener *l = ctx;

    l->told++;
    if (l->sums.asked > 0.0)
        assert_near(p->loss, mean(&l->sums));
    else
        l->unknown += isnan(p->loss) != 0;
    if (p->by_phases)
        l->sums = (struct sums){0};
}

/* Samples of 27 steps, so that it tells in the midst of their answers, too. */
static void progress_tells_of_steps_with_a_target(void **state)
{
    static const char *const trainings[] = {"epochs: 2, batch_size: 8, test_batch_size: 12",
                                            "batch_size: 6, phases: [{duration: 27}]"};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct listener l = {0};
        const struct gle_observer observer = {.ctx = &l, .moment = on_moment, .progress = on_progress};
        struct trial t = trial_open(config_with("2.0", "rule: gle", trainings[k], ""), 1);
        trial_run(&t, &observer, NULL);
        assert_int_equal(t.rc, 0);
        /* Within samples, and where a pass begins nothing is known; on a device, after batches, or after 256 steps. */
        assert_int_equal(l.told, test_fleet() ? (k ? 1 : 9) : k ? 16 : 18);
        assert_int_equal(l.unknown, k || test_fleet() ? 0 : 5);
        trial_close(&t);
    }
}

/* The network that diagnosis compares with has the same steps without a target: bptt is its own exact gradient. */
static void diagnosis_asks_for_the_same(void **state)
{
    struct trial t;

    (void)state;
    t = trial_of(config("rule: bptt, window: 0.9, gamma: 0.1, optimizer: {type: sgd, lr: 0.1}",
                        "epochs: 2, batch_size: 5, test: end", "diagnose: {window: 0.9, every: 9}\n"), 1);
    assert_int_equal(t.m.n_diagnostics, 8);
    for (size_t d = 0; d < t.m.n_diagnostics; d++)
        for (size_t i = 0; i < t.b.graph->n_parameters; i++) {
            const struct gle_comparison *c = &t.m.diagnostics[d].of[i];
            if (!t.b.graph->parameters[i].plastic)
                continue;
            assert_true(c->gradient > 0.0);
            assert_true(fabs(c->dot / sqrt(c->update * c->gradient) - 1.0) < 1e-5);
            assert_true(fabs(sqrt(c->update / c->gradient) - 1.0) < 1e-5);
        }
    trial_close(&t);
}

static void a_teacher_has_a_target_at_every_step(void **state)
{
    struct witness w;
    struct trial t;
    double loss = 0.0;

    (void)state;
    witness_run(&w, &t, config("rule: gle", "epochs: 1, batch_size: 20, test: end", "teacher: {a: {bias: 1.0}}"), 1);
    for (size_t s = 0; s < T; s++) {
        assert_false(w.steps[s].moment.unasked);
        loss += w.steps[s].moment.loss;
    }
    assert_near(t.m.epochs[1].score[GLE_TRAIN].loss, loss / T);
    witness_clear(&w);
    trial_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_count_and_learn_from_steps_with_a_target),
        cmocka_unit_test(the_optimizer_steps_after_every_step),
        cmocka_unit_test(phases_count_steps_with_a_target),
        cmocka_unit_test(evaluations_count_as_epochs_do),
        cmocka_unit_test(the_last_steps_of_a_long_phase),
        cmocka_unit_test(progress_tells_of_steps_with_a_target),
        cmocka_unit_test(diagnosis_asks_for_the_same),
        cmocka_unit_test(a_teacher_has_a_target_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
