/* npz.h - numpy's archives of arrays, and files of one, without pickle. */
#ifndef GLE_BASE_NPZ_H
#define GLE_BASE_NPZ_H

#include "base/npy.h"

#include <stddef.h>

/* --- reading --- */
struct gle_npz;
/* Opens an archive from np.savez, np.savez_compressed or this program. Files in it that are no arrays, because they are
 * not called NAME.npy or lie in the folder __MACOSX, are passed over.
 * Errors: GLE_EDATA (not there, not a zip file, a name twice, names with '..' or a leading '/',
 *         arrays larger than 4 GiB or than their packed bytes can be), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_npz_open(struct gle_npz **out, const char *path, struct gle_error *err);
/* Whom gle_npz_read() tells now and then, many times a second, how many bytes of the array it has read; nonzero: it is
 * to stop, and fails with GLE_ESTOPPED. NULL: nobody. */
void gle_npz_watch(struct gle_npz *npz, int (*progress)(void *ctx, size_t done, size_t total), void *ctx);
void gle_npz_close(struct gle_npz *npz); /* NULL is fine */
size_t gle_npz_count(const struct gle_npz *npz);
/* Name of array i, without ".npy"; in the order of strcmp(). */
const char *gle_npz_name(const struct gle_npz *npz, size_t i);
int gle_npz_has(const struct gle_npz *npz, const char *name);
/* Which arrays there are, in words: "it has a, b and c", as many as there is room for, or "it has no arrays". */
void gle_npz_list(char *buf, size_t size, const struct gle_npz *npz);
/* Reads one array: any supported type, either byte order, C or Fortran order (turned into C order here), shape checked
 * against the bytes there.
 * Owns:   array->values (gle_array_clear).
 * Errors: GLE_EDATA names file, array and what is wrong (no such array, with a suggestion or what there is; object
 *         arrays; a shape that the bytes do not fill; too many dimensions; damage), GLE_ESTOPPED, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_npz_read(struct gle_array *array, const struct gle_npz *npz, const char *name,
                                struct gle_error *err);

/* Reads the array of a file by itself, as numpy.save writes it, likewise. path: also what messages name.
 * Owns:   array->values (gle_array_clear).
 * Errors: as gle_npz_read(), and GLE_EDATA for what is no such file, or larger than 4 GiB. */
GLE_MUST_CHECK int gle_npy_read(struct gle_array *array, const char *path, struct gle_error *err);

/* --- writing: collect arrays, then write the file whole or not at all --- */
struct gle_npz_writer;
struct gle_npz_writer *gle_npz_create(void); /* NULL: no memory */
/* Adds an array (C order) of which the caller fills in the values before the archive is packed, so that they need not
 * exist twice. They lie on a boundary of 16 bytes and belong to w. Returns NULL after an error (GLE_ENOMEM). */
GLE_MUST_CHECK void *gle_npz_room(struct gle_npz_writer *w, const char *name, enum gle_npy_type type, size_t n_dims,
                                  const size_t *shape, struct gle_error *err);
/* Adds a copy of an array (C order). The same arrays give the same bytes in the file, whenever written.
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_npz_add(struct gle_npz_writer *w, const char *name, enum gle_npy_type type, const void *values,
                               size_t n_dims, const size_t *shape, struct gle_error *err);
/* The archive (at least one array, no name twice) as the bytes of a file; `path` is named in messages.
 * Owns:   *bytes belongs to the caller: gle_free(). On error it is NULL.
 * Errors: GLE_EWRITE (a name twice), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_npz_pack(unsigned char **bytes, size_t *size, const struct gle_npz_writer *w, const char *path,
                                struct gle_error *err);
/* Writes it by gle_file_write(). Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_npz_write(const struct gle_npz_writer *w, const char *path, struct gle_error *err);
void gle_npz_destroy(struct gle_npz_writer *w); /* NULL is fine */

#endif
