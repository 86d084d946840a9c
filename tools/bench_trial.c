#include "bench_trial.h"
#include "base/memory.h"
#include "parts/optimizer.h"
#include "parts/rule.h"
#include "train/metrics.h"
#include "train/train.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* --- data --- */

/* Points of random numbers, with labels in turn, that fit the network: two training batches and a test batch. */
static void make_data(struct trial *t)
{
    enum { STEPS = 100 };
    const struct gle_experiment *exp = t->exp;
    struct gle_data *data = gle_calloc(1, sizeof *data);
    struct gle_error err = {0};

    if (!data)
        stop("no memory");
    data->n_steps = STEPS;
    data->n_channels = exp->n_input;
    data->n_targets = exp->layers[exp->n_layers - 1].n;
    data->held = 1;
    data->labelled = 1;
    for (int split = 0; split < GLE_SPLITS; split++) {
        const size_t n = split == GLE_TRAIN ? 2 * exp->batch_size : exp->test_batch_size;
        if (gle_data_room(data, (enum gle_split)split, n, &err))
            stop_on(&err);
        fill_noise(data->split[split].x, n * data->n_channels);
        for (size_t i = 0; i < n; i++)
            data->split[split].labels[i] = (int32_t)(i % data->n_targets);
    }
    t->data = data;
    t->random = true;
}

static void open_data(struct trial *t)
{
    const struct gle_experiment *exp = t->exp;
    const struct gle_data_context context = {
        .dt = exp->dt, .seed = exp->seed, .n_steps = exp->n_steps, .has_teacher = exp->has_teacher, .n_threads = 1};
    struct gle_error err = {0};
    int rc;

    rc = gle_data_open(&t->data, (const struct gle_dataset *)exp->dataset.row, exp->dataset.params, exp->validation,
                       &context, &err);
    if (rc && err.code == GLE_EDATA && !exp->phases) {
        make_data(t);
        return;
    }
    if (rc || gle_train_check(exp, t->data, &err))
        stop_on(&err);
}

/* --- steps --- */

/* Parameters, their gradients and moments, and one copy of the states of all rows, where a ring has more. NaN under
 * windowed rules, whose sweeps go over further arrays. */
static double bytes_of_step(const struct gle_graph *g, size_t rows, bool learn)
{
    const struct gle_optimizer *optimizer = (const struct gle_optimizer *)g->exp->optimizer.row;
    double numbers = 0.0;

    if (g->exp->rule->windowed)
        return (double)NAN;
    for (size_t i = 0; i < g->n_parameters; i++) { /* those that learn are written with their gradients and moments */
        const struct gle_parameter *p = &g->parameters[i];
        const double times = learn && p->plastic ? 3.0 + 2.0 * (double)optimizer->n_moments : 1.0;
        numbers += p->field.copies ? times * (double)gle_field_size(&p->field) : 0.0;
    }
    for (size_t i = 0; i < g->n_fields; i++) {
        const struct gle_field *f = g->fields[i];
        if (f->copies && f->role == GLE_STATE)
            numbers += 2.0 * (double)(f->of_batch ? rows : f->rows) * (double)f->cols;
    }
    return numbers * (double)sizeof(float);
}

static void open_row(struct trial *t, size_t threads, size_t n_nets)
{
    const size_t eval_rows = gle_train_eval_rows(t->graph, t->data);
    struct trial_row *row = &t->rows[t->n_rows++];
    struct gle_error err = {0};

    *row = (struct trial_row){.asked = threads, .n_nets = n_nets, .once = (double)NAN, .whole = (double)NAN};
    for (size_t i = 0; i < n_nets; i++)
        if (gle_net_build(&row->nets[i], t->graph, threads, &err) ||
            (t->fleet && gle_net_move(row->nets[i], t->fleet, &err)))
            stop_on(&err);
    row->threads = gle_net_threads(row->nets[0]);
    row->learn.mflop = 1e-6 * (double)t->graph->train_rows * gle_graph_flops(t->graph, true);
    row->eval.mflop = 1e-6 * (double)eval_rows * gle_graph_flops(t->graph, false);
    row->learn.bytes = bytes_of_step(t->graph, t->graph->train_rows, true);
    row->eval.bytes = bytes_of_step(t->graph, eval_rows, false);
}

static void open_graph(struct trial *t, bool random_data)
{
    const struct gle_experiment *exp = t->exp;
    struct gle_graph_options options;
    struct gle_error err = {0};

    if (random_data && !exp->phases)
        make_data(t);
    else
        open_data(t);
    options = gle_train_options(exp, t->data);
    if (gle_graph_build(&t->graph, exp, &options, &err))
        stop_on(&err);
}

void trial_open(struct trial *t, const struct gle_experiment *exp, const size_t *threads, size_t n_threads,
                bool random_data)
{
    *t = (struct trial){.exp = exp};
    open_graph(t, random_data);
    for (size_t i = 0; i < n_threads; i++)
        open_row(t, threads[i], 1);
}

void trial_open_on(struct trial *t, const struct gle_experiment *exp, struct gle_device *device, size_t n_nets,
                   bool random_data)
{
    struct gle_error err = {0};

    *t = (struct trial){.exp = exp, .on_device = true};
    if (gle_fleet_open(&t->fleet, device, n_nets, &err))
        stop_on(&err);
    open_graph(t, random_data);
    open_row(t, 1, n_nets);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of what a thread is at, the mean over threads. */
static struct split split_of(const struct gle_step_cost *cost, size_t threads)
{
    const struct gle_profile *p = &cost->profile;
    const double n = (double)threads;

    return (struct split){p->products / n, p->elementwise / n, p->optimizer / n, p->waiting / n,
                          cost->profiled - p->seconds};
}

static void add(struct speed *speed, const struct gle_step_cost *cost, size_t threads)
{
    if (!(cost->least > 0.0))
        return;
    if (cost->profiled > 0.0 && (!speed->n || cost->profiled < speed->profiled)) {
        speed->profiled = cost->profiled;
        speed->split = split_of(cost, threads);
    }
    speed->least = speed->n ? fmin(speed->least, cost->least) : cost->least;
    speed->traffic = cost->traffic;
    speed->mean = speed->n ? fmin(speed->mean, cost->mean) : cost->mean;
    speed->medians[speed->n++] = cost->median;
    qsort(speed->medians, speed->n, sizeof *speed->medians, compare);
    speed->median = 0.5 * (speed->medians[(speed->n - 1) / 2] + speed->medians[speed->n / 2]);
}

/* One network of a row, in a thread of its own. */
struct measurement {
    const struct trial *trial;
    struct gle_net *net;
    double seconds;
    struct gle_costs costs;
};

static void *measure_net(void *ctx)
{
    struct measurement *m = ctx;
    const struct trial *t = m->trial;
    struct gle_error err = {0};

    if (gle_train_measure(&m->costs, m->net, t->graph, t->data, t->fleet, m->seconds, 0.5 * m->seconds, &err))
        stop_on(&err);
    if (t->fleet)
        gle_fleet_leave(t->fleet); /* nobody waits for it any more */
    return NULL;
}

/* Networks side by side begin and end a moment apart: what counts is the slowest of them, which had all others beside
 * it. */
static void keep_slower(struct gle_step_cost *cost, const struct gle_step_cost *other)
{
    if (other->least > cost->least)
        *cost = *other;
}

static void measure_row(struct trial_row *row, const struct trial *t, double seconds)
{
    struct measurement m[NETS_MAX];
    pthread_t threads[NETS_MAX];

    for (size_t i = 0; i < row->n_nets; i++) {
        m[i] = (struct measurement){.trial = t, .net = row->nets[i], .seconds = seconds};
        if (i && pthread_create(&threads[i], NULL, measure_net, &m[i]))
            stop("no more threads");
    }
    measure_net(&m[0]);
    for (size_t i = 1; i < row->n_nets; i++) {
        pthread_join(threads[i], NULL);
        keep_slower(&m[0].costs.learn, &m[i].costs.learn);
        keep_slower(&m[0].costs.eval, &m[i].costs.eval);
    }
    for (size_t i = 0; t->fleet && i < row->n_nets; i++)
        gle_fleet_enter(t->fleet);
    add(&row->learn, &m[0].costs.learn, row->threads);
    add(&row->eval, &m[0].costs.eval, row->threads);
}

static void estimate(struct trial_row *row, const struct trial *t)
{
    const struct gle_costs costs = {.learn.mean = row->learn.mean, .eval.mean = row->eval.mean};
    double total;

    if (!t->random)
        row->once = gle_train_estimate(&total, &costs, t->exp, t->data);
}

/* The first row that uses as many threads: what is asked for in vain need not be measured. */
static size_t measured_as(const struct trial *t, size_t i)
{
    size_t first = 0;

    while (t->rows[first].threads != t->rows[i].threads)
        first++;
    return first;
}

void trial_measure(struct trial *t, size_t row, double seconds)
{
    measure_row(&t->rows[row], t, seconds);
}

/* Numbers of threads take turns, so that the drift of a shared machine hits all of them alike. */
void trial_run(struct trial *t, struct peaks *peaks, const struct settings *set)
{
    for (size_t i = 0; i < t->n_rows && !t->fleet; i++)
        if (!set->quick || !(peaks->of[t->rows[i].threads].fma > 0.0))
            peaks_measure(peaks, t->rows[i].threads);
    for (size_t r = 0; r < set->rounds; r++)
        for (size_t i = 0; i < t->n_rows; i++)
            if (measured_as(t, i) == i)
                measure_row(&t->rows[i], t, set->seconds);
    for (size_t i = 0; i < t->n_rows; i++) {
        t->rows[i].learn = t->rows[measured_as(t, i)].learn;
        t->rows[i].eval = t->rows[measured_as(t, i)].eval;
        estimate(&t->rows[i], t);
    }
}

void trial_run_whole(struct trial *t)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        struct gle_metrics m;
        struct gle_error err = {0};
        if (gle_metrics_init(&m, t->exp, t->data, &err) ||
            gle_train(&m, t->rows[i].nets[0], t->graph, t->data, t->fleet, NULL, NULL, &err))
            stop_on(&err);
        t->rows[i].whole = t->exp->phases ? m.train_seconds + m.eval_seconds : m.epochs[m.n_epochs - 1].seconds;
        gle_metrics_clear(&m);
    }
}

void trial_close(struct trial *t)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        for (size_t k = 0; k < t->rows[i].n_nets; k++)
            gle_net_destroy(t->rows[i].nets[k]);
        t->rows[i].n_nets = 0;
    }
    gle_graph_destroy(t->graph);
    gle_data_close(t->data);
    gle_fleet_close(t->fleet);
    t->fleet = NULL;
    t->graph = NULL;
    t->data = NULL;
}

double speed_gflops(const struct speed *speed)
{
    return 1e-3 * speed->mflop / speed->least;
}

double speed_products_gflops(const struct speed *speed)
{
    return 1e-3 * speed->mflop / speed->split.products;
}

double speed_passing(const struct speed *speed)
{
    return speed->bytes / speed->least;
}
