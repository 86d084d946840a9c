#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Expected numbers: torch 1.13 and numpy 1.26 (RandomState) on x86-64, unless a test says otherwise. */

static struct gle_rng seeded(uint64_t seed)
{
    struct gle_rng rng;
    gle_rng_seed(&rng, seed);
    return rng;
}

static void assert_near(const float *got, const float *want, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= tolerance))
            fail_msg("value %zu is %.9g, not %.9g", i, (double)got[i], (double)want[i]);
}

static void outputs_equal_mt19937(void **state)
{
    static const struct {
        uint64_t seed, position;
        uint32_t value;
    } known[] = {
        {5489, 0, 3499211612u}, {5489, 1, 581869302u}, {5489, 9999, 4123659995u}, /* the C++ standard's check value */
        {12, 0, 662124363u},    {12, 623, 436416737u}, {12, 624, 703462121u},     {12, 1247, 3883751526u},
        {12, 1248, 239567228u}, {12, 1999, 805556446u}};

    (void)state;
    for (size_t i = 0; i < COUNT(known); i++) {
        struct gle_rng drawn = seeded(known[i].seed), skipped = drawn;
        for (uint64_t k = 0; k < known[i].position; k++)
            (void)gle_rng_u32(&drawn);
        gle_rng_skip(&skipped, known[i].position);
        assert_int_equal(gle_rng_u32(&drawn), known[i].value);
        assert_int_equal(gle_rng_u32(&skipped), known[i].value);
    }
}

static void only_the_low_half_of_a_seed_counts(void **state)
{
    struct gle_rng low = seeded(12), high = seeded(UINT64_C(0xabcdef000000000c));

    (void)state;
    assert_memory_equal(low.state, high.state, sizeof low.state);
}

static void seeding_drops_the_cached_normal(void **state)
{
    struct gle_rng rng = seeded(0);
    float once, again;

    (void)state;
    gle_torch_normal(&rng, &once, 1, 0.0, 1.0);
    gle_rng_seed(&rng, 0);
    gle_torch_normal(&rng, &again, 1, 0.0, 1.0);
    assert_true(once == again);
}

static void uniforms_equal_torch(void **state)
{
    static const float want[] = {0x1.fc2abp-2f, 0x1.89545ep-1f, 0x1.6a675p-4f, 0x1.0e66p-3f};
    struct gle_rng rng = seeded(0);

    (void)state;
    for (size_t i = 0; i < COUNT(want); i++)
        assert_true(gle_torch_rand(&rng) == want[i]);
}

static void integers_equal_torch(void **state)
{
    static const uint32_t below_800[] = {44, 239, 533, 160, 163, 379};
    static const uint64_t int63[] = {900450186894289455u, 3969543146641149120u, 1895649597198586619u};
    struct gle_rng rng = seeded(0);

    (void)state;
    for (size_t i = 0; i < COUNT(below_800); i++)
        assert_int_equal(gle_torch_randint(&rng, 0, 800), below_800[i]);
    gle_rng_seed(&rng, 0);
    for (size_t i = 0; i < COUNT(below_800); i++)
        assert_int_equal(gle_torch_randint(&rng, 5, 805), below_800[i] + 5);
    gle_rng_seed(&rng, 0);
    for (size_t i = 0; i < COUNT(int63); i++)
        assert_true(gle_torch_int63(&rng) == int63[i]);
}

/* torch.manual_seed(0); torch.nn.Linear(4, 3) */
static void linear_layer_starts_as_in_torch_bit_for_bit(void **state)
{
    static const float weight[] = {-0x1.eaa8p-9f,  0x1.12a8bcp-2f,  -0x1.a5662cp-2f, -0x1.78cdp-2f,
                                   -0x1.8a65e8p-3f, 0x1.1297d8p-3f, -0x1.449e8p-7f,  0x1.95f59cp-2f,
                                   -0x1.6b7eep-5f, 0x1.0ef698p-3f,  -0x1.357758p-3f, -0x1.9290ep-4f};
    static const float bias[] = {-0x1.e9237p-2f, -0x1.5316a4p-2f, -0x1.a61ddp-3f};
    struct gle_rng rng = seeded(0);
    float got[12];

    (void)state;
    gle_torch_uniform(&rng, got, 12, -0.5, 0.5);
    assert_memory_equal(got, weight, sizeof weight);
    gle_torch_uniform(&rng, got, 3, -0.5, 0.5);
    assert_memory_equal(got, bias, sizeof bias);
}

/* Against the exact sum in double (24 by 24 bits fit), rounded once; with two roundings about half of them differ. */
static void uniform_rounds_once(void **state)
{
    const float bound = 0.13736056f; /* 1/sqrt(53) */
    struct gle_rng rng = seeded(0), copy = rng;
    float got[1000];

    (void)state;
    gle_torch_uniform(&rng, got, COUNT(got), -0.13736056, 0.13736056);
    for (size_t i = 0; i < COUNT(got); i++)
        assert_true(got[i] == (float)((double)gle_torch_rand(&copy) * (double)(bound + bound) - (double)bound));
}

static void few_normals_equal_torch(void **state)
{
    static const float want[] = {1.5409961f, -0.2934289f, -2.1787894f, 0.56843126f, -1.0845224f};
    struct gle_rng rng = seeded(0);
    float got[5];

    (void)state;
    gle_torch_normal(&rng, got, 5, 0.0, 1.0);
    assert_near(got, want, 5, 0.0);
    gle_rng_seed(&rng, 0);
    gle_torch_normal(&rng, got, 2, 0.0, 1.0); /* the cache outlives the call */
    gle_torch_normal(&rng, got + 2, 3, 0.0, 1.0);
    assert_near(got, want, 5, 0.0);
}

/* torch.randn(16) and torch.randn(40), whose last 16 values are drawn anew; to rounding */
static void blocks_of_normals_equal_torch(void **state)
{
    static const float want[] = {
        -1.1258398f,  -1.1523602f, -0.25057858f, -0.4338788f, 0.84871036f, 0.69200915f,  -0.31601277f, -2.1152194f,
        0.32227492f,  -1.2633348f, 0.3499832f,   0.30813393f, 0.11984151f, 1.2376579f,   1.1167772f,   -0.24727815f,
        -1.3526537f,  -1.6959312f, 0.5666506f,   0.79350835f, 0.59883946f, -1.5550951f,  -0.3413604f,  1.8530061f,
        -0.21586326f, -0.74254817f, 0.5627214f,  0.2596274f,  -0.173961f,  -0.6787462f,  0.93826073f,  0.48886982f,
        1.2032237f,   0.0845347f,  -1.2001394f,  -0.004785738f, -0.5180748f, -0.3067042f, -1.5809939f, 1.7066433f};
    struct gle_rng rng = seeded(0);
    float got[40];

    (void)state;
    gle_torch_normal(&rng, got, 16, 0.0, 1.0);
    assert_near(got, want, 16, 2.4e-7);
    gle_rng_seed(&rng, 0);
    gle_torch_normal(&rng, got, 40, 0.0, 1.0);
    assert_near(got, want, 40, 2.4e-7);
}

static void normals_have_mean_and_deviation(void **state)
{
    struct gle_rng rng = seeded(3), copy = rng;
    float standard[21], scaled[21];

    (void)state;
    for (size_t n = 5; n <= 21; n += 16) {
        gle_torch_normal(&rng, standard, n, 0.0, 1.0);
        gle_torch_normal(&copy, scaled, n, 2.0, 0.5);
        for (size_t i = 0; i < n; i++)
            standard[i] = 2.0f + 0.5f * standard[i];
        assert_near(scaled, standard, n, 1e-6);
    }
}

static void skipping_normals_leaves_the_same_stream(void **state)
{
    static const size_t sizes[] = {0, 1, 3, 15, 16, 17, 40, 1000};
    struct gle_rng drawn = seeded(7), skipped = drawn;
    float buffer[1000];

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        gle_torch_normal(&drawn, buffer, sizes[i], 0.0, 1.0);
        gle_torch_skip_normal(&skipped, sizes[i]);
        assert_int_equal(skipped.has_normal, drawn.has_normal);
        assert_true(skipped.normal == drawn.normal);
        assert_int_equal(skipped.next, drawn.next);
        assert_memory_equal(skipped.state, drawn.state, sizeof drawn.state);
    }
}

static void randperm_equals_torch(void **state)
{
    static const uint32_t ten[] = {4, 1, 7, 5, 3, 9, 0, 8, 6, 2};
    static const uint32_t first[] = {44, 961, 3559, 3372, 407, 209, 3085, 1778, 1961, 1196};
    static const uint32_t last[] = {3938, 2854, 3888, 1456, 3751, 3437, 2624, 3260, 2220, 3749};
    struct gle_rng rng = seeded(0);
    uint32_t got[4000];

    (void)state;
    gle_torch_randperm(&rng, got, 10);
    assert_memory_equal(got, ten, sizeof ten);
    gle_rng_seed(&rng, 0);
    gle_torch_randperm(&rng, got, 4000);
    assert_memory_equal(got, first, sizeof first);
    assert_memory_equal(got + 3990, last, sizeof last);
}

static void permutations_of_nothing_and_of_one_draw_nothing(void **state)
{
    struct gle_rng rng = seeded(0);
    const struct gle_rng before = rng;
    uint32_t one = 9;

    (void)state;
    gle_torch_randperm(&rng, &one, 0);
    gle_numpy_permutation(&rng, &one, 0);
    assert_int_equal(one, 9);
    gle_torch_randperm(&rng, &one, 1);
    assert_int_equal(one, 0);
    gle_numpy_permutation(&rng, &one, 1);
    assert_int_equal(one, 0);
    assert_int_equal(rng.next, before.next);
}

static void rand_equals_numpy(void **state)
{
    static const double want[] = {0x1.7f8771e5f51ecp-2, 0x1.e6c4068bbd654p-1, 0x1.76c7e8f1e6751p-1,
                                  0x1.32835d6632cb0p-1};
    struct gle_rng rng = seeded(42);

    (void)state;
    for (size_t i = 0; i < COUNT(want); i++)
        assert_true(gle_numpy_rand(&rng) == want[i]);
}

/* To the last bits only, which are the C library's (log). */
static void randn_equals_numpy(void **state)
{
    static const double want[] = {0x1.fca2a28a9307cp-2, -0x1.1b2a505de052ap-3, 0x1.4b9dd50245e68p-1,
                                  0x1.85e548e01aa2bp+0, -0x1.df8bcdf57a640p-3};
    struct gle_rng rng = seeded(42);

    (void)state;
    for (size_t i = 0; i < COUNT(want); i++)
        assert_true(fabs(gle_numpy_randn(&rng) - want[i]) <= 4e-16);
}

static void choice_equals_numpy(void **state)
{
    static const uint32_t of_48[] = {38, 28, 14, 42, 7, 20, 38, 18, 22, 10, 10, 23};
    static const uint32_t of[][2] = {{1, 0}, {2, 0}, {3, 0}, {5, 2}, {64, 7}, {65, 60}, {1000003, 732180}};
    struct gle_rng rng = seeded(42);

    (void)state;
    for (size_t i = 0; i < COUNT(of_48); i++)
        assert_int_equal(gle_numpy_interval(&rng, 47), of_48[i]);
    gle_rng_seed(&rng, 42);
    for (size_t i = 0; i < COUNT(of); i++)
        assert_int_equal(gle_numpy_interval(&rng, of[i][0] - 1), of[i][1]);
    gle_rng_seed(&rng, 42);
    assert_int_equal(gle_numpy_interval(&rng, UINT32_MAX), 1608637542u);
}

static void permutation_equals_numpy(void **state)
{
    static const uint32_t twelve[] = {10, 9, 0, 8, 5, 2, 1, 11, 4, 7, 3, 6};
    static const uint32_t first[] = {1501, 2586, 2653, 1055, 705, 106, 589, 2468};
    static const uint32_t last[] = {2919, 3171, 3444, 4426, 466, 3092, 3772, 860};
    struct gle_rng rng = seeded(42);
    uint32_t got[5000];

    (void)state;
    gle_numpy_permutation(&rng, got, 12);
    assert_memory_equal(got, twelve, sizeof twelve);
    gle_rng_seed(&rng, 42);
    gle_numpy_permutation(&rng, got, 5000);
    assert_memory_equal(got, first, sizeof first);
    assert_memory_equal(got + 4992, last, sizeof last);
    assert_int_equal(gle_rng_u32(&rng), 858311721u); /* and as many outputs were used */
}

/* rand, rand, choice(48), randn(3), rand, randn(1): the cached normal waits while uniforms are drawn */
static void mixed_draws_equal_numpy(void **state)
{
    static const double normal[] = {0x1.e53bc63f28406p-2, 0x1.5e52bf4da232cp+0, -0x1.d56a53fc96f0fp-1};
    struct gle_rng rng = seeded(42);

    (void)state;
    assert_true(gle_numpy_rand(&rng) == 0x1.7f8771e5f51ecp-2);
    assert_true(gle_numpy_rand(&rng) == 0x1.e6c4068bbd654p-1);
    assert_int_equal(gle_numpy_interval(&rng, 47), 42);
    for (size_t i = 0; i < COUNT(normal); i++)
        assert_true(fabs(gle_numpy_randn(&rng) - normal[i]) <= 4e-16);
    assert_true(gle_numpy_rand(&rng) == 0x1.d645576ededc2p-2);
    assert_true(fabs(gle_numpy_randn(&rng) + 0x1.fc81c0f298318p-4) <= 4e-16);
}

/* CPython 3.11; the streams of several words are random.seed() of the number that they make up. */
static void streams_begin_as_in_python(void **state)
{
    static const struct {
        uint64_t seed;
        uint32_t first[3];
        double next;
    } known[] = {
        {0, {3626764237u, 1654615998u, 3255389356u}, 0x1.c7ce0d1aeaa51p-1},
        {1, {577090037u, 2444712010u, 3639700191u}, 0x1.9ac27c70e1aefp-1},
        {4294967295u, {2728839433u, 2661025012u, 872737089u}, 0x1.b905fd9b7c608p-3},
        {4294967296u, {485306839u, 1508871100u, 1794561286u}, 0x1.de93c9811139cp-1},
        {9223372036854788153u, {1308997459u, 1668775168u, 912389232u}, 0x1.3d56f3a9fdc2cp-3},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(known); i++) {
        struct gle_rng rng = {.has_normal = true};
        gle_python_seed(&rng, known[i].seed);
        assert_false(rng.has_normal);
        for (size_t k = 0; k < COUNT(known[i].first); k++)
            assert_int_equal(gle_python_bits(&rng, 32), known[i].first[k]);
        assert_true(gle_python_rand(&rng) == known[i].next);
    }
}

static void streams_of_several_words_differ(void **state)
{
    static const uint32_t four[] = {5, 6, 7, 8};
    uint32_t many[700];
    struct gle_rng rng;

    (void)state;
    gle_rng_seed_words(&rng, four, COUNT(four));
    assert_int_equal(gle_rng_u32(&rng), 2634778227u);
    assert_int_equal(gle_rng_u32(&rng), 1186501681u);
    for (uint32_t i = 0; i < COUNT(many); i++)
        many[i] = i * 2654435761u;
    many[COUNT(many) - 1] |= 1;
    gle_rng_seed_words(&rng, many, COUNT(many));
    assert_int_equal(gle_rng_u32(&rng), 1179226133u);
    assert_int_equal(gle_rng_u32(&rng), 532799835u);
}

static void whole_numbers_equal_python(void **state)
{
    static const unsigned widths[] = {0, 1, 5, 8, 31, 32};
    static const uint32_t bits[] = {0, 0, 30, 38, 847876999u, 2795742288u};
    static const uint32_t below[] = {1, 2, 3, 10, 1000, 2147483648u, 2147483649u, 4294967295u};
    static const uint32_t drawn[] = {0, 0, 1, 0, 74, 404285457u, 1570621944u, 2503055453u};
    struct gle_rng rng;

    (void)state;
    gle_python_seed(&rng, 7);
    for (size_t i = 0; i < COUNT(widths); i++)
        assert_int_equal(gle_python_bits(&rng, widths[i]), bits[i]);
    gle_python_seed(&rng, 7);
    for (size_t i = 0; i < COUNT(below); i++)
        assert_int_equal(gle_python_below(&rng, below[i]), drawn[i]);
}

static void shuffles_equal_python(void **state)
{
    static const uint32_t want[] = {7, 11, 3, 10, 8, 4, 9, 1, 0, 6, 2, 5};
    uint32_t x[COUNT(want)];
    struct gle_rng rng;

    (void)state;
    gle_python_seed(&rng, 7);
    gle_python_shuffle(&rng, x, 0);
    for (uint32_t i = 0; i < COUNT(x); i++)
        x[i] = i;
    gle_python_shuffle(&rng, x, 1);
    gle_python_shuffle(&rng, x, COUNT(x));
    assert_memory_equal(x, want, sizeof want);
    assert_int_equal(gle_rng_u32(&rng), 3907149204u);
}

static void multinomial_equals_torch(void **state)
{
    static const double few[] = {1.0, 2.0, 0.0, 0.5, 3.5};
    static const double inverse[] = {1.0 / 3, 1.0 / 7, 1.0 / 7, 1.0 / 3, 1.0 / 3, 1.0 / 7};
    static const uint32_t of_few[24] = {4, 4, 1, 0, 4, 4, 4, 3, 4, 0, 1, 1, 4, 1, 4, 3, 4, 0, 0, 1, 4, 4, 4, 0};
    static const uint32_t of_inverse[24] = {5, 4, 3, 5, 3, 4, 0, 2, 3, 1, 3, 0, 2, 3, 3, 3, 2, 0, 3, 4, 0, 4, 0, 3};
    struct gle_rng rng = seeded(12);
    uint32_t drawn[24];
    double scratch[6];

    (void)state;
    gle_torch_multinomial(&rng, drawn, 24, few, COUNT(few), scratch);
    assert_memory_equal(drawn, of_few, sizeof drawn);
    rng = seeded(0);
    gle_torch_multinomial(&rng, drawn, 24, inverse, COUNT(inverse), scratch);
    assert_memory_equal(drawn, of_inverse, sizeof drawn);
}

static void multinomial_draws_by_weight(void **state)
{
    enum { DRAWS = 70000 };
    static const double weights[] = {0.0, 1.0, 0.0, 2.0, 4.0, 0.0};
    struct gle_rng rng = seeded(3);
    double scratch[COUNT(weights)];
    size_t counts[COUNT(weights)] = {0};

    (void)state;
    for (size_t d = 0; d < DRAWS; d++) {
        uint32_t drawn;
        gle_torch_multinomial(&rng, &drawn, 1, weights, COUNT(weights), scratch);
        assert_in_range(drawn, 0, COUNT(weights) - 1);
        counts[drawn]++;
    }
    for (size_t i = 0; i < COUNT(weights); i++) {
        const double p = weights[i] / 7.0, want = p * DRAWS;
        assert_true(fabs((double)counts[i] - want) <= 4.0 * sqrt(want * (1.0 - p)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_equal_mt19937),
        cmocka_unit_test(only_the_low_half_of_a_seed_counts),
        cmocka_unit_test(seeding_drops_the_cached_normal),
        cmocka_unit_test(uniforms_equal_torch),
        cmocka_unit_test(integers_equal_torch),
        cmocka_unit_test(linear_layer_starts_as_in_torch_bit_for_bit),
        cmocka_unit_test(uniform_rounds_once),
        cmocka_unit_test(few_normals_equal_torch),
        cmocka_unit_test(blocks_of_normals_equal_torch),
        cmocka_unit_test(normals_have_mean_and_deviation),
        cmocka_unit_test(skipping_normals_leaves_the_same_stream),
        cmocka_unit_test(randperm_equals_torch),
        cmocka_unit_test(permutations_of_nothing_and_of_one_draw_nothing),
        cmocka_unit_test(rand_equals_numpy),
        cmocka_unit_test(randn_equals_numpy),
        cmocka_unit_test(choice_equals_numpy),
        cmocka_unit_test(permutation_equals_numpy),
        cmocka_unit_test(mixed_draws_equal_numpy),
        cmocka_unit_test(streams_begin_as_in_python),
        cmocka_unit_test(streams_of_several_words_differ),
        cmocka_unit_test(whole_numbers_equal_python),
        cmocka_unit_test(shuffles_equal_python),
        cmocka_unit_test(multinomial_equals_torch),
        cmocka_unit_test(multinomial_draws_by_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
