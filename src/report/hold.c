/* hold.c - the directory of a run is held against other processes: by a lock of the system, and, where that is none or
 * is not seen by other machines, by a file that says who holds it. */
#ifdef __linux__
#define _DEFAULT_SOURCE /* fstatfs() is no part of POSIX */
#endif
#include "report/report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif

enum { OWNER_SIZE = 128, PATH_SIZE = GLE_REPORT_PATH };

/* Who holds a directory, as its file says it: "host pid\n". */
struct owner {
    char text[OWNER_SIZE];
    char host[64];
    long pid; /* 0: it says nothing yet */
};

/* Whether the directory lies on a file system of a network, whose locks of directories are those of one machine. */
static bool is_remote(int fd)
{
#ifdef __linux__
    static const unsigned long kinds[] = {
        0x6969,     /* NFS */
        0xFF534D42, /* CIFS */
        0xFE534D42, /* SMB 2 */
        0x0BD00BD0, /* Lustre */
        0x00C36400, /* Ceph */
        0x19830326, /* BeeGFS */
        0x5346414F, /* AFS */
        0x65735546, /* FUSE: sshfs and others */
    };
    struct statfs of;

    for (size_t i = 0; !fstatfs(fd, &of) && i < sizeof kinds / sizeof *kinds; i++)
        if (((unsigned long)of.f_type & 0xFFFFFFFF) == kinds[i])
            return true;
#else
    (void)fd;
#endif
    return false;
}

static void name_file(char path[PATH_SIZE], const char *dir)
{
    snprintf(path, PATH_SIZE, "%.4000s/lock", dir);
}

static void name_host(char host[64])
{
    memset(host, 0, 64);
    if (gethostname(host, 63))
        snprintf(host, 64, "?");
}

/* Reads who holds it. false: there is no such file. */
static bool read_owner(struct owner *owner, const char *path)
{
    FILE *file = fopen(path, "re");

    *owner = (struct owner){.pid = 0};
    if (!file)
        return false;
    owner->text[fread(owner->text, 1, sizeof owner->text - 1, file)] = '\0';
    fclose(file);
    if (sscanf(owner->text, "%63s %ld", owner->host, &owner->pid) != 2)
        owner->pid = 0;
    return true;
}

/* Whether the owner was a process of this machine that is no more. */
static bool is_gone(const struct owner *owner)
{
    char host[64];

    name_host(host);
    return owner->pid > 0 && !strcmp(owner->host, host) && kill((pid_t)owner->pid, 0) && errno == ESRCH;
}

/* Takes away the file of an owner that is gone. Another process may do so at the same time, and have made its own. */
static void take_away(const char *path, const struct owner *gone)
{
    char aside[PATH_SIZE + 32];
    struct owner owner;

    snprintf(aside, sizeof aside, "%s.%ld", path, (long)getpid());
    if (rename(path, aside))
        return;
    if (read_owner(&owner, aside) && strcmp(owner.text, gone->text) && link(aside, path))
        return; /* a third one has come; nothing is lost but a file of its own name */
    unlink(aside);
}

/* Makes the file. -1: it is there, or errno says why it cannot be made. */
static int make_file(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    char text[OWNER_SIZE], host[64];
    int n;

    if (fd < 0)
        return -1;
    name_host(host);
    n = snprintf(text, sizeof text, "%s %ld\n", host, (long)getpid());
    if (write(fd, text, (size_t)n) != n || close(fd)) {
        unlink(path);
        return -1;
    }
    return 0;
}

/* Where no file can be made, nothing of the run can be written either, which it will say. */
static int hold_by_file(struct gle_report *report, struct gle_error *err)
{
    char path[PATH_SIZE];
    struct owner owner;

    name_file(path, report->dir);
    for (int tries = 0; tries < 2; tries++) {
        if (!make_file(path)) {
            report->lock_file = true;
            return 0;
        }
        if (errno != EEXIST || !read_owner(&owner, path))
            continue;
        if (!is_gone(&owner))
            break;
        take_away(path, &owner);
        snprintf(report->stale, sizeof report->stale, "process %ld on %s", owner.pid, owner.host);
    }
    if (access(path, F_OK))
        return 0;
    read_owner(&owner, path);
    return gle_fail(err, GLE_EWRITE,
                    "%.200s: process %ld on %s is at work on this run, by the file lock there; remove that file if it "
                    "is not any more",
                    report->dir, owner.pid, owner.host[0] ? owner.host : "some machine");
}

static void let_go(struct gle_report *report)
{
    char path[PATH_SIZE];

    name_file(path, report->dir);
    if (report->lock_file)
        unlink(path);
    report->lock_file = false;
    if (report->lock >= 0)
        close(report->lock);
    report->lock = -1;
}

int gle_report_hold(struct gle_report *report, struct gle_error *err)
{
    bool knows_locks, held;

    if (report->lock >= 0)
        return 0;
    report->lock = open(report->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (report->lock < 0)
        return 0;
    held = !flock(report->lock, LOCK_EX | LOCK_NB);
    knows_locks = held || errno == EWOULDBLOCK;
    if (knows_locks && !held) {
        let_go(report);
        return gle_fail(err, GLE_EWRITE, "%s: another process is at work on this run", report->dir);
    }
    if ((!knows_locks || is_remote(report->lock)) && hold_by_file(report, err)) {
        let_go(report);
        return -1;
    }
    if (!knows_locks && !report->lock_file)
        let_go(report);
    return 0;
}

void gle_report_release(struct gle_report *report)
{
    let_go(report);
    gle_inputs_clear(&report->inputs);
}

bool gle_report_is_held(const char *dir)
{
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
    char path[PATH_SIZE];
    struct owner owner;

    name_file(path, dir);
    held = held || (fd >= 0 && read_owner(&owner, path) && !is_gone(&owner));
    if (fd >= 0)
        close(fd);
    return held;
}
