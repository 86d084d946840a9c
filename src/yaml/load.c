#include "yaml/load.h"

#include "base/memory.h"
#include "yaml/disguise.h"
#include "yaml/syntax.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
    ANCHORS_MAX = 1000, /* looked up one by one, for each alias */
};

struct anchor {
    const char *name;
    struct gle_node *node;
    bool open; /* its end is still to come: an alias to it would have no end either */
};

struct loader {
    yaml_parser_t yaml;
    const char *bytes; /* the text without byte order mark, as libyaml reads it */
    size_t len;
    struct gle_disguise disguise;
    const char *file;
    bool placed; /* nodes and errors have lines and columns */
    struct gle_doc *doc;
    struct gle_errors *errs;
    size_t n_before, dropped_before; /* errors in errs when the loading began */
    bool failed;
    size_t end; /* characters up to the end of the list or map that was read last, or of a root that is neither */
    size_t n_nodes, n_copies, n_bytes;
    struct anchor anchors[ANCHORS_MAX];
    size_t n_anchors;
};

static int report(struct loader *l, enum gle_code code, size_t line, size_t column, const struct gle_node *node,
                  const char *fmt, ...) GLE_PRINTF(6, 7);
static int report(struct loader *l, enum gle_code code, size_t line, size_t column, const struct gle_node *node,
                  const char *fmt, ...)
{
    struct gle_error err = {0};
    char path[1024], text[sizeof err.text];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    gle_node_path(path, sizeof path, node, NULL);
    gle_fail(&err, code, "%s", text);
    gle_error_place(&err, l->file, l->placed ? line : 0, l->placed ? column : 0, path);
    l->failed = true;
    return gle_errors_add(l->errs, &err);
}

/* libyaml's marks begin at 0. */
#define AT(mark) (mark).line + 1, (mark).column + 1
#define REPORT(l, mark, node, ...) report(l, GLE_ECONFIG, AT(mark), node, __VA_ARGS__)

static void place(const struct loader *l, size_t *line, size_t *column, yaml_mark_t mark)
{
    *line = l->placed ? mark.line + 1 : 0;
    *column = l->placed ? mark.column + 1 : 0;
}

static int no_memory(struct loader *l)
{
    return report(l, GLE_ENOMEM, 0, 0, NULL, "no memory for the config");
}

/* What was found wrong before the syntax error may be a consequence of it: only the error itself is kept. */
static int syntax_fail(struct loader *l)
{
    struct gle_error err = {0};

    l->errs->n = l->n_before;
    l->errs->dropped = l->dropped_before;
    if (l->yaml.error == YAML_MEMORY_ERROR)
        return no_memory(l);
    gle_syntax_error(&err, &l->yaml, l->bytes, l->len);
    return report(l, GLE_ECONFIG, err.line, err.column, NULL, "%s", err.text);
}

static int next_event(struct loader *l, yaml_event_t *event)
{
    return yaml_parser_parse(&l->yaml, event) ? 0 : syntax_fail(l);
}

/* An empty node under parent (not yet among its items); NULL after an error. */
static struct gle_node *new_node(struct loader *l, struct gle_node *parent, yaml_mark_t mark)
{
    struct gle_node *node;

    if (++l->n_nodes > GLE_YAML_NODES_MAX) {
        REPORT(l, mark, parent, "more than %d values", GLE_YAML_NODES_MAX);
        return NULL;
    }
    node = gle_arena_alloc(l->doc->arena, 1, sizeof *node);
    if (!node) {
        no_memory(l);
        return NULL;
    }
    node->file = l->file;
    node->parent = parent;
    place(l, &node->line, &node->column, mark);
    return node;
}

static int count_bytes(struct loader *l, const char *text, yaml_mark_t mark, const struct gle_node *node)
{
    l->n_bytes += text ? strlen(text) : 0;
    if (l->n_bytes > GLE_YAML_BYTES_MAX)
        return REPORT(l, mark, node, "more than %d MiB of text once the aliases are expanded",
                      GLE_YAML_BYTES_MAX >> 20);
    return 0;
}

static int check_depth(struct loader *l, size_t depth, yaml_mark_t mark)
{
    return depth > GLE_YAML_DEPTH_MAX ? REPORT(l, mark, NULL, "nested deeper than %d levels", GLE_YAML_DEPTH_MAX) : 0;
}

/* Only the tags that say what YAML would see by itself are understood. */
static void check_tag(struct loader *l, const char *tag, enum gle_node_kind kind, yaml_mark_t mark,
                      const struct gle_node *node)
{
    static const char *const known[][4] = {
        [GLE_NODE_SCALAR] = {YAML_STR_TAG, YAML_INT_TAG, YAML_FLOAT_TAG, YAML_BOOL_TAG},
        [GLE_NODE_LIST] = {YAML_SEQ_TAG},
        [GLE_NODE_MAP] = {YAML_MAP_TAG},
    };
    static const char yaml_org[] = "tag:yaml.org,2002:";
    const size_t n = sizeof yaml_org - 1;

    if (!tag)
        return;
    for (size_t i = 0; i < 4 && known[kind][i]; i++)
        if (!strcmp(known[kind][i], tag))
            return;
    if (!strncmp(tag, yaml_org, n))
        REPORT(l, mark, node, "the tag '!!%.60s' is not used here; leave it out", tag + n);
    else
        REPORT(l, mark, node, "the tag '%.60s' is not used here; put a text that begins with '!' in quotes", tag);
}

/* Names node, whose end is still to come if `open`. */
static int add_anchor(struct loader *l, const yaml_char_t *name, struct gle_node *node, bool open, yaml_mark_t mark)
{
    char *copy;

    if (!name)
        return 0;
    if (l->n_anchors == ANCHORS_MAX)
        return REPORT(l, mark, node, "more than %d anchors ('&')", ANCHORS_MAX);
    copy = gle_arena_text(l->doc->arena, (const char *)name, strlen((const char *)name));
    if (!copy)
        return no_memory(l);
    l->anchors[l->n_anchors++] = (struct anchor){.name = copy, .node = node, .open = open};
    return 0;
}

static void close_anchor(struct loader *l, const struct gle_node *node)
{
    for (size_t i = l->n_anchors; i-- > 0;)
        if (l->anchors[i].node == node)
            l->anchors[i].open = false;
}

/* The node that the alias in event stands for; NULL after an error. The last anchor of a name counts. */
static const struct gle_node *find_anchor(struct loader *l, const yaml_event_t *event, const struct gle_node *node)
{
    const char *name = (const char *)event->data.alias.anchor;

    for (size_t i = l->n_anchors; i-- > 0;) {
        if (strcmp(l->anchors[i].name, name) != 0)
            continue;
        if (!l->anchors[i].open)
            return l->anchors[i].node;
        REPORT(l, event->start_mark, node, "the alias '*%.60s' stands inside what it refers to", name);
        return NULL;
    }
    REPORT(l, event->start_mark, node, "unknown alias '*%.60s': no '&%.60s' stands before it", name, name);
    return NULL;
}

/* Fills node with a deep copy of what `from` holds; node's place in the tree stays. */
static int copy_node(struct loader *l, struct gle_node *node, const struct gle_node *from, yaml_mark_t mark,
                     size_t depth)
{
    if (++l->n_copies > GLE_YAML_COPIES_MAX)
        return REPORT(l, mark, NULL, "the aliases ('*') expand to more than %d values", GLE_YAML_COPIES_MAX);
    if (count_bytes(l, from->text, mark, node) || (from->kind != GLE_NODE_SCALAR && check_depth(l, depth, mark)))
        return -1;
    node->kind = from->kind;
    node->line = from->line;
    node->column = from->column;
    node->text = from->text;
    node->quoted = from->quoted;
    for (size_t i = 0; i < from->n_items; i++) {
        const struct gle_node *item = from->items[i];
        struct gle_node *child = new_node(l, node, mark);
        if (!child)
            return -1;
        child->key = item->key;
        child->key_line = item->key_line;
        child->key_column = item->key_column;
        if (count_bytes(l, child->key, mark, node) || copy_node(l, child, item, mark, depth + 1))
            return -1;
        if (gle_node_add(l->doc, node, child))
            return no_memory(l);
    }
    return 0;
}

static int read_alias(struct loader *l, const yaml_event_t *event, struct gle_node *node, size_t depth)
{
    const struct gle_node *from = find_anchor(l, event, node);

    node->kind = GLE_NODE_MAP; /* what is unknown passes for an empty map, while other errors are looked for */
    return from ? copy_node(l, node, from, event->start_mark, depth) : 0;
}

/* Copies the scalar of event, unless it cannot be a text. */
static const char *read_text(struct loader *l, const yaml_event_t *event, const struct gle_node *node)
{
    const char *text = (const char *)event->data.scalar.value;
    char *copy = gle_arena_text(l->doc->arena, text, event->data.scalar.length);

    if (!copy)
        no_memory(l);
    else if (strlen(text) != event->data.scalar.length)
        REPORT(l, event->start_mark, node, "a text cannot hold the character NUL (\\0)");
    else
        gle_disguise_undo(&l->disguise, copy, event->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE);
    return copy;
}

static int read_scalar(struct loader *l, const yaml_event_t *event, struct gle_node *node)
{
    const char *tag = (const char *)event->data.scalar.tag;

    node->kind = GLE_NODE_SCALAR;
    check_tag(l, tag, node->kind, event->start_mark, node);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (tag)
        node->quoted = !strcmp(tag, YAML_STR_TAG);
    node->text = read_text(l, event, node);
    return node->text ? add_anchor(l, event->data.scalar.anchor, node, false, event->start_mark) : -1;
}

/* Fills node (its place in the tree is set) with what begins at event. Returns -1 if nothing can be read after it;
 * errors that need not stop the reading set l->failed. */
static int read_node(struct loader *l, const yaml_event_t *event, struct gle_node *node, size_t depth);

static int read_list(struct loader *l, const yaml_event_t *start, struct gle_node *node, size_t depth)
{
    node->kind = GLE_NODE_LIST;
    check_tag(l, (const char *)start->data.sequence_start.tag, node->kind, start->start_mark, node);
    if (check_depth(l, depth, start->start_mark) ||
        add_anchor(l, start->data.sequence_start.anchor, node, true, start->start_mark))
        return -1;
    for (;;) {
        yaml_event_t event;
        struct gle_node *item;
        int rc;
        if (next_event(l, &event))
            return -1;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            l->end = event.end_mark.index;
            yaml_event_delete(&event);
            close_anchor(l, node);
            return 0;
        }
        item = new_node(l, node, event.start_mark);
        rc = item ? read_node(l, &event, item, depth + 1) : -1;
        yaml_event_delete(&event);
        if (rc)
            return -1;
        if (gle_node_add(l->doc, node, item))
            return no_memory(l);
    }
}

/* Sorting by key finds equal ones fast in maps of any size. */
struct entry {
    struct gle_node *node;
    const struct gle_node *first; /* of the same key */
    size_t order;
};

static int by_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const int c = strcmp(x->node->key, y->node->key);
    return c ? c : by_order(a, b);
}

/* Sets entries[i].first; the order stays. */
static void find_first(struct entry *entries, size_t n)
{
    qsort(entries, n, sizeof *entries, by_key);
    for (size_t i = 0; i < n; i++) {
        const bool same = i && !strcmp(entries[i].node->key, entries[i - 1].node->key);
        entries[i].first = same ? entries[i - 1].first : entries[i].node;
    }
    qsort(entries, n, sizeof *entries, by_order);
}

static size_t add_entries(struct entry *entries, size_t n, const struct gle_node *map)
{
    for (size_t i = 0; i < map->n_items; i++, n++)
        entries[n] = (struct entry){.node = map->items[i], .order = n};
    return n;
}

static int duplicate_fail(struct loader *l, const struct gle_node *node, const struct gle_node *first)
{
    if (!l->placed)
        return report(l, GLE_ECONFIG, 0, 0, node, "duplicate key '%s'", node->key);
    return report(l, GLE_ECONFIG, node->key_line, node->key_column, node, "duplicate key '%s' (first on line %zu)",
                  node->key, first->key_line);
}

static int check_duplicates(struct loader *l, const struct gle_node *map)
{
    struct entry *entries;

    if (map->n_items < 2)
        return 0;
    entries = gle_calloc(map->n_items, sizeof *entries);
    if (!entries)
        return no_memory(l);
    find_first(entries, add_entries(entries, 0, map));
    for (size_t i = 0; i < map->n_items; i++) {
        const struct gle_node *node = entries[i].node;
        if (entries[i].first != node)
            duplicate_fail(l, node, entries[i].first);
    }
    gle_free(entries);
    return 0;
}

/* Adds the entries of `<<` to map, unless it has the key itself or from a source before. */
static int merge(struct loader *l, struct gle_node *map, struct gle_node *value)
{
    const bool is_list = value->kind == GLE_NODE_LIST;
    struct gle_node *const *sources = is_list ? value->items : &value;
    const size_t n_sources = is_list ? value->n_items : 1;
    size_t n = map->n_items;
    struct entry *entries;

    for (size_t i = 0; i < n_sources; i++) {
        const struct gle_node *s = sources[i];
        n += s->n_items;
        if (s->kind != GLE_NODE_MAP) {
            report(l, GLE_ECONFIG, s->line, s->column, s, "'<<' wants a map or a list of maps, such as *name");
            return 0;
        }
    }
    entries = gle_calloc(n, sizeof *entries);
    if (!entries)
        return no_memory(l);
    n = add_entries(entries, 0, map);
    for (size_t i = 0; i < n_sources; i++)
        n = add_entries(entries, n, sources[i]);
    find_first(entries, n);
    for (size_t i = map->n_items; i < n; i++)
        if (entries[i].first == entries[i].node && gle_node_add(l->doc, map, entries[i].node)) {
            gle_free(entries);
            return no_memory(l);
        }
    gle_free(entries);
    return 0;
}

/* A key can be named, too; the name stands for its text. */
static int add_key_anchor(struct loader *l, const yaml_event_t *event, const char *key)
{
    struct gle_node *named;

    if (!event->data.scalar.anchor)
        return 0;
    named = new_node(l, NULL, event->start_mark);
    if (!named)
        return -1;
    named->text = key;
    named->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return add_anchor(l, event->data.scalar.anchor, named, false, event->start_mark);
}

/* Reads a key into child->key. */
static int read_key(struct loader *l, const yaml_event_t *event, struct gle_node *map, struct gle_node *child)
{
    const yaml_mark_t mark = event->start_mark;

    if (event->type == YAML_ALIAS_EVENT) {
        const struct gle_node *from = find_anchor(l, event, map);
        child->key = from ? from->text : NULL;
        if (!from)
            return -1;
    } else if (event->type == YAML_SCALAR_EVENT) {
        check_tag(l, (const char *)event->data.scalar.tag, GLE_NODE_SCALAR, mark, map);
        child->key = read_text(l, event, map);
        if (!child->key || add_key_anchor(l, event, child->key))
            return -1;
        if (!*child->key && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
            return REPORT(l, mark, map, "a key is missing before this ':'");
    }
    if (!child->key)
        return REPORT(l, mark, map, "a key must be a single text, not a list or a map");
    if (strlen(child->key) > GLE_YAML_KEY_BYTES_MAX)
        return REPORT(l, mark, map, "a key may have at most %d bytes", GLE_YAML_KEY_BYTES_MAX);
    place(l, &child->key_line, &child->key_column, mark);
    return count_bytes(l, child->key, mark, map);
}

static bool is_merge_key(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           !event->data.scalar.tag && !strcmp((const char *)event->data.scalar.value, "<<");
}

/* Reads what follows the key event `key_event`. *merged: the value of `<<`, if that was the key. */
static int read_pair(struct loader *l, const yaml_event_t *key_event, struct gle_node *map, size_t depth,
                     struct gle_node **merged)
{
    struct gle_node *child = new_node(l, map, key_event->start_mark);
    yaml_event_t event;
    int rc;

    if (!child || read_key(l, key_event, map, child) || next_event(l, &event))
        return -1;
    place(l, &child->line, &child->column, event.start_mark);
    rc = read_node(l, &event, child, depth + 1);
    yaml_event_delete(&event);
    if (rc)
        return -1;
    if (!is_merge_key(key_event))
        return gle_node_add(l->doc, map, child) ? no_memory(l) : 0;
    if (*merged)
        duplicate_fail(l, child, *merged);
    else
        *merged = child;
    return 0;
}

static int read_map(struct loader *l, const yaml_event_t *start, struct gle_node *node, size_t depth)
{
    struct gle_node *merged = NULL;

    node->kind = GLE_NODE_MAP;
    check_tag(l, (const char *)start->data.mapping_start.tag, node->kind, start->start_mark, node);
    if (check_depth(l, depth, start->start_mark) ||
        add_anchor(l, start->data.mapping_start.anchor, node, true, start->start_mark))
        return -1;
    for (;;) {
        yaml_event_t event;
        int rc;
        if (next_event(l, &event))
            return -1;
        if (event.type == YAML_MAPPING_END_EVENT) {
            l->end = event.end_mark.index;
            yaml_event_delete(&event);
            break;
        }
        rc = read_pair(l, &event, node, depth, &merged);
        yaml_event_delete(&event);
        if (rc)
            return -1;
    }
    close_anchor(l, node);
    return check_duplicates(l, node) || (merged && merge(l, node, merged)) ? -1 : 0;
}

static int read_node(struct loader *l, const yaml_event_t *event, struct gle_node *node, size_t depth)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return read_alias(l, event, node, depth);
    case YAML_SCALAR_EVENT:
        return read_scalar(l, event, node) ? -1 : count_bytes(l, node->text, event->start_mark, node);
    case YAML_SEQUENCE_START_EVENT:
        return read_list(l, event, node, depth);
    default:
        return read_map(l, event, node, depth);
    }
}

/* Goes on to the next event if this one is of `type`. */
static int skip_event(struct loader *l, yaml_event_t *event, yaml_event_type_t type)
{
    if (event->type != type)
        return 0;
    yaml_event_delete(event);
    return next_event(l, event);
}

/* Bytes of the first n characters. */
static size_t bytes_of(const struct loader *l, size_t n)
{
    size_t i = 0;

    for (; i < l->len; i++)
        if (((unsigned char)l->bytes[i] & 0xC0) != 0x80 && n-- == 0)
            break;
    return i;
}

static void describe_root(struct gle_loaded *out, const yaml_event_t *event)
{
    const bool scalar = event->type == YAML_SCALAR_EVENT;

    out->block =
        (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.style == YAML_BLOCK_MAPPING_STYLE) ||
        (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.style == YAML_BLOCK_SEQUENCE_STYLE);
    out->plain = scalar && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !event->data.scalar.tag &&
                 !event->data.scalar.anchor;
}

/* Reads the one document; out->root stays NULL if there is none. */
static int read_stream(struct loader *l, struct gle_loaded *out)
{
    yaml_event_t event;
    int rc;

    if (next_event(l, &event) || skip_event(l, &event, YAML_STREAM_START_EVENT))
        return -1;
    if (event.type == YAML_STREAM_END_EVENT) {
        yaml_event_delete(&event);
        return 0;
    }
    if (skip_event(l, &event, YAML_DOCUMENT_START_EVENT))
        return -1;
    out->root = new_node(l, NULL, event.start_mark);
    describe_root(out, &event);
    rc = out->root ? read_node(l, &event, out->root, 1) : -1;
    if (event.type == YAML_SCALAR_EVENT || event.type == YAML_ALIAS_EVENT)
        l->end = event.end_mark.index;
    yaml_event_delete(&event);
    if (rc || next_event(l, &event) || skip_event(l, &event, YAML_DOCUMENT_END_EVENT))
        return -1;
    out->end = bytes_of(l, l->end);
    if (event.type != YAML_STREAM_END_EVENT)
        REPORT(l, event.start_mark, NULL, "a second document begins here; a file holds one");
    yaml_event_delete(&event);
    return 0;
}

static int parse(struct loader *l, struct gle_loaded *out)
{
    if (gle_disguise_put(&l->disguise, l->bytes, l->len))
        return no_memory(l);
    if (l->disguise.text) {
        l->bytes = l->disguise.text;
        l->len = l->disguise.len;
    }
    if (!yaml_parser_initialize(&l->yaml))
        return no_memory(l);
    yaml_parser_set_encoding(&l->yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l->yaml, (const unsigned char *)l->bytes, l->len);
    if (read_stream(l, out))
        l->failed = true;
    yaml_parser_delete(&l->yaml);
    return l->failed ? -1 : 0;
}

int gle_load(struct gle_loaded *out, struct gle_doc *doc, const char *text, size_t len, const char *name, bool placed,
             struct gle_errors *errs)
{
    static const char mark_utf8[] = "\xEF\xBB\xBF";
    const bool marked = len >= 3 && !memcmp(text, mark_utf8, 3);
    struct loader l = {
        .doc = doc, .errs = errs, .n_before = errs->n, .dropped_before = errs->dropped, .placed = placed};
    int rc;

    *out = (struct gle_loaded){0};
    l.bytes = text + (marked ? 3 : 0);
    l.len = len - (marked ? 3 : 0);
    l.file = gle_arena_text(doc->arena, name, strlen(name));
    if (!l.file)
        return no_memory(&l);
    if (len > GLE_YAML_BYTES_MAX)
        return report(&l, GLE_ECONFIG, 0, 0, NULL, "larger than %d MiB", GLE_YAML_BYTES_MAX >> 20);
    if (len >= 2 && (!memcmp(text, "\xFF\xFE", 2) || !memcmp(text, "\xFE\xFF", 2)))
        return report(&l, GLE_ECONFIG, 1, 1, NULL, "the file is in UTF-16; save it as UTF-8");
    rc = parse(&l, out);
    gle_free(l.disguise.text);
    return rc;
}
