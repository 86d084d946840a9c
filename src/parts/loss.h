/* loss.h - what a config can write after `loss:`. */
#ifndef GLE_PARTS_LOSS_H
#define GLE_PARTS_LOSS_H

#include "base/table.h"
#include "kernel/isa.h"

/* A row: the error that drives the last layer, and the loss it descends.
 * Shapes: e, r, y (B,ld), of which n columns count: r the outputs, y the targets (one-hot for labels). The padding of
 *         e is left alone.
 * params: the row's settings, as decoded by row.keys; NULL if it has none.
 * e = beta * target error. Returns the sum over rows of each row's loss (to be divided by B). */
struct gle_loss {
    struct gle_row row;
    double (*eval)(float *e, const float *r, const float *y, float beta, const void *params, size_t B, size_t n,
                   size_t ld);
    /* The gradient of a row's loss with respect to its r is -scale(n) * target error. */
    double (*scale)(size_t n);
    /* out += beta * J x, J being the slope of the target error with respect to r, a symmetric matrix (n,n) for each
     * row: for exact gradients where errors feed back into membranes. Shapes: out, x (B,ld); r, y, params as above.
     * NULL: not written, and a config that needs it is refused. */
    void (*curvature)(float *out, const float *r, const float *y, const float *x, float beta, const void *params,
                      size_t B, size_t n, size_t ld);
    /* The number among its settings that its equations on a device take; NULL: they take none. */
    double (*parameter)(const void *params);
    bool log_probabilities; /* wants an activation that gives log-probabilities */
    bool classes;           /* wants labels (targets that are probabilities) */
    bool squared;           /* it is the mean squared error */
};
GLE_ISA_DECLARE_ROWS(const struct gle_loss, gle_losses);
extern const struct gle_table gle_loss_table;

const struct gle_loss *gle_loss_for(const struct gle_loss *loss, enum gle_isa isa);

#endif
