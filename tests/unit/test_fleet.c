/* Nets of many threads on a device: side by side, each gives the bits that it gives alone. */
#include "../support/build.h"
#include "../support/random_graph.h"
#include "backend/device.h"
#include "parts/rule.h"
#include "solver/fleet.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRAPHS = 6, SHAPES = 2, THREADS = 7, CALLS = 60, ROWS = 4, ROWS_MAX = 6, WINDOW = 5 };
static const double LR = 1e-3;

/* All that a course has seen. */
struct record {
    float *v;
    size_t n;
    char error[512];
};

static float *more(struct record *r, size_t n)
{
    r->v = realloc(r->v, (r->n + n + 1) * sizeof *r->v); /* there may be none */
    if (!r->v)
        abort();
    r->n += n;
    return r->v + r->n - n;
}

/* What a thread does: calls drawn at random. A course that goes wild ends there. */
struct course {
    const struct gle_graph *graph;
    struct gle_fleet *fleet;
    uint64_t seed;
    size_t calls;
    bool goes_wild; /* half-way */
    bool learns;    /* all calls are learning steps, so that many nets learn in the same ones */
    struct record record;

    struct gle_net *net;
    struct gle_rng rng;
    size_t taped; /* steps of an open window, and one */
};

static void note_error(struct course *c, const struct gle_error *err)
{
    snprintf(c->record.error, sizeof c->record.error, "%s", err->text);
}

static void tell_losses(struct course *c, const double *losses, size_t n)
{
    memcpy(more(&c->record, n * sizeof *losses / sizeof(float)), losses, n * sizeof *losses);
}

static void show_something(struct course *c)
{
    const size_t B = gle_net_get_place(c->net).B, n_top = gle_experiment_top(c->graph->exp)->n;
    size_t ld_x, ld_y;
    float *x = gle_net_input(c->net, &ld_x), *y = gle_net_target(c->net, &ld_y);
    double target[1024];

    for (size_t b = 0; b < B; b++) {
        for (size_t k = 0; k < c->graph->n_input; k++)
            x[b * ld_x + k] = (float)draw(&c->rng, -1.0, 1.0);
        random_target(target, n_top, c->graph->exp, &c->rng);
        for (size_t k = 0; k < n_top; k++)
            y[b * ld_y + k] = (float)target[k];
    }
}

static int take_step(struct course *c, struct gle_error *err)
{
    const size_t kind = c->learns ? 0 : c->taped ? 1 : pick(&c->rng, 4);
    const struct gle_step step = {.learn = kind == 0, .nudge = kind == 1, .forward_only = kind == 2, .lr = LR};
    double losses[GLE_LOSSES];
    size_t n, ld;

    if (pick(&c->rng, 3)) /* else it is shown the same again */
        show_something(c);
    if (c->goes_wild && c->calls < CALLS / 2)
        *gle_net_input(c->net, &ld) = (float)INFINITY;
    if (gle_net_queue(c->net, &step, losses, &n, err))
        return -1;
    tell_losses(c, losses, n);
    c->taped += c->taped > 0;
    return 0;
}

static int window(struct course *c, struct gle_error *err)
{
    const struct gle_rule *bptt = (const struct gle_rule *)gle_table_find(&gle_rule_table, "bptt");

    if (!c->taped && gle_net_get_place(c->net).B <= ROWS) {
        gle_net_begin_window(c->net);
        c->taped = 1;
        return 0;
    }
    if (c->taped < 3)
        return 0;
    c->taped = 0;
    return gle_net_end_window(c->net, bptt, pick(&c->rng, 2), LR, err);
}

static void tell_parameters(struct course *c)
{
    for (size_t i = 0; i < c->graph->n_parameters; i++) {
        const struct gle_field *f = &c->graph->parameters[i].field;
        gle_net_get_param(c->net, i, more(&c->record, f->rows * f->cols));
        gle_net_get_followed(c->net, i, more(&c->record, f->rows * f->cols));
    }
    *more(&c->record, 1) = (float)gle_net_get_clipped(c->net);
}

static void tell_states(struct course *c)
{
    for (size_t i = 0; i < c->graph->n_fields; i++) {
        const struct gle_field *f = c->graph->fields[i];
        if (f->role == GLE_STATE && f->population != GLE_NO_POPULATION)
            gle_net_get_var(c->net, i, more(&c->record, gle_net_get_place(c->net).B * f->cols));
    }
}

static int collect(struct course *c, struct gle_error *err)
{
    double losses[GLE_LOSSES];
    size_t n;

    if (gle_net_collect(c->net, losses, &n, err))
        return -1;
    tell_losses(c, losses, n);
    n = gle_net_get_place(c->net).B * gle_experiment_top(c->graph->exp)->n;
    gle_net_get_output_sum(c->net, more(&c->record, n));
    return 0;
}

static int call(struct course *c, struct gle_error *err)
{
    const size_t which = pick(&c->rng, 20), B = 1 + pick(&c->rng, ROWS_MAX);

    if (c->learns || (which < 12 && c->taped <= WINDOW))
        return take_step(c, err);
    if (which < 15)
        return window(c, err);
    if (which == 15)
        return collect(c, err);
    if (c->taped)
        return 0;
    if (which == 16)
        tell_parameters(c);
    else if (which == 17)
        gle_net_keep(c->net);
    else if (which == 18)
        gle_net_recall(c->net);
    else {
        gle_net_set_batch(c->net, B);
        gle_net_begin_batch(c->net, pick(&c->rng, 2));
    }
    return 0;
}

static int go(struct course *c, struct gle_error *err)
{
    gle_rng_seed(&c->rng, c->seed);
    if (gle_net_build(&c->net, c->graph, 1, err) || gle_net_move(c->net, c->fleet, err) ||
        gle_net_init(c->net, &c->rng, err))
        return -1;
    gle_net_keep(c->net);
    for (size_t i = c->calls; i--;) {
        c->calls = i;
        if (call(c, err))
            return -1;
    }
    if (collect(c, err))
        return -1;
    tell_parameters(c);
    tell_states(c);
    return gle_net_tell(c->net, err);
}

static void *be_thread(void *ctx)
{
    struct course *c = ctx;
    struct gle_error err = {0};

    if (go(c, &err))
        note_error(c, &err);
    gle_net_destroy(c->net);
    gle_fleet_leave(c->fleet);
    return NULL;
}

static struct gle_fleet *fleet_of(size_t n)
{
    struct gle_fleet *fleet;
    struct gle_error err = {0};

    if (gle_fleet_open(&fleet, gle_fleet_device(test_fleet()), n, &err))
        fail_msg("%s", err.text);
    return fleet;
}

static void run_alone(struct course *c)
{
    c->fleet = fleet_of(1);
    be_thread(c);
    gle_fleet_close(c->fleet);
}

static void run_together(struct course *c, size_t n)
{
    struct gle_fleet *fleet = fleet_of(n);
    pthread_t threads[THREADS];

    for (size_t i = 0; i < n; i++) {
        c[i].fleet = fleet;
        assert_int_equal(pthread_create(&threads[i], NULL, be_thread, &c[i]), 0);
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    gle_fleet_close(fleet);
}

/* Of one of two shapes; the first has no calls at all, the second goes wild, and others have more and less to do. */
static struct course course_of(struct built *shapes, size_t i, bool learns)
{
    return (struct course){.graph = shapes[i % 3 == 2].graph,
                           .seed = 1000 + i,
                           .learns = learns,
                           .calls = i == 0 ? 0 : CALLS - 5 * (i % 3),
                           .goes_wild = i == 1};
}

static void build_shapes(struct built *shapes, uint64_t seed)
{
    const struct graph_kind kind = {.rows = ROWS, .rows_max = ROWS_MAX, .hardware = seed % 3 == 0,
                                    .clip = seed % 2 ? 1e-3 : 0.0};
    const struct gle_graph_options options = {.observed = seed % 2, .errors = true, .tape_steps = WINDOW};
    struct text *text = calloc(1, sizeof *text);
    struct gle_error err = {0};
    struct gle_rng rng;

    assert_non_null(text);
    gle_rng_seed(&rng, seed);
    for (size_t i = 0; i < SHAPES; i++) {
        text->n = 0;
        random_graph(text, &kind, &rng);
        shapes[i] = built_load(text->yaml);
        if (gle_graph_build(&shapes[i].graph, shapes[i].exp, &options, &err))
            fail_msg("%s\n%s", err.text, text->yaml);
    }
    free(text);
}

static void each_gives_the_bits_that_it_gives_alone(void **state)
{
    (void)state;
    if (!test_fleet())
        skip();
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct built shapes[SHAPES];
        struct course alone[THREADS], together[THREADS];
        size_t wild = 0;
        build_shapes(shapes, seed);
        for (size_t i = 0; i < THREADS; i++) {
            alone[i] = together[i] = course_of(shapes, i, seed >= GRAPHS - 2);
            run_alone(&alone[i]);
        }
        run_together(together, THREADS);
        for (size_t i = 0; i < THREADS; i++) {
            const struct record *a = &alone[i].record, *b = &together[i].record;
            assert_string_equal(a->error, b->error);
            if (a->n != b->n || memcmp(a->v, b->v, a->n * sizeof *a->v))
                fail_msg("graphs %d: course %zu sees %zu numbers alone, and %zu others with the rest", (int)seed, i,
                         a->n, b->n);
            wild += a->error[0] != '\0';
            free(a->v);
            free(b->v);
        }
        assert_true(alone[1].record.error[0] && wild == 1);
        for (size_t i = 0; i < SHAPES; i++)
            built_clear(&shapes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gives_the_bits_that_it_gives_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
