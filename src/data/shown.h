/* shown.h - samples that a maker makes, made when they are about to be shown side by side, by whoever shows them: where
 * there is no pass over them that threads could make them ahead for (feed.h). */
#ifndef GLE_DATA_SHOWN_H
#define GLE_DATA_SHOWN_H

#include "data/data.h"

struct gle_shown {
    const struct gle_data *data; /* borrowed */
    void *desk;
    float *frames;    /* of a batch, as gle_batch.frames; NULL: samples are in memory, and nothing is made */
    size_t *n_frames; /* (batch_max) */
    bool filled;      /* from `draw` on */
    uint64_t draw;
};

/* Room for so many samples of a data set, whose samples all have as many frames if it has a maker.
 * Owns: *out belongs to the caller (gle_shown_close(), also after an error; zeroed is fine). Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_shown_open(struct gle_shown *out, const struct gle_data *data, size_t batch_max,
                                  struct gle_error *err);
/* Makes B samples, the first of them with this draw and the others with those that follow it, and gives batch, which
 * has their rows, its frames. Training samples that are there already, with the same draws, are not made again. */
void gle_shown_fill(struct gle_shown *shown, struct gle_batch *batch, uint64_t draw);
void gle_shown_close(struct gle_shown *shown);
/* Bytes of its frames. */
double gle_shown_bytes(const struct gle_data *data, size_t batch_max);

#endif
