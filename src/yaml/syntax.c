#include "yaml/syntax.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The text that libyaml was reading. */
struct text {
    const yaml_parser_t *yaml;
    const char *bytes;
    size_t len;
    struct gle_error *err;
};

static int say(struct text *t, size_t line, size_t column, const char *fmt, ...) GLE_PRINTF(4, 5);
static int say(struct text *t, size_t line, size_t column, const char *fmt, ...)
{
    char words[sizeof t->err->text];
    va_list args;

    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    gle_fail(t->err, GLE_ECONFIG, "%s", words);
    gle_error_place(t->err, NULL, line, column, NULL);
    return -1;
}

/* libyaml's marks begin at 0. */
#define AT(mark) (mark).line + 1, (mark).column + 1

#define TAB_WORDS "a tab is not allowed for indentation here; use spaces"
#define ESCAPE_WORDS "unknown escape in a double-quoted text (write \\\\ for a backslash, or use single quotes)"
#define CODE_WORDS "an escape \\x, \\u or \\U wants the 2, 4 or 8 hexadecimal digits of a character"
#define TAG_WORDS "tags (words that begin with '!') are not used here; put a text that begins with '!' in quotes"
#define DIRECTIVE_WORDS "a line cannot begin with '%' here; put a text that begins with '%' in quotes"

/* What libyaml says, and what helps someone who edits a file. %zu is the line where the thing began. */
static const struct complaint {
    const char *problem, *words;
    bool at_start; /* position: where the thing began, not where libyaml noticed */
} complaints[] = {
    {"found a tab character that violates indentation", TAB_WORDS, false},
    {"found a tab character where an indentation space is expected", TAB_WORDS, false},
    {"could not find expected ':'", "a ': ' (colon and space) is missing after this key", true},
    {"mapping values are not allowed in this context",
     "a ':' cannot stand here; check the indentation and the line before, and put a text with ': ' in quotes", false},
    {"found unexpected ':'", "a ':' cannot stand here; put a text with ':' in quotes", false},
    {"mapping keys are not allowed in this context", "a key cannot begin here; check the indentation", false},
    {"block sequence entries are not allowed in this context",
     "a list item ('-') cannot begin here; check the indentation, and put a text that begins with '- ' in quotes",
     false},
    {"found unexpected end of stream", "this quote is never closed", true},
    {"found unexpected document indicator", "the quote that opens on line %zu is not closed before this line", false},
    {"found unknown escape character", ESCAPE_WORDS, false},
    {"did not find expected hexdecimal number", CODE_WORDS, false},
    {"found invalid Unicode character escape code", CODE_WORDS, false},
    {"did not find expected alphabetic or numeric character",
     "'&' and '*' want a name of letters and digits; put a text that begins with them in quotes", true},
    {"did not find expected node content", "a value is missing here", false},
    {"did not find expected '-' indicator",
     "this does not fit the list that begins on line %zu; check the indentation and the quotes", false},
    {"did not find expected key",
     "this does not fit the map that begins on line %zu; check the indentation and the quotes", false},
    {"did not find expected ',' or ']'", "a ',' or ']' is missing before this, in the list that opens on line %zu",
     false},
    {"did not find expected ',' or '}'", "a ',' or '}' is missing before this, in the map that opens on line %zu",
     false},
    {"did not find expected <document start>", "nothing can follow the end of what stands above", false},
    {"did not find expected comment or line break", "only a comment can follow '|' or '>' on its line", false},
    {"found an indentation indicator equal to 0", "the number after '|' or '>' is 1 to 9", false},
    {"found incompatible YAML document", "only YAML 1.1 and 1.2 can be read", false},
    {"found undefined tag handle", TAG_WORDS, false},
};

/* Where byte `offset` of the text is. */
static void find_position(const struct text *t, size_t offset, size_t *line, size_t *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < offset && i < t->len; i++) {
        const unsigned char c = (unsigned char)t->bytes[i];
        if (c == '\n' || (c == '\r' && t->bytes[i + 1 < t->len ? i + 1 : i] != '\n')) {
            ++*line;
            *column = 1;
        } else if ((c & 0xC0) != 0x80 && c != '\r') {
            ++*column;
        }
    }
}

/* Byte where character `index` begins; 0 at the end. */
static char char_at(const struct text *t, size_t index)
{
    for (size_t i = 0; i < t->len; i++)
        if (((unsigned char)t->bytes[i] & 0xC0) != 0x80 && index-- == 0)
            return t->bytes[i];
    return '\0';
}

static int reader_fail(struct text *t)
{
    size_t offset = t->yaml->problem_offset, line, column;

    if (strstr(t->yaml->problem, "trailing")) /* the character begins before */
        while (offset && ((unsigned char)t->bytes[offset] & 0xC0) != 0xC0)
            offset--;
    find_position(t, offset, &line, &column);
    if (!strcmp(t->yaml->problem, "control characters are not allowed"))
        return say(t, line, column,
                      "the control character U+%04X is not allowed; write it as an escape in double quotes",
                      (unsigned)t->yaml->problem_value);
    return say(t, line, column, "not valid UTF-8; save the file as UTF-8");
}

static int scanner_fail(struct text *t)
{
    const yaml_parser_t *y = t->yaml;

    if (!strcmp(y->problem, "found character that cannot start any token")) {
        const char c = char_at(t, y->problem_mark.index);
        if (c == '\t')
            return say(t, AT(y->problem_mark), "%s", TAB_WORDS);
        return say(t, AT(y->problem_mark), "a text cannot begin with '%c'; put it in quotes", c);
    }
    if (!strcmp(y->problem, "did not find expected node content") && !char_at(t, y->problem_mark.index))
        return say(t, AT(y->problem_mark), "the text ends here, where a value or a closing ']' or '}' is missing");
    for (size_t i = 0; i < sizeof complaints / sizeof *complaints; i++) {
        const struct complaint *c = &complaints[i];
        const char *number = strstr(c->words, "%zu");
        const yaml_mark_t mark = c->at_start ? y->context_mark : y->problem_mark;
        if (strcmp(c->problem, y->problem) != 0)
            continue;
        if (number && strchr("[{", char_at(t, y->context_mark.index)) && !char_at(t, y->problem_mark.index))
            return say(t, AT(y->context_mark), "this '%c' is never closed", char_at(t, y->context_mark.index));
        if (number)
            return say(t, AT(mark), "%.*s%zu%s", (int)(number - c->words), c->words, y->context_mark.line + 1,
                          number + strlen("%zu"));
        return say(t, AT(mark), "%s", c->words);
    }
    if (y->context && strstr(y->context, "tag"))
        return say(t, AT(y->context_mark), "%s", TAG_WORDS);
    if ((y->context && strstr(y->context, "directive")) || strstr(y->problem, "directive"))
        return say(t, AT(y->problem_mark), "%s", DIRECTIVE_WORDS);
    return say(t, AT(y->problem_mark), "malformed YAML: %s", y->problem);
}

/* A character that cannot be seen, in the line of the error, may be what is wrong there. */
static void tell_invisible(struct text *t)
{
    struct gle_error *err = t->err;
    const size_t n = strlen(err->text);
    char line[1024];
    size_t at = 0, length, before;
    unsigned code;
    const char *name;

    for (size_t l = 1; l < err->line && at < t->len; at++)
        l += t->bytes[at] == '\n' || (t->bytes[at] == '\r' && at + 1 < t->len && t->bytes[at + 1] != '\n');
    for (length = 0; at + length < t->len && length < sizeof line - 1 && !strchr("\r\n", t->bytes[at + length]);
         length++)
        line[length] = t->bytes[at + length];
    line[length] = '\0';
    name = gle_utf8_invisible(line, &before, &code);
    if (name)
        snprintf(err->text + n, sizeof err->text - n, "; U+%04X (%s), which cannot be seen, is in this line, "
                 "column %zu",
                 code, name, before + 1);
}

void gle_syntax_error(struct gle_error *err, const yaml_parser_t *yaml, const char *bytes, size_t len)
{
    struct text t = {.yaml = yaml, .bytes = bytes, .len = len, .err = err};

    if (yaml->error == YAML_READER_ERROR)
        reader_fail(&t);
    else
        scanner_fail(&t);
    tell_invisible(&t);
}
