/* Every row of gle_datasets, whatever it is. */
#include "../support/dataset.h"
#include "../support/folder.h"
#include "../support/tiny.h"
#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Of a run that the data set is made for. */
static struct gle_data_context context_of(const struct gle_dataset *set)
{
    return (struct gle_data_context){
        .dt = 0.2, .seed = 1, .n_steps = set->signal ? 2000 : 0, .has_teacher = set->signal};
}

static void every_data_set_is_explained(void **state)
{
    (void)state;
    for (const struct gle_dataset *set = gle_datasets; set->row.name; set++) {
        assert_true(strlen(set->row.help) > 0);
        assert_non_null(set->row.keys);
        assert_ptr_equal(gle_table_find(&gle_dataset_table, set->row.name), &set->row);
    }
}

static int is_number(const struct gle_key *key)
{
    return key->kind == GLE_KEY_KIND_REAL || key->kind == GLE_KEY_KIND_REALS || key->kind == GLE_KEY_KIND_COUNT;
}

static int needs_a_file(const struct gle_key *keys)
{
    for (const struct gle_key *key = keys; key->name; key++)
        if (!key->fallback && !is_number(key))
            return 1;
    return 0;
}

/* The shortest map that a config needs to have: required numbers as near to 1 as their range allows; of sets that are
 * read from files, the settings of those in the folder. Static buffer. */
static const char *shortest(const struct gle_dataset *set, const char *folder)
{
    static char yaml[512];

    if (needs_a_file(set->row.keys))
        return folder_text(folder, tiny_find(set->row.name)->settings);
    strcpy(yaml, "{");
    for (const struct gle_key *key = set->row.keys; key->name; key++) {
        const size_t len = strlen(yaml);
        if (!key->fallback)
            snprintf(yaml + len, sizeof yaml - len, "%s: %g, ", key->name, fmin(fmax(1.0, key->low), key->high));
    }
    assert_true(strlen(yaml) + 2 < sizeof yaml);
    strcat(yaml, "}");
    return yaml;
}

/* Whether there are files, or none are needed. */
static bool prepare(const struct gle_dataset *set, const char *folder)
{
    const struct tiny *tiny = tiny_find(set->row.name);

    if (!needs_a_file(set->row.keys))
        return true;
    if (!tiny)
        fail_msg("%s: there are no tiny files of it (support/tiny.c)", set->row.name);
    if (tiny->make)
        tiny->make(folder);
    return tiny->make != NULL;
}

static void assert_whole_samples(const struct gle_data *data)
{
    assert_true(data->n_steps > 0 && data->n_channels > 0 && data->n_targets > 0);
    assert_true(data->split[GLE_TRAIN].n > 0);
    for (int i = 0; i < GLE_SPLITS; i++) {
        const struct gle_samples *s = &data->split[i];
        if (!s->n)
            continue;
        assert_int_equal(s->x == NULL, data->maker.make != NULL);
        assert_int_equal(s->labels != NULL, data->labelled);
        assert_int_equal(s->targets != NULL, !data->labelled);
        for (size_t k = 0; s->labels && k < s->n * gle_data_answers(data); k++)
            assert_true(s->labels[k] >= 0 && (size_t)s->labels[k] < data->n_targets);
    }
}

static void assert_whole_signal(const struct gle_data *data)
{
    assert_true(data->signal.play && data->signal.close && data->signal.n_sequences > 0 && data->n_channels > 0);
    assert_true(data->n_steps == 0 && data->n_targets == 0 && !data->labelled);
    for (int i = 0; i < GLE_SPLITS; i++)
        assert_int_equal(data->split[i].n, 0);
}

static void assert_sizes_foreseen(const struct gle_dataset *set, const void *params, const struct gle_data *data)
{
    size_t n_channels = data->n_channels, n_targets = data->n_targets;

    if (set->shape)
        set->shape(params, &n_channels, &n_targets);
    assert_int_equal(n_channels, data->n_channels);
    assert_int_equal(n_targets, data->n_targets);
}

/* Calls check(set, params, data) with every data set, opened by its defaults; on tiny files, where it is read from
 * files. Their settings pass the check. */
static void for_each_opened(void (*check)(const struct gle_dataset *set, const void *params, struct gle_data *data))
{
    for (const struct gle_dataset *set = gle_datasets; set->row.name; set++) {
        const struct gle_data_context context = context_of(set);
        struct gle_error err = {0};
        struct gle_data *data = NULL;
        struct chosen c;
        char folder[FOLDER_SIZE];
        folder_make(folder);
        if (prepare(set, folder)) {
            if (choose(&c, set->row.name, shortest(set, folder), &err) ||
                gle_data_open(&data, set, c.params, 0.0, &context, &err))
                fail_msg("%s: %s: %s", set->row.name, err.path, err.text);
            check(set, c.params, data);
            gle_data_close(data);
            forget(&c);
        }
        folder_remove(folder);
    }
}

static void check_repeated(const struct gle_dataset *set, const void *params, struct gle_data *data)
{
    const struct gle_data_context context = context_of(set);
    struct gle_error err = {0};
    struct gle_data *second;

    assert_int_equal(gle_data_open(&second, set, params, 0.0, &context, &err), 0);
    assert_int_equal(strlen(data->sha256), 64);
    assert_string_equal(data->sha256, second->sha256);
    gle_data_close(second);
}

static void the_same_settings_give_the_same_data(void **state)
{
    (void)state;
    for_each_opened(check_repeated);
}

static void check_whole(const struct gle_dataset *set, const void *params, struct gle_data *data)
{
    if (set->signal)
        assert_whole_signal(data);
    else
        assert_whole_samples(data);
    assert_sizes_foreseen(set, params, data);
}

static void every_data_set_is_whole(void **state)
{
    (void)state;
    for_each_opened(check_whole);
}

/* Made samples have frames, which are finite, and the same whenever they are made for the same draw. */
static void check_made(const struct gle_dataset *set, const void *params, struct gle_data *data)
{
    const struct gle_maker *maker = &data->maker;
    const size_t room = maker->frames_max * data->n_channels;
    float *frames, *again;
    void *desk;

    (void)params;
    assert_int_equal(set->made, maker->make != NULL);
    assert_true(!set->alike || maker->alike);
    if (!set->made)
        return;
    assert_true(maker->frames_max * maker->upsample == data->n_steps);
    frames = gle_floats(room);
    again = gle_floats(room);
    desk = maker->open_desk(maker->state);
    assert_true(frames && again && desk);
    for (int split = 0; split < GLE_SPLITS; split++)
        for (uint32_t row = 0; row < data->split[split].n; row++) {
            const uint32_t number = gle_data_number(data, (enum gle_split)split, row);
            const size_t n = maker->length(maker->state, (enum gle_split)split, number);
            assert_in_range(n, maker->alike ? maker->frames_max : 1, maker->frames_max);
            maker->make(maker->state, desk, frames, (enum gle_split)split, number, 5);
            maker->make(maker->state, desk, again, (enum gle_split)split, number, 5);
            for (size_t i = 0; i < n * data->n_channels; i++)
                assert_true(isfinite(frames[i]));
            assert_memory_equal(frames, again, n * data->n_channels * sizeof *frames);
        }
    maker->close_desk(desk);
    gle_free(again);
    gle_free(frames);
}

static void every_made_sample_is_whole(void **state)
{
    (void)state;
    for_each_opened(check_made);
}

/* Step after step with one column to spare, begun anew half way. */
static void check_played(const struct gle_dataset *set, const void *params, struct gle_data *data)
{
    enum { STEPS = 100 };
    const size_t B = data->signal.n_sequences, C = data->n_channels, ld = C + 1;
    float *x;

    (void)params;
    if (!set->signal)
        return;
    x = gle_floats(2 * STEPS * B * ld);
    assert_non_null(x);
    for (size_t i = 0; i < 2 * STEPS; i++) {
        float *now = x + i * B * ld;
        for (size_t b = 0; b < B; b++)
            now[b * ld + C] = -7.0f;
        data->signal.play(data->signal.state, now, ld, i % STEPS);
        for (size_t b = 0; b < B; b++) {
            for (size_t c = 0; c < C; c++)
                assert_true(isfinite(now[b * ld + c]));
            assert_true(now[b * ld + C] == -7.0f);
        }
    }
    assert_memory_equal(x, x + STEPS * B * ld, STEPS * B * ld * sizeof *x);
    gle_free(x);
}

static void every_signal_begins_anew_and_stays_in_its_columns(void **state)
{
    (void)state;
    for_each_opened(check_played);
}

struct told {
    size_t calls, stop_at;
};

static int count_progress(void *ctx, const char *what, size_t done, size_t total)
{
    struct told *told = ctx;

    assert_true(strlen(what) > 0 && done <= total);
    return ++told->calls == told->stop_at;
}

/* Wherever it is told to stop, it does, at once, and says what it was at. */
static void check_stops(const struct gle_dataset *set, const void *params, struct gle_data *data)
{
    struct told all = {0};
    struct gle_data_context context = context_of(set);
    struct gle_error err = {0};
    struct gle_data *again;

    context.progress = count_progress;
    context.ctx = &all;
    assert_int_equal(gle_data_open(&again, set, params, set->signal ? 0.0 : 0.25, &context, &err), 0);
    assert_string_equal(again->sha256, data->sha256);
    gle_data_close(again);
    assert_true(all.calls > 0);
    for (size_t stop = 1; stop <= all.calls; stop += 1 + all.calls / 20) {
        struct told told = {.stop_at = stop};
        context.ctx = &told;
        err = (struct gle_error){0};
        assert_int_equal(gle_data_open(&again, set, params, set->signal ? 0.0 : 0.25, &context, &err), -1);
        assert_null(again);
        assert_int_equal(err.code, GLE_ESTOPPED);
        assert_memory_equal(err.text, "stopped while ", 14);
        assert_int_equal(told.calls, stop);
    }
}

static void every_data_set_stops_when_it_is_told_to(void **state)
{
    (void)state;
    for_each_opened(check_stops);
}

static void check_refused(const struct gle_dataset *set, const void *params, double validation, uint64_t n_steps,
                          const char *why)
{
    const struct gle_data_context context = {.dt = 0.2, .n_steps = n_steps, .has_teacher = true};
    struct gle_error err = {0};
    struct gle_data *data;
    char want[160];

    snprintf(want, sizeof want, "'%s' is a signal without %s", set->row.name, why);
    assert_int_equal(gle_data_open(&data, set, params, validation, &context, &err), -1);
    assert_null(data);
    assert_int_equal(err.code, GLE_ECONFIG);
    assert_string_equal(err.text, want);
}

static void check_by_duration_only(const struct gle_dataset *set, const void *params, struct gle_data *data)
{
    (void)data;
    if (!set->signal)
        return;
    check_refused(set, params, 0.0, 0, "end: training.phases (training by duration) is wanted, not epochs");
    check_refused(set, params, 0.2, 500, "samples, so training.validation does not apply");
}

static void signals_are_for_training_by_duration_only(void **state)
{
    (void)state;
    for_each_opened(check_by_duration_only);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_data_set_is_explained),
        cmocka_unit_test(the_same_settings_give_the_same_data),
        cmocka_unit_test(every_data_set_is_whole),
        cmocka_unit_test(every_made_sample_is_whole),
        cmocka_unit_test(every_signal_begins_anew_and_stays_in_its_columns),
        cmocka_unit_test(every_data_set_stops_when_it_is_told_to),
        cmocka_unit_test(signals_are_for_training_by_duration_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
