/* sweep.h - the section `sweep` of a file: {dotted.key: [values], ...}, a run for every combination. */
#ifndef GLE_CONFIG_SWEEP_H
#define GLE_CONFIG_SWEEP_H

#include "config/changes.h"
#include "config/experiment.h"

/* Adds the values of combination `point` to the changes, for which there is room, and takes the section out of the
 * tree, which then is a file of its own; the last key varies fastest. Without a section there is one combination, and
 * *out is empty. *n_points: how many there are; 1 if the section is wrong.
 * Owns:   what *out points to lives in doc's arena.
 * Errors: GLE_ECONFIG (not a map of lists, an empty list, `seed` or `variants` as a key, the same name for two
 *         combinations), GLE_ERANGE (more than GLE_SWEEP_MAX), GLE_ENOMEM. */
enum { GLE_SWEEP_MAX = 1000 };
GLE_MUST_CHECK int gle_sweep_take(struct gle_sweep *out, size_t *n_points, struct gle_changes *changes,
                                  struct gle_doc *doc, size_t point, struct gle_errors *errs);
/* How many keys the section of a file has, each of which is a change. */
size_t gle_sweep_keys(const struct gle_doc *doc);
/* Refuses combinations that say the same in other words. all: (n), built from the points of one sweep. */
GLE_MUST_CHECK int gle_sweep_compare(struct gle_experiment *const *all, size_t n, struct gle_errors *errs);

#endif
