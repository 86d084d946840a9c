/* tally.h - many JSON values of one shape become one, while they come one by one: no more than one is kept. */
#ifndef GLE_REPORT_TALLY_H
#define GLE_REPORT_TALLY_H

#include "base/error.h"

#include <jansson.h>

/* The values of one place. The first one that is there says what they are: numbers with a fraction become {mean, std,
 * min, max, n}, std being that of the population (over n), as the published ones are; whole numbers, too, unless they
 * are the same in all, and then stay what they are, as words do; lists and objects are gone through. Where a value has
 * nothing, or something else, it does not count. Lists may differ in length: what comes of them is as long as the
 * longest, and each place is of the lists that reach it. */
struct gle_tally;

/* Owns: the caller, gle_tally_destroy(). NULL: no memory. */
struct gle_tally *gle_tally_create(void);
void gle_tally_destroy(struct gle_tally *tally); /* NULL is fine */

/* Counts one more value; NULL: there is none. It is not needed any longer. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_tally_add(struct gle_tally *tally, json_t *value, struct gle_error *err);
/* Of lists: how many of them have something in place i. */
size_t gle_tally_had(const struct gle_tally *tally, size_t i);
/* What all of them come to; null of none. Owns: the caller. */
json_t *gle_tally_json(const struct gle_tally *tally);

#endif
