/* node.h - YAML text as a tree of nodes that remember where they were written. Knows nothing of what they mean. */
#ifndef GLE_YAML_NODE_H
#define GLE_YAML_NODE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gle_arena;

/* Limits on what a file may hold, so that hostile input ends in an error and not in swap. */
enum {
    GLE_YAML_BYTES_MAX = 64 << 20,   /* of text */
    GLE_YAML_DEPTH_MAX = 64,         /* of nesting, aliases followed */
    GLE_YAML_NODES_MAX = 4 << 20,    /* after aliases, merge keys are expanded */
    GLE_YAML_COPIES_MAX = 1 << 18,   /* nodes made by aliases, which need little text to be many */
    GLE_YAML_KEY_BYTES_MAX = 250,    /* of a key: in quotes and escaped it stays below the 1024 that YAML allows */
};

enum gle_node_kind { GLE_NODE_SCALAR, GLE_NODE_LIST, GLE_NODE_MAP };
/* What a key made of a scalar; RAW until it is decoded. Decides how the resolved config is written. */
enum gle_scalar_kind { GLE_SCALAR_RAW, GLE_SCALAR_TEXT, GLE_SCALAR_NUMBER, GLE_SCALAR_BOOL };

/* Aliases and merge keys are expanded into copies, so that this is a tree: every node has one parent and one path. A
 * copy keeps the position of the text it was copied from. Owned by the document's arena. */
struct gle_node {
    enum gle_node_kind kind;
    const char *file;    /* name for messages */
    size_t line, column; /* 1-based; 0: none, what was given on the command line */
    /* Set when the parent is a map: the key as written and where. */
    const char *key;
    size_t key_line, key_column;
    bool implied; /* nobody wrote the key: a decoder put a bare value under it. Paths leave it out */
    bool filled_in; /* nobody wrote it: it is a default */
    struct gle_node *parent; /* NULL for the root */
    /* Scalars */
    const char *text; /* NUL-terminated, without quotes; a text with a NUL inside is refused on loading. Once decoded,
                         numbers and truth values are in a form that readers of YAML 1.1 and 1.2 take for the same, and
                         relative paths start from the folder of the config */
    bool quoted;      /* written in quotes or as a block: never null */
    const char *absolute; /* of a decoded path; else NULL */
    enum gle_scalar_kind as;
    double number; /* if as == NUMBER */
    /* Lists and maps: children in the order written. */
    struct gle_node **items;
    size_t n_items;
};

/* A document owns its nodes and whatever was decoded from them. */
struct gle_doc {
    struct gle_arena *arena;
    struct gle_node *root; /* a map */
    bool nowhere; /* it was not read from a file that stays: relative paths start from the current directory */
};

/* Reads a file holding one YAML 1.2 document whose root is a map. CRLF and a byte order mark are accepted.
 * Owns:   *out belongs to the caller (gle_doc_destroy).
 * Errors: a file that cannot be read (GLE_ECONFIG), malformed YAML, duplicate keys (all of them reported), tabs, bad
 *         UTF-8, an empty file, several documents, unknown or recursive aliases, wrong merge keys, the limits above,
 *         memory. On error *out is NULL. */
GLE_MUST_CHECK int gle_doc_load(struct gle_doc **out, const char *path, struct gle_errors *errs);
/* The same from memory; `name` is used in messages. */
GLE_MUST_CHECK int gle_doc_parse(struct gle_doc **out, const char *text, size_t len, const char *name,
                                 struct gle_errors *errs);
/* A copy, without what stands under the key `except` of the root, that shares nothing with the original. NULL: no
 * memory. Owns: the caller (gle_doc_destroy). */
struct gle_doc *gle_doc_copy(const struct gle_doc *from, const char *except);
void gle_doc_destroy(struct gle_doc *doc); /* NULL is fine */

/* The child of a map under `key`, or NULL. */
struct gle_node *gle_node_get(const struct gle_node *map, const char *key);

/* "network.layers[2].tau_m" of a node, "" for the root; with key (may be NULL) appended. Cut to size. */
void gle_node_path(char *buf, size_t size, const struct gle_node *node, const char *key);

/* A node that stands where the key of `node` does, for messages about the key. */
struct gle_node gle_node_at_key(const struct gle_node *node);

/* Records an error at `node` (file, position, path), or, when key is given, at the child or key of that name under it
 * if there is one ("a.b": at b under a), with the path extended by key in any case. node may be NULL (no position).
 * Return -1. */
int gle_node_fail(struct gle_error *err, enum gle_code code, const struct gle_node *node, const char *key,
                  const char *fmt, ...) GLE_PRINTF(5, 6);
int gle_node_error(struct gle_errors *errs, enum gle_code code, const struct gle_node *node, const char *key,
                   const char *fmt, ...) GLE_PRINTF(5, 6);

/* Says where the text of a node has a character that cannot be seen, since that may be why it is not understood.
 * Returns -1 if it has one, else 0. */
int gle_node_invisible(const struct gle_node *node, struct gle_errors *errs);
/* The same of the key of a node. */
int gle_node_key_invisible(const struct gle_node *node, struct gle_errors *errs);

/* Gives an error that has no position yet that of `node` (or of the child `key`); one about another file, which
 * `node` asks for, keeps that file and says in its words where it was asked for. */
void gle_node_place(struct gle_error *err, const struct gle_node *node, const char *key);
/* Takes the child `key` out of a map; nothing if there is none. */
void gle_node_remove(struct gle_node *map, const char *key);

/* Parses `text` as one YAML value (scalar or flow collection) into doc's arena, detached. `name` says in messages where
 * it was given; nodes have no lines. A text without quotes is taken whole, with what would be a comment in a file;
 * behind other values nothing can follow. */
GLE_MUST_CHECK int gle_node_parse(struct gle_node **out, struct gle_doc *doc, const char *text, const char *name,
                                  struct gle_errors *errs);
/* A deep copy in doc's arena, detached; NULL: no memory. */
struct gle_node *gle_node_copy(struct gle_doc *doc, const struct gle_node *node);
/* The same of a node of another document, with which the copy shares nothing; its key is copied, too. */
struct gle_node *gle_node_import(struct gle_doc *doc, const struct gle_node *node);
/* Puts child (detached; its key set, if parent is a map) at the end of a list or map. Returns -1: no memory. */
GLE_MUST_CHECK int gle_node_add(struct gle_doc *doc, struct gle_node *parent, struct gle_node *child);
/* Puts a bare value under `key` in a map that takes its place in the tree. Positions stay, for messages about the
 * value. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_node_wrap(struct gle_doc *doc, struct gle_node *node, const char *key, struct gle_errors *errs);
/* Puts value (detached; taken over) under map `parent`, at the end; it and all below it get the position of the parent.
 * Returns value; NULL: no memory, or value was NULL. */
struct gle_node *gle_node_append(struct gle_doc *doc, struct gle_node *parent, const char *key, struct gle_node *value);

/* Puts `value` (detached; taken over) at a dotted path under root: `learning.optimizer.lr`,
 * `network.layers[1].neurons[0].tau_m`. What is there is replaced; missing maps on the way are made; a list index must
 * exist. A path that passes through a scalar or is malformed is an error, placed at value's key_line
 * and key_column if they are set, else at value. Several runs of a file
 * differ by this alone (--set, variants). */
GLE_MUST_CHECK int gle_node_set(struct gle_doc *doc, const char *path, struct gle_node *value, struct gle_errors *errs);
/* What stands at such a path, or NULL. */
struct gle_node *gle_node_find(struct gle_node *root, const char *path);
/* Orders paths, one that leads above another before it. *above: a leads above b. 0: they lead to one place. */
int gle_path_compare(const char *a, const char *b, bool *above);
/* Whether such a path leads to the section of that name, or into it. */
bool gle_path_is_within(const char *path, const char *section);

/* The name ("type") in a map that says no more than it alone does, since what stands beside it are defaults; or NULL.
 * So a config from before a row had settings stays the same one. */
const struct gle_node *gle_node_bare_name(const struct gle_node *map);

/* The first place, in the order of `here`, at which two trees say something else: "learning.optimizer.lr is 0.001
 * there, 0.0005 here", cut to size. The order of keys in a map, and how a number is written, say nothing, nor does a
 * default of `here` that `there` lacks. dir: the folder that relative paths of `there` start from, if those of `here`
 * are decoded; NULL: they are compared as texts. false, and "": there is none. */
bool gle_node_differs(char *buf, size_t size, const struct gle_node *there, const struct gle_node *here,
                      const char *dir);
/* A number that two decoded trees share if they say the same, and else most probably not. */
uint64_t gle_node_hash(const struct gle_node *node);

/* The tree as YAML text (block style; lists of scalars in flow style), which reads back as the same tree. Heap text:
 * gle_free(). NULL: no memory. */
char *gle_node_text(const struct gle_node *node);
/* The same, for a file in the folder `dir`: relative paths lead to their files from there (NULL: as in the config). */
char *gle_node_text_in(const struct gle_node *node, const char *dir);
/* What a config in the folder `dir` has to say to name the file of a decoded path: an absolute path if that was given,
 * or if dir and the file share no folder but the root, or if a link on the way would make a relative one lead
 * elsewhere; else a relative one. Owns: gle_free(). NULL: no memory. */
char *gle_path_from(const char *dir, const struct gle_node *node);

#endif
