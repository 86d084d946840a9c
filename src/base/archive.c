#include "base/archive.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 5, NAME_SIZE = 256, DEPTH_MAX = 8, DIGITS = 64 };
static const uint64_t entry_bytes_max = (UINT64_C(1) << 32) - GLE_NPY_FORMAT_MAX; /* gle_npz_read() takes no more */
static const char format_name[] = "format", checksum_name[] = "sha256";

struct entry {
    char name[NAME_SIZE];
    char sha256[DIGITS + 1]; /* of type, size and values */
    struct gle_array array;  /* restoring: what the file has */
    bool used;
};

struct gle_archive {
    bool restores;
    char *path; /* restoring: of the file; NULL if saving */
    struct gle_npz_writer *npz; /* saving */
    struct entry *entries; /* restoring: by name */
    size_t n_entries;
    char prefix[NAME_SIZE];
    size_t entered[DEPTH_MAX], depth; /* lengths of the prefix before each part that was entered */
};

bool gle_archive_restores(const struct gle_archive *a)
{
    return a->restores;
}

/* --- names --- */

void gle_archive_enter(struct gle_archive *a, const char *part)
{
    const size_t n = strlen(a->prefix);
    const int added = snprintf(a->prefix + n, sizeof a->prefix - n, "%s.", part);

    assert(added > 0 && n + (size_t)added < sizeof a->prefix && a->depth < DEPTH_MAX);
    (void)added;
    a->entered[a->depth++] = n;
}

void gle_archive_leave(struct gle_archive *a)
{
    assert(a->depth);
    a->prefix[a->entered[--a->depth]] = '\0';
}

static void full_name(char out[NAME_SIZE], const struct gle_archive *a, const char *name)
{
    const int n = snprintf(out, NAME_SIZE, "%s%s", a->prefix, name);

    assert(n > 0 && n < NAME_SIZE);
    (void)n;
}

int gle_archive_fail(const struct gle_archive *a, const char *name, struct gle_error *err, const char *fmt, ...)
{
    char full[NAME_SIZE], text[sizeof err->text];
    va_list args;

    full_name(full, a, name);
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return gle_fail_in(err, GLE_EDATA, a->path, full, "%s", text);
}

/* --- checksums --- */

/* Of one entry. Returns -1: no memory. */
static int hash_array(char hex[DIGITS + 1], enum gle_npy_type type, size_t n, const void *values)
{
    const uint64_t head[2] = {(uint64_t)type, n};
    struct gle_sha256 *sha = gle_sha256_start();

    if (!sha)
        return -1;
    gle_sha256_add(sha, head, sizeof head);
    gle_sha256_add(sha, values, n * gle_npy_item(type));
    gle_sha256_end(sha, hex);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* Of all entries but that of the checksum itself, in the order of their names. Returns -1: no memory. */
static int hash_all(char hex[DIGITS + 1], struct gle_archive *a)
{
    struct gle_sha256 *sha = gle_sha256_start();

    if (!sha)
        return -1;
    qsort(a->entries, a->n_entries, sizeof *a->entries, by_name);
    for (size_t i = 0; i < a->n_entries; i++)
        if (strcmp(a->entries[i].name, checksum_name)) {
            gle_sha256_add(sha, a->entries[i].name, strlen(a->entries[i].name) + 1);
            gle_sha256_add(sha, a->entries[i].sha256, DIGITS);
        }
    gle_sha256_end(sha, hex);
    return 0;
}

/* --- beginning and end --- */

static int no_memory(struct gle_error *err)
{
    return gle_fail(err, GLE_ENOMEM, "no memory for a checkpoint");
}

void gle_archive_destroy(struct gle_archive *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n_entries; i++)
        gle_array_clear(&a->entries[i].array);
    gle_free(a->entries);
    gle_npz_destroy(a->npz);
    gle_free(a->path);
    gle_free(a);
}

int gle_archive_create(struct gle_archive **out, struct gle_error *err)
{
    struct gle_archive *a = gle_calloc(1, sizeof *a);
    uint64_t format = FORMAT;

    *out = NULL;
    if (a)
        a->npz = gle_npz_create();
    if (!a || !a->npz) {
        gle_archive_destroy(a);
        return no_memory(err);
    }
    if (gle_archive_u64(a, format_name, &format, 1, err)) {
        gle_archive_destroy(a);
        return -1;
    }
    *out = a;
    return 0;
}

/* Makes room for an entry of that name; NULL: no memory. */
static struct entry *add_entry(struct gle_archive *a, const char *name)
{
    struct entry *longer = gle_resize(a->entries, a->n_entries + 1, sizeof *longer);

    if (!longer)
        return NULL;
    a->entries = longer;
    longer[a->n_entries] = (struct entry){.used = false};
    snprintf(longer[a->n_entries].name, NAME_SIZE, "%s", name);
    return &longer[a->n_entries++];
}

static int read_entries(struct gle_archive *a, const struct gle_npz *npz, struct gle_error *err)
{
    for (size_t i = 0; i < gle_npz_count(npz); i++) {
        const char *name = gle_npz_name(npz, i);
        struct entry *e;
        if (strlen(name) >= NAME_SIZE)
            return gle_fail_in(err, GLE_EDATA, a->path, NULL, "no checkpoint: an entry with a name of %zu characters",
                               strlen(name));
        e = add_entry(a, name);
        if (!e)
            return no_memory(err);
        if (gle_npz_read(&e->array, npz, name, err))
            return -1;
        if (hash_array(e->sha256, e->array.type, e->array.n, e->array.values))
            return no_memory(err);
    }
    return 0;
}

static struct entry *find(const struct gle_archive *a, const char *full)
{
    struct entry key;

    snprintf(key.name, sizeof key.name, "%s", full);
    return a->n_entries ? bsearch(&key, a->entries, a->n_entries, sizeof key, by_name) : NULL;
}

/* What can be said of the file before its checksum is known to be right: an older or newer format may have another. */
static int check_format(struct gle_archive *a, struct gle_error *err)
{
    struct entry *format = find(a, format_name), *sum = find(a, checksum_name);
    int64_t version;

    if (!format || format->array.n != 1 || gle_array_int(&version, &format->array, 0))
        return gle_fail_in(err, GLE_EDATA, a->path, NULL, "no checkpoint: it names no format");
    if (version != FORMAT)
        return gle_fail_in(err, GLE_EDATA, a->path, NULL, "a checkpoint of format %lld; this version reads format %d",
                           (long long)version, FORMAT);
    if (!sum || sum->array.type != GLE_NPY_U8 || sum->array.n != DIGITS)
        return gle_fail_in(err, GLE_EDATA, a->path, NULL, "damaged: it has no checksum");
    format->used = sum->used = true;
    return 0;
}

static int check_sum(struct gle_archive *a, struct gle_error *err)
{
    char hex[DIGITS + 1];

    if (hash_all(hex, a)) /* entries are in the order of their names, and stay so */
        return no_memory(err);
    if (memcmp(hex, find(a, checksum_name)->array.values, DIGITS))
        return gle_fail_in(err, GLE_EDATA, a->path, NULL, "damaged: its checksum is another one");
    return 0;
}

static int read_all(struct gle_archive *a, struct gle_error *err)
{
    struct gle_npz *npz;
    int rc;

    if (gle_npz_open(&npz, a->path, err))
        return -1;
    rc = read_entries(a, npz, err);
    gle_npz_close(npz);
    return rc || check_format(a, err) || check_sum(a, err) ? -1 : 0;
}

int gle_archive_open(struct gle_archive **out, const char *path, struct gle_error *err)
{
    struct gle_archive *a = gle_calloc(1, sizeof *a);

    *out = NULL;
    if (a)
        a->path = gle_calloc(strlen(path) + 1, 1);
    if (!a || !a->path) {
        gle_archive_destroy(a);
        return no_memory(err);
    }
    a->restores = true;
    strcpy(a->path, path);
    if (read_all(a, err)) {
        gle_archive_destroy(a);
        return -1;
    }
    *out = a;
    return 0;
}

int gle_archive_write(struct gle_archive *a, const char *path, struct gle_error *err)
{
    const size_t digits = DIGITS;
    char hex[DIGITS + 1];

    assert(!a->restores && !a->prefix[0]);
    if (hash_all(hex, a))
        return no_memory(err);
    return gle_npz_add(a->npz, checksum_name, GLE_NPY_U8, hex, 1, &digits, err) || gle_npz_write(a->npz, path, err)
               ? -1
               : 0;
}

int gle_archive_end(const struct gle_archive *a, struct gle_error *err)
{
    for (size_t i = 0; a->restores && i < a->n_entries; i++)
        if (!a->entries[i].used)
            return gle_fail_in(err, GLE_EDATA, a->path, a->entries[i].name, "an entry that this run has no use for");
    return 0;
}

/* --- entries --- */

/* What is being saved: its name in full, and where its values go. */
struct saved {
    char full[NAME_SIZE];
    unsigned char *room;
};

static int save_begin(struct saved *s, struct gle_archive *a, const char *name, enum gle_npy_type type, size_t n_dims,
                      const size_t *shape, struct gle_error *err)
{
    const size_t most = entry_bytes_max / gle_npy_item(type);
    size_t n = 1;

    full_name(s->full, a, name);
    for (size_t i = 0; i < n_dims; n *= shape[i++])
        if (shape[i] && n > most / shape[i])
            return gle_fail(err, GLE_EWRITE, "%s: more than %zu values, which is all that a checkpoint can hold of one",
                            s->full, most);
    s->room = gle_npz_room(a->npz, s->full, type, n_dims, shape, err);
    return s->room ? 0 : -1;
}

/* After n values are in the room. */
static int save_end(const struct saved *s, struct gle_archive *a, enum gle_npy_type type, size_t n,
                    struct gle_error *err)
{
    struct entry *e = add_entry(a, s->full);

    return !e || hash_array(e->sha256, type, n, s->room) ? no_memory(err) : 0;
}

static int save(struct gle_archive *a, const char *name, enum gle_npy_type type, const unsigned char *first, size_t n,
                size_t stride, struct gle_error *err)
{
    const size_t item = gle_npy_item(type);
    struct saved s;

    if (save_begin(&s, a, name, type, 1, &n, err))
        return -1;
    if (stride == item && n)
        memcpy(s.room, first, n * item);
    for (size_t i = 0; stride != item && i < n; i++)
        memcpy(s.room + i * item, first + i * stride, item);
    return save_end(&s, a, type, n, err);
}

static struct entry *ask_for(const struct gle_archive *a, const char *name, struct gle_error *err)
{
    char full[NAME_SIZE];
    struct entry *e;

    full_name(full, a, name);
    e = find(a, full);
    if (!e)
        gle_archive_fail(a, name, err, "is not there");
    return e;
}

/* The n values of an entry, which then counts as used. */
static int use(const void **values, struct gle_archive *a, const char *name, enum gle_npy_type type, size_t n,
               struct gle_error *err)
{
    struct entry *e = ask_for(a, name, err);

    if (!e)
        return -1;
    if (e->array.type != type)
        return gle_archive_fail(a, name, err, "values of another type than is wanted");
    if (e->array.n != n)
        return gle_archive_fail(a, name, err, "%zu value%s, where %zu %s wanted", e->array.n,
                                e->array.n == 1 ? "" : "s", n, n == 1 ? "is" : "are");
    e->used = true;
    *values = e->array.values;
    return 0;
}

static int restore(struct gle_archive *a, const char *name, enum gle_npy_type type, unsigned char *first, size_t n,
                   size_t stride, struct gle_error *err)
{
    const size_t item = gle_npy_item(type);
    const unsigned char *bytes;
    const void *values;

    if (use(&values, a, name, type, n, err))
        return -1;
    bytes = values;
    for (size_t i = 0; type == GLE_NPY_BOOL && i < n; i++)
        if (bytes[i] > 1)
            return gle_archive_fail(a, name, err, "neither true nor false");
    if (stride == item && n)
        memcpy(first, bytes, n * item);
    for (size_t i = 0; stride != item && i < n; i++)
        memcpy(first + i * stride, bytes + i * item, item);
    return 0;
}

int gle_archive_spread(struct gle_archive *a, const char *name, enum gle_npy_type type, void *first, size_t n,
                       size_t stride, struct gle_error *err)
{
    return a->restores ? restore(a, name, type, first, n, stride, err) : save(a, name, type, first, n, stride, err);
}

static int fail_wild(const struct gle_archive *a, const char *name, size_t i, bool nan, struct gle_error *err)
{
    return gle_archive_fail(a, name, err, "value %zu is %s", i, nan ? "NaN" : "infinite");
}

static int check_finite(const struct gle_archive *a, const char *name, const float *x, size_t n, struct gle_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return fail_wild(a, name, i, isnan(x[i]), err);
    return 0;
}

int gle_archive_f32(struct gle_archive *a, const char *name, float *x, size_t n, struct gle_error *err)
{
    if (gle_archive_spread(a, name, GLE_NPY_F32, x, n, sizeof *x, err))
        return -1;
    return a->restores ? check_finite(a, name, x, n, err) : 0;
}

static int save_stack(struct gle_archive *a, const char *name, const struct gle_archive_stack *stack,
                      struct gle_error *err)
{
    const size_t shape[3] = {stack->n, stack->rows, stack->cols}, n_rows = stack->n * stack->rows;
    struct saved s;

    if (save_begin(&s, a, name, GLE_NPY_F32, 3, shape, err))
        return -1;
    for (size_t i = 0; i < n_rows; i++)
        memcpy(s.room + i * stack->cols * sizeof(float),
               stack->at(stack->ctx, i / stack->rows) + i % stack->rows * stack->ld, stack->cols * sizeof(float));
    return save_end(&s, a, GLE_NPY_F32, n_rows * stack->cols, err);
}

int gle_archive_stack(struct gle_archive *a, const char *name, const struct gle_archive_stack *stack,
                      struct gle_error *err)
{
    const size_t n_rows = stack->n * stack->rows, n = n_rows * stack->cols;
    const void *used;
    const float *values;

    if (!a->restores)
        return save_stack(a, name, stack, err);
    if (use(&used, a, name, GLE_NPY_F32, n, err) || check_finite(a, name, used, n, err))
        return -1;
    values = used;
    for (size_t i = 0; i < n_rows; i++)
        memcpy(stack->at(stack->ctx, i / stack->rows) + i % stack->rows * stack->ld, values + i * stack->cols,
               stack->cols * sizeof(float));
    return 0;
}

int gle_archive_f64(struct gle_archive *a, const char *name, double *x, size_t n, struct gle_error *err)
{
    if (gle_archive_spread(a, name, GLE_NPY_F64, x, n, sizeof *x, err))
        return -1;
    for (size_t i = 0; a->restores && i < n; i++)
        if (!isfinite(x[i]))
            return fail_wild(a, name, i, isnan(x[i]), err);
    return 0;
}

int gle_archive_real(struct gle_archive *a, const char *name, double *x, double low, double high,
                     struct gle_error *err)
{
    if (gle_archive_spread(a, name, GLE_NPY_F64, x, 1, sizeof *x, err))
        return -1;
    if (a->restores && !(*x >= low && *x <= high))
        return gle_archive_fail(a, name, err, "%g, where %g to %g is possible", *x, low, high);
    return 0;
}

int gle_archive_u64(struct gle_archive *a, const char *name, uint64_t *x, size_t n, struct gle_error *err)
{
    return gle_archive_spread(a, name, GLE_NPY_U64, x, n, sizeof *x, err);
}

int gle_archive_u32(struct gle_archive *a, const char *name, uint32_t *x, size_t n, struct gle_error *err)
{
    return gle_archive_spread(a, name, GLE_NPY_U32, x, n, sizeof *x, err);
}

int gle_archive_bytes(struct gle_archive *a, const char *name, void *x, size_t n, struct gle_error *err)
{
    return gle_archive_spread(a, name, GLE_NPY_U8, x, n, 1, err);
}

int gle_archive_bools(struct gle_archive *a, const char *name, bool *x, size_t n, struct gle_error *err)
{
    _Static_assert(sizeof *x == 1, "a bool is a byte of numpy");
    return gle_archive_spread(a, name, GLE_NPY_BOOL, x, n, sizeof *x, err);
}

int gle_archive_count(struct gle_archive *a, const char *name, size_t *x, size_t low, size_t high,
                      struct gle_error *err)
{
    uint64_t value = *x;

    if (gle_archive_u64(a, name, &value, 1, err))
        return -1;
    if (value < low || value > high)
        return gle_archive_fail(a, name, err, "%llu, where %zu to %zu is possible", (unsigned long long)value, low,
                                high);
    *x = (size_t)value;
    return 0;
}

int gle_archive_text(struct gle_archive *a, const char *name, char *text, size_t size, struct gle_error *err)
{
    size_t n = strlen(text);

    if (a->restores && gle_archive_length(&n, a, name, err))
        return -1;
    if (n >= size)
        return gle_archive_fail(a, name, err, "%zu bytes, where %zu are possible", n, size - 1);
    if (gle_archive_bytes(a, name, text, n, err))
        return -1;
    text[n] = '\0';
    for (size_t i = 0; a->restores && i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return gle_archive_fail(a, name, err, "byte %zu is a control character", i);
    return 0;
}

int gle_archive_length(size_t *n, const struct gle_archive *a, const char *name, struct gle_error *err)
{
    const struct entry *e = ask_for(a, name, err);

    *n = e ? e->array.n : 0;
    return e ? 0 : -1;
}
