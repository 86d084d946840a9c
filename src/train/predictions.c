#include "train/predictions.h"
#include "base/memory.h"
#include "train/run.h"

#include <math.h>
#include <string.h>

struct gle_predictions_shape gle_predictions_shape(const struct gle_experiment *exp, const struct gle_data *data)
{
    const size_t end = data->asked_end ? data->asked_end : data->n_steps, n = gle_experiment_top(exp)->n;

    if (exp->has_teacher)
        return (struct gle_predictions_shape){.parts = data->n_steps, .outputs = n};
    if (data->labelled)
        return (struct gle_predictions_shape){.labelled = true, .parts = gle_data_answers(data), .outputs = n};
    return (struct gle_predictions_shape){.first = data->n_unasked, .parts = end - data->n_unasked, .outputs = n};
}

bool gle_predictions_wanted(const struct gle_experiment *exp, const struct gle_data *data, enum gle_split split)
{
    const bool evaluated = split == GLE_TEST || (split == GLE_VALIDATION && !exp->phases);

    return exp->predictions && evaluated && data->split[split].n;
}

/* Of one sample. */
static double values_each(const struct gle_predictions_shape *s)
{
    return (s->labelled ? 1.0 : 2.0) * (double)s->parts * (double)s->outputs;
}

double gle_predictions_bytes(const struct gle_experiment *exp, const struct gle_data *data)
{
    const struct gle_predictions_shape s = gle_predictions_shape(exp, data);
    const double labels = s.labelled ? 2.0 * (double)s.parts : 0.0; /* and answers */
    const double weights = !exp->has_teacher && gle_data_has_weights(data) ? (double)s.parts : 0.0;
    double n = 0.0;

    for (int k = 0; k < GLE_SPLITS; k++)
        n += gle_predictions_wanted(exp, data, (enum gle_split)k) ? (double)data->split[k].n : 0.0;
    return n * (double)sizeof(float) * (1.0 + labels + weights + values_each(&s));
}

int gle_predictions_open(struct gle_run *run, struct gle_error *err)
{
    const struct gle_predictions_shape s = gle_predictions_shape(run->exp, run->data);

    for (int k = 0; k < GLE_SPLITS; k++) {
        struct gle_predictions *p = &run->metrics->predictions[k];
        const size_t each = (s.labelled ? 1u : 2u) * s.parts * s.outputs;
        if (!gle_predictions_wanted(run->exp, run->data, (enum gle_split)k))
            continue;
        p->n = run->data->split[k].n * each; /* no more than GLE_PREDICTIONS_MAX bytes, see gle_train_check() */
        p->values = gle_calloc(p->n, sizeof *p->values);
        run->scores.predictions[k] = gle_calloc(p->n, sizeof *p->values);
        if (!p->values || !run->scores.predictions[k])
            return gle_fail(err, GLE_ENOMEM, "no memory for predictions");
    }
    return 0;
}

void gle_predictions_free(struct gle_run *run)
{
    for (int k = 0; k < GLE_SPLITS; k++)
        gle_free(run->scores.predictions[k]);
}

bool gle_predictions_look(const struct gle_run *run, enum gle_split split)
{
    return run->scores.predictions[split] && !gle_run_labelled(run);
}

/* Puts row b of what the last step has read where it belongs. */
static void read_row(const struct gle_run *run, enum gle_read what, size_t b, float *to)
{
    gle_net_get_read(run->net, what, &b, 1, to);
}

/* Steps that a batch does not have, as it is shorter than others, ask for nothing. */
static void begin_rows(float *values, const struct gle_batch *batch, size_t each)
{
    for (size_t b = 0; b < batch->B; b++)
        for (size_t i = 0; i < each; i++)
            values[batch->rows[b] * each + i] = NAN;
}

void gle_predictions_keep_step(struct gle_run *run, const struct gle_batch *batch, size_t t)
{
    const struct gle_predictions_shape s = gle_predictions_shape(run->exp, run->data);
    const size_t each = 2 * s.parts * s.outputs;
    float *values = run->scores.predictions[batch->split];

    if (!gle_predictions_look(run, batch->split))
        return;
    if (t == 0)
        begin_rows(values, batch, each);
    for (size_t b = 0; b < batch->B && t >= s.first && t < s.first + s.parts; b++) {
        float *output = values + batch->rows[b] * each + (t - s.first) * s.outputs;
        if (!run->teacher && !gle_data_asks(run->data, batch->split, batch->rows[b], t))
            continue;
        read_row(run, GLE_READ_OUTPUT, b, output);
        read_row(run, GLE_READ_TARGET, b, output + s.parts * s.outputs);
    }
}

void gle_predictions_keep_sum(struct gle_run *run, const struct gle_batch *batch, size_t b, size_t answer,
                              const float *sum)
{
    const size_t K = run->data->n_targets, answers = gle_data_answers(run->data);
    float *values = run->scores.predictions[batch->split];

    if (values)
        memcpy(values + (batch->rows[b] * answers + answer) * K, sum, K * sizeof *sum);
}

void gle_predictions_take(struct gle_run *run, enum gle_split split)
{
    struct gle_predictions *p = &run->metrics->predictions[split];

    if (!p->values)
        return;
    memcpy(p->values, run->scores.predictions[split], p->n * sizeof *p->values);
    p->there = true;
}
