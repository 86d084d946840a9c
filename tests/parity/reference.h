/* reference.h - the reference numbers for the parity tests: what tests/fixtures/reference has of them, else the folder
 * that the environment variable GLE_REFERENCE names. Every function here belongs inside a test: what is in neither
 * skips the test, and anything else that is missing, or different, fails it. */
#ifndef GLE_TESTS_REFERENCE_H
#define GLE_TESTS_REFERENCE_H

#include "base/npz.h"

#include <stddef.h>
#include <stdint.h>

enum { REFERENCE_PATH_SIZE = 1024 };

/* Where <case>/<file> is. */
void reference_find(char path[REFERENCE_PATH_SIZE], const char *case_name, const char *file);

/* All arrays of one <case>/<file>.npz, with their tolerances. */
struct reference;

/* The same handle whenever asked for; loaded the first time, freed at exit. `file` without ".npz". */
const struct reference *reference_get(const char *case_name, const char *file);
int reference_has(const struct reference *ref, const char *name);
const struct gle_array *reference_array(const struct reference *ref, const char *name);
/* tol_abs of the array in <case>/manifest.json; 0 where it states none: inputs, and what must agree exactly. */
double reference_tolerance(const struct reference *ref, const char *name);
/* Element i, for arrays of integers. */
int64_t reference_int(const struct reference *ref, const char *name, size_t i);

/* All n values of an array, each within its tolerance. On failure: name, index, both numbers, tolerance. */
void reference_assert_close(const struct reference *ref, const char *name, const float *values, size_t n);
/* The same within a tolerance of the caller's. */
void reference_assert_within(const struct reference *ref, const char *name, const float *values, size_t n,
                             double tolerance);
/* Rows with a leading dimension ld >= n_cols against slice number `slice` of an array: one of [slice, row, column], of
 * [..., row, column] counted through all indices before row, or of [slice, column] with n_rows = 1. */
void reference_assert_rows(const struct reference *ref, const char *name, size_t slice, const float *rows,
                           size_t n_rows, size_t n_cols, size_t ld);
/* Writes that slice into rows: inputs, initial weights, a state to start from. */
void reference_copy_rows(const struct reference *ref, const char *name, size_t slice, float *rows, size_t n_rows,
                         size_t n_cols, size_t ld);

#endif
