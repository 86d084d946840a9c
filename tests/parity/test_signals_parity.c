/* Signals against those that the paper's code generated. */
#include "../support/dataset.h"
#include "base/memory.h"
#include "reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char folder[] = "signals"; /* and file */
static const double dt = 0.01;

/* The first n_kept of n steps, every channel of every sequence: (n_sequences, n_kept, n_channels). Free with
 * gle_free(). */
static float *play(const char *name, const char *yaml, uint64_t n, size_t n_kept)
{
    const struct gle_data_context ctx = {.dt = dt, .n_steps = n, .has_teacher = true};
    struct gle_data *data = open_data(name, yaml, 0.0, &ctx);
    const size_t B = data->signal.n_sequences, C = data->n_channels;
    float *x = gle_floats(B * n_kept * C);

    assert_non_null(x);
    for (size_t t = 0; t < n_kept; t++)
        data->signal.play(data->signal.state, x + t * C, n_kept * C, t);
    gle_data_close(data);
    return x;
}

enum { STEPS = 6000, STEP_SEQUENCES = 4, STEP_CHANNELS = 2 };

/* Channel 0; the published channel 1, twice as slow, is used nowhere. In a run of 15 whole periods both rules put edges
 * at the same steps. */
static void steps_are_the_published_ones(void **state)
{
    static const char *const rules[] = {"{sequences: 4, edges: published}", "{sequences: 4, edges: exact}"};
    const struct reference *ref = reference_get(folder, folder);
    const struct gle_array *want = reference_array(ref, "step_x");

    (void)state;
    assert_int_equal(want->n, STEP_SEQUENCES * STEPS * STEP_CHANNELS);
    for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
        float *x = play("step", rules[k], STEPS, STEPS);
        for (size_t i = 0; i < STEP_SEQUENCES * STEPS; i++)
            if ((double)x[i] != gle_array_real(want, i * STEP_CHANNELS))
                fail_msg("%s: sequence %zu, step %zu is %g", rules[k], i / STEPS, i % STEPS, (double)x[i]);
        gle_free(x);
    }
}

/* The first rising edge is at the shift. */
static void shifts_are_the_published_ones(void **state)
{
    const struct reference *ref = reference_get(folder, folder);
    float *x = play("step", "{sequences: 4}", STEPS, STEPS);

    (void)state;
    for (size_t b = 0; b < STEP_SEQUENCES; b++) {
        const int64_t shift = reference_int(ref, "step_shifts", b);
        assert_true(shift > 0 && shift < 200);
        for (int64_t t = 0; t < shift + 200; t++)
            assert_true(x[(int64_t)b * STEPS + t] == (t < shift ? -1.0f : 1.0f));
    }
    gle_free(x);
}

static void smoothed_steps_are_the_published_ones(void **state)
{
    const struct reference *ref = reference_get(folder, folder);
    float *exact = play("step", "{smooth: 5, sequences: 4}", STEPS, STEPS);
    float *published = play("step", "{smooth: 5, sequences: 4, edges: published}", STEPS, STEPS);

    (void)state;
    reference_assert_close(ref, "step_x_smoothed_channel0", exact, STEP_SEQUENCES * STEPS);
    reference_assert_close(ref, "step_x_smoothed_channel0", published, STEP_SEQUENCES * STEPS);
    gle_free(exact);
    gle_free(published);
}

enum { SINE_STEPS = 100100, SINE_KEPT = 2000 };

/* omega = 2 pi times the frequencies of the manifest */
static void sines_are_the_published_ones(void **state)
{
    const struct reference *ref = reference_get(folder, folder);
    float *x = play("sines", "{omega: [0.49, 1.07, 1.98]}", SINE_STEPS, SINE_KEPT);

    (void)state;
    reference_assert_close(ref, "sine_x", x, SINE_KEPT);
    gle_free(x);
}

static void cosines_are_the_published_ones(void **state)
{
    const struct reference *ref = reference_get(folder, folder);
    float *x = play("sines",
                    "{omega: [6.283185307179586, 12.566370614359172, 31.41592653589793], phase: 1.5707963267948966}",
                    SINE_STEPS, SINE_KEPT);

    (void)state;
    reference_assert_close(ref, "cosine_x", x, SINE_KEPT);
    gle_free(x);
}

static void a_process_is_the_published_one(void **state)
{
    enum { N = 500, C = 2 };
    const struct reference *ref = reference_get(folder, folder);
    float *x = play("ornstein_uhlenbeck", "{sigma: 0.5, channels: 2, seed: 3}", N, N);

    (void)state;
    reference_assert_close(ref, "ou_x", x, N * C);
    gle_free(x);
}

/* From 16 numbers a step on, PyTorch's normals are those of its own vector code: to rounding only. */
static void many_processes_are_the_published_ones(void **state)
{
    enum { B = 10, N = 100, C = 2 };
    const double tolerance = 8 * 0x1p-24; /* 8 ulp at a scale of 1 */
    const struct reference *ref = reference_get(folder, folder);
    float *x = play("ornstein_uhlenbeck", "{sigma: 0.5, sequences: 10, channels: 2, seed: 3}", 500, N);

    (void)state;
    reference_assert_within(ref, "ou_B10_x", x, B * N * C, tolerance);
    gle_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_the_published_ones),
        cmocka_unit_test(shifts_are_the_published_ones),
        cmocka_unit_test(smoothed_steps_are_the_published_ones),
        cmocka_unit_test(sines_are_the_published_ones),
        cmocka_unit_test(cosines_are_the_published_ones),
        cmocka_unit_test(a_process_is_the_published_one),
        cmocka_unit_test(many_processes_are_the_published_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
