/* Dotted keys, as in variants and sweeps: all that the tables of keys allow, as names and patterns. */
#include "schema/inside.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 512 };

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
    size_t most; /* items that such a list may have */
};

static void add_path(struct gle_schema *s, struct dotted *d, const struct path *path, json_t *value)
{
    char regex[PATH_BYTES + 2];
    json_t *where = path->listed ? d->patterns : d->properties, *old;
    const char *name = path->listed ? regex : path->plain;

    snprintf(regex, sizeof regex, "^%s$", path->regex);
    if (d->lists)
        value = gle_schema_list_of(s, value, 1, d->most);
    old = json_object_get(where, name); /* of another row: a setting that several rows have */
    if (json_equal(old, value))
        json_decref(value);
    else
        gle_schema_set(s, where, name, gle_schema_either(s, json_incref(old), value));
}

static void add_key(struct gle_schema *s, struct dotted *d, const struct path *path, const struct gle_key *key);

static void add_keys(struct gle_schema *s, struct dotted *d, const struct path *path, const struct gle_key *keys)
{
    for (const struct gle_key *k = keys; k && k->name; k++) {
        const struct path under = below(path, k->name);
        add_key(s, d, &under, k);
    }
}

static void add_part(struct gle_schema *s, struct dotted *d, const struct path *path, const struct gle_table *table,
                     bool (*takes)(const struct gle_row *), const char *selector)
{
    const struct path name = below(path, selector);
    const struct gle_row *row;

    add_path(s, d, &name, gle_schema_names(s, table, takes, false));
    for (size_t i = 0; (row = gle_table_at(table, i)); i++)
        if (gle_schema_is_taken(row, takes))
            add_keys(s, d, path, row->keys);
}

/* Names that hold dots cannot be part of a path. */
static void add_named(struct gle_schema *s, struct dotted *d, const struct path *path, const struct gle_form *form)
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
static void add_inside(struct gle_schema *s, struct dotted *d, const struct path *path, const struct gle_key *key)
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
    add_path(s, d, &item, gle_schema_value_of(s, &one));
}

static void add_key(struct gle_schema *s, struct dotted *d, const struct path *path, const struct gle_key *key)
{
    add_path(s, d, path, gle_schema_explained(s, key));
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
json_t *gle_schema_changes(struct gle_schema *s, const struct gle_form *form)
{
    struct dotted d = {json_object(), json_object(), form->kind == GLE_FORM_CHOICES, form->most};
    json_t *out = gle_schema_typed(s, "object");

    for (const struct gle_key *k = form->key->more; k->name; k++) {
        const struct path path = below(&(struct path){0}, k->name);
        if (!is_listed(form->word, k->name))
            add_key(s, &d, &path, k);
    }
    gle_schema_set(s, out, "properties", d.properties);
    gle_schema_set(s, out, "patternProperties", d.patterns);
    gle_schema_set(s, out, "additionalProperties", json_false());
    if (d.lists)
        gle_schema_set(s, out, "minProperties", json_integer(1));
    return out;
}
