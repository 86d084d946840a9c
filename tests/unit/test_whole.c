/* A whole run as the command makes it, from config to report, with the k-th allocation and all later ones failing: for
 * k = 0, 1, 2, ... until there are enough. Under the sanitizers nothing may be lost on the way. */
#include "../support/folder.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/session.h"
#include "report/report.h"
#include "report/summary.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RATE = 4000, SPEAKERS = 8, LENGTH = 1200 };

static char folder[FOLDER_SIZE];

/* As the command runs it. stop: NULL, or the signal that asks for the end. */
static int run(const struct gle_experiment *exp, bool resume, const volatile sig_atomic_t *stop, struct gle_error *err)
{
    char output[PATH_SIZE];
    const struct gle_options options = {.output = output, .force = !resume, .resume = resume, .quiet = true};
    struct gle_accelerator accelerator = {0};
    const struct gle_session_how how = {.options = &options,
                                        .command = "test",
                                        .threads = 2,
                                        .progress = -1,
                                        .stop = stop,
                                        .accelerator = &accelerator};
    int rc;

    snprintf(output, sizeof output, "%s", folder_path(folder, "out"));
    rc = gle_session_run(exp, &how, err);
    gle_accelerator_close(&accelerator);
    return rc;
}

/* All runs of the file, and their summary. Returns whether k allocations were enough. */
static bool runs_with(const char *path, bool resume, size_t k)
{
    struct gle_experiments list;
    struct gle_errors errs = {0};
    struct gle_error err = {0};
    struct gle_seed_run ended = {0};
    struct gle_summary came;
    int rc;

    gle_memory_fail_after(k);
    rc = gle_experiments_load(&list, path, NULL, 0, NULL, 0, &errs);
    for (size_t i = 0; i < list.n && !rc; i++) {
        rc = run(list.item[i], resume, NULL, &err);
        ended.exp = list.item[i];
        if (!rc)
            rc = gle_report_dir(ended.dir, sizeof ended.dir, folder_path(folder, "out"), list.item[i], &err) ||
                 gle_summary_write(&came, folder_path(folder, "out"), &ended, 1, false, &err);
    }
    gle_memory_fail_after((size_t)-1);
    gle_experiments_clear(&list);
    if (errs.n)
        err = errs.item[0];
    if (rc && err.code != GLE_ENOMEM)
        fail_msg("allocation %zu: code %d, %s", k, (int)err.code, err.text);
    return !rc;
}

static void put_config(char path[PATH_SIZE], const char *yaml)
{
    folder_put(folder, "run/config.yaml", yaml);
    snprintf(path, PATH_SIZE, "%s", folder_path(folder, "run/config.yaml"));
}

struct contents {
    unsigned char *bytes;
    size_t size;
};

static struct contents read_weights(void)
{
    struct contents c;
    struct gle_error err = {0};

    if (gle_file_read(&c.bytes, &c.size, folder_path(folder, "out/seed_3/weights.npz"), SIZE_MAX / 2, false, GLE_EDATA,
                      &err))
        fail_msg("%s", err.text);
    return c;
}

/* Runs with ever more allocations, until there are enough. Most of a run's thousands are those of its report,
 * many times over: `stride` passes over some of them, unless GLE_EVERY_ALLOCATION is set. */
static void run_with_ever_more(const char *path, bool resume, size_t stride)
{
    size_t k = 0;

    if (getenv("GLE_EVERY_ALLOCATION"))
        stride = 1;
    while (!runs_with(path, resume, k)) {
        k += k < 300 ? 1 : stride;
        assert_in_range(k, 0, 100000);
    }
    assert_in_range(k, 300, 100000);
    print_message("%zu%s allocations\n", k, stride > 1 ? " or some less" : "");
}

static void assert_survived(const char *yaml, size_t stride)
{
    char path[PATH_SIZE];

    put_config(path, yaml);
    run_with_ever_more(path, false, stride);
}

/* What a first attempt to go on with a run could not do, a later one does. */
static void assert_resumed(const char *yaml, size_t stride)
{
    const volatile sig_atomic_t stop = SIGTERM;
    struct gle_experiments list;
    struct gle_errors errs = {0};
    struct gle_error err = {0};
    struct contents want, got;
    char path[PATH_SIZE];

    put_config(path, yaml);
    assert_int_equal(gle_experiments_load(&list, path, NULL, 0, NULL, 0, &errs), 0);
    assert_int_equal(run(list.item[0], false, NULL, &err), 0);
    want = read_weights();
    assert_int_equal(run(list.item[0], false, &stop, &err), 0);
    gle_experiments_clear(&list);
    run_with_ever_more(path, true, stride);
    got = read_weights();
    assert_int_equal(got.size, want.size);
    assert_memory_equal(got.bytes, want.bytes, want.size);
    gle_free(want.bytes);
    gle_free(got.bytes);
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

static void runs_that_go_on(void **state)
{
    (void)state;
    assert_resumed("glesim: 1\nname: whole\nseed: 3\ndt: 0.1\ndataset: {type: xor, present: 0.7, repeat: 2}\n"
                   "network: {input: 2, layers: [\n"
                   "  {name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}]}\n"
                   "learning: {loss: cross_entropy, schedule: {type: step, every: 1}}\n"
                   "training: {epochs: 2, batch_size: 4, validation: 0.25}\n"
                   "record: {every: 3, variables: [u, e], parameters: [weight]}\n", 41);
    assert_resumed("glesim: 1\nname: whole\nseed: 3\ndt: 0.1\n"
                   "dataset: {type: ornstein_uhlenbeck, tau: 1.0, sequences: 2, channels: 1}\n"
                   "network: {input: 1, layers: [{name: top, neurons: {tau_m: [1.0], tau_r: [0.5]}, bias: none}]}\n"
                   "teacher: {top: {weight: [[0.5]]}}\n"
                   "learning: {rule: adjoint, window: 0.5, loss: mse}\n"
                   "training: {phases: [{duration: 1, learn: false}, {duration: 2}]}\n"
                   "record: {every: 1, variables: [r, lambda]}\n"
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
        TEST(runs_that_go_on),
        TEST(sounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
