#include "data/shown.h"
#include "base/memory.h"

int gle_shown_open(struct gle_shown *out, const struct gle_data *data, size_t batch_max, struct gle_error *err)
{
    const struct gle_maker *maker = &data->maker;
    const size_t each = maker->frames_max * data->n_channels;

    *out = (struct gle_shown){.data = data};
    if (!maker->make)
        return 0;
    out->desk = maker->open_desk(maker->state);
    out->frames = batch_max <= SIZE_MAX / sizeof(float) / (each + 1) ? gle_floats(batch_max * each) : NULL;
    out->n_frames = gle_calloc(batch_max, sizeof *out->n_frames);
    return out->desk && out->frames && out->n_frames ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for samples to show");
}

void gle_shown_fill(struct gle_shown *shown, struct gle_batch *batch, uint64_t draw)
{
    const struct gle_data *data = shown->data;
    const struct gle_maker *maker = &data->maker;
    const size_t each = maker->frames_max * data->n_channels;

    if (!shown->frames)
        return;
    for (size_t b = 0; b < batch->B && !(shown->filled && shown->draw == draw && batch->split == GLE_TRAIN); b++) {
        const uint32_t number = gle_data_number(data, batch->split, batch->rows[b]);
        shown->n_frames[b] = maker->length(maker->state, batch->split, number);
        maker->make(maker->state, shown->desk, shown->frames + b * each, batch->split, number, draw + b);
    }
    shown->filled = true;
    shown->draw = draw;
    batch->frames = shown->frames;
    batch->n_frames = shown->n_frames;
}

double gle_shown_bytes(const struct gle_data *data, size_t batch_max)
{
    return data->maker.make ? (double)batch_max * (double)data->maker.frames_max * (double)data->n_channels * 4.0 : 0.0;
}

void gle_shown_close(struct gle_shown *shown)
{
    if (shown->desk)
        shown->data->maker.close_desk(shown->desk);
    gle_free(shown->frames);
    gle_free(shown->n_frames);
    *shown = (struct gle_shown){0};
}
