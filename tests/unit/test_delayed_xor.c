/* The data set delayed_xor: pulses, signs, labels, lengths in steps. */
#include "../support/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct gle_data *open_at(const char *yaml, double dt)
{
    const struct gle_data_context ctx = {.dt = dt};

    return open_data("delayed_xor", yaml, 0.0, &ctx);
}

/* Lengths in steps. */
struct lengths {
    size_t pulse, pause, answer;
};

static int sign_of(const struct gle_data *data, enum gle_split split, uint32_t row, size_t t)
{
    float x = 7.0f;

    gle_data_input(&x, 1, data, batch_of(data, split, &row, 1), t);
    assert_true(x == -1.0f || x == 0.0f || x == 1.0f);
    return (int)x;
}

/* Which pair of signs a sample shows, as 2 a + b, after a look at each of its steps, its label and its target. */
static int pair_of(const struct gle_data *data, enum gle_split split, uint32_t row, struct lengths n)
{
    const size_t second = n.pulse + n.pause;
    const int a = sign_of(data, split, row, 0), b = sign_of(data, split, row, second);
    float y[2];

    assert_true(a && b);
    for (size_t t = 0; t < data->n_steps; t++) {
        const int want = t < n.pulse ? a : t >= second && t < second + n.pulse ? b : 0;
        assert_int_equal(sign_of(data, split, row, t), want);
        gle_data_target(y, 2, data, batch_of(data, split, &row, 1), t);
        assert_true(y[a != b] == 1.0f && y[a == b] == 0.0f);
    }
    assert_int_equal(data->split[split].labels[row], a != b);
    return 2 * (a > 0) + (b > 0);
}

static void assert_lengths(const char *yaml, double dt, struct lengths n)
{
    struct gle_data *data = open_at(yaml, dt);

    assert_int_equal(data->n_unasked, 2 * n.pulse + n.pause);
    assert_int_equal(data->n_steps, 2 * n.pulse + n.pause + n.answer);
    assert_true(data->n_channels == 1 && data->n_targets == 2 && data->labelled && !data->held);
    for (uint32_t row = 0; row < data->split[GLE_TRAIN].n; row++)
        (void)pair_of(data, GLE_TRAIN, row, n);
    gle_data_close(data);
}

static void two_pulses_a_pause_and_the_answer(void **state)
{
    (void)state;
    assert_lengths("{samples: 8}", 0.1, (struct lengths){10, 30, 10});
    assert_lengths("{pulse: 1.0, pause: 3.0, answer: 1.0, samples: 8}", 0.2, (struct lengths){5, 15, 5});
    assert_lengths("{pulse: 0.3, pause: 0.7, answer: 0.1, samples: 4}", 0.1, (struct lengths){3, 7, 1});
    assert_lengths("{pulse: 0.5, pause: 0, answer: 1.5, samples: 4}", 0.5, (struct lengths){1, 0, 3});
    assert_lengths("{pulse: 0.9, pause: 2.1, answer: 0.6, samples: 4}", 0.3, (struct lengths){3, 7, 2});
}

static void assert_balanced(const struct gle_data *data, enum gle_split split, size_t n)
{
    size_t seen[4] = {0}, in_turn = 0;
    int last = -1;

    assert_int_equal(data->split[split].n, n);
    for (uint32_t row = 0; row < n; row++) {
        const int pair = pair_of(data, split, row, (struct lengths){1, 2, 1});
        in_turn += last >= 0 && pair == (last + 1) % 4;
        seen[pair]++;
        last = pair;
    }
    for (size_t k = 0; k < 4; k++)
        assert_int_equal(seen[k], n / 4);
    assert_in_range(in_turn, n / 6, n / 3); /* a quarter, by chance: the order is a random one */
}

static void pairs_come_equally_often_in_random_order(void **state)
{
    static const char lengths[] = "pulse: 0.5, pause: 1.0, answer: 0.5";
    char yaml[128];
    struct gle_data *data, *other;

    (void)state;
    snprintf(yaml, sizeof yaml, "{%s}", lengths);
    data = open_at(yaml, 0.5);
    assert_balanced(data, GLE_TRAIN, 4000);
    assert_balanced(data, GLE_TEST, 1000);
    assert_int_equal(data->split[GLE_VALIDATION].n, 0);
    assert_memory_not_equal(data->split[GLE_TRAIN].labels, data->split[GLE_TEST].labels, 1000 * sizeof(int32_t));
    snprintf(yaml, sizeof yaml, "{%s, samples: 400, test_samples: 0, seed: 1}", lengths);
    other = open_at(yaml, 0.5);
    assert_balanced(other, GLE_TRAIN, 400);
    assert_int_equal(other->split[GLE_TEST].n, 0);
    gle_data_close(other);
    snprintf(yaml, sizeof yaml, "{%s, seed: 1}", lengths);
    other = open_at(yaml, 0.5);
    assert_memory_not_equal(data->split[GLE_TRAIN].labels, other->split[GLE_TRAIN].labels, 4000 * sizeof(int32_t));
    gle_data_close(other);
    gle_data_close(data);
}

/* Two sets of the same inputs and labels, whose targets come at different steps, cannot be had from settings: here the
 * number of steps without a target alone is another. */
static int open_late(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                     struct gle_error *err)
{
    const struct gle_dataset *set = (const void *)gle_table_find(&gle_dataset_table, "delayed_xor");

    if (set->open(data, params, ctx, err))
        return -1;
    data->n_unasked++;
    return 0;
}

static void the_checksum_knows_when_the_target_comes(void **state)
{
    const struct gle_data_context ctx = {.dt = 0.5};
    struct gle_data *data = open_at("{}", 0.5), *same = open_at("{pulse: 1}", 0.5), *late;
    struct gle_error err = {0};
    struct gle_dataset set;
    struct chosen c;

    (void)state;
    assert_int_equal(choose(&c, "delayed_xor", "{}", &err), 0);
    set = *c.set;
    set.open = open_late;
    assert_int_equal(gle_data_open(&late, &set, c.params, 0.0, &ctx, &err), 0);
    assert_string_equal(data->sha256, same->sha256);
    assert_string_not_equal(data->sha256, late->sha256);
    forget(&c);
    gle_data_close(late);
    gle_data_close(same);
    gle_data_close(data);
}

static void lengths_and_numbers_out_of_range_are_refused(void **state)
{
    const struct gle_data_context ctx = {.dt = 0.5};

    (void)state;
    assert_not_opened("delayed_xor", "{pulse: 0.2}", 0.0, &ctx, GLE_ERANGE,
                      "pulse = 0.2 is 0 steps of dt = 0.5 (1 to 1e+09 are possible)");
    assert_not_opened("delayed_xor", "{pause: 1e9}", 0.0, &ctx, GLE_ERANGE,
                      "pause = 1e+09 is 2e+09 steps of dt = 0.5 (1 to 1e+09 are possible)");
    assert_not_opened("delayed_xor", "{answer: 0.1}", 0.0, &ctx, GLE_ERANGE,
                      "answer = 0.1 is 0 steps of dt = 0.5 (1 to 1e+09 are possible)");
    assert_not_opened("delayed_xor", "{samples: 6}", 0.0, &ctx, GLE_ERANGE,
                      "must be a multiple of 4, so that the four pairs of signs come equally often");
    assert_not_opened("delayed_xor", "{test_samples: 2}", 0.0, &ctx, GLE_ERANGE,
                      "must be a multiple of 4, so that the four pairs of signs come equally often");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_pulses_a_pause_and_the_answer),
        cmocka_unit_test(pairs_come_equally_often_in_random_order),
        cmocka_unit_test(the_checksum_knows_when_the_target_comes),
        cmocka_unit_test(lengths_and_numbers_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
