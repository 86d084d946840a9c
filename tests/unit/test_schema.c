/* The schema under a lack of memory: all of it, or none. What it says is looked at by tests/command/test_schema.py. */
#include "base/memory.h"
#include "schema/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void it_is_whole_or_not_there(void **state)
{
    char *whole = gle_schema_json(), *text = NULL;

    (void)state;
    assert_non_null(whole);
    assert_true(strlen(whole) > 100000);
    for (size_t k = 0; !text; k += 1 + k / 30) { /* one by one at first, then in strides */
        gle_memory_fail_after(k);
        text = gle_schema_json();
    }
    gle_memory_fail_after(SIZE_MAX);
    assert_string_equal(text, whole);
    gle_free(text);
    gle_free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_whole_or_not_there)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
