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
/* The same for n <= GLE_FILES_MAX files that belong together: they are put in place, in their order, when all of them
 * are on the disk under temporary names, so that one that cannot be written leaves all old ones as they are. Should the
 * disk fail while they are put in place, the old files that are left are removed: there never is a mixture.
 * Errors: GLE_EWRITE (no temporary file is left). */
enum { GLE_FILES_MAX = 8 };
struct gle_file_whole {
    const char *path;
    const void *bytes; /* NULL: the file is removed, if it is there; not the first */
    size_t size;
};
GLE_MUST_CHECK int gle_file_write_together(const struct gle_file_whole *files, size_t n, struct gle_error *err);

/* --- files that come piece by piece --- */
/* A file in the making: it has a temporary name in the directory of `path` until it is kept. */
struct gle_file_draft {
    const char *path; /* borrowed */
    int dir, fd;      /* open; fd for writing */
    char name[64];    /* in dir */
};
/* Errors: GLE_EWRITE. Nothing is left open or on disk. */
GLE_MUST_CHECK int gle_file_begin(struct gle_file_draft *draft, const char *path, struct gle_error *err);
/* Puts it at its path: fsync, rename, fsync of the directory. An old file of that name is replaced. Closes the draft.
 * Errors: GLE_EWRITE (the temporary file is removed). */
GLE_MUST_CHECK int gle_file_keep(struct gle_file_draft *draft, struct gle_error *err);
/* Closes and removes it. */
void gle_file_drop(struct gle_file_draft *draft);
/* Writes all bytes where fd stands, or at offset `at`; reads all from there; however often interrupted. Return 0 or an
 * errno. */
GLE_MUST_CHECK int gle_file_put(int fd, const void *bytes, size_t size);
GLE_MUST_CHECK int gle_file_put_at(int fd, const void *bytes, size_t size, uint64_t at);
GLE_MUST_CHECK int gle_file_get(int fd, void *bytes, size_t size, uint64_t at);

/* Waits until the disk has what was written. Returns 0 or an errno. */
GLE_MUST_CHECK int gle_file_sync(int fd);

/* What lies at path where a file should be: "a folder", "a pipe", ... NULL: a regular file, or nothing. */
const char *gle_file_kind(const char *path);

/* Removes a file, if it is there. Errors: GLE_EWRITE. */
GLE_MUST_CHECK int gle_file_remove(const char *path, struct gle_error *err);
/* Whether a file of this name is what gle_file_begin() makes, or has left. */
bool gle_file_is_draft(const char *name);
/* Removes what killed processes have left of gle_file_begin() in a directory, as far as it can; nobody may be writing
 * there. */
void gle_file_sweep(const char *dir);

/* Makes a directory and those above it. Errors: GLE_EWRITE. */
GLE_MUST_CHECK int gle_file_make_dirs(const char *path, struct gle_error *err);
/* The same; those that it makes are open to their owner only. */
GLE_MUST_CHECK int gle_file_make_private_dirs(const char *path, struct gle_error *err);
/* SHA-256 as 64 hex digits and a NUL. */
struct gle_sha256;
struct gle_sha256 *gle_sha256_start(void);                                     /* NULL: no memory */
void gle_sha256_add(struct gle_sha256 *sha, const void *bytes, size_t size);
void gle_sha256_end(struct gle_sha256 *sha, char hex[65]);                     /* frees sha */
/* That of a file, which is read piece by piece. Errors: `code` for one that cannot be read, or is no regular file;
 * GLE_ENOMEM. */
GLE_MUST_CHECK int gle_file_sha256(char hex[65], const char *path, enum gle_code code, struct gle_error *err);

#endif
