#include "yaml/key.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "yaml/path.h"
#include "yaml/reach.h"
#include "yaml/unknown.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct gle_key no_keys[] = {GLE_KEY_END};

static int no_memory(const struct gle_node *node, struct gle_errors *errs)
{
    return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory for the config");
}

/* "what is wanted, not what stands here" */
static int kind_fail(const struct gle_node *node, const char *wanted, struct gle_errors *errs)
{
    if (gle_node_invisible(node, errs))
        return -1;
    if (node->kind == GLE_NODE_SCALAR)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "%s is wanted, not '%.60s'", wanted, node->text);
    return gle_node_error(errs, GLE_ECONFIG, node, NULL, "%s is wanted, not %s", wanted,
                          node->kind == GLE_NODE_LIST ? "a list" : "a map");
}

static bool is_null(const struct gle_node *node)
{
    return node->kind == GLE_NODE_SCALAR && !node->quoted &&
           (!*node->text || !strcmp(node->text, "~") || !strcmp(node->text, "null") || !strcmp(node->text, "Null") ||
            !strcmp(node->text, "NULL"));
}

static int null_fail(const struct gle_node *node, struct gle_errors *errs)
{
    return gle_node_error(errs, GLE_ECONFIG, node, NULL, "has no value");
}

/* A scalar that has a value and, for what is no text, no quotes. */
static int check_scalar(const struct gle_node *node, const char *wanted, bool is_text, struct gle_errors *errs)
{
    if (node->kind != GLE_NODE_SCALAR)
        return kind_fail(node, wanted, errs);
    if (is_null(node))
        return null_fail(node, errs);
    if (node->quoted && !is_text)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "%s is wanted, '%.60s' in quotes is text", wanted,
                              node->text);
    return 0;
}

static int check_range(const struct gle_key *key, const struct gle_node *node, double value, struct gle_errors *errs)
{
    const bool below = value < key->low;
    char limit[32];

    if (!below && value <= key->high)
        return 0;
    if (below && value <= 0.0 && key->low > 0.0 && key->low < 1.0)
        return gle_node_error(errs, GLE_ERANGE, node, NULL, "%.60s is not positive", node->text);
    gle_text_from_real(limit, sizeof limit, below ? key->low : key->high);
    return gle_node_error(errs, GLE_ERANGE, node, NULL, "%.60s is %s allowed value %s", node->text,
                          below ? "below the smallest" : "above the largest", limit);
}

/* Puts a number's text as all readers of YAML take it. */
static int respell(struct gle_doc *doc, struct gle_node *node, const char *text, struct gle_errors *errs)
{
    if (!strcmp(text, node->text))
        return 0;
    node->text = gle_arena_text(doc->arena, text, strlen(text));
    return node->text ? 0 : no_memory(node, errs);
}

static int respell_real(struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    char few[64];
    const size_t size = strlen(node->text) + 6;
    char *text = size > sizeof few ? gle_arena_alloc(doc->arena, size, 1) : few;

    if (!text)
        return no_memory(node, errs);
    gle_text_portable(text, size, node->text);
    return respell(doc, node, text, errs);
}

static int decode_real(double *value, const struct gle_key *key, struct gle_doc *doc, struct gle_node *node,
                       struct gle_errors *errs)
{
    static const char wanted[] = "a number";
    double real;

    if (check_scalar(node, wanted, false, errs))
        return -1;
    if (gle_text_real(&real, node->text))
        return kind_fail(node, wanted, errs);
    if (isnan(real))
        return gle_node_error(errs, GLE_ERANGE, node, NULL, "NaN is not a number that can be used here");
    if (isinf(real) && strpbrk(node->text, "0123456789"))
        return gle_node_error(errs, GLE_ERANGE, node, NULL, "%.60s is too large for a number", node->text);
    if (check_range(key, node, real, errs))
        return -1;
    node->as = GLE_SCALAR_NUMBER;
    node->number = *value = real;
    return respell_real(doc, node, errs);
}

static int decode_count(uint64_t *value, const struct gle_key *key, struct gle_doc *doc, struct gle_node *node,
                        struct gle_errors *errs)
{
    static const char wanted[] = "a whole number";
    char text[32];
    double real;

    if (check_scalar(node, wanted, false, errs))
        return -1;
    if (gle_text_count(value, node->text)) {
        if (gle_text_real(&real, node->text))
            return kind_fail(node, wanted, errs);
        if (isnan(real))
            return gle_node_error(errs, GLE_ERANGE, node, NULL, "NaN is not a number that can be used here");
        if (real < 0.0)
            return gle_node_error(errs, GLE_ERANGE, node, NULL, "%.60s is negative; %s from %.0f on is wanted",
                                  node->text, wanted, key->low);
        if (real != floor(real))
            return gle_node_error(errs, GLE_ERANGE, node, NULL, "%.60s is not %s", node->text, wanted);
        return gle_node_error(errs, GLE_ERANGE, node, NULL, "%.60s is too large for %s", node->text, wanted);
    }
    node->as = GLE_SCALAR_NUMBER;
    node->number = (double)*value;
    snprintf(text, sizeof text, "%" PRIu64, *value);
    return check_range(key, node, node->number, errs) ? -1 : respell(doc, node, text, errs);
}

static int decode_bool(bool *value, struct gle_node *node, struct gle_errors *errs)
{
    if (check_scalar(node, "true or false", false, errs))
        return -1;
    if (gle_text_bool(value, node->text))
        return kind_fail(node, "true or false", errs);
    node->as = GLE_SCALAR_BOOL;
    node->text = *value ? "true" : "false"; /* "yes" is text in YAML 1.2 */
    return 0;
}

static int decode_text(const char **value, struct gle_node *node, struct gle_errors *errs)
{
    if (check_scalar(node, "a text", true, errs))
        return -1;
    node->as = GLE_SCALAR_TEXT;
    *value = node->text;
    return 0;
}

/* A file name that begins or ends with a character that cannot be seen is meant by nobody who wrote no quotes. */
static int decode_path(const char **value, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    if (check_scalar(node, "a path", true, errs))
        return -1;
    if (!*node->text)
        return null_fail(node, errs);
    if (!node->quoted && gle_utf8_framed(node->text) && gle_node_invisible(node, errs))
        return -1;
    if (gle_path_decode(doc, node, errs))
        return -1;
    node->as = GLE_SCALAR_TEXT;
    *value = node->absolute;
    return 0;
}

static int decode_reals(struct gle_reals *reals, const struct gle_key *key, struct gle_doc *doc, struct gle_node *node,
                        struct gle_errors *errs)
{
    const bool is_list = node->kind == GLE_NODE_LIST;
    const size_t n = is_list ? node->n_items : 1;
    int rc = 0;

    reals->is_list = is_list;
    reals->src = node;
    if (node->kind == GLE_NODE_MAP)
        return kind_fail(node, "a number or a list of numbers", errs);
    reals->v = gle_arena_alloc(doc->arena, n, sizeof *reals->v);
    if (!reals->v)
        return no_memory(node, errs);
    reals->n = n;
    for (size_t i = 0; i < n; i++)
        if (decode_real(&reals->v[i], key, doc, is_list ? node->items[i] : node, errs))
            rc = -1;
    return rc;
}

static int decode_texts(struct gle_texts *texts, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    int rc = 0;

    if (node->kind != GLE_NODE_LIST)
        return kind_fail(node, "a list, as in [a, b],", errs);
    texts->src = node;
    texts->v = gle_arena_alloc(doc->arena, node->n_items, sizeof *texts->v);
    if (!texts->v)
        return no_memory(node, errs);
    texts->n = node->n_items;
    for (size_t i = 0; i < texts->n; i++)
        if (decode_text(&texts->v[i], node->items[i], errs))
            rc = -1;
    return rc;
}

static int decode_name(const struct gle_row **row, const struct gle_table *table, const struct gle_note *notes,
                       struct gle_node *node, struct gle_errors *errs)
{
    if (check_scalar(node, "a name", true, errs))
        return -1;
    node->as = GLE_SCALAR_TEXT;
    *row = gle_table_find(table, node->text);
    return *row ? 0 : gle_noted(notes, node, errs) ? -1 : gle_unknown_name(table, node, errs);
}

static int decode_names(struct gle_names *names, const struct gle_key *key, struct gle_doc *doc,
                        struct gle_node *node, struct gle_errors *errs)
{
    int rc = 0;

    if (node->kind != GLE_NODE_LIST)
        return kind_fail(node, "a list, as in [a, b],", errs);
    names->src = node;
    names->v = gle_arena_alloc(doc->arena, node->n_items, sizeof *names->v);
    if (!names->v)
        return no_memory(node, errs);
    names->n = node->n_items;
    for (size_t i = 0; i < names->n; i++)
        if (decode_name(&names->v[i], key->more, key->notes, node->items[i], errs))
            rc = -1;
    return rc;
}

/* What can be said before defaults are filled in: keys that are unknown, and keys that are missing. */
static int check_keys(const struct gle_known *known, const struct gle_node *map, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < map->n_items; i++)
        if (!gle_known_key(known, map->items[i]->key))
            rc = gle_known_fail(known, map->items[i], errs);
    for (const struct gle_key *k = known->keys; k->name; k++)
        if (!k->fallback && !gle_node_get(map, k->name)) {
            rc = -1;
            if (errs->dropped || !gle_known_misspelt(known, map, k->name)) /* with so many, none is shown */
                gle_node_error(errs, GLE_ECONFIG, map, NULL, "needs the key '%s' (%s)", k->name, k->help);
        }
    return rc;
}

static int decode_named_part(struct gle_part *part, const struct gle_key *key, struct gle_doc *doc,
                             struct gle_node *node, struct gle_errors *errs)
{
    const struct gle_table *table = key->more;
    const struct gle_node *wrong;
    const struct gle_row *row;
    struct gle_node *type;
    struct gle_known known;

    if (node->kind == GLE_NODE_SCALAR) {
        if (decode_name(&row, table, NULL, node, errs))
            return -1;
        if (key->bare && !row->keys) {
            *part = (struct gle_part){.row = row, .src = node};
            return 0;
        }
        if (gle_expand_name(doc, node, "type"))
            return no_memory(node, errs);
    } else if (node->kind == GLE_NODE_LIST) {
        return kind_fail(node, "a name or a map with a type", errs);
    }
    type = gle_node_get(node, "type");
    known = gle_known_look(no_keys, "type", NULL, node);
    if (!type && (wrong = gle_known_misspelt(&known, node, "type")))
        return gle_known_fail(&known, wrong, errs);
    if (!type) {
        struct gle_names_text names = {0};
        for (size_t i = 0; (row = gle_table_at(table, i)); i++)
            gle_names_add(&names, row->name);
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "needs the key 'type' (one of: %s)", names.text);
    }
    return decode_name(&row, table, NULL, type, errs) ? -1 : gle_decode_part(part, row, "type", doc, node, errs);
}

/* allowed: without what the map has. */
static int decode_map(void *out, const struct gle_known *allowed, struct gle_doc *doc, struct gle_node *map,
                      struct gle_errors *errs);

int gle_decode_value(void *field, const struct gle_key *key, struct gle_doc *doc, struct gle_node *node,
                     struct gle_errors *errs)
{
    if (is_null(node) && key->kind != GLE_KEY_KIND_CUSTOM)
        return null_fail(node, errs);
    switch (key->kind) {
    case GLE_KEY_KIND_REAL:
        return decode_real(field, key, doc, node, errs);
    case GLE_KEY_KIND_COUNT:
        return decode_count(field, key, doc, node, errs);
    case GLE_KEY_KIND_BOOL:
        return decode_bool(field, node, errs);
    case GLE_KEY_KIND_TEXT:
        return decode_text(field, node, errs);
    case GLE_KEY_KIND_PATH:
        return decode_path(field, doc, node, errs);
    case GLE_KEY_KIND_REALS:
        return decode_reals(field, key, doc, node, errs);
    case GLE_KEY_KIND_TEXTS:
        return decode_texts(field, doc, node, errs);
    case GLE_KEY_KIND_NAME:
        return decode_name(field, key->more, key->notes, node, errs);
    case GLE_KEY_KIND_NAMES:
        return decode_names(field, key, doc, node, errs);
    case GLE_KEY_KIND_PART:
        return decode_named_part(field, key, doc, node, errs);
    case GLE_KEY_KIND_MAP:
        return decode_map(field, &(struct gle_known){.keys = key->more, .notes = key->notes}, doc, node, errs);
    case GLE_KEY_KIND_CUSTOM:
        return ((const struct gle_custom *)key->more)->decode(field, doc, node, errs);
    }
    return -1;
}

/* Finds the value of key in map, or makes it from the default. *node is NULL if there is none. */
static int find_value(struct gle_node **node, const struct gle_key *key, struct gle_doc *doc, struct gle_node *map,
                      struct gle_errors *errs)
{
    *node = gle_node_get(map, key->name);
    if (*node || !key->fallback || !*key->fallback)
        return 0;
    if (gle_node_parse(node, doc, key->fallback, "default", errs))
        return -1;
    *node = gle_node_append(doc, map, key->name, *node);
    if (!*node)
        return no_memory(map, errs);
    (*node)->filled_in = true;
    return 0;
}

static int decode_map(void *out, const struct gle_known *allowed, struct gle_doc *doc, struct gle_node *map,
                      struct gle_errors *errs)
{
    struct gle_known known;
    int rc;

    if (is_null(map))
        return null_fail(map, errs);
    if (map->kind != GLE_NODE_MAP)
        return kind_fail(map, "a map (key: value)", errs);
    known = gle_known_look(allowed->keys, allowed->skip, allowed->notes, map);
    rc = check_keys(&known, map, errs);
    for (const struct gle_key *k = known.keys; k->name; k++) {
        struct gle_node *node;
        if (find_value(&node, k, doc, map, errs) ||
            (node && gle_decode_value((unsigned char *)out + k->offset, k, doc, node, errs)))
            rc = -1;
    }
    return rc;
}

int gle_decode(void *out, const struct gle_key *keys, struct gle_doc *doc, struct gle_node *map,
               struct gle_errors *errs)
{
    return decode_map(out, &(struct gle_known){.keys = keys}, doc, map, errs);
}

int gle_decode_part(struct gle_part *part, const struct gle_row *row, const char *skip, struct gle_doc *doc,
                    struct gle_node *node, struct gle_errors *errs)
{
    assert(!row->keys || row->params_size);
    part->row = row;
    part->src = node;
    part->params = NULL;
    if (row->params_size && !(part->params = gle_arena_alloc(doc->arena, 1, row->params_size)))
        return no_memory(node, errs);
    return decode_map(part->params, &(struct gle_known){.keys = row->keys ? row->keys : no_keys, .skip = skip}, doc,
                      node, errs);
}
