/* MNIST-1D against the published generator. */
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/mnist1d.h"
#include "reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { TRAIN = 4000, TEST = 1000, ALL = TRAIN + TEST, LENGTH = 360 };
enum { FIRST = 3, SUMS = 200 }; /* samples that the reference has whole, and whose sums it has */

static const char folder[] = "mnist1d_data"; /* and file */
static double default_padding[] = {36, 60};

static struct gle_mnist1d published(size_t length, uint64_t seed)
{
    return (struct gle_mnist1d){
        .samples = ALL,
        .train_split = 0.8,
        .template_length = 12,
        .padding = {.v = default_padding, .n = 2, .is_list = true},
        .scale_coeff = 0.4,
        .max_translation = 48,
        .corr_noise_scale = 0.25,
        .iid_noise_scale = 0.02,
        .shear_scale = 0.75,
        .length = length,
        .seed = seed,
    };
}

static double *generate(int32_t **labels, size_t length, uint64_t seed)
{
    const struct gle_mnist1d how = published(length, seed);
    struct gle_error err = {0};
    size_t n, n_classes;
    double *x;

    assert_int_equal(gle_mnist1d_generate(&x, labels, &n, &n_classes, &how, &(struct gle_data_context){0}, &err), 0);
    assert_int_equal(n, ALL);
    assert_int_equal(n_classes, 10);
    return x;
}

static void assert_first_samples(const char *name, const double *x)
{
    const struct gle_array *want = reference_array(reference_get(folder, folder), name);

    assert_int_equal(want->n, FIRST * LENGTH);
    for (size_t i = 0; i < want->n; i++)
        assert_true(fabs(x[i] - gle_array_real(want, i)) <= 1e-9);
}

static void samples_are_the_published_ones(void **state)
{
    const struct reference *ref = reference_get(folder, folder);
    const struct gle_array *sums = reference_array(ref, "n360_s42_row_sums_f64");
    int32_t *labels;
    double *x = generate(&labels, LENGTH, 42);

    (void)state;
    assert_first_samples("n360_s42_x_first20_f64", x);
    assert_first_samples("n360_s42_x_test_first20_f64", x + TRAIN * LENGTH);
    assert_int_equal(sums->n, SUMS);
    for (size_t i = 0; i < SUMS; i++) {
        double sum = 0.0;
        for (size_t t = 0; t < LENGTH; t++)
            sum += x[i * LENGTH + t];
        assert_true(fabs(sum - gle_array_real(sums, i)) <= 1e-9);
    }
    gle_free(x);
    gle_free(labels);
}

static void labels_are_the_published_ones(void **state)
{
    const struct reference *ref = reference_get(folder, folder);
    int32_t *labels;
    double *x = generate(&labels, LENGTH, 42);

    (void)state;
    for (size_t i = 0; i < TRAIN; i++)
        assert_int_equal(labels[i], reference_int(ref, "n360_s42_y", i));
    for (size_t i = 0; i < TEST; i++)
        assert_int_equal(labels[TRAIN + i], reference_int(ref, "n360_s42_y_test", i));
    gle_free(x);
    gle_free(labels);
}

static void the_permutation_follows_all_other_draws(void **state)
{
    const struct reference *ref = reference_get(folder, folder);
    /* 32-bit draws before it, by the manifest's counts: 3 rand of two, the choices, and four for a pair of normals. */
    const uint64_t before = 2 * 3 * ALL + (5000 + 1601) + 4 * (360000 + 97994);
    int32_t *labels;
    uint32_t *order = gle_calloc(ALL, sizeof *order);
    double *x = generate(&labels, LENGTH, 42);
    struct gle_rng rng;

    (void)state;
    assert_non_null(order);
    gle_rng_seed(&rng, 42);
    gle_rng_skip(&rng, before);
    gle_numpy_permutation(&rng, order, ALL);
    for (size_t i = 0; i < ALL; i++) {
        assert_int_equal(order[i], reference_int(ref, "n360_s42_permutation", i));
        assert_int_equal(labels[i], order[i] / (ALL / 10));
    }
    gle_free(order);
    gle_free(x);
    gle_free(labels);
}

static void assert_hash(const void *values, size_t bytes, const char *want)
{
    struct gle_sha256 *sha = gle_sha256_start();
    char hex[65];

    assert_non_null(sha);
    gle_sha256_add(sha, values, bytes);
    gle_sha256_end(sha, hex);
    assert_string_equal(hex, want);
}

/* Of all values, in single and in double precision. */
static void checksums_are_the_published_ones(void **state)
{
    static const struct {
        size_t length;
        uint64_t seed;
        const char *train, *test, *train_double, *test_double;
    } want[] = {
        {360, 42, "43bb67266725ab1e98857344fc96d944bc3538a2c7859ebd50607c341b0fdf31",
         "4d23535a79bc014163bc6a495cc522436ef29e5a50798be7d5736ec745cf6dcd",
         "3953ac575f0a05c9a8c72fcf8e749f124b442c8792111cea8457127ac7f20738",
         "7802a283e8bc32bbe07cc2579bdd42135bedccb33c2bba780312a75390bc5ac2"},
        {40, 42, "d53506bddd12d3b72c7153b1ae7f34807724b1dd078a7273809bf9d0792319f6",
         "30addc43827c82aafa5db8bc97cea63349ca687e87db2f201cc4f5415d9a4ebd",
         "c378e7ed3bdbf0384b0f4c30e5a25176cf595f21f0dfa4d408a5aaf3defb39ab",
         "a2fb94af41036bf44a650fbc8f2130e37b86594c4de5f9f48d4a1ec354bf5999"},
        {72, 7, "4993ee6efb2158350138b4d04426f83d9bd4b008692894e3d76e6b2195343cae",
         "e6aa959031abf6bfd486ace9dff03978aaf40966ddda689e6ad50407b00c50fd",
         "d0ce073974f70124fe6e01e0ef10c8817974e4f16e63bfb4d5e8ff2db6476944",
         "61bc2c3b3e8b2080420ced7e64e1f4f66a2537a33d199490a9a9f3c128e86db9"},
    };

    (void)state;
    for (size_t k = 0; k < sizeof want / sizeof want[0]; k++) {
        const size_t n_train = TRAIN * want[k].length, n_test = TEST * want[k].length;
        int32_t *labels;
        double *x = generate(&labels, want[k].length, want[k].seed);
        float *single = gle_floats(n_train + n_test);
        assert_non_null(single);
        for (size_t i = 0; i < n_train + n_test; i++)
            single[i] = (float)x[i];
        assert_hash(single, n_train * sizeof *single, want[k].train);
        assert_hash(single + n_train, n_test * sizeof *single, want[k].test);
        assert_hash(x, n_train * sizeof *x, want[k].train_double);
        assert_hash(x + n_train, n_test * sizeof *x, want[k].test_double);
        gle_free(single);
        gle_free(x);
        gle_free(labels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_the_published_ones),
        cmocka_unit_test(labels_are_the_published_ones),
        cmocka_unit_test(the_permutation_follows_all_other_draws),
        cmocka_unit_test(checksums_are_the_published_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
