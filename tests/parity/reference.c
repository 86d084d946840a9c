#include "reference.h"

#include "base/memory.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

struct named_array {
    const char *name; /* the archive's */
    struct gle_array array;
    double tolerance;
};

struct reference {
    struct reference *next;
    char path[REFERENCE_PATH_SIZE]; /* of the npz file */
    struct gle_npz *npz;
    struct named_array *arrays; /* in the archive's order */
};

static struct reference *loaded; /* all handles, until exit */

static void free_all(void)
{
    for (struct reference *ref = loaded, *next; ref; ref = next) {
        next = ref->next;
        for (size_t i = 0; ref->arrays && i < gle_npz_count(ref->npz); i++)
            gle_array_clear(&ref->arrays[i].array);
        gle_free(ref->arrays);
        gle_npz_close(ref->npz);
        gle_free(ref);
    }
    loaded = NULL;
}

void reference_find(char path[REFERENCE_PATH_SIZE], const char *case_name, const char *file)
{
    const char *tests = getenv("GLE_TEST_DIR"), *whole = getenv("GLE_REFERENCE");
    struct stat info;

    snprintf(path, REFERENCE_PATH_SIZE, "%s/fixtures/reference/%s/%s", tests ? tests : "", case_name, file);
    if (!stat(path, &info))
        return;
    snprintf(path, REFERENCE_PATH_SIZE, "%s/%s/%s", whole ? whole : "", case_name, file);
    if (!stat(path, &info))
        return;
    print_message("%s/%s is not among the reference numbers that come with the tests\n", case_name, file);
    skip();
}

static void load_arrays(struct reference *ref)
{
    struct gle_error err = {0};
    const size_t n = gle_npz_count(ref->npz);

    ref->arrays = gle_calloc(n, sizeof *ref->arrays);
    assert_non_null(ref->arrays);
    for (size_t i = 0; i < n; i++) {
        struct named_array *a = &ref->arrays[i];
        a->name = gle_npz_name(ref->npz, i);
        if (gle_npz_read(&a->array, ref->npz, a->name, &err))
            fail_msg("%s: %s: %s", ref->path, a->name, err.text);
    }
}

/* From the manifest beside it. */
static void load_tolerances(struct reference *ref)
{
    const char *npz_name = strrchr(ref->path, '/') + 1;
    char manifest[REFERENCE_PATH_SIZE];
    json_error_t err;
    json_t *root, *arrays;

    snprintf(manifest, sizeof manifest, "%.*smanifest.json", (int)(npz_name - ref->path), ref->path);
    root = json_load_file(manifest, 0, &err);
    if (!root)
        fail_msg("%s: %s", manifest, err.text);
    arrays = json_object_get(json_object_get(json_object_get(root, "files"), npz_name), "arrays");
    for (size_t i = 0; i < gle_npz_count(ref->npz); i++) {
        const json_t *entry = json_object_get(arrays, ref->arrays[i].name);
        if (!entry)
            fail_msg("%s: no array '%s' in %s", manifest, ref->arrays[i].name, npz_name);
        ref->arrays[i].tolerance = json_number_value(json_object_get(entry, "tol_abs"));
    }
    json_decref(root);
}

const struct reference *reference_get(const char *case_name, const char *file)
{
    struct gle_error err = {0};
    struct reference *ref;
    char npz_name[64], path[REFERENCE_PATH_SIZE];

    snprintf(npz_name, sizeof npz_name, "%s.npz", file);
    reference_find(path, case_name, npz_name);
    for (ref = loaded; ref; ref = ref->next)
        if (!strcmp(ref->path, path))
            return ref;
    ref = gle_calloc(1, sizeof *ref);
    assert_non_null(ref);
    snprintf(ref->path, sizeof ref->path, "%s", path);
    if (gle_npz_open(&ref->npz, path, &err)) {
        gle_free(ref);
        fail_msg("%s: %s", path, err.text);
    }
    load_arrays(ref);
    load_tolerances(ref);
    if (!loaded)
        atexit(free_all);
    ref->next = loaded;
    loaded = ref;
    return ref;
}

static int by_name(const void *key, const void *item)
{
    return strcmp(key, ((const struct named_array *)item)->name);
}

static const struct named_array *find(const struct reference *ref, const char *name)
{
    const struct named_array *a = bsearch(name, ref->arrays, gle_npz_count(ref->npz), sizeof *a, by_name);

    if (!a)
        fail_msg("%s: no array '%s'", ref->path, name);
    return a;
}

int reference_has(const struct reference *ref, const char *name)
{
    return gle_npz_has(ref->npz, name);
}

const struct gle_array *reference_array(const struct reference *ref, const char *name)
{
    return &find(ref, name)->array;
}

double reference_tolerance(const struct reference *ref, const char *name)
{
    return find(ref, name)->tolerance;
}

int64_t reference_int(const struct reference *ref, const char *name, size_t i)
{
    const struct gle_array *array = reference_array(ref, name);
    int64_t value = 0;

    assert_true(i < array->n);
    if (gle_array_int(&value, array, i))
        fail_msg("%s[%zu] is not an integer", name, i);
    return value;
}

/* "[step, row, column]" of element i. */
static void format_index(char *buf, size_t size, const struct gle_array *array, size_t i)
{
    size_t n = 0, block = array->n;

    buf[0] = '\0';
    for (size_t d = 0; d < array->n_dims && n < size; d++) {
        block /= array->shape[d];
        n += (size_t)snprintf(buf + n, size - n, "%s%zu", d ? ", " : "", i / block % array->shape[d]);
    }
}

/* Negated, so that a NaN fails. */
static void assert_element(const struct named_array *a, size_t i, float value, double tolerance)
{
    const double want = gle_array_real(&a->array, i);
    char index[128];

    if (fabs((double)value - want) <= tolerance)
        return;
    format_index(index, sizeof index, &a->array, i);
    fail_msg("%s[%s] is %.9g, reference %.9g: off by %.3g, tolerance %.3g", a->name, index, (double)value, want,
             (double)value - want, tolerance);
}

void reference_assert_within(const struct reference *ref, const char *name, const float *values, size_t n,
                             double tolerance)
{
    const struct named_array *a = find(ref, name);

    if (a->array.n != n)
        fail_msg("%s has %zu values, not %zu", name, a->array.n, n);
    for (size_t i = 0; i < n; i++)
        assert_element(a, i, values[i], tolerance);
}

void reference_assert_close(const struct reference *ref, const char *name, const float *values, size_t n)
{
    reference_assert_within(ref, name, values, n, reference_tolerance(ref, name));
}

/* First element of a slice. The rows must be all that follows some index, else the caller has mistaken the shape. */
static size_t slice_start(const struct named_array *a, size_t slice, size_t n_rows, size_t n_cols)
{
    const size_t n = n_rows * n_cols;
    size_t block = 1;

    for (size_t d = a->array.n_dims; d-- > 0 && block < n;)
        block *= a->array.shape[d];
    if (!n || block != n || (n_cols != 1 && a->array.shape[a->array.n_dims - 1] != n_cols))
        fail_msg("%s has no slices of %zu x %zu", a->name, n_rows, n_cols);
    if (slice >= a->array.n / n)
        fail_msg("%s has %zu slices of %zu x %zu, none of number %zu", a->name, a->array.n / n, n_rows, n_cols, slice);
    return slice * n;
}

void reference_assert_rows(const struct reference *ref, const char *name, size_t slice, const float *rows,
                           size_t n_rows, size_t n_cols, size_t ld)
{
    const struct named_array *a = find(ref, name);
    const size_t start = slice_start(a, slice, n_rows, n_cols);

    for (size_t i = 0; i < n_rows; i++)
        for (size_t j = 0; j < n_cols; j++)
            assert_element(a, start + i * n_cols + j, rows[i * ld + j], a->tolerance);
}

void reference_copy_rows(const struct reference *ref, const char *name, size_t slice, float *rows, size_t n_rows,
                         size_t n_cols, size_t ld)
{
    const struct named_array *a = find(ref, name);
    const size_t start = slice_start(a, slice, n_rows, n_cols);

    for (size_t i = 0; i < n_rows; i++)
        for (size_t j = 0; j < n_cols; j++)
            rows[i * ld + j] = (float)gle_array_real(&a->array, start + i * n_cols + j);
}
