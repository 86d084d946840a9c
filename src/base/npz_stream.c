/* Records are collected in a chunk, in which each column is contiguous; full chunks go to the spool. One that is not
 * full goes there, too, when the records so far must be safe: every record has one place in the spool, and is written
 * there as often as one likes, so that no crash can spoil what was safe before. When the stream is closed, libzip asks
 * for the bytes of one array after the other, which are gathered from all chunks of the spool. */
#include "base/npz_stream.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/npz_zip.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

_Static_assert(sizeof(off_t) >= 8, "arrays may be larger than 4 GiB");

enum { CHUNK_BYTES = 4 << 20 };

struct column {
    const struct gle_npz_stream *stream;
    char *name; /* with ".npy" */
    enum gle_npy_type type;
    size_t n_dims, shape[GLE_NPY_DIMS_MAX]; /* of the array; shape[0] is the number of records */
    size_t bytes, before;                   /* of one record: in this column, in the columns before it */
    /* while libzip reads it */
    char header[GLE_NPY_FORMAT_MAX];
    size_t header_bytes;
    uint64_t at; /* of the npy file */
    zip_error_t why;
};

struct gle_npz_stream {
    struct gle_arena *arena; /* path, columns */
    char *path, *spool_path;
    struct column *columns;
    size_t n_columns;
    size_t record_bytes, chunk_records; /* bytes of a record, records of a full chunk */
    size_t n_records;
    unsigned char *chunk;        /* the records after the last full chunk; column i at chunk_records * before */
    int spool;                   /* -1: not open */
    uint32_t checksum;           /* of the full chunks */
    struct gle_error failure;    /* GLE_OK: none yet */
    zip_t *zip;                  /* knows the columns from the start, and writes into draft at the end */
    struct gle_file_draft draft; /* while zip writes */
    zip_error_t why;             /* it cannot be written */
};

size_t gle_npz_stream_count(const struct gle_npz_stream *s)
{
    return s->n_records;
}

/* --- libzip reads a column --- */

/* The place of a column in the chunk of the spool that begins with record `first`. */
static uint64_t place_of(const struct column *c, uint64_t first)
{
    return first * c->stream->record_bytes + (uint64_t)c->stream->chunk_records * c->before;
}

/* Copies bytes of the column's values, from `at` on. The last chunk may have fewer records than the others. Returns 0
 * or an errno. */
static int gather(const struct column *c, unsigned char *out, size_t size, uint64_t at)
{
    const struct gle_npz_stream *s = c->stream;
    const uint64_t piece = (uint64_t)s->chunk_records * c->bytes;

    while (size) {
        const uint64_t first = at / piece * s->chunk_records, left = s->n_records - first;
        const uint64_t records = left < s->chunk_records ? left : s->chunk_records;
        const uint64_t in_piece = at % piece, here = records * c->bytes - in_piece;
        const size_t n = here < size ? (size_t)here : size;
        const int number = gle_file_get(s->spool, out, n, place_of(c, first) + in_piece);
        if (number)
            return number;
        out += n;
        size -= n;
        at += n;
    }
    return 0;
}

static uint64_t npy_bytes(const struct column *c)
{
    return c->header_bytes + (uint64_t)c->stream->n_records * c->bytes;
}

static zip_int64_t read_column(struct column *c, unsigned char *out, zip_uint64_t size)
{
    const uint64_t left = npy_bytes(c) - c->at;
    const size_t n = (size_t)(size < left ? size : left);
    size_t head = 0;
    int number;

    if (c->at < c->header_bytes) {
        head = c->header_bytes - (size_t)c->at < n ? c->header_bytes - (size_t)c->at : n;
        memcpy(out, c->header + c->at, head);
    }
    number = gather(c, out + head, n - head, c->at + head - c->header_bytes);
    if (number) {
        zip_error_set(&c->why, ZIP_ER_READ, number);
        return -1;
    }
    c->at += n;
    return (zip_int64_t)n;
}

static zip_int64_t serve_column(void *column, void *data, zip_uint64_t size, zip_source_cmd_t command)
{
    struct column *c = column;
    zip_stat_t *info = data;

    switch (command) {
    case ZIP_SOURCE_SUPPORTS:
        return ZIP_SOURCE_SUPPORTS_READABLE;
    case ZIP_SOURCE_STAT:
        zip_stat_init(info);
        info->valid = ZIP_STAT_SIZE;
        info->size = npy_bytes(c);
        return sizeof *info;
    case ZIP_SOURCE_OPEN:
        c->at = 0;
        return 0;
    case ZIP_SOURCE_READ:
        return read_column(c, data, size);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
        return 0;
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&c->why, data, size);
    default:
        zip_error_set(&c->why, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

/* --- libzip writes the archive --- */

static zip_int64_t write_done(struct gle_npz_stream *s, int number, zip_int64_t result)
{
    if (!number)
        return result;
    zip_error_set(&s->why, ZIP_ER_WRITE, number);
    return -1;
}

static zip_int64_t seek_draft(struct gle_npz_stream *s, void *data, zip_uint64_t size)
{
    const struct zip_source_args_seek *to = ZIP_SOURCE_GET_ARGS(struct zip_source_args_seek, data, size, &s->why);

    if (!to)
        return -1;
    return write_done(s, lseek(s->draft.fd, to->offset, to->whence) < 0 ? errno : 0, 0);
}

static zip_int64_t tell_draft(struct gle_npz_stream *s)
{
    const off_t at = lseek(s->draft.fd, 0, SEEK_CUR);
    return write_done(s, at < 0 ? errno : 0, at);
}

/* The draft is begun, kept and dropped outside: what libzip does after an error depends on its version. */
static zip_int64_t serve_draft(void *stream, void *data, zip_uint64_t size, zip_source_cmd_t command)
{
    struct gle_npz_stream *s = stream;

    switch (command) {
    case ZIP_SOURCE_SUPPORTS:
        return ZIP_SOURCE_SUPPORTS_WRITABLE;
    case ZIP_SOURCE_STAT: /* a new archive */
        zip_error_set(&s->why, ZIP_ER_READ, ENOENT);
        return -1;
    case ZIP_SOURCE_WRITE:
        return write_done(s, gle_file_put(s->draft.fd, data, (size_t)size), (zip_int64_t)size);
    case ZIP_SOURCE_SEEK_WRITE:
        return seek_draft(s, data, size);
    case ZIP_SOURCE_TELL_WRITE:
        return tell_draft(s);
    case ZIP_SOURCE_BEGIN_WRITE:
    case ZIP_SOURCE_COMMIT_WRITE:
    case ZIP_SOURCE_ROLLBACK_WRITE:
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
        return 0;
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&s->why, data, size);
    default:
        zip_error_set(&s->why, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

/* --- opening --- */

static int fail_memory(const struct gle_npz_stream *s, struct gle_error *err)
{
    return gle_fail_in(err, GLE_ENOMEM, s->path, NULL, "no memory to record into it");
}

/* Sets the sizes of the entry; false when they overflow. */
static bool measure(struct column *c, size_t before)
{
    struct gle_npy_header h = {.n_dims = c->n_dims, .item = gle_npy_item(c->type)};

    memcpy(h.shape, c->shape, sizeof h.shape);
    if (!gle_npy_count(&h) || h.n * h.item > SIZE_MAX - before)
        return false;
    c->bytes = h.n * h.item;
    c->before = before;
    return true;
}

static int add_column(struct gle_npz_stream *s, struct column *c, const struct gle_npz_column *from,
                      struct gle_error *err)
{
    const size_t name_size = strlen(from->name) + sizeof GLE_NPY_SUFFIX;

    assert(from->n_dims < GLE_NPY_DIMS_MAX);
    *c = (struct column){.stream = s, .type = from->type, .n_dims = from->n_dims + 1, .shape = {1}};
    memcpy(c->shape + 1, from->shape, from->n_dims * sizeof *c->shape);
    zip_error_init(&c->why);
    c->name = gle_arena_alloc(s->arena, name_size, 1);
    if (!c->name || !measure(c, s->record_bytes))
        return fail_memory(s, err);
    snprintf(c->name, name_size, "%s" GLE_NPY_SUFFIX, from->name);
    s->record_bytes += c->bytes;
    return gle_zip_add(s->zip, s->path, c->name, zip_source_function(s->zip, serve_column, c), err);
}

static int add_columns(struct gle_npz_stream *s, const struct gle_npz_column *columns, size_t n, struct gle_error *err)
{
    s->columns = gle_arena_alloc(s->arena, n, sizeof *s->columns);
    if (!s->columns)
        return fail_memory(s, err);
    s->n_columns = n;
    for (size_t i = 0; i < n; i++)
        if (add_column(s, &s->columns[i], &columns[i], err))
            return -1;
    s->chunk_records = s->record_bytes ? CHUNK_BYTES / s->record_bytes : CHUNK_BYTES;
    if (!s->chunk_records)
        s->chunk_records = 1;
    s->chunk = gle_resize(NULL, s->chunk_records, s->record_bytes);
    return s->chunk ? 0 : fail_memory(s, err);
}

static int open_zip(struct gle_npz_stream *s, struct gle_error *err)
{
    zip_source_t *draft;
    zip_error_t why;

    zip_error_init(&why);
    gle_zip_prepare();
    draft = zip_source_function_create(serve_draft, s, &why);
    if (draft)
        s->zip = zip_open_from_source(draft, ZIP_CREATE | ZIP_TRUNCATE, &why);
    if (!s->zip) {
        zip_source_free(draft);
        gle_zip_fail(err, s->path, NULL, &why);
    }
    zip_error_fini(&why);
    return s->zip ? 0 : -1;
}

/* What can be known to go wrong at the end goes wrong here. */
static int check_path(const char *path, struct gle_error *err)
{
    struct stat info;
    int number = 0;

    if (lstat(path, &info))
        number = errno == ENOENT ? 0 : errno;
    else if (S_ISDIR(info.st_mode))
        number = EISDIR;
    return number ? gle_fail_in(err, GLE_EWRITE, path, NULL, "cannot write: %s", strerror(number)) : 0;
}

static int open_spool(struct gle_npz_stream *s, struct gle_error *err)
{
    s->spool = open(s->spool_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    return s->spool >= 0 ? 0
                         : gle_fail_in(err, GLE_EWRITE, s->spool_path, NULL, "cannot write: %s", strerror(errno));
}

int gle_npz_stream_open(struct gle_npz_stream **out, const char *path, const char *spool,
                        const struct gle_npz_column *columns, size_t n, struct gle_error *err)
{
    struct gle_npz_stream *s = gle_calloc(1, sizeof *s);

    assert(n); /* libzip writes no archive of nothing */
    *out = NULL;
    if (s) {
        s->spool = -1;
        zip_error_init(&s->why);
        s->arena = gle_arena_create();
        s->path = s->arena ? gle_arena_text(s->arena, path, strlen(path)) : NULL;
        s->spool_path = s->path ? gle_arena_text(s->arena, spool, strlen(spool)) : NULL;
    }
    if (!s || !s->spool_path) {
        gle_npz_stream_discard(s);
        return gle_fail_in(err, GLE_ENOMEM, path, NULL, "no memory to record into it");
    }
    if (check_path(path, err) || open_zip(s, err) || add_columns(s, columns, n, err) ||
        open_spool(s, err)) {
        gle_npz_stream_discard(s);
        return -1;
    }
    *out = s;
    return 0;
}

void gle_npz_stream_discard(struct gle_npz_stream *s)
{
    if (!s)
        return;
    if (s->zip)
        zip_discard(s->zip);
    if (s->spool >= 0)
        close(s->spool);
    gle_free(s->chunk);
    gle_arena_destroy(s->arena);
    gle_free(s);
}

/* --- records --- */

/* Moves the first records of the chunk to the spool, or from it. Returns 0 or an errno. */
static int put_chunk(struct gle_npz_stream *s, size_t records)
{
    int number = 0;

    for (size_t i = 0; i < s->n_columns && !number; i++) {
        const struct column *c = &s->columns[i];
        number = gle_file_put_at(s->spool, s->chunk + s->chunk_records * c->before, records * c->bytes,
                                 place_of(c, s->n_records - s->n_records % s->chunk_records));
    }
    return number;
}

static int get_chunk(struct gle_npz_stream *s, size_t records)
{
    int number = 0;

    for (size_t i = 0; i < s->n_columns && !number; i++) {
        const struct column *c = &s->columns[i];
        number = gle_file_get(s->spool, s->chunk + s->chunk_records * c->before, records * c->bytes,
                              place_of(c, s->n_records));
    }
    return number;
}

/* The checksum of all records: those of full chunks, and the first of this one. */
static uint32_t sum_up(const struct gle_npz_stream *s, size_t records)
{
    uLong sum = s->checksum;

    for (size_t i = 0; i < s->n_columns; i++) {
        const struct column *c = &s->columns[i];
        sum = crc32_z(sum, s->chunk + s->chunk_records * c->before, records * c->bytes);
    }
    return (uint32_t)sum;
}

static int fail_records(struct gle_npz_stream *s, int number)
{
    return gle_fail_in(&s->failure, GLE_EWRITE, s->path, NULL, "cannot write the records: %s", strerror(number));
}

/* Puts the first records of the chunk into the spool. */
static int spool_chunk(struct gle_npz_stream *s, size_t records)
{
    const int number = put_chunk(s, records);

    return number ? fail_records(s, number) : 0;
}

static int fail_again(const struct gle_npz_stream *s, struct gle_error *err)
{
    return gle_fail_in(err, s->failure.code, s->path, NULL, "%s", s->failure.text);
}

int gle_npz_stream_add(struct gle_npz_stream *s, const void *const *values, struct gle_error *err)
{
    const size_t at = s->n_records % s->chunk_records;

    if (s->failure.code)
        return fail_again(s, err);
    for (size_t i = 0; i < s->n_columns; i++) {
        const struct column *c = &s->columns[i];
        if (c->bytes)
            memcpy(s->chunk + s->chunk_records * c->before + at * c->bytes, values[i], c->bytes);
    }
    if (at + 1 == s->chunk_records) {
        if (spool_chunk(s, s->chunk_records))
            return fail_again(s, err);
        s->checksum = sum_up(s, s->chunk_records);
    }
    s->n_records++;
    return 0;
}

int gle_npz_stream_sync(struct gle_npz_stream *s, uint32_t *checksum, struct gle_error *err)
{
    const size_t in_chunk = s->n_records % s->chunk_records;
    int number;

    if (s->failure.code || spool_chunk(s, in_chunk))
        return fail_again(s, err);
    number = gle_file_sync(s->spool);
    if (number) {
        fail_records(s, number);
        return fail_again(s, err);
    }
    *checksum = sum_up(s, in_chunk);
    return 0;
}

/* Drops what the spool has after the chunk that is being filled. Returns 0 or an errno. */
static int cut_spool(const struct gle_npz_stream *s)
{
    const size_t chunks = s->n_records / s->chunk_records + (s->n_records % s->chunk_records > 0);
    const uint64_t all = (uint64_t)chunks * s->chunk_records * s->record_bytes;
    struct stat info;

    if (fstat(s->spool, &info))
        return errno;
    return (uint64_t)info.st_size > all && ftruncate(s->spool, (off_t)all) ? errno : 0;
}

/* Goes on with a full chunk of the spool. Returns 0 or an errno. */
static int take_chunk(struct gle_npz_stream *s)
{
    const int number = get_chunk(s, s->chunk_records);

    if (number)
        return number;
    s->checksum = sum_up(s, s->chunk_records);
    s->n_records += s->chunk_records;
    return 0;
}

int gle_npz_stream_begin_with(struct gle_npz_stream *s, size_t n, uint32_t checksum, struct gle_error *err)
{
    int number = 0;

    assert(!s->n_records);
    while (!number && n - s->n_records >= s->chunk_records)
        number = take_chunk(s);
    if (!number)
        number = get_chunk(s, n - s->n_records);
    if (!number && sum_up(s, n - s->n_records) != checksum)
        return gle_fail_in(err, GLE_EDATA, s->spool_path, NULL, "damaged: the checksum of its records is another one");
    s->n_records = n;
    if (!number)
        number = cut_spool(s);
    return number ? gle_fail_in(err, GLE_EDATA, s->spool_path, NULL, "%zu records cannot be read back: %s", n,
                                strerror(number))
                  : 0;
}

static int write_archive(struct gle_npz_stream *s, struct gle_error *err)
{
    for (size_t i = 0; i < s->n_columns; i++) {
        struct column *c = &s->columns[i];
        c->shape[0] = s->n_records;
        c->header_bytes = gle_npy_format(c->header, c->type, c->n_dims, c->shape);
    }
    if (gle_file_begin(&s->draft, s->path, err))
        return -1;
    if (zip_close(s->zip)) {
        gle_file_drop(&s->draft);
        return gle_zip_fail(err, s->path, NULL, zip_get_error(s->zip));
    }
    s->zip = NULL;
    return gle_file_keep(&s->draft, err);
}

int gle_npz_stream_close(struct gle_npz_stream *s, struct gle_error *err)
{
    int rc;

    if (s->failure.code || spool_chunk(s, s->n_records % s->chunk_records))
        rc = fail_again(s, err);
    else
        rc = write_archive(s, err);
    gle_npz_stream_discard(s);
    return rc;
}
