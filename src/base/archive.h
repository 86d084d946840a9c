/* archive.h - the state of a program as named arrays in one file, and back. An archive either saves or restores, and
 * whoever has state visits its fields in one function for both, so that what is saved and what is put back cannot
 * differ. numpy opens the file. */
#ifndef GLE_BASE_ARCHIVE_H
#define GLE_BASE_ARCHIVE_H

#include "base/npy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gle_archive;

/* An empty one, that saves. Owns: *out belongs to the caller (gle_archive_destroy). Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_archive_create(struct gle_archive **out, struct gle_error *err);
/* One that restores what gle_archive_write() has put into the file at path: all of it is read, and its format and
 * checksum compared, before anything is given back.
 * Owns:   likewise; on error *out is NULL.
 * Errors: GLE_EDATA (unreadable, damaged, of another format, not by gle_archive_write()), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_archive_open(struct gle_archive **out, const char *path, struct gle_error *err);
void gle_archive_destroy(struct gle_archive *a); /* NULL is fine */

bool gle_archive_restores(const struct gle_archive *a);

/* Names that follow begin with "part."; until the same number of leaves. */
void gle_archive_enter(struct gle_archive *a, const char *part);
void gle_archive_leave(struct gle_archive *a);

/* Saves a copy of n values that lie `stride` bytes apart, or restores them. No name may come twice.
 * Errors of all that visit: GLE_EDATA (restoring: there is no such entry, or it has another type or size; the error
 * names file and entry), GLE_EWRITE (saving: more than a file can hold), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_archive_spread(struct gle_archive *a, const char *name, enum gle_npy_type type, void *first,
                                      size_t n, size_t stride, struct gle_error *err);
/* The same of values side by side. Real ones that are restored are finite, or GLE_EDATA. */
GLE_MUST_CHECK int gle_archive_f32(struct gle_archive *a, const char *name, float *x, size_t n, struct gle_error *err);
GLE_MUST_CHECK int gle_archive_f64(struct gle_archive *a, const char *name, double *x, size_t n, struct gle_error *err);
GLE_MUST_CHECK int gle_archive_u64(struct gle_archive *a, const char *name, uint64_t *x, size_t n,
                                   struct gle_error *err);
GLE_MUST_CHECK int gle_archive_u32(struct gle_archive *a, const char *name, uint32_t *x, size_t n,
                                   struct gle_error *err);
GLE_MUST_CHECK int gle_archive_bytes(struct gle_archive *a, const char *name, void *x, size_t n, struct gle_error *err);
GLE_MUST_CHECK int gle_archive_bools(struct gle_archive *a, const char *name, bool *x, size_t n, struct gle_error *err);
/* Arrays of (rows, cols) that lie apart, rows ld floats apart; array i begins at at(ctx, i). */
struct gle_archive_stack {
    size_t n, rows, cols, ld;
    float *(*at)(const void *ctx, size_t i);
    const void *ctx;
};
/* The same of all of them as one array (n, rows, cols). Restored, they are finite, or GLE_EDATA. */
GLE_MUST_CHECK int gle_archive_stack(struct gle_archive *a, const char *name, const struct gle_archive_stack *stack,
                                     struct gle_error *err);
/* A number that others depend on: restored, it is in low ... high, or GLE_EDATA. */
GLE_MUST_CHECK int gle_archive_count(struct gle_archive *a, const char *name, size_t *x, size_t low, size_t high,
                                     struct gle_error *err);
/* Likewise a real one. NaN is in no such range; with low -INFINITY or high INFINITY, infinity is. */
GLE_MUST_CHECK int gle_archive_real(struct gle_archive *a, const char *name, double *x, double low, double high,
                                    struct gle_error *err);
/* Text of at most size - 1 bytes without control characters. Restored, it is that and ends in a NUL, or GLE_EDATA. */
GLE_MUST_CHECK int gle_archive_text(struct gle_archive *a, const char *name, char *text, size_t size,
                                    struct gle_error *err);
/* Restoring: how many values an entry has, so that room can be made for them. */
GLE_MUST_CHECK int gle_archive_length(size_t *n, const struct gle_archive *a, const char *name, struct gle_error *err);
/* Records that an entry is not as it should be: GLE_EDATA, with the file's name. Returns -1. */
int gle_archive_fail(const struct gle_archive *a, const char *name, struct gle_error *err, const char *fmt, ...)
    GLE_PRINTF(4, 5);

/* Writes all that was saved, with a checksum, whole or not at all, as gle_file_write(). Errors: GLE_EWRITE,
 * GLE_ENOMEM. */
GLE_MUST_CHECK int gle_archive_write(struct gle_archive *a, const char *path, struct gle_error *err);
/* After all was restored: whether nothing is left that nobody has asked for. Errors: GLE_EDATA names it. */
GLE_MUST_CHECK int gle_archive_end(const struct gle_archive *a, struct gle_error *err);

#endif
