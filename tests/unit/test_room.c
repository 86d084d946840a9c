/* The memory of a device that networks take: what is said of it beforehand is what they take, and how many fit. */
#include "../support/build.h"
#include "../support/random_graph.h"
#include "backend/device.h"
#include "solver/fleet.h"
#include "solver/room.h"

#include <stdlib.h>
#include <string.h>

static const double MIB = 1024.0 * 1024.0;
/* A network of 3 MiB, and 1 MiB of tables; its largest piece has 2 MiB. */
static const struct gle_net_room room = {
    .each = 3 * 1048576.0, .shared = 1048576.0, .largest = 2 * 1048576.0, .largest_is = "states",
    .largest_shared = 5e5};

static struct gle_device_info device_of(double memory, double max_buffer)
{
    return (struct gle_device_info){.name = "Little", .memory = memory * MIB, .max_buffer = max_buffer * MIB};
}

static void networks_fit_by_memory_and_by_their_largest_piece(void **state)
{
    static const struct {
        double memory, max_buffer, taken; /* MiB */
        size_t n;
    } rows[] = {
        {16, 8, 0, 4},  /* four pieces of 2 in 8 */
        {16, 100, 0, 5}, /* 15 for networks of 3 */
        {16, 100, 3, 4}, {16, 100, 12.5, 0}, {3.9, 8, 0, 0}, {4, 8, 0, 1}, {100, 1.9, 0, 0}, {100, 0.4, 0, 0},
        {0, 8, 0, 4},    /* a driver that does not say */
        {16, 0, 0, 5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct gle_device_info info = device_of(rows[i].memory, rows[i].max_buffer);
        struct gle_error err = {0};
        assert_int_equal(gle_net_room_for(&room, &info, rows[i].taken * MIB), rows[i].n);
        assert_int_equal(gle_net_check_room(&room, &info, rows[i].taken * MIB, &err), rows[i].n ? 0 : -1);
        assert_int_equal(err.code, rows[i].n ? GLE_OK : GLE_EDEVICE);
    }
}

static void too_little_is_told_in_numbers(void **state)
{
    struct gle_device_info info = device_of(3.9, 8);
    struct gle_error err = {0};

    (void)state;
    assert_int_equal(gle_net_check_room(&room, &info, 0.0, &err), -1);
    assert_string_equal(err.text, "the network takes 4 MiB of the device 'Little', which has 3.9 MiB");
    info = device_of(100, 1.5);
    err = (struct gle_error){0};
    assert_int_equal(gle_net_check_room(&room, &info, 0.0, &err), -1);
    assert_string_equal(err.text, "the network has 2 MiB of states, and the device 'Little' gives at most 1.5 MiB in "
                                  "one piece");
}

static void what_is_said_is_what_is_taken(void **state)
{
    enum { NETS = 12, ROWS = 5, ROWS_MAX = 7, WINDOW = 6 };
    struct text *text = calloc(1, sizeof *text);
    struct gle_fleet *fleet = test_fleet();
    struct gle_device *device;

    (void)state;
    if (!fleet) {
        free(text);
        skip();
    }
    device = gle_fleet_device(fleet);
    assert_non_null(text);
    for (size_t i = 0; i < NETS; i++) {
        const struct graph_kind kind = {.rows = ROWS, .rows_max = ROWS_MAX};
        const struct gle_graph_options options = {.observed = i % 2, .errors = i % 3, .tape_steps = i % 2 ? 0 : WINDOW};
        const double before = gle_device_get_taken(device);
        struct gle_net_room said;
        struct gle_error err = {0};
        struct built b;
        struct gle_rng rng;
        gle_rng_seed(&rng, 100 + i);
        random_graph(text, &kind, &rng);
        b = built_load(text->yaml);
        if (gle_graph_build(&b.graph, b.exp, &options, &err) || gle_net_build(&b.net, b.graph, 1, &err))
            fail_msg("%s\n%s", err.text, text->yaml);
        gle_net_set_batch(b.net, b.graph->max_batch);
        if (gle_net_measure_room(&said, b.graph, gle_device_info(device), &err) ||
            gle_net_move(b.net, fleet, &err))
            fail_msg("%s\n%s", err.text, text->yaml);
        if (said.each + said.shared != gle_device_get_taken(device) - before)
            fail_msg("%.0f and %.0f bytes said, %.0f taken\n%s", said.each, said.shared,
                     gle_device_get_taken(device) - before, text->yaml);
        assert_true(said.largest > 0 && said.largest <= said.each && said.largest_shared <= said.shared);
        built_clear(&b);
        assert_true(gle_device_get_taken(device) == before);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_fit_by_memory_and_by_their_largest_piece),
        cmocka_unit_test(too_little_is_told_in_numbers),
        cmocka_unit_test(what_is_said_is_what_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
