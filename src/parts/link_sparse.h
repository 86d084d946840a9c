/* link_sparse.h - the sparse link, for link.c's table. See struct gle_link. */
#ifndef GLE_PARTS_LINK_SPARSE_H
#define GLE_PARTS_LINK_SPARSE_H

#include "parts/link.h"

struct gle_sparse_params {
    struct gle_link_params all;
    double probability; /* 0: not written */
    const char *mask;   /* NULL: not written */
};

int gle_sparse_plan(struct gle_link_plan *plan, const void *params, uint64_t seed, const char *label,
                    struct gle_error *err);
void gle_sparse_forward(const struct gle_link_call *call, float *s, size_t ld, const float *x, size_t ldx,
                        size_t n_rows);
void gle_sparse_back(const struct gle_link_call *call, float *x_bar, size_t ldx, const float *e, size_t ld,
                     size_t n_rows);
void gle_sparse_gradient(const struct gle_link_call *call, float *grad, const float *e, size_t ld, const float *x,
                         size_t ldx, size_t n_rows, float alpha, size_t first, size_t n);
const char *gle_sparse_file(const void *params);

/* W is a list of n numbers: rows, cols, parts, part and shape of the plan. */
void gle_link_plan_list(struct gle_link_plan *plan, size_t n);

#endif
