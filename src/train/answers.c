/* What a network answers: to what has labels, over which steps its outputs are summed, and whether they are right; and
 * how far outputs are from target values. */
#include "base/memory.h"
#include "parts/loss.h"
#include "train/run.h"

#include <math.h>
#include <string.h>

/* Steps of one answer of a batch. */
static size_t answer_length(const struct gle_run *run, const struct gle_batch *batch)
{
    return (batch->n_steps - run->data->n_unasked) / gle_data_answers(run->data);
}

size_t gle_run_answered(const struct gle_run *run, const struct gle_batch *batch, size_t t)
{
    const size_t unasked = run->data->n_unasked;

    return t < unasked ? 0 : (t - unasked) / answer_length(run, batch);
}

/* Where samples have one answer: rows that have so many steps left until the last one with a target. */
static void begin_last_sums(struct gle_run *run, const struct gle_batch *batch, size_t t, size_t decides)
{
    for (size_t b = 0; b < batch->B; b++) {
        const size_t stop = gle_data_asked_stop(run->data, batch->split, batch->rows[b], batch->n_steps);
        if (stop != t + decides)
            continue;
        gle_net_clear_output_sum(run->net, b, gle_data_has_masks(run->data) ? 1 : batch->B);
        if (!gle_data_has_masks(run->data)) /* all are alike */
            return;
    }
}

void gle_run_begin_sums(struct gle_run *run, const struct gle_batch *batch, size_t t)
{
    const size_t decides = (size_t)run->exp->decide_steps, unasked = run->data->n_unasked;
    const size_t answers = gle_data_answers(run->data), length = answer_length(run, batch);
    const size_t first = decides && decides < length ? length - decides : 0; /* of an answer */

    if (!gle_run_labelled(run) || t <= unasked)
        return;
    if (answers > 1 && (t - unasked) % length == first)
        gle_net_clear_output_sum(run->net, 0, batch->B);
    if (answers == 1 && decides)
        begin_last_sums(run, batch, t, decides);
}

/* Whether a label is among the five largest outputs; of equal ones the first is the largest. */
static bool is_among_five(const float *sum, size_t label, size_t K)
{
    size_t before = 0;

    for (size_t k = 0; k < K; k++)
        before += sum[k] > sum[label] || (sum[k] == sum[label] && k < label);
    return before < 5;
}

void gle_run_count_right(struct gle_run *run, struct gle_right *right, const struct gle_batch *batch, size_t t)
{
    const int32_t *labels = run->data->split[batch->split].labels;
    const size_t K = run->data->n_targets, answers = gle_data_answers(run->data);
    const size_t answered = gle_run_answered(run, batch, t + 1);
    uint64_t *confusion = batch->split == run->scores.confusion_split ? run->scores.confusion : NULL;

    if (!gle_run_labelled(run) || answered == gle_run_answered(run, batch, t))
        return;
    gle_net_get_output_sum(run->net, run->output_sum);
    for (size_t b = 0; b < batch->B; b++) {
        const float *sum = run->output_sum + b * K;
        const size_t label = (size_t)labels[batch->rows[b] * answers + answered - 1];
        size_t best = 0;
        gle_predictions_keep_sum(run, batch, b, answered - 1, sum);
        for (size_t k = 1; k < K; k++)
            if (sum[k] > sum[best])
                best = k;
        right->first += best == label;
        right->five += is_among_five(sum, label, K) ? 1.0 : 0.0;
        if (confusion)
            confusion[label * K + best]++;
    }
}

double gle_run_top5(const struct gle_run *run, double five, double answers)
{
    return gle_metrics_has_top5(run->metrics) && answers > 0.0 ? five / answers : (double)NAN;
}

/* --- squared errors --- */

double gle_run_take_squares(struct gle_run *run)
{
    const size_t n = gle_net_get_place(run->net).B * gle_experiment_top(run->exp)->n;
    double sum = 0.0;

    if (!gle_net_graph(run->net)->sums_squares)
        return 0.0;
    gle_net_get_output_sum(run->net, run->output_sum);
    for (size_t i = 0; i < n; i++)
        sum += (double)run->output_sum[i];
    gle_net_clear_output_sum(run->net, 0, gle_net_get_place(run->net).B);
    return sum;
}

bool gle_run_squares_due(const struct gle_run *run, size_t t, size_t n_steps)
{
    return gle_net_graph(run->net)->sums_squares && ((t + 1) % GLE_QUEUE_STEPS == 0 || t + 1 == n_steps);
}

/* --- what a teacher asks for --- */

int gle_spread_make(struct gle_spread *spread, const struct gle_run *run, struct gle_error *err)
{
    const size_t n = gle_experiment_top(run->exp)->n;

    *spread = (struct gle_spread){.n_outputs = n};
    if (!run->exp->has_teacher || !run->metrics->valued)
        return 0;
    spread->samples = gle_calloc(1 + 3 * n, sizeof *spread->samples);
    if (!spread->samples)
        return gle_fail(err, GLE_ENOMEM, "no memory for what the teacher asks for");
    spread->first = spread->samples + 1;
    spread->sum = spread->first + n;
    spread->squares = spread->sum + n;
    return 0;
}

void gle_spread_clear(struct gle_spread *spread)
{
    if (spread->samples)
        memset(spread->samples, 0, (1 + 3 * spread->n_outputs) * sizeof *spread->samples);
}

void gle_spread_add(struct gle_spread *s, const float *target, size_t ld, size_t B)
{
    for (size_t k = 0; k < s->n_outputs && *s->samples == 0.0; k++)
        s->first[k] = (double)target[k];
    for (size_t b = 0; b < B; b++, target += ld)
        for (size_t k = 0; k < s->n_outputs; k++) {
            const double y = (double)target[k] - s->first[k];
            s->sum[k] += y;
            s->squares[k] += y * y;
        }
    *s->samples += (double)B;
}

/* The mean over outputs, of each about its own mean. */
static double variance_of(const struct gle_spread *s)
{
    const double n = *s->samples;
    double variance = 0.0;

    for (size_t k = 0; k < s->n_outputs; k++)
        variance += fmax(0.0, s->squares[k] / n - s->sum[k] / n * (s->sum[k] / n)) / (double)s->n_outputs;
    return isnan(n) ? n : variance;
}

double gle_run_nrmse(const struct gle_run *run, enum gle_split split, double loss, double squares, double asked)
{
    const double outputs = (double)gle_experiment_top(run->exp)->n;
    const double mse = run->exp->loss->squared ? loss : squares / asked / outputs;

    return run->spread.samples ? sqrt(mse / variance_of(&run->spread)) : gle_metrics_nrmse(run->metrics, split, mse);
}
