/* npz_names.h - what the arrays of a data file are called, and those that nothing uses. */
#ifndef GLE_DATA_NPZ_NAMES_H
#define GLE_DATA_NPZ_NAMES_H

#include "base/npz.h"
#include "data/data.h"

/* "x", "y", "targets", "mask", "lengths" of the training set, "x_validation", "x_test" and so on. */
enum gle_npz_role { GLE_NPZ_X, GLE_NPZ_Y, GLE_NPZ_TARGETS, GLE_NPZ_MASK, GLE_NPZ_LENGTHS, GLE_NPZ_ROLES };
extern const char *const gle_npz_names[GLE_NPZ_ROLES][GLE_SPLITS];

/* Refuses arrays that are meant for a set and go by another name ("X_test", "labels_train", "target"), since they would
 * be missed in silence.
 * Errors: GLE_EDATA. */
GLE_MUST_CHECK int gle_npz_names_check(const struct gle_npz *npz, const char *file, struct gle_error *err);

/* Writes a note on the arrays that is_used() does not know, "" if there are none: it names them, and says in the words
 * of `known` what could be used. size >= GLE_NOTE_MIN. */
enum { GLE_NOTE_MIN = 512 };
void gle_npz_note_unused(char *note, size_t size, const struct gle_npz *npz, const char *file,
                         bool (*is_used)(const void *ctx, const char *name), const void *ctx, const char *known);

#endif
