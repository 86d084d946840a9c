/* The closed loop: what is told of it, against the same made by hand. */
#include "../support/witness.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { YAML_BYTES = 4096, T = 20, WASHOUT = 9, TESTS = 5 };

static const char *config(const char *closed, const char *horizon, const char *training)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.5\nseed: 5\n"
                           "dataset: {type: mackey_glass, train: 60, test: 50, length: 10, washout: 4.5, discard: 50, "
                           "horizon: %s}\n"
                           "network: {input: 1, layers: [{name: a, neurons: {count: 5, tau_m: 1.0, tau_r: 0.6}, "
                           "activation: tanh}, {name: b, neurons: {count: 1, tau_m: 0.5, tau_r: 0.5}}]}\n"
                           "learning: {rule: gle, loss: mse, optimizer: {type: adam, lr: 0.01}}\n"
                           "training: {batch_size: 4, test_batch_size: 3, state: reset, %s%s}\nrecord: {every: 1}\n",
                           horizon, training, closed);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

struct loop {
    size_t after, n_steps, horizon;
};

/* smape and nrmse of the untrained network of a trial, one sample after the other; the batch changes nothing. */
static void by_hand(double *smape, double *nrmse, const struct trial *t, const struct loop *l, bool closed)
{
    const float *trace = t->m.traces.values, *traced = trace + (closed ? 2u : 1u) * TESTS * l->n_steps;
    struct gle_rng rng;
    struct gle_net *net = net_again(t, &rng);
    const double origin = t->data->origin, unit = t->data->unit;
    double n = 0.0, error = 0.0, ratio = 0.0, y1 = 0.0, y2 = 0.0;

    for (size_t i = 0; i < TESTS; i++) {
        const float *x = t->data->split[GLE_TEST].x + i * T, *y = t->data->split[GLE_TEST].targets + i * T;
        float outputs[T];
        gle_net_set_batch(net, 1);
        gle_net_begin_batch(net, true);
        for (size_t s = 0; s < l->after + l->n_steps; s++) {
            static const size_t first = 0;
            struct gle_error err = {0};
            double loss;
            size_t ld;
            gle_net_input(net, &ld)[0] = closed && s >= l->after && s >= l->horizon ? outputs[s - l->horizon] : x[s];
            assert_int_equal(gle_net_step(net, &(struct gle_step){.unasked = true}, &loss, &err), 0);
            gle_net_get_read(net, GLE_READ_OUTPUT, &first, 1, &outputs[s]);
            if (s >= l->after && t->m.n_phases == 0) { /* by phases, they are those of the last evaluation */
                const size_t at = i * l->n_steps + s - l->after;
                assert_true(trace[at] == y[s] && fabsf(traced[at] - outputs[s]) < 1e-5f);
            }
            if (s < l->after || s < WASHOUT)
                continue;
            n += 1.0;
            error += ((double)y[s] - (double)outputs[s]) * ((double)y[s] - (double)outputs[s]);
            ratio += unit * fabs((double)y[s] - (double)outputs[s]) /
                     (fabs(origin + unit * (double)y[s]) + fabs(origin + unit * (double)outputs[s]));
            y1 += (double)y[s];
            y2 += (double)y[s] * (double)y[s];
        }
    }
    *smape = 200.0 * ratio / n;
    *nrmse = sqrt(error / n / (y2 / n - y1 / n * (y1 / n)));
    gle_net_destroy(net);
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-5 * fabs(want)))
        fail_msg("%.10g, not %.10g", got, want);
}

static const struct {
    const char *text, *horizon;
    struct loop loop;
} loops[] = {
    {", evaluate: {%sclosed_loop: {after: 5, for: 4}}", "0.5", {10, 8, 1}},
    {", evaluate: {%sclosed_loop: {after: 5, for: 5}}", "1.5", {10, 10, 3}}, /* that of the data set */
    {", evaluate: {%sclosed_loop: {after: 3, for: 7, horizon: 2}}", "0.5", {6, 14, 4}},
    {", evaluate: {%sclosed_loop: {after: 0, for: 10, horizon: 4}}", "4", {0, 20, 8}},
};
enum { LOOPS = sizeof loops / sizeof *loops };

static void the_output_becomes_the_input(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2 * LOOPS; k++) {
        char text[128];
        const bool by_phases = k % 2;
        const struct loop *l = &loops[k / 2].loop;
        const struct gle_closed *got;
        double smape, nrmse;
        struct trial t;
        snprintf(text, sizeof text, loops[k / 2].text, by_phases ? "every: 1, " : "");
        t = trial_of(config(text, loops[k / 2].horizon, by_phases ? "phases: [{duration: 1}]" : "epochs: 0"), 1);
        got = by_phases ? &t.m.evaluations[0].closed : &t.m.epochs[0].score[GLE_TEST].closed;
        by_hand(&smape, &nrmse, &t, l, true);
        assert_near(got->smape, smape);
        assert_near(got->nrmse, nrmse);
        assert_true(got->smape != got->open_smape);
        assert_int_equal(t.m.traces.n, TESTS);
        assert_int_equal(t.m.traces.n_steps, l->n_steps);
        by_hand(&smape, &nrmse, &t, l, false);
        assert_near(got->open_smape, smape);
        assert_near(got->open_nrmse, nrmse);
        trial_close(&t);
    }
}

/* Training goes on as if it had not been. */
static void it_leaves_no_trace(void **state)
{
    static const char *const trainings[][3] = {{"epochs: 2", "", ", evaluate: {closed_loop: {after: 5, for: 4}}"},
                                               {"phases: [{duration: 13}]", ", evaluate: {every: 3}",
                                                ", evaluate: {every: 3, closed_loop: {after: 5, for: 4}}"}};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct trial t[2];
        for (size_t i = 0; i < 2; i++)
            t[i] = trial_of(config(trainings[k][1 + i], "0.5", trainings[k][0]), 1 + i);
        assert_true(same_params(&t[0].b, &t[1].b));
        assert_int_equal(t[0].m.eval_steps, t[1].m.eval_steps);
        if (k)
            assert_true(t[0].m.evaluations[4].loss == t[1].m.evaluations[4].loss);
        else
            assert_true(t[0].m.epochs[2].score[GLE_TEST].loss == t[1].m.epochs[2].score[GLE_TEST].loss);
        assert_true(k || t[1].m.epochs[1].score[GLE_TEST].closed.smape !=
                             t[1].m.epochs[2].score[GLE_TEST].closed.smape);
        trial_close(&t[0]);
        trial_close(&t[1]);
    }
}

/* A loop whose gain is ten grows beyond all bounds. */
static void a_loop_that_diverges_ends_no_run(void **state)
{
    struct trial t = trial_of("glesim: 1\nname: wild\ndt: 0.5\nseed: 5\n"
                              "dataset: {type: mackey_glass, train: 100, test: 100, length: 50, discard: 50, "
                              "horizon: 0.5}\n"
                              "network: {input: 1, layers: [{name: b, weight: 10, bias: none, "
                              "neurons: {count: 1, tau_m: 0.5, tau_r: 0.5}}]}\n"
                              "learning: {loss: mse, optimizer: {type: sgd, lr: 1e-6}}\n"
                              "training: {epochs: 1, evaluate: {closed_loop: {after: 5, for: 45}}}\n", 1);

    (void)state;
    for (size_t e = 0; e < 2; e++) {
        const struct gle_score *score = &t.m.epochs[e].score[GLE_TEST];
        assert_true(isnan(score->closed.smape) && isnan(score->closed.nrmse));
        assert_true(isfinite(score->closed.open_smape) && isfinite(score->closed.open_nrmse));
        assert_true(isfinite(score->loss));
    }
    trial_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_output_becomes_the_input),
        cmocka_unit_test(it_leaves_no_trace),
        cmocka_unit_test(a_loop_that_diverges_ends_no_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
