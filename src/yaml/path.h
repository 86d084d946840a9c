/* path.h - files that a config names: relative to what, and how another file names them. By the text alone, so that a
 * file need not be there and links are not followed, unless a comment says otherwise. */
#ifndef GLE_YAML_PATH_H
#define GLE_YAML_PATH_H

#include "yaml/node.h"

/* Makes a node (a scalar with a text) the path of a file: node->absolute is where it leads, and a relative one is
 * written from the folder of the config from then on, also if it came from the command line.
 * Errors: GLE_ECONFIG (no current directory), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_path_decode(struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs);

/* Whether `text`, said by a config in the folder dir, leads where a decoded path leads. */
bool gle_path_leads(const char *text, const char *dir, const struct gle_node *node);

#endif
