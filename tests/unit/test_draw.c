/* Random numbers by counter: the integers are Random123's, the normal numbers those of Box and Muller in double
 * precision, on any instruction set and on a device; and they are as random as they look. */
#include "../support/build.h"
#include "../support/normals.h"
#include "backend/device.h"
#include "base/file.h"
#include "base/memory.h"
#include "kernel/draw.h"
#include "kernel/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct gle_words words_of(struct gle_words counter, uint64_t seed)
{
    return gle_philox(counter, (uint32_t)seed, (uint32_t)(seed >> 32));
}

static void assert_same(struct gle_words a, struct gle_words b)
{
    assert_int_equal(a.x, b.x);
    assert_int_equal(a.y, b.y);
    assert_int_equal(a.z, b.z);
    assert_int_equal(a.w, b.w);
}

/* Of Random123's kat_vectors. */
static const struct {
    struct gle_words counter;
    uint64_t seed;
    struct gle_words words;
} known[] = {
    {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     0xffffffffffffffff,
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     0x299f31d0a4093822,
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void integers_are_those_of_random123(void **state)
{
    struct gle_words c = {1, 2, 3, 4};

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_same(words_of(known[i].counter, known[i].seed), known[i].words);
        assert_same(library_words(known[i].counter, known[i].seed), known[i].words);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        const uint64_t seed = i * 0x9e3779b97f4a7c15u;
        const struct gle_words words = words_of(c, seed);
        assert_same(words, library_words(c, seed));
        c = words;
    }
}

/* A counter has room for all that a number is drawn by. */
static void what_a_number_is_drawn_by_has_words_of_its_own(void **state)
{
    const struct gle_words c = gle_draw_counter(4095, 77, 0xdeadbeef, 0xab, gle_draw_field(2000000, GLE_DRAW_RATE));

    (void)state;
    assert_int_equal(c.x, 1023);
    assert_int_equal(c.y, 77);
    assert_int_equal(c.z, 0xdeadbeef);
    assert_int_equal(c.w, 0xab000000u + 2000000u * GLE_DRAW_PURPOSES + GLE_DRAW_RATE);
}

/* --- normal numbers --- */

static void assert_normal(float z, const struct gle_draw *draw, size_t row, size_t neuron)
{
    const double want = library_normal(draw->seed, draw->step, draw->field, (uint32_t)row, (uint32_t)neuron);

    if (!(fabs((double)z - want) < 1e-6 * (1.0 + fabs(want))))
        fail_msg("row %zu, neuron %zu: %.9g instead of %.9g", row, neuron, (double)z, want);
}

static const struct gle_draw some = {.seed = 0x123456789abcdef, .step = 0x3412345678, .field = 123456};

static void loops_draw_what_each_neuron_has_by_itself(void **state)
{
    enum { ROWS = 37, WIDTH = 24 };
    float out[ROWS * WIDTH], part[ROWS * WIDTH];

    use_isa(*state);
    const struct gle_kernels *k = gle_kernels(gle_isa_best());
    k->normals(out, WIDTH, &some, 5, ROWS);
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        assert_normal(out[i], &some, 5 + i / WIDTH, i % WIDTH);
    for (size_t first = 0; first < ROWS; first += 4) { /* a few rows at a time: the same bits */
        const size_t n = ROWS - first < 4 ? ROWS - first : 4;
        k->normals(part + first * WIDTH, WIDTH, &some, 5 + first, n);
    }
    assert_memory_equal(part, out, sizeof out);
    use_isa(NULL);
}

static void the_farthest_and_the_nearest_are_numbers(void **state)
{
    (void)state;
    assert_true(fabsf(gle_draw_radius(0) - 6.6604f) < 1e-3f);
    assert_true(gle_draw_radius(0xffffffff) >= 0.0f && gle_draw_radius(0xffffffff) < 1e-3f);
    for (uint32_t i = 0; i < 8; i++)
        for (int second = 0; second < 2; second++)
            assert_true(fabsf(gle_draw_direction(0x80000000u - 4 + i, second)) <= 0.70711f ||
                        fabsf(gle_draw_direction(0x80000000u - 4 + i, second)) >= 0.70710f);
}

/* --- statistics, each within five standard deviations of what it has to be --- */

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static void assert_near(const char *what, double got, double want, double deviation)
{
    if (!(fabs(got - want) < 5.0 * deviation))
        fail_msg("%s: %g instead of %g +- %g", what, got, want, deviation);
}

enum { MANY_ROWS = 2048, MANY_WIDTH = 512, MANY = MANY_ROWS * MANY_WIDTH };

static float *draw_many(struct gle_draw draw, size_t first)
{
    float *z = gle_floats(MANY);

    assert_non_null(z);
    gle_kernels(gle_isa_best())->normals(z, MANY_WIDTH, &draw, first, MANY_ROWS);
    return z;
}

static void draws_are_normal(void **state)
{
    float *z = draw_many(some, 0);
    const double n = MANY;
    double moments[5] = {0.0}, farthest = 0.0;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        for (int k = 1; k < 5; k++)
            moments[k] += pow((double)z[i], k) / n;
    assert_near("mean", moments[1], 0.0, 1.0 / sqrt(n));
    assert_near("variance", moments[2], 1.0, sqrt(2.0 / n));
    assert_near("third moment", moments[3], 0.0, sqrt(15.0 / n));
    assert_near("fourth moment", moments[4], 3.0, sqrt(96.0 / n));
    qsort(z, MANY, sizeof *z, by_size);
    for (size_t i = 0; i < MANY; i++) /* Kolmogorov and Smirnov */
        farthest = fmax(farthest, fabs(0.5 * erfc(-(double)z[i] / sqrt(2.0)) - ((double)i + 0.5) / n));
    assert_true(farthest * sqrt(n) < 2.7); /* one in a million is farther */
    assert_true(z[0] < -4.0f && z[MANY - 1] > 4.0f);
    gle_free(z);
}

/* Neither with the next of its kind nor with another kind. */
static void draws_know_nothing_of_each_other(void **state)
{
    const double deviation = 1.0 / sqrt((double)MANY);
    struct gle_draw other[3] = {some, some, some};
    float *z = draw_many(some, 0), *next = draw_many(some, 1);
    double sum = 0.0;

    (void)state;
    for (size_t apart = 1; apart <= 4; apart++) {
        sum = 0.0;
        for (size_t i = 0; i < MANY - apart; i++)
            sum += (double)z[i] * (double)z[i + apart];
        assert_near("neurons beside each other", sum / MANY, 0.0, deviation);
    }
    for (size_t i = 0; i < MANY - MANY_WIDTH; i++)
        assert_true(z[i + MANY_WIDTH] >= next[i] && z[i + MANY_WIDTH] <= next[i]);
    sum = 0.0;
    for (size_t i = 0; i < MANY; i++)
        sum += (double)z[i] * (double)next[i];
    assert_near("rows beside each other", sum / MANY, 0.0, deviation);
    other[0].seed++;
    other[1].step++;
    other[2].field++;
    for (size_t k = 0; k < 3; k++) {
        float *more = draw_many(other[k], 0);
        sum = 0.0;
        for (size_t i = 0; i < MANY; i++)
            sum += (double)z[i] * (double)more[i];
        assert_near("another seed, step, field", sum / MANY, 0.0, deviation);
        gle_free(more);
    }
    gle_free(z);
    gle_free(next);
}

/* --- on a device --- */

static const char kernel_text[] =
    "__kernel void draw(__global float *normals, __global uint *words, uint width, uint key, uint key_high,\n"
    "                   uint step, uint step_high, uint field)\n"
    "{\n"
    "    const uint i = (uint)get_group_id(0);\n"
    "    const struct gle_words w =\n"
    "        gle_philox(gle_draw_counter(i % width, i / width, step, step_high, field), key, key_high);\n"
    "    normals[i] = gle_draw_normal(w, i % width);\n"
    "    words[i] = w.x ^ w.y ^ w.z ^ w.w;\n"
    "}\n";

#define OK(call) assert_true(!(call) || (print_error("%s\n", err.text), 0))

static void a_device_draws_the_same(void **state)
{
    enum { ROWS = 20, WIDTH = 24, N = ROWS * WIDTH };
    struct gle_device *device = test_device();
    struct gle_device_kernel *draw;
    struct gle_buffer *normals, *words;
    struct gle_error err = {0};
    const uint32_t values[] = {WIDTH, (uint32_t)some.seed, (uint32_t)(some.seed >> 32), (uint32_t)some.step,
                               (uint32_t)(some.step >> 32), some.field};
    const size_t groups[2] = {N, 1};
    float z[N];
    uint32_t mixed[N];
    unsigned char *text;
    char *source;
    size_t length;

    (void)state;
    OK(gle_file_read(&text, &length, test_path("../src/kernel/draw.h"), 1 << 20, false, GLE_ECONFIG, &err));
    source = gle_calloc(length + sizeof kernel_text, 1);
    assert_non_null(source);
    memcpy(source, text, length);
    memcpy(source + length, kernel_text, sizeof kernel_text);
    OK(gle_device_compile(device, source, "-cl-std=CL1.2", &err));
    OK(gle_device_kernel(&draw, device, "draw", &err));
    OK(gle_buffer_create(&normals, device, sizeof z, &err));
    OK(gle_buffer_create(&words, device, sizeof mixed, &err));
    OK(gle_device_set_buffer(draw, 0, normals, &err));
    OK(gle_device_set_buffer(draw, 1, words, &err));
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++)
        OK(gle_device_set_value(draw, 2 + i, &values[i], sizeof values[i], &err));
    OK(gle_device_launch(draw, groups, 1, &err));
    OK(gle_buffer_read(normals, 0, z, sizeof z, &err));
    OK(gle_buffer_read(words, 0, mixed, sizeof mixed, &err));
    for (uint32_t i = 0; i < N; i++) {
        const struct gle_words w = library_words(
            gle_draw_counter(i % WIDTH, i / WIDTH, values[3], values[4], some.field), some.seed);
        assert_int_equal(mixed[i], w.x ^ w.y ^ w.z ^ w.w);
        assert_normal(z[i], &some, i / WIDTH, i % WIDTH);
    }
    gle_buffer_destroy(normals);
    gle_buffer_destroy(words);
    gle_device_kernel_destroy(draw);
    gle_free(text);
    gle_free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_those_of_random123),
        cmocka_unit_test(what_a_number_is_drawn_by_has_words_of_its_own),
        ISA_TESTS(loops_draw_what_each_neuron_has_by_itself),
        cmocka_unit_test(the_farthest_and_the_nearest_are_numbers),
        cmocka_unit_test(draws_are_normal),
        cmocka_unit_test(draws_know_nothing_of_each_other),
    };
    const struct CMUnitTest on_device[] = {cmocka_unit_test(a_device_draws_the_same)};

    return getenv("GLE_TEST_DEVICE") ? cmocka_run_group_tests(on_device, NULL, NULL)
                                     : cmocka_run_group_tests(tests, NULL, NULL);
}
