#include "base/memory.h"
#include "base/text.h"
#include "yaml/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const char *const config_names[] = {
    "good/gsc_mel_gle",           "good/lagline",
    "good/lagnet",                "../configs/mnist1d_e2e",
    "../configs/mnist1d_e2e_42k", "../configs/mnist1d_static_lagnet",
    "../configs/yinyang"};

/* All errors, one a line. */
static const char *all_errors(const struct gle_errors *errs)
{
    static char text[GLE_ERRORS_MAX * 1024];
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < errs->n; i++) {
        char line[1024];
        gle_error_format(line, sizeof line, &errs->item[i]);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? "\n" : "", line);
    }
    return text;
}

static struct gle_doc *parse(const char *text)
{
    struct gle_errors errs = {0};
    struct gle_doc *doc;
    const int rc = gle_doc_parse(&doc, text, strlen(text), "x.yaml", &errs);

    if (rc)
        print_message("%s\n", all_errors(&errs));
    assert_int_equal(rc, 0);
    assert_non_null(doc);
    assert_int_equal(errs.n, 0);
    return doc;
}

static void expect_bytes_refused(const char *text, size_t len, const char *wanted)
{
    struct gle_errors errs = {0};
    struct gle_doc *doc;

    assert_int_equal(gle_doc_parse(&doc, text, len, "x.yaml", &errs), -1);
    assert_null(doc);
    assert_string_equal(all_errors(&errs), wanted);
    for (size_t i = 0; i < errs.n; i++)
        assert_int_equal(errs.item[i].code, GLE_ECONFIG);
}

static void expect_refused(const char *text, const char *wanted)
{
    expect_bytes_refused(text, strlen(text), wanted);
}

static const struct gle_node *child(const struct gle_node *node, const char *key)
{
    const struct gle_node *c = gle_node_get(node, key);
    assert_non_null(c);
    return c;
}

static void expect_place(const struct gle_node *node, size_t line, size_t column)
{
    assert_int_equal(node->line, line);
    assert_int_equal(node->column, column);
}

static bool is_typed(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    double number;
    bool flag;

    for (size_t i = 0; i < LENGTH(nulls); i++)
        if (!strcmp(text, nulls[i]))
            return true;
    return !gle_text_real(&number, text) || !gle_text_bool(&flag, text);
}

/* Quotes may come or go only where no decoder can tell. */
static bool same_tree(const struct gle_node *a, const struct gle_node *b)
{
    if (a->kind != b->kind || a->n_items != b->n_items || (!a->key != !b->key) ||
        (a->key && strcmp(a->key, b->key) != 0))
        return false;
    if (a->kind == GLE_NODE_SCALAR)
        return !strcmp(a->text, b->text) && (a->quoted == b->quoted || !is_typed(a->text));
    for (size_t i = 0; i < a->n_items; i++)
        if (a->items[i]->parent != a || !same_tree(a->items[i], b->items[i]))
            return false;
    return true;
}

static void expect_reads_back(const struct gle_doc *doc)
{
    char *text = gle_node_text(doc->root);
    struct gle_doc *back;

    assert_non_null(text);
    back = parse(text);
    if (!same_tree(doc->root, back->root))
        print_message("%s\n", text);
    assert_true(same_tree(doc->root, back->root));
    gle_doc_destroy(back);
    gle_free(text);
}

static void expect_own_text_reads_back(const char *yaml)
{
    struct gle_doc *doc = parse(yaml);

    expect_reads_back(doc);
    gle_doc_destroy(doc);
}

static void expect_text(const char *yaml, const char *wanted)
{
    struct gle_doc *doc = parse(yaml);
    char *text = gle_node_text(doc->root);

    assert_string_equal(text, wanted);
    gle_free(text);
    expect_reads_back(doc);
    gle_doc_destroy(doc);
}

static void nodes_remember_where_they_were_written(void **state)
{
    struct gle_doc *doc =
        parse("# top\na: 1\nbb:\n  - x\n  - {k: 'v', l:  [p, \"q\"]}\n\xC3\xA9: \xC3\xA9\nc:\nd: |\n  text\n");
    const struct gle_node *item;

    (void)state;
    expect_place(doc->root, 2, 1);
    expect_place(child(doc->root, "a"), 2, 4);
    assert_int_equal(child(doc->root, "bb")->key_line, 3);
    assert_int_equal(child(doc->root, "bb")->key_column, 1);
    expect_place(child(doc->root, "bb"), 4, 3);
    expect_place(child(doc->root, "bb")->items[0], 4, 5);
    item = child(doc->root, "bb")->items[1];
    expect_place(item, 5, 5);
    expect_place(child(item, "k"), 5, 9);
    assert_int_equal(child(item, "l")->key_column, 14);
    expect_place(child(item, "l"), 5, 18);
    expect_place(child(item, "l")->items[1], 5, 22);
    expect_place(child(doc->root, "\xC3\xA9"), 6, 4);
    expect_place(child(doc->root, "c"), 7, 3);
    expect_place(child(doc->root, "d"), 8, 4);
    assert_string_equal(item->file, "x.yaml");
    gle_doc_destroy(doc);
}

static void quotes_and_blocks_are_told_from_plain_texts(void **state)
{
    struct gle_doc *doc =
        parse("a: 1\nb: '1'\nc: \"1\"\nd: |-\n  1\ne: !!str 1\nf: !!int 1\ng: !!seq [1]\nh: !!map {i: 1}\n");

    (void)state;
    assert_false(child(doc->root, "a")->quoted);
    for (const char *key = "b\0c\0d\0e\0"; *key; key += 2) {
        assert_true(child(doc->root, key)->quoted);
        assert_string_equal(child(doc->root, key)->text, "1");
    }
    assert_false(child(doc->root, "f")->quoted);
    assert_int_equal(child(doc->root, "a")->as, GLE_SCALAR_RAW);
    gle_doc_destroy(doc);
}

static void paths_name_keys_and_indices(void **state)
{
    struct gle_doc *doc = parse("network: {layers: [1, [2, {tau_m: 3}]]}\n");
    const struct gle_node *layers = child(child(doc->root, "network"), "layers");
    char path[64], small[8];

    (void)state;
    gle_node_path(path, sizeof path, layers->items[1]->items[1]->items[0], NULL);
    assert_string_equal(path, "network.layers[1][1].tau_m");
    gle_node_path(path, sizeof path, layers->items[1], "x");
    assert_string_equal(path, "network.layers[1].x");
    gle_node_path(path, sizeof path, doc->root, NULL);
    assert_string_equal(path, "");
    gle_node_path(path, sizeof path, doc->root, "x");
    assert_string_equal(path, "x");
    gle_node_path(small, sizeof small, layers, NULL);
    assert_string_equal(small, "network");
    gle_doc_destroy(doc);
}

static void errors_point_to_the_child_when_it_is_there(void **state)
{
    struct gle_doc *doc = parse("a:\n  b: 1\n");
    struct gle_errors errs = {0};
    struct gle_error err = {0};

    (void)state;
    assert_int_equal(gle_node_error(&errs, GLE_ERANGE, child(doc->root, "a"), "b", "is %d", 1), -1);
    gle_node_error(&errs, GLE_ERANGE, child(doc->root, "a"), "c", "missing");
    gle_node_error(&errs, GLE_ERANGE, child(doc->root, "a"), NULL, "wrong");
    gle_node_error(&errs, GLE_ERANGE, NULL, "k", "nowhere");
    assert_string_equal(all_errors(&errs),
                        "x.yaml:2:6: a.b: is 1\nx.yaml:2:3: a.c: missing\nx.yaml:2:3: a: wrong\nk: nowhere");
    gle_node_fail(&err, GLE_ERANGE, child(doc->root, "a"), "b", "first");
    gle_node_fail(&err, GLE_ECONFIG, doc->root, NULL, "second");
    assert_int_equal(err.code, GLE_ERANGE);
    assert_string_equal(err.text, "first");
    assert_string_equal(err.path, "a.b");
    gle_doc_destroy(doc);
}

static void dotted_keys_point_as_deep_as_they_can(void **state)
{
    struct gle_doc *doc = parse("a:\n  b:\n    c: 1\nx.y: 2\n");
    struct gle_errors errs = {0};

    (void)state;
    gle_node_error(&errs, GLE_ERANGE, doc->root, "a.b.c", "there");
    gle_node_error(&errs, GLE_ERANGE, doc->root, "a.b.d", "not there");
    gle_node_error(&errs, GLE_ERANGE, doc->root, "x.y", "one key");
    gle_node_error(&errs, GLE_ERANGE, doc->root, "y.z", "nowhere");
    assert_string_equal(all_errors(&errs), "x.yaml:3:8: a.b.c: there\nx.yaml:3:5: a.b.d: not there\n"
                                           "x.yaml:4:6: x.y: one key\nx.yaml:1:1: y.z: nowhere");
    gle_doc_destroy(doc);
}

static void aliases_become_copies(void **state)
{
    struct gle_doc *doc = parse("a: &x\n  - {b: 1}\nc: *x\n&k d: &x 2\ne: *x\nf: *k\n&l l: 1\ng: {*l : 3}\n");
    const struct gle_node *a = child(doc->root, "a")->items[0], *c = child(doc->root, "c")->items[0];

    (void)state;
    assert_ptr_not_equal(a, c);
    assert_ptr_equal(c->parent, child(doc->root, "c"));
    assert_int_equal(child(doc->root, "c")->key_line, 3);
    expect_place(child(c, "b"), 2, 9); /* of the text it was copied from */
    assert_int_equal(child(c, "b")->key_column, 6);
    assert_string_equal(child(doc->root, "e")->text, "2"); /* the last anchor of that name */
    assert_string_equal(child(doc->root, "f")->text, "d");
    assert_string_equal(child(child(doc->root, "g"), "l")->text, "3");
    gle_doc_destroy(doc);
}

static void merge_keys_add_what_the_map_lacks(void **state)
{
    (void)state;
    expect_text("b: &b {x: 1, y: 2}\nc: &c {y: 3, z: 4}\nd:\n  <<: [*b, *c]\n  x: 9\n"
                "e: {<<: *c, w: 5}\nf: {<<: {v: 1}, u: 2}\n",
                "b:\n  x: 1\n  y: 2\nc:\n  y: 3\n  z: 4\nd:\n  x: 9\n  y: 2\n  z: 4\n"
                "e:\n  w: 5\n  y: 3\n  z: 4\nf:\n  u: 2\n  v: 1\n");
    expect_text("a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b}\n",
                "a:\n  x: 1\nb:\n  y: 2\n  x: 1\nc:\n  y: 2\n  x: 1\n");
    expect_text("a: {'<<': 1}\n", "a:\n  \"<<\": 1\n"); /* in quotes it is a key like others */
}

static void wrong_merge_keys_are_refused(void **state)
{
    (void)state;
    expect_refused("<<: 3\n", "x.yaml:1:5: <<: '<<' wants a map or a list of maps, such as *name");
    expect_refused("a: {b: 1, <<: [{}, 3]}\n",
                   "x.yaml:1:20: a.<<[1]: '<<' wants a map or a list of maps, such as *name");
    expect_refused("d: {<<: {a: 1}, <<: {b: 1}}\n", "x.yaml:1:17: d.<<: duplicate key '<<' (first on line 1)");
    expect_refused("<<: *b\n", "x.yaml:1:5: <<: unknown alias '*b': no '&b' stands before it");
}

static void unknown_and_recursive_aliases_are_refused(void **state)
{
    (void)state;
    expect_refused("a: *x\nb: &x 1\nc: *y\n", "x.yaml:1:4: a: unknown alias '*x': no '&x' stands before it\n"
                                              "x.yaml:3:4: c: unknown alias '*y': no '&y' stands before it");
    expect_refused("a: &x [1, *x]\n", "x.yaml:1:11: a[1]: the alias '*x' stands inside what it refers to");
    expect_refused("a: &x {b: {c: *x}}\n", "x.yaml:1:15: a.b.c: the alias '*x' stands inside what it refers to");
    expect_refused("a: &x {<<: *x}\n", "x.yaml:1:12: a.<<: the alias '*x' stands inside what it refers to");
}

static void every_duplicate_key_is_reported(void **state)
{
    (void)state;
    expect_refused("a: 1\nb:\n  c: 1\n  'c': 2\na: 2\na: 3\n", "x.yaml:4:3: b.c: duplicate key 'c' (first on line 3)\n"
                                                               "x.yaml:5:1: a: duplicate key 'a' (first on line 1)\n"
                                                               "x.yaml:6:1: a: duplicate key 'a' (first on line 1)");
    expect_refused("a: [{b: 1, b: 2}]\n", "x.yaml:1:12: a[0].b: duplicate key 'b' (first on line 1)");
}

static void a_root_that_is_no_map_is_refused(void **state)
{
    (void)state;
    expect_refused("", "x.yaml:1:1: the file is empty");
    expect_refused("# nothing\n\n", "x.yaml:1:1: the file is empty");
    expect_refused("---\n...\n", "x.yaml:1:1: the file is empty");
    expect_refused("\n- a\n", "x.yaml:2:1: the file must hold a map (lines of 'key: value'), not a list");
    expect_refused("a\n", "x.yaml:1:1: the file must hold a map (lines of 'key: value'), not a single text");
}

static void a_second_document_is_refused(void **state)
{
    (void)state;
    expect_refused("---\na: 1\n---\nb: 2\n", "x.yaml:3:1: a second document begins here; a file holds one");
    expect_refused("a: 1\n...\nb: 1\n", "x.yaml:3:1: nothing can follow the end of what stands above");
}

static void a_syntax_error_is_told_in_plain_words(void **state)
{
    static const struct {
        const char *yaml, *wanted;
    } cases[] = {
        {"a:\n\tb: 1\n", "2:1: a tab is not allowed for indentation here; use spaces"},
        {"\ta: 1\n", "1:1: a tab is not allowed for indentation here; use spaces"},
        {"a:\n  b: 1\n\tc: 2\n", "3:1: a tab is not allowed for indentation here; use spaces"},
        {"a: |\n\tx\n", "2:1: a tab is not allowed for indentation here; use spaces"},
        {"a: b: c\n",
         "1:5: a ':' cannot stand here; check the indentation and the line before, and put a text with ': ' in quotes"},
        {"a: [1, 2\nb: 3\n", "2:2: a ',' or ']' is missing before this, in the list that opens on line 1"},
        {"a: {x: 1\nb: 3\n", "2:2: a ',' or '}' is missing before this, in the map that opens on line 1"},
        {"b: {\n  a: [1, 2\n", "2:6: this '[' is never closed"},
        {"b: {a: 1\n", "1:4: this '{' is never closed"},
        {"b: 1\na: 'x\nc: 1\n", "2:4: this quote is never closed"},
        {"a: 'x\n---\n", "2:1: the quote that opens on line 1 is not closed before this line"},
        {"a: \"\\q\"\n",
         "1:5: unknown escape in a double-quoted text (write \\\\ for a backslash, or use single quotes)"},
        {"a: \"\\xZ\"\n", "1:7: an escape \\x, \\u or \\U wants the 2, 4 or 8 hexadecimal digits of a character"},
        {"a: \"\\uD800\"\n", "1:7: an escape \\x, \\u or \\U wants the 2, 4 or 8 hexadecimal digits of a character"},
        {"a:\n  b: 1\n c: 2\n",
         "3:2: this does not fit the map that begins on line 1; check the indentation and the quotes"},
        {"a:\n  - 1\n  c: 2\n",
         "3:3: this does not fit the list that begins on line 2; check the indentation and the quotes"},
        {"a: 1\nfoo\nb: 2\n", "2:1: a ': ' (colon and space) is missing after this key"},
        {"a: @x\n", "1:4: a text cannot begin with '@'; put it in quotes"},
        {"%x\na: 1\n", "1:3: a line cannot begin with '%' here; put a text that begins with '%' in quotes"},
        {"%YAML 2.0\n---\na: 1\n", "1:1: only YAML 1.1 and 1.2 can be read"},
        {"a: & b\n", "1:4: '&' and '*' want a name of letters and digits; put a text that begins with them in quotes"},
        {"a: [1, , 2]\n", "1:8: a value is missing here"},
        {"a: - b\n", "1:4: a list item ('-') cannot begin here; check the indentation, and put a text that begins "
                     "with '- ' in quotes"},
        {"a: >x\n", "1:5: only a comment can follow '|' or '>' on its line"},
        {"a: |0\n  x\n", "1:5: the number after '|' or '>' is 1 to 9"},
        {"a: !e!x y\n",
         "1:4: tags (words that begin with '!') are not used here; put a text that begins with '!' in quotes"},
    };
    char wanted[600];

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        snprintf(wanted, sizeof wanted, "x.yaml:%s", cases[i].wanted);
        expect_refused(cases[i].yaml, wanted);
    }
}

static void after_a_syntax_error_there_is_just_that_one(void **state)
{
    (void)state;
    expect_refused("a: 1\na: !x 2\nb: *c\nd: [\n",
                   "x.yaml:5:1: the text ends here, where a value or a closing ']' or '}' is missing");
}

static void only_tags_that_change_nothing_are_accepted(void **state)
{
    (void)state;
    expect_refused("a: !foo x\nb: !!python/object:os.system [1]\nc: !!map 3\nd: ! 4\n",
                   "x.yaml:1:4: a: the tag '!foo' is not used here; put a text that begins with '!' in quotes\n"
                   "x.yaml:2:4: b: the tag '!!python/object:os.system' is not used here; leave it out\n"
                   "x.yaml:3:4: c: the tag '!!map' is not used here; leave it out\n"
                   "x.yaml:4:4: d: the tag '!' is not used here; put a text that begins with '!' in quotes");
    expect_refused("!foo a: 1\n",
                   "x.yaml:1:1: the tag '!foo' is not used here; put a text that begins with '!' in quotes");
}

static void keys_are_single_texts(void **state)
{
    char yaml[600];

    (void)state;
    expect_refused("a: {[b]: 1}\n", "x.yaml:1:5: a: a key must be a single text, not a list or a map");
    expect_refused("? {a: 1}\n: 1\n", "x.yaml:1:3: a key must be a single text, not a list or a map");
    expect_refused("a: &x [1]\nb: {*x : 1}\n", "x.yaml:2:5: b: a key must be a single text, not a list or a map");
    expect_refused("a: {? : 1}\n", "x.yaml:1:7: a: a key is missing before this ':'");
    snprintf(yaml, sizeof yaml, "%0251d: 1\n", 0);
    expect_refused(yaml, "x.yaml:1:1: a key may have at most 250 bytes");
    for (size_t i = 0; i < 250; i++) /* the widest that a key can become in quotes */
        memcpy(yaml + 2 + 2 * i, "\\a", 2);
    memcpy(yaml, "{\"", 2);
    memcpy(yaml + 502, "\": 1}", 6);
    expect_own_text_reads_back(yaml);
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    static const char utf8[] = "x.yaml:2:4: not valid UTF-8; save the file as UTF-8";

    (void)state;
    expect_refused("a: 1\nb: \xFF\n", utf8);
    expect_refused("a: 1\nb: \xC3\n", utf8);
    expect_refused("a: 1\nb: \xE2\x82", utf8);
    expect_refused("a: 1\r\nb: \xED\xA0\x80\n", utf8);
    expect_refused("a: \xC3\xA9\x01\n",
                   "x.yaml:1:5: the control character U+0001 is not allowed; write it as an escape in double quotes");
    expect_bytes_refused(
        "a: x\0y\n", 7,
        "x.yaml:1:5: the control character U+0000 is not allowed; write it as an escape in double quotes");
    expect_refused("a: \"x\\0y\"\n", "x.yaml:1:4: a: a text cannot hold the character NUL (\\0)");
    expect_refused("\"x\\0y\": 1\n", "x.yaml:1:1: a text cannot hold the character NUL (\\0)");
    expect_bytes_refused("\xFF\xFE"
                         "a\0:\0",
                         6, "x.yaml:1:1: the file is in UTF-16; save it as UTF-8");
    expect_bytes_refused("\xFE\xFF\0a\0:", 6, "x.yaml:1:1: the file is in UTF-16; save it as UTF-8");
}

static void crlf_and_a_byte_order_mark_change_nothing(void **state)
{
    struct gle_doc *doc = parse("\xEF\xBB\xBF"
                                "a: x\r\nb:\r\n  - y\r\n");

    (void)state;
    assert_string_equal(child(doc->root, "a")->text, "x");
    expect_place(child(doc->root, "a"), 1, 4);
    expect_place(child(doc->root, "b")->items[0], 3, 5);
    gle_doc_destroy(doc);
}

/* head, then n times unit, then tail; gle_free(). */
static char *repeat(const char *head, const char *unit, size_t n, const char *tail)
{
    const size_t len = strlen(unit);
    char *text = gle_calloc(strlen(head) + n * len + strlen(tail) + 1, 1), *at;

    assert_non_null(text);
    strcpy(text, head);
    at = text + strlen(head);
    for (size_t i = 0; i < n; i++, at += len)
        memcpy(at, unit, len);
    strcpy(at, tail);
    return text;
}

static void expect_quickly_refused(const char *yaml, const char *wanted)
{
    const clock_t start = clock();

    expect_refused(yaml, wanted);
    assert_true(clock() - start < CLOCKS_PER_SEC);
}

static void deep_nesting_ends_at_once(void **state)
{
    static const char *const units[] = {"[", "{a: ", "- ", "? "};
    char *yaml;

    (void)state;
    for (size_t i = 0; i < LENGTH(units); i++) {
        char wanted[100];
        yaml = repeat("a:\n ", units[i], 100000, "");
        snprintf(wanted, sizeof wanted, "x.yaml:2:%zu: nested deeper than 64 levels", 2 + 63 * strlen(units[i]));
        expect_quickly_refused(yaml,
                               i == 3 ? "x.yaml:2:4: a: a key must be a single text, not a list or a map" : wanted);
        gle_free(yaml);
    }
}

static void sixty_four_levels_are_enough_for_anyone(void **state)
{
    char *open = repeat("a: ", "[", 63, ""), *yaml = repeat(open, "]", 63, "\nb: &b [1]\nc: &c [*b]\n");

    (void)state;
    expect_own_text_reads_back(yaml);
    gle_free(open);
    gle_free(yaml);
    open = repeat("b: &b [1]\na: ", "[", 63, "*b");
    expect_refused(open, "x.yaml:2:67: nested deeper than 64 levels");
    gle_free(open);
}

static void a_billion_laughs_end_at_once(void **state)
{
    char yaml[1024] = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";

    (void)state;
    for (char c = 'b'; c <= 'j'; c++) {
        const char p = (char)(c - 1);
        const size_t n = strlen(yaml);
        snprintf(yaml + n, sizeof yaml - n, "%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c, c, p, p,
                 p, p, p, p, p, p, p, p);
    }
    expect_quickly_refused(yaml, "x.yaml:6:12: the aliases ('*') expand to more than 262144 values");
}

static void much_text_by_aliases_ends_at_once(void **state)
{
    char *text = repeat("a: &a ", "x", 1 << 20, "\nb: ["), *yaml = repeat(text, "*a,", 1000, "]\n");

    (void)state;
    expect_quickly_refused(yaml, "x.yaml:2:191: b[62]: more than 64 MiB of text once the aliases are expanded");
    gle_free(text);
    gle_free(yaml);
}

static void large_maps_are_read_fast(void **state)
{
    enum { N = 20000 };
    char *yaml = gle_calloc(N, 32);
    struct gle_doc *doc;
    clock_t start;
    size_t n = 0;

    (void)state;
    assert_non_null(yaml);
    n += (size_t)sprintf(yaml, "a: &a\n");
    for (size_t i = 0; i < N; i++)
        n += (size_t)sprintf(yaml + n, "  k%zu: 1\n", i);
    sprintf(yaml + n, "b:\n  <<: *a\n  k7: 2\n");
    start = clock();
    doc = parse(yaml);
    assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
    assert_int_equal(child(doc->root, "b")->n_items, N);
    assert_string_equal(child(child(doc->root, "b"), "k7")->text, "2");
    gle_doc_destroy(doc);
    gle_free(yaml);
}

static void too_many_anchors_are_refused(void **state)
{
    char *yaml = repeat("a: [", "&a 1,", 1001, "]\n");

    (void)state;
    expect_refused(yaml, "x.yaml:1:5005: a[1000]: more than 1000 anchors ('&')");
    gle_free(yaml);
}

static void files_that_cannot_be_read_are_refused(void **state)
{
    char dir[] = "/tmp/test_yaml_node_XXXXXX", path[64], wanted[200];
    struct gle_errors errs = {0}, none = {0};
    struct gle_doc *doc;
    FILE *file;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(gle_doc_load(&doc, dir, &errs), -1);
    assert_null(doc);
    snprintf(wanted, sizeof wanted, "%s: is a directory, not a config file", dir);
    assert_string_equal(all_errors(&errs), wanted);

    snprintf(path, sizeof path, "%s/x.yaml", dir);
    errs = none;
    assert_int_equal(gle_doc_load(&doc, path, &errs), -1);
    snprintf(wanted, sizeof wanted, "%s: cannot be read: No such file or directory", path);
    assert_string_equal(all_errors(&errs), wanted);
    assert_int_equal(errs.item[0].code, GLE_ECONFIG);

    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), GLE_YAML_BYTES_MAX + 1), 0);
    fclose(file);
    errs = none;
    assert_int_equal(gle_doc_load(&doc, path, &errs), -1);
    snprintf(wanted, sizeof wanted, "%s: larger than 64 MiB", path);
    assert_string_equal(all_errors(&errs), wanted);

    assert_int_equal(truncate(path, 0), 0);
    errs = none;
    assert_int_equal(gle_doc_load(&doc, path, &errs), -1);
    snprintf(wanted, sizeof wanted, "%s:1:1: the file is empty", path);
    assert_string_equal(all_errors(&errs), wanted);
    unlink(path);
    rmdir(dir);
}

static void a_pipe_can_be_read(void **state)
{
    struct gle_errors errs = {0};
    struct gle_doc *doc;
    char path[32];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "a: 1\n", 5), 5);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_int_equal(gle_doc_load(&doc, path, &errs), 0);
    assert_string_equal(child(doc->root, "a")->text, "1");
    assert_string_equal(doc->root->file, path);
    gle_doc_destroy(doc);
    close(ends[0]);
}

static void one_value_can_be_parsed_alone(void **state)
{
    struct gle_doc *doc = parse("{}");
    struct gle_errors errs = {0};
    struct gle_node *node;

    (void)state;
    assert_int_equal(gle_node_parse(&node, doc, "{type: adam, lr: [1, 2]}", "--set a", &errs), 0);
    assert_null(node->parent);
    assert_string_equal(node->file, "--set a");
    expect_place(child(node, "lr"), 0, 0); /* of the command line: no lines */
    assert_int_equal(gle_node_parse(&node, doc, "1e-3", "--set a", &errs), 0);
    assert_string_equal(node->text, "1e-3");
    assert_int_equal(gle_node_parse(&node, doc, "", "--set a", &errs), 0);
    assert_int_equal(node->kind, GLE_NODE_SCALAR);
    assert_string_equal(node->text, "");
    assert_false(node->quoted);
    expect_place(node, 0, 0);
    assert_int_equal(gle_node_parse(&node, doc, "a: b", "--set a", &errs), -1);
    assert_null(node);
    assert_int_equal(gle_node_parse(&node, doc, "[1", "--set a", &errs), -1);
    assert_string_equal(all_errors(&errs),
                        "--set a: a map is written {key: value} here, a list [a, b]; put other text in quotes\n"
                        "--set a: this '[' is never closed");
    gle_doc_destroy(doc);
}

static int set(struct gle_doc *doc, const char *path, const char *value, struct gle_errors *errs)
{
    struct gle_node *node;
    assert_int_equal(gle_node_parse(&node, doc, value, "--set", errs), 0);
    return gle_node_set(doc, path, node, errs);
}

static void set_replaces_and_makes_what_is_missing(void **state)
{
    struct gle_doc *doc = parse("a: 1\nlayers:\n  - {neurons: [{tau: 1}, {tau: 2}]}\n  - 3\n");
    struct gle_errors errs = {0};
    const struct gle_node *node;
    char path[64], *text;

    (void)state;
    assert_int_equal(set(doc, "a", "{x: 1}", &errs), 0);
    assert_int_equal(set(doc, "a.y", "2", &errs), 0);
    assert_int_equal(set(doc, "b.c.d", "[1, 2]", &errs), 0);
    assert_int_equal(set(doc, "b.c.d[1]", "5", &errs), 0);
    assert_int_equal(set(doc, "layers[0].neurons[1].tau", "9", &errs), 0);
    assert_int_equal(set(doc, "layers[1]", "null", &errs), 0);
    text = gle_node_text(doc->root);
    assert_string_equal(text, "a:\n  x: 1\n  y: 2\nlayers:\n  - neurons:\n      - tau: 1\n      - tau: 9\n  - null\n"
                              "b:\n  c:\n    d: [1, 5]\n");
    gle_free(text);
    node = child(child(doc->root, "layers")->items[0], "neurons")->items[1];
    gle_node_path(path, sizeof path, child(node, "tau"), NULL);
    assert_string_equal(path, "layers[0].neurons[1].tau");
    assert_string_equal(child(node, "tau")->file, "--set");
    expect_place(child(node, "tau"), 0, 0);
    assert_int_equal(child(node, "tau")->key_line, 0);
    expect_reads_back(doc);
    gle_doc_destroy(doc);
}

static void set_explains_what_is_wrong_with_a_path(void **state)
{
    static const struct {
        const char *path, *wanted;
    } cases[] = {
        {"network.layers[7].tau", "no list item 7: there are 3"},
        {"network.layers[99999999999999999999]", "no list item 99999999999999999999: there are 3"},
        {"network.layer[0]", "no list 'layer' (did you mean 'layers'?)"},
        {"xyz[0]", "no list 'xyz'"},
        {"network.layers.x", "'network.layers' is a list: say which item, as in 'network.layers[0]'"},
        {"network[0]", "'network' is a map: it has keys, not list items"},
        {"network.input.x", "'network.input' is the single value '1': nothing can be set below it"},
        {"network.layers[0][0]", "'network.layers[0]' is the single value 'a': nothing can be set below it"},
        {"[0]", "the path must begin with a key"},
    };
    static const char *const malformed[] = {"",     ".",   "a.", ".a",    "a..b",  "a[",    "a[]",
                                            "a[x]", "a[1", "a]", "a[1]b", "a[-1]", "a.[1]", "a[1]."};
    struct gle_doc *doc = parse("network: {input: 1, layers: [a, b, c]}\n");
    char *text, wanted[300];

    (void)state;
    for (size_t i = 0; i < LENGTH(cases) + LENGTH(malformed); i++) {
        const char *path = i < LENGTH(cases) ? cases[i].path : malformed[i - LENGTH(cases)];
        struct gle_errors errs = {0};
        assert_int_equal(set(doc, path, "1", &errs), -1);
        snprintf(wanted, sizeof wanted, "--set: %s%s%s", path, *path ? ": " : "",
                 i < LENGTH(cases) ? cases[i].wanted : "malformed path (write it as in a.b[0].c)");
        assert_string_equal(all_errors(&errs), wanted);
    }
    text = gle_node_text(doc->root);
    assert_string_equal(text, "network:\n  input: 1\n  layers: [a, b, c]\n");
    gle_free(text);
    gle_doc_destroy(doc);
}

static void set_keeps_to_the_limits(void **state)
{
    struct gle_doc *doc = parse("{}");
    struct gle_errors errs = {0};
    char *path = repeat("a", ".a", 100000, "");

    (void)state;
    assert_int_equal(set(doc, path, "1", &errs), -1);
    assert_non_null(strstr(all_errors(&errs), "nested deeper than 64 levels"));
    gle_free(path);
    path = repeat("a", ".a", 63, "");
    assert_int_equal(set(doc, path, "[1]", &errs), -1);
    assert_int_equal(set(doc, path, "1", &errs), 0);
    gle_free(path);
    expect_reads_back(doc);
    path = repeat("", "k", 251, "");
    assert_int_equal(set(doc, path, "1", &errs), -1);
    assert_non_null(strstr(all_errors(&errs), "a key may have at most 250 bytes"));
    gle_free(path);
    gle_doc_destroy(doc);
}

static void a_copy_is_deep_and_detached(void **state)
{
    struct gle_doc *doc = parse("a: {b: [1, 'x']}\n");
    struct gle_node *copy;

    (void)state;
    copy = gle_node_copy(doc, child(doc->root, "a"));
    assert_null(copy->parent);
    assert_null(copy->key);
    assert_true(same_tree(child(copy, "b"), child(child(doc->root, "a"), "b")));
    assert_ptr_not_equal(child(copy, "b"), child(child(doc->root, "a"), "b"));
    assert_int_equal(child(copy, "b")->key_column, 5);
    gle_doc_destroy(doc);
}

static void an_appended_value_stands_at_its_parent(void **state)
{
    struct gle_doc *doc = parse("x: 1\na:\n  b: 1\n");
    struct gle_node *a = gle_node_get(doc->root, "a");
    struct gle_errors errs = {0};

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        struct gle_node *value;
        char key[16];
        snprintf(key, sizeof key, "k%zu", i);
        assert_int_equal(gle_node_parse(&value, doc, "{c: [1]}", "default", &errs), 0);
        assert_ptr_equal(gle_node_append(doc, a, key, value), value);
        assert_ptr_equal(child(a, key), value);
    }
    assert_int_equal(a->n_items, 101);
    expect_place(child(child(a, "k7"), "c")->items[0], 3, 3);
    assert_string_equal(child(a, "k7")->file, "x.yaml");
    assert_null(gle_node_append(doc, a, "z", NULL));
    expect_reads_back(doc);
    gle_doc_destroy(doc);
}

static void text_is_written_in_block_style_and_quoted_only_where_it_must(void **state)
{
    (void)state;
    expect_text("{a: {}, b: [], c: {d: 1.50}, e: [1, 'two', {f: 3}], g: [[1, 2], [[3]]]}",
                "a: {}\nb: []\nc:\n  d: 1.50\ne:\n  - 1\n  - two\n  - f: 3\ng:\n  - [1, 2]\n  - - [3]\n");
    expect_text("a: 'plain text, with (signs); and = more!'\nb: '0.1'\nc: 'true'\nd: 'null'\n"
                "e: ''\nf: 'yes'\ng: ' x'\nh: 'x '\n",
                "a: plain text, with (signs); and = more!\nb: \"0.1\"\nc: \"true\"\nd: \"null\"\ne: \"\"\nf: \"yes\"\n"
                "g: \" x\"\nh: \"x \"\n");
    expect_text("a: 'b: c'\nd: 'e #f'\ng: 'h#i:j'\nk: '- l'\nm: '-n'\no: 'p:'\nq: ['r,s', 't]', 'u v']\n",
                "a: \"b: c\"\nd: \"e #f\"\ng: h#i:j\nk: \"- l\"\nm: -n\no: \"p:\"\nq: [\"r,s\", \"t]\", u v]\n");
    expect_text("a: |\n  one\n  two\nb: \"tab\\t, bell\\a, quote\\\", back\\\\slash, \\xE9, \\u2028\"\n",
                "a: \"one\\ntwo\\n\"\nb: \"tab\\t, bell\\x07, quote\\\", back\\\\slash, \xC3\xA9, \\u2028\"\n");
    expect_text("a: yes\nb: 010\nc: ~\nd:\ne: [~, null]\nf:\n  -\n  - x\n",
                "a: yes\nb: 010\nc: ~\nd:\ne: [~, null]\nf:\n  -\n  - x\n");
    expect_text("'1': a\n'on': b\n'x: y': c\n'': d\n'---': e\n",
                "\"1\": a\n\"on\": b\n\"x: y\": c\n\"\": d\n\"---\": e\n");
    expect_text("a: '2024-01-01'\nb: '12:30'\nc: '0x1F'\nd: '12 keywords'\ne: v0.02\n",
                "a: \"2024-01-01\"\nb: \"12:30\"\nc: \"0x1F\"\nd: 12 keywords\ne: v0.02\n");
}

static void long_lists_are_wrapped(void **state)
{
    char *yaml = repeat("a:\n  b: [0.25", ", 0.25", 99, "]\n");
    struct gle_doc *doc = parse(yaml);
    char *text = gle_node_text(doc->root);
    size_t n_lines = 0;

    (void)state;
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1, n_lines++) {
        assert_true(strcspn(line, "\n") <= 110);
        assert_true(n_lines < 2 || !strncmp(line, "    0.25", 8));
    }
    assert_int_equal(n_lines, 7);
    expect_reads_back(doc);
    gle_free(text);
    gle_doc_destroy(doc);
    gle_free(yaml);
}

static void the_kind_that_a_key_gave_decides_about_quotes(void **state)
{
    struct gle_doc *doc = parse("a: 123\nb: 123\nc: true\nd: true\n");
    char *text;

    (void)state;
    gle_node_get(doc->root, "a")->as = GLE_SCALAR_TEXT;
    gle_node_get(doc->root, "b")->as = GLE_SCALAR_NUMBER;
    gle_node_get(doc->root, "c")->as = GLE_SCALAR_TEXT;
    gle_node_get(doc->root, "d")->as = GLE_SCALAR_BOOL;
    text = gle_node_text(doc->root);
    assert_string_equal(text, "a: \"123\"\nb: 123\nc: \"true\"\nd: true\n");
    gle_free(text);
    gle_doc_destroy(doc);
}

static void add_text(struct gle_doc *doc, struct gle_node *list, const char *text)
{
    struct gle_node *node = gle_calloc(1, sizeof *node), *copy;

    assert_non_null(node);
    node->file = "x.yaml";
    node->text = gle_arena_text(doc->arena, text, strlen(text));
    node->quoted = true;
    copy = gle_node_copy(doc, node);
    gle_free(node);
    assert_non_null(copy);
    assert_int_equal(gle_node_add(doc, list, copy), 0);
}

/* Every text of up to three of these, as list items (in flow and in block style), as a value and as a key. */
static const char *const signs[] = {
    " ",  "\t",       "\n",       "\r",           ":",    ",",           "[", "]", "{", "}", "#", "&", "*", "!",
    "|",  ">",        "'",        "\"",           "%",    "@",           "`", "?", "-", ".", "0", "a", "~", "=",
    "\\", "\xC3\xA9", "\xC2\x85", "\xE2\x80\xA8", "\x1B", "\xEF\xBB\xBF"};

static void any_text_reads_back(void **state)
{
    struct gle_doc *doc = parse("flow: []\nblock: [{}]\nvalues: {}\n");
    struct gle_node *flow = doc->root->items[0], *block = doc->root->items[1], *values = doc->root->items[2];

    (void)state;
    for (size_t i = 0; i < LENGTH(signs); i++)
        for (size_t j = 0; j < LENGTH(signs); j++)
            for (size_t k = 0; k <= LENGTH(signs); k++) {
                char text[16];
                struct gle_node *last;
                snprintf(text, sizeof text, "%s%s%s", signs[i], signs[j], k < LENGTH(signs) ? signs[k] : "");
                add_text(doc, flow, text);
                add_text(doc, block, text);
                add_text(doc, values, text);
                last = values->items[values->n_items - 1];
                last->key = last->text;
            }
    for (size_t i = 0; i < LENGTH(signs); i++)
        add_text(doc, i % 2 ? flow : block, signs[i]);
    expect_reads_back(doc);
    gle_doc_destroy(doc);
}

static void bytes_that_are_no_utf8_are_escaped(void **state)
{
    const struct gle_node node = {.text = "a\xFF\xC3", .quoted = true};
    char *text = gle_node_text(&node);

    (void)state;
    assert_string_equal(text, "\"a\\xFF\\xC3\"\n");
    gle_free(text);
}

static void any_plain_text_reads_back(void **state)
{
    struct gle_errors none = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(signs) * LENGTH(signs); i++)
        for (int form = 0; form < 4; form++) {
            static const char *const forms[] = {"a: %s%s", "a: [%s%s, 1]", "a:\n  - %s%s", "%s%s: 1"};
            struct gle_errors errs = none;
            struct gle_doc *doc;
            char yaml[64];
            snprintf(yaml, sizeof yaml, forms[form], signs[i / LENGTH(signs)], signs[i % LENGTH(signs)]);
            if (gle_doc_parse(&doc, yaml, strlen(yaml), "x.yaml", &errs))
                continue;
            expect_reads_back(doc);
            gle_doc_destroy(doc);
        }
}

static void config_path(char *path, size_t size, size_t i)
{
    const char *tests = getenv("GLE_TEST_DIR");
    snprintf(path, size, "%s/%s.yaml", tests ? tests : "tests", config_names[i]);
}

static void every_target_config_loads_and_reads_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(config_names); i++) {
        struct gle_errors errs = {0};
        struct gle_doc *doc;
        char path[1024];
        config_path(path, sizeof path, i);
        if (gle_doc_load(&doc, path, &errs))
            print_message("%s\n", all_errors(&errs));
        assert_non_null(doc);
        assert_string_equal(child(doc->root, "name")->text, strrchr(config_names[i], '/') + 1);
        expect_reads_back(doc);
        gle_doc_destroy(doc);
    }
}

static void a_damaged_config_is_refused_or_reads_back(void **state)
{
    static const char bytes[] = "\t\n :-[]{}&*!|>'\"%@#,?a0\x80\xC3";
    struct gle_errors none = {0};
    uint64_t random = 1;
    char path[1024], *text;
    size_t len;
    FILE *file;

    (void)state;
    for (size_t i = 0; i < LENGTH(config_names); i++) {
        config_path(path, sizeof path, i);
        file = fopen(path, "rb");
        assert_non_null(file);
        text = gle_calloc(1 << 16, 1);
        assert_non_null(text);
        len = fread(text, 1, (1 << 16) - 1, file);
        fclose(file);
        for (size_t trial = 0; trial < 300; trial++) {
            struct gle_errors errs = none;
            struct gle_doc *doc;
            char old;
            size_t at;
            random = random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX generator */
            at = (size_t)(random >> 33) % len;
            old = text[at];
            text[at] = bytes[(random >> 20) % (sizeof bytes - 1)];
            if (!gle_doc_parse(&doc, text, len, "x.yaml", &errs)) {
                expect_reads_back(doc);
                gle_doc_destroy(doc);
            } else {
                assert_true(errs.n > 0);
            }
            text[at] = old;
        }
        gle_free(text);
    }
}

static void expect_no_memory(int rc, const struct gle_errors *errs)
{
    assert_true((rc == 0) == (errs->n == 0));
    for (size_t i = 0; i < errs->n; i++)
        assert_int_equal(errs->item[i].code, GLE_ENOMEM);
}

static void every_failed_allocation_of_the_reader_is_an_error(void **state)
{
    /* The arena asks for memory in chunks of 64 KiB: the length of the first text decides which node needs the next. */
    enum { CHUNK_BYTES = 1 << 16 };
    static const char rest[] = "\na: &a {&k x: 1, y: [1, 2]}\nb: {<<: [*a], z: 1}\nc: [*a, *a, *k]\n";
    size_t n_failed = 0;

    (void)state;
    for (size_t len = CHUNK_BYTES - 5000; len < CHUNK_BYTES; len += 48) {
        char *yaml = repeat("p: ", "x", len, rest);
        for (size_t k = 0; k < 12; k++) {
            struct gle_errors errs = {0};
            struct gle_doc *doc;
            int rc;
            gle_memory_fail_after(k);
            rc = gle_doc_parse(&doc, yaml, strlen(yaml), "x.yaml", &errs);
            gle_memory_fail_after((size_t)-1);
            expect_no_memory(rc, &errs);
            assert_true(!rc == !!doc);
            n_failed += rc != 0;
            gle_doc_destroy(doc);
        }
        gle_free(yaml);
    }
    assert_true(n_failed > 500);
}

/* Changes a tree with `spare` bytes left and no more to be had; true if that was enough. */
static bool changes_in(size_t spare)
{
    enum { UNIT = 16, CHUNK_BYTES = 1 << 16 };
    struct gle_doc *doc = parse("a: {b: [1, 2, 3, 4], c: {d: 1}}\n");
    struct gle_errors errs = {0};
    struct gle_node *node, *copy;
    int rc;

    assert_non_null(gle_arena_alloc(doc->arena, CHUNK_BYTES - spare - UNIT, 1)); /* too large for the chunk in use */
    gle_memory_fail_after(0);
    copy = gle_node_copy(doc, doc->root);
    rc = !copy || !gle_node_append(doc, doc->root, "copy", copy);
    if (!rc) {
        rc = gle_node_parse(&node, doc, "{a: [1, 2]}", "--set", &errs) || gle_node_set(doc, "p.q.r", node, &errs) ||
             gle_node_parse(&node, doc, "", "--set", &errs);
        expect_no_memory(rc, &errs);
    }
    gle_memory_fail_after((size_t)-1);
    expect_reads_back(doc);
    gle_doc_destroy(doc);
    return rc == 0;
}

static void every_failed_allocation_of_a_change_is_an_error(void **state)
{
    size_t spare = 0;

    (void)state;
    while (!changes_in(spare))
        spare += 16;
    assert_in_range(spare, 1000, 30000);
}

static void text_without_memory_is_null(void **state)
{
    char *yaml = repeat("a: [1", ", 1", 2000, "]\n"), *text = NULL;
    struct gle_doc *doc = parse(yaml);
    size_t k;

    (void)state;
    for (k = 0; !text; k++) {
        gle_memory_fail_after(k);
        text = gle_node_text(doc->root);
        gle_memory_fail_after((size_t)-1);
    }
    assert_true(k > 3);
    gle_free(text);
    gle_doc_destroy(doc);
    gle_free(yaml);
}

static void a_file_without_memory_is_an_error(void **state)
{
    char path[1024];

    (void)state;
    config_path(path, sizeof path, 0);
    for (size_t k = 0; k < 3; k++) {
        struct gle_errors errs = {0};
        struct gle_doc *doc;
        int rc;
        gle_memory_fail_after(k);
        rc = gle_doc_load(&doc, path, &errs);
        gle_memory_fail_after((size_t)-1);
        assert_int_equal(rc, -1);
        expect_no_memory(rc, &errs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_remember_where_they_were_written),
        cmocka_unit_test(quotes_and_blocks_are_told_from_plain_texts),
        cmocka_unit_test(paths_name_keys_and_indices),
        cmocka_unit_test(errors_point_to_the_child_when_it_is_there),
        cmocka_unit_test(dotted_keys_point_as_deep_as_they_can),
        cmocka_unit_test(aliases_become_copies),
        cmocka_unit_test(merge_keys_add_what_the_map_lacks),
        cmocka_unit_test(wrong_merge_keys_are_refused),
        cmocka_unit_test(unknown_and_recursive_aliases_are_refused),
        cmocka_unit_test(every_duplicate_key_is_reported),
        cmocka_unit_test(a_root_that_is_no_map_is_refused),
        cmocka_unit_test(a_second_document_is_refused),
        cmocka_unit_test(a_syntax_error_is_told_in_plain_words),
        cmocka_unit_test(after_a_syntax_error_there_is_just_that_one),
        cmocka_unit_test(only_tags_that_change_nothing_are_accepted),
        cmocka_unit_test(keys_are_single_texts),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(crlf_and_a_byte_order_mark_change_nothing),
        cmocka_unit_test(deep_nesting_ends_at_once),
        cmocka_unit_test(sixty_four_levels_are_enough_for_anyone),
        cmocka_unit_test(a_billion_laughs_end_at_once),
        cmocka_unit_test(much_text_by_aliases_ends_at_once),
        cmocka_unit_test(large_maps_are_read_fast),
        cmocka_unit_test(too_many_anchors_are_refused),
        cmocka_unit_test(files_that_cannot_be_read_are_refused),
        cmocka_unit_test(a_pipe_can_be_read),
        cmocka_unit_test(one_value_can_be_parsed_alone),
        cmocka_unit_test(set_replaces_and_makes_what_is_missing),
        cmocka_unit_test(set_explains_what_is_wrong_with_a_path),
        cmocka_unit_test(set_keeps_to_the_limits),
        cmocka_unit_test(a_copy_is_deep_and_detached),
        cmocka_unit_test(an_appended_value_stands_at_its_parent),
        cmocka_unit_test(text_is_written_in_block_style_and_quoted_only_where_it_must),
        cmocka_unit_test(long_lists_are_wrapped),
        cmocka_unit_test(the_kind_that_a_key_gave_decides_about_quotes),
        cmocka_unit_test(any_text_reads_back),
        cmocka_unit_test(bytes_that_are_no_utf8_are_escaped),
        cmocka_unit_test(any_plain_text_reads_back),
        cmocka_unit_test(every_target_config_loads_and_reads_back),
        cmocka_unit_test(a_damaged_config_is_refused_or_reads_back),
        cmocka_unit_test(every_failed_allocation_of_the_reader_is_an_error),
        cmocka_unit_test(every_failed_allocation_of_a_change_is_an_error),
        cmocka_unit_test(text_without_memory_is_null),
        cmocka_unit_test(a_file_without_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
