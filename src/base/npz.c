#include "base/npz.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/npz_zip.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

enum {
    HEADER_MAX = 10000,   /* numpy refuses longer headers, too */
    CHUNK = 4096,
    PIECE = 1 << 20,      /* bytes that are read between two words on the progress */
    DEFLATE_RATIO = 1032, /* more than that many bytes cannot come out of one */
};
static const uint64_t entry_max = UINT64_C(1) << 32;
static const char suffix[] = GLE_NPY_SUFFIX;

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
    int (*progress)(void *ctx, size_t done, size_t total); /* NULL: nobody is told */
    void *ctx;
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

/* What people and their programs put beside arrays is none of ours: a text, a folder, what macOS keeps of a file. */
static bool is_array(const char *name)
{
    const size_t len = strlen(name), tail = sizeof suffix - 1;

    return len > tail && !strcmp(name + len - tail, suffix) && strncmp(name, "__MACOSX/", 9);
}

/* What is wrong with a name, or NULL. Nothing is unpacked under it, but no honest archive has such a name. */
static const char *name_problem(const char *name)
{
    if (name[0] == '/' || strstr(name, ".."))
        return "a name with '..' or a leading '/'";
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return "a control character in its name";
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
    else if (!is_array(info.name))
        return 0;
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
    gle_zip_prepare();
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

void gle_npz_list(char *buf, size_t size, const struct gle_npz *npz)
{
    const size_t tail = sizeof " and 18446744073709551615 more";
    size_t at = (size_t)snprintf(buf, size, npz->n ? "it has " : "it has no arrays"), i = 0;

    for (; i < npz->n; i++) {
        const char *between = !i ? "" : i + 1 < npz->n ? ", " : " and ";
        if (at + strlen(between) + strlen(npz->entries[i].name) + tail > size)
            break;
        at += (size_t)snprintf(buf + at, size - at, "%s%s", between, npz->entries[i].name);
    }
    if (i < npz->n && at < size)
        snprintf(buf + at, size - at, i ? " and %zu more" : "%zu arrays", npz->n - i);
}

void gle_npz_watch(struct gle_npz *npz, int (*progress)(void *ctx, size_t done, size_t total), void *ctx)
{
    npz->progress = progress;
    npz->ctx = ctx;
}

/* --- reading --- */

/* One array while it is read. */
struct reader {
    const struct gle_npz *npz; /* NULL: a file of its own, whose */
    const unsigned char *next; /* bytes are in memory */
    zip_file_t *file;
    const char *path, *name;
    uint64_t size, left; /* bytes of the entry, and those not read yet, as the archive declares them */
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
    if (!r->npz) {
        memcpy(bytes, r->next, size);
        r->next += size;
        done = size;
    }
    while (done < size) {
        const zip_int64_t n = zip_fread(r->file, (unsigned char *)bytes + done, size - done);
        if (n <= 0)
            return fail_damaged(r);
        done += (size_t)n;
    }
    r->left -= size;
    return 0;
}

static int tell(struct reader *r)
{
    const struct gle_npz *npz = r->npz;

    if (!npz || !npz->progress || !npz->progress(npz->ctx, (size_t)(r->size - r->left), (size_t)r->size))
        return 0;
    return gle_fail_in(r->err, GLE_ESTOPPED, r->path, r->name, "stopped while it was read");
}

/* libzip compares the checksum when it meets the end, so the end must be read, too. */
static int read_end(struct reader *r)
{
    char beyond;
    return !r->npz || zip_fread(r->file, &beyond, 1) == 0 ? 0 : fail_damaged(r);
}

static int check_header(struct gle_npy_header *h, struct reader *r)
{
    if (!strcmp(h->descr, "|O") || !strcmp(h->descr, "O"))
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name,
                           "an array of Python objects (pickled); only numbers and bool can be read");
    if (!gle_npy_find_type(h))
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "element type '%s'; only float16, float32, float64, "
                           "integers and bool can be read", h->descr);
    if (h->n_dims > GLE_NPY_DIMS_MAX)
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "%zu dimensions; at most %d can be read", h->n_dims,
                           GLE_NPY_DIMS_MAX);
    if (!gle_npy_count(h) || h->n * h->item != r->left)
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "its shape does not fit the %llu bytes of values",
                           (unsigned long long)r->left);
    return 0;
}

static int read_header(struct gle_npy_header *h, struct reader *r)
{
    unsigned char prefix[GLE_NPY_PREFIX], len_bytes[4] = {0};
    char text[HEADER_MAX + 1];
    const char *problem;
    size_t len;

    if (read_bytes(r, prefix, sizeof prefix))
        return -1;
    if (memcmp(prefix, GLE_NPY_MAGIC, sizeof GLE_NPY_MAGIC - 1) != 0 || prefix[6] < 1 || prefix[6] > 3 ||
        prefix[7] != 0)
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "not an .npy array of version 1.0, 2.0 or 3.0");
    if (read_bytes(r, len_bytes, prefix[6] == 1 ? 2 : 4))
        return -1;
    len = (size_t)len_bytes[0] | (size_t)len_bytes[1] << 8 | (size_t)len_bytes[2] << 16 | (size_t)len_bytes[3] << 24;
    if (len > HEADER_MAX)
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "an array header of %zu bytes", len);
    if (read_bytes(r, text, len))
        return -1;
    text[len] = '\0';
    problem = gle_npy_parse(h, text, len);
    if (problem)
        return gle_fail_in(r->err, GLE_EDATA, r->path, r->name, "%s", problem);
    return check_header(h, r);
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

/* Reads the next n values, in this machine's byte order. */
static int read_values(unsigned char *values, size_t n, const struct gle_npy_header *h, struct reader *r)
{
    const size_t piece = PIECE / h->item;

    for (size_t done = 0, more; done < n; done += more) {
        more = n - done < piece ? n - done : piece;
        if (read_bytes(r, values + done * h->item, more * h->item))
            return -1;
        if (h->swap)
            swap_bytes(values + done * h->item, more, h->item);
        if (tell(r))
            return -1;
    }
    return 0;
}

/* Reads values whose first index runs fastest, and puts each where the last index runs fastest. */
static int read_fortran(unsigned char *values, const struct gle_npy_header *h, struct reader *r)
{
    size_t index[GLE_NPY_DIMS_MAX] = {0}, stride[GLE_NPY_DIMS_MAX], offset = 0, step = 1;
    unsigned char chunk[CHUNK];

    for (size_t d = h->n_dims; d-- > 0; step *= h->shape[d])
        stride[d] = step;
    for (size_t done = 0, n; done < h->n; done += n) {
        n = h->n - done < CHUNK / h->item ? h->n - done : CHUNK / h->item;
        if (read_values(chunk, n, h, r))
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

static int read_array(struct gle_array *array, struct reader *r)
{
    struct gle_npy_header h = {.n = 0};
    void *values;

    if (read_header(&h, r))
        return -1;
    values = gle_resize(NULL, h.n, h.item);
    if (!values)
        return gle_fail_in(r->err, GLE_ENOMEM, r->path, r->name, "no memory for %zu values", h.n);
    if ((h.fortran ? read_fortran(values, &h, r) : read_values(values, h.n, &h, r)) || read_end(r)) {
        gle_free(values);
        return -1;
    }
    *array = (struct gle_array){.type = h.type, .n_dims = h.n_dims, .n = h.n, .values = values};
    memcpy(array->shape, h.shape, sizeof array->shape);
    return 0;
}

static int fail_missing(const struct gle_npz *npz, const char *name, struct gle_error *err)
{
    struct gle_suggestion s = {.word = name};
    char list[300];

    for (size_t i = 0; i < npz->n; i++)
        gle_suggest(&s, npz->entries[i].name);
    if (s.best)
        return gle_fail_in(err, GLE_EDATA, npz->path, NULL, "no array '%s' (did you mean '%s'?)", name, s.best);
    gle_npz_list(list, sizeof list, npz);
    return gle_fail_in(err, GLE_EDATA, npz->path, NULL, "no array '%.100s': %s", name, list);
}

int gle_npz_read(struct gle_array *array, const struct gle_npz *npz, const char *name, struct gle_error *err)
{
    const struct entry *e = find(npz, name);
    struct reader r = {.npz = npz, .path = npz->path, .name = name, .err = err};
    int rc;

    *array = (struct gle_array){.n = 0};
    if (!e)
        return fail_missing(npz, name, err);
    r.size = r.left = e->size;
    r.file = zip_fopen_index(npz->zip, e->index, 0);
    if (!r.file)
        return gle_fail_in(err, GLE_EDATA, npz->path, name, "cannot unpack: %s", zip_strerror(npz->zip));
    rc = read_array(array, &r);
    zip_fclose(r.file);
    return rc;
}

int gle_npy_read(struct gle_array *array, const char *path, struct gle_error *err)
{
    struct reader r = {.path = path, .err = err};
    unsigned char *bytes;
    size_t size;
    int rc;

    *array = (struct gle_array){.n = 0};
    if (gle_file_read(&bytes, &size, path, entry_max, false, GLE_EDATA, err))
        return -1;
    r.next = bytes;
    r.size = r.left = size;
    rc = read_array(array, &r);
    gle_free(bytes);
    return rc;
}
