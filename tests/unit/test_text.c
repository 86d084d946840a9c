#include "base/text.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const char *suggested(const char *word, const char *const *candidates)
{
    struct gle_suggestion s = {.word = word};
    for (; *candidates; candidates++)
        gle_suggest(&s, *candidates);
    return s.best;
}

static void a_near_word_is_suggested(void **state)
{
    static const char *const names[] = {"linear", "relu", "tanh", "softplus", NULL};

    (void)state;
    assert_string_equal(suggested("tahn", names), "tanh");
    assert_string_equal(suggested("Tanh", names), "tanh");
    assert_string_equal(suggested("rleu", names), "relu");
    assert_string_equal(suggested("softpluss", names), "softplus");
    assert_string_equal(suggested("lineer", names), "linear");
}

static void the_nearest_word_wins_and_the_first_of_equals(void **state)
{
    static const char *const names[] = {"tau_x", "tau_r", "tau_m", NULL};

    (void)state;
    assert_string_equal(suggested("tau_m", names), "tau_m");
    assert_string_equal(suggested("tua_r", names), "tau_r");
    assert_string_equal(suggested("tau_y", names), "tau_x");
}

static void a_far_word_is_not_suggested(void **state)
{
    static const char *const names[] = {"linear", "tanh", "a", NULL};
    char word[300];

    (void)state;
    assert_null(suggested("xyz", names));
    assert_null(suggested("", names));
    assert_null(suggested("b", names));
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    assert_null(suggested(word, names));
}

static void the_forms_of_yaml_1_2_are_reals(void **state)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"1", 1.0},
                 {"-1.5", -1.5},
                 {"+2", 2.0},
                 {"1e-3", 1e-3},
                 {"1E+3", 1e3},
                 {".5", 0.5},
                 {"5.", 5.0},
                 {"-.5e1", -5.0},
                 {"007", 7.0},
                 {"0", 0.0},
                 {"1.953125e-5", 1.953125e-5},
                 {".inf", INFINITY},
                 {"-.inf", -INFINITY},
                 {"+.Inf", INFINITY},
                 {"1e999", INFINITY}};
    double value;

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        assert_int_equal(gle_text_real(&value, cases[i].text), 0);
        assert_true(value == cases[i].value);
    }
    assert_int_equal(gle_text_real(&value, ".nan"), 0);
    assert_true(isnan(value));
}

static void other_texts_are_no_reals(void **state)
{
    static const char *const texts[] = {"",    " 1",    "1 ",   "1e-3x", "1e",    "e1",      ".",
                                        "-",   "+.",    "0x10", "1,5",   "1_0",   "inf",     "nan",
                                        "NaN", "-.nan", "1e+",  "--1",   "1.2.3", "Infinity"};
    double value;

    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++)
        assert_int_equal(gle_text_real(&value, texts[i]), -1);
}

static void counts_are_whole_and_not_negative(void **state)
{
    static const char *const wrong[] = {"",      "-1",   "1.5",  "1e-3", "x", "18446744073709551616",
                                        "1e300", ".inf", ".nan", "1 "};
    uint64_t value;

    (void)state;
    assert_int_equal(gle_text_count(&value, "0"), 0);
    assert_true(value == 0);
    assert_int_equal(gle_text_count(&value, "1e6"), 0);
    assert_true(value == 1000000);
    assert_int_equal(gle_text_count(&value, "100.0"), 0);
    assert_true(value == 100);
    assert_int_equal(gle_text_count(&value, "+5"), 0);
    assert_true(value == 5);
    assert_int_equal(gle_text_count(&value, "18446744073709551615"), 0);
    assert_true(value == UINT64_MAX);
    for (size_t i = 0; i < LENGTH(wrong); i++)
        assert_int_equal(gle_text_count(&value, wrong[i]), -1);
}

static void bools_are_true_yes_on_and_their_opposites(void **state)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "on"};
    static const char *const no[] = {"false", "False", "FALSE", "no", "NO", "Off"};
    static const char *const wrong[] = {"", "y", "n", "1", "0", "tRUE", "true ", "yess"};
    bool value;

    (void)state;
    for (size_t i = 0; i < LENGTH(yes); i++) {
        assert_int_equal(gle_text_bool(&value, yes[i]), 0);
        assert_true(value);
        assert_int_equal(gle_text_bool(&value, no[i]), 0);
        assert_false(value);
    }
    for (size_t i = 0; i < LENGTH(wrong); i++)
        assert_int_equal(gle_text_bool(&value, wrong[i]), -1);
}

static void a_printed_real_reads_back_as_the_same_bits(void **state)
{
    static const double values[] = {0.0,    0.1,     1.0 / 3.0, 1e-3,     1e22,  -2.5,
                                    5e-324, DBL_MAX, DBL_MIN,   1953.125, 100.0, 123456789.0};
    uint64_t bits = 1;
    double value, back;
    char text[32];

    (void)state;
    for (size_t i = 0; i < LENGTH(values) + 10000; i++) {
        if (i < LENGTH(values)) {
            value = values[i];
        } else {
            bits = bits * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX generator */
            memcpy(&value, &bits, sizeof value);
        }
        if (isnan(value))
            continue;
        gle_text_from_real(text, sizeof text, value);
        assert_int_equal(gle_text_real(&back, text), 0);
        assert_memory_equal(&value, &back, sizeof value);
    }
}

static void a_real_is_printed_with_no_more_digits_than_it_needs(void **state)
{
    char text[32];

    (void)state;
    gle_text_from_real(text, sizeof text, 0.1);
    assert_string_equal(text, "0.1");
    gle_text_from_real(text, sizeof text, 1e-6);
    assert_string_equal(text, "1e-06");
    gle_text_from_real(text, sizeof text, -INFINITY);
    assert_string_equal(text, "-.inf");
    gle_text_from_real(text, sizeof text, NAN);
    assert_string_equal(text, ".nan");
}

static void a_word_in_other_case_is_nearest(void **state)
{
    static const char *const names[] = {"sweep", "seed", "dt", NULL}, *const two[] = {"TAU_M", "tau_r", NULL};

    (void)state;
    assert_string_equal(suggested("Seed", names), "seed");
    assert_string_equal(suggested("DT", names), "dt");
    assert_string_equal(suggested("TAU_R", two), "tau_r"); /* TAU_M is a letter off, this one none */
}

static void numbers_are_written_for_readers_of_every_yaml(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {{"1e-8", "1.0e-8"}, {"1E5", "1.0e+5"}, {"010", "10"},     {"-007.50", "-7.50"}, {".5", "0.5"},
                 {"5.", "5.0"},      {"0", "0"},        {"000", "0"},      {"+2", "+2"},         {".inf", ".inf"},
                 {"-.inf", "-.inf"}, {"-.5e1", "-0.5e+1"}, {"1.5e-3", "1.5e-3"}};

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char text[64];
        double before, after;
        gle_text_portable(text, sizeof text, cases[i].text);
        assert_string_equal(text, cases[i].wanted);
        assert_int_equal(gle_text_real(&before, cases[i].text) | gle_text_real(&after, text), 0);
        assert_true(before == after);
    }
}

static void words_are_quoted_for_a_shell_where_it_takes_that(void **state)
{
    static const struct {
        const char *word, *wanted;
    } cases[] = {{"configs/xor.yaml", "configs/xor.yaml"},
                 {"training.epochs=2", "training.epochs=2"},
                 {"--seeds", "--seeds"},
                 {"0-3,12", "0-3,12"},
                 {"", "''"},
                 {"two words", "'two words'"},
                 {"=ls", "'=ls'"},
                 {"network.layers[0].gamma=1", "'network.layers[0].gamma=1'"},
                 {"~/x", "'~/x'"},
                 {"$HOME;`ls`", "'$HOME;`ls`'"},
                 {"it's", "'it'\\''s'"},
                 {"'", "''\\'''"},
                 {"a\nb", "'a\nb'"},
                 {"\xC3\xA4", "'\xC3\xA4'"}};

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char text[64];
        const size_t n = gle_text_shell(text, cases[i].word);
        assert_string_equal(text, cases[i].wanted);
        assert_int_equal(n, strlen(text));
        assert_true(n < GLE_SHELL_ROOM(strlen(cases[i].word)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_near_word_is_suggested),
        cmocka_unit_test(the_nearest_word_wins_and_the_first_of_equals),
        cmocka_unit_test(a_far_word_is_not_suggested),
        cmocka_unit_test(the_forms_of_yaml_1_2_are_reals),
        cmocka_unit_test(other_texts_are_no_reals),
        cmocka_unit_test(counts_are_whole_and_not_negative),
        cmocka_unit_test(bools_are_true_yes_on_and_their_opposites),
        cmocka_unit_test(a_printed_real_reads_back_as_the_same_bits),
        cmocka_unit_test(a_real_is_printed_with_no_more_digits_than_it_needs),
        cmocka_unit_test(a_word_in_other_case_is_nearest),
        cmocka_unit_test(numbers_are_written_for_readers_of_every_yaml),
        cmocka_unit_test(words_are_quoted_for_a_shell_where_it_takes_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
