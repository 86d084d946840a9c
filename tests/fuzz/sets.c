#include "sets.h"
#include "base/memory.h"
#include "data/data.h"
#include "input.h"
#include "yaml/key.h"

#include <math.h>
#include <string.h>

static void make_all(const struct gle_data *data)
{
    const struct gle_maker *maker = &data->maker;
    float *frames = gle_floats(maker->frames_max * data->n_channels);
    void *desk = maker->open_desk(maker->state);

    if (!frames || !desk)
        fuzz_fail("no memory");
    for (int k = 0; k < GLE_SPLITS; k++)
        for (uint32_t i = 0; i < data->split[k].n; i++) {
            const uint32_t number = gle_data_number(data, (enum gle_split)k, i);
            const size_t n = maker->length(maker->state, (enum gle_split)k, number);
            if (!n || n > maker->frames_max || data->split[k].labels[i] < 0 ||
                (size_t)data->split[k].labels[i] >= data->n_targets)
                fuzz_fail("a sample of no length or class");
            maker->make(maker->state, desk, frames, (enum gle_split)k, number, i);
            for (size_t c = 0; c < n * data->n_channels; c++)
                if (!isfinite(frames[c]))
                    fuzz_fail("an input that is no number");
        }
    maker->close_desk(desk);
    gle_free(frames);
}

void fuzz_open(const char *name, const char *yaml)
{
    static const struct gle_data_context plain = {.dt = 0.1, .seed = 1};
    const struct gle_dataset *set = (const void *)gle_table_find(&gle_dataset_table, name);
    void *params = gle_calloc(1, set->row.params_size);
    struct gle_errors errs = {0};
    struct gle_error err = {0};
    struct gle_data *data;
    struct gle_doc *doc;

    if (!params || gle_doc_parse(&doc, yaml, strlen(yaml), "fuzz.yaml", &errs) ||
        gle_decode(params, set->row.keys, doc, doc->root, &errs))
        fuzz_fail("settings that are none");
    if (!gle_data_open(&data, set, params, 0.3, &plain, &err))
        make_all(data);
    else if (!err.text[0] || data)
        fuzz_fail("refused without an error, or with data");
    gle_data_close(data);
    gle_free(params);
    gle_doc_destroy(doc);
}
