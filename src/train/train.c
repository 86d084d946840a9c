#include "train/train.h"
#include "base/text.h"
#include "parts/loss.h"
#include "parts/rule.h"
#include "parts/schedule.h"
#include "train/measure.h"
#include "train/run.h"
#include "yaml/node.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

size_t gle_train_rows(const struct gle_experiment *exp, const struct gle_data *data)
{
    const size_t n = data->split[GLE_TRAIN].n;

    if (data->signal.play)
        return data->signal.n_sequences;
    return n < exp->batch_size ? n : (size_t)exp->batch_size;
}

/* Rows of the largest batch that runs, evaluation included. */
static size_t rows_max(const struct gle_experiment *exp, const struct gle_data *data)
{
    size_t most = gle_train_rows(exp, data);

    for (int s = GLE_VALIDATION; !exp->phases && s < GLE_SPLITS; s++) {
        const size_t n = data->split[s].n, limit = (size_t)exp->test_batch_size, rows = n < limit ? n : limit;
        most = rows > most ? rows : most;
    }
    return most;
}

static int check_sequences(const struct gle_experiment *exp, size_t rows, struct gle_error *err)
{
    const struct gle_indices *chosen = &exp->record.sequences;

    for (size_t i = 0; rows && i < chosen->n; i++)
        if (chosen->v[i] >= rows)
            return gle_node_fail(err, GLE_ERANGE, exp->record.src, "sequences",
                                 "there is no sequence %zu: %zu run side by side, counted from 0", chosen->v[i], rows);
    return 0;
}

/* What is recorded must be there. */
static int check_record(const struct gle_experiment *exp, const struct gle_data *data, struct gle_error *err)
{
    const struct gle_record *record = &exp->record;
    const double steps = record->every ? gle_train_steps(exp, data) : 0.0;

    if (check_sequences(exp, rows_max(exp, data), err))
        return -1;
    if (!record->every || (double)record->offset < fmax(1.0, steps))
        return 0;
    return gle_node_fail(err, GLE_ERANGE, record->src, "offset",
                         "nothing would be recorded: the run has the steps 0 to %.16g", steps - 1.0);
}

static int check_test_set(const struct gle_experiment *exp, const struct gle_data *data, struct gle_error *err)
{
    if (!exp->evaluate_steps || data->split[GLE_TEST].n)
        return 0;
    return gle_node_fail(err, GLE_ESHAPE, exp->training_src, "evaluate", "the data set has no test set");
}

/* Settings for sets that are not there. */
static int check_sets(const struct gle_experiment *exp, const struct gle_data *data, struct gle_error *err)
{
    if (exp->validation > 0.0 && data->own_validation)
        return gle_node_fail(err, GLE_ECONFIG, exp->training_src, "validation",
                             "%g of the training set is not taken where the data set brings a validation set of its "
                             "own, as here (%zu sample%s): leave one of the two out", exp->validation,
                             data->split[GLE_VALIDATION].n, data->split[GLE_VALIDATION].n == 1 ? "" : "s");
    if (exp->test != GLE_TEST_AUTO && !data->split[GLE_TEST].n)
        return gle_node_fail(err, GLE_ECONFIG, exp->training_src, "test", "the data set has no test set");
    return 0;
}

/* Whether a metric that the key is about can be measured. src, key: where it stands. */
static int check_metric(const struct gle_experiment *exp, const struct gle_data *data,
                        const struct gle_metric_row *metric, const struct gle_node *src, const char *key,
                        struct gle_error *err)
{
    const bool regression = !exp->has_teacher && !data->labelled;

    if (!metric)
        return 0;
    if (metric->set != GLE_METRIC_TRAIN && !gle_metrics_samples(exp, data, (enum gle_split)metric->set))
        return gle_node_fail(err, GLE_ESHAPE, src, key, "%s cannot be watched: there is no such set%s",
                             metric->row.name,
                             ((const struct gle_dataset *)exp->dataset.row)->divides ? " (dataset.split makes one)"
                             : metric->set == GLE_METRIC_VALIDATION ? " (training.validation makes one)"
                                                                    : "");
    if (metric->quality == GLE_QUALITY_ACCURACY && (exp->has_teacher || !data->labelled))
        return gle_node_fail(err, GLE_ESHAPE, src, key, "%s cannot be watched: %s", metric->row.name,
                             exp->has_teacher ? "the teacher's output is the target" : "the data set has no labels");
    if (metric->quality == GLE_QUALITY_NRMSE && !regression)
        return gle_node_fail(err, GLE_ESHAPE, src, key, "%s cannot be watched: %s", metric->row.name,
                             exp->has_teacher ? "the teacher's output is the target" : "the data set has labels");
    return 0;
}

/* Whether the output can stand for the input. */
static int check_closed(const struct gle_experiment *exp, const struct gle_data *data, struct gle_error *err)
{
    const struct gle_closed_cfg *c = &exp->closed;
    const char *why = NULL;

    if (!c->n_steps)
        return 0;
    if (data->n_channels != data->n_targets || data->labelled)
        why = "as many target values as inputs are wanted, which are what inputs will be";
    else if (data->held || data->maker.make)
        why = "the data set has no inputs that move";
    else if (data->split[GLE_TEST].lengths)
        why = "the data set has sequences of several lengths";
    else if (!data->split[GLE_TEST].n)
        why = "the data set has no test set";
    if (why)
        return gle_node_fail(err, GLE_ECONFIG, gle_node_get(exp->training_src, "evaluate"), "closed_loop", "%s", why);
    if (c->after + c->n_steps > data->n_steps)
        return gle_node_fail(err, GLE_ERANGE, c->src, "for", "after %llu steps, %llu are more than a sample has (%zu)",
                             (unsigned long long)c->after, (unsigned long long)c->n_steps, data->n_steps);
    for (uint32_t row = 0; row < data->split[GLE_TEST].n; row++)
        if (gle_data_count_asked(data, GLE_TEST, row, (size_t)(c->after + c->n_steps)) >
            gle_data_count_asked(data, GLE_TEST, row, (size_t)c->after))
            return 0;
    return gle_node_fail(err, GLE_ERANGE, c->src, "for", "nothing is asked for then: there is no target");
}

/* Whether there is as much of the training set as is to be measured after epochs. */
static int check_train_after(const struct gle_experiment *exp, const struct gle_data *data, struct gle_error *err)
{
    const struct gle_train_after_cfg *c = &exp->train_after;
    const size_t n = data->split[GLE_TRAIN].n;

    if (c->row && !n)
        return gle_node_fail(err, GLE_ESHAPE, gle_node_get(exp->training_src, "evaluate"), "train",
                             "the training set is empty");
    if (c->samples > n)
        return gle_node_fail(err, GLE_ERANGE, c->src, "samples", "%llu, where the training set has %zu sample%s",
                             (unsigned long long)c->samples, n, n == 1 ? "" : "s");
    return 0;
}

/* Whether there is something to predict, and not too much. */
static int check_predictions(const struct gle_experiment *exp, const struct gle_data *data, struct gle_error *err)
{
    const struct gle_node *src = gle_node_get(exp->training_src, "evaluate");
    const double bytes = gle_predictions_bytes(exp, data);

    if (!exp->predictions)
        return 0;
    if (!(bytes > 0.0))
        return gle_node_fail(err, GLE_ESHAPE, src, "predictions", "the data set has neither a test nor a validation set"
                             " (training.validation makes one)");
    if (bytes <= (double)GLE_PREDICTIONS_MAX)
        return 0;
    return gle_node_fail(err, GLE_ERANGE, src, "predictions",
                         "predictions.npz would have %s, and may have %s: fewer samples, or a shorter time in which "
                         "something is asked for (dataset.target_window of npz), make it smaller",
                         gle_text_bytes(bytes).text, gle_text_bytes((double)GLE_PREDICTIONS_MAX).text);
}

int gle_train_check(const struct gle_experiment *exp, const struct gle_data *data, struct gle_error *err)
{
    const struct gle_layer_cfg *top = gle_experiment_top(exp);

    if (data->n_channels != exp->n_input)
        return gle_node_fail(err, GLE_ESHAPE, exp->network_src, "input", "%zu, where the data set has %zu channel%s",
                             exp->n_input, data->n_channels, data->n_channels > 1 ? "s" : "");
    if (!data->n_targets && !exp->has_teacher)
        return gle_node_fail(err, GLE_ESHAPE, exp->dataset.src, "type", "%s has no targets: a teacher is wanted",
                             exp->dataset.row->name);
    if (!exp->has_teacher && data->n_targets != top->n)
        return gle_node_fail(err, GLE_ESHAPE, top->src, "neurons",
                             "%zu in the output, where the data set has %zu target%s", top->n, data->n_targets,
                             data->n_targets > 1 ? "s" : "");
    if (exp->loss->classes && !exp->has_teacher && !data->labelled)
        return gle_node_fail(err, GLE_ESHAPE, gle_node_get(exp->src, "learning"), "loss",
                             "%s wants labels, and the data set has target values", exp->loss->row.name);
    if (!data->signal.play && !data->split[GLE_TRAIN].n && (exp->epochs || exp->phases))
        return gle_node_fail(err, GLE_ESHAPE, exp->dataset.src, NULL, "the training set is empty");
    if (exp->decide.row && (!data->labelled || exp->has_teacher))
        return gle_node_fail(err, GLE_ECONFIG, exp->training_src, "decide",
                             "says how one of several classes is decided on, and there are none: %s",
                             exp->has_teacher ? "the teacher's output is the target" : "the data set has no labels");
    if (check_record(exp, data, err) || check_test_set(exp, data, err) || check_sets(exp, data, err) ||
        check_closed(exp, data, err) || check_train_after(exp, data, err) || check_predictions(exp, data, err))
        return -1;
    return check_metric(exp, data, gle_experiment_watches(exp), exp->schedule.src, "metric", err) ||
                   check_metric(exp, data, exp->best, exp->training_src, "best", err) ||
                   check_metric(exp, data, exp->stop.metric, exp->stop.src, "metric", err)
               ? -1
               : 0;
}

int gle_train_check_ranks(const struct gle_experiment *exp, const struct gle_data *data, size_t ranks,
                          struct gle_error *err)
{
    static const char *const names[GLE_SPLITS] = {"training set", "validation set", "test set"};
    const size_t together = rows_max(exp, data);

    for (int s = 0; s < (exp->phases ? 1 : GLE_SPLITS); s++) {
        const size_t n = data->split[s].n, limit = (size_t)(s ? exp->test_batch_size : exp->batch_size);
        const size_t last = exp->phases ? together : n % limit;
        const size_t least = last || !n ? last : limit;
        if (n && least < ranks)
            return gle_node_fail(err, GLE_ERANGE, exp->compute_src, "ranks",
                                 "%zu ranks are more than a batch of the %s has rows (%zu): start fewer, or choose "
                                 "another training.%s",
                                 ranks, names[s], least, s ? "test_batch_size" : "batch_size");
    }
    return 0;
}

struct gle_graph_options gle_train_options(const struct gle_experiment *exp, const struct gle_data *data)
{
    struct gle_graph_options options = {
        .batch = rows_max(exp, data),
        .train_rows = gle_train_rows(exp, data),
        .e_inst = exp->record.variables[GLE_RECORD_E_INST],
        .sums_squares = !exp->loss->squared &&
                        (exp->has_teacher ? !exp->loss->classes : data->n_targets && !data->labelled),
    };

    options.weighted = gle_data_has_weights(data);
    for (int v = 0; v < GLE_RECORD_VARS; v++) {
        options.observed = options.observed || (exp->record.variables[v] && gle_variables[v].derived);
        options.errors = options.errors || (exp->record.variables[v] && gle_variables[v].of_errors);
    }
    if (exp->rule->windowed) {
        const uint64_t longest = exp->window_steps + (exp->phases ? 1 : 0); /* the first one of a phase */
        const uint64_t all = exp->phases ? exp->n_steps : data->n_steps;
        options.tape_steps = (size_t)(longest < all ? longest : all);
    }
    return options;
}

static const struct gle_observer nobody = {0};

/* With the net's threads at work. */
static void run_all(void *ctx)
{
    struct gle_run *run = ctx;

    if (run->exp->phases)
        gle_run_phases(run);
    else
        gle_run_epochs(run);
}

static void say_early(struct gle_metrics *m, const struct gle_stop_cfg *stop)
{
    char by[48] = "";

    if (stop->min_delta > 0.0)
        snprintf(by, sizeof by, " by more than %g", stop->min_delta);
    snprintf(m->message, sizeof m->message, "stopped early after epoch %llu: %s has not %s%s for %llu epoch%s",
             (unsigned long long)m->last_epoch, stop->metric->row.name,
             stop->metric->quality == GLE_QUALITY_ACCURACY ? "risen" : "fallen", by,
             (unsigned long long)stop->patience, stop->patience == 1 ? "" : "s");
}

/* Says how the run ended. */
static int conclude(struct gle_run *run, struct gle_error *err)
{
    struct gle_metrics *m = run->metrics;
    const bool by_phases = run->exp->phases != NULL;
    const char *stage = by_phases ? "phase" : "epoch";
    const size_t reached = !by_phases ? m->n_epochs : m->n_phases ? m->n_phases : 1;

    if (run->state == GLE_RUN_OVER) {
        m->status = GLE_COMPLETED;
        if (gle_metrics_stopped_early(m, run->exp))
            say_early(m, &run->exp->stop);
        return 0;
    }
    if (run->state == GLE_RUN_STOPPED) {
        m->status = GLE_INTERRUPTED;
        snprintf(m->message, sizeof m->message, "stopped by a signal in %s %zu", stage, reached);
        return 0;
    }
    assert(run->state == GLE_RUN_FAILED);
    if (err->code != GLE_EDIVERGED)
        return -1;
    m->status = GLE_DIVERGED;
    snprintf(m->message, sizeof m->message, "%.200s, in %s %llu", err->text, stage,
             (unsigned long long)run->at.stage);
    *err = (struct gle_error){0};
    return gle_fail(err, GLE_EDIVERGED, "%s", m->message);
}

int gle_train(struct gle_metrics *metrics, struct gle_net *net, const struct gle_graph *graph,
              const struct gle_data *data, struct gle_fleet *fleet, const struct gle_observer *observer,
              const volatile sig_atomic_t *stop, struct gle_error *err)
{
    struct gle_run run = {.exp = graph->exp,
                          .graph = graph,
                          .net = net,
                          .data = data,
                          .fleet = fleet,
                          .metrics = metrics,
                          .observer = observer ? observer : &nobody,
                          .stop = stop,
                          .err = err};

    run.rc = gle_run_start(&run, err);
    if (!run.rc)
        gle_net_parallel(net, run_all, &run);
    gle_run_finish(&run);
    return conclude(&run, err);
}
