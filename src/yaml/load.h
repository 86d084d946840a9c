/* load.h - one YAML text into nodes. For the functions of node.h that read texts. */
#ifndef GLE_YAML_LOAD_H
#define GLE_YAML_LOAD_H

#include "yaml/node.h"

struct gle_loaded {
    struct gle_node *root; /* NULL: there is nothing but blanks and comments */
    bool block;            /* a map or list by indentation */
    bool plain;            /* a single text without quotes, tag or anchor */
    size_t end;            /* bytes of the text up to the end of the root */
};

/* Reads text into doc's arena; `name` is the file of its nodes. placed: nodes and errors have lines and columns.
 * Errors: all that gle_doc_load() names, but for the kind of the root. Returns -1 if it added any. */
GLE_MUST_CHECK int gle_load(struct gle_loaded *out, struct gle_doc *doc, const char *text, size_t len, const char *name,
                            bool placed, struct gle_errors *errs);

#endif
