/* Graphs drawn at random, with all links, loops, delays and ways of feedback, against the oracle: states, errors and
 * local gradients after every step, and exact gradients against its central differences. */
#include "../support/build.h"
#include "../support/graph_oracle.h"
#include "../support/random_net.h"
#include "base/memory.h"
#include "parts/rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
enum { NETS = 60 };
#else
enum { NETS = 520 };
#endif
/* More rows than go through a convolution at a time. */
enum { COPIES = 4, ROWS = 9, ROWS_MAX = 11, WINDOW = 6, NUMBERS_MAX = 4096 };

/* Half the distance between neighbouring floats near 1, of every result; how many times the largest of the deviations
 * that it leads to in a few tries a value may be off; and what it may be off in any case, of its size and of 1. */
static const double ROUNDING = 0x1p-24, TIMES = 10.0, LEAST = 4e-6, FLOOR = 3e-8;

/* --- configs --- */

struct text {
    char yaml[RANDOM_YAML_BYTES];
    size_t n;
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    t->n += (size_t)vsnprintf(t->yaml + t->n, sizeof t->yaml - t->n, format, args);
    va_end(args);
    assert_true(t->n < sizeof t->yaml);
}

static bool chance(struct gle_rng *rng, size_t of_ten)
{
    return pick(rng, 10) < of_ten;
}

/* A layer that has been written: how its neurons lie, as far as the generator needs to know. */
struct drawn {
    size_t channels, dims, size[2]; /* dims 0: so many neurons */
};

static size_t count(const struct drawn *d)
{
    return d->channels * (d->dims ? d->size[0] * d->size[1] : 1);
}

static void put_taus(struct text *t, struct gle_rng *rng)
{
    const double tau_m = draw(rng, 0.2, 1.5), tau_r = draw(rng, 0.5 * tau_m, 1.5 * tau_m);

    put(t, "tau_m: %.6f, tau_r: %.6f", tau_m, tau_r < 0.1 ? 0.1 : tau_r);
}

/* Pools from, if it has a grid and by chance; it then is what is left. */
static void put_pool(struct text *t, struct drawn *from, struct gle_rng *rng)
{
    static const char *const kinds[] = {"mean", "max"};

    if (!from->dims || (from->dims == 2 && from->size[0] < 2) || from->size[1] < 2 || !chance(rng, 5))
        return;
    put(t, ", pool: {type: %s, size: 2}", kinds[pick(rng, 2)]);
    from->size[0] = from->dims == 2 ? from->size[0] / 2 : 1;
    from->size[1] /= 2;
}

/* A convolution that fits, whose target has `channels`; *to becomes its shape. */
static void put_conv(struct text *t, const struct drawn *source, struct drawn *to, size_t channels,
                     struct gle_rng *rng)
{
    struct drawn from = *source;
    size_t kernel, stride = 1 + pick(rng, 2), padding;

    put(t, ", connect: {type: conv");
    put_pool(t, &from, rng);
    kernel = 1 + pick(rng, 3);
    kernel = kernel > from.size[1] ? from.size[1] : kernel;
    if (from.dims == 2)
        kernel = kernel > from.size[0] ? from.size[0] : kernel;
    padding = pick(rng, kernel);
    put(t, ", kernel: %zu, stride: %zu, padding: %zu}", kernel, stride, padding);
    *to = (struct drawn){.channels = channels, .dims = from.dims, .size = {1, 1}};
    for (size_t d = 2 - from.dims; d < 2; d++)
        to->size[d] = (from.size[d] + 2 * padding - kernel) / stride + 1;
}

static void put_link(struct text *t, const struct drawn *source, const struct drawn *to, struct gle_rng *rng)
{
    struct drawn from = *source;

    if (count(source) == count(to) && chance(rng, 6)) {
        put(t, ", connect: one_to_one");
        return;
    }
    /* of so many pairs, some are joined */
    put(t, ", connect: {type: %s", count(source) / 4 * count(to) > 19 && chance(rng, 5) ? "sparse, probability: 0.6"
                                                                                       : "dense");
    put_pool(t, &from, rng);
    put(t, "}");
}

static void put_feedback(struct text *t, struct gle_rng *rng)
{
    static const char *const ways[] = {"transpose", "transpose", "transpose", "fixed", "none"};

    put(t, ", feedback: %s", ways[pick(rng, sizeof ways / sizeof *ways)]);
}

/* Layer i of n, which reads the one before it, so that all lead to the last; others, further on or itself, by chance.
 * back: a layer before the last one is the output, and the first one reads it. */
static void put_layer(struct text *t, struct drawn *layers, const struct drawn *input, size_t i, size_t n,
                      struct gle_rng *rng)
{
    static const char *const activations[] = {"tanh", "softplus", "linear", "sigmoid"};
    const struct drawn *source = i ? &layers[i - 1] : input;
    const bool conv = source->dims && chance(rng, 7);
    const size_t n_more = pick(rng, 4);

    put(t, "    - name: l%zu\n      activation: %s\n      gamma: %.3f\n", i, activations[pick(rng, 4)],
        chance(rng, 4) ? draw(rng, 0.0, 0.3) : 0.0);
    put(t, "      bias: %s\n", chance(rng, 2) ? "none" : "linear");
    if (chance(rng, 2))
        put(t, "      plastic: [%s]\n", chance(rng, 5) ? "tau_m" : "");
    layers[i] = (struct drawn){.channels = 1 + pick(rng, conv ? 3 : 5), .size = {1, 1}};
    put(t, "      neurons: {%s: %zu, ", conv ? "channels" : "count", layers[i].channels);
    put_taus(t, rng);
    put(t, "}\n      from:\n        - {layer: %s", i ? "" : "input");
    if (i)
        put(t, "l%zu", i - 1);
    if (chance(rng, 4))
        put(t, ", delay: %.1f", 0.1 * (double)(i ? 1 + pick(rng, 4) : pick(rng, 4)));
    if (conv)
        put_conv(t, source, &layers[i], layers[i].channels, rng);
    else
        put_link(t, source, &layers[i], rng);
    if (i)
        put_feedback(t, rng);
    put(t, "}\n");
    for (size_t k = 0; k < n_more; k++) {
        const size_t from = pick(rng, n + 1);
        if (from >= i + 1 && from < n) { /* one further on, whose shape is not drawn yet */
            put(t, "        - {name: s%zu, layer: l%zu, weight: {type: normal, std: 0.2}", k, from);
        } else {
            put(t, "        - {name: s%zu, layer: %s", k, from == n ? "input" : "");
            if (from < n)
                put(t, "l%zu, weight: {type: normal, std: 0.2}", from);
            put_link(t, from == n ? input : &layers[from], &layers[i], rng);
        }
        if (chance(rng, 5))
            put(t, ", delay: %.1f", 0.1 * (double)(from < n ? 1 + pick(rng, 4) : pick(rng, 4)));
        if (from < n)
            put_feedback(t, rng);
        if (chance(rng, 2))
            put(t, ", plastic: false");
        put(t, "}\n");
    }
}

static void random_graph(struct text *t, struct gle_rng *rng)
{
    struct drawn layers[5], input = {.channels = 1 + pick(rng, 4), .size = {1, 1}};
    const size_t n = 1 + pick(rng, 4);

    t->n = 0;
    put(t, "glesim: 1\nname: graph\ndt: 0.1\nseed: %zu\ndataset: {type: npz, file: none.npz}\nnetwork:\n",
        pick(rng, 1000));
    if (chance(rng, 5)) {
        input = (struct drawn){.channels = 1 + pick(rng, 2), .dims = 1 + pick(rng, 2), .size = {1, 3 + pick(rng, 4)}};
        input.size[0] = input.dims == 2 ? 2 + pick(rng, 3) : 1;
        put(t, "  input: {channels: %zu, size: [", input.channels);
        put(t, input.dims == 1 ? "%zu]}\n" : "%zu, %zu]}\n", input.dims == 1 ? input.size[1] : input.size[0],
            input.size[1]);
    } else {
        put(t, "  input: %zu\n", input.channels);
    }
    put(t, "  layers:\n");
    for (size_t i = 0; i < n; i++)
        put_layer(t, layers, &input, i, n, rng);
    put(t, "learning:\n  rule: %s\n  loss: %s\n  beta: %.3f\n  plastic: [weight, bias, tau_m]\n"
        "  optimizer: {type: sgd, lr: 0.1}\ntraining: {epochs: 0, batch_size: %d, test_batch_size: %d}\n",
        chance(rng, 6) ? "gle" : "bp", chance(rng, 5) ? "mse" : "cross_entropy", draw(rng, 0.3, 1.0), ROWS, ROWS_MAX);
}

/* --- comparing --- */

/* A net, what it should be, and how far it may be from that. */
struct trial {
    struct text text;
    struct built b;
    struct graph_oracle *exact, *noisy[COPIES];
    double x[ROWS_MAX * 64], y[ROWS_MAX * 512];
    bool fragile; /* rounding has grown so far that nothing can be said */
    size_t net;
    float values[ROWS_MAX * NUMBERS_MAX];
};

static void draw_reading(struct trial *t, size_t B, struct gle_rng *rng)
{
    const size_t n_top = gle_experiment_top(t->b.exp)->n, n_input = t->b.exp->n_input;
    size_t ld_x, ld_y;
    float *x = gle_net_input(t->b.net, &ld_x), *y = gle_net_target(t->b.net, &ld_y);

    assert_true(n_input <= 64 && n_top <= 512);
    for (size_t b = 0; b < B; b++) {
        for (size_t k = 0; k < n_input; k++) {
            x[b * ld_x + k] = (float)draw(rng, -1.0, 1.0);
            t->x[b * n_input + k] = (double)x[b * ld_x + k];
        }
        random_target(t->y + b * n_top, n_top, t->b.exp, rng);
        for (size_t k = 0; k < n_top; k++) {
            y[b * ld_y + k] = (float)t->y[b * n_top + k];
            t->y[b * n_top + k] = (double)y[b * ld_y + k];
        }
    }
}

/* n values of the net against what an array of the oracles has: `offset` finds it in each. */
static void compare(struct trial *t, const char *what, size_t n, const double *exact)
{
    const ptrdiff_t at = exact - t->exact->memory;
    double size = 0.0;

    for (size_t k = 0; k < n; k++)
        size = fabs(exact[k]) > size ? fabs(exact[k]) : size;
    for (size_t k = 0; k < n && !t->fragile; k++) {
        double off = 0.0;
        for (size_t c = 0; c < COPIES; c++)
            off = fmax(off, fabs(t->noisy[c]->memory[at + (ptrdiff_t)k] - exact[k]));
        t->fragile = off > 1e-3 * (1.0 + size) || !(size < 1e4);
        if (!t->fragile && !(fabs((double)t->values[k] - exact[k]) <= TIMES * off + LEAST * size + FLOOR))
        {
            fputs(t->text.yaml, stderr); /* longer than what a message can hold */
            fail_msg("net %zu, %s, number %zu of %zu: %.9g, where %.9g is wanted; rounding explains %.3g", t->net, what,
                     k, n, (double)t->values[k], exact[k], TIMES * off + LEAST * size + FLOOR);
        }
    }
}

static void compare_states(struct trial *t)
{
    const struct gle_graph *g = t->b.graph;

    for (size_t i = 0; i < g->n_populations; i++) {
        const struct graph_oracle_layer *l = &t->exact->layers[i];
        const struct {
            const char *name;
            const double *values;
        } of[] = {{"u", l->u}, {"v", l->v}, {"r", l->r}, {"e", l->e}, {"prosp_u", l->prosp_u}};
        for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
            const size_t field = gle_graph_variable(g, i, of[k].name, 0);
            char what[64];
            if (!gle_net_has_var(t->b.net, field))
                continue;
            snprintf(what, sizeof what, "l%zu.%s", i, of[k].name);
            gle_net_get_var(t->b.net, field, t->values);
            compare(t, what, t->exact->B * l->n, of[k].values);
        }
    }
}

/* Gradients, after which parameters follow them in the oracles, too: by what the net has made of them. */
static void compare_gradients(struct trial *t)
{
    for (size_t i = 0; i < t->b.graph->n_parameters; i++) {
        const struct gle_parameter *p = &t->b.graph->parameters[i];
        double *gradient, *values;
        char what[GLE_FIELD_LABEL];
        size_t n;
        if (!gle_net_learns(t->b.net, i))
            continue;
        values = graph_oracle_param(t->exact, p, &gradient, &n);
        gle_field_label(what, sizeof what, &p->field);
        gle_net_get_gradient(t->b.net, i, t->values);
        compare(t, what, n, gradient);
        gle_net_get_param(t->b.net, i, t->values);
        for (size_t k = 0; k < n; k++) {
            const double moved = values[k] - 1e-2 * gradient[k];
            if (!t->fragile && p->kind != GLE_TAU_M &&
                !(fabs((double)t->values[k] - moved) < 1e-5 + 1e-5 * fabs(moved)))
                fail_msg("net %zu, %s: number %zu went to %.9g, not to %.9g\n%s", t->net, what, k, (double)t->values[k],
                         moved, t->text.yaml);
            values[k] = (double)t->values[k];
            for (size_t c = 0; c < COPIES; c++)
                t->noisy[c]->memory[values + k - t->exact->memory] = (double)t->values[k];
        }
    }
}

static void take_step(struct trial *t, size_t B, bool learn, bool nudge, struct gle_rng *rng)
{
    const struct gle_step step = {.learn = learn, .nudge = nudge, .lr = 1e-2};
    struct gle_error err = {0};
    double loss, wanted;

    draw_reading(t, B, rng);
    if (gle_net_step(t->b.net, &step, &loss, &err)) {
        t->fragile = true;
        return;
    }
    wanted = graph_oracle_step(t->exact, t->x, t->y, learn || nudge);
    for (size_t c = 0; c < COPIES; c++)
        (void)graph_oracle_step(t->noisy[c], t->x, t->y, learn || nudge);
    compare_states(t);
    if (!t->fragile && !(fabs(loss / (double)B - wanted) < 1e-3 * (1.0 + fabs(wanted))))
        fail_msg("net %zu: a loss of %.9g, where %.9g is wanted\n%s", t->net, loss / (double)B, wanted, t->text.yaml);
    if (learn)
        compare_gradients(t);
}

static void set_batch(struct trial *t, size_t B)
{
    gle_net_set_batch(t->b.net, B);
    graph_oracle_set_batch(t->exact, B);
    for (size_t c = 0; c < COPIES; c++)
        graph_oracle_set_batch(t->noisy[c], B);
}

/* --- exact gradients --- */

static double window_loss(struct graph_oracle *o, const double *start, const double *x, const double *y, size_t n_x,
                          size_t n_y)
{
    double loss = 0.0;
    double *params = malloc(o->n_memory * sizeof *params);

    assert_non_null(params);
    memcpy(params, o->memory, o->n_memory * sizeof *params);
    for (size_t t = 0; t < WINDOW; t++)
        loss += graph_oracle_step(o, x + t * n_x, y + t * n_y, true);
    memcpy(o->memory, start, o->n_memory * sizeof *params);
    free(params);
    return loss;
}

/* Central differences of the oracle against the net's window, of some numbers of each parameter. */
static void check_window(struct trial *t, struct gle_rng *rng)
{
    const struct gle_rule *bptt = (const struct gle_rule *)gle_table_find(&gle_rule_table, "bptt");
    const struct gle_step step = {.nudge = true};
    struct graph_oracle *o = t->exact;
    const size_t n_x = o->B * o->n_input, n_y = o->B * gle_experiment_top(t->b.exp)->n;
    double *x = calloc(WINDOW * n_x, sizeof *x), *y = calloc(WINDOW * n_y, sizeof *y), *start, most = 0.0, loss;
    struct gle_error err = {0};
    const double h = 1e-5;

    start = malloc(o->n_memory * sizeof *start);
    assert_non_null(start);
    memcpy(start, o->memory, o->n_memory * sizeof *start);
    gle_net_begin_window(t->b.net);
    for (size_t k = 0; k < WINDOW; k++) {
        draw_reading(t, o->B, rng);
        memcpy(x + k * n_x, t->x, n_x * sizeof *x);
        memcpy(y + k * n_y, t->y, n_y * sizeof *y);
        if (gle_net_step(t->b.net, &step, &loss, &err))
            t->fragile = true;
    }
    if (t->fragile || gle_net_end_window(t->b.net, bptt, false, 0.0, &err)) {
        t->fragile = true;
        goto done;
    }
    for (int round = 0; round < 2; round++) /* first the size of the gradient, then what it is */
        for (size_t i = 0; i < t->b.graph->n_parameters; i++) {
            const struct gle_parameter *p = &t->b.graph->parameters[i];
            double *gradient, *values;
            size_t n;
            if (!p->plastic)
                continue;
            values = graph_oracle_param(o, p, &gradient, &n);
            gle_net_get_gradient(t->b.net, i, t->values);
            for (size_t k = 0; k < n && !round; k++)
                most = fmax(most, fabs((double)t->values[k]));
            for (size_t k = pick(rng, n); k < n && round; k += 1 + pick(rng, n)) {
                const double at = values[k];
                double high, low, wanted;
                start[values + k - o->memory] = values[k] = at + h;
                high = window_loss(o, start, x, y, n_x, n_y);
                start[values + k - o->memory] = values[k] = at - h;
                memcpy(o->memory, start, o->n_memory * sizeof *start);
                low = window_loss(o, start, x, y, n_x, n_y);
                start[values + k - o->memory] = at;
                memcpy(o->memory, start, o->n_memory * sizeof *start);
                wanted = (high - low) / (2.0 * h);
                if (!(fabs((double)t->values[k] - wanted) <= 1e-3 * most + 1e-6)) {
                    char what[GLE_FIELD_LABEL];
                    gle_field_label(what, sizeof what, &p->field);
                    fail_msg("net %zu, %s, number %zu: an exact gradient of %.9g, where differences give %.9g\n%s",
                             t->net, what, k, (double)t->values[k], wanted, t->text.yaml);
                }
            }
        }
done:
    free(x);
    free(y);
    free(start);
}

/* --- trials --- */

static void run_trial(struct trial *t, size_t net)
{
    struct gle_rng rng;

    seed_net(&rng, net);
    t->net = net;
    t->fragile = false;
    random_graph(&t->text, &rng);
    t->b = build_windows(t->text.yaml, WINDOW, 1);
    gle_net_set_batch(t->b.net, ROWS);
    t->exact = graph_oracle_build(t->b.graph, t->b.net, ROWS_MAX);
    t->exact->B = ROWS;
    for (size_t c = 0; c < COPIES; c++) {
        t->noisy[c] = graph_oracle_build(t->b.graph, t->b.net, ROWS_MAX);
        t->noisy[c]->B = ROWS;
        t->noisy[c]->noise = ROUNDING;
        t->noisy[c]->noise_state = 1000 * net + c;
    }
    for (size_t k = 0; k < 8 && !t->fragile; k++)
        take_step(t, ROWS, true, false, &rng);
    set_batch(t, ROWS_MAX);
    for (size_t k = 0; k < 3 && !t->fragile; k++)
        take_step(t, ROWS_MAX, false, false, &rng);
    set_batch(t, 2);
    for (size_t k = 0; k < 3 && !t->fragile; k++)
        take_step(t, 2, true, false, &rng);
    set_batch(t, ROWS); /* as many as a window has room for */
    if (!t->fragile)
        check_window(t, &rng);
    graph_oracle_destroy(t->exact);
    for (size_t c = 0; c < COPIES; c++)
        graph_oracle_destroy(t->noisy[c]);
    built_clear(&t->b);
}

static void random_graphs_agree_with_the_oracle(void **state)
{
    struct trial *t = calloc(1, sizeof *t);
    size_t fragile = 0;

    (void)state;
    assert_non_null(t);
    for (size_t net = 0; net < NETS; net++) {
        run_trial(t, net);
        fragile += t->fragile;
    }
    print_message("%d graphs, of which %zu amplify rounding too much to be compared to the end\n", NETS, fragile);
    assert_true(fragile < NETS / 10);
    free(t);
}

/* --- threads --- */

/* Wide enough for several threads; the first is cut into whole layers, the second shared by rows. */
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

/* What a net holds after some learning steps and a window, as one list of numbers. Owns: free(). */
static float *course(size_t *n, const char *network, size_t threads, size_t *used)
{
    const struct gle_rule *bptt = (const struct gle_rule *)gle_table_find(&gle_rule_table, "bptt");
    struct text text = {.n = 0};
    struct built b;
    struct gle_rng rng;
    struct gle_error err = {0};
    float *out;

    put(&text, "glesim: 1\nname: wide\ndt: 0.1\nseed: 3\ndataset: {type: npz, file: none.npz}\nnetwork:\n%s"
        "learning: {rule: gle, loss: mse, gamma: 0.1, plastic: [weight, bias, tau_m], optimizer: {type: adam}}\n"
        "training: {epochs: 0, batch_size: 61}\n", network);
    b = build_windows(text.yaml, WINDOW, threads);
    *used = gle_net_threads(b.net);
    gle_rng_seed(&rng, 9);
    for (size_t t = 0; t < 2 * WINDOW; t++) {
        const bool window = t >= WINDOW;
        const struct gle_step step = {.learn = !window, .nudge = window, .lr = 1e-3};
        size_t ld_x, ld_y;
        float *x = gle_net_input(b.net, &ld_x), *y = gle_net_target(b.net, &ld_y);
        double loss;
        for (size_t k = 0; k < 61; k++) {
            for (size_t i = 0; i < b.exp->n_input; i++)
                x[k * ld_x + i] = (float)draw(&rng, -1.0, 1.0);
            for (size_t i = 0; i < gle_experiment_top(b.exp)->n; i++)
                y[k * ld_y + i] = (float)draw(&rng, -1.0, 1.0);
        }
        if (t == WINDOW)
            gle_net_begin_window(b.net);
        if (gle_net_step(b.net, &step, &loss, &err))
            fail_msg("%s", err.text);
    }
    if (gle_net_end_window(b.net, bptt, true, 1e-3, &err))
        fail_msg("%s", err.text);
    *n = 0;
    for (size_t i = 0; i < b.graph->n_parameters; i++)
        *n += 2 * gle_field_size(&b.graph->parameters[i].field);
    out = calloc(*n, sizeof *out);
    assert_non_null(out);
    *n = 0;
    for (size_t i = 0; i < b.graph->n_parameters; i++) {
        gle_net_get_param(b.net, i, out + *n);
        *n += gle_field_size(&b.graph->parameters[i].field);
        gle_net_get_gradient(b.net, i, out + *n);
        *n += gle_field_size(&b.graph->parameters[i].field);
    }
    built_clear(&b);
    return out;
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof wide / sizeof *wide; k++) {
        size_t n, used;
        float *one = course(&n, wide[k], 1, &used);
        for (size_t threads = 2; threads <= 5; threads++) {
            size_t m;
            float *several = course(&m, wide[k], threads, &used);
            assert_int_equal(m, n);
            assert_true(used > 1);
            assert_memory_equal(several, one, n * sizeof *one);
            free(several);
        }
        free(one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_agree_with_the_oracle),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
