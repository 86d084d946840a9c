/* Sums, shared bytes and messages of ranks; started by mpirun, of several, and else of one by itself. */
#include "base/memory.h"
#include "comm/comm.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct gle_comm comm;

static float value_of(size_t rank, size_t i)
{
    return 0.1f * (float)(rank + 1) + 1e7f * (float)(i % 7) / (float)(rank + 2);
}

/* Few enough to go at once, and too many. */
static void sums_of_both_are_those_of_each(void **state)
{
    static const size_t counts[] = {0, 3, 1000, 100000};
    struct gle_error err = {0};

    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        enum { DOUBLES = 5 };
        const size_t n = counts[c];
        float *values = gle_calloc(n + 1, sizeof *values);
        double doubles[DOUBLES];
        assert_non_null(values);
        for (size_t i = 0; i < n; i++)
            values[i] = value_of(comm.rank, i);
        for (size_t i = 0; i < DOUBLES; i++)
            doubles[i] = (double)value_of(comm.rank, i) / 3.0;
        assert_int_equal(gle_comm_sum_both(&comm, doubles, DOUBLES, values, n, &err), 0);
        for (size_t i = 0; i < n || i < DOUBLES; i++) {
            double sum = 0.0, of_doubles = 0.0;
            for (size_t r = 0; r < comm.size; r++) {
                sum += (double)value_of(r, i);
                of_doubles += (double)value_of(r, i) / 3.0;
            }
            assert_true(i >= n || values[i] == (float)sum);
            assert_true(i >= DOUBLES || doubles[i] == of_doubles);
        }
        gle_free(values);
    }
}

/* More values than ranks, fewer, and none; the sum is that of the plain loop over ranks. */
static void sums_are_in_the_order_of_ranks(void **state)
{
    static const size_t counts[] = {0, 1, 2, 5, 1000};
    struct gle_error err = {0};

    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        const size_t n = counts[c];
        float *values = gle_calloc(n + 1, sizeof *values);
        double *doubles = gle_calloc(n + 1, sizeof *doubles);
        assert_true(values && doubles);
        for (size_t i = 0; i < n; i++)
            doubles[i] = (double)(values[i] = value_of(comm.rank, i)) / 3.0;
        assert_int_equal(gle_comm_sum(&comm, values, n, &err), 0);
        assert_int_equal(gle_comm_sum_doubles(&comm, doubles, n, &err), 0);
        for (size_t i = 0; i < n; i++) {
            double sum = 0.0, of_doubles = 0.0;
            for (size_t r = 0; r < comm.size; r++) {
                sum += (double)value_of(r, i);
                of_doubles += (double)value_of(r, i) / 3.0;
            }
            assert_true(values[i] == (float)sum);
            assert_true(doubles[i] == of_doubles);
        }
        gle_free(values);
        gle_free(doubles);
    }
}

static void all_have_the_bytes_of_rank_0(void **state)
{
    struct gle_error err = {0};
    char text[16] = "of another";

    (void)state;
    if (!comm.rank)
        strcpy(text, "of rank 0");
    assert_int_equal(gle_comm_share(&comm, text, sizeof text, &err), 0);
    assert_string_equal(text, "of rank 0");
}

/* Every rank sends numbers, and an empty message at last, to the first. */
static void messages_come_in_their_order(void **state)
{
    enum { N = 200, NUMBER = 1, LAST = 2 };
    static const struct timespec NAP = {0, 1000000L};
    struct gle_comm_message m;
    struct gle_error err = {0};
    size_t n_over = 1;
    int *next = gle_calloc(comm.size, sizeof *next);

    (void)state;
    assert_non_null(next);
    for (int i = 0; comm.rank && i < N; i++)
        assert_int_equal(gle_comm_send(&comm, 0, NUMBER, &i, sizeof i, &err), 0);
    if (comm.rank)
        assert_int_equal(gle_comm_send(&comm, 0, LAST, NULL, 0, &err), 0);
    while (!comm.rank && n_over < comm.size) {
        if (!gle_comm_receive(&comm, &m)) {
            nanosleep(&NAP, NULL);
            continue;
        }
        assert_in_range(m.from, 1, comm.size - 1);
        if (m.tag == LAST) {
            assert_int_equal(m.n, 0);
            assert_int_equal(next[m.from], N);
            n_over++;
        } else {
            assert_int_equal(m.n, sizeof(int));
            assert_memory_equal(m.bytes, &next[m.from], sizeof(int));
            next[m.from]++;
        }
    }
    assert_false(gle_comm_receive(&comm, &m));
    gle_free(next);
}

static void one_by_itself_sends_nothing(void **state)
{
    struct gle_error err = {0};

    (void)state;
    if (comm.size > 1)
        return;
    assert_int_equal(gle_comm_send(&comm, 0, 1, "x", 1, &err), -1);
    assert_int_equal(err.code, GLE_EDEVICE);
    assert_false(gle_comm_is_lost(&comm, 0));
}

static void one_that_is_given_up_is_lost(void **state)
{
    (void)state;
    if (comm.size == 1)
        return;
    assert_int_equal(comm.n_here, comm.size);
    assert_false(gle_comm_is_lost(&comm, 1));
    gle_comm_give_up(&comm, 1);
    assert_true(gle_comm_is_lost(&comm, 1));
}

/* A rank that is gone is noticed, which takes a moment, by all others; where mpirun lets them live. */
static int lose_the_last_rank(void)
{
    struct gle_error err = {0};
    float value = 1.0f;

    if (comm.rank + 1 == comm.size)
        raise(SIGKILL);
    if (!gle_comm_sum(&comm, &value, 1, &err) || err.code != GLE_EDEVICE || !strstr(err.text, "was lost"))
        return 1;
    fprintf(stderr, "rank %zu: %s\n", comm.rank, err.text);
    gle_comm_end(&comm, false);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_in_the_order_of_ranks),
        cmocka_unit_test(sums_of_both_are_those_of_each), cmocka_unit_test(all_have_the_bytes_of_rank_0),
        cmocka_unit_test(messages_come_in_their_order),   cmocka_unit_test(one_by_itself_sends_nothing),
        cmocka_unit_test(one_that_is_given_up_is_lost),
    };
    char starter[GLE_COMM_STARTER];
    struct gle_error err = {0};
    size_t size;
    int failed;

    comm = gle_comm_alone();
    if (gle_comm_is_expected(&size, starter) && gle_comm_start(&comm, "test_comm", &err))
        return 1;
    if (getenv("GLE_LOSE"))
        _exit(lose_the_last_rank());
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += getenv("GLE_RANKS") && comm.size != strtoull(getenv("GLE_RANKS"), NULL, 10);
    gle_comm_end(&comm, !failed);
    return failed;
}
