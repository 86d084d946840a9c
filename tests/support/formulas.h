/* formulas.h - activations and losses in double precision, from libm: what the rows in src/parts are held against, each
 * alone and within random networks. A row of theirs has a row here. */
#ifndef GLE_TESTS_FORMULAS_H
#define GLE_TESTS_FORMULAS_H

#include "base/table.h"

#include <stdbool.h>
#include <stddef.h>

struct act_formula {
    const char *name;
    double (*phi)(double u, double *slope); /* r, and its slope; NULL: it takes more than one u */
    double kink; /* |u| at which the slope jumps; -1: nowhere */
    double bend; /* |u| at which the slope of the slope jumps; -1: nowhere */
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
