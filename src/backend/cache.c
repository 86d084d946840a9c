#include "backend/cache.h"

#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* An entry: the magic line, a line with its key, a line with the SHA-256 of the binary, the binary. */
static const char magic[] = "glesim program 1\n";
enum { DIGITS = 64, HEAD = sizeof magic - 1 + 2 * (DIGITS + 1) };

static const size_t size_max = (size_t)1 << 28; /* bytes of an entry; programs of drivers take about a hundredth */

/* Entries that were not used for so many seconds go, and the oldest ones where there are more: other versions of
 * glesim, of drivers and of networks leave them behind. When an entry was used is the time of its file, to a day. */
static const time_t day = 24 * 60 * 60, kept_for = (time_t)90 * 24 * 60 * 60;
enum { KEPT = 64, LOOKED_AT = 4096 /* of a folder, in one go */ };

struct gle_cache_key gle_cache_key(const char *const texts[], size_t n)
{
    struct gle_sha256 *sha = gle_sha256_start();
    struct gle_cache_key key = {""};

    if (!sha)
        return key;
    for (size_t i = 0; i < n; i++)
        gle_sha256_add(sha, texts[i], strlen(texts[i]) + 1); /* with its NUL, which says where it ends */
    gle_sha256_end(sha, key.hex);
    return key;
}

/* The folder's name; false where the user has none. */
static bool folder_name(char folder[PATH_MAX])
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = -1;

    if (cache && *cache == '/') /* others are to be ignored: XDG Base Directory Specification */
        n = snprintf(folder, PATH_MAX, "%s/glesim", cache);
    else if (home && *home == '/')
        n = snprintf(folder, PATH_MAX, "%s/.cache/glesim", home);
    return n >= 0 && n < PATH_MAX;
}

/* What lies there runs within this process, so that nobody else may write there. */
static bool is_private(const char *folder)
{
    struct stat info;

    return !stat(folder, &info) && S_ISDIR(info.st_mode) && info.st_uid == geteuid() &&
           !(info.st_mode & (S_IWGRP | S_IWOTH));
}

/* The path of an entry; false where there is no folder for it. */
static bool entry_path(char path[PATH_MAX], const struct gle_cache_key *key)
{
    struct gle_error ignored = {0};
    size_t n;

    if (!*key->hex || !folder_name(path) || gle_file_make_private_dirs(path, &ignored) || !is_private(path))
        return false;
    n = strlen(path);
    return (size_t)snprintf(path + n, PATH_MAX - n, "/%s", key->hex) < PATH_MAX - n;
}

/* Writes the head of an entry. False: no memory. */
static bool write_head(char head[HEAD + 1], const struct gle_cache_key *key, const void *binary, size_t size)
{
    struct gle_sha256 *sha = gle_sha256_start();
    char hex[DIGITS + 1];

    if (!sha)
        return false;
    gle_sha256_add(sha, binary, size);
    gle_sha256_end(sha, hex);
    snprintf(head, HEAD + 1, "%s%s\n%s\n", magic, key->hex, hex);
    return true;
}

/* Says that the entry was used. */
static void touch(const char *path)
{
    struct stat info;

    if (!stat(path, &info) && time(NULL) - info.st_mtime > day)
        (void)!utimensat(AT_FDCWD, path, NULL, 0);
}

bool gle_cache_take(unsigned char **bytes, size_t *size, const struct gle_cache_key *key)
{
    struct gle_error ignored = {0};
    char path[PATH_MAX], head[HEAD + 1];

    *bytes = NULL;
    *size = 0;
    if (!entry_path(path, key) || access(path, F_OK))
        return false;
    if (!gle_file_read(bytes, size, path, size_max, false, GLE_EDATA, &ignored) && *size > HEAD &&
        write_head(head, key, *bytes + HEAD, *size - HEAD) && !memcmp(*bytes, head, HEAD)) {
        *size -= HEAD;
        memmove(*bytes, *bytes + HEAD, *size);
        touch(path);
        return true;
    }
    gle_cache_drop(key);
    gle_free(*bytes);
    *bytes = NULL;
    *size = 0;
    return false;
}

/* --- old entries --- */

struct found {
    time_t used;
    bool is_draft; /* of an entry, perhaps of a process that was killed */
    char name[DIGITS + 1];
};

/* Whether a file of the folder belongs to the cache: what has another name is nobody's business. */
static bool is_ours(struct found *found, const char *folder, const char *name)
{
    const bool is_entry = strlen(name) == DIGITS && strspn(name, "0123456789abcdef") == DIGITS;
    char path[PATH_MAX];
    struct stat info;

    found->is_draft = gle_file_is_draft(name) && strlen(name) <= DIGITS;
    if ((!is_entry && !found->is_draft) ||
        (size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path || lstat(path, &info) ||
        !S_ISREG(info.st_mode))
        return false;
    found->used = info.st_mtime;
    snprintf(found->name, sizeof found->name, "%s", name);
    return true;
}

static size_t list_files(struct found *found, const char *folder)
{
    DIR *d = opendir(folder);
    size_t n = 0;

    for (struct dirent *e; d && n < LOOKED_AT && (e = readdir(d));)
        n += is_ours(&found[n], folder, e->d_name);
    if (d)
        closedir(d);
    return n;
}

static int newest_first(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    return x->used != y->used ? (x->used < y->used) - (x->used > y->used) : strcmp(x->name, y->name);
}

/* n: files that are newer. A draft may be of a process that is at work. */
static bool is_old(const struct found *found, size_t n, time_t now)
{
    const time_t age = now - found->used;

    return found->is_draft ? age > day : n >= KEPT || age > kept_for;
}

/* Removes what nobody wants any more, but for the entry of the key. Whoever reads an entry at this moment reads it to
 * its end, or compiles. */
static void remove_old(const struct gle_cache_key *key)
{
    struct found *found = gle_calloc(LOOKED_AT, sizeof *found);
    char folder[PATH_MAX], path[PATH_MAX];
    struct gle_error ignored = {0};
    const time_t now = time(NULL);
    size_t n;

    if (!found || !folder_name(folder)) {
        gle_free(found);
        return;
    }
    n = list_files(found, folder);
    qsort(found, n, sizeof *found, newest_first);
    for (size_t i = 0; i < n; i++)
        if (is_old(&found[i], i, now) && strcmp(found[i].name, key->hex) &&
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, found[i].name) < sizeof path)
            (void)!gle_file_remove(path, &ignored);
    gle_free(found);
}

void gle_cache_keep(const struct gle_cache_key *key, const void *bytes, size_t size)
{
    struct gle_error ignored = {0};
    char path[PATH_MAX], head[HEAD + 1];
    unsigned char *entry;

    if (size > size_max - HEAD || !entry_path(path, key) || !write_head(head, key, bytes, size))
        return;
    entry = gle_calloc(HEAD + size, 1);
    if (!entry)
        return;
    memcpy(entry, head, HEAD);
    memcpy(entry + HEAD, bytes, size);
    (void)!gle_file_write(path, entry, HEAD + size, &ignored);
    gle_free(entry);
    remove_old(key);
}

void gle_cache_drop(const struct gle_cache_key *key)
{
    struct gle_error ignored = {0};
    char path[PATH_MAX];

    if (entry_path(path, key))
        (void)!gle_file_remove(path, &ignored);
}
