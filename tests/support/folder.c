#define _XOPEN_SOURCE 700 /* nftw */
#include "folder.h"

#include <ftw.h>
#include <setjmp.h>
#include <sndfile.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void folder_make(char folder[FOLDER_SIZE])
{
    snprintf(folder, FOLDER_SIZE, "/tmp/glesim_test_XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

void folder_remove(const char *folder)
{
    assert_int_equal(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int folder_setup(void **folder)
{
    folder_make(*folder);
    return 0;
}

int folder_teardown(void **folder)
{
    folder_remove(*folder);
    return 0;
}

const char *folder_path(const char *folder, const char *name)
{
    static char path[PATH_SIZE];

    assert_true((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) < sizeof path);
    return path;
}

const char *folder_text(const char *folder, const char *text)
{
    static const char word[] = "FOLDER";
    static char whole[2048];
    size_t n = 0;

    while (*text && n + FOLDER_SIZE < sizeof whole) {
        if (!strncmp(text, word, strlen(word))) {
            n += (size_t)snprintf(whole + n, sizeof whole - n, "%s", folder);
            text += strlen(word);
        } else {
            whole[n++] = *text++;
        }
    }
    assert_true(!*text);
    whole[n] = '\0';
    return whole;
}

/* Makes the folder that the file is in; returns its path. */
static const char *prepare(const char *folder, const char *name)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s", folder_path(folder, name));
    *strrchr(path, '/') = '\0';
    (void)mkdir(path, 0700); /* it may be there */
    return folder_path(folder, name);
}

void folder_put(const char *folder, const char *name, const char *text)
{
    FILE *file = fopen(prepare(folder, name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void folder_put_sound(const char *folder, const char *name, const int16_t *x, size_t n, int rate)
{
    const size_t len = strlen(name);
    const int container = len > 5 && !strcmp(name + len - 5, ".flac") ? SF_FORMAT_FLAC : SF_FORMAT_WAV;
    SF_INFO info = {.samplerate = rate, .channels = 1, .format = container | SF_FORMAT_PCM_16};
    SNDFILE *file = sf_open(prepare(folder, name), SFM_WRITE, &info);

    assert_non_null(file);
    assert_int_equal(sf_writef_short(file, x, (sf_count_t)n), n);
    assert_int_equal(sf_close(file), 0);
}
