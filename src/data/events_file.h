/* events_file.h - spikes in HDF5 files: `labels` (samples), and of each sample, as lists of any length, `spikes/times`
 * in seconds and `spikes/units`. Read by events_hdf5.c, where the library was found at build time; else
 * events_absent.c says what to install. */
#ifndef GLE_DATA_EVENTS_FILE_H
#define GLE_DATA_EVENTS_FILE_H

#include "data/data.h"

/* Who takes what is read. */
struct gle_events_taker {
    void *ctx;
    /* First: the number of samples, at least 1. Returns -1 with an error that ends the reading. */
    int (*begin)(void *ctx, uint64_t n_samples, struct gle_error *err);
    /* Then each sample i in turn, of n spikes. Likewise. */
    int (*take)(void *ctx, uint64_t i, int64_t label, const double *times, const int32_t *units, size_t n,
                struct gle_error *err);
};

/* Reads a file; tells ctx->progress.
 * Errors: about the file: GLE_EDATA (unreadable, damaged, other contents; no library), GLE_ENOMEM; GLE_ESTOPPED; those
 *         of the taker. */
GLE_MUST_CHECK int gle_events_read(const char *path, const struct gle_events_taker *taker,
                                   const struct gle_data_context *ctx, struct gle_error *err);

#endif
