/* Graphs drawn at random, with all links, loops, delays and ways of feedback, against the oracle: states, errors and
 * local gradients after every step, exact gradients against its central differences, and those of the adjoint equations
 * against its own. */
#include "../support/build.h"
#include "../support/graph_oracle.h"
#include "../support/random_graph.h"
#include "base/memory.h"
#include "parts/rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
enum { NETS = 60, FEWER = 30 };
#else
enum { NETS = 520, FEWER = 130 };
#endif
/* More rows than go through a convolution at a time. */
enum { COPIES = 4, ROWS = 9, ROWS_MAX = 11, WINDOW = 6, NUMBERS_MAX = 4096 };

/* Half the distance between neighbouring floats near 1, of every result; how many times the largest of the deviations
 * that it leads to in a few tries a value may be off; and what it may be off in any case, of its size and of 1. */
static const double ROUNDING = 0x1p-24, TIMES = 10.0, LEAST = 4e-6, FLOOR = 3e-8;
/* What a gradient of a window may be off, of the largest of all parameters. */
static const double GRADIENT = 1e-4;
static const double LR = 1e-2; /* of steps that learn */

/* --- comparing --- */

/* A net, what it should be, and how far it may be from that. */
struct trial {
    struct text text;
    struct built b;
    struct graph_oracle *exact, *noisy[COPIES];
    double x[ROWS_MAX * 64], y[ROWS_MAX * 512];
    bool fragile; /* rounding has grown so far that nothing can be said */
    size_t net;
    double *sums;      /* of gradients, in the places of those in the oracle's memory */
    uint64_t gathered; /* steps */
    float values[ROWS_MAX * NUMBERS_MAX];
};

/* errors: they can be looked at whatever the rule. */
static void build_net(struct trial *t, bool errors)
{
    const struct gle_graph_options options = {
        .observed = true, .errors = errors, .e_inst = errors, .tape_steps = WINDOW};
    struct gle_error err = {0};
    struct gle_rng rng;

    t->b = built_load(t->text.yaml);
    gle_rng_seed(&rng, t->b.exp->seed);
    if (gle_graph_build(&t->b.graph, t->b.exp, &options, &err) || gle_net_build(&t->b.net, t->b.graph, 1, &err))
        fail_msg("%s\n%s", err.text, t->text.yaml);
    to_device(t->b.net);
    if (gle_net_init(t->b.net, &rng, &err))
        fail_msg("%s\n%s", err.text, t->text.yaml);
}

static void open_trial(struct trial *t, size_t net, const char *rule, bool smooth, struct gle_rng *rng)
{
    const struct graph_kind kind = {
        .rows = ROWS, .rows_max = ROWS_MAX, .smooth = smooth, .hardware = net % 2 == 1, .rule = rule};

    t->net = net;
    t->fragile = false;
    random_graph(&t->text, &kind, rng);
    build_net(t, !rule);
    gle_net_set_batch(t->b.net, ROWS);
    t->exact = graph_oracle_build(t->b.graph, t->b.net, ROWS_MAX);
    t->exact->B = ROWS;
    t->sums = calloc(t->exact->n_memory, sizeof *t->sums);
    t->gathered = 0;
    for (size_t c = 0; c < COPIES; c++) {
        t->noisy[c] = graph_oracle_build(t->b.graph, t->b.net, ROWS_MAX);
        t->noisy[c]->B = ROWS;
        t->noisy[c]->noise = ROUNDING;
        t->noisy[c]->noise_state = 1000 * net + c;
    }
}

static void close_trial(struct trial *t)
{
    graph_oracle_destroy(t->exact);
    free(t->sums);
    for (size_t c = 0; c < COPIES; c++)
        graph_oracle_destroy(t->noisy[c]);
    built_clear(&t->b);
}

/* Draws what the next step reads, which the net and the oracles get. */
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
        } of[] = {{"u", l->u}, {"v", l->v},           {"r", l->r},
                  {"e", l->e}, {"e_inst", l->e_inst}, {"prosp_u", l->prosp_u}, {"s", l->s}};
        for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
            const size_t field = gle_graph_variable(g, i, of[k].name, 0);
            char what[64];
            if (!gle_net_has_var(t->b.net, field))
                continue;
            snprintf(what, sizeof what, "%s.%s", t->b.exp->layers[i].name, of[k].name);
            gle_net_get_var(t->b.net, field, t->values);
            compare(t, what, t->exact->B * l->n, of[k].values);
        }
    }
}

/* Gradients of a step; those of some steps are added up. */
static void compare_gradients(struct trial *t)
{
    for (size_t i = 0; i < t->b.graph->n_parameters; i++) {
        const struct gle_parameter *p = &t->b.graph->parameters[i];
        double *gradient, *sum;
        char what[GLE_FIELD_LABEL];
        size_t n;
        if (!gle_net_learns(t->b.net, i) && !graph_oracle_is_moving(t->exact, p))
            continue;
        (void)graph_oracle_param(t->exact, p, &gradient, &n);
        gle_field_label(what, sizeof what, &p->field);
        gle_net_get_gradient(t->b.net, i, t->values);
        compare(t, what, n, gradient);
        sum = t->sums + (gradient - t->exact->memory);
        for (size_t k = 0; gle_net_learns(t->b.net, i) && k < n; k++)
            sum[k] = (t->gathered ? sum[k] : 0.0) + gradient[k];
    }
    t->gathered++;
}

/* What a limit of the norm leaves of the mean. */
static double share_of(const struct trial *t, uint64_t every)
{
    double sum = 0.0;

    for (size_t i = 0; i < t->b.graph->n_parameters; i++) {
        double *gradient, *sums;
        size_t n;
        if (!gle_net_learns(t->b.net, i))
            continue;
        (void)graph_oracle_param(t->exact, &t->b.graph->parameters[i], &gradient, &n);
        sums = t->sums + (gradient - t->exact->memory);
        for (size_t k = 0; k < n; k++)
            sum += sums[k] * sums[k];
    }
    return t->b.exp->clip > 0.0 ? fmin(1.0, t->b.exp->clip / (sqrt(sum) / (double)every + 1e-6)) : 1.0;
}

/* Parameters follow the mean of gradients of enough steps, and stay till then; in the oracles, too: by what the net has
 * made of them. */
static void compare_moves(struct trial *t)
{
    const uint64_t every = t->b.exp->update_every;
    const bool steps = t->gathered == every;
    const double lr = steps ? LR / (double)every * share_of(t, every) : 0.0;

    for (size_t i = 0; i < t->b.graph->n_parameters; i++) {
        const struct gle_parameter *p = &t->b.graph->parameters[i];
        double *gradient, *values, *sum;
        char what[GLE_FIELD_LABEL];
        bool aligns;
        size_t n;
        if (!gle_net_learns(t->b.net, i) && !graph_oracle_is_moving(t->exact, p))
            continue;
        values = graph_oracle_param(t->exact, p, &gradient, &n);
        aligns = graph_oracle_is_aligning(t->exact, p);
        sum = t->sums + (gradient - t->exact->memory); /* of B that moves along with W, that of W */
        gle_field_label(what, sizeof what, &p->field);
        gle_net_get_param(t->b.net, i, t->values);
        for (size_t k = 0; k < n; k++) {
            const double low = p->bounds ? p->bounds->low : -INFINITY;
            const double moved = steps || aligns ? graph_oracle_moved(t->exact, p, values[k],
                                                                      aligns ? gradient[k] : sum[k], lr)
                                                 : values[k];
            const double wanted = fmax(moved, low);
            if (!t->fragile && !(fabs((double)t->values[k] - wanted) < 1e-5 + 1e-5 * fabs(wanted)))
                fail_msg("net %zu, %s: number %zu went to %.9g, not to %.9g\n%s", t->net, what, k, (double)t->values[k],
                         wanted, t->text.yaml);
            values[k] = (double)t->values[k];
            for (size_t c = 0; c < COPIES; c++)
                t->noisy[c]->memory[values + k - t->exact->memory] = (double)t->values[k];
        }
    }
    graph_oracle_quantize(t->exact);
    for (size_t c = 0; c < COPIES; c++)
        graph_oracle_quantize(t->noisy[c]);
    t->gathered %= every;
}

/* One step, which learns, is driven by the target error, or neither; now and then nothing is asked for. */
static void take_step(struct trial *t, size_t B, bool learn, bool nudge, struct gle_rng *rng)
{
    const struct gle_step step = {.learn = learn, .nudge = nudge, .unasked = !pick(rng, 6), .lr = LR};
    const double *y = step.unasked ? NULL : t->y;
    struct gle_error err = {0};
    double loss, wanted;

    draw_reading(t, B, rng);
    if (gle_net_step(t->b.net, &step, &loss, &err)) {
        t->fragile = true;
        return;
    }
    wanted = graph_oracle_step(t->exact, t->x, y, learn || nudge);
    for (size_t c = 0; c < COPIES; c++)
        (void)graph_oracle_step(t->noisy[c], t->x, y, learn || nudge);
    compare_states(t);
    if (!t->fragile && !(fabs(loss / (double)B - wanted) < 1e-3 * (1.0 + fabs(wanted))))
        fail_msg("net %zu: a loss of %.9g, where %.9g is wanted\n%s", t->net, loss / (double)B, wanted, t->text.yaml);
    if (!learn)
        return;
    compare_gradients(t);
    compare_moves(t);
}

/* A batch of B rows, before which the state of all layers may become zero. */
static void begin_batch(struct trial *t, size_t B, bool reset_all)
{
    gle_net_set_batch(t->b.net, B);
    gle_net_begin_batch(t->b.net, reset_all);
    graph_oracle_set_batch(t->exact, B);
    graph_oracle_reset(t->exact, reset_all);
    for (size_t c = 0; c < COPIES; c++) {
        graph_oracle_set_batch(t->noisy[c], B);
        graph_oracle_reset(t->noisy[c], reset_all);
    }
}

/* --- windows --- */

/* What T steps read, and what they are asked for; y of a step NULL: nothing. */
struct stretch {
    size_t T, n_x, n_y;
    double *x, *targets;
    const double *y[WINDOW];
};

static void stretch_free(struct stretch *s)
{
    free(s->x);
    free(s->targets);
}

/* Has the net make the steps of a window; that may be shorter than a delay. */
static struct stretch fill_window(struct trial *t, struct gle_rng *rng)
{
    const size_t B = t->exact->B;
    struct stretch s = {.T = 2 + pick(rng, WINDOW - 1)};
    struct gle_error err = {0};
    double loss;

    s.n_x = B * t->exact->n_input;
    s.n_y = B * gle_experiment_top(t->b.exp)->n;
    s.x = calloc(WINDOW * s.n_x, sizeof *s.x);
    s.targets = calloc(WINDOW * s.n_y, sizeof *s.targets);
    assert_true(s.x && s.targets);
    gle_net_begin_window(t->b.net);
    for (size_t k = 0; k < s.T; k++) {
        const struct gle_step step = {.nudge = true, .unasked = !pick(rng, 6)};
        draw_reading(t, B, rng);
        memcpy(s.x + k * s.n_x, t->x, s.n_x * sizeof *s.x);
        memcpy(s.targets + k * s.n_y, t->y, s.n_y * sizeof *s.targets);
        s.y[k] = step.unasked ? NULL : s.targets + k * s.n_y;
        t->fragile = gle_net_step(t->b.net, &step, &loss, &err) || t->fragile;
    }
    return s;
}

/* The largest of a window's gradients, of all parameters. */
static double largest_gradient(struct trial *t)
{
    double most = 0.0;

    for (size_t i = 0; i < t->b.graph->n_parameters; i++) {
        const struct gle_parameter *p = &t->b.graph->parameters[i];
        gle_net_get_gradient(t->b.net, i, t->values);
        for (size_t k = 0; p->plastic && k < gle_field_size(&p->field); k++)
            most = fmax(most, fabs((double)t->values[k]));
    }
    return most;
}

/* off: what `wanted` itself may be off. */
static void check_gradient(const struct trial *t, const struct gle_parameter *p, size_t k, double wanted, double off,
                           double most)
{
    char what[GLE_FIELD_LABEL];

    if (fabs((double)t->values[k] - wanted) <= GRADIENT * most + off + 1e-7)
        return;
    gle_field_label(what, sizeof what, &p->field);
    fputs(t->text.yaml, stderr);
    fail_msg("net %zu, %s, number %zu: a gradient of %.9g, where %.9g is wanted; the largest is %.3g", t->net, what, k,
             (double)t->values[k], wanted, most);
}

/* The loss summed over a stretch with one number of the oracle's changed; all is then as before. */
static double window_loss(struct graph_oracle *o, const double *start, double *number, double value,
                          const struct stretch *s)
{
    double loss = 0.0;

    *number = value;
    for (size_t t = 0; t < s->T; t++)
        loss += graph_oracle_step(o, s->x + t * s->n_x, s->y[t], true);
    memcpy(o->memory, start, o->n_memory * sizeof *start);
    o->steps -= s->T;
    return loss;
}

/* Central differences of the oracle against the net's window, of some numbers of each parameter. */
static void check_differences(struct trial *t, const struct stretch *s, struct gle_rng *rng)
{
    const double h = 1e-5, most = largest_gradient(t);
    struct graph_oracle *o = t->exact;
    double *start = malloc(o->n_memory * sizeof *start), loss;

    assert_non_null(start);
    memcpy(start, o->memory, o->n_memory * sizeof *start);
    loss = window_loss(o, start, o->memory, *o->memory, s); /* which changes nothing */
    for (size_t i = 0; i < t->b.graph->n_parameters; i++) {
        const struct gle_parameter *p = &t->b.graph->parameters[i];
        double *gradient, *values;
        size_t n;
        if (!p->plastic)
            continue;
        values = graph_oracle_param(o, p, &gradient, &n);
        gle_net_get_gradient(t->b.net, i, t->values);
        for (size_t k = pick(rng, n); k < n; k += 1 + pick(rng, n)) {
            const double high = window_loss(o, start, &values[k], values[k] + h, s);
            const double low = window_loss(o, start, &values[k], values[k] - h, s);
            const double kinks = fabs(high - 2.0 * loss + low) / (2.0 * h); /* where maxima of a pool change places */
            check_gradient(t, p, k, (high - low) / (2.0 * h), kinks, most);
        }
    }
    free(start);
}

static bool end_window(struct trial *t, const char *rule)
{
    struct gle_error err = {0};

    t->fragile =
        t->fragile || gle_net_end_window(t->b.net, (const struct gle_rule *)gle_table_find(&gle_rule_table, rule),
                                         false, 0.0, &err);
    return !t->fragile;
}

/* --- trials --- */

static void run_trial(struct trial *t, size_t net)
{
    struct stretch s;
    struct gle_rng rng;

    seed_net(&rng, net);
    open_trial(t, net, NULL, false, &rng);
    for (size_t k = 0; k < 8 && !t->fragile; k++)
        take_step(t, ROWS, true, false, &rng);
    begin_batch(t, ROWS_MAX, !pick(&rng, 4));
    for (size_t k = 0; k < 3 && !t->fragile; k++)
        take_step(t, ROWS_MAX, false, pick(&rng, 2), &rng);
    begin_batch(t, 2, !pick(&rng, 4));
    for (size_t k = 0; k < 3 && !t->fragile; k++)
        take_step(t, 2, true, false, &rng);
    begin_batch(t, ROWS, false); /* as many as a window has room for */
    if (!t->fragile) {
        s = fill_window(t, &rng);
        if (end_window(t, "bptt"))
            check_differences(t, &s, &rng);
        stretch_free(&s);
    }
    close_trial(t);
}

/* Steps of rule bptt find errors only where they feed back into membranes. */
static void bptt_trial(struct trial *t, size_t net)
{
    struct stretch s;
    struct gle_rng rng;

    seed_net(&rng, 10000 + net);
    open_trial(t, net, "bptt", false, &rng);
    for (size_t k = 0; k < 6 && !t->fragile; k++)
        take_step(t, ROWS, false, true, &rng);
    s = fill_window(t, &rng);
    if (end_window(t, "bptt"))
        check_differences(t, &s, &rng);
    stretch_free(&s);
    close_trial(t);
}

static void adjoint_trial(struct trial *t, size_t net)
{
    struct stretch s;
    struct gle_rng rng;

    seed_net(&rng, 20000 + net);
    open_trial(t, net, "adjoint", true, &rng);
    for (size_t k = 0; k < 6 && !t->fragile; k++)
        take_step(t, ROWS, false, true, &rng);
    s = fill_window(t, &rng);
    if (end_window(t, "adjoint")) {
        const double most = largest_gradient(t);
        graph_oracle_adjoint(t->exact, s.x, s.y, s.T);
        for (size_t i = 0; i < t->b.graph->n_parameters; i++) {
            const struct gle_parameter *p = &t->b.graph->parameters[i];
            double *gradient;
            size_t n;
            (void)graph_oracle_param(t->exact, p, &gradient, &n);
            gle_net_get_gradient(t->b.net, i, t->values);
            for (size_t k = 0; p->plastic && k < n; k++)
                check_gradient(t, p, k, gradient[k], 0.0, most);
        }
    }
    stretch_free(&s);
    close_trial(t);
}

static void try_all(void (*run)(struct trial *t, size_t net), size_t nets)
{
    struct trial *t = calloc(1, sizeof *t);
    size_t fragile = 0;

    assert_non_null(t);
    for (size_t net = 0; net < nets; net++) {
        run(t, net);
        fragile += t->fragile;
    }
    print_message("%zu graphs, of which %zu amplify rounding too much to be compared to the end\n", nets, fragile);
    assert_true(fragile < nets / 10);
    free(t);
}

static void random_graphs_agree_with_the_oracle(void **state)
{
    (void)state;
    try_all(run_trial, NETS);
}

static void windows_without_errors_agree_with_the_oracle(void **state)
{
    (void)state;
    try_all(bptt_trial, FEWER);
}

static void adjoint_equations_of_graphs_without_loops_agree_with_the_oracle(void **state)
{
    (void)state;
    try_all(adjoint_trial, FEWER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_agree_with_the_oracle),
        cmocka_unit_test(windows_without_errors_agree_with_the_oracle),
        cmocka_unit_test(adjoint_equations_of_graphs_without_loops_agree_with_the_oracle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
