#include "base/unicode.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

static bool is_ascii(const char *text)
{
    while (*text && !(*text & 0x80))
        text++;
    return !*text;
}

const char *gle_unicode_composed(struct gle_arena *arena, const char *text)
{
    const utf8proc_option_t form = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    const utf8proc_ssize_t len = (utf8proc_ssize_t)strlen(text);
    utf8proc_ssize_t n;
    utf8proc_int32_t *buffer;
    const char *out = text;

    if (is_ascii(text))
        return text;
    n = utf8proc_decompose(bytes, len, NULL, 0, form);
    if (n < 0) /* not UTF-8 */
        return text;
    buffer = gle_calloc((size_t)n + 1, sizeof *buffer);
    if (!buffer)
        return NULL;
    if (utf8proc_decompose(bytes, len, buffer, n, form) == n && (n = utf8proc_reencode(buffer, n, form)) >= 0 &&
        strcmp((const char *)buffer, text))
        out = gle_arena_text(arena, (const char *)buffer, (size_t)n);
    gle_free(buffer);
    return out;
}
