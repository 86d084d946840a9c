/* What many runs are made from: data sets that are opened once for all runs that share them, and never for one that
 * does not. */
#include "../support/folder.h"
#include "cli/origins.h"
#include "data/data.h"
#include "yaml/node.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NETWORK "network: {input: 2, layers: [{name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}]}\n"

static const char points[] =
    "glesim: 1\nname: x\ndt: 0.1\ndataset: {type: xor, present: 0.5}\n" NETWORK
    "learning: {loss: cross_entropy}\ntraining: {epochs: 1, batch_size: 4}\n";
static const char signals[] =
    "glesim: 1\nname: x\ndt: 0.1\ndataset: {type: ornstein_uhlenbeck, tau: 1.0, sequences: 2, channels: 2}\n" NETWORK
    "teacher: {readout: {weight: [[1, 0], [0, 1]]}}\nlearning: {loss: mse}\n"
    "training: {phases: [{duration: 2}]}\n";

enum { SEEDS = 3, RUNS_MAX = 16 };

struct runs {
    struct gle_experiments lists[SEEDS];
    struct gle_seed_run of[RUNS_MAX];
    bool wanted[RUNS_MAX];
    size_t n;
};

/* All runs of three seeds, all of them wanted. */
static void load(struct runs *runs, const char *folder, const char *yaml, const char *sweep)
{
    struct gle_override override = {.path = "sweep", .value = sweep, .where = "--set sweep"};
    char path[PATH_SIZE];

    *runs = (struct runs){.n = 0};
    folder_put(folder, "x/config.yaml", yaml);
    snprintf(path, sizeof path, "%s", folder_path(folder, "x/config.yaml"));
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct gle_errors errs = {0};
        struct gle_doc *doc;
        struct gle_experiments *list = &runs->lists[seed];
        assert_int_equal(gle_doc_load(&doc, path, &errs), 0);
        if (gle_experiments_build(list, doc, &override, sweep ? 1 : 0, NULL, 0, &seed, &errs))
            fail_msg("%s", errs.item[0].text);
        gle_doc_destroy(doc);
        assert_in_range(runs->n + list->n, 1, RUNS_MAX);
        for (size_t i = 0; i < list->n; i++) {
            runs->wanted[runs->n] = true;
            runs->of[runs->n++].exp = list->item[i];
        }
    }
}

static int find(struct gle_origins *out, const struct runs *runs, struct gle_error *err)
{
    static const volatile sig_atomic_t stop = 0;
    const struct gle_options options = {.quiet = true};
    const struct gle_session_how how = {.options = &options, .threads = 2, .progress = -1, .stop = &stop};

    return gle_origins_find(out, runs->of, runs->n, runs->wanted, &how, err);
}

static void unload(struct runs *runs, struct gle_origins *origins)
{
    gle_origins_clear(origins);
    for (size_t i = 0; i < SEEDS; i++)
        gle_experiments_clear(&runs->lists[i]);
}

static void assert_right_checksum(const char *sha256, const struct gle_experiment *exp)
{
    const struct gle_data_context context = {
        .dt = exp->dt, .seed = exp->seed, .n_steps = exp->n_steps, .has_teacher = exp->has_teacher};
    struct gle_data *data;
    struct gle_error err = {0};

    assert_int_equal(gle_data_open(&data, (const struct gle_dataset *)exp->dataset.row, exp->dataset.params,
                                   exp->validation, &context, &err),
                     0);
    assert_string_equal(sha256, data->sha256);
    gle_data_close(data);
}

static void each_data_set_once(void **state)
{
    static const struct {
        const char *yaml, *sweep;
        size_t n_runs, n_origins;
    } rows[] = {
        {points, NULL, SEEDS, 1},
        {points, "{learning.beta: [1, 0.5]}", 2 * SEEDS, 1},
        {points, "{dataset.present: [0.5, 0.7]}", 2 * SEEDS, 2},
        {points, "{dataset.present: [0.5, 0.7], learning.beta: [1, 0.5]}", 4 * SEEDS, 2},
        {points, "{dt: [0.1, 0.05]}", 2 * SEEDS, 2},
        {signals, NULL, SEEDS, SEEDS}, /* such a set may read the run's seed */
        {signals, "{dataset.seed: [1, 2]}", 2 * SEEDS, 2 * SEEDS},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gle_origins origins = {0};
        struct gle_error err = {0};
        struct runs runs;
        load(&runs, *state, rows[i].yaml, rows[i].sweep);
        assert_int_equal(runs.n, rows[i].n_runs);
        if (find(&origins, &runs, &err))
            fail_msg("row %zu: %s", i, err.text);
        if (origins.n != rows[i].n_origins)
            fail_msg("row %zu: %zu origins", i, origins.n);
        for (size_t k = 0; k < runs.n; k++)
            assert_right_checksum(gle_origins_of(&origins, k)->data_sha256, runs.of[k].exp);
        unload(&runs, &origins);
    }
}

static void those_that_are_wanted(void **state)
{
    struct gle_origins origins = {0};
    struct gle_error err = {0};
    struct runs runs;

    assert_null(gle_origins_of(&origins, 0));
    load(&runs, *state, points, "{dataset.present: [0.5, 0.7]}");
    memset(runs.wanted, 0, sizeof runs.wanted);
    assert_int_equal(find(&origins, &runs, &err), 0);
    assert_int_equal(origins.n, 0);
    gle_origins_clear(&origins);
    runs.wanted[3] = true;
    assert_int_equal(find(&origins, &runs, &err), 0);
    assert_int_equal(origins.n, 1);
    assert_null(gle_origins_of(&origins, 1));
    assert_right_checksum(gle_origins_of(&origins, 3)->data_sha256, runs.of[3].exp);
    unload(&runs, &origins);
}

/* Files are read once for all runs; data sets are the same ones whatever the files. */
static void files_of_initial_values(void **state)
{
    struct gle_origins origins = {0};
    struct gle_error err = {0};
    struct runs runs;

    folder_put(*state, "x/one.npz", "1");
    folder_put(*state, "x/two.npz", "2");
    load(&runs, *state, points,
         folder_text(*state, "{'network.layers[0].weight': [{file: FOLDER/x/one.npz}, {file: FOLDER/x/two.npz}]}"));
    if (find(&origins, &runs, &err))
        fail_msg("%s", err.text);
    assert_int_equal(origins.n, 2);
    assert_int_equal(origins.item[1].data_of, 0);
    assert_string_equal(origins.item[0].inputs.data_sha256, origins.item[1].inputs.data_sha256);
    for (size_t k = 0; k < runs.n; k++) { /* sha256sum of these texts */
        const struct gle_inputs *inputs = gle_origins_of(&origins, k);
        assert_int_equal(inputs->n, 1);
        assert_string_equal(inputs->file[0].sha256,
                            k % 2 ? "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"
                                  : "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b");
    }
    unload(&runs, &origins);
}

static void what_cannot_be_opened(void **state)
{
    static const char absent[] = "glesim: 1\nname: x\ndt: 0.1\ndataset: {type: npz, file: absent.npz, present: 0.5}\n"
                                 NETWORK "learning: {loss: cross_entropy}\ntraining: {epochs: 1, batch_size: 4}\n";
    struct gle_origins origins = {0};
    struct gle_error err = {0};
    struct runs runs;
    char text[1024];

    load(&runs, *state, absent, NULL);
    assert_int_equal(find(&origins, &runs, &err), -1);
    gle_error_format(text, sizeof text, &err);
    assert_int_equal(err.code, GLE_EDATA);
    assert_non_null(strstr(text, "absent.npz: cannot read: No such file or directory (dataset, asked for at "));
    unload(&runs, &origins);
}

int main(void)
{
    static char folder[FOLDER_SIZE];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(each_data_set_once, folder_setup, folder_teardown, folder),
        cmocka_unit_test_prestate_setup_teardown(those_that_are_wanted, folder_setup, folder_teardown, folder),
        cmocka_unit_test_prestate_setup_teardown(files_of_initial_values, folder_setup, folder_teardown, folder),
        cmocka_unit_test_prestate_setup_teardown(what_cannot_be_opened, folder_setup, folder_teardown, folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
