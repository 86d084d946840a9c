/* Tiny whole runs against numbers that were measured once. A change here is a change of results: it needs a reason. */
#include "../support/build.h"
#include "data/data.h"
#include "kernel/isa.h"
#include "train/metrics.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

enum { EPOCHS_MAX = 4 };

struct golden {
    const char *config;
    struct gle_override overrides[3];
    struct {
        double train, test, accuracy; /* losses, of the test set */
    } want[EPOCHS_MAX]; /* epochs 0, 1, ...; train of epoch 0 is not measured */
};

static const struct golden runs[] = {
    {"../configs/xor.yaml",
     {{"training.epochs", "3", "test"}},
     {{0.0, 0.756748, 0.5}, {0.700451, 0.657021, 0.75}, {0.592837, 0.625445, 0.5}, {0.427515, 0.417077, 1.0}}},
    {"../configs/yinyang.yaml",
     {{"training.epochs", "2", "test"}, {"dataset.train", "300", "test"}, {"dataset.test", "100", "test"}},
     {{0.0, 1.132127, 0.33}, {0.992772, 0.932277, 0.5}, {0.857116, 0.847056, 0.63}}},
};

static void check(const struct golden *g)
{
    const size_t n = g->overrides[2].path ? 3 : g->overrides[1].path ? 2 : 1;
    const struct gle_dataset *set;
    struct built b = build_file(test_path(g->config), g->overrides, n, 2);
    const struct gle_data_context context = {.dt = b.exp->dt, .seed = b.exp->seed};
    struct gle_error err = {0};
    struct gle_data *data;
    struct gle_metrics m;

    set = (const struct gle_dataset *)b.exp->dataset.row;
    if (gle_data_open(&data, set, b.exp->dataset.params, 0.0, &context, &err) ||
        gle_metrics_init(&m, b.exp, data, &err) || gle_train(&m, b.net, b.graph, data, NULL, NULL, NULL, &err))
        fail_msg("%s: %s", g->config, err.text);
    for (size_t i = 0; i < m.n_epochs; i++) {
        const struct gle_score *s = m.epochs[i].score;
        assert_true(i < EPOCHS_MAX);
        if ((i && !(fabs(s[GLE_TRAIN].loss - g->want[i].train) < 1e-4)) ||
            !(fabs(s[GLE_TEST].loss - g->want[i].test) < 1e-4) ||
            !(fabs(s[GLE_TEST].accuracy - g->want[i].accuracy) < 1e-9))
            fail_msg("%s, epoch %zu: {%.6f, %.6f, %.4f}, not {%.6f, %.6f, %.4f}", g->config, i, s[GLE_TRAIN].loss,
                     s[GLE_TEST].loss, s[GLE_TEST].accuracy, g->want[i].train, g->want[i].test, g->want[i].accuracy);
    }
    gle_metrics_clear(&m);
    gle_data_close(data);
    built_clear(&b);
}

static void tiny_runs_give_the_numbers_they_always_gave(void **state)
{
    (void)state;
    for (int isa = 0; isa <= (int)gle_isa_best(); isa++)
        for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
            setenv("GLESIM_ISA", gle_isa_name((enum gle_isa)isa), 1);
            check(&runs[i]);
            unsetenv("GLESIM_ISA");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tiny_runs_give_the_numbers_they_always_gave)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
