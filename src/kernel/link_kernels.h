/* link_kernels.h - the loops of links, and of draws, for kernel.c's table only. See struct gle_kernels. */
#ifndef GLE_KERNEL_LINK_KERNELS_H
#define GLE_KERNEL_LINK_KERNELS_H

#include "kernel/conv.h"
#include "kernel/isa.h"

#include <stdbool.h>
#include <stdint.h>

struct gle_draw;

void GLE_ISA_NAME(gle_conv_forward)(float *s, size_t ld, const float *x, size_t ldx, size_t n_rows, const float *w,
                                    size_t ld_w, const struct gle_conv *conv, float *room);
void GLE_ISA_NAME(gle_conv_back)(float *x_bar, size_t ldx, const float *e, size_t ld, size_t n_rows, const float *w,
                                 size_t ld_w, const struct gle_conv *conv, float *room);
void GLE_ISA_NAME(gle_conv_gradient)(float *grad, size_t ld_w, const float *e, size_t ld, const float *x, size_t ldx,
                                     size_t n_rows, float alpha, const struct gle_conv *conv, size_t first, size_t n,
                                     float *room);

void GLE_ISA_NAME(gle_pool_mean)(float *out, size_t ld_out, const float *values, size_t ld, size_t n_rows,
                                 const struct gle_pool *pool);
void GLE_ISA_NAME(gle_pool_max)(float *out, size_t ld_out, const float *values, const float *by, size_t ld,
                                size_t n_rows, const struct gle_pool *pool);
void GLE_ISA_NAME(gle_pool_mean_back)(float *out, size_t ld, const float *e, size_t ld_e, size_t n_rows,
                                      const struct gle_pool *pool);
void GLE_ISA_NAME(gle_pool_max_back)(float *out, size_t ld, const float *e, size_t ld_e, const float *by,
                                     size_t n_rows, const struct gle_pool *pool);

void GLE_ISA_NAME(gle_sparse_forward)(float *s, const float *x, size_t lanes, const float *w, const uint64_t *starts,
                                      const uint32_t *columns, size_t n);
void GLE_ISA_NAME(gle_sparse_back)(float *x_bar, const float *e, size_t lanes, const float *w, const uint64_t *starts,
                                   const uint32_t *columns, size_t n, size_t n_in);
void GLE_ISA_NAME(gle_sparse_gradient)(float *grad, const float *e, const float *x, size_t lanes,
                                       const uint64_t *starts, const uint32_t *columns, size_t n, float alpha,
                                       size_t first, size_t count, bool resume);

void GLE_ISA_NAME(gle_normals)(float *out, size_t ld, const struct gle_draw *draw, size_t first, size_t B);

#endif
