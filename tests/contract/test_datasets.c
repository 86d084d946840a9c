/* Every row of gle_datasets, whatever it is. */
#include "base/memory.h"
#include "data/data.h"
#include "yaml/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct gle_data_context context = {.dt = 0.2, .seed = 1};

static void assert_keys_explained(const struct gle_key *keys)
{
    for (const struct gle_key *key = keys; key->name; key++) {
        assert_non_null(key->help);
        assert_true(strlen(key->help) > 0);
        assert_non_null(key->unit);
        assert_true(key->low <= key->high);
        if (key->kind == GLE_KEY_KIND_MAP)
            assert_keys_explained(key->more);
        if (key->kind == GLE_KEY_KIND_CUSTOM && ((const struct gle_custom *)key->more)->keys)
            assert_keys_explained(((const struct gle_custom *)key->more)->keys);
    }
}

static void every_data_set_and_key_is_explained(void **state)
{
    (void)state;
    for (const struct gle_dataset *set = gle_datasets; set->row.name; set++) {
        assert_true(strlen(set->row.help) > 0);
        assert_non_null(set->row.keys);
        assert_keys_explained(set->row.keys);
        assert_ptr_equal(gle_table_find(&gle_dataset_table, set->row.name), &set->row);
    }
}

static void only_pending_data_sets_cannot_be_opened(void **state)
{
    (void)state;
    for (const struct gle_dataset *set = gle_datasets; set->row.name; set++) {
        struct gle_error err = {0};
        struct gle_data *data;
        char want[128];
        assert_int_equal(set->row.pending, !set->open);
        if (!set->row.pending)
            continue;
        snprintf(want, sizeof want, "the data set '%s' is not built yet in this version", set->row.name);
        assert_int_equal(gle_data_open(&data, set, NULL, 0.0, &context, &err), -1);
        assert_null(data);
        assert_int_equal(err.code, GLE_EPENDING);
        assert_string_equal(err.text, want);
    }
}

static int has_required_key(const struct gle_key *keys)
{
    for (const struct gle_key *key = keys; key->name; key++)
        if (!key->fallback)
            return 1;
    return 0;
}

/* Settings as an empty map in a config gives them; live as long as doc. */
static void *defaults(struct gle_doc **doc, const struct gle_dataset *set)
{
    struct gle_errors errs = {0};
    void *params;

    assert_int_equal(gle_doc_parse(doc, "{}", 2, "test.yaml", &errs), 0);
    params = gle_calloc(1, set->row.params_size);
    assert_non_null(params);
    if (gle_decode(params, set->row.keys, *doc, (*doc)->root, &errs))
        fail_msg("%s: %s: %s", set->row.name, errs.item[0].path, errs.item[0].text);
    return params;
}

static void defaults_pass_the_check(void **state)
{
    (void)state;
    for (const struct gle_dataset *set = gle_datasets; set->row.name; set++) {
        const char *key = NULL, *why = NULL;
        struct gle_doc *doc;
        void *params;
        if (has_required_key(set->row.keys))
            continue;
        params = defaults(&doc, set);
        if (set->check && set->check(params, &key, &why))
            fail_msg("%s: %s %s", set->row.name, key, why);
        gle_free(params);
        gle_doc_destroy(doc);
    }
}

static void assert_whole(const struct gle_data *data)
{
    assert_true(data->n_steps > 0 && data->n_channels > 0 && data->n_targets > 0);
    assert_true(data->split[GLE_TRAIN].n > 0);
    for (int i = 0; i < GLE_SPLITS; i++) {
        const struct gle_samples *s = &data->split[i];
        if (!s->n)
            continue;
        assert_non_null(s->x);
        assert_int_equal(s->labels != NULL, data->labelled);
        assert_int_equal(s->targets != NULL, !data->labelled);
        for (size_t k = 0; s->labels && k < s->n; k++)
            assert_true(s->labels[k] >= 0 && (size_t)s->labels[k] < data->n_targets);
    }
}

static void the_same_settings_give_the_same_data(void **state)
{
    (void)state;
    for (const struct gle_dataset *set = gle_datasets; set->row.name; set++) {
        struct gle_error err = {0};
        struct gle_data *first, *second;
        struct gle_doc *doc;
        void *params;
        if (set->row.pending || has_required_key(set->row.keys))
            continue;
        params = defaults(&doc, set);
        assert_int_equal(gle_data_open(&first, set, params, 0.0, &context, &err), 0);
        assert_int_equal(gle_data_open(&second, set, params, 0.0, &context, &err), 0);
        assert_whole(first);
        assert_int_equal(strlen(first->sha256), 64);
        assert_string_equal(first->sha256, second->sha256);
        gle_data_close(first);
        gle_data_close(second);
        gle_free(params);
        gle_doc_destroy(doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_data_set_and_key_is_explained),
        cmocka_unit_test(only_pending_data_sets_cannot_be_opened),
        cmocka_unit_test(defaults_pass_the_check),
        cmocka_unit_test(the_same_settings_give_the_same_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
