/* Dotted paths: values are put where they say, found there, and paths compared. */
#include "base/memory.h"
#include "base/text.h"
#include "yaml/step.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 1024 };

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

int gle_step_take(struct gle_step *step, const char *p)
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
    struct gle_step step = {.rest = path};
    size_t n_steps = 0;

    if (*path == '[')
        return set_fail(errs, path, value, GLE_ECONFIG, "the path must begin with a key");
    do {
        if (gle_step_take(&step, step.rest))
            return set_fail(errs, path, value, GLE_ECONFIG, "malformed path (write it as in a.b[0].c)");
        if (!step.is_index && step.len > GLE_YAML_KEY_BYTES_MAX)
            return set_fail(errs, path, value, GLE_ECONFIG, "a key may have at most %d bytes", GLE_YAML_KEY_BYTES_MAX);
        n_steps++;
    } while (*step.rest);
    if (n_steps + height(value) > GLE_YAML_DEPTH_MAX)
        return set_fail(errs, path, value, GLE_ECONFIG, "nested deeper than %d levels", GLE_YAML_DEPTH_MAX);
    return 0;
}

/* The name in a map that is nearly `key`, which may be there, too; NULL: none. */
static const char *near_name(const char *key, const struct gle_node *map)
{
    struct gle_suggestion near = {.word = key};

    for (size_t i = 0; i < map->n_items; i++)
        if (strcmp(map->items[i]->key, key))
            gle_suggest(&near, map->items[i]->key);
    return near.best;
}

/* A list that is not there, maybe because a map on the way to it was not, which is empty then. */
static int no_list_fail(const char *key, const struct gle_node *map, const char *path, const struct gle_node *value,
                        struct gle_errors *errs)
{
    const char *word = key, *near = near_name(key, map);

    for (; !near && !map->n_items && map->key && map->parent->kind == GLE_NODE_MAP; map = map->parent) {
        word = map->key;
        near = near_name(word, map->parent);
    }
    if (near)
        return set_fail(errs, path, value, GLE_ECONFIG, "no %s '%.60s' (did you mean '%.60s'?)",
                        word == key ? "list" : "key", word, near);
    return set_fail(errs, path, value, GLE_ECONFIG, "no list '%.60s'", key);
}

static int kind_fail(const struct gle_node *at, const struct gle_step *step, const char *path,
                     const struct gle_node *value, struct gle_errors *errs)
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
static struct gle_node **find_slot(struct gle_doc *doc, struct gle_node *at, const struct gle_step *step,
                                   const char *path, struct gle_node *value, struct gle_errors *errs)
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
    struct gle_step step = {.rest = path};

    if (!value->key_line) {
        value->key_line = value->line;
        value->key_column = value->column;
    }
    if (check_path(path, value, errs))
        return -1;
    for (;;) {
        struct gle_node **slot;
        if (gle_step_take(&step, step.rest) || !(slot = find_slot(doc, at, &step, path, value, errs)))
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

bool gle_step_names(const struct gle_step *step, const struct gle_node *child, size_t index)
{
    if (step->is_index)
        return strtoull(step->text, NULL, 10) == index;
    return strlen(child->key) == step->len && !strncmp(child->key, step->text, step->len);
}

struct gle_node *gle_step_child(const struct gle_step *step, const struct gle_node *node)
{
    if (node->kind != (step->is_index ? GLE_NODE_LIST : GLE_NODE_MAP))
        return NULL;
    for (size_t i = 0; i < node->n_items; i++)
        if (gle_step_names(step, node->items[i], i))
            return node->items[i];
    return NULL;
}

struct gle_node *gle_node_find(struct gle_node *root, const char *path)
{
    struct gle_step step = {.rest = path};
    struct gle_node *at = root;

    while (at && *step.rest)
        at = gle_step_take(&step, step.rest) ? NULL : gle_step_child(&step, at);
    return at;
}

static int compare_steps(const struct gle_step *a, const struct gle_step *b)
{
    const size_t n = a->len < b->len ? a->len : b->len;
    int c;

    if (a->is_index != b->is_index)
        return a->is_index ? 1 : -1;
    if (a->is_index) {
        const unsigned long long i = strtoull(a->text, NULL, 10), j = strtoull(b->text, NULL, 10);
        return (i > j) - (i < j);
    }
    c = strncmp(a->text, b->text, n);
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

int gle_path_compare(const char *a, const char *b, bool *above)
{
    struct gle_step x = {.rest = a}, y = {.rest = b};

    *above = false;
    while (*x.rest && *y.rest) {
        int c;
        if (gle_step_take(&x, x.rest) || gle_step_take(&y, y.rest))
            return strcmp(a, b); /* malformed: gle_node_set() says so */
        c = compare_steps(&x, &y);
        if (c)
            return c;
    }
    *above = !*x.rest && *y.rest;
    return (*x.rest != '\0') - (*y.rest != '\0');
}
