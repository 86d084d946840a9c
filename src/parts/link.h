/* link.h - what a config can write after `connect:`: how the weights of a projection act on the rates of its source.
 *
 * A link is linear in the rates, and in the weights: s = W x, where x are the source's rates, pooled first if the config
 * says so. It computes that, the transpose W^T e, and the gradient with respect to W; it knows neither time nor layers. */
#ifndef GLE_PARTS_LINK_H
#define GLE_PARTS_LINK_H

#include "base/error.h"
#include "base/table.h"
#include "kernel/kernel.h"
#include "yaml/key.h"

#include <stdint.h>

/* How the neurons of a population lie: channel after channel, each of them row after row. */
struct gle_shape {
    size_t channels;
    size_t dims;    /* 0: no grid, each neuron is a channel; 1: a line; 2: a plane */
    size_t size[2]; /* rows, columns of a channel: {1, 1} without a grid, {1, length} of a line */
};

static inline size_t gle_shape_count(const struct gle_shape *shape)
{
    return shape->channels * shape->size[0] * shape->size[1];
}

enum gle_pool_kind { GLE_POOL_NONE, GLE_POOL_MEAN, GLE_POOL_MAX };

struct gle_link;

/* A link between two populations: its geometry, and lists that follow from it. Immutable once made. */
struct gle_link_plan {
    const struct gle_link *link;
    struct gle_shape source, pooled, target; /* pooled: of x; the source's own without pooling */
    enum gle_pool_kind pool;
    size_t pool_size[2];
    size_t kernel[2], stride[2], padding[2]; /* of a convolution */
    size_t rows, cols;           /* of W in memory, rows gle_padded(cols) apart; one row where W is a list */
    bool list;                   /* callers cut W by its columns; else by its rows */
    size_t shape[4], n_shape;    /* of W in files, the same numbers in the same order */
    size_t fan_in;               /* inputs of a neuron, for initial weights */
    size_t aid_rows, aid_cols;   /* of an array that follows from W and that the link reads beside it; 0: none */
    size_t room;                 /* floats of scratch memory that a call may use, whatever its number of rows */
    size_t n_synapses;           /* of a sparse link: synapses into neuron i are starts[i] ... starts[i + 1] - 1, */
    uint64_t *starts;            /* (neurons of the target + 1) */
    uint32_t *columns;           /* (n_synapses): the neuron, pooled, that each comes from, ascending within a row */
};

/* What all calls of a link get. */
struct gle_link_call {
    const struct gle_link_plan *plan;
    const struct gle_kernels *kernels;
    const float *weight; /* W */
    const float *aid;    /* what follow() made of W; NULL: the plan wants none */
    float *room;         /* plan->room floats, of the calling thread alone */
};

/* A row. Rows of x, s and e are one sample each, ldx and ld floats apart (multiples of GLE_PAD, GLE_SLACK floats readable
 * beyond the last); the padding of what is written becomes zero. Whatever the number of rows, and wherever a caller cuts
 * rows or W, each element comes out with the same bits, if rows_apart() says so. No aliasing. */
struct gle_link {
    struct gle_row row; /* settings begin with a struct gle_link_params */
    /* Fills in rows, cols, shape, fan_in, aid_*, room of a plan whose source, pooled and settings are there, and of a
     * target whose grid is not known yet (dims 0 where the link makes a grid) its dims and size. Errors: GLE_ESHAPE, in
     * words that say what does not fit, without a place; GLE_EDATA, GLE_ENOMEM. seed: for what is drawn; label: of the
     * projection, "hidden.late". */
    int (*plan)(struct gle_link_plan *plan, const void *params, uint64_t seed, const char *label,
                struct gle_error *err);
    /* Makes the aid for some rows of W (or, of a list, some columns): first is a multiple of GLE_PAD, and so is n, unless it goes to the end.
     * weight and aid point to the whole arrays. NULL where plan wants none. */
    void (*follow)(float *aid, const struct gle_link_plan *plan, const struct gle_kernels *kernels,
                   const float *weight, size_t first, size_t n);
    /* s (n_rows, neurons of the target) = W x; x (n_rows, neurons, pooled). */
    void (*forward)(const struct gle_link_call *call, float *s, size_t ld, const float *x, size_t ldx, size_t n_rows);
    /* x_bar (n_rows, neurons, pooled) = W^T e; e (n_rows, neurons of the target). */
    void (*back)(const struct gle_link_call *call, float *x_bar, size_t ldx, const float *e, size_t ld, size_t n_rows);
    /* For some rows (or columns) of W, as in follow(): grad = alpha * sum over rows of dot(e, W x) differentiated by W.
     * grad: an array like W, the whole of it. */
    void (*gradient)(const struct gle_link_call *call, float *grad, const float *e, size_t ld, const float *x,
                     size_t ldx, size_t n_rows, float alpha, size_t first, size_t n);
    /* Floating-point operations of forward() per sample; those of back() and gradient() are as many. */
    double (*flops)(const struct gle_link_plan *plan);
    /* Whether bits do not depend on cuts; NULL: they never do. */
    bool (*rows_apart)(const struct gle_link_plan *plan, const struct gle_kernels *kernels);
    bool grids; /* the target's grid follows from the source's; else the target says how many neurons it has */
};
extern const struct gle_link gle_links[];
extern const struct gle_table gle_link_table;

/* Settings that all links have; those of a row go on behind it. */
struct gle_pool_params {
    enum gle_pool_kind kind; /* GLE_POOL_NONE: no pooling */
    size_t size[2];          /* neurons that become one, as written: size[0] == size[1] if one number was */
};
struct gle_link_params {
    struct gle_pool_params pool;
};

/* The plan of a link from source to target, of which only channels count where link->grids: the rest is filled in.
 * Owns:   gle_link_plan_clear(), also after an error.
 * Errors: as link->plan. */
GLE_MUST_CHECK int gle_link_plan_make(struct gle_link_plan *plan, const struct gle_link *link, const void *params,
                                      const struct gle_shape *source, const struct gle_shape *target, uint64_t seed,
                                      const char *label, struct gle_error *err);
void gle_link_plan_clear(struct gle_link_plan *plan); /* zeroed is fine */

/* Pooling, of plan->pool other than NONE; columns that fill no whole window are left out, as in PyTorch. Each row of
 * `by` decides about its own row: of a maximum, where it is (the first, if equal).
 *   forward: out (n_rows, pooled) = of `values` (n_rows, source), the mean, or the one that is the maximum of `by`.
 *            by == values pools rates.
 *   back:    out (n_rows, source) = e (n_rows, pooled) sent back to where it came from: in equal parts, or to the
 *            maximum of `by`; zero elsewhere. */
void gle_pool_forward(const struct gle_link_plan *plan, float *out, size_t ld_out, const float *values, const float *by,
                      size_t ld, size_t n_rows);
void gle_pool_back(const struct gle_link_plan *plan, float *out, size_t ld, const float *e, size_t ld_e,
                   const float *by, size_t n_rows);

#endif
