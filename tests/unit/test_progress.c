/* What a run shows while it goes on, on a terminal of 80 columns and elsewhere. */
#include "base/clock.h"
#include "cli/progress.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { COLUMNS = 80, TEXT_MAX = 4096 };

/* What `show` writes to standard error, which is no terminal meanwhile, so that 80 columns are taken to be there. */
static void capture(char text[TEXT_MAX], void (*show)(void *arg), void *arg)
{
    FILE *file = tmpfile();
    const int kept = dup(STDERR_FILENO);
    size_t n;

    assert_non_null(file);
    fflush(stderr);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    show(arg);
    fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    rewind(file);
    n = fread(text, 1, TEXT_MAX - 1, file);
    text[n] = '\0';
    fclose(file);
}

/* A line that is written over the one before: what stands between "\r" and the sequence that clears the rest. */
static void take_line(char *line, const char *text)
{
    const char *end = strstr(text, "\033[K");

    assert_int_equal(text[0], '\r');
    assert_non_null(end);
    snprintf(line, TEXT_MAX, "%.*s", (int)(end - text) - 1, text + 1);
}

struct shown {
    struct gle_bar *bar;
    const struct gle_progress *progress;
    const struct gle_jobs_progress *jobs;
};

static void show_one(void *arg)
{
    const struct shown *s = arg;

    if (s->progress)
        gle_bar_progress(s->bar, s->progress);
    else
        gle_bar_jobs(s->bar, s->jobs);
}

static void line_of(char *line, struct gle_bar *bar, const struct gle_progress *p, const struct gle_jobs_progress *j)
{
    struct shown s = {bar, p, j};
    char text[TEXT_MAX];

    bar->last = 0.0; /* it is due */
    capture(text, show_one, &s);
    take_line(line, text);
}

static struct gle_bar terminal_bar(const char *label)
{
    struct gle_bar bar = {.terminal = true, .start = gle_clock()};

    snprintf(bar.label, sizeof bar.label, "%s", label);
    return bar;
}

static void the_test_score_is_seen_at_80_columns_under_its_name(void **state)
{
    static const char *const labels[] = {
        "xor seed 1", "mnist1d_e2e seed 12", "a_name_that_is_rather_long seed 1000000"};
    char line[TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        struct gle_bar bar = terminal_bar(labels[i]);
        const struct gle_progress p = {
            .stage = 120, .stages = 150, .split = GLE_TRAIN, .done = 0.8, .loss = 0.1234, .accuracy = 0.97};
        bar.newest[GLE_TEST] = (struct gle_score){.measured = true, .loss = 0.2345, .accuracy = 0.913};
        line_of(line, &bar, &p, NULL);
        assert_true(strlen(line) < COLUMNS);
        assert_non_null(strstr(line, "  test 91.3 %"));
        assert_non_null(strstr(line, " 80 %"));
        assert_true(!strstr(line, "97.0 %") || strstr(line, "train 97.0 %") || strstr(line, "train 0.1234 (97.0 %)"));
    }
}

static void without_labels_the_loss_stands_for_it(void **state)
{
    struct gle_bar bar = terminal_bar("speech seed 1");
    const struct gle_progress p = {
        .stage = 3, .stages = 9, .split = GLE_TRAIN, .done = 0.3, .loss = 0.5, .accuracy = (double)NAN,
        .nrmse = (double)NAN};
    char line[TEXT_MAX];

    (void)state;
    bar.newest[GLE_VALIDATION] =
        (struct gle_score){.measured = true, .loss = 0.25, .accuracy = (double)NAN, .nrmse = (double)NAN};
    line_of(line, &bar, &p, NULL);
    assert_non_null(strstr(line, "train 0.5"));
    assert_non_null(strstr(line, "validation 0.25"));
    assert_null(strstr(line, "NRMSE")); /* unknown */
    bar.newest[GLE_VALIDATION].nrmse = 0.125;
    line_of(line, &bar, &p, NULL);
    assert_true(strlen(line) < COLUMNS);
    assert_non_null(strstr(line, "train 0.5"));
    assert_non_null(strstr(line, "validation 0.25"));
}

/* A run that was resumed at 90 % has made 1 % of its work since. */
static void time_left_is_by_what_this_process_has_done(void **state)
{
    struct gle_bar bar = terminal_bar("xor seed 1");
    struct gle_progress p = {.stage = 9, .stages = 10, .done = 0.90, .loss = 1.0, .accuracy = (double)NAN,
                             .nrmse = (double)NAN};
    char line[TEXT_MAX];
    const char *at;

    (void)state;
    line_of(line, &bar, &p, NULL);
    assert_non_null(strstr(line, "... left"));
    bar.begun_at -= 2.0; /* seconds ago */
    bar.start -= 2.0;
    p.done = 0.91;
    line_of(line, &bar, &p, NULL);
    at = strstr(line, "9/10  ");
    assert_non_null(at);
    assert_true(strtod(at + 6, NULL) >= 17.9 && strstr(at, " s left")); /* 2 s for 1 %, 9 % to go; minutes if slow */
}

static void time_left_of_many_runs_is_by_what_they_have_done(void **state)
{
    struct gle_bar bar = terminal_bar("xor");
    struct gle_jobs_progress p = {.n = 10, .n_done = 8, .n_running = 2, .done = 0.85, .made = 0.05};
    char line[TEXT_MAX];

    (void)state;
    bar.start -= 10.0;
    line_of(line, &bar, NULL, &p);
    assert_non_null(strstr(line, " 30."));
    assert_non_null(strstr(line, " s left  8 of 10 done, 2 running"));
    p.made = 0.0; /* all of them were there already */
    line_of(line, &bar, NULL, &p);
    assert_non_null(strstr(line, "... left"));
}

static void many_runs_show_means_under_the_names_of_their_sets(void **state)
{
    struct gle_bar bar = terminal_bar("xor");
    struct gle_jobs_progress p = {.n = 10, .n_running = 2, .done = 0.1, .made = 0.1};
    char line[TEXT_MAX];

    (void)state;
    p.score[GLE_TRAIN] = (struct gle_score){.measured = true, .loss = 0.5, .accuracy = 0.75};
    p.score[GLE_TEST] = (struct gle_score){.measured = true, .loss = 0.6, .accuracy = 0.5};
    line_of(line, &bar, NULL, &p);
    assert_true(strlen(line) < COLUMNS);
    assert_non_null(strstr(line, "  mean test 50.0 %"));
    p.by_phases = true;
    p.score[GLE_TEST].measured = false;
    p.score[GLE_TRAIN].accuracy = p.score[GLE_TRAIN].nrmse = (double)NAN;
    line_of(line, &bar, NULL, &p);
    assert_non_null(strstr(line, "  mean loss 0.5"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_score_is_seen_at_80_columns_under_its_name),
        cmocka_unit_test(without_labels_the_loss_stands_for_it),
        cmocka_unit_test(time_left_is_by_what_this_process_has_done),
        cmocka_unit_test(time_left_of_many_runs_is_by_what_they_have_done),
        cmocka_unit_test(many_runs_show_means_under_the_names_of_their_sets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
