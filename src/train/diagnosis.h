/* diagnosis.h - how close the updates of a rule come to an exact gradient: now and then a second net, the shadow,
 * starts as a copy and makes the same steps without learning, from which a window finds the exact gradient of the loss
 * over the stretch; the sum of the gradients that the rule itself followed is compared with it. */
#ifndef GLE_TRAIN_DIAGNOSIS_H
#define GLE_TRAIN_DIAGNOSIS_H

#include "graph/graph.h"
#include "solver/net.h"
#include "train/metrics.h"

struct gle_archive;
struct gle_diagnosis;

/* For a net with this graph.
 * Owns: *out belongs to the caller (gle_diagnosis_close); borrows graph. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_diagnosis_open(struct gle_diagnosis **out, const struct gle_graph *graph,
                                      struct gle_error *err);
void gle_diagnosis_close(struct gle_diagnosis *d); /* NULL is fine */

/* Whether a parameter is kept from learning, as by gle_net_hold(): such a one is not compared. */
void gle_diagnosis_hold(struct gle_diagnosis *d, size_t param, bool hold);
/* Whether a comparison is going on. */
bool gle_diagnosis_compares(const struct gle_diagnosis *d);
/* Before a learning step: begins a comparison when one is due, at most steps_left more such steps follow for sure, and
 * a window of the rule, if it has windows, begins here. */
void gle_diagnosis_before(struct gle_diagnosis *d, const struct gle_net *net, uint64_t step, uint64_t steps_left,
                          bool window_begins);
/* After a learning step, or after a window of the rule: adds the gradients that it followed. */
void gle_diagnosis_add(struct gle_diagnosis *d, const struct gle_net *net);
/* After a learning step, with or without a target, and the end of its window: the shadow's step, and at the end of the
 * stretch the comparison, which goes to metrics, with NaN when the exact gradient cannot be told in single precision.
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_diagnosis_after(struct gle_diagnosis *d, bool unasked, struct gle_metrics *metrics,
                                       struct gle_error *err);
/* Where its shadow is; no window is open between comparisons. */
struct gle_net_place gle_diagnosis_get_place(const struct gle_diagnosis *d);
/* Saves where it is, or restores it into one for a net with the same graph. Errors: as base/archive.h. */
GLE_MUST_CHECK int gle_diagnosis_archive(struct gle_diagnosis *d, struct gle_archive *a, struct gle_error *err);
/* Whether what was restored goes with a run at this step, after so many learning steps, of which B rows run side by
 * side. The archive stands where "diagnosis" is entered. Errors: GLE_EDATA. */
GLE_MUST_CHECK int gle_diagnosis_check(const struct gle_diagnosis *d, const struct gle_archive *a, uint64_t step,
                                       uint64_t learned, size_t B, struct gle_error *err);

#endif
