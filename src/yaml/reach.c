#include "yaml/reach.h"

#include "base/text.h"
#include "yaml/step.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { DEPTH_MAX = 4, WORD_MIN = 4 /* shorter ones are near to too many */ };

/* --- looking for a key further down --- */

struct hunt {
    struct gle_places *places;
    struct gle_places near; /* one place, a letter off */
};

static void search(struct hunt *hunt, const struct gle_key *keys, const struct gle_node *map, const char *path,
                   size_t depth);

/* "path.name"; a longer one is cut, and named by nobody. Returns -1 then. */
static int join(char to[GLE_PLACE_BYTES], const char *path, const char *name)
{
    const int n = snprintf(to, GLE_PLACE_BYTES, "%s%s%s", path, *path && *name != '[' ? "." : "", name);

    return n < GLE_PLACE_BYTES ? 0 : -1;
}

static void note_place(struct gle_places *places, const char *path, const char *name)
{
    char *to;

    if (places->n == GLE_PLACES_MAX || join(to = places->path[places->n], path, name))
        return;
    for (size_t i = 0; i < places->n; i++)
        if (!strcmp(places->path[i], to)) /* rows of a table share settings */
            return;
    places->n++;
}

static void try_name(struct hunt *hunt, const char *path, const char *name)
{
    struct gle_suggestion near = {.word = hunt->places->word};

    if (!strcasecmp(name, near.word)) {
        note_place(hunt->places, path, name);
        return;
    }
    gle_suggest(&near, name);
    if (near.best && near.distance == 1 && strlen(near.word) >= WORD_MIN && !hunt->near.n)
        note_place(&hunt->near, path, name);
}

/* The row that a part names by itself or under `word`; NULL if it is not known. */
static const struct gle_row *named_row(const struct gle_table *table, const struct gle_node *part, const char *word)
{
    const struct gle_node *name = part && part->kind == GLE_NODE_MAP ? gle_node_get(part, word) : part;

    return name && name->kind == GLE_NODE_SCALAR ? gle_table_find(table, name->text) : NULL;
}

static void search_rows(struct hunt *hunt, const struct gle_table *table, const char *word, const struct gle_node *part,
                        const char *path, size_t depth)
{
    const struct gle_row *named = named_row(table, part, word), *row;

    for (size_t i = 0; (row = gle_table_at(table, i)); i++)
        if (row->keys && (!named || row == named))
            search(hunt, row->keys, part, path, depth);
}

/* value may be NULL. */
static void search_value(struct hunt *hunt, const struct gle_key *key, const struct gle_node *value, const char *path,
                         size_t depth)
{
    const struct gle_form *form =
        key->kind == GLE_KEY_KIND_CUSTOM ? ((const struct gle_custom *)key->more)->forms : NULL;

    if (key->kind == GLE_KEY_KIND_MAP)
        search(hunt, key->more, value, path, depth);
    else if (key->kind == GLE_KEY_KIND_PART)
        search_rows(hunt, key->more, "type", value, path, depth);
    for (; form && form->kind != GLE_FORM_END; form++) {
        char item[GLE_PLACE_BYTES];
        if (form->kind == GLE_FORM_VALUE)
            search_value(hunt, form->key, value, path, depth);
        else if (form->kind == GLE_FORM_LIST && !join(item, path, "[0]"))
            search_value(hunt, form->key, NULL, item, depth);
        else if (form->kind == GLE_FORM_PART && form->word)
            search_rows(hunt, form->table, form->word, value, path, depth);
    }
}

/* Tries the keys that are `depth` levels below those of map, which may be NULL. */
static void search(struct hunt *hunt, const struct gle_key *keys, const struct gle_node *map, const char *path,
                   size_t depth)
{
    for (const struct gle_key *k = keys; k->name; k++) {
        char below[GLE_PLACE_BYTES];
        if (!depth) {
            try_name(hunt, path, k->name);
            continue;
        }
        if (!join(below, path, k->name))
            search_value(hunt, k, map ? gle_node_get(map, k->name) : NULL, below, depth - 1);
    }
}

void gle_places_find(struct gle_places *places, const struct gle_key *keys, const struct gle_node *map)
{
    struct hunt hunt = {.places = places};
    char path[GLE_PLACE_BYTES];

    gle_node_path(path, sizeof path, map, NULL);
    for (size_t depth = 1; depth <= DEPTH_MAX; depth++)
        search(&hunt, keys, map, path, depth);
    places->exact = places->n > 0;
    if (!places->n) {
        places->n = hunt.near.n;
        memcpy(places->path, hunt.near.path, sizeof places->path);
    }
}

/* --- making a way down --- */

int gle_expand_name(struct gle_doc *doc, struct gle_node *node, const char *word)
{
    struct gle_node *name = gle_node_copy(doc, node), map = *node;

    if (!name)
        return -1;
    name->key = word;
    name->key_line = node->line;
    name->key_column = node->column;
    map.kind = GLE_NODE_MAP;
    map.text = NULL;
    map.quoted = false;
    map.as = GLE_SCALAR_RAW;
    map.items = NULL;
    map.n_items = 0;
    if (gle_node_add(doc, &map, name))
        return -1;
    *node = map;
    name->parent = node;
    return 0;
}

static const struct gle_key *key_of(const struct gle_key *keys, const struct gle_step *step)
{
    for (; keys && keys->name && !step->is_index; keys++)
        if (strlen(keys->name) == step->len && !strncmp(keys->name, step->text, step->len))
            return keys;
    return NULL;
}

static const struct gle_form *form_of(const struct gle_key *key, enum gle_form_kind kind)
{
    const struct gle_form *form = ((const struct gle_custom *)key->more)->forms;

    while (form && form->kind != GLE_FORM_END && form->kind != kind)
        form++;
    return form && form->kind != GLE_FORM_END ? form : NULL;
}

/* What a part that is missing from `map` would be. *part stays NULL where it has no default. */
static int add_default(struct gle_node **part, struct gle_doc *doc, struct gle_node *map, const struct gle_key *key,
                       struct gle_errors *errs)
{
    if (!key->fallback || !*key->fallback || map->kind != GLE_NODE_MAP)
        return 0;
    if (gle_node_parse(part, doc, key->fallback, "default", errs))
        return -1;
    *part = gle_node_append(doc, map, key->name, *part);
    return *part ? 0 : gle_node_error(errs, GLE_ENOMEM, map, NULL, "no memory for the config");
}

/* Makes a map of a part, and *keys those of its row; NULL where it cannot be one. any: whatever text stands there is
 * meant as a name. */
static int open_part(const struct gle_key **keys, struct gle_doc *doc, const struct gle_table *table, const char *word,
                     bool any, struct gle_node *part, struct gle_errors *errs)
{
    const struct gle_row *row;

    *keys = NULL;
    if (part->kind == GLE_NODE_SCALAR) {
        if (!*part->text || !(any || gle_table_find(table, part->text)))
            return 0;
        if (gle_expand_name(doc, part, word))
            return gle_node_error(errs, GLE_ENOMEM, part, NULL, "no memory for the config");
    }
    row = named_row(table, part, word);
    *keys = row ? row->keys : NULL;
    return 0;
}

int gle_reach(struct gle_doc *doc, const struct gle_key *keys, const char *path, struct gle_errors *errs)
{
    struct gle_step step = {.rest = path};
    struct gle_node *at = doc->root;

    while (keys && at) {
        const struct gle_key *key;
        const struct gle_form *form;
        struct gle_node *value;
        if (gle_step_take(&step, step.rest) || !*step.rest || !(key = key_of(keys, &step)))
            return 0;
        value = gle_step_child(&step, at);
        while (value && *step.rest == '[' && key->kind == GLE_KEY_KIND_CUSTOM && (form = form_of(key, GLE_FORM_LIST))) {
            key = form->key;
            value = gle_step_take(&step, step.rest) ? NULL : gle_step_child(&step, value);
            if (!*step.rest)
                return 0;
        }
        if (key->kind == GLE_KEY_KIND_CUSTOM && (form = form_of(key, GLE_FORM_VALUE)) &&
            form->key->kind == GLE_KEY_KIND_MAP)
            key = form->key;
        keys = key->kind == GLE_KEY_KIND_MAP ? key->more : NULL;
        if (!value && key->kind == GLE_KEY_KIND_PART && add_default(&value, doc, at, key, errs))
            return -1;
        if (value && key->kind == GLE_KEY_KIND_PART && open_part(&keys, doc, key->more, "type", true, value, errs))
            return -1;
        form = key->kind == GLE_KEY_KIND_CUSTOM ? form_of(key, GLE_FORM_PART) : NULL;
        if (value && form && form->word && open_part(&keys, doc, form->table, form->word, false, value, errs))
            return -1;
        at = value;
    }
    return 0;
}
