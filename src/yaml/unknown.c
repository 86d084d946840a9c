#include "yaml/unknown.h"

#include "base/text.h"
#include "yaml/reach.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { NAMES_MAX = 12, PATH_BYTES = 1024 };

void gle_names_add(struct gle_names_text *names, const char *name)
{
    const char *shown = names->n_names < NAMES_MAX ? name : "...";

    if (names->n_names++ > NAMES_MAX || names->len + strlen(shown) + sizeof ", , ..." > sizeof names->text)
        return;
    names->len += (size_t)snprintf(names->text + names->len, sizeof names->text - names->len, "%s%s",
                                   names->len ? ", " : "", shown);
}

/* --- names --- */

int gle_noted(const struct gle_note *notes, const struct gle_node *node, struct gle_errors *errs)
{
    for (; notes && notes->word; notes++)
        if (!strcasecmp(notes->word, node->text))
            return gle_node_error(errs, GLE_ECONFIG, node, NULL, "'%s' %s", node->text, notes->text);
    return 0;
}

int gle_unknown_name(const struct gle_table *table, const struct gle_node *node, struct gle_errors *errs)
{
    const char *dot = strrchr(node->text, '.');
    struct gle_suggestion near = {.word = node->text}, last = {.word = dot ? dot + 1 : node->text};
    struct gle_names_text names = {0};
    const struct gle_row *row;

    if (gle_node_invisible(node, errs))
        return -1;
    for (size_t i = 0; (row = gle_table_at(table, i)); i++) {
        gle_suggest(&near, row->name);
        gle_suggest(&last, row->name); /* the last part of a dotted word */
        gle_names_add(&names, row->name);
    }
    near = near.best ? near : last;
    if (near.best)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "unknown %s '%.60s' (did you mean '%s'?)", table->what,
                              node->text, near.best);
    return gle_node_error(errs, GLE_ECONFIG, node, NULL, "unknown %s '%.60s' (known: %s)", table->what, node->text,
                          names.text);
}

/* --- keys --- */

bool gle_known_key(const struct gle_known *known, const char *word)
{
    for (const struct gle_key *k = known->keys; k->name; k++)
        if (!strcmp(k->name, word))
            return true;
    return known->skip && !strcmp(known->skip, word);
}

struct gle_known gle_known_look(const struct gle_key *keys, const char *skip, const struct gle_note *notes,
                                const struct gle_node *map)
{
    struct gle_known known = {.keys = keys, .skip = skip, .notes = notes, .has_skip = skip && gle_node_get(map, skip)};

    for (size_t i = 0; keys[i].name; i++) {
        assert(i < GLE_KEYS_MAX);
        known.has[i] = gle_node_get(map, keys[i].name);
    }
    return known;
}

/* The key that an unknown one probably means: one that differs in case alone, before one that the map lacks, before one
 * that it has; NULL if none is near. */
static const char *meant_key(const struct gle_known *known, const char *word)
{
    struct gle_suggestion missing = {.word = word}, any = {.word = word};

    if (known->skip)
        gle_suggest(known->has_skip ? &any : &missing, known->skip);
    for (size_t i = 0; known->keys[i].name; i++)
        gle_suggest(known->has[i] ? &any : &missing, known->keys[i].name);
    if (any.best && !any.distance)
        return any.best;
    return missing.best ? missing.best : any.best;
}

const struct gle_node *gle_known_misspelt(const struct gle_known *known, const struct gle_node *map, const char *name)
{
    for (size_t i = 0; i < map->n_items; i++) {
        const char *word = map->items[i]->key, *meant;
        if (gle_known_key(known, word))
            continue;
        meant = meant_key(known, word);
        if (meant && !strcmp(meant, name))
            return map->items[i];
    }
    return NULL;
}

/* "'a', 'b' or 'c'" */
static void list_places(char *buf, size_t size, const struct gle_places *places)
{
    size_t n = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < places->n && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, "%s'%s'", !i ? "" : i + 1 < places->n ? ", " : " or ",
                              places->path[i]);
}

/* Words on where the key may belong; "" if nobody knows. */
static void suggest(char *buf, size_t size, const struct gle_known *known, const struct gle_node *node)
{
    const char *meant = meant_key(known, node->key);
    struct gle_places below = {.word = node->key};

    buf[0] = '\0';
    if (!meant || strcasecmp(meant, node->key))
        gle_places_find(&below, known->keys, node->parent);
    if (below.n && (below.exact || !meant))
        list_places(buf, size, &below);
    else if (meant)
        snprintf(buf, size, "'%s'", meant);
}

int gle_known_fail(const struct gle_known *known, const struct gle_node *node, struct gle_errors *errs)
{
    struct gle_names_text names = {0};
    char meant[sizeof((struct gle_error *)0)->text];
    struct gle_node at = gle_node_at_key(node);

    at.text = node->key;
    if (gle_node_key_invisible(node, errs) || gle_noted(known->notes, &at, errs))
        return -1;
    if (errs->dropped) /* nobody will read it: a search for each would take long where there are many */
        return gle_node_error(errs, GLE_ECONFIG, &at, NULL, "unknown key '%s'", node->key);
    if (known->skip)
        gle_names_add(&names, known->skip);
    for (const struct gle_key *k = known->keys; k->name; k++)
        gle_names_add(&names, k->name);
    suggest(meant, sizeof meant, known, node);
    if (*meant)
        return gle_node_error(errs, GLE_ECONFIG, &at, NULL, "unknown key '%s' (did you mean %s?)", node->key, meant);
    if (names.len)
        return gle_node_error(errs, GLE_ECONFIG, &at, NULL, "unknown key '%s' (known here: %s)", node->key,
                              names.text);
    return gle_node_error(errs, GLE_ECONFIG, &at, NULL, "unknown key '%s' (none is known here)", node->key);
}
