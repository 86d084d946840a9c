/* A whole run as the command makes it, from config to report, with the k-th allocation and all later ones failing: for
 * k = 0, 1, 2, ... until there are enough. Under the sanitizers nothing may be lost on the way. */
#include "../support/folder.h"
#include "base/memory.h"
#include "config/experiment.h"
#include "report/recording.h"
#include "report/report.h"
#include "report/summary.h"
#include "train/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { RATE = 4000, SPEAKERS = 8, LENGTH = 1200 };

static char folder[FOLDER_SIZE];

/* What main.c holds of a run. */
struct session {
    struct gle_data *data;
    struct gle_graph *graph;
    struct gle_net *net;
    struct gle_metrics metrics;
    struct gle_report report;
    struct gle_provenance provenance;
    struct gle_recorder *recorder; /* NULL: none */
};

static int on_stage(void *ctx, const struct gle_metrics *metrics, struct gle_error *err)
{
    struct session *s = ctx;

    return gle_report_write(&s->report, metrics, s->net, err);
}

static int on_moment(void *ctx, const struct gle_moment *moment, struct gle_error *err)
{
    return gle_recorder_moment(((struct session *)ctx)->recorder, moment, err);
}

static int on_window(void *ctx, const struct gle_closed_window *window, struct gle_error *err)
{
    return gle_recorder_window(((struct session *)ctx)->recorder, window, err);
}

static int build(struct session *s, const struct gle_experiment *exp, struct gle_error *err)
{
    const struct gle_data_context context = {
        .dt = exp->dt, .seed = exp->seed, .n_steps = exp->n_steps, .has_teacher = exp->has_teacher, .n_threads = 2};
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    struct gle_graph_options options;

    if (gle_data_open(&s->data, set, exp->dataset.params, exp->validation, &context, err) ||
        gle_train_check(exp, s->data, err))
        return -1;
    options = gle_train_options(exp, s->data);
    return gle_graph_build(&s->graph, exp, &options, err) || gle_net_build(&s->net, s->graph, 2, err) ||
                   gle_metrics_init(&s->metrics, exp, s->data, err)
               ? -1
               : 0;
}

static int train(struct session *s, const struct gle_experiment *exp, struct gle_error *err)
{
    const bool records = exp->record.every > 0;
    const struct gle_observer observer = {
        .ctx = s, .stage = on_stage, .moment = records ? on_moment : NULL, .window = records ? on_window : NULL};
    char path[GLE_REPORT_PATH], spool[GLE_REPORT_PATH];
    struct gle_recorder *recorder;

    gle_provenance_collect(&s->provenance, "test");
    s->report.exp = exp;
    s->report.graph = s->graph;
    s->report.data = s->data;
    s->report.provenance = &s->provenance;
    if (gle_report_dir(s->report.dir, sizeof s->report.dir, folder_path(folder, "out"), exp, err) ||
        gle_report_begin(&s->report, GLE_START_REPLACE, err))
        return -1;
    gle_report_path(path, &s->report, GLE_FILE_RECORDING);
    gle_report_path(spool, &s->report, GLE_FILE_RECORDS);
    if ((records && gle_recorder_open(&s->recorder, path, spool, s->graph, err)) ||
        gle_train(&s->metrics, s->net, s->graph, s->data, &observer, NULL, err))
        return -1;
    recorder = s->recorder;
    s->recorder = NULL;
    if (recorder && gle_recorder_close(recorder, err))
        return -1;
    return gle_report_write(&s->report, &s->metrics, s->net, err);
}

static int run(const struct gle_experiment *exp, struct gle_error *err)
{
    struct session s = {.report = {.lock = -1}};
    const int rc = build(&s, exp, err) || train(&s, exp, err) ? -1 : 0;

    gle_recorder_discard(s.recorder);
    gle_report_release(&s.report);
    gle_provenance_clear(&s.provenance);
    gle_metrics_clear(&s.metrics);
    gle_net_destroy(s.net);
    gle_graph_destroy(s.graph);
    gle_data_close(s.data);
    return rc;
}

/* All runs of the file, and their summary. Returns whether k allocations were enough. */
static bool runs_with(const char *path, size_t k)
{
    struct gle_experiments list;
    struct gle_errors errs = {0};
    struct gle_error err = {0};
    struct gle_seed_run ended = {0};
    int rc;

    gle_memory_fail_after(k);
    rc = gle_experiments_load(&list, path, NULL, 0, NULL, 0, &errs);
    for (size_t i = 0; i < list.n && !rc; i++) {
        rc = run(list.item[i], &err);
        ended.exp = list.item[i];
        if (!rc)
            rc = gle_report_dir(ended.dir, sizeof ended.dir, folder_path(folder, "out"), list.item[i], &err) ||
                 gle_summary_write(folder_path(folder, "out"), &ended, 1, &err);
    }
    gle_memory_fail_after((size_t)-1);
    gle_experiments_clear(&list);
    if (errs.n)
        err = errs.item[0];
    if (rc && err.code != GLE_ENOMEM)
        fail_msg("allocation %zu: code %d, %s", k, (int)err.code, err.text);
    return !rc;
}

/* Most of a run's thousands of allocations are those of its report, many times over: `stride` passes over some. */
static void assert_survived(const char *yaml, size_t stride)
{
    char path[PATH_SIZE];
    size_t k = 0;

    folder_put(folder, "run/config.yaml", yaml);
    snprintf(path, sizeof path, "%s", folder_path(folder, "run/config.yaml"));
    while (!runs_with(path, k)) {
        k += k < 300 ? 1 : stride;
        assert_in_range(k, 0, 100000);
    }
    assert_in_range(k, 300, 100000);
}

static void epochs_and_a_sweep(void **state)
{
    (void)state;
    assert_survived("glesim: 1\nname: whole\nseed: 3\ndt: 0.1\ndataset: {type: xor, present: 0.7, repeat: 2}\n"
                    "network: {input: 2, layers: [\n"
                    "  {name: hidden, neurons: {count: 4, tau_m: 1.0, tau_r: 0.5}, activation: tanh},\n"
                    "  {name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}]}\n"
                    "learning: {loss: cross_entropy, schedule: {type: step, every: 1}}\n"
                    "training: {epochs: 1, batch_size: 4, validation: 0.25}\n"
                    "record: {every: 3, variables: [u, e], parameters: [weight]}\n"
                    "sweep: {learning.beta: [1, 0.5]}\n", 41);
}

static void phases_with_a_teacher_windows_and_comparisons(void **state)
{
    (void)state;
    assert_survived("glesim: 1\nname: whole\nseed: 5\ndt: 0.1\n"
                    "dataset: {type: sines, omega: [0.49, 1.07], sequences: 2}\n"
                    "network: {input: 1, layers: [\n"
                    "  {name: hidden, neurons: {tau_m: [1.0, 1.0], tau_r: [1.0, 0.1]}, activation: tanh, bias: none},\n"
                    "  {name: top, neurons: {count: 1, tau_m: 1.0, tau_r: 1.0}, bias: none}]}\n"
                    "teacher: {hidden: {weight: [[-0.5], [1.0]]}}\n"
                    "learning: {rule: adjoint, window: 0.5, loss: mse,\n"
                    "  optimizer: {type: sgd, lr: 1e-3, momentum: 0.9}}\n"
                    "training: {phases: [{duration: 1, learn: false, set: {top.tau_m: 2}}, {duration: 2}]}\n"
                    "record: {every: 1, variables: [r, e, lambda], parameters: [weight]}\n"
                    "diagnose: {gradient: bptt, window: 0.5, every: 10}\n", 41);
}

static void sounds(void **state)
{
    static const char *const words[] = {"yes", "no"};

    (void)state;
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < SPEAKERS; i++) {
            char name[64];
            int16_t x[LENGTH];
            for (int t = 0; t < LENGTH; t++)
                x[t] = (int16_t)(3000.0 * sin(6.28 * (300.0 + 200.0 * w) * t / RATE + i));
            snprintf(name, sizeof name, "%s/%08x_nohash_0.wav", words[w], i);
            folder_put_sound(folder, name, x, LENGTH, RATE);
        }
    assert_survived(folder_text(folder,
                    "glesim: 1\nname: whole\nseed: 7\ndt: 0.2\ndataset: {type: speech_commands, path: FOLDER, "
                    "sample_rate: 4000, features: {type: mel, bins: 6, window: 64, hop: 200}, "
                    "split: {type: hashed, validation: 25, test: 25}, task: {words: [yes, no]}, balance: true}\n"
                    "network: {input: 6, layers: [{name: readout, neurons: {count: 2, tau_m: 0.4, tau_r: 0.4}}]}\n"
                    "learning: {loss: cross_entropy}\n"
                    "training: {epochs: 1, batch_size: 8}\n"), 101);
}

#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, folder_setup, folder_teardown, folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(epochs_and_a_sweep),
        TEST(phases_with_a_teacher_windows_and_comparisons),
        TEST(sounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
