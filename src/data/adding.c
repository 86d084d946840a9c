/* Adding (Hochreiter & Schmidhuber 1997): two of many numbers are marked, and at the end their sum, or their mean, is
 * asked for:
 *   x_0(t) = a_k, x_1(t) = 1 if k = i or k = j, else 0,   k = floor(t / item), for k < n;   then both are 0
 *   target = a_i + a_j, or half of it, during the answer
 * a_k from U(0, 1), i from 0 ... n / 2 - 1 (whole), j from n / 2 ... n - 1. */
#include "data/made.h"
#include "data/sets.h"

enum { SUM, MEAN };
static const struct gle_row target_rows[] = {
    [SUM] = {.name = "sum", .help = "the sum of the two marked numbers, 0 to 2"},
    [MEAN] = {.name = "mean", .help = "their mean, 0 to 1"},
    {.name = NULL},
};
static const struct gle_table target_table = {"target", target_rows, sizeof *target_rows};

struct adding_params {
    uint64_t numbers;
    double item, answer;
    const struct gle_row *target;
    struct gle_made made;
};
_Static_assert(sizeof(struct adding_params) <= GLE_DATASET_PARAMS_SIZE, "settings of adding");

const struct gle_key gle_adding_keys[] = {
    GLE_KEY_COUNT(struct adding_params, numbers, "10", 2, 1e6, "",
                  "numbers that a sample shows one after another; one is marked in the first half of them and one in "
                  "the second"),
    GLE_KEY_STEPS(struct adding_params, item, "1.0", 1e-9, 1e9, "how long each number lasts"),
    GLE_KEY_STEPS(struct adding_params, answer, "1.0", 1e-9, 1e9,
                  "how long the target is there, from the end of the last number on; the input is 0. In the steps "
                  "before, nothing is asked for"),
    GLE_KEY_NAME(struct adding_params, target, "sum", &target_table, "what is asked for"),
    GLE_MADE_KEYS(struct adding_params),
    GLE_KEY_END,
};

enum { NUMBER, MARKER, CHANNELS };

struct task {
    uint32_t numbers;
    size_t item; /* steps */
    double scale;
};

static void show(const void *of, const struct gle_data *data, struct gle_samples *s, size_t i, struct gle_rng *rng)
{
    const struct task *task = of;
    const uint32_t half = task->numbers / 2;
    const uint32_t first = gle_numpy_interval(rng, half - 1);
    const uint32_t second = half + gle_numpy_interval(rng, task->numbers - half - 1);
    float *x = s->x + i * data->n_steps * CHANNELS;
    double sum = 0.0;

    for (uint32_t k = 0; k < task->numbers; k++) {
        const double number = gle_numpy_rand(rng);
        gle_made_put(x, CHANNELS, NUMBER, k * task->item, task->item, (float)number);
        if (k != first && k != second)
            continue;
        gle_made_put(x, CHANNELS, MARKER, k * task->item, task->item, 1.0f);
        sum += number;
    }
    s->targets[i] = (float)(task->scale * sum);
}

void gle_adding_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    (void)params;
    *n_channels = CHANNELS;
    *n_targets = 1;
}

int gle_adding_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                    struct gle_error *err)
{
    const struct adding_params *p = params;
    struct task task = {.numbers = (uint32_t)p->numbers, .scale = p->target == &target_rows[MEAN] ? 0.5 : 1.0};
    size_t answer;

    if (gle_data_steps(&task.item, "item", p->item, ctx->dt, err) ||
        gle_data_steps(&answer, "answer", p->answer, ctx->dt, err))
        return -1;
    data->n_channels = CHANNELS;
    data->n_targets = 1;
    data->n_unasked = (size_t)p->numbers * task.item;
    data->n_steps = data->n_unasked + answer;
    return gle_made_fill(data, &p->made, show, &task, ctx, err);
}
