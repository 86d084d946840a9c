/* From a file to its experiments: of its variants, under the overrides, at the points of its sweep. */
#include "base/memory.h"
#include "base/text.h"
#include "config/build.h"
#include "config/sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What all experiments of a file are made of. */
struct source {
    const struct gle_doc *file;
    const struct gle_override *overrides;
    size_t n_overrides;
    const uint64_t *seed; /* NULL: as the file says */
};

static const char notes_prefix[] = "x-";

bool gle_is_note(const char *key)
{
    return !strncmp(key, notes_prefix, strlen(notes_prefix));
}

/* A value that would be put where nobody reads it. */
static int note_fail(const struct gle_node *value, const char *path, struct gle_errors *errs)
{
    struct gle_error err = {0};

    gle_fail(&err, GLE_ECONFIG, "nothing reads keys that begin with '%s'", notes_prefix);
    gle_error_place(&err, value->file, value->line, value->column, path);
    return gle_errors_add(errs, &err);
}

/* Adds overrides to the changes. variants: those of the section `variants`; else all others. */
static int add_overrides(struct gle_changes *changes, struct gle_doc *doc, const struct source *source, bool variants,
                         struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < source->n_overrides; i++) {
        const struct gle_override *o = &source->overrides[i];
        struct gle_node *value;
        if (gle_path_is_within(o->path, "variants") != variants)
            continue;
        if (gle_node_parse(&value, doc, o->value, o->where, errs)) {
            rc = -1;
            continue;
        }
        if (gle_is_note(o->path))
            rc = note_fail(value, o->path, errs);
        changes->item[changes->n++] = (struct gle_change){
            .path = o->path, .value = value, .by = GLE_BY_COMMAND, .where = o->where};
    }
    return rc;
}

static int add_seed(struct gle_changes *changes, struct gle_doc *doc, uint64_t seed, struct gle_errors *errs)
{
    static const char where[] = "--seeds";
    struct gle_node *value;
    char text[32];

    snprintf(text, sizeof text, "%" PRIu64, seed);
    if (gle_node_parse(&value, doc, text, where, errs))
        return -1;
    changes->item[changes->n++] = (struct gle_change){
        .path = "seed", .value = value, .by = GLE_BY_COMMAND, .where = where, .alone = true};
    return 0;
}

/* Adds what variants.<name> changes. */
static int add_variant(struct gle_changes *changes, struct gle_doc *doc, const struct gle_node *variant,
                       struct gle_errors *errs)
{
    const struct gle_node at = gle_node_at_key(variant);
    int rc = gle_name_check(variant->key, ".", &at, NULL, errs);
    char words[96];
    const char *where;

    if (variant->kind != GLE_NODE_MAP)
        return gle_node_error(errs, GLE_ECONFIG, variant, NULL, "a map (dotted.key: value) is wanted");
    snprintf(words, sizeof words, "the variant '%.64s'", variant->key);
    where = gle_arena_text(doc->arena, words, strlen(words));
    for (size_t i = 0; i < variant->n_items; i++) {
        const struct gle_node *item = variant->items[i], key = gle_node_at_key(item);
        struct gle_node *value;
        if (gle_path_is_within(item->key, "variants")) {
            rc = gle_node_error(errs, GLE_ECONFIG, &key, NULL, "a variant cannot change the variants");
            continue;
        }
        if (gle_is_note(item->key)) {
            rc = note_fail(&key, item->key, errs);
            continue;
        }
        value = where ? gle_node_import(doc, item) : NULL;
        if (!value)
            return gle_node_error(errs, GLE_ENOMEM, variant, NULL, "no memory");
        changes->item[changes->n++] =
            (struct gle_change){.path = value->key, .value = value, .by = GLE_BY_VARIANT, .where = where};
    }
    return rc;
}

static void remove_notes(struct gle_node *root)
{
    size_t n = 0;

    for (size_t i = 0; i < root->n_items; i++)
        if (!gle_is_note(root->items[i]->key))
            root->items[n++] = root->items[i];
    root->n_items = n;
}

/* Changes doc, a copy of the file without its variants, into what a variant (NULL: none) says at a point of its
 * sweep. */
static int change(struct gle_sweep *sweep, struct gle_doc *doc, const struct source *source,
                  const struct gle_node *variant, size_t point, size_t *n_points, struct gle_errors *errs)
{
    const size_t n = 1 + source->n_overrides + (variant ? variant->n_items : 0);
    struct gle_changes all, given;

    if (gle_changes_start(&given, doc, n, errs) ||
        (add_overrides(&given, doc, source, false, errs) | (variant ? add_variant(&given, doc, variant, errs) : 0) |
         (source->seed ? add_seed(&given, doc, *source->seed, errs) : 0)) ||
        gle_changes_apply(&given, doc, "sweep", true, errs) ||
        gle_changes_start(&all, doc, n + gle_sweep_keys(doc), errs))
        return -1;
    memcpy(all.item, given.item, given.n * sizeof *given.item);
    all.n = given.n;
    return gle_sweep_take(sweep, n_points, &all, doc, point, errs) || gle_changes_apply(&all, doc, "sweep", false, errs)
               ? -1
               : 0;
}

/* The experiment of a variant (NULL: the file itself) at a point of its sweep. NULL after an error. */
static struct gle_experiment *load_one(const struct source *source, const struct gle_node *variant, size_t point,
                                       size_t *n_points, struct gle_errors *errs)
{
    struct gle_doc *doc = gle_doc_copy(source->file, variant ? "variants" : "");
    struct gle_experiment *exp;
    struct gle_sweep sweep;
    const char *name = NULL;

    *n_points = 1;
    if (doc && variant)
        name = gle_arena_text(doc->arena, variant->key, strlen(variant->key));
    if (!doc || (variant && !name)) {
        gle_doc_destroy(doc);
        gle_node_error(errs, GLE_ENOMEM, source->file->root, NULL, "no memory");
        return NULL;
    }
    if (change(&sweep, doc, source, variant, point, n_points, errs)) {
        gle_doc_destroy(doc);
        return NULL;
    }
    remove_notes(doc->root);
    exp = gle_experiment_build(doc, name, &sweep, errs);
    for (size_t i = 0; exp && i < exp->sweep.n; i++) /* as the run takes it: what lies below may differ */
        exp->sweep.values[i].value = gle_node_find(doc->root, exp->sweep.values[i].key);
    return exp;
}

static bool wanted(const char *name, const char *const *only, size_t n_only)
{
    for (size_t i = 0; i < n_only; i++)
        if (!strcmp(only[i], name))
            return true;
    return !n_only;
}

static int check_wanted(const struct gle_node *root, const char *const *only, size_t n_only, struct gle_errors *errs)
{
    const struct gle_node *variants = gle_node_get(root, "variants");
    int rc = 0;

    if (n_only && (!variants || variants->kind != GLE_NODE_MAP))
        return gle_node_error(errs, GLE_EUSAGE, root, NULL, "--variant %s: the file has no variants", only[0]);
    for (size_t i = 0; i < n_only; i++) {
        struct gle_suggestion near = {.word = only[i]};
        if (gle_node_get(variants, only[i]))
            continue;
        for (size_t j = 0; j < variants->n_items; j++)
            gle_suggest(&near, variants->items[j]->key);
        rc = gle_node_error(errs, GLE_EUSAGE, variants, NULL,
                            near.best ? "--variant %s: no such variant (did you mean '%s'?)"
                                      : "--variant %s: no such variant",
                            only[i], near.best);
    }
    return rc;
}

static int append(struct gle_experiments *out, struct gle_experiment *exp, struct gle_errors *errs)
{
    struct gle_experiment **item = gle_resize(out->item, out->n + 1, sizeof *item);

    if (!item) {
        gle_node_error(errs, GLE_ENOMEM, exp->src, NULL, "no memory");
        gle_experiment_destroy(exp);
        return -1;
    }
    item[out->n++] = exp;
    out->item = item;
    return 0;
}

/* All points of one variant. */
static int load_points(struct gle_experiments *out, const struct source *source, const struct gle_node *variant,
                       struct gle_errors *errs)
{
    const size_t first = out->n;
    size_t n_points = 1;
    int rc = 0;

    for (size_t point = 0; point < n_points && !errs->dropped; point++) {
        struct gle_experiment *exp = load_one(source, variant, point, &n_points, errs);
        if (!exp || append(out, exp, errs))
            rc = -1;
    }
    return rc || n_points == 1 ? rc : gle_sweep_compare(out->item + first, out->n - first, errs);
}

/* Applies to doc, a copy of the file, what the overrides say of its variants, and looks at the others. */
static int change_file(struct gle_doc *doc, const struct source *source, struct gle_errors *errs)
{
    struct gle_changes variants, rest;

    if (gle_changes_start(&variants, doc, source->n_overrides, errs) ||
        gle_changes_start(&rest, doc, source->n_overrides, errs))
        return -1;
    return add_overrides(&variants, doc, source, true, errs) | add_overrides(&rest, doc, source, false, errs) ||
                   gle_changes_apply(&variants, doc, "variants", true, errs)
               ? -1
               : 0;
}

/* What an override has the last word over in a variant; NULL: nothing. */
static const struct gle_node *overridden(const struct gle_node *variant, const struct gle_override *o)
{
    bool above;

    for (size_t i = 0; i < variant->n_items; i++) {
        const char *key = variant->items[i]->key;
        if (!gle_path_compare(o->path, key, &above) || above)
            return variant->items[i];
    }
    return NULL;
}

/* Two variants of which nothing is left but what both have, since the command has set what they differ in. */
static int same_variants(const struct gle_experiment *a, const struct gle_experiment *b, const struct source *source,
                         struct gle_errors *errs)
{
    const struct gle_node *variants = gle_node_get(source->file->root, "variants");
    const struct gle_node *one = gle_node_get(variants, a->variant), *other = gle_node_get(variants, b->variant);

    for (size_t i = 0; i < source->n_overrides; i++) {
        const struct gle_override *o = &source->overrides[i];
        const struct gle_node *lost = overridden(other, o);
        struct gle_error err = {0};
        lost = lost ? lost : overridden(one, o);
        if (!lost)
            continue;
        gle_fail(&err, GLE_ECONFIG,
                 "the variants '%.64s' and '%.64s' would make the same run, since %.100s=%.60s has the last word over "
                 "them; --variant %.64s makes it once",
                 a->variant, b->variant, o->path, o->value, a->variant);
        gle_error_place(&err, lost->file, lost->key_line, lost->key_column, lost->key);
        return gle_errors_add(errs, &err);
    }
    return 0;
}

static bool say_the_same(const struct gle_experiment *a, const struct gle_experiment *b)
{
    char what[8];

    return !gle_node_differs(what, sizeof what, a->src, b->src, NULL);
}

/* Each variant against those before it, at the first point of its sweep: the others follow it. */
static int compare_variants(const struct gle_experiments *out, const struct source *source, struct gle_errors *errs)
{
    struct gle_experiment **first = gle_calloc(out->n + 1, sizeof *first); /* (n): of each variant */
    uint64_t *hash = gle_calloc(out->n + 1, sizeof *hash);
    size_t n = 0;
    int rc = first && hash ? 0 : gle_node_error(errs, GLE_ENOMEM, source->file->root, NULL, "no memory");

    for (size_t k = 0; k < out->n && !rc; k++) {
        struct gle_experiment *exp = out->item[k];
        size_t i = 0;
        if (n && !strcmp(exp->variant, first[n - 1]->variant))
            continue;
        hash[n] = gle_node_hash(exp->src);
        while (i < n && (hash[i] != hash[n] || !say_the_same(first[i], exp)))
            i++;
        if (i < n)
            rc = same_variants(first[i], exp, source, errs);
        first[n++] = exp;
    }
    gle_free((void *)first);
    gle_free(hash);
    return rc;
}

/* --- claims --- */

static int no_variant(const struct gle_claim *claim, const struct gle_node *variants, struct gle_errors *errs)
{
    struct gle_suggestion near = {.word = claim->variant};

    if (!variants || variants->kind != GLE_NODE_MAP || !variants->n_items)
        return gle_node_error(errs, GLE_ECONFIG, claim->src, "variant", "the file has no variants");
    for (size_t i = 0; i < variants->n_items; i++)
        gle_suggest(&near, variants->items[i]->key);
    return gle_node_error(errs, GLE_ECONFIG, claim->src, "variant",
                          near.best ? "no such variant: '%.64s' (did you mean '%s'?)" : "no such variant: '%.64s'",
                          claim->variant, near.best);
}

/* Whether one of the runs is at the point of a claim. Without `all`, its run may have been left out. */
static int check_point(const struct gle_claim *claim, const struct gle_experiments *list, bool all,
                       struct gle_errors *errs)
{
    struct gle_suggestion near = {.word = claim->point};
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        const struct gle_experiment *exp = list->item[i];
        if (claim->variant && strcmp(claim->variant, exp->variant))
            continue;
        n++;
        if (!exp->sweep.label)
            continue;
        if (!strcmp(claim->point, exp->sweep.label))
            return 0;
        gle_suggest(&near, exp->sweep.label);
    }
    if (!all && (!n || !claim->variant))
        return 0;
    return gle_node_error(errs, GLE_ECONFIG, claim->src, "point",
                          near.best ? "no such combination of the sweep: '%.120s' (did you mean '%s'?)"
                                    : "no such combination of the sweep: '%.120s'; --runs shows them",
                          claim->point, near.best);
}

/* Each claim must be of a run that the file makes, or made before the command changed its sweep; all: none was left
 * out. The points of a variant have the same claims. */
static int check_claims(const struct gle_experiments *list, const struct source *source, bool all,
                        struct gle_errors *errs)
{
    const struct gle_node *variants = gle_node_get(source->file->root, "variants");
    const char *before = NULL;
    int rc = 0;

    for (size_t i = 0; i < list->n; i++) {
        const struct gle_experiment *exp = list->item[i];
        if (i && (!before || !strcmp(before, exp->variant)))
            continue;
        before = exp->variant;
        for (size_t k = 0; k < exp->n_claims; k++) {
            const struct gle_claim *claim = &exp->claims[k];
            if (claim->variant && (!exp->variant || !gle_node_get(variants, claim->variant)))
                rc = no_variant(claim, variants, errs);
            else if (claim->point && !source->n_overrides)
                rc |= check_point(claim, list, all, errs);
        }
    }
    return rc;
}

static int load_variants(struct gle_experiments *out, const struct source *source, const char *const *only,
                         size_t n_only, struct gle_errors *errs)
{
    const struct gle_node *variants = gle_node_get(source->file->root, "variants");
    int rc = check_wanted(source->file->root, only, n_only, errs);

    if (!variants || variants->kind != GLE_NODE_MAP || !variants->n_items)
        return load_points(out, source, NULL, errs) | rc || check_claims(out, source, true, errs) ? -1 : 0;
    for (size_t i = 0; i < variants->n_items && !errs->dropped && out->n <= GLE_EXPERIMENTS_MAX; i++)
        if (wanted(variants->items[i]->key, only, n_only))
            rc |= load_points(out, source, variants->items[i], errs);
    if (out->n > GLE_EXPERIMENTS_MAX)
        rc = gle_node_error(errs, GLE_ECONFIG, variants, NULL, "with their combinations more than %d runs",
                            GLE_EXPERIMENTS_MAX);
    rc = rc ? rc : check_claims(out, source, !n_only, errs);
    return rc || !source->n_overrides ? rc : compare_variants(out, source, errs);
}

int gle_experiments_build(struct gle_experiments *out, const struct gle_doc *file,
                          const struct gle_override *overrides, size_t n_overrides, const char *const *only,
                          size_t n_only, const uint64_t *seed, struct gle_errors *errs)
{
    struct gle_doc *doc = n_overrides ? gle_doc_copy(file, "") : NULL;
    const struct source source = {
        .file = doc ? doc : file, .overrides = overrides, .n_overrides = n_overrides, .seed = seed};
    int rc;

    *out = (struct gle_experiments){0};
    if (n_overrides && !doc)
        return gle_node_error(errs, GLE_ENOMEM, file->root, NULL, "no memory");
    rc = doc && change_file(doc, &source, errs) ? -1 : load_variants(out, &source, only, n_only, errs);
    gle_doc_destroy(doc);
    if (rc)
        gle_experiments_clear(out);
    return rc;
}

int gle_experiments_load(struct gle_experiments *out, const char *path, const struct gle_override *overrides,
                         size_t n_overrides, const char *const *only, size_t n_only, struct gle_errors *errs)
{
    struct gle_doc *doc;
    int rc;

    *out = (struct gle_experiments){0};
    if (gle_doc_load(&doc, path, errs))
        return -1;
    rc = gle_experiments_build(out, doc, overrides, n_overrides, only, n_only, NULL, errs);
    gle_doc_destroy(doc);
    return rc;
}

void gle_experiments_clear(struct gle_experiments *list)
{
    for (size_t i = 0; i < list->n; i++)
        gle_experiment_destroy(list->item[i]);
    gle_free(list->item);
    *list = (struct gle_experiments){0};
}
