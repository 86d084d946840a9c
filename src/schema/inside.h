/* inside.h - a schema that is being made, for the files of this folder alone. A lack of memory is noted in it, so that
 * nobody has to look at every call; values that are given to a function become its own. */
#ifndef GLE_SCHEMA_INSIDE_H
#define GLE_SCHEMA_INSIDE_H

#include "yaml/key.h"

#include <jansson.h>
#include <stdbool.h>

enum { GLE_SCHEMA_DEFINITIONS_MAX = 64 };

/* What a value is in JSON. */
enum gle_schema_shape { NUMBER, FLAG, WORD, LIST, MAP, SHAPES };

/* Parts of the schema that are referred to, each made from one object of the program. */
struct gle_schema_definition {
    const void *of;
    char name[48];
};
struct gle_schema {
    json_t *definitions;
    struct gle_schema_definition known[GLE_SCHEMA_DEFINITIONS_MAX];
    size_t n_known;
    struct gle_doc *doc; /* where defaults are parsed */
    bool failed;
};

void gle_schema_set(struct gle_schema *s, json_t *object, const char *key, json_t *value);
json_t *gle_schema_text(struct gle_schema *s, const char *words);
/* {"type": type} */
json_t *gle_schema_typed(struct gle_schema *s, const char *type);
/* What fits one of the two; NULL: neither exists. */
json_t *gle_schema_either(struct gle_schema *s, json_t *a, json_t *b);
/* Whether a row is one of those that count; takes NULL: all do. */
bool gle_schema_is_taken(const struct gle_row *row, bool (*takes)(const struct gle_row *));
/* The names of a table's rows; bare: of those that need no setting. */
json_t *gle_schema_names(struct gle_schema *s, const struct gle_table *table, bool (*takes)(const struct gle_row *),
                         bool bare);
/* A list of `least` items at least, and of `most` at most, if it is not 0. */
json_t *gle_schema_list_of(struct gle_schema *s, json_t *items, size_t least, size_t most);
/* What a key's value may be; the same with its explanation. */
json_t *gle_schema_value_of(struct gle_schema *s, const struct gle_key *key);
json_t *gle_schema_explained(struct gle_schema *s, const struct gle_key *key);
/* A map of dotted keys. */
json_t *gle_schema_changes(struct gle_schema *s, const struct gle_form *form);

#endif
