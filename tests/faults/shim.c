/* shim.c - preloaded into the program: makes call N fail that writes under a folder, or allocation N of a library.
 *
 * GLE_FAULT_FOLDER   absolute path: calls count that change something below it (write, pwrite, fsync, fdatasync,
 *                    ftruncate, rename, mkdir, opening for writing, opening a folder, closing a file), and pread
 * GLE_FAULT_LIBRARY  part of the name of a library ("libyaml"), or "glesim", the program itself: its allocations count
 *                    instead
 * GLE_FAULT_CALL     number of the call that fails, from 1; 0: none
 * GLE_FAULT_ONWARD   set: all calls from there on fail
 * GLE_FAULT_ERRNO    how it fails (allocations: ENOMEM)
 * GLE_FAULT_NO_LOCKS set: the file system knows no locks
 * GLE_FAULT_LOG      a file that gets a line for every call that counts: its name and path; allocations: just their
 *                    number, in the end
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The functions that glibc itself uses for its allocations. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static atomic_long n_calls, n_allocations;
static const char *folder, *log_path;
static long wanted;
static int how;
static bool onward;
static uintptr_t library_begin, library_end;

static int find_library(struct dl_phdr_info *info, size_t size, void *name)
{
    const char *own = info->dlpi_name && *info->dlpi_name ? info->dlpi_name : "glesim"; /* the program has no name */

    (void)size;
    if (!strstr(own, name))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            const uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            library_begin = library_begin ? library_begin : begin;
            library_end = begin + info->dlpi_phdr[i].p_memsz;
        }
    return 1;
}

__attribute__((constructor)) static void begin(void)
{
    const char *library = getenv("GLE_FAULT_LIBRARY"), *call = getenv("GLE_FAULT_CALL");
    const char *number = getenv("GLE_FAULT_ERRNO");

    folder = getenv("GLE_FAULT_FOLDER");
    log_path = getenv("GLE_FAULT_LOG");
    wanted = call ? atol(call) : 0;
    how = number ? atoi(number) : ENOSPC;
    onward = getenv("GLE_FAULT_ONWARD") != NULL;
    if (library && *library)
        dl_iterate_phdr(find_library, (void *)(uintptr_t)library);
}

static bool hit(long n)
{
    return wanted && (n == wanted || (onward && n > wanted));
}

/* Past the wrappers. */
static void tell(const char *name, const char *path)
{
    char line[PATH_MAX + 64];
    const int n = snprintf(line, sizeof line, "%s %s\n", name, path);
    int fd;

    if (!log_path)
        return;
    fd = (int)syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    syscall(SYS_write, fd, line, (size_t)n);
    syscall(SYS_close, fd);
}

__attribute__((destructor)) static void end(void)
{
    char text[32];

    snprintf(text, sizeof text, "%ld", atomic_load(&n_allocations));
    if (library_begin)
        tell("allocations", text);
}

int flock(int fd, int operation)
{
    if (!getenv("GLE_FAULT_NO_LOCKS"))
        return (int)syscall(SYS_flock, fd, operation);
    errno = ENOLCK;
    return -1;
}

/* --- files --- */

static bool fails(const char *name, const char *path)
{
    if (!folder || strncmp(path, folder, strlen(folder)))
        return false;
    tell(name, path);
    if (!hit(atomic_fetch_add(&n_calls, 1) + 1))
        return false;
    errno = how;
    return true;
}

static void path_of(int fd, char path[PATH_MAX])
{
    char name[64];
    ssize_t n;

    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    n = readlink(name, path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = '\0';
}

static bool fails_fd(const char *name, int fd)
{
    char path[PATH_MAX];
    const int number = errno;
    bool failed;

    if (!folder)
        return false;
    path_of(fd, path);
    failed = fails(name, path);
    if (!failed)
        errno = number;
    return failed;
}

static bool fails_at(const char *name, int dir, const char *path)
{
    char base[PATH_MAX] = "", whole[2 * PATH_MAX];

    if (!folder)
        return false;
    if (path[0] != '/' && dir == AT_FDCWD && !getcwd(base, sizeof base))
        return false;
    if (path[0] != '/' && dir != AT_FDCWD)
        path_of(dir, base);
    snprintf(whole, sizeof whole, "%s%s%s", path[0] == '/' ? "" : base, path[0] == '/' ? "" : "/", path);
    return fails(name, whole);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    return fails_fd("write", fd) ? -1 : syscall(SYS_write, fd, bytes, size);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    return fails_fd("pwrite", fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, size, at);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t at)
{
    return fails_fd("pread", fd) ? -1 : syscall(SYS_pread64, fd, bytes, size, at);
}

int fsync(int fd)
{
    return fails_fd("fsync", fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return fails_fd("fdatasync", fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate64(int fd, off64_t size)
{
    return fails_fd("ftruncate", fd) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

/* As on Linux, the file is closed also where this fails. Folders, and files without a name, lose nothing. */
int close(int fd)
{
    struct stat info;
    const bool matters = folder && !fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_nlink > 0;
    const bool failed = matters && fails_fd("close", fd);
    const int rc = (int)syscall(SYS_close, fd);

    if (failed)
        errno = how;
    return failed ? -1 : rc;
}

static bool changes(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_DIRECTORY);
}

static int mode_of(int flags, va_list list)
{
    return flags & O_CREAT ? va_arg(list, int) : 0;
}

int openat64(int dir, const char *path, int flags, ...)
{
    va_list list;
    int mode;

    va_start(list, flags);
    mode = mode_of(flags, list);
    va_end(list);
    return changes(flags) && fails_at("open", dir, path) ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list list;
    int mode;

    va_start(list, flags);
    mode = mode_of(flags, list);
    va_end(list);
    return changes(flags) && fails_at("open", AT_FDCWD, path) ? -1
                                                               : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int renameat(int old_dir, const char *old, int new_dir, const char *new)
{
    return fails_at("rename", new_dir, new) ? -1 : (int)syscall(SYS_renameat2, old_dir, old, new_dir, new, 0);
}

int rename(const char *old, const char *new)
{
    return renameat(AT_FDCWD, old, AT_FDCWD, new);
}

int mkdir(const char *path, mode_t mode)
{
    return fails_at("mkdir", AT_FDCWD, path) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

/* --- memory --- */

static bool refused(const void *caller)
{
    if ((uintptr_t)caller < library_begin || (uintptr_t)caller >= library_end)
        return false;
    if (!hit(atomic_fetch_add(&n_allocations, 1) + 1))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return refused(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return refused(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return refused(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
}

void *realloc(void *old, size_t size)
{
    return refused(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}
