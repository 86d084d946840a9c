#include "base/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMPORARY_TRIES = 10000, FIRST_ROOM = 1 << 16 };

/* Records `what`, the text of errno (0: none) and the file; returns -1. */
static int fail(struct gle_error *err, enum gle_code code, const char *path, const char *what, int number)
{
    return gle_fail_in(err, code, path, NULL, "%s%s%s", what, number ? ": " : "", number ? strerror(number) : "");
}

/* Up to size bytes, fewer only at the end of the file; -1 with errno set. */
static ssize_t read_all(int fd, unsigned char *bytes, size_t size)
{
    size_t done = 0;

    while (done < size) {
        const ssize_t n = read(fd, bytes + done, size - done);
        if (n == 0)
            break;
        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)done;
}

static int fail_large(struct gle_error *err, enum gle_code code, const char *path, size_t limit)
{
    const bool mib = limit >= 1 << 20;

    return gle_fail_in(err, code, path, NULL, "larger than %zu %s", mib ? limit >> 20 : limit, mib ? "MiB" : "bytes");
}

/* Reads to the end of fd, whose size is `expected` if it is known, or to just beyond the limit. */
static int read_whole(unsigned char **bytes, size_t *size, int fd, size_t expected, size_t limit)
{
    size_t room = expected ? expected + 1 : FIRST_ROOM;
    ssize_t n;

    for (;;) {
        unsigned char *more = gle_resize(*bytes, room + 1, 1);
        if (!more)
            return ENOMEM;
        *bytes = more;
        n = read_all(fd, *bytes + *size, room - *size);
        if (n < 0)
            return errno;
        *size += (size_t)n;
        if (*size < room || *size > limit)
            break;
        room *= 2;
    }
    (*bytes)[*size] = '\0';
    return 0;
}

static int read_open(unsigned char **bytes, size_t *size, int fd, const char *path, size_t limit, bool streams,
                     enum gle_code code, struct gle_error *err)
{
    struct stat info;
    int number;

    if (fstat(fd, &info))
        return fail(err, code, path, "cannot be read", errno);
    if (S_ISDIR(info.st_mode) || (!S_ISREG(info.st_mode) && !streams))
        return fail(err, code, path, "not a regular file", 0);
    if (S_ISREG(info.st_mode) && (uintmax_t)info.st_size > limit)
        return fail_large(err, code, path, limit);
    number = read_whole(bytes, size, fd, S_ISREG(info.st_mode) ? (size_t)info.st_size : 0, limit);
    if (number == ENOMEM)
        return fail(err, GLE_ENOMEM, path, "no memory to read it", 0);
    if (number)
        return fail(err, code, path, "cannot be read", number);
    return *size > limit ? fail_large(err, code, path, limit) : 0;
}

int gle_file_read(unsigned char **bytes, size_t *size, const char *path, size_t limit, bool streams,
                  enum gle_code code, struct gle_error *err)
{
    /* O_NONBLOCK: a pipe that is to be refused is not waited for */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (streams ? 0 : O_NONBLOCK));
    int rc;

    *bytes = NULL;
    *size = 0;
    if (fd < 0)
        return fail(err, code, path, "cannot be read", errno);
    rc = read_open(bytes, size, fd, path, limit, streams, code, err);
    close(fd);
    if (rc) {
        gle_free(*bytes);
        *bytes = NULL;
        *size = 0;
    }
    return rc;
}

static int write_all(int fd, const unsigned char *bytes, size_t size)
{
    while (size) {
        const ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static int sync_all(int fd)
{
    int rc;

    do
        rc = fsync(fd);
    while (rc && errno == EINTR);
    return rc;
}

/* Creates a file in `dir` that nobody else has, and leaves its name in `name`. */
static int open_temporary(char *name, size_t size, int dir)
{
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        int fd;
        snprintf(name, size, ".glesim-%ld-%d.tmp", (long)getpid(), i);
        fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || (errno != EEXIST && errno != EINTR))
            return fd;
    }
    return -1;
}

/* Closes fd whatever happened; after a good fsync an interrupted close has lost nothing. */
static int fill(int fd, const void *bytes, size_t size)
{
    int number = write_all(fd, bytes, size) || sync_all(fd) ? errno : 0;

    if (close(fd) && !number && errno != EINTR)
        number = errno;
    return number;
}

/* Returns 0 or an errno. */
static int write_in(int dir, const char *base, const void *bytes, size_t size)
{
    char name[64];
    const int fd = open_temporary(name, sizeof name, dir);
    int number;

    if (fd < 0)
        return errno;
    number = fill(fd, bytes, size);
    if (!number && renameat(dir, name, dir, base))
        number = errno;
    if (number) {
        unlinkat(dir, name, 0);
        return number;
    }
    return sync_all(dir) && errno != EINVAL ? errno : 0; /* EINVAL: a file system that cannot sync directories */
}

int gle_file_write(const char *path, const void *bytes, size_t size, struct gle_error *err)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const size_t len = (size_t)(base - path);
    char dir_path[PATH_MAX] = ".";
    int dir, number;

    if (len >= sizeof dir_path)
        return fail(err, GLE_EWRITE, path, "cannot write", ENAMETOOLONG);
    if (len) {
        memcpy(dir_path, path, len);
        dir_path[len] = '\0';
    }
    dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail(err, GLE_EWRITE, path, "cannot write", errno);
    number = write_in(dir, base, bytes, size);
    close(dir);
    return number ? fail(err, GLE_EWRITE, path, "cannot write", number) : 0;
}

static int make_dir(const char *path, struct gle_error *err)
{
    struct stat info;
    int number;

    if (!mkdir(path, 0777))
        return 0;
    number = errno;
    if (!stat(path, &info) && S_ISDIR(info.st_mode)) /* also where mkdir says EROFS or EACCES first */
        return 0;
    return fail(err, GLE_EWRITE, path, "cannot make this directory", number);
}

int gle_file_make_dirs(const char *path, struct gle_error *err)
{
    char part[PATH_MAX];
    const size_t len = strlen(path);

    if (len >= sizeof part)
        return fail(err, GLE_EWRITE, path, "cannot make this directory", ENAMETOOLONG);
    for (size_t i = 0; i <= len; i++) {
        part[i] = '\0';
        if (i && (path[i] == '/' || path[i] == '\0') && path[i - 1] != '/' && make_dir(part, err))
            return -1;
        part[i] = path[i];
    }
    return 0;
}

struct gle_sha256 {
    SHA2_CTX context;
};

struct gle_sha256 *gle_sha256_start(void)
{
    struct gle_sha256 *sha = gle_calloc(1, sizeof *sha);

    if (sha)
        SHA256Init(&sha->context);
    return sha;
}

void gle_sha256_add(struct gle_sha256 *sha, const void *bytes, size_t size)
{
    SHA256Update(&sha->context, bytes, size);
}

void gle_sha256_end(struct gle_sha256 *sha, char hex[65])
{
    SHA256End(&sha->context, hex);
    gle_free(sha);
}
