#include "yaml/node.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ITEMS_MIN = 4, PATH_BYTES = 1024 };

struct gle_node *gle_node_get(const struct gle_node *map, const char *key)
{
    if (map->kind != GLE_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->n_items; i++)
        if (!strcmp(map->items[i]->key, key))
            return map->items[i];
    return NULL;
}

/* Place of node in its list. While a list is being read, an item is added after its children: then it is the next. */
static size_t index_of(const struct gle_node *node)
{
    size_t i = 0;
    while (i < node->parent->n_items && node->parent->items[i] != node)
        i++;
    return i;
}

static size_t append_key(char *buf, size_t size, size_t n, const char *key)
{
    n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "." : "", key);
    return n < size ? n : size - 1;
}

static size_t append_node(char *buf, size_t size, const struct gle_node *node)
{
    size_t n;

    if (!node->parent)
        return 0;
    n = append_node(buf, size, node->parent);
    if (node->implied)
        return n;
    if (node->parent->kind == GLE_NODE_MAP)
        return append_key(buf, size, n, node->key);
    n += (size_t)snprintf(buf + n, size - n, "[%zu]", index_of(node));
    return n < size ? n : size - 1;
}

void gle_node_path(char *buf, size_t size, const struct gle_node *node, const char *key)
{
    size_t n;

    if (!size)
        return;
    buf[0] = '\0';
    n = node ? append_node(buf, size, node) : 0;
    if (key)
        append_key(buf, size, n, key);
}

struct gle_node gle_node_at_key(const struct gle_node *node)
{
    struct gle_node at = *node;

    at.line = node->key_line;
    at.column = node->key_column;
    return at;
}

/* The node that a key stands for under a map; of a dotted key the last that is there. */
static const struct gle_node *find_spot(const struct gle_node *node, const char *key)
{
    const struct gle_node *child = gle_node_get(node, key);
    char first[PATH_BYTES];
    const size_t n = strcspn(key, ".");

    if (child || !key[n] || n >= sizeof first)
        return child ? child : node;
    memcpy(first, key, n);
    first[n] = '\0';
    child = gle_node_get(node, first);
    return child ? find_spot(child, key + n + 1) : node;
}

void gle_node_place(struct gle_error *err, const struct gle_node *node, const char *key)
{
    const struct gle_node *spot = node && key ? find_spot(node, key) : node;
    char path[PATH_BYTES];
    const size_t n = strlen(err->text);

    gle_node_path(path, sizeof path, node, key);
    if (err->file[0]) {
        if (spot && spot->line)
            snprintf(err->text + n, sizeof err->text - n, " (%s, asked for at %s:%zu:%zu)", path, spot->file,
                     spot->line, spot->column);
        else if (spot)
            snprintf(err->text + n, sizeof err->text - n, " (%s, asked for by %s)", path, spot->file);
        return;
    }
    gle_error_place(err, spot ? spot->file : NULL, spot ? spot->line : 0, spot ? spot->column : 0, path);
}

static int fail_at(struct gle_error *err, enum gle_code code, const struct gle_node *node, const char *key,
                   const char *fmt, va_list args)
{
    char text[sizeof err->text];

    if (err->code != GLE_OK)
        return -1;
    vsnprintf(text, sizeof text, fmt, args);
    gle_fail(err, code, "%s", text);
    gle_node_place(err, node, key);
    return -1;
}

int gle_node_fail(struct gle_error *err, enum gle_code code, const struct gle_node *node, const char *key,
                  const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fail_at(err, code, node, key, fmt, args);
    va_end(args);
    return -1;
}

int gle_node_error(struct gle_errors *errs, enum gle_code code, const struct gle_node *node, const char *key,
                   const char *fmt, ...)
{
    struct gle_error err = {0};
    va_list args;

    va_start(args, fmt);
    fail_at(&err, code, node, key, fmt, args);
    va_end(args);
    return gle_errors_add(errs, &err);
}

/* Where `text`, which begins at a place of node, has a character that cannot be seen. whole: its place is known,
 * too. */
static int invisible(const struct gle_node *node, const char *text, size_t line, size_t column, bool whole,
                     struct gle_errors *errs)
{
    struct gle_error err = {0};
    char path[PATH_BYTES];
    size_t before;
    unsigned code;
    const char *name = gle_utf8_invisible(text, &before, &code);

    if (!name)
        return 0;
    if (whole)
        gle_fail(&err, GLE_ECONFIG, "U+%04X (%s) stands here, which cannot be seen: delete it", code, name);
    else
        gle_fail(&err, GLE_ECONFIG, "character %zu of '%.60s' is U+%04X (%s), which cannot be seen: delete it",
                 before + 1, text, code, name);
    gle_node_path(path, sizeof path, node, NULL);
    gle_error_place(&err, node->file, line, column + (whole ? before : 0), path);
    return gle_errors_add(errs, &err);
}

int gle_node_invisible(const struct gle_node *node, struct gle_errors *errs)
{
    return node->kind == GLE_NODE_SCALAR
               ? invisible(node, node->text, node->line, node->column, node->line && !node->quoted, errs)
               : 0;
}

int gle_node_key_invisible(const struct gle_node *node, struct gle_errors *errs)
{
    return invisible(node, node->key, node->key_line, node->key_column, false, errs);
}

/* Room for n items, as many as gle_node_add() would have made: a power of two, so that n alone says when it is full. */
static size_t room_for(size_t n)
{
    size_t room = ITEMS_MIN;
    while (room < n)
        room *= 2;
    return room;
}

int gle_node_add(struct gle_doc *doc, struct gle_node *parent, struct gle_node *child)
{
    const size_t n = parent->n_items;

    if (!n || n == room_for(n)) {
        struct gle_node **items = gle_arena_alloc(doc->arena, room_for(n + 1), sizeof *items);
        if (!items)
            return -1;
        if (n)
            memcpy(items, parent->items, n * sizeof *items);
        parent->items = items;
    }
    parent->items[parent->n_items++] = child;
    child->parent = parent;
    return 0;
}

struct gle_node *gle_node_copy(struct gle_doc *doc, const struct gle_node *node)
{
    struct gle_node *copy = gle_arena_alloc(doc->arena, 1, sizeof *copy);

    if (!copy)
        return NULL;
    *copy = *node;
    copy->parent = NULL;
    copy->key = NULL;
    copy->key_line = copy->key_column = 0;
    copy->implied = false;
    copy->items = NULL;
    copy->n_items = 0;
    for (size_t i = 0; i < node->n_items; i++) {
        struct gle_node *child = gle_node_copy(doc, node->items[i]);
        if (!child || gle_node_add(doc, copy, child))
            return NULL;
        child->key = node->items[i]->key;
        child->key_line = node->items[i]->key_line;
        child->key_column = node->items[i]->key_column;
        child->implied = node->items[i]->implied;
    }
    return copy;
}

static void move_to(struct gle_node *node, const struct gle_node *place)
{
    node->file = place->file;
    node->line = node->key_line = place->line;
    node->column = node->key_column = place->column;
    for (size_t i = 0; i < node->n_items; i++)
        move_to(node->items[i], place);
}

struct gle_node *gle_node_append(struct gle_doc *doc, struct gle_node *parent, const char *key, struct gle_node *value)
{
    if (!value)
        return NULL;
    value->key = gle_arena_text(doc->arena, key, strlen(key));
    if (!value->key || gle_node_add(doc, parent, value))
        return NULL;
    move_to(value, parent);
    return value;
}

void gle_node_remove(struct gle_node *map, const char *key)
{
    size_t n = 0;

    for (size_t i = 0; i < map->n_items; i++)
        if (strcmp(map->items[i]->key, key))
            map->items[n++] = map->items[i];
    map->n_items = n;
}

int gle_node_wrap(struct gle_doc *doc, struct gle_node *node, const char *key, struct gle_errors *errs)
{
    struct gle_node *inner = gle_node_copy(doc, node);

    if (inner) {
        inner->key = key;
        inner->implied = true;
        inner->key_line = node->line;
        inner->key_column = node->column;
        node->kind = GLE_NODE_MAP;
        node->items = NULL;
        node->n_items = 0;
        if (!gle_node_add(doc, node, inner))
            return 0;
    }
    return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory");
}
