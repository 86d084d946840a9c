/* stored.h - arrays in an .npz file, for tests. */
#ifndef GLE_TESTS_STORED_H
#define GLE_TESTS_STORED_H

#include <stddef.h>

enum { STORED_MAX = 256 }; /* values of an array */

/* An array: double values, whole numbers where they are labels; 0, 1, 2, ... if values is NULL. Lists end with a name
 * that is NULL. */
struct stored {
    const char *name;
    size_t n_dims, shape[4];
    const double *values;
};

/* Writes them into a file; fails the test if that fails. */
void store_at(const char *path, const struct stored *arrays);

#endif
