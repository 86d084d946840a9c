/* What the optimizer follows: the mean of gradients of several steps. That its numbers are right is shown by the random
 * networks of the oracles; here, when it steps, and what becomes of gradients that wait. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_gathered_over_batches_and_epochs),
        cmocka_unit_test(what_a_phase_leaves_is_dropped),
        cmocka_unit_test(an_update_after_every_step_is_as_without_the_key),
        cmocka_unit_test(a_parameter_that_is_held_forgets_what_was_gathered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
