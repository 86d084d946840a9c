/* utf8.h - characters of a text. */
#ifndef GLE_BASE_UTF8_H
#define GLE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Reads one character of UTF-8; a byte that is none stands for itself. Returns its length. */
size_t gle_utf8_take(unsigned *code, const char *text);
/* The name of the first character that looks like a blank or like nothing but is neither ("no-break space"), or NULL.
 * *before: characters before it; *code: its number. */
const char *gle_utf8_invisible(const char *text, size_t *before, unsigned *code);
/* Whether a text begins or ends with such a character. */
bool gle_utf8_framed(const char *text);

#endif
