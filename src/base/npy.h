/* npy.h - numpy's file format of one array (numpy.lib.format), and arrays in memory. Knows nothing of archives. */
#ifndef GLE_BASE_NPY_H
#define GLE_BASE_NPY_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GLE_NPY_DIMS_MAX = 8 };
/* Element types that are read and written; any other is an error that names it. */
enum gle_npy_type {
    GLE_NPY_F32, GLE_NPY_F64, GLE_NPY_I8, GLE_NPY_I16, GLE_NPY_I32, GLE_NPY_I64, GLE_NPY_U8, GLE_NPY_U16, GLE_NPY_U32,
    GLE_NPY_U64, GLE_NPY_BOOL, GLE_NPY_F16, GLE_NPY_TYPES
};

/* An array in memory: C order, this machine's byte order, whatever the file had. */
struct gle_array {
    enum gle_npy_type type;
    size_t n_dims;
    size_t shape[GLE_NPY_DIMS_MAX];
    size_t n; /* elements */
    void *values;
};

void gle_array_clear(struct gle_array *array);
/* Value i of any type as double / as integer (real types: must be integral; returns -1 otherwise). */
double gle_array_real(const struct gle_array *array, size_t i);
GLE_MUST_CHECK int gle_array_int(int64_t *value, const struct gle_array *array, size_t i);

/* --- the format --- */
#define GLE_NPY_MAGIC "\x93NUMPY"
#define GLE_NPY_SUFFIX ".npy" /* of an array's name in an archive */
enum {
    GLE_NPY_PREFIX = 8,       /* bytes of magic and version, before the length of the header */
    GLE_NPY_FORMAT_MAX = 512, /* room for a header of our own */
};

/* What the header of an npy file says. */
struct gle_npy_header {
    char descr[32]; /* of the element type */
    bool fortran, swap;
    enum gle_npy_type type;
    size_t n_dims; /* as written, perhaps more than shape holds */
    size_t shape[GLE_NPY_DIMS_MAX];
    size_t n, item; /* elements, bytes per element */
};

/* Parses the dictionary t (len bytes, NUL-terminated) into descr, fortran, n_dims, shape. Returns what is wrong, or
 * NULL. */
const char *gle_npy_parse(struct gle_npy_header *h, const char *t, size_t len);
/* Sets type, item and swap from descr; false if the type is none of those above. */
bool gle_npy_find_type(struct gle_npy_header *h);
/* Sets n from shape (n_dims <= GLE_NPY_DIMS_MAX); false when the bytes overflow. */
bool gle_npy_count(struct gle_npy_header *h);
/* Writes prefix, length and dictionary of version 1.0 into `out`, padded with blanks; returns the bytes in it. */
size_t gle_npy_format(char out[static GLE_NPY_FORMAT_MAX], enum gle_npy_type type, size_t n_dims, const size_t *shape);
/* Bytes of one element. */
size_t gle_npy_item(enum gle_npy_type type);

#endif
