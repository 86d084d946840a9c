/* Answers of a network to what has labels: over which steps its outputs are summed, and whether they are right. */
#include "train/run.h"

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

void gle_run_begin_sums(struct gle_run *run, const struct gle_batch *batch, size_t t)
{
    const size_t decides = (size_t)run->exp->decide_steps, unasked = run->data->n_unasked;
    const size_t length = answer_length(run, batch);
    const size_t first = decides && decides < length ? length - decides : 0; /* of an answer */

    if (!gle_run_labelled(run) || t <= unasked || (t - unasked) % length != first)
        return;
    gle_net_clear_output_sum(run->net);
}

size_t gle_run_count_right(struct gle_run *run, const struct gle_batch *batch, size_t t)
{
    const int32_t *labels = run->data->split[batch->split].labels;
    const size_t K = run->data->n_targets, answers = gle_data_answers(run->data);
    const size_t answered = gle_run_answered(run, batch, t + 1);
    uint64_t *confusion = batch->split == run->scores.confusion_split ? run->scores.confusion : NULL;
    size_t right = 0;

    if (!gle_run_labelled(run) || answered == gle_run_answered(run, batch, t))
        return 0;
    gle_net_get_output_sum(run->net, run->output_sum);
    for (size_t b = 0; b < batch->B; b++) {
        const float *sum = run->output_sum + b * K;
        const size_t label = (size_t)labels[batch->rows[b] * answers + answered - 1];
        size_t best = 0;
        for (size_t k = 1; k < K; k++)
            if (sum[k] > sum[best])
                best = k;
        right += best == label;
        if (confusion)
            confusion[label * K + best]++;
    }
    return right;
}
