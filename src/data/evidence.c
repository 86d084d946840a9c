/* Evidence (the task of Morcos & Harvey 2016, as Bellec et al. 2020 put it to networks): cues come one after another,
 * each left or right, and after a pause the side is asked for that had more of them. A sample has a side, by chance of
 * one half, and each of its cues is on that side with `probability`, else on the other.
 *   x_0(t) = 1 during cues left, x_1(t) = 1 during cues right, x_2(t) = 1 during the answer, else 0
 * Cue k = 0 ... cues - 1 lasts from k (cue + gap) to k (cue + gap) + cue; the pause follows the last one's end. In
 * place of spikes at a rate, inputs are the rates, without noise. */
#include "data/made.h"
#include "data/sets.h"

struct evidence_params {
    uint64_t cues;
    double cue, gap, pause, answer, probability;
    struct gle_made made;
};
_Static_assert(sizeof(struct evidence_params) <= GLE_DATASET_PARAMS_SIZE, "settings of evidence");

const struct gle_key gle_evidence_keys[] = {
    GLE_KEY_COUNT(struct evidence_params, cues, "7", 1, 1e6, "",
                  "cues of a sample: an odd number, so that one side has more"),
    GLE_KEY_STEPS(struct evidence_params, cue, "1.0", 1e-9, 1e9, "how long a cue lasts"),
    GLE_KEY_STEPS(struct evidence_params, gap, "0.5", 0.0, 1e9,
                  "from the end of a cue to the start of the next; the input is 0"),
    GLE_KEY_STEPS(struct evidence_params, pause, "5.0", 0.0, 1e9,
                  "from the end of the last cue to the answer; the input is 0"),
    GLE_KEY_STEPS(struct evidence_params, answer, "1.5", 1e-9, 1e9,
                  "how long the target is there, while the third input is 1. In the steps before, nothing is asked "
                  "for"),
    GLE_KEY_REAL(struct evidence_params, probability, "0.7", 0.5, 1.0, "",
                 "that a cue is on the sample's side; the label is the side that had more of them"),
    GLE_MADE_KEYS(struct evidence_params),
    GLE_KEY_END,
};

enum { LEFT, RIGHT, GO, CHANNELS, CLASSES = 2 };

struct task {
    uint64_t cues;
    double probability;
    size_t cue, gap, pause, answer; /* steps */
};

int gle_evidence_check(const void *params, const char **key, const char **why)
{
    const struct evidence_params *p = params;

    if (p->cues % 2)
        return 0;
    *key = "cues";
    *why = "must be odd, so that one side has more of them";
    return -1;
}

static void show(const void *of, const struct gle_data *data, struct gle_samples *s, size_t i, struct gle_rng *rng)
{
    const struct task *task = of;
    const bool side = gle_numpy_rand(rng) >= 0.5;
    float *x = s->x + i * data->n_steps * CHANNELS;
    uint64_t right = 0;

    for (uint64_t k = 0; k < task->cues; k++) {
        const bool on_side = gle_numpy_rand(rng) < task->probability, is_right = on_side == side;
        gle_made_put(x, CHANNELS, is_right ? RIGHT : LEFT, (size_t)k * (task->cue + task->gap), task->cue, 1.0f);
        right += is_right;
    }
    gle_made_put(x, CHANNELS, GO, data->n_unasked, task->answer, 1.0f);
    s->labels[i] = 2 * right > task->cues;
}

void gle_evidence_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    (void)params;
    *n_channels = CHANNELS;
    *n_targets = CLASSES;
}

int gle_evidence_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                      struct gle_error *err)
{
    static const char *const names[] = {"left", "right"};
    const struct evidence_params *p = params;
    struct task task = {.cues = p->cues, .probability = p->probability};

    if (gle_data_steps(&task.cue, "cue", p->cue, ctx->dt, err) ||
        (p->gap > 0.0 && gle_data_steps(&task.gap, "gap", p->gap, ctx->dt, err)) ||
        (p->pause > 0.0 && gle_data_steps(&task.pause, "pause", p->pause, ctx->dt, err)) ||
        gle_data_steps(&task.answer, "answer", p->answer, ctx->dt, err))
        return -1;
    data->n_channels = CHANNELS;
    data->n_targets = CLASSES;
    data->labelled = 1;
    data->classes = names;
    data->n_unasked = (size_t)p->cues * task.cue + (size_t)(p->cues - 1) * task.gap + task.pause;
    data->n_steps = data->n_unasked + task.answer;
    return gle_made_fill(data, &p->made, show, &task, ctx, err);
}
