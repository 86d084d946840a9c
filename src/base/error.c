#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void copy_tail(char *dst, size_t size, const char *src)
{
    const size_t n = strlen(src);

    if (n < size) {
        memcpy(dst, src, n + 1);
        return;
    }
    memcpy(dst, "...", 3);
    memcpy(dst + 3, src + n - (size - 4), size - 3);
}

static void copy_head(char *dst, size_t size, const char *src)
{
    const size_t n = strlen(src);

    if (n < size) {
        memcpy(dst, src, n + 1);
        return;
    }
    memcpy(dst, src, size - 4);
    memcpy(dst + size - 4, "...", 4);
}

int gle_fail(struct gle_error *err, enum gle_code code, const char *fmt, ...)
{
    va_list args;

    if (err->code != GLE_OK)
        return -1;
    err->code = code;
    err->file[0] = err->path[0] = '\0';
    err->line = err->column = 0;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return -1;
}

int gle_fail_in(struct gle_error *err, enum gle_code code, const char *file, const char *path, const char *fmt, ...)
{
    char text[sizeof err->text];
    va_list args;

    if (err->code != GLE_OK)
        return -1;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    gle_fail(err, code, "%s", text);
    gle_error_place(err, file, 0, 0, path);
    return -1;
}

void gle_error_place(struct gle_error *err, const char *file, size_t line, size_t column, const char *path)
{
    copy_tail(err->file, sizeof err->file, file ? file : "");
    err->line = line;
    err->column = column;
    copy_head(err->path, sizeof err->path, path ? path : "");
}

int gle_errors_add(struct gle_errors *errs, const struct gle_error *err)
{
    for (size_t i = 0; i < errs->n; i++) {
        const struct gle_error *old = &errs->item[i];
        const bool placed = err->line || err->file[0]; /* what was given on the command line has no line */
        if (placed && old->line == err->line && old->column == err->column && !strcmp(old->file, err->file) &&
            (err->line || !strcmp(old->path, err->path)) && !strcmp(old->text, err->text))
            return -1;
    }
    if (errs->n == GLE_ERRORS_MAX)
        errs->dropped++;
    else
        errs->item[errs->n++] = *err;
    return -1;
}

/* Whether a stands before b in the user's files. */
static int stands_before(const struct gle_error *a, const struct gle_error *b)
{
    const int files = strcmp(a->file, b->file);

    if (files || a->line != b->line)
        return files ? files < 0 : a->line < b->line;
    return a->column < b->column;
}

void gle_errors_sort(struct gle_errors *errs)
{
    for (size_t i = 1; i < errs->n; i++) {
        const struct gle_error moved = errs->item[i];
        size_t j = i;
        for (; j && stands_before(&moved, &errs->item[j - 1]); j--)
            errs->item[j] = errs->item[j - 1];
        errs->item[j] = moved;
    }
}

/* Names of files, and texts of a config, may hold what would do things to a terminal. */
static void hide_controls(char *text)
{
    for (unsigned char *t = (unsigned char *)text; *t; t++) {
        const bool c1 = t[0] == 0xc2 && t[1] >= 0x80 && t[1] < 0xa0; /* U+0080 ... U+009F */
        if (*t < 0x20 || *t == 0x7f || c1)
            *t = '?';
        if (c1)
            *++t = '?';
    }
}

void gle_error_format(char *buf, size_t size, const struct gle_error *err)
{
    size_t n = 0;
    buf[0] = '\0';
    if (err->file[0] && err->line)
        n = (size_t)snprintf(buf, size, "%s:%zu:%zu: ", err->file, err->line, err->column);
    else if (err->file[0])
        n = (size_t)snprintf(buf, size, "%s: ", err->file);
    if (n < size && err->path[0])
        n += (size_t)snprintf(buf + n, size - n, "%s: ", err->path);
    if (n < size)
        snprintf(buf + n, size - n, "%s", err->text);
    hide_controls(buf);
}

int gle_code_exit(enum gle_code code)
{
    switch (code) {
    case GLE_OK:
        return 0;
    case GLE_ECONFIG:
    case GLE_ERANGE:
    case GLE_ESHAPE:
    case GLE_EUSAGE:
        return 2;
    case GLE_EWRITE:
        return 3;
    case GLE_EDATA:
        return 4;
    case GLE_EDEVICE:
    case GLE_ENOMEM:
    case GLE_ESTOPPED: /* the signal's own number goes before */
        return 5;
    case GLE_EDIVERGED:
        return 6;
    case GLE_ECLAIM:
        return 7;
    }
    return 5;
}
