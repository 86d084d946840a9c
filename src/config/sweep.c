#include "config/sweep.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_MAX = 120 }; /* characters of a folder's name, well below what file systems allow */

static const char section[] = "sweep";

static int no_memory(const struct gle_node *node, struct gle_errors *errs)
{
    return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory");
}

/* --- names --- */

/* The end of a dotted key that no other key of the sweep has: "lr" of learning.optimizer.lr, as a rule. */
static const char *short_key(const struct gle_node *sweep, size_t i)
{
    const char *key = sweep->items[i]->key, *from = key + strlen(key);

    while (from > key) {
        bool unique = true;
        from--;
        while (from > key && from[-1] != '.')
            from--;
        for (size_t j = 0; j < sweep->n_items; j++) {
            const char *other = sweep->items[j]->key;
            const size_t n = strlen(from), m = strlen(other);
            unique = unique && (j == i || m < n || strcmp(other + m - n, from) || (m > n && other[m - n - 1] != '.'));
        }
        if (unique)
            break;
    }
    return from;
}

static size_t add(char *label, size_t at, const char *text)
{
    for (; *text && at <= LABEL_MAX; text++)
        label[at++] = (char)(isalnum((unsigned char)*text) || strchr("_.+-", *text) ? *text : '_');
    label[at] = '\0';
    return at;
}

/* "lr=0.001,gamma=0"; of values that are lists or maps, their number in the sweep's list. */
static int name_point(char label[LABEL_MAX + 2], const struct gle_node *sweep, const size_t *chosen,
                      struct gle_errors *errs)
{
    size_t at = 0;

    label[0] = '\0';
    for (size_t i = 0; i < sweep->n_items; i++) {
        const struct gle_node *value = sweep->items[i]->items[chosen[i]];
        char number[32];
        snprintf(number, sizeof number, "%zu", chosen[i]);
        if (i)
            label[at++] = ',';
        at = add(label, at, short_key(sweep, i));
        if (at <= LABEL_MAX)
            label[at++] = '=';
        at = add(label, at, value->kind == GLE_NODE_SCALAR ? value->text : number);
        if (at > LABEL_MAX)
            return gle_node_error(errs, GLE_ECONFIG, sweep, NULL,
                                  "a folder's name made of these keys and values would be longer than %d characters",
                                  LABEL_MAX);
    }
    return 0;
}

/* --- checks --- */

/* Two values of a key that would be called the same. */
static int check_values(const struct gle_node *list, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < list->n_items; i++)
        for (size_t j = 0; j < i; j++) {
            char a[LABEL_MAX + 2], b[LABEL_MAX + 2];
            if (list->items[i]->kind != GLE_NODE_SCALAR || list->items[j]->kind != GLE_NODE_SCALAR)
                continue;
            add(a, 0, list->items[i]->text);
            add(b, 0, list->items[j]->text);
            if (!strcmp(a, b))
                rc = gle_node_error(errs, GLE_ECONFIG, list->items[i], NULL, "'%.40s' is in the list already", a);
        }
    return rc;
}

/* names: whether the values of each key are to be compared, which needs be done for one combination only. */
static int check(const struct gle_node *sweep, size_t *n_points, bool names, struct gle_errors *errs)
{
    int rc = 0;

    *n_points = 1;
    if (sweep->kind != GLE_NODE_MAP || !sweep->n_items)
        return gle_node_error(errs, GLE_ECONFIG, sweep, NULL, "a map (dotted.key: [values]) is wanted");
    for (size_t i = 0; i < sweep->n_items; i++) {
        const struct gle_node *list = sweep->items[i];
        const struct gle_node at = gle_node_at_key(list);
        if (!strcmp(list->key, "seed"))
            rc = gle_node_error(errs, GLE_ECONFIG, &at, NULL, "several seeds are for the command: --seeds 0-9");
        else if (gle_path_is_within(list->key, section) || gle_path_is_within(list->key, "variants"))
            rc = gle_node_error(errs, GLE_ECONFIG, &at, NULL, "cannot be swept");
        if (list->kind != GLE_NODE_LIST || !list->n_items) {
            rc = gle_node_error(errs, GLE_ECONFIG, list, NULL, "a list of values is wanted");
            continue;
        }
        if (names && list->n_items <= GLE_SWEEP_MAX)
            rc |= check_values(list, errs);
        if (*n_points <= GLE_SWEEP_MAX)
            *n_points *= list->n_items <= GLE_SWEEP_MAX ? list->n_items : GLE_SWEEP_MAX + 1;
    }
    if (*n_points > GLE_SWEEP_MAX)
        rc = gle_node_error(errs, GLE_ERANGE, sweep, NULL, "makes more than %d combinations", GLE_SWEEP_MAX);
    return rc;
}

/* --- */

static int put(struct gle_sweep *out, struct gle_doc *doc, const struct gle_node *list, size_t chosen,
               struct gle_errors *errs)
{
    struct gle_node *value = gle_node_copy(doc, list->items[chosen]);
    struct gle_sweep_value *v = &out->values[out->n++];

    if (!value)
        return no_memory(list, errs);
    value->key_line = list->key_line;
    value->key_column = list->key_column;
    *v = (struct gle_sweep_value){.key = list->key, .value = value};
    return gle_node_set(doc, list->key, value, errs);
}

int gle_sweep_take(struct gle_sweep *out, size_t *n_points, struct gle_doc *doc, size_t point, struct gle_errors *errs)
{
    const struct gle_node *sweep = gle_node_get(doc->root, section);
    char label[LABEL_MAX + 2];
    size_t *chosen;
    int rc = 0;

    *out = (struct gle_sweep){0};
    *n_points = 1;
    if (!sweep)
        return 0;
    if (check(sweep, n_points, !point, errs)) {
        *n_points = 1;
        return -1;
    }
    chosen = gle_arena_alloc(doc->arena, sweep->n_items, sizeof *chosen);
    out->values = gle_arena_alloc(doc->arena, sweep->n_items, sizeof *out->values);
    if (!chosen || !out->values)
        return no_memory(sweep, errs);
    for (size_t i = sweep->n_items; i-- > 0; point /= sweep->items[i]->n_items)
        chosen[i] = point % sweep->items[i]->n_items;
    if (name_point(label, sweep, chosen, errs))
        return -1;
    out->label = gle_arena_text(doc->arena, label, strlen(label));
    if (!out->label)
        return no_memory(sweep, errs);
    for (size_t i = 0; i < sweep->n_items; i++)
        rc |= put(out, doc, sweep->items[i], chosen[i], errs);
    gle_node_remove(doc->root, section);
    return rc;
}
