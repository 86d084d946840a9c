/* PyTorch's random numbers, for every seed in torch_rng.npz, and Python's. */
#include "base/rng.h"
#include "reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N_MAX = 4000 };
/* Largest difference between PyTorch's vector code and the C library over 16000 values (torch_rng/manifest.json). */
static const double vector_tolerance = 2.4e-7;

struct name {
    char text[64];
};

static struct name named(int64_t seed, const char *what)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "s%lld_%s", (long long)seed, what);
    return name;
}

/* Calls check(ref, seed) for every seed that has numbers. */
static void for_each_seed(void (*check)(const struct reference *ref, int64_t seed))
{
    const struct reference *ref = reference_get("torch_rng", "torch_rng");
    size_t found = 0;

    for (size_t i = 0; i < reference_array(ref, "seeds")->n; i++) {
        const int64_t seed = reference_int(ref, "seeds", i);
        if (!reference_has(ref, named(seed, "rand20").text))
            continue;
        check(ref, seed);
        found++;
    }
    assert_true(found >= 2);
}

static struct gle_rng seeded(int64_t seed)
{
    struct gle_rng rng;
    gle_rng_seed(&rng, (uint64_t)seed);
    return rng;
}

static void assert_integers(const struct reference *ref, int64_t seed, const char *what, const uint32_t *values,
                            size_t n)
{
    const struct name name = named(seed, what);

    assert_int_equal(reference_array(ref, name.text)->n, n);
    for (size_t i = 0; i < n; i++)
        if (reference_int(ref, name.text, i) != values[i])
            fail_msg("%s[%zu] is %u", name.text, i, values[i]);
}

static void check_uniforms(const struct reference *ref, int64_t seed)
{
    struct gle_rng rng = seeded(seed);
    float x[20];

    for (size_t i = 0; i < 20; i++)
        x[i] = gle_torch_rand(&rng);
    reference_assert_within(ref, named(seed, "rand20").text, x, 20, 0.0);
}

static void check_integers(const struct reference *ref, int64_t seed)
{
    const struct name int63 = named(seed, "random_int64");
    struct gle_rng rng = seeded(seed);
    uint32_t x[20];

    for (size_t i = 0; i < 20; i++)
        x[i] = gle_torch_randint(&rng, 0, 800);
    assert_integers(ref, seed, "randint20_0_800", x, 20);
    rng = seeded(seed);
    for (size_t i = 0; i < reference_array(ref, int63.text)->n; i++)
        assert_true((int64_t)gle_torch_int63(&rng) == reference_int(ref, int63.text, i));
}

static void check_normals(const struct reference *ref, int64_t seed)
{
    static const size_t sizes[] = {5, 16, 40};
    float x[40];

    for (size_t k = 0; k < 3; k++) {
        struct gle_rng rng = seeded(seed);
        char what[16];
        snprintf(what, sizeof what, "randn%zu", sizes[k]);
        gle_torch_normal(&rng, x, sizes[k], 0.0, 1.0);
        reference_assert_within(ref, named(seed, what).text, x, sizes[k], sizes[k] < 16 ? 0.0 : vector_tolerance);
    }
}

static void check_permutations(const struct reference *ref, int64_t seed)
{
    struct gle_rng rng = seeded(seed);
    uint32_t order[N_MAX];

    gle_torch_randperm(&rng, order, 10);
    assert_integers(ref, seed, "randperm10", order, 10);
    rng = seeded(seed);
    gle_torch_randperm(&rng, order, N_MAX);
    assert_integers(ref, seed, "randperm4000_first10", order, 10);
    assert_integers(ref, seed, "randperm4000_last10", order + N_MAX - 10, 10);
}

/* With replacement, by 50 weights in double precision. */
static void check_weighted(const struct reference *ref, int64_t seed)
{
    const struct gle_array *array = reference_array(ref, "multinomial_weights");
    struct gle_rng rng = seeded(seed);
    double weights[50], scratch[50];
    uint32_t drawn[50];

    assert_int_equal(array->n, 50);
    for (size_t i = 0; i < 50; i++)
        weights[i] = gle_array_real(array, i);
    gle_torch_multinomial(&rng, drawn, 50, weights, 50, scratch);
    assert_integers(ref, seed, "multinomial50", drawn, 50);
}

/* torch.nn.Linear(4, 3): both bounds are 1/sqrt(4) */
static void check_linear(const struct reference *ref, int64_t seed)
{
    struct gle_rng rng = seeded(seed);
    float x[12];

    gle_torch_uniform(&rng, x, 12, -0.5, 0.5);
    reference_assert_within(ref, named(seed, "linear43_weight").text, x, 12, 0.0);
    gle_torch_uniform(&rng, x, 3, -0.5, 0.5);
    reference_assert_within(ref, named(seed, "linear43_bias").text, x, 3, 0.0);
}

/* RandomSampler: an int64 seeds a generator of its own. */
static void sample(struct gle_rng *rng, uint32_t order[20])
{
    struct gle_rng own;

    gle_rng_seed(&own, gle_torch_int63(rng));
    gle_torch_randperm(&own, order, 20);
}

/* DataLoader(shuffle=True): each epoch draws its base seed first. */
static void check_orders(const struct reference *ref, int64_t seed)
{
    static const char *const epochs[] = {"dataloader20_epoch1", "dataloader20_epoch2"};
    struct gle_rng rng = seeded(seed);
    uint32_t order[20];

    sample(&rng, order);
    assert_integers(ref, seed, "randomsampler20", order, 20);
    rng = seeded(seed);
    for (size_t i = 0; i < 2; i++) {
        (void)gle_torch_int63(&rng);
        sample(&rng, order);
        assert_integers(ref, seed, epochs[i], order, 20);
    }
}

/* randn(1), rand(1), randn(2), randn(17), randn(1): what the cached normal outlives */
static void check_mixture(const struct reference *ref, int64_t seed)
{
    struct gle_rng rng = seeded(seed);
    float x[22];

    gle_torch_normal(&rng, x, 1, 0.0, 1.0);
    x[1] = gle_torch_rand(&rng);
    gle_torch_normal(&rng, x + 2, 2, 0.0, 1.0);
    gle_torch_normal(&rng, x + 4, 17, 0.0, 1.0);
    gle_torch_normal(&rng, x + 21, 1, 0.0, 1.0);
    reference_assert_within(ref, named(seed, "mixture").text, x, 22, vector_tolerance);
}

static void uniforms_equal_torch(void **state)
{
    (void)state;
    for_each_seed(check_uniforms);
}

static void integers_equal_torch(void **state)
{
    (void)state;
    for_each_seed(check_integers);
}

static void normals_equal_torch(void **state)
{
    (void)state;
    for_each_seed(check_normals);
}

static void permutations_equal_torch(void **state)
{
    (void)state;
    for_each_seed(check_permutations);
}

static void weighted_draws_equal_torch(void **state)
{
    (void)state;
    for_each_seed(check_weighted);
}

static void linear_layers_start_as_in_torch_bit_for_bit(void **state)
{
    (void)state;
    for_each_seed(check_linear);
}

static void batch_orders_equal_torch(void **state)
{
    (void)state;
    for_each_seed(check_orders);
}

static void mixed_draws_equal_torch(void **state)
{
    (void)state;
    for_each_seed(check_mixture);
}

static void python_draws_the_same(void **state)
{
    const struct reference *ref = reference_get("gsc_split", "gsc_split");
    const char *bits = "seed1_python_getrandbits32_first10", *reals = "seed1_python_random_first10";
    struct gle_rng rng;
    uint32_t x[20];

    (void)state;
    gle_python_seed(&rng, 1);
    for (size_t i = 0; i < 10; i++)
        assert_true(gle_python_bits(&rng, 32) == reference_int(ref, bits, i));
    gle_python_seed(&rng, 1);
    for (size_t i = 0; i < 10; i++)
        assert_true(gle_python_rand(&rng) == gle_array_real(reference_array(ref, reals), i));
    gle_python_seed(&rng, 1);
    for (uint32_t i = 0; i < 20; i++)
        x[i] = i;
    gle_python_shuffle(&rng, x, 20);
    for (size_t i = 0; i < 20; i++)
        assert_true(x[i] == reference_int(ref, "seed1_python_shuffle20", i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniforms_equal_torch),
        cmocka_unit_test(integers_equal_torch),
        cmocka_unit_test(normals_equal_torch),
        cmocka_unit_test(permutations_equal_torch),
        cmocka_unit_test(weighted_draws_equal_torch),
        cmocka_unit_test(linear_layers_start_as_in_torch_bit_for_bit),
        cmocka_unit_test(batch_orders_equal_torch),
        cmocka_unit_test(mixed_draws_equal_torch),
        cmocka_unit_test(python_draws_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
