/* From the tables of keys to a JSON Schema. A value that can be written in several ways becomes one schema for each
 * type of JSON, chosen by if and then, so that a message is about the way that was tried. */
#include "report/schema.h"
#include "base/text.h"
#include "config/experiment.h"
#include "report/json.h"

#include <assert.h>
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DEFINITIONS_MAX = 64, INDENT = 1, PATH_BYTES = 512 };

/* What a value is in JSON. */
enum shape { NUMBER, FLAG, WORD, LIST, MAP, SHAPES };
static const char *const shape_types[SHAPES] = {"number", "boolean", "string", "array", "object"};

/* Parts of the schema that are referred to, each made from one object of the program. */
struct definition {
    const void *of;
    char name[48];
};
struct schema {
    json_t *definitions;
    struct definition known[DEFINITIONS_MAX];
    size_t n_known;
    struct gle_doc *doc; /* where defaults are parsed */
    bool failed;
};

static json_t *value_of(struct schema *s, const struct gle_key *key);
static json_t *shaped(struct schema *s, const struct gle_key *key, enum shape shape);

/* --- JSON, noting a lack of memory --- */

/* Takes value over. */
static void set(struct schema *s, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value))
        s->failed = true;
}

static void append(struct schema *s, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value))
        s->failed = true;
}

static json_t *text(struct schema *s, const char *words)
{
    json_t *out = json_string(words);

    s->failed = s->failed || !out;
    return out;
}

static json_t *typed(struct schema *s, const char *type)
{
    json_t *out = json_object();

    set(s, out, "type", text(s, type));
    return out;
}

/* One of two schemas: b, if a is NULL, and a, if b is. Takes both over. Words become one list of words, patterns of
 * keys one list of patterns. */
static json_t *either(struct schema *s, json_t *a, json_t *b)
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
    set(s, out, "anyOf", any);
    return out;
}

/* --- names --- */

static bool is_taken(const struct gle_row *row, bool (*takes)(const struct gle_row *))
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
static json_t *names(struct schema *s, const struct gle_table *table, bool (*takes)(const struct gle_row *), bool bare)
{
    json_t *out = json_object(), *list = json_array(), *words = json_array();
    const struct gle_row *row;

    for (size_t i = 0; (row = gle_table_at(table, i)); i++) {
        char help[400];
        if (!is_taken(row, takes) || (bare && needs_setting(row)))
            continue;
        snprintf(help, sizeof help, "%s%s", row->help, row->pending ? " (not in this version yet)" : "");
        append(s, list, text(s, row->name));
        append(s, words, text(s, help));
    }
    if (!json_array_size(list)) {
        json_decref(out);
        json_decref(list);
        json_decref(words);
        return NULL;
    }
    set(s, out, "enum", list);
    set(s, out, "enumDescriptions", words);
    return out;
}

static json_t *word(struct schema *s, const struct gle_form *form)
{
    json_t *out = json_object(), *list = json_array(), *words = json_array();

    append(s, list, text(s, form->word));
    append(s, words, text(s, form->help));
    set(s, out, "enum", list);
    set(s, out, "enumDescriptions", words);
    return out;
}

/* --- numbers and texts --- */

static void limit(struct schema *s, json_t *out, const char *which, double value)
{
    if (isfinite(value))
        set(s, out, which,
            value == floor(value) && fabs(value) < 1e15 ? json_integer((json_int_t)value) : json_real(value));
}

static json_t *number(struct schema *s, const struct gle_key *key)
{
    json_t *out = typed(s, key->kind == GLE_KEY_KIND_COUNT ? "integer" : "number");

    limit(s, out, "minimum", key->low);
    limit(s, out, "maximum", key->high);
    return out;
}

/* Whatever stands there is text, also what looks like a number. */
static json_t *free_text(struct schema *s, const char *pattern)
{
    json_t *out = json_object(), *types = json_array();

    append(s, types, text(s, shape_types[WORD]));
    append(s, types, text(s, shape_types[NUMBER]));
    append(s, types, text(s, shape_types[FLAG]));
    set(s, out, "type", types);
    if (pattern)
        set(s, out, "pattern", text(s, pattern));
    return out;
}

/* Takes items over. */
static json_t *list_of(struct schema *s, json_t *items, size_t least)
{
    json_t *out = typed(s, shape_types[LIST]);

    set(s, out, "items", items);
    if (least)
        set(s, out, "minItems", json_integer((json_int_t)least));
    return out;
}

/* --- maps --- */

/* A default as JSON. Plain words are texts unless the key is a flag. */
static json_t *written(struct schema *s, const struct gle_node *node, bool flag)
{
    json_t *out;
    double real;
    bool yes;

    if (node->kind == GLE_NODE_SCALAR) {
        if (flag && !gle_text_bool(&yes, node->text))
            return json_boolean(yes);
        if (node->quoted || gle_text_real(&real, node->text) || !isfinite(real))
            return text(s, node->text);
        return real == floor(real) && fabs(real) < 1e15 ? json_integer((json_int_t)real) : json_real(real);
    }
    out = node->kind == GLE_NODE_LIST ? json_array() : json_object();
    for (size_t i = 0; i < node->n_items; i++)
        if (node->kind == GLE_NODE_LIST)
            append(s, out, written(s, node->items[i], false));
        else
            set(s, out, node->items[i]->key, written(s, node->items[i], false));
    return out;
}

static void set_default(struct schema *s, json_t *out, const struct gle_key *key)
{
    struct gle_errors errs = {0};
    struct gle_node *node;

    if (!key->fallback || !*key->fallback)
        return;
    if (gle_node_parse(&node, s->doc, key->fallback, "default", &errs))
        s->failed = true;
    else
        set(s, out, "default", written(s, node, key->kind == GLE_KEY_KIND_BOOL));
}

/* The value of a key, with what there is to say about it. */
static json_t *explained(struct schema *s, const struct gle_key *key)
{
    json_t *out = value_of(s, key);
    char help[600];

    if (!key->help)
        return out;
    snprintf(help, sizeof help, key->unit[0] ? "%s (unit: %s)" : "%s", key->help, key->unit);
    set(s, out, "description", text(s, help));
    if (key->unit[0])
        set(s, out, "x-unit", text(s, key->unit));
    return out;
}

static json_t *with_default(struct schema *s, const struct gle_key *key)
{
    json_t *out = explained(s, key);

    set_default(s, out, key);
    return out;
}

/* skip: a key that is there besides, and is looked at elsewhere; or NULL. */
static json_t *map_of(struct schema *s, const struct gle_key *keys, const char *skip)
{
    json_t *out = typed(s, shape_types[MAP]), *properties = json_object(), *required = json_array();

    if (skip)
        set(s, properties, skip, json_object());
    for (const struct gle_key *k = keys; k && k->name; k++) {
        set(s, properties, k->name, with_default(s, k));
        if (!k->fallback)
            append(s, required, text(s, k->name));
    }
    set(s, out, "properties", properties);
    set(s, out, "additionalProperties", json_false());
    if (json_array_size(required))
        set(s, out, "required", required);
    else
        json_decref(required);
    return out;
}

/* --- rows with their settings --- */

/* {key: value} as a condition; value NULL: whatever it is. Takes value over. */
static json_t *has(struct schema *s, const char *key, json_t *value)
{
    json_t *out = json_object(), *properties = json_object(), *required = json_array();

    append(s, required, text(s, key));
    set(s, out, "required", required);
    if (value) {
        set(s, properties, key, value);
        set(s, out, "properties", properties);
    } else {
        json_decref(properties);
    }
    return out;
}

static json_t *constant(struct schema *s, const char *value)
{
    json_t *out = json_object();

    set(s, out, "const", text(s, value));
    return out;
}

/* Takes both over. */
static json_t *when(struct schema *s, json_t *condition, json_t *then)
{
    json_t *out = json_object();

    set(s, out, "if", condition);
    set(s, out, "then", then);
    return out;
}

/* {type: name, ...settings} */
static json_t *typed_part(struct schema *s, const struct gle_table *table)
{
    json_t *out = has(s, "type", names(s, table, NULL, false)), *branches = json_array();
    const struct gle_row *row;

    set(s, out, "type", text(s, shape_types[MAP]));
    for (size_t i = 0; (row = gle_table_at(table, i)); i++)
        append(s, branches, when(s, has(s, "type", constant(s, row->name)), map_of(s, row->keys, "type")));
    set(s, out, "allOf", branches);
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
static json_t *untold_part(struct schema *s, const struct gle_form *form)
{
    const struct gle_row *row, *first = gle_table_at(form->table, 0);
    json_t *out = NULL;

    for (size_t i = 0; (row = gle_table_at(form->table, i)); i++) {
        json_t *branch;
        if (!is_taken(row, form->takes) || !tells_itself(row))
            continue;
        branch = when(s, has(s, row->name, NULL), map_of(s, row->keys, NULL));
        if (out)
            set(s, branch, "else", out);
        else if (is_taken(first, form->takes))
            set(s, branch, "else", map_of(s, first->keys, NULL));
        else
            set(s, branch, "else", has(s, row->name, NULL));
        out = branch;
    }
    return out;
}

/* {init: name, ...settings}, {init: {...}}, or the settings alone */
static json_t *selected_part(struct schema *s, const struct gle_form *form, const struct gle_key *key)
{
    json_t *out = typed(s, shape_types[MAP]), *branches = json_array(), *properties = json_object(), *nested;
    const struct gle_row *row;

    for (size_t i = 0; (row = gle_table_at(form->table, i)); i++)
        if (is_taken(row, form->takes))
            append(s, branches,
                   when(s, has(s, form->word, constant(s, row->name)), map_of(s, row->keys, form->word)));
    nested = when(s, has(s, form->word, typed(s, shape_types[MAP])), has(s, form->word, value_of(s, key)));
    set(s, json_object_get(nested, "then"), "maxProperties", json_integer(1));
    append(s, branches, nested);
    set(s, properties, form->word,
        either(s, names(s, form->table, form->takes, false), typed(s, shape_types[MAP])));
    set(s, out, "properties", properties);
    set(s, out, "if", has(s, form->word, NULL));
    set(s, out, "then", json_object());
    set(s, json_object_get(out, "then"), "allOf", branches);
    set(s, out, "else", untold_part(s, form));
    return out;
}

/* --- dotted keys, as in variants and sweeps --- */

/* A path as it is written, and as a regular expression. */
struct path {
    char plain[PATH_BYTES], regex[PATH_BYTES];
    bool listed; /* it passes through a list, so that there are many of it */
};

static struct path below(const struct path *path, const char *name)
{
    struct path out = {.listed = path->listed};
    const int n = snprintf(out.plain, sizeof out.plain, "%s%s%s", path->plain, path->plain[0] ? "." : "", name);
    const int m = snprintf(out.regex, sizeof out.regex, "%s%s%s", path->regex, path->regex[0] ? "\\." : "", name);

    assert(n < PATH_BYTES && m < PATH_BYTES);
    return out;
}

static struct path item_of(const struct path *path)
{
    struct path out = {.listed = true};
    const int n = snprintf(out.regex, sizeof out.regex, "%s\\[[0-9]+\\]", path->regex);

    assert(n < PATH_BYTES);
    return out;
}

/* Dotted keys found so far: exact ones, and patterns. */
struct dotted {
    json_t *properties, *patterns;
    bool lists;
};

static void add_path(struct schema *s, struct dotted *d, const struct path *path, json_t *value)
{
    char regex[PATH_BYTES + 2];
    json_t *where = path->listed ? d->patterns : d->properties, *old;
    const char *name = path->listed ? regex : path->plain;

    snprintf(regex, sizeof regex, "^%s$", path->regex);
    if (d->lists)
        value = list_of(s, value, 1);
    old = json_object_get(where, name); /* of another row: a setting that several rows have */
    if (json_equal(old, value))
        json_decref(value);
    else
        set(s, where, name, either(s, json_incref(old), value));
}

static void add_key(struct schema *s, struct dotted *d, const struct path *path, const struct gle_key *key);

static void add_keys(struct schema *s, struct dotted *d, const struct path *path, const struct gle_key *keys)
{
    for (const struct gle_key *k = keys; k && k->name; k++) {
        const struct path under = below(path, k->name);
        add_key(s, d, &under, k);
    }
}

static void add_part(struct schema *s, struct dotted *d, const struct path *path, const struct gle_table *table,
                     bool (*takes)(const struct gle_row *), const char *selector)
{
    const struct path name = below(path, selector);
    const struct gle_row *row;

    add_path(s, d, &name, names(s, table, takes, false));
    for (size_t i = 0; (row = gle_table_at(table, i)); i++)
        if (is_taken(row, takes))
            add_keys(s, d, path, row->keys);
}

/* Names that hold dots cannot be part of a path. */
static void add_named(struct schema *s, struct dotted *d, const struct path *path, const struct gle_form *form)
{
    struct path under = {.listed = true};
    int n;

    if (strstr(form->word, "\\."))
        return;
    n = snprintf(under.regex, sizeof under.regex, "%s\\.%s", path->regex, form->word + strlen("^"));
    assert(n < PATH_BYTES && under.regex[n - 1] == '$');
    under.regex[n - 1] = '\0';
    add_key(s, d, &under, form->key);
}

/* What stands inside a value. */
static void add_inside(struct schema *s, struct dotted *d, const struct path *path, const struct gle_key *key)
{
    const struct path item = item_of(path);
    struct gle_key one = *key;

    switch (key->kind) {
    case GLE_KEY_KIND_MAP:
        add_keys(s, d, path, key->more);
        return;
    case GLE_KEY_KIND_PART:
        add_part(s, d, path, key->more, NULL, "type");
        return;
    case GLE_KEY_KIND_CUSTOM:
        for (const struct gle_form *f = ((const struct gle_custom *)key->more)->forms; f->kind; f++)
            if (f->kind == GLE_FORM_PART)
                add_part(s, d, path, f->table, f->takes, f->word);
            else if (f->kind == GLE_FORM_VALUE)
                add_inside(s, d, path, f->key);
            else if (f->kind == GLE_FORM_LIST)
                add_key(s, d, &item, f->key);
            else if (f->kind == GLE_FORM_NAMED)
                add_named(s, d, path, f);
        return;
    case GLE_KEY_KIND_REALS:
        one.kind = GLE_KEY_KIND_REAL;
        break;
    case GLE_KEY_KIND_NAMES:
        one.kind = GLE_KEY_KIND_NAME;
        break;
    case GLE_KEY_KIND_TEXTS:
        one.kind = GLE_KEY_KIND_TEXT;
        break;
    default:
        return;
    }
    add_path(s, d, &item, value_of(s, &one));
}

static void add_key(struct schema *s, struct dotted *d, const struct path *path, const struct gle_key *key)
{
    add_path(s, d, path, explained(s, key));
    add_inside(s, d, path, key);
}

/* Whether a list "a,b" has the word. */
static bool is_listed(const char *list, const char *one)
{
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (n == strlen(one) && !strncmp(list, one, n))
            return true;
    }
    return false;
}

/* A map of dotted keys. */
static json_t *changes(struct schema *s, const struct gle_form *form)
{
    struct dotted d = {json_object(), json_object(), form->kind == GLE_FORM_CHOICES};
    json_t *out = typed(s, shape_types[MAP]);

    for (const struct gle_key *k = form->key->more; k->name; k++) {
        const struct path path = below(&(struct path){0}, k->name);
        if (!is_listed(form->word, k->name))
            add_key(s, &d, &path, k);
    }
    set(s, out, "properties", d.properties);
    set(s, out, "patternProperties", d.patterns);
    set(s, out, "additionalProperties", json_false());
    if (d.lists)
        set(s, out, "minProperties", json_integer(1));
    return out;
}

/* --- values of several shapes --- */

static json_t *form_shaped(struct schema *s, const struct gle_form *form, const struct gle_key *key, enum shape shape)
{
    json_t *out, *patterns;

    switch (form->kind) {
    case GLE_FORM_VALUE:
        out = shaped(s, form->key, shape);
        if (!out || shape != MAP || form->key->kind != GLE_KEY_KIND_CUSTOM)
            return out;
        json_decref(out); /* the whole definition says the same of a map, and shorter */
        return value_of(s, form->key);
    case GLE_FORM_WORD:
        return shape == WORD ? word(s, form) : NULL;
    case GLE_FORM_LIST:
        return shape == LIST ? list_of(s, value_of(s, form->key), 1) : NULL;
    case GLE_FORM_PART:
        return shape == WORD  ? names(s, form->table, form->takes, true)
               : shape == MAP ? selected_part(s, form, key)
                              : NULL;
    case GLE_FORM_NAMED:
        if (shape != MAP)
            return NULL;
        out = typed(s, shape_types[MAP]);
        patterns = json_object();
        set(s, patterns, form->word, explained(s, form->key));
        set(s, out, "patternProperties", patterns);
        set(s, out, "additionalProperties", json_false());
        return out;
    case GLE_FORM_CHANGES:
    case GLE_FORM_CHOICES:
        return shape == MAP ? changes(s, form) : NULL;
    case GLE_FORM_END:
        break;
    }
    return NULL;
}

/* The value of a key if it has this shape; NULL: it never has. */
static json_t *shaped(struct schema *s, const struct gle_key *key, enum shape shape)
{
    struct gle_key item = *key;
    json_t *out = NULL;

    switch (key->kind) {
    case GLE_KEY_KIND_REAL:
    case GLE_KEY_KIND_COUNT:
        return shape == NUMBER ? number(s, key) : NULL;
    case GLE_KEY_KIND_BOOL:
        return shape == FLAG ? typed(s, shape_types[FLAG]) : NULL;
    case GLE_KEY_KIND_REALS:
        return shape == NUMBER ? number(s, key) : shape == LIST ? list_of(s, number(s, key), 0) : NULL;
    case GLE_KEY_KIND_TEXTS:
        return shape == LIST ? list_of(s, free_text(s, key->more), 0) : NULL;
    case GLE_KEY_KIND_NAME:
        return shape == WORD ? names(s, key->more, NULL, false) : NULL;
    case GLE_KEY_KIND_NAMES:
        item.kind = GLE_KEY_KIND_NAME;
        return shape == LIST ? list_of(s, value_of(s, &item), 0) : NULL;
    case GLE_KEY_KIND_PART:
        return shape == WORD ? names(s, key->more, NULL, true) : shape == MAP ? typed_part(s, key->more) : NULL;
    case GLE_KEY_KIND_MAP:
        return shape == MAP ? map_of(s, key->more, NULL) : NULL;
    case GLE_KEY_KIND_CUSTOM:
        for (const struct gle_form *f = ((const struct gle_custom *)key->more)->forms; f->kind; f++)
            out = either(s, out, form_shaped(s, f, key, shape));
        return out;
    case GLE_KEY_KIND_TEXT: /* of any shape of a scalar: see value_of(). Here one form of several */
        return shape == WORD || shape == NUMBER ? typed(s, shape_types[shape]) : NULL;
    case GLE_KEY_KIND_PATH:
        break;
    }
    return NULL;
}

static json_t *all_shapes(struct schema *s, const struct gle_key *key)
{
    json_t *of[SHAPES], *types = json_array(), *branches = json_array(), *out = NULL;
    size_t n = 0;

    for (enum shape i = 0; i < SHAPES; i++) {
        of[i] = shaped(s, key, i);
        if (!of[i])
            continue;
        out = of[i];
        n++;
        append(s, types, text(s, shape_types[i]));
        append(s, branches, when(s, typed(s, shape_types[i]), json_incref(out)));
    }
    if (n > 1) {
        for (enum shape i = 0; i < SHAPES; i++)
            json_decref(of[i]);
        out = json_object();
        set(s, out, "type", types);
        set(s, out, "allOf", branches);
        return out;
    }
    json_decref(types);
    json_decref(branches);
    return out;
}

/* --- definitions --- */

/* The name under which `of` is defined, or is to be: then *fresh. */
static const char *define(struct schema *s, const void *of, const char *words, bool *fresh)
{
    struct definition *d = s->known;
    size_t n = 0;

    while (d < s->known + s->n_known && d->of != of)
        d++;
    *fresh = d == s->known + s->n_known;
    if (!*fresh)
        return d->name;
    assert(s->n_known < DEFINITIONS_MAX);
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
static json_t *value_of(struct schema *s, const struct gle_key *key)
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
        set(s, s->definitions, name, json_null()); /* keeps the name, and the order */
        set(s, s->definitions, name, all_shapes(s, key));
    }
    snprintf(path, sizeof path, "#/definitions/%s", name);
    out = json_object();
    set(s, out, "$ref", text(s, path));
    return out;
}

/* --- the whole --- */

/* Keys at the top of a file that nothing reads. */
static void add_notes(struct schema *s, json_t *file)
{
    json_t *patterns = json_object(), *note = json_object();

    set(s, note, "description", text(s, "passed over: a note, or anchors for the rest of the file"));
    set(s, patterns, "^x-", note);
    set(s, file, "patternProperties", patterns);
}

char *gle_schema_json(void)
{
    static const char empty[] = "{}";
    const size_t begun = gle_json_begin();
    struct schema s = {.definitions = json_object()};
    struct gle_errors errs = {0};
    json_t *root = json_object(), *file = NULL;
    char *out;

    if (!s.definitions || !root || gle_doc_parse(&s.doc, empty, strlen(empty), "defaults", &errs))
        s.failed = true;
    if (!s.failed) {
        set(&s, root, "$schema", text(&s, "http://json-schema.org/draft-07/schema#"));
        set(&s, root, "$id", text(&s, "urn:glesim:config:1"));
        set(&s, root, "title", text(&s, "glesim config"));
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
