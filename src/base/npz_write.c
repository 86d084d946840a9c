/* Archives are built in memory, then written whole or not at all. */
#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"
#include "base/npz_zip.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { DOS_DATE_1980 = 1 << 5 | 1 }; /* 1 January 1980, as numpy writes it: the same arrays give the same bytes */
static const char suffix[] = GLE_NPY_SUFFIX;

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

void *gle_npz_room(struct gle_npz_writer *w, const char *name, enum gle_npy_type type, size_t n_dims,
                   const size_t *shape, struct gle_error *err)
{
    struct member *members = gle_resize(w->members, w->n + 1, sizeof *members), *m;
    const size_t name_size = strlen(name) + sizeof suffix;
    size_t n_bytes = gle_npy_item(type), head;
    char header[GLE_NPY_FORMAT_MAX];

    assert(n_dims <= GLE_NPY_DIMS_MAX);
    if (members)
        w->members = members;
    for (size_t i = 0; i < n_dims; i++)
        n_bytes *= shape[i];
    head = gle_npy_format(header, type, n_dims, shape);
    m = members ? &members[w->n] : NULL;
    if (m)
        *m = (struct member){
            .name = gle_calloc(name_size, 1), .bytes = gle_resize(NULL, head + n_bytes, 1), .size = head + n_bytes};
    if (!m || !m->name || !m->bytes) {
        gle_free(m ? m->name : NULL);
        gle_free(m ? m->bytes : NULL);
        gle_fail_in(err, GLE_ENOMEM, NULL, name, "no memory to write this array");
        return NULL;
    }
    snprintf(m->name, name_size, "%s%s", name, suffix);
    memcpy(m->bytes, header, head);
    w->n++;
    return m->bytes + head;
}

int gle_npz_add(struct gle_npz_writer *w, const char *name, enum gle_npy_type type, const void *values, size_t n_dims,
                const size_t *shape, struct gle_error *err)
{
    void *room = gle_npz_room(w, name, type, n_dims, shape, err);
    size_t n_bytes = gle_npy_item(type);

    if (!room)
        return -1;
    for (size_t i = 0; i < n_dims; i++)
        n_bytes *= shape[i];
    if (n_bytes)
        memcpy(room, values, n_bytes);
    return 0;
}

static void open_once(void)
{
    zip_error_t why;
    zip_source_t *nothing;
    zip_t *zip = NULL;

    zip_error_init(&why);
    nothing = zip_source_buffer_create(NULL, 0, 0, &why);
    if (nothing)
        zip = zip_open_from_source(nothing, ZIP_TRUNCATE, &why);
    if (zip)
        zip_discard(zip);
    else if (nothing)
        zip_source_free(nothing);
    zip_error_fini(&why);
}

void gle_zip_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, open_once);
}

int gle_zip_fail(struct gle_error *err, const char *path, const char *name, zip_error_t *why)
{
    const int code = zip_error_code_zip(why);

    if (code == ZIP_ER_MEMORY || code == ZIP_ER_OK) /* it does not always say that it has no memory */
        return gle_fail_in(err, GLE_ENOMEM, path, name, "no memory to build the archive");
    return gle_fail_in(err, GLE_EWRITE, path, name, "cannot build the archive: %s", zip_error_strerror(why));
}

static int add_source(zip_t *zip, const char *name, zip_source_t *source)
{
    zip_int64_t index;

    if (!source)
        return -1;
    index = zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
        zip_source_free(source);
        return -1;
    }
    return zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) ||
                   zip_file_set_dostime(zip, (zip_uint64_t)index, 0, DOS_DATE_1980, 0)
               ? -1
               : 0;
}

int gle_zip_add(zip_t *zip, const char *path, const char *name, zip_source_t *source, struct gle_error *err)
{
    return add_source(zip, name, source) ? gle_zip_fail(err, path, name, zip_get_error(zip)) : 0;
}

/* Adds the members and writes the archive. */
static int write_zip(zip_t *zip, const struct gle_npz_writer *w, const char *path, struct gle_error *err)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct member *m = &w->members[i];
        if (gle_zip_add(zip, path, m->name, zip_source_buffer(zip, m->bytes, m->size, 0), err))
            return -1;
    }
    return zip_close(zip) ? gle_zip_fail(err, path, NULL, zip_get_error(zip)) : 0;
}

/* Builds the archive inside `image`. */
static int build_image(zip_source_t *image, const struct gle_npz_writer *w, const char *path, struct gle_error *err)
{
    zip_error_t why;
    zip_t *zip;

    gle_zip_prepare();
    zip_error_init(&why);
    zip_source_keep(image); /* zip_close() and zip_discard() release one */
    zip = zip_open_from_source(image, ZIP_TRUNCATE, &why);
    if (!zip) {
        zip_source_free(image);
        gle_zip_fail(err, path, NULL, &why);
        zip_error_fini(&why);
        return -1;
    }
    zip_error_fini(&why);
    if (write_zip(zip, w, path, err)) {
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

/* Owns: *bytes, gle_free(); NULL after an error. */
static int copy_image(unsigned char **bytes, size_t *size, zip_source_t *image, const char *path, struct gle_error *err)
{
    zip_stat_t info;
    int rc = 0;

    if (zip_source_stat(image, &info) || zip_source_open(image))
        return gle_zip_fail(err, path, NULL, zip_source_error(image));
    *size = (size_t)info.size;
    *bytes = gle_resize(NULL, *size, 1);
    if (!*bytes)
        rc = gle_fail_in(err, GLE_ENOMEM, path, NULL, "no memory to write it");
    else if (read_image(*bytes, *size, image))
        rc = gle_zip_fail(err, path, NULL, zip_source_error(image));
    zip_source_close(image);
    if (!rc)
        return 0;
    gle_free(*bytes);
    *bytes = NULL;
    return rc;
}

int gle_npz_pack(unsigned char **bytes, size_t *size, const struct gle_npz_writer *w, const char *path,
                 struct gle_error *err)
{
    zip_source_t *image;
    zip_error_t why;
    int rc;

    *bytes = NULL;
    assert(w->n); /* libzip writes no archive of nothing */
    zip_error_init(&why);
    image = zip_source_buffer_create(NULL, 0, 0, &why);
    if (!image)
        gle_zip_fail(err, path, NULL, &why);
    zip_error_fini(&why);
    if (!image)
        return -1;
    rc = build_image(image, w, path, err) || copy_image(bytes, size, image, path, err) ? -1 : 0;
    zip_source_free(image);
    return rc;
}

int gle_npz_write(const struct gle_npz_writer *w, const char *path, struct gle_error *err)
{
    unsigned char *bytes;
    size_t size;
    int rc;

    if (gle_npz_pack(&bytes, &size, w, path, err))
        return -1;
    rc = gle_file_write(path, bytes, size, err);
    gle_free(bytes);
    return rc;
}
