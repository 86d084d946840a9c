/* Copy (Hochreiter & Schmidhuber 1997; Arjovsky et al. 2016): symbols are shown one after another, and after a delay
 * they are asked for in the same order, each for as long as it was shown:
 *   x_s(t) = 1 while symbol s is shown, s = 0 ... symbols - 1, else 0
 *   x_symbols(t) = 1 for the first `item` of the recall, else 0
 * The target of part k of the recall, from k item to (k + 1) item, is the symbol that was shown in part k. */
#include "data/made.h"
#include "data/sets.h"

struct copy_params {
    uint64_t symbols, length;
    double item, delay;
    struct gle_made made;
};
_Static_assert(sizeof(struct copy_params) <= GLE_DATASET_PARAMS_SIZE, "settings of copy");

const struct gle_key gle_copy_keys[] = {
    GLE_KEY_COUNT(struct copy_params, symbols, "8", 2, 1e4, "",
                  "different symbols, each an input and an output; one more input says that the recall begins"),
    GLE_KEY_COUNT(struct copy_params, length, "5", 1, 1e6, "", "symbols that a sample shows, drawn independently"),
    GLE_KEY_STEPS(struct copy_params, item, "1.0", 1e-9, 1e9,
                  "how long a symbol is shown, and asked for in the recall"),
    GLE_KEY_STEPS(struct copy_params, delay, "5.0", 0.0, 1e9,
                  "from the end of the last symbol to the recall; the input is 0. Nothing is asked for before the "
                  "recall"),
    GLE_MADE_KEYS(struct copy_params),
    GLE_KEY_END,
};

struct task {
    uint32_t symbols;
    size_t length, item; /* item: steps */
};

static void show(const void *of, const struct gle_data *data, struct gle_samples *s, size_t i, struct gle_rng *rng)
{
    const struct task *task = of;
    float *x = s->x + i * data->n_steps * data->n_channels;

    for (size_t k = 0; k < task->length; k++) {
        const uint32_t symbol = gle_numpy_interval(rng, task->symbols - 1);
        gle_made_put(x, data->n_channels, symbol, k * task->item, task->item, 1.0f);
        s->labels[i * task->length + k] = (int32_t)symbol;
    }
    gle_made_put(x, data->n_channels, task->symbols, data->n_unasked, task->item, 1.0f);
}

void gle_copy_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    const struct copy_params *p = params;

    *n_channels = (size_t)p->symbols + 1;
    *n_targets = (size_t)p->symbols;
}

int gle_copy_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx, struct gle_error *err)
{
    const struct copy_params *p = params;
    struct task task = {.symbols = (uint32_t)p->symbols, .length = (size_t)p->length};
    size_t delay = 0;

    if (gle_data_steps(&task.item, "item", p->item, ctx->dt, err) ||
        (p->delay > 0.0 && gle_data_steps(&delay, "delay", p->delay, ctx->dt, err)))
        return -1;
    gle_copy_shape(params, &data->n_channels, &data->n_targets);
    data->labelled = 1;
    data->n_answers = task.length;
    data->n_unasked = task.length * task.item + delay;
    data->n_steps = data->n_unasked + task.length * task.item;
    return gle_made_fill(data, &p->made, show, &task, ctx, err);
}
