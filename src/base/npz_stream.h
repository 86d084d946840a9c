/* npz_stream.h - archives of arrays that grow record by record and may become larger than memory. */
#ifndef GLE_BASE_NPZ_STREAM_H
#define GLE_BASE_NPZ_STREAM_H

#include "base/npy.h"

#include <stddef.h>
#include <stdint.h>

/* An array that grows by one entry along its first axis with every record. */
struct gle_npz_column {
    const char *name; /* without ".npy"; copied */
    enum gle_npy_type type;
    size_t n_dims; /* of one record's entry; 0: a number */
    size_t shape[GLE_NPY_DIMS_MAX - 1];
};

struct gle_npz_stream;
/* Starts an archive of n > 0 columns that will stand at path. Until it is closed, nothing is to be seen there: the
 * records go to the file `spool`, which is made if it is not there, and stays when the stream is closed or discarded.
 * Memory: some MiB (or one record, if that is larger), however many records come. Disk: twice the records while it is
 * closed.
 * Owns:   *out belongs to the caller (gle_npz_stream_close or gle_npz_stream_discard); path, spool and columns are
 *         copied. On error *out is NULL.
 * Errors: GLE_EWRITE (spool is in no directory or cannot be written, path is a directory, a name twice or not UTF-8),
 *         GLE_ENOMEM. */
GLE_MUST_CHECK int gle_npz_stream_open(struct gle_npz_stream **out, const char *path, const char *spool,
                                       const struct gle_npz_column *columns, size_t n, struct gle_error *err);
/* Puts all records so far on the disk: whatever happens then, a stream of the same columns that is opened on the same
 * spool can begin with them. *checksum: of their bytes (CRC-32). Errors: GLE_EWRITE, as gle_npz_stream_add(). */
GLE_MUST_CHECK int gle_npz_stream_sync(struct gle_npz_stream *s, uint32_t *checksum, struct gle_error *err);
/* Before the first record: begins with the first n of those that a former stream has put into the spool; what came
 * after them is dropped. Errors: GLE_EDATA (there are not so many, they cannot be read, or their checksum is another
 * one). */
GLE_MUST_CHECK int gle_npz_stream_begin_with(struct gle_npz_stream *s, size_t n, uint32_t checksum,
                                             struct gle_error *err);
/* Adds one record: values[i] points to column i's entry (C order, this machine's byte order; unused if it has no
 * elements).
 * Errors: GLE_EWRITE; every later gle_npz_stream_add() or _close() fails with the same error. */
GLE_MUST_CHECK int gle_npz_stream_add(struct gle_npz_stream *s, const void *const *values, struct gle_error *err);
size_t gle_npz_stream_count(const struct gle_npz_stream *s); /* records so far */
/* Writes the archive of all records so far, whole or not at all (temporary file beside it, fsync, rename, fsync of the
 * directory); an old file is replaced. Arrays have shape (records, entry...). The same records give the same bytes,
 * those of gle_npz_write(). gle_npz_read() takes arrays of up to 4 GiB; numpy takes any.
 * Owns:   frees s, also on error.
 * Errors: GLE_EWRITE, GLE_ENOMEM; no file is left over, and an old one stays. */
GLE_MUST_CHECK int gle_npz_stream_close(struct gle_npz_stream *s, struct gle_error *err);
/* Drops everything but the spool; an old file at path stays. NULL is fine. */
void gle_npz_stream_discard(struct gle_npz_stream *s);

#endif
