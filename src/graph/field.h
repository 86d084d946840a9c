/* field.h - a field: an array of a network by name, with its role, its shape and its place. What is done to all arrays
 * alike (saving, setting, recording, naming) is a loop over fields. */
#ifndef GLE_GRAPH_FIELD_H
#define GLE_GRAPH_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GLE_NO_POPULATION SIZE_MAX
#define GLE_NO_PROJECTION SIZE_MAX

/* What an array is for. Arrays of a role lie in one slab. */
enum gle_role {
    GLE_PARAMETER,   /* learned or given. Its gradient, the optimizer's moments and a copy that is kept lie at the same
                        place in slabs of their own */
    GLE_COEFFICIENT, /* follows from parameters */
    GLE_STATE,       /* runs on from step to step */
    GLE_DERIVED,     /* made by a step, for this step alone, unless somebody looks at it */
    GLE_TAPE,        /* what a window keeps of its steps */
    GLE_ADJOINT,     /* what the sweep back over a window needs: gradients with respect to variables */
    GLE_ROLES
};

/* An array of (rows, cols), rows ld floats apart, with ld a multiple of GLE_PAD; or several such copies, one behind the
 * other. It begins on a 64-byte boundary of its slab. */
struct gle_field {
    const char *owner; /* what it belongs to: "hidden". Borrowed from the experiment */
    const char *name;  /* "weight" */
    size_t population; /* that it belongs to, or that reads through what it belongs to; GLE_NO_POPULATION: it is the
                          network's */
    size_t projection; /* that it belongs to; GLE_NO_PROJECTION: none */
    enum gle_role role;
    bool of_inputs;    /* it has a column for each neuron of a projection's source, not for each neuron that reads */
    bool outside;      /* of a state: it runs on by itself, and no reset of the network touches it */
    bool of_batch;     /* it has a row for each sample; rows is then the most there may be */
    size_t rows, cols, ld;
    size_t copies;     /* of a state: the one that the next step writes, and those of the last steps, in a ring; one if
                          it is changed in place. Of a tape: those of a window, each with the rows of the batch and no
                          more. 0: the network has no such array */
    size_t stride;     /* floats from a copy to the next; not of tapes */
    size_t place;      /* of the first copy, in floats from the start of the slab */
};

/* "hidden.weight", cut to size: the name of a field in files, in `set` and `teacher`, and in messages. */
void gle_field_label(char *buf, size_t size, const struct gle_field *field);
enum { GLE_FIELD_LABEL = 128 }; /* large enough for any */

/* Numbers in it, without padding. */
static inline size_t gle_field_size(const struct gle_field *field)
{
    return field->rows * field->cols;
}

#endif
