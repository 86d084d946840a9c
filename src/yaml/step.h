/* step.h - dotted paths step by step. For whoever follows them through a tree. */
#ifndef GLE_YAML_STEP_H
#define GLE_YAML_STEP_H

#include "yaml/node.h"

/* One step of a path: a key, or the digits between brackets. */
struct gle_step {
    const char *text;
    size_t len;
    bool is_index;
    const char *rest; /* what follows; "" after the last step */
};

/* Takes the step that begins at p (a dot before a key was passed over). Returns -1 if the path is malformed there. */
GLE_MUST_CHECK int gle_step_take(struct gle_step *step, const char *p);
/* Whether it names `child`, item number `index` of its parent, which is of the right kind. */
bool gle_step_names(const struct gle_step *step, const struct gle_node *child, size_t index);
/* The child of node that it names, or NULL. */
struct gle_node *gle_step_child(const struct gle_step *step, const struct gle_node *node);

#endif
