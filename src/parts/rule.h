/* rule.h - what a config can write after `rule:`. A rule says what the errors are; the gradients follow from them:
 * dW = - mean over the batch of e r_below^T, db = - mean e, dtau_m = + mean e u_dot. */
#ifndef GLE_PARTS_RULE_H
#define GLE_PARTS_RULE_H

#include "base/table.h"
#include "kernel/kernel.h"

/* A row. error: as gle_kernels.error_prospective; NULL while pending. */
typedef int gle_error_kernel(float *e, float *v, const float *e_above, const float *dr, const float *look,
                             const float *leak, size_t B, size_t ld);
struct gle_rule {
    struct gle_row row;
    gle_error_kernel *(*error)(const struct gle_kernels *kernels);
    bool windowed;   /* one optimizer step per learning.window instead of one per time step */
    bool continuous; /* if windowed: by the continuous equations, which know no feedback of errors into membranes */
};
extern const struct gle_rule gle_rules[];
extern const struct gle_table gle_rule_table;

#endif
