#include "data/idx_file.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    UNSIGNED_BYTES = 8,   /* the type */
    PIECE = 1 << 20,
    DEFLATE_RATIO = 1032, /* more than that many bytes cannot come out of one */
};

struct source {
    const char *path;
    gzFile gz;
    size_t size; /* of the file */
    const struct gle_data_context *ctx;
    struct gle_error *err;
};

/* --- what is wrong --- */

static int wrong_type(const struct source *s, unsigned type)
{
    static const char *const types[] = {[0x9] = "signed bytes",   [0xb] = "16-bit integers", [0xc] = "32-bit integers",
                                        [0xd] = "32-bit floats", [0xe] = "64-bit floats"};
    const char *what = type < sizeof types / sizeof *types ? types[type] : NULL;

    if (what)
        return gle_fail_in(s->err, GLE_EDATA, s->path, NULL, "has %s, where unsigned bytes are wanted", what);
    return gle_fail_in(s->err, GLE_EDATA, s->path, NULL, "has values of an unknown type (byte 2 is 0x%02x), where "
                       "unsigned bytes (0x08) are wanted", type);
}

/* What a missing file may be called instead, or where it comes from. */
static int cannot_read(const struct source *s, int number)
{
    static const char fashion[] = "/usr/share/datasets/fashion-mnist/", gz[] = ".gz";
    const size_t len = strlen(s->path), packed = len > 3 && !strcmp(s->path + len - 3, gz);
    char other[512];

    snprintf(other, sizeof other, "%.*s%s", (int)(packed ? len - 3 : len), s->path, packed ? "" : gz);
    if (number == ENOENT && len + 4 < sizeof other && !access(other, R_OK))
        return gle_fail_in(s->err, GLE_EDATA, s->path, NULL, "cannot read: %s (there is one %s .gz)", strerror(number),
                           packed ? "without" : "with");
    if (number == ENOENT && !strncmp(s->path, fashion, sizeof fashion - 1))
        return gle_fail_in(s->err, GLE_EDATA, s->path, NULL,
                           "cannot read: %s (tools/setup --packages dataset-fashion-mnist installs it)",
                           strerror(number));
    return gle_fail_in(s->err, GLE_EDATA, s->path, NULL, "cannot read: %s", strerror(number));
}

/* --- reading --- */

/* Up to size bytes, fewer only at the end of the file; -1: an error that has been told. A gzip that ends in its middle
 * is such an error, and so is one whose checksum is wrong. */
static ssize_t get(struct source *s, unsigned char *bytes, size_t size)
{
    size_t done = 0;

    while (done < size) {
        const size_t piece = size - done < PIECE ? size - done : PIECE;
        const int n = gzread(s->gz, bytes + done, (unsigned)piece);
        int number = Z_OK;
        const char *why = n < (int)piece ? gzerror(s->gz, &number) : NULL;
        if (number == Z_MEM_ERROR)
            return gle_fail_in(s->err, GLE_ENOMEM, s->path, NULL, "no memory to unpack it");
        if (number != Z_OK && number != Z_STREAM_END)
            return gle_fail_in(s->err, GLE_EDATA, s->path, NULL, "cannot unpack: %s",
                               number == Z_ERRNO        ? strerror(errno)
                               : number == Z_BUF_ERROR ? "the gzip ends in its middle"
                                                       : strrchr(why, ':') ? strrchr(why, ':') + 2 : why);
        if (n <= 0)
            break;
        done += (size_t)n;
        if (size > PIECE && gle_data_tell(s->ctx, "reading bytes", done, size, s->err))
            return -1;
    }
    return (ssize_t)done;
}

static int read_header(struct source *s, struct gle_idx *out, size_t n_dims, size_t *total)
{
    unsigned char head[4 + 4 * GLE_IDX_DIMS];
    ssize_t n = get(s, head, 4);

    if (n < 0)
        return -1;
    if (n < 4 || head[0] || head[1])
        return gle_fail_in(s->err, GLE_EDATA, s->path, NULL,
                           n < 4 ? "is no IDX file: it has %zd bytes"
                                 : "is no IDX file, which begins with two bytes of 0",
                           n);
    if (head[2] != UNSIGNED_BYTES)
        return wrong_type(s, head[2]);
    if (head[3] != n_dims)
        return gle_fail_in(s->err, GLE_EDATA, s->path, NULL, "has %u dimension%s, where %s", head[3],
                           head[3] == 1 ? "" : "s",
                           n_dims == 1 ? "labels have 1: (samples)" : "images have 3: (samples, rows, columns)");
    n = get(s, head + 4, 4 * n_dims);
    if (n < 0)
        return -1;
    if (n < (ssize_t)(4 * n_dims))
        return gle_fail_in(s->err, GLE_EDATA, s->path, NULL, "ends within its header, after %zd bytes", 4 + n);
    *total = 1;
    for (size_t d = 0; d < n_dims; d++) {
        const unsigned char *at = head + 4 + 4 * d;
        out->shape[d] = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
        if (!out->shape[d])
            return gle_fail_in(s->err, GLE_EDATA, s->path, NULL, "is empty: size %zu of its header is 0", d);
        if (*total > SIZE_MAX / 2 / out->shape[d])
            *total = SIZE_MAX / 2;
        else
            *total *= out->shape[d];
    }
    /* Before anything is allocated for sizes that cannot be true. */
    if (*total / DEFLATE_RATIO > s->size)
        return gle_fail_in(s->err, GLE_EDATA, s->path, NULL, "has %zu bytes, too few for the %zu values of its header",
                           s->size, *total);
    return 0;
}

static int read_values(struct source *s, struct gle_idx *out, size_t total)
{
    unsigned char beyond;
    ssize_t n;

    out->bytes = gle_calloc(total, 1);
    if (!out->bytes)
        return gle_fail_in(s->err, GLE_ENOMEM, s->path, NULL, "no memory for its %zu values", total);
    n = get(s, out->bytes, total);
    if (n < 0)
        return -1;
    if ((size_t)n < total)
        return gle_fail_in(s->err, GLE_EDATA, s->path, NULL, "ends after %zd of the %zu values of its header", n,
                           total);
    n = get(s, &beyond, 1);
    if (n > 0)
        return gle_fail_in(s->err, GLE_EDATA, s->path, NULL, "goes on after the %zu values of its header", total);
    return n < 0 ? -1 : 0;
}

int gle_idx_read(struct gle_idx *out, const char *path, size_t n_dims, const struct gle_data_context *ctx,
                 struct gle_error *err)
{
    struct source s = {.path = path, .ctx = ctx, .err = err};
    const char *kind = gle_file_kind(path);
    struct stat info;
    size_t total = 0;
    int rc;

    *out = (struct gle_idx){.bytes = NULL};
    if (kind)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "is %s, not a file", kind);
    if (gle_data_tell(ctx, "reading files", 0, 1, err))
        return -1;
    if (stat(path, &info))
        return cannot_read(&s, errno);
    s.size = (size_t)info.st_size;
    errno = 0;
    s.gz = gzopen(path, "rb");
    if (!s.gz)
        return errno ? cannot_read(&s, errno) : gle_fail_in(err, GLE_ENOMEM, path, NULL, "no memory to unpack it");
    rc = read_header(&s, out, n_dims, &total) || read_values(&s, out, total);
    gzclose(s.gz);
    if (!rc)
        return 0;
    gle_free(out->bytes);
    out->bytes = NULL;
    return -1;
}
