/* file.h - whole files in, whole files out. */
#ifndef GLE_BASE_FILE_H
#define GLE_BASE_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a file of at most `limit` bytes; streams: pipes and devices too, to their end.
 * Owns:   *bytes (NUL-terminated beyond *size) belongs to the caller: gle_free(). On error it is NULL.
 * Errors: `code` for anything that cannot be read, a directory, too large; GLE_ENOMEM. */
GLE_MUST_CHECK int gle_file_read(unsigned char **bytes, size_t *size, const char *path, size_t limit, bool streams,
                                 enum gle_code code, struct gle_error *err);
/* Writes a file whole or not at all: a temporary file beside it, fsync, rename, fsync of the directory. An old file of
 * that name is replaced.
 * Errors: GLE_EWRITE (the temporary file is removed). */
GLE_MUST_CHECK int gle_file_write(const char *path, const void *bytes, size_t size, struct gle_error *err);
/* Makes a directory and those above it. Errors: GLE_EWRITE. */
GLE_MUST_CHECK int gle_file_make_dirs(const char *path, struct gle_error *err);
/* SHA-256 as 64 hex digits and a NUL. */
struct gle_sha256;
struct gle_sha256 *gle_sha256_start(void);                                     /* NULL: no memory */
void gle_sha256_add(struct gle_sha256 *sha, const void *bytes, size_t size);
void gle_sha256_end(struct gle_sha256 *sha, char hex[65]);                     /* frees sha */

#endif
