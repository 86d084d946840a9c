#include "base/npz.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are written as they lie in memory");

enum {
    PREFIX = 8,            /* magic and version of an npy file, before the length of the header */
    HEADER_MAX = 10000,    /* numpy refuses longer headers, too */
    HEADER_ALIGN = 64,     /* values begin at a multiple of it */
    OWN_HEADER_MAX = 512,  /* holds GLE_NPY_DIMS_MAX numbers of 20 digits with ease */
    CHUNK = 4096,
    DEFLATE_RATIO = 1032,  /* more than that many bytes cannot come out of one */
    DOS_DATE_1980 = 1 << 5 | 1, /* 1 January 1980, as numpy writes it */
};
static const uint64_t entry_max = UINT64_C(1) << 32;
static const unsigned char magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
static const char suffix[] = ".npy";

static const struct {
    const char *code; /* numpy's, without the byte order */
    size_t size;
} types[GLE_NPY_TYPES] = {
    [GLE_NPY_F32] = {"f4", 4}, [GLE_NPY_F64] = {"f8", 8}, [GLE_NPY_I8] = {"i1", 1},  [GLE_NPY_I16] = {"i2", 2},
    [GLE_NPY_I32] = {"i4", 4}, [GLE_NPY_I64] = {"i8", 8}, [GLE_NPY_U8] = {"u1", 1},  [GLE_NPY_U16] = {"u2", 2},
    [GLE_NPY_U32] = {"u4", 4}, [GLE_NPY_U64] = {"u8", 8}, [GLE_NPY_BOOL] = {"b1", 1},
};

struct entry {
    const char *name; /* without ".npy" */
    zip_uint64_t index;
    uint64_t size; /* bytes, uncompressed */
};

struct gle_npz {
    zip_t *zip;
    struct gle_arena *arena;
    const char *path;
    struct entry *entries; /* sorted by name */
    size_t n;
};

/* --- opening --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static const struct entry *find(const struct gle_npz *npz, const char *name)
{
    const struct entry key = {.name = name};
    return npz->n ? bsearch(&key, npz->entries, npz->n, sizeof key, by_name) : NULL;
}

/* What is wrong with a name, or NULL. Nothing is unpacked under it, but no honest archive has such a name. */
static const char *name_problem(const char *name)
{
    const size_t len = strlen(name), tail = sizeof suffix - 1;

    if (name[0] == '/' || strstr(name, ".."))
        return "a name with '..' or a leading '/'";
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return "a control character in its name";
    if (len <= tail || strcmp(name + len - tail, suffix))
        return "a name that is not like NAME.npy";
    return NULL;
}

/* Refuses sizes that cannot be true before anything is allocated for them. */
static const char *size_problem(const zip_stat_t *info, uint64_t archive_bytes)
{
    if (info->comp_method != ZIP_CM_STORE && info->comp_method != ZIP_CM_DEFLATE)
        return "a compression that numpy does not use";
    if (info->size > entry_max)
        return "more than 4 GiB";
    if (info->comp_size > archive_bytes || info->size / DEFLATE_RATIO > info->comp_size ||
        (info->comp_method == ZIP_CM_STORE && info->size != info->comp_size))
        return "a size that its bytes cannot hold";
    return NULL;
}

static int list_entry(struct gle_npz *npz, zip_uint64_t index, uint64_t archive_bytes, struct gle_error *err)
{
    const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    struct entry *e = &npz->entries[npz->n];
    const char *problem;
    zip_stat_t info;

    /* raw: libzip would turn a control character into an arrow of code page 437 */
    if (zip_stat_index(npz->zip, index, ZIP_FL_ENC_RAW, &info) || (info.valid & needed) != needed)
        problem = "a damaged directory entry";
    else if (!(problem = name_problem(info.name)))
        problem = size_problem(&info, archive_bytes);
    if (problem)
        return gle_fail_in(err, GLE_EDATA, npz->path, NULL, "entry %llu of the archive has %s",
                           (unsigned long long)index + 1, problem);
    *e = (struct entry){.index = index, .size = info.size};
    e->name = gle_arena_text(npz->arena, info.name, strlen(info.name) - (sizeof suffix - 1));
    if (!e->name)
        return gle_fail_in(err, GLE_ENOMEM, npz->path, NULL, "no memory for the list of arrays");
    npz->n++;
    return 0;
}

static int list_entries(struct gle_npz *npz, uint64_t archive_bytes, struct gle_error *err)
{
    const zip_int64_t n = zip_get_num_entries(npz->zip, 0);

    npz->entries = gle_calloc((size_t)n, sizeof *npz->entries);
    if (!npz->entries)
        return gle_fail_in(err, GLE_ENOMEM, npz->path, NULL, "no memory for the list of arrays");
    for (zip_int64_t i = 0; i < n; i++)
        if (list_entry(npz, (zip_uint64_t)i, archive_bytes, err))
            return -1;
    qsort(npz->entries, npz->n, sizeof *npz->entries, by_name);
    for (size_t i = 1; i < npz->n; i++)
        if (!strcmp(npz->entries[i - 1].name, npz->entries[i].name))
            return gle_fail_in(err, GLE_EDATA, npz->path, npz->entries[i].name, "more than one array of this name");
    return 0;
}

static int open_zip(struct gle_npz *npz, uint64_t *archive_bytes, struct gle_error *err)
{
    struct stat info;
    zip_error_t why;
    int code;

    if (stat(npz->path, &info))
        return gle_fail_in(err, GLE_EDATA, npz->path, NULL, "cannot read: %s", strerror(errno));
    if (!S_ISREG(info.st_mode))
        return gle_fail_in(err, GLE_EDATA, npz->path, NULL, "not a regular file");
    if (info.st_size == 0) /* libzip would take it for an archive of nothing */
        return gle_fail_in(err, GLE_EDATA, npz->path, NULL, "not an .npz archive: the file is empty");
    *archive_bytes = (uint64_t)info.st_size;
    npz->zip = zip_open(npz->path, ZIP_RDONLY, &code);
    if (npz->zip)
        return 0;
    zip_error_init_with_code(&why, code);
    gle_fail_in(err, code == ZIP_ER_MEMORY ? GLE_ENOMEM : GLE_EDATA, npz->path, NULL, "not an .npz archive: %s",
         zip_error_strerror(&why));
    zip_error_fini(&why);
    return -1;
}

int gle_npz_open(struct gle_npz **out, const char *path, struct gle_error *err)
{
    struct gle_npz *npz = gle_calloc(1, sizeof *npz);
    uint64_t archive_bytes = 0;

    *out = NULL;
    if (npz && (npz->arena = gle_arena_create()))
        npz->path = gle_arena_text(npz->arena, path, strlen(path));
    if (!npz || !npz->path) {
        gle_npz_close(npz);
        return gle_fail_in(err, GLE_ENOMEM, path, NULL, "no memory to open it");
    }
    if (open_zip(npz, &archive_bytes, err) || list_entries(npz, archive_bytes, err)) {
        gle_npz_close(npz);
        return -1;
    }
    *out = npz;
    return 0;
}

void gle_npz_close(struct gle_npz *npz)
{
    if (!npz)
        return;
    if (npz->zip)
        zip_discard(npz->zip);
    gle_free(npz->entries);
    gle_arena_destroy(npz->arena);
    gle_free(npz);
}

size_t gle_npz_count(const struct gle_npz *npz)
{
    return npz->n;
}

const char *gle_npz_name(const struct gle_npz *npz, size_t i)
{
    return npz->entries[i].name;
}

int gle_npz_has(const struct gle_npz *npz, const char *name)
{
    return find(npz, name) != NULL;
}

/* --- the header: a Python dictionary of three keys (numpy.lib.format) --- */

struct header {
    char descr[32];
    bool fortran, swap;
    enum gle_npy_type type;
    size_t n_dims; /* as written, perhaps more than shape holds */
    size_t shape[GLE_NPY_DIMS_MAX];
    size_t n, item; /* elements, bytes per element */
};

static const char malformed[] = "malformed array header";

static bool take(const char **t, const char *word)
{
    const size_t len = strlen(word);

    *t += strspn(*t, " \t\r\n");
    if (strncmp(*t, word, len) != 0)
        return false;
    *t += len;
    return true;
}

/* A quoted string of printable ASCII without escapes. */
static bool take_string(const char **t, char *out, size_t size)
{
    const char quote = take(t, "'") ? '\'' : '"';
    size_t n = 0;

    if (quote == '"' && !take(t, "\""))
        return false;
    for (; **t != quote; ++*t) {
        if (**t < ' ' || **t > '~' || **t == '\\' || n + 1 == size)
            return false;
        out[n++] = **t;
    }
    ++*t;
    out[n] = '\0';
    return true;
}

/* Digits; a number beyond size_t becomes SIZE_MAX, which no file can fill. */
static bool take_size(const char **t, size_t *value)
{
    const char *start;

    take(t, "");
    *value = 0;
    for (start = *t; **t >= '0' && **t <= '9'; ++*t) {
        const size_t digit = (size_t)(**t - '0');
        *value = *value > (SIZE_MAX - digit) / 10 ? SIZE_MAX : *value * 10 + digit;
    }
    return *t > start;
}

/* A tuple: (), (3,), (3, 4). A comma may end it, and must if it has one element. */
static bool take_shape(const char **t, struct header *h)
{
    bool comma = true;

    if (!take(t, "("))
        return false;
    for (h->n_dims = 0; !take(t, ")"); h->n_dims++) {
        size_t dim;
        if (!comma || !take_size(t, &dim))
            return false;
        if (h->n_dims < GLE_NPY_DIMS_MAX)
            h->shape[h->n_dims] = dim;
        comma = take(t, ",");
    }
    return comma || h->n_dims != 1;
}

static bool take_bool(const char **t, bool *value)
{
    *value = take(t, "True");
    return *value || take(t, "False");
}

/* Returns what is wrong, or NULL. */
static const char *parse_header(struct header *h, const char *t, const char *end)
{
    bool has_descr = false, has_order = false, has_shape = false, comma = true;
    char key[32];

    if (!take(&t, "{"))
        return malformed;
    while (!take(&t, "}")) {
        bool *has;
        if (!comma || !take_string(&t, key, sizeof key) || !take(&t, ":"))
            return malformed;
        has = !strcmp(key, "descr") ? &has_descr : !strcmp(key, "fortran_order") ? &has_order : &has_shape;
        if (*has || (has == &has_shape && strcmp(key, "shape") != 0))
            return malformed;
        *has = true;
        if (has == &has_descr && take(&t, "["))
            return "an array of records; only numbers and bool can be read";
        if (has == &has_descr   ? !take_string(&t, h->descr, sizeof h->descr)
            : has == &has_order ? !take_bool(&t, &h->fortran)
                                : !take_shape(&t, h))
            return malformed;
        comma = take(&t, ",");
    }
    take(&t, "");
    return t == end && has_descr && has_order && has_shape ? NULL : malformed;
}

static bool find_type(struct header *h)
{
    const char order = h->descr[0];

    for (int i = 0; i < GLE_NPY_TYPES; i++) {
        if (!order || strcmp(h->descr + 1, types[i].code) != 0)
            continue;
        h->type = (enum gle_npy_type)i;
        h->item = types[i].size;
        h->swap = order == '>';
        return order == '<' || order == '>' || (order == '|' && h->item == 1);
    }
    return false;
}

/* Elements and bytes of a shape; false when they overflow. */
static bool count_elements(struct header *h)
{
    h->n = 1;
    for (size_t i = 0; i < h->n_dims; i++) {
        if (h->shape[i] && h->n > SIZE_MAX / h->item / h->shape[i])
            return false;
        h->n *= h->shape[i];
    }
    return true;
}

/* --- reading --- */

/* One array while it is read. */
struct reader {
    zip_file_t *file;
    const char *path, *name;
    uint64_t left; /* bytes of the entry not read yet, as the archive declares them */
    struct gle_error *err;
};

static int fail_damaged(struct reader *r)
{
    return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "damaged or cut short");
}

static int read_bytes(struct reader *r, void *bytes, size_t size)
{
    size_t done = 0;

    if (size > r->left)
        return fail_damaged(r);
    while (done < size) {
        const zip_int64_t n = zip_fread(r->file, (unsigned char *)bytes + done, size - done);
        if (n <= 0)
            return fail_damaged(r);
        done += (size_t)n;
    }
    r->left -= size;
    return 0;
}

/* libzip compares the checksum when it meets the end, so the end must be read, too. */
static int read_end(struct reader *r)
{
    char beyond;
    return zip_fread(r->file, &beyond, 1) == 0 ? 0 : fail_damaged(r);
}

static int check_header(struct header *h, struct reader *r)
{
    if (!strcmp(h->descr, "|O") || !strcmp(h->descr, "O"))
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name,
                    "an array of Python objects (pickled); only numbers and bool can be read");
    if (!find_type(h))
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name,
                    "element type '%s'; only float32, float64, integers and bool can be read", h->descr);
    if (h->n_dims > GLE_NPY_DIMS_MAX)
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "%zu dimensions; at most %d can be read", h->n_dims,
                    GLE_NPY_DIMS_MAX);
    if (!count_elements(h) || h->n * h->item != r->left)
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "its shape does not fit the %llu bytes of values",
                    (unsigned long long)r->left);
    return 0;
}

static int read_header(struct header *h, struct reader *r)
{
    unsigned char prefix[PREFIX], len_bytes[4] = {0};
    char text[HEADER_MAX + 1];
    const char *problem;
    size_t len;

    if (read_bytes(r, prefix, sizeof prefix))
        return -1;
    if (memcmp(prefix, magic, sizeof magic) != 0 || prefix[6] < 1 || prefix[6] > 3 || prefix[7] != 0)
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "not an .npy array of version 1.0, 2.0 or 3.0");
    if (read_bytes(r, len_bytes, prefix[6] == 1 ? 2 : 4))
        return -1;
    len = (size_t)len_bytes[0] | (size_t)len_bytes[1] << 8 | (size_t)len_bytes[2] << 16 | (size_t)len_bytes[3] << 24;
    if (len > HEADER_MAX)
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "an array header of %zu bytes", len);
    if (read_bytes(r, text, len))
        return -1;
    text[len] = '\0';
    problem = parse_header(h, text, text + len);
    if (problem)
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "%s", problem);
    return check_header(h, r);
}

/* Reads values whose first index runs fastest, and puts each where the last index runs fastest. */
static int read_fortran(unsigned char *values, const struct header *h, struct reader *r)
{
    size_t index[GLE_NPY_DIMS_MAX] = {0}, stride[GLE_NPY_DIMS_MAX], offset = 0, step = 1;
    unsigned char chunk[CHUNK];

    for (size_t d = h->n_dims; d-- > 0; step *= h->shape[d])
        stride[d] = step;
    for (size_t done = 0, n; done < h->n; done += n) {
        n = h->n - done < CHUNK / h->item ? h->n - done : CHUNK / h->item;
        if (read_bytes(r, chunk, n * h->item))
            return -1;
        for (size_t k = 0; k < n; k++) {
            memcpy(values + offset * h->item, chunk + k * h->item, h->item);
            for (size_t d = 0; d < h->n_dims; d++) {
                offset += stride[d];
                if (++index[d] < h->shape[d])
                    break;
                offset -= stride[d] * h->shape[d];
                index[d] = 0;
            }
        }
    }
    return 0;
}

static void swap_bytes(unsigned char *values, size_t n, size_t item)
{
    for (unsigned char *v = values; n-- > 0; v += item)
        for (size_t i = 0, j = item - 1; i < j; i++, j--) {
            const unsigned char kept = v[i];
            v[i] = v[j];
            v[j] = kept;
        }
}

static int read_array(struct gle_array *array, struct reader *r)
{
    struct header h = {.n = 0};
    void *values;

    if (read_header(&h, r))
        return -1;
    values = gle_resize(NULL, h.n, h.item);
    if (!values)
        return gle_fail_in(r->err, GLE_ENOMEM, r->path, r->name, "no memory for %zu values", h.n);
    if ((h.fortran ? read_fortran(values, &h, r) : read_bytes(r, values, h.n * h.item)) || read_end(r)) {
        gle_free(values);
        return -1;
    }
    if (h.swap)
        swap_bytes(values, h.n, h.item);
    *array = (struct gle_array){.type = h.type, .n_dims = h.n_dims, .n = h.n, .values = values};
    memcpy(array->shape, h.shape, sizeof array->shape);
    return 0;
}

static int fail_missing(const struct gle_npz *npz, const char *name, struct gle_error *err)
{
    struct gle_suggestion s = {.word = name};

    for (size_t i = 0; i < npz->n; i++)
        gle_suggest(&s, npz->entries[i].name);
    if (s.best)
        return gle_fail_in(err, GLE_EDATA, npz->path, NULL, "no array '%s' (did you mean '%s'?)", name, s.best);
    return gle_fail_in(err, GLE_EDATA, npz->path, NULL, "no array '%s'", name);
}

int gle_npz_read(struct gle_array *array, const struct gle_npz *npz, const char *name, struct gle_error *err)
{
    const struct entry *e = find(npz, name);
    struct reader r = {.path = npz->path, .name = name, .err = err};
    int rc;

    *array = (struct gle_array){.n = 0};
    if (!e)
        return fail_missing(npz, name, err);
    r.left = e->size;
    r.file = zip_fopen_index(npz->zip, e->index, 0);
    if (!r.file)
        return gle_fail_in(err, GLE_EDATA, npz->path, name, "cannot unpack: %s", zip_strerror(npz->zip));
    rc = read_array(array, &r);
    zip_fclose(r.file);
    return rc;
}

void gle_array_clear(struct gle_array *array)
{
    gle_free(array->values);
    *array = (struct gle_array){.n = 0};
}

double gle_array_real(const struct gle_array *array, size_t i)
{
    const void *v = array->values;

    assert(array->type < GLE_NPY_TYPES && i < array->n);
    switch (array->type) {
    case GLE_NPY_F32:
        return (double)((const float *)v)[i];
    case GLE_NPY_F64:
        return ((const double *)v)[i];
    case GLE_NPY_I8:
        return ((const int8_t *)v)[i];
    case GLE_NPY_I16:
        return ((const int16_t *)v)[i];
    case GLE_NPY_I32:
        return ((const int32_t *)v)[i];
    case GLE_NPY_I64:
        return (double)((const int64_t *)v)[i];
    case GLE_NPY_U8:
        return ((const uint8_t *)v)[i];
    case GLE_NPY_U16:
        return ((const uint16_t *)v)[i];
    case GLE_NPY_U32:
        return ((const uint32_t *)v)[i];
    case GLE_NPY_U64:
        return (double)((const uint64_t *)v)[i];
    case GLE_NPY_BOOL:
        return ((const uint8_t *)v)[i] != 0;
    case GLE_NPY_TYPES:
        break;
    }
    return NAN;
}

/* 64-bit integers do not fit a double; every other type does. */
int gle_array_int(int64_t *value, const struct gle_array *array, size_t i)
{
    double real;

    assert(i < array->n);
    if (array->type == GLE_NPY_I64) {
        *value = ((const int64_t *)array->values)[i];
        return 0;
    }
    if (array->type == GLE_NPY_U64) {
        const uint64_t u = ((const uint64_t *)array->values)[i];
        *value = (int64_t)u;
        return u <= INT64_MAX ? 0 : -1;
    }
    real = gle_array_real(array, i);
    if (!(real >= -0x1p63 && real < 0x1p63) || real != floor(real))
        return -1;
    *value = (int64_t)real;
    return 0;
}

/* --- writing --- */

struct member {
    char *name; /* with ".npy" */
    unsigned char *bytes; /* the whole npy file */
    size_t size;
};

struct gle_npz_writer {
    struct member *members;
    size_t n;
};

struct gle_npz_writer *gle_npz_create(void)
{
    return gle_calloc(1, sizeof(struct gle_npz_writer));
}

void gle_npz_destroy(struct gle_npz_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++) {
        gle_free(w->members[i].name);
        gle_free(w->members[i].bytes);
    }
    gle_free(w->members);
    gle_free(w);
}

/* Writes prefix, length and dictionary of version 1.0 into `out`, padded with blanks; returns the bytes in it. */
static size_t format_header(char out[static OWN_HEADER_MAX], enum gle_npy_type type, size_t n_dims, const size_t *shape)
{
    const size_t start = PREFIX + 2, size = OWN_HEADER_MAX;
    size_t end = start, total;

    end += (size_t)snprintf(out + end, size - end, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                            types[type].size == 1 ? '|' : '<', types[type].code);
    for (size_t i = 0; i < n_dims; i++)
        end += (size_t)snprintf(out + end, size - end, i + 1 < n_dims || n_dims == 1 ? "%zu, " : "%zu", shape[i]);
    if (n_dims == 1) /* (3,) as Python prints it */
        end--;
    end += (size_t)snprintf(out + end, size - end, "), }");
    total = (end + 1 + HEADER_ALIGN - 1) / HEADER_ALIGN * HEADER_ALIGN;
    memset(out + end, ' ', total - end);
    out[total - 1] = '\n';
    memcpy(out, magic, sizeof magic);
    out[6] = 1;
    out[7] = 0;
    out[8] = (char)((total - start) & 0xff);
    out[9] = (char)((total - start) >> 8);
    return total;
}

int gle_npz_add(struct gle_npz_writer *w, const char *name, enum gle_npy_type type, const void *values, size_t n_dims,
                const size_t *shape, struct gle_error *err)
{
    struct member *members = gle_resize(w->members, w->n + 1, sizeof *members), *m;
    const size_t name_size = strlen(name) + sizeof suffix;
    size_t n_bytes = types[type].size, head;
    char header[OWN_HEADER_MAX];

    assert(n_dims <= GLE_NPY_DIMS_MAX);
    if (!members)
        return gle_fail_in(err, GLE_ENOMEM, NULL, name, "no memory to write this array");
    w->members = members;
    for (size_t i = 0; i < n_dims; i++)
        n_bytes *= shape[i];
    head = format_header(header, type, n_dims, shape);
    m = &members[w->n];
    m->size = head + n_bytes;
    m->name = gle_calloc(name_size, 1);
    m->bytes = gle_resize(NULL, m->size, 1);
    if (!m->name || !m->bytes) {
        gle_free(m->name);
        gle_free(m->bytes);
        return gle_fail_in(err, GLE_ENOMEM, NULL, name, "no memory to write this array");
    }
    snprintf(m->name, name_size, "%s%s", name, suffix);
    memcpy(m->bytes, header, head);
    if (n_bytes)
        memcpy(m->bytes + head, values, n_bytes);
    w->n++;
    return 0;
}

static int fail_zip(struct gle_error *err, const char *path, zip_error_t *why)
{
    return gle_fail_in(err, zip_error_code_zip(why) == ZIP_ER_MEMORY ? GLE_ENOMEM : GLE_EWRITE, path, NULL,
                "cannot build the archive: %s", zip_error_strerror(why));
}

static int add_members(zip_t *zip, const struct gle_npz_writer *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct member *m = &w->members[i];
        zip_source_t *source = zip_source_buffer(zip, m->bytes, m->size, 0);
        zip_int64_t index;
        if (!source)
            return -1;
        index = zip_file_add(zip, m->name, source, ZIP_FL_ENC_UTF_8);
        if (index < 0) {
            zip_source_free(source);
            return -1;
        }
        if (zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) ||
            zip_file_set_dostime(zip, (zip_uint64_t)index, 0, DOS_DATE_1980, 0))
            return -1;
    }
    return 0;
}

/* Builds the archive inside `image`. */
static int build_image(zip_source_t *image, const struct gle_npz_writer *w, const char *path, struct gle_error *err)
{
    zip_error_t why;
    zip_t *zip;

    zip_error_init(&why);
    zip_source_keep(image); /* zip_close() and zip_discard() release one */
    zip = zip_open_from_source(image, ZIP_TRUNCATE, &why);
    if (!zip) {
        zip_source_free(image);
        fail_zip(err, path, &why);
        zip_error_fini(&why);
        return -1;
    }
    zip_error_fini(&why);
    if (add_members(zip, w) || zip_close(zip)) {
        fail_zip(err, path, zip_get_error(zip));
        zip_discard(zip);
        return -1;
    }
    return 0;
}

static int read_image(unsigned char *bytes, size_t size, zip_source_t *image)
{
    for (size_t done = 0; done < size;) {
        const zip_int64_t n = zip_source_read(image, bytes + done, size - done);
        if (n <= 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

static int write_image(zip_source_t *image, const char *path, struct gle_error *err)
{
    unsigned char *bytes;
    zip_stat_t info;
    int rc;

    if (zip_source_stat(image, &info) || zip_source_open(image))
        return fail_zip(err, path, zip_source_error(image));
    bytes = gle_resize(NULL, info.size, 1);
    if (!bytes)
        rc = gle_fail_in(err, GLE_ENOMEM, path, NULL, "no memory to write it");
    else if (read_image(bytes, info.size, image))
        rc = fail_zip(err, path, zip_source_error(image));
    else
        rc = gle_file_write(path, bytes, info.size, err);
    gle_free(bytes);
    zip_source_close(image);
    return rc;
}

int gle_npz_write(const struct gle_npz_writer *w, const char *path, struct gle_error *err)
{
    zip_source_t *image;
    zip_error_t why;
    int rc;

    assert(w->n); /* libzip writes no archive of nothing */
    zip_error_init(&why);
    image = zip_source_buffer_create(NULL, 0, 0, &why);
    if (!image)
        fail_zip(err, path, &why);
    zip_error_fini(&why);
    if (!image)
        return -1;
    rc = build_image(image, w, path, err) || write_image(image, path, err) ? -1 : 0;
    zip_source_free(image);
    return rc;
}
