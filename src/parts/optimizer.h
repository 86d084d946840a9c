/* optimizer.h - what a config can write after `optimizer:`. An optimizer says how a gradient is spent. */
#ifndef GLE_PARTS_OPTIMIZER_H
#define GLE_PARTS_OPTIMIZER_H

#include "base/table.h"
#include "kernel/isa.h"

#include <stdint.h>

/* Numbers that are the same for all parameters in one step. */
struct gle_optimizer_step {
    float c[8];
};

enum { GLE_MOMENTS_MAX = 2 };

/* A row. */
struct gle_optimizer {
    struct gle_row row;
    size_t n_moments;             /* arrays kept per parameter, starting at zero */
    bool squares[GLE_MOMENTS_MAX]; /* which of them are never negative */
    double (*lr)(const void *params); /* the learning rate that the schedule starts from */
    /* What step t = 1, 2, ... with learning rate lr needs; for weights, which alone may decay, or other parameters. */
    struct gle_optimizer_step (*prepare)(const void *params, double lr, uint64_t t, bool weights);
    /* Moves n parameters p along their gradient g; m holds n_moments arrays, n each. */
    void (*update)(float *p, const float *g, float *const *m, size_t n, const struct gle_optimizer_step *step);
};
GLE_ISA_DECLARE_ROWS(const struct gle_optimizer, gle_optimizers);
extern const struct gle_table gle_optimizer_table;

const struct gle_optimizer *gle_optimizer_for(const struct gle_optimizer *optimizer, enum gle_isa isa);

#endif
