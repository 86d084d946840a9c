/* Documents: files and texts as a whole. */
#include "base/file.h"
#include "base/memory.h"
#include "yaml/load.h"

#include <string.h>
#include <sys/stat.h>

static int check_root(const struct gle_node *root, const char *name, struct gle_errors *errs)
{
    if (root && root->kind == GLE_NODE_MAP)
        return 0;
    if (!root || (root->kind == GLE_NODE_SCALAR && !*root->text)) {
        const struct gle_node top = {.file = name, .line = 1, .column = 1};
        return gle_node_error(errs, GLE_ECONFIG, &top, NULL, "the file is empty");
    }
    return gle_node_error(errs, GLE_ECONFIG, root, NULL, "the file must hold a map (lines of 'key: value'), not %s",
                          root->kind == GLE_NODE_LIST ? "a list" : "a single text");
}

static struct gle_doc *create_doc(void)
{
    struct gle_doc *doc = gle_calloc(1, sizeof *doc);

    if (doc)
        doc->arena = gle_arena_create();
    if (doc && doc->arena)
        return doc;
    gle_free(doc);
    return NULL;
}

void gle_doc_destroy(struct gle_doc *doc)
{
    if (!doc)
        return;
    gle_arena_destroy(doc->arena);
    gle_free(doc);
}

static int file_fail(struct gle_errors *errs, enum gle_code code, const char *path, const char *text)
{
    struct gle_error err = {0};

    gle_fail_in(&err, code, path, NULL, "%s", text);
    return gle_errors_add(errs, &err);
}

/* Takes doc over, which may be NULL: no memory. */
static int parse(struct gle_doc **out, struct gle_doc *doc, const char *text, size_t len, const char *name,
                 struct gle_errors *errs)
{
    struct gle_loaded loaded;

    *out = NULL;
    if (!doc)
        return file_fail(errs, GLE_ENOMEM, name, "no memory for the config");
    if (gle_load(&loaded, doc, text, len, name, true, errs) || check_root(loaded.root, name, errs)) {
        gle_doc_destroy(doc);
        return -1;
    }
    doc->root = loaded.root;
    *out = doc;
    return 0;
}

int gle_doc_parse(struct gle_doc **out, const char *text, size_t len, const char *name, struct gle_errors *errs)
{
    return parse(out, create_doc(), text, len, name, errs);
}

/* A value from the command line is the whole text, where a file has blanks and comments around it. */
static int take_whole(struct gle_loaded *loaded, struct gle_doc *doc, const char *text, const char *name,
                      struct gle_errors *errs)
{
    static const char blanks[] = " \t\r\n";
    const char *from = text + strspn(text, blanks);
    struct gle_node *node = loaded->root;
    size_t len = strlen(from);

    while (len && strchr(blanks, from[len - 1]))
        len--;
    if (!node) {
        node = loaded->root = gle_arena_alloc(doc->arena, 1, sizeof *node);
        loaded->plain = true;
        if (!node || !(node->file = gle_arena_text(doc->arena, name, strlen(name))))
            return file_fail(errs, GLE_ENOMEM, name, "no memory for the config");
    }
    if (loaded->plain) {
        node->text = gle_arena_text(doc->arena, from, len);
        return node->text ? 0 : file_fail(errs, GLE_ENOMEM, name, "no memory for the config");
    }
    if (loaded->end < (size_t)(from - text) + len)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL,
                              "'%.60s' stands behind the value; put a text that holds it in quotes",
                               text + loaded->end);
    return 0;
}

int gle_node_parse(struct gle_node **out, struct gle_doc *doc, const char *text, const char *name,
                   struct gle_errors *errs)
{
    struct gle_loaded loaded;

    *out = NULL;
    if (gle_load(&loaded, doc, text, strlen(text), name, false, errs))
        return -1;
    if (loaded.block)
        return gle_node_error(errs, GLE_ECONFIG, loaded.root, NULL,
                              "a map is written {key: value} here, a list [a, b]; put other text in quotes");
    if (take_whole(&loaded, doc, text, name, errs))
        return -1;
    *out = loaded.root;
    return 0;
}

/* Whether relative paths of a file start where the command was started: it has no folder that anybody knows of. */
static bool is_nowhere(const char *path, const struct stat *info)
{
    return !S_ISREG(info->st_mode) || !strncmp(path, "/dev/", strlen("/dev/")) ||
           !strncmp(path, "/proc/", strlen("/proc/"));
}

int gle_doc_load(struct gle_doc **out, const char *path, struct gle_errors *errs)
{
    struct gle_error err = {0};
    struct stat info = {0};
    struct gle_doc *doc;
    unsigned char *text;
    size_t len;
    int rc;

    *out = NULL;
    if (!stat(path, &info) && S_ISDIR(info.st_mode))
        return file_fail(errs, GLE_ECONFIG, path, "is a directory, not a config file");
    if (gle_file_read(&text, &len, path, GLE_YAML_BYTES_MAX, true, GLE_ECONFIG, &err))
        return gle_errors_add(errs, &err);
    doc = create_doc();
    if (doc)
        doc->nowhere = is_nowhere(path, &info);
    rc = parse(out, doc, (const char *)text, len, path, errs);
    gle_free(text);
    return rc;
}

/* The name of the file that nodes come from, copied once for nodes that follow each other. */
struct file_name {
    const char *from, *copy;
};

static const char *copy_text(struct gle_doc *doc, const char *text)
{
    return text ? gle_arena_text(doc->arena, text, strlen(text)) : NULL;
}

static struct gle_node *copy_node(struct gle_doc *doc, const struct gle_node *from, struct file_name *file)
{
    struct gle_node *node = gle_arena_alloc(doc->arena, 1, sizeof *node);

    if (!node)
        return NULL;
    if (from->file != file->from)
        *file = (struct file_name){.from = from->file, .copy = copy_text(doc, from->file)};
    *node = *from;
    node->file = file->copy;
    node->text = copy_text(doc, from->text);
    node->key = copy_text(doc, from->key);
    node->parent = NULL;
    node->items = NULL;
    node->n_items = 0;
    if (!node->file || (from->text && !node->text) || (from->key && !node->key))
        return NULL;
    for (size_t i = 0; i < from->n_items; i++) {
        struct gle_node *item = copy_node(doc, from->items[i], file);
        if (!item || gle_node_add(doc, node, item))
            return NULL;
    }
    return node;
}

struct gle_node *gle_node_import(struct gle_doc *doc, const struct gle_node *node)
{
    struct file_name file = {0};
    return copy_node(doc, node, &file);
}

struct gle_doc *gle_doc_copy(const struct gle_doc *from, const char *except)
{
    struct gle_doc *doc = create_doc();
    struct gle_node root = *from->root;
    struct file_name file = {0};
    int rc = doc ? 0 : -1;

    if (doc) {
        doc->nowhere = from->nowhere;
        root.n_items = 0;
        doc->root = copy_node(doc, &root, &file);
        rc = doc->root ? 0 : -1;
    }
    for (size_t i = 0; i < from->root->n_items && !rc; i++) {
        struct gle_node *item = NULL;
        if (!strcmp(from->root->items[i]->key, except))
            continue;
        item = copy_node(doc, from->root->items[i], &file);
        rc = item ? gle_node_add(doc, doc->root, item) : -1;
    }
    if (!rc)
        return doc;
    gle_doc_destroy(doc);
    return NULL;
}
