/* unknown.h - what is said of keys and names that no table has. */
#ifndef GLE_YAML_UNKNOWN_H
#define GLE_YAML_UNKNOWN_H

#include "yaml/key.h"

/* Names listed in a message: "a, b, c, ...". Zero-initialise. */
struct gle_names_text {
    char text[256];
    size_t n_names, len;
};
void gle_names_add(struct gle_names_text *names, const char *name);

/* The keys that a map may have, and which of them it has: found once, since a map may be long. */
enum { GLE_KEYS_MAX = 64 /* of a table */ };
struct gle_known {
    const struct gle_key *keys;
    const char *skip; /* one more; NULL: none */
    const struct gle_note *notes;
    bool has[GLE_KEYS_MAX], has_skip;
};
struct gle_known gle_known_look(const struct gle_key *keys, const char *skip, const struct gle_note *notes,
                                const struct gle_node *map);
bool gle_known_key(const struct gle_known *known, const char *word);
/* The unknown key of map that probably means `name`, or NULL: where there is one, `name` is not missing besides. */
const struct gle_node *gle_known_misspelt(const struct gle_known *known, const struct gle_node *map, const char *name);
/* Adds an error about the key of node, which is unknown. Returns -1. */
int gle_known_fail(const struct gle_known *known, const struct gle_node *node, struct gle_errors *errs);

#endif
