#include "base/utf8.h"

/* Characters that look like a blank or like nothing. */
static const struct invisible {
    unsigned first, last;
    const char *name;
} invisibles[] = {
    {0x85, 0x85, "next line"},
    {0xA0, 0xA0, "no-break space"},
    {0xAD, 0xAD, "soft hyphen"},
    {0x61C, 0x61C, "mark of direction"},
    {0x1680, 0x1680, "Ogham space"},
    {0x180E, 0x180E, "Mongolian vowel separator"},
    {0x2000, 0x200A, "space of another width"},
    {0x200B, 0x200B, "zero-width space"},
    {0x200C, 0x200C, "zero-width non-joiner"},
    {0x200D, 0x200D, "zero-width joiner"},
    {0x200E, 0x200F, "mark of direction"},
    {0x2028, 0x2028, "line separator"},
    {0x2029, 0x2029, "paragraph separator"},
    {0x202A, 0x202E, "mark of direction"},
    {0x202F, 0x202F, "narrow no-break space"},
    {0x205F, 0x205F, "mathematical space"},
    {0x2060, 0x2060, "word joiner"},
    {0x2061, 0x2064, "invisible operator"},
    {0x2066, 0x2069, "mark of direction"},
    {0x3000, 0x3000, "ideographic space"},
    {0xFEFF, 0xFEFF, "byte order mark"},
};

size_t gle_utf8_take(unsigned *code, const char *text)
{
    const unsigned char *t = (const unsigned char *)text;
    const size_t n = t[0] < 0xC0 ? 1 : t[0] < 0xE0 ? 2 : t[0] < 0xF0 ? 3 : 4;

    *code = n == 1 ? t[0] : t[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((t[i] & 0xC0) != 0x80) {
            *code = t[0];
            return 1;
        }
        *code = *code << 6 | (t[i] & 0x3Fu);
    }
    return n;
}

/* The name of a character; NULL: it can be seen, or is a blank. */
static const char *name_of(unsigned code)
{
    for (size_t i = 0; i < sizeof invisibles / sizeof *invisibles; i++)
        if (code >= invisibles[i].first && code <= invisibles[i].last)
            return invisibles[i].name;
    return NULL;
}

const char *gle_utf8_invisible(const char *text, size_t *before, unsigned *code)
{
    *before = 0;
    for (size_t n; *text; text += n, ++*before) {
        n = gle_utf8_take(code, text);
        if (n > 1 && name_of(*code))
            return name_of(*code);
    }
    return NULL;
}

bool gle_utf8_framed(const char *text)
{
    bool first = true, last = false;

    for (size_t n; *text; text += n) {
        unsigned code;
        n = gle_utf8_take(&code, text);
        last = n > 1 && name_of(code);
        if (first && last)
            return true;
        first = false;
    }
    return last;
}
