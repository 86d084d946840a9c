/* Training by duration: phases, teachers, streams of samples, on networks that take milliseconds. */
#include "../support/witness.h"
#include "../support/by_layer.h"
#include "base/memory.h"
#include "base/npz.h"
#include "base/rng.h"
#include "parts/activation.h"
#include "parts/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { YAML_BYTES = 4096 };

static const char *const noise = "{type: ornstein_uhlenbeck, tau: 1.0, sequences: 3, channels: 2}";
static const char *const two_layers = "{name: a, neurons: {tau_m: [1.0, 0.5, 2.0, 0.8], tau_r: [0.4, 0.5, 0.1, 0.9]}, "
                                      "activation: tanh}, "
                                      "{name: b, neurons: {tau_m: [1.0, 0.6], tau_r: [0.5, 1.0]}}";

/* Two inputs; keys of learning beside the loss, of training, and further sections. */
static const char *config(const char *dataset, const char *layers, const char *learning, const char *training,
                          const char *sections)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\ndataset: %s\n"
                           "network: {input: 2, layers: [%s]}\nlearning: {loss: mse%s}\ntraining: {%s}\n%s\n",
                           dataset, layers, learning, training, sections);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

static const char *const copy_teacher = "teacher: {}\nrecord: {every: 1, variables: [e]}";
static const char *const other_teacher = "teacher: {a: {weight: 0.7, tau_m: 1.5}, b: {bias: [0.3, -0.2]}}\n"
                                         "record: {every: 1, variables: [e]}";

static size_t n_params(const struct trial *t)
{
    size_t n;

    free(all_params(&t->b, &n));
    return n;
}

/* Where a parameter stands among all, and its size. */
static size_t place(const struct trial *t, size_t layer, enum gle_param param, size_t *n)
{
    size_t at = 0;

    for (size_t i = 0; i <= layer; i++)
        for (int p = 0; p < (i < layer ? GLE_PARAMS : (int)param); p++)
            at += layer_param_size(t->b.graph, i, (enum gle_param)p);
    *n = layer_param_size(t->b.graph, layer, param);
    return at;
}

static bool same(const struct trial *t, size_t layer, enum gle_param param, const float *x, const float *y)
{
    size_t n, at = place(t, layer, param, &n);

    return !memcmp(x + at, y + at, n * sizeof *x);
}

/* --- teachers --- */

static void a_teacher_that_is_a_copy_leaves_nothing_to_learn(void **state)
{
    static const char *const rules[] = {", plastic: [weight, bias, tau_m, tau_r], gamma: 0.3", ", rule: bp, gamma: 0.3",
                                        ", rule: bptt, window: 0.5", ", rule: adjoint, window: 0.3"};

    (void)state;
    skip_on_device("its teachers run on the processors, and round otherwise");
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct trial t;
        struct witness w;
        size_t n;
        float *params;
        witness_run(&w, &t, config(noise, two_layers, rules[i], "phases: [{duration: 2}, {duration: 1}]", copy_teacher),
                    1);
        params = all_params(&t.b, &n);
        assert_int_equal(w.n_steps, 30);
        for (size_t s = 0; s < w.n_steps; s++) {
            assert_true(w.steps[s].moment.loss == 0.0);
            for (size_t k = 0; k < n; k++)
                assert_true(w.steps[s].gradients[k] == 0.0f);
            assert_memory_equal(params, w.steps[s].params, n * sizeof *params);
        }
        assert_memory_not_equal(w.steps[20].output, w.steps[10].output, 6 * sizeof(float));
        assert_true(t.m.phases[0].loss == 0.0 && t.m.phases[1].last_loss == 0.0);
        assert_true(isnan(t.m.phases[0].accuracy));
        free(params);
        witness_clear(&w);
        trial_close(&t);
    }
}

/* Another teacher, built and driven here, on the processors as all teachers: one that nothing drives but the input. */
struct other {
    struct gle_graph *graph;
    struct gle_net *net;
};

static struct other other_build(const struct trial *t, struct gle_rng *rng)
{
    const struct gle_graph_options options = {.batch = t->b.graph->max_batch, .passive = true};
    struct gle_error err = {0};
    struct other o;

    gle_rng_seed(rng, t->b.exp->seed);
    if (gle_graph_build(&o.graph, t->b.exp, &options, &err) || gle_net_build(&o.net, o.graph, 1, &err) ||
        gle_net_init(o.net, rng, &err))
        fail_msg("%s", err.text);
    return o;
}

static void other_clear(struct other *o)
{
    gle_net_destroy(o->net);
    gle_graph_destroy(o->graph);
}

/* The target of every step is what the other net put out after the step before. */
static void assert_taught_by(struct other *o, const struct trial *t, const struct witness *w)
{
    const size_t T = t->data->n_steps, K = 2;

    for (size_t s = 0; s < w->n_steps; s++) {
        const struct sight *now = &w->steps[s];
        const size_t B = now->moment.B;
        float target[64] = {0};
        double loss, sum = 0.0;
        struct gle_error err = {0};
        if (!T || s % T == 0) {
            gle_net_set_batch(o->net, B);
            if (!s || T)
                gle_net_begin_batch(o->net, t->b.exp->reset_state);
        }
        layer_get_var(o->net, 1, VAR_R, target);
        assert_memory_equal(now->target, target, B * K * sizeof *target);
        for (size_t k = 0; k < B * K; k++)
            sum += pow((double)now->target[k] - (double)now->output[k], 2.0) / (double)(B * K);
        assert_true(fabs(sum - now->moment.loss) < 1e-6 * (1.0 + sum));
        show_again(o->net, t, now);
        assert_int_equal(gle_net_step(o->net, &(struct gle_step){0}, &loss, &err), 0);
    }
}

static void the_target_is_what_a_net_with_the_values_of_the_teacher_puts_out(void **state)
{
    static const float weight[8] = {0.7f, 0.7f, 0.7f, 0.7f, 0.7f, 0.7f, 0.7f, 0.7f}, bias[2] = {0.3f, -0.2f};
    static const float tau_m[4] = {1.5f, 1.5f, 1.5f, 1.5f};
    struct gle_rng rng;
    struct witness w;
    struct trial t;
    struct other o;

    (void)state;
    witness_run(&w, &t, config(noise, two_layers, ", gamma: 0.2",
                               "phases: [{duration: 3}, {duration: 1, learn: false}]",
                               other_teacher), 1);
    o = other_build(&t, &rng);
    layer_set_param(o.net, 0, GLE_WEIGHT, weight);
    layer_set_param(o.net, 0, GLE_TAU_M, tau_m);
    layer_set_param(o.net, 1, GLE_BIAS, bias);
    assert_taught_by(&o, &t, &w);
    assert_true(w.steps[39].moment.loss > 0.0);
    other_clear(&o);
    witness_clear(&w);
    trial_close(&t);
}

static void a_teacher_draws_its_values_after_the_network(void **state)
{
    struct gle_rng rng;
    struct gle_error err = {0};
    struct witness w;
    struct trial t;
    struct other o;

    (void)state;
    witness_run(&w, &t, config(noise, two_layers, "", "phases: [{duration: 2}]",
                               "teacher: {b: {weight: {init: uniform, low: 3, high: 4}}, a: {bias: linear}}\n"
                               "record: {every: 1}"), 1);
    o = other_build(&t, &rng);
    assert_int_equal(gle_net_apply(o.net, &t.b.exp->teacher, &rng, &err), 0);
    assert_taught_by(&o, &t, &w);
    other_clear(&o);
    witness_clear(&w);
    trial_close(&t);
}

static void epochs_may_have_a_teacher_too(void **state)
{
    static const char *const states[] = {"", ", state: reset"};
    struct gle_rng rng;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char training[96];
        struct witness w;
        struct trial t;
        struct other o;
        struct gle_error err = {0};
        double test = 0.0;
        snprintf(training, sizeof training, "epochs: 2, batch_size: 3, test_batch_size: 4%s", states[i]);
        witness_run(&w, &t, config("{type: xor, present: 0.7, repeat: 2}", two_layers, ", gamma: 0.1", training,
                                   other_teacher), 1);
        o = other_build(&t, &rng);
        assert_int_equal(gle_net_apply(o.net, &t.b.exp->teacher, &rng, &err), 0);
        assert_int_equal(w.n_steps, 7 * (3 + 2 * 3));
        assert_taught_by(&o, &t, &w);
        for (size_t s = 0; s < 7; s++)
            test += w.steps[s].moment.loss / 7.0;
        assert_true(fabs(t.m.epochs[0].score[GLE_TEST].loss - test) < 1e-12);
        assert_true(isnan(t.m.epochs[2].score[GLE_TEST].accuracy) && isnan(t.m.epochs[2].score[GLE_TRAIN].accuracy));
        assert_null(t.m.confusion);
        assert_int_equal(t.m.n_classes, 0);
        other_clear(&o);
        witness_clear(&w);
        trial_close(&t);
    }
}

/* --- phases --- */

static void a_phase_without_learning_moves_nothing_though_errors_flow(void **state)
{
    static const char *const rules[] = {", beta: 0.5", ", beta: 0.5, rule: bptt, window: 0.3", ", beta: 0"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct witness w;
        struct trial t;
        size_t n;
        float *before, e[12], most = 0.0f;
        witness_run(&w, &t, config(noise, two_layers, rules[i], "phases: [{duration: 2, learn: false}]", other_teacher),
                    1);
        before = w.steps[0].params;
        n = n_params(&t);
        for (size_t s = 0; s < w.n_steps; s++)
            assert_memory_equal(before, w.steps[s].params, n * sizeof *before);
        layer_get_var(t.b.net, 0, VAR_E, e);
        for (size_t k = 0; k < 12; k++)
            most = fmaxf(most, fabsf(e[k]));
        assert_int_equal(most > 0.0f, i < 2);
        assert_int_equal(t.m.train_steps, 0);
        assert_int_equal(t.m.eval_steps, 20);
        witness_clear(&w);
        trial_close(&t);
    }
}

static const char *const held = "phases: [{duration: 2}, {duration: 1.5, set: {a.weight: 0.25, b.bias: [0.1, 0.2], "
                                "a.tau_m: 1.5, a.tau_r: 0.7}}, {duration: 1, learn: false}, {duration: 1}]";
static const char *const all_learn = ", plastic: [weight, bias, tau_m, tau_r], optimizer: {type: adam, lr: 0.01}";

/* The values that phase 2 holds, whatever they were before. */
static void assert_set(const struct trial *t, const float *params)
{
    size_t n, at = place(t, 0, GLE_WEIGHT, &n);

    for (size_t k = 0; k < n; k++)
        assert_true(params[at + k] == 0.25f);
    at = place(t, 1, GLE_BIAS, &n);
    assert_true(params[at] == 0.1f && params[at + 1] == 0.2f);
    at = place(t, 0, GLE_TAU_M, &n);
    for (size_t k = 0; k < n; k++)
        assert_true(params[at + k] == 1.5f);
    at = place(t, 0, GLE_TAU_R, &n);
    for (size_t k = 0; k < n; k++)
        assert_true(params[at + k] == 0.7f);
}

static void assert_back(const struct trial *t, const float *learned, const float *params)
{
    assert_true(same(t, 0, GLE_WEIGHT, learned, params));
    assert_true(same(t, 1, GLE_BIAS, learned, params));
    assert_true(same(t, 0, GLE_TAU_M, learned, params));
    assert_true(same(t, 0, GLE_TAU_R, learned, params));
}

static void what_a_phase_sets_is_held_and_the_learned_values_come_back(void **state)
{
    static const char *const rules[] = {"", ", rule: bptt, window: 0.4", ", rule: adjoint, window: 0.4"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char learning[160];
        struct witness w;
        struct trial t;
        snprintf(learning, sizeof learning, "%s%s", all_learn, rules[i]);
        witness_run(&w, &t, config(noise, two_layers, learning, held, other_teacher), 1);
        assert_int_equal(w.n_stages, 4);
        assert_false(same(&t, 0, GLE_WEIGHT, w.steps[0].params, w.stages[0]));
        for (size_t s = 20; s < 35; s++) {
            size_t n, at = place(&t, 0, GLE_WEIGHT, &n);
            assert_set(&t, w.steps[s].params);
            for (size_t k = 0; k < n; k++)
                assert_true(w.steps[s].gradients[at + k] == 0.0f);
        }
        assert_back(&t, w.stages[0], w.stages[1]);
        assert_false(same(&t, 1, GLE_WEIGHT, w.stages[0], w.stages[1]));
        for (size_t s = 35; s < 45; s++)
            assert_memory_equal(w.stages[1], w.steps[s].params, n_params(&t) * sizeof(float));
        assert_memory_equal(w.stages[1], w.stages[2], n_params(&t) * sizeof(float));
        assert_false(same(&t, 0, GLE_WEIGHT, w.stages[2], w.stages[3]));
        assert_false(same(&t, 1, GLE_BIAS, w.stages[2], w.stages[3]));
        assert_false(same(&t, 0, GLE_TAU_M, w.stages[2], w.stages[3]));
        assert_false(same(&t, 0, GLE_TAU_R, w.stages[2], w.stages[3]));
        witness_clear(&w);
        trial_close(&t);
    }
}

static void they_come_back_too_when_the_run_is_stopped(void **state)
{
    static const char *const rules[] = {"", ", rule: bptt, window: 0.4"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char learning[160];
        struct gle_observer observer;
        struct witness w;
        struct trial t;
        size_t n;
        float *params;
        snprintf(learning, sizeof learning, "%s%s", all_learn, rules[i]);
        t = trial_open(config(noise, two_layers, learning, held, other_teacher), 1);
        w = witness_new(&t);
        w.stop_after = 26;
        observer = witness_observer(&w);
        trial_run(&t, &observer, &w.stop);
        assert_int_equal(t.rc, 0);
        assert_int_equal(t.m.status, GLE_INTERRUPTED);
        assert_non_null(strstr(t.m.message, "phase 2"));
        assert_int_equal(w.n_steps, 27);
        assert_int_equal(t.m.n_phases, 2);
        assert_int_equal(t.m.phases[1].steps, 7);
        assert_int_equal(t.m.phases[1].last_steps, 7);
        params = all_params(&t.b, &n);
        assert_back(&t, w.stages[0], params);
        free(params);
        witness_clear(&w);
        trial_close(&t);
    }
}

/* xor by duration, one stream: a sample lasts 7 steps, and the third is not finite. */
static void they_come_back_too_when_it_diverges(void **state)
{
    static const char *const rules[] = {"", ", rule: bptt, window: 0.4"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char learning[160];
        struct gle_observer observer;
        struct witness w;
        struct trial t;
        size_t n;
        float *params;
        snprintf(learning, sizeof learning, "%s%s", all_learn, rules[i]);
        t = trial_open(config("{type: xor, present: 0.7, repeat: 1}", two_layers, learning,
                              "batch_size: 1, phases: [{duration: 1}, {duration: 2, set: {a.weight: 0.25, "
                              "b.bias: [0.1, 0.2], a.tau_m: 1.5}}, {duration: 3}]", "record: {every: 1}"), 1);
        t.data->split[GLE_TRAIN].x[2 * 2] = INFINITY;
        w = witness_new(&t);
        observer = witness_observer(&w);
        trial_run(&t, &observer, &w.stop);
        assert_int_equal(t.rc, -1);
        assert_int_equal(t.err.code, GLE_EDIVERGED);
        assert_int_equal(t.m.status, GLE_DIVERGED);
        assert_string_equal(t.m.message, t.err.text);
        assert_non_null(strstr(t.m.message, "layer 'a'"));
        assert_non_null(strstr(t.m.message, "phase 2"));
        assert_int_equal(t.m.n_phases, 2);
        assert_int_equal(t.m.phases[1].steps, 4);
        assert_true(isfinite(t.m.phases[1].loss) && isfinite(t.m.phases[1].last_loss));
        params = all_params(&t.b, &n);
        for (size_t k = 0; k < n; k++)
            assert_true(isfinite(params[k]));
        assert_memory_equal(params, w.stages[0], n * sizeof *params);
        free(params);
        witness_clear(&w);
        trial_close(&t);
    }
}

/* Follows a parameter through the run by its gradients alone; adam: else SGD with momentum. */
static void follow_alone(const struct trial *t, const struct witness *w, enum gle_param param, bool adam)
{
    size_t n, at = place(t, 1, param, &n);

    for (size_t k = at; k < at + n; k++) {
        const double first = (double)w->steps[0].gradients[k];
        double m = adam ? 0.1 * first : first, v = 0.001 * first * first, p = (double)w->steps[0].params[k];
        size_t updates = 1;
        for (size_t s = 1; s < w->n_steps; s++) {
            const double g = (double)w->steps[s].gradients[k];
            if (s >= 12 && s < 42)
                continue;
            updates++;
            m = adam ? 0.9 * m + 0.1 * g : 0.9 * m + g;
            v = 0.999 * v + 0.001 * g * g;
            p -= adam ? 0.01 * m / (1.0 - pow(0.9, (double)updates)) /
                            (sqrt(v / (1.0 - pow(0.999, (double)updates))) + 1e-8)
                      : 0.05 * m;
            if (!(fabs(p - (double)w->steps[s].params[k]) < 2e-5))
                fail_msg("%s, %s, step %zu: %.9g, not %.9g", adam ? "adam" : "sgd", gle_param_name(param), s,
                         (double)w->steps[s].params[k], p);
        }
    }
}

static void a_held_phase_leaves_the_memory_of_the_optimizer_alone(void **state)
{
    static const char *const optimizers[] = {"{type: sgd, lr: 0.05, momentum: 0.9}", "{type: adam, lr: 0.01}"};
    static const enum gle_param held_ones[] = {GLE_WEIGHT, GLE_TAU_M, GLE_TAU_R};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char learning[128];
        struct witness w;
        struct trial t;
        snprintf(learning, sizeof learning, ", plastic: [weight, bias, tau_m, tau_r], optimizer: %s", optimizers[i]);
        witness_run(&w, &t, config(noise, two_layers, learning,
                                   "phases: [{duration: 1.2}, {duration: 3, set: {b.weight: 0.5, b.tau_m: 0.9, "
                                   "b.tau_r: 0.6}}, {duration: 2}]",
                                   other_teacher), 1);
        for (size_t k = 0; k < sizeof held_ones / sizeof *held_ones; k++)
            follow_alone(&t, &w, held_ones[k], i == 1);
        witness_clear(&w);
        trial_close(&t);
    }
}

static void durations_are_whole_steps_and_losses_are_means_of_each_phase(void **state)
{
    static const size_t want[] = {12, 3, 1, 17};
    struct witness w;
    struct trial t;
    size_t at = 0;

    (void)state;
    witness_run(&w, &t, config(noise, two_layers, "", "phases: [{duration: 1.2}, {duration: 0.3, learn: false}, "
                                                      "{duration: 0.1}, {duration: 1.7}]", other_teacher), 1);
    for (size_t p = 0; p < 4; p++) {
        double sum = 0.0;
        assert_int_equal(t.m.phases[p].steps, want[p]);
        for (size_t s = at; s < at + want[p]; s++) {
            assert_int_equal(w.steps[s].moment.step, s);
            assert_int_equal(w.steps[s].moment.stage, p + 1);
            assert_int_equal(w.steps[s].moment.B, 3);
            sum += w.steps[s].moment.loss;
        }
        assert_true(fabs(t.m.phases[p].loss - sum / (double)want[p]) < 1e-12);
        assert_true(fabs(t.m.phases[p].last_loss - sum / (double)want[p]) < 1e-12);
        assert_int_equal(t.m.phases[p].last_steps, want[p]);
        at += want[p];
    }
    assert_int_equal(at, w.n_steps);
    assert_int_equal(t.m.train_steps, 30);
    assert_int_equal(t.m.eval_steps, 3);
    witness_clear(&w);
    trial_close(&t);
}

/* Sums of losses, all and since step `from`. */
struct sums {
    uint64_t from;
    double all, last;
};

static int add_loss(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    struct sums *s = ctx;

    (void)err;
    s->all += m->loss;
    if (m->step >= s->from)
        s->last += m->loss;
    return 0;
}

static void the_last_loss_is_that_of_the_last_ten_thousand_steps(void **state)
{
    struct sums sums = {.from = 10123 + 7 - GLE_LAST_STEPS};
    const struct gle_observer observer = {.ctx = &sums, .moment = add_loss};
    struct trial t = trial_open(config(noise, "{name: b, neurons: {tau_m: [1.0, 0.6], tau_r: [0.5, 1.0]}}", "",
                                       "phases: [{duration: 0.7}, {duration: 1012.3}]",
                                       "teacher: {b: {weight: 0.5}}\nrecord: {every: 1}"), 1);
    double first;

    (void)state;
    trial_run(&t, &observer, NULL);
    assert_int_equal(t.rc, 0);
    first = t.m.phases[0].loss * 7.0;
    assert_int_equal(t.m.phases[1].steps, 10123);
    assert_int_equal(t.m.phases[1].last_steps, GLE_LAST_STEPS);
    assert_true(fabs(t.m.phases[1].loss - (sums.all - first) / 10123.0) < 1e-10);
    assert_true(fabs(t.m.phases[1].last_loss - sums.last / GLE_LAST_STEPS) < 1e-10);
    trial_close(&t);
}

static void sequences_are_recorded_that_run_and_no_others(void **state)
{
    static const struct {
        const char *dataset, *sequences;
        int want;
    } cases[] = {
        {"{type: ornstein_uhlenbeck, tau: 1.0, sequences: 3, channels: 2}", "[0, 2]", 0},
        {"{type: ornstein_uhlenbeck, tau: 1.0, sequences: 3, channels: 2}", "[0, 3]", -1},
        {"{type: xor, present: 0.5, repeat: 2}", "[4]", 0},
        {"{type: xor, present: 0.5, repeat: 2}", "[5]", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct gle_data_context context = {.dt = 0.1, .n_steps = 10, .has_teacher = true};
        char sections[128];
        struct gle_error err = {0};
        struct gle_data *data;
        struct built b;
        snprintf(sections, sizeof sections, "teacher: {}\nrecord: {every: 1, sequences: %s}", cases[i].sequences);
        b = built_load(config(cases[i].dataset, two_layers, "", "batch_size: 5, phases: [{duration: 1}]", sections));
        if (gle_data_open(&data, (const struct gle_dataset *)b.exp->dataset.row, b.exp->dataset.params, 0.0, &context,
                          &err))
            fail_msg("%s", err.text);
        assert_int_equal(gle_train_check(b.exp, data, &err), cases[i].want);
        assert_int_equal(err.code, cases[i].want ? GLE_ERANGE : 0);
        gle_data_close(data);
        built_clear(&b);
    }
}

static void cutting_a_run_into_phases_changes_no_bit(void **state)
{
    static const char *const ways[] = {"phases: [{duration: 4}]", "phases: [{duration: 1.3}, {duration: 2.7}]",
                                       "phases: [{duration: 0.1}, {duration: 0.1}, {duration: 3}, {duration: 0.8}]"};
    static const char *const sets[] = {"{type: ornstein_uhlenbeck, tau: 1.0, sequences: 3, channels: 2}",
                                       "{type: xor, present: 0.7, repeat: 2}"};

    (void)state;
    for (size_t d = 0; d < 2; d++) {
        struct trial t[3];
        for (size_t i = 0; i < 3; i++) {
            char training[160];
            snprintf(training, sizeof training, "batch_size: 3, %s", ways[i]);
            t[i] = trial_of(config(sets[d], two_layers, all_learn, training, other_teacher), 1);
            assert_true(same_params(&t[0].b, &t[i].b));
        }
        for (size_t i = 0; i < 3; i++)
            trial_close(&t[i]);
    }
}

/* --- progress --- */

/* The steps of a phase since progress was told. */
struct lately {
    uint64_t stage;
    double loss, done;
    size_t n, told[3], fewest, most;
};

static int on_step(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    struct lately *l = ctx;

    (void)err;
    if (m->stage != l->stage)
        l->loss = 0.0, l->n = 0, l->stage = m->stage;
    l->loss += m->loss;
    l->n++;
    return 0;
}

static void on_progress(void *ctx, const struct gle_progress *p)
{
    struct lately *l = ctx;

    assert_true(p->by_phases && p->stages == 2 && p->stage == l->stage);
    assert_true(p->done > l->done && p->done <= 1.0);
    assert_true(isnan(p->accuracy));
    if (!(fabs(p->loss - l->loss / (double)l->n) < 1e-12))
        fail_msg("%g is told as the mean loss of %zu steps, which is %g", p->loss, l->n, l->loss / (double)l->n);
    l->told[p->stage]++;
    l->fewest = l->n < l->fewest ? l->n : l->fewest;
    l->most = l->n > l->most ? l->n : l->most;
    l->done = p->done;
    l->loss = 0.0;
    l->n = 0;
}

/* Some are told after fewer steps than the others, because their phase had just begun. A device tells rarely. */
static void progress_tells_the_mean_loss_of_the_steps_since_it_last_did(void **state)
{
    struct lately l = {.fewest = 1000};
    const struct gle_observer observer = {.ctx = &l, .progress = on_progress, .moment = on_step};
    struct trial t = trial_open(config(noise, two_layers, all_learn, "phases: [{duration: 90.3}, {duration: 80.1}]",
                                       "teacher: {a: {weight: 0.7}}\nrecord: {every: 1}"), 1);

    (void)state;
    trial_run(&t, &observer, NULL);
    assert_int_equal(t.rc, 0);
    assert_true(l.told[1] > 2 && l.told[2] > 2);
    assert_true(l.fewest < l.most);
    trial_close(&t);
}

/* --- streams of samples --- */

/* An archive of five samples of three steps, two channels: x is 100 sample + 10 step + channel, the target that and a
 * half. */
static void write_samples(const char *path, bool moves)
{
    enum { N = 5, T = 3, C = 2 };
    const size_t x_shape[] = {N, T, C}, y_shape[] = {N, C};
    struct gle_npz_writer *npz = gle_npz_create();
    struct gle_error err = {0};
    float x[N * T * C], y[N * T * C], flat[N * C];

    for (size_t i = 0; i < N * T * C; i++) {
        x[i] = (float)(100 * (i / (T * C)) + 10 * (i / C % T) + i % C);
        y[i] = x[i] + 0.5f;
    }
    for (size_t i = 0; i < N * C; i++)
        flat[i] = (float)(100 * (i / C) + i % C) + 0.5f;
    if (gle_npz_add(npz, "x", GLE_NPY_F32, x, 3, x_shape, &err) ||
        gle_npz_add(npz, "targets", GLE_NPY_F32, moves ? y : flat, moves ? 3 : 2, moves ? x_shape : y_shape, &err) ||
        gle_npz_write(npz, path, &err))
        fail_msg("%s", err.text);
    gle_npz_destroy(npz);
}

static void stream_b_plays_b_and_every_Bth_from_there_and_begins_anew(void **state)
{
    static const size_t batches[] = {1, 2, 3, 5, 100};
    char path[] = "/tmp/glesim_phases_XXXXXX", dataset[64];

    (void)state;
    temporary_file(path, "");
    snprintf(dataset, sizeof dataset, "{type: npz, file: %s}", path);
    for (size_t moves = 0; moves < 2; moves++) {
        write_samples(path, moves);
        for (size_t i = 0; i < 5; i++) {
            const size_t B = batches[i] < 5 ? batches[i] : 5;
            char training[96];
            struct witness w;
            struct trial t;
            snprintf(training, sizeof training, "batch_size: %zu, phases: [{duration: 2}, {duration: 3}]", batches[i]);
            witness_run(&w, &t, config(dataset, "{name: b, neurons: {tau_m: [1, 1], tau_r: [1, 1]}}",
                                       ", optimizer: {type: sgd, lr: 0}", training, "record: {every: 1}"), 1);
            assert_int_equal(w.n_steps, 50);
            for (size_t s = 0; s < 50; s++)
                for (size_t b = 0; b < B; b++)
                    for (size_t c = 0; c < 2; c++) {
                        const size_t sample = (s / 3 * B + b) % 5, at = 100 * sample + 10 * (s % 3) + c;
                        assert_int_equal(w.steps[s].moment.B, B);
                        assert_true(w.steps[s].input[b * 2 + c] == (float)at);
                        assert_true(w.steps[s].target[b * 2 + c] == (float)(moves ? at : 100 * sample + c) + 0.5f);
                    }
            witness_clear(&w);
            trial_close(&t);
        }
    }
    unlink(path);
}

static void samples_start_from_zero_where_that_is_asked_for(void **state)
{
    static const char *const tops[] = {"", ", reset: batch", ""}, *const states[] = {"", "", ", state: reset"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char layers[256], training[96];
        struct witness w;
        struct trial t;
        snprintf(layers, sizeof layers, "{name: a, neurons: {count: 3, tau_m: 1, tau_r: 0.5}, activation: tanh}, "
                                        "{name: b, neurons: {count: 2, tau_m: 1, tau_r: 0.5}%s}", tops[i]);
        snprintf(training, sizeof training, "batch_size: 3, phases: [{duration: 1.5}, {duration: 2}]%s", states[i]);
        witness_run(&w, &t, config("{type: xor, present: 0.5, low: 0.5}", layers, "", training, "record: {every: 1}"),
                    1);
        for (size_t s = 0; s < w.n_steps; s++)
            for (size_t k = 0; k < 6; k++)
                assert_int_equal(w.steps[s].output[k] == 0.0f, s == 0 || (i > 0 && s % 5 == 0));
        witness_clear(&w);
        trial_close(&t);
    }
}

/* Right answers among the samples that end in each phase, from the outputs that a witness saw. */
static void accuracy_is_that_of_the_samples_which_end_in_a_phase(void **state)
{
    static const size_t begin[] = {0, 21, 25, 60};
    struct witness w;
    struct trial t;

    (void)state;
    witness_run(&w, &t, config("{type: xor, present: 0.7, repeat: 3, noise: 0.2}", two_layers, all_learn,
                               "batch_size: 5, phases: [{duration: 2.1}, {duration: 0.4}, {duration: 3.5}]",
                               "record: {every: 1}"), 1);
    for (size_t p = 0; p < 3; p++) {
        size_t right = 0, played = 0;
        for (size_t s = begin[p]; s < begin[p + 1]; s++) {
            if (s % 7 != 6)
                continue;
            for (size_t b = 0; b < 5; b++) {
                float sum[2] = {0.0f, 0.0f};
                for (size_t q = s - 6; q <= s; q++)
                    for (size_t k = 0; k < 2; k++)
                        sum[k] += w.steps[q].output[b * 2 + k];
                right += (sum[1] > sum[0]) == (w.steps[s].target[b * 2 + 1] > 0.0f);
                played++;
            }
        }
        assert_int_equal(played > 0, p != 1);
        if (played)
            assert_true(t.m.phases[p].accuracy == (double)right / (double)played);
        else
            assert_true(isnan(t.m.phases[p].accuracy));
    }
    assert_null(t.m.confusion);
    witness_clear(&w);
    trial_close(&t);
}

/* --- early ends --- */

static void the_stop_flag_ends_a_run_at_the_next_step_of_any_phase(void **state)
{
    (void)state;
    for (size_t at = 0; at < 30; at += 3) {
        struct gle_observer observer;
        struct witness w;
        struct trial t = trial_open(config(noise, two_layers, ", rule: bptt, window: 0.4",
                                           "phases: [{duration: 1}, {duration: 1, learn: false}, {duration: 1}]",
                                           other_teacher), 1);
        w = witness_new(&t);
        w.stop_after = at;
        observer = witness_observer(&w);
        trial_run(&t, &observer, &w.stop);
        assert_int_equal(t.rc, 0);
        assert_int_equal(w.n_steps, at + 1);
        assert_int_equal(t.m.n_phases, at / 10 + 1);
        assert_int_equal(t.m.train_steps + t.m.eval_steps, at + 1);
        assert_int_equal(t.m.status, GLE_INTERRUPTED);
        assert_int_equal(w.n_stages, (at + 1) / 10); /* one that was just through is told of */
        witness_clear(&w);
        trial_close(&t);
    }
}

static int refuse(void *ctx, const struct gle_metrics *m, struct gle_error *err)
{
    (void)ctx;
    return m->n_phases == 2 ? gle_fail(err, GLE_EWRITE, "the disk is full") : 0;
}

static void an_observer_that_fails_ends_the_phases_with_its_error(void **state)
{
    const struct gle_observer observer = {.stage = refuse};
    struct trial t = trial_open(config(noise, two_layers, "", held, other_teacher), 1);

    (void)state;
    trial_run(&t, &observer, NULL);
    assert_int_equal(t.rc, -1);
    assert_int_equal(t.err.code, GLE_EWRITE);
    assert_int_equal(t.m.n_phases, 2);
    trial_close(&t);
}

static void a_learning_rate_beyond_reason_leaves_finite_parameters(void **state)
{
    static const char *const rules[] = {"", ", rule: bptt, window: 0.4"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char learning[160];
        struct trial t;
        size_t n;
        float *params;
        snprintf(learning, sizeof learning, ", gamma: 1, optimizer: {type: sgd, lr: 1e6, momentum: 0.99}%s", rules[i]);
        t = trial_open(config(noise, two_layers, learning, "phases: [{duration: 1, learn: false}, {duration: 1000}]",
                              other_teacher), 1);
        trial_run(&t, NULL, NULL);
        assert_int_equal(t.err.code, GLE_EDIVERGED);
        assert_non_null(strstr(t.m.message, "phase 2"));
        params = all_params(&t.b, &n);
        for (size_t k = 0; k < n; k++)
            assert_true(isfinite(params[k]));
        free(params);
        trial_close(&t);
    }
}

static int keep_params(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    float *params = ctx;

    (void)err;
    if (m->step == 70 + GLE_LAST_STEPS - 1) {
        layer_get_param(m->net, 0, GLE_WEIGHT, params);
        layer_get_param(m->net, 0, GLE_BIAS, params + 4);
    }
    return 0;
}

/* One stream of samples of seven steps, the 1500th of them not finite, in a phase that begins with the tenth. */
static void divergence_takes_back_no_more_than_ten_thousand_steps(void **state)
{
    float then[6], now[6];
    const struct gle_observer observer = {.ctx = then, .moment = keep_params};
    struct trial t = trial_open(config("{type: xor, present: 0.7, repeat: 400}",
                                       "{name: b, neurons: {tau_m: [1.0, 0.6], tau_r: [0.5, 1.0]}}", "",
                                       "batch_size: 1, phases: [{duration: 7}, {duration: 1100}]",
                                       "record: {every: 1}"), 1);

    (void)state;
    t.data->split[GLE_TRAIN].x[1500 * 2] = INFINITY;
    trial_run(&t, &observer, NULL);
    assert_int_equal(t.err.code, GLE_EDIVERGED);
    assert_int_equal(t.m.phases[1].steps, 1500 * 7 - 70);
    layer_get_param(t.b.net, 0, GLE_WEIGHT, now);
    layer_get_param(t.b.net, 0, GLE_BIAS, now + 4);
    assert_memory_equal(then, now, sizeof now);
    trial_close(&t);
}

static void divergence_of_the_teacher_is_told_as_such(void **state)
{
    struct trial t = trial_open(config("{type: xor, present: 0.7, low: 5, high: 6}",
                                       "{name: a, neurons: {count: 2, tau_m: 1, tau_r: 1}}, "
                                       "{name: b, neurons: {count: 2, tau_m: 1, tau_r: 1}}", "",
                                       "phases: [{duration: 1}, {duration: 1}]",
                                       "teacher: {a: {weight: 1e30}, b: {weight: 1e30}}"), 1);

    (void)state;
    trial_run(&t, NULL, NULL);
    assert_int_equal(t.err.code, GLE_EDIVERGED);
    assert_int_equal(t.m.status, GLE_DIVERGED);
    assert_non_null(strstr(t.m.message, "teacher"));
    assert_non_null(strstr(t.m.message, "phase 1"));
    trial_close(&t);
}

/* --- memory --- */

static void any_allocation_may_fail_in_training_by_duration(void **state)
{
    char path[] = "/tmp/glesim_phases_XXXXXX";
    size_t k = 0;

    (void)state;
    temporary_file(path, config(noise, two_layers, ", rule: bptt, window: 0.4",
                                "phases: [{duration: 1}, {duration: 1.6, set: {a.weight: 0.25, b.bias: linear}}]",
                                "teacher: {a: {weight: identity}}\nrecord: {every: 1, variables: [lambda]}\n"
                                "diagnose: {window: 0.4, every: 8}"));
    while (!trial_with(path, k, NULL) && k < 5000)
        k++;
    unlink(path);
    assert_in_range(k, 60, 4999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_teacher_that_is_a_copy_leaves_nothing_to_learn),
        cmocka_unit_test(the_target_is_what_a_net_with_the_values_of_the_teacher_puts_out),
        cmocka_unit_test(a_teacher_draws_its_values_after_the_network),
        cmocka_unit_test(epochs_may_have_a_teacher_too),
        cmocka_unit_test(a_phase_without_learning_moves_nothing_though_errors_flow),
        cmocka_unit_test(what_a_phase_sets_is_held_and_the_learned_values_come_back),
        cmocka_unit_test(they_come_back_too_when_the_run_is_stopped),
        cmocka_unit_test(they_come_back_too_when_it_diverges),
        cmocka_unit_test(a_held_phase_leaves_the_memory_of_the_optimizer_alone),
        cmocka_unit_test(durations_are_whole_steps_and_losses_are_means_of_each_phase),
        cmocka_unit_test(the_last_loss_is_that_of_the_last_ten_thousand_steps),
        cmocka_unit_test(sequences_are_recorded_that_run_and_no_others),
        cmocka_unit_test(cutting_a_run_into_phases_changes_no_bit),
        cmocka_unit_test(progress_tells_the_mean_loss_of_the_steps_since_it_last_did),
        cmocka_unit_test(stream_b_plays_b_and_every_Bth_from_there_and_begins_anew),
        cmocka_unit_test(samples_start_from_zero_where_that_is_asked_for),
        cmocka_unit_test(accuracy_is_that_of_the_samples_which_end_in_a_phase),
        cmocka_unit_test(the_stop_flag_ends_a_run_at_the_next_step_of_any_phase),
        cmocka_unit_test(an_observer_that_fails_ends_the_phases_with_its_error),
        cmocka_unit_test(a_learning_rate_beyond_reason_leaves_finite_parameters),
        cmocka_unit_test(divergence_takes_back_no_more_than_ten_thousand_steps),
        cmocka_unit_test(divergence_of_the_teacher_is_told_as_such),
        cmocka_unit_test(any_allocation_may_fail_in_training_by_duration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
