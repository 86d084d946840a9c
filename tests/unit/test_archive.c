/* Named arrays out and back, and files that are not what they should be. */
#include "base/archive.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { STACKED = 2, ROWS = 2, COLS = 3, LD = 4 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char path[64];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/glesim_archive_XXXXXX");
    return close(mkstemp(path));
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

struct item {
    double real;
    uint64_t count;
    bool flag;
};

/* Something of every kind. */
struct thing {
    float f[5];
    double d[2];
    uint64_t u;
    uint32_t w[3];
    unsigned char bytes[7];
    bool flags[3];
    size_t n;
    struct item items[4];
    float stack[STACKED][ROWS][LD];
};

static const struct thing full = {.f = {1.5f, -0.0f, 3e38f, 1e-45f, 2.0f},
                                  .d = {0.1, -1e300},
                                  .u = UINT64_MAX,
                                  .w = {1, UINT32_MAX, 3},
                                  .bytes = "abcdef",
                                  .flags = {true, false, true},
                                  .n = 4,
                                  .items = {{1.0, 2, true}, {3.0, 4, false}, {5.0, 6, true}, {7.0, 8, false}},
                                  .stack = {{{1, 2, 3}, {4, 5, 6}}, {{7, 8, 9}, {10, 11, 12}}}};

/* The last one in memory is the first in the file. */
static float *stacked(const void *ctx, size_t i)
{
    struct thing *t = *(struct thing *const *)ctx;

    return t->stack[STACKED - 1 - i][0];
}

static int visit(struct thing *t, struct gle_archive *a, struct gle_error *err)
{
    const size_t size = sizeof *t->items;
    int rc;

    if (gle_archive_f32(a, "f", t->f, COUNT(t->f), err) || gle_archive_f64(a, "d", t->d, COUNT(t->d), err) ||
        gle_archive_u64(a, "u", &t->u, 1, err))
        return -1;
    gle_archive_enter(a, "in");
    gle_archive_enter(a, "deep");
    rc = gle_archive_u32(a, "w", t->w, COUNT(t->w), err) ||
         gle_archive_bytes(a, "bytes", t->bytes, sizeof t->bytes, err);
    gle_archive_leave(a);
    rc = rc || gle_archive_bools(a, "flags", t->flags, COUNT(t->flags), err);
    gle_archive_leave(a);
    if (rc || gle_archive_count(a, "n", &t->n, 0, COUNT(t->items), err) ||
        gle_archive_spread(a, "real", GLE_NPY_F64, &t->items->real, t->n, size, err) ||
        gle_archive_spread(a, "count", GLE_NPY_U64, &t->items->count, t->n, size, err) ||
        gle_archive_spread(a, "flag", GLE_NPY_BOOL, &t->items->flag, t->n, size, err))
        return -1;
    if (gle_archive_stack(a, "stack",
                          &(struct gle_archive_stack){
                              .n = STACKED, .rows = ROWS, .cols = COLS, .ld = LD, .at = stacked, .ctx = &t},
                          err))
        return -1;
    return gle_archive_f32(a, "none", t->f, 0, err);
}

static int save(struct thing t, struct gle_error *err)
{
    struct gle_archive *a;
    int rc;

    if (gle_archive_create(&a, err))
        return -1;
    assert_false(gle_archive_restores(a));
    rc = visit(&t, a, err) || gle_archive_end(a, err) || gle_archive_write(a, path, err) ? -1 : 0;
    gle_archive_destroy(a);
    return rc;
}

static int load(struct thing *t, struct gle_error *err)
{
    struct gle_archive *a = (struct gle_archive *)t;
    int rc;

    if (gle_archive_open(&a, path, err)) {
        assert_null(a);
        return -1;
    }
    assert_true(gle_archive_restores(a));
    rc = visit(t, a, err) || gle_archive_end(a, err) ? -1 : 0;
    gle_archive_destroy(a);
    return rc;
}

static int save_full(struct thing *unused, struct gle_error *err)
{
    (void)unused;
    return save(full, err);
}

static bool equal(const struct thing *a, const struct thing *b)
{
    bool same = !memcmp(a->f, b->f, sizeof a->f) && !memcmp(a->d, b->d, sizeof a->d) && a->u == b->u &&
                !memcmp(a->w, b->w, sizeof a->w) && !memcmp(a->bytes, b->bytes, sizeof a->bytes) &&
                !memcmp(a->flags, b->flags, sizeof a->flags) && a->n == b->n &&
                !memcmp(a->stack, b->stack, sizeof a->stack);

    for (size_t i = 0; i < a->n && same; i++)
        same = a->items[i].real == b->items[i].real && a->items[i].count == b->items[i].count &&
               a->items[i].flag == b->items[i].flag;
    return same;
}

static void save_well(const struct thing *t)
{
    struct gle_error err = {0};

    if (save(*t, &err))
        fail_msg("%s", err.text);
}

static void what_is_saved_comes_back(void **state)
{
    struct thing t = {.u = 0};
    struct gle_error err = {0};

    (void)state;
    save_well(&full);
    if (load(&t, &err))
        fail_msg("%s: %s", err.path, err.text);
    assert_true(equal(&t, &full));
}

static void a_stack_is_one_array_without_padding(void **state)
{
    static const float wanted[] = {7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6};
    static const size_t shape[] = {STACKED, ROWS, COLS};
    struct gle_error err = {0};
    struct gle_npz *npz;
    struct gle_array a;

    (void)state;
    save_well(&full);
    assert_int_equal(gle_npz_open(&npz, path, &err), 0);
    assert_int_equal(gle_npz_read(&a, npz, "stack", &err), 0);
    assert_int_equal(a.n_dims, COUNT(shape));
    assert_memory_equal(a.shape, shape, sizeof shape);
    assert_memory_equal(a.values, wanted, sizeof wanted);
    gle_array_clear(&a);
    gle_npz_close(npz);
}

static void the_same_state_gives_the_same_bytes(void **state)
{
    struct gle_error err = {0};
    unsigned char *one, *two;
    size_t n, m;

    (void)state;
    save_well(&full);
    assert_int_equal(gle_file_read(&one, &n, path, 1 << 20, false, GLE_EDATA, &err), 0);
    save_well(&full);
    assert_int_equal(gle_file_read(&two, &m, path, 1 << 20, false, GLE_EDATA, &err), 0);
    assert_int_equal(n, m);
    assert_memory_equal(one, two, n);
    gle_free(one);
    gle_free(two);
}

static void put_byte(size_t at, int byte)
{
    FILE *f = fopen(path, "r+b");

    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc(byte, f), byte);
    assert_int_equal(fclose(f), 0);
}

/* Some bytes of a zip file say nothing, as the time of an entry does. */
static void damage_is_refused_or_changes_nothing(void **state)
{
    struct gle_error err = {0};
    unsigned char *bytes;
    size_t n, refused = 0;

    (void)state;
    save_well(&full);
    assert_int_equal(gle_file_read(&bytes, &n, path, 1 << 20, false, GLE_EDATA, &err), 0);
    for (size_t at = 0; at < n; at++) {
        static const unsigned char flips[] = {0x01, 0x80, 0xff};
        for (size_t k = 0; k < COUNT(flips); k++) {
            struct thing t = {.u = 0};
            struct gle_error wrong = {0};
            put_byte(at, bytes[at] ^ flips[k]);
            if (load(&t, &wrong)) {
                assert_int_equal(wrong.code, GLE_EDATA);
                refused++;
            } else if (!equal(&t, &full)) {
                fail_msg("byte %zu of %zu changed, and what comes back is another thing", at, n);
            }
        }
        put_byte(at, bytes[at]);
    }
    assert_in_range(refused, n, 3 * n);
    for (size_t size = n - n % 64; size; size -= 64) {
        struct thing t = {.u = 0};
        struct gle_error wrong = {0};
        assert_int_equal(truncate(path, (off_t)size), 0);
        assert_int_equal(load(&t, &wrong), -1);
        assert_int_equal(wrong.code, GLE_EDATA);
    }
    gle_free(bytes);
}

/* An archive in which one entry of a good one is another, under its old checksum or without any. */
static void write_other(const char *name, enum gle_npy_type type, const void *values, size_t n, bool add)
{
    struct gle_npz_writer *w = gle_npz_create();
    struct gle_error err = {0};
    struct gle_npz *npz;

    save_well(&full);
    assert_int_equal(gle_npz_open(&npz, path, &err), 0);
    for (size_t i = 0; i < gle_npz_count(npz); i++) {
        struct gle_array a;
        if (!strcmp(gle_npz_name(npz, i), name))
            continue;
        assert_int_equal(gle_npz_read(&a, npz, gle_npz_name(npz, i), &err), 0);
        assert_int_equal(gle_npz_add(w, gle_npz_name(npz, i), a.type, a.values, a.n_dims, a.shape, &err), 0);
        gle_array_clear(&a);
    }
    gle_npz_close(npz);
    if (add)
        assert_int_equal(gle_npz_add(w, name, type, values, 1, &n, &err), 0);
    assert_int_equal(gle_npz_write(w, path, &err), 0);
    gle_npz_destroy(w);
}

static void assert_refused(const char *entry, const char *why)
{
    struct thing t = {.u = 0};
    struct gle_error err = {0};

    assert_int_equal(load(&t, &err), -1);
    assert_int_equal(err.code, GLE_EDATA);
    assert_string_equal(err.file, path);
    assert_string_equal(err.path, entry);
    assert_string_equal(err.text, why);
}

static void whole_archives_that_are_none_of_ours_are_refused(void **state)
{
    const uint64_t one = 1, four = 4, ones[2] = {1, 1};
    const double real = 0.5;

    (void)state;
    write_other("format", GLE_NPY_U64, &one, 1, true);
    assert_refused("", "a checkpoint of format 1; this version reads format 5");
    write_other("format", GLE_NPY_U64, &four, 1, true);
    assert_refused("", "a checkpoint of format 4; this version reads format 5");
    write_other("format", GLE_NPY_U64, ones, 2, true);
    assert_refused("", "no checkpoint: it names no format");
    write_other("format", GLE_NPY_F64, &real, 1, true);
    assert_refused("", "no checkpoint: it names no format");
    write_other("format", GLE_NPY_U64, NULL, 0, false);
    assert_refused("", "no checkpoint: it names no format");
    write_other("sha256", GLE_NPY_U64, NULL, 0, false);
    assert_refused("", "damaged: it has no checksum");
    write_other("u", GLE_NPY_U64, &one, 1, true);
    assert_refused("", "damaged: its checksum is another one");
    write_other("u", GLE_NPY_U64, NULL, 0, false);
    assert_refused("", "damaged: its checksum is another one");
    write_other("new", GLE_NPY_U64, &one, 1, true);
    assert_refused("", "damaged: its checksum is another one");
}

/* --- archives that are whole, and hold something else --- */

/* Saving only reads the values, which one function does as well as restoring. */
static int save_one(const char *name, enum gle_npy_type type, const void *values, size_t n)
{
    struct gle_error err = {0};
    struct gle_archive *a;
    int rc;

    assert_int_equal(gle_archive_create(&a, &err), 0);
    rc = gle_archive_spread(a, name, type, (void *)values, n, gle_npy_item(type), &err) ||
         gle_archive_write(a, path, &err);
    gle_archive_destroy(a);
    return rc;
}

static struct gle_archive *reopen(void)
{
    struct gle_error err = {0};
    struct gle_archive *a;

    if (gle_archive_open(&a, path, &err))
        fail_msg("%s", err.text);
    return a;
}

static void assert_entry_error(int rc, const struct gle_error *err, const char *entry, const char *why)
{
    assert_int_equal(rc, -1);
    assert_int_equal(err->code, GLE_EDATA);
    assert_string_equal(err->file, path);
    assert_string_equal(err->path, entry);
    assert_string_equal(err->text, why);
}

static void entries_must_be_as_they_are_wanted(void **state)
{
    uint64_t three[3] = {7, 8, 9}, other[3] = {0};
    struct gle_error err[6] = {{0}};
    struct gle_archive *a;
    float f[3];
    size_t n;

    (void)state;
    assert_int_equal(save_one("x", GLE_NPY_U64, three, 3), 0);
    a = reopen();
    gle_archive_enter(a, "in");
    assert_entry_error(gle_archive_u64(a, "x", other, 3, &err[0]), &err[0], "in.x", "is not there");
    gle_archive_leave(a);
    assert_entry_error(gle_archive_f32(a, "x", f, 3, &err[1]), &err[1], "x", "values of another type than is wanted");
    assert_entry_error(gle_archive_u64(a, "x", other, 2, &err[2]), &err[2], "x", "3 values, where 2 are wanted");
    assert_entry_error(gle_archive_u64(a, "x", other, 1, &err[3]), &err[3], "x", "3 values, where 1 is wanted");
    assert_entry_error(gle_archive_end(a, &err[4]), &err[4], "x", "an entry that this run has no use for");
    assert_int_equal(other[0], 0);
    assert_int_equal(gle_archive_length(&n, a, "x", &err[5]), 0);
    assert_int_equal(n, 3);
    assert_int_equal(gle_archive_u64(a, "x", other, 3, &err[5]), 0);
    assert_memory_equal(other, three, sizeof three);
    assert_int_equal(gle_archive_end(a, &err[5]), 0);
    gle_archive_destroy(a);
}

static void counts_and_flags_must_be_possible(void **state)
{
    struct gle_error low = {0}, high = {0}, err = {0};
    uint64_t seven = 7;
    unsigned char two = 2;
    struct gle_archive *a;
    bool flag = false;
    size_t n = 1;

    (void)state;
    assert_int_equal(save_one("n", GLE_NPY_U64, &seven, 1), 0);
    a = reopen();
    assert_entry_error(gle_archive_count(a, "n", &n, 0, 6, &high), &high, "n", "7, where 0 to 6 is possible");
    assert_entry_error(gle_archive_count(a, "n", &n, 8, 9, &low), &low, "n", "7, where 8 to 9 is possible");
    assert_int_equal(n, 1);
    assert_int_equal(gle_archive_count(a, "n", &n, 7, 7, &err), 0);
    assert_int_equal(n, 7);
    gle_archive_destroy(a);
    assert_int_equal(save_one("flag", GLE_NPY_BOOL, &two, 1), 0);
    a = reopen();
    assert_entry_error(gle_archive_bools(a, "flag", &flag, 1, &err), &err, "flag", "neither true nor false");
    gle_archive_destroy(a);
}

static float *values_of(const void *ctx, size_t i)
{
    (void)i;
    return *(float *const *)ctx;
}

static void real_numbers_and_texts_must_be_possible(void **state)
{
    static double reals[] = {-1.0, (double)NAN, (double)INFINITY};
    static const char *const why[] = {"-1, where 0 to 2 is possible", "nan, where 0 to 2 is possible",
                                      "inf, where 0 to 2 is possible"};
    static const char *const wild[] = {NULL, "value 1 is NaN", "value 1 is infinite"};
    struct gle_archive *a;
    char text[8] = "";

    (void)state;
    for (size_t i = 0; i < COUNT(reals); i++) {
        double two[] = {1.0, reals[i]};
        float single[] = {1.0f, (float)reals[i]};
        struct gle_error err[5] = {{0}};
        double x = 1.0, both[2];
        float floats[2], apart[2] = {5.0f, 5.0f}, *at = apart;
        const struct gle_archive_stack stack = {.n = 1, .rows = 2, .cols = 1, .ld = 1, .at = values_of, .ctx = &at};
        assert_int_equal(save_one("x", GLE_NPY_F64, &reals[i], 1), 0);
        a = reopen();
        assert_entry_error(gle_archive_real(a, "x", &x, 0.0, 2.0, &err[0]), &err[0], "x", why[i]);
        assert_int_equal(gle_archive_real(a, "x", &x, -INFINITY, INFINITY, &err[1]), isnan(reals[i]) ? -1 : 0);
        gle_archive_destroy(a);
        assert_int_equal(save_one("x", GLE_NPY_F64, two, 2), 0);
        a = reopen();
        if (wild[i])
            assert_entry_error(gle_archive_f64(a, "x", both, 2, &err[2]), &err[2], "x", wild[i]);
        else
            assert_int_equal(gle_archive_f64(a, "x", both, 2, &err[2]), 0);
        gle_archive_destroy(a);
        assert_int_equal(save_one("x", GLE_NPY_F32, single, 2), 0);
        a = reopen();
        if (wild[i])
            assert_entry_error(gle_archive_f32(a, "x", floats, 2, &err[3]), &err[3], "x", wild[i]);
        else
            assert_int_equal(gle_archive_f32(a, "x", floats, 2, &err[3]), 0);
        if (wild[i])
            assert_entry_error(gle_archive_stack(a, "x", &stack, &err[4]), &err[4], "x", wild[i]);
        else
            assert_int_equal(gle_archive_stack(a, "x", &stack, &err[4]), 0);
        assert_true(apart[0] == (wild[i] ? 5.0f : 1.0f)); /* nothing is put back of what is not finite */
        gle_archive_destroy(a);
    }
    for (size_t i = 0; i < 3; i++) {
        static char texts[][16] = {"abcdefg", "abcdefgh", "ab\nd"};
        static const char *const bad[] = {NULL, "8 bytes, where 7 are possible", "byte 2 is a control character"};
        struct gle_error err = {0};
        assert_int_equal(save_one("t", GLE_NPY_U8, texts[i], strlen(texts[i])), 0);
        a = reopen();
        if (bad[i])
            assert_entry_error(gle_archive_text(a, "t", text, sizeof text, &err), &err, "t", bad[i]);
        else
            assert_int_equal(gle_archive_text(a, "t", text, sizeof text, &err), 0);
        gle_archive_destroy(a);
        if (!bad[i])
            assert_string_equal(text, texts[i]);
    }
}

static void any_allocation_may_fail(void **state)
{
    static int (*const ways[])(struct thing *, struct gle_error *) = {save_full, load};

    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        size_t k = 0;
        for (int rc = -1; rc; k++) {
            struct gle_error err = {0};
            struct thing t = {.u = 0};
            gle_memory_fail_after(k);
            rc = ways[i](&t, &err);
            gle_memory_fail_after((size_t)-1);
            assert_int_equal(err.code, rc ? GLE_ENOMEM : GLE_OK);
        }
        assert_in_range(k, 30, 5000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_comes_back),
        cmocka_unit_test(a_stack_is_one_array_without_padding),
        cmocka_unit_test(the_same_state_gives_the_same_bytes),
        cmocka_unit_test(damage_is_refused_or_changes_nothing),
        cmocka_unit_test(whole_archives_that_are_none_of_ours_are_refused),
        cmocka_unit_test(entries_must_be_as_they_are_wanted),
        cmocka_unit_test(counts_and_flags_must_be_possible),
        cmocka_unit_test(real_numbers_and_texts_must_be_possible),
        cmocka_unit_test(any_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
