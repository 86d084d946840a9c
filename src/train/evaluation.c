#include "train/evaluation.h"
#include "base/clock.h"
#include "base/memory.h"
#include "train/run.h"

#include <math.h>
#include <string.h>

struct gle_evaluation {
    struct gle_graph *graph, *teacher_graph;
    struct gle_net *net, *teacher; /* teacher NULL: none */
    struct gle_spread spread;      /* of the teacher's output */
    float *output_sum;             /* (batch, n of the last layer) */
    uint32_t *rows;                /* 0, 1, 2, ...: the samples of any set, in order */
    struct gle_observer listener;  /* of the copies' runs */
};

/* --- when --- */

uint64_t gle_evaluation_count(const struct gle_experiment *exp)
{
    return exp->evaluate_steps ? (exp->n_steps - 1) / exp->evaluate_steps + 2 : 0;
}

uint64_t gle_evaluation_step(const struct gle_experiment *exp, uint64_t k)
{
    return k + 1 < gle_evaluation_count(exp) ? k * exp->evaluate_steps : exp->n_steps;
}

bool gle_evaluation_due(const struct gle_run *run)
{
    const uint64_t n = run->metrics->n_evaluations;

    return n < gle_evaluation_count(run->exp) && run->at.step == gle_evaluation_step(run->exp, n);
}

bool gle_evaluation_wanted(const struct gle_experiment *exp)
{
    return exp->evaluate_steps || exp->closed.n_steps || exp->train_after.row;
}

/* --- copies --- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t gle_evaluation_rows(const struct gle_experiment *exp, const struct gle_data *data, enum gle_split split)
{
    const size_t n = gle_metrics_samples(exp, data, split), most = (size_t)exp->test_batch_size;

    return n < most ? n : most;
}

struct gle_graph_options gle_evaluation_options(const struct gle_graph *graph, const struct gle_data *data)
{
    const size_t B = larger(gle_evaluation_rows(graph->exp, data, GLE_TEST),
                            gle_evaluation_rows(graph->exp, data, GLE_TRAIN_AFTER));

    return (struct gle_graph_options){
        .batch = larger(B, graph->max_batch), .train_rows = graph->train_rows, .sums_squares = graph->sums_squares,
        .weighted = graph->weighted};
}

/* Of which split the samples are that a score is of. */
static enum gle_split split_of(enum gle_split scored)
{
    return scored == GLE_TRAIN_AFTER ? GLE_TRAIN : scored;
}

uint64_t gle_evaluation_steps_each(const struct gle_run *run, enum gle_split split)
{
    const size_t n = gle_metrics_samples(run->exp, run->data, split);
    const size_t B = gle_evaluation_rows(run->exp, run->data, split);
    uint64_t steps = 0;

    for (size_t done = 0; run->evaluation && done < n; done += B)
        steps += gle_data_longest(run->data, split_of(split), run->evaluation->rows + done,
                                  n - done < B ? n - done : B);
    return steps;
}

static int build(struct gle_graph **graph, struct gle_net **net, const struct gle_run *run,
                 const struct gle_graph_options *options, const struct gle_net *from, struct gle_error *err)
{
    if (gle_graph_build(graph, run->exp, options, err) ||
        gle_net_build(net, *graph, gle_net_threads(from), err))
        return -1;
    gle_net_borrow_threads(*net, from);
    return gle_net_is_on_device(from) ? gle_net_move(*net, run->fleet, err) : 0;
}

static int build_all(struct gle_evaluation *e, const struct gle_run *run, struct gle_error *err)
{
    const size_t n = larger(run->data->split[GLE_TEST].n, gle_metrics_train_after(run->exp, run->data));
    struct gle_graph_options options = gle_evaluation_options(run->graph, run->data);

    e->output_sum = gle_calloc(options.batch * gle_experiment_top(run->exp)->n, sizeof *e->output_sum);
    e->rows = gle_calloc(n, sizeof *e->rows);
    if (!e->output_sum || !e->rows)
        return gle_fail(err, GLE_ENOMEM, "no memory for evaluations");
    for (size_t i = 0; i < n; i++)
        e->rows[i] = (uint32_t)i;
    if (gle_spread_make(&e->spread, run, err) ||
        build(&e->graph, &e->net, run, &options, run->net, err))
        return -1;
    options.passive = true;
    return run->teacher ? build(&e->teacher_graph, &e->teacher, run, &options, run->teacher, err) : 0;
}

int gle_evaluation_open(struct gle_evaluation **out, struct gle_run *run, struct gle_error *err)
{
    struct gle_evaluation *e = gle_calloc(1, sizeof *e);

    *out = NULL;
    if (!e)
        return gle_fail(err, GLE_ENOMEM, "no memory for evaluations");
    if (build_all(e, run, err)) {
        gle_evaluation_close(e);
        return -1;
    }
    *out = e;
    return 0;
}

void gle_evaluation_close(struct gle_evaluation *e)
{
    if (!e)
        return;
    gle_net_destroy(e->teacher);
    gle_graph_destroy(e->teacher_graph);
    gle_net_destroy(e->net);
    gle_graph_destroy(e->graph);
    gle_free(e->output_sum);
    gle_free(e->spread.samples);
    gle_free(e->rows);
    gle_free(e);
}

static void copy_nets(struct gle_evaluation *e, const struct gle_run *run, bool own_values)
{
    const struct gle_settings *set = run->exp->phases ? &run->exp->phases[run->at.stage - 1].set : NULL;

    gle_net_copy(e->net, run->net);
    for (size_t i = 0; set && own_values && i < set->n; i++)
        gle_net_set_param(e->net, gle_run_param(run, &set->item[i]), run->phase.kept[i]);
    if (run->teacher)
        gle_net_copy(e->teacher, run->teacher);
}

/* --- the pass --- */

/* Sums of a pass, over steps and samples. */
struct sums {
    double loss;
    double shown; /* steps, each as often as there were samples in it */
    double asked; /* of these, those with a target */
    double squares; /* errors, where the net sums them */
    struct gle_right right;
    size_t answered;        /* answers */
    size_t done;            /* samples */
};

static double accuracy(const struct gle_run *copy, const struct sums *s)
{
    return s->answered && gle_run_labelled(copy) ? (double)s->right.first / (double)s->answered : (double)NAN;
}

static int show_batch(struct gle_run *copy, const struct gle_batch *batch, bool forward_only, struct sums *s,
                      struct gle_error *err)
{
    const bool queued = gle_net_is_on_device(copy->net); /* losses come late: they are told after the batch */
    struct gle_stride stride = {.B = batch->B, .forward_only = forward_only};

    gle_run_begin_batch(copy, batch->B);
    for (size_t t = 0; t < batch->n_steps && !gle_run_stopped(copy); t++) {
        gle_run_show(copy, batch, t);
        stride.at_once = t + 1 == batch->n_steps || gle_predictions_look(copy, batch->split);
        if (gle_run_step(copy, &stride, &s->loss, err))
            return -1;
        gle_predictions_keep_step(copy, batch, t);
        gle_run_count_right(copy, &s->right, batch, t);
        if (gle_run_squares_due(copy, t, batch->n_steps))
            s->squares += gle_run_take_squares(copy);
        s->answered = s->done * gle_data_answers(copy->data) + batch->B * gle_run_answered(copy, batch, t + 1);
        s->shown += (double)batch->B;
        s->asked += copy->at.asked;
        copy->spent.work += (double)batch->B;
        if (queued ? stride.at_once : t % GLE_PROGRESS_STEPS == 0)
            gle_run_tell(copy, s->loss / s->asked, accuracy(copy, s));
    }
    s->done += batch->B;
    copy->spent.work += (double)batch->B * (double)(copy->data->n_steps - batch->n_steps); /* as between epochs */
    return 0;
}

/* The samples in order, as they are, in batches. */
static int open_feed(struct gle_run *copy, const struct gle_evaluation *e, struct gle_error *err)
{
    const enum gle_split split = copy->at.split;
    const struct gle_pass pass = {.split = split_of(split),
                                  .rows = e->rows,
                                  .n = gle_metrics_samples(copy->exp, copy->data, split),
                                  .batch_size = gle_evaluation_rows(copy->exp, copy->data, split),
                                  .plain = true};

    return gle_run_open_feed(copy, err) || gle_feed_add(copy->reading.feed, &pass, err) ? -1 : 0;
}

static int show_all(struct gle_run *copy, struct gle_evaluation *e, struct sums *s, struct gle_error *err)
{
    const size_t n = gle_metrics_samples(copy->exp, copy->data, copy->at.split);
    const bool forward_only = gle_run_without_errors(copy->exp, true);
    const double time = (double)copy->at.step * copy->exp->dt;
    struct gle_error own = {0};

    while (s->done < n && !gle_run_stopped(copy)) {
        const struct gle_batch *batch = gle_feed_next(copy->reading.feed, &copy->metrics->waited_seconds);
        if (!show_batch(copy, batch, forward_only, s, &own))
            continue;
        if (copy->at.split == GLE_TRAIN_AFTER)
            return gle_fail(err, own.code, "%s (counted on through the training set after the epoch)", own.text);
        return gle_fail(err, own.code, "%s (counted on through the evaluation at time %g)", own.text, time);
    }
    return gle_net_tell(e->net, err);
}

const uint32_t *gle_evaluation_samples(const struct gle_evaluation *e)
{
    return e->rows;
}

struct gle_run gle_evaluation_copy(struct gle_evaluation *e, const struct gle_run *run, enum gle_split split,
                                   bool own_values)
{
    const bool counts = split == GLE_TEST || run->scores.confusion_split == split;

    copy_nets(e, run, own_values);
    e->listener = (struct gle_observer){.ctx = run->observer->ctx, .progress = run->observer->progress};
    return (struct gle_run){.exp = run->exp,
                            .graph = e->graph,
                            .net = e->net,
                            .data = run->data,
                            .metrics = run->metrics,
                            .observer = &e->listener,
                            .stop = run->stop,
                            .teacher = e->teacher,
                            .output_sum = e->output_sum,
                            .spread = e->spread,
                            .state = GLE_RUN_ASIDE,
                            .at = {.stage = run->at.stage, .split = split, .step = run->at.step},
                            .scores = {.confusion = counts ? run->scores.confusion : NULL,
                                       .confusion_split = split_of(split),
                                       .predictions = {[GLE_TEST] = run->scores.predictions[GLE_TEST]}},
                            .spent = run->spent};
}

/* Shows a set to the copies. The score is measured, unless the run was stopped meanwhile: then nothing has happened. */
static int measure(struct gle_score *found, struct gle_evaluation *e, struct gle_run *run, enum gle_split split,
                   bool own_values, struct gle_error *err)
{
    struct gle_metrics *m = run->metrics;
    struct sums s = {0};
    struct gle_run copy;
    double spent;
    int rc;

    run->spent.clock = gle_clock();
    copy = gle_evaluation_copy(e, run, split, own_values);
    if (copy.scores.confusion)
        memset(copy.scores.confusion, 0, m->n_classes * m->n_classes * sizeof *copy.scores.confusion);
    gle_spread_clear(&copy.spread);
    rc = open_feed(&copy, e, err) || show_all(&copy, e, &s, err) ? -1 : 0;
    gle_feed_close(copy.reading.feed);
    spent = gle_clock() - run->spent.clock;
    run->spent.clock += spent;
    m->eval_seconds += spent;
    if (!run->exp->phases)
        run->scores.epoch.seconds += spent;
    if (rc || gle_run_stopped(run))
        return rc;
    run->spent.work = copy.spent.work;
    m->eval_steps += copy.at.step - run->at.step;
    m->eval_flops += s.shown * (gle_run_without_errors(run->exp, true) ? gle_graph_forward_flops(e->graph)
                                                                       : gle_graph_flops(e->graph, false));
    *found = (struct gle_score){.measured = true,
                                .loss = s.loss / s.asked,
                                .accuracy = accuracy(&copy, &s),
                                .top5 = gle_run_top5(run, s.right.five, (double)s.answered),
                                .nrmse = gle_run_nrmse(&copy, split, s.loss / s.asked, s.squares, s.asked),
                                .closed = gle_closed_unknown};
    return 0;
}

int gle_evaluation_make(struct gle_evaluation *e, struct gle_run *run, bool own_values, struct gle_error *err)
{
    struct gle_metrics *m = run->metrics;
    struct gle_evaluated evaluated;
    struct gle_closed closed = gle_closed_unknown;
    struct gle_score found = {.measured = false};

    gle_run_count_time(run);
    if (run->exp->closed.n_steps && gle_closed_measure(e, run, own_values, &closed, err))
        return -1;
    if (measure(&found, e, run, GLE_TEST, own_values, err)) /* closed loops count for no steps, and no time */
        return -1;
    if (!found.measured)
        return 0;
    if (m->confusion) {
        memcpy(m->confusion, run->scores.confusion, m->n_classes * m->n_classes * sizeof *m->confusion);
        m->confusion_split = GLE_TEST;
    }
    gle_predictions_take(run, GLE_TEST);
    evaluated = (struct gle_evaluated){.step = run->at.step,
                                       .loss = found.loss,
                                       .accuracy = found.accuracy,
                                       .top5 = found.top5,
                                       .nrmse = found.nrmse,
                                       .closed = closed};
    return gle_metrics_evaluate(m, &evaluated, err);
}

int gle_evaluation_after_training(struct gle_evaluation *e, struct gle_run *run, struct gle_error *err)
{
    return measure(&run->scores.epoch.score[GLE_TRAIN_AFTER], e, run, GLE_TRAIN_AFTER, false, err);
}
