/* idx_file.h - files of MNIST's format (IDX), gzipped or not: two bytes of 0, the type of the values, the number of
 * dimensions, each size as four bytes with the highest first, then all values. */
#ifndef GLE_DATA_IDX_FILE_H
#define GLE_DATA_IDX_FILE_H

#include "data/data.h"

enum { GLE_IDX_DIMS = 3 };

struct gle_idx {
    size_t shape[GLE_IDX_DIMS]; /* each at least 1 */
    unsigned char *bytes;
};

/* Reads a file of unsigned bytes in n_dims dimensions: images (3) or labels (1); tells ctx->progress.
 * Owns:   out->bytes belongs to the caller (gle_free); NULL on error.
 * Errors: about the file: GLE_EDATA (unreadable, another format, damaged, too short, too long), GLE_ESTOPPED,
 *         GLE_ENOMEM. */
GLE_MUST_CHECK int gle_idx_read(struct gle_idx *out, const char *path, size_t n_dims,
                                const struct gle_data_context *ctx, struct gle_error *err);

#endif
