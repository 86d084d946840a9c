#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PATH_SIZE = 512, FILE_MAX = 1 << 16 };
static const char *test_dir;    /* the folder tests/ */
static char scratch[PATH_SIZE]; /* a file of this run, for the group */

static int make_scratch(void **state)
{
    const char *base = getenv("TMPDIR");
    int fd;

    (void)state;
    test_dir = getenv("GLE_TEST_DIR");
    if (!test_dir) {
        print_error("GLE_TEST_DIR is not set: the path of the folder tests/\n");
        return -1;
    }
    snprintf(scratch, sizeof scratch, "%s/glesim-test-XXXXXX", base ? base : "/tmp");
    fd = mkstemp(scratch);
    return fd < 0 ? -1 : close(fd);
}

static int remove_scratch(void **state)
{
    (void)state;
    return unlink(scratch);
}

static const char *fixture(char path[PATH_SIZE], const char *name)
{
    snprintf(path, PATH_SIZE, "%s/unit/fixtures/%s.npz", test_dir, name);
    return path;
}

static struct gle_npz *open_fixture(const char *name)
{
    struct gle_error err = {0};
    struct gle_npz *npz;
    char path[PATH_SIZE];

    if (gle_npz_open(&npz, fixture(path, name), &err))
        fail_msg("%s: %s", path, err.text);
    return npz;
}

static struct gle_array read_one(const struct gle_npz *npz, const char *name)
{
    struct gle_error err = {0};
    struct gle_array array;

    if (gle_npz_read(&array, npz, name, &err))
        fail_msg("%s: %s", name, err.text);
    return array;
}

static void assert_shape(const struct gle_array *array, size_t n_dims, const size_t *shape)
{
    size_t n = 1;

    assert_int_equal(array->n_dims, n_dims);
    for (size_t i = 0; i < n_dims; i++) {
        assert_int_equal(array->shape[i], shape[i]);
        n *= shape[i];
    }
    assert_int_equal(array->n, n);
    assert_non_null(array->values);
}

/* --- reading what numpy wrote --- */

static void every_type_is_read(void **state)
{
    static const char *const names[GLE_NPY_TYPES] = {"float32", "float64", "int8",   "int16",  "int32", "int64",
                                                     "uint8",   "uint16",  "uint32", "uint64", "bool", "float16"};
    struct gle_npz *npz = open_fixture("types");

    (void)state;
    assert_int_equal(gle_npz_count(npz), GLE_NPY_TYPES);
    for (int t = 0; t < GLE_NPY_TYPES; t++) {
        struct gle_array a = read_one(npz, names[t]);
        const int64_t want[] = {0, 1, t == GLE_NPY_BOOL ? 1 : 100};
        assert_int_equal(a.type, t);
        assert_shape(&a, 1, (size_t[]){3});
        for (size_t i = 0; i < 3; i++) {
            int64_t got;
            assert_int_equal(gle_array_int(&got, &a, i), 0);
            assert_int_equal(got, want[i]);
            assert_true(gle_array_real(&a, i) == (double)want[i]);
        }
        gle_array_clear(&a);
        assert_null(a.values);
    }
    gle_npz_close(npz);
}

static void big_endian_arrays_are_turned(void **state)
{
    struct gle_npz *npz = open_fixture("big_endian");

    (void)state;
    assert_int_equal(gle_npz_count(npz), 9);
    for (size_t i = 0; i < gle_npz_count(npz); i++) {
        struct gle_array a = read_one(npz, gle_npz_name(npz, i));
        assert_shape(&a, 1, (size_t[]){3});
        assert_true(gle_array_real(&a, 0) == 1.0 && gle_array_real(&a, 1) == 2.0 && gle_array_real(&a, 2) == 300.0);
        gle_array_clear(&a);
    }
    gle_npz_close(npz);
}

static void fortran_order_becomes_c_order(void **state)
{
    struct gle_npz *npz = open_fixture("order");
    static const struct {
        const char *name;
        size_t n_dims, shape[3];
        unsigned modulus;
    } arrays[] = {{"c", 3, {2, 3, 4}, 1000},
                  {"fortran", 3, {2, 3, 4}, 1000},
                  {"fortran_big", 2, {3, 2}, 1000},
                  {"fortran_long", 2, {3, 2000}, 125}};

    (void)state;
    for (size_t k = 0; k < COUNT(arrays); k++) {
        struct gle_array a = read_one(npz, arrays[k].name);
        assert_shape(&a, arrays[k].n_dims, arrays[k].shape);
        for (size_t i = 0; i < a.n; i++)
            assert_true(gle_array_real(&a, i) == (double)(i % arrays[k].modulus));
        gle_array_clear(&a);
    }
    gle_npz_close(npz);
}

static void scalars_and_empty_arrays_are_read(void **state)
{
    struct gle_npz *npz = open_fixture("shapes");
    struct gle_array a = read_one(npz, "scalar");

    (void)state;
    assert_shape(&a, 0, NULL);
    assert_true(gle_array_real(&a, 0) == 2.5);
    gle_array_clear(&a);
    a = read_one(npz, "none");
    assert_shape(&a, 1, (size_t[]){0});
    gle_array_clear(&a);
    a = read_one(npz, "none_3d");
    assert_shape(&a, 3, (size_t[]){3, 0, 5});
    gle_array_clear(&a);
    a = read_one(npz, "eight");
    assert_shape(&a, 8, (size_t[]){1, 1, 1, 1, 1, 1, 1, 1});
    gle_array_clear(&a);
    a = read_one(npz, "dir/deep");
    assert_shape(&a, 1, (size_t[]){1});
    gle_array_clear(&a);
    gle_npz_close(npz);
}

static void every_npy_version_is_read(void **state)
{
    struct gle_npz *npz = open_fixture("versions");

    (void)state;
    assert_int_equal(gle_npz_count(npz), 3);
    for (size_t i = 0; i < 3; i++) {
        struct gle_array a = read_one(npz, gle_npz_name(npz, i));
        assert_shape(&a, 1, (size_t[]){2});
        assert_true(gle_array_real(&a, 0) == 1.5 && gle_array_real(&a, 1) == -2.0);
        gle_array_clear(&a);
    }
    gle_npz_close(npz);
}

static void names_are_sorted_and_found(void **state)
{
    struct gle_npz *npz = open_fixture("shapes");

    (void)state;
    assert_int_equal(gle_npz_count(npz), 6);
    for (size_t i = 0; i < gle_npz_count(npz); i++) {
        assert_true(gle_npz_has(npz, gle_npz_name(npz, i)));
        assert_true(i == 0 || strcmp(gle_npz_name(npz, i - 1), gle_npz_name(npz, i)) < 0);
    }
    assert_false(gle_npz_has(npz, "scalar.npy"));
    assert_false(gle_npz_has(npz, ""));
    gle_npz_close(npz);
    npz = open_fixture("empty");
    assert_int_equal(gle_npz_count(npz), 0);
    assert_false(gle_npz_has(npz, "a"));
    gle_npz_close(npz);
    gle_npz_close(NULL);
}

static void only_integral_values_are_integers(void **state)
{
    static const int is_int[] = {1, 0, 0, 0, 0, 1, 1}; /* 3, 3.5, nan, inf, 2^63, -2^63, -0 */
    struct gle_npz *npz = open_fixture("numbers");
    struct gle_array a = read_one(npz, "float64");
    int64_t value;

    (void)state;
    for (size_t i = 0; i < COUNT(is_int); i++)
        assert_int_equal(gle_array_int(&value, &a, i), is_int[i] ? 0 : -1);
    assert_int_equal(gle_array_int(&value, &a, 5), 0);
    assert_true(value == INT64_MIN);
    gle_array_clear(&a);
    a = read_one(npz, "uint64");
    assert_int_equal(gle_array_int(&value, &a, 0), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(gle_array_int(&value, &a, 1), -1);
    assert_true(gle_array_real(&a, 1) == 0x1p63);
    gle_array_clear(&a);
    a = read_one(npz, "int64");
    assert_int_equal(gle_array_int(&value, &a, 0), 0);
    assert_true(value == INT64_MIN);
    assert_int_equal(gle_array_int(&value, &a, 1), 0);
    assert_true(value == INT64_MAX);
    gle_array_clear(&a);
    gle_npz_close(npz);
}

/* All bit patterns, against single precision's, whose exponent has three bits more. */
static void half_precision_is_read_exactly(void **state)
{
    enum { PATTERNS = 1 << 16 };
    static uint16_t all[PATTERNS];
    const struct gle_array a = {.type = GLE_NPY_F16, .n_dims = 1, .shape = {PATTERNS}, .n = PATTERNS, .values = all};
    static const double written[] = {0x1.998p-4, -65504.0, 0x1p-24, INFINITY};
    struct gle_npz *npz = open_fixture("numbers");
    struct gle_array numpy = read_one(npz, "float16");

    (void)state;
    for (unsigned h = 0; h < PATTERNS; h++) {
        const unsigned exponent = h >> 10 & 31, fraction = h & 1023;
        uint32_t bits = (h & 0x8000) << 16 | fraction << 13;
        float want;
        all[h] = (uint16_t)h;
        bits |= (exponent == 31 ? 255 : exponent ? exponent + 112 : 0) << 23;
        memcpy(&want, &bits, sizeof want);
        if (!exponent) /* the same subnormal is 2^112 times as large there */
            want = (h & 0x8000 ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
        if (isnan(want))
            assert_true(isnan(gle_array_real(&a, h)));
        else
            assert_true(gle_array_real(&a, h) == (double)want);
        assert_int_equal(!!signbit(gle_array_real(&a, h)) && !isnan(want), !!(h & 0x8000) && !isnan(want));
    }
    for (size_t i = 0; i < COUNT(written); i++)
        assert_true(gle_array_real(&numpy, i) == written[i]);
    assert_true(isnan(gle_array_real(&numpy, 4)));
    gle_array_clear(&numpy);
    gle_npz_close(npz);
}

/* --- refusing what cannot be read --- */

static void assert_refused(const struct gle_npz *npz, const char *name, const char *why)
{
    struct gle_error err = {0};
    struct gle_array a;

    if (!gle_npz_read(&a, npz, name, &err))
        fail_msg("%s was read", name);
    assert_int_equal(err.code, GLE_EDATA);
    if (!strstr(err.text, why))
        fail_msg("%s: '%s' does not say '%s'", name, err.text, why);
    assert_non_null(strstr(err.file, ".npz"));
    assert_null(a.values);
    for (const char *c = err.text; *c; c++)
        assert_true(*c >= ' ');
}

static void unsupported_elements_are_named(void **state)
{
    struct gle_npz *npz = open_fixture("unsupported");

    (void)state;
    assert_refused(npz, "object", "Python objects");
    assert_refused(npz, "complex", "'<c16'");
    assert_refused(npz, "longdouble", "'<f16'; only float16, float32, float64, integers and bool can be read");
    assert_refused(npz, "text", "'<U2'");
    assert_refused(npz, "record", "records");
    gle_npz_close(npz);
    npz = open_fixture("shapes");
    assert_refused(npz, "nine", "9 dimensions");
    gle_npz_close(npz);
}

static void missing_array_gets_a_suggestion(void **state)
{
    struct gle_npz *npz = open_fixture("types");

    (void)state;
    assert_refused(npz, "flaot32", "no array 'flaot32' (did you mean 'float32'?)");
    assert_refused(npz, "weight", "no array 'weight': it has bool, float16, float32, float64, int16, int32, int64, "
                                  "int8, uint16, uint32, uint64 and uint8");
    gle_npz_close(npz);
    npz = open_fixture("empty");
    assert_refused(npz, "weight", "no array 'weight': it has no arrays");
    gle_npz_close(npz);
}

/* As many as there is room for, and how many more there are. */
static void a_list_of_arrays_ends_with_their_number(void **state)
{
    struct gle_npz *npz = open_fixture("types");
    char all[200];

    (void)state;
    gle_npz_list(all, sizeof all, npz);
    for (size_t size = 1; size < sizeof all; size++) {
        char list[200], want[200];
        size_t n = 0;
        memset(list, 'x', sizeof list);
        gle_npz_list(list, size, npz);
        assert_true(strlen(list) < size);
        assert_int_equal(list[size], 'x');
        for (const char *c = list; *c; c++)
            n += *c == ',';
        if (size < 80 || !strcmp(list, all))
            continue;
        snprintf(want, sizeof want, " and %zu more", gle_npz_count(npz) - n - 1);
        assert_non_null(strstr(list, want));
    }
    assert_null(strstr(all, "more"));
    gle_npz_close(npz);
}

/* What a folder that was packed had beside the arrays. */
static void files_that_are_no_arrays_are_passed_over(void **state)
{
    struct gle_npz *npz = open_fixture("beside");
    struct gle_array a = read_one(npz, "a");

    (void)state;
    assert_int_equal(gle_npz_count(npz), 1);
    assert_shape(&a, 1, (size_t[]){2});
    gle_array_clear(&a);
    gle_npz_close(npz);
}

struct told {
    size_t calls, done, total, stop_at;
};

static int count_progress(void *ctx, size_t done, size_t total)
{
    struct told *told = ctx;

    assert_true(done >= told->done && done <= total);
    told->done = done;
    told->total = total;
    return ++told->calls == told->stop_at;
}

static void a_long_array_is_read_piece_by_piece(void **state)
{
    enum { N = 1 << 20 };
    float *x = gle_calloc(N, sizeof *x);
    struct gle_npz_writer *w = gle_npz_create();
    struct gle_error err = {0};
    struct told told = {0};
    struct gle_npz *npz;
    struct gle_array a;

    (void)state;
    assert_true(x && w);
    for (size_t i = 0; i < N; i++)
        x[i] = (float)i;
    assert_int_equal(gle_npz_add(w, "x", GLE_NPY_F32, x, 1, (size_t[]){N}, &err), 0);
    assert_int_equal(gle_npz_write(w, scratch, &err), 0);
    gle_npz_destroy(w);
    assert_int_equal(gle_npz_open(&npz, scratch, &err), 0);
    gle_npz_watch(npz, count_progress, &told);
    a = read_one(npz, "x");
    assert_int_equal(a.n, N);
    assert_memory_equal(a.values, x, N * sizeof *x);
    gle_array_clear(&a);
    assert_true(told.calls >= 4 && told.done == told.total && told.total > N * sizeof *x);
    told = (struct told){.stop_at = 2};
    assert_int_equal(gle_npz_read(&a, npz, "x", &err), -1);
    assert_int_equal(err.code, GLE_ESTOPPED);
    assert_int_equal(told.calls, 2);
    assert_null(a.values);
    gle_npz_close(npz);
    gle_free(x);
}

static void only_well_formed_headers_are_read(void **state)
{
    static const char *const files[] = {"headers", "headers_more"};
    size_t n_good = 0, n_bad = 0;

    (void)state;
    for (size_t f = 0; f < COUNT(files); f++) {
        struct gle_npz *npz = open_fixture(files[f]);
        for (size_t i = 0; i < gle_npz_count(npz); i++) {
            const char *name = gle_npz_name(npz, i);
            struct gle_array a;
            if (!strncmp(name, "bad", 3)) {
                assert_refused(npz, name, "");
                n_bad++;
                continue;
            }
            a = read_one(npz, name);
            assert_true(a.n == 1 && gle_array_real(&a, 0) == 1.0);
            gle_array_clear(&a);
            n_good++;
        }
        gle_npz_close(npz);
    }
    assert_int_equal(n_good, 2);
    assert_int_equal(n_bad, 33);
}

static void assert_not_opened(const char *path, const char *why)
{
    struct gle_error err = {0};
    struct gle_npz *npz = (struct gle_npz *)scratch;

    if (!gle_npz_open(&npz, path, &err))
        fail_msg("%s was opened", path);
    assert_null(npz);
    assert_int_equal(err.code, GLE_EDATA);
    assert_string_equal(err.file, path);
    if (!strstr(err.text, why))
        fail_msg("%s: '%s' does not say '%s'", path, err.text, why);
}

static void suspicious_archives_are_not_opened(void **state)
{
    static const char *const cases[][2] = {{"name_dotdot", "'..'"},
                                           {"name_absolute", "leading '/'"},
                                           {"name_control", "control character"},
                                           {"name_twice", "more than one"},
                                           {"bzip2", "compression"},
                                           {"bomb_4gib", "4 GiB"},
                                           {"bomb_ratio", "cannot hold"},
                                           {"bomb_stored", "cannot hold"},
                                           {"no_such_file", "No such file"}};
    char path[PATH_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_not_opened(fixture(path, cases[i][0]), cases[i][1]);
    assert_not_opened("/tmp", "not a regular file");
    assert_not_opened("/dev/zero", "not a regular file");
}

static size_t load(unsigned char *bytes, const char *name)
{
    char path[PATH_SIZE];
    FILE *f = fopen(fixture(path, name), "rb");
    size_t n;

    assert_non_null(f);
    n = fread(bytes, 1, FILE_MAX, f);
    fclose(f);
    return n;
}

/* Writes the bytes to the scratch file; then "a" must read as (1, 2), or opening or reading must fail cleanly. Returns
 * whether it could be read. */
static int read_or_refuse(const unsigned char *bytes, size_t size)
{
    struct gle_error err = {0};
    struct gle_npz *npz;
    struct gle_array a = {.n = 0};
    FILE *f = fopen(scratch, "wb");
    int ok;

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    ok = !gle_npz_open(&npz, scratch, &err) && !gle_npz_read(&a, npz, "a", &err);
    if (ok) {
        assert_int_equal(a.type, GLE_NPY_F32);
        assert_shape(&a, 1, (size_t[]){2});
        assert_true(gle_array_real(&a, 0) == 1.0 && gle_array_real(&a, 1) == 2.0);
    } else {
        assert_int_equal(err.code, GLE_EDATA);
        assert_null(a.values);
    }
    gle_array_clear(&a);
    gle_npz_close(npz);
    return ok;
}

static void truncation_anywhere_is_an_error(void **state)
{
    static const char *const names[] = {"small", "small_packed"};
    unsigned char bytes[FILE_MAX];

    (void)state;
    for (size_t k = 0; k < COUNT(names); k++) {
        const size_t size = load(bytes, names[k]);
        for (size_t n = 0; n < size; n++)
            assert_false(read_or_refuse(bytes, n));
        assert_true(read_or_refuse(bytes, size));
    }
}

static void flipped_bits_give_the_right_array_or_an_error(void **state)
{
    static const char *const names[] = {"small", "small_packed", "bomb_4gib"};
    unsigned char bytes[FILE_MAX];

    (void)state;
    for (size_t k = 0; k < COUNT(names); k++) {
        const size_t size = load(bytes, names[k]);
        for (size_t i = 0; i < 8 * size; i++) {
            bytes[i / 8] ^= (unsigned char)(1u << i % 8);
            read_or_refuse(bytes, size);
            bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        }
    }
}

static void overwritten_bytes_give_the_right_array_or_an_error(void **state)
{
    static const unsigned char patterns[] = {0x00, 0x7f, 0xff};
    unsigned char bytes[FILE_MAX], kept[8];
    const size_t size = load(bytes, "small");

    (void)state;
    for (size_t width = 1; width <= sizeof kept; width *= 2)
        for (size_t k = 0; k < COUNT(patterns); k++)
            for (size_t i = 0; i + width <= size; i++) {
                memcpy(kept, bytes + i, width);
                memset(bytes + i, patterns[k], width);
                read_or_refuse(bytes, size);
                memcpy(bytes + i, kept, width);
            }
}

/* --- writing --- */

static void add(struct gle_npz_writer *w, const char *name, enum gle_npy_type type, const void *values, size_t n_dims,
                const size_t *shape)
{
    struct gle_error err = {0};

    if (gle_npz_add(w, name, type, values, n_dims, shape, &err))
        fail_msg("%s: %s", name, err.text);
}

static struct gle_npz_writer *example(void)
{
    static const float weight[] = {1.0f, -2.0f, 3.5f, NAN, INFINITY, 0.0f};
    static const int64_t step = 1234567890123;
    static const uint8_t flags[] = {1, 0, 1};
    struct gle_npz_writer *w = gle_npz_create();

    assert_non_null(w);
    add(w, "lag_1.weight", GLE_NPY_F32, weight, 2, (size_t[]){2, 3});
    add(w, "step", GLE_NPY_I64, &step, 0, NULL);
    add(w, "flags", GLE_NPY_BOOL, flags, 1, (size_t[]){3});
    add(w, "none", GLE_NPY_F64, NULL, 2, (size_t[]){0, 4});
    add(w, "deep", GLE_NPY_U8, flags, 8, (size_t[]){1, 1, 1, 1, 1, 1, 1, 3});
    return w;
}

static void write_example(void)
{
    struct gle_npz_writer *w = example();
    struct gle_error err = {0};

    if (gle_npz_write(w, scratch, &err))
        fail_msg("%s", err.text);
    gle_npz_destroy(w);
}

static void written_arrays_read_back(void **state)
{
    struct gle_error err = {0};
    struct gle_npz *npz;
    struct gle_array a;
    int64_t value;

    (void)state;
    write_example();
    assert_int_equal(gle_npz_open(&npz, scratch, &err), 0);
    assert_int_equal(gle_npz_count(npz), 5);
    a = read_one(npz, "lag_1.weight");
    assert_int_equal(a.type, GLE_NPY_F32);
    assert_shape(&a, 2, (size_t[]){2, 3});
    assert_true(gle_array_real(&a, 2) == 3.5 && isnan(gle_array_real(&a, 3)) && isinf(gle_array_real(&a, 4)));
    gle_array_clear(&a);
    a = read_one(npz, "step");
    assert_shape(&a, 0, NULL);
    assert_int_equal(gle_array_int(&value, &a, 0), 0);
    assert_true(value == 1234567890123);
    gle_array_clear(&a);
    a = read_one(npz, "flags");
    assert_int_equal(a.type, GLE_NPY_BOOL);
    assert_shape(&a, 1, (size_t[]){3});
    gle_array_clear(&a);
    a = read_one(npz, "none");
    assert_shape(&a, 2, (size_t[]){0, 4});
    gle_array_clear(&a);
    a = read_one(npz, "deep");
    assert_shape(&a, 8, (size_t[]){1, 1, 1, 1, 1, 1, 1, 3});
    gle_array_clear(&a);
    gle_npz_close(npz);
}

static void values_may_be_filled_in_until_an_archive_is_packed(void **state)
{
    struct gle_npz_writer *w = gle_npz_create();
    struct gle_error err = {0};
    int64_t *pairs, value;
    struct gle_npz *npz;
    struct gle_array a;
    float *none;

    (void)state;
    pairs = gle_npz_room(w, "pairs", GLE_NPY_I64, 2, (size_t[]){3, 2}, &err);
    none = gle_npz_room(w, "none", GLE_NPY_F32, 1, (size_t[]){0}, &err);
    assert_true(pairs && none && (uintptr_t)pairs % 16 == 0);
    add(w, "one", GLE_NPY_F32, &(float){1.0f}, 0, NULL);
    for (int64_t i = 0; i < 6; i++)
        pairs[i] = 10 * i;
    assert_int_equal(gle_npz_write(w, scratch, &err), 0);
    gle_npz_destroy(w);
    assert_int_equal(gle_npz_open(&npz, scratch, &err), 0);
    a = read_one(npz, "pairs");
    assert_shape(&a, 2, (size_t[]){3, 2});
    for (size_t i = 0; i < 6; i++)
        assert_true(!gle_array_int(&value, &a, i) && value == 10 * (int64_t)i);
    gle_array_clear(&a);
    a = read_one(npz, "none");
    assert_shape(&a, 1, (size_t[]){0});
    gle_array_clear(&a);
    gle_npz_close(npz);
}

static void read_scratch(unsigned char **bytes, size_t *size)
{
    struct gle_error err = {0};
    assert_int_equal(gle_file_read(bytes, size, scratch, FILE_MAX, false, GLE_EDATA, &err), 0);
}

static void same_arrays_give_the_same_bytes(void **state)
{
    static const char *const zones[] = {"UTC0", "XYZ-14", "ABC+12DEF,M3.2.0,M11.1.0"};
    unsigned char *first, *again;
    size_t first_size, size;
    const char *zone = getenv("TZ");
    char *kept = zone ? strdup(zone) : NULL;

    (void)state;
    write_example();
    read_scratch(&first, &first_size);
    for (size_t i = 0; i < COUNT(zones); i++) {
        setenv("TZ", zones[i], 1);
        tzset();
        write_example();
        read_scratch(&again, &size);
        assert_int_equal(size, first_size);
        assert_memory_equal(again, first, size);
        gle_free(again);
    }
    if (kept)
        setenv("TZ", kept, 1);
    else
        unsetenv("TZ");
    tzset();
    free(kept);
    gle_free(first);
}

/* The bytes of numpy.lib.format.write_array, up to the blanks that it leaves for growth. */
static void header_is_as_numpy_writes_it(void **state)
{
    static const char want[] = "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    unsigned char *bytes;
    size_t size, start = 30 + sizeof "lag_1.weight.npy" - 1;

    (void)state;
    write_example();
    read_scratch(&bytes, &size);
    assert_memory_equal(bytes + start, want, sizeof want - 1);
    for (size_t i = sizeof want - 1; i < 127; i++)
        assert_int_equal(bytes[start + i], ' ');
    assert_int_equal(bytes[start + 127], '\n');
    gle_free(bytes);
}

static void unwritable_archive_is_an_error(void **state)
{
    struct gle_npz_writer *w = example();
    struct gle_error err = {0};

    (void)state;
    assert_int_equal(gle_npz_write(w, "/no/such/folder/a.npz", &err), -1);
    assert_int_equal(err.code, GLE_EWRITE);
    assert_string_equal(err.file, "/no/such/folder/a.npz");
    gle_npz_destroy(w);
    gle_npz_destroy(NULL);
}

static void name_given_twice_is_an_error(void **state)
{
    static const float x = 1.0f;
    struct gle_npz_writer *w = example();
    struct gle_error err = {0};

    (void)state;
    add(w, "step", GLE_NPY_F32, &x, 0, NULL);
    assert_int_equal(gle_npz_write(w, scratch, &err), -1);
    assert_int_equal(err.code, GLE_EWRITE);
    gle_npz_destroy(w);
}

static int write_some(struct gle_error *err)
{
    static const float x[] = {1.0f, 2.0f};
    struct gle_npz_writer *w = gle_npz_create();
    int rc;

    if (!w)
        return gle_fail(err, GLE_ENOMEM, "no memory");
    rc = gle_npz_add(w, "a", GLE_NPY_F32, x, 1, (size_t[]){2}, err) ||
                 gle_npz_add(w, "b", GLE_NPY_F32, x, 1, (size_t[]){2}, err) || gle_npz_write(w, scratch, err)
             ? -1
             : 0;
    gle_npz_destroy(w);
    return rc;
}

static int read_some(struct gle_error *err)
{
    struct gle_npz *npz;
    struct gle_array a;
    int rc = gle_npz_open(&npz, scratch, err);

    if (!rc && !(rc = gle_npz_read(&a, npz, "b", err)))
        gle_array_clear(&a);
    gle_npz_close(npz);
    return rc;
}

static void every_failing_allocation_is_an_error(void **state)
{
    int (*const work[])(struct gle_error *) = {write_some, read_some};

    (void)state;
    for (size_t k = 0; k < COUNT(work); k++) {
        size_t n = 0;
        for (int rc = -1; rc; n++) {
            struct gle_error err = {0};
            gle_memory_fail_after(n);
            rc = work[k](&err);
            gle_memory_fail_after((size_t)-1);
            assert_int_equal(err.code, rc ? GLE_ENOMEM : GLE_OK);
        }
        assert_true(n > 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(big_endian_arrays_are_turned),
        cmocka_unit_test(fortran_order_becomes_c_order),
        cmocka_unit_test(scalars_and_empty_arrays_are_read),
        cmocka_unit_test(every_npy_version_is_read),
        cmocka_unit_test(names_are_sorted_and_found),
        cmocka_unit_test(only_integral_values_are_integers),
        cmocka_unit_test(half_precision_is_read_exactly),
        cmocka_unit_test(unsupported_elements_are_named),
        cmocka_unit_test(missing_array_gets_a_suggestion),
        cmocka_unit_test(a_list_of_arrays_ends_with_their_number),
        cmocka_unit_test(files_that_are_no_arrays_are_passed_over),
        cmocka_unit_test(a_long_array_is_read_piece_by_piece),
        cmocka_unit_test(only_well_formed_headers_are_read),
        cmocka_unit_test(suspicious_archives_are_not_opened),
        cmocka_unit_test(truncation_anywhere_is_an_error),
        cmocka_unit_test(flipped_bits_give_the_right_array_or_an_error),
        cmocka_unit_test(overwritten_bytes_give_the_right_array_or_an_error),
        cmocka_unit_test(values_may_be_filled_in_until_an_archive_is_packed),
        cmocka_unit_test(written_arrays_read_back),
        cmocka_unit_test(same_arrays_give_the_same_bytes),
        cmocka_unit_test(header_is_as_numpy_writes_it),
        cmocka_unit_test(unwritable_archive_is_an_error),
        cmocka_unit_test(name_given_twice_is_an_error),
        cmocka_unit_test(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
