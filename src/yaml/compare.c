/* Two trees. */
#include "base/text.h"
#include "yaml/path.h"

#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 192, VALUE_SIZE = 64 };

/* A value in a few words; NULL stands for one that is not there. */
static void describe(char buf[VALUE_SIZE], const struct gle_node *node)
{
    if (!node)
        snprintf(buf, VALUE_SIZE, "missing");
    else if (node->kind == GLE_NODE_SCALAR)
        snprintf(buf, VALUE_SIZE, "%.*s", VALUE_SIZE - 1, node->text);
    else
        snprintf(buf, VALUE_SIZE, "a %s of %zu", node->kind == GLE_NODE_LIST ? "list" : "map", node->n_items);
}

/* One of the two may be NULL. */
static bool tell(char *buf, size_t size, const struct gle_node *there, const struct gle_node *here)
{
    char path[PATH_SIZE], old[VALUE_SIZE], new[VALUE_SIZE];

    gle_node_path(path, sizeof path, here ? here : there, NULL);
    describe(old, there);
    describe(new, here);
    snprintf(buf, size, "%s is %s there, %s here", path, old, new);
    return true;
}

/* A number can be written in many ways. Whole ones beyond 2^53 are told apart. */
static bool same_number(const char *a, const char *b)
{
    uint64_t m, n;
    double x, y;

    if (!gle_text_count(&m, a) && !gle_text_count(&n, b))
        return m == n;
    return !gle_text_real(&x, a) && !gle_text_real(&y, b) && x == y;
}

static bool is_text(const struct gle_node *node)
{
    return node->quoted || node->as == GLE_SCALAR_TEXT;
}

/* A truth value that has been decoded is compared with one that may not be. */
static bool same_flag(const struct gle_node *a, const struct gle_node *b)
{
    bool x, y;

    return (a->as == GLE_SCALAR_BOOL || b->as == GLE_SCALAR_BOOL) && !gle_text_bool(&x, a->text) &&
           !gle_text_bool(&y, b->text) && x == y;
}

static bool same_scalar(const struct gle_node *there, const struct gle_node *here, const char *dir)
{
    if (here->absolute && dir)
        return gle_path_leads(there->text, dir, here);
    if (!strcmp(there->text, here->text))
        return true;
    return !is_text(there) && !is_text(here) && (same_number(there->text, here->text) || same_flag(there, here));
}

static bool maps_differ(char *buf, size_t size, const struct gle_node *there, const struct gle_node *here,
                        const char *dir)
{
    for (size_t i = 0; i < here->n_items; i++) {
        const struct gle_node *old = gle_node_get(there, here->items[i]->key);
        if (old && gle_node_differs(buf, size, old, here->items[i], dir))
            return true;
        if (!old && !here->items[i]->filled_in)
            return tell(buf, size, NULL, here->items[i]);
    }
    for (size_t i = 0; i < there->n_items; i++)
        if (!gle_node_get(here, there->items[i]->key))
            return tell(buf, size, there->items[i], NULL);
    return false;
}

const struct gle_node *gle_node_bare_name(const struct gle_node *map)
{
    const struct gle_node *type = map->kind == GLE_NODE_MAP ? gle_node_get(map, "type") : NULL;

    for (size_t i = 0; type && i < map->n_items; i++)
        if (map->items[i] != type && !map->items[i]->filled_in)
            return NULL;
    return type;
}

bool gle_node_differs(char *buf, size_t size, const struct gle_node *there, const struct gle_node *here,
                      const char *dir)
{
    const struct gle_node *name = there->kind == GLE_NODE_SCALAR ? gle_node_bare_name(here) : NULL;

    buf[0] = '\0';
    if (name && same_scalar(there, name, dir))
        return false;
    if (there->kind != here->kind)
        return tell(buf, size, there, here);
    if (here->kind == GLE_NODE_MAP)
        return maps_differ(buf, size, there, here, dir);
    if (here->kind == GLE_NODE_SCALAR)
        return !same_scalar(there, here, dir) && tell(buf, size, there, here);
    if (there->n_items != here->n_items)
        return tell(buf, size, there, here);
    for (size_t i = 0; i < here->n_items; i++)
        if (gle_node_differs(buf, size, there->items[i], here->items[i], dir))
            return true;
    return false;
}

/* FNV-1a, from where `hash` has come to. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *b = bytes;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ b[i]) * 1099511628211u;
    return hash;
}

uint64_t gle_node_hash(const struct gle_node *node)
{
    const double number = node->number + 0.0; /* -0 equals 0 */
    uint64_t hash = mix(14695981039346656037u, &node->kind, sizeof node->kind), sum = 0;

    if (node->kind == GLE_NODE_SCALAR && node->as == GLE_SCALAR_NUMBER)
        return mix(hash, &number, sizeof number);
    if (node->kind == GLE_NODE_SCALAR)
        return mix(hash, node->text, strlen(node->text));
    for (size_t i = 0; i < node->n_items; i++) {
        const uint64_t item = gle_node_hash(node->items[i]);
        if (node->kind == GLE_NODE_LIST)
            hash = mix(hash, &item, sizeof item);
        else
            sum += mix(mix(hash, &item, sizeof item), node->items[i]->key, strlen(node->items[i]->key));
    }
    return mix(hash, &sum, sizeof sum);
}
