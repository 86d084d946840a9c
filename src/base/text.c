#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 63 };

static int lower(char c)
{
    return tolower((unsigned char)c);
}

/* Optimal string alignment distance: edits, and swaps of neighbours. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1];
    const size_t na = strlen(a), nb = strlen(b);

    if (na > WORD_MAX || nb > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            const bool same = lower(a[i - 1]) == lower(b[j - 1]);
            size_t d = last[j - 1] + !same;
            if (last[j] + 1 < d)
                d = last[j] + 1;
            if (now[j - 1] + 1 < d)
                d = now[j - 1] + 1;
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]) &&
                before[j - 2] + 1 < d)
                d = before[j - 2] + 1;
            now[j] = d;
        }
    }
    return rows[na % 3][nb];
}

static bool differs_in_case_alone(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return !*a && !*b;
}

/* How much longer or shorter a candidate is than n characters. */
static size_t unlike(size_t n, const char *candidate)
{
    const size_t m = strlen(candidate);
    return m > n ? m - n : n - m;
}

void gle_suggest(struct gle_suggestion *s, const char *candidate)
{
    const size_t d = differs_in_case_alone(s->word, candidate) ? 0 : distance(s->word, candidate);
    const size_t n = strlen(s->word);
    const size_t allowed = n < 3 ? 1 : n < 6 ? 2 : 3;

    if (d <= allowed && d < n &&
        (!s->best || d < s->distance || (d == s->distance && unlike(n, candidate) < unlike(n, s->best)))) {
        s->best = candidate;
        s->distance = d;
    }
}

/* [+-]? (digits [. digits?] | . digits) ([eE] [+-]? digits)? */
static bool looks_like_real(const char *t)
{
    size_t digits = 0;

    if (*t == '+' || *t == '-')
        t++;
    for (; isdigit((unsigned char)*t); t++)
        digits++;
    if (*t == '.')
        for (t++; isdigit((unsigned char)*t); t++)
            digits++;
    if (!digits)
        return false;
    if (*t == 'e' || *t == 'E') {
        t++;
        if (*t == '+' || *t == '-')
            t++;
        if (!isdigit((unsigned char)*t))
            return false;
        while (isdigit((unsigned char)*t))
            t++;
    }
    return *t == '\0';
}

int gle_text_real(double *value, const char *text)
{
    const char *t = *text == '+' || *text == '-' ? text + 1 : text;

    if (!strcmp(t, ".inf") || !strcmp(t, ".Inf") || !strcmp(t, ".INF")) {
        *value = *text == '-' ? -INFINITY : INFINITY;
        return 0;
    }
    if (!strcmp(text, ".nan") || !strcmp(text, ".NaN") || !strcmp(text, ".NAN")) {
        *value = NAN;
        return 0;
    }
    if (!looks_like_real(text))
        return -1;
    *value = strtod(text, NULL);
    return 0;
}

int gle_text_count(uint64_t *value, const char *text)
{
    double real;
    size_t n = strspn(text, "0123456789");

    if (n && !text[n]) {
        errno = 0;
        *value = strtoull(text, NULL, 10);
        return errno ? -1 : 0;
    }
    if (gle_text_real(&real, text) || !(real >= 0.0 && real < 9007199254740992.0) || real != floor(real))
        return -1;
    *value = (uint64_t)real;
    return 0;
}

int gle_text_bool(bool *value, const char *text)
{
    static const char *const words[2][9] = {
        {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"},
        {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"},
    };

    for (int v = 0; v < 2; v++)
        for (size_t i = 0; i < 9; i++)
            if (!strcmp(text, words[v][i])) {
                *value = v;
                return 0;
            }
    return -1;
}

void gle_text_from_real(char *buf, size_t size, double value)
{
    if (isnan(value)) {
        snprintf(buf, size, ".nan");
        return;
    }
    if (isinf(value)) {
        snprintf(buf, size, value < 0 ? "-.inf" : ".inf");
        return;
    }
    if (value == floor(value) && fabs(value) < 1e15) {
        snprintf(buf, size, "%.0f", value);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buf, size, "%.*g", digits, value);
        if (strtod(buf, NULL) == value)
            return;
    }
}

void gle_text_portable(char *buf, size_t size, const char *text)
{
    static const char digits[] = "0123456789";
    const size_t n_sign = strspn(text, "+-");
    const char *whole = text + n_sign, *fraction, *power;
    size_t n_whole = strspn(whole, digits), n_fraction, n;
    const bool point = whole[n_whole] == '.';

    fraction = whole + n_whole + point;
    n_fraction = strspn(fraction, digits);
    power = fraction + n_fraction;
    if (!n_whole && !n_fraction) { /* .inf, .nan */
        snprintf(buf, size, "%s", text);
        return;
    }
    for (; n_whole > 1 && *whole == '0'; whole++)
        n_whole--;
    n = (size_t)snprintf(buf, size, "%.*s%.*s", (int)n_sign, text, n_whole ? (int)n_whole : 1, n_whole ? whole : "0");
    if (point || *power)
        n += (size_t)snprintf(buf + n, size - n, ".%.*s",
                              n_fraction ? (int)n_fraction : 1, n_fraction ? fraction : "0");
    if (*power)
        snprintf(buf + n, size - n, "e%s%s", strchr("+-", power[1]) ? "" : "+", power + 1);
}

size_t gle_text_shell(char *buf, const char *word)
{
    static const char plain[] = "_@%+:,./-="; /* beside letters and digits; a = is one where it does not come first */
    bool quoted = !*word || *word == '=';
    size_t at = 0;

    for (const char *c = word; *c && !quoted; c++)
        quoted = !(((unsigned char)*c < 0x80 && isalnum((unsigned char)*c)) || strchr(plain, *c));
    if (quoted)
        buf[at++] = '\'';
    for (; *word; word++) {
        if (*word == '\'') { /* ends the quotes, is one, and begins others */
            memcpy(buf + at, "'\\'", 3);
            at += 3;
        }
        buf[at++] = *word;
    }
    if (quoted)
        buf[at++] = '\'';
    buf[at] = '\0';
    return at;
}

struct gle_text_bytes gle_text_bytes(double bytes)
{
    static const double MIB = 1024.0 * 1024.0;
    struct gle_text_bytes t;

    snprintf(t.text, sizeof t.text, bytes < 1000.0 * MIB ? "%.3g MiB" : "%.0f MiB", bytes / MIB);
    return t;
}
