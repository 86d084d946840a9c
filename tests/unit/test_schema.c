/* The schema under a lack of memory: all of it, or none. What it says is looked at by tests/command/test_schema.py. */
#include "base/memory.h"
#include "report/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

static size_t allocations, left;

static void *limited_malloc(size_t size)
{
    allocations++;
    if (!left)
        return NULL;
    left--;
    return malloc(size);
}

static void it_is_whole_or_not_there(void **state)
{
    enum { RUNS = 100 };
    char *whole;
    size_t n;

    (void)state;
    json_set_alloc_funcs(limited_malloc, free);
    left = SIZE_MAX;
    whole = gle_schema_json();
    assert_non_null(whole);
    n = allocations;
    for (size_t i = 0; i <= RUNS; i++) {
        char *text;
        left = i < RUNS / 2 ? i : n * (i - RUNS / 2) / (RUNS / 2); /* one by one at first, then in strides */
        text = gle_schema_json();
        assert_true(!text == (left == 0 && i < RUNS));
        if (text)
            assert_string_equal(text, whole);
        gle_free(text);
    }
    json_set_alloc_funcs(malloc, free);
    gle_free(whole);
}

static void no_memory_for_its_defaults_is_noticed(void **state)
{
    char *text = NULL;

    (void)state;
    for (size_t i = 0; !text; i++) {
        gle_memory_fail_after(i);
        text = gle_schema_json();
    }
    gle_memory_fail_after((size_t)-1);
    assert_true(strlen(text) > 100000);
    gle_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_whole_or_not_there),
        cmocka_unit_test(no_memory_for_its_defaults_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
