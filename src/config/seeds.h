/* seeds.h - seeds as people write them: "0-9,12". */
#ifndef GLE_CONFIG_SEEDS_H
#define GLE_CONFIG_SEEDS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { GLE_SEEDS_MAX = 10000 };

/* Adds the seeds of a text to a list, in their order.
 * Owns:   *seeds (*n), which may be NULL (0) at first: gle_free(), also after an error.
 * Errors: GLE_EUSAGE (no such text, a seed twice, more than GLE_SEEDS_MAX in the list), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_seeds_add(uint64_t **seeds, size_t *n, const char *text, struct gle_error *err);

#endif
