/* formulas.h - activations and losses in double precision, from libm: what the rows in src/parts are held against, each
 * alone and within random networks. A row of theirs has a row here. */
#ifndef GLE_TESTS_FORMULAS_H
#define GLE_TESTS_FORMULAS_H

#include "base/table.h"

#include <stdbool.h>
#include <stddef.h>

/* A row of the table of activations with its settings. */
struct act_of {
    const struct gle_row *row;
    const void *params;
};

struct act_formula {
    const char *name;
    /* r, and its slope; NULL: it takes more than one u. of: for setting_of(). */
    double (*phi)(double u, double *slope, const struct act_of *of);
    double (*to_kink)(double u, const struct act_of *of); /* how far u is from where the slope jumps; NULL: nowhere */
    double (*to_bend)(double u, const struct act_of *of); /* and from where the slope of the slope does */
    double off;       /* how far r may be from that, beyond rounding: what kernel/math.h says of an approximation */
    double slope_off; /* and then the slope, which is made of r */
};

struct loss_formula {
    const char *name;
    /* The loss of one row of n outputs r with targets y, and its target error e. row and params: of the loss in
     * src/parts, for setting_of(). */
    double (*eval)(double *e, const double *r, const double *y, size_t n, const struct gle_row *row,
                   const void *params);
    const char *bend; /* the setting that says at which |y - r| the slope of the target error jumps; NULL: nowhere */
    bool mixes;       /* the target error of an output depends on the other outputs */
};

/* The formula of that name. Fails the test if there is none. */
const struct act_formula *find_act_formula(const char *name);
const struct loss_formula *find_loss_formula(const char *name);

/* A setting of a row, a real number, by the name of its key. */
double setting_of(const struct gle_row *row, const void *params, const char *key);

#endif
