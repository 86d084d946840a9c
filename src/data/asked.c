/* At which steps samples have a target, and what targets are like there. */
#include "data/data.h"
#include "data/sets.h"

#include <math.h>

static size_t frame_at(const struct gle_data *data, size_t t)
{
    return t / gle_data_repeat(data);
}

bool gle_data_asks_at(const struct gle_data *data, size_t t)
{
    return t >= data->n_unasked && (!data->asked_end || t < data->asked_end);
}

bool gle_data_asks(const struct gle_data *data, enum gle_split split, uint32_t row, size_t t)
{
    const unsigned char *asked = data->split[split].asked;
    const size_t n_frames = data->n_steps / gle_data_repeat(data);

    return gle_data_asks_at(data, t) && (!asked || asked[row * n_frames + frame_at(data, t)]);
}

bool gle_data_has_masks(const struct gle_data *data)
{
    return data->split[GLE_TRAIN].asked || data->split[GLE_VALIDATION].asked || data->split[GLE_TEST].asked;
}

bool gle_data_has_weights(const struct gle_data *data)
{
    return data->split[GLE_TRAIN].weights || data->split[GLE_VALIDATION].weights || data->split[GLE_TEST].weights;
}

float gle_data_weight(const struct gle_data *data, enum gle_split split, uint32_t row, size_t t)
{
    const float *weights = data->split[split].weights;
    const size_t n_frames = data->n_steps / gle_data_repeat(data);

    if (!gle_data_asks(data, split, row, t))
        return 0.0f;
    return weights ? weights[row * n_frames + frame_at(data, t)] : 1.0f;
}

double gle_data_sum_weights(const struct gle_data *data, enum gle_split split, uint32_t row, size_t end)
{
    double sum = 0.0;

    if (!data->split[split].weights)
        return (double)gle_data_count_asked(data, split, row, end);
    for (size_t t = 0; t < end; t++)
        sum += (double)gle_data_weight(data, split, row, t);
    return sum;
}

size_t gle_data_count_asked(const struct gle_data *data, enum gle_split split, uint32_t row, size_t end)
{
    const size_t stop = data->asked_end && data->asked_end < end ? data->asked_end : end;
    size_t n = 0;

    if (!data->split[split].asked)
        return stop > data->n_unasked ? stop - data->n_unasked : 0;
    for (size_t t = data->n_unasked; t < stop; t++)
        n += gle_data_asks(data, split, row, t);
    return n;
}

size_t gle_data_asked_stop(const struct gle_data *data, enum gle_split split, uint32_t row, size_t n_steps)
{
    size_t stop = data->asked_end && data->asked_end < n_steps ? data->asked_end : n_steps;

    while (data->split[split].asked && stop && !gle_data_asks(data, split, row, stop - 1))
        stop--;
    return stop;
}

/* --- target_window --- */

int gle_data_check_window(const struct gle_reals *window, const char **key, const char **why)
{
    *key = "target_window";
    *why = "must be two numbers, [from, to], the first below the second";
    return window->src && !(window->n == 2 && window->v[0] < window->v[1]) ? -1 : 0;
}

/* A time as a number of steps of dt. */
static int steps_of(size_t *steps, double time, double dt, struct gle_error *err)
{
    const double n = round(time / dt);

    if (fabs(time / dt - n) > 1e-6 * fmax(1.0, n))
        return gle_fail(err, GLE_ERANGE, "target_window: %g is no whole number of steps of dt = %g", time, dt);
    *steps = (size_t)n;
    return 0;
}

int gle_data_ask_in(struct gle_data *data, const struct gle_reals *window, const struct gle_data_context *ctx,
                    struct gle_error *err)
{
    if (!window->src)
        return 0;
    if (ctx->has_teacher)
        return gle_fail(err, GLE_ECONFIG, "target_window does not go with a teacher: its output is the target at every "
                                          "step");
    if (steps_of(&data->n_unasked, window->v[0], ctx->dt, err) ||
        steps_of(&data->asked_end, window->v[1], ctx->dt, err))
        return -1;
    if (data->asked_end > data->n_steps)
        return gle_fail(err, GLE_ERANGE, "target_window ends at %g, where samples last for %g", window->v[1],
                        (double)data->n_steps * ctx->dt);
    return 0;
}

/* --- spread of targets --- */

/* Sums over the asked steps of a split, of one output; from `shift` on, which keeps digits. */
struct spread {
    double shift, sum, squares;
};

static void add(struct spread *s, double y, double weight)
{
    s->sum += weight * (y - s->shift);
    s->squares += weight * (y - s->shift) * (y - s->shift);
}

/* Adds the targets of a sample; returns what the steps that have one count. */
static double add_sample(struct spread *s, const struct gle_data *data, enum gle_split split, uint32_t row, size_t k)
{
    const size_t K = data->n_targets, repeat = gle_data_repeat(data), n_frames = data->n_steps / repeat;
    const float *y = data->split[split].targets + (size_t)row * (data->target_moves ? n_frames : 1) * K;
    double n = 0.0;

    if (!data->target_moves) {
        n = gle_data_sum_weights(data, split, row, data->n_steps);
        add(s, (double)y[k], n);
        return n;
    }
    for (size_t t = 0; t < data->n_steps; t++)
        if (gle_data_asks(data, split, row, t)) {
            const double weight = (double)gle_data_weight(data, split, row, t);
            add(s, (double)y[t / repeat * K + k], weight);
            n += weight;
        }
    return n;
}

double gle_data_variance(const struct gle_data *data, enum gle_split split, size_t n_samples)
{
    const struct gle_samples *samples = &data->split[split];
    double variance = 0.0;

    if (!samples->targets || !n_samples)
        return (double)NAN;
    for (size_t k = 0; k < data->n_targets; k++) {
        struct spread s = {.shift = (double)samples->targets[k]};
        double n = 0.0;
        for (uint32_t row = 0; row < n_samples; row++)
            n += add_sample(&s, data, split, row, k);
        variance += fmax(0.0, s.squares / n - s.sum / n * (s.sum / n)) / (double)data->n_targets;
    }
    return variance;
}
