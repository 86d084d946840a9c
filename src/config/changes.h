/* changes.h - what several runs of a file differ in: values at dotted paths, from the command line, a variant or a
 * sweep. A value that somebody gave is used, or refused with the place of what it would be lost to. */
#ifndef GLE_CONFIG_CHANGES_H
#define GLE_CONFIG_CHANGES_H

#include "yaml/node.h"

enum gle_change_by { GLE_BY_COMMAND, GLE_BY_VARIANT, GLE_BY_SWEEP };

struct gle_change {
    const char *path;
    struct gle_node *value; /* detached, in the arena of its new document; its key_line is that of the key */
    enum gle_change_by by;
    const char *where; /* in words: "--set a.b=c", "the variant 'x'", "the sweep" */
    bool alone;        /* nobody else may set it */
};
struct gle_changes {
    struct gle_change *item;
    size_t n, room; /* room: made by gle_changes_start() */
};

/* Room for n changes in doc's arena. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_changes_start(struct gle_changes *out, struct gle_doc *doc, size_t n, struct gle_errors *errs);

/* Puts all values where their paths say, those above before those below, or else in their order. The command has the
 * last word over a variant; what lies below another path has it within one source.
 * section: only what lies within that section of the file, if `within`; else only the rest.
 * Errors: a place that is set twice, or by a sweep and within a value from elsewhere (GLE_ECONFIG); what gle_node_set()
 *         finds. */
GLE_MUST_CHECK int gle_changes_apply(const struct gle_changes *changes, struct gle_doc *doc, const char *section,
                                     bool within, struct gle_errors *errs);

#endif
