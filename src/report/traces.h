/* traces.h - what the network foretold with its output in place of its input, as a file. */
#ifndef GLE_REPORT_TRACES_H
#define GLE_REPORT_TRACES_H

#include "base/npz.h"
#include "train/metrics.h"

/* closed_loop.npz, for `path`: time (steps), in that of a sample; target, open and closed (samples, steps, outputs).
 * Owns:   *bytes, gle_free(); NULL after an error.
 * Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_traces_pack(unsigned char **bytes, size_t *size, const char *path,
                                   const struct gle_experiment *exp, const struct gle_traces *traces,
                                   struct gle_error *err);

#endif
