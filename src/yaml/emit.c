/* Nodes -> text. */
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "yaml/node.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    WRAP_COLUMN = 100, /* a list goes on in a new line after an item that ends beyond it */
    INDENT = 2,
};

struct out {
    char *text;
    size_t n, room;
    size_t line; /* where the current line begins */
    const char *dir; /* of the file, for relative paths; NULL: they stay */
    bool failed;
};

static void put_bytes(struct out *out, const char *text, size_t len)
{
    if (out->failed)
        return;
    if (out->room - out->n <= len) {
        const size_t room = 2 * (out->n + len) + 256;
        char *more = gle_resize(out->text, room, 1);
        if (!more) {
            out->failed = true;
            return;
        }
        out->text = more;
        out->room = room;
    }
    memcpy(out->text + out->n, text, len);
    out->n += len;
    out->text[out->n] = '\0';
}

static void put(struct out *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

static void new_line(struct out *out, size_t indent)
{
    put(out, "\n");
    out->line = out->n;
    while (indent-- > 0)
        put(out, " ");
}

/* What YAML cannot hold as it is, or takes for a line break. */
static bool needs_escape(unsigned code, size_t len)
{
    return code < 0x20 || (code >= 0x7F && (code <= 0xA0 || len == 1)) || code == 0x2028 || code == 0x2029 ||
           code == 0xFEFF || code == 0xFFFE || code == 0xFFFF;
}

static void put_quoted(struct out *out, const char *text)
{
    size_t len;

    put(out, "\"");
    for (; *text; text += len) {
        char escape[16];
        unsigned code;
        len = gle_utf8_take(&code, text);
        if (code == '"' || code == '\\')
            put(out, "\\");
        if (!needs_escape(code, len)) {
            put_bytes(out, text, len);
            continue;
        }
        if (code == '\n')
            snprintf(escape, sizeof escape, "\\n");
        else if (code == '\t')
            snprintf(escape, sizeof escape, "\\t");
        else
            snprintf(escape, sizeof escape, code < 0x100 ? "\\x%02X" : "\\u%04X", code);
        put(out, escape);
    }
    put(out, "\"");
}

/* Whether text without quotes reads back as this text; in_flow: between brackets. */
static bool fits_plain(const char *text, bool in_flow)
{
    size_t len;
    unsigned code;

    if (!*text || strchr(" ,[]{}#&*!|>'\"%@`?:", *text) || (*text == '-' && (!text[1] || text[1] == ' ')) ||
        !strncmp(text, "---", 3) || !strncmp(text, "...", 3))
        return false;
    for (const char *t = text; *t; t += len) {
        len = gle_utf8_take(&code, t);
        if (needs_escape(code, len) || (in_flow && (strchr(",[]{}", *t) || (*t == ':' && t[1] == '?'))))
            return false;
        if ((*t == ':' && (!t[1] || t[1] == ' ')) || (*t == ' ' && (!t[1] || t[1] == '#')))
            return false;
    }
    return true;
}

/* Whether this or another YAML reader would take a text, written without quotes, for something else. */
static bool is_ambiguous(const char *text)
{
    static const char *const words[] = {"~", "null", "true", "false", "yes", "no", "on", "off", "<<", "="};
    const char *digits = text + strspn(text, "+-.");
    double number;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(text, words[i]))
            return true;
    if (!gle_text_real(&number, text))
        return true;
    /* 0x1F, 0o17, 1_000, 12:30:45, 2024-01-01T00:00:00Z */
    return *digits >= '0' && *digits <= '9' && !digits[strspn(digits, "0123456789abcdefABCDEF_+-.:xoTZ ")];
}

static void put_text(struct out *out, const char *text, bool in_flow)
{
    if (fits_plain(text, in_flow) && !is_ambiguous(text))
        put(out, text);
    else
        put_quoted(out, text);
}

static bool was_plain(const struct gle_node *node)
{
    return node->as == GLE_SCALAR_NUMBER || node->as == GLE_SCALAR_BOOL ||
           (node->as == GLE_SCALAR_RAW && !node->quoted);
}

static bool is_blank(const struct gle_node *node)
{
    return node->kind == GLE_NODE_SCALAR && was_plain(node) && !*node->text;
}

static void put_path(struct out *out, const struct gle_node *node, bool in_flow)
{
    char *path = gle_path_from(out->dir, node);

    if (path)
        put_text(out, path, in_flow);
    out->failed = out->failed || !path;
    gle_free(path);
}

static void put_scalar(struct out *out, const struct gle_node *node, bool in_flow)
{
    if (is_blank(node))
        return;
    if (node->absolute && out->dir) {
        put_path(out, node, in_flow);
        return;
    }
    if (was_plain(node) && fits_plain(node->text, in_flow))
        put(out, node->text);
    else
        put_text(out, node->text, in_flow);
}

static bool is_flow_list(const struct gle_node *node)
{
    if (node->kind != GLE_NODE_LIST)
        return false;
    for (size_t i = 0; i < node->n_items; i++)
        if (node->items[i]->kind != GLE_NODE_SCALAR || is_blank(node->items[i]))
            return false;
    return true;
}

static void put_flow_list(struct out *out, const struct gle_node *node, size_t indent)
{
    put(out, "[");
    for (size_t i = 0; i < node->n_items; i++) {
        put_scalar(out, node->items[i], true);
        if (i + 1 == node->n_items)
            break;
        put(out, ",");
        if (out->n - out->line > WRAP_COLUMN)
            new_line(out, indent + INDENT);
        else
            put(out, " ");
    }
    put(out, "]");
}

/* Whether the node has lines of its own, below its key. */
static bool is_block(const struct gle_node *node)
{
    return node->kind != GLE_NODE_SCALAR && node->n_items && !is_flow_list(node);
}

/* Begins where the last line stands; later lines begin with indent. */
static void put_node(struct out *out, const struct gle_node *node, size_t indent)
{
    if (node->kind == GLE_NODE_SCALAR) {
        put_scalar(out, node, false);
    } else if (!is_block(node)) {
        if (node->kind == GLE_NODE_MAP)
            put(out, "{}");
        else
            put_flow_list(out, node, indent);
    } else {
        for (size_t i = 0; i < node->n_items; i++) {
            const struct gle_node *item = node->items[i];
            const bool in_map = node->kind == GLE_NODE_MAP;
            if (i)
                new_line(out, indent);
            if (in_map)
                put_text(out, item->key, false);
            put(out, in_map ? ":" : "-");
            if (in_map && is_block(item))
                new_line(out, indent + INDENT);
            else if (!is_blank(item))
                put(out, " ");
            put_node(out, item, indent + (is_block(item) ? INDENT : 0));
        }
    }
}

char *gle_node_text(const struct gle_node *node)
{
    return gle_node_text_in(node, NULL);
}

char *gle_node_text_in(const struct gle_node *node, const char *dir)
{
    struct out out = {.dir = dir};

    put_node(&out, node, 0);
    put(&out, "\n");
    if (!out.failed)
        return out.text;
    gle_free(out.text);
    return NULL;
}
