/* The library is used in a process of its own, which sends what it reads through a pipe: damaged files can make the
 * library crash or take all memory, which is an error about the file here; and it is not made for many threads. */
#include "base/file.h"
#include "base/memory.h"
#include "data/events_file.h"

#include <errno.h>
#include <hdf5.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BLOCK = 256,         /* samples that are read at once */
    TEXT_SIZE = 400,     /* of an error */
    VLEN_SIZE = 16,      /* bytes that a list takes in its dataset, wherever its values are */
    DEFLATE_RATIO = 1032 /* more than that many bytes cannot come out of one */
};

enum kind { BEGIN, SAMPLE, FAIL, END };

/* What goes through the pipe, followed by n times and n units of a sample, or by the n bytes of an error. */
struct message {
    uint64_t kind, n; /* samples, spikes, bytes */
    int64_t label;
};

/* --- the process that reads --- */

struct reader {
    int out;
    uint64_t file_bytes;
    hid_t labels, times, units;                  /* datasets */
    hid_t label_type, time_type, unit_type;      /* in memory */
    hsize_t n;
};

/* Whoever listens may have gone: then there is nothing left to do. */
static void send(const struct reader *r, const void *bytes, size_t size)
{
    if (gle_file_put(r->out, bytes, size))
        _exit(1);
}

/* Says what is wrong, and ends. */
static void fail(const struct reader *r, const char *fmt, ...) GLE_PRINTF(2, 3) __attribute__((noreturn));
static void fail(const struct reader *r, const char *fmt, ...)
{
    char text[TEXT_SIZE];
    struct message m = {.kind = FAIL};
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    m.n = strlen(text);
    send(r, &m, sizeof m);
    send(r, text, (size_t)m.n);
    _exit(0);
}

static herr_t take_innermost(unsigned n, const H5E_error2_t *error, void *text)
{
    if (!n && error->desc)
        snprintf(text, TEXT_SIZE / 2, ": %s", error->desc);
    return 0;
}

/* ": why the library's last call failed", or "". */
static const char *reason(char text[TEXT_SIZE / 2])
{
    text[0] = '\0';
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, text);
    return text;
}

/* What a lying file may take beside what is taken already: some times its size. */
static void limit_memory(uint64_t file_bytes)
{
    const rlim_t spare = (rlim_t)256 << 20;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    struct rlimit limit;

    if (file && fscanf(file, "%lu", &pages) == 1 && !getrlimit(RLIMIT_AS, &limit)) {
        const rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + spare + 32 * (rlim_t)file_bytes;
        if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > most) {
            limit.rlim_cur = most;
            setrlimit(RLIMIT_AS, &limit); /* where it cannot be limited, it is not */
        }
    }
    if (file)
        fclose(file);
}

static bool is_number(hid_t type, bool whole)
{
    const H5T_class_t class = H5Tget_class(type);

    return class == H5T_INTEGER || (class == H5T_FLOAT && !whole);
}

/* A dataset of one dimension, of whole numbers or any, or lists of them, and how many entries it has. */
static hid_t open_set(const struct reader *r, hid_t file, const char *name, bool lists, bool whole, hsize_t *n)
{
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    const hid_t type = set < 0 ? -1 : H5Dget_type(set), space = set < 0 ? -1 : H5Dget_space(set);
    const hsize_t size = lists ? VLEN_SIZE : 1;
    hsize_t stored;
    char why[TEXT_SIZE / 2];

    if (set < 0)
        fail(r, "has no dataset '%s'%s", name, reason(why));
    if (type < 0 || space < 0)
        fail(r, "%s cannot be read%s", name, reason(why));
    if (lists ? H5Tget_class(type) != H5T_VLEN || !is_number(H5Tget_super(type), whole) : !is_number(type, whole))
        fail(r, "%s does not hold %s%snumbers", name, lists ? "lists of " : "", whole ? "whole " : "");
    if (H5Sget_simple_extent_ndims(space) != 1 || H5Sget_simple_extent_dims(space, n, NULL) < 0)
        fail(r, "%s does not have one dimension: (samples)", name);
    if (!*n)
        fail(r, "%s is empty", name);
    stored = H5Dget_storage_size(set);
    if (*n / DEFLATE_RATIO * size > stored)
        fail(r, "%s cannot have %llu entries in %llu bytes", name, (unsigned long long)*n, (unsigned long long)stored);
    return set;
}

/* Entries from ... from + n - 1. */
static void read_block(const struct reader *r, hid_t set, const char *name, hid_t type, hsize_t from, hsize_t n,
                       hid_t room, void *out)
{
    const hid_t space = H5Dget_space(set);
    char why[TEXT_SIZE / 2];

    if (space < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, &from, NULL, &n, NULL) < 0 ||
        H5Dread(set, type, room, space, H5P_DEFAULT, out) < 0)
        fail(r, "%s: the entries %llu ... %llu cannot be read%s", name, (unsigned long long)from,
             (unsigned long long)(from + n - 1), reason(why));
    H5Sclose(space);
}

static void send_block(const struct reader *r, hsize_t from, hsize_t n)
{
    const hid_t room = H5Screate_simple(1, &n, NULL);
    int64_t labels[BLOCK];
    hvl_t times[BLOCK], units[BLOCK];

    read_block(r, r->labels, "labels", r->label_type, from, n, room, labels);
    read_block(r, r->times, "spikes/times", r->time_type, from, n, room, times);
    read_block(r, r->units, "spikes/units", r->unit_type, from, n, room, units);
    for (size_t i = 0; i < n; i++) {
        const struct message m = {.kind = SAMPLE, .n = times[i].len, .label = labels[i]};
        if (times[i].len != units[i].len)
            fail(r, "spikes/times[%llu] has %zu spikes, where spikes/units[%llu] has %zu", (unsigned long long)from + i,
                 times[i].len, (unsigned long long)from + i, units[i].len);
        send(r, &m, sizeof m);
        send(r, times[i].p, times[i].len * sizeof(double));
        send(r, units[i].p, units[i].len * sizeof(int32_t));
    }
    H5Dvlen_reclaim(r->time_type, room, H5P_DEFAULT, times);
    H5Dvlen_reclaim(r->unit_type, room, H5P_DEFAULT, units);
    H5Sclose(room);
}

static void send_file(const char *path, uint64_t file_bytes, int out) __attribute__((noreturn));
static void send_file(const char *path, uint64_t file_bytes, int out)
{
    struct reader r = {.out = out, .file_bytes = file_bytes};
    struct message m = {.kind = BEGIN};
    hsize_t n_times, n_units;
    char why[TEXT_SIZE / 2];
    hid_t file;

    limit_memory(file_bytes);
    if (H5open() < 0 || H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 || H5PLset_loading_state(0) < 0)
        fail(&r, "the HDF5 library does not start");
    file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0)
        fail(&r, "cannot be opened as an HDF5 file%s", reason(why));
    r.labels = open_set(&r, file, "labels", false, true, &r.n);
    r.times = open_set(&r, file, "spikes/times", true, false, &n_times);
    r.units = open_set(&r, file, "spikes/units", true, true, &n_units);
    if (n_times != r.n || n_units != r.n)
        fail(&r, "has %llu labels, %llu spikes/times and %llu spikes/units; as many of each are wanted",
             (unsigned long long)r.n, (unsigned long long)n_times, (unsigned long long)n_units);
    r.label_type = H5T_NATIVE_INT64;
    r.time_type = H5Tvlen_create(H5T_NATIVE_DOUBLE);
    r.unit_type = H5Tvlen_create(H5T_NATIVE_INT32);
    m.n = r.n;
    send(&r, &m, sizeof m);
    for (hsize_t from = 0; from < r.n; from += BLOCK)
        send_block(&r, from, r.n - from < BLOCK ? r.n - from : BLOCK);
    m.kind = END;
    send(&r, &m, sizeof m);
    _exit(0);
}

/* --- the process that wants to know --- */

struct listener {
    const char *path;
    const struct gle_events_taker *taker;
    const struct gle_data_context *ctx;
    struct gle_error *err;
    int in;
    uint64_t n, taken; /* samples */
    double *times;
    int32_t *units;
    size_t room; /* spikes */
};

static int tell(const struct listener *l)
{
    return gle_data_tell(l->ctx, "reading spikes", (size_t)l->taken, (size_t)(l->n ? l->n : 1), l->err);
}

/* Size bytes; 1: the other process has ended before. */
static int receive(const struct listener *l, void *bytes, size_t size)
{
    enum { PATIENCE_MS = 50 };
    size_t done = 0;

    while (done < size) {
        struct pollfd answer = {.fd = l->in, .events = POLLIN};
        const int polled = poll(&answer, 1, PATIENCE_MS);
        ssize_t n;
        if (polled <= 0) {
            if (tell(l))
                return -1;
            continue;
        }
        n = read(l->in, (char *)bytes + done, size - done);
        if (n == 0 || (n < 0 && errno != EINTR))
            return 1;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int make_room(struct listener *l, uint64_t n)
{
    double *times;
    int32_t *units;

    if (n <= l->room)
        return 0;
    times = n < SIZE_MAX / 2 ? gle_resize(l->times, (size_t)n, sizeof *times) : NULL;
    if (times)
        l->times = times;
    units = times ? gle_resize(l->units, (size_t)n, sizeof *units) : NULL;
    if (!units)
        return gle_fail_in(l->err, GLE_ENOMEM, l->path, NULL, "no memory for the %llu spikes of a sample",
                           (unsigned long long)n);
    l->units = units;
    l->room = (size_t)n;
    return 0;
}

static int take_sample(struct listener *l, const struct message *m)
{
    int rc = l->taken < l->n ? make_room(l, m->n) : 1;

    if (!rc)
        rc = receive(l, l->times, (size_t)m->n * sizeof *l->times);
    if (!rc)
        rc = receive(l, l->units, (size_t)m->n * sizeof *l->units);
    if (!rc)
        rc = l->taker->take(l->taker->ctx, l->taken++, m->label, l->times, l->units, (size_t)m->n, l->err);
    return rc ? rc : l->taken % 64 == 0 ? tell(l) : 0;
}

static int take_error(const struct listener *l, const struct message *m)
{
    char text[TEXT_SIZE + 1] = "";
    const int rc = m->n > TEXT_SIZE ? 1 : receive(l, text, (size_t)m->n);

    return rc ? rc : gle_fail_in(l->err, GLE_EDATA, l->path, NULL, "%s", text);
}

/* Takes all that is sent. 1: it has ended before its end. */
static int listen(struct listener *l)
{
    struct message m;
    int rc = 0;

    do {
        rc = receive(l, &m, sizeof m);
        if (!rc && m.kind == BEGIN && !l->n) {
            l->n = m.n;
            rc = l->taker->begin(l->taker->ctx, m.n, l->err);
        } else if (!rc && m.kind == SAMPLE) {
            rc = take_sample(l, &m);
        } else if (!rc && m.kind == FAIL) {
            rc = take_error(l, &m);
        } else if (!rc && m.kind != END) {
            rc = 1;
        }
    } while (!rc && m.kind != END);
    return rc ? rc : l->taken < l->n || !l->n;
}

/* Waits for the other process, and says how it ended too early. */
static int end_early(const struct listener *l, int status)
{
    if (WIFSIGNALED(status))
        return gle_fail_in(l->err, GLE_EDATA, l->path, NULL, "is damaged: the HDF5 library has crashed on it (%s)",
                           strsignal(WTERMSIG(status)));
    return gle_fail_in(l->err, GLE_EDATA, l->path, NULL, "is damaged: the HDF5 library has given up after %llu of %llu "
                       "samples", (unsigned long long)l->taken, (unsigned long long)l->n);
}

static int read_apart(struct listener *l, uint64_t file_bytes)
{
    int ends[2], status = 0, rc;
    pid_t pid;

    if (pipe(ends))
        return gle_fail_in(l->err, GLE_ENOMEM, l->path, NULL, "no pipe to read it through: %s", strerror(errno));
    pid = fork();
    if (!pid) {
        close(ends[0]);
        send_file(l->path, file_bytes, ends[1]);
    }
    close(ends[1]);
    l->in = ends[0];
    rc = pid < 0 ? gle_fail_in(l->err, GLE_ENOMEM, l->path, NULL, "no process to read it: %s", strerror(errno))
                 : listen(l);
    close(ends[0]);
    if (pid > 0) {
        if (rc < 0)
            kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
    }
    return rc > 0 ? end_early(l, status) : rc;
}

/* What is no HDF5 file, but may be a packed one. */
static int check_file(uint64_t *size, const char *path, struct gle_error *err)
{
    const char *kind = gle_file_kind(path);
    unsigned char head[2] = {0};
    struct stat info;
    FILE *file;

    if (kind)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "is %s, not a file", kind);
    file = fopen(path, "rb");
    if (!file || stat(path, &info)) {
        gle_fail_in(err, GLE_EDATA, path, NULL, "cannot read: %s%s", strerror(errno),
                    errno == ENOENT ? " (datasets/fetch_events fetches Spiking Heidelberg Digits and Spiking Speech "
                                      "Commands)"
                                    : "");
        if (file)
            fclose(file);
        return -1;
    }
    *size = (uint64_t)info.st_size;
    if (fread(head, 1, 2, file) == 2 && ((head[0] == 0x1f && head[1] == 0x8b) || (head[0] == 'P' && head[1] == 'K')))
        gle_fail_in(err, GLE_EDATA, path, NULL, "is packed: %s gives the HDF5 file",
                    head[0] == 'P' ? "unzip" : "gunzip");
    fclose(file);
    return err->code ? -1 : 0;
}

int gle_events_read(const char *path, const struct gle_events_taker *taker, const struct gle_data_context *ctx,
                    struct gle_error *err)
{
    struct listener l = {.path = path, .taker = taker, .ctx = ctx, .err = err};
    uint64_t size = 0;
    int rc;

    if (check_file(&size, path, err) || tell(&l))
        return -1;
    rc = read_apart(&l, size);
    gle_free(l.times);
    gle_free(l.units);
    return rc;
}
