#include "yaml/disguise.h"

#include "base/memory.h"

#include <ctype.h>
#include <string.h>

enum {
    PRIVATE = 0xE000, /* first character for private use */
    N_PRIVATE = 0x1900,
    N_PAIRS = 0x800, /* surrogates: first halves from 0, second halves from HALF */
    HALF = 0x400,
    N_BLOCKS = 3, /* of N_PAIRS: the rest is for line ends */
    N_BREAKS = 3,
    ESCAPE = 6, /* bytes of \uXXXX */
};

static const char *const breaks[N_BREAKS] = {"\xC2\x85", "\xE2\x80\xA8", "\xE2\x80\xA9"};

/* Which line end begins at t; N_BREAKS: none. */
static size_t break_at(const char *t, size_t left)
{
    size_t i = 0;

    while (i < N_BREAKS && (left < strlen(breaks[i]) || memcmp(t, breaks[i], strlen(breaks[i])) != 0))
        i++;
    return i;
}

static unsigned hex(char c)
{
    return (unsigned)(isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10);
}

/* Reads \uXXXX. */
static bool escape_at(unsigned *code, const char *t, size_t left)
{
    *code = 0;
    if (left < ESCAPE || t[0] != '\\' || t[1] != 'u')
        return false;
    for (int i = 2; i < ESCAPE; i++) {
        if (!isxdigit((unsigned char)t[i]))
            return false;
        *code = *code << 4 | hex(t[i]);
    }
    return true;
}

/* Whether the first two of the four digits are of one case, which is what a disguise can keep. */
static bool one_case(const char *escape)
{
    return isdigit((unsigned char)escape[3]) ||
           !islower((unsigned char)escape[2]) == !islower((unsigned char)escape[3]);
}

/* Whether both halves of a character begin at t, whose backslash counts. */
static bool pair_at(const char *text, size_t at, size_t len)
{
    unsigned high, low;
    size_t slashes = 0;

    while (slashes < at && text[at - 1 - slashes] == '\\')
        slashes++;
    return slashes % 2 == 0 && escape_at(&high, text + at, len - at) &&
           escape_at(&low, text + at + ESCAPE, len - at - ESCAPE) && high >= 0xD800 && high < 0xD800 + HALF &&
           low >= 0xDC00 && low < 0xDC00 + HALF && one_case(text + at) && one_case(text + at + ESCAPE);
}

/* The character for private use that begins at t, or 0. */
static unsigned private_at(const char *t, size_t left)
{
    const unsigned char *c = (const unsigned char *)t;
    unsigned code;

    if (left < 3 || (c[0] != 0xEE && c[0] != 0xEF))
        return 0;
    code = (c[0] & 0xFu) << 12 | (c[1] & 0x3Fu) << 6 | (c[2] & 0x3Fu);
    return code >= PRIVATE && code < PRIVATE + N_PRIVATE ? code : 0;
}

/* Marks what the text has of them, as characters or escaped. */
static void find_used(bool used[N_PRIVATE], const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned code = private_at(text + i, len - i);
        if (code || (escape_at(&code, text + i, len - i) && code >= PRIVATE && code < PRIVATE + N_PRIVATE))
            used[code - PRIVATE] = true;
    }
}

/* The first of n unused ones, looked for from `from` on in steps of n below `to`; 0: there are none. */
static unsigned unused(const bool used[N_PRIVATE], size_t from, size_t to, size_t n)
{
    for (size_t i = from; i + n <= to; i += n)
        if (!memchr(used + i, true, n))
            return PRIVATE + (unsigned)i;
    return 0;
}

static char *put_code(char *to, unsigned code)
{
    if (code >= 0x10000) {
        *to++ = (char)(0xF0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3F));
    } else {
        *to++ = (char)(0xE0 | code >> 12);
    }
    *to++ = (char)(0x80 | (code >> 6 & 0x3F));
    *to++ = (char)(0x80 | (code & 0x3F));
    return to;
}

/* \uXXXX for `code`, the two last digits of which it shares with `like`, as well as the case of the letters. */
static char *put_escape(char *to, unsigned code, const char *like)
{
    const char *digits = islower((unsigned char)like[2]) ? "0123456789abcdef" : "0123456789ABCDEF";

    memmove(to, like, ESCAPE);
    to[2] = digits[code >> 12];
    to[3] = digits[code >> 8 & 0xF];
    return to + ESCAPE;
}

int gle_disguise_put(struct gle_disguise *d, const char *text, size_t len)
{
    bool used[N_PRIVATE] = {false};
    size_t n_breaks = 0, n_pairs = 0;
    char *to;

    *d = (struct gle_disguise){0};
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] >= 0xC2 && break_at(text + i, len - i) < N_BREAKS)
            n_breaks++;
        else if (text[i] == '\\' && pair_at(text, i, len))
            n_pairs++;
    }
    if (!n_breaks && !n_pairs)
        return 0;
    find_used(used, text, len);
    d->pairs = n_pairs ? unused(used, 0, N_BLOCKS * N_PAIRS, N_PAIRS) : 0;
    d->breaks = n_breaks ? unused(used, N_BLOCKS * N_PAIRS, N_PRIVATE, N_BREAKS) : 0;
    to = d->text = gle_calloc(len + n_breaks + 1, 1); /* the shortest line end has a byte less */
    if (!to)
        return -1;
    for (size_t i = 0; i < len;) {
        const size_t which = d->breaks ? break_at(text + i, len - i) : N_BREAKS;
        if (which < N_BREAKS) {
            to = put_code(to, d->breaks + (unsigned)which);
            i += strlen(breaks[which]);
        } else if (d->pairs && text[i] == '\\' && pair_at(text, i, len)) {
            for (int half = 0; half < 2; half++, i += ESCAPE) {
                unsigned code;
                if (escape_at(&code, text + i, len - i))
                    to = put_escape(to, d->pairs + code - 0xD800, text + i);
            }
        } else {
            *to++ = text[i++];
        }
    }
    d->len = (size_t)(to - d->text);
    return 0;
}

void gle_disguise_undo(const struct gle_disguise *d, char *text, bool escapes)
{
    const size_t len = strlen(text);
    char *to = text;

    if (!d->text)
        return;
    for (size_t i = 0; i < len;) {
        unsigned code = private_at(text + i, len - i), low;
        if (code && d->breaks && code - d->breaks < N_BREAKS) {
            const char *end = breaks[code - d->breaks];
            memcpy(to, end, strlen(end));
            to += strlen(end);
            i += 3;
        } else if (code && d->pairs && escapes && code - d->pairs < HALF) {
            low = private_at(text + i + 3, len - i - 3) - d->pairs - HALF;
            to = put_code(to, 0x10000 + ((code - d->pairs) << 10 | low));
            i += 6;
        } else if (d->pairs && !escapes && escape_at(&code, text + i, len - i) && code - d->pairs < N_PAIRS) {
            to = put_escape(to, 0xD800 + code - d->pairs, text + i);
            i += ESCAPE;
        } else {
            *to++ = text[i++];
        }
    }
    *to = '\0';
}
