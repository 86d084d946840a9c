/* rule.h - what a config can write after `rule:`. A rule says what the errors are; the gradients follow from them:
 * dW = - mean over the batch of e r_below^T, db = - mean e, dtau_m = + mean e u_dot, dtau_r = - mean e_inst u_dot,
 * with e_inst the error before it looks ahead. With eligibilities eps, what each parameter has made of prosp_u in this
 * step and before: minus the mean of e_inst eps, eps as the step before left it, since the error of a rate comes in the
 * step after it. A windowed rule uses such errors for the feedback into membranes only, and finds its gradients by a
 * sweep back over a window of steps. */
#ifndef GLE_PARTS_RULE_H
#define GLE_PARTS_RULE_H

#include "base/table.h"
#include "kernel/kernel.h"

/* error, error_back: as gle_kernels.error_prospective and .error_prospective_back. */
typedef int gle_error_kernel(float *e, float *v, const float *e_above, const float *dr, const float *look,
                             const float *leak, size_t B, size_t ld);
typedef void gle_error_back_kernel(float *above_bar, float *dr_bar, float *v_bar, float *lag, const float *e_bar,
                                   const float *e_above, const float *dr, const float *v, const float *look,
                                   const float *leak, size_t B, size_t ld);
struct gle_rule_kernels {
    gle_error_kernel *error;
    gle_error_back_kernel *error_back; /* its transpose, for exact gradients through the feedback of errors */
};

/* A row. */
struct gle_rule {
    struct gle_row row;
    struct gle_rule_kernels (*choose)(const struct gle_kernels *kernels);
    bool looks_ahead; /* errors of steps use time constants; else they are instantaneous */
    bool eligible;    /* errors meet eligibilities: traces of what membranes have kept of rates; else the rates alone */
    bool windowed;   /* one optimizer step per learning.window instead of one per time step */
    bool continuous; /* if windowed: the sweep follows the continuous equations, in which layers act on each other at
                        once, errors do not feed back into membranes, and the loss is integrated over time; else the
                        steps as they were made, with the delay of a step between layers, the feedback of errors, and
                        the loss summed over steps */
};
extern const struct gle_rule gle_rules[];
extern const struct gle_table gle_rule_table;

#endif
