/* Two trees. */
#include "base/text.h"
#include "yaml/node.h"

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

/* Whether two scalars say the same: a number can be written in many ways. */
static bool same_scalar(const struct gle_node *a, const struct gle_node *b)
{
    double x, y;

    return !strcmp(a->text, b->text) ||
           (!a->quoted && !b->quoted && !gle_text_real(&x, a->text) && !gle_text_real(&y, b->text) && x == y);
}

static bool maps_differ(char *buf, size_t size, const struct gle_node *there, const struct gle_node *here)
{
    for (size_t i = 0; i < here->n_items; i++) {
        const struct gle_node *old = gle_node_get(there, here->items[i]->key);
        if (old ? gle_node_differs(buf, size, old, here->items[i]) : tell(buf, size, NULL, here->items[i]))
            return true;
    }
    for (size_t i = 0; i < there->n_items; i++)
        if (!gle_node_get(here, there->items[i]->key))
            return tell(buf, size, there->items[i], NULL);
    return false;
}

bool gle_node_differs(char *buf, size_t size, const struct gle_node *there, const struct gle_node *here)
{
    buf[0] = '\0';
    if (there->kind != here->kind)
        return tell(buf, size, there, here);
    if (here->kind == GLE_NODE_MAP)
        return maps_differ(buf, size, there, here);
    if (here->kind == GLE_NODE_SCALAR)
        return !same_scalar(there, here) && tell(buf, size, there, here);
    if (there->n_items != here->n_items)
        return tell(buf, size, there, here);
    for (size_t i = 0; i < here->n_items; i++)
        if (gle_node_differs(buf, size, there->items[i], here->items[i]))
            return true;
    return false;
}
