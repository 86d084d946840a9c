/* init.h - what a config can write after `weight:` and `bias:`: the values that parameters start from, or, in a teacher
 * and in phases, are put to. */
#ifndef GLE_PARTS_INIT_H
#define GLE_PARTS_INIT_H

#include "base/error.h"
#include "base/rng.h"
#include "base/table.h"
#include "parts/link.h"
#include "yaml/key.h"

/* The array to fill: (rows, cols) row-major without padding; biases and time constants are (rows, 1). */
struct gle_init_target {
    const char *name;   /* "lag_1.weight": also the default array name in a file */
    size_t rows, cols;
    size_t shape[4], n_shape; /* in files, the same numbers in the same order; n_shape 0: (rows, cols), or a list */
    size_t fan_in;      /* inputs of a neuron */
    bool bias;
    const struct gle_link_plan *sparse; /* of the weights of a sparse link: a file must not have other synapses; else
                                           NULL */
};

/* A row. */
struct gle_init {
    struct gle_row row;
    /* Fills values, drawing from rng in row-major order. Errors: GLE_EDATA, GLE_ENOMEM (file only). */
    int (*fill)(float *values, const struct gle_init_target *target, const void *params, struct gle_rng *rng,
                struct gle_error *err);
    /* Whether values given in the config fit; NULL: any shape does. Returns -1 with what is there, in words. */
    int (*fits)(const void *params, const struct gle_init_target *target, char *found, size_t size);
    /* The file that values are read from; NULL: from none. */
    const char *(*file)(const void *params);
    bool written; /* numbers that somebody wrote down, in the config or in a file: time constants are given so, too */
};
extern const struct gle_init gle_inits[];
extern const struct gle_table gle_init_table;

/* Decodes the value of a parameter: {init: name, ...settings}, {value: ...} or {file: ...}; or a name, a number or list
 * by itself. The node becomes the full form. part->row is a struct gle_init. For struct gle_key with GLE_KEY_CUSTOM. */
extern const struct gle_custom gle_init_custom;
/* The same for time constants, which are known before the run or read from a file: no chance, no rule. */
extern const struct gle_custom gle_written_custom;

#endif
