/* disguise.h - what libyaml takes for something else than YAML 1.2 does goes through it in disguise: the characters
 * next line, line separator and paragraph separator, which end a line for libyaml, and characters that JSON writes as
 * a pair of surrogates (\ud83e\udde0), which it refuses. Each passes as a character for private use that the text does
 * not hold, so that lines and columns stay. */
#ifndef GLE_YAML_DISGUISE_H
#define GLE_YAML_DISGUISE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct gle_disguise {
    char *text; /* in place of the one given; NULL: that one will do */
    size_t len;
    unsigned pairs, breaks; /* the first characters for private use that stand for surrogates and for line
                               ends; 0: none */
};

/* Owns: d->text, gle_free(). Returns -1: no memory. */
GLE_MUST_CHECK int gle_disguise_put(struct gle_disguise *d, const char *text, size_t len);
/* Gives a text that libyaml has read (NUL-terminated, in place) back what it was meant to hold. escapes: it stood in
 * double quotes, where \u means something. */
void gle_disguise_undo(const struct gle_disguise *d, char *text, bool escapes);

#endif
