/* reach.h - tables of keys and a tree, gone through side by side. */
#ifndef GLE_YAML_REACH_H
#define GLE_YAML_REACH_H

#include "yaml/key.h"

/* Places further down where a key may belong that is unknown where it stands. */
enum { GLE_PLACES_MAX = 3, GLE_PLACE_BYTES = 160 };
struct gle_places {
    const char *word; /* the key as written; set by the caller */
    char path[GLE_PLACES_MAX][GLE_PLACE_BYTES]; /* from the root */
    size_t n;
    bool exact; /* they are called like the word, but for the case of letters; else one is, but for a letter */
};
/* Looks below map, which may have `keys`: the nearest levels first; what the tree has of parts tells their settings. */
void gle_places_find(struct gle_places *places, const struct gle_key *keys, const struct gle_node *map);

/* Turns a name alone into a map that has it under `word`. Returns -1: no memory, and no change. */
GLE_MUST_CHECK int gle_expand_name(struct gle_doc *doc, struct gle_node *node, const char *word);

#endif
