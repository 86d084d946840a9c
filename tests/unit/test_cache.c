/* The cache of compiled programs keeps what is used, and no more than so much of the rest. */
#include "../support/folder.h"
#include "backend/cache.h"
#include "base/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { DAY = 24 * 60 * 60, MANY = 100, MOST = 64 };

static struct gle_cache_key key_of(size_t i)
{
    char text[32];

    snprintf(text, sizeof text, "program %zu", i);
    return gle_cache_key((const char *const[]){text}, 1);
}

static void keep(size_t i)
{
    const struct gle_cache_key key = key_of(i);

    gle_cache_keep(&key, "binary", 6);
}

/* Whether an entry is there, and whole; it is then used. */
static bool take(size_t i)
{
    const struct gle_cache_key key = key_of(i);
    unsigned char *bytes;
    size_t size;
    const bool found = gle_cache_take(&bytes, &size, &key);

    assert_true(!found || (size == 6 && !memcmp(bytes, "binary", 6)));
    gle_free(bytes);
    return found;
}

static const char *path_of(const char *folder, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "glesim/%s", name);
    return folder_path(folder, path);
}

/* Makes a file look as if it was used so many days ago. */
static void age(const char *path, double days)
{
    const struct timespec then = {.tv_sec = time(NULL) - (time_t)(days * DAY)}, times[2] = {then, then};

    assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void age_entry(const char *folder, size_t i, double days)
{
    age(path_of(folder, key_of(i).hex), days);
}

static size_t count(const char *folder)
{
    DIR *d = opendir(folder_path(folder, "glesim"));
    size_t n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strlen(e->d_name) == 64;
    closedir(d);
    return n;
}

static void what_is_not_used_for_long_goes(void **folder)
{
    keep(0);
    keep(1);
    keep(2);
    age_entry(*folder, 0, 91);
    age_entry(*folder, 1, 89);
    age_entry(*folder, 2, 91);
    assert_true(take(2)); /* old, and used again */
    assert_true(take(0) && (age_entry(*folder, 0, 91), true));
    keep(3);
    assert_false(take(0));
    assert_true(take(1) && take(2) && take(3));
}

static void the_oldest_go_where_there_are_many(void **folder)
{
    for (size_t i = 0; i < MANY; i++) {
        keep(i);
        age_entry(*folder, i, (double)(MANY - i) / 10.0);
        assert_true(count(*folder) <= MOST + 1);
    }
    keep(MANY);
    assert_int_equal(count(*folder), MOST);
    assert_true(take(MANY) && take(MANY - 1) && take(MANY - MOST + 1));
    assert_false(take(MANY - MOST));
}

/* The clock may have been wrong: what was kept just now stays. */
static void what_was_kept_last_stays(void **folder)
{
    for (size_t i = 0; i < MOST + 5; i++) {
        keep(i);
        age_entry(*folder, i, -10);
    }
    keep(MANY);
    assert_true(take(MANY));
}

static void what_others_have_put_there_stays(void **folder)
{
    static const char *const names[] = {
        "readme.txt", ".hidden", "0123456789abcdef", /* too short */
        "zz23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ".glesim-new.tmp"};
    char link[64 + 1];

    keep(0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        FILE *f = fopen(path_of(*folder, names[i]), "w");
        assert_non_null(f);
        fclose(f);
        age(path_of(*folder, names[i]), i == 4 ? 0.5 : 1000);
    }
    memset(link, 'a', 64);
    link[64] = '\0';
    assert_int_equal(symlink("readme.txt", path_of(*folder, link)), 0);
    age(path_of(*folder, link), 1000);
    link[0] = 'b';
    assert_int_equal(mkdir(path_of(*folder, link), 0700), 0);
    age(path_of(*folder, link), 1000);
    keep(1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(access(path_of(*folder, names[i]), F_OK), 0);
    assert_int_equal(access(path_of(*folder, link), F_OK), 0);
    link[0] = 'a';
    assert_int_equal(access(path_of(*folder, link), F_OK), 0);
    age(path_of(*folder, names[4]), 2); /* of a process that was killed */
    keep(2);
    assert_int_equal(access(path_of(*folder, names[4]), F_OK), -1);
}

static int setup(void **folder)
{
    return folder_setup(folder) || setenv("XDG_CACHE_HOME", *folder, 1);
}

int main(void)
{
    static char folder[FOLDER_SIZE];
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, folder_teardown, folder)
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_used_for_long_goes),
        TEST(the_oldest_go_where_there_are_many),
        TEST(what_was_kept_last_stays),
        TEST(what_others_have_put_there_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
