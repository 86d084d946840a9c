#include "train/measure.h"
#include "train/evaluation.h"
#include "train/meter.h"
#include "train/run.h"

#include <math.h>

/* --- costs --- */

struct measurement {
    struct gle_run *run;
    struct gle_costs *costs;
    double seconds, profile_seconds;
};

static struct gle_net_traffic traffic_of_step(const struct gle_net *net, struct gle_net_traffic before, uint64_t steps)
{
    const struct gle_net_traffic now = gle_net_get_traffic(net);
    const double n = steps ? (double)steps : 1.0;

    return (struct gle_net_traffic){(now.launches - before.launches) / n, (now.bytes_in - before.bytes_in) / n,
                                    (now.bytes_out - before.bytes_out) / n};
}

static int make_steps(struct gle_step_cost *cost, struct gle_run *run, bool learn, double seconds, struct gle_net *net)
{
    const struct gle_net_traffic before = gle_net_get_traffic(run->net);
    struct gle_meter meter;
    int rc;

    gle_meter_start(&meter, seconds, net);
    rc = run->exp->phases ? gle_run_measure_phases(&meter, run, learn, run->err)
                          : gle_run_measure_epochs(&meter, run, learn, run->err);
    *cost = gle_meter_cost(&meter);
    cost->traffic = traffic_of_step(run->net, before, meter.made);
    return rc;
}

/* Clocks within the steps are kept apart from the times of steps. */
static int measure_steps(struct gle_step_cost *cost, const struct measurement *m, bool learn)
{
    struct gle_step_cost profiled = {0};

    if (make_steps(cost, m->run, learn, m->seconds, NULL))
        return -1;
    if (m->profile_seconds > 0.0 && !gle_net_is_on_device(m->run->net) &&
        make_steps(&profiled, m->run, learn, m->profile_seconds, m->run->net))
        return -1;
    cost->profile = profiled.profile;
    cost->profiled = profiled.profiled;
    return 0;
}

/* With the net's threads at work. */
static void measure_both(void *ctx)
{
    struct measurement *m = ctx;

    m->run->rc = measure_steps(&m->costs->learn, m, true);
    if (!m->run->rc)
        m->run->rc = measure_steps(&m->costs->eval, m, false);
}

int gle_train_measure(struct gle_costs *costs, struct gle_net *net, const struct gle_graph *graph,
                      const struct gle_data *data, struct gle_fleet *fleet, double seconds, double profile_seconds,
                      struct gle_error *err)
{
    static const struct gle_observer nobody = {0};
    struct gle_metrics metrics = {0};
    struct gle_run run = {.exp = graph->exp,
                          .graph = graph,
                          .net = net,
                          .data = data,
                          .fleet = fleet,
                          .metrics = &metrics,
                          .observer = &nobody,
                          .err = err};
    struct measurement m = {
        .run = &run, .costs = costs, .seconds = seconds, .profile_seconds = profile_seconds};

    *costs = (struct gle_costs){0};
    run.rc = gle_run_start(&run, err);
    if (!run.rc) {
        gle_run_enter(&run, GLE_RUN_ASIDE);
        gle_net_parallel(net, measure_both, &m);
    }
    gle_metrics_clear(&metrics);
    gle_run_finish(&run);
    return run.rc;
}

/* --- memory --- */

int gle_train_measure_room(struct gle_net_room *room, const struct gle_graph *graph, const struct gle_data *data,
                           const struct gle_device_info *device, struct gle_error *err)
{
    const struct gle_graph_options options = gle_evaluation_options(graph, data);
    struct gle_net_room more;
    struct gle_graph *copy;
    int rc;

    if (gle_net_measure_room(room, graph, device, err))
        return -1;
    if (!gle_evaluation_wanted(graph->exp))
        return 0;
    if (gle_graph_build(&copy, graph->exp, &options, err))
        return -1;
    rc = gle_net_measure_room(&more, copy, device, err);
    gle_graph_destroy(copy);
    if (rc)
        return -1;
    room->each += more.each;
    room->shared += more.shared;
    if (more.largest > room->largest) {
        room->largest = more.largest;
        room->largest_is = more.largest_is;
    }
    room->largest_shared = fmax(room->largest_shared, more.largest_shared);
    return 0;
}

/* --- numbers of rows and steps --- */

enum gle_split gle_train_eval_split(const struct gle_data *data)
{
    return data->split[GLE_TEST].n ? GLE_TEST : data->split[GLE_VALIDATION].n ? GLE_VALIDATION : GLE_TRAIN;
}

size_t gle_train_eval_rows(const struct gle_graph *graph, const struct gle_data *data)
{
    const size_t n = data->split[gle_train_eval_split(data)].n, most = (size_t)graph->exp->test_batch_size;

    if (graph->exp->phases)
        return graph->train_rows;
    return n < most ? n : most < graph->max_batch ? most : graph->max_batch;
}

static double passes(size_t n, uint64_t batch)
{
    return ceil((double)n / (double)batch);
}

static struct gle_step_counts count_phases(const struct gle_experiment *exp)
{
    struct gle_step_counts counts = {0};

    for (size_t i = 0; i < exp->n_phases; i++)
        *(exp->phases[i].learn ? &counts.learn : &counts.eval) += (double)exp->phases[i].n_steps;
    return counts;
}

struct gle_step_counts gle_train_count_steps(const struct gle_experiment *exp, const struct gle_data *data)
{
    const struct gle_samples *split = data->split;
    const bool always = gle_metrics_test_always(exp, data);
    const double T = (double)data->n_steps, test = T * passes(split[GLE_TEST].n, exp->test_batch_size);
    struct gle_step_counts counts;

    if (exp->phases)
        return count_phases(exp);
    counts.aside = T * passes(gle_metrics_train_after(exp, data), exp->test_batch_size);
    counts.learn = T * passes(split[GLE_TRAIN].n, exp->batch_size);
    counts.eval = counts.aside + T * passes(split[GLE_VALIDATION].n, exp->test_batch_size) + (always ? test : 0.0);
    counts.further_eval = counts.eval + (always ? 0.0 : test);
    return counts;
}

double gle_train_steps(const struct gle_experiment *exp, const struct gle_data *data)
{
    const struct gle_step_counts n = gle_train_count_steps(exp, data);
    const double epochs = (double)exp->epochs;

    return exp->phases ? (double)exp->n_steps
                       : epochs * (n.learn + n.eval - n.aside) + n.further_eval - n.aside;
}

double gle_train_estimate_evaluations(const struct gle_costs *costs, const struct gle_experiment *exp,
                                      const struct gle_data *data)
{
    const double shown = (double)data->n_steps * (double)data->split[GLE_TEST].n;

    return (double)gle_evaluation_count(exp) * shown * costs->eval.mean / (double)gle_train_rows(exp, data);
}

double gle_train_estimate(double *total, const struct gle_costs *costs, const struct gle_experiment *exp,
                          const struct gle_data *data)
{
    const struct gle_step_counts n = gle_train_count_steps(exp, data);
    const double once = n.learn * costs->learn.mean + n.eval * costs->eval.mean;

    *total = exp->phases ? once + gle_train_estimate_evaluations(costs, exp, data)
                         : once * (double)exp->epochs + n.further_eval * costs->eval.mean;
    return once;
}
