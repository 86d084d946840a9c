#include "yaml/path.h"

#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Takes ".", ".." and empty parts out of an absolute path. */
static void normalise(char *path)
{
    const char *from = path;
    char *to = path;

    while (*from) {
        size_t n;
        from += strspn(from, "/");
        n = strcspn(from, "/");
        if (n == 2 && from[0] == '.' && from[1] == '.') {
            while (to > path && *--to != '/')
                ;
        } else if (n && !(n == 1 && *from == '.')) {
            *to++ = '/';
            memmove(to, from, n);
            to += n;
        }
        from += n;
    }
    if (to == path)
        *to++ = '/';
    *to = '\0';
}

/* Memory from the arena, or, without one, for gle_free(). */
static char *room(struct gle_arena *arena, size_t size)
{
    return arena ? gle_arena_alloc(arena, size, 1) : gle_calloc(size, 1);
}

/* The absolute path of `text` in a folder of n characters, which may be relative itself, from room(). NULL with errno:
 * there is no memory (ENOMEM) or no current directory. */
static char *resolve(struct gle_arena *arena, const char *folder, size_t n, const char *text)
{
    char cwd[PATH_MAX] = "", *path;
    size_t size;

    if (*text != '/' && !(n && *folder == '/') && !getcwd(cwd, sizeof cwd))
        return NULL;
    size = strlen(cwd) + n + strlen(text) + sizeof "//";
    path = room(arena, size);
    if (!path) {
        errno = ENOMEM;
        return NULL;
    }
    if (*text == '/')
        snprintf(path, size, "%s", text);
    else
        snprintf(path, size, "%s/%.*s/%s", cwd, (int)n, folder, text);
    normalise(path);
    return path;
}

/* Bytes of the folders that two absolute paths have in common, up to the slash behind the last. */
static size_t shared(const char *dir, const char *path)
{
    size_t n = 0;

    for (size_t i = 0;; i++) {
        const bool ends = dir[i] == '/' || !dir[i];
        if (ends && (path[i] == '/' || !path[i]))
            n = i;
        if (!dir[i] || dir[i] != path[i])
            return n;
    }
}

/* "../../data" from dir to path, both absolute, from room(). NULL: no memory. */
static char *relative(struct gle_arena *arena, const char *dir, const char *path)
{
    const size_t common = !strcmp(dir, "/") ? 0 : shared(dir, path);
    const char *rest = path + common + strspn(path + common, "/");
    const size_t size = 2 * strlen(dir) + strlen(path) + sizeof "./"; /* a folder of dir has two or more */
    char *out = room(arena, size);
    size_t n = 0;

    if (!out)
        return NULL;
    for (const char *at = dir + common; *at; at++)
        if (*at == '/' && at[1])
            n += (size_t)snprintf(out + n, size - n, "../");
    snprintf(out + n, size - n, "%s", *rest || n ? rest : ".");
    if (n && !*rest)
        out[n - 1] = '\0';
    return out;
}

/* --- of a config --- */

/* Where relative paths of a node start; *n: bytes of it. */
static const char *folder_of(const char *file, bool nowhere, size_t *n)
{
    const char *slash = nowhere ? NULL : strrchr(file, '/');

    *n = slash ? (size_t)(slash - file) + 1 : 0;
    return file;
}

static int cannot_find(const struct gle_node *node, struct gle_errors *errs)
{
    if (errno == ENOMEM)
        return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory for the config");
    return gle_node_error(errs, GLE_ECONFIG, node, NULL, "the current directory cannot be found: %s", strerror(errno));
}

int gle_path_decode(struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    size_t n, n_config;
    const char *folder = folder_of(node->file, !node->line || doc->nowhere, &n); /* no line: from the command */
    const char *config = folder_of(doc->root->file, doc->nowhere, &n_config), *dir;

    node->absolute = resolve(doc->arena, folder, n, node->text);
    if (!node->absolute)
        return cannot_find(node, errs);
    if (*node->text == '/') {
        node->text = node->absolute;
        return 0;
    }
    dir = resolve(doc->arena, config, n_config, ".");
    if (!dir)
        return cannot_find(node, errs);
    node->text = relative(doc->arena, dir, node->absolute);
    if (node->text)
        return 0;
    node->text = node->absolute;
    return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory for the config");
}

/* --- of a run --- */

/* Whether both names lead to one file, links followed, as far as there are files. */
static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    const bool no_x = stat(a, &x), no_y = stat(b, &y);

    return no_x || no_y ? no_x && no_y : x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool goes_up(const char *path)
{
    return !strncmp(path, "..", 2) && (path[2] == '/' || !path[2]);
}

/* Whether `path` leads from the folder dir where it seems to. A folder that is not there yet will be no link: the way
 * up from there ends in the one above it. */
static bool leads_there(const char *dir, const char *path, const struct gle_node *node)
{
    const size_t size = strlen(dir) + strlen(path) + sizeof "/";
    char *whole = gle_calloc(size, 1);
    size_t n = strlen(dir);
    struct stat info;
    bool same;

    if (!whole)
        return false;
    while (snprintf(whole, size, "%.*s", (int)n, dir), n > 1 && goes_up(path) && stat(whole, &info)) {
        while (n && dir[--n] != '/')
            continue;
        path += strlen(path[2] ? "../" : "..");
    }
    snprintf(whole, size, "%.*s/%s", (int)n, dir, path);
    same = is_same_file(whole, node->absolute);
    gle_free(whole);
    return same;
}

char *gle_path_from(const char *dir, const struct gle_node *node)
{
    char *from = resolve(NULL, dir, strlen(dir), "."), *path = NULL;

    if (from && *node->text != '/' && shared(from, node->absolute))
        path = relative(NULL, from, node->absolute);
    if (path && !leads_there(from, path, node)) {
        gle_free(path);
        path = NULL;
    }
    gle_free(from);
    if (path)
        return path;
    path = gle_calloc(strlen(node->absolute) + 1, 1);
    return path ? strcpy(path, node->absolute) : NULL;
}

bool gle_path_leads(const char *text, const char *dir, const struct gle_node *node)
{
    char *path = resolve(NULL, dir, strlen(dir), text);
    const bool leads = path && !strcmp(path, node->absolute);

    gle_free(path);
    return leads;
}
