/* From the tables of keys to a JSON Schema. A value that can be written in several ways becomes one schema for each
 * type of JSON, chosen by if and then, so that a message is about the way that was tried. */
#include "schema/schema.h"
#include "base/text.h"
#include "config/experiment.h"
#include "config/keys.h"
#include "report/json.h"
#include "schema/inside.h"

#include <assert.h>
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { INDENT = 1 };

static const char *const shape_types[SHAPES] = {"number", "boolean", "string", "array", "object"};

static json_t *shaped(struct gle_schema *s, const struct gle_key *key, enum gle_schema_shape shape);

/* --- JSON, noting a lack of memory --- */

/* Takes value over. */
void gle_schema_set(struct gle_schema *s, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value))
        s->failed = true;
}

static void append(struct gle_schema *s, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value))
        s->failed = true;
}

json_t *gle_schema_text(struct gle_schema *s, const char *words)
{
    json_t *out = json_string(words);

    s->failed = s->failed || !out;
    return out;
}

json_t *gle_schema_typed(struct gle_schema *s, const char *type)
{
    json_t *out = json_object();

    gle_schema_set(s, out, "type", gle_schema_text(s, type));
    return out;
}

/* One of two schemas: b, if a is NULL, and a, if b is. Takes both over. Words become one list of words, patterns of
 * keys one list of patterns. */
json_t *gle_schema_either(struct gle_schema *s, json_t *a, json_t *b)
{
    static const char *const lists[] = {"enum", "enumDescriptions"};
    json_t *out, *any;

    if (!a || !b)
        return a ? a : b;
    if (json_object_get(a, "patternProperties") && json_object_get(b, "patternProperties")) {
        if (json_object_update(json_object_get(a, "patternProperties"), json_object_get(b, "patternProperties")))
            s->failed = true;
        json_decref(b);
        return a;
    }
    if (json_object_get(a, "enum") && json_object_get(b, "enum")) {
        for (size_t i = 0; i < 2; i++)
            if (json_array_extend(json_object_get(a, lists[i]), json_object_get(b, lists[i])))
                s->failed = true;
        json_decref(b);
        return a;
    }
    any = json_array();
    append(s, any, a);
    append(s, any, b);
    out = json_object();
    gle_schema_set(s, out, "anyOf", any);
    return out;
}

/* --- names --- */

bool gle_schema_is_taken(const struct gle_row *row, bool (*takes)(const struct gle_row *))
{
    return !takes || takes(row);
}

static bool needs_setting(const struct gle_row *row)
{
    for (const struct gle_key *k = row->keys; k && k->name; k++)
        if (!k->fallback)
            return true;
    return false;
}

/* The names of rows, each with its help; bare: only of those that can do without settings. NULL: there are none. */
json_t *gle_schema_names(struct gle_schema *s, const struct gle_table *table, bool (*takes)(const struct gle_row *),
                         bool bare)
{
    json_t *out = json_object(), *list = json_array(), *words = json_array();
    const struct gle_row *row;

    for (size_t i = 0; (row = gle_table_at(table, i)); i++) {
        if (!gle_schema_is_taken(row, takes) || (bare && needs_setting(row)))
            continue;
        append(s, list, gle_schema_text(s, row->name));
        append(s, words, gle_schema_text(s, row->help));
    }
    if (!json_array_size(list)) {
        json_decref(out);
        json_decref(list);
        json_decref(words);
        return NULL;
    }
    gle_schema_set(s, out, "enum", list);
    gle_schema_set(s, out, "enumDescriptions", words);
    return out;
}

static json_t *word(struct gle_schema *s, const struct gle_form *form)
{
    json_t *out = json_object(), *list = json_array(), *words = json_array();

    append(s, list, gle_schema_text(s, form->word));
    append(s, words, gle_schema_text(s, form->help));
    gle_schema_set(s, out, "enum", list);
    gle_schema_set(s, out, "enumDescriptions", words);
    return out;
}

/* --- numbers and texts --- */

static void limit(struct gle_schema *s, json_t *out, const char *which, double value)
{
    if (isfinite(value))
        gle_schema_set(s, out, which,
            value == floor(value) && fabs(value) < 1e15 ? json_integer((json_int_t)value) : json_real(value));
}

static json_t *number(struct gle_schema *s, const struct gle_key *key)
{
    json_t *out = gle_schema_typed(s, key->kind == GLE_KEY_KIND_COUNT ? "integer" : "number");

    limit(s, out, "minimum", key->low);
    limit(s, out, "maximum", key->high);
    return out;
}

/* Whatever stands there is text, also what looks like a number. */
static json_t *free_text(struct gle_schema *s, const char *pattern)
{
    json_t *out = json_object(), *types = json_array();

    append(s, types, gle_schema_text(s, shape_types[WORD]));
    append(s, types, gle_schema_text(s, shape_types[NUMBER]));
    append(s, types, gle_schema_text(s, shape_types[FLAG]));
    gle_schema_set(s, out, "type", types);
    if (pattern)
        gle_schema_set(s, out, "pattern", gle_schema_text(s, pattern));
    return out;
}

/* Takes items over. */
json_t *gle_schema_list_of(struct gle_schema *s, json_t *items, size_t least, size_t most)
{
    json_t *out = gle_schema_typed(s, shape_types[LIST]);

    gle_schema_set(s, out, "items", items);
    if (least)
        gle_schema_set(s, out, "minItems", json_integer((json_int_t)least));
    if (most)
        gle_schema_set(s, out, "maxItems", json_integer((json_int_t)most));
    return out;
}

/* --- maps --- */

/* A default as JSON. Plain words are texts unless the key is a flag. */
static json_t *written(struct gle_schema *s, const struct gle_node *node, bool flag)
{
    json_t *out;
    double real;
    bool yes;

    if (node->kind == GLE_NODE_SCALAR) {
        if (flag && !gle_text_bool(&yes, node->text))
            return json_boolean(yes);
        if (node->quoted || gle_text_real(&real, node->text) || !isfinite(real))
            return gle_schema_text(s, node->text);
        return real == floor(real) && fabs(real) < 1e15 ? json_integer((json_int_t)real) : json_real(real);
    }
    out = node->kind == GLE_NODE_LIST ? json_array() : json_object();
    for (size_t i = 0; i < node->n_items; i++)
        if (node->kind == GLE_NODE_LIST)
            append(s, out, written(s, node->items[i], false));
        else
            gle_schema_set(s, out, node->items[i]->key, written(s, node->items[i], false));
    return out;
}

static void set_default(struct gle_schema *s, json_t *out, const struct gle_key *key)
{
    struct gle_errors errs = {0};
    struct gle_node *node;

    if (!key->fallback || !*key->fallback)
        return;
    if (gle_node_parse(&node, s->doc, key->fallback, "default", &errs))
        s->failed = true;
    else
        gle_schema_set(s, out, "default", written(s, node, key->kind == GLE_KEY_KIND_BOOL));
}

/* The value of a key, with what there is to say about it. */
json_t *gle_schema_explained(struct gle_schema *s, const struct gle_key *key)
{
    json_t *out = gle_schema_value_of(s, key);
    char help[600];

    if (!key->help)
        return out;
    snprintf(help, sizeof help, key->unit[0] ? "%s (unit: %s)" : "%s", key->help, key->unit);
    gle_schema_set(s, out, "description", gle_schema_text(s, help));
    if (key->unit[0])
        gle_schema_set(s, out, "x-unit", gle_schema_text(s, key->unit));
    return out;
}

static json_t *with_default(struct gle_schema *s, const struct gle_key *key)
{
    json_t *out = gle_schema_explained(s, key);

    set_default(s, out, key);
    return out;
}

/* skip: a key that is there besides, and is looked at elsewhere; or NULL. */
static json_t *map_of(struct gle_schema *s, const struct gle_key *keys, const char *skip)
{
    json_t *out = gle_schema_typed(s, shape_types[MAP]), *properties = json_object(), *required = json_array();

    if (skip)
        gle_schema_set(s, properties, skip, json_object());
    for (const struct gle_key *k = keys; k && k->name; k++) {
        gle_schema_set(s, properties, k->name, with_default(s, k));
        if (!k->fallback)
            append(s, required, gle_schema_text(s, k->name));
    }
    gle_schema_set(s, out, "properties", properties);
    gle_schema_set(s, out, "additionalProperties", json_false());
    if (json_array_size(required))
        gle_schema_set(s, out, "required", required);
    else
        json_decref(required);
    return out;
}

/* --- rows with their settings --- */

/* {key: value} as a condition; value NULL: whatever it is. Takes value over. */
static json_t *has(struct gle_schema *s, const char *key, json_t *value)
{
    json_t *out = json_object(), *properties = json_object(), *required = json_array();

    append(s, required, gle_schema_text(s, key));
    gle_schema_set(s, out, "required", required);
    if (value) {
        gle_schema_set(s, properties, key, value);
        gle_schema_set(s, out, "properties", properties);
    } else {
        json_decref(properties);
    }
    return out;
}

static json_t *constant(struct gle_schema *s, const char *value)
{
    json_t *out = json_object();

    gle_schema_set(s, out, "const", gle_schema_text(s, value));
    return out;
}

/* Takes both over. */
static json_t *when(struct gle_schema *s, json_t *condition, json_t *then)
{
    json_t *out = json_object();

    gle_schema_set(s, out, "if", condition);
    gle_schema_set(s, out, "then", then);
    return out;
}

/* {type: name, ...settings} */
static json_t *typed_part(struct gle_schema *s, const struct gle_table *table)
{
    json_t *out = has(s, "type", gle_schema_names(s, table, NULL, false)), *branches = json_array();
    const struct gle_row *row;

    gle_schema_set(s, out, "type", gle_schema_text(s, shape_types[MAP]));
    for (size_t i = 0; (row = gle_table_at(table, i)); i++)
        append(s, branches, when(s, has(s, "type", constant(s, row->name)), map_of(s, row->keys, "type")));
    gle_schema_set(s, out, "allOf", branches);
    return out;
}

static bool tells_itself(const struct gle_row *row)
{
    for (const struct gle_key *k = row->keys; k && k->name; k++)
        if (!strcmp(k->name, row->name))
            return true;
    return false;
}

/* A map without the selector: told by a setting, or else the first row. */
static json_t *untold_part(struct gle_schema *s, const struct gle_form *form)
{
    const struct gle_row *row, *first = gle_table_at(form->table, 0);
    json_t *out = NULL;

    for (size_t i = 0; (row = gle_table_at(form->table, i)); i++) {
        json_t *branch;
        if (!gle_schema_is_taken(row, form->takes) || !tells_itself(row))
            continue;
        branch = when(s, has(s, row->name, NULL), map_of(s, row->keys, NULL));
        if (out)
            gle_schema_set(s, branch, "else", out);
        else if (gle_schema_is_taken(first, form->takes))
            gle_schema_set(s, branch, "else", map_of(s, first->keys, NULL));
        else
            gle_schema_set(s, branch, "else", has(s, row->name, NULL));
        out = branch;
    }
    return out;
}

/* The same, or {type: name, ...settings} by the selector's other name. */
static json_t *aliased_part(struct gle_schema *s, const struct gle_form *form)
{
    json_t *out = when(s, has(s, form->alias, NULL), typed_part(s, form->table));

    assert(!strcmp(form->alias, "type"));
    gle_schema_set(s, out, "else", untold_part(s, form));
    return out;
}

/* {init: name, ...settings}, {init: {...}}, or the settings alone */
static json_t *selected_part(struct gle_schema *s, const struct gle_form *form, const struct gle_key *key)
{
    json_t *out = gle_schema_typed(s, shape_types[MAP]), *branches = json_array(), *properties = json_object(), *nested;
    const struct gle_row *row;

    for (size_t i = 0; (row = gle_table_at(form->table, i)); i++)
        if (gle_schema_is_taken(row, form->takes))
            append(s, branches,
                   when(s, has(s, form->word, constant(s, row->name)), map_of(s, row->keys, form->word)));
    nested = when(s, has(s, form->word, gle_schema_typed(s, shape_types[MAP])),
                  has(s, form->word, gle_schema_value_of(s, key)));
    gle_schema_set(s, json_object_get(nested, "then"), "maxProperties", json_integer(1));
    append(s, branches, nested);
    gle_schema_set(s, properties, form->word,
        gle_schema_either(s, gle_schema_names(s, form->table, form->takes, false),
                          gle_schema_typed(s, shape_types[MAP])));
    gle_schema_set(s, out, "properties", properties);
    gle_schema_set(s, out, "if", has(s, form->word, NULL));
    gle_schema_set(s, out, "then", json_object());
    gle_schema_set(s, json_object_get(out, "then"), "allOf", branches);
    if (form->alias)
        gle_schema_set(s, out, "else", aliased_part(s, form));
    else
        gle_schema_set(s, out, "else", untold_part(s, form));
    return out;
}

/* --- values of several shapes --- */

static json_t *form_shaped(struct gle_schema *s, const struct gle_form *form, const struct gle_key *key,
                           enum gle_schema_shape shape)
{
    json_t *out, *patterns;

    switch (form->kind) {
    case GLE_FORM_VALUE:
        out = shaped(s, form->key, shape);
        if (!out || shape != MAP || form->key->kind != GLE_KEY_KIND_CUSTOM)
            return out;
        json_decref(out); /* the whole definition says the same of a map, and shorter */
        return gle_schema_value_of(s, form->key);
    case GLE_FORM_WORD:
        return shape == WORD ? word(s, form) : NULL;
    case GLE_FORM_LIST:
        return shape == LIST ? gle_schema_list_of(s, gle_schema_value_of(s, form->key), 1, form->most) : NULL;
    case GLE_FORM_PART:
        return shape == WORD  ? gle_schema_names(s, form->table, form->takes, true)
               : shape == MAP ? selected_part(s, form, key)
                              : NULL;
    case GLE_FORM_NAMED:
        if (shape != MAP)
            return NULL;
        out = gle_schema_typed(s, shape_types[MAP]);
        patterns = json_object();
        gle_schema_set(s, patterns, form->word, gle_schema_explained(s, form->key));
        gle_schema_set(s, out, "patternProperties", patterns);
        gle_schema_set(s, out, "additionalProperties", json_false());
        return out;
    case GLE_FORM_CHANGES:
    case GLE_FORM_CHOICES:
        return shape == MAP ? gle_schema_changes(s, form) : NULL;
    case GLE_FORM_END:
        break;
    }
    return NULL;
}

/* The value of a key if it has this shape; NULL: it never has. */
static json_t *shaped(struct gle_schema *s, const struct gle_key *key, enum gle_schema_shape shape)
{
    struct gle_key item = *key;
    json_t *out = NULL;

    switch (key->kind) {
    case GLE_KEY_KIND_REAL:
    case GLE_KEY_KIND_COUNT:
        return shape == NUMBER ? number(s, key) : NULL;
    case GLE_KEY_KIND_BOOL:
        return shape == FLAG ? gle_schema_typed(s, shape_types[FLAG]) : NULL;
    case GLE_KEY_KIND_REALS:
        if (shape == NUMBER)
            return key->least > 1 ? NULL : number(s, key);
        return shape == LIST ? gle_schema_list_of(s, number(s, key), key->least, key->most) : NULL;
    case GLE_KEY_KIND_TEXTS:
        return shape == LIST ? gle_schema_list_of(s, free_text(s, key->more), 0, 0) : NULL;
    case GLE_KEY_KIND_NAME:
        return shape == WORD ? gle_schema_names(s, key->more, NULL, false) : NULL;
    case GLE_KEY_KIND_NAMES:
        item.kind = GLE_KEY_KIND_NAME;
        return shape == LIST ? gle_schema_list_of(s, gle_schema_value_of(s, &item), 0, 0) : NULL;
    case GLE_KEY_KIND_PART:
        return shape == WORD  ? gle_schema_names(s, key->more, NULL, true)
               : shape == MAP ? typed_part(s, key->more)
                              : NULL;
    case GLE_KEY_KIND_MAP:
        return shape == MAP ? map_of(s, key->more, NULL) : NULL;
    case GLE_KEY_KIND_CUSTOM:
        for (const struct gle_form *f = ((const struct gle_custom *)key->more)->forms; f->kind; f++)
            out = gle_schema_either(s, out, form_shaped(s, f, key, shape));
        return out;
    case GLE_KEY_KIND_TEXT: /* of any shape of a scalar: see gle_schema_value_of(). Here one form of several */
        out = shape == WORD || (shape == NUMBER && !key->more) ? gle_schema_typed(s, shape_types[shape]) : NULL;
        if (out && key->more)
            gle_schema_set(s, out, "pattern", gle_schema_text(s, key->more));
        return out;
    case GLE_KEY_KIND_PATH:
        break;
    }
    return NULL;
}

static json_t *all_shapes(struct gle_schema *s, const struct gle_key *key)
{
    json_t *of[SHAPES], *types = json_array(), *branches = json_array(), *out = NULL;
    size_t n = 0;

    for (enum gle_schema_shape i = 0; i < SHAPES; i++) {
        of[i] = shaped(s, key, i);
        if (!of[i])
            continue;
        out = of[i];
        n++;
        append(s, types, gle_schema_text(s, shape_types[i]));
        append(s, branches, when(s, gle_schema_typed(s, shape_types[i]), json_incref(out)));
    }
    if (n > 1) {
        for (enum gle_schema_shape i = 0; i < SHAPES; i++)
            json_decref(of[i]);
        out = json_object();
        gle_schema_set(s, out, "type", types);
        gle_schema_set(s, out, "allOf", branches);
        return out;
    }
    json_decref(types);
    json_decref(branches);
    return out;
}

/* --- definitions --- */

/* The name under which `of` is defined, or is to be: then *fresh. */
static const char *define(struct gle_schema *s, const void *of, const char *words, bool *fresh)
{
    struct gle_schema_definition *d = s->known;
    size_t n = 0;

    while (d < s->known + s->n_known && d->of != of)
        d++;
    *fresh = d == s->known + s->n_known;
    if (!*fresh)
        return d->name;
    assert(s->n_known < GLE_SCHEMA_DEFINITIONS_MAX);
    s->n_known++;
    d->of = of;
    for (; *words && n < sizeof d->name - 4; words++)
        if (isalnum((unsigned char)*words))
            d->name[n++] = *words;
        else if (n && d->name[n - 1] != '_')
            d->name[n++] = '_';
    for (unsigned i = 2; json_object_get(s->definitions, d->name); i++)
        snprintf(d->name + n, sizeof d->name - n, "_%u", i % 100);
    return d->name;
}

/* Maps, parts and custom values are defined once, and referred to. */
json_t *gle_schema_value_of(struct gle_schema *s, const struct gle_key *key)
{
    const char *words = key->name, *name;
    char path[64];
    json_t *out;
    bool fresh;

    if (key->kind == GLE_KEY_KIND_TEXT || key->kind == GLE_KEY_KIND_PATH)
        return free_text(s, key->more);
    if (key->kind == GLE_KEY_KIND_CUSTOM)
        words = ((const struct gle_custom *)key->more)->type;
    else if (key->kind == GLE_KEY_KIND_PART)
        words = ((const struct gle_table *)key->more)->what;
    else if (key->kind != GLE_KEY_KIND_MAP)
        return all_shapes(s, key);
    name = define(s, key->more, words, &fresh);
    if (fresh) {
        gle_schema_set(s, s->definitions, name, json_null()); /* keeps the name, and the order */
        gle_schema_set(s, s->definitions, name, all_shapes(s, key));
    }
    snprintf(path, sizeof path, "#/definitions/%s", name);
    out = json_object();
    gle_schema_set(s, out, "$ref", gle_schema_text(s, path));
    return out;
}

/* --- the whole --- */

/* Keys at the top of a file that nothing reads. */
static void add_notes(struct gle_schema *s, json_t *file)
{
    json_t *patterns = json_object(), *note = json_object();

    gle_schema_set(s, note, "description",
                   gle_schema_text(s, "passed over: a note, or anchors for the rest of the file"));
    gle_schema_set(s, patterns, "^x-", note);
    gle_schema_set(s, file, "patternProperties", patterns);
}

char *gle_schema_json(void)
{
    static const char empty[] = "{}";
    const size_t begun = gle_json_begin();
    struct gle_schema s = {.definitions = json_object()};
    struct gle_errors errs = {0};
    json_t *root = json_object(), *file = NULL;
    char *out;

    if (!s.definitions || !root || gle_doc_parse(&s.doc, empty, strlen(empty), "defaults", &errs))
        s.failed = true;
    if (!s.failed) {
        gle_schema_set(&s, root, "$schema", gle_schema_text(&s, "http://json-schema.org/draft-07/schema#"));
        gle_schema_set(&s, root, "$id", gle_schema_text(&s, "urn:glesim:config:1"));
        gle_schema_set(&s, root, "title", gle_schema_text(&s, "glesim config"));
        file = map_of(&s, gle_experiment_keys, NULL);
        add_notes(&s, file);
        s.failed = s.failed || json_object_update(root, file) || json_object_set(root, "definitions", s.definitions);
    }
    json_decref(file);
    json_decref(s.definitions);
    if (s.failed) {
        json_decref(root);
        root = NULL;
    }
    out = gle_json_end(root, INDENT, begun);
    gle_doc_destroy(s.doc);
    return out;
}
