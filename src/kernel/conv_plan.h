/* conv_plan.h - what follows from the geometry of a convolution: sizes, and how much goes through it at a time. The
 * same for every instruction set, so that scratch memory is as large for each. */
#ifndef GLE_KERNEL_CONV_PLAN_H
#define GLE_KERNEL_CONV_PLAN_H

#include "kernel/kernel.h"

#include <stdbool.h>

/* Sizes that are shared with gle_conv_room(), and so must not depend on the instruction set. */
enum {
    TILE = 48,               /* columns: a multiple of what products take together */
    MOST = 8 * TILE,         /* places at a time */
    FORWARD_FLOATS = 49152,  /* of gathered patches */
    BACK_FLOATS = 16384,     /* of errors to be scattered */
    GRADIENT_FLOATS = 65536, /* of gathered patches */
    GRADIENT_COLUMNS = 2 * TILE, /* of W at a time */
    OVER = 16,               /* floats that copies in whole vectors may touch beyond what they copy */
};

static inline size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What follows from a geometry. */
struct gle_conv_plan {
    size_t grid[2], plane, image; /* the source with its padding: size, floats of a channel, of a sample */
    size_t taps, depth;           /* weights of a neuron from one channel, from all */
    size_t places;                /* of the target, per channel */
    bool padded;
};

static inline struct gle_conv_plan plan_of(const struct gle_conv *c)
{
    struct gle_conv_plan p = {.padded = c->padding[0] || c->padding[1]};

    for (int d = 0; d < 2; d++)
        p.grid[d] = c->size[d] + 2 * c->padding[d];
    p.plane = p.grid[0] * p.grid[1];
    p.image = c->channels * p.plane;
    p.taps = c->kernel[0] * c->kernel[1];
    p.depth = c->channels * p.taps;
    p.places = c->out[0] * c->out[1];
    return p;
}

/* --- how much at a time --- */

/* Columns of patches, of forward. */
static inline size_t forward_columns(const struct gle_conv_plan *p)
{
    const size_t n = FORWARD_FLOATS / p->depth / TILE * TILE;

    return least(most(n, TILE), MOST);
}

/* Samples whose columns follow each other, of forward and of the gradient. */
static inline size_t together(const struct gle_conv_plan *p, size_t columns)
{
    return most(1, columns / p->places);
}

static inline size_t back_columns(const struct gle_conv_plan *p)
{
    return gle_padded(least(p->places, MOST));
}

static inline size_t back_channels(const struct gle_conv_plan *p, const struct gle_conv *c)
{
    return least(most(1, BACK_FLOATS / p->taps / back_columns(p)), c->channels);
}

/* Columns of W at a time: whole lines of the kernel. */
static inline size_t gradient_lines(const struct gle_conv_plan *p, const struct gle_conv *c)
{
    return least(most(1, GRADIENT_COLUMNS / c->kernel[1]), p->depth / c->kernel[1]);
}

static inline size_t gradient_places(const struct gle_conv_plan *p, const struct gle_conv *c)
{
    const size_t width = gle_padded(gradient_lines(p, c) * c->kernel[1]);

    return least(most(GRADIENT_FLOATS / width / GLE_PAD * GLE_PAD, GLE_PAD), MOST);
}

static inline size_t images_room(const struct gle_conv_plan *p, size_t n)
{
    return p->padded ? gle_padded(n * p->image + OVER) : 0;
}

#endif
