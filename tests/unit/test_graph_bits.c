/* Graphs drawn at random give the same bits on any number of threads, and when they are saved in the middle of a window
 * and go on elsewhere; and sums run in the order of the config. */
#include "../support/build.h"
#include "../support/random_graph.h"
#include "../support/told.h"
#include "base/archive.h"
#include "kernel/isa.h"
#include "parts/rule.h"
#include "solver/split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
enum { NETS = 12 };
#else
enum { NETS = 60 };
#endif
/* Steps before LEARNING learn, from there to EVALUATION only run on, and those that are left are a window. Each of the
 * three has another number of rows. Delays are four steps at most. */
enum { FEW = 23, ROWS = 61, ROWS_MAX = 70, LEARNING = 5, EVALUATION = 8, WINDOW = 6, STEPS = EVALUATION + WINDOW };

/* --- a course of steps --- */

static void tell_states(struct record *r, const struct gle_net *net)
{
    const struct gle_graph *g = gle_net_graph(net);

    for (size_t i = 0; i < g->n_fields; i++)
        if (g->fields[i]->role == GLE_STATE && g->fields[i]->population != GLE_NO_POPULATION)
            gle_net_get_var(net, i, more(r, gle_net_get_place(net).B * g->fields[i]->cols));
}

static bool aligns(const struct gle_graph *g, const struct gle_parameter *p)
{
    return p->kind == GLE_FEEDBACK && g->projections[p->field.projection].feedback_way == GLE_FEEDBACK_ALIGNS;
}

static void tell_parameters(struct record *r, const struct gle_net *net)
{
    const struct gle_graph *g = gle_net_graph(net);

    for (size_t i = 0; i < g->n_parameters; i++) {
        gle_net_get_param(net, i, more(r, gle_field_size(&g->parameters[i].field)));
        if (!aligns(g, &g->parameters[i])) /* a window finds nothing for it to follow */
            gle_net_get_gradient(net, i, more(r, gle_field_size(&g->parameters[i].field)));
    }
}

struct course {
    const char *yaml;
    struct built b;
    size_t threads;
    bool observed;
    size_t first, end; /* steps to take */
    struct gle_rng rng;
    struct record record;
};

static void read_something(struct course *c)
{
    const size_t B = gle_net_get_place(c->b.net).B, n_top = gle_experiment_top(c->b.exp)->n;
    size_t ld_x, ld_y;
    float *x = gle_net_input(c->b.net, &ld_x), *y = gle_net_target(c->b.net, &ld_y);
    double target[1024];

    assert_true(n_top <= 1024);
    for (size_t b = 0; b < B; b++) {
        for (size_t k = 0; k < c->b.exp->n_input; k++)
            x[b * ld_x + k] = (float)draw(&c->rng, -1.0, 1.0);
        random_target(target, n_top, c->b.exp, &c->rng);
        for (size_t k = 0; k < n_top; k++)
            y[b * ld_y + k] = (float)target[k];
    }
}

static void begin_batch(struct course *c, size_t B)
{
    gle_net_set_batch(c->b.net, B);
    gle_net_begin_batch(c->b.net, false);
}

static void take_steps(void *ctx)
{
    struct course *c = ctx;

    for (size_t t = c->first; t < c->end; t++) {
        const struct gle_step step = {.learn = t < LEARNING, .nudge = t >= EVALUATION, .lr = 1e-3};
        struct gle_error err = {0};
        double loss;
        if (t == 0)
            begin_batch(c, FEW);
        if (t == LEARNING)
            begin_batch(c, ROWS_MAX);
        if (t == EVALUATION)
            begin_batch(c, ROWS);
        if (t == EVALUATION)
            gle_net_begin_window(c->b.net);
        read_something(c);
        if (gle_net_step(c->b.net, &step, &loss, &err))
            fail_msg("%s\n%s", err.text, c->yaml);
        memcpy(more(&c->record, sizeof loss / sizeof(float)), &loss, sizeof loss);
        tell_states(&c->record, c->b.net);
        if (t < LEARNING)
            tell_parameters(&c->record, c->b.net);
    }
}

static void end_window(struct course *c)
{
    const struct gle_rule *bptt = (const struct gle_rule *)gle_table_find(&gle_rule_table, "bptt");
    struct gle_error err = {0};

    if (gle_net_end_window(c->b.net, bptt, true, 1e-3, &err))
        fail_msg("%s\n%s", err.text, c->yaml);
    tell_parameters(&c->record, c->b.net);
}

/* --- nets --- */

/* Other threads share the work another way, and derived variables that nobody looks at lie elsewhere. */
static void build_course(struct course *c)
{
    struct gle_graph_options options = {.observed = c->observed, .tape_steps = WINDOW};
    struct gle_error err = {0};
    struct gle_rng rng;

    c->b = built_load(c->yaml);
    gle_rng_seed(&rng, 7);
    if (gle_graph_build(&c->b.graph, c->b.exp, &options, &err) ||
        gle_net_build(&c->b.net, c->b.graph, c->threads, &err))
        fail_msg("%s\n%s", err.text, c->yaml);
    to_device(c->b.net);
    if (gle_net_init(c->b.net, &rng, &err))
        fail_msg("%s\n%s", err.text, c->yaml);
}

static void save(struct gle_net *net, const char *path)
{
    struct gle_error err = {0};
    struct gle_archive *a;

    if (gle_archive_create(&a, &err) || gle_net_archive(net, a, &err) || gle_archive_write(a, path, &err))
        fail_msg("%s", err.text);
    gle_archive_destroy(a);
}

static void restore(struct gle_net *net, const char *path)
{
    struct gle_error err = {0};
    struct gle_archive *a;

    if (gle_archive_open(&a, path, &err) || gle_net_archive(net, a, &err) || gle_archive_end(a, &err))
        fail_msg("%s", err.text);
    gle_archive_destroy(a);
}

/* The whole course; `saved`: before that step the net is saved, and another one on other threads goes on. */
static struct record course(const char *yaml, size_t threads, bool observed, size_t saved, size_t threads_then)
{
    struct course c = {.yaml = yaml, .threads = threads, .observed = observed, .end = saved};
    char path[] = "/tmp/glesim_test_XXXXXX";

    gle_rng_seed(&c.rng, 9);
    build_course(&c);
    gle_net_parallel(c.b.net, take_steps, &c);
    if (saved < STEPS) {
        temporary_file(path, "");
        save(c.b.net, path);
        built_clear(&c.b);
        c.threads = threads_then;
        build_course(&c);
        restore(c.b.net, path);
        unlink(path);
        c.first = saved;
        c.end = STEPS;
        gle_net_parallel(c.b.net, take_steps, &c);
    }
    end_window(&c);
    built_clear(&c.b);
    return c.record;
}

static void compare(const struct record *one, struct record other, const char *how, const char *yaml)
{
    assert_int_equal(one->n, other.n);
    for (size_t i = 0; i < other.n; i++)
        if (memcmp(&one->v[i], &other.v[i], sizeof(float))) {
            fputs(yaml, stderr);
            fail_msg("%s: value %zu of %zu is %.9g, and %.9g on one thread", how, i, other.n, (double)other.v[i],
                     (double)one->v[i]);
        }
    free(other.v);
}

/* How the work of a net is cut for so many threads. */
struct ways {
    size_t whole, shared;
};

static void count_way(struct ways *ways, const char *yaml, size_t threads)
{
    struct built b = build_windows(yaml, WINDOW, 1);
    struct gle_error err = {0};
    struct gle_split split;

    assert_int_equal(gle_split_make(&split, b.graph, gle_kernels(gle_isa_best()), threads, &err), 0);
    ways->shared += split.n_threads > 1 && split.shared;
    ways->whole += split.n_threads > 1 && !split.shared;
    gle_split_clear(&split);
    built_clear(&b);
}

static void random_graphs_give_the_same_bits(void **state)
{
    const struct graph_kind kind = {.rows = ROWS, .rows_max = ROWS_MAX, .wide = true, .hardware = true};
    struct text *text = calloc(1, sizeof *text);
    struct ways ways = {0};

    (void)state;
    assert_non_null(text);
    for (size_t net = 0; net < NETS; net++) {
        const bool observed = net % 2;
        struct record one;
        struct gle_rng rng;
        seed_net(&rng, 30000 + net);
        random_graph(text, &kind, &rng);
        one = course(text->yaml, 1, observed, STEPS, 0);
        for (size_t threads = 2; threads <= 3; threads++) {
            count_way(&ways, text->yaml, threads);
            compare(&one, course(text->yaml, threads, observed, STEPS, 0), "on more threads", text->yaml);
        }
        compare(&one, course(text->yaml, 2, observed, 1 + net % (STEPS - 1), 1 + net % 3), "saved and restored",
                text->yaml);
        free(one.v);
    }
    print_message("work of whole layers %zu times, of shared ones %zu times\n", ways.whole, ways.shared);
    assert_true(ways.whole > NETS / 10 && ways.shared > NETS / 10);
    free(text);
}

/* Layers that are worth five threads. */
static const char *const wide[] = {
    "  input: 20\n"
    "  layers:\n"
    "    - {name: a, activation: tanh, neurons: {count: 150, tau_m: 1.0, tau_r: 0.8},\n"
    "       from: [input, {layer: b, delay: 0.3}, {layer: a, connect: {type: sparse, probability: 0.1}}]}\n"
    "    - {name: b, activation: tanh, neurons: {count: 150, tau_m: 1.0, tau_r: 0.8},\n"
    "       from: [a, {layer: input, delay: 0.2}, {layer: b, connect: one_to_one, feedback: fixed}]}\n"
    "    - {name: c, neurons: {count: 140, tau_m: 1.0, tau_r: 0.8}, from: [b, {layer: a, name: skip, delay: 0.4}]}\n",
    "  input: {channels: 2, size: [16, 16]}\n"
    "  layers:\n"
    "    - {name: a, activation: tanh, neurons: {channels: 18, tau_m: 1.0, tau_r: 0.8},\n"
    "       from: [{layer: input, connect: {type: conv, kernel: 3, padding: 1}}, {layer: a, connect: one_to_one}]}\n"
    "    - {name: b, activation: tanh, neurons: {channels: 21, tau_m: 1.0, tau_r: 0.8},\n"
    "       from: [{layer: a, connect: {type: conv, kernel: 3, pool: {type: max, size: 2}}}, {layer: c, delay: 0.2}]}\n"
    "    - {name: c, neurons: {count: 10, tau_m: 1.0, tau_r: 0.8}, from: [{layer: b, delay: 0.2}]}\n",
};

static void wide_layers_give_the_same_bits(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof wide / sizeof *wide; k++) {
        struct text text = {.n = 0};
        struct record one;
        put_text(&text,
                 "glesim: 1\nname: wide\ndt: 0.1\nseed: 3\ndataset: {type: npz, file: none.npz}\nnetwork:\n%s"
                 "learning: {rule: gle, loss: mse, gamma: 0.1, plastic: [weight, bias, tau_m, tau_r], "
                 "optimizer: {type: adam}}\n"
                 "training: {epochs: 0, batch_size: %d, test_batch_size: %d}\n",
                 wide[k], ROWS, ROWS_MAX);
        one = course(text.yaml, 1, true, STEPS, 0);
        for (size_t threads = 2; threads <= 5; threads++) {
            struct ways ways = {0};
            count_way(&ways, text.yaml, threads);
            assert_int_equal(ways.whole + ways.shared, 1);
            compare(&one, course(text.yaml, threads, true, STEPS, 0), "on more threads", text.yaml);
        }
        free(one.v);
    }
}

/* --- the order of sums --- */

static void put_neuron(struct text *t, const char *name)
{
    put_text(t, "    - name: %s\n      bias: none\n      neurons: {count: 1, tau_m: 1.0, tau_r: 1.0}\n      from:\n",
             name);
}

/* A neuron reads the input three times, and three others read it, with these weights: both its sum of inputs and that
 * of errors, which are 1 each, must be `sum`. */
static void check_order(const char *const weights[3], float sum)
{
    const struct gle_step step = {.nudge = true};
    struct text text = {.n = 0};
    struct gle_error err = {0};
    struct built b;
    size_t ld;
    double loss;
    float r, e;

    put_text(&text, "glesim: 1\nname: order\ndt: 0.1\ndataset: {type: npz, file: none.npz}\nnetwork:\n  input: 1\n"
                    "  layers:\n");
    put_neuron(&text, "a");
    for (size_t k = 0; k < 3; k++)
        put_text(&text, "        - {layer: input, name: s%zu, weight: [[%s]]}\n", k, weights[k]);
    for (size_t k = 0; k < 3; k++) {
        const char *const names[] = {"b0", "b1", "b2"};
        put_neuron(&text, names[k]);
        put_text(&text, "        - {layer: a, weight: [[%s]]}\n", weights[k]);
    }
    put_neuron(&text, "top");
    for (size_t k = 0; k < 3; k++)
        put_text(&text, "        - {layer: b%zu, weight: [[1]]}\n", k);
    put_text(&text, "learning: {rule: bp, loss: mse}\ntraining: {epochs: 0, batch_size: 1}\n");
    b = build_text(text.yaml, 1);
    *gle_net_input(b.net, &ld) = 0.0f;
    *gle_net_target(b.net, &ld) = 1.0f;
    for (size_t t = 0; t < 4; t++) /* slopes are 0 in the first; then an error goes down a layer a step */
        assert_int_equal(gle_net_step(b.net, &step, &loss, &err), 0);
    gle_net_get_var(b.net, gle_graph_variable(b.graph, 0, "e", 0), &e);
    *gle_net_input(b.net, &ld) = 1.0f;
    assert_int_equal(gle_net_step(b.net, &step, &loss, &err), 0);
    gle_net_get_var(b.net, gle_graph_variable(b.graph, 0, "r", 0), &r);
    built_clear(&b);
    assert_memory_equal(&r, &sum, sizeof sum);
    assert_memory_equal(&e, &sum, sizeof sum);
}

/* In single precision 2^25 + 1 is 2^25. */
static void sums_run_in_the_order_of_the_config(void **state)
{
    static const char *const in_order[][3] = {{"33554432", "-33554432", "1"}, {"1", "33554432", "-33554432"}};

    (void)state;
    check_order(in_order[0], 1.0f);
    check_order(in_order[1], 0.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_give_the_same_bits),
        cmocka_unit_test(wide_layers_give_the_same_bits),
        cmocka_unit_test(sums_run_in_the_order_of_the_config),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
