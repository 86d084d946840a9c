#include "dataset.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

int choose(struct chosen *c, const char *name, const char *yaml, struct gle_error *err)
{
    struct gle_errors errs = {0};
    const char *key, *why;

    c->set = (const void *)gle_table_find(&gle_dataset_table, name);
    assert_non_null(c->set);
    c->params = gle_calloc(1, c->set->row.params_size);
    assert_non_null(c->params);
    assert_int_equal(gle_doc_parse(&c->doc, yaml, strlen(yaml), "test.yaml", &errs), 0);
    if (gle_decode(c->params, c->set->row.keys, c->doc, c->doc->root, &errs)) {
        *err = errs.item[0];
        return -1;
    }
    if (c->set->check && c->set->check(c->params, &key, &why))
        return gle_node_fail(err, GLE_ERANGE, c->doc->root, key, "%s", why);
    return 0;
}

void forget(struct chosen *c)
{
    gle_free(c->params);
    gle_doc_destroy(c->doc);
}

int try_open(struct gle_data **data, const char *name, const char *yaml, double validation,
             const struct gle_data_context *ctx, struct gle_error *err)
{
    struct chosen c;
    int status;

    *data = NULL;
    *err = (struct gle_error){0};
    status = choose(&c, name, yaml, err) || gle_data_open(data, c.set, c.params, validation, ctx, err);
    forget(&c);
    return status ? -1 : 0;
}

struct gle_data *open_data(const char *name, const char *yaml, double validation, const struct gle_data_context *ctx)
{
    struct gle_error err;
    struct gle_data *data;

    if (try_open(&data, name, yaml, validation, ctx, &err))
        fail_msg("%s %s: %s", name, yaml, err.text);
    return data;
}

void assert_not_opened(const char *name, const char *yaml, double validation, const struct gle_data_context *ctx,
                       enum gle_code code, const char *text)
{
    struct gle_error err;
    struct gle_data *data;

    assert_int_equal(try_open(&data, name, yaml, validation, ctx, &err), -1);
    assert_null(data);
    assert_string_equal(err.text, text);
    assert_int_equal(err.code, code);
}

const struct gle_batch *batch_of(const struct gle_data *data, enum gle_split split, const uint32_t *rows, size_t B)
{
    static struct gle_batch batch;

    batch = (struct gle_batch){.split = split, .rows = rows, .B = B, .n_steps = data->n_steps};
    return &batch;
}
