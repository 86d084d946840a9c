/* What the optimizer follows: the mean of gradients of several steps, and no more than a limit leaves of it. That its
 * numbers are right is shown by the random networks of the oracles; here, when it steps, what becomes of gradients that
 * wait, and what is counted. */
#include "../support/by_layer.h"
#include "../support/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { YAML_BYTES = 2048, NUMBERS = 12, EVERY = 4 };
static const double LR = 0.25;

/* Layer a, of three neurons and two inputs, and layer c; plain descent. */
static const char *config(const char *learning, const char *training)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\n"
                           "dataset: {type: xor, present: 0.7, repeat: 3, noise: 0.3}\n"
                           "network: {input: 2, layers: [{name: a, neurons: {count: 3, tau_m: 1.0, tau_r: 0.6}, "
                           "activation: tanh}, {name: c, neurons: {count: 2, tau_m: 1.0, tau_r: 0.5}}]}\n"
                           "learning: {loss: cross_entropy, optimizer: {type: sgd, lr: %g}%s}\n"
                           "training: {%s}\nrecord: {every: 1, gradients: [weight]}\n", LR, learning, training);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

/* The weights of layer a, which follow the gradients of the steps so far. */
struct watch {
    float weight[NUMBERS], sum[NUMBERS];
    size_t n;        /* numbers in them */
    size_t gathered; /* steps whose gradients are in the sum */
    size_t moves;    /* of the optimizer */
    uint64_t stage;
    bool phases;
};

static int on_moment(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    struct watch *w = ctx;
    float now[NUMBERS], gradient[NUMBERS], followed[NUMBERS];
    const float share = 1.0f / (float)EVERY;

    (void)err;
    layer_get_param(m->net, 0, GLE_WEIGHT, now);
    if (w->phases && m->stage != w->stage) /* what a phase had left is dropped */
        w->gathered = 0;
    w->stage = m->stage;
    if (m->split != GLE_TRAIN || (w->phases && m->stage == 2)) {
        assert_false(m->learned);
        assert_memory_equal(now, w->weight, w->n * sizeof *now);
        return 0;
    }
    layer_get_gradient(m->net, 0, GLE_WEIGHT, gradient);
    for (size_t i = 0; i < w->n; i++)
        w->sum[i] = w->gathered ? w->sum[i] + gradient[i] : gradient[i];
    w->gathered++;
    assert_int_equal(m->learned, w->gathered == EVERY);
    if (!m->learned) {
        assert_memory_equal(now, w->weight, w->n * sizeof *now);
        return 0;
    }
    layer_get_followed(m->net, 0, GLE_WEIGHT, followed);
    for (size_t i = 0; i < w->n; i++) {
        const float mean = w->sum[i] * share;
        assert_true(followed[i] >= mean && followed[i] <= mean);
        assert_true(fabs((double)now[i] - ((double)w->weight[i] - LR * (double)mean)) < 1e-6);
    }
    memcpy(w->weight, now, sizeof now);
    w->gathered = 0;
    w->moves++;
    return 0;
}

static struct watch watch_run(const char *yaml, bool phases)
{
    struct watch w = {.phases = phases};
    const struct gle_observer observer = {.ctx = &w, .moment = on_moment};
    struct trial t = trial_open(yaml, 1);

    w.n = layer_param_size(t.b.graph, 0, GLE_WEIGHT);
    assert_in_range(w.n, 1, NUMBERS);
    layer_get_param(t.b.net, 0, GLE_WEIGHT, w.weight);
    trial_run(&t, &observer, NULL);
    if (t.rc)
        fail_msg("%s", t.err.text);
    trial_close(&t);
    return w;
}

/* 12 samples in batches of 5, 5 and 2 are 21 steps an epoch: batches and epochs do not end what is gathered. */
static void gradients_are_gathered_over_batches_and_epochs(void **state)
{
    struct watch w;

    (void)state;
    w = watch_run(config(", update: {every: 4}", "epochs: 3, batch_size: 5"), false);
    assert_int_equal(w.moves, 3 * 21 / EVERY);
    assert_int_equal(w.gathered, 3 * 21 % EVERY);
}

/* A phase of 10 steps, one that does not learn, and one of 9. */
static void what_a_phase_leaves_is_dropped(void **state)
{
    struct watch w;

    (void)state;
    w = watch_run(config(", update: {every: 4}", "batch_size: 4, phases: [{duration: 1.0}, {duration: 0.3, learn: "
                                                 "false}, {duration: 0.9}]"), true);
    assert_int_equal(w.moves, 2 + 2);
}

/* Whatever stands there, each step is followed as without the key. */
static void an_update_after_every_step_is_as_without_the_key(void **state)
{
    struct trial with, without;

    (void)state;
    with = trial_of(config(", update: {every: 1}", "epochs: 2, batch_size: 5"), 1);
    without = trial_of(config("", "epochs: 2, batch_size: 5"), 1);
    assert_true(same_params(&with.b, &without.b));
    trial_close(&with);
    with = trial_of(config(", update: {every: 2}", "epochs: 2, batch_size: 5"), 1);
    assert_false(same_params(&with.b, &without.b));
    trial_close(&with);
    trial_close(&without);
}

/* A parameter that is held meanwhile, and let go again, begins anew. */
static void a_parameter_that_is_held_forgets_what_was_gathered(void **state)
{
    const struct gle_step step = {.learn = true, .lr = LR};
    struct built b = build_text(config(", update: {every: 4}", "epochs: 1, batch_size: 5"), 1);
    struct gle_error err = {0};
    float sum[NUMBERS] = {0}, gradient[NUMBERS], followed[NUMBERS];
    double loss;
    size_t ld;

    (void)state;
    gle_net_set_batch(b.net, 1);
    for (size_t i = 0; i < EVERY; i++) {
        gle_net_input(b.net, &ld)[0] = 1.0f;
        gle_net_input(b.net, &ld)[1] = 0.5f;
        gle_net_target(b.net, &ld)[0] = 1.0f;
        if (i == 2) {
            layer_hold(b.net, 0, GLE_WEIGHT, true);
            layer_hold(b.net, 0, GLE_WEIGHT, false);
        }
        assert_int_equal(gle_net_step(b.net, &step, &loss, &err), 0);
        layer_get_gradient(b.net, 0, GLE_WEIGHT, gradient);
        for (size_t k = 0; k < 6; k++)
            sum[k] = i < 2 ? 0.0f : sum[k] + gradient[k];
    }
    layer_get_followed(b.net, 0, GLE_WEIGHT, followed);
    for (size_t k = 0; k < 6; k++)
        assert_true(fabs((double)followed[k] - (double)sum[k] / EVERY) <= 1e-7);
    assert_true(fabsf(sum[0]) > 1e-4f);
    built_clear(&b);
}

/* Steps whose gradient, over all parameters, is longer than the limit are counted, and nothing is left beyond it. */
struct limit {
    double most;
    uint64_t steps, clipped, of_stage[8], steps_of_stage[8];
};

static int hold_to_limit(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    struct limit *l = ctx;
    const struct gle_graph *g = gle_net_graph(m->net);
    float gradient[NUMBERS], followed[NUMBERS];
    double of_gradient = 0.0, of_followed = 0.0;
    bool longer;

    (void)err;
    if (!m->learned)
        return 0;
    for (int twice = 0; twice < 2; twice++) {
        const double share = fmin(1.0, l->most / (sqrt(of_gradient) + 1e-6));
        for (size_t i = 0; i < g->n_populations; i++)
            for (int p = 0; p < GLE_PARAMS; p++) {
                layer_get_gradient(m->net, i, (enum gle_param)p, gradient);
                layer_get_followed(m->net, i, (enum gle_param)p, followed);
                for (size_t k = 0; k < layer_param_size(g, i, (enum gle_param)p); k++) {
                    if (!layer_learns(m->net, i, (enum gle_param)p))
                        continue;
                    of_gradient += twice ? 0.0 : (double)gradient[k] * (double)gradient[k];
                    of_followed += twice ? (double)followed[k] * (double)followed[k] : 0.0;
                    if (twice && fabs((double)followed[k] - share * (double)gradient[k]) > 1e-6 * l->most)
                        fail_msg("%g, where %g of %g is wanted", (double)followed[k], share, (double)gradient[k]);
                }
            }
    }
    longer = sqrt(of_gradient) + 1e-6 > l->most;
    assert_true(sqrt(of_followed) <= l->most * (1.0 + 1e-6));
    l->steps++;
    l->clipped += longer;
    l->steps_of_stage[m->stage]++;
    l->of_stage[m->stage] += longer;
    return 0;
}

static void gradients_are_no_longer_than_the_limit(void **state)
{
    static const char *const trainings[] = {"epochs: 3, batch_size: 5",
                                            "batch_size: 4, phases: [{duration: 1.5}, {duration: 0.7, set: {a.weight: "
                                            "0.3}}, {duration: 1.2}]"};
    static const char *const ways[] = {"", ", rule: bptt, window: 0.3"};
    static const double limits[] = {0.25, 0.25, 0.6, 0.2};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const bool phases = i % 2;
        struct limit l = {.most = limits[i]};
        const struct gle_observer observer = {.ctx = &l, .moment = hold_to_limit};
        char learning[128];
        struct trial t;
        snprintf(learning, sizeof learning, ", plastic: [weight, bias, tau_m], clip: %g%s", l.most, ways[i / 2]);
        t = trial_open(config(learning, trainings[phases]), 1);
        trial_run(&t, &observer, NULL);
        assert_int_equal(t.rc, 0);
        if (!l.clipped || l.clipped == l.steps)
            fail_msg("%d of %d steps: nothing is shown by that", (int)l.clipped, (int)l.steps);
        assert_int_equal(t.m.clipping.steps, l.steps);
        assert_int_equal(t.m.clipping.clipped, l.clipped);
        for (size_t k = 0; k < (phases ? t.m.n_phases : t.m.n_epochs); k++) {
            const struct gle_clipping *c = phases ? &t.m.phases[k].clipping : &t.m.epochs[k].clipping;
            assert_int_equal(c->steps, l.steps_of_stage[k + phases]);
            assert_int_equal(c->clipped, l.of_stage[k + phases]);
        }
        trial_close(&t);
    }
}

/* Where nothing is learned from, weights that learn lose lr weight_decay of themselves in each of the optimizer's
 * steps, and nothing else moves: biases, time constants, and weights that do not learn, or are held. */
static void weights_alone_decay(void **state)
{
    static const char yaml[] =
        "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\ndataset: {type: xor, present: 0.7}\n"
        "network: {input: 2, layers: [{name: a, neurons: {count: 3, tau_m: 1.0, tau_r: 0.6}, activation: tanh, bias: "
        "0.3}, {name: c, neurons: {count: 2, tau_m: 1.0, tau_r: 0.5}, bias: 0.3}, "
        "{name: d, plastic: [bias], neurons: {count: 2, tau_m: 1.0, tau_r: 0.5}}]}\n"
        "learning: {loss: mse, beta: 0, plastic: [weight, bias, tau_m, tau_r], update: {every: 2}, "
        "optimizer: {type: adamw, lr: 0.25, weight_decay: 0.4}}\ntraining: {epochs: 1}\n";
    const struct gle_step step = {.learn = true, .lr = LR};
    struct built b = build_text(yaml, 1);
    float before[NUMBERS], after[NUMBERS];
    struct gle_error err = {0};
    double loss;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (int p = 0; p < GLE_PARAMS; p++) {
            const bool decays = p == GLE_WEIGHT && i == 0; /* layer c is held, d does not learn */
            layer_hold(b.net, 1, GLE_WEIGHT, true);
            layer_get_param(b.net, i, (enum gle_param)p, before);
            for (size_t t = 0; t < 6; t++)
                assert_int_equal(gle_net_step(b.net, &step, &loss, &err), 0);
            layer_get_param(b.net, i, (enum gle_param)p, after);
            for (size_t k = 0; k < layer_param_size(b.graph, i, (enum gle_param)p); k++) {
                const double want = (decays ? pow(1.0 - 0.25 * 0.4, 3.0) : 1.0) * (double)before[k];
                if (!(fabs((double)after[k] - want) <= (decays ? 1e-6 * fabs(want) : 0.0)))
                    fail_msg("layer %zu, parameter %d: %.9g of %.9g", i, p, (double)after[k], (double)before[k]);
            }
        }
    built_clear(&b);
}

/* A limit beyond reach changes no bit. */
static void a_limit_beyond_reach_is_as_none(void **state)
{
    struct trial with = trial_of(config(", clip: 1.0e6", "epochs: 2, batch_size: 5"), 1);
    struct trial without = trial_of(config("", "epochs: 2, batch_size: 5"), 1);

    (void)state;
    assert_true(same_params(&with.b, &without.b));
    assert_int_equal(with.m.clipping.steps, 2 * 21);
    assert_int_equal(with.m.clipping.clipped, 0);
    trial_close(&with);
    trial_close(&without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_gathered_over_batches_and_epochs),
        cmocka_unit_test(what_a_phase_leaves_is_dropped),
        cmocka_unit_test(an_update_after_every_step_is_as_without_the_key),
        cmocka_unit_test(a_parameter_that_is_held_forgets_what_was_gathered),
        cmocka_unit_test(gradients_are_no_longer_than_the_limit),
        cmocka_unit_test(weights_alone_decay),
        cmocka_unit_test(a_limit_beyond_reach_is_as_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
