/* predictions.h - what the network answered to each sample that it was evaluated on, as a file. */
#ifndef GLE_REPORT_PREDICTIONS_H
#define GLE_REPORT_PREDICTIONS_H

#include "base/npz.h"
#include "train/metrics.h"

/* predictions.npz, for `path`, of the sets of which an evaluation has been kept. Of each, with the name of the set and
 * a dot before these:
 *   sample (samples): the row in the set, or, of what training.validation took, in the training set as it was before;
 *   with labels: label, answer (samples), score (samples, classes), where samples have several answers (samples,
 *   answers) and (samples, answers, classes);
 *   else: time (steps), in that of a sample; output, target (samples, steps, outputs), NaN where nothing is asked;
 *   where some of it counts more, weight (samples, steps).
 * *bytes is NULL if there are none.
 * Owns:   *bytes, gle_free(); NULL after an error.
 * Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_predictions_pack(unsigned char **bytes, size_t *size, const char *path,
                                        const struct gle_experiment *exp, const struct gle_data *data,
                                        const struct gle_metrics *metrics, struct gle_error *err);

#endif
