/* One's own data: frames that last for several steps, sequences of several lengths, steps that ask for nothing. */
#include "../support/dataset.h"
#include "../support/stored.h"
#include "../support/witness.h"
#include "parts/rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { YAML_BYTES = 4096, COLS = 2 };

static char archive[64];

static const char *settings(char buf[256], const char *more)
{
    snprintf(buf, 256, "{file: %s%s%s}", archive, *more ? ", " : "", more);
    return buf;
}

static struct gle_data *open_stored(const struct stored *arrays, const char *more, double validation)
{
    const struct gle_data_context ctx = {.dt = 0.5, .seed = 3};
    char buf[256];

    store_at(archive, arrays);
    return open_data("npz", settings(buf, more), validation, &ctx);
}

static float input(const struct gle_data *data, uint32_t row, size_t t)
{
    float x[4];

    gle_data_input(x, 4, data, batch_of(data, GLE_TRAIN, &row, 1), t);
    return x[0];
}

/* --- frames --- */

/* Two samples of three frames; the second is two frames long, and padded with NaN. */
static const double frames[] = {1, 4, 2, 8, 6, NAN};
static const double lengths[] = {3, 2};
static const struct stored framed[] = {{"x", 3, {2, 3, 1}, frames},
                                       {"targets", 3, {2, 3, 1}, frames},
                                       {"lengths", 1, {2}, lengths},
                                       {0}};

static void frames_are_held_or_interpolated(void **state)
{
    static const float held[2][6] = {{1, 1, 4, 4, 2, 2}, {8, 8, 6, 6, 0, 0}};
    static const float between[2][6] = {{1, 1.75f, 3.25f, 3.5f, 2.5f, 2}, {8, 7.5f, 6.5f, 6, 0, 0}};
    static const char *const ways[] = {"hold: 2", "upsample: 2"};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct gle_data *data = open_stored(framed, ways[k], 0.0);
        static const uint32_t rows[] = {1, 0};
        assert_int_equal(data->n_steps, 6);
        for (uint32_t row = 0; row < 2; row++)
            for (size_t t = 0; t < 6; t++) {
                float y;
                assert_true(input(data, row, t) == (k ? between : held)[row][t]);
                gle_data_target(&y, 1, data, batch_of(data, GLE_TRAIN, &row, 1), t);
                assert_true(y == held[row][t]);
                assert_int_equal(gle_data_asks(data, GLE_TRAIN, row, t), row == 0 || t < 4);
            }
        assert_int_equal(gle_data_longest(data, GLE_TRAIN, rows, 1), 4);
        assert_int_equal(gle_data_longest(data, GLE_TRAIN, rows, 2), 6);
        gle_data_close(data);
    }
}

/* --- what is asked for --- */

static const double moving[] = {1, 2, 3, 4, NAN, 5, 6, 7};
static const double two_lengths[] = {4, 3};
static const double mask[] = {1, 0, 1, 1, 1, 1, 0, 1};
static const double classes[] = {0, 1};

static void assert_asks(const struct stored *arrays, const char *more, const char *wanted[2])
{
    struct gle_data *data = open_stored(arrays, more, 0.0);

    for (uint32_t row = 0; row < 2; row++) {
        size_t n = 0, stop = 0;
        assert_int_equal(data->n_steps, strlen(wanted[row]));
        for (size_t t = 0; t < data->n_steps; t++) {
            const bool asks = wanted[row][t] == '1';
            assert_int_equal(gle_data_asks(data, GLE_TRAIN, row, t), asks);
            assert_int_equal(gle_data_count_asked(data, GLE_TRAIN, row, t), n);
            n += asks;
            stop = asks ? t + 1 : stop;
        }
        assert_int_equal(gle_data_count_asked(data, GLE_TRAIN, row, data->n_steps), n);
        assert_int_equal(gle_data_asked_stop(data, GLE_TRAIN, row, data->n_steps), stop);
    }
    gle_data_close(data);
}

static void masks_lengths_windows_and_nan_say_what_is_asked_for(void **state)
{
    static const struct stored by_nan[] = {{"x", 3, {2, 4, 1}, NULL}, {"targets", 3, {2, 4, 1}, moving}, {0}};
    static const struct stored by_mask[] = {
        {"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {2, 4}, mask}, {0}};
    static const struct stored by_all[] = {{"x", 3, {2, 4, 1}, NULL},     {"targets", 3, {2, 4, 1}, moving},
                                           {"mask", 2, {2, 4}, mask},     {"lengths", 1, {2}, two_lengths},
                                           {0}};
    static const struct stored plain[] = {{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {0}};

    (void)state;
    assert_asks(by_nan, "", (const char *[]){"1111", "0111"});
    assert_asks(by_mask, "", (const char *[]){"1011", "1101"});
    assert_asks(by_mask, "hold: 2", (const char *[]){"11001111", "11110011"});
    assert_asks(by_mask, "target_window: [0.5, 1.5]", (const char *[]){"0010", "0100"});
    assert_asks(by_all, "", (const char *[]){"1011", "0100"});
    assert_asks(plain, "", (const char *[]){"1111", "1111"});
    assert_asks(plain, "target_window: [1.0, 1.5]", (const char *[]){"0010", "0010"});
    assert_asks(plain, "target_window: [1, 2]", (const char *[]){"0011", "0011"});
}

/* The variance of what is asked for: 1, 3, 4 and 5. */
static void only_what_is_asked_for_varies(void **state)
{
    static const struct stored arrays[] = {{"x", 3, {2, 4, 1}, NULL},     {"targets", 3, {2, 4, 1}, moving},
                                           {"mask", 2, {2, 4}, mask},     {"lengths", 1, {2}, two_lengths},
                                           {0}};
    struct gle_data *data = open_stored(arrays, "", 0.0);

    (void)state;
    assert_true(fabs(gle_data_variance(data, GLE_TRAIN, data->split[GLE_TRAIN].n) - 2.1875) < 1e-12);
    gle_data_close(data);
}

/* Weights are of frames, as the mask is; of what is asked for, 1, 3, 4 and 5, by 0.5, 1, 3 and 0.25. */
static void what_counts_more_varies_more(void **state)
{
    static const double weights[] = {0.5, 0, 1, 3, 2, 0.25, 0, 1};
    static const struct stored arrays[] = {{"x", 3, {2, 4, 1}, NULL},     {"targets", 3, {2, 4, 1}, moving},
                                           {"mask", 2, {2, 4}, weights},  {"lengths", 1, {2}, two_lengths},
                                           {0}};
    static const double y[] = {1, 3, 4, 5}, w[] = {0.5, 1, 3, 0.25};
    struct gle_data *data = open_stored(arrays, "hold: 2", 0.0);
    double n = 0.0, sum = 0.0, squares = 0.0;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        n += w[i];
        sum += w[i] * y[i];
        squares += w[i] * y[i] * y[i];
    }
    assert_true(fabs(gle_data_variance(data, GLE_TRAIN, data->split[GLE_TRAIN].n) -
                     (squares / n - sum / n * (sum / n))) < 1e-12);
    assert_true(gle_data_has_weights(data));
    for (size_t t = 0; t < 8; t++) {
        assert_true((double)gle_data_weight(data, GLE_TRAIN, 0, t) == weights[t / 2]);
        assert_true((double)gle_data_weight(data, GLE_TRAIN, 1, t) == (t / 2 == 1 ? 0.25 : 0.0));
    }
    assert_true(gle_data_sum_weights(data, GLE_TRAIN, 0, 5) == 2.0 * 0.5 + 1.0);
    assert_int_equal(gle_data_count_asked(data, GLE_TRAIN, 0, 5), 3);
    gle_data_close(data);
}

/* Samples keep their lengths and what is asked of them when some are taken for validation. */
static void a_validation_set_takes_all_of_a_sample(void **state)
{
    static const double long_as[] = {1, 2, 3, 4, 1, 2, 3, 4};
    double weights[32];
    const struct stored arrays[] = {{"x", 3, {8, 4, 1}, NULL},
                                    {"targets", 3, {8, 4, 1}, NULL},
                                    {"lengths", 1, {8}, long_as},
                                    {"mask", 2, {8, 4}, weights},
                                    {0}};
    struct gle_data *data;

    (void)state;
    for (size_t i = 0; i < 32; i++)
        weights[i] = 1.0 + (double)(i / 4);
    data = open_stored(arrays, "", 0.5);
    for (int split = GLE_TRAIN; split <= GLE_VALIDATION; split++) {
        const struct gle_samples *s = &data->split[split];
        assert_int_equal(s->n, 4);
        for (uint32_t i = 0; i < s->n; i++) {
            const size_t sample = (size_t)s->x[4 * i] / 4; /* x is 0, 1, 2, ... */
            assert_true(s->lengths[i] == (uint32_t)long_as[sample]);
            assert_int_equal(gle_data_count_asked(data, (enum gle_split)split, i, 4), s->lengths[i]);
            assert_true(gle_data_weight(data, (enum gle_split)split, i, 0) == 1.0f + (float)sample);
        }
    }
    gle_data_close(data);
}

static void the_checksum_knows_lengths_masks_and_frames(void **state)
{
    static const double whole[] = {4, 4}, ones[] = {1, 1, 1, 1, 1, 1, 1, 1}, half[] = {1, 1, 1, 1, 1, 1, 0.5, 1};
    static const struct stored sets[][5] = {
        {{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {0}},
        {{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"lengths", 1, {2}, two_lengths}, {0}},
        {{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"lengths", 1, {2}, whole}, {0}},
        {{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {2, 4}, ones}, {0}},
        {{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {2, 4}, mask}, {0}},
        {{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {2, 4}, half}, {0}},
    };
    static const char *const more[] = {"", "hold: 2", "upsample: 2", "target_window: [0, 1]", "target_window: [1, 2]"};
    enum { SETS = sizeof sets / sizeof *sets, MORE = sizeof more / sizeof *more };
    char seen[SETS + MORE][65];

    (void)state;
    for (size_t k = 0; k < SETS + MORE; k++) {
        struct gle_data *data = open_stored(sets[k < SETS ? k : 0], k < SETS ? "" : more[k - SETS], 0.0);
        memcpy(seen[k], data->sha256, sizeof seen[k]);
        gle_data_close(data);
        for (size_t j = 0; j < k; j++)
            assert_int_equal(strcmp(seen[j], seen[k]) != 0, !(j == 0 && k == SETS));
    }
}

static void what_is_wrong_is_refused(void **state)
{
    static const double wrong_lengths[] = {4, 5}, zero_length[] = {0, 4}, below[] = {1, 1, 1, 1, 1, -0.5, 1, 1};
    static const double no_number[] = {1, 1, 1, 1, 1, NAN, 1, 1}, endless[] = {1, 1, 1, INFINITY, 1, 1, 1, 1};
    static const double too_small[] = {1, 1, 1e-60, 1, 1, 1, 1, 1};
    static const double nothing[] = {1, 1, 1, 1, 0, 0, 0, 0};
    static const double partly[] = {1, 2, 3, NAN, 5, 6, 7, 8}, infinite[] = {1, 2, 3, 4, 5, INFINITY, 7, 8};
    static const struct {
        const struct stored arrays[6];
        const char *more, *text;
        bool teacher;
        enum gle_code code;
    } of[] = {
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"lengths", 1, {2}, wrong_lengths}, {0}}, "",
         "lengths[1] = 5 is no number of frames from 1 to 4", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"lengths", 1, {2}, zero_length}, {0}}, "",
         "lengths[0] = 0 is no number of frames from 1 to 4", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"lengths", 1, {3}, NULL}, {0}}, "",
         "lengths has shape (3), where one number for each of 2 samples is wanted", false, GLE_EDATA},
        {{{"x", 2, {2, 4}, NULL}, {"y", 1, {2}, classes}, {"lengths", 1, {2}, two_lengths}, {0}}, "present: 1",
         "has lengths, where x has no frames that could be counted", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {2, 4}, below}, {0}}, "",
         "mask[1, 1] = -0.5 is no weight of a step, which is 0 (nothing is asked for) or a positive number of single "
         "precision", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {2, 4}, no_number}, {0}}, "",
         "mask[1, 1] = nan is no weight of a step, which is 0 (nothing is asked for) or a positive number of single "
         "precision", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {2, 4}, endless}, {0}}, "",
         "mask[0, 3] = inf is no weight of a step, which is 0 (nothing is asked for) or a positive number of single "
         "precision", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {2, 4}, too_small}, {0}}, "",
         "mask[0, 2] = 1e-60 is no weight of a step, which is 0 (nothing is asked for) or a positive number of single "
         "precision", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {4, 2}, mask}, {0}}, "",
         "mask has shape (4, 2), where (2 samples, 4 steps) is wanted", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {2, 8}, NULL}, {0}}, "hold: 2",
         "mask has shape (2, 8), where (2 samples, 4 frames) is wanted", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {2, 4}, nothing}, {0}}, "",
         "sample 1 of x asks for nothing, by its mask, its length, its targets or target_window", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"lengths", 1, {2}, two_lengths}, {0}},
         "target_window: [1.5, 2]",
         "sample 1 of x asks for nothing, by its mask, its length, its targets or target_window", false, GLE_EDATA},
        {{{"x", 3, {2, 2, 1}, NULL}, {"targets", 3, {2, 2, 2}, partly}, {0}}, "",
         "targets[0, 1, 1] is NaN, where the first output is a number: a step asks for all outputs or for none", false,
         GLE_EDATA},
        {{{"x", 3, {2, 2, 1}, NULL}, {"targets", 3, {2, 2, 2}, infinite}, {0}}, "",
         "targets[1, 0, 1] = inf is not a finite number in single precision", false, GLE_EDATA},
        {{{"x", 3, {2, 2, 1}, NULL}, {"targets", 2, {2, 4}, infinite}, {0}}, "hold: 3",
         "targets[1, 1] = inf is not a finite number in single precision", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"targets", 3, {2, 8, 1}, NULL}, {0}}, "hold: 2",
         "targets has shape (2, 8, 1); (samples, outputs) or (samples, 4 frames, outputs) is needed", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask", 2, {2, 4}, mask}, {"x_test", 3, {2, 4, 1}, NULL},
          {"y_test", 1, {2}, classes}, {0}}, "", "has mask but no mask_test", false, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {"mask_test", 2, {2, 4}, mask}, {0}}, "",
         "has mask_test but no x_test", false, GLE_EDATA},
        {{{"x", 2, {2, 4}, NULL}, {"y", 1, {2}, classes}, {0}}, "present: 1, hold: 2",
         "x has shape (2, 4), without frames, so 'hold' does not apply", false, GLE_ECONFIG},
        {{{"x", 3, {2, 4, 1}, NULL}, {"lengths", 1, {2}, two_lengths}, {0}}, "",
         "has lengths, which does not go with a teacher: its output is the target at every step", true, GLE_EDATA},
        {{{"x", 3, {2, 4, 1}, NULL}, {0}}, "target_window: [0, 1]",
         "target_window does not go with a teacher: its output is the target at every step", true, GLE_ECONFIG},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {0}}, "target_window: [0, 2.5]",
         "target_window ends at 2.5, where samples last for 2", false, GLE_ERANGE},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {0}}, "target_window: [0, 0.7]",
         "target_window: 0.7 is no whole number of steps of dt = 0.5", false, GLE_ERANGE},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {0}}, "target_window: [1, 1]",
         "must be two numbers, [from, to], the first below the second", false, GLE_ERANGE},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {0}}, "hold: 2, upsample: 2",
         "excludes hold: inputs are either held or interpolated", false, GLE_ERANGE},
        {{{"x", 3, {2, 4, 1}, NULL}, {"y", 1, {2}, classes}, {0}}, "hold: 900000000",
         "x has shape (2, 4, 1), with more than 1000000000 steps a sample", false, GLE_ERANGE},
    };

    (void)state;
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        const struct gle_data_context ctx = {.dt = 0.5, .has_teacher = of[k].teacher};
        char buf[256];
        store_at(archive, of[k].arrays);
        assert_not_opened("npz", settings(buf, of[k].more), 0.0, &ctx, of[k].code, of[k].text);
    }
}

/* --- runs --- */

/* Four samples of six steps. */
enum { T = 6, N = 4 };
static const double run_labels[N] = {0, 1, 1, 0};
static const double run_mask[N * T] = {0, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1};
static const double run_lengths[N] = {6, 5, 3, 6};
static const double run_weights[N * T] = {0, 0.3, 1, 0, 2, 0, 7.5, 0, 0, 1, 0.125, 1,
                                          1, 3,   0, 0, 0, 0, 0.6, 0, 0, 0.5, 0, 1};
static const struct stored run_set[] = {{"x", 3, {N, T, COLS}, NULL},    {"y", 1, {N}, run_labels},
                                        {"mask", 2, {N, T}, run_mask},   {"lengths", 1, {N}, run_lengths},
                                        {"x_test", 3, {N, T, COLS}, NULL}, {"y_test", 1, {N}, run_labels},
                                        {"mask_test", 2, {N, T}, run_mask}, {"lengths_test", 1, {N}, run_lengths}, {0}};
static const struct stored weighted_set[] = {{"x", 3, {N, T, COLS}, NULL},    {"y", 1, {N}, run_labels},
                                             {"mask", 2, {N, T}, run_weights}, {"lengths", 1, {N}, run_lengths},
                                             {"x_test", 3, {N, T, COLS}, NULL}, {"y_test", 1, {N}, run_labels},
                                             {"mask_test", 2, {N, T}, run_weights},
                                             {"lengths_test", 1, {N}, run_lengths}, {0}};
/* What is put into the archive, and what its steps count. */
static const struct {
    const struct stored *arrays;
    const double *weights;
} run_sets[] = {{run_set, run_mask}, {weighted_set, run_weights}};
enum { SETS_OF_RUNS = sizeof run_sets / sizeof *run_sets };

static const char *config(const char *dataset, const char *learning, const char *training, const char *sections)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\n"
                           "dataset: {type: npz, file: %s%s}\n"
                           "network: {input: 2, layers: [{name: a, neurons: {tau_m: [1.0, 0.5, 2.0, 0.8], "
                           "tau_r: [0.4, 0.5, 0.1, 0.9]}, activation: tanh}, "
                           "{name: b, neurons: {tau_m: [1.0, 0.6], tau_r: [0.5, 1.0]}}]}\n"
                           "learning: {%s}\ntraining: {%s}\nrecord: {every: 1}\n%s",
                           archive, dataset, learning, training, sections);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

static double weight(size_t set, size_t sample, size_t t)
{
    return (double)t < run_lengths[sample] ? (double)(float)run_sets[set].weights[sample * T + t] : 0.0;
}

/* Which sample a row shows: x begins with 0, 1, 2, ... */
static size_t sample_of(const struct sight *first, size_t b)
{
    return (size_t)first->input[b * COLS] / (T * COLS);
}

/* Cross entropy of a row. */
static double loss_of(const struct sight *s, size_t b)
{
    const double r0 = (double)s->output[2 * b], r1 = (double)s->output[2 * b + 1], y1 = (double)s->target[2 * b + 1];
    const double most = fmax(r0, r1);

    return log(exp(r0 - most) + exp(r1 - most)) + most - (y1 == 1.0 ? r1 : r0);
}

struct sums {
    double loss, asked;
    size_t right, done;
};

/* One batch, from its first sight on, of n_steps; decides: how many steps before the last that asks; 0: all. */
static void count_batch(struct sums *sums, size_t set, const struct sight *first, size_t n_steps, size_t decides)
{
    for (size_t b = 0; b < first->moment.B; b++) {
        const size_t sample = sample_of(first, b);
        double sum[2] = {0};
        size_t stop = 0;
        for (size_t t = 0; t < n_steps; t++)
            stop = weight(set, sample, t) > 0.0 ? t + 1 : stop;
        for (size_t t = 0; t < n_steps; t++) {
            const double counts = weight(set, sample, t);
            assert_int_equal(isnan(first[t].target[2 * b]) != 0, counts == 0.0);
            if (t >= (size_t)run_lengths[sample])
                assert_true(first[t].input[2 * b] == 0.0f && first[t].input[2 * b + 1] == 0.0f);
            if (counts == 0.0)
                continue;
            sums->loss += counts * loss_of(&first[t], b);
            sums->asked += counts;
            for (size_t k = 0; (!decides || t + decides >= stop) && k < 2; k++)
                sum[k] += counts * (double)first[t].output[2 * b + k];
        }
        sums->right += (sum[1] > sum[0]) == (run_labels[sample] == 1.0);
        sums->done++;
    }
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 2e-6 * fabs(want)))
        fail_msg("%.10g, not %.10g", got, want);
}

static const struct {
    const char *text;
    size_t steps;
} decides[] = {{"", 0}, {", decide: last", 1}, {", decide: {type: window, length: 0.2}", 2}};
enum { DECIDES = sizeof decides / sizeof *decides };

static const char *const rules[] = {"loss: cross_entropy", "loss: cross_entropy, rule: bptt, window: 0.4, gamma: 0.1"};

static void epochs_count_what_is_asked_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * DECIDES * SETS_OF_RUNS; i++) {
        const size_t k = i / SETS_OF_RUNS, set = i % SETS_OF_RUNS;
        char training[200];
        struct witness w;
        struct trial t;
        struct sums sums[3][GLE_SPLITS] = {0};
        size_t s = 0;
        store_at(archive, run_sets[set].arrays);
        snprintf(training, sizeof training, "epochs: 2, batch_size: 3, test_batch_size: 2%s", decides[k / 2].text);
        witness_run(&w, &t, config("", rules[k % 2], training, ""), 1 + k % 2);
        while (s < w.n_steps) { /* a batch is as long as the longest of its samples */
            const struct gle_moment *m = &w.steps[s].moment;
            size_t longest = 0;
            for (size_t b = 0; b < m->B; b++) {
                const size_t length = (size_t)run_lengths[sample_of(&w.steps[s], b)];
                longest = length > longest ? length : longest;
            }
            count_batch(&sums[m->stage][m->split], set, &w.steps[s], longest, decides[k / 2].steps);
            s += longest;
        }
        assert_int_equal(s, w.n_steps);
        for (size_t e = 0; e < 3; e++)
            for (int split = e ? GLE_TRAIN : GLE_TEST; split < GLE_SPLITS; split += GLE_TEST) {
                const struct gle_score *score = &t.m.epochs[e].score[split];
                assert_int_equal(sums[e][split].done, N);
                assert_near(score->loss, sums[e][split].loss / sums[e][split].asked);
                assert_true(score->accuracy == (double)sums[e][split].right / N);
            }
        witness_clear(&w);
        trial_close(&t);
    }
}

static void phases_and_evaluations_count_it_too(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * DECIDES * SETS_OF_RUNS; i++) {
        const size_t k = i / SETS_OF_RUNS, set = i % SETS_OF_RUNS;
        char training[250];
        struct witness w;
        struct trial t, by_epochs;
        struct sums sums = {0};
        store_at(archive, run_sets[set].arrays);
        snprintf(training, sizeof training,
                 "batch_size: 3, test_batch_size: 4, state: reset, evaluate: {every: 1.2}, phases: [{duration: 2.4}]%s",
                 decides[k / 2].text);
        witness_run(&w, &t, config("", rules[k % 2], training, ""), 1);
        for (size_t s = 0; s < w.n_steps; s += T)
            count_batch(&sums, set, &w.steps[s], T, decides[k / 2].steps);
        assert_int_equal(sums.done, 12);
        assert_near(t.m.phases[0].loss, sums.loss / sums.asked);
        assert_near(t.m.phases[0].last_loss, sums.loss / sums.asked);
        assert_true(t.m.phases[0].accuracy == (double)sums.right / 12.0);
        snprintf(training, sizeof training, "epochs: 0, batch_size: 3, test_batch_size: 4, state: reset%s",
                 decides[k / 2].text);
        by_epochs = trial_of(config("", rules[k % 2], training, ""), 1);
        assert_near(t.m.evaluations[0].loss, by_epochs.m.epochs[0].score[GLE_TEST].loss);
        assert_true(t.m.evaluations[0].accuracy == by_epochs.m.epochs[0].score[GLE_TEST].accuracy);
        witness_clear(&w);
        trial_close(&by_epochs);
        trial_close(&t);
    }
}

static const char *const learning[] = {
    "loss: cross_entropy", "loss: mse, gamma: 0.1", "loss: {type: huber, delta: 0.2}, rule: bp",
    "loss: cross_entropy, rule: bptt, window: 0.6, gamma: 0.1", "loss: log_cosh, rule: adjoint, window: 0.3"};
enum { LEARNING = sizeof learning / sizeof *learning };

/* A mask that is the same for all samples is a target_window: to the bit. */
static void a_common_mask_is_a_window(void **state)
{
    static const double third_and_fourth[N * T] = {0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0,
                                                   0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0};
    static const struct stored masked[] = {{"x", 3, {N, T, COLS}, NULL},
                                           {"y", 1, {N}, run_labels},
                                           {"mask", 2, {N, T}, third_and_fourth},
                                           {0}};
    static const struct stored plain[] = {{"x", 3, {N, T, COLS}, NULL}, {"y", 1, {N}, run_labels}, {0}};

    (void)state;
    for (size_t k = 0; k < 2 * LEARNING; k++) {
        const char *training = k % 2 ? "batch_size: 3, phases: [{duration: 2.9}]" : "epochs: 2, batch_size: 3";
        struct trial by_mask, by_window;
        store_at(archive, masked);
        by_mask = trial_of(config("", learning[k / 2], training, ""), 2);
        store_at(archive, plain);
        by_window = trial_of(config(", target_window: [0.2, 0.4]", learning[k / 2], training, ""), 1);
        assert_true(same_params(&by_mask.b, &by_window.b));
        if (k % 2)
            assert_true(by_mask.m.phases[0].loss == by_window.m.phases[0].loss &&
                        by_mask.m.phases[0].accuracy == by_window.m.phases[0].accuracy);
        else
            assert_true(by_mask.m.epochs[2].score[GLE_TRAIN].loss == by_window.m.epochs[2].score[GLE_TRAIN].loss);
        trial_close(&by_window);
        trial_close(&by_mask);
    }
}

/* Gradients of a batch are the mean of those of its samples, each asked for what is its own. */
static void samples_are_asked_each_for_its_own(void **state)
{
    static const char training[] = "epochs: 1, batch_size: 2, state: reset";
    static const struct stored both[] = {{"x", 3, {2, T, COLS}, NULL}, {"y", 1, {2}, run_labels},
                                         {"mask", 2, {2, T}, run_mask}, {0}};
    double x[T * COLS];
    struct stored one[] = {{"x", 3, {1, T, COLS}, x}, {"y", 1, {1}, NULL}, {"mask", 2, {1, T}, NULL}, {0}};

    (void)state;
    for (size_t k = 0; k < LEARNING; k++) {
        char text[200];
        struct trial t[3];
        float *p[3], *begun;
        size_t n;
        snprintf(text, sizeof text, "%s, optimizer: {type: sgd, lr: 0.5}%s", learning[k],
                 strstr(learning[k], "rule: b") || strstr(learning[k], "rule: a") ? "" : ", rule: bptt, window: 0.6");
        if (strstr(text, "rule: bp,"))
            continue;
        store_at(archive, both);
        t[2] = trial_of(config(", classes: 2", text, training, ""), 1);
        for (size_t i = 0; i < 2; i++) {
            for (size_t j = 0; j < T * COLS; j++)
                x[j] = (double)(i * T * COLS + j);
            one[1].values = &run_labels[i];
            one[2].values = &run_mask[i * T];
            store_at(archive, one);
            t[i] = trial_of(config(", classes: 2", text, training, ""), 1);
        }
        {
            struct trial none = trial_of(config(", classes: 2", text, "epochs: 0, state: reset", ""), 1);
            begun = all_params(&none.b, &n);
            trial_close(&none);
        }
        for (size_t i = 0; i < 3; i++)
            p[i] = all_params(&t[i].b, &n);
        if (!strstr(text, "window: 0.3")) /* one step of the optimizer, from the same parameters */
            for (size_t i = 0; i < n; i++) {
                const double mean = 0.5 * ((double)p[0][i] + (double)p[1][i]);
                assert_true(fabs((double)p[2][i] - mean) < 1e-5 * (1.0 + fabs(mean - (double)begun[i])));
            }
        for (size_t i = 0; i < 3; i++) {
            free(p[i]);
            trial_close(&t[i]);
        }
        free(begun);
    }
}

/* --- gradients of weighted steps --- */

static const double all_weights[T] = {0.5, 2, 0, 1, 3, 0.25};

/* Puts away one sample whose steps have these weights. */
static void store_weighted(const double weights[T])
{
    const struct stored one[] = {{"x", 3, {1, T, COLS}, NULL}, {"y", 1, {1}, run_labels},
                                 {"mask", 2, {1, T}, weights}, {0}};

    store_at(archive, one);
}

/* What one step of an optimizer without memory makes of the parameters. Owns: free(). */
static float *change_by(size_t *n, const char *text)
{
    static const char training[] = "epochs: %d, batch_size: 1, state: reset";
    char epochs[64];
    float *p[2];

    for (int e = 0; e < 2; e++) {
        struct trial t;
        snprintf(epochs, sizeof epochs, training, e);
        t = trial_of(config(", classes: 2", text, epochs, ""), 1);
        p[e] = all_params(&t.b, n);
        trial_close(&t);
    }
    for (size_t i = 0; i < *n; i++)
        p[1][i] -= p[0][i];
    free(p[0]);
    return p[1];
}

/* Where errors do not feed back, gradients are sums over the steps that ask, each times its weight. */
static void gradients_of_weighted_steps_add_up(void **state)
{
    static const char *const of[] = {"loss: cross_entropy, update: {every: 6}",
                                     "loss: mse, rule: bp, update: {every: 6}",
                                     "loss: {type: huber, delta: 0.2}, rule: eprop, update: {every: 6}",
                                     "loss: cross_entropy, rule: bptt, window: 0.6",
                                     "loss: log_cosh, rule: adjoint, window: 0.6"};

    (void)state;
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char text[200];
        size_t n;
        float *whole, *part;
        double *sums, most = 0.0;
        snprintf(text, sizeof text, "%s, optimizer: {type: sgd, lr: 0.5}", of[k]);
        store_weighted(all_weights);
        whole = change_by(&n, text);
        sums = calloc(n, sizeof *sums);
        for (size_t t = 0; t < T; t++) {
            double only[T] = {0};
            only[t] = 1.0;
            store_weighted(only);
            part = change_by(&n, text);
            for (size_t i = 0; i < n; i++)
                sums[i] += all_weights[t] * (double)part[i];
            free(part);
        }
        for (size_t i = 0; i < n; i++)
            most = fmax(most, fabs(sums[i]));
        for (size_t i = 0; i < n; i++)
            if (!(fabs((double)whole[i] - sums[i]) <= 3e-5 * most))
                fail_msg("%s: parameter %zu: %g, not %g", of[k], i, (double)whole[i], sums[i]);
        assert_true(most > 0.01);
        free(sums);
        free(whole);
    }
}

/* The weighted loss of the sample, summed over its steps, with a bias of the first layer that is off by h. */
static double loss_at(const char *text, double h)
{
    char bias[100];
    struct trial t;
    double loss, asked = 0.0;

    snprintf(bias, sizeof bias, "variants: {it: {\"network.layers[0].bias\": [0.1, %.9g, 0.3, -0.2]}}\n", -0.1 + h);
    t = trial_of(config(", classes: 2", text, "epochs: 1, batch_size: 1, state: reset", bias), 1);
    loss = t.m.epochs[1].score[GLE_TRAIN].loss;
    for (size_t i = 0; i < T; i++)
        asked += all_weights[i];
    trial_close(&t);
    return loss * asked;
}

/* Exact gradients of weighted steps, through errors that feed back into membranes: the slope of the weighted loss. */
static void exact_gradients_are_the_slope_of_the_weighted_loss(void **state)
{
    static const char *const losses[] = {"cross_entropy", "mse", "log_cosh"};
    static const double h = 0.02, lr = 0.01;

    (void)state;
    store_weighted(all_weights);
    for (size_t k = 0; k < sizeof losses / sizeof *losses; k++) {
        char text[200];
        double slope, gradient;
        struct trial t;
        float *before, *after;
        size_t n;
        snprintf(text, sizeof text, "loss: %s, rule: bptt, window: 0.6, gamma: 0.3, optimizer: {type: sgd, lr: %g}",
                 losses[k], lr);
        slope = (loss_at(text, h) - loss_at(text, -h)) / (2.0 * h);
        for (int e = 0; e < 2; e++) {
            char epochs[64];
            snprintf(epochs, sizeof epochs, "epochs: %d, batch_size: 1, state: reset", e);
            t = trial_of(config(", classes: 2", text, epochs,
                                "variants: {it: {\"network.layers[0].bias\": [0.1, -0.1, 0.3, -0.2]}}\n"), 1);
            *(e ? &after : &before) = all_params(&t.b, &n);
            trial_close(&t);
        }
        gradient = ((double)before[4 * COLS + 1] - (double)after[4 * COLS + 1]) / lr; /* behind the weights of a */
        assert_true(fabs(slope) > 0.01);
        if (!(fabs(gradient - slope) <= 3e-3 * fabs(slope)))
            fail_msg("%s: %g, not %g", losses[k], gradient, slope);
        free(before);
        free(after);
    }
}

static int make_archive(void **state)
{
    (void)state;
    snprintf(archive, sizeof archive, "/tmp/glesim_masks_XXXXXX");
    close(mkstemp(archive));
    return 0;
}

static int remove_archive(void **state)
{
    (void)state;
    return unlink(archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_held_or_interpolated),
        cmocka_unit_test(masks_lengths_windows_and_nan_say_what_is_asked_for),
        cmocka_unit_test(what_counts_more_varies_more),
        cmocka_unit_test(only_what_is_asked_for_varies),
        cmocka_unit_test(a_validation_set_takes_all_of_a_sample),
        cmocka_unit_test(the_checksum_knows_lengths_masks_and_frames),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(epochs_count_what_is_asked_for),
        cmocka_unit_test(phases_and_evaluations_count_it_too),
        cmocka_unit_test(a_common_mask_is_a_window),
        cmocka_unit_test(gradients_of_weighted_steps_add_up),
        cmocka_unit_test(exact_gradients_are_the_slope_of_the_weighted_loss),
        cmocka_unit_test(samples_are_asked_each_for_its_own),
    };
    return cmocka_run_group_tests(tests, make_archive, remove_archive);
}
