/* Any number of threads, and any way to share the work among them, gives the same bits. */
#include "../support/build.h"
#include "../support/by_layer.h"
#include "../support/random_net.h"
#include "../support/told.h"
#include "base/clock.h"
#include "base/memory.h"
#include "parts/rule.h"
#include "solver/split.h"
#include "solver/team.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 16 };

/* --- the split --- */

/* A chain of layers of these sizes. */
static struct built chain(const size_t *sizes, size_t n, size_t batch, const char *keys, const char *learning,
                          bool observed, size_t threads)
{
    static char yaml[4096];
    size_t at = (size_t)snprintf(yaml, sizeof yaml,
                                 "glesim: 1\nname: chain\ndt: 0.2\nseed: 3\ndataset: {type: npz, file: none.npz}\n"
                                 "network:\n  input: 20\n  layers:\n");
    struct gle_graph_options options = {.observed = observed, .errors = observed, .e_inst = observed};
    struct gle_error err = {0};
    struct gle_rng rng;
    struct built b;

    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(yaml + at, sizeof yaml - at,
                               "    - {name: l%zu, neurons: {count: %zu, tau_m: 0.6, tau_r: 0.3}, activation: %s}\n", i,
                               sizes[i], i + 1 < n ? "tanh" : "linear");
    at += (size_t)snprintf(yaml + at, sizeof yaml - at,
                           "learning: {loss: cross_entropy, optimizer: {type: adam, lr: 1e-3}%s}\n"
                           "training: {epochs: 1, batch_size: %zu, test_batch_size: %zu%s}\n",
                           learning, batch, 3 * batch, keys);
    assert_true(at < sizeof yaml);
    b = built_load(yaml);
    options.tape_steps = b.exp->window_steps;
    gle_rng_seed(&rng, 3);
    if (gle_graph_build(&b.graph, b.exp, &options, &err) || gle_net_build(&b.net, b.graph, threads, &err) ||
        gle_net_init(b.net, &rng, &err))
        fail_msg("%s", err.text);
    return b;
}

/* Every row, or neuron, is one thread's, and no other's. */
static void assert_all_covered(const struct gle_cut *cuts, size_t threads, size_t layer, size_t n, size_t together)
{
    size_t at = 0;

    for (size_t t = 0; t < threads; t++) {
        const size_t first = gle_cut_at(&cuts[t], layer, n, together);
        const size_t end = gle_cut_at(&cuts[t + 1], layer, n, together);
        assert_true(first <= end);
        if (first == end)
            continue;
        assert_int_equal(first, at);
        at = end;
    }
    assert_int_equal(at, n);
}

static void a_split_covers_everything_once(void **state)
{
    struct gle_rng rng;
    size_t shared = 0;

    (void)state;
    gle_rng_seed(&rng, 11);
    for (int net = 0; net < 60; net++) {
        size_t sizes[6], n = 1 + pick(&rng, 6);
        struct gle_error err = {0};
        struct gle_split split;
        struct built b;
        for (size_t i = 0; i < n; i++)
            sizes[i] = 1 + pick(&rng, pick(&rng, 2) ? 30 : 400);
        b = chain(sizes, n, 1 + pick(&rng, 200), "", "", false, 1);
        for (size_t threads = 1; threads <= 40; threads += 1 + threads / 4) {
            assert_int_equal(gle_split_make(&split, b.graph, gle_kernels(gle_isa_best()), threads, &err), 0);
            assert_in_range(split.n_threads, 1, threads);
            shared += split.shared;
            for (size_t i = 0; i < n; i++)
                for (size_t rows = 1; rows < 400; rows += 7) {
                    assert_all_covered(split.steps, split.n_threads, i, rows, GLE_ROWS_TOGETHER);
                    assert_all_covered(split.learning, split.n_threads, i, sizes[i], GLE_NEURONS_TOGETHER);
                }
            gle_split_clear(&split);
        }
        built_clear(&b);
    }
    assert_in_range(shared, 50, 550);
}

static void threads_that_work_is_not_worth_are_left_out(void **state)
{
    static const size_t tiny[] = {2, 2, 1}, wide[] = {700, 700}, even[] = {90, 90, 90, 90, 90, 90};
    struct built b = chain(tiny, 3, 100, "", "", false, MOST_THREADS);

    (void)state;
    assert_int_equal(gle_net_threads(b.net), 1);
    built_clear(&b);
    b = chain(wide, 2, 100, "", "", false, MOST_THREADS); /* more threads than layers */
    assert_int_equal(gle_net_threads(b.net), MOST_THREADS);
    built_clear(&b);
    b = chain(even, 6, 100, "", "", false, 2);
    assert_int_equal(gle_net_threads(b.net), 2);
    built_clear(&b);
}

/* --- bits --- */

static void tell(struct record *r, const struct built *b, size_t B)
{
    for (size_t i = 0; i < b->graph->n_populations; i++) {
        const struct gle_population *l = &b->graph->populations[i];
        for (int v = 0; v < (b->graph->observed ? VARS : STATE_VARS); v++) {
            const size_t n = v == VAR_E_BELOW ? layer_inputs(b->graph, i) : l->n;
            layer_get_var(b->net, i, (enum layer_var)v, more(r, B * n));
        }
        for (int p = 0; p < GLE_PARAMS; p++) {
            const size_t n = layer_param_size(b->graph, i, (enum gle_param)p);
            layer_get_param(b->net, i, (enum gle_param)p, more(r, n));
            layer_get_gradient(b->net, i, (enum gle_param)p, more(r, n));
        }
    }
    gle_net_get_output_sum(b->net, more(r, B * b->exp->layers[b->graph->n_populations - 1].n));
}

static void feed(struct gle_net *net, const struct built *b, size_t B, struct gle_rng *rng)
{
    const size_t n_out = b->exp->layers[b->graph->n_populations - 1].n;
    size_t ld_x, ld_y;
    float *x = gle_net_input(net, &ld_x), *y = gle_net_target(net, &ld_y);

    for (size_t row = 0; row < B; row++) {
        const size_t label = pick(rng, n_out);
        for (size_t i = 0; i < b->graph->n_input; i++)
            x[row * ld_x + i] = (float)draw(rng, -1.0, 1.0);
        for (size_t i = 0; i < n_out; i++)
            y[row * ld_y + i] = i == label ? 1.0f : 0.0f;
    }
}

struct course {
    const struct built *b;
    size_t batch;
    struct record record;
};

/* Learning, evaluation of a larger batch, learning on a smaller one; by windows where the rule has them. */
static void take_course(void *ctx)
{
    struct course *c = ctx;
    struct gle_net *net = c->b->net;
    const bool windowed = c->b->exp->rule->windowed;
    const struct {
        size_t B, steps;
        bool learn, forward_only;
    } part[] = {{c->batch, 6, true, false},
                {3 * c->batch, 3, false, false},
                {3 * c->batch, 2, false, true},
                {c->batch, 3, true, false},
                {(c->batch + 1) / 2, 3, true, false}};
    struct gle_error err = {0};
    struct gle_rng rng;

    gle_rng_seed(&rng, 5);
    for (size_t k = 0; k < sizeof part / sizeof *part; k++) {
        gle_net_set_batch(net, part[k].B);
        gle_net_begin_batch(net, false);
        if (windowed && part[k].learn)
            gle_net_begin_window(net);
        for (size_t t = 0; t < part[k].steps; t++) {
            const struct gle_step step = {.learn = part[k].learn && !windowed,
                                          .nudge = part[k].learn && windowed,
                                          .forward_only = part[k].forward_only,
                                          .lr = 1e-3};
            double loss;
            feed(net, c->b, part[k].B, &rng);
            if (gle_net_step(net, &step, &loss, &err))
                fail_msg("%s", err.text);
            memcpy(more(&c->record, sizeof loss / sizeof(float)), &loss, sizeof loss);
        }
        if (windowed && part[k].learn && gle_net_end_window(net, c->b->exp->rule, true, 1e-3, &err))
            fail_msg("%s", err.text);
        tell(&c->record, c->b, part[k].B);
    }
}

static void compare(const struct course *one, const struct course *c, const char *learning, size_t asked)
{
    assert_int_equal(one->record.n, c->record.n);
    for (size_t i = 0; i < c->record.n; i++)
        if (memcmp(&one->record.v[i], &c->record.v[i], sizeof(float)))
            fail_msg("%zu layers, batch %zu%s: value %zu is %.9g on one thread, %.9g on %zu (%zu)",
                     c->b->graph->n_populations, c->batch, learning, i, (double)one->record.v[i],
                     (double)c->record.v[i], gle_net_threads(c->b->net), asked);
}

static void assert_same_bits(const size_t *sizes, size_t n, size_t batch, const char *learning, bool observed)
{
    static const size_t threads[] = {1, 2, 3, 4, 5, 8, MOST_THREADS};
    struct course one = {0};
    struct built b[2];

    for (size_t k = 0; k < sizeof threads / sizeof *threads; k++) {
        struct course c = {.b = &b[k > 0], .batch = batch};
        b[k > 0] = chain(sizes, n, batch, "", learning, observed, threads[k]);
        if (k % 2)
            take_course(&c); /* one thread does the work of all */
        else
            gle_net_parallel(b[k > 0].net, take_course, &c);
        if (k == 0) {
            one = c;
            continue;
        }
        compare(&one, &c, learning, threads[k]);
        if (threads[k] == MOST_THREADS)
            assert_true(gle_net_threads(b[1].net) > n);
        free(c.record.v);
        built_clear(&b[1]);
    }
    free(one.record.v);
    built_clear(&b[0]);
}

static const char *const ways[] = {
    "",
    ", plastic: [weight, bias, tau_m]",
    ", rule: bp, gamma: 0.02, plastic: [weight, bias, tau_m]",
    ", update: {every: 4}, plastic: [weight, bias, tau_m]",
    ", clip: 0.01, plastic: [weight, bias, tau_m]",
    ", rule: bptt, window: 1.2, gamma: 0.02, plastic: [weight, bias, tau_m]",
    ", rule: bptt, window: 1.2, clip: 0.01",
    ", rule: adjoint, window: 1.2, plastic: [weight, bias, tau_m]",
};

static void shared_layers_give_the_same_bits(void **state)
{
    static const size_t sizes[][4] = {{333}, {150, 77}, {60, 330, 10}, {90, 300, 61, 10}};

    (void)state;
    for (size_t n = 1; n <= 4; n++)
        for (size_t k = 0; k < sizeof ways / sizeof *ways; k++)
            assert_same_bits(sizes[n - 1], n, n % 2 ? 100 : 131, ways[k], k % 2);
}

static void wide_layers_give_the_same_bits(void **state)
{
    static const size_t sizes[] = {701, 531, 5};

    (void)state;
    assert_same_bits(sizes, 2, 37, ways[1], false);
    assert_same_bits(sizes, 3, 37, ways[5], false);
    assert_same_bits(sizes, 3, 37, ", update: {every: 2}, clip: 0.01", false);
}

/* Steps without errors are the same as those whose errors are all zero. */
static void steps_may_go_without_errors(void **state)
{
    static const size_t sizes[] = {30, 200, 10};

    (void)state;
    for (int observed = 0; observed < 2; observed++) {
        float r[2][300 * 10], sum[2][300 * 10];
        double loss[2][8];
        for (int forward = 0; forward < 2; forward++) {
            const struct gle_step step = {.forward_only = forward};
            struct built b = chain(sizes, 3, 100, ", state: reset", ", gamma: 0.1", observed, 1);
            struct gle_error err = {0};
            struct gle_rng rng;
            gle_rng_seed(&rng, 5);
            gle_net_set_batch(b.net, 300);
            gle_net_begin_batch(b.net, true);
            for (size_t t = 0; t < 8; t++) {
                feed(b.net, &b, 300, &rng);
                assert_int_equal(gle_net_step(b.net, &step, &loss[forward][t], &err), 0);
            }
            layer_get_var(b.net, 2, VAR_R, r[forward]);
            gle_net_get_output_sum(b.net, sum[forward]);
            built_clear(&b);
        }
        assert_memory_equal(r[0], r[1], sizeof r[0]);
        assert_memory_equal(sum[0], sum[1], sizeof sum[0]);
        assert_memory_equal(loss[0], loss[1], sizeof loss[0]);
    }
}

/* --- the team --- */

enum { TEAM = 3, PATIENCE = 60 }; /* seconds */

/* Which thread did a piece last, and how often any did. */
struct pieces {
    struct gle_team *team;
    int thread[TEAM];
    size_t done[TEAM], shares, size;
    bool apart; /* each piece was once done by a thread of its own */
};

static void note(void *arg, size_t t)
{
    struct pieces *p = arg;

    p->thread[t] = omp_get_thread_num();
    p->done[t]++;
}

/* A team whose threads came late for a while does everything on one. */
static void share_until_apart(void *ctx)
{
    struct pieces *p = ctx;
    const double start = gle_clock();

    p->size = gle_team_size(p->team);
    while (!p->apart && gle_clock() < start + PATIENCE) {
        gle_team_share(p->team, note, p);
        p->shares++;
        p->apart = p->thread[0] == 0 && p->thread[1] == 1 && p->thread[2] == 2;
    }
}

static void every_thread_of_a_team_takes_its_piece(void **state)
{
    struct pieces p = {.apart = false};
    struct gle_error err = {0};

    (void)state;
    assert_int_equal(gle_team_create(&p.team, TEAM, &err), 0);
    gle_team_open(p.team, share_until_apart, &p);
    assert_int_equal(p.size, TEAM);
    assert_true(p.apart);
    assert_int_equal(gle_team_size(p.team), 1);
    gle_team_share(p.team, note, &p);
    for (size_t t = 0; t < TEAM; t++) {
        assert_int_equal(p.done[t], p.shares + 1);
        assert_int_equal(p.thread[t], 0);
    }
    gle_team_destroy(p.team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_covers_everything_once),
        cmocka_unit_test(threads_that_work_is_not_worth_are_left_out),
        cmocka_unit_test(shared_layers_give_the_same_bits),
        cmocka_unit_test(wide_layers_give_the_same_bits),
        cmocka_unit_test(steps_may_go_without_errors),
        cmocka_unit_test(every_thread_of_a_team_takes_its_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
