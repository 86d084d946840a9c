#include "train/race.h"
#include "base/clock.h"
#include "base/rng.h"
#include "parts/rule.h"

/* Of a stretch, in seconds, and steps that are enough in any case; and how many stretches count. */
static const double LENGTH = 0.03;
enum { ENOUGH = 4 * GLE_QUEUE_STEPS, STRETCHES = 3 };

struct runner {
    struct gle_net *net;
    double least; /* seconds of a step */
    struct gle_error *err;
    int rc;
};

/* Numbers as inputs have them, and a class for each row as its target. */
static void show(struct gle_net *net)
{
    const struct gle_graph *g = gle_net_graph(net);
    const size_t B = gle_net_get_place(net).B, n_top = gle_experiment_top(g->exp)->n;
    size_t ld_x, ld_y;
    float *x = gle_net_input(net, &ld_x), *y = gle_net_target(net, &ld_y);
    struct gle_rng rng;

    gle_rng_seed(&rng, 1);
    for (size_t b = 0; b < B; b++) {
        for (size_t k = 0; k < g->n_input; k++)
            x[b * ld_x + k] = gle_torch_rand(&rng) - 0.5f;
        for (size_t i = 0; i < n_top; i++)
            y[b * ld_y + i] = i == b % n_top ? 1.0f : 0.0f;
    }
}

static int collect(struct gle_net *net, struct gle_error *err)
{
    double losses[GLE_LOSSES];
    size_t n;

    return gle_net_collect(net, losses, &n, err);
}

/* Steps of a window; 1 where there are none. */
static size_t window_of(const struct gle_graph *g)
{
    if (!g->exp->rule->windowed)
        return 1;
    return g->exp->window_steps < g->tape_steps ? (size_t)g->exp->window_steps : g->tape_steps;
}

/* So many steps, or windows, and waits for their end. */
static int make_steps(struct gle_net *net, size_t n, struct gle_error *err)
{
    const struct gle_graph *g = gle_net_graph(net);
    const bool windowed = g->exp->rule->windowed;
    const struct gle_step step = {.learn = !windowed, .nudge = true, .lr = 0.0};
    const uint64_t every = g->exp->record.every;
    const size_t window = window_of(g);
    double losses[GLE_LOSSES];
    size_t n_losses, ld;

    for (size_t t = 0; t < n * window; t++) {
        if (windowed && t % window == 0)
            gle_net_begin_window(net);
        *gle_net_input(net, &ld) = (float)(t % 2); /* what is new goes to the device */
        if (gle_net_queue(net, &step, losses, &n_losses, err))
            return -1;
        if (windowed && (t + 1) % window == 0 && gle_net_end_window(net, g->exp->rule, true, 0.0, err))
            return -1;
        if (every && t % every == 0 && collect(net, err))
            return -1;
    }
    return collect(net, err);
}

/* The first step makes what is made once, stretches become longer until they are long enough, and then count. */
static void run(void *ctx)
{
    struct runner *r = ctx;
    const double window = (double)window_of(gle_net_graph(r->net));
    size_t n = 1, counted = 0;

    r->rc = make_steps(r->net, 1, r->err);
    while (!r->rc && counted < STRETCHES) {
        const double start = gle_clock();
        double spent;
        r->rc = make_steps(r->net, n, r->err);
        spent = gle_clock() - start;
        if (spent < LENGTH && (double)n * window < ENOUGH && !counted) {
            n *= 2;
            continue;
        }
        spent /= (double)n * window;
        r->least = counted && r->least < spent ? r->least : spent;
        counted++;
    }
}

/* fleet NULL: on the processors. */
static int time_steps(double *microseconds, const struct gle_graph *graph, struct gle_fleet *fleet, size_t threads,
                      struct gle_error *err)
{
    struct runner r = {.err = err};
    struct gle_rng rng;

    gle_rng_seed(&rng, graph->exp->seed);
    r.rc = gle_net_build(&r.net, graph, threads, err) || (fleet && gle_net_move(r.net, fleet, err)) ||
           gle_net_init(r.net, &rng, err);
    if (!r.rc) {
        gle_net_set_batch(r.net, graph->train_rows);
        gle_net_begin_batch(r.net, true);
        show(r.net);
        gle_net_parallel(r.net, run, &r);
    }
    gle_net_destroy(r.net);
    *microseconds = 1e6 * r.least;
    return r.rc ? -1 : 0;
}

int gle_train_race(struct gle_race *race, const struct gle_graph *graph, struct gle_fleet *fleet, size_t threads,
                   struct gle_error *err)
{
    *race = (struct gle_race){0};
    return time_steps(&race->processors, graph, NULL, threads, err) ||
                   time_steps(&race->device, graph, fleet, 1, err)
               ? -1
               : 0;
}
