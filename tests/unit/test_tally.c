/* Many JSON values that become one, as if all of them were there at once. */
#include "base/memory.h"
#include "report/json.h"
#include "report/tally.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 8 };

/* The tally of JSON texts; NULL among them: a value that is not there. */
static json_t *tally_of(const char *const *texts, size_t n)
{
    struct gle_tally *tally = gle_tally_create();
    struct gle_error err = {0};
    json_t *out;

    assert_non_null(tally);
    for (size_t i = 0; i < n; i++) {
        json_t *value = texts[i] ? json_loads(texts[i], JSON_DECODE_ANY, NULL) : NULL;
        assert_true(value || !texts[i]);
        assert_int_equal(gle_tally_add(tally, value, &err), 0);
        json_decref(value); /* it is not needed any longer */
    }
    out = gle_tally_json(tally);
    gle_tally_destroy(tally);
    return out;
}

static void assert_json(json_t *value, const char *wanted)
{
    json_t *other = json_loads(wanted, JSON_DECODE_ANY, NULL);
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    assert_non_null(other);
    if (!json_equal(value, other))
        fail_msg("%s in place of %s", text, wanted);
    gle_free(text); /* jansson's memory is ours, see gle_json_begin() */
    json_decref(other);
    json_decref(value);
}

static void each_kind_of_value_becomes_one(void **state)
{
    static const struct {
        const char *values[MOST];
        size_t n;
        const char *wanted;
    } rows[] = {
        {{"1.0", "2.0", "6.0", "3.0"}, 4, "{\"mean\": 3.0, \"std\": 1.8708286933869707, \"min\": 1.0, \"max\": 6.0, "
                                          "\"n\": 4}"},
        {{"0.5"}, 1, "{\"mean\": 0.5, \"std\": 0.0, \"min\": 0.5, \"max\": 0.5, \"n\": 1}"},
        {{"7", "7", "7"}, 3, "7"},
        {{"2", "4"}, 2, "{\"mean\": 3.0, \"std\": 1.0, \"min\": 2.0, \"max\": 4.0, \"n\": 2}"},
        {{"\"adam\"", "\"adam\""}, 2, "\"adam\""},
        {{"\"adam\"", "\"sgd\""}, 2, "null"},
        {{"true", "true"}, 2, "true"},
        {{"null", "null"}, 2, "null"},
        {{NULL, NULL}, 2, "null"},
        {{NULL}, 0, "null"},
        {{"null", "5.0"}, 2, "{\"mean\": 5.0, \"std\": 0.0, \"min\": 5.0, \"max\": 5.0, \"n\": 1}"},
        {{"5", "null"}, 2, "{\"mean\": 5.0, \"std\": 0.0, \"min\": 5.0, \"max\": 5.0, \"n\": 1}"},
        {{NULL, "\"word\""}, 2, "null"},
        {{"{\"a\": 1, \"b\": [2, 3]}", "{\"a\": 1, \"b\": [2, 3]}"}, 2, "{\"a\": 1, \"b\": [2, 3]}"},
        {{"{\"a\": 1}", "{\"b\": 1}"}, 2,
         "{\"a\": {\"mean\": 1.0, \"std\": 0.0, \"min\": 1.0, \"max\": 1.0, \"n\": 1}}"},
        {{"null", "{\"a\": 1}"}, 2,
         "{\"a\": {\"mean\": 1.0, \"std\": 0.0, \"min\": 1.0, \"max\": 1.0, \"n\": 1}}"},
        {{"[1, 2]", "[1]", "[1, 2, 3]"}, 3, "[1, 2, 3]"}, /* the last of one list, the one before of two */
        {{"[{\"a\": 1}]", "[{\"a\": 1}, {\"a\": 2, \"b\": 4.0}]", "[]", "[{\"a\": 1}, {\"a\": 2, \"b\": 8.0}]"}, 4,
         "[{\"a\": 1}, {\"a\": 2, \"b\": {\"mean\": 6.0, \"std\": 2.0, \"min\": 4.0, \"max\": 8.0, \"n\": 2}}]"},
        {{"[]", "[0.5]"}, 2, "[{\"mean\": 0.5, \"std\": 0.0, \"min\": 0.5, \"max\": 0.5, \"n\": 1}]"},
        {{"{\"a\": \"x\"}", "3"}, 2, "{\"a\": null}"},
        {{"[]", "[]"}, 2, "[]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_json(tally_of(rows[i].values, rows[i].n), rows[i].wanted);
}

/* The mean is far from zero, where sums of squares would lose all digits of the deviation. */
static void the_deviation_is_that_of_two_passes(void **state)
{
    enum { N = 1000 };
    struct gle_tally *tally = gle_tally_create();
    struct gle_error err = {0};
    double x[N], mean = 0.0, squares = 0.0;
    json_t *out;

    (void)state;
    assert_non_null(tally);
    for (size_t i = 0; i < N; i++) {
        json_t *value;
        x[i] = 1e8 + sin((double)i);
        mean += x[i] / N;
        value = json_real(x[i]);
        assert_int_equal(gle_tally_add(tally, value, &err), 0);
        json_decref(value);
    }
    for (size_t i = 0; i < N; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    out = gle_tally_json(tally);
    assert_true(fabs(json_number_value(json_object_get(out, "mean")) - mean) < 1e-6);
    assert_true(fabs(json_number_value(json_object_get(out, "std")) - sqrt(squares / N)) < 1e-7);
    json_decref(out);
    gle_tally_destroy(tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_value_becomes_one),
        cmocka_unit_test(the_deviation_is_that_of_two_passes),
    };

    gle_json_begin(); /* jansson allocates as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
