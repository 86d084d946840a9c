/* key.h - tables that say which keys a map may have, and the decoder that turns a map into a struct by such a table.
 * The same tables make the defaults, the range checks, the suggestions, the resolved config and the schema. */
#ifndef GLE_YAML_KEY_H
#define GLE_YAML_KEY_H

#include "base/table.h"
#include "yaml/node.h"

#include <stdint.h>

enum gle_key_kind {
    GLE_KEY_KIND_REAL,   /* double; NaN never accepted; infinity only if low or high is infinite on that side */
    GLE_KEY_KIND_COUNT,  /* uint64_t */
    GLE_KEY_KIND_BOOL,   /* bool */
    GLE_KEY_KIND_TEXT,   /* const char *; `more` may be a regular expression (const char *) that the schema shows */
    GLE_KEY_KIND_PATH,   /* const char *: relative to the file it stands in; the node's text becomes absolute */
    GLE_KEY_KIND_REALS,  /* struct gle_reals: one number or a list of numbers */
    GLE_KEY_KIND_TEXTS,  /* struct gle_texts: a list of texts */
    GLE_KEY_KIND_NAME,   /* const struct gle_row *: a row of `more` (struct gle_table), given by name alone */
    GLE_KEY_KIND_NAMES,  /* struct gle_names: a list of names of rows of `more` (struct gle_table) */
    GLE_KEY_KIND_PART,   /* struct gle_part: a row of `more`, with its settings: {type: name, ...}, or the bare name */
    GLE_KEY_KIND_MAP,    /* the struct whose keys `more` lists, in place at offset */
    GLE_KEY_KIND_CUSTOM, /* whatever `more` (struct gle_custom) makes of the node */
};

/* A word that no table has, though people may well write it, and what to say of it. Lists end with {NULL}. */
struct gle_note {
    const char *word;
    const char *text; /* "stays as ...": what follows the word */
};

/* One key. Tables end with a row whose name is NULL. */
struct gle_key {
    const char *name;
    enum gle_key_kind kind;
    size_t offset;        /* of the field in the struct */
    double low, high;     /* inclusive range of the number(s) */
    const char *fallback; /* the default, as YAML text; NULL: the key must be there; GLE_ABSENT: may be left out, the
                             field stays zero */
    const char *unit;     /* "" if none */
    const char *help;     /* one sentence */
    const void *more;
    bool bare;            /* of a part: the name of a row without settings stays as it is in the resolved config, as
                             it was before rows of this table had any; else it becomes {type: name} */
    const struct gle_note *notes; /* of a NAME or NAMES: words that are no names; of a MAP: words that are no keys; or
                                     NULL */
    bool steps; /* of a REAL: a time that passes in whole steps, so that it must be a multiple of dt */
    size_t least, most; /* of REALS: how many numbers there may be, which the schema says and whoever reads the field
                           checks; 0, 0: any number of them */
    const char *needs; /* a number beside it: where that is 0, this key changes nothing; or NULL */
};
#define GLE_ABSENT ""

struct gle_reals {
    double *v;
    size_t n;
    bool is_list; /* written as a list, also one of length 1 */
    const struct gle_node *src;
};
struct gle_texts {
    const char **v;
    size_t n;
    const struct gle_node *src;
};
struct gle_names {
    const struct gle_row **v;
    size_t n;
    const struct gle_node *src; /* NULL: absent */
};

/* One way to write a custom value, for the schema. Lists of forms end with GLE_FORM_END. */
enum gle_form_kind {
    GLE_FORM_END,
    GLE_FORM_VALUE, /* what `key` says */
    GLE_FORM_WORD,  /* `word` */
    GLE_FORM_LIST,  /* a list, not empty, of what `key` says */
    GLE_FORM_NAMED, /* a map from names that match the regular expression `word` to what `key` says */
    GLE_FORM_PART,  /* a row of `table` by its bare name, if no setting is required, or {<word>: name, ...settings};
                       without <word>, a row that has a setting of its own name is told by that, and else it is the
                       first; {<word>: {...}} is the map inside */
    GLE_FORM_CHANGES, /* a map from dotted keys of the map that `key` says, but those in `word` ("a,b"), to values */
    GLE_FORM_CHOICES, /* the same, not empty, to lists of such values, not empty */
};
struct gle_form {
    enum gle_form_kind kind;
    const char *word;
    const char *alias; /* of a part: a key that says the same as `word`; NULL: none */
    const char *help; /* of a word */
    const struct gle_key *key;
    size_t most; /* of a list, or of each of CHOICES: items that it may have; 0: any number of them */
    const struct gle_table *table;
    bool (*takes)(const struct gle_row *row); /* the rows of table that count; NULL: all */
};

/* Decodes one node into the field; called also with the node made from the fallback. Returns -1 if it added errors. */
struct gle_custom {
    int (*decode)(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs);
    const char *type; /* what it is, in words: "list of layers" */
    const struct gle_form *forms;
};

#define GLE_KEY_REAL(S, field, def, lo, hi, unit_, help_) \
    {.name = #field, .kind = GLE_KEY_KIND_REAL, .offset = offsetof(S, field), .low = lo, .high = hi, .fallback = def, \
     .unit = unit_, .help = help_}
/* A time that passes in whole steps. */
#define GLE_KEY_STEPS(S, field, def, lo, hi, help_) \
    {.name = #field, .kind = GLE_KEY_KIND_REAL, .offset = offsetof(S, field), .low = lo, .high = hi, .fallback = def, \
     .unit = "time", .help = help_, .steps = true}
#define GLE_KEY_COUNT(S, field, def, lo, hi, unit_, help_) \
    {.name = #field, .kind = GLE_KEY_KIND_COUNT, .offset = offsetof(S, field), .low = lo, .high = hi, .fallback = def, \
     .unit = unit_, .help = help_}
#define GLE_KEY_REALS(S, field, def, lo, hi, unit_, help_) \
    {.name = #field, .kind = GLE_KEY_KIND_REALS, .offset = offsetof(S, field), .low = lo, .high = hi, .fallback = def, \
     .unit = unit_, .help = help_}
/* As many as least ... most. */
#define GLE_KEY_SOME_REALS(S, field, def, lo, hi, least_, most_, unit_, help_) \
    {.name = #field, .kind = GLE_KEY_KIND_REALS, .offset = offsetof(S, field), .low = lo, .high = hi, .fallback = def, \
     .unit = unit_, .help = help_, .least = least_, .most = most_}
/* The same, beside the number that they need. */
#define GLE_KEY_COUNT_WITH(S, field, def, lo, hi, unit_, help_, needs_) \
    {.name = #field, .kind = GLE_KEY_KIND_COUNT, .offset = offsetof(S, field), .low = lo, .high = hi, .fallback = def, \
     .unit = unit_, .help = help_, .needs = needs_}
#define GLE_KEY_REALS_WITH(S, field, def, lo, hi, unit_, help_, needs_) \
    {.name = #field, .kind = GLE_KEY_KIND_REALS, .offset = offsetof(S, field), .low = lo, .high = hi, .fallback = def, \
     .unit = unit_, .help = help_, .needs = needs_}
#define GLE_KEY_PLAIN_(S, field, kind_, def, help_, more_) \
    {.name = #field, .kind = kind_, .offset = offsetof(S, field), .fallback = def, .unit = "", .help = help_, \
     .more = more_}
#define GLE_KEY_BOOL(S, field, def, help) GLE_KEY_PLAIN_(S, field, GLE_KEY_KIND_BOOL, def, help, NULL)
#define GLE_KEY_TEXT(S, field, def, help) GLE_KEY_PLAIN_(S, field, GLE_KEY_KIND_TEXT, def, help, NULL)
/* A text that matches a regular expression: the schema says so, and whoever reads the field checks it. */
#define GLE_KEY_PATTERN(S, field, def, pattern, help) GLE_KEY_PLAIN_(S, field, GLE_KEY_KIND_TEXT, def, help, pattern)
#define GLE_KEY_PATH(S, field, def, help) GLE_KEY_PLAIN_(S, field, GLE_KEY_KIND_PATH, def, help, NULL)
#define GLE_KEY_TEXTS(S, field, def, help) GLE_KEY_PLAIN_(S, field, GLE_KEY_KIND_TEXTS, def, help, NULL)
#define GLE_KEY_NAME(S, field, def, table, help) GLE_KEY_PLAIN_(S, field, GLE_KEY_KIND_NAME, def, help, table)
#define GLE_KEY_NAMES(S, field, def, table, help) GLE_KEY_PLAIN_(S, field, GLE_KEY_KIND_NAMES, def, help, table)
#define GLE_KEY_PART(S, field, def, table, help) GLE_KEY_PLAIN_(S, field, GLE_KEY_KIND_PART, def, help, table)
#define GLE_KEY_MAP(S, field, def, keys, help) GLE_KEY_PLAIN_(S, field, GLE_KEY_KIND_MAP, def, help, keys)
#define GLE_KEY_CUSTOM(S, field, def, custom, help) GLE_KEY_PLAIN_(S, field, GLE_KEY_KIND_CUSTOM, def, help, custom)
/* The same with notes. */
#define GLE_KEY_NOTED_(S, field, kind_, def, help_, more_, notes_) \
    {.name = #field, .kind = kind_, .offset = offsetof(S, field), .fallback = def, .unit = "", .help = help_, \
     .more = more_, .notes = notes_}
#define GLE_KEY_NAME_NOTED(S, field, def, table, help, notes) \
    GLE_KEY_NOTED_(S, field, GLE_KEY_KIND_NAME, def, help, table, notes)
#define GLE_KEY_MAP_NOTED(S, field, def, keys, help, notes) \
    GLE_KEY_NOTED_(S, field, GLE_KEY_KIND_MAP, def, help, keys, notes)
#define GLE_KEY_END {.name = NULL}

/* Decodes a map by a table into `out` (zeroed by the caller). Keys that are missing get the node of their default,
 * appended to the map, so that the tree becomes the resolved config. Goes on after an error, to find them all.
 * Errors: not a map, unknown keys (with a suggestion), missing keys, wrong types, ranges, unknown names, memory.
 * Returns -1 if it added any. */
GLE_MUST_CHECK int gle_decode(void *out, const struct gle_key *keys, struct gle_doc *doc, struct gle_node *map,
                              struct gle_errors *errs);
/* Decodes one value by one key (for custom decoders): field is out + key->offset. */
GLE_MUST_CHECK int gle_decode_value(void *field, const struct gle_key *key, struct gle_doc *doc, struct gle_node *node,
                                    struct gle_errors *errs);

/* Decodes a map whose row of `table` is known already (its name need not be in the map): settings by
 * row->keys. `skip` names a key of the map that is not a setting (such as "type"), or is NULL. */
GLE_MUST_CHECK int gle_decode_part(struct gle_part *part, const struct gle_row *row, const char *skip,
                                   struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs);

/* Where the tables allow a part at a place that `path` passes through: a name alone there becomes {type: name} (or
 * {init: name}), and a part that is missing gets the node of its default, so that something can be set below it. What
 * cannot be followed is left to gle_node_set(). Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_reach(struct gle_doc *doc, const struct gle_key *keys, const char *path,
                             struct gle_errors *errs);

/* "unknown activation 'tahn' (did you mean 'tanh'?)" at node; lists the names when none is near. Returns -1. */
int gle_unknown_name(const struct gle_table *table, const struct gle_node *node, struct gle_errors *errs);
/* Says what a list of notes (or NULL) says of the text of node. Returns -1 if it says something, else 0. */
int gle_noted(const struct gle_note *notes, const struct gle_node *node, struct gle_errors *errs);

#endif
