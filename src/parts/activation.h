/* activation.h - what a config can write after `activation:`. */
#ifndef GLE_PARTS_ACTIVATION_H
#define GLE_PARTS_ACTIVATION_H

#include "base/table.h"
#include "kernel/isa.h"

enum { GLE_ACT_NUMBERS = 4 };

/* A row: r = phi(u) and its slope dr = phi'(u). c: what gle_act_find_numbers() makes of its settings.
 * Shapes: r, dr, u (B,ld), of which n columns count; padding may be computed along. r, dr must not alias u. */
struct gle_act {
    struct gle_row row;
    void (*eval)(float *r, float *dr, const float *u, const float *c, size_t B, size_t n, size_t ld);
    /* ddr = phi''(u), n elements, for exact gradients where errors feed back into membranes. NULL where `straight` says
     * that it is 0; NULL without that means not written, and a config that needs it is refused. */
    void (*curvature)(float *ddr, const float *u, const float *c, size_t n);
    /* Sets those of the numbers that expressions use; NULL: there are no settings. */
    void (*numbers)(float c[GLE_ACT_NUMBERS], const void *params);
    /* Whether settings, each in its range, go together: if not, *key is wrong, and *why. NULL: they always do. */
    int (*check)(const void *params, const char **key, const char **why);
    bool straight; /* made of straight pieces */
    bool log_probabilities; /* normalises over the layer, so only for the last one, under the loss nll */
};
GLE_ISA_DECLARE_ROWS(const struct gle_act, gle_acts);
extern const struct gle_table gle_act_table;

/* The same row, compiled for an instruction set. `act` is a row of gle_act_table. */
const struct gle_act *gle_act_for(const struct gle_act *act, enum gle_isa isa);

/* The numbers of a row with these settings; zeros where it has fewer, or none. */
void gle_act_find_numbers(float c[GLE_ACT_NUMBERS], const struct gle_act *act, const void *params);

#endif
