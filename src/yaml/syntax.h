/* syntax.h - what libyaml complains about, in words for people who edit a file and do not know libyaml's. */
#ifndef GLE_YAML_SYNTAX_H
#define GLE_YAML_SYNTAX_H

#include "base/error.h"

#include <stddef.h>
#include <yaml.h>

/* Fills err (zeroed by the caller) with the words and the position (1-based) of what stopped libyaml in a text of len
 * bytes: any error of a parser but a lack of memory. */
void gle_syntax_error(struct gle_error *err, const yaml_parser_t *yaml, const char *bytes, size_t len);

#endif
