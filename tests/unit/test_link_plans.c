/* What links make of their settings: sizes, synapses, and words about what cannot be. */
#include "../support/links.h"
#include "base/memory.h"
#include "base/npz.h"
#include "yaml/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- geometry --- */

static void check_shape(const char *text, struct gle_shape source, size_t channels, size_t rows, size_t cols)
{
    const struct gle_shape target = {.channels = channels, .size = {1, 1}};
    struct gle_error err = {.code = GLE_OK};
    struct made m;

    if (make(&m, text, &source, &target, 1, "hidden", &err))
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(m.plan.target.dims, source.dims);
    assert_int_equal(m.plan.target.channels, channels);
    assert_int_equal(m.plan.target.size[0], rows);
    assert_int_equal(m.plan.target.size[1], cols);
    unmake(&m);
}

static void convolutions_have_the_sizes_of_pytorch(void **state)
{
    const struct gle_shape image = {.channels = 3, .dims = 2, .size = {28, 20}};
    const struct gle_shape line = {.channels = 2, .dims = 1, .size = {1, 101}};
    const struct gle_shape target = {.channels = 7, .size = {1, 1}};
    struct gle_error err = {.code = GLE_OK};
    struct made m;

    (void)state;
    check_shape("{type: conv, kernel: 5}", image, 4, 24, 16);
    check_shape("{type: conv, kernel: [3, 5], stride: [2, 3], padding: [1, 2]}", image, 4, 14, 7);
    check_shape("{type: conv, kernel: 3, padding: 1, pool: {type: mean, size: [2, 3]}}", image, 4, 14, 6);
    check_shape("{type: conv, kernel: 10, stride: 4}", line, 4, 1, 23);
    check_shape("{type: conv, kernel: 10, stride: 4, pool: {type: max, size: 2}}", line, 4, 1, 11);
    assert_false(make(&m, "{type: conv, kernel: [3, 5]}", &image, &target, 1, "hidden", &err));
    assert_int_equal(m.plan.n_shape, 4);
    assert_int_equal(m.plan.shape[0], 7);
    assert_int_equal(m.plan.shape[1], 3);
    assert_int_equal(m.plan.shape[2], 3);
    assert_int_equal(m.plan.shape[3], 5);
    assert_int_equal(m.plan.fan_in, 45);
    unmake(&m);
    assert_false(make(&m, "{type: conv, kernel: 9}", &line, &target, 1, "hidden", &err));
    assert_int_equal(m.plan.n_shape, 3);
    assert_int_equal(m.plan.shape[2], 9);
    unmake(&m);
}

/* --- what cannot be --- */

#define NEURONS(n) {.channels = n, .size = {1, 1}}
#define LINE(c, n) {.channels = c, .dims = 1, .size = {1, n}}
#define PLANE(c, h, w) {.channels = c, .dims = 2, .size = {h, w}}

static void misfits_are_said_in_words(void **state)
{
    static const struct {
        const char *settings;
        struct gle_shape source, target;
        const char *words;
    } cases[] = {
        {"one_to_one", NEURONS(50), NEURONS(40),
         "one_to_one wants as many neurons on both sides: the source has 50 neurons, the target 40 neurons"},
        {"{type: one_to_one, pool: {type: mean, size: 2}}", LINE(1, 9), NEURONS(9),
         "one_to_one wants as many neurons on both sides: the source has 1 channel of 4 once pooled, the target 9 "
         "neurons"},
        {"{type: conv, kernel: 5}", NEURONS(50), NEURONS(4),
         "a convolution reads neurons that lie in a line or a plane; the source has 50 neurons"},
        {"{type: conv, kernel: 5}", PLANE(3, 28, 4), NEURONS(4),
         "a kernel of 5 is larger than the source, which has 3 channels of 28 x 4"},
        {"{type: conv, kernel: 9, padding: 2, pool: {type: max, size: 3}}", LINE(3, 14), NEURONS(4),
         "a kernel of 9 is larger than the source, which has 3 channels of 4 once pooled before its padding"},
        {"{type: conv, kernel: [3, 3]}", LINE(3, 14), NEURONS(4),
         "kernel has two numbers, where the neurons of the source lie in a line"},
        {"{type: conv, kernel: 3, stride: [1, 1]}", LINE(3, 14), NEURONS(4),
         "stride has two numbers, where the neurons of the source lie in a line"},
        {"{type: conv, kernel: 3, padding: 3}", LINE(3, 14), NEURONS(4),
         "with a padding of 3 a kernel of 3 meets nothing but padding at the edges; up to 2 is possible"},
        {"{type: conv, kernel: 3}", PLANE(3, 8, 8), PLANE(4, 5, 6),
         "the convolution makes 4 channels of 6 x 6, where the target has 4 channels of 5 x 6"},
        {"{type: dense, pool: {type: mean, size: 2}}", NEURONS(50), NEURONS(4),
         "pooling needs neurons that lie in a line or a plane; the source has 50 neurons"},
        {"{type: dense, pool: {type: mean, size: [1, 9]}}", PLANE(1, 8, 8), NEURONS(4),
         "pooling by 9 is larger than the source, which has 1 channel of 8 x 8"},
        {"{type: dense, pool: {type: mean, size: [2, 2]}}", LINE(1, 8), NEURONS(4),
         "the size of pooling has two numbers, where the neurons of the source lie in a line"},
        {"sparse", NEURONS(50), NEURONS(4), "sparse wants one of 'probability' and 'mask'"},
        {"{type: sparse, probability: 0.5, mask: a.npy}", NEURONS(50), NEURONS(4),
         "sparse wants only one of 'probability' and 'mask'"},
        {"{type: sparse, probability: 1.0e-9}", NEURONS(50), NEURONS(4),
         "none of the 4 x 50 synapses was drawn with probability 1e-09"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gle_error err = {.code = GLE_OK};
        struct made m;
        if (!make(&m, cases[i].settings, &cases[i].source, &cases[i].target, 1, "hidden", &err))
            fail_msg("%s passes", cases[i].settings);
        assert_string_equal(err.text, cases[i].words);
        unmake(&m);
    }
}

static void settings_that_say_nothing_are_refused_where_they_stand(void **state)
{
    static const struct {
        const char *settings;
        size_t column;
        const char *words;
    } cases[] = {
        {"dence", 7, "unknown link 'dence' (did you mean 'dense'?)"},
        {"conv", 7, "needs the key 'kernel' (size of the kernel: a number, or [rows, columns])"},
        {"{type: conv, kernel: 0}", 28, "0 is below the smallest allowed value 1"},
        {"{type: conv, kernel: [1, 2, 3]}", 28, "a number, or two as in [3, 5] (rows, columns), is wanted"},
        {"{type: conv, kernel: []}", 28, "a number, or two as in [3, 5] (rows, columns), is wanted"},
        {"{type: conv, kernel: {rows: 3}}", 28, "a number, or two as in [3, 5] (rows, columns), is wanted"},
        {"{type: conv, kernel: [3, x]}", 32, "a whole number is wanted, not 'x'"},
        {"{type: conv, kernel: 3, padding: -1}", 40, "-1 is negative; a whole number from 0 on is wanted"},
        {"{type: conv, kernel: 3, stride: 0}", 39, "0 is below the smallest allowed value 1"},
        {"{type: dense, pool: {type: median, size: 2}}", 34, "unknown pooling 'median' (did you mean 'mean'?)"},
        {"{type: dense, pool: max}", 27, "needs the key 'size' (neurons that become one: side of a square, or [rows, "
                                         "columns]; length of a piece of a line)"},
        {"{type: sparse, probability: 1.5}", 35, "1.5 is above the largest allowed value 1"},
        {"{type: one_to_one, kernel: 3}", 26, "unknown key 'kernel' (known here: type, pool)"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gle_errors errs = {.n = 0};
        struct made m;
        if (!decode(&m, cases[i].settings, &errs))
            fail_msg("%s passes", cases[i].settings);
        if (errs.item[0].column != cases[i].column || strcmp(errs.item[0].text, cases[i].words))
            fail_msg("%s: %zu: %s", cases[i].settings, errs.item[0].column, errs.item[0].text);
        gle_doc_destroy(m.doc);
    }
}

/* --- synapses --- */

static const struct gle_shape forty = NEURONS(40), sixty = NEURONS(60);

static struct made draw(double probability, uint64_t seed, const char *label)
{
    struct gle_error err = {.code = GLE_OK};
    struct made m;
    char text[64];

    snprintf(text, sizeof text, "{type: sparse, probability: %g}", probability);
    assert_false(make(&m, text, &forty, &sixty, seed, label, &err));
    return m;
}

static bool same_synapses(const struct gle_link_plan *a, const struct gle_link_plan *b)
{
    return a->n_synapses == b->n_synapses && !memcmp(a->starts, b->starts, 61 * sizeof *a->starts) &&
           !memcmp(a->columns, b->columns, a->n_synapses * sizeof *a->columns);
}

static void synapses_follow_from_seed_and_label(void **state)
{
    struct made a = draw(0.1, 7, "hidden.late"), b = draw(0.1, 7, "hidden.late"), all = draw(1.0, 7, "hidden.late");
    struct made other_seed = draw(0.1, 8, "hidden.late"), other = draw(0.1, 7, "hidden.latf");
    struct made high_seed = draw(0.1, 7 + (UINT64_C(1) << 32), "hidden.late");

    (void)state;
    assert_true(same_synapses(&a.plan, &b.plan));
    assert_false(same_synapses(&a.plan, &other_seed.plan));
    assert_false(same_synapses(&a.plan, &high_seed.plan));
    assert_false(same_synapses(&a.plan, &other.plan));
    assert_in_range(a.plan.n_synapses, 240 - 4 * 15, 240 + 4 * 15); /* within four standard deviations */
    assert_int_equal(a.plan.fan_in, (a.plan.n_synapses + 30) / 60);
    assert_int_equal(all.plan.n_synapses, 2400);
    assert_int_equal(all.plan.fan_in, 40);
    unmake(&a);
    unmake(&b);
    unmake(&other_seed);
    unmake(&high_seed);
    unmake(&other);
    unmake(&all);
}

/* Seeds of published runs keep their networks. */
static void synapses_of_a_seed_stay_what_they_are(void **state)
{
    struct made a = draw(0.1, 7, "hidden.late");

    (void)state;
    assert_int_equal(a.plan.n_synapses, 248);
    assert_memory_equal(a.plan.columns, ((uint32_t[]){13, 14, 26, 28, 3}), 5 * sizeof(uint32_t));
    unmake(&a);
}

/* A folder for files, and what is in it. */
static char folder[] = "/tmp/gle_links_XXXXXX", file[64];

static const char *name_file(const char *name)
{
    snprintf(file, sizeof file, "%s/%s", folder, name);
    return file;
}

static void write_npz(const char *name, const char *array, enum gle_npy_type type, const void *values, size_t n_dims,
                      const size_t *shape)
{
    struct gle_npz_writer *w = gle_npz_create();
    struct gle_error err = {.code = GLE_OK};
    const float other = 1.0f;

    assert_false(gle_npz_add(w, array, type, values, n_dims, shape, &err));
    if (strcmp(array, "only"))
        assert_false(gle_npz_add(w, "other", GLE_NPY_F32, &other, 0, NULL, &err));
    assert_false(gle_npz_write(w, name_file(name), &err));
    gle_npz_destroy(w);
}

static void write_npy(const char *name, enum gle_npy_type type, const void *values, size_t n_dims, const size_t *shape)
{
    char head[GLE_NPY_FORMAT_MAX];
    FILE *f = fopen(name_file(name), "wb");
    size_t n = 1;

    assert_non_null(f);
    for (size_t d = 0; d < n_dims; d++)
        n *= shape[d];
    fwrite(head, 1, gle_npy_format(head, type, n_dims, shape), f);
    fwrite(values, gle_npy_item(type), n, f);
    fclose(f);
}

/* A mask that is read, by its words if it cannot be. */
static int mask(struct made *m, const char *name, struct gle_error *err)
{
    char text[128];

    snprintf(text, sizeof text, "{type: sparse, mask: %s}", name_file(name));
    *err = (struct gle_error){.code = GLE_OK};
    return make(m, text, &forty, &sixty, 1, "hidden.late", err);
}

static void masks_say_which_synapses_there_are(void **state)
{
    struct made drawn = draw(0.1, 7, "hidden.late");
    unsigned char whole[2400] = {0};
    double real[2400];
    int64_t *pairs = calloc(2 * drawn.plan.n_synapses, sizeof *pairs);

    (void)state;
    gle_link_synapses(&drawn.plan, pairs);
    for (size_t k = 0; k < drawn.plan.n_synapses; k++)
        whole[pairs[2 * k] * 40 + pairs[2 * k + 1]] = 1;
    for (size_t i = 0; i < 2400; i++)
        real[i] = whole[i];
    write_npz("bool.npz", "mask", GLE_NPY_BOOL, whole, 2, (size_t[]){60, 40});
    write_npz("only.npz", "only", GLE_NPY_U8, whole, 2, (size_t[]){60, 40});
    write_npz("weights.npz", "hidden.late.synapses", GLE_NPY_I64, pairs, 2, (size_t[]){drawn.plan.n_synapses, 2});
    write_npy("real.npy", GLE_NPY_F64, real, 2, (size_t[]){60, 40});
    for (size_t i = 0; i < 4; i++) {
        struct gle_error err;
        struct made m;
        if (mask(&m, (const char *[]){"bool.npz", "only.npz", "weights.npz", "real.npy"}[i], &err))
            fail_msg("%s", err.text);
        assert_true(same_synapses(&m.plan, &drawn.plan));
        assert_string_equal(m.plan.link->file(m.part.params), file);
        unmake(&m);
    }
    free(pairs);
    unmake(&drawn);
}

static void check_mask_fails(const char *name, const char *path, const char *words)
{
    struct gle_error err;
    struct made m;

    if (!mask(&m, name, &err))
        fail_msg("%s passes", name);
    assert_int_equal(err.code, GLE_EDATA);
    assert_string_equal(err.file, file);
    assert_string_equal(err.path, path);
    assert_string_equal(err.text, words);
    unmake(&m);
}

static void masks_that_do_not_fit_are_refused(void **state)
{
    static const char wanted[] = "; a matrix (60, 40) of 0 and 1, (neurons, sources), is wanted";
    float real[2400] = {0.0f};
    char words[200];

    (void)state;
    write_npz("empty.npz", "mask", GLE_NPY_F32, real, 2, (size_t[]){60, 40});
    snprintf(words, sizeof words, "holds no synapse%s", wanted);
    check_mask_fails("empty.npz", "mask", words);
    real[2399] = 0.5f;
    write_npz("half.npz", "mask", GLE_NPY_F32, real, 2, (size_t[]){60, 40});
    snprintf(words, sizeof words, "holds 0.5%s", wanted);
    check_mask_fails("half.npz", "mask", words);
    write_npz("turned.npz", "mask", GLE_NPY_F32, real, 2, (size_t[]){40, 60});
    snprintf(words, sizeof words, "has shape (40, 60)%s", wanted);
    check_mask_fails("turned.npz", "mask", words);
    write_npy("flat.npy", GLE_NPY_F32, real, 1, (size_t[]){2400});
    snprintf(words, sizeof words, "is no matrix%s", wanted);
    check_mask_fails("flat.npy", "", words);
    write_npz("foreign.npz", "weight", GLE_NPY_F32, real, 1, (size_t[]){2400});
    check_mask_fails("foreign.npz", "", "no array 'hidden.late.synapses' or 'mask': it has other and weight");
    assert_false(truncate(name_file("flat.npy"), 500));
    check_mask_fails("flat.npy", "", "its shape does not fit the 372 bytes of values");
    check_mask_fails("none.npy", "", "cannot be read: No such file or directory");
}

static void check_pairs_fail(const uint32_t *pairs, size_t n, const char *words)
{
    write_npz("pairs.npz", "hidden.late.synapses", GLE_NPY_U32, pairs, 2, (size_t[]){n, 2});
    check_mask_fails("pairs.npz", "hidden.late.synapses", words);
}

static void synapses_that_cannot_be_are_refused(void **state)
{
    static const uint32_t twice[] = {0, 3, 0, 3}, back[] = {1, 0, 0, 5}, beyond[] = {0, 3, 60, 0}, aside[] = {0, 40};
    static const float real[] = {0.0f, 1.5f};

    (void)state;
    check_pairs_fail(twice, 2, "row 1, (0, 3), does not come after row 0");
    check_pairs_fail(back, 2, "row 1, (0, 5), does not come after row 0");
    check_pairs_fail(beyond, 2, "row 1, (60, 0), lies outside of 60 neurons that read 40");
    check_pairs_fail(aside, 1, "row 0, (0, 40), lies outside of 60 neurons that read 40");
    write_npz("pairs.npz", "hidden.late.synapses", GLE_NPY_F32, real, 2, (size_t[]){1, 2});
    check_mask_fails("pairs.npz", "hidden.late.synapses", "row 0 holds no whole numbers");
    write_npz("pairs.npz", "hidden.late.synapses", GLE_NPY_U32, twice, 1, (size_t[]){4});
    check_mask_fails("pairs.npz", "hidden.late.synapses", "is no list of pairs (neuron, source)");
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"bool.npz",  "only.npz",   "weights.npz", "real.npy",   "empty.npz",
                                        "half.npz", "turned.npz", "flat.npy",    "foreign.npz", "pairs.npz"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove(name_file(names[i]));
    return rmdir(folder);
}

/* --- memory --- */

static void every_missing_piece_of_memory_is_said(void **state)
{
    struct made m;
    struct gle_error err;
    size_t k = 0;
    int rc;

    (void)state;
    do {
        struct gle_errors errs = {.n = 0};
        err = (struct gle_error){.code = GLE_OK};
        assert_false(decode(&m, "{type: sparse, probability: 0.9}", &errs));
        gle_memory_fail_after(k++);
        rc = gle_link_plan_make(&m.plan, (const struct gle_link *)m.part.row, m.part.params, &forty, &sixty, 1,
                                "hidden", &err);
        gle_memory_fail_after((size_t)-1);
        assert_int_equal(err.code, rc ? GLE_ENOMEM : GLE_OK);
        unmake(&m);
    } while (rc);
    assert_true(k > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_have_the_sizes_of_pytorch),
        cmocka_unit_test(misfits_are_said_in_words),
        cmocka_unit_test(settings_that_say_nothing_are_refused_where_they_stand),
        cmocka_unit_test(synapses_follow_from_seed_and_label),
        cmocka_unit_test(synapses_of_a_seed_stay_what_they_are),
        cmocka_unit_test(masks_say_which_synapses_there_are),
        cmocka_unit_test(masks_that_do_not_fit_are_refused),
        cmocka_unit_test(synapses_that_cannot_be_are_refused),
        cmocka_unit_test(every_missing_piece_of_memory_is_said),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
