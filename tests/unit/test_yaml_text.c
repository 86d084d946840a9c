/* What other programs and keyboards put into a YAML text: line ends of Unicode, surrogates, characters that cannot be
 * seen; and values from the command line, which are taken whole. */
#include "yaml/node.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const char *first_error(const struct gle_errors *errs)
{
    static char text[1024];

    assert_int_equal(errs->n, 1);
    gle_error_format(text, sizeof text, &errs->item[0]);
    return text;
}

static struct gle_doc *parse(const char *text)
{
    struct gle_errors errs = {0};
    struct gle_doc *doc;
    const int rc = gle_doc_parse(&doc, text, strlen(text), "x.yaml", &errs);

    if (rc)
        print_message("%s\n", first_error(&errs));
    assert_int_equal(rc, 0);
    return doc;
}

static const struct gle_node *get(const struct gle_doc *doc, const char *path)
{
    const struct gle_node *node = gle_node_find(doc->root, path);
    assert_non_null(node);
    return node;
}

static void line_ends_of_unicode_end_no_line(void **state)
{
    struct gle_doc *doc = parse("a: 1 # x\xE2\x80\xA8 y \xE2\x80\xA9 z \xC2\x85: w\n"
                                "b: x\xE2\x80\xA8y\nc: 'x\xC2\x85y'\nd: \"x\xE2\x80\xA9y\\u2028\"\n"
                                "e\xC2\x85: \xEF\xA0\x80\xEE\x80\xBE\n");

    (void)state;
    assert_string_equal(get(doc, "a")->text, "1");
    assert_string_equal(get(doc, "b")->text, "x\xE2\x80\xA8y");
    assert_int_equal(get(doc, "b")->line, 2);
    assert_string_equal(get(doc, "c")->text, "x\xC2\x85y");
    assert_string_equal(get(doc, "d")->text, "x\xE2\x80\xA9y\xE2\x80\xA8");
    assert_string_equal(get(doc, "e\xC2\x85")->text, "\xEF\xA0\x80\xEE\x80\xBE"); /* characters for private use stay */
    assert_int_equal(get(doc, "e\xC2\x85")->line, 5);
    assert_int_equal(get(doc, "e\xC2\x85")->column, 5);
    gle_doc_destroy(doc);
}

static void pairs_of_surrogates_are_one_character(void **state)
{
    struct gle_doc *doc = parse("{\"a\": \"<\\ud83e\\udde0>\", \"\\uD83E\\uDDE0\": 1, b: '\\uD83E\\uDDE0', "
                                "c: x\\ud83e\\udde0,\n d: \"\\\\ud83e\", e: \"\\ue03e \xEE\x80\xBE \\ud83e\\udde0\", "
                                "f: \"\\ud800\\udc00\\udbff\\udfff\"}");

    (void)state;
    assert_string_equal(get(doc, "a")->text, "<\xF0\x9F\xA7\xA0>");
    assert_string_equal(get(doc, "\xF0\x9F\xA7\xA0")->text, "1");
    assert_int_equal(get(doc, "\xF0\x9F\xA7\xA0")->column, 41); /* as in the text */
    assert_string_equal(get(doc, "b")->text, "\\uD83E\\uDDE0"); /* \u means nothing without double quotes */
    assert_string_equal(get(doc, "c")->text, "x\\ud83e\\udde0");
    assert_string_equal(get(doc, "d")->text, "\\ud83e");
    assert_string_equal(get(doc, "e")->text, "\xEE\x80\xBE \xEE\x80\xBE \xF0\x9F\xA7\xA0");
    assert_string_equal(get(doc, "f")->text, "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"); /* U+10000, U+10FFFF */
    gle_doc_destroy(doc);
}

static void half_a_pair_is_refused(void **state)
{
    static const char *const texts[] = {"a: \"\\ud83e\"\n", "a: \"\\ud83e \\udde0\"\n", "a: \"\\udde0\\ud83e\"\n",
                                        "a: \"\\\\ud83e\\udde0\"\n"}; /* the first backslash takes the second */

    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct gle_errors errs = {0};
        struct gle_doc *doc;
        assert_int_equal(gle_doc_parse(&doc, texts[i], strlen(texts[i]), "x.yaml", &errs), -1);
        assert_non_null(strstr(first_error(&errs), "an escape \\x, \\u or \\U wants"));
    }
}

static void no_memory_for_a_disguise_is_said(void **state)
{
    static const char text[] = "a: x\xE2\x80\xA8y\n";
    size_t k = 0;
    int rc = -1;

    (void)state;
    for (; rc; k++) {
        struct gle_errors errs = {0};
        struct gle_doc *doc;
        gle_memory_fail_after(k);
        rc = gle_doc_parse(&doc, text, strlen(text), "x.yaml", &errs);
        gle_memory_fail_after((size_t)-1);
        if (rc)
            assert_int_equal(errs.item[0].code, GLE_ENOMEM);
        gle_doc_destroy(doc);
    }
    assert_true(k > 3);
}

static void a_syntax_error_names_what_cannot_be_seen_in_its_line(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"a: 1\nb:\xC2\xA0" "2\nc: 3\n",
         "x.yaml:2:1: a ': ' (colon and space) is missing after this key; U+00A0 (no-break space), which cannot be "
         "seen, is in this line, column 3"},
        {"a: 1\r\nb: [1,\xE3\x80\x80 2\r\n",
         "x.yaml:2:4: this '[' is never closed; U+3000 (ideographic space), which cannot be seen, is in this line, "
         "column 7"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct gle_errors errs = {0};
        struct gle_doc *doc;
        assert_int_equal(gle_doc_parse(&doc, cases[i].text, strlen(cases[i].text), "x.yaml", &errs), -1);
        assert_string_equal(first_error(&errs), cases[i].wanted);
    }
}

/* --- values from the command line --- */

static void a_text_is_taken_whole(void **state)
{
    static const char *const cases[][2] = {
        {"take #2", "take #2"}, {"#2", "#2"},           {" /data/take #2 ", "/data/take #2"}, {"3 # x", "3 # x"},
        {"a\nb", "a\nb"},       {"--- a #b", "--- a #b"}, {"", ""},                             {"it's", "it's"},
    };
    struct gle_doc *doc = parse("{}");

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct gle_errors errs = {0};
        struct gle_node *node;
        assert_int_equal(gle_node_parse(&node, doc, cases[i][0], "--set a", &errs), 0);
        assert_int_equal(node->kind, GLE_NODE_SCALAR);
        assert_string_equal(node->text, cases[i][1]);
        assert_false(node->quoted);
    }
    gle_doc_destroy(doc);
}

static void nothing_can_stand_behind_other_values(void **state)
{
    static const char *const cases[][2] = {
        {"[1, 2] # two", " # two"}, {"{a: 1}  #", "  #"}, {"'x' # y", " # y"}, {"\"\xC3\xA4\" # y", " # y"},
        {"!!str 3 # y", " # y"}};
    static const char *const fine[] = {"[1, 2] ", " {a: 1}", "'x #y'", "[a#b]", "!!str 3"};
    struct gle_doc *doc = parse("{}");
    struct gle_node *node;

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct gle_errors errs = {0};
        char wanted[200];
        assert_int_equal(gle_node_parse(&node, doc, cases[i][0], "--set a", &errs), -1);
        snprintf(wanted, sizeof wanted, "--set a: '%s' stands behind the value; put a text that holds it in quotes",
                 cases[i][1]);
        assert_string_equal(first_error(&errs), wanted);
    }
    for (size_t i = 0; i < LENGTH(fine); i++) {
        struct gle_errors errs = {0};
        assert_int_equal(gle_node_parse(&node, doc, fine[i], "--set a", &errs), 0);
    }
    gle_doc_destroy(doc);
}

/* --- documents and paths through them --- */

static void a_copy_shares_nothing(void **state)
{
    struct gle_doc *doc = parse("a: {b: [1, 'x']}\nc: 2\nd: e\n"), *copy = gle_doc_copy(doc, "c");
    struct gle_node *import;
    char what[100];

    (void)state;
    assert_non_null(copy);
    gle_node_remove(doc->root, "c");
    assert_false(gle_node_differs(what, sizeof what, doc->root, copy->root, NULL));
    assert_null(gle_node_find(copy->root, "c"));
    import = gle_node_import(copy, get(doc, "a.b"));
    gle_doc_destroy(doc);
    assert_string_equal(import->items[1]->text, "x");
    assert_true(import->items[1]->quoted);
    assert_string_equal(import->key, "b");
    assert_null(import->parent);
    assert_string_equal(get(copy, "a.b[1]")->text, "x");
    assert_string_equal(get(copy, "a.b[1]")->file, "x.yaml");
    assert_int_equal(get(copy, "d")->line, 3);
    assert_int_equal(get(copy, "d")->key_column, 1);
    gle_doc_destroy(copy);
}

static void memory_for_a_copy_may_fail(void **state)
{
    struct gle_doc *doc = parse("a: {b: [1, 'x']}\nc: 2\n"), *copy = NULL;

    (void)state;
    for (size_t k = 0; !copy; k++) {
        assert_true(k < 10);
        gle_memory_fail_after(k);
        copy = gle_doc_copy(doc, "");
        gle_memory_fail_after((size_t)-1);
    }
    gle_doc_destroy(copy);
    gle_doc_destroy(doc);
}

static void places_are_found_by_path(void **state)
{
    struct gle_doc *doc = parse("a: {b: [1, {c: 2}]}\n");
    static const char *const none[] = {"x", "a.x", "a.b[2]", "a.b.c", "a[0]", "a.b[1].c.d", "a..b", "a.b[", "a.b[1]x"};

    (void)state;
    assert_string_equal(get(doc, "a.b[1].c")->text, "2");
    assert_string_equal(get(doc, "a.b[00]")->text, "1");
    for (size_t i = 0; i < LENGTH(none); i++)
        assert_null(gle_node_find(doc->root, none[i]));
    gle_doc_destroy(doc);
}

static void paths_above_come_before_those_below(void **state)
{
    static const struct {
        const char *a, *b;
        int order;
        bool above;
    } cases[] = {
        {"a", "a", 0, false},        {"a", "a.b", -1, true},     {"a.b", "a", 1, false},      {"a", "ab", -1, false},
        {"a.b", "ab", -1, false},    {"a[1]", "a[01]", 0, false}, {"a[2]", "a[10]", -1, false},
        {"a", "a[0].b", -1, true},   {"a.b", "a[0]", -1, false},  {"a[0]", "a[0].x", -1, true},
        {"b", "a.b", 1, false},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        bool above;
        const int order = gle_path_compare(cases[i].a, cases[i].b, &above);
        assert_int_equal((order > 0) - (order < 0), cases[i].order);
        assert_int_equal(above, cases[i].above);
    }
}

static void trees_that_say_the_same_share_a_number(void **state)
{
    struct gle_doc *one = parse("{a: [1, x], b: {c: 2, d: y}}"), *same = parse("{b: {d: y, c: 2}, a: [1, x]}");
    static const char *const others[] = {"{a: [x, 1], b: {c: 2, d: y}}", "{a: [1, x], b: {c: 2, d: z}}",
                                         "{a: [1, x], b: {d: 2, c: y}}", "{a: [1, x], b: {c: 2}}",
                                         "{a: [1, [x]], b: {c: 2, d: y}}", "{b: [1, x], a: {c: 2, d: y}}"};

    (void)state;
    assert_true(gle_node_hash(one->root) == gle_node_hash(same->root));
    for (size_t i = 0; i < LENGTH(others); i++) {
        struct gle_doc *other = parse(others[i]);
        assert_true(gle_node_hash(one->root) != gle_node_hash(other->root));
        gle_doc_destroy(other);
    }
    gle_doc_destroy(one);
    gle_doc_destroy(same);
}

static void numbers_are_compared_as_numbers(void **state)
{
    static const struct {
        const char *there, *here;
        bool same;
    } cases[] = {
        {"1e-3", "0.001", true},  {"010", "10.0", true},   {"9007199254740993", "9007199254740992", false},
        {"'1'", "1", true},       {"'1'", "1.0", false},   {"9007199254740993", "9007199254740993", true},
        {"1", "2", false},        {"yes", "true", false}, /* texts, as far as anybody knows */
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char there[64], here[64], what[100];
        struct gle_doc *a, *b;
        snprintf(there, sizeof there, "a: %s", cases[i].there);
        snprintf(here, sizeof here, "a: %s", cases[i].here);
        a = parse(there);
        b = parse(here);
        assert_int_equal(gle_node_differs(what, sizeof what, a->root, b->root, NULL), !cases[i].same);
        gle_doc_destroy(a);
        gle_doc_destroy(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_ends_of_unicode_end_no_line),
        cmocka_unit_test(pairs_of_surrogates_are_one_character),
        cmocka_unit_test(half_a_pair_is_refused),
        cmocka_unit_test(no_memory_for_a_disguise_is_said),
        cmocka_unit_test(a_syntax_error_names_what_cannot_be_seen_in_its_line),
        cmocka_unit_test(a_text_is_taken_whole),
        cmocka_unit_test(nothing_can_stand_behind_other_values),
        cmocka_unit_test(a_copy_shares_nothing),
        cmocka_unit_test(memory_for_a_copy_may_fail),
        cmocka_unit_test(places_are_found_by_path),
        cmocka_unit_test(paths_above_come_before_those_below),
        cmocka_unit_test(trees_that_say_the_same_share_a_number),
        cmocka_unit_test(numbers_are_compared_as_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
