/* npz_zip.h - what readers and writers of npz archives share of libzip; for them alone. */
#ifndef GLE_BASE_NPZ_ZIP_H
#define GLE_BASE_NPZ_ZIP_H

#include "base/error.h"

#include <zip.h>

/* Before an archive is opened: libzip fills in what it knows of sources when it opens the first one, and does not
 * expect that two threads do so at the same time. */
void gle_zip_prepare(void);

/* Adds one member (its name with ".npy"), stored, and dated so that the same bytes give the same archive at path.
 * Owns:   source (NULL: it could not be made) goes over to zip, and is freed on error.
 * Errors: GLE_EWRITE (a name twice, or not UTF-8), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_zip_add(zip_t *zip, const char *path, const char *name, zip_source_t *source,
                               struct gle_error *err);
/* Records why the archive at path, or its member `name` (NULL: none), cannot be built: GLE_ENOMEM or GLE_EWRITE.
 * Returns -1. */
int gle_zip_fail(struct gle_error *err, const char *path, const char *name, zip_error_t *why);

#endif
