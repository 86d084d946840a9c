/* What several runs of a file differ in: overrides, variants and sweeps, and what becomes of values that meet. */
#include "config/experiment.h"

#include "base/memory.h"
#include "yaml/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))
enum { SETS_MAX = 4 };

/* Lines 1 to 10 of each config. */
static const char head[] = "glesim: 1\nname: y\ndt: 0.1\ndataset: xor\nnetwork:\n  input: 2\n  layers:\n"
                           "    - {name: hidden, neurons: {count: 2, tau_m: 1, tau_r: 1}}\n"
                           "    - {name: out, neurons: {count: 2, tau_m: 1, tau_r: 1}, weight: normal}\n"
                           "training: {epochs: 0}\n";
static const char adam[] = "learning: {loss: mse, optimizer: adam}\n";

static const uint64_t five = 5;

/* The errors of a config, one a line; "" and *list if there are none. sets: "a.b=c"; ends with NULL. */
static const char *build(struct gle_experiments *list, const char *learning, const char *tail, const char *const *sets,
                         const uint64_t *seed)
{
    static char text[4096];
    char yaml[4096], paths[SETS_MAX][128], where[SETS_MAX][128];
    struct gle_override overrides[SETS_MAX];
    struct gle_errors errs = {0};
    struct gle_doc *doc;
    size_t n = 0, at = 0;

    for (; sets[n]; n++) {
        const char *equals = strchr(sets[n], '=');
        snprintf(paths[n], sizeof paths[n], "%.*s", (int)(equals - sets[n]), sets[n]);
        snprintf(where[n], sizeof where[n], "--set %s", sets[n]);
        overrides[n] = (struct gle_override){paths[n], equals + 1, where[n]};
    }
    snprintf(yaml, sizeof yaml, "%s%s%s", head, learning, tail);
    assert_int_equal(gle_doc_parse(&doc, yaml, strlen(yaml), "x.yaml", &errs), 0);
    if (!gle_experiments_build(list, doc, overrides, n, NULL, 0, seed, &errs))
        assert_int_equal(errs.n, 0);
    gle_doc_destroy(doc);
    text[0] = '\0';
    gle_errors_sort(&errs);
    for (size_t i = 0; i < errs.n; i++) {
        char line[1024];
        gle_error_format(line, sizeof line, &errs.item[i]);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", at ? "\n" : "", line);
    }
    return text;
}

static void assert_says(const struct gle_experiments *list, size_t i, const char *path, const char *wanted)
{
    const struct gle_node *node = i < list->n ? gle_node_find(list->item[i]->doc->root, path) : NULL;

    assert_non_null(node);
    assert_string_equal(node->text, wanted);
}

static void values_above_go_before_those_below(void **state)
{
    static const struct {
        const char *tail, *sets[SETS_MAX];
    } cases[] = {
        {"sweep: {learning.optimizer.lr: [0.5], learning.optimizer: [sgd]}\n", {NULL}},
        {"sweep: {learning.optimizer: [sgd], learning.optimizer.lr: [0.5]}\n", {NULL}},
        {"sweep: {learning.optimizer.lr: [0.5], learning.optimizer: [{type: sgd}]}\n", {NULL}},
        {"variants: {a: {learning.optimizer.lr: 0.5, learning.optimizer: sgd}}\n", {NULL}},
        {"variants: {a: {learning.optimizer.lr: 0.5, learning: {loss: mse, optimizer: sgd}}}\n", {NULL}},
        {"", {"learning.optimizer.lr=0.5", "learning.optimizer=sgd", NULL}},
        {"variants: {a: {learning.optimizer.lr: 0.5}}\n", {"learning.optimizer=sgd", NULL}},
        {"variants: {a: {learning.optimizer: sgd}}\n", {"learning.optimizer.lr=0.5", NULL}},
        {"sweep: {learning.optimizer: [sgd]}\n", {"learning.optimizer.lr=0.5", NULL}},
        {"sweep: {learning.optimizer.lr: [0.5]}\n", {"learning.optimizer=sgd", NULL}},
        {"variants: {a: {learning.optimizer: {type: sgd, lr: 3}}}\n", {"learning.optimizer.lr=0.5", NULL}},
        {"variants: {a: {learning.optimizer.lr: 3}}\n", {"learning.optimizer={type: sgd, lr: 0.5}", NULL}},
        {"variants: {a: {learning.optimizer.lr: 3}}\n", {"learning.optimizer.lr=0.5", "learning.optimizer=sgd", NULL}},
        {"variants: {a: {'learning.optimizer.lr': 0.5, learning.optimizer: {type: sgd, lr: 3}}}\n", {NULL}},
        {"", {"sweep={learning.optimizer.lr: [0.5], learning.optimizer: [sgd]}", NULL}},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct gle_experiments list;
        assert_string_equal(build(&list, adam, cases[i].tail, cases[i].sets, NULL), "");
        assert_says(&list, 0, "learning.optimizer.lr", "0.5");
        assert_says(&list, 0, "learning.optimizer.type", "sgd");
        gle_experiments_clear(&list);
    }
}

static void list_items_and_neurons_keep_that_order(void **state)
{
    static const char tail[] = "sweep:\n  network.layers[0].neurons.tau_r: [0.5]\n"
                               "  network.layers[0].neurons: [{count: 3, tau_m: 1, tau_r: 1}]\n"
                               "  network.layers[1]: [{name: out, neurons: {count: 2, tau_m: 1, tau_r: 1}}]\n"
                               "  network.layers[01].neurons.tau_m: [2]\n";
    static const char *const none[] = {NULL};
    struct gle_experiments list;

    (void)state;
    assert_string_equal(build(&list, adam, tail, none, NULL), "");
    assert_says(&list, 0, "network.layers[0].neurons.count", "3");
    assert_says(&list, 0, "network.layers[0].neurons.tau_r", "0.5");
    assert_says(&list, 0, "network.layers[1].neurons.tau_m", "2");
    gle_experiments_clear(&list);
}

static void a_name_alone_and_what_is_missing_become_parts(void **state)
{
    static const char *const sets[] = {"learning.optimizer.lr=0.5", "dataset.present=1",
                                       "network.layers[1].weight.std=2", NULL};
    static const char *const learnings[] = {adam, "learning: {loss: mse}\n", "learning: {loss: mse, optimizer: sgd}\n"};
    static const char *const types[] = {"adam", "adam", "sgd"};

    (void)state;
    for (size_t i = 0; i < LENGTH(types); i++) {
        struct gle_experiments list;
        assert_string_equal(build(&list, learnings[i], "", sets, NULL), "");
        assert_says(&list, 0, "learning.optimizer.lr", "0.5");
        assert_says(&list, 0, "learning.optimizer.type", types[i]);
        assert_says(&list, 0, "dataset.type", "xor");
        assert_says(&list, 0, "dataset.present", "1");
        assert_says(&list, 0, "network.layers[1].weight.init", "normal");
        assert_says(&list, 0, "network.layers[1].weight.std", "2");
        gle_experiments_clear(&list);
    }
}

static void what_cannot_be_a_name_stays_a_value(void **state)
{
    static const char *const number[] = {"network.layers[0].weight=0.5", "network.layers[0].weight.std=2", NULL};
    static const char *const none[] = {"network.layers[0].bias=none", "network.layers[0].bias.std=2", NULL};
    static const char *const twice[] = {"learning.plastic=[a, a]", NULL};
    static const char *const typo[] = {"learning.optimizer=adm", "learning.optimizer.lr=2", NULL};
    struct gle_experiments list;

    (void)state;
    assert_string_equal(build(&list, adam, "", number, NULL),
                        "--set network.layers[0].weight.std=2: network.layers[0].weight.std: "
                        "'network.layers[0].weight' is the single value '0.5': nothing can be set below it");
    assert_string_equal(build(&list, adam, "", none, NULL),
                        "--set network.layers[0].bias.std=2: network.layers[0].bias.std: "
                        "'network.layers[0].bias' is the single value 'none': nothing can be set below it");
    assert_string_equal(build(&list, adam, "", typo, NULL),
                        "--set learning.optimizer=adm: learning.optimizer.type: unknown optimizer 'adm' (did you mean "
                        "'adam'?)");
    assert_string_equal(build(&list, adam, "", twice, NULL),
                        "--set learning.plastic=[a, a]: learning.plastic[0]: unknown parameter 'a' (known: weight, "
                        "bias, tau_m, tau_r)\n"
                        "--set learning.plastic=[a, a]: learning.plastic[1]: unknown parameter 'a' (known: weight, "
                        "bias, tau_m, tau_r)");
}

static void values_that_would_be_lost_are_refused(void **state)
{
    static const struct {
        const char *tail, *sets[SETS_MAX];
        bool seeds;
        const char *wanted;
    } cases[] = {
        {"sweep:\n  learning.beta: [1, 2]\n", {"learning.beta=3", NULL}, false,
         "x.yaml:13:3: learning.beta: set here, and by --set learning.beta=3: one of the two would be lost"},
        {"", {"learning.beta=3", "learning.beta=4", NULL}, false,
         "--set learning.beta=4: learning.beta: set here, and by --set learning.beta=3: one of the two would be lost"},
        {"variants: {a: {learning.beta: 3}}\nsweep:\n  learning.beta: [1, 2]\n", {NULL}, false,
         "x.yaml:14:3: learning.beta: set here, and by the variant 'a' (line 12): one of the two would be lost"},
        {"", {"seed=4", NULL}, true,
         "--seeds: seed: set here, and by --set seed=4: one of the two would be lost"},
        {"variants:\n  a: {seed: 3}\n", {NULL}, true,
         "x.yaml:13:7: seed: set here, and by --seeds: one of the two would be lost"},
        {"sweep:\n  learning.optimizer: [{type: sgd, lr: 1}, sgd]\n", {"learning.optimizer.lr=3", NULL}, false,
         "--set learning.optimizer.lr=3: learning.optimizer.lr: set here, and within learning.optimizer by the sweep "
         "(line 13): one of the two would be lost"},
        {"sweep:\n  learning.optimizer.lr: [1, 2]\n", {"learning.optimizer={type: sgd, lr: 3}", NULL}, false,
         "x.yaml:13:3: learning.optimizer.lr: set here, and within learning.optimizer by --set learning.optimizer="
         "{type: sgd, lr: 3}: one of the two would be lost"},
        {"variants: {a: {learning.optimizer: {type: sgd, lr: 1}}}\nsweep:\n  learning.optimizer.lr: [1, 2]\n", {NULL},
         false,
         "x.yaml:14:3: learning.optimizer.lr: set here, and within learning.optimizer by the variant 'a' (line 12): "
         "one of the two would be lost"},
        {"x-a: 1\n", {"x-a=2", NULL}, false, "--set x-a=2: x-a: nothing reads keys that begin with 'x-'"},
        {"variants: {a: {x-a.b: 1}}\n", {NULL}, false,
         "x.yaml:12:16: x-a.b: nothing reads keys that begin with 'x-'"},
        {"sweep: {x-a: [1]}\n", {NULL}, false, "x.yaml:12:9: sweep.x-a: nothing reads keys that begin with 'x-'"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct gle_experiments list;
        assert_string_equal(build(&list, adam, cases[i].tail, cases[i].sets, cases[i].seeds ? &five : NULL),
                            cases[i].wanted);
        assert_int_equal(list.n, 0);
    }
}

static void the_command_has_the_last_word_over_variants(void **state)
{
    static const char *const sets[] = {"learning.beta=3", "seed=7", NULL};
    struct gle_experiments list;

    (void)state;
    assert_string_equal(build(&list, adam, "variants: {a: {learning.beta: 1, seed: 2}, b: {learning.gamma: 1}}\n", sets,
                              NULL), "");
    assert_int_equal(list.n, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_says(&list, i, "learning.beta", "3");
        assert_int_equal(list.item[i]->seed, 7);
    }
    gle_experiments_clear(&list);
    assert_string_equal(build(&list, adam, "", sets + 2, &five), "");
    assert_int_equal(list.item[0]->seed, 5);
    gle_experiments_clear(&list);
}

static void a_sweep_tells_what_its_runs_have(void **state)
{
    static const char *const none[] = {NULL};
    struct gle_experiments list;

    (void)state;
    assert_string_equal(build(&list, adam, "sweep: {learning.optimizer.lr: [0.5, 2], learning.optimizer: [sgd]}\n",
                              none, NULL), "");
    assert_int_equal(list.n, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct gle_sweep *sweep = &list.item[i]->sweep;
        assert_string_equal(sweep->label, i ? "lr=2,optimizer=sgd" : "lr=0.5,optimizer=sgd");
        assert_ptr_equal(sweep->values[0].value, gle_node_find(list.item[i]->doc->root, "learning.optimizer.lr"));
        assert_ptr_equal(sweep->values[1].value, gle_node_find(list.item[i]->doc->root, "learning.optimizer"));
    }
    gle_experiments_clear(&list);
}

static void folders_are_one_to_one_with_values(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const labels[] = {"tau_m=1", "tau_m=_1", "tau_m=2", "tau_m=_3"};
    struct gle_experiments list;

    (void)state;
    assert_string_equal(build(&list, adam, "sweep: {'network.layers[0].neurons.tau_m': [1, [1, 2], 2, [2, 1]]}\n", none,
                              NULL), "");
    assert_int_equal(list.n, LENGTH(labels));
    for (size_t i = 0; i < list.n; i++)
        assert_string_equal(list.item[i]->sweep.label, labels[i]);
    gle_experiments_clear(&list);
}

/* A place among the values is not to be taken for a value; among words, lists and maps it is none. */
static void places_are_told_from_numbers(void **state)
{
    static const char *const none[] = {NULL};
    static const struct {
        const char *values, *labels[3];
    } rows[] = {
        {"'network.layers[0].neurons.tau_m': [1, 3, [1, 2]]", {"tau_m=1", "tau_m=3", "tau_m=_2"}},
        {"'network.layers[0].neurons.tau_m': [[1, 2], [2, 1], [2, 3]]", {"tau_m=0", "tau_m=1", "tau_m=2"}},
        {"learning.optimizer: [sgd, {type: adam, lr: 0.5}, adam]", {"optimizer=sgd", "optimizer=1", "optimizer=adam"}},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct gle_experiments list;
        char yaml[256];
        snprintf(yaml, sizeof yaml, "sweep: {%s}\n", rows[i].values);
        assert_string_equal(build(&list, adam, yaml, none, NULL), "");
        assert_int_equal(list.n, LENGTH(rows[i].labels));
        for (size_t k = 0; k < list.n; k++)
            assert_string_equal(list.item[k]->sweep.label, rows[i].labels[k]);
        gle_experiments_clear(&list);
    }
}

/* Variants that an override makes one are told; those that the file itself has twice are the user's own. */
static void an_override_does_not_make_variants_one(void **state)
{
    static const char variants[] = "variants:\n  a: {learning.beta: 1}\n  b: {learning.beta: 2, description: b}\n"
                                   "  c: {learning.beta: 2, learning.gamma: 1}\n";
    static const struct {
        const char *set, *yaml, *error;
    } rows[] = {
        {"learning.beta=3", variants, ""}, /* b still has a description of its own */
        {"description=x", variants, ""},
        {"learning.beta=3", "variants:\n  a: {learning.beta: 1}\n  b: {learning.beta: 2}\n",
         "x.yaml:14:7: learning.beta: the variants 'a' and 'b' would make the same run, since learning.beta=3 has the "
         "last word over them; --variant a makes it once"},
        {"learning.beta=3", "variants:\n  a: {}\n  b: {learning.beta: 2}\n",
         "x.yaml:14:7: learning.beta: the variants 'a' and 'b' would make the same run, since learning.beta=3 has the "
         "last word over them; --variant a makes it once"},
        {"learning.beta=3", "variants:\n  a: {learning.beta: 1}\n  b: {}\n",
         "x.yaml:13:7: learning.beta: the variants 'a' and 'b' would make the same run, since learning.beta=3 has the "
         "last word over them; --variant a makes it once"},
        {"learning.optimizer=sgd",
         "variants:\n  a: {learning.optimizer: adam}\n  b: {learning.optimizer: {type: sgd, lr: 1}}\n"
         "sweep: {learning.gamma: [1, 2]}\n",
         "x.yaml:14:7: learning.optimizer: the variants 'a' and 'b' would make the same run, since "
         "learning.optimizer=sgd has the last word over them; --variant a makes it once"},
        {"learning.gamma=3", "variants:\n  a: {}\n  b: {learning.beta: 1}\n", ""}, /* 1 is the default */
        {"dt=0.05", "variants:\n  a: {learning.beta: 2}\n  b: {learning.beta: 2}\n", ""},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const char *const set[] = {rows[i].set, NULL};
        struct gle_experiments list;
        const char *error = build(&list, adam, rows[i].yaml, set, NULL);
        if (strcmp(error, rows[i].error))
            fail_msg("row %zu: %s", i, error);
        gle_experiments_clear(&list);
    }
}

static void one_run_is_not_made_twice(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const cases[][2] = {
        {"sweep:\n  learning.beta: [1, 2, 1.0]\n",
         "x.yaml:13:25: learning.beta: beta=1.0 says the same as beta=1: one run, made twice"},
        {"sweep:\n  learning.optimizer: [sgd, {type: adam, lr: 1.0e-3}, adam]\n",
         "x.yaml:13:55: learning.optimizer: optimizer=adam says the same as optimizer=1: one run, made twice"},
        {"sweep:\n  learning.beta: [1]\n  'network.layers[0].neurons.tau_m': [[2, 3], [2.0, 3]]\n",
         "x.yaml:14:47: network.layers[0].neurons.tau_m: beta=1,tau_m=1 says the same as beta=1,tau_m=0: one run, made "
         "twice"},
        {"sweep:\n  description: ['\xC3\xA4', \xC3\xB6]\n",
         "x.yaml:13:22: sweep.description[1]: '\xC3\xB6' and '\xC3\xA4' (line 13) would have the same folder, "
         "description=__"},
        {"sweep: {learning.beta: [1, 1]}\n",
         "x.yaml:12:28: sweep.learning.beta[1]: '1' is in the list already (line 12)"},
    };
    struct gle_experiments list;

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++)
        assert_string_equal(build(&list, adam, cases[i][0], none, NULL), cases[i][1]);
    assert_string_equal(build(&list, adam, "sweep: {description: [1, '1.0']}\n", none, NULL), ""); /* texts differ */
    assert_int_equal(list.n, 2);
    gle_experiments_clear(&list);
}

static void notes_at_the_top_are_passed_over(void **state)
{
    static const char *const none[] = {NULL};
    struct gle_experiments list;
    char *text;

    (void)state;
    assert_string_equal(build(&list, adam, "x-: [1, {a: b}]\nx-beta: &b 2\nvariants: {a: {learning.beta: *b}}\n", none,
                              NULL), "");
    assert_says(&list, 0, "learning.beta", "2");
    text = gle_node_text(list.item[0]->src);
    assert_null(strstr(text, "x-"));
    gle_free(text);
    gle_experiments_clear(&list);
    assert_string_equal(build(&list, "learning: {loss: mse, x-beta: 1}\n", "", none, NULL),
                        "x.yaml:11:23: learning.x-beta: unknown key 'x-beta' (did you mean 'beta'?)");
}

static void any_allocation_may_fail(void **state)
{
    static const char yaml[] = "variants: {a: {learning.optimizer: sgd}}\nsweep: {learning.gamma: [1, 2]}\n";
    bool done = false;
    size_t k = 0;

    (void)state;
    for (; !done; k++) {
        struct gle_override overrides[] = {{"learning.optimizer.lr", "0.5", "--set"},
                                           {"variants.a.dt", "0.2", "--set"}};
        struct gle_experiments list;
        struct gle_errors errs = {0};
        struct gle_doc *doc;
        char text[2048];
        snprintf(text, sizeof text, "%s%s%s", head, adam, yaml);
        assert_int_equal(gle_doc_parse(&doc, text, strlen(text), "x.yaml", &errs), 0);
        gle_memory_fail_after(k);
        done = !gle_experiments_build(&list, doc, overrides, 2, NULL, 0, &five, &errs);
        gle_memory_fail_after((size_t)-1);
        assert_int_equal(done, !errs.n);
        for (size_t i = 0; i < errs.n; i++)
            assert_int_equal(errs.item[i].code, GLE_ENOMEM);
        gle_experiments_clear(&list);
        gle_doc_destroy(doc);
    }
    assert_true(k > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_above_go_before_those_below),
        cmocka_unit_test(list_items_and_neurons_keep_that_order),
        cmocka_unit_test(a_name_alone_and_what_is_missing_become_parts),
        cmocka_unit_test(what_cannot_be_a_name_stays_a_value),
        cmocka_unit_test(values_that_would_be_lost_are_refused),
        cmocka_unit_test(the_command_has_the_last_word_over_variants),
        cmocka_unit_test(a_sweep_tells_what_its_runs_have),
        cmocka_unit_test(folders_are_one_to_one_with_values),
        cmocka_unit_test(places_are_told_from_numbers),
        cmocka_unit_test(an_override_does_not_make_variants_one),
        cmocka_unit_test(one_run_is_not_made_twice),
        cmocka_unit_test(notes_at_the_top_are_passed_over),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
