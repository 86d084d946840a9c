/* Devices, on whatever OpenCL this machine has; where it has none, all but the tests of that are skipped. */
#include "../support/folder.h"
#include "backend/device.h"
#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char source[] =
    "__kernel void add(__global float *z, __global const float *x, __global const float *y, float a, uint n)\n"
    "{\n"
    "    const uint i = (uint)(get_group_id(1) * get_num_groups(0) + get_group_id(0)) * (uint)get_local_size(0) +\n"
    "                   (uint)get_local_id(0);\n"
    "    if (i < n)\n"
    "        z[i] = a * x[i] + y[i];\n"
    "}\n"
    "__kernel void count(__global float *z)\n"
    "{\n"
    "    z[get_global_id(0)] += 1.0f;\n"
    "}\n";
static const char options[] = "-cl-std=CL1.2";

enum { N = 1000, ITEMS = 32, ACROSS = 7 };
static char cache[FOLDER_SIZE]; /* XDG_CACHE_HOME, fresh for every test */

static struct gle_device *open_device(void)
{
    struct gle_error err = {0};
    struct gle_device *device;

    if (gle_device_open(&device, NULL, &err)) {
        print_message("no device: %s\n", err.text);
        skip();
    }
    return device;
}

#define OK(call) assert_true(!(call) || (print_error("%s\n", err.text), 0))

/* Compiles, and adds numbers with it. */
static void assert_adds(struct gle_device *device)
{
    const size_t groups[2] = {ACROSS, (N + ITEMS * ACROSS - 1) / (ITEMS * ACROSS)};
    const float a = 2.5f;
    const unsigned n = N;
    struct gle_buffer *x, *y, *z;
    struct gle_device_kernel *add;
    struct gle_error err = {0};
    float in[N], out[N];

    OK(gle_device_compile(device, source, options, &err));
    OK(gle_device_kernel(&add, device, "add", &err));
    OK(gle_buffer_create(&x, device, sizeof in, &err));
    OK(gle_buffer_create(&y, device, sizeof in, &err));
    OK(gle_buffer_create(&z, device, sizeof in, &err));
    for (size_t i = 0; i < N; i++)
        in[i] = (float)i;
    OK(gle_buffer_write(x, 0, in, sizeof in, &err));
    for (size_t i = 0; i < N; i++)
        in[i] = 3.0f - (float)i;
    OK(gle_buffer_write(y, 0, in, sizeof in, &err));
    OK(gle_device_set_buffer(add, 0, z, &err));
    OK(gle_device_set_buffer(add, 1, x, &err));
    OK(gle_device_set_buffer(add, 2, y, &err));
    OK(gle_device_set_value(add, 3, &a, sizeof a, &err));
    OK(gle_device_set_value(add, 4, &n, sizeof n, &err));
    OK(gle_device_launch(add, groups, ITEMS, &err));
    OK(gle_device_flush(device, &err));
    OK(gle_device_finish(device, &err));
    OK(gle_buffer_read(z, 0, out, sizeof out, &err));
    for (size_t i = 0; i < N; i++)
        assert_true(out[i] == 1.5f * (float)i + 3.0f);
    gle_buffer_destroy(x);
    gle_buffer_destroy(y);
    gle_buffer_destroy(z);
}

static void a_kernel_adds_numbers(void **state)
{
    struct gle_device *device = open_device();
    const struct gle_device_info *info = gle_device_info(device);
    struct gle_device_traffic traffic;

    (void)state;
    assert_true(*info->name && *info->driver && *info->platform);
    assert_true(info->n_units && info->max_items && info->memory > 0 && info->max_buffer > 0 && info->local_memory > 0);
    assert_adds(device);
    traffic = gle_device_get_traffic(device);
    assert_true(traffic.launches == 1 && traffic.bytes_in == 2.0 * N * sizeof(float));
    assert_true(traffic.bytes_out == 1.0 * N * sizeof(float));
    gle_device_close(device);
}

static void pieces_of_buffers_are_written_read_and_cleared(void **state)
{
    struct gle_device *device = open_device();
    struct gle_error err = {0};
    struct gle_buffer *buffer;
    unsigned char bytes[64], got[64], want[64];

    (void)state;
    OK(gle_buffer_create(&buffer, device, sizeof bytes, &err));
    memset(got, 1, sizeof got);
    memset(want, 0, sizeof want);
    OK(gle_buffer_read(buffer, 0, got, sizeof got, &err)); /* zero when it is made */
    assert_memory_equal(got, want, sizeof got);
    for (unsigned i = 0; i < sizeof bytes; i++)
        want[i] = bytes[i] = (unsigned char)(i + 1);
    OK(gle_buffer_write(buffer, 0, bytes, sizeof bytes, &err));
    OK(gle_buffer_write(buffer, 5, bytes, 7, &err));
    memcpy(want + 5, bytes, 7);
    memset(bytes, 0, sizeof bytes); /* after the return it is the caller's */
    for (size_t step = 0; step < 5; step++) { /* single bytes, floats, pairs and groups of them, not where they begin */
        const size_t at[] = {21, 28, 40, 36, 48}, n[] = {3, 4, 8, 16, 16};
        OK(gle_buffer_zero(buffer, at[step], n[step], &err));
        memset(want + at[step], 0, n[step]);
    }
    OK(gle_buffer_write(buffer, sizeof bytes, bytes, 0, &err));
    OK(gle_buffer_zero(buffer, 0, 0, &err));
    OK(gle_buffer_read(buffer, 0, got, sizeof got, &err));
    assert_memory_equal(got, want, sizeof got);
    memset(got, 0, sizeof got);
    OK(gle_buffer_read(buffer, 9, got, 20, &err));
    assert_memory_equal(got, want + 9, 20);
    gle_buffer_destroy(buffer);
    OK(gle_buffer_create(&buffer, device, 0, &err));
    gle_buffer_destroy(buffer);
    gle_device_close(device);
}

static void launches_run_one_after_the_other(void **state)
{
    struct gle_device *device = open_device();
    const size_t groups[2] = {2, 1}, none[2] = {0, 1};
    struct gle_device_kernel *count;
    struct gle_buffer *buffer;
    struct gle_error err = {0};
    float z[8];

    (void)state;
    OK(gle_device_compile(device, source, options, &err));
    OK(gle_device_kernel(&count, device, "count", &err));
    OK(gle_device_compile(device, "__kernel void other(void) {}", options, &err)); /* the kernel stays */
    OK(gle_buffer_create(&buffer, device, sizeof z, &err));
    OK(gle_device_set_buffer(count, 0, buffer, &err));
    for (int i = 0; i < 100; i++)
        OK(gle_device_launch(count, groups, 4, &err));
    OK(gle_device_launch(count, none, 4, &err));
    OK(gle_buffer_read(buffer, 0, z, sizeof z, &err));
    for (size_t i = 0; i < 8; i++)
        assert_true(z[i] == 100.0f);
    assert_true(gle_device_get_traffic(device).launches == 100);
    gle_buffer_destroy(buffer);
    gle_device_close(device);
}

/* The failure is a device's, names it, and ends with OpenCL's own word. */
static void assert_told(const struct gle_device *device, const struct gle_error *err, const char *part,
                        const char *word)
{
    char end[80];

    assert_int_equal(err->code, GLE_EDEVICE);
    assert_non_null(strstr(err->text, gle_device_info(device)->name));
    assert_non_null(strstr(err->text, part));
    snprintf(end, sizeof end, " (%s)", word);
    assert_string_equal(err->text + strlen(err->text) - strlen(end), end);
}

static void what_a_device_refuses_is_told(void **state)
{
    struct gle_device *device = open_device();
    const size_t too_large = (size_t)gle_device_info(device)->max_buffer + 4096;
    const size_t groups[2] = {1, 1};
    struct gle_error unknown = {0}, wrong = {0}, large = {0}, argument = {0}, items = {0}, err = {0};
    struct gle_device_kernel *kernel;
    struct gle_buffer *buffer;

    (void)state;
    assert_int_equal(gle_device_compile(device, "__kernel void k(void) { int x = unheard_of; }", options, &wrong), -1);
    assert_told(device, &wrong, "unheard_of", "CL_BUILD_PROGRAM_FAILURE");
    OK(gle_device_compile(device, source, options, &err));
    assert_int_equal(gle_device_kernel(&kernel, device, "subtract", &unknown), -1);
    assert_null(kernel);
    assert_told(device, &unknown, "has no kernel 'subtract'", "CL_INVALID_KERNEL_NAME");
    OK(gle_device_kernel(&kernel, device, "count", &err));
    assert_int_equal(gle_device_set_value(kernel, 9, &err, 4, &argument), -1);
    assert_told(device, &argument, "refuses argument 9 of kernel 'count'", "CL_INVALID_ARG_INDEX");
    if (strcmp(gle_device_info(device)->platform, "Oclgrind")) { /* it gives more than it says */
        assert_int_equal(gle_buffer_create(&buffer, device, too_large, &large), -1);
        assert_null(buffer);
        assert_told(device, &large, " MB", "CL_INVALID_BUFFER_SIZE");
    }
    OK(gle_buffer_create(&buffer, device, 64, &err));
    OK(gle_device_set_buffer(kernel, 0, buffer, &err));
    assert_int_equal(gle_device_launch(kernel, groups, gle_device_info(device)->max_items * 2, &items), -1);
    assert_int_equal(items.code, GLE_EDEVICE);
    assert_non_null(strstr(items.text, "does not run kernel 'count' with groups of "));
    gle_buffer_destroy(buffer);
    gle_device_close(device);
}

static void devices_are_chosen_by_number_or_name(void **state)
{
    struct gle_device *device = open_device();
    struct gle_device_info *infos;
    struct gle_error err = {0}, none = {0};
    char part[GLE_DEVICE_NAME];
    size_t n;

    (void)state;
    gle_device_close(device);
    OK(gle_devices_list(&infos, &n, &err));
    assert_true(n > 0);
    for (size_t i = 1; i < n; i++)
        assert_true(infos[i - 1].is_gpu || !infos[i].is_gpu);
    for (size_t i = 0; i < n; i++) {
        char number[24];
        snprintf(number, sizeof number, "%zu", i);
        OK(gle_device_open(&device, number, &err));
        assert_string_equal(gle_device_info(device)->name, infos[i].name);
        gle_device_close(device);
    }
    snprintf(part, sizeof part, "%s", infos[0].name + strlen(infos[0].name) / 2);
    for (char *c = part; *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    OK(gle_device_open(&device, part, &err));
    gle_device_close(device);
    for (size_t i = 0; i < 4; i++) {
        const char *const wrong[] = {"no such card", "", "99999999999999999999999", "64"}; /* as in x86-64 */
        none = (struct gle_error){0};
        assert_int_equal(gle_device_open(&device, wrong[i], &none), -1);
        assert_null(device);
        assert_int_equal(none.code, GLE_EDEVICE);
        assert_non_null(strstr(none.text, wrong[i]));
        assert_non_null(strstr(none.text, infos[0].name));
        assert_non_null(strstr(none.text, "(CL_DEVICE_NOT_FOUND)"));
    }
    gle_free(infos);
}

/* Opens, compiles, and makes a kernel and a buffer. */
static int set_out(struct gle_error *err)
{
    struct gle_device *device;
    struct gle_device_kernel *kernel;
    struct gle_buffer *buffer = NULL;
    int rc;

    if (gle_device_open(&device, NULL, err))
        return -1;
    rc = gle_device_compile(device, source, options, err) || gle_device_kernel(&kernel, device, "add", err) ||
         gle_buffer_create(&buffer, device, 64, err);
    gle_buffer_destroy(buffer);
    gle_device_close(device);
    return rc ? -1 : 0;
}

/* Memory that the cache does not get is no error. */
static void allocations_that_fail_are_told(void **state)
{
    size_t n_told = 0;

    (void)state;
    gle_device_close(open_device());
    for (size_t k = 0;; k++) {
        struct gle_error err = {0};
        int rc;
        gle_memory_fail_after(k);
        rc = set_out(&err);
        gle_memory_fail_after((size_t)-1);
        if (!rc)
            break;
        assert_int_equal(err.code, GLE_ENOMEM);
        assert_non_null(strstr(err.text, "no memory for"));
        n_told++;
    }
    assert_in_range(n_told, 4, 32); /* a device, a list of them, a kernel, a buffer */
}

/* --- the cache --- */

/* The one entry of the cache. Static buffer. */
static const char *entry(void)
{
    static char path[PATH_SIZE];
    char folder[PATH_SIZE / 2];
    size_t n = 0;
    struct dirent *e;
    DIR *d;

    snprintf(folder, sizeof folder, "%s/glesim", cache);
    d = opendir(folder);
    assert_non_null(d);
    while ((e = readdir(d)))
        if (*e->d_name != '.') {
            snprintf(path, sizeof path, "%s/%.64s", folder, e->d_name);
            n++;
        }
    closedir(d);
    assert_int_equal(n, 1);
    return path;
}

static struct stat status(const char *path)
{
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    return info;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void adds_anew(void)
{
    struct gle_device *device = open_device();

    assert_adds(device);
    gle_device_close(device);
}

static void compiled_programs_are_kept(void **state)
{
    struct stat first, second, folder;

    (void)state;
    adds_anew();
    first = status(entry());
    folder = status(folder_path(cache, "glesim"));
    assert_int_equal(folder.st_mode & 0777, 0700);
    adds_anew();
    second = status(entry());
    assert_true(same_file(&first, &second));
}

/* An entry that was changed by `spoil` is made anew, byte for byte, and programs work. */
static void assert_mended(void (*spoil)(unsigned char **bytes, size_t *size))
{
    struct gle_error err = {0};
    unsigned char *good, *bad, *now;
    size_t n_good, n_bad, n_now;
    char path[PATH_SIZE];

    adds_anew();
    snprintf(path, sizeof path, "%s", entry());
    OK(gle_file_read(&good, &n_good, path, 1 << 28, false, GLE_EDATA, &err));
    OK(gle_file_read(&bad, &n_bad, path, 1 << 28, false, GLE_EDATA, &err));
    spoil(&bad, &n_bad);
    OK(gle_file_write(path, bad, n_bad, &err));
    adds_anew();
    OK(gle_file_read(&now, &n_now, entry(), 1 << 28, false, GLE_EDATA, &err));
    assert_true(n_now != n_bad || memcmp(now, bad, n_now));
    assert_memory_equal(now, good, 17 + 65); /* the magic line, and the key */
    gle_free(good);
    gle_free(bad);
    gle_free(now);
}

static void flip_last(unsigned char **bytes, size_t *size)
{
    (*bytes)[*size - 1] ^= 1;
}

static void flip_magic(unsigned char **bytes, size_t *size)
{
    (void)size;
    (*bytes)[3] ^= 1;
}

static void flip_key(unsigned char **bytes, size_t *size)
{
    (void)size;
    (*bytes)[20] = (*bytes)[20] == '0' ? '1' : '0';
}

static void halve(unsigned char **bytes, size_t *size)
{
    (void)bytes;
    *size /= 2;
}

static void leave_the_head(unsigned char **bytes, size_t *size)
{
    (void)bytes;
    *size = 17 + 2 * 65;
}

static void empty(unsigned char **bytes, size_t *size)
{
    (void)bytes;
    *size = 0;
}

/* A whole entry, whose binary no driver takes. */
static void put_foreign_binary(unsigned char **bytes, size_t *size)
{
    static const char foreign[] = "this is no program";
    struct gle_sha256 *sha = gle_sha256_start();
    char hex[65];

    assert_non_null(sha);
    gle_sha256_add(sha, foreign, sizeof foreign);
    gle_sha256_end(sha, hex);
    memcpy(*bytes + 17 + 65, hex, 64);
    memcpy(*bytes + 17 + 2 * 65, foreign, sizeof foreign);
    *size = 17 + 2 * 65 + sizeof foreign;
}

static void damaged_entries_are_made_anew(void **state)
{
    void (*const spoils[])(unsigned char **, size_t *) = {flip_last,      flip_magic, flip_key,          halve,
                                                          leave_the_head, empty,      put_foreign_binary};

    (void)state;
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++)
        assert_mended(spoils[i]);
}

static void each_source_and_its_options_have_an_entry(void **state)
{
    struct gle_device *device = open_device();
    struct gle_error err = {0};
    size_t n = 0;
    DIR *d;

    (void)state;
    OK(gle_device_compile(device, source, options, &err));
    OK(gle_device_compile(device, source, "-cl-std=CL1.2 -DX=1", &err));
    OK(gle_device_compile(device, "__kernel void k(void) {}", options, &err));
    OK(gle_device_compile(device, source, options, &err));
    gle_device_close(device);
    d = opendir(folder_path(cache, "glesim"));
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += *e->d_name != '.';
    closedir(d);
    assert_int_equal(n, 3);
}

static void nothing_depends_on_the_cache(void **state)
{
    (void)state;
    folder_put(cache, "file", "in the way");
    setenv("XDG_CACHE_HOME", folder_path(cache, "file"), 1);
    adds_anew();
    setenv("XDG_CACHE_HOME", "/proc/self/nowhere", 1);
    adds_anew();
    setenv("XDG_CACHE_HOME", folder_path(cache, "deep/down"), 1); /* is made */
    adds_anew();
    assert_int_equal(status(folder_path(cache, "deep/down/glesim")).st_mode & 0777, 0700);
}

/* Others could put programs there, which would run as this user's. */
static void a_folder_that_others_write_to_is_not_used(void **state)
{
    (void)state;
    assert_int_equal(mkdir(folder_path(cache, "glesim"), 0700), 0);
    assert_int_equal(chmod(folder_path(cache, "glesim"), 0777), 0);
    adds_anew();
    assert_int_equal(rmdir(folder_path(cache, "glesim")), 0); /* empty */
}

/* --- no device --- */

/* In a process of its own, for loaders look for drivers once: the words of the error where there are no drivers. */
static int without_drivers(void)
{
    struct gle_device_info *infos;
    struct gle_error err = {0};
    struct gle_device *device;
    size_t n;

    setenv("OCL_ICD_VENDORS", cache, 1);
    if (gle_devices_list(&infos, &n, &err) || n || infos)
        return 1;
    if (!gle_device_open(&device, NULL, &err) || device || err.code != GLE_EDEVICE)
        return 2;
    return strstr(err.text, "no OpenCL driver is installed") || strstr(err.text, "no OpenCL on this machine") ||
                   strstr(err.text, "built without OpenCL")
               ? 0
               : 3;
}

static int in_child(int (*work)(void))
{
    const pid_t child = fork();
    int status_of_child;

    if (!child)
        _exit(work());
    assert_int_equal(waitpid(child, &status_of_child, 0), child);
    assert_true(WIFEXITED(status_of_child));
    return WEXITSTATUS(status_of_child);
}

static void a_machine_without_drivers_has_no_devices(void **state)
{
    (void)state;
    assert_int_equal(in_child(without_drivers), 0);
}

/* --- signals --- */

enum { NO_DEVICE = 77 };
static volatile sig_atomic_t n_signals;

static void on_signal(int number)
{
    (void)number;
    n_signals++;
}

/* Returns 0 if signals come, once each, where they came before a driver was opened and has compiled; else which did
 * not, from 1 on. */
static int with_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, SIGPIPE};
    const struct sigaction mine = {.sa_handler = on_signal};
    struct gle_error err = {0};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &mine, NULL);
    if (set_out(&err))
        return NO_DEVICE;
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++) {
        struct sigaction now;
        sigaction(numbers[i], NULL, &now);
        if (now.sa_handler != on_signal) /* LLVM's hands some on, the first time */
            return i + 1;
    }
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++) {
        kill(getpid(), numbers[i]);
        if (n_signals != i + 1)
            return i + 1;
    }
    return 0;
}

static void drivers_take_no_signals(void **state)
{
    const int rc = in_child(with_signals);

    (void)state;
    if (rc == NO_DEVICE)
        skip();
    assert_int_equal(rc, 0);
}

static int setup(void **state)
{
    (void)state;
    folder_make(cache);
    return setenv("XDG_CACHE_HOME", cache, 1);
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(cache);
    return 0;
}

/* PoCL has files of its own, whose folder it makes once. */
static char pocl[FOLDER_SIZE];

static int make_pocl_folder(void **state)
{
    (void)state;
    folder_make(pocl);
    return setenv("POCL_CACHE_DIR", pocl, 1);
}

static int remove_pocl_folder(void **state)
{
    (void)state;
    folder_remove(pocl);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_machine_without_drivers_has_no_devices), /* first: before this process has looked for them */
        TEST(drivers_take_no_signals),                  /* likewise */
        TEST(a_kernel_adds_numbers),
        TEST(pieces_of_buffers_are_written_read_and_cleared),
        TEST(launches_run_one_after_the_other),
        TEST(what_a_device_refuses_is_told),
        TEST(devices_are_chosen_by_number_or_name),
        TEST(allocations_that_fail_are_told),
        TEST(compiled_programs_are_kept),
        TEST(damaged_entries_are_made_anew),
        TEST(each_source_and_its_options_have_an_entry),
        TEST(nothing_depends_on_the_cache),
        TEST(a_folder_that_others_write_to_is_not_used),
    };

    return cmocka_run_group_tests(tests, make_pocl_folder, remove_pocl_folder);
}
