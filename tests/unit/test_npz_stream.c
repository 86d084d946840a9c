#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"
#include "base/npz_stream.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PATH_SIZE = 512, COLUMNS_MAX = 16, CHUNK_BYTES = 4 << 20, FILE_MAX = 1 << 26 };
static char dir[PATH_SIZE / 2]; /* fresh for every test */
static char path[PATH_SIZE];    /* of the archive in it */
static char spool[PATH_SIZE];   /* of its records */
static int n_descriptors;       /* open when a test begins, and when it ends */

/* In place of the C library's: `hinder` interrupts every other call and lets the rest move few bytes; `broken` is an
 * errno that every pread() fails with. */
static bool hinder;
static int broken;

static bool interrupted(size_t *size)
{
    static unsigned calls;

    if (!hinder)
        return false;
    *size = *size < 7 ? *size : 7;
    errno = EINTR;
    return calls++ % 2 == 0;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    union {
        const void *from;
        void *base; /* writev() does not write to it */
    } address = {bytes};

    return interrupted(&size) ? -1 : writev(fd, &(struct iovec){address.base, size}, 1);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
    if (broken) {
        errno = broken;
        return -1;
    }
    return interrupted(&size) || lseek(fd, at, SEEK_SET) < 0 ? -1 : readv(fd, &(struct iovec){bytes, size}, 1);
}

static int open_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static int make_dir(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    hinder = false;
    broken = 0;
    n_descriptors = open_descriptors();
    snprintf(dir, sizeof dir, "%s/glesim-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/a.npz", dir);
    snprintf(spool, sizeof spool, "%s/spool", dir);
    return 0;
}

static size_t each_file(void (*look)(const char *file))
{
    struct dirent *e;
    DIR *d = opendir(dir);
    size_t n = 0;

    while (d && (e = readdir(d))) {
        char file[2 * PATH_SIZE];
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(file, sizeof file, "%s/%s", dir, e->d_name);
        if (look)
            look(file);
        n++;
    }
    if (d)
        closedir(d);
    return n;
}

static void remove_file(const char *file)
{
    if (remove(file))
        print_error("%s stays\n", file);
}

static int remove_dir(void **state)
{
    (void)state;
    each_file(remove_file);
    return rmdir(dir) || open_descriptors() != n_descriptors ? -1 : 0;
}

/* But the spool. */
static size_t n_files(void)
{
    return each_file(NULL) - !access(spool, F_OK);
}

static void write_old(void)
{
    struct gle_error err = {0};
    assert_int_equal(gle_file_write(path, "old", 3, &err), 0);
}

static void assert_old_alone(void)
{
    struct gle_error err = {0};
    unsigned char *bytes;
    size_t size;

    assert_int_equal(gle_file_read(&bytes, &size, path, FILE_MAX, false, GLE_EDATA, &err), 0);
    assert_string_equal((const char *)bytes, "old");
    gle_free(bytes);
    assert_int_equal(n_files(), 1);
}

/* --- records of bytes that tell where they belong --- */

static size_t entry_bytes(const struct gle_npz_column *c)
{
    size_t n = gle_npy_item(c->type);

    for (size_t d = 0; d < c->n_dims; d++)
        n *= c->shape[d];
    return n;
}

/* The entries of `records` records of column i. The caller frees them. */
static unsigned char *make_values(const struct gle_npz_column *c, size_t i, size_t records)
{
    const size_t bytes = entry_bytes(c);
    unsigned char *values = malloc(records * bytes + 1);
    uint32_t x = 12345u + (uint32_t)i;

    assert_non_null(values);
    for (size_t k = 0; k < records * bytes; k++) {
        x = x * 1664525u + 1013904223u; /* Numerical Recipes' generator */
        values[k] = c->type == GLE_NPY_BOOL ? (unsigned char)(x >> 31) : (unsigned char)(x >> 24);
    }
    return values;
}

static struct gle_npz_stream *open_stream(const struct gle_npz_column *columns, size_t n)
{
    struct gle_error err = {0};
    struct gle_npz_stream *s;

    if (gle_npz_stream_open(&s, path, spool, columns, n, &err))
        fail_msg("%s", err.text);
    return s;
}

static void close_stream(struct gle_npz_stream *s)
{
    struct gle_error err = {0};

    if (gle_npz_stream_close(s, &err))
        fail_msg("%s", err.text);
}

static int add_values(struct gle_npz_stream *s, unsigned char *const *values, const struct gle_npz_column *columns,
                      size_t n, size_t record, struct gle_error *err)
{
    const void *entries[COLUMNS_MAX];

    for (size_t i = 0; i < n; i++)
        entries[i] = values[i] + record * entry_bytes(&columns[i]);
    return gle_npz_stream_add(s, entries, err);
}

static void assert_reads_back(const struct gle_npz_column *columns, size_t n, size_t records,
                              unsigned char *const *values)
{
    struct gle_error err = {0};
    struct gle_npz *npz;
    struct gle_array a;

    assert_int_equal(gle_npz_open(&npz, path, &err), 0);
    assert_int_equal(gle_npz_count(npz), n);
    for (size_t i = 0; i < n; i++) {
        const struct gle_npz_column *c = &columns[i];
        if (gle_npz_read(&a, npz, c->name, &err))
            fail_msg("%s: %s", c->name, err.text);
        assert_int_equal(a.type, c->type);
        assert_int_equal(a.n_dims, c->n_dims + 1);
        assert_int_equal(a.shape[0], records);
        for (size_t d = 0; d < c->n_dims; d++)
            assert_int_equal(a.shape[d + 1], c->shape[d]);
        assert_int_equal(memcmp(a.values, values[i], records * entry_bytes(c)), 0);
        gle_array_clear(&a);
    }
    gle_npz_close(npz);
}

static void assert_same_as_at_once(const struct gle_npz_column *columns, size_t n, size_t records,
                                   unsigned char *const *values)
{
    struct gle_npz_writer *w = gle_npz_create();
    struct gle_error err = {0};
    unsigned char *streamed, *whole;
    size_t streamed_size, whole_size;

    assert_int_equal(gle_file_read(&streamed, &streamed_size, path, FILE_MAX, false, GLE_EDATA, &err), 0);
    assert_non_null(w);
    for (size_t i = 0; i < n; i++) {
        size_t shape[GLE_NPY_DIMS_MAX] = {records};
        memcpy(shape + 1, columns[i].shape, sizeof columns[i].shape);
        assert_int_equal(
            gle_npz_add(w, columns[i].name, columns[i].type, values[i], columns[i].n_dims + 1, shape, &err), 0);
    }
    assert_int_equal(gle_npz_write(w, path, &err), 0);
    gle_npz_destroy(w);
    assert_int_equal(gle_file_read(&whole, &whole_size, path, FILE_MAX, false, GLE_EDATA, &err), 0);
    assert_int_equal(streamed_size, whole_size);
    assert_int_equal(memcmp(streamed, whole, whole_size), 0);
    gle_free(streamed);
    gle_free(whole);
}

/* Streams the records, and compares the archive with what it must hold. */
static void check(const struct gle_npz_column *columns, size_t n, size_t records)
{
    struct gle_npz_stream *s = open_stream(columns, n);
    unsigned char *values[COLUMNS_MAX];
    struct gle_error err = {0};

    assert_true(n <= COLUMNS_MAX);
    for (size_t i = 0; i < n; i++)
        values[i] = make_values(&columns[i], i, records);
    for (size_t r = 0; r < records; r++) {
        assert_int_equal(gle_npz_stream_count(s), r);
        assert_int_equal(add_values(s, values, columns, n, r, &err), 0);
        assert_int_equal(n_files(), 0);
    }
    assert_int_equal(gle_npz_stream_count(s), records);
    close_stream(s);
    assert_int_equal(n_files(), 1);
    assert_reads_back(columns, n, records, values);
    assert_same_as_at_once(columns, n, records, values);
    for (size_t i = 0; i < n; i++)
        free(values[i]);
    remove_file(path);
}

static const struct gle_npz_column many[] = {
    {"step", GLE_NPY_I64, 0, {0}},
    {"time", GLE_NPY_F64, 0, {0}},
    {"layer.u", GLE_NPY_F32, 2, {3, 5}},
    {"layer.r", GLE_NPY_F32, 1, {1}},
    {"i8", GLE_NPY_I8, 1, {3}},
    {"i16", GLE_NPY_I16, 3, {1, 2, 3}},
    {"i32", GLE_NPY_I32, 1, {7}},
    {"u8", GLE_NPY_U8, 7, {1, 1, 2, 1, 1, 1, 3}},
    {"u16", GLE_NPY_U16, 1, {1}},
    {"u32", GLE_NPY_U32, 0, {0}},
    {"u64", GLE_NPY_U64, 2, {2, 1}},
    {"bool", GLE_NPY_BOOL, 1, {11}},
    {"none", GLE_NPY_F32, 1, {0}},
    {"none_3d", GLE_NPY_F64, 3, {2, 0, 3}},
};

static void every_type_and_shape_reads_back(void **state)
{
    (void)state;
    check(many, COUNT(many), 1);
    check(many, COUNT(many), 100);
    for (size_t i = 0; i < COUNT(many); i++)
        check(&many[i], 1, 3);
}

static void no_records_make_empty_arrays(void **state)
{
    (void)state;
    check(many, COUNT(many), 0);
}

static void entries_may_have_no_elements(void **state)
{
    static const struct gle_npz_column none[] = {{"a", GLE_NPY_F32, 1, {0}}, {"b", GLE_NPY_I8, 2, {4, 0}}};

    (void)state;
    check(none, COUNT(none), 5);
}

static void records_fill_several_chunks(void **state)
{
    static const struct gle_npz_column wide[] = {
        {"few", GLE_NPY_F64, 0, {0}}, {"wide", GLE_NPY_U8, 1, {CHUNK_BYTES / 5 - 100}}, {"some", GLE_NPY_I16, 1, {9}}};
    static const size_t counts[] = {4, 5, 6, 10, 13};

    (void)state;
    for (size_t i = 0; i < COUNT(counts); i++)
        check(wide, COUNT(wide), counts[i]);
}

static void narrow_records_fill_several_chunks(void **state)
{
    static const struct gle_npz_column narrow[] = {{"a", GLE_NPY_U8, 1, {3}}, {"b", GLE_NPY_F64, 0, {0}}};
    const size_t records = 2 * (CHUNK_BYTES / 11) + 1;
    struct gle_npz_stream *s = open_stream(narrow, COUNT(narrow));
    unsigned char *values[] = {make_values(&narrow[0], 0, records), make_values(&narrow[1], 1, records)};
    struct gle_error err = {0};

    (void)state;
    for (size_t r = 0; r < records; r++)
        if (add_values(s, values, narrow, COUNT(narrow), r, &err))
            fail_msg("%s", err.text);
    close_stream(s);
    assert_reads_back(narrow, COUNT(narrow), records, values);
    free(values[0]);
    free(values[1]);
}

static void record_may_be_larger_than_a_chunk(void **state)
{
    static const struct gle_npz_column huge[] = {{"a", GLE_NPY_U8, 1, {CHUNK_BYTES + 1}}, {"b", GLE_NPY_F32, 0, {0}}};

    (void)state;
    check(huge, COUNT(huge), 3);
}

/* The process is forked, because its peak may come from elsewhere. */
static void memory_does_not_grow_with_the_records(void **state)
{
    enum { BYTES = 1000000, RECORDS = 200, KIB_MAX = 40000 };
    static const struct gle_npz_column columns[] = {{"a", GLE_NPY_U8, 1, {BYTES}}};
    int status;
    pid_t child;

    (void)state;
    child = fork();
    assert_true(child >= 0);
    if (!child) {
        static unsigned char bytes[BYTES];
        struct rusage before, after;
        struct gle_error err = {0};
        struct gle_npz_stream *s;
        int rc;
        memset(bytes, 1, sizeof bytes);
        getrusage(RUSAGE_SELF, &before);
        rc = gle_npz_stream_open(&s, path, spool, columns, 1, &err);
        for (size_t r = 0; r < RECORDS && !rc; r++)
            rc = gle_npz_stream_add(s, (const void *const[]){bytes}, &err);
        rc = rc || gle_npz_stream_close(s, &err);
        getrusage(RUSAGE_SELF, &after);
        _exit(rc ? 2 : after.ru_maxrss - before.ru_maxrss < KIB_MAX ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- files --- */

static const struct gle_npz_column two[] = {{"a", GLE_NPY_F32, 1, {50}}, {"b", GLE_NPY_I32, 0, {0}}};

static void add_two(struct gle_npz_stream *s, size_t records)
{
    static const float a[50] = {1.0f};
    static const int32_t b = 2;
    struct gle_error err = {0};

    for (size_t r = 0; r < records; r++)
        if (gle_npz_stream_add(s, (const void *const[]){a, &b}, &err))
            fail_msg("%s", err.text);
}

static void discarded_stream_leaves_nothing(void **state)
{
    struct gle_npz_stream *s = open_stream(two, COUNT(two));

    (void)state;
    add_two(s, 3);
    gle_npz_stream_discard(s);
    assert_int_equal(n_files(), 0);
    write_old();
    s = open_stream(two, COUNT(two));
    add_two(s, 40000);
    gle_npz_stream_discard(s);
    assert_old_alone();
    gle_npz_stream_discard(NULL);
}

static void old_file_is_replaced_when_the_stream_is_closed(void **state)
{
    struct gle_error err = {0};
    struct gle_npz_stream *s;
    struct gle_npz *npz;

    (void)state;
    write_old();
    s = open_stream(two, COUNT(two));
    add_two(s, 3);
    assert_old_alone();
    close_stream(s);
    assert_int_equal(n_files(), 1);
    assert_int_equal(gle_npz_open(&npz, path, &err), 0);
    gle_npz_close(npz);
}

/* --- spools that stay --- */

/* Records from `first` on, each with its number. */
static void add_numbered(struct gle_npz_stream *s, size_t first, size_t n)
{
    struct gle_error err = {0};

    for (size_t r = first; r < first + n; r++) {
        float a[50] = {(float)r};
        const int32_t b = (int32_t)r;
        if (gle_npz_stream_add(s, (const void *const[]){a, &b}, &err))
            fail_msg("%s", err.text);
    }
}

/* Whatever was added after the records that were made safe, and however often they were. */
static void a_stream_goes_on_with_what_another_has_left(void **state)
{
    enum { ALL = 60000 }; /* several chunks */
    static const size_t safe[] = {0, 1, 20559, 20560, 20561, 41120, 45000};
    unsigned char *want, *got;
    struct gle_error err = {0};
    struct gle_npz_stream *s;
    uint32_t checksum;
    size_t n, m;

    (void)state;
    s = open_stream(two, COUNT(two));
    add_numbered(s, 0, ALL);
    close_stream(s);
    assert_int_equal(unlink(spool), 0);
    assert_int_equal(gle_file_read(&want, &n, path, SIZE_MAX / 2, false, GLE_EDATA, &err), 0);
    for (size_t i = 0; i < COUNT(safe); i++) {
        s = open_stream(two, COUNT(two));
        add_numbered(s, 0, safe[i] / 2);
        assert_int_equal(gle_npz_stream_sync(s, &checksum, &err), 0);
        add_numbered(s, safe[i] / 2, safe[i] - safe[i] / 2);
        assert_int_equal(gle_npz_stream_sync(s, &checksum, &err), 0);
        add_numbered(s, 7, i % 2 ? 30000 : 10); /* of steps that are made again */
        gle_npz_stream_discard(s);
        s = open_stream(two, COUNT(two));
        assert_int_equal(gle_npz_stream_begin_with(s, safe[i], checksum, &err), 0);
        assert_int_equal(gle_npz_stream_count(s), safe[i]);
        add_numbered(s, safe[i], ALL - safe[i]);
        close_stream(s);
        assert_int_equal(gle_file_read(&got, &m, path, SIZE_MAX / 2, false, GLE_EDATA, &err), 0);
        assert_int_equal(m, n);
        assert_memory_equal(got, want, n);
        gle_free(got);
        assert_int_equal(unlink(spool), 0);
    }
    gle_free(want);
}

/* Makes n records safe in a fresh spool. Returns their checksum. */
static uint32_t leave_records(size_t n)
{
    struct gle_npz_stream *s = open_stream(two, COUNT(two));
    struct gle_error err = {0};
    uint32_t checksum;

    add_numbered(s, 0, n);
    assert_int_equal(gle_npz_stream_sync(s, &checksum, &err), 0);
    gle_npz_stream_discard(s);
    return checksum;
}

static void assert_not_taken(size_t n, uint32_t checksum, const char *why)
{
    struct gle_npz_stream *s = open_stream(two, COUNT(two));
    struct gle_error err = {0};

    assert_int_equal(gle_npz_stream_begin_with(s, n, checksum, &err), -1);
    assert_int_equal(err.code, GLE_EDATA);
    assert_string_equal(err.file, spool);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
    gle_npz_stream_discard(s);
}

static void more_records_than_the_spool_has_are_an_error(void **state)
{
    static const size_t too_many[] = {4, 20560, 1000000, SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT(too_many); i++)
        assert_not_taken(too_many[i], leave_records(3), "cannot be read back");
}

/* Of the full chunk, and of each column of the one after it. */
static void damaged_records_are_an_error(void **state)
{
    enum { CHUNK = 20560, RECORDS = CHUNK + 100, RECORD_BYTES = 204 };
    static const uint64_t at[] = {0, CHUNK * RECORD_BYTES - 1, CHUNK * RECORD_BYTES,
                                  CHUNK * RECORD_BYTES + 50 * 4 * 100 - 1, CHUNK * (RECORD_BYTES + 200) + 4 * 100 - 1};
    const uint32_t checksum = leave_records(RECORDS);
    struct gle_npz_stream *s;
    struct gle_error err = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(at); i++) {
        const int fd = open(spool, O_RDWR);
        unsigned char byte;
        assert_int_equal(gle_file_get(fd, &byte, 1, at[i]), 0);
        byte ^= 4;
        assert_int_equal(gle_file_put_at(fd, &byte, 1, at[i]), 0);
        assert_not_taken(RECORDS, checksum, "damaged");
        byte ^= 4;
        assert_int_equal(gle_file_put_at(fd, &byte, 1, at[i]), 0);
        close(fd);
    }
    assert_not_taken(RECORDS - 1, checksum, "damaged");
    s = open_stream(two, COUNT(two));
    assert_int_equal(gle_npz_stream_begin_with(s, RECORDS, checksum, &err), 0);
    gle_npz_stream_discard(s);
}

static void mode_follows_the_umask(void **state)
{
    const mode_t old = umask(027);
    struct gle_npz_stream *s = open_stream(two, COUNT(two));
    struct stat info;

    (void)state;
    close_stream(s);
    umask(old);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void archive_is_written_into_the_working_directory(void **state)
{
    struct gle_error err = {0};
    struct gle_npz_stream *s;
    char old[PATH_SIZE];

    (void)state;
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(gle_npz_stream_open(&s, "a.npz", "spool", two, COUNT(two), &err), 0);
    add_two(s, 3);
    close_stream(s);
    assert_int_equal(chdir(old), 0);
    assert_int_equal(access(path, R_OK), 0);
    assert_int_equal(n_files(), 1);
}

static void interrupted_and_short_transfers_go_on(void **state)
{
    (void)state;
    hinder = true;
    check(many, COUNT(many), 20);
    hinder = false;
}

/* --- what goes wrong --- */

static void assert_not_opened(const char *where, const struct gle_npz_column *columns, size_t n, enum gle_code code,
                              const char *why)
{
    struct gle_npz_stream *s = (struct gle_npz_stream *)path;
    struct gle_error err = {0};

    if (!gle_npz_stream_open(&s, where, spool, columns, n, &err))
        fail_msg("%s was opened", where);
    assert_null(s);
    assert_int_equal(err.code, code);
    assert_memory_equal(err.file + strlen(err.file) - 5, where + strlen(where) - 5, 5); /* long ones lose their head */
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

static void assert_fails(int rc, const struct gle_error *err, const char *why)
{
    assert_int_equal(rc, -1);
    assert_int_equal(err->code, GLE_EWRITE);
    assert_string_equal(err->file, path);
    if (!strstr(err->text, why))
        fail_msg("'%s' does not say '%s'", err->text, why);
}

static void unusable_path_is_an_error_at_once(void **state)
{
    char inner[2 * PATH_SIZE];

    (void)state;
    assert_not_opened(dir, two, COUNT(two), GLE_EWRITE, "Is a directory");
    write_old();
    snprintf(inner, sizeof inner, "%s/b.npz", path);
    assert_not_opened(inner, two, COUNT(two), GLE_EWRITE, "Not a directory");
    assert_old_alone();
    snprintf(inner, sizeof inner, "%s/%0300d", dir, 0);
    assert_not_opened(inner, two, COUNT(two), GLE_EWRITE, "File name too long");
    assert_old_alone();
}

static void unusable_spool_is_an_error_at_once(void **state)
{
    static const char *const names[] = {"no/spool", "."}, *const why[] = {"No such file", "Is a directory"};
    struct gle_npz_stream *s;

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct gle_error err = {0};
        snprintf(spool, sizeof spool, "%s/%s", dir, names[i]);
        assert_int_equal(gle_npz_stream_open(&s, path, spool, two, COUNT(two), &err), -1);
        assert_null(s);
        assert_int_equal(err.code, GLE_EWRITE);
        assert_string_equal(err.file, spool);
        assert_non_null(strstr(err.text, why[i]));
    }
}

static void unusable_columns_are_an_error_at_once(void **state)
{
    static const struct gle_npz_column twice[] = {{"a", GLE_NPY_F32, 0, {0}}, {"a", GLE_NPY_F32, 0, {0}}};
    static const struct gle_npz_column latin[] = {{"caf\xe9", GLE_NPY_F32, 0, {0}}};
    static const struct gle_npz_column large[] = {{"a", GLE_NPY_F32, 2, {SIZE_MAX / 8, 4}}};
    static const struct gle_npz_column sum[] = {{"a", GLE_NPY_U8, 1, {SIZE_MAX}}, {"b", GLE_NPY_U8, 1, {1}}};
    static const struct gle_npz_column beyond[] = {{"a", GLE_NPY_U8, 1, {SIZE_MAX}}};

    (void)state;
    assert_not_opened(path, twice, COUNT(twice), GLE_EWRITE, "exists");
    assert_not_opened(path, latin, COUNT(latin), GLE_EWRITE, "cannot build the archive");
    assert_not_opened(path, large, COUNT(large), GLE_ENOMEM, "memory");
    assert_not_opened(path, sum, COUNT(sum), GLE_ENOMEM, "memory");
    assert_not_opened(path, beyond, COUNT(beyond), GLE_ENOMEM, "memory");
    assert_int_equal(n_files(), 0);
}

static void directory_that_goes_away_is_an_error(void **state)
{
    struct gle_npz_stream *s = open_stream(two, COUNT(two));
    struct gle_error err = {0};

    (void)state;
    add_two(s, 3);
    assert_int_equal(unlink(spool), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_fails(gle_npz_stream_close(s, &err), &err, "No such file");
    assert_int_equal(mkdir(dir, 0777), 0);
}

static void failed_rename_leaves_no_temporary_file(void **state)
{
    struct gle_npz_stream *s = open_stream(two, COUNT(two));
    struct gle_error err = {0};

    (void)state;
    assert_int_equal(mkdir(path, 0777), 0);
    assert_fails(gle_npz_stream_close(s, &err), &err, "Is a directory");
    assert_int_equal(n_files(), 1);
}

static void unreadable_spool_is_an_error(void **state)
{
    struct gle_npz_stream *s;
    struct gle_error err = {0};
    int rc;

    (void)state;
    write_old();
    s = open_stream(two, COUNT(two));
    add_two(s, 3);
    broken = EIO;
    rc = gle_npz_stream_close(s, &err);
    broken = 0;
    assert_fails(rc, &err, strerror(EIO));
    assert_old_alone();
}

/* Lets no file grow beyond so many bytes, as a full disk does. */
static void limit_files(size_t bytes, struct rlimit *old)
{
    struct rlimit small;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, old), 0);
    small = (struct rlimit){.rlim_cur = bytes, .rlim_max = old->rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
}

static void lift_limit(const struct rlimit *old)
{
    assert_int_equal(setrlimit(RLIMIT_FSIZE, old), 0);
    signal(SIGXFSZ, SIG_DFL);
}

static void stream_that_failed_keeps_failing(void **state)
{
    static unsigned char entry[CHUNK_BYTES];
    static const struct gle_npz_column one[] = {{"a", GLE_NPY_U8, 1, {CHUNK_BYTES}}};
    const void *const values[] = {entry};
    struct gle_error err = {0}, again = {0}, at_end = {0};
    struct gle_npz_stream *s;
    struct rlimit old;
    int rc;

    (void)state;
    write_old();
    s = open_stream(one, 1);
    assert_int_equal(gle_npz_stream_add(s, values, &err), 0);
    limit_files(CHUNK_BYTES + 1000, &old);
    rc = gle_npz_stream_add(s, values, &err);
    lift_limit(&old);
    assert_fails(rc, &err, "File too large");
    assert_fails(gle_npz_stream_add(s, values, &again), &again, "File too large");
    assert_int_equal(gle_npz_stream_count(s), 1);
    assert_fails(gle_npz_stream_close(s, &at_end), &at_end, "File too large");
    assert_string_equal(again.text, err.text);
    assert_string_equal(at_end.text, err.text);
    assert_old_alone();
}

/* Whatever part of the spool or the archive is the first that the disk has no room for. */
static void full_disk_while_closing_keeps_the_old_file(void **state)
{
    enum { RECORDS = 30 };
    struct gle_npz_stream *s = open_stream(two, COUNT(two));
    struct stat info;

    (void)state;
    add_two(s, RECORDS);
    close_stream(s);
    assert_int_equal(stat(path, &info), 0);
    write_old();
    for (size_t limit = 0; limit < (size_t)info.st_size; limit += limit < 6000 ? 500 : 7) {
        struct gle_error err = {0};
        struct rlimit old;
        int rc;
        s = open_stream(two, COUNT(two));
        add_two(s, RECORDS);
        limit_files(limit, &old);
        rc = gle_npz_stream_close(s, &err);
        lift_limit(&old);
        assert_fails(rc, &err, "File too large");
        assert_old_alone();
    }
}

static int stream_some(struct gle_error *err)
{
    static const float a[50] = {1.0f};
    static const int32_t b = 2;
    struct gle_npz_stream *s;
    int rc = gle_npz_stream_open(&s, path, spool, two, COUNT(two), err);

    if (rc)
        return rc;
    rc = gle_npz_stream_add(s, (const void *const[]){a, &b}, err);
    if (rc) {
        gle_npz_stream_discard(s);
        return rc;
    }
    return gle_npz_stream_close(s, err);
}

static void every_failing_allocation_is_an_error(void **state)
{
    size_t n = 0;

    (void)state;
    for (int rc = -1; rc; n++) {
        struct gle_error err = {0};
        gle_memory_fail_after(n);
        rc = stream_some(&err);
        gle_memory_fail_after((size_t)-1);
        assert_int_equal(err.code, rc ? GLE_ENOMEM : GLE_OK);
        assert_string_equal(err.file, rc ? path : "");
        assert_int_equal(n_files(), rc ? 0 : 1);
    }
    assert_true(n > 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_type_and_shape_reads_back),
        TEST(no_records_make_empty_arrays),
        TEST(entries_may_have_no_elements),
        TEST(records_fill_several_chunks),
        TEST(narrow_records_fill_several_chunks),
        TEST(record_may_be_larger_than_a_chunk),
        TEST(memory_does_not_grow_with_the_records),
        TEST(discarded_stream_leaves_nothing),
        TEST(old_file_is_replaced_when_the_stream_is_closed),
        TEST(a_stream_goes_on_with_what_another_has_left),
        TEST(more_records_than_the_spool_has_are_an_error),
        TEST(damaged_records_are_an_error),
        TEST(mode_follows_the_umask),
        TEST(archive_is_written_into_the_working_directory),
        TEST(interrupted_and_short_transfers_go_on),
        TEST(unusable_path_is_an_error_at_once),
        TEST(unusable_spool_is_an_error_at_once),
        TEST(unusable_columns_are_an_error_at_once),
        TEST(directory_that_goes_away_is_an_error),
        TEST(failed_rename_leaves_no_temporary_file),
        TEST(unreadable_spool_is_an_error),
        TEST(stream_that_failed_keeps_failing),
        TEST(full_disk_while_closing_keeps_the_old_file),
        TEST(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
