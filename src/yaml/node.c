#include "yaml/node.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS_MIN = 4, PATH_BYTES = 1024 };

void gle_doc_destroy(struct gle_doc *doc)
{
    if (!doc)
        return;
    gle_arena_destroy(doc->arena);
    gle_free(doc);
}

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
        if (spot)
            snprintf(err->text + n, sizeof err->text - n, " (%s, asked for at %s:%zu:%zu)", path, spot->file,
                     spot->line, spot->column);
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

static size_t height(const struct gle_node *node)
{
    size_t most = 0;

    for (size_t i = 0; i < node->n_items; i++) {
        const size_t h = height(node->items[i]);
        most = h > most ? h : most;
    }
    return most + (node->kind != GLE_NODE_SCALAR);
}

static int set_fail(struct gle_errors *errs, const char *path, const struct gle_node *value, enum gle_code code,
                    const char *fmt, ...) GLE_PRINTF(5, 6);
static int set_fail(struct gle_errors *errs, const char *path, const struct gle_node *value, enum gle_code code,
                    const char *fmt, ...)
{
    struct gle_error err = {0};
    char text[sizeof err.text];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    gle_fail(&err, code, "%s", text);
    gle_error_place(&err, value->file, value->key_line, value->key_column, path);
    return gle_errors_add(errs, &err);
}

/* One step of a path: a key, or the digits between brackets. */
struct step {
    const char *text;
    size_t len;
    bool is_index;
    const char *rest;
};

/* Takes the step that begins at p (a dot before a key was passed over). Returns -1 if the path is malformed there. */
static int take_step(struct step *step, const char *p)
{
    step->is_index = *p == '[';
    step->text = p + step->is_index;
    step->len = step->is_index ? strspn(step->text, "0123456789") : strcspn(step->text, ".[]");
    step->rest = step->text + step->len;
    if (!step->len || (step->is_index && *step->rest++ != ']'))
        return -1;
    if (*step->rest == '.' && step->rest[1] != '[') {
        step->rest++;
        return *step->rest ? 0 : -1;
    }
    return *step->rest == '\0' || *step->rest == '[' ? 0 : -1;
}

static int check_path(const char *path, const struct gle_node *value, struct gle_errors *errs)
{
    struct step step = {.rest = path};
    size_t n_steps = 0;

    if (*path == '[')
        return set_fail(errs, path, value, GLE_ECONFIG, "the path must begin with a key");
    do {
        if (take_step(&step, step.rest))
            return set_fail(errs, path, value, GLE_ECONFIG, "malformed path (write it as in a.b[0].c)");
        if (!step.is_index && step.len > GLE_YAML_KEY_BYTES_MAX)
            return set_fail(errs, path, value, GLE_ECONFIG, "a key may have at most %d bytes", GLE_YAML_KEY_BYTES_MAX);
        n_steps++;
    } while (*step.rest);
    if (n_steps + height(value) > GLE_YAML_DEPTH_MAX)
        return set_fail(errs, path, value, GLE_ECONFIG, "nested deeper than %d levels", GLE_YAML_DEPTH_MAX);
    return 0;
}

static int no_list_fail(const char *key, const struct gle_node *map, const char *path, const struct gle_node *value,
                        struct gle_errors *errs)
{
    struct gle_suggestion near = {.word = key};

    for (size_t i = 0; i < map->n_items; i++)
        gle_suggest(&near, map->items[i]->key);
    if (near.best)
        return set_fail(errs, path, value, GLE_ECONFIG, "no list '%.60s' (did you mean '%.60s'?)", key, near.best);
    return set_fail(errs, path, value, GLE_ECONFIG, "no list '%.60s'", key);
}

static int kind_fail(const struct gle_node *at, const struct step *step, const char *path, const struct gle_node *value,
                     struct gle_errors *errs)
{
    char here[PATH_BYTES];

    gle_node_path(here, sizeof here, at, NULL);
    if (at->kind == GLE_NODE_SCALAR)
        return set_fail(errs, path, value, GLE_ECONFIG,
                        "'%.100s' is the single value '%.60s': nothing can be set below it", here, at->text);
    if (step->is_index)
        return set_fail(errs, path, value, GLE_ECONFIG, "'%.100s' is a map: it has keys, not list items", here);
    return set_fail(errs, path, value, GLE_ECONFIG, "'%.100s' is a list: say which item, as in '%.100s[0]'", here,
                    here);
}

/* Slot of the child that step names, or NULL after an error. A key that is missing gets an empty map. */
static struct gle_node **find_slot(struct gle_doc *doc, struct gle_node *at, const struct step *step, const char *path,
                                   struct gle_node *value, struct gle_errors *errs)
{
    struct gle_node *child;
    char *key;

    if (at->kind != (step->is_index ? GLE_NODE_LIST : GLE_NODE_MAP)) {
        kind_fail(at, step, path, value, errs);
        return NULL;
    }
    if (step->is_index) {
        const unsigned long long i = strtoull(step->text, NULL, 10); /* ULLONG_MAX beyond its range: no such item */
        if (i < at->n_items)
            return &at->items[i];
        set_fail(errs, path, value, GLE_ECONFIG, "no list item %.*s: there are %zu",
                 (int)(step->len < 40 ? step->len : 40), step->text, at->n_items);
        return NULL;
    }
    key = gle_arena_text(doc->arena, step->text, step->len);
    for (size_t i = 0; key && i < at->n_items; i++)
        if (!strcmp(at->items[i]->key, key))
            return &at->items[i];
    if (key && *step->rest == '[') {
        no_list_fail(key, at, path, value, errs);
        return NULL;
    }
    child = key ? gle_arena_alloc(doc->arena, 1, sizeof *child) : NULL;
    if (!child || gle_node_add(doc, at, child)) {
        set_fail(errs, path, value, GLE_ENOMEM, "no memory for the config");
        return NULL;
    }
    child->kind = GLE_NODE_MAP;
    child->file = value->file;
    child->line = child->key_line = value->key_line;
    child->column = child->key_column = value->key_column;
    child->key = key;
    return &at->items[at->n_items - 1];
}

bool gle_path_is_within(const char *path, const char *section)
{
    return strcspn(path, ".[") == strlen(section) && !strncmp(path, section, strlen(section));
}

int gle_node_set(struct gle_doc *doc, const char *path, struct gle_node *value, struct gle_errors *errs)
{
    struct gle_node *at = doc->root;
    struct step step = {.rest = path};

    if (!value->key_line) {
        value->key_line = value->line;
        value->key_column = value->column;
    }
    if (check_path(path, value, errs))
        return -1;
    for (;;) {
        struct gle_node **slot;
        if (take_step(&step, step.rest) || !(slot = find_slot(doc, at, &step, path, value, errs)))
            return -1;
        if (!*step.rest) {
            value->parent = at;
            value->key = (*slot)->key;
            *slot = value;
            return 0;
        }
        at = *slot;
    }
}
