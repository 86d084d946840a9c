/* Tasks that are made: what a sample shows, against what it asks for; and the Mackey-Glass series against another
 * method. */
#include "../support/dataset.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gle_data *open_at(const char *name, const char *yaml, double dt)
{
    const struct gle_data_context ctx = {.dt = dt};

    return open_data(name, yaml, 0.0, &ctx);
}

enum { CHANNELS_MAX = 8 };

static float input(const struct gle_data *data, enum gle_split split, uint32_t row, size_t t, size_t channel)
{
    float x[CHANNELS_MAX];

    assert_true(data->n_channels <= CHANNELS_MAX);
    gle_data_input(x, CHANNELS_MAX, data, batch_of(data, split, &row, 1), t);
    return x[channel];
}

static const enum gle_split both[] = {GLE_TRAIN, GLE_TEST};

/* --- adding --- */

/* Items of two steps, five of them; an answer of three. */
static void adding_asks_for_the_marked_numbers(void **state)
{
    static const char *const targets[] = {"sum", "mean"};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        char yaml[200];
        struct gle_data *data;
        size_t places[5] = {0};
        snprintf(yaml, sizeof yaml,
                 "{numbers: 5, item: 0.2, answer: 0.3, target: %s, samples: 300, test_samples: 40}", targets[k]);
        data = open_at("adding", yaml, 0.1);
        assert_true(data->n_unasked == 10 && data->n_steps == 13 && data->n_channels == 2 && data->n_targets == 1);
        assert_true(!data->labelled && !data->target_moves);
        for (size_t s = 0; s < 2; s++)
            for (uint32_t i = 0; i < data->split[both[s]].n; i++) {
                double sum = 0.0;
                size_t marked[2], n = 0;
                for (size_t t = 0; t < 13; t++) {
                    const float x = input(data, both[s], i, t, 0), mark = input(data, both[s], i, t, 1);
                    assert_true(t < 10 ? x >= 0.0f && x < 1.0f : x == 0.0f && mark == 0.0f);
                    if (t % 2)
                        assert_true(t > 10 || (x == input(data, both[s], i, t - 1, 0) &&
                                               mark == input(data, both[s], i, t - 1, 1)));
                    else if (mark == 1.0f)
                        assert_true(n < 2), marked[n++] = t / 2, sum += (double)x;
                    else
                        assert_true(mark == 0.0f);
                }
                assert_int_equal(n, 2);
                assert_true(marked[0] < 2 && marked[1] >= 2);
                places[marked[0]]++;
                places[marked[1]]++;
                assert_true(fabs((double)data->split[both[s]].targets[i] - (k ? 0.5 : 1.0) * sum) < 1e-6);
            }
        for (size_t i = 0; i < 5; i++) /* 170 and 113 of 340 */
            assert_in_range(places[i], i < 2 ? 140 : 85, i < 2 ? 200 : 145);
        assert_int_equal(data->split[GLE_TRAIN].n, 300);
        assert_int_equal(data->split[GLE_TEST].n, 40);
        gle_data_close(data);
    }
}

/* --- copy --- */

static void copy_asks_for_the_symbols_in_order(void **state)
{
    struct gle_data *data =
        open_at("copy", "{symbols: 3, length: 4, item: 0.2, delay: 0.5, samples: 200, test_samples: 50}", 0.1);
    size_t seen[3] = {0};

    (void)state;
    assert_true(data->n_unasked == 13 && data->n_steps == 21 && data->n_channels == 4 && data->n_targets == 3);
    assert_true(data->labelled && data->n_answers == 4);
    for (size_t s = 0; s < 2; s++)
        for (uint32_t i = 0; i < data->split[both[s]].n; i++)
            for (size_t t = 0; t < 21; t++) {
                float y[3];
                gle_data_target(y, 3, data, batch_of(data, both[s], &i, 1), t);
                for (size_t c = 0; c < 3; c++) {
                    const float x = input(data, both[s], i, t, c);
                    assert_true(t < 8 ? x == 0.0f || x == 1.0f : x == 0.0f);
                    if (t >= 13)
                        assert_true(y[c] == input(data, both[s], i, (t - 13) / 2 * 2, c));
                    seen[c] += t >= 13 && y[c] == 1.0f;
                }
                if (t >= 13)
                    assert_true(y[0] + y[1] + y[2] == 1.0f);
                assert_true(input(data, both[s], i, t, 3) == (t == 13 || t == 14 ? 1.0f : 0.0f));
            }
    for (size_t c = 0; c < 3; c++) /* 667 of 2000 */
        assert_in_range(seen[c], 560, 780);
    gle_data_close(data);
}

/* --- evidence --- */

static void evidence_asks_for_the_side_with_more_cues(void **state)
{
    static const struct {
        const char *probability;
        double low, high; /* of cues on the side that is asked for */
    } of[] = {{"0.7", 0.68, 0.76}, {"1", 1.0, 1.0}, {"0.5", 0.60, 0.72}};

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        char yaml[200];
        struct gle_data *data;
        size_t right = 0, on_side = 0;
        snprintf(yaml, sizeof yaml,
                 "{cues: 5, cue: 0.2, gap: 0.1, pause: 0.4, answer: 0.3, probability: %s, samples: 400}",
                 of[k].probability);
        data = open_at("evidence", yaml, 0.1);
        assert_true(data->n_unasked == 18 && data->n_steps == 21 && data->n_channels == 3 && data->n_targets == 2);
        assert_string_equal(data->classes[1], "right");
        for (uint32_t i = 0; i < 400; i++) {
            size_t cues[2] = {0};
            for (size_t t = 0; t < 21; t++) {
                const float left = input(data, GLE_TRAIN, i, t, 0), r = input(data, GLE_TRAIN, i, t, 1);
                assert_true(left + r == (t < 14 && t % 3 < 2 ? 1.0f : 0.0f));
                assert_true(input(data, GLE_TRAIN, i, t, 2) == (t >= 18 ? 1.0f : 0.0f));
                if (t < 14 && t % 3 == 1)
                    assert_true(r == input(data, GLE_TRAIN, i, t - 1, 1));
                if (t < 14 && t % 3 == 0)
                    cues[r == 1.0f]++;
            }
            assert_int_equal(cues[0] + cues[1], 5);
            assert_int_equal(data->split[GLE_TRAIN].labels[i], cues[1] > cues[0]);
            right += cues[1] > cues[0];
            on_side += cues[cues[1] > cues[0]];
        }
        assert_in_range(right, 160, 240);
        assert_true((double)on_side / 2000.0 >= of[k].low && (double)on_side / 2000.0 <= of[k].high);
        gle_data_close(data);
    }
}

/* --- draws --- */

/* What is drawn for a sample goes by the seed, its split and its number alone: not by how many there are, nor by how
 * long anything lasts. */
static void draws_depend_on_the_seed_and_nothing_else(void **state)
{
    static const struct {
        const char *name, *few, *many, *other;
    } of[] = {{"adding", "{samples: 3, test_samples: 2}", "{samples: 50, test_samples: 9, item: 2, answer: 3}",
               "{samples: 3, test_samples: 2, seed: 1}"},
              {"copy", "{samples: 3, test_samples: 2}", "{samples: 50, test_samples: 9, item: 2, delay: 1}",
               "{samples: 3, test_samples: 2, seed: 1}"},
              {"evidence", "{samples: 3, test_samples: 2, cues: 99}",
               "{samples: 50, test_samples: 9, cues: 99, cue: 2, pause: 1}",
               "{samples: 3, test_samples: 2, cues: 99, seed: 1}"}};

    (void)state;
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        struct gle_data *few = open_at(of[k].name, of[k].few, 0.5), *many = open_at(of[k].name, of[k].many, 0.5);
        struct gle_data *other = open_at(of[k].name, of[k].other, 0.5);
        for (size_t s = 0; s < 2; s++) {
            const struct gle_samples *a = &few->split[both[s]], *b = &many->split[both[s]];
            const size_t labels = a->n * gle_data_answers(few);
            if (few->labelled)
                assert_memory_equal(a->labels, b->labels, labels * sizeof *a->labels);
            else
                assert_memory_equal(a->targets, b->targets, a->n * sizeof *a->targets);
        }
        assert_string_not_equal(few->sha256, other->sha256);
        assert_memory_not_equal(few->split[GLE_TRAIN].x, other->split[GLE_TRAIN].x,
                                3 * few->n_steps * few->n_channels * sizeof(float));
        assert_memory_not_equal(few->split[GLE_TRAIN].x, few->split[GLE_TEST].x,
                                2 * few->n_steps * few->n_channels * sizeof(float));
        gle_data_close(other);
        gle_data_close(many);
        gle_data_close(few);
    }
}

/* --- the series of Mackey and Glass --- */

enum { FINE = 512 }; /* steps of a time unit */

/* x at times k / FINE, by Heun's method, which needs the delayed values at whole steps alone. Owns: free(). */
static double *by_heun(double beta, double gamma, double power, double tau, double initial, size_t n)
{
    const long late = lround(tau * FINE);
    const double h = 1.0 / FINE;
    double *x = calloc(n + 1, sizeof *x);

    assert_non_null(x);
    x[0] = initial;
    for (long k = 0; k < (long)n; k++) {
        const double a = k >= late ? x[k - late] : initial, b = k + 1 >= late ? x[k + 1 - late] : initial;
        const double first = beta * a / (1.0 + pow(a, power)) - gamma * x[k];
        const double second = beta * b / (1.0 + pow(b, power)) - gamma * (x[k] + h * first);
        x[k + 1] = x[k] + 0.5 * h * (first + second);
    }
    return x;
}

static void the_series_is_that_of_the_equation(void **state)
{
    static const struct {
        const char *yaml;
        double dt, beta, gamma, power, tau, initial;
    } of[] = {{"", 0.5, 0.2, 0.1, 10.0, 17.0, 1.2},
              {"inner: 0.5, ", 0.5, 0.2, 0.1, 10.0, 17.0, 1.2},
              {"tau: 30, beta: 0.25, gamma: 0.125, power: 8, initial: 0.75, inner: 0.3, ", 1.0, 0.25, 0.125, 8.0, 30.0,
               0.75},
              {"tau: 5.3125, ", 0.25, 0.2, 0.1, 10.0, 5.3125, 1.2}};

    (void)state;
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char yaml[300];
        double *x = by_heun(of[k].beta, of[k].gamma, of[k].power, of[k].tau, of[k].initial, 100 * FINE);
        struct gle_data *data;
        snprintf(yaml, sizeof yaml,
                 "{%snormalise: false, discard: 3, train: 80, test: 0, length: 80, horizon: 10}", of[k].yaml);
        data = open_at("mackey_glass", yaml, of[k].dt);
        assert_int_equal(data->split[GLE_TRAIN].n, 1);
        for (size_t i = 0; i < data->n_steps; i++) {
            const size_t at = (size_t)lround((3.0 + (double)i * of[k].dt) * FINE);
            const double got = (double)data->split[GLE_TRAIN].x[i], ahead = (double)data->split[GLE_TRAIN].targets[i];
            if (!(fabs(got - x[at]) < 2e-5) || !(fabs(ahead - x[at + 10 * FINE]) < 2e-5))
                fail_msg("%zu, step %zu: %.7g, not %.7g; ahead %.7g, not %.7g", k, i, got, x[at], ahead,
                         x[at + 10 * FINE]);
        }
        gle_data_close(data);
        free(x);
    }
}

/* Sequences in one row are the series: 100 steps of training, then 4 of the horizon, then 60 of the test. */
static void parts_follow_one_another(void **state)
{
    static const char parts[] = "discard: 20, train: 52, test: 31, horizon: 2, length: 5, washout: 1.5";
    char yaml[200];
    struct gle_data *plain, *normal;
    const struct gle_samples *train, *test;
    double mean = 0.0, square = 0.0;

    (void)state;
    snprintf(yaml, sizeof yaml, "{%s, normalise: false}", parts);
    plain = open_at("mackey_glass", yaml, 0.5);
    snprintf(yaml, sizeof yaml, "{%s}", parts);
    normal = open_at("mackey_glass", yaml, 0.5);
    train = &plain->split[GLE_TRAIN];
    test = &plain->split[GLE_TEST];
    assert_true(train->n == 10 && test->n == 6 && plain->n_steps == 10 && plain->n_unasked == 3);
    for (size_t i = 0; i + 4 < 100; i++)
        assert_true(train->targets[i] == train->x[i + 4]);
    for (size_t i = 0; i + 4 < 60; i++)
        assert_true(test->targets[i] == test->x[i + 4]);
    snprintf(yaml, sizeof yaml, "{discard: 74, train: 30, test: 0, length: 30, normalise: false}");
    {
        struct gle_data *late = open_at("mackey_glass", yaml, 0.5); /* discard + train + horizon */
        assert_memory_equal(late->split[GLE_TRAIN].x, test->x, 60 * sizeof(float));
        gle_data_close(late);
    }
    for (size_t i = 0; i < 100; i++)
        mean += (double)train->x[i] / 104.0;
    for (size_t i = 96; i < 100; i++) /* the last 4 values of the part are in no sequence, but are targets */
        mean += (double)train->targets[i] / 104.0;
    for (size_t i = 0; i < 104; i++) {
        const double x = (double)(i < 100 ? train->x[i] : train->targets[i - 4]);
        square += (x - mean) * (x - mean) / 104.0;
    }
    assert_true(fabs(normal->origin - mean) < 1e-6 && fabs(normal->unit - sqrt(square)) < 1e-6 && plain->unit == 0.0);
    for (size_t i = 0; i < 100; i++)
        assert_true(fabs((double)normal->split[GLE_TRAIN].x[i] - ((double)train->x[i] - mean) / sqrt(square)) < 1e-5);
    for (size_t i = 0; i < 60; i++)
        assert_true(fabs((double)normal->split[GLE_TEST].targets[i] -
                         ((double)test->targets[i] - mean) / sqrt(square)) < 1e-5);
    gle_data_close(normal);
    gle_data_close(plain);
}

static void the_seed_makes_another_series(void **state)
{
    static const char *const yaml[] = {"{train: 200, test: 0}", "{train: 200, test: 0, spread: 0.5}",
                                       "{train: 200, test: 0, spread: 0.5, seed: 1}"};
    struct gle_data *data[3];

    (void)state;
    for (size_t k = 0; k < 3; k++)
        data[k] = open_at("mackey_glass", yaml[k], 0.5);
    for (size_t k = 0; k < 3; k++)
        assert_string_not_equal(data[k]->sha256, data[(k + 1) % 3]->sha256);
    for (size_t k = 0; k < 3; k++)
        gle_data_close(data[k]);
}

static void lengths_and_numbers_out_of_range_are_refused(void **state)
{
    const struct gle_data_context ctx = {.dt = 0.5};

    (void)state;
    assert_not_opened("adding", "{item: 0.1}", 0.0, &ctx, GLE_ERANGE,
                      "item = 0.1 is 0 steps of dt = 0.5 (1 to 1e+09 are possible)");
    assert_not_opened("copy", "{delay: 1e9}", 0.0, &ctx, GLE_ERANGE,
                      "delay = 1e+09 is 2e+09 steps of dt = 0.5 (1 to 1e+09 are possible)");
    assert_not_opened("copy", "{length: 1000000, item: 1000}", 0.0, &ctx, GLE_ERANGE,
                      "a sample has 4000000010 steps of dt = 0.5, more than 1000000000");
    assert_not_opened("evidence", "{cues: 6}", 0.0, &ctx, GLE_ERANGE, "must be odd, so that one side has more of them");
    assert_not_opened("mackey_glass", "{length: 5000}", 0.0, &ctx, GLE_ERANGE,
                      "must be no longer than train and, if that is not 0, test, so that there is a sequence in each");
    assert_not_opened("mackey_glass", "{length: 2000}", 0.0, &ctx, GLE_ERANGE,
                      "must be no longer than train and, if that is not 0, test, so that there is a sequence in each");
    assert_not_opened("mackey_glass", "{washout: 200}", 0.0, &ctx, GLE_ERANGE,
                      "must be shorter than length, so that something is asked for");
    assert_not_opened("mackey_glass", "{tau: 0.05}", 0.0, &ctx, GLE_ERANGE, "tau = 0.05 is below the inner step, 0.1");
    assert_not_opened("mackey_glass", "{inner: 10, gamma: 100}", 0.0, &ctx, GLE_ERANGE,
                      "the series is no positive number at time 29: inner = 10 is too long for it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adding_asks_for_the_marked_numbers),
        cmocka_unit_test(copy_asks_for_the_symbols_in_order),
        cmocka_unit_test(evidence_asks_for_the_side_with_more_cues),
        cmocka_unit_test(draws_depend_on_the_seed_and_nothing_else),
        cmocka_unit_test(the_series_is_that_of_the_equation),
        cmocka_unit_test(parts_follow_one_another),
        cmocka_unit_test(the_seed_makes_another_series),
        cmocka_unit_test(lengths_and_numbers_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
