#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
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
#include <unistd.h>

#include <cmocka.h>

enum { PATH_SIZE = 512 };
static char dir[PATH_SIZE / 2]; /* fresh for every test */

/* In place of the C library's: while `hinder` is set, every other call is interrupted and the rest move 3 bytes. */
static bool hinder;

static bool interrupted(size_t *size)
{
    static unsigned calls;

    if (!hinder)
        return false;
    *size = *size < 3 ? *size : 3;
    errno = EINTR;
    return calls++ % 2 == 0;
}

ssize_t read(int fd, void *bytes, size_t size)
{
    return interrupted(&size) ? -1 : readv(fd, &(struct iovec){bytes, size}, 1);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    union {
        const void *from;
        void *base; /* writev() does not write to it */
    } address = {bytes};

    return interrupted(&size) ? -1 : writev(fd, &(struct iovec){address.base, size}, 1);
}

static const char *in_dir(char path[PATH_SIZE], const char *name)
{
    snprintf(path, PATH_SIZE, "%s/%s", dir, name);
    return path;
}

static int make_dir(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    snprintf(dir, sizeof dir, "%s/glesim-test-XXXXXX", base ? base : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static void remove_tree(const char *path)
{
    struct dirent *e;
    DIR *d = opendir(path);

    while (d && (e = readdir(d))) {
        char inner[2 * PATH_SIZE];
        struct stat info;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (!lstat(inner, &info) && S_ISDIR(info.st_mode))
            remove_tree(inner);
        else
            unlink(inner);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static int remove_dir(void **state)
{
    (void)state;
    remove_tree(dir);
    return 0;
}

static size_t files_in_dir(void)
{
    DIR *d = opendir(dir);
    size_t n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void assert_holds(const char *path, const void *want, size_t want_size)
{
    struct gle_error err = {0};
    unsigned char *bytes;
    size_t size;

    assert_int_equal(gle_file_read(&bytes, &size, path, 1 << 20, false, GLE_EDATA, &err), 0);
    assert_int_equal(size, want_size);
    assert_memory_equal(bytes, want, size);
    assert_int_equal(bytes[size], '\0');
    gle_free(bytes);
}

static void assert_unreadable(const char *path, size_t limit, const char *why)
{
    struct gle_error err = {0};
    unsigned char *bytes = (unsigned char *)dir;
    size_t size = 1;

    assert_int_equal(gle_file_read(&bytes, &size, path, limit, false, GLE_ECONFIG, &err), -1);
    assert_int_equal(err.code, GLE_ECONFIG);
    assert_non_null(strstr(err.text, why));
    assert_string_equal(err.file, path);
    assert_null(bytes);
    assert_int_equal(size, 0);
}

static void written_file_reads_back(void **state)
{
    static const unsigned char bytes[] = {0, 1, '\n', 0, 255};
    struct gle_error err = {0};
    char path[PATH_SIZE];

    (void)state;
    assert_int_equal(gle_file_write(in_dir(path, "a"), bytes, sizeof bytes, &err), 0);
    assert_holds(path, bytes, sizeof bytes);
    assert_int_equal(gle_file_write(path, "", 0, &err), 0);
    assert_holds(path, "", 0);
    assert_int_equal(files_in_dir(), 1);
}

static void interrupted_and_short_transfers_go_on(void **state)
{
    static const char text[] = "all of this text must arrive";
    struct gle_error write_err = {0}, read_err = {0};
    unsigned char *bytes = NULL;
    char path[PATH_SIZE];
    int written, got;
    size_t size;

    (void)state;
    hinder = true;
    written = gle_file_write(in_dir(path, "a"), text, sizeof text, &write_err);
    got = gle_file_read(&bytes, &size, path, 100, false, GLE_EDATA, &read_err);
    hinder = false;
    assert_int_equal(written, 0);
    assert_int_equal(got, 0);
    assert_int_equal(size, sizeof text);
    assert_string_equal((const char *)bytes, text);
    gle_free(bytes);
    assert_holds(path, text, sizeof text);
}

static void file_is_written_into_the_working_directory(void **state)
{
    struct gle_error err = {0};
    char old[PATH_SIZE], path[PATH_SIZE];

    (void)state;
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(gle_file_write("bare", "x", 1, &err), 0);
    assert_int_equal(chdir(old), 0);
    assert_holds(in_dir(path, "bare"), "x", 1);
}

static void mode_follows_the_umask(void **state)
{
    struct gle_error err = {0};
    char path[PATH_SIZE];
    struct stat info;
    const mode_t old = umask(027);

    (void)state;
    assert_int_equal(gle_file_write(in_dir(path, "a"), "x", 1, &err), 0);
    umask(old);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void file_larger_than_the_limit_is_refused(void **state)
{
    struct gle_error err = {0};
    char path[PATH_SIZE];

    (void)state;
    assert_int_equal(gle_file_write(in_dir(path, "a"), "12345", 5, &err), 0);
    assert_unreadable(path, 4, "larger");
}

static void only_regular_files_are_read(void **state)
{
    char path[PATH_SIZE];

    (void)state;
    assert_unreadable(in_dir(path, "nothing"), 100, "No such file");
    assert_unreadable(dir, 100, "not a regular file");
    assert_int_equal(mkfifo(in_dir(path, "pipe"), 0600), 0);
    assert_unreadable(path, 100, "not a regular file");
    assert_unreadable("/dev/zero", 100, "not a regular file");
}

static void first_error_wins(void **state)
{
    struct gle_error err = {0};

    (void)state;
    gle_fail(&err, GLE_ERANGE, "first");
    assert_int_equal(gle_file_write("/nowhere/a", "x", 1, &err), -1);
    assert_int_equal(err.code, GLE_ERANGE);
    assert_string_equal(err.text, "first");
    assert_string_equal(err.file, "");
}

static void no_memory_is_reported(void **state)
{
    struct gle_error err = {0};
    unsigned char *bytes;
    char path[PATH_SIZE];
    size_t size;
    int rc;

    (void)state;
    assert_int_equal(gle_file_write(in_dir(path, "a"), "x", 1, &err), 0);
    gle_memory_fail_after(0);
    rc = gle_file_read(&bytes, &size, path, 100, false, GLE_EDATA, &err);
    assert_null(gle_sha256_start());
    gle_memory_fail_after((size_t)-1);
    assert_int_equal(rc, -1);
    assert_int_equal(err.code, GLE_ENOMEM);
}

static void assert_unwritable(const char *path, const char *why)
{
    struct gle_error err = {0};

    assert_int_equal(gle_file_write(path, "new", 3, &err), -1);
    assert_int_equal(err.code, GLE_EWRITE);
    assert_non_null(strstr(err.text, why));
    assert_string_equal(err.file, path);
}

static void failed_rename_leaves_no_temporary_file(void **state)
{
    char path[PATH_SIZE];

    (void)state;
    assert_int_equal(mkdir(in_dir(path, "taken"), 0777), 0);
    assert_unwritable(path, "Is a directory");
    assert_int_equal(files_in_dir(), 1);
}

static void missing_directory_is_an_error(void **state)
{
    char path[PATH_SIZE];

    (void)state;
    assert_unwritable(in_dir(path, "no/such/dir"), "No such file");
}

static void too_long_a_path_is_an_error(void **state)
{
    struct gle_error write_err = {0}, dirs_err = {0};
    char path[5000] = "";

    (void)state;
    memset(path, '/', sizeof path - 1);
    assert_int_equal(gle_file_write(path, "x", 1, &write_err), -1);
    assert_int_equal(write_err.code, GLE_EWRITE);
    assert_int_equal(gle_file_make_dirs(path, &dirs_err), -1);
    assert_int_equal(dirs_err.code, GLE_EWRITE);
}

/* The limit lets the first part of the write pass and the rest fail, as a full disk does. */
static void full_disk_keeps_the_old_file_and_no_temporary_one(void **state)
{
    static unsigned char bytes[5000];
    struct gle_error err = {0};
    struct rlimit old, small;
    char path[PATH_SIZE];
    int rc;

    (void)state;
    assert_int_equal(gle_file_write(in_dir(path, "a"), "old", 3, &err), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    rc = gle_file_write(path, bytes, sizeof bytes, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(rc, -1);
    assert_int_equal(err.code, GLE_EWRITE);
    assert_non_null(strstr(err.text, "File too large"));
    assert_holds(path, "old", 3);
    assert_int_equal(files_in_dir(), 1);
}

/* A killed run of the same process id may have left one. */
static void stale_temporary_file_is_stepped_over(void **state)
{
    struct gle_error err = {0};
    char name[64], path[PATH_SIZE], stale[PATH_SIZE];

    (void)state;
    snprintf(name, sizeof name, ".glesim-%ld-0.tmp", (long)getpid());
    assert_int_equal(gle_file_write(in_dir(stale, name), "stale", 5, &err), 0);
    assert_int_equal(gle_file_write(in_dir(path, "a"), "x", 1, &err), 0);
    assert_holds(path, "x", 1);
    assert_holds(stale, "stale", 5);
    assert_int_equal(files_in_dir(), 2);
}

static void directories_are_made_with_those_above(void **state)
{
    struct gle_error err = {0};
    char path[PATH_SIZE];
    struct stat info;

    (void)state;
    assert_int_equal(gle_file_make_dirs(in_dir(path, "a//b/c/"), &err), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(gle_file_make_dirs(path, &err), 0);
    assert_int_equal(gle_file_make_dirs("/", &err), 0);
    assert_int_equal(gle_file_make_dirs(".", &err), 0);
    assert_int_equal(gle_file_make_private_dirs(in_dir(path, "a/d/e"), &err), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(stat(in_dir(path, "a/d"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
}

static void file_in_the_way_of_a_directory_is_named(void **state)
{
    struct gle_error err = {0};
    char file[PATH_SIZE], path[PATH_SIZE];

    (void)state;
    assert_int_equal(gle_file_write(in_dir(file, "f"), "x", 1, &err), 0);
    assert_int_equal(gle_file_make_dirs(in_dir(path, "f/g/h"), &err), -1);
    assert_int_equal(err.code, GLE_EWRITE);
    assert_string_equal(err.file, file);
}

static void assert_sha256(const char *text, size_t times, size_t part, const char *want)
{
    struct gle_sha256 *sha = gle_sha256_start();
    const size_t len = strlen(text);
    char hex[65];

    assert_non_null(sha);
    for (size_t i = 0; i < times; i++)
        for (size_t at = 0; at < len; at += part)
            gle_sha256_add(sha, text + at, len - at < part ? len - at : part);
    gle_sha256_end(sha, hex);
    assert_string_equal(hex, want);
}

/* FIPS 180-2, appendix B */
static void sha256_equals_the_standard(void **state)
{
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

    (void)state;
    assert_sha256("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_sha256("abc", 1, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    for (size_t part = 1; part < sizeof two_blocks; part++)
        assert_sha256(two_blocks, 1, part, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    assert_sha256("aaaaaaaaaa", 100000, 10, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void the_checksum_of_a_file_is_that_of_its_bytes(void **state)
{
    static char bytes[100000];
    char path[PATH_SIZE], hex[65], want[65];
    struct gle_error err = {0}, none = {0}, folder = {0};
    struct gle_sha256 *sha = gle_sha256_start();

    (void)state;
    assert_non_null(sha);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * i % 251);
    gle_sha256_add(sha, bytes, sizeof bytes);
    gle_sha256_end(sha, want);
    assert_int_equal(gle_file_write(in_dir(path, "a"), bytes, sizeof bytes, &err), 0);
    hinder = true;
    assert_int_equal(gle_file_sha256(hex, path, GLE_EDATA, &err), 0);
    hinder = false;
    assert_string_equal(hex, want);
    assert_int_equal(gle_file_sha256(hex, in_dir(path, "b"), GLE_EDATA, &none), -1);
    assert_int_equal(none.code, GLE_EDATA);
    assert_string_equal(none.text, "cannot read: No such file or directory");
    assert_string_equal(none.file, path);
    assert_int_equal(gle_file_sha256(hex, dir, GLE_EDATA, &folder), -1);
    assert_string_equal(folder.text, "not a regular file");
}

static void files_that_belong_together_are_replaced_together(void **state)
{
    struct gle_error err = {0};
    char a[PATH_SIZE], b[PATH_SIZE], c[PATH_SIZE], no[PATH_SIZE];

    (void)state;
    assert_int_equal(gle_file_write(in_dir(a, "a"), "old", 3, &err), 0);
    assert_int_equal(gle_file_write(in_dir(b, "b"), "old", 3, &err), 0);
    in_dir(c, "c");
    in_dir(no, "no/c");
    assert_int_equal(
        gle_file_write_together((struct gle_file_whole[]){{a, "1", 1}, {b, NULL, 0}, {no, "3", 1}}, 3, &err), -1);
    assert_int_equal(err.code, GLE_EWRITE);
    assert_string_equal(err.file, no);
    assert_holds(a, "old", 3);
    assert_holds(b, "old", 3);
    assert_int_equal(files_in_dir(), 2);

    err = (struct gle_error){0};
    assert_int_equal(
        gle_file_write_together((struct gle_file_whole[]){{a, "1", 1}, {b, NULL, 0}, {c, "3", 1}}, 3, &err), 0);
    assert_holds(a, "1", 1);
    assert_holds(c, "3", 1);
    assert_int_equal(files_in_dir(), 2);
}

static void of_files_that_belong_together_no_mixture_is_left(void **state)
{
    struct gle_error err = {0};
    char a[PATH_SIZE], b[PATH_SIZE], c[PATH_SIZE];

    (void)state;
    assert_int_equal(gle_file_write(in_dir(a, "a"), "old", 3, &err), 0);
    assert_int_equal(gle_file_make_dirs(in_dir(b, "b"), &err), 0); /* in the way of the rename */
    assert_int_equal(gle_file_write(in_dir(c, "c"), "old", 3, &err), 0);
    assert_int_equal(
        gle_file_write_together((struct gle_file_whole[]){{a, "1", 1}, {b, "2", 1}, {c, "3", 1}}, 3, &err), -1);
    assert_int_equal(err.code, GLE_EWRITE);
    assert_string_equal(err.file, b);
    assert_holds(a, "1", 1);
    assert_int_equal(files_in_dir(), 2); /* with b */

    err = (struct gle_error){0};
    assert_int_equal(
        gle_file_write_together((struct gle_file_whole[]){{b, "2", 1}, {a, "3", 1}}, 2, &err), -1);
    assert_holds(a, "1", 1); /* nothing was replaced, so all stays */
    assert_int_equal(files_in_dir(), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(written_file_reads_back),
        TEST(interrupted_and_short_transfers_go_on),
        TEST(file_is_written_into_the_working_directory),
        TEST(mode_follows_the_umask),
        TEST(file_larger_than_the_limit_is_refused),
        TEST(only_regular_files_are_read),
        TEST(first_error_wins),
        TEST(no_memory_is_reported),
        TEST(failed_rename_leaves_no_temporary_file),
        TEST(missing_directory_is_an_error),
        TEST(too_long_a_path_is_an_error),
        TEST(full_disk_keeps_the_old_file_and_no_temporary_one),
        TEST(stale_temporary_file_is_stepped_over),
        TEST(directories_are_made_with_those_above),
        TEST(file_in_the_way_of_a_directory_is_named),
        TEST(files_that_belong_together_are_replaced_together),
        TEST(of_files_that_belong_together_no_mixture_is_left),
        TEST(sha256_equals_the_standard),
        TEST(the_checksum_of_a_file_is_that_of_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
