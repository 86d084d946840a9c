/* Batches, from samples in memory and from samples that are made. */
#include "base/memory.h"
#include "data/feed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { CHANNELS = 3, FRAMES_MAX = 5, SAMPLES = 40, UPSAMPLE = 4 };

/* --- samples that tell where they come from --- */

struct maker_state {
    atomic_int made, desks;
    bool slow; /* some samples take longer than others */
};

static size_t length_of(const void *state, enum gle_split split, uint32_t row)
{
    (void)state;
    return 1 + (row + (size_t)split) % FRAMES_MAX;
}

static float value_of(enum gle_split split, uint32_t row, uint64_t draw, size_t frame, size_t c)
{
    return (float)(10000 * (int)split + 100 * (int)row + 10 * (int)frame + (int)c) + 1e-3f * (float)draw;
}

static void make(const void *state, void *desk, float *frames, enum gle_split split, uint32_t row, uint64_t draw)
{
    struct maker_state *s = (struct maker_state *)state;
    const struct timespec nap = {0, 100000 * (long)(row * 7 % 5)};
    uint64_t *last = desk;

    *last = draw; /* a race, if two threads had one desk */
    if (s->slow)
        nanosleep(&nap, NULL);
    for (size_t f = 0; f < length_of(state, split, row); f++)
        for (size_t c = 0; c < CHANNELS; c++)
            frames[f * CHANNELS + c] = value_of(split, row, *last, f, c);
    atomic_fetch_add(&s->made, 1);
}

static void *open_desk(const void *state)
{
    void *desk = gle_calloc(1, sizeof(uint64_t));

    if (desk)
        atomic_fetch_add(&((struct maker_state *)state)->desks, 1);
    return desk;
}

static void close_desk(void *desk)
{
    gle_free(desk);
}

static struct gle_data made_data(struct maker_state *state)
{
    struct gle_data data = {.n_steps = FRAMES_MAX * UPSAMPLE,
                            .n_channels = CHANNELS,
                            .n_targets = 2,
                            .labelled = 1,
                            .maker = {.state = state,
                                      .frames_max = FRAMES_MAX,
                                      .upsample = UPSAMPLE,
                                      .length = length_of,
                                      .make = make,
                                      .open_desk = open_desk,
                                      .close_desk = close_desk}};

    for (int s = 0; s < GLE_SPLITS; s++)
        data.split[s].n = SAMPLES;
    return data;
}

static struct gle_feed *feed_of(const struct gle_data *data, size_t batch_max, size_t n_threads)
{
    struct gle_error err = {0};
    struct gle_feed *feed;

    if (gle_feed_open(&feed, data, batch_max, n_threads, &err))
        fail_msg("%s", err.text);
    return feed;
}

static void add(struct gle_feed *feed, enum gle_split split, const uint32_t *rows, size_t n, size_t batch_size,
                uint64_t first_draw)
{
    const struct gle_pass pass = {split, rows, n, batch_size, first_draw, false};
    struct gle_error err = {0};

    if (gle_feed_add(feed, &pass, &err))
        fail_msg("%s", err.text);
}

static void assert_made(const struct gle_batch *batch, const uint32_t *rows, size_t B, uint64_t first_draw)
{
    size_t longest = 0;

    assert_int_equal(batch->B, B);
    assert_memory_equal(batch->rows, rows, B * sizeof *rows);
    for (size_t b = 0; b < B; b++) {
        const size_t n = length_of(NULL, batch->split, rows[b]);
        assert_int_equal(batch->n_frames[b], n);
        longest = n > longest ? n : longest;
        for (size_t i = 0; i < n * CHANNELS; i++)
            assert_true(batch->frames[b * FRAMES_MAX * CHANNELS + i] ==
                        value_of(batch->split, rows[b], first_draw + b, i / CHANNELS, i % CHANNELS));
    }
    assert_int_equal(batch->n_steps, longest * UPSAMPLE);
}

/* Any order, with repetitions. */
static void some_rows(uint32_t *rows, size_t n, uint32_t factor)
{
    for (size_t i = 0; i < n; i++)
        rows[i] = (uint32_t)i * factor % SAMPLES;
}

/* --- tests --- */

static void samples_in_memory_come_batch_by_batch_and_pass_by_pass(void **state)
{
    struct gle_data data = {.n_steps = 6, .n_channels = 1};
    struct gle_feed *feed = feed_of(&data, 4, 1);
    uint32_t rows[10], second[3] = {2, 2, 1};
    double waited = 0.0;

    (void)state;
    some_rows(rows, 10, 7);
    add(feed, GLE_TRAIN, rows, 10, 4, 0);
    add(feed, GLE_TEST, second, 3, 3, 0);
    for (size_t at = 0; at < 10; at += 4) {
        const struct gle_batch *batch = gle_feed_next(feed, &waited);
        assert_int_equal(batch->split, GLE_TRAIN);
        assert_int_equal(batch->B, at == 8 ? 2 : 4);
        assert_int_equal(batch->n_steps, 6);
        assert_null(batch->frames);
        assert_memory_equal(batch->rows, rows + at, batch->B * sizeof *rows);
        if (at == 0) /* copies have been taken */
            second[0] = 39;
    }
    assert_int_equal(gle_feed_next(feed, &waited)->rows[0], 2);
    add(feed, GLE_TRAIN, rows, 1, 1, 0);
    assert_int_equal(gle_feed_next(feed, &waited)->B, 1);
    gle_feed_close(feed);
}

static void made_samples_are_the_same_on_any_number_of_threads(void **state)
{
    enum { PASSES = 6, BATCH = 7 };

    (void)state;
    for (size_t n_threads = 1; n_threads <= 4; n_threads++) {
        struct maker_state s = {.slow = true};
        const struct gle_data data = made_data(&s);
        struct gle_feed *feed = feed_of(&data, BATCH, n_threads);
        uint32_t rows[PASSES][SAMPLES];
        double waited = 0.0;
        some_rows(rows[0], SAMPLES, 3);
        add(feed, GLE_TRAIN, rows[0], SAMPLES, BATCH, 100);
        for (uint32_t p = 0; p < PASSES; p++) {
            for (size_t at = 0; at < SAMPLES; at += BATCH) {
                const size_t left = SAMPLES - at;
                const struct gle_batch *batch = gle_feed_next(feed, &waited);
                assert_int_equal(batch->split, p % GLE_SPLITS);
                assert_made(batch, rows[p] + at, left < BATCH ? left : BATCH, 100 + 1000 * p + at);
                if (at == 0 && p + 1 < PASSES) {
                    some_rows(rows[p + 1], SAMPLES, p + 5);
                    add(feed, (enum gle_split)((p + 1) % GLE_SPLITS), rows[p + 1], SAMPLES, BATCH,
                        100 + 1000 * (p + 1));
                }
            }
        }
        gle_feed_close(feed);
        assert_int_equal(s.made, PASSES * SAMPLES);
        assert_int_equal(s.desks, n_threads);
        assert_true(waited >= 0.0);
    }
}

static void samples_are_made_while_a_batch_is_shown(void **state)
{
    struct maker_state s = {0};
    const struct gle_data data = made_data(&s);
    struct gle_feed *feed = feed_of(&data, 10, 1);
    const struct timespec nap = {0, 1000000};
    uint32_t rows[SAMPLES];
    double waited = 0.0;

    (void)state;
    some_rows(rows, SAMPLES, 1);
    add(feed, GLE_TRAIN, rows, SAMPLES, 10, 0);
    for (int i = 0; i < 10000 && s.made < 30; i++) /* all that there is room for, before anybody asks */
        nanosleep(&nap, NULL);
    assert_int_equal(s.made, 30);
    assert_made(gle_feed_next(feed, &waited), rows, 10, 0);
    for (int i = 0; i < 20; i++)
        nanosleep(&nap, NULL);
    assert_int_equal(s.made, 30); /* the one shown keeps its room */
    assert_made(gle_feed_next(feed, &waited), rows + 10, 10, 10);
    for (int i = 0; i < 10000 && s.made < 40; i++)
        nanosleep(&nap, NULL);
    assert_int_equal(s.made, 40);
    gle_feed_close(feed);
}

static void a_feed_may_be_closed_at_any_time(void **state)
{
    uint32_t rows[SAMPLES];

    (void)state;
    some_rows(rows, SAMPLES, 3);
    for (size_t shown = 0; shown < 6; shown++) {
        struct maker_state s = {.slow = true};
        const struct gle_data data = made_data(&s);
        struct gle_feed *feed = feed_of(&data, 8, 3);
        double waited = 0.0;
        add(feed, GLE_TRAIN, rows, SAMPLES, 8, 0);
        if (shown)
            add(feed, GLE_TEST, rows, SAMPLES, 5, 0);
        for (size_t i = 0; i < shown; i++)
            gle_feed_next(feed, &waited);
        gle_feed_close(feed);
    }
    gle_feed_close(NULL);
}

static void without_memory_there_is_no_feed(void **state)
{
    struct maker_state s = {0};
    const struct gle_data data = made_data(&s);
    struct gle_feed *feed = NULL;
    size_t k = 0;

    (void)state;
    for (; !feed; k++) {
        struct gle_error err = {0};
        gle_memory_fail_after(k);
        if (gle_feed_open(&feed, &data, 8, 2, &err)) {
            assert_null(feed);
            assert_int_equal(err.code, GLE_ENOMEM);
        }
    }
    assert_true(k > 10);
    for (k = 0;; k++) {
        const uint32_t row = 0;
        const struct gle_pass pass = {.split = GLE_TRAIN, .rows = &row, .n = 1, .batch_size = 1};
        struct gle_error err = {0};
        gle_memory_fail_after(k);
        if (!gle_feed_add(feed, &pass, &err))
            break;
        assert_int_equal(err.code, GLE_ENOMEM);
    }
    gle_memory_fail_after((size_t)-1);
    assert_int_equal(k, 1);
    gle_feed_close(feed);
}

static void inputs_are_interpolated_between_frames_and_zero_after_them(void **state)
{
    struct maker_state s = {0};
    const struct gle_data data = made_data(&s);
    struct gle_feed *feed = feed_of(&data, 2, 1);
    const uint32_t rows[] = {3, 1}; /* of 4 and of 2 frames */
    const struct gle_batch *batch;
    double waited = 0.0;

    (void)state;
    add(feed, GLE_TRAIN, rows, 2, 2, 0);
    batch = gle_feed_next(feed, &waited);
    assert_int_equal(batch->n_steps, 4 * UPSAMPLE);
    for (size_t t = 0; t < batch->n_steps; t++) {
        float x[2 * (CHANNELS + 1)];
        for (size_t i = 0; i < 2 * (CHANNELS + 1); i++)
            x[i] = -7.0f;
        gle_data_input(x, CHANNELS + 1, &data, batch, t);
        for (size_t b = 0; b < 2; b++) {
            const double last = b ? 1.0 : 3.0;
            const double at = fmin(fmax(((double)t + 0.5) / UPSAMPLE - 0.5, 0.0), last);
            for (size_t c = 0; c < CHANNELS; c++) {
                const double first = (double)value_of(GLE_TRAIN, rows[b], b, 0, c);
                const double want = t < (size_t)(last + 1.0) * UPSAMPLE ? first + 10.0 * at : 0.0;
                assert_true(fabs((double)x[b * (CHANNELS + 1) + c] - want) < 1e-4);
            }
            assert_true(x[b * (CHANNELS + 1) + CHANNELS] == -7.0f);
        }
    }
    gle_feed_close(feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_in_memory_come_batch_by_batch_and_pass_by_pass),
        cmocka_unit_test(made_samples_are_the_same_on_any_number_of_threads),
        cmocka_unit_test(samples_are_made_while_a_batch_is_shown),
        cmocka_unit_test(a_feed_may_be_closed_at_any_time),
        cmocka_unit_test(without_memory_there_is_no_feed),
        cmocka_unit_test(inputs_are_interpolated_between_frames_and_zero_after_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
