#include "cli/forecast.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cli/progress.h"
#include "cli/together.h"
#include "comm/comm.h"
#include "comm/wire.h"
#include "train/measure.h"
#include "train/train.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* --- rows of one run --- */

enum { HALVES = 7, RANKS_MOST = 1 << (HALVES - 1) }; /* batches measured, each half of the one before */

/* Ways that are shown beside the one in use. Rates are nominal; latencies are usual ones, of TCP and of RDMA. */
static const struct {
    const char *name;
    double latency, rate;
} networks[] = {{"10 Gbit/s", 30e-6, 10e9 / 8.0}, {"100 Gbit/s", 2e-6, 100e9 / 8.0}};
enum { N_NETWORKS = sizeof networks / sizeof *networks, N_WIRES = N_NETWORKS + 1, NAME_SIZE = 16 };

struct rows_forecast {
    struct gle_comm *comm;
    size_t rows[HALVES];
    double seconds[HALVES];
    struct gle_wire_load load;
    double sum;                     /* seconds of one, as measured */
    struct gle_wire wires[N_WIRES]; /* the way in use comes first */
};

/* Least seconds of a learning step with so many rows. */
static int measure_step(double *seconds, const struct gle_graph *graph, const struct gle_data *data, size_t rows,
                        size_t threads, struct gle_error *err)
{
    static const double SECONDS = 0.1;
    struct gle_experiment part = *graph->exp;
    struct gle_graph_options options;
    struct gle_graph *own;
    struct gle_net *net;
    struct gle_costs costs;
    int rc;

    part.batch_size = part.test_batch_size = rows;
    options = gle_train_options(&part, data);
    if (gle_graph_build(&own, &part, &options, err))
        return -1;
    rc = gle_net_build(&net, own, threads, err);
    if (!rc) {
        rc = gle_train_measure(&costs, net, own, data, NULL, SECONDS, 0.0, err);
        *seconds = costs.learn.least;
        gle_net_destroy(net);
    }
    gle_graph_destroy(own);
    return rc;
}

/* The slowest rank is the one that others wait for. */
static int find_slowest(double *seconds, struct gle_comm *comm, struct gle_error *err)
{
    double *all = gle_calloc(comm->size, sizeof *all);
    int rc;

    if (!all)
        return gle_fail(err, GLE_ENOMEM, "no memory for %zu ranks", comm->size);
    all[comm->rank] = *seconds;
    rc = gle_comm_sum_doubles(comm, all, comm->size, err);
    for (size_t r = 0; r < comm->size && !rc; r++)
        *seconds = all[r] > *seconds ? all[r] : *seconds;
    gle_free(all);
    return rc;
}

static int measure_steps(struct rows_forecast *f, const struct gle_graph *graph, const struct gle_data *data,
                         size_t threads, struct gle_error *err)
{
    for (size_t rows = graph->train_rows, n = 0; n < HALVES && (!n || rows < f->rows[n - 1]); rows = (rows + 1) / 2) {
        const int rc = measure_step(&f->seconds[n], graph, data, rows, threads, err);
        if (gle_together(f->comm, rc, err) || find_slowest(&f->seconds[n], f->comm, err))
            return -1;
        f->rows[n++] = rows;
        f->load.n_points = n;
    }
    return 0;
}

/* Seconds for a float of a part, of two, the least of some times. */
static double measure_adding(float *parts, size_t n)
{
    enum { PARTS = 2, TIMES = 50 };
    double least = 0.0;

    for (int i = 0; i < TIMES; i++) {
        const double start = gle_clock();
        double spent;
        gle_wire_add(parts, parts, n / PARTS, n / PARTS, PARTS);
        spent = gle_clock() - start;
        least = i && least < spent ? least : spent;
    }
    return least / (double)(n / PARTS * PARTS);
}

static int measure_way(struct rows_forecast *f, struct gle_error *err)
{
    enum { ENOUGH = 1 << 14 }; /* numbers, so that bytes count beside latencies */
    const size_t n = f->load.n_gradients, probe = n > ENOUGH ? n : ENOUGH;
    float *values = gle_floats(probe);
    const int rc = values ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for sums over ranks");
    double few, many;

    if (gle_together(f->comm, rc, err) || gle_comm_measure(&few, f->comm, 1, values, 0, err) ||
        gle_comm_measure(&many, f->comm, 0, values, probe, err) ||
        gle_comm_measure(&f->sum, f->comm, f->load.every + 2 * f->comm->size + 1, values, n, err)) {
        gle_free(values);
        return -1;
    }
    f->wires[0] = gle_wire_fit(f->comm->size, few, many, probe, measure_adding(values, probe));
    for (size_t i = 0; i < N_NETWORKS; i++)
        f->wires[i + 1] = (struct gle_wire){networks[i].latency, networks[i].rate, f->wires[0].adding};
    gle_free(values);
    return 0;
}

static size_t count_gradients(const struct gle_graph *graph)
{
    size_t n = 0;

    for (size_t i = 0; i < graph->n_parameters; i++)
        n += graph->parameters[i].plastic ? graph->parameters[i].parts * graph->parameters[i].part : 0;
    return n;
}

/* --- what is shown of it --- */

static const char *name_of(size_t wire)
{
    return wire ? networks[wire - 1].name : "here";
}

/* Right-aligned. */
static void show_time(int width, double seconds)
{
    char text[32];

    gle_format_duration(text, sizeof text, seconds);
    printf("%*s", width, text);
}

static void show_ranks(const struct rows_forecast *f, size_t ranks)
{
    const double alone = gle_wire_computation(&f->load, 1), each = gle_wire_computation(&f->load, ranks);

    printf("    %5zu %6zu", ranks, (f->load.rows[0] + ranks - 1) / ranks);
    show_time(13, each);
    for (size_t w = 0; w < N_WIRES; w++) {
        const double sum = gle_wire_communication(&f->load, &f->wires[w], ranks);
        show_time(12, sum);
        printf(" %6.2f", alone / (each + sum));
    }
    putchar('\n');
}

static void show_table(const struct rows_forecast *f)
{
    printf("  learning steps    by the model: least times; sums by each way, and how many times as fast as one rank\n"
           "    %5s %6s %12s", "ranks", "rows", "computation");
    for (size_t w = 0; w < N_WIRES; w++)
        printf(" %11s %6s", name_of(w), "faster");
    putchar('\n');
    for (size_t ranks = 1; ranks <= RANKS_MOST && ranks <= f->load.rows[0]; ranks *= 2)
        show_ranks(f, ranks);
}

/* Counts by each way, where they are known. */
static void show_counts(const char *label, const char *what, const double counts[N_WIRES])
{
    printf("  %-17s %s", label, what);
    for (size_t w = 0; w < N_WIRES; w++)
        if (counts[w] > 0.0)
            printf("%s %.0f %s%s", w ? "," : "", counts[w], w ? "by " : "", name_of(w));
        else
            printf("%s none %s%s", w ? "," : "", w ? "by " : "", name_of(w));
    putchar('\n');
}

static void show_best(const struct rows_forecast *f)
{
    const size_t most = f->load.rows[0];
    double too_many[N_WIRES], batches[N_WIRES];

    for (size_t w = 0; w < N_WIRES; w++) {
        const size_t best = gle_wire_best(&f->load, &f->wires[w], most);
        const double batch = ceil(gle_wire_pays_from(&f->load, &f->wires[w]));
        too_many[w] = best < most ? (double)best + 1.0 : 0.0;
        batches[w] = batch > 0.0 && batch < 2.0 ? 2.0 : batch;
    }
    show_counts("too many ranks", "cost more than they bring: from", too_many);
    show_counts("two ranks pay", "from batches of", batches);
}

static void show_rows(const struct rows_forecast *f, size_t threads)
{
    const size_t ranks = f->comm->size;
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);

    printf("  ranks             %zu make this run together, on %zu thread%s each; above: one by itself\n", ranks,
           threads, threads > 1 ? "s" : "");
    if (processors > 0 && f->comm->n_here * threads > (size_t)processors)
        printf("                    more threads than this machine has processors (%ld), so that ranks wait for each "
               "other\n", processors);
    printf("  sums of gradients %zu numbers%s in ", f->load.n_gradients,
           f->load.every > 1 ? ", not of every step," : "");
    show_time(0, f->sum);
    printf(" here; a message takes ");
    show_time(0, f->wires[0].latency);
    printf(" and 1 s for %.3g GB, adding a number %.2g ns\n", 1e-9 * f->wires[0].rate, 1e9 * f->wires[0].adding);
    show_table(f);
    show_best(f);
    printf("  assumed           a message takes ");
    for (size_t i = 0; i < N_NETWORKS; i++) {
        printf("%s", i ? ", " : "");
        show_time(0, networks[i].latency);
        printf(" by %s", networks[i].name);
    }
    printf("; ranks have as many processors as here\n");
}

int gle_forecast_rows(struct gle_comm *comm, const struct gle_graph *graph, const struct gle_data *data, size_t threads,
                      struct gle_error *err)
{
    const struct gle_experiment *exp = graph->exp;
    struct rows_forecast f = {.comm = comm};

    f.load = (struct gle_wire_load){.rows = f.rows,
                                    .seconds = f.seconds,
                                    .n_gradients = count_gradients(graph),
                                    .every = exp->window_steps ? exp->window_steps : exp->update_every};
    if (measure_steps(&f, graph, data, threads, err) || measure_way(&f, err))
        return -1;
    if (!comm->rank)
        show_rows(&f, threads);
    return 0;
}

/* --- runs side by side --- */

double *gle_forecast_add(struct gle_forecast *f, size_t n)
{
    double *longer = gle_resize(f->seconds, f->n + n, sizeof *longer);

    if (!longer)
        return NULL;
    f->seconds = longer;
    f->n += n;
    return longer + f->n - n;
}

int gle_forecast_show(const struct gle_forecast *f, size_t ranks, struct gle_error *err)
{
    const size_t places = ranks * f->share.at_once, busy = f->n < ranks ? f->n : ranks;
    double *until = gle_calloc(places, sizeof *until);
    char text[32], what[32];

    if (!until)
        return gle_fail(err, GLE_ENOMEM, "no memory for %zu runs side by side", places);
    gle_format_duration(text, sizeof text, gle_wire_hand_out(f->seconds, f->n, until, places));
    snprintf(what, sizeof what, "over %zu ranks", ranks);
    printf("  %-17s %s: %zu run%s, %zu at a time on each rank with %zu thread%s", what, text, f->n, f->n > 1 ? "s" : "",
           f->share.at_once, f->share.threads, f->share.threads > 1 ? "s" : "");
    if (f->on_device)
        printf("; less where they share a device");
    if (busy < ranks)
        printf("; %zu rank%s nothing to do", ranks - busy, ranks - busy > 1 ? "s have" : " has");
    else if (f->n > places)
        printf("; %zu on a rank at least", f->n / ranks);
    putchar('\n');
    gle_free(until);
    return 0;
}

void gle_forecast_clear(struct gle_forecast *f)
{
    gle_free(f->seconds);
    *f = (struct gle_forecast){0};
}
