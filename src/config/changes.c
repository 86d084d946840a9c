#include "config/changes.h"
#include "base/memory.h"
#include "config/experiment.h"
#include "config/keys.h"
#include "yaml/key.h"

#include <stdio.h>
#include <stdlib.h>

/* A change among others. */
struct turn {
    const struct gle_change *change;
    const struct turn *above; /* the nearest one whose path leads above this one's; NULL: none */
    size_t order, n_above;
    bool left_out; /* another one has the last word */
};

static int no_memory(const struct gle_node *node, struct gle_errors *errs)
{
    return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory for the config");
}

int gle_changes_start(struct gle_changes *out, struct gle_doc *doc, size_t n, struct gle_errors *errs)
{
    *out = (struct gle_changes){.room = n};
    out->item = gle_arena_alloc(doc->arena, n ? n : 1, sizeof *out->item);
    return out->item ? 0 : no_memory(doc->root, errs);
}

/* --- who wins --- */

static int fail(const struct gle_change *change, const struct gle_change *other, const char *within,
                struct gle_errors *errs)
{
    const struct gle_node *value = change->value;
    struct gle_error err = {0};
    char line[32] = "";

    if (other->value->key_line)
        snprintf(line, sizeof line, " (line %zu)", other->value->key_line);
    gle_fail(&err, GLE_ECONFIG, "set here, and%s%s by %s%s: one of the two would be lost", *within ? " within " : "",
             within, other->where, line);
    gle_error_place(&err, value->file, value->key_line, value->key_column, change->path);
    return gle_errors_add(errs, &err);
}

/* Two changes of one place. */
static int settle(struct turn *a, struct turn *b, struct gle_errors *errs)
{
    struct turn *first = a->change->by <= b->change->by ? a : b, *second = first == a ? b : a;

    if (first->change->by == GLE_BY_COMMAND && second->change->by == GLE_BY_VARIANT && !first->change->alone) {
        second->left_out = true;
        return 0;
    }
    return fail(second->change, first->change, "", errs);
}

static bool lies_in(const struct gle_node *node, const struct gle_node *above)
{
    while (node && node != above)
        node = node->parent;
    return node;
}

/* What a change would replace, if that came with the change above it. *skip: that one has the last word. */
static int settle_within(bool *skip, const struct turn *turn, struct gle_doc *doc, struct gle_errors *errs)
{
    const struct gle_change *change = turn->change, *above = turn->above ? turn->above->change : NULL;

    *skip = false;
    if (!above || change->by == above->by || !lies_in(gle_node_find(doc->root, change->path), above->value))
        return 0;
    if (change->by == GLE_BY_SWEEP || above->by == GLE_BY_SWEEP)
        return fail(change, above, above->path, errs);
    *skip = above->by == GLE_BY_COMMAND;
    return 0;
}

/* --- */

static int by_path(const void *a, const void *b)
{
    const struct turn *x = *(const struct turn *const *)a, *y = *(const struct turn *const *)b;
    bool above;
    const int c = gle_path_compare(x->change->path, y->change->path, &above);

    return c ? c : (x->order > y->order) - (x->order < y->order);
}

/* Finds for each change what lies above it, and those that are there twice. sorted: by path. */
static int relate(struct turn **sorted, size_t n, struct gle_errors *errs)
{
    struct turn *last = NULL;
    int rc = 0;

    for (size_t i = 0; i < n; i++) {
        struct turn *turn = sorted[i];
        bool above = false;
        if (last && !gle_path_compare(last->change->path, turn->change->path, &above)) {
            rc |= settle(last, turn, errs);
            turn->above = last->above;
            turn->n_above = last->n_above;
            if (!turn->left_out)
                last = turn;
            continue;
        }
        turn->above = last;
        while (turn->above && (gle_path_compare(turn->above->change->path, turn->change->path, &above), !above))
            turn->above = turn->above->above;
        turn->n_above = turn->above ? turn->above->n_above + 1 : 0;
        last = turn;
    }
    return rc;
}

static int put(const struct turn *turn, struct gle_doc *doc, struct gle_errors *errs)
{
    const struct gle_change *change = turn->change;
    bool skip;

    if (gle_reach(doc, gle_experiment_keys, change->path, errs) || settle_within(&skip, turn, doc, errs))
        return -1;
    return skip ? 0 : gle_node_set(doc, change->path, change->value, errs);
}

static int apply(struct turn *turns, struct turn **sorted, size_t n, struct gle_doc *doc, struct gle_errors *errs)
{
    size_t deepest = 0;
    int rc;

    for (size_t i = 0; i < n; i++)
        sorted[i] = &turns[i];
    if (n)
        qsort(sorted, n, sizeof(struct turn *), by_path);
    rc = relate(sorted, n, errs);
    for (size_t i = 0; i < n; i++)
        deepest = turns[i].n_above > deepest ? turns[i].n_above : deepest;
    for (size_t depth = 0; depth <= deepest && !rc; depth++)
        for (size_t i = 0; i < n; i++)
            if (turns[i].n_above == depth && !turns[i].left_out)
                rc |= put(&turns[i], doc, errs);
    return rc;
}

int gle_changes_apply(const struct gle_changes *changes, struct gle_doc *doc, const char *section, bool within,
                      struct gle_errors *errs)
{
    struct turn *turns = gle_calloc(changes->n + 1, sizeof *turns);
    struct turn **sorted = gle_calloc(changes->n + 1, sizeof *sorted);
    size_t n = 0;
    int rc;

    for (size_t i = 0; turns && i < changes->n; i++)
        if (gle_path_is_within(changes->item[i].path, section) == within) {
            turns[n] = (struct turn){.change = &changes->item[i], .order = n};
            n++;
        }
    rc = turns && sorted ? apply(turns, sorted, n, doc, errs) : no_memory(doc->root, errs);
    gle_free(turns);
    gle_free(sorted);
    return rc;
}
