#include "tiny.h"
#include "base/npz.h"
#include "folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#ifdef GLE_TEST_HDF5
#include <hdf5.h>
#endif

static void put_bytes(const char *folder, const char *name, const unsigned char *bytes, size_t n)
{
    FILE *file = fopen(folder_path(folder, name), "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* --- npz: points with labels --- */

static void make_npz(const char *folder)
{
    static const float x[8][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 0.5f}, {0.5f, 0}, {0.5f, 1}, {1, 0.5f}};
    static const int32_t y[8] = {0, 1, 1, 0, 2, 2, 2, 2};
    struct gle_npz_writer *w = gle_npz_create();
    struct gle_error err = {0};

    assert_non_null(w);
    if (gle_npz_add(w, "x", GLE_NPY_F32, x, 2, (size_t[]){8, 2}, &err) ||
        gle_npz_add(w, "y", GLE_NPY_I32, y, 1, (size_t[]){8}, &err) ||
        gle_npz_add(w, "x_test", GLE_NPY_F32, x, 2, (size_t[]){4, 2}, &err) ||
        gle_npz_add(w, "y_test", GLE_NPY_I32, y, 1, (size_t[]){4}, &err) ||
        gle_npz_write(w, folder_path(folder, "data.npz"), &err))
        fail_msg("%s", err.text);
    gle_npz_destroy(w);
}

/* --- idx: images of 2 x 3 pixels --- */

static void put_idx(const char *folder, const char *name, size_t n, size_t each)
{
    unsigned char bytes[256] = {0, 0, 8, each > 1 ? 3 : 1};
    const unsigned char shape[] = {(unsigned char)n, 2, 3};
    size_t at = 4;

    for (size_t d = 0; d < bytes[3]; d++, at += 4)
        bytes[at + 3] = shape[d];
    for (size_t i = 0; i < n * each; i++)
        bytes[at++] = (unsigned char)(each > 1 ? 5 * i : i % 3);
    put_bytes(folder, name, bytes, at);
}

static void make_idx(const char *folder)
{
    put_idx(folder, "images", 8, 6);
    put_idx(folder, "labels", 8, 1);
    put_idx(folder, "test_images", 3, 6);
    put_idx(folder, "test_labels", 3, 1);
}

/* --- cifar10: two photographs a batch --- */

static void make_cifar(const char *folder)
{
    enum { RECORD = 1 + 3 * 32 * 32, EACH = 2, BATCHES = 6 };
    static unsigned char bytes[EACH * RECORD];

    for (size_t b = 0; b < BATCHES; b++) {
        char name[32];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)(i % RECORD ? i * 7 % 251 + b : (b * EACH + i / RECORD) % 10);
        snprintf(name, sizeof name, b + 1 < BATCHES ? "data_batch_%zu.bin" : "test_batch.bin", b + 1);
        put_bytes(folder, name, bytes, sizeof bytes);
    }
}

/* --- speech_commands: two words of as many speakers as give each set some --- */

static void make_speech(const char *folder)
{
    enum { SPEAKERS = 24, SAMPLES = 400, RATE = 4000 };
    static const char *const words[] = {"yes", "no"};

    for (size_t k = 0; k < 2 * SPEAKERS; k++) {
        char name[64];
        int16_t x[SAMPLES];
        for (size_t i = 0; i < SAMPLES; i++)
            x[i] = (int16_t)(3000.0 * sin(0.3 * (double)(1 + k % 2) * (double)i + (double)k));
        snprintf(name, sizeof name, "%s/%08zx_nohash_0.wav", words[k % 2], k / 2);
        folder_put_sound(folder, name, x, SAMPLES, RATE);
    }
}

/* --- events: spikes of 12 units --- */

#ifdef GLE_TEST_HDF5
static void put_list(hid_t file, const char *name, hid_t type, hvl_t *lists, hsize_t n)
{
    const hid_t list = H5Tvlen_create(type), space = H5Screate_simple(1, &n, NULL);
    const hid_t set = H5Dcreate2(file, name, list, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

    assert_true(set >= 0 && H5Dwrite(set, list, H5S_ALL, H5S_ALL, H5P_DEFAULT, lists) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Tclose(list);
}

static void put_events(const char *folder, const char *name, hsize_t n)
{
    enum { MOST = 8, SPIKES = 5 };
    static float times[MOST][SPIKES];
    static int units[MOST][SPIKES];
    hvl_t of_times[MOST], of_units[MOST];
    int labels[MOST];
    const hid_t file = H5Fcreate(folder_path(folder, name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t group = H5Gcreate2(file, "spikes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(1, &n, NULL);
    const hid_t set = H5Dcreate2(file, "labels", H5T_NATIVE_INT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < SPIKES; k++) {
            times[i][k] = 0.001f * (float)(k * (i + 1));
            units[i][k] = (int)((i + 5 * k) % 12);
        }
        of_times[i] = (hvl_t){.len = SPIKES, .p = times[i]};
        of_units[i] = (hvl_t){.len = SPIKES, .p = units[i]};
        labels[i] = (int)i % 3;
    }
    assert_true(set >= 0 && H5Dwrite(set, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels) >= 0);
    put_list(file, "spikes/times", H5T_NATIVE_FLOAT, of_times, n);
    put_list(file, "spikes/units", H5T_NATIVE_INT, of_units, n);
    H5Dclose(set);
    H5Sclose(space);
    H5Gclose(group);
    assert_true(H5Fclose(file) >= 0);
}

static void make_events(const char *folder)
{
    put_events(folder, "train.h5", 8);
    put_events(folder, "test.h5", 3);
}
#else
#define make_events NULL
#endif

const struct tiny *tiny_find(const char *name)
{
    static const struct tiny all[] = {
        {"npz", make_npz, "{file: FOLDER/data.npz, present: 1}"},
        {"idx", make_idx, "{images: FOLDER/images, labels: FOLDER/labels, test_images: FOLDER/test_images, "
                          "test_labels: FOLDER/test_labels, as: rows, permute: 3, present: 1}"},
        {"cifar10", make_cifar, "{path: FOLDER, as: rows, present: 1, augment: {flip: true, shift: 2}}"},
        {"speech_commands", make_speech,
         "{path: FOLDER, sample_rate: 4000, task: {words: [yes, no]}, features: {type: mel, bins: 6, window: 64, "
         "hop: 50}, split: {type: hashed, validation: 25, test: 25}}"},
        {"events", make_events, "{train: FOLDER/train.h5, test: FOLDER/test.h5, units: 12, units_per_channel: 4, "
                                "second: 1000, bin: 2}"},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i].name, name))
            return &all[i];
    return NULL;
}
