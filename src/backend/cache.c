#include "backend/cache.h"

#include "base/file.h"
#include "base/memory.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An entry: the magic line, a line with its key, a line with the SHA-256 of the binary, the binary. */
static const char magic[] = "glesim program 1\n";
enum { DIGITS = 64, HEAD = sizeof magic - 1 + 2 * (DIGITS + 1) };

static const size_t size_max = (size_t)1 << 28; /* bytes of an entry; programs of drivers take about a hundredth */

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
        return true;
    }
    gle_cache_drop(key);
    gle_free(*bytes);
    *bytes = NULL;
    *size = 0;
    return false;
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
}

void gle_cache_drop(const struct gle_cache_key *key)
{
    struct gle_error ignored = {0};
    char path[PATH_MAX];

    if (entry_path(path, key))
        (void)!gle_file_remove(path, &ignored);
}
