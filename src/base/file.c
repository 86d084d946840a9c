#include "base/file.h"

#include "base/memory.h"

#include <assert.h>
#include <dirent.h>
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
static const char draft_prefix[] = ".glesim-", draft_suffix[] = ".tmp";

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

int gle_file_put(int fd, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(fd, (const unsigned char *)bytes + done, size - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

int gle_file_put_at(int fd, const void *bytes, size_t size, uint64_t at)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(fd, (const unsigned char *)bytes + done, size - done, (off_t)(at + done));
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

int gle_file_get(int fd, void *bytes, size_t size, uint64_t at)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(fd, (unsigned char *)bytes + done, size - done, (off_t)(at + done));
        if (n == 0)
            return EIO;
        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

int gle_file_sync(int fd)
{
    int rc;

    do
        rc = fsync(fd);
    while (rc && errno == EINTR);
    return rc ? errno : 0;
}

static int fail_write(struct gle_error *err, const char *path, int number)
{
    return fail(err, GLE_EWRITE, path, "cannot write", number);
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Opens the directory of a path; -1 with errno set. */
static int open_dir_of(const char *path)
{
    const size_t len = (size_t)(base_of(path) - path);
    char dir[PATH_MAX] = ".";

    if (len >= sizeof dir) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (len) {
        memcpy(dir, path, len);
        dir[len] = '\0';
    }
    return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Creates a file that nobody else has. Returns 0 or an errno; then nothing is open. */
static int open_temporary(struct gle_file_draft *draft)
{
    int number = EEXIST;

    draft->dir = open_dir_of(draft->path);
    if (draft->dir < 0)
        return errno;
    for (int i = 0; i < TEMPORARY_TRIES && (number == EEXIST || number == EINTR); i++) {
        snprintf(draft->name, sizeof draft->name, "%s%ld-%d%s", draft_prefix, (long)getpid(), i, draft_suffix);
        draft->fd = openat(draft->dir, draft->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (draft->fd >= 0)
            return 0;
        number = errno;
    }
    close(draft->dir);
    return number;
}

int gle_file_begin(struct gle_file_draft *draft, const char *path, struct gle_error *err)
{
    int number;

    *draft = (struct gle_file_draft){.path = path};
    number = open_temporary(draft);
    return number ? fail_write(err, path, number) : 0;
}

/* Puts it on the disk and closes it. Returns 0 or an errno. */
static int seal(const struct gle_file_draft *draft)
{
    int number = gle_file_sync(draft->fd);

    if (close(draft->fd) && !number && errno != EINTR) /* after a good fsync an interrupted close has lost nothing */
        number = errno;
    return number;
}

/* Gives it its name. Returns 0 or an errno. */
static int place(const struct gle_file_draft *draft)
{
    return renameat(draft->dir, draft->name, draft->dir, base_of(draft->path)) ? errno : 0;
}

/* Returns 0 or an errno. */
static int sync_dir(int dir)
{
    const int number = gle_file_sync(dir);

    return number == EINVAL ? 0 : number; /* a file system that cannot sync directories */
}

int gle_file_keep(struct gle_file_draft *draft, struct gle_error *err)
{
    int number = seal(draft);

    number = number ? number : place(draft);
    if (number)
        unlinkat(draft->dir, draft->name, 0);
    else
        number = sync_dir(draft->dir);
    close(draft->dir);
    return number ? fail_write(err, draft->path, number) : 0;
}

void gle_file_drop(struct gle_file_draft *draft)
{
    close(draft->fd);
    unlinkat(draft->dir, draft->name, 0);
    close(draft->dir);
}

int gle_file_write(const char *path, const void *bytes, size_t size, struct gle_error *err)
{
    struct gle_file_draft draft;
    int number;

    if (gle_file_begin(&draft, path, err))
        return -1;
    number = gle_file_put(draft.fd, bytes, size);
    if (!number)
        return gle_file_keep(&draft, err);
    gle_file_drop(&draft);
    return fail_write(err, path, number);
}

/* Writes a file under a temporary name, and closes it. */
static int write_sealed(struct gle_file_draft *draft, const struct gle_file_whole *file, struct gle_error *err)
{
    int number, sealed;

    if (gle_file_begin(draft, file->path, err))
        return -1;
    number = gle_file_put(draft->fd, file->bytes, file->size);
    sealed = seal(draft);
    number = number ? number : sealed;
    if (!number)
        return 0;
    unlinkat(draft->dir, draft->name, 0);
    close(draft->dir);
    return fail_write(err, file->path, number);
}

/* Puts sealed files in place. Returns 0 or an errno; *at: the file that could not be put there. */
static int place_all(const struct gle_file_draft *drafts, const struct gle_file_whole *files, size_t n, size_t *at)
{
    int number = 0;

    for (*at = 0; *at < n; ++*at) {
        if (files[*at].bytes)
            number = place(&drafts[*at]);
        else if (unlink(files[*at].path) && errno != ENOENT)
            number = errno;
        if (number)
            break;
    }
    for (size_t i = *at; i < n; i++) {
        if (*at) /* a mixture */
            unlink(files[i].path);
        if (files[i].bytes)
            unlinkat(drafts[i].dir, drafts[i].name, 0);
    }
    return number;
}

int gle_file_write_together(const struct gle_file_whole *files, size_t n, struct gle_error *err)
{
    struct gle_file_draft drafts[GLE_FILES_MAX];
    size_t n_sealed = 0, at = 0;
    int number = 0, rc = 0;

    assert(n && n <= GLE_FILES_MAX && files[0].bytes);
    while (n_sealed < n && !rc) {
        rc = files[n_sealed].bytes ? write_sealed(&drafts[n_sealed], &files[n_sealed], err) : 0;
        n_sealed += !rc;
    }
    if (!rc && (number = place_all(drafts, files, n, &at)) == 0)
        number = sync_dir(drafts[0].dir);
    if (number)
        rc = fail_write(err, files[at < n ? at : 0].path, number);
    for (size_t i = 0; i < n_sealed; i++)
        if (files[i].bytes) {
            if (n_sealed < n)
                unlinkat(drafts[i].dir, drafts[i].name, 0);
            close(drafts[i].dir);
        }
    return rc;
}

const char *gle_file_kind(const char *path)
{
    struct stat info;

    if (stat(path, &info) || S_ISREG(info.st_mode))
        return NULL;
    return S_ISDIR(info.st_mode)    ? "a folder"
           : S_ISFIFO(info.st_mode) ? "a pipe"
           : S_ISSOCK(info.st_mode) ? "a socket"
                                    : "a device";
}

int gle_file_remove(const char *path, struct gle_error *err)
{
    return unlink(path) && errno != ENOENT ? fail(err, GLE_EWRITE, path, "cannot be removed", errno) : 0;
}

bool gle_file_is_draft(const char *name)
{
    const size_t n = strlen(name), tail = sizeof draft_suffix - 1;

    return !strncmp(name, draft_prefix, sizeof draft_prefix - 1) && n > tail && !strcmp(name + n - tail, draft_suffix);
}

void gle_file_sweep(const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;

    while (d && (entry = readdir(d)))
        if (gle_file_is_draft(entry->d_name))
            (void)unlinkat(dirfd(d), entry->d_name, 0);
    if (d)
        closedir(d);
}

static int make_dir(const char *path, mode_t mode, struct gle_error *err)
{
    struct stat info;
    int number;

    if (!mkdir(path, mode))
        return 0;
    number = errno;
    if (!stat(path, &info) && S_ISDIR(info.st_mode)) /* also where mkdir says EROFS or EACCES first */
        return 0;
    return fail(err, GLE_EWRITE, path, "cannot make this directory", number);
}

static int make_dirs(const char *path, mode_t mode, struct gle_error *err)
{
    char part[PATH_MAX];
    const size_t len = strlen(path);

    if (len >= sizeof part)
        return fail(err, GLE_EWRITE, path, "cannot make this directory", ENAMETOOLONG);
    for (size_t i = 0; i <= len; i++) {
        part[i] = '\0';
        if (i && (path[i] == '/' || path[i] == '\0') && path[i - 1] != '/' && make_dir(part, mode, err))
            return -1;
        part[i] = path[i];
    }
    return 0;
}

int gle_file_make_dirs(const char *path, struct gle_error *err)
{
    return make_dirs(path, 0777, err);
}

int gle_file_make_private_dirs(const char *path, struct gle_error *err)
{
    return make_dirs(path, 0700, err);
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

/* Adds what there is to read from fd. Returns 0 or an errno. */
static int hash_open(struct gle_sha256 *sha, int fd)
{
    enum { PIECE = 1 << 16 };
    unsigned char *bytes = gle_calloc(PIECE, 1);
    ssize_t n = 0;
    int number;

    while (bytes && (n = read_all(fd, bytes, PIECE)) > 0)
        gle_sha256_add(sha, bytes, (size_t)n);
    number = !bytes ? ENOMEM : n < 0 ? errno : 0;
    gle_free(bytes);
    return number;
}

int gle_file_sha256(char hex[65], const char *path, enum gle_code code, struct gle_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a pipe is not waited for */
    struct gle_sha256 *sha;
    struct stat info;
    int number;

    if (fd < 0)
        return fail(err, code, path, "cannot read", errno);
    if (fstat(fd, &info) || !S_ISREG(info.st_mode)) {
        close(fd);
        return fail(err, code, path, "not a regular file", 0);
    }
    sha = gle_sha256_start();
    number = sha ? hash_open(sha, fd) : ENOMEM;
    close(fd);
    if (sha)
        gle_sha256_end(sha, hex);
    if (number == ENOMEM)
        return fail(err, GLE_ENOMEM, path, "no memory to read it", 0);
    return number ? fail(err, code, path, "cannot read", number) : 0;
}
