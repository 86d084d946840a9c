#include "yaml/key.h"

#include "base/memory.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { NAMES_MAX = 12, PATH_BYTES = 1024, KEYS_MAX = 64 /* of a table */ };
static const struct gle_key no_keys[] = {GLE_KEY_END};

/* Names listed in a message: "a, b, c, ...". */
struct names {
    char text[256];
    size_t n_names, len;
};

static void add_name(struct names *names, const char *name)
{
    const char *shown = names->n_names < NAMES_MAX ? name : "...";

    if (names->n_names++ > NAMES_MAX || names->len + strlen(shown) + sizeof ", , ..." > sizeof names->text)
        return;
    names->len += (size_t)snprintf(names->text + names->len, sizeof names->text - names->len, "%s%s",
                                   names->len ? ", " : "", shown);
}

static int no_memory(const struct gle_node *node, struct gle_errors *errs)
{
    return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory for the config");
}

/* "what is wanted, not what stands here" */
static int kind_fail(const struct gle_node *node, const char *wanted, struct gle_errors *errs)
{
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

static int decode_real(double *value, const struct gle_key *key, struct gle_node *node, struct gle_errors *errs)
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
    return 0;
}

static int decode_count(uint64_t *value, const struct gle_key *key, struct gle_node *node, struct gle_errors *errs)
{
    static const char wanted[] = "a whole number";
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
    return check_range(key, node, node->number, errs);
}

static int decode_bool(bool *value, struct gle_node *node, struct gle_errors *errs)
{
    if (check_scalar(node, "true or false", false, errs))
        return -1;
    if (gle_text_bool(value, node->text))
        return kind_fail(node, "true or false", errs);
    node->as = GLE_SCALAR_BOOL;
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

/* Takes ".", ".." and empty parts out of an absolute path, by its text alone. */
static void normalise(char *path)
{
    const char *from = path;
    char *to = path;

    while (*from) {
        size_t n;
        from += strspn(from, "/");
        n = strcspn(from, "/");
        if (n == 2 && from[0] == '.' && from[1] == '.') {
            while (to > path && *--to != '/')
                ;
        } else if (n && !(n == 1 && *from == '.')) {
            *to++ = '/';
            memmove(to, from, n);
            to += n;
        }
        from += n;
    }
    if (to == path)
        *to++ = '/';
    *to = '\0';
}

/* The file may not be there yet, so that links are not followed. */
static int decode_path(const char **value, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    const bool from_command = !strncmp(node->file, "--set", strlen("--set"));
    const char *slash = from_command ? NULL : strrchr(node->file, '/');
    const int dir_len = slash ? (int)(slash - node->file) : 0;
    char cwd[PATH_MAX] = "";
    size_t size;
    char *path;

    if (check_scalar(node, "a path", true, errs))
        return -1;
    if (!*node->text)
        return null_fail(node, errs);
    if (*node->text != '/' && !(slash && *node->file == '/') && !getcwd(cwd, sizeof cwd))
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "the current directory cannot be found: %s",
                              strerror(errno));
    size = strlen(cwd) + (size_t)dir_len + strlen(node->text) + sizeof "//";
    path = gle_arena_alloc(doc->arena, size, 1);
    if (!path)
        return no_memory(node, errs);
    if (*node->text == '/')
        snprintf(path, size, "%s", node->text);
    else
        snprintf(path, size, "%s/%.*s/%s", cwd, dir_len, node->file, node->text);
    normalise(path);
    node->as = GLE_SCALAR_TEXT;
    node->text = *value = path;
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
        if (decode_real(&reals->v[i], key, is_list ? node->items[i] : node, errs))
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

int gle_unknown_name(const struct gle_table *table, const struct gle_node *node, struct gle_errors *errs)
{
    struct gle_suggestion near = {.word = node->text};
    struct names names = {0};
    const struct gle_row *row;

    for (size_t i = 0; (row = gle_table_at(table, i)); i++) {
        gle_suggest(&near, row->name);
        add_name(&names, row->name);
    }
    if (near.best)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "unknown %s '%.60s' (did you mean '%s'?)", table->what,
                              node->text, near.best);
    return gle_node_error(errs, GLE_ECONFIG, node, NULL, "unknown %s '%.60s' (known: %s)", table->what, node->text,
                          names.text);
}

static int decode_name(const struct gle_row **row, const struct gle_table *table, struct gle_node *node,
                       struct gle_errors *errs)
{
    if (check_scalar(node, "a name", true, errs))
        return -1;
    node->as = GLE_SCALAR_TEXT;
    *row = gle_table_find(table, node->text);
    return *row ? 0 : gle_unknown_name(table, node, errs);
}

static int decode_names(struct gle_names *names, const struct gle_table *table, struct gle_doc *doc,
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
        if (decode_name(&names->v[i], table, node->items[i], errs))
            rc = -1;
    return rc;
}

/* A bare name becomes {type: name}, so that the resolved config can show the settings beside it. */
static int expand_name(struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_node *type = gle_node_copy(doc, node);

    if (!type)
        return no_memory(node, errs);
    type->key = "type";
    type->key_line = node->line;
    type->key_column = node->column;
    node->kind = GLE_NODE_MAP;
    node->text = NULL;
    node->quoted = false;
    node->as = GLE_SCALAR_RAW;
    return gle_node_add(doc, node, type) ? no_memory(node, errs) : 0;
}

/* The keys that a map may have, and which of them it has: found once, since a map may be long. */
struct known {
    const struct gle_key *keys;
    const char *skip; /* one more; NULL: none */
    bool has[KEYS_MAX], has_skip;
};

static bool is_known(const struct known *known, const char *word)
{
    for (const struct gle_key *k = known->keys; k->name; k++)
        if (!strcmp(k->name, word))
            return true;
    return known->skip && !strcmp(known->skip, word);
}

static struct known look(const struct gle_key *keys, const char *skip, const struct gle_node *map)
{
    struct known known = {.keys = keys, .skip = skip, .has_skip = skip && gle_node_get(map, skip)};

    for (size_t i = 0; keys[i].name; i++) {
        assert(i < KEYS_MAX);
        known.has[i] = gle_node_get(map, keys[i].name);
    }
    return known;
}

/* The key that an unknown one probably means: one that the map lacks, before one that it has; NULL if none is near. */
static const char *meant_key(const struct known *known, const char *word)
{
    struct gle_suggestion missing = {.word = word}, any = {.word = word};

    if (known->skip)
        gle_suggest(known->has_skip ? &any : &missing, known->skip);
    for (size_t i = 0; known->keys[i].name; i++)
        gle_suggest(known->has[i] ? &any : &missing, known->keys[i].name);
    return missing.best ? missing.best : any.best;
}

/* The unknown key of map that probably means `name`, or NULL: where there is one, `name` is not missing besides. */
static const struct gle_node *misspelt(const struct known *known, const struct gle_node *map, const char *name)
{
    for (size_t i = 0; i < map->n_items; i++) {
        const char *word = map->items[i]->key, *meant;
        if (is_known(known, word))
            continue;
        meant = meant_key(known, word);
        if (meant && !strcmp(meant, name))
            return map->items[i];
    }
    return NULL;
}

static int unknown_key(const struct known *known, const struct gle_node *node, struct gle_errors *errs)
{
    const char *meant = meant_key(known, node->key);
    struct names names = {0};
    struct gle_error err = {0};
    char path[PATH_BYTES];

    if (known->skip)
        add_name(&names, known->skip);
    for (const struct gle_key *k = known->keys; k->name; k++)
        add_name(&names, k->name);
    if (meant)
        gle_fail(&err, GLE_ECONFIG, "unknown key '%s' (did you mean '%s'?)", node->key, meant);
    else if (names.len)
        gle_fail(&err, GLE_ECONFIG, "unknown key '%s' (known here: %s)", node->key, names.text);
    else
        gle_fail(&err, GLE_ECONFIG, "unknown key '%s' (none is known here)", node->key);
    gle_node_path(path, sizeof path, node, NULL);
    gle_error_place(&err, node->file, node->key_line, node->key_column, path);
    return gle_errors_add(errs, &err);
}

/* What can be said before defaults are filled in: keys that are unknown, and keys that are missing. */
static int check_keys(const struct gle_key *keys, const char *skip, const struct gle_node *map,
                      struct gle_errors *errs)
{
    const struct known known = look(keys, skip, map);
    int rc = 0;

    for (size_t i = 0; i < map->n_items; i++)
        if (!is_known(&known, map->items[i]->key))
            rc = unknown_key(&known, map->items[i], errs);
    for (const struct gle_key *k = keys; k->name; k++)
        if (!k->fallback && !gle_node_get(map, k->name)) {
            rc = -1;
            if (errs->dropped || !misspelt(&known, map, k->name)) /* who has so many errors need not wait for it */
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
    struct known known;

    if (node->kind == GLE_NODE_SCALAR) {
        if (decode_name(&row, table, node, errs))
            return -1;
        if (key->bare && !row->keys) {
            *part = (struct gle_part){.row = row, .src = node};
            return 0;
        }
        if (expand_name(doc, node, errs))
            return -1;
    } else if (node->kind == GLE_NODE_LIST) {
        return kind_fail(node, "a name or a map with a type", errs);
    }
    type = gle_node_get(node, "type");
    known = look(no_keys, "type", node);
    if (!type && (wrong = misspelt(&known, node, "type")))
        return unknown_key(&known, wrong, errs);
    if (!type) {
        struct names names = {0};
        for (size_t i = 0; (row = gle_table_at(table, i)); i++)
            add_name(&names, row->name);
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "needs the key 'type' (one of: %s)", names.text);
    }
    return decode_name(&row, table, type, errs) ? -1 : gle_decode_part(part, row, "type", doc, node, errs);
}

int gle_decode_value(void *field, const struct gle_key *key, struct gle_doc *doc, struct gle_node *node,
                     struct gle_errors *errs)
{
    if (is_null(node) && key->kind != GLE_KEY_KIND_CUSTOM)
        return null_fail(node, errs);
    switch (key->kind) {
    case GLE_KEY_KIND_REAL:
        return decode_real(field, key, node, errs);
    case GLE_KEY_KIND_COUNT:
        return decode_count(field, key, node, errs);
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
        return decode_name(field, key->more, node, errs);
    case GLE_KEY_KIND_NAMES:
        return decode_names(field, key->more, doc, node, errs);
    case GLE_KEY_KIND_PART:
        return decode_named_part(field, key, doc, node, errs);
    case GLE_KEY_KIND_MAP:
        return gle_decode(field, key->more, doc, node, errs);
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
    return *node ? 0 : no_memory(map, errs);
}

static int decode_map(void *out, const struct gle_key *keys, const char *skip, struct gle_doc *doc,
                      struct gle_node *map, struct gle_errors *errs)
{
    int rc;

    if (is_null(map))
        return null_fail(map, errs);
    if (map->kind != GLE_NODE_MAP)
        return kind_fail(map, "a map (key: value)", errs);
    rc = check_keys(keys, skip, map, errs);
    for (const struct gle_key *k = keys; k->name; k++) {
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
    return decode_map(out, keys, NULL, doc, map, errs);
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
    return decode_map(part->params, row->keys ? row->keys : no_keys, skip, doc, node, errs);
}
