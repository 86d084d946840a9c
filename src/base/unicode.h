/* unicode.h - texts that are the same to whoever reads them. An umlaut may be one character, or a letter and a mark;
 * file systems and editors differ in what they write. */
#ifndef GLE_BASE_UNICODE_H
#define GLE_BASE_UNICODE_H

#include "base/memory.h"

/* The text in composed form (Unicode's NFC), by which two that look the same are equal. The text itself, if it has that
 * form already, or if it is not UTF-8; else a copy that the arena owns. NULL: no memory. */
const char *gle_unicode_composed(struct gle_arena *arena, const char *text);

#endif
