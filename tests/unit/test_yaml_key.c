#include "base/memory.h"
#include "yaml/key.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct adam {
    double lr, beta;
};
static const struct gle_key adam_keys[] = {GLE_KEY_REAL(struct adam, lr, "1e-3", 1e-9, 1.0, "", "step size"),
                                           GLE_KEY_REAL(struct adam, beta, "0.9", 0.0, 1.0, "", "memory"), GLE_KEY_END};
static const struct gle_row optimizer_rows[] = {{"adam", "Adam", adam_keys, sizeof(struct adam)},
                                                {"sgd", "plain descent", NULL, 0},
                                                {NULL, NULL, NULL, 0}};
static const struct gle_table optimizers = {"optimizer", optimizer_rows, sizeof *optimizer_rows};

/* A table whose rows hold more than the common part. */
struct act {
    struct gle_row row;
    double slope;
};
static const struct act act_rows[] = {{{"linear", "", NULL, 0}, 1.0},
                                      {{"relu", "", NULL, 0}, 1.0},
                                      {{"tanh", "", NULL, 0}, 1.0},
                                      {{"softplus", "", NULL, 0}, 0.5},
                                      {{NULL, NULL, NULL, 0}, 0.0}};
static const struct gle_table acts = {"activation", act_rows, sizeof *act_rows};

struct inner {
    uint64_t epochs;
    bool carry;
};
static const struct gle_key inner_keys[] = {
    GLE_KEY_COUNT(struct inner, epochs, NULL, 1, 1000, "", "rounds of training"),
    GLE_KEY_BOOL(struct inner, carry, "true", "keep the state"), GLE_KEY_END};

/* Takes a list, or null for none. */
static int decode_length(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    uint64_t *length = field;

    (void)doc;
    if (node->kind == GLE_NODE_MAP)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "a list is wanted");
    *length = node->n_items;
    return 0;
}
static const struct gle_custom length_custom = {decode_length, "list of anything", NULL};

struct outer {
    double dt, limit;
    uint64_t seed;
    bool learn;
    const char *name, *path;
    struct gle_reals omega;
    struct gle_texts plastic;
    const struct gle_row *act;
    struct gle_part optimizer, spare;
    struct inner training;
    uint64_t layers;
};
static const struct gle_key outer_keys[] = {
    GLE_KEY_REAL(struct outer, dt, "0.5", 1e-6, 1.0, "time", "step"),
    GLE_KEY_REAL(struct outer, limit, ".inf", 0.0, INFINITY, "", "upper limit"),
    GLE_KEY_COUNT(struct outer, seed, "0", 0, 18446744073709551615.0, "", "seed"),
    GLE_KEY_BOOL(struct outer, learn, "false", "learn"),
    GLE_KEY_TEXT(struct outer, name, "none", "name"),
    GLE_KEY_PATH(struct outer, path, GLE_ABSENT, "a file"),
    GLE_KEY_REALS(struct outer, omega, "[1, 0.5]", 0.0, 2.0, "", "frequencies"),
    GLE_KEY_TEXTS(struct outer, plastic, "[weight, bias]", "what learns"),
    GLE_KEY_NAME(struct outer, act, "tanh", &acts, "activation"),
    GLE_KEY_PART(struct outer, optimizer, "adam", &optimizers, "optimizer"),
    GLE_KEY_PART(struct outer, spare, GLE_ABSENT, &optimizers, "another"),
    GLE_KEY_MAP(struct outer, training, "{epochs: 3}", inner_keys, "how long"),
    GLE_KEY_CUSTOM(struct outer, layers, "[]", &length_custom, "layers"),
    GLE_KEY_END,
};

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

static struct gle_doc *parse(const char *yaml, const char *name)
{
    struct gle_errors errs = {0};
    struct gle_doc *doc;

    assert_int_equal(gle_doc_parse(&doc, yaml, strlen(yaml), name, &errs), 0);
    return doc;
}

/* The decoded struct; *doc owns what it points to. */
static struct outer decode(struct gle_doc **doc, const char *yaml)
{
    struct outer out = {0};
    struct gle_errors errs = {0};
    int rc;

    *doc = parse(yaml, "/dir/x.yaml");
    rc = gle_decode(&out, outer_keys, *doc, (*doc)->root, &errs);
    if (rc)
        print_message("%s\n", all_errors(&errs));
    assert_int_equal(rc, 0);
    assert_int_equal(errs.n, 0);
    return out;
}

static void expect_refused(const char *yaml, const char *wanted)
{
    struct gle_doc *doc = parse(yaml, "x.yaml");
    struct outer out = {0};
    struct gle_errors errs = {0};

    assert_int_equal(gle_decode(&out, outer_keys, doc, doc->root, &errs), -1);
    assert_string_equal(all_errors(&errs), wanted);
    gle_doc_destroy(doc);
}

static void an_empty_map_becomes_the_defaults(void **state)
{
    struct gle_doc *doc;
    const struct outer out = decode(&doc, "{}");
    const struct adam *adam = out.optimizer.params;
    char *text = gle_node_text(doc->root);

    (void)state;
    assert_true(out.dt == 0.5 && isinf(out.limit) && out.seed == 0 && !out.learn);
    assert_string_equal(out.name, "none");
    assert_null(out.path);
    assert_true(out.omega.is_list && out.omega.n == 2 && out.omega.v[1] == 0.5);
    assert_int_equal(out.plastic.n, 2);
    assert_string_equal(out.plastic.v[1], "bias");
    assert_ptr_equal(out.act, &act_rows[2].row);
    assert_ptr_equal(out.optimizer.row, &optimizer_rows[0]);
    assert_true(adam->lr == 1e-3 && adam->beta == 0.9);
    assert_null(out.spare.row);
    assert_true(out.training.epochs == 3 && out.training.carry);
    assert_string_equal(
        text, "dt: 0.5\nlimit: .inf\nseed: 0\nlearn: false\nname: none\nomega: [1, 0.5]\nplastic: [weight, bias]\n"
              "act: tanh\noptimizer:\n  type: adam\n  lr: 1.0e-3\n  beta: 0.9\ntraining:\n  epochs: 3\n"
              "  carry: true\nlayers: []\n");
    gle_free(text);
    gle_doc_destroy(doc);
}

static void the_resolved_config_resolves_to_itself(void **state)
{
    struct gle_doc *first, *second;
    char *once, *twice;

    (void)state;
    decode(
        &first,
        "{name: '1', path: a/b, seed: 1e3, optimizer: {lr: 0.1, type: adam}, spare: sgd, omega: 2, layers: [1, [2]]}");
    once = gle_node_text(first->root);
    decode(&second, once);
    twice = gle_node_text(second->root);
    assert_string_equal(once, twice);
    gle_free(once);
    gle_free(twice);
    gle_doc_destroy(first);
    gle_doc_destroy(second);
}

static void defaults_stand_at_the_map_that_lacks_them(void **state)
{
    struct gle_doc *doc;
    const struct outer out = decode(&doc, "seed: 1\ntraining:\n  epochs: 2\n");
    const struct gle_node *carry = gle_node_get(gle_node_get(doc->root, "training"), "carry");

    (void)state;
    assert_int_equal(carry->line, 3);
    assert_int_equal(carry->column, 3);
    assert_string_equal(carry->file, "/dir/x.yaml");
    assert_int_equal(out.optimizer.src->line, 1);
    gle_doc_destroy(doc);
}

static void a_scalar_gets_its_kind_from_the_key(void **state)
{
    struct gle_doc *doc;
    const struct outer out =
        decode(&doc, "{dt: 1e-3, seed: 18446744073709551615, learn: true, name: yes, omega: 0.25, plastic: [1, true]}");
    const struct gle_node *root = doc->root;

    (void)state;
    assert_true(out.dt == 1e-3 && out.seed == UINT64_MAX && out.learn);
    assert_string_equal(out.name, "yes");
    assert_string_equal(out.plastic.v[0], "1");
    assert_true(!out.omega.is_list && out.omega.n == 1 && out.omega.v[0] == 0.25);
    assert_ptr_equal(out.omega.src, gle_node_get(root, "omega"));
    assert_ptr_equal(out.plastic.src, gle_node_get(root, "plastic"));
    assert_int_equal(gle_node_get(root, "dt")->as, GLE_SCALAR_NUMBER);
    assert_true(gle_node_get(root, "dt")->number == 1e-3);
    assert_int_equal(gle_node_get(root, "seed")->as, GLE_SCALAR_NUMBER);
    assert_int_equal(gle_node_get(root, "omega")->as, GLE_SCALAR_NUMBER);
    assert_int_equal(gle_node_get(root, "learn")->as, GLE_SCALAR_BOOL);
    assert_int_equal(gle_node_get(root, "name")->as, GLE_SCALAR_TEXT);
    assert_int_equal(gle_node_get(root, "plastic")->items[0]->as, GLE_SCALAR_TEXT);
    assert_int_equal(gle_node_get(root, "act")->as, GLE_SCALAR_TEXT);
    gle_doc_destroy(doc);
}

static void numbers_in_other_forms_are_refused(void **state)
{
    (void)state;
    expect_refused("dt: '0.1'\nseed: \"1\"\nlimit: 1e-3x\nomega: [1, b, '1', [1], ~]\n",
                   "x.yaml:1:5: dt: a number is wanted, '0.1' in quotes is text\n"
                   "x.yaml:3:8: limit: a number is wanted, not '1e-3x'\n"
                   "x.yaml:2:7: seed: a whole number is wanted, '1' in quotes is text\n"
                   "x.yaml:4:12: omega[1]: a number is wanted, not 'b'\n"
                   "x.yaml:4:15: omega[2]: a number is wanted, '1' in quotes is text\n"
                   "x.yaml:4:20: omega[3]: a number is wanted, not a list\n"
                   "x.yaml:4:25: omega[4]: has no value");
    expect_refused("dt: [1]\nlimit: {a: 1}\nseed: [1]\nomega: {a: 1}\n",
                   "x.yaml:1:5: dt: a number is wanted, not a list\n"
                   "x.yaml:2:8: limit: a number is wanted, not a map\n"
                   "x.yaml:3:7: seed: a whole number is wanted, not a list\n"
                   "x.yaml:4:8: omega: a number or a list of numbers is wanted, not a map");
}

static void numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    expect_refused("dt: 0\nlimit: -.inf\nomega: [3, -1, .inf, 2]\n",
                   "x.yaml:1:5: dt: 0 is not positive\n"
                   "x.yaml:2:8: limit: -.inf is below the smallest allowed value 0\n"
                   "x.yaml:3:9: omega[0]: 3 is above the largest allowed value 2\n"
                   "x.yaml:3:12: omega[1]: -1 is below the smallest allowed value 0\n"
                   "x.yaml:3:16: omega[2]: .inf is above the largest allowed value 2");
    expect_refused("dt: .nan\nlimit: 1e999\n", "x.yaml:1:5: dt: NaN is not a number that can be used here\n"
                                               "x.yaml:2:8: limit: 1e999 is too large for a number");
}

static void both_ends_of_a_range_are_allowed(void **state)
{
    struct gle_doc *doc;
    const struct outer out = decode(&doc, "{omega: [0, 2.0], dt: 1e-6, limit: .inf, training: {epochs: 1}}");

    (void)state;
    assert_true(out.omega.v[0] == 0.0 && out.omega.v[1] == 2.0 && out.dt == 1e-6 && isinf(out.limit));
    gle_doc_destroy(doc);
}

static void counts_are_whole_numbers(void **state)
{
    struct gle_doc *doc;
    const struct outer out = decode(&doc, "{seed: 1e3, training: {epochs: 100.0}}");

    (void)state;
    assert_true(out.seed == 1000 && out.training.epochs == 100);
    gle_doc_destroy(doc);
    expect_refused("seed: -3\n", "x.yaml:1:7: seed: -3 is negative; a whole number from 0 on is wanted");
    expect_refused("seed: 2.5\n", "x.yaml:1:7: seed: 2.5 is not a whole number");
    expect_refused("seed: 1e-3\n", "x.yaml:1:7: seed: 1e-3 is not a whole number");
    expect_refused("seed: 1e30\n", "x.yaml:1:7: seed: 1e30 is too large for a whole number");
    expect_refused("seed: .inf\n", "x.yaml:1:7: seed: .inf is too large for a whole number");
    expect_refused("seed: .nan\n", "x.yaml:1:7: seed: NaN is not a number that can be used here");
    expect_refused("seed: many\n", "x.yaml:1:7: seed: a whole number is wanted, not 'many'");
    expect_refused("training: {epochs: 0}\n", "x.yaml:1:20: training.epochs: 0 is below the smallest allowed value 1");
}

static void bools_are_true_or_false(void **state)
{
    (void)state;
    expect_refused("learn: 1\n", "x.yaml:1:8: learn: true or false is wanted, not '1'");
    expect_refused("learn: maybe\n", "x.yaml:1:8: learn: true or false is wanted, not 'maybe'");
    expect_refused("learn: 'true'\n", "x.yaml:1:8: learn: true or false is wanted, 'true' in quotes is text");
    expect_refused("learn: [true]\n", "x.yaml:1:8: learn: true or false is wanted, not a list");
}

static void a_key_without_a_value_is_refused(void **state)
{
    static const char *const names[] = {"dt",      "seed", "learn",     "name",  "path",    "omega",
                                        "plastic", "act",  "optimizer", "spare", "training"};
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t k = 0; k < sizeof nulls / sizeof *nulls; k++) {
            char yaml[64], wanted[64];
            snprintf(yaml, sizeof yaml, "%s: %s\n", names[i], nulls[k]);
            snprintf(wanted, sizeof wanted, "x.yaml:1:%zu: %s: has no value", strlen(names[i]) + (*nulls[k] ? 3 : 2),
                     names[i]);
            expect_refused(yaml, wanted);
        }
}

static void a_custom_decoder_decides_about_null_itself(void **state)
{
    struct gle_doc *doc;
    const struct outer out = decode(&doc, "layers:\n");

    (void)state;
    assert_int_equal(out.layers, 0);
    gle_doc_destroy(doc);
    expect_refused("layers: {}\n", "x.yaml:1:9: layers: a list is wanted");
}

static void texts_may_look_like_anything_but_lists(void **state)
{
    struct gle_doc *doc;
    const struct outer out = decode(&doc, "{name: 'null', plastic: ['~', '']}");

    (void)state;
    assert_string_equal(out.name, "null");
    assert_string_equal(out.plastic.v[1], "");
    gle_doc_destroy(doc);
    expect_refused("name: [a]\n", "x.yaml:1:7: name: a text is wanted, not a list");
    expect_refused("plastic: weight\n", "x.yaml:1:10: plastic: a list, as in [a, b], is wanted, not 'weight'");
    expect_refused("plastic: [a, {b: c}]\n", "x.yaml:1:14: plastic[1]: a text is wanted, not a map");
}

static void unknown_keys_are_reported_with_a_suggestion(void **state)
{
    (void)state;
    expect_refused(
        "sead: 1\ntraining: {epochs: 1, cary: true}\nxyz: 1\noptimizer: {type: adam, rl: 1}\n",
        "x.yaml:1:1: sead: unknown key 'sead' (did you mean 'seed'?)\n"
        "x.yaml:3:1: xyz: unknown key 'xyz' (known here: dt, limit, seed, learn, name, path, omega, plastic, act, "
        "optimizer, spare, training, ...)\n"
        "x.yaml:4:25: optimizer.rl: unknown key 'rl' (did you mean 'lr'?)\n"
        "x.yaml:2:23: training.cary: unknown key 'cary' (did you mean 'carry'?)");
    expect_refused("optimizer: {type: sgd, rate: 1}\n",
                   "x.yaml:1:24: optimizer.rate: unknown key 'rate' (known here: type)");
    expect_refused("training: {epochs: 1, xyz: 1}\n",
                   "x.yaml:1:23: training.xyz: unknown key 'xyz' (known here: epochs, carry)");
}

static void a_missing_key_is_reported_at_its_map(void **state)
{
    (void)state;
    expect_refused("dt: 2\ntraining: {carry: false}\n",
                   "x.yaml:1:5: dt: 2 is above the largest allowed value 1\n"
                   "x.yaml:2:11: training: needs the key 'epochs' (rounds of training)");
    expect_refused("training: 3\n", "x.yaml:1:11: training: a map (key: value) is wanted, not '3'");
    expect_refused("training: [3]\n", "x.yaml:1:11: training: a map (key: value) is wanted, not a list");
}

static void unknown_names_are_reported_with_a_suggestion(void **state)
{
    (void)state;
    expect_refused("act: tahn\n", "x.yaml:1:6: act: unknown activation 'tahn' (did you mean 'tanh'?)");
    expect_refused("act: xyz\n", "x.yaml:1:6: act: unknown activation 'xyz' (known: linear, relu, tanh, softplus)");
    expect_refused("act: [tanh]\n", "x.yaml:1:6: act: a name is wanted, not a list");
    expect_refused("optimizer: adm\n", "x.yaml:1:12: optimizer: unknown optimizer 'adm' (did you mean 'adam'?)");
    expect_refused("optimizer: {type: newton}\n",
                   "x.yaml:1:19: optimizer.type: unknown optimizer 'newton' (known: adam, sgd)");
}

static void a_part_is_a_name_or_a_map_with_its_type(void **state)
{
    struct gle_doc *doc;
    const struct outer out = decode(&doc, "optimizer: {lr: 0.25, type: adam}\nspare: 'sgd'\n");
    const struct adam *adam = out.optimizer.params;
    const struct gle_node *type;

    (void)state;
    assert_true(adam->lr == 0.25 && adam->beta == 0.9);
    assert_ptr_equal(out.spare.row, &optimizer_rows[1]);
    assert_null(out.spare.params);
    assert_ptr_equal(out.spare.src, gle_node_get(doc->root, "spare"));
    assert_int_equal(out.spare.src->kind, GLE_NODE_MAP);
    type = gle_node_get(out.spare.src, "type");
    assert_string_equal(type->text, "sgd");
    assert_int_equal(type->line, 2);
    assert_int_equal(type->column, 8);
    gle_doc_destroy(doc);
    expect_refused("optimizer: {lr: 0.1}\n", "x.yaml:1:12: optimizer: needs the key 'type' (one of: adam, sgd)");
    expect_refused("optimizer: {type: [adam]}\n", "x.yaml:1:19: optimizer.type: a name is wanted, not a list");
    expect_refused("optimizer: [adam]\n", "x.yaml:1:12: optimizer: a name or a map with a type is wanted, not a list");
    expect_refused("optimizer: {type: adam, lr: 2}\n",
                   "x.yaml:1:29: optimizer.lr: 2 is above the largest allowed value 1");
}

static void a_part_of_known_type_needs_no_name(void **state)
{
    struct gle_doc *doc = parse("{lr: 0.5, kind: x}", "x.yaml");
    struct gle_errors errs = {0};
    struct gle_part part;

    (void)state;
    assert_int_equal(gle_decode_part(&part, &optimizer_rows[0], "kind", doc, doc->root, &errs), 0);
    assert_true(((const struct adam *)part.params)->lr == 0.5);
    assert_int_equal(gle_decode_part(&part, &optimizer_rows[0], NULL, doc, doc->root, &errs), -1);
    assert_string_equal(all_errors(&errs), "x.yaml:1:11: kind: unknown key 'kind' (known here: lr, beta)");
    gle_doc_destroy(doc);
}

/* A path in the config `file`, or, if `command`, from the command line: where it leads, and what the config says. */
static void expect_path(const char *file, bool command, const char *path, const char *wanted, const char *text)
{
    char yaml[256];
    struct gle_doc *doc;
    struct gle_errors errs = {0};
    struct outer out = {0};
    struct gle_node *node;

    snprintf(yaml, sizeof yaml, command ? "{}" : "path: %s", path);
    doc = parse(yaml, file);
    if (command) {
        assert_int_equal(gle_node_parse(&node, doc, path, "--set path=/a/c", &errs), 0);
        assert_int_equal(gle_node_set(doc, "path", node, &errs), 0);
    }
    assert_int_equal(gle_decode(&out, outer_keys, doc, doc->root, &errs), 0);
    assert_string_equal(out.path, wanted);
    assert_string_equal(gle_node_get(doc->root, "path")->absolute, wanted);
    assert_string_equal(gle_node_get(doc->root, "path")->text, text);
    gle_doc_destroy(doc);
}

static void paths_are_relative_to_their_file(void **state)
{
    char cwd[1024], wanted[1100];

    (void)state;
    assert_non_null(getcwd(cwd, sizeof cwd));
    expect_path("/a/b/x.yaml", false, "c", "/a/b/c", "c");
    expect_path("/a/b/x.yaml", false, "../../d/./e//f/", "/d/e/f", "../../d/e/f");
    expect_path("/a/b/x.yaml", false, "../../../..", "/", "../..");
    expect_path("/a/b/x.yaml", false, "..", "/a", "..");
    expect_path("/a/b/x.yaml", false, ".", "/a/b", ".");
    expect_path("/a/b/x.yaml", false, "../bc", "/a/bc", "../bc");
    expect_path("/a/b/x.yaml", false, "'/abs/../path'", "/path", "/path");
    expect_path("/x.yaml", false, "c..d", "/c..d", "c..d");
    snprintf(wanted, sizeof wanted, "%s/c", cwd);
    expect_path("x.yaml", false, "c", wanted, "c");
    expect_path("dir/x.yaml", false, "../c", wanted, "../c");
    expect_path("dir/x.yaml", true, "c", wanted, "../c");
    expect_path("x.yaml", true, "c", wanted, "c");
    expect_path("x.yaml", true, "/c", "/c", "/c");
    expect_refused("path: ''\n", "x.yaml:1:7: path: has no value");
    expect_refused("path: [a]\n", "x.yaml:1:7: path: a path is wanted, not a list");
}

/* Decodes with `spare` bytes left and no more to be had; true if that was enough. */
static bool decodes_in(size_t spare)
{
    enum { UNIT = 16, CHUNK_BYTES = 1 << 16 };
    struct gle_doc *doc = parse("{name: a, path: b, omega: [1, 2], spare: sgd, layers: [1]}", "x.yaml");
    struct gle_errors errs = {0};
    struct outer out = {0};
    int rc;

    assert_non_null(gle_arena_alloc(doc->arena, CHUNK_BYTES - spare - UNIT, 1)); /* too large for the chunk in use */
    gle_memory_fail_after(0);
    rc = gle_decode(&out, outer_keys, doc, doc->root, &errs);
    gle_memory_fail_after((size_t)-1);
    assert_true((rc == 0) == (errs.n == 0));
    for (size_t i = 0; i < errs.n; i++)
        assert_int_equal(errs.item[i].code, GLE_ENOMEM);
    gle_doc_destroy(doc);
    return rc == 0;
}

static void every_failed_allocation_is_an_error(void **state)
{
    size_t spare = 0;

    (void)state;
    while (!decodes_in(spare))
        spare += 16;
    assert_in_range(spare, 1000, 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_becomes_the_defaults),
        cmocka_unit_test(the_resolved_config_resolves_to_itself),
        cmocka_unit_test(defaults_stand_at_the_map_that_lacks_them),
        cmocka_unit_test(a_scalar_gets_its_kind_from_the_key),
        cmocka_unit_test(numbers_in_other_forms_are_refused),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(both_ends_of_a_range_are_allowed),
        cmocka_unit_test(counts_are_whole_numbers),
        cmocka_unit_test(bools_are_true_or_false),
        cmocka_unit_test(a_key_without_a_value_is_refused),
        cmocka_unit_test(a_custom_decoder_decides_about_null_itself),
        cmocka_unit_test(texts_may_look_like_anything_but_lists),
        cmocka_unit_test(unknown_keys_are_reported_with_a_suggestion),
        cmocka_unit_test(a_missing_key_is_reported_at_its_map),
        cmocka_unit_test(unknown_names_are_reported_with_a_suggestion),
        cmocka_unit_test(a_part_is_a_name_or_a_map_with_its_type),
        cmocka_unit_test(a_part_of_known_type_needs_no_name),
        cmocka_unit_test(paths_are_relative_to_their_file),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
