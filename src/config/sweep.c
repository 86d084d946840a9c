#include "config/sweep.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/build.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Whether a text value of the list has this name. */
static bool is_taken(const struct gle_node *list, const char *name)
{
    for (size_t i = 0; i < list->n_items; i++) {
        char other[LABEL_MAX + 2];
        if (list->items[i]->kind != GLE_NODE_SCALAR)
            continue;
        add(other, 0, list->items[i]->text);
        if (!strcmp(other, name))
            return true;
    }
    return false;
}

/* Whether some value of the list is a number, so that another number in its place would be taken for a value. */
static bool has_numbers(const struct gle_node *list)
{
    double value;

    for (size_t i = 0; i < list->n_items; i++)
        if (list->items[i]->kind == GLE_NODE_SCALAR && !gle_text_real(&value, list->items[i]->text))
            return true;
    return false;
}

/* What stands for a value in a folder's name: its text, as far as that can; of lists and maps, their number in the
 * sweep's list, with a _ before it where others are numbers, or a text is called so. */
static void name_value(char name[LABEL_MAX + 2], const struct gle_node *list, size_t chosen)
{
    char number[LABEL_MAX + 2];

    if (list->items[chosen]->kind == GLE_NODE_SCALAR) {
        add(name, 0, list->items[chosen]->text);
        return;
    }
    snprintf(number, sizeof number, "%s%zu", has_numbers(list) ? "_" : "", chosen);
    add(name, 0, number);
    while (is_taken(list, name)) {
        snprintf(number, sizeof number, "_%.*s", LABEL_MAX, name);
        add(name, 0, number);
    }
}

/* "lr=0.001,gamma=0" */
static int name_point(char label[LABEL_MAX + 2], const struct gle_node *sweep, const size_t *chosen,
                      struct gle_errors *errs)
{
    size_t at = 0;

    label[0] = '\0';
    for (size_t i = 0; i < sweep->n_items; i++) {
        char name[LABEL_MAX + 2];
        name_value(name, sweep->items[i], chosen[i]);
        if (i)
            label[at++] = ',';
        at = add(label, at, short_key(sweep, i));
        if (at <= LABEL_MAX)
            label[at++] = '=';
        at = add(label, at, name);
        if (at > LABEL_MAX)
            return gle_node_error(errs, GLE_ECONFIG, sweep, NULL,
                                  "a folder's name made of these keys and values would be longer than %d characters",
                                  LABEL_MAX);
    }
    return 0;
}

/* --- checks --- */

/* Two texts of key i that would be called the same. */
static int same_name(const struct gle_node *sweep, size_t i, const struct gle_node *a, const struct gle_node *b,
                     const char *name, struct gle_errors *errs)
{
    char line[32] = "";

    if (a->line)
        snprintf(line, sizeof line, " (line %zu)", a->line);
    if (!strcmp(a->text, b->text))
        return gle_node_error(errs, GLE_ECONFIG, b, NULL, "'%.40s' is in the list already%s", b->text, line);
    return gle_node_error(errs, GLE_ECONFIG, b, NULL, "'%.40s' and '%.40s'%s would have the same folder, %.60s=%.60s",
                          b->text, a->text, line, short_key(sweep, i), name);
}

/* Values of key i that would be called the same. names: room for those of all values. */
static int check_values(const struct gle_node *sweep, size_t i, char (*names)[LABEL_MAX + 2], struct gle_errors *errs)
{
    const struct gle_node *list = sweep->items[i];
    int rc = 0;

    for (size_t j = 0; j < list->n_items; j++) {
        name_value(names[j], list, j);
        for (size_t k = 0; k < j && list->items[j]->kind == GLE_NODE_SCALAR; k++)
            if (list->items[k]->kind == GLE_NODE_SCALAR && !strcmp(names[k], names[j])) {
                rc = same_name(sweep, i, list->items[k], list->items[j], names[j], errs);
                break;
            }
    }
    return rc;
}

static int check_names(const struct gle_node *sweep, size_t i, struct gle_errors *errs)
{
    char(*names)[LABEL_MAX + 2] = gle_calloc(sweep->items[i]->n_items, sizeof *names);
    int rc = names ? check_values(sweep, i, names, errs) : no_memory(sweep, errs);

    gle_free(names);
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
        else if (gle_path_is_within(list->key, "checkpoint") || gle_path_is_within(list->key, "expect"))
            rc = gle_node_error(errs, GLE_ECONFIG, &at, NULL, "changes no run, and cannot be swept");
        else if (gle_is_note(list->key))
            rc = gle_node_error(errs, GLE_ECONFIG, &at, NULL, "nothing reads keys that begin with 'x-'");
        rc |= gle_node_key_invisible(list, errs);
        if (list->kind != GLE_NODE_LIST || !list->n_items) {
            rc = gle_node_error(errs, GLE_ECONFIG, list, NULL, "a list of values is wanted");
            continue;
        }
        if (names && list->n_items <= GLE_SWEEP_MAX)
            rc |= check_names(sweep, i, errs);
        if (*n_points <= GLE_SWEEP_MAX)
            *n_points *= list->n_items <= GLE_SWEEP_MAX ? list->n_items : GLE_SWEEP_MAX + 1;
    }
    if (*n_points > GLE_SWEEP_MAX)
        rc = gle_node_error(errs, GLE_ERANGE, sweep, NULL, "makes more than %d combinations", GLE_SWEEP_MAX);
    return rc;
}

/* --- */

static int put(struct gle_sweep *out, struct gle_changes *changes, struct gle_doc *doc, const struct gle_node *list,
               size_t chosen, struct gle_errors *errs)
{
    struct gle_node *value = gle_node_copy(doc, list->items[chosen]);

    if (!value)
        return no_memory(list, errs);
    value->key_line = list->key_line;
    value->key_column = list->key_column;
    out->values[out->n++] = (struct gle_sweep_value){.key = list->key, .value = value};
    assert(changes->n < changes->room);
    changes->item[changes->n++] =
        (struct gle_change){.path = list->key, .value = value, .by = GLE_BY_SWEEP, .where = "the sweep"};
    return 0;
}

size_t gle_sweep_keys(const struct gle_doc *doc)
{
    const struct gle_node *sweep = gle_node_get(doc->root, section);

    return sweep && sweep->kind == GLE_NODE_MAP ? sweep->n_items : 0;
}

int gle_sweep_take(struct gle_sweep *out, size_t *n_points, struct gle_changes *changes, struct gle_doc *doc,
                   size_t point, struct gle_errors *errs)
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
        rc |= put(out, changes, doc, sweep->items[i], chosen[i], errs);
    gle_node_remove(doc->root, section);
    return rc;
}

/* --- combinations that are the same --- */

struct point {
    const struct gle_experiment *exp;
    uint64_t hash;
    size_t order;
};

static int by_hash(const void *a, const void *b)
{
    const struct point *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash > y->hash ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

/* The first value that two combinations were given in other words. */
static const struct gle_node *first_other(const struct gle_experiment *a, const struct gle_experiment *b)
{
    size_t i = 0;

    while (i + 1 < b->sweep.n && a->sweep.values[i].value->line == b->sweep.values[i].value->line &&
           a->sweep.values[i].value->column == b->sweep.values[i].value->column)
        i++;
    return b->sweep.values[i].value;
}

/* The first combination that says the same as points[i], which are sorted; NULL: none does. */
static const struct gle_experiment *first_same(const struct point *points, size_t i)
{
    const struct gle_experiment *same = NULL;
    char what[8];

    for (size_t j = i; j-- > 0 && points[j].hash == points[i].hash;)
        if (!gle_node_differs(what, sizeof what, points[j].exp->src, points[i].exp->src, NULL))
            same = points[j].exp;
    return same;
}

int gle_sweep_compare(struct gle_experiment *const *all, size_t n, struct gle_errors *errs)
{
    struct point *points = gle_calloc(n + 1, sizeof *points);
    const struct gle_experiment **same = gle_calloc(n + 1, sizeof *same);
    int rc = points && same ? 0 : no_memory(n ? all[0]->src : NULL, errs);

    for (size_t i = 0; !rc && i < n; i++)
        points[i] = (struct point){.exp = all[i], .hash = gle_node_hash(all[i]->src), .order = i};
    if (!rc) {
        qsort(points, n, sizeof *points, by_hash);
        for (size_t i = 1; i < n; i++)
            same[points[i].order] = first_same(points, i);
    }
    for (size_t i = 0; same && i < n; i++)
        if (same[i])
            rc = gle_node_error(errs, GLE_ECONFIG, first_other(same[i], all[i]), NULL,
                                "%s says the same as %s: one run, made twice", all[i]->sweep.label,
                                same[i]->sweep.label);
    gle_free(points);
    gle_free(same);
    return rc;
}
