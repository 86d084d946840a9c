/* The model of what sums over ranks cost, beside numbers worked out by hand. */
#include "comm/wire.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* 10 us a message, 1 GB/s, 1 ns to add a float of a part. */
static const struct gle_wire wire = {.latency = 10e-6, .rate = 1e9, .adding = 1e-9};

static void assert_seconds(double found, double wanted)
{
    if (fabs(found - wanted) > 1e-6 * wanted)
        fail_msg("%.9g s, where %.9g s are wanted", found, wanted);
}

static void few_numbers_go_at_once(void **state)
{
    (void)state;
    /* 2 doubles and 3 floats are 28 bytes, and begin at multiples of 8: 32 */
    assert_int_equal(gle_wire_bytes(2, 3), 32);
    assert_int_equal(gle_wire_bytes(2, 2), 24);
    /* 2 x 32768 = 65536 = 4 x 16384 */
    assert_true(gle_wire_goes_at_once(2, 0, 8192));
    assert_false(gle_wire_goes_at_once(2, 1, 8192));
    assert_true(gle_wire_goes_at_once(4, 1, 4094));
    assert_false(gle_wire_goes_at_once(4, 1, 4095));
}

static void sums_cost_messages_bytes_and_adding(void **state)
{
    (void)state;
    assert_seconds(gle_wire_sum(&wire, 1, 7, 1000), 0.0);
    /* at once, 8 + 4000 bytes: 10 us + 4.008 us; 2 x 1001 numbers are added: 2.002 us */
    assert_seconds(gle_wire_sum(&wire, 2, 1, 1000), 16.01e-6);
    /* 4 ranks: 10 us and two messages more of 1 us each; 3 x 4008 bytes: 12.024 us; 4 x 1001 numbers: 4.004 us */
    assert_seconds(gle_wire_sum(&wire, 4, 1, 1000), 28.028e-6);
    /* slices of 100,000 floats, 2 ranks: of the doubles 10 us + 8 ns; twice 10 us and 200,000 bytes; 100 us */
    assert_seconds(gle_wire_sum(&wire, 2, 1, 100000), 530.008e-6);
    /* 5 ranks: 13 us + 4 x 8 ns; twice 13 us and 4 slices of 80,000 bytes; 100 us */
    assert_seconds(gle_wire_sum(&wire, 5, 1, 100000), 779.032e-6);
    /* one float more than a piece: two pieces, twice 2 x 10 us; 4 n bytes go through; and n are added, n = 16777217 */
    assert_seconds(gle_wire_sum(&wire, 2, 0, GLE_WIRE_PIECE + 1), 40e-6 + 5.0 * 16777217e-9);
}

/* What is measured of a wire gives that wire. */
static void a_wire_is_found_by_its_times(void **state)
{
    (void)state;
    for (size_t ranks = 2; ranks <= 5; ranks++) {
        /* a double's own 8 bytes are taken for part of the latency */
        const double few = 10e-6 * (1.0 + 0.1 * ((double)ranks - 2.0));
        const double many = gle_wire_sum(&wire, ranks, 0, 100000);
        const struct gle_wire found = gle_wire_fit(ranks, few, many, 100000, 1e-9);
        assert_seconds(found.latency, 10e-6);
        assert_seconds(found.rate, 1e9);
        assert_seconds(found.adding, 1e-9);
    }
}

/* Times that do not go together give no rate below zero, or without end. */
static void disturbed_times_give_a_rate(void **state)
{
    const struct gle_wire found = gle_wire_fit(2, 1e-3, 1e-4, 100000, 1e-9);

    (void)state;
    assert_seconds(found.latency, 1e-3);
    assert_seconds(found.rate, 400000.0 / 1e-6); /* bytes, in a hundredth of the time */
}

static const size_t rows[] = {100, 50, 25};
static const double seconds[] = {1000e-6, 600e-6, 450e-6};
static const struct gle_wire_load load = {
    .rows = rows, .seconds = seconds, .n_points = 3, .n_gradients = 1000, .every = 1};

static void computation_is_that_of_the_rank_with_most_rows(void **state)
{
    (void)state;
    assert_seconds(gle_wire_computation(&load, 1), 1000e-6);
    assert_seconds(gle_wire_computation(&load, 2), 600e-6);
    /* 34 rows: 9/25 of the way from 25 to 50 */
    assert_seconds(gle_wire_computation(&load, 3), 504e-6);
    assert_seconds(gle_wire_computation(&load, 4), 450e-6);
    /* 1 row was not measured, and is taken for no faster than 25 */
    assert_seconds(gle_wire_computation(&load, 100), 450e-6);
}

static void sums_of_several_steps_are_shared_by_them(void **state)
{
    struct gle_wire_load seldom = load;

    (void)state;
    /* with the loss, two numbers of each rank, and one: 6 doubles, 4048 bytes; 2 x 1006 numbers */
    assert_seconds(gle_wire_communication(&load, &wire, 2), 16.06e-6);
    seldom.every = 5; /* 10 doubles, 4080 bytes; 2 x 1010 numbers; of which a step has a fifth */
    assert_seconds(gle_wire_communication(&seldom, &wire, 2), 16.1e-6 / 5.0);
}

/* 1000, 616, 526 and 478 us; from then on computation stays, and sums take longer. */
static void the_best_number_of_ranks_is_where_steps_are_fastest(void **state)
{
    const struct gle_wire slow = {.latency = 1e-3, .rate = 1e9};

    (void)state;
    assert_int_equal(gle_wire_best(&load, &wire, 100), 4);
    assert_int_equal(gle_wire_best(&load, &wire, 3), 3);
    assert_int_equal(gle_wire_best(&load, &slow, 100), 1);
}

static void two_ranks_pay_where_half_of_the_rows_take_longer_than_a_sum(void **state)
{
    struct gle_wire_load one = load, flat = load;
    static const double same[] = {600e-6, 600e-6, 600e-6};

    (void)state;
    /* a row takes (1000 - 600) / 50 = 8 us; half of the batch takes 16.06 us, if it has 4.015 rows */
    assert_seconds(gle_wire_pays_from(&load, &wire), 4.015);
    one.n_points = 1;
    flat.seconds = same;
    assert_true(gle_wire_pays_from(&one, &wire) == 0.0);
    assert_true(gle_wire_pays_from(&flat, &wire) == 0.0);
}

static void runs_begin_where_a_place_becomes_free(void **state)
{
    static const double runs[] = {5.0, 2.0, 2.0, 3.0, 1.0};
    double until[3];

    (void)state;
    assert_seconds(gle_wire_hand_out(runs, 5, until, 1), 13.0);
    /* 0: 5 and 1; 1: 2, 2 and 3 */
    assert_seconds(gle_wire_hand_out(runs, 5, until, 2), 7.0);
    assert_seconds(until[0], 6.0);
    /* 0: 5; 1: 2 and 3; 2: 2 and 1 */
    assert_seconds(gle_wire_hand_out(runs, 5, until, 3), 5.0);
    assert_seconds(until[2], 3.0);
}

/* In the order of parts, in double precision: 1e8 + 1 - 1e8 is 1 that way alone. */
static void parts_are_added_in_their_order(void **state)
{
    enum { N = 150, LD = 160 };
    static float parts[3 * LD];
    float sums[N];

    (void)state;
    for (size_t i = 0; i < N; i++) {
        parts[i] = 1e8f;
        parts[LD + i] = (float)i;
        parts[2 * LD + i] = -1e8f;
    }
    gle_wire_add(sums, parts, N, LD, 3);
    for (size_t i = 0; i < N; i++)
        assert_true(sums[i] == (float)i);
    gle_wire_add(parts + LD, parts, N, LD, 2); /* into a part */
    assert_true(parts[LD + 149] == (float)(1e8 + 149.0));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_numbers_go_at_once),
        cmocka_unit_test(sums_cost_messages_bytes_and_adding),
        cmocka_unit_test(a_wire_is_found_by_its_times),
        cmocka_unit_test(disturbed_times_give_a_rate),
        cmocka_unit_test(computation_is_that_of_the_rank_with_most_rows),
        cmocka_unit_test(sums_of_several_steps_are_shared_by_them),
        cmocka_unit_test(the_best_number_of_ranks_is_where_steps_are_fastest),
        cmocka_unit_test(two_ranks_pay_where_half_of_the_rows_take_longer_than_a_sum),
        cmocka_unit_test(runs_begin_where_a_place_becomes_free),
        cmocka_unit_test(parts_are_added_in_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
