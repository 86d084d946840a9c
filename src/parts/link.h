/* link.h - what a config can write after `connect:`: how the weights of a projection act on the rates of its source.
 *
 * A link is linear in the rates, and in the weights: s = W x, where x are the source's rates, pooled first if the
 * config says so. It computes that, the transpose W^T e, and the gradient with respect to W. It knows neither time nor
 * layers. */
#ifndef GLE_PARTS_LINK_H
#define GLE_PARTS_LINK_H

#include "base/error.h"
#include "base/npy.h"
#include "base/table.h"
#include "kernel/kernel.h"

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

/* A shape in words: "20 channels of 24 x 24", "1 channel of 100", "50 neurons". */
enum { GLE_SHAPE_WORDS = 96 };
const char *gle_shape_words(char words[static GLE_SHAPE_WORDS], const struct gle_shape *shape);

struct gle_link;
struct gle_pool_row;

/* A link between two populations: its geometry, and lists that follow from it. Immutable once made. */
struct gle_link_plan {
    const struct gle_link *link;
    struct gle_shape source, pooled, target; /* pooled: of x; the source's own without pooling */
    const struct gle_pool_row *pooling;      /* NULL: none */
    struct gle_pool pool;
    struct gle_conv conv;          /* of a convolution */
    size_t rows, cols;             /* of W in memory, rows gle_padded(cols) apart; one row where W is a list */
    size_t parts, part;            /* what W can be cut into, its rows or the numbers of a list: how many there are, and
                                      floats of memory from one to the next */
    size_t shape[4], n_shape;      /* of W in files, the same numbers in the same order */
    size_t fan_in;                 /* inputs of a neuron, for initial weights; of a sparse link the mean, rounded */
    size_t aid_rows, aid_cols;     /* of an array, rows gle_padded(aid_cols) apart, that follows from W and that the
                                      link reads beside it; 0: none */
    size_t room;                   /* floats of scratch memory that a call may use, whatever its number of rows */
    size_t n_synapses;             /* of a sparse link: synapses into neuron i are starts[i] ... starts[i + 1] - 1 */
    uint64_t *starts;              /* (neurons of the target + 1); NULL: another link */
    uint32_t *columns;             /* (n_synapses): the neuron, pooled, that each comes from, ascending for a neuron */
};

/* What all calls of a link get. */
struct gle_link_call {
    const struct gle_link_plan *plan;
    const struct gle_kernels *kernels;
    const float *weight; /* W */
    const float *aid;    /* what follow() made of W; NULL: the plan wants none */
    float *room;         /* plan->room floats from gle_floats(), of the calling thread alone */
};

/* A row. Rows of x, s and e are one sample each, ldx and ld floats apart (multiples of GLE_PAD), with GLE_SLACK floats
 * readable beyond the last. Their padding is not read into anything, and that of what is written becomes zero. Whatever
 * the number of rows, and wherever a caller cuts rows or W, each element comes out with the same bits, if rows_apart()
 * says so. No aliasing. */
struct gle_link {
    struct gle_row row; /* settings begin with a struct gle_link_params */
    /* Fills in rows, cols, parts, part, shape, n_shape, fan_in, aid_*, room, and what else the link needs, of a plan
     * whose source, pooled, pool and target are there. Where `grids`, a target whose grid is not known yet (dims 0)
     * gets dims and size, and one that has a grid must have this one. seed: for what is drawn. label: of the
     * projection, what stands before ".weight" in names: "hidden.late".
     * Errors: GLE_ESHAPE and GLE_ECONFIG, in words that say what does not fit, without a place; GLE_EDATA;
     *         GLE_ENOMEM. */
    int (*plan)(struct gle_link_plan *plan, const void *params, uint64_t seed, const char *label,
                struct gle_error *err);
    /* Makes the aid for parts first ... first + n - 1 of W; both are multiples of 16, or go to the end. NULL where
     * there is none. */
    void (*follow)(float *aid, const struct gle_link_plan *plan, const struct gle_kernels *kernels,
                   const float *weight, size_t first, size_t n);
    /* s (n_rows, neurons of the target) = W x; x (n_rows, neurons, pooled). */
    void (*forward)(const struct gle_link_call *call, float *s, size_t ld, const float *x, size_t ldx, size_t n_rows);
    /* x_bar (n_rows, neurons, pooled) = W^T e; e (n_rows, neurons of the target). */
    void (*back)(const struct gle_link_call *call, float *x_bar, size_t ldx, const float *e, size_t ld, size_t n_rows);
    /* grad = alpha * the sum over rows of the derivative of <e, W x> by W, for any parts first ... first + n - 1. grad:
     * where the first of them lies in an array like W, in which those behind, up to a multiple of GLE_PAD, may be lost
     * if W is a list. Reads neither weight nor aid, and of e only what is of neurons that read through these parts. */
    void (*gradient)(const struct gle_link_call *call, float *grad, const float *e, size_t ld, const float *x,
                     size_t ldx, size_t n_rows, float alpha, size_t first, size_t n);
    /* Floating-point operations of forward() per sample; those of back() and gradient() are as many. */
    double (*flops)(const struct gle_link_plan *plan);
    /* Whether bits do not depend on cuts; NULL: they never do. */
    bool (*rows_apart)(const struct gle_link_plan *plan, const struct gle_kernels *kernels);
    /* The file that the settings name; NULL, or gives NULL: none. */
    const char *(*file)(const void *params);
    bool grids; /* the target's grid follows from the source's; else the target says how many neurons it has */
};
extern const struct gle_link gle_links[];
extern const struct gle_table gle_link_table;

/* One number for all dimensions, or one for each. */
struct gle_sizes {
    size_t n;  /* numbers that were written, 1 or 2 */
    bool list; /* in a list */
    size_t size[2];
};
/* Settings that all links have; those of a row go on behind it. */
struct gle_link_params {
    struct gle_part pool; /* a struct gle_pool_row with a struct gle_sizes; row NULL: no pooling */
};

/* The plan of a link from source to target, of which only channels count where link->grids and dims is 0. params: as in
 * a struct gle_part of gle_link_table; they are not kept.
 * Owns:   the plan's lists: gle_link_plan_clear(), also after an error.
 * Errors: as link->plan. */
GLE_MUST_CHECK int gle_link_plan_make(struct gle_link_plan *plan, const struct gle_link *link, const void *params,
                                      const struct gle_shape *source, const struct gle_shape *target, uint64_t seed,
                                      const char *label, struct gle_error *err);
void gle_link_plan_clear(struct gle_link_plan *plan); /* zeroed is fine */

/* A file of weights keeps the synapses of a sparse link beside its weights, in the array <label>.synapses: a row
 * (neuron of the target, neuron of the source, pooled) for each weight, in their order, so (n_synapses, 2). Such a file
 * can be a mask. */
#define GLE_LINK_SYNAPSES ".synapses"
void gle_link_synapses(const struct gle_link_plan *plan, int64_t *pairs);
/* Whether an array says the synapses of a plan, in their order. */
bool gle_link_has_synapses(const struct gle_link_plan *plan, const struct gle_array *array);

/* What can be written after `pool: {type:`. Lines and columns that fill no whole window are left out, as in PyTorch.
 * Rows, their padding and what lies beyond are as in struct gle_link. */
struct gle_pool_row {
    struct gle_row row; /* settings: a struct gle_sizes */
    /* out (n_rows, pooled) = of each window of `values` (n_rows, source) the mean, or the one that is the maximum of
     * `by` (the first, if equal). by == values pools rates. */
    void (*forward)(const struct gle_link_plan *plan, const struct gle_kernels *kernels, float *out, size_t ld_out,
                    const float *values, const float *by, size_t ld, size_t n_rows);
    /* out (n_rows, source) = e (n_rows, pooled) sent back to where it came from: in equal parts, or to the maximum of
     * `by`; zero elsewhere. */
    void (*back)(const struct gle_link_plan *plan, const struct gle_kernels *kernels, float *out, size_t ld,
                 const float *e, size_t ld_e, const float *by, size_t n_rows);
};
extern const struct gle_pool_row gle_pools[];
extern const struct gle_table gle_pool_table;

#endif
