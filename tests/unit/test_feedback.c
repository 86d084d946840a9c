/* Weights B of their own, through which errors go back: how they move, and where they end. */
#include "../support/build.h"
#include "../support/random_graph.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, NUMBERS_MAX = 1024 };

/* Links of the layer b, which reads a, with the neurons of both. */
static const struct {
    const char *link, *a, *b;
} links[] = {
    {"dense", "count: 13", "count: 11"},
    {"one_to_one", "count: 13", "count: 13"},
    {"{type: sparse, probability: 0.4}", "count: 13", "count: 11"},
    {"{type: conv, kernel: 3, padding: 1}", "channels: 3", "channels: 4"},
    {"{type: dense, pool: {type: max, size: 2}}", "channels: 3", "count: 11"},
};
enum { LINKS = sizeof links / sizeof *links };

static struct built build(size_t link, const char *feedback, const char *learning)
{
    struct text t = {.n = 0};

    put_text(&t, "glesim: 1\nname: feedback\ndt: 0.1\nseed: 4\ndataset: {type: npz, file: none.npz}\nnetwork:\n"
                 "  input: {channels: 2, size: [4, 4]}\n  layers:\n"
                 "    - {name: a, activation: tanh, neurons: {%s, tau_m: 1.0, tau_r: 0.7}, from: [{layer: input, "
                 "connect: %s}]}\n"
                 "    - {name: b, activation: tanh, neurons: {%s, tau_m: 0.9, tau_r: 0.9}, from: [{layer: a, "
                 "connect: %s, feedback: %s}]}\n"
                 "    - {name: c, neurons: {count: 3, tau_m: 1.0, tau_r: 1.0}}\n"
                 "learning: {loss: mse, %s}\ntraining: {epochs: 0, batch_size: %d}\n",
             links[link].a, *links[link].a == 'c' && links[link].a[1] == 'h' ? "{type: conv, kernel: 1}" : "dense",
             links[link].b, links[link].link, feedback, learning, ROWS);
    return build_text(t.yaml, 1);
}

static const struct gle_projection *projection_of(const struct built *b)
{
    return &b->graph->projections[1];
}

static size_t number_of(const struct built *b, const struct gle_parameter *p)
{
    return (size_t)(p - b->graph->parameters);
}

/* W and B. */
struct pair {
    float w[NUMBERS_MAX], b[NUMBERS_MAX];
    size_t n;
};

static struct pair look(const struct built *b)
{
    const struct gle_projection *c = projection_of(b);
    struct pair p = {.n = gle_field_size(&c->weight->field)};

    assert_true(p.n <= NUMBERS_MAX);
    gle_net_get_param(b->net, number_of(b, c->weight), p.w);
    gle_net_get_param(b->net, number_of(b, c->feedback), p.b);
    return p;
}

/* In degrees. */
static double angle(const struct pair *p)
{
    double dot = 0.0, w = 0.0, b = 0.0;

    for (size_t k = 0; k < p->n; k++) {
        dot += (double)p->w[k] * (double)p->b[k];
        w += (double)p->w[k] * (double)p->w[k];
        b += (double)p->b[k] * (double)p->b[k];
    }
    return acos(fmin(dot / sqrt(w * b), 1.0)) * 180.0 / acos(-1.0);
}

static void take_steps(struct built *b, size_t n, double lr, struct gle_rng *rng)
{
    struct gle_error err = {0};

    for (size_t t = 0; t < n; t++) {
        size_t ld_x, ld_y;
        double loss;
        float *x = gle_net_input(b->net, &ld_x), *y = gle_net_target(b->net, &ld_y);
        for (size_t k = 0; k < ROWS * ld_x; k++)
            x[k] = k % ld_x < b->exp->n_input ? (float)draw(rng, -1.0, 1.0) : 0.0f;
        for (size_t k = 0; k < ROWS * ld_y; k++)
            y[k] = k % ld_y < 3 ? (float)draw(rng, -1.0, 1.0) : 0.0f;
        assert_int_equal(gle_net_step(b->net, &(struct gle_step){.learn = true, .lr = lr}, &loss, &err), 0);
    }
}

/* --- Kolen-Pollack --- */

static const char *const optimizers[] = {"optimizer: {type: sgd, lr: 0.1, momentum: 0.9}", "optimizer: adam",
                                         "optimizer: {type: adamw, weight_decay: 2.0}",
                                         "optimizer: adam, bounds: {weight: [-0.1, 0.15]}"};
enum { OPTIMIZERS = sizeof optimizers / sizeof *optimizers };

static void what_starts_as_the_transpose_stays_it_bit_by_bit(void **state)
{
    (void)state;
    for (size_t link = 0; link < LINKS; link++)
        for (size_t o = 0; o < OPTIMIZERS; o++) {
            struct built b = build(link, "{type: kolen_pollack, decay: 0.2}", optimizers[o]);
            struct pair before = look(&b), after;
            struct gle_rng rng;
            gle_rng_seed(&rng, 3);
            gle_net_set_param(b.net, number_of(&b, projection_of(&b)->feedback), before.w);
            take_steps(&b, 40, 1e-2, &rng);
            after = look(&b);
            if (memcmp(after.w, after.b, after.n * sizeof *after.w) || !memcmp(after.w, before.w, sizeof before.w))
                fail_msg("%s, %s: B is another one than W, or nothing has learned", links[link].link, optimizers[o]);
            built_clear(&b);
        }
}

/* Whatever they learn, in each step the distance between B and W becomes 1 - dt decay of itself, and of that what the
 * optimizer's own decay leaves. */
static void distances_shrink_by_the_decay_alone(void **state)
{
    (void)state;
    for (size_t link = 0; link < LINKS; link++)
        for (size_t o = 0; o + 1 < OPTIMIZERS; o++) {
            const double lr = 2e-3, decay = strstr(optimizers[o], "weight_decay") ? lr * 2.0 : 0.0;
            struct built b = build(link, "{type: kolen_pollack, decay: 0.5}", optimizers[o]);
            const struct pair first = look(&b);
            double keep = 1.0, last = 0.0;
            struct gle_rng rng;
            gle_rng_seed(&rng, 3);
            assert_true(angle(&first) > 45.0);
            for (int stretch = 0; stretch < 8; stretch++) {
                struct pair p;
                take_steps(&b, 40, lr, &rng);
                p = look(&b);
                keep *= pow((1.0 - 0.1 * 0.5) * (1.0 - decay), 40.0);
                for (size_t k = 0; k < p.n; k++)
                    if (!(fabs((double)p.b[k] - (double)p.w[k] - keep * ((double)first.b[k] - (double)first.w[k])) <
                          1e-5))
                        fail_msg("%s, %s, stretch %d, number %zu: %.9g from %.9g", links[link].link, optimizers[o],
                                 stretch, k, (double)(p.b[k] - p.w[k]), (double)(first.b[k] - first.w[k]));
                last = angle(&p);
            }
            if (!(last < 1.0)) /* what they have learned together is left */
                fail_msg("%s, %s: %g degrees after %g", links[link].link, optimizers[o], last, angle(&first));
            built_clear(&b);
        }
}

/* The gradient that B follows can be looked at, and is that of W; while W is held, B stays, too, and then goes on with
 * W, as the optimizer's steps of W are counted. */
static void what_holds_weights_holds_what_follows_them(void **state)
{
    struct built b = build(0, "{type: kolen_pollack, decay: 0.5}", "optimizer: adam");
    const struct gle_projection *c = projection_of(&b);
    struct pair before, after;
    struct gle_rng rng;

    (void)state;
    gle_rng_seed(&rng, 3);
    before = look(&b);
    gle_net_set_param(b.net, number_of(&b, c->feedback), before.w);
    take_steps(&b, 5, 1e-2, &rng);
    gle_net_get_gradient(b.net, number_of(&b, c->weight), before.w);
    gle_net_get_gradient(b.net, number_of(&b, c->feedback), before.b);
    assert_memory_equal(before.w, before.b, gle_field_size(&c->weight->field) * sizeof(float));
    gle_net_hold(b.net, number_of(&b, c->weight), true);
    before = look(&b);
    take_steps(&b, 5, 1e-2, &rng);
    after = look(&b);
    assert_memory_equal(&after, &before, sizeof before);
    gle_net_get_gradient(b.net, number_of(&b, c->feedback), before.b);
    for (size_t k = 0; k < before.n; k++)
        assert_true(before.b[k] == 0.0f);
    gle_net_hold(b.net, number_of(&b, c->weight), false);
    take_steps(&b, 3, 1e-2, &rng);
    after = look(&b);
    assert_memory_not_equal(after.w, before.w, sizeof before.w);
    assert_memory_equal(after.w, after.b, after.n * sizeof *after.w);
    built_clear(&b);
}

/* B that is held stays while W learns and decays, and then makes the steps of W again, bit by bit. */
static void what_holds_b_holds_it_alone(void **state)
{
    static const char *const updates[] = {"", ", update: {every: 2}", ", clip: 0.01"};

    (void)state;
    for (size_t o = 0; o < OPTIMIZERS; o++)
        for (size_t u = 0; u < sizeof updates / sizeof *updates; u++) {
            char learning[256];
            struct built b;
            size_t of_b;
            struct pair before, after;
            struct gle_rng rng;
            snprintf(learning, sizeof learning, "%s%s", optimizers[o], updates[u]);
            b = build(0, "{type: kolen_pollack, decay: 0.5}", learning);
            of_b = number_of(&b, projection_of(&b)->feedback);
            gle_rng_seed(&rng, 3);
            take_steps(&b, 6, 1e-2, &rng);
            gle_net_hold(b.net, of_b, true);
            before = look(&b);
            take_steps(&b, 6, 1e-2, &rng);
            after = look(&b);
            assert_memory_equal(after.b, before.b, sizeof before.b);
            assert_memory_not_equal(after.w, before.w, sizeof before.w);
            gle_net_get_gradient(b.net, of_b, before.b);
            for (size_t k = 0; k < before.n; k++)
                assert_true(before.b[k] == 0.0f);
            gle_net_hold(b.net, of_b, false);
            gle_net_set_param(b.net, of_b, after.w);
            take_steps(&b, 6, 1e-2, &rng);
            after = look(&b);
            if (memcmp(after.w, after.b, after.n * sizeof *after.w))
                fail_msg("%s: B makes other steps than W once it was held", learning);
            built_clear(&b);
        }
}

/* --- PAL --- */

/* W stays, and B comes to lie along it, whatever else goes through the network. */
static void noise_turns_feedback_towards_weights(void **state)
{
    (void)state;
    for (size_t link = 0; link < LINKS; link++) {
        struct built b =
            build(link, "{type: pal, lr: 0.5, decay: 0.25, std: 0.5, tau: 0.1, tau_hp: 0.1}", "gamma: 0");
        struct pair first = look(&b), last;
        struct gle_rng rng;
        gle_rng_seed(&rng, 3);
        take_steps(&b, 2500, 0.0, &rng);
        last = look(&b);
        if (!(angle(&first) > 45.0 && angle(&last) < 30.0) || memcmp(first.w, last.w, sizeof first.w))
            fail_msg("%s: %g degrees after %g", links[link].link, angle(&last), angle(&first));
        built_clear(&b);
    }
}

/* B that is held stays; what moves is kept within the bounds of W, and comes to them. */
static void what_aligns_itself_can_be_held_and_is_kept_within_bounds(void **state)
{
    (void)state;
    for (size_t link = 0; link < LINKS; link++) {
        struct built b = build(link, "{type: pal, lr: 0.5, decay: 0.25, std: 0.5, tau: 0.1, tau_hp: 0.1}",
                               "bounds: {weight: [-0.05, 0.1]}");
        const size_t of_b = number_of(&b, projection_of(&b)->feedback);
        size_t at_bounds = 0;
        struct pair before = look(&b), after;
        struct gle_rng rng;
        gle_rng_seed(&rng, 3);
        gle_net_hold(b.net, of_b, true);
        take_steps(&b, 3, 0.0, &rng);
        after = look(&b);
        assert_memory_equal(after.b, before.b, sizeof before.b);
        gle_net_hold(b.net, of_b, false);
        for (int t = 0; t < 20; t++) {
            take_steps(&b, 1, 0.0, &rng);
            after = look(&b);
            for (size_t k = 0; k < after.n; k++) {
                assert_true(after.b[k] >= -0.05f && after.b[k] <= 0.1f);
                at_bounds += after.b[k] <= -0.05f || after.b[k] >= 0.1f;
            }
        }
        if (!at_bounds || at_bounds == 20 * after.n)
            fail_msg("%s: B was %zu times at a bound, of %zu", links[link].link, at_bounds, 20 * after.n);
        built_clear(&b);
    }
}

/* Noise is there in steps that learn or are nudged, and in no others. */
static void noise_is_there_in_training_alone(void **state)
{
    struct gle_error err = {0};
    double loss;

    (void)state;
    for (int training = 0; training < 2; training++) {
        float rates[2][ROWS * 16];
        for (int pal = 0; pal < 2; pal++) {
            struct built other = build(0, pal ? "{type: pal, std: 0.5}" : "fixed", "gamma: 0");
            for (int t = 0; t < 3; t++)
                assert_int_equal(gle_net_step(other.net, &(struct gle_step){.nudge = training}, &loss, &err), 0);
            gle_net_get_var(other.net, gle_graph_variable(other.graph, 0, "r", 0), rates[pal]);
            built_clear(&other);
        }
        assert_int_equal(memcmp(rates[0], rates[1], ROWS * 13 * sizeof(float)) != 0, training);
    }
}

/* W and B of a network of fixed feedback do not decay, and B does not move. */
static void what_is_fixed_stays(void **state)
{
    struct built b = build(0, "fixed", "optimizer: adam");
    struct pair before, after;
    struct gle_rng rng;

    (void)state;
    before = look(&b);
    gle_rng_seed(&rng, 3);
    take_steps(&b, 5, 1e-2, &rng);
    after = look(&b);
    assert_memory_equal(after.b, before.b, sizeof before.b);
    assert_memory_not_equal(after.w, before.w, sizeof before.w);
    built_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_starts_as_the_transpose_stays_it_bit_by_bit),
        cmocka_unit_test(distances_shrink_by_the_decay_alone),
        cmocka_unit_test(what_holds_weights_holds_what_follows_them),
        cmocka_unit_test(what_holds_b_holds_it_alone),
        cmocka_unit_test(noise_turns_feedback_towards_weights),
        cmocka_unit_test(what_aligns_itself_can_be_held_and_is_kept_within_bounds),
        cmocka_unit_test(noise_is_there_in_training_alone),
        cmocka_unit_test(what_is_fixed_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
